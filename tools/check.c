// SPDX-License-Identifier: GPL-2.0
/*
 * The rules of `vmdkctl check` for extents with tables: hosted sparse, with or
 * without compression, and COWD.
 *
 * What a single header field or entry may be is vmdk_format.c's to say; here is
 * what they may be together: nothing used twice, no grain on a table, both
 * copies alike, nothing forgotten.
 *
 * Memory and time follow the size of the file, never what it claims: two bits
 * for each area that a 32-bit entry can reach, and the directories; an area is
 * a grain, or a sector where grains lie at any sector.  A table is scanned once,
 * however many directory entries name it, and a compressed grain inflated once
 * for each entry.
 */
#define _GNU_SOURCE	/* SEEK_DATA */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check_internal.h"

/* What file systems give back at least. */
#define BLOCK_BYTES	4096U

static u64 *map_alloc(u64 bits)
{
	return calloc((bits + VMDK_WORD_BITS - 1) / VMDK_WORD_BITS, sizeof(u64));
}

/**
 * vmdk_check_counted - count a finding
 * @c: the check
 * @severity: of the finding
 *
 * A hostile image has hundreds of millions of findings, so nothing is formatted
 * before this was asked.
 *
 * Return: true when the finding is to be reported too.
 */
bool vmdk_check_counted(struct vmdk_check *c, enum vmdk_severity severity)
{
	uint64_t *count[] = {
		[VMDK_CHECK_NOTE] = &c->result->notes,
		[VMDK_CHECK_LEAK] = &c->result->leaks,
		[VMDK_CHECK_BENIGN] = &c->result->benign,
		[VMDK_CHECK_CORRUPT] = &c->result->corrupt,
	};

	return (*count[severity])++ < c->max_findings && c->fn;
}

/* ---- header ---- */

#define FIELD(f) { offsetof(struct vmdk_sparse_header, f), \
		   sizeof(((struct vmdk_sparse_header *)0)->f) }

/* The number in the header field at @offset, as the file has it. */
static u64 header_field(const struct vmdk_tables *t, u64 offset)
{
	static const struct { u16 offset, size; } fields[] = {
		FIELD(magic), FIELD(version), FIELD(flags), FIELD(capacity),
		FIELD(grain_size), FIELD(desc_offset), FIELD(desc_size),
		FIELD(gtes_per_gt), FIELD(rgd_offset), FIELD(gd_offset),
		FIELD(overhead), FIELD(unclean_shutdown), FIELD(newline),
		FIELD(compress),
	};
	__le64 value = 0;
	size_t i;

	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (fields[i].offset == offset &&
		    !vmdk_part_read(&t->part, &value, fields[i].size,
				    offset))
			return le64_to_cpu(value);
	return 0;
}

static void report_header(struct vmdk_check *c,
			  const struct vmdk_fault *fault)
{
	struct vmdk_finding f = {
		.severity = VMDK_CHECK_CORRUPT,
		.structure = "header",
		.offset = fault->offset,
	};
	const char *text = fault->text;
	const char *expected = strstr(text, "expected ");
	const char *colon = strstr(text, ": ");
	char name[40];

	if (!vmdk_check_counted(c, VMDK_CHECK_CORRUPT))
		return;
	if (colon && colon - text < (ptrdiff_t)sizeof(name)) {
		snprintf(name, sizeof(name), "%.*s", (int)(colon - text), text);
		f.structure = name;
		text = colon + 2;
	}
	snprintf(f.text, sizeof(f.text), "%s", text);
	if (c->t.file_sectors)
		snprintf(f.found, sizeof(f.found), "0x%llx",
			 (unsigned long long)header_field(&c->t, f.offset));
	else
		snprintf(f.found, sizeof(f.found), "%llu",
			 (unsigned long long)c->t.file_bytes);
	snprintf(f.expected, sizeof(f.expected), "%.63s", expected ?
		 expected + strlen("expected ") : "what the rest allows");
	c->fn(&f, c->arg);
}

static void check_unclean(struct vmdk_check *c)
{
	struct vmdk_finding f = {
		.severity = VMDK_CHECK_NOTE,
		.structure = "header",
		.offset = c->unclean_at,
		.expected = "0",
		.text = "the unclean flag is set: in use, or not closed in order",
	};
	__le64 value = 0;

	if (!c->t.geo.unclean || !vmdk_check_counted(c, VMDK_CHECK_NOTE))
		return;
	vmdk_part_read(&c->t.part, &value, c->unclean_bytes, c->unclean_at);
	snprintf(f.found, sizeof(f.found), "%llu",
		 (unsigned long long)le64_to_cpu(value));
	c->fn(&f, c->arg);
}

/* ---- space ---- */

