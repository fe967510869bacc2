// SPDX-License-Identifier: GPL-2.0
/* What goes wrong in ctl itself, memory of some kinds, numbers and names. */
#define _GNU_SOURCE	/* strerrorname_np */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ctl.h"

_Noreturn void die(const char *what)
{
	fprintf(stderr, "ctl: %s: %s\n", what, strerror(errno));
	exit(2);
}

_Noreturn void usage(const char *what)
{
	fprintf(stderr, "ctl: wrong: %s\n", what);
	exit(2);
}

void *map_pages(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

/* The last @bytes before an address at which nothing is mapped. */
uint64_t edge(size_t bytes)
{
	size_t page = sysconf(_SC_PAGESIZE);
	char *p = map_pages(2 * page);

	if (munmap(p + page, page))
		die("munmap");
	return (uintptr_t)p + page - bytes;
}

uint64_t unmapped(void)
{
	return edge(0);
}

/* Zeros that can be read, and nothing else. */
void *sealed_zeros(void)
{
	size_t page = sysconf(_SC_PAGESIZE);
	void *p = map_pages(page);

	if (mprotect(p, page, PROT_READ))
		die("mprotect");
	return p;
}

uint64_t parse_number(const char *text)
{
	char *end;
	uint64_t n;

	errno = 0;
	n = strtoull(text, &end, 0);
	if (errno || end == text || *end)
		usage(text);
	return n;
}

int open_file(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		die(path);
	return fd;
}

const char *error_name(int err)
{
	const char *name = strerrorname_np(err);

	return name ? name : "UNKNOWN";
}

int print_result(const char *message)
{
	printf("%s:%s%s\n", error_name(errno), *message ? " " : "", message);
	return 1;
}
