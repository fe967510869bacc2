// SPDX-License-Identifier: GPL-2.0
/*
 * A disk with more or fewer sectors, while it is in use.
 *
 * Order, and what a crash leaves
 * ------------------------------
 *
 * The capacity stands in two places that no single write reaches: the text of the
 * descriptor, which userspace changes, and the header of a sparse extent, or the
 * length of a flat file.  At every instant
 *
 *	what the file has room for >= what the text says >= what the disk shows
 *
 * and each step is durable before the next one begins.  So whoever reads the text
 * finds all that it promises; whoever reads the header alone, as qemu does of
 * sparse extents, finds the same content, and zeros behind it at most; and nobody
 * has written to a sector that a crash could take away.  The assumptions are
 * those of vmdk_alloc.c.
 *
 * A disk grows this way:
 *
 *  1. the queue is quiesced; all is committed.  What cannot be done is refused.
 *  2. the content id is renewed: children that know the old one would not fit.
 *     From now on the kernel does not write to the text any more.  The unclean
 *     flag is set.
 *  3. the part of the last grain behind the end of the disk is zeroed.
 *  4. the file is extended, by the new tables: they read as zeros, so they are
 *     empty.  (One may be absent, but qemu takes that for a grain at sector 0,
 *     and writes over the header.)
 *  5. the directories get their entries.  Those behind the last one are ignored,
 *     so where the last sector of a directory has room they are put there;
 *     otherwise both directories are written anew behind the tables.
 *  6. one write of the header sector changes the capacity, and with it the places
 *     of the directories.  The queue goes on; the disk is as it was.
 *  7. userspace changes the text.
 *  8. the disk shows the new sectors.
 *
 * For a flat extent, 3 to 6 are to extend its file.  A disk shrinks the other way:
 *
 *  1. and 2. as above; where something is allocated behind the new end it is
 *     refused.
 *  3. entries there that say zeros are made absent, and committed.
 *  4. the disk does not show these sectors any more.
 *  5. userspace changes the text.
 *  6. the header is written.
 *
 * While header and text differ the unclean flag stays set, also over a detach
 * (vmdk_sparse_detach()): it is what tells this from damage, and an attach takes
 * the smaller number.  The same resize may then be done again.  What a crash can
 * leave behind is space: tables and directories that nothing points to.  So does
 * the move of directories from in front of overHead; behind it, where grains lie,
 * their place is used again.
 *
 * In memory, an extent with tables is opened anew after its header has changed,
 * and takes the place of the old one while no request is on its way.
 */
#include <linux/slab.h>

#include "vmdk.h"

/**
 * struct vmdk_plan - how a sparse extent is to be
 * @old: its header now
 * @header: its header then
 * @geo: what that says
 * @tables: sector of the first new table; redundant ones come first
 * @end: sectors that the file is to have
 */
struct vmdk_plan {
	struct vmdk_sparse_header old;
	struct vmdk_sparse_header header;
	struct vmdk_geometry geo;
	u64 tables;
	u64 end;
};

static struct vmdk_extent *vmdk_last_extent(const struct vmdk_chain *chain)
{
	const struct vmdk_link *link = &chain->links[0];

	return &link->extents[link->nr_extents - 1];
}

/* ---------------------------------------------------------------- refusals */

/* Why @ext cannot get another length; NULL: it can. */
static const char *vmdk_fixed_length(const struct vmdk_extent *ext)
{
	if (ext->access != VMDK_ACCESS_RW)
		return "the last extent of the disk is not writable";
	if (!ext->file)
		return "the last extent of the disk has no file: it is of zeros";
	if (ext->file->role == VMDK_ROLE_DEVICE)
		return "the last extent of the disk is a device";
	if (ext->sparse && ext->sparse->kind == VMDK_KIND_COWD)
		return "the last extent of the disk is a COWD one: these cannot be resized";
	return NULL;
}

static const char *vmdk_cannot_resize(const struct vmdk_chain *chain)
{
	if (!chain->writable)
		return "the disk is read-only";
	if (vmdk_has_parent(chain))
		return "the disk is a child: it is as large as its parent";
	if (READ_ONCE(chain->error) || READ_ONCE(chain->damaged))
		return "the disk takes no more writes";
	return vmdk_fixed_length(vmdk_last_extent(chain));
}

/**
 * vmdk_chain_check_resize - refuse what cannot be done, before anything is done
 * @chain: of a disk that is being changed by nobody else
 * @sectors: length of its last extent, as it is to be
 * @shrink: it may be less than now
 * @fault: receives the reason of a refusal
 *
 * Context: process context.
 * Return: 0 or an error.
 */
