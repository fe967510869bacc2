// SPDX-License-Identifier: GPL-2.0
/*
 * Header and directories of an extent with grain tables, read and validated
 * once, at attach: hosted sparse, COWD and seSparse.
 */
#include <linux/slab.h>
#include <linux/sort.h>

#include "vmdk.h"

/* Every writer makes grains of 128; a reader of one byte inflates all of one. */
#define VMDK_STREAM_GRAIN_MAX	2048U
/* COWD grains may begin anywhere; a write of a page should not take two. */
#define VMDK_COWD_ALIGN		8U

/* ---------------------------------------------------------------- layouts */

static void vmdk_set_layout(struct vmdk_sparse *sparse)
{
	const struct vmdk_geometry *geo = &sparse->geo;
	struct vmdk_layout *layout = &sparse->layout;

	layout->gt_entries = min(geo->gt_entries, VMDK_GT_ENTRIES_MAX);
	layout->gt_shift = vmdk_shift_of(layout->gt_entries);
	layout->split_shift = geo->gt_shift - layout->gt_shift;
	layout->gt_sectors = geo->gt_sectors >> layout->split_shift;
	layout->gte_step = geo->grain_sectors;
}

static void vmdk_set_sesparse_layout(struct vmdk_sparse *sparse)
{
	const struct vmdk_sesparse_geometry *ses = sparse->sesparse;
	struct vmdk_layout *layout = &sparse->layout;

	vmdk_set_layout(sparse);
	layout->gde_shift = vmdk_shift_of(VMDK_SESPARSE_GT_SECTORS);
	layout->gde_base = ses->gts - VMDK_SESPARSE_GT_SECTORS;
	layout->gte_shift = VMDK_SESPARSE_GRAIN_SHIFT;
	layout->gte_base = ses->grains -
			   VMDK_SESPARSE_BIAS * VMDK_SESPARSE_GRAIN;
	layout->gte_step = 1;
}

/* ---------------------------------------------------------------- headers */

/* A writer that could not seek back put the directory's place behind it all. */
static int vmdk_read_footer(struct vmdk_sparse *sparse,
			    const struct vmdk_sparse_header *header,
			    u64 file_bytes, struct vmdk_fault *fault)
{
	u64 end = round_up(file_bytes, SECTOR_SIZE);
	u64 start = end > VMDK_TAIL_BYTES_MAX ? end - VMDK_TAIL_BYTES_MAX : 0;
	void *tail = kvmalloc(VMDK_TAIL_BYTES_MAX, GFP_KERNEL);
	int ret;

	if (!tail)
		return -ENOMEM;
	ret = vmdk_file_read(sparse->file, tail, file_bytes - start,
			     sparse->base + start);
	if (!ret)
		ret = vmdk_footer_decode(header, tail, file_bytes - start,
					 start, file_bytes, &sparse->geo,
					 fault);
	kvfree(tail);
	return ret;
}

static int vmdk_read_hosted(struct vmdk_sparse *sparse, const void *header,
			    u64 file_bytes, struct vmdk_fault *fault)
{
	int ret;

	ret = vmdk_header_decode(header, file_bytes, &sparse->geo, fault);
	if (!ret && sparse->geo.gd == VMDK_GD_AT_END)
		ret = vmdk_read_footer(sparse, header, file_bytes, fault);
	if (ret)
		return ret;
	vmdk_set_layout(sparse);
	sparse->layout.unclean_pos = offsetof(struct vmdk_sparse_header,
					      unclean_shutdown);
	sparse->layout.unclean_bytes = sizeof(u8);
	return 0;
}

static int vmdk_read_cowd(struct vmdk_sparse *sparse, const void *header,
			  u64 file_bytes, struct vmdk_fault *fault)
{
	u32 free_sector;
	int ret;

	ret = vmdk_cowd_decode(header, file_bytes, &sparse->geo, &free_sector,
			       fault);
	if (ret)
		return ret;
	sparse->free_sector = free_sector;
	vmdk_set_layout(sparse);
	sparse->layout.unclean_pos = offsetof(struct vmdk_cowd_header,
					      unclean_shutdown);
	sparse->layout.unclean_bytes = sizeof(__le32);
	return 0;
}

