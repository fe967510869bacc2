// SPDX-License-Identifier: GPL-2.0
/*
 * COWD images made in memory; see mkcowd.h.
 */
#include <string.h>

#include "mkcowd.h"

#define HEADER_SECTORS	4

static uint32_t round_up(uint32_t v, uint32_t unit)
{
	return (v + unit - 1) / unit * unit;
}

void mkc_header(struct mkc_image *m, enum mkc_field field, uint32_t value)
{
	mk_put(&m->image, field, 4, value);
}

static void advance(struct mkc_image *m)
{
	if (!m->opt.stale_free)
		mkc_header(m, MKC_FREE, (uint32_t)(m->image.size / MK_SECTOR));
}

void mkc_create(struct mkc_image *m, const struct mkc_options *opt)
{
	struct mkc_options *o = &m->opt;
	struct mk_image *image = &m->image;
	uint64_t table;

	memset(m, 0, sizeof(*m));
	*o = *opt;
	o->capacity = o->capacity ? o->capacity : 8192;
	o->grain = o->grain ? o->grain : 1;
	o->gd_offset = o->gd_offset ? o->gd_offset : HEADER_SECTORS;
	table = (uint64_t)o->grain * MKC_GTES;
	if (!o->gd_entries)
		o->gd_entries = (uint32_t)((o->capacity + table - 1) / table);
	image->opt.capacity = o->capacity;
	image->opt.grain = o->grain;
	image->opt.gtes = MKC_GTES;
	image->opt.one_copy = true;
	image->gd[0] = o->gd_offset;
	image->gd_entries = o->gd_entries;
	image->gd_sectors = round_up(o->gd_entries * 4, MK_SECTOR) / MK_SECTOR;
	image->gt_sectors = MKC_GTES * 4 / MK_SECTOR;
	image->overhead = o->gd_offset + image->gd_sectors;
	mk_resize(image, image->overhead * MK_SECTOR);
	mkc_header(m, MKC_MAGIC, 0x44574f43);
	mkc_header(m, MKC_VERSION, 1);
	mkc_header(m, MKC_FLAGS, 3);
	mkc_header(m, MKC_CAPACITY, o->capacity);
	mkc_header(m, MKC_GRAIN, o->grain);
	mkc_header(m, MKC_GD_OFFSET, o->gd_offset);
	mkc_header(m, MKC_GD_ENTRIES, o->gd_entries);
	mkc_header(m, MKC_FREE, (uint32_t)image->overhead);
	mkc_header(m, MKC_CYLINDERS, o->capacity / (255 * 63));
	mkc_header(m, MKC_HEADS, 255);
	mkc_header(m, MKC_SECTORS, 63);
}

void mkc_free(struct mkc_image *m)
{
	mk_free(&m->image);
}

uint32_t mkc_map(struct mkc_image *m, uint64_t grain, const uint8_t *data)
{
	struct mk_image *image = &m->image;
	uint32_t index = (uint32_t)(grain / MKC_GTES);
	size_t bytes = (size_t)m->opt.grain * MK_SECTOR;
	uint32_t sector;

	if (!mk_get(image, mk_gde(image, 0, index), 4))
		mk_table(image, 0, index);
	sector = (uint32_t)(image->size / MK_SECTOR);
	mk_resize(image, image->size + bytes);
	memcpy(image->bytes + image->size - bytes, data, bytes);
	mk_entry_copy(image, 0, grain, sector);
	advance(m);
	return sector;
}
