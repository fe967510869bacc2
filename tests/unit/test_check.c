// SPDX-License-Identifier: GPL-2.0
/*
 * vmdk_check_sparse() finds each kind of damage, names its place, and finds
 * nothing in a sound image; vmdk_even_out() makes both copies alike.
 */
#define _GNU_SOURCE	/* fallocate */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "check.h"
#include "mkvmdk.h"

#define MAX_SEEN	64

/* How many writes succeed before all fail; -1: no limit. */
static long writes_left = -1;

/* In front of the C library's: where the code under test can be cut short. */
ssize_t pwrite(int fd, const void *buf, size_t n, off_t offset)
{
	if (!writes_left) {
		errno = EIO;
		return -1;
	}
	if (writes_left > 0)
		writes_left--;
	return syscall(SYS_pwrite64, fd, buf, n, offset);
}

struct seen {
	size_t n;
	struct vmdk_finding finding[MAX_SEEN];
	char structure[MAX_SEEN][48];
	struct vmdk_check_result result;
};

static void remember(const struct vmdk_finding *finding, void *arg)
{
	struct seen *s = arg;

	assert_true(s->n < MAX_SEEN);
	assert_true(finding->text[0] && finding->structure[0]);
	assert_true(finding->found[0] && finding->expected[0]);
	assert_null(strchr(finding->text, '\n'));
	assert_true(strlen(finding->text) < sizeof(finding->text) - 1);
	s->finding[s->n] = *finding;
	snprintf(s->structure[s->n], sizeof(s->structure[0]), "%s",
		 finding->structure);
	s->n++;
}

static void print_seen(const struct seen *s)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		print_message("  %d %s at byte %llu: %s (found %s, expected %s)\n",
			      s->finding[i].severity, s->structure[i],
			      (unsigned long long)s->finding[i].offset,
			      s->finding[i].text, s->finding[i].found,
			      s->finding[i].expected);
}

static int check_fd(int fd, struct seen *s)
{
	memset(s, 0, sizeof(*s));
	return vmdk_check_sparse(fd, MAX_SEEN / 4, remember, s, &s->result);
}

static int check_image(const struct mk_image *m, struct seen *s)
{
	int fd = mk_memfd(m);
	int ret = check_fd(fd, s);

	close(fd);
	return ret;
}

/* ---- sound images ---- */

static void assert_nothing(const struct mk_image *m, uint64_t allocated,
			   uint64_t zeroed)
{
	struct seen s;

	assert_int_equal(check_image(m, &s), 0);
	print_seen(&s);
	assert_int_equal(s.n, 0);
	assert_int_equal(s.result.grains_allocated, allocated);
	assert_int_equal(s.result.grains_zeroed, zeroed);
	assert_int_equal(s.result.grains_leaked + s.result.grains_free, 0);
	assert_int_equal(s.result.tail_bytes, 0);
}

static void sound_image(const struct mk_options *opt)
{
	uint64_t grain = opt->grain ? opt->grain : 128;
	uint64_t capacity = opt->capacity ? opt->capacity : 2048;
	uint64_t last = (capacity - 1) / grain;
	struct mk_image m;

	mk_create(&m, opt);
	assert_nothing(&m, 0, 0);
	mk_map(&m, last, 1);
	assert_nothing(&m, 1, 0);
	/* A writer may end the file where the disk ends. */
	mk_resize(&m, m.size - (size_t)(((last + 1) * grain - capacity) *
				       MK_SECTOR));
	assert_nothing(&m, 1, 0);
	if (last) {
		mk_map(&m, last / 2, 2);
		assert_nothing(&m, 1 + (last != last / 2), 0);
	}
	if (last > 2 && (opt->flags & 4)) {
		mk_entry(&m, 0, 1);
		assert_nothing(&m, 2, opt->tables == MK_TABLES_FRONT);
	}
	mk_free(&m);
}

