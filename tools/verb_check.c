// SPDX-License-Identifier: GPL-2.0
/*
 * vmdkctl check: run the rules for its kind on every extent, and print what they
 * find.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "image.h"
#include "vmdkctl.h"

/* All findings are counted; an extent is listed while fewer than this are. */
#define FINDINGS_SHOWN_MAX	1000

enum {
	COL_SEVERITY, COL_FILE, COL_STRUCTURE, COL_OFFSET, COL_FOUND,
	COL_EXPECTED, COL_FAULT, NR_COLUMNS
};

static const struct table_column columns[NR_COLUMNS] = {
	[COL_SEVERITY] = { "SEVERITY", TABLE_STRING, false,
			   "note, leak, benign or corrupt" },
	[COL_FILE] = { "FILE", TABLE_STRING, false, "file of the extent" },
	[COL_STRUCTURE] = { "STRUCTURE", TABLE_STRING, false,
			    "part of the metadata" },
	[COL_OFFSET] = { "OFFSET", TABLE_NUMBER, false, "byte in the file" },
	[COL_FOUND] = { "FOUND", TABLE_STRING, false, "what is there" },
	[COL_EXPECTED] = { "EXPECTED", TABLE_STRING, false,
			   "what should be there" },
	[COL_FAULT] = { "FAULT", TABLE_STRING, false, "what is wrong with it" },
};

static const char *const severities[] = {
	[VMDK_CHECK_NOTE] = "note",
	[VMDK_CHECK_LEAK] = "leak",
	[VMDK_CHECK_BENIGN] = "benign",
	[VMDK_CHECK_CORRUPT] = "corrupt",
};

struct check_run {
	struct table *table;
	const char *path;	/* of the extent at hand */
	struct vmdk_check_result total;
};

static void print_help(void)
{
	fputs("Usage:\n"
	      " vmdkctl check [options] FILE\n"
	      "\n"
	      "Verify the metadata of a disk, and change nothing.  Compressed grains are\n"
	      "inflated, all of them.\n"
	      "\n"
	      "Options:\n"
	      "     --disk N|NAME       disk of an OVA: its number, from 1 on, or name\n"
	      TABLE_OPTIONS_HELP
	      "\n"
	      "Columns:\n", stdout);
	table_print_columns(columns, NR_COLUMNS);
	fputs("\n"
	      "Exit status:\n"
	      " 0   nothing is wrong\n"
	      " 1   the check could not run\n"
	      " 2   the disk is corrupt\n"
	      " 3   there are leaks or benign differences, nothing is wrong with the data\n"
	      " 63  this kind of disk is not supported\n", stdout);
}

static void add_finding(const struct vmdk_finding *finding, void *arg)
{
	struct check_run *run = arg;
	struct table *table = run->table;

	table_add_row(table);
	table_set_string(table, COL_SEVERITY, severities[finding->severity]);
	table_set_string(table, COL_FILE, run->path);
	table_set_string(table, COL_STRUCTURE, finding->structure);
	table_set_number(table, COL_OFFSET, finding->offset);
	table_set_string(table, COL_FOUND, finding->found);
	table_set_string(table, COL_EXPECTED, finding->expected);
	table_set_string(table, COL_FAULT, finding->text);
}

static uint64_t count_findings(const struct vmdk_check_result *r)
{
	return r->notes + r->leaks + r->benign + r->corrupt;
}

static void add_result(struct vmdk_check_result *total,
		       const struct vmdk_check_result *r)
{
	total->grains_allocated += r->grains_allocated;
	total->grains_zeroed += r->grains_zeroed;
	total->grains_leaked += r->grains_leaked;
	total->leaked_bytes += r->leaked_bytes;
	total->notes += r->notes;
	total->leaks += r->leaks;
	total->benign += r->benign;
	total->corrupt += r->corrupt;
}

static int check_extent(struct check_run *run,
			const struct vmdk_image_extent *extent)
{
	size_t shown = table_rows(run->table);
	struct vmdk_check_result result = { 0 };
	int ret;

	run->path = extent->path;
	ret = vmdk_check_extent(extent, shown < FINDINGS_SHOWN_MAX ?
				FINDINGS_SHOWN_MAX - shown : 0,
				add_finding, run, &result);
	if (ret == -EOPNOTSUPP) {
		vmdkctl_error("%s: is only checked when extracted from the archive",
			      extent->path);
		return ret;
	}
	if (ret) {
		vmdkctl_error("%s: cannot be checked: %s", extent->path,
			      strerror(-ret));
		return ret;
	}
	add_result(&run->total, &result);
	return 0;
}

static int check_image(struct check_run *run, const struct vmdk_image *image)
{
	size_t i;
	int ret = 0;

	for (i = 0; i < image->nr_extents && !ret; i++) {
		const struct vmdk_image_extent *extent = &image->extents[i];

		/* a flat one is as long as it should be, or had not been opened */
		if (extent->has_header)
			ret = check_extent(run, extent);
	}
	return ret;
}

