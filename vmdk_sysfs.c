// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/block/vmdkN/vmdk/ and /sys/block/vmdkN/stats/: one value each, there
 * from the first uevent on.  Documentation/ABI/testing/sysfs-block-vmdk.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/slab.h>

#include "vmdk.h"

static struct vmdk_disk *vmdk_dev_to_disk(struct device *dev)
{
	return dev_to_disk(dev)->private_data;
}

static ssize_t backing_file_show(struct device *dev,
				 struct device_attribute *attr, char *buf)
{
	struct vmdk_disk *disk = vmdk_dev_to_disk(dev);
	char *page = (char *)__get_free_page(GFP_KERNEL);
	struct file *file;
	ssize_t ret;
	char *path;

	if (!page)
		return -ENOMEM;
	spin_lock_irq(&disk->meta_lock);
	file = get_file(disk->backing);
	spin_unlock_irq(&disk->meta_lock);
	path = file_path(file, page, PAGE_SIZE - 1);
	ret = IS_ERR(path) ? PTR_ERR(path) : sysfs_emit(buf, "%s\n", path);
	fput(file);
	free_page((unsigned long)page);
	return ret;
}
static DEVICE_ATTR_RO(backing_file);

static ssize_t create_type_show(struct device *dev,
				struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", vmdk_dev_to_disk(dev)->create_type);
}
static DEVICE_ATTR_RO(create_type);

static const char *vmdk_state_name(const struct vmdk_disk *disk)
{
	if (READ_ONCE(disk->chain->error))
		return "failed";
	if (READ_ONCE(disk->chain->damaged))
		return "damaged";
	if (READ_ONCE(disk->life) == VMDK_FOLDING)
		return "folding";
	return READ_ONCE(disk->life) <= VMDK_LIVE ? "live" : "detaching";
}

/* The end of a fold may come at any time, and free the chain that was there. */
#define VMDK_ATTR(_name, _format, _value)				\
static ssize_t _name##_show(struct device *dev,				\
			    struct device_attribute *attr, char *buf)	\
{									\
	struct vmdk_disk *disk = vmdk_dev_to_disk(dev);			\
	ssize_t ret;							\
									\
	down_read(&disk->chain_sem);					\
	ret = sysfs_emit(buf, _format "\n", _value);			\
	up_read(&disk->chain_sem);					\
	return ret;							\
}									\
static DEVICE_ATTR_RO(_name)

VMDK_ATTR(state, "%s", vmdk_state_name(disk));
VMDK_ATTR(cid, "%08x", READ_ONCE(disk->chain->cid));
VMDK_ATTR(offset, "%llu", vmdk_chain_offset(disk->chain));
VMDK_ATTR(links, "%u", READ_ONCE(disk->chain->nr_links));
VMDK_ATTR(parent_cid, "%08x", READ_ONCE(disk->chain->parent_cid));
VMDK_ATTR(grain_size, "%u", disk->chain->grain_bytes);
VMDK_ATTR(read_only, "%d", !disk->chain->writable);
VMDK_ATTR(autoclear, "%d", disk->autoclear);
VMDK_ATTR(direct_io, "%d", disk->chain->direct);

static struct attribute *vmdk_attrs[] = {
	&dev_attr_backing_file.attr,
	&dev_attr_offset.attr,
	&dev_attr_create_type.attr,
	&dev_attr_cid.attr,
	&dev_attr_parent_cid.attr,
	&dev_attr_links.attr,
	&dev_attr_grain_size.attr,
	&dev_attr_read_only.attr,
	&dev_attr_autoclear.attr,
	&dev_attr_direct_io.attr,
	&dev_attr_state.attr,
	NULL
};

static const struct attribute_group vmdk_group = {
	.name	= "vmdk",
	.attrs	= vmdk_attrs,
};

#define VMDK_STAT_ATTR(_name, _stat)					\
	VMDK_ATTR(_name, "%llu", vmdk_chain_stat(disk->chain, _stat))

VMDK_STAT_ATTR(grains_allocated, VMDK_STAT_ALLOCATED);
VMDK_STAT_ATTR(grains_freed, VMDK_STAT_FREED);
VMDK_STAT_ATTR(table_hits, VMDK_STAT_GT_HIT);
VMDK_STAT_ATTR(table_misses, VMDK_STAT_GT_MISS);
VMDK_STAT_ATTR(commits, VMDK_STAT_COMMITS);
VMDK_STAT_ATTR(inflates, VMDK_STAT_INFLATES);
VMDK_STAT_ATTR(cache_hits, VMDK_STAT_CACHE_HITS);
VMDK_ATTR(cached_bytes, "%zu", READ_ONCE(disk->chain->cache.bytes));

static struct attribute *vmdk_stat_attrs[] = {
	&dev_attr_grains_allocated.attr,
	&dev_attr_grains_freed.attr,
	&dev_attr_table_hits.attr,
	&dev_attr_table_misses.attr,
	&dev_attr_commits.attr,
	&dev_attr_inflates.attr,
	&dev_attr_cache_hits.attr,
	&dev_attr_cached_bytes.attr,
	NULL
};

static const struct attribute_group vmdk_stat_group = {
	.name	= "stats",
	.attrs	= vmdk_stat_attrs,
};

const struct attribute_group *vmdk_sysfs_groups[] = {
	&vmdk_group,
	&vmdk_stat_group,
	NULL
};
