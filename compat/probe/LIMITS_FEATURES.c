// SPDX-License-Identifier: GPL-2.0
/* 6.11, 1122c0c1cc71: the write cache is a feature flag of the limits. */
#include <linux/blkdev.h>

unsigned int probe(struct queue_limits *lim);
unsigned int probe(struct queue_limits *lim)
{
	return lim->features & BLK_FEAT_WRITE_CACHE;
}
