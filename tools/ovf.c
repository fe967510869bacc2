// SPDX-License-Identifier: GPL-2.0
/*
 * An OVF descriptor (DSP0243), as far as it is about files and disks.
 *
 * Elements are known by their local name alone: drafts and releases of OVF have
 * different namespaces, and the drafts write <Section xsi:type="...DiskSection">.
 *
 * The text is hostile.  libxml2 reads it without network and without replacing
 * entities, within its own limits of depth and length.  A document type, which
 * no OVF has, is refused before libxml2 sees it, so that there are no entities.
 * The text is taken for UTF-8 whatever it declares: other encodings would bring
 * in iconv.
 */
#define _GNU_SOURCE	/* reallocarray, memmem */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/xmlreader.h>

#include "ovf.h"
#include "path.h"

#define ENTRIES_MAX	1024	/* files, and disks */

struct reader {
	xmlTextReaderPtr xml;
	const char *path;
	struct vmdk_ovf *ovf;
	char **why;
};

static int refuse(struct reader *r, const char *text)
{
	int line = r->xml ? xmlTextReaderGetParserLineNumber(r->xml) : 1;

	return vmdk_refuse(r->why, -EINVAL, "%s: OVF descriptor at line %d: %s",
			   r->path, line, text);
}

static int no_memory(struct reader *r)
{
	return vmdk_refuse(r->why, -ENOMEM, "%s: %s", r->path,
			   strerror(ENOMEM));
}

/* Keep the value of the attribute at hand. */
static int keep(struct reader *r, char **value)
{
	const xmlChar *text = xmlTextReaderConstValue(r->xml);

	if (*value)
		return refuse(r, "an attribute is given twice");
	*value = strdup(text ? (const char *)text : "");
	return *value ? 0 : no_memory(r);
}

/* The attribute at hand; false when it is not a number. */
static bool is_number(struct reader *r, uint64_t *value)
{
	const char *text = (const char *)xmlTextReaderConstValue(r->xml);

	*value = 0;
	do {
		if (!text || *text < '0' || *text > '9' || *value >> 59)
			return false;
		*value = *value * 10 + (*text - '0');
	} while (*++text);
	return true;
}

static int keep_chunk_size(struct reader *r, struct vmdk_ovf_file *file)
{
	return is_number(r, &file->chunk_size) ? 0 :
	       refuse(r, "chunkSize is not a number");
}

/* It is only needed to tell whether all chunks are there. */
static int keep_size(struct reader *r, struct vmdk_ovf_file *file)
{
	if (!is_number(r, &file->size))
		file->size = 0;
	return 0;
}

/* The local name of the element or attribute at hand. */
static bool name_is(struct reader *r, const char *name)
{
	return !strcmp((const char *)xmlTextReaderConstLocalName(r->xml), name);
}

static int file_attribute(struct reader *r, struct vmdk_ovf_file *file)
{
	if (name_is(r, "id"))
		return keep(r, &file->id);
	if (name_is(r, "href"))
		return keep(r, &file->href);
	if (name_is(r, "compression"))
		return keep(r, &file->compression);
	if (name_is(r, "chunkSize"))
		return keep_chunk_size(r, file);
	if (name_is(r, "size"))
		return keep_size(r, file);
	return 0;
}

static int disk_attribute(struct reader *r, struct vmdk_ovf_disk *disk)
{
	if (name_is(r, "diskId"))
		return keep(r, &disk->id);
	if (name_is(r, "fileRef"))
		return keep(r, &disk->file_ref);
	if (name_is(r, "parentRef"))
		return keep(r, &disk->parent_ref);
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

static int read_file(struct reader *r)
{
	struct vmdk_ovf *ovf = r->ovf;
	struct vmdk_ovf_file *file;
	int ret;

	ret = add_entry(r, (void **)&ovf->files, &ovf->nr_files, sizeof(*file));
	if (ret)
		return ret;
	file = &ovf->files[ovf->nr_files - 1];
	while (!ret && xmlTextReaderMoveToNextAttribute(r->xml) == 1)
		ret = file_attribute(r, file);
	if (!ret && !file->href)
		return refuse(r, "a File has no href");
	return ret;
}

static int read_disk(struct reader *r)
{
	struct vmdk_ovf *ovf = r->ovf;
	struct vmdk_ovf_disk *disk;
	int ret;

	ret = add_entry(r, (void **)&ovf->disks, &ovf->nr_disks, sizeof(*disk));
	if (ret)
		return ret;
	disk = &ovf->disks[ovf->nr_disks - 1];
	while (!ret && xmlTextReaderMoveToNextAttribute(r->xml) == 1)
		ret = disk_attribute(r, disk);
	return ret;
}

static int read_node(struct reader *r)
{
	if (xmlTextReaderNodeType(r->xml) != XML_READER_TYPE_ELEMENT)
		return 0;
	if (name_is(r, "File"))
		return read_file(r);
	if (name_is(r, "Disk"))
		return read_disk(r);
	return 0;
}

/* How long is the construct at @text, from @head to @tail?  0: it is not there. */
static size_t span(const char *text, size_t size, const char *head,
		   const char *tail)
{
	const char *end;

	if (size < strlen(head) || memcmp(text, head, strlen(head)))
		return 0;
	end = memmem(text + strlen(head), size - strlen(head), tail,
		     strlen(tail));
	return end ? (size_t)(end - text) + strlen(tail) : size;
}

/* In front of it can only be blanks, comments and processing instructions. */
static bool has_document_type(const char *text, size_t size)
{
	size_t at = 0, n;

	if (size >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		at = 3;
	do {
		while (at < size && strchr(" \t\r\n", text[at]) && text[at])
			at++;
		n = span(text + at, size - at, "<?", "?>");
		if (!n)
			n = span(text + at, size - at, "<!--", "-->");
		at += n;
	} while (n);
	return span(text + at, size - at, "<!DOCTYPE", ">");
}

/* libxml2's own messages would go to stderr, and have many lines. */
static void be_silent(void *arg, const char *msg, xmlParserSeverities severity,
		      xmlTextReaderLocatorPtr locator)
{
	(void)arg;
	(void)msg;
	(void)severity;
	(void)locator;
}

/* Some, about encodings, go past the handler of the reader. */
static void be_silent_too(void *arg, const char *msg, ...)
{
	(void)arg;
	(void)msg;
}

static int read_nodes(struct reader *r)
{
	int ret = 0, more;

	do {
		more = xmlTextReaderRead(r->xml);
		if (more == 1)
			ret = read_node(r);
	} while (!ret && more == 1);
	if (!ret && more < 0)
		ret = refuse(r, "it is not well-formed XML");
	return ret;
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
	if (has_document_type(text, size))
		return refuse(&r, "it has a document type, which an OVF has not");
	xmlSetGenericErrorFunc(NULL, be_silent_too);
	r.xml = xmlReaderForMemory(text, size, NULL, "UTF-8", XML_PARSE_NONET |
				   XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	if (!r.xml)
		return no_memory(&r);
	xmlTextReaderSetErrorHandler(r.xml, be_silent, NULL);
	ret = read_nodes(&r);
	xmlFreeTextReader(r.xml);
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
