// SPDX-License-Identifier: GPL-2.0
/*
 * What is the file that the user named?  One of
 *	a text: the descriptor, whose extents are other files;
 *	a hosted sparse file with the descriptor of a one-extent disk in it;
 *	the same header with capacity 0: a descriptor in front of flat data;
 *	a hosted sparse file without one: a piece of a disk, no disk;
 *	a COWD file: a disk of old that never had a descriptor.
 * A member of an OVA may be the second of these only: all else is, or leads to,
 * other files.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "opener.h"
#include "policy.h"

#define TEXT_MAX	((size_t)VMDK_DESC_SECTORS_MAX * VMDK_SECTOR_SIZE)

/**
 * vmdk_no_memory - the refusal when memory runs out
 * @o: what is being opened
 *
 * Return: -ENOMEM.
 */
int vmdk_no_memory(struct vmdk_opener *o)
{
	return vmdk_refuse(&o->why, -ENOMEM, "%s: %s", o->path,
			   strerror(ENOMEM));
}

static int read_at(struct vmdk_opener *o, const struct vmdk_place *place,
		   void *buf, size_t len, uint64_t pos)
{
	const char *path = place->path;
	size_t done = 0;

	while (done < len) {
		ssize_t n = vmdk_part_pread(&place->part, (char *)buf + done,
					    len - done, pos + done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return vmdk_refuse(&o->why, -errno,
					   "%s: cannot be read at byte %llu: %m",
					   path, ULL(pos + done));
		if (!n)
			return vmdk_refuse(&o->why, -EIO,
					   "%s: ends at byte %llu while it is being read",
					   path, ULL(pos + done));
		done += n;
	}
	return 0;
}

/* What a file is that is not hosted sparse, by its first bytes. */
static const struct magic {
	size_t offset, size;
	const char *bytes;
	int ret;
	const char *text;
} magics[] = {
	{ 0, 4, "COWD", -EINVAL, "this is a COWD extent" },
	{ 0, 8, "\xbe\xba\xfe\xca\0\0\0\0", -EINVAL,
	  "this is a seSparse extent; name the file that holds its descriptor instead" },
	{ 0, 2, "\x1f\x8b", -EOPNOTSUPP,
	  "the file is compressed as a whole: unpack it with gunzip" },
	{ 257, 5, "ustar", -EINVAL, "this is a tar archive" },
	{ 0, 4, "VMDK", -EINVAL, "the magic is byte-swapped" },
	{ 0, 4, "QFI\xfb", -EOPNOTSUPP, "this is a qcow2 image" },
};

/* @bytes: the first sector, filled up with zeros */
static int check_magics(struct vmdk_opener *o, const struct vmdk_place *place,
			const char *bytes)
{
	const struct magic *m, *end = magics + sizeof(magics) / sizeof(*m);

	for (m = magics; m < end; m++)
		if (place->part.bytes >= m->offset + m->size &&
		    !memcmp(bytes + m->offset, m->bytes, m->size))
			return vmdk_refuse(&o->why, m->ret,
					   "%s: header at byte %zu: %s",
					   place->path, m->offset, m->text);
	return 0;
}

/**
 * vmdk_refuse_fault - the refusal of a binary structure
 * @o: what is being opened
 * @place: where it lies
 * @fault: what is wrong with it
 *
 * Return: -EINVAL.
 */
int vmdk_refuse_fault(struct vmdk_opener *o, const struct vmdk_place *place,
		      const struct vmdk_fault *fault)
{
	const char *colon = strstr(fault->text, ": ");
	int len = colon ? (int)(colon - fault->text) : 0;

	if (!colon || fault->offset == VMDK_NO_OFFSET)
		return vmdk_refuse(&o->why, -EINVAL, "%s: %s", place->path,
				   fault->text);
	return vmdk_refuse(&o->why, -EINVAL, "%s: %.*s at byte %llu: %s",
			   place->path, len, fault->text, ULL(fault->offset),
			   colon + 2);
}

static bool has_sparse_magic(const struct vmdk_sparse_header *header)
{
	uint32_t magic = le32_to_cpu(header->magic);

	return magic == VMDK_MAGIC_SPARSE || magic == VMDK_MAGIC_UNFINISHED;
}

/**
 * vmdk_read_start - read the first bytes of a file
 * @o: what is being opened
 * @place: the file, or the part of it
 * @buf: receives the bytes, filled up with zeros where there are fewer
 * @size: how many
 *
 * Return: 0 or -errno.
 */
int vmdk_read_start(struct vmdk_opener *o, const struct vmdk_place *place,
		    void *buf, size_t size)
{
	memset(buf, 0, size);
	return read_at(o, place, buf, place->part.bytes < size ? place->part.bytes : size,
		       0);
}

/**
 * vmdk_decode_header - validate the first sector of a hosted sparse file
 * @o: what is being opened
 * @place: the file
 * @header: its first sector
 * @geo: receives the geometry
 *
 * Return: 0; -EINVAL; -EOPNOTSUPP for another kind of file.
 */
int vmdk_decode_header(struct vmdk_opener *o, const struct vmdk_place *place,
		       const struct vmdk_sparse_header *header,
		       struct vmdk_geometry *geo)
{
	struct vmdk_fault fault;
	int ret = 0;

	if (!has_sparse_magic(header))
		ret = check_magics(o, place, (const char *)header);
	if (ret)
		return ret;
	if (place->part.bytes < sizeof(*header))
		return vmdk_refuse(&o->why, -EINVAL,
				   "%s: header at byte 0: the file has %llu bytes, a header has %zu",
				   place->path, ULL(place->part.bytes),
				   sizeof(*header));
	if (vmdk_header_decode(header, place->part.bytes, geo, &fault))
		return vmdk_refuse_fault(o, place, &fault);
	return 0;
}

/**
 * vmdk_decode_cowd - read and validate the header of a COWD file
 * @o: what is being opened
 * @place: the file
 * @header: receives the header
 * @geo: receives the geometry
 *
 * Return: 0 or -errno.
 */
int vmdk_decode_cowd(struct vmdk_opener *o, const struct vmdk_place *place,
		     struct vmdk_cowd_header *header, struct vmdk_geometry *geo)
{
	struct vmdk_fault fault;
	u32 free_sector;
	int ret;

	ret = vmdk_read_start(o, place, header, sizeof(*header));
	if (ret)
		return ret;
	if (place->part.bytes < sizeof(*header))
		return vmdk_refuse(&o->why, -EINVAL,
				   "%s: header at byte 0: the file has %llu bytes, a header has %zu",
				   place->path, ULL(place->part.bytes),
				   sizeof(*header));
	if (vmdk_cowd_decode(header, place->part.bytes, geo, &free_sector, &fault))
		return vmdk_refuse_fault(o, place, &fault);
	return 0;
}

static int parse_text(struct vmdk_opener *o, uint64_t offset, uint64_t size)
{
	struct vmdk_image *img = o->img;
	struct vmdk_text_fault fault;
	int ret;

	img->desc_offset = o->place.part.base + offset;
	img->desc_size = size;
	img->text = calloc(1, size + 1);
	if (!img->text)
		return vmdk_no_memory(o);
	ret = read_at(o, &o->place, img->text, size, offset);
	if (ret)
		return ret;
	ret = vmdk_descriptor_parse(img->text, size, &img->desc, &fault);
	if (ret == -ENOMEM)
		return vmdk_no_memory(o);
	if (ret && fault.line)
		return vmdk_refuse(&o->why, ret,
				   "%s: descriptor at byte %llu (line %u): %s",
				   o->path, ULL(offset + fault.offset), fault.line,
				   fault.text);
	if (ret)
		return vmdk_refuse(&o->why, ret,
				   "%s: descriptor at byte %llu: %s",
				   o->path, ULL(offset + fault.offset), fault.text);
	return vmdk_policy_consistent(&img->desc, o->path, &o->why);
}

/*
 * Only zeros may follow the text (qemu pads it with them): a file that goes on
 * with something else is also something else, and which is not for us to say.
 * But qemu writes a content id without leading zeros, in place, and a shorter
 * text over a longer one: up to seven bytes of the old one then remain.
 */
static int read_text_file(struct vmdk_opener *o)
{
	uint64_t size = o->place.part.bytes, at;
	int ret;

	if (o->img->member)
		return vmdk_refuse(&o->why, -EOPNOTSUPP,
				   "%s: is not a sparse disk with its descriptor inside: extract the archive with tar",
				   o->path);
	if (size > TEXT_MAX)
		return vmdk_refuse(&o->why, -EINVAL,
				   "%s: is not a VMDK: it has no header, and %llu bytes are too many for a descriptor",
				   o->path, ULL(size));
	ret = parse_text(o, 0, size);
	if (ret)
		return ret;
	at = strlen(o->img->text) + VMDK_CID_DIGITS - 1;
	while (at < size && !o->img->text[at])
		at++;
	if (at < size)
		return vmdk_refuse(&o->why, -EINVAL,
				   "%s: descriptor at byte %llu: something follows the zero byte that ends the text",
				   o->path, ULL(at));
	return 0;
}

/* Make a descriptor that has one extent: the file. */
static int describe_self(struct vmdk_opener *o, enum vmdk_extent_type type,
			 const struct vmdk_geometry *geo)
{
	struct vmdk_descriptor *desc = &o->img->desc;
	const char *slash = strrchr(o->path, '/');

	o->self = true;
	desc->version = 1;
	desc->parent_cid = VMDK_NO_PARENT;
	desc->extents = calloc(1, sizeof(*desc->extents));
	if (!desc->extents)
		return vmdk_no_memory(o);
	desc->nr_extents = 1;
	desc->extents->access = VMDK_ACCESS_RW;
	desc->extents->type = type;
	desc->extents->sectors = geo->capacity;
	desc->extents->name = strdup(slash ? slash + 1 : o->path);
	desc->sectors = geo->capacity;
	return desc->extents->name ? 0 : vmdk_no_memory(o);
}

/* A piece of a disk: for info it is described as if it were one. */
static int describe_lone_extent(struct vmdk_opener *o,
				enum vmdk_extent_type type,
				const struct vmdk_geometry *geo, int ret)
{
	if (!o->opt->no_extents)
		return ret;
	o->img->refusal = o->why;
	o->why = NULL;
	return describe_self(o, type, geo);
}

/*
 * The only extent of a file with an embedded descriptor is the file itself: the
 * name in the line is what the file was called once.  Any other line would be a
 * way to other files for whoever made this one.
 */
static int read_embedded(struct vmdk_opener *o)
{
	struct vmdk_geometry geo;
	char first = 0;
	int ret;

	o->self = true;
	o->img->embedded = true;
	ret = vmdk_decode_header(o, &o->place, &o->header, &geo);
	if (ret)
		return ret;
	if (geo.desc && geo.desc_sectors)
		ret = read_at(o, &o->place, &first, 1,
			      geo.desc << VMDK_SECTOR_SHIFT);
	if (ret)
		return ret;
	/* qemu keeps room for a text in the pieces of a split disk, too */
	if (!geo.desc || (geo.desc_sectors && !first)) {
		ret = vmdk_refuse(&o->why, -EINVAL,
				  "%s: header at byte %zu: no descriptor: this is one extent of a split disk; name the file that holds its descriptor instead",
				  o->path,
				  offsetof(struct vmdk_sparse_header, desc_offset));
		return describe_lone_extent(o, VMDK_TYPE_SPARSE, &geo, ret);
	}
	if (!geo.desc_sectors)
		return vmdk_refuse(&o->why, -EINVAL,
				   "%s: header at byte %zu: the descriptor has no sectors",
				   o->path,
				   offsetof(struct vmdk_sparse_header, desc_size));
	ret = parse_text(o, geo.desc << VMDK_SECTOR_SHIFT,
			 (uint64_t)geo.desc_sectors << VMDK_SECTOR_SHIFT);
	if (ret)
		return ret;
	if (o->img->desc.nr_extents != 1 ||
	    o->img->desc.extents->type != VMDK_TYPE_SPARSE)
		return vmdk_refuse(&o->why, -EINVAL,
				   "%s: descriptor at line %u: an embedded descriptor has to describe one SPARSE extent, the file itself",
				   o->path, o->img->desc.extents->line);
	return 0;
}

/*
 * A child has the name of its parent where a root has three numbers.  The first
 * of them, the cylinders, is below 65536, so that it is no text of three bytes.
 */
static bool has_parent_name(const struct vmdk_cowd_header *header)
{
	const u8 *name = header->u.child.parent_name;

	return name[0] && name[1] && name[2];
}

static bool is_delta_name(const char *path)
{
	static const char suffix[] = "-delta.vmdk";
	size_t len = strlen(path);

	return len >= strlen(suffix) &&
	       !strcmp(path + len - strlen(suffix), suffix);
}

/*
 * ESXi's COWD files are deltas with a descriptor beside them, and would read as
 * zeros where their parent shows through; by their header they cannot be told
 * from a whole disk of old, but by their name they can.
 */
static int read_cowd(struct vmdk_opener *o)
{
	struct vmdk_cowd_header header;
	struct vmdk_geometry geo;
	int ret;

	ret = vmdk_decode_cowd(o, &o->place, &header, &geo);
	if (ret)
		return ret;
	if (has_parent_name(&header)) {
		ret = vmdk_refuse(&o->why, -EOPNOTSUPP,
				  "%s: header at byte %zu: this disk is a child of \"%.*s\" and has no descriptor: such chains are not supported",
				  o->path,
				  offsetof(struct vmdk_cowd_header, u),
				  (int)sizeof(header.u.child.parent_name),
				  header.u.child.parent_name);
		return describe_lone_extent(o, VMDK_TYPE_VMFSSPARSE, &geo, ret);
	}
	if (is_delta_name(o->path)) {
		ret = vmdk_refuse(&o->why, -EINVAL,
				  "%s: header at byte 0: no descriptor: this is an extent of an ESXi snapshot; name the file that holds its descriptor instead",
				  o->path);
		return describe_lone_extent(o, VMDK_TYPE_VMFSSPARSE, &geo, ret);
	}
	return describe_self(o, VMDK_TYPE_VMFSSPARSE, &geo);
}

static bool is_descriptor_of_flat(const struct vmdk_sparse_header *header,
				  uint64_t file_bytes)
{
	uint64_t start = le64_to_cpu(header->desc_offset);
	uint64_t size = le64_to_cpu(header->desc_size);
	uint64_t sectors = file_bytes >> VMDK_SECTOR_SHIFT;

	return le32_to_cpu(header->magic) == VMDK_MAGIC_SPARSE &&
	       !header->capacity && start && size &&
	       size <= VMDK_DESC_SECTORS_MAX &&
	       start <= sectors && size <= sectors - start;
}

/* Any sparse extent in there means that the capacity should not have been 0. */
static int read_descriptor_of_flat(struct vmdk_opener *o)
{
	const struct vmdk_descriptor *desc = &o->img->desc;
	struct vmdk_geometry geo;
	size_t i;
	int ret;

	o->img->embedded = true;
	ret = parse_text(o, le64_to_cpu(o->header.desc_offset) << VMDK_SECTOR_SHIFT,
			 le64_to_cpu(o->header.desc_size) << VMDK_SECTOR_SHIFT);
	for (i = 0; !ret && i < desc->nr_extents; i++)
		if (desc->extents[i].type == VMDK_TYPE_SPARSE)
			ret = vmdk_decode_header(o, &o->place, &o->header,
						 &geo);
	return ret;
}

/**
 * vmdk_probe - find out what the file is, and read its descriptor
 * @o: what is being opened: the file is open, and locked as it shall be
 *
 * Return: 0 or -errno.
 */
int vmdk_probe(struct vmdk_opener *o)
{
	int ret;

	if (!o->place.part.bytes)
		return vmdk_refuse(&o->why, -EINVAL, "%s: is empty", o->path);
	ret = vmdk_read_start(o, &o->place, &o->header, sizeof(o->header));
	if (ret)
		return ret;
	if (!o->img->member && is_descriptor_of_flat(&o->header, o->place.part.bytes))
		return read_descriptor_of_flat(o);
	if (has_sparse_magic(&o->header))
		return read_embedded(o);
	if (le32_to_cpu(o->header.magic) == VMDK_MAGIC_COWD && !o->img->member)
		return read_cowd(o);
	ret = check_magics(o, &o->place, (const char *)&o->header);
	return ret ? ret : read_text_file(o);
}
