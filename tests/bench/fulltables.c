// SPDX-License-Identifier: GPL-2.0
/*
 * fulltables - make an empty sparse image one whose grains are all there, in
 * order and as holes of the file: a full disk of 2 TiB in half a GiB.
 *
 * usage: fulltables FILE
 *
 * Written from the format's description alone, as mkimage is.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECTOR		512
#define MAX_GTES	4096

struct header {
	uint32_t magic, version, flags;
	uint64_t capacity, grain, descriptor, descriptor_size;
	uint32_t gtes;
	uint64_t rgd, gd, overhead;
} __attribute__((packed));

static int fd;
static struct header h;

static void check(int is_well, const char *what)
{
	if (is_well)
		return;
	fprintf(stderr, "fulltables: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void fill_table(uint64_t at, uint64_t first, uint64_t grains)
{
	uint32_t entry[MAX_GTES] = { 0 };
	uint64_t i, bytes = h.gtes * sizeof(entry[0]);

	for (i = 0; i < h.gtes && first + i < grains; i++)
		entry[i] = htole32((uint32_t)(h.overhead + (first + i) * h.grain));
	check(pwrite(fd, entry, bytes, (off_t)at) == (ssize_t)bytes, "write");
}

static void fill_directory(uint64_t at, uint64_t grains)
{
	uint64_t tables = (grains + h.gtes - 1) / h.gtes, i;
	uint32_t *gde = calloc(tables, sizeof(*gde));
	ssize_t bytes = (ssize_t)(tables * sizeof(*gde));

	check(gde && pread(fd, gde, (size_t)bytes, (off_t)(at * SECTOR)) == bytes,
	      "directory");
	for (i = 0; i < tables; i++) {
		check(gde[i] != 0, "no table");
		fill_table((uint64_t)le32toh(gde[i]) * SECTOR, i * h.gtes, grains);
	}
	free(gde);
}

int main(int argc, char **argv)
{
	uint64_t grains;

	if (argc != 2)
		return 2;
	fd = open(argv[1], O_RDWR);
	check(fd >= 0, argv[1]);
	check(pread(fd, &h, sizeof(h), 0) == sizeof(h), "header");
	errno = EINVAL;
	check(!memcmp(&h.magic, "KDMV", 4) && h.grain && h.gtes &&
	      h.gtes <= MAX_GTES, "header");
	grains = (h.capacity + h.grain - 1) / h.grain;
	check(h.overhead + grains * h.grain <= UINT32_MAX, "too large");
	fill_directory(h.rgd, grains);
	fill_directory(h.gd, grains);
	check(!ftruncate(fd, (off_t)((h.overhead + grains * h.grain) * SECTOR)),
	      "truncate");
	return 0;
}
