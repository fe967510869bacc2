// SPDX-License-Identifier: GPL-2.0
/*
 * Block devices as extents: which may be used, how they are opened, and what is
 * known of them.  Without loop devices most of it is skipped.
 */
#define _GNU_SOURCE	/* asprintf */
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "scaffold.h"

/* A loop device of 16 sectors, or NULL where there are none to be had. */
static char *new_device(int *loop, uint32_t flags)
{
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), file, nr;
	struct loop_config config = {
		.info.lo_flags = LO_FLAGS_AUTOCLEAR | flags,
	};
	char *name = NULL;

	*loop = -1;
	put_flat("backing", 16);
	file = open("backing", O_RDWR | O_CLOEXEC);
	config.fd = file;
	nr = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
	if (nr >= 0 && asprintf(&name, "/dev/loop%d", nr) > 0)
		*loop = open(name, O_RDWR | O_CLOEXEC);
	if (*loop >= 0 && ioctl(*loop, LOOP_CONFIGURE, &config)) {
		close(*loop);
		*loop = -1;
	}
	close(file);
	if (control >= 0)
		close(control);
	if (*loop >= 0)
		return name;
	free(name);
	return NULL;
}

/* A string with @ for the device, in new memory. */
static char *with_device(const char *text, const char *device)
{
	char *result = calloc(1, 1024), *out = result;

	assert_non_null(result);
	for (; *text; text++) {
		if (*text == '@')
			out = stpcpy(out, device);
		else
			*out++ = *text;
	}
	return result;
}

/* @lines: with @ for the device. */
static void put_device(const char *lines, const char *device)
{
	char *text = with_device(lines, device);

	put_text("x.vmdk", text);
	free(text);
}

/* The options of an open for which @allowed (with @ for the device) was given. */
static struct vmdk_open_options allow(const char *allowed, const char *device)
{
	static char *list[3];
	struct vmdk_open_options opt = writing;

	free(list[0]);
	list[0] = allowed ? with_device(allowed, device) : NULL;
	list[1] = allowed ? "/dev/vmdk-not-there" : NULL;
	opt.allow_devices = list;
	return opt;
}

static void test_option(void **state)
{
	static const struct {
		const char *option;
		bool valid;
		size_t name_len;
		const char *path;
	} options[] = {
		{ "/dev/sda", true, 8, "/dev/sda" },
		{ "/dev/sda=/dev/sdb", true, 8, "/dev/sdb" },
		{ "\\\\.\\PhysicalDrive0=/dev/sdb", true, 18, "/dev/sdb" },
		{ "s-rdm.vmdk=/dev/sdb", true, 10, "/dev/sdb" },
		{ "a=/b=/dev/c", true, 4, "/dev/c" },
		{ "/dev/a=b", true, 8, "/dev/a=b" },
		{ "sda", false, 0, NULL },
		{ "", false, 0, NULL },
		{ "=/dev/sda", false, 0, NULL },
		{ "a=b", false, 0, NULL },
		{ "\\\\.\\PhysicalDrive0", false, 0, NULL },
	};
	const char *path;
	size_t len, i;

	(void)state;
	for (i = 0; i < NR_OF(options); i++) {
		bool valid = vmdk_device_option(options[i].option, &len, &path);

		assert_int_equal(valid, options[i].valid);
		if (!valid)
			continue;
		assert_int_equal(len, options[i].name_len);
		assert_string_equal(path, options[i].path);
	}
}

