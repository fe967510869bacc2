// SPDX-License-Identifier: GPL-2.0
/*
 * What /sys/block/vmdkN says, and which disk a user means.
 */
#define _GNU_SOURCE	/* versionsort, basename */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "vmdkctl.h"

/**
 * sysfs_read - read an attribute of a disk
 * @disk: the N of vmdkN
 * @attribute: path below /sys/block/vmdkN
 * @value: receives the text without its newline
 *
 * Return: 0 or -errno.
 */
int sysfs_read(unsigned int disk, const char *attribute,
	       char value[SYSFS_VALUE_MAX])
{
	char path[PATH_MAX];
	ssize_t len;
	int fd, err;

	snprintf(path, sizeof(path), "/sys/block/vmdk%u/%s", disk, attribute);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	len = read(fd, value, SYSFS_VALUE_MAX - 1);
	err = errno;
	close(fd);
	if (len < 0)
		return -err;
	/* one newline only: the name of a file may end in another */
	if (len && value[len - 1] == '\n')
		len--;
	value[len] = '\0';
	return 0;
}

/**
 * sysfs_read_number - read an attribute that is a decimal number
 * @disk: the N of vmdkN
 * @attribute: path below /sys/block/vmdkN
 * @number: receives it
 *
 * Return: 0 or -errno.
 */
int sysfs_read_number(unsigned int disk, const char *attribute,
		      uint64_t *number)
{
	char value[SYSFS_VALUE_MAX], *end;
	int ret = sysfs_read(disk, attribute, value);

	if (ret)
		return ret;
	errno = 0;
	*number = strtoull(value, &end, 10);
	return errno || end == value || *end ? -EINVAL : 0;
}

/* A number as the kernel writes it: %u alone would take blanks and a sign. */
static const char *parse_digits(const char *text, unsigned int *number)
{
	size_t len = strspn(text, "0123456789");

	if (!len || len > 7)
		return NULL;
	*number = strtoul(text, NULL, 10);
	return text + len;
}

/**
 * sysfs_parse_name - is this the kernel's name of a disk or partition?
 * @name: vmdkN or vmdkNpM
 * @disk: receives the N
 * @partition: receives whether it was the latter
 *
 * Return: 0, or -EINVAL when it is something else.
 */
int sysfs_parse_name(const char *name, unsigned int *disk, bool *partition)
{
	unsigned int number;

	*partition = false;
	if (strncmp(name, "vmdk", 4))
		return -EINVAL;
	name = parse_digits(name + 4, disk);
	if (!name)
		return -EINVAL;
	if (!*name)
		return 0;
	*partition = true;
	name = *name == 'p' ? parse_digits(name + 1, &number) : NULL;
	return name && !*name ? 0 : -EINVAL;
}

static int is_disk(const struct dirent *entry)
{
	unsigned int disk;
	bool partition;

	return !sysfs_parse_name(entry->d_name, &disk, &partition) &&
	       !partition;
}

static bool is_attached(unsigned int disk)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/block/vmdk%u/vmdk", disk);
	return !access(path, F_OK);
}

/**
 * sysfs_disks - find all disks
 * @disks: receives an array in ascending order, to be given to free()
 * @nr: receives its length
 *
 * Return: 0 or -errno.
 */
int sysfs_disks(unsigned int **disks, size_t *nr)
{
	struct dirent **entries;
	bool partition;
	int i, n;

	*nr = 0;
	*disks = NULL;
	n = scandir("/sys/block", &entries, is_disk, versionsort);
	if (n < 0)
		return -errno;
	*disks = vmdkctl_grow(NULL, n, sizeof(**disks));
	for (i = 0; i < n; i++) {
		if (!sysfs_parse_name(entries[i]->d_name, &(*disks)[*nr],
				      &partition) &&
		    is_attached((*disks)[*nr]))
			(*nr)++;
		free(entries[i]);
	}
	free(entries);
	return 0;
}