static int exit_status(const struct vmdk_check_result *r)
{
	if (r->corrupt)
		return STATUS_CORRUPT;
	return r->leaks || r->benign ? STATUS_LEAKS : STATUS_OK;
}

static const char *verdict(const struct vmdk_check_result *r)
{
	switch (exit_status(r)) {
	case STATUS_CORRUPT:
		return "corrupt";
	case STATUS_LEAKS:
		return "leaks";
	}
	return "clean";
}

static void add_count(struct json_object *object, const char *key,
		      uint64_t count)
{
	json_object_object_add(object, key, json_object_new_uint64(count));
}

static int print_json(const struct check_run *run, const char *path)
{
	const struct vmdk_check_result *r = &run->total;
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "file", table_json_string(path));
	json_object_object_add(object, "verdict",
			       json_object_new_string(verdict(r)));
	add_count(object, "corrupt", r->corrupt);
	add_count(object, "benign", r->benign);
	add_count(object, "leaks", r->leaks);
	add_count(object, "notes", r->notes);
	add_count(object, "grains_allocated", r->grains_allocated);
	add_count(object, "grains_zeroed", r->grains_zeroed);
	add_count(object, "grains_leaked", r->grains_leaked);
	add_count(object, "leaked_bytes", r->leaked_bytes);
	json_object_object_add(object, "findings", table_json(run->table));
	return table_print_json(object);
}

static void print_summary(const struct check_run *run, const char *path)
{
	static const char *const words[] = {
		[STATUS_OK] = "clean",
		[STATUS_CORRUPT] = "corrupt",
		[STATUS_LEAKS] = "nothing is wrong with the data",
	};
	const struct vmdk_check_result *r = &run->total;
	uint64_t hidden = count_findings(r) - table_rows(run->table);

	if (hidden)
		printf("%" PRIu64 " more findings are not shown.\n", hidden);
	printf("%s: %s: %" PRIu64 " corrupt, %" PRIu64 " benign, %" PRIu64
	       " leaks, %" PRIu64 " notes; %" PRIu64 " grains allocated, %"
	       PRIu64 " zeroed, %" PRIu64 " leaked\n", path,
	       words[exit_status(r)], r->corrupt, r->benign, r->leaks, r->notes,
	       r->grains_allocated, r->grains_zeroed, r->grains_leaked);
}

/* Raw output is for programs: the exit status sums it up. */
static int print(const struct check_run *run, const char *path,
		 const struct table_options *opt)
{
	int ret;

	if (opt->json)
		return print_json(run, path);
	ret = table_print(run->table);
	if (!ret && !opt->raw)
		print_summary(run, path);
	return ret;
}

/*
 * What cannot be opened because of what it says (a header or a descriptor that
 * is not valid, a file that is too short) is as corrupt as a wrong table.  The
 * line on stderr has the place and the fault.
 */
static int refused(struct check_run *run, const char *path, int err,
		   const struct table_options *opt)
{
	if (err == -EOPNOTSUPP)
		return STATUS_UNSUPPORTED;
	if (err != -EINVAL)
		return STATUS_FAILED;
	run->total.corrupt++;
	if (opt->json && print_json(run, path))
		return STATUS_FAILED;
	return STATUS_CORRUPT;
}

static int check_opened(struct check_run *run, const struct vmdk_image *image,
			const struct table_options *opt)
{
	int ret = check_image(run, image);

	if (ret == -EOPNOTSUPP)
		return STATUS_UNSUPPORTED;
	if (ret || print(run, image->path, opt))
		return STATUS_FAILED;
	return exit_status(&run->total);
}

static int check_file(const char *path, const char *disk,
		      const struct table_options *opt)
{
	const struct vmdk_open_options open = { .lock = true, .disk = disk };
	struct check_run run = { 0 };
	struct vmdk_image *image;
	int ret, status;

	run.table = table_new(columns, NR_COLUMNS, opt);
	if (!run.table)
		return STATUS_FAILED;
	ret = vmdk_image_open(path, &open, &image);
	if (ret) {
		status = refused(&run, path, ret, opt);
	} else {
		status = check_opened(&run, image, opt);
		vmdk_image_close(image);
	}
	table_free(run.table);
	return status;
}

int verb_check(int argc, char **argv)
{
	static const struct option extra[] = {
		{ "disk", required_argument, NULL, OPTION_DISK },
		{ NULL, 0, NULL, 0 },
	};
	struct table_options opt = { 0 };
	const char *disk = NULL;
	int c;

	while ((c = table_getopt(argc, argv, extra, &opt)) == OPTION_DISK)
		disk = optarg;
	if (c == 'h') {
		print_help();
		return STATUS_OK;
	}
	if (c != -1)
		return vmdkctl_usage("check");
	if (optind != argc - 1) {
		vmdkctl_error(optind == argc ? "a file is needed" :
			      "one file at a time");
		return vmdkctl_usage("check");
	}
	return check_file(argv[optind], disk, &opt);
}
