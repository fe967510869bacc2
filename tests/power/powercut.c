// SPDX-License-Identifier: GPL-2.0
/*
 * What a power cut leaves of a disk, from a log of all that was written below it.
 *
 * powercut work DEVICE MARKS OPS SEED COUNT
 *	stamped writes, discards, zeros and flushes by several threads, one of them
 *	through the page cache; what they are going to do goes to OPS first.  After
 *	each flush, a sector of MARKS says so: it lies on the disk whose writes are
 *	logged, and so says when.  Ends with the first error.
 * powercut stage MARKS STAGE BYTES
 *	says there how far it is: working, detaching or detached; and that the disk
 *	has at least so many bytes
 * powercut base RAW BYTES
 *	a raw file of sectors with stamp 1, for a parent
 * powercut cut LOG DISK BYTES FIRST POINTS SEED FOLDER COMMAND...
 *	DISK as it could be after a cut, at so many points of LOG: each time
 *	FOLDER/disk (BYTES of it from byte FIRST on) and FOLDER/marks are written,
 *	and COMMAND is run with the point as its last argument
 * powercut verify OPS MARKS RAW BASE
 *	does every sector of RAW hold what was flushed, or something newer? BASE is
 *	the stamp of sectors that were never written; 0: zeros. Those that say that
 *	they could not be read may hold anything
 * powercut state MARKS RAW
 *	prints the stage, how many sectors of RAW the work has written, and how many
 *	of its threads have left marks
 *
 * A cut takes all that was written before the last flush of the log, and of what
 * came later each sector or not: half of the points take all of that, up to the
 * cut, and the others a part by chance.  Every flush's end is a point, if they are no
 * more than two thirds of the points, or else half of the points are; some are where
 * the disk is written for the first time, one is the end, and the others are spread
 * over the log.
 */
#define _GNU_SOURCE	/* O_DIRECT, RWF_DSYNC */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stamp.h"

#define SECTOR		512
#define THREADS		4
#define BUFFERED	3	/* the one that uses the page cache */
#define LARGEST		256	/* sectors of one write */
#define GRAIN		128
#define MARK_MAGIC	0x6b72616d72776f70ULL
#define FIRST_SEQ	2U	/* 1 is the base's */

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "powercut: %s: %s\n", what, strerror(errno));
	exit(2);
}

static int open_file(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		die(path);
	return fd;
}

/* ---- what was done ---- */

enum kind { WRITE, FUA, ZERO, DISCARD, FLUSH };

/* One operation; those of a thread follow each other, and their numbers rise. */
struct op {
	uint64_t sector;
	uint32_t count;
	uint32_t kind;
	uint32_t seq;
	uint32_t thread;
};

#define MAX_FUA		118

/* One sector of a thread: what it knows to be durable. */
struct mark {
	uint64_t magic;
	uint32_t passed;		/* its last flush, or write with FUA */
	uint32_t nr_fua;
	uint32_t flushed[THREADS];	/* each one's operations up to this one */
	uint32_t fua[MAX_FUA];		/* and these of its own */
	uint8_t rest[SECTOR - 32 - 4 * MAX_FUA];
};

enum stage { NO_STAGE, WORKING, DETACHING, DETACHED };

static const char *const stages[] = { "none", "working", "detaching", "detached" };

struct marks {
	struct mark thread[THREADS];
	struct {
		uint64_t magic, stage, bytes;
		uint8_t rest[SECTOR - 24];
	} work;
};

static_assert(sizeof(struct marks) == (THREADS + 1) * SECTOR, "one sector each");

/* ---- work ---- */

static struct {
	int fd, marks;
	uint64_t sectors, seed, count;
	struct op *ops;
	atomic_uint done[THREADS];	/* the last operation of each */
} work;

struct worker {
	pthread_t thread;
	uint32_t id, seq;
	int fd;
	uint64_t random, first, end;
	struct op *ops;
	struct mark *mark;
	void *buf;
};

static uint64_t chance(struct worker *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random;
}

static void put_mark(struct worker *w, const struct op *op)
{
	w->mark->magic = MARK_MAGIC;
	w->mark->passed = op->seq;
	if (pwrite(work.marks, w->mark, SECTOR, (off_t)w->id * SECTOR) != SECTOR)
		die("mark");
}

