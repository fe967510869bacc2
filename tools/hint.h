/* SPDX-License-Identifier: GPL-2.0 */
/*
 * parentFileNameHint: the file that a child takes for its parent.
 */
#ifndef VMDK_HINT_H
#define VMDK_HINT_H

#include "path.h"

const char *vmdk_hint_base(const char *hint);
int vmdk_hint_open(const struct vmdk_folder *folder, const char *hint,
		   char **path, struct stat *st, char **why);

#endif
