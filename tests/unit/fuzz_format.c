// SPDX-License-Identifier: GPL-2.0
/*
 * libFuzzer entry: vmdk_format.c, vmdk_foreign.c, the rules of check, and
 * evening out.
 *
 * An even first byte: the rest is a file as it is.  An odd one: it picks a sound
 * image, of the format that the second byte says, and the rest are damages of
 * ten bytes: place, width, value.  Sound images are made once, and mended after
 * each use: to make them takes many times as long as all that is tried here.
 */
#define _GNU_SOURCE	/* memfd_create */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "check.h"
#include "mkcowd.h"
#include "mksesparse.h"
#include "mkstream.h"
#include "part.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DAMAGES		2000	/* at most; more than -max_len has room for */

#define REQUIRE(x)	do { if (!(x)) fail(#x, __LINE__); } while (0)

static void fail(const char *what, int line)
{
	fprintf(stderr, "line %d: not so: %s\n", line, what);
	abort();
}

static void consume(const struct vmdk_finding *f, void *arg)
{
	size_t *sum = arg;

	REQUIRE(f->text[0] && f->found[0] && f->expected[0]);
	*sum += strlen(f->structure) + strlen(f->text) + strlen(f->found) +
		strlen(f->expected);
}

static u64 number(const uint8_t *data, size_t size, u64 at, unsigned int width)
{
	u64 v = 0;

	while (width--)
		v = v << 8 | (at + width < size ? data[at + width] : 0);
	return v;
}

static void check_grain(const uint8_t *data, size_t size, u64 file_bytes,
			const struct vmdk_geometry *geo, u64 grain, u32 gte)
{
	struct vmdk_fault fault;
	uint8_t first[16] = { 0 };
	u64 pos = gte * 512ULL;
	u32 offset, length;

	if (pos < size)
		memcpy(first, data + pos, size - pos < 16 ? size - pos : 16);
	if (vmdk_grain_marker_check(first, geo, grain, pos, file_bytes, &offset,
				    &length, &fault)) {
		REQUIRE(fault.text[0] && fault.offset - pos < 16);
		return;
	}
	REQUIRE(offset == 4 || offset == 12);
	REQUIRE(length && length <= geo->grain_sectors * 1024);
	REQUIRE(pos + offset + length <= file_bytes);
}

static void check_stream_entry(const uint8_t *data, size_t size, u64 file_bytes,
			       const struct vmdk_geometry *geo, u64 grain)
{
	u64 sectors = file_bytes / 512 + !!(file_bytes % 512);
	u64 gde = geo->gd * 512 + (grain >> geo->gt_shift) * 4;
	u32 table = (u32)number(data, size, gde, 4);
	u32 gte;

	if (!table || vmdk_gde_fault(geo, table, file_bytes / 512))
		return;
	gte = (u32)number(data, size, table * 512ULL +
			  (grain & (geo->gt_entries - 1)) * 4, 4);
	if (gte < 2 || vmdk_stream_gte_fault(geo, grain, gte, sectors))
		return;
	REQUIRE(gte >= geo->overhead && gte < sectors);
	check_grain(data, size, file_bytes, geo, grain, gte);
}

/* What the header or the footer says is in the file, and clear of the rest. */
static void check_stream(const uint8_t *data, size_t size, u64 file_bytes,
			 const struct vmdk_geometry *geo)
{
	u64 grain;

	REQUIRE(geo->gd && (geo->gd + geo->gd_sectors) * 512 <= file_bytes);
	REQUIRE((geo->rgd + geo->gd_sectors) * 512 <= file_bytes || !geo->rgd);
	REQUIRE(geo->overhead >= geo->desc + geo->desc_sectors);
	REQUIRE(geo->overhead && geo->overhead * 512 <= file_bytes);
	for (grain = 0; grain < 64; grain++)
		check_stream_entry(data, size, file_bytes, geo, grain);
}

static void stream(const uint8_t *data, size_t size)
{
	struct vmdk_sparse_header header;
	struct vmdk_geometry geo;
	struct vmdk_fault fault = { 0 };
	size_t first = size / 512 > 16 ? size / 512 - 16 : 0;

	if (size < sizeof(header))
		return;
	memcpy(&header, data, sizeof(header));
	if (vmdk_header_decode(&header, size, &geo, &fault) ||
	    !(geo.flags & VMDK_FLAG_COMPRESSED))
		return;
	if (geo.gd == VMDK_GD_AT_END &&
	    vmdk_footer_decode(&header, data + first * 512, size - first * 512,
			       first * 512, size, &geo, &fault)) {
		REQUIRE(fault.text[0] && fault.offset < size);
		return;
	}
	check_stream(data, size, size, &geo);
}

