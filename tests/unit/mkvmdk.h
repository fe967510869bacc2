/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Hosted sparse images made in memory, sound or damaged as a test wants them.
 *
 * Written from the format's description alone: shares no code, no structure and
 * no constant with the code under test.
 */
#ifndef MKVMDK_H
#define MKVMDK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MK_SECTOR	512

/* Byte offsets of the header's fields. */
enum mk_field {
	MK_MAGIC = 0, MK_VERSION = 4, MK_FLAGS = 8, MK_CAPACITY = 12,
	MK_GRAIN = 20, MK_DESC_OFFSET = 28, MK_DESC_SIZE = 36, MK_GTES = 44,
	MK_RGD_OFFSET = 48, MK_GD_OFFSET = 56, MK_OVERHEAD = 64,
	MK_UNCLEAN = 72, MK_NEWLINE = 73, MK_COMPRESS = 77,
};

enum mk_tables {
	MK_TABLES_FRONT,	/* all there from the start, before the grains */
	MK_TABLES_LAZY,		/* made behind overHead, with the first grain */
};

/* Members left 0 mean what their comment says. */
struct mk_options {
	uint64_t capacity;	/* sectors; 0: 1 MiB */
	uint64_t grain;		/* sectors; 0: 128 */
	uint32_t gtes;		/* entries per table; 0: 512 */
	uint32_t version;	/* 0: 1 */
	uint32_t flags;		/* besides bit 0; bit 1 comes from one_copy */
	uint32_t desc_sectors;	/* 0: 20 */
	bool one_copy;		/* no redundant directory */
	bool no_descriptor;
	enum mk_tables tables;
	const char *create_type;	/* NULL: monolithicSparse */
};

struct mk_image {
	struct mk_options opt;	/* with the defaults filled in */
	uint8_t *bytes;
	size_t size;
	uint64_t gd[2];		/* sectors; 0 primary, 1 redundant */
	uint32_t gd_entries;
	uint32_t gd_sectors, gt_sectors;
	uint64_t overhead;
};

/* All of them abort when memory runs out: this is for tests. */
void mk_create(struct mk_image *m, const struct mk_options *opt);
void mk_free(struct mk_image *m);
void mk_resize(struct mk_image *m, size_t size);

/* Read or replace a little-endian number of 1, 2, 4 or 8 bytes. */
uint64_t mk_get(const struct mk_image *m, uint64_t offset, unsigned int width);
void mk_put(struct mk_image *m, uint64_t offset, unsigned int width,
	    uint64_t value);

/* Width of a header field, and its replacement. */
unsigned int mk_width(enum mk_field field);
void mk_header(struct mk_image *m, enum mk_field field, uint64_t value);

/* Byte offset of an entry; the table must be there for mk_gte(). */
uint64_t mk_gde(const struct mk_image *m, unsigned int copy, uint32_t index);
uint64_t mk_gte(const struct mk_image *m, unsigned int copy, uint64_t grain);

/* Append a table for @index to one copy; returns its sector. */
uint32_t mk_table(struct mk_image *m, unsigned int copy, uint32_t index);
/* Set both copies' entry, or one's. */
void mk_entry(struct mk_image *m, uint64_t grain, uint32_t value);
void mk_entry_copy(struct mk_image *m, unsigned int copy, uint64_t grain,
		   uint32_t value);
/* Append a grain's worth of @fill; returns its sector. */
uint32_t mk_append(struct mk_image *m, uint8_t fill);
/* Append and enter in both copies. */
uint32_t mk_map(struct mk_image *m, uint64_t grain, uint8_t fill);

/* Both return a file descriptor: of an unlinked file in memory, or of @path. */
int mk_memfd(const struct mk_image *m);
int mk_save(const struct mk_image *m, const char *path);

#endif
