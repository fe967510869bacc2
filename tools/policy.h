/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which well-formed descriptors make sense, and which of them are supported.
 */
#ifndef VMDK_POLICY_H
#define VMDK_POLICY_H

#include <stdbool.h>

#include "descriptor.h"

int vmdk_policy_consistent(const struct vmdk_descriptor *desc,
			   const char *path, char **why);
int vmdk_policy_supported(const struct vmdk_descriptor *desc, bool write,
			  const char *path, char **why);

#endif