static void cowd(const uint8_t *data, size_t size, u64 file_bytes)
{
	struct vmdk_cowd_header header;
	struct vmdk_geometry geo;
	struct vmdk_fault fault = { 0 };
	u32 entry, free_sector;
	size_t i;

	if (size < sizeof(header))
		return;
	memcpy(&header, data, sizeof(header));
	if (vmdk_cowd_decode(&header, file_bytes, &geo, &free_sector, &fault)) {
		REQUIRE(fault.text[0] && fault.offset < sizeof(header));
		return;
	}
	REQUIRE((u64)geo.gd_entries << geo.gt_shift >= vmdk_grains(&geo));
	REQUIRE((u64)geo.gd_sectors * 128 >= geo.gd_entries);
	REQUIRE(geo.gd >= 4 && geo.overhead * 512 <= file_bytes);
	REQUIRE(free_sector >= geo.overhead);
	for (i = sizeof(header); i + 4 <= size; i += 4) {
		memcpy(&entry, data + i, sizeof(entry));
		if (!entry)
			continue;
		if (!vmdk_gde_fault(&geo, entry, file_bytes / 512))
			REQUIRE(entry >= 4 && (entry + 32ULL) * 512 <= file_bytes);
		if (!vmdk_cowd_gte_fault(&geo, i, entry, file_bytes / 512))
			REQUIRE(entry >= geo.overhead && i < vmdk_grains(&geo));
	}
}

static void check_sesparse_entry(u64 entry,
				 const struct vmdk_sesparse_geometry *geo,
				 u64 file_bytes)
{
	u64 sector = 0;

	if (vmdk_sesparse_gde(entry, geo, &sector) == 1) {
		REQUIRE(sector >= geo->gts);
		REQUIRE(sector + 64 <= geo->gts + geo->gts_sectors);
		REQUIRE((sector + 64) * 512 <= file_bytes);
	}
	if (vmdk_sesparse_gte(entry, geo, &sector) == VMDK_SESPARSE_DATA) {
		REQUIRE(sector >= geo->grains);
		REQUIRE(sector + 8 <= geo->grains + geo->grains_sectors);
		REQUIRE((sector + 8) * 512 <= file_bytes);
	}
}

static void sesparse(const uint8_t *data, size_t size, u64 file_bytes)
{
	struct vmdk_sesparse_header header;
	struct vmdk_sesparse_volatile v;
	struct vmdk_sesparse_geometry geo;
	struct vmdk_fault fault = { 0 };
	u64 entry;
	size_t i;

	if (size < sizeof(header))
		return;
	memcpy(&header, data, sizeof(header));
	if (vmdk_sesparse_decode(&header, file_bytes, &geo, &fault)) {
		REQUIRE(fault.text[0] && fault.offset < sizeof(header));
		return;
	}
	REQUIRE(geo.gd && (geo.gd + geo.gd_sectors) * 512 <= file_bytes);
	REQUIRE(geo.gd_sectors * 64 >= geo.gd_entries);
	REQUIRE(geo.gd_entries * 32768ULL >= geo.capacity);
	REQUIRE(geo.volatile_header < file_bytes / 512);
	if (geo.volatile_header < size / 512) {
		memcpy(&v, data + geo.volatile_header * 512, sizeof(v));
		if (vmdk_sesparse_decode_volatile(&v, &geo, &fault))
			REQUIRE(fault.offset / 512 == geo.volatile_header);
	}
	check_sesparse_entry(0, &geo, file_bytes);
	for (i = sizeof(header); i + 8 <= size; i += 8) {
		memcpy(&entry, data + i, sizeof(entry));
		if (entry)
			check_sesparse_entry(entry, &geo, file_bytes);
	}
}

