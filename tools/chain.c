// SPDX-License-Identifier: GPL-2.0
/*
 * The links of a chain: found by the hints in their descriptors (hint.c), and
 * refused where they do not fit together.
 *
 * A child has only the differences to what its parent was when it was made.  That
 * the parent still is that is what the content id says.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "chain.h"
#include "hint.h"
#include "opener.h"

/**
 * vmdk_has_parent - is an image a child?
 * @image: the image
 *
 * Return: true when it is.
 */
bool vmdk_has_parent(const struct vmdk_image *image)
{
	return image->desc.parent_cid != VMDK_NO_PARENT;
}

/**
 * vmdk_content_id - what a child of an image has as its parentCID
 * @image: the image
 *
 * What has none, a COWD file without a descriptor for one, counts as 0, as it
 * does for qemu.
 *
 * Return: the id.
 */
uint32_t vmdk_content_id(const struct vmdk_image *image)
{
	return image->desc.has_cid ? image->desc.cid : 0;
}

/* Where CID says that only the long id counts, that ends in the short one. */
static bool ends_in(const char *long_id, uint32_t cid)
{
	size_t len = long_id ? strlen(long_id) : 0;

	return len >= VMDK_CID_DIGITS &&
	       strtoul(long_id + len - VMDK_CID_DIGITS, NULL, 16) == cid;
}

static bool cid_matches(const struct vmdk_image *child,
			const struct vmdk_image *parent)
{
	uint32_t wanted = child->desc.parent_cid;
	uint32_t cid = vmdk_content_id(parent);

	if (cid == wanted)
		return true;
	return cid == VMDK_CID_IN_LONG &&
	       ends_in(parent->desc.long_content_id, wanted);
}

/**
 * vmdk_chain_differs - does a parent have another content id than its child says?
 * @chain: the chain
 * @link: the child
 *
 * Return: true when it has.
 */
bool vmdk_chain_differs(const struct vmdk_chain *chain, size_t link)
{
	return chain->differs >> link & 1;
}

static bool is_file(const struct vmdk_image *image, const struct stat *st)
{
	struct stat mine;

	return !fstat(image->desc_fd, &mine) && mine.st_dev == st->st_dev &&
	       mine.st_ino == st->st_ino;
}

/**
 * vmdk_same_file - are two images one?
 * @a: one
 * @b: the other
 *
 * Return: true when they are; disks of one archive are not.
 */
bool vmdk_same_file(const struct vmdk_image *a, const struct vmdk_image *b)
{
	struct stat st;

	return !fstat(a->desc_fd, &st) && is_file(b, &st) &&
	       a->member_offset == b->member_offset;
}

/* A file is recognised whatever it is called. */
static int check_cycle(const struct vmdk_chain *chain, const struct stat *st,
		       char **why)
{
	const struct vmdk_image *child = chain->links[chain->nr - 1];
	size_t i;

	if (is_file(child, st))
		return vmdk_refuse(why, -EINVAL,
				   "%s: parentFileNameHint \"%s\" is the file itself: the disk would be its own parent",
				   child->path, child->desc.parent_hint);
	for (i = 0; i < chain->nr; i++)
		if (is_file(chain->links[i], st))
			return vmdk_refuse(why, -EINVAL,
					   "%s: parentFileNameHint \"%s\" leads back to %s: the chain is a cycle",
					   child->path, child->desc.parent_hint,
					   chain->links[i]->path);
	return 0;
}

/* ----------------------------------------------------- a child, its parent */

static int check_cid(struct vmdk_chain *chain, size_t link,
		     const struct vmdk_chain_options *opt, char **why)
{
	const struct vmdk_image *child = chain->links[link];
	const struct vmdk_image *parent = chain->links[link + 1];

	if (cid_matches(child, parent))
		return 0;
	chain->differs |= 1ULL << link;
	if (opt->force_cid)
		return 0;
	return vmdk_refuse(why, -EINVAL,
			   "%s: parentCID is %08x, but the CID of its parent %s is %08x: the parent was changed, or is another disk; see --force-cid",
			   child->path, child->desc.parent_cid, parent->path,
			   vmdk_content_id(parent));
}

