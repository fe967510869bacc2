/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * VMDK on disk: structures, limits, and the rules that decide whether a header,
 * a footer, a directory entry, a table entry or a marker is valid.  First hosted
 * sparse extents and their compressed form (vmdk_format.c), then the formats of
 * ESXi: COWD and seSparse (vmdk_foreign.c).
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
#include <linux/kernel.h>
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
#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#endif
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
/* No writer comes as far as the rest; the driver marks entries with it. */
#define VMDK_GTE_LAST		0xfffffff7U

/* Limits of what we accept; see FORMAT of each in vmdk_header_decode(). */
#define VMDK_GRAIN_MIN		8U		/* 4 KiB */
#define VMDK_GRAIN_MAX		131072U		/* 64 MiB */
#define VMDK_GT_ENTRIES_MIN	128U
#define VMDK_GT_ENTRIES_MAX	512U
#define VMDK_GD_ENTRIES_MAX	(2U << 20)	/* 64 TiB of 64 KiB grains */
#define VMDK_DESC_SECTORS_MAX	2048U		/* 1 MiB */
/* Table entries are 32-bit sector numbers: a sparse file ends below 2 TiB. */
#define VMDK_SPARSE_SECTORS_MAX	(1ULL << 32)
/* A footer is looked for in so many bytes: itself, and what was put behind it. */
#define VMDK_TAIL_BYTES_MAX	65536U
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

/* Types of a marker, and what lies behind one. */
#define VMDK_MARKER_EOS		0U	/* nothing: the stream ends here */
#define VMDK_MARKER_GT		1U	/* a grain table */
#define VMDK_MARKER_GD		2U	/* the grain directory */
#define VMDK_MARKER_FOOTER	3U	/* a header that overrides the first one */
#define VMDK_MARKER_PROGRESS	4U	/* undocumented; vSphere writes it at times */

/**
 * struct vmdk_marker - first bytes of every block of a stream
 *
 * With a size it is a grain: @val is its first sector in the disk, and so many
 * bytes of zlib data follow at byte 12, where @type would be.  Without one it
 * fills a sector, and @val sectors of what @type says follow.
 */
struct vmdk_marker {
	__le64 val;			/*   0 */
	__le32 size;			/*   8 */
	__le32 type;			/*  12 */
} __packed;

vmdk_static_assert(sizeof(struct vmdk_marker) == 16);
vmdk_static_assert(offsetof(struct vmdk_marker, size) == 8);
vmdk_static_assert(offsetof(struct vmdk_marker, type) == 12);

/**
 * struct vmdk_geometry - a validated hosted sparse or COWD header, decoded
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
 * @header_sectors: sectors that the header takes in the file
 * @gd: first sector of the directory; VMDK_GD_AT_END: the footer knows
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
	u32 header_sectors;
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

int vmdk_footer_decode(const struct vmdk_sparse_header *header,
		       const void *tail, size_t tail_bytes, u64 tail_offset,
		       u64 file_bytes, struct vmdk_geometry *geo,
		       struct vmdk_fault *fault);
const char *vmdk_stream_gte_fault(const struct vmdk_geometry *geo, u64 grain,
				  u32 gte, u64 file_sectors);
int vmdk_grain_marker_check(const void *bytes, const struct vmdk_geometry *geo,
			    u64 grain, u64 pos, u64 file_bytes,
			    u32 *data_offset, u32 *data_bytes,
			    struct vmdk_fault *fault);
u32 vmdk_adler32(const void *bytes, size_t size);

static inline bool vmdk_is_power_of_two(u64 v)
{
	return v && !(v & (v - 1));
}

/* The logarithm of @v, a power of two. */
static inline u32 vmdk_shift_of(u64 v)
{
	u32 shift = 0;

	while (v >>= 1)
		shift++;
	return shift;
}

