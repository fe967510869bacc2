// SPDX-License-Identifier: GPL-2.0
/*
 * The formats of ESXi, COWD and seSparse: what is accepted, and what each
 * damaged field is refused with.  S1 and S2 are the classes of malformed
 * images; H and T numbers as for hosted sparse images.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mkcowd.h"
#include "mksesparse.h"
#include "vmdk_format.h"

#define EINVAL_	(-22)

struct damage {
	const char *class;
	uint32_t field;
	uint64_t value;
	const char *text;	/* in the fault; NULL: accepted */
	uint32_t at;		/* field that is named, when another; else 0 */
};

static void check_damage(const struct damage *d, int ret,
			 const struct vmdk_fault *fault, uint64_t base)
{
	if (ret != (d->text ? EINVAL_ : 0) ||
	    (d->text && !strstr(fault->text, d->text)))
		fail_msg("%s, field %u = %llx: %d, %s", d->class, d->field,
			 (unsigned long long)d->value, ret, fault->text);
	if (!d->text)
		return;
	assert_int_equal(fault->offset, base + (d->at ? d->at : d->field));
	assert_in_range(strlen(fault->text), 10, sizeof(fault->text) - 2);
}

/* ------------------------------------------------------------------- COWD */

static int decode_cowd(const struct mkc_image *m, size_t size,
		       struct vmdk_geometry *geo, uint32_t *free_sector,
		       struct vmdk_fault *fault)
{
	struct vmdk_cowd_header header;

	memset(fault, 0, sizeof(*fault));
	memcpy(&header, m->image.bytes, sizeof(header));
	return vmdk_cowd_decode(&header, size, geo, free_sector, fault);
}

static void test_cowd_sound(void **state)
{
	static const struct mkc_options sound[] = {
		{ 0 },
		{ .capacity = 1 },
		{ .capacity = 4096 },
		{ .capacity = 4097, .gd_offset = 7 },
		{ .capacity = 1000001, .grain = 8, .gd_entries = 128 },
		{ .capacity = UINT32_MAX, .grain = 1 },
		{ .capacity = UINT32_MAX, .grain = 2048 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sound); i++) {
		struct vmdk_geometry geo;
		struct vmdk_fault fault;
		uint32_t free_sector;
		struct mkc_image m;

		mkc_create(&m, &sound[i]);
		if (decode_cowd(&m, m.image.size, &geo, &free_sector, &fault))
			fail_msg("image %zu: %s", i, fault.text);
		assert_int_equal(geo.capacity, m.opt.capacity);
		assert_int_equal(geo.grain_sectors, m.opt.grain);
		assert_int_equal(1ULL << geo.grain_shift, m.opt.grain);
		assert_int_equal(geo.gt_entries, 4096);
		assert_int_equal(geo.gt_shift, 12);
		assert_int_equal(geo.gt_sectors, 32);
		assert_int_equal(geo.header_sectors, 4);
		assert_int_equal(geo.gd, m.opt.gd_offset);
		assert_int_equal(geo.gd_sectors, m.image.gd_sectors);
		assert_true(geo.gd_entries <= m.opt.gd_entries);
		assert_int_equal(geo.gd_entries,
				 (vmdk_grains(&geo) + 4095) / 4096);
		assert_int_equal(geo.rgd, 0);
		assert_int_equal(geo.flags, 0);
		assert_int_equal(geo.overhead, m.image.overhead);
		assert_int_equal(free_sector, m.image.overhead);
		assert_false(geo.unclean);
		mkc_free(&m);
	}
	(void)state;
}

/*
 * The image: 4 MiB in grains of a sector, so that two entries make a directory
 * of one sector at 4; one grain and its table: the file has 38 sectors.
 */
