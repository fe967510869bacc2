// SPDX-License-Identifier: GPL-2.0
/*
 * vmdkctl info: what a descriptor and its extents say of a disk, and, when it
 * is attached, what the kernel says.  Which disks an OVA has is info_ova.c's.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chain.h"
#include "info.h"
#include "vmdkctl.h"

/* What the user wants to know. */
struct request {
	const char *disk;	/* --disk */
	char **allow_paths;	/* NULL terminated */
	bool extents_only, chain_only;
	const struct table_options *opt;
};

/* ------------------------------------------------------- the whole disk */

enum {
	DISK_FILE, DISK_MEMBER, DISK_MEMBER_OFFSET, DISK_MEMBER_SIZE,
	DISK_CHUNKS, DISK_TYPE, DISK_CAPACITY, DISK_SECTORS, DISK_ALLOCATED,
	DISK_CID, DISK_PARENT_CID, DISK_PARENT, DISK_LINKS, DISK_CONTENT_ID,
	DISK_UUID, DISK_ADAPTER, DISK_GEOMETRY, DISK_BIOS_GEOMETRY,
	DISK_HW_VERSION, DISK_TOOLS_VERSION, DISK_THIN, DISK_VERSION,
	DISK_ENCODING, DISK_CHANGE_TRACK, DISK_EMBEDDED, DISK_UNCLEAN,
	DISK_READ_ONLY, DISK_EXTENTS, DISK_FAULT, DISK_DEVICE, DISK_STATE, DISK_RO, DISK_AUTOCLEAR,
	DISK_DIO, DISK_LIVE_CID, NR_DISK
};

static const struct table_column disk_columns[NR_DISK] = {
	[DISK_FILE] = { "FILE", TABLE_STRING, false, "file" },
	[DISK_MEMBER] = { "MEMBER", TABLE_STRING, false, "member of the OVA" },
	[DISK_MEMBER_OFFSET] = { "MEMBER-OFFSET", TABLE_NUMBER, false,
				 "byte of the OVA at which it begins" },
	[DISK_MEMBER_SIZE] = { "MEMBER-SIZE", TABLE_SIZE, false,
			       "bytes in the OVA" },
	[DISK_CHUNKS] = { "CHUNKS", TABLE_NUMBER, false,
			  "chunks that it is cut into" },
	[DISK_TYPE] = { "TYPE", TABLE_STRING, false, "create type" },
	[DISK_CAPACITY] = { "CAPACITY", TABLE_SIZE, false, "capacity" },
	[DISK_SECTORS] = { "SECTORS", TABLE_NUMBER, false,
			   "capacity in sectors" },
	[DISK_ALLOCATED] = { "ALLOCATED", TABLE_SIZE, false,
			     "allocated by the files" },
	[DISK_CID] = { "CID", TABLE_STRING, false, "content id (CID)" },
	[DISK_PARENT_CID] = { "PARENT-CID", TABLE_STRING, false,
			      "content id of the parent" },
	[DISK_PARENT] = { "PARENT", TABLE_STRING, false, "parent hint" },
	[DISK_LINKS] = { "LINKS", TABLE_NUMBER, false, "links" },
	[DISK_CONTENT_ID] = { "CONTENT-ID", TABLE_STRING, false,
			      "long content id" },
	[DISK_UUID] = { "UUID", TABLE_STRING, false, "uuid" },
	[DISK_ADAPTER] = { "ADAPTER", TABLE_STRING, false, "adapter type" },
	[DISK_GEOMETRY] = { "GEOMETRY", TABLE_CHS, false,
			    "physical geometry (C/H/S)" },
	[DISK_BIOS_GEOMETRY] = { "BIOS-GEOMETRY", TABLE_CHS, false,
				 "BIOS geometry (C/H/S)" },
	[DISK_HW_VERSION] = { "HW-VERSION", TABLE_STRING, false,
			      "virtual hardware version" },
	[DISK_TOOLS_VERSION] = { "TOOLS-VERSION", TABLE_STRING, false,
				 "tools version" },
	[DISK_THIN] = { "THIN", TABLE_STRING, false, "thin provisioned" },
	[DISK_VERSION] = { "VERSION", TABLE_NUMBER, false,
			   "descriptor version" },
	[DISK_ENCODING] = { "ENCODING", TABLE_STRING, false,
			    "descriptor encoding" },
	[DISK_CHANGE_TRACK] = { "CHANGE-TRACK", TABLE_STRING, false,
				"change tracking file" },
	[DISK_EMBEDDED] = { "EMBEDDED", TABLE_BOOL, false,
			    "descriptor inside an extent" },
	[DISK_UNCLEAN] = { "UNCLEAN", TABLE_BOOL, false,
			   "unclean flag" },
	[DISK_READ_ONLY] = { "READ-ONLY", TABLE_STRING, false,
			     "why it can be read only" },
	[DISK_EXTENTS] = { "NR-EXTENTS", TABLE_NUMBER, false,
			   "number of extents" },
	[DISK_FAULT] = { "FAULT", TABLE_STRING, false,
			 "why it cannot be attached" },
	[DISK_DEVICE] = { "DEVICE", TABLE_STRING, false, "device" },
	[DISK_STATE] = { "STATE", TABLE_STRING, false, "state of the device" },
	[DISK_RO] = { "RO", TABLE_BOOL, false, "device is read-only" },
	[DISK_AUTOCLEAR] = { "AUTOCLEAR", TABLE_BOOL, false,
			     "detached by the last close" },
	[DISK_DIO] = { "DIO", TABLE_BOOL, false, "direct I/O to the files" },
	[DISK_LIVE_CID] = { "LIVE-CID", TABLE_STRING, false,
			    "content id of the device" },
};

