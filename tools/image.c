// SPDX-License-Identifier: GPL-2.0
/*
 * An image from open to close: the file that the user named (probe.c says what
 * it is) and its extents (extents.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lock.h"
#include "opener.h"
#include "policy.h"

/* The file that the user named: open, lock, and look at it only then. */
static int open_file(struct vmdk_opener *o)
{
	int ret;

	o->img->path = strdup(o->path);
	if (!o->img->path)
		return vmdk_no_memory(o);
	o->img->desc_fd = vmdk_open_named(o->path, o->opt->write ? O_RDWR :
							       O_RDONLY,
					  &o->st, &o->why);
	if (o->img->desc_fd < 0)
		return o->img->desc_fd;
	if (!o->opt->lock)
		return 0;
	ret = vmdk_lock_image(o->img->desc_fd, o->opt->write, o->path, &o->why);
	if (!ret && o->opt->write)
		ret = vmdk_check_vmware_lock(o->path, &o->why);
	if (!ret && fstat(o->img->desc_fd, &o->st))
		ret = vmdk_refuse(&o->why, -errno, "%s: %m", o->path);
	return ret;
}

static int open_image(struct vmdk_opener *o)
{
	struct vmdk_image *img = o->img;
	int ret = open_file(o);

	if (!ret)
		ret = vmdk_probe(o);
	if (ret)
		return ret;
	if (!img->refusal)
		ret = vmdk_policy_supported(&img->desc, o->opt->write, o->path,
					    &o->why);
	if (ret && !o->opt->no_extents)
		return ret;
	if (ret) {
		img->refusal = o->why;
		o->why = NULL;
	}
	return vmdk_open_extents(o);
}

/* Is there anything that a write could change? */
static bool is_writable(const struct vmdk_image *img)
{
	size_t i;

	for (i = 0; i < img->nr_extents; i++)
		if (img->extents[i].access == VMDK_ACCESS_RW &&
		    img->extents[i].kind != VMDK_KIND_ZERO)
			return true;
	return false;
}

static int try_open(const char *path, const struct vmdk_open_options *opt,
		    struct vmdk_image **image)
{
	struct vmdk_opener o = { .path = path, .opt = opt, .folder.fd = -1 };
	int ret = -ENOMEM;

	o.img = calloc(1, sizeof(*o.img));
	if (o.img) {
		o.img->desc_fd = -1;
		ret = open_image(&o);
	}
	vmdk_folder_close(&o.folder);
	if (ret) {
		fprintf(stderr, "vmdkctl: %s\n", o.why ? o.why : strerror(-ret));
		vmdk_image_close(o.img);
		o.img = NULL;
	}
	free(o.why);
	*image = o.img;
	return ret;
}

/**
 * vmdk_image_open - open an image with all its extents
 * @path: the file that the user named
 * @opt: what for
 * @image: receives it; NULL on failure
 *
 * An image without a single extent to write is opened again, read-only, so that
 * nobody is locked out and nothing can be written to it by mistake.
 *
 * Return: 0, or -errno after one line on stderr.
 */
int vmdk_image_open(const char *path, const struct vmdk_open_options *opt,
		    struct vmdk_image **image)
{
	struct vmdk_open_options read_only = *opt;
	int ret = try_open(path, opt, image);

	if (ret || !opt->write || is_writable(*image))
		return ret;
	vmdk_image_close(*image);
	read_only.write = false;
	return try_open(path, &read_only, image);
}

/**
 * vmdk_image_close - close what vmdk_image_open() opened
 * @image: may be NULL
 */
void vmdk_image_close(struct vmdk_image *image)
{
	size_t i;

	if (!image)
		return;
	for (i = 0; i < image->nr_extents; i++) {
		if (image->extents[i].fd >= 0)
			close(image->extents[i].fd);
		free(image->extents[i].path);
		free(image->extents[i].open_error);
	}
	if (image->desc_fd >= 0)
		close(image->desc_fd);
	vmdk_descriptor_free(&image->desc);
	free(image->extents);
	free(image->refusal);
	free(image->text);
	free(image->path);
	free(image);
}
