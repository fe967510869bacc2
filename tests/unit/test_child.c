// SPDX-License-Identifier: GPL-2.0
/*
 * New children: what is written, and which names can be.
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
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "chain.h"
#include "child.h"
#include "scaffold.h"

#define SECTORS	200001U	/* 4 tables, and no multiple of a grain */

static const char base_text[] =
	HEAD "createType=\"monolithicSparse\"\nRW 200001 SPARSE \"b.vmdk\"\n"
	"ddb.adapterType = \"lsilogic\"\nddb.virtualHWVersion = \"13\"\n"
	"ddb.geometry.cylinders = \"12\"\nddb.geometry.heads = \"255\"\n"
	"ddb.geometry.sectors = \"63\"\n";

static struct vmdk_image *open_base(const char *text)
{
	put_sparse("b.vmdk", SECTORS, text);
	return accept("b.vmdk", &reading);
}

static void create_child(const char *path, const struct vmdk_image *base)
{
	char *why = NULL;
	int fd = vmdk_child_create(path, base, &why);

	assert_true(fd >= 0);
	assert_null(why);
	close(fd);
}

static void *get(const char *path, size_t size)
{
	uint8_t *bytes = calloc(1, size);
	int fd = open(path, O_RDONLY);

	assert_true(bytes && fd >= 0);
	assert_int_equal(read(fd, bytes, size), size);
	close(fd);
	return bytes;
}

static uint64_t number(const uint8_t *bytes, size_t at, unsigned int width)
{
	uint64_t v = 0;

	while (width--)
		v = v << 8 | bytes[at + width];
	return v;
}

/* One copy at sector @gd: its tables follow it, and are empty. */
static void check_copy(const uint8_t *bytes, uint64_t gd)
{
	uint64_t i;

	for (i = 0; i < 4; i++)
		assert_int_equal(number(bytes, gd * 512 + i * 4, 4),
				 gd + 1 + 4 * i);
	for (i = (gd * 512) + 16; i < (gd + 1 + 16) * 512; i++)
		assert_int_equal(bytes[i], 0);
}

static void test_layout(void **state)
{
	struct vmdk_image *base = open_base(base_text);
	struct stat st;
	uint8_t *bytes;

	(void)state;
	create_child("c.vmdk", base);
	vmdk_image_close(base);
	assert_int_equal(stat("c.vmdk", &st), 0);
	bytes = get("c.vmdk", st.st_size);
	assert_memory_equal(bytes, "KDMV", 4);
	assert_int_equal(number(bytes, MK_VERSION, 4), 1);
	assert_int_equal(number(bytes, MK_FLAGS, 4), 3);
	assert_int_equal(number(bytes, MK_CAPACITY, 8), SECTORS);
	assert_int_equal(number(bytes, MK_GRAIN, 8), 128);
	assert_int_equal(number(bytes, MK_GTES, 4), 512);
	assert_int_equal(number(bytes, MK_DESC_OFFSET, 8), 1);
	assert_int_equal(number(bytes, MK_DESC_SIZE, 8), 20);
	assert_int_equal(number(bytes, MK_RGD_OFFSET, 8), 21);
	assert_int_equal(number(bytes, MK_GD_OFFSET, 8), 38);
	assert_int_equal(number(bytes, MK_OVERHEAD, 8), 128);
	assert_int_equal(number(bytes, MK_UNCLEAN, 1), 0);
	assert_memory_equal(bytes + MK_NEWLINE, "\n \r\n", 4);
	assert_int_equal(number(bytes, MK_COMPRESS, 2), 0);
	assert_int_equal(st.st_size, 128 * 512);
	check_copy(bytes, 21);
	check_copy(bytes, 38);
	free(bytes);
}

