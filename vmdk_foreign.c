// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The formats of ESXi, COWD and seSparse: what makes their headers, directory
 * entries and table entries valid.  Plain C over plain values, as vmdk_format.c.
 *
 * Sources: the technote and libvmdk for COWD.  seSparse is undocumented; what is
 * here is what its readers (qemu, dissect, xen-orchestra) agree on.
 */
#ifdef __KERNEL__
#include <linux/kernel.h>
#include <linux/string.h>
#else
#include <errno.h>
#include <string.h>
#endif
#include "vmdk_format.h"

/* ------------------------------------------------------------------- COWD */

#define FIELD(f)	offsetof(struct vmdk_cowd_header, f)

static int check_cowd_identity(const struct vmdk_cowd_header *h,
			       struct vmdk_fault *fault)
{
	u32 magic = le32_to_cpu(h->magic);
	u32 version = le32_to_cpu(h->version);
	u32 flags = le32_to_cpu(h->flags);

	if (magic != VMDK_MAGIC_COWD)
		return vmdk_fault_set(fault, FIELD(magic),
				      "COWD header: magic is 0x%08x, expected 0x%08x",
				      magic, VMDK_MAGIC_COWD);
	if (version != VMDK_COWD_VERSION)
		return vmdk_fault_set(fault, FIELD(version),
				      "COWD header: version is %u, expected %u",
				      version, VMDK_COWD_VERSION);
	if (flags & ~VMDK_COWD_FLAGS)
		return vmdk_fault_set(fault, FIELD(flags),
				      "COWD header: flags are 0x%08x, expected 0x%08x",
				      flags, VMDK_COWD_FLAGS);
	return 0;
}

static int decode_cowd_sizes(const struct vmdk_cowd_header *h,
			     struct vmdk_geometry *geo,
			     struct vmdk_fault *fault)
{
	u32 capacity = le32_to_cpu(h->capacity);
	u32 grain = le32_to_cpu(h->grain_size);

	if (!capacity)
		return vmdk_fault_set(fault, FIELD(capacity),
				      "COWD header: capacity is 0 sectors");
	if (!vmdk_is_power_of_two(grain) || grain > VMDK_COWD_GRAIN_MAX)
		return vmdk_fault_set(fault, FIELD(grain_size),
				      "COWD header: grain size is %u sectors, expected a power of two from 1 to %u",
				      grain, VMDK_COWD_GRAIN_MAX);
	geo->capacity = capacity;
	geo->version = VMDK_COWD_VERSION;
	geo->grain_sectors = grain;
	geo->grain_shift = vmdk_shift_of(grain);
	geo->gt_entries = VMDK_COWD_GT_ENTRIES;
	geo->gt_shift = vmdk_shift_of(VMDK_COWD_GT_ENTRIES);
	geo->gt_sectors = VMDK_COWD_GT_ENTRIES * sizeof(__le32) /
			  VMDK_SECTOR_SIZE;
	geo->header_sectors = sizeof(*h) / VMDK_SECTOR_SIZE;
	return 0;
}

/* The directory may have more entries than the disk needs; they take room. */
static int decode_cowd_directory(const struct vmdk_cowd_header *h,
				 u64 file_sectors, struct vmdk_geometry *geo,
				 struct vmdk_fault *fault)
{
	u32 entries = le32_to_cpu(h->gd_entries);

	geo->gd = le32_to_cpu(h->gd_offset);
	geo->gd_entries = (vmdk_grains(geo) + geo->gt_entries - 1) >>
			  geo->gt_shift;
	if (entries < geo->gd_entries || entries > VMDK_GD_ENTRIES_MAX)
		return vmdk_fault_set(fault, FIELD(gd_entries),
				      "COWD header: %u directory entries, expected %u, and %u at most",
				      entries, geo->gd_entries,
				      VMDK_GD_ENTRIES_MAX);
	geo->gd_sectors = (entries * sizeof(__le32) + VMDK_SECTOR_SIZE - 1) >>
			  VMDK_SECTOR_SHIFT;
	if (geo->gd < geo->header_sectors)
		return vmdk_fault_set(fault, FIELD(gd_offset),
				      "COWD header: grain directory at sector %llu, inside the header",
				      (unsigned long long)geo->gd);
	geo->overhead = geo->gd + geo->gd_sectors;
	if (geo->overhead > file_sectors)
		return vmdk_fault_set(fault, FIELD(gd_offset),
				      "COWD header: grain directory at sector %llu + %u lies past the end of the file (%llu sectors)",
				      (unsigned long long)geo->gd,
				      geo->gd_sectors,
				      (unsigned long long)file_sectors);
	return 0;
}

