/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The disks that an OVF descriptor lists.
 */
#ifndef VMDK_OVF_H
#define VMDK_OVF_H

#include <stddef.h>
#include <stdint.h>

#define VMDK_OVF_BYTES_MAX	(16U << 20)

/* References/File */
struct vmdk_ovf_file {
	char *id, *href;	/* href is never NULL */
	char *compression;	/* NULL or "identity": none */
	uint64_t chunk_size;	/* 0: in one piece */
	uint64_t size;		/* of all chunks; 0: not given */
};

/* DiskSection/Disk */
struct vmdk_ovf_disk {
	char *id;		/* NULL: not given */
	char *file_ref;		/* NULL: an empty disk */
	char *parent_ref;	/* NULL: not a child of another one */
};

struct vmdk_ovf {
	struct vmdk_ovf_file *files;
	size_t nr_files;
	struct vmdk_ovf_disk *disks;	/* in order */
	size_t nr_disks;
};

int vmdk_ovf_parse(const char *text, size_t size, const char *path,
		   struct vmdk_ovf *ovf, char **why);
void vmdk_ovf_free(struct vmdk_ovf *ovf);
const struct vmdk_ovf_file *vmdk_ovf_find(const struct vmdk_ovf *ovf,
					  const char *id);

#endif
