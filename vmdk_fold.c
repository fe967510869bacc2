// SPDX-License-Identifier: GPL-2.0
/*
 * A fold: what the top link of a disk has is written to the link behind it, while
 * the disk is in use; then the disk goes on without its top.
 *
 * Two chains
 * ----------
 *
 * The disk has its chain: [top, parent, ...].  The fold opens another one, the
 * target: [parent, ...], the parent for writing.  What the top has, be it data or
 * zeros, is read through the one and written through the other, so that all
 * that makes a write safe is there already: grains are completed from the
 * grandparents, and committed in crash-safe order.  Their files are the same; the
 * target may have them because it names its ally (vmdk_file.c).
 *
 * The invariant: of what the disk shows, the target changes nothing.  It writes
 * where the top has something, and there nobody looks at the parent; the top never
 * loses what it has, since what is discarded in a child becomes zeros there.
 * Where a grain of the parent is larger than what is written to it, the rest of
 * it is filled with what showed there before.  So of each place in the parent,
 * the disk may see what was there before or what is there now, and both are right:
 *
 *  - A table that its own instance of the parent has in memory is that of before:
 *    a hole leads on to the grandparents, which have the same; a grain is still
 *    where it was.  For that, no grain of the parent is ever freed, and used for
 *    anything else, while a read may be on its way to it: zeros are written
 *    without unmapping, though whole grains of them could go.
 *  - A table that it loads later may be that of now.  What it points to was
 *    durable before the table was written.  It may lie behind the end that the
 *    file had when it was opened (sparse->grows).  No entry is seen half written
 *    (chain->tables_sem).  A table that was added is not in its directory, and a
 *    hole.
 *  - What was learnt of the links below the top (vmdk_link.c) holds: a link that
 *    has a unit still has it, and one that was passed over, because it was a hole,
 *    has at most what the next one has.
 *  - Pages of the page cache are the file's, whoever looks at them, and so is its
 *    length.  When the target is left clean, the file is cut to the grains that
 *    are in use, which those of before all are.
 *  - The parent's unclean flag is set on disk from the first grain to the end.
 *    The disk's own instance read it when it was opened, and does not care.
 *
 * What is left to do
 * ------------------
 *
 * A bitmap has a bit for each unit that has to be looked at: all of them at first.
 * The copier clears the bit, then reads, then writes.  When a request that changes
 * data is over, and before it is completed, its units are set again.  So a unit
 * whose bit is clear at the end is in the parent as it is in the top.
 *
 * The end, and a crash
 * --------------------
 *
 * With the queue quiesced, what is left is copied; the target is committed; the top
 * is left clean; then the parent gets a new content id, durably.  That is the
 * switch: before it, [top, parent, ...] is valid, and has all that was flushed;
 * after it, the top is refused, because its parent is another one, and the parent
 * alone has the same bytes.  A write that renews the id and may have failed, or not,
 * leaves both right as long as nothing more is written: so nothing is.
 */
#include <linux/blk-mq.h>
#include <linux/file.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "vmdk.h"

/* Units are 64 KiB, or larger where the bitmap would not fit into 4 MiB. */
#define VMDK_FOLD_UNIT_SHIFT	7
#define VMDK_FOLD_UNITS_MAX	BIT(25)
/* Units that are looked at together, and what is copied at a time, in sectors. */
#define VMDK_FOLD_RUN		512
#define VMDK_FOLD_STEP		(SZ_4M >> SECTOR_SHIFT)
/* The memory that it goes through. */
#define VMDK_FOLD_PAGES		(SZ_256K / PAGE_SIZE)
#define VMDK_FOLD_SECTORS	(SZ_256K >> SECTOR_SHIFT)
/* How long one call copies. */
#define VMDK_FOLD_JIFFIES	(HZ / 4)

/**
 * struct vmdk_fold - from VMDK_FOLD_BEGIN to _END or _CANCEL
 * @disk: I  whose top is folded; it cannot go
 * @chain: I  the disk's
 * @target: I  the same without the top
 * @backing: I  the file of the target's first link, for sysfs
 * @create_type: I  of that
 * @dirty: A  bitmap of units that have to be copied
 * @nr_units: I  its length
 * @unit_shift: I  logarithm of the sectors of a unit
 * @nr_dirty: A  bits that are set in it
 * @next: where the copier looks next; the copier's own, as are the following
 * @io: the read or write that is on its way
 * @wake: @io is over, or has to be continued
 * @over: which
 * @bvec: its memory
 */
