/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * VMDK on disk: structures, limits, and the rules that decide whether a header,
 * a directory entry or a table entry is valid.
 *
 * Compiled into the module, into vmdkctl, and into the unit tests and fuzzers,
 * so that none of them can disagree.  Nothing here does I/O, allocates, or
 * keeps state.  Unless a name says otherwise, offsets and lengths are in
 * sectors of 512 bytes.
 *
 * Sources: VMware "Virtual Disk Format 5.0" (the technote), and the behaviour
 * of the writers that are named where they deviate from it.
 */
#ifndef VMDK_FORMAT_H
#define VMDK_FORMAT_H

#include <linux/types.h>

#ifdef __KERNEL__
#include <linux/build_bug.h>
#include <linux/stddef.h>
#include <asm/byteorder.h>
#else
#include <assert.h>
#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
#define le16_to_cpu(v) le16toh(v)
#define le32_to_cpu(v) le32toh(v)
#define le64_to_cpu(v) le64toh(v)
#define cpu_to_le16(v) htole16(v)
#define cpu_to_le32(v) htole32(v)
#define cpu_to_le64(v) htole64(v)
#ifndef __packed
#define __packed __attribute__((packed))
#endif
#ifndef __printf
#define __printf(f, a) __attribute__((format(printf, f, a)))
#endif
#endif /* !__KERNEL__ */

#define VMDK_SECTOR_SHIFT	9
#define VMDK_SECTOR_SIZE	(1U << VMDK_SECTOR_SHIFT)

/* The first four bytes of an image, read as a little-endian number. */
#define VMDK_MAGIC_SPARSE	0x564d444bU	/* "KDMV" */
#define VMDK_MAGIC_COWD		0x44574f43U	/* "COWD" */
#define VMDK_MAGIC_SESPARSE	0xcafebabeU	/* and four zero bytes */
/* A hosted sparse file that its writer never finished: lower case (open-vmdk). */
#define VMDK_MAGIC_UNFINISHED	(VMDK_MAGIC_SPARSE ^ 0x20202020U)

/* Header flags; bits 16 and up are incompatible ones. */
#define VMDK_FLAG_NEWLINE	(1U << 0)	/* the newline bytes are meaningful */
#define VMDK_FLAG_RGD		(1U << 1)	/* there is a redundant directory */
#define VMDK_FLAG_ZEROED	(1U << 2)	/* a table entry of 1 reads as zeros */
#define VMDK_FLAG_COMPRESSED	(1U << 16)	/* grains are zlib streams */
#define VMDK_FLAG_MARKERS	(1U << 17)	/* every block has a marker */
#define VMDK_FLAGS_INCOMPAT	0xffff0000U
#define VMDK_FLAGS_KNOWN	(VMDK_FLAG_COMPRESSED | VMDK_FLAG_MARKERS)

#define VMDK_VERSION_MAX	3
#define VMDK_COMPRESS_NONE	0
#define VMDK_COMPRESS_DEFLATE	1
#define VMDK_GD_AT_END		(~0ULL)

/* Table entries that are not the sector of a grain. */
#define VMDK_GTE_ABSENT		0U
#define VMDK_GTE_ZERO		1U

/* Limits of what we accept; see FORMAT of each in vmdk_header_decode(). */
#define VMDK_GRAIN_MIN		8U		/* 4 KiB */
#define VMDK_GRAIN_MAX		131072U		/* 64 MiB */
#define VMDK_GT_ENTRIES_MIN	128U
#define VMDK_GT_ENTRIES_MAX	512U
#define VMDK_GD_ENTRIES_MAX	(2U << 20)	/* 64 TiB of 64 KiB grains */
#define VMDK_DESC_SECTORS_MAX	2048U		/* 1 MiB */
/* Table entries are 32-bit sector numbers: a sparse file ends below 2 TiB. */
#define VMDK_SPARSE_SECTORS_MAX	(1ULL << 32)
/* The largest virtual disk that a product accepts is 62 TiB; leave headroom. */
#define VMDK_CAPACITY_MAX	(1ULL << 38)	/* 128 TiB */

/**
 * struct vmdk_sparse_header - first sector of a hosted sparse extent
 *
 * Little endian, and unaligned after the third member.  The same structure is
 * the footer of a streamOptimized file.
 */
