// SPDX-License-Identifier: GPL-2.0
/*
 * Chains: where a parent is looked for, and what does not fit together.
 */
#define _GNU_SOURCE	/* asprintf */
#include <errno.h>
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
#include "hint.h"
#include "overlay.h"
#include "scaffold.h"

#define SECTORS	2048

static const struct vmdk_chain_options plain = { .open.lock = true };
static const struct vmdk_chain_options forced = {
	.open.lock = true, .force_cid = true,
};

/* An image of @sectors; @parent: its hint, or NULL. */
static void put_link(const char *name, uint64_t sectors, const char *cid,
		     const char *parent_cid, const char *parent)
{
	char *text;

	assert_true(asprintf(&text,
			     "# Disk DescriptorFile\nversion=1\n%s%s\n"
			     "parentCID=%s\ncreateType=\"monolithicSparse\"\n"
			     "%s%s%s\nRW %llu SPARSE \"x\"\n",
			     cid ? "CID=" : "", cid ? cid : "", parent_cid,
			     parent ? "parentFileNameHint=\"" : "",
			     parent ? parent : "", parent ? "\"" : "",
			     (unsigned long long)sectors) > 0);
	put_sparse(name, sectors, text);
	free(text);
}

static void put_base(const char *name)
{
	put_link(name, SECTORS, "11111111", "ffffffff", NULL);
}

static void put_child(const char *name, const char *hint)
{
	put_link(name, SECTORS, "22222222", "11111111", hint);
}

/* Insist on a chain of @nr links, of which the last one is @last. */
static void follow(const char *path, const struct vmdk_chain_options *opt,
		   size_t nr, const char *last)
{
	struct vmdk_chain chain;
	char *real = realpath(last, NULL), *found, *why;
	int ret = vmdk_chain_open(path, opt, &chain, &why);

	if (ret)
		print_error("%s: %d, %s\n", path, ret, why);
	assert_int_equal(ret, 0);
	assert_int_equal(chain.nr, nr);
	found = realpath(chain.links[nr - 1]->path, NULL);
	assert_string_equal(found, real);
	free(found);
	free(real);
	vmdk_chain_close(&chain);
}

static void stop(const char *path, const struct vmdk_chain_options *opt,
		 int expected, const char *words)
{
	struct vmdk_chain chain;
	char *why;
	int ret = vmdk_chain_open(path, opt, &chain, &why);

	if (ret != expected || !why || !strstr(why, words))
		print_error("%s: %d, not %d; %s, not %s\n", path, ret, expected,
			    why, words);
	assert_int_equal(ret, expected);
	assert_non_null(strstr(why, words));
	assert_null(strchr(why, '\n'));
	assert_int_equal(chain.nr, 0);
	free(why);
}

/* ------------------------------------------------------------------- hints */

