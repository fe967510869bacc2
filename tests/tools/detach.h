/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DETACH_H
#define DETACH_H

/* Detach disk @index. Whoever was told of it may have it open: but not for long. */
int detach_disk(int control, int index);

#endif
