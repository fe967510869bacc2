// SPDX-License-Identifier: GPL-2.0
/*
 * The rules of vmdk_format.c: what is accepted, and what each damaged field is
 * refused with.  H and T numbers are the classes of malformed images that a
 * reader has to survive: headers and tables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "mkvmdk.h"
#include "vmdk_format.h"

static int decode(const struct mk_image *m, struct vmdk_geometry *geo,
		  struct vmdk_fault *fault)
{
	struct vmdk_sparse_header header;

	memset(fault, 0, sizeof(*fault));
	memcpy(&header, m->bytes, sizeof(header));
	return vmdk_header_decode(&header, m->size, geo, fault);
}

static void test_sound(void **state)
{
	static const struct mk_options sound[] = {
		{ 0 },
		{ .capacity = 1 },
		{ .capacity = 2049, .grain = 8 },
		{ .capacity = 1ULL << 20, .grain = 131072, .gtes = 128 },
		{ .capacity = 1ULL << 24, .version = 2, .flags = 4 },
		{ .version = 3, .one_copy = true, .no_descriptor = true },
		{ .capacity = 10ULL << 31, .tables = MK_TABLES_LAZY },
	};
	size_t i;

	for (i = 0; i < sizeof(sound) / sizeof(sound[0]); i++) {
		struct vmdk_geometry geo;
		struct vmdk_fault fault;
		struct mk_image m;

		mk_create(&m, &sound[i]);
		assert_int_equal(decode(&m, &geo, &fault), 0);
		assert_int_equal(geo.capacity, m.opt.capacity);
		assert_int_equal(geo.grain_sectors, m.opt.grain);
		assert_int_equal(1ULL << geo.grain_shift, m.opt.grain);
		assert_int_equal(geo.gt_entries, m.opt.gtes);
		assert_int_equal(1U << geo.gt_shift, m.opt.gtes);
		assert_int_equal(geo.gt_sectors, m.gt_sectors);
		assert_int_equal(geo.gd_entries, m.gd_entries);
		assert_int_equal(geo.gd_sectors, m.gd_sectors);
		assert_int_equal(geo.gd, m.gd[0]);
		assert_int_equal(geo.rgd, m.gd[1]);
		assert_int_equal(geo.overhead, m.overhead);
		assert_int_equal(geo.version, m.opt.version);
		assert_false(geo.unclean);
		mk_free(&m);
	}
	(void)state;
}

struct damage {
	const char *class;
	enum mk_field field;
	uint64_t value;
	const char *text;	/* in the fault; NULL: accepted */
	int at;			/* field that is named, when another; else 0 */
};

/*
 * The image: 4 GiB, so that a directory is one full sector; 20 sectors of
 * descriptor at 1, redundant directory at 21, its tables at 22, directory at
 * 534, its tables at 535, overHead 1152.
 */