static void test_hint_base(void **state)
{
	static const struct {
		const char *hint, *base;
	} names[] = {
		{ "b.vmdk", "b.vmdk" },
		{ "a/b.vmdk", "b.vmdk" },
		{ "/vmfs/volumes/5a-b/vm/b.vmdk", "b.vmdk" },
		{ "C:\\vm\\b.vmdk", "b.vmdk" },
		{ "c:/vm/b.vmdk", "b.vmdk" },
		{ "C:b.vmdk", "b.vmdk" },
		{ "\\\\server\\share\\b.vmdk", "b.vmdk" },
		{ "\\\\?\\C:\\vm\\b.vmdk", "b.vmdk" },
		{ "..\\b.vmdk", "b.vmdk" },
		{ "[store 1] vm/b.vmdk", "b.vmdk" },
		{ "[store] b.vmdk", "b.vmdk" },
		{ "/vm/", "" },
		{ "C:\\", "" },
		{ "[store] ", "" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < NR_OF(names); i++)
		assert_string_equal(vmdk_hint_base(names[i].hint),
				    names[i].base);
}

static void test_beside(void **state)
{
	static const char *const hints[] = {
		"b.vmdk", "./b.vmdk", "/vmfs/volumes/5a-b/vm/b.vmdk",
		"C:\\vm\\b.vmdk", "\\\\server\\vm\\b.vmdk", "..\\b.vmdk",
		"[store] vm/b.vmdk", "/no/such/folder/b.vmdk",
	};
	size_t i;

	(void)state;
	put_base("b.vmdk");
	for (i = 0; i < NR_OF(hints); i++) {
		put_child("c.vmdk", hints[i]);
		follow("c.vmdk", &plain, 2, "b.vmdk");
	}
}

static void test_below(void **state)
{
	(void)state;
	assert_int_equal(mkdir("sub", 0755), 0);
	put_base("sub/b.vmdk");
	put_child("c.vmdk", "sub/b.vmdk");
	follow("c.vmdk", &plain, 2, "sub/b.vmdk");
	/* relative to the folder of each child */
	put_link("sub/m.vmdk", SECTORS, "33333333", "11111111", "b.vmdk");
	put_link("c.vmdk", SECTORS, "22222222", "33333333", "sub/m.vmdk");
	follow("c.vmdk", &plain, 3, "sub/b.vmdk");
}

static void test_allowed(void **state)
{
	char *folder = *state, *dirs[2] = { NULL, NULL };
	struct vmdk_chain_options opt = {
		.open = { .lock = true, .allow_paths = dirs },
	};
	char *hint;

	assert_int_equal(mkdir("child", 0755), 0);
	assert_int_equal(mkdir("other", 0755), 0);
	put_base("other/b.vmdk");
	assert_true(asprintf(&dirs[0], "%s/other", folder) > 0);
	assert_true(asprintf(&hint, "%s/other/b.vmdk", folder) > 0);

	put_child("child/c.vmdk", "../other/b.vmdk");
	stop("child/c.vmdk", &plain, -EXDEV, "leads out of the folder");
	follow("child/c.vmdk", &opt, 2, "other/b.vmdk");
	put_child("child/c.vmdk", hint);
	stop("child/c.vmdk", &plain, -ENOENT, "there is no \"b.vmdk\" in");
	follow("child/c.vmdk", &opt, 2, "other/b.vmdk");
	put_child("child/c.vmdk", "D:\\vm\\b.vmdk");
	stop("child/c.vmdk", &plain, -ENOENT, "there is no \"b.vmdk\" in");
	follow("child/c.vmdk", &opt, 2, "other/b.vmdk");
	/* below an allowed folder, an absolute name is what it says */
	free(dirs[0]);
	dirs[0] = folder;
	put_child("child/c.vmdk", hint);
	follow("child/c.vmdk", &opt, 2, "other/b.vmdk");
	/* so it comes first, and then what lies beside the child */
	put_base("child/b.vmdk");
	follow("child/c.vmdk", &opt, 2, "other/b.vmdk");
	put_child("child/c.vmdk", "/gone/other/b.vmdk");
	follow("child/c.vmdk", &opt, 2, "child/b.vmdk");
	free(hint);
}

/* A parent with the name of its child, in another folder. */
static void test_same_name(void **state)
{
	char *folder = *state, *dirs[2] = { folder, NULL };
	struct vmdk_chain_options opt = {
		.open = { .lock = true, .allow_paths = dirs },
	};
	char *hint;

	assert_int_equal(mkdir("child", 0755), 0);
	put_base("c.vmdk");
	assert_true(asprintf(&hint, "%s/c.vmdk", folder) > 0);
	put_child("child/c.vmdk", hint);
	follow("child/c.vmdk", &opt, 2, "c.vmdk");
	stop("child/c.vmdk", &plain, -EINVAL, "would be its own parent");
	put_child("child/c.vmdk", "D:\\vm\\c.vmdk");
	follow("child/c.vmdk", &opt, 2, "c.vmdk");
	stop("child/c.vmdk", &plain, -EINVAL, "would be its own parent");
	put_child("child/c.vmdk", "/child/b.vmdk/c.vmdk");
	follow("child/c.vmdk", &opt, 2, "c.vmdk");
	free(hint);
}

static void test_no_such_parent(void **state)
{
	static const struct {
		const char *hint;
		int ret;
		const char *words;
	} hints[] = {
		{ "b.vmdk", -ENOENT, "c.vmdk: parentFileNameHint \"b.vmdk\": " },
		{ "/b.vmdk", -ENOENT, "there is no \"b.vmdk\" in" },
		{ "C:\\", -EINVAL, "no name of a file" },
		{ "C:\\..", -EINVAL, "no name of a file" },
		{ "/vm/..", -EINVAL, "no name of a file" },
		{ "../x.vmdk", -EXDEV, "leads out of the folder" },
		{ "sub", -EISDIR, "is a directory" },
		{ "/x/sub", -EISDIR, "is a directory" },
		{ "link.vmdk", -ELOOP, "symbolic link" },
		{ "/x/link.vmdk", -ELOOP, "symbolic link" },
		{ "fifo", -ENODEV, "is not a regular file" },
		{ "/dev/fifo", -ENODEV, "is not a regular file" },
		{ "text", -EINVAL, "c.vmdk: parentFileNameHint \"text\": " },
	};
	size_t i;

	(void)state;
	assert_int_equal(mkdir("sub", 0755), 0);
	assert_int_equal(symlink("real.vmdk", "link.vmdk"), 0);
	assert_int_equal(mkfifo("fifo", 0600), 0);
	put_base("real.vmdk");
	put_text("text", "nothing\n");
	for (i = 0; i < NR_OF(hints); i++) {
		put_child("c.vmdk", hints[i].hint);
		stop("c.vmdk", &plain, hints[i].ret, hints[i].words);
	}
	put_child("c.vmdk", NULL);
	stop("c.vmdk", &plain, -EINVAL, "there is no parentFileNameHint");
	put_link("c.vmdk", SECTORS, "22222222", "ffffffff", "real.vmdk");
	stop("c.vmdk", &plain, -EINVAL, "parentCID says that there is no parent");
}

/* Shift_JIS: the second byte of the one character is a backslash. */
static void test_encoding(void **state)
{
	(void)state;
	put_base("\xe8\xa1\xa8.vmdk");
	put_sparse("c.vmdk", SECTORS,
		   "version=1\nencoding=\"Shift_JIS\"\nCID=22222222\n"
		   "parentCID=11111111\ncreateType=\"monolithicSparse\"\n"
		   "parentFileNameHint=\"C:\\vm\\\x95\x5c.vmdk\"\n"
		   "RW 2048 SPARSE \"x\"\n");
	follow("c.vmdk", &plain, 2, "\xe8\xa1\xa8.vmdk");
}

/* -------------------------------------------------------------- the links */

static void test_content_ids(void **state)
{
	static const struct {
		const char *cid, *parent_cid;
		bool matches;
	} pairs[] = {
		{ "11111111", "11111111", true },
		{ "11111111", "11111112", false },
		{ "ABCDEF01", "abcdef01", true },
		{ "1", "00000001", true },
		{ "fffffffe", "fffffffe", true },
		{ "fffffffe", "deadbeef", true },	/* end of the long id */
		{ "fffffffe", "deadbeee", false },
		{ NULL, "0", true },
		{ NULL, "11111111", false },
	};
	struct vmdk_chain chain;
	char *why, *text;
	size_t i;

	(void)state;
	for (i = 0; i < NR_OF(pairs); i++) {
		assert_true(asprintf(&text, "version=1\n%s%s\nparentCID=ffffffff\n"
				     "createType=\"monolithicSparse\"\n"
				     "RW 2048 SPARSE \"x\"\n"
				     "ddb.longContentID = \"000102030405060708090a0bdeadbeef\"\n",
				     pairs[i].cid ? "CID=" : "",
				     pairs[i].cid ? pairs[i].cid : "") > 0);
		put_sparse("b.vmdk", SECTORS, text);
		free(text);
		put_link("c.vmdk", SECTORS, "22222222", pairs[i].parent_cid,
			 "b.vmdk");
		if (pairs[i].matches)
			follow("c.vmdk", &plain, 2, "b.vmdk");
		else
			stop("c.vmdk", &plain, -EINVAL, "CID of its parent");
		assert_int_equal(vmdk_chain_open("c.vmdk", &forced, &chain,
						 &why), 0);
		assert_int_equal(vmdk_chain_differs(&chain, 0),
				 !pairs[i].matches);
		vmdk_chain_close(&chain);
	}
}

static void test_names_both_ids(void **state)
{
	struct vmdk_chain chain;
	char *why;

	(void)state;
	put_base("b.vmdk");
	put_link("c.vmdk", SECTORS, "22222222", "12345678", "b.vmdk");
	assert_int_equal(vmdk_chain_open("c.vmdk", &plain, &chain, &why),
			 -EINVAL);
	assert_non_null(strstr(why, "c.vmdk: parentCID is 12345678"));
	assert_non_null(strstr(why, "/b.vmdk is 11111111"));
	free(why);
}

static void test_cycles(void **state)
{
	(void)state;
	put_link("a.vmdk", SECTORS, "22222222", "11111111", "a.vmdk");
	stop("a.vmdk", &forced, -EINVAL, "would be its own parent");
	/* under another name, it is the same file */
	assert_int_equal(link("a.vmdk", "b.vmdk"), 0);
	put_link("a.vmdk", SECTORS, "22222222", "11111111", "b.vmdk");
	stop("a.vmdk", &forced, -EINVAL, "would be its own parent");
	unlink("b.vmdk");
	put_link("a.vmdk", SECTORS, "22222222", "33333333", "b.vmdk");
	put_link("b.vmdk", SECTORS, "33333333", "44444444", "c.vmdk");
	put_link("c.vmdk", SECTORS, "44444444", "33333333", "b.vmdk");
	stop("a.vmdk", &plain, -EINVAL, "the chain is a cycle");
	put_link("c.vmdk", SECTORS, "44444444", "22222222", "a.vmdk");
	stop("a.vmdk", &plain, -EINVAL, "leads back to a.vmdk: the chain is a cycle");
}

static void test_capacities(void **state)
{
	(void)state;
	put_base("b.vmdk");
	put_link("c.vmdk", SECTORS - 128, "22222222", "11111111", "b.vmdk");
	stop("c.vmdk", &forced, -EINVAL, "has a capacity of 1920 sectors, but its parent");
	put_link("c.vmdk", SECTORS + 128, "22222222", "11111111", "b.vmdk");
	follow("c.vmdk", &plain, 2, "b.vmdk");
}

static void put_numbered(unsigned int nr, unsigned int last)
{
	char name[16], hint[16], cid[16], parent_cid[16];

	snprintf(name, sizeof(name), "%u.vmdk", nr);
	snprintf(hint, sizeof(hint), "%u.vmdk", nr + 1);
	snprintf(cid, sizeof(cid), "%x", nr);
	snprintf(parent_cid, sizeof(parent_cid), "%x", nr + 1);
	if (nr == last)
		put_link(name, SECTORS, cid, "ffffffff", NULL);
	else
		put_link(name, SECTORS, cid, parent_cid, hint);
}

static void test_depth(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 1; i <= VMDK_MAX_LINKS + 1; i++)
		put_numbered(i, VMDK_MAX_LINKS + 1);
	stop("1.vmdk", &plain, -ELOOP, "more than 64 links");
	follow("2.vmdk", &plain, VMDK_MAX_LINKS, "65.vmdk");
}