static const struct damage cowd_damages[] = {
	{ "H2", MKC_MAGIC, 0, "magic is 0x00000000", 0 },
	{ "H2", MKC_MAGIC, 0x434f5744, "magic", 0 },
	{ "H2", MKC_MAGIC, 0x564d444b, "magic", 0 },
	{ "H3", MKC_VERSION, 0, "version is 0", 0 },
	{ "H3", MKC_VERSION, 2, "version is 2", 0 },
	{ "H3", MKC_VERSION, UINT32_MAX, "version is 4294967295", 0 },
	{ "H4", MKC_FLAGS, 0, NULL, 0 },
	{ "H4", MKC_FLAGS, 1, NULL, 0 },
	{ "H4", MKC_FLAGS, 7, "flags are 0x00000007", 0 },
	{ "H4", MKC_FLAGS, 0x80000003, "flags are 0x80000003", 0 },
	{ "H5", MKC_CAPACITY, 0, "capacity is 0", 0 },
	{ "H5", MKC_CAPACITY, 8193, "2 directory entries, expected 3", MKC_GD_ENTRIES },
	{ "H5", MKC_CAPACITY, UINT32_MAX, "expected 1048576", MKC_GD_ENTRIES },
	{ "S1", MKC_GRAIN, 0, "grain size is 0", 0 },
	{ "S1", MKC_GRAIN, 3, "grain size is 3", 0 },
	{ "S1", MKC_GRAIN, 2048, NULL, 0 },
	{ "S1", MKC_GRAIN, 4096, "grain size is 4096", 0 },
	{ "S1", MKC_GRAIN, UINT32_MAX, "grain size is", 0 },
	{ "S1", MKC_GRAIN, 1U << 31, "grain size is", 0 },
	{ "H9", MKC_GD_OFFSET, 0, "inside the header", 0 },
	{ "H9", MKC_GD_OFFSET, 3, "inside the header", 0 },
	{ "H9", MKC_GD_OFFSET, 37, NULL, 0 },
	{ "H9", MKC_GD_OFFSET, 38, "past the end", 0 },
	{ "H9", MKC_GD_OFFSET, UINT32_MAX, "past the end", 0 },
	{ "S1", MKC_GD_ENTRIES, 0, "0 directory entries", 0 },
	{ "S1", MKC_GD_ENTRIES, 1, "1 directory entries, expected 2", 0 },
	{ "S1", MKC_GD_ENTRIES, 128, NULL, 0 },
	{ "S1", MKC_GD_ENTRIES, 34 * 128 + 1, "past the end", MKC_GD_OFFSET },
	{ "S1", MKC_GD_ENTRIES, 2U << 20, "past the end", MKC_GD_OFFSET },
	{ "S1", MKC_GD_ENTRIES, (2U << 20) + 1, "2097152 at most", 0 },
	{ "S1", MKC_GD_ENTRIES, UINT32_MAX, "4294967295 directory", 0 },
	{ "S1", MKC_FREE, 0, "free sector is 0", 0 },
	{ "S1", MKC_FREE, 4, "free sector is 4, expected 5", 0 },
	{ "S1", MKC_FREE, 5, NULL, 0 },
	{ "S1", MKC_FREE, 37, NULL, 0 },
	{ "S1", MKC_FREE, 39, "to 38 (end of the file)", 0 },
	{ "S1", MKC_FREE, UINT32_MAX, "free sector is", 0 },
	{ "H13", MKC_UNCLEAN, 1, NULL, 0 },
	{ "H13", MKC_UNCLEAN, 1U << 31, NULL, 0 },
	{ "S1", MKC_PARENT_GENERATION, UINT32_MAX, NULL, 0 },
};

static void make_cowd(struct mkc_image *m, const struct mkc_options *opt)
{
	uint8_t data[2048 * 512];

	memset(data, 7, sizeof(data));
	mkc_create(m, opt);
	mkc_map(m, 0, data);
}

