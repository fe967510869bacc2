// SPDX-License-Identifier: GPL-2.0
/*
 * An image from open to close: the file that the user named (probe.c says what
 * it is), or a disk in it if it is an OVA, and its extents (extents.c).
 */
#define _GNU_SOURCE	/* asprintf */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lock.h"
#include "opener.h"
#include "ova.h"
#include "policy.h"
#include "tar.h"

static int open_or_take(struct vmdk_opener *o)
{
	int flags = o->opt->write ? O_RDWR : O_RDONLY;

	if (o->fd < 0) {
		o->img->desc_fd = vmdk_open_named(o->path, flags, &o->st,
						  &o->why);
		return o->img->desc_fd < 0 ? o->img->desc_fd : 0;
	}
	o->img->desc_fd = o->fd;
	return vmdk_check_regular(o->fd, o->path, &o->st, &o->why);
}

/**
 * vmdk_opener_lock - take the locks of a file of an image
 * @o: the image, with the reason of a refusal afterwards
 * @fd: the file
 * @write: it will be written
 * @path: its name, for the message
 *
 * Return: 0 or -errno.
 */
int vmdk_opener_lock(struct vmdk_opener *o, int fd, bool write, const char *path)
{
	if (o->opt->attached)
		return vmdk_lock_attached(fd, write, path, &o->why);
	return vmdk_lock_image(fd, write, path, &o->why);
}

/* The file that the user named: open, lock, and look at it only then. */
static int open_file(struct vmdk_opener *o)
{
	int ret = open_or_take(o);

	if (ret)
		return ret;
	o->img->path = strdup(o->file);
	if (!o->img->path)
		return vmdk_no_memory(o);
	if (!o->opt->lock)
		return 0;
	ret = vmdk_opener_lock(o, o->img->desc_fd, o->opt->write, o->path);
	/* one that comes open and is to be written has no name yet */
	if (!ret && o->opt->write && o->fd < 0)
		ret = vmdk_check_vmware_lock(o->path, &o->why);
	if (!ret && fstat(o->img->desc_fd, &o->st))
		ret = vmdk_refuse(&o->why, -errno, "%s: %m", o->path);
	return ret;
}

/* From here on the image is a part of the file, and messages say which. */
static int take_member(struct vmdk_opener *o, const struct vmdk_ova_disk *disk)
{
	if (disk->refusal) {
		o->why = strdup(disk->refusal);
		return -EOPNOTSUPP;
	}
	o->img->member = strdup(disk->name);
	if (!o->img->member ||
	    asprintf(&o->label, "%s:%s", o->file, disk->name) < 0) {
		o->label = NULL;
		return vmdk_no_memory(o);
	}
	o->path = o->label;
	o->place.path = o->label;
	o->img->member_offset = disk->offset;
	o->img->member_bytes = disk->size;
	o->place.part.base = disk->offset;
	o->place.part.bytes = disk->size;
	if (!disk->windows.nr)
		return 0;
	/* they outlive the list of the disks */
	if (vmdk_windows_copy(&o->img->windows, &disk->windows))
		return vmdk_no_memory(o);
	o->place.part.windows = &o->img->windows;
	o->place.part.base = 0;
	return 0;
}

static int find_member(struct vmdk_opener *o)
{
	struct vmdk_ova ova;
	size_t index;
	int ret;

	if (o->opt->ova_disk)
		return take_member(o, o->opt->ova_disk);
	ret = vmdk_ova_read(o->img->desc_fd, o->st.st_size, o->file, &ova,
			    &o->why);
	if (ret)
		return ret;
	ret = vmdk_ova_choose(&ova, o->opt->disk, o->file, &index, &o->why);
	if (!ret)
		ret = take_member(o, &ova.disks[index]);
	vmdk_ova_free(&ova);
	return ret;
}

/* Where in the file is the image? */
static int find_image(struct vmdk_opener *o)
{
	char block[VMDK_TAR_BLOCK];
	int ret;

	o->place = (struct vmdk_place){
		.part = { .fd = o->img->desc_fd, .bytes = o->st.st_size },
		.path = o->file,
	};
	ret = vmdk_read_start(o, &o->place, block, sizeof(block));
	if (ret)
		return ret;
	if (vmdk_is_tar(block, sizeof(block)))
		return find_member(o);
	/* A compressed one is refused by its name, in vmdk_probe(). */
	if (o->opt->disk && !o->opt->may_lack_disk && memcmp(block, "\x1f\x8b", 2))
		return vmdk_refuse(&o->why, -ENOENT,
				   "%s: is not an OVA, so that there is no disk \"%s\" in it",
				   o->file, o->opt->disk);
	return 0;
}

