// SPDX-License-Identifier: GPL-2.0
/*
 * Random and concurrent I/O on a block device, checked against what every
 * sector must hold.
 *
 * exercise random DEVICE	seeded operations of all kinds, and a model of
 *				the whole disk in memory; a SIGTERM means that it
 *				is enough
 * exercise pieces DEVICE	the whole disk, or a piece of it every so often, in
 *				order, in small pieces, by many threads at once
 * exercise race DEVICE		writers, discarders and readers that meet on the
 *				same sectors
 * exercise verify DEVICE	reads alone, against a raw file
 *
 * Every sector that is written says whose it is (see stamp.h), so that a byte
 * of another sector is known for what it is wherever it turns up.
 */
#define _GNU_SOURCE	/* fallocate, O_DIRECT, sync_file_range */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/falloc.h>
#include <linux/fs.h>

#include "stamp.h"

#define MAX_THREADS	64
#define MAX_LIST	64
#define PAGE_SECTORS	8
#define CHUNK_SECTORS	2048	/* 1 MiB: the largest operation with data */

enum { EXIT_MISMATCH = 1, EXIT_TROUBLE = 2 };

/* Sectors from @first to below @end. */
struct range {
	uint64_t first;
	uint64_t end;
};

static struct options {
	const char *device;
	uint64_t seed;
	uint64_t ops;
	uint64_t size;
	uint64_t grain;		/* sectors */
	uint64_t piece;		/* sectors */
	uint64_t max;		/* sectors */
	uint64_t stride;	/* sectors; 0: pieces follow each other */
	uint64_t from;		/* sector */
	unsigned int threads;
	uint64_t boundary[MAX_LIST];
	unsigned int nr_boundaries;
	struct range read_only[MAX_LIST];
	unsigned int nr_read_only;
	struct range skip[MAX_LIST];
	unsigned int nr_skip;
	const char *against;
	const char *dump;
	bool fsync;
	bool every_other;
	bool quick;
	bool no_buffered;
} opt = {
	.seed = 1, .ops = 500, .grain = 128, .piece = 8, .max = CHUNK_SECTORS,
	.threads = 1,
};

/* The disk: two ways to it, and what it must hold. */
static int direct_fd, buffered_fd;
static uint64_t sectors;
static uint8_t *model;
static uint8_t *maybe_zero;	/* by sector: discarded: what it was, or zeros */
static atomic_uint next_seq;
static atomic_ullong next_piece;
static atomic_ullong hot_grain;
static atomic_bool stop;

enum op {
	OP_READ, OP_WRITE, OP_WRITE_ZEROS, OP_DISCARD, OP_ZEROOUT, OP_PUNCH,
	OP_ZERO_RANGE, OP_FSYNC, NR_OPS
};

static const struct {
	const char *name;
	unsigned int weight;
} ops[NR_OPS] = {
	[OP_READ]	= { "reads", 30 },
	[OP_WRITE]	= { "writes", 42 },
	[OP_WRITE_ZEROS] = { "writes of zeros", 3 },
	[OP_DISCARD]	= { "discards", 8 },
	[OP_ZEROOUT]	= { "zeroouts", 4 },
	[OP_PUNCH]	= { "punches", 5 },
	[OP_ZERO_RANGE]	= { "zero ranges", 4 },
	[OP_FSYNC]	= { "fsyncs", 4 },
};

static atomic_ulong done[NR_OPS];

struct thread {
	pthread_t id;
	unsigned int index;
	uint64_t random;
	uint8_t *buf;		/* CHUNK_SECTORS */
};

static struct thread threads[MAX_THREADS];

