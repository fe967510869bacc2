/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT */
/*
 * The ABI of /dev/vmdk-control; installed as <linux/vmdk.h>.
 *
 * Userspace parses all text and opens all files; the kernel gets numbers and
 * file descriptors, and validates every binary structure again itself.
 *
 * Rules: every structure has a fixed layout without implicit padding; reserved
 * members and unknown flags must be zero (EINVAL); a feature is present when
 * its bit is in VMDK_GET_FEATURES, there are no version numbers.
 */
#ifndef _LINUX_VMDK_H
#define _LINUX_VMDK_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define VMDK_CONTROL_PATH	"/dev/vmdk-control"

#define VMDK_MAX_LINKS		64
#define VMDK_MAX_EXTENTS	16384	/* over all links of one disk */
#define VMDK_MAX_PATCHES	4
#define VMDK_MAX_WINDOWS	4096	/* over all extents of one disk */
#define VMDK_PATCH_SIZE		32
#define VMDK_TYPE_SIZE		32
#define VMDK_MESSAGE_SIZE	256

/* Feature bits of VMDK_GET_FEATURES. */
#define VMDK_FEATURE_SPARSE	(1ULL << 0)	/* hosted sparse extents */
#define VMDK_FEATURE_FLAT	(1ULL << 1)	/* flat, VMFS and zero extents */
#define VMDK_FEATURE_STREAM	(1ULL << 2)	/* compressed grains, read-only */
#define VMDK_FEATURE_COWD	(1ULL << 3)	/* COWD extents (vmfsSparse) */
#define VMDK_FEATURE_SESPARSE	(1ULL << 4)	/* seSparse extents, read-only */
#define VMDK_FEATURE_DEVICE	(1ULL << 5)	/* windows of block devices */
#define VMDK_FEATURE_CHAIN	(1ULL << 6)	/* more than one link */
#define VMDK_FEATURE_WINDOWS	(1ULL << 7)	/* extents in several windows */
#define VMDK_FEATURE_SNAPSHOT	(1ULL << 8)	/* VMDK_SNAPSHOT */
#define VMDK_FEATURE_FOLD	(1ULL << 9)	/* VMDK_FOLD_BEGIN and the others */
#define VMDK_FEATURE_RESIZE	(1ULL << 10)	/* VMDK_RESIZE */

/* What an extent is: vmdk_extent_info.kind. */
enum vmdk_kind {
	VMDK_KIND_FLAT		= 1,	/* bytes of a regular file */
	VMDK_KIND_ZERO		= 2,	/* reads as zeros, has no file */
	VMDK_KIND_SPARSE	= 3,	/* hosted sparse file (KDMV) */
	VMDK_KIND_DEVICE	= 4,	/* sectors of a block device */
	VMDK_KIND_COWD		= 5,	/* ESXi host sparse file (COWD) */
	VMDK_KIND_SESPARSE	= 6,	/* ESXi space-efficient sparse file */
};

/* What may be done with an extent: vmdk_extent_info.access. */
enum vmdk_access {
	VMDK_ACCESS_NONE	= 0,	/* every read and write is an error */
	VMDK_ACCESS_RDONLY	= 1,
	VMDK_ACCESS_RW		= 2,
};

/**
 * struct vmdk_extent_info - a contiguous piece of one link
 * @fd: open file; -1 for VMDK_KIND_ZERO
 * @kind: enum vmdk_kind
 * @access: enum vmdk_access
 * @flags: must be 0
 * @start: first sector in the link; extents follow each other without a gap
 * @sectors: length in sectors
 * @offset: byte in the file at which the extent begins
 * @length: bytes that the extent may take in the file from @offset on;
 *	0: to the end of the file, and a writable sparse extent may grow there
 * @nr_windows: 0; or the extent lies in so many windows of the file, and is what
 *	one gets by putting these together: @offset and @length count in that.
 *	For VMDK_KIND_SPARSE, read-only
 * @reserved: must be 0
 */