static void vmdk_set_sesparse_geometry(struct vmdk_sparse *sparse)
{
	const struct vmdk_sesparse_geometry *ses = sparse->sesparse;
	struct vmdk_geometry *geo = &sparse->geo;

	geo->capacity = ses->capacity;
	geo->grain_sectors = VMDK_SESPARSE_GRAIN;
	geo->grain_shift = VMDK_SESPARSE_GRAIN_SHIFT;
	geo->gt_entries = VMDK_SESPARSE_GT_ENTRIES;
	geo->gt_shift = VMDK_SESPARSE_GT_SHIFT;
	geo->gt_sectors = VMDK_SESPARSE_GT_SECTORS;
	geo->gd = ses->gd;
	geo->gd_entries = ses->gd_entries;
	geo->gd_sectors = DIV_ROUND_UP(ses->gd_entries * sizeof(__le64),
				       SECTOR_SIZE);
}

static int vmdk_read_volatile(struct vmdk_sparse *sparse,
			      struct vmdk_fault *fault)
{
	struct vmdk_sesparse_volatile *state;
	u64 pos = sparse->sesparse->volatile_header << SECTOR_SHIFT;
	int ret;

	state = kmalloc(sizeof(*state), GFP_KERNEL);
	if (!state)
		return -ENOMEM;
	ret = vmdk_file_read(sparse->file, state, sizeof(*state),
			     sparse->base + pos);
	if (!ret)
		ret = vmdk_sesparse_decode_volatile(state, sparse->sesparse,
						    fault);
	kfree(state);
	return ret;
}

static int vmdk_read_sesparse(struct vmdk_sparse *sparse, const void *header,
			      u64 file_bytes, struct vmdk_fault *fault)
{
	int ret;

	sparse->sesparse = kzalloc(sizeof(*sparse->sesparse), GFP_KERNEL);
	if (!sparse->sesparse)
		return -ENOMEM;
	ret = vmdk_sesparse_decode(header, file_bytes, sparse->sesparse, fault);
	if (!ret)
		ret = vmdk_read_volatile(sparse, fault);
	if (ret)
		return ret;
	vmdk_set_sesparse_geometry(sparse);
	vmdk_set_sesparse_layout(sparse);
	sparse->raw = kmalloc_array(sparse->layout.gt_entries,
				    sizeof(*sparse->raw), GFP_KERNEL);
	return sparse->raw ? 0 : -ENOMEM;
}

static const struct vmdk_header_kind {
	size_t bytes;
	size_t capacity_at;
	int (*read)(struct vmdk_sparse *sparse, const void *header,
		    u64 file_bytes, struct vmdk_fault *fault);
} vmdk_header_kinds[] = {
	[VMDK_KIND_SPARSE] = {
		sizeof(struct vmdk_sparse_header),
		offsetof(struct vmdk_sparse_header, capacity),
		vmdk_read_hosted,
	},
	[VMDK_KIND_COWD] = {
		sizeof(struct vmdk_cowd_header),
		offsetof(struct vmdk_cowd_header, capacity),
		vmdk_read_cowd,
	},
	[VMDK_KIND_SESPARSE] = {
		sizeof(struct vmdk_sesparse_header),
		offsetof(struct vmdk_sesparse_header, capacity),
		vmdk_read_sesparse,
	},
};

static int vmdk_read_header(struct vmdk_sparse *sparse, u64 file_bytes,
			    struct vmdk_fault *fault)
{
	const struct vmdk_header_kind *kind = &vmdk_header_kinds[sparse->kind];
	void *header;
	int ret;

	if (file_bytes < kind->bytes)
		return vmdk_fault_set(fault, 0,
				      "header: the file has %llu bytes, expected %zu at least",
				      file_bytes, kind->bytes);
	header = kmalloc(kind->bytes, GFP_KERNEL);
	if (!header)
		return -ENOMEM;
	ret = vmdk_file_read(sparse->file, header, kind->bytes, sparse->base);
	if (!ret)
		ret = kind->read(sparse, header, file_bytes, fault);
	kfree(header);
	return ret;
}

