// SPDX-License-Identifier: GPL-2.0
/*
 * Compressed sparse images made in memory; see mkstream.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "mkstream.h"

#define BOMB_GRAINS	256

const char *const mks_damage_names[MKS_NR_DAMAGES] = {
	"sound", "lba", "size-zero", "size-most", "size-past-end", "short",
	"long", "bomb", "header", "dictionary", "sum", "raw", "junk", "bits",
};

static void require(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "mkstream: %s\n", what);
	abort();
}

static bool flag(const struct mks_image *m, uint32_t bit)
{
	return m->opt.flags & bit;
}

static uint32_t next_sector(struct mks_image *m)
{
	size_t sectors = (m->image.size + MK_SECTOR - 1) / MK_SECTOR;

	mk_resize(&m->image, sectors * MK_SECTOR);
	return (uint32_t)sectors;
}

static void set_entry(struct mks_image *m, uint64_t grain, uint32_t sector)
{
	require(grain < m->grains, "no such grain");
	m->entries[grain] = sector;
}

void mks_create(struct mks_image *m, const struct mks_options *opt)
{
	struct mks_options *o = &m->opt;
	struct mk_options sparse = { 0 };

	memset(m, 0, sizeof(*m));
	*o = *opt;
	o->capacity = o->capacity ? o->capacity : 2048;
	o->grain = o->grain ? o->grain : 128;
	o->gtes = o->gtes ? o->gtes : 512;
	o->version = o->version ? o->version : 3;
	o->desc_sectors = o->desc_sectors ? o->desc_sectors : 2;
	sparse.capacity = o->capacity;
	sparse.grain = o->grain;
	sparse.gtes = o->gtes;
	sparse.version = o->version;
	sparse.desc_sectors = o->desc_sectors;
	sparse.flags = flag(m, MKS_NO_MARKERS) ? 0x10000 : 0x30000;
	sparse.one_copy = !flag(m, MKS_RGD);
	sparse.create_type = "streamOptimized";
	sparse.tables = o->place == MKS_FRONT ? MK_TABLES_FRONT : MK_TABLES_LAZY;
	mk_create(&m->image, &sparse);
	mk_header(&m->image, MK_COMPRESS, 1);
	m->grains = (o->capacity + o->grain - 1) / o->grain;
	m->entries = calloc(m->grains, sizeof(*m->entries));
	require(m->entries, "out of memory");
}

void mks_free(struct mks_image *m)
{
	free(m->entries);
	mk_free(&m->image);
	memset(m, 0, sizeof(*m));
}

uint32_t mks_block(struct mks_image *m, uint64_t lba, uint32_t said,
		   const uint8_t *bytes, size_t size)
{
	unsigned int front = flag(m, MKS_NO_MARKERS) ? 4 : 12;
	uint32_t sector = next_sector(m);
	uint64_t at = (uint64_t)sector * MK_SECTOR;

	mk_resize(&m->image, at + front + size);
	if (front == 12)
		mk_put(&m->image, at, 8, lba);
	mk_put(&m->image, at + front - 4, 4, said);
	memcpy(m->image.bytes + at + front, bytes, size);
	next_sector(m);
	return sector;
}

void mks_marker(struct mks_image *m, uint32_t type, uint64_t value)
{
	uint64_t at = (uint64_t)next_sector(m) * MK_SECTOR;

	mk_resize(&m->image, at + (1 + value) * MK_SECTOR);
	mk_put(&m->image, at, 8, value);
	mk_put(&m->image, at + 12, 4, type);
	memset(m->image.bytes + at + MK_SECTOR, 0x5a, value * MK_SECTOR);
}

/* Deflate with any kind of frame; the caller frees the result. */
static uint8_t *pack(const uint8_t *data, size_t size, int window, int level,
		     bool dictionary, size_t *packed)
{
	static const uint8_t words[] = "a dictionary that nobody has";
	z_stream z = { 0 };
	size_t room;
	uint8_t *out;

	require(deflateInit2(&z, level, Z_DEFLATED, window, 8,
			     Z_DEFAULT_STRATEGY) == Z_OK, "deflateInit2");
	if (dictionary)
		deflateSetDictionary(&z, words, sizeof(words));
	room = deflateBound(&z, size) + 64;
	out = malloc(room);
	require(out, "out of memory");
	z.next_in = (uint8_t *)data;
	z.avail_in = (unsigned int)size;
	z.next_out = out;
	z.avail_out = (unsigned int)room;
	require(deflate(&z, Z_FINISH) == Z_STREAM_END, "deflate");
	*packed = z.total_out;
	deflateEnd(&z);
	return out;
}

/* Bytes that a grain is to inflate to, out of so many. */
static size_t plain_size(const struct mks_image *m, uint64_t grain,
			 enum mks_damage damage)
{
	size_t whole = m->opt.grain * MK_SECTOR;
	uint64_t left = m->opt.capacity - grain * m->opt.grain;

	switch (damage) {
	case MKS_SHORT:
		return whole - MK_SECTOR;
	case MKS_LONG:
		return whole + 1;
	case MKS_BOMB:
		return whole * BOMB_GRAINS;
	default:
		return flag(m, MKS_SHORT_LAST) && left < m->opt.grain ?
		       left * MK_SECTOR : whole;
	}
}

