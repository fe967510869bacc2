// SPDX-License-Identifier: GPL-2.0
/*
 * A writable child over a chain that is only read: a file that is kept, made when
 * it is not there; or one without a name.
 *
 * Here the user says what the parent is.  A child that is there already still has
 * to say the same, or it would get the bytes of another disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "child.h"
#include "hint.h"
#include "overlay.h"

/* Is what @hint leads to, seen from @child, the file of @base? */
static bool leads_to(const struct vmdk_image *child, const char *hint,
		     const struct vmdk_image *base)
{
	struct vmdk_folder folder;
	struct stat st, base_st;
	char *why = NULL, *path = NULL;
	bool same = false;

	if (!vmdk_folder_open(child->path, child->desc_fd, &folder, &why))
		path = vmdk_normalise(folder.path, hint);
	if (path && !stat(path, &st) && !fstat(base->desc_fd, &base_st))
		same = st.st_dev == base_st.st_dev &&
		       st.st_ino == base_st.st_ino;
	vmdk_folder_close(&folder);
	free(path);
	free(why);
	return same;
}

/* Names of elsewhere, and of before a move, tell by their last part. */
static bool has_name_of(const char *hint, const struct vmdk_image *base)
{
	char *real = realpath(base->path, NULL);
	bool same = real && !strcmp(vmdk_hint_base(hint),
				    vmdk_hint_base(real));

	free(real);
	return same;
}

static int check_delta(const struct vmdk_image *delta,
		       const struct vmdk_chain *chain, char **why)
{
	const struct vmdk_image *base = chain->links[0];
	const char *hint = delta->desc.parent_hint;
	size_t i;

	for (i = 0; i < chain->nr; i++)
		if (vmdk_same_file(delta, chain->links[i]))
			return vmdk_refuse(why, -EINVAL,
					   "%s: is itself a part of the chain of %s",
					   delta->path, base->path);
	if (!vmdk_has_parent(delta) || !hint)
		return vmdk_refuse(why, -EEXIST,
				   "%s: exists, and is no child of %s",
				   delta->path, base->path);
	if (leads_to(delta, hint, base) || has_name_of(hint, base))
		return 0;
	return vmdk_refuse(why, -EEXIST,
			   "%s: exists, and is a child of \"%s\", not of %s",
			   delta->path, hint, base->path);
}

/* The file of the base, or of a parent, is locked: say what is wrong with it. */
static int check_not_below(const char *path, const struct vmdk_chain *chain,
			   char **why)
{
	struct stat st, link;
	size_t i;

	if (stat(path, &st))
		return 0;
	for (i = 0; i < chain->nr; i++)
		if (!fstat(chain->links[i]->desc_fd, &link) &&
		    link.st_dev == st.st_dev && link.st_ino == st.st_ino)
			return vmdk_refuse(why, -EINVAL,
					   "%s: is itself a part of the chain of %s",
					   path, chain->links[0]->path);
	return 0;
}

static int open_delta(const char *path, const struct vmdk_chain *chain,
		      const struct vmdk_chain_options *opt,
		      struct vmdk_image **delta, char **why)
{
	struct vmdk_open_options open = opt->open;
	int fd, ret;

	ret = check_not_below(path, chain, why);
	if (ret)
		return ret;
	/* --disk is about the base */
	open.disk = NULL;
	fd = vmdk_child_create(path, chain->links[0], why);
	if (fd >= 0)
		return vmdk_image_open_fd(fd, path, &open, delta, why);
	if (fd != -EEXIST)
		return fd;
	free(*why);
	*why = NULL;
	ret = vmdk_image_try_open(path, &open, delta, why);
	if (!ret)
		ret = check_delta(*delta, chain, why);
	return ret;
}

static int open_unnamed(const struct vmdk_chain *chain,
			const struct vmdk_chain_options *opt,
			struct vmdk_image **delta, char **why)
{
	struct vmdk_open_options open = opt->open;
	char *path;
	int fd, ret;

	fd = vmdk_child_create_unnamed(chain->links[0], &path, why);
	if (fd < 0)
		return fd;
	open.disk = NULL;
	ret = vmdk_image_open_fd(fd, path, &open, delta, why);
	free(path);
	return ret;
}

/**
 * vmdk_overlay_open - open a chain with a child of its own on top
 * @delta: the child: opened, or made; NULL: one without a name
 * @base: what it is a child of
 * @opt: how the child is opened; the chain below is only read
 * @chain: receives the links; empty on failure
 * @why: receives the reason of a failure, to be freed, or NULL
 *
 * Return: 0 or -errno.
 */
int vmdk_overlay_open(const char *delta, const char *base,
		      const struct vmdk_chain_options *opt,
		      struct vmdk_chain *chain, char **why)
{
	struct vmdk_chain_options below = *opt;
	struct vmdk_image *child = NULL;
	int ret;

	below.open.write = false;
	ret = vmdk_chain_open(base, &below, chain, why);
	if (ret)
		return ret;
	/* before anything is made */
	ret = vmdk_chain_has_room(chain, why);
	if (!ret && delta)
		ret = open_delta(delta, chain, opt, &child, why);
	else if (!ret)
		ret = open_unnamed(chain, opt, &child, why);
	if (!ret)
		ret = vmdk_chain_put_top(chain, child, opt, why);
	if (!ret)
		return 0;
	vmdk_image_close(child);
	vmdk_chain_close(chain);
	return ret;
}
