// SPDX-License-Identifier: GPL-2.0
/*
 * vmdkctl attach: make a block device of an image.
 */
#define _GNU_SOURCE	/* faccessat */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "attach.h"
#include "check.h"
#include "overlay.h"
#include "vmdkctl.h"

#define NODE_WAIT_MS	5000

static const char help[] =
"Usage:\n"
" vmdkctl attach [options] FILE\n"
"\n"
"Make a block device of the disk in FILE, and print the name of the device.  Of a\n"
"child the parents are opened, too, and only read.\n"
"\n"
"Options:\n"
" -r, --read-only            attach read-only\n"
"     --overlay DELTA        write to DELTA, a child of FILE, which is made if it is\n"
"                            not there; FILE is only read\n"
"     --nonpersistent        the same with a temporary file, gone at the detach\n"
"     --single-link          open FILE alone, without its parents\n"
"     --force-cid            use a parent that has another content id\n"
"     --disk N|NAME          disk of an OVA: its number, from 1 on, or name\n"
"     --device NAME          take this device, vmdk0 or /dev/vmdk0 for example\n"
"     --queues N             hardware queues; default: one per CPU\n"
"     --queue-depth N        requests per queue\n"
"     --direct-io on|off|auto\n"
"                            pass the page cache of the file by; auto is off\n"
"     --cache-size SIZE      memory for grains that were decompressed\n"
"     --autoclear            detach after the last close\n"
"     --no-partscan          do not look for partitions\n"
"     --allow-path DIR       extents and parents may lie below DIR too; may be\n"
"                            repeated\n"
"     --allow-device [NAME=]PATH\n"
"                            the extent that the descriptor calls NAME, or PATH,\n"
"                            may be the block device PATH; may be repeated\n"
" -h, --help                 print this text\n";

/* The worst that check found in an extent. */
struct verdict {
	const char *path;
	char *reason;
};

static bool is_write_protected(int err)
{
	return err == EACCES || err == EROFS || err == EPERM;
}

static int open_links_as(struct attach_options *opt, bool write,
			 struct vmdk_chain *chain)
{
	char *why = NULL;
	int ret;

	opt->chain.open.write = write;
	if (!write)
		opt->flags |= VMDK_ATTACH_READ_ONLY;
	if (opt->overlay || opt->nonpersistent)
		ret = vmdk_overlay_open(opt->overlay, opt->path, &opt->chain,
					chain, &why);
	else
		ret = vmdk_chain_open(opt->path, &opt->chain, chain, &why);
	if (ret)
		vmdkctl_error("%s", why ? why : strerror(-ret));
	free(why);
	return ret;
}

/*
 * A write to a part of a grain would fill the rest of it with zeros, in front of
 * what the parent has there.
 */
static int open_links(struct attach_options *opt, bool write,
		      struct vmdk_chain *chain)
{
	int ret = open_links_as(opt, write, chain);

	if (ret || !write || !opt->chain.single_link ||
	    !vmdk_has_parent(chain->links[0]))
		return ret;
	vmdkctl_warn("%s: is a child, and without its parents only to be read; attached read-only",
		     chain->links[0]->path);
	vmdk_chain_close(chain);
	return open_links_as(opt, false, chain);
}

/* As mount(8) does: what cannot be written is attached read-only, and said. */
static int open_chain(struct attach_options *opt, struct vmdk_chain *chain)
{
	const char *top = opt->overlay ? opt->overlay : opt->path;
	bool protected;
	int ret;

	if (opt->flags & VMDK_ATTACH_READ_ONLY || opt->nonpersistent)
		return open_links(opt, !(opt->flags & VMDK_ATTACH_READ_ONLY),
				  chain);
	protected = faccessat(AT_FDCWD, top, W_OK, AT_EACCESS) &&
		    is_write_protected(errno);
	/* what is to be made is not there yet */
	if (!protected || access(top, F_OK))
		return open_links(opt, true, chain);
	ret = open_links(opt, false, chain);
	if (!ret)
		vmdkctl_warn("%s is write-protected, attached read-only", top);
	return ret;
}