static void test_sound(void **state)
{
	static const struct mk_options sound[] = {
		{ 0 },
		{ .capacity = 1 },
		{ .capacity = 2049, .grain = 8 },
		{ .capacity = 5000, .grain = 8, .gtes = 128 },
		{ .capacity = 5000, .grain = 16, .gtes = 256, .flags = 4 },
		{ .capacity = 300000, .grain = 2048, .flags = 4, .version = 2 },
		{ .capacity = 100000, .one_copy = true, .no_descriptor = true },
		{ .capacity = 1 << 22, .tables = MK_TABLES_LAZY },
		{ .capacity = 1 << 22, .tables = MK_TABLES_LAZY,
		  .one_copy = true },
		{ .capacity = 10ULL << 31, .tables = MK_TABLES_LAZY },
	};
	size_t i;

	for (i = 0; i < sizeof(sound) / sizeof(sound[0]); i++)
		sound_image(&sound[i]);
	(void)state;
}

/* ---- damage ---- */

/*
 * The image that is damaged: 515 grains of 8 sectors in five tables of 128.
 * Sector 1: descriptor; 21: redundant directory, 22 to 26 its tables; 27:
 * directory, 28 to 32 its tables; overHead 40.  Grains 0, 1, 2, 127, 128, 300
 * and 512 lie at 40, 48 and so on to 88; grain 5 is zeros.  File: 96 sectors.
 */
static const struct mk_options damaged_options = {
	.capacity = 515 * 8, .grain = 8, .gtes = 128, .flags = 4,
};

static void make_damaged_base(struct mk_image *m)
{
	static const uint64_t grains[] = { 0, 1, 2, 127, 128, 300, 512 };
	size_t i;

	mk_create(m, &damaged_options);
	for (i = 0; i < sizeof(grains) / sizeof(grains[0]); i++)
		mk_map(m, grains[i], (uint8_t)(i + 1));
	mk_entry(m, 5, 1);
	assert_int_equal(m->overhead, 40);
	assert_int_equal(m->size, 96 * MK_SECTOR);
}

/* Each damages the base and returns the byte that is to be named. */
typedef uint64_t (*damage_fn)(struct mk_image *m);

static uint64_t set_gde(struct mk_image *m, unsigned int copy, uint32_t index,
			uint32_t value)
{
	mk_put(m, mk_gde(m, copy, index), 4, value);
	return mk_gde(m, copy, index);
}

static uint64_t set_gte(struct mk_image *m, unsigned int copy, uint64_t grain,
			uint32_t value)
{
	mk_entry_copy(m, copy, grain, value);
	return mk_gte(m, copy, grain);
}

#define GDE(name, copy, index, value) \
static uint64_t name(struct mk_image *m) \
{ return set_gde(m, copy, index, value); }

#define GTE(name, copy, grain, value) \
static uint64_t name(struct mk_image *m) \
{ return set_gte(m, copy, grain, value); }

/* In both copies; the primary is named first. */
#define GTE_BOTH(name, grain, value) \
static uint64_t name(struct mk_image *m) \
{ mk_entry(m, grain, value); return mk_gte(m, 0, grain); }

GDE(gde_past_end, 0, 3, 96)
GDE(gde_huge, 1, 3, UINT32_MAX)
GDE(gde_in_descriptor, 0, 3, 1)
GDE(gde_on_directory, 0, 3, 27)
GDE(gde_on_redundant, 1, 3, 21)
GDE(gde_shared, 0, 3, 28)
GDE(gde_shared_across, 1, 3, 31)
GDE(gde_padding, 0, 5, 28)
GDE(gde_padding_redundant, 1, 127, 7)
GDE(no_primary_table, 0, 2, 0)
GDE(no_redundant_table, 1, 0, 0)
GTE_BOTH(gte_past_end, 200, 96)
GTE_BOTH(gte_far, 200, 0xfffffff8)
GTE_BOTH(gte_in_header, 200, 3)
GTE_BOTH(gte_in_table, 200, 24)
GTE_BOTH(gte_odd, 200, 44)
GTE_BOTH(gte_shared_same_table, 3, 40)
GTE_BOTH(gte_behind, 515, 88)
GTE_BOTH(gte_behind_zero, 639, 1)
GTE(copies_differ, 1, 300, 88)
GTE(redundant_garbage, 1, 300, 0xdeadbeef)
GTE(primary_garbage, 0, 300, 0xdeadbeef)
GTE(redundant_lone_shared, 1, 200, 40)
GTE(primary_absent, 0, 300, 0)
GTE(redundant_absent, 1, 300, 0)
GTE(primary_zero, 0, 300, 1)
GTE(redundant_zero, 1, 300, 1)
GTE(zero_against_absent, 0, 5, 0)
GTE(absent_against_zero, 1, 5, 0)

