// SPDX-License-Identifier: GPL-2.0
/*
 * What is the file that the user named?  One of
 *	a text: the descriptor, whose extents are other files;
 *	a hosted sparse file with the descriptor of a one-extent disk in it;
 *	the same header with capacity 0: a descriptor in front of flat data;
 *	a hosted sparse file without one: a piece of a disk, no disk.
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

static int read_at(struct vmdk_opener *o, int fd, const char *path, void *buf,
		   size_t len, uint64_t pos)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pread(fd, (char *)buf + done, len - done,
				  pos + done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return vmdk_refuse(&o->why, -errno,
					   "%s: cannot be read at byte %llu: %m",
					   path, ULL(pos + done));
		if (!n)
			return vmdk_refuse(&o->why, -EINVAL,
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
	{ 0, 4, "COWD", -EOPNOTSUPP,
	  "ESXi sparse extents (COWD) are not supported yet" },
	{ 0, 8, "\xbe\xba\xfe\xca\0\0\0\0", -EOPNOTSUPP,
	  "seSparse extents are not supported yet" },
	{ 0, 2, "\x1f\x8b", -EOPNOTSUPP,
	  "files compressed by gzip are not supported" },
	{ 257, 5, "ustar", -EOPNOTSUPP,
	  "tar archives (OVA) are not supported yet" },
	{ 0, 4, "VMDK", -EINVAL, "the magic is byte-swapped" },
	{ 0, 4, "QFI\xfb", -EINVAL, "this is a qcow2 image" },
};

static int check_magics(struct vmdk_opener *o, const char *path, const char *bytes,
			size_t size)
{
	const struct magic *m, *end = magics + sizeof(magics) / sizeof(*m);

	for (m = magics; m < end; m++)
		if (size >= m->offset + m->size &&
		    !memcmp(bytes + m->offset, m->bytes, m->size))
			return vmdk_refuse(&o->why, m->ret,
					   "%s: header at byte %zu: %s", path,
					   m->offset, m->text);
	return 0;
}

static int refuse_header(struct vmdk_opener *o, const char *path,
			 const struct vmdk_fault *fault)
{
	const char *colon = strstr(fault->text, ": ");

	return vmdk_refuse(&o->why, -EINVAL, "%s: header at byte %llu: %s",
			   path, ULL(fault->offset),
			   colon ? colon + 2 : fault->text);
}

static bool has_sparse_magic(const struct vmdk_sparse_header *header)
{
	uint32_t magic = le32_to_cpu(header->magic);

	return magic == VMDK_MAGIC_SPARSE || magic == VMDK_MAGIC_UNFINISHED;
}

/**
 * vmdk_read_header - read the first sector of a file
 * @o: what is being opened
 * @fd: the file
 * @path: its name, for the message
 * @file_bytes: its size
 * @header: receives the sector, filled up with zeros where the file is shorter
 *
 * Return: 0 or -errno.
 */
int vmdk_read_header(struct vmdk_opener *o, int fd, const char *path,
		     uint64_t file_bytes, struct vmdk_sparse_header *header)
{
	size_t size = sizeof(*header);

	memset(header, 0, size);
	if (file_bytes < size)
		size = file_bytes;
	return read_at(o, fd, path, header, size, 0);
}

/**
 * vmdk_decode_header - validate the first sector of a hosted sparse file
 * @o: what is being opened
 * @path: name of the file, for the message
 * @header: its first sector
 * @file_bytes: its size
 * @geo: receives the geometry
 *
 * Return: 0; -EINVAL; -EOPNOTSUPP for another kind of file.
 */
int vmdk_decode_header(struct vmdk_opener *o, const char *path,
		       const struct vmdk_sparse_header *header,
		       uint64_t file_bytes, struct vmdk_geometry *geo)
{
	struct vmdk_fault fault;
	int ret = 0;

	if (!has_sparse_magic(header))
		ret = check_magics(o, path, (const char *)header,
				   file_bytes < sizeof(*header) ?
				   file_bytes : sizeof(*header));
	if (ret)
		return ret;
	if (file_bytes < sizeof(*header))
		return vmdk_refuse(&o->why, -EINVAL,
				   "%s: header at byte 0: the file has %llu bytes, a header has %zu",
				   path, ULL(file_bytes), sizeof(*header));
	if (vmdk_header_decode(header, file_bytes, geo, &fault))
		return refuse_header(o, path, &fault);
	return 0;
}

