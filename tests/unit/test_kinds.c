// SPDX-License-Identifier: GPL-2.0
/*
 * Compressed, COWD and seSparse disks: how they open, and what the check finds in
 * those that are damaged.
 */
#define _GNU_SOURCE	/* asprintf */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "check.h"
#include "mkcowd.h"
#include "mksesparse.h"
#include "mkstream.h"
#include "scaffold.h"

#define SECTORS		2048U	/* of a stream: 16 grains */
#define GRAIN_BYTES	65536U

/* -------------------------------------------------------------- the check */

struct findings {
	struct vmdk_check_result result;
	char first[512];	/* severity, structure, offset, text */
};

static void keep_first(const struct vmdk_finding *f, void *arg)
{
	struct findings *found = arg;

	assert_true(f->found[0] && f->expected[0] && f->text[0]);
	if (!found->first[0])
		snprintf(found->first, sizeof(found->first), "%d %s %llu %s",
			 f->severity, f->structure,
			 (unsigned long long)f->offset, f->text);
}

static void check(const char *path, const struct vmdk_open_options *opt,
		  struct findings *found)
{
	struct vmdk_image *img = accept(path, opt);

	memset(found, 0, sizeof(*found));
	assert_int_equal(vmdk_check_extent(&img->extents[0], 100, keep_first,
					   found, &found->result), 0);
	vmdk_image_close(img);
}

static void find_corrupt(const char *path, const char *words)
{
	struct findings found;

	check(path, &reading, &found);
	if (!found.result.corrupt || !strstr(found.first, words))
		print_error("%s, not %s\n", found.first, words);
	assert_true(found.result.corrupt);
	assert_non_null(strstr(found.first, words));
}

static void find_nothing(const char *path, uint64_t allocated)
{
	struct findings found;

	check(path, &reading, &found);
	assert_string_equal(found.first, "");
	assert_int_equal(found.result.grains_allocated, allocated);
}

/* ------------------------------------------------------------- compressed */

/* Grains 0 and 3, and the last one; one of them damaged. */
static void put_stream(const char *name, const struct mks_options *opt,
		       enum mks_damage damage)
{
	static const uint64_t grains[] = { 0, 3, 15 };
	static uint8_t data[GRAIN_BYTES];
	struct mks_image m;
	size_t i;

	mks_create(&m, opt);
	for (i = 0; i < GRAIN_BYTES; i++)
		data[i] = i * 7 ^ i >> 8;
	for (i = 0; i < NR_OF(grains); i++)
		mks_damaged_grain(&m, grains[i], data,
				  i == 1 ? damage : MKS_SOUND);
	mks_finish(&m);
	close(mk_save(&m.image, name));
	mks_free(&m);
}

static void test_stream(void **state)
{
	static const struct mks_options shapes[] = {
		{ .place = MKS_FOOTER }, { .place = MKS_BEHIND },
		{ .place = MKS_FRONT }, { .place = MKS_FRONT, .flags = MKS_RGD },
		{ .flags = MKS_NO_MARKERS, .place = MKS_FRONT },
		{ .flags = MKS_PROGRESS }, { .flags = MKS_CUT },
		{ .flags = MKS_STORED }, { .flags = MKS_SHORT_LAST },
		{ .pad = 1 }, { .pad = 4096 }, { .desc_sectors = 1 },
		{ .desc_sectors = 20 },
	};
	struct vmdk_image *img, *other;
	size_t i;

	(void)state;
	for (i = 0; i < NR_OF(shapes); i++) {
		put_stream("x.vmdk", &shapes[i], MKS_SOUND);
		img = accept("x.vmdk", &writing);
		other = accept("x.vmdk", &writing);
		assert_int_equal(img->extents[0].kind, VMDK_KIND_SPARSE);
		assert_int_equal(img->extents[0].access, VMDK_ACCESS_RDONLY);
		assert_int_equal(img->extents[0].length, 0);
		assert_int_equal(img->extents[0].footer,
				 shapes[i].place == MKS_FOOTER);
		assert_int_equal(img->sectors, SECTORS);
		assert_string_equal(img->read_only, "its grains are compressed");
		assert_int_equal(fcntl(img->desc_fd, F_GETFL) & O_ACCMODE,
				 O_RDONLY);
		vmdk_image_close(other);
		vmdk_image_close(img);
		find_nothing("x.vmdk", 3);
	}
}

