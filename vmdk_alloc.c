// SPDX-License-Identifier: GPL-2.0
/*
 * Grains: claimed, filled, published, freed, and used again.
 *
 * Order, and what a crash leaves
 * ------------------------------
 *
 * What is assumed of the backing file: after a power cut each of its sectors
 * holds some version between the last one made durable by a successful sync
 * and the last one written; sectors are independent; what was never written
 * reads as zeros.
 *
 * A first write to an absent grain goes this way:
 *
 *  1. claim: in memory, the entry becomes BUSY.  Readers still see nothing
 *     there; a second writer of the grain waits; writers of others do not.
 *     The grain comes from behind the last one, and the file is extended over
 *     all of it; or from the pool of freed ones, which read as zeros too.
 *  2. the data is written, and nothing else: the rest of the grain is zeros.
 *     A crash leaves space that nothing points to.
 *  3. publish: in memory, the entry becomes the grain.  The request completes.
 *     A crash leaves the same.  Nothing was promised yet.
 *  4. commit (vmdk_commit.c), by a flush or in the background: the entries as
 *     they are now are copied; then the file is synced, which makes the data
 *     behind all these entries durable; then the copies are written, redundant
 *     table first; then the file is synced again.  A crash in between leaves
 *     each entry of each table old or new, and both are right: what an entry
 *     points to was durable before the entry was written.  What was published
 *     after the copy was taken waits for the next commit.
 *  5. the flush completes.
 *
 * A table that the file has not got yet is written, both copies, before the
 * first sync of 4, where nothing points to it; its directory entries are
 * written between the syncs.  So no directory ever points to a table that is
 * not durable.  The header of a COWD file says where the next grain goes: that
 * is written before the first sync too, so no entry ever leads behind it.
 *
 * A discard goes the other way:
 *
 *  1. free: in memory, the entry becomes FREED.  Readers see nothing there.  The
 *     grain is remembered.
 *  2. commit as above, and the entry becomes absent.  Until then the file's entry
 *     still points to the grain, so it is neither punched nor used: a crash
 *     brings the old data back, which is right as long as no flush has
 *     completed.  Nor does the entry get another grain: a write to it commits
 *     first.  So a crash never leaves two copies of an entry that point to two
 *     grains, which is how readers tell damage from a commit that was cut.
 *  3. reclaim: I/O that looked up the grain before it was freed is waited for
 *     (struct vmdk_pins); then the grain is punched, or zeroed; then it goes
 *     to the pool.  So no one ever finds a byte of one sector in another.
 *
 * uncleanShutdown is set, durably, before the first of these steps
 * (vmdk_sparse.c), and the content id is changed before that (vmdk_extent.c).
 */
#include <linux/list_sort.h>
#include <linux/slab.h>

#include "vmdk.h"

/* The file grows by this much at a time; detach cuts off what was not used. */
#define VMDK_EXTEND_SECTORS	(SZ_16M >> SECTOR_SHIFT)
/* Runs of free grains to keep; what is more stays a hole in the file. */
#define VMDK_POOL_MAX		65536

/* ------------------------------------------------------------------- pins */

static void vmdk_pins_release(struct percpu_ref *ref)
{
	struct vmdk_pin_gen *gen = container_of(ref, struct vmdk_pin_gen, ref);

	complete(&gen->drained);
}

/**
 * vmdk_pins_init - nothing is pinned
 * @pins: of a chain
 *
 * Return: 0 or -ENOMEM.
 */
int vmdk_pins_init(struct vmdk_pins *pins)
{
	int ret = 0;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(pins->gen) && !ret; i++) {
		init_completion(&pins->gen[i].drained);
		ret = percpu_ref_init(&pins->gen[i].ref, vmdk_pins_release,
				      PERCPU_REF_ALLOW_REINIT, GFP_KERNEL);
	}
	return ret;
}

/**
 * vmdk_pins_exit - free what vmdk_pins_init() allocated
 * @pins: of a chain without I/O
 */
