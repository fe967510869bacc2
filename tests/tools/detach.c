// SPDX-License-Identifier: GPL-2.0
/*
 * Detaching a disk that others have just been told of.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "detach.h"
#include "vmdk_ioctl.h"

#define TRIES	3000

int detach_disk(int control, int index)
{
	struct vmdk_detach detach = { .index = index };
	int i;

	for (i = 0; i < TRIES; i++) {
		if (!ioctl(control, VMDK_DETACH, &detach))
			return 0;
		if (errno != EBUSY)
			return errno;
		usleep(10000);
	}
	puts("a disk stays busy");
	exit(1);
}