static void test_stream_damage(void **state)
{
	int damage;

	(void)state;
	for (damage = MKS_WRONG_LBA; damage < MKS_NR_DAMAGES; damage++) {
		put_stream("x.vmdk", &(struct mks_options){ 0 }, damage);
		/* bytes behind a stream that ends in order harm nobody */
		if (damage == MKS_JUNK)
			find_nothing("x.vmdk", 3);
		else if (damage == MKS_SIZE_PAST_END)
			find_corrupt("x.vmdk", "(grain 15) points to a grain that");
		else
			find_corrupt("x.vmdk", "3 grain 3 ");
	}
}

static void test_stream_tables(void **state)
{
	struct mks_image m;
	uint8_t data[GRAIN_BYTES] = { 1 };

	(void)state;
	mks_create(&m, &(struct mks_options){ 0 });
	mks_grain(&m, 2, data);
	mks_finish(&m);
	mk_put(&m.image, mk_gte(&m.image, 0, 5), 4, m.entries[2]);
	close(mk_save(&m.image, "x.vmdk"));
	find_corrupt("x.vmdk", "points to a grain that an earlier entry has");
	mk_put(&m.image, mk_gte(&m.image, 0, 5), 4, 0xfffffff0);
	close(mk_save(&m.image, "x.vmdk"));
	find_corrupt("x.vmdk", "past the end of the file");
	mk_put(&m.image, m.footer + MK_CAPACITY, 8, 4096);
	close(mk_save(&m.image, "x.vmdk"));
	refuse("x.vmdk", &reading, -EINVAL, "x.vmdk: footer at byte ");
	mk_resize(&m.image, m.footer - 512);
	close(mk_save(&m.image, "x.vmdk"));
	refuse("x.vmdk", &reading, -EINVAL, "the file is cut");
	mks_free(&m);
}

/* In a split disk; one extent that is only read makes all of it read-only. */
/* The file ends within the last sector of a table. */
static void test_stream_cut_table(void **state)
{
	static const struct mks_options opt = {
		.place = MKS_FRONT, .pad = 3 * MK_SECTOR + 100,
	};
	uint8_t data[GRAIN_BYTES] = { 1 };
	struct mks_image m;

	mks_create(&m, &opt);
	mks_grain(&m, 2, data);
	mks_finish(&m);
	mk_put(&m.image, mk_gde(&m.image, 0, 0), 4,
	       (m.image.size + MK_SECTOR - 1) / MK_SECTOR - 4);
	close(mk_save(&m.image, "x.vmdk"));
	find_corrupt("x.vmdk", "past the end of the file");
	mks_free(&m);
	(void)state;
}

static void test_stream_extent(void **state)
{
	struct vmdk_image *img;

	(void)state;
	put_stream("s", &(struct mks_options){ 0 }, MKS_SOUND);
	put_flat("f", 8);
	put_text("x.vmdk", TYPE("custom")
		 "RW 2048 SPARSE \"s\"\nRW 8 FLAT \"f\" 0\n");
	img = accept("x.vmdk", &writing);
	assert_int_equal(img->extents[1].access, VMDK_ACCESS_RDONLY);
	assert_non_null(img->read_only);
	vmdk_image_close(img);
	put_text("x.vmdk", TYPE("custom")
		 "RDONLY 2048 SPARSE \"s\"\nRW 8 FLAT \"f\" 0\n");
	img = accept("x.vmdk", &writing);
	assert_int_equal(img->extents[1].access, VMDK_ACCESS_RW);
	vmdk_image_close(img);
	put_text("x.vmdk", TYPE("twoGbMaxExtentSparse") "RW 2048 SPARSE \"s\"\n");
	vmdk_image_close(accept("x.vmdk", &writing));
	put_text("x.vmdk", TYPE("streamOptimized") "RW 2048 SPARSE \"s\"\n");
	vmdk_image_close(accept("x.vmdk", &reading));
}

/* At any place of an archive; the bytes behind it are another's. */
static void test_stream_in_ova(void **state)
{
	static const struct vmdk_open_options second = {
		.lock = true, .disk = "2",
	};
	struct vmdk_image *img;
	struct findings found;

	(void)state;
	put_stream("a.vmdk", &(struct mks_options){ 0 }, MKS_SOUND);
	put_stream("b.vmdk", &(struct mks_options){ .pad = 100 }, MKS_SOUND);
	put_text("x.ovf",
		 "<e><File id='a' href='a.vmdk'/><File id='b' href='b.vmdk'/><Disk fileRef='a'/><Disk fileRef='b'/></e>");
	assert_int_equal(system("tar -cf x.ova x.ovf a.vmdk b.vmdk"), 0);
	img = accept("x.ova", &second);
	assert_true(img->extents[0].footer);
	assert_true(img->extents[0].offset > 0);
	assert_string_equal(img->read_only, "its grains are compressed");
	vmdk_image_close(img);
	check("x.ova", &second, &found);
	assert_string_equal(found.first, "");
	assert_int_equal(found.result.grains_allocated, 3);
}