/* -------------------------------------------------------- its extents */

enum {
	EXT_START, EXT_SECTORS, EXT_ACCESS, EXT_TYPE, EXT_NAME, EXT_OFFSET,
	EXT_GRAIN_SIZE, EXT_ALLOCATED, EXT_COMPRESSED, EXT_ZEROED, EXT_UNCLEAN,
	EXT_FORMAT, EXT_FOOTER, EXT_FILE, EXT_FILE_SIZE, EXT_VERSION, EXT_FLAGS, EXT_REDUNDANT,
	EXT_DEVICE_ID, EXT_FAULT, NR_EXT
};

static const struct table_column extent_columns[NR_EXT] = {
	[EXT_START] = { "START", TABLE_NUMBER, false, "first sector" },
	[EXT_SECTORS] = { "SECTORS", TABLE_NUMBER, false, "length in sectors" },
	[EXT_ACCESS] = { "ACCESS", TABLE_STRING, false,
			 "RW, RDONLY or NOACCESS, in the descriptor" },
	[EXT_TYPE] = { "TYPE", TABLE_STRING, false, "type in the descriptor" },
	[EXT_NAME] = { "NAME", TABLE_STRING, false, "name in the descriptor" },
	[EXT_OFFSET] = { "OFFSET", TABLE_NUMBER, true,
			 "byte of the file, or of its chunks together, at which it begins" },
	[EXT_GRAIN_SIZE] = { "GRAIN-SIZE", TABLE_SIZE, false,
			     "unit of allocation" },
	[EXT_ALLOCATED] = { "ALLOCATED", TABLE_SIZE, false,
			    "space that the file takes" },
	[EXT_COMPRESSED] = { "COMPRESSED", TABLE_BOOL, false,
			     "grains are compressed" },
	[EXT_ZEROED] = { "ZEROED", TABLE_BOOL, false,
			 "an entry may say that a grain is zeros" },
	[EXT_UNCLEAN] = { "UNCLEAN", TABLE_BOOL, false,
			  "unclean flag: in use, or not closed in order" },
	[EXT_FORMAT] = { "FORMAT", TABLE_STRING, true,
			 "flat, sparse, COWD, seSparse, device or zero" },
	[EXT_FOOTER] = { "FOOTER", TABLE_BOOL, true,
			 "the directory is found by a footer" },
	[EXT_FILE] = { "FILE", TABLE_STRING, true, "file that was found" },
	[EXT_FILE_SIZE] = { "FILE-SIZE", TABLE_SIZE, true,
			    "length of that file" },
	[EXT_VERSION] = { "VERSION", TABLE_NUMBER, true, "header version" },
	[EXT_FLAGS] = { "FLAGS", TABLE_STRING, true, "header flags" },
	[EXT_REDUNDANT] = { "REDUNDANT", TABLE_BOOL, true,
			    "there is a second copy of the tables" },
	[EXT_DEVICE_ID] = { "DEVICE-ID", TABLE_STRING, true,
			    "partition and device, in the descriptor" },
	[EXT_FAULT] = { "FAULT", TABLE_STRING, true,
			"why it could not be opened" },
};

