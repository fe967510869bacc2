// SPDX-License-Identifier: GPL-2.0
/*
 * The headers of a tar archive.
 *
 * Sources: POSIX.1-2017 pax(1) for ustar and pax headers; the manual of GNU tar
 * ("Basic Tar Format", "GNU Extensions") for names of type L and numbers in
 * base 256.  OVF (DSP0243) asks for ustar; ovftool, VirtualBox and people with a
 * tar of their own write all three.
 *
 * Where programs differ in how they read an archive, one could be shown a disk
 * that another does not see: such an archive is refused.
 */
#define _GNU_SOURCE	/* asprintf */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grain_tables.h"
#include "path.h"
#include "tar.h"

#define MEMBERS_MAX	4096	/* an appliance has a dozen */
#define EXTENDED_MAX	65536	/* bytes of a pax header or a long name */
#define NAME_BYTES_MAX	4095

struct ustar {
	char name[100];
	char mode[8], uid[8], gid[8];
	char size[12];
	char mtime[12];
	char checksum[8];
	char type;
	char link[100];
	char magic[6], version[2];
	char user[32], group[32];
	char major[8], minor[8];
	char prefix[155];
	char pad[12];
};

vmdk_static_assert(sizeof(struct ustar) == VMDK_TAR_BLOCK);
vmdk_static_assert(offsetof(struct ustar, checksum) == 148);
vmdk_static_assert(offsetof(struct ustar, magic) == 257);
vmdk_static_assert(offsetof(struct ustar, prefix) == 345);

/**
 * struct reader - an archive while it is read
 * @pos: byte of the header at hand
 * @header: that header
 * @size: of the data behind it
 * @next_name: what an extended header says of the name of the next member
 * @next_size: what one says of its size
 * @has_size: there is a @next_size
 * @odd: what one says against using the next member as it lies there
 */
struct reader {
	int fd;
	uint64_t bytes;
	const char *path;
	struct vmdk_tar *tar;
	char **why;
	size_t room;
	uint64_t pos;
	struct ustar header;
	uint64_t size;
	char *next_name;
	uint64_t next_size;
	bool has_size;
	const char *odd;
};

static int refuse(struct reader *r, const char *text)
{
	return vmdk_refuse(r->why, -EINVAL, "%s: tar header at byte %llu: %s",
			   r->path, (unsigned long long)r->pos, text);
}

static int no_memory(struct reader *r)
{
	return vmdk_refuse(r->why, -ENOMEM, "%s: %s", r->path,
			   strerror(ENOMEM));
}

static int read_at(struct reader *r, void *buf, size_t size, uint64_t pos)
{
	int ret = vmdk_pread_all(r->fd, buf, size, pos);

	if (ret)
		vmdk_refuse(r->why, ret, "%s: cannot be read at byte %llu: %s",
			    r->path, (unsigned long long)pos, strerror(-ret));
	return ret;
}

/* ---------------------------------------------------------------- numbers */

/* Octal digits between blanks; what ends them is a blank or a NUL. */
static bool parse_octal(const char *field, size_t len, uint64_t *value)
{
	size_t i = 0, first;

	while (i < len && field[i] == ' ')
		i++;
	first = i;
	for (*value = 0; i < len && field[i] >= '0' && field[i] <= '7'; i++)
		*value = *value << 3 | (field[i] - '0');
	if (i == first)
		return false;
	while (i < len && (field[i] == ' ' || !field[i]))
		i++;
	return i == len;
}

/* GNU: 0x80, then a big-endian number; 0xff would make it a negative one. */
static bool parse_base256(const char *field, size_t len, uint64_t *value)
{
	size_t i;

	if ((unsigned char)field[0] != 0x80)
		return false;
	for (*value = 0, i = 1; i < len; i++) {
		if (*value >> 55)
			return false;
		*value = *value << 8 | (unsigned char)field[i];
	}
	return true;
}

static bool parse_number(const char *field, size_t len, uint64_t *value)
{
	return field[0] & 0x80 ? parse_base256(field, len, value) :
				 parse_octal(field, len, value);
}

