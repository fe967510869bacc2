// SPDX-License-Identifier: GPL-2.0
/*
 * Manifests: what is a line of one, and what is found of an archive that does
 * not match.
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

#include "manifest.h"
#include "scaffold.h"

/* Of "abc", by FIPS 180-4. */
#define SHA1	"a9993e364706816aba3e25717850c26c9cd0d89d"
#define SHA256	"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define SHA384	"cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed" \
		"8086072ba1e7cc2358baeca134c825a7"
#define UPPER	"CB00753F45A35E8BB5A03D699AC65007272C32AB0EDED1631A8B605A43FF5BED" \
		"8086072BA1E7CC2358BAECA134C825A7"
#define SHA512	"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a" \
		"2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"

/* ------------------------------------------------------------------ lines */

static void test_lines(void **state)
{
	static const char text[] =
		"SHA1(a b)= " SHA1 "\r\n"
		"\n"
		" \t\r\n"
		"  SHA256 (x(1)=).ovf) =\t" SHA256 "  \n"
		"sha2-512(./d/e)=" SHA512 "\n"
		"SHA384(\xc3\xa4)= " UPPER;
	static const struct {
		enum vmdk_sum_kind kind;
		const char *name;
		unsigned int line, first, last;
	} expected[] = {
		{ VMDK_SUM_SHA1, "a b", 1, 0xa9, 0x9d },
		{ VMDK_SUM_SHA256, "x(1)=).ovf", 4, 0xba, 0xad },
		{ VMDK_SUM_SHA512, "./d/e", 5, 0xdd, 0x9f },
		{ VMDK_SUM_SHA384, "\xc3\xa4", 6, 0xcb, 0xa7 },
	};
	struct vmdk_text_fault fault;
	struct vmdk_manifest m;
	size_t i;

	(void)state;
	assert_int_equal(vmdk_manifest_parse(text, strlen(text), &m, &fault), 0);
	assert_int_equal(m.nr, NR_OF(expected));
	for (i = 0; i < m.nr; i++) {
		size_t last = vmdk_sum_bytes(m.lines[i].kind) - 1;

		assert_int_equal(m.lines[i].kind, expected[i].kind);
		assert_string_equal(m.lines[i].name, expected[i].name);
		assert_int_equal(m.lines[i].line, expected[i].line);
		assert_int_equal(m.lines[i].sum[0], expected[i].first);
		assert_int_equal(m.lines[i].sum[last], expected[i].last);
	}
	vmdk_manifest_free(&m);
	assert_int_equal(vmdk_manifest_parse("", 0, &m, &fault), 0);
	assert_int_equal(m.nr, 0);
}

static void refuse_line(const char *text, size_t size, size_t offset,
			const char *words)
{
	static const char first[] = "SHA1(a)= " SHA1 "\n";
	struct vmdk_text_fault fault = { 0 };
	char *line = malloc(50 + size);
	struct vmdk_manifest m;

	assert_non_null(line);
	assert_int_equal(strlen(first), 50);
	memcpy(line, first, 50);
	memcpy(line + 50, text, size);
	assert_int_equal(vmdk_manifest_parse(line, 50 + size, &m, &fault),
			 -EINVAL);
	assert_int_equal(m.nr, 0);
	assert_null(m.lines);
	assert_int_equal(fault.line, 2);
	assert_int_equal(fault.offset, 50 + offset);
	assert_non_null(strstr(fault.text, words));
	free(line);
}

