// SPDX-License-Identifier: GPL-2.0
/*
 * A new child of an image: a hosted sparse file without a grain, over anything.
 *
 * It is laid out as VMware's hosted products and qemu do: header, descriptor,
 * the redundant directory and all its tables, the directory and all its tables.
 * The header comes last, so that a file that was not finished is none.
 *
 * It declares no entries for zeroed grains, though they would save space: libvmdk
 * 20200926 takes such an entry of a child for an absent one, and shows the parent.
 */
#define _GNU_SOURCE	/* asprintf, O_TMPFILE */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "chain.h"
#include "child.h"
#include "grain_tables.h"
#include "path.h"

#define GRAIN		128U	/* sectors */
#define GT_ENTRIES	512U
#define GT_SECTORS	4U
#define DESC_START	1U
#define DESC_SECTORS	20U	/* qemu never reads or writes more, or less */
#define VERSION		1U
#define HINT_BYTES_MAX	1023U	/* qemu takes no more */
#define DDB_BYTES_MAX	64U
#define LONG_ID_BYTES	16U

/* ------------------------------------------------------------------- names */

/* It goes between quotes, in a line of text, and there is no way to escape. */
static int check_text(const char *text, const char *path, char **why)
{
	const char *p;

	for (p = text; *p; p++)
		if (*p == '"' || (unsigned char)*p < 0x20 || *p == 0x7f)
			return vmdk_refuse(why, -EINVAL,
					   "%s: a quote or control character in the name \"%s\" cannot be written into a descriptor",
					   path, text);
	if (strlen(text) > HINT_BYTES_MAX)
		return vmdk_refuse(why, -ENAMETOOLONG,
				   "%s: the name has %zu bytes, a descriptor can have %u",
				   path, strlen(text), HINT_BYTES_MAX);
	if (vmdk_foreign_name(text))
		return vmdk_refuse(why, -EINVAL,
				   "%s: in a descriptor, the name \"%s\" %s",
				   path, text, vmdk_foreign_name(text));
	return 0;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The folder that @path lies in, without links. */
static char *real_folder(const char *path)
{
	size_t len = last_part(path) - path;
	char *folder = len ? strndup(path, len) : strdup(".");
	char *real = folder ? realpath(folder, NULL) : NULL;

	free(folder);
	return real;
}

/* How many bytes of @to lie in a folder that @from lies in, too. */
static size_t common_folders(const char *from, const char *to)
{
	size_t i = 0, common = 0;

	while (from[i] && from[i] == to[i]) {
		i++;
		if (to[i] == '/' && (from[i] == '/' || !from[i]))
			common = i;
	}
	return common;
}

/*
 * From the folder @from to the file @to, both absolute.  Where nothing but the
 * root is common, the whole name says it better.
 */
static char *relative_name(const char *from, const char *to)
{
	size_t common = common_folders(from, to);
	const char *p = from + common;
	char *name, *out;
	size_t up = 0;

	if (!strcmp(from, "/"))
		return strdup(to + 1);
	if (!common)
		return strdup(to);
	for (; *p; p++)
		up += *p == '/';
	name = malloc(3 * up + strlen(to + common) + 1);
	if (!name)
		return NULL;
	out = name;
	while (up--)
		out = stpcpy(out, "../");
	strcpy(out, to + common + 1);
	return name;
}

static int no_folder(const char *path, char **why)
{
	return vmdk_refuse(why, -errno, "%s: its folder cannot be found: %m",
			   path);
}

/* @path: NULL: the child has no place */
static int find_name(const char *path, const char *real, char **hint,
		     char **why)
{
	char *folder;

	if (!path) {
		*hint = strdup(real);
	} else {
		folder = real_folder(path);
		if (!folder)
			return no_folder(path, why);
		*hint = relative_name(folder, real);
		free(folder);
	}
	return *hint ? 0 : -ENOMEM;
}

/**
 * vmdk_child_hint - how a child names its parent
 * @path: the child, which need not be there yet; NULL: it has no place
 * @parent: the parent
 * @hint: receives the name, to be freed: relative to the child's folder where
 *	the two have anything in common; NULL on failure
 * @why: receives the reason of a refusal
 *
 * Return: 0 or -errno.
 */
int vmdk_child_hint(const char *path, const char *parent, char **hint,
		    char **why)
{
	char *real = realpath(parent, NULL);
	int ret;

	*hint = NULL;
	if (!real)
		return no_folder(parent, why);
	ret = find_name(path, real, hint, why);
	if (!ret)
		ret = check_text(*hint, parent, why);
	free(real);
	if (!ret)
		return 0;
	free(*hint);
	*hint = NULL;
	return ret;
}

/* -------------------------------------------------------------- descriptor */

/* A value of the parent's data base that is plain enough to be repeated. */
static bool is_plain(const char *value)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

	return value && strlen(value) <= DDB_BYTES_MAX &&
	       !value[strspn(value, allowed)];
}

