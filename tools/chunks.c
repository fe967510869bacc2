// SPDX-License-Identifier: GPL-2.0
/*
 * Files that an OVA holds in chunks (DSP0243, "References element"): members of
 * the file's name, a dot and nine digits, from 0 on.  All of them have as many
 * bytes as chunkSize says, but for the last one, which may have fewer.
 */
#define _GNU_SOURCE	/* asprintf */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chunks.h"

#define DIGITS	9

/* Is @member a chunk of the file @name, and which one? */
static bool is_chunk(const char *member, const char *name, size_t *number)
{
	size_t len = strlen(name), i;

	if (strncmp(member, name, len) || member[len] != '.')
		return false;
	member += len + 1;
	*number = 0;
	for (i = 0; i < DIGITS; i++) {
		if (member[i] < '0' || member[i] > '9')
			return false;
		*number = *number * 10 + (size_t)(member[i] - '0');
	}
	return !member[DIGITS];
}

/**
 * vmdk_chunks_find - find all chunks of a file
 * @tar: the archive
 * @name: of the file
 * @chunks: room for as many as the archive has members; receives them by their
 *	number, and NULL where one is missing
 *
 * Return: how many there are; that is the end of @chunks, too.
 */
size_t vmdk_chunks_find(const struct vmdk_tar *tar, const char *name,
			const struct vmdk_tar_member **chunks)
{
	size_t i, number, nr = 0;

	memset(chunks, 0, tar->nr * sizeof(*chunks));
	for (i = 0; i < tar->nr; i++) {
		if (!is_chunk(tar->members[i].name, name, &number))
			continue;
		/* of a number beyond that, others must be missing */
		if (number < tar->nr)
			chunks[number] = &tar->members[i];
		nr++;
	}
	return nr;
}

static char *fault_of(size_t number, const char *what)
{
	char *text;

	return asprintf(&text, "chunk %zu of it %s", number, what) < 0 ? NULL :
								       text;
}

static bool has_right_size(const struct vmdk_ovf_file *file, uint64_t size,
			   bool last)
{
	return size == file->chunk_size || (last && size < file->chunk_size);
}

static char *size_fault(const struct vmdk_ovf_file *file,
			const struct vmdk_tar_member *const *chunks, size_t nr)
{
	static const char fmt[] =
		"has %llu bytes, but the chunkSize of the OVF descriptor is %llu";
	char what[sizeof(fmt) + 40];
	size_t i = 0;

	while (i < nr && has_right_size(file, chunks[i]->size, i == nr - 1))
		i++;
	if (nr == 1 || i == nr)
		return NULL;
	snprintf(what, sizeof(what), fmt, (unsigned long long)chunks[i]->size,
		 (unsigned long long)file->chunk_size);
	return fault_of(i, what);
}

static char *sum_fault(const struct vmdk_ovf_file *file,
		       const struct vmdk_tar_member *const *chunks, size_t nr)
{
	uint64_t sum = 0;
	char *text;
	size_t i;

	for (i = 0; i < nr; i++)
		sum += chunks[i]->size;
	if (!file->size || sum == file->size)
		return NULL;
	if (asprintf(&text, "its chunks have %llu bytes together, but the OVF descriptor says %llu",
		     (unsigned long long)sum,
		     (unsigned long long)file->size) < 0)
		return NULL;
	return text;
}

/**
 * vmdk_chunks_fault - do the chunks make up the file?
 * @file: what the OVF descriptor says of it
 * @chunks: from vmdk_chunks_find()
 * @nr: how many, 1 or more; a lone one may have any size
 *
 * Return: what is wrong, to be freed; NULL when all is right, or there is no
 * memory to say it.
 */
char *vmdk_chunks_fault(const struct vmdk_ovf_file *file,
			const struct vmdk_tar_member *const *chunks, size_t nr)
{
	char *fault;
	size_t i;

	for (i = 0; i < nr; i++) {
		if (!chunks[i])
			return fault_of(i, "is missing");
		if (chunks[i]->odd)
			return fault_of(i, chunks[i]->odd);
	}
	if (nr > 1 && !file->chunk_size)
		return strdup("is cut into chunks, but the OVF descriptor has no chunkSize");
	fault = size_fault(file, chunks, nr);
	return fault ? fault : sum_fault(file, chunks, nr);
}

/**
 * vmdk_chunks_join - make one file of the chunks
 * @chunks: without a fault
 * @nr: how many
 * @windows: receives the ranges of the archive; to be freed even after a failure
 *
 * Return: 0 or -errno.
 */
int vmdk_chunks_join(const struct vmdk_tar_member *const *chunks, size_t nr,
		     struct vmdk_windows *windows)
{
	size_t i;
	int ret = 0;

	for (i = 0; !ret && i < nr; i++)
		ret = vmdk_windows_add(windows, chunks[i]->offset,
				       chunks[i]->size);
	return ret;
}
