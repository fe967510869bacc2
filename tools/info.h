/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is known of an OVA: info_ova.c, for the verbs.
 */
#ifndef VMDK_INFO_H
#define VMDK_INFO_H

#include "image.h"
#include "ova.h"
#include "vmdkctl.h"

bool info_is_ova(const char *path);
int info_ova(const char *path, const struct table_options *opt);
void info_ova_columns(void);
const struct vmdk_ova_disk *info_ova_disk_at(const struct vmdk_ova *ova,
					     uint64_t offset);
int info_ova_read(const char *path, struct vmdk_ova *ova, char **why);
int info_ova_open(int fd, const char *path, const struct vmdk_open_options *opt,
		  struct vmdk_image **image);

#endif
