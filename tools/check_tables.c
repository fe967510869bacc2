// SPDX-License-Identifier: GPL-2.0
/*
 * All directories and tables of an extent, against each other.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_internal.h"

/* The entries of one grain in both copies. */
struct pair {
	u32 table, slot;
	u64 grain;
	bool has[VMDK_COPIES];	/* there is such a table */
	u32 entry[VMDK_COPIES];
};

static const char *directory_name(unsigned int copy)
{
	return copy == VMDK_PRIMARY ? "grain directory" : "redundant directory";
}

static const char *copy_name(unsigned int copy)
{
	return copy == VMDK_PRIMARY ? "primary" : "redundant";
}

static u64 gde_offset(const struct vmdk_check *c, unsigned int copy, u32 slot)
{
	return (vmdk_tables_directory(&c->t, copy) << VMDK_SECTOR_SHIFT) +
	       slot * (u64)sizeof(u32);
}

static u64 gte_offset(const struct vmdk_check *c, unsigned int copy,
		      const struct pair *p)
{
	return ((u64)c->t.gd[copy][p->table] << VMDK_SECTOR_SHIFT) +
	       p->slot * (u64)sizeof(u32);
}

/* ---- directories ---- */

static void report_gde(struct vmdk_check *c, enum vmdk_severity severity,
		       unsigned int copy, u32 slot, const char *fault,
		       const char *expected)
{
	struct vmdk_finding f = {
		.severity = severity,
		.structure = directory_name(copy),
		.offset = gde_offset(c, copy, slot),
	};
	u32 gde = c->t.gd[copy][slot];

	snprintf(f.found, sizeof(f.found), "%u", gde);
	snprintf(f.expected, sizeof(f.expected), "%s", expected);
	if (gde)
		snprintf(f.text, sizeof(f.text),
			 "entry %u: the table at sector %u %s", slot, gde, fault);
	else
		snprintf(f.text, sizeof(f.text), "entry %u: %s", slot, fault);
	c->fn(&f, c->arg);
}

/*
 * How bad is entry @slot, which is at fault?  vmdktool writes one more than the
 * disk has tables, which harms nobody in a disk that is only read.  A resize that
 * did not come to its end leaves any number, which the next attach clears.
 */
static enum vmdk_severity surplus_severity(const struct vmdk_check *c, u32 slot)
{
	return slot >= c->t.geo.gd_entries &&
	       (c->format->length || c->t.geo.unclean) ?
	       VMDK_CHECK_NOTE : VMDK_CHECK_CORRUPT;
}

static void check_slots(struct vmdk_check *c, unsigned int copy)
{
	const struct vmdk_geometry *geo = &c->t.geo;
	enum vmdk_severity severity;
	char expected[64];
	u32 i;

	snprintf(expected, sizeof(expected),
		 "0, or %u free sectors below %llu", geo->gt_sectors,
		 (unsigned long long)c->t.whole_sectors);
	for (i = 0; i < c->t.gd_slots; i++) {
		u32 gde = c->t.gd[copy][i];
		const char *fault = i < geo->gd_entries ?
			vmdk_gde_fault(geo, gde, c->t.whole_sectors) :
			gde ? "is for grains behind the end of the disk" : NULL;

		if (!fault)
			continue;
		vmdk_map_set(c->unread[copy], i);
		severity = surplus_severity(c, i);
		if (vmdk_check_counted(c, severity))
			report_gde(c, severity, copy, i, fault,
				   i < geo->gd_entries ? expected : "0");
	}
}

/* Is there a table that can be read? */
static bool has_table(const struct vmdk_check *c, unsigned int copy, u32 slot)
{
	return copy < c->t.copies && c->t.gd[copy][slot] &&
	       !vmdk_map_test(c->unread[copy], slot);
}

/* A table with its owner, so that sorting by number sorts by place. */
static u64 owner_key(u32 gde, u32 slot, unsigned int copy)
{
	return (u64)gde << 32 | slot << 1 | copy;
}

static u32 key_sector(u64 key)
{
	return key >> 32;
}

static u32 key_slot(u64 key)
{
	return (u32)key >> 1;
}

static unsigned int key_copy(u64 key)
{
	return key & 1;
}

