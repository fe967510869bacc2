// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What makes a hosted sparse header, its footer, a directory entry, a table
 * entry and a grain's marker valid.  Plain C over plain values: compiled into
 * the module, into vmdkctl, and into the unit tests and fuzzers.
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
	if (!vmdk_is_power_of_two(grain) || grain < VMDK_GRAIN_MIN ||
	    grain > VMDK_GRAIN_MAX)
		return vmdk_fault_set(fault, FIELD(grain_size),
				      "header: grain size is %llu sectors, expected a power of two from %u to %u",
				      (unsigned long long)grain,
				      VMDK_GRAIN_MIN, VMDK_GRAIN_MAX);
	if (!vmdk_is_power_of_two(gtes) || gtes < VMDK_GT_ENTRIES_MIN ||
	    gtes > VMDK_GT_ENTRIES_MAX)
		return vmdk_fault_set(fault, FIELD(gtes_per_gt),
				      "header: %u entries per grain table, expected 512",
				      gtes);

	geo->capacity = capacity;
	geo->grain_sectors = grain;
	geo->grain_shift = vmdk_shift_of(grain);
	geo->gt_entries = gtes;
	geo->gt_shift = vmdk_shift_of(gtes);
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
	if (vmdk_overlaps(start, geo->gd_sectors, geo->desc, geo->desc_sectors))
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
				      "header: the directory is at the end of the file, which %s",
				      geo->flags & VMDK_FLAG_COMPRESSED ?
				      "this is already" :
				      "is for compressed images only");
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
	if (vmdk_overlaps(geo->gd, geo->gd_sectors, geo->rgd, geo->gd_sectors))
		return vmdk_fault_set(fault, FIELD(rgd_offset),
				      "header: redundant directory at sector %llu overlaps the directory at %llu",
				      (unsigned long long)geo->rgd,
				      (unsigned long long)geo->gd);
	return 0;
}

/*
 * Where the fixed metadata ends that has to lie in front of overHead.  Writers
 * of streams put directories behind the grains, and say so in a header that
 * they rewrite in the end (vmdktool) or write last (Red Hat's converter).  So do
 * we with directories that have to become larger.
 */
static u64 metadata_end(const struct vmdk_geometry *geo, u64 overhead)
{
	u64 end = geo->header_sectors;

	if (end < geo->desc + geo->desc_sectors)
		end = geo->desc + geo->desc_sectors;
	if (end < geo->gd + geo->gd_sectors && geo->gd < overhead)
		end = geo->gd + geo->gd_sectors;
	if (geo->rgd && end < geo->rgd + geo->gd_sectors && geo->rgd < overhead)
		end = geo->rgd + geo->gd_sectors;
	return end;
}

/* Grains start at overHead. */
static int decode_overhead(const struct vmdk_sparse_header *h,
			   u64 file_sectors, struct vmdk_geometry *geo,
			   struct vmdk_fault *fault)
{
	u64 overhead = le64_to_cpu(h->overhead);
	u64 end = metadata_end(geo, overhead);

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

/* All but the directories and what depends on them. */
static int decode_front(const struct vmdk_sparse_header *h, u64 file_sectors,
			struct vmdk_geometry *geo, struct vmdk_fault *fault)
{
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
	geo->header_sectors = 1;
	return 0;
}

static int decode_whole(const struct vmdk_sparse_header *h, u64 file_sectors,
			struct vmdk_geometry *geo, struct vmdk_fault *fault)
{
	int ret = decode_front(h, file_sectors, geo, fault);

	if (!ret)
		ret = decode_directories(h, file_sectors, geo, fault);
	if (!ret)
		ret = decode_overhead(h, file_sectors, geo, fault);
	return ret;
}

/**
 * vmdk_header_decode - validate a hosted sparse header and decode it
 * @h: first 512 bytes of the extent
 * @file_bytes: size of the file (or of the window that holds the extent)
 * @geo: receives the geometry; when @geo->gd is VMDK_GD_AT_END, then only the
 *	members that do not depend on it, and vmdk_footer_decode() has to follow
 * @fault: receives the reason of a refusal
 *
 * Return: 0, or -EINVAL with @fault set.
 */
int vmdk_header_decode(const struct vmdk_sparse_header *h, u64 file_bytes,
		       struct vmdk_geometry *geo, struct vmdk_fault *fault)
{
	u64 file_sectors = file_bytes >> VMDK_SECTOR_SHIFT;
	int ret;

