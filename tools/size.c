// SPDX-License-Identifier: GPL-2.0
/*
 * Sizes as users give them.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "vmdkctl.h"

/* As losetup has them: K, KiB and the like are powers of 1024, KB of 1000. */
static uint64_t suffix_factor(const char *suffix)
{
	static const char letters[] = "KMGTPE";
	const char *letter = strchr(letters, toupper((unsigned char)*suffix));
	uint64_t base = 1024, factor = 1;
	size_t i;

	if (!*suffix)
		return 1;
	if (!letter)
		return 0;
	if (!strcasecmp(suffix + 1, "B"))
		base = 1000;
	else if (suffix[1] && strcasecmp(suffix + 1, "iB"))
		return 0;
	for (i = 0; i <= (size_t)(letter - letters); i++)
		factor *= base;
	return factor;
}

/**
 * size_parse - read a size
 * @arg: a number of bytes, which a suffix may follow
 * @size: receives it
 *
 * Return: 0, or -EINVAL when @arg is no size.
 */
int size_parse(const char *arg, uint64_t *size)
{
	unsigned long long value;
	uint64_t factor;
	char *end;

	errno = 0;
	value = strtoull(arg, &end, 10);
	factor = suffix_factor(end);
	if (errno || *arg < '0' || *arg > '9' || !factor ||
	    value > INT64_MAX / factor)
		return -EINVAL;
	*size = value * factor;
	return 0;
}
