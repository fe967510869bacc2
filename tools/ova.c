// SPDX-License-Identifier: GPL-2.0
/*
 * The disks of an OVA, by the references of its OVF descriptor (DSP0243): a Disk
 * has a fileRef, which is the id of a File, whose href is the name of a member.
 */
#define _GNU_SOURCE	/* asprintf */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "chunks.h"
#include "grain_tables.h"
#include "ova.h"
#include "ovf.h"
#include "path.h"
#include "tar.h"

#define NAMES_SHOWN_MAX	16	/* in a message */

/**
 * struct reader - an appliance while it is read
 * @name: the file at hand, as the archive calls it
 * @member: which member that is, or its first chunk; NULL: that is not there
 * @chunks: its chunks, by their numbers; room for one per member
 * @nr_chunks: how many there are
 * @both: there is a member of that name, and chunks
 */
struct reader {
	int fd;
	const char *path;
	struct vmdk_tar tar;
	struct vmdk_ovf ovf;
	struct vmdk_ova *ova;
	char **why;
	char *name;
	const struct vmdk_tar_member *member;
	const struct vmdk_tar_member **chunks;
	size_t nr_chunks;
	bool both;
};

static int no_memory(struct reader *r)
{
	return vmdk_refuse(r->why, -ENOMEM, "%s: %s", r->path,
			   strerror(ENOMEM));
}

/* ---------------------------------------------------------- the descriptor */

static bool is_descriptor(const char *name)
{
	const char *slash = strrchr(name, '/');
	const char *base = slash ? slash + 1 : name;
	size_t len = strlen(base);

	/* "._x.ovf" is what macOS keeps of the attributes of x.ovf */
	return len > 4 && !strcasecmp(base + len - 4, ".ovf") &&
	       strncmp(base, "._", 2);
}

static int find_descriptor(struct reader *r,
			   const struct vmdk_tar_member **found)
{
	size_t i;

	*found = NULL;
	for (i = 0; i < r->tar.nr; i++) {
		const struct vmdk_tar_member *member = &r->tar.members[i];

		if (!is_descriptor(member->name))
			continue;
		if (*found)
			return vmdk_refuse(r->why, -EINVAL,
					   "%s: has two OVF descriptors, \"%s\" and \"%s\"",
					   r->path, (*found)->name,
					   member->name);
		*found = member;
	}
	if (!*found)
		return vmdk_refuse(r->why, -EINVAL,
				   "%s: is a tar archive without an OVF descriptor; extract the disk with tar",
				   r->path);
	return 0;
}

static int read_descriptor(struct reader *r)
{
	const struct vmdk_tar_member *member;
	char *label, *text;
	int ret;

	ret = find_descriptor(r, &member);
	if (ret)
		return ret;
	if (member->odd || member->size > VMDK_OVF_BYTES_MAX)
		return vmdk_refuse(r->why, -EINVAL,
				   "%s: OVF descriptor \"%s\" at byte %llu: %s",
				   r->path, member->name,
				   (unsigned long long)member->offset,
				   member->odd ? member->odd :
				   "has more than 16 MiB");
	text = malloc(member->size + 1);
	if (!text || asprintf(&label, "%s:%s", r->path, member->name) < 0) {
		free(text);
		return no_memory(r);
	}
	ret = vmdk_pread_all(r->fd, text, member->size, member->offset);
	if (ret)
		vmdk_refuse(r->why, ret, "%s: cannot be read: %s", label,
			    strerror(-ret));
	else
		ret = vmdk_ovf_parse(text, member->size, label, &r->ovf, r->why);
	free(label);
	free(text);
	return ret;
}

/* ----------------------------------------------------------------- members */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/**
 * vmdk_ova_decode_name - make "a b" of "a%20b"
 * @s: an href, which is a URI; changed in place
 */
void vmdk_ova_decode_name(char *s)
{
	char *out = s;

	for (; *s; s++) {
		int high = *s == '%' ? hex_digit(s[1]) : -1;
		int low = high >= 0 ? hex_digit(s[2]) : -1;

		if (low >= 0 && (high || low)) {
			*out++ = high << 4 | low;
			s += 2;
		} else {
			*out++ = *s;
		}
	}
	*out = '\0';
}

/*
 * A file of which chunkSize is given has its chunks, else the member; and what
 * there is of the two when that is the other one.
 */
static void find_by_name(struct reader *r, const char *name, bool chunked)
{
	r->member = vmdk_tar_find(&r->tar, name);
	r->nr_chunks = 0;
	if (!r->member || chunked)
		r->nr_chunks = vmdk_chunks_find(&r->tar, name, r->chunks);
	r->both = r->member && r->nr_chunks;
	if (!r->member && r->nr_chunks)
		r->member = r->chunks[0];
}

static bool is_found(const struct reader *r)
{
	return r->member || r->nr_chunks;
}

