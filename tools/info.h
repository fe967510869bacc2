/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vmdkctl info of an OVA: info_ova.c, for info.c.
 */
#ifndef VMDK_INFO_H
#define VMDK_INFO_H

#include "vmdkctl.h"

bool info_is_ova(const char *path);
int info_ova(const char *path, const struct table_options *opt);
void info_ova_columns(void);

#endif
