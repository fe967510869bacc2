/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Kernel drift.  The sources are written for the newest kernel; what an older
 * one lacks is made up for here, by probes (compat/probe), not by version.
 */
#ifndef VMDK_COMPAT_H
#define VMDK_COMPAT_H

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/fs.h>
#include <linux/pagemap.h>
#include <linux/shrinker.h>
#include <linux/slab.h>

#include "vmdk_config.h"

/* ------------------------------------------------------------ tag set flags */

#ifndef HAVE_SHOULD_MERGE
#define BLK_MQ_F_SHOULD_MERGE	0
#endif

/* ----------------------------------------------------- block_device_operations */

#ifdef HAVE_BLK_MODE

#define COMPAT_DEFINE_OPEN(fn)
#define COMPAT_DEFINE_RELEASE(fn)
#define COMPAT_OPEN(fn)		(fn)
#define COMPAT_RELEASE(fn)	(fn)

#else

#define blk_mode_t		fmode_t
#define BLK_OPEN_EXCL		FMODE_EXCL

#define COMPAT_DEFINE_OPEN(fn)						\
	static int compat_##fn(struct block_device *bdev, fmode_t mode)	\
	{								\
		return fn(bdev->bd_disk, mode);				\
	}
#define COMPAT_DEFINE_RELEASE(fn)					\
	static void compat_##fn(struct gendisk *disk, fmode_t mode)	\
	{								\
		fn(disk);						\
	}
#define COMPAT_OPEN(fn)		(compat_##fn)
#define COMPAT_RELEASE(fn)	(compat_##fn)

#endif

/* --------------------------------------------------------------- queue limits */

#ifdef HAVE_LIMITS_FEATURES

#define compat_queue_limits	queue_limits
#define compat_alloc_disk(set, lim, data) blk_mq_alloc_disk(set, lim, data)

#else

#define BLK_FEAT_WRITE_CACHE	1U

/* Those limits that this driver sets, by their new names. */
struct compat_queue_limits {
	unsigned int features;
	unsigned int logical_block_size;
	unsigned int physical_block_size;
	unsigned int io_min;
	unsigned int io_opt;
	unsigned int max_hw_sectors;
	unsigned short max_segments;
	unsigned int max_write_zeroes_sectors;
	unsigned int max_hw_discard_sectors;
	unsigned int discard_granularity;
};

static inline void compat_set_limits(struct request_queue *q,
				     const struct compat_queue_limits *lim)
{
	blk_queue_logical_block_size(q, lim->logical_block_size);
	blk_queue_physical_block_size(q, lim->physical_block_size);
	blk_queue_io_min(q, lim->io_min);
	blk_queue_io_opt(q, lim->io_opt);
	blk_queue_max_hw_sectors(q, lim->max_hw_sectors);
	blk_queue_max_segments(q, lim->max_segments);
	blk_queue_max_write_zeroes_sectors(q, lim->max_write_zeroes_sectors);
	blk_queue_max_discard_sectors(q, lim->max_hw_discard_sectors);
	q->limits.discard_granularity = lim->discard_granularity;
	blk_queue_write_cache(q, lim->features & BLK_FEAT_WRITE_CACHE, false);
	/* The default has changed since; a file has no head that moves. */
	blk_queue_flag_set(QUEUE_FLAG_NONROT, q);
}

#define compat_alloc_disk(set, lim, data)				\
({									\
	struct gendisk *__disk = blk_mq_alloc_disk(set, data);		\
									\
	if (!IS_ERR(__disk))						\
		compat_set_limits(__disk->queue, lim);			\
	__disk;								\
})

#endif

/* --------------------------------------------------------------- queue freeze */

#ifndef HAVE_FREEZE_MEMFLAGS
#define blk_mq_unfreeze_queue_nomemrestore(q)	blk_mq_unfreeze_queue(q)
#endif

/* ------------------------------------------------------------------ page cache */

/* Without the page it was NULL first, and an ERR_PTR later. */
static inline struct folio *compat_filemap_get_folio(struct address_space *mapping,
						     pgoff_t index)
{
	struct folio *folio = filemap_get_folio(mapping, index);

	return IS_ERR_OR_NULL(folio) ? NULL : folio;
}

/* ------------------------------------------------------------------- shrinker */

typedef unsigned long (*compat_shrink_fn)(struct shrinker *shrinker,
					  struct shrink_control *sc);

#ifdef HAVE_SHRINKER_ALLOC

static inline void *compat_shrinker_data(struct shrinker *shrinker)
{
	return shrinker->private_data;
}

static inline struct shrinker *
compat_shrinker_new(const char *name, void *data, compat_shrink_fn count,
		    compat_shrink_fn scan)
{
	struct shrinker *shrinker = shrinker_alloc(0, "%s", name);

	if (!shrinker)
		return NULL;
	shrinker->private_data = data;
	shrinker->count_objects = count;
	shrinker->scan_objects = scan;
	shrinker->seeks = DEFAULT_SEEKS;
	shrinker_register(shrinker);
	return shrinker;
}

static inline void compat_shrinker_free(struct shrinker *shrinker)
{
	shrinker_free(shrinker);
}

#else

struct compat_shrinker {
	struct shrinker shrinker;
	void *data;
};

static inline void *compat_shrinker_data(struct shrinker *shrinker)
{
	return container_of(shrinker, struct compat_shrinker, shrinker)->data;
}

static inline struct shrinker *
compat_shrinker_new(const char *name, void *data, compat_shrink_fn count,
		    compat_shrink_fn scan)
{
	struct compat_shrinker *s = kzalloc(sizeof(*s), GFP_KERNEL);

	if (!s)
		return NULL;
	s->data = data;
	s->shrinker.count_objects = count;
	s->shrinker.scan_objects = scan;
	s->shrinker.seeks = DEFAULT_SEEKS;
	if (register_shrinker(&s->shrinker, "%s", name)) {
		kfree(s);
		return NULL;
	}
	return &s->shrinker;
}

static inline void compat_shrinker_free(struct shrinker *shrinker)
{
	unregister_shrinker(shrinker);
	kfree(container_of(shrinker, struct compat_shrinker, shrinker));
}

#endif

#endif /* VMDK_COMPAT_H */