static void die(int status, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	flockfile(stderr);
	fputs("exercise: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
	_exit(status);
}

static void *need(void *memory)
{
	if (!memory || memory == MAP_FAILED)
		die(EXIT_TROUBLE, "out of memory");
	return memory;
}

static uint8_t *big_alloc(uint64_t bytes)
{
	return need(mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
}

/* xorshift64* */
static uint64_t rnd(struct thread *t, uint64_t below)
{
	t->random ^= t->random >> 12;
	t->random ^= t->random << 25;
	t->random ^= t->random >> 27;
	return (t->random * 0x2545f4914f6cdd1dULL >> 16) % below;
}

/* ------------------------------------------------- who works on which range */

static struct range busy[MAX_THREADS];
static pthread_mutex_t busy_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t busy_cond = PTHREAD_COND_INITIALIZER;

static bool is_busy(const struct range *r)
{
	unsigned int i;

	for (i = 0; i < opt.threads; i++)
		if (busy[i].first < r->end && r->first < busy[i].end)
			return true;
	return false;
}

/*
 * Whole pages, because direct and buffered I/O of one page do not see each
 * other's parts of it.
 */
static void lock_range(struct thread *t, uint64_t first, uint64_t n)
{
	struct range r = {
		first / PAGE_SECTORS * PAGE_SECTORS,
		(first + n + PAGE_SECTORS - 1) / PAGE_SECTORS * PAGE_SECTORS,
	};

	pthread_mutex_lock(&busy_mutex);
	while (is_busy(&r))
		pthread_cond_wait(&busy_cond, &busy_mutex);
	busy[t->index] = r;
	pthread_mutex_unlock(&busy_mutex);
}

static void unlock_range(struct thread *t)
{
	pthread_mutex_lock(&busy_mutex);
	busy[t->index].end = 0;
	pthread_cond_broadcast(&busy_cond);
	pthread_mutex_unlock(&busy_mutex);
}

/* ------------------------------------------------------------------- checks */

static bool is_zero(const uint8_t *sector)
{
	static const uint8_t zeros[STAMP_SECTOR];

	return !memcmp(sector, zeros, STAMP_SECTOR);
}

static void mismatch(const char *when, uint64_t sector, const uint8_t *found)
{
	const uint8_t *expected = model + sector * STAMP_SECTOR;
	char is[STAMP_TEXT], was[STAMP_TEXT];

	die(EXIT_MISMATCH, "%s: sector %llu (grain %llu + %llu) holds %s, expected %s%s",
	    when, (unsigned long long)sector,
	    (unsigned long long)(sector / opt.grain),
	    (unsigned long long)(sector % opt.grain),
	    stamp_describe(found, is), stamp_describe(expected, was),
	    maybe_zero[sector] ? ", or zeros" : "");
}

static void check(const char *when, const uint8_t *buf, uint64_t first,
		  uint64_t n)
{
	uint64_t i;

	if (!memcmp(buf, model + first * STAMP_SECTOR, n * STAMP_SECTOR))
		return;
	for (i = 0; i < n; i++) {
		const uint8_t *found = buf + i * STAMP_SECTOR;

		if (!memcmp(found, model + (first + i) * STAMP_SECTOR,
			    STAMP_SECTOR) ||
		    (maybe_zero[first + i] && is_zero(found)))
			continue;
		mismatch(when, first + i, found);
	}
}

static void transfer(bool write, int fd, void *buf, uint64_t first, uint64_t n)
{
	ssize_t bytes = n * STAMP_SECTOR;
	off_t pos = first * STAMP_SECTOR;
	ssize_t ret = write ? pwrite(fd, buf, bytes, pos) :
			      pread(fd, buf, bytes, pos);

	if (ret != bytes)
		die(EXIT_TROUBLE, "%s%s of %llu sectors at %llu: %s",
		    fd == direct_fd ? "direct " : "",
		    write ? "write" : "read", (unsigned long long)n,
		    (unsigned long long)first,
		    ret < 0 ? strerror(errno) : "short");
}

/* ----------------------------------------------------------------- choosing */

static bool overlaps(const struct range *list, unsigned int nr, uint64_t first,
		     uint64_t n)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (list[i].first < first + n && first < list[i].end)
			return true;
	return false;
}

/* A place that the format makes special. */
static uint64_t special_sector(struct thread *t)
{
	if (opt.nr_boundaries && rnd(t, 2))
		return opt.boundary[rnd(t, opt.nr_boundaries)];
	return rnd(t, sectors / opt.grain + 1) * opt.grain;
}

/* From a sector to the most there may be; short ones more often than not. */
static uint64_t choose_length(struct thread *t)
{
	uint64_t a = rnd(t, 12), b = rnd(t, 12);
	uint64_t n = 1ULL << (a < b ? a : b);

	n += rnd(t, n);
	if (rnd(t, 4) == 0)
		n = (n + 7) & ~7ULL;
	return n < opt.max ? n : opt.max;
}

static uint64_t choose_place(struct thread *t, uint64_t n)
{
	uint64_t near;

	switch (rnd(t, 4)) {
	case 0:		/* across, just before, or just behind */
	case 1:
		near = special_sector(t);
		return near > n ? near - rnd(t, n + 1) : 0;
	case 2:		/* where everyone is */
		if (rnd(t, 16) == 0)
			atomic_store(&hot_grain, rnd(t, sectors / opt.grain + 1));
		return atomic_load(&hot_grain) * opt.grain + rnd(t, opt.grain);
	default:
		return rnd(t, sectors);
	}
}

/* Sets a range; only operations without data may be longer than a chunk. */
static void choose(struct thread *t, bool has_data, uint64_t *first, uint64_t *n)
{
	*n = choose_length(t);
	*first = choose_place(t, *n);
	if (!has_data && rnd(t, opt.grain > CHUNK_SECTORS ? 8 : 2) == 0) {
		*n = opt.grain * (1 + rnd(t, 3));
		*first = *first / opt.grain * opt.grain;
	}
	if (*first >= sectors)
		*first = sectors - 1;
	if (*n > sectors - *first)
		*n = sectors - *first;
}

static enum op choose_op(struct thread *t)
{
	unsigned int weight = rnd(t, 100);
	enum op op = 0;

	while (weight >= ops[op].weight)
		weight -= ops[op++].weight;
	return op;
}

/* --------------------------------------------------------------- operations */

/* The page cache cannot read a part of a page when another part is an error. */
static int any_fd(struct thread *t, uint64_t first, uint64_t n)
{
	uint64_t page = first / PAGE_SECTORS * PAGE_SECTORS;

	n += first - page + PAGE_SECTORS;
	if (opt.no_buffered || rnd(t, 3) ||
	    overlaps(opt.skip, opt.nr_skip, page, n))
		return direct_fd;
	return buffered_fd;
}

static void do_read(struct thread *t, uint64_t first, uint64_t n)
{
	int fd = any_fd(t, first, n);

	/* What is in the page cache tells nothing of the disk. */
	if (fd == buffered_fd)
		posix_fadvise(fd, first * STAMP_SECTOR, n * STAMP_SECTOR,
			      POSIX_FADV_DONTNEED);
	transfer(false, fd, t->buf, first, n);
	check("read", t->buf, first, n);
}

static void do_write(struct thread *t, enum op op, uint64_t first, uint64_t n)
{
	if (op == OP_WRITE)
		stamp(t->buf, first, n, atomic_fetch_add(&next_seq, 1));
	else
		memset(t->buf, 0, n * STAMP_SECTOR);
	transfer(true, any_fd(t, first, n), t->buf, first, n);
	memcpy(model + first * STAMP_SECTOR, t->buf, n * STAMP_SECTOR);
	memset(maybe_zero + first, 0, n);
}

/*
 * What a discard drops from the page cache has never been on the disk: then the
 * disk shows what was there before, which the model does not know.  So it goes
 * to the disk first.
 */
static void write_back(uint64_t first, uint64_t n)
{
	if (sync_file_range(buffered_fd, first * STAMP_SECTOR, n * STAMP_SECTOR,
			    SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
			    SYNC_FILE_RANGE_WAIT_AFTER))
		die(EXIT_TROUBLE, "write-back: %s", strerror(errno));
}

static void do_discard(uint64_t first, uint64_t n)
{
	uint64_t range[2] = { first * STAMP_SECTOR, n * STAMP_SECTOR };

	write_back(first, n);
	if (ioctl(direct_fd, BLKDISCARD, range))
		die(EXIT_TROUBLE, "discard of %llu sectors at %llu: %s",
		    (unsigned long long)n, (unsigned long long)first,
		    strerror(errno));
	memset(maybe_zero + first, 1, n);
}

static int zero(enum op op, uint64_t first, uint64_t n)
{
	uint64_t range[2] = { first * STAMP_SECTOR, n * STAMP_SECTOR };

	if (op == OP_ZEROOUT)
		return ioctl(direct_fd, BLKZEROOUT, range);
	return fallocate(direct_fd, FALLOC_FL_KEEP_SIZE |
			 (op == OP_PUNCH ? FALLOC_FL_PUNCH_HOLE :
					   FALLOC_FL_ZERO_RANGE),
			 range[0], range[1]);
}

static void do_zero(enum op op, uint64_t first, uint64_t n)
{
	if (zero(op, first, n))
		die(EXIT_TROUBLE, "%s of %llu sectors at %llu: %s",
		    ops[op].name, (unsigned long long)n,
		    (unsigned long long)first, strerror(errno));
	memset(model + first * STAMP_SECTOR, 0, n * STAMP_SECTOR);
	memset(maybe_zero + first, 0, n);
}

static void do_fsync(void)
{
	if (fsync(buffered_fd))
		die(EXIT_TROUBLE, "fsync: %s", strerror(errno));
}

static void do_one(struct thread *t)
{
	enum op op = choose_op(t);
	uint64_t first, n;

	choose(t, op <= OP_WRITE_ZEROS, &first, &n);
	if (overlaps(opt.skip, opt.nr_skip, first, n))
		return;
	if (op != OP_READ && overlaps(opt.read_only, opt.nr_read_only, first, n)) {
		op = OP_READ;
		n = n < CHUNK_SECTORS ? n : CHUNK_SECTORS;
	}
	lock_range(t, first, n);
	switch (op) {
	case OP_READ:
		do_read(t, first, n);
		break;
	case OP_WRITE:
	case OP_WRITE_ZEROS:
		do_write(t, op, first, n);
		break;
	case OP_DISCARD:
		do_discard(first, n);
		break;
	case OP_FSYNC:
		do_fsync();
		break;
	default:
		do_zero(op, first, n);
	}
	unlock_range(t);
	atomic_fetch_add(&done[op], 1);
}

/* ------------------------------------------------------------------ threads */

static void run_threads(unsigned int nr, void *(*fn)(void *))
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		struct thread *t = &threads[i];

		t->index = i;
		t->random = (opt.seed * MAX_THREADS + i + 1) *
			    0x9e3779b97f4a7c15ULL;
		if (!t->buf)
			t->buf = big_alloc(CHUNK_SECTORS * STAMP_SECTOR);
		if (pthread_create(&t->id, NULL, fn, t))
			die(EXIT_TROUBLE, "cannot create a thread");
	}
}