/**
 * vmdk_cowd_decode - validate a COWD header and decode it
 * @h: first 2048 bytes of the extent
 * @file_bytes: size of the file (or of the window that holds the extent)
 * @geo: receives the geometry; @geo->overhead is where the directory ends
 * @free_sector: receives where the next block goes.  A writer that leaves it
 *	alone (qemu) makes it lag behind the end of the file: whoever allocates
 *	has to take the greater of the two.
 * @fault: receives the reason of a refusal
 *
 * Return: 0, or -EINVAL with @fault set.
 */
int vmdk_cowd_decode(const struct vmdk_cowd_header *h, u64 file_bytes,
		     struct vmdk_geometry *geo, u32 *free_sector,
		     struct vmdk_fault *fault)
{
	u64 whole = file_bytes >> VMDK_SECTOR_SHIFT;
	u64 begun = whole + !!(file_bytes & (VMDK_SECTOR_SIZE - 1));
	int ret;

	memset(geo, 0, sizeof(*geo));
	*free_sector = le32_to_cpu(h->free_sector);
	ret = check_cowd_identity(h, fault);
	if (!ret)
		ret = decode_cowd_sizes(h, geo, fault);
	if (!ret)
		ret = decode_cowd_directory(h, whole, geo, fault);
	if (ret)
		return ret;
	geo->unclean = h->unclean_shutdown;
	if (*free_sector < geo->overhead || *free_sector > begun)
		return vmdk_fault_set(fault, FIELD(free_sector),
				      "COWD header: free sector is %u, expected %llu (end of the directory) to %llu (end of the file)",
				      *free_sector,
				      (unsigned long long)geo->overhead,
				      (unsigned long long)begun);
	return 0;
}

/**
 * vmdk_cowd_gte_fault - is a table entry of a COWD extent valid?
 * @geo: of the extent
 * @grain: number of the grain that the entry is for
 * @gte: the entry
 * @file_sectors: length of the file
 *
 * Grains lie at any sector behind the directory, between the tables.  That one
 * does not lie on a table is the caller's to check.  There are no zeroed grains.
 *
 * Return: NULL when valid, else what is wrong with it.
 */
const char *vmdk_cowd_gte_fault(const struct vmdk_geometry *geo, u64 grain,
				u32 gte, u64 file_sectors)
{
	if (gte == VMDK_GTE_ABSENT)
		return NULL;
	if (grain >= vmdk_grains(geo))
		return "maps a grain behind the end of the disk";
	if (gte < geo->overhead)
		return "points into the metadata";
	if (gte + (u64)vmdk_grain_valid(geo, grain) > file_sectors)
		return "points past the end of the file";
	if (gte > VMDK_GTE_LAST)
		return "points to the last sectors of 2 TiB";
	return NULL;
}

#undef FIELD

/* --------------------------------------------------------------- seSparse */

#define FIELD(f)	offsetof(struct vmdk_sesparse_header, f)

