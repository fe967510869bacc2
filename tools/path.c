// SPDX-License-Identifier: GPL-2.0
/*
 * Names out of a descriptor, and what may be opened through them.
 */
#define _GNU_SOURCE	/* O_PATH, vasprintf */
#include <errno.h>
#include <fcntl.h>
#include <iconv.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "path.h"
#include "printable.h"

/* Neither a FIFO nor a lease may make us wait, nor a terminal become ours. */
#define SAFE_FLAGS	(O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

/**
 * vmdk_refuse - keep the reason of a refusal
 * @why: receives the reason, to be freed; NULL when there is no memory for it
 * @ret: the error
 * @fmt: one line without newline; begins with the name of the file
 *
 * Return: @ret.
 */
int vmdk_refuse(char **why, int ret, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	if (vasprintf(why, fmt, args) < 0)
		*why = NULL;
	va_end(args);
	if (*why)
		vmdk_make_printable(*why);
	return ret;
}

/**
 * vmdk_check_regular - is what was opened a file that can hold a disk?
 * @fd: what was opened
 * @path: its name, for the message
 * @st: receives its attributes
 * @why: receives the reason of a refusal
 *
 * Files of procfs and sysfs claim to be regular, but are windows into the
 * memory of processes and into drivers.
 *
 * Return: 0; -EISDIR or -ENODEV when it is none; -errno.
 */
int vmdk_check_regular(int fd, const char *path, struct stat *st, char **why)
{
	struct statfs fs;

	if (fstat(fd, st) || fstatfs(fd, &fs))
		return vmdk_refuse(why, -errno, "%s: cannot be examined: %m",
				   path);
	if (S_ISDIR(st->st_mode))
		return vmdk_refuse(why, -EISDIR, "%s: is a directory", path);
	if (!S_ISREG(st->st_mode))
		return vmdk_refuse(why, -ENODEV, "%s: is not a regular file",
				   path);
	if (fs.f_type == PROC_SUPER_MAGIC || fs.f_type == SYSFS_MAGIC)
		return vmdk_refuse(why, -ENODEV, "%s: is a file of the kernel, not of a disk",
				   path);
	return 0;
}

