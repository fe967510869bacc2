// SPDX-License-Identifier: GPL-2.0
/*
 * The extents of an image: found, opened, locked, and looked at (inspect.c), in
 * this order, so that what was seen stays true.
 */
#define _GNU_SOURCE	/* F_DUPFD_CLOEXEC */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lock.h"
#include "opener.h"

#define SPARE_FDS	64	/* that a program needs besides those of extents */

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Of what must not even be read nothing needs to be opened, or to be there. */
static bool has_file(const struct vmdk_image_extent *ext)
{
	return ext->desc->type != VMDK_TYPE_ZERO &&
	       ext->access != VMDK_ACCESS_NONE;
}

static int share_fd(struct vmdk_opener *o, struct vmdk_image_extent *ext)
{
	ext->fd = fcntl(o->img->desc_fd, F_DUPFD_CLOEXEC, 3);
	if (ext->fd < 0)
		return vmdk_refuse(&o->why, -errno, "%s: %m", o->path);
	return 0;
}

/* Put the place in the descriptor in front of the reason. */
static int blame_line(struct vmdk_opener *o, const struct vmdk_desc_extent *desc,
		      int ret)
{
	char *why = o->why;

	vmdk_refuse(&o->why, ret, "%s: descriptor at line %u: %s", o->path,
		    desc->line, why ? why : strerror(-ret));
	free(why);
	return ret;
}

/* ---------------------------------------------------------------- devices */

static bool is_raw(enum vmdk_extent_type type)
{
	return type == VMDK_TYPE_VMFSRAW || type == VMDK_TYPE_VMFSRDM;
}

static bool is_windows_device(const char *name)
{
	return !strncmp(name, "\\\\.\\", 4);
}

static bool is_node(const char *name)
{
	return !strncmp(name, "/dev/", 5) && strncmp(name, "/dev/shm/", 9);
}

static int refuse_as(struct vmdk_opener *o, struct vmdk_image_extent *ext,
		     int ret, const char *what)
{
	ext->kind = VMDK_KIND_DEVICE;
	return vmdk_refuse(&o->why, ret, "%s: descriptor at line %u: %s: %s",
			   o->path, ext->desc->line, ext->desc->name, what);
}

/* What is called as a device, and was not allowed. */
static int refuse_device(struct vmdk_opener *o, struct vmdk_image_extent *ext)
{
	const struct vmdk_desc_extent *desc = ext->desc;
	bool raw = is_raw(desc->type);

	if (is_windows_device(desc->name))
		return refuse_as(o, ext, -EXDEV,
				 "is a device of Windows; attach takes a device for it that is given by --allow-device NAME=PATH");
	if (is_node(desc->name) || (raw && desc->name[0] == '/'))
		return refuse_as(o, ext, -EXDEV,
				 "is a device; it is only used by attach, when given by --allow-device");
	if (raw)
		return refuse_as(o, ext, -EOPNOTSUPP,
				 "is the map of a raw device, which only ESXi can follow; attach takes the device that is given by --allow-device NAME=PATH");
	return 0;
}

/* ------------------------------------------------------------------ files */

static int open_by_name(struct vmdk_opener *o, struct vmdk_image_extent *ext,
			struct stat *st)
{
	int flags = ext->access == VMDK_ACCESS_RW ? O_RDWR : O_RDONLY;
	int ret;

	ret = vmdk_device_extent(o, ext, st);
	if (ret)
		return ret > 0 ? 0 : blame_line(o, ext->desc, ret);
	ret = refuse_device(o, ext);
	if (ret)
		return ret;
	ext->fd = vmdk_folder_open_file(&o->folder, ext->desc->name, flags,
					&ext->path, st, &o->why);
	if (ext->fd < 0) {
		ret = ext->fd;
		ext->fd = -1;
		return blame_line(o, ext->desc, ret);
	}
	if (!same_file(st, &o->st))
		return 0;
	close(ext->fd);
	ext->fd = -1;
	if (o->img->embedded)
		return share_fd(o, ext);
	return vmdk_refuse(&o->why, -EINVAL,
			   "%s: descriptor at line %u: the extent is the descriptor itself",
			   o->path, ext->desc->line);
}

