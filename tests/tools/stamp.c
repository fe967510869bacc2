// SPDX-License-Identifier: GPL-2.0
/*
 * Sectors that say whose they are; see stamp.h.
 */
#include <stdio.h>
#include <string.h>

#include "stamp.h"

#define WORDS	(STAMP_SECTOR / sizeof(uint64_t))

/* Odd, so that each sector below 2 TiB has its own; and its inverse. */
#define SCRAMBLE	0x9e3779b1U
#define UNSCRAMBLE	0x0e8b2f51U
/* Keeps sector 0 from being zeros. */
#define SALT		0x5a5a5a5aU
/* All bytes of a sector that could not be read; no stamp is like that. */
#define UNREAD		0xee

static uint32_t mark_of(uint64_t sector)
{
	return ((uint32_t)sector ^ SALT) * SCRAMBLE;
}

static uint32_t sector_of(uint32_t mark)
{
	return (mark * UNSCRAMBLE) ^ SALT;
}

static uint64_t word_of(uint64_t sector, uint64_t i, uint32_t seq)
{
	return (uint64_t)mark_of(sector) << 32 | (i + 1) << 24 |
	       (seq & 0xffffff);
}

void stamp(void *buf, uint64_t first, uint64_t n, uint32_t seq)
{
	uint64_t *word = buf;
	uint64_t sector, i;

	for (sector = first; sector < first + n; sector++)
		for (i = 0; i < WORDS; i++)
			*word++ = word_of(sector, i, seq);
}

bool stamp_is_own(const void *buf, uint64_t sector)
{
	const uint64_t *word = buf;
	unsigned int shift;
	uint64_t i;

	for (i = 0; i < WORDS; i++) {
		uint64_t own = word_of(sector, i, 0);

		if (!word[i] || !((word[i] ^ own) >> 24))
			continue;
		for (shift = 24; shift < 64; shift += 8) {
			uint8_t byte = word[i] >> shift;

			if (byte && byte != (uint8_t)(own >> shift))
				return false;
		}
	}
	return true;
}

bool stamp_is_whole(const void *buf, uint64_t sector)
{
	const uint64_t *word = buf;
	uint64_t i;

	for (i = 0; i < WORDS; i++)
		if (word[i] != word_of(sector, i, word[0]))
			return false;
	return true;
}

const char *stamp_describe(const void *buf, char *text)
{
	const uint64_t *word = buf;
	uint32_t sector = sector_of(word[0] >> 32);
	uint64_t i;

	for (i = 0; i < WORDS && !word[i];)
		i++;
	if (i == WORDS)
		snprintf(text, STAMP_TEXT, "zeros");
	else if (stamp_is_whole(buf, sector))
		snprintf(text, STAMP_TEXT, "write %u of sector %u",
			 (uint32_t)word[0] & 0xffffff, sector);
	else
		snprintf(text, STAMP_TEXT, "a mixture: %016llx %016llx ... %016llx",
			 (unsigned long long)word[0],
			 (unsigned long long)word[1],
			 (unsigned long long)word[WORDS - 1]);
	return text;
}

void stamp_unread(void *buf, uint64_t n)
{
	memset(buf, UNREAD, n * STAMP_SECTOR);
}

bool stamp_is_unread(const void *buf)
{
	const uint8_t *p = buf;

	return p[0] == UNREAD && !memcmp(p, p + 1, STAMP_SECTOR - 1);
}