static void join_threads(unsigned int first, unsigned int nr)
{
	unsigned int i;

	for (i = first; i < first + nr; i++)
		pthread_join(threads[i].id, NULL);
}

static void *random_thread(void *arg)
{
	struct thread *t = arg;
	uint64_t i;

	for (i = 0; i < opt.ops / opt.threads && !atomic_load(&stop); i++)
		do_one(t);
	return NULL;
}

/* Takes the next piece that nobody has, so that all are at it side by side. */
static void *pieces_thread(void *arg)
{
	struct thread *t = arg;

	for (;;) {
		uint64_t piece = atomic_fetch_add(&next_piece, 1);
		uint64_t stride = opt.stride ? opt.stride : opt.piece;
		uint64_t first = opt.from + piece * stride, n = opt.piece;

		if (opt.every_other)
			first += piece * stride;
		if (first >= sectors)
			return NULL;
		if (n > sectors - first)
			n = sectors - first;
		stamp(t->buf, first, n, atomic_fetch_add(&next_seq, 1));
		transfer(true, direct_fd, t->buf, first, n);
		memcpy(model + first * STAMP_SECTOR, t->buf, n * STAMP_SECTOR);
		atomic_fetch_add(&done[OP_WRITE], 1);
		if (!opt.fsync)
			continue;
		if (fdatasync(direct_fd))
			die(EXIT_TROUBLE, "fdatasync: %s", strerror(errno));
		atomic_fetch_add(&done[OP_FSYNC], 1);
	}
}

