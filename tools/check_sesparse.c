// SPDX-License-Identifier: GPL-2.0
/*
 * The rules of `vmdkctl check` for a seSparse extent: its headers, and that no
 * table and no grain is used twice.
 *
 * One bit for each table and each grain that lies in the file is all the memory
 * that this takes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "check_internal.h"

#define GT_BYTES	(VMDK_SESPARSE_GT_ENTRIES * sizeof(__le64))
#define GD_RUN		512U	/* directory entries read at a time */

struct sesparse_check {
	struct vmdk_check c;	/* for counting and reporting */
	int fd;
	struct vmdk_sesparse_geometry geo;
	u64 *tables, *grains;	/* bit per table or grain: it is in use */
};

static void report(struct sesparse_check *s, const struct vmdk_finding *finding)
{
	if (vmdk_check_counted(&s->c, finding->severity))
		s->c.fn(finding, s->c.arg);
}

static void report_entry(struct sesparse_check *s, const char *structure,
			 u64 number, u64 offset, u64 entry, const char *text)
{
	struct vmdk_finding f = {
		.severity = VMDK_CHECK_CORRUPT,
		.structure = structure,
		.offset = offset,
		.expected = "0, or a place of its own in the file",
	};

	snprintf(f.found, sizeof(f.found), "0x%016llx",
		 (unsigned long long)entry);
	snprintf(f.text, sizeof(f.text), "entry %llu %s",
		 (unsigned long long)number, text);
	report(s, &f);
}

/* A bad header is one finding, and the only one. */
static int report_header(struct sesparse_check *s,
			 const struct vmdk_fault *fault)
{
	const char *colon = strstr(fault->text, ": ");
	struct vmdk_finding f = {
		.severity = VMDK_CHECK_CORRUPT,
		.structure = "header",
		.offset = fault->offset,
		.found = "damage",
		.expected = "a valid header",
	};

	snprintf(f.text, sizeof(f.text), "%s", colon ? colon + 2 : fault->text);
	report(s, &f);
	return -EINVAL;
}

static bool take(u64 *map, u64 bit)
{
	if (vmdk_map_test(map, bit))
		return false;
	vmdk_map_set(map, bit);
	return true;
}

static void check_gte(struct sesparse_check *s, u64 number, u64 offset, u64 gte)
{
	u64 grains = (s->geo.capacity + VMDK_SESPARSE_GRAIN - 1) /
		     VMDK_SESPARSE_GRAIN;
	u64 sector;

	if (gte && number >= grains) {
		report_entry(s, "grain table", number, offset, gte,
			     "maps a grain behind the end of the disk");
		return;
	}
	switch (vmdk_sesparse_gte(gte, &s->geo, &sector)) {
	case VMDK_SESPARSE_ABSENT:
		break;
	case VMDK_SESPARSE_ZERO:
		s->c.result->grains_zeroed++;
		break;
	case VMDK_SESPARSE_DATA:
		s->c.result->grains_allocated++;
		if (!take(s->grains, (sector - s->geo.grains) >>
				     VMDK_SESPARSE_GRAIN_SHIFT))
			report_entry(s, "grain table", number, offset, gte,
				     "points to a grain that an earlier entry has");
		break;
	case VMDK_SESPARSE_BAD:
		report_entry(s, "grain table", number, offset, gte,
			     "is damaged, or points past the end of the file");
		break;
	}
}

static int check_table(struct sesparse_check *s, u32 index, u64 sector,
		       __le64 *table)
{
	u64 offset = sector << VMDK_SECTOR_SHIFT;
	u64 first = (u64)index << VMDK_SESPARSE_GT_SHIFT;
	u32 i;
	int ret;

	ret = vmdk_pread_all(s->fd, table, GT_BYTES, offset);
	for (i = 0; !ret && i < VMDK_SESPARSE_GT_ENTRIES; i++)
		if (table[i])
			check_gte(s, first + i, offset + i * sizeof(*table),
				  le64_to_cpu(table[i]));
	return ret;
}

