// SPDX-License-Identifier: GPL-2.0
/*
 * An OVF descriptor (DSP0243), as far as it is about files and disks.
 *
 * Elements are known by their local name alone: drafts and releases of OVF have
 * different namespaces, and the drafts write <Section xsi:type="...DiskSection">.
 *
 * The text is hostile.  A document type, which no OVF has, is refused where it
 * begins, so that there are no entities.  The text is taken for UTF-8 whatever it
 * declares.
 */
#define _GNU_SOURCE	/* reallocarray */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <expat.h>

#include "ovf.h"
#include "path.h"

#define ENTRIES_MAX	1024	/* files, and disks */
#define VALUE_BYTES_MAX	4095	/* as of a name in the archive */

struct reader {
	XML_Parser xml;
	const char *path;
	struct vmdk_ovf *ovf;
	char **why;
	int error;	/* the first one; nothing is read any more */
};

static int refuse(struct reader *r, const char *text)
{
	return vmdk_refuse(r->why, -EINVAL, "%s: OVF descriptor at line %lu: %s",
			   r->path, XML_GetCurrentLineNumber(r->xml), text);
}

static int no_memory(struct reader *r)
{
	return vmdk_refuse(r->why, -ENOMEM, "%s: %s", r->path,
			   strerror(ENOMEM));
}

/* The value of an attribute that is to be kept. */
static int keep(struct reader *r, char **kept, const char *value)
{
	if (*kept)
		return refuse(r, "an attribute is given twice");
	if (strlen(value) > VALUE_BYTES_MAX)
		return refuse(r, "an attribute has more than 4095 bytes");
	*kept = strdup(value);
	return *kept ? 0 : no_memory(r);
}

static bool is_number(const char *text, uint64_t *value)
{
	*value = 0;
	do {
		if (*text < '0' || *text > '9' || *value >> 59)
			return false;
		*value = *value * 10 + (*text - '0');
	} while (*++text);
	return true;
}

static int keep_chunk_size(struct reader *r, struct vmdk_ovf_file *file,
			   const char *value)
{
	return is_number(value, &file->chunk_size) ? 0 :
	       refuse(r, "chunkSize is not a number");
}

/* It is only needed to tell whether all chunks are there. */
static int keep_size(struct vmdk_ovf_file *file, const char *value)
{
	if (!is_number(value, &file->size))
		file->size = 0;
	return 0;
}

/* The name of an element or attribute without its prefix. */
static const char *local_name(const char *name)
{
	const char *colon = strrchr(name, ':');

	return colon ? colon + 1 : name;
}

static int file_attribute(struct reader *r, struct vmdk_ovf_file *file,
			  const char *name, const char *value)
{
	if (!strcmp(name, "id"))
		return keep(r, &file->id, value);
	if (!strcmp(name, "href"))
		return keep(r, &file->href, value);
	if (!strcmp(name, "compression"))
		return keep(r, &file->compression, value);
	if (!strcmp(name, "chunkSize"))
		return keep_chunk_size(r, file, value);
	if (!strcmp(name, "size"))
		return keep_size(file, value);
	return 0;
}

static int disk_attribute(struct reader *r, struct vmdk_ovf_disk *disk,
			  const char *name, const char *value)
{
	if (!strcmp(name, "diskId"))
		return keep(r, &disk->id, value);
	if (!strcmp(name, "fileRef"))
		return keep(r, &disk->file_ref, value);
	if (!strcmp(name, "parentRef"))
		return keep(r, &disk->parent_ref, value);
	return 0;
}

/* One more entry, zeroed, at the end of @array. */
static int add_entry(struct reader *r, void **array, size_t *nr, size_t size)
{
	char *grown;

	if (*nr == ENTRIES_MAX)
		return refuse(r, "there are too many files or disks");
	grown = reallocarray(*array, *nr + 1, size);
	if (!grown)
		return no_memory(r);
	memset(grown + *nr * size, 0, size);
	*array = grown;
	(*nr)++;
	return 0;
}

/* @attributes: names and values by turns, up to a NULL. */
static int read_file(struct reader *r, const char **attributes)
{
	struct vmdk_ovf *ovf = r->ovf;
	struct vmdk_ovf_file *file;
	int ret;

	ret = add_entry(r, (void **)&ovf->files, &ovf->nr_files, sizeof(*file));
	if (ret)
		return ret;
	file = &ovf->files[ovf->nr_files - 1];
	for (; *attributes && !ret; attributes += 2)
		ret = file_attribute(r, file, local_name(attributes[0]),
				     attributes[1]);
	if (!ret && !file->href)
		return refuse(r, "a File has no href");
	return ret;
}