static int vmdk_check_writable(const struct vmdk_sparse *sparse, bool verified,
			       struct vmdk_fault *fault)
{
	const struct vmdk_geometry *geo = &sparse->geo;

	if (geo->flags & VMDK_FLAG_COMPRESSED)
		return vmdk_fault_set(fault, offsetof(struct vmdk_sparse_header, flags),
				      "header: compressed grains cannot be written: read-only");
	if (sparse->sesparse)
		return vmdk_fault_set(fault, VMDK_NO_OFFSET,
				      "seSparse extents cannot be written: read-only");
	if (sparse->base || sparse->length)
		return vmdk_fault_set(fault, VMDK_NO_OFFSET,
				      "a sparse extent inside another file cannot grow: read-only");
	if (geo->unclean && !verified)
		return vmdk_fault_set(fault, sparse->layout.unclean_pos,
				      "header: uncleanShutdown is set: check the image first");
	return 0;
}

/* What the geometry says must fit what userspace says and what we can do. */
static int vmdk_check_extent(struct vmdk_sparse *sparse,
			     const struct vmdk_extent *ext, bool verified,
			     struct vmdk_fault *fault)
{
	const struct vmdk_geometry *geo = &sparse->geo;

	/* While it is resized, the header may say more; see vmdk_resize.c. */
	if (!vmdk_capacity_fits(geo, ext->sectors) &&
	    !(sparse->kind == VMDK_KIND_SPARSE && geo->unclean &&
	      geo->capacity > ext->sectors))
		return vmdk_fault_set(fault, vmdk_header_kinds[sparse->kind].capacity_at,
				      "header: capacity is %llu sectors, the descriptor says %llu",
				      geo->capacity, ext->sectors);
	if (geo->gd_entries > VMDK_CHAIN_GD_MAX - sparse->chain->gd_entries)
		return vmdk_fault_set(fault, VMDK_NO_OFFSET,
				      "header: the extents of this disk need more than %u directory entries",
				      VMDK_CHAIN_GD_MAX);
	sparse->chain->gd_entries += geo->gd_entries;
	if (ext->access != VMDK_ACCESS_RW)
		return 0;
	return vmdk_check_writable(sparse, verified, fault);
}

/* ------------------------------------------------------------ directories */

static u32 *vmdk_read_directory(struct vmdk_sparse *sparse, u64 start,
				const char *name, u64 file_sectors,
				struct vmdk_fault *fault)
{
	const struct vmdk_geometry *geo = &sparse->geo;
	u64 pos = start << SECTOR_SHIFT;
	const char *why = NULL;
	u32 *gd;
	int ret;
	u32 i;

	gd = kvmalloc(geo->gd_sectors << SECTOR_SHIFT, GFP_KERNEL_ACCOUNT);
	if (!gd)
		return ERR_PTR(-ENOMEM);
	ret = vmdk_file_read(sparse->file, gd, geo->gd_sectors << SECTOR_SHIFT,
			     sparse->base + pos);
	if (!ret)
		le32_to_cpu_array(gd, geo->gd_sectors * VMDK_SECTOR_SIZE /
				      sizeof(*gd));
	for (i = 0; i < geo->gd_entries && !ret && !why; i++)
		why = vmdk_gde_fault(geo, gd[i], file_sectors);
	if (why)
		ret = vmdk_fault_set(fault, pos + (i - 1) * sizeof(u32),
				     "%s: entry %u, sector %u, %s", name,
				     i - 1, gd[i - 1], why);
	if (ret) {
		kvfree(gd);
		return ERR_PTR(ret);
	}
	return gd;
}

static int vmdk_cmp_u32(const void *a, const void *b)
{
	u32 x = *(const u32 *)a, y = *(const u32 *)b;

	return x < y ? -1 : x > y;
}

static u32 vmdk_collect_tables(const struct vmdk_sparse *sparse, u32 *all)
{
	u32 nr = 0;
	u32 i;

	for (i = 0; sparse->rgd && i < sparse->geo.gd_entries; i++)
		if (sparse->rgd[i])
			all[nr++] = sparse->rgd[i];
	for (i = 0; i < sparse->geo.gd_entries; i++)
		if (sparse->gd[i])
			all[nr++] = sparse->gd[i];
	return nr;
}

