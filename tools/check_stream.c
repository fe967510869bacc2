// SPDX-License-Identifier: GPL-2.0
/*
 * The data of compressed grains: marker, length, zlib stream and its check sum.
 *
 * Inflates with zlib, of which the kernel has a copy, so that a grain is sound
 * here when it is sound there.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "check_internal.h"

/**
 * struct vmdk_inflate - what inflating takes
 * @z: reset for each grain
 * @in: compressed data of a grain
 * @in_room: bytes at @in
 * @out: where the grain goes to, and is looked at no further
 */
struct vmdk_inflate {
	z_stream z;
	u8 *in;
	size_t in_room;
	u8 *out;
};

/**
 * vmdk_inflate_new - get ready to inflate
 * @inflate: receives the means; to be freed when 0 was returned
 *
 * Return: 0 or -ENOMEM.
 */
int vmdk_inflate_new(struct vmdk_inflate **inflate)
{
	struct vmdk_inflate *new = calloc(1, sizeof(*new));

	if (new && inflateInit2(&new->z, MAX_WBITS) == Z_OK) {
		*inflate = new;
		return 0;
	}
	free(new);
	return -ENOMEM;
}

/**
 * vmdk_inflate_free - undo vmdk_inflate_new()
 * @inflate: the means
 */
void vmdk_inflate_free(struct vmdk_inflate *inflate)
{
	inflateEnd(&inflate->z);
	free(inflate->in);
	free(inflate->out);
	free(inflate);
}

/* The file has so many bytes, so memory follows what there is. */
static int make_room(struct vmdk_inflate *inflate, size_t in, size_t out)
{
	if (!inflate->out)
		inflate->out = malloc(out);
	if (in > inflate->in_room) {
		free(inflate->in);
		inflate->in = malloc(in);
		inflate->in_room = inflate->in ? in : 0;
	}
	return inflate->in && inflate->out ? 0 : -ENOMEM;
}

/* What is wrong with the data, or NULL; the last grain may be short. */
static const char *inflate_fault(struct vmdk_inflate *means, u32 in, u32 out,
				 bool last)
{
	z_stream *z = &means->z;

	inflateReset(z);
	z->next_in = means->in;
	z->avail_in = in;
	z->next_out = means->out;
	z->avail_out = out;
	switch (inflate(z, Z_FINISH)) {
	case Z_STREAM_END:
		return z->avail_out && !last ? "inflates to less than a grain" :
					       NULL;
	case Z_OK:
	case Z_BUF_ERROR:
		return z->avail_out ? "the compressed data ends early" :
				      "inflates to more than a grain";
	}
	return z->msg ? z->msg : "the compressed data is damaged";
}

/* The bytes that a marker and a length may take, zeros behind the end. */
static int read_marker(struct vmdk_check *c, u64 pos, u8 marker[16])
{
	u64 left = c->t.file_bytes - pos;

	memset(marker, 0, 16);
	return vmdk_part_read(&c->t.part, marker, left < 16 ? left : 16, pos);
}

/* See struct vmdk_check_format. */
static int stream_length(struct vmdk_check *c, u64 grain, u32 entry,
			 u32 *sectors, struct vmdk_fault *fault)
{
	const struct vmdk_geometry *geo = &c->t.geo;
	u32 bytes = geo->grain_sectors << VMDK_SECTOR_SHIFT, offset, size;
	u64 pos = (u64)entry << VMDK_SECTOR_SHIFT;
	const char *what;
	u8 marker[16];
	int ret;

	ret = read_marker(c, pos, marker);
	if (!ret)
		ret = vmdk_grain_marker_check(marker, geo, grain, pos,
					      c->t.file_bytes, &offset, &size,
					      fault);
	if (!ret)
		ret = make_room(c->inflate, size, bytes);
	if (!ret)
		ret = vmdk_part_read(&c->t.part, c->inflate->in, size,
				     pos + offset);
	if (ret)
		return ret;
	what = inflate_fault(c->inflate, size, bytes,
			     grain + 1 == vmdk_grains(geo));
	if (what)
		return vmdk_fault_set(fault, pos, "grain %llu: %s",
				      (unsigned long long)grain, what);
	*sectors = (offset + size + VMDK_SECTOR_SIZE - 1) >> VMDK_SECTOR_SHIFT;
	return 0;
}

const struct vmdk_check_format vmdk_check_format_stream = {
	.gte_fault = vmdk_stream_gte_fault,
	.length = stream_length,
};
