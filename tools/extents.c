// SPDX-License-Identifier: GPL-2.0
/*
 * The extents of an image: found, opened, locked, and looked at, in this order,
 * so that what was seen stays true.
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
#include "policy.h"

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

/* Only what the user listed by exactly this name is used as a device. */
static int check_device(struct vmdk_opener *o, const struct vmdk_desc_extent *desc)
{
	char **dev;

	for (dev = o->opt->allow_devices; dev && *dev; dev++)
		if (!strcmp(*dev, desc->name))
			return vmdk_refuse(&o->why, -EOPNOTSUPP,
					   "%s: descriptor at line %u: %s: raw devices are not supported yet",
					   o->path, desc->line, desc->name);
	if (!strncmp(desc->name, "/dev/", 5) &&
	    strncmp(desc->name, "/dev/shm/", 9))
		return vmdk_refuse(&o->why, -EXDEV,
				   "%s: descriptor at line %u: %s: is a device; it is only used when given by --allow-device",
				   o->path, desc->line, desc->name);
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

static int open_by_name(struct vmdk_opener *o, struct vmdk_image_extent *ext,
			struct stat *st)
{
	int flags = ext->access == VMDK_ACCESS_RW ? O_RDWR : O_RDONLY;
	int ret = check_device(o, ext->desc);

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
	const char *unsupported = vmdk_policy_extent(ext->desc->type);

	if (!has_file(ext))
		return 0;
	if (unsupported)
		return vmdk_refuse(&o->why, -EOPNOTSUPP,
				   "%s: descriptor at line %u: %s", o->path,
				   ext->desc->line, unsupported);
	if (!o->self)
		return open_by_name(o, ext, st);
	*st = o->st;
	ext->path = strdup(o->path);
	return ext->path ? share_fd(o, ext) : vmdk_no_memory(o);
}

/* Header and descriptor stay what they are, whatever the guest writes. */
static int check_own_metadata(struct vmdk_opener *o, struct vmdk_image_extent *ext)
{
	uint64_t end = o->img->desc_offset + o->img->desc_size;

	if (ext->offset >= end ||
	    (ext->offset >= VMDK_SECTOR_SIZE &&
	     ext->offset + ext->length <= o->img->desc_offset))
		return 0;
	return vmdk_refuse(&o->why, -EINVAL,
			   "%s: descriptor at line %u: the extent overlaps the header or the descriptor",
			   o->path, ext->desc->line);
}

static int inspect_flat(struct vmdk_opener *o, struct vmdk_image_extent *ext,
			const struct stat *st)
{
	ext->kind = VMDK_KIND_FLAT;
	ext->offset = ext->desc->offset << VMDK_SECTOR_SHIFT;
	ext->length = ext->desc->sectors << VMDK_SECTOR_SHIFT;
	if (ext->offset > ext->file_bytes ||
	    ext->length > ext->file_bytes - ext->offset)
		return vmdk_refuse(&o->why, -EINVAL,
				   "%s: extent at byte %llu: needs %llu bytes, but the file ends at byte %llu",
				   ext->path, ULL(ext->offset), ULL(ext->length),
				   ULL(ext->file_bytes));
	return same_file(st, &o->st) ? check_own_metadata(o, ext) : 0;
}

/*
 * VirtualBox rounds the header's capacity up, but not the descriptor's, which is
 * the size of the disk.
 */
static int check_capacity(struct vmdk_opener *o, struct vmdk_image_extent *ext)
{
	const struct vmdk_geometry *geo = &ext->geo;
	uint64_t sectors = ext->desc->sectors;
	uint64_t rounded = (sectors + geo->grain_sectors - 1) >>
			   geo->grain_shift << geo->grain_shift;

	if (geo->capacity == sectors || geo->capacity == rounded)
		return 0;
	return vmdk_refuse(&o->why, -EINVAL,
			   "%s: header at byte %zu: capacity is %llu sectors, but the descriptor says %llu",
			   ext->path,
			   offsetof(struct vmdk_sparse_header, capacity),
			   ULL(geo->capacity), ULL(sectors));
}

static int inspect_sparse(struct vmdk_opener *o, struct vmdk_image_extent *ext)
{
	struct vmdk_sparse_header header;
	int ret;

	ext->kind = VMDK_KIND_SPARSE;
	ret = vmdk_read_header(o, ext->fd, ext->path, ext->file_bytes, &header);
	if (!ret)
		ret = vmdk_decode_header(o, ext->path, &header, ext->file_bytes,
					 &ext->geo);
	if (ret)
		return ret;
	ext->has_header = true;
	if (ext->geo.unclean)
		o->img->unclean = true;
	ret = check_capacity(o, ext);
	if (!ret && ext->geo.flags & VMDK_FLAG_COMPRESSED)
		ret = vmdk_refuse(&o->why, -EOPNOTSUPP,
				  "%s: header at byte %zu: compressed grains are not supported yet",
				  ext->path,
				  offsetof(struct vmdk_sparse_header, flags));
	return ret;
}

static int inspect_extent(struct vmdk_opener *o, struct vmdk_image_extent *ext)
{
	struct stat st;

	if (!has_file(ext)) {
		ext->kind = VMDK_KIND_ZERO;
		return 0;
	}
	if (fstat(ext->fd, &st))
		return vmdk_refuse(&o->why, -errno, "%s: %m", ext->path);
	ext->file_bytes = st.st_size;
	ext->allocated = (uint64_t)st.st_blocks * 512;
	if (ext->desc->type == VMDK_TYPE_SPARSE)
		return inspect_sparse(o, ext);
	return inspect_flat(o, ext, &st);
}

static int lock_extent(struct vmdk_opener *o, struct vmdk_image_extent *ext,
		       const struct stat *st)
{
	if (!o->opt->lock || ext->fd < 0 || same_file(st, &o->st))
		return 0;
	return vmdk_lock_image(ext->fd, ext->access == VMDK_ACCESS_RW,
			       ext->path, &o->why);
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

struct identity {
	struct stat st;
	const struct vmdk_image_extent *ext;
};

static int compare_files(const void *va, const void *vb)
{
	const struct stat *a = &((const struct identity *)va)->st;
	const struct stat *b = &((const struct identity *)vb)->st;

	if (a->st_dev != b->st_dev)
		return a->st_dev < b->st_dev ? -1 : 1;
	if (a->st_ino != b->st_ino)
		return a->st_ino < b->st_ino ? -1 : 1;
	return 0;
}

/* A write through one of two extents in one file could change the other. */
static int check_duplicates(struct vmdk_opener *o, const struct identity *files,
			    size_t nr)
{
	struct identity *sorted = calloc(nr, sizeof(*sorted));
	size_t i, used = 0;
	bool writable = false;
	int ret = 0;

	if (!sorted)
		return vmdk_no_memory(o);
	for (i = 0; i < nr; i++)
		if (files[i].ext->fd >= 0)
			sorted[used++] = files[i];
	qsort(sorted, used, sizeof(*sorted), compare_files);
	for (i = 1; !ret && i < used; i++) {
		const struct vmdk_image_extent *a = sorted[i - 1].ext;
		const struct vmdk_image_extent *b = sorted[i].ext;

		writable |= a->access == VMDK_ACCESS_RW;
		if (compare_files(&sorted[i - 1], &sorted[i]))
			writable = false;
		else if (writable || b->access == VMDK_ACCESS_RW)
			ret = vmdk_refuse(&o->why, -EINVAL,
					  "%s: descriptor at line %u: the extent is the same file as that of line %u (%s); such a disk cannot be written",
					  o->path, b->desc->line, a->desc->line,
					  b->path);
	}
	free(sorted);
	return ret;
}

/* 10,000 extents are legal, 1,024 open files the usual limit. */
static void raise_fd_limit(size_t extents)
{
	struct rlimit limit;
	rlim_t need = extents + SPARE_FDS;

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
		ret = inspect_extent(o, &img->extents[i]);
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
	raise_fd_limit(nr);
	if (!o->self)
		ret = vmdk_folder_open(o->path, &o->folder, &o->why);
	o->folder.encoding = img->desc.encoding;
	o->folder.allow_paths = o->opt->allow_paths;
	if (!ret)
		ret = open_all(o, files);
	free(files);
	return ret;
}