static void test_bad_lines(void **state)
{
	static const struct {
		const char *text;
		size_t offset;
		const char *words;
	} lines[] = {
		{ "x", 0, "not of the form" },
		{ SHA1 "  a", 0, "not of the form" },
		{ "SHA1()= " SHA1, 0, "not of the form" },
		{ "SHA1(a) " SHA1, 0, "not of the form" },
		{ "SHA1(a= " SHA1, 0, "not of the form" },
		{ "SHA1)a(= " SHA1, 0, "not of the form" },
		{ "SHA1 a)= " SHA1, 0, "not of the form" },
		{ "=", 0, "not of the form" },
		{ "(=", 0, "not of the form" },
		{ ")=", 0, "not of the form" },
		{ "MD5(a)= d41d8cd98f00b204e9800998ecf8427e", 0,
		  "sums of kind \"MD5\" are not known" },
		{ "(a)= " SHA1, 0, "sums of kind \"\" are not known" },
		{ "SHA25(a)= " SHA256, 0, "not known" },
		{ "SHA256(a)= " SHA1, 11, "the sum has 40 digits, not 64" },
		{ "SHA1(a)= " SHA1 "0", 9, "the sum has 41 digits, not 40" },
		{ "SHA1(a)=", 8, "the sum has 0 digits" },
		{ "SHA1(a)= a9993e364706816aba3e25717850c26c9cd0d89g", 47,
		  "not hexadecimal" },
		{ "SHA1(a)= a999 e364706816aba3e25717850c26c9cd0d89d", 13,
		  "not hexadecimal" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < NR_OF(lines); i++)
		refuse_line(lines[i].text, strlen(lines[i].text),
			    lines[i].offset, lines[i].words);
	refuse_line("SHA1(a\0b)= " SHA1, 51, 0, "not of the form");
}

static void test_many_lines(void **state)
{
	static const char line[] = "SHA1(a)= " SHA1 "\n";
	const size_t len = sizeof(line) - 1, nr = 16385;
	char *text = malloc(nr * len);
	struct vmdk_text_fault fault;
	struct vmdk_manifest m;
	size_t i;

	(void)state;
	assert_non_null(text);
	for (i = 0; i < nr; i++)
		memcpy(text + i * len, line, len);
	assert_int_equal(vmdk_manifest_parse(text, (nr - 1) * len, &m, &fault),
			 0);
	assert_int_equal(m.nr, nr - 1);
	vmdk_manifest_free(&m);
	assert_int_equal(vmdk_manifest_parse(text, nr * len, &m, &fault),
			 -EINVAL);
	assert_non_null(strstr(fault.text, "too many lines"));
	free(text);
}

/* ---------------------------------------------------------------- archives */

static char found[4096];	/* "SEVERITY NAME TEXT\n" for each finding */

static void keep(const struct vmdk_sum_finding *f, void *arg)
{
	size_t len = strlen(found);

	assert_null(arg);
	assert_int_equal(!f->found, !f->expected);
	if (f->found) {
		assert_int_equal(strlen(f->found), strlen(f->expected));
		assert_string_not_equal(f->found, f->expected);
	}
	snprintf(found + len, sizeof(found) - len, "%d %s %s\n", f->severity,
		 f->name, f->text);
}

/* Verify an archive of the members @names, with @manifest as x.mf. */
static int verify(const char *manifest, const char *names,
		  const struct vmdk_ova_disk *only, char **why)
{
	char *command;
	struct stat st;
	int fd, ret;

	found[0] = '\0';
	*why = NULL;
	if (manifest)
		put_text("x.mf", manifest);
	assert_true(asprintf(&command, "tar --format=ustar -cf x.ova %s",
			     names) > 0);
	assert_int_equal(system(command), 0);
	free(command);
	fd = open("x.ova", O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	ret = vmdk_ova_verify(fd, st.st_size, "x.ova", only, keep, NULL, why);
	close(fd);
	return ret;
}

static void expect(const char *manifest, const char *names, const char *what)
{
	char *why;
	int ret = verify(manifest, names, NULL, &why);

	if (ret || strcmp(found, what))
		print_error("%d, %s, not %s\n", ret, found, what);
	assert_int_equal(ret, 0);
	assert_null(why);
	assert_string_equal(found, what);
}

static void put_members(void)
{
	put_text("a", "abc");
	put_text("b c", "abc");
	put_text("x.ovf", "abc");
	put_text("x.cert", "no certificate");
	put_text("y.mf", "");
}

#define ALL	"SHA1(a)= " SHA1 "\nSHA256(b%20c)= " SHA256 "\nSHA512(x.ovf)= " SHA512
#define NAMES	"x.ovf x.mf x.cert a 'b c'"

static void test_sound_sums(void **state)
{
	(void)state;
	put_members();
	expect(ALL, NAMES, "");
	expect(ALL "\nSHA384(./a)= " SHA384 "\n", NAMES, "");
	expect("SHA1(a)= " SHA1 "\nSHA256(b c)= " SHA256 "\nSHA1(x.ovf)= " SHA1,
	       NAMES, "");
}

static void test_wrong_sums(void **state)
{
	(void)state;
	put_members();
	put_text("a", "abd");
	expect(ALL, NAMES, "3 a the sum is not that of the manifest\n");
	put_text("a", "abc\n");
	expect(ALL "\nSHA384(a)= " SHA384, NAMES,
	       "3 a the sum is not that of the manifest\n"
	       "3 a the sum is not that of the manifest\n");
	put_text("a", "");
	expect(ALL, NAMES, "3 a the sum is not that of the manifest\n");
}

static void test_lists_that_differ(void **state)
{
	(void)state;
	put_members();
	expect(ALL, "x.ovf x.mf a",
	       "3 b%20c the manifest lists it, but there is no such member\n");
	expect("SHA1(a)= " SHA1 "\nSHA1(x.ovf)= " SHA1, NAMES,
	       "0 b c the manifest does not list it\n");
	expect(ALL "\nSHA1(a)= " SHA256, NAMES,
	       "3 x.mf line 4: the sum has 64 digits, not 40\n");
	expect(ALL "\nSHA1(a)= " SHA1, NAMES, "3 a the manifest lists it twice\n");
	expect(" \n", NAMES, "3 x.mf the manifest is empty\n");
	expect(ALL, "x.ovf x.mf a y.mf", "3 y.mf there is another manifest\n");
	expect(ALL, "x.ovf a",
	       "0  there is no manifest, so that no sums are verified\n");
}

static void test_large_manifest(void **state)
{
	(void)state;
	put_members();
	put_text("x.mf", ALL);
	assert_int_equal(truncate("x.mf", (4 << 20) + 1), 0);
	expect(NULL, NAMES, "3 x.mf has more than 4 MiB\n");
	put_text("x.mf", ALL);
	assert_int_equal(truncate("x.mf", 4 << 20), 0);
	expect(NULL, NAMES,
	       "3 x.mf line 3: this is not of the form SHA256(name)= sum\n");
}

/* Of one disk, its members alone. */
static void test_one_disk(void **state)
{
	static char text[] = "SHA1(a)= " SHA1 "\nSHA256(b c)= " SHA256
			     "\nSHA1(gone)= " SHA1;
	/* x.ovf, x.mf, a, b c: each a header and a block */
	struct vmdk_ova_disk disk = { .offset = 5 * 512, .size = 3 };
	char *why;

	(void)state;
	put_members();
	assert_int_equal(verify(text, "x.ovf x.mf a 'b c'", &disk, &why), 0);
	assert_string_equal(found, "");
	put_text("b c", "abd");
	assert_int_equal(verify(text, "x.ovf x.mf a 'b c'", &disk, &why), 0);
	assert_string_equal(found, "");
	assert_int_equal(vmdk_windows_add(&disk.windows, 5 * 512, 3), 0);
	assert_int_equal(vmdk_windows_add(&disk.windows, 7 * 512, 3), 0);
	assert_int_equal(verify(text, "x.ovf x.mf a 'b c'", &disk, &why), 0);
	assert_string_equal(found, "3 b c the sum is not that of the manifest\n");
	vmdk_windows_free(&disk.windows);
}

static void test_no_archive(void **state)
{
	char *why = NULL;
	int fd;

	(void)state;
	put_flat("x.ova", 4);
	fd = open("x.ova", O_RDWR);
	assert_int_equal(pwrite(fd, "x", 1, 0), 1);
	assert_int_equal(vmdk_ova_verify(fd, 2048, "x.ova", NULL, keep, NULL,
					 &why), -EINVAL);
	assert_non_null(strstr(why, "x.ova: tar header at byte 0"));
	free(why);
	close(fd);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_lines),
		TEST(test_bad_lines),
		TEST(test_many_lines),
		TEST(test_sound_sums),
		TEST(test_wrong_sums),
		TEST(test_lists_that_differ),
		TEST(test_large_manifest),
		TEST(test_one_disk),
		TEST(test_no_archive),
	};

	return cmocka_run_group_tests(tests, note_open_fds, check_open_fds);
}