struct vmdk_extent_info {
	__s32 fd;
	__u32 kind;
	__u32 access;
	__u32 flags;
	__u64 start;
	__u64 sectors;
	__u64 offset;
	__u64 length;
	__u64 nr_windows;
	__u64 reserved;
};

/**
 * struct vmdk_window_info - a part of a file
 * @offset: byte in the file, a multiple of 512
 * @length: in bytes, a multiple of 512 unless it is the extent's last one
 */
struct vmdk_window_info {
	__u64 offset;
	__u64 length;
};

/**
 * struct vmdk_link_info - one link of a chain, the child first
 * @nr_extents: how many entries of the extent array belong to this link
 * @flags: must be 0
 * @sectors: capacity of the link
 * @reserved: must be 0
 */
struct vmdk_link_info {
	__u32 nr_extents;
	__u32 flags;
	__u64 sectors;
	__u64 reserved[2];
};

/**
 * struct vmdk_patch - bytes to replace in a descriptor before the first write
 * @fd: descriptor file, open for writing
 * @length: 1 to VMDK_PATCH_SIZE
 * @offset: byte in the file
 * @old: hexadecimal digits that must be there now
 * @new: hexadecimal digits to put there
 *
 * This is how the content id changes without the kernel parsing text.
 */
struct vmdk_patch {
	__s32 fd;
	__u32 length;
	__u64 offset;
	__u8 old[VMDK_PATCH_SIZE];
	__u8 new[VMDK_PATCH_SIZE];
};

/* vmdk_attach.flags */
#define VMDK_ATTACH_READ_ONLY	(1U << 0)
#define VMDK_ATTACH_AUTOCLEAR	(1U << 1)	/* detach after the last close */
#define VMDK_ATTACH_NO_PARTSCAN	(1U << 2)
#define VMDK_ATTACH_DIRECT_IO	(1U << 3)	/* refused where it cannot be had */
#define VMDK_ATTACH_VERIFIED	(1U << 4)	/* an unclean image was checked */
#define VMDK_ATTACH_FLAGS	0x1fU

/**
 * struct vmdk_attach - create a disk
 * @flags: VMDK_ATTACH_*
 * @index: the N of /dev/vmdkN; -1 for the first free one; the kernel stores
 *	the one it took
 * @backing_fd: the file that the user named; shown in sysfs only
 * @nr_links: entries of @links, 1 to VMDK_MAX_LINKS
 * @nr_extents: entries of @extents, 1 to VMDK_MAX_EXTENTS
 * @nr_patches: entries of @patches, 0 to VMDK_MAX_PATCHES
 * @nr_queues: hardware queues; 0: one per CPU
 * @queue_depth: requests per queue; 0: the default
 * @cid: content id now
 * @new_cid: content id after the first write (what the patches put there)
 * @parent_cid: content id that the link expects of its parent
 * @message_size: bytes at @message
 * @links: address of an array of struct vmdk_link_info
 * @extents: address of an array of struct vmdk_extent_info, by link
 * @patches: address of an array of struct vmdk_patch
 * @message: address of a buffer for the reason of a refusal: one line, NUL
 *	terminated, without newline; empty when errno says it all
 * @fault_extent: for a refused extent, its place in @extents; else ~0
 * @nr_windows: entries of @windows, 0 to VMDK_MAX_WINDOWS
 * @cache_size: bytes of decoded grains to keep; 0: the default (64 MiB)
 * @create_type: printable ASCII, NUL terminated; shown in sysfs only
 * @windows: address of an array of struct vmdk_window_info, by extent
 * @reserved: must be 0
 */