static void report_leak(struct vmdk_check *c, u64 first, u64 end)
{
	u64 bytes = (end - first) << c->shift << VMDK_SECTOR_SHIFT;
	u64 grains = bytes >> c->t.geo.grain_shift >> VMDK_SECTOR_SHIFT;
	struct vmdk_finding f = {
		.severity = VMDK_CHECK_LEAK,
		.structure = "grain data",
		.offset = first << c->shift << VMDK_SECTOR_SHIFT,
		.expected = "a table entry for each grain with data",
	};

	c->result->grains_leaked += grains;
	c->result->leaked_bytes += bytes;
	if (!vmdk_check_counted(c, VMDK_CHECK_LEAK))
		return;
	snprintf(f.found, sizeof(f.found), "%llu grains",
		 (unsigned long long)grains);
	snprintf(f.text, sizeof(f.text), "%llu grains (%llu bytes) that no table entry points to",
		 (unsigned long long)grains, (unsigned long long)bytes);
	c->fn(&f, c->arg);
}

/*
 * Areas that nothing points to.  Where the file has a hole there, as a punched
 * discard leaves it, the space is free; the rest of it is leaked.
 */
static void check_unused(struct vmdk_check *c, u64 first, u64 end)
{
	unsigned int shift = c->shift + VMDK_SECTOR_SHIFT;

	while (first < end) {
		off_t data = lseek(c->t.part.fd, (off_t)(first << shift),
				   SEEK_DATA);
		off_t hole;
		u64 start = end, stop = end;

		if (data >= 0)
			start = (u64)data >> shift;
		else if (errno != ENXIO)
			start = first;	/* holes are not to be had here */
		if (start >= end) {
			c->result->grains_free += end - first;
			return;
		}
		hole = data < 0 ? -1 : lseek(c->t.part.fd, data, SEEK_HOLE);
		if (hole >= 0)
			stop = (((u64)hole - 1) >> shift) + 1;
		if (stop > end)
			stop = end;
		c->result->grains_free += start - first;
		report_leak(c, start, stop);
		first = stop;
	}
}

static void check_tail(struct vmdk_check *c, u64 used_bytes)
{
	struct vmdk_finding f = {
		.severity = VMDK_CHECK_NOTE,
		.structure = "file",
		.offset = used_bytes,
	};

	if (c->t.file_bytes <= used_bytes)
		return;
	c->result->tail_bytes = c->t.file_bytes - used_bytes;
	if (!vmdk_check_counted(c, VMDK_CHECK_NOTE))
		return;
	snprintf(f.found, sizeof(f.found), "%llu bytes",
		 (unsigned long long)c->t.file_bytes);
	snprintf(f.expected, sizeof(f.expected), "%llu bytes",
		 (unsigned long long)used_bytes);
	snprintf(f.text, sizeof(f.text), "%llu bytes longer than needed",
		 (unsigned long long)c->result->tail_bytes);
	c->fn(&f, c->arg);
}

/*
 * No file system gives back less than a block.  What shares one with something
 * that is used, as small grains of COWD do, cannot be had, so it is not leaked.
 */
static void check_gap(struct vmdk_check *c, u64 first, u64 end)
{
	u64 unit = BLOCK_BYTES >> VMDK_SECTOR_SHIFT >> c->shift;
	u64 start = first, stop = end;

	if (unit > 1) {
		start = (first + unit - 1) / unit * unit;
		stop = end / unit * unit;
	}
	if (start >= stop) {
		c->result->grains_free += end - first;
		return;
	}
	c->result->grains_free += start - first + end - stop;
	check_unused(c, start, stop);
}

/* What lies between used areas is a leak; what lies behind the last, a tail. */
static void check_space(struct vmdk_check *c)
{
	const struct vmdk_geometry *geo = &c->t.geo;
	u64 first = vmdk_area(c, geo->overhead + (1ULL << c->shift) - 1);
	u64 end = first, area;

	for (area = first; area < c->areas; area++) {
		if (!(area % VMDK_WORD_BITS) &&
		    !(c->grains[area / VMDK_WORD_BITS] | c->tables[area / VMDK_WORD_BITS])) {
			area += VMDK_WORD_BITS - 1;
			continue;
		}
		if (!vmdk_map_test(c->grains, area) && !vmdk_map_test(c->tables, area))
			continue;
		check_gap(c, end, area);
		end = area + 1;
	}
	check_tail(c, end << c->shift << VMDK_SECTOR_SHIFT);
}

static int map_file(struct vmdk_check *c)
{
	u64 reach = c->t.file_sectors;
	unsigned int copy;

	if (reach > VMDK_SPARSE_SECTORS_MAX)
		reach = VMDK_SPARSE_SECTORS_MAX;
	c->areas = vmdk_area(c, reach - 1) + 1;
	c->grains = map_alloc(c->areas);
	c->tables = map_alloc(c->areas);
	if (!c->grains || !c->tables)
		return -ENOMEM;
	for (copy = 0; copy < c->t.copies; copy++) {
		c->unread[copy] = map_alloc(c->t.gd_slots);
		if (!c->unread[copy])
			return -ENOMEM;
	}
	return 0;
}

