// SPDX-License-Identifier: GPL-2.0
/*
 * The loop that turns a request into runs, each one file I/O as long as can be;
 * and grains that a child is about to have, completed from its parent.
 *
 * Extents without a structure of their own (flat, device, zero) are here too.
 */
#include <linux/blk-mq.h>
#include <linux/slab.h>

#include "vmdk.h"

/* ------------------------------------------------- flat and zero extents */

static int vmdk_flat_map(struct vmdk_extent *ext, u64 sector, u32 nr,
			 bool peek, struct vmdk_map *map)
{
	map->state = VMDK_MAP_DATA;
	map->sectors = nr;
	map->file = ext->file;
	map->pos = ext->offset + (sector << SECTOR_SHIFT);
	return 0;
}

static int vmdk_flat_zero(struct vmdk_extent *ext, u64 sector, u32 *nr,
			  struct vmdk_io *io)
{
	loff_t pos = ext->offset + (sector << SECTOR_SHIFT);
	loff_t len = (loff_t)*nr << SECTOR_SHIFT;

	int ret;

	if (io->op != REQ_OP_DISCARD)
		return vmdk_file_zero(ext->file, pos, len, io->unmap);
	ret = vmdk_file_punch(ext->file, pos, len);
	/* It was but advice. */
	return ret == -EOPNOTSUPP ? 0 : ret;
}

static const struct vmdk_extent_ops vmdk_flat_ops = {
	.map	= vmdk_flat_map,
	.zero	= vmdk_flat_zero,
};

static int vmdk_zero_map(struct vmdk_extent *ext, u64 sector, u32 nr,
			 bool peek, struct vmdk_map *map)
{
	map->state = VMDK_MAP_ZERO;
	map->sectors = nr;
	return 0;
}

/* There is nothing that a write could go to. */
static int vmdk_zero_claim(struct vmdk_extent *ext, u64 sector, u32 nr,
			   struct vmdk_io *io, struct vmdk_claim *claim)
{
	return -EROFS;
}

static int vmdk_zero_zero(struct vmdk_extent *ext, u64 sector, u32 *nr,
			  struct vmdk_io *io)
{
	return 0;
}

static const struct vmdk_extent_ops vmdk_zero_ops = {
	.map	= vmdk_zero_map,
	.claim	= vmdk_zero_claim,
	.zero	= vmdk_zero_zero,
};

/* --------------------------------------------------------------- the loop */

static void vmdk_io_fail(struct vmdk_io *io, int error)
{
	cmpxchg(&io->error, 0, error);
}

static void vmdk_io_put(struct vmdk_io *io)
{
	if (atomic_dec_and_test(&io->refs))
		io->done(io);
}

static void vmdk_io_advance(struct vmdk_io *io, u32 nr)
{
	io->sector += nr;
	io->left -= nr;
}

/*
 * The first run is a part of the request; more come from a reserve, which is
 * refilled by runs that are already on their way, so waiting for it ends.
 */
static struct vmdk_run *vmdk_run_get(struct vmdk_io *io)
{
	if (!io->run_used) {
		io->run_used = true;
		return &io->run;
	}
	return mempool_alloc(&io->chain->runs, GFP_NOIO);
}

static void vmdk_run_put(struct vmdk_run *run)
{
	struct vmdk_io *io = run->io;

	if (run != &io->run)
		mempool_free(run, &io->chain->runs);
	vmdk_io_put(io);
}

/*
 * May @nr sectors that were read from the top link be those of a grain whose
 * writing failed?  It reads as zeros then, and that is neither what was written
 * nor what was there before: the parents' data.
 */
static bool vmdk_read_lost(const struct vmdk_io *io, const struct vmdk_map *map,
			   u64 sector, u32 nr)
{
	struct vmdk_extent *ext;

	if (!vmdk_has_parent(io->chain) || io->op != REQ_OP_READ ||
	    likely(!vmdk_file_has_lost(map->file)))
		return false;
	ext = vmdk_link_find(&io->chain->links[0], sector);
	return ext->sparse && ext->file == map->file &&
	       vmdk_gt_in_doubt(ext->sparse, sector - ext->start, nr);
}

