// SPDX-License-Identifier: GPL-2.0
/*
 * The descriptor text.  Sources: VMware "Virtual Disk Format 5.0" for the
 * grammar; what writers really produce where a comment says so.
 *
 * Every byte is hostile.  Nothing is skipped that another reader could take for
 * an extent: a line is a comment, a key, an extent, or not like one at all.
 */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "descriptor.h"
#include "printable.h"
#include "vmdk_format.h"

#define TEXT_MAX	((size_t)VMDK_DESC_SECTORS_MAX * VMDK_SECTOR_SIZE)
#define NAME_MAX_BYTES	4095
#define LONG_CID_DIGITS	32
#define VERSION_MAX	999	/* which of them are supported is not decided here */
#define CID_NO_PARENT	VMDK_NO_PARENT
#define QUOTED_MAX	40	/* bytes of the text that a message may repeat */

/* A part of the text: [at, end). */
struct slice {
	size_t at, end;
};

struct parser {
	const char *text;
	size_t size;
	unsigned int line;
	size_t room;			/* allocated entries of desc->extents */
	bool seen_version, seen_parent;
	char *ddb_encoding;
	char quoted[QUOTED_MAX + sizeof("...")];
	struct vmdk_descriptor *desc;
	struct vmdk_text_fault *fault;
};

static const char * const type_names[] = {
	[VMDK_TYPE_FLAT] = "FLAT",
	[VMDK_TYPE_SPARSE] = "SPARSE",
	[VMDK_TYPE_ZERO] = "ZERO",
	[VMDK_TYPE_VMFS] = "VMFS",
	[VMDK_TYPE_VMFSSPARSE] = "VMFSSPARSE",
	[VMDK_TYPE_SESPARSE] = "SESPARSE",
	[VMDK_TYPE_VMFSRDM] = "VMFSRDM",
	[VMDK_TYPE_VMFSRAW] = "VMFSRAW",
};

static const char * const access_names[] = {
	[VMDK_ACCESS_NONE] = "NOACCESS",
	[VMDK_ACCESS_RDONLY] = "RDONLY",
	[VMDK_ACCESS_RW] = "RW",
};

#define NR_OF(array)	(sizeof(array) / sizeof((array)[0]))

/**
 * vmdk_extent_type_name - the word for a type in an extent line
 * @type: the type
 *
 * Return: a constant string.
 */