void vmdk_pins_exit(struct vmdk_pins *pins)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(pins->gen); i++)
		percpu_ref_exit(&pins->gen[i].ref);
}

/**
 * vmdk_pin - keep what an entry says from being used for anything else
 * @pins: of the chain
 *
 * To be called before the entry is read.  A generation that is no longer
 * current is dead, and then another one is current already.
 *
 * Context: under rcu_read_lock().
 * Return: a reference for percpu_ref_put().
 */
struct percpu_ref *vmdk_pin(struct vmdk_pins *pins)
{
	struct percpu_ref *ref;

	do {
		/* Pairs with vmdk_pins_drain(): then shows what was freed. */
		u32 gen = smp_load_acquire(&pins->current_gen);

		ref = &pins->gen[gen].ref;
	} while (!percpu_ref_tryget_live_rcu(ref));
	return ref;
}

/*
 * Wait for all I/O that may have seen what was freed before the call.  To kill a
 * reference takes a grace period, so those who peek under RCU have left, too.
 */
static void vmdk_pins_drain(struct vmdk_pins *pins)
{
	u32 old = pins->current_gen;
	struct vmdk_pin_gen *gen = &pins->gen[old];

	reinit_completion(&gen->drained);
	/* Pairs with vmdk_pin(). */
	smp_store_release(&pins->current_gen, !old);
	percpu_ref_kill(&gen->ref);
	wait_for_completion(&gen->drained);
	percpu_ref_reinit(&gen->ref);
}

/* ---------------------------------------------------------- lists of grains */

static u64 vmdk_freed_end(const struct vmdk_sparse *sparse,
			  const struct vmdk_freed *freed)
{
	return freed->gte + ((u64)freed->count << sparse->geo.grain_shift);
}

/*
 * Remember that grains are free.  Without memory they are forgotten: a leak,
 * which check finds, and nothing worse.
 */
static void vmdk_freed_add(struct vmdk_sparse *sparse, struct list_head *list,
			   u32 gte, u32 count)
{
	struct vmdk_freed *last, *new;

	lockdep_assert_held(&sparse->lock);
	if (!list_empty(list)) {
		last = list_last_entry(list, struct vmdk_freed, node);
		if (vmdk_freed_end(sparse, last) == gte) {
			last->count += count;
			return;
		}
	}
	new = kmalloc(sizeof(*new), GFP_NOWAIT | __GFP_NOWARN);
	if (!new)
		return;
	new->gte = gte;
	new->count = count;
	list_add_tail(&new->node, list);
	atomic_inc(&sparse->chain->nr_freed);
}

static void vmdk_pool_del(struct vmdk_sparse *sparse, struct vmdk_freed *freed)
{
	list_del(&freed->node);
	sparse->nr_pool--;
	kfree(freed);
}

static u32 vmdk_freed_take(struct vmdk_sparse *sparse, u32 want, u32 *count)
{
	struct vmdk_freed *first;
	u32 gte;

	first = list_first_entry(&sparse->pool, struct vmdk_freed, node);
	gte = first->gte;
	*count = min(want, first->count);
	first->gte += *count << sparse->geo.grain_shift;
	first->count -= *count;
	if (!first->count)
		vmdk_pool_del(sparse, first);
	return gte;
}

static void vmdk_freed_drop(struct list_head *list)
{
	struct vmdk_freed *freed, *next;

	list_for_each_entry_safe(freed, next, list, node)
		kfree(freed);
	INIT_LIST_HEAD(list);
}

/**
 * vmdk_alloc_drop_all - forget all free grains
 * @sparse: an extent without I/O
 */
void vmdk_alloc_drop_all(struct vmdk_sparse *sparse)
{
	vmdk_freed_drop(&sparse->freed);
	vmdk_freed_drop(&sparse->committing);
	vmdk_freed_drop(&sparse->unpunched);
	vmdk_freed_drop(&sparse->draining);
	vmdk_freed_drop(&sparse->pool);
}

/* ---------------------------------------------------------------- growth */