/* From any context.  A file that ends early is an error, not zeros. */
static void vmdk_run_done(struct vmdk_run *run)
{
	int error = 0;

	if (run->ret != run->bytes)
		error = run->ret < 0 ? run->ret : -EIO;
	else if (vmdk_read_lost(run->io, &run->map, run->sector,
				run->bytes >> SECTOR_SHIFT))
		error = -EIO;
	if (error)
		vmdk_io_fail(run->io, error);
	if (run->claim.sparse && error)
		vmdk_alloc_unclaim(&run->claim);
	else if (run->claim.sparse)
		vmdk_alloc_publish(&run->claim);
	if (run->map.pin)
		percpu_ref_put(run->map.pin);
	vmdk_run_put(run);
}

/* The memory of the next run; most take all there is. */
static void vmdk_run_take_iter(struct vmdk_run *run, struct iov_iter *iter)
{
	run->iter = *iter;
	if (iov_iter_count(iter) == run->bytes) {
		iter->count = 0;
		return;
	}
	iov_iter_truncate(&run->iter, run->bytes);
	iov_iter_advance(iter, run->bytes);
}

/* Send the next @nr sectors of @io to where @map says; @claim may be NULL. */
static void vmdk_run_start(struct vmdk_io *io, u32 nr,
			   const struct vmdk_map *map,
			   const struct vmdk_claim *claim)
{
	struct vmdk_run *run = vmdk_run_get(io);

	run->io = io;
	run->sector = io->sector;
	run->map = *map;
	run->claim.sparse = NULL;
	if (claim)
		run->claim = *claim;
	run->bytes = (size_t)nr << SECTOR_SHIFT;
	run->done = vmdk_run_done;
	vmdk_run_take_iter(run, &io->iter);
	vmdk_io_advance(io, nr);
	atomic_inc(&io->refs);
	vmdk_file_submit(run, io->op == REQ_OP_WRITE);
}

/* A lookup may have been the one that found the image damaged. */
static int vmdk_run_data(struct vmdk_io *io, u32 nr, const struct vmdk_map *map)
{
	if (io->op == REQ_OP_WRITE && READ_ONCE(io->chain->damaged)) {
		if (map->pin)
			percpu_ref_put(map->pin);
		return -EIO;
	}
	vmdk_run_start(io, nr, map, NULL);
	return 0;
}

static int vmdk_read_zeros(struct vmdk_io *io, u32 nr)
{
	size_t bytes = (size_t)nr << SECTOR_SHIFT;

	if (iov_iter_zero(bytes, &io->iter) != bytes)
		return -EFAULT;
	vmdk_io_advance(io, nr);
	return 0;
}

static void vmdk_read_ahead(struct vmdk_extent *ext,
			    const struct vmdk_map *from)
{
	u32 grain_sectors = from->stream->grain_bytes >> SECTOR_SHIFT;
	u32 count;
	u64 grain;

	grain = vmdk_stream_ahead_window(from->stream, from->grain, &count);
	for (; count--; grain++) {
		u64 sector = grain * grain_sectors;
		struct vmdk_map map = {};

		if (sector >= ext->sectors ||
		    ext->ops->map(ext, sector, grain_sectors, false, &map))
			return;
		if (map.state == VMDK_MAP_COMPRESSED)
			vmdk_stream_ahead(&map);
	}
}

static int vmdk_read_compressed(struct vmdk_io *io, struct vmdk_extent *ext,
				u32 nr, const struct vmdk_map *map)
{
	int ret;

	vmdk_read_ahead(ext, map);
	ret = vmdk_stream_read(io, map, nr);
	if (!ret)
		vmdk_io_advance(io, nr);
	return ret == -EAGAIN ? 0 : ret;
}

