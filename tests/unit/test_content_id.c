// SPDX-License-Identifier: GPL-2.0
/*
 * The content id that an image gets before the first write.
 */
#define _GNU_SOURCE	/* asprintf */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "scaffold.h"
#include "vmdkctl.h"

#define LONG_ID	"0123456789abcdef01234567deadbeef"

/* Have the renewed id of an image that says @cid, and maybe the long one, written. */
static struct vmdk_image *renew(const char *cid, bool has_long)
{
	struct vmdk_patch patches[VMDK_MAX_PATCHES];
	struct vmdk_image *image;
	uint32_t nr, new_cid, i;
	char *text;

	assert_true(asprintf(&text, "version=1\nCID=%s\nparentCID=ffffffff\n"
			     "createType=\"monolithicSparse\"\n"
			     "RW 2048 SPARSE \"b.vmdk\"\n%s", cid, has_long ?
			     "ddb.longContentID = \"" LONG_ID "\"\n" : "") > 0);
	put_sparse("b.vmdk", 2048, text);
	free(text);
	image = accept("b.vmdk", &writing);
	assert_int_equal(content_id_renew(image, patches, &nr, &new_cid), 0);
	assert_int_equal(nr, has_long ? 2 : 1);
	for (i = 0; i < nr; i++)
		assert_int_equal(pwrite(image->desc_fd, patches[i].new,
					patches[i].length, patches[i].offset),
				 patches[i].length);
	vmdk_image_close(image);
	image = accept("b.vmdk", &reading);
	assert_int_equal(image->desc.cid, new_cid);
	return image;
}

/* A child that remembers what it was is one no longer. */
static void test_changes(void **state)
{
	static const char * const cids[] = { "12345678", "fffffffe", "FFFFFFFE" };
	struct vmdk_image *image;
	size_t i, has_long;

	(void)state;
	for (i = 0; i < 2 * NR_OF(cids); i++) {
		has_long = i % 2;
		image = renew(cids[i / 2], has_long);
		assert_int_not_equal(image->desc.cid, strtoul(cids[i / 2], NULL, 16));
		assert_int_not_equal(image->desc.cid, VMDK_CID_IN_LONG);
		assert_int_not_equal(image->desc.cid, VMDK_NO_PARENT);
		vmdk_image_close(image);
	}
}

/* As ESXi has it, the long id ends in the short one. */
static void test_long_id(void **state)
{
	struct vmdk_image *image = renew("fffffffe", true);
	const char *id = image->desc.long_content_id;

	(void)state;
	assert_int_equal(strlen(id), strlen(LONG_ID));
	assert_string_not_equal(id, LONG_ID);
	assert_int_equal(strtoul(id + 24, NULL, 16), image->desc.cid);
	vmdk_image_close(image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_changes),
		TEST(test_long_id),
	};

	return cmocka_run_group_tests(tests, note_open_fds, check_open_fds);
}