static void test_cowd_damage(void **state)
{
	const struct mkc_options opt = { 0 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cowd_damages); i++) {
		const struct damage *d = &cowd_damages[i];
		struct vmdk_geometry geo;
		struct vmdk_fault fault;
		uint32_t free_sector;
		struct mkc_image m;
		int ret;

		make_cowd(&m, &opt);
		assert_int_equal(m.image.size, 38 * 512);
		if (d->field == MKC_GD_OFFSET && !d->text)
			mkc_header(&m, MKC_FREE, 38);
		if (d->field == MKC_GD_ENTRIES && !d->text)
			mkc_header(&m, MKC_FREE, 38);
		mkc_header(&m, (enum mkc_field)d->field, (uint32_t)d->value);
		ret = decode_cowd(&m, m.image.size, &geo, &free_sector, &fault);
		check_damage(d, ret, &fault, 0);
		if (d->field == MKC_UNCLEAN)
			assert_true(geo.unclean);
		mkc_free(&m);
	}
	(void)state;
}

/* H14: freeSector is not beyond the file; half a last sector counts. */
static void test_cowd_truncated(void **state)
{
	const struct mkc_options opt = { .gd_offset = 9 };
	const struct mkc_options stale = { .stale_free = true };
	struct vmdk_geometry geo;
	struct vmdk_fault fault;
	uint32_t free_sector;
	struct mkc_image m;
	size_t size;

	make_cowd(&m, &opt);
	for (size = 0; size <= m.image.size; size++)
		assert_int_equal(decode_cowd(&m, size, &geo, &free_sector, &fault),
				 size > m.image.size - 512 ? 0 : EINVAL_);
	assert_int_equal(decode_cowd(&m, UINT64_MAX, &geo, &free_sector, &fault), 0);
	mkc_free(&m);

	make_cowd(&m, &stale);
	assert_int_equal(decode_cowd(&m, m.image.size, &geo, &free_sector, &fault), 0);
	assert_int_equal(free_sector, 5);
	mkc_free(&m);
	(void)state;
}

struct entry_case {
	const char *class;
	uint64_t grain;
	uint32_t entry;
	const char *text;	/* NULL: valid */
};

/* Grains of 8 sectors, 1001 of disk; directory at 6, the file has 100 sectors. */
static void test_cowd_entries(void **state)
{
	static const struct entry_case gdes[] = {
		{ "T1", 0, 0, NULL },
		{ "T1", 0, 1, "overlaps the header" },
		{ "T1", 0, 3, "overlaps the header" },
		{ "T3", 0, 4, "overlaps the grain directory" },
		{ "T3", 0, 6, "overlaps the grain directory" },
		{ "T1", 0, 7, NULL },
		{ "T1", 0, 68, NULL },
		{ "T1", 0, 69, "past the end" },
		{ "T1", 0, UINT32_MAX, "past the end" },
	};
	static const struct entry_case gtes[] = {
		{ "T4", 0, 0, NULL },
		{ "T11", 126, 0, NULL },
		{ "T5", 0, 1, "into the metadata" },
		{ "T5", 0, 6, "into the metadata" },
		{ "T6", 0, 7, NULL },
		{ "T6", 0, 92, NULL },
		{ "T4", 0, 93, "past the end" },
		{ "T4", 125, 99, NULL },
		{ "T4", 125, 100, "past the end" },
		{ "T4", 0, UINT32_MAX, "past the end" },
		{ "T11", 126, 50, "behind the end of the disk" },
		{ "T11", UINT64_MAX, 50, "behind the end of the disk" },
	};
	const struct mkc_options opt = {
		.capacity = 1001, .grain = 8, .gd_offset = 6,
	};
	struct vmdk_geometry geo;
	struct vmdk_fault fault;
	uint32_t free_sector;
	struct mkc_image m;
	const char *why;
	size_t i;

	mkc_create(&m, &opt);
	assert_int_equal(decode_cowd(&m, m.image.size, &geo, &free_sector, &fault), 0);
	for (i = 0; i < ARRAY_SIZE(gdes); i++) {
		why = vmdk_gde_fault(&geo, gdes[i].entry, 100);
		if (!why != !gdes[i].text || (why && !strstr(why, gdes[i].text)))
			fail_msg("%s, table %u: %s", gdes[i].class,
				 gdes[i].entry, why ? why : "valid");
	}
	for (i = 0; i < ARRAY_SIZE(gtes); i++) {
		why = vmdk_cowd_gte_fault(&geo, gtes[i].grain, gtes[i].entry, 100);
		if (!why != !gtes[i].text || (why && !strstr(why, gtes[i].text)))
			fail_msg("%s, grain %u: %s", gtes[i].class,
				 gtes[i].entry, why ? why : "valid");
	}
	mkc_free(&m);
	(void)state;
}