/* What is constant in every file that was ever seen; another one is unknown. */
static int check_sesparse_constants(const struct vmdk_sesparse_header *h,
				    struct vmdk_fault *fault)
{
	const struct {
		const char *name;
		u64 found;
		u64 expected;
		size_t field;
	} constants[] = {
		{ "magic", le64_to_cpu(h->magic), VMDK_MAGIC_SESPARSE,
		  FIELD(magic) },
		{ "version", le64_to_cpu(h->version), VMDK_SESPARSE_VERSION,
		  FIELD(version) },
		{ "grain size", le64_to_cpu(h->grain_size),
		  VMDK_SESPARSE_GRAIN, FIELD(grain_size) },
		{ "grain table size", le64_to_cpu(h->gt_size),
		  VMDK_SESPARSE_GT_SECTORS, FIELD(gt_size) },
		{ "flags", le64_to_cpu(h->flags), 0, FIELD(flags) },
		{ "reserved 1", le64_to_cpu(h->reserved[0]), 0,
		  FIELD(reserved[0]) },
		{ "reserved 2", le64_to_cpu(h->reserved[1]), 0,
		  FIELD(reserved[1]) },
		{ "reserved 3", le64_to_cpu(h->reserved[2]), 0,
		  FIELD(reserved[2]) },
		{ "reserved 4", le64_to_cpu(h->reserved[3]), 0,
		  FIELD(reserved[3]) },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(constants); i++)
		if (constants[i].found != constants[i].expected)
			return vmdk_fault_set(fault, constants[i].field,
					      "seSparse header: %s is 0x%llx, expected 0x%llx",
					      constants[i].name,
					      (unsigned long long)constants[i].found,
					      (unsigned long long)constants[i].expected);
	return 0;
}

/* Index of the first byte that is not zero; @size: there is none. */
static size_t first_nonzero(const u8 *bytes, size_t size)
{
	size_t i = 0;

	while (i < size && !bytes[i])
		i++;
	return i;
}

static int check_pad(const u8 *pad, size_t size, size_t field, u64 base,
		     const char *name, struct vmdk_fault *fault)
{
	size_t i = first_nonzero(pad, size);

	if (i < size)
		return vmdk_fault_set(fault, base + field + i,
				      "%s: 0x%02x in the padding, expected zeros",
				      name, pad[i]);
	return 0;
}

static const struct {
	const char *name;
	size_t field;
} areas[] = {
	{ "volatile header", FIELD(volatile_header) },
	{ "journal header", FIELD(journal_header) },
	{ "journal", FIELD(journal) },
	{ "grain directory", FIELD(gd) },
	{ "grain tables", FIELD(gts) },
	{ "free bitmap", FIELD(free_bitmap) },
	{ "backmap", FIELD(backmap) },
	{ "grains", FIELD(grains) },
};

static void area_of(const struct vmdk_sesparse_header *h, size_t i,
		    u64 *offset, u64 *size)
{
	const struct vmdk_sesparse_area *area =
		(const void *)((const u8 *)h + areas[i].field);

	*offset = le64_to_cpu(area->offset);
	*size = le64_to_cpu(area->size);
}

/*
 * Everything is made with the file, but grains: room for all that the disk can
 * have is set aside behind the rest, and the file grows into it.
 */
static int check_area_bounds(const struct vmdk_sesparse_header *h, size_t i,
			     u64 file_sectors, struct vmdk_fault *fault)
{
	bool grows = areas[i].field == FIELD(grains);
	u64 limit = grows ? VMDK_SESPARSE_SECTORS_MAX : file_sectors;
	u64 offset, size;

	area_of(h, i, &offset, &size);
	if (offset > limit || size > limit - offset)
		return vmdk_fault_set(fault, areas[i].field,
				      "seSparse header: %s at sector %llu + %llu past the end of %s (%llu sectors)",
				      areas[i].name,
				      (unsigned long long)offset,
				      (unsigned long long)size,
				      grows ? "any file" : "the file",
				      (unsigned long long)limit);
	if (!offset && size)
		return vmdk_fault_set(fault, areas[i].field,
				      "seSparse header: %s at sector 0, inside the header",
				      areas[i].name);
	return 0;
}

/* Areas in bounds, so that no sum wraps; each pair of them apart. */
static int check_area_overlap(const struct vmdk_sesparse_header *h, size_t i,
			      struct vmdk_fault *fault)
{
	u64 offset, size, other, other_size;
	size_t j;

