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
#include <strings.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "image.h"
#include "vmdkctl.h"
#include "vmdk_ioctl.h"

#define NODE_WAIT_MS	5000

static const char help[] =
"Usage:\n"
" vmdkctl attach [options] FILE\n"
"\n"
"Make a block device of the disk in FILE, and print the name of the device.\n"
"\n"
"Options:\n"
" -r, --read-only            attach read-only\n"
"     --disk N|NAME          disk of an OVA: its number, from 1 on, or name\n"
"     --device NAME          take this device, vmdk0 or /dev/vmdk0 for example\n"
"     --queues N             hardware queues; default: one per CPU\n"
"     --queue-depth N        requests per queue\n"
"     --direct-io on|off|auto\n"
"                            pass the page cache of the file by; auto is off\n"
"     --cache-size SIZE      memory for grains that were decompressed\n"
"     --autoclear            detach after the last close\n"
"     --no-partscan          do not look for partitions\n"
"     --allow-path DIR       extents may lie below DIR too; may be repeated\n"
"     --allow-device [NAME=]PATH\n"
"                            the extent that the descriptor calls NAME, or PATH,\n"
"                            may be the block device PATH; may be repeated\n"
" -h, --help                 print this text\n";

struct attach_options {
	struct vmdk_open_options open;
	const char *path;
	uint32_t flags;
	int32_t index;		/* -1: any */
	uint32_t queues, queue_depth;
	uint64_t cache_size;	/* bytes; 0: the default */
};

/* What goes to the kernel, and what its pointers point to. */
struct request {
	struct vmdk_attach attach;
	struct vmdk_link_info link;
	struct vmdk_extent_info *extents;
	struct vmdk_window_info *windows;
	struct vmdk_patch patches[VMDK_MAX_PATCHES];
	char message[VMDK_MESSAGE_SIZE];
};

/* The worst that check found in an extent. */
struct verdict {
	const char *path;
	char *reason;
};

static bool is_write_protected(int err)
{
	return err == EACCES || err == EROFS || err == EPERM;
}

static int open_read_only(struct attach_options *opt, struct vmdk_image **image)
{
	opt->open.write = false;
	opt->flags |= VMDK_ATTACH_READ_ONLY;
	return vmdk_image_open(opt->path, &opt->open, image);
}

