// SPDX-License-Identifier: GPL-2.0
/*
 * vmdkctl commit: write what the top of a disk has into its parent, and go on with
 * that.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "attach.h"
#include "commit.h"
#include "vmdkctl.h"
#include "vmdk_ioctl.h"

/* The disk stands still for the last of it: no more than this, in sectors... */
#define FEW_SECTORS	(16U << 11)
/* ... unless that many calls have not made it less. */
#define TRIES		8

static const char help[] =
"Usage:\n"
" vmdkctl commit [options] FILE|DEVICE\n"
"\n"
"Write what the child in FILE has into its parent, which is the disk from then on.\n"
"A DEVICE may be in use, and goes on with the parent.  FILE stays as it is, and may be\n"
"deleted.\n"
"\n"
"Options:\n"
"     --progress             show how far it is, also when that is no terminal\n"
"     --allow-path DIR       extents and parents may lie below DIR too; may be\n"
"                            repeated\n"
" -h, --help                 print this text\n";

enum { OPT_PROGRESS = 0x100 };

static const struct option options[] = {
	{ "progress", no_argument, NULL, OPT_PROGRESS },
	{ "allow-path", required_argument, NULL, OPTION_ALLOW_PATH },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* ------------------------------------------------------------------ signals */

static atomic_bool stopped;

static void stop(int sig)
{
	(void)sig;
	atomic_store(&stopped, true);
}

/* A signal ends the call that copies; what was begun is then undone. */
static void catch_signals(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = stop };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &action, NULL);
}

/* --------------------------------------------------------------------- copy */

static void show_progress(const struct vmdk_fold_progress *progress)
{
	uint64_t done = progress->sectors - progress->left;

	fprintf(stderr, "\rvmdk%u: %3u %%", progress->index,
		(unsigned int)(done * 100 / progress->sectors));
}

/* Until little is left, or what is written meanwhile keeps it from becoming less. */
static int copy(int control, bool show)
{
	struct vmdk_fold_progress progress = { 0 };
	uint64_t least = UINT64_MAX;
	int tries = 0, ret = 0;

	do {
		if (ioctl(control, VMDK_FOLD_COPY, &progress)) {
			ret = -errno;
			break;
		}
		if (show)
			show_progress(&progress);
		tries = progress.left < least ? 0 : tries + 1;
		if (progress.left < least)
			least = progress.left;
	} while (!stopped && progress.left > FEW_SECTORS && tries < TRIES);
	if (show)
		fputc('\n', stderr);
	return !ret && stopped ? -EINTR : ret;
}

static void report(unsigned int disk, int err)
{
	if (err == EINTR)
		vmdkctl_error("/dev/vmdk%u: interrupted: its chain is what it was",
			      disk);
	else
		vmdkctl_error("/dev/vmdk%u: %s: its chain is what it was", disk,
			      strerror(err));
}

static int copy_and_end(int control, unsigned int disk, bool show)
{
	int ret = copy(control, show);

	if (!ret && ioctl(control, VMDK_FOLD_END, 0))
		ret = -errno;
	if (!ret)
		return 0;
	report(disk, -ret);
	if (ioctl(control, VMDK_FOLD_CANCEL, 0))
		vmdkctl_error("/dev/vmdk%u: its parent was not left clean: %s",
			      disk, strerror(errno));
	return ret;
}

/* ------------------------------------------------------------------ parents */

/* Takes the reason of a failure, if there is one. */
static int fail_why(int ret, char *why)
{
	if (ret)
		vmdkctl_error("%s", why ? why : strerror(-ret));
	free(why);
	return ret;
}

/* The images of @disk, to read what they are; the module holds them. */
static int open_images(unsigned int disk, const struct vmdk_chain_options *opt,
		       struct vmdk_chain *chain)
{
	struct vmdk_chain_options look = *opt;
	char path[SYSFS_VALUE_MAX];
	char *why = NULL;
	int ret;

	look.force_cid = true;
	look.open.no_extents = true;
	ret = sysfs_backing_file(disk, path);
	if (ret)
		return ret;
	ret = vmdk_chain_open(path, &look, chain, &why);
	return fail_why(ret, why);
}

/*
 * Which of the images of a disk is the parent of its top?  A top without a name is
 * not among them.
 */
static int find_parent(unsigned int disk, const struct vmdk_chain *images,
		       size_t *parent)
{
	uint64_t links = 0;
	int ret = sysfs_read_number(disk, "vmdk/links", &links);

	if (!ret && links < 2) {
		vmdkctl_error("/dev/vmdk%u: has no parent", disk);
		return -EINVAL;
	}
	if (!ret && images->nr != links && images->nr + 1 != links)
		ret = -ESTALE;
	if (ret == -ESTALE)
		vmdkctl_error("/dev/vmdk%u: has %llu links, but %s leads to %zu now",
			      disk, (unsigned long long)links,
			      images->links[0]->path, images->nr);
	else if (ret)
		vmdkctl_error("/dev/vmdk%u: its links cannot be counted: %s",
			      disk, strerror(-ret));
	*parent = images->nr == links ? 1 : 0;
	return ret;
}

/* What is written to has to be as it says, and of nobody else. */
static int open_target(const char *path, const struct vmdk_chain_options *opt,
		       struct vmdk_chain *target)
{
	struct vmdk_chain_options write = *opt;
	char *why = NULL;
	int ret;

	write.force_cid = true;
	write.open.write = true;
	write.open.lock = true;
	write.open.attached = true;
	ret = vmdk_chain_open(path, &write, target, &why);
	ret = fail_why(ret, why);
	if (ret || !target->links[0]->read_only)
		return ret;
	vmdkctl_error("%s: %s: nothing can be committed to it", path,
		      target->links[0]->read_only);
	return -EROFS;
}