	if (le64_to_cpu(h->gd_offset) != VMDK_GD_AT_END ||
	    !(le32_to_cpu(h->flags) & VMDK_FLAG_COMPRESSED))
		return decode_whole(h, file_sectors, geo, fault);
	ret = decode_front(h, file_sectors, geo, fault);
	geo->gd = VMDK_GD_AT_END;
	return ret;
}

/*
 * Sector of the footer's marker in the tail, or -1.  The last pair of a marker
 * and a header counts: padding may follow.  Without a pair it is the last
 * sector at which there is one or the other, so that a report can name the half
 * that is damaged.
 */
static long find_footer(const u8 *tail, size_t sectors)
{
	long half = -1;
	long i;

	for (i = (long)sectors - 2; i >= 0; i--) {
		const u8 *sector = tail + i * VMDK_SECTOR_SIZE;
		const struct vmdk_marker *m = (const void *)sector;
		const struct vmdk_sparse_header *h =
			(const void *)(sector + VMDK_SECTOR_SIZE);
		bool marker = le64_to_cpu(m->val) == 1 && !m->size &&
			      le32_to_cpu(m->type) == VMDK_MARKER_FOOTER;
		bool magic = le32_to_cpu(h->magic) == VMDK_MAGIC_SPARSE;

		if (marker && magic)
			return i;
		if ((marker || magic) && half < 0)
			half = i;
	}
	return half;
}

/* The footer's marker, at byte @at, and what the file has behind the footer. */
static int check_footer_markers(const u8 *sector, bool has_eos, u64 at,
				struct vmdk_fault *fault)
{
	const struct vmdk_marker *m = (const void *)sector;
	const struct vmdk_marker *eos =
		(const void *)(sector + 2 * VMDK_SECTOR_SIZE);

	if (le64_to_cpu(m->val) != 1 || m->size ||
	    le32_to_cpu(m->type) != VMDK_MARKER_FOOTER)
		return vmdk_fault_set(fault, at,
				      "footer: its marker is value %llu, size %u, type %u, expected 1, 0, %u",
				      (unsigned long long)le64_to_cpu(m->val),
				      le32_to_cpu(m->size),
				      le32_to_cpu(m->type), VMDK_MARKER_FOOTER);
	if (has_eos && (eos->val || eos->size ||
			le32_to_cpu(eos->type) != VMDK_MARKER_EOS))
		return vmdk_fault_set(fault, at + 2 * VMDK_SECTOR_SIZE,
				      "footer: behind it is a marker of value %llu, size %u, type %u, expected the end of the stream",
				      (unsigned long long)le64_to_cpu(eos->val),
				      le32_to_cpu(eos->size),
				      le32_to_cpu(eos->type));
	return 0;
}

static u64 little_endian(const u8 *bytes, u32 width)
{
	u64 v = 0;

	while (width--)
		v = v << 8 | bytes[width];
	return v;
}

/*
 * A footer tells where the directories are and must not tell anything else
 * anew: a reader that looked at the header alone would see another disk.
 */
static int check_repeats(const struct vmdk_sparse_header *footer,
			 const struct vmdk_sparse_header *header, u64 at,
			 struct vmdk_fault *fault)
{
	static const struct {
		const char *name;
		u32 at;
		u32 width;
	} repeated[] = {
		{ "magic", FIELD(magic), sizeof(header->magic) },
		{ "version", FIELD(version), sizeof(header->version) },
		{ "capacity", FIELD(capacity), sizeof(header->capacity) },
		{ "grain size", FIELD(grain_size), sizeof(header->grain_size) },
		{ "descriptor offset", FIELD(desc_offset),
		  sizeof(header->desc_offset) },
		{ "descriptor size", FIELD(desc_size),
		  sizeof(header->desc_size) },
		{ "number of entries per table", FIELD(gtes_per_gt),
		  sizeof(header->gtes_per_gt) },
		{ "compression algorithm", FIELD(compress), sizeof(header->compress) },
	};
	u32 flags = le32_to_cpu(footer->flags);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(repeated); i++) {
		u32 field = repeated[i].at;
		u32 width = repeated[i].width;
		u64 found = little_endian((const u8 *)footer + field, width);
		u64 wanted = little_endian((const u8 *)header + field, width);

		if (found != wanted)
			return vmdk_fault_set(fault, at + field,
					      "footer: %s is %llu, in the header it is %llu",
					      repeated[i].name,
					      (unsigned long long)found,
					      (unsigned long long)wanted);
	}
	if ((flags ^ le32_to_cpu(header->flags)) & VMDK_FLAGS_INCOMPAT)
		return vmdk_fault_set(fault, at + FIELD(flags),
				      "footer: flags are 0x%08x, in the header they are 0x%08x",
				      flags, le32_to_cpu(header->flags));
	return 0;
}