/* ----------------------------------------------------------------- the race */

static void check_own(const char *when, const uint8_t *buf, uint64_t first,
		      uint64_t n)
{
	char is[STAMP_TEXT];
	uint64_t i;

	for (i = 0; i < n; i++)
		if (!stamp_is_own(buf + i * STAMP_SECTOR, first + i))
			die(EXIT_MISMATCH, "%s: sector %llu holds %s", when,
			    (unsigned long long)(first + i),
			    stamp_describe(buf + i * STAMP_SECTOR, is));
}

/* Without locks: all of them in a few grains. */
static void choose_race(struct thread *t, uint64_t *first, uint64_t *n)
{
	uint64_t window = 4 * opt.grain < sectors ? 4 * opt.grain : sectors;
	uint64_t start = atomic_load(&hot_grain) * opt.grain;

	if (start > sectors - window)
		start = sectors - window;
	*n = 1 + rnd(t, opt.grain < CHUNK_SECTORS ? opt.grain : CHUNK_SECTORS);
	*first = start + rnd(t, window);
	if (*n > sectors - *first)
		*n = sectors - *first;
}

static void race_writer(struct thread *t)
{
	uint64_t i, first, n;

	for (i = 0; i < opt.ops; i++) {
		if (i % 8 == 0 && t->index == 0)
			atomic_store(&hot_grain, rnd(t, sectors / opt.grain));
		choose_race(t, &first, &n);
		stamp(t->buf, first, n, atomic_fetch_add(&next_seq, 1));
		transfer(true, direct_fd, t->buf, first, n);
		atomic_fetch_add(&done[OP_WRITE], 1);
		if (rnd(t, 16) == 0 && fdatasync(direct_fd))
			die(EXIT_TROUBLE, "fdatasync: %s", strerror(errno));
	}
}