static const struct damage damages[] = {
	{ "H2", MK_MAGIC, 0x4b444d56, "magic", 0 },
	{ "H2", MK_MAGIC, 0x44574f43, "magic", 0 },
	{ "H2", MK_MAGIC, 0, "magic", 0 },
	{ "H2", MK_MAGIC, 0x564d446b, "magic", 0 },
	{ "H2", MK_MAGIC, 0x766d646b, "never finished", 0 },
	{ "H3", MK_VERSION, 0, "version is 0", 0 },
	{ "H3", MK_VERSION, 2, NULL, 0 },
	{ "H3", MK_VERSION, 3, NULL, 0 },
	{ "H3", MK_VERSION, 4, "version is 4", 0 },
	{ "H3", MK_VERSION, UINT32_MAX, "version is 4294967295", 0 },
	{ "H4", MK_FLAGS, 0x40003, "flags 0x00040000", 0 },
	{ "H4", MK_FLAGS, 0x80000003, "flags 0x80000000", 0 },
	{ "H4", MK_FLAGS, 0xfffb, NULL, 0 },
	{ "H4", MK_NEWLINE, 0x0a0d0a0d, "text mode", 0 },
	{ "H4", MK_NEWLINE, 0x0a0a200a, "text mode", 0 },
	{ "H4", MK_NEWLINE, 0, "text mode", 0 },
	{ "H5", MK_CAPACITY, 0, "capacity is 0", 0 },
	{ "H5", MK_CAPACITY, 1ULL << 63, "capacity is", 0 },
	{ "H5", MK_CAPACITY, UINT64_MAX, "capacity is", 0 },
	{ "H5", MK_CAPACITY, 1ULL << 55, "capacity is", 0 },
	{ "H5", MK_CAPACITY, (1ULL << 55) + 1, "capacity is", 0 },
	{ "H5", MK_CAPACITY, (1ULL << 38) + 1, "capacity is", 0 },
	{ "H6", MK_GRAIN, 0, "grain size is 0", 0 },
	{ "H6", MK_GRAIN, 1, "grain size is 1 ", 0 },
	{ "H6", MK_GRAIN, 4, "grain size is 4 ", 0 },
	{ "H6", MK_GRAIN, 7, "grain size is 7 ", 0 },
	{ "H6", MK_GRAIN, 127, "grain size is 127", 0 },
	{ "H6", MK_GRAIN, 1ULL << 18, "grain size is", 0 },
	{ "H6", MK_GRAIN, 1ULL << 63, "grain size is", 0 },
	{ "H6", MK_GRAIN, UINT64_MAX, "grain size is", 0 },
	{ "H7", MK_GTES, 0, "0 entries", 0 },
	{ "H7", MK_GTES, 1, "1 entries", 0 },
	{ "H7", MK_GTES, 64, "64 entries", 0 },
	{ "H7", MK_GTES, 511, "511 entries", 0 },
	{ "H7", MK_GTES, 1024, "1024 entries", 0 },
	{ "H7", MK_GTES, 1U << 31, "2147483648 entries", 0 },
	{ "H7", MK_GTES, UINT32_MAX, "4294967295 entries", 0 },
	{ "H8", MK_CAPACITY, 0x20000000ULL * 65536, "capacity is", 0 },
	{ "H8", MK_CAPACITY, 0x20000000ULL * 65536 - 1, "capacity is", 0 },
	{ "H8", MK_CAPACITY, 0x20000000ULL * 65536 + 1, "capacity is", 0 },
	{ "H8", MK_CAPACITY, 1ULL << 38, "directory entries", 0 },
	{ "H8", MK_CAPACITY, 1ULL << 37, "past the end", MK_GD_OFFSET },
	{ "H9", MK_GD_OFFSET, 0, "inside the header", 0 },
	{ "H9", MK_GD_OFFSET, 1, "overlaps the descriptor", 0 },
	{ "H9", MK_GD_OFFSET, 20, "overlaps the descriptor", 0 },
	{ "H9", MK_GD_OFFSET, 21, "overlaps the directory", MK_RGD_OFFSET },
	{ "H9", MK_GD_OFFSET, 1152, "past the end", 0 },
	{ "H9", MK_GD_OFFSET, 1ULL << 55, "past the end", 0 },
	{ "H9", MK_GD_OFFSET, (1ULL << 55) + 534, "past the end", 0 },
	{ "H9", MK_GD_OFFSET, UINT64_MAX - 1, "past the end", 0 },
	{ "H9", MK_GD_OFFSET, UINT64_MAX, "end of the file", 0 },
	{ "H9", MK_RGD_OFFSET, 1, "overlaps the descriptor", 0 },
	{ "H9", MK_RGD_OFFSET, 534, "overlaps the directory", 0 },
	{ "H9", MK_RGD_OFFSET, 1ULL << 55, "past the end", 0 },
	{ "H9", MK_RGD_OFFSET, UINT64_MAX, "past the end", 0 },
	{ "T12", MK_RGD_OFFSET, 0, "inside the header", 0 },
	{ "H10", MK_OVERHEAD, 0, "overhead is 0", 0 },
	{ "H10", MK_OVERHEAD, 20, "metadata ends at 21", 0 },
	{ "H10", MK_OVERHEAD, 1153, "the file has only 1152", 0 },
	{ "H10", MK_OVERHEAD, UINT64_MAX, "the file has only", 0 },
	{ "H11", MK_DESC_OFFSET, 1152, "past the end", 0 },
	{ "H11", MK_DESC_OFFSET, UINT64_MAX, "past the end", 0 },
	{ "H11", MK_DESC_OFFSET, 1133, "past the end", 0 },
	{ "H11", MK_DESC_OFFSET, 515, "overlaps the descriptor", MK_GD_OFFSET },
	{ "H11", MK_DESC_SIZE, 1152, "past the end", MK_DESC_OFFSET },
	{ "H11", MK_DESC_SIZE, 2049, "at most", 0 },
	{ "H11", MK_DESC_SIZE, UINT64_MAX, "at most", 0 },
	{ "H11", MK_DESC_SIZE, 21, "overlaps the descriptor", MK_RGD_OFFSET },
	{ "H11", MK_DESC_OFFSET, 0, NULL, 0 },
	{ "H12", MK_COMPRESS, 1, "compression algorithm is 1", 0 },
	{ "H12", MK_COMPRESS, 2, "compression algorithm is 2", 0 },
	{ "H12", MK_COMPRESS, 65535, "compression algorithm is 65535", 0 },
	{ "H12", MK_FLAGS, 0x10003, "compression algorithm is 0", MK_COMPRESS },
	{ "H12", MK_FLAGS, 0x20003, "markers without", 0 },
	{ "H13", MK_UNCLEAN, 1, NULL, 0 },
	{ "H13", MK_UNCLEAN, 0xff, NULL, 0 },
};

