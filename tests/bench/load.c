// SPDX-License-Identifier: GPL-2.0
/*
 * load - a known number of I/Os against a disk, and what one of them took.
 *
 * All places are drawn before the clock starts, and the system calls are the
 * kernel's own, so that next to nothing but the disk is measured.  In a guest
 * whose clock counts instructions, a nanosecond is an instruction.
 */
#define _GNU_SOURCE	/* O_DIRECT */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MAX_DEPTH	64

enum op { READ, WRITE, FLUSH, DISCARD, COMMAND };
enum order { SEQUENTIAL, RANDOM, SCATTERED };

static const char * const op_names[] = { "read", "write", "flush", "discard", "command", NULL };
static const char * const order_names[] = { "sequential", "random", "scattered", NULL };

static struct {
	const char *device;
	enum op op;
	enum order order;
	uint64_t block;
	uint64_t from;		/* the part of the disk: its start */
	uint64_t area;		/* and its size */
	uint64_t stride;	/* scattered: one I/O in each of these */
	uint64_t seed;
	const char *command;
	unsigned int depth;
	unsigned int count;
	unsigned int warmup;
} opt = { .block = 4096, .stride = 65536, .depth = 1, .seed = 1 };

static int fd;
static uint64_t *place;
static uint8_t *data;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "load: %s: %s: %s\n", opt.device, what, strerror(errno));
	exit(1);
}

/*
 * Instructions without effect, by which a plugin of qemu's (count.c) knows when
 * to count: "nopl" with an address that nothing else has.
 */
static inline void mark_begin(void)
{
	__asm__ volatile(".byte 0x0f, 0x1f, 0x80, 0x01, 0x44, 0x4d, 0x56" ::: "memory");
}

static inline void mark_end(void)
{
	__asm__ volatile(".byte 0x0f, 0x1f, 0x80, 0x02, 0x44, 0x4d, 0x56" ::: "memory");
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t below(uint64_t n)
{
	static uint64_t state;

	if (!state)
		state = opt.seed * 0x9e3779b97f4a7c15;
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 11) % n;
}

/* ---- places ---- */

static void draw_scattered(unsigned int total)
{
	uint64_t strides = opt.area / opt.stride, i, other, tmp;
	uint64_t *order = calloc(strides, sizeof(*order));

	if (!order)
		die("memory");
	if (strides < total) {
		errno = ERANGE;
		die("too few places");
	}
	for (i = 0; i < strides; i++) {
		other = below(i + 1);
		order[i] = order[other];
		order[other] = i;
	}
	for (i = 0; i < total; i++) {
		tmp = below(opt.stride / opt.block) * opt.block;
		place[i] = opt.from + order[i] * opt.stride + tmp;
	}
	free(order);
}

static void draw_places(void)
{
	unsigned int total = opt.warmup + opt.count, i;
	uint64_t blocks = opt.area / opt.block;

	place = calloc(total, sizeof(*place));
	if (!place)
		die("memory");
	if (opt.order == SCATTERED) {
		draw_scattered(total);
		return;
	}
	for (i = 0; i < total; i++)
		place[i] = opt.from + opt.block *
			(opt.order == RANDOM ? below(blocks) : i % blocks);
}

/* ---- one after the other ---- */

static void one(uint64_t pos)
{
	uint64_t range[2] = { pos, opt.block };
	ssize_t ret = (ssize_t)opt.block;

	switch (opt.op) {
	case READ:
		ret = pread(fd, data, opt.block, (off_t)pos);
		break;
	case WRITE:
	case FLUSH:
		ret = pwrite(fd, data, opt.block, (off_t)pos);
		break;
	case DISCARD:
		if (ioctl(fd, BLKDISCARD, range))
			die("discard");
		break;
	case COMMAND:
		if (system(opt.command))
			die(opt.command);
		break;
	}
	if (ret != (ssize_t)opt.block)
		die(op_names[opt.op]);
	if (opt.op == FLUSH && fdatasync(fd))
		die("sync");
}

static void run_singly(unsigned int first, unsigned int n)
{
	for (; n; n--)
		one(place[first++]);
}

/* ---- many at once ---- */

static aio_context_t context;
static struct iocb slot[MAX_DEPTH];

static void fill_slot(struct iocb *cb, uint64_t pos)
{
	unsigned int nr = (unsigned int)(cb - slot);

	cb->aio_lio_opcode = opt.op == READ ? IOCB_CMD_PREAD : IOCB_CMD_PWRITE;
	cb->aio_fildes = (uint32_t)fd;
	cb->aio_buf = (uintptr_t)(data + nr * opt.block);
	cb->aio_nbytes = opt.block;
	cb->aio_offset = (int64_t)pos;
}

static void submit(struct iocb **list, long n)
{
	long done;

	while (n) {
		done = syscall(SYS_io_submit, context, n, list);
		if (done <= 0)
			die("submit");
		list += done;
		n -= done;
	}
}

/* Sets list to the slots of those that have ended, at least one. */
static long reap(struct iocb **list)
{
	struct io_event event[MAX_DEPTH];
	long n, i;

	n = syscall(SYS_io_getevents, context, 1L, (long)opt.depth, event, NULL);
	if (n < 1)
		die("getevents");
	for (i = 0; i < n; i++) {
		if (event[i].res != (int64_t)opt.block) {
			errno = (int)-event[i].res;
			die(op_names[opt.op]);
		}
		list[i] = (struct iocb *)(uintptr_t)event[i].obj;
	}
	return n;
}

