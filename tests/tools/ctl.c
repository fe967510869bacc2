// SPDX-License-Identifier: GPL-2.0
/*
 * ctl - raw ioctls on /dev/vmdk-control, right and wrong ones.
 *
 *	ctl features
 *	ctl ioctl NUMBER [null|bad|sealed|zeros]
 *	ctl attach [PATH.MEMBER=VALUE...] EXTENT...
 *	ctl failing [PATH.MEMBER=VALUE...] EXTENT...
 *	ctl detach INDEX [PATH.MEMBER=VALUE...]
 *	ctl snapshot INDEX [PATH.MEMBER=VALUE...] EXTENT...
 *	ctl fold [PATH.MEMBER=VALUE...] EXTENT...
 *	ctl merge [PATH.MEMBER=VALUE...] EXTENT...
 *	ctl resize INDEX SECTORS [PATH.MEMBER=VALUE...]
 *	ctl io WAY DEVICE RAW BYTE
 *	ctl nth [CALL:]N attach|snapshot|merge|resize|io ...
 *	ctl sealed attach|fold ...
 *	ctl harm DEVICE
 *	ctl range WAY FILE BYTE BYTES
 *	ctl direct DEVICE
 *	ctl coherent DEVICE
 *	ctl arguments DEVICE
 *	ctl copy FROM TO [BYTE WIDTH VALUE]...
 *	ctl poke FILE [BYTE WIDTH VALUE]...
 *	ctl truncate FILE BYTES
 *	ctl same FILE FILE
 *	ctl pieces DEVICE FILE BYTES COUNT
 *	ctl fuzz SEED COUNT FILE EMPTY SECTORS
 *	ctl serve
 *
 * attach builds a request that is right, then puts the values into it, and
 * prints "ok INDEX", or the name of the error and what the kernel says:
 * "EINVAL: unknown flags".  serve does one command after the other: words come
 * from stdin, each with a NUL behind it, and one without letters ends a command.
 *
 * failing attaches again and again: the first allocation of the first attempt
 * fails, the second of the second, until one has fewer than that. It prints "ok
 * REFUSED ATTACHED", how many failed for lack of memory and how many did without that
 * memory; or the first attempt that went otherwise.
 *
 * snapshot puts a new top on a disk, which is described as for attach.
 *
 * fold begins a fold, of disk head.index, with the extents of its parent; makes all
 * calls of it that are wrong, copies, and cancels it.
 *
 * merge does the same with calls that are right, and ends the fold. It prints "ok", or
 * what the call that failed says, after its name: begin, copy or end.
 *
 * io reads or changes the 64 KiB of DEVICE from BYTE on in one WAY: read, write, part
 * (some sectors of them are written), discard or zeroout; but for read, a flush follows.
 * RAW holds what the disk holds. It prints "ok", or the error; or what is wrong
 * afterwards, and ends: of the sectors that were changed each has to be what it was or
 * what it was to be, the others what they were, and the next flush has to succeed.
 *
 * nth does that while the Nth allocation of this thread and of each of the kernel's
 * workers fails, counted from the ioctl on (for merge, each ioctl, or only CALL), and
 * prints another line: "met", if one of them did fail, or "passed".
 *
 * resize makes the first call of the two, or another with resize.flags, and closes
 * the control device, as a program that was killed in between does.
 *
 * sealed does the same with the structure of the call in memory that can be read only.
 *
 * harm tries to make a device writable and to write to it, in every way that
 * there is, and prints those that seem to succeed, or "none".
 *
 * range changes a part of a device in one WAY: discard, zeroout, secure (BLKSECDISCARD),
 * punch or zero (fallocate; the first of them also for a file).
 *
 * direct reads and writes around the page cache, at odd places, with odd lengths, and
 * from odd memory; coherent compares what the page cache, a mapping, and direct reads
 * see of a device of 2 MiB or more, after parts are made zeros; arguments makes ioctls
 * of block devices with wrong addresses, and ioctls that the device does not have. They
 * print "ok", or the first thing that is wrong.
 *
 * pieces reads COUNT pieces of BYTES each from a device, around the page cache, and
 * prints a letter for each: "=" the same as in the file, "." zeros and not the same, "x"
 * something else, "!" an error.
 *
 * copy, poke (which puts little-endian numbers into a file), truncate and same
 * (have two files the same bytes?) are here because an emulated machine takes so
 * long to start a program.
 *
 * fuzz makes COUNT calls that are wrong in a few members, with images FILE and EMPTY of
 * SECTORS: to attach damaged copies, and to change disks of sound ones in all ways that
 * there are. It prints how many were done and refused, and fails when a disk cannot be
 * attached or detached at the end, or a message is not one line.
 *
 * An EXTENT is KIND:FILE:SECTORS, KIND one of sparse, cowd, sesparse, flat and
 * device, or zero:SECTORS; those behind the word "below" are the next link's.  PATH
 * is head, link, extent0 to extent9, patch0 to patch3, detach, resize, snapshot, or
 * progress.  A VALUE is a number; text:TEXT; for an address null, bad (nothing is
 * mapped there), kernel, or edge (its array would reach past the end of what is
 * mapped); for a descriptor open:FLAGS:FILE (letters: r, w, a append, d direct, p path
 * only), pipe, socket or control.
 */
#define _GNU_SOURCE	/* strerrorname_np, O_DIRECT */
#include <errno.h>
#include <fcntl.h>
#include <linux/blkpg.h>
#include <linux/blktrace_api.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "detach.h"
#include "starve.h"
#include "vmdk_ioctl.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define EXTENTS_SHOWN	10
#define LINKS_SHOWN	4
#define SECTOR		512
#define MAX_WORDS	64

/* In pages of its own, so that they can be sealed. */
struct request {
	_Alignas(4096) struct vmdk_attach head;
	struct vmdk_link_info link[VMDK_MAX_LINKS];
	struct vmdk_extent_info extent[VMDK_MAX_EXTENTS];
	struct vmdk_patch patch[VMDK_MAX_PATCHES];
	struct vmdk_detach detach;
	struct vmdk_resize resize;
	struct vmdk_snapshot snapshot;
	struct vmdk_fold_progress progress;
	char message[4096];
};

struct member {
	const char *path, *name;
	size_t offset, size, count;
};

#define MEMBER(p, s, m, n) { p, #m, offsetof(struct s, m), \
			     sizeof(((struct s *)0)->m) / (n), n }
static const struct member members[] = {
	MEMBER("head", vmdk_attach, flags, 1),
	MEMBER("head", vmdk_attach, index, 1),
	MEMBER("head", vmdk_attach, backing_fd, 1),
	MEMBER("head", vmdk_attach, nr_links, 1),
	MEMBER("head", vmdk_attach, nr_extents, 1),
	MEMBER("head", vmdk_attach, nr_patches, 1),
	MEMBER("head", vmdk_attach, nr_queues, 1),
	MEMBER("head", vmdk_attach, queue_depth, 1),
	MEMBER("head", vmdk_attach, cid, 1),
	MEMBER("head", vmdk_attach, new_cid, 1),
	MEMBER("head", vmdk_attach, parent_cid, 1),
	MEMBER("head", vmdk_attach, message_size, 1),
	MEMBER("head", vmdk_attach, links, 1),
	MEMBER("head", vmdk_attach, extents, 1),
	MEMBER("head", vmdk_attach, patches, 1),
	MEMBER("head", vmdk_attach, message, 1),
	MEMBER("head", vmdk_attach, fault_extent, 1),
	MEMBER("head", vmdk_attach, nr_windows, 1),
	MEMBER("head", vmdk_attach, cache_size, 1),
	MEMBER("head", vmdk_attach, create_type, VMDK_TYPE_SIZE),
	MEMBER("head", vmdk_attach, windows, 1),
	MEMBER("head", vmdk_attach, reserved, 6),
	MEMBER("link", vmdk_link_info, nr_extents, 1),
	MEMBER("link", vmdk_link_info, flags, 1),
	MEMBER("link", vmdk_link_info, sectors, 1),
	MEMBER("link", vmdk_link_info, reserved, 2),
	MEMBER("extent", vmdk_extent_info, fd, 1),
	MEMBER("extent", vmdk_extent_info, kind, 1),
	MEMBER("extent", vmdk_extent_info, access, 1),
	MEMBER("extent", vmdk_extent_info, flags, 1),
	MEMBER("extent", vmdk_extent_info, start, 1),
	MEMBER("extent", vmdk_extent_info, sectors, 1),
	MEMBER("extent", vmdk_extent_info, offset, 1),
	MEMBER("extent", vmdk_extent_info, length, 1),
	MEMBER("extent", vmdk_extent_info, nr_windows, 1),
	MEMBER("extent", vmdk_extent_info, reserved, 1),
	MEMBER("patch", vmdk_patch, fd, 1),
	MEMBER("patch", vmdk_patch, length, 1),
	MEMBER("patch", vmdk_patch, offset, 1),
	MEMBER("patch", vmdk_patch, old, VMDK_PATCH_SIZE),
	MEMBER("patch", vmdk_patch, new, VMDK_PATCH_SIZE),
	MEMBER("detach", vmdk_detach, index, 1),
	MEMBER("detach", vmdk_detach, flags, 1),
	MEMBER("detach", vmdk_detach, reserved, 4),
	MEMBER("resize", vmdk_resize, index, 1),
	MEMBER("resize", vmdk_resize, flags, 1),
	MEMBER("resize", vmdk_resize, sectors, 1),
	MEMBER("resize", vmdk_resize, backing_fd, 1),
	MEMBER("resize", vmdk_resize, message_size, 1),
	MEMBER("resize", vmdk_resize, message, 1),
	MEMBER("resize", vmdk_resize, reserved, 4),
	MEMBER("snapshot", vmdk_snapshot, index, 1),
	MEMBER("snapshot", vmdk_snapshot, backing_fd, 1),
	MEMBER("snapshot", vmdk_snapshot, nr_extents, 1),
	MEMBER("snapshot", vmdk_snapshot, nr_patches, 1),
	MEMBER("snapshot", vmdk_snapshot, cid, 1),
	MEMBER("snapshot", vmdk_snapshot, new_cid, 1),
	MEMBER("snapshot", vmdk_snapshot, parent_cid, 1),
	MEMBER("snapshot", vmdk_snapshot, message_size, 1),
	MEMBER("snapshot", vmdk_snapshot, extents, 1),
	MEMBER("snapshot", vmdk_snapshot, patches, 1),
	MEMBER("snapshot", vmdk_snapshot, message, 1),
	MEMBER("snapshot", vmdk_snapshot, fault_extent, 1),
	MEMBER("snapshot", vmdk_snapshot, flags, 1),
	MEMBER("snapshot", vmdk_snapshot, create_type, VMDK_TYPE_SIZE),
	MEMBER("snapshot", vmdk_snapshot, reserved, 8),
	MEMBER("progress", vmdk_fold_progress, flags, 1),
	MEMBER("progress", vmdk_fold_progress, index, 1),
	MEMBER("progress", vmdk_fold_progress, sectors, 1),
	MEMBER("progress", vmdk_fold_progress, left, 1),
	MEMBER("progress", vmdk_fold_progress, reserved, 4),
};

