/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vmdkctl attach: what attach.c wants, and request.c asks the kernel for.
 */
#ifndef VMDK_ATTACH_H
#define VMDK_ATTACH_H

#include "chain.h"

struct attach_options {
	struct vmdk_chain_options chain;
	const char *path;
	const char *overlay;	/* a child to be put on top, or NULL */
	bool nonpersistent;	/* one without a name */
	uint32_t flags;
	int32_t index;		/* -1: any */
	uint32_t queues, queue_depth;
	uint64_t cache_size;	/* bytes; 0: the default */
};

/* request.c */
uint64_t attach_features(int control);
int attach_check_chain(const char *path, uint64_t features);
int attach_check_features(uint64_t features, const struct vmdk_chain *chain);
int attach_request(int control, const struct vmdk_chain *chain,
		   const struct attach_options *opt, int32_t *index);
int attach_snapshot(int control, unsigned int disk, const struct vmdk_image *top,
		    struct vmdk_image *child, char **why);
int attach_fold(int control, unsigned int disk, const struct vmdk_chain *chain,
		uint32_t flags);

/* attach.c */
int attach_disk(struct attach_options *opt, int *control, int32_t *index);
int attach_verify(const struct vmdk_image *image, char **reason);

/* live.c */
int live_snapshot(unsigned int disk, const char *new);

#endif
