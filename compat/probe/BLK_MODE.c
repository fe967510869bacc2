// SPDX-License-Identifier: GPL-2.0
/* 6.5, d32e2bf83791, ae220766d87c: ->open takes a disk and a blk_mode_t. */
#include <linux/blkdev.h>

int probe(const struct block_device_operations *ops, struct gendisk *disk,
	  blk_mode_t mode);
int probe(const struct block_device_operations *ops, struct gendisk *disk,
	  blk_mode_t mode)
{
	ops->release(disk);
	return ops->open(disk, mode);
}