/* The sum takes its own field for blanks; old programs added signed bytes. */
static bool checksum_fits(const struct ustar *h)
{
	const char *bytes = (const char *)h;
	const size_t first = offsetof(struct ustar, checksum);
	uint64_t stored, sum = 0;
	int64_t signed_sum = 0;
	size_t i;

	if (!parse_octal(h->checksum, sizeof(h->checksum), &stored))
		return false;
	for (i = 0; i < sizeof(*h); i++) {
		bool own = i >= first && i < first + sizeof(h->checksum);

		sum += own ? ' ' : (unsigned char)bytes[i];
		signed_sum += own ? ' ' : (signed char)bytes[i];
	}
	return stored == sum || (int64_t)stored == signed_sum;
}

/* -------------------------------------------------------- extended headers */

/* Twice the same, in old form and new, is one that all programs agree on. */
static int take_name(struct reader *r, const char *name, size_t len)
{
	if (!len || len > NAME_BYTES_MAX || memchr(name, '\0', len))
		return refuse(r, "the long name in it is not valid");
	if (r->next_name)
		return strlen(r->next_name) == len &&
		       !memcmp(r->next_name, name, len) ? 0 :
		       refuse(r, "the member behind it has two names");
	r->next_name = strndup(name, len);
	return r->next_name ? 0 : no_memory(r);
}

static int take_size(struct reader *r, const char *digits, size_t len)
{
	size_t i;

	if (r->has_size)
		return refuse(r, "the member behind it has two sizes");
	r->next_size = 0;
	for (i = 0; i < len; i++) {
		if (digits[i] < '0' || digits[i] > '9' || r->next_size >> 59)
			return refuse(r, "the size in it is not a number");
		r->next_size = r->next_size * 10 + (digits[i] - '0');
	}
	if (!len)
		return refuse(r, "the size in it is not a number");
	r->has_size = true;
	return 0;
}

static bool is_key(const char *key, size_t len, const char *name)
{
	return len == strlen(name) && !memcmp(key, name, len);
}

static bool is_sparse_key(const char *key, size_t len)
{
	return len > 11 && !memcmp(key, "GNU.sparse.", 11);
}

/* For all members from here on: some programs heed it, others do not. */
static int check_global(struct reader *r, const char *key, size_t len)
{
	if (!is_key(key, len, "path") && !is_key(key, len, "size") &&
	    !is_key(key, len, "linkpath") && !is_sparse_key(key, len))
		return 0;
	return vmdk_refuse(r->why, -EINVAL,
			   "%s: tar header at byte %llu: for all members, it has \"%.*s\"",
			   r->path, (unsigned long long)r->pos, (int)len, key);
}

static int take_record(struct reader *r, const char *record, size_t len)
{
	const char *equal = memchr(record, '=', len);
	const char *value = equal ? equal + 1 : NULL;
	size_t key, rest;

	if (!equal)
		return refuse(r, "a record in it has no '='");
	/* it belongs to the name of the key for some, but not for GNU tar */
	if (*record == ' ' || *record == '\t')
		return refuse(r, "a record in it begins with a blank");
	key = equal - record;
	rest = len - key - 1;
	if (r->header.type == 'g')
		return check_global(r, record, key);
	if (is_key(record, key, "path"))
		return take_name(r, value, rest);
	if (is_key(record, key, "size"))
		return take_size(r, value, rest);
	if (is_sparse_key(record, key))
		r->odd = "is stored as a sparse file";
	return 0;
}

/* pax: records of "LENGTH KEY=VALUE\n"; the length counts the whole record. */
static int parse_records(struct reader *r, const char *text, size_t size)
{
	int ret = 0;

	while (!ret && size) {
		size_t len = 0, i;

		for (i = 0; i < size && text[i] >= '0' && text[i] <= '9'; i++)
			if (len <= size)
				len = len * 10 + (text[i] - '0');
		if (!i || i == size || text[i] != ' ' || len > size ||
		    len < i + 2 || text[len - 1] != '\n')
			return refuse(r, "a record in it has a wrong length");
		ret = take_record(r, text + i + 1, len - i - 2);
		text += len;
		size -= len;
	}
	return ret;
}

