// SPDX-License-Identifier: GPL-2.0
/* 6.14, 1e1a9cecfab3: freezing a queue is a NOIO scope. */
#include <linux/blk-mq.h>

unsigned int probe(struct request_queue *q);
unsigned int probe(struct request_queue *q)
{
	unsigned int flags = blk_mq_freeze_queue(q);

	blk_mq_unfreeze_queue(q, flags);
	return flags;
}