static void run_deep(unsigned int first, unsigned int n)
{
	struct iocb *list[MAX_DEPTH];
	unsigned int flying = 0;
	long ready, i;

	for (ready = 0; ready < opt.depth; ready++)
		list[ready] = &slot[ready];
	while (n || flying) {
		ready = ready < n ? ready : n;
		for (i = 0; i < ready; i++)
			fill_slot(list[i], place[first++]);
		n -= (unsigned int)ready;
		flying += (unsigned int)ready;
		submit(list, ready);
		ready = reap(list);
		flying -= (unsigned int)ready;
	}
}

static void run(unsigned int first, unsigned int n)
{
	if (opt.depth > 1)
		run_deep(first, n);
	else
		run_singly(first, n);
}

/* ---- setting up ---- */

static void open_device(void)
{
	uint64_t size;
	struct stat st;

	setenv("DEVICE", opt.device, 1);
	if (opt.op == COMMAND) {
		opt.area = opt.block;	/* no place of it is read */
		return;
	}
	fd = open(opt.device, (opt.op == READ ? O_RDONLY : O_RDWR) | O_DIRECT);
	if (fd < 0 || fstat(fd, &st))
		die("open");
	size = (uint64_t)st.st_size;
	if (S_ISBLK(st.st_mode) && ioctl(fd, BLKGETSIZE64, &size))
		die("size");
	if (!opt.area)
		opt.area = size - opt.from;
	if (opt.from > size || opt.area > size - opt.from || opt.area < opt.block) {
		errno = ERANGE;
		die("area");
	}
}

/*
 * Pages that lie one behind the other need not do so in memory.  How many do is
 * chance, which large I/O would show: here, as on a machine that has run for long,
 * hardly any, because they are not asked for in order.
 */
static void scatter(uint8_t *memory, size_t bytes)
{
	const size_t page = 4096, pages = (bytes + page - 1) / page;
	size_t i, step = pages / 2 - pages / 8;

	for (i = 0, step |= 1; i < pages; i++)
		memory[i * step % pages * page] = 1;
}

/* Bytes that are not zero and that differ from block to block. */
static void make_data(void)
{
	size_t bytes = opt.depth * opt.block, i;

	data = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (data == MAP_FAILED)
		die("memory");
	scatter(data, bytes);
	for (i = 0; i < bytes / 8; i++)
		((uint64_t *)data)[i] = i * 0x9e3779b97f4a7c15 + 1;
	if (opt.depth > 1 && syscall(SYS_io_setup, MAX_DEPTH, &context))
		die("io_setup");
}

static int find(const char * const *names, const char *name)
{
	int i;

	for (i = 0; names[i]; i++)
		if (!strcmp(names[i], name))
			return i;
	fprintf(stderr, "load: unknown: %s\n", name);
	exit(2);
}

static uint64_t size_of(const char *text)
{
	static const char units[] = "KMG";
	char *end;
	uint64_t v = strtoull(text, &end, 0);
	const char *unit = *end ? strchr(units, *end) : NULL;

	if (end == text || (*end && (!unit || end[1]))) {
		fprintf(stderr, "load: not a size: %s\n", text);
		exit(2);
	}
	return unit ? v << 10 * (unit - units + 1) : v;
}

static void usage(void)
{
	fputs("usage: load [options] DEVICE\n"
	      "  -o read|write|flush|discard   flush: a sync after each write\n"
	      "  -p sequential|random|scattered  scattered: one per stride, at random\n"
	      "  -b BLOCK -d DEPTH -f FROM -a AREA -s STRIDE -r SEED\n"
	      "  -n COUNT -w WARMUP            so many I/Os measured, and before\n"
	      "  -c COMMAND                    of the shell, instead; the disk is $DEVICE\n"
	      "Prints the nanoseconds that an I/O took.\n", stderr);
	exit(2);
}

static void parse(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "o:p:b:d:f:a:s:r:n:w:c:")) != -1) {
		switch (c) {
		case 'o':
			opt.op = (enum op)find(op_names, optarg);
			break;
		case 'p':
			opt.order = (enum order)find(order_names, optarg);
			break;
		case 'b':
			opt.block = size_of(optarg);
			break;
		case 'd':
			opt.depth = (unsigned int)size_of(optarg);
			break;
		case 'f':
			opt.from = size_of(optarg);
			break;
		case 'a':
			opt.area = size_of(optarg);
			break;
		case 's':
			opt.stride = size_of(optarg);
			break;
		case 'r':
			opt.seed = size_of(optarg);
			break;
		case 'c':
			opt.command = optarg;
			opt.op = COMMAND;
			opt.count = 1;
			break;
		case 'n':
			opt.count = (unsigned int)size_of(optarg);
			break;
		case 'w':
			opt.warmup = (unsigned int)size_of(optarg);
			break;
		default:
			usage();
		}
	}
	if (argc - optind != 1 || !opt.count || !opt.block || !opt.depth ||
	    opt.depth > MAX_DEPTH || (opt.depth > 1 && opt.op > WRITE) ||
	    (opt.op == COMMAND && !opt.command))
		usage();
	opt.device = argv[optind];
}

int main(int argc, char **argv)
{
	uint64_t start, end;

	parse(argc, argv);
	open_device();
	draw_places();
	make_data();
	run(0, opt.warmup);
	mark_begin();
	start = now();
	run(opt.warmup, opt.count);
	end = now();
	mark_end();
	printf("%.1f\n", (double)(end - start) / opt.count);
	return 0;
}
