/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vmdkctl commit: what commit.c and siblings.c share.
 */
#ifndef VMDK_COMMIT_H
#define VMDK_COMMIT_H

#include "chain.h"

struct commit_options {
	struct vmdk_chain_options chain;
	bool progress;
};

int commit_check_children(const struct vmdk_chain *images, size_t parent,
			  const struct vmdk_chain_options *opt);

#endif
