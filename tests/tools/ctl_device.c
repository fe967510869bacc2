// SPDX-License-Identifier: GPL-2.0
/* The commands of ctl for a block device. */
#define _GNU_SOURCE	/* O_DIRECT, fallocate */
#include <errno.h>
#include <fcntl.h>
#include <linux/blkpg.h>
#include <linux/blktrace_api.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ctl.h"
#include "starve.h"

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

int do_harm(const char *path)
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

int do_range(char **argv)
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

int do_direct(const char *path)
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

int do_coherent(const char *path)
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

int do_arguments(const char *path)
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
		fill(p->new + p->first, p->bytes, p->start + p->first,
		     starving.nth);
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

int do_io(const char *way, const char *device, const char *raw, const char *start)
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
	if (starving.nth)
		starve(starving.nth, true);
	err = change_piece(&p, way) || (!read && fsync(p.fd)) ? errno : 0;
	if (starving.nth)
		starving.met |= relent();
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
