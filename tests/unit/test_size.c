// SPDX-License-Identifier: GPL-2.0
/*
 * Sizes as users give them.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "vmdkctl.h"

static void test_sizes(void **state)
{
	static const struct {
		const char *arg;
		uint64_t size;
	} sizes[] = {
		{ "0", 0 },
		{ "512", 512 },
		{ "1k", 1024 },
		{ "1K", 1024 },
		{ "2KiB", 2048 },
		{ "3kb", 3000 },
		{ "1G", 1ULL << 30 },
		{ "7E", 7ULL << 60 },
		{ "9223372036854775807", INT64_MAX },
	};
	uint64_t size;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(size_parse(sizes[i].arg, &size), 0);
		assert_int_equal(size, sizes[i].size);
	}
}

static void test_no_sizes(void **state)
{
	static const char * const words[] = {
		"", " ", "x", "K", "-1", "+1", " 1", "1 ", "1 B", "1 iB", "1B",
		"1Ki", "1KK", "1 K", "1x", "1\x0b", "1.5G", "8E", "16E",
		"9223372036854775808", "99999999999999999999",
	};
	uint64_t size;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (size_parse(words[i], &size) != -EINVAL)
			fail_msg("\"%s\" is a size", words[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_no_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
