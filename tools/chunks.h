/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Files that an OVA holds in chunks: NAME.000000000, NAME.000000001 and so on.
 */
#ifndef VMDK_CHUNKS_H
#define VMDK_CHUNKS_H

#include "ovf.h"
#include "part.h"
#include "tar.h"

size_t vmdk_chunks_find(const struct vmdk_tar *tar, const char *name,
			const struct vmdk_tar_member **chunks);
char *vmdk_chunks_fault(const struct vmdk_ovf_file *file,
			const struct vmdk_tar_member *const *chunks, size_t nr);
int vmdk_chunks_join(const struct vmdk_tar_member *const *chunks, size_t nr,
		     struct vmdk_windows *windows);

#endif
