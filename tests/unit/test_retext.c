// SPDX-License-Identifier: GPL-2.0
/*
 * Texts with another capacity in them; those inside of an extent as a power cut
 * leaves them: each sector old or new; and files that are replaced.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "retext.h"
#include "scaffold.h"

#define ROOM	(20 * VMDK_SECTOR_SIZE)

static const char head[] =
	"# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\n"
	"createType=\"monolithicSparse\"\n\n";
static const char extent[] =
	"# Extent description\nRW 99999 SPARSE \"disk.vmdk\"\n\n"
	"# The Disk Data Base\n#DDB\n\n";
static const char database[] =
	"ddb.geometry.cylinders = \"99\"\nddb.geometry.heads = \"16\"\n"
	"ddb.geometry.sectors = \"63\"\nddb.adapterType = \"lsilogic\"\n"
	"ddb.geometry.biosCylinders = \"6\"\nddb.geometry.biosHeads = \"255\"\n"
	"ddb.geometry.biosSectors = \"63\"\nddb.uuid = \"60 00 C2 9a\"\n";

/* @pad: so many bytes of a key that nobody knows, in front of the extent. */
static void make_image(struct vmdk_image *image, size_t pad, bool comments,
		       bool embedded)
{
	struct vmdk_text_fault fault;
	size_t n;

	memset(image, 0, sizeof(*image));
	image->path = strdup("disk.vmdk");
	image->text = calloc(1, ROOM + 1);
	n = sprintf(image->text, "%skey=\"%0*d\"\n%s%s", head, (int)pad, 0,
		    comments ? extent : strchr(extent, '\n') + 1, database);
	if (!comments)
		memcpy(strstr(image->text, "# The"), "x", 1);
	if (!comments)
		memcpy(strstr(image->text, "#DDB"), "x", 1);
	image->embedded = embedded;
	image->desc_offset = embedded ? VMDK_SECTOR_SIZE : 0;
	image->desc_size = embedded ? ROOM : n;
	assert_int_equal(vmdk_descriptor_parse(image->text, image->desc_size,
					       &image->desc, &fault), 0);
	image->sectors = image->desc.sectors;
}

static void free_image(struct vmdk_image *image)
{
	vmdk_descriptor_free(&image->desc);
	free(image->text);
	free(image->path);
}

static void parse(const char *text, size_t size, struct vmdk_descriptor *desc)
{
	struct vmdk_text_fault fault;

	if (vmdk_descriptor_parse(text, size, desc, &fault))
		fail_msg("line %u: %s\n%s", fault.line, fault.text, text);
	assert_int_equal(desc->nr_extents, 1);
	assert_string_equal(desc->extents->name, "disk.vmdk");
	assert_string_equal(desc->uuid, "60 00 C2 9a");
	assert_string_equal(desc->adapter_type, "lsilogic");
	assert_int_equal(desc->physical.heads, 16);
	assert_int_equal(desc->bios.heads, 255);
	assert_int_equal(strncmp(text, "# Disk DescriptorFile\n", 22), 0);
}

static void check_values(const char *text, size_t size, uint64_t sectors)
{
	struct vmdk_descriptor desc;

	parse(text, size, &desc);
	assert_int_equal(desc.extents->sectors, sectors);
	assert_int_equal(desc.physical.cylinders, sectors / (16 * 63));
	assert_int_equal(desc.bios.cylinders, sectors / (255 * 63));
	vmdk_descriptor_free(&desc);
}

/* Bit n of @torn: sector n reached the disk. */
static void check_torn(const struct vmdk_image *image, const char *text,
		       unsigned int torn, uint64_t sectors)
{
	char *mixed = malloc(ROOM);
	struct vmdk_descriptor desc;
	size_t i;

	for (i = 0; i < ROOM; i++)
		mixed[i] = (torn >> i / VMDK_SECTOR_SIZE & 1 ? text :
			    image->text)[i];
	parse(mixed, ROOM, &desc);
	assert_true(desc.extents->sectors == sectors ||
		    desc.extents->sectors == image->desc.sectors);
	vmdk_descriptor_free(&desc);
	free(mixed);
}

static void test_file(void **state)
{
	static const uint64_t sizes[] = { 1, 99999, 100000, 5000000000ULL };
	size_t i, size;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct vmdk_image image;
		char *text, *why = NULL;

		make_image(&image, 10, true, false);
		assert_int_equal(vmdk_retext(&image, sizes[i], &text, &size,
					     &why), 0);
		check_values(text, size, sizes[i]);
		free(text);
		free_image(&image);
	}
	(void)state;
}

