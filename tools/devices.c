// SPDX-License-Identifier: GPL-2.0
/*
 * Block devices that are extents.
 *
 * What a descriptor calls a device is only compared with what the user allowed;
 * it is never opened.  Each device is opened once, however many extents are parts
 * of it: for writing it is claimed, and a claim excludes every other one.
 */
#define _GNU_SOURCE	/* O_PATH */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/fs.h>
#include <unistd.h>

#include "opener.h"

#define READ_ONLY	"a device that it is made of is read-only"

/**
 * vmdk_device_option - what does an --allow-device say?
 * @option: PATH or NAME=PATH; PATH is absolute
 * @name_len: receives the length of NAME, or of PATH alone
 * @path: receives PATH
 *
 * Return: false when it is neither.
 */
bool vmdk_device_option(const char *option, size_t *name_len, const char **path)
{
	const char *p, *equal = NULL;

	for (p = strstr(option, "=/"); p; p = strstr(p + 1, "=/"))
		equal = p;
	if (!equal) {
		*name_len = strlen(option);
		*path = option;
		return option[0] == '/';
	}
	*name_len = (size_t)(equal - option);
	*path = equal + 1;
	return equal != option;
}

/**
 * vmdk_devices_init - note the devices that may be used
 * @o: what is being opened
 *
 * Return: 0 or -ENOMEM.
 */
int vmdk_devices_init(struct vmdk_opener *o)
{
	struct vmdk_devices *devices = &o->img->devices;
	char **option = o->opt->allow_devices;
	size_t nr = 0;

	while (option && option[nr])
		nr++;
	devices->list = calloc(nr + 1, sizeof(*devices->list));
	if (!devices->list)
		return vmdk_no_memory(o);
	for (; nr; nr--, option++) {
		struct vmdk_device *dev = &devices->list[devices->nr];

		dev->option = *option;
		dev->fd = -1;
		if (vmdk_device_option(*option, &dev->name_len, &dev->path))
			devices->nr++;
	}
	return 0;
}

/**
 * vmdk_devices_close - undo what vmdk_device_extent() did
 * @devices: empty afterwards
 */
void vmdk_devices_close(struct vmdk_devices *devices)
{
	size_t i;

	for (i = 0; i < devices->nr; i++)
		if (devices->list[i].fd >= 0)
			close(devices->list[i].fd);
	free(devices->list);
	memset(devices, 0, sizeof(*devices));
}

/* --------------------------------------------------------------- which one */

static bool may_be_device(enum vmdk_extent_type type)
{
	return type == VMDK_TYPE_FLAT || type == VMDK_TYPE_VMFSRAW ||
	       type == VMDK_TYPE_VMFSRDM;
}

/* What the user allowed for an extent of that name, or NULL. */
static struct vmdk_device *find_allowed(struct vmdk_devices *devices,
					const struct vmdk_desc_extent *desc)
{
	size_t i;

	if (!desc->name || !may_be_device(desc->type))
		return NULL;
	for (i = 0; i < devices->nr; i++) {
		struct vmdk_device *dev = &devices->list[i];

		if (strlen(desc->name) == dev->name_len &&
		    !memcmp(desc->name, dev->option, dev->name_len))
			return dev;
	}
	return NULL;
}

/* Looking at a node opens no device. */
static int identify(struct vmdk_device *dev, char **why)
{
	struct stat st;
	int fd;

	if (dev->known)
		return 0;
	fd = open(dev->path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return vmdk_refuse(why, -errno, "%s: cannot be opened: %m",
				   dev->path);
	if (fstat(fd, &st)) {
		close(fd);
		return vmdk_refuse(why, -errno, "%s: cannot be examined: %m",
				   dev->path);
	}
	close(fd);
	if (!S_ISBLK(st.st_mode))
		return vmdk_refuse(why, -EINVAL, "%s: is not a block device",
				   dev->path);
	dev->rdev = st.st_rdev;
	dev->known = true;
	return 0;
}

/* Of the names of a device, the one that holds it, or @dev. */
static struct vmdk_device *holder_of(struct vmdk_devices *devices,
				     struct vmdk_device *dev)
{
	size_t i;

	for (i = 0; i < devices->nr; i++)
		if (devices->list[i].fd >= 0 &&
		    devices->list[i].rdev == dev->rdev)
			return &devices->list[i];
	return dev;
}

/* ----------------------------------------------------------------- opening */

/* Is there any part of it that shall be written? */
static bool is_written(struct vmdk_opener *o, const struct vmdk_device *dev)
{
	struct vmdk_image *img = o->img;
	size_t i;

	for (i = 0; i < img->nr_extents; i++) {
		struct vmdk_device *other;
		char *why = NULL;
		int ret;

		if (img->extents[i].access != VMDK_ACCESS_RW)
			continue;
		other = find_allowed(&img->devices, img->extents[i].desc);
		if (!other)
			continue;
		/* what is wrong with another one is said when its turn comes */
		ret = identify(other, &why);
		free(why);
		if (!ret && other->rdev == dev->rdev)
			return true;
	}
	return false;
}

/* The node may have been replaced since it was looked at. */
static int open_same(struct vmdk_device *dev, int flags, char **why)
{
	struct stat st;
	int fd = vmdk_open_device(dev->path, flags, &st, why);

	if (fd < 0 || st.st_rdev == dev->rdev)
		return fd;
	close(fd);
	return vmdk_refuse(why, -ENODEV, "%s: has become another device",
			   dev->path);
}

/*
 * Some drivers let a device that is read-only be opened for writing, and fail the
 * writes: so it is asked first.
 */
static int open_device(struct vmdk_opener *o, struct vmdk_device *dev)
{
	int fd = open_same(dev, O_RDONLY, &o->why);
	int read_only = 0;

	if (fd < 0)
		return fd;
	if (ioctl(fd, BLKROGET, &read_only)) {
		close(fd);
		return vmdk_refuse(&o->why, -errno, "%s: cannot be examined: %m",
				   dev->path);
	}
	dev->read_only = read_only;
	if (!read_only && is_written(o, dev)) {
		close(fd);
		fd = open_same(dev, O_RDWR, &o->why);
		if (fd < 0)
			return fd;
	}
	dev->fd = fd;
	return 0;
}

/**
 * vmdk_device_extent - use a device for an extent, if the user allowed it
 * @o: what is being opened
 * @ext: the extent
 * @st: receives the attributes of the device
 *
 * The image holds the device; @ext->fd is borrowed.
 *
 * Return: 1; 0 when the user allowed no device for it; -errno.
 */
int vmdk_device_extent(struct vmdk_opener *o, struct vmdk_image_extent *ext,
		       struct stat *st)
{
	struct vmdk_device *dev = find_allowed(&o->img->devices, ext->desc);
	int ret;

	if (!dev)
		return 0;
	ext->path = strdup(dev->path);
	if (!ext->path)
		return vmdk_no_memory(o);
	ret = identify(dev, &o->why);
	if (ret)
		return ret;
	dev = holder_of(&o->img->devices, dev);
	if (dev->fd < 0)
		ret = open_device(o, dev);
	if (!ret && fstat(dev->fd, st))
		ret = vmdk_refuse(&o->why, -errno, "%s: cannot be examined: %m",
				  ext->path);
	if (ret)
		return ret;
	ext->kind = VMDK_KIND_DEVICE;
	ext->fd = dev->fd;
	if (dev->read_only && ext->desc->access == VMDK_ACCESS_RW)
		ext->read_only = READ_ONLY;
	return 1;
}
