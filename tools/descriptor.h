/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The descriptor: the text half of a VMDK.  Parsing is pure (bytes in, struct
 * out) and never opens a file; image.h resolves names.
 */
#ifndef VMDK_DESCRIPTOR_H
#define VMDK_DESCRIPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmdk_ioctl.h"

#define VMDK_NO_PARENT		0xffffffffU	/* parentCID of what has no parent */
#define VMDK_CID_IN_LONG	0xfffffffeU	/* CID: see ddb.longContentID */
#define VMDK_CID_DIGITS		8

/* A place in the text, so that a value can be replaced without moving another. */
struct vmdk_span {
	size_t offset;	/* byte in the text */
	size_t length;	/* 0: not there */
};

enum vmdk_extent_type {
	VMDK_TYPE_FLAT, VMDK_TYPE_SPARSE, VMDK_TYPE_ZERO, VMDK_TYPE_VMFS,
	VMDK_TYPE_VMFSSPARSE, VMDK_TYPE_SESPARSE, VMDK_TYPE_VMFSRDM,
	VMDK_TYPE_VMFSRAW, /* and its kin: raw devices */
};

struct vmdk_desc_extent {
	enum vmdk_access access;
	enum vmdk_extent_type type;
	uint64_t sectors;
	struct vmdk_span sectors_span;	/* digits */
	uint64_t offset;	/* sectors; 0 where the line has none */
	char *name;		/* as written, bytes; NULL for ZERO */
	char *device_id;	/* trailing partition uuid / device identifier, or NULL */
	unsigned int line;	/* for messages */
};

struct vmdk_geom {		/* 0: not given */
	uint32_t cylinders, heads, sectors;
};

struct vmdk_descriptor {
	unsigned int version;		/* 1 when the key is missing */
	char *encoding;			/* NULL: not given */
	bool has_cid;
	uint32_t cid, parent_cid;	/* 0xffffffff parent: none */
	struct vmdk_span cid_span;	/* digits only */
	struct vmdk_span long_cid_span;	/* digits of ddb.longContentID */
	char *long_content_id;
	char *create_type;		/* NULL: not given */
	char *parent_hint;		/* parentFileNameHint, or NULL */
	char *change_track;		/* changeTrackPath, or NULL */
	struct vmdk_desc_extent *extents;
	size_t nr_extents;
	uint64_t sectors;		/* sum over the extents */
	struct vmdk_geom physical, bios;
	struct vmdk_span cylinders_span, bios_cylinders_span; /* values */
	char *adapter_type, *uuid, *hw_version, *tools_version;
	char *thin_provisioned;
};

struct vmdk_text_fault {
	unsigned int line;	/* 1-based; 0: the text as a whole */
	size_t offset;		/* byte in the text */
	char text[160];
};

/*
 * Parse @size bytes at @text (not NUL terminated; a NUL ends it).  Returns 0,
 * or -EINVAL with *fault set, or -ENOMEM.
 */
int vmdk_descriptor_parse(const char *text, size_t size,
			  struct vmdk_descriptor *desc,
			  struct vmdk_text_fault *fault);
void vmdk_descriptor_free(struct vmdk_descriptor *desc);
const char *vmdk_extent_type_name(enum vmdk_extent_type type);

#endif
