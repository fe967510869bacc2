// SPDX-License-Identifier: GPL-2.0
/*
 * vmdkctl check: run the rules for its kind on every extent, and print what they
 * find.  Of an OVA, compare the sums of its manifest, and check its disks.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chain.h"
#include "check.h"
#include "info.h"
#include "lock.h"
#include "manifest.h"
#include "path.h"
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

/* What the user wants to know. */
struct request {
	const char *disk;	/* --disk */
	bool chain;
	char **allow_paths;	/* NULL terminated */
	const struct table_options *opt;
};

/**
 * struct check_run - a check, and what it found
 * @path: of the extent at hand, or of the OVA
 * @lacking: a part could not be checked, and the line that says so was printed
 */
struct check_run {
	struct table *table;
	const char *path;
	struct vmdk_check_result total;
	bool lacking;
};

static void print_help(void)
{
	fputs("Usage:\n"
	      " vmdkctl check [options] FILE\n"
	      "\n"
	      "Verify the metadata of a disk, and change nothing.  Compressed grains are\n"
	      "inflated, all of them.  Of an OVA the sums of the manifest are verified, and\n"
	      "all disks, or those of one disk and that disk.\n"
	      "Without --chain, of a disk with a parent the disk alone is checked.\n"
	      "\n"
	      "Options:\n"
	      "     --chain             check the parents, too, and that they are the right ones\n"
	      "     --allow-path DIR    extents and parents may lie below DIR too; may be\n"
	      "                         repeated\n"
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

static const char *verdict(const struct check_run *run)
{
	switch (exit_status(&run->total)) {
	case STATUS_CORRUPT:
		return "corrupt";
	case STATUS_LEAKS:
		return run->lacking ? "incomplete" : "leaks";
	}
	return run->lacking ? "incomplete" : "clean";
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
			       json_object_new_string(verdict(run)));
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
	printf("%s: %s%s: %" PRIu64 " corrupt, %" PRIu64 " benign, %" PRIu64
	       " leaks, %" PRIu64 " notes; %" PRIu64 " grains allocated, %"
	       PRIu64 " zeroed, %" PRIu64 " leaked\n", path,
	       words[exit_status(r)],
	       run->lacking ? ", but not all of it was checked" : "",
	       r->corrupt, r->benign, r->leaks, r->notes,
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
 * is not valid, a file that is too short) is as corrupt as a wrong table, and that
 * is what -EINVAL is for.  The line on stderr has the place and the fault.
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

/* ---------------------------------------------------------------- a chain */

static void add_difference(struct check_run *run,
			   const struct vmdk_image *child,
			   const struct vmdk_image *parent)
{
	struct vmdk_finding finding = {
		.severity = VMDK_CHECK_CORRUPT,
		.structure = "descriptor",
		.offset = child->desc_offset,
	};

	snprintf(finding.found, sizeof(finding.found), "parentCID %08" PRIx32,
		 child->desc.parent_cid);
	snprintf(finding.expected, sizeof(finding.expected), "%08" PRIx32,
		 vmdk_content_id(parent));
	snprintf(finding.text, sizeof(finding.text),
		 "the parent %.*s was changed, or is another disk", 100,
		 parent->path);
	run->total.corrupt++;
	run->path = child->path;
	add_finding(&finding, run);
}

static int check_links(struct check_run *run, const struct vmdk_chain *chain)
{
	size_t i;
	int ret = 0;

	for (i = 0; i < chain->nr && !ret; i++) {
		if (vmdk_chain_differs(chain, i))
			add_difference(run, chain->links[i],
				       chain->links[i + 1]);
		ret = check_image(run, chain->links[i]);
	}
	return ret;
}

static int check_opened(struct check_run *run, const struct vmdk_chain *chain,
			const struct table_options *opt)
{
	int ret = check_links(run, chain);

	if (ret == -EOPNOTSUPP)
		return STATUS_UNSUPPORTED;
	if (ret || print(run, chain->links[0]->path, opt))
		return STATUS_FAILED;
	return exit_status(&run->total);
}

static int check_disk(struct check_run *run, const char *path,
		      const struct request *req)
{
	const struct vmdk_chain_options open = {
		.open = { .lock = true, .disk = req->disk,
			  .allow_paths = req->allow_paths },
		.single_link = !req->chain,
		.force_cid = true,
	};
	struct vmdk_chain chain;
	char *why;
	int ret, status;

	ret = vmdk_chain_open(path, &open, &chain, &why);
	if (ret) {
		vmdkctl_error("%s", why ? why : strerror(-ret));
		status = refused(run, path, ret, req->opt);
	} else {
		status = check_opened(run, &chain, req->opt);
	}
	vmdk_chain_close(&chain);
	free(why);
	return status;
}

/* ------------------------------------------------------------------ an OVA */

/**
 * struct ova_run - the check of an appliance
 * @run: what it found
 * @path: the archive
 * @fd: the same, open and locked
 * @ova: its disks
 * @only: the one that --disk names, or NULL
 */
struct ova_run {
	struct check_run *run;
	const char *path;
	int fd;
	struct vmdk_ova ova;
	const struct vmdk_ova_disk *only;
};

static void count_sum(struct vmdk_check_result *total,
		      enum vmdk_severity severity)
{
	if (severity == VMDK_CHECK_CORRUPT)
		total->corrupt++;
	else
		total->notes++;
}

static void add_sum(const struct vmdk_sum_finding *finding, void *arg)
{
	const struct ova_run *o = arg;
	struct table *table = o->run->table;
	char *name;

	count_sum(&o->run->total, finding->severity);
	if (table_rows(table) >= FINDINGS_SHOWN_MAX)
		return;
	name = vmdkctl_format("%s%s%s", o->path, *finding->name ? ":" : "",
			      finding->name);
	table_add_row(table);
	table_set_string(table, COL_SEVERITY, severities[finding->severity]);
	table_set_string(table, COL_FILE, name);
	table_set_string(table, COL_STRUCTURE, "manifest");
	if (finding->offset)
		table_set_number(table, COL_OFFSET, finding->offset);
	table_set_string(table, COL_FOUND, finding->found);
	table_set_string(table, COL_EXPECTED, finding->expected);
	table_set_string(table, COL_FAULT, finding->text);
	free(name);
}

/* What is worse: to know that it is bad, or not to know? */
static int worse(int a, int b)
{
	static const int order[] = {
		STATUS_CORRUPT, STATUS_FAILED, STATUS_UNSUPPORTED,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(order); i++)
		if (a == order[i] || b == order[i])
			return order[i];
	return STATUS_OK;
}

/* Only what kept it from being checked is an error here. */
static int check_member(struct ova_run *o, const struct vmdk_ova_disk *disk)
{
	const struct vmdk_open_options open = { .ova_disk = disk };
	struct vmdk_image *image;
	int ret;

	ret = info_ova_open(o->fd, o->path, &open, &image);
	if (ret == -EINVAL) {
		o->run->total.corrupt++;
		return STATUS_OK;
	}
	if (!ret) {
		ret = check_image(o->run, image);
		vmdk_image_close(image);
	}
	if (!ret)
		return STATUS_OK;
	o->run->lacking = true;
	return ret == -EOPNOTSUPP ? STATUS_UNSUPPORTED : STATUS_FAILED;
}

/* Several disks may be of one file. */
static bool was_checked(const struct vmdk_ova *ova,
			const struct vmdk_ova_disk *disk)
{
	const struct vmdk_ova_disk *d;

	for (d = ova->disks; d < disk; d++)
		if (!d->refusal && !disk->refusal &&
		    d->offset == disk->offset && d->size == disk->size)
			return true;
	return false;
}

static int check_members(struct ova_run *o)
{
	int status = STATUS_OK;
	size_t i;

	if (o->only)
		return check_member(o, o->only);
	for (i = 0; i < o->ova.nr; i++)
		if (!was_checked(&o->ova, &o->ova.disks[i]))
			status = worse(status,
				       check_member(o, &o->ova.disks[i]));
	return status;
}

/* Find the disks, and verify the sums. */
static int open_ova(struct ova_run *o, const char *disk, char **why)
{
	struct stat st;
	size_t index;
	int ret;

	o->fd = vmdk_open_named(o->path, O_RDONLY, &st, why);
	if (o->fd < 0)
		return o->fd;
	ret = vmdk_lock_image(o->fd, false, o->path, why);
	if (!ret)
		ret = vmdk_ova_read(o->fd, st.st_size, o->path, &o->ova, why);
	if (!ret && disk) {
		/* that there is no such disk is nothing against the archive */
		if (vmdk_ova_choose(&o->ova, disk, o->path, &index, why))
			ret = -ENOENT;
		else
			o->only = &o->ova.disks[index];
	}
	if (!ret)
		ret = vmdk_ova_verify(o->fd, st.st_size, o->path, o->only,
				      add_sum, o, why);
	return ret;
}

static int check_ova(struct check_run *run, const char *path, const char *disk,
		     const struct table_options *opt)
{
	struct ova_run o = { .run = run, .path = path };
	char *why = NULL;
	int ret, status;

	ret = open_ova(&o, disk, &why);
	if (ret) {
		vmdkctl_error("%s", why ? why : strerror(-ret));
		status = refused(run, path, ret, opt);
	} else {
		status = check_members(&o);
		if (print(run, path, opt))
			status = STATUS_FAILED;
		else if (run->total.corrupt || status == STATUS_OK)
			status = exit_status(&run->total);
	}
	if (o.fd >= 0)
		close(o.fd);
	vmdk_ova_free(&o.ova);
	free(why);
	return status;
}

static int check_file(const char *path, const struct request *req)
{
	struct check_run run = { .path = path };
	int status;

	run.table = table_new(columns, NR_COLUMNS, req->opt);
	if (!run.table)
		return STATUS_FAILED;
	status = info_is_ova(path) ?
		 check_ova(&run, path, req->disk, req->opt) :
		 check_disk(&run, path, req);
	table_free(run.table);
	return status;
}

static int parse(int argc, char **argv, struct request *req,
		 struct table_options *opt)
{
	static const struct option extra[] = {
		{ "disk", required_argument, NULL, OPTION_DISK },
		{ "chain", no_argument, NULL, OPTION_CHAIN },
		{ "allow-path", required_argument, NULL, OPTION_ALLOW_PATH },
		{ NULL, 0, NULL, 0 },
	};
	char **folder = req->allow_paths;
	int c;

	while ((c = table_getopt(argc, argv, extra, opt)) >= OPTION_DISK) {
		if (c == OPTION_DISK)
			req->disk = optarg;
		else if (c == OPTION_CHAIN)
			req->chain = true;
		else
			*folder++ = optarg;
	}
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
	return check_file(argv[optind], req);
}

int verb_check(int argc, char **argv)
{
	struct table_options opt = { 0 };
	struct request req = { .opt = &opt };
	int status;

	req.allow_paths = vmdkctl_strings(argc);
	status = parse(argc, argv, &req, &opt);
	free(req.allow_paths);
	return status;
}