static uint8_t *pack_grain(const struct mks_image *m, uint64_t grain,
			   const uint8_t *data, enum mks_damage damage,
			   size_t *packed)
{
	size_t whole = m->opt.grain * MK_SECTOR;
	size_t size = plain_size(m, grain, damage);
	uint8_t *plain = calloc(1, size > whole ? size : whole);
	uint8_t *out;

	require(plain, "out of memory");
	memcpy(plain, data, whole);
	out = pack(plain, size, damage == MKS_RAW_DEFLATE ? -15 : 15,
		   flag(m, MKS_STORED) ? 0 : Z_DEFAULT_COMPRESSION,
		   damage == MKS_DICTIONARY, packed);
	free(plain);
	return out;
}

/* What can be done to data that is packed; there is room for 64 bytes more. */
static void damage_data(uint8_t *data, size_t *size, enum mks_damage damage)
{
	switch (damage) {
	case MKS_BAD_HEADER:
		data[0] = 0x79;
		break;
	case MKS_BAD_SUM:
		data[*size - 1] ^= 1;
		break;
	case MKS_BAD_BITS:
		data[2] |= 6;	/* a block of the type that there is not */
		break;
	case MKS_JUNK:
		memset(data + *size, 0xee, 17);
		*size += 17;
		break;
	default:
		break;
	}
}

static uint32_t said_size(size_t size, enum mks_damage damage)
{
	switch (damage) {
	case MKS_SIZE_ZERO:
		return 0;
	case MKS_SIZE_MOST:
		return UINT32_MAX;
	case MKS_SIZE_PAST_END:
		return (uint32_t)size + 4096;
	default:
		return (uint32_t)size;
	}
}

void mks_damaged_grain(struct mks_image *m, uint64_t grain, const uint8_t *data,
		       enum mks_damage damage)
{
	uint64_t lba = grain * m->opt.grain + (damage == MKS_WRONG_LBA);
	size_t size;
	uint8_t *packed = pack_grain(m, grain, data, damage, &size);

	if (flag(m, MKS_PROGRESS) && !(grain & 3)) {
		mks_marker(m, 4, 1);
		mks_marker(m, 77, 3);
	}
	damage_data(packed, &size, damage);
	set_entry(m, grain, mks_block(m, lba, said_size(size, damage), packed,
				      size));
	free(packed);
}

void mks_grain(struct mks_image *m, uint64_t grain, const uint8_t *data)
{
	mks_damaged_grain(m, grain, data, MKS_SOUND);
}

uint64_t mks_at(const struct mks_image *m, uint64_t grain)
{
	return (uint64_t)m->entries[grain] * MK_SECTOR;
}

/* The table of entry @index of a directory, unless it would be empty. */
static void put_table(struct mks_image *m, unsigned int copy, uint32_t index)
{
	uint64_t first = (uint64_t)index * m->opt.gtes;
	bool empty = true;
	uint64_t i;

	for (i = first; i < first + m->opt.gtes && i < m->grains; i++)
		empty = empty && !m->entries[i];
	if (empty)
		return;
	if (!mk_get(&m->image, mk_gde(&m->image, copy, index), 4)) {
		if (!flag(m, MKS_NO_MARKERS)) {
			mks_marker(m, 1, m->image.gt_sectors);
			mk_resize(&m->image, m->image.size - (size_t)
				  m->image.gt_sectors * MK_SECTOR);
		}
		mk_table(&m->image, copy, index);
	}
	for (i = first; i < first + m->opt.gtes && i < m->grains; i++)
		mk_entry_copy(&m->image, copy, i, m->entries[i]);
}

/*
 * Tables are entered in the directory where it is now, in the front, which is
 * then copied to where it belongs.
 */
static void move_directory(struct mks_image *m, unsigned int copy)
{
	size_t size = (size_t)m->image.gd_sectors * MK_SECTOR;
	uint64_t from = m->image.gd[copy] * MK_SECTOR;
	uint64_t to;

	m->gd_marker = (uint64_t)next_sector(m) * MK_SECTOR;
	mks_marker(m, 2, m->image.gd_sectors);
	to = m->gd_marker + MK_SECTOR;
	memcpy(m->image.bytes + to, m->image.bytes + from, size);
	memset(m->image.bytes + from, 0, size);
	m->image.gd[copy] = to / MK_SECTOR;
}

static void put_footer(struct mks_image *m)
{
	mk_header(&m->image, MK_GD_OFFSET, m->image.gd[0]);
	mk_header(&m->image, MK_RGD_OFFSET, m->image.gd[1]);
	mks_marker(m, 3, 1);
	m->footer = m->image.size - MK_SECTOR;
	memcpy(m->image.bytes + m->footer, m->image.bytes, MK_SECTOR);
	if (m->opt.place == MKS_FOOTER) {
		mk_header(&m->image, MK_GD_OFFSET, UINT64_MAX);
		mk_header(&m->image, MK_RGD_OFFSET, 0);
	}
	if (!flag(m, MKS_CUT))
		mks_marker(m, 0, 0);
}

void mks_finish(struct mks_image *m)
{
	unsigned int copy = flag(m, MKS_RGD) ? 2 : 1;
	size_t size;
	uint32_t i;

	next_sector(m);
	while (copy--) {
		for (i = 0; i < m->image.gd_entries; i++)
			put_table(m, copy, i);
		if (m->opt.place != MKS_FRONT)
			move_directory(m, copy);
	}
	if (m->opt.place != MKS_FRONT)
		put_footer(m);
	size = m->image.size;
	mk_resize(&m->image, size + m->opt.pad);
	memset(m->image.bytes + size, 0xa5, m->opt.pad);
}
