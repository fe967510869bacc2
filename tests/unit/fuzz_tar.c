// SPDX-License-Identifier: GPL-2.0
/*
 * libFuzzer entry for archives: their headers, the disks in them, and their
 * sums.  Whatever the bytes, nothing that is found lies outside of them.
 *
 * Bit 0 of the first byte: the check sums of headers are made right, for a fuzzer
 * does not find those.  Bit 1: what follows is no archive, but members to make
 * one of: a byte that chooses the name, two of the length, and the data.
 */
#define _GNU_SOURCE	/* memfd_create */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "manifest.h"
#include "path.h"
#include "tar.h"

#define BLOCK		512
#define ARCHIVE_MAX	(1U << 20)

enum { SIZE = 124, SUM = 148, KIND = 156, MAGIC = 257 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t archive[ARCHIVE_MAX];

static void insist(int truth)
{
	if (!truth)
		abort();
}

/* ------------------------------------------------------------- the archive */

static void sum(uint8_t *header)
{
	unsigned int i, total = 0;

	memset(header + SUM, ' ', 8);
	for (i = 0; i < BLOCK; i++)
		total += header[i];
	snprintf((char *)header + SUM, 8, "%06o", total);
}

static void repair(size_t size)
{
	size_t i;

	for (i = 0; i + BLOCK <= size; i += BLOCK)
		if (!memcmp(archive + i + MAGIC, "ustar", 5))
			sum(archive + i);
}

static size_t add_member(size_t at, uint8_t choice, const uint8_t *data,
			 size_t size)
{
	static const char * const names[] = {
		"x.ovf", "x.mf", "a", "a.000000000", "a.000000001",
		"a.000000002", "a.000000003", "b.vmdk", "x.cert", "a b",
		"a%20b", "././@LongLink", "PaxHeader", "y.mf", "./a", "c/a",
	};
	uint8_t *h = archive + at;

	memset(h, 0, BLOCK);
	strcpy((char *)h, names[choice & 15]);
	snprintf((char *)h + SIZE, 12, "%011zo", size);
	h[KIND] = "0xL7S0g0"[choice >> 4 & 7];
	memcpy(h + MAGIC, "ustar\00000", 8);
	sum(h);
	memcpy(h + BLOCK, data, size);
	at += BLOCK + size;
	while (at % BLOCK)
		archive[at++] = 0;
	return at;
}

static size_t build(const uint8_t *data, size_t size)
{
	size_t at = 0;

	while (size > 3) {
		size_t len = data[1] | data[2] << 8;

		if (len > size - 3)
			len = size - 3;
		if (at + len + 2 * BLOCK > ARCHIVE_MAX)
			break;
		at = add_member(at, data[0], data + 3, len);
		data += 3 + len;
		size -= 3 + len;
	}
	return at;
}

static size_t make(const uint8_t *data, size_t size)
{
	uint8_t flags = data[0];

	data++;
	size--;
	if (flags & 2)
		return build(data, size);
	if (size > ARCHIVE_MAX)
		size = ARCHIVE_MAX;
	memcpy(archive, data, size);
	if (flags & 1)
		repair(size);
	return size;
}

/* -------------------------------------------------------------- what is found */

static void check_why(int ret, const char *why)
{
	insist(!ret == !why);
	insist(!why || (!strncmp(why, "x", 1) && !strchr(why, '\n')));
}

static void check_tar(int fd, uint64_t bytes)
{
	struct vmdk_tar tar;
	char *why = NULL;
	size_t i;
	int ret;

	ret = vmdk_tar_read(fd, bytes, "x", &tar, &why);
	check_why(ret, why);
	insist(!ret || !tar.members);
	for (i = 0; i < tar.nr; i++) {
		const struct vmdk_tar_member *m = &tar.members[i];

		insist(m->offset % BLOCK == 0 && m->offset >= BLOCK);
		insist(m->offset <= bytes && m->size <= bytes - m->offset);
		insist(*m->name && *m->name != '/' && !vmdk_has_dotdot(m->name));
		insist(vmdk_tar_find(&tar, m->name) == m);
	}
	vmdk_tar_free(&tar);
	free(why);
}

/* What is read through the windows, all at once, is what lies in them. */
static void check_read(int fd, const struct vmdk_ova_disk *disk)
{
	const struct vmdk_part part = {
		.fd = fd, .windows = &disk->windows, .bytes = disk->size,
	};
	uint8_t *buf = malloc(disk->size + 1);
	size_t i;

	insist(buf && !vmdk_part_read(&part, buf, disk->size, 0));
	for (i = 0; i < disk->windows.nr; i++) {
		const struct vmdk_window *w = &disk->windows.list[i];

		insist(!memcmp(buf + w->start, archive + w->offset, w->length));
	}
	insist(vmdk_part_read(&part, buf, 1, disk->size));
	free(buf);
}

static void check_windows(const struct vmdk_ova_disk *disk, uint64_t bytes)
{
	uint64_t start = 0;
	size_t i;

	for (i = 0; i < disk->windows.nr; i++) {
		const struct vmdk_window *w = &disk->windows.list[i];

		insist(w->start == start && w->length);
		insist(w->offset <= bytes && w->length <= bytes - w->offset);
		start += w->length;
	}
	insist(start == disk->windows.bytes && start == disk->size);
}

static void check_disk(int fd, const struct vmdk_ova_disk *disk,
		       uint64_t bytes)
{
	insist(!!disk->name);
	if (disk->refusal) {
		check_why(-1, disk->refusal);
	} else if (disk->windows.nr) {
		check_windows(disk, bytes);
		check_read(fd, disk);
	} else {
		insist(disk->offset <= bytes &&
		       disk->size <= bytes - disk->offset);
	}
}

static void check_finding(const struct vmdk_sum_finding *finding, void *arg)
{
	uint64_t bytes = *(uint64_t *)arg;

	insist(finding->name && *finding->text);
	insist(finding->offset <= bytes);
	insist(!finding->found == !finding->expected);
}

static void check_ova(int fd, uint64_t bytes)
{
	struct vmdk_ova ova;
	char *why = NULL;
	size_t i;
	int ret;

	ret = vmdk_ova_read(fd, bytes, "x", &ova, &why);
	check_why(ret, why);
	insist(!ret || !ova.nr);
	for (i = 0; i < ova.nr; i++)
		check_disk(fd, &ova.disks[i], bytes);
	if (!ret)
		vmdk_ova_verify(fd, bytes, "x", bytes & BLOCK ? ova.disks : NULL,
				check_finding, &bytes, &why);
	vmdk_ova_free(&ova);
	free(why);
}

/**
 * LLVMFuzzerTestOneInput - read one archive
 * @data: a byte that says how, and the bytes
 * @size: how many
 *
 * Return: 0.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	size_t bytes;

	if (!size)
		return 0;
	if (fd < 0)
		fd = memfd_create("fuzz", MFD_CLOEXEC);
	bytes = make(data, size);
	insist(!ftruncate(fd, bytes));
	insist(pwrite(fd, archive, bytes, 0) == (ssize_t)bytes);
	check_tar(fd, bytes);
	check_ova(fd, bytes);
	return 0;
}
