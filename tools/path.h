/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Opening files whose names come from untrusted text: beneath the folder of the
 * descriptor, or beneath a folder that the caller allows, and nowhere else.
 */
#ifndef VMDK_PATH_H
#define VMDK_PATH_H

#include <sys/stat.h>

#include "vmdk_format.h"

/**
 * struct vmdk_folder - where names of a descriptor are looked up
 * @fd: the folder, -1 when it is not open
 * @path: its canonical name
 * @name: of the descriptor in it
 * @encoding: of the names, as the descriptor declares it; NULL: none
 * @allow_paths: NULL terminated, or NULL: folders that may be used besides
 */
struct vmdk_folder {
	int fd;
	char *path, *name;
	const char *encoding;
	char **allow_paths;
};

__printf(3, 4)
int vmdk_refuse(char **why, int ret, const char *fmt, ...);
const char *vmdk_foreign_name(const char *name);
char *vmdk_name_to_utf8(const char *name, const char *encoding);
bool vmdk_has_dotdot(const char *name);
char *vmdk_normalise(const char *folder, const char *name);
int vmdk_check_regular(int fd, const char *path, struct stat *st, char **why);
int vmdk_open_named(const char *path, int flags, struct stat *st, char **why);
int vmdk_open_device(const char *path, int flags, struct stat *st, char **why);
int vmdk_folder_open(const char *file, int fd, struct vmdk_folder *folder,
		     char **why);
void vmdk_folder_close(struct vmdk_folder *folder);
int vmdk_folder_open_file(const struct vmdk_folder *folder, const char *name,
			  int flags, char **path, struct stat *st, char **why);

#endif