static int read_extended(struct reader *r)
{
	char *text;
	int ret;

	if (r->size > EXTENDED_MAX)
		return refuse(r, "the extended header is too long");
	text = calloc(1, r->size + 1);
	if (!text)
		return no_memory(r);
	ret = read_at(r, text, r->size, r->pos + VMDK_TAR_BLOCK);
	if (!ret && r->header.type == 'L')
		ret = take_name(r, text, strlen(text));
	else if (!ret)
		ret = parse_records(r, text, r->size);
	free(text);
	return ret;
}

/* ---------------------------------------------------------------- members */

/* The name of the member at hand, in new memory. */
static char *member_name(struct reader *r)
{
	const struct ustar *h = &r->header;
	char *name = r->next_name;

	r->next_name = NULL;
	if (name)
		return name;
	/* GNU's own format has other things where ustar has the prefix */
	if (h->prefix[0] && !h->magic[5]) {
		if (asprintf(&name, "%.*s/%.*s", (int)sizeof(h->prefix),
			     h->prefix, (int)sizeof(h->name), h->name) < 0)
			return NULL;
		return name;
	}
	return strndup(h->name, sizeof(h->name));
}

static void strip_dot_slash(char *name)
{
	size_t n = 0;

	while (name[n] == '.' && name[n + 1] == '/') {
		n += 2;
		while (name[n] == '/')
			n++;
	}
	memmove(name, name + n, strlen(name + n) + 1);
}

static int check_name(struct reader *r, const char *name)
{
	if (!*name)
		return refuse(r, "the member has no name");
	if (name[0] == '/' || vmdk_has_dotdot(name))
		return vmdk_refuse(r->why, -EINVAL,
				   "%s: tar header at byte %llu: the name \"%s\" leads out of the archive",
				   r->path, (unsigned long long)r->pos, name);
	if (vmdk_tar_find(r->tar, name))
		return vmdk_refuse(r->why, -EINVAL,
				   "%s: tar header at byte %llu: there is another member of the name \"%s\"",
				   r->path, (unsigned long long)r->pos, name);
	return 0;
}

static int add_member(struct reader *r)
{
	struct vmdk_tar *tar = r->tar;
	struct vmdk_tar_member *member;
	int ret;

	if (tar->nr == MEMBERS_MAX)
		return refuse(r, "the archive has too many members");
	if (tar->nr == r->room) {
		r->room = r->room ? r->room * 2 : 16;
		member = reallocarray(tar->members, r->room, sizeof(*member));
		if (!member)
			return no_memory(r);
		tar->members = member;
	}
	member = &tar->members[tar->nr];
	*member = (struct vmdk_tar_member){
		.name = member_name(r),
		.offset = r->pos + VMDK_TAR_BLOCK,
		.size = r->size,
		.odd = r->odd,
	};
	if (!member->name)
		return no_memory(r);
	strip_dot_slash(member->name);
	ret = check_name(r, member->name);
	if (ret)
		free(member->name);
	else
		tar->nr++;
	return ret;
}

/* An extended header speaks of the member behind it, and of no other. */
static void forget_extended(struct reader *r)
{
	free(r->next_name);
	r->next_name = NULL;
	r->has_size = false;
	r->odd = NULL;
}

/* Directories, links and devices have no data, though some writers give a size. */
static int skip_member(struct reader *r)
{
	if (r->size)
		return refuse(r, "a member that is not a file has data");
	forget_extended(r);
	return 0;
}

static int take_member(struct reader *r)
{
	int ret;

	switch (r->header.type) {
	case 'x':
	case 'X':	/* of Sun, before POSIX had it */
	case 'g':
	case 'L':
		return read_extended(r);
	case 'K':
		return 0;
	case 'S':
		r->odd = "is stored as a sparse file";
		break;
	case '0':
	case '7':
	case '\0':
		break;
	case '1':
	case '2':
	case '3':
	case '4':
	case '5':
	case '6':
		return skip_member(r);
	default:
		r->odd = "is stored in a way of its own";
	}
	ret = add_member(r);
	forget_extended(r);
	return ret;
}