static void race_discarder(struct thread *t)
{
	uint64_t range[2], first, n;

	while (!atomic_load(&stop)) {
		choose_race(t, &first, &n);
		first = first / opt.grain * opt.grain;
		n = opt.grain < sectors - first ? opt.grain : sectors - first;
		range[0] = first * STAMP_SECTOR;
		range[1] = n * STAMP_SECTOR;
		if (ioctl(direct_fd, rnd(t, 4) ? BLKDISCARD : BLKZEROOUT, range))
			die(EXIT_TROUBLE, "discard: %s", strerror(errno));
		atomic_fetch_add(&done[OP_DISCARD], 1);
	}
}

static void race_reader(struct thread *t)
{
	uint64_t first, n;

	while (!atomic_load(&stop)) {
		choose_race(t, &first, &n);
		transfer(false, direct_fd, t->buf, first, n);
		check_own("read", t->buf, first, n);
		atomic_fetch_add(&done[OP_READ], 1);
	}
}

/* As many writers as threads, and behind them half of that of each other kind. */
static void *race_thread(void *arg)
{
	struct thread *t = arg;

	if (t->index < opt.threads)
		race_writer(t);
	else if (t->index % 2)
		race_discarder(t);
	else
		race_reader(t);
	return NULL;
}

/* Now that it is quiet, no sector may be a mixture of two writes either. */
static void check_quiet(void)
{
	uint8_t *buf = threads[0].buf;
	char is[STAMP_TEXT];
	uint64_t first, n, i;

	for (first = 0; first < sectors; first += n) {
		n = sectors - first < CHUNK_SECTORS ? sectors - first :
						      CHUNK_SECTORS;
		transfer(false, direct_fd, buf, first, n);
		check_own("at the end", buf, first, n);
		for (i = 0; i < n; i++)
			if (!is_zero(buf + i * STAMP_SECTOR) &&
			    !stamp_is_whole(buf + i * STAMP_SECTOR, first + i))
				die(EXIT_MISMATCH, "at the end: sector %llu holds %s",
				    (unsigned long long)(first + i),
				    stamp_describe(buf + i * STAMP_SECTOR, is));
		memcpy(model + first * STAMP_SECTOR, buf, n * STAMP_SECTOR);
	}
}

/* ----------------------------------------------------------- begin and end */

/* From byte @from to @end of file @fd, into the model. */
static bool load(int fd, uint64_t from, uint64_t end)
{
	while (from < end) {
		ssize_t n = pread(fd, model + from, end - from, from);

		if (n <= 0)
			return false;
		from += n;
	}
	return true;
}

/* Its holes take no memory. */
static bool load_file(int fd, uint64_t bytes)
{
	off_t end, from = lseek(fd, 0, SEEK_DATA);

	if (lseek(fd, 0, SEEK_END) < (off_t)bytes)
		return false;
	while (from >= 0 && from < (off_t)bytes) {
		end = lseek(fd, from, SEEK_HOLE);
		if (end < 0 || !load(fd, from, end < (off_t)bytes ? end : (off_t)bytes))
			return false;
		from = lseek(fd, end, SEEK_DATA);
	}
	return true;
}

