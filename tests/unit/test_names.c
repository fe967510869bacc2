// SPDX-License-Identifier: GPL-2.0
/*
 * Which files are reached through the names in a hostile descriptor: classes N1
 * and N2, encodings, --allow-path and --allow-device.
 */
#define _GNU_SOURCE	/* asprintf */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "scaffold.h"

static void refuse_name(const char *name, int ret, const char *words)
{
	char *text;

	assert_true(asprintf(&text, HEAD "RW 1 FLAT \"%s\" 0\n", name) > 0);
	put_text("x.vmdk", text);
	free(text);
	refuse("x.vmdk", &reading, ret, words);
	assert_memory_equal(message, "vmdkctl: x.vmdk: descriptor at line 5: ",
			    39);
	refuse("x.vmdk", &writing, ret, words);
}

static void test_names(void **state)
{
	char *name;

	put_flat("f", 8);
	put_flat("C:f", 8);
	put_flat("C:\\vm\\f", 8);
	put_flat("[ds] f", 8);
	assert_int_equal(mkdir("sub", 0755), 0);
	put_flat("sub/f", 8);
	assert_int_equal(symlink("f", "link"), 0);
	assert_int_equal(symlink("/etc/shadow", "shadow"), 0);
	assert_int_equal(symlink("sub", "sublink"), 0);
	assert_int_equal(mkfifo("fifo", 0644), 0);

	alarm(20);
	refuse_name("/etc/shadow", -EXDEV, "is an absolute path");
	refuse_name("//etc/shadow", -EXDEV, "is an absolute path");
	refuse_name("/vmfs/volumes/1/f", -EXDEV, "is an absolute path");
	refuse_name("/proc/self/mem", -EXDEV, "is an absolute path");
	refuse_name("/proc/self/fd/0", -EXDEV, "is an absolute path");
	refuse_name("/dev/sda", -EXDEV, "is a device");
	refuse_name("/dev/vmdk0", -EXDEV, "is a device");
	refuse_name("../f", -EXDEV, "leads out");
	refuse_name("..", -EXDEV, "leads out");
	refuse_name("sub/../f", -EXDEV, "leads out");
	refuse_name("sub/..", -EXDEV, "leads out");
	refuse_name("sub/../../etc/shadow", -EXDEV, "leads out");
	refuse_name("\\\\.\\PhysicalDrive0", -EXDEV, "is a device of Windows");
	refuse_name("C:\\vm\\f", -EXDEV, "is a Windows path");
	refuse_name("C:f", -EXDEV, "is a Windows path");
	refuse_name("sub\\f", -EXDEV, "is a Windows path");
	refuse_name("[ds] f", -EXDEV, "is a path on a datastore");
	refuse_name("link", -ELOOP, "symbolic link");
	refuse_name("shadow", -ELOOP, "symbolic link");
	refuse_name("sublink/f", -ELOOP, "symbolic link");
	refuse_name("fifo", -ENODEV, "is not a regular file");
	refuse_name("sub", -EISDIR, "is a directory");
	refuse_name(".", -EISDIR, "is a directory");
	refuse_name("gone", -ENOENT, "cannot be opened");
	refuse_name("f/g", -ENOTDIR, "cannot be opened");
	refuse_name("x.vmdk", -EINVAL, "the extent is the descriptor itself");
	refuse_name("./x.vmdk", -EINVAL, "the extent is the descriptor itself");
	assert_true(asprintf(&name, "%s/f", (char *)*state) > 0);
	refuse_name(name, -EXDEV, "is an absolute path");
	free(name);
	alarm(0);
}

static void test_harmless_names(void **state)
{
	static const char * const names[] = {
		"f", "./f", "sub/f", "sub//./f", "..f", "f..", "[ds]f", "ab:c",
		"...", "hard", " f ", "\xff\xfe", "hash#", "a=b",
	};
	char text[256];
	size_t i;

	(void)state;
	put_flat("f", 8);
	assert_int_equal(mkdir("sub", 0755), 0);
	put_flat("sub/f", 8);
	put_flat("..f", 8);
	put_flat("f..", 8);
	put_flat("...", 8);
	put_flat(" f ", 8);
	put_flat("hash#", 8);
	put_flat("a=b", 8);
	put_flat("[ds]f", 8);
	put_flat("ab:c", 8);
	put_flat("\xff\xfe", 8);
	assert_int_equal(link("f", "hard"), 0);
	for (i = 0; i < NR_OF(names); i++) {
		snprintf(text, sizeof(text), HEAD "RW 8 FLAT \"%s\" 0\n", names[i]);
		put_text("x.vmdk", text);
		vmdk_image_close(accept("x.vmdk", &writing));
	}
}