int vmdk_chain_check_resize(const struct vmdk_chain *chain, u64 sectors,
			    bool shrink, struct vmdk_fault *fault)
{
	const char *why = vmdk_cannot_resize(chain);
	const struct vmdk_extent *ext;

	if (why)
		return vmdk_fault_set(fault, VMDK_NO_OFFSET, "%s", why);
	ext = vmdk_last_extent(chain);
	if (sectors < ext->sectors && !shrink)
		return vmdk_fault_set(fault, VMDK_NO_OFFSET,
				      "the disk would become smaller");
	if (sectors < ext->sectors && !ext->sparse)
		return vmdk_fault_set(fault, VMDK_NO_OFFSET,
				      "the last extent of the disk is flat: it cannot become smaller");
	if (sectors > VMDK_CAPACITY_MAX - ext->start)
		return vmdk_fault_set(fault, VMDK_NO_OFFSET,
				      "the disk would have %llu sectors, at most %llu are supported",
				      ext->start + sectors, VMDK_CAPACITY_MAX);
	return 0;
}

/* ------------------------------------------------------------- entries now */

/* What a sparse extent without I/O has for @grain. */
static int vmdk_grain_entry(struct vmdk_sparse *sparse, u64 grain, u32 *gte)
{
	u32 index = grain >> sparse->layout.gt_shift;
	struct vmdk_gt *gt;
	int ret = 0;

	do {
		rcu_read_lock();
		gt = vmdk_gt_find(sparse, index);
		if (gt)
			*gte = READ_ONCE(gt->entry[grain &
						   (sparse->layout.gt_entries - 1)]);
		rcu_read_unlock();
		if (!gt)
			ret = vmdk_gt_load(sparse, index);
	} while (!gt && !ret);
	return !ret && *gte >= VMDK_GTE_BAD ? -EIO : ret;
}

/* Nothing may be allocated from @grain on.  Stores whether an entry says zeros. */
static int vmdk_check_unused(struct vmdk_sparse *sparse, u64 grain, bool *zeros,
			     struct vmdk_fault *fault)
{
	const struct vmdk_layout *layout = &sparse->layout;
	u64 grains = vmdk_grains(&sparse->geo);
	u32 gte = VMDK_GTE_ABSENT;
	int ret;

	for (; grain < grains; grain++) {
		if (!vmdk_table_sector(sparse, sparse->gd,
				       grain >> layout->gt_shift)) {
			grain |= layout->gt_entries - 1;
			continue;
		}
		ret = vmdk_grain_entry(sparse, grain, &gte);
		if (ret)
			return ret;
		if (gte > VMDK_GTE_ZERO)
			return vmdk_fault_set(fault, VMDK_NO_OFFSET,
					      "sector %llu and those behind it are allocated: discard them first",
					      grain << sparse->geo.grain_shift);
		*zeros |= gte == VMDK_GTE_ZERO;
		cond_resched();
	}
	return 0;
}

/* Entries of zeros from @grain on become absent, with the next commit. */
static int vmdk_clear_entries(struct vmdk_sparse *sparse, u64 grain)
{
	u64 sector = grain << sparse->geo.grain_shift;
	int ret = 0;

	while (!ret && sector < sparse->geo.capacity) {
		u32 nr = min_t(u64, sparse->geo.capacity - sector, S32_MAX);

		ret = vmdk_alloc_free(sparse,
				      sector >> sparse->geo.grain_shift, &nr);
		sector += nr;
		cond_resched();
	}
	return ret;
}

/* Behind the end of the disk, its last grain may have anything, or no file. */
static int vmdk_clear_last_grain(struct vmdk_extent *ext)
{
	struct vmdk_sparse *sparse = ext->sparse;
	const struct vmdk_geometry *geo = &sparse->geo;
	u32 used = ext->sectors & (geo->grain_sectors - 1);
	u32 gte = VMDK_GTE_ABSENT;
	loff_t pos;
	int ret;

	if (!used)
		return 0;
	ret = vmdk_grain_entry(sparse, ext->sectors >> geo->grain_shift, &gte);
	if (ret || gte <= VMDK_GTE_ZERO)
		return ret;
	pos = (vmdk_grain_sector(sparse, gte) + used) << SECTOR_SHIFT;
	return vmdk_file_zero(sparse->file, pos,
			      (geo->grain_sectors - used) << SECTOR_SHIFT,
			      false);
}

