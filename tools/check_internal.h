/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What check.c (header, space) and check_tables.c (directories, tables) share.
 */
#ifndef VMDK_CHECK_INTERNAL_H
#define VMDK_CHECK_INTERNAL_H

#include "check.h"
#include "grain_tables.h"

#define VMDK_WORD_BITS	64

struct vmdk_check {
	struct vmdk_tables t;
	struct vmdk_check_result *result;
	uint64_t max_findings;
	vmdk_finding_fn fn;
	void *arg;
	u64 areas;		/* grain-sized areas of the file in reach */
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

/* The grain-sized area of the file that @sector lies in. */
static inline u64 vmdk_area(const struct vmdk_check *c, u64 sector)
{
	return sector >> c->t.geo.grain_shift;
}

bool vmdk_check_counted(struct vmdk_check *c, enum vmdk_severity severity);
int vmdk_check_directories(struct vmdk_check *c);
int vmdk_check_tables(struct vmdk_check *c);

#endif