/* What was mapped is found where it was put, out of order and over tables. */
static void test_cowd_read(void **state)
{
	static const uint64_t mapped[] = { 5000, 0, 1, 4095, 4096, 8191, 2 };
	const struct mkc_options opt = { 0 };
	struct vmdk_geometry geo;
	struct vmdk_fault fault;
	uint8_t data[512];
	uint32_t free_sector;
	struct mkc_image m;
	size_t i;

	mkc_create(&m, &opt);
	for (i = 0; i < ARRAY_SIZE(mapped); i++) {
		memset(data, (int)i + 1, sizeof(data));
		mkc_map(&m, mapped[i], data);
	}
	assert_int_equal(decode_cowd(&m, m.image.size, &geo, &free_sector, &fault), 0);
	assert_int_equal(free_sector, m.image.size / 512);
	for (i = 0; i < ARRAY_SIZE(mapped); i++) {
		uint64_t sectors = m.image.size / 512;
		uint32_t gde = (uint32_t)mk_get(&m.image, geo.gd * 512 +
						(mapped[i] >> geo.gt_shift) * 4, 4);
		uint32_t gte = (uint32_t)mk_get(&m.image, gde * 512ULL +
						mapped[i] % geo.gt_entries * 4, 4);

		assert_null(vmdk_gde_fault(&geo, gde, sectors));
		assert_null(vmdk_cowd_gte_fault(&geo, mapped[i], gte, sectors));
		assert_int_equal(m.image.bytes[gte * 512ULL], i + 1);
	}
	mkc_free(&m);
	(void)state;
}

/* --------------------------------------------------------------- seSparse */

static int decode_sesparse(const struct mkse_image *m, size_t size,
			   struct vmdk_sesparse_geometry *geo,
			   struct vmdk_fault *fault)
{
	struct vmdk_sesparse_header header;

	memset(fault, 0, sizeof(*fault));
	memcpy(&header, m->image.bytes, sizeof(header));
	return vmdk_sesparse_decode(&header, size, geo, fault);
}

static void test_sesparse_sound(void **state)
{
	static const uint64_t capacities[] = {
		1, 8, 32768, 32769, 8388608, 2097153, 20ULL << 21,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(capacities); i++) {
		struct vmdk_sesparse_geometry geo;
		struct vmdk_fault fault;
		struct mkse_image m;

		mkse_create(&m, capacities[i]);
		if (decode_sesparse(&m, m.image.size, &geo, &fault))
			fail_msg("image %zu: %s", i, fault.text);
		assert_int_equal(geo.capacity, capacities[i]);
		assert_int_equal(geo.file_sectors, m.image.size / 512);
		assert_int_equal(geo.gd, m.gd);
		assert_int_equal(geo.gd_entries, m.tables);
		assert_int_equal(geo.gts, m.gts);
		assert_int_equal(geo.gts_sectors, m.tables * 64);
		assert_int_equal(geo.grains, m.grains);
		assert_int_equal(geo.volatile_header, m.volatile_header);
		mkse_free(&m);
	}
	(void)state;
}

/*
 * The image: 1 GiB, 64 tables.  Volatile header at 1, journal header 8 + 2,
 * journal 16 + 64, directory 80 + 1, tables 88 + 4096, bitmap 4184 + 64,
 * backmap 4248 + 4096, grains from 8344 on.
 */
