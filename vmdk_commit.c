// SPDX-License-Identifier: GPL-2.0
/*
 * The commit: grain tables and directories back to the file.  Why it is done in
 * this order stands at the head of vmdk_alloc.c.
 *
 * A commit goes in rounds.  A round copies dirty sectors of tables into the
 * batch, syncs the data that they point to, writes the copies, and syncs them.
 * What is published meanwhile is dirty again and waits for the next round.
 */
#include <linux/slab.h>

#include "vmdk.h"

#define VMDK_BATCH_RECORDS	VMDK_DIRTY_DUE
#define VMDK_PER_SECTOR		(VMDK_SECTOR_SIZE / sizeof(u32))

/**
 * struct vmdk_record - one sector of a table or a directory, as it is to be
 * @sparse: the extent
 * @gt: the table; NULL: this is a sector of a directory
 * @index: of the sector in the table or the directory
 * @primary: sector in the file, in the primary copy; 0: not there
 * @redundant: the same for the redundant copy
 * @new_table: nothing in the file points to the table yet
 * @freed: entries say that their grains were freed
 */
struct vmdk_record {
	struct vmdk_sparse *sparse;
	struct vmdk_gt *gt;
	u32 index;
	u64 primary;
	u64 redundant;
	bool new_table;
	bool freed;
};

/**
 * struct vmdk_batch - what one round writes
 * @nr: records in use
 * @record: their heads
 * @data: their bytes
 */
struct vmdk_batch {
	u32 nr;
	struct vmdk_record record[VMDK_BATCH_RECORDS];
	__le32 data[VMDK_BATCH_RECORDS][VMDK_PER_SECTOR];
};

/* ---------------------------------------------------------------- gather */

static struct vmdk_record *vmdk_record_add(struct vmdk_batch *batch,
					   struct vmdk_sparse *sparse,
					   struct vmdk_gt *gt, u32 index)
{
	struct vmdk_record *rec = &batch->record[batch->nr];

	memset(rec, 0, sizeof(*rec));
	rec->sparse = sparse;
	rec->gt = gt;
	rec->index = index;
	batch->nr++;
	return rec;
}

/* Every record of a table pins it until the round is over. */
static void vmdk_copy_table_sector(struct vmdk_batch *batch,
				   struct vmdk_sparse *sparse,
				   struct vmdk_gt *gt, u32 index)
{
	__le32 *data = batch->data[batch->nr];
	struct vmdk_record *rec = vmdk_record_add(batch, sparse, gt, index);
	u32 i;

	rec->new_table = test_bit(gt->index >> sparse->layout.split_shift,
				  sparse->unsettled);
	rec->primary = vmdk_table_sector(sparse, sparse->gd, gt->index) + index;
	if (sparse->rgd && sparse->rgd[gt->index])
		rec->redundant = vmdk_table_sector(sparse, sparse->rgd,
						   gt->index) + index;
	for (i = 0; i < VMDK_PER_SECTOR; i++) {
		u32 gte = gt->entry[index * VMDK_PER_SECTOR + i];

		rec->freed |= vmdk_gte_is_freed(gte);
		data[i] = cpu_to_le32(vmdk_gte_settled(gte));
	}
	gt->pins++;
}

static void vmdk_copy_table(struct vmdk_batch *batch,
			    struct vmdk_sparse *sparse, struct vmdk_gt *gt)
{
	unsigned long dirty = gt->dirty;
	u32 index;

	lockdep_assert_held(&sparse->lock);
	for_each_set_bit(index, &dirty, sparse->layout.gt_sectors) {
		vmdk_copy_table_sector(batch, sparse, gt, index);
		atomic_dec(&sparse->chain->dirty_sectors);
	}
	gt->dirty = 0;
	list_del_init(&gt->dirty_node);
}

/**
 * vmdk_new_table_sectors - what a table that is made takes, with its copy
 * @sparse: the extent
 *
 * Context: any.
 * Return: sectors of the file.
 */
u32 vmdk_new_table_sectors(const struct vmdk_sparse *sparse)
{
	return sparse->geo.gt_sectors * (sparse->rgd ? 2 : 1);
}

/*
 * Where the next new table goes, with its copy behind it.  Small tables share a
 * grain's worth of the file.
 */
static int vmdk_take_table_space(struct vmdk_sparse *sparse, u32 *sector)
{
	u32 need = vmdk_new_table_sectors(sparse);
	u32 grains = DIV_ROUND_UP(need, sparse->geo.grain_sectors);
	u32 gte;
	int ret;

	if (sparse->table_left < need) {
		ret = vmdk_alloc_metadata(sparse, grains, &gte);
		if (ret)
			return ret;
		sparse->table_next = gte;
		sparse->table_left = grains << sparse->geo.grain_shift;
	}
	*sector = sparse->table_next;
	sparse->table_next += need;
	sparse->table_left -= need;
	return 0;
}