struct vmdk_fold {
	struct vmdk_disk *disk;
	struct vmdk_chain *chain;
	struct vmdk_chain *target;
	struct file *backing;
	char create_type[VMDK_TYPE_SIZE];
	unsigned long *dirty;
	u32 nr_units;
	u32 unit_shift;
	atomic_t nr_dirty;
	u32 next;
	struct vmdk_io io;
	struct completion wake;
	bool over;
	struct bio_vec bvec[VMDK_FOLD_PAGES];
};

/* ------------------------------------------------------------ what is left */

/**
 * vmdk_fold_mark - sectors of the disk have changed
 * @fold: of the disk
 * @sector: the first one
 * @nr: how many
 *
 * Context: any; when the change is in place, and before anyone is told.
 */
void vmdk_fold_mark(struct vmdk_fold *fold, u64 sector, u32 nr)
{
	u32 last = (sector + nr - 1) >> fold->unit_shift;
	u32 unit;

	/* Pairs with vmdk_fold_take(): who clears the bit sees the change. */
	smp_mb();
	for (unit = sector >> fold->unit_shift; unit <= last; unit++)
		if (!test_bit(unit, fold->dirty) &&
		    !test_and_set_bit(unit, fold->dirty))
			atomic_inc(&fold->nr_dirty);
}

/* Take units that follow each other; *@first is the first of them. */
static u32 vmdk_fold_take(struct vmdk_fold *fold, u32 *first)
{
	u32 unit = find_next_bit(fold->dirty, fold->nr_units, fold->next);
	u32 n = 0;

	if (unit >= fold->nr_units)
		unit = find_first_bit(fold->dirty, fold->nr_units);
	/* Pairs with vmdk_fold_mark(). */
	while (n < VMDK_FOLD_RUN && unit + n < fold->nr_units &&
	       test_and_clear_bit(unit + n, fold->dirty))
		n++;
	atomic_sub(n, &fold->nr_dirty);
	*first = unit;
	fold->next = unit + n;
	return n;
}

/* ------------------------------------------------------------------- copy */

static void vmdk_fold_io_done(struct vmdk_io *io)
{
	struct vmdk_fold *fold = container_of(io, struct vmdk_fold, io);

	fold->over = true;
	complete(&fold->wake);
}

static void vmdk_fold_io_resume(struct vmdk_io *io)
{
	complete(&container_of(io, struct vmdk_fold, io)->wake);
}

static void vmdk_fold_io_refill(struct vmdk_io *io)
{
	struct vmdk_fold *fold = container_of(io, struct vmdk_fold, io);

	iov_iter_bvec(&io->iter,
		      io->op == REQ_OP_WRITE ? ITER_SOURCE : ITER_DEST,
		      fold->bvec, VMDK_FOLD_PAGES,
		      (size_t)io->left << SECTOR_SHIFT);
}

static void vmdk_fold_io_init(struct vmdk_fold *fold, struct vmdk_chain *chain,
			      enum req_op op, u64 sector, u32 nr)
{
	struct vmdk_io *io = &fold->io;

	init_completion(&fold->wake);
	fold->over = false;
	io->chain = chain;
	io->op = op;
	/* Nothing is freed in the parent: reads of the disk may look at it. */
	io->unmap = false;
	io->below = false;
	io->run_used = false;
	io->ioprio = 0;
	io->sector = sector;
	io->left = nr;
	io->iter.count = 0;
	io->error = 0;
	atomic_set(&io->refs, 1);
	io->refill = vmdk_fold_io_refill;
	io->resume = vmdk_fold_io_resume;
	io->done = vmdk_fold_io_done;
}

/* Read from @chain, write to it, or zero, and wait until that is over. */
static int vmdk_fold_serve(struct vmdk_fold *fold, struct vmdk_chain *chain,
			   enum req_op op, u64 sector, u32 nr)
{
	vmdk_fold_io_init(fold, chain, op, sector, nr);
	do {
		if (op == REQ_OP_WRITE_ZEROES)
			vmdk_chain_zero(&fold->io);
		else
			vmdk_chain_submit(&fold->io);
		wait_for_completion(&fold->wake);
	} while (!fold->over);
	return fold->io.error;
}

/*
 * Copy what the top has at a sector, and store how far that reaches.  A grain that
 * is being filled is a hole: its writer marks it when it is there.
 */
