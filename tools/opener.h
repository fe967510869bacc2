/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An image while it is being opened: what image.c, probe.c and extents.c share.
 */
#ifndef VMDK_OPENER_H
#define VMDK_OPENER_H

#include <sys/stat.h>

#include "image.h"
#include "path.h"

#define VMDK_NO_PARENT	0xffffffffU
#define ULL(n)		((unsigned long long)(n))

/**
 * struct vmdk_opener - an image while it is being opened
 * @path: the file that the user named
 * @opt: what for
 * @img: what there is of it so far
 * @st: attributes of the file that the user named
 * @header: its first sector, zeros where it is shorter
 * @self: that file is itself the only extent
 * @folder: where its other extents are
 * @why: the reason of a refusal
 */
struct vmdk_opener {
	const char *path;
	const struct vmdk_open_options *opt;
	struct vmdk_image *img;
	struct stat st;
	struct vmdk_sparse_header header;
	bool self;
	struct vmdk_folder folder;
	char *why;
};

int vmdk_no_memory(struct vmdk_opener *o);
int vmdk_probe(struct vmdk_opener *o);
int vmdk_read_header(struct vmdk_opener *o, int fd, const char *path,
		     uint64_t file_bytes, struct vmdk_sparse_header *header);
int vmdk_decode_header(struct vmdk_opener *o, const char *path,
		       const struct vmdk_sparse_header *header,
		       uint64_t file_bytes, struct vmdk_geometry *geo);
int vmdk_open_extents(struct vmdk_opener *o);

#endif