static int run(struct vmdk_check *c)
{
	int ret = map_file(c);

	if (!ret) {
		check_unclean(c);
		ret = vmdk_check_directories(c);
	}
	if (!ret)
		ret = vmdk_check_tables(c);
	/* between compressed grains lie markers, and nothing is ever freed */
	if (!ret && !c->format->length)
		check_space(c);
	free(c->unread[VMDK_PRIMARY]);
	free(c->unread[VMDK_REDUNDANT]);
	free(c->grains);
	free(c->tables);
	return ret;
}

/* @ret: of opening the tables; a bad header is one finding, and the only one. */
static int check_opened(struct vmdk_check *c, int ret,
			const struct vmdk_fault *fault)
{
	if (ret == -EINVAL && fault->text[0]) {
		report_header(c, fault);
		return 0;
	}
	if (ret)
		return ret;
	if (c->format->aligned)
		c->shift = c->t.geo.grain_shift;
	ret = run(c);
	vmdk_tables_close(&c->t);
	return ret;
}

/**
 * vmdk_check_sparse - check a hosted sparse extent
 * @fd: a regular file, open for reading; its file offset is left anywhere
 * @max_findings: report at most as many of each severity
 * @fn: called for each finding, or NULL to count only
 * @arg: for @fn
 * @result: counters, set whenever 0 is returned
 *
 * Return: 0 when the check ran, whatever it found; -EOPNOTSUPP for a compressed
 * extent; -errno when the file could not be read.
 */
int vmdk_check_sparse(int fd, uint64_t max_findings, vmdk_finding_fn fn,
		      void *arg, struct vmdk_check_result *result)
{
	static const struct vmdk_check_format format = {
		.gte_fault = vmdk_gte_fault, .aligned = true,
	};
	struct vmdk_check c = {
		.result = result, .max_findings = max_findings,
		.fn = fn, .arg = arg, .format = &format,
		.unclean_at = offsetof(struct vmdk_sparse_header,
				       unclean_shutdown),
		.unclean_bytes = sizeof(u8),
	};
	struct vmdk_fault fault;

	memset(result, 0, sizeof(*result));
	return check_opened(&c, vmdk_tables_open(&c.t, fd, &fault), &fault);
}

/**
 * vmdk_check_cowd - check a COWD extent
 * @fd: a regular file, open for reading; its file offset is left anywhere
 * @max_findings: report at most as many of each severity
 * @fn: called for each finding, or NULL to count only
 * @arg: for @fn
 * @result: counters, set whenever 0 is returned
 *
 * Return: 0 when the check ran, whatever it found; -errno when the file could
 * not be read.
 */
int vmdk_check_cowd(int fd, uint64_t max_findings, vmdk_finding_fn fn,
		    void *arg, struct vmdk_check_result *result)
{
	static const struct vmdk_check_format format = {
		.gte_fault = vmdk_cowd_gte_fault,
	};
	struct vmdk_check c = {
		.result = result, .max_findings = max_findings,
		.fn = fn, .arg = arg, .format = &format,
		.unclean_at = offsetof(struct vmdk_cowd_header,
				       unclean_shutdown),
		.unclean_bytes = sizeof(__le32),
	};
	struct vmdk_fault fault;

	memset(result, 0, sizeof(*result));
	return check_opened(&c, vmdk_tables_open_cowd(&c.t, fd, &fault), &fault);
}

/**
 * vmdk_check_stream - check a compressed extent, and inflate all its grains
 * @part: where it is
 * @max_findings: report at most as many of each severity
 * @fn: called for each finding, or NULL to count only
 * @arg: for @fn
 * @result: counters, set whenever 0 is returned
 *
 * Offsets of findings count from the start of @part.
 *
 * Return: 0 when the check ran, whatever it found; -errno when the file could
 * not be read.
 */
int vmdk_check_stream(const struct vmdk_part *part, uint64_t max_findings,
		      vmdk_finding_fn fn, void *arg,
		      struct vmdk_check_result *result)
{
	struct vmdk_check c = {
		.result = result, .max_findings = max_findings,
		.fn = fn, .arg = arg, .format = &vmdk_check_format_stream,
		.unclean_at = offsetof(struct vmdk_sparse_header,
				       unclean_shutdown),
		.unclean_bytes = sizeof(u8),
	};
	struct vmdk_fault fault;
	int ret;

	memset(result, 0, sizeof(*result));
	ret = vmdk_inflate_new(&c.inflate);
	if (ret)
		return ret;
	ret = vmdk_tables_open_stream(&c.t, part, &fault);
	ret = check_opened(&c, ret, &fault);
	vmdk_inflate_free(c.inflate);
	return ret;
}