/* --------------------------------------------------------------- new header */

static u32 vmdk_copies(const struct vmdk_sparse *sparse)
{
	return sparse->rgd ? 2 : 1;
}

/* Directories that need more sectors go where the tables would have gone. */
static void vmdk_move_directories(const struct vmdk_sparse *sparse,
				  struct vmdk_plan *plan)
{
	u64 start = plan->tables;

	if (plan->geo.gd_sectors <= sparse->geo.gd_sectors)
		return;
	if (sparse->rgd) {
		plan->header.rgd_offset = cpu_to_le64(start);
		start += plan->geo.gd_sectors;
	}
	plan->header.gd_offset = cpu_to_le64(start);
	start += plan->geo.gd_sectors;
	plan->tables = round_up(start, (u64)plan->geo.grain_sectors);
}

static u32 vmdk_new_tables(const struct vmdk_sparse *sparse,
			   const struct vmdk_plan *plan)
{
	return plan->geo.gd_entries > sparse->geo.gd_entries ?
	       plan->geo.gd_entries - sparse->geo.gd_entries : 0;
}

/* What the directories are to have room for. */
static int vmdk_size_directories(const struct vmdk_sparse *sparse, u64 sectors,
				 struct vmdk_plan *plan,
				 struct vmdk_fault *fault)
{
	u32 others = sparse->chain->gd_entries - sparse->geo.gd_entries;
	struct vmdk_geometry *geo = &plan->geo;
	u64 entries;

	*geo = sparse->geo;
	geo->capacity = sectors;
	entries = DIV_ROUND_UP_ULL(vmdk_grains(geo), geo->gt_entries);
	if (entries > min(VMDK_GD_ENTRIES_MAX, VMDK_CHAIN_GD_MAX - others))
		return vmdk_fault_set(fault, VMDK_NO_OFFSET,
				      "%llu sectors need %llu directory entries, more than are supported",
				      sectors, entries);
	geo->gd_entries = entries;
	geo->gd_sectors = DIV_ROUND_UP(geo->gd_entries * sizeof(__le32),
				       VMDK_SECTOR_SIZE);
	return 0;
}

/* Behind the file as it is. */
static void vmdk_place_tables(const struct vmdk_sparse *sparse,
			      struct vmdk_plan *plan)
{
	u64 file_bytes = vmdk_file_size(sparse->file);
	u64 space;

	plan->tables = round_up(DIV_ROUND_UP_ULL(file_bytes, SECTOR_SIZE),
				(u64)plan->geo.grain_sectors);
	vmdk_move_directories(sparse, plan);
	space = (u64)vmdk_new_tables(sparse, plan) * plan->geo.gt_sectors *
		vmdk_copies(sparse);
	plan->end = round_up(plan->tables + space,
			     (u64)plan->geo.grain_sectors);
}

/* What is valid is for vmdk_header_decode() to say, as at the next attach. */
static int vmdk_make_plan(struct vmdk_sparse *sparse, u64 sectors,
			  struct vmdk_plan *plan, struct vmdk_fault *fault)
{
	int ret;

	ret = vmdk_file_read(sparse->file, &plan->old, sizeof(plan->old), 0);
	if (!ret)
		ret = vmdk_size_directories(sparse, sectors, plan, fault);
	if (ret)
		return ret;
	plan->header = plan->old;
	plan->header.capacity = cpu_to_le64(sectors);
	vmdk_place_tables(sparse, plan);
	if (plan->end > VMDK_SPARSE_SECTORS_MAX)
		return vmdk_fault_set(fault, VMDK_NO_OFFSET,
				      "the tables for %llu sectors do not fit the file, which ends below 2 TiB",
				      sectors);
	return vmdk_header_decode(&plan->header, plan->end << SECTOR_SHIFT,
				  &plan->geo, fault);
}

static int vmdk_sync_extent(struct vmdk_sparse *sparse)
{
	int ret = vmdk_file_sync(sparse->file);

	if (ret)
		vmdk_chain_fail(sparse->chain, ret);
	return ret;
}

