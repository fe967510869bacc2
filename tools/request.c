// SPDX-License-Identifier: GPL-2.0
/*
 * The calls that open images: can the module do it, the numbers that it gets, and
 * what it says when it refuses.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "attach.h"
#include "path.h"
#include "vmdkctl.h"
#include "vmdk_ioctl.h"

/* What goes to the kernel, and what its pointers point to. */
struct request {
	struct vmdk_attach attach;
	struct vmdk_link_info links[VMDK_MAX_LINKS];
	struct vmdk_extent_info *extents;	/* of all links */
	struct vmdk_window_info *windows;
	struct vmdk_patch patches[VMDK_MAX_PATCHES];
	char message[VMDK_MESSAGE_SIZE];
};

/* ------------------------------------------------------------------ features */

/* What has to be true of an image before the kernel gets to see it. */
static const struct {
	enum vmdk_kind kind;
	uint64_t feature;
	const char *name;
} kinds[] = {
	{ VMDK_KIND_COWD, VMDK_FEATURE_COWD, "COWD (vmfsSparse)" },
	{ VMDK_KIND_SESPARSE, VMDK_FEATURE_SESPARSE, "seSparse" },
	{ VMDK_KIND_DEVICE, VMDK_FEATURE_DEVICE, "raw device" },
};

static const char *lacking_kind(enum vmdk_kind kind, uint64_t features)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].kind == kind && !(features & kinds[i].feature))
			return kinds[i].name;
	return NULL;
}

/* A sector that lies in two windows could not be read: the kernel reads at sectors. */
static bool has_odd_window(const struct vmdk_windows *windows)
{
	size_t i;

	for (i = 0; i + 1 < windows->nr; i++)
		if (windows->list[i].length % VMDK_SECTOR_SIZE)
			return true;
	return false;
}

static const char *windows_fault(const struct vmdk_windows *windows,
				 uint64_t features)
{
	if (!windows)
		return NULL;
	if (!(features & VMDK_FEATURE_WINDOWS))
		return "disks in several chunks are not supported yet by the module";
	if (has_odd_window(windows))
		return "its chunks do not end at multiples of 512 bytes, and cannot be attached";
	return NULL;
}

static int check_extent(const struct vmdk_image_extent *extent,
			const char *path, uint64_t features)
{
	const char *fault = windows_fault(extent->windows, features);
	const char *name = lacking_kind(extent->kind, features);

	if (fault)
		vmdkctl_error("%s: %s: extract them with tar, and put them together with cat",
			      extent->path, fault);
	else if (name)
		vmdkctl_error("%s: %s extents are not supported yet by the module that is loaded",
			      path, name);
	return fault || name ? -EOPNOTSUPP : 0;
}

static int check_image(const struct vmdk_image *image, uint64_t features)
{
	size_t i;
	int ret = 0;

	for (i = 0; i < image->nr_extents && !ret; i++)
		ret = check_extent(&image->extents[i], image->path, features);
	return ret;
}

/**
 * attach_features - what the module can do
 * @control: the control node
 *
 * Return: bits; none when it does not say.
 */
uint64_t attach_features(int control)
{
	uint64_t features = 0;

	return ioctl(control, VMDK_GET_FEATURES, &features) ? 0 : features;
}

/**
 * attach_check_chain - can the module attach a disk with a parent?
 * @path: the disk
 * @features: of the module
 *
 * Return: 0, or -EOPNOTSUPP after a line on stderr.
 */
int attach_check_chain(const char *path, uint64_t features)
{
	if (features & VMDK_FEATURE_CHAIN)
		return 0;
	vmdkctl_error("%s: disks with parents are not supported yet by the module that is loaded",
		      path);
	return -EOPNOTSUPP;
}

static size_t count_extents(const struct vmdk_chain *chain)
{
	size_t i, nr = 0;

	for (i = 0; i < chain->nr; i++)
		nr += chain->links[i]->nr_extents;
	return nr;
}

/**
 * attach_check_features - can the module attach all links?
 * @features: of the module
 * @chain: the links
 *
 * Asked before anything is changed: an unclean image would be repaired.
 *
 * Return: 0, or -errno after a line on stderr.
 */
int attach_check_features(uint64_t features, const struct vmdk_chain *chain)
{
	size_t i;
	int ret = 0;

	if (chain->nr > 1)
		ret = attach_check_chain(chain->links[0]->path, features);
	for (i = 0; i < chain->nr && !ret; i++)
		ret = check_image(chain->links[i], features);
	if (ret || count_extents(chain) <= VMDK_MAX_EXTENTS)
		return ret;
	vmdkctl_error("%s: its chain has %zu extents, at most %d are supported",
		      chain->links[0]->path, count_extents(chain),
		      VMDK_MAX_EXTENTS);
	return -EOPNOTSUPP;
}

