/* SPDX-License-Identifier: GPL-2.0 */
/*
 * COWD images made in memory, sound or damaged as a test wants them.  Written
 * from the format's description alone, as mkvmdk.h.
 */
#ifndef MKCOWD_H
#define MKCOWD_H

#include "mkvmdk.h"

#define MKC_GTES	4096

/* Byte offsets of the header's fields, all of them 32 bits wide. */
enum mkc_field {
	MKC_MAGIC = 0, MKC_VERSION = 4, MKC_FLAGS = 8, MKC_CAPACITY = 12,
	MKC_GRAIN = 16, MKC_GD_OFFSET = 20, MKC_GD_ENTRIES = 24, MKC_FREE = 28,
	MKC_CYLINDERS = 32, MKC_HEADS = 36, MKC_SECTORS = 40,
	MKC_PARENT_GENERATION = 1056, MKC_GENERATION = 1060,
	MKC_SAVED_GENERATION = 1636, MKC_UNCLEAN = 1648,
};

/* Members left 0 mean what their comment says. */
struct mkc_options {
	uint32_t capacity;	/* sectors; 0: 4 MiB */
	uint32_t grain;		/* sectors; 0: 1 */
	uint32_t gd_offset;	/* sector; 0: 4 */
	uint32_t gd_entries;	/* 0: as many as there must be */
	bool stale_free;	/* nobody keeps freeSector, as with qemu */
};

struct mkc_image {
	struct mk_image image;	/* mk_gde(), mk_gte() with copy 0 */
	struct mkc_options opt;	/* with the defaults filled in */
};

void mkc_create(struct mkc_image *m, const struct mkc_options *opt);
void mkc_free(struct mkc_image *m);
void mkc_header(struct mkc_image *m, enum mkc_field field, uint32_t value);
/* Append a grain of bytes, a table first if there is none, and enter it. */
uint32_t mkc_map(struct mkc_image *m, uint64_t grain, const uint8_t *data);

#endif
