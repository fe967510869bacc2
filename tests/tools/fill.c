// SPDX-License-Identifier: GPL-2.0
/*
 * fill - write to a disk until its image has no space, and again when it has.
 *
 * usage: fill DEVICE SEED ROUNDS FILLER
 *
 * FILLER is a file on the file system of the image: before each round it takes
 * a part of the space.  Each round writes at random until "no space" is said,
 * then compares the whole disk with a model in memory: of a write that failed,
 * each sector is old or new; everything else is as written.  Then FILLER goes,
 * and writing has to work again.
 */
#define _GNU_SOURCE	/* O_DIRECT */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <linux/fs.h>

#define SECTOR		512
#define MAX_WRITE	256	/* sectors */
#define MAX_WRITES	100000
#define GRAIN		65536ULL	/* as qemu-img makes them */

static uint64_t state;
static const char *device;
static int disk;
static uint64_t sectors;
static uint8_t *model, *content, *data;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "fill: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t below(uint64_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 11) % n;
}

static uint8_t *allocate(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("memory");
	return p;
}

/* Every write says when and where, in each of its sectors. */
static void make_data(uint64_t first, uint64_t count)
{
	static uint64_t serial;
	uint64_t i, j;

	serial++;
	for (i = 0; i < count; i++)
		for (j = 0; j < SECTOR / 16; j++) {
			uint64_t stamp[2] = { first + i, serial };

			memcpy(data + i * SECTOR + j * 16, stamp, 16);
		}
}

static void read_disk(void)
{
	uint64_t pos = 0, bytes = sectors * SECTOR;
	ssize_t n;

	while (pos < bytes) {
		n = pread(disk, content + pos, bytes - pos, pos);
		if (n <= 0)
			die("a read failed");
		pos += n;
	}
}

static void verify(const char *when)
{
	uint64_t i;

	read_disk();
	for (i = 0; i < sectors; i++) {
		if (!memcmp(content + i * SECTOR, model + i * SECTOR, SECTOR))
			continue;
		fprintf(stderr, "fill: %s: sector %llu is wrong\n", when,
			(unsigned long long)i);
		exit(1);
	}
}

/* A write that failed: each of its sectors is what it was, or what was written. */
static void settle(uint64_t first, uint64_t count)
{
	uint64_t i;

	read_disk();
	for (i = 0; i < count; i++) {
		uint8_t *is = content + (first + i) * SECTOR;
		uint8_t *was = model + (first + i) * SECTOR;

		if (!memcmp(is, data + i * SECTOR, SECTOR))
			memcpy(was, is, SECTOR);
		else if (memcmp(is, was, SECTOR))
			die("a sector of a failed write is neither old nor new");
	}
}

/* Returns 0, or the error. */
static int write_once(void)
{
	uint64_t count = 1 + below(MAX_WRITE);
	uint64_t first = below(sectors - count);
	size_t bytes = count * SECTOR;
	ssize_t n;

	make_data(first, count);
	n = pwrite(disk, data, bytes, first * SECTOR);
	if (n == (ssize_t)bytes) {
		memcpy(model + first * SECTOR, data, bytes);
		return 0;
	}
	if (n >= 0)
		errno = ENOSPC;
	n = errno;
	settle(first, count);
	return n;
}

/* What a discard leaves is known for whole grains: here it is always some. */
static void discard(uint64_t first, uint64_t bytes)
{
	uint64_t range[2] = { first, bytes };

	if (ioctl(disk, BLKDISCARD, range))
		die("discard");
	memset(model + first, 0, bytes);
}

static void discard_some(void)
{
	uint64_t bytes = sectors * SECTOR;

	discard((below(bytes / 2)) & ~(GRAIN - 1), (bytes / 4) & ~(GRAIN - 1));
}

static void take_space(const char *filler)
{
	struct statvfs fs;
	uint64_t free_bytes;
	int fd = open(filler, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || fstatvfs(fd, &fs))
		die(filler);
	free_bytes = (uint64_t)fs.f_bavail * fs.f_bsize;
	/* Leave something: up to two MiB. */
	if (free_bytes > (2 << 20))
		free_bytes -= below(2 << 20);
	else
		free_bytes = below(free_bytes + 1);
	if (free_bytes && posix_fallocate(fd, 0, free_bytes) &&
	    errno && errno != ENOSPC)
		die(filler);
	close(fd);
}

static bool fill_up(void)
{
	int i, ret;

	for (i = 0; i < MAX_WRITES; i++) {
		ret = write_once();
		if (ret == ENOSPC)
			return true;
		if (ret) {
			errno = ret;
			die("expected no space left");
		}
	}
	return false;
}

static void play_round(const char *filler)
{
	int i;

	take_space(filler);
	if (!fill_up()) {
		errno = 0;
		die("never full");
	}
	verify("full");
	/* What is there may be overwritten; and there is no space still. */
	for (i = 0; i < 3; i++)
		write_once();
	verify("full, and written to");
	if (unlink(filler))
		die(filler);
	if (below(2))
		discard_some();
	for (i = 0; i < 3; i++) {
		errno = write_once();
		if (errno)
			die("there is space again, but a write fails");
	}
	if (fsync(disk))
		die("there is space again, but a flush fails");
	verify("with space again");
	discard(0, sectors * SECTOR);
	if (fsync(disk))
		die("a flush fails after a discard");
	verify("discarded");
}

int main(int argc, char **argv)
{
	uint64_t bytes;
	int rounds;

	if (argc != 5) {
		fputs("usage: fill DEVICE SEED ROUNDS FILLER\n", stderr);
		return 2;
	}
	device = argv[1];
	state = strtoull(argv[2], NULL, 0) * 0x9e3779b97f4a7c15ULL + 1;
	disk = open(device, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (disk < 0 || ioctl(disk, BLKGETSIZE64, &bytes))
		die(device);
	sectors = bytes / SECTOR;
	model = allocate(bytes);
	content = allocate(bytes);
	data = allocate(MAX_WRITE * SECTOR);
	read_disk();
	memcpy(model, content, bytes);
	for (rounds = atoi(argv[3]); rounds; rounds--)
		play_round(argv[4]);
	return 0;
}
