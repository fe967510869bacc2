/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests write: sectors that say whose they are.
 *
 * Each of a sector's 64 words of 8 bytes is made of 4 bytes that are the
 * sector's number, scrambled; one byte, the word's place; and 3 bytes, the
 * number of the write.  A reader that meets a writer may see part of the old
 * bytes and part of the new ones, but never a byte of another sector.
 */
#ifndef STAMP_H
#define STAMP_H

#include <stdbool.h>
#include <stdint.h>

#define STAMP_SECTOR	512
#define STAMP_TEXT	96

/* Fill @n sectors as write @seq of those from @first on. */
void stamp(void *buf, uint64_t first, uint64_t n, uint32_t seq);
/* Every byte is one of @sector's, from whatever write, or zero. */
bool stamp_is_own(const void *buf, uint64_t sector);
/* All of it is from one write of @sector. */
bool stamp_is_whole(const void *buf, uint64_t sector);
/* Says what a sector holds, in @text of STAMP_TEXT bytes; returns it. */
const char *stamp_describe(const void *buf, char *text);

/* Make @n sectors those that stand for what could not be read. */
void stamp_unread(void *buf, uint64_t n);
/* Is this one of them? */
bool stamp_is_unread(const void *buf);

#endif
