// SPDX-License-Identifier: GPL-2.0
/*
 * Grain tables in memory: loaded and validated on first use, kept by use, given
 * back to the shrinker while nothing in them waits for a commit.
 *
 * Readers look up entries under RCU alone.  Every table passes the validator in
 * vmdk_gt_load(): an entry in memory is a grain inside the file, or a mark.
 */
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "vmdk.h"

#define VMDK_GT_RESERVE		2
/* Marks that share a page; see vmdk_test_and_set_mapped(). */
#define VMDK_MARKS_SHIFT	(PAGE_SHIFT + 3)
#define VMDK_MARKS_MASK		(BIT(VMDK_MARKS_SHIFT) - 1)

static struct kmem_cache *vmdk_gt_cache;

/**
 * vmdk_gt_cache_init - once, when the module is loaded
 *
 * A table and its head make 2 KiB and a little: kmalloc() would take 4.
 *
 * Return: 0 or -ENOMEM.
 */
int vmdk_gt_cache_init(void)
{
	struct vmdk_gt *gt;

	vmdk_gt_cache = kmem_cache_create("vmdk_gt",
					  struct_size(gt, entry,
						      VMDK_GT_ENTRIES_MAX),
					  0, SLAB_RECLAIM_ACCOUNT, NULL);
	return vmdk_gt_cache ? 0 : -ENOMEM;
}

/**
 * vmdk_gt_cache_exit - when the module is unloaded
 */
void vmdk_gt_cache_exit(void)
{
	rcu_barrier();
	kmem_cache_destroy(vmdk_gt_cache);
}

/**
 * vmdk_gt_pool_init - a reserve, so that I/O finds its tables without memory
 * @chain: the chain
 *
 * What the reserve lends comes back from the shrinker.
 *
 * Return: 0 or -ENOMEM.
 */
int vmdk_gt_pool_init(struct vmdk_chain *chain)
{
	return mempool_init_slab_pool(&chain->gts, VMDK_GT_RESERVE,
				      vmdk_gt_cache);
}

/**
 * vmdk_gt_pool_exit - give it back
 * @chain: the chain; its tables are freed
 */
void vmdk_gt_pool_exit(struct vmdk_chain *chain)
{
	if (chain->gd_entries)
		rcu_barrier();
	mempool_exit(&chain->gts);
}

/* Of a compressed grain, only the first sector is known. */
static u32 vmdk_grain_length(const struct vmdk_sparse *sparse)
{
	return sparse->stream ? 1 : sparse->geo.grain_sectors;
}

/* Does a grain at @gte lie on a table behind overHead? */
static bool vmdk_on_late_table(const struct vmdk_sparse *sparse, u32 gte)
{
	const struct vmdk_geometry *geo = &sparse->geo;
	u32 length = vmdk_grain_length(sparse);
	u32 low = 0, high = sparse->nr_late_tables;

	while (low < high) {
		u32 mid = low + (high - low) / 2;
		u64 table = sparse->late_tables[mid];

		if (table + geo->gt_sectors <= gte)
			low = mid + 1;
		else if (table >= gte + (u64)length)
			high = mid;
		else
			return true;
	}
	return false;
}

/*
 * Grains of hosted files are aligned, so there is a mark for each; those of COWD
 * and compressed ones are not, so there is one for each sector.
 */
static u32 vmdk_mark_shift(const struct vmdk_sparse *sparse)
{
	return sparse->kind == VMDK_KIND_COWD || sparse->stream ?
	       0 : sparse->geo.grain_shift;
}

/* The marker of a compressed grain says whose it is, where there are markers. */
static bool vmdk_has_marks(const struct vmdk_sparse *sparse)
{
	if (sparse->stream)
		return !(sparse->geo.flags & VMDK_FLAG_MARKERS);
	return !sparse->sesparse;
}

/* Marks a grain of the file; true: another entry has some of it already. */
static bool vmdk_test_and_set_mapped(struct vmdk_sparse *sparse, u32 gte)
{
	u32 shift = vmdk_mark_shift(sparse);
	u32 mark = gte >> shift;
	u32 end = mark + (vmdk_grain_length(sparse) >> shift);
	unsigned long *marks;
	bool found = false;

	for (; mark < end; mark++) {
		marks = xa_load(&sparse->mapped, mark >> VMDK_MARKS_SHIFT);
		if (marks)
			found |= __test_and_set_bit(mark & VMDK_MARKS_MASK,
						    marks);
	}
	return found;
}

