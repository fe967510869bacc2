// SPDX-License-Identifier: GPL-2.0
/*
 * The content id: what a child remembers of its parent.  It changes once per
 * writable attach, before the first write; here is what to.
 *
 * CID is 32 bits; ddb.longContentID is 128 bits of which the last 32 are the
 * CID (as ESXi writes them).  A CID of fffffffe says that only the long one
 * counts (technote); but there may be none, and a child can only remember 32
 * bits, so that it becomes an id like any other.  Digits are replaced by as many
 * digits, so that no other byte of the descriptor moves.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "image.h"
#include "vmdkctl.h"

#define CID_NONE	VMDK_NO_PARENT
#define CID_IN_LONG	VMDK_CID_IN_LONG

static int random_bytes(void *bytes, size_t size)
{
	ssize_t len;

	do
		len = getrandom(bytes, size, 0);
	while (len < 0 && errno == EINTR);
	if (len < 0)
		return -errno;
	return (size_t)len == size ? 0 : -EIO;
}

/* How many digits of @span lie in front of a sector boundary of the file. */
static size_t digits_in_sector(const struct vmdk_image *image,
			       struct vmdk_span span)
{
	uint64_t at = image->desc_offset + span.offset;
	size_t room = VMDK_SECTOR_SIZE - at % VMDK_SECTOR_SIZE;

	return room < span.length ? room : span.length;
}

static void add_patch(const struct vmdk_image *image, struct vmdk_span span,
		      const char *digits, struct vmdk_patch *patch)
{
	const char *old = image->text + span.offset;
	bool upper = false;
	size_t i;

	memset(patch, 0, sizeof(*patch));
	patch->fd = image->desc_fd;
	patch->length = span.length;
	patch->offset = image->desc_offset + span.offset;
	for (i = 0; i < span.length; i++)
		upper |= isupper((unsigned char)old[i]);
	for (i = 0; i < span.length; i++) {
		patch->old[i] = old[i];
		patch->new[i] = upper ? toupper((unsigned char)digits[i]) :
					digits[i];
	}
}

/*
 * The digits of the CID that change: all, unless a sector boundary runs through
 * them.  Two sectors may reach the disk at different times, and half an id is
 * none; so then only those on the longer side.
 */
static struct vmdk_span changing_digits(const struct vmdk_image *image)
{
	struct vmdk_span span = image->desc.cid_span;
	size_t front = digits_in_sector(image, span);

	if (2 * front >= span.length) {
		span.length = front;
	} else {
		span.offset += front;
		span.length -= front;
	}
	return span;
}

static bool is_usable(const struct vmdk_descriptor *desc, uint32_t cid)
{
	return cid && cid != CID_NONE && cid != CID_IN_LONG &&
	       cid != desc->cid && cid != desc->parent_cid;
}

static int renew_cid(const struct vmdk_image *image, struct vmdk_patch *patch,
		     uint32_t *new_cid)
{
	const struct vmdk_span all = image->desc.cid_span;
	struct vmdk_span span = changing_digits(image);
	size_t behind = all.offset + all.length - span.offset - span.length;
	uint32_t mask = (uint32_t)((1ULL << 4 * span.length) - 1) << 4 * behind;
	char digits[VMDK_CID_DIGITS + 1];
	uint32_t random, cid;
	int ret;

	do {
		ret = random_bytes(&random, sizeof(random));
		if (ret)
			return ret;
		cid = (image->desc.cid & ~mask) | (random & mask);
	} while (!is_usable(&image->desc, cid));
	*new_cid = cid;
	snprintf(digits, sizeof(digits), "%0*" PRIx32, (int)all.length, cid);
	add_patch(image, span, digits + (span.offset - all.offset), patch);
	return 0;
}

/* Every digit is new, so a torn update is still another id than the old one. */
static int renew_long_id(const struct vmdk_image *image, uint32_t cid,
			 struct vmdk_patch *patches, uint32_t *nr)
{
	struct vmdk_span span = image->desc.long_cid_span, part = span;
	char digits[VMDK_PATCH_SIZE + VMDK_CID_DIGITS + 1];
	uint8_t random[VMDK_PATCH_SIZE / 2];
	size_t i;
	int ret;

	ret = random_bytes(random, sizeof(random));
	if (ret)
		return ret;
	for (i = 0; i < sizeof(random); i++)
		snprintf(digits + 2 * i, 3, "%02x", random[i]);
	if (span.length == VMDK_PATCH_SIZE)
		snprintf(digits + VMDK_PATCH_SIZE - VMDK_CID_DIGITS, VMDK_CID_DIGITS + 1,
			 "%08" PRIx32, cid);
	part.length = digits_in_sector(image, span);
	add_patch(image, part, digits, &patches[(*nr)++]);
	if (part.length == span.length)
		return 0;
	part.offset += part.length;
	part.length = span.length - part.length;
	add_patch(image, part, digits + (part.offset - span.offset),
		  &patches[(*nr)++]);
	return 0;
}

/**
 * content_id_renew - what to write into the descriptor before the first write
 * @image: about to be attached for writing
 * @patches: receives the changes; none crosses a sector boundary of the file
 * @nr_patches: receives how many there are; 0 when the descriptor has no id
 * @new_cid: receives what CID is afterwards
 *
 * Return: 0 or -errno.
 */
int content_id_renew(const struct vmdk_image *image,
		     struct vmdk_patch patches[VMDK_MAX_PATCHES],
		     uint32_t *nr_patches, uint32_t *new_cid)
{
	const struct vmdk_descriptor *desc = &image->desc;
	int ret = 0;

	*nr_patches = 0;
	*new_cid = desc->cid;
	if (desc->cid_span.length) {
		ret = renew_cid(image, patches, new_cid);
		*nr_patches = 1;
	}
	if (!ret && desc->long_cid_span.length)
		ret = renew_long_id(image, *new_cid, patches, nr_patches);
	return ret;
}