static void load_model(void)
{
	uint64_t bytes = sectors * STAMP_SECTOR;
	int fd;

	model = big_alloc(bytes);
	/* A huge page for each of few pieces would be all the memory there is. */
	if (opt.stride)
		madvise(model, bytes, MADV_NOHUGEPAGE);
	maybe_zero = big_alloc(sectors);
	if (!opt.against)
		return;
	fd = open(opt.against, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || !load_file(fd, bytes))
		die(EXIT_TROUBLE, "%s: cannot read %llu bytes of it",
		    opt.against, (unsigned long long)bytes);
	close(fd);
}

static void open_device(bool write)
{
	int flags = (write ? O_RDWR : O_RDONLY) | O_CLOEXEC;

	direct_fd = open(opt.device, flags | O_DIRECT);
	buffered_fd = open(opt.device, flags);
	if (direct_fd < 0 || buffered_fd < 0)
		die(EXIT_TROUBLE, "%s: %s", opt.device, strerror(errno));
	if (!opt.size)
		opt.size = lseek(direct_fd, 0, SEEK_END);
	sectors = opt.size / STAMP_SECTOR;
	if (!sectors || sectors > 1ULL << 32)
		die(EXIT_TROUBLE, "%s: %llu sectors", opt.device,
		    (unsigned long long)sectors);
	posix_fadvise(buffered_fd, 0, 0, POSIX_FADV_RANDOM);
}

/* What a discard left undecided is what it is from now on. */
static void settle(const uint8_t *buf, uint64_t first, uint64_t n)
{
	uint64_t i;

	for (i = first; i < first + n; i++)
		if (maybe_zero[i])
			memcpy(model + i * STAMP_SECTOR,
			       buf + (i - first) * STAMP_SECTOR, STAMP_SECTOR);
	memset(maybe_zero + first, 0, n);
}

/* How many pages from sector @first on are all zeros, or none, as the first one is. */
static uint64_t run_length(uint64_t first, bool *zero)
{
	static const uint8_t zeros[PAGE_SECTORS * STAMP_SECTOR];
	uint64_t n = 0;

	while (first + n < sectors && n < CHUNK_SECTORS) {
		uint64_t left = sectors - first - n;
		bool now;

		left = left < PAGE_SECTORS ? left : PAGE_SECTORS;
		now = !memcmp(model + (first + n) * STAMP_SECTOR, zeros,
			      left * STAMP_SECTOR);
		if (!n)
			*zero = now;
		if (now != *zero)
			break;
		n += left;
	}
	return n;
}

/*
 * The model's zeros from sector @first on take no memory that reading them has taken, or
 * a mapping of the host's: where the guest is a program, each page needs one.
 */
static void forget_zeros(uint64_t first, uint64_t n)
{
	uint64_t run, end = first + n;
	bool zero = false;

	for (; first < end; first += run) {
		run = run_length(first, &zero);
		if (zero)
			madvise(model + first * STAMP_SECTOR, run * STAMP_SECTOR,
				MADV_DONTNEED);
	}
}

static void check_all(void)
{
	uint8_t *buf = threads[0].buf;
	uint64_t first, n;

	for (first = 0; first < sectors; first += n) {
		n = sectors - first < CHUNK_SECTORS ? sectors - first :
						      CHUNK_SECTORS;
		while (n > 1 && overlaps(opt.skip, opt.nr_skip, first, n))
			n /= 2;
		if (overlaps(opt.skip, opt.nr_skip, first, n))
			continue;
		transfer(false, direct_fd, buf, first, n);
		check("at the end", buf, first, n);
		settle(buf, first, n);
		forget_zeros(first, n);
	}
}

/* What is zeros becomes a hole. */
static void dump(void)
{
	uint64_t first, n;
	bool zero = false;
	int fd;

	if (!opt.dump)
		return;
	fd = open(opt.dump, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0 || ftruncate(fd, sectors * STAMP_SECTOR))
		die(EXIT_TROUBLE, "%s: %s", opt.dump, strerror(errno));
	for (first = 0; first < sectors; first += n) {
		ssize_t bytes;

		n = run_length(first, &zero);
		bytes = n * STAMP_SECTOR;
		if (!zero && pwrite(fd, model + first * STAMP_SECTOR, bytes,
				    first * STAMP_SECTOR) != bytes)
			die(EXIT_TROUBLE, "%s: %s", opt.dump, strerror(errno));
		forget_zeros(first, n);
	}
	if (close(fd))
		die(EXIT_TROUBLE, "%s: %s", opt.dump, strerror(errno));
}

