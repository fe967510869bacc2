// SPDX-License-Identifier: GPL-2.0
/*
 * Which link of a chain has a sector.
 *
 * A read looks at the top link, and where that has a hole, at what was learnt
 * of the links below it: for each unit of the disk, which of them is the first
 * that is not a hole there.  Nothing below the top is ever written to, but by a
 * fold, after which it is still right (vmdk_fold.c); so what was learnt holds
 * until memory is short, and depth costs nothing.
 */
#include <linux/slab.h>

#include "vmdk.h"

/* Units of a page of the map, and pages of a disk: 4 GiB each of 16 MiB. */
#define VMDK_BELOW_SHIFT	11
#define VMDK_BELOW_UNITS	BIT(VMDK_BELOW_SHIFT)
#define VMDK_BELOW_PAGES_MAX	8192
/* Units are no smaller and no larger than this, in sectors. */
#define VMDK_UNIT_SHIFT_MIN	3
#define VMDK_UNIT_SHIFT_MAX	7

/* What a page says of a unit: one of these, or the number of a link. */
#define VMDK_BELOW_UNKNOWN	0
#define VMDK_BELOW_NOTHING	254	/* zeros */
#define VMDK_BELOW_MIXED	255	/* more than one link has a part of it */

/**
 * struct vmdk_below_page - links of adjacent units
 * @lru: L (below->lock)
 * @rcu: readers look at it under RCU only
 * @index: I  in below->pages
 * @used: A  looked at since the shrinker last came by
 * @link: A
 */
struct vmdk_below_page {
	struct list_head lru;
	struct rcu_head rcu;
	unsigned long index;
	bool used;
	u8 link[VMDK_BELOW_UNITS];
};

static struct kmem_cache *vmdk_below_cache;

/**
 * vmdk_link_find - the extent that a sector lies in
 * @link: the link
 * @sector: inside it
 */
struct vmdk_extent *vmdk_link_find(const struct vmdk_link *link,
				   sector_t sector)
{
	u32 low = 0, high = link->nr_extents;

	while (high - low > 1) {
		u32 mid = low + (high - low) / 2;

		if (link->extents[mid].start <= sector)
			low = mid;
		else
			high = mid;
	}
	return &link->extents[low];
}

/**
 * vmdk_link_check_access - may an extent be read, or written?
 * @ext: the extent
 * @write: which
 *
 * Return: 0, -EIO or -EROFS.
 */
int vmdk_link_check_access(const struct vmdk_extent *ext, bool write)
{
	if (ext->access == VMDK_ACCESS_NONE)
		return -EIO;
	if (write && ext->access != VMDK_ACCESS_RW)
		return -EROFS;
	return 0;
}

/**
 * vmdk_link_map - what a link has at a sector; behind its end it has nothing
 * @link: the link
 * @sector: of the disk
 * @nr: sectors that are asked for
 * @peek: only what can be told without waiting
 * @map: receives the answer; its @sectors are @nr at most
 * @found: receives the extent that it is about, unless that is behind the end
 *
 * Context: process context, NOIO; with @peek, under RCU.
 * Return: 0; with @peek, -EAGAIN; or an error.
 */
int vmdk_link_map(const struct vmdk_link *link, u64 sector, u32 nr, bool peek,
		  struct vmdk_map *map, struct vmdk_extent **found)
{
	struct vmdk_extent *ext;
	int ret;

	*map = (struct vmdk_map) { .state = VMDK_MAP_HOLE, .sectors = nr };
	if (sector >= link->sectors)
		return 0;
	ext = vmdk_link_find(link, sector);
	ret = vmdk_link_check_access(ext, false);
	if (ret)
		return ret;
	*found = ext;
	nr = min_t(u64, nr, ext->start + ext->sectors - sector);
	ret = ext->ops->map(ext, sector - ext->start, nr, peek, map);
	map->sectors = min(nr, map->sectors);
	return ret;
}

/* Ask link by link from @first on; what none of them has is zeros. */
static int vmdk_below_walk(struct vmdk_chain *chain, u32 first, u64 sector,
			   u32 nr, bool peek, struct vmdk_map *map,
			   struct vmdk_extent **ext)
{
	u32 i;
	int ret;

	for (i = first; i < chain->nr_links; i++) {
		ret = vmdk_link_map(&chain->links[i], sector, nr, peek, map,
				    ext);
		if (ret || map->state != VMDK_MAP_HOLE)
			return ret;
		nr = map->sectors;
	}
	map->state = VMDK_MAP_ZERO;
	map->sectors = nr;
	return 0;
}

/* -------------------------------------------------------------------- learn */

/* Does @link have all, nothing, or a part of @nr sectors? */
static int vmdk_link_covers(const struct vmdk_link *link, u64 sector, u32 nr,
			    bool *some, bool *all)
{
	struct vmdk_extent *ext;
	struct vmdk_map map;
	int ret;

	*some = false;
	*all = true;
	for (; nr; nr -= map.sectors, sector += map.sectors) {
		ret = vmdk_link_map(link, sector, nr, false, &map, &ext);
		if (ret)
			return ret;
		if (map.state == VMDK_MAP_HOLE)
			*all = false;
		else
			*some = true;
	}
	return 0;
}