#define CHUNKED	\
	"<e><File id='a' href='a.vmdk' chunkSize='1000'/><Disk fileRef='a'/></e>"

/* Headers, tables and grains go across the ends of chunks. */
static void test_stream_in_chunks(void **state)
{
	static const char * const commands[] = {
		"split -b 1000 -d -a 9 a.vmdk a.vmdk.",
		"tar -cf x.ova x.ovf a.vmdk.0*",
		"truncate -s 999 a.vmdk.000000002",
		"tar -cf short.ova x.ovf a.vmdk.0*",
	};
	static const struct mks_options shapes[] = {
		{ .place = MKS_FOOTER }, { .place = MKS_FRONT }, { .pad = 300 },
	};
	struct vmdk_image *img;
	struct findings found;
	size_t i, k;

	(void)state;
	put_text("x.ovf", CHUNKED);
	for (i = 0; i < NR_OF(shapes); i++) {
		put_stream("a.vmdk", &shapes[i], MKS_SOUND);
		for (k = 0; k < NR_OF(commands); k++)
			assert_int_equal(system(commands[k]), 0);
		img = accept("x.ova", &reading);
		assert_non_null(img->extents[0].windows);
		assert_true(img->extents[0].windows->nr > 3);
		vmdk_image_close(img);
		check("x.ova", &reading, &found);
		assert_string_equal(found.first, "");
		assert_int_equal(found.result.grains_allocated, 3);
		refuse("short.ova", &reading, -EOPNOTSUPP,
		       "chunk 2 of it has 999 bytes");
		assert_int_equal(system("rm a.vmdk.0*"), 0);
	}
}

/* A damaged byte in a chunk is found where the whole file has it. */
static void test_damage_in_chunks(void **state)
{
	(void)state;
	put_text("x.ovf", CHUNKED);
	put_stream("a.vmdk", &(struct mks_options){ 0 }, MKS_BAD_SUM);
	assert_int_equal(system("split -b 1000 -d -a 9 a.vmdk a.vmdk."), 0);
	assert_int_equal(system("tar -cf x.ova x.ovf a.vmdk.0*"), 0);
	find_corrupt("x.ova", "grain");
	find_corrupt("a.vmdk", "grain");
}

/* -------------------------------------------------------------------- COWD */

static void put_cowd(struct mkc_image *m)
{
	uint8_t data[512] = { 7 };

	mkc_create(m, &(struct mkc_options){ 0 });
	mkc_map(m, 0, data);
	mkc_map(m, 8191, data);
	mkc_map(m, 1, data);
	close(mk_save(&m->image, "c.vmdk"));
}

static void test_cowd(void **state)
{
	struct vmdk_image *img;
	struct mkc_image m;

	(void)state;
	put_cowd(&m);
	put_text("x.vmdk", TYPE("vmfsSparse") "RW 8192 VMFSSPARSE \"c.vmdk\"\n");
	img = accept("x.vmdk", &writing);
	assert_int_equal(img->extents[0].kind, VMDK_KIND_COWD);
	assert_int_equal(img->extents[0].access, VMDK_ACCESS_RW);
	assert_null(img->read_only);
	vmdk_image_close(img);
	find_nothing("x.vmdk", 3);
	/* a disk of old: no descriptor at all */
	img = accept("c.vmdk", &writing);
	assert_int_equal(img->sectors, 8192);
	assert_false(img->desc.has_cid);
	vmdk_image_close(img);
	put_text("x.vmdk", TYPE("vmfsSparse") "RW 8000 VMFSSPARSE \"c.vmdk\"\n");
	refuse("x.vmdk", &reading, -EINVAL, "the descriptor says 8000");
	mkc_free(&m);
}

static void test_cowd_child(void **state)
{
	struct vmdk_image *img;
	struct mkc_image m;

	(void)state;
	put_cowd(&m);
	close(mk_save(&m.image, "c-delta.vmdk"));
	refuse("c-delta.vmdk", &reading, -EINVAL, "an extent of an ESXi snapshot");
	memcpy(m.image.bytes + 32, "base.vmdk", 10);
	close(mk_save(&m.image, "c.vmdk"));
	refuse("c.vmdk", &reading, -EOPNOTSUPP, "is a child of \"base.vmdk\"");
	img = accept("c.vmdk", &info);
	assert_non_null(strstr(img->refusal, "base.vmdk"));
	vmdk_image_close(img);
	put_text("x.vmdk", "parentCID=12345678\nparentFileNameHint=\"b.vmdk\"\n"
		 "createType=\"vmfsSparse\"\nRW 8192 VMFSSPARSE \"c.vmdk\"\n");
	vmdk_image_close(accept("x.vmdk", &reading));
	mkc_free(&m);
}

