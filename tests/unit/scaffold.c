// SPDX-License-Identifier: GPL-2.0
/*
 * What the tests of opening images share; see scaffold.h.
 */
#define _GNU_SOURCE	/* nftw */
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "scaffold.h"

const struct vmdk_open_options reading = { .lock = true };
const struct vmdk_open_options writing = { .write = true, .lock = true };
const struct vmdk_open_options info = { .no_extents = true };
char message[16384];

int in_folder(void **state)
{
	char *folder = strdup("/tmp/vmdk-test-XXXXXX");

	*state = folder;
	return !folder || !mkdtemp(folder) || chdir(folder);
}

static int remove_one(const char *path, const struct stat *st, int flag,
		      struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

int remove_folder(void **state)
{
	int ret = chdir("/") || nftw(*state, remove_one, 8, FTW_DEPTH | FTW_PHYS);

	free(*state);
	return ret;
}

void put(const char *name, const void *bytes, size_t size)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
}

void put_text(const char *name, const char *text)
{
	put(name, text, strlen(text));
}

void put_flat(const char *name, off_t sectors)
{
	put(name, "", 0);
	assert_int_equal(truncate(name, sectors * 512), 0);
}

void make_sparse(struct mk_image *m, const struct mk_options *opt,
		 const char *text)
{
	struct mk_options options = *opt;

	options.no_descriptor = !text;
	mk_create(m, &options);
	if (text)
		memcpy(m->bytes + mk_get(m, MK_DESC_OFFSET, 8) * 512, text,
		       strlen(text) + 1);
}

void save(struct mk_image *m, const char *name)
{
	close(mk_save(m, name));
	mk_free(m);
}

void put_sparse(const char *name, uint64_t capacity, const char *text)
{
	struct mk_image m;

	make_sparse(&m, &(struct mk_options){ .capacity = capacity }, text);
	save(&m, name);
}

/* Open, and keep what went to stderr. */
int try_image(const char *path, const struct vmdk_open_options *opt,
	      struct vmdk_image **image)
{
	char name[] = "/tmp/vmdk-stderr-XXXXXX";
	int saved = dup(STDERR_FILENO), fd = mkstemp(name), ret;
	ssize_t size;

	assert_true(saved >= 0 && fd >= 0);
	unlink(name);
	fflush(stderr);
	dup2(fd, STDERR_FILENO);
	*image = (void *)-1L;
	ret = vmdk_image_open(path, opt, image);
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	size = pread(fd, message, sizeof(message) - 1, 0);
	message[size > 0 ? size : 0] = '\0';
	close(saved);
	close(fd);
	return ret;
}

struct vmdk_image *accept(const char *path,
			  const struct vmdk_open_options *opt)
{
	struct vmdk_image *image;
	int ret = try_image(path, opt, &image);

	if (ret)
		print_error("%s: %d, %s", path, ret, message);
	assert_int_equal(ret, 0);
	assert_string_equal(message, "");
	return image;
}

void refuse(const char *path, const struct vmdk_open_options *opt,
	    int expected, const char *words)
{
	struct vmdk_image *image;
	int ret = try_image(path, opt, &image);
	char *newline = strchr(message, '\n');

	if (ret != expected || !strstr(message, words))
		print_error("%s: %d, not %d; %s, not %s\n", path, ret, expected,
			    message, words);
	assert_int_equal(ret, expected);
	assert_null(image);
	assert_memory_equal(message, "vmdkctl: ", 9);
	assert_non_null(newline);
	assert_string_equal(newline, "\n");
	assert_non_null(strstr(message, words));
}

static int open_fds(void)
{
	int fd, nr = 0;

	for (fd = 0; fd < 256; fd++)
		nr += fcntl(fd, F_GETFD) >= 0;
	return nr;
}

static int fds_before;

int note_open_fds(void **state)
{
	(void)state;
	fds_before = open_fds();
	return 0;
}

int check_open_fds(void **state)
{
	(void)state;
	return open_fds() != fds_before;
}