static void test_descriptor(void **state)
{
	struct vmdk_image *base = open_base(base_text), *child;

	(void)state;
	create_child("c.vmdk", base);
	vmdk_image_close(base);
	child = accept("c.vmdk", &reading);
	assert_int_equal(child->desc.parent_cid, 0x1234abcd);
	assert_int_not_equal(child->desc.cid, 0x1234abcd);
	assert_string_equal(child->desc.parent_hint, "b.vmdk");
	assert_string_equal(child->desc.extents->name, "c.vmdk");
	assert_string_equal(child->desc.adapter_type, "lsilogic");
	assert_string_equal(child->desc.hw_version, "13");
	assert_int_equal(child->desc.physical.cylinders, 12);
	assert_int_equal(child->desc.physical.heads, 255);
	assert_null(child->desc.long_content_id);
	vmdk_image_close(child);
}

/* Two children made of one parent differ, and never have its id. */
static void test_ids(void **state)
{
	struct vmdk_image *base, *c, *d;
	char *text;

	(void)state;
	assert_true(asprintf(&text, "%sddb.longContentID = \"%032d\"\n",
			     base_text, 7) > 0);
	base = open_base(text);
	free(text);
	create_child("c.vmdk", base);
	create_child("d.vmdk", base);
	vmdk_image_close(base);
	c = accept("c.vmdk", &reading);
	d = accept("d.vmdk", &reading);
	assert_int_not_equal(c->desc.cid, d->desc.cid);
	assert_int_equal(strlen(c->desc.long_content_id), 32);
	assert_int_equal(strtoul(c->desc.long_content_id + 24, NULL, 16),
			 c->desc.cid);
	assert_string_not_equal(c->desc.long_content_id,
				d->desc.long_content_id);
	vmdk_image_close(c);
	vmdk_image_close(d);
}

/* A line more in the descriptor could name any file. */
static void test_hostile_names(void **state)
{
	static const char *const names[] = {
		"a\"b", "a\nRW 8 FLAT \"x\" 0", "a\rb", "a\tb", "a\x7f", "\x01",
		"a\\b", "C:b", "[x] b",
	};
	struct vmdk_image *base = open_base(base_text);
	char *text, *why = NULL, *longest;
	size_t i;

	(void)state;
	for (i = 0; i < NR_OF(names); i++) {
		assert_int_equal(vmdk_child_describe(base, names[i], "b", 1,
						     &text, &why), -EINVAL);
		assert_null(text);
		assert_null(strchr(why, '\n'));
		free(why);
		why = NULL;
		assert_int_equal(vmdk_child_describe(base, "c", names[i], 1,
						     &text, &why), -EINVAL);
		free(why);
		why = NULL;
		assert_int_equal(vmdk_child_create(names[i], base, &why),
				 -EINVAL);
		assert_int_equal(access(names[i], F_OK), -1);
		free(why);
		why = NULL;
	}
	assert_true(asprintf(&longest, "%01024d", 0) > 0);
	assert_int_equal(vmdk_child_describe(base, "c", longest, 1, &text,
					     &why), -ENAMETOOLONG);
	free(longest);
	free(why);
	vmdk_image_close(base);
}

/* What the parent's data base says is not repeated as it stands there. */
static void test_hostile_parent(void **state)
{
	static const char text[] =
		HEAD "createType=\"monolithicSparse\"\n"
		"RW 200001 SPARSE \"b.vmdk\"\n"
		"ddb.adapterType = ide\" RW 8 FLAT\n"
		"ddb.virtualHWVersion = a b\n"
		"ddb.geometry.cylinders = \"0\"\n";
	struct vmdk_image *base = open_base(text), *child;

	(void)state;
	create_child("c.vmdk", base);
	vmdk_image_close(base);
	child = accept("c.vmdk", &reading);
	assert_string_equal(child->desc.adapter_type, "ide");
	assert_string_equal(child->desc.hw_version, "4");
	assert_int_not_equal(child->desc.physical.cylinders, 0);
	vmdk_image_close(child);
}