static void test_cowd_damage(void **state)
{
	struct findings found;
	struct mkc_image m;
	uint64_t entry;

	(void)state;
	put_cowd(&m);
	entry = mk_gte(&m.image, 0, 1);
	mk_put(&m.image, entry, 4, mk_get(&m.image, mk_gte(&m.image, 0, 0), 4));
	close(mk_save(&m.image, "c.vmdk"));
	find_corrupt("c.vmdk", "an earlier entry has");
	mk_put(&m.image, entry, 4, mk_get(&m.image, mk_gde(&m.image, 0, 0), 4) + 3);
	close(mk_save(&m.image, "c.vmdk"));
	find_corrupt("c.vmdk", "that a grain table lies on");
	mk_put(&m.image, entry, 4, 1);
	close(mk_save(&m.image, "c.vmdk"));
	find_corrupt("c.vmdk", "points into the metadata");
	mk_put(&m.image, entry, 4, 0);
	mkc_header(&m, MKC_UNCLEAN, 1);
	close(mk_save(&m.image, "c.vmdk"));
	check("c.vmdk", &reading, &found);
	assert_int_equal(found.result.corrupt, 0);
	assert_int_equal(found.result.notes, 2);
	assert_int_equal(found.result.tail_bytes, 512);
	mkc_free(&m);
}

/* ---------------------------------------------------------------- seSparse */

static void save_sesparse(struct mkse_image *m)
{
	close(mk_save(&m->image, "s-sesparse.vmdk"));
	put_text("x.vmdk", TYPE("seSparse")
		 "RW 65536 SESPARSE \"s-sesparse.vmdk\"\n");
}

static void put_sesparse(struct mkse_image *m)
{
	uint8_t data[4096] = { 9 };

	mkse_create(m, 65536);
	mkse_map(m, 0, data);
	mkse_map(m, 5000, data);
	mkse_entry(m, 1, mkse_value(MKSE_ZERO, 0));
	mkse_entry(m, 2, mkse_value(MKSE_UNMAPPED, 1));
	save_sesparse(m);
}

static void test_sesparse(void **state)
{
	struct vmdk_image *img;
	struct mkse_image m;

	(void)state;
	put_sesparse(&m);
	img = accept("x.vmdk", &writing);
	assert_int_equal(img->extents[0].kind, VMDK_KIND_SESPARSE);
	assert_int_equal(img->extents[0].access, VMDK_ACCESS_RDONLY);
	assert_non_null(strstr(img->read_only, "seSparse"));
	vmdk_image_close(img);
	find_nothing("x.vmdk", 2);
	refuse("s-sesparse.vmdk", &reading, -EINVAL, "name the file that holds");
	mkse_volatile(&m, MKSE_V_REPLAY, 1);
	save_sesparse(&m);
	refuse("x.vmdk", &reading, -EINVAL, "s-sesparse.vmdk: seSparse volatile header at byte");
	mkse_free(&m);
}

static void test_sesparse_damage(void **state)
{
	struct mkse_image m;

	(void)state;
	put_sesparse(&m);
	mkse_entry(&m, 3, mkse_value(MKSE_DATA, 0));
	save_sesparse(&m);
	find_corrupt("x.vmdk", "an earlier entry has");
	mkse_entry(&m, 3, 4ULL << 60);
	save_sesparse(&m);
	find_corrupt("x.vmdk", "is damaged");
	mkse_entry(&m, 3, 0);
	mk_put(&m.image, mkse_gde(&m, 0), 8,
	       mk_get(&m.image, mkse_gde(&m, 1), 8));
	save_sesparse(&m);
	find_corrupt("x.vmdk", "points to a table that an earlier entry has");
	mk_put(&m.image, mkse_gde(&m, 0), 8, 5);
	save_sesparse(&m);
	find_corrupt("x.vmdk", "grain directory");
	mkse_free(&m);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_stream),
		TEST(test_stream_damage),
		TEST(test_stream_tables),
		TEST(test_stream_cut_table),
		TEST(test_stream_extent),
		TEST(test_stream_in_ova),
		TEST(test_stream_in_chunks),
		TEST(test_damage_in_chunks),
		TEST(test_cowd),
		TEST(test_cowd_child),
		TEST(test_cowd_damage),
		TEST(test_sesparse),
		TEST(test_sesparse_damage),
	};

	return cmocka_run_group_tests(tests, note_open_fds, check_open_fds);
}