/* Which link has a unit.  A fault in it is met again by who reads there. */
static int vmdk_below_ask(struct vmdk_chain *chain, u64 unit, u8 *answer)
{
	u64 sector = unit << chain->below.unit_shift;
	u32 nr = min_t(u64, 1U << chain->below.unit_shift,
		       chain->sectors - sector);
	bool some, all;
	int ret;
	u32 i;

	for (i = 1; i < chain->nr_links; i++) {
		ret = vmdk_link_covers(&chain->links[i], sector, nr, &some,
				       &all);
		if (ret)
			return ret;
		if (some) {
			*answer = all ? i : VMDK_BELOW_MIXED;
			return 0;
		}
	}
	*answer = VMDK_BELOW_NOTHING;
	return 0;
}

static void vmdk_below_free_page(struct rcu_head *rcu)
{
	kmem_cache_free(vmdk_below_cache,
			container_of(rcu, struct vmdk_below_page, rcu));
}

static unsigned long vmdk_below_shrink(struct vmdk_below *below,
				       unsigned long nr)
{
	struct vmdk_below_page *page;
	unsigned long freed = 0;

	lockdep_assert_held(&below->lock);
	nr = min(nr, below->nr_pages);
	while (nr--) {
		page = list_first_entry(&below->lru, struct vmdk_below_page,
					lru);
		list_move_tail(&page->lru, &below->lru);
		if (READ_ONCE(page->used)) {
			WRITE_ONCE(page->used, false);
			continue;
		}
		xa_erase(&below->pages, page->index);
		list_del(&page->lru);
		WRITE_ONCE(below->nr_pages, below->nr_pages - 1);
		call_rcu(&page->rcu, vmdk_below_free_page);
		freed++;
	}
	return freed;
}

/* Have a page for @index; without memory there is none, and that is all right. */
static void vmdk_below_add_page(struct vmdk_below *below, unsigned long index)
{
	struct vmdk_below_page *page;

	page = kmem_cache_zalloc(vmdk_below_cache, GFP_NOIO | __GFP_NORETRY |
						   __GFP_NOWARN);
	if (!page)
		return;
	page->index = index;
	if (xa_reserve(&below->pages, index, GFP_NOIO | __GFP_NOWARN)) {
		kmem_cache_free(vmdk_below_cache, page);
		return;
	}
	spin_lock(&below->lock);
	if (below->nr_pages >= VMDK_BELOW_PAGES_MAX)
		vmdk_below_shrink(below, 2 * VMDK_BELOW_PAGES_MAX);
	if (xa_load(&below->pages, index) ||
	    xa_is_err(xa_store(&below->pages, index, page, GFP_NOWAIT))) {
		kmem_cache_free(vmdk_below_cache, page);
	} else {
		list_add_tail(&page->lru, &below->lru);
		WRITE_ONCE(below->nr_pages, below->nr_pages + 1);
	}
	spin_unlock(&below->lock);
}

static void vmdk_below_remember(struct vmdk_below *below, u64 unit, u8 answer)
{
	unsigned long index = unit >> VMDK_BELOW_SHIFT;
	struct vmdk_below_page *page;
	bool there;

	rcu_read_lock();
	there = xa_load(&below->pages, index);
	rcu_read_unlock();
	if (!there)
		vmdk_below_add_page(below, index);
	rcu_read_lock();
	page = xa_load(&below->pages, index);
	if (page)
		WRITE_ONCE(page->link[unit & (VMDK_BELOW_UNITS - 1)], answer);
	rcu_read_unlock();
}

static u8 vmdk_below_learn(struct vmdk_chain *chain, u64 sector)
{
	u64 unit = sector >> chain->below.unit_shift;
	u8 answer;

	if (vmdk_below_ask(chain, unit, &answer))
		return VMDK_BELOW_MIXED;
	vmdk_below_remember(&chain->below, unit, answer);
	return answer;
}

/* --------------------------------------------------------------------- map */

/*
 * What is known of the unit that @sector is in; *@nr is cut to the units from
 * there on of which the same is known.
 */
static u8 vmdk_below_recall(struct vmdk_below *below, u64 sector, u32 *nr)
{
	u64 unit = sector >> below->unit_shift;
	u32 size = 1U << below->unit_shift;
	u32 i = unit & (VMDK_BELOW_UNITS - 1);
	u32 reach = size - (sector & (size - 1));
	u8 answer = VMDK_BELOW_UNKNOWN;
	struct vmdk_below_page *page;

	rcu_read_lock();
	page = xa_load(&below->pages, unit >> VMDK_BELOW_SHIFT);
	if (page) {
		if (!READ_ONCE(page->used))
			WRITE_ONCE(page->used, true);
		answer = READ_ONCE(page->link[i]);
		while (answer != VMDK_BELOW_UNKNOWN && reach < *nr &&
		       ++i < VMDK_BELOW_UNITS &&
		       READ_ONCE(page->link[i]) == answer)
			reach += size;
	}
	rcu_read_unlock();
	*nr = min(*nr, reach);
	return answer;
}