/* As it is written, else with its percent signs decoded. */
static int find_file(struct reader *r, const struct vmdk_ovf_file *file)
{
	free(r->name);
	r->name = strdup(file->href);
	if (!r->name)
		return no_memory(r);
	if (!strncmp(r->name, "./", 2))
		memmove(r->name, r->name + 2, strlen(r->name + 2) + 1);
	find_by_name(r, r->name, file->chunk_size);
	if (!is_found(r)) {
		vmdk_ova_decode_name(r->name);
		find_by_name(r, r->name, file->chunk_size);
	}
	return 0;
}

static bool is_gzip(const struct reader *r, const struct vmdk_tar_member *member)
{
	unsigned char magic[2];

	return member->size >= sizeof(magic) &&
	       !vmdk_pread_all(r->fd, magic, sizeof(magic), member->offset) &&
	       magic[0] == 0x1f && magic[1] == 0x8b;
}

static const char *file_fault(const struct reader *r,
			      const struct vmdk_ovf_file *file)
{
	bool compressed = file->compression && *file->compression &&
			  strcasecmp(file->compression, "identity");

	if (!is_found(r) && strstr(file->href, "://"))
		return "is not in the archive, but elsewhere";
	if (!is_found(r))
		return "there is no such member in the archive";
	if (r->both)
		return "is in the archive in one piece and in chunks as well";
	if (compressed || (r->member && is_gzip(r, r->member)))
		return "is compressed as a whole: extract it with tar, and unpack it with gunzip";
	return r->member ? r->member->odd : NULL;
}

static const char *disk_fault(const struct vmdk_ovf_disk *entry,
			      const struct vmdk_ovf_file *file)
{
	if (!file)
		return "the OVF descriptor has no File of that id";
	if (entry->parent_ref)
		return "is a child of another disk: extract them with tar";
	return NULL;
}

/* Where it lies, as far as that can be told. */
static void place_disk(const struct reader *r, struct vmdk_ova_disk *disk)
{
	size_t i;

	if (!r->member)
		return;
	disk->offset = r->member->offset;
	disk->size = r->member->size;
	for (i = 1; i < r->nr_chunks; i++)
		disk->size += r->chunks[i] ? r->chunks[i]->size : 0;
}

/* A lone chunk is a member as others are. */
static int name_disk(struct reader *r, const struct vmdk_ovf_disk *entry,
		     const struct vmdk_ovf_file *file,
		     struct vmdk_ova_disk *disk)
{
	const char *name = file ? file->href : entry->file_ref;

	if (file && r->nr_chunks > 1)
		name = r->name;
	else if (file && r->member)
		name = r->member->name;
	disk->name = strdup(name);
	disk->id = entry->id ? strdup(entry->id) : NULL;
	return disk->name && (disk->id || !entry->id) ? 0 : no_memory(r);
}

static int refuse_disk(struct reader *r, struct vmdk_ova_disk *disk,
		       const char *fault)
{
	vmdk_refuse(&disk->refusal, 0, "%s:%s: %s", r->path, disk->name, fault);
	return disk->refusal ? 0 : no_memory(r);
}

static int join_chunks(struct reader *r, const struct vmdk_ovf_file *file,
		       struct vmdk_ova_disk *disk)
{
	char *fault;
	int ret;

	if (!r->nr_chunks)
		return 0;
	fault = vmdk_chunks_fault(file, r->chunks, r->nr_chunks);
	if (fault) {
		ret = refuse_disk(r, disk, fault);
		free(fault);
		return ret;
	}
	if (r->nr_chunks == 1)
		return 0;
	return vmdk_chunks_join(r->chunks, r->nr_chunks, &disk->windows) ?
	       no_memory(r) : 0;
}

static int fill_disk(struct reader *r, const struct vmdk_ovf_disk *entry,
		     struct vmdk_ova_disk *disk)
{
	const struct vmdk_ovf_file *file = vmdk_ovf_find(&r->ovf,
							 entry->file_ref);
	const char *fault = disk_fault(entry, file);
	int ret = file ? find_file(r, file) : 0;

	if (ret)
		return ret;
	if (!fault)
		fault = file_fault(r, file);
	if (file)
		place_disk(r, disk);
	ret = name_disk(r, entry, file, disk);
	if (ret)
		return ret;
	return fault ? refuse_disk(r, disk, fault) :
		       join_chunks(r, file, disk);
}

