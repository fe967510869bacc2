// SPDX-License-Identifier: GPL-2.0
/*
 * A hosted sparse extent: its header and directories, which are validated once,
 * at attach; what lies at a sector; and the unclean flag.
 */
#include <linux/slab.h>
#include <linux/sort.h>

#include "vmdk.h"

/* Every writer makes grains of 128; a reader of one byte inflates all of one. */
#define VMDK_STREAM_GRAIN_MAX	2048U

/* ------------------------------------------------------------------- map */

static enum vmdk_state vmdk_gte_state(u32 gte)
{
	if (gte == VMDK_GTE_ABSENT || gte == VMDK_GTE_BUSY)
		return VMDK_MAP_HOLE;
	if (gte == VMDK_GTE_ZERO || gte == VMDK_GTE_BUSY_ZERO)
		return VMDK_MAP_ZERO;
	return VMDK_MAP_DATA;
}

/* How many sectors lie as @gte says, from @offset in its grain on. */
static u32 vmdk_run_length(const struct vmdk_sparse *sparse,
			   const struct vmdk_gt *gt, u32 entry, u32 gte,
			   u32 offset, u32 nr)
{
	const struct vmdk_geometry *geo = &sparse->geo;
	enum vmdk_state state = vmdk_gte_state(gte);
	u32 sectors = geo->grain_sectors - offset;

	while (sectors < nr && ++entry < geo->gt_entries) {
		u32 next = READ_ONCE(gt->entry[entry]);

		if (vmdk_gte_state(next) != state)
			break;
		gte += geo->grain_sectors;
		if (state == VMDK_MAP_DATA && next != gte)
			break;
		sectors += geo->grain_sectors;
	}
	return sectors;
}

static void vmdk_map_compressed(struct vmdk_sparse *sparse, u64 sector, u32 gte,
				struct vmdk_map *map)
{
	const struct vmdk_geometry *geo = &sparse->geo;

	map->state = VMDK_MAP_COMPRESSED;
	map->stream = sparse->stream;
	map->grain = sector >> geo->grain_shift;
	map->offset = sector & (geo->grain_sectors - 1);
	map->sectors = geo->grain_sectors - map->offset;
	map->pos = sparse->base + ((u64)gte << SECTOR_SHIFT);
}

/*
 * The pin is taken before the entry is read for good: what is freed after that
 * waits for us, and what was freed before shows in the entry; unless the table
 * was given back meanwhile, and shows nothing any more.
 */
static int vmdk_map_entry(struct vmdk_sparse *sparse, struct vmdk_gt *gt,
			  u64 sector, u32 nr, struct vmdk_map *map)
{
	const struct vmdk_geometry *geo = &sparse->geo;
	u32 offset = sector & (geo->grain_sectors - 1);
	u32 entry = (sector >> geo->grain_shift) & (geo->gt_entries - 1);
	u32 gte = READ_ONCE(gt->entry[entry]);

	if (vmdk_gte_is_data(gte) && sparse->chain->writable &&
	    !sparse->stream) {
		map->pin = vmdk_pin(&sparse->chain->pins);
		if (rcu_access_pointer(sparse->tables[gt->index]) != gt)
			return -EAGAIN;
		gte = READ_ONCE(gt->entry[entry]);
	}
	if (gte == VMDK_GTE_BAD)
		return -EIO;
	map->state = vmdk_gte_state(gte);
	if (map->state == VMDK_MAP_DATA && sparse->stream) {
		vmdk_map_compressed(sparse, sector, gte, map);
		return 0;
	}
	map->sectors = vmdk_run_length(sparse, gt, entry, gte, offset, nr);
	if (map->state == VMDK_MAP_DATA) {
		map->file = sparse->file;
		map->pos = sparse->base +
			   (((u64)gte + offset) << SECTOR_SHIFT);
	}
	return 0;
}