static bool is_geometry(const struct vmdk_geom *geom)
{
	return geom->cylinders && geom->heads && geom->sectors;
}

/* Where the parent has none: as the products count for the adapter. */
static struct vmdk_geom geometry_of(const struct vmdk_image *parent)
{
	const char *adapter = parent->desc.adapter_type;
	bool ide = !adapter || !strcmp(adapter, "ide");
	struct vmdk_geom geom = { .heads = ide ? 16 : 255, .sectors = 63 };
	uint64_t cylinders;

	if (is_geometry(&parent->desc.physical))
		return parent->desc.physical;
	cylinders = parent->sectors / (geom.heads * geom.sectors);
	if (ide && cylinders > 16383)
		cylinders = 16383;
	geom.cylinders = cylinders > UINT32_MAX ? UINT32_MAX : cylinders;
	return geom;
}

static void put_geometry(FILE *out, const struct vmdk_image *parent)
{
	const struct vmdk_geom physical = geometry_of(parent);
	const struct vmdk_geom *bios = &parent->desc.bios;

	fprintf(out, "ddb.geometry.cylinders = \"%u\"\n", physical.cylinders);
	fprintf(out, "ddb.geometry.heads = \"%u\"\n", physical.heads);
	fprintf(out, "ddb.geometry.sectors = \"%u\"\n", physical.sectors);
	if (!is_geometry(bios))
		return;
	fprintf(out, "ddb.geometry.biosCylinders = \"%u\"\n", bios->cylinders);
	fprintf(out, "ddb.geometry.biosHeads = \"%u\"\n", bios->heads);
	fprintf(out, "ddb.geometry.biosSectors = \"%u\"\n", bios->sectors);
}

/* The last digits of a long id are the short one. */
static int put_long_id(FILE *out, uint32_t cid)
{
	uint8_t random[LONG_ID_BYTES - sizeof(cid)];
	size_t i;

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	fputs("ddb.longContentID = \"", out);
	for (i = 0; i < sizeof(random); i++)
		fprintf(out, "%02x", random[i]);
	fprintf(out, "%08" PRIx32 "\"\n", cid);
	return 0;
}

static int put_database(FILE *out, const struct vmdk_image *parent,
			uint32_t cid)
{
	const struct vmdk_descriptor *desc = &parent->desc;

	fputs("\n# The Disk Data Base\n#DDB\n\n", out);
	fprintf(out, "ddb.virtualHWVersion = \"%s\"\n",
		is_plain(desc->hw_version) ? desc->hw_version : "4");
	put_geometry(out, parent);
	fprintf(out, "ddb.adapterType = \"%s\"\n",
		is_plain(desc->adapter_type) ? desc->adapter_type : "ide");
	return desc->long_content_id ? put_long_id(out, cid) : 0;
}

static int put_descriptor(FILE *out, const struct vmdk_image *parent,
			  const char *name, const char *hint, uint32_t cid)
{
	fprintf(out, "# Disk DescriptorFile\nversion=1\nencoding=\"UTF-8\"\n");
	fprintf(out, "CID=%08" PRIx32 "\nparentCID=%08" PRIx32 "\n", cid,
		vmdk_content_id(parent));
	fprintf(out, "isNativeSnapshot=\"no\"\ncreateType=\"monolithicSparse\"\n");
	fprintf(out, "parentFileNameHint=\"%s\"\n", hint);
	fprintf(out, "\n# Extent description\nRW %" PRIu64 " SPARSE \"%s\"\n",
		parent->sectors, name);
	return put_database(out, parent, cid);
}

static int check_parent(const struct vmdk_image *parent, char **why)
{
	if (vmdk_content_id(parent) != VMDK_NO_PARENT)
		return 0;
	return vmdk_refuse(why, -EINVAL,
			   "%s: its CID is ffffffff, with which a child would say that it has no parent",
			   parent->path);
}

/**
 * vmdk_child_describe - make the descriptor of a child
 * @parent: the parent
 * @name: of the child's file, without a folder
 * @hint: name of the parent's file
 * @cid: content id of the child
 * @text: receives the text, to be freed
 * @why: receives the reason of a refusal
 *
 * Return: 0 or -errno.
 */