/* Directory @gd with the new tables, which begin at sector @table. */
static int vmdk_write_directory(struct vmdk_sparse *sparse,
				const struct vmdk_plan *plan, const u32 *gd,
				u64 place, u64 table)
{
	size_t bytes = plan->geo.gd_sectors << SECTOR_SHIFT;
	__le32 *new = kvzalloc(bytes, GFP_NOIO);
	int ret;
	u32 i;

	if (!new)
		return -ENOMEM;
	for (i = 0; i < sparse->geo.gd_entries; i++)
		new[i] = cpu_to_le32(gd[i]);
	for (; i < plan->geo.gd_entries; i++) {
		new[i] = cpu_to_le32(table);
		table += plan->geo.gt_sectors;
	}
	ret = vmdk_file_write(sparse->file, new, bytes, place << SECTOR_SHIFT);
	kvfree(new);
	return ret;
}

static int vmdk_write_directories(struct vmdk_sparse *sparse,
				  const struct vmdk_plan *plan)
{
	u64 table = plan->tables;
	int ret = 0;

	if (sparse->rgd) {
		ret = vmdk_write_directory(sparse, plan, sparse->rgd,
					   plan->geo.rgd, table);
		table += (u64)vmdk_new_tables(sparse, plan) *
			 plan->geo.gt_sectors;
	}
	if (!ret)
		ret = vmdk_write_directory(sparse, plan, sparse->gd,
					   plan->geo.gd, table);
	return ret;
}

/* Tables are durable before a directory, and directories before the header. */
static int vmdk_add_tables(struct vmdk_sparse *sparse,
			   const struct vmdk_plan *plan)
{
	int ret = 0;

	if (plan->end << SECTOR_SHIFT > vmdk_file_size(sparse->file))
		ret = vmdk_file_resize(sparse->file, plan->end << SECTOR_SHIFT);
	if (!ret)
		ret = vmdk_sync_extent(sparse);
	if (ret || !vmdk_new_tables(sparse, plan))
		return ret;
	ret = vmdk_write_directories(sparse, plan);
	return ret ?: vmdk_sync_extent(sparse);
}

static int vmdk_write_header(struct vmdk_sparse *sparse,
			     const struct vmdk_sparse_header *header)
{
	int ret = vmdk_file_write(sparse->file, header, sizeof(*header), 0);

	return ret ?: vmdk_sync_extent(sparse);
}

/* ------------------------------------------------------------------- memory */

/* Free grains stay what they are. */
static void vmdk_hand_over(struct vmdk_sparse *from, struct vmdk_sparse *to)
{
	list_splice_init(&from->pool, &to->pool);
	to->nr_pool = from->nr_pool;
	from->nr_pool = 0;
}

/* The shrinker and sysfs look at extents without the queue. */
static int vmdk_reopen(struct vmdk_chain *chain, struct vmdk_extent *ext,
		       struct vmdk_fault *fault)
{
	struct vmdk_extent_info info = { .kind = ext->sparse->kind };
	struct vmdk_sparse *old = ext->sparse;
	u32 gd_entries = chain->gd_entries;
	struct vmdk_extent new = *ext;
	int ret;

	new.sparse = NULL;
	chain->gd_entries -= old->geo.gd_entries;
	ret = vmdk_sparse_open(chain, &new, &info, true, fault);
	if (ret) {
		chain->gd_entries = gd_entries;
	} else {
		vmdk_hand_over(old, new.sparse);
		down_write(&chain->links_sem);
		swap(ext->sparse, new.sparse);
		up_write(&chain->links_sem);
	}
	if (new.sparse)
		new.ops->free(&new);
	return ret;
}

/*
 * The file says again what is known of it: the header now, the directory with the
 * next commit.  Where something may have been written there is no place for
 * grains, which have to read as zeros.
 */
static void vmdk_undo(struct vmdk_sparse *sparse, const struct vmdk_plan *plan)
{
	int ret = vmdk_write_header(sparse, &plan->old);

	if (ret)
		vmdk_chain_fail(sparse->chain, ret);
	set_bit(sparse->geo.gd_sectors - 1, sparse->gd_dirty);
	spin_lock_irq(&sparse->lock);
	sparse->cursor = max(sparse->cursor, plan->end);
	spin_unlock_irq(&sparse->lock);
}

static bool vmdk_has_late_table(const struct vmdk_sparse *sparse, u64 start,
				u32 sectors)
{
	u32 i;

	for (i = 0; i < sparse->nr_late_tables; i++)
		if (vmdk_overlaps(sparse->late_tables[i],
				  sparse->geo.gt_sectors, start, sectors))
			return true;
	return false;
}

