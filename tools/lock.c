// SPDX-License-Identifier: GPL-2.0
/*
 * QEMU's image locks, and the lock folders of VMware's hosted products.
 *
 * QEMU (block/file-posix.c) maps each of its permissions to two bytes of the
 * file: a shared lock on byte 100 + n says "I use permission n", one on byte
 * 200 + n says "I cannot bear others to use it".  Nobody holds an exclusive
 * lock; a conflict is found by asking whether one could be had on the opposite
 * byte.  They are locks of the open file, not of the process: they last for as
 * long as anyone, the kernel module included, keeps that file open.
 */
#define _GNU_SOURCE	/* F_OFD_SETLK, asprintf */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lock.h"
#include "path.h"

#define QEMU_USED	100
#define QEMU_UNSHARED	200

#define QEMU_READ	0x1U	/* consistent read */
#define QEMU_WRITE	0x2U
#define QEMU_RESIZE	0x8U
#define QEMU_BITS	4	/* 0x4: writes that change no content */
#define QEMU_WRITE_BIT	1

#define QEMU_WRITER	(QEMU_READ | QEMU_WRITE | QEMU_RESIZE)
#define QEMU_EXCLUSIVE	(QEMU_WRITE | QEMU_RESIZE)	/* others must not */

static int lock_byte(int fd, off_t byte)
{
	struct flock lock = {
		.l_type = F_RDLCK,
		.l_whence = SEEK_SET,
		.l_start = byte,
		.l_len = 1,
	};

	return fcntl(fd, F_OFD_SETLK, &lock) ? -errno : 0;
}

/* Does another open file hold a lock on @byte? */
static int byte_is_held(int fd, off_t byte)
{
	struct flock lock = {
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = byte,
		.l_len = 1,
	};

	if (fcntl(fd, F_OFD_GETLK, &lock))
		return -errno;
	return lock.l_type != F_UNLCK;
}

static int set_locks(int fd, unsigned int used, unsigned int unshared)
{
	unsigned int bit;
	int ret = 0;

	for (bit = 0; !ret && bit < QEMU_BITS; bit++) {
		if (used & (1U << bit))
			ret = lock_byte(fd, QEMU_USED + bit);
		if (!ret && (unshared & (1U << bit)))
			ret = lock_byte(fd, QEMU_UNSHARED + bit);
	}
	return ret;
}

/* First lock, then look: of two that come at once at least one sees the other. */
static int take_locks(int fd, unsigned int used, unsigned int unshared)
{
	unsigned int bit;
	int ret = set_locks(fd, used, unshared);

	for (bit = 0; !ret && bit < QEMU_BITS; bit++) {
		if (unshared & (1U << bit))
			ret = byte_is_held(fd, QEMU_USED + bit);
		if (!ret && (used & (1U << bit)))
			ret = byte_is_held(fd, QEMU_UNSHARED + bit);
	}
	return ret;
}

/**
 * vmdk_lock_image - take the image locks that QEMU and its tools respect
 * @fd: file of the image; the locks go when its last user closes it
 * @write: it will be written; else only writers are excluded
 * @path: its name, for the message
 * @why: receives the reason of a refusal
 *
 * Return: 0; -EBUSY when another program uses the file in a way that conflicts;
 * -errno when the file system has no locks.
 */
int vmdk_lock_image(int fd, bool write, const char *path, char **why)
{
	int ret = take_locks(fd, write ? QEMU_WRITER : QEMU_READ,
			     QEMU_EXCLUSIVE);

	if (ret > 0 || ret == -EAGAIN || ret == -EACCES)
		return vmdk_refuse(why, -EBUSY,
				   "%s: is in use by another program (qemu image lock)",
				   path);
	if (ret)
		return vmdk_refuse(why, ret, "%s: cannot be locked: %s", path,
				   strerror(-ret));
	return 0;
}

/* A lock of an open file, as the kernel prints it: of which file, and which bytes. */
struct lock_line {
	char file[64];
	unsigned long long start, end;
};

static bool parse_lock(const char *line, struct lock_line *lock)
{
	return sscanf(line, "%*d: OFDLCK %*s %*s %*d %63s %llu %llu", lock->file,
		      &lock->start, &lock->end) == 3;
}