/* ------------------------------------------------- completing a grain */

static void vmdk_fill_done(struct vmdk_io *io)
{
	struct vmdk_fill *fill = container_of(io, struct vmdk_fill, io);

	fill->over = true;
	complete(&fill->wake);
}

static void vmdk_fill_resume(struct vmdk_io *io)
{
	struct vmdk_fill *fill = container_of(io, struct vmdk_fill, io);

	complete(&fill->wake);
}

static void vmdk_fill_refill(struct vmdk_io *io)
{
	struct vmdk_fill *fill = container_of(io, struct vmdk_fill, io);

	iov_iter_bvec(&io->iter, ITER_DEST, &fill->bv, 1, fill->bv.bv_len);
}

static void vmdk_fill_init(struct vmdk_fill *fill, struct vmdk_chain *chain,
			   struct page *page, u64 sector, u32 nr)
{
	struct vmdk_io *io = &fill->io;

	bvec_set_page(&fill->bv, page, nr << SECTOR_SHIFT, 0);
	init_completion(&fill->wake);
	fill->over = false;
	io->chain = chain;
	io->op = REQ_OP_READ;
	io->below = true;
	io->run_used = false;
	io->ioprio = 0;
	io->sector = sector;
	io->left = nr;
	io->iter.count = 0;
	io->error = 0;
	atomic_set(&io->refs, 1);
	io->refill = vmdk_fill_refill;
	io->resume = vmdk_fill_resume;
	io->done = vmdk_fill_done;
}

/* Read what the parents have at @sector of the disk into @page. */
static int vmdk_read_below(struct vmdk_chain *chain, struct page *page,
			   u64 sector, u32 nr)
{
	struct vmdk_fill *fill = mempool_alloc(&chain->fills, GFP_NOIO);
	int ret;

	vmdk_fill_init(fill, chain, page, sector, nr);
	do {
		vmdk_chain_submit(&fill->io);
		wait_for_completion(&fill->wake);
	} while (!fill->over);
	ret = fill->io.error;
	mempool_free(fill, &chain->fills);
	return ret;
}

/* Copy from the parents to @pos of @file, which reads as zeros there. */
static int vmdk_copy_up(struct vmdk_chain *chain, struct vmdk_file *file,
			u64 sector, u32 nr, loff_t pos)
{
	struct page *page = mempool_alloc(&chain->fill_pages, GFP_NOIO);
	int ret = 0;

	while (nr && !ret) {
		u32 n = min_t(u32, nr, VMDK_FILL_SECTORS);
		size_t bytes = n << SECTOR_SHIFT;

		ret = vmdk_read_below(chain, page, sector, n);
		if (!ret && memchr_inv(page_address(page), 0, bytes))
			ret = vmdk_file_write(file, page_address(page), bytes,
					      pos);
		sector += n;
		nr -= n;
		pos += bytes;
	}
	mempool_free(page, &chain->fill_pages);
	return ret;
}

/*
 * Of the grains of a claim, sectors that the write does not cover are what the
 * parents have there; unless the grain was zeroed before, and was theirs no more.
 */
static int vmdk_fill_claim(struct vmdk_io *io, struct vmdk_extent *ext,
			   const struct vmdk_claim *claim)
{
	const u32 *entry = &claim->gt->entry[claim->first];
	u32 grain = ext->sparse->geo.grain_sectors;
	u64 sector = io->sector - ext->start;
	u32 head = sector & (grain - 1);
	u64 end = sector + claim->sectors;
	u32 tail = min_t(u64, round_up(end, (u64)grain), ext->sectors) - end;
	int ret = 0;

	if (!vmdk_has_parent(io->chain))
		return 0;
	if (head && entry[0] != VMDK_GTE_BUSY_ZERO)
		ret = vmdk_copy_up(io->chain, ext->file, io->sector - head,
				   head, claim->pos -
					 ((loff_t)head << SECTOR_SHIFT));
	if (!ret && tail && entry[claim->count - 1] != VMDK_GTE_BUSY_ZERO)
		ret = vmdk_copy_up(io->chain, ext->file,
				   io->sector + claim->sectors, tail,
				   claim->pos + ((loff_t)claim->sectors <<
						 SECTOR_SHIFT));
	return ret;
}