static void test_parts(void **state)
{
	struct vmdk_open_options opt;
	struct vmdk_image *img;
	char *device;
	int loop, claim;

	(void)state;
	device = new_device(&loop, 0);
	if (!device)
		skip();
	opt = allow("@", device);
	put_flat("pt", 1);
	put_device(TYPE("partitionedDevice") "RW 1 FLAT \"pt\" 0\nRW 3 ZERO\n"
		   "RDONLY 4 FLAT \"@\" 0\nRW 8 FLAT \"@\" 4\n"
		   "RW 4 FLAT \"@\" 12\nNOACCESS 9 FLAT \"@\" 99\n", device);
	refuse("x.vmdk", &writing, -EXDEV, "--allow-device");
	img = accept("x.vmdk", &opt);
	assert_int_equal(img->extents[0].kind, VMDK_KIND_FLAT);
	assert_int_equal(img->extents[1].kind, VMDK_KIND_ZERO);
	assert_int_equal(img->extents[2].kind, VMDK_KIND_DEVICE);
	assert_int_equal(img->extents[2].access, VMDK_ACCESS_RDONLY);
	assert_int_equal(img->extents[3].kind, VMDK_KIND_DEVICE);
	assert_int_equal(img->extents[3].offset, 4 * 512);
	assert_int_equal(img->extents[3].length, 8 * 512);
	assert_int_equal(img->extents[3].access, VMDK_ACCESS_RW);
	assert_int_equal(img->extents[3].file_bytes, 16 * 512);
	assert_int_equal(img->extents[4].kind, VMDK_KIND_DEVICE);
	assert_int_equal(img->extents[5].kind, VMDK_KIND_ZERO);
	/* one descriptor for all of them, which can write */
	assert_int_equal(img->extents[2].fd, img->extents[3].fd);
	assert_int_equal(img->extents[2].fd, img->extents[4].fd);
	assert_int_equal(fcntl(img->extents[2].fd, F_GETFL) & O_ACCMODE, O_RDWR);
	assert_null(img->read_only);
	/* the module claims it, so it must not be claimed here */
	claim = open(device, O_RDWR | O_EXCL);
	assert_true(claim >= 0);
	vmdk_image_close(img);
	refuse("x.vmdk", &opt, -EBUSY, "is mounted or in other use");
	close(claim);
	vmdk_image_close(accept("x.vmdk", &opt));
	allow(NULL, NULL);
	close(loop);
	free(device);
}

/* Where it ends, and where two extents would change each other. */
static void test_bounds(void **state)
{
	struct vmdk_open_options opt;
	char *device;
	int loop;

	(void)state;
	device = new_device(&loop, 0);
	if (!device)
		skip();
	opt = allow("@", device);
	put_device(TYPE("fullDevice") "RW 17 FLAT \"@\" 0\n", device);
	refuse("x.vmdk", &opt, -EINVAL, "the device ends at byte 8192");
	put_device(TYPE("fullDevice") "RW 8 FLAT \"@\" 9\n", device);
	refuse("x.vmdk", &opt, -EINVAL, "the device ends at byte 8192");
	put_device(TYPE("fullDevice") "RW 1 FLAT \"@\" 18014398509481982\n",
		   device);
	refuse("x.vmdk", &opt, -EINVAL, "");
	put_device(TYPE("custom") "RW 8 FLAT \"@\" 0\nRDONLY 2 FLAT \"@\" 7\n",
		   device);
	refuse("x.vmdk", &opt, -EINVAL,
	       "is the same part of a device as that of line 6");
	allow(NULL, NULL);
	close(loop);
	free(device);
}

/* Names that mean nothing here, for a device that the user says. */
static void test_mapped(void **state)
{
	static const struct {
		const char *allowed, *lines;
	} sound[] = {
		{ "\\\\.\\PhysicalDrive3=@",
		  TYPE("fullDevice") "RW 8 FLAT \"\\\\.\\PhysicalDrive3\" 0\n" },
		{ "s-rdm.vmdk=@",
		  TYPE("vmfsRawDeviceMap") "RW 16 VMFSRDM \"s-rdm.vmdk\"\n" },
		{ "s-rdmp.vmdk=@", TYPE("vmfsPassthroughRawDeviceMap")
		  "RW 16 VMFSRDM \"s-rdmp.vmdk\"\n" },
		{ "/vmfs/devices/disks/x=@",
		  TYPE("vmfsRaw") "RW 16 VMFSRAW \"/vmfs/devices/disks/x\"\n" },
		{ "/dev/sda=@", TYPE("fullDevice") "RW 8 FLAT \"/dev/sda\" 0\n" },
	}, other[] = {
		{ "PhysicalDrive3=@",
		  TYPE("fullDevice") "RW 8 FLAT \"\\\\.\\PhysicalDrive3\" 0\n" },
		{ "/dev/sd=@", TYPE("fullDevice") "RW 8 FLAT \"/dev/sda\" 0\n" },
		{ "/dev/sdab=@", TYPE("fullDevice") "RW 8 FLAT \"/dev/sda\" 0\n" },
		/* PATH itself is not allowed by that */
		{ "/dev/sda=@", TYPE("fullDevice") "RW 8 FLAT \"@\" 0\n" },
	};
	struct vmdk_open_options opt;
	struct vmdk_image *img;
	char *device;
	int loop;
	size_t i;

	(void)state;
	device = new_device(&loop, 0);
	if (!device)
		skip();
	for (i = 0; i < NR_OF(sound); i++) {
		opt = allow(sound[i].allowed, device);
		put_device(sound[i].lines, device);
		img = accept("x.vmdk", &opt);
		assert_int_equal(img->extents[0].kind, VMDK_KIND_DEVICE);
		assert_string_equal(img->extents[0].path, device);
		vmdk_image_close(img);
	}
	for (i = 0; i < NR_OF(other); i++) {
		opt = allow(other[i].allowed, device);
		put_device(other[i].lines, device);
		refuse("x.vmdk", &opt, -EXDEV, "--allow-device");
	}
	opt = allow("x=@", device);
	put_device(HEAD "RW 8 SPARSE \"x\"\n", device);
	refuse("x.vmdk", &opt, -ENOENT, "cannot be opened");
	allow(NULL, NULL);
	close(loop);
	free(device);
}