/* A pin is for data only. */
static int vmdk_map_pinned(struct vmdk_sparse *sparse, struct vmdk_gt *gt,
			   u64 sector, u32 nr, struct vmdk_map *map)
{
	int ret = vmdk_map_entry(sparse, gt, sector, nr, map);

	if (map->pin && (ret || map->state != VMDK_MAP_DATA)) {
		percpu_ref_put(map->pin);
		map->pin = NULL;
	}
	return ret;
}

/* No table: nothing lies there as far as the table would reach. */
static void vmdk_map_no_table(const struct vmdk_geometry *geo, u64 sector,
			      struct vmdk_map *map)
{
	u32 span = geo->gt_entries << geo->grain_shift;

	map->state = VMDK_MAP_HOLE;
	map->sectors = span - (sector & (span - 1));
}

static int vmdk_sparse_map(struct vmdk_extent *ext, u64 sector, u32 nr,
			   struct vmdk_map *map)
{
	struct vmdk_sparse *sparse = ext->sparse;
	const struct vmdk_geometry *geo = &sparse->geo;
	u32 index = sector >> (geo->grain_shift + geo->gt_shift);
	struct vmdk_gt *gt;
	int ret;

	for (;;) {
		rcu_read_lock();
		gt = rcu_dereference(sparse->tables[index]);
		if (gt) {
			if (!READ_ONCE(gt->used))
				WRITE_ONCE(gt->used, true);
			ret = vmdk_map_pinned(sparse, gt, sector, nr, map);
			rcu_read_unlock();
			if (ret == -EAGAIN)
				continue;
			vmdk_count(sparse->chain, VMDK_STAT_GT_HIT, 1);
			return ret;
		}
		rcu_read_unlock();
		/* Pairs with vmdk_gt_evict(): gone, so in the directory. */
		smp_rmb();
		if (!READ_ONCE(sparse->gd[index])) {
			vmdk_map_no_table(geo, sector, map);
			return 0;
		}
		ret = vmdk_gt_load(sparse, index);
		if (ret)
			return ret;
	}
}

/* ---------------------------------------------------------- unclean flag */

static int vmdk_sparse_write_flag(struct vmdk_sparse *sparse, u8 value)
{
	int ret;

	sparse->header.unclean_shutdown = value;
	ret = vmdk_file_write(sparse->file, &sparse->header,
			      sizeof(sparse->header), sparse->base);
	if (ret)
		return ret;
	ret = vmdk_file_sync(sparse->file);
	if (ret)
		vmdk_chain_fail(sparse->chain, ret);
	return ret;
}

/* Before the extent's metadata changes for the first time; durable on return. */
static int vmdk_sparse_mark_unclean(struct vmdk_sparse *sparse)
{
	int ret = 0;

	if (likely(READ_ONCE(sparse->marked)))
		return 0;
	mutex_lock(&sparse->mark_mutex);
	if (!sparse->marked) {
		ret = vmdk_sparse_write_flag(sparse, 1);
		if (!ret)
			WRITE_ONCE(sparse->marked, true);
	}
	mutex_unlock(&sparse->mark_mutex);
	return ret;
}

/* ----------------------------------------------- claim, discard and zero */

static int vmdk_sparse_claim(struct vmdk_extent *ext, u64 sector, u32 nr,
			     struct vmdk_io *io, struct vmdk_claim *claim)
{
	struct vmdk_sparse *sparse = ext->sparse;
	const struct vmdk_geometry *geo = &sparse->geo;
	u32 offset = sector & (geo->grain_sectors - 1);
	u32 want = (offset + (u64)nr + geo->grain_sectors - 1) >>
		   geo->grain_shift;
	u32 got;
	int ret;

	ret = vmdk_sparse_mark_unclean(sparse);
	if (!ret)
		ret = vmdk_alloc_claim(sparse, sector >> geo->grain_shift,
				       want, io, claim);
	if (ret)
		return ret;
	got = (claim->count << geo->grain_shift) - offset;
	claim->sectors = min(nr, got);
	claim->pos = ((u64)claim->gte + offset) << SECTOR_SHIFT;
	return 0;
}