static int vmdk_fold_piece(struct vmdk_fold *fold, u64 sector, u32 *nr,
			   u32 *copied)
{
	struct vmdk_extent *ext;
	struct vmdk_map map;
	int ret;

	ret = vmdk_link_map(&fold->chain->links[0], sector, *nr, false, &map,
			    &ext);
	if (ret)
		return ret;
	if (map.pin)
		percpu_ref_put(map.pin);
	*nr = map.sectors;
	if (map.state == VMDK_MAP_HOLE)
		return 0;
	if (map.state == VMDK_MAP_ZERO) {
		*copied += *nr;
		return vmdk_fold_serve(fold, fold->target, REQ_OP_WRITE_ZEROES,
				       sector, *nr);
	}
	*nr = min_t(u32, *nr, VMDK_FOLD_SECTORS);
	*copied += *nr;
	ret = vmdk_fold_serve(fold, fold->chain, REQ_OP_READ, sector, *nr);
	return ret ?: vmdk_fold_serve(fold, fold->target, REQ_OP_WRITE, sector,
				      *nr);
}

/* What is not copied, for an error or because it is enough, is left as it was. */
static int vmdk_fold_step(struct vmdk_fold *fold)
{
	u32 copied = 0;
	u64 sector, end;
	u32 first, nr;
	int ret = 0;

	nr = vmdk_fold_take(fold, &first);
	sector = (u64)first << fold->unit_shift;
	end = min((u64)(first + nr) << fold->unit_shift, fold->chain->sectors);
	while (sector < end && copied < VMDK_FOLD_STEP && !ret) {
		nr = end - sector;
		ret = vmdk_fold_piece(fold, sector, &nr, &copied);
		if (!ret)
			sector += nr;
		cond_resched();
	}
	if (sector < end)
		vmdk_fold_mark(fold, sector, end - sector);
	if (sector < end && !ret)
		fold->next = sector >> fold->unit_shift;
	return ret;
}

static int vmdk_task_fold_step(struct vmdk_task *task)
{
	return vmdk_fold_step(task->fold);
}

static void vmdk_fold_report(const struct vmdk_fold *fold,
			     struct vmdk_fold_progress *progress)
{
	u64 left = (u64)atomic_read(&fold->nr_dirty) << fold->unit_shift;

	progress->index = fold->disk->index;
	progress->sectors = fold->chain->sectors;
	progress->left = min(left, fold->chain->sectors);
}

/**
 * vmdk_fold_copy - copy for a while
 * @fold: the fold
 * @progress: receives how far it is
 *
 * Context: process context, in the ioctl; one caller at a time.
 * Return: 0, or the error of a read or a write.
 */
int vmdk_fold_copy(struct vmdk_fold *fold, struct vmdk_fold_progress *progress)
{
	struct vmdk_task step = { .run = vmdk_task_fold_step, .fold = fold };
	unsigned long end = jiffies + VMDK_FOLD_JIFFIES;
	int ret = 0;

	while (!ret && atomic_read(&fold->nr_dirty) &&
	       !signal_pending(current) && time_before(jiffies, end))
		ret = vmdk_run_task(fold->disk, &step);
	vmdk_fold_report(fold, progress);
	return ret;
}

/* ------------------------------------------------------------------ begin */

static int vmdk_fold_check_attach(const struct vmdk_chain *chain,
				  const struct vmdk_attach *attach,
				  struct vmdk_fault *fault)
{
	if (attach->flags & ~VMDK_ATTACH_VERIFIED)
		return vmdk_fault_set(fault, VMDK_NO_OFFSET, "unknown flags");
	if (attach->nr_queues || attach->queue_depth || attach->cache_size)
		return vmdk_fault_set(fault, VMDK_NO_OFFSET,
				      "queues and cache of a disk in use cannot be changed");
	if (!vmdk_has_parent(chain))
		return vmdk_fault_set(fault, VMDK_NO_OFFSET,
				      "the disk has no parent");
	if (!chain->writable)
		return vmdk_fault_set(fault, VMDK_NO_OFFSET,
				      "the disk is read-only");
	if (attach->cid != chain->parent_cid)
		return vmdk_fault_set(fault, VMDK_NO_OFFSET,
				      "the content id of the parent is %08x, the disk expects %08x",
				      attach->cid, chain->parent_cid);
	return 0;
}

static bool vmdk_fold_same_extent(const struct vmdk_extent *a,
				  const struct vmdk_extent *b)
{
	if (a->ops != b->ops || a->start != b->start ||
	    a->sectors != b->sectors || a->offset != b->offset ||
	    !a->file != !b->file)
		return false;
	return !a->file || vmdk_file_same(a->file, b->file);
}

