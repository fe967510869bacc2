/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An OVA: a tar archive of an OVF descriptor and the files that it refers to.
 * The disks are used where they lie in it.
 */
#ifndef VMDK_OVA_H
#define VMDK_OVA_H

#include <stddef.h>
#include <stdint.h>

#include "part.h"

/**
 * struct vmdk_ova_disk - a disk of an appliance
 * @name: of the member, or what the descriptor calls it; never NULL
 * @id: diskId in the descriptor, or NULL
 * @offset: byte of the archive at which it, or its first chunk, begins
 * @size: its bytes in the archive
 * @windows: its chunks, where there are several; else empty
 * @refusal: why it cannot be used, one line; NULL when it can
 */
struct vmdk_ova_disk {
	char *name, *id;
	uint64_t offset, size;
	struct vmdk_windows windows;
	char *refusal;
};

struct vmdk_ova {
	struct vmdk_ova_disk *disks;	/* in the order of the descriptor */
	size_t nr;
};

int vmdk_ova_read(int fd, uint64_t bytes, const char *path,
		  struct vmdk_ova *ova, char **why);
void vmdk_ova_decode_name(char *s);
void vmdk_ova_free(struct vmdk_ova *ova);
int vmdk_ova_choose(const struct vmdk_ova *ova, const char *which,
		    const char *path, size_t *index, char **why);

#endif