static int open_image(struct vmdk_opener *o)
{
	struct vmdk_image *img = o->img;
	int ret = open_file(o);

	if (!ret)
		ret = find_image(o);
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

/*
 * Is there anything that a write could change?  Of a disk that is declared
 * writable and is so in part only, no part is.
 */
static bool is_writable(const struct vmdk_image *img)
{
	bool writable = false;
	size_t i;

	for (i = 0; i < img->nr_extents; i++) {
		const struct vmdk_image_extent *ext = &img->extents[i];

		if (ext->access != VMDK_ACCESS_RW || ext->kind == VMDK_KIND_ZERO)
			continue;
		if (ext->read_only)
			return false;
		writable = true;
	}
	return writable;
}

static void note_read_only(struct vmdk_image *img)
{
	size_t i;

	for (i = 0; i < img->nr_extents && !img->read_only; i++)
		img->read_only = img->extents[i].read_only;
}

/*
 * Is the file one that is never written?  Then it is not opened for writing in
 * the first place, so that it can be used by others at the same time.  What it
 * really is will be seen when it is open and locked.
 */
static bool is_never_written(const char *path)
{
	struct vmdk_sparse_header header = { 0 };
	char *why = NULL;
	struct stat st;
	ssize_t size;
	u32 magic;
	int fd;

	fd = vmdk_open_named(path, O_RDONLY, &st, &why);
	free(why);
	if (fd < 0)
		return false;
	size = pread(fd, &header, sizeof(header), 0);
	close(fd);
	if (size != sizeof(header))
		return false;
	magic = le32_to_cpu(header.magic);
	return vmdk_is_tar(&header, sizeof(header)) ||
	       (magic == VMDK_MAGIC_SPARSE &&
		le32_to_cpu(header.flags) & VMDK_FLAG_COMPRESSED);
}

/* @fd: the file, or -1 to open @path; taken in any case. */
static int try_open(int fd, const char *path,
		    const struct vmdk_open_options *opt,
		    struct vmdk_image **image, char **why)
{
	struct vmdk_opener o = {
		.file = path, .fd = fd, .path = path, .opt = opt,
		.folder.fd = -1,
	};
	int ret = -ENOMEM;

	o.img = calloc(1, sizeof(*o.img));
	if (o.img) {
		o.img->desc_fd = -1;
		ret = open_image(&o);
	} else if (fd >= 0) {
		close(fd);
	}
	vmdk_folder_close(&o.folder);
	if (!ret)
		note_read_only(o.img);
	if (ret) {
		vmdk_image_close(o.img);
		o.img = NULL;
	}
	*why = o.why;
	free(o.label);
	*image = o.img;
	return ret;
}

/**
 * vmdk_image_open_fd - open an image whose file is open
 * @fd: the file, opened as @opt says; closed on failure, too
 * @path: its name for messages; where it has extents besides, its real one
 * @opt: what for
 * @image: receives it; NULL on failure
 * @why: receives the reason of a failure, to be freed, or NULL
 *
 * Return: 0 or -errno.
 */
int vmdk_image_open_fd(int fd, const char *path,
		       const struct vmdk_open_options *opt,
		       struct vmdk_image **image, char **why)
{
	return try_open(fd, path, opt, image, why);
}

/**
 * vmdk_image_try_open - open an image with all its extents
 * @path: the file that the user named
 * @opt: what for
 * @image: receives it; NULL on failure
 * @why: receives the reason of a failure, to be freed, or NULL
 *
 * An image without a single extent to write is opened again, read-only, so that
 * nobody is locked out and nothing can be written to it by mistake.  So is one
 * that has an extent of a kind that is only read; @image->read_only says why.
 *
 * Return: 0 or -errno.
 */
int vmdk_image_try_open(const char *path, const struct vmdk_open_options *opt,
			struct vmdk_image **image, char **why)
{
	struct vmdk_open_options read_only = *opt;
	int ret;

	read_only.write = false;
	if (!opt->write || is_never_written(path))
		return try_open(-1, path, &read_only, image, why);
	ret = try_open(-1, path, opt, image, why);
	if (ret || is_writable(*image))
		return ret;
	vmdk_image_close(*image);
	return try_open(-1, path, &read_only, image, why);
}

/**
 * vmdk_image_open - open an image, or say why not
 * @path: the file that the user named
 * @opt: what for
 * @image: receives it; NULL on failure
 *
 * Return: 0, or -errno after one line on stderr.
 */
int vmdk_image_open(const char *path, const struct vmdk_open_options *opt,
		    struct vmdk_image **image)
{
	char *why = NULL;
	int ret = vmdk_image_try_open(path, opt, image, &why);

	if (ret)
		fprintf(stderr, "vmdkctl: %s\n", why ? why : strerror(-ret));
	free(why);
	return ret;
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
		if (image->extents[i].fd >= 0 &&
		    image->extents[i].kind != VMDK_KIND_DEVICE)
			close(image->extents[i].fd);
		free(image->extents[i].path);
		free(image->extents[i].open_error);
	}
	vmdk_devices_close(&image->devices);
	if (image->desc_fd >= 0)
		close(image->desc_fd);
	vmdk_descriptor_free(&image->desc);
	vmdk_windows_free(&image->windows);
	free(image->extents);
	free(image->refusal);
	free(image->text);
	free(image->path);
	free(image->member);
	free(image);
}