/* Writers lay tables out in order, so there is nearly never one to sort. */
static void vmdk_sort_tables(u32 *all, u32 nr)
{
	u32 i;

	for (i = 1; i < nr; i++)
		if (all[i - 1] > all[i])
			break;
	if (i < nr)
		sort(all, nr, sizeof(*all), vmdk_cmp_u32, NULL);
}

/* A grain can lie on these only; entries in front of overHead are caught. */
static int vmdk_keep_late_tables(struct vmdk_sparse *sparse, const u32 *all,
				 u32 nr)
{
	const struct vmdk_geometry *geo = &sparse->geo;
	u32 i;

	for (i = 0; i < nr; i++)
		if (all[i] + (u64)geo->gt_sectors > geo->overhead)
			break;
	if (i == nr)
		return 0;
	sparse->nr_late_tables = nr - i;
	sparse->late_tables = kvmalloc_array(nr - i, sizeof(*all),
					     GFP_KERNEL_ACCOUNT);
	if (!sparse->late_tables)
		return -ENOMEM;
	memcpy(sparse->late_tables, all + i, (nr - i) * sizeof(*all));
	return 0;
}

/* Two tables in one place, in whichever directory, and none can be written. */
static int vmdk_check_shared(const struct vmdk_sparse *sparse, u32 *all, u32 nr,
			     u32 distance, struct vmdk_fault *fault)
{
	const struct vmdk_layout *layout = &sparse->layout;
	u64 sector;
	u32 i;

	vmdk_sort_tables(all, nr);
	for (i = 1; i < nr; i++)
		if (all[i] - all[i - 1] < distance)
			break;
	if (i >= nr)
		return 0;
	sector = layout->gde_base + ((u64)all[i] << layout->gde_shift);
	return vmdk_fault_set(fault, sector << SECTOR_SHIFT,
			      "grain directories: two entries share the table at sector %llu",
			      sector);
}

static int vmdk_check_tables(struct vmdk_sparse *sparse,
			     struct vmdk_fault *fault)
{
	const struct vmdk_geometry *geo = &sparse->geo;
	u32 distance = geo->gt_sectors >> sparse->layout.gde_shift;
	u32 *all;
	int ret;
	u32 nr;

	all = kvmalloc_array(geo->gd_entries, sizeof(*all) *
			     (sparse->rgd ? 2 : 1), GFP_KERNEL_ACCOUNT);
	if (!all)
		return -ENOMEM;
	nr = vmdk_collect_tables(sparse, all);
	ret = vmdk_check_shared(sparse, all, nr, distance, fault);
	if (!ret && !sparse->sesparse)
		ret = vmdk_keep_late_tables(sparse, all, nr);
	kvfree(all);
	return ret;
}

static int vmdk_open_directories(struct vmdk_sparse *sparse, u64 file_sectors,
				 struct vmdk_fault *fault)
{
	const struct vmdk_geometry *geo = &sparse->geo;
	u32 *gd;

	gd = vmdk_read_directory(sparse, geo->gd, "grain directory",
				 file_sectors, fault);
	if (IS_ERR(gd))
		return PTR_ERR(gd);
	sparse->gd = gd;
	if (!geo->rgd)
		return 0;
	gd = vmdk_read_directory(sparse, geo->rgd, "redundant directory",
				 file_sectors, fault);
	if (IS_ERR(gd))
		return PTR_ERR(gd);
	sparse->rgd = gd;
	return 0;
}

/* In memory an entry is the number of the table plus one; 0: there is none. */
static int vmdk_decode_sesparse_gd(struct vmdk_sparse *sparse, u32 first, u32 nr,
				   struct vmdk_fault *fault)
{
	const struct vmdk_layout *layout = &sparse->layout;
	u64 sector;
	u32 i;

	for (i = 0; i < nr; i++) {
		u64 gde = le64_to_cpu(sparse->raw[i]);
		u64 pos = (sparse->geo.gd << SECTOR_SHIFT) +
			  (first + i) * sizeof(__le64);

		switch (vmdk_sesparse_gde(gde, sparse->sesparse, &sector)) {
		case 0:
			sparse->gd[first + i] = 0;
			break;
		case 1:
			sparse->gd[first + i] = (sector - layout->gde_base) >>
						layout->gde_shift;
			break;
		default:
			return vmdk_fault_set(fault, pos,
					      "grain directory: entry %u, 0x%llx, is damaged",
					      first + i, gde);
		}
	}
	return 0;
}