/*
 * Have the file reach as far as sector @end: in large steps, or, where the file
 * system does not allow that, just as far.
 */
static int vmdk_alloc_extend(struct vmdk_sparse *sparse, u64 end)
{
	u64 far = min(end + VMDK_EXTEND_SECTORS, VMDK_SPARSE_SECTORS_MAX);
	int ret = 0;

	if (end <= READ_ONCE(sparse->end))
		return 0;
	mutex_lock(&sparse->extend_mutex);
	if (end > sparse->end) {
		ret = vmdk_file_resize(sparse->file, far << SECTOR_SHIFT);
		if (ret) {
			far = end;
			ret = vmdk_file_resize(sparse->file,
					       far << SECTOR_SHIFT);
		}
		if (!ret)
			/* Pairs with vmdk_alloc_sync(): it sees that it is needed. */
			smp_store_release(&sparse->end, far);
	}
	mutex_unlock(&sparse->extend_mutex);
	return ret;
}

static int vmdk_alloc_sync(struct vmdk_sparse *sparse)
{
	/* Pairs with vmdk_alloc_extend(). */
	u64 end = smp_load_acquire(&sparse->end);
	int ret = vmdk_file_sync(sparse->file);

	if (ret)
		vmdk_chain_fail(sparse->chain, ret);
	else
		sparse->durable_end = end;
	return ret;
}

/**
 * vmdk_alloc_save_cursor - have the header say where the used area ends
 * @sparse: an extent; commit_mutex is held, or it is without I/O
 *
 * For COWD: whoever writes to the file next trusts that.  To be durable before
 * any table entry that leads behind what it says now, and not before the file
 * is as long.
 *
 * Context: process context, NOIO.
 * Return: 0, or the error of a write or a sync.
 */
int vmdk_alloc_save_cursor(struct vmdk_sparse *sparse)
{
	__le32 value;
	u64 cursor;
	int ret = 0;

	if (sparse->kind != VMDK_KIND_COWD)
		return 0;
	spin_lock_irq(&sparse->lock);
	cursor = sparse->cursor;
	spin_unlock_irq(&sparse->lock);
	cursor = min(cursor, READ_ONCE(sparse->end));
	if (cursor == sparse->free_sector || !sparse->marked)
		return 0;
	if (cursor > sparse->durable_end)
		ret = vmdk_alloc_sync(sparse);
	if (ret)
		return ret;
	value = cpu_to_le32(min(cursor, sparse->durable_end));
	ret = vmdk_file_write(sparse->file, &value, sizeof(value),
			      offsetof(struct vmdk_cowd_header, free_sector));
	if (!ret)
		sparse->free_sector = le32_to_cpu(value);
	return ret;
}

static int vmdk_cmp_freed(void *priv, const struct list_head *a,
			  const struct list_head *b)
{
	return list_entry(a, struct vmdk_freed, node)->gte >
	       list_entry(b, struct vmdk_freed, node)->gte;
}

/* Runs of the sorted pool that follow each other become one. */
static void vmdk_merge_pool(struct vmdk_sparse *sparse)
{
	struct vmdk_freed *freed, *next;

	list_for_each_entry_safe(freed, next, &sparse->pool, node) {
		if (list_is_last(&freed->node, &sparse->pool) ||
		    vmdk_freed_end(sparse, freed) != next->gte)
			continue;
		next->gte = freed->gte;
		next->count += freed->count;
		vmdk_pool_del(sparse, freed);
	}
}

static bool vmdk_reads_zero(struct vmdk_sparse *sparse, void *buf, loff_t pos,
			    loff_t end)
{
	end = min_t(loff_t, end, sparse->end << SECTOR_SHIFT);
	return pos >= end ||
	       (!vmdk_file_read(sparse->file, buf, end - pos, pos) &&
		!memchr_inv(buf, 0, end - pos));
}

/*
 * A grain that does not fill a block of the file system gives no space back until
 * the rest of the block is zeros too; then it may go, whoever it belongs to.
 */
