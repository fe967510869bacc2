// SPDX-License-Identifier: GPL-2.0
/* Allocations that fail, one of each thread: fail-nth of the kernel's fault injection. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "starve.h"

#define MAX_THREADS	200

static int threads[MAX_THREADS];	/* their fail-nth; this one's is the last */
static int nr_threads;

static void add_thread(const char *name)
{
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/fail-nth", name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		threads[nr_threads++] = fd;
}

/* Those that serve a disk may have any name; ours begin with that of the module. */
static bool is_worker(const char *pid)
{
	char path[300], comm[32] = "";
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	in = fopen(path, "re");
	if (!in)
		return false;
	if (!fgets(comm, sizeof(comm), in))
		comm[0] = '\0';
	fclose(in);
	return !strncmp(comm, "kworker", 7) || !strncmp(comm, "vmdk", 4);
}

static void add_workers(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	while (proc && (entry = readdir(proc)) && nr_threads < MAX_THREADS - 1)
		if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9' &&
		    is_worker(entry->d_name))
			add_thread(entry->d_name);
	if (proc)
		closedir(proc);
}

static void add_self(void)
{
	int others = nr_threads;

	add_thread("thread-self");
	if (nr_threads == others) {
		perror("/proc/thread-self/fail-nth");
		exit(1);
	}
}

/* A worker may be gone. */
static bool set_nth(int fd, unsigned int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", nth);

	return pwrite(fd, text, len, 0) == len;
}

void starve(unsigned int nth, bool workers)
{
	int i;

	nr_threads = 0;
	if (workers)
		add_workers();
	add_self();
	for (i = 0; i < nr_threads; i++)
		if (!set_nth(threads[i], nth) && i == nr_threads - 1) {
			perror("fail-nth");
			exit(1);
		}
}

/* The kernel counts down as it allocates, and fails at 0. */
static bool has_failed(int fd)
{
	char text[16] = "";

	return pread(fd, text, sizeof(text) - 1, 0) > 0 && text[0] == '0';
}

bool relent(void)
{
	bool met = false;

	while (nr_threads) {
		int fd = threads[--nr_threads];

		met |= has_failed(fd);
		set_nth(fd, 0);
		close(fd);
	}
	return met;
}
