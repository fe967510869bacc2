// SPDX-License-Identifier: GPL-2.0
/*
 * Who has a disk open: mounts in any mount namespace, swap, devices stacked on
 * it, and processes.
 */
#define _GNU_SOURCE	/* statx, basename */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <libmount/libmount.h>

#include "vmdkctl.h"

#define USERS_SHOWN_MAX	16

/* The disk itself or a partition of it. */
struct member {
	dev_t dev;
	char name[64];
};

struct users {
	struct member *members;
	size_t nr_members;
	ino_t *namespaces;	/* mount namespaces that were looked at */
	size_t nr_namespaces;
	char *text;
	unsigned int found;
};

static void add_user(struct users *users, char *user)
{
	char *before = users->text;

	users->found++;
	if (users->found <= USERS_SHOWN_MAX) {
		users->text = before ? vmdkctl_format("%s; %s", before, user) :
				       vmdkctl_format("%s", user);
		free(before);
	}
	free(user);
}

static void add_member(struct users *users, const char *path, const char *name)
{
	char file[PATH_MAX], text[32];
	unsigned int maj, min;
	struct member *member;
	FILE *stream;
	int n = 0;

	snprintf(file, sizeof(file), "%s/dev", path);
	stream = fopen(file, "re");
	if (!stream)
		return;
	if (fgets(text, sizeof(text), stream))
		n = sscanf(text, "%u:%u", &maj, &min);
	fclose(stream);
	if (n != 2)
		return;
	users->members = vmdkctl_grow(users->members, users->nr_members + 1,
				      sizeof(*member));
	member = &users->members[users->nr_members++];
	member->dev = makedev(maj, min);
	snprintf(member->name, sizeof(member->name), "%s", name);
}

static const struct member *find_member(const struct users *users, dev_t dev)
{
	size_t i;

	for (i = 0; i < users->nr_members; i++)
		if (users->members[i].dev == dev)
			return &users->members[i];
	return NULL;
}

/* By the name of its node, as /proc/swaps and btrfs in mountinfo have it. */
static const struct member *find_source(const struct users *users,
					const char *source)
{
	size_t i;

	if (!source || strncmp(source, "/dev/", 5))
		return NULL;
	for (i = 0; i < users->nr_members; i++)
		if (!strcmp(source + 5, users->members[i].name))
			return &users->members[i];
	return NULL;
}

static void find_holders(struct users *users, const char *path,
			 const char *name)
{
	char folder[PATH_MAX];
	struct dirent *entry;
	DIR *dir;

	snprintf(folder, sizeof(folder), "%s/holders", path);
	dir = opendir(folder);
	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			add_user(users, vmdkctl_format("part of %s (%s)",
						       entry->d_name, name));
	closedir(dir);
}

/* The disk and its partitions, and what is stacked on each. */
static void find_members(struct users *users, unsigned int disk)
{
	char path[64], part[PATH_MAX], name[32];
	struct dirent *entry;
	unsigned int number;
	bool partition;
	DIR *dir;

	snprintf(name, sizeof(name), "vmdk%u", disk);
	snprintf(path, sizeof(path), "/sys/block/%s", name);
	add_member(users, path, name);
	find_holders(users, path, name);
	dir = opendir(path);
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (sysfs_parse_name(entry->d_name, &number, &partition) ||
		    !partition)
			continue;
		snprintf(part, sizeof(part), "%s/%s", path, entry->d_name);
		add_member(users, part, entry->d_name);
		find_holders(users, part, entry->d_name);
	}
	closedir(dir);
}

/* A table of /proc in the form that mount(8) knows; NULL: not readable. */
static struct libmnt_table *parse_table(const char *path)
{
	return access(path, R_OK) ? NULL : mnt_new_table_from_file(path);
}

static void find_mounts(struct users *users, const char *pid)
{
	struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
	char *path = vmdkctl_format("/proc/%s/mountinfo", pid);
	struct libmnt_table *table = parse_table(path);
	const struct member *member;
	struct libmnt_fs *fs;
	char *elsewhere;

	elsewhere = strcmp(pid, "self") ?
		    vmdkctl_format(" in the mount namespace of process %s", pid) :
		    vmdkctl_format("%s", "");
	while (iter && table && !mnt_table_next_fs(table, iter, &fs)) {
		member = find_member(users, mnt_fs_get_devno(fs));
		if (!member)
			member = find_source(users, mnt_fs_get_source(fs));
		if (member)
			add_user(users, vmdkctl_format("mounted on %s%s (%s)",
						       mnt_fs_get_target(fs),
						       elsewhere, member->name));
	}
	free(elsewhere);
	mnt_unref_table(table);
	mnt_free_iter(iter);
	free(path);
}

static void find_swap(struct users *users)
{
	struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_table *table = mnt_new_table();
	const struct member *member;
	struct libmnt_fs *fs;

	if (iter && table && !mnt_table_parse_swaps(table, NULL)) {
		while (!mnt_table_next_fs(table, iter, &fs)) {
			member = find_source(users, mnt_fs_get_source(fs));
			if (member)
				add_user(users, vmdkctl_format("swap space (%s)",
							       member->name));
		}
	}
	mnt_unref_table(table);
	mnt_free_iter(iter);
}