static int parse_text(struct vmdk_opener *o, uint64_t offset, uint64_t size)
{
	struct vmdk_image *img = o->img;
	struct vmdk_text_fault fault;
	int ret;

	img->desc_offset = offset;
	img->desc_size = size;
	img->text = calloc(1, size + 1);
	if (!img->text)
		return vmdk_no_memory(o);
	ret = read_at(o, img->desc_fd, o->path, img->text, size, offset);
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
 */
static int read_text_file(struct vmdk_opener *o)
{
	uint64_t size = o->st.st_size, at;
	int ret;

	if (size > TEXT_MAX)
		return vmdk_refuse(&o->why, -EINVAL,
				   "%s: is not a VMDK: it has no header, and %llu bytes are too many for a descriptor",
				   o->path, ULL(size));
	ret = parse_text(o, 0, size);
	if (ret)
		return ret;
	at = strlen(o->img->text);
	while (at < size && !o->img->text[at])
		at++;
	if (at < size)
		return vmdk_refuse(&o->why, -EINVAL,
				   "%s: descriptor at byte %llu: something follows the zero byte that ends the text",
				   o->path, ULL(at));
	return 0;
}

/* A piece of a split disk: for info it is described as if it were a disk. */
static int describe_lone_extent(struct vmdk_opener *o,
				const struct vmdk_geometry *geo)
{
	struct vmdk_descriptor *desc = &o->img->desc;
	const char *slash = strrchr(o->path, '/');
	int ret;

	ret = vmdk_refuse(&o->why, -EINVAL,
			  "%s: header at byte %zu: no descriptor: this is one extent of a split disk; name the file that holds its descriptor instead",
			  o->path,
			  offsetof(struct vmdk_sparse_header, desc_offset));
	if (!o->opt->no_extents)
		return ret;
	o->img->refusal = o->why;
	o->why = NULL;
	desc->version = 1;
	desc->parent_cid = VMDK_NO_PARENT;
	desc->extents = calloc(1, sizeof(*desc->extents));
	if (!desc->extents)
		return vmdk_no_memory(o);
	desc->nr_extents = 1;
	desc->extents->access = VMDK_ACCESS_RW;
	desc->extents->type = VMDK_TYPE_SPARSE;
	desc->extents->sectors = geo->capacity;
	desc->extents->name = strdup(slash ? slash + 1 : o->path);
	desc->sectors = geo->capacity;
	return desc->extents->name ? 0 : vmdk_no_memory(o);
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
	ret = vmdk_decode_header(o, o->path, &o->header, o->st.st_size, &geo);
	if (ret)
		return ret;
	if (geo.desc && geo.desc_sectors)
		ret = read_at(o, o->img->desc_fd, o->path, &first, 1,
			      geo.desc << VMDK_SECTOR_SHIFT);
	if (ret)
		return ret;
	/* qemu keeps room for a text in the pieces of a split disk, too */
	if (!geo.desc || (geo.desc_sectors && !first))
		return describe_lone_extent(o, &geo);
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
			ret = vmdk_decode_header(o, o->path, &o->header,
						 o->st.st_size, &geo);
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

	if (!o->st.st_size)
		return vmdk_refuse(&o->why, -EINVAL, "%s: is empty", o->path);
	ret = vmdk_read_header(o, o->img->desc_fd, o->path, o->st.st_size,
			       &o->header);
	if (ret)
		return ret;
	if (is_descriptor_of_flat(&o->header, o->st.st_size))
		return read_descriptor_of_flat(o);
	if (has_sparse_magic(&o->header))
		return read_embedded(o);
	ret = check_magics(o, o->path, (const char *)&o->header,
			   o->st.st_size < (off_t)sizeof(o->header) ?
			   (size_t)o->st.st_size : sizeof(o->header));
	return ret ? ret : read_text_file(o);
}

