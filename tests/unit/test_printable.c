// SPDX-License-Identifier: GPL-2.0
/*
 * What gets through to a terminal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "descriptor.h"
#include "path.h"
#include "printable.h"
#include "scaffold.h"

static const struct {
	const char *text, *expected;
} texts[] = {
	{ "", "" },
	{ "plain ~", "plain ~" },
	{ "a\tb\nc\x1b[2J\x7f", "a?b?c?[2J?" },
	/* CSI, and the first and last of its kind */
	{ "\xc2\x9b" "2J", "??2J" },
	{ "\xc2\x80\xc2\x9f\xc2\xa0", "????\xc2\xa0" },
	/* the same bytes alone, and as parts of letters */
	{ "\x80\x9b\x9f" "a", "???a" },
	{ "\xc3\x9b\xc3\x84 \xe2\x82\x9b \xf0\x9f\x92\xbe",
	  "\xc3\x9b\xc3\x84 \xe2\x82\x9b \xf0\x9f\x92\xbe" },
	{ "\xed\x9f\xbf \xef\xbf\xbd \xf4\x8f\xbf\xbf",
	  "\xed\x9f\xbf \xef\xbf\xbd \xf4\x8f\xbf\xbf" },
	/* letters that are not whole */
	{ "\xe2\x9b", "\xe2?" },
	{ "\xe2\x82[\x9b", "\xe2?[?" },
	{ "\xf0\x9f\x9b", "\xf0??" },
	{ "\xc2", "\xc2" },
	{ "\xc3\xc2\x9b", "\xc3??" },
	/* too many bytes for what they say; surrogates; above the last letter */
	{ "\xe0\x82\x9b", "\xe0??" },
	{ "\xf0\x80\x82\x9b", "\xf0???" },
	{ "\xed\xa0\x9b", "\xed\xa0?" },
	{ "\xf4\x90\x80\x9b", "\xf4???" },
	/* ISO 8859-1 */
	{ "\xe4\xf6\xfc.vmdk", "\xe4\xf6\xfc.vmdk" },
};

static void test_texts(void **state)
{
	char text[64];
	size_t i;

	(void)state;
	for (i = 0; i < NR_OF(texts); i++) {
		snprintf(text, sizeof(text), "%s", texts[i].text);
		vmdk_make_printable(text);
		assert_string_equal(text, texts[i].expected);
	}
}

/* Messages about files, and about lines of a descriptor. */
static void test_messages(void **state)
{
	static const char text[] = HEAD "R\xc2\x9b" "31m 8 ZERO\n";
	struct vmdk_descriptor desc;
	struct vmdk_text_fault fault;
	char *why;

	(void)state;
	vmdk_refuse(&why, -1, "%s: no", "\xc2\x9b" "2J\xc3\x9b");
	assert_string_equal(why, "??2J\xc3\x9b: no");
	free(why);
	assert_int_not_equal(vmdk_descriptor_parse(text, strlen(text), &desc,
						   &fault), 0);
	assert_non_null(strstr(fault.text, "\"R??31m\""));
	vmdk_descriptor_free(&desc);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