static int vmdk_place_table(struct vmdk_sparse *sparse, u32 gde)
{
	u32 sector;
	int ret;

	ret = vmdk_take_table_space(sparse, &sector);
	if (ret)
		return ret;
	if (sparse->rgd)
		sparse->rgd[gde] = sector + sparse->geo.gt_sectors;
	set_bit(gde, sparse->unsettled);
	set_bit(gde / VMDK_PER_SECTOR, sparse->gd_dirty);
	WRITE_ONCE(sparse->gd[gde], sector);
	return 0;
}

/* Dirty tables stay in memory, so the pointer holds without the lock. */
static struct vmdk_gt *vmdk_first_dirty(struct vmdk_sparse *sparse)
{
	struct vmdk_gt *gt;

	spin_lock_irq(&sparse->lock);
	gt = list_first_entry_or_null(&sparse->dirty, struct vmdk_gt,
				      dirty_node);
	spin_unlock_irq(&sparse->lock);
	return gt;
}

static bool vmdk_batch_has_room(const struct vmdk_batch *batch, u32 nr)
{
	return batch->nr + nr <= VMDK_BATCH_RECORDS;
}

static int vmdk_gather_tables(struct vmdk_sparse *sparse,
			      struct vmdk_batch *batch)
{
	struct vmdk_gt *gt;
	int ret;

	while ((gt = vmdk_first_dirty(sparse)) &&
	       vmdk_batch_has_room(batch, sparse->layout.gt_sectors)) {
		u32 gde = gt->index >> sparse->layout.split_shift;

		ret = sparse->gd[gde] ? 0 : vmdk_place_table(sparse, gde);
		if (ret)
			return ret;
		spin_lock_irq(&sparse->lock);
		vmdk_copy_table(batch, sparse, gt);
		spin_unlock_irq(&sparse->lock);
	}
	return 0;
}

static void vmdk_copy_directory_sector(struct vmdk_batch *batch,
				       struct vmdk_sparse *sparse, u32 index,
				       bool redundant)
{
	const u32 *gd = redundant ? sparse->rgd : sparse->gd;
	u32 first = index * VMDK_PER_SECTOR;
	__le32 *data = batch->data[batch->nr];
	struct vmdk_record *rec = vmdk_record_add(batch, sparse, NULL, index);
	u32 i;

	if (redundant)
		rec->redundant = sparse->geo.rgd + index;
	else
		rec->primary = sparse->geo.gd + index;
	for (i = 0; i < VMDK_PER_SECTOR; i++)
		data[i] = cpu_to_le32(gd[first + i]);
}

static void vmdk_gather_directory(struct vmdk_sparse *sparse,
				  struct vmdk_batch *batch)
{
	u32 index;

	for_each_set_bit(index, sparse->gd_dirty, sparse->geo.gd_sectors) {
		if (!vmdk_batch_has_room(batch, 2))
			return;
		clear_bit(index, sparse->gd_dirty);
		if (sparse->rgd)
			vmdk_copy_directory_sector(batch, sparse, index, true);
		vmdk_copy_directory_sector(batch, sparse, index, false);
	}
}

/*
 * Grains that were freed go with the round which takes the last of the dirty
 * tables: then none of the tables in the file points to them any more.
 */
static bool vmdk_gather_freed(struct vmdk_sparse *sparse)
{
	bool all;

	spin_lock_irq(&sparse->lock);
	all = list_empty(&sparse->dirty);
	if (all)
		list_splice_tail_init(&sparse->freed, &sparse->committing);
	spin_unlock_irq(&sparse->lock);
	return all;
}

/* Fill the batch.  Stores whether another round is needed. */
static int vmdk_gather(struct vmdk_chain *chain, bool *more)
{
	struct vmdk_batch *batch = chain->batch;
	struct vmdk_extent *ext;

	batch->nr = 0;
	*more = false;
	vmdk_for_each_extent(ext, &chain->links[0]) {
		struct vmdk_sparse *sparse = ext->sparse;
		int ret;

		if (!sparse || ext->access != VMDK_ACCESS_RW)
			continue;
		ret = vmdk_gather_tables(sparse, batch);
		if (ret)
			return ret;
		vmdk_gather_directory(sparse, batch);
		if (!vmdk_gather_freed(sparse) ||
		    !bitmap_empty(sparse->gd_dirty, sparse->geo.gd_sectors))
			*more = true;
	}
	return 0;
}

/* ----------------------------------------------------------------- write */

static u64 vmdk_record_place(const struct vmdk_record *rec, bool redundant)
{
	return redundant ? rec->redundant : rec->primary;
}