#define CAPACITY_4G	(1ULL << 23)

static void test_damage(void **state)
{
	const struct mk_options opt = { .capacity = CAPACITY_4G };
	size_t i;

	for (i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		const struct damage *d = &damages[i];
		struct vmdk_geometry geo;
		struct vmdk_fault fault;
		struct mk_image m;
		int ret;

		mk_create(&m, &opt);
		assert_int_equal(m.overhead, 1152);
		mk_header(&m, d->field, d->value);
		ret = decode(&m, &geo, &fault);
		if (ret != (d->text ? -22 : 0) ||
		    (d->text && !strstr(fault.text, d->text)))
			fail_msg("%s, field %d = %llx: %d, %s", d->class,
				 d->field, (unsigned long long)d->value, ret,
				 fault.text);
		if (d->text)
			assert_int_equal(fault.offset, d->at ? d->at : (int)d->field);
		mk_free(&m);
	}
	(void)state;
}

static void test_unclean(void **state)
{
	static const uint8_t values[] = { 0, 1, 0x80, 0xff };
	const struct mk_options opt = { 0 };
	size_t i;

	for (i = 0; i < sizeof(values); i++) {
		struct vmdk_geometry geo;
		struct vmdk_fault fault;
		struct mk_image m;

		mk_create(&m, &opt);
		mk_header(&m, MK_UNCLEAN, values[i]);
		assert_int_equal(decode(&m, &geo, &fault), 0);
		assert_int_equal(geo.unclean, values[i] != 0);
		mk_free(&m);
	}
	(void)state;
}

/* With the newline flag or the redundant flag clear, their fields mean nothing. */
static void test_flags_clear(void **state)
{
	const struct mk_options opt = { .one_copy = true };
	struct vmdk_geometry geo;
	struct vmdk_fault fault;
	struct mk_image m;

	mk_create(&m, &opt);
	mk_header(&m, MK_RGD_OFFSET, UINT64_MAX);
	mk_header(&m, MK_FLAGS, 0);
	mk_header(&m, MK_NEWLINE, 0);
	assert_int_equal(decode(&m, &geo, &fault), 0);
	assert_int_equal(geo.rgd, 0);
	mk_free(&m);
	(void)state;
}

/* As many directory entries as may be and one more, with the smallest grain and table. */
static void test_directory_limit(void **state)
{
	const struct mk_options opt = {
		.capacity = VMDK_GD_ENTRIES_MAX * 8ULL * 128, .grain = 8, .gtes = 128,
		.tables = MK_TABLES_LAZY,
	};
	struct vmdk_geometry geo;
	struct vmdk_fault fault;
	struct mk_image m;

	mk_create(&m, &opt);
	assert_int_equal(decode(&m, &geo, &fault), 0);
	assert_int_equal(geo.gd_entries, 2 << 20);
	mk_header(&m, MK_CAPACITY, opt.capacity + 1);
	assert_int_equal(decode(&m, &geo, &fault), -22);
	assert_non_null(strstr(fault.text, "2097153 directory entries"));
	mk_free(&m);
	(void)state;
}

/* H14: a header in front of any shorter file is refused, or the file suffices. */
static void test_truncated(void **state)
{
	const struct mk_options opt = { .capacity = CAPACITY_4G };
	struct vmdk_sparse_header header;
	struct vmdk_geometry geo;
	struct vmdk_fault fault;
	struct mk_image m;
	uint64_t size;

	mk_create(&m, &opt);
	memcpy(&header, m.bytes, sizeof(header));
	for (size = 0; size < m.size; size++)
		assert_int_equal(vmdk_header_decode(&header, size, &geo, &fault),
				 -22);
	assert_int_equal(vmdk_header_decode(&header, size, &geo, &fault), 0);
	assert_int_equal(vmdk_header_decode(&header, UINT64_MAX, &geo, &fault),
			 0);
	mk_free(&m);
	(void)state;
}