/**
 * vmdk_below_map - what the links below the top have at a sector
 * @chain: the chain
 * @sector: of the disk
 * @nr: sectors that are asked for
 * @peek: only what can be told without waiting
 * @map: receives the answer, which is no hole; its @sectors are @nr at most
 * @ext: receives the extent that it is about, for COMPRESSED
 *
 * Context: process context, NOIO; with @peek, under RCU.
 * Return: 0; with @peek, -EAGAIN; or an error.
 */
int vmdk_below_map(struct vmdk_chain *chain, sector_t sector, u32 nr,
		   bool peek, struct vmdk_map *map, struct vmdk_extent **ext)
{
	u32 first;
	u8 answer;

	if (!vmdk_has_parent(chain)) {
		map->state = VMDK_MAP_ZERO;
		map->sectors = nr;
		return 0;
	}
	answer = vmdk_below_recall(&chain->below, sector, &nr);
	if (answer == VMDK_BELOW_UNKNOWN && peek)
		return -EAGAIN;
	if (answer == VMDK_BELOW_UNKNOWN)
		answer = vmdk_below_learn(chain, sector);
	first = answer;
	if (answer == VMDK_BELOW_MIXED)
		first = 1;
	else if (answer == VMDK_BELOW_NOTHING)
		first = chain->nr_links;
	return vmdk_below_walk(chain, first, sector, nr, peek, map, ext);
}

/* --------------------------------------------------------- set-up, shrinker */

/**
 * vmdk_below_cache_init - once, when the module is loaded
 *
 * Return: 0 or -ENOMEM.
 */
int vmdk_below_cache_init(void)
{
	vmdk_below_cache = KMEM_CACHE(vmdk_below_page, SLAB_RECLAIM_ACCOUNT);
	return vmdk_below_cache ? 0 : -ENOMEM;
}

/**
 * vmdk_below_cache_exit - when the module is unloaded
 */
void vmdk_below_cache_exit(void)
{
	rcu_barrier();
	kmem_cache_destroy(vmdk_below_cache);
}

static unsigned long vmdk_below_count(struct shrinker *shrinker,
				      struct shrink_control *sc)
{
	struct vmdk_chain *chain = compat_shrinker_data(shrinker);

	return READ_ONCE(chain->below.nr_pages) ?: SHRINK_EMPTY;
}

static unsigned long vmdk_below_scan(struct shrinker *shrinker,
				     struct shrink_control *sc)
{
	struct vmdk_chain *chain = compat_shrinker_data(shrinker);
	unsigned long freed;

	spin_lock(&chain->below.lock);
	freed = vmdk_below_shrink(&chain->below, sc->nr_to_scan);
	spin_unlock(&chain->below.lock);
	return freed;
}

/* Units as small as the smallest grain, so that few of them are mixed. */
static u32 vmdk_unit_shift(const struct vmdk_chain *chain)
{
	u32 shift = VMDK_UNIT_SHIFT_MAX;
	struct vmdk_extent *ext;
	u32 i;

	for (i = 1; i < chain->nr_links; i++)
		vmdk_for_each_extent(ext, &chain->links[i])
			if (ext->sparse)
				shift = min(shift,
					    ext->sparse->geo.grain_shift);
	return max_t(u32, shift, VMDK_UNIT_SHIFT_MIN);
}

/**
 * vmdk_below_init - nothing is known of the links below the top
 * @chain: with all its links open
 *
 * Return: 0 or -ENOMEM.
 */
int vmdk_below_init(struct vmdk_chain *chain)
{
	struct vmdk_below *below = &chain->below;
	char name[DISK_NAME_LEN + 12];

	xa_init(&below->pages);
	spin_lock_init(&below->lock);
	INIT_LIST_HEAD(&below->lru);
	below->unit_shift = vmdk_unit_shift(chain);
	snprintf(name, sizeof(name), "vmdk-below:%s", chain->name);
	below->shrinker = compat_shrinker_new(name, chain, vmdk_below_count,
					      vmdk_below_scan);
	return below->shrinker ? 0 : -ENOMEM;
}

/**
 * vmdk_below_reset - the links are others now
 * @chain: without I/O
 */
void vmdk_below_reset(struct vmdk_chain *chain)
{
	struct vmdk_below *below = &chain->below;
	struct vmdk_below_page *page;

	spin_lock(&below->lock);
	list_for_each_entry(page, &below->lru, lru)
		WRITE_ONCE(page->used, false);
	vmdk_below_shrink(below, below->nr_pages);
	below->unit_shift = vmdk_unit_shift(chain);
	spin_unlock(&below->lock);
}

/**
 * vmdk_below_exit - forget it all
 * @chain: without I/O; vmdk_below_init() may not have been called
 */
void vmdk_below_exit(struct vmdk_chain *chain)
{
	struct vmdk_below *below = &chain->below;
	struct vmdk_below_page *page, *next;

	if (!below->shrinker)
		return;
	compat_shrinker_free(below->shrinker);
	list_for_each_entry_safe(page, next, &below->lru, lru)
		kmem_cache_free(vmdk_below_cache, page);
	xa_destroy(&below->pages);
}