/* What is refused says why; what is accepted keeps to its limits. */
static void format(const uint8_t *data, size_t size, u64 file_bytes)
{
	struct vmdk_sparse_header header;
	struct vmdk_geometry geo;
	struct vmdk_fault fault;
	size_t i;
	u32 entry;

	if (size < sizeof(header))
		return;
	memcpy(&header, data, sizeof(header));
	memset(&fault, 0, sizeof(fault));
	if (vmdk_header_decode(&header, file_bytes, &geo, &fault)) {
		REQUIRE(fault.text[0] && fault.offset < sizeof(header));
		return;
	}
	REQUIRE((u64)geo.gd_entries << geo.gt_shift >= vmdk_grains(&geo));
	REQUIRE((u64)geo.gd_sectors * 128 >= geo.gd_entries);
	if (geo.gd == VMDK_GD_AT_END) {
		REQUIRE(geo.flags & VMDK_FLAG_COMPRESSED);
		return;
	}
	REQUIRE((geo.gd + geo.gd_sectors) * 512 <= file_bytes);
	for (i = sizeof(header); i + 4 <= size && i < 8192; i += 4) {
		memcpy(&entry, data + i, sizeof(entry));
		if (entry && !vmdk_gde_fault(&geo, entry, file_bytes / 512))
			REQUIRE((entry + (u64)geo.gt_sectors) * 512 <= file_bytes);
		if (entry > 1 &&
		    !vmdk_gte_fault(&geo, i, entry, file_bytes / 512))
			REQUIRE(entry >= geo.overhead && i < vmdk_grains(&geo));
	}
}

/* What is not corrupt can be made alike, once, without becoming worse. */
static void even_out(int fd, const struct vmdk_check_result *before)
{
	struct vmdk_check_result after;
	uint64_t changed;
	int ret = vmdk_even_out(fd, &changed);

	if (before->corrupt) {
		REQUIRE(ret == -EUCLEAN && !changed);
		return;
	}
	REQUIRE(!ret && !changed == !before->benign);
	REQUIRE(!vmdk_check_sparse(fd, 0, NULL, NULL, &after));
	REQUIRE(!after.corrupt && !after.benign);
	REQUIRE(after.grains_allocated == before->grains_allocated);
	REQUIRE(after.grains_zeroed == before->grains_zeroed);
	REQUIRE(!vmdk_even_out(fd, &changed) && !changed);
}

/* Checks of the other formats read, and change nothing. */
static int check_other(int fd, u32 magic, size_t size, size_t *sum,
		       struct vmdk_check_result *result)
{
	const struct vmdk_part part = { .fd = fd, .bytes = size };

	switch (magic) {
	case VMDK_MAGIC_COWD:
		return vmdk_check_cowd(fd, 16, consume, sum, result);
	case VMDK_MAGIC_SESPARSE:
		return vmdk_check_sesparse(fd, 16, consume, sum, result);
	default:
		return vmdk_check_stream(&part, 16, consume, sum, result);
	}
}

static void check(const uint8_t *data, size_t size)
{
	u32 magic = (u32)number(data, size, 0, 4);
	struct vmdk_check_result result;
	bool other = magic == VMDK_MAGIC_COWD || magic == VMDK_MAGIC_SESPARSE;
	size_t sum = 0;
	static int fd = -1;
	int ret = -EOPNOTSUPP;

	if (fd < 0)
		fd = memfd_create("fuzz_format", MFD_CLOEXEC);
	REQUIRE(fd >= 0 && !ftruncate(fd, size));
	REQUIRE(pwrite(fd, data, size, 0) == (ssize_t)size);
	if (!other)
		ret = vmdk_check_sparse(fd, 16, consume, &sum, &result);
	other |= ret == -EOPNOTSUPP;
	if (other)
		ret = check_other(fd, magic, size, &sum, &result);
	REQUIRE(!ret);
	REQUIRE((result.notes | result.leaks | result.benign | result.corrupt) ?
		sum : !sum);
	if (!other)
		even_out(fd, &result);
}

static void make_base(struct mk_image *m, uint8_t kind)
{
	struct mk_options opt = {
		.capacity = kind & 2 ? 4099 : 700, .grain = kind & 4 ? 8 : 16,
		.gtes = kind & 8 ? 128 : 512, .flags = kind & 16 ? 4 : 0,
		.tables = kind & 32 ? MK_TABLES_LAZY : MK_TABLES_FRONT,
		.one_copy = (kind & 0xc0) == 0xc0,
	};

	mk_create(m, &opt);
	mk_map(m, 0, 1);
	mk_map(m, 1, 2);
	mk_map(m, 40, 3);
}

static void make_stream(struct mk_image *image, uint8_t kind)
{
	const struct mks_options opt = {
		.capacity = kind & 2 ? 100 : 300, .grain = 8,
		.gtes = kind & 4 ? 128 : 512,
		.place = (kind >> 3 & 3) % 3,
		.flags = kind >> 5,	/* no markers, RGD, progress */
		.pad = kind & 2 ? 700 : 0,
	};
	uint8_t data[4096];
	struct mks_image m;
	unsigned int i;

	mks_create(&m, &opt);
	for (i = 0; i < 3; i++) {
		memset(data, (int)i, sizeof(data));
		mks_grain(&m, i * 4, data);
	}
	mks_finish(&m);
	*image = m.image;
	free(m.entries);
}

