/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What images say goes to terminals, and must not control them.
 */
#ifndef VMDK_PRINTABLE_H
#define VMDK_PRINTABLE_H

#include <stdbool.h>

/* U+0080 to U+009F, in UTF-8 after a C2: U+009B is what ESC [ is. */
static inline bool vmdk_is_c1(char c)
{
	return ((unsigned char)c & 0xe0) == 0x80;
}

void vmdk_make_printable(char *text);

#endif