/* Is this the first process that we meet in its mount namespace? */
static bool is_new_namespace(struct users *users, const char *pid)
{
	char *path = vmdkctl_format("/proc/%s/ns/mnt", pid);
	struct stat st;
	int ret = stat(path, &st);
	size_t i;

	free(path);
	if (ret)
		return false;
	for (i = 0; i < users->nr_namespaces; i++)
		if (users->namespaces[i] == st.st_ino)
			return false;
	users->namespaces = vmdkctl_grow(users->namespaces, i + 1,
					 sizeof(*users->namespaces));
	users->namespaces[i] = st.st_ino;
	users->nr_namespaces++;
	return true;
}

/*
 * Which of ours does a file descriptor have open?  It is not asked further than
 * the kernel knows, as the server of another file may never answer.
 */
static const struct member *opened_member(const struct users *users,
					  int folder, const char *fd)
{
	struct statx stx;

	if (statx(folder, fd, AT_STATX_DONT_SYNC, STATX_TYPE, &stx) ||
	    !S_ISBLK(stx.stx_mode))
		return NULL;
	return find_member(users, makedev(stx.stx_rdev_major,
					  stx.stx_rdev_minor));
}

static char *name_of_process(const char *pid)
{
	char *path = vmdkctl_format("/proc/%s/comm", pid), name[64] = "";
	FILE *stream = fopen(path, "re");

	free(path);
	if (stream) {
		if (!fgets(name, sizeof(name), stream))
			name[0] = '\0';
		fclose(stream);
	}
	name[strcspn(name, "\n")] = '\0';
	return vmdkctl_format("opened by %s (pid %s)", *name ? name : "a process",
			      pid);
}

static void find_open_files(struct users *users, const char *pid)
{
	char *path = vmdkctl_format("/proc/%s/fd", pid);
	DIR *dir = opendir(path);
	struct dirent *entry;

	free(path);
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (!opened_member(users, dirfd(dir), entry->d_name))
			continue;
		add_user(users, name_of_process(pid));
		break;
	}
	closedir(dir);
}

static void visit_processes(struct users *users,
			    void (*fn)(struct users *users, const char *pid))
{
	struct dirent *entry;
	DIR *dir = opendir("/proc");

	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (isdigit((unsigned char)entry->d_name[0]))
			fn(users, entry->d_name);
	closedir(dir);
}

static void find_other_mounts(struct users *users, const char *pid)
{
	if (is_new_namespace(users, pid))
		find_mounts(users, pid);
}

static void add_mount(struct mounts *mounts, struct libmnt_fs *fs,
		      const struct users *users)
{
	struct mount_point *mount;

	mounts->list = vmdkctl_grow(mounts->list, mounts->nr + 1,
				    sizeof(*mount));
	mount = &mounts->list[mounts->nr++];
	mount->target = vmdkctl_format("%s", mnt_fs_get_target(fs));
	mount->id = (unsigned int)mnt_fs_get_id(fs);
	mount->dev = mnt_fs_get_devno(fs);
	mount->of_disk = find_member(users, mount->dev) ||
			 find_source(users, mnt_fs_get_source(fs));
}

/**
 * mounts_read - what is mounted
 * @disk: the N of vmdkN, whose file systems are marked
 * @mounts: receives it, for mounts_free()
 *
 * In our own mount namespace; a file system may be there several times.
 */
void mounts_read(unsigned int disk, struct mounts *mounts)
{
	struct libmnt_iter *iter = mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_table *table = parse_table("/proc/self/mountinfo");
	struct users users = { 0 };
	struct libmnt_fs *fs;

	memset(mounts, 0, sizeof(*mounts));
	find_members(&users, disk);
	while (iter && table && !mnt_table_next_fs(table, iter, &fs))
		add_mount(mounts, fs, &users);
	mnt_unref_table(table);
	mnt_free_iter(iter);
	free(users.members);
	free(users.text);
}

/**
 * mounts_free - give back what mounts_read() found
 * @mounts: it
 */
void mounts_free(struct mounts *mounts)
{
	size_t i;

	for (i = 0; i < mounts->nr; i++)
		free(mounts->list[i].target);
	free(mounts->list);
}

/**
 * users_of_disk - say who has a disk open
 * @disk: the N of vmdkN
 * @passing: receives whether there is nothing but processes, or nothing at all:
 *	udev opens a disk for a moment after each close
 *
 * Return: one line of text, to be given to free(); NULL when nothing was found.
 */
char *users_of_disk(unsigned int disk, bool *passing)
{
	struct users users = { 0 };
	char *text;

	find_members(&users, disk);
	if (is_new_namespace(&users, "self"))
		find_mounts(&users, "self");
	/* a mount is often the same one in many namespaces: tell of ours alone */
	if (!users.found)
		visit_processes(&users, find_other_mounts);
	find_swap(&users);
	*passing = !users.found;
	visit_processes(&users, find_open_files);

	text = users.text;
	if (users.found > USERS_SHOWN_MAX) {
		text = vmdkctl_format("%s; and %u more", users.text,
				      users.found - USERS_SHOWN_MAX);
		free(users.text);
	}
	free(users.members);
	free(users.namespaces);
	return text;
}