static void do_write(struct worker *w, struct op *op)
{
	struct iovec iov = { w->buf, op->count * SECTOR };

	stamp(w->buf, op->sector, op->count, op->seq);
	if (pwritev2(w->fd, &iov, 1, op->sector * SECTOR,
		     op->kind == FUA ? RWF_DSYNC : 0) != (ssize_t)iov.iov_len)
		die("write");
	if (op->kind == FUA) {
		w->mark->fua[w->mark->nr_fua++ % MAX_FUA] = op->seq;
		put_mark(w, op);
	}
}

/* It covers what was complete before it began, whoever did that. */
static void do_flush(struct worker *w, struct op *op)
{
	uint32_t before[THREADS], i;

	for (i = 0; i < THREADS; i++)
		before[i] = atomic_load(&work.done[i]);
	if (fsync(w->fd))
		die("fsync");
	memcpy(w->mark->flushed, before, sizeof(before));
	w->mark->flushed[w->id] = op->seq;
	w->mark->nr_fua = 0;
	put_mark(w, op);
}

static void do_op(struct worker *w, struct op *op)
{
	uint64_t range[2] = { op->sector * SECTOR, (uint64_t)op->count * SECTOR };

	switch (op->kind) {
	case FLUSH:
		do_flush(w, op);
		break;
	case ZERO:
		if (ioctl(w->fd, BLKZEROOUT, range))
			die("BLKZEROOUT");
		break;
	case DISCARD:
		if (ioctl(w->fd, BLKDISCARD, range))
			die("BLKDISCARD");
		break;
	default:
		do_write(w, op);
	}
	atomic_store(&work.done[w->id], op->seq);
}

/*
 * Small and large ones, often at the same few places.  The @last ones are never
 * flushed, and go where nothing was written before: what they need a detach has to
 * make durable.
 */
static void choose_op(struct worker *w, struct op *op, bool last)
{
	static const uint8_t kinds[16] = {
		WRITE, WRITE, WRITE, WRITE, WRITE, WRITE, WRITE, WRITE, WRITE,
		FUA, ZERO, DISCARD, DISCARD, FLUSH, FLUSH, WRITE,
	};
	uint64_t most = chance(w) % 8 ? 16 : LARGEST;
	uint64_t room = (w->end - w->first) / 8 * 7, from = w->first;

	op->kind = kinds[chance(w) % 16];
	/* It would take pages from the cache that were to be written. */
	if (op->kind == DISCARD && w->id == BUFFERED)
		op->kind = WRITE;
	if (last && (op->kind == FLUSH || op->kind == FUA))
		op->kind = WRITE;
	if (op->kind == DISCARD || op->kind == ZERO)
		most = LARGEST;
	op->count = 1 + chance(w) % most;
	if (op->kind == DISCARD && chance(w) % 2)
		op->count = GRAIN;
	if (last) {
		from += room;
		room = w->end - from;
	} else if (chance(w) % 2) {
		room /= 8;
	}
	if (op->count >= room)
		op->count = room - 1;
	op->sector = from + chance(w) % (room - op->count);
	/* A grain's place is free then, for another. */
	if (op->count == GRAIN && op->sector / GRAIN * GRAIN >= w->first)
		op->sector = op->sector / GRAIN * GRAIN;
	op->seq = w->seq;
	op->thread = w->id;
	w->seq += THREADS;
}

static void *run_worker(void *arg)
{
	struct worker *w = arg;
	uint64_t n;

	for (n = 0; n < work.count; n++)
		do_op(w, &w->ops[n]);
	return NULL;
}

/*
 * Where thread @id's part begins: within a grain; and on a page, where the thread
 * before or this one writes whole pages.
 */
static uint64_t first_sector(uint32_t id)
{
	uint64_t first = work.sectors / THREADS / 8 * 8 * id;

	if (id == BUFFERED || id == BUFFERED + 1)
		return first + 40;
	return id ? first + 37 : 0;
}

static void plan_worker(struct worker *w, uint32_t id, const char *device)
{
	uint64_t n;

	w->id = id;
	w->fd = id == BUFFERED ? open_file(device, O_RDWR) : work.fd;
	w->seq = FIRST_SEQ + id;
	w->random = work.seed * 0x9e3779b97f4a7c15ULL + id + 1;
	w->first = first_sector(id);
	w->end = id + 1 == THREADS ? work.sectors : first_sector(id + 1);
	w->buf = aligned_alloc(4096, LARGEST * SECTOR);
	w->mark = aligned_alloc(4096, 4096);
	memset(w->mark, 0, SECTOR);
	w->ops = work.ops + id * work.count;
	for (n = 0; n < work.count; n++)
		choose_op(w, &w->ops[n], n >= work.count / 16 * 15);
}