/* Size and place of the data behind the header; it has to lie in the file. */
static int measure_member(struct reader *r)
{
	const struct ustar *h = &r->header;
	uint64_t left = r->bytes - r->pos - VMDK_TAR_BLOCK;
	bool extended = h->type && strchr("xXgLK", h->type);

	if (!parse_number(h->size, sizeof(h->size), &r->size))
		return refuse(r, "the size is not a number");
	if (r->has_size && !extended)
		r->size = r->next_size;
	if (r->size > left)
		return vmdk_refuse(r->why, -EINVAL,
				   "%s: tar header at byte %llu: the member has %llu bytes, but the archive ends %llu bytes after the header: it is truncated",
				   r->path, (unsigned long long)r->pos,
				   (unsigned long long)r->size,
				   (unsigned long long)left);
	return 0;
}

static bool is_end(const struct ustar *h)
{
	const char *bytes = (const char *)h;

	return !bytes[0] && !memcmp(bytes, bytes + 1, sizeof(*h) - 1);
}

static int read_members(struct reader *r)
{
	int ret;

	for (; r->pos < r->bytes; r->pos += VMDK_TAR_BLOCK +
	     (r->size + VMDK_TAR_BLOCK - 1) / VMDK_TAR_BLOCK * VMDK_TAR_BLOCK) {
		if (r->bytes - r->pos < VMDK_TAR_BLOCK)
			return refuse(r, "the archive ends within it: it is truncated");
		ret = read_at(r, &r->header, sizeof(r->header), r->pos);
		if (ret)
			return ret;
		if (is_end(&r->header))
			return 0;
		if (!vmdk_is_tar(&r->header, sizeof(r->header)))
			return refuse(r, "this is no header of a member");
		if (!checksum_fits(&r->header))
			return refuse(r, "the check sum is wrong");
		ret = measure_member(r);
		if (!ret)
			ret = take_member(r);
		if (ret)
			return ret;
	}
	return 0;
}

/**
 * vmdk_is_tar - does a file begin as a tar archive does?
 * @block: its first bytes
 * @size: how many there are
 *
 * Return: true when it has the magic that ustar, pax and GNU tar share.
 */
bool vmdk_is_tar(const void *block, size_t size)
{
	const struct ustar *h = block;

	return size >= sizeof(*h) && !memcmp(h->magic, "ustar", 5);
}

/**
 * vmdk_tar_read - find the members of an archive
 * @fd: the archive
 * @bytes: its size
 * @path: its name, for the message
 * @tar: receives the members; empty after a failure
 * @why: receives the reason of a refusal
 *
 * That an archive has no end mark is accepted: what counts is that all that is
 * looked for is there.
 *
 * Return: 0 or -errno.
 */
int vmdk_tar_read(int fd, uint64_t bytes, const char *path,
		  struct vmdk_tar *tar, char **why)
{
	struct reader r = {
		.fd = fd, .bytes = bytes, .path = path, .tar = tar, .why = why,
	};
	int ret;

	memset(tar, 0, sizeof(*tar));
	ret = read_members(&r);
	forget_extended(&r);
	if (ret)
		vmdk_tar_free(tar);
	return ret;
}

/**
 * vmdk_tar_free - free what vmdk_tar_read() allocated
 * @tar: empty afterwards
 */
void vmdk_tar_free(struct vmdk_tar *tar)
{
	size_t i;

	for (i = 0; i < tar->nr; i++)
		free(tar->members[i].name);
	free(tar->members);
	memset(tar, 0, sizeof(*tar));
}

/**
 * vmdk_tar_find - find a member by its name
 * @tar: the archive
 * @name: all of its name
 *
 * Return: the member or NULL.
 */
const struct vmdk_tar_member *vmdk_tar_find(const struct vmdk_tar *tar,
					    const char *name)
{
	size_t i;

	for (i = 0; i < tar->nr; i++)
		if (!strcmp(tar->members[i].name, name))
			return &tar->members[i];
	return NULL;
}