/* A disk without a file is one that a new machine gets empty: not one of ours. */
static int list_disks(struct reader *r)
{
	struct vmdk_ova *ova = r->ova;
	size_t i;
	int ret = 0;

	ova->disks = calloc(r->ovf.nr_disks + 1, sizeof(*ova->disks));
	r->chunks = calloc(r->tar.nr, sizeof(*r->chunks));
	if (!ova->disks || !r->chunks)
		return no_memory(r);
	for (i = 0; !ret && i < r->ovf.nr_disks; i++)
		if (r->ovf.disks[i].file_ref)
			ret = fill_disk(r, &r->ovf.disks[i],
					&ova->disks[ova->nr++]);
	if (!ret && !ova->nr)
		ret = vmdk_refuse(r->why, -EINVAL,
				  "%s: its OVF descriptor lists no disk with a file",
				  r->path);
	return ret;
}

/**
 * vmdk_ova_read - find the disks of an appliance
 * @fd: the archive
 * @bytes: its size
 * @path: its name, for messages
 * @ova: receives the disks; empty after a failure
 * @why: receives the reason of a refusal
 *
 * What is wrong with one disk keeps nobody from the others.
 *
 * Return: 0 or -errno.
 */
int vmdk_ova_read(int fd, uint64_t bytes, const char *path,
		  struct vmdk_ova *ova, char **why)
{
	struct reader r = { .fd = fd, .path = path, .ova = ova, .why = why };
	int ret;

	memset(ova, 0, sizeof(*ova));
	ret = vmdk_tar_read(fd, bytes, path, &r.tar, why);
	if (!ret)
		ret = read_descriptor(&r);
	if (!ret)
		ret = list_disks(&r);
	if (ret)
		vmdk_ova_free(ova);
	free(r.chunks);
	free(r.name);
	vmdk_ovf_free(&r.ovf);
	vmdk_tar_free(&r.tar);
	return ret;
}

/**
 * vmdk_ova_free - free what vmdk_ova_read() allocated
 * @ova: empty afterwards
 */
void vmdk_ova_free(struct vmdk_ova *ova)
{
	size_t i;

	for (i = 0; i < ova->nr; i++) {
		free(ova->disks[i].name);
		free(ova->disks[i].id);
		free(ova->disks[i].refusal);
		vmdk_windows_free(&ova->disks[i].windows);
	}
	free(ova->disks);
	memset(ova, 0, sizeof(*ova));
}

/* ------------------------------------------------------------------ choice */

/* "1 (a.vmdk), 2 (b.vmdk)", to be freed; NULL when there is no memory. */
static char *describe(const struct vmdk_ova *ova)
{
	size_t i, size;
	char *text;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	for (i = 0; i < ova->nr && i < NAMES_SHOWN_MAX; i++)
		fprintf(f, "%s%zu (%s)", i ? ", " : "", i + 1,
			ova->disks[i].name);
	if (i < ova->nr)
		fprintf(f, ", ... %zu", ova->nr);
	return fclose(f) ? NULL : text;
}

static int refuse_choice(const struct vmdk_ova *ova, const char *which,
			 const char *path, char **why)
{
	char *list = describe(ova);

	if (!list)
		vmdk_refuse(why, -ENOMEM, "%s: %s", path, strerror(ENOMEM));
	else if (which)
		vmdk_refuse(why, -EINVAL, "%s: there is no disk \"%s\"; there is %s",
			    path, which, list);
	else
		vmdk_refuse(why, -EINVAL,
			    "%s: has %zu disks, choose one with --disk: %s",
			    path, ova->nr, list);
	free(list);
	return -EINVAL;
}

static bool is_number(const char *which, size_t max, size_t *number)
{
	*number = 0;
	do {
		if (*which < '0' || *which > '9')
			return false;
		*number = *number * 10 + (*which - '0');
	} while (*++which && *number <= max);
	return *number >= 1 && *number <= max;
}

static bool is_called(const struct vmdk_ova_disk *disk, const char *which)
{
	return !strcmp(disk->name, which) ||
	       (disk->id && !strcmp(disk->id, which));
}

/**
 * vmdk_ova_choose - the disk that the user means
 * @ova: the appliance
 * @which: number from 1 on, name of the member or diskId; NULL: the only one
 * @path: name of the archive, for the message
 * @index: receives its place in @ova
 * @why: receives the reason of a refusal
 *
 * Return: 0 or -EINVAL.
 */
int vmdk_ova_choose(const struct vmdk_ova *ova, const char *which,
		    const char *path, size_t *index, char **why)
{
	size_t i, found = 0;

	if (!which && ova->nr == 1) {
		*index = 0;
		return 0;
	}
	for (i = 0; which && i < ova->nr; i++) {
		if (!is_called(&ova->disks[i], which))
			continue;
		*index = i;
		found++;
	}
	if (found > 1)
		return vmdk_refuse(why, -EINVAL,
				   "%s: \"%s\" is the name of %zu disks, choose one by its number",
				   path, which, found);
	if (found)
		return 0;
	if (!which || !is_number(which, ova->nr, &i))
		return refuse_choice(ova, which, path, why);
	*index = i - 1;
	return 0;
}