/* Do [a, a + a_len) and [b, b + b_len) share a sector?  The ends do not wrap. */
static inline bool vmdk_overlaps(u64 a, u64 a_len, u64 b, u64 b_len)
{
	return a_len && b_len && a < b + b_len && b < a + a_len;
}

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

/* ------------------------------------------------------------------- COWD */

#define VMDK_COWD_VERSION	1U
#define VMDK_COWD_FLAGS		3U		/* what every writer sets */
#define VMDK_COWD_GT_ENTRIES	4096U
#define VMDK_COWD_GRAIN_MAX	2048U		/* 1 MiB; one sector is usual */

/**
 * struct vmdk_cowd_header - first four sectors of a COWD extent
 *
 * ESXi's host sparse file (vmfsSparse), and the hosted disks of old.  There is
 * one directory; tables are made with their first grain, behind anything.
 */
struct vmdk_cowd_header {
	__le32 magic;			/*    0 */
	__le32 version;			/*    4 */
	__le32 flags;			/*    8 */
	__le32 capacity;		/*   12  sectors of virtual disk */
	__le32 grain_size;		/*   16  sectors */
	__le32 gd_offset;		/*   20 */
	__le32 gd_entries;		/*   24 */
	__le32 free_sector;		/*   28  where the next block goes */
	union {
		struct {
			__le32 cylinders;	/*   32 */
			__le32 heads;		/*   36 */
			__le32 sectors;		/*   40 */
		} __packed root;
		struct {
			u8 parent_name[1024];		/*   32 */
			__le32 parent_generation;	/* 1056 */
		} __packed child;
	} __packed u;
	__le32 generation;		/* 1060 */
	u8 name[60];			/* 1064 */
	u8 description[512];		/* 1124 */
	__le32 saved_generation;	/* 1636 */
	u8 reserved[8];			/* 1640 */
	__le32 unclean_shutdown;	/* 1648 */
	u8 pad[396];			/* 1652 */
} __packed;

vmdk_static_assert(sizeof(struct vmdk_cowd_header) == 2048);
vmdk_static_assert(offsetof(struct vmdk_cowd_header, u) == 32);
vmdk_static_assert(offsetof(struct vmdk_cowd_header, u.child.parent_generation) == 1056);
vmdk_static_assert(offsetof(struct vmdk_cowd_header, generation) == 1060);
vmdk_static_assert(offsetof(struct vmdk_cowd_header, saved_generation) == 1636);
vmdk_static_assert(offsetof(struct vmdk_cowd_header, unclean_shutdown) == 1648);

int vmdk_cowd_decode(const struct vmdk_cowd_header *h, u64 file_bytes,
		     struct vmdk_geometry *geo, u32 *free_sector,
		     struct vmdk_fault *fault);
const char *vmdk_cowd_gte_fault(const struct vmdk_geometry *geo, u64 grain,
				u32 gte, u64 file_sectors);

/* --------------------------------------------------------------- seSparse */

#define VMDK_SESPARSE_VERSION		0x0000000200000001ULL
#define VMDK_SESPARSE_VOLATILE_MAGIC	0xcafecafeU
#define VMDK_SESPARSE_GRAIN		8U	/* sectors */
#define VMDK_SESPARSE_GRAIN_SHIFT	3
#define VMDK_SESPARSE_GT_SECTORS	64U
#define VMDK_SESPARSE_GT_ENTRIES	4096U
#define VMDK_SESPARSE_GT_SHIFT		12
/* No file is longer: a byte offset is a signed 64-bit number. */
#define VMDK_SESPARSE_SECTORS_MAX	(1ULL << 54)

/**
 * struct vmdk_sesparse_area - a part of a seSparse file
 */
struct vmdk_sesparse_area {
	__le64 offset;			/* sectors, as is the other */
	__le64 size;
} __packed;

/**
 * struct vmdk_sesparse_header - first sector of a seSparse extent
 *
 * Undocumented; the names are those of its readers.  Never changes.
 */