/* Zero a part of a grain, or whole ones that have to stay, where they lie. */
static int vmdk_zero_in_place(struct vmdk_extent *ext, u64 sector, u32 *nr,
			      bool unmap)
{
	struct vmdk_map map = {};
	int ret;

	ret = vmdk_sparse_map(ext, sector, *nr, &map);
	if (ret)
		return ret;
	*nr = min(*nr, map.sectors);
	if (map.state != VMDK_MAP_DATA)
		return 0;
	ret = -EIO;
	if (!READ_ONCE(ext->sparse->chain->damaged))
		ret = vmdk_file_zero(map.file, map.pos,
				     (loff_t)*nr << SECTOR_SHIFT, unmap);
	if (map.pin)
		percpu_ref_put(map.pin);
	return ret;
}

/*
 * Whole grains are freed, unless the caller wants them to stay allocated.  A
 * discard leaves parts of grains alone; a write of zeroes clears them in place.
 */
static int vmdk_sparse_zero(struct vmdk_extent *ext, u64 sector, u32 *nr,
			    struct vmdk_io *io)
{
	struct vmdk_sparse *sparse = ext->sparse;
	const struct vmdk_geometry *geo = &sparse->geo;
	u64 grain = sector >> geo->grain_shift;
	u32 offset = sector & (geo->grain_sectors - 1);
	u32 valid = vmdk_grain_valid(geo, grain);
	bool discard = io->op == REQ_OP_DISCARD;
	int ret;

	ret = vmdk_alloc_wait(sparse, grain, io);
	if (ret)
		return ret;
	if (offset || *nr < valid) {
		*nr = min(*nr, valid - offset);
		return discard ? 0 :
		       vmdk_zero_in_place(ext, sector, nr, io->unmap);
	}
	if (!discard && !io->unmap)
		return vmdk_zero_in_place(ext, sector, nr, false);
	ret = vmdk_sparse_mark_unclean(sparse);
	if (ret)
		return ret;
	return vmdk_alloc_free(sparse, grain, nr);
}

/* ---------------------------------------------------------------- detach */

/* All is committed: cut the file to what is used, and say that it is clean. */
static int vmdk_sparse_detach(struct vmdk_extent *ext)
{
	struct vmdk_sparse *sparse = ext->sparse;
	int ret;

	if (READ_ONCE(sparse->chain->error))
		return -EIO;
	if (!sparse->marked || READ_ONCE(sparse->chain->damaged))
		return 0;
	vmdk_alloc_trim(sparse);
	ret = vmdk_file_sync(sparse->file);
	if (ret) {
		vmdk_chain_fail(sparse->chain, ret);
		return ret;
	}
	return vmdk_sparse_write_flag(sparse, 0);
}

/* --------------------------------------------------------- open and free */

/* A writer that could not seek back put the directory's place behind it all. */
static int vmdk_read_footer(struct vmdk_sparse *sparse, u64 file_bytes,
			    struct vmdk_fault *fault)
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
		ret = vmdk_footer_decode(&sparse->header, tail,
					 file_bytes - start, start, file_bytes,
					 &sparse->geo, fault);
	kvfree(tail);
	return ret;
}

static int vmdk_read_header(struct vmdk_sparse *sparse, u64 file_bytes,
			    struct vmdk_fault *fault)
{
	int ret;

	if (file_bytes < sizeof(sparse->header))
		return vmdk_fault_set(fault, 0,
				      "header: the file has %llu bytes, expected %zu at least",
				      file_bytes, sizeof(sparse->header));
	ret = vmdk_file_read(sparse->file, &sparse->header,
			     sizeof(sparse->header), sparse->base);
	if (ret)
		return ret;
	ret = vmdk_header_decode(&sparse->header, file_bytes, &sparse->geo,
				 fault);
	if (!ret && sparse->geo.gd == VMDK_GD_AT_END)
		ret = vmdk_read_footer(sparse, file_bytes, fault);
	return ret;
}