/* A compressed extent may have its directory in the footer; overHead counts there. */
static void test_compressed(void **state)
{
	const struct mk_options opt = { 0 };
	struct vmdk_geometry geo;
	struct vmdk_fault fault;
	struct mk_image m;

	mk_create(&m, &opt);
	mk_header(&m, MK_FLAGS, 0x30003);
	mk_header(&m, MK_COMPRESS, 1);
	mk_header(&m, MK_GD_OFFSET, UINT64_MAX);
	mk_header(&m, MK_OVERHEAD, 0);
	assert_int_equal(decode(&m, &geo, &fault), 0);
	assert_true(geo.gd == VMDK_GD_AT_END);
	assert_int_equal(geo.rgd, 0);
	assert_int_equal(geo.flags, 0x30003);
	mk_free(&m);
	(void)state;
}

/* Every reason fits, also with the longest numbers. */
static void test_text_fits(void **state)
{
	static const enum mk_field fields[] = {
		MK_MAGIC, MK_VERSION, MK_FLAGS, MK_CAPACITY, MK_GRAIN,
		MK_DESC_OFFSET, MK_DESC_SIZE, MK_GTES, MK_RGD_OFFSET,
		MK_GD_OFFSET, MK_OVERHEAD, MK_NEWLINE, MK_COMPRESS,
	};
	const struct mk_options opt = { .capacity = CAPACITY_4G };
	struct vmdk_sparse_header header;
	struct vmdk_geometry geo;
	struct vmdk_fault fault;
	struct mk_image m;
	size_t i;
	int back;

	for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		for (back = 1; back < 4; back++) {
			mk_create(&m, &opt);
			mk_header(&m, fields[i], UINT64_MAX - (uint64_t)back);
			memcpy(&header, m.bytes, sizeof(header));
			mk_free(&m);
			if (!vmdk_header_decode(&header, UINT64_MAX >> 1, &geo,
						&fault))
				continue;
			assert_in_range(strlen(fault.text), 10,
					sizeof(fault.text) - 2);
		}
	}
	(void)state;
}

struct entry_case {
	const char *class;
	uint64_t grain;
	uint32_t entry;
	const char *text;	/* NULL: valid */
};

static void check_case(const struct entry_case *e, const char *text)
{
	if (!text != !e->text || (text && !strstr(text, e->text)))
		fail_msg("%s, entry %u: %s", e->class, e->entry,
			 text ? text : "valid");
}

static void test_gde(void **state)
{
	static const struct entry_case cases[] = {
		{ "T1", 0, 0, NULL },
		{ "T1", 0, 1, "overlaps the descriptor" },
		{ "T1", 0, 20, "overlaps the descriptor" },
		{ "T3", 0, 21, "overlaps the redundant directory" },
		{ "T3", 0, 531, "overlaps the grain directory" },
		{ "T3", 0, 534, "overlaps the grain directory" },
		{ "T1", 0, 22, NULL },
		{ "T1", 0, 530, NULL },
		{ "T1", 0, 535, NULL },
		{ "T1", 0, 1148, NULL },
		{ "T1", 0, 1149, "past the end" },
		{ "T1", 0, 1152, "past the end" },
		{ "T1", 0, UINT32_MAX, "past the end" },
	};
	const struct mk_options opt = { .capacity = CAPACITY_4G };
	struct vmdk_geometry geo;
	struct vmdk_fault fault;
	struct mk_image m;
	size_t i;

	mk_create(&m, &opt);
	assert_int_equal(decode(&m, &geo, &fault), 0);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_case(&cases[i], vmdk_gde_fault(&geo, cases[i].entry, 1152));
	mk_free(&m);
	(void)state;
}

