// SPDX-License-Identifier: GPL-2.0
/*
 * usage: vmdkread IMAGE RAW
 *
 * Writes to RAW what libvmdk reads of IMAGE, with its parents, which are in the
 * same folder.
 */
#include <libgen.h>
#include <libvmdk.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEP	(1U << 20)

static _Noreturn void fail(const char *what, libvmdk_error_t *error)
{
	fprintf(stderr, "vmdkread: %s: ", what);
	libvmdk_error_backtrace_fprint(error, stderr);
	exit(1);
}

static libvmdk_handle_t *open_chain(const char *path);

/* A name without a folder, as it is in the descriptor, is in the child's. */
static void open_parent(libvmdk_handle_t *handle, const char *path)
{
	char name[1024], parent[4096], *folder = strdup(path);
	libvmdk_error_t *error = NULL;
	int found;

	found = libvmdk_handle_get_utf8_parent_filename(handle, (uint8_t *)name,
							sizeof(name), &error);
	if (found < 0)
		fail(path, error);
	if (found) {
		snprintf(parent, sizeof(parent), "%s/%s", dirname(folder),
			 basename(name));
		if (libvmdk_handle_set_parent_handle(handle, open_chain(parent),
						     &error) != 1)
			fail(parent, error);
	}
	free(folder);
}

static libvmdk_handle_t *open_chain(const char *path)
{
	libvmdk_handle_t *handle = NULL;
	libvmdk_error_t *error = NULL;

	if (libvmdk_handle_initialize(&handle, &error) != 1 ||
	    libvmdk_handle_open(handle, path, LIBVMDK_OPEN_READ, &error) != 1 ||
	    libvmdk_handle_open_extent_data_files(handle, &error) != 1)
		fail(path, error);
	open_parent(handle, path);
	return handle;
}

int main(int argc, char **argv)
{
	libvmdk_error_t *error = NULL;
	libvmdk_handle_t *handle;
	size64_t size, at = 0;
	uint8_t *buf = malloc(STEP);
	FILE *out;

	if (argc != 3 || !buf)
		return 2;
	handle = open_chain(argv[1]);
	if (libvmdk_handle_get_media_size(handle, &size, &error) != 1)
		fail(argv[1], error);
	out = fopen(argv[2], "we");
	while (out && at < size) {
		size_t want = size - at < STEP ? size - at : STEP;
		ssize_t got = libvmdk_handle_read_buffer_at_offset(handle, buf, want,
								   at, &error);

		if (got <= 0)
			fail(argv[1], error);
		if (fwrite(buf, got, 1, out) != 1)
			break;
		at += got;
	}
	if (!out || fclose(out) || at < size) {
		perror(argv[2]);
		return 1;
	}
	return 0;
}