/* Wherever the bounds of the sectors lie. */
static void test_embedded(void **state)
{
	static const uint64_t sizes[] = { 1, 99998, 100000, 5000000000ULL };
	unsigned int refused = 0, torn;
	size_t i, pad, size;

	for (pad = 0; pad < 1200; pad++) {
		for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			struct vmdk_image image;
			char *text, *why = NULL;

			make_image(&image, pad, true, true);
			if (vmdk_retext(&image, sizes[i], &text, &size, &why)) {
				assert_non_null(strstr(why, "in one piece"));
				assert_null(text);
				refused++;
			} else {
				assert_int_equal(size, ROOM);
				check_values(text, size, sizes[i]);
				for (torn = 0; torn < 16; torn++)
					check_torn(&image, text, torn, sizes[i]);
			}
			free(why);
			free(text);
			free_image(&image);
		}
	}
	/* a number, or all that lies between it and a comment, across a bound */
	assert_in_range(refused, 1, 1200);
	(void)state;
}

static void test_no_room(void **state)
{
	struct vmdk_image image;
	char *text, *why = NULL;
	size_t size;

	make_image(&image, 300, false, true);
	assert_int_not_equal(vmdk_retext(&image, 100000, &text, &size, &why), 0);
	assert_non_null(strstr(why, "no comment beside it"));
	assert_null(text);
	free(why);
	free_image(&image);
	(void)state;
}

/* ------------------------------------------------------------ files */

/* Of an image, what replacing its file looks at: "disk.vmdk", open. */
static void open_file(struct vmdk_image *image)
{
	memset(image, 0, sizeof(*image));
	image->path = strdup("disk.vmdk");
	image->desc_fd = open("disk.vmdk", O_RDONLY);
	assert_true(image->desc_fd >= 0);
}

static void close_file(struct vmdk_image *image)
{
	close(image->desc_fd);
	free(image->path);
}

static void check_text(const char *name, const char *expected)
{
	char text[64] = "";
	int fd = open(name, O_RDONLY);

	assert_true(read(fd, text, sizeof(text) - 1) >= 0);
	close(fd);
	assert_string_equal(text, expected);
}

static void check_files(int expected)
{
	struct dirent **names;
	int nr = scandir(".", &names, NULL, NULL);

	assert_int_equal(nr - 2, expected);
	while (nr--)
		free(names[nr]);
	free(names);
}

static void test_replaced(void **state)
{
	struct vmdk_image image;
	char *why = NULL;
	struct stat st;
	int fd;

	(void)state;
	put_text("disk.vmdk", "old");
	assert_int_equal(chmod("disk.vmdk", 0640), 0);
	assert_int_equal(link("disk.vmdk", "old"), 0);
	open_file(&image);
	fd = vmdk_retext_file(&image, "new", 3, &why);
	assert_true(fd >= 0);
	close(fd);
	close_file(&image);
	check_text("disk.vmdk", "new");
	check_text("old", "old");
	assert_int_equal(stat("disk.vmdk", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	check_files(2);
}

/* Its name leads to a file of someone else by now, or to nothing. */
static void test_moved(void **state)
{
	struct vmdk_image image;
	char *why = NULL;

	(void)state;
	put_text("disk.vmdk", "old");
	assert_int_equal(mkdir("other", 0700), 0);
	put_text("other/disk.vmdk", "theirs");
	open_file(&image);
	assert_int_equal(rename("disk.vmdk", "away"), 0);
	assert_int_equal(symlink("other/disk.vmdk", "disk.vmdk"), 0);
	assert_int_equal(vmdk_retext_file(&image, "new", 3, &why), -ESTALE);
	assert_non_null(strstr(why, "was moved"));
	free(why);
	check_text("other/disk.vmdk", "theirs");
	check_text("away", "old");
	assert_int_equal(unlink("disk.vmdk"), 0);
	assert_int_equal(vmdk_retext_file(&image, "new", 3, &why), -ENOENT);
	free(why);
	check_files(2);
	close_file(&image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_embedded),
		cmocka_unit_test(test_no_room),
		TEST(test_replaced),
		TEST(test_moved),
	};

	return cmocka_run_group_tests_name("retext", tests, NULL, NULL);
}