static int vmdk_open_sesparse_gd(struct vmdk_sparse *sparse,
				 struct vmdk_fault *fault)
{
	const struct vmdk_geometry *geo = &sparse->geo;
	u64 pos = sparse->base + (geo->gd << SECTOR_SHIFT);
	u32 i, nr;
	int ret = 0;

	sparse->gd = kvmalloc_array(geo->gd_entries, sizeof(*sparse->gd),
				    GFP_KERNEL_ACCOUNT);
	if (!sparse->gd)
		return -ENOMEM;
	for (i = 0; i < geo->gd_entries && !ret; i += nr) {
		nr = min(geo->gd_entries - i, sparse->layout.gt_entries);
		ret = vmdk_file_read(sparse->file, sparse->raw,
				     nr * sizeof(*sparse->raw), pos);
		if (!ret)
			ret = vmdk_decode_sesparse_gd(sparse, i, nr, fault);
		pos += nr * sizeof(*sparse->raw);
		cond_resched();
	}
	return ret;
}

/* ----------------------------------------------------------------- set-up */

/* Grains are added behind the file, and never where something was before. */
static u64 vmdk_first_free(const struct vmdk_sparse *sparse, u64 file_bytes)
{
	u64 end = DIV_ROUND_UP_ULL(file_bytes, SECTOR_SIZE);

	if (sparse->kind == VMDK_KIND_COWD)
		return round_up(max(end, sparse->free_sector),
				(u64)VMDK_COWD_ALIGN);
	return round_up(end, (u64)sparse->geo.grain_sectors);
}

/*
 * A resize that did not come to its end leaves entries behind the last one; after
 * the next commit they are gone.
 */
static void vmdk_clear_surplus(struct vmdk_sparse *sparse)
{
	const struct vmdk_geometry *geo = &sparse->geo;
	u32 per_sector = VMDK_SECTOR_SIZE / sizeof(*sparse->gd);
	u32 i;

	if (!sparse->writable || !geo->unclean ||
	    sparse->kind != VMDK_KIND_SPARSE)
		return;
	for (i = geo->gd_entries; i < geo->gd_sectors * per_sector; i++) {
		if (!sparse->gd[i] && !(sparse->rgd && sparse->rgd[i]))
			continue;
		sparse->gd[i] = 0;
		if (sparse->rgd)
			sparse->rgd[i] = 0;
		set_bit(i / per_sector, sparse->gd_dirty);
	}
}

/* What tables that the file lacks will take of it, as they are made for grains. */
static u64 vmdk_table_room(const struct vmdk_sparse *sparse)
{
	u32 need = vmdk_new_table_sectors(sparse);
	u32 piece = round_up(need, sparse->geo.grain_sectors);
	u32 absent = 0;
	u32 i;

	for (i = 0; i < sparse->geo.gd_entries; i++)
		absent += !sparse->gd[i];
	return (u64)DIV_ROUND_UP(absent, piece / need) * piece;
}

/* A block of the file may hold a table beside a grain, and tables are buffered. */
static void vmdk_widen_dio(struct vmdk_sparse *sparse)
{
	u32 block = vmdk_file_fs_block(sparse->file);

	if (sparse->kind == VMDK_KIND_COWD ||
	    sparse->geo.grain_sectors << SECTOR_SHIFT < block)
		sparse->file->dio_mask |= block - 1;
}