/**
 * vmdk_footer_decode - find, validate and decode the footer of a stream
 * @header: its first 512 bytes, which vmdk_header_decode() accepted, with
 *	VMDK_GD_AT_END as place of the directory
 * @tail: the last bytes of the file, as many as there are up to
 *	VMDK_TAIL_BYTES_MAX
 * @tail_bytes: how many
 * @tail_offset: byte in the file at which they begin, a multiple of 512
 * @file_bytes: size of the file
 * @geo: receives the whole geometry
 * @fault: receives the reason of a refusal
 *
 * The file may end right behind the footer, or go on behind the EOS marker; its
 * size need not be a multiple of 512.
 *
 * Return: 0, or -EINVAL with @fault set.
 */
int vmdk_footer_decode(const struct vmdk_sparse_header *header,
		       const void *tail, size_t tail_bytes, u64 tail_offset,
		       u64 file_bytes, struct vmdk_geometry *geo,
		       struct vmdk_fault *fault)
{
	size_t sectors = tail_bytes >> VMDK_SECTOR_SHIFT;
	long found = find_footer(tail, sectors);
	const struct vmdk_sparse_header *footer;
	const u8 *marker;
	u64 at;
	int ret;

	if (found < 0)
		return vmdk_fault_set(fault, FIELD(gd_offset),
				      "header: the directory is at the end of the file, but its last %zu bytes hold no footer: the file is cut",
				      tail_bytes);
	marker = (const u8 *)tail + found * VMDK_SECTOR_SIZE;
	footer = (const void *)(marker + VMDK_SECTOR_SIZE);
	at = tail_offset + (u64)found * VMDK_SECTOR_SIZE;
	ret = check_footer_markers(marker, (size_t)found + 2 < sectors, at,
				   fault);
	at += VMDK_SECTOR_SIZE;
	if (!ret)
		ret = check_repeats(footer, header, at, fault);
	if (ret)
		return ret;
	ret = decode_whole(footer, file_bytes >> VMDK_SECTOR_SHIFT, geo, fault);
	if (ret) {
		fault->offset += at;
		memcpy(fault->text, "footer", 6);	/* was "header" */
	}
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
	if (gde < geo->header_sectors)
		return "overlaps the header";
	if (vmdk_overlaps(gde, geo->gt_sectors, geo->desc, geo->desc_sectors))
		return "overlaps the descriptor";
	if (vmdk_overlaps(gde, geo->gt_sectors, geo->gd, geo->gd_sectors))
		return "overlaps the grain directory";
	if (geo->rgd &&
	    vmdk_overlaps(gde, geo->gt_sectors, geo->rgd, geo->gd_sectors))
		return "overlaps the redundant directory";
	return NULL;
}

/* What is wrong with an entry that is not absent, wherever grains may begin. */
static const char *entry_fault(const struct vmdk_geometry *geo, u64 grain,
			       u32 gte)
{
	if (grain >= vmdk_grains(geo))
		return "maps a grain behind the end of the disk";
	if (gte == VMDK_GTE_ZERO)
		return geo->flags & VMDK_FLAG_ZEROED ? NULL :
			"says zeros, which the header does not declare";
	if (gte < geo->overhead)
		return "points into the metadata";
	return NULL;
}

