// SPDX-License-Identifier: GPL-2.0
/*
 * parentFileNameHint: the file that a child takes for its parent.
 *
 * A name that is relative is looked up as the name of an extent is.  One that is
 * absolute is taken beneath the folders that the caller allows.  Else, and where
 * it is of another system, it was true where the disk was made; the parent is then
 * looked for by the last part of it, beside the child, and in the folders that the
 * caller allows.  Were that another disk, its content id would tell.
 */
#define _GNU_SOURCE	/* asprintf, O_PATH */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hint.h"

/**
 * vmdk_hint_base - the last part of a name
 * @hint: a name of any system
 *
 * Return: what is behind the last separator, within @hint.
 */
const char *vmdk_hint_base(const char *hint)
{
	bool foreign = vmdk_foreign_name(hint);
	const char *base = hint, *p;

	for (p = hint; *p; p++)
		if (*p == '/' || (foreign && *p == '\\'))
			base = p + 1;
	if (foreign && base == hint && hint[0] == '[')
		base = strstr(hint, "] ") + 2;
	else if (foreign && base == hint && hint[1] == ':')
		base = hint + 2;
	return base;
}

static bool is_elsewhere(const char *hint)
{
	return hint[0] == '/' || vmdk_foreign_name(hint);
}

/* Only then something else may be tried. */
static bool is_absent(int ret)
{
	return ret == -ENOENT || ret == -EXDEV || ret == -ENOTDIR;
}

static void forget(char **path, char **why)
{
	free(*path);
	free(*why);
	*path = NULL;
	*why = NULL;
}

static bool is_child(const struct vmdk_folder *folder, const struct stat *st)
{
	struct stat child;

	return !fstatat(folder->fd, folder->name, &child, AT_SYMLINK_NOFOLLOW) &&
	       child.st_dev == st->st_dev && child.st_ino == st->st_ino;
}

/* A parent may have the name of its child, in another folder. */
static int unless_child(const struct vmdk_folder *folder, int fd,
			const struct stat *st)
{
	if (fd < 0 || !is_child(folder, st))
		return fd;
	close(fd);
	return -ENOENT;
}

static int open_other(const struct vmdk_folder *folder, const char *name,
		      char **path, struct stat *st, char **why)
{
	int fd;

	forget(path, why);
	fd = vmdk_folder_open_file(folder, name, O_RDONLY, path, st, why);
	return unless_child(folder, fd, st);
}

/* Open @base in the allowed folder @dir, and not below it. */
static int open_in(char *dir, const char *base, char **path, struct stat *st,
		   char **why)
{
	struct vmdk_folder folder = { .path = dir };
	int fd;

	folder.fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (folder.fd < 0)
		return vmdk_refuse(why, -errno, "%s: cannot be opened: %m", dir);
	fd = vmdk_folder_open_file(&folder, base, O_RDONLY, path, st, why);
	close(folder.fd);
	return fd;
}

static int open_allowed(const struct vmdk_folder *folder, const char *base,
			char **path, struct stat *st, char **why)
{
	char **dir;
	int fd = -ENOENT;

	for (dir = folder->allow_paths; dir && *dir && is_absent(fd); dir++) {
		forget(path, why);
		fd = open_in(*dir, base, path, st, why);
		fd = unless_child(folder, fd, st);
	}
	return fd;
}

/* The child itself comes last, for the caller to say that it is. */
static int open_base(const struct vmdk_folder *folder, const char *hint,
		     const char *base, char **path, struct stat *st, char **why)
{
	int fd = -ENOENT;

	if (hint[0] == '/')
		fd = open_other(folder, hint, path, st, why);
	if (is_absent(fd))
		fd = open_other(folder, base, path, st, why);
	if (is_absent(fd))
		fd = open_allowed(folder, base, path, st, why);
	if (is_absent(fd)) {
		forget(path, why);
		fd = vmdk_folder_open_file(folder, base, O_RDONLY, path, st,
					   why);
	}
	if (!is_absent(fd))
		return fd;
	forget(path, why);
	return vmdk_refuse(why, -ENOENT,
			   "there is no \"%s\" in %s%s", base, folder->path,
			   folder->allow_paths && *folder->allow_paths ?
			   ", nor in a folder given by --allow-path" :
			   "; other folders are only searched when given by --allow-path");
}

static int open_elsewhere(const struct vmdk_folder *folder, const char *hint,
			  char **path, struct stat *st, char **why)
{
	const char *base = vmdk_hint_base(hint);

	if (!*base || !strcmp(base, ".") || !strcmp(base, ".."))
		return vmdk_refuse(why, -EINVAL, "this is no name of a file");
	return open_base(folder, hint, base, path, st, why);
}

/**
 * vmdk_hint_open - open the parent that a child names
 * @folder: of the child's descriptor
 * @hint: as written there
 * @path: receives the name of the file for messages, to be freed; or NULL
 * @st: receives its attributes
 * @why: receives the reason of a refusal
 *
 * Half of a character may look like a backslash, so a name in an encoding that
 * has such ones is converted before it is cut.
 *
 * Return: a descriptor of a regular file, open for reading, or -errno.
 */
int vmdk_hint_open(const struct vmdk_folder *folder, const char *hint,
		   char **path, struct stat *st, char **why)
{
	char *utf8;
	int fd;

	*path = NULL;
	if (!is_elsewhere(hint))
		return vmdk_folder_open_file(folder, hint, O_RDONLY, path, st,
					     why);
	utf8 = vmdk_name_to_utf8(hint, folder->encoding);
	if (utf8 && !is_elsewhere(utf8))
		fd = vmdk_folder_open_file(folder, hint, O_RDONLY, path, st,
					   why);
	else
		fd = open_elsewhere(folder, utf8 ? utf8 : hint, path, st, why);
	free(utf8);
	return fd;
}