/* ---------------------------------------------- the links of its chain */

enum {
	LINK_NR, LINK_FILE, LINK_TYPE, LINK_CAPACITY, LINK_CID,
	LINK_PARENT_CID, LINK_PARENT, LINK_MEMBER, LINK_CONTENT_ID,
	LINK_UNCLEAN, LINK_FAULT, NR_LINK
};

static const struct table_column link_columns[NR_LINK] = {
	[LINK_NR] = { "LINK", TABLE_NUMBER, false, "0 is the disk itself" },
	[LINK_FILE] = { "FILE", TABLE_STRING, false, "file" },
	[LINK_TYPE] = { "TYPE", TABLE_STRING, false, "create type" },
	[LINK_CAPACITY] = { "CAPACITY", TABLE_SIZE, false, "capacity" },
	[LINK_CID] = { "CID", TABLE_STRING, false, "content id" },
	[LINK_PARENT_CID] = { "PARENT-CID", TABLE_STRING, false,
			      "content id of the parent" },
	[LINK_PARENT] = { "PARENT", TABLE_STRING, false, "parent hint" },
	[LINK_MEMBER] = { "MEMBER", TABLE_STRING, true, "member of the OVA" },
	[LINK_CONTENT_ID] = { "CONTENT-ID", TABLE_STRING, true,
			      "long content id" },
	[LINK_UNCLEAN] = { "UNCLEAN", TABLE_BOOL, true, "unclean flag" },
	[LINK_FAULT] = { "FAULT", TABLE_STRING, true,
			 "what is wrong between it and its parent" },
};

static void print_help(void)
{
	fputs("Usage:\n"
	      " vmdkctl info [options] FILE|DEVICE\n"
	      "\n"
	      "Show what is known of a disk.  With --output, --raw or --noheadings this is\n"
	      "a table of one row; with --extents, a table of the extents.  Of an OVA,\n"
	      "without --disk, the disks are listed.\n"
	      "\n"
	      "Options:\n"
	      " -e, --extents           print the extents alone\n"
	      " -c, --chain             print the links of the chain alone: the disk, its\n"
	      "                         parent, the parent of that, and so on\n"
	      "     --allow-path DIR    extents and parents may lie below DIR too; may be\n"
	      "                         repeated\n"
	      "     --disk N|NAME       disk of an OVA: its number, from 1 on, or name\n"
	      TABLE_OPTIONS_HELP
	      "\n"
	      "Columns:\n", stdout);
	table_print_columns(disk_columns, NR_DISK);
	fputs("\nColumns with --extents:\n", stdout);
	table_print_columns(extent_columns, NR_EXT);
	fputs("\nColumns with --chain:\n", stdout);
	table_print_columns(link_columns, NR_LINK);
	fputs("\nColumns of an OVA:\n", stdout);
	info_ova_columns();
}

static const char *access_name(enum vmdk_access access)
{
	switch (access) {
	case VMDK_ACCESS_RW:
		return "RW";
	case VMDK_ACCESS_RDONLY:
		return "RDONLY";
	case VMDK_ACCESS_NONE:
		break;
	}
	return "NOACCESS";
}

static const char *format_name(enum vmdk_kind kind)
{
	static const char * const names[] = {
		[VMDK_KIND_FLAT] = "flat",
		[VMDK_KIND_ZERO] = "zero",
		[VMDK_KIND_SPARSE] = "sparse",
		[VMDK_KIND_DEVICE] = "device",
		[VMDK_KIND_COWD] = "COWD",
		[VMDK_KIND_SESPARSE] = "seSparse",
	};

	return (size_t)kind < ARRAY_SIZE(names) ? names[kind] : NULL;
}