/* A crash in a commit leaves a parent that was not detached cleanly. */
static int verify_target(const struct vmdk_image *image)
{
	char *reason;
	int ret = attach_verify(image, &reason);

	if (!ret && reason) {
		vmdkctl_error("%s; see 'vmdkctl check'", reason);
		ret = -EUCLEAN;
	}
	free(reason);
	return ret;
}

/* ----------------------------------------------------------------- the disk */

/*
 * Verifying makes the tables of an unclean image alike: so the module says first that
 * it is the parent of this disk.
 */
static int begin(int control, unsigned int disk, const struct vmdk_chain *target)
{
	int ret = attach_fold(control, disk, target, 0);

	if (ret != -EUCLEAN)
		return ret;
	ret = verify_target(target->links[0]);
	return ret ?: attach_fold(control, disk, target, VMDK_ATTACH_VERIFIED);
}

static int fold(int control, unsigned int disk, const struct vmdk_chain *target,
		bool show)
{
	int ret = attach_check_features(attach_features(control), target);

	if (!ret)
		ret = begin(control, disk, target);
	return ret ?: copy_and_end(control, disk, show);
}

static int fold_images(int control, unsigned int disk,
		       const struct vmdk_chain *images,
		       const struct commit_options *opt)
{
	struct vmdk_chain target = { 0 };
	size_t parent;
	int ret;

	ret = find_parent(disk, images, &parent);
	if (!ret)
		ret = commit_check_children(images, parent, &opt->chain);
	if (!ret)
		ret = open_target(images->links[parent]->path, &opt->chain,
				  &target);
	if (!ret)
		ret = fold(control, disk, &target, opt->progress);
	vmdk_chain_close(&target);
	return ret;
}

static int check_module(int control, const char *name)
{
	if (attach_features(control) & VMDK_FEATURE_FOLD)
		return 0;
	vmdkctl_error("%s: commit is not supported yet by the module that is loaded",
		      name);
	return -EOPNOTSUPP;
}

static int commit_disk(int control, unsigned int disk,
		       const struct commit_options *opt)
{
	struct vmdk_chain images;
	int ret = open_images(disk, &opt->chain, &images);

	if (ret)
		return ret;
	ret = fold_images(control, disk, &images, opt);
	vmdk_chain_close(&images);
	return ret;
}

static int commit_device(const char *name, unsigned int disk,
			 const struct commit_options *opt)
{
	int control = vmdkctl_open_control(false);
	int ret;

	if (control < 0)
		return STATUS_FAILED;
	ret = check_module(control, name);
	if (!ret)
		ret = commit_disk(control, disk, opt);
	close(control);
	return ret ? STATUS_FAILED : STATUS_OK;
}

/* ----------------------------------------------------------------- the file */

/* Nobody else uses the disk while it is there. */
static int hold_device(int32_t disk)
{
	char *node = vmdkctl_format("/dev/vmdk%d", disk);
	int fd = open(node, O_RDONLY | O_EXCL | O_CLOEXEC);

	if (fd < 0)
		vmdkctl_error("%s: %s", node, strerror(errno));
	free(node);
	return fd;
}

static int commit_held(int control, int32_t disk,
		       const struct commit_options *opt)
{
	int fd = hold_device(disk);
	int ret;

	if (fd < 0)
		return -EBUSY;
	ret = commit_disk(control, disk, opt);
	close(fd);
	return ret;
}

static int commit_file(const char *path, const struct commit_options *opt)
{
	struct attach_options attach = {
		.chain = opt->chain,
		.path = path,
		.flags = VMDK_ATTACH_NO_PARTSCAN,
		.index = -1,
	};
	int control = vmdkctl_open_control(true), ret;
	int status = STATUS_FAILED;
	int32_t disk;

	if (control < 0)
		return STATUS_FAILED;
	attach.chain.open.lock = true;
	ret = check_module(control, path);
	if (!ret)
		ret = attach_disk(&attach, &control, &disk);
	if (!ret) {
		ret = commit_held(control, disk, opt);
		status = detach_disk(control, disk, 0);
	}
	close(control);
	return ret ? STATUS_FAILED : status;
}

/* ----------------------------------------------------------------- the verb */

static int commit(const char *name, const struct commit_options *opt)
{
	unsigned int disk;
	int ret = sysfs_device_or_file(name, &disk);

	catch_signals();
	if (!ret)
		return commit_device(name, disk, opt);
	return ret == -ENOTBLK ? commit_file(name, opt) : STATUS_FAILED;
}

static int parse(int argc, char **argv, struct commit_options *opt)
{
	char **folder = opt->chain.open.allow_paths;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case OPT_PROGRESS:
			opt->progress = true;
			break;
		case OPTION_ALLOW_PATH:
			*folder++ = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			return STATUS_OK;
		default:
			return vmdkctl_usage("commit");
		}
	}
	if (argc - optind != 1) {
		vmdkctl_error(optind == argc ? "a file or device is needed" :
			      "one file or device at a time");
		return vmdkctl_usage("commit");
	}
	return commit(argv[optind], opt);
}

int verb_commit(int argc, char **argv)
{
	struct commit_options opt = { .progress = isatty(STDERR_FILENO) };
	int status;

	opt.chain.open.allow_paths = vmdkctl_strings(argc);
	status = parse(argc, argv, &opt);
	free(opt.chain.open.allow_paths);
	return status;
}
