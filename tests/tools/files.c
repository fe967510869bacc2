// SPDX-License-Identifier: GPL-2.0
/*
 * Random operations on one file of a file system, checked against a model of
 * the file in memory: what a disk below loses or mixes up is seen here.
 *
 * files [--seed N] [--seconds N] [--size BYTES] FILE
 *
 * Reads and writes through the page cache, around it and through a mapping,
 * truncation, holes, zeroed ranges, allocation, fsync.  From time to time the
 * file is flushed, leaves the page cache, and is read as a whole.
 */
#define _GNU_SOURCE	/* fallocate, O_DIRECT */
#include <err.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <linux/falloc.h>

#define ALIGN		4096
#define PIECE		(256 << 10)	/* the largest operation */
#define LOOK_EVERY	300		/* operations between looks at all of it */

enum { EXIT_MISMATCH = 1, EXIT_TROUBLE = 2 };

static struct options {
	const char *path;
	uint64_t seed;
	unsigned int seconds;
	size_t size;
} opt = { .seed = 1, .seconds = 10, .size = 8 << 20 };

/* The file, two ways to it, and what it must hold. */
static int fd, direct_fd;
static uint8_t *model;
static size_t length;

static uint8_t *buffer;		/* PIECE bytes, aligned */
static uint64_t operations;
static uint64_t state;

static uint64_t pick(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return below ? state % below : 0;
}

/* Ranges are at odd bytes, or at whole pages. */
static void pick_range(size_t end, size_t align, size_t *pos, size_t *bytes)
{
	*pos = pick(end) / align * align;
	*bytes = (1 + pick(PIECE - ALIGN)) / align * align;
	if (!*bytes)
		*bytes = align;
	if (*bytes > end - *pos)
		*bytes = end - *pos;
}

static void fill(uint8_t *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		bytes[i] = pick(0) + (state >> 32) + i;
}

static void compare(const char *how, const uint8_t *bytes, size_t pos, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] == model[pos + i])
			continue;
		fprintf(stderr, "%s: byte %zu, %s, operation %llu: %02x for %02x\n",
			opt.path, pos + i, how, (unsigned long long)operations,
			bytes[i], model[pos + i]);
		exit(EXIT_MISMATCH);
	}
}

static void read_back(int from, const char *how, size_t pos, size_t bytes)
{
	ssize_t ret = pread(from, buffer, PIECE, pos);

	if (ret < 0)
		err(EXIT_TROUBLE, "%s: read at %zu, %s", opt.path, pos, how);
	if ((size_t)ret < bytes)
		errx(EXIT_MISMATCH, "%s: %zd bytes for %zu at %zu, %s",
		     opt.path, ret, bytes, pos, how);
	compare(how, buffer, pos, bytes);
}

/* What is beyond the end reads as zeros when the file gets longer. */
static void grow_to(size_t end)
{
	if (end > length)
		length = end;
}

static void write_by(int to, const char *how, size_t pos, size_t bytes)
{
	fill(buffer, bytes);
	if (pwrite(to, buffer, bytes, pos) != (ssize_t)bytes)
		err(EXIT_TROUBLE, "%s: write at %zu, %s", opt.path, pos, how);
	memcpy(model + pos, buffer, bytes);
	grow_to(pos + bytes);
}

static void do_write(void)
{
	size_t pos, bytes;

	pick_range(opt.size, 1, &pos, &bytes);
	write_by(fd, "by the page cache", pos, bytes);
}

static void do_direct_write(void)
{
	size_t pos, bytes;

	pick_range(opt.size, ALIGN, &pos, &bytes);
	write_by(direct_fd, "direct", pos, bytes);
}

static void do_read(void)
{
	size_t pos, bytes;

	pick_range(length, 1, &pos, &bytes);
	read_back(fd, "by the page cache", pos, bytes);
}

static void do_direct_read(void)
{
	size_t pos, bytes;

	pick_range(length, ALIGN, &pos, &bytes);
	read_back(direct_fd, "direct", pos, bytes);
}