static const struct damage sesparse_damages[] = {
	{ "S2", MKSE_MAGIC, 0, "magic is 0x0", 0 },
	{ "S2", MKSE_MAGIC, 0xcafecafe, "magic is 0xcafecafe", 0 },
	{ "S2", MKSE_MAGIC, 0x1cafebabe, "magic is 0x1cafebabe", 0 },
	{ "S2", MKSE_VERSION, 0, "version is 0x0", 0 },
	{ "S2", MKSE_VERSION, 1, "version is 0x1", 0 },
	{ "S2", MKSE_VERSION, 0x100000002, "version is", 0 },
	{ "H5", MKSE_CAPACITY, 0, "capacity is 0", 0 },
	{ "H5", MKSE_CAPACITY, UINT64_MAX, "capacity is", 0 },
	{ "H5", MKSE_CAPACITY, (1ULL << 38) + 1, "capacity is", 0 },
	{ "H5", MKSE_CAPACITY, 1ULL << 38, "too small for", MKSE_GD + 8 },
	{ "H5", MKSE_CAPACITY, 64 * 32768, NULL, 0 },
	{ "H5", MKSE_CAPACITY, 64 * 32768 + 1, "too small for 65", MKSE_GD + 8 },
	{ "S2", MKSE_GRAIN_SIZE, 0, "grain size is 0x0", 0 },
	{ "S2", MKSE_GRAIN_SIZE, 16, "grain size is 0x10, expected 0x8", 0 },
	{ "S2", MKSE_GT_SIZE, 32, "grain table size is", 0 },
	{ "S2", MKSE_GT_SIZE, 0, "grain table size is", 0 },
	{ "S2", MKSE_FLAGS, 1, "flags is 0x1", 0 },
	{ "S2", MKSE_RESERVED, 1, "reserved 1", 0 },
	{ "S2", MKSE_RESERVED + 24, 1ULL << 63, "reserved 4", 0 },
	{ "S2", MKSE_PAD, 1, "in the padding", 0 },
	{ "S2", MKSE_PAD + 296, 1ULL << 56, "0x01 in the padding", MKSE_PAD + 303 },
	{ "S2", MKSE_VOLATILE, 0, "volatile header at sector 0", 0 },
	{ "S2", MKSE_VOLATILE, 8344, "past the end of the file", 0 },
	{ "S2", MKSE_VOLATILE, 8, "8 + 2 overlaps volatile header at 8 + 1",
	  MKSE_JOURNAL_HEADER },
	{ "S2", MKSE_VOLATILE + 8, 0, "of 0 sectors", 0 },
	{ "S2", MKSE_VOLATILE + 8, 8, "overlaps", MKSE_JOURNAL_HEADER },
	{ "S2", MKSE_JOURNAL_HEADER, 0, "inside the header", 0 },
	{ "S2", MKSE_JOURNAL_HEADER + 8, 0, NULL, 0 },
	{ "S2", MKSE_JOURNAL, UINT64_MAX, "past the end", 0 },
	{ "S2", MKSE_JOURNAL + 8, UINT64_MAX, "past the end", MKSE_JOURNAL },
	{ "S2", MKSE_JOURNAL + 8, 65, "overlaps journal", MKSE_GD },
	{ "S2", MKSE_GD, 88, "88 + 4096 overlaps grain directory at 88 + 1",
	  MKSE_GTS },
	{ "S2", MKSE_GD, 81, NULL, 0 },
	{ "S2", MKSE_GD, 79, "overlaps journal", 0 },
	{ "S2", MKSE_GD, 8343, "overlaps grain directory", MKSE_BACKMAP },
	{ "S2", MKSE_GD + 8, 0, "too small for 64", 0 },
	{ "S2", MKSE_GTS, 8344 - 4095, "past the end", 0 },
	{ "S2", MKSE_GTS, 1ULL << 55, "past the end", 0 },
	{ "S2", MKSE_GTS + 8, 0, NULL, 0 },
	{ "S2", MKSE_GTS + 8, 4097, "4184 + 64 overlaps grain tables at 88 + 4097",
	  MKSE_BITMAP },
	{ "S2", MKSE_BITMAP, 8300, "past the end", 0 },
	{ "S2", MKSE_BITMAP, 4249, "4248 + 4096 overlaps free bitmap",
	  MKSE_BACKMAP },
	{ "S2", MKSE_BACKMAP + 8, 4097, "past the end", MKSE_BACKMAP },
	{ "S2", MKSE_GRAINS, 0, "grains at sector 0", 0 },
	{ "S2", MKSE_GRAINS, 8343, "grains at sector 8343 + 2097152 overlaps backmap", 0 },
	{ "S2", MKSE_GRAINS, 9000, NULL, 0 },
	{ "S2", MKSE_GRAINS, UINT64_MAX - 7, "past the end of any file", 0 },
	{ "S2", MKSE_GRAINS + 8, UINT64_MAX, "past the end of any file", MKSE_GRAINS },
	{ "S2", MKSE_GRAINS + 8, (1ULL << 54) - 8344, NULL, 0 },
	{ "S2", MKSE_GRAINS + 8, (1ULL << 54) - 8343, "past the end of any file", MKSE_GRAINS },
	{ "S2", MKSE_GRAINS + 8, 0, NULL, 0 },
};

