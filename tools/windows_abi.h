/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT */
/*
 * What <linux/vmdk.h> still lacks for an extent whose file lies in several
 * ranges of another one, as the chunks of a disk in an OVA do.  Until a module
 * has the feature, nothing of this is sent.
 */
#ifndef VMDK_WINDOWS_ABI_H
#define VMDK_WINDOWS_ABI_H

#include "vmdk_ioctl.h"

#define VMDK_FEATURE_WINDOWS	(1ULL << 6)	/* extents in several windows */

#define VMDK_MAX_WINDOWS	4096	/* over all extents of one disk */

/**
 * struct vmdk_window_info - a range of the file of an extent
 * @offset: byte in the file; a multiple of 512
 * @length: bytes; a multiple of 512 for all but the last window of an extent
 */
struct vmdk_window_info {
	__u64 offset;
	__u64 length;
};

/* What will be members of their own takes the place of reserved ones. */
#define vmdk_attach_windows(attach)	((attach)->reserved[0])
#define vmdk_attach_nr_windows(attach)	((attach)->pad)
#define vmdk_extent_nr_windows(extent)	((extent)->reserved[0])

#endif
