// SPDX-License-Identifier: GPL-2.0
/*
 * vmdkctl detach: write back what is pending, and remove disks.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "vmdkctl.h"
#include "vmdk_ioctl.h"

/* How long udev may take for the look that it has after each close. */
#define PASSING_TRIES		40
#define PASSING_NANOSECONDS	50000000L

static const char help[] =
"Usage:\n"
" vmdkctl detach [options] DEVICE|FILE...\n"
" vmdkctl detach [options] --all\n"
"\n"
"Write back what is pending, and remove devices.  A FILE stands for all devices\n"
"that it is attached as.\n"
"\n"
"Options:\n"
" -a, --all   detach all devices\n"
" -l, --lazy  a device that is open goes with its last close\n"
" -h, --help  print this text\n";

static int detach_ioctl(int control, unsigned int disk, uint32_t flags)
{
	struct vmdk_detach detach = { .index = disk, .flags = flags };

	return ioctl(control, VMDK_DETACH, &detach) ? -errno : 0;
}

static void report_busy(unsigned int disk, const char *users)
{
	vmdkctl_error("/dev/vmdk%u: in use: %s", disk,
		      users ? users : "by something that /proc does not show");
}

static bool is_folding(unsigned int disk)
{
	char state[SYSFS_VALUE_MAX];

	return !sysfs_read(disk, "vmdk/state", state) &&
	       !strcmp(state, "folding");
}

/* Processes come and go; a mount, swap or a stacked device stays; so does a commit. */
static int detach_busy(int control, unsigned int disk, uint32_t flags)
{
	const struct timespec pause = { .tv_nsec = PASSING_NANOSECONDS };
	bool passing = true;
	char *users = NULL;
	int ret = -EBUSY, i;

	if (is_folding(disk)) {
		report_busy(disk, "by a commit");
		return ret;
	}
	for (i = 0; i < PASSING_TRIES && ret == -EBUSY && passing; i++) {
		free(users);
		nanosleep(&pause, NULL);
		users = users_of_disk(disk, &passing);
		ret = detach_ioctl(control, disk, flags);
	}
	if (ret == -EBUSY)
		report_busy(disk, users);
	free(users);
	return ret;
}

/**
 * detach_disk - detach a disk, and wait for those who only look at it
 * @control: the control node
 * @disk: N of /dev/vmdkN
 * @flags: VMDK_DETACH_*
 *
 * Return: an exit status, after a line on stderr if it is not STATUS_OK.
 */
int detach_disk(int control, unsigned int disk, uint32_t flags)
{
	int ret = detach_ioctl(control, disk, flags);

	if (ret == -EBUSY)
		ret = detach_busy(control, disk, flags);
	if (!ret)
		return STATUS_OK;
	if (ret == -ENXIO)
		vmdkctl_error("/dev/vmdk%u: not attached", disk);
	else if (ret == -EPERM || ret == -EINVAL)
		vmdkctl_error("/dev/vmdk%u: %s", disk, strerror(-ret));
	else if (ret == -EAGAIN)
		vmdkctl_error("/dev/vmdk%u: is being changed by another command",
			      disk);
	else if (ret != -EBUSY)
		vmdkctl_error("/dev/vmdk%u: detached, but writes since the last flush are lost: %s",
			      disk, strerror(-ret));
	return STATUS_FAILED;
}

static int detach_file(int control, const char *path, uint32_t flags)
{
	int status = STATUS_OK, ret;
	unsigned int *disks;
	size_t i, nr;

	ret = sysfs_disks_of_file(path, &disks, &nr);
	if (ret || !nr) {
		vmdkctl_error("%s: %s", path,
			      ret ? strerror(-ret) : "not attached");
		status = STATUS_FAILED;
	}
	for (i = 0; i < nr; i++)
		if (detach_disk(control, disks[i], flags))
			status = STATUS_FAILED;
	free(disks);
	return status;
}

static int detach_all(int control, uint32_t flags)
{
	int status = STATUS_OK, ret;
	unsigned int *disks;
	size_t i, nr;

	ret = sysfs_disks(&disks, &nr);
	if (ret) {
		vmdkctl_error("/sys/block: %s", strerror(-ret));
		status = STATUS_FAILED;
	}
	for (i = 0; i < nr; i++)
		if (detach_disk(control, disks[i], flags))
			status = STATUS_FAILED;
	free(disks);
	return status;
}

static int detach_argument(int control, const char *arg, uint32_t flags)
{
	unsigned int disk;

	switch (sysfs_device(arg, &disk)) {
	case 0:
		return detach_disk(control, disk, flags);
	case -ENOTBLK:
		return detach_file(control, arg, flags);
	case -EINVAL:
		vmdkctl_error("%s: a partition; detach the whole disk, /dev/vmdk%u",
			      arg, disk);
		return STATUS_FAILED;
	default:
		vmdkctl_error("%s: not attached", arg);
		return STATUS_FAILED;
	}
}

static int detach(char **args, bool all, uint32_t flags)
{
	int control = -1, status = STATUS_OK;

	/* without the module there is no disk, and nothing to ask it for */
	if (!access(VMDK_CONTROL_PATH, F_OK) || errno != ENOENT) {
		control = vmdkctl_open_control(false);
		if (control < 0)
			return STATUS_FAILED;
	}
	if (all)
		status = detach_all(control, flags);
	for (; *args; args++)
		if (detach_argument(control, *args, flags))
			status = STATUS_FAILED;
	if (control >= 0)
		close(control);
	return status;
}

int verb_detach(int argc, char **argv)
{
	static const struct option options[] = {
		{ "all", no_argument, NULL, 'a' },
		{ "lazy", no_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	uint32_t flags = 0;
	bool all = false, named;
	int c;

	while ((c = getopt_long(argc, argv, "alh", options, NULL)) != -1) {
		switch (c) {
		case 'a':
			all = true;
			break;
		case 'l':
			flags |= VMDK_DETACH_LAZY;
			break;
		case 'h':
			fputs(help, stdout);
			return STATUS_OK;
		default:
			return vmdkctl_usage("detach");
		}
	}
	named = optind < argc;
	if (all == named) {
		vmdkctl_error(all ? "--all takes no device or file" :
				    "a device or file is needed, or --all");
		return vmdkctl_usage("detach");
	}
	return detach(argv + optind, all, flags);
}