static void test_allow_path(void **state)
{
	char *folder = *state, *vm, *link, *text;
	char nowhere[] = "/nowhere", store[] = "store";
	char *allow[3] = { nowhere };
	struct vmdk_open_options opt = { .write = true, .allow_paths = allow };
	struct vmdk_image *img;

	assert_true(asprintf(&vm, "%s/store/", folder) > 0);
	assert_true(asprintf(&link, "%s/link", folder) > 0);
	assert_int_equal(mkdir("store", 0755), 0);
	assert_int_equal(mkdir("store2", 0755), 0);
	assert_int_equal(mkdir("vm", 0755), 0);
	put_flat("store/f", 8);
	put_flat("store2/f", 8);
	assert_int_equal(symlink("f", "store/inner"), 0);
	assert_int_equal(symlink("store", "link"), 0);

	put_text("vm/x.vmdk", HEAD "RW 8 FLAT \"../store/f\" 0\n");
	refuse("vm/x.vmdk", &opt, -EXDEV, "leads out");
	allow[1] = vm;
	img = accept("vm/x.vmdk", &opt);
	assert_non_null(strstr(img->extents[0].path, "/store/f"));
	vmdk_image_close(img);
	allow[1] = store;
	vmdk_image_close(accept("vm/x.vmdk", &opt));
	allow[1] = link;
	vmdk_image_close(accept("vm/x.vmdk", &opt));

	assert_true(asprintf(&text, HEAD "RW 8 FLAT \"%s/link/f\" 0\n", folder) > 0);
	put_text("vm/x.vmdk", text);
	free(text);
	vmdk_image_close(accept("vm/x.vmdk", &opt));
	allow[1] = vm;
	refuse("vm/x.vmdk", &opt, -EXDEV, "is an absolute path");

	put_text("vm/x.vmdk", HEAD "RW 8 FLAT \"../store2/f\" 0\n");
	refuse("vm/x.vmdk", &opt, -EXDEV, "leads out");
	put_text("vm/x.vmdk", HEAD "RW 8 FLAT \"../store/../store2/f\" 0\n");
	refuse("vm/x.vmdk", &opt, -EXDEV, "leads out");
	put_text("vm/x.vmdk", HEAD "RW 8 FLAT \"../store/inner\" 0\n");
	refuse("vm/x.vmdk", &opt, -ELOOP, "symbolic link");
	put_text("vm/x.vmdk", HEAD "RW 8 FLAT \"../store\" 0\n");
	refuse("vm/x.vmdk", &opt, -EXDEV, "leads out");
	put_text("vm/x.vmdk", HEAD "RW 8 FLAT \"C:\\store\\f\" 0\n");
	refuse("vm/x.vmdk", &opt, -EXDEV, "Windows");
	free(vm);
	free(link);
}

static void test_allowed_proc(void **state)
{
	char proc[] = "/proc", shm[] = "/dev/shm";
	char *allow[3] = { proc, shm };
	struct vmdk_open_options opt = { .allow_paths = allow };
	char text[256];

	(void)state;
	snprintf(text, sizeof(text), HEAD "RW 1 FLAT \"/proc/%d/mem\" 0\n",
		 getpid());
	put_text("x.vmdk", text);
	refuse("x.vmdk", &opt, -ENODEV, "is a file of the kernel");
	put_text("x.vmdk", HEAD "RW 1 FLAT \"/proc/self/mem\" 0\n");
	refuse("x.vmdk", &opt, -ELOOP, "symbolic link");
	put_text("x.vmdk", HEAD "RW 1 FLAT \"/dev/shm/no-such-vmdk\" 0\n");
	refuse("x.vmdk", &opt, -ENOENT, "cannot be opened");
}

static void test_allow_device(void **state)
{
	char null[] = "/dev/null", gone[] = "/dev/vmdk-not-there", file[] = "f";
	char *allow[4] = { null, gone, file };
	struct vmdk_open_options opt = { .allow_devices = allow };

	(void)state;
	put_text("x.vmdk", HEAD "RW 1 FLAT \"/dev/null\" 0\n");
	refuse("x.vmdk", &reading, -EXDEV, "--allow-device");
	refuse("x.vmdk", &opt, -EINVAL, "/dev/null: is not a block device");
	put_text("x.vmdk", HEAD "RW 1 FLAT \"/dev/vmdk-not-there\" 0\n");
	refuse("x.vmdk", &opt, -ENOENT, "cannot be opened");
	/* exactly this name, and for what can be a device only */
	put_text("x.vmdk", HEAD "RW 1 FLAT \"/dev/../dev/null\" 0\n");
	refuse("x.vmdk", &opt, -EXDEV, "--allow-device");
	put_text("x.vmdk", HEAD "RW 1 SPARSE \"/dev/null\"\n");
	refuse("x.vmdk", &opt, -EXDEV, "--allow-device");
	put_flat("f", 1);
	put_text("x.vmdk", HEAD "RW 1 VMFSRDM \"f\"\n");
	refuse("x.vmdk", &opt, -EOPNOTSUPP, "which only ESXi can follow");
}