static void set_header(struct table *table,
		       const struct vmdk_image_extent *extent)
{
	const struct vmdk_geometry *geo = &extent->geo;
	char flags[16];

	table_set_number(table, EXT_GRAIN_SIZE,
			 (uint64_t)geo->grain_sectors << VMDK_SECTOR_SHIFT);
	if (extent->kind == VMDK_KIND_SESPARSE)
		return;
	table_set_bool(table, EXT_FOOTER, extent->footer);
	table_set_bool(table, EXT_COMPRESSED,
		       geo->flags & VMDK_FLAG_COMPRESSED);
	table_set_bool(table, EXT_ZEROED, geo->flags & VMDK_FLAG_ZEROED);
	table_set_bool(table, EXT_REDUNDANT, geo->flags & VMDK_FLAG_RGD);
	table_set_bool(table, EXT_UNCLEAN, geo->unclean);
	table_set_number(table, EXT_VERSION, geo->version);
	snprintf(flags, sizeof(flags), "0x%08" PRIx32, geo->flags);
	table_set_string(table, EXT_FLAGS, flags);
}

static void add_extent(struct table *table, uint64_t start,
		       const struct vmdk_image_extent *extent)
{
	table_add_row(table);
	table_set_number(table, EXT_START, start);
	table_set_number(table, EXT_SECTORS, extent->desc->sectors);
	table_set_string(table, EXT_ACCESS, access_name(extent->desc->access));
	table_set_string(table, EXT_TYPE,
			 vmdk_extent_type_name(extent->desc->type));
	table_set_string(table, EXT_NAME, extent->desc->name);
	table_set_string(table, EXT_FILE, extent->path);
	table_set_string(table, EXT_DEVICE_ID, extent->desc->device_id);
	table_set_string(table, EXT_FAULT, extent->open_error);
	if (extent->fd >= 0) {
		table_set_number(table, EXT_OFFSET, extent->offset);
		table_set_number(table, EXT_ALLOCATED, extent->allocated);
		table_set_number(table, EXT_FILE_SIZE, extent->file_bytes);
	}
	table_set_string(table, EXT_FORMAT, format_name(extent->kind));
	if (extent->has_header)
		set_header(table, extent);
}

static void add_extents(struct table *table, const struct vmdk_image *image)
{
	uint64_t start = 0;
	size_t i;

	for (i = 0; i < image->nr_extents; i++) {
		add_extent(table, start, &image->extents[i]);
		start += image->extents[i].desc->sectors;
	}
}

static uint64_t allocated_bytes(const struct vmdk_image *image)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < image->nr_extents; i++)
		if (image->extents[i].fd >= 0)
			sum += image->extents[i].allocated;
	return sum;
}

static void set_ids(struct table *table, const struct vmdk_descriptor *desc)
{
	char cid[16];

	if (desc->has_cid) {
		snprintf(cid, sizeof(cid), "%08" PRIx32, desc->cid);
		table_set_string(table, DISK_CID, cid);
	}
	snprintf(cid, sizeof(cid), "%08" PRIx32, desc->parent_cid);
	table_set_string(table, DISK_PARENT_CID, cid);
	table_set_string(table, DISK_CONTENT_ID, desc->long_content_id);
	table_set_string(table, DISK_UUID, desc->uuid);
	table_set_string(table, DISK_PARENT, desc->parent_hint);
}

static void set_descriptor(struct table *table,
			   const struct vmdk_descriptor *desc)
{
	table_set_string(table, DISK_TYPE, desc->create_type);
	set_ids(table, desc);
	table_set_string(table, DISK_ADAPTER, desc->adapter_type);
	table_set_chs(table, DISK_GEOMETRY, &desc->physical);
	table_set_chs(table, DISK_BIOS_GEOMETRY, &desc->bios);
	table_set_string(table, DISK_HW_VERSION, desc->hw_version);
	table_set_string(table, DISK_TOOLS_VERSION, desc->tools_version);
	table_set_string(table, DISK_THIN, desc->thin_provisioned);
	table_set_number(table, DISK_VERSION, desc->version);
	table_set_string(table, DISK_ENCODING, desc->encoding);
	table_set_string(table, DISK_CHANGE_TRACK, desc->change_track);
}

static void set_member(struct table *table, const struct vmdk_image *image)
{
	table_set_string(table, DISK_MEMBER, image->member);
	if (!image->member)
		return;
	table_set_number(table, DISK_MEMBER_OFFSET, image->member_offset);
	table_set_number(table, DISK_MEMBER_SIZE, image->member_bytes);
	if (image->windows.nr)
		table_set_number(table, DISK_CHUNKS, image->windows.nr);
}