int vmdk_child_describe(const struct vmdk_image *parent, const char *name,
			const char *hint, uint32_t cid, char **text, char **why)
{
	size_t size;
	FILE *out;
	int ret;

	*text = NULL;
	ret = check_parent(parent, why);
	if (!ret)
		ret = check_text(name, name, why);
	if (!ret)
		ret = check_text(hint, parent->path, why);
	if (ret)
		return ret;
	out = open_memstream(text, &size);
	if (!out)
		return -errno;
	ret = put_descriptor(out, parent, name, hint, cid);
	if (fclose(out) && !ret)
		ret = -ENOMEM;
	if (ret) {
		free(*text);
		*text = NULL;
	}
	return ret;
}

static int new_cid(const struct vmdk_image *parent, uint32_t *cid)
{
	do {
		if (getrandom(cid, sizeof(*cid), 0) != sizeof(*cid))
			return -EIO;
	} while (!*cid || *cid == VMDK_NO_PARENT || *cid == VMDK_CID_IN_LONG ||
		 *cid == vmdk_content_id(parent));
	return 0;
}

/* -------------------------------------------------------------- the file */

struct layout {
	uint64_t capacity;
	uint32_t tables, gd_sectors;
	uint64_t rgd, gd, overhead;
};

static uint64_t div_up(uint64_t n, uint64_t d)
{
	return (n + d - 1) / d;
}

/* Whether all of it can be addressed is for vmdk_header_decode() to say. */
static struct layout lay_out(uint64_t capacity)
{
	struct layout l = { .capacity = capacity };
	uint64_t copy;

	l.tables = div_up(capacity, (uint64_t)GT_ENTRIES * GRAIN);
	l.gd_sectors = div_up(l.tables * 4ULL, VMDK_SECTOR_SIZE);
	copy = l.gd_sectors + (uint64_t)l.tables * GT_SECTORS;
	l.rgd = DESC_START + DESC_SECTORS;
	l.gd = l.rgd + copy;
	l.overhead = div_up(l.gd + copy, GRAIN) * GRAIN;
	return l;
}

static void fill_header(const struct layout *l, struct vmdk_sparse_header *h)
{
	memset(h, 0, sizeof(*h));
	h->magic = cpu_to_le32(VMDK_MAGIC_SPARSE);
	h->version = cpu_to_le32(VERSION);
	h->flags = cpu_to_le32(VMDK_FLAG_NEWLINE | VMDK_FLAG_RGD);
	h->capacity = cpu_to_le64(l->capacity);
	h->grain_size = cpu_to_le64(GRAIN);
	h->desc_offset = cpu_to_le64(DESC_START);
	h->desc_size = cpu_to_le64(DESC_SECTORS);
	h->gtes_per_gt = cpu_to_le32(GT_ENTRIES);
	h->rgd_offset = cpu_to_le64(l->rgd);
	h->gd_offset = cpu_to_le64(l->gd);
	h->overhead = cpu_to_le64(l->overhead);
	memcpy(h->newline, "\n \r\n", sizeof(h->newline));
}

static int write_directory(int fd, const struct layout *l, uint64_t at)
{
	__le32 *gd = calloc(l->gd_sectors, VMDK_SECTOR_SIZE);
	uint32_t i;
	int ret;

	if (!gd)
		return -ENOMEM;
	for (i = 0; i < l->tables; i++)
		gd[i] = cpu_to_le32(at + l->gd_sectors +
				    (uint64_t)i * GT_SECTORS);
	ret = vmdk_pwrite_all(fd, gd,
			      (size_t)l->gd_sectors << VMDK_SECTOR_SHIFT,
			      at << VMDK_SECTOR_SHIFT);
	free(gd);
	return ret;
}

/* Tables without an entry are a hole of the file. */
static int write_parts(int fd, const struct layout *l, const char *text,
		       const struct vmdk_sparse_header *header)
{
	int ret = 0;

	if (ftruncate(fd, (off_t)(l->overhead << VMDK_SECTOR_SHIFT)))
		ret = -errno;
	if (!ret)
		ret = vmdk_pwrite_all(fd, text, strlen(text),
				      DESC_START << VMDK_SECTOR_SHIFT);
	if (!ret)
		ret = write_directory(fd, l, l->rgd);
	if (!ret)
		ret = write_directory(fd, l, l->gd);
	if (!ret && fsync(fd))
		ret = -errno;
	if (!ret)
		ret = vmdk_pwrite_all(fd, header, sizeof(*header), 0);
	if (!ret && fsync(fd))
		ret = -errno;
	return ret;
}

static int check_layout(const struct layout *l, const char *name,
			struct vmdk_sparse_header *header, char **why)
{
	struct vmdk_geometry geo;
	struct vmdk_fault fault;

	fill_header(l, header);
	if (!vmdk_header_decode(header, l->overhead << VMDK_SECTOR_SHIFT, &geo,
				&fault))
		return 0;
	return vmdk_refuse(why, -EFBIG,
			   "%s: a child of %" PRIu64 " sectors cannot be made: %s",
			   name, l->capacity, fault.text);
}