struct vmdk_attach {
	__u32 flags;
	__s32 index;
	__s32 backing_fd;
	__u32 nr_links;
	__u32 nr_extents;
	__u32 nr_patches;
	__u32 nr_queues;
	__u32 queue_depth;
	__u32 cid;
	__u32 new_cid;
	__u32 parent_cid;
	__u32 message_size;
	__u64 links;
	__u64 extents;
	__u64 patches;
	__u64 message;
	__u32 fault_extent;
	__u32 nr_windows;
	__u64 cache_size;
	char create_type[VMDK_TYPE_SIZE];
	__u64 windows;
	__u64 reserved[6];
};

/* vmdk_detach.flags */
#define VMDK_DETACH_LAZY	(1U << 0)	/* now, or after the last close */
#define VMDK_DETACH_FLAGS	0x1U

/**
 * struct vmdk_detach - remove a disk
 * @index: the N of /dev/vmdkN
 * @flags: VMDK_DETACH_*
 * @reserved: must be 0
 *
 * EBUSY: it is open, or its top is being folded, which even a lazy detach does not
 * wait for.  ENXIO: there is no such disk.  EIO, ENOSPC, ...: the disk
 * is gone, but its last commit failed: writes since the last flush are lost.
 */
struct vmdk_detach {
	__u32 index;
	__u32 flags;
	__u64 reserved[4];
};

/* vmdk_snapshot.flags */
#define VMDK_SNAPSHOT_TOP	(1U << 0)	/* there is a top_fd */
#define VMDK_SNAPSHOT_FLAGS	0x1U

/**
 * struct vmdk_snapshot - put a new link on top of a disk that is in use
 * @index: the N of /dev/vmdkN
 * @backing_fd: the file of the new link; shown in sysfs from now on
 * @nr_extents: entries of @extents, 1 to VMDK_MAX_EXTENTS
 * @nr_patches: entries of @patches, 0 to VMDK_MAX_PATCHES
 * @cid: content id of the new link now
 * @new_cid: content id after the first write to it
 * @parent_cid: content id that it expects of what is the top now
 * @message_size: bytes at @message
 * @extents: address of an array of struct vmdk_extent_info: as large as the disk
 * @patches: address of an array of struct vmdk_patch
 * @message: as in struct vmdk_attach
 * @fault_extent: as in struct vmdk_attach
 * @flags: VMDK_SNAPSHOT_*
 * @create_type: as in struct vmdk_attach
 * @top_fd: with VMDK_SNAPSHOT_TOP: what the caller takes for the file that was
 *	named for what is the top now
 * @reserved: must be 0
 *
 * What is the top now is flushed, left clean, and never written to again.
 * ESTALE: the disk was written to meanwhile, and its content id is another one
 * than @parent_cid, or its top is another file: read it again, and make the link
 * anew.
 */
struct vmdk_snapshot {
	__u32 index;
	__s32 backing_fd;
	__u32 nr_extents;
	__u32 nr_patches;
	__u32 cid;
	__u32 new_cid;
	__u32 parent_cid;
	__u32 message_size;
	__u64 extents;
	__u64 patches;
	__u64 message;
	__u32 fault_extent;
	__u32 flags;
	char create_type[VMDK_TYPE_SIZE];
	__s32 top_fd;
	__u32 reserved[15];
};

