// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What makes a hosted sparse header, a grain directory entry and a grain table
 * entry valid.  Plain C over plain values: compiled into the module, into
 * vmdkctl, and into the unit tests and fuzzers.
 */
#ifdef __KERNEL__
#include <linux/kernel.h>
#include <linux/string.h>
#else
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#endif
#include "vmdk_format.h"

/**
 * vmdk_fault_set - say why an image is refused
 * @fault: receives the reason
 * @offset: byte offset in the file
 * @fmt: one line without newline: structure, field, found, expected
 *
 * Return: -EINVAL, so that a check can end in "return vmdk_fault_set(...)".
 */
int vmdk_fault_set(struct vmdk_fault *fault, u64 offset, const char *fmt, ...)
{
	va_list args;

	fault->offset = offset;
	va_start(args, fmt);
	vsnprintf(fault->text, sizeof(fault->text), fmt, args);
	va_end(args);
	return -EINVAL;
}

#define FIELD(f)	offsetof(struct vmdk_sparse_header, f)

static bool is_power_of_two(u64 v)
{
	return v && !(v & (v - 1));
}

static u32 shift_of(u64 v)
{
	u32 shift = 0;

	while (v >>= 1)
		shift++;
	return shift;
}

/* Do [a, a + a_len) and [b, b + b_len) share a sector?  Lengths below 2^32. */
static bool overlaps(u64 a, u64 a_len, u64 b, u64 b_len)
{
	return a_len && b_len && a < b + b_len && b < a + a_len;
}

static int check_identity(const struct vmdk_sparse_header *h,
			  struct vmdk_fault *fault)
{
	u32 magic = le32_to_cpu(h->magic);
	u32 version = le32_to_cpu(h->version);
	u32 flags = le32_to_cpu(h->flags);
	u32 unknown = flags & VMDK_FLAGS_INCOMPAT & ~VMDK_FLAGS_KNOWN;

	if (magic == VMDK_MAGIC_UNFINISHED)
		return vmdk_fault_set(fault, FIELD(magic),
				      "header: this file was never finished by the program that wrote it");
	if (magic != VMDK_MAGIC_SPARSE)
		return vmdk_fault_set(fault, FIELD(magic),
				      "header: magic is 0x%08x, expected 0x%08x",
				      magic, VMDK_MAGIC_SPARSE);
	if (!version || version > VMDK_VERSION_MAX)
		return vmdk_fault_set(fault, FIELD(version),
				      "header: version is %u, expected 1 to %u",
				      version, VMDK_VERSION_MAX);
	if (unknown)
		return vmdk_fault_set(fault, FIELD(flags),
				      "header: unknown incompatible flags 0x%08x",
				      unknown);
	if ((flags & VMDK_FLAG_NEWLINE) && memcmp(h->newline, "\n \r\n", 4))
		return vmdk_fault_set(fault, FIELD(newline),
				      "header: newline bytes are %02x %02x %02x %02x, expected 0a 20 0d 0a: damaged by a transfer in text mode",
				      h->newline[0], h->newline[1],
				      h->newline[2], h->newline[3]);
	return 0;
}

static int check_compression(const struct vmdk_sparse_header *h,
			     struct vmdk_fault *fault)
{
	u32 flags = le32_to_cpu(h->flags);
	u16 algorithm = le16_to_cpu(h->compress);
	bool compressed = flags & VMDK_FLAG_COMPRESSED;
	bool deflate = algorithm == VMDK_COMPRESS_DEFLATE;

	if (algorithm > VMDK_COMPRESS_DEFLATE)
		return vmdk_fault_set(fault, FIELD(compress),
				      "header: compression algorithm is %u, expected 0 or 1",
				      algorithm);
	if (compressed != deflate)
		return vmdk_fault_set(fault, FIELD(compress),
				      "header: compression algorithm is %u, but flags are 0x%08x",
				      algorithm, flags);
	if ((flags & VMDK_FLAG_MARKERS) && !compressed)
		return vmdk_fault_set(fault, FIELD(flags),
				      "header: flags 0x%08x have markers without compression",
				      flags);
	return 0;
}

/*
 * The technote wants a grain above 8 sectors, yet everyone writes and accepts 8.
 * It allows 512 entries per table only; other powers of two occur.
 */
static int decode_sizes(const struct vmdk_sparse_header *h,
			struct vmdk_geometry *geo, struct vmdk_fault *fault)
{
	u64 capacity = le64_to_cpu(h->capacity);
	u64 grain = le64_to_cpu(h->grain_size);
	u32 gtes = le32_to_cpu(h->gtes_per_gt);
	u64 entries;