static void vmdk_punch_blocks(struct vmdk_sparse *sparse,
			      const struct vmdk_freed *freed, void *buf,
			      u32 block)
{
	loff_t start = (loff_t)freed->gte << SECTOR_SHIFT;
	loff_t end = vmdk_freed_end(sparse, freed) << SECTOR_SHIFT;
	loff_t low = round_down(start, (loff_t)block);
	loff_t high = round_up(end, (loff_t)block);

	if (!vmdk_reads_zero(sparse, buf, low, start))
		low += block;
	if (!vmdk_reads_zero(sparse, buf, end, high))
		high -= block;
	if (low < high)
		vmdk_file_punch(sparse->file, low, high - low);
}

static void vmdk_punch_pool(struct vmdk_sparse *sparse)
{
	u32 block = vmdk_file_hole_size(sparse->file);
	struct vmdk_freed *freed;
	void *buf;

	/* Only these are smaller, or not aligned. */
	if (sparse->kind != VMDK_KIND_COWD || !block)
		return;
	buf = kvmalloc(block, GFP_NOIO);
	if (!buf)
		return;
	list_for_each_entry(freed, &sparse->pool, node) {
		vmdk_punch_blocks(sparse, freed, buf, block);
		cond_resched();
	}
	kvfree(buf);
}

/* Free grains at the end of the used area are not needed in the file. */
static void vmdk_lower_cursor(struct vmdk_sparse *sparse)
{
	struct vmdk_freed *last;

	while (!list_empty(&sparse->pool)) {
		last = list_last_entry(&sparse->pool, struct vmdk_freed, node);
		if (vmdk_freed_end(sparse, last) != sparse->cursor)
			break;
		sparse->cursor = last->gte;
		vmdk_pool_del(sparse, last);
	}
}

/**
 * vmdk_alloc_trim - cut off what the file was extended by but not used
 * @sparse: an extent without I/O, all of it committed and reclaimed
 *
 * That saves space and nothing else, so a file system may refuse.  What the
 * header says of the end is never behind it.
 *
 * Context: process context.
 * Return: 0, or the error of a write or a sync.
 */
int vmdk_alloc_trim(struct vmdk_sparse *sparse)
{
	int ret;

	list_sort(NULL, &sparse->pool, vmdk_cmp_freed);
	vmdk_merge_pool(sparse);
	vmdk_punch_pool(sparse);
	vmdk_lower_cursor(sparse);
	ret = vmdk_alloc_save_cursor(sparse);
	if (!ret)
		ret = vmdk_alloc_sync(sparse);
	if (ret || sparse->cursor >= sparse->end)
		return ret;
	if (!vmdk_file_resize(sparse->file, sparse->cursor << SECTOR_SHIFT))
		WRITE_ONCE(sparse->end, sparse->cursor);
	return vmdk_alloc_sync(sparse);
}

/*
 * From the end of the file on, with @room sectors to be left free there.  A grain that
 * was written to needs its table at the next flush: data leaves room for that.
 */
static int vmdk_take_new(struct vmdk_sparse *sparse, u32 want, u64 room,
			 u32 *gte, u32 *count)
{
	u64 end = VMDK_SPARSE_SECTORS_MAX;
	u64 left;

	lockdep_assert_held(&sparse->lock);
	/* Only these grains may begin anywhere, and not all numbers are sectors. */
	if (sparse->kind == VMDK_KIND_COWD)
		end = VMDK_GTE_LAST;
	if (sparse->cursor + room >= end)
		return -ENOSPC;
	left = (end - room - sparse->cursor) >> sparse->geo.grain_shift;
	if (!left)
		return -ENOSPC;
	*gte = sparse->cursor;
	*count = min_t(u64, want, left);
	sparse->cursor += (u64)*count << sparse->geo.grain_shift;
	return 0;
}

