// SPDX-License-Identifier: GPL-2.0
/*
 * vmdkctl list: all attached disks, from sysfs, without privileges.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "info.h"
#include "vmdkctl.h"

enum {
	COL_NAME, COL_SIZE, COL_TYPE, COL_RO, COL_STATE, COL_BACKING_FILE,
	COL_MAJMIN, COL_CID, COL_PARENT_CID, COL_LINKS, COL_GRAIN_SIZE,
	COL_AUTOCLEAR, COL_DIO, COL_ALLOCATED, COL_FREED, COL_HITS, COL_MISSES,
	COL_COMMITS, COL_MEMBER, COL_OFFSET, COL_LENGTH, NR_COLUMNS
};

static const struct table_column columns[NR_COLUMNS] = {
	[COL_NAME] = { "NAME", TABLE_STRING, false, "device" },
	[COL_SIZE] = { "SIZE", TABLE_SIZE, false, "size of the device" },
	[COL_TYPE] = { "TYPE", TABLE_STRING, false, "create type of the image" },
	[COL_RO] = { "RO", TABLE_BOOL, false, "read-only" },
	[COL_STATE] = { "STATE", TABLE_STRING, false,
			"live, folding, detaching, failed or damaged" },
	[COL_BACKING_FILE] = { "BACKING-FILE", TABLE_STRING, false,
			       "file that was attached" },
	[COL_MAJMIN] = { "MAJ:MIN", TABLE_STRING, true, "device number" },
	[COL_CID] = { "CID", TABLE_STRING, true, "content id" },
	[COL_PARENT_CID] = { "PARENT-CID", TABLE_STRING, true,
			     "content id of the parent" },
	[COL_LINKS] = { "LINKS", TABLE_NUMBER, true, "images in the chain" },
	[COL_GRAIN_SIZE] = { "GRAIN-SIZE", TABLE_SIZE, true,
			     "unit of allocation; 0 for a flat image" },
	[COL_AUTOCLEAR] = { "AUTOCLEAR", TABLE_BOOL, true,
			    "detached by its last close" },
	[COL_DIO] = { "DIO", TABLE_BOOL, true,
		      "direct I/O to the backing file" },
	[COL_ALLOCATED] = { "ALLOCATED", TABLE_NUMBER, true,
			    "grains allocated since the attach" },
	[COL_FREED] = { "FREED", TABLE_NUMBER, true,
			"grains freed since the attach" },
	[COL_HITS] = { "HITS", TABLE_NUMBER, true,
		       "grain tables found in memory" },
	[COL_MISSES] = { "MISSES", TABLE_NUMBER, true,
			 "grain tables read from the file" },
	[COL_COMMITS] = { "COMMITS", TABLE_NUMBER, true,
			  "times that table changes were made durable" },
	[COL_MEMBER] = { "MEMBER", TABLE_STRING, true,
			 "member of an OVA, where the OVA can be read" },
	[COL_OFFSET] = { "OFFSET", TABLE_NUMBER, true,
			 "byte of its file at which the image begins" },
	[COL_LENGTH] = { "LENGTH", TABLE_SIZE, true, "bytes of that member" },
};

/* How a column is read; TABLE_BOOL and TABLE_SIZE are numbers in sysfs. */
static const char *const attributes[NR_COLUMNS] = {
	[COL_TYPE] = "vmdk/create_type",
	[COL_RO] = "vmdk/read_only",
	[COL_STATE] = "vmdk/state",
	[COL_BACKING_FILE] = "vmdk/backing_file",
	[COL_MAJMIN] = "dev",
	[COL_CID] = "vmdk/cid",
	[COL_PARENT_CID] = "vmdk/parent_cid",
	[COL_LINKS] = "vmdk/links",
	[COL_GRAIN_SIZE] = "vmdk/grain_size",
	[COL_AUTOCLEAR] = "vmdk/autoclear",
	[COL_DIO] = "vmdk/direct_io",
	[COL_ALLOCATED] = "stats/grains_allocated",
	[COL_FREED] = "stats/grains_freed",
	[COL_HITS] = "stats/table_hits",
	[COL_MISSES] = "stats/table_misses",
	[COL_COMMITS] = "stats/commits",
	[COL_OFFSET] = "vmdk/offset",
};

static void print_help(void)
{
	fputs("Usage:\n"
	      " vmdkctl list [options]\n"
	      "\n"
	      "Show the devices that are attached.\n"
	      "\n"
	      "Options:\n"
	      TABLE_OPTIONS_HELP
	      "\n"
	      "Columns:\n", stdout);
	table_print_columns(columns, NR_COLUMNS);
}

static void read_cell(struct table *table, unsigned int disk, size_t column)
{
	char value[SYSFS_VALUE_MAX];
	uint64_t number;

	if (columns[column].type == TABLE_STRING) {
		if (!sysfs_read(disk, attributes[column], value))
			table_set_string(table, column, value);
	} else if (!sysfs_read_number(disk, attributes[column], &number)) {
		table_set_number(table, column, number);
	}
}

/* Only an OVA has something in front of its disks. */
static void set_member(struct table *table, unsigned int disk)
{
	const struct vmdk_ova_disk *member;
	char path[SYSFS_VALUE_MAX], *why = NULL;
	struct vmdk_ova ova;
	uint64_t offset;

	if (sysfs_read_number(disk, "vmdk/offset", &offset) || !offset ||
	    sysfs_read(disk, "vmdk/backing_file", path) || !info_is_ova(path))
		return;
	if (!info_ova_read(path, &ova, &why)) {
		member = info_ova_disk_at(&ova, offset);
		if (member) {
			table_set_string(table, COL_MEMBER, member->name);
			table_set_number(table, COL_LENGTH, member->size);
		}
	}
	vmdk_ova_free(&ova);
	free(why);
}

static void add_disk(struct table *table, unsigned int disk)
{
	uint64_t sectors;
	size_t i;
	char *name;

	/* gone since the folder was read */
	if (sysfs_read_number(disk, "size", &sectors))
		return;
	table_add_row(table);
	name = vmdkctl_format("/dev/vmdk%u", disk);
	table_set_string(table, COL_NAME, name);
	free(name);
	table_set_number(table, COL_SIZE, sectors << VMDK_SECTOR_SHIFT);
	for (i = 0; i < NR_COLUMNS; i++)
		if (attributes[i])
			read_cell(table, disk, i);
	set_member(table, disk);
}

static int list_disks(const struct table_options *opt)
{
	struct table *table = table_new(columns, NR_COLUMNS, opt);
	unsigned int *disks;
	size_t i, nr;
	int ret;

	if (!table)
		return STATUS_FAILED;
	ret = sysfs_disks(&disks, &nr);
	if (ret) {
		vmdkctl_error("/sys/block: %s", strerror(-ret));
		table_free(table);
		return STATUS_UNKNOWN;
	}
	for (i = 0; i < nr; i++)
		add_disk(table, disks[i]);
	free(disks);
	ret = opt->json ? table_print_json(table_json(table)) :
			  table_print(table);
	table_free(table);
	return ret ? STATUS_FAILED : STATUS_OK;
}

int verb_list(int argc, char **argv)
{
	struct table_options opt = { 0 };
	int c;

	c = table_getopt(argc, argv, NULL, &opt);
	if (c == 'h') {
		print_help();
		return STATUS_OK;
	}
	if (c != -1)
		return vmdkctl_usage("list");
	if (optind != argc) {
		vmdkctl_error("list takes no argument: '%s'", argv[optind]);
		return vmdkctl_usage("list");
	}
	return list_disks(&opt);
}
