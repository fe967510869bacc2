/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Locks that other programs see, and locks of theirs that we respect.
 */
#ifndef VMDK_LOCK_H
#define VMDK_LOCK_H

#include <stdbool.h>

int vmdk_lock_image(int fd, bool write, const char *path, char **why);
int vmdk_lock_attached(int fd, bool write, const char *path, char **why);
int vmdk_check_vmware_lock(const char *path, char **why);

#endif
