/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of ctl share; ctl.c says what it does. */
#ifndef CTL_H
#define CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmdk_ioctl.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define EXTENTS_SHOWN	10
#define SECTOR		512

/* In pages of its own, so that they can be sealed. */
struct request {
	_Alignas(4096) struct vmdk_attach head;
	struct vmdk_link_info link[VMDK_MAX_LINKS];
	struct vmdk_extent_info extent[VMDK_MAX_EXTENTS];
	struct vmdk_patch patch[VMDK_MAX_PATCHES];
	struct vmdk_detach detach;
	struct vmdk_resize resize;
	struct vmdk_snapshot snapshot;
	struct vmdk_fold_progress progress;
	char message[4096];
};

/* A member of one of its structures, @count times @size bytes. */
struct member {
	const char *path, *name;
	size_t offset, size, count;
};

extern const struct member members[];
extern const size_t nr_members;

/* The allocation that fails, 0: none; only in calls of this name; has one failed? */
struct starving {
	unsigned int nth;
	const char *call;
	bool met;
};

extern struct starving starving;
extern int control;

/* ctl_base.c */
_Noreturn void die(const char *what);
_Noreturn void usage(const char *what);
void *map_pages(size_t bytes);
uint64_t edge(size_t bytes);
uint64_t unmapped(void);
void *sealed_zeros(void);
uint64_t parse_number(const char *text);
int open_file(const char *path, int flags);
const char *error_name(int err);
int print_result(const char *message);

/* ctl_request.c */
void *structure(struct request *req, const char *path, size_t len);
void put_value(struct request *req, const char *arg);
void add_extent(struct request *req, const char *arg);
void init_request(struct request *req);
void build_attach(struct request *req, int argc, char **argv);
void build_snapshot(struct request *req, int index);

/* ctl_files.c */
void copy_data(int from, int to, const char *path);
int do_poke(const char *path, int argc, char **argv);
int do_copy(int argc, char **argv);
int do_truncate(const char *path, const char *bytes);
int do_same(const char *path, const char *other_path);
int do_pieces(char **argv);

/* ctl_device.c */
int do_harm(const char *path);
int do_range(char **argv);
int do_direct(const char *path);
int do_coherent(const char *path);
int do_arguments(const char *path);
int do_io(const char *way, const char *device, const char *raw, const char *start);

/* ctl_fuzz.c */
int do_fuzz(int argc, char **argv);

#endif