static bool vmdk_fold_same_link(const struct vmdk_link *a,
				const struct vmdk_link *b)
{
	u32 i;

	if (a->nr_extents != b->nr_extents || a->sectors != b->sectors)
		return false;
	for (i = 0; i < a->nr_extents; i++)
		if (!vmdk_fold_same_extent(&a->extents[i], &b->extents[i]))
			return false;
	return true;
}

/* The links are those of the disk, or nothing of the above would be true. */
static int vmdk_fold_check_links(const struct vmdk_chain *chain,
				 const struct vmdk_chain *target,
				 struct vmdk_fault *fault)
{
	u32 i;

	if (target->nr_links + 1 != chain->nr_links)
		return vmdk_fault_set(fault, VMDK_NO_OFFSET,
				      "%u links, but the disk has %u behind its top",
				      target->nr_links, chain->nr_links - 1);
	for (i = 0; i < target->nr_links; i++)
		if (!vmdk_fold_same_link(&target->links[i],
					 &chain->links[i + 1]))
			return vmdk_fault_set(fault, VMDK_NO_OFFSET,
					      "link %u is not what the disk has behind its top",
					      i);
	if (target->sectors != chain->sectors)
		return vmdk_fault_set(fault, VMDK_NO_OFFSET,
				      "the parent has %llu sectors, the disk %llu",
				      target->sectors, chain->sectors);
	return 0;
}

/* All of the top can be read, and all of the parent written. */
static int vmdk_fold_check_access(const struct vmdk_link *top,
				  const struct vmdk_link *parent,
				  struct vmdk_fault *fault, u32 *fault_extent)
{
	const struct vmdk_extent *ext;

	vmdk_for_each_extent(ext, top)
		if (ext->access == VMDK_ACCESS_NONE)
			return vmdk_fault_set(fault, VMDK_NO_OFFSET,
					      "an extent of the top cannot be read");
	vmdk_for_each_extent(ext, parent) {
		if (ext->access == VMDK_ACCESS_RW && ext->file)
			continue;
		*fault_extent = ext - parent->extents;
		return vmdk_fault_set(fault, VMDK_NO_OFFSET,
				      "the extent cannot be written");
	}
	return 0;
}

/* The parent was not left clean, and nobody has checked it. */
static int vmdk_fold_check_clean(const struct vmdk_link *parent,
				 struct vmdk_fault *fault, u32 *fault_extent)
{
	const struct vmdk_extent *ext;

	vmdk_for_each_extent(ext, parent) {
		if (!ext->sparse || !ext->sparse->geo.unclean)
			continue;
		*fault_extent = ext - parent->extents;
		vmdk_fault_set(fault, ext->sparse->layout.unclean_pos,
			       "header: uncleanShutdown is set: check the image first");
		return -EUCLEAN;
	}
	return 0;
}

/*
 * The new content id is for the end, not for the first write.  That the links are the
 * right ones is found out first: who checks the parent, and makes its tables alike, must
 * not do so to the file of another disk.
 */
static int vmdk_fold_open(struct vmdk_fold *fold, struct vmdk_config *config,
			  struct vmdk_fault *fault)
{
	bool verified = config->attach.flags & VMDK_ATTACH_VERIFIED;
	struct vmdk_chain *chain = fold->chain;
	struct vmdk_chain *target;
	int ret;

	config->attach.flags |= VMDK_ATTACH_VERIFIED;
	if (chain->direct)
		config->attach.flags |= VMDK_ATTACH_DIRECT_IO;
	config->attach.cache_size = chain->cache.limit;
	config->ally = chain;
	target = vmdk_chain_open(config, chain->name, fold->disk->wq, fault,
				 &config->attach.fault_extent);
	/* What a file system says of itself is not what is said of the parent. */
	if (IS_ERR(target))
		return target == ERR_PTR(-EUCLEAN) ? -EIO : PTR_ERR(target);
	target->begun = true;
	fold->target = target;
	ret = vmdk_fold_check_links(chain, target, fault);
	if (!ret)
		ret = vmdk_fold_check_access(&chain->links[0],
					     &target->links[0], fault,
					     &config->attach.fault_extent);
	if (!ret && !verified)
		ret = vmdk_fold_check_clean(&target->links[0], fault,
					    &config->attach.fault_extent);
	return ret;
}

