// SPDX-License-Identifier: GPL-2.0
/* The commands of ctl for files, which stand for programs that take long to start. */
#define _GNU_SOURCE	/* O_DIRECT, SEEK_DATA, copy_file_range */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ctl.h"

int do_poke(const char *path, int argc, char **argv)
{
	int fd = open_file(path, O_RDWR);
	uint64_t value, width;
	int i;

	for (i = 0; i + 2 < argc; i += 3) {
		width = parse_number(argv[i + 1]);
		value = parse_number(argv[i + 2]);
		if (width > sizeof(value) ||
		    pwrite(fd, &value, width, parse_number(argv[i])) !=
		    (ssize_t)width)
			die(path);
	}
	close(fd);
	puts("ok");
	return 0;
}

/* What is not there in one file is not there in the other. */
void copy_data(int from, int to, const char *path)
{
	off_t pos = 0, end = 0, size = lseek(from, 0, SEEK_END);

	if (size < 0 || ftruncate(to, size))
		die(path);
	while ((pos = lseek(from, end, SEEK_DATA)) >= 0) {
		end = lseek(from, pos, SEEK_HOLE);
		while (pos < end)
			if (copy_file_range(from, &pos, to, &(off_t){ pos },
					    end - pos, 0) <= 0)
				die(path);
	}
	if (errno != ENXIO)
		die(path);
}

int do_copy(int argc, char **argv)
{
	int from = open_file(argv[0], O_RDONLY), to;

	to = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (to < 0)
		die(argv[1]);
	copy_data(from, to, argv[1]);
	close(from);
	close(to);
	return do_poke(argv[1], argc - 2, argv + 2);
}

int do_truncate(const char *path, const char *bytes)
{
	if (truncate(path, parse_number(bytes)))
		die(path);
	puts("ok");
	return 0;
}

static bool same_bytes(int one, int other)
{
	static char a[65536], b[65536];
	ssize_t n;

	do {
		n = read(one, a, sizeof(a));
		if (n < 0 || read(other, b, sizeof(b)) != n || memcmp(a, b, n))
			return false;
	} while (n);
	return true;
}

int do_same(const char *path, const char *other_path)
{
	int fd = open_file(path, O_RDONLY), other = open_file(other_path, O_RDONLY);
	bool same = same_bytes(fd, other);

	close(fd);
	close(other);
	puts(same ? "ok" : "other bytes");
	return !same;
}

static bool all_zeros(const char *p, size_t bytes)
{
	return !*p && !memcmp(p, p + 1, bytes - 1);
}

/* A letter for what was read as compared with what was expected. */
static char judge_bytes(const char *is, ssize_t got, const char *expected, size_t bytes)
{
	if (got != (ssize_t)bytes)
		return '!';
	if (!memcmp(is, expected, bytes))
		return '=';
	return all_zeros(is, bytes) ? '.' : 'x';
}

int do_pieces(char **argv)
{
	int fd = open_file(argv[0], O_RDONLY | O_DIRECT);
	int file = open_file(argv[1], O_RDONLY);
	size_t bytes = parse_number(argv[2]);
	uint64_t i, count = parse_number(argv[3]);
	char *is = map_pages(bytes), *expected = map_pages(bytes);

	for (i = 0; i < count; i++) {
		if (pread(file, expected, bytes, i * bytes) != (ssize_t)bytes)
			die(argv[1]);
		putchar(judge_bytes(is, pread(fd, is, bytes, i * bytes), expected,
				    bytes));
	}
	putchar('\n');
	munmap(is, bytes);
	munmap(expected, bytes);
	close(fd);
	close(file);
	return 0;
}