static void test_parents_are_read(void **state)
{
	struct vmdk_chain_options opt = {
		.open = { .lock = true, .write = true },
	};
	struct vmdk_chain chain;
	struct vmdk_image *other;
	char *why;

	(void)state;
	put_base("b.vmdk");
	put_child("c.vmdk", "b.vmdk");
	assert_int_equal(vmdk_chain_open("c.vmdk", &opt, &chain, &why), 0);
	assert_int_equal(chain.links[0]->extents->access, VMDK_ACCESS_RW);
	assert_int_equal(chain.links[1]->extents->access, VMDK_ACCESS_RDONLY);
	/* others may read a parent, and nobody writes it */
	assert_int_equal(try_image("b.vmdk", &reading, &other), 0);
	vmdk_image_close(other);
	refuse("b.vmdk", &writing, -EBUSY, "in use by another program");
	vmdk_chain_close(&chain);
	assert_int_equal(try_image("b.vmdk", &writing, &other), 0);
	stop("c.vmdk", &plain, -EBUSY, "in use by another program");
	vmdk_image_close(other);
}

static void test_single_link(void **state)
{
	struct vmdk_chain_options opt = {
		.open.lock = true, .single_link = true,
	};

	(void)state;
	put_child("c.vmdk", "gone.vmdk");
	follow("c.vmdk", &opt, 1, "c.vmdk");
}