/**
 * struct vmdk_fold_progress - how far a fold is
 * @flags: must be 0
 * @index: receives the N of /dev/vmdkN
 * @sectors: receives the size of the disk
 * @left: receives how many of them have to be looked at yet
 * @reserved: must be 0
 *
 * A fold writes what the top link of a disk has to the link behind it, while the
 * disk is in use; at the end the disk goes on without its top.  It belongs to the
 * open file of the control device by which it was begun.
 *
 * VMDK_FOLD_BEGIN takes a struct vmdk_attach.  @index is the disk's; the links are
 * those behind its top, the first of them open for writing; @cid is what the top
 * expects of it, @patches and @new_cid are what it becomes at the end; of the
 * flags, only VMDK_ATTACH_VERIFIED may be set; @nr_queues, @queue_depth and
 * @cache_size must be 0.  EALREADY: this file has a fold.  EAGAIN: the disk is
 * being changed.  EBUSY: it is being folded, or a file is in use by another disk.
 * EUCLEAN: the links are the right ones, but the first has to be checked, and was
 * not VMDK_ATTACH_VERIFIED.
 *
 * VMDK_FOLD_COPY copies for a fraction of a second, or until nothing is left, or
 * a signal comes.  What is written to the disk meanwhile is left again.
 *
 * VMDK_FOLD_END has all requests of the disk wait until what is left is copied,
 * and the disk goes on with the links that the fold was begun with.  After an
 * error the fold is as it was, and may be ended again, or cancelled.
 *
 * VMDK_FOLD_CANCEL, and the last close of the file, end the fold, too: the disk
 * is as it was.  These two take 0 for an argument.  All but BEGIN say ENXIO when
 * the file has no fold.
 *
 * Meanwhile the disk cannot be detached, nor get another link.  Whenever the
 * machine stops, the links of before are valid; or, once the end has changed the
 * content id, those that are left.
 */
struct vmdk_fold_progress {
	__u32 flags;
	__u32 index;
	__u64 sectors;
	__u64 left;
	__u64 reserved[4];
};

/* vmdk_resize.flags */
#define VMDK_RESIZE_SHRINK	(1U << 0)	/* fewer sectors are meant */
#define VMDK_RESIZE_FINISH	(1U << 1)	/* the descriptor says so, durably */
#define VMDK_RESIZE_FLAGS	0x3U

/**
 * struct vmdk_resize - change the capacity of a disk that is in use
 * @index: the N of /dev/vmdkN
 * @flags: VMDK_RESIZE_*
 * @sectors: length of the last extent of the disk, as it is to be
 * @backing_fd: what the caller takes for the file that was named for the top of
 *	the disk, refused when it is another one; with VMDK_RESIZE_FINISH: the file
 *	of the descriptor, when it is another one now, to be shown in sysfs; -1:
 *	none
 * @message_size: as in struct vmdk_attach
 * @message: as in struct vmdk_attach
 * @reserved: must be 0
 *
 * Takes two calls, and in between the caller changes the descriptor: the kernel
 * does not write to it any more.  The first call renews the content id; makes
 * the image ready for more sectors, or hides those that are to go; and excludes
 * all other changes of the disk until the second call, with the same numbers, or
 * until the control device is closed.  After either it may be done again.
 *
 * EAGAIN: the disk is being changed by another call.  ESTALE: it has another file
 * than @backing_fd.
 */
struct vmdk_resize {
	__u32 index;
	__u32 flags;
	__u64 sectors;
	__s32 backing_fd;
	__u32 message_size;
	__u64 message;
	__u64 reserved[4];
};

#define VMDK_IOC_MAGIC		0xBB
#define VMDK_GET_FEATURES	_IOR(VMDK_IOC_MAGIC, 0, __u64)
#define VMDK_ATTACH		_IOWR(VMDK_IOC_MAGIC, 1, struct vmdk_attach)
#define VMDK_DETACH		_IOW(VMDK_IOC_MAGIC, 2, struct vmdk_detach)
#define VMDK_SNAPSHOT		_IOWR(VMDK_IOC_MAGIC, 3, struct vmdk_snapshot)
#define VMDK_FOLD_BEGIN		_IOWR(VMDK_IOC_MAGIC, 4, struct vmdk_attach)
#define VMDK_FOLD_COPY	\
	_IOWR(VMDK_IOC_MAGIC, 5, struct vmdk_fold_progress)
#define VMDK_FOLD_END		_IO(VMDK_IOC_MAGIC, 6)
#define VMDK_FOLD_CANCEL	_IO(VMDK_IOC_MAGIC, 7)
#define VMDK_RESIZE		_IOW(VMDK_IOC_MAGIC, 8, struct vmdk_resize)

#endif /* _LINUX_VMDK_H */