/**
 * vmdk_child_write - write a child
 * @fd: an empty file
 * @parent: the parent
 * @name: of the file, without a folder
 * @hint: name of the parent's file
 * @why: receives the reason of a failure
 *
 * Return: 0, with the file durable; or -errno.
 */
int vmdk_child_write(int fd, const struct vmdk_image *parent, const char *name,
		     const char *hint, char **why)
{
	const struct layout l = lay_out(parent->sectors);
	struct vmdk_sparse_header header;
	uint32_t cid = 0;
	char *text = NULL;
	int ret;

	ret = check_layout(&l, name, &header, why);
	if (!ret)
		ret = new_cid(parent, &cid);
	if (!ret)
		ret = vmdk_child_describe(parent, name, hint, cid, &text, why);
	if (!ret)
		ret = write_parts(fd, &l, text, &header);
	free(text);
	if (ret && !*why)
		vmdk_refuse(why, ret, "%s: cannot be written: %s", name,
			    strerror(-ret));
	return ret;
}

/**
 * vmdk_sync_folder - make the name of a file durable
 * @path: the file
 *
 * Return: 0 or -errno.
 */
int vmdk_sync_folder(const char *path)
{
	char *folder = real_folder(path);
	int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int ret = 0;

	if (fd < 0 || (fsync(fd) && errno != EINVAL))
		ret = -errno;
	if (fd >= 0)
		close(fd);
	free(folder);
	return ret;
}

static int create(const char *path, const struct vmdk_image *parent,
		  const char *hint, char **why)
{
	int fd, ret;

	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		  0666);
	if (fd < 0)
		return vmdk_refuse(why, -errno, "%s: cannot be created: %m",
				   path);
	ret = vmdk_child_write(fd, parent, last_part(path), hint, why);
	if (!ret)
		ret = vmdk_sync_folder(path);
	if (!ret)
		return fd;
	if (!*why)
		vmdk_refuse(why, ret, "%s: its folder cannot be written: %s",
			    path, strerror(-ret));
	close(fd);
	unlink(path);
	return ret;
}

/**
 * vmdk_child_create - make a new file that is a child
 * @path: its name; nothing may have it
 * @parent: the parent
 * @why: receives the reason of a failure
 *
 * Return: a descriptor of it, open for writing: its name may lead elsewhere soon;
 * -EEXIST; or another -errno, and then there is no such file.
 */
int vmdk_child_create(const char *path, const struct vmdk_image *parent,
		      char **why)
{
	char *hint;
	int ret;

	ret = vmdk_child_hint(path, parent->path, &hint, why);
	if (!ret)
		ret = check_text(last_part(path), path, why);
	if (!ret)
		ret = create(path, parent, hint, why);
	free(hint);
	return ret;
}

/* File systems that know no files without a name have it taken away. */
static int open_unnamed(const char *folder)
{
	char *name;
	int fd;

	fd = open(folder, O_RDWR | O_TMPFILE | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
		return fd < 0 ? -errno : fd;
	if (asprintf(&name, "%s/vmdk-XXXXXX", folder) < 0)
		return -ENOMEM;
	fd = mkostemp(name, O_CLOEXEC);
	if (fd >= 0)
		unlink(name);
	else
		fd = -errno;
	free(name);
	return fd;
}

/**
 * vmdk_child_create_unnamed - make a child that goes with its last user
 * @parent: the parent
 * @path: receives what messages call it, to be freed
 * @why: receives the reason of a failure
 *
 * It lies in $TMPDIR, or else /var/tmp: /tmp is often memory.
 *
 * Return: a descriptor of it, open for writing, or -errno.
 */
int vmdk_child_create_unnamed(const struct vmdk_image *parent, char **path,
			      char **why)
{
	const char *folder = getenv("TMPDIR");
	char *hint = NULL;
	int fd, ret;

	*path = NULL;
	if (!folder || !*folder)
		folder = "/var/tmp";
	fd = open_unnamed(folder);
	if (fd < 0)
		return vmdk_refuse(why, fd, "%s: no temporary file can be made there: %s",
				   folder, strerror(-fd));
	ret = vmdk_child_hint(NULL, parent->path, &hint, why);
	if (!ret)
		ret = vmdk_child_write(fd, parent, "nonpersistent.vmdk", hint,
				       why);
	if (!ret && asprintf(path, "%s (no name)", folder) < 0) {
		*path = NULL;
		ret = -ENOMEM;
	}
	free(hint);
	if (!ret)
		return fd;
	close(fd);
	return ret;
}