static int vmdk_fold_alloc_pages(struct vmdk_fold *fold)
{
	u32 i;

	for (i = 0; i < VMDK_FOLD_PAGES; i++) {
		struct page *page = alloc_page(GFP_KERNEL);

		if (!page)
			return -ENOMEM;
		bvec_set_page(&fold->bvec[i], page, PAGE_SIZE, 0);
	}
	return 0;
}

static int vmdk_fold_alloc_bitmap(struct vmdk_fold *fold)
{
	u64 sectors = fold->chain->sectors;

	fold->unit_shift = VMDK_FOLD_UNIT_SHIFT;
	while ((sectors - 1) >> fold->unit_shift >= VMDK_FOLD_UNITS_MAX)
		fold->unit_shift++;
	fold->nr_units = ((sectors - 1) >> fold->unit_shift) + 1;
	fold->dirty = kvcalloc(BITS_TO_LONGS(fold->nr_units), sizeof(long),
			       GFP_KERNEL_ACCOUNT);
	if (!fold->dirty)
		return -ENOMEM;
	bitmap_set(fold->dirty, 0, fold->nr_units);
	atomic_set(&fold->nr_dirty, fold->nr_units);
	return 0;
}

static int vmdk_fold_set_up(struct vmdk_fold *fold, struct vmdk_config *config,
			    struct vmdk_fault *fault)
{
	int ret;

	strscpy(fold->create_type, config->attach.create_type,
		sizeof(fold->create_type));
	fold->backing = fget(config->attach.backing_fd);
	if (!fold->backing)
		return -EBADF;
	ret = vmdk_fold_check_attach(fold->chain, &config->attach, fault);
	if (!ret)
		ret = vmdk_fold_alloc_pages(fold);
	if (!ret)
		ret = vmdk_fold_alloc_bitmap(fold);
	return ret ?: vmdk_fold_open(fold, config, fault);
}

/* Whatever is there of it; its chains belong to others. */
static void vmdk_fold_free(struct vmdk_fold *fold)
{
	u32 i;

	if (fold->backing)
		fput(fold->backing);
	for (i = 0; i < VMDK_FOLD_PAGES && fold->bvec[i].bv_page; i++)
		__free_page(fold->bvec[i].bv_page);
	kvfree(fold->dirty);
	kfree(fold);
}

/* From now on, or no longer, the fold learns of what is written. */
static void vmdk_fold_watch(struct vmdk_disk *disk, struct vmdk_fold *fold)
{
	unsigned int noio = vmdk_freeze(disk);

	WRITE_ONCE(disk->fold, fold);
	vmdk_unfreeze(disk, noio);
}

static void vmdk_fold_start(struct vmdk_fold *fold)
{
	struct vmdk_extent *ext;

	vmdk_for_each_extent(ext, &fold->chain->links[1])
		if (ext->sparse)
			WRITE_ONCE(ext->sparse->grows, true);
	vmdk_fold_watch(fold->disk, fold);
}

static struct vmdk_fold *vmdk_fold_new(struct vmdk_disk *disk,
				       struct vmdk_config *config,
				       struct vmdk_fault *fault)
{
	struct vmdk_fold *fold = kzalloc(sizeof(*fold), GFP_KERNEL);
	int ret;

	if (!fold)
		return ERR_PTR(-ENOMEM);
	fold->disk = disk;
	fold->chain = disk->chain;
	ret = vmdk_fold_set_up(fold, config, fault);
	if (!ret) {
		vmdk_fold_start(fold);
		return fold;
	}
	if (fold->target)
		vmdk_chain_free(fold->target);
	vmdk_fold_free(fold);
	return ERR_PTR(ret);
}

/**
 * vmdk_fold_begin - begin to fold the top of a disk into its parent
 * @config: a checked call, @config->attach.index the disk's; receives the extent at
 *	fault
 * @fault: receives the reason of a refusal
 *
 * The disk cannot go, nor change, until vmdk_fold_end() or vmdk_fold_cancel().
 *
 * Context: process context, in the ioctl.
 * Return: the fold; or an ERR_PTR: -ENXIO; -EAGAIN: the disk is being changed;
 * -EBUSY; or another one.
 */
struct vmdk_fold *vmdk_fold_begin(struct vmdk_config *config,
				  struct vmdk_fault *fault)
{
	struct vmdk_fold *fold;
	struct vmdk_disk *disk;

	disk = vmdk_disk_start_change(config->attach.index, VMDK_FOLDING);
	if (IS_ERR(disk))
		return ERR_CAST(disk);
	fold = vmdk_fold_new(disk, config, fault);
	if (IS_ERR(fold))
		vmdk_disk_end_change(disk);
	return fold;
}

