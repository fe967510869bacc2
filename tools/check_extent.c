// SPDX-License-Identifier: GPL-2.0
/*
 * Which check is for which kind of extent.
 */
#include <errno.h>

#include "check.h"
#include "image.h"

/**
 * vmdk_check_extent - check an extent of an image
 * @ext: the extent, open
 * @max_findings: report at most as many of each severity
 * @fn: called for each finding, or NULL to count only
 * @arg: for @fn
 * @result: counters, set whenever 0 is returned
 *
 * Return: 0 when the check ran, whatever it found; -EOPNOTSUPP for an extent
 * without tables, and for an uncompressed one in an archive; -errno when the
 * file could not be read.
 */
int vmdk_check_extent(const struct vmdk_image_extent *ext,
		      uint64_t max_findings, vmdk_finding_fn fn, void *arg,
		      struct vmdk_check_result *result)
{
	bool compressed = ext->geo.flags & VMDK_FLAG_COMPRESSED;
	const struct vmdk_part part = {
		.fd = ext->fd, .windows = ext->windows, .base = ext->offset,
		.bytes = ext->file_bytes,
	};

	if (ext->kind == VMDK_KIND_SPARSE && compressed)
		return vmdk_check_stream(&part, max_findings, fn, arg, result);
	if (ext->offset || ext->windows)
		return -EOPNOTSUPP;
	switch (ext->kind) {
	case VMDK_KIND_SPARSE:
		return vmdk_check_sparse(ext->fd, max_findings, fn, arg, result);
	case VMDK_KIND_COWD:
		return vmdk_check_cowd(ext->fd, max_findings, fn, arg, result);
	case VMDK_KIND_SESPARSE:
		return vmdk_check_sesparse(ext->fd, max_findings, fn, arg,
					   result);
	default:
		return -EOPNOTSUPP;
	}
}