static bool has_backing_file(unsigned int disk, const char *path,
			     const struct stat *st)
{
	char value[SYSFS_VALUE_MAX];
	struct stat backing;

	if (sysfs_read(disk, "vmdk/backing_file", value))
		return false;
	if (!strcmp(value, path))
		return true;
	/* by another of its names, a hard link or a bind mount */
	return st && !stat(value, &backing) && backing.st_dev == st->st_dev &&
	       backing.st_ino == st->st_ino;
}

/**
 * sysfs_disks_of_file - find the disks that a file is attached as
 * @path: the file, by any name; it may be gone
 * @disks: receives an array in ascending order, to be given to free()
 * @nr: receives its length
 *
 * Return: 0 or -errno.
 */
int sysfs_disks_of_file(const char *path, unsigned int **disks, size_t *nr)
{
	char *real = realpath(path, NULL);
	size_t i, found = 0;
	struct stat st;
	bool exists;
	int ret;

	ret = sysfs_disks(disks, nr);
	exists = !stat(path, &st);
	for (i = 0; !ret && i < *nr; i++)
		if (has_backing_file((*disks)[i], real ? real : path,
				     exists ? &st : NULL))
			(*disks)[found++] = (*disks)[i];
	*nr = found;
	free(real);
	return ret;
}

/* The kernel's name of the block device that a node stands for. */
static int name_of_node(dev_t dev, char name[NAME_MAX + 1])
{
	char path[64], target[PATH_MAX];
	ssize_t len;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(dev),
		 minor(dev));
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return -errno;
	target[len] = '\0';
	snprintf(name, NAME_MAX + 1, "%s", basename(target));
	return 0;
}

/**
 * sysfs_device - which disk does the user mean, if a device at all?
 * @arg: a path below /dev, a link to one, or the kernel's name
 * @disk: receives the N of vmdkN
 *
 * Return: 0; -ENXIO for a device that is not ours or not attached; -EINVAL for
 * a partition; -ENOTBLK when @arg is no device.
 */
int sysfs_device(const char *arg, unsigned int *disk)
{
	char name[NAME_MAX + 1];
	bool partition;
	struct stat st;

	snprintf(name, sizeof(name), "%s",
		 strncmp(arg, "/dev/", 5) ? arg : arg + 5);
	if (sysfs_parse_name(name, disk, &partition)) {
		if (stat(arg, &st))
			return strncmp(arg, "/dev/", 5) ? -ENOTBLK : -ENXIO;
		if (!S_ISBLK(st.st_mode))
			return -ENOTBLK;
		if (name_of_node(st.st_rdev, name) ||
		    sysfs_parse_name(name, disk, &partition))
			return -ENXIO;
	}
	if (partition)
		return -EINVAL;
	return is_attached(*disk) ? 0 : -ENXIO;
}

/**
 * sysfs_device_or_file - the same, for verbs that take nothing else
 * @arg: a path below /dev, a link to one, or the kernel's name; or a file's path
 * @disk: receives the N of vmdkN
 *
 * Return: 0; -ENOTBLK when @arg is no device; or -errno after a line on stderr.
 */
int sysfs_device_or_file(const char *arg, unsigned int *disk)
{
	int ret = sysfs_device(arg, disk);

	if (ret == -EINVAL)
		vmdkctl_error("%s: is a partition, name the disk", arg);
	else if (ret && ret != -ENOTBLK)
		vmdkctl_error("%s: is no attached disk", arg);
	return ret;
}

/**
 * sysfs_backing_file - where the file of a disk is
 * @disk: the N of vmdkN
 * @path: receives it
 *
 * Return: 0, or -errno after a line on stderr.
 */
int sysfs_backing_file(unsigned int disk, char path[SYSFS_VALUE_MAX])
{
	int ret = sysfs_read(disk, "vmdk/backing_file", path);

	if (ret)
		vmdkctl_error("/dev/vmdk%u: its file cannot be found: %s", disk,
			      strerror(-ret));
	return ret;
}