static void report(void)
{
	const char *separator = "";
	enum op op;

	for (op = 0; op < NR_OPS; op++) {
		unsigned long n = atomic_load(&done[op]);

		if (!n)
			continue;
		printf("%s%lu %s", separator, n, ops[op].name);
		separator = ", ";
	}
	putchar('\n');
}

static void end_writing(void)
{
	if (!opt.quick) {
		do_fsync();
		check_all();
	}
	dump();
	report();
}

/* -------------------------------------------------------------------- modes */

static void it_is_enough(int signal)
{
	(void)signal;
	atomic_store(&stop, true);
}

static void random_mode(void)
{
	struct sigaction enough = {
		.sa_handler = it_is_enough, .sa_flags = SA_RESTART,
	};

	sigaction(SIGTERM, &enough, NULL);
	open_device(true);
	load_model();
	run_threads(opt.threads, random_thread);
	join_threads(0, opt.threads);
	end_writing();
}

static void pieces_mode(void)
{
	open_device(true);
	load_model();
	run_threads(opt.threads, pieces_thread);
	join_threads(0, opt.threads);
	end_writing();
}

static void race_mode(void)
{
	if (2 * opt.threads > MAX_THREADS)
		die(EXIT_TROUBLE, "too many threads");
	open_device(true);
	load_model();
	run_threads(2 * opt.threads, race_thread);
	join_threads(0, opt.threads);
	atomic_store(&stop, true);
	join_threads(opt.threads, opt.threads);
	do_fsync();
	check_quiet();
	dump();
	report();
}

static void *verify_thread(void *arg)
{
	struct thread *t = arg;
	uint64_t i, first, n;

	for (i = 0; i < opt.ops / opt.threads; i++) {
		choose(t, true, &first, &n);
		if (overlaps(opt.skip, opt.nr_skip, first, n))
			continue;
		transfer(false, direct_fd, t->buf, first, n);
		check("read", t->buf, first, n);
		atomic_fetch_add(&done[OP_READ], 1);
	}
	return NULL;
}

static void verify_mode(void)
{
	if (!opt.against)
		die(EXIT_TROUBLE, "verify needs --against");
	open_device(false);
	load_model();
	run_threads(opt.threads, verify_thread);
	join_threads(0, opt.threads);
	check_all();
	report();
}

/* ------------------------------------------------------------------ options */

static void usage(FILE *to)
{
	fputs("usage: exercise random|pieces|race|verify [options] DEVICE\n"
	      " -s, --seed N          of the random numbers (1)\n"
	      " -n, --ops N           operations; race: per writer (500)\n"
	      " -S, --size BYTES      use no more of the device than that\n"
	      " -t, --threads N       (1)\n"
	      " -g, --grain BYTES     operations meet its multiples (65536)\n"
	      " -b, --boundary LIST   and these bytes: 512,1024...\n"
	      " -m, --max BYTES       of one operation with data (1 MiB)\n"
	      " -p, --piece BYTES     for pieces (4096)\n"
	      " -e, --every-other     write only every other piece\n"
	      " -j, --stride BYTES    from one piece to the next\n"
	      " -o, --from BYTES      where the first piece is\n"
	      " -q, --quick           neither flush nor read what was written\n"
	      " -f, --fsync           after every piece\n"
	      " -a, --against FILE    what the device holds now (zeros)\n"
	      " -d, --dump FILE       write there what it holds at the end\n"
	      " -r, --read-only LIST  byte ranges that are not written: 0-512...\n"
	      " -x, --skip LIST       byte ranges that are not touched\n"
	      " -B, --no-buffered     direct I/O only\n", to);
}

static uint64_t number(const char *text, char **end)
{
	char *rest;
	uint64_t value = strtoull(text, &rest, 0);

	if (rest == text || (!end && *rest)) {
		usage(stderr);
		die(EXIT_TROUBLE, "not a number: %s", text);
	}
	if (end)
		*end = rest;
	return value;
}