	area_of(h, i, &offset, &size);
	for (j = 0; j < i; j++) {
		area_of(h, j, &other, &other_size);
		if (vmdk_overlaps(offset, size, other, other_size))
			return vmdk_fault_set(fault, areas[i].field,
					      "seSparse header: %s at sector %llu + %llu overlaps %s at %llu + %llu",
					      areas[i].name,
					      (unsigned long long)offset,
					      (unsigned long long)size,
					      areas[j].name,
					      (unsigned long long)other,
					      (unsigned long long)other_size);
	}
	return 0;
}

static int check_areas(const struct vmdk_sesparse_header *h, u64 file_sectors,
		       struct vmdk_fault *fault)
{
	size_t i;
	int ret = 0;

	for (i = 0; i < ARRAY_SIZE(areas) && !ret; i++)
		ret = check_area_bounds(h, i, file_sectors, fault);
	for (i = 1; i < ARRAY_SIZE(areas) && !ret; i++)
		ret = check_area_overlap(h, i, fault);
	return ret;
}

static int decode_sesparse_sizes(const struct vmdk_sesparse_header *h,
				 struct vmdk_sesparse_geometry *geo,
				 struct vmdk_fault *fault)
{
	const u32 shift = VMDK_SESPARSE_GT_SHIFT + VMDK_SESPARSE_GRAIN_SHIFT;
	const u32 per_sector = VMDK_SECTOR_SIZE / sizeof(__le64);

	if (!geo->capacity || geo->capacity > VMDK_CAPACITY_MAX)
		return vmdk_fault_set(fault, FIELD(capacity),
				      "seSparse header: capacity is %llu sectors, expected 1 to %llu",
				      (unsigned long long)geo->capacity,
				      VMDK_CAPACITY_MAX);
	geo->gd_entries = (geo->capacity + (1U << shift) - 1) >> shift;
	if (geo->gd_sectors * per_sector < geo->gd_entries)
		return vmdk_fault_set(fault, FIELD(gd.size),
				      "seSparse header: grain directory of %llu sectors, too small for %u entries",
				      (unsigned long long)geo->gd_sectors,
				      geo->gd_entries);
	if (!le64_to_cpu(h->volatile_header.size))
		return vmdk_fault_set(fault, FIELD(volatile_header.size),
				      "seSparse header: volatile header of 0 sectors");
	return 0;
}

/**
 * vmdk_sesparse_decode - validate a seSparse header and decode it
 * @h: first 512 bytes of the extent
 * @file_bytes: size of the file (or of the window that holds the extent)
 * @geo: receives the geometry; the sector @geo->volatile_header is then for
 *	vmdk_sesparse_decode_volatile() to judge
 * @fault: receives the reason of a refusal
 *
 * Return: 0, or -EINVAL with @fault set.
 */
int vmdk_sesparse_decode(const struct vmdk_sesparse_header *h, u64 file_bytes,
			 struct vmdk_sesparse_geometry *geo,
			 struct vmdk_fault *fault)
{
	int ret;

	memset(geo, 0, sizeof(*geo));
	ret = check_sesparse_constants(h, fault);
	if (!ret)
		ret = check_pad(h->pad, sizeof(h->pad), FIELD(pad), 0,
				"seSparse header", fault);
	if (!ret)
		ret = check_areas(h, file_bytes >> VMDK_SECTOR_SHIFT, fault);
	if (ret)
		return ret;
	geo->capacity = le64_to_cpu(h->capacity);
	geo->file_sectors = file_bytes >> VMDK_SECTOR_SHIFT;
	geo->volatile_header = le64_to_cpu(h->volatile_header.offset);
	geo->gd = le64_to_cpu(h->gd.offset);
	geo->gd_sectors = le64_to_cpu(h->gd.size);
	geo->gts = le64_to_cpu(h->gts.offset);
	geo->gts_sectors = le64_to_cpu(h->gts.size);
	geo->grains = le64_to_cpu(h->grains.offset);
	geo->grains_sectors = le64_to_cpu(h->grains.size);
	return decode_sesparse_sizes(h, geo, fault);
}

