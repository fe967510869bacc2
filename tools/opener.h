/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An image while it is being opened: what image.c, probe.c, extents.c and
 * inspect.c share.
 */
#ifndef VMDK_OPENER_H
#define VMDK_OPENER_H

#include <sys/stat.h>

#include "image.h"
#include "path.h"

#define ULL(n)		((unsigned long long)(n))

/**
 * struct vmdk_place - where an extent, or all of an image, lies
 * @part: the bytes; what messages call a byte counts from its start
 * @path: what messages call it
 */
struct vmdk_place {
	struct vmdk_part part;
	const char *path;
};

/**
 * struct vmdk_opener - an image while it is being opened
 * @file: the file that the user, or a child of it, named
 * @fd: that file when it is open already, and has been found to be one; or -1
 * @path: what messages call it; for a member of an OVA, "file:member"
 * @label: memory of @path, or NULL
 * @opt: what for
 * @img: what there is of it so far
 * @st: attributes of the file that the user named
 * @place: where the image lies in that file: all of it, or a member of an OVA
 * @header: its first sector, zeros where it is shorter
 * @self: that file is itself the only extent
 * @folder: where its other extents are
 * @why: the reason of a refusal
 */
struct vmdk_opener {
	const char *file;
	int fd;
	const char *path;
	char *label;
	const struct vmdk_open_options *opt;
	struct vmdk_image *img;
	struct stat st;
	struct vmdk_place place;
	struct vmdk_sparse_header header;
	bool self;
	struct vmdk_folder folder;
	char *why;
};

int vmdk_no_memory(struct vmdk_opener *o);
int vmdk_opener_lock(struct vmdk_opener *o, int fd, bool write, const char *path);
int vmdk_probe(struct vmdk_opener *o);
int vmdk_read_start(struct vmdk_opener *o, const struct vmdk_place *place,
		    void *buf, size_t size);
int vmdk_refuse_fault(struct vmdk_opener *o, const struct vmdk_place *place,
		      const struct vmdk_fault *fault);
int vmdk_decode_header(struct vmdk_opener *o, const struct vmdk_place *place,
		       const struct vmdk_sparse_header *header,
		       struct vmdk_geometry *geo);
int vmdk_decode_cowd(struct vmdk_opener *o, const struct vmdk_place *place,
		     struct vmdk_cowd_header *header, struct vmdk_geometry *geo);
int vmdk_open_extents(struct vmdk_opener *o);
int vmdk_inspect_extent(struct vmdk_opener *o, struct vmdk_image_extent *ext);

#endif