/* The later of the two is named. */
static uint64_t gte_shared(struct mk_image *m)
{
	mk_entry(m, 200, 88);
	return mk_gte(m, 0, 512);
}

static uint64_t gte_zero_undeclared(struct mk_image *m)
{
	mk_header(m, MK_FLAGS, 3);
	return mk_gte(m, 0, 5);
}

static uint64_t last_grain_cut(struct mk_image *m)
{
	mk_resize(m, m->size - 1);
	return mk_gte(m, 0, 512);
}

/* Table 1 moves onto the place of grain 300. */
static uint64_t grain_on_table(struct mk_image *m)
{
	uint64_t entry = mk_get(m, mk_gte(m, 0, 300), 4);

	memmove(m->bytes + entry * MK_SECTOR,
		m->bytes + mk_get(m, mk_gde(m, 0, 1), 4) * MK_SECTOR, MK_SECTOR);
	mk_put(m, mk_gde(m, 0, 1), 4, entry);
	return mk_gte(m, 0, 300);
}

static uint64_t table_partly_shared(struct mk_image *m)
{
	struct mk_options opt = damaged_options;

	opt.gtes = 256;
	mk_free(m);
	mk_create(m, &opt);
	return set_gde(m, 0, 1, (uint32_t)mk_get(m, mk_gde(m, 0, 0), 4) + 1);
}

static uint64_t no_primary_bad_redundant(struct mk_image *m)
{
	set_gde(m, 0, 2, 0);
	return set_gde(m, 1, 2, 96);
}

static uint64_t inner_leak(struct mk_image *m)
{
	uint64_t entry = mk_get(m, mk_gte(m, 0, 127), 4);

	mk_entry(m, 127, 0);
	mk_entry(m, 128, 0);
	return entry * MK_SECTOR;
}

static uint64_t tail(struct mk_image *m)
{
	uint64_t end = m->size;

	mk_resize(m, m->size + 3 * 4096 + 1);
	return end;
}

static uint64_t unclean(struct mk_image *m)
{
	mk_header(m, MK_UNCLEAN, 1);
	return MK_UNCLEAN;
}

static uint64_t unclean_all_ones(struct mk_image *m)
{
	mk_header(m, MK_UNCLEAN, 0xff);
	return MK_UNCLEAN;
}

static uint64_t bad_magic(struct mk_image *m)
{
	mk_header(m, MK_MAGIC, 1);
	return MK_MAGIC;
}

static uint64_t bad_capacity(struct mk_image *m)
{
	mk_header(m, MK_CAPACITY, 1ULL << 31);
	return MK_GD_OFFSET;
}

static uint64_t short_file(struct mk_image *m)
{
	mk_resize(m, 511);
	return 0;
}

static uint64_t empty_file(struct mk_image *m)
{
	mk_resize(m, 0);
	return 0;
}

struct damage {
	const char *class;
	damage_fn damage;
	enum vmdk_severity severity;	/* of the first finding */
	const char *structure, *text, *found, *expected;
	unsigned int count;		/* findings of that severity; 0: any */
};

#define C	VMDK_CHECK_CORRUPT
#define B	VMDK_CHECK_BENIGN
#define L	VMDK_CHECK_LEAK
#define N	VMDK_CHECK_NOTE