/* Open the file of an extent; whose file it is goes to @st. */
static int open_extent(struct vmdk_opener *o, struct vmdk_image_extent *ext,
		       struct stat *st)
{
	if (!has_file(ext))
		return 0;
	if (!o->self)
		return open_by_name(o, ext, st);
	*st = o->st;
	ext->path = strdup(o->path);
	return ext->path ? share_fd(o, ext) : vmdk_no_memory(o);
}

static int lock_extent(struct vmdk_opener *o, struct vmdk_image_extent *ext,
		       const struct stat *st)
{
	if (!o->opt->lock || ext->fd < 0 || same_file(st, &o->st))
		return 0;
	/* other parts of the same device may be written */
	if (ext->kind == VMDK_KIND_DEVICE && ext->access != VMDK_ACCESS_RW)
		return 0;
	return vmdk_opener_lock(o, ext->fd, ext->access == VMDK_ACCESS_RW,
				ext->path);
}

/* For info, what is wrong with an extent is part of the answer. */
static int tolerate(struct vmdk_opener *o, struct vmdk_image_extent *ext, int ret)
{
	if (!ret || !o->opt->no_extents || ret == -ENOMEM)
		return ret;
	ext->open_error = o->why;
	o->why = NULL;
	return 0;
}

/* ------------------------------------------------------- all of them */

/**
 * struct identity - what an extent may change
 * @st: its file
 * @start: first sector that is its own; files are taken for all theirs
 * @end: and where that ends
 * @ext: the extent
 */
struct identity {
	struct stat st;
	uint64_t start, end;
	const struct vmdk_image_extent *ext;
};

/* A device may have any number of nodes. */
static int compare_files(const struct identity *a, const struct identity *b)
{
	bool device = S_ISBLK(a->st.st_mode);

	if (device != S_ISBLK(b->st.st_mode))
		return device ? -1 : 1;
	if (device && a->st.st_rdev != b->st.st_rdev)
		return a->st.st_rdev < b->st.st_rdev ? -1 : 1;
	if (device)
		return 0;
	if (a->st.st_dev != b->st.st_dev)
		return a->st.st_dev < b->st.st_dev ? -1 : 1;
	if (a->st.st_ino != b->st.st_ino)
		return a->st.st_ino < b->st.st_ino ? -1 : 1;
	return 0;
}

static int compare_identities(const void *va, const void *vb)
{
	const struct identity *a = va, *b = vb;
	int order = compare_files(a, b);

	if (order)
		return order;
	return a->start < b->start ? -1 : a->start > b->start;
}

/* The extents that are open, by file and place; returns how many. */
static size_t sort_identities(const struct identity *files, size_t nr,
			      struct identity *sorted)
{
	size_t i, used = 0;

	for (i = 0; i < nr; i++) {
		const struct vmdk_desc_extent *desc = files[i].ext->desc;
		struct identity *id = &sorted[used];

		if (files[i].ext->fd < 0)
			continue;
		*id = files[i];
		id->end = UINT64_MAX;
		if (id->ext->kind == VMDK_KIND_DEVICE) {
			id->start = desc->offset;
			id->end = desc->offset + desc->sectors;
		}
		used++;
	}
	qsort(sorted, used, sizeof(*sorted), compare_identities);
	return used;
}

static int refuse_duplicate(struct vmdk_opener *o,
			    const struct vmdk_image_extent *a,
			    const struct vmdk_image_extent *b)
{
	return vmdk_refuse(&o->why, -EINVAL,
			   "%s: descriptor at line %u: the extent is the same %s as that of line %u (%s); such a disk cannot be written",
			   o->path, b->desc->line,
			   b->kind == VMDK_KIND_DEVICE ? "part of a device" :
			   "file", a->desc->line, b->path);
}

