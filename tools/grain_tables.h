/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Both copies of the directory and the tables of a hosted sparse or COWD extent,
 * as they lie in the file.  What they mean is check.c's to judge.
 */
#ifndef VMDK_GRAIN_TABLES_H
#define VMDK_GRAIN_TABLES_H

#include "part.h"
#include "vmdk_format.h"

enum vmdk_copy { VMDK_PRIMARY, VMDK_REDUNDANT, VMDK_COPIES };

/* Tables first to first + count - 1, which lie side by side in the file. */
struct vmdk_table_run {
	__le32 *entries;
	u32 first, count;
};

struct vmdk_tables {
	struct vmdk_part part;		/* where the extent is */
	u64 file_bytes, file_sectors;	/* of the extent */
	u64 whole_sectors;		/* of these; where tables can be */
	struct vmdk_geometry geo;
	unsigned int copies;		/* 1 or 2 */
	u32 gd_slots;			/* entries in the sectors of a directory */
	u32 *gd[VMDK_COPIES];		/* gd_slots entries each, in host order */
	struct vmdk_table_run run[VMDK_COPIES];
};

int vmdk_tables_open(struct vmdk_tables *t, int fd, struct vmdk_fault *fault);
int vmdk_tables_open_stream(struct vmdk_tables *t, const struct vmdk_part *part,
			    struct vmdk_fault *fault);
int vmdk_tables_open_cowd(struct vmdk_tables *t, int fd,
			  struct vmdk_fault *fault);
void vmdk_tables_close(struct vmdk_tables *t);
int vmdk_tables_get(struct vmdk_tables *t, enum vmdk_copy copy, u32 index,
		    const __le32 **table);
u64 vmdk_tables_directory(const struct vmdk_tables *t, enum vmdk_copy copy);
int vmdk_pread_all(int fd, void *buf, size_t size, u64 offset);
int vmdk_pwrite_all(int fd, const void *buf, size_t size, u64 offset);

#endif
