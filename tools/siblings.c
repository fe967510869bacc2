// SPDX-License-Identifier: GPL-2.0
/*
 * Other children of an image that is about to be written: they would be children
 * of what is no longer there.
 *
 * Whoever is attached holds its parents, and the module refuses.  Of all others
 * only those can be known that lie beside the images.
 */
#define _GNU_SOURCE	/* asprintf */
#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>

#include "commit.h"
#include "vmdkctl.h"

/* The links of the chain that is committed are no others. */
static bool is_link(const struct vmdk_chain *images,
		    const struct vmdk_image *image)
{
	size_t i;

	for (i = 0; i < images->nr; i++)
		if (vmdk_same_file(images->links[i], image))
			return true;
	return false;
}

/* The top and its parent, or the parent alone: whose child is it? */
static int check_image(const struct vmdk_chain *images, size_t parent,
		       const struct vmdk_chain_options *opt,
		       struct vmdk_image *image)
{
	size_t i;

	for (i = 0; i <= parent; i++) {
		if (!vmdk_is_child_of(image, images->links[i], opt))
			continue;
		vmdkctl_error("%s: is a child of %s, too, and could not be used any more",
			      image->path, images->links[i]->path);
		return -EBUSY;
	}
	return 0;
}

/* What cannot be opened as an image is nobody's child. */
static int check_file(const struct vmdk_chain *images, size_t parent,
		      const struct vmdk_chain_options *opt, const char *path)
{
	struct vmdk_open_options look = { .no_extents = true };
	struct vmdk_image *image;
	char *why = NULL;
	int ret = 0;

	if (!vmdk_image_try_open(path, &look, &image, &why)) {
		if (!is_link(images, image))
			ret = check_image(images, parent, opt, image);
		vmdk_image_close(image);
	}
	free(why);
	return ret;
}

static int check_folder(const struct vmdk_chain *images, size_t parent,
			const struct vmdk_chain_options *opt, const char *folder)
{
	struct dirent *entry;
	DIR *dir = opendir(folder);
	int ret = 0;

	if (!dir) {
		ret = -errno;
		vmdkctl_error("%s: cannot be searched for other children: %s",
			      folder, strerror(-ret));
		return ret;
	}
	while (!ret && (entry = readdir(dir))) {
		char *path;

		if (fnmatch("*.[vV][mM][dD][kK]", entry->d_name, 0))
			continue;
		path = vmdkctl_format("%s/%s", folder, entry->d_name);
		ret = check_file(images, parent, opt, path);
		free(path);
	}
	closedir(dir);
	return ret;
}

/**
 * commit_check_children - is there another child of what is about to change?
 * @images: those of the disk
 * @parent: the one that is about to be written; what is above goes
 * @opt: where parents may lie
 *
 * Return: 0, or -errno after a line on stderr that names it.
 */
int commit_check_children(const struct vmdk_chain *images, size_t parent,
			  const struct vmdk_chain_options *opt)
{
	size_t i;
	int ret = 0;

	for (i = 0; i <= parent && !ret; i++) {
		char *path = realpath(images->links[i]->path, NULL);

		if (!path) {
			ret = -errno;
			vmdkctl_error("%s: %s", images->links[i]->path,
				      strerror(-ret));
			break;
		}
		ret = check_folder(images, parent, opt, dirname(path));
		free(path);
	}
	return ret;
}