/* ------------------------------------------------------------------- numbers */

static void fill_extents(const struct vmdk_image *image,
			 struct vmdk_extent_info *infos)
{
	uint64_t start = 0;
	size_t i;

	for (i = 0; i < image->nr_extents; i++) {
		const struct vmdk_image_extent *extent = &image->extents[i];

		infos[i] = (struct vmdk_extent_info){
			.fd = extent->fd,
			.kind = extent->kind,
			.access = extent->access,
			.start = start,
			.sectors = extent->desc->sectors,
			.offset = extent->offset,
			.length = extent->length,
		};
		start += extent->desc->sectors;
	}
}

/* Extents that consist of several windows, and their windows one by one. */
static void fill_windows(const struct vmdk_image *image,
			 struct vmdk_extent_info *infos, struct request *req)
{
	uint32_t *nr = &req->attach.nr_windows;
	size_t i, k;

	for (i = 0; i < image->nr_extents; i++) {
		const struct vmdk_windows *from = image->extents[i].windows;

		if (!from)
			continue;
		infos[i].nr_windows = from->nr;
		req->windows = vmdkctl_grow(req->windows, *nr + from->nr,
					    sizeof(*req->windows));
		for (k = 0; k < from->nr; k++)
			req->windows[(*nr)++] = (struct vmdk_window_info){
				.offset = from->list[k].offset,
				.length = from->list[k].length,
			};
	}
	req->attach.windows = (uintptr_t)req->windows;
}

static void fill_links(const struct vmdk_chain *chain, struct request *req)
{
	struct vmdk_attach *attach = &req->attach;
	size_t i;

	req->extents = vmdkctl_grow(NULL, count_extents(chain),
				    sizeof(*req->extents));
	for (i = 0; i < chain->nr; i++) {
		const struct vmdk_image *image = chain->links[i];
		struct vmdk_extent_info *infos;

		infos = &req->extents[attach->nr_extents];
		fill_extents(image, infos);
		fill_windows(image, infos, req);
		req->links[i].nr_extents = image->nr_extents;
		req->links[i].sectors = image->sectors;
		attach->nr_extents += image->nr_extents;
	}
	attach->nr_links = chain->nr;
	attach->links = (uintptr_t)req->links;
	attach->extents = (uintptr_t)req->extents;
}

static int fill_patches(const struct vmdk_image *image, struct request *req)
{
	int ret;

	ret = content_id_renew(image, req->patches, &req->attach.nr_patches,
			       &req->attach.new_cid);
	if (ret)
		vmdkctl_error("%s: no random number for a new content id: %s",
			      image->path, strerror(-ret));
	return ret;
}

/* Of a child without a name, what the user named is the parent. */
static int named_fd(const struct vmdk_chain *chain,
		    const struct attach_options *opt)
{
	return chain->links[opt->nonpersistent ? 1 : 0]->desc_fd;
}

/* The module compares numbers; that of a parent may be written in two ways. */
static uint32_t parent_id(const struct vmdk_chain *chain)
{
	if (chain->nr > 1 && !vmdk_chain_differs(chain, 0))
		return vmdk_content_id(chain->links[1]);
	return chain->links[0]->desc.parent_cid;
}

static int fill_request(const struct vmdk_chain *chain,
			const struct attach_options *opt, struct request *req)
{
	const struct vmdk_image *top = chain->links[0];
	struct vmdk_attach *attach = &req->attach;

	fill_links(chain, req);
	attach->flags = opt->flags;
	attach->index = opt->index;
	attach->backing_fd = named_fd(chain, opt);
	attach->nr_queues = opt->queues;
	attach->queue_depth = opt->queue_depth;
	attach->cache_size = opt->cache_size;
	attach->cid = top->desc.cid;
	attach->new_cid = top->desc.cid;
	attach->parent_cid = parent_id(chain);
	attach->message_size = sizeof(req->message);
	attach->patches = (uintptr_t)req->patches;
	attach->message = (uintptr_t)req->message;
	attach->fault_extent = ~0U;
	if (top->desc.create_type)
		snprintf(attach->create_type, sizeof(attach->create_type), "%s",
			 top->desc.create_type);
	if (attach->flags & VMDK_ATTACH_READ_ONLY)
		return 0;
	return fill_patches(top, req);
}

/* ------------------------------------------------------------------ the call */

/* The file of extent @nr, of those of all links. */
static const char *extent_path(const struct vmdk_chain *chain, uint32_t nr)
{
	size_t i;

	for (i = 0; i < chain->nr; i++) {
		const struct vmdk_image *image = chain->links[i];

		if (nr < image->nr_extents)
			return image->extents[nr].path;
		nr -= image->nr_extents;
	}
	return NULL;
}