/* An image of nothing but RDONLY and NOACCESS extents is not writable either. */
static bool has_writable_extent(const struct vmdk_image *image)
{
	size_t i;

	for (i = 0; i < image->nr_extents; i++)
		if (image->extents[i].access == VMDK_ACCESS_RW &&
		    image->extents[i].kind != VMDK_KIND_ZERO)
			return true;
	return false;
}

/* -------------------------------------------------- an unclean image */

static void keep_corrupt(const struct vmdk_finding *finding, void *arg)
{
	struct verdict *verdict = arg;

	if (finding->severity == VMDK_CHECK_CORRUPT && !verdict->reason)
		verdict->reason = vmdkctl_format("%s: %s at byte %" PRIu64 ": %s",
						 verdict->path,
						 finding->structure,
						 finding->offset,
						 finding->text);
}

/* Sets the reason when it is corrupt; -errno when that cannot be told. */
static int verify_extent(const struct vmdk_image_extent *extent,
			 struct verdict *verdict)
{
	struct vmdk_check_result result = { 0 };
	int ret;

	verdict->path = extent->path;
	ret = vmdk_check_extent(extent, 1, keep_corrupt, verdict, &result);
	if (ret)
		vmdkctl_error("%s: its metadata cannot be checked: %s",
			      extent->path, strerror(-ret));
	return ret;
}

static int even_out_extent(const struct vmdk_image_extent *extent)
{
	uint64_t changed;
	int ret = vmdk_even_out(extent->fd, &changed);

	if (ret)
		vmdkctl_error("%s: the copies of its tables cannot be made alike: %s",
			      extent->path, strerror(-ret));
	else if (changed)
		vmdkctl_warn("%s: was not detached cleanly; table entries evened out: %" PRIu64,
			     extent->path, changed);
	return ret;
}

/*
 * Where a write has failed, the page cache shows what the disk does not have.  What is
 * looked at from now on is what it has.
 */
static int forget_cache(const struct vmdk_image_extent *extent)
{
	int ret;

	if (fsync(extent->fd)) {
		ret = -errno;
		vmdkctl_error("%s: what was written to it before may be lost: %s",
			      extent->path, strerror(-ret));
		return ret;
	}
	posix_fadvise(extent->fd, 0, 0, POSIX_FADV_DONTNEED);
	return 0;
}

/* Nothing is changed before every extent has been found sound. */
static int verify_image(const struct vmdk_image *image, struct verdict *verdict)
{
	const struct vmdk_image_extent *extent;
	size_t i;
	int ret = 0;

	for (i = 0; i < image->nr_extents && !ret && !verdict->reason; i++) {
		extent = &image->extents[i];
		if (!extent->has_header || extent->read_only)
			continue;
		ret = forget_cache(extent);
		if (!ret)
			ret = verify_extent(extent, verdict);
	}
	for (i = 0; i < image->nr_extents && !ret && !verdict->reason; i++) {
		extent = &image->extents[i];
		if (extent->kind == VMDK_KIND_SPARSE &&
		    extent->access == VMDK_ACCESS_RW)
			ret = even_out_extent(extent);
	}
	return ret;
}

/**
 * attach_verify - may an image that was not detached cleanly be written?
 * @image: open for writing; the copies of its tables are made alike
 * @reason: receives why not, to be freed; or NULL
 *
 * Return: 0, or -errno after a line on stderr.
 */
int attach_verify(const struct vmdk_image *image, char **reason)
{
	struct verdict verdict = { 0 };
	int ret = verify_image(image, &verdict);

	*reason = verdict.reason;
	return ret;
}

/* A crash may have left it half written: no write before it has been checked. */
static int verify_unclean(struct attach_options *opt, struct vmdk_chain *chain)
{
	char *reason;
	int ret;

	ret = attach_verify(chain->links[0], &reason);
	if (!ret && !reason)
		opt->flags |= VMDK_ATTACH_VERIFIED;
	if (!ret && reason) {
		vmdk_chain_close(chain);
		ret = open_links(opt, false, chain);
	}
	if (!ret && reason)
		vmdkctl_warn("%s; attached read-only, see 'vmdkctl check'",
			     reason);
	free(reason);
	return ret;
}

/* ------------------------------------------------------ the device node */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/*
 * devtmpfs has made the node when the ioctl returns.  Where /dev is something
 * else, in a container for one, a daemon makes it soon or never.
 */