/* Directories that were moved before, and are again: their grains are free. */
static void vmdk_free_directories(struct vmdk_sparse *sparse,
				  const struct vmdk_geometry *old)
{
	u64 start = old->rgd ?: old->gd;
	u32 sectors = old->gd_sectors * vmdk_copies(sparse);
	u32 grains = DIV_ROUND_UP(sectors, old->grain_sectors);

	if (old->gd == sparse->geo.gd || start < old->overhead ||
	    start & (old->grain_sectors - 1) ||
	    (old->rgd && old->gd != start + old->gd_sectors))
		return;
	if (!vmdk_has_late_table(sparse, start, grains << old->grain_shift))
		vmdk_alloc_give_back(sparse, start, grains);
}

static int vmdk_do_plan(struct vmdk_chain *chain, struct vmdk_extent *ext,
			const struct vmdk_plan *plan, struct vmdk_fault *fault)
{
	const struct vmdk_geometry old = ext->sparse->geo;
	int ret = vmdk_add_tables(ext->sparse, plan);

	if (!ret)
		ret = vmdk_write_header(ext->sparse, &plan->header);
	if (!ret)
		ret = vmdk_reopen(chain, ext, fault);
	if (ret)
		vmdk_undo(ext->sparse, plan);
	else
		vmdk_free_directories(ext->sparse, &old);
	return ret;
}

/* Header, directories and tables of @ext are made for @sectors. */
static int vmdk_set_header_capacity(struct vmdk_chain *chain,
				    struct vmdk_extent *ext, u64 sectors,
				    struct vmdk_fault *fault)
{
	struct vmdk_plan *plan = kzalloc(sizeof(*plan), GFP_NOIO);
	int ret;

	if (!plan)
		return -ENOMEM;
	ret = vmdk_make_plan(ext->sparse, sectors, plan, fault);
	if (!ret)
		ret = vmdk_do_plan(chain, ext, plan, fault);
	kfree(plan);
	return ret;
}

/* ------------------------------------------------- what the file does not allow */

/* Entries behind the end of the disk are about to mean something. */
static int vmdk_check_last_table(struct vmdk_sparse *sparse)
{
	u64 grain = vmdk_grains(&sparse->geo) - 1;
	u32 index = grain >> sparse->layout.gt_shift;
	int ret = 0;

	if (vmdk_table_sector(sparse, sparse->gd, index))
		ret = vmdk_gt_load(sparse, index);
	return !ret && READ_ONCE(sparse->chain->damaged) ? -EIO : ret;
}

static int vmdk_try_plan(struct vmdk_sparse *sparse, u64 sectors,
			 struct vmdk_fault *fault)
{
	struct vmdk_plan *plan = kzalloc(sizeof(*plan), GFP_NOIO);
	int ret;

	if (!plan)
		return -ENOMEM;
	ret = vmdk_make_plan(sparse, sectors, plan, fault);
	kfree(plan);
	return ret;
}

/* What a resize that was interrupted has made room for must be unused, too. */
static int vmdk_check_sparse(const struct vmdk_extent *ext, u64 sectors,
			     bool *zeros, struct vmdk_fault *fault)
{
	struct vmdk_sparse *sparse = ext->sparse;
	u32 shift = sparse->geo.grain_shift;
	int ret;

	if (sectors < ext->sectors)
		return vmdk_check_unused(sparse, sectors >> shift, zeros,
					 fault);
	ret = vmdk_check_last_table(sparse);
	if (!ret)
		ret = vmdk_check_unused(sparse,
					DIV_ROUND_UP_ULL(ext->sectors,
							 1U << shift),
					zeros, fault);
	return ret ?: vmdk_try_plan(sparse, sectors, fault);
}

/* A file that is longer already: what it has there must not show. */
static int vmdk_check_flat(const struct vmdk_extent *ext,
			   struct vmdk_fault *fault)
{
	u64 end = ext->offset + (ext->sectors << SECTOR_SHIFT);

	if (!vmdk_file_has_data(ext->file, end))
		return 0;
	return vmdk_fault_set(fault, end,
			      "the file goes on behind the last extent of the disk, and has data there");
}

/* Nothing is changed yet.  Stores whether entries of zeros are to be cut off. */
static int vmdk_check_file(const struct vmdk_extent *ext, u64 sectors,
			   bool *zeros, struct vmdk_fault *fault)
{
	*zeros = false;
	return ext->sparse ? vmdk_check_sparse(ext, sectors, zeros, fault) :
			     vmdk_check_flat(ext, fault);
}

/* -------------------------------------------------------------- first half */