static void test_hints(void **state)
{
	static const struct {
		const char *child, *parent, *hint;
	} names[] = {
		{ "c.vmdk", "b.vmdk", "b.vmdk" },
		{ "c.vmdk", "./sub/../b.vmdk", "b.vmdk" },
		{ "c.vmdk", "sub/b.vmdk", "sub/b.vmdk" },
		{ "sub/c.vmdk", "b.vmdk", "../b.vmdk" },
		{ "sub/c.vmdk", "subway/b.vmdk", "../subway/b.vmdk" },
		{ "subway/c.vmdk", "sub/b.vmdk", "../sub/b.vmdk" },
		{ "sub/deep/c.vmdk", "b.vmdk", "../../b.vmdk" },
		{ "c.vmdk", "link.vmdk", "sub/b.vmdk" },
	};
	char *hint, *why = NULL, *real;
	size_t i;

	(void)state;
	assert_int_equal(mkdir("sub", 0755), 0);
	assert_int_equal(mkdir("sub/deep", 0755), 0);
	assert_int_equal(mkdir("subway", 0755), 0);
	put_text("b.vmdk", "");
	put_text("sub/b.vmdk", "");
	put_text("subway/b.vmdk", "");
	assert_int_equal(symlink("sub/b.vmdk", "link.vmdk"), 0);
	for (i = 0; i < NR_OF(names); i++) {
		assert_int_equal(vmdk_child_hint(names[i].child,
						 names[i].parent, &hint, &why),
				 0);
		assert_string_equal(hint, names[i].hint);
		free(hint);
	}
	/* nothing in common but the root: the whole name */
	real = realpath("b.vmdk", NULL);
	assert_int_equal(vmdk_child_hint("/dev/c.vmdk", "b.vmdk", &hint, &why),
			 0);
	assert_string_equal(hint, real);
	free(hint);
	assert_int_equal(vmdk_child_hint("/c.vmdk", "b.vmdk", &hint, &why), 0);
	assert_string_equal(hint, real + 1);
	free(hint);
	free(real);
}

static void test_nothing_is_replaced(void **state)
{
	struct vmdk_image *base = open_base(base_text);
	char *why = NULL;

	(void)state;
	put_text("c.vmdk", "mine");
	assert_int_equal(vmdk_child_create("c.vmdk", base, &why), -EEXIST);
	free(why);
	why = NULL;
	assert_int_equal(symlink("gone.vmdk", "d.vmdk"), 0);
	assert_int_equal(vmdk_child_create("d.vmdk", base, &why), -EEXIST);
	assert_int_equal(access("gone.vmdk", F_OK), -1);
	free(why);
	vmdk_image_close(base);
}

/* No child could say that this is its parent. */
static void test_no_id(void **state)
{
	struct vmdk_image *base;
	char *why = NULL;

	(void)state;
	base = open_base("version=1\nCID=ffffffff\nparentCID=ffffffff\n"
			 "createType=\"monolithicSparse\"\n"
			 "RW 200001 SPARSE \"b.vmdk\"\n");
	assert_int_equal(vmdk_child_create("c.vmdk", base, &why), -EINVAL);
	assert_int_equal(access("c.vmdk", F_OK), -1);
	free(why);
	vmdk_image_close(base);
}

static void test_unnamed(void **state)
{
	struct vmdk_image *base = open_base(base_text), *child;
	char *why = NULL, *path, *folder = *state;
	struct stat st;
	int fd;

	assert_int_equal(mkdir("tmp", 0755), 0);
	assert_true(asprintf(&path, "%s/tmp", folder) > 0);
	setenv("TMPDIR", path, 1);
	free(path);
	fd = vmdk_child_create_unnamed(base, &path, &why);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_nlink, 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(rmdir("tmp"), 0);
	assert_int_equal(vmdk_image_open_fd(fd, path, &writing, &child, &why),
			 0);
	assert_int_equal(child->desc.parent_cid, base->desc.cid);
	vmdk_image_close(child);
	free(path);
	assert_true(vmdk_child_create_unnamed(base, &path, &why) < 0);
	free(why);
	unsetenv("TMPDIR");
	vmdk_image_close(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_layout),
		TEST(test_descriptor),
		TEST(test_ids),
		TEST(test_hostile_names),
		TEST(test_hostile_parent),
		TEST(test_hints),
		TEST(test_nothing_is_replaced),
		TEST(test_no_id),
		TEST(test_unnamed),
	};

	return cmocka_run_group_tests(tests, note_open_fds, check_open_fds);
}
