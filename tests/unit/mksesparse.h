/* SPDX-License-Identifier: GPL-2.0 */
/*
 * seSparse images made in memory, sound or damaged as a test wants them.
 * Written from the description of what its readers expect, as mkvmdk.h.
 */
#ifndef MKSESPARSE_H
#define MKSESPARSE_H

#include "mkvmdk.h"

#define MKSE_GRAIN	8
#define MKSE_GTES	4096

/* Byte offsets of the header's fields; a place is followed by its length. */
enum mkse_field {
	MKSE_MAGIC = 0, MKSE_VERSION = 8, MKSE_CAPACITY = 16, MKSE_GRAIN_SIZE = 24,
	MKSE_GT_SIZE = 32, MKSE_FLAGS = 40, MKSE_RESERVED = 48,
	MKSE_VOLATILE = 80, MKSE_JOURNAL_HEADER = 96, MKSE_JOURNAL = 112,
	MKSE_GD = 128, MKSE_GTS = 144, MKSE_BITMAP = 160, MKSE_BACKMAP = 176,
	MKSE_GRAINS = 192, MKSE_PAD = 208,
};

/* Byte offsets in the volatile header. */
enum mkse_volatile_field {
	MKSE_V_MAGIC = 0, MKSE_V_FREE_GT = 8, MKSE_V_SEQUENCE = 16,
	MKSE_V_REPLAY = 24, MKSE_V_PAD = 32,
};

/* What a table entry is: its top four bits. */
enum mkse_kind { MKSE_NONE, MKSE_UNMAPPED, MKSE_ZERO, MKSE_DATA };

struct mkse_image {
	struct mk_image image;
	uint64_t capacity;
	uint64_t volatile_header, gd, gts, grains;	/* sectors */
	uint32_t tables;	/* room for so many */
	uint32_t used;		/* so many are in use, the last ones first */
	uint64_t nr_grains;	/* so many were appended */
};

void mkse_create(struct mkse_image *m, uint64_t capacity);
void mkse_free(struct mkse_image *m);
void mkse_header(struct mkse_image *m, enum mkse_field field, uint64_t value);
void mkse_volatile(struct mkse_image *m, enum mkse_volatile_field field,
		   uint64_t value);

/* Byte offsets of entries; there must be a table for mkse_gte(). */
uint64_t mkse_gde(const struct mkse_image *m, uint64_t index);
uint64_t mkse_gte(const struct mkse_image *m, uint64_t grain);

/* An entry of that kind with that number. */
uint64_t mkse_value(enum mkse_kind kind, uint64_t index);
/* Enter any value, with a table if there is none. */
void mkse_entry(struct mkse_image *m, uint64_t grain, uint64_t value);
/* Append a grain of 4096 bytes and enter it; returns its number. */
uint64_t mkse_map(struct mkse_image *m, uint64_t grain, const uint8_t *data);

#endif
