/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A writable child over a chain that is only read.
 */
#ifndef VMDK_OVERLAY_H
#define VMDK_OVERLAY_H

#include "chain.h"

int vmdk_overlay_open(const char *delta, const char *base,
		      const struct vmdk_chain_options *opt,
		      struct vmdk_chain *chain, char **why);

#endif