/* How many records from @first on follow each other in the file. */
static u32 vmdk_adjacent(const struct vmdk_batch *batch, u32 first,
			 bool new_tables, bool redundant)
{
	const struct vmdk_record *rec = &batch->record[first];
	u32 n = 1;

	while (first + n < batch->nr && rec[n].sparse == rec->sparse &&
	       rec[n].new_table == new_tables &&
	       vmdk_record_place(&rec[n], redundant) ==
	       vmdk_record_place(rec, redundant) + n)
		n++;
	return n;
}

/* The chain that a fold is made of may read the same tables at any time. */
static int vmdk_write_run(const struct vmdk_sparse *sparse, const void *data,
			  u32 nr, u64 place)
{
	struct vmdk_chain *ally = sparse->chain->ally;
	int ret;

	if (ally)
		down_write(&ally->tables_sem);
	ret = vmdk_file_write(sparse->file, data, nr << SECTOR_SHIFT,
			      place << SECTOR_SHIFT);
	if (ally)
		up_write(&ally->tables_sem);
	return ret;
}

static int vmdk_write_copies(struct vmdk_batch *batch, bool new_tables,
			     bool redundant)
{
	u32 i, n;
	int ret;

	for (i = 0; i < batch->nr; i += n) {
		const struct vmdk_record *rec = &batch->record[i];
		u64 place = vmdk_record_place(rec, redundant);

		n = 1;
		if (rec->new_table != new_tables || !place)
			continue;
		n = vmdk_adjacent(batch, i, new_tables, redundant);
		ret = vmdk_write_run(rec->sparse, batch->data[i], n, place);
		if (ret)
			return ret;
	}
	return 0;
}

static int vmdk_write_records(struct vmdk_batch *batch, bool new_tables)
{
	int ret = vmdk_write_copies(batch, new_tables, true);

	return ret ?: vmdk_write_copies(batch, new_tables, false);
}

static int vmdk_sync_all(struct vmdk_chain *chain)
{
	struct vmdk_extent *ext;

	vmdk_for_each_extent(ext, &chain->links[0]) {
		int ret = ext->file ? vmdk_file_sync(ext->file) : 0;

		if (ret) {
			vmdk_chain_fail(chain, ret);
			return -EIO;
		}
	}
	return 0;
}

/* ---------------------------------------------------------------- rounds */

/*
 * Entries of grains that were freed before the copy was taken: grains may be there
 * again.  An entry that was freed later has its grain in the copy.
 */
static void vmdk_settle_freed(const struct vmdk_record *rec, const __le32 *data)
{
	u32 *entry = rec->gt->entry + rec->index * VMDK_PER_SECTOR;
	u32 i;

	lockdep_assert_held(&rec->sparse->lock);
	for (i = 0; i < VMDK_PER_SECTOR; i++) {
		u32 settled = vmdk_gte_settled(entry[i]);

		if (vmdk_gte_is_freed(entry[i]) &&
		    le32_to_cpu(data[i]) == settled)
			WRITE_ONCE(entry[i], settled);
	}
}

/* A record that was not written is dirty again. */
static void vmdk_record_end(struct vmdk_batch *batch, u32 index, bool written)
{
	struct vmdk_record *rec = &batch->record[index];
	struct vmdk_sparse *sparse = rec->sparse;

	if (!rec->gt) {
		if (!written)
			set_bit(rec->index, sparse->gd_dirty);
		return;
	}
	spin_lock_irq(&sparse->lock);
	if (!written)
		vmdk_gt_mark_dirty(sparse, rec->gt,
				   rec->index * VMDK_PER_SECTOR);
	else if (rec->freed)
		vmdk_settle_freed(rec, batch->data[index]);
	rec->gt->pins--;
	spin_unlock_irq(&sparse->lock);
}

static bool vmdk_end_freed(struct vmdk_sparse *sparse, bool written)
{
	bool any;

	spin_lock_irq(&sparse->lock);
	any = !list_empty(&sparse->committing);
	list_splice_tail_init(&sparse->committing,
			      written ? &sparse->unpunched : &sparse->freed);
	spin_unlock_irq(&sparse->lock);
	return any && written;
}

static void vmdk_round_end(struct vmdk_chain *chain, bool written)
{
	struct vmdk_batch *batch = chain->batch;
	struct vmdk_extent *ext;
	bool reclaim = false;
	u32 i;

	for (i = 0; i < batch->nr; i++)
		vmdk_record_end(batch, i, written);
	vmdk_for_each_extent(ext, &chain->links[0])
		if (ext->sparse)
			reclaim |= vmdk_end_freed(ext->sparse, written);
	if (reclaim)
		vmdk_reclaim_later(chain);
	if (batch->nr && written)
		vmdk_count(chain, VMDK_STAT_COMMITS, 1);
}

