// SPDX-License-Identifier: GPL-2.0
/*
 * vmdkctl resize: a disk with more or fewer sectors.  What is in what order, and
 * why, stands at the head of vmdk_resize.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "attach.h"
#include "retext.h"
#include "vmdkctl.h"
#include "vmdk_ioctl.h"

/* What a piece of a disk split into pieces of 2 GB may have. */
#define PIECE_SECTORS	(4U << 20)

static const char help[] =
"Usage:\n"
" vmdkctl resize [options] DEVICE|FILE SIZE\n"
"\n"
"Give a disk another capacity: SIZE bytes, or with a + in front, so many more.  SIZE\n"
"is a multiple of 512, and may have a suffix: K, M, G, T.  A DEVICE may be in use.  A\n"
"FILE must not be attached, and is for a moment.\n"
"\n"
"Options:\n"
"     --shrink               SIZE may be less than now, if nothing is allocated behind\n"
"     --allow-path DIR       extents of FILE may lie below DIR too; may be repeated\n"
" -h, --help                 print this text\n";

enum { OPT_SHRINK = 0x100 };

static const struct option options[] = {
	{ "shrink", no_argument, NULL, OPT_SHRINK },
	{ "allow-path", required_argument, NULL, OPTION_ALLOW_PATH },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/**
 * struct resize - one call of the verb
 * @attach: how a file is attached
 * @size: bytes that were asked for
 * @more: they come on top of what there is
 * @shrink: there may be fewer than now
 * @control: the control node
 * @disk: N of /dev/vmdkN
 */
struct resize {
	struct attach_options attach;
	uint64_t size;
	bool more, shrink;
	int control;
	unsigned int disk;
};

/* ---------------------------------------------------------------- refusals */

static uint64_t new_sectors(const struct resize *r,
			    const struct vmdk_image *image)
{
	uint64_t size = r->size / VMDK_SECTOR_SIZE;

	return r->more ? image->sectors + size : size;
}

static const struct vmdk_image_extent *last_extent(const struct vmdk_image *image)
{
	return &image->extents[image->nr_extents - 1];
}

/* The length of the last extent; the others stay as they are. */
static uint64_t last_sectors(const struct vmdk_image *image, uint64_t sectors)
{
	uint64_t others = image->sectors - last_extent(image)->desc->sectors;

	return sectors > others ? sectors - others : 0;
}

static bool is_split(const struct vmdk_image *image)
{
	static const char * const types[] = {
		"twoGbMaxExtentSparse", "twoGbMaxExtentFlat",
		"2GbMaxExtentSparse", "2GbMaxExtentFlat",
	};
	const char *type = image->desc.create_type;
	size_t i;

	for (i = 0; type && i < ARRAY_SIZE(types); i++)
		if (!strcasecmp(type, types[i]))
			return true;
	return false;
}

/* Newer products make larger pieces: then so may we. */
static uint64_t largest_piece(const struct vmdk_image *image)
{
	uint64_t most = PIECE_SECTORS;
	size_t i;

	for (i = 0; i < image->nr_extents; i++)
		if (image->extents[i].desc->sectors > most)
			most = image->extents[i].desc->sectors;
	return most;
}

static int check_size(const struct vmdk_image *image, uint64_t sectors)
{
	uint64_t last = last_sectors(image, sectors);

	if (!last)
		vmdkctl_error("%s: %llu sectors would leave nothing of its last extent",
			      image->path, (unsigned long long)sectors);
	else if (is_split(image) && last > largest_piece(image))
		vmdkctl_error("%s: the last piece of a %s disk has at most %llu sectors, not %llu",
			      image->path, image->desc.create_type,
			      (unsigned long long)largest_piece(image),
			      (unsigned long long)last);
	else
		return 0;
	return -EINVAL;
}

/* --------------------------------------------------------------- the kernel */

static int call_kernel(const struct resize *r, uint64_t sectors, uint32_t flags,
		       int backing_fd)
{
	char message[VMDK_MESSAGE_SIZE] = "";
	struct vmdk_resize resize = {
		.index = r->disk,
		.flags = flags | (r->shrink ? VMDK_RESIZE_SHRINK : 0),
		.sectors = sectors,
		.backing_fd = backing_fd,
		.message_size = sizeof(message),
		.message = (uintptr_t)message,
	};
	int ret;

	if (!ioctl(r->control, VMDK_RESIZE, &resize))
		return 0;
	ret = -errno;
	message[sizeof(message) - 1] = '\0';
	vmdkctl_error("/dev/vmdk%u: %s", r->disk, *message ? message :
		      ret == -EAGAIN ? "is being changed by another program" :
		      strerror(-ret));
	return ret;
}

static int open_control(struct resize *r)
{
	r->control = vmdkctl_open_control(true);
	if (r->control < 0)
		return r->control;
	if (attach_features(r->control) & VMDK_FEATURE_RESIZE)
		return 0;
	vmdkctl_error("resize: is not supported yet by the module that is loaded");
	return -EOPNOTSUPP;
}

/* ----------------------------------------------------------------- the text */

static const struct vmdk_open_options to_look = { .no_extents = true };

/* What the disk is; the module holds it, so it is not locked. */
static int open_top(const struct resize *r, struct vmdk_image **top)
{
	char path[SYSFS_VALUE_MAX];
	int ret;

	ret = sysfs_backing_file(r->disk, path);
	return ret ?: vmdk_image_open(path, &to_look, top);
}

/* The same file, read again. */
static int open_again(const struct vmdk_image *top, struct vmdk_image **again)
{
	int fd = fcntl(top->desc_fd, F_DUPFD_CLOEXEC, 0), ret;
	char *why = NULL;

	ret = fd < 0 ? -errno :
		       vmdk_image_open_fd(fd, top->path, &to_look, again, &why);
	if (ret)
		vmdkctl_error("%s", why ? why : strerror(-ret));
	free(why);
	return ret;
}

/* Returns a file that is the descriptor from now on; -1: it is where it was. */
static int write_text(const struct vmdk_image *image, uint64_t sectors,
		      int *backing_fd)
{
	char *text, *why = NULL;
	size_t size;
	int ret;

	*backing_fd = -1;
	ret = vmdk_retext(image, sectors, &text, &size, &why);
	if (!ret && image->embedded) {
		ret = vmdk_retext_in_place(image, text, &why);
	} else if (!ret) {
		*backing_fd = vmdk_retext_file(image, text, size, &why);
		ret = *backing_fd < 0 ? *backing_fd : 0;
	}
	if (ret)
		vmdkctl_error("%s", why ? why : strerror(-ret));
	free(why);
	free(text);
	return ret;
}

/* Before anything is changed: is it possible to write it? */
static int try_text(const struct vmdk_image *image, uint64_t sectors)
{
	char *text, *why = NULL;
	size_t size;
	int ret = vmdk_retext(image, sectors, &text, &size, &why);

	if (ret)
		vmdkctl_error("%s", why ? why : strerror(-ret));
	free(why);
	free(text);
	return ret;
}

/* -------------------------------------------------------------- one after all */

/* The text again: the kernel has renewed the content id in it. */
static int change_text(const struct vmdk_image *top, uint64_t sectors,
		       int *backing_fd)
{
	struct vmdk_image *image;
	int ret = open_again(top, &image);

	if (ret)
		return ret;
	ret = write_text(image, sectors, backing_fd);
	vmdk_image_close(image);
	return ret;
}

static int resize_to(const struct resize *r, const struct vmdk_image *image,
		     uint64_t sectors)
{
	uint64_t last = last_sectors(image, sectors);
	int backing_fd, ret;

	ret = try_text(image, sectors);
	if (!ret)
		ret = call_kernel(r, last, 0, image->desc_fd);
	if (ret)
		return ret;
	ret = change_text(image, sectors, &backing_fd);
	if (ret)
		return ret;
	ret = call_kernel(r, last, VMDK_RESIZE_FINISH, backing_fd);
	if (backing_fd >= 0)
		close(backing_fd);
	return ret;
}

static int resize_disk(struct resize *r)
{
	struct vmdk_image *image;
	uint64_t sectors;
	int ret;

	ret = open_top(r, &image);
	if (ret)
		return ret;
	sectors = new_sectors(r, image);
	ret = check_size(image, sectors);
	if (!ret)
		ret = resize_to(r, image, sectors);
	vmdk_image_close(image);
	return ret;
}

/* There is one way to do it, and that is for devices. */
static int resize_file(struct resize *r)
{
	int32_t index;
	int ret;

	r->attach.flags |= VMDK_ATTACH_NO_PARTSCAN;
	ret = attach_disk(&r->attach, &r->control, &index);
	if (ret)
		return ret;
	r->disk = index;
	ret = resize_disk(r);
	return detach_disk(r->control, r->disk, 0) ? -EIO : ret;
}

static int resize(struct resize *r, const char *from)
{
	int ret = sysfs_device_or_file(from, &r->disk);
	bool file = ret == -ENOTBLK;

	if (ret && !file)
		return STATUS_FAILED;
	ret = open_control(r);
	if (!ret)
		ret = file ? resize_file(r) : resize_disk(r);
	if (r->control >= 0)
		close(r->control);
	return ret ? STATUS_FAILED : STATUS_OK;
}

/* ------------------------------------------------------------------- the verb */

static int parse_size(const char *arg, struct resize *r)
{
	r->more = *arg == '+';
	if (!size_parse(arg + r->more, &r->size) && r->size &&
	    !(r->size % VMDK_SECTOR_SIZE) &&
	    r->size / VMDK_SECTOR_SIZE <= VMDK_CAPACITY_MAX)
		return 0;
	vmdkctl_error("'%s' is not a size: a multiple of 512 up to 128T, such as 64G or +512M",
		      arg);
	return -EINVAL;
}

static int parse(int argc, char **argv, struct resize *r)
{
	char **folder = r->attach.chain.open.allow_paths;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case OPT_SHRINK:
			r->shrink = true;
			break;
		case OPTION_ALLOW_PATH:
			*folder++ = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			return STATUS_OK;
		default:
			return vmdkctl_usage("resize");
		}
	}
	if (argc - optind != 2) {
		vmdkctl_error("a device or file, and a size are needed");
		return vmdkctl_usage("resize");
	}
	if (parse_size(argv[optind + 1], r))
		return vmdkctl_usage("resize");
	r->attach.path = argv[optind];
	return resize(r, argv[optind]);
}

int verb_resize(int argc, char **argv)
{
	struct resize r = {
		.attach = { .index = -1, .chain.open.lock = true },
		.control = -1,
	};
	int status;

	r.attach.chain.open.allow_paths = vmdkctl_strings(argc);
	status = parse(argc, argv, &r);
	free(r.attach.chain.open.allow_paths);
	return status;
}
