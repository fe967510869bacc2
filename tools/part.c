// SPDX-License-Identifier: GPL-2.0
/*
 * Reading a file that lies, in one range or several, in another.
 */
#define _GNU_SOURCE	/* reallocarray */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "part.h"

/**
 * vmdk_windows_add - put one more range behind those that are there
 * @windows: zeroed before the first call
 * @offset: byte of the outer file
 * @length: bytes; nothing is added when there are none
 *
 * Return: 0; -ENOMEM; -EOVERFLOW.
 */
int vmdk_windows_add(struct vmdk_windows *windows, uint64_t offset,
		     uint64_t length)
{
	struct vmdk_window *list;
	uint64_t bytes, end;

	if (!length)
		return 0;
	if (__builtin_add_overflow(windows->bytes, length, &bytes) ||
	    __builtin_add_overflow(offset, length, &end))
		return -EOVERFLOW;
	list = reallocarray(windows->list, windows->nr + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	list[windows->nr++] = (struct vmdk_window){
		.start = windows->bytes, .offset = offset, .length = length,
	};
	windows->list = list;
	windows->bytes = bytes;
	return 0;
}

/**
 * vmdk_windows_copy - make a list of the same ranges
 * @windows: receives them; to be freed on success
 * @from: the ranges, perhaps none
 *
 * Return: 0 or -ENOMEM.
 */
int vmdk_windows_copy(struct vmdk_windows *windows,
		      const struct vmdk_windows *from)
{
	struct vmdk_window *list = NULL;

	if (from->nr) {
		list = reallocarray(NULL, from->nr, sizeof(*list));
		if (!list)
			return -ENOMEM;
		memcpy(list, from->list, from->nr * sizeof(*list));
	}
	*windows = *from;
	windows->list = list;
	return 0;
}

/**
 * vmdk_windows_free - free what vmdk_windows_add() allocated
 * @windows: empty afterwards
 */
void vmdk_windows_free(struct vmdk_windows *windows)
{
	free(windows->list);
	memset(windows, 0, sizeof(*windows));
}

/* The window that @pos lies in, or NULL behind the last one. */
static const struct vmdk_window *find_window(const struct vmdk_windows *windows,
					     uint64_t pos)
{
	size_t first = 0, last = windows->nr;

	while (first < last) {
		size_t middle = first + (last - first) / 2;
		const struct vmdk_window *w = &windows->list[middle];

		if (pos < w->start)
			last = middle;
		else if (pos - w->start >= w->length)
			first = middle + 1;
		else
			return w;
	}
	return NULL;
}

/**
 * vmdk_part_pread - read some of a range, as pread() does
 * @part: what is read
 * @buf: receives the bytes
 * @size: how many
 * @pos: byte of the part
 *
 * Return: how many bytes there are before a window, or the file, ends; 0 at the
 * end; -1 with errno set.
 */
ssize_t vmdk_part_pread(const struct vmdk_part *part, void *buf, size_t size,
			uint64_t pos)
{
	const struct vmdk_window *w;

	pos += part->base;
	if (!part->windows)
		return pread(part->fd, buf, size, (off_t)pos);
	w = find_window(part->windows, pos);
	if (!w)
		return 0;
	pos -= w->start;
	if (size > w->length - pos)
		size = w->length - pos;
	return pread(part->fd, buf, size, (off_t)(w->offset + pos));
}

/**
 * vmdk_part_read - read all of a range
 * @part: what is read
 * @buf: receives the bytes
 * @size: how many
 * @pos: byte of the part
 *
 * Return: 0, -errno, or -EIO when the file ends early (it shrank meanwhile).
 */
int vmdk_part_read(const struct vmdk_part *part, void *buf, size_t size,
		   uint64_t pos)
{
	char *p = buf;

	while (size) {
		ssize_t n = vmdk_part_pread(part, p, size, pos);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		p += n;
		pos += (uint64_t)n;
		size -= (size_t)n;
	}
	return 0;
}