/* Directories may lie behind overHead; does one share a sector with these? */
static const char *directory_fault(const struct vmdk_geometry *geo, u32 gte,
				   u32 sectors)
{
	if (vmdk_overlaps(gte, sectors, geo->gd, geo->gd_sectors))
		return "points into the grain directory";
	if (geo->rgd && vmdk_overlaps(gte, sectors, geo->rgd, geo->gd_sectors))
		return "points into the redundant directory";
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
	const char *why;

	if (gte == VMDK_GTE_ABSENT)
		return NULL;
	why = entry_fault(geo, grain, gte);
	if (why || gte == VMDK_GTE_ZERO)
		return why;
	if (gte & (geo->grain_sectors - 1))
		return "is not aligned to the grain size";
	if (gte + (u64)vmdk_grain_valid(geo, grain) > file_sectors)
		return "points past the end of the file";
	return directory_fault(geo, gte, geo->grain_sectors);
}

/**
 * vmdk_stream_gte_fault - is a table entry of a compressed extent valid?
 * @geo: of the extent
 * @grain: number of the grain that the entry is for
 * @gte: the entry
 * @file_sectors: length of the file; a sector that it holds in part counts
 *
 * Compressed grains lie at any sector.  How long one is stands in front of it:
 * that the file holds all of it is for vmdk_grain_marker_check() to say.
 *
 * Return: NULL when valid, else what is wrong with it.
 */
const char *vmdk_stream_gte_fault(const struct vmdk_geometry *geo, u64 grain,
				  u32 gte, u64 file_sectors)
{
	const char *why;

	if (gte == VMDK_GTE_ABSENT)
		return NULL;
	why = entry_fault(geo, grain, gte);
	if (why || gte == VMDK_GTE_ZERO)
		return why;
	if (gte >= file_sectors)
		return "points past the end of the file";
	if (gte > VMDK_GTE_LAST)
		return "points to the last sectors of 2 TiB";
	return directory_fault(geo, gte, 1);
}

/* With markers: the disk's sector, so that a wrong table entry shows. */
static int check_marker(const struct vmdk_marker *m,
			const struct vmdk_geometry *geo, u64 grain, u64 pos,
			struct vmdk_fault *fault)
{
	u64 found = le64_to_cpu(m->val);
	u64 wanted = grain << geo->grain_shift;

	if (!m->size)
		return vmdk_fault_set(fault, pos,
				      "grain %llu: a marker of type %u and value %llu, expected a grain",
				      (unsigned long long)grain,
				      le32_to_cpu(m->type),
				      (unsigned long long)found);
	if (found != wanted)
		return vmdk_fault_set(fault, pos,
				      "grain %llu: its marker is for sector %llu, expected %llu",
				      (unsigned long long)grain,
				      (unsigned long long)found,
				      (unsigned long long)wanted);
	return 0;
}

/*
 * Without markers open-vmdk expects a 32-bit length in front of the data, qemu
 * expects the data at once.  The former can be told by the header of zlib data
 * (RFC 1950) behind the length; the latter, which nobody writes, is refused.
 */
static int check_prefix(const u8 *bytes, u64 grain, u64 pos,
			struct vmdk_fault *fault)
{
	if (bytes[4] != 0x78 || (bytes[4] << 8 | bytes[5]) % 31)
		return vmdk_fault_set(fault, pos + 4,
				      "grain %llu: without marker, and %02x %02x in place of zlib data behind a length",
				      (unsigned long long)grain, bytes[4],
				      bytes[5]);
	return 0;
}

/**
 * vmdk_grain_marker_check - where does the data of a compressed grain lie?
 * @bytes: the first 16 of the grain, zeros where the file ends before
 * @geo: of the extent
 * @grain: its number
 * @pos: its byte in the file
 * @file_bytes: size of the file
 * @data_offset: receives the byte behind @pos at which zlib data begins
 * @data_bytes: receives its length, which the file is long enough for
 * @fault: receives the reason of a refusal
 *
 * Data that does not compress takes more than a grain; writers have room for
 * two grains at most.
 *
 * Return: 0, or -EINVAL with @fault set.
 */
