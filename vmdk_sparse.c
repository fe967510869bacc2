// SPDX-License-Identifier: GPL-2.0
/*
 * An extent with grain tables, hosted sparse, COWD or seSparse: what lies at a
 * sector; how it is written and zeroed; and its unclean flag.
 */
#include <linux/slab.h>

#include "vmdk.h"

/* ------------------------------------------------------------------- map */

static enum vmdk_state vmdk_gte_state(u32 gte)
{
	if (vmdk_gte_is_data(gte))
		return VMDK_MAP_DATA;
	gte = vmdk_gte_settled(gte);
	if (gte == VMDK_GTE_ABSENT)
		return VMDK_MAP_HOLE;
	if (gte == VMDK_GTE_ZERO)
		return VMDK_MAP_ZERO;
	return VMDK_MAP_DATA;
}

/* How many sectors lie as @gte says, from @offset in its grain on. */
static u32 vmdk_run_length(const struct vmdk_sparse *sparse,
			   const struct vmdk_gt *gt, u32 entry, u32 gte,
			   u32 offset, u32 nr)
{
	const struct vmdk_layout *layout = &sparse->layout;
	enum vmdk_state state = vmdk_gte_state(gte);
	u32 sectors = sparse->geo.grain_sectors - offset;

	while (sectors < nr && ++entry < layout->gt_entries) {
		u32 next = READ_ONCE(gt->entry[entry]);

		if (vmdk_gte_state(next) != state)
			break;
		gte += layout->gte_step;
		if (state == VMDK_MAP_DATA && next != gte)
			break;
		sectors += sparse->geo.grain_sectors;
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
			  u64 sector, u32 nr, bool peek, struct vmdk_map *map)
{
	const struct vmdk_geometry *geo = &sparse->geo;
	u32 offset = sector & (geo->grain_sectors - 1);
	u32 entry = (sector >> geo->grain_shift) &
		    (sparse->layout.gt_entries - 1);
	u32 gte = READ_ONCE(gt->entry[entry]);

	if (vmdk_gte_is_data(gte) && sparse->writable && !peek) {
		map->pin = vmdk_pin(&sparse->chain->pins);
		if (vmdk_gt_find(sparse, gt->index) != gt)
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
			   ((vmdk_grain_sector(sparse, gte) + offset) <<
			    SECTOR_SHIFT);
	}
	return 0;
}

/* A pin is for data only. */
static int vmdk_map_pinned(struct vmdk_sparse *sparse, struct vmdk_gt *gt,
			   u64 sector, u32 nr, bool peek, struct vmdk_map *map)
{
	int ret = vmdk_map_entry(sparse, gt, sector, nr, peek, map);

	if (map->pin && (ret || map->state != VMDK_MAP_DATA)) {
		percpu_ref_put(map->pin);
		map->pin = NULL;
	}
	return ret;
}

/* No table: nothing lies there as far as the table would reach. */
static void vmdk_map_no_table(const struct vmdk_sparse *sparse, u64 sector,
			      struct vmdk_map *map)
{
	u32 span = sparse->layout.gt_entries << sparse->geo.grain_shift;

	map->state = VMDK_MAP_HOLE;
	map->sectors = span - (sector & (span - 1));
}

static int vmdk_sparse_map(struct vmdk_extent *ext, u64 sector, u32 nr,
			   bool peek, struct vmdk_map *map)
{
	struct vmdk_sparse *sparse = ext->sparse;
	u32 index = sector >> (sparse->geo.grain_shift +
			       sparse->layout.gt_shift);
	struct vmdk_gt *gt;
	int ret;

	for (;;) {
		rcu_read_lock();
		gt = vmdk_gt_find(sparse, index);
		if (gt) {
			if (!READ_ONCE(gt->used))
				WRITE_ONCE(gt->used, true);
			ret = vmdk_map_pinned(sparse, gt, sector, nr, peek,
					      map);
			rcu_read_unlock();
			if (ret == -EAGAIN)
				continue;
			vmdk_count(sparse->chain, VMDK_STAT_GT_HIT, 1);
			return ret;
		}
		rcu_read_unlock();
		/* Pairs with vmdk_gt_evict(): gone, so in the directory. */
		smp_rmb();
		if (!vmdk_table_sector(sparse, sparse->gd, index)) {
			vmdk_map_no_table(sparse, sector, map);
			return 0;
		}
		ret = peek ? -EAGAIN : vmdk_gt_load(sparse, index);
		if (ret)
			return ret;
	}
}

/* ---------------------------------------------------------- unclean flag */

static int vmdk_sparse_write_flag(struct vmdk_sparse *sparse, u32 value)
{
	__le32 flag = cpu_to_le32(value);
	int ret;

	ret = vmdk_file_write(sparse->file, &flag, sparse->layout.unclean_bytes,
			      sparse->layout.unclean_pos);
	if (ret)
		return ret;
	ret = vmdk_file_sync(sparse->file);
	if (ret)
		vmdk_chain_fail(sparse->chain, ret);
	return ret;
}

/**
 * vmdk_sparse_mark_unclean - set the unclean flag, if it is not set
 * @sparse: a writable extent
 *
 * Before the extent's metadata changes for the first time; durable on return.
 *
 * Context: process context, NOIO.
 * Return: 0, or the error of a write or a sync.
 */
int vmdk_sparse_mark_unclean(struct vmdk_sparse *sparse)
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
	claim->pos = (vmdk_grain_sector(sparse, claim->gte) + offset) <<
		     SECTOR_SHIFT;
	return 0;
}