static const struct damage damages[] = {
	{ "H1", empty_file, C, "header", "0 bytes", "0", "512", 1 },
	{ "H1", short_file, C, "header", "511 bytes", "511", "512", 1 },
	{ "H2", bad_magic, C, "header", "magic", "0x1", "0x564d444b", 1 },
	{ "H8", bad_capacity, C, "header", "past the end", "0x1b", "", 1 },
	{ "H13", unclean, N, "header", "unclean", "1", "0", 1 },
	{ "H13", unclean_all_ones, N, "header", "unclean", "255", "0", 1 },
	{ "T1", gde_past_end, C, "grain directory", "past the end", "96", "96", 1 },
	{ "T1", gde_huge, C, "redundant directory", "past the end",
	  "4294967295", "96", 1 },
	{ "T1", gde_in_descriptor, C, "grain directory", "descriptor", "1", "", 1 },
	{ "T2", gde_shared, C, "grain directory", "entry 0 of the grain directory",
	  "28", "of its own", 1 },
	{ "T2", gde_shared_across, C, "redundant directory",
	  "entry 3 of the grain directory", "31", "of its own", 1 },
	{ "T2", table_partly_shared, C, "grain directory", "overlaps", "", "", 1 },
	{ "T3", gde_on_directory, C, "grain directory", "grain directory", "27",
	  "", 1 },
	{ "T3", gde_on_redundant, C, "redundant directory",
	  "redundant directory", "21", "", 1 },
	{ "T4", gte_past_end, C, "grain table 1", "past the end", "96", "96", 2 },
	{ "T4", last_grain_cut, C, "grain table 4", "past the end", "88", "", 2 },
	{ "T5", gte_in_header, C, "grain table 1", "metadata", "3", "40", 2 },
	{ "T5", gte_in_table, C, "grain table 1", "metadata", "24", "40", 2 },
	{ "T5", grain_on_table, C, "grain table 2", "table lies", "80", "", 2 },
	{ "T6", gte_odd, C, "grain table 1", "aligned", "44", "multiple of 8", 2 },
	{ "T7", gte_shared, C, "grain table 4", "earlier", "88", "own", 1 },
	{ "T7", gte_shared_same_table, C, "grain table 0", "earlier", "40", "own",
	  1 },
	{ "T7", redundant_lone_shared, C, "redundant grain table 1", "earlier",
	  "40", "own", 1 },
	{ "T8", gte_zero_undeclared, C, "grain table 0", "declare", "1", "", 2 },
	{ "T9", copies_differ, C, "redundant grain table 2", "80 in the primary",
	  "88", "80", 2 },
	{ "T9", redundant_garbage, C, "redundant grain table 2", "grain 300",
	  "3735928559", "", 1 },
	{ "T9", primary_garbage, C, "grain table 2", "grain 300", "3735928559",
	  "", 1 },
	{ "T9", no_primary_bad_redundant, C, "redundant directory",
	  "past the end", "96", "", 1 },
	{ "T9", primary_absent, B, "grain table 2", "80 in the redundant", "0",
	  "80", 1 },
	{ "T9", redundant_absent, B, "redundant grain table 2",
	  "80 in the primary", "0", "80", 1 },
	{ "T9", primary_zero, B, "grain table 2", "is 1, but 80", "1", "80", 1 },
	{ "T9", redundant_zero, B, "redundant grain table 2", "is 1, but 80",
	  "1", "80", 1 },
	{ "T9", zero_against_absent, B, "grain table 0", "is 0, but 1", "0", "1",
	  1 },
	{ "T9", absent_against_zero, B, "redundant grain table 0", "is 0, but 1",
	  "0", "1", 1 },
	{ "T9", no_primary_table, B, "grain directory", "no table", "0",
	  "redundant", 1 },
	{ "T9", no_redundant_table, B, "redundant directory", "no table", "0",
	  "primary", 1 },
	{ "T10", gte_far, C, "grain table 1", "past the end", "4294967288", "",
	  2 },
	{ "T11", gte_behind, C, "grain table 4", "end of the disk", "88", "0", 2 },
	{ "T11", gte_behind_zero, C, "grain table 4", "end of the disk", "1", "0",
	  2 },
	{ "T11", gde_padding, C, "grain directory", "end of the disk", "28", "0",
	  1 },
	{ "T11", gde_padding_redundant, C, "redundant directory",
	  "end of the disk", "7", "0", 1 },
	{ "leak", inner_leak, L, "grain data", "2 grains (8192 bytes)",
	  "2 grains", "", 1 },
	{ "tail", tail, N, "file", "12289 bytes", "61441 bytes", "49152 bytes",
	  1 },
};