static int control = -1;
static bool sealed;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "ctl: %s: %s\n", what, strerror(errno));
	exit(2);
}

static _Noreturn void usage(const char *what)
{
	fprintf(stderr, "ctl: wrong: %s\n", what);
	exit(2);
}

static void *map_pages(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

/* The last @bytes before an address at which nothing is mapped. */
static uint64_t edge(size_t bytes)
{
	size_t page = sysconf(_SC_PAGESIZE);
	char *p = map_pages(2 * page);

	if (munmap(p + page, page))
		die("munmap");
	return (uintptr_t)p + page - bytes;
}

static uint64_t unmapped(void)
{
	return edge(0);
}

/* Zeros that can be read, and nothing else. */
static void *sealed_zeros(void)
{
	size_t page = sysconf(_SC_PAGESIZE);
	void *p = map_pages(page);

	if (mprotect(p, page, PROT_READ))
		die("mprotect");
	return p;
}

/* ---- memory that is not to be had ---- */

static unsigned int nth;	/* the allocation that fails; 0: none */
static const char *nth_call;	/* only in calls of this name */
static bool nth_met;

/* An ioctl of that name. */
static int starved_ioctl(const char *name, unsigned long number, void *arg)
{
	int ret, err;

	if (!nth || (nth_call && strcmp(nth_call, name)))
		return ioctl(control, number, arg);
	starve(nth, true);
	ret = ioctl(control, number, arg);
	err = errno;
	nth_met |= relent();
	errno = err;
	return ret;
}

/* An ioctl with @req->head, which may have to be sealed. */
static int call(struct request *req, unsigned long number)
{
	int ret, err;

	if (!sealed)
		return starved_ioctl("call", number, &req->head);
	if (mprotect(req, sizeof(*req), PROT_READ))
		die("mprotect");
	ret = ioctl(control, number, &req->head);
	err = errno;
	if (mprotect(req, sizeof(*req), PROT_READ | PROT_WRITE))
		die("mprotect");
	errno = err;
	return ret;
}

/* ---- a request from arguments ---- */

static uint64_t parse_number(const char *text)
{
	char *end;
	uint64_t n;

	errno = 0;
	n = strtoull(text, &end, 0);
	if (errno || end == text || *end)
		usage(text);
	return n;
}

static int open_flags(const char *letters)
{
	int flags = O_RDONLY;

	for (; *letters; letters++) {
		switch (*letters) {
		case 'r':
			break;
		case 'w':
			flags = (flags & ~O_ACCMODE) |
				(strchr(letters, 'r') ? O_RDWR : O_WRONLY);
			break;
		case 'b':
			flags = (flags & ~O_ACCMODE) | O_RDWR;
			break;
		case 'a':
			flags |= O_APPEND;
			break;
		case 'd':
			flags |= O_DIRECT;
			break;
		case 'p':
			flags |= O_PATH;
			break;
		default:
			usage(letters);
		}
	}
	return flags;
}

static int open_file(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		die(path);
	return fd;
}

static int open_special(const char *value)
{
	char letters[8] = "";
	const char *path;
	int fds[2];

	if (!strcmp(value, "control"))
		return control;
	if (!strcmp(value, "pipe")) {
		if (pipe(fds))
			die("pipe");
		return fds[0];
	}
	if (!strcmp(value, "socket")) {
		fds[0] = socket(AF_UNIX, SOCK_STREAM, 0);
		if (fds[0] < 0)
			die("socket");
		return fds[0];
	}
	path = strchr(value + 5, ':');
	if (!path || path - value - 5 >= (ptrdiff_t)sizeof(letters))
		usage(value);
	memcpy(letters, value + 5, path - value - 5);
	return open_file(path + 1, open_flags(letters));
}

static uint64_t parse_value(const char *value)
{
	if (!strcmp(value, "null"))
		return 0;
	if (!strcmp(value, "bad"))
		return unmapped();
	if (!strcmp(value, "kernel"))
		return 0xffff888000000000ULL;
	if (!strcmp(value, "edge"))
		return edge(8);
	if (!strcmp(value, "pipe") || !strcmp(value, "socket") ||
	    !strcmp(value, "control") || !strncmp(value, "open:", 5))
		return open_special(value);
	if (value[0] == '-')
		return -parse_number(value + 1);
	return parse_number(value);
}

static void *structure(struct request *req, const char *path, size_t len)
{
	static const struct {
		const char *path;
		size_t offset;
	} single[] = {
		{ "head", offsetof(struct request, head) },
		{ "link", offsetof(struct request, link) },
		{ "detach", offsetof(struct request, detach) },
		{ "resize", offsetof(struct request, resize) },
		{ "snapshot", offsetof(struct request, snapshot) },
		{ "progress", offsetof(struct request, progress) },
	};
	unsigned int i = path[len - 1] - '0';
	size_t n;

	for (n = 0; n < ARRAY_SIZE(single); n++)
		if (strlen(single[n].path) == len &&
		    !strncmp(path, single[n].path, len))
			return (char *)req + single[n].offset;
	if (!strncmp(path, "extent", 6) && len == 7 && i < EXTENTS_SHOWN)
		return &req->extent[i];
	if (!strncmp(path, "patch", 5) && len == 6 && i < VMDK_MAX_PATCHES)
		return &req->patch[i];
	usage(path);
}

static const struct member *find_member(const char *path, const char *name)
{
	size_t i, len;

	for (i = 0; i < ARRAY_SIZE(members); i++) {
		len = strlen(members[i].name);
		if (!strncmp(path, members[i].path, strlen(members[i].path)) &&
		    !strncmp(name, members[i].name, len) &&
		    (name[len] == '=' || name[len] == '['))
			return &members[i];
	}
	usage(name);
}

/* PATH.MEMBER=VALUE or PATH.MEMBER[N]=VALUE */
static void put_value(struct request *req, const char *arg)
{
	const char *name = strchr(arg, '.') + 1;
	const char *value = strchr(arg, '=') + 1;
	const struct member *m = find_member(arg, name);
	char *p = structure(req, arg, name - 1 - arg);
	uint64_t number;

	p += m->offset;
	if (!strncmp(value, "text:", 5)) {
		memset(p, 0, m->size * m->count);
		memcpy(p, value + 5, strnlen(value + 5, m->size * m->count));
		return;
	}
	if (name[strlen(m->name)] == '[')
		p += m->size * strtoul(name + strlen(m->name) + 1, NULL, 0);
	number = parse_value(value);
	memcpy(p, &number, m->size);
}

/* Cuts the next word of "a:b:c" off. */
static char *next_word(char **text)
{
	char *word = strsep(text, ":");

	if (!word)
		usage("EXTENT");
	return word;
}

static unsigned int parse_kind(const char *word)
{
	static const struct {
		const char *word;
		unsigned int kind;
	} kinds[] = {
		{ "zero", VMDK_KIND_ZERO }, { "flat", VMDK_KIND_FLAT },
		{ "device", VMDK_KIND_DEVICE }, { "sparse", VMDK_KIND_SPARSE },
		{ "cowd", VMDK_KIND_COWD }, { "sesparse", VMDK_KIND_SESPARSE },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(word, kinds[i].word))
			return kinds[i].kind;
	usage(word);
}

static void add_extent(struct request *req, const char *arg)
{
	struct vmdk_extent_info *ext = &req->extent[req->head.nr_extents++];
	struct vmdk_link_info *link = &req->link[req->head.nr_links - 1];
	char *text = strdup(arg);
	bool write = !(req->head.flags & VMDK_ATTACH_READ_ONLY) &&
		     link == req->link;

	ext->kind = parse_kind(next_word(&text));
	ext->access = VMDK_ACCESS_RW;
	ext->start = link->sectors;
	ext->fd = -1;
	if (ext->kind != VMDK_KIND_ZERO)
		ext->fd = open_file(next_word(&text),
				    write ? O_RDWR : O_RDONLY);
	ext->sectors = parse_number(next_word(&text));
	link->sectors += ext->sectors;
	link->nr_extents++;
	if (req->head.backing_fd < 0)
		req->head.backing_fd = ext->fd;
}

static void init_request(struct request *req)
{
	memset(&req->head, 0, sizeof(req->head));
	memset(req->link, 0, LINKS_SHOWN * sizeof(req->link[0]));
	memset(req->extent, 0, EXTENTS_SHOWN * sizeof(req->extent[0]));
	memset(req->patch, 0, sizeof(req->patch));
	req->message[0] = '\0';
	req->head.index = -1;
	req->head.backing_fd = -1;
	req->head.nr_links = 1;
	req->head.cid = 0x12345678;
	req->head.new_cid = 0x12345678;
	req->head.parent_cid = 0xffffffff;
	req->head.message_size = sizeof(req->message);
	req->head.links = (uintptr_t)req->link;
	req->head.extents = (uintptr_t)req->extent;
	req->head.patches = (uintptr_t)req->patch;
	req->head.message = (uintptr_t)req->message;
	strcpy(req->head.create_type, "custom");
}

static const char *error_name(int err)
{
	const char *name = strerrorname_np(err);

	return name ? name : "UNKNOWN";
}

static int print_result(const char *message)
{
	printf("%s:%s%s\n", error_name(errno), *message ? " " : "", message);
	return 1;
}

static void build_attach(struct request *req, int argc, char **argv)
{
	int i;

	init_request(req);
	for (i = 0; i < argc; i++)
		if (!strcmp(argv[i], "read-only"))
			req->head.flags |= VMDK_ATTACH_READ_ONLY;
	for (i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "below") && req->head.nr_links < LINKS_SHOWN)
			req->head.nr_links++;
		else if (!strchr(argv[i], '=') && strcmp(argv[i], "read-only"))
			add_extent(req, argv[i]);
	}
	/* A disk without a file of its own is shown as what leads to it. */
	if (req->head.backing_fd < 0)
		req->head.backing_fd = open_file("/dev/null", O_RDONLY);
	for (i = 0; i < argc; i++)
		if (strchr(argv[i], '='))
			put_value(req, argv[i]);
}