struct vmdk_sesparse_header {
	__le64 magic;			/*   0 */
	__le64 version;			/*   8 */
	__le64 capacity;		/*  16  sectors of virtual disk */
	__le64 grain_size;		/*  24  sectors */
	__le64 gt_size;			/*  32  sectors */
	__le64 flags;			/*  40 */
	__le64 reserved[4];		/*  48 */
	struct vmdk_sesparse_area volatile_header;	/*  80 */
	struct vmdk_sesparse_area journal_header;	/*  96 */
	struct vmdk_sesparse_area journal;		/* 112 */
	struct vmdk_sesparse_area gd;			/* 128 */
	struct vmdk_sesparse_area gts;			/* 144 */
	struct vmdk_sesparse_area free_bitmap;		/* 160 */
	struct vmdk_sesparse_area backmap;		/* 176 */
	struct vmdk_sesparse_area grains;		/* 192 */
	u8 pad[304];			/* 208 */
} __packed;

vmdk_static_assert(sizeof(struct vmdk_sesparse_header) == 512);
vmdk_static_assert(offsetof(struct vmdk_sesparse_header, volatile_header) == 80);
vmdk_static_assert(offsetof(struct vmdk_sesparse_header, grains) == 192);

/**
 * struct vmdk_sesparse_volatile - what changes in use, in a sector of its own
 */
struct vmdk_sesparse_volatile {
	__le64 magic;			/*   0 */
	__le64 free_gt_number;		/*   8 */
	__le64 next_txn_seq_number;	/*  16 */
	__le64 replay_journal;		/*  24  it was not closed */
	u8 pad[480];			/*  32 */
} __packed;

vmdk_static_assert(sizeof(struct vmdk_sesparse_volatile) == 512);
vmdk_static_assert(offsetof(struct vmdk_sesparse_volatile, replay_journal) == 24);

/**
 * struct vmdk_sesparse_geometry - a validated seSparse header, decoded
 * @capacity: sectors of virtual disk in this extent
 * @file_sectors: whole sectors of the file
 * @volatile_header: sector of the volatile header
 * @gd: first sector of the directory, an array of __le64
 * @gd_sectors: its length, enough for @gd_entries
 * @gd_entries: entries that the disk needs
 * @gts: first sector of the tables, each VMDK_SESPARSE_GT_SECTORS long
 * @gts_sectors: their length
 * @grains: first sector of the grains, each VMDK_SESPARSE_GRAIN long
 * @grains_sectors: room for them, which may end behind the file
 */
struct vmdk_sesparse_geometry {
	u64 capacity;
	u64 file_sectors;
	u64 volatile_header;
	u64 gd;
	u64 gd_sectors;
	u32 gd_entries;
	u64 gts;
	u64 gts_sectors;
	u64 grains;
	u64 grains_sectors;
};

/* What a table entry says of its grain. */
enum vmdk_sesparse_state {
	VMDK_SESPARSE_ABSENT,	/* the parent shows, or zeros */
	VMDK_SESPARSE_ZERO,
	VMDK_SESPARSE_DATA,
	VMDK_SESPARSE_BAD,	/* damaged */
};

int vmdk_sesparse_decode(const struct vmdk_sesparse_header *h, u64 file_bytes,
			 struct vmdk_sesparse_geometry *geo,
			 struct vmdk_fault *fault);
int vmdk_sesparse_decode_volatile(const struct vmdk_sesparse_volatile *v,
				  const struct vmdk_sesparse_geometry *geo,
				  struct vmdk_fault *fault);
int vmdk_sesparse_gde(u64 gde, const struct vmdk_sesparse_geometry *geo,
		      u64 *table_sector);
enum vmdk_sesparse_state
vmdk_sesparse_gte(u64 gte, const struct vmdk_sesparse_geometry *geo,
		  u64 *sector);

#endif /* VMDK_FORMAT_H */