/* Grains that follow each other in the file, and read as zeros. */
static int vmdk_take_grains(struct vmdk_sparse *sparse, u32 want, u64 room,
			    u32 *gte, u32 *count)
{
	lockdep_assert_held(&sparse->lock);
	if (list_empty(&sparse->pool))
		return vmdk_take_new(sparse, want, room, gte, count);
	*gte = vmdk_freed_take(sparse, want, count);
	return 0;
}

/* ----------------------------------------------------- claim and publish */

static struct vmdk_gt *vmdk_table_of(struct vmdk_sparse *sparse, u64 grain)
{
	lockdep_assert_held(&sparse->lock);
	return vmdk_gt_find(sparse, grain >> sparse->layout.gt_shift);
}

static void vmdk_wait_for_grain(struct vmdk_sparse *sparse, u64 grain,
				struct vmdk_io *io)
{
	io->wait_grain = grain;
	list_add_tail(&io->node, &sparse->waiters);
}

static void vmdk_wake_waiters(struct vmdk_sparse *sparse, u64 first, u32 count,
			      struct list_head *woken)
{
	struct vmdk_io *io, *next;

	list_for_each_entry_safe(io, next, &sparse->waiters, node)
		if (io->wait_grain >= first && io->wait_grain < first + count)
			list_move_tail(&io->node, woken);
}

static void vmdk_resume_all(struct list_head *woken)
{
	struct vmdk_io *io, *next;

	list_for_each_entry_safe(io, next, woken, node) {
		list_del_init(&io->node);
		io->resume(io);
	}
}

/* Make entries BUSY as far as they are absent and grains follow each other. */
static int vmdk_claim_entries(struct vmdk_sparse *sparse, struct vmdk_gt *gt,
			      u32 entry, u32 want, struct vmdk_claim *claim)
{
	u32 n, i;
	int ret;

	want = min(want, sparse->layout.gt_entries - entry);
	for (n = 1; n < want; n++)
		if (gt->entry[entry + n] > VMDK_GTE_ZERO)
			break;
	ret = vmdk_take_grains(sparse, n, sparse->table_room, &claim->gte,
			       &claim->count);
	if (ret)
		return ret;
	for (i = entry; i < entry + claim->count; i++)
		WRITE_ONCE(gt->entry[i], gt->entry[i] == VMDK_GTE_ZERO ?
					 VMDK_GTE_BUSY_ZERO : VMDK_GTE_BUSY);
	gt->pins++;
	claim->sparse = sparse;
	claim->gt = gt;
	claim->first = entry;
	return 0;
}

static int vmdk_try_claim(struct vmdk_sparse *sparse, u64 grain, u32 want,
			  struct vmdk_io *io, struct vmdk_claim *claim)
{
	u32 entry = grain & (sparse->layout.gt_entries - 1);
	struct vmdk_gt *gt = vmdk_table_of(sparse, grain);
	u32 gte;

	lockdep_assert_held(&sparse->lock);
	if (!gt)
		return -ENOENT;
	if (READ_ONCE(sparse->chain->damaged))
		return -EIO;
	gte = gt->entry[entry];
	if (vmdk_gte_is_busy(gte)) {
		vmdk_wait_for_grain(sparse, grain, io);
		return -EINPROGRESS;
	}
	if (vmdk_gte_is_freed(gte))
		return -ESTALE;
	if (gte > VMDK_GTE_ZERO)
		return -EAGAIN;
	return vmdk_claim_entries(sparse, gt, entry, want, claim);
}

/**
 * vmdk_alloc_claim - take absent grains for a write
 * @sparse: the extent
 * @grain: the first one
 * @want: how many it would write to
 * @io: the write
 * @claim: receives what was taken, in one table and in one piece of the file
 *
 * Ends with vmdk_alloc_publish() or vmdk_alloc_unclaim().  Commits, if the first
 * grain was freed and the file does not say so yet.
 *
 * Context: process context, NOIO.
 * Return: 0; -EAGAIN: it is not absent any more; -EINPROGRESS: someone else is
 * filling it, and @io->resume will be called; -ENOSPC; or another error.
 */
