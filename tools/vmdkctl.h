/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the verbs of vmdkctl share: messages, exit statuses, output as tables
 * or JSON, and what sysfs says of the disks that are attached.
 */
#ifndef VMDK_VMDKCTL_H
#define VMDK_VMDKCTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "descriptor.h"
#include "vmdk_format.h"

struct vmdk_image;
struct option;

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* Exit statuses, as losetup has them; `check` has its own, as qemu-img. */
enum vmdkctl_status {
	STATUS_OK		= 0,
	STATUS_FAILED		= 1,
	STATUS_UNKNOWN		= 2,	/* the state of a disk cannot be told */
	STATUS_CORRUPT		= 2,	/* check */
	STATUS_LEAKS		= 3,	/* check */
	STATUS_UNSUPPORTED	= 63,	/* check */
};

/* The verbs: argv[0] is the name of the program; each returns an exit status. */
int verb_attach(int argc, char **argv);
int verb_detach(int argc, char **argv);
int verb_list(int argc, char **argv);
int verb_info(int argc, char **argv);
int verb_check(int argc, char **argv);
int verb_snapshot(int argc, char **argv);
int verb_commit(int argc, char **argv);
int verb_resize(int argc, char **argv);

/* vmdkctl.c */
__printf(1, 2) void vmdkctl_error(const char *fmt, ...);
__printf(1, 2) void vmdkctl_warn(const char *fmt, ...);
__printf(1, 2) char *vmdkctl_format(const char *fmt, ...);
int vmdkctl_usage(const char *verb);
char **vmdkctl_strings(int nr);
void *vmdkctl_grow(void *array, size_t n, size_t size);
int vmdkctl_open_control(bool load_module);

/* table.c */
enum table_type {
	TABLE_STRING,
	TABLE_NUMBER,
	TABLE_SIZE,	/* bytes; for people with a suffix */
	TABLE_BOOL,
	TABLE_CHS,	/* cylinders, heads and sectors */
};

struct table_column {
	const char *name;	/* heading, and what --output takes */
	enum table_type type;
	bool extra;		/* shown on demand only */
	const char *help;
};

struct table_options {
	const char *output;	/* -o */
	bool noheadings, raw, bytes, json;
};

#define TABLE_OPTIONS_HELP \
	" -o, --output LIST       columns to print, and their order; +LIST adds to the default\n" \
	" -n, --noheadings        print no heading\n" \
	"     --raw               print columns with a single blank between them\n" \
	" -b, --bytes             print sizes in bytes\n" \
	" -J, --json              print JSON\n" \
	" -h, --help              print this text\n"

struct table;

#define TABLE_EXTRA_MAX	4	/* options that a verb has besides */

/* Options without a letter, and none of table.c's. */
enum { OPTION_DISK = 0x200, OPTION_CHAIN, OPTION_ALLOW_PATH };

int table_getopt(int argc, char **argv, const struct option *extra,
		 struct table_options *opt);
void table_print_columns(const struct table_column *columns, size_t nr);
struct table *table_new(const struct table_column *columns, size_t nr,
			const struct table_options *opt);
void table_free(struct table *table);
void table_add_row(struct table *table);
size_t table_rows(const struct table *table);
void table_set_string(struct table *table, size_t column, const char *value);
void table_set_number(struct table *table, size_t column, uint64_t value);
void table_set_bool(struct table *table, size_t column, bool value);
void table_set_chs(struct table *table, size_t column,
		   const struct vmdk_geom *value);
int table_print(const struct table *table);
int table_print_vertical(const struct table *table);
struct json_object *table_row_json(const struct table *table, size_t row);
struct json_object *table_json(const struct table *table);
struct json_object *table_json_string(const char *text);
int table_print_json(struct json_object *object);

/* sysfs.c: disks are known by the N of vmdkN */
#define SYSFS_VALUE_MAX	4097	/* one page of text */

int sysfs_read(unsigned int disk, const char *attribute,
	       char value[SYSFS_VALUE_MAX]);
int sysfs_read_number(unsigned int disk, const char *attribute,
		      uint64_t *number);
int sysfs_disks(unsigned int **disks, size_t *nr);
int sysfs_disks_of_file(const char *path, unsigned int **disks, size_t *nr);
int sysfs_parse_name(const char *name, unsigned int *disk, bool *partition);
int sysfs_device(const char *arg, unsigned int *disk);
int sysfs_device_or_file(const char *arg, unsigned int *disk);
int sysfs_backing_file(unsigned int disk, char path[SYSFS_VALUE_MAX]);

/* size.c */
int size_parse(const char *arg, uint64_t *size);

/* detach.c */
int detach_disk(int control, unsigned int disk, uint32_t flags);

/* users.c */
char *users_of_disk(unsigned int disk, bool *passing);

/**
 * struct mount_point - a line of mountinfo
 * @target: folder, or file, that it is mounted on
 * @id: of the mount, as statx() has it
 * @dev: of the file system; the files of btrfs say otherwise
 * @of_disk: it is mounted from the disk that was asked for
 */
struct mount_point {
	char *target;
	uint64_t id;
	dev_t dev;
	bool of_disk;
};

struct mounts {
	struct mount_point *list;
	size_t nr;
};

void mounts_read(unsigned int disk, struct mounts *mounts);
void mounts_free(struct mounts *mounts);

/* freeze.c */
struct frozen_fs {
	int fd;		/* where it is mounted */
	dev_t dev;
};

struct frozen {
	struct frozen_fs *list;
	size_t nr;
};

int freeze_lies_on(unsigned int disk, const char *path);
int freeze_disk(unsigned int disk, const char *path, struct frozen *frozen);
void freeze_thaw(struct frozen *frozen);

/* content_id.c */
int content_id_renew(const struct vmdk_image *image,
		     struct vmdk_patch patches[VMDK_MAX_PATCHES],
		     uint32_t *nr_patches, uint32_t *new_cid);

#endif
