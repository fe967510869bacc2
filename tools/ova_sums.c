// SPDX-License-Identifier: GPL-2.0
/*
 * Do the members of an OVA have the sums that its manifest says?  A certificate
 * (.cert), which signs the manifest, is not looked at.
 */
#define _GNU_SOURCE	/* asprintf */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <gcrypt.h>

#include "grain_tables.h"
#include "manifest.h"
#include "path.h"
#include "tar.h"

#define READ_BYTES	(1U << 20)
#define HEX_BYTES	(2 * VMDK_SUM_BYTES_MAX + 1)

/**
 * struct verifier - an archive whose sums are looked at
 * @member: the manifest, or NULL
 * @done: for each member, a bit for each kind of sum that was there
 * @only: the disk whose members are looked at; NULL: all members
 * @buf: READ_BYTES
 */
struct verifier {
	int fd;
	const char *path;
	struct vmdk_tar tar;
	const struct vmdk_tar_member *member;
	struct vmdk_manifest manifest;
	unsigned char *done;
	const struct vmdk_ova_disk *only;
	char *buf;
	vmdk_sum_fn fn;
	void *arg;
	char **why;
};

static int no_memory(struct verifier *v)
{
	return vmdk_refuse(v->why, -ENOMEM, "%s: %s", v->path, strerror(ENOMEM));
}

static void report(struct verifier *v, enum vmdk_severity severity,
		   const char *name, const struct vmdk_tar_member *member,
		   const char *text)
{
	const struct vmdk_sum_finding finding = {
		.severity = severity, .name = name, .text = text,
		.offset = member ? member->offset : 0,
	};

	v->fn(&finding, v->arg);
}

static bool ends_with(const char *name, const char *suffix)
{
	size_t len = strlen(name), size = strlen(suffix);

	return len > size && !strcasecmp(name + len - size, suffix);
}

static const char *base_name(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash ? slash + 1 : name;
}

/* "._x.mf" is what macOS keeps of the attributes of x.mf */
static bool is_manifest(const char *name)
{
	return ends_with(name, ".mf") && strncmp(base_name(name), "._", 2);
}

/* ---------------------------------------------------------- the manifest */

/* With two of them, each program may follow another one. */
static bool find_manifest(struct verifier *v)
{
	size_t i;

	for (i = 0; i < v->tar.nr; i++) {
		const struct vmdk_tar_member *member = &v->tar.members[i];

		if (!is_manifest(member->name))
			continue;
		if (v->member) {
			report(v, VMDK_CHECK_CORRUPT, member->name, member,
			       "there is another manifest");
			return false;
		}
		v->member = member;
	}
	if (!v->member)
		report(v, VMDK_CHECK_NOTE, "", NULL,
		       "there is no manifest, so that no sums are verified");
	return v->member;
}

static const char *manifest_fault(const struct vmdk_tar_member *member)
{
	return member->size > VMDK_MANIFEST_BYTES_MAX ? "has more than 4 MiB" :
							member->odd;
}

/* @ret: of the parser */
static int report_text(struct verifier *v, int ret,
		       const struct vmdk_text_fault *fault)
{
	char text[sizeof(fault->text) + 32];

	if (ret != -EINVAL)
		return no_memory(v);
	snprintf(text, sizeof(text), "line %u: %s", fault->line, fault->text);
	report(v, VMDK_CHECK_CORRUPT, v->member->name, v->member, text);
	return 0;
}

static int read_manifest(struct verifier *v)
{
	const char *what = manifest_fault(v->member);
	struct vmdk_text_fault fault;
	char *text;
	int ret;

	if (what) {
		report(v, VMDK_CHECK_CORRUPT, v->member->name, v->member, what);
		return 0;
	}
	text = malloc(v->member->size + 1);
	if (!text)
		return no_memory(v);
	ret = vmdk_pread_all(v->fd, text, v->member->size, v->member->offset);
	if (ret) {
		vmdk_refuse(v->why, ret, "%s:%s: cannot be read: %s", v->path,
			    v->member->name, strerror(-ret));
		free(text);
		return ret;
	}
	ret = vmdk_manifest_parse(text, v->member->size, &v->manifest, &fault);
	free(text);
	if (ret)
		return report_text(v, ret, &fault);
	if (!v->manifest.nr)
		report(v, VMDK_CHECK_CORRUPT, v->member->name, v->member,
		       "the manifest is empty");
	return 0;
}

/* ------------------------------------------------------------- one member */

static const char *hex(const uint8_t *sum, size_t bytes, char out[HEX_BYTES])
{
	size_t i;

	for (i = 0; i < bytes; i++)
		sprintf(out + 2 * i, "%02x", sum[i]);
	return out;
}

static int feed(struct verifier *v, const struct vmdk_tar_member *member,
		gcry_md_hd_t md)
{
	uint64_t done = 0;

	while (done < member->size) {
		uint64_t left = member->size - done;
		size_t size = left < READ_BYTES ? left : READ_BYTES;
		int ret = vmdk_pread_all(v->fd, v->buf, size,
					 member->offset + done);

		if (ret)
			return vmdk_refuse(v->why, ret,
					   "%s:%s: cannot be read: %s", v->path,
					   member->name, strerror(-ret));
		gcry_md_write(md, v->buf, size);
		done += size;
	}
	return 0;
}