static int vmdk_add_marks(struct vmdk_sparse *sparse, u32 index)
{
	void *page;

	if (xa_load(&sparse->mapped, index) ||
	    !atomic_add_unless(&sparse->chain->nr_marks, 1, VMDK_MARKS_MAX))
		return 0;
	page = kzalloc(PAGE_SIZE, GFP_NOIO);
	if (!page || xa_err(xa_store(&sparse->mapped, index, page, GFP_NOIO))) {
		kfree(page);
		atomic_dec(&sparse->chain->nr_marks);
		return -ENOMEM;
	}
	return 0;
}

/*
 * Have room for the marks of every grain that a table points to.  They take a
 * page for 2 GiB of a file with grains of 64 KiB, or for 16 MiB with grains of a
 * sector.  Where a disk would need more than VMDK_MARKS_MAX, the rest of it goes
 * without: no image may take all memory.
 */
static int vmdk_prepare_marks(struct vmdk_sparse *sparse,
			      const struct vmdk_gt *gt)
{
	u32 shift = vmdk_mark_shift(sparse);
	int ret = 0;
	u32 i;

	for (i = 0; i < sparse->layout.gt_entries && !ret; i++) {
		u32 gte = le32_to_cpu((__force __le32)gt->entry[i]);
		u32 last = gte + vmdk_grain_length(sparse) - 1;

		if (last < gte || last >= sparse->open_sectors)
			continue;
		ret = vmdk_add_marks(sparse, (gte >> shift) >> VMDK_MARKS_SHIFT);
		if (!ret)
			ret = vmdk_add_marks(sparse, (last >> shift) >>
						     VMDK_MARKS_SHIFT);
	}
	return ret;
}

static const char *vmdk_gte_fault_of(struct vmdk_sparse *sparse, u64 grain,
				     u32 gte, u64 file_sectors)
{
	if (sparse->stream)
		return vmdk_stream_gte_fault(&sparse->geo, grain, gte,
					     file_sectors);
	if (sparse->kind == VMDK_KIND_COWD)
		return vmdk_cowd_gte_fault(&sparse->geo, grain, gte,
					   file_sectors);
	return vmdk_gte_fault(&sparse->geo, grain, gte, file_sectors);
}

static const char *vmdk_entry_fault(struct vmdk_sparse *sparse, u64 grain,
				    u32 gte, u64 file_sectors, bool first)
{
	const char *why = vmdk_gte_fault_of(sparse, grain, gte, file_sectors);

	if (why || gte <= VMDK_GTE_ZERO)
		return why;
	if (vmdk_on_late_table(sparse, gte))
		return "points into a grain table";
	if (first && vmdk_has_marks(sparse) &&
	    vmdk_test_and_set_mapped(sparse, gte))
		return "shares its grain with another entry";
	return NULL;
}

/* From now on nothing is written: what an entry says cannot be trusted. */
static void vmdk_report_bad(struct vmdk_sparse *sparse, u32 index, u32 entry,
			    u64 value, const char *why)
{
	u64 table = vmdk_table_sector(sparse, sparse->gd, index);
	u64 pos = sparse->base + (table << SECTOR_SHIFT) +
		  entry * (sparse->sesparse ? sizeof(__le64) : sizeof(__le32));

	WRITE_ONCE(sparse->chain->damaged, true);
	pr_err_ratelimited("%s: %pD: grain table %u at byte %llu: entry %u, 0x%llx, %s\n",
			   sparse->chain->name, sparse->file->file, index,
			   pos, entry, value, why);
}

/*
 * The first time, entries are held against the file as it was at attach: what
 * we have added to it since belongs to others.  After that, they are ours, so a
 * table with others must not be read again.  What a fold adds behind our back is
 * right, too.
 */
static void vmdk_gt_validate(struct vmdk_sparse *sparse, struct vmdk_gt *gt,
			     bool first)
{
	u64 file_bytes = vmdk_sparse_file_bytes(sparse);
	u64 file_sectors = file_bytes >> SECTOR_SHIFT;
	u64 grain = (u64)gt->index << sparse->layout.gt_shift;
	u32 i;

	/* The last compressed grain may end within a sector. */
	if (sparse->stream)
		file_sectors = DIV_ROUND_UP_ULL(file_bytes, SECTOR_SIZE);
	else if (first && !READ_ONCE(sparse->grows))
		file_sectors = min(file_sectors, sparse->open_sectors);
	for (i = 0; i < sparse->layout.gt_entries; i++) {
		u32 gte = le32_to_cpu((__force __le32)gt->entry[i]);
		const char *why;

		why = vmdk_entry_fault(sparse, grain + i, gte, file_sectors,
				       first);
		if (why)
			vmdk_report_bad(sparse, gt->index, i, gte, why);
		gt->bad |= why && first;
		gt->entry[i] = why ? VMDK_GTE_BAD : gte;
	}
}