static uint64_t count_of(const struct vmdk_check_result *r,
			 enum vmdk_severity severity)
{
	switch (severity) {
	case VMDK_CHECK_NOTE:
		return r->notes;
	case VMDK_CHECK_LEAK:
		return r->leaks;
	case VMDK_CHECK_BENIGN:
		return r->benign;
	default:
		return r->corrupt;
	}
}

/* The first finding of that severity is the one; worse there is none. */
static bool as_expected(const struct damage *d, const struct seen *s,
			uint64_t offset)
{
	int worse;
	size_t i;

	for (worse = d->severity + 1; worse <= VMDK_CHECK_CORRUPT; worse++)
		if (count_of(&s->result, worse))
			return false;
	if (d->count && count_of(&s->result, d->severity) != d->count)
		return false;
	for (i = 0; i < s->n; i++)
		if (s->finding[i].severity == d->severity)
			return s->finding[i].offset == offset &&
			       !strcmp(s->structure[i], d->structure) &&
			       strstr(s->finding[i].text, d->text) &&
			       strstr(s->finding[i].found, d->found) &&
			       strstr(s->finding[i].expected, d->expected);
	return false;
}

static void test_damage(void **state)
{
	unsigned int failed = 0;
	size_t i;

	for (i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		struct mk_image m;
		struct seen s;
		uint64_t offset;

		make_damaged_base(&m);
		offset = damages[i].damage(&m);
		assert_int_equal(check_image(&m, &s), 0);
		if (!as_expected(&damages[i], &s, offset)) {
			print_message("%s, row %zu, byte %llu:\n",
				      damages[i].class, i,
				      (unsigned long long)offset);
			print_seen(&s);
			failed++;
		}
		mk_free(&m);
	}
	assert_int_equal(failed, 0);
	(void)state;
}

static void test_base(void **state)
{
	struct mk_image m;

	make_damaged_base(&m);
	assert_nothing(&m, 7, 1);
	mk_free(&m);
	(void)state;
}

/* H14: at no length that cuts something off is the file found sound. */
static void test_truncated(void **state)
{
	struct mk_image m;
	size_t size;

	make_damaged_base(&m);
	for (size = m.size; size; size -= size % 512 > 1 ? size % 512 - 1 : 1) {
		struct seen s;

		mk_resize(&m, size);
		assert_int_equal(check_image(&m, &s), 0);
		if (size == 96 * MK_SECTOR)
			assert_int_equal(s.result.corrupt, 0);
		else
			assert_int_not_equal(s.result.corrupt, 0);
	}
	mk_free(&m);
	(void)state;
}

/* A hole is free space, as a punched discard leaves it; data is a leak. */
static void test_punched(void **state)
{
	struct mk_image m;
	struct seen s;
	int fd;

	mk_create(&m, &(struct mk_options){ .grain = 128 });
	mk_append(&m, 1);
	mk_append(&m, 2);
	mk_map(&m, 0, 3);
	fd = mk_memfd(&m);
	assert_int_equal(check_fd(fd, &s), 0);
	assert_int_equal(s.result.grains_leaked, 2);
	assert_int_equal(s.result.leaked_bytes, 2 * 65536);
	assert_int_equal(s.result.leaks, 1);
	if (!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 65536,
		       65536)) {
		assert_int_equal(check_fd(fd, &s), 0);
		assert_int_equal(s.result.grains_leaked, 1);
		assert_int_equal(s.result.grains_free, 1);
		assert_int_equal(s.finding[0].offset, 2 * 65536);
	}
	close(fd);
	mk_free(&m);
	(void)state;
}