struct vmdk_sparse_header {
	__le32 magic;			/*   0 */
	__le32 version;			/*   4 */
	__le32 flags;			/*   8 */
	__le64 capacity;		/*  12  sectors of virtual disk */
	__le64 grain_size;		/*  20  sectors */
	__le64 desc_offset;		/*  28  0: no embedded descriptor */
	__le64 desc_size;		/*  36 */
	__le32 gtes_per_gt;		/*  44 */
	__le64 rgd_offset;		/*  48 */
	__le64 gd_offset;		/*  56  VMDK_GD_AT_END: see the footer */
	__le64 overhead;		/*  64  where grain data may start */
	u8 unclean_shutdown;		/*  72 */
	u8 newline[4];			/*  73  "\n \r\n" unless text mode damaged it */
	__le16 compress;		/*  77 */
	u8 pad[433];			/*  79 */
} __packed;

#ifdef __KERNEL__
#define vmdk_static_assert(x)	static_assert(x)
#else
#define vmdk_static_assert(x)	_Static_assert(x, #x)
#endif
vmdk_static_assert(sizeof(struct vmdk_sparse_header) == 512);
vmdk_static_assert(offsetof(struct vmdk_sparse_header, gtes_per_gt) == 44);
vmdk_static_assert(offsetof(struct vmdk_sparse_header, overhead) == 64);
vmdk_static_assert(offsetof(struct vmdk_sparse_header, unclean_shutdown) == 72);
vmdk_static_assert(offsetof(struct vmdk_sparse_header, compress) == 77);

/**
 * struct vmdk_geometry - a validated hosted sparse header, decoded
 * @capacity: sectors of virtual disk in this extent
 * @flags: as in the header
 * @version: 1 to 3; says nothing that @flags do not say better
 * @grain_sectors: sectors per grain, a power of two
 * @grain_shift: its logarithm
 * @gt_entries: entries per table, a power of two
 * @gt_shift: its logarithm
 * @gt_sectors: sectors that one table takes in the file
 * @gd_entries: entries in a directory
 * @gd_sectors: sectors that one directory takes in the file
 * @gd: first sector of the directory
 * @rgd: first sector of the redundant directory; 0: there is none
 * @desc: first sector of the embedded descriptor; 0: there is none
 * @desc_sectors: its length
 * @overhead: first sector at which a grain may lie
 * @unclean: the header's uncleanShutdown is set
 */
struct vmdk_geometry {
	u64 capacity;
	u32 flags;
	u32 version;
	u32 grain_sectors;
	u32 grain_shift;
	u32 gt_entries;
	u32 gt_shift;
	u32 gt_sectors;
	u32 gd_entries;
	u32 gd_sectors;
	u64 gd;
	u64 rgd;
	u64 desc;
	u32 desc_sectors;
	u64 overhead;
	bool unclean;
};

/* The fault is not at one place of the file. */
#define VMDK_NO_OFFSET		(~0ULL)

/**
 * struct vmdk_fault - why an image was refused
 * @offset: byte offset in the file of the field or entry that is at fault, or
 *	VMDK_NO_OFFSET
 * @text: one line: the structure, the field, what was found and expected
 */
struct vmdk_fault {
	u64 offset;
	char text[160];
};

__printf(3, 4)
int vmdk_fault_set(struct vmdk_fault *fault, u64 offset, const char *fmt, ...);

int vmdk_header_decode(const struct vmdk_sparse_header *h, u64 file_bytes,
		       struct vmdk_geometry *geo, struct vmdk_fault *fault);
const char *vmdk_gde_fault(const struct vmdk_geometry *geo, u32 gde,
			   u64 file_sectors);
const char *vmdk_gte_fault(const struct vmdk_geometry *geo, u64 grain, u32 gte,
			   u64 file_sectors);

/* Grains of the extent; the last one may be short. */
static inline u64 vmdk_grains(const struct vmdk_geometry *geo)
{
	return (geo->capacity + geo->grain_sectors - 1) >> geo->grain_shift;
}

/* Sectors of @grain that lie inside the disk: fewer than a grain for the last. */
static inline u32 vmdk_grain_valid(const struct vmdk_geometry *geo, u64 grain)
{
	u64 left = geo->capacity - (grain << geo->grain_shift);

	return left < geo->grain_sectors ? (u32)left : geo->grain_sectors;
}

#endif /* VMDK_FORMAT_H */