/* In memory a grain is its number and a bias; see struct vmdk_layout. */
static u32 vmdk_sesparse_entry(struct vmdk_sparse *sparse,
			       const struct vmdk_gt *gt, u32 i)
{
	u64 grain = ((u64)gt->index << sparse->layout.gt_shift) + i;
	u64 gte = le64_to_cpu(sparse->raw[i]);
	u64 sector, number;

	switch (vmdk_sesparse_gte(gte, sparse->sesparse, &sector)) {
	case VMDK_SESPARSE_ABSENT:
		return VMDK_GTE_ABSENT;
	case VMDK_SESPARSE_ZERO:
		return VMDK_GTE_ZERO;
	case VMDK_SESPARSE_DATA:
		number = (sector - sparse->layout.gte_base) >>
			 sparse->layout.gte_shift;
		if (grain < vmdk_grains(&sparse->geo) && number < VMDK_GTE_BAD)
			return number;
		break;
	case VMDK_SESPARSE_BAD:
		break;
	}
	vmdk_report_bad(sparse, gt->index, i, gte, "is damaged");
	return VMDK_GTE_BAD;
}

static int vmdk_gt_read_sesparse(struct vmdk_sparse *sparse, struct vmdk_gt *gt,
				 u64 pos)
{
	int ret;
	u32 i;

	ret = vmdk_file_read(sparse->file, sparse->raw,
			     sparse->layout.gt_entries * sizeof(__le64), pos);
	for (i = 0; i < sparse->layout.gt_entries && !ret; i++)
		gt->entry[i] = vmdk_sesparse_entry(sparse, gt, i);
	return ret;
}

static int vmdk_gt_read(struct vmdk_sparse *sparse, struct vmdk_gt *gt, u64 pos,
			bool first)
{
	int ret;

	if (sparse->sesparse)
		return vmdk_gt_read_sesparse(sparse, gt, pos);
	/* Pairs with vmdk_write_run() of a fold: no entry is half written. */
	down_read(&sparse->chain->tables_sem);
	ret = vmdk_file_read(sparse->file, gt->entry,
			     sparse->layout.gt_entries * sizeof(__le32), pos);
	up_read(&sparse->chain->tables_sem);
	if (!ret && first && vmdk_has_marks(sparse))
		ret = vmdk_prepare_marks(sparse, gt);
	if (!ret)
		vmdk_gt_validate(sparse, gt, first);
	return ret;
}

/* A table in memory, as it is in the file; empty, when it is not there. */
static struct vmdk_gt *vmdk_gt_new(struct vmdk_sparse *sparse, u32 index)
{
	u64 sector = vmdk_table_sector(sparse, sparse->gd, index);
	struct vmdk_gt *gt;
	bool first = sparse->seen && !test_bit(index, sparse->seen);
	int ret = 0;

	gt = mempool_alloc(&sparse->chain->gts, GFP_NOIO);
	memset(gt, 0, struct_size(gt, entry, sparse->layout.gt_entries));
	INIT_LIST_HEAD(&gt->dirty_node);
	gt->pool = &sparse->chain->gts;
	gt->index = index;
	gt->used = true;
	if (sector)
		ret = vmdk_gt_read(sparse, gt, sparse->base +
					       (sector << SECTOR_SHIFT), first);
	if (ret) {
		mempool_free(gt, gt->pool);
		return ERR_PTR(ret);
	}
	if (first)
		__set_bit(index, sparse->seen);
	return gt;
}

static int vmdk_gt_add_group(struct vmdk_sparse *sparse, u32 index)
{
	struct vmdk_gt_group **place = &sparse->groups[index >> VMDK_GROUP_SHIFT];
	struct vmdk_gt_group *group;

	if (*place)
		return 0;
	group = kzalloc(sizeof(*group), GFP_NOIO);
	if (!group)
		return -ENOMEM;
	/* Pairs with vmdk_gt_find(): whoever sees it sees it empty. */
	smp_store_release(place, group);
	return 0;
}

static struct vmdk_gt __rcu **vmdk_gt_slot(struct vmdk_sparse *sparse, u32 index)
{
	return &sparse->groups[index >> VMDK_GROUP_SHIFT]->gt[index %
							      VMDK_GROUP_SIZE];
}

static void vmdk_gt_insert(struct vmdk_sparse *sparse, struct vmdk_gt *gt)
{
	unsigned long flags;

	spin_lock_irqsave(&sparse->lock, flags);
	list_add_tail(&gt->lru, &sparse->lru);
	WRITE_ONCE(sparse->nr_tables, sparse->nr_tables + 1);
	rcu_assign_pointer(*vmdk_gt_slot(sparse, gt->index), gt);
	spin_unlock_irqrestore(&sparse->lock, flags);
}

