/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What check.c (header, space), check_tables.c (directories, tables) and
 * check_stream.c (compressed grains) share.
 */
#ifndef VMDK_CHECK_INTERNAL_H
#define VMDK_CHECK_INTERNAL_H

#include "check.h"
#include "grain_tables.h"

#define VMDK_WORD_BITS	64

struct vmdk_check;

/**
 * struct vmdk_check_format - what differs between formats that have tables
 * @gte_fault: is an entry valid?
 * @aligned: grains lie at multiples of their size
 * @length: sectors that a grain takes in the file, once its data was verified;
 *	sets the fault and returns -EINVAL when the data is damaged, or returns
 *	another -errno; NULL: grains have no data of their own to verify
 */
struct vmdk_check_format {
	const char *(*gte_fault)(const struct vmdk_geometry *geo, u64 grain,
				 u32 gte, u64 file_sectors);
	bool aligned;
	int (*length)(struct vmdk_check *c, u64 grain, u32 entry, u32 *sectors,
		      struct vmdk_fault *fault);
};

struct vmdk_inflate;

struct vmdk_check {
	struct vmdk_tables t;
	const struct vmdk_check_format *format;
	struct vmdk_inflate *inflate;	/* check_stream.c */
	int error;			/* why the check cannot go on, or 0 */
	u64 unclean_at;			/* byte of the flag */
	unsigned int unclean_bytes;	/* and its size */
	struct vmdk_check_result *result;
	uint64_t max_findings;
	vmdk_finding_fn fn;
	void *arg;
	unsigned int shift;	/* an area of the file has 1 << shift sectors */
	u64 areas;		/* areas in reach of an entry */
	u64 *grains;		/* bit per area: an entry maps it */
	u64 *tables;		/* bit per area: a table lies on it */
	u64 *unread[VMDK_COPIES]; /* bit per directory slot: at fault */
};

static inline bool vmdk_map_test(const u64 *map, u64 bit)
{
	return map[bit / VMDK_WORD_BITS] >> (bit % VMDK_WORD_BITS) & 1;
}

static inline void vmdk_map_set(u64 *map, u64 bit)
{
	map[bit / VMDK_WORD_BITS] |= 1ULL << (bit % VMDK_WORD_BITS);
}

/* The area of the file that @sector lies in. */
static inline u64 vmdk_area(const struct vmdk_check *c, u64 sector)
{
	return sector >> c->shift;
}

extern const struct vmdk_check_format vmdk_check_format_stream;

int vmdk_inflate_new(struct vmdk_inflate **inflate);
void vmdk_inflate_free(struct vmdk_inflate *inflate);
bool vmdk_check_counted(struct vmdk_check *c, enum vmdk_severity severity);
int vmdk_check_directories(struct vmdk_check *c);
int vmdk_check_tables(struct vmdk_check *c);

#endif