/* A disk that was enlarged has a parent that is smaller; zeros follow it. */
static int check_capacity(const struct vmdk_image *child,
			  const struct vmdk_image *parent, char **why)
{
	if (parent->sectors <= child->sectors)
		return 0;
	return vmdk_refuse(why, -EINVAL,
			   "%s: has a capacity of %llu sectors, but its parent %s has %llu",
			   child->path, ULL(child->sectors), parent->path,
			   ULL(parent->sectors));
}

static int check_pair(struct vmdk_chain *chain, size_t link,
		      const struct vmdk_chain_options *opt, char **why)
{
	int ret = check_cid(chain, link, opt, why);

	if (ret)
		return ret;
	return check_capacity(chain->links[link], chain->links[link + 1], why);
}

/* ----------------------------------------------------------------- parents */

/* What makes the name of the parent worth nothing. */
static int check_child(const struct vmdk_chain *chain, char **why)
{
	const struct vmdk_image *child = chain->links[chain->nr - 1];

	if (chain->nr == VMDK_MAX_LINKS)
		return vmdk_refuse(why, -ELOOP,
				   "%s: the chain has more than %d links",
				   child->path, VMDK_MAX_LINKS);
	if (child->member)
		return vmdk_refuse(why, -EOPNOTSUPP,
				   "%s:%s: this disk is a child of \"%s\": extract the archive with tar",
				   child->path, child->member,
				   child->desc.parent_hint ?
				   child->desc.parent_hint : "");
	if (!child->desc.parent_hint)
		return vmdk_refuse(why, -EINVAL,
				   "%s: parentCID is %08x, but there is no parentFileNameHint that names the parent",
				   child->path, child->desc.parent_cid);
	return 0;
}

/* Whose fault it is that a parent cannot be had. */
static int blame(const struct vmdk_image *child, int ret, char **why)
{
	char *reason = *why;

	vmdk_refuse(why, ret, "%s: parentFileNameHint \"%s\": %s", child->path,
		    child->desc.parent_hint,
		    reason ? reason : strerror(-ret));
	free(reason);
	return ret;
}