/* All are counted, but no more are reported than were asked for. */
/* An entry behind the last one: damage, or what an interrupted resize has left. */
static void test_surplus(void **state)
{
	const struct mk_options opt = { .capacity = 65536 };
	struct mk_image m;
	struct seen s;

	mk_create(&m, &opt);
	assert_int_equal(m.gd_entries, 1);
	mk_put(&m, mk_gde(&m, 0, 0) + 4, 4, m.overhead);
	assert_int_equal(check_image(&m, &s), 0);
	assert_int_equal(s.result.corrupt, 1);
	assert_string_equal(s.structure[0], "grain directory");
	mk_header(&m, MK_UNCLEAN, 1);
	assert_int_equal(check_image(&m, &s), 0);
	assert_int_equal(s.result.corrupt, 0);
	assert_int_equal(s.result.notes, 2);
	mk_free(&m);
	(void)state;
}

static void test_limit(void **state)
{
	struct vmdk_check_result result;
	struct mk_image m;
	struct seen s = { 0 };
	uint64_t grain;
	int fd;

	make_damaged_base(&m);
	for (grain = 0; grain < 128; grain++)
		mk_entry(&m, grain, 96);
	fd = mk_memfd(&m);
	assert_int_equal(vmdk_check_sparse(fd, 3, remember, &s, &result), 0);
	assert_int_equal(result.corrupt, 256);
	assert_int_equal(result.leaks, 1);
	assert_int_equal(s.n, 4);
	assert_int_equal(vmdk_check_sparse(fd, 9, NULL, NULL, &result), 0);
	assert_int_equal(result.corrupt, 256);
	close(fd);
	mk_free(&m);
	(void)state;
}

static void test_cannot_run(void **state)
{
	struct vmdk_check_result result;
	struct mk_image m;
	struct seen s;
	int fds[2];

	make_damaged_base(&m);
	mk_header(&m, MK_FLAGS, 0x30003);
	mk_header(&m, MK_COMPRESS, 1);
	assert_int_equal(check_image(&m, &s), -EOPNOTSUPP);
	mk_free(&m);
	assert_int_equal(vmdk_check_sparse(-1, 1, NULL, NULL, &result), -EBADF);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(vmdk_check_sparse(fds[0], 1, NULL, NULL, &result),
			 -ENODEV);
	close(fds[0]);
	close(fds[1]);
	(void)state;
}

/* ---- making copies alike ---- */

static void assert_alike(int fd, uint64_t allocated, uint64_t zeroed)
{
	uint64_t changed;
	struct seen s;

	assert_int_equal(check_fd(fd, &s), 0);
	print_seen(&s);
	assert_int_equal(s.result.benign + s.result.corrupt, 0);
	assert_int_equal(s.result.grains_allocated, allocated);
	assert_int_equal(s.result.grains_zeroed, zeroed);
	assert_int_equal(vmdk_even_out(fd, &changed), 0);
	assert_int_equal(changed, 0);
}

static void test_even_entries(void **state)
{
	static const damage_fn mixes[] = {
		primary_absent, redundant_absent, primary_zero, redundant_zero,
		zero_against_absent, absent_against_zero,
	};
	uint64_t changed;
	struct mk_image m;
	size_t i;
	int fd;

	for (i = 0; i < sizeof(mixes) / sizeof(mixes[0]); i++) {
		make_damaged_base(&m);
		mixes[i](&m);
		fd = mk_memfd(&m);
		assert_int_equal(vmdk_even_out(fd, &changed), 0);
		assert_int_equal(changed, 1);
		assert_alike(fd, 7, 1);
		close(fd);
		mk_free(&m);
	}
	(void)state;
}