static void wait_for_node(const char *node)
{
	int64_t deadline = now_ms() + NODE_WAIT_MS, left = NODE_WAIT_MS;
	struct pollfd events = { .events = POLLIN };
	char buffer[4096];

	events.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (events.fd >= 0)
		inotify_add_watch(events.fd, "/dev", IN_CREATE | IN_MOVED_TO);
	while (access(node, F_OK) && left > 0 && events.fd >= 0) {
		if (poll(&events, 1, (int)left) > 0 &&
		    read(events.fd, buffer, sizeof(buffer)) < 0)
			break;
		left = deadline - now_ms();
	}
	if (events.fd >= 0)
		close(events.fd);
	if (access(node, F_OK))
		vmdkctl_warn("%s is attached, but there is no such node", node);
}

static void print_device(int32_t index)
{
	char *node = vmdkctl_format("/dev/vmdk%d", index);

	wait_for_node(node);
	puts(node);
	free(node);
}

/* ----------------------------------------------------------------- parents */

/* What is not as it should be, and yet can be used, or shall be. */
static void warn_pair(const struct vmdk_chain *chain, size_t link)
{
	const struct vmdk_image *child = chain->links[link];
	const struct vmdk_image *parent = chain->links[link + 1];

	if (vmdk_chain_differs(chain, link))
		vmdkctl_warn("%s: parentCID is %08x, but the CID of its parent %s is %08x; the parent is used all the same",
			     child->path, child->desc.parent_cid, parent->path,
			     vmdk_content_id(parent));
	if (parent->sectors < child->sectors)
		vmdkctl_warn("%s: has a capacity of %llu sectors, but its parent %s has %llu; zeros follow them",
			     child->path,
			     (unsigned long long)child->sectors, parent->path,
			     (unsigned long long)parent->sectors);
	if (parent->unclean)
		vmdkctl_warn("%s: was not detached cleanly; it is only read, see 'vmdkctl check'",
			     parent->path);
}

static void warn_parents(const struct vmdk_chain *chain)
{
	size_t i;

	for (i = 0; i + 1 < chain->nr; i++)
		warn_pair(chain, i);
}

/* The header has room for more than the descriptor says: that is what counts. */
static void warn_resize(const struct vmdk_image *image)
{
	size_t i;

	for (i = 0; i < image->nr_extents; i++) {
		const struct vmdk_image_extent *extent = &image->extents[i];

		if (extent->has_header && !vmdk_extent_fits(extent))
			vmdkctl_warn("%s: a resize to %llu sectors was interrupted, and the disk has %llu; 'vmdkctl resize' ends it",
				     extent->path,
				     (unsigned long long)extent->geo.capacity,
				     (unsigned long long)extent->desc->sectors);
	}
}

/* -------------------------------------------------------------- the verb */

static int prepare_top(struct attach_options *opt, struct vmdk_chain *chain)
{
	if (!has_writable_extent(chain->links[0]))
		opt->flags |= VMDK_ATTACH_READ_ONLY;
	if (opt->flags & VMDK_ATTACH_READ_ONLY)
		return 0;
	return chain->links[0]->unclean ? verify_unclean(opt, chain) : 0;
}

/* The user wanted to write, and will find out sooner than by an error. */
static void warn_read_only(const struct attach_options *opt,
			   const struct vmdk_image *image)
{
	if (opt->chain.open.write && opt->flags & VMDK_ATTACH_READ_ONLY &&
	    image->read_only)
		vmdkctl_warn("%s: %s; attached read-only", image->path,
			     image->read_only);
}

static bool makes_child(const struct attach_options *opt)
{
	return opt->overlay || opt->nonpersistent;
}

/* Nothing is made for a module that has no use for it. */
static int open_control(const struct attach_options *opt, int *control)
{
	if (*control >= 0)
		return 0;
	*control = vmdkctl_open_control(true);
	if (*control < 0)
		return *control;
	if (!makes_child(opt))
		return 0;
	return attach_check_chain(opt->path, attach_features(*control));
}