static void test_partial(void **state)
{
	struct vmdk_chain_options opt = { .partial = true, .force_cid = true };
	struct vmdk_chain chain;
	char *why;

	(void)state;
	put_link("b.vmdk", SECTORS, "33333333", "44444444", "gone.vmdk");
	put_child("c.vmdk", "b.vmdk");
	assert_int_equal(vmdk_chain_open("c.vmdk", &opt, &chain, &why), 0);
	assert_int_equal(chain.nr, 2);
	assert_true(vmdk_chain_differs(&chain, 0));
	assert_non_null(strstr(chain.fault, "gone.vmdk"));
	vmdk_chain_close(&chain);
}

/* ---------------------------------------------------------------- overlays */

static const struct vmdk_chain_options over = {
	.open = { .lock = true, .write = true },
};

static void lay_over(const char *delta, const char *base, size_t links)
{
	struct vmdk_chain chain;
	char *why;
	int ret = vmdk_overlay_open(delta, base, &over, &chain, &why);

	if (ret)
		print_error("%s\n", why);
	assert_int_equal(ret, 0);
	assert_int_equal(chain.nr, links);
	assert_int_equal(chain.links[0]->extents->access, VMDK_ACCESS_RW);
	assert_int_equal(chain.links[1]->extents->access, VMDK_ACCESS_RDONLY);
	vmdk_chain_close(&chain);
}

