// SPDX-License-Identifier: GPL-2.0
/*
 * A snapshot of a disk that is in use: a new child is made of what is its top
 * now, and the module puts it there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attach.h"
#include "child.h"
#include "vmdkctl.h"
#include "vmdk_ioctl.h"

/*
 * The content id changes at the first write only, and the top when another snapshot or
 * commit comes in between: once is enough, nearly always.
 */
#define TRIES	5

/* The top of @disk, to read what it is; the module holds it, so it is not locked. */
static int open_top(unsigned int disk, struct vmdk_image **top)
{
	struct vmdk_open_options opt = { 0 };
	char path[SYSFS_VALUE_MAX];
	int ret;

	ret = sysfs_backing_file(disk, path);
	return ret ?: vmdk_image_open(path, &opt, top);
}

static int make_child(const struct vmdk_image *top, const char *new,
		      struct vmdk_image **child)
{
	struct vmdk_open_options opt = { .write = true, .lock = true };
	char *why = NULL;
	int fd, ret;

	fd = vmdk_child_create(new, top, &why);
	ret = fd < 0 ? fd : vmdk_image_open_fd(fd, new, &opt, child, &why);
	if (ret)
		vmdkctl_error("%s", why ? why : strerror(-ret));
	free(why);
	if (fd >= 0 && ret)
		unlink(new);
	return ret;
}

static int push(int control, unsigned int disk, const struct vmdk_image *top,
		const char *new, char **why)
{
	struct vmdk_image *child;
	int ret = make_child(top, new, &child);

	if (ret)
		return ret;
	ret = attach_snapshot(control, disk, top, child, why);
	vmdk_image_close(child);
	if (ret)
		unlink(new);
	return ret;
}

static int try_push(int control, unsigned int disk, const char *new, char **why)
{
	struct vmdk_image *top;
	int ret = open_top(disk, &top);

	if (ret)
		return ret;
	ret = push(control, disk, top, new, why);
	vmdk_image_close(top);
	return ret;
}

/**
 * live_snapshot - put a new child on top of a disk that is in use
 * @disk: N of /dev/vmdkN
 * @new: name of the child, which is made
 *
 * Return: 0, or -errno after a line on stderr; then there is no child.
 */
int live_snapshot(unsigned int disk, const char *new)
{
	int control = open(VMDK_CONTROL_PATH, O_RDWR | O_CLOEXEC);
	int tries, ret = -ESTALE;
	char *why = NULL;

	if (control < 0) {
		ret = -errno;
		vmdkctl_error("%s: %s", VMDK_CONTROL_PATH, strerror(-ret));
		return ret;
	}
	for (tries = 0; tries < TRIES && ret == -ESTALE; tries++) {
		free(why);
		why = NULL;
		ret = try_push(control, disk, new, &why);
	}
	if (ret == -ESTALE && why)
		vmdkctl_error("%s", why);
	else if (ret == -ESTALE)
		vmdkctl_error("vmdk%u: its content id changes all the time",
			      disk);
	free(why);
	close(control);
	return ret;
}