static void set_image(struct table *table, const struct vmdk_image *image)
{
	table_set_string(table, DISK_FILE, image->path);
	set_member(table, image);
	table_set_string(table, DISK_READ_ONLY, image->read_only);
	table_set_number(table, DISK_CAPACITY,
			 image->sectors << VMDK_SECTOR_SHIFT);
	table_set_number(table, DISK_SECTORS, image->sectors);
	table_set_number(table, DISK_ALLOCATED, allocated_bytes(image));
	table_set_bool(table, DISK_EMBEDDED, image->embedded);
	table_set_bool(table, DISK_UNCLEAN, image->unclean);
	table_set_number(table, DISK_EXTENTS, image->nr_extents);
	table_set_string(table, DISK_FAULT, image->refusal);
	set_descriptor(table, &image->desc);
}

static const struct {
	size_t column;
	const char *attribute;
} live[] = {
	{ DISK_STATE, "vmdk/state" },
	{ DISK_LIVE_CID, "vmdk/cid" },
	{ DISK_RO, "vmdk/read_only" },
	{ DISK_AUTOCLEAR, "vmdk/autoclear" },
	{ DISK_DIO, "vmdk/direct_io" },
	{ DISK_LINKS, "vmdk/links" },
};

static void set_live(struct table *table, unsigned int disk)
{
	char value[SYSFS_VALUE_MAX], *node;
	uint64_t number;
	size_t i;

	node = vmdkctl_format("/dev/vmdk%u", disk);
	table_set_string(table, DISK_DEVICE, node);
	free(node);
	for (i = 0; i < ARRAY_SIZE(live); i++) {
		if (disk_columns[live[i].column].type == TABLE_STRING) {
			if (!sysfs_read(disk, live[i].attribute, value))
				table_set_string(table, live[i].column, value);
		} else if (!sysfs_read_number(disk, live[i].attribute,
					      &number)) {
			table_set_number(table, live[i].column, number);
		}
	}
}

/* -------------------------------------------------------------- output */

/* The three tables, of which two are lists. */
struct lists {
	struct table *extents, *links;
};

static int print_lists(const struct lists *lists, bool is_chain)
{
	putchar('\n');
	if (table_print(lists->extents))
		return -1;
	if (!is_chain)
		return 0;
	putchar('\n');
	return table_print(lists->links);
}

static int print_tables(struct table *disk, const struct lists *lists,
			bool is_chain, const struct table_options *opt)
{
	struct json_object *object;

	if (opt->json) {
		object = table_row_json(disk, 0);
		/* without --output, all that is known is in one object */
		if (!opt->output) {
			json_object_object_add(object, "extents",
					       table_json(lists->extents));
			json_object_object_add(object, "chain",
					       table_json(lists->links));
		}
		return table_print_json(object);
	}
	if (opt->output || opt->noheadings || opt->raw)
		return table_print(disk);
	if (table_print_vertical(disk))
		return -1;
	return print_lists(lists, is_chain);
}

static bool has_faulty_extent(const struct vmdk_image *image)
{
	size_t i;

	for (i = 0; i < image->nr_extents; i++)
		if (image->extents[i].open_error)
			return true;
	return false;
}

static int print_list(struct table *list, const struct table_options *opt)
{
	return opt->json ? table_print_json(table_json(list)) :
			   table_print(list);
}

static char *link_fault(const struct vmdk_chain *chain, size_t i)
{
	if (vmdk_chain_differs(chain, i))
		return vmdkctl_format("its parent has another content id");
	if (i + 1 == chain->nr && chain->fault)
		return vmdkctl_format("%s", chain->fault);
	return NULL;
}

static void set_link_ids(struct table *table,
			 const struct vmdk_descriptor *desc)
{
	char cid[16];

	if (desc->has_cid) {
		snprintf(cid, sizeof(cid), "%08" PRIx32, desc->cid);
		table_set_string(table, LINK_CID, cid);
	}
	snprintf(cid, sizeof(cid), "%08" PRIx32, desc->parent_cid);
	table_set_string(table, LINK_PARENT_CID, cid);
	table_set_string(table, LINK_PARENT, desc->parent_hint);
	table_set_string(table, LINK_CONTENT_ID, desc->long_content_id);
}