static uint64_t in_sectors(const char *text, char **end)
{
	uint64_t bytes = number(text, end);

	if (bytes % STAMP_SECTOR)
		die(EXIT_TROUBLE, "not a multiple of %d: %s", STAMP_SECTOR, text);
	return bytes / STAMP_SECTOR;
}

static void parse_boundaries(char *text)
{
	while (*text && opt.nr_boundaries < MAX_LIST) {
		opt.boundary[opt.nr_boundaries++] = in_sectors(text, &text);
		text += *text == ',';
	}
}

static void parse_ranges(char *text, struct range *list, unsigned int *nr)
{
	while (*text && *nr < MAX_LIST) {
		list[*nr].first = in_sectors(text, &text);
		text += *text == '-';
		list[*nr].end = in_sectors(text, &text);
		text += *text == ',';
		(*nr)++;
	}
}

static void parse(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "seed", 1, NULL, 's' }, { "ops", 1, NULL, 'n' },
		{ "size", 1, NULL, 'S' }, { "threads", 1, NULL, 't' },
		{ "grain", 1, NULL, 'g' }, { "boundary", 1, NULL, 'b' },
		{ "max", 1, NULL, 'm' }, { "piece", 1, NULL, 'p' },
		{ "every-other", 0, NULL, 'e' }, { "fsync", 0, NULL, 'f' },
		{ "stride", 1, NULL, 'j' }, { "from", 1, NULL, 'o' },
		{ "quick", 0, NULL, 'q' },
		{ "against", 1, NULL, 'a' }, { "dump", 1, NULL, 'd' },
		{ "read-only", 1, NULL, 'r' }, { "skip", 1, NULL, 'x' },
		{ "no-buffered", 0, NULL, 'B' }, { "help", 0, NULL, 'h' },
		{ NULL, 0, NULL, 0 }
	};
	int c;

	while ((c = getopt_long(argc, argv, "s:n:S:t:g:b:m:p:ej:o:qfa:d:r:x:Bh",
				longs, NULL)) != -1) {
		switch (c) {
		case 's':
			opt.seed = number(optarg, NULL);
			break;
		case 'n':
			opt.ops = number(optarg, NULL);
			break;
		case 'S':
			opt.size = number(optarg, NULL);
			break;
		case 't':
			opt.threads = number(optarg, NULL);
			break;
		case 'g':
			opt.grain = in_sectors(optarg, NULL);
			break;
		case 'b':
			parse_boundaries(optarg);
			break;
		case 'm':
			opt.max = in_sectors(optarg, NULL);
			break;
		case 'p':
			opt.piece = in_sectors(optarg, NULL);
			break;
		case 'e':
			opt.every_other = true;
			break;
		case 'j':
			opt.stride = in_sectors(optarg, NULL);
			break;
		case 'o':
			opt.from = in_sectors(optarg, NULL);
			break;
		case 'q':
			opt.quick = true;
			break;
		case 'f':
			opt.fsync = true;
			break;
		case 'a':
			opt.against = optarg;
			break;
		case 'd':
			opt.dump = optarg;
			break;
		case 'r':
			parse_ranges(optarg, opt.read_only, &opt.nr_read_only);
			break;
		case 'x':
			parse_ranges(optarg, opt.skip, &opt.nr_skip);
			break;
		case 'B':
			opt.no_buffered = true;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(EXIT_TROUBLE);
		}
	}
	if (!opt.threads || opt.threads > MAX_THREADS || !opt.grain ||
	    !opt.max || opt.max > CHUNK_SECTORS || !opt.piece ||
	    opt.piece > CHUNK_SECTORS)
		die(EXIT_TROUBLE, "a number is out of range");
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} modes[] = {
		{ "random", random_mode }, { "pieces", pieces_mode },
		{ "race", race_mode }, { "verify", verify_mode },
	};
	unsigned int i;

	parse(argc, argv);
	if (argc - optind != 2) {
		usage(stderr);
		return EXIT_TROUBLE;
	}
	opt.device = argv[optind + 1];
	/* Sessions with different seeds write different bytes. */
	atomic_store(&next_seq, opt.seed << 16 | 1);
	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(argv[optind], modes[i].name))
			continue;
		modes[i].run();
		return 0;
	}
	usage(stderr);
	return EXIT_TROUBLE;
}
