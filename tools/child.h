/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A new child of an image: a hosted sparse file without a grain, over anything.
 */
#ifndef VMDK_CHILD_H
#define VMDK_CHILD_H

#include "image.h"

int vmdk_child_hint(const char *path, const char *parent, char **hint,
		    char **why);
int vmdk_child_describe(const struct vmdk_image *parent, const char *name,
			const char *hint, uint32_t cid, char **text, char **why);
int vmdk_child_write(int fd, const struct vmdk_image *parent, const char *name,
		     const char *hint, char **why);
int vmdk_child_create(const char *path, const struct vmdk_image *parent,
		      char **why);
int vmdk_child_create_unnamed(const struct vmdk_image *parent, char **path,
			      char **why);
int vmdk_sync_folder(const char *path);

#endif
