/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of opening images share: each runs in a folder of its own, makes
 * its files there, and sees what the open says.
 */
#ifndef SCAFFOLD_H
#define SCAFFOLD_H

#include "image.h"
#include "mkvmdk.h"

#define HEAD	"# Disk DescriptorFile\nversion=1\nCID=1234abcd\n" \
		"parentCID=ffffffff\n"
#define TYPE(t)	HEAD "createType=\"" t "\"\n"
#define NR_OF(array)	(sizeof(array) / sizeof((array)[0]))
#define TEST(f)	cmocka_unit_test_setup_teardown(f, in_folder, remove_folder)

extern const struct vmdk_open_options reading, writing, info;
extern char message[16384];	/* what the last open wrote to stderr */

/* Setup and teardown of a test; *state is the folder's name. */
int in_folder(void **state);
int remove_folder(void **state);

void put(const char *name, const void *bytes, size_t size);
void put_text(const char *name, const char *text);
void put_flat(const char *name, off_t sectors);

/* A hosted sparse file; its descriptor, if any, is @text. */
void make_sparse(struct mk_image *m, const struct mk_options *opt,
		 const char *text);
void save(struct mk_image *m, const char *name);
void put_sparse(const char *name, uint64_t capacity, const char *text);

int try_image(const char *path, const struct vmdk_open_options *opt,
	      struct vmdk_image **image);
/* Insist on success without a word. */
struct vmdk_image *accept(const char *path,
			  const struct vmdk_open_options *opt);
/* Insist on @expected and one line that begins with the tool and has @words. */
void refuse(const char *path, const struct vmdk_open_options *opt,
	    int expected, const char *words);

/* Setup and teardown of a group: it must leave no file open. */
int note_open_fds(void **state);
int check_open_fds(void **state);

#endif