static int do_attach(struct request *req, int argc, char **argv)
{
	build_attach(req, argc, argv);
	if (call(req, VMDK_ATTACH))
		return print_result(req->message);
	printf("ok %d\n", req->head.index);
	return 0;
}

static int do_resize(struct request *req, int argc, char **argv)
{
	struct vmdk_resize *resize = &req->resize;
	int i;

	if (argc < 2)
		usage("resize");
	memset(resize, 0, sizeof(*resize));
	resize->index = parse_number(argv[0]);
	resize->sectors = parse_number(argv[1]);
	resize->backing_fd = -1;
	resize->message = (uintptr_t)req->message;
	resize->message_size = sizeof(req->message);
	for (i = 2; i < argc; i++)
		put_value(req, argv[i]);
	if (starved_ioctl("resize", VMDK_RESIZE, resize))
		return print_result(req->message);
	puts("ok");
	return 0;
}

static int do_detach(struct request *req, int argc, char **argv)
{
	int i;

	if (!argc)
		usage("detach");
	memset(&req->detach, 0, sizeof(req->detach));
	req->detach.index = parse_number(argv[0]);
	for (i = 1; i < argc; i++)
		put_value(req, argv[i]);
	if (ioctl(control, VMDK_DETACH, &req->detach))
		return print_result("");
	puts("ok");
	return 0;
}

/* What a request for an attach says, as one for a new top of disk @index. */
static void build_snapshot(struct request *req, int index)
{
	const struct vmdk_attach *head = &req->head;
	struct vmdk_snapshot *snap = &req->snapshot;

	memset(snap, 0, sizeof(*snap));
	snap->index = index;
	snap->backing_fd = head->backing_fd;
	snap->nr_extents = head->nr_extents;
	snap->nr_patches = head->nr_patches;
	snap->cid = head->cid;
	snap->new_cid = head->new_cid;
	snap->parent_cid = head->parent_cid;
	snap->message_size = head->message_size;
	snap->extents = head->extents;
	snap->patches = head->patches;
	snap->message = head->message;
	snap->flags = head->flags;
	memcpy(snap->create_type, head->create_type, sizeof(snap->create_type));
}

static int do_snapshot(struct request *req, int argc, char **argv)
{
	if (!argc)
		usage("snapshot");
	build_attach(req, argc - 1, argv + 1);
	build_snapshot(req, parse_number(argv[0]));
	if (starved_ioctl("snapshot", VMDK_SNAPSHOT, &req->snapshot))
		return print_result(req->message);
	puts("ok");
	return 0;
}

/* A call of a fold that must fail with @err, or succeed for 0. */
static bool fold_says(const char *what, unsigned long number, void *arg, int err)
{
	int ret = ioctl(control, number, arg) ? errno : 0;

	if (ret == err)
		return true;
	printf("%s: %s, expected %s\n", what, error_name(ret), error_name(err));
	return false;
}

static bool wrong_folds(struct request *req)
{
	struct vmdk_fold_progress flags = { .flags = 0x80000000 };
	struct vmdk_fold_progress reserved[4] = { 0 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(reserved); i++) {
		reserved[i].reserved[i] = 1ULL << 63;
		if (!fold_says("reserved", VMDK_FOLD_COPY, &reserved[i], EINVAL))
			return false;
	}
	return fold_says("flags", VMDK_FOLD_COPY, &flags, EINVAL) &&
	       fold_says("bad", VMDK_FOLD_COPY, (void *)(uintptr_t)unmapped(),
			 EFAULT) &&
	       fold_says("sealed", VMDK_FOLD_COPY, sealed_zeros(), EFAULT) &&
	       fold_says("again", VMDK_FOLD_BEGIN, &req->head, EALREADY) &&
	       fold_says("end of 1", VMDK_FOLD_END, (void *)1, EINVAL) &&
	       fold_says("cancel of 1", VMDK_FOLD_CANCEL, (void *)1, EINVAL);
}

static int do_fold(struct request *req, int argc, char **argv)
{
	struct vmdk_fold_progress progress = { 0 };

	build_attach(req, argc, argv);
	if (!fold_says("copy before", VMDK_FOLD_COPY, &progress, ENXIO) ||
	    !fold_says("end before", VMDK_FOLD_END, NULL, ENXIO) ||
	    !fold_says("cancel before", VMDK_FOLD_CANCEL, NULL, ENXIO))
		return 1;
	if (call(req, VMDK_FOLD_BEGIN)) {
		int err = errno;

		if (!fold_says("copy after", VMDK_FOLD_COPY, &progress, ENXIO))
			return 1;
		errno = err;
		return print_result(req->message);
	}
	if (!wrong_folds(req) ||
	    !fold_says("copy", VMDK_FOLD_COPY, &progress, 0) ||
	    !fold_says("cancel", VMDK_FOLD_CANCEL, NULL, 0) ||
	    !fold_says("copy after", VMDK_FOLD_COPY, &progress, ENXIO))
		return 1;
	printf("ok %u %llu %llu\n", progress.index,
	       (unsigned long long)progress.sectors,
	       (unsigned long long)progress.left);
	return 0;
}

static int merge_failed(const struct request *req, const char *name)
{
	printf("%s: ", name);
	return print_result(req->message);
}

static int do_merge(struct request *req, int argc, char **argv)
{
	struct vmdk_fold_progress progress = { .left = 1 };

	build_attach(req, argc, argv);
	if (starved_ioctl("begin", VMDK_FOLD_BEGIN, &req->head))
		return merge_failed(req, "begin");
	while (progress.left)
		if (starved_ioctl("copy", VMDK_FOLD_COPY, &progress))
			return merge_failed(req, "copy");
	if (starved_ioctl("end", VMDK_FOLD_END, NULL))
		return merge_failed(req, "end");
	puts("ok");
	return 0;
}

static int do_features(void)
{
	uint64_t features = 0;

	if (ioctl(control, VMDK_GET_FEATURES, &features))
		return print_result("");
	printf("ok 0x%llx\n", (unsigned long long)features);
	return 0;
}

static int do_ioctl(int argc, char **argv)
{
	static char zeros[4096];
	void *arg = zeros;

	if (argc == 2 && !strcmp(argv[1], "null"))
		arg = NULL;
	if (argc == 2 && !strcmp(argv[1], "bad"))
		arg = (void *)(uintptr_t)unmapped();
	if (argc == 2 && !strcmp(argv[1], "sealed"))
		arg = sealed_zeros();
	if (ioctl(control, parse_number(argv[0]), arg))
		return print_result("");
	puts("ok");
	return 0;
}

/* ---- files ---- */

static int do_poke(const char *path, int argc, char **argv)
{
	int fd = open_file(path, O_RDWR);
	uint64_t value, width;
	int i;

	for (i = 0; i + 2 < argc; i += 3) {
		width = parse_number(argv[i + 1]);
		value = parse_number(argv[i + 2]);
		if (width > sizeof(value) ||
		    pwrite(fd, &value, width, parse_number(argv[i])) !=
		    (ssize_t)width)
			die(path);
	}
	close(fd);
	puts("ok");
	return 0;
}

/* What is not there in one file is not there in the other. */
static void copy_data(int from, int to, const char *path)
{
	off_t pos = 0, end = 0, size = lseek(from, 0, SEEK_END);

	if (size < 0 || ftruncate(to, size))
		die(path);
	while ((pos = lseek(from, end, SEEK_DATA)) >= 0) {
		end = lseek(from, pos, SEEK_HOLE);
		while (pos < end)
			if (copy_file_range(from, &pos, to, &(off_t){ pos },
					    end - pos, 0) <= 0)
				die(path);
	}
	if (errno != ENXIO)
		die(path);
}