static void make_cowd(struct mk_image *image, uint8_t kind)
{
	const struct mkc_options opt = {
		.capacity = kind & 2 ? 4097 : 100, .grain = kind & 4 ? 1 : 2,
		.gd_entries = kind & 8 ? 200 : 0, .stale_free = kind & 16,
	};
	static const uint8_t data[1024] = { 1 };
	struct mkc_image m;

	mkc_create(&m, &opt);
	mkc_map(&m, 1, data);
	mkc_map(&m, 0, data);
	*image = m.image;
}

static void make_sesparse(struct mk_image *image, uint8_t kind)
{
	static const uint8_t data[4096] = { 1 };
	struct mkse_image m;

	mkse_create(&m, kind & 2 ? 33000 : 999);
	mkse_map(&m, 1, data);
	mkse_entry(&m, 2, mkse_value(MKSE_UNMAPPED, 3));
	mkse_map(&m, 0, data);
	m.image.gd[0] = m.gd;
	m.image.gd[1] = m.gts;
	m.image.opt.grain = 1;
	*image = m.image;
}

/* What was there before a damage. */
struct undo {
	u64 where, old;
	unsigned int width;
};

/* Half of the places are among the metadata's first, where it matters. */
static u64 place(const struct mk_image *m, const uint8_t *data)
{
	u64 where = data[1] | (u64)data[2] << 8 | (u64)data[3] << 16;
	u64 directory = m->gd[data[0] >> 3 & 1] * 512;

	if (data[0] & 4)
		where = where % 32 * 4 + directory;
	if (data[0] & 32)
		where = where % 64 * 4 + mk_get(m, directory, 4) * 512;
	return where;
}

/* Returns how many damages there were. */
static size_t damage(struct mk_image *m, const uint8_t *data, size_t size,
		     struct undo *undo)
{
	u64 value;
	size_t n = 0;

	for (; size >= 10 && n < DAMAGES; data += 10, size -= 10) {
		struct undo u = { .where = place(m, data), .width = 1U << (data[0] & 3) };

		memcpy(&value, data + 2, sizeof(value));
		value >>= 16;
		if (data[0] & 16)
			value = value % 64 * m->opt.grain;
		if (u.where + u.width > m->size)
			continue;
		u.old = mk_get(m, u.where, u.width);
		mk_put(m, u.where, u.width, value);
		undo[n++] = u;
	}
	return n;
}

static void mend(struct mk_image *m, const struct undo *undo, size_t n)
{
	while (n--)
		mk_put(m, undo[n].where, undo[n].width, undo[n].old);
}

/* The sound image of format @format that @kind picks. */
static struct mk_image *sound(uint8_t format, uint8_t kind)
{
	static void (*const make[])(struct mk_image *, uint8_t) = {
		make_base, make_stream, make_cowd, make_sesparse,
	};
	static struct mk_image images[4][128];
	struct mk_image *m = &images[format][kind >> 1];

	if (!m->bytes)
		make[format](m, kind);
	return m;
}

static void all(const uint8_t *data, size_t size, u64 file_bytes)
{
	format(data, size, file_bytes);
	cowd(data, size, file_bytes);
	sesparse(data, size, file_bytes);
}

static void file_as_it_is(const uint8_t *data, size_t size, u64 claimed)
{
	REQUIRE(vmdk_adler32(data, size) == adler32(1, data, (uInt)size));
	all(data, size, size);
	all(data, size, claimed);
	stream(data, size);
	check(data, size);
}

/**
 * LLVMFuzzerTestOneInput - judge one image
 * @data: which image, and what is wrong with it
 * @size: its length
 *
 * Return: 0.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct undo undo[DAMAGES];
	struct mk_image *m;
	size_t n;

	if (size < 2)
		return 0;
	if (!(data[0] & 1)) {
		file_as_it_is(data + 1, size - 1, (u64)data[0] << 33);
		return 0;
	}
	m = sound(data[1] & 3, data[0]);
	n = damage(m, data + 2, size - 2, undo);
	all(m->bytes, m->size, m->size);
	stream(m->bytes, m->size);
	check(m->bytes, m->size);
	mend(m, undo, n);
	return 0;
}