/* They have to be known before one begins: a cut may come in its midst. */
static void write_ops(const char *path)
{
	size_t size = THREADS * work.count * sizeof(*work.ops);
	int fd = open_file(path, O_WRONLY | O_CREAT | O_TRUNC);

	if (write(fd, work.ops, size) != (ssize_t)size || close(fd))
		die(path);
}

static int do_work(char **argv)
{
	struct worker worker[THREADS];
	uint64_t bytes;
	int i;

	work.fd = open_file(argv[0], O_RDWR | O_DIRECT);
	work.marks = open_file(argv[1], O_RDWR | O_DIRECT);
	work.seed = strtoull(argv[3], NULL, 0);
	work.count = strtoull(argv[4], NULL, 0) / THREADS;
	work.ops = calloc(THREADS * work.count, sizeof(*work.ops));
	if (!work.ops || ioctl(work.fd, BLKGETSIZE64, &bytes))
		die(argv[0]);
	work.sectors = bytes / SECTOR;
	for (i = 0; i < THREADS; i++)
		plan_worker(&worker[i], i, argv[0]);
	write_ops(argv[2]);
	for (i = 0; i < THREADS; i++)
		if (pthread_create(&worker[i].thread, NULL, run_worker, &worker[i]))
			die("thread");
	for (i = 0; i < THREADS; i++)
		pthread_join(worker[i].thread, NULL);
	return 0;
}

static int do_stage(char **argv)
{
	struct marks *marks = aligned_alloc(4096, 4096);
	int fd = open_file(argv[0], O_RDWR | O_DIRECT);
	uint64_t stage;

	for (stage = WORKING; strcmp(argv[1], stages[stage]); stage++)
		if (stage == DETACHED)
			return 2;
	memset(marks, 0, sizeof(*marks));
	marks->work.magic = MARK_MAGIC;
	marks->work.stage = stage;
	marks->work.bytes = strtoull(argv[2], NULL, 0);
	if (pwrite(fd, &marks->work, SECTOR, offsetof(struct marks, work)) != SECTOR)
		die(argv[0]);
	return 0;
}

/* ---- the log: dm-log-writes' format, as QEMU's blklogwrites has it ---- */

#define LOG_MAGIC	0x6a736677736872ULL
#define LOG_FLUSH	1U
#define LOG_FUA		2U
#define LOG_DISCARD	4U

struct log_super {
	uint64_t magic, version, nr_entries;
	uint32_t sector_size;
} __attribute__((packed));

struct log_entry {
	uint64_t sector, nr_sectors, flags, data_len;
};

struct log {
	const uint8_t *bytes;
	size_t size;
	const struct log_entry **entries;
	uint64_t nr;
};

static void *map_file(const char *path, size_t *size)
{
	int fd = open_file(path, O_RDONLY);
	struct stat st;
	void *p;

	if (fstat(fd, &st))
		die(path);
	*size = S_ISBLK(st.st_mode) ? lseek(fd, 0, SEEK_END) : st.st_size;
	p = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		die(path);
	close(fd);
	return p;
}

static bool has_data(const struct log_entry *e)
{
	return e->nr_sectors && !(e->flags & LOG_DISCARD);
}

static void read_log(const char *path, struct log *log)
{
	const struct log_super *super;
	size_t at = SECTOR;
	uint64_t n;

	log->bytes = map_file(path, &log->size);
	super = (const void *)log->bytes;
	if (log->size < SECTOR || super->magic != LOG_MAGIC ||
	    super->sector_size != SECTOR) {
		fprintf(stderr, "powercut: %s: is no log\n", path);
		exit(2);
	}
	log->entries = calloc(super->nr_entries, sizeof(*log->entries));
	for (n = 0; n < super->nr_entries && at + SECTOR <= log->size; n++) {
		const struct log_entry *e = (const void *)(log->bytes + at);

		log->entries[log->nr++] = e;
		at += SECTOR;
		if (has_data(e))
			at += e->nr_sectors * SECTOR;
	}
}

/* ---- cut ---- */

struct disk {
	uint8_t *bytes;
	uint64_t first, size;		/* the part of the disk that is looked at */
	struct marks marks;		/* they lie at the beginning of the disk */
};

static uint64_t random_state;

static uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* Where the first partition begins, which has the marks. */
#define MARKS_SECTOR	2048U
#define MARKS_END	(MARKS_SECTOR + THREADS + 1)

static void apply_marks(struct disk *d, const struct log_entry *e)
{
	const uint8_t *data = (const uint8_t *)e + SECTOR;
	uint64_t i;

	for (i = 0; i < e->nr_sectors; i++)
		if (e->sector + i >= MARKS_SECTOR && e->sector + i < MARKS_END)
			memcpy((uint8_t *)&d->marks +
			       (e->sector + i - MARKS_SECTOR) * SECTOR,
			       data + i * SECTOR, SECTOR);
}

/* All of its sectors, or each by chance. */
static void apply(struct disk *d, const struct log_entry *e, bool all)
{
	const uint8_t *data = (const uint8_t *)e + SECTOR;
	uint64_t i, at;

	if (has_data(e))
		apply_marks(d, e);
	for (i = 0; i < e->nr_sectors; i++) {
		at = (e->sector + i) * SECTOR;
		if (at < d->first || at >= d->first + d->size)
			continue;
		if (!all && next_random() & 1)
			continue;
		if (has_data(e))
			memcpy(d->bytes + at - d->first, data + i * SECTOR, SECTOR);
		else
			memset(d->bytes + at - d->first, 0, SECTOR);
	}
}

static bool is_zero(const uint8_t *p, size_t n)
{
	return !p[0] && !memcmp(p, p + 1, n - 1);
}

static void write_disk(const struct disk *d, const char *folder)
{
	char path[4096];
	uint64_t at;
	int fd;

	snprintf(path, sizeof(path), "%s/disk", folder);
	fd = open_file(path, O_WRONLY | O_CREAT | O_TRUNC);
	if (ftruncate(fd, d->size))
		die(path);
	for (at = 0; at < d->size; at += 4096)
		if (!is_zero(d->bytes + at, 4096) &&
		    pwrite(fd, d->bytes + at, 4096, at) != 4096)
			die(path);
	close(fd);
	snprintf(path, sizeof(path), "%s/marks", folder);
	fd = open_file(path, O_WRONLY | O_CREAT | O_TRUNC);
	if (write(fd, &d->marks, sizeof(d->marks)) != sizeof(d->marks))
		die(path);
	close(fd);
}

static _Noreturn void run_command(char **argv, uint64_t point)
{
	char text[32], *args[32];
	int n;

	for (n = 0; argv[n] && n < 30; n++)
		args[n] = argv[n];
	snprintf(text, sizeof(text), "%llu", (unsigned long long)point);
	args[n] = text;
	args[n + 1] = NULL;
	execvp(args[0], args);
	die(args[0]);
}

/*
 * @d has all up to @from, the entry behind a flush. A cut before entry @to: what
 * came since is there, or a part of it. In a process of its own, for which the
 * kernel copies what changes.
 */