static void refuse_over(const char *delta, const char *base, int expected,
			const char *words)
{
	struct vmdk_chain chain;
	char *why;
	int ret = vmdk_overlay_open(delta, base, &over, &chain, &why);

	if (ret != expected || !strstr(why, words))
		print_error("%d, not %d; %s, not %s\n", ret, expected, why,
			    words);
	assert_int_equal(ret, expected);
	assert_non_null(strstr(why, words));
	assert_int_equal(chain.nr, 0);
	free(why);
}

static void test_overlay(void **state)
{
	(void)state;
	put_base("b.vmdk");
	put_base("b2.vmdk");
	put_child("c.vmdk", "b.vmdk");
	assert_int_equal(mkdir("sub", 0755), 0);
	lay_over("d.vmdk", "b.vmdk", 2);
	lay_over("d.vmdk", "b.vmdk", 2);
	follow("d.vmdk", &plain, 2, "b.vmdk");
	lay_over("sub/d.vmdk", "c.vmdk", 3);
	lay_over("sub/d.vmdk", "c.vmdk", 3);
	lay_over(NULL, "c.vmdk", 3);
	refuse_over("d.vmdk", "b2.vmdk", -EEXIST, "is a child of \"b.vmdk\", not of");
	refuse_over("b2.vmdk", "b.vmdk", -EEXIST, "is no child of");
	refuse_over("b.vmdk", "b.vmdk", -EINVAL, "is itself a part of the chain");
	refuse_over("b.vmdk", "c.vmdk", -EINVAL, "is itself a part of the chain");
	refuse_over("none/d.vmdk", "b.vmdk", -ENOENT, "its folder cannot be found");
	put_link("b.vmdk", SECTORS, "99999999", "ffffffff", NULL);
	refuse_over("d.vmdk", "b.vmdk", -EINVAL, "but the CID of its parent");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hint_base),
		TEST(test_beside),
		TEST(test_below),
		TEST(test_allowed),
		TEST(test_same_name),
		TEST(test_no_such_parent),
		TEST(test_encoding),
		TEST(test_content_ids),
		TEST(test_names_both_ids),
		TEST(test_cycles),
		TEST(test_capacities),
		TEST(test_depth),
		TEST(test_parents_are_read),
		TEST(test_single_link),
		TEST(test_partial),
		TEST(test_overlay),
	};

	return cmocka_run_group_tests(tests, note_open_fds, check_open_fds);
}