static int read_disk(struct reader *r, const char **attributes)
{
	struct vmdk_ovf *ovf = r->ovf;
	struct vmdk_ovf_disk *disk;
	int ret;

	ret = add_entry(r, (void **)&ovf->disks, &ovf->nr_disks, sizeof(*disk));
	if (ret)
		return ret;
	disk = &ovf->disks[ovf->nr_disks - 1];
	for (; *attributes && !ret; attributes += 2)
		ret = disk_attribute(r, disk, local_name(attributes[0]),
				     attributes[1]);
	return ret;
}

static void stop(struct reader *r, int error)
{
	r->error = error;
	XML_StopParser(r->xml, XML_FALSE);
}

static void start_element(void *arg, const char *name, const char **attributes)
{
	struct reader *r = arg;
	int ret = 0;

	if (r->error)
		return;
	name = local_name(name);
	if (!strcmp(name, "File"))
		ret = read_file(r, attributes);
	else if (!strcmp(name, "Disk"))
		ret = read_disk(r, attributes);
	if (ret)
		stop(r, ret);
}

static void start_document_type(void *arg, const char *name,
				const char *system_id, const char *public_id,
				int has_internal_subset)
{
	struct reader *r = arg;

	(void)name;
	(void)system_id;
	(void)public_id;
	(void)has_internal_subset;
	stop(r, refuse(r, "it has a document type, which an OVF has not"));
}

static int read_text(struct reader *r, const char *text, size_t size)
{
	XML_SetUserData(r->xml, r);
	XML_SetStartElementHandler(r->xml, start_element);
	XML_SetStartDoctypeDeclHandler(r->xml, start_document_type);
	if (XML_Parse(r->xml, text, size, true) == XML_STATUS_OK || r->error)
		return r->error;
	return XML_GetErrorCode(r->xml) == XML_ERROR_NO_MEMORY ?
	       no_memory(r) : refuse(r, "it is not well-formed XML");
}

/**
 * vmdk_ovf_parse - read an OVF descriptor
 * @text: the bytes
 * @size: how many, up to VMDK_OVF_BYTES_MAX
 * @path: name of the file for the message
 * @ovf: receives files and disks; empty after a failure
 * @why: receives the reason of a refusal
 *
 * Return: 0 or -errno.
 */
int vmdk_ovf_parse(const char *text, size_t size, const char *path,
		   struct vmdk_ovf *ovf, char **why)
{
	struct reader r = { .path = path, .ovf = ovf, .why = why };
	int ret;

	memset(ovf, 0, sizeof(*ovf));
	r.xml = XML_ParserCreate("UTF-8");
	if (!r.xml)
		return no_memory(&r);
	ret = read_text(&r, text, size);
	XML_ParserFree(r.xml);
	if (ret)
		vmdk_ovf_free(ovf);
	return ret;
}

/**
 * vmdk_ovf_free - free what vmdk_ovf_parse() allocated
 * @ovf: empty afterwards
 */
void vmdk_ovf_free(struct vmdk_ovf *ovf)
{
	size_t i;

	for (i = 0; i < ovf->nr_files; i++) {
		free(ovf->files[i].id);
		free(ovf->files[i].href);
		free(ovf->files[i].compression);
	}
	for (i = 0; i < ovf->nr_disks; i++) {
		free(ovf->disks[i].id);
		free(ovf->disks[i].file_ref);
		free(ovf->disks[i].parent_ref);
	}
	free(ovf->files);
	free(ovf->disks);
	memset(ovf, 0, sizeof(*ovf));
}

/**
 * vmdk_ovf_find - find a file by its id
 * @ovf: the descriptor
 * @id: what a disk refers to
 *
 * Return: the file or NULL.
 */
const struct vmdk_ovf_file *vmdk_ovf_find(const struct vmdk_ovf *ovf,
					  const char *id)
{
	size_t i;

	for (i = 0; i < ovf->nr_files; i++)
		if (ovf->files[i].id && !strcmp(ovf->files[i].id, id))
			return &ovf->files[i];
	return NULL;
}