static int do_copy(int argc, char **argv)
{
	int from = open_file(argv[0], O_RDONLY), to;

	to = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (to < 0)
		die(argv[1]);
	copy_data(from, to, argv[1]);
	close(from);
	close(to);
	return do_poke(argv[1], argc - 2, argv + 2);
}

static int do_truncate(const char *path, const char *bytes)
{
	if (truncate(path, parse_number(bytes)))
		die(path);
	puts("ok");
	return 0;
}

static bool same_bytes(int one, int other)
{
	static char a[65536], b[65536];
	ssize_t n;

	do {
		n = read(one, a, sizeof(a));
		if (n < 0 || read(other, b, sizeof(b)) != n || memcmp(a, b, n))
			return false;
	} while (n);
	return true;
}

static int do_same(const char *path, const char *other_path)
{
	int fd = open_file(path, O_RDONLY), other = open_file(other_path, O_RDONLY);
	bool same = same_bytes(fd, other);

	close(fd);
	close(other);
	puts(same ? "ok" : "other bytes");
	return !same;
}

static bool all_zeros(const char *p, size_t bytes)
{
	return !*p && !memcmp(p, p + 1, bytes - 1);
}

/* A letter for what was read as compared with what was expected. */
static char judge_bytes(const char *is, ssize_t got, const char *expected, size_t bytes)
{
	if (got != (ssize_t)bytes)
		return '!';
	if (!memcmp(is, expected, bytes))
		return '=';
	return all_zeros(is, bytes) ? '.' : 'x';
}

static int do_pieces(char **argv)
{
	int fd = open_file(argv[0], O_RDONLY | O_DIRECT);
	int file = open_file(argv[1], O_RDONLY);
	size_t bytes = parse_number(argv[2]);
	uint64_t i, count = parse_number(argv[3]);
	char *is = map_pages(bytes), *expected = map_pages(bytes);

	for (i = 0; i < count; i++) {
		if (pread(file, expected, bytes, i * bytes) != (ssize_t)bytes)
			die(argv[1]);
		putchar(judge_bytes(is, pread(fd, is, bytes, i * bytes), expected,
				    bytes));
	}
	putchar('\n');
	munmap(is, bytes);
	munmap(expected, bytes);
	close(fd);
	close(file);
	return 0;
}

/* ---- ways to write ---- */

static bool set_writable(int fd)
{
	int off = 0;

	return !ioctl(fd, BLKROSET, &off);
}

static bool write_cached(int fd)
{
	static char buf[4096];

	return pwrite(fd, buf, sizeof(buf), 0) > 0 && !fsync(fd);
}

static bool write_direct(int fd)
{
	void *buf = map_pages(4096);
	bool done = false;

	if (!fcntl(fd, F_SETFL, O_DIRECT))
		done = pwrite(fd, buf, 4096, 0) > 0;
	fcntl(fd, F_SETFL, 0);
	munmap(buf, 4096);
	return done;
}

static bool write_mapped(int fd)
{
	char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	bool done;

	if (p == MAP_FAILED)
		return false;
	p[0] ^= 1;
	done = !msync(p, 4096, MS_SYNC);
	munmap(p, 4096);
	return done;
}

static bool discard_range(int fd, unsigned long cmd)
{
	uint64_t range[2] = { 0, 65536 };

	return !ioctl(fd, cmd, range);
}

static bool discard(int fd)
{
	return discard_range(fd, BLKDISCARD);
}

static bool discard_securely(int fd)
{
	return discard_range(fd, BLKSECDISCARD);
}

static bool zero_out(int fd)
{
	return discard_range(fd, BLKZEROOUT);
}

static bool punch(int fd)
{
	return !fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			  65536);
}

static bool zero_range(int fd)
{
	return !fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 0,
			  65536);
}

static int do_harm(const char *path)
{
	static const struct {
		const char *name;
		bool (*try)(int fd);
	} ways[] = {
		{ "BLKROSET", set_writable },
		{ "write", write_cached },
		{ "direct", write_direct },
		{ "mmap", write_mapped },
		{ "BLKDISCARD", discard },
		{ "BLKSECDISCARD", discard_securely },
		{ "BLKZEROOUT", zero_out },
		{ "punch", punch },
		{ "zero", zero_range },
	};
	int fd = open(path, O_RDWR | O_CLOEXEC);
	unsigned int done = 0;
	size_t i;

	/* Where even the open fails, the ioctl is still to be tried. */
	if (fd < 0)
		fd = open_file(path, O_RDONLY);
	for (i = 0; i < ARRAY_SIZE(ways); i++)
		if (ways[i].try(fd))
			printf("%s%s", done++ ? " " : "", ways[i].name);
	puts(done ? "" : "none");
	close(fd);
	return !!done;
}

/* ---- a block device ---- */

static int change_range(int fd, const char *way, uint64_t start, uint64_t bytes)
{
	uint64_t range[2] = { start, bytes };

	if (!strcmp(way, "discard"))
		return ioctl(fd, BLKDISCARD, range);
	if (!strcmp(way, "zeroout"))
		return ioctl(fd, BLKZEROOUT, range);
	if (!strcmp(way, "secure"))
		return ioctl(fd, BLKSECDISCARD, range);
	if (!strcmp(way, "punch"))
		return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				 start, bytes);
	if (!strcmp(way, "zero"))
		return fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
				 start, bytes);
	usage(way);
}

static int do_range(char **argv)
{
	int fd = open_file(argv[1], O_RDWR);
	int ret;

	if (change_range(fd, argv[0], parse_number(argv[2]),
			 parse_number(argv[3])))
		ret = print_result("");
	else
		ret = puts("ok") < 0;
	close(fd);
	return ret;
}

/* Bytes that are others at each place, and for each @salt. */
static void fill(uint8_t *p, size_t bytes, uint64_t start, unsigned int salt)
{
	size_t i;

	for (i = 0; i < bytes; i++)
		p[i] = (start + i) * 2654435761U >> 13 ^ salt * 37 ^ 1;
}

static const char *tell(const char *format, uint64_t a, uint64_t b, uint64_t c)
{
	static char text[160];

	snprintf(text, sizeof(text), format, (unsigned long long)a,
		 (unsigned long long)b, (unsigned long long)c);
	return text;
}

/* A transfer that the kernel must refuse. */
static const char *try_odd(int fd, uint8_t *p, size_t bytes, off_t start)
{
	const char *text = "%llu bytes at %llu, memory at ..%llx: not refused";

	if (pread(fd, p, bytes, start) >= 0 || errno != EINVAL ||
	    pwrite(fd, p, bytes, start) >= 0 || errno != EINVAL)
		return tell(text, bytes, start, (uintptr_t)p & 0xfff);
	return NULL;
}

/* A transfer there and back, through other memory. */
static const char *transferred(int fd, uint8_t *p, uint8_t *back, size_t bytes,
			       off_t start)
{
	const char *text = "%llu bytes at %llu, memory at ..%llx: failed";

	fill(p, bytes, start, bytes >> 9);
	memset(back, 0, bytes);
	if (pwrite(fd, p, bytes, start) != (ssize_t)bytes ||
	    pread(fd, back, bytes, start) != (ssize_t)bytes ||
	    memcmp(p, back, bytes))
		return tell(text, bytes, start, (uintptr_t)p & 0xfff);
	return NULL;
}

#define DIRECT_MAX	(3 << 20)

static const char *odd_places(int fd, uint8_t *p, unsigned int block)
{
	const size_t odd[] = { 1, 2, 4, 255, 256, block - 1 };
	const char *wrong = NULL;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(odd) && !wrong; i++) {
		wrong = try_odd(fd, p, block, odd[i]);
		if (!wrong)
			wrong = try_odd(fd, p, block, 65536 - odd[i]);
		if (!wrong)
			wrong = try_odd(fd, p, odd[i], 0);
		if (!wrong)
			wrong = try_odd(fd, p, 4096 + odd[i], 4096);
		if (!wrong)
			wrong = try_odd(fd, p, block - odd[i], odd[i]);
	}
	return wrong;
}

/* Memory needs what /sys/block/.../queue/dma_alignment says, a mask. */
static const char *odd_memory(int fd, uint8_t *p, uint8_t *back, unsigned int mask)
{
	const char *wrong = NULL;
	unsigned int at;

	for (at = 1; at <= 1024 && !wrong; at *= 2)
		wrong = at & mask ? try_odd(fd, p + at, 4096, 8192) :
				    transferred(fd, p + at, back, 4096, 8192);
	return wrong;
}

static const char *even_places(int fd, uint8_t *p, uint8_t *back,
			       unsigned int block)
{
	static const unsigned int starts[] = { 0, 1, 7, 8, 127, 128, 129 };
	static const unsigned int blocks[] = { 1, 3, 8, 9, 127, 257, 2561, 5000 };
	const char *wrong = NULL;
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(starts); i++)
		for (j = 0; j < ARRAY_SIZE(blocks) && !wrong; j++)
			wrong = transferred(fd, p + j % 3 * 512, back,
					    blocks[j] * block, starts[i] * block);
	return wrong;
}