/* A write through one of two extents in one file could change the other. */
static int check_duplicates(struct vmdk_opener *o, const struct identity *files,
			    size_t nr)
{
	struct identity *sorted = calloc(nr, sizeof(*sorted));
	size_t i, used, last = 0;
	bool writable = false;
	int ret = 0;

	if (!sorted)
		return vmdk_no_memory(o);
	used = sort_identities(files, nr, sorted);
	/* @last: of those that overlap up to here, the one that ends last */
	for (i = 0; !ret && i < used; i++) {
		const struct identity *id = &sorted[i];
		bool writes = id->ext->access == VMDK_ACCESS_RW;

		if (!i || compare_files(&sorted[last], id) ||
		    id->start >= sorted[last].end) {
			last = i;
			writable = writes;
			continue;
		}
		writable |= writes;
		if (writable)
			ret = refuse_duplicate(o, sorted[last].ext, id->ext);
		if (id->end > sorted[last].end)
			last = i;
	}
	free(sorted);
	return ret;
}

/*
 * 10,000 extents are legal, 1,024 open files the usual limit.  The file opened
 * last, @fd, tells how many the links above have.
 */
static void raise_fd_limit(int fd, size_t extents)
{
	struct rlimit limit;
	rlim_t need = fd + extents + SPARE_FDS;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= need)
		return;
	limit.rlim_cur = need < limit.rlim_max ? need : limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int open_all(struct vmdk_opener *o, struct identity *files)
{
	struct vmdk_image *img = o->img;
	size_t i;
	int ret = 0;

	for (i = 0; !ret && i < img->nr_extents; i++) {
		files[i].ext = &img->extents[i];
		ret = open_extent(o, &img->extents[i], &files[i].st);
		ret = tolerate(o, &img->extents[i], ret);
	}
	if (!ret)
		ret = check_duplicates(o, files, img->nr_extents);
	for (i = 0; !ret && i < img->nr_extents; i++)
		ret = lock_extent(o, &img->extents[i], &files[i].st);
	for (i = 0; !ret && i < img->nr_extents; i++) {
		if (img->extents[i].open_error)
			continue;
		ret = vmdk_inspect_extent(o, &img->extents[i]);
		ret = tolerate(o, &img->extents[i], ret);
	}
	return ret;
}

/**
 * vmdk_open_extents - open the extents that the descriptor lists
 * @o: what is being opened: its descriptor has been read
 *
 * Return: 0 or -errno.
 */
int vmdk_open_extents(struct vmdk_opener *o)
{
	struct vmdk_image *img = o->img;
	size_t i, nr = img->desc.nr_extents;
	struct identity *files;
	int ret = 0;

	img->sectors = img->desc.sectors;
	img->extents = calloc(nr, sizeof(*img->extents));
	files = calloc(nr, sizeof(*files));
	if (!img->extents || !files) {
		free(files);
		return vmdk_no_memory(o);
	}
	img->nr_extents = nr;
	for (i = 0; i < nr; i++) {
		struct vmdk_image_extent *ext = &img->extents[i];
		enum vmdk_access most = o->opt->write ? VMDK_ACCESS_RW :
							VMDK_ACCESS_RDONLY;

		ext->desc = &img->desc.extents[i];
		ext->fd = -1;
		ext->access = ext->desc->access < most ? ext->desc->access :
							 most;
	}
	raise_fd_limit(img->desc_fd, nr);
	if (!o->self)
		ret = vmdk_folder_open(o->file, img->desc_fd, &o->folder,
				       &o->why);
	o->folder.encoding = img->desc.encoding;
	o->folder.allow_paths = o->opt->allow_paths;
	if (!ret)
		ret = vmdk_devices_init(o);
	if (!ret)
		ret = open_all(o, files);
	free(files);
	return ret;
}
