// SPDX-License-Identifier: GPL-2.0
/* 6.14, 9377b95cda73: merging is implied, the flag is gone. */
#include <linux/blk-mq.h>

unsigned int probe(void);
unsigned int probe(void)
{
	return BLK_MQ_F_SHOULD_MERGE;
}