/* The kernel says why; errno alone would not name file and structure. */
static void report_refusal(const struct vmdk_chain *chain,
			   const struct request *req, int err)
{
	const char *path = extent_path(chain, req->attach.fault_extent);

	vmdkctl_error("%s: %s", path ? path : chain->links[0]->path,
		      *req->message ? req->message : strerror(err));
}

/* ATTACH, or another call that takes the same. */
static int call_with_chain(int control, unsigned long call,
			   const struct vmdk_chain *chain,
			   const struct attach_options *opt, int32_t *index)
{
	struct request req = { 0 };
	int ret;

	ret = fill_request(chain, opt, &req);
	if (!ret && ioctl(control, call, &req.attach)) {
		ret = -errno;
		req.message[sizeof(req.message) - 1] = '\0';
		if (ret != -EUCLEAN || call != VMDK_FOLD_BEGIN ||
		    opt->flags & VMDK_ATTACH_VERIFIED)
			report_refusal(chain, &req, -ret);
	}
	*index = req.attach.index;
	free(req.extents);
	free(req.windows);
	return ret;
}

/**
 * attach_request - have the kernel make the device
 * @control: the control node
 * @chain: the links
 * @opt: how
 * @index: receives the N of /dev/vmdkN
 *
 * Return: 0, or -errno after a line on stderr.
 */
int attach_request(int control, const struct vmdk_chain *chain,
		   const struct attach_options *opt, int32_t *index)
{
	return call_with_chain(control, VMDK_ATTACH, chain, opt, index);
}

static int call_snapshot(int control, unsigned int disk,
			 const struct vmdk_image *top,
			 const struct vmdk_chain *chain, struct request *req,
			 char **why)
{
	const struct vmdk_attach *attach = &req->attach;
	struct vmdk_snapshot snap = {
		.index = disk,
		.backing_fd = attach->backing_fd,
		.nr_extents = attach->nr_extents,
		.nr_patches = attach->nr_patches,
		.cid = attach->cid,
		.new_cid = attach->new_cid,
		.parent_cid = attach->parent_cid,
		.message_size = attach->message_size,
		.extents = attach->extents,
		.patches = attach->patches,
		.message = attach->message,
		.flags = VMDK_SNAPSHOT_TOP,
		.top_fd = top->desc_fd,
	};
	int ret;

	memcpy(snap.create_type, attach->create_type, sizeof(snap.create_type));
	if (!ioctl(control, VMDK_SNAPSHOT, &snap))
		return 0;
	ret = -errno;
	req->message[sizeof(req->message) - 1] = '\0';
	if (ret == -ESTALE && *req->message)
		return vmdk_refuse(why, ret, "%s: %s", top->path, req->message);
	if (ret == -ESTALE)
		return ret;
	req->attach.fault_extent = snap.fault_extent;
	report_refusal(chain, req, -ret);
	return ret;
}

/**
 * attach_snapshot - put a child on top of a disk that is in use
 * @control: the control node
 * @disk: N of /dev/vmdkN
 * @top: what is the top of the disk, or so its name says
 * @child: open for writing; its parent is @top
 * @why: receives the reason, to be freed, where @top is another file
 *
 * Return: 0; -ESTALE: that, or the top's content id has changed; or -errno after a
 * line on stderr.
 */
int attach_snapshot(int control, unsigned int disk, const struct vmdk_image *top,
		    struct vmdk_image *child, char **why)
{
	struct vmdk_chain chain = { .links = { child }, .nr = 1 };
	struct attach_options opt = { .index = -1 };
	struct request req = { 0 };
	int ret;

	ret = fill_request(&chain, &opt, &req);
	if (!ret)
		ret = call_snapshot(control, disk, top, &chain, &req, why);
	free(req.extents);
	free(req.windows);
	return ret;
}

/**
 * attach_fold - begin to write the top of a disk into the link behind it
 * @control: the control node; whoever closes it ends that
 * @disk: N of /dev/vmdkN
 * @chain: the links behind the top, the first of them open for writing
 * @flags: VMDK_ATTACH_VERIFIED or 0
 *
 * Return: 0; -EUCLEAN: the links are the disk's, but the first has to be checked; or
 * another -errno, after a line on stderr.
 */
int attach_fold(int control, unsigned int disk, const struct vmdk_chain *chain,
		uint32_t flags)
{
	struct attach_options opt = { .index = disk, .flags = flags };
	int32_t index;

	return call_with_chain(control, VMDK_FOLD_BEGIN, chain, &opt, &index);
}