int vmdk_alloc_claim(struct vmdk_sparse *sparse, u64 grain, u32 want,
		     struct vmdk_io *io, struct vmdk_claim *claim)
{
	u64 end;
	int ret;

	for (;;) {
		spin_lock_irq(&sparse->lock);
		ret = vmdk_try_claim(sparse, grain, want, io, claim);
		spin_unlock_irq(&sparse->lock);
		if (ret == -ENOENT)
			ret = vmdk_gt_load(sparse,
					   grain >> sparse->layout.gt_shift);
		else if (ret == -ESTALE)
			ret = vmdk_commit(sparse->chain);
		else
			break;
		if (ret)
			return ret;
	}
	if (ret)
		return ret;
	end = claim->gte + ((u64)claim->count << sparse->geo.grain_shift);
	ret = vmdk_alloc_extend(sparse, end);
	if (ret)
		vmdk_alloc_unclaim(claim);
	return ret;
}

/**
 * vmdk_alloc_give_back - grains that nothing in the file points to may be used
 * @sparse: the extent
 * @gte: first sector of the first one
 * @count: how many
 *
 * Context: process context.
 */
void vmdk_alloc_give_back(struct vmdk_sparse *sparse, u32 gte, u32 count)
{
	spin_lock_irq(&sparse->lock);
	vmdk_freed_add(sparse, &sparse->unpunched, gte, count);
	spin_unlock_irq(&sparse->lock);
	vmdk_reclaim_later(sparse->chain);
}

/**
 * vmdk_alloc_metadata - take a piece of the file for tables
 * @sparse: the extent
 * @grains: its length
 * @gte: receives its first sector; it reads as zeros
 *
 * Context: process context, NOIO.
 * Return: 0, -ENOSPC, or another error.
 */
int vmdk_alloc_metadata(struct vmdk_sparse *sparse, u32 grains, u32 *gte)
{
	u64 sectors = (u64)grains << sparse->geo.grain_shift;
	u32 count;
	int ret;

	spin_lock_irq(&sparse->lock);
	if (grains == 1)
		ret = vmdk_take_grains(sparse, grains, 0, gte, &count);
	else
		ret = vmdk_take_new(sparse, grains, 0, gte, &count);
	spin_unlock_irq(&sparse->lock);
	if (ret)
		return ret;
	if (count == grains)
		ret = vmdk_alloc_extend(sparse, *gte + sectors);
	else
		ret = -ENOSPC;
	if (ret) {
		vmdk_alloc_give_back(sparse, *gte, count);
		return ret;
	}
	spin_lock_irq(&sparse->lock);
	sparse->table_room -= min(sparse->table_room, sectors);
	spin_unlock_irq(&sparse->lock);
	return 0;
}

/* The end of a claim: entries become what @gte says, waiters go on. */
static void vmdk_end_claim(struct vmdk_claim *claim, bool publish)
{
	struct vmdk_sparse *sparse = claim->sparse;
	struct vmdk_gt *gt = claim->gt;
	u64 first = ((u64)gt->index << sparse->layout.gt_shift) + claim->first;
	u32 gte = claim->gte;
	LIST_HEAD(woken);
	unsigned long flags;
	u32 i;

	spin_lock_irqsave(&sparse->lock, flags);
	for (i = claim->first; i < claim->first + claim->count; i++) {
		bool zero = gt->entry[i] == VMDK_GTE_BUSY_ZERO;

		if (publish) {
			WRITE_ONCE(gt->entry[i], gte);
			vmdk_gt_mark_dirty(sparse, gt, i);
			gte += sparse->geo.grain_sectors;
		} else {
			WRITE_ONCE(gt->entry[i], zero ? VMDK_GTE_ZERO :
							VMDK_GTE_ABSENT);
		}
	}
	gt->pins--;
	if (!publish)
		vmdk_freed_add(sparse, &sparse->unpunched, claim->gte,
			       claim->count);
	vmdk_wake_waiters(sparse, first, claim->count, &woken);
	spin_unlock_irqrestore(&sparse->lock, flags);
	vmdk_resume_all(&woken);
}