/*
 * All that the directory sectors of this batch point to is durable: it is about
 * to be reachable, and what is written there later has to come after its data.
 */
static void vmdk_settle_tables(struct vmdk_batch *batch)
{
	u32 i;

	for (i = 0; i < batch->nr; i++) {
		const struct vmdk_record *rec = &batch->record[i];
		u32 first = rec->index * VMDK_PER_SECTOR;

		if (!rec->gt)
			bitmap_clear(rec->sparse->unsettled, first,
				     min_t(u32, VMDK_PER_SECTOR,
					   rec->sparse->geo.gd_entries - first));
	}
}

static int vmdk_save_cursors(struct vmdk_chain *chain)
{
	struct vmdk_extent *ext;
	int ret = 0;

	vmdk_for_each_extent(ext, &chain->links[0]) {
		if (ext->sparse && ext->access == VMDK_ACCESS_RW)
			ret = vmdk_alloc_save_cursor(ext->sparse);
		if (ret)
			break;
	}
	return ret;
}

static int vmdk_write_new_tables(struct vmdk_chain *chain)
{
	int ret = vmdk_save_cursors(chain);

	if (!ret)
		ret = vmdk_write_records(chain->batch, true);
	if (!ret)
		ret = vmdk_sync_all(chain);
	if (!ret)
		vmdk_settle_tables(chain->batch);
	return ret;
}

static int vmdk_round(struct vmdk_chain *chain, bool *more)
{
	struct vmdk_batch *batch = chain->batch;
	int ret;

	ret = vmdk_gather(chain, more);
	if (!ret)
		ret = vmdk_write_new_tables(chain);
	if (!ret && batch->nr)
		ret = vmdk_write_records(batch, false);
	if (!ret && batch->nr)
		ret = vmdk_sync_all(chain);
	vmdk_round_end(chain, !ret);
	return ret;
}

static int vmdk_rounds(struct vmdk_chain *chain)
{
	bool more;
	int ret;

	if (!chain->batch)
		return vmdk_sync_all(chain);
	do {
		ret = vmdk_round(chain, &more);
	} while (!ret && more);
	return ret;
}

/**
 * vmdk_commit - make all durable that was published before the call
 * @chain: a writable chain
 *
 * Context: process context, NOIO.
 * Return: 0; -EIO, also for good once a sync has failed; or an error, after
 * which the next commit tries again.
 */
int vmdk_commit(struct vmdk_chain *chain)
{
	int ret;

	mutex_lock(&chain->commit_mutex);
	ret = READ_ONCE(chain->error);
	if (!ret)
		ret = vmdk_rounds(chain);
	mutex_unlock(&chain->commit_mutex);
	return ret;
}

/* -------------------------------------------------------- in the background */

static void vmdk_commit_workfn(struct work_struct *work)
{
	struct vmdk_chain *chain = container_of(to_delayed_work(work),
						struct vmdk_chain,
						commit_work);
	unsigned int noio = vmdk_enter_io();

	/* Full, perhaps: what was not written waits for the next time. */
	if (vmdk_commit(chain) && !READ_ONCE(chain->error))
		vmdk_commit_later(chain, false);
	vmdk_leave_io(noio);
}

static void vmdk_reclaim_workfn(struct work_struct *work)
{
	struct vmdk_chain *chain = container_of(work, struct vmdk_chain,
						reclaim_work);
	unsigned int noio = vmdk_enter_io();

	vmdk_reclaim(chain);
	vmdk_leave_io(noio);
}

/**
 * vmdk_commit_init - before anything else of a chain
 * @chain: the chain
 */
void vmdk_commit_init(struct vmdk_chain *chain)
{
	INIT_DELAYED_WORK(&chain->commit_work, vmdk_commit_workfn);
	INIT_WORK(&chain->reclaim_work, vmdk_reclaim_workfn);
}

/**
 * vmdk_commit_stop - nothing more in the background
 * @chain: a chain without I/O
 *
 * Context: process context.
 */
void vmdk_commit_stop(struct vmdk_chain *chain)
{
	cancel_delayed_work_sync(&chain->commit_work);
	cancel_work_sync(&chain->reclaim_work);
}

/**
 * vmdk_batch_init - memory for commits, which cannot wait for any
 * @chain: a writable chain with a sparse extent
 *
 * Return: 0 or -ENOMEM.
 */
int vmdk_batch_init(struct vmdk_chain *chain)
{
	chain->batch = kvzalloc(sizeof(*chain->batch), GFP_KERNEL);
	return chain->batch ? 0 : -ENOMEM;
}

/**
 * vmdk_batch_free - give it back
 * @chain: the chain
 */
void vmdk_batch_free(struct vmdk_chain *chain)
{
	kvfree(chain->batch);
}