static int attach_chain(struct attach_options *opt, struct vmdk_chain *chain,
			int *control, int32_t *index)
{
	int ret = 0;

	if (makes_child(opt))
		ret = open_control(opt, control);
	if (!ret)
		ret = open_chain(opt, chain);
	if (!ret)
		ret = open_control(opt, control);
	if (!ret)
		ret = attach_check_features(attach_features(*control), chain);
	if (!ret)
		ret = prepare_top(opt, chain);
	if (!ret)
		ret = attach_request(*control, chain, opt, index);
	if (ret)
		return ret;
	warn_parents(chain);
	warn_read_only(opt, chain->links[0]);
	warn_resize(chain->links[0]);
	return 0;
}

/**
 * attach_disk - attach a disk
 * @opt: which, and how
 * @control: the control node, or -1: it is opened
 * @index: receives the N of /dev/vmdkN
 *
 * Return: 0, or -errno after a line on stderr.
 */
int attach_disk(struct attach_options *opt, int *control, int32_t *index)
{
	struct vmdk_chain chain = { 0 };
	int ret = attach_chain(opt, &chain, control, index);

	vmdk_chain_close(&chain);
	return ret;
}

static int attach_file(struct attach_options *opt)
{
	int control = -1;
	int32_t index;
	int ret = attach_disk(opt, &control, &index);

	if (!ret)
		print_device(index);
	if (control >= 0)
		close(control);
	return ret ? STATUS_FAILED : STATUS_OK;
}

static int parse_count(const char *name, const char *arg, uint32_t *count)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(arg, &end, 10);
	if (errno || *arg < '0' || *arg > '9' || *end || !value ||
	    value > UINT32_MAX) {
		vmdkctl_error("--%s: '%s' is not a number from 1 on", name, arg);
		return -EINVAL;
	}
	*count = value;
	return 0;
}

static int parse_cache_size(const char *arg, uint64_t *size)
{
	if (!size_parse(arg, size) && *size)
		return 0;
	vmdkctl_error("--cache-size: '%s' is not a size from 1 on, such as 64M",
		      arg);
	return -EINVAL;
}

static int parse_device(const char *arg, int32_t *index)
{
	const char *name = strncmp(arg, "/dev/", 5) ? arg : arg + 5;
	unsigned int disk;
	bool partition;

	if (sysfs_parse_name(name, &disk, &partition) || partition) {
		vmdkctl_error("--device: '%s' is not the name of a disk, such as vmdk0",
			      arg);
		return -EINVAL;
	}
	*index = disk;
	return 0;
}

static int parse_direct_io(const char *arg, uint32_t *flags)
{
	*flags &= ~VMDK_ATTACH_DIRECT_IO;
	if (!strcmp(arg, "on")) {
		*flags |= VMDK_ATTACH_DIRECT_IO;
	} else if (strcmp(arg, "off") && strcmp(arg, "auto")) {
		vmdkctl_error("--direct-io: '%s' is none of on, off and auto",
			      arg);
		return -EINVAL;
	}
	return 0;
}

static int check_allowed_device(const char *arg)
{
	const char *path;
	size_t name_len;

	if (vmdk_device_option(arg, &name_len, &path))
		return 0;
	vmdkctl_error("--allow-device: '%s' is neither an absolute path nor NAME=PATH",
		      arg);
	return -EINVAL;
}

static void add_string(char **list, char *string)
{
	while (*list)
		list++;
	*list = string;
}

enum {
	OPT_DEVICE = 0x100, OPT_QUEUES, OPT_QUEUE_DEPTH, OPT_DIRECT_IO,
	OPT_AUTOCLEAR, OPT_NO_PARTSCAN, OPT_ALLOW_PATH, OPT_ALLOW_DEVICE,
	OPT_CACHE_SIZE, OPT_OVERLAY, OPT_NONPERSISTENT, OPT_SINGLE_LINK,
	OPT_FORCE_CID,
};