/* What the geometry says must fit what userspace says and what we can do. */
static int vmdk_check_extent(struct vmdk_sparse *sparse,
			     const struct vmdk_extent *ext, bool verified,
			     struct vmdk_fault *fault)
{
	const struct vmdk_geometry *geo = &sparse->geo;

	/* VirtualBox rounds the header's up to a grain. */
	if (geo->capacity != ext->sectors &&
	    geo->capacity != round_up(ext->sectors, (u64)geo->grain_sectors))
		return vmdk_fault_set(fault, offsetof(struct vmdk_sparse_header, capacity),
				      "header: capacity is %llu sectors, the descriptor says %llu",
				      geo->capacity, ext->sectors);
	if (geo->gd_entries > VMDK_GD_ENTRIES_MAX - sparse->chain->gd_entries)
		return vmdk_fault_set(fault, VMDK_NO_OFFSET,
				      "header: the extents of this disk need more than %u directory entries",
				      VMDK_GD_ENTRIES_MAX);
	sparse->chain->gd_entries += geo->gd_entries;
	if (ext->access != VMDK_ACCESS_RW)
		return 0;
	if (geo->flags & VMDK_FLAG_COMPRESSED)
		return vmdk_fault_set(fault, offsetof(struct vmdk_sparse_header, flags),
				      "header: compressed grains cannot be written: read-only");
	if (sparse->base || sparse->length)
		return vmdk_fault_set(fault, VMDK_NO_OFFSET,
				      "a sparse extent inside another file cannot grow: read-only");
	if (geo->unclean && !verified)
		return vmdk_fault_set(fault, offsetof(struct vmdk_sparse_header, unclean_shutdown),
				      "header: uncleanShutdown is set: check the image first");
	return 0;
}

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
static int vmdk_check_tables(struct vmdk_sparse *sparse,
			     struct vmdk_fault *fault)
{
	const struct vmdk_geometry *geo = &sparse->geo;
	u32 nr, i;
	u32 *all;
	int ret;

	all = kvmalloc_array(2 * geo->gd_entries, sizeof(*all),
			     GFP_KERNEL_ACCOUNT);
	if (!all)
		return -ENOMEM;
	nr = vmdk_collect_tables(sparse, all);
	vmdk_sort_tables(all, nr);
	for (i = 1; i < nr; i++) {
		if (all[i] - all[i - 1] >= geo->gt_sectors)
			continue;
		vmdk_fault_set(fault, (u64)all[i] << SECTOR_SHIFT,
			       "grain directories: two entries share the table at sector %u",
			       all[i]);
		kvfree(all);
		return -EINVAL;
	}
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
	if (geo->rgd) {
		gd = vmdk_read_directory(sparse, geo->rgd,
					 "redundant directory", file_sectors,
					 fault);
		if (IS_ERR(gd))
			return PTR_ERR(gd);
		sparse->rgd = gd;
	}
	return vmdk_check_tables(sparse, fault);
}

static void vmdk_sparse_init(struct vmdk_sparse *sparse,
			     struct vmdk_chain *chain,
			     const struct vmdk_extent *ext)
{
	sparse->chain = chain;
	sparse->file = ext->file;
	sparse->base = ext->offset;
	mutex_init(&sparse->mark_mutex);
	mutex_init(&sparse->load_mutex);
	mutex_init(&sparse->extend_mutex);
	spin_lock_init(&sparse->lock);
	INIT_LIST_HEAD(&sparse->lru);
	INIT_LIST_HEAD(&sparse->dirty);
	INIT_LIST_HEAD(&sparse->waiters);
	INIT_LIST_HEAD(&sparse->freed);
	INIT_LIST_HEAD(&sparse->committing);
	INIT_LIST_HEAD(&sparse->unpunched);
	INIT_LIST_HEAD(&sparse->draining);
	INIT_LIST_HEAD(&sparse->pool);
	xa_init(&sparse->mapped);
}