int vmdk_grain_marker_check(const void *bytes, const struct vmdk_geometry *geo,
			    u64 grain, u64 pos, u64 file_bytes,
			    u32 *data_offset, u32 *data_bytes,
			    struct vmdk_fault *fault)
{
	bool markers = geo->flags & VMDK_FLAG_MARKERS;
	u32 field = markers ? offsetof(struct vmdk_marker, size) : 0;
	u32 offset = field + sizeof(__le32);
	u32 most = 2 * geo->grain_sectors << VMDK_SECTOR_SHIFT;
	u32 size = (u32)little_endian((const u8 *)bytes + field, sizeof(size));
	int ret = markers ? check_marker(bytes, geo, grain, pos, fault) :
			    check_prefix(bytes, grain, pos, fault);

	if (ret)
		return ret;
	if (!size || size > most)
		return vmdk_fault_set(fault, pos + field,
				      "grain %llu: %u compressed bytes, expected 1 to %u",
				      (unsigned long long)grain, size, most);
	if (pos > file_bytes || offset + (u64)size > file_bytes - pos)
		return vmdk_fault_set(fault, pos + field,
				      "grain %llu: %u compressed bytes reach past the end of the file (%llu bytes)",
				      (unsigned long long)grain, size,
				      (unsigned long long)file_bytes);
	*data_offset = offset;
	*data_bytes = size;
	return 0;
}

#define ADLER_BASE	65521U
#define ADLER_BLOCK	128U
/* Whole blocks for which 32 bits hold both sums without a remainder taken. */
#define ADLER_RUN	(43 * ADLER_BLOCK)
#define ADLER_LANES	0x00ff00ff00ff00ffULL

static u32 sum_lanes(u64 lanes)
{
	return (lanes & 0xffff) + (lanes >> 16 & 0xffff) +
	       (lanes >> 32 & 0xffff) + (lanes >> 48);
}

/*
 * 16 words of 8 bytes, as sums of bytes in lanes of 16 bits.  The second sum has
 * each byte as often as there are bytes from it on: 8 times for each word behind
 * its own, and 8 to 1 times within it.  @before stays below 2^16 in each lane.
 */
static void adler_block(const u8 *p, u32 *a, u32 *b)
{
	u64 even = 0, odd = 0, before = 0, both;
	u32 i;

	for (i = 0; i < ADLER_BLOCK; i += sizeof(u64)) {
		__le64 word;

		memcpy(&word, p + i, sizeof(word));
		before += even + odd;
		even += le64_to_cpu(word) & ADLER_LANES;
		odd += le64_to_cpu(word) >> 8 & ADLER_LANES;
	}
	both = even + odd;
	*b += ADLER_BLOCK * *a + 8 * sum_lanes(before) - sum_lanes(odd) +
	      8 * (both & 0xffff) + 6 * (both >> 16 & 0xffff) +
	      4 * (both >> 32 & 0xffff) + 2 * (both >> 48);
	*a += sum_lanes(both);
}

/**
 * vmdk_adler32 - the check sum of a compressed grain
 * @bytes: what it inflates to
 * @size: number of bytes
 *
 * Adler-32 (RFC 1950) as zlib's, in words instead of bytes.
 *
 * Return: the sum.
 */
u32 vmdk_adler32(const void *bytes, size_t size)
{
	const u8 *p = bytes;
	u32 a = 1, b = 0;
	size_t run;

	while (size >= ADLER_BLOCK) {
		run = size < ADLER_RUN ? size : ADLER_RUN;
		for (; run >= ADLER_BLOCK; run -= ADLER_BLOCK) {
			adler_block(p, &a, &b);
			p += ADLER_BLOCK;
			size -= ADLER_BLOCK;
		}
		a %= ADLER_BASE;
		b %= ADLER_BASE;
	}
	while (size--) {
		a += *p++;
		b += a;
	}
	return b % ADLER_BASE << 16 | a % ADLER_BASE;
}
