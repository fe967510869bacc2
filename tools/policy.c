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

#define NO_PARENT	0xffffffffU
#define VERSION_MAX	3

#define TYPE(t)		(1U << VMDK_TYPE_##t)
#define SPARSE_TYPES	(TYPE(SPARSE) | TYPE(ZERO))
#define FLAT_TYPES	(TYPE(FLAT) | TYPE(VMFS) | TYPE(ZERO))

#define COMPRESSED	"compressed grains are not supported yet"
#define COWD		"ESXi sparse extents (COWD) are not supported yet"
#define SESPARSE	"seSparse extents are not supported yet"
#define RAW_DEVICE	"raw devices are not supported yet"

/* The technote's spelling of a name is not always the one in real files. */
static const struct create_type {
	const char *name;
	unsigned int types;	/* that its extents may have */
	const char *unsupported;
} create_types[] = {
	{ "monolithicSparse", SPARSE_TYPES, NULL },
	{ "monolithicFlat", FLAT_TYPES, NULL },
	{ "twoGbMaxExtentSparse", SPARSE_TYPES, NULL },
	{ "2GbMaxExtentSparse", SPARSE_TYPES, NULL },
	{ "twoGbMaxExtentFlat", FLAT_TYPES, NULL },
	{ "2GbMaxExtentFlat", FLAT_TYPES, NULL },
	{ "vmfs", FLAT_TYPES, NULL },
	{ "vmfsThin", FLAT_TYPES, NULL },
	{ "vmfsThick", FLAT_TYPES, NULL },
	{ "vmfsPreallocated", FLAT_TYPES, NULL },
	{ "vmfsEagerZeroedThick", FLAT_TYPES, NULL },
	{ "custom", SPARSE_TYPES | FLAT_TYPES, NULL },
	{ "streamOptimized", 0, COMPRESSED },
	{ "vmfsSparse", 0, COWD },
	{ "seSparse", 0, SESPARSE },
	{ "vmfsSeSparse", 0, SESPARSE },
	{ "vmfsRaw", 0, RAW_DEVICE },
	{ "vmfsRDM", 0, RAW_DEVICE },
	{ "vmfsRDMP", 0, RAW_DEVICE },
	{ "vmfsRawDeviceMap", 0, RAW_DEVICE },
	{ "vmfsPassthroughRawDeviceMap", 0, RAW_DEVICE },
	{ "fullDevice", 0, RAW_DEVICE },
	{ "partitionedDevice", 0, RAW_DEVICE },
	{ NULL, 0, "this type is unknown and not supported" },
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
 * vmdk_policy_extent - is a type of extent supported?
 * @type: the type
 *
 * Return: NULL, or why not.
 */
const char *vmdk_policy_extent(enum vmdk_extent_type type)
{
	switch (type) {
	case VMDK_TYPE_VMFSSPARSE:
		return COWD;
	case VMDK_TYPE_SESPARSE:
		return SESPARSE;
	case VMDK_TYPE_VMFSRDM:
	case VMDK_TYPE_VMFSRAW:
		return RAW_DEVICE;
	default:
		return NULL;
	}
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
	for (i = 0; type->types && i < desc->nr_extents; i++) {
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

static int check_type(const struct vmdk_descriptor *desc, const char *path,
		      char **why)
{
	const struct create_type *type;
	size_t i;

	type = desc->create_type ? find_type(desc->create_type) : NULL;
	if (type && type->unsupported)
		return vmdk_refuse(why, -EOPNOTSUPP, "%s: createType \"%s\": %s",
				   path, desc->create_type, type->unsupported);
	for (i = 0; i < desc->nr_extents; i++) {
		const struct vmdk_desc_extent *ext = &desc->extents[i];
		const char *unsupported = vmdk_policy_extent(ext->type);

		if (unsupported)
			return vmdk_refuse(why, -EOPNOTSUPP,
					   "%s: descriptor at line %u: %s",
					   path, ext->line, unsupported);
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
	if (desc->parent_cid != NO_PARENT || desc->parent_hint)
		return vmdk_refuse(why, -EOPNOTSUPP,
				   "%s: this disk is a child of \"%s\" (parentCID %08x): chains are not supported yet",
				   path,
				   desc->parent_hint ? desc->parent_hint : "",
				   desc->parent_cid);
	if (desc->change_track && write)
		return vmdk_refuse(why, -EINVAL,
				   "%s: changeTrackPath \"%s\": writing would make the change tracking file stale; attach with --read-only",
				   path, desc->change_track);
	return check_type(desc, path, why);
}
