// SPDX-License-Identifier: GPL-2.0
/*
 * vmdkctl info of an OVA: the disks that its descriptor lists.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "info.h"
#include "path.h"
#include "tar.h"

enum {
	COL_DISK, COL_NAME, COL_ID, COL_TYPE, COL_CAPACITY, COL_SIZE,
	COL_OFFSET, COL_CHUNKS, COL_FAULT, NR_COLUMNS
};

static const struct table_column columns[NR_COLUMNS] = {
	[COL_DISK] = { "DISK", TABLE_NUMBER, false, "what --disk takes" },
	[COL_NAME] = { "NAME", TABLE_STRING, false, "member of the archive" },
	[COL_ID] = { "ID", TABLE_STRING, false, "diskId in the OVF descriptor" },
	[COL_TYPE] = { "TYPE", TABLE_STRING, false, "create type" },
	[COL_CAPACITY] = { "CAPACITY", TABLE_SIZE, false, "capacity" },
	[COL_SIZE] = { "SIZE", TABLE_SIZE, false, "bytes in the archive" },
	[COL_OFFSET] = { "OFFSET", TABLE_NUMBER, true,
			 "byte of the archive at which it begins" },
	[COL_CHUNKS] = { "CHUNKS", TABLE_NUMBER, true,
			 "chunks that it is cut into" },
	[COL_FAULT] = { "FAULT", TABLE_STRING, true,
			"why it cannot be attached" },
};

/**
 * info_ova_columns - print what --output takes for an OVA, for --help
 */
void info_ova_columns(void)
{
	table_print_columns(columns, NR_COLUMNS);
}

/**
 * info_is_ova - is the file a tar archive?
 * @path: the file
 *
 * Return: true if it can be opened and is one.
 */
bool info_is_ova(const char *path)
{
	char block[VMDK_TAR_BLOCK], *why = NULL;
	struct stat st;
	ssize_t size;
	int fd;

	fd = vmdk_open_named(path, O_RDONLY, &st, &why);
	free(why);
	if (fd < 0)
		return false;
	size = pread(fd, block, sizeof(block), 0);
	close(fd);
	return size > 0 && vmdk_is_tar(block, size);
}

/**
 * info_ova_open - open a disk of an OVA whose disks have been read
 * @fd: the archive that they have been read from
 * @path: its name, for messages
 * @opt: what for, and which disk
 * @image: receives it; NULL on failure
 *
 * Return: 0, or -errno after one line on stderr.
 */
int info_ova_open(int fd, const char *path, const struct vmdk_open_options *opt,
		  struct vmdk_image **image)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 3), ret;
	char *why = NULL;

	*image = NULL;
	ret = own < 0 ? -errno :
	      vmdk_image_open_fd(own, path, opt, image, &why);
	if (ret)
		vmdkctl_error("%s", why ? why : strerror(-ret));
	free(why);
	return ret;
}

/* What the disk itself says; what is wrong with it goes to stderr. */
static void set_image(struct table *table, int fd, const char *path,
		      const struct vmdk_ova_disk *disk)
{
	const struct vmdk_open_options open = {
		.no_extents = true, .ova_disk = disk,
	};
	struct vmdk_image *image;

	if (!info_ova_open(fd, path, &open, &image)) {
		table_set_string(table, COL_TYPE, image->desc.create_type);
		table_set_number(table, COL_CAPACITY,
				 image->sectors << VMDK_SECTOR_SHIFT);
		table_set_string(table, COL_FAULT, image->refusal ?
				 image->refusal : image->extents->open_error);
		vmdk_image_close(image);
	}
}

static void add_disk(struct table *table, int fd, const char *path,
		     size_t number, const struct vmdk_ova_disk *disk)
{
	table_add_row(table);
	table_set_number(table, COL_DISK, number);
	table_set_string(table, COL_NAME, disk->name);
	table_set_string(table, COL_ID, disk->id);
	table_set_string(table, COL_FAULT, disk->refusal);
	if (disk->offset) {
		table_set_number(table, COL_SIZE, disk->size);
		table_set_number(table, COL_OFFSET, disk->offset);
		if (disk->windows.nr)
			table_set_number(table, COL_CHUNKS, disk->windows.nr);
	}
	if (!disk->refusal)
		set_image(table, fd, path, disk);
}

static int print_disks(const struct vmdk_ova *ova, int fd, const char *path,
		       const struct table_options *opt)
{
	struct table_options shown = *opt;
	struct json_object *object;
	struct table *table;
	size_t i;
	int ret;

	for (i = 0; i < ova->nr && !shown.output && !shown.json; i++)
		if (ova->disks[i].refusal)
			shown.output = "+FAULT";
	table = table_new(columns, NR_COLUMNS, &shown);
	if (!table)
		return -1;
	for (i = 0; i < ova->nr; i++)
		add_disk(table, fd, path, i + 1, &ova->disks[i]);
	if (opt->json) {
		object = json_object_new_object();
		json_object_object_add(object, "file", table_json_string(path));
		json_object_object_add(object, "disks", table_json(table));
		ret = table_print_json(object);
	} else {
		ret = table_print(table);
	}
	table_free(table);
	return ret;
}

/* The archive, open, and its disks; or -errno. */
static int open_and_read(const char *path, struct vmdk_ova *ova, char **why)
{
	struct stat st;
	int fd, ret;

	memset(ova, 0, sizeof(*ova));
	fd = vmdk_open_named(path, O_RDONLY, &st, why);
	if (fd < 0)
		return fd;
	ret = vmdk_ova_read(fd, st.st_size, path, ova, why);
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

/**
 * info_ova_read - find the disks of an OVA
 * @path: the archive
 * @ova: receives the disks; empty after a failure
 * @why: receives the reason of a failure
 *
 * Return: 0 or -errno.
 */
int info_ova_read(const char *path, struct vmdk_ova *ova, char **why)
{
	int fd = open_and_read(path, ova, why);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

/**
 * info_ova_disk_at - which disk begins there?
 * @ova: the appliance
 * @offset: byte of the archive
 *
 * Return: the disk or NULL.
 */
const struct vmdk_ova_disk *info_ova_disk_at(const struct vmdk_ova *ova,
					     uint64_t offset)
{
	size_t i;

	for (i = 0; i < ova->nr; i++)
		if (ova->disks[i].offset == offset && !ova->disks[i].refusal)
			return &ova->disks[i];
	return NULL;
}

/**
 * info_ova - list the disks of an OVA
 * @path: the archive
 * @opt: how to print
 *
 * Return: an exit status.
 */
int info_ova(const char *path, const struct table_options *opt)
{
	struct vmdk_ova ova;
	char *why = NULL;
	int fd, ret = -1;

	fd = open_and_read(path, &ova, &why);
	if (fd < 0) {
		vmdkctl_error("%s", why ? why : strerror(-fd));
	} else {
		ret = print_disks(&ova, fd, path, opt);
		close(fd);
	}
	vmdk_ova_free(&ova);
	free(why);
	return ret ? STATUS_FAILED : STATUS_OK;
}