/* --------------------------------------------------------------- the pieces */

static int vmdk_claim_hole(struct vmdk_io *io, struct vmdk_extent *ext, u32 nr,
			   struct vmdk_claim *claim)
{
	int ret;

	ret = ext->ops->claim(ext, io->sector - ext->start, nr, io, claim);
	if (ret)
		return ret;
	ret = vmdk_fill_claim(io, ext, claim);
	if (!ret)
		return 0;
	vmdk_alloc_unclaim(claim);
	/* Others mean something here. */
	return ret == -ENOSPC || ret == -EDQUOT ? ret : -EIO;
}

static int vmdk_write_hole(struct vmdk_io *io, struct vmdk_extent *ext,
			   u32 nr)
{
	struct vmdk_claim claim = {};
	struct vmdk_map map = {};
	int ret;

	ret = vmdk_claim_hole(io, ext, nr, &claim);
	if (ret)
		return ret == -EAGAIN ? 0 : ret;
	map.state = VMDK_MAP_DATA;
	map.file = ext->file;
	map.pos = claim.pos;
	vmdk_run_start(io, claim.sectors, &map, &claim);
	return 0;
}

/* The grains that it takes read as zeros, but for what the parents have. */
static int vmdk_zero_hole(struct vmdk_io *io, struct vmdk_extent *ext, u32 *nr)
{
	struct vmdk_claim claim = {};
	int ret;

	ret = vmdk_claim_hole(io, ext, *nr, &claim);
	*nr = 0;
	if (ret)
		return ret == -EAGAIN ? 0 : ret;
	*nr = claim.sectors;
	vmdk_alloc_publish(&claim);
	return 0;
}

/* What lies at the next sectors of @io in the top link, and in which extent. */
static int vmdk_map_top(struct vmdk_io *io, u32 nr, bool peek,
			struct vmdk_map *map, struct vmdk_extent **found)
{
	struct vmdk_extent *ext = vmdk_link_find(&io->chain->links[0],
						 io->sector);
	u64 sector = io->sector - ext->start;
	int ret;

	*found = ext;
	ret = vmdk_link_check_access(ext, io->op == REQ_OP_WRITE);
	if (ret)
		return ret;
	nr = min_t(u64, nr, ext->sectors - sector);
	ret = ext->ops->map(ext, sector, nr, peek, map);
	map->sectors = min(nr, map->sectors);
	return ret;
}

/*
 * What lies at the next sectors of @io: for a write, in the top link; for a read,
 * where the top link has a hole, in those below.
 */
static int vmdk_map_piece(struct vmdk_io *io, bool peek, struct vmdk_map *map,
			  struct vmdk_extent **ext)
{
	int ret = 0;

	if (!iov_iter_count(&io->iter))
		io->refill(io);
	map->state = VMDK_MAP_HOLE;
	map->sectors = iov_iter_count(&io->iter) >> SECTOR_SHIFT;
	if (!io->below)
		ret = vmdk_map_top(io, map->sectors, peek, map, ext);
	if (!ret && map->state == VMDK_MAP_HOLE && io->op != REQ_OP_WRITE)
		ret = vmdk_below_map(io->chain, io->sector, map->sectors, peek,
				     map, ext);
	if (!ret && map->state == VMDK_MAP_DATA)
		map->sectors = min_t(u64, map->sectors,
				     vmdk_file_span(map->file, map->pos) >>
				     SECTOR_SHIFT);
	return ret;
}

