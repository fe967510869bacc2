// SPDX-License-Identifier: GPL-2.0
/*
 * seSparse images made in memory; see mksesparse.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mksesparse.h"

#define GT_SECTORS	64
#define GRAIN_BYTES	(MKSE_GRAIN * MK_SECTOR)
#define JOURNAL_SECTORS	64

static uint64_t units(uint64_t v, uint64_t unit)
{
	return (v + unit - 1) / unit;
}

void mkse_header(struct mkse_image *m, enum mkse_field field, uint64_t value)
{
	mk_put(&m->image, field, 8, value);
}

void mkse_volatile(struct mkse_image *m, enum mkse_volatile_field field,
		   uint64_t value)
{
	mk_put(&m->image, m->volatile_header * MK_SECTOR + field, 8, value);
}

static uint64_t put_area(struct mkse_image *m, enum mkse_field field,
			 uint64_t *next, uint64_t sectors, uint64_t alignment)
{
	uint64_t at = units(*next, alignment) * alignment;

	*next = at + sectors;
	mk_put(&m->image, field, 8, at);
	mk_put(&m->image, field + 8, 8, sectors);
	return at;
}

/* Room for every table and grain that the disk can have. */
static void lay_out(struct mkse_image *m)
{
	uint64_t grains = units(m->capacity, MKSE_GRAIN);
	uint64_t next = 1;

	m->tables = (uint32_t)units(grains, MKSE_GTES);
	m->volatile_header = put_area(m, MKSE_VOLATILE, &next, 1, 1);
	put_area(m, MKSE_JOURNAL_HEADER, &next, 2, 8);
	put_area(m, MKSE_JOURNAL, &next, JOURNAL_SECTORS, 8);
	m->gd = put_area(m, MKSE_GD, &next, units(m->tables, 64), 8);
	m->gts = put_area(m, MKSE_GTS, &next, (uint64_t)m->tables * GT_SECTORS,
			  8);
	put_area(m, MKSE_BITMAP, &next, units(grains, MK_SECTOR * 8), 8);
	put_area(m, MKSE_BACKMAP, &next, units(grains * 8, MK_SECTOR), 8);
	m->grains = put_area(m, MKSE_GRAINS, &next, grains * MKSE_GRAIN, 8);
}

void mkse_create(struct mkse_image *m, uint64_t capacity)
{
	memset(m, 0, sizeof(*m));
	m->capacity = capacity;
	mk_resize(&m->image, MK_SECTOR);
	mkse_header(m, MKSE_MAGIC, 0xcafebabe);
	mkse_header(m, MKSE_VERSION, 0x0000000200000001);
	mkse_header(m, MKSE_CAPACITY, capacity);
	mkse_header(m, MKSE_GRAIN_SIZE, MKSE_GRAIN);
	mkse_header(m, MKSE_GT_SIZE, GT_SECTORS);
	lay_out(m);
	mk_resize(&m->image, m->grains * MK_SECTOR);
	mkse_volatile(m, MKSE_V_MAGIC, 0xcafecafe);
	mkse_volatile(m, MKSE_V_SEQUENCE, 1);
}

void mkse_free(struct mkse_image *m)
{
	mk_free(&m->image);
}

uint64_t mkse_gde(const struct mkse_image *m, uint64_t index)
{
	return m->gd * MK_SECTOR + index * 8;
}

uint64_t mkse_gte(const struct mkse_image *m, uint64_t grain)
{
	uint64_t gde = mk_get(&m->image, mkse_gde(m, grain / MKSE_GTES), 8);

	if (!gde) {
		fprintf(stderr, "mksesparse: no such table\n");
		abort();
	}
	return (m->gts + (gde & UINT32_MAX) * GT_SECTORS) * MK_SECTOR +
	       grain % MKSE_GTES * 8;
}

uint64_t mkse_value(enum mkse_kind kind, uint64_t index)
{
	return (uint64_t)kind << 60 | (index & 0xfff) << 48 | index >> 12;
}

void mkse_entry(struct mkse_image *m, uint64_t grain, uint64_t value)
{
	uint64_t gde = mkse_gde(m, grain / MKSE_GTES);

	if (!mk_get(&m->image, gde, 8)) {
		m->used++;
		mk_put(&m->image, gde, 8,
		       1ULL << 60 | (m->tables - m->used));
		mkse_volatile(m, MKSE_V_FREE_GT, m->tables - m->used);
	}
	mk_put(&m->image, mkse_gte(m, grain), 8, value);
}

uint64_t mkse_map(struct mkse_image *m, uint64_t grain, const uint8_t *data)
{
	mk_resize(&m->image, m->image.size + GRAIN_BYTES);
	memcpy(m->image.bytes + m->image.size - GRAIN_BYTES, data, GRAIN_BYTES);
	mkse_entry(m, grain, mkse_value(MKSE_DATA, m->nr_grains));
	return m->nr_grains++;
}
