// SPDX-License-Identifier: GPL-2.0
/*
 * What an open extent is, by what its file says: kind, place, sizes.
 *
 * For SPARSE and VMFSSPARSE lines the magic decides between hosted sparse and
 * COWD, as it does for qemu: both words have been used for both.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <linux/fs.h>

#include "opener.h"

#define MEMBER		"it is a member of an archive"
#define COMPRESSED	"its grains are compressed"
#define SESPARSE	"seSparse disks can only be read"

/* Where its file is, or, for a member of an OVA, where that is in its file. */
static struct vmdk_place place_of(const struct vmdk_opener *o,
				  const struct vmdk_image_extent *ext)
{
	struct vmdk_place place = {
		.part = { .fd = ext->fd, .bytes = ext->file_bytes },
		.path = ext->path,
	};

	if (o->img->member)
		place.part = o->place.part;
	return place;
}

/* ------------------------------------------------------------------- flat */

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

static int inspect_window(struct vmdk_opener *o, struct vmdk_image_extent *ext)
{
	ext->offset = ext->desc->offset << VMDK_SECTOR_SHIFT;
	ext->length = ext->desc->sectors << VMDK_SECTOR_SHIFT;
	if (ext->offset <= ext->file_bytes &&
	    ext->length <= ext->file_bytes - ext->offset)
		return 0;
	return vmdk_refuse(&o->why, -EINVAL,
			   "%s: extent at byte %llu: needs %llu bytes, but the %s ends at byte %llu",
			   ext->path, ULL(ext->offset), ULL(ext->length),
			   ext->kind == VMDK_KIND_DEVICE ? "device" : "file",
			   ULL(ext->file_bytes));
}

static int inspect_flat(struct vmdk_opener *o, struct vmdk_image_extent *ext,
			const struct stat *st)
{
	int ret;

	ext->kind = VMDK_KIND_FLAT;
	ret = inspect_window(o, ext);
	if (!ret && st->st_dev == o->st.st_dev && st->st_ino == o->st.st_ino)
		ret = check_own_metadata(o, ext);
	return ret;
}

static int inspect_device(struct vmdk_opener *o, struct vmdk_image_extent *ext)
{
	uint64_t bytes;

	ext->kind = VMDK_KIND_DEVICE;
	if (ioctl(ext->fd, BLKGETSIZE64, &bytes))
		return vmdk_refuse(&o->why, -errno, "%s: its size cannot be had: %m",
				   ext->path);
	ext->file_bytes = bytes;
	return inspect_window(o, ext);
}

/* ----------------------------------------------------------------- sparse */

/**
 * vmdk_extent_fits - is it as large as the descriptor says?
 * @ext: an extent with a header
 *
 * VirtualBox rounds the header's capacity up, but not the descriptor's, which is
 * the size of the disk.
 */
bool vmdk_extent_fits(const struct vmdk_image_extent *ext)
{
	uint64_t sectors = ext->desc->sectors, grain = ext->geo.grain_sectors;

	return ext->geo.capacity == sectors ||
	       ext->geo.capacity == (sectors + grain - 1) / grain * grain;
}

/*
 * A resize that did not come to its end leaves a larger number in the header than
 * in the descriptor, and the unclean flag.  @field: where the header has it.
 */
static int check_capacity(struct vmdk_opener *o, struct vmdk_image_extent *ext,
			  size_t field)
{
	const struct vmdk_geometry *geo = &ext->geo;
	uint64_t sectors = ext->desc->sectors;

	if (vmdk_extent_fits(ext))
		return 0;
	if (ext->kind == VMDK_KIND_SPARSE && geo->unclean &&
	    geo->capacity > sectors)
		return 0;
	return vmdk_refuse(&o->why, -EINVAL,
			   "%s: header at byte %zu: capacity is %llu sectors, but the descriptor says %llu",
			   ext->path, field, ULL(geo->capacity), ULL(sectors));
}

/* The directory is behind the grains: a second header, at the end, says where. */
static int read_footer(struct vmdk_opener *o, const struct vmdk_place *place,
		       const struct vmdk_sparse_header *header,
		       struct vmdk_geometry *geo)
{
	uint64_t end = place->part.bytes >> VMDK_SECTOR_SHIFT << VMDK_SECTOR_SHIFT;
	uint64_t size = end < VMDK_TAIL_BYTES_MAX ? end : VMDK_TAIL_BYTES_MAX;
	struct vmdk_place tail = *place;
	struct vmdk_fault fault;
	void *buf = malloc(size);
	int ret;

	if (!buf)
		return vmdk_no_memory(o);
	tail.part.base += end - size;
	tail.part.bytes = size;
	ret = vmdk_read_start(o, &tail, buf, size);
	if (!ret && vmdk_footer_decode(header, buf, size, end - size,
				       place->part.bytes, geo, &fault))
		ret = vmdk_refuse_fault(o, place, &fault);
	free(buf);
	return ret;
}