static void compare(struct verifier *v, const struct vmdk_manifest_line *line,
		    const struct vmdk_tar_member *member, const uint8_t *sum)
{
	size_t bytes = vmdk_sum_bytes(line->kind);
	char found[HEX_BYTES], expected[HEX_BYTES];
	const struct vmdk_sum_finding finding = {
		.severity = VMDK_CHECK_CORRUPT, .name = member->name,
		.offset = member->offset,
		.found = hex(sum, bytes, found),
		.expected = hex(line->sum, bytes, expected),
		.text = "the sum is not that of the manifest",
	};

	if (memcmp(sum, line->sum, bytes))
		v->fn(&finding, v->arg);
}

static int verify_member(struct verifier *v,
			 const struct vmdk_manifest_line *line,
			 const struct vmdk_tar_member *member)
{
	static const int algorithms[VMDK_SUM_KINDS] = {
		[VMDK_SUM_SHA1] = GCRY_MD_SHA1,
		[VMDK_SUM_SHA256] = GCRY_MD_SHA256,
		[VMDK_SUM_SHA384] = GCRY_MD_SHA384,
		[VMDK_SUM_SHA512] = GCRY_MD_SHA512,
	};
	gcry_error_t err;
	gcry_md_hd_t md;
	int ret;

	err = gcry_md_open(&md, algorithms[line->kind], 0);
	if (err)
		return vmdk_refuse(v->why, -EOPNOTSUPP, "%s:%s: no sum: %s",
				   v->path, member->name, gcry_strerror(err));
	ret = feed(v, member, md);
	if (!ret)
		compare(v, line, member, gcry_md_read(md, 0));
	gcry_md_close(md);
	return ret;
}

/* ------------------------------------------------------------ all of them */

static const struct vmdk_tar_member *find_member(const struct verifier *v,
						 const char *name)
{
	const struct vmdk_tar_member *member;
	char *decoded;

	while (!strncmp(name, "./", 2))
		name += 2;
	member = vmdk_tar_find(&v->tar, name);
	if (member)
		return member;
	decoded = strdup(name);
	if (!decoded)
		return NULL;
	vmdk_ova_decode_name(decoded);
	member = vmdk_tar_find(&v->tar, decoded);
	free(decoded);
	return member;
}

static bool is_wanted(const struct verifier *v,
		      const struct vmdk_tar_member *member)
{
	size_t i;

	if (!v->only)
		return true;
	if (!member)
		return false;
	for (i = 0; i < v->only->windows.nr; i++)
		if (v->only->windows.list[i].offset == member->offset)
			return true;
	return v->only->offset == member->offset;
}

static int verify_line(struct verifier *v, const struct vmdk_manifest_line *line)
{
	const struct vmdk_tar_member *member = find_member(v, line->name);
	unsigned char *done, bit = 1U << line->kind;

	if (!is_wanted(v, member))
		return 0;
	if (!member) {
		report(v, VMDK_CHECK_CORRUPT, line->name, NULL,
		       "the manifest lists it, but there is no such member");
		return 0;
	}
	done = &v->done[member - v->tar.members];
	if (*done & bit) {
		report(v, VMDK_CHECK_CORRUPT, line->name, member,
		       "the manifest lists it twice");
		return 0;
	}
	*done |= bit;
	if (!member->odd)
		return verify_member(v, line, member);
	report(v, VMDK_CHECK_NOTE, line->name, member,
	       "is not stored as it is, so that its sum is not verified");
	return 0;
}

static void report_unlisted(struct verifier *v)
{
	size_t i;

	for (i = 0; i < v->tar.nr; i++) {
		const struct vmdk_tar_member *member = &v->tar.members[i];

		if (!v->done[i] && is_wanted(v, member) &&
		    !ends_with(member->name, ".mf") &&
		    !ends_with(member->name, ".cert"))
			report(v, VMDK_CHECK_NOTE, member->name, member,
			       "the manifest does not list it");
	}
}

static int verify(struct verifier *v)
{
	size_t i;
	int ret;

	if (!find_manifest(v))
		return 0;
	ret = read_manifest(v);
	if (ret || !v->manifest.nr)
		return ret;
	v->done = calloc(v->tar.nr, 1);
	v->buf = malloc(READ_BYTES);
	if (!v->done || !v->buf)
		return no_memory(v);
	posix_fadvise(v->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	for (i = 0; !ret && i < v->manifest.nr; i++)
		ret = verify_line(v, &v->manifest.lines[i]);
	if (!ret)
		report_unlisted(v);
	return ret;
}

static void start_gcrypt(void)
{
	if (gcry_control(GCRYCTL_INITIALIZATION_FINISHED_P))
		return;
	gcry_check_version(NULL);
	gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
	gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
}

/**
 * vmdk_ova_verify - verify the sums of an appliance
 * @fd: the archive
 * @bytes: its size
 * @path: its name, for messages
 * @only: verify the members of this disk alone; NULL: all members
 * @fn: called for each finding
 * @arg: for @fn
 * @why: receives the reason when it could not run
 *
 * Return: 0 when it ran, whatever it found; -errno.
 */
int vmdk_ova_verify(int fd, uint64_t bytes, const char *path,
		    const struct vmdk_ova_disk *only, vmdk_sum_fn fn, void *arg,
		    char **why)
{
	struct verifier v = {
		.fd = fd, .path = path, .only = only, .fn = fn, .arg = arg,
		.why = why,
	};
	int ret;

	start_gcrypt();
	ret = vmdk_tar_read(fd, bytes, path, &v.tar, why);
	if (!ret)
		ret = verify(&v);
	vmdk_manifest_free(&v.manifest);
	vmdk_tar_free(&v.tar);
	free(v.done);
	free(v.buf);
	return ret;
}