/**
 * vmdk_alloc_publish - the data of a claim is written
 * @claim: the claim
 *
 * Context: any.
 */
void vmdk_alloc_publish(struct vmdk_claim *claim)
{
	vmdk_count(claim->sparse->chain, VMDK_STAT_ALLOCATED, claim->count);
	vmdk_end_claim(claim, true);
}

/**
 * vmdk_alloc_unclaim - the data of a claim could not be written
 * @claim: the claim
 *
 * Part of it may lie in the grains: they are punched before they are used.
 *
 * Context: any.
 */
void vmdk_alloc_unclaim(struct vmdk_claim *claim)
{
	vmdk_end_claim(claim, false);
	vmdk_reclaim_later(claim->sparse->chain);
}

/* ------------------------------------------------------------------ free */

/**
 * vmdk_alloc_wait - wait until nobody is filling a grain
 * @sparse: the extent
 * @grain: the grain
 * @io: a discard or a write of zeroes
 *
 * Return: 0, or -EINPROGRESS: @io->resume will be called.
 */
int vmdk_alloc_wait(struct vmdk_sparse *sparse, u64 grain, struct vmdk_io *io)
{
	struct vmdk_gt *gt;
	int ret = 0;

	spin_lock_irq(&sparse->lock);
	gt = vmdk_table_of(sparse, grain);
	if (gt && vmdk_gte_is_busy(gt->entry[grain & (sparse->layout.gt_entries - 1)])) {
		vmdk_wait_for_grain(sparse, grain, io);
		ret = -EINPROGRESS;
	}
	spin_unlock_irq(&sparse->lock);
	return ret;
}

static void vmdk_free_entry(struct vmdk_sparse *sparse, struct vmdk_gt *gt,
			    u32 entry, u32 empty)
{
	u32 gte = gt->entry[entry];

	if (gte == empty)
		return;
	vmdk_gt_mark_dirty(sparse, gt, entry);
	if (!vmdk_gte_is_data(gte)) {
		WRITE_ONCE(gt->entry[entry], empty);
		return;
	}
	WRITE_ONCE(gt->entry[entry], empty == VMDK_GTE_ZERO ?
				     VMDK_GTE_FREED_ZERO : VMDK_GTE_FREED);
	vmdk_freed_add(sparse, &sparse->freed, gte, 1);
	vmdk_count(sparse->chain, VMDK_STAT_FREED, 1);
}

/*
 * Free @count grains from @entry on; stops at one that is being filled.  An
 * absent entry would show the parent.
 */
static u32 vmdk_free_entries(struct vmdk_sparse *sparse, struct vmdk_gt *gt,
			     u32 entry, u32 count)
{
	u32 empty = vmdk_has_parent(sparse->chain) ? VMDK_GTE_ZERO :
						     VMDK_GTE_ABSENT;
	u32 i;

	lockdep_assert_held(&sparse->lock);
	for (i = entry; i < entry + count; i++) {
		if (vmdk_gte_is_freed(gt->entry[i]))
			continue;
		if (gt->entry[i] >= VMDK_GTE_BAD)
			break;
		vmdk_free_entry(sparse, gt, i, empty);
	}
	return i - entry;
}

/**
 * vmdk_alloc_free - give grains up: they read as zeros from now on
 * @sparse: the extent
 * @grain: the first one
 * @nr: in: sectors from there, a whole grain at least; out: how far it came;
 *	0: the first grain is being filled: wait and try again
 *
 * Context: process context, NOIO.
 * Return: 0 or an error.
 */