/* From here on O_NONBLOCK has done its work. */
static int checked(int fd, const char *path, struct stat *st, char **why)
{
	int ret = vmdk_check_regular(fd, path, st, why);

	if (!ret && fcntl(fd, F_SETFL, 0))
		ret = vmdk_refuse(why, -errno, "%s: cannot be set up: %m", path);
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

static int refuse_open(const char *path, int flags, char **why)
{
	bool write = (flags & O_ACCMODE) != O_RDONLY;
	int err = errno;

	/* A special file, unless the system lies: the name says it better. */
	if (err == ENXIO)
		return vmdk_refuse(why, -ENODEV, "%s: is not a regular file",
				   path);
	if (err == EISDIR)
		return vmdk_refuse(why, -EISDIR, "%s: is a directory", path);
	return vmdk_refuse(why, -err, "%s: cannot be opened%s: %s", path,
			   write ? " for writing" : "", strerror(err));
}

/**
 * vmdk_open_named - open a file that the user named
 * @path: its name; may be, or lead through, a symbolic link
 * @flags: O_RDONLY or O_RDWR
 * @st: receives its attributes
 * @why: receives the reason of a refusal
 *
 * Return: a descriptor of a regular file, or -errno.
 */
int vmdk_open_named(const char *path, int flags, struct stat *st, char **why)
{
	int fd = open(path, flags | SAFE_FLAGS);

	if (fd < 0)
		return refuse_open(path, flags, why);
	return checked(fd, path, st, why);
}

/**
 * vmdk_open_device - open a block device that the user named
 * @path: its name; may be, or lead through, a symbolic link
 * @flags: O_RDONLY or O_RDWR; nothing that is mounted, or part of something else,
 *	is opened for writing, and the module claims it for good
 * @st: receives its attributes
 * @why: receives the reason of a refusal
 *
 * Return: a descriptor of a block device, or -errno.
 */
int vmdk_open_device(const char *path, int flags, struct stat *st, char **why)
{
	bool write = (flags & O_ACCMODE) != O_RDONLY;
	int fd, claim = -1, ret = 0;

	if (write)
		claim = open(path, flags | SAFE_FLAGS | O_EXCL);
	fd = write && claim < 0 ? -1 : open(path, flags | SAFE_FLAGS);
	if (claim >= 0)
		close(claim);
	if (fd < 0 && errno == EBUSY)
		return vmdk_refuse(why, -EBUSY, "%s: is mounted or in other use",
				   path);
	if (fd < 0)
		return vmdk_refuse(why, -errno, "%s: cannot be opened%s: %m",
				   path, write ? " for writing" : "");
	if (fstat(fd, st) || fcntl(fd, F_SETFL, 0))
		ret = vmdk_refuse(why, -errno, "%s: cannot be examined: %m",
				  path);
	else if (!S_ISBLK(st->st_mode))
		ret = vmdk_refuse(why, -EINVAL, "%s: is not a block device",
				  path);
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

/* A link may have been put into its path since it was opened. */
static bool lies_in(int folder, const char *name, int fd)
{
	struct stat a, b;

	return !fstatat(folder, name, &a, AT_SYMLINK_NOFOLLOW) &&
	       !fstat(fd, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/**
 * vmdk_folder_open - open the folder that a descriptor lies in
 * @file: the descriptor, as the user named it
 * @fd: the same, open
 * @folder: receives it; to be closed, even after a failure
 * @why: receives the reason of a refusal
 *
 * A symbolic link is followed here, because the user chose it: the extents lie
 * where the descriptor lies.
 *
 * Return: 0 or -errno.
 */
int vmdk_folder_open(const char *file, int fd, struct vmdk_folder *folder,
		     char **why)
{
	char *slash;

	memset(folder, 0, sizeof(*folder));
	folder->fd = -1;
	folder->path = realpath(file, NULL);
	if (!folder->path)
		return vmdk_refuse(why, -errno, "%s: its folder cannot be found: %m",
				   file);
	slash = strrchr(folder->path, '/');
	folder->name = strdup(slash + 1);
	if (!folder->name)
		return vmdk_refuse(why, -ENOMEM, "%s: %s", file,
				   strerror(ENOMEM));
	slash[slash == folder->path] = '\0';
	folder->fd = open(folder->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (folder->fd < 0)
		return vmdk_refuse(why, -errno, "%s: cannot be opened: %m",
				   folder->path);
	if (!lies_in(folder->fd, folder->name, fd))
		return vmdk_refuse(why, -ESTALE,
				   "%s: was moved while it was being opened",
				   file);
	return 0;
}

/**
 * vmdk_folder_close - undo vmdk_folder_open()
 * @folder: may have failed to open
 */
void vmdk_folder_close(struct vmdk_folder *folder)
{
	if (folder->fd >= 0)
		close(folder->fd);
	free(folder->path);
	free(folder->name);
	folder->fd = -1;
	folder->path = NULL;
	folder->name = NULL;
}

/* ------------------------------------------------------------------ names */

/**
 * vmdk_foreign_name - is a name one of another system?
 * @name: as written in a descriptor
 *
 * Names of extents that are so are never mapped to a file here: the last
 * component of "C:\vm\x.vmdk" may well be the name of another disk in this folder.
 *
 * Return: what it is, for a message; NULL when it may be a name here.
 */
const char *vmdk_foreign_name(const char *name)
{
	if (strchr(name, '\\') ||
	    (((name[0] | 0x20) >= 'a' && (name[0] | 0x20) <= 'z') &&
	     name[1] == ':'))
		return "is a Windows path";
	if (name[0] == '[' && strstr(name, "] "))
		return "is a path on a datastore";
	return NULL;
}

/* The part of @name behind the folder @dir, or NULL. */
static const char *behind(const char *name, const char *dir)
{
	size_t len = strlen(dir);

	while (len && dir[len - 1] == '/')
		len--;
	if (strncmp(name, dir, len) || name[len] != '/')
		return NULL;
	while (name[len] == '/')
		len++;
	return name + len;
}

/**
 * vmdk_has_dotdot - is a component of a name ".."?
 * @name: components separated by slashes
 *
 * Return: true when it has one.
 */
bool vmdk_has_dotdot(const char *name)
{
	while (name) {
		if (name[0] == '.' && name[1] == '.' &&
		    (name[2] == '/' || !name[2]))
			return true;
		name = strchr(name, '/');
		if (name)
			name++;
	}
	return false;
}

/**
 * vmdk_normalise - make "/a/c/d" out of a folder "/a/b" and a name "../c/./d"
 * @folder: an absolute name
 * @name: relative to it, or absolute
 *
 * Text only.  That "b" may be a symbolic link does no harm, for the outcome is
 * opened as it stands here.
 *
 * Return: the name, to be freed; NULL without memory.
 */
char *vmdk_normalise(const char *folder, const char *name)
{
	char *path, *in, *out, *part;

	if (name[0] == '/')
		folder = "";
	if (asprintf(&path, "/%s/%s", folder, name) < 0)
		return NULL;
	out = path;
	in = path;
	while ((part = strsep(&in, "/"))) {
		size_t len = strlen(part);

		if (!len || !strcmp(part, "."))
			continue;
		if (!strcmp(part, "..")) {
			while (out > path && *--out != '/')
				;
			continue;
		}
		*out++ = '/';
		memmove(out, part, len);
		out += len;
	}
	*out = '\0';
	return path;
}

/* openat2() has no wrapper in the C library. */
static int open_beneath(int dir, const char *name, int flags)
{
	struct open_how how = {
		.flags = flags | SAFE_FLAGS | O_NOFOLLOW,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS |
			   RESOLVE_NO_SYMLINKS,
	};

	return syscall(SYS_openat2, dir, name, &how, sizeof(how));
}

static int opened(int fd, int flags, const char *path, struct stat *st,
		  char **why)
{
	if (fd >= 0)
		return checked(fd, path, st, why);
	if (errno == ELOOP)
		return vmdk_refuse(why, -ELOOP,
				   "%s: leads through a symbolic link, which a descriptor may not use",
				   path);
	return refuse_open(path, flags, why);
}

/* Open @path, absolute and normalised, beneath the allowed folder @dir. */
static int open_allowed(const char *dir, const char *path, int flags,
			struct stat *st, char **why)
{
	char *real = realpath(dir, NULL);
	const char *rest = behind(path, dir);
	int dirfd, fd;

	if (!rest && real)
		rest = behind(path, real);
	free(real);
	if (!rest)
		return -ENOENT;
	dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return vmdk_refuse(why, -errno, "%s: cannot be opened: %m", dir);
	fd = opened(open_beneath(dirfd, rest, flags), flags, path, st, why);
	close(dirfd);
	return fd;
}

/* A name that leads out of the descriptor's folder. */
static int open_outside(const struct vmdk_folder *folder, const char *name,
			int flags, char **path, struct stat *st, char **why)
{
	char **dir;

	*path = vmdk_normalise(folder->path, name);
	if (!*path)
		return vmdk_refuse(why, -ENOMEM, "%s: %s", name,
				   strerror(ENOMEM));
	for (dir = folder->allow_paths; dir && *dir; dir++) {
		int fd = open_allowed(*dir, *path, flags, st, why);

		if (fd >= 0 || *why)
			return fd;
	}
	return vmdk_refuse(why, -EXDEV,
			   "%s: %s; it is only used beneath a folder given by --allow-path",
			   name, name[0] == '/' ? "is an absolute path" :
			   "leads out of the folder of the descriptor");
}

static int open_name(const struct vmdk_folder *folder, const char *name,
		     int flags, char **path, struct stat *st, char **why)
{
	const char *foreign = vmdk_foreign_name(name);

	if (foreign)
		return vmdk_refuse(why, -EXDEV, "%s: %s, and never looked up here",
				   name, foreign);
	if (name[0] == '/' || vmdk_has_dotdot(name))
		return open_outside(folder, name, flags, path, st, why);
	if (asprintf(path, "%s/%s", folder->path, name) < 0) {
		*path = NULL;
		return vmdk_refuse(why, -ENOMEM, "%s: %s", name,
				   strerror(ENOMEM));
	}
	return opened(open_beneath(folder->fd, name, flags), flags, *path, st,
		      why);
}

/* -------------------------------------------------------------- encodings */

/*
 * Those that localised products declare.  No other name reaches iconv, which
 * has converters with a history.
 */
static bool known_encoding(const char *encoding)
{
	static const char * const names[] = {
		"GBK", "Big5", "Shift_JIS", NULL
	};
	size_t i;

	for (i = 0; names[i]; i++)
		if (!strcasecmp(encoding, names[i]))
			return true;
	return !strncasecmp(encoding, "windows-125", 11) &&
	       encoding[11] >= '0' && encoding[11] <= '8' && !encoding[12];
}

static bool is_ascii(const char *s)
{
	while (*s)
		if (*s++ & 0x80)
			return false;
	return true;
}

/**
 * vmdk_name_to_utf8 - convert a name out of a descriptor
 * @name: as written there
 * @encoding: as declared there, or NULL
 *
 * Return: @name in UTF-8, to be freed; NULL where that is the same, or cannot be
 * had.
 */
char *vmdk_name_to_utf8(const char *name, const char *encoding)
{
	size_t in = strlen(name), out = PATH_MAX - 1;
	char *from = (char *)name, *utf8, *to;
	iconv_t cd;

	if (!encoding || is_ascii(name) || !known_encoding(encoding))
		return NULL;
	/* as Windows has it: by itself, half of a character is a backslash */
	cd = iconv_open("UTF-8", strcasecmp(encoding, "Shift_JIS") ? encoding :
							     "CP932");
	if (cd == (iconv_t)-1)
		return NULL;
	utf8 = calloc(1, PATH_MAX);
	to = utf8;
	if (utf8 && iconv(cd, &from, &in, &to, &out) == (size_t)-1) {
		free(utf8);
		utf8 = NULL;
	}
	iconv_close(cd);
	return utf8;
}

/**
 * vmdk_folder_open_file - open a file that a descriptor names
 * @folder: of the descriptor
 * @name: as written there
 * @flags: O_RDONLY or O_RDWR
 * @path: receives the name of the file for messages, to be freed; or NULL
 * @st: receives its attributes
 * @why: receives the reason of a refusal
 *
 * The bytes of the name are tried first as they are: the files of a disk that
 * was copied here may have kept them.  In Shift_JIS, GBK and Big5 a backslash
 * can be half of a character, so what is refused of the bytes may be allowed of
 * the characters; either way, nothing is opened but beneath the folder.
 *
 * Return: a descriptor of a regular file, or -errno.
 */
int vmdk_folder_open_file(const struct vmdk_folder *folder, const char *name,
			  int flags, char **path, struct stat *st, char **why)
{
	char *utf8, *path2 = NULL, *why2 = NULL;
	int fd, fd2;

	*path = NULL;
	fd = open_name(folder, name, flags, path, st, why);
	if (fd != -ENOENT && fd != -EXDEV && fd != -EILSEQ)
		return fd;
	utf8 = vmdk_name_to_utf8(name, folder->encoding);
	if (!utf8)
		return fd;
	fd2 = open_name(folder, utf8, flags, &path2, st, &why2);
	free(utf8);
	if (fd2 == -ENOENT) {
		free(path2);
		free(why2);
		return fd;
	}
	free(*path);
	free(*why);
	*path = path2;
	*why = why2;
	return fd2;
}
