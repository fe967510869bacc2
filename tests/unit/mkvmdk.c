// SPDX-License-Identifier: GPL-2.0
/*
 * Hosted sparse images made in memory; see mkvmdk.h.
 */
#define _GNU_SOURCE	/* memfd_create */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mkvmdk.h"

static uint64_t round_up(uint64_t v, uint64_t unit)
{
	return (v + unit - 1) / unit * unit;
}

static void require(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "mkvmdk: %s\n", what);
	abort();
}

void mk_resize(struct mk_image *m, size_t size)
{
	uint8_t *bytes = realloc(m->bytes, size ? size : 1);

	require(bytes, "out of memory");
	if (size > m->size)
		memset(bytes + m->size, 0, size - m->size);
	m->bytes = bytes;
	m->size = size;
}

void mk_free(struct mk_image *m)
{
	free(m->bytes);
	memset(m, 0, sizeof(*m));
}

uint64_t mk_get(const struct mk_image *m, uint64_t offset, unsigned int width)
{
	uint64_t value = 0;

	require(offset + width <= m->size, "read outside of the image");
	while (width--)
		value = value << 8 | m->bytes[offset + width];
	return value;
}

void mk_put(struct mk_image *m, uint64_t offset, unsigned int width,
	    uint64_t value)
{
	require(offset + width <= m->size, "write outside of the image");
	for (; width--; value >>= 8)
		m->bytes[offset++] = (uint8_t)value;
}

unsigned int mk_width(enum mk_field field)
{
	switch (field) {
	case MK_MAGIC:
	case MK_VERSION:
	case MK_FLAGS:
	case MK_GTES:
	case MK_NEWLINE:
		return 4;
	case MK_COMPRESS:
		return 2;
	case MK_UNCLEAN:
		return 1;
	default:
		return 8;
	}
}

void mk_header(struct mk_image *m, enum mk_field field, uint64_t value)
{
	mk_put(m, field, mk_width(field), value);
}

uint64_t mk_gde(const struct mk_image *m, unsigned int copy, uint32_t index)
{
	return m->gd[copy] * MK_SECTOR + index * 4ULL;
}

uint64_t mk_gte(const struct mk_image *m, unsigned int copy, uint64_t grain)
{
	uint64_t table = mk_get(m, mk_gde(m, copy, grain / m->opt.gtes), 4);

	require(table, "no such table");
	return table * MK_SECTOR + grain % m->opt.gtes * 4;
}

static unsigned int copies(const struct mk_image *m)
{
	return m->opt.one_copy ? 1 : 2;
}

uint32_t mk_table(struct mk_image *m, unsigned int copy, uint32_t index)
{
	uint32_t sector = (uint32_t)(round_up(m->size, MK_SECTOR) / MK_SECTOR);

	mk_resize(m, (sector + (size_t)m->gt_sectors) * MK_SECTOR);
	mk_put(m, mk_gde(m, copy, index), 4, sector);
	return sector;
}

void mk_entry_copy(struct mk_image *m, unsigned int copy, uint64_t grain,
		   uint32_t value)
{
	mk_put(m, mk_gte(m, copy, grain), 4, value);
}

void mk_entry(struct mk_image *m, uint64_t grain, uint32_t value)
{
	unsigned int copy;

	for (copy = 0; copy < copies(m); copy++)
		mk_entry_copy(m, copy, grain, value);
}

uint32_t mk_append(struct mk_image *m, uint8_t fill)
{
	size_t grain_bytes = m->opt.grain * MK_SECTOR;
	size_t start = round_up(m->size, grain_bytes);

	mk_resize(m, start + grain_bytes);
	memset(m->bytes + start, fill, grain_bytes);
	return (uint32_t)(start / MK_SECTOR);
}

uint32_t mk_map(struct mk_image *m, uint64_t grain, uint8_t fill)
{
	uint32_t index = (uint32_t)(grain / m->opt.gtes);
	unsigned int copy;
	uint32_t sector;

	for (copy = 0; copy < copies(m); copy++)
		if (!mk_get(m, mk_gde(m, copy, index), 4))
			mk_table(m, copy, index);
	sector = mk_append(m, fill);
	mk_entry(m, grain, sector);
	return sector;
}

