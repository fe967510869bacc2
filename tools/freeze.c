// SPDX-License-Identifier: GPL-2.0
/*
 * File systems on a disk are stopped for a moment, so that all of what they know is
 * on the disk, and nothing of it half.
 *
 * No signal that can be held back gets in between: a file system that is not let
 * go on stops all who write to it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/fs.h>

#include "vmdkctl.h"

static void hold_signals(int how)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(how, &all, NULL);
}

/* The file system that @path lies on, or will. */
static int find_device(const char *path, dev_t *dev)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? vmdkctl_format("%.*s", (int)(slash - path + 1),
					      path) :
			       vmdkctl_format(".");
	struct stat st;
	int ret = stat(folder, &st) ? -errno : 0;

	if (ret)
		vmdkctl_error("%s: %s", folder, strerror(-ret));
	else
		*dev = st.st_dev;
	free(folder);
	return ret;
}

static bool is_frozen(const struct frozen *frozen, dev_t dev)
{
	struct stat st;
	size_t i;

	for (i = 0; i < frozen->nr; i++)
		if (!fstat(frozen->fds[i], &st) && st.st_dev == dev)
			return true;
	return false;
}

static int freeze_folder(const char *folder, dev_t keep, struct frozen *frozen)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	int ret = 0;

	if (fd < 0 || fstat(fd, &st))
		ret = -errno;
	if (!ret && st.st_dev == keep)
		ret = -EDEADLK;
	if (!ret && !is_frozen(frozen, st.st_dev)) {
		if (!ioctl(fd, FIFREEZE, 0)) {
			frozen->fds = vmdkctl_grow(frozen->fds, frozen->nr + 1,
						   sizeof(*frozen->fds));
			frozen->fds[frozen->nr++] = fd;
			return 0;
		}
		ret = -errno;
	}
	if (ret)
		vmdkctl_error("%s: cannot be frozen: %s", folder,
			      ret == -EDEADLK ? "the new file is to lie there" :
						strerror(-ret));
	if (fd >= 0)
		close(fd);
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
	char **folders;
	dev_t dev;
	size_t i;
	int ret;

	memset(frozen, 0, sizeof(*frozen));
	ret = find_device(path, &dev);
	if (ret)
		return ret;
	folders = mounts_of_disk(disk);
	hold_signals(SIG_BLOCK);
	for (i = 0; folders && folders[i]; i++) {
		if (!ret)
			ret = freeze_folder(folders[i], dev, frozen);
		free(folders[i]);
	}
	free(folders);
	if (ret)
		freeze_thaw(frozen);
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
		if (ioctl(frozen->fds[i], FITHAW, 0))
			vmdkctl_error("a file system cannot be thawed: %s",
				      strerror(errno));
		close(frozen->fds[i]);
	}
	free(frozen->fds);
	memset(frozen, 0, sizeof(*frozen));
	hold_signals(SIG_UNBLOCK);
}
