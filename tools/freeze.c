// SPDX-License-Identifier: GPL-2.0
/*
 * File systems on a disk are stopped for a moment, so that all of what they know is
 * on the disk, and nothing of it half.
 *
 * No signal that can be held back gets in between: a file system that is not let
 * go on stops all who write to it.
 */
#define _GNU_SOURCE	/* statx */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/fs.h>

#include "vmdkctl.h"

static void hold_signals(int how)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(how, &all, NULL);
}

/* What stat() says instead is not the same in all of a btrfs. */
static dev_t device_of(const struct statx *stx, const struct mounts *mounts)
{
	size_t i;

	for (i = 0; i < mounts->nr; i++)
		if (mounts->list[i].id == stx->stx_mnt_id)
			return mounts->list[i].dev;
	return makedev(stx->stx_dev_major, stx->stx_dev_minor);
}

/* The file system that @path lies on, or will. */
static int find_device(const char *path, const struct mounts *mounts, dev_t *dev)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? vmdkctl_format("%.*s", (int)(slash - path + 1),
					      path) :
			       vmdkctl_format(".");
	struct statx stx;
	int ret = statx(AT_FDCWD, folder, 0, STATX_MNT_ID, &stx) ? -errno : 0;

	if (ret)
		vmdkctl_error("%s: %s", folder, strerror(-ret));
	else
		*dev = device_of(&stx, mounts);
	free(folder);
	return ret;
}

static bool is_frozen(const struct frozen *frozen, dev_t dev)
{
	size_t i;

	for (i = 0; i < frozen->nr; i++)
		if (frozen->list[i].dev == dev)
			return true;
	return false;
}

/* Another file system may have been mounted over it. */
static int open_mount(const struct mount_point *mount)
{
	int fd = open(mount->target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statx stx;
	int ret;

	if (fd < 0)
		return -errno;
	ret = statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) ? -errno : 0;
	if (!ret && stx.stx_mnt_id == mount->id)
		return fd;
	close(fd);
	return ret ? ret : -ESTALE;
}

/* Wherever @dev is mounted will do. */
static int open_any(const struct mounts *mounts, dev_t dev)
{
	int fd, ret = 0;
	size_t i;

	for (i = 0; i < mounts->nr; i++) {
		if (mounts->list[i].dev != dev)
			continue;
		fd = open_mount(&mounts->list[i]);
		if (fd >= 0)
			return fd;
		ret = ret ? ret : fd;
	}
	return ret;
}

static int freeze(const struct mounts *mounts, dev_t dev, struct frozen *frozen)
{
	int fd = open_any(mounts, dev), ret;

	if (fd < 0)
		return fd;
	if (ioctl(fd, FIFREEZE, 0)) {
		ret = -errno;
		close(fd);
		return ret;
	}
	frozen->list = vmdkctl_grow(frozen->list, frozen->nr + 1,
				    sizeof(*frozen->list));
	frozen->list[frozen->nr++] = (struct frozen_fs){ fd, dev };
	return 0;
}

static const char *reason(int err)
{
	switch (err) {
	case -EDEADLK:
		return "the new file is to lie there";
	case -ESTALE:
		return "another file system is mounted over it";
	}
	return strerror(-err);
}

static int freeze_mount(const struct mounts *mounts,
			const struct mount_point *mount, dev_t keep,
			struct frozen *frozen)
{
	int ret;

	if (is_frozen(frozen, mount->dev))
		return 0;
	ret = mount->dev == keep ? -EDEADLK :
				   freeze(mounts, mount->dev, frozen);
	if (ret)
		vmdkctl_error("%s: cannot be frozen: %s", mount->target,
			      reason(ret));
	return ret;
}

/**
 * freeze_lies_on - would a disk have to wait for a file system that waits for it?
 * @disk: the N of vmdkN
 * @path: a file that is about to be made, and to be written through the disk
 *
 * The module looks at that, too, but not at all that a file system can lie on.
 *
 * Return: 0, or -EDEADLK or another -errno after a line on stderr.
 */
int freeze_lies_on(unsigned int disk, const char *path)
{
	struct mounts mounts;
	dev_t dev;
	size_t i;
	int ret;

	mounts_read(disk, &mounts);
	ret = find_device(path, &mounts, &dev);
	for (i = 0; i < mounts.nr && !ret; i++)
		if (mounts.list[i].of_disk && mounts.list[i].dev == dev)
			ret = -EDEADLK;
	mounts_free(&mounts);
	if (ret == -EDEADLK)
		vmdkctl_error("%s: would lie on the disk itself", path);
	return ret;
}

/**
 * freeze_disk - stop the file systems that are mounted from a disk
 * @disk: the N of vmdkN
 * @path: a file that is about to be written, and must not lie on one of them
 * @frozen: receives what freeze_thaw() needs
 *
 * Return: 0, or -errno after a line on stderr; then nothing is stopped.
 */
int freeze_disk(unsigned int disk, const char *path, struct frozen *frozen)
{
	struct mounts mounts;
	dev_t keep;
	size_t i;
	int ret;

	memset(frozen, 0, sizeof(*frozen));
	mounts_read(disk, &mounts);
	ret = find_device(path, &mounts, &keep);
	if (!ret) {
		hold_signals(SIG_BLOCK);
		for (i = 0; i < mounts.nr && !ret; i++)
			if (mounts.list[i].of_disk)
				ret = freeze_mount(&mounts, &mounts.list[i],
						   keep, frozen);
		if (ret)
			freeze_thaw(frozen);
	}
	mounts_free(&mounts);
	return ret;
}

/**
 * freeze_thaw - let them go on
 * @frozen: from freeze_disk()
 */
void freeze_thaw(struct frozen *frozen)
{
	size_t i;

	for (i = 0; i < frozen->nr; i++) {
		if (ioctl(frozen->list[i].fd, FITHAW, 0))
			vmdkctl_error("a file system cannot be thawed: %s",
				      strerror(errno));
		close(frozen->list[i].fd);
	}
	free(frozen->list);
	memset(frozen, 0, sizeof(*frozen));
	hold_signals(SIG_UNBLOCK);
}
