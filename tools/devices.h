/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Block devices that are extents: only those that the user named.
 */
#ifndef VMDK_DEVICES_H
#define VMDK_DEVICES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/**
 * struct vmdk_device - what --allow-device names
 * @option: the argument, PATH or NAME=PATH
 * @path: PATH in it
 * @name_len: length of NAME, with which @option begins, or of PATH
 * @known: @rdev is known; PATH is looked up when an extent wants it
 * @rdev: number of the device; the same one may have several names
 * @fd: of the device, or -1; held by one of those names
 * @read_only: it cannot be written
 */
struct vmdk_device {
	const char *option, *path;
	size_t name_len;
	bool known;
	dev_t rdev;
	int fd;
	bool read_only;
};

struct vmdk_devices {
	struct vmdk_device *list;
	size_t nr;
};

struct vmdk_opener;
struct vmdk_image_extent;
struct stat;

bool vmdk_device_option(const char *option, size_t *name_len, const char **path);
int vmdk_devices_init(struct vmdk_opener *o);
void vmdk_devices_close(struct vmdk_devices *devices);
int vmdk_device_extent(struct vmdk_opener *o, struct vmdk_image_extent *ext,
		       struct stat *st);

#endif