/*
 * What /proc/locks calls the file is not always what stat() says of it: on btrfs and
 * in overlays a file has another device than its file system.  So it is read from a
 * lock of our own.
 */
static int find_own_lock(int fd, struct lock_line *own)
{
	char path[64], line[256];
	int ret = -ENOLCK;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (ret && fgets(line, sizeof(line), f))
		if (!strncmp(line, "lock:", 5) && parse_lock(line + 5, own))
			ret = 0;
	fclose(f);
	return ret;
}

/* How many open files, ours among them, have a lock on @byte? */
static int count_locks(int fd, unsigned long long byte)
{
	struct lock_line own, lock;
	char line[256];
	int n = 0, ret;
	FILE *f;

	ret = find_own_lock(fd, &own);
	if (ret)
		return ret;
	f = fopen("/proc/locks", "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f))
		n += parse_lock(line, &lock) && !strcmp(lock.file, own.file) &&
		     lock.start <= byte && lock.end >= byte;
	fclose(f);
	return n;
}

/**
 * vmdk_lock_attached - take the same locks beside an attached disk
 * @fd: file of an image that a disk which is attached has for a parent
 * @write: it will be written
 * @path: its name, for the message
 * @why: receives the reason of a refusal
 *
 * The disk has seen to it that nobody else writes, and may have locks of a writer
 * itself, from before its last snapshot.  One who cannot bear a writer is the disk,
 * and one is who asks; a third is neither.
 *
 * Return: 0; -EBUSY when another program uses the file, too; -errno.
 */
int vmdk_lock_attached(int fd, bool write, const char *path, char **why)
{
	int ret = set_locks(fd, write ? QEMU_WRITER : QEMU_READ, QEMU_EXCLUSIVE);
	int users = 0;

	if (!ret && write)
		users = count_locks(fd, QEMU_UNSHARED + QEMU_WRITE_BIT);
	if (ret || users < 0)
		return vmdk_refuse(why, ret ? ret : users,
				   "%s: cannot be locked: %s", path,
				   strerror(ret ? -ret : -users));
	if (users > 2)
		return vmdk_refuse(why, -EBUSY,
				   "%s: is in use by another program (qemu image lock)",
				   path);
	return 0;
}

/* Hosted products put a file M01234.lck into FILE.lck/ for each user of FILE. */
static int find_lock(DIR *dir, const char *path, char **why)
{
	struct dirent *entry;

	errno = 0;
	while ((entry = readdir(dir)))
		if (!fnmatch("*.lck", entry->d_name, 0))
			return vmdk_refuse(why, -EBUSY,
					   "%s: is locked by a VMware product, or was when it crashed (%s.lck/%s); it may be attached read-only",
					   path, path, entry->d_name);
	if (errno)
		return vmdk_refuse(why, -errno, "%s.lck: cannot be read: %m",
				   path);
	return 0;
}

static int check_lock_folder(const char *path, char **why)
{
	char *name;
	DIR *dir;
	int ret = 0;

	if (asprintf(&name, "%s.lck", path) < 0)
		return vmdk_refuse(why, -ENOMEM, "%s: %s", path,
				   strerror(ENOMEM));
	dir = opendir(name);
	if (dir) {
		ret = find_lock(dir, path, why);
		closedir(dir);
	} else if (errno != ENOENT && errno != ENOTDIR) {
		ret = vmdk_refuse(why, -errno, "%s: cannot be read: %m", name);
	}
	free(name);
	return ret;
}

/**
 * vmdk_check_vmware_lock - does a VMware product have the image open?
 * @path: the image, as the user named it
 * @why: receives the reason of a refusal
 *
 * The lock lies beside the name that the product used: that may be the one that
 * the user gave, or the one that it leads to.
 *
 * Return: 0; -EBUSY when it is locked; -errno when that cannot be known.
 */
int vmdk_check_vmware_lock(const char *path, char **why)
{
	char *real = realpath(path, NULL);
	int ret;

	if (!real)
		return vmdk_refuse(why, -errno, "%s: its folder cannot be found: %m",
				   path);
	ret = check_lock_folder(path, why);
	if (!ret && strcmp(path, real))
		ret = check_lock_folder(real, why);
	free(real);
	return ret;
}
