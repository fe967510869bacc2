// SPDX-License-Identifier: GPL-2.0
/*
 * Which well-formed descriptors make sense, and which of them are supported.
 *
 * createType repeats what the extent lines say.  Where the two differ, readers
 * differ too in which one they believe, so the image is refused.
 */
#include <errno.h>
#include <stddef.h>
#include <strings.h>

#include "path.h"
#include "policy.h"

#define VERSION_MAX	3

#define TYPE(t)		(1U << VMDK_TYPE_##t)
#define ALL_TYPES	(~0U)
#define SPARSE_TYPES	(TYPE(SPARSE) | TYPE(ZERO))
#define FLAT_TYPES	(TYPE(FLAT) | TYPE(VMFS) | TYPE(ZERO))
#define COWD_TYPES	(TYPE(VMFSSPARSE) | TYPE(ZERO))
#define SESPARSE_TYPES	(TYPE(SESPARSE) | TYPE(ZERO))
#define DEVICE_TYPES	(FLAT_TYPES | TYPE(VMFSRAW) | TYPE(VMFSRDM))

/* The technote's spelling of a name is not always the one in real files. */
static const struct create_type {
	const char *name;
	unsigned int types;	/* that its extents may have */
} create_types[] = {
	{ "monolithicSparse", SPARSE_TYPES },
	{ "monolithicFlat", FLAT_TYPES },
	{ "twoGbMaxExtentSparse", SPARSE_TYPES },
	{ "2GbMaxExtentSparse", SPARSE_TYPES },
	{ "twoGbMaxExtentFlat", FLAT_TYPES },
	{ "2GbMaxExtentFlat", FLAT_TYPES },
	{ "vmfs", FLAT_TYPES },
	{ "vmfsThin", FLAT_TYPES },
	{ "vmfsThick", FLAT_TYPES },
	{ "vmfsPreallocated", FLAT_TYPES },
	{ "vmfsEagerZeroedThick", FLAT_TYPES },
	{ "custom", SPARSE_TYPES | FLAT_TYPES },
	{ "streamOptimized", SPARSE_TYPES },
	{ "vmfsSparse", COWD_TYPES },
	{ "seSparse", SESPARSE_TYPES },
	{ "vmfsSeSparse", SESPARSE_TYPES },
	{ "vmfsRaw", DEVICE_TYPES },
	{ "vmfsRDM", DEVICE_TYPES },
	{ "vmfsRDMP", DEVICE_TYPES },
	{ "vmfsRawDeviceMap", DEVICE_TYPES },
	{ "vmfsPassthroughRawDeviceMap", DEVICE_TYPES },
	{ "fullDevice", DEVICE_TYPES },
	{ "partitionedDevice", DEVICE_TYPES },
	{ NULL, ALL_TYPES },
};

/* The entry of that name, or the one at the end. */
static const struct create_type *find_type(const char *name)
{
	const struct create_type *type = create_types;

	while (type->name && strcasecmp(type->name, name))
		type++;
	return type;
}

/**
 * vmdk_policy_consistent - does createType match the extents?
 * @desc: the descriptor
 * @path: its file, for the message
 * @why: receives the reason of a refusal
 *
 * Return: 0 or -EINVAL.
 */
int vmdk_policy_consistent(const struct vmdk_descriptor *desc,
			   const char *path, char **why)
{
	const struct create_type *type;
	size_t i;

	if (!desc->create_type)
		return 0;
	type = find_type(desc->create_type);
	for (i = 0; i < desc->nr_extents; i++) {
		const struct vmdk_desc_extent *ext = &desc->extents[i];

		if (!(type->types & (1U << ext->type)))
			return vmdk_refuse(why, -EINVAL,
					   "%s: descriptor at line %u: a %s extent does not match createType \"%s\"",
					   path, ext->line,
					   vmdk_extent_type_name(ext->type),
					   desc->create_type);
	}
	return 0;
}

/**
 * vmdk_policy_supported - can this disk be had, and written?
 * @desc: the descriptor
 * @write: it is to be written
 * @path: its file, for the message
 * @why: receives the reason of a refusal
 *
 * Return: 0; -EOPNOTSUPP for what is valid but not supported; -EINVAL for what
 * must not be written.
 */
int vmdk_policy_supported(const struct vmdk_descriptor *desc, bool write,
			  const char *path, char **why)
{
	if (desc->version > VERSION_MAX)
		return vmdk_refuse(why, -EOPNOTSUPP,
				   "%s: descriptor version %u is not supported, only 1 to %d",
				   path, desc->version, VERSION_MAX);
	if (desc->change_track && write)
		return vmdk_refuse(why, -EINVAL,
				   "%s: changeTrackPath \"%s\": writing would make the change tracking file stale; attach with --read-only",
				   path, desc->change_track);
	if (desc->create_type && !find_type(desc->create_type)->name)
		return vmdk_refuse(why, -EOPNOTSUPP,
				   "%s: createType \"%s\": this type is unknown and not supported",
				   path, desc->create_type);
	return 0;
}