static int inspect_hosted(struct vmdk_opener *o, struct vmdk_image_extent *ext,
			  const struct vmdk_place *place)
{
	struct vmdk_sparse_header header;
	int ret;

	ext->kind = VMDK_KIND_SPARSE;
	ret = vmdk_read_start(o, place, &header, sizeof(header));
	if (!ret)
		ret = vmdk_decode_header(o, place, &header, &ext->geo);
	if (ret)
		return ret;
	ext->has_header = true;
	if (ext->geo.flags & VMDK_FLAG_COMPRESSED)
		ext->read_only = COMPRESSED;
	if (ext->geo.unclean)
		o->img->unclean = true;
	ret = check_capacity(o, ext, offsetof(struct vmdk_sparse_header,
					      capacity));
	if (ret || ext->geo.gd != VMDK_GD_AT_END)
		return ret;
	ext->footer = true;
	return read_footer(o, place, &header, &ext->geo);
}

static int inspect_cowd(struct vmdk_opener *o, struct vmdk_image_extent *ext,
			const struct vmdk_place *place)
{
	struct vmdk_cowd_header header;
	int ret;

	ext->kind = VMDK_KIND_COWD;
	ret = vmdk_decode_cowd(o, place, &header, &ext->geo);
	if (ret)
		return ret;
	ext->has_header = true;
	if (ext->geo.unclean)
		o->img->unclean = true;
	return check_capacity(o, ext, offsetof(struct vmdk_cowd_header,
					       capacity));
}

static int inspect_sparse(struct vmdk_opener *o, struct vmdk_image_extent *ext)
{
	const struct vmdk_place place = place_of(o, ext);
	__le32 magic;
	int ret;

	ret = vmdk_read_start(o, &place, &magic, sizeof(magic));
	if (ret)
		return ret;
	if (le32_to_cpu(magic) == VMDK_MAGIC_COWD)
		ret = inspect_cowd(o, ext, &place);
	else
		ret = inspect_hosted(o, ext, &place);
	ext->offset = place.part.base;
	ext->windows = place.part.windows;
	if (!o->img->member)
		return ret;
	ext->length = place.part.bytes;
	if (!ext->read_only)
		ext->read_only = MEMBER;
	return ret;
}

static int inspect_sesparse(struct vmdk_opener *o, struct vmdk_image_extent *ext)
{
	struct vmdk_place place = place_of(o, ext);
	struct vmdk_sesparse_volatile state;
	struct vmdk_sesparse_header header;
	struct vmdk_sesparse_geometry geo;
	struct vmdk_fault fault;
	int ret;

	ext->kind = VMDK_KIND_SESPARSE;
	ext->read_only = SESPARSE;
	ret = vmdk_read_start(o, &place, &header, sizeof(header));
	if (ret)
		return ret;
	if (vmdk_sesparse_decode(&header, place.part.bytes, &geo, &fault))
		return vmdk_refuse_fault(o, &place, &fault);
	ext->has_header = true;
	ext->geo.capacity = geo.capacity;
	ext->geo.grain_sectors = VMDK_SESPARSE_GRAIN;
	ret = check_capacity(o, ext, offsetof(struct vmdk_sesparse_header,
					      capacity));
	if (ret)
		return ret;
	place.part.base += geo.volatile_header << VMDK_SECTOR_SHIFT;
	ret = vmdk_read_start(o, &place, &state, sizeof(state));
	if (!ret && vmdk_sesparse_decode_volatile(&state, &geo, &fault))
		ret = vmdk_refuse_fault(o, &place, &fault);
	return ret;
}

/**
 * vmdk_inspect_extent - find out what an extent is
 * @o: what is being opened
 * @ext: the extent: open, and locked as it shall be; a device when its kind
 *	says so already
 *
 * Return: 0 or -errno.
 */
int vmdk_inspect_extent(struct vmdk_opener *o, struct vmdk_image_extent *ext)
{
	struct stat st;

	if (ext->fd < 0) {
		ext->kind = VMDK_KIND_ZERO;
		return 0;
	}
	if (ext->kind == VMDK_KIND_DEVICE)
		return inspect_device(o, ext);
	if (fstat(ext->fd, &st))
		return vmdk_refuse(&o->why, -errno, "%s: %m", ext->path);
	ext->file_bytes = o->img->member ? o->place.part.bytes : (uint64_t)st.st_size;
	ext->allocated = o->img->member ? o->place.part.bytes :
					  (uint64_t)st.st_blocks * 512;
	switch (ext->desc->type) {
	case VMDK_TYPE_SPARSE:
	case VMDK_TYPE_VMFSSPARSE:
		return inspect_sparse(o, ext);
	case VMDK_TYPE_SESPARSE:
		return inspect_sesparse(o, ext);
	default:
		return inspect_flat(o, ext, &st);
	}
}
