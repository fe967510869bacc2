// SPDX-License-Identifier: GPL-2.0
/*
 * libFuzzer entry: vmdk_format.c, the rules of check, and evening out.
 *
 * An even first byte: the rest is a file as it is.  An odd one: it picks a sound
 * image, and the rest are damages of ten bytes: place, width, value.
 */
#define _GNU_SOURCE	/* memfd_create */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "mkvmdk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(x)	do { if (!(x)) fail(#x, __LINE__); } while (0)

static void fail(const char *what, int line)
{
	fprintf(stderr, "line %d: not so: %s\n", line, what);
	abort();
}

static void consume(const struct vmdk_finding *f, void *arg)
{
	size_t *sum = arg;

	REQUIRE(f->text[0] && f->found[0] && f->expected[0]);
	*sum += strlen(f->structure) + strlen(f->text) + strlen(f->found) +
		strlen(f->expected);
}

/* What is refused says why; what is accepted keeps to its limits. */
static void format(const uint8_t *data, size_t size, u64 file_bytes)
{
	struct vmdk_sparse_header header;
	struct vmdk_geometry geo;
	struct vmdk_fault fault;
	size_t i;
	u32 entry;

	if (size < sizeof(header))
		return;
	memcpy(&header, data, sizeof(header));
	memset(&fault, 0, sizeof(fault));
	if (vmdk_header_decode(&header, file_bytes, &geo, &fault)) {
		REQUIRE(fault.text[0] && fault.offset < sizeof(header));
		return;
	}
	REQUIRE((u64)geo.gd_entries << geo.gt_shift >= vmdk_grains(&geo));
	REQUIRE((u64)geo.gd_sectors * 128 >= geo.gd_entries);
	if (geo.flags & VMDK_FLAG_COMPRESSED)
		return;
	REQUIRE((geo.gd + geo.gd_sectors) * 512 <= file_bytes);
	for (i = sizeof(header); i + 4 <= size && i < 8192; i += 4) {
		memcpy(&entry, data + i, sizeof(entry));
		if (entry && !vmdk_gde_fault(&geo, entry, file_bytes / 512))
			REQUIRE((entry + (u64)geo.gt_sectors) * 512 <= file_bytes);
		if (entry > 1 &&
		    !vmdk_gte_fault(&geo, i, entry, file_bytes / 512))
			REQUIRE(entry >= geo.overhead && i < vmdk_grains(&geo));
	}
}

/* What is not corrupt can be made alike, once, without becoming worse. */
static void even_out(int fd, const struct vmdk_check_result *before)
{
	struct vmdk_check_result after;
	uint64_t changed;
	int ret = vmdk_even_out(fd, &changed);

	if (before->corrupt) {
		REQUIRE(ret == -EUCLEAN && !changed);
		return;
	}
	REQUIRE(!ret && !changed == !before->benign);
	REQUIRE(!vmdk_check_sparse(fd, 0, NULL, NULL, &after));
	REQUIRE(!after.corrupt && !after.benign);
	REQUIRE(after.grains_allocated == before->grains_allocated);
	REQUIRE(after.grains_zeroed == before->grains_zeroed);
	REQUIRE(!vmdk_even_out(fd, &changed) && !changed);
}

static void check(const uint8_t *data, size_t size)
{
	struct vmdk_check_result result;
	size_t sum = 0;
	static int fd = -1;
	int ret;

	if (fd < 0)
		fd = memfd_create("fuzz_format", MFD_CLOEXEC);
	REQUIRE(fd >= 0 && !ftruncate(fd, 0));
	REQUIRE(pwrite(fd, data, size, 0) == (ssize_t)size);
	ret = vmdk_check_sparse(fd, 16, consume, &sum, &result);
	if (ret) {
		REQUIRE(ret == -EOPNOTSUPP);
		return;
	}
	REQUIRE((result.notes | result.leaks | result.benign | result.corrupt) ?
		sum : !sum);
	even_out(fd, &result);
}

static void make_base(struct mk_image *m, uint8_t kind)
{
	struct mk_options opt = {
		.capacity = kind & 2 ? 4099 : 700, .grain = kind & 4 ? 8 : 16,
		.gtes = kind & 8 ? 128 : 512, .flags = kind & 16 ? 4 : 0,
		.tables = kind & 32 ? MK_TABLES_LAZY : MK_TABLES_FRONT,
		.one_copy = (kind & 0xc0) == 0xc0,
	};

	mk_create(m, &opt);
	mk_map(m, 0, 1);
	mk_map(m, 1, 2);
	mk_map(m, 40, 3);
}

/* Half of the places are among the metadata's first, where it matters. */
static void damage(struct mk_image *m, const uint8_t *data, size_t size)
{
	for (; size >= 10; data += 10, size -= 10) {
		unsigned int width = 1U << (data[0] & 3);
		u64 where = data[1] | (u64)data[2] << 8 | (u64)data[3] << 16;
		u64 value;

		memcpy(&value, data + 2, sizeof(value));
		if (data[0] & 4)
			where = where % 32 * 4 + m->gd[data[0] >> 3 & 1] * 512;
		if (data[0] & 16)
			value = (value >> 16) % 64 * m->opt.grain;
		if (data[0] & 32)
			where = where % 64 * 4 +
				mk_get(m, m->gd[data[0] >> 3 & 1] * 512, 4) * 512;
		if (where + width <= m->size)
			mk_put(m, where, width, value >> (data[0] & 16 ? 0 : 16));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mk_image m;

	if (!size)
		return 0;
	if (!(data[0] & 1)) {
		format(data + 1, size - 1, size - 1);
		format(data + 1, size - 1, (u64)data[0] << 33);
		check(data + 1, size - 1);
		return 0;
	}
	make_base(&m, data[0]);
	damage(&m, data + 1, size - 1);
	format(m.bytes, m.size, m.size);
	check(m.bytes, m.size);
	mk_free(&m);
	return 0;
}
