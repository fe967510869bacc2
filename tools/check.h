/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The rules of `vmdkctl check`; the attach of an unclean image runs the same.
 */
#ifndef VMDK_CHECK_H
#define VMDK_CHECK_H

#include <stdint.h>

#include "vmdk_format.h"

enum vmdk_severity {
	VMDK_CHECK_NOTE,	/* unclean flag, file longer than needed */
	VMDK_CHECK_LEAK,	/* data between grains that nothing points to */
	VMDK_CHECK_BENIGN,	/* what an interrupted commit leaves: 0 against g */
	VMDK_CHECK_CORRUPT,
};

struct vmdk_finding {
	enum vmdk_severity severity;
	const char *structure;	/* "header", "grain directory", "grain table 7", ... */
	uint64_t offset;	/* byte in the file */
	char found[64], expected[64];
	char text[160];
};

struct vmdk_check_result {
	uint64_t grains_allocated, grains_zeroed, grains_leaked;
	uint64_t leaked_bytes;
	uint64_t notes, leaks, benign, corrupt;
	uint64_t grains_free;	/* unused as well, but holes of the file */
	uint64_t tail_bytes;	/* behind all that is used */
};

typedef void (*vmdk_finding_fn)(const struct vmdk_finding *finding, void *arg);

/*
 * Check the hosted sparse extent in @fd.  Calls @fn for each finding (at most
 * @max_findings of each severity; all are counted).  Returns 0 when the check
 * ran, whatever it found; -errno when it could not run.
 */
int vmdk_check_sparse(int fd, uint64_t max_findings, vmdk_finding_fn fn,
		      void *arg, struct vmdk_check_result *result);

/* The same for a COWD extent. */
int vmdk_check_cowd(int fd, uint64_t max_findings, vmdk_finding_fn fn,
		    void *arg, struct vmdk_check_result *result);

struct vmdk_part;

/* The same for a compressed one, wherever it is; inflates all grains. */
int vmdk_check_stream(const struct vmdk_part *part, uint64_t max_findings,
		      vmdk_finding_fn fn, void *arg,
		      struct vmdk_check_result *result);

/* The same for a seSparse one: headers, directory, tables. */
int vmdk_check_sesparse(int fd, uint64_t max_findings, vmdk_finding_fn fn,
			void *arg, struct vmdk_check_result *result);

struct vmdk_image_extent;

/*
 * Whichever of these is for the extent.  -EOPNOTSUPP: there is nothing to check
 * in a flat one; a member of an archive is only checked when it is compressed.
 */
int vmdk_check_extent(const struct vmdk_image_extent *ext,
		      uint64_t max_findings, vmdk_finding_fn fn, void *arg,
		      struct vmdk_check_result *result);

/*
 * Make both copies of every table alike after an interrupted commit: where one
 * has 0 and the other a valid grain, both get the grain.  Only to be called
 * when vmdk_check_sparse() found nothing corrupt.  Durable on return.
 */
int vmdk_even_out(int fd, uint64_t *entries_changed);

#endif
