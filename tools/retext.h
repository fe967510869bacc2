/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The text of a descriptor with another capacity in it.
 */
#ifndef VMDK_RETEXT_H
#define VMDK_RETEXT_H

#include "image.h"

int vmdk_retext(const struct vmdk_image *image, uint64_t sectors, char **text,
		size_t *size, char **why);
int vmdk_retext_in_place(const struct vmdk_image *image, const char *text,
			 char **why);
int vmdk_retext_file(const struct vmdk_image *image, const char *text,
		     size_t size, char **why);

#endif