	if (!capacity || capacity > VMDK_CAPACITY_MAX)
		return vmdk_fault_set(fault, FIELD(capacity),
				      "header: capacity is %llu sectors, expected 1 to %llu",
				      (unsigned long long)capacity,
				      VMDK_CAPACITY_MAX);
	if (!is_power_of_two(grain) || grain < VMDK_GRAIN_MIN ||
	    grain > VMDK_GRAIN_MAX)
		return vmdk_fault_set(fault, FIELD(grain_size),
				      "header: grain size is %llu sectors, expected a power of two from %u to %u",
				      (unsigned long long)grain,
				      VMDK_GRAIN_MIN, VMDK_GRAIN_MAX);
	if (!is_power_of_two(gtes) || gtes < VMDK_GT_ENTRIES_MIN ||
	    gtes > VMDK_GT_ENTRIES_MAX)
		return vmdk_fault_set(fault, FIELD(gtes_per_gt),
				      "header: %u entries per grain table, expected 512",
				      gtes);

	geo->capacity = capacity;
	geo->grain_sectors = grain;
	geo->grain_shift = shift_of(grain);
	geo->gt_entries = gtes;
	geo->gt_shift = shift_of(gtes);
	geo->gt_sectors = gtes * sizeof(__le32) / VMDK_SECTOR_SIZE;
	entries = (vmdk_grains(geo) + gtes - 1) >> geo->gt_shift;
	if (entries > VMDK_GD_ENTRIES_MAX)
		return vmdk_fault_set(fault, FIELD(capacity),
				      "header: capacity %llu needs %llu directory entries, at most %u are supported",
				      (unsigned long long)capacity,
				      (unsigned long long)entries,
				      VMDK_GD_ENTRIES_MAX);
	geo->gd_entries = entries;
	geo->gd_sectors = (entries * sizeof(__le32) + VMDK_SECTOR_SIZE - 1) >>
			  VMDK_SECTOR_SHIFT;
	return 0;
}

static int decode_descriptor(const struct vmdk_sparse_header *h,
			     u64 file_sectors, struct vmdk_geometry *geo,
			     struct vmdk_fault *fault)
{
	u64 start = le64_to_cpu(h->desc_offset);
	u64 size = le64_to_cpu(h->desc_size);

	if (!start)
		return 0;
	if (size > VMDK_DESC_SECTORS_MAX)
		return vmdk_fault_set(fault, FIELD(desc_size),
				      "header: descriptor of %llu sectors, at most %u are supported",
				      (unsigned long long)size,
				      VMDK_DESC_SECTORS_MAX);
	if (start > file_sectors || size > file_sectors - start)
		return vmdk_fault_set(fault, FIELD(desc_offset),
				      "header: descriptor at sector %llu + %llu lies past the end of the file (%llu sectors)",
				      (unsigned long long)start,
				      (unsigned long long)size,
				      (unsigned long long)file_sectors);
	geo->desc = start;
	geo->desc_sectors = size;
	return 0;
}

/* One directory: inside the file, clear of the header and the descriptor. */
static int check_directory(const struct vmdk_geometry *geo, const char *name,
			   u64 start, u64 file_sectors, u64 field,
			   struct vmdk_fault *fault)
{
	if (!start)
		return vmdk_fault_set(fault, field, "header: %s offset is 0, inside the header",
				      name);
	if (start > file_sectors || geo->gd_sectors > file_sectors - start)
		return vmdk_fault_set(fault, field,
				      "header: %s at sector %llu + %u lies past the end of the file (%llu sectors)",
				      name, (unsigned long long)start,
				      geo->gd_sectors,
				      (unsigned long long)file_sectors);
	if (overlaps(start, geo->gd_sectors, geo->desc, geo->desc_sectors))
		return vmdk_fault_set(fault, field,
				      "header: %s at sector %llu + %u overlaps the descriptor at %llu + %u",
				      name, (unsigned long long)start,
				      geo->gd_sectors,
				      (unsigned long long)geo->desc,
				      geo->desc_sectors);
	return 0;
}

static int decode_directories(const struct vmdk_sparse_header *h,
			      u64 file_sectors, struct vmdk_geometry *geo,
			      struct vmdk_fault *fault)
{
	int ret;

	geo->gd = le64_to_cpu(h->gd_offset);
	if (geo->gd == VMDK_GD_AT_END)
		return vmdk_fault_set(fault, FIELD(gd_offset),
				      "header: the directory is at the end of the file, but this is not a compressed image");
	ret = check_directory(geo, "grain directory", geo->gd, file_sectors,
			      FIELD(gd_offset), fault);
	if (ret)
		return ret;
	if (!(geo->flags & VMDK_FLAG_RGD))
		return 0;

	geo->rgd = le64_to_cpu(h->rgd_offset);
	ret = check_directory(geo, "redundant directory", geo->rgd,
			      file_sectors, FIELD(rgd_offset), fault);
	if (ret)
		return ret;
	if (overlaps(geo->gd, geo->gd_sectors, geo->rgd, geo->gd_sectors))
		return vmdk_fault_set(fault, FIELD(rgd_offset),
				      "header: redundant directory at sector %llu overlaps the directory at %llu",
				      (unsigned long long)geo->rgd,
				      (unsigned long long)geo->gd);
	return 0;
}