static void put_descriptor(struct mk_image *m)
{
	char text[1024];
	int n;

	n = snprintf(text, sizeof(text),
		     "# Disk DescriptorFile\n"
		     "version=1\n"
		     "CID=12345678\n"
		     "parentCID=ffffffff\n"
		     "createType=\"%s\"\n"
		     "# Extent description\n"
		     "RW %llu SPARSE \"image.vmdk\"\n"
		     "# The Disk Data Base\n"
		     "#DDB\n"
		     "ddb.virtualHWVersion = \"4\"\n"
		     "ddb.geometry.cylinders = \"20\"\n"
		     "ddb.geometry.heads = \"16\"\n"
		     "ddb.geometry.sectors = \"63\"\n"
		     "ddb.adapterType = \"ide\"\n",
		     m->opt.create_type, (unsigned long long)m->opt.capacity);
	require(n > 0 && (size_t)n <= m->opt.desc_sectors * MK_SECTOR,
		"descriptor too small");
	memcpy(m->bytes + MK_SECTOR, text, (size_t)n);
}

static void put_header(struct mk_image *m)
{
	const struct mk_options *o = &m->opt;

	mk_header(m, MK_MAGIC, 0x564d444b);
	mk_header(m, MK_VERSION, o->version);
	mk_header(m, MK_FLAGS, o->flags | 1 | (o->one_copy ? 0 : 2));
	mk_header(m, MK_CAPACITY, o->capacity);
	mk_header(m, MK_GRAIN, o->grain);
	mk_header(m, MK_DESC_OFFSET, o->no_descriptor ? 0 : 1);
	mk_header(m, MK_DESC_SIZE, o->no_descriptor ? 0 : o->desc_sectors);
	mk_header(m, MK_GTES, o->gtes);
	mk_header(m, MK_RGD_OFFSET, m->gd[1]);
	mk_header(m, MK_GD_OFFSET, m->gd[0]);
	mk_header(m, MK_OVERHEAD, m->overhead);
	memcpy(m->bytes + MK_NEWLINE, "\n \r\n", 4);
}

/* Header, descriptor, redundant directory and its tables, primary and its own. */
static void lay_out(struct mk_image *m)
{
	const struct mk_options *o = &m->opt;
	uint64_t tables = o->tables == MK_TABLES_FRONT ?
			  (uint64_t)m->gd_entries * m->gt_sectors : 0;
	uint64_t next = 1 + (o->no_descriptor ? 0 : o->desc_sectors);
	unsigned int copy = copies(m);
	uint32_t i;

	while (copy--) {
		m->gd[copy] = next;
		next += m->gd_sectors + tables;
	}
	m->overhead = round_up(next, o->grain);
	mk_resize(m, m->overhead * MK_SECTOR);
	for (copy = 0; copy < copies(m) && tables; copy++)
		for (i = 0; i < m->gd_entries; i++)
			mk_put(m, mk_gde(m, copy, i), 4, m->gd[copy] +
			       m->gd_sectors + (uint64_t)i * m->gt_sectors);
}

void mk_create(struct mk_image *m, const struct mk_options *opt)
{
	struct mk_options *o = &m->opt;

	memset(m, 0, sizeof(*m));
	*o = *opt;
	o->capacity = o->capacity ? o->capacity : 2048;
	o->grain = o->grain ? o->grain : 128;
	o->gtes = o->gtes ? o->gtes : 512;
	o->version = o->version ? o->version : 1;
	o->desc_sectors = o->desc_sectors ? o->desc_sectors : 20;
	o->create_type = o->create_type ? o->create_type : "monolithicSparse";
	m->gd_entries = (uint32_t)(round_up(o->capacity, o->grain * o->gtes) /
				   (o->grain * o->gtes));
	m->gd_sectors = (uint32_t)(round_up(m->gd_entries * 4ULL, MK_SECTOR) /
				   MK_SECTOR);
	m->gt_sectors = (uint32_t)(round_up(o->gtes * 4ULL, MK_SECTOR) /
				   MK_SECTOR);
	lay_out(m);
	put_header(m);
	if (!o->no_descriptor)
		put_descriptor(m);
}

static int fill_file(int fd, const struct mk_image *m)
{
	size_t done = 0;

	require(fd >= 0, "cannot create a file");
	while (done < m->size) {
		ssize_t n = write(fd, m->bytes + done, m->size - done);

		require(n > 0, "cannot write a file");
		done += (size_t)n;
	}
	return fd;
}

int mk_memfd(const struct mk_image *m)
{
	return fill_file(memfd_create("mkvmdk", MFD_CLOEXEC), m);
}

int mk_save(const struct mk_image *m, const char *path)
{
	return fill_file(open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600),
			 m);
}