static int check_gde(struct sesparse_check *s, u32 index, u64 offset, u64 gde,
		     __le64 *table)
{
	u64 sector, number;
	int ret = vmdk_sesparse_gde(gde, &s->geo, &sector);

	if (!ret)
		return 0;
	if (ret < 0) {
		report_entry(s, "grain directory", index, offset, gde,
			     "is damaged, or points past the last table");
		return 0;
	}
	number = (sector - s->geo.gts) / VMDK_SESPARSE_GT_SECTORS;
	if (sector + VMDK_SESPARSE_GT_SECTORS > s->geo.file_sectors)
		report_entry(s, "grain directory", index, offset, gde,
			     "points past the end of the file");
	else if (!take(s->tables, number))
		report_entry(s, "grain directory", index, offset, gde,
			     "points to a table that an earlier entry has");
	else
		return check_table(s, index, sector, table);
	return 0;
}

static int check_directory(struct sesparse_check *s, __le64 *table)
{
	__le64 run[GD_RUN];
	u32 i, first;
	int ret = 0;

	for (first = 0; !ret && first < s->geo.gd_entries; first += GD_RUN) {
		u64 offset = (s->geo.gd << VMDK_SECTOR_SHIFT) +
			     first * (u64)sizeof(*run);
		u32 n = s->geo.gd_entries - first;

		if (n > GD_RUN)
			n = GD_RUN;
		ret = vmdk_pread_all(s->fd, run, n * sizeof(*run), offset);
		for (i = 0; !ret && i < n; i++)
			ret = check_gde(s, first + i,
					offset + i * sizeof(*run),
					le64_to_cpu(run[i]), table);
	}
	return ret;
}

/* -EINVAL: a header is bad, and that was reported. */
static int read_headers(struct sesparse_check *s)
{
	struct vmdk_sesparse_volatile state;
	struct vmdk_sesparse_header header;
	struct vmdk_fault fault;
	struct stat st;
	int ret;

	if (fstat(s->fd, &st))
		return -errno;
	if (st.st_size < (off_t)sizeof(header)) {
		vmdk_fault_set(&fault, 0, "header: the file has %llu bytes",
			       (unsigned long long)st.st_size);
		return report_header(s, &fault);
	}
	ret = vmdk_pread_all(s->fd, &header, sizeof(header), 0);
	if (ret)
		return ret;
	if (vmdk_sesparse_decode(&header, st.st_size, &s->geo, &fault))
		return report_header(s, &fault);
	ret = vmdk_pread_all(s->fd, &state, sizeof(state),
			     s->geo.volatile_header << VMDK_SECTOR_SHIFT);
	if (!ret && vmdk_sesparse_decode_volatile(&state, &s->geo, &fault))
		return report_header(s, &fault);
	return ret;
}

static u64 *new_map(u64 bits)
{
	return calloc(bits / VMDK_WORD_BITS + 1, sizeof(u64));
}

/**
 * vmdk_check_sesparse - check a seSparse extent
 * @fd: a regular file, open for reading
 * @max_findings: report at most as many of each severity
 * @fn: called for each finding, or NULL to count only
 * @arg: for @fn
 * @result: counters, set whenever 0 is returned
 *
 * Return: 0 when the check ran, whatever it found; -errno when the file could
 * not be read.
 */
int vmdk_check_sesparse(int fd, uint64_t max_findings, vmdk_finding_fn fn,
			void *arg, struct vmdk_check_result *result)
{
	struct sesparse_check s = {
		.fd = fd,
		.c = {
			.result = result, .max_findings = max_findings,
			.fn = fn, .arg = arg,
		},
	};
	__le64 *table;
	int ret;

	memset(result, 0, sizeof(*result));
	ret = read_headers(&s);
	if (ret)
		return ret == -EINVAL ? 0 : ret;
	s.tables = new_map(s.geo.file_sectors / VMDK_SESPARSE_GT_SECTORS);
	s.grains = new_map(s.geo.file_sectors / VMDK_SESPARSE_GRAIN);
	table = malloc(GT_BYTES);
	ret = -ENOMEM;
	if (s.tables && s.grains && table)
		ret = check_directory(&s, table);
	free(table);
	free(s.tables);
	free(s.grains);
	return ret;
}