static void add_link(struct table *table, const struct vmdk_chain *chain,
		     size_t i)
{
	const struct vmdk_image *image = chain->links[i];
	char *fault = link_fault(chain, i);

	table_add_row(table);
	table_set_number(table, LINK_NR, i);
	table_set_string(table, LINK_FILE, image->path);
	table_set_string(table, LINK_MEMBER, image->member);
	table_set_string(table, LINK_TYPE, image->desc.create_type);
	table_set_number(table, LINK_CAPACITY,
			 image->sectors << VMDK_SECTOR_SHIFT);
	table_set_bool(table, LINK_UNCLEAN, image->unclean);
	table_set_string(table, LINK_FAULT, fault);
	set_link_ids(table, &image->desc);
	free(fault);
}

static void add_links(struct table *table, const struct vmdk_chain *chain)
{
	size_t i;

	for (i = 0; i < chain->nr; i++)
		add_link(table, chain, i);
}

/* How long a chain is that cannot be followed to its end, nobody knows. */
static void set_chain(struct table *table, const struct vmdk_chain *chain)
{
	if (chain->fault)
		table_set_string(table, DISK_FAULT, chain->fault);
	else
		table_set_number(table, DISK_LINKS, chain->nr);
}

/* @disk: negative when it is not attached */
static int show_image(const struct vmdk_chain *chain, int64_t disk,
		      const struct table_options *opt,
		      const struct lists *lists)
{
	struct table *about = table_new(disk_columns, NR_DISK, opt);
	int ret;

	if (!about)
		return -1;
	table_add_row(about);
	set_image(about, chain->links[0]);
	set_chain(about, chain);
	if (disk >= 0)
		set_live(about, disk);
	ret = print_tables(about, lists, vmdk_has_parent(chain->links[0]),
			   opt);
	table_free(about);
	return ret;
}

/* --output is about one of the three tables, @wanted or not. */
static struct table *new_list(const struct table_column *columns, size_t nr,
			      const struct table_options *opt, bool wanted,
			      bool faulty)
{
	struct table_options mine = *opt;

	if (!wanted)
		mine.output = NULL;
	if (!mine.output && !opt->json && faulty)
		mine.output = "+FAULT";
	return table_new(columns, nr, &mine);
}

static int print(const struct request *req, const struct vmdk_chain *chain,
		 int64_t disk, const struct lists *lists)
{
	if (req->extents_only)
		return print_list(lists->extents, req->opt);
	if (req->chain_only)
		return print_list(lists->links, req->opt);
	return show_image(chain, disk, req->opt, lists);
}

static int show(const struct request *req, const struct vmdk_chain *chain,
		int64_t disk)
{
	const struct vmdk_image *image = chain->links[0];
	struct lists lists;
	int ret = -1;

	lists.extents = new_list(extent_columns, NR_EXT, req->opt,
				 req->extents_only, has_faulty_extent(image));
	if (!lists.extents)
		return STATUS_FAILED;
	lists.links = new_list(link_columns, NR_LINK, req->opt, req->chain_only,
			       chain->fault || chain->differs);
	if (lists.links) {
		add_extents(lists.extents, image);
		add_links(lists.links, chain);
		ret = print(req, chain, disk, &lists);
		table_free(lists.links);
	}
	table_free(lists.extents);
	return ret ? STATUS_FAILED : STATUS_OK;
}

/* A member of an OVA may be attached, and so may others: where it begins tells. */
static int64_t find_member_disk(const struct vmdk_image *image, int64_t first)
{
	unsigned int *disks;
	uint64_t offset;
	int64_t found = -1;
	size_t i, nr;

	if (first >= 0 && !sysfs_read_number(first, "vmdk/offset", &offset) &&
	    offset == image->member_offset)
		return first;
	if (sysfs_disks_of_file(image->path, &disks, &nr))
		nr = 0;
	for (i = 0; i < nr && found < 0; i++)
		if (!sysfs_read_number(disks[i], "vmdk/offset", &offset) &&
		    offset == image->member_offset)
			found = disks[i];
	free(disks);
	return found;
}

