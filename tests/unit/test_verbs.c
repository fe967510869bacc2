// SPDX-License-Identifier: GPL-2.0
/*
 * Verbs as a whole.
 */
#define main vmdkctl_main
#include "vmdkctl.c"
#undef main

#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "scaffold.h"

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
		TEST(test_json_of_any_bytes),
		TEST(test_json_of_long_text),
	};

	return cmocka_run_group_tests(tests, note_open_fds, check_open_fds);
}