static int cut(const struct log *log, struct disk *d, uint64_t from, uint64_t to,
	       const char *folder, char **command)
{
	bool all = next_random() & 1;
	pid_t pid = fork();
	uint64_t i;
	int status;

	if (!pid) {
		random_state *= 0x9e3779b97f4a7c15;	/* not what the next cut gets */
		for (i = from; i < to; i++)
			apply(d, log->entries[i], all || log->entries[i]->flags & LOG_FUA);
		write_disk(d, folder);
		run_command(command, to);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		die(command[0]);
	if (status)
		printf("entry %llu of %llu, %llu since a flush, %s: failed\n",
		       (unsigned long long)to, (unsigned long long)log->nr,
		       (unsigned long long)(to - from),
		       all ? "all of them" : "a part of them");
	return status != 0;
}

static uint64_t first_mark(const struct log *log)
{
	uint64_t i;

	for (i = 0; i < log->nr; i++)
		if (log->entries[i]->sector >= MARKS_SECTOR &&
		    log->entries[i]->sector < MARKS_END &&
		    has_data(log->entries[i]))
			break;
	return i;
}

#define EARLY	10U	/* so many of the points are the first there are */

/* Of @nr places, the @n-th is one of @wanted that lie evenly among them. */
static bool is_chosen(uint64_t n, uint64_t nr, uint64_t wanted)
{
	return n * wanted / nr != (n + 1) * wanted / nr;
}

/* Where to cut: before entry i, if [i] is set.  After the log's first mark. */
static bool *choose_points(const struct log *log, uint64_t points)
{
	bool *chosen = calloc(log->nr + 1, sizeof(*chosen));
	uint64_t first = first_mark(log) + 1, flushes = 0, n = 0, taken = 0, i;

	for (i = first; i < log->nr; i++)
		flushes += !!(log->entries[i]->flags & LOG_FLUSH);
	for (i = first; i < log->nr; i++)
		if (log->entries[i]->flags & LOG_FLUSH)
			chosen[i + 1] = flushes <= points / 3 * 2 ||
					is_chosen(n++, flushes, points / 2);
	for (i = first; i < log->nr; i++) {
		n = i - first;
		if (n < EARLY && n < points / 8)
			chosen[i] = true;
		taken += chosen[i];
	}
	chosen[log->nr] = true;
	n = points > taken + 1 ? points - taken - 1 : 0;
	for (i = first; i < log->nr; i++)
		if (is_chosen(i - first, log->nr - first, n))
			chosen[i] = true;
	printf("%llu flushes; ", (unsigned long long)flushes);
	return chosen;
}

/* What is on the disk before the first entry. */
static void read_disk(const char *path, struct disk *d)
{
	int fd = open_file(path, O_RDONLY);

	d->bytes = malloc(d->size);
	if (pread(fd, d->bytes, d->size, d->first) != (ssize_t)d->size)
		die(path);
	close(fd);
}

static int do_cuts(char **argv)
{
	struct disk d = { .size = strtoull(argv[2], NULL, 0),
			  .first = strtoull(argv[3], NULL, 0) };
	uint64_t flushed = 0, failed = 0, done = 0, i;
	struct log log = { 0 };
	bool *chosen;

	random_state = strtoull(argv[5], NULL, 0) * 0x9e3779b97f4a7c15ULL + 1;
	read_log(argv[0], &log);
	read_disk(argv[1], &d);
	chosen = choose_points(&log, strtoull(argv[4], NULL, 0));
	for (i = 0; i <= log.nr && failed < 10; i++) {
		if (chosen[i]) {
			failed += !!cut(&log, &d, flushed, i, argv[6], argv + 7);
			done++;
		}
		if (i == log.nr || !(log.entries[i]->flags & LOG_FLUSH))
			continue;
		for (; flushed <= i; flushed++)
			apply(&d, log.entries[flushed], true);
	}
	printf("%llu cuts in a log of %llu entries: %llu failed\n",
	       (unsigned long long)done, (unsigned long long)log.nr,
	       (unsigned long long)failed);
	return failed || !done;
}

/* ---- verify ---- */

static uint32_t seq_of(const uint8_t *sector)
{
	uint64_t word;

	memcpy(&word, sector, sizeof(word));
	return word & 0xffffff;
}

/* What the marks tell of each thread. */
struct known {
	const struct marks *marks;
	uint32_t flushed[THREADS];
	uint32_t begun[THREADS];
};

static bool is_durable(const struct op *op, const struct known *known)
{
	const struct mark *m = &known->marks->thread[op->thread];
	uint32_t i;

	if (op->seq <= known->flushed[op->thread])
		return true;
	for (i = 0; i < m->nr_fua && i < MAX_FUA; i++)
		if (m->fua[i] == op->seq)
			return true;
	return false;
}

/* Takes what sector @s holds for an operation that it belongs to. */
static bool judge(const struct op *op, bool durable, uint32_t has, bool well)
{
	switch (op->kind) {
	case WRITE:
	case FUA:
		return has == op->seq || (well && !durable);
	case ZERO:
		return !has || (well && !durable);
	case DISCARD:
		return !has || well;
	default:
		return well;
	}
}

/*
 * The number of the last operation that each thread may have begun: every flush
 * leaves a mark before the thread goes on.
 */
static void find_begun(const struct op *ops, size_t nr, struct known *known)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		uint32_t passed = known->marks->thread[ops[i].thread].passed;
		uint32_t *begun = &known->begun[ops[i].thread];

		if (*begun <= passed && (ops[i].kind == FLUSH || ops[i].kind == FUA))
			*begun = ops[i].seq;
	}
	/* None of those to come: the thread may have got to its end. */
	for (i = 0; i < THREADS; i++)
		if (known->begun[i] <= known->marks->thread[i].passed)
			known->begun[i] = UINT32_MAX;
}

static void read_marks(const struct marks *marks, const struct op *ops, size_t nr,
		       struct known *known)
{
	uint32_t i, j;