/* The name points to a file and to a link by turns; the link never wins. */
static void test_swapped_link(void **state)
{
	struct stat secret, st;
	int i, opened = 0;
	pid_t child;

	(void)state;
	assert_int_equal(mkdir("out", 0755), 0);
	assert_int_equal(mkdir("in", 0755), 0);
	put_flat("out/secret", 8);
	assert_int_equal(stat("out/secret", &secret), 0);
	put_text("in/x.vmdk", HEAD "RW 8 FLAT \"f\" 0\n");
	put_flat("in/f", 8);
	child = fork();
	if (!child) {
		for (;;) {
			if (symlink("../out/secret", "in/l") ||
			    rename("in/l", "in/f"))
				_exit(1);
			put_flat("in/r", 8);
			if (rename("in/r", "in/f"))
				_exit(1);
		}
	}
	for (i = 0; i < 1000; i++) {
		struct vmdk_image *img;
		int ret = try_image("in/x.vmdk", &reading, &img);

		if (ret) {
			assert_true(ret == -ELOOP || ret == -EINVAL);
			continue;
		}
		assert_int_equal(fstat(img->extents[0].fd, &st), 0);
		assert_int_not_equal(st.st_ino, secret.st_ino);
		vmdk_image_close(img);
		opened++;
	}
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	assert_true(opened > 0);
}

static void test_encodings(void **state)
{
	static const struct {
		const char *encoding, *name, *file;
	} names[] = {
		{ "windows-1252", "caf\xe9", "caf\xc3\xa9" },
		{ "WINDOWS-1252", "caf\xe9", "caf\xe9" },
		{ "Shift_JIS", "\x95\x5c-flat", "\xe8\xa1\xa8-flat" },
		{ "GBK", "\xc4\xe3", "\xe4\xbd\xa0" },
		{ "Big5", "\xa7\x41", "\xe4\xbd\xa0" },
	};
	char text[256];
	size_t i;

	(void)state;
	for (i = 0; i < NR_OF(names); i++) {
		put_flat(names[i].file, 8);
		snprintf(text, sizeof(text),
			 HEAD "encoding=\"%s\"\nRW 8 FLAT \"%s\" 0\n",
			 names[i].encoding, names[i].name);
		put_text("x.vmdk", text);
		vmdk_image_close(accept("x.vmdk", &writing));
		unlink(names[i].file);
		refuse("x.vmdk", &reading, names[i].name[1] == '\\' ? -EXDEV :
		       -ENOENT, "descriptor at line 6");
	}
	put_flat("caf\xc3\xa9", 8);
	put_text("x.vmdk", HEAD "encoding=\"UTF-7\"\nRW 8 FLAT \"caf\xe9\" 0\n");
	refuse("x.vmdk", &reading, -ENOENT, "cannot be opened");
	put_text("x.vmdk", HEAD "encoding=\"GBK\"\nRW 8 FLAT \"caf\xff\" 0\n");
	refuse("x.vmdk", &reading, -ENOENT, "cannot be opened");
	put_text("x.vmdk", HEAD "encoding=\"Shift_JIS\"\nRW 8 FLAT \"/\x95\x5c\" 0\n");
	refuse("x.vmdk", &reading, -EXDEV, "descriptor at line 6");
}

/* ------------------------------------------------- N2: the same file twice */

static void test_same_file(void **state)
{
	(void)state;
	put_flat("f", 16);
	assert_int_equal(link("f", "g"), 0);
	put_text("x.vmdk", HEAD "RW 8 FLAT \"f\" 0\nRW 1 ZERO\nRW 8 FLAT \"g\" 8\n");
	refuse("x.vmdk", &writing, -EINVAL, "same file as that of line");
	vmdk_image_close(accept("x.vmdk", &reading));
	put_text("x.vmdk", HEAD "RDONLY 8 FLAT \"f\" 0\nRDONLY 1 FLAT \"f\" 0\n"
		 "RW 8 FLAT \"f\" 8\n");
	refuse("x.vmdk", &writing, -EINVAL, "same file as that of line");
	put_flat("h", 1);
	put_text("x.vmdk", HEAD "RDONLY 8 FLAT \"f\" 0\nRDONLY 1 FLAT \"g\" 0\n"
		 "RW 1 FLAT \"h\" 0\n");
	vmdk_image_close(accept("x.vmdk", &writing));
	assert_int_equal(link("x.vmdk", "y"), 0);
	put_text("x.vmdk", HEAD "RW 1 FLAT \"y\" 0\n");
	refuse("x.vmdk", &reading, -EINVAL, "is the descriptor itself");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_names),
		TEST(test_harmless_names),
		TEST(test_allow_path),
		TEST(test_allowed_proc),
		TEST(test_allow_device),
		TEST(test_swapped_link),
		TEST(test_encodings),
		TEST(test_same_file),
	};

	return cmocka_run_group_tests(tests, note_open_fds, check_open_fds);
}
