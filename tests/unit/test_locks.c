// SPDX-License-Identifier: GPL-2.0
/*
 * Locks: between two of ours, against VMware's, and with QEMU's tools for real.
 */
#define _GNU_SOURCE	/* pipe2 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
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

static void test_locks(void **state)
{
	struct vmdk_image *a, *b;

	(void)state;
	put_flat("f", 8);
	put_text("x.vmdk", HEAD "RW 8 FLAT \"f\" 0\n");
	put_text("y.vmdk", HEAD "RW 8 FLAT \"f\" 0\n");
	a = accept("x.vmdk", &writing);
	refuse("x.vmdk", &reading, -EBUSY, "is in use by another program (qemu");
	refuse("x.vmdk", &writing, -EBUSY, "is in use by another program (qemu");
	refuse("y.vmdk", &reading, -EBUSY, "/f: is in use by another program");
	vmdk_image_close(accept("x.vmdk", &info));
	vmdk_image_close(a);
	a = accept("x.vmdk", &reading);
	b = accept("y.vmdk", &reading);
	refuse("x.vmdk", &writing, -EBUSY, "is in use by another program (qemu");
	refuse("y.vmdk", &writing, -EBUSY, "is in use by another program (qemu");
	vmdk_image_close(a);
	vmdk_image_close(b);
	vmdk_image_close(accept("x.vmdk", &writing));
	/* only what is written counts: here the two disks share a base */
	put_flat("g", 8);
	put_text("x.vmdk", HEAD "RDONLY 8 FLAT \"f\" 0\nRW 8 FLAT \"g\" 0\n");
	a = accept("x.vmdk", &writing);
	b = accept("y.vmdk", &reading);
	vmdk_image_close(b);
	vmdk_image_close(a);
}

static void test_vmware_lock(void **state)
{
	(void)state;
	put_flat("f", 8);
	put_text("x.vmdk", HEAD "RW 8 FLAT \"f\" 0\n");
	assert_int_equal(mkdir("x.vmdk.lck", 0755), 0);
	put_text("x.vmdk.lck/readme", "");
	vmdk_image_close(accept("x.vmdk", &writing));
	put_text("x.vmdk.lck/M12345.lck", "");
	refuse("x.vmdk", &writing, -EBUSY, "(x.vmdk.lck/M12345.lck)");
	vmdk_image_close(accept("x.vmdk", &reading));
	assert_int_equal(symlink("x.vmdk", "link"), 0);
	refuse("link", &writing, -EBUSY, "/x.vmdk.lck/M12345.lck)");
	unlink("x.vmdk.lck/M12345.lck");
	vmdk_image_close(accept("link", &writing));
}

/* Start qemu-io on an image; it has it open when it answers. */
static pid_t hold_with_qemu(const char *path, bool writable, int *input)
{
	int in[2], out[2];
	char answer[64];
	pid_t child;

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	child = fork();
	if (!child) {
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		execlp("qemu-io", "qemu-io", "-f", "vmdk", writable ? "-n" : "-r",
		       path, NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	assert_int_equal(write(in[1], "length\n", 7), 7);
	if (read(out[0], answer, sizeof(answer)) <= 0) {
		close(in[1]);
		waitpid(child, NULL, 0);
		child = -1;
	}
	close(out[0]);
	*input = in[1];
	return child;
}

static void let_go(pid_t child, int input)
{
	close(input);
	waitpid(child, NULL, 0);
}

#define CREATE	"qemu-img create -q -f vmdk -o subformat="

static bool has_qemu(void)
{
	return !system("qemu-img --version >/dev/null 2>&1 && qemu-io --version >/dev/null 2>&1");
}

static int run(const char *command, const char *image)
{
	char line[256];

	snprintf(line, sizeof(line), "%s %s >/dev/null 2>&1", command, image);
	return system(line);
}

/* QEMU was first: its writers exclude us, its readers only our writers. */
static void check_theirs(const char *image)
{
	pid_t child;
	int input;

	child = hold_with_qemu(image, true, &input);
	assert_true(child > 0);
	refuse(image, &writing, -EBUSY, "is in use by another");
	refuse(image, &reading, -EBUSY, "is in use by another");
	let_go(child, input);
	child = hold_with_qemu(image, false, &input);
	assert_true(child > 0);
	refuse(image, &writing, -EBUSY, "is in use by another");
	vmdk_image_close(accept(image, &reading));
	let_go(child, input);
}

/* We were first: the same the other way round. */
static void check_ours(const char *image)
{
	struct vmdk_image *img = accept(image, &writing);

	assert_int_not_equal(run("qemu-img info", image), 0);
	assert_int_equal(run("qemu-img info -U", image), 0);
	vmdk_image_close(img);
	img = accept(image, &reading);
	assert_int_equal(run("qemu-img info", image), 0);
	assert_int_not_equal(run("qemu-io -c 'write 0 512'", image), 0);
	vmdk_image_close(img);
	assert_int_equal(run("qemu-io -c 'write 0 512'", image), 0);
}

static void test_qemu_locks(void **state)
{
	(void)state;
	if (!has_qemu())
		skip();
	assert_int_equal(system(CREATE "monolithicSparse sparse.vmdk 1M"), 0);
	assert_int_equal(system(CREATE "monolithicFlat flat.vmdk 1M"), 0);
	check_theirs("sparse.vmdk");
	check_theirs("flat.vmdk");
	check_ours("sparse.vmdk");
	check_ours("flat.vmdk");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_locks),
		TEST(test_vmware_lock),
		TEST(test_qemu_locks),
	};

	return cmocka_run_group_tests(tests, note_open_fds, check_open_fds);
}
