// SPDX-License-Identifier: GPL-2.0
/* Random calls of the control device: ctl fuzz. */
#define _GNU_SOURCE	/* O_PATH, asprintf */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ctl.h"
#include "detach.h"

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
		m = &members[below(f, nr_members)];
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

int do_fuzz(int argc, char **argv)
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