/* Grains start at overHead; fixed metadata has to lie in front of it. */
static int decode_overhead(const struct vmdk_sparse_header *h,
			   u64 file_sectors, struct vmdk_geometry *geo,
			   struct vmdk_fault *fault)
{
	u64 overhead = le64_to_cpu(h->overhead);
	u64 end = geo->desc + geo->desc_sectors;

	if (end < geo->gd + geo->gd_sectors)
		end = geo->gd + geo->gd_sectors;
	if (geo->rgd && end < geo->rgd + geo->gd_sectors)
		end = geo->rgd + geo->gd_sectors;
	if (overhead < end)
		return vmdk_fault_set(fault, FIELD(overhead),
				      "header: overhead is %llu sectors, but the metadata ends at %llu",
				      (unsigned long long)overhead,
				      (unsigned long long)end);
	if (overhead > file_sectors)
		return vmdk_fault_set(fault, FIELD(overhead),
				      "header: overhead is %llu sectors, but the file has only %llu",
				      (unsigned long long)overhead,
				      (unsigned long long)file_sectors);
	geo->overhead = overhead;
	return 0;
}

/**
 * vmdk_header_decode - validate a hosted sparse header and decode it
 * @h: first 512 bytes of the extent
 * @file_bytes: size of the file (or of the window that holds the extent)
 * @geo: receives the geometry; for a compressed extent only the members up to
 *	@geo->desc_sectors are set, because its directory may lie in a footer
 * @fault: receives the reason of a refusal
 *
 * Return: 0, or -EINVAL with @fault set.
 */
int vmdk_header_decode(const struct vmdk_sparse_header *h, u64 file_bytes,
		       struct vmdk_geometry *geo, struct vmdk_fault *fault)
{
	u64 file_sectors = file_bytes >> VMDK_SECTOR_SHIFT;
	int ret;

	memset(geo, 0, sizeof(*geo));
	ret = check_identity(h, fault);
	if (!ret)
		ret = check_compression(h, fault);
	if (!ret)
		ret = decode_sizes(h, geo, fault);
	if (!ret)
		ret = decode_descriptor(h, file_sectors, geo, fault);
	if (ret)
		return ret;

	geo->version = le32_to_cpu(h->version);
	geo->flags = le32_to_cpu(h->flags);
	geo->unclean = h->unclean_shutdown;
	if (geo->flags & VMDK_FLAG_COMPRESSED)
		return 0;
	ret = decode_directories(h, file_sectors, geo, fault);
	if (!ret)
		ret = decode_overhead(h, file_sectors, geo, fault);
	return ret;
}

/**
 * vmdk_gde_fault - is a directory entry valid?
 * @geo: of the extent
 * @gde: the entry: sector of a grain table, or 0 for none
 * @file_sectors: length of the file
 *
 * Return: NULL when valid, else what is wrong with it.
 */
const char *vmdk_gde_fault(const struct vmdk_geometry *geo, u32 gde,
			   u64 file_sectors)
{
	if (!gde)
		return NULL;
	if (gde + (u64)geo->gt_sectors > file_sectors)
		return "lies past the end of the file";
	if (gde + (u64)geo->gt_sectors > VMDK_SPARSE_SECTORS_MAX)
		return "lies past 2 TiB";
	if (overlaps(gde, geo->gt_sectors, geo->desc, geo->desc_sectors))
		return "overlaps the descriptor";
	if (overlaps(gde, geo->gt_sectors, geo->gd, geo->gd_sectors))
		return "overlaps the grain directory";
	if (geo->rgd &&
	    overlaps(gde, geo->gt_sectors, geo->rgd, geo->gd_sectors))
		return "overlaps the redundant directory";
	return NULL;
}

/**
 * vmdk_gte_fault - is a table entry of an uncompressed extent valid?
 * @geo: of the extent
 * @grain: number of the grain that the entry is for
 * @gte: the entry
 * @file_sectors: length of the file
 *
 * A grain has to be in the file as far as it is in the disk.  That it does not
 * lie on a table behind overHead is the caller's to check.
 *
 * Return: NULL when valid, else what is wrong with it.
 */
const char *vmdk_gte_fault(const struct vmdk_geometry *geo, u64 grain, u32 gte,
			   u64 file_sectors)
{
	if (gte == VMDK_GTE_ABSENT)
		return NULL;
	if (grain >= vmdk_grains(geo))
		return "maps a grain behind the end of the disk";
	if (gte == VMDK_GTE_ZERO)
		return geo->flags & VMDK_FLAG_ZEROED ? NULL :
			"says zeros, which the header does not declare";
	if (gte < geo->overhead)
		return "points into the metadata";
	if (gte & (geo->grain_sectors - 1))
		return "is not aligned to the grain size";
	if (gte + (u64)vmdk_grain_valid(geo, grain) > file_sectors)
		return "points past the end of the file";
	return NULL;
}