/* Grains are added behind the file, and never where something was before. */
static int vmdk_sparse_set_up(struct vmdk_sparse *sparse, u64 file_bytes)
{
	const struct vmdk_geometry *geo = &sparse->geo;

	sparse->tables = kvcalloc(geo->gd_entries, sizeof(*sparse->tables),
				  GFP_KERNEL_ACCOUNT);
	sparse->gd_dirty = bitmap_zalloc(geo->gd_sectors, GFP_KERNEL_ACCOUNT);
	sparse->seen = bitmap_zalloc(geo->gd_entries, GFP_KERNEL_ACCOUNT);
	if (!sparse->tables || !sparse->gd_dirty || !sparse->seen)
		return -ENOMEM;
	sparse->open_sectors = file_bytes >> SECTOR_SHIFT;
	sparse->end = sparse->open_sectors;
	sparse->cursor = DIV_ROUND_UP_ULL(file_bytes, SECTOR_SIZE);
	sparse->cursor = round_up(sparse->cursor, (u64)geo->grain_sectors);
	sparse->marked = geo->unclean;
	sparse->chain->grain_bytes = max(sparse->chain->grain_bytes,
					 geo->grain_sectors << SECTOR_SHIFT);
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
				  &sparse->geo);
	if (IS_ERR(stream))
		return PTR_ERR(stream);
	sparse->stream = stream;
	return 0;
}

/**
 * vmdk_sparse_open - validate a hosted sparse extent
 * @chain: that it belongs to
 * @ext: with its file; receives the rest
 * @length: bytes of the file that it may take; 0: all
 * @verified: userspace has checked an unclean image
 * @fault: receives the reason of a refusal
 *
 * Tables are validated when they are loaded.
 *
 * Context: process context, in the ioctl that attaches.
 * Return: 0, or an error; @ext->ops->free is to be called either way.
 */
int vmdk_sparse_open(struct vmdk_chain *chain, struct vmdk_extent *ext,
		     u64 length, bool verified, struct vmdk_fault *fault)
{
	struct vmdk_sparse *sparse = kzalloc(sizeof(*sparse), GFP_KERNEL);
	u64 file_bytes;
	int ret;

	if (!sparse)
		return -ENOMEM;
	vmdk_sparse_init(sparse, chain, ext);
	ext->sparse = sparse;
	ext->ops = &vmdk_sparse_ops;
	sparse->length = length;
	file_bytes = vmdk_sparse_file_bytes(sparse);
	ret = vmdk_read_header(sparse, file_bytes, fault);
	if (!ret)
		ret = vmdk_check_extent(sparse, ext, verified, fault);
	if (!ret)
		ret = vmdk_open_directories(sparse, file_bytes >> SECTOR_SHIFT,
					    fault);
	if (!ret)
		ret = vmdk_sparse_set_up(sparse, file_bytes);
	if (!ret && (sparse->geo.flags & VMDK_FLAG_COMPRESSED))
		ret = vmdk_open_stream(sparse, fault);
	return ret;
}

static void vmdk_sparse_free(struct vmdk_extent *ext)
{
	struct vmdk_sparse *sparse = ext->sparse;

	vmdk_stream_free(sparse->stream);
	vmdk_gt_free_all(sparse);
	vmdk_alloc_drop_all(sparse);
	bitmap_free(sparse->gd_dirty);
	bitmap_free(sparse->seen);
	kvfree(sparse->tables);
	kvfree(sparse->late_tables);
	kvfree(sparse->rgd);
	kvfree(sparse->gd);
	kfree(sparse);
}

const struct vmdk_extent_ops vmdk_sparse_ops = {
	.map	= vmdk_sparse_map,
	.claim	= vmdk_sparse_claim,
	.zero	= vmdk_sparse_zero,
	.detach	= vmdk_sparse_detach,
	.free	= vmdk_sparse_free,
};