static int find_parent(const struct vmdk_chain *chain,
		       const struct vmdk_chain_options *opt, char **path,
		       char **why)
{
	const struct vmdk_image *child = chain->links[chain->nr - 1];
	struct vmdk_folder folder;
	struct stat st;
	int fd, ret;

	*path = NULL;
	fd = vmdk_folder_open(child->path, child->desc_fd, &folder, why);
	folder.encoding = child->desc.encoding;
	folder.allow_paths = opt->open.allow_paths;
	if (!fd)
		fd = vmdk_hint_open(&folder, child->desc.parent_hint, path, &st,
				    why);
	vmdk_folder_close(&folder);
	if (fd < 0)
		return blame(child, fd, why);
	ret = check_cycle(chain, &st, why);
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

/**
 * vmdk_is_child_of - would a chain that begins with an image go on with another?
 * @child: the one
 * @parent: the other
 * @opt: where parents may lie
 *
 * Return: true when it would.
 */
bool vmdk_is_child_of(struct vmdk_image *child, const struct vmdk_image *parent,
		      const struct vmdk_chain_options *opt)
{
	struct vmdk_chain chain = { .links = { child }, .nr = 1 };
	char *path = NULL, *why = NULL;
	struct stat st;
	bool found = false;
	int fd;

	if (!vmdk_has_parent(child) || check_child(&chain, &why) ||
	    !cid_matches(child, parent)) {
		free(why);
		return false;
	}
	fd = find_parent(&chain, opt, &path, &why);
	if (fd >= 0) {
		found = !fstat(fd, &st) && is_file(parent, &st);
		close(fd);
	}
	free(path);
	free(why);
	return found;
}

static int add_parent(struct vmdk_chain *chain,
		      const struct vmdk_chain_options *opt, char **why)
{
	struct vmdk_open_options open = opt->open;
	struct vmdk_image *parent;
	int fd, ret;
	char *path;

	ret = check_child(chain, why);
	if (ret)
		return ret;
	fd = find_parent(chain, opt, &path, why);
	if (fd < 0) {
		free(path);
		return fd;
	}
	open.write = false;
	ret = vmdk_image_open_fd(fd, path, &open, &parent, why);
	free(path);
	if (ret)
		return blame(chain->links[chain->nr - 1], ret, why);
	chain->links[chain->nr++] = parent;
	return check_pair(chain, chain->nr - 2, opt, why);
}

/* Programs differ in whether a name alone makes a child. */
static int check_root(const struct vmdk_image *root, char **why)
{
	if (!root->desc.parent_hint)
		return 0;
	return vmdk_refuse(why, -EINVAL,
			   "%s: parentFileNameHint is \"%s\", but parentCID says that there is no parent; see --single-link",
			   root->path, root->desc.parent_hint);
}

static int follow(struct vmdk_chain *chain,
		  const struct vmdk_chain_options *opt, char **why)
{
	int ret = 0;

	while (!ret && vmdk_has_parent(chain->links[chain->nr - 1]))
		ret = add_parent(chain, opt, why);
	if (!ret)
		ret = check_root(chain->links[chain->nr - 1], why);
	if (!ret || !opt->partial)
		return ret;
	chain->fault = *why;
	*why = NULL;
	return 0;
}

/* One of the links has to be what the user thinks that it is. */
static int check_disk(const struct vmdk_chain *chain, const char *disk,
		      char **why)
{
	size_t i;

	for (i = 0; i < chain->nr; i++)
		if (chain->links[i]->member)
			return 0;
	return vmdk_refuse(why, -EINVAL,
			   "%s: is not an OVA, so that there is no disk \"%s\" in it",
			   chain->links[0]->path, disk);
}

/**
 * vmdk_chain_open - open an image and its parents
 * @path: the file that the user named
 * @opt: what for
 * @chain: receives them; empty on failure
 * @why: receives the reason of a failure, to be freed, or NULL
 *
 * Return: 0 or -errno.
 */
int vmdk_chain_open(const char *path, const struct vmdk_chain_options *opt,
		    struct vmdk_chain *chain, char **why)
{
	struct vmdk_chain_options options = *opt;
	int ret;

	memset(chain, 0, sizeof(*chain));
	*why = NULL;
	options.open.may_lack_disk = !opt->single_link;
	ret = vmdk_image_try_open(path, &options.open, &chain->links[0], why);
	if (ret)
		return ret;
	chain->nr = 1;
	if (!opt->single_link)
		ret = follow(chain, &options, why);
	if (!ret && opt->open.disk && !opt->single_link)
		ret = check_disk(chain, opt->open.disk, why);
	if (ret)
		vmdk_chain_close(chain);
	return ret;
}

/**
 * vmdk_chain_has_room - can a chain have one more link?
 * @chain: the chain
 * @why: receives the reason of a refusal
 *
 * Return: 0 or -ELOOP.
 */
int vmdk_chain_has_room(const struct vmdk_chain *chain, char **why)
{
	if (chain->nr < VMDK_MAX_LINKS)
		return 0;
	return vmdk_refuse(why, -ELOOP,
			   "%s: the chain has %d links, there is no room for one more",
			   chain->links[0]->path, VMDK_MAX_LINKS);
}

/**
 * vmdk_chain_put_top - put a child on top of a chain
 * @chain: what it is a child of
 * @child: belongs to the chain on success
 * @opt: what for
 * @why: receives the reason of a refusal
 *
 * Return: 0, or -errno with the chain as it was.
 */
int vmdk_chain_put_top(struct vmdk_chain *chain, struct vmdk_image *child,
		       const struct vmdk_chain_options *opt, char **why)
{
	struct vmdk_chain old = *chain;
	int ret = vmdk_chain_has_room(chain, why);

	if (ret)
		return ret;
	memmove(&chain->links[1], &chain->links[0],
		chain->nr * sizeof(chain->links[0]));
	chain->links[0] = child;
	chain->nr++;
	chain->differs <<= 1;
	ret = check_pair(chain, 0, opt, why);
	if (ret)
		*chain = old;
	return ret;
}

/**
 * vmdk_chain_close - close all links
 * @chain: empty afterwards
 */
void vmdk_chain_close(struct vmdk_chain *chain)
{
	size_t i;

	for (i = 0; i < chain->nr; i++)
		vmdk_image_close(chain->links[i]);
	free(chain->fault);
	memset(chain, 0, sizeof(*chain));
}
