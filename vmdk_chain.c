// SPDX-License-Identifier: GPL-2.0
/*
 * A chain of links from attach to detach: its files are opened and validated,
 * its content id is renewed before the first write, it is flushed, left clean,
 * and let go of.
 */
#include <linux/slab.h>

#include "vmdk.h"

#define VMDK_RUN_RESERVE	16
#define VMDK_CACHE_DEFAULT	SZ_64M

/* ------------------------------------------------------- content id, flush */

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

/**
 * vmdk_chain_begin - renew the content id, once
 * @chain: a writable chain
 *
 * Context: process context, NOIO; before anything is changed.
 * Return: 0, or the error of a write or a sync.
 */
int vmdk_chain_begin(struct vmdk_chain *chain)
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

static int vmdk_link_open(struct vmdk_chain *chain, struct vmdk_link *link,
			  const struct vmdk_extent_info *infos, u32 nr,
			  const struct vmdk_window_info **windows,
			  bool verified, struct vmdk_fault *fault)
{
	int ret = 0;

	link->extents = kvcalloc(nr, sizeof(*link->extents), GFP_KERNEL);
	if (!link->extents)
		return -ENOMEM;
	while (link->nr_extents < nr && !ret) {
		u32 i = link->nr_extents++;

		ret = vmdk_extent_open(chain, link, &link->extents[i],
				       &infos[i], *windows, verified, fault);
		*windows += infos[i].nr_windows;
		cond_resched();
	}
	return ret;
}

static int vmdk_chain_open_links(struct vmdk_chain *chain,
				 const struct vmdk_config *config,
				 struct vmdk_fault *fault, u32 *fault_extent)
{
	bool verified = config->attach.flags & VMDK_ATTACH_VERIFIED;
	const struct vmdk_window_info *windows = config->windows;
	u32 first = 0;
	int ret = 0;

	chain->links = kcalloc(config->attach.nr_links, sizeof(*chain->links),
			       GFP_KERNEL);
	if (!chain->links)
		return -ENOMEM;
	while (chain->nr_links < config->attach.nr_links && !ret) {
		struct vmdk_link *link = &chain->links[chain->nr_links];
		const struct vmdk_link_info *info;

		info = &config->links[chain->nr_links++];
		link->sectors = info->sectors;
		ret = vmdk_link_open(chain, link, &config->extents[first],
				     info->nr_extents, &windows, verified,
				     fault);
		if (ret && link->nr_extents)
			*fault_extent = first + link->nr_extents - 1;
		first += info->nr_extents;
	}
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

/* What only a disk with parents needs. */
static int vmdk_chain_init_below(struct vmdk_chain *chain)
{
	int ret;

	if (!vmdk_has_parent(chain))
		return 0;
	ret = vmdk_below_init(chain);
	if (!ret && chain->writable)
		ret = mempool_init_kmalloc_pool(&chain->fills, 1,
						sizeof(struct vmdk_fill));
	if (!ret && chain->writable)
		ret = mempool_init_page_pool(&chain->fill_pages, 1,
					     VMDK_FILL_ORDER);
	return ret;
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

static void vmdk_link_close(struct vmdk_link *link)
{
	struct vmdk_extent *ext;

	vmdk_for_each_extent(ext, link) {
		if (ext->ops && ext->ops->free)
			ext->ops->free(ext);
		vmdk_file_put(ext->file);
	}
	kvfree(link->extents);
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
	vmdk_below_exit(chain);
	for (i = 0; i < chain->nr_links; i++)
		vmdk_link_close(&chain->links[i]);
	for (i = 0; i < chain->nr_patches; i++)
		vmdk_file_put(chain->patches[i].file);
	vmdk_batch_free(chain);
	vmdk_pins_exit(&chain->pins);
	vmdk_gt_pool_exit(chain);
	mempool_exit(&chain->fill_pages);
	mempool_exit(&chain->fills);
	mempool_exit(&chain->runs);
	free_percpu(chain->stats);
	kfree(chain->links);
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
		ret = vmdk_chain_open_links(chain, config, fault,
					    fault_extent);
	if (!ret)
		ret = vmdk_chain_open_patches(chain, config, fault);
	if (!ret && chain->writable && chain->grain_bytes)
		ret = vmdk_batch_init(chain);
	if (!ret)
		ret = vmdk_chain_init_below(chain);
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
	struct vmdk_extent *ext;
	int ret = 0;

	vmdk_for_each_extent(ext, &chain->links[0]) {
		if (ext->ops->detach && ext->access == VMDK_ACCESS_RW)
			ret = ext->ops->detach(ext);
		if (ret)
			break;
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