static int show_file(const struct request *req, const char *path, int64_t disk)
{
	const struct vmdk_chain_options open = {
		.open = { .no_extents = true, .disk = req->disk,
			  .allow_paths = req->allow_paths },
		.force_cid = true, .partial = true,
	};
	struct vmdk_chain chain;
	char *why;
	int status;

	if (!req->disk && info_is_ova(path))
		return info_ova(path, req->opt);
	if (vmdk_chain_open(path, &open, &chain, &why)) {
		vmdkctl_error("%s", why ? why : "out of memory");
		free(why);
		return STATUS_FAILED;
	}
	if (chain.links[0]->member)
		disk = find_member_disk(chain.links[0], disk);
	status = show(req, &chain, disk);
	vmdk_chain_close(&chain);
	return status;
}

/* The --disk that a device is, in new memory; NULL when it is in no OVA. */
static char *number_of_disk(const char *path, unsigned int disk)
{
	const struct vmdk_ova_disk *member;
	char *number = NULL, *why = NULL;
	struct vmdk_ova ova;
	uint64_t offset;

	if (sysfs_read_number(disk, "vmdk/offset", &offset) || !offset ||
	    !info_is_ova(path))
		return NULL;
	if (!info_ova_read(path, &ova, &why)) {
		member = info_ova_disk_at(&ova, offset);
		if (member)
			number = vmdkctl_format("%zu", member - ova.disks + 1);
	}
	vmdk_ova_free(&ova);
	free(why);
	return number;
}

static int show_disk(const struct request *req, unsigned int disk)
{
	struct request one = *req;
	char path[SYSFS_VALUE_MAX], *number = NULL;
	int ret;

	ret = sysfs_read(disk, "vmdk/backing_file", path);
	if (ret) {
		vmdkctl_error("/sys/block/vmdk%u/vmdk/backing_file: %s", disk,
			      strerror(-ret));
		return STATUS_UNKNOWN;
	}
	if (!one.disk)
		number = number_of_disk(path, disk);
	if (number)
		one.disk = number;
	ret = show_file(&one, path, disk);
	free(number);
	return ret;
}

/* A file may be attached, even more than once: the first one is shown. */
static int64_t find_disk(const char *path)
{
	unsigned int *disks;
	int64_t disk = -1;
	size_t nr;

	if (!sysfs_disks_of_file(path, &disks, &nr) && nr)
		disk = disks[0];
	free(disks);
	return disk;
}

static int info(const struct request *req, const char *arg)
{
	unsigned int disk;

	switch (sysfs_device(arg, &disk)) {
	case 0:
		return show_disk(req, disk);
	case -ENOTBLK:
		return show_file(req, arg, find_disk(arg));
	case -EINVAL:
		vmdkctl_error("%s: a partition; the disk is /dev/vmdk%u", arg,
			      disk);
		return STATUS_FAILED;
	default:
		vmdkctl_error("%s: not attached", arg);
		return STATUS_FAILED;
	}
}

static int parse(int argc, char **argv, struct request *req,
		 struct table_options *opt)
{
	static const struct option extra[] = {
		{ "extents", no_argument, NULL, 'e' },
		{ "chain", no_argument, NULL, 'c' },
		{ "disk", required_argument, NULL, OPTION_DISK },
		{ "allow-path", required_argument, NULL, OPTION_ALLOW_PATH },
		{ NULL, 0, NULL, 0 },
	};
	char **folder = req->allow_paths;
	int c;

	while ((c = table_getopt(argc, argv, extra, opt)) == 'e' || c == 'c' ||
	       c >= OPTION_DISK) {
		if (c == OPTION_DISK)
			req->disk = optarg;
		else if (c == OPTION_ALLOW_PATH)
			*folder++ = optarg;
		else
			*(c == 'e' ? &req->extents_only : &req->chain_only) =
				true;
	}
	if (c == 'h') {
		print_help();
		return STATUS_OK;
	}
	if (c != -1)
		return vmdkctl_usage("info");
	if (optind != argc - 1) {
		vmdkctl_error(optind == argc ? "a file or device is needed" :
			      "one file or device at a time");
		return vmdkctl_usage("info");
	}
	return info(req, argv[optind]);
}

int verb_info(int argc, char **argv)
{
	struct table_options opt = { 0 };
	struct request req = { .opt = &opt };
	int status;

	req.allow_paths = vmdkctl_strings(argc);
	status = parse(argc, argv, &req, &opt);
	free(req.allow_paths);
	return status;
}