/* All at once, in both directions, and a table that each directory lacks. */
static void make_uneven(struct mk_image *m)
{
	make_damaged_base(m);
	primary_absent(m);
	set_gte(m, 1, 0, 0);
	set_gte(m, 1, 127, 1);
	set_gde(m, 0, 1, 0);
	set_gde(m, 1, 4, 0);
}

static void test_even_all(void **state)
{
	uint8_t sector[MK_SECTOR];
	uint64_t changed;
	struct mk_image m;
	struct seen s;
	int fd;

	make_uneven(&m);
	fd = mk_memfd(&m);
	assert_int_equal(check_fd(fd, &s), 0);
	assert_int_equal(s.result.benign, 5);
	assert_int_equal(s.result.corrupt, 0);
	assert_int_equal(vmdk_even_out(fd, &changed), 0);
	assert_int_equal(changed, 5);
	assert_alike(fd, 7, 1);
	/* The grain behind the new table is where a writer appends the next. */
	assert_int_equal(lseek(fd, 0, SEEK_END) % 4096, 0);
	assert_int_equal(pread(fd, sector, sizeof(sector), 0), sizeof(sector));
	assert_memory_equal(sector, m.bytes, sizeof(sector));
	close(fd);
	mk_free(&m);
	(void)state;
}

/*
 * Cut after each write in turn: what is there is never corrupt, maps the same
 * grains, and is evened out by the next try.
 */
static void test_even_cut(void **state)
{
	long cut = -1;
	int ret;

	do {
		uint64_t changed;
		struct mk_image m;
		struct seen s;
		int fd;

		make_uneven(&m);
		fd = mk_memfd(&m);
		writes_left = ++cut;
		ret = vmdk_even_out(fd, &changed);
		writes_left = -1;
		assert_true(!ret || ret == -EIO);
		assert_int_equal(check_fd(fd, &s), 0);
		assert_int_equal(s.result.corrupt, 0);
		assert_int_equal(s.result.grains_allocated, 7);
		assert_int_equal(vmdk_even_out(fd, &changed), 0);
		assert_int_equal(check_fd(fd, &s), 0);
		assert_int_equal(s.result.corrupt + s.result.benign, 0);
		assert_int_equal(s.result.grains_allocated, 7);
		close(fd);
		mk_free(&m);
	} while (ret);
	/* Two tables, two directory entries, two sectors of entries. */
	assert_int_equal(cut, 6);
	(void)state;
}

/* Anything corrupt: nothing is written. */
static void test_even_refuses(void **state)
{
	size_t i;

	for (i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		uint64_t changed;
		struct mk_image m;
		uint8_t *after;
		int fd;

		if (damages[i].severity != VMDK_CHECK_CORRUPT)
			continue;
		make_damaged_base(&m);
		mk_entry_copy(&m, 1, 0, 0);
		damages[i].damage(&m);
		fd = mk_memfd(&m);
		assert_int_equal(vmdk_even_out(fd, &changed), -EUCLEAN);
		assert_int_equal(changed, 0);
		after = malloc(m.size + 1);
		assert_non_null(after);
		assert_int_equal(pread(fd, after, m.size + 1, 0), m.size);
		assert_memory_equal(after, m.bytes, m.size);
		free(after);
		close(fd);
		mk_free(&m);
	}
	(void)state;
}

static void test_even_one_copy(void **state)
{
	struct mk_options opt = damaged_options;
	uint64_t changed = 7;
	struct mk_image m;
	int fd;

	opt.one_copy = true;
	mk_create(&m, &opt);
	mk_map(&m, 3, 1);
	fd = mk_memfd(&m);
	assert_int_equal(vmdk_even_out(fd, &changed), 0);
	assert_int_equal(changed, 0);
	close(fd);
	mk_free(&m);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sound),
		cmocka_unit_test(test_base),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_punched),
		cmocka_unit_test(test_surplus),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_cannot_run),
		cmocka_unit_test(test_even_entries),
		cmocka_unit_test(test_even_all),
		cmocka_unit_test(test_even_cut),
		cmocka_unit_test(test_even_refuses),
		cmocka_unit_test(test_even_one_copy),
	};

	return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