#define CAPACITY_1G	(1ULL << 21)

static void test_sesparse_damage(void **state)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sesparse_damages); i++) {
		const struct damage *d = &sesparse_damages[i];
		struct vmdk_sesparse_geometry geo;
		struct vmdk_fault fault;
		struct mkse_image m;

		mkse_create(&m, CAPACITY_1G);
		assert_int_equal(m.grains, 8344);
		mk_put(&m.image, d->field, 8, d->value);
		check_damage(d, decode_sesparse(&m, m.image.size, &geo, &fault),
			     &fault, 0);
		mkse_free(&m);
	}
	(void)state;
}

static void test_sesparse_volatile(void **state)
{
	static const struct damage cases[] = {
		{ "S2", MKSE_V_MAGIC, 0xcafebabe, "magic is 0xcafebabe", 0 },
		{ "S2", MKSE_V_MAGIC, 0, "magic is 0x0", 0 },
		{ "S2", MKSE_V_FREE_GT, UINT64_MAX, NULL, 0 },
		{ "S2", MKSE_V_SEQUENCE, UINT64_MAX, NULL, 0 },
		{ "S2", MKSE_V_REPLAY, 1, "has to be replayed", 0 },
		{ "S2", MKSE_V_REPLAY, 1ULL << 63, "has to be replayed", 0 },
		{ "S2", MKSE_V_PAD, 0xff, "0xff in the padding", 0 },
		{ "S2", MKSE_V_PAD + 472, 1ULL << 56, "in the padding", 511 },
	};
	struct vmdk_sesparse_volatile v;
	struct vmdk_sesparse_geometry geo;
	struct vmdk_fault fault;
	struct mkse_image m;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		mkse_create(&m, CAPACITY_1G);
		assert_int_equal(decode_sesparse(&m, m.image.size, &geo, &fault), 0);
		memcpy(&v, m.image.bytes + geo.volatile_header * 512, sizeof(v));
		assert_int_equal(vmdk_sesparse_decode_volatile(&v, &geo, &fault), 0);
		mk_put(&m.image, 512 + cases[i].field, 8, cases[i].value);
		memcpy(&v, m.image.bytes + geo.volatile_header * 512, sizeof(v));
		check_damage(&cases[i],
			     vmdk_sesparse_decode_volatile(&v, &geo, &fault),
			     &fault, 512);
		mkse_free(&m);
	}
	(void)state;
}