static int vmdk_set_up(struct vmdk_sparse *sparse, u64 file_bytes)
{
	const struct vmdk_geometry *geo = &sparse->geo;
	u64 slots = (u64)geo->gd_entries << sparse->layout.split_shift;

	sparse->nr_groups = DIV_ROUND_UP_ULL(slots, VMDK_GROUP_SIZE);
	sparse->groups = kvcalloc(sparse->nr_groups, sizeof(*sparse->groups),
				  GFP_KERNEL_ACCOUNT);
	sparse->gd_dirty = kvcalloc(BITS_TO_LONGS(geo->gd_sectors),
				    sizeof(long), GFP_KERNEL_ACCOUNT);
	sparse->unsettled = kvcalloc(BITS_TO_LONGS(geo->gd_entries),
				     sizeof(long), GFP_KERNEL_ACCOUNT);
	if (!sparse->groups || !sparse->gd_dirty || !sparse->unsettled)
		return -ENOMEM;
	if (!sparse->sesparse) {
		sparse->seen = kvcalloc(BITS_TO_LONGS(slots), sizeof(long),
					GFP_KERNEL_ACCOUNT);
		if (!sparse->seen)
			return -ENOMEM;
	}
	vmdk_clear_surplus(sparse);
	sparse->open_sectors = file_bytes >> SECTOR_SHIFT;
	sparse->end = sparse->open_sectors;
	sparse->durable_end = sparse->open_sectors;
	sparse->cursor = vmdk_first_free(sparse, file_bytes);
	if (sparse->writable)
		sparse->table_room = vmdk_table_room(sparse);
	sparse->marked = geo->unclean;
	sparse->chain->grain_bytes = max(sparse->chain->grain_bytes,
					 geo->grain_sectors << SECTOR_SHIFT);
	vmdk_widen_dio(sparse);
	return 0;
}

static int vmdk_open_stream(struct vmdk_sparse *sparse,
			    struct vmdk_fault *fault)
{
	struct vmdk_stream *stream;

	if (sparse->geo.grain_sectors > VMDK_STREAM_GRAIN_MAX)
		return vmdk_fault_set(fault, offsetof(struct vmdk_sparse_header, grain_size),
				      "header: compressed grains of %u sectors, at most %u are supported",
				      sparse->geo.grain_sectors,
				      VMDK_STREAM_GRAIN_MAX);
	stream = vmdk_stream_open(sparse->chain, sparse->file, sparse->base,
				  vmdk_sparse_file_bytes(sparse), &sparse->geo);
	if (IS_ERR(stream))
		return PTR_ERR(stream);
	sparse->stream = stream;
	return 0;
}

/**
 * vmdk_directory_open - read and validate header and directories of an extent
 * @sparse: with chain, file, base, kind and length; receives the rest
 * @ext: the extent
 * @verified: userspace has checked an unclean image
 * @fault: receives the reason of a refusal
 *
 * Tables are validated when they are loaded.
 *
 * Context: process context, in the ioctl that attaches.
 * Return: 0, or an error; vmdk_directory_free() is to be called either way.
 */
int vmdk_directory_open(struct vmdk_sparse *sparse,
			const struct vmdk_extent *ext, bool verified,
			struct vmdk_fault *fault)
{
	u64 file_bytes = vmdk_sparse_file_bytes(sparse);
	int ret;

	ret = vmdk_read_header(sparse, file_bytes, fault);
	if (!ret)
		ret = vmdk_check_extent(sparse, ext, verified, fault);
	if (!ret && sparse->sesparse)
		ret = vmdk_open_sesparse_gd(sparse, fault);
	else if (!ret)
		ret = vmdk_open_directories(sparse, file_bytes >> SECTOR_SHIFT,
					    fault);
	if (!ret)
		ret = vmdk_check_tables(sparse, fault);
	if (!ret)
		ret = vmdk_set_up(sparse, file_bytes);
	if (!ret && (sparse->geo.flags & VMDK_FLAG_COMPRESSED))
		ret = vmdk_open_stream(sparse, fault);
	return ret;
}

/**
 * vmdk_directory_free - free what vmdk_directory_open() allocated
 * @sparse: an extent whose tables are freed
 */
void vmdk_directory_free(struct vmdk_sparse *sparse)
{
	vmdk_stream_free(sparse->stream);
	kvfree(sparse->groups);
	kvfree(sparse->gd_dirty);
	kvfree(sparse->unsettled);
	kvfree(sparse->seen);
	kvfree(sparse->late_tables);
	kvfree(sparse->rgd);
	kvfree(sparse->gd);
	kfree(sparse->raw);
	kfree(sparse->sesparse);
}
