// SPDX-License-Identifier: GPL-2.0
/*
 * Verbs as a whole: what they print, and how often they do what takes long.
 */
#define main vmdkctl_main
#include "vmdkctl.c"
#undef main

#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "check.h"
#include "ova.h"
#include "scaffold.h"

static char output[65536];	/* of the last verb, both streams */

/* ------------------------------------------------------- what is counted */

static unsigned int reads, checks;
static int check_status;	/* what the check of an extent says */

int __real_vmdk_ova_read(int fd, uint64_t bytes, const char *path,
			 struct vmdk_ova *ova, char **why);
int __wrap_vmdk_ova_read(int fd, uint64_t bytes, const char *path,
			 struct vmdk_ova *ova, char **why);
int __wrap_vmdk_check_extent(const struct vmdk_image_extent *ext,
			     uint64_t max_findings, vmdk_finding_fn fn,
			     void *arg, struct vmdk_check_result *result);

int __wrap_vmdk_ova_read(int fd, uint64_t bytes, const char *path,
			 struct vmdk_ova *ova, char **why)
{
	reads++;
	return __real_vmdk_ova_read(fd, bytes, path, ova, why);
}

int __wrap_vmdk_check_extent(const struct vmdk_image_extent *ext,
			     uint64_t max_findings, vmdk_finding_fn fn,
			     void *arg, struct vmdk_check_result *result)
{
	(void)ext;
	(void)max_findings;
	(void)fn;
	(void)arg;
	checks++;
	result->grains_allocated = 1;
	return check_status;
}

/* ------------------------------------------------------------- scaffold */

static int run(const char *verb, const char *option, const char *file)
{
	char *argv[] = {
		(char *)"vmdkctl", (char *)verb, (char *)option, (char *)file,
		NULL,
	};
	int saved[2] = { dup(1), dup(2) };
	int fd = open(".", O_RDWR | O_TMPFILE, 0600), status;
	ssize_t size;

	assert_true(saved[0] >= 0 && saved[1] >= 0 && fd >= 0);
	fflush(NULL);
	dup2(fd, 1);
	dup2(fd, 2);
	reads = 0;
	checks = 0;
	optind = 0;
	status = run_verb(3, argv + 1);
	fflush(NULL);
	dup2(saved[0], 1);
	dup2(saved[1], 2);
	close(saved[0]);
	close(saved[1]);
	size = pread(fd, output, sizeof(output) - 1, 0);
	output[size > 0 ? size : 0] = '\0';
	close(fd);
	return status;
}

static unsigned int count(const char *words)
{
	unsigned int nr = 0;
	const char *p;

	for (p = output; (p = strstr(p, words)); p++)
		nr++;
	return nr;
}

#define FILE_TAG(id, href)	"<File id='" id "' href='" href "'/>"
#define DISK_TAG(id, ref)	"<Disk diskId='" id "' fileRef='" ref "'/>"

/* Of the disks a.vmdk of 1 MiB, b.vmdk of 2 MiB, and of the descriptor @ovf. */
static void put_ova(const char *ovf)
{
	put_text("x.ovf", ovf);
	put_sparse("a.vmdk", 2048, HEAD "RW 2048 SPARSE \"a\"\n");
	put_sparse("b.vmdk", 4096, HEAD "RW 4096 SPARSE \"b\"\n");
	assert_int_equal(system("split -b 10240 -d -a 9 b.vmdk c."), 0);
	assert_int_equal(system("tar -cf x.ova x.ovf a.vmdk b.vmdk c.0*"), 0);
}

/* ------------------------------------------------------------- an OVA */

static void test_read_once(void **state)
{
	(void)state;
	put_ova("<e>" FILE_TAG("f1", "a.vmdk") FILE_TAG("f2", "b.vmdk")
		"<File id='f3' href='c' chunkSize='10240'/>"
		FILE_TAG("f4", "gone")
		DISK_TAG("d1", "f1") DISK_TAG("d2", "f2") DISK_TAG("d3", "f3")
		DISK_TAG("d4", "f4") "</e>");
	assert_int_equal(run("info", "-bnoCAPACITY", "x.ova"), STATUS_OK);
	assert_int_equal(count("1048576\n"), 1);
	assert_int_equal(count("2097152\n"), 2);
	assert_int_equal(reads, 1);
	assert_int_equal(run("check", "-n", "x.ova"), STATUS_UNSUPPORTED);
	assert_int_equal(checks, 3);
	assert_int_equal(count("x.ova:gone: there is no such member"), 1);
	assert_int_equal(count("3 grains allocated"), 1);
	assert_int_equal(reads, 1);
}

/* Nothing forbids that, but one disk is enough to find what is wrong. */
static void test_check_shared_file_once(void **state)
{
	(void)state;
	put_ova("<e>" FILE_TAG("f1", "a.vmdk") FILE_TAG("f2", "a.vmdk")
		"<File id='f3' href='c' chunkSize='10240'/>"
		FILE_TAG("f4", "c.000000000")
		"<Disk diskId='d0' fileRef='f1' parentRef='d1'/>"
		DISK_TAG("d1", "f1") DISK_TAG("d2", "f2") DISK_TAG("d3", "f1")
		DISK_TAG("d4", "f3") DISK_TAG("d5", "f3") DISK_TAG("d6", "f4")
		"</e>");
	assert_int_equal(run("check", "--disk=d3", "x.ova"), STATUS_OK);
	assert_int_equal(checks, 1);
	run("check", "-n", "x.ova");
	/* a.vmdk, c, and what c begins with; d0 is refused */
	assert_int_equal(checks, 2);
	assert_int_equal(count("c.000000000: "), 1);
	assert_int_equal(count("is a child of another disk"), 1);
	check_status = -EOPNOTSUPP;
	assert_int_equal(run("check", "-n", "x.ova"), STATUS_CORRUPT);
	check_status = 0;
	assert_int_equal(count("a.vmdk: is only checked when extracted"), 1);
}

/* ----------------------------------------------------------------- JSON */

static void expect(const char *text, const char *clean)
{
	struct json_object *object = table_json_string(text);

	assert_string_equal(json_object_get_string(object), clean);
	json_object_put(object);
}

static void test_json_of_any_bytes(void **state)
{
	(void)state;
	expect("", "");
	expect("a\nb", "a\nb");
	expect("\xc3\xa4\xe2\x82\xac", "\xc3\xa4\xe2\x82\xac");
	expect("\xc3", "\\xc3");
	expect("\xe2\x82", "\\xe2\\x82");
	expect("\xff" "a\xe2\x82" "b", "\\xffa\\xe2\\x82b");
}

/* To look at all of it for each byte of it takes minutes. */
static void test_json_of_long_text(void **state)
{
	const size_t size = 8 << 20;
	char *text = malloc(size + 1);

	(void)state;
	assert_non_null(text);
	memset(text, 'a', size);
	text[size] = '\0';
	alarm(60);
	expect(text, text);
	alarm(0);
	free(text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_read_once),
		TEST(test_check_shared_file_once),
		TEST(test_json_of_any_bytes),
		TEST(test_json_of_long_text),
	};

	return cmocka_run_group_tests(tests, note_open_fds, check_open_fds);
}