#undef FIELD
#define FIELD(f)	offsetof(struct vmdk_sesparse_volatile, f)

/**
 * vmdk_sesparse_decode_volatile - may a seSparse extent be read as it is?
 * @v: sector @geo->volatile_header of the file
 * @geo: of the extent
 * @fault: receives the reason of a refusal
 *
 * Nobody outside VMware knows how to replay the journal; without that, the
 * tables may be wrong.
 *
 * Return: 0, or -EINVAL with @fault set.
 */
int vmdk_sesparse_decode_volatile(const struct vmdk_sesparse_volatile *v,
				  const struct vmdk_sesparse_geometry *geo,
				  struct vmdk_fault *fault)
{
	u64 base = geo->volatile_header << VMDK_SECTOR_SHIFT;
	u64 magic = le64_to_cpu(v->magic);

	if (magic != VMDK_SESPARSE_VOLATILE_MAGIC)
		return vmdk_fault_set(fault, base + FIELD(magic),
				      "seSparse volatile header: magic is 0x%llx, expected 0x%x",
				      (unsigned long long)magic,
				      VMDK_SESPARSE_VOLATILE_MAGIC);
	if (v->replay_journal)
		return vmdk_fault_set(fault, base + FIELD(replay_journal),
				      "seSparse volatile header: the journal has to be replayed: open and close the disk with ESXi first");
	return check_pad(v->pad, sizeof(v->pad), FIELD(pad), base,
			 "seSparse volatile header", fault);
}

/**
 * vmdk_sesparse_gde - what does a directory entry say?
 * @gde: the entry, in the CPU's byte order
 * @geo: of the extent
 * @table_sector: receives the first sector of the table
 *
 * Return: 1 for a table, 0 for none, -EINVAL for a damaged entry.
 */
int vmdk_sesparse_gde(u64 gde, const struct vmdk_sesparse_geometry *geo,
		      u64 *table_sector)
{
	u32 index = (u32)gde;

	if (!gde)
		return 0;
	if (gde >> 32 != 0x10000000 ||
	    index >= geo->gts_sectors / VMDK_SESPARSE_GT_SECTORS)
		return -EINVAL;
	*table_sector = geo->gts + (u64)index * VMDK_SESPARSE_GT_SECTORS;
	return 1;
}

/*
 * The top four bits are the entry's kind.  The other 60 are the number of the
 * grain, turned left by 12 within these 60.
 */
static u64 sesparse_index(u64 gte)
{
	return (gte & 0x0fff000000000000ULL) >> 48 |
	       (gte & 0x0000ffffffffffffULL) << 12;
}

/**
 * vmdk_sesparse_gte - what does a table entry say?
 * @gte: the entry, in the CPU's byte order
 * @geo: of the extent
 * @sector: receives the first sector of the grain, for VMDK_SESPARSE_DATA
 *
 * An unmapped grain (kind 1) keeps the number that it had for the reclaiming of
 * space.  It reads as zeros, in qemu and xen-orchestra; dissect shows the parent.
 *
 * Return: what lies there; a grain lies whole in the file.
 */
enum vmdk_sesparse_state
vmdk_sesparse_gte(u64 gte, const struct vmdk_sesparse_geometry *geo, u64 *sector)
{
	u64 index;

	switch (gte >> 60) {
	case 0:
		return gte ? VMDK_SESPARSE_BAD : VMDK_SESPARSE_ABSENT;
	case 1:
	case 2:
		return VMDK_SESPARSE_ZERO;
	case 3:
		break;
	default:
		return VMDK_SESPARSE_BAD;
	}
	index = sesparse_index(gte);
	if (index >= geo->grains_sectors / VMDK_SESPARSE_GRAIN)
		return VMDK_SESPARSE_BAD;
	*sector = geo->grains + index * VMDK_SESPARSE_GRAIN;
	if (*sector + VMDK_SESPARSE_GRAIN > geo->file_sectors)
		return VMDK_SESPARSE_BAD;
	return VMDK_SESPARSE_DATA;
}
