// SPDX-License-Identifier: GPL-2.0
/*
 * vmdkctl snapshot: make a child of a disk, so that the disk stays what it is.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attach.h"
#include "child.h"
#include "vmdkctl.h"

static const char help[] =
"Usage:\n"
" vmdkctl snapshot [options] FILE|DEVICE NEW\n"
"\n"
"Make the disk NEW, a child of the disk in FILE: it has the same content, and what\n"
"is written to it leaves FILE as it is.  FILE must not be attached for writing.\n"
"Of a DEVICE, which may be in use, NEW becomes the top: what is written from then on\n"
"goes there.\n"
"\n"
"Options:\n"
"     --fsfreeze             stop the file systems that are mounted from DEVICE while the\n"
"                            snapshot is taken: it has all that was written to them\n"
"     --force-cid            FILE may have a parent that has another content id\n"
"     --disk N|NAME          disk of an OVA: its number, from 1 on, or name\n"
"     --allow-path DIR       extents and parents of FILE may lie below DIR too; may be\n"
"                            repeated\n"
" -h, --help                 print this text\n";

enum { OPT_FORCE_CID = 0x100, OPT_FSFREEZE };

static const struct option options[] = {
	{ "fsfreeze", no_argument, NULL, OPT_FSFREEZE },
	{ "force-cid", no_argument, NULL, OPT_FORCE_CID },
	{ "disk", required_argument, NULL, OPTION_DISK },
	{ "allow-path", required_argument, NULL, OPTION_ALLOW_PATH },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* All of the chain is opened: a child of what cannot be used is of no use. */
static int snapshot_file(const char *path, const char *new,
			 const struct vmdk_chain_options *opt)
{
	struct vmdk_chain chain;
	char *why = NULL;
	int ret, fd = -1;

	ret = vmdk_chain_open(path, opt, &chain, &why);
	if (!ret)
		ret = vmdk_chain_has_room(&chain, &why);
	if (!ret)
		fd = vmdk_child_create(new, chain.links[0], &why);
	if (!ret && fd < 0)
		ret = fd;
	if (ret)
		vmdkctl_error("%s", why ? why : strerror(-ret));
	if (fd >= 0)
		close(fd);
	vmdk_chain_close(&chain);
	free(why);
	return ret ? STATUS_FAILED : STATUS_OK;
}

static int snapshot_device(unsigned int disk, const char *new, bool fsfreeze)
{
	struct frozen frozen;
	int ret;

	if (!fsfreeze) {
		ret = freeze_lies_on(disk, new);
		return ret ?: live_snapshot(disk, new);
	}
	ret = freeze_disk(disk, new, &frozen);
	if (ret)
		return ret;
	ret = live_snapshot(disk, new);
	freeze_thaw(&frozen);
	return ret;
}

static int make_snapshot(const char *from, const char *new,
			 const struct vmdk_chain_options *opt, bool fsfreeze)
{
	unsigned int disk;
	int ret = sysfs_device_or_file(from, &disk);

	if (ret == -ENOTBLK && fsfreeze) {
		vmdkctl_error("%s: --fsfreeze is for a device", from);
		return STATUS_FAILED;
	}
	if (ret == -ENOTBLK)
		return snapshot_file(from, new, opt);
	if (ret)
		return STATUS_FAILED;
	return snapshot_device(disk, new, fsfreeze) ? STATUS_FAILED :
						      STATUS_OK;
}

static int parse(int argc, char **argv, struct vmdk_chain_options *opt)
{
	char **folder = opt->open.allow_paths;
	bool fsfreeze = false;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case OPT_FSFREEZE:
			fsfreeze = true;
			break;
		case OPT_FORCE_CID:
			opt->force_cid = true;
			break;
		case OPTION_DISK:
			opt->open.disk = optarg;
			break;
		case OPTION_ALLOW_PATH:
			*folder++ = optarg;
			break;
		case 'h':
			fputs(help, stdout);
			return STATUS_OK;
		default:
			return vmdkctl_usage("snapshot");
		}
	}
	if (argc - optind != 2) {
		vmdkctl_error("a file and the name of a new one are needed");
		return vmdkctl_usage("snapshot");
	}
	return make_snapshot(argv[optind], argv[optind + 1], opt, fsfreeze);
}

int verb_snapshot(int argc, char **argv)
{
	struct vmdk_chain_options opt = { .open.lock = true };
	int status;

	opt.open.allow_paths = vmdkctl_strings(argc);
	status = parse(argc, argv, &opt);
	free(opt.open.allow_paths);
	return status;
}
