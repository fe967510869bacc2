// SPDX-License-Identifier: GPL-2.0
/*
 * The text of a manifest (DSP0243, "Manifest"): lines of "SHA256(name)= sum".
 *
 * A blank in front of the parenthesis (VirtualBox) and the name SHA2-256
 * (OpenSSL 3) are also accepted.
 */
#define _GNU_SOURCE	/* reallocarray */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "manifest.h"

#define LINES_MAX	16384	/* each member, with each kind of sum */

static const struct {
	const char *name;
	enum vmdk_sum_kind kind;
} kinds[] = {
	{ "SHA1", VMDK_SUM_SHA1 },
	{ "SHA256", VMDK_SUM_SHA256 },
	{ "SHA2-256", VMDK_SUM_SHA256 },
	{ "SHA384", VMDK_SUM_SHA384 },
	{ "SHA2-384", VMDK_SUM_SHA384 },
	{ "SHA512", VMDK_SUM_SHA512 },
	{ "SHA2-512", VMDK_SUM_SHA512 },
};

struct reader {
	const char *text;
	unsigned int line;
	size_t room;
	struct vmdk_manifest *manifest;
	struct vmdk_text_fault *fault;
};

/* @at: what is at fault */
__printf(3, 4)
static int refuse(struct reader *r, const char *at, const char *fmt, ...)
{
	va_list args;

	r->fault->offset = at - r->text;
	r->fault->line = r->line;
	va_start(args, fmt);
	vsnprintf(r->fault->text, sizeof(r->fault->text), fmt, args);
	va_end(args);
	return -EINVAL;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static const char *skip_blanks(const char *p, const char *end)
{
	while (p < end && is_blank(*p))
		p++;
	return p;
}

static const char *strip_blanks(const char *start, const char *end)
{
	while (end > start && is_blank(end[-1]))
		end--;
	return end;
}

/**
 * vmdk_sum_bytes - how long is a sum?
 * @kind: of the sum
 *
 * Return: its bytes.
 */
size_t vmdk_sum_bytes(enum vmdk_sum_kind kind)
{
	static const size_t bytes[VMDK_SUM_KINDS] = { 20, 32, 48, 64 };

	return bytes[kind];
}

static int take_kind(struct reader *r, const char *start, const char *end,
		     enum vmdk_sum_kind *kind)
{
	size_t len = (size_t)(end - start), i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (len != strlen(kinds[i].name) ||
		    strncasecmp(start, kinds[i].name, len))
			continue;
		*kind = kinds[i].kind;
		return 0;
	}
	return refuse(r, start, "sums of kind \"%.*s\" are not known",
		      len < 32 ? (int)len : 32, start);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int take_sum(struct reader *r, const char *start, const char *end,
		    struct vmdk_manifest_line *line)
{
	size_t bytes = vmdk_sum_bytes(line->kind), i;

	if ((size_t)(end - start) != 2 * bytes)
		return refuse(r, start, "the sum has %zu digits, not %zu",
			      (size_t)(end - start), 2 * bytes);
	for (i = 0; i < bytes; i++) {
		int high = hex_digit(start[2 * i]);
		int low = hex_digit(start[2 * i + 1]);

		if (high < 0 || low < 0)
			return refuse(r, start + 2 * i,
				      "the sum is not hexadecimal");
		line->sum[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

/* Is there room for one more? */
static bool make_room(struct reader *r)
{
	struct vmdk_manifest *m = r->manifest;
	size_t room = r->room ? 2 * r->room : 16;
	struct vmdk_manifest_line *lines;

	if (m->nr < r->room)
		return true;
	lines = reallocarray(m->lines, room, sizeof(*lines));
	if (!lines)
		return false;
	m->lines = lines;
	r->room = room;
	return true;
}

/* One more line, or NULL with *@ret set. */
static struct vmdk_manifest_line *add_line(struct reader *r, const char *at,
					   int *ret)
{
	struct vmdk_manifest *m = r->manifest;
	struct vmdk_manifest_line *line;

	if (m->nr == LINES_MAX) {
		*ret = refuse(r, at, "the manifest has too many lines");
		return NULL;
	}
	if (!make_room(r)) {
		*ret = -ENOMEM;
		return NULL;
	}
	line = &m->lines[m->nr++];
	memset(line, 0, sizeof(*line));
	line->line = r->line;
	return line;
}

/* A name may have anything in it but a line's end; the sum has no '='. */
static int take_line(struct reader *r, const char *start, const char *end)
{
	const char *open = memchr(start, '(', (size_t)(end - start));
	const char *equal = memrchr(start, '=', (size_t)(end - start));
	const char *close = equal ? strip_blanks(start, equal) : NULL;
	struct vmdk_manifest_line *line;
	int ret;

	if (!open || !equal || close <= open + 2 || close[-1] != ')' ||
	    memchr(start, '\0', (size_t)(end - start)))
		return refuse(r, start, "this is not of the form SHA256(name)= sum");
	line = add_line(r, start, &ret);
	if (!line)
		return ret;
	ret = take_kind(r, start, strip_blanks(start, open), &line->kind);
	if (!ret)
		ret = take_sum(r, skip_blanks(equal + 1, end), end, line);
	if (ret)
		return ret;
	line->name = strndup(open + 1, (size_t)(close - 1 - (open + 1)));
	return line->name ? 0 : -ENOMEM;
}

/**
 * vmdk_manifest_parse - read a manifest
 * @text: the bytes
 * @size: how many, up to VMDK_MANIFEST_BYTES_MAX
 * @manifest: receives the lines, of which there may be none; empty after a
 *	failure
 * @fault: says what is wrong, and where, after -EINVAL
 *
 * Return: 0, -EINVAL or -ENOMEM.
 */
int vmdk_manifest_parse(const char *text, size_t size,
			struct vmdk_manifest *manifest,
			struct vmdk_text_fault *fault)
{
	struct reader r = {
		.text = text, .manifest = manifest, .fault = fault,
	};
	const char *p = text, *end = text + size;
	int ret = 0;

	memset(manifest, 0, sizeof(*manifest));
	while (!ret && p < end) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));
		const char *stop = newline ? newline : end;
		const char *start = skip_blanks(p, stop);

		p = newline ? newline + 1 : end;
		r.line++;
		if (stop > start && stop[-1] == '\r')
			stop--;
		stop = strip_blanks(start, stop);
		if (stop > start)
			ret = take_line(&r, start, stop);
	}
	if (ret)
		vmdk_manifest_free(manifest);
	return ret;
}

/**
 * vmdk_manifest_free - free what vmdk_manifest_parse() allocated
 * @manifest: empty afterwards
 */
void vmdk_manifest_free(struct vmdk_manifest *manifest)
{
	size_t i;

	for (i = 0; i < manifest->nr; i++)
		free(manifest->lines[i].name);
	free(manifest->lines);
	memset(manifest, 0, sizeof(*manifest));
}
