// SPDX-License-Identifier: GPL-2.0
/*
 * faulty - a disk in memory, of which one request fails.
 *
 * usage: faulty DEVICE MIB
 *
 * DEVICE, a /dev/nbdN, is that disk until stdin ends.  Each line of stdin is a
 * command, answered by a line on stdout; the first line there says that the disk
 * is ready.
 *
 *	save		remember what the disk holds
 *	restore		have it hold that again
 *	fail N COUNT	COUNT requests from the Nth one on fail with EIO: reads, writes
 *			and flushes, counted from now on. What such a read asked for
 *			stays unreadable: Linux reads again, in smaller pieces, what
 *			it could not read ahead
 *	seen		answers how many requests there were since then, and how many
 *			reads and how many others of them failed
 *	work		answers the same, and none fails any more
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/nbd.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <endian.h>

static struct {
	int fd;			/* DEVICE */
	int sockets[2];		/* the kernel's end, and ours */
	uint64_t size;
	uint8_t *bytes, *saved;
	pthread_mutex_t lock;	/* for all that follows */
	uint64_t seen, first, end;
	uint64_t bad, bad_end;	/* bytes that cannot be read */
	uint64_t failed_reads, failed_others;
} disk = { .lock = PTHREAD_MUTEX_INITIALIZER };

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "faulty: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* All of it; false at the end of the connection. */
static bool move(bool out, void *buf, size_t size)
{
	char *p = buf;

	while (size) {
		ssize_t n = out ? write(disk.sockets[1], p, size) :
				  read(disk.sockets[1], p, size);

		if (n <= 0)
			return false;
		p += n;
		size -= n;
	}
	return true;
}

static bool read_fails(bool in_turn, uint64_t from, uint64_t len)
{
	if (in_turn) {
		disk.bad = from;
		disk.bad_end = from + len;
	}
	return from < disk.bad_end && disk.bad < from + len;
}

static bool has_to_fail(uint32_t type, uint64_t from, uint64_t len)
{
	bool fails;

	if (type == NBD_CMD_TRIM)
		return false;
	pthread_mutex_lock(&disk.lock);
	disk.seen++;
	fails = disk.seen >= disk.first && disk.seen < disk.end;
	if (type == NBD_CMD_READ) {
		fails = read_fails(fails, from, len);
		disk.failed_reads += fails;
	} else {
		disk.failed_others += fails;
	}
	pthread_mutex_unlock(&disk.lock);
	return fails;
}

static bool serve(const struct nbd_request *request)
{
	uint32_t type = ntohl(request->type) & 0xffff;
	uint64_t from = be64toh(request->from), len = ntohl(request->len);
	bool fails = has_to_fail(type, from, len);
	struct nbd_reply reply = {
		.magic = htonl(NBD_REPLY_MAGIC),
		.error = htonl(fails ? EIO : 0),
	};
	static uint8_t lost[1 << 26];

	if (type == NBD_CMD_DISC || from > disk.size || len > disk.size - from ||
	    len > sizeof(lost))
		return false;
	if (type == NBD_CMD_WRITE &&
	    !move(false, fails ? lost : disk.bytes + from, len))
		return false;
	if (type == NBD_CMD_TRIM)
		memset(disk.bytes + from, 0, len);
	memcpy(reply.handle, request->handle, sizeof(reply.handle));
	return move(true, &reply, sizeof(reply)) &&
	       (type != NBD_CMD_READ || fails ||
		move(true, disk.bytes + from, len));
}

static void *run_server(void *unused)
{
	struct nbd_request request;

	while (move(false, &request, sizeof(request)) &&
	       ntohl(request.magic) == NBD_REQUEST_MAGIC && serve(&request))
		;
	/* The kernel waits for that, too, when it disconnects. */
	shutdown(disk.sockets[1], SHUT_RDWR);
	return unused;
}

/* The kernel works in the ioctl, until it is told to disconnect. */
static void *run_kernel(void *unused)
{
	ioctl(disk.fd, NBD_DO_IT);
	return unused;
}

static void connect_disk(const char *path)
{
	disk.fd = open(path, O_RDWR | O_CLOEXEC);
	if (disk.fd < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, disk.sockets) ||
	    ioctl(disk.fd, NBD_SET_BLKSIZE, 512UL) ||
	    ioctl(disk.fd, NBD_SET_SIZE_BLOCKS, disk.size / 512) ||
	    ioctl(disk.fd, NBD_SET_SOCK, disk.sockets[0]) ||
	    ioctl(disk.fd, NBD_SET_FLAGS, NBD_FLAG_HAS_FLAGS |
		  NBD_FLAG_SEND_FLUSH | NBD_FLAG_SEND_TRIM))
		die(path);
}

static void arm(uint64_t first, uint64_t count)
{
	disk.seen = 0;
	disk.first = first;
	disk.end = first + count;
	disk.failed_reads = 0;
	disk.failed_others = 0;
}

static void tell_seen(void)
{
	printf("%llu %llu %llu\n", (unsigned long long)disk.seen,
	       (unsigned long long)disk.failed_reads,
	       (unsigned long long)disk.failed_others);
}

static void obey(const char *line)
{
	unsigned long long n, count;

	pthread_mutex_lock(&disk.lock);
	if (!strcmp(line, "save\n")) {
		memcpy(disk.saved, disk.bytes, disk.size);
		puts("saved");
	} else if (!strcmp(line, "restore\n")) {
		memcpy(disk.bytes, disk.saved, disk.size);
		puts("restored");
	} else if (sscanf(line, "fail %llu %llu", &n, &count) == 2) {
		arm(n, count);
		puts("armed");
	} else if (!strcmp(line, "seen\n")) {
		tell_seen();
	} else if (!strcmp(line, "work\n")) {
		disk.end = 0;
		disk.bad_end = 0;
		tell_seen();
	} else {
		puts("what?");
	}
	pthread_mutex_unlock(&disk.lock);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	pthread_t server, kernel;
	char line[128];

	if (argc != 3)
		return 2;
	disk.size = strtoull(argv[2], NULL, 0) << 20;
	disk.bytes = calloc(1, disk.size);
	disk.saved = calloc(1, disk.size);
	if (!disk.bytes || !disk.saved)
		die("memory");
	connect_disk(argv[1]);
	if (pthread_create(&server, NULL, run_server, NULL) ||
	    pthread_create(&kernel, NULL, run_kernel, NULL))
		die("thread");
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		obey(line);
	ioctl(disk.fd, NBD_DISCONNECT);
	pthread_join(kernel, NULL);
	return 0;
}
