/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An image: a descriptor with its extents found, opened and locked.
 *
 * Names come from untrusted text.  They are opened beneath the folder of the
 * descriptor and nowhere else, unless the caller allows a folder or a device.
 */
#ifndef VMDK_IMAGE_H
#define VMDK_IMAGE_H

#include <sys/types.h>

#include "descriptor.h"
#include "devices.h"
#include "part.h"
#include "vmdk_format.h"

struct vmdk_ova_disk;

struct vmdk_open_options {
	bool write;		/* open what the descriptor says is RW for writing */
	bool no_extents;	/* info: extents that cannot be opened are no error */
	bool lock;		/* take the locks that qemu sees; respect .lck */
	bool attached;		/* a disk that is attached may hold some of them */
	char **allow_paths;	/* NULL terminated, or NULL: --allow-path */
	char **allow_devices;	/* NULL terminated, or NULL: --allow-device */
	const char *disk;	/* of an OVA: --disk; NULL: the only one */
	const struct vmdk_ova_disk *ova_disk; /* that disk, when it is known already */
	bool may_lack_disk;	/* @disk may be about another link of a chain */
};

struct vmdk_image_extent {
	const struct vmdk_desc_extent *desc;
	int fd;			/* -1: ZERO, or not opened; of a device, borrowed */
	char *path;		/* for messages */
	enum vmdk_kind kind;
	enum vmdk_access access; /* the lesser of descriptor and caller */
	const char *read_only;	/* why it can be read only, or NULL */
	const struct vmdk_windows *windows; /* that the file consists of, or NULL */
	uint64_t offset;	/* bytes; of @windows if there are any */
	uint64_t length;	/* bytes; 0: to the end of the file */
	uint64_t file_bytes;	/* size of the file when opened */
	uint64_t allocated;	/* st_blocks * 512 */
	bool has_header;	/* geo is valid; for seSparse its sizes alone */
	bool footer;		/* geo is that of a footer */
	struct vmdk_geometry geo;
	char *open_error;	/* with no_extents: why it is not open, or NULL */
};

struct vmdk_image {
	char *path;		/* as the user named it */
	char *member;		/* OVA: name of the member; else NULL */
	uint64_t member_offset;	/* byte at which it begins; or its first chunk */
	uint64_t member_bytes;	/* its size; with all chunks */
	struct vmdk_windows windows; /* its chunks, where there are several */
	int desc_fd;		/* file that holds the descriptor */
	bool embedded;		/* inside an extent */
	uint64_t desc_offset;	/* byte of the text in desc_fd, or in windows */
	uint64_t desc_size;
	char *text;
	struct vmdk_descriptor desc;
	struct vmdk_image_extent *extents;
	size_t nr_extents;
	struct vmdk_devices devices;
	uint64_t sectors;	/* capacity */
	bool unclean;		/* some extent has its unclean flag set */
	const char *read_only;	/* why it can be read only, or NULL */
	char *refusal;		/* with no_extents: why it cannot be attached, or NULL */
};

/*
 * Open @path; in an OVA, the disk that @opt names.  On failure prints one line to
 * stderr that names file, structure, offset and fault, and returns -errno;
 * nothing stays open or locked.
 * -EOPNOTSUPP: a valid image of a kind that is not supported, named in the line.
 */
int vmdk_image_open(const char *path, const struct vmdk_open_options *opt,
		    struct vmdk_image **image);
/* The same, but the line goes to *why, to be freed. */
int vmdk_image_try_open(const char *path, const struct vmdk_open_options *opt,
			struct vmdk_image **image, char **why);
/* The same for an open file, which is the image's from then on; @path: for messages. */
int vmdk_image_open_fd(int fd, const char *path,
		       const struct vmdk_open_options *opt,
		       struct vmdk_image **image, char **why);
void vmdk_image_close(struct vmdk_image *image);
bool vmdk_extent_fits(const struct vmdk_image_extent *ext);

#endif