/* -------------------------------------------------------------------- end */

/* The new content id.  Whether it is there after an error, nobody knows. */
static int vmdk_fold_switch(struct vmdk_fold *fold)
{
	int ret;

	fold->target->begun = false;
	ret = vmdk_chain_begin(fold->target);
	fold->target->begun = true;
	if (ret)
		vmdk_chain_fail(fold->chain, ret);
	return ret;
}

/* Counters go on from where they were. */
static void vmdk_fold_add_stats(const struct vmdk_fold *fold)
{
	u32 i;

	for (i = 0; i < VMDK_NR_STATS; i++)
		this_cpu_add(fold->target->stats->count[i],
			     vmdk_chain_stat(fold->chain, i));
}

/*
 * The disk is made of the target now.  The limits of the queue stay what they were,
 * as they do when a snapshot is taken: they are but advice.
 */
static void vmdk_fold_swap(struct vmdk_fold *fold)
{
	struct vmdk_disk *disk = fold->disk;

	mutex_lock(&fold->target->commit_mutex);
	WRITE_ONCE(fold->target->ally, NULL);
	mutex_unlock(&fold->target->commit_mutex);
	vmdk_fold_add_stats(fold);
	down_write(&disk->chain_sem);
	disk->chain = fold->target;
	up_write(&disk->chain_sem);
	WRITE_ONCE(disk->fold, NULL);
}

static int vmdk_fold_copy_rest(struct vmdk_fold *fold)
{
	int ret = 0;

	while (!ret && atomic_read(&fold->nr_dirty))
		ret = vmdk_fold_step(fold);
	if (!ret && (READ_ONCE(fold->chain->damaged) ||
		     READ_ONCE(fold->target->damaged)))
		ret = -EIO;
	return ret ?: vmdk_chain_flush(fold->target);
}

/* Nobody writes to the disk: its queue is quiesced. */
static int vmdk_task_fold_finish(struct vmdk_task *task)
{
	struct vmdk_fold *fold = task->fold;
	int ret;

	ret = vmdk_fold_copy_rest(fold);
	if (ret)
		return ret;
	ret = vmdk_chain_finish(fold->chain);
	if (!ret)
		ret = vmdk_fold_switch(fold);
	if (ret)
		vmdk_commit_later(fold->chain, false);
	else
		vmdk_fold_swap(fold);
	return ret;
}

static int vmdk_task_fold_flush(struct vmdk_task *task)
{
	return vmdk_chain_flush(task->fold->target);
}

/**
 * vmdk_fold_end - copy what is left, and let the disk go on without its top
 * @fold: gone after success
 *
 * Context: process context, in the ioctl; one caller at a time.
 * Return: 0, or an error, after which the fold is as it was.
 */
int vmdk_fold_end(struct vmdk_fold *fold)
{
	struct vmdk_task flush = { .run = vmdk_task_fold_flush, .fold = fold };
	struct vmdk_task finish = { .run = vmdk_task_fold_finish, .fold = fold };
	struct vmdk_disk *disk = fold->disk;
	int ret;

	/* So that there is little left to do while the disk stands still. */
	ret = vmdk_run_task(disk, &flush);
	if (!ret)
		ret = vmdk_run_quiesced(disk, &finish);
	if (ret)
		return ret;
	vmdk_chain_free(fold->chain);
	vmdk_disk_set_backing(disk, get_file(fold->backing),
			      fold->create_type);
	vmdk_fold_free(fold);
	vmdk_disk_end_change(disk);
	return 0;
}

static int vmdk_task_fold_leave(struct vmdk_task *task)
{
	return vmdk_chain_finish(task->fold->target);
}

/**
 * vmdk_fold_cancel - leave the disk as it is, and the parent clean
 * @fold: gone afterwards
 *
 * Context: process context.
 * Return: 0, or an error: the parent may not be clean, but is as good as before.
 */
int vmdk_fold_cancel(struct vmdk_fold *fold)
{
	struct vmdk_task leave = { .run = vmdk_task_fold_leave, .fold = fold };
	struct vmdk_disk *disk = fold->disk;
	int ret;

	vmdk_fold_watch(disk, NULL);
	ret = vmdk_run_task(disk, &leave);
	vmdk_chain_free(fold->target);
	vmdk_fold_free(fold);
	vmdk_disk_end_change(disk);
	return ret;
}