/* In pieces of memory of one block each, which do not follow each other. */
static const char *try_pieces(int fd, uint8_t *p, uint8_t *back, unsigned int block)
{
	struct iovec out[64], in[64];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(out); i++) {
		out[i] = (struct iovec){ p + 2 * i * block, block };
		in[i] = (struct iovec){ back + i * block, block };
	}
	fill(p, ARRAY_SIZE(out) * 2 * block, 0, 99);
	if (pwritev(fd, out, 64, block) != 64 * block ||
	    preadv(fd, in, 64, block) != 64 * block)
		return "scattered memory: failed";
	for (i = 0; i < ARRAY_SIZE(out); i++)
		if (memcmp(out[i].iov_base, in[i].iov_base, block))
			return "scattered memory: other bytes";
	return NULL;
}

static const char *at_the_end(int fd, uint8_t *p, unsigned int block)
{
	off_t end = lseek(fd, 0, SEEK_END);

	if (pread(fd, p, block, end) || pread(fd, p, block, end + block))
		return "reads past the end are not empty";
	if (pread(fd, p, 4 * block, end - block) != block)
		return "a read over the end is not short";
	if (pwrite(fd, p, block, end) >= 0 || errno != ENOSPC)
		return "a write past the end is not ENOSPC";
	if (pwrite(fd, p, 4 * block, end - block) != block)
		return "a write over the end is not short";
	return NULL;
}

static unsigned int dma_mask(const char *device)
{
	const char *name = strrchr(device, '/');
	unsigned int mask;
	char path[256];
	FILE *f;

	if (!name)
		usage(device);
	snprintf(path, sizeof(path), "/sys/block%s/queue/dma_alignment", name);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%u", &mask) != 1)
		die(path);
	fclose(f);
	return mask;
}

static int print_wrong(const char *wrong)
{
	puts(wrong ? wrong : "ok");
	return !!wrong;
}

static int do_direct(const char *path)
{
	int fd = open_file(path, O_RDWR | O_DIRECT), block;
	uint8_t *p = map_pages(DIRECT_MAX), *back = map_pages(DIRECT_MAX);
	const char *wrong;

	if (ioctl(fd, BLKSSZGET, &block))
		die("BLKSSZGET");
	wrong = odd_places(fd, p, block);
	if (!wrong)
		wrong = odd_memory(fd, p, back, dma_mask(path));
	if (!wrong)
		wrong = even_places(fd, p, back, block);
	if (!wrong)
		wrong = try_pieces(fd, p, back, block);
	if (!wrong)
		wrong = at_the_end(fd, p, block);
	munmap(p, DIRECT_MAX);
	munmap(back, DIRECT_MAX);
	close(fd);
	return print_wrong(wrong);
}

#define COHERENT_BYTES	(2 << 20)

struct view {
	int cached, direct;
	uint8_t *map, *now, *model;
};

/* Everyone must see the same, and what the model says. */
static const char *views_differ(struct view *v)
{
	if (pread(v->cached, v->now, COHERENT_BYTES, 0) != COHERENT_BYTES ||
	    memcmp(v->now, v->model, COHERENT_BYTES))
		return "the page cache has other bytes";
	if (memcmp(v->map, v->model, COHERENT_BYTES))
		return "the mapping has other bytes";
	if (fdatasync(v->cached) ||
	    pread(v->direct, v->now, COHERENT_BYTES, 0) != COHERENT_BYTES ||
	    memcmp(v->now, v->model, COHERENT_BYTES))
		return "the disk has other bytes";
	return NULL;
}

/* Bytes that are cached, mapped, and (@dirty) not on the disk yet, become zeros. */
static const char *make_zeros(struct view *v, const char *way, uint64_t start,
			      uint64_t bytes, bool dirty)
{
	static unsigned int salt;

	fill(v->model, COHERENT_BYTES, 0, ++salt);
	if (dirty)
		memcpy(v->map, v->model, COHERENT_BYTES);
	else if (pwrite(v->cached, v->model, COHERENT_BYTES, 0) !=
		 COHERENT_BYTES || fdatasync(v->cached))
		return "cannot write";
	if (memcmp(v->map, v->model, COHERENT_BYTES))
		return "the mapping does not see what is written";
	if (change_range(v->direct, way, start, bytes))
		return "cannot be changed";
	memset(v->model + start, 0, bytes);
	return views_differ(v);
}

static const char *try_ways(struct view *v)
{
	static const char *const ways[] = { "discard", "zeroout", "punch", "zero" };
	const char *wrong;
	size_t i;

	for (i = 0; i < 2 * ARRAY_SIZE(ways); i++) {
		const char *way = ways[i / 2];
		/* What a discard drops of a cache was never on the disk. */
		bool dirty = i % 2 && i / 2;

		wrong = make_zeros(v, way, 1 << 18, 1 << 19, dirty);
		/* A part of a grain, and of pages, must not be for a discard. */
		if (!wrong && i / 2)
			wrong = make_zeros(v, way, (1 << 18) - 1536, 70144, dirty);
		if (wrong) {
			printf("%s%s: ", dirty ? "dirty, " : "", way);
			return wrong;
		}
	}
	return NULL;
}

static int do_coherent(const char *path)
{
	struct view v = {
		.cached = open_file(path, O_RDWR),
		.direct = open_file(path, O_RDWR | O_DIRECT),
		.now = map_pages(COHERENT_BYTES),
		.model = map_pages(COHERENT_BYTES),
	};
	const char *wrong;

	v.map = mmap(NULL, COHERENT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
		     v.cached, 0);
	if (v.map == MAP_FAILED)
		die(path);
	wrong = try_ways(&v);
	munmap(v.map, COHERENT_BYTES);
	munmap(v.now, COHERENT_BYTES);
	munmap(v.model, COHERENT_BYTES);
	close(v.cached);
	close(v.direct);
	return print_wrong(wrong);
}

#define CMD(name, use) { #name, name, use }
#define OUT	1	/* stores at the address */
#define IN	2	/* reads from it */

/* Block ioctls that take an address, and what they do with it. */
static const struct {
	const char *name;
	unsigned long number;
	int use;
} block_ioctls[] = {
	CMD(BLKROGET, OUT), CMD(BLKSSZGET, OUT), CMD(BLKPBSZGET, OUT),
	CMD(BLKIOMIN, OUT), CMD(BLKIOOPT, OUT), CMD(BLKALIGNOFF, OUT),
	CMD(BLKSECTGET, OUT), CMD(BLKROTATIONAL, OUT), CMD(BLKGETSIZE, OUT),
	CMD(BLKGETSIZE64, OUT), CMD(BLKBSZGET, OUT), CMD(BLKDISCARDZEROES, OUT),
	CMD(BLKRAGET, OUT), CMD(BLKGETDISKSEQ, OUT), CMD(BLKROSET, IN),
	CMD(BLKBSZSET, IN), CMD(BLKDISCARD, IN), CMD(BLKZEROOUT, IN),
	CMD(BLKPG, IN), CMD(BLKTRACESETUP, IN),
};

/* Those of others: loop, nbd, CD-ROM, SCSI, IDE, and of our control device. */
static const unsigned long foreign_ioctls[] = {
	0x4c00, 0x4c01, 0x4c06, 0x4c09, 0xab00, 0x5309, 0x2285, 0x030d,
	VMDK_GET_FEATURES, VMDK_ATTACH, VMDK_DETACH, VMDK_SNAPSHOT,
	VMDK_FOLD_BEGIN, VMDK_FOLD_COPY, VMDK_FOLD_END, VMDK_FOLD_CANCEL,
	VMDK_RESIZE,
};

/* Some look for a NULL before they do anything else. */
static bool says_no(int fd, unsigned long number, void *arg)
{
	return ioctl(fd, number, arg) &&
	       (errno == EFAULT || (!arg && errno == EINVAL) ||
		(number == BLKTRACESETUP && errno == ENOTTY));
}

static const char *wrong_addresses(int fd)
{
	void *const zeros = sealed_zeros();
	size_t i;

	for (i = 0; i < ARRAY_SIZE(block_ioctls); i++) {
		unsigned long number = block_ioctls[i].number;

		if (!says_no(fd, number, NULL) ||
		    !says_no(fd, number, (void *)(uintptr_t)unmapped()) ||
		    !says_no(fd, number, (void *)(uintptr_t)0xffff888000000000) ||
		    (block_ioctls[i].use == OUT && !says_no(fd, number, zeros)))
			return block_ioctls[i].name;
	}
	return NULL;
}

static const char *unknown_ioctls(int fd)
{
	static char zeros[4096];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(foreign_ioctls); i++) {
		if (!ioctl(fd, foreign_ioctls[i], zeros) || errno != ENOTTY ||
		    !ioctl(fd, foreign_ioctls[i], NULL) || errno != ENOTTY)
			return tell("ioctl 0x%llx is not unknown",
				    foreign_ioctls[i], 0, 0);
	}
	return NULL;
}

static int do_arguments(const char *path)
{
	int fd = open_file(path, O_RDWR);
	const char *wrong = wrong_addresses(fd);

	if (!wrong)
		wrong = unknown_ioctls(fd);
	close(fd);
	return print_wrong(wrong);
}

/* ---- one I/O ---- */

#define PIECE		65536
/* What "part" writes of it. */
#define PART_FIRST	(3 * SECTOR)
#define PART_BYTES	(21 * SECTOR)

/* The bytes of a piece before and after, and what there is now. */
struct piece {
	int fd, raw;
	uint64_t start;
	size_t first, bytes;	/* what is changed of it */
	uint8_t *old, *new, *is;
};