/* As mount(8) does: what cannot be written is attached read-only, and said. */
static int open_image(struct attach_options *opt, struct vmdk_image **image)
{
	bool protected;
	int ret;

	if (opt->flags & VMDK_ATTACH_READ_ONLY)
		return open_read_only(opt, image);
	protected = faccessat(AT_FDCWD, opt->path, W_OK, AT_EACCESS) &&
		    is_write_protected(errno);
	if (!protected) {
		opt->open.write = true;
		return vmdk_image_open(opt->path, &opt->open, image);
	}
	ret = open_read_only(opt, image);
	if (!ret)
		vmdkctl_warn("%s is write-protected, attached read-only",
			     opt->path);
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

/* Nothing is changed before every extent has been found sound. */
static int verify_image(const struct vmdk_image *image, struct verdict *verdict)
{
	const struct vmdk_image_extent *extent;
	size_t i;
	int ret = 0;

	for (i = 0; i < image->nr_extents && !ret && !verdict->reason; i++) {
		extent = &image->extents[i];
		if (extent->has_header && !extent->read_only)
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

/* A crash may have left it half written: no write before it has been checked. */
static int verify_unclean(struct attach_options *opt,
			  struct vmdk_image **image)
{
	struct verdict verdict = { 0 };
	int ret;

	ret = verify_image(*image, &verdict);
	if (!ret && !verdict.reason)
		opt->flags |= VMDK_ATTACH_VERIFIED;
	if (!ret && verdict.reason) {
		vmdk_image_close(*image);
		*image = NULL;
		ret = open_read_only(opt, image);
	}
	if (!ret && verdict.reason)
		vmdkctl_warn("%s; attached read-only, see 'vmdkctl check'",
			     verdict.reason);
	free(verdict.reason);
	return ret;
}

/* ---------------------------------------------------------- the request */

static void fill_extents(const struct vmdk_image *image,
			 struct vmdk_extent_info *infos)
{
	uint64_t start = 0;
	size_t i;

	for (i = 0; i < image->nr_extents; i++) {
		const struct vmdk_image_extent *extent = &image->extents[i];

		infos[i] = (struct vmdk_extent_info){
			.fd = extent->fd,
			.kind = extent->kind,
			.access = extent->access,
			.start = start,
			.sectors = extent->desc->sectors,
			.offset = extent->offset,
			.length = extent->length,
		};
		start += extent->desc->sectors;
	}
}

/* Extents that consist of several windows, and their windows one by one. */
static void fill_windows(const struct vmdk_image *image, struct request *req)
{
	uint32_t *nr = &req->attach.nr_windows;
	size_t i, k;

	for (i = 0; i < image->nr_extents; i++) {
		const struct vmdk_windows *from = image->extents[i].windows;

		if (!from)
			continue;
		req->extents[i].nr_windows = from->nr;
		req->windows = vmdkctl_grow(req->windows, *nr + from->nr,
					    sizeof(*req->windows));
		for (k = 0; k < from->nr; k++)
			req->windows[(*nr)++] = (struct vmdk_window_info){
				.offset = from->list[k].offset,
				.length = from->list[k].length,
			};
	}
	req->attach.windows = (uintptr_t)req->windows;
}

static int fill_patches(const struct vmdk_image *image, struct request *req)
{
	int ret;

	ret = content_id_renew(image, req->patches, &req->attach.nr_patches,
			       &req->attach.new_cid);
	if (ret)
		vmdkctl_error("%s: no random number for a new content id: %s",
			      image->path, strerror(-ret));
	return ret;
}

static int fill_request(const struct vmdk_image *image,
			const struct attach_options *opt, struct request *req)
{
	struct vmdk_attach *attach = &req->attach;

	req->extents = vmdkctl_grow(NULL, image->nr_extents,
				    sizeof(*req->extents));
	fill_extents(image, req->extents);
	fill_windows(image, req);
	req->link.nr_extents = image->nr_extents;
	req->link.sectors = image->sectors;

	attach->flags = opt->flags;
	attach->index = opt->index;
	attach->backing_fd = image->desc_fd;
	attach->nr_links = 1;
	attach->nr_extents = image->nr_extents;
	attach->nr_queues = opt->queues;
	attach->queue_depth = opt->queue_depth;
	attach->cache_size = opt->cache_size;
	attach->cid = image->desc.cid;
	attach->new_cid = image->desc.cid;
	attach->parent_cid = image->desc.parent_cid;
	attach->message_size = sizeof(req->message);
	attach->links = (uintptr_t)&req->link;
	attach->extents = (uintptr_t)req->extents;
	attach->patches = (uintptr_t)req->patches;
	attach->message = (uintptr_t)req->message;
	attach->fault_extent = ~0U;
	if (image->desc.create_type)
		snprintf(attach->create_type, sizeof(attach->create_type), "%s",
			 image->desc.create_type);
	if (attach->flags & VMDK_ATTACH_READ_ONLY)
		return 0;
	return fill_patches(image, req);
}

/* The kernel says why; errno alone would not name file and structure. */
static void report_refusal(const struct vmdk_image *image,
			   const struct request *req, int err)
{
	const char *path = image->path;

	if (req->attach.fault_extent < image->nr_extents &&
	    image->extents[req->attach.fault_extent].path)
		path = image->extents[req->attach.fault_extent].path;
	vmdkctl_error("%s: %s", path,
		      *req->message ? req->message : strerror(err));
}

static int attach_image(int control, const struct vmdk_image *image,
			const struct attach_options *opt, int32_t *index)
{
	struct request req = { 0 };
	int ret;

	ret = fill_request(image, opt, &req);
	if (!ret && ioctl(control, VMDK_ATTACH, &req.attach)) {
		ret = -errno;
		req.message[sizeof(req.message) - 1] = '\0';
		report_refusal(image, &req, -ret);
	}
	*index = req.attach.index;
	free(req.extents);
	free(req.windows);
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

/* -------------------------------------------------------------- the verb */

/* What has to be true of an image before the kernel gets to see it. */
static const struct {
	enum vmdk_kind kind;
	uint64_t feature;
	const char *name;
} kinds[] = {
	{ VMDK_KIND_COWD, VMDK_FEATURE_COWD, "COWD (vmfsSparse)" },
	{ VMDK_KIND_SESPARSE, VMDK_FEATURE_SESPARSE, "seSparse" },
	{ VMDK_KIND_DEVICE, VMDK_FEATURE_DEVICE, "raw device" },
};

static const char *lacking_kind(enum vmdk_kind kind, uint64_t features)
{
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].kind == kind && !(features & kinds[i].feature))
			return kinds[i].name;
	return NULL;
}

/* The module splits what it reads at sectors. */
static bool has_odd_window(const struct vmdk_windows *windows)
{
	size_t i;

	for (i = 0; i + 1 < windows->nr; i++)
		if (windows->list[i].length % VMDK_SECTOR_SIZE)
			return true;
	return false;
}

static const char *windows_fault(const struct vmdk_windows *windows,
				 uint64_t features)
{
	if (!windows)
		return NULL;
	if (!(features & VMDK_FEATURE_WINDOWS))
		return "disks in several chunks are not supported yet by the module that is loaded";
	if (has_odd_window(windows))
		return "its chunks do not end at multiples of 512 bytes, and cannot be attached";
	return NULL;
}

static int check_extent(const struct vmdk_image_extent *extent,
			const char *path, uint64_t features)
{
	const char *fault = windows_fault(extent->windows, features);
	const char *name = lacking_kind(extent->kind, features);

	if (fault)
		vmdkctl_error("%s: %s: %s", extent->path, fault,
			      "extract them with tar, and put them together with cat");
	else if (name)
		vmdkctl_error("%s: %s extents are not supported yet by the module that is loaded",
			      path, name);
	return fault || name ? -EOPNOTSUPP : 0;
}

/* Asked before anything is changed: an unclean image would be repaired. */
static int check_features(int control, const struct attach_options *opt,
			  const struct vmdk_image *image)
{
	uint64_t features = 0;
	size_t i;
	int ret = 0;

	if (ioctl(control, VMDK_GET_FEATURES, &features))
		features = 0;
	for (i = 0; i < image->nr_extents && !ret; i++)
		ret = check_extent(&image->extents[i], opt->path, features);
	return ret;
}

static int prepare_image(struct attach_options *opt, struct vmdk_image **image)
{
	if (!has_writable_extent(*image))
		opt->flags |= VMDK_ATTACH_READ_ONLY;
	if (opt->flags & VMDK_ATTACH_READ_ONLY)
		return 0;
	return (*image)->unclean ? verify_unclean(opt, image) : 0;
}

/* The user wanted to write, and will find out sooner than by an error. */
static void warn_read_only(const struct attach_options *opt,
			   const struct vmdk_image *image)
{
	if (opt->open.write && opt->flags & VMDK_ATTACH_READ_ONLY &&
	    image->read_only)
		vmdkctl_warn("%s: %s; attached read-only", opt->path,
			     image->read_only);
}

static int attach_file(struct attach_options *opt)
{
	struct vmdk_image *image = NULL;
	int control, ret;
	int32_t index;

	ret = open_image(opt, &image);
	if (ret)
		return STATUS_FAILED;
	control = vmdkctl_open_control(true);
	ret = control < 0 ? control : check_features(control, opt, image);
	if (!ret)
		ret = prepare_image(opt, &image);
	if (!ret)
		ret = attach_image(control, image, opt, &index);
	if (!ret) {
		warn_read_only(opt, image);
		print_device(index);
	}
	if (image)
		vmdk_image_close(image);
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

/* As losetup has them: K, KiB and the like are powers of 1024, KB of 1000. */
static uint64_t suffix_factor(const char *suffix)
{
	static const char letters[] = "KMGTPE";
	const char *letter = *suffix ? strchr(letters, *suffix & ~0x20) : NULL;
	uint64_t base = 1024, factor = 1;
	size_t i;

	if (!*suffix)
		return 1;
	if (!letter)
		return 0;
	if (!strcasecmp(suffix + 1, "B"))
		base = 1000;
	else if (suffix[1] && strcasecmp(suffix + 1, "iB"))
		return 0;
	for (i = 0; i <= (size_t)(letter - letters); i++)
		factor *= base;
	return factor;
}

static int parse_cache_size(const char *arg, uint64_t *size)
{
	unsigned long long value;
	uint64_t factor;
	char *end;

	errno = 0;
	value = strtoull(arg, &end, 10);
	factor = suffix_factor(end);
	if (errno || *arg < '0' || *arg > '9' || !value || !factor ||
	    value > INT64_MAX / factor) {
		vmdkctl_error("--cache-size: '%s' is not a size from 1 on, such as 64M",
			      arg);
		return -EINVAL;
	}
	*size = value * factor;
	return 0;
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
	OPT_CACHE_SIZE,
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
		opt->open.disk = optarg;
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
	case OPT_ALLOW_PATH:
		add_string(opt->open.allow_paths, optarg);
		return 0;
	case OPT_ALLOW_DEVICE:
		add_string(opt->open.allow_devices, optarg);
		return check_allowed_device(optarg);
	}
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
	opt->path = argv[optind];
	return attach_file(opt);
}

int verb_attach(int argc, char **argv)
{
	struct attach_options opt = { .index = -1, .open.lock = true };
	int status;

	/* there are fewer values than arguments */
	opt.open.allow_paths = calloc(argc, sizeof(char *));
	opt.open.allow_devices = calloc(argc, sizeof(char *));
	if (opt.open.allow_paths && opt.open.allow_devices) {
		status = parse_and_attach(argc, argv, &opt);
	} else {
		vmdkctl_error("out of memory");
		status = STATUS_FAILED;
	}
	free(opt.open.allow_paths);
	free(opt.open.allow_devices);
	return status;
}