/* Start or finish the next piece of @io that one answer of map() covers. */
static int vmdk_submit_piece(struct vmdk_io *io)
{
	bool write = io->op == REQ_OP_WRITE;
	struct vmdk_map map = {};
	struct vmdk_extent *ext;
	int ret;

	ret = vmdk_map_piece(io, false, &map, &ext);
	if (ret)
		return ret;
	if (map.state == VMDK_MAP_DATA)
		return vmdk_run_data(io, map.sectors, &map);
	if (map.state == VMDK_MAP_COMPRESSED)
		return vmdk_read_compressed(io, ext, map.sectors, &map);
	return write ? vmdk_write_hole(io, ext, map.sectors) :
		       vmdk_read_zeros(io, map.sectors);
}

/*
 * Before anything is changed.  A writer that finds far too much waiting for a
 * commit takes part in it: that bounds the tables which have to stay in memory.
 */
static int vmdk_chain_may_write(struct vmdk_chain *chain)
{
	if (READ_ONCE(chain->error) || READ_ONCE(chain->damaged))
		return -EIO;
	if (unlikely(!READ_ONCE(chain->begun))) {
		int ret = vmdk_chain_begin(chain);

		if (ret)
			return ret;
	}
	if (unlikely(atomic_read(&chain->dirty_sectors) > VMDK_DIRTY_MAX))
		return vmdk_commit(chain);
	return 0;
}

/* The same for whoever frees: what is freed is remembered until it is punched. */
static int vmdk_chain_may_free(struct vmdk_chain *chain)
{
	int ret = vmdk_chain_may_write(chain);

	if (!ret && atomic_read(&chain->nr_freed) > VMDK_FREED_MAX) {
		ret = vmdk_commit(chain);
		vmdk_reclaim(chain);
	}
	return ret;
}

/*
 * A request may have waited while the disk became smaller.  If the end is in its midst,
 * it fails as a whole; then the bios of a read or a write are served one by one.
 */
static int vmdk_check_end(const struct vmdk_io *io)
{
	return unlikely(io->sector + io->left > io->chain->sectors) ? -EIO : 0;
}

/**
 * vmdk_chain_submit - serve a read or a write
 * @io: with @io->chain, @op, @sector, @left, @refill, @resume, @done set, @refs
 *	1, and @iter empty
 *
 * @io->done is called when all is over, from any context.  A request that has
 * to wait for a grain is left with the reference that it came with; when the
 * grain is there, @io->resume is called, which has to call this again.
 *
 * Context: process context, NOIO.
 */
void vmdk_chain_submit(struct vmdk_io *io)
{
	int ret = vmdk_check_end(io);

	if (!ret && io->op == REQ_OP_WRITE)
		ret = vmdk_chain_may_write(io->chain);
	while (!ret && io->left)
		ret = vmdk_submit_piece(io);
	if (ret == -EINPROGRESS)
		return;
	if (ret)
		vmdk_io_fail(io, ret);
	vmdk_io_put(io);
}

/* Copy the next piece of @io, if it is in memory. */
static int vmdk_peek_piece(struct vmdk_io *io)
{
	struct vmdk_map map = {};
	struct vmdk_extent *ext;
	size_t bytes, done;
	int ret;

	ret = vmdk_map_piece(io, true, &map, &ext);
	if (ret)
		return ret;
	if (map.state == VMDK_MAP_ZERO)
		return vmdk_read_zeros(io, map.sectors);
	if (map.state == VMDK_MAP_COMPRESSED) {
		ret = vmdk_stream_peek(io, &map, map.sectors);
		if (!ret)
			vmdk_io_advance(io, map.sectors);
		return ret;
	}
	bytes = (size_t)map.sectors << SECTOR_SHIFT;
	done = vmdk_file_peek(map.file, &io->iter, bytes, map.pos);
	if (vmdk_read_lost(io, &map, io->sector, map.sectors)) {
		vmdk_io_fail(io, -EIO);
		ret = -EIO;
	}
	vmdk_io_advance(io, done >> SECTOR_SHIFT);
	if (ret)
		return ret;
	return done == bytes ? 0 : -EAGAIN;
}

