// SPDX-License-Identifier: GPL-2.0
/*
 * uevents - look into /sys at the moment of each uevent of a vmdk disk.
 *
 * usage: uevents ATTRIBUTE...
 *
 * Prints "listening", then for each event of a disk or partition vmdk* a line
 * "ACTION NAME", with " lacks ATTRIBUTE" for each attribute that is not below
 * /sys/block/NAME when the "add" of a disk arrives, and with " RESIZE" where its
 * size has changed.  It runs until it is killed; the lines are flushed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define KERNEL_GROUP	1

static int listen_to_kernel(void)
{
	struct sockaddr_nl address = {
		.nl_family = AF_NETLINK,
		.nl_groups = KERNEL_GROUP,
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC,
			NETLINK_KOBJECT_UEVENT);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		perror("uevents: netlink");
		exit(2);
	}
	return fd;
}

/* An event is a row of strings, NAME=VALUE but for the first. */
static const char *value_of(const char *event, size_t len, const char *name)
{
	size_t n = strlen(name);
	const char *s;

	for (s = event; s < event + len; s += strlen(s) + 1)
		if (!strncmp(s, name, n) && s[n] == '=')
			return s + n + 1;
	return "";
}

static void look(const char *disk, char **attributes)
{
	char path[512];

	for (; *attributes; attributes++) {
		snprintf(path, sizeof(path), "/sys/block/%s/%s", disk,
			 *attributes);
		if (access(path, R_OK))
			printf(" lacks %s", *attributes);
	}
}

static void handle(const char *event, size_t len, char **attributes)
{
	const char *name = value_of(event, len, "DEVNAME");
	const char *action = value_of(event, len, "ACTION");

	if (strcmp(value_of(event, len, "SUBSYSTEM"), "block") ||
	    strncmp(name, "vmdk", 4))
		return;
	printf("%s %s", action, name);
	if (!strcmp(action, "add") &&
	    !strcmp(value_of(event, len, "DEVTYPE"), "disk"))
		look(name, attributes);
	if (!strcmp(value_of(event, len, "RESIZE"), "1"))
		printf(" RESIZE");
	putchar('\n');
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static char event[16385];
	int fd = listen_to_kernel();
	ssize_t len;

	(void)argc;
	puts("listening");
	fflush(stdout);
	for (;;) {
		len = recv(fd, event, sizeof(event) - 1, 0);
		if (len < 0 && errno != ENOBUFS && errno != EINTR) {
			perror("uevents: recv");
			return 2;
		}
		if (len > 0) {
			event[len] = '\0';
			handle(event, len, argv + 1);
		}
	}
}