static int change_piece(struct piece *p, const char *way)
{
	uint8_t *from = p->new + p->first;

	if (!strcmp(way, "read"))
		return pread(p->fd, p->is, PIECE, p->start) == PIECE ? 0 : -1;
	if (strcmp(way, "write") && strcmp(way, "part"))
		return change_range(p->fd, way, p->start, PIECE);
	return pwrite(p->fd, from, p->bytes, p->start + p->first) ==
	       (ssize_t)p->bytes ? 0 : -1;
}

static void plan_piece(struct piece *p, const char *way)
{
	bool part = !strcmp(way, "part");

	p->first = part ? PART_FIRST : 0;
	p->bytes = part ? PART_BYTES : PIECE;
	if (pread(p->raw, p->old, PIECE, p->start) != PIECE)
		die("RAW");
	memcpy(p->new, p->old, PIECE);
	if (!strcmp(way, "discard") || !strcmp(way, "zeroout"))
		memset(p->new, 0, PIECE);
	else if (strcmp(way, "read"))
		fill(p->new + p->first, p->bytes, p->start + p->first, nth);
}

/* Sectors that may be what they were; the others are what they were to be. */
static const char *judge_piece(const struct piece *p, bool may_be_old)
{
	size_t at;

	for (at = 0; at < PIECE; at += SECTOR)
		if (memcmp(p->is + at, p->new + at, SECTOR) &&
		    (!may_be_old || memcmp(p->is + at, p->old + at, SECTOR)))
			return tell("byte %llu is wrong", p->start + at, 0, 0);
	return NULL;
}

static const char *look_at_piece(struct piece *p, bool may_be_old)
{
	const char *wrong;

	if (fsync(p->fd))
		return "the next flush failed";
	if (pread(p->fd, p->is, PIECE, p->start) != PIECE)
		return "the next read failed";
	wrong = judge_piece(p, may_be_old);
	if (!wrong && pwrite(p->raw, p->is, PIECE, p->start) != PIECE)
		die("RAW");
	return wrong;
}

static int do_io(const char *way, const char *device, const char *raw,
		 const char *start)
{
	struct piece p = {
		.fd = open_file(device, O_RDWR | O_DIRECT),
		.raw = open_file(raw, O_RDWR),
		.start = parse_number(start),
		.old = map_pages(PIECE),
		.new = map_pages(PIECE),
		.is = map_pages(PIECE),
	};
	bool read = !strcmp(way, "read");
	const char *wrong = NULL;
	int err;

	plan_piece(&p, way);
	if (nth)
		starve(nth, true);
	err = change_piece(&p, way) || (!read && fsync(p.fd)) ? errno : 0;
	if (nth)
		nth_met |= relent();
	if (read && !err)
		wrong = judge_piece(&p, false);
	if (!wrong)
		wrong = look_at_piece(&p, err || !strcmp(way, "discard"));
	munmap(p.old, PIECE);
	munmap(p.new, PIECE);
	munmap(p.is, PIECE);
	errno = err;
	if (!wrong && err)
		return print_result("");
	return print_wrong(wrong);
}

/* ---- memory that is not to be had, for attach ---- */

/* Attaches while allocation @n fails; false: there are not so many. */
static bool attach_failing(struct request *req, unsigned int n, int *err)
{
	bool failed;

	req->head.index = -1;
	req->message[0] = '\0';
	starve(n, false);
	*err = ioctl(control, VMDK_ATTACH, &req->head) ? errno : 0;
	failed = relent();
	if (!*err)
		detach_disk(control, req->head.index);
	return failed;
}

/* A device whose name finds no memory is one without a name to the kernel. */
static bool lacks_memory(const struct request *req, int err)
{
	return err == ENOMEM || (err == EINVAL && !req->message[0]);
}

static int do_failing(struct request *req, int argc, char **argv)
{
	unsigned int n, refused = 0;
	int err;

	build_attach(req, argc, argv);
	for (n = 1; attach_failing(req, n, &err); n++) {
		refused += !!err;
		if (err && !lacks_memory(req, err))
			break;
	}
	if (err) {
		printf("allocation %u: ", n);
		errno = err;
		return print_result(req->message);
	}
	printf("ok %u %u\n", refused, n - 1 - refused);
	return 0;
}

/* ---- random requests ---- */

enum call_name {
	ATTACH, DETACH, SNAPSHOT, FOLD_BEGIN, FOLD_COPY, FOLD_END, FOLD_CANCEL,
	RESIZE, FEATURES, CALLS,
};

#define AT(member)	offsetof(struct request, member)

/* @message: where the address of one is, and how long it may be; 0: there is none. */
static const struct call {
	const char *name;
	unsigned long number;
	const char *paths;	/* of what it takes */
	size_t structure, message, message_size;
} calls[CALLS] = {
	[ATTACH] = { "ATTACH", VMDK_ATTACH, "head link extent patch", AT(head),
		     AT(head.message), AT(head.message_size) },
	[DETACH] = { "DETACH", VMDK_DETACH, "detach", AT(detach), 0, 0 },
	[SNAPSHOT] = { "SNAPSHOT", VMDK_SNAPSHOT, "snapshot extent patch",
		       AT(snapshot), AT(snapshot.message),
		       AT(snapshot.message_size) },
	[FOLD_BEGIN] = { "FOLD_BEGIN", VMDK_FOLD_BEGIN, "head link extent patch",
			 AT(head), AT(head.message), AT(head.message_size) },
	[FOLD_COPY] = { "FOLD_COPY", VMDK_FOLD_COPY, "progress", AT(progress),
			0, 0 },
	[FOLD_END] = { "FOLD_END", VMDK_FOLD_END, "", 0, 0, 0 },
	[FOLD_CANCEL] = { "FOLD_CANCEL", VMDK_FOLD_CANCEL, "", 0, 0, 0 },
	[RESIZE] = { "RESIZE", VMDK_RESIZE, "resize", AT(resize),
		     AT(resize.message), AT(resize.message_size) },
	[FEATURES] = { "GET_FEATURES", VMDK_GET_FEATURES, "", 0, 0, 0 },
};

#define LIVE_FILES	4

/* A disk of sound images, the files of its links first to last, and what changes it. */
struct live {
	int control;
	int index;
	unsigned int depth;
	uint64_t sectors, asked;	/* of a resize that has begun */
	bool folding;
	int rw[LIVE_FILES], ro[LIVE_FILES];
};

struct fuzz {
	uint64_t state;
	const char *path, *empty;
	uint64_t sectors;
	uint32_t cid;
	struct request *base, *now;
	struct live live;
	unsigned int calls, silent;
	unsigned int done[CALLS], refused[CALLS];
	unsigned int errors[200];
	uint64_t bad_address;
	int special[8];
};

static uint64_t random_u64(struct fuzz *f)
{
	f->state ^= f->state << 13;
	f->state ^= f->state >> 7;
	f->state ^= f->state << 17;
	return f->state * 0x2545f4914f6cdd1dULL;
}

static uint64_t below(struct fuzz *f, uint64_t n)
{
	return (random_u64(f) >> 11) % n;
}

static uint64_t random_value(struct fuzz *f, uint64_t old)
{
	switch (below(f, 9)) {
	case 0:
		return 0;
	case 1:
		return ~0ULL;
	case 2:
		return old + 1;
	case 3:
		return old - 1;
	case 4:
		return old ^ (1ULL << below(f, 64));
	case 5:
		return 1ULL << below(f, 64);
	case 6:
		return below(f, 20000);
	case 7:
		return (1ULL << below(f, 64)) - 1;
	default:
		return random_u64(f);
	}
}

static uint64_t random_address(struct fuzz *f, uint64_t old)
{
	switch (below(f, 4)) {
	case 0:
		return 0;
	case 1:
		return f->bad_address - below(f, 300);
	case 2:
		return 0xffff888000000000ULL + below(f, 1 << 20);
	default:
		return old + below(f, 4096);
	}
}

static bool is_address(const struct member *m)
{
	return !strcmp(m->name, "links") || !strcmp(m->name, "extents") ||
	       !strcmp(m->name, "patches") || !strcmp(m->name, "message");
}

static bool is_fd(const struct member *m)
{
	return !strcmp(m->name, "fd") || !strcmp(m->name, "backing_fd");
}

/* A member of what @call takes. */
static const struct member *random_member(struct fuzz *f, const struct call *call)
{
	const struct member *m;

	do {
		m = &members[below(f, ARRAY_SIZE(members))];
	} while (!strstr(call->paths, m->path));
	return m;
}

static char *random_place(struct fuzz *f, const struct member *m)
{
	char *p;

	if (!strcmp(m->path, "extent"))
		p = (char *)&f->now->extent[below(f, 3)];
	else if (!strcmp(m->path, "patch"))
		p = (char *)&f->now->patch[0];
	else
		p = structure(f->now, m->path, strlen(m->path));
	return p + m->offset + below(f, m->count) * m->size;
}

static void mutate_member(struct fuzz *f, const struct call *call)
{
	const struct member *m = random_member(f, call);
	char *p = random_place(f, m);
	uint64_t value = 0;

	memcpy(&value, p, m->size);
	if (is_address(m))
		value = random_address(f, value);
	else if (is_fd(m) && below(f, 4))
		value = f->special[below(f, ARRAY_SIZE(f->special))];
	else
		value = random_value(f, value);
	memcpy(p, &value, m->size);
}

static void put_byte(struct fuzz *f, off_t pos, uint8_t value)
{
	int fd = open_file(f->path, O_RDWR);

	if (pwrite(fd, &value, 1, pos) != 1)
		die(f->path);
	close(fd);
}

