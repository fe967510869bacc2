/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where the members of a tar archive lie in it.  Nothing is extracted, and no
 * name of a member is ever used as one of a file.
 */
#ifndef VMDK_TAR_H
#define VMDK_TAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmdk_format.h"

#define VMDK_TAR_BLOCK	512

/**
 * struct vmdk_tar_member - one file of an archive
 * @name: without a leading "./"
 * @offset: byte of the archive at which its data begin
 * @size: bytes of data; all of them lie in the archive
 * @odd: why the data cannot be used as they lie there, or NULL
 */
struct vmdk_tar_member {
	char *name;
	uint64_t offset, size;
	const char *odd;
};

struct vmdk_tar {
	struct vmdk_tar_member *members;	/* in order; no name twice */
	size_t nr;
};

bool vmdk_is_tar(const void *block, size_t size);
int vmdk_tar_read(int fd, uint64_t bytes, const char *path,
		  struct vmdk_tar *tar, char **why);
void vmdk_tar_free(struct vmdk_tar *tar);
const struct vmdk_tar_member *vmdk_tar_find(const struct vmdk_tar *tar,
					    const char *name);

#endif