/* Capacity 1300: eleven grains, of which the last has 20 sectors. */
static void test_gte(void **state)
{
	static const struct entry_case cases[] = {
		{ "T4", 0, 0, NULL },
		{ "T8", 0, 1, "does not declare" },
		{ "T5", 0, 2, "into the metadata" },
		{ "T5", 0, 21, "into the metadata" },
		{ "T5", 0, 127, "into the metadata" },
		{ "T4", 0, 128, NULL },
		{ "T6", 0, 129, "not aligned" },
		{ "T6", 0, 255, "not aligned" },
		{ "T4", 0, 896, NULL },
		{ "T4", 0, 1024, "past the end" },
		{ "T4", 10, 1024, NULL },
		{ "T4", 10, 1152, "past the end" },
		{ "T10", 0, 0x00800080, "past the end" },
		{ "T10", 0, 0xffffff80, "past the end" },
		{ "T11", 11, 0, NULL },
		{ "T11", 11, 1, "behind the end of the disk" },
		{ "T11", 11, 128, "behind the end of the disk" },
		{ "T11", UINT64_MAX, 128, "behind the end of the disk" },
	};
	const struct mk_options opt = { .capacity = 1300 };
	struct vmdk_geometry geo;
	struct vmdk_fault fault;
	struct mk_image m;
	size_t i;

	mk_create(&m, &opt);
	assert_int_equal(decode(&m, &geo, &fault), 0);
	assert_int_equal(geo.overhead, 128);
	assert_int_equal(vmdk_grains(&geo), 11);
	assert_int_equal(vmdk_grain_valid(&geo, 9), 128);
	assert_int_equal(vmdk_grain_valid(&geo, 10), 20);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_case(&cases[i], vmdk_gte_fault(&geo, cases[i].grain,
						     cases[i].entry, 1044));
	geo.flags |= VMDK_FLAG_ZEROED;
	assert_null(vmdk_gte_fault(&geo, 0, 1, 1044));
	assert_non_null(vmdk_gte_fault(&geo, 11, 1, 1044));
	mk_free(&m);
	(void)state;
}

/* A file of 2 TiB and more: entries reach up to its last 32-bit sector. */
static void test_gte_huge(void **state)
{
	const struct mk_options opt = { 0 };
	struct vmdk_geometry geo;
	struct vmdk_fault fault;
	struct mk_image m;

	mk_create(&m, &opt);
	assert_int_equal(decode(&m, &geo, &fault), 0);
	assert_null(vmdk_gte_fault(&geo, 0, 0xffffff80, 1ULL << 32));
	assert_non_null(vmdk_gte_fault(&geo, 0, 0xffffff80, (1ULL << 32) - 1));
	assert_null(vmdk_gde_fault(&geo, 0xfffffffc, 1ULL << 32));
	assert_non_null(vmdk_gde_fault(&geo, 0xfffffffd, 1ULL << 32));
	mk_free(&m);
	(void)state;
}

/* Directories behind overHead are no place for a grain, and for no other table. */
static void test_late_directories(void **state)
{
	const struct mk_options opt = { .capacity = CAPACITY_4G };
	struct vmdk_geometry geo;
	struct vmdk_fault fault;
	struct mk_image m;

	mk_create(&m, &opt);
	mk_resize(&m, 2048 * MK_SECTOR);
	mk_header(&m, MK_RGD_OFFSET, 1407);
	mk_header(&m, MK_GD_OFFSET, 1664);
	assert_int_equal(decode(&m, &geo, &fault), 0);
	assert_null(vmdk_gte_fault(&geo, 0, 1152, 2048));
	assert_non_null(vmdk_gte_fault(&geo, 0, 1280, 2048));
	assert_null(vmdk_gte_fault(&geo, 0, 1408, 2048));
	assert_null(vmdk_gte_fault(&geo, 0, 1536, 2048));
	assert_non_null(vmdk_gte_fault(&geo, 0, 1664, 2048));
	assert_non_null(vmdk_gde_fault(&geo, 1404, 2048));
	assert_null(vmdk_gde_fault(&geo, 1408, 2048));
	/* one may stay in front; none may lie across */
	mk_header(&m, MK_RGD_OFFSET, 21);
	assert_int_equal(decode(&m, &geo, &fault), 0);
	mk_header(&m, MK_CAPACITY, 2 * CAPACITY_4G);
	mk_header(&m, MK_RGD_OFFSET, 1151);
	assert_int_equal(decode(&m, &geo, &fault), -22);
	assert_non_null(strstr(fault.text, "metadata ends at 1153"));
	mk_free(&m);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sound),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_unclean),
		cmocka_unit_test(test_flags_clear),
		cmocka_unit_test(test_directory_limit),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_compressed),
		cmocka_unit_test(test_text_fits),
		cmocka_unit_test(test_gde),
		cmocka_unit_test(test_gte),
		cmocka_unit_test(test_gte_huge),
		cmocka_unit_test(test_late_directories),
	};

	return cmocka_run_group_tests_name("vmdk_format", tests, NULL, NULL);
}