/* Zero a part of a grain, or whole ones that have to stay, where they lie. */
static int vmdk_zero_in_place(struct vmdk_extent *ext, u64 sector, u32 *nr,
			      bool unmap)
{
	struct vmdk_map map = {};
	int ret;

	ret = vmdk_sparse_map(ext, sector, *nr, false, &map);
	if (ret)
		return ret;
	*nr = min(*nr, map.sectors);
	if (map.state == VMDK_MAP_HOLE && vmdk_has_parent(ext->sparse->chain))
		return 1;
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
 * Whole grains are freed, unless the caller wants them to stay allocated, or the
 * parent would show there: where its format has no entry for a grain of zeros.
 * A discard leaves parts of grains alone; a write of zeroes clears them in place.
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
	bool keep = vmdk_has_parent(sparse->chain) &&
		    !(geo->flags & VMDK_FLAG_ZEROED);
	int ret;

	ret = vmdk_alloc_wait(sparse, grain, io);
	if (ret)
		return ret;
	if (offset || *nr < valid) {
		*nr = min(*nr, valid - offset);
		return discard ? 0 :
		       vmdk_zero_in_place(ext, sector, nr, io->unmap);
	}
	if (discard && keep)
		return 0;
	if (!discard && (keep || !io->unmap))
		return vmdk_zero_in_place(ext, sector, nr, io->unmap);
	ret = vmdk_sparse_mark_unclean(sparse);
	if (ret)
		return ret;
	return vmdk_alloc_free(sparse, grain, nr);
}

/* ---------------------------------------------------------------- detach */

/*
 * All is committed: cut the file to what is used, and say that it is clean; unless
 * a resize did not come to its end.
 */
static int vmdk_sparse_detach(struct vmdk_extent *ext)
{
	struct vmdk_sparse *sparse = ext->sparse;
	int ret;

	if (READ_ONCE(sparse->chain->error))
		return -EIO;
	if (!sparse->marked || READ_ONCE(sparse->chain->damaged))
		return 0;
	ret = vmdk_alloc_trim(sparse);
	if (ret || !vmdk_capacity_fits(&sparse->geo, ext->sectors))
		return ret;
	ret = vmdk_sparse_write_flag(sparse, 0);
	if (!ret)
		WRITE_ONCE(sparse->marked, false);
	return ret;
}

/* --------------------------------------------------------- open and free */

static void vmdk_sparse_init(struct vmdk_sparse *sparse,
			     struct vmdk_chain *chain,
			     const struct vmdk_extent *ext,
			     const struct vmdk_extent_info *info)
{
	sparse->chain = chain;
	sparse->file = ext->file;
	sparse->base = ext->offset;
	sparse->kind = info->kind;
	sparse->length = info->length;
	sparse->writable = ext->access == VMDK_ACCESS_RW;
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

/**
 * vmdk_sparse_open - open an extent with grain tables
 * @chain: that it belongs to
 * @ext: with its file; receives the rest
 * @info: what userspace says of it
 * @verified: userspace has checked an unclean image
 * @fault: receives the reason of a refusal
 *
 * Context: process context, in the ioctl that attaches.
 * Return: 0, or an error; @ext->ops->free is to be called either way.
 */
int vmdk_sparse_open(struct vmdk_chain *chain, struct vmdk_extent *ext,
		     const struct vmdk_extent_info *info, bool verified,
		     struct vmdk_fault *fault)
{
	struct vmdk_sparse *sparse = kzalloc(sizeof(*sparse), GFP_KERNEL);

	if (!sparse)
		return -ENOMEM;
	vmdk_sparse_init(sparse, chain, ext, info);
	ext->sparse = sparse;
	ext->ops = &vmdk_sparse_ops;
	return vmdk_directory_open(sparse, ext, verified, fault);
}

static void vmdk_sparse_free(struct vmdk_extent *ext)
{
	struct vmdk_sparse *sparse = ext->sparse;

	vmdk_gt_free_all(sparse);
	vmdk_alloc_drop_all(sparse);
	vmdk_directory_free(sparse);
	kfree(sparse);
}

const struct vmdk_extent_ops vmdk_sparse_ops = {
	.map	= vmdk_sparse_map,
	.claim	= vmdk_sparse_claim,
	.zero	= vmdk_sparse_zero,
	.detach	= vmdk_sparse_detach,
	.free	= vmdk_sparse_free,
};
