/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The manifest of an OVA: a check sum of each member.
 */
#ifndef VMDK_MANIFEST_H
#define VMDK_MANIFEST_H

#include <stddef.h>
#include <stdint.h>

#include "check.h"
#include "descriptor.h"
#include "ova.h"

#define VMDK_MANIFEST_BYTES_MAX	(4U << 20)
#define VMDK_SUM_BYTES_MAX	64

enum vmdk_sum_kind {
	VMDK_SUM_SHA1, VMDK_SUM_SHA256, VMDK_SUM_SHA384, VMDK_SUM_SHA512,
	VMDK_SUM_KINDS
};

struct vmdk_manifest_line {
	enum vmdk_sum_kind kind;
	char *name;		/* as it is written, not empty */
	uint8_t sum[VMDK_SUM_BYTES_MAX];
	unsigned int line;	/* from 1 on */
};

struct vmdk_manifest {
	struct vmdk_manifest_line *lines;
	size_t nr;
};

size_t vmdk_sum_bytes(enum vmdk_sum_kind kind);
int vmdk_manifest_parse(const char *text, size_t size,
			struct vmdk_manifest *manifest,
			struct vmdk_text_fault *fault);
void vmdk_manifest_free(struct vmdk_manifest *manifest);

/**
 * struct vmdk_sum_finding - what is found of a member
 * @severity: how bad it is
 * @name: of the member
 * @offset: byte of the archive at which it begins; 0: it is not there
 * @found: the sum that it has, or NULL
 * @expected: the sum of the manifest, or NULL
 * @text: what is wrong
 */
struct vmdk_sum_finding {
	enum vmdk_severity severity;
	const char *name;
	uint64_t offset;
	const char *found, *expected;
	const char *text;
};

typedef void (*vmdk_sum_fn)(const struct vmdk_sum_finding *finding, void *arg);

int vmdk_ova_verify(int fd, uint64_t bytes, const char *path,
		    const struct vmdk_ova_disk *only, vmdk_sum_fn fn, void *arg,
		    char **why);

#endif
