/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Compressed sparse images made in memory: streamOptimized in the shapes that
 * its writers give it, sound or damaged as a test wants them.  Written from the
 * format's description alone, as mkvmdk.h.
 */
#ifndef MKSTREAM_H
#define MKSTREAM_H

#include "mkvmdk.h"

/* Where the directory is. */
enum mks_place {
	MKS_FOOTER,	/* behind the grains; only a footer says where (VMware) */
	MKS_BEHIND,	/* so too, and the header says it also (vmdktool) */
	MKS_FRONT,	/* in front of the grains, and no footer (qemu) */
};

/* Bits of mks_options.flags. */
#define MKS_NO_MARKERS	(1U << 0)	/* grains have a 32-bit length only */
#define MKS_RGD		(1U << 1)	/* a redundant directory, with tables */
#define MKS_PROGRESS	(1U << 2)	/* markers that a reader has to skip */
#define MKS_SHORT_LAST	(1U << 3)	/* the last grain ends with the disk */
#define MKS_STORED	(1U << 4)	/* deflate without compression */
#define MKS_CUT		(1U << 5)	/* the file ends behind the footer */

/* Members left 0 mean what their comment says. */
struct mks_options {
	uint64_t capacity;	/* sectors; 0: 1 MiB */
	uint64_t grain;		/* sectors; 0: 128 */
	uint32_t gtes;		/* entries per table; 0: 512 */
	uint32_t version;	/* 0: 3 */
	uint32_t desc_sectors;	/* 0: 2 */
	enum mks_place place;
	uint32_t flags;		/* MKS_* */
	size_t pad;		/* bytes of 0xa5 behind the end */
};

struct mks_image {
	struct mk_image image;	/* mk_gde(), mk_gte() once it is finished */
	struct mks_options opt;	/* with the defaults filled in */
	uint32_t *entries;	/* of every grain */
	uint64_t grains;
	uint64_t footer;	/* byte; its marker is the sector in front */
	uint64_t gd_marker;	/* byte */
};

/* How a grain is wrong; the numbers are those of the classes of damage. */
enum mks_damage {
	MKS_SOUND,
	MKS_WRONG_LBA,		/* C1 */
	MKS_SIZE_ZERO,		/* C2 */
	MKS_SIZE_MOST,		/* C2: 2^32 - 1 */
	MKS_SIZE_PAST_END,	/* C2: to behind the end of a file of its own */
	MKS_SHORT,		/* C3: inflates to a sector less */
	MKS_LONG,		/* C3: to one byte more */
	MKS_BOMB,		/* C3: to 256 grains */
	MKS_BAD_HEADER,		/* C4 */
	MKS_DICTIONARY,		/* C4: wants a preset dictionary */
	MKS_BAD_SUM,		/* C4 */
	MKS_RAW_DEFLATE,	/* C4: RFC 1951 */
	MKS_JUNK,		/* C4: bytes behind the zlib stream */
	MKS_BAD_BITS,		/* C4: an error in the middle */
	MKS_NR_DAMAGES,
};

extern const char *const mks_damage_names[MKS_NR_DAMAGES];

/* All of them abort when memory runs out: this is for tests. */
void mks_create(struct mks_image *m, const struct mks_options *opt);
void mks_free(struct mks_image *m);

/* Append a grain with a whole grain of bytes at @data, and enter it. */
void mks_grain(struct mks_image *m, uint64_t grain, const uint8_t *data);
void mks_damaged_grain(struct mks_image *m, uint64_t grain, const uint8_t *data,
		       enum mks_damage damage);
/* Append a block with any sizes and bytes; the caller enters it. */
uint32_t mks_block(struct mks_image *m, uint64_t lba, uint32_t said,
		   const uint8_t *bytes, size_t size);
/* Append a marker that fills a sector, and @value sectors of 0x5a. */
void mks_marker(struct mks_image *m, uint32_t type, uint64_t value);
/* Tables, directories, footer, end of stream. */
void mks_finish(struct mks_image *m);

/* Byte of a grain's marker (or length). */
uint64_t mks_at(const struct mks_image *m, uint64_t grain);

#endif