/* Two names of one device are one device. */
static void test_aliases(void **state)
{
	struct vmdk_open_options opt = writing;
	char *list[3] = { NULL }, *device;
	struct vmdk_image *img;
	int loop;

	(void)state;
	device = new_device(&loop, 0);
	if (!device)
		skip();
	list[0] = with_device("one=@", device);
	list[1] = with_device("two=@", device);
	opt.allow_devices = list;
	put_device(TYPE("custom") "RDONLY 4 FLAT \"one\" 0\n"
		   "RW 4 FLAT \"two\" 4\n", device);
	img = accept("x.vmdk", &opt);
	assert_int_equal(img->extents[0].fd, img->extents[1].fd);
	assert_int_equal(img->extents[1].access, VMDK_ACCESS_RW);
	vmdk_image_close(img);
	put_device(TYPE("custom") "RW 4 FLAT \"one\" 0\nRW 4 FLAT \"two\" 3\n",
		   device);
	refuse("x.vmdk", &opt, -EINVAL, "same part of a device");
	free(list[0]);
	free(list[1]);
	close(loop);
	free(device);
}

static void test_read_only_device(void **state)
{
	struct vmdk_open_options opt;
	struct vmdk_image *img;
	char *device;
	int loop;

	(void)state;
	device = new_device(&loop, LO_FLAGS_READ_ONLY);
	if (!device)
		skip();
	opt = allow("@", device);
	put_flat("pt", 4);
	put_device(TYPE("partitionedDevice") "RW 4 FLAT \"pt\" 0\n"
		   "RW 8 FLAT \"@\" 4\n", device);
	img = accept("x.vmdk", &opt);
	assert_non_null(strstr(img->read_only, "is read-only"));
	assert_int_equal(img->extents[0].access, VMDK_ACCESS_RDONLY);
	assert_int_equal(img->extents[1].access, VMDK_ACCESS_RDONLY);
	assert_int_equal(fcntl(img->extents[1].fd, F_GETFL) & O_ACCMODE,
			 O_RDONLY);
	vmdk_image_close(img);
	/* that a part which is declared so cannot be written keeps none from it */
	put_device(TYPE("partitionedDevice") "RW 4 FLAT \"pt\" 0\n"
		   "RDONLY 8 FLAT \"@\" 4\n", device);
	img = accept("x.vmdk", &opt);
	assert_null(img->read_only);
	assert_int_equal(img->extents[0].access, VMDK_ACCESS_RW);
	vmdk_image_close(img);
	allow(NULL, NULL);
	close(loop);
	free(device);
}

/* For info, a device is told from a file by its name, and never opened. */
static void test_info(void **state)
{
	static const char * const lines[] = {
		"RW 8 FLAT \"/dev/sda\" 0\n",
		"RW 8 FLAT \"\\\\.\\PhysicalDrive3\" 0\n",
		"RW 8 VMFSRDM \"s-rdm.vmdk\"\n",
		"RW 8 VMFSRAW \"/vmfs/devices/disks/x\"\n",
	};
	struct vmdk_image *img;
	size_t i;

	(void)state;
	for (i = 0; i < NR_OF(lines); i++) {
		char *text;

		assert_true(asprintf(&text, HEAD "%s", lines[i]) > 0);
		put_text("x.vmdk", text);
		free(text);
		img = accept("x.vmdk", &info);
		assert_int_equal(img->extents[0].kind, VMDK_KIND_DEVICE);
		assert_int_equal(img->extents[0].fd, -1);
		assert_non_null(strstr(img->extents[0].open_error,
				       "--allow-device"));
		vmdk_image_close(img);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_option),
		TEST(test_parts),
		TEST(test_bounds),
		TEST(test_mapped),
		TEST(test_aliases),
		TEST(test_read_only_device),
		TEST(test_info),
	};

	return cmocka_run_group_tests(tests, note_open_fds, check_open_fds);
}
