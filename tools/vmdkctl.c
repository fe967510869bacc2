// SPDX-License-Identifier: GPL-2.0
/*
 * vmdkctl - attach VMware disks as block devices
 *
 * This file: which verb runs, and what all of them need.
 */
#define _GNU_SOURCE	/* vasprintf, reallocarray */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "printable.h"
#include "vmdkctl.h"
#include "vmdk_ioctl.h"

static const struct verb {
	const char *name;
	int (*run)(int argc, char **argv);
} verbs[] = {
	{ "attach", verb_attach },
	{ "detach", verb_detach },
	{ "list", verb_list },
	{ "info", verb_info },
	{ "check", verb_check },
	{ "snapshot", verb_snapshot },
	{ "commit", verb_commit },
	{ "resize", verb_resize },
};

static const char help[] =
"Usage:\n"
" vmdkctl attach [options] FILE\n"
" vmdkctl detach [options] DEVICE|FILE...\n"
" vmdkctl list [options]\n"
" vmdkctl info [options] FILE|DEVICE\n"
" vmdkctl check [options] FILE\n"
" vmdkctl snapshot [options] FILE|DEVICE NEW\n"
" vmdkctl commit [options] FILE|DEVICE\n"
" vmdkctl resize [options] DEVICE|FILE SIZE\n"
"\n"
"Make a block device of a VMware disk (VMDK).\n"
"\n"
"Verbs:\n"
" attach   make /dev/vmdkN of the disk in FILE, and print its name\n"
" detach   write back what is pending, and remove a device\n"
" list     show the devices that are attached\n"
" info     show what is known of a disk\n"
" check    verify the metadata of a disk that is not attached\n"
" snapshot make a child of a disk\n"
" commit   write a child into its parent\n"
" resize   change the capacity of a disk, which may be in use\n"
"\n"
"Options:\n"
" -h, --help     print this text; after a verb, the options of that verb\n"
" -V, --version  print the version\n"
"\n"
"For more details see vmdkctl(8).\n";

/* Images name files, and may do so with escape sequences for the terminal. */
__printf(2, 0)
static void print_line(const char *prefix, const char *fmt, va_list args)
{
	char *line;

	if (vasprintf(&line, fmt, args) < 0)
		return;
	vmdk_make_printable(line);
	fprintf(stderr, "vmdkctl: %s%s\n", prefix, line);
	free(line);
}

/**
 * vmdkctl_error - print one line on stderr
 * @fmt: what failed, beginning with the file or device, without newline
 */
void vmdkctl_error(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print_line("", fmt, args);
	va_end(args);
}

/**
 * vmdkctl_warn - print one line on stderr that is not about a failure
 * @fmt: what the user should know, without newline
 */
void vmdkctl_warn(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	print_line("warning: ", fmt, args);
	va_end(args);
}

static void out_of_memory(void)
{
	vmdkctl_error("out of memory");
	exit(STATUS_FAILED);
}

/**
 * vmdkctl_format - print to a new string
 * @fmt: as for printf
 *
 * Return: the string, to be given to free().  Ends the program when there is
 * no memory.
 */
char *vmdkctl_format(const char *fmt, ...)
{
	va_list args;
	char *text;
	int ret;

	va_start(args, fmt);
	ret = vasprintf(&text, fmt, args);
	va_end(args);
	if (ret < 0)
		out_of_memory();
	return text;
}

/**
 * vmdkctl_grow - make room in an array
 * @array: from an earlier call, or NULL
 * @n: entries that it shall have
 * @size: bytes per entry
 *
 * Return: the array, to be given to free().  Ends the program when there is no
 * memory.
 */
void *vmdkctl_grow(void *array, size_t n, size_t size)
{
	array = reallocarray(array, n ? n : 1, size);
	if (!array)
		out_of_memory();
	return array;
}

/**
 * vmdkctl_strings - make room for what may be given several times
 * @nr: arguments there are; there are fewer values than that
 *
 * Return: a list that ends in NULL wherever one stops to fill it, to be given to
 * free().  Ends the program when there is no memory.
 */
char **vmdkctl_strings(int nr)
{
	char **list = vmdkctl_grow(NULL, (size_t)nr + 1, sizeof(*list));

	memset(list, 0, ((size_t)nr + 1) * sizeof(*list));
	return list;
}

/**
 * vmdkctl_usage - end a verb that was called in a wrong way
 * @verb: its name; the fault itself has been printed
 *
 * Return: the exit status.
 */
int vmdkctl_usage(const char *verb)
{
	fprintf(stderr, "Try 'vmdkctl %s%s--help'.\n", verb, *verb ? " " : "");
	return STATUS_FAILED;
}

/* /sbin is not in everyone's PATH. */
static int load_module(void)
{
	int status;
	pid_t pid;

	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		execl("/sbin/modprobe", "modprobe", "vmdk", (char *)NULL);
		execlp("modprobe", "modprobe", "vmdk", (char *)NULL);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -ENOENT;
}

/**
 * vmdkctl_open_control - open the control node
 * @load_module: load the module when the node is not there
 *
 * Return: a file descriptor; on failure -errno, after a line on stderr.
 */
int vmdkctl_open_control(bool load)
{
	int fd, err;

	fd = open(VMDK_CONTROL_PATH, O_RDWR | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && load) {
		if (load_module()) {
			vmdkctl_error("%s: not there, and the module vmdk cannot be loaded",
				      VMDK_CONTROL_PATH);
			return -ENOENT;
		}
		fd = open(VMDK_CONTROL_PATH, O_RDWR | O_CLOEXEC);
	}
	if (fd < 0) {
		err = errno;
		vmdkctl_error("%s: %s", VMDK_CONTROL_PATH, strerror(err));
		return -err;
	}
	return fd;
}

static int run_verb(int argc, char **argv)
{
	char *name = argv[0];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(name, verbs[i].name))
			continue;
		argv[0] = (char *)"vmdkctl";
		/* start over, and no longer stop at what is no option */
		optind = 0;
		return verbs[i].run(argc, argv);
	}
	vmdkctl_error("%s: there is no such verb", name);
	return vmdkctl_usage("");
}

/* Output that did not arrive, on a full disk for one, is a failure. */
static int close_stdout(int status)
{
	if (!ferror(stdout) && !fflush(stdout))
		return status;
	vmdkctl_error("standard output: %s", strerror(errno));
	return status ? status : STATUS_FAILED;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};

	setlocale(LC_ALL, "");
	/* as getopt names it in its messages */
	if (argc)
		argv[0] = (char *)"vmdkctl";
	switch (getopt_long(argc, argv, "+hV", options, NULL)) {
	case 'h':
		fputs(help, stdout);
		return close_stdout(STATUS_OK);
	case 'V':
		puts("vmdkctl " VMDK_VERSION);
		return close_stdout(STATUS_OK);
	case -1:
		break;
	default:
		return vmdkctl_usage("");
	}
	if (optind == argc) {
		vmdkctl_error("a verb is needed");
		return vmdkctl_usage("");
	}
	return close_stdout(run_verb(argc - optind, argv + optind));
}
