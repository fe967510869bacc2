/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A file within a file: a range of it, or several that belong together, as the
 * chunks of a disk in an OVA do.  Whoever reads it sees one file.
 */
#ifndef VMDK_PART_H
#define VMDK_PART_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/**
 * struct vmdk_window - one range
 * @start: byte of the inner file that it begins with
 * @offset: where that is in the outer one
 * @length: bytes, not 0
 */
struct vmdk_window {
	uint64_t start, offset, length;
};

/**
 * struct vmdk_windows - ranges, one after the other without a gap
 * @list: @nr of them
 * @bytes: of all of them
 */
struct vmdk_windows {
	struct vmdk_window *list;
	size_t nr;
	uint64_t bytes;
};

/**
 * struct vmdk_part - what is read as a file of its own
 * @fd: the outer file
 * @windows: the ranges that it consists of; NULL: it is in one piece
 * @base: byte at which it begins: of @windows if there are any, else of @fd
 * @bytes: its size
 */
struct vmdk_part {
	int fd;
	const struct vmdk_windows *windows;
	uint64_t base, bytes;
};

int vmdk_windows_add(struct vmdk_windows *windows, uint64_t offset,
		     uint64_t length);
int vmdk_windows_copy(struct vmdk_windows *windows,
		      const struct vmdk_windows *from);
void vmdk_windows_free(struct vmdk_windows *windows);
ssize_t vmdk_part_pread(const struct vmdk_part *part, void *buf, size_t size,
			uint64_t pos);
int vmdk_part_read(const struct vmdk_part *part, void *buf, size_t size,
		   uint64_t pos);

#endif