static void do_map(void)
{
	size_t pos, bytes, from;
	uint8_t *map;

	pick_range(length, 1, &pos, &bytes);
	if (!bytes)
		return;
	from = pos / ALIGN * ALIGN;
	map = mmap(NULL, pos - from + bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		   fd, from);
	if (map == MAP_FAILED)
		err(EXIT_TROUBLE, "%s: mmap", opt.path);
	compare("mapped", map, from, pos - from + bytes);
	fill(model + pos, bytes);
	memcpy(map + pos - from, model + pos, bytes);
	if (munmap(map, pos - from + bytes))
		err(EXIT_TROUBLE, "%s: munmap", opt.path);
}

static void do_truncate(void)
{
	size_t end = pick(opt.size);

	if (ftruncate(fd, end))
		err(EXIT_TROUBLE, "%s: truncate to %zu", opt.path, end);
	if (end < length)
		memset(model + end, 0, length - end);
	length = end;
}

/* @zeroes: the range reads as zeros after it; else it stays what it is. */
static void allocate(int mode, bool zeroes)
{
	size_t pos, bytes;

	pick_range(opt.size, 1, &pos, &bytes);
	if (fallocate(fd, mode, pos, bytes))
		err(EXIT_TROUBLE, "%s: fallocate mode %x at %zu", opt.path, mode,
		    pos);
	if (zeroes)
		memset(model + pos, 0, bytes);
	if (!(mode & FALLOC_FL_KEEP_SIZE))
		grow_to(pos + bytes);
}

static void do_fallocate(void)
{
	switch (pick(3)) {
	case 0:
		allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, true);
		break;
	case 1:
		allocate(FALLOC_FL_ZERO_RANGE, true);
		break;
	default:
		allocate(0, false);
	}
}

static void do_sync(void)
{
	if (fsync(fd))
		err(EXIT_TROUBLE, "%s: fsync", opt.path);
}

/* All of it, from the disk. */
static void look(void)
{
	struct stat st;

	do_sync();
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	if (fstat(fd, &st))
		err(EXIT_TROUBLE, "%s", opt.path);
	if ((size_t)st.st_size != length)
		errx(EXIT_MISMATCH, "%s: %lld bytes for %zu", opt.path,
		     (long long)st.st_size, length);
	for (size_t pos = 0; pos < length; pos += PIECE)
		read_back(fd, "as a whole", pos,
			  length - pos < PIECE ? length - pos : PIECE);
}

static void operate(void)
{
	static void (*const any[])(void) = {
		do_write, do_write, do_direct_write, do_read, do_direct_read,
		do_map, do_truncate, do_fallocate, do_fallocate, do_sync,
	};

	any[pick(sizeof(any) / sizeof(any[0]))]();
	operations++;
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "seconds", required_argument, NULL, 't' },
		{ "size", required_argument, NULL, 'b' },
		{ }
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 's':
			opt.seed = strtoull(optarg, NULL, 0);
			break;
		case 't':
			opt.seconds = strtoul(optarg, NULL, 0);
			break;
		case 'b':
			opt.size = strtoull(optarg, NULL, 0) / ALIGN * ALIGN;
			break;
		default:
			exit(EXIT_TROUBLE);
		}
	}
	if (optind != argc - 1 || !opt.size)
		errx(EXIT_TROUBLE,
		     "usage: files [--seed N] [--seconds N] [--size BYTES] FILE");
	opt.path = argv[optind];
}

int main(int argc, char **argv)
{
	time_t end;

	parse(argc, argv);
	state = 0x9e3779b97f4a7c15 ^ opt.seed;
	fd = open(opt.path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	direct_fd = open(opt.path, O_RDWR | O_DIRECT);
	if (fd < 0 || direct_fd < 0)
		err(EXIT_TROUBLE, "%s", opt.path);
	model = calloc(1, opt.size + PIECE);
	buffer = aligned_alloc(ALIGN, PIECE);
	if (!model || !buffer)
		err(EXIT_TROUBLE, "memory");
	end = time(NULL) + opt.seconds;
	do {
		for (int i = 0; i < LOOK_EVERY; i++)
			operate();
		look();
	} while (time(NULL) < end);
	printf("%llu operations\n", (unsigned long long)operations);
	return EXIT_SUCCESS;
}