/**
 * vmdk_chain_peek - serve a read as far as that needs no waiting
 * @io: as for vmdk_chain_submit()
 *
 * Holes, and what lies in the page cache or among the inflated grains.
 *
 * Context: ->queue_rq: sleeps nowhere, takes no lock that a sleeper holds.
 * Return: true when all of it is served; else vmdk_chain_submit() is for the
 * rest, and for any error.
 */
bool vmdk_chain_peek(struct vmdk_io *io)
{
	int ret = vmdk_check_end(io);

	rcu_read_lock();
	while (io->left && !ret)
		ret = vmdk_peek_piece(io);
	rcu_read_unlock();
	return !ret;
}

static int vmdk_zero_piece(struct vmdk_io *io)
{
	struct vmdk_extent *ext = vmdk_link_find(&io->chain->links[0],
						 io->sector);
	u64 sector = io->sector - ext->start;
	u32 nr = min_t(u64, io->left, ext->sectors - sector);
	int ret;

	ret = vmdk_link_check_access(ext, true);
	if (!ret) {
		ret = ext->ops->zero(ext, sector, &nr, io);
		if (ret > 0)
			ret = vmdk_zero_hole(io, ext, &nr);
	} else if (io->op == REQ_OP_DISCARD) {
		/* It is but advice, and others of its sectors may take it. */
		ret = 0;
	}
	if (!ret)
		vmdk_io_advance(io, nr);
	return ret;
}

/**
 * vmdk_chain_zero - serve a discard or a write of zeroes
 * @io: as for vmdk_chain_submit(), without memory
 *
 * The caller serves one after the other, so that nothing is freed while a
 * range of it is being zeroed.
 *
 * Context: process context, NOIO.
 */
void vmdk_chain_zero(struct vmdk_io *io)
{
	int ret = vmdk_check_end(io);

	while (!ret && io->left) {
		ret = vmdk_chain_may_free(io->chain);
		if (!ret)
			ret = vmdk_zero_piece(io);
		cond_resched();
	}
	if (ret == -EINPROGRESS)
		return;
	if (ret)
		vmdk_io_fail(io, ret);
	vmdk_io_put(io);
}

/* -------------------------------------------------------------------- open */

static int vmdk_flat_open(struct vmdk_extent *ext,
			  const struct vmdk_extent_info *info,
			  struct vmdk_fault *fault)
{
	u64 size = vmdk_file_size(ext->file);
	u64 need = info->sectors << SECTOR_SHIFT;

	if (info->length && need > info->length)
		return vmdk_fault_set(fault, VMDK_NO_OFFSET,
				      "flat extent of %llu bytes does not fit its window of %llu",
				      need, info->length);
	if (info->offset > size || need > size - info->offset)
		return vmdk_fault_set(fault, VMDK_NO_OFFSET,
				      "flat extent needs %llu bytes from byte %llu on, the %s has %llu",
				      need, info->offset,
				      info->kind == VMDK_KIND_DEVICE ? "device" :
								       "file",
				      size);
	ext->ops = &vmdk_flat_ops;
	return 0;
}

/* No sector of a device shows in two places when one of them is written to. */
static int vmdk_check_windows(const struct vmdk_link *link,
			      const struct vmdk_extent *ext,
			      struct vmdk_fault *fault)
{
	const struct vmdk_extent *other;

	vmdk_for_each_extent(other, link) {
		if (other == ext || (other->access != VMDK_ACCESS_RW &&
				     ext->access != VMDK_ACCESS_RW))
			continue;
		if (other->file && vmdk_file_same(other->file, ext->file) &&
		    vmdk_overlaps(other->offset >> SECTOR_SHIFT, other->sectors,
				  ext->offset >> SECTOR_SHIFT, ext->sectors))
			return vmdk_fault_set(fault, ext->offset,
					      "two extents share a part of the device");
	}
	return 0;
}

