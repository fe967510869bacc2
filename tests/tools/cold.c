// SPDX-License-Identifier: GPL-2.0
/*
 * What is on a disk whose files fail: not what the page cache has of them.
 *
 *	cold forget FOLDER
 *		the page cache loses what it has of FOLDER's files, over and over,
 *		until this is killed; what is dirty begins to be written
 *	cold read DEVICE COPY
 *		COPY gets what can be read of DEVICE, around the page cache, and
 *		sectors with a stamp of their own for what cannot; prints how many
 *		those are
 */
#define _GNU_SOURCE	/* O_DIRECT */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stamp.h"

#define PIECE		65536
#define SMALL_PIECE	4096
#define SPLITS		16	/* pieces that are read again in smaller ones */
#define PAUSE		20000	/* us */

/* ---- forget ---- */

static void forget_file(int folder, const char *name)
{
	int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return;
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
}

/* Where files cannot be opened any more, there is nothing to forget. */
static int do_forget(const char *path)
{
	DIR *folder = opendir(path);
	struct dirent *entry;

	if (!folder)
		err(2, "%s", path);
	for (;;) {
		while ((entry = readdir(folder)))
			if (entry->d_type == DT_REG)
				forget_file(dirfd(folder), entry->d_name);
		rewinddir(folder);
		usleep(PAUSE);
	}
}

/* ---- read ---- */

static int device, copy;
static uint64_t unread;
static unsigned int splits;

static void put(const void *buf, size_t bytes, off_t pos)
{
	if (pwrite(copy, buf, bytes, pos) != (ssize_t)bytes)
		err(2, "write");
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* A large piece that cannot be read as a whole may be readable in parts. */
static void read_piece(uint8_t *buf, size_t bytes, off_t pos)
{
	size_t at;

	if (pread(device, buf, bytes, pos) == (ssize_t)bytes) {
		put(buf, bytes, pos);
	} else if (bytes > SMALL_PIECE && splits++ < SPLITS) {
		for (at = 0; at < bytes; at += SMALL_PIECE)
			read_piece(buf, smaller(bytes - at, SMALL_PIECE), pos + at);
	} else {
		stamp_unread(buf, bytes / STAMP_SECTOR);
		put(buf, bytes, pos);
		unread += bytes / STAMP_SECTOR;
	}
}

static int do_read(const char *from, const char *to)
{
	uint8_t *buf = aligned_alloc(4096, PIECE);
	off_t pos, size;

	device = open(from, O_RDONLY | O_DIRECT | O_CLOEXEC);
	copy = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (!buf || device < 0 || copy < 0)
		err(2, "%s, %s", from, to);
	size = lseek(device, 0, SEEK_END);
	for (pos = 0; pos < size; pos += PIECE)
		read_piece(buf, smaller(size - pos, PIECE), pos);
	if (close(copy))
		err(2, "%s", to);
	printf("%llu\n", (unsigned long long)unread);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "forget"))
		return do_forget(argv[2]);
	if (argc == 4 && !strcmp(argv[1], "read"))
		return do_read(argv[2], argv[3]);
	fprintf(stderr, "cold: wrong arguments; see the head of the source\n");
	return 2;
}
