// SPDX-License-Identifier: GPL-2.0
/*
 * Links and extents: which extent a sector lies in, what lies there, and the
 * loop that turns a request into runs, each one file I/O as long as can be.
 *
 * Extents without a structure of their own (flat, device, zero) are here too.
 */
#include <linux/blk-mq.h>
#include <linux/slab.h>

#include "vmdk.h"

#define VMDK_RUN_RESERVE	16
#define VMDK_CACHE_DEFAULT	SZ_64M

/* ------------------------------------------------- flat and zero extents */

static int vmdk_flat_map(struct vmdk_extent *ext, u64 sector, u32 nr,
			 struct vmdk_map *map)
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
			 struct vmdk_map *map)
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

static struct vmdk_extent *vmdk_extent_find(struct vmdk_chain *chain,
					    sector_t sector)
{
	u32 low = 0, high = chain->nr_extents;

	while (high - low > 1) {
		u32 mid = low + (high - low) / 2;

		if (chain->extents[mid].start <= sector)
			low = mid;
		else
			high = mid;
	}
	return &chain->extents[low];
}

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

/* From any context.  A file that ends early is an error, not zeros. */
static void vmdk_run_done(struct vmdk_run *run)
{
	int error = 0;

	if (run->ret != run->bytes)
		error = run->ret < 0 ? run->ret : -EIO;
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

/* Send the next @nr sectors of @io to where @map says. */
static void vmdk_run_start(struct vmdk_io *io, u32 nr,
			   const struct vmdk_map *map,
			   const struct vmdk_claim *claim)
{
	struct vmdk_run *run = vmdk_run_get(io);

	run->io = io;
	run->map = *map;
	run->claim = *claim;
	run->bytes = (size_t)nr << SECTOR_SHIFT;
	run->done = vmdk_run_done;
	run->iter = io->iter;
	iov_iter_truncate(&run->iter, run->bytes);
	iov_iter_advance(&io->iter, run->bytes);
	vmdk_io_advance(io, nr);
	atomic_inc(&io->refs);
	vmdk_file_submit(run, io->op == REQ_OP_WRITE);
}

/* A lookup may have been the one that found the image damaged. */
static int vmdk_run_data(struct vmdk_io *io, u32 nr, const struct vmdk_map *map)
{
	struct vmdk_claim none = {};

	if (io->op == REQ_OP_WRITE && READ_ONCE(io->chain->damaged)) {
		if (map->pin)
			percpu_ref_put(map->pin);
		return -EIO;
	}
	vmdk_run_start(io, nr, map, &none);
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
	u32 grain_sectors = from->offset + from->sectors;
	u32 count;
	u64 grain;

	grain = vmdk_stream_ahead_window(from->stream, from->grain, &count);
	for (; count--; grain++) {
		u64 sector = grain * grain_sectors;
		struct vmdk_map map = {};

		if (sector >= ext->sectors ||
		    ext->ops->map(ext, sector, grain_sectors, &map))
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

static int vmdk_write_hole(struct vmdk_io *io, struct vmdk_extent *ext,
			   u32 nr)
{
	u64 sector = io->sector - ext->start;
	struct vmdk_claim claim = {};
	struct vmdk_map map = {};
	int ret;

	ret = ext->ops->claim(ext, sector, nr, io, &claim);
	if (ret)
		return ret == -EAGAIN ? 0 : ret;
	map.state = VMDK_MAP_DATA;
	map.file = ext->file;
	map.pos = claim.pos;
	vmdk_run_start(io, claim.sectors, &map, &claim);
	return 0;
}

static int vmdk_extent_check_access(const struct vmdk_extent *ext, bool write)
{
	if (ext->access == VMDK_ACCESS_NONE)
		return -EIO;
	if (write && ext->access != VMDK_ACCESS_RW)
		return -EROFS;
	return 0;
}

/* Start or finish the next piece of @io that one answer of map() covers. */
static int vmdk_submit_piece(struct vmdk_io *io)
{
	struct vmdk_extent *ext = vmdk_extent_find(io->chain, io->sector);
	bool write = io->op == REQ_OP_WRITE;
	u64 sector = io->sector - ext->start;
	struct vmdk_map map = {};
	u32 nr;
	int ret;

	ret = vmdk_extent_check_access(ext, write);
	if (ret)
		return ret;
	if (!iov_iter_count(&io->iter))
		io->refill(io);
	nr = min_t(u64, iov_iter_count(&io->iter) >> SECTOR_SHIFT,
		   ext->sectors - sector);
	ret = ext->ops->map(ext, sector, nr, &map);
	if (ret)
		return ret;
	nr = min(nr, map.sectors);
	if (map.state == VMDK_MAP_DATA)
		return vmdk_run_data(io, nr, &map);
	if (map.state == VMDK_MAP_COMPRESSED)
		return vmdk_read_compressed(io, ext, nr, &map);
	return write ? vmdk_write_hole(io, ext, nr) : vmdk_read_zeros(io, nr);
}

/* A new content id, durable before the first byte that makes it necessary. */
static int vmdk_chain_patch(struct vmdk_chain *chain)
{
	int ret = 0;
	u32 i;

	for (i = 0; i < chain->nr_patches && !ret; i++) {
		struct vmdk_chain_patch *p = &chain->patches[i];

		ret = vmdk_file_write(p->file, p->patch.new, p->patch.length,
				      p->patch.offset);
	}
	for (i = 0; i < chain->nr_patches && !ret; i++) {
		ret = vmdk_file_sync(chain->patches[i].file);
		if (ret)
			vmdk_chain_fail(chain, ret);
	}
	return ret;
}

static int vmdk_chain_begin(struct vmdk_chain *chain)
{
	int ret = 0;

	mutex_lock(&chain->begin_mutex);
	if (!chain->begun) {
		ret = vmdk_chain_patch(chain);
		if (!ret) {
			WRITE_ONCE(chain->cid, chain->new_cid);
			WRITE_ONCE(chain->begun, true);
		}
	}
	mutex_unlock(&chain->begin_mutex);
	return ret;
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
	int ret = 0;

	if (io->op == REQ_OP_WRITE)
		ret = vmdk_chain_may_write(io->chain);
	while (!ret && io->left)
		ret = vmdk_submit_piece(io);
	if (ret == -EINPROGRESS)
		return;
	if (ret)
		vmdk_io_fail(io, ret);
	vmdk_io_put(io);
}

static int vmdk_zero_piece(struct vmdk_io *io)
{
	struct vmdk_extent *ext = vmdk_extent_find(io->chain, io->sector);
	u64 sector = io->sector - ext->start;
	u32 nr = min_t(u64, io->left, ext->sectors - sector);
	int ret;

	ret = vmdk_extent_check_access(ext, true);
	if (!ret)
		ret = ext->ops->zero(ext, sector, &nr, io);
	else if (io->op == REQ_OP_DISCARD)
		/* It is but advice, and others of its sectors may take it. */
		ret = 0;
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
	int ret = 0;

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

/**
 * vmdk_chain_flush - make durable all that was completed before the call
 * @chain: the chain
 *
 * Context: process context, NOIO.
 * Return: 0, or an error; after a failed sync always an error.
 */
int vmdk_chain_flush(struct vmdk_chain *chain)
{
	if (!chain->writable)
		return 0;
	return vmdk_commit(chain);
}

/**
 * vmdk_chain_stat - a counter, summed over the CPUs
 * @chain: the chain
 * @stat: which
 */
u64 vmdk_chain_stat(const struct vmdk_chain *chain, enum vmdk_stat stat)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += per_cpu_ptr(chain->stats, cpu)->count[stat];
	return sum;
}

/* --------------------------------------------------------- open and close */

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
static int vmdk_check_windows(const struct vmdk_chain *chain,
			      const struct vmdk_extent *ext,
			      struct vmdk_fault *fault)
{
	const struct vmdk_extent *other;

	for (other = chain->extents; other < ext; other++) {
		if (other->access != VMDK_ACCESS_RW &&
		    ext->access != VMDK_ACCESS_RW)
			continue;
		if (other->file && vmdk_file_same(other->file, ext->file) &&
		    vmdk_overlaps(other->offset >> SECTOR_SHIFT, other->sectors,
				  ext->offset >> SECTOR_SHIFT, ext->sectors))
			return vmdk_fault_set(fault, ext->offset,
					      "two extents share a part of the device");
	}
	return 0;
}

static int vmdk_extent_get_file(struct vmdk_chain *chain,
				struct vmdk_extent *ext,
				const struct vmdk_extent_info *info,
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
	return 0;
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

static int vmdk_extent_open(struct vmdk_chain *chain, struct vmdk_extent *ext,
			    const struct vmdk_extent_info *info, bool verified,
			    struct vmdk_fault *fault)
{
	int ret;

	ext->start = info->start;
	ext->sectors = info->sectors;
	ext->access = info->access;
	if (!chain->writable && ext->access == VMDK_ACCESS_RW)
		ext->access = VMDK_ACCESS_RDONLY;
	if (info->kind == VMDK_KIND_ZERO || ext->access == VMDK_ACCESS_NONE) {
		ext->ops = &vmdk_zero_ops;
		return 0;
	}
	ret = vmdk_extent_get_file(chain, ext, info, fault);
	if (ret)
		return ret;
	if (info->kind == VMDK_KIND_FLAT || info->kind == VMDK_KIND_DEVICE)
		ret = vmdk_flat_open(ext, info, fault);
	else
		ret = vmdk_sparse_open(chain, ext, info, verified, fault);
	if (!ret && info->kind == VMDK_KIND_DEVICE)
		ret = vmdk_check_windows(chain, ext, fault);
	if (!ret && ext->access == VMDK_ACCESS_RW)
		vmdk_extent_set_discard(chain, ext);
	return ret;
}

static int vmdk_chain_open_extents(struct vmdk_chain *chain,
				   const struct vmdk_config *config,
				   struct vmdk_fault *fault, u32 *fault_extent)
{
	bool verified = config->attach.flags & VMDK_ATTACH_VERIFIED;
	int ret = 0;
	u32 i;

	chain->extents = kvcalloc(config->attach.nr_extents,
				  sizeof(*chain->extents), GFP_KERNEL);
	if (!chain->extents)
		return -ENOMEM;
	for (i = 0; i < config->attach.nr_extents && !ret; i++) {
		*fault_extent = i;
		chain->nr_extents = i + 1;
		ret = vmdk_extent_open(chain, &chain->extents[i],
				       &config->extents[i], verified, fault);
		cond_resched();
	}
	if (!ret)
		*fault_extent = ~0U;
	return ret;
}

/* The place in the file has to hold what userspace says that it holds. */
static int vmdk_patch_open(struct vmdk_chain *chain,
			   const struct vmdk_patch *patch,
			   struct vmdk_fault *fault)
{
	struct vmdk_chain_patch *p = &chain->patches[chain->nr_patches];
	u8 now[VMDK_PATCH_SIZE];
	struct vmdk_file *vf;
	int ret;

	vf = vmdk_file_get(patch->fd, true, false, VMDK_ROLE_DESCRIPTOR, chain,
			   fault);
	if (IS_ERR(vf))
		return PTR_ERR(vf);
	p->file = vf;
	p->patch = *patch;
	chain->nr_patches++;
	ret = vmdk_file_read(vf, now, patch->length, patch->offset);
	if (ret)
		return ret;
	if (memcmp(now, patch->old, patch->length))
		return vmdk_fault_set(fault, patch->offset,
				      "descriptor: the content id changed meanwhile");
	return 0;
}

static int vmdk_chain_open_patches(struct vmdk_chain *chain,
				   const struct vmdk_config *config,
				   struct vmdk_fault *fault)
{
	int ret = 0;
	u32 i;

	if (!chain->writable)
		return 0;
	for (i = 0; i < config->attach.nr_patches && !ret; i++)
		ret = vmdk_patch_open(chain, &config->patches[i], fault);
	return ret;
}

static int vmdk_chain_alloc(struct vmdk_chain *chain)
{
	int ret;

	chain->stats = alloc_percpu(struct vmdk_stats);
	if (!chain->stats)
		return -ENOMEM;
	ret = mempool_init_kmalloc_pool(&chain->runs, VMDK_RUN_RESERVE,
					sizeof(struct vmdk_run));
	if (!ret)
		ret = vmdk_gt_pool_init(chain);
	return ret ?: vmdk_pins_init(&chain->pins);
}

static void vmdk_chain_init(struct vmdk_chain *chain,
			    const struct vmdk_config *config, const char *name,
			    struct workqueue_struct *wq)
{
	strscpy(chain->name, name, sizeof(chain->name));
	chain->sectors = config->links[0].sectors;
	chain->writable = !(config->attach.flags & VMDK_ATTACH_READ_ONLY);
	chain->direct = config->attach.flags & VMDK_ATTACH_DIRECT_IO;
	chain->block_size = SECTOR_SIZE;
	chain->cid = config->attach.cid;
	chain->new_cid = config->attach.new_cid;
	chain->parent_cid = config->attach.parent_cid;
	chain->wq = wq;
	mutex_init(&chain->begin_mutex);
	mutex_init(&chain->commit_mutex);
	mutex_init(&chain->reclaim_mutex);
	vmdk_commit_init(chain);
}

/**
 * vmdk_chain_free - let go of everything, and leave the image as it is
 * @chain: without I/O
 *
 * Context: process context.
 */
void vmdk_chain_free(struct vmdk_chain *chain)
{
	u32 i;

	vmdk_commit_stop(chain);

	vmdk_shrinker_free(chain);
	vmdk_cache_exit(chain);
	for (i = 0; i < chain->nr_extents; i++) {
		struct vmdk_extent *ext = &chain->extents[i];

		if (ext->ops && ext->ops->free)
			ext->ops->free(ext);
		vmdk_file_put(ext->file);
	}
	for (i = 0; i < chain->nr_patches; i++)
		vmdk_file_put(chain->patches[i].file);
	vmdk_batch_free(chain);
	vmdk_pins_exit(&chain->pins);
	vmdk_gt_pool_exit(chain);
	mempool_exit(&chain->runs);
	free_percpu(chain->stats);
	kvfree(chain->extents);
	kfree(chain);
}

/**
 * vmdk_chain_open - take all files of a disk and validate what is in them
 * @config: a checked ATTACH call
 * @name: of the disk
 * @wq: for background work
 * @fault: receives the reason of a refusal
 * @fault_extent: receives the extent that is at fault
 *
 * Context: process context, in the ioctl that attaches.
 * Return: the chain, or an ERR_PTR.
 */
struct vmdk_chain *vmdk_chain_open(const struct vmdk_config *config,
				   const char *name,
				   struct workqueue_struct *wq,
				   struct vmdk_fault *fault, u32 *fault_extent)
{
	struct vmdk_chain *chain = kzalloc(sizeof(*chain), GFP_KERNEL);
	int ret;

	if (!chain)
		return ERR_PTR(-ENOMEM);
	vmdk_chain_init(chain, config, name, wq);
	ret = vmdk_chain_alloc(chain);
	if (!ret)
		ret = vmdk_chain_open_extents(chain, config, fault,
					      fault_extent);
	if (!ret)
		ret = vmdk_chain_open_patches(chain, config, fault);
	if (!ret && chain->writable && chain->grain_bytes)
		ret = vmdk_batch_init(chain);
	if (!ret && chain->grain_bytes)
		ret = vmdk_shrinker_init(chain);
	if (!ret && chain->grain_bytes)
		ret = vmdk_cache_init(chain, config->attach.cache_size ?:
					     VMDK_CACHE_DEFAULT);
	if (ret) {
		vmdk_chain_free(chain);
		return ERR_PTR(ret);
	}
	return chain;
}

static int vmdk_chain_detach(struct vmdk_chain *chain)
{
	int ret = 0;
	u32 i;

	for (i = 0; i < chain->nr_extents && !ret; i++) {
		struct vmdk_extent *ext = &chain->extents[i];

		if (ext->ops->detach && ext->access == VMDK_ACCESS_RW)
			ret = ext->ops->detach(ext);
	}
	return ret;
}

/**
 * vmdk_chain_finish - the last commit; then every extent is left clean
 * @chain: without I/O
 *
 * Context: process context, in a worker: what a signal or a limit of whoever
 * detaches could cut short must not be lost.
 * Return: 0, or an error: what was written since the last flush may be lost.
 */
int vmdk_chain_finish(struct vmdk_chain *chain)
{
	int ret;

	if (!chain->writable)
		return 0;
	ret = vmdk_commit(chain);
	vmdk_commit_stop(chain);
	if (ret)
		return ret;
	vmdk_reclaim(chain);
	return vmdk_chain_detach(chain);
}