int vmdk_alloc_free(struct vmdk_sparse *sparse, u64 grain, u32 *nr)
{
	const struct vmdk_geometry *geo = &sparse->geo;
	const struct vmdk_layout *layout = &sparse->layout;
	u32 index = grain >> layout->gt_shift;
	u32 entry = grain & (layout->gt_entries - 1);
	u32 count = *nr >> geo->grain_shift;
	struct vmdk_gt *gt;
	u32 done = 0;
	int ret = 0;

	/* The last grain of the disk may be short, and is whole all the same. */
	if (grain + count + 1 == vmdk_grains(geo) &&
	    *nr - (count << geo->grain_shift) ==
	    vmdk_grain_valid(geo, grain + count))
		count++;
	count = min(count, layout->gt_entries - entry);
	for (;;) {
		spin_lock_irq(&sparse->lock);
		gt = vmdk_table_of(sparse, grain);
		if (gt || (!vmdk_has_parent(sparse->chain) &&
			   !vmdk_table_sector(sparse, sparse->gd, index)))
			break;
		spin_unlock_irq(&sparse->lock);
		ret = vmdk_gt_load(sparse, index);
		if (ret)
			return ret;
	}
	/* A table with a bad entry must not get dirty. */
	if (READ_ONCE(sparse->chain->damaged))
		ret = -EIO;
	else
		done = gt ? vmdk_free_entries(sparse, gt, entry, count) : count;
	spin_unlock_irq(&sparse->lock);
	*nr = min(*nr, done << geo->grain_shift);
	return ret;
}

/* --------------------------------------------------------------- reclaim */

static int vmdk_punch(struct vmdk_sparse *sparse, const struct vmdk_freed *freed)
{
	loff_t pos = (loff_t)freed->gte << SECTOR_SHIFT;
	loff_t len = ((loff_t)freed->count << sparse->geo.grain_shift) <<
		     SECTOR_SHIFT;

	return vmdk_file_zero(sparse->file, pos, len, true);
}

/* What could not be punched is not known to read as zeros: it stays a leak. */
static void vmdk_reclaim_run(struct vmdk_sparse *sparse,
			     struct vmdk_freed *freed)
{
	int ret = vmdk_punch(sparse, freed);

	list_del(&freed->node);
	atomic_dec(&sparse->chain->nr_freed);
	if (ret || READ_ONCE(sparse->nr_pool) >= VMDK_POOL_MAX) {
		kfree(freed);
		return;
	}
	spin_lock_irq(&sparse->lock);
	list_add_tail(&freed->node, &sparse->pool);
	sparse->nr_pool++;
	spin_unlock_irq(&sparse->lock);
}

/* Mark what is there now: only that has been waited for. */
static bool vmdk_take_unpunched(struct vmdk_chain *chain)
{
	struct vmdk_extent *ext;
	bool any = false;

	vmdk_for_each_extent(ext, &chain->links[0]) {
		struct vmdk_sparse *sparse = ext->sparse;

		if (!sparse)
			continue;
		spin_lock_irq(&sparse->lock);
		list_splice_tail_init(&sparse->unpunched, &sparse->draining);
		spin_unlock_irq(&sparse->lock);
		any |= !list_empty(&sparse->draining);
	}
	return any;
}

static void vmdk_punch_drained(struct vmdk_chain *chain)
{
	struct vmdk_freed *freed, *next;
	struct vmdk_extent *ext;

	vmdk_for_each_extent(ext, &chain->links[0]) {
		struct vmdk_sparse *sparse = ext->sparse;

		if (!sparse)
			continue;
		list_for_each_entry_safe(freed, next, &sparse->draining, node) {
			vmdk_reclaim_run(sparse, freed);
			cond_resched();
		}
	}
}

/**
 * vmdk_reclaim - punch what was freed, durably, and let it be used again
 * @chain: the chain
 *
 * Context: process context, NOIO.
 */
void vmdk_reclaim(struct vmdk_chain *chain)
{
	if (READ_ONCE(chain->error) || READ_ONCE(chain->damaged))
		return;
	mutex_lock(&chain->reclaim_mutex);
	if (vmdk_take_unpunched(chain)) {
		vmdk_pins_drain(&chain->pins);
		vmdk_punch_drained(chain);
	}
	mutex_unlock(&chain->reclaim_mutex);
}