/* A byte of the header or of what lies behind; the first must stay sparse. */
static void mutate_file(struct fuzz *f, off_t *pos, uint8_t *old)
{
	static const off_t limits[] = { 80, 512, 65536 };
	int fd = open_file(f->path, O_RDONLY);

	*pos = below(f, limits[below(f, ARRAY_SIZE(limits))]);
	if (pread(fd, old, 1, *pos) != 1)
		*pos = -1;
	close(fd);
	if (*pos >= 0)
		put_byte(f, *pos, random_value(f, *old));
}

/* What the kernel says has to be one line of text that ends. */
static void check_message(const struct request *req)
{
	const char *p = req->message;

	if (!memchr(p, 0, VMDK_MESSAGE_SIZE)) {
		puts("a message does not end");
		exit(1);
	}
	for (; *p; p++) {
		if (*p < 0x20 || *p == 0x7f) {
			puts("a message is not one line of text");
			exit(1);
		}
	}
}

static bool message_is_ours(const struct request *req, const struct call *call)
{
	uint64_t address;
	uint32_t size;

	if (!call->message)
		return false;
	memcpy(&address, (const char *)req + call->message, sizeof(address));
	memcpy(&size, (const char *)req + call->message_size, sizeof(size));
	return address == (uintptr_t)req->message && size == sizeof(req->message);
}

static void count_refusal(struct fuzz *f, enum call_name name, bool has_message)
{
	f->refused[name]++;
	if (errno < (int)ARRAY_SIZE(f->errors))
		f->errors[errno]++;
	if (!has_message)
		return;
	f->silent += errno == EINVAL && !f->now->message[0];
	check_message(f->now);
}

/* Makes call @name, with what the request has for it now. */
static bool makes(struct fuzz *f, int fd, enum call_name name)
{
	const struct call *call = &calls[name];
	bool has_message = message_is_ours(f->now, call);

	f->calls++;
	if (ioctl(fd, call->number, (char *)f->now + call->structure)) {
		count_refusal(f, name, has_message);
		return false;
	}
	f->done[name]++;
	return true;
}

/* The disk has to bear use; errors are as good as data. */
static void use_disk(struct fuzz *f, int index)
{
	static char buf[65536];
	char node[32];
	int fd;

	snprintf(node, sizeof(node), "/dev/vmdk%d", index);
	fd = open(node, O_RDWR);
	if (fd < 0)
		fd = open(node, O_RDONLY);
	if (fd >= 0) {
		(void)!pread(fd, buf, sizeof(buf), 0);
		(void)!pwrite(fd, buf, 4096, below(f, f->sectors) * SECTOR);
		fsync(fd);
		close(fd);
	}
}

/* Only the first few of the arrays are ever changed. */
static void start_over(struct fuzz *f)
{
	struct request *now = f->now;

	now->head = f->base->head;
	/* What is taken costs most of the time: mostly as little as can be. */
	now->head.flags = VMDK_ATTACH_NO_PARTSCAN;
	if (!below(f, 8))
		now->head.flags = 0;
	now->head.links = (uintptr_t)now->link;
	now->head.extents = (uintptr_t)now->extent;
	now->head.patches = (uintptr_t)now->patch;
	now->head.message = (uintptr_t)now->message;
	now->link[0] = f->base->link[0];
	memcpy(now->extent, f->base->extent, EXTENTS_SHOWN * sizeof(now->extent[0]));
	memcpy(now->patch, f->base->patch, sizeof(now->patch));
	now->message[0] = '\0';
}

static void fuzz_attach(struct fuzz *f)
{
	off_t pos = -1;
	uint8_t old;
	int n;

	start_over(f);
	if (!below(f, 3))
		mutate_file(f, &pos, &old);
	for (n = below(f, 4) + (pos < 0); n; n--)
		mutate_member(f, &calls[ATTACH]);
	if (makes(f, control, ATTACH)) {
		if (f->done[ATTACH] % 8 == 1)
			use_disk(f, f->now->head.index);
		detach_disk(control, f->now->head.index);
	}
	if (pos >= 0)
		put_byte(f, pos, old);
}

static void fuzz_detach(struct fuzz *f)
{
	memset(&f->now->detach, 0, sizeof(f->now->detach));
	f->now->detach.index = random_value(f, 0);
	if (below(f, 2))
		f->now->detach.flags = random_value(f, 0);
	if (!below(f, 4))
		f->now->detach.reserved[below(f, 4)] = random_value(f, 0);
	makes(f, control, DETACH);
}

static void fuzz_number(struct fuzz *f)
{
	unsigned long cmd = calls[below(f, CALLS)].number;
	unsigned long arg = random_address(f, (uintptr_t)f->now->message);

	/* Small steps away from a known number, then anything. */
	if (below(f, 4))
		cmd ^= 1UL << below(f, 32);
	else if (below(f, 2))
		cmd = (uint32_t)random_u64(f);
	memset(f->now->message, 0xff, sizeof(f->now->message));
	f->calls++;
	if (ioctl(control, cmd, arg) && errno < (int)ARRAY_SIZE(f->errors))
		f->errors[errno]++;
}

/* ---- disks that change ---- */

/* A new file: who has the disk of the last one open may keep that, detached lazily. */
static void copy_file(const char *from, const char *to)
{
	int in = open_file(from, O_RDONLY);
	int out;

	unlink(to);
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (out < 0)
		die(to);
	copy_data(in, out, to);
	close(in);
	close(out);
}

/* A request with @nr links, whose first has file @first, and each one the file before. */
static void live_links(struct fuzz *f, unsigned int first, unsigned int nr)
{
	struct request *now = f->now;
	unsigned int i;

	start_over(f);
	now->head.flags = 0;
	now->head.index = f->live.index;
	now->head.cid = f->cid;
	now->head.new_cid = f->cid;
	now->head.parent_cid = f->cid;
	now->head.nr_patches = 0;
	now->head.nr_links = nr;
	now->head.nr_extents = nr;
	now->head.backing_fd = f->live.rw[first];
	for (i = 0; i < nr; i++) {
		now->link[i] = f->base->link[0];
		now->link[i].nr_extents = 1;
		now->link[i].sectors = f->live.sectors;
		now->extent[i] = f->base->extent[0];
		now->extent[i].sectors = f->live.sectors;
		now->extent[i].fd = i ? f->live.ro[first - i] : f->live.rw[first];
		now->extent[i].access = i ? VMDK_ACCESS_RDONLY : VMDK_ACCESS_RW;
	}
}

static void live_begins(struct fuzz *f)
{
	struct live *live = &f->live;
	char name[] = "live0";
	unsigned int i;

	for (i = 0; i < LIVE_FILES; i++) {
		name[4] = '0' + i;
		copy_file(i ? f->empty : f->path, name);
		live->rw[i] = open_file(name, O_RDWR);
		live->ro[i] = open_file(name, O_RDONLY);
	}
	live->control = open_file(VMDK_CONTROL_PATH, O_RDWR);
	live->depth = 1;
	live->sectors = f->sectors;
	live->asked = 0;
	live->folding = false;
	live->index = -1;
	live_links(f, 0, 1);
	f->now->head.flags = VMDK_ATTACH_NO_PARTSCAN;
	if (!makes(f, control, ATTACH)) {
		printf("a sound image: %s: %s\n", error_name(errno), f->now->message);
		exit(1);
	}
	live->index = f->now->head.index;
}

/*
 * A fold goes with its file, and so does what a resize keeps others from.  Nothing
 * was damaged; but someone else may have taken the disk.
 */
static void live_ends(struct fuzz *f)
{
	struct live *live = &f->live;
	unsigned int i;
	int err;

	close(live->control);
	err = detach_disk(control, live->index);
	if (err && err != ENXIO) {
		printf("a sound disk is not detached: %s\n", error_name(err));
		exit(1);
	}
	for (i = 0; i < LIVE_FILES; i++) {
		close(live->rw[i]);
		close(live->ro[i]);
	}
}

static void build_resize(struct fuzz *f)
{
	static const int steps[] = { 0, 1, 8, 128, 4096, 1 << 20, -1, -128, -4096 };
	struct vmdk_resize *resize = &f->now->resize;
	struct live *live = &f->live;
	int step = steps[below(f, ARRAY_SIZE(steps))];

	memset(resize, 0, sizeof(*resize));
	resize->index = live->index;
	resize->backing_fd = -1;
	resize->message = (uintptr_t)f->now->message;
	resize->message_size = sizeof(f->now->message);
	resize->sectors = live->asked ? live->asked : live->sectors + step;
	if (resize->sectors < live->sectors)
		resize->flags |= VMDK_RESIZE_SHRINK;
	if (live->asked)
		resize->flags |= VMDK_RESIZE_FINISH;
}

/* A call as one would make it now. */
static void build_live(struct fuzz *f, enum call_name name)
{
	struct live *live = &f->live;
	unsigned int next = live->depth < LIVE_FILES ? live->depth : 0;

	switch (name) {
	case SNAPSHOT:
		live_links(f, next, 1);
		build_snapshot(f->now, live->index);
		break;
	case FOLD_BEGIN:
		live_links(f, live->depth > 1 ? live->depth - 2 : 0,
			   live->depth > 1 ? live->depth - 1 : 1);
		break;
	case FOLD_COPY:
		memset(&f->now->progress, 0, sizeof(f->now->progress));
		break;
	case DETACH:
		memset(&f->now->detach, 0, sizeof(f->now->detach));
		f->now->detach.index = live->index;
		break;
	default:
		build_resize(f);
	}
}