/* H14: everything but the grains is there from the start. */
static void test_sesparse_truncated(void **state)
{
	struct vmdk_sesparse_geometry geo;
	struct vmdk_fault fault;
	struct mkse_image m;
	size_t size;

	mkse_create(&m, 32768);
	for (size = 0; size <= m.image.size; size++) {
		int ret = decode_sesparse(&m, size, &geo, &fault);

		assert_int_equal(ret, size < m.image.size ? EINVAL_ : 0);
	}
	assert_int_equal(decode_sesparse(&m, UINT64_MAX, &geo, &fault), 0);
	mkse_free(&m);
	(void)state;
}

static void test_sesparse_gde(void **state)
{
	static const struct {
		uint64_t gde;
		int ret;
		u64 sector;
	} cases[] = {
		{ 0, 0, 0 },
		{ 1, EINVAL_, 0 },
		{ 0x1000000000000000, 1, 88 },
		{ 0x1000000000000001, 1, 152 },
		{ 0x100000000000003f, 1, 88 + 63 * 64 },
		{ 0x1000000000000040, EINVAL_, 0 },
		{ 0x10000000ffffffff, EINVAL_, 0 },
		{ 0x1000000100000000, EINVAL_, 0 },
		{ 0x2000000000000000, EINVAL_, 0 },
		{ 0x3000000000000001, EINVAL_, 0 },
		{ 0x0000000100000000, EINVAL_, 0 },
		{ 0xf000000000000000, EINVAL_, 0 },
		{ UINT64_MAX, EINVAL_, 0 },
	};
	struct vmdk_sesparse_geometry geo;
	struct vmdk_fault fault;
	struct mkse_image m;
	u64 sector;
	size_t i;

	mkse_create(&m, CAPACITY_1G);
	assert_int_equal(decode_sesparse(&m, m.image.size, &geo, &fault), 0);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		int ret;

		sector = 0;
		ret = vmdk_sesparse_gde(cases[i].gde, &geo, &sector);
		if (ret != cases[i].ret || sector != cases[i].sector)
			fail_msg("entry %llx: %d, %llu",
				 (unsigned long long)cases[i].gde, ret,
				 (unsigned long long)sector);
	}
	/* Without room for a whole table there is none. */
	geo.gts_sectors = 63;
	assert_int_equal(vmdk_sesparse_gde(1ULL << 60, &geo, &sector),
			 EINVAL_);
	mkse_free(&m);
	(void)state;
}