static int compare_keys(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

static size_t collect_owners(const struct vmdk_check *c, u64 *keys)
{
	size_t n = 0;
	unsigned int copy;
	u32 i;

	for (i = 0; i < c->t.geo.gd_entries; i++) {
		for (copy = 0; copy < c->t.copies; copy++) {
			if (!has_table(c, copy, i))
				continue;
			if (keys)
				keys[n] = owner_key(c->t.gd[copy][i], i, copy);
			n++;
		}
	}
	return n;
}

static void report_overlap(struct vmdk_check *c, u64 key, u64 other)
{
	char fault[96];

	if (!vmdk_check_counted(c, VMDK_CHECK_CORRUPT))
		return;
	snprintf(fault, sizeof(fault), "overlaps that of entry %u of the %s",
		 key_slot(other), directory_name(key_copy(other)));
	report_gde(c, VMDK_CHECK_CORRUPT, key_copy(key), key_slot(key), fault,
		   "a table of its own");
}

/* Of tables that share a sector only the first, by place and number, is read. */
static int check_overlaps(struct vmdk_check *c)
{
	size_t n = collect_owners(c, NULL), i, good = 0;
	u64 *keys = n ? malloc(n * sizeof(*keys)) : NULL;

	if (!keys)
		return n ? -ENOMEM : 0;
	collect_owners(c, keys);
	qsort(keys, n, sizeof(*keys), compare_keys);
	for (i = 1; i < n; i++) {
		if (key_sector(keys[i]) - key_sector(keys[good]) >=
		    c->t.geo.gt_sectors) {
			good = i;
			continue;
		}
		vmdk_map_set(c->unread[key_copy(keys[i])], key_slot(keys[i]));
		report_overlap(c, keys[i], keys[good]);
	}
	free(keys);
	return 0;
}

/* A commit that made tables may have reached one directory only. */
static void check_lone_tables(struct vmdk_check *c)
{
	u32 i;

	for (i = 0; i < c->t.geo.gd_entries && c->t.copies == 2; i++) {
		bool primary = has_table(c, VMDK_PRIMARY, i);
		unsigned int lacks = primary ? VMDK_REDUNDANT : VMDK_PRIMARY;
		char expected[64];

		if (primary == has_table(c, VMDK_REDUNDANT, i) ||
		    c->t.gd[lacks][i] ||
		    !vmdk_check_counted(c, VMDK_CHECK_BENIGN))
			continue;
		snprintf(expected, sizeof(expected), "a table as the %s copy has",
			 copy_name(!lacks));
		report_gde(c, VMDK_CHECK_BENIGN, lacks, i,
			   "no table, but the other copy has one", expected);
	}
}

static void mark_tables(struct vmdk_check *c, unsigned int copy)
{
	u32 i;

	for (i = 0; i < c->t.geo.gd_entries; i++) {
		u64 first = c->t.gd[copy][i];
		u64 last = vmdk_area(c, first + c->t.geo.gt_sectors - 1);
		u64 area;

		if (!has_table(c, copy, i))
			continue;
		for (area = vmdk_area(c, first);
		     area <= last && area < c->areas; area++)
			vmdk_map_set(c->tables, area);
	}
}

/* Those behind overHead are as much in use as tables are. */
static void mark_directory(struct vmdk_check *c, unsigned int copy)
{
	u64 first = vmdk_tables_directory(&c->t, copy), area;

	if (first < c->t.geo.overhead)
		return;
	for (area = vmdk_area(c, first); area < c->areas &&
	     area <= vmdk_area(c, first + c->t.geo.gd_sectors - 1); area++)
		vmdk_map_set(c->tables, area);
}

/**
 * vmdk_check_directories - check the entries of both directories
 * @c: the check
 *
 * Afterwards @c->unread tells which tables must not be read, and @c->tables
 * where the others lie.
 *
 * Return: 0 or -errno.
 */
int vmdk_check_directories(struct vmdk_check *c)
{
	unsigned int copy;
	int ret;

	for (copy = 0; copy < c->t.copies; copy++)
		check_slots(c, copy);
	ret = check_overlaps(c);
	if (ret)
		return ret;
	check_lone_tables(c);
	for (copy = 0; copy < c->t.copies; copy++) {
		mark_directory(c, copy);
		mark_tables(c, copy);
	}
	return 0;
}

/* ---- tables ---- */

static void report_gte(struct vmdk_check *c, enum vmdk_severity severity,
		       unsigned int copy, const struct pair *p,
		       const char *fault, const char *expected)
{
	char name[40];
	struct vmdk_finding f = {
		.severity = severity,
		.structure = name,
		.offset = gte_offset(c, copy, p),
	};

	snprintf(name, sizeof(name), "%sgrain table %u",
		 copy == VMDK_PRIMARY ? "" : "redundant ", p->table);
	snprintf(f.found, sizeof(f.found), "%u", p->entry[copy]);
	snprintf(f.expected, sizeof(f.expected), "%s", expected);
	snprintf(f.text, sizeof(f.text), "entry %u (grain %llu) %s", p->slot,
		 (unsigned long long)p->grain, fault);
	c->fn(&f, c->arg);
}

static bool is_grain(u32 entry)
{
	return entry != VMDK_GTE_ABSENT && entry != VMDK_GTE_ZERO;
}

static void report_entry(struct vmdk_check *c, unsigned int copy,
			 const struct pair *p, const char *fault)
{
	const struct vmdk_geometry *geo = &c->t.geo;
	char expected[64] = "0";

	if (!vmdk_check_counted(c, VMDK_CHECK_CORRUPT))
		return;
	if (p->grain < vmdk_grains(geo))
		snprintf(expected, sizeof(expected),
			 "%s, or a free multiple of %u from %llu to %llu",
			 geo->flags & VMDK_FLAG_ZEROED ? "0, 1" : "0",
			 c->format->aligned ? geo->grain_sectors : 1,
			 (unsigned long long)geo->overhead,
			 (unsigned long long)c->t.file_sectors);
	report_gte(c, VMDK_CHECK_CORRUPT, copy, p, fault, expected);
}

/* Is one of the areas from @sector on marked in @map? */
static bool is_marked(const struct vmdk_check *c, const u64 *map, u64 sector,
		      u32 sectors)
{
	u64 area, last = vmdk_area(c, sector + sectors - 1);

	for (area = vmdk_area(c, sector); area <= last && area < c->areas; area++)
		if (vmdk_map_test(map, area))
			return true;
	return false;
}

static void mark(const struct vmdk_check *c, u64 *map, u64 sector, u32 sectors)
{
	u64 area, last = vmdk_area(c, sector + sectors - 1);

	for (area = vmdk_area(c, sector); area <= last && area < c->areas; area++)
		vmdk_map_set(map, area);
}

/* The sectors of a grain, as far as that is known without reading it. */
static u32 least_length(const struct vmdk_check *c, u64 grain)
{
	if (c->format->length)
		return 1;
	return c->format->aligned ? c->t.geo.grain_sectors :
				    vmdk_grain_valid(&c->t.geo, grain);
}

/* The fault of one copy's entry alone is reported here.  True when it has none. */
static bool check_entry(struct vmdk_check *c, unsigned int copy,
			const struct pair *p)
{
	u32 entry = p->entry[copy];
	const char *fault = c->format->gte_fault(&c->t.geo, p->grain, entry,
						 c->t.file_sectors);

	if (!fault && is_grain(entry) &&
	    is_marked(c, c->tables, entry, least_length(c, p->grain)))
		fault = "points to a grain that a grain table lies on";
	if (fault)
		report_entry(c, copy, p, fault);
	return !fault;
}

/*
 * Two valid entries that differ.  A commit writes one copy after the other, so
 * one of them may be ahead; but it never moves a grain from one place to another.
 */
static void compare_copies(struct vmdk_check *c, const struct pair *p)
{
	const u32 *e = p->entry;
	bool moved = is_grain(e[VMDK_PRIMARY]) && is_grain(e[VMDK_REDUNDANT]);
	enum vmdk_severity severity = moved ? VMDK_CHECK_CORRUPT :
					      VMDK_CHECK_BENIGN;
	unsigned int wrong = !moved && e[VMDK_PRIMARY] < e[VMDK_REDUNDANT] ?
			     VMDK_PRIMARY : VMDK_REDUNDANT;
	char expected[64], fault[64];

	if (!vmdk_check_counted(c, severity))
		return;
	snprintf(expected, sizeof(expected), "%u, as the %s copy has",
		 e[!wrong], copy_name(!wrong));
	snprintf(fault, sizeof(fault), "is %u, but %u in the %s copy",
		 e[wrong], e[!wrong], copy_name(!wrong));
	report_gte(c, severity, wrong, p, fault, expected);
}

static void report_data(struct vmdk_check *c, const struct pair *p,
			const struct vmdk_fault *fault)
{
	const char *colon = strstr(fault->text, ": ");
	char name[40];
	struct vmdk_finding f = {
		.severity = VMDK_CHECK_CORRUPT,
		.structure = name,
		.offset = fault->offset,
		.expected = "a sound grain",
	};

	if (!vmdk_check_counted(c, VMDK_CHECK_CORRUPT))
		return;
	snprintf(name, sizeof(name), "grain %llu", (unsigned long long)p->grain);
	snprintf(f.found, sizeof(f.found), "damage");
	snprintf(f.text, sizeof(f.text), "%s", colon ? colon + 2 : fault->text);
	c->fn(&f, c->arg);
}

/* Sectors of the grain that @copy has; 0 when its data is damaged. */
static u32 grain_length(struct vmdk_check *c, unsigned int copy,
			const struct pair *p)
{
	struct vmdk_fault fault;
	u32 sectors;
	int ret;

	if (!c->format->length)
		return least_length(c, p->grain);
	ret = c->format->length(c, p->grain, p->entry[copy], &sectors, &fault);
	if (!ret)
		return sectors;
	if (ret == -EINVAL)
		report_data(c, p, &fault);
	else
		c->error = ret;
	return 0;
}

static void claim_grain(struct vmdk_check *c, unsigned int copy,
			const struct pair *p)
{
	u32 entry = p->entry[copy], sectors = least_length(c, p->grain);

	/* what is another's is not inflated again */
	if (!is_marked(c, c->grains, entry, sectors))
		sectors = grain_length(c, copy, p);
	if (!sectors)
		return;
	if (is_marked(c, c->grains, entry, sectors) &&
	    vmdk_check_counted(c, VMDK_CHECK_CORRUPT))
		report_gte(c, VMDK_CHECK_CORRUPT, copy, p,
			   "points to a grain that an earlier entry has",
			   "a grain of its own");
	mark(c, c->grains, entry, sectors);
}

static void check_pair(struct vmdk_check *c, const struct pair *p)
{
	bool same = p->has[VMDK_PRIMARY] && p->has[VMDK_REDUNDANT] &&
		    p->entry[VMDK_PRIMARY] == p->entry[VMDK_REDUNDANT];
	bool valid[VMDK_COPIES], grain = false, zero = false;
	unsigned int copy;

	for (copy = 0; copy < VMDK_COPIES; copy++)
		valid[copy] = p->has[copy] && check_entry(c, copy, p);
	if (valid[VMDK_PRIMARY] && valid[VMDK_REDUNDANT] && !same)
		compare_copies(c, p);
	for (copy = 0; copy < VMDK_COPIES; copy++) {
		if (!valid[copy])
			continue;
		zero |= p->entry[copy] == VMDK_GTE_ZERO;
		if (!is_grain(p->entry[copy]))
			continue;
		if (!(grain && same))
			claim_grain(c, copy, p);
		grain = true;
	}
	c->result->grains_allocated += grain;
	c->result->grains_zeroed += zero && !grain;
}

/* Most tables of a large disk are; comparing one with itself, shifted, is quick. */
static bool is_empty(const struct vmdk_check *c, const __le32 *table)
{
	return !table || (!table[0] &&
			  !memcmp(table, table + 1, (c->t.geo.gt_entries - 1) *
						    sizeof(*table)));
}

static int check_table(struct vmdk_check *c, u32 index)
{
	const __le32 *table[VMDK_COPIES] = { NULL, NULL };
	struct pair p = { .table = index };
	unsigned int copy;
	int ret;

	for (copy = 0; copy < c->t.copies; copy++) {
		p.has[copy] = has_table(c, copy, index);
		if (!p.has[copy])
			continue;
		ret = vmdk_tables_get(&c->t, copy, index, &table[copy]);
		if (ret)
			return ret;
	}
	if (is_empty(c, table[VMDK_PRIMARY]) &&
	    is_empty(c, table[VMDK_REDUNDANT]))
		return 0;
	p.grain = (u64)index << c->t.geo.gt_shift;
	for (; p.slot < c->t.geo.gt_entries && !c->error; p.slot++, p.grain++) {
		for (copy = 0; copy < VMDK_COPIES; copy++)
			p.entry[copy] = table[copy] ?
				le32_to_cpu(table[copy][p.slot]) : 0;
		if (p.entry[VMDK_PRIMARY] || p.entry[VMDK_REDUNDANT])
			check_pair(c, &p);
	}
	return c->error;
}

/**
 * vmdk_check_tables - check the entries of all tables that can be read
 * @c: the check, after vmdk_check_directories()
 *
 * Afterwards @c->grains tells where grains lie.
 *
 * Return: 0 or -errno.
 */
int vmdk_check_tables(struct vmdk_check *c)
{
	int ret = 0;
	u32 i;

	for (i = 0; i < c->t.geo.gd_entries && !ret; i++)
		if (has_table(c, VMDK_PRIMARY, i) ||
		    has_table(c, VMDK_REDUNDANT, i))
			ret = check_table(c, i);
	return ret;
}

