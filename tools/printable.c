// SPDX-License-Identifier: GPL-2.0
/*
 * Text for a terminal.  Not iscntrl() and its kin: what they say depends on our
 * locale, and what the terminal does may not.
 */
#include <stddef.h>

#include "printable.h"

/* First bytes of letters in UTF-8, what the second one may be, and how many there are. */
static const struct lead {
	unsigned char first, last, low, high, size;
} leads[] = {
	{ 0x20, 0x7e, 0, 0xff, 1 },
	{ 0xc2, 0xc2, 0xa0, 0xbf, 2 },
	{ 0xc3, 0xdf, 0x80, 0xbf, 2 },
	{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },
	{ 0xe1, 0xec, 0x80, 0xbf, 3 },
	{ 0xed, 0xed, 0x80, 0x9f, 3 },
	{ 0xee, 0xef, 0x80, 0xbf, 3 },
	{ 0xf0, 0xf0, 0x90, 0xbf, 4 },
	{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
	{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
};

static size_t size_by(const struct lead *lead, const unsigned char *s)
{
	size_t n;

	if (s[1] < lead->low || s[1] > lead->high)
		return 0;
	for (n = 2; n < lead->size; n++)
		if ((s[n] & 0xc0) != 0x80)
			return 0;
	return lead->size;
}

/* Bytes of the letter at @s; 0: there is none. */
static size_t letter_size(const unsigned char *s)
{
	size_t i;

	for (i = 0; i < sizeof(leads) / sizeof(*leads); i++)
		if (*s >= leads[i].first && *s <= leads[i].last)
			return size_by(&leads[i], s);
	return 0;
}

static bool controls(const char *s)
{
	unsigned char c = *s;

	return c < 0x20 || c == 0x7f || vmdk_is_c1(*s) ||
	       (c == 0xc2 && vmdk_is_c1(s[1]));
}

/**
 * vmdk_make_printable - replace what controls a terminal by '?'
 * @text: in UTF-8 or any other encoding; letters of UTF-8 stay as they are
 */
void vmdk_make_printable(char *text)
{
	size_t n;

	while (*text) {
		n = letter_size((const unsigned char *)text);
		if (!n && controls(text))
			*text = '?';
		text += n ? n : 1;
	}
}