/* The file has room for 10,000 grains, the last one short of a sector. */
static void test_sesparse_gte(void **state)
{
	static const struct {
		uint64_t gte;
		enum vmdk_sesparse_state state;
		uint64_t index;
	} cases[] = {
		{ 0, VMDK_SESPARSE_ABSENT, 0 },
		{ 1, VMDK_SESPARSE_BAD, 0 },
		{ 0x0fffffffffffffff, VMDK_SESPARSE_BAD, 0 },
		{ 0x0001000000000000, VMDK_SESPARSE_BAD, 0 },
		{ 0x1000000000000000, VMDK_SESPARSE_ZERO, 0 },
		{ 0x1fffffffffffffff, VMDK_SESPARSE_ZERO, 0 },
		{ 0x2000000000000000, VMDK_SESPARSE_ZERO, 0 },
		{ 0x2123456789abcdef, VMDK_SESPARSE_ZERO, 0 },
		{ 0x3000000000000000, VMDK_SESPARSE_DATA, 0 },
		{ 0x3001000000000000, VMDK_SESPARSE_DATA, 1 },
		{ 0x3fff000000000000, VMDK_SESPARSE_DATA, 4095 },
		{ 0x3000000000000001, VMDK_SESPARSE_DATA, 4096 },
		{ 0x3001000000000001, VMDK_SESPARSE_DATA, 4097 },
		{ 0x370e000000000002, VMDK_SESPARSE_DATA, 9998 },
		{ 0x370f000000000002, VMDK_SESPARSE_BAD, 0 },
		{ 0x3000000000000003, VMDK_SESPARSE_BAD, 0 },
		{ 0x3000000000000040, VMDK_SESPARSE_BAD, 0 },
		{ 0x3000800000000000, VMDK_SESPARSE_BAD, 0 },
		{ 0x3fffffffffffffff, VMDK_SESPARSE_BAD, 0 },
		{ 0x4000000000000000, VMDK_SESPARSE_BAD, 0 },
		{ 0x8000000000000000, VMDK_SESPARSE_BAD, 0 },
		{ 0xf000000000000000, VMDK_SESPARSE_BAD, 0 },
		{ UINT64_MAX, VMDK_SESPARSE_BAD, 0 },
	};
	struct vmdk_sesparse_geometry geo;
	struct vmdk_fault fault;
	struct mkse_image m;
	u64 sector;
	size_t i;

	mkse_create(&m, CAPACITY_1G);
	assert_int_equal(decode_sesparse(&m, (m.grains + 80000 - 1) * 512, &geo,
					 &fault), 0);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		enum vmdk_sesparse_state found;

		found = vmdk_sesparse_gte(cases[i].gte, &geo, &sector);

		if (found != cases[i].state ||
		    (found == VMDK_SESPARSE_DATA &&
		     sector != m.grains + cases[i].index * 8))
			fail_msg("entry %llx: %d, sector %llu",
				 (unsigned long long)cases[i].gte, found,
				 (unsigned long long)sector);
	}
	/* Room that the header does not declare holds no grain. */
	geo.grains_sectors = 15;
	assert_int_equal(vmdk_sesparse_gte(0x3000000000000000, &geo, &sector),
			 VMDK_SESPARSE_DATA);
	assert_int_equal(vmdk_sesparse_gte(0x3001000000000000, &geo, &sector),
			 VMDK_SESPARSE_BAD);
	mkse_free(&m);
	(void)state;
}

static void test_sesparse_read(void **state)
{
	static const uint64_t mapped[] = { 5000, 0, 262143, 1, 4095, 4096, 131072 };
	struct vmdk_sesparse_geometry geo;
	struct vmdk_fault fault;
	uint8_t data[4096];
	struct mkse_image m;
	u64 sector;
	size_t i;

	mkse_create(&m, CAPACITY_1G);
	for (i = 0; i < ARRAY_SIZE(mapped); i++) {
		memset(data, (int)i + 1, sizeof(data));
		mkse_map(&m, mapped[i], data);
	}
	assert_int_equal(decode_sesparse(&m, m.image.size, &geo, &fault), 0);
	for (i = 0; i < ARRAY_SIZE(mapped); i++) {
		uint64_t gde = mk_get(&m.image, geo.gd * 512 +
				      (mapped[i] >> VMDK_SESPARSE_GT_SHIFT) * 8, 8);
		uint64_t gte;

		assert_int_equal(vmdk_sesparse_gde(gde, &geo, &sector), 1);
		gte = mk_get(&m.image, sector * 512 +
			     mapped[i] % VMDK_SESPARSE_GT_ENTRIES * 8, 8);
		assert_int_equal(vmdk_sesparse_gte(gte, &geo, &sector),
				 VMDK_SESPARSE_DATA);
		assert_int_equal(m.image.bytes[sector * 512], i + 1);
	}
	mkse_free(&m);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cowd_sound),
		cmocka_unit_test(test_cowd_damage),
		cmocka_unit_test(test_cowd_truncated),
		cmocka_unit_test(test_cowd_entries),
		cmocka_unit_test(test_cowd_read),
		cmocka_unit_test(test_sesparse_sound),
		cmocka_unit_test(test_sesparse_damage),
		cmocka_unit_test(test_sesparse_volatile),
		cmocka_unit_test(test_sesparse_truncated),
		cmocka_unit_test(test_sesparse_gde),
		cmocka_unit_test(test_sesparse_gte),
		cmocka_unit_test(test_sesparse_read),
	};

	return cmocka_run_group_tests_name("COWD and seSparse", tests, NULL, NULL);
}