/* A link that is to become the top is not among those of the chain yet. */
static int vmdk_check_all_windows(const struct vmdk_chain *chain,
				  const struct vmdk_link *link,
				  const struct vmdk_extent *ext,
				  struct vmdk_fault *fault)
{
	int ret = vmdk_check_windows(link, ext, fault);
	u32 i;

	for (i = 0; i < chain->nr_links && !ret; i++)
		ret = vmdk_check_windows(&chain->links[i], ext, fault);
	return ret;
}

static int vmdk_extent_get_file(struct vmdk_chain *chain,
				struct vmdk_extent *ext,
				const struct vmdk_extent_info *info,
				const struct vmdk_window_info *windows,
				struct vmdk_fault *fault)
{
	bool device = info->kind == VMDK_KIND_DEVICE;
	struct vmdk_file *vf;

	vf = vmdk_file_get(info->fd, ext->access == VMDK_ACCESS_RW,
			   chain->direct,
			   device ? VMDK_ROLE_DEVICE : VMDK_ROLE_EXTENT, chain,
			   fault);
	if (IS_ERR(vf))
		return PTR_ERR(vf);
	ext->file = vf;
	ext->offset = info->offset;
	chain->block_size = max(chain->block_size, vmdk_file_block_size(vf));
	if (!info->nr_windows)
		return 0;
	return vmdk_file_set_windows(vf, windows, info->nr_windows, fault);
}

/* The whole grain of a sparse extent, the block of a flat one. */
static void vmdk_extent_set_discard(struct vmdk_chain *chain,
				    const struct vmdk_extent *ext)
{
	u32 bytes = vmdk_file_hole_size(ext->file);

	if (bytes && ext->sparse)
		bytes = max(bytes, ext->sparse->geo.grain_sectors << SECTOR_SHIFT);
	chain->discard_bytes = max(chain->discard_bytes, bytes);
}

/**
 * vmdk_extent_open - open an extent of a link
 * @chain: that it belongs to
 * @link: that it belongs to
 * @ext: receives it
 * @info: what userspace says of it
 * @windows: its @info->nr_windows windows
 * @verified: userspace has checked an unclean image
 * @fault: receives the reason of a refusal
 *
 * Context: process context, in the ioctl that attaches.
 * Return: 0, or an error; @ext is to be closed either way.
 */
int vmdk_extent_open(struct vmdk_chain *chain, const struct vmdk_link *link,
		     struct vmdk_extent *ext,
		     const struct vmdk_extent_info *info,
		     const struct vmdk_window_info *windows, bool verified,
		     struct vmdk_fault *fault)
{
	int ret;

	ext->start = info->start;
	ext->sectors = info->sectors;
	ext->access = info->access;
	if (!link->writable && ext->access == VMDK_ACCESS_RW)
		ext->access = VMDK_ACCESS_RDONLY;
	if (info->kind == VMDK_KIND_ZERO || ext->access == VMDK_ACCESS_NONE) {
		ext->ops = &vmdk_zero_ops;
		return 0;
	}
	ret = vmdk_extent_get_file(chain, ext, info, windows, fault);
	if (ret)
		return ret;
	if (info->kind == VMDK_KIND_FLAT || info->kind == VMDK_KIND_DEVICE)
		ret = vmdk_flat_open(ext, info, fault);
	else
		ret = vmdk_sparse_open(chain, ext, info, verified, fault);
	if (info->kind == VMDK_KIND_DEVICE && !ret)
		ret = vmdk_check_all_windows(chain, link, ext, fault);
	if (!ret && ext->access == VMDK_ACCESS_RW)
		vmdk_extent_set_discard(chain, ext);
	return ret;
}