static const struct option options[] = {
	{ "read-only", no_argument, NULL, 'r' },
	{ "disk", required_argument, NULL, OPTION_DISK },
	{ "device", required_argument, NULL, OPT_DEVICE },
	{ "queues", required_argument, NULL, OPT_QUEUES },
	{ "queue-depth", required_argument, NULL, OPT_QUEUE_DEPTH },
	{ "direct-io", required_argument, NULL, OPT_DIRECT_IO },
	{ "cache-size", required_argument, NULL, OPT_CACHE_SIZE },
	{ "autoclear", no_argument, NULL, OPT_AUTOCLEAR },
	{ "no-partscan", no_argument, NULL, OPT_NO_PARTSCAN },
	{ "allow-path", required_argument, NULL, OPT_ALLOW_PATH },
	{ "allow-device", required_argument, NULL, OPT_ALLOW_DEVICE },
	{ "overlay", required_argument, NULL, OPT_OVERLAY },
	{ "nonpersistent", no_argument, NULL, OPT_NONPERSISTENT },
	{ "single-link", no_argument, NULL, OPT_SINGLE_LINK },
	{ "force-cid", no_argument, NULL, OPT_FORCE_CID },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* Returns 0, or -EINVAL: for an option that is unknown, getopt has said so. */
static int take_option(int c, struct attach_options *opt)
{
	switch (c) {
	case 'r':
		opt->flags |= VMDK_ATTACH_READ_ONLY;
		return 0;
	case OPTION_DISK:
		opt->chain.open.disk = optarg;
		return 0;
	case OPT_DEVICE:
		return parse_device(optarg, &opt->index);
	case OPT_QUEUES:
		return parse_count("queues", optarg, &opt->queues);
	case OPT_QUEUE_DEPTH:
		return parse_count("queue-depth", optarg, &opt->queue_depth);
	case OPT_DIRECT_IO:
		return parse_direct_io(optarg, &opt->flags);
	case OPT_CACHE_SIZE:
		return parse_cache_size(optarg, &opt->cache_size);
	case OPT_AUTOCLEAR:
		opt->flags |= VMDK_ATTACH_AUTOCLEAR;
		return 0;
	case OPT_NO_PARTSCAN:
		opt->flags |= VMDK_ATTACH_NO_PARTSCAN;
		return 0;
	case OPT_OVERLAY:
		opt->overlay = optarg;
		return 0;
	case OPT_NONPERSISTENT:
		opt->nonpersistent = true;
		return 0;
	case OPT_SINGLE_LINK:
		opt->chain.single_link = true;
		return 0;
	case OPT_FORCE_CID:
		opt->chain.force_cid = true;
		return 0;
	case OPT_ALLOW_PATH:
		add_string(opt->chain.open.allow_paths, optarg);
		return 0;
	case OPT_ALLOW_DEVICE:
		add_string(opt->chain.open.allow_devices, optarg);
		return check_allowed_device(optarg);
	}
	return -EINVAL;
}

static int check_options(const struct attach_options *opt)
{
	if (opt->overlay && opt->nonpersistent)
		vmdkctl_error("--overlay and --nonpersistent exclude each other");
	else if (makes_child(opt) && opt->chain.single_link)
		vmdkctl_error("--single-link excludes --overlay and --nonpersistent");
	else if (opt->nonpersistent && opt->flags & VMDK_ATTACH_READ_ONLY)
		vmdkctl_error("--nonpersistent and --read-only exclude each other");
	else
		return 0;
	return -EINVAL;
}

static int parse_and_attach(int argc, char **argv, struct attach_options *opt)
{
	int c;

	while ((c = getopt_long(argc, argv, "rh", options, NULL)) != -1) {
		if (c == 'h') {
			fputs(help, stdout);
			return STATUS_OK;
		}
		if (take_option(c, opt))
			return vmdkctl_usage("attach");
	}
	if (optind != argc - 1) {
		vmdkctl_error(optind == argc ? "a file is needed" :
			      "one file at a time");
		return vmdkctl_usage("attach");
	}
	if (check_options(opt))
		return vmdkctl_usage("attach");
	opt->path = argv[optind];
	return attach_file(opt);
}

int verb_attach(int argc, char **argv)
{
	struct attach_options opt = { .index = -1, .chain.open.lock = true };
	int status;

	/* there are fewer values than arguments */
	opt.chain.open.allow_paths = calloc(argc, sizeof(char *));
	opt.chain.open.allow_devices = calloc(argc, sizeof(char *));
	if (opt.chain.open.allow_paths && opt.chain.open.allow_devices) {
		status = parse_and_attach(argc, argv, &opt);
	} else {
		vmdkctl_error("out of memory");
		status = STATUS_FAILED;
	}
	free(opt.chain.open.allow_paths);
	free(opt.chain.open.allow_devices);
	return status;
}
