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
 * vmdk_chain_offset - where the disk's first extent begins in its file, in bytes
 * @chain: the chain
 */
u64 vmdk_chain_offset(struct vmdk_chain *chain)
{
	u64 offset;

	down_read(&chain->links_sem);
	offset = chain->links[0].extents[0].offset;
	up_read(&chain->links_sem);
	return offset;
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

	chain->links = kcalloc(VMDK_MAX_LINKS, sizeof(*chain->links),
			       GFP_KERNEL);
	if (!chain->links)
		return -ENOMEM;
	while (chain->nr_links < config->attach.nr_links && !ret) {
		struct vmdk_link *link = &chain->links[chain->nr_links];
		const struct vmdk_link_info *info;

		info = &config->links[chain->nr_links++];
		link->sectors = info->sectors;
		link->writable = chain->writable && !first;
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
			   struct vmdk_chain_patch *p, struct vmdk_fault *fault)
{
	u8 now[VMDK_PATCH_SIZE];
	struct vmdk_file *vf;
	int ret;

	vf = vmdk_file_get(patch->fd, true, false, VMDK_ROLE_DESCRIPTOR, chain,
			   fault);
	if (IS_ERR(vf))
		return PTR_ERR(vf);
	p->file = vf;
	p->patch = *patch;
	ret = vmdk_file_read(vf, now, patch->length, patch->offset);
	if (ret)
		return ret;
	if (memcmp(now, patch->old, patch->length))
		return vmdk_fault_set(fault, patch->offset,
				      "descriptor: the content id changed meanwhile");
	return 0;
}

static int vmdk_open_patches(struct vmdk_chain *chain,
			     const struct vmdk_config *config,
			     struct vmdk_chain_patch *patches, u32 *nr,
			     struct vmdk_fault *fault)
{
	int ret = 0;

	while (*nr < config->attach.nr_patches && !ret) {
		u32 i = (*nr)++;

		ret = vmdk_patch_open(chain, &config->patches[i], &patches[i],
				      fault);
	}
	return ret;
}

static void vmdk_close_patches(struct vmdk_chain_patch *patches, u32 nr)
{
	while (nr--)
		vmdk_file_put(patches[nr].file);
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

/* What only a disk with grain tables needs; it may have got it before. */
static int vmdk_chain_init_sparse(struct vmdk_chain *chain)
{
	int ret = 0;

	if (!chain->grain_bytes)
		return 0;
	if (chain->writable && !chain->batch)
		ret = vmdk_batch_init(chain);
	if (!ret && !chain->shrinker)
		ret = vmdk_shrinker_init(chain);
	return ret;
}

/* What only a disk with parents needs, or one that is about to have one. */
static int vmdk_chain_init_below(struct vmdk_chain *chain)
{
	int ret = 0;

	if (!chain->below.shrinker)
		ret = vmdk_below_init(chain);
	if (!ret && chain->writable && !mempool_initialized(&chain->fills))
		ret = mempool_init_kmalloc_pool(&chain->fills, 1,
						sizeof(struct vmdk_fill));
	if (!ret && chain->writable && !mempool_initialized(&chain->fill_pages))
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
	chain->ally = config->ally;
	init_rwsem(&chain->links_sem);
	init_rwsem(&chain->tables_sem);
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
	vmdk_close_patches(chain->patches, chain->nr_patches);
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
	if (!ret && chain->writable)
		ret = vmdk_open_patches(chain, config, chain->patches,
					&chain->nr_patches, fault);
	if (!ret)
		ret = vmdk_chain_init_sparse(chain);
	if (!ret && vmdk_has_parent(chain))
		ret = vmdk_chain_init_below(chain);
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

/* ------------------------------------------------------------ another link */

/* The cache of inflated grains was made for the links that the disk came with. */
static int vmdk_check_top(const struct vmdk_link *link,
			  struct vmdk_fault *fault)
{
	const struct vmdk_extent *ext;

	vmdk_for_each_extent(ext, link)
		if (ext->sparse && ext->sparse->stream)
			return vmdk_fault_set(fault, VMDK_NO_OFFSET,
					      "compressed grains cannot be the top of a disk in use");
	return 0;
}

/**
 * vmdk_chain_prepare - open a link that is to become the top
 * @chain: a writable chain
 * @config: a checked call, of one link
 * @push: receives it
 * @fault: receives the reason of a refusal
 * @fault_extent: receives the extent that is at fault
 *
 * Ends with vmdk_chain_push() or vmdk_chain_cancel(), also after an error.
 *
 * Context: process context, in the ioctl; the disk is in use.
 * Return: 0 or an error.
 */
int vmdk_chain_prepare(struct vmdk_chain *chain,
		       const struct vmdk_config *config,
		       struct vmdk_push *push, struct vmdk_fault *fault,
		       u32 *fault_extent)
{
	const struct vmdk_window_info *windows = config->windows;
	const struct vmdk_attach *attach = &config->attach;
	int ret;

	if (!chain->writable)
		return vmdk_fault_set(fault, VMDK_NO_OFFSET,
				      "the disk is read-only");
	if (chain->nr_links == VMDK_MAX_LINKS)
		return vmdk_fault_set(fault, VMDK_NO_OFFSET,
				      "the disk has %u links, and no more are supported",
				      VMDK_MAX_LINKS);
	if (config->links->sectors != chain->sectors)
		return vmdk_fault_set(fault, VMDK_NO_OFFSET,
				      "the link has %llu sectors, the disk %llu",
				      config->links->sectors, chain->sectors);
	push->chain = chain;
	push->gd_entries = chain->gd_entries;
	push->cid = attach->cid;
	push->new_cid = attach->new_cid;
	push->parent_cid = attach->parent_cid;
	push->link.sectors = chain->sectors;
	push->link.writable = true;
	ret = vmdk_link_open(chain, &push->link, config->extents,
			     attach->nr_extents, &windows, false, fault);
	if (ret && push->link.nr_extents)
		*fault_extent = push->link.nr_extents - 1;
	if (!ret)
		ret = vmdk_check_top(&push->link, fault);
	if (!ret)
		ret = vmdk_open_patches(chain, config, push->patches,
					&push->nr_patches, fault);
	if (!ret)
		ret = vmdk_chain_init_sparse(chain);
	return ret ?: vmdk_chain_init_below(chain);
}

/**
 * vmdk_chain_cancel - let go of a link that does not become the top
 * @push: from vmdk_chain_prepare()
 */
void vmdk_chain_cancel(struct vmdk_push *push)
{
	vmdk_link_close(&push->link);
	vmdk_close_patches(push->patches, push->nr_patches);
	if (push->chain)
		push->chain->gd_entries = push->gd_entries;
}

/* From now on, a parent. */
static void vmdk_link_demote(struct vmdk_link *link)
{
	struct vmdk_extent *ext;

	link->writable = false;
	vmdk_for_each_extent(ext, link) {
		if (ext->access != VMDK_ACCESS_RW)
			continue;
		ext->access = VMDK_ACCESS_RDONLY;
		vmdk_file_demote(ext->file);
		if (!ext->sparse)
			continue;
		ext->sparse->writable = false;
		vmdk_alloc_drop_all(ext->sparse);
	}
}

/**
 * vmdk_chain_push - make a link the top; what was the top is left clean
 * @chain: without I/O: its queue is quiesced
 * @push: from vmdk_chain_prepare()
 *
 * Context: process context, NOIO.
 * Return: 0; -ESTALE when the top's content id is not what the link expects; or
 * the error of a write or a sync.  Then all is as it was.
 */
int vmdk_chain_push(struct vmdk_chain *chain, struct vmdk_push *push)
{
	int ret;

	if (chain->cid != push->parent_cid)
		return -ESTALE;
	if (READ_ONCE(chain->damaged))
		return -EIO;
	ret = vmdk_chain_finish(chain);
	if (ret) {
		vmdk_commit_later(chain, false);
		return ret;
	}
	vmdk_link_demote(&chain->links[0]);
	vmdk_close_patches(chain->patches, chain->nr_patches);
	down_write(&chain->links_sem);
	memmove(chain->links + 1, chain->links,
		chain->nr_links * sizeof(*chain->links));
	chain->links[0] = push->link;
	WRITE_ONCE(chain->nr_links, chain->nr_links + 1);
	up_write(&chain->links_sem);
	memcpy(chain->patches, push->patches, sizeof(chain->patches));
	chain->nr_patches = push->nr_patches;
	chain->begun = false;
	chain->new_cid = push->new_cid;
	WRITE_ONCE(chain->parent_cid, push->parent_cid);
	WRITE_ONCE(chain->cid, push->cid);
	vmdk_below_reset(chain);
	return 0;
}