const char *vmdk_extent_type_name(enum vmdk_extent_type type)
{
	return (size_t)type < NR_OF(type_names) ? type_names[type] : "unknown";
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

/* Not isxdigit() and its kin: what they accept depends on the locale. */
static int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

__printf(3, 4)
static int refuse(struct parser *p, size_t at, const char *fmt, ...)
{
	va_list args;

	p->fault->line = p->line;
	p->fault->offset = at;
	va_start(args, fmt);
	vsnprintf(p->fault->text, sizeof(p->fault->text), fmt, args);
	va_end(args);
	vmdk_make_printable(p->fault->text);
	return -EINVAL;
}

static size_t length(struct slice s)
{
	return s.end - s.at;
}

/* The first bytes of @s, for a message; good until the next call. */
static const char *quote(struct parser *p, struct slice s)
{
	int n = length(s) < QUOTED_MAX ? length(s) : QUOTED_MAX;

	snprintf(p->quoted, sizeof(p->quoted), "%.*s%s", n, p->text + s.at,
		 length(s) > QUOTED_MAX ? "..." : "");
	return p->quoted;
}

static struct slice trim(const struct parser *p, struct slice s)
{
	while (s.at < s.end && is_blank(p->text[s.at]))
		s.at++;
	while (s.at < s.end && (is_blank(p->text[s.end - 1]) ||
				p->text[s.end - 1] == '\r'))
		s.end--;
	return s;
}

static bool equals(const struct parser *p, struct slice s, const char *word)
{
	return length(s) == strlen(word) &&
	       !memcmp(p->text + s.at, word, length(s));
}

static bool equals_nocase(const struct parser *p, struct slice s,
			  const char *word)
{
	return length(s) == strlen(word) &&
	       !strncasecmp(p->text + s.at, word, length(s));
}

/* Cut the next blank-separated word off @rest, which is trimmed before and after. */
static struct slice next_word(const struct parser *p, struct slice *rest)
{
	struct slice word = { rest->at, rest->at };

	while (word.end < rest->end && !is_blank(p->text[word.end]))
		word.end++;
	rest->at = word.end;
	*rest = trim(p, *rest);
	return word;
}

static char *copy(const struct parser *p, struct slice s)
{
	return strndup(p->text + s.at, length(s));
}

static bool has_control(const struct parser *p, struct slice s)
{
	for (; s.at < s.end; s.at++)
		if (is_control(p->text[s.at]) && p->text[s.at] != '\t')
			return true;
	return false;
}

/* Decimal digits and nothing else: no sign, no base, no blanks. */
static bool parse_decimal(const struct parser *p, struct slice s, uint64_t max,
			  uint64_t *value)
{
	uint64_t v = 0;

	if (s.at == s.end)
		return false;
	for (; s.at < s.end; s.at++) {
		unsigned int digit = p->text[s.at] - '0';

		if (!is_digit(p->text[s.at]) || v > (max - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*value = v;
	return true;
}

/* Up to eight digits: qemu writes them unpadded. */
static bool parse_hex32(const struct parser *p, struct slice s, uint32_t *value)
{
	uint32_t v = 0;

	if (s.at == s.end || length(s) > VMDK_CID_DIGITS)
		return false;
	for (; s.at < s.end; s.at++) {
		int digit = hex_value(p->text[s.at]);

		if (digit < 0)
			return false;
		v = v << 4 | (uint32_t)digit;
	}
	*value = v;
	return true;
}

/*
 * Strip the quotes of a trimmed value.  Returns NULL, or what is wrong with
 * it.  A quote cannot be escaped, so the first one ends the value.
 */
static const char *unquote(const struct parser *p, struct slice *s)
{
	const char *close;

	if (has_control(p, *s))
		return "has a control character in its value";
	if (s->at == s->end || p->text[s->at] != '"')
		return NULL;
	s->at++;
	close = memchr(p->text + s->at, '"', length(*s));
	if (!close)
		return "has a quote that is never closed";
	if ((size_t)(close - p->text) + 1 != s->end)
		return "has something behind its closing quote";
	s->end--;
	return NULL;
}

/* ------------------------------------------------------------------ keys */

struct key {
	const char *name;
	int (*parse)(struct parser *p, const struct key *key, struct slice s);
	size_t member;		/* offset in struct vmdk_descriptor */
	bool lenient;		/* junk is no fault: it decides nothing */
};

static void *member_of(struct parser *p, const struct key *key)
{
	return (char *)p->desc + key->member;
}

static int set_string(struct parser *p, const struct key *key, struct slice s,
		      char **value)
{
	if (!length(s))
		return 0;
	if (*value) {
		if (key->lenient || equals(p, s, *value))
			return 0;
		return refuse(p, s.at, "%s is given twice, \"%.*s\" and \"%s\"",
			      key->name, QUOTED_MAX, *value, quote(p, s));
	}
	*value = copy(p, s);
	return *value ? 0 : -ENOMEM;
}

static int key_string(struct parser *p, const struct key *key, struct slice s)
{
	return set_string(p, key, s, member_of(p, key));
}

static int key_name(struct parser *p, const struct key *key, struct slice s)
{
	if (length(s) > NAME_MAX_BYTES)
		return refuse(p, s.at, "%s has %zu bytes, at most %d are supported",
			      key->name, length(s), NAME_MAX_BYTES);
	return key_string(p, key, s);
}

/* It is shown in sysfs, and passes through a buffer of the kernel's. */
static int key_create_type(struct parser *p, const struct key *key,
			   struct slice s)
{
	size_t i;

	for (i = s.at; i < s.end; i++)
		if (p->text[i] < 0x21 || p->text[i] > 0x7e)
			return refuse(p, i,
				      "createType has a character that is not printable ASCII");
	if (length(s) >= VMDK_TYPE_SIZE)
		return refuse(p, s.at,
			      "createType \"%s\" has %zu characters, at most %d are supported",
			      quote(p, s), length(s), VMDK_TYPE_SIZE - 1);
	return key_string(p, key, s);
}

static int key_version(struct parser *p, const struct key *key, struct slice s)
{
	uint64_t value;

	if (!parse_decimal(p, s, VERSION_MAX, &value) || !value)
		return refuse(p, s.at, "%s is \"%s\", expected a number from 1 on",
			      key->name, quote(p, s));
	if (p->seen_version && value != p->desc->version)
		return refuse(p, s.at, "%s is given twice, %u and %u",
			      key->name, p->desc->version, (unsigned int)value);
	p->seen_version = true;
	p->desc->version = value;
	return 0;
}

static int hex_key(struct parser *p, const struct key *key, struct slice s,
		   uint32_t *value)
{
	if (parse_hex32(p, s, value))
		return 0;
	return refuse(p, s.at, "%s is \"%s\", expected 1 to %d hexadecimal digits",
		      key->name, quote(p, s), VMDK_CID_DIGITS);
}

/* Twice, even if equal, is a fault: an update would leave two different ones. */
static int key_cid(struct parser *p, const struct key *key, struct slice s)
{
	int ret = hex_key(p, key, s, &p->desc->cid);

	if (ret)
		return ret;
	if (p->desc->has_cid)
		return refuse(p, s.at, "%s is given twice", key->name);
	p->desc->has_cid = true;
	p->desc->cid_span = (struct vmdk_span){ s.at, length(s) };
	return 0;
}

static int key_parent_cid(struct parser *p, const struct key *key,
			  struct slice s)
{
	uint32_t value;
	int ret = hex_key(p, key, s, &value);

	if (ret)
		return ret;
	if (p->seen_parent && value != p->desc->parent_cid)
		return refuse(p, s.at, "%s is given twice, %08x and %08x",
			      key->name, p->desc->parent_cid, value);
	p->seen_parent = true;
	p->desc->parent_cid = value;
	return 0;
}

static int key_long_cid(struct parser *p, const struct key *key, struct slice s)
{
	size_t i;

	if (p->desc->long_content_id || length(s) > LONG_CID_DIGITS)
		return 0;
	for (i = s.at; i < s.end; i++)
		if (hex_value(p->text[i]) < 0)
			return 0;
	p->desc->long_cid_span = (struct vmdk_span){ s.at, length(s) };
	return set_string(p, key, s, &p->desc->long_content_id);
}

static int key_number(struct parser *p, const struct key *key, struct slice s)
{
	uint32_t *member = member_of(p, key);
	uint64_t value;

	if (parse_decimal(p, s, UINT32_MAX, &value))
		*member = value;
	return 0;
}

static int key_cylinders(struct parser *p, const struct key *key,
			 struct slice s)
{
	p->desc->cylinders_span = (struct vmdk_span){ s.at, length(s) };
	return key_number(p, key, s);
}

static int key_bios_cylinders(struct parser *p, const struct key *key,
			      struct slice s)
{
	p->desc->bios_cylinders_span = (struct vmdk_span){ s.at, length(s) };
	return key_number(p, key, s);
}

/* Newer writers put it into the data base, older ones on top; that one wins. */
static int key_ddb_encoding(struct parser *p, const struct key *key,
			    struct slice s)
{
	return set_string(p, key, s, &p->ddb_encoding);
}

#define MEMBER(m)	offsetof(struct vmdk_descriptor, m)

static const struct key keys[] = {
	{ "version", key_version, 0, false },
	{ "encoding", key_string, MEMBER(encoding), false },
	{ "CID", key_cid, 0, false },
	{ "parentCID", key_parent_cid, 0, false },
	{ "createType", key_create_type, MEMBER(create_type), false },
	{ "parentFileNameHint", key_name, MEMBER(parent_hint), false },
	{ "changeTrackPath", key_name, MEMBER(change_track), false },
	{ "ddb.encoding", key_ddb_encoding, 0, true },
	{ "ddb.longContentID", key_long_cid, 0, true },
	{ "ddb.adapterType", key_string, MEMBER(adapter_type), true },
	{ "ddb.uuid", key_string, MEMBER(uuid), true },
	{ "ddb.uuid.image", key_string, MEMBER(uuid), true },
	{ "ddb.virtualHWVersion", key_string, MEMBER(hw_version), true },
	{ "ddb.toolsVersion", key_string, MEMBER(tools_version), true },
	{ "ddb.thinProvisioned", key_string, MEMBER(thin_provisioned), true },
	{ "ddb.geometry.cylinders", key_cylinders, MEMBER(physical.cylinders), true },
	{ "ddb.geometry.heads", key_number, MEMBER(physical.heads), true },
	{ "ddb.geometry.sectors", key_number, MEMBER(physical.sectors), true },
	{ "ddb.geometry.biosCylinders", key_bios_cylinders,
	  MEMBER(bios.cylinders), true },
	{ "ddb.geometry.biosHeads", key_number, MEMBER(bios.heads), true },
	{ "ddb.geometry.biosSectors", key_number, MEMBER(bios.sectors), true },
};

static const struct key *find_key(const struct parser *p, struct slice name)
{
	size_t i;

	for (i = 0; i < NR_OF(keys); i++)
		if (equals_nocase(p, name, keys[i].name))
			return &keys[i];
	return NULL;
}

/* A key has no blanks and no quotes, so an extent's name cannot look like one. */
static bool split_key(const struct parser *p, struct slice line,
		      struct slice *name, struct slice *value)
{
	const char *equal = memchr(p->text + line.at, '=', length(line));
	size_t i;

	if (!equal)
		return false;
	*name = trim(p, (struct slice){ line.at, equal - p->text });
	*value = trim(p, (struct slice){ equal - p->text + 1, line.end });
	if (!length(*name))
		return false;
	for (i = name->at; i < name->end; i++)
		if (is_blank(p->text[i]) || p->text[i] == '"')
			return false;
	return true;
}

static int parse_key(struct parser *p, struct slice name, struct slice value)
{
	const struct key *key = find_key(p, name);
	const char *fault;

	if (!key)
		return 0;
	fault = unquote(p, &value);
	if (!fault)
		return key->parse(p, key, value);
	if (key->lenient)
		return 0;
	return refuse(p, value.at, "%s %s", key->name, fault);
}

/* --------------------------------------------------------------- extents */

/* Place of the word @s in @words, in any case; -1: it is none of them. */
static int find_word(const struct parser *p, struct slice s,
		     const char * const *words, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (equals_nocase(p, s, words[i]))
			return i;
	return -1;
}

/*
 * Has a line the shape of an extent, be it a wrong one?  Yes, if it begins with
 * an access word in any case, or goes on with a number or with a known type.
 */
static bool is_extent_like(const struct parser *p, struct slice line)
{
	struct slice word = next_word(p, &line);
	bool number;

	if (find_word(p, word, access_names, NR_OF(access_names)) >= 0)
		return true;
	word = next_word(p, &line);
	if (!length(word) || !length(line))
		return false;
	number = is_digit(p->text[word.at]) || p->text[word.at] == '-' ||
		 p->text[word.at] == '+';
	word = next_word(p, &line);
	return number || find_word(p, word, type_names, NR_OF(type_names)) >= 0;
}

static struct vmdk_desc_extent *new_extent(struct parser *p)
{
	struct vmdk_descriptor *desc = p->desc;
	struct vmdk_desc_extent *ext;

	if (desc->nr_extents == p->room) {
		size_t room = p->room ? p->room * 2 : 8;

		ext = reallocarray(desc->extents, room, sizeof(*ext));
		if (!ext)
			return NULL;
		desc->extents = ext;
		p->room = room;
	}
	ext = &desc->extents[desc->nr_extents++];
	memset(ext, 0, sizeof(*ext));
	ext->line = p->line;
	return ext;
}

static int extent_sectors(struct parser *p, struct slice s,
			  struct vmdk_desc_extent *ext)
{
	if (!parse_decimal(p, s, VMDK_CAPACITY_MAX, &ext->sectors) ||
	    !ext->sectors)
		return refuse(p, s.at,
			      "extent has \"%s\" sectors, expected a number from 1 to %llu",
			      quote(p, s), VMDK_CAPACITY_MAX);
	ext->sectors_span = (struct vmdk_span){ s.at, length(s) };
	p->desc->sectors += ext->sectors;
	if (p->desc->sectors > VMDK_CAPACITY_MAX)
		return refuse(p, s.at, "extents add up to more than %llu sectors",
			      VMDK_CAPACITY_MAX);
	return 0;
}

static int extent_access(struct parser *p, struct slice s,
			 struct vmdk_desc_extent *ext)
{
	int i = find_word(p, s, access_names, NR_OF(access_names));

	if (i < 0 || !equals(p, s, access_names[i]))
		return refuse(p, s.at, "extent access is \"%s\", expected RW, RDONLY or NOACCESS",
			      quote(p, s));
	ext->access = i;
	return 0;
}

static int extent_type(struct parser *p, struct slice s,
		       struct vmdk_desc_extent *ext)
{
	int i = find_word(p, s, type_names, NR_OF(type_names));

	if (i < 0 || !equals(p, s, type_names[i]))
		return refuse(p, s.at, "extent type is \"%s\", which is unknown",
			      quote(p, s));
	ext->type = i;
	return 0;
}

static int check_name(struct parser *p, struct slice name)
{
	size_t i;

	if (!length(name))
		return refuse(p, name.at, "file name of the extent is empty");
	if (length(name) > NAME_MAX_BYTES)
		return refuse(p, name.at,
			      "file name of the extent has %zu bytes, at most %d are supported",
			      length(name), NAME_MAX_BYTES);
	for (i = name.at; i < name.end; i++)
		if (is_control(p->text[i]))
			return refuse(p, i, "file name of the extent has a control character");
	return 0;
}

/* Cut the quoted name off @rest. */
static int extent_name(struct parser *p, struct slice *rest,
		       struct vmdk_desc_extent *ext)
{
	struct slice name = { rest->at + 1, rest->at + 1 };
	const char *close;
	int ret;

	if (!length(*rest))
		return refuse(p, rest->at, "extent has no file name");
	if (p->text[rest->at] != '"')
		return refuse(p, rest->at, "file name of the extent is not in quotes");
	close = memchr(p->text + name.at, '"', rest->end - name.at);
	if (!close)
		return refuse(p, rest->at, "file name of the extent has no closing quote");
	name.end = close - p->text;
	ret = check_name(p, name);
	if (ret)
		return ret;
	ext->name = copy(p, name);
	if (!ext->name)
		return -ENOMEM;
	rest->at = name.end + 1;
	if (length(*rest) && !is_blank(p->text[rest->at]))
		return refuse(p, rest->at,
			      "file name of the extent has something behind its closing quote");
	*rest = trim(p, *rest);
	return 0;
}

/*
 * A FLAT extent may lie anywhere in its file, so its line has to say where; the
 * other types begin where their file begins, though some writers put a 0.
 */
static int extent_offset(struct parser *p, struct slice *rest,
			 struct vmdk_desc_extent *ext)
{
	uint64_t max = (INT64_MAX >> VMDK_SECTOR_SHIFT) - VMDK_CAPACITY_MAX;
	struct slice word = next_word(p, rest);
	bool flat = ext->type == VMDK_TYPE_FLAT;

	if (!length(word) && flat)
		return refuse(p, word.at, "FLAT extent has no offset");
	if (!length(word))
		return 0;
	if (!parse_decimal(p, word, max, &ext->offset))
		return refuse(p, word.at, "extent offset is \"%s\", expected a number up to %llu",
			      quote(p, word), (unsigned long long)max);
	if (ext->offset && !flat)
		return refuse(p, word.at, "%s extent has the offset %llu, expected none",
			      vmdk_extent_type_name(ext->type),
			      (unsigned long long)ext->offset);
	return 0;
}

/* Only where a partition is mapped does something follow the offset. */
static int extent_device(struct parser *p, struct slice rest,
			 struct vmdk_desc_extent *ext)
{
	if (!length(rest))
		return 0;
	if (ext->type != VMDK_TYPE_FLAT || has_control(p, rest))
		return refuse(p, rest.at, "%s extent ends in \"%s\", which has no meaning there",
			      vmdk_extent_type_name(ext->type), quote(p, rest));
	ext->device_id = copy(p, rest);
	return ext->device_id ? 0 : -ENOMEM;
}

static int parse_extent(struct parser *p, struct slice line)
{
	struct vmdk_desc_extent *ext;
	int ret;

	if (p->desc->nr_extents == VMDK_MAX_EXTENTS)
		return refuse(p, line.at, "more than %d extents are not supported",
			      VMDK_MAX_EXTENTS);
	ext = new_extent(p);
	if (!ext)
		return -ENOMEM;
	ret = extent_access(p, next_word(p, &line), ext);
	if (!ret)
		ret = extent_sectors(p, next_word(p, &line), ext);
	if (!ret)
		ret = extent_type(p, next_word(p, &line), ext);
	if (!ret && ext->type != VMDK_TYPE_ZERO)
		ret = extent_name(p, &line, ext);
	if (!ret && ext->type != VMDK_TYPE_ZERO)
		ret = extent_offset(p, &line, ext);
	if (!ret)
		ret = extent_device(p, line, ext);
	return ret;
}

/* ------------------------------------------------------------------ text */

static int parse_line(struct parser *p, struct slice line)
{
	struct slice name, value;

	line = trim(p, line);
	if (!length(line) || p->text[line.at] == '#')
		return 0;
	if (split_key(p, line, &name, &value))
		return parse_key(p, name, value);
	if (is_extent_like(p, line))
		return parse_extent(p, line);
	return 0;
}

/* ASCII in UTF-16 has a zero in every other byte; a mark may be in front. */
static bool is_utf16(const char *text, size_t size)
{
	if (size < 4)
		return false;
	if (!memcmp(text, "\xff\xfe", 2) || !memcmp(text, "\xfe\xff", 2))
		return true;
	return (text[0] && !text[1] && text[2] && !text[3]) ||
	       (!text[0] && text[1] && !text[2] && text[3]);
}

static int parse_lines(struct parser *p)
{
	size_t at = p->size >= 3 && !memcmp(p->text, "\xef\xbb\xbf", 3) ? 3 : 0;
	/* A lone CR ends a line only where no line ends otherwise. */
	char newline = memchr(p->text, '\n', p->size) ? '\n' : '\r';
	int ret = 0;

	while (!ret && at < p->size) {
		const char *end = memchr(p->text + at, newline, p->size - at);
		struct slice line = { at, end ? (size_t)(end - p->text) : p->size };

		p->line++;
		ret = parse_line(p, line);
		at = line.end + 1;
	}
	return ret;
}

static int check_whole(struct parser *p)
{
	const struct vmdk_descriptor *desc = p->desc;

	p->line = 0;
	if (!desc->nr_extents && !p->seen_version && !p->seen_parent &&
	    !desc->has_cid && !desc->create_type)
		return refuse(p, 0, "this is not a VMDK descriptor");
	if (!desc->nr_extents)
		return refuse(p, 0, "there is no extent in it");
	if (desc->has_cid && desc->cid == desc->parent_cid &&
	    desc->cid != CID_NO_PARENT && desc->cid != VMDK_CID_IN_LONG)
		return refuse(p, desc->cid_span.offset,
			      "CID and parentCID are both %08x: the disk would be its own parent",
			      desc->cid);
	return 0;
}

static int parse(struct parser *p, size_t size)
{
	int ret;

	if (size > TEXT_MAX)
		return refuse(p, TEXT_MAX, "the text has %zu bytes, at most %zu are supported",
			      size, TEXT_MAX);
	if (is_utf16(p->text, size))
		return refuse(p, 0, "the text is UTF-16, expected UTF-8 or another 8-bit encoding");
	p->size = strnlen(p->text, size);
	ret = parse_lines(p);
	if (!ret)
		ret = check_whole(p);
	if (!ret && !p->desc->encoding) {
		p->desc->encoding = p->ddb_encoding;
		p->ddb_encoding = NULL;
	}
	return ret;
}

/**
 * vmdk_descriptor_parse - read the text of a descriptor
 * @text: the bytes; need not end in a NUL, but one ends the text: an embedded
 *	descriptor may have stale bytes behind it
 * @size: how many
 * @desc: receives the result; on failure there is nothing in it to free
 * @fault: receives the reason of a refusal
 *
 * Return: 0, -EINVAL with @fault set, or -ENOMEM.
 */
int vmdk_descriptor_parse(const char *text, size_t size,
			  struct vmdk_descriptor *desc,
			  struct vmdk_text_fault *fault)
{
	struct parser p = { .text = text, .desc = desc, .fault = fault };
	int ret;

	memset(desc, 0, sizeof(*desc));
	memset(fault, 0, sizeof(*fault));
	desc->version = 1;
	desc->parent_cid = CID_NO_PARENT;
	ret = parse(&p, size);
	free(p.ddb_encoding);
	if (ret)
		vmdk_descriptor_free(desc);
	return ret;
}

/**
 * vmdk_descriptor_free - free what vmdk_descriptor_parse() allocated
 * @desc: the result of it; empty afterwards
 */
void vmdk_descriptor_free(struct vmdk_descriptor *desc)
{
	size_t i;

	for (i = 0; i < desc->nr_extents; i++) {
		free(desc->extents[i].name);
		free(desc->extents[i].device_id);
	}
	free(desc->extents);
	free(desc->encoding);
	free(desc->long_content_id);
	free(desc->create_type);
	free(desc->parent_hint);
	free(desc->change_track);
	free(desc->adapter_type);
	free(desc->uuid);
	free(desc->hw_version);
	free(desc->tools_version);
	free(desc->thin_provisioned);
	memset(desc, 0, sizeof(*desc));
}