/* What the disk is after a call that was done. */
static void follow_live(struct fuzz *f, enum call_name name)
{
	const struct vmdk_resize *resize = &f->now->resize;
	struct live *live = &f->live;

	switch (name) {
	case SNAPSHOT:
		live->depth++;
		break;
	case FOLD_BEGIN:
		live->folding = true;
		break;
	case FOLD_END:
		live->depth--;
		live->folding = false;
		break;
	case FOLD_CANCEL:
		live->folding = false;
		break;
	case RESIZE:
		live->asked = resize->sectors;
		if (!(resize->flags & VMDK_RESIZE_FINISH))
			break;
		live->sectors = resize->sectors;
		live->asked = 0;
		break;
	case DETACH:
		live->depth = 0;
		live->index = -1;
		break;
	default:
		break;
	}
}

/* Mostly nothing, as it is to be. */
static bool ends_fold(struct fuzz *f, enum call_name name)
{
	unsigned long arg = below(f, 4) ? 0 : random_value(f, 0);

	f->calls++;
	if (ioctl(f->live.control, calls[name].number, arg)) {
		count_refusal(f, name, false);
		return false;
	}
	f->done[name]++;
	return true;
}

/* What fits the disk, more often than not. */
static enum call_name choose_call(struct fuzz *f)
{
	static const enum call_name fold[] = {
		FOLD_COPY, FOLD_COPY, FOLD_COPY, FOLD_END, FOLD_CANCEL,
	};
	static const enum call_name any[] = {
		SNAPSHOT, SNAPSHOT, SNAPSHOT, FOLD_BEGIN, FOLD_BEGIN, FOLD_BEGIN,
		FOLD_COPY, FOLD_END, FOLD_CANCEL, RESIZE, RESIZE, RESIZE, DETACH,
	};

	if (f->live.asked && below(f, 4))
		return RESIZE;
	if (f->live.folding && below(f, 4))
		return fold[below(f, ARRAY_SIZE(fold))];
	return any[below(f, ARRAY_SIZE(any))];
}

static void change_live(struct fuzz *f)
{
	enum call_name name = choose_call(f);
	bool done;
	int n;

	if (name == FOLD_END || name == FOLD_CANCEL) {
		done = ends_fold(f, name);
	} else {
		build_live(f, name);
		for (n = below(f, 3); n; n--)
			mutate_member(f, &calls[name]);
		done = makes(f, f->live.control, name);
	}
	if (done)
		follow_live(f, name);
}

/* Sound images become a disk, which changes, and is used, again and again. */
static void fuzz_live(struct fuzz *f)
{
	int n;

	live_begins(f);
	for (n = 8 + below(f, 16); n && f->live.depth; n--) {
		change_live(f);
		if (f->live.depth && !below(f, 4))
			use_disk(f, f->live.index);
	}
	live_ends(f);
}

/* The content id, replaced by itself. */
static void add_patch(struct fuzz *f)
{
	struct vmdk_patch *patch = &f->base->patch[0];
	static char text[2048];
	char *cid;

	patch->fd = open_file(f->path, O_RDWR);
	if (pread(patch->fd, text, sizeof(text) - 1, SECTOR) < 0)
		die(f->path);
	cid = strstr(text, "\nCID=");
	if (!cid)
		usage("FILE without CID");
	cid += strlen("\nCID=");
	patch->offset = SECTOR + (cid - text);
	patch->length = strspn(cid, "0123456789abcdefABCDEF");
	memcpy(patch->old, cid, patch->length);
	memcpy(patch->new, cid, patch->length);
	f->base->head.nr_patches = 1;
}

static void fuzz_init(struct fuzz *f, char **argv)
{
	int fds[2];
	char *extent;

	f->state = parse_number(argv[0]) * 0x9e3779b97f4a7c15ULL + 1;
	f->path = argv[2];
	f->empty = argv[3];
	f->sectors = parse_number(argv[4]);
	/* What others change is not taken for this one's. */
	f->cid = 0x10000000 + parse_number(argv[0]);
	f->base = map_pages(sizeof(*f->base));
	f->now = map_pages(sizeof(*f->now));
	f->bad_address = unmapped();
	init_request(f->base);
	if (asprintf(&extent, "sparse:%s:%s", argv[2], argv[4]) < 0)
		die("memory");
	add_extent(f->base, extent);
	add_extent(f->base, "zero:2048");
	add_patch(f);
	if (pipe(fds))
		die("pipe");
	f->special[0] = -1;
	f->special[1] = 1000000;
	f->special[2] = fds[0];
	f->special[3] = control;
	f->special[4] = open_file("/dev/zero", O_RDWR);
	f->special[5] = open_file(".", O_RDONLY | O_DIRECTORY);
	f->special[6] = open_file(f->path, O_RDONLY);
	f->special[7] = open_file(f->path, O_PATH);
}

static void print_counts(const struct fuzz *f)
{
	size_t i;

	printf("%u calls, EINVAL without a message %u\n", f->calls, f->silent);
	for (i = 0; i < CALLS; i++)
		printf("%s done %u refused %u\n", calls[i].name, f->done[i],
		       f->refused[i]);
	for (i = 0; i < ARRAY_SIZE(f->errors); i++)
		if (f->errors[i])
			printf("%s %u\n", error_name(i), f->errors[i]);
}

static int do_fuzz(int argc, char **argv)
{
	static struct fuzz f;
	uint64_t count;

	if (argc != 5)
		usage("fuzz");
	count = parse_number(argv[1]);
	fuzz_init(&f, argv);
	while (f.calls < count) {
		switch (below(&f, 32)) {
		case 0 ... 2:
			fuzz_detach(&f);
			break;
		case 3 ... 5:
			fuzz_number(&f);
			break;
		case 6:
			fuzz_live(&f);
			break;
		default:
			fuzz_attach(&f);
		}
	}
	print_counts(&f);
	return 0;
}

static int run(int argc, char **argv);

/* @what: N or CALL:N */
static int do_nth(char *what, int argc, char **argv)
{
	char *colon = strchr(what, ':');
	int ret;

	nth_call = colon ? what : NULL;
	if (colon)
		*colon = '\0';
	nth = parse_number(colon ? colon + 1 : what);
	nth_met = false;
	ret = run(argc, argv);
	puts(nth_met ? "met" : "passed");
	nth = 0;
	return ret;
}

static int run(int argc, char **argv)
{
	static struct request request;

	if (!strcmp(argv[0], "nth") && argc > 2)
		return do_nth(argv[1], argc - 2, argv + 2);
	if (!strcmp(argv[0], "io") && argc == 5)
		return do_io(argv[1], argv[2], argv[3], argv[4]);
	if (!strcmp(argv[0], "copy") && argc > 2)
		return do_copy(argc - 1, argv + 1);
	if (!strcmp(argv[0], "poke") && argc > 1)
		return do_poke(argv[1], argc - 2, argv + 2);
	if (!strcmp(argv[0], "truncate") && argc == 3)
		return do_truncate(argv[1], argv[2]);
	if (!strcmp(argv[0], "same") && argc == 3)
		return do_same(argv[1], argv[2]);
	if (!strcmp(argv[0], "pieces") && argc == 5)
		return do_pieces(argv + 1);
	if (!strcmp(argv[0], "range") && argc == 5)
		return do_range(argv + 1);
	if (!strcmp(argv[0], "direct") && argc == 2)
		return do_direct(argv[1]);
	if (!strcmp(argv[0], "coherent") && argc == 2)
		return do_coherent(argv[1]);
	if (!strcmp(argv[0], "arguments") && argc == 2)
		return do_arguments(argv[1]);
	control = open_file(VMDK_CONTROL_PATH, O_RDWR);
	sealed = !strcmp(argv[0], "sealed") && argc > 1;
	argc -= sealed;
	argv += sealed;
	if (!strcmp(argv[0], "features"))
		return do_features();
	if (!strcmp(argv[0], "ioctl") && argc > 1)
		return do_ioctl(argc - 1, argv + 1);
	if (!strcmp(argv[0], "attach"))
		return do_attach(&request, argc - 1, argv + 1);
	if (!strcmp(argv[0], "failing"))
		return do_failing(&request, argc - 1, argv + 1);
	if (!strcmp(argv[0], "detach"))
		return do_detach(&request, argc - 1, argv + 1);
	if (!strcmp(argv[0], "snapshot"))
		return do_snapshot(&request, argc - 1, argv + 1);
	if (!strcmp(argv[0], "fold"))
		return do_fold(&request, argc - 1, argv + 1);
	if (!strcmp(argv[0], "merge"))
		return do_merge(&request, argc - 1, argv + 1);
	if (!strcmp(argv[0], "resize"))
		return do_resize(&request, argc - 1, argv + 1);
	if (!strcmp(argv[0], "harm") && argc == 2)
		return do_harm(argv[1]);
	if (!strcmp(argv[0], "fuzz"))
		return do_fuzz(argc - 1, argv + 1);
	usage(argv[0]);
}

/* A command leaves nothing open that could keep a file or the module busy. */
static int serve(void)
{
	char *words[MAX_WORDS];
	size_t room = 0;
	int n = 0;

	for (;;) {
		words[n] = NULL;
		if (getdelim(&words[n], &room, 0, stdin) < 0)
			return 0;
		room = 0;
		if (*words[n] && n < MAX_WORDS - 1) {
			n++;
			continue;
		}
		if (n)
			run(n, words);
		fflush(stdout);
		close_range(STDERR_FILENO + 1, ~0U, 0);
		for (; n >= 0; n--)
			free(words[n]);
		n = 0;
	}
}

int main(int argc, char **argv)
{
	if (argc < 2)
		usage("no verb");
	if (!strcmp(argv[1], "serve"))
		return serve();
	return run(argc - 1, argv + 1);
}
