/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A chain: an image, its parent, the parent of that, and so on, each opened and
 * locked; the child comes first.  Parents are only ever read.
 */
#ifndef VMDK_CHAIN_H
#define VMDK_CHAIN_H

#include "image.h"

struct vmdk_chain_options {
	struct vmdk_open_options open;	/* how the top is opened */
	bool single_link;	/* the top alone, whatever it says of parents */
	bool force_cid;		/* a parent may have another content id */
	bool partial;		/* what keeps a parent out goes to fault */
};

/**
 * struct vmdk_chain - images, the child first
 * @links: @nr of them
 * @differs: bit for each link: its parentCID is not the CID of the next one
 * @fault: why it ends there, though there should be a parent; or NULL
 */
struct vmdk_chain {
	struct vmdk_image *links[VMDK_MAX_LINKS];
	size_t nr;
	uint64_t differs;
	char *fault;
};

bool vmdk_has_parent(const struct vmdk_image *image);
uint32_t vmdk_content_id(const struct vmdk_image *image);
bool vmdk_same_file(const struct vmdk_image *a, const struct vmdk_image *b);
bool vmdk_is_child_of(struct vmdk_image *child, const struct vmdk_image *parent,
		      const struct vmdk_chain_options *opt);
bool vmdk_chain_differs(const struct vmdk_chain *chain, size_t link);
int vmdk_chain_open(const char *path, const struct vmdk_chain_options *opt,
		    struct vmdk_chain *chain, char **why);
int vmdk_chain_has_room(const struct vmdk_chain *chain, char **why);
int vmdk_chain_put_top(struct vmdk_chain *chain, struct vmdk_image *child,
		       const struct vmdk_chain_options *opt, char **why);
void vmdk_chain_close(struct vmdk_chain *chain);

#endif