	*known = (struct known){ .marks = marks };
	for (i = 0; i < THREADS; i++)
		for (j = 0; j < THREADS; j++)
			if (marks->thread[j].flushed[i] > known->flushed[i])
				known->flushed[i] = marks->thread[j].flushed[i];
	find_begun(ops, nr, known);
	if (marks->work.stage == DETACHED)
		memset(known->flushed, 0xff, sizeof(known->flushed));
}

static bool is_large_enough(const struct marks *marks, uint64_t bytes)
{
	if (bytes >= marks->work.bytes)
		return true;
	printf("%llu bytes, of %llu that there were\n", (unsigned long long)bytes,
	       (unsigned long long)marks->work.bytes);
	return false;
}

static int do_verify(char **argv)
{
	size_t ops_size, marks_size, size;
	const struct op *ops = map_file(argv[0], &ops_size);
	const struct marks *marks = map_file(argv[1], &marks_size);
	const uint8_t *raw = map_file(argv[2], &size);
	uint32_t base = strtoul(argv[3], NULL, 0), *has;
	uint64_t sectors = size / SECTOR, s, bad = 0;
	size_t nr = ops_size / sizeof(*ops), i;
	char text[STAMP_TEXT];
	struct known known;
	bool *well;

	has = calloc(sectors, sizeof(*has));
	well = calloc(sectors, sizeof(*well));
	for (s = 0; s < sectors; s++) {
		const uint8_t *p = raw + s * SECTOR;

		has[s] = is_zero(p, SECTOR) ? 0 :
			 stamp_is_whole(p, s) ? seq_of(p) : UINT32_MAX;
		well[s] = has[s] == base;
	}
	read_marks(marks, ops, nr, &known);
	for (i = 0; i < nr; i++) {
		bool durable = is_durable(&ops[i], &known);

		if (ops[i].kind == FLUSH || ops[i].seq > known.begun[ops[i].thread])
			continue;
		for (s = ops[i].sector; s < ops[i].sector + ops[i].count &&
		     s < sectors; s++)
			well[s] = judge(&ops[i], durable, has[s], well[s]);
	}
	for (s = 0; s < sectors; s++)
		if (!well[s] && !stamp_is_unread(raw + s * SECTOR) && bad++ < 5)
			printf("sector %llu holds %s\n", (unsigned long long)s,
			       stamp_describe(raw + s * SECTOR, text));
	if (bad)
		printf("%llu sectors are not what was flushed, nor newer\n",
		       (unsigned long long)bad);
	return bad || !is_large_enough(marks, size);
}

static int do_state(char **argv)
{
	size_t marks_size, size;
	const struct marks *marks = map_file(argv[0], &marks_size);
	const uint8_t *raw = map_file(argv[1], &size);
	uint64_t written = 0, s;
	int threads = 0, i;

	for (s = 0; s < size / SECTOR; s++)
		written += seq_of(raw + s * SECTOR) >= FIRST_SEQ;
	for (i = 0; i < THREADS; i++)
		threads += marks->thread[i].magic == MARK_MAGIC;
	printf("%s %llu %d\n", stages[marks->work.stage],
	       (unsigned long long)written, threads);
	return 0;
}

static int do_base(char **argv)
{
	uint64_t sectors = strtoull(argv[1], NULL, 0) / SECTOR, s;
	FILE *out = fopen(argv[0], "we");
	uint8_t sector[SECTOR];

	if (!out)
		die(argv[0]);
	for (s = 0; s < sectors; s++) {
		stamp(sector, s, 1, 1);
		if (fwrite(sector, SECTOR, 1, out) != 1)
			die(argv[0]);
	}
	if (fclose(out))
		die(argv[0]);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 7 && !strcmp(argv[1], "work"))
		return do_work(argv + 2);
	if (argc == 5 && !strcmp(argv[1], "stage"))
		return do_stage(argv + 2);
	if (argc == 4 && !strcmp(argv[1], "state"))
		return do_state(argv + 2);
	if (argc == 4 && !strcmp(argv[1], "base"))
		return do_base(argv + 2);
	if (argc > 9 && !strcmp(argv[1], "cut"))
		return do_cuts(argv + 2);
	if (argc == 6 && !strcmp(argv[1], "verify"))
		return do_verify(argv + 2);
	fprintf(stderr, "powercut: wrong arguments; see the head of the source\n");
	return 2;
}