/* Under load_mutex, only the shrinker can change the answer, to no. */
static bool vmdk_gt_present(struct vmdk_sparse *sparse, u32 index)
{
	bool present;

	rcu_read_lock();
	present = vmdk_gt_find(sparse, index);
	rcu_read_unlock();
	return present;
}

static int vmdk_gt_load_locked(struct vmdk_sparse *sparse, u32 index)
{
	struct vmdk_gt *gt;
	int ret;

	ret = vmdk_gt_add_group(sparse, index);
	if (ret)
		return ret;
	gt = vmdk_gt_new(sparse, index);
	if (IS_ERR(gt))
		return PTR_ERR(gt);
	vmdk_gt_insert(sparse, gt);
	vmdk_count(sparse->chain, VMDK_STAT_GT_MISS, 1);
	return 0;
}

/*
 * A page on its way to swap may wait for this table, and memory for that page: what
 * a table needs may come from the reserves.
 */
static int vmdk_gt_load_urgent(struct vmdk_sparse *sparse, u32 index)
{
	unsigned int noreclaim = memalloc_noreclaim_save();
	int ret = vmdk_gt_load_locked(sparse, index);

	memalloc_noreclaim_restore(noreclaim);
	return ret;
}

/**
 * vmdk_gt_load - have a table in memory, an empty one when the file has none
 * @sparse: the extent
 * @index: of its directory entry
 *
 * The table may be gone again when the caller looks: it has to loop.  Loads
 * exclude each other, so that none can insert what it read before another one
 * was changed, committed and given back.
 *
 * Context: process context, NOIO.
 * Return: 0, or an error.
 */
int vmdk_gt_load(struct vmdk_sparse *sparse, u32 index)
{
	int ret = 0;

	mutex_lock(&sparse->load_mutex);
	if (!vmdk_gt_present(sparse, index)) {
		ret = vmdk_gt_load_urgent(sparse, index);
		if (ret == -ENOMEM)
			ret = vmdk_gt_load_locked(sparse, index);
	}
	mutex_unlock(&sparse->load_mutex);
	return ret;
}

/**
 * vmdk_gt_mark_dirty - an entry differs from the file now
 * @sparse: the extent; its lock is held
 * @gt: the table
 * @entry: the entry
 *
 * Context: any, under sparse->lock.
 */
void vmdk_gt_mark_dirty(struct vmdk_sparse *sparse, struct vmdk_gt *gt,
			u32 entry)
{
	u32 bit = BIT(entry * sizeof(u32) / VMDK_SECTOR_SIZE);
	int nr;

	lockdep_assert_held(&sparse->lock);
	if (gt->dirty & bit)
		return;
	if (!gt->dirty)
		list_add_tail(&gt->dirty_node, &sparse->dirty);
	gt->dirty |= bit;
	nr = atomic_inc_return(&sparse->chain->dirty_sectors);
	if (nr == 1 || nr == VMDK_DIRTY_DUE)
		vmdk_commit_later(sparse->chain, nr == VMDK_DIRTY_DUE);
}

/**
 * vmdk_gt_in_doubt - are there grains that no sync is known to have reached?
 * @sparse: the extent
 * @sector: of it; in a grain that has data
 * @nr: how many, in one table
 *
 * Context: any.
 */
bool vmdk_gt_in_doubt(struct vmdk_sparse *sparse, u64 sector, u32 nr)
{
	const struct vmdk_geometry *geo = &sparse->geo;
	u64 grain = sector >> geo->grain_shift;
	u64 end = (sector + nr - 1) >> geo->grain_shift;
	u32 first = grain & (sparse->layout.gt_entries - 1);
	u32 last = first + (end - grain);
	struct vmdk_gt *gt;
	unsigned long flags;
	bool doubt;

	spin_lock_irqsave(&sparse->lock, flags);
	gt = vmdk_gt_find(sparse, grain >> sparse->layout.gt_shift);
	/* What is pinned may be what a commit is about to write. */
	doubt = gt && (gt->pins ||
		       gt->dirty & GENMASK(last * sizeof(u32) / VMDK_SECTOR_SIZE,
					   first * sizeof(u32) / VMDK_SECTOR_SIZE));
	spin_unlock_irqrestore(&sparse->lock, flags);
	return doubt;
}

static void vmdk_gt_free_rcu(struct rcu_head *rcu)
{
	struct vmdk_gt *gt = container_of(rcu, struct vmdk_gt, rcu);

	mempool_free(gt, gt->pool);
}