static void vmdk_show_sectors(struct vmdk_chain *chain, struct vmdk_extent *ext,
			      u64 sectors)
{
	ext->sectors = sectors;
	chain->sectors = ext->start + sectors;
	chain->links[0].sectors = chain->sectors;
}

/* Unless the header says so already, since a resize that did not end. */
static int vmdk_grow_sparse(struct vmdk_chain *chain, struct vmdk_extent *ext,
			    u64 sectors, struct vmdk_fault *fault)
{
	int ret;

	ret = vmdk_sparse_mark_unclean(ext->sparse);
	if (!ret)
		ret = vmdk_clear_last_grain(ext);
	if (!ret && sectors > ext->sparse->geo.capacity)
		return vmdk_set_header_capacity(chain, ext, sectors, fault);
	return ret ?: vmdk_sync_extent(ext->sparse);
}

static int vmdk_shrink_sparse(struct vmdk_chain *chain, struct vmdk_extent *ext,
			      u64 sectors, bool zeros)
{
	struct vmdk_sparse *sparse = ext->sparse;
	u64 grain = DIV_ROUND_UP_ULL(sectors, sparse->geo.grain_sectors);
	int ret;

	ret = vmdk_sparse_mark_unclean(sparse);
	if (!ret && zeros)
		ret = vmdk_clear_entries(sparse, grain);
	if (!ret && zeros)
		ret = vmdk_commit(chain);
	return ret;
}

static int vmdk_grow_flat(struct vmdk_chain *chain,
			  const struct vmdk_extent *ext, u64 sectors)
{
	u64 end = ext->offset + (sectors << SECTOR_SHIFT);
	int ret = 0;

	if (end > vmdk_file_size(ext->file))
		ret = vmdk_file_resize(ext->file, end);
	if (ret)
		return ret;
	ret = vmdk_file_sync(ext->file);
	if (ret)
		vmdk_chain_fail(chain, ret);
	return ret;
}

static int vmdk_make_ready(struct vmdk_chain *chain, struct vmdk_extent *ext,
			   u64 sectors, bool zeros, struct vmdk_fault *fault)
{
	if (sectors < ext->sectors)
		return vmdk_shrink_sparse(chain, ext, sectors, zeros);
	if (ext->sparse)
		return vmdk_grow_sparse(chain, ext, sectors, fault);
	return vmdk_grow_flat(chain, ext, sectors);
}

/**
 * vmdk_chain_resize - make an image ready for another length of its text
 * @chain: without I/O: its queue is quiesced
 * @sectors: length of the last extent, as it is to be; it was checked
 * @fault: receives the reason of a refusal
 *
 * Context: process context, NOIO, in a worker.
 * Return: 0, or an error: then the disk is as it was.
 */
int vmdk_chain_resize(struct vmdk_chain *chain, u64 sectors,
		      struct vmdk_fault *fault)
{
	struct vmdk_extent *ext = vmdk_last_extent(chain);
	bool zeros;
	int ret;

	ret = vmdk_chain_finish(chain);
	if (!ret)
		ret = vmdk_check_file(ext, sectors, &zeros, fault);
	if (!ret)
		ret = vmdk_chain_begin(chain);
	if (!ret)
		ret = vmdk_make_ready(chain, ext, sectors, zeros, fault);
	if (ret)
		vmdk_commit_later(chain, false);
	else if (sectors < ext->sectors)
		vmdk_show_sectors(chain, ext, sectors);
	return ret;
}

/* ------------------------------------------------------------- second half */

/**
 * vmdk_chain_resize_finish - the text is as it should be: let the rest follow
 * @chain: without I/O: its queue is quiesced
 * @sectors: as for vmdk_chain_resize()
 * @fault: receives the reason of a refusal
 *
 * Context: process context, NOIO, in a worker.
 * Return: 0, or an error: then the resize is to be done again.
 */
int vmdk_chain_resize_finish(struct vmdk_chain *chain, u64 sectors,
			     struct vmdk_fault *fault)
{
	struct vmdk_extent *ext = vmdk_last_extent(chain);
	int ret = 0;

	if (READ_ONCE(chain->error) || READ_ONCE(chain->damaged))
		return -EIO;
	if (ext->sparse && !vmdk_capacity_fits(&ext->sparse->geo, sectors)) {
		ret = vmdk_chain_finish(chain);
		if (!ret)
			ret = vmdk_set_header_capacity(chain, ext, sectors,
						       fault);
	}
	if (ret)
		vmdk_commit_later(chain, false);
	else
		vmdk_show_sectors(chain, ext, sectors);
	return ret;
}