/*
 * What waits for a commit, or is being filled, stays; so does a bad table, which
 * is no larger than what the file spends on it.
 */
static bool vmdk_gt_evict(struct vmdk_sparse *sparse, struct vmdk_gt *gt)
{
	lockdep_assert_held(&sparse->lock);
	if (gt->dirty || gt->pins || gt->bad)
		return false;
	/* Its place is in the directory before it is gone from memory. */
	smp_wmb();
	RCU_INIT_POINTER(*vmdk_gt_slot(sparse, gt->index), NULL);
	list_del(&gt->lru);
	WRITE_ONCE(sparse->nr_tables, sparse->nr_tables - 1);
	call_rcu(&gt->rcu, vmdk_gt_free_rcu);
	return true;
}

/**
 * vmdk_gt_free_all - forget all tables
 * @sparse: an extent without I/O, or one that was never live
 */
void vmdk_gt_free_all(struct vmdk_sparse *sparse)
{
	struct vmdk_gt *gt, *next;
	unsigned long index;
	void *marks;
	u32 i;

	list_for_each_entry_safe(gt, next, &sparse->lru, lru)
		mempool_free(gt, gt->pool);
	INIT_LIST_HEAD(&sparse->lru);
	for (i = 0; i < sparse->nr_groups && sparse->groups; i++)
		kfree(sparse->groups[i]);
	xa_for_each(&sparse->mapped, index, marks) {
		kfree(marks);
		atomic_dec(&sparse->chain->nr_marks);
	}
	xa_destroy(&sparse->mapped);
}

/* -------------------------------------------------------------- shrinker */

static unsigned long vmdk_shrink_count(struct shrinker *shrinker,
				       struct shrink_control *sc)
{
	struct vmdk_chain *chain = compat_shrinker_data(shrinker);
	struct vmdk_extent *ext;
	unsigned long nr = 0;
	u32 i;

	if (!down_read_trylock(&chain->links_sem))
		return 0;
	for (i = 0; i < chain->nr_links; i++)
		vmdk_for_each_extent(ext, &chain->links[i])
			if (ext->sparse)
				nr += READ_ONCE(ext->sparse->nr_tables);
	up_read(&chain->links_sem);
	return nr ?: SHRINK_EMPTY;
}

/* Second chance: a table that was used since the last round stays this time. */
static unsigned long vmdk_shrink_sparse(struct vmdk_sparse *sparse,
					unsigned long nr)
{
	unsigned long freed = 0;
	struct vmdk_gt *gt;
	unsigned long flags;

	spin_lock_irqsave(&sparse->lock, flags);
	nr = min(nr, sparse->nr_tables);
	while (nr--) {
		gt = list_first_entry(&sparse->lru, struct vmdk_gt, lru);
		list_move_tail(&gt->lru, &sparse->lru);
		if (READ_ONCE(gt->used))
			WRITE_ONCE(gt->used, false);
		else if (vmdk_gt_evict(sparse, gt))
			freed++;
	}
	spin_unlock_irqrestore(&sparse->lock, flags);
	return freed;
}

static unsigned long vmdk_shrink_scan(struct shrinker *shrinker,
				      struct shrink_control *sc)
{
	struct vmdk_chain *chain = compat_shrinker_data(shrinker);
	struct vmdk_extent *ext;
	unsigned long freed = 0;
	u32 i;

	if (!down_read_trylock(&chain->links_sem))
		return SHRINK_STOP;
	for (i = 0; i < chain->nr_links; i++)
		vmdk_for_each_extent(ext, &chain->links[i])
			if (ext->sparse && freed < sc->nr_to_scan)
				freed += vmdk_shrink_sparse(ext->sparse,
							    sc->nr_to_scan -
							    freed);
	up_read(&chain->links_sem);
	return freed;
}

/**
 * vmdk_shrinker_init - let memory pressure take tables back
 * @chain: with all its extents open
 *
 * Return: 0 or -ENOMEM.
 */
int vmdk_shrinker_init(struct vmdk_chain *chain)
{
	char name[DISK_NAME_LEN + 8];

	snprintf(name, sizeof(name), "vmdk-gt:%s", chain->name);
	chain->shrinker = compat_shrinker_new(name, chain, vmdk_shrink_count,
					      vmdk_shrink_scan);
	return chain->shrinker ? 0 : -ENOMEM;
}

/**
 * vmdk_shrinker_free - end that
 * @chain: the chain
 */
void vmdk_shrinker_free(struct vmdk_chain *chain)
{
	if (chain->shrinker)
		compat_shrinker_free(chain->shrinker);
}
