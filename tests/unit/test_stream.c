// SPDX-License-Identifier: GPL-2.0
/*
 * Compressed extents: headers, footers, table entries and markers, in the
 * shapes of all writers and damaged.  C numbers are the classes of malformed
 * streams that a reader has to survive.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <zlib.h>

#include "mkstream.h"
#include "vmdk_format.h"

#define EINVAL_	(-22)

/* As an attach does it: the header, and the footer if that is where it points. */
static int open_stream(const uint8_t *bytes, size_t size,
		       struct vmdk_geometry *geo, struct vmdk_fault *fault)
{
	struct vmdk_sparse_header header;
	size_t sectors = size / 512;
	size_t first = sectors > 127 ? sectors - 127 : 0;
	int ret;

	memset(fault, 0, sizeof(*fault));
	if (size < sizeof(header))
		return EINVAL_;
	memcpy(&header, bytes, sizeof(header));
	ret = vmdk_header_decode(&header, size, geo, fault);
	if (ret || geo->gd != VMDK_GD_AT_END)
		return ret;
	assert_true(size - first * 512 <= VMDK_TAIL_BYTES_MAX);
	return vmdk_footer_decode(&header, bytes + first * 512,
				  size - first * 512, first * 512, size, geo,
				  fault);
}

static int open_image(const struct mks_image *m, struct vmdk_geometry *geo,
		      struct vmdk_fault *fault)
{
	return open_stream(m->image.bytes, m->image.size, geo, fault);
}

/* The largest sums, all lengths about a block and a run of blocks, and chance. */
static void test_check_sum(void **state)
{
	static uint8_t bytes[3 * 65536 + 7];
	size_t size, i;

	(void)state;
	memset(bytes, 0xff, sizeof(bytes));
	for (size = 0; size < 12000; size++)
		assert_int_equal(vmdk_adler32(bytes, size),
				 adler32(1, bytes, size));
	assert_int_equal(vmdk_adler32(bytes, sizeof(bytes)),
			 adler32(1, bytes, sizeof(bytes)));
	srand(1);
	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = rand();
	for (size = 0; size < 1000; size++)
		assert_int_equal(vmdk_adler32(bytes + size % 8, size),
				 adler32(1, bytes + size % 8, size));
	assert_int_equal(vmdk_adler32(bytes, sizeof(bytes)),
			 adler32(1, bytes, sizeof(bytes)));
}

static uint32_t get32(const uint8_t *bytes, size_t size, uint64_t at)
{
	uint32_t v;

	assert_true(at + 4 <= size);
	memcpy(&v, bytes + at, 4);
	return le32_to_cpu(v);
}

/* The entry of a grain, by the rules under test; fails when one is broken. */
static uint32_t entry_of(const uint8_t *bytes, size_t size,
			 const struct vmdk_geometry *geo, uint64_t grain)
{
	uint64_t sectors = (size + 511) / 512;
	uint32_t gde = get32(bytes, size, geo->gd * 512 +
			     (grain >> geo->gt_shift) * 4);
	uint32_t gte;

	assert_null(vmdk_gde_fault(geo, gde, size / 512));
	if (!gde)
		return 0;
	gte = get32(bytes, size, gde * 512ULL +
		    (grain & (geo->gt_entries - 1)) * 4);
	assert_null(vmdk_stream_gte_fault(geo, grain, gte, sectors));
	return gte;
}

static int check_marker(const uint8_t *bytes, size_t size,
			const struct vmdk_geometry *geo, uint64_t grain,
			uint64_t pos, uint32_t *offset, uint32_t *length,
			struct vmdk_fault *fault)
{
	uint8_t first[16] = { 0 };

	memset(fault, 0, sizeof(*fault));
	memcpy(first, bytes + pos, size - pos < 16 ? size - pos : 16);
	return vmdk_grain_marker_check(first, geo, grain, pos, size, offset,
				       length, fault);
}

/* zlib's verdict; @left: bytes behind the stream. */
static int inflate_to(const uint8_t *in, size_t size, uint8_t *out, size_t room,
		      size_t *written, size_t *left)
{
	z_stream z = { 0 };
	int ret;

	assert_int_equal(inflateInit(&z), Z_OK);
	z.next_in = (uint8_t *)in;
	z.avail_in = (unsigned int)size;
	z.next_out = out;
	z.avail_out = (unsigned int)room;
	ret = inflate(&z, Z_FINISH);
	*written = z.total_out;
	*left = z.avail_in;
	inflateEnd(&z);
	return ret;
}

/* A grain's bytes into @out: a whole grain, zeros where nothing lies. */
static void read_grain(const uint8_t *bytes, size_t size,
		       const struct vmdk_geometry *geo, uint64_t grain,
		       uint8_t *out)
{
	size_t whole = (size_t)geo->grain_sectors * 512;
	uint32_t gte = entry_of(bytes, size, geo, grain);
	struct vmdk_fault fault;
	uint32_t offset, length;
	size_t written, left;

	memset(out, 0, whole);
	if (gte < 2)
		return;
	if (check_marker(bytes, size, geo, grain, gte * 512ULL, &offset,
			 &length, &fault))
		fail_msg("grain %llu: %s", (unsigned long long)grain, fault.text);
	assert_int_equal(inflate_to(bytes + gte * 512ULL + offset, length, out,
				    whole, &written, &left), Z_STREAM_END);
	assert_int_equal(left, 0);
	assert_true(written >= vmdk_grain_valid(geo, grain) * 512ULL);
}

/* What a test's grain holds: text, noise that does not compress, or both. */
static void fill(uint8_t *data, size_t size, uint64_t seed)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15ULL + 1;
	size_t i;

	for (i = 0; i < size; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		data[i] = seed % 3 == 0 ? (uint8_t)(seed + i / 512) :
			  seed % 3 == 1 || i % 4096 < 512 ? (uint8_t)(x >> 32) :
			  'x';
	}
}

static bool is_absent(uint64_t grain)
{
	return grain % 7 == 3;
}

/* Grains in the order that @reverse says, some left out. */
static void fill_image(struct mks_image *m, bool reverse)
{
	size_t whole = m->opt.grain * 512;
	uint8_t *data = malloc(whole);
	uint64_t i;

	for (i = 0; i < m->grains; i++) {
		uint64_t grain = reverse ? m->grains - 1 - i : i;

		fill(data, whole, grain);
		if (!is_absent(grain))
			mks_grain(m, grain, data);
	}
	mks_finish(m);
	free(data);
}

static void make(struct mks_image *m, const struct mks_options *opt)
{
	mks_create(m, opt);
	fill_image(m, false);
}

static void compare_image(const struct mks_image *m,
			  const struct vmdk_geometry *geo)
{
	size_t whole = m->opt.grain * 512;
	uint8_t *expected = malloc(whole);
	uint8_t *found = malloc(whole);
	uint64_t grain;

	for (grain = 0; grain < m->grains; grain++) {
		if (is_absent(grain))
			memset(expected, 0, whole);
		else
			fill(expected, whole, grain);
		read_grain(m->image.bytes, m->image.size, geo, grain, found);
		assert_memory_equal(found, expected,
				    vmdk_grain_valid(geo, grain) * 512ULL);
	}
	free(expected);
	free(found);
}

static const struct mks_options shapes[] = {
	{ 0 },
	{ .flags = MKS_RGD },
	{ .flags = MKS_PROGRESS | MKS_SHORT_LAST, .capacity = 1300 },
	{ .flags = MKS_STORED, .capacity = 1300 },
	{ .flags = MKS_NO_MARKERS },
	{ .flags = MKS_NO_MARKERS | MKS_RGD, .place = MKS_FRONT },
	{ .place = MKS_FRONT, .flags = MKS_RGD, .version = 1 },
	{ .place = MKS_BEHIND, .version = 2 },
	{ .place = MKS_BEHIND, .flags = MKS_RGD | MKS_STORED },
	{ .flags = MKS_CUT },
	{ .flags = MKS_CUT, .pad = 1 },
	{ .flags = MKS_CUT, .pad = 511 },
	{ .pad = 1 },
	{ .pad = 511 },
	{ .pad = 512 },
	{ .pad = 60000 },
	{ .place = MKS_FRONT, .pad = 300 },
	{ .place = MKS_BEHIND, .flags = MKS_CUT, .pad = 300 },
	{ .capacity = 1 },
	{ .capacity = 2049, .grain = 8, .gtes = 128 },
	{ .capacity = 4103, .grain = 8, .flags = MKS_SHORT_LAST, .desc_sectors = 1 },
	{ .capacity = 20000, .grain = 4096, .desc_sectors = 20 },
};

static void check_geometry(const struct mks_image *m,
			   const struct vmdk_geometry *geo)
{
	assert_int_equal(geo->capacity, m->opt.capacity);
	assert_int_equal(geo->grain_sectors, m->opt.grain);
	assert_int_equal(geo->gt_entries, m->opt.gtes);
	assert_int_equal(geo->gd_entries, m->image.gd_entries);
	assert_int_equal(geo->version, m->opt.version);
	assert_int_equal(geo->gd, m->image.gd[0]);
	assert_int_equal(geo->rgd, m->opt.flags & MKS_RGD ? m->image.gd[1] : 0);
	assert_int_equal(geo->desc, 1);
	assert_int_equal(geo->desc_sectors, m->opt.desc_sectors);
	assert_int_equal(geo->overhead, m->image.overhead);
	assert_int_equal(geo->header_sectors, 1);
	assert_int_equal(!(geo->flags & VMDK_FLAG_MARKERS),
			 !!(m->opt.flags & MKS_NO_MARKERS));
}

static void test_shapes(void **state)
{
	size_t i;
	int reverse;

	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		for (reverse = 0; reverse < 2; reverse++) {
			struct vmdk_geometry geo;
			struct vmdk_fault fault;
			struct mks_image m;

			mks_create(&m, &shapes[i]);
			fill_image(&m, reverse);
			if (open_image(&m, &geo, &fault))
				fail_msg("shape %zu: %s", i, fault.text);
			check_geometry(&m, &geo);
			compare_image(&m, &geo);
			mks_free(&m);
		}
	}
	(void)state;
}

/* The footer has to be in the last 64 KiB: more padding hides it. */
static void test_padding(void **state)
{
	const struct mks_options opt = { .pad = 65536 };
	struct vmdk_geometry geo;
	struct vmdk_fault fault;
	struct mks_image m;

	make(&m, &opt);
	assert_int_equal(open_image(&m, &geo, &fault), EINVAL_);
	assert_non_null(strstr(fault.text, "hold no footer"));
	assert_int_equal(fault.offset, MK_GD_OFFSET);
	mks_free(&m);
	(void)state;
}

/* H14: a stream is read when its footer is there, whole, and never else. */
static void test_truncated(void **state)
{
	const struct mks_options opt = { .capacity = 256 };
	struct vmdk_geometry geo;
	struct vmdk_fault fault;
	struct mks_image m;
	size_t size, step;

	make(&m, &opt);
	for (size = 0; size <= m.image.size; size += step) {
		int ret = open_stream(m.image.bytes, size, &geo, &fault);

		assert_int_equal(ret, size < m.footer + 512 ? EINVAL_ : 0);
		step = size + 3000 > m.image.size || size < 1500 ? 1 : 511;
	}
	assert_int_equal(size - 1, m.image.size);
	mks_free(&m);
	(void)state;
}

enum where { HEADER, MARKER, FOOTER, END };

struct damage {
	const char *class;
	enum where where;
	uint32_t field;
	unsigned int width;
	uint64_t value;
	const char *text;	/* in the fault; NULL: accepted */
	bool elsewhere;		/* the fault is at another place */
};

/* The image: two grains with a footer and two directories. */
static const struct damage damages[] = {
	{ "C5", MARKER, 0, 8, 0, "marker is value 0", false },
	{ "C5", MARKER, 0, 8, UINT64_MAX, "marker is value 18446744073709551615", false },
	{ "C5", MARKER, 8, 4, 1, "size 1", false },
	{ "C5", MARKER, 8, 4, UINT32_MAX, "size 4294967295", false },
	{ "C5", MARKER, 12, 4, 0, "type 0, expected", false },
	{ "C5", MARKER, 12, 4, 2, "type 2, expected", false },
	{ "C5", MARKER, 12, 4, 4, "type 4, expected", false },
	{ "C5", MARKER, 12, 4, UINT32_MAX, "type 4294967295", false },
	{ "C5", MARKER, 16, 8, UINT64_MAX, NULL, false },
	{ "C5", FOOTER, MK_MAGIC, 4, 0, "footer: magic", false },
	{ "C5", FOOTER, MK_MAGIC, 4, 0x766d646b, "footer: magic", false },
	{ "C5", FOOTER, MK_VERSION, 4, 1, "footer: version is 1, in the header it is 3", false },
	{ "C5", FOOTER, MK_FLAGS, 4, 3, "footer: flags", false },
	{ "C5", FOOTER, MK_FLAGS, 4, 0x10003, "footer: flags", false },
	{ "C5", FOOTER, MK_FLAGS, 4, 0x30001, NULL, false },
	{ "C5", FOOTER, MK_CAPACITY, 8, 2049, "footer: capacity", false },
	{ "C5", FOOTER, MK_CAPACITY, 8, 1ULL << 60, "footer: capacity", false },
	{ "C5", FOOTER, MK_GRAIN, 8, 64, "footer: grain size", false },
	{ "C5", FOOTER, MK_DESC_OFFSET, 8, 2, "footer: descriptor offset", false },
	{ "C5", FOOTER, MK_DESC_SIZE, 8, 20, "footer: descriptor size", false },
	{ "C5", FOOTER, MK_GTES, 4, 128, "footer: number of entries", false },
	{ "C5", FOOTER, MK_GD_OFFSET, 8, UINT64_MAX, "this is already", false },
	{ "C5", FOOTER, MK_GD_OFFSET, 8, 0, "inside the header", false },
	{ "C5", FOOTER, MK_GD_OFFSET, 8, 1, "overlaps the descriptor", false },
	{ "C5", FOOTER, MK_GD_OFFSET, 8, 1ULL << 55, "footer: grain directory", false },
	{ "C5", FOOTER, MK_GD_OFFSET, 8, UINT64_MAX - 1, "past the end", false },
	{ "C5", FOOTER, MK_RGD_OFFSET, 8, 0, "footer: redundant directory", false },
	{ "C5", FOOTER, MK_RGD_OFFSET, 8, UINT64_MAX, "past the end", false },
	{ "C5", FOOTER, MK_OVERHEAD, 8, 0, "metadata ends at 3", false },
	{ "C5", FOOTER, MK_OVERHEAD, 8, 2, "metadata ends at 3", false },
	{ "C5", FOOTER, MK_OVERHEAD, 8, 3, NULL, false },
	{ "C5", FOOTER, MK_OVERHEAD, 8, 1ULL << 40, "the file has only", false },
	{ "C5", FOOTER, MK_NEWLINE, 4, 0, "text mode", false },
	{ "C5", FOOTER, MK_COMPRESS, 2, 0, "footer: compression algorithm", false },
	{ "C5", END, 0, 8, 1, "expected the end of the stream", false },
	{ "C5", END, 8, 4, 1, "expected the end of the stream", false },
	{ "C5", END, 12, 4, 3, "type 3, expected the end", false },
	{ "C5", END, 16, 8, UINT64_MAX, NULL, false },
	{ "C5", HEADER, MK_CAPACITY, 8, 2047, "footer: capacity", true },
	{ "C5", HEADER, MK_VERSION, 4, 1, "footer: version", true },
	{ "H12", HEADER, MK_FLAGS, 4, 0x30001, NULL, false },
	{ "H12", HEADER, MK_FLAGS, 4, 0x20003, "compression algorithm is 1", true },
	{ "H12", HEADER, MK_FLAGS, 4, 0x3, "compression algorithm is 1", true },
	{ "H12", HEADER, MK_COMPRESS, 2, 2, "compression algorithm is 2", false },
	{ "H4", HEADER, MK_FLAGS, 4, 0x70003, "unknown incompatible", false },
	{ "H9", HEADER, MK_GD_OFFSET, 8, 0, "inside the header", false },
	{ "H9", HEADER, MK_GD_OFFSET, 8, 1ULL << 55, "past the end", false },
	{ "H10", HEADER, MK_OVERHEAD, 8, 0, NULL, false },
	{ "H11", HEADER, MK_DESC_SIZE, 8, 1ULL << 40, "at most", false },
};

static uint64_t place_of(const struct mks_image *m, enum where where)
{
	switch (where) {
	case MARKER:
		return m->footer - 512;
	case FOOTER:
		return m->footer;
	case END:
		return m->footer + 512;
	default:
		return 0;
	}
}

static void test_damage(void **state)
{
	const struct mks_options opt = { .flags = MKS_RGD, .capacity = 256 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(damages); i++) {
		const struct damage *d = &damages[i];
		struct vmdk_geometry geo;
		struct vmdk_fault fault;
		struct mks_image m;
		uint64_t at;
		int ret;

		make(&m, &opt);
		at = place_of(&m, d->where);
		mk_put(&m.image, at + d->field, d->width, d->value);
		ret = open_image(&m, &geo, &fault);
		if (ret != (d->text ? EINVAL_ : 0) ||
		    (d->text && !strstr(fault.text, d->text)))
			fail_msg("%s, damage %zu: %d, %s", d->class, i, ret,
				 fault.text);
		/* A marker is named as a whole. */
		if (d->where == MARKER || d->where == END)
			at -= d->field;
		if (d->text && !d->elsewhere)
			assert_int_equal(fault.offset, at + d->field);
		assert_in_range(strlen(fault.text), 0, sizeof(fault.text) - 2);
		mks_free(&m);
	}
	(void)state;
}

/* C5: neither half of a footer is there, or another stream's follows. */
static void test_footers(void **state)
{
	const struct mks_options opt = { 0 };
	const struct mks_options other = { .capacity = 4096 };
	struct vmdk_geometry geo;
	struct vmdk_fault fault;
	struct mks_image m, n;
	size_t size;

	make(&m, &opt);
	memset(m.image.bytes + m.footer - 512, 0, 1024);
	assert_int_equal(open_image(&m, &geo, &fault), EINVAL_);
	assert_non_null(strstr(fault.text, "hold no footer"));
	mks_free(&m);

	make(&m, &opt);
	make(&n, &other);
	size = m.image.size;
	mk_resize(&m.image, size + 1536);
	memcpy(m.image.bytes + size, n.image.bytes + n.footer - 512, 1536);
	assert_int_equal(open_image(&m, &geo, &fault), EINVAL_);
	assert_non_null(strstr(fault.text, "footer: capacity is 4096"));
	assert_int_equal(fault.offset, size + 512 + MK_CAPACITY);
	mks_free(&m);
	mks_free(&n);
	(void)state;
}

/*
 * A directory in the header may lie anywhere but across overHead, where grains
 * begin: the image's copies are at 3 and 1029, their tables behind each, and
 * overHead is 2176.
 */
static void test_directories(void **state)
{
	static const struct damage cases[] = {
		{ "H9", HEADER, MK_GD_OFFSET, 8, 1152, NULL, false },
		{ "H9", HEADER, MK_GD_OFFSET, 8, 1153, NULL, false },
		{ "H9", HEADER, MK_RGD_OFFSET, 8, 1200, NULL, false },
		{ "H9", HEADER, MK_GD_OFFSET, 8, 2, "overlaps the descriptor", false },
		{ "H9", HEADER, MK_RGD_OFFSET, 8, 0, "inside the header", false },
		{ "H10", HEADER, MK_OVERHEAD, 8, 0, "metadata ends at 3", false },
		{ "H10", HEADER, MK_OVERHEAD, 8, 4, "metadata ends at 5", false },
		{ "H10", HEADER, MK_OVERHEAD, 8, 3, NULL, false },
		{ "H10", HEADER, MK_OVERHEAD, 8, 1030, "metadata ends at 1031", false },
		{ "H10", HEADER, MK_OVERHEAD, 8, 1031, NULL, false },
		{ "H10", HEADER, MK_OVERHEAD, 8, 1ULL << 50, "the file has only", false },
	};
	const struct mks_options opt = {
		.place = MKS_FRONT, .flags = MKS_RGD, .capacity = 1ULL << 24,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vmdk_geometry geo;
		struct vmdk_fault fault;
		struct mks_image m;
		const char *text;
		int ret;

		mks_create(&m, &opt);
		mks_finish(&m);
		mk_resize(&m.image, m.image.size + 100 * 512);
		assert_int_equal(m.image.gd[1], 3);
		assert_int_equal(m.image.gd[0], 1029);
		assert_int_equal(m.image.overhead, 2176);
		assert_int_equal(m.image.gd_sectors, 2);
		mk_header(&m.image, (enum mk_field)cases[i].field, cases[i].value);
		if (cases[i].field != MK_OVERHEAD && cases[i].value >= 1152)
			mk_header(&m.image, MK_OVERHEAD, 1152);
		ret = open_image(&m, &geo, &fault);
		text = cases[i].text;
		if (ret != (text ? EINVAL_ : 0) ||
		    (text && !strstr(fault.text, text)))
			fail_msg("%s, case %zu: %d, %s", cases[i].class, i, ret,
				 fault.text);
		mks_free(&m);
	}
	(void)state;
}

/* The directory is behind 16 grains of some text, at geo.gd; overHead is 128. */
static void test_gte(void **state)
{
	const struct mks_options opt = { .flags = MKS_RGD, .capacity = 1300 };
	struct vmdk_geometry geo;
	struct vmdk_fault fault;
	struct mks_image m;
	uint32_t sectors;

	make(&m, &opt);
	assert_int_equal(open_image(&m, &geo, &fault), 0);
	sectors = (uint32_t)(m.image.size / 512);
	assert_null(vmdk_stream_gte_fault(&geo, 0, 0, sectors));
	assert_null(vmdk_stream_gte_fault(&geo, 11, 0, sectors));
	assert_null(vmdk_stream_gte_fault(&geo, 0, 128, sectors));
	assert_null(vmdk_stream_gte_fault(&geo, 10, 129, sectors));
	assert_null(vmdk_stream_gte_fault(&geo, 0, sectors - 1, sectors));
	assert_string_equal(vmdk_stream_gte_fault(&geo, 0, 1, sectors),
			    "says zeros, which the header does not declare");
	assert_string_equal(vmdk_stream_gte_fault(&geo, 0, 127, sectors),
			    "points into the metadata");
	assert_string_equal(vmdk_stream_gte_fault(&geo, 0, sectors, sectors),
			    "points past the end of the file");
	assert_string_equal(vmdk_stream_gte_fault(&geo, 0, UINT32_MAX, sectors),
			    "points past the end of the file");
	assert_string_equal(vmdk_stream_gte_fault(&geo, 0, (u32)geo.gd, sectors),
			    "points into the grain directory");
	assert_string_equal(vmdk_stream_gte_fault(&geo, 0, (u32)geo.rgd, sectors),
			    "points into the redundant directory");
	assert_string_equal(vmdk_stream_gte_fault(&geo, 11, 128, sectors),
			    "maps a grain behind the end of the disk");
	geo.flags |= VMDK_FLAG_ZEROED;
	assert_null(vmdk_stream_gte_fault(&geo, 0, 1, sectors));
	mks_free(&m);
	(void)state;
}

struct marker_case {
	const char *class;
	uint64_t lba;
	uint32_t size;
	uint64_t file_bytes;
	const char *text;	/* NULL: valid */
	uint32_t field;		/* that is named */
};

/* Grain 3 of 128 sectors, at byte 65536: its sector is 384. */
static void test_markers(void **state)
{
	static const struct marker_case cases[] = {
		{ "C1", 384, 1, 1 << 20, NULL, 0 },
		{ "C1", 385, 1, 1 << 20, "for sector 385, expected 384", 0 },
		{ "C1", 0, 100, 1 << 20, "for sector 0", 0 },
		{ "C1", 256, 100, 1 << 20, "for sector 256", 0 },
		{ "C1", 384 | 1ULL << 63, 100, 1 << 20, "expected 384", 0 },
		{ "C1", UINT64_MAX, 100, 1 << 20, "expected 384", 0 },
		{ "C2", 384, 131072, 1 << 20, NULL, 0 },
		{ "C2", 384, 131073, 1 << 20, "expected 1 to 131072", 8 },
		{ "C2", 384, UINT32_MAX, 1 << 20, "4294967295 compressed", 8 },
		{ "C2", 384, 1000, 65536 + 1012, NULL, 0 },
		{ "C2", 384, 1000, 65536 + 1011, "past the end", 8 },
		{ "C2", 384, 1000, 65536, "past the end", 8 },
		{ "C2", 384, 1000, 65535, "past the end", 8 },
		{ "C2", 384, 1000, 0, "past the end", 8 },
		{ "C6", 1, 0, 1 << 20, "a marker of type 0 and value 1", 0 },
		{ "C6", 384, 0, 1 << 20, "a marker of type 0 and value 384", 0 },
	};
	const struct mks_options opt = { 0 };
	struct vmdk_geometry geo;
	struct vmdk_fault fault;
	struct mks_image m;
	size_t i;

	make(&m, &opt);
	assert_int_equal(open_image(&m, &geo, &fault), 0);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct marker_case *c = &cases[i];
		struct vmdk_marker marker = {
			.val = cpu_to_le64(c->lba), .size = cpu_to_le32(c->size),
		};
		uint32_t offset = 0, length = 0;
		int ret = vmdk_grain_marker_check(&marker, &geo, 3, 65536,
						  c->file_bytes, &offset,
						  &length, &fault);

		if (ret != (c->text ? EINVAL_ : 0) ||
		    (c->text && !strstr(fault.text, c->text)))
			fail_msg("%s, case %zu: %d, %s", c->class, i, ret,
				 fault.text);
		if (c->text)
			assert_int_equal(fault.offset, 65536 + c->field);
		assert_int_equal(offset, c->text ? 0 : 12);
		assert_int_equal(length, c->text ? 0 : c->size);
	}
	mks_free(&m);
	(void)state;
}

/* Without markers: a length, then what begins as zlib data does. */
static void test_prefix(void **state)
{
	static const struct {
		uint8_t bytes[6];
		const char *text;
	} cases[] = {
		{ { 100, 0, 0, 0, 0x78, 0x9c }, NULL },
		{ { 100, 0, 0, 0, 0x78, 0x01 }, NULL },
		{ { 0, 0, 2, 0, 0x78, 0xda }, NULL },
		{ { 1, 0, 2, 0, 0x78, 0xda }, "131073 compressed bytes" },
		{ { 0, 0, 0, 0, 0x78, 0x9c }, "0 compressed bytes" },
		{ { 0x78, 0x9c, 0xed, 0xc1, 0x01, 0x0d }, "01 0d in place of" },
		{ { 100, 0, 0, 0, 0x78, 0x9d }, "78 9d in place of" },
		{ { 100, 0, 0, 0, 0, 0 }, "00 00 in place of" },
	};
	const struct mks_options opt = { .flags = MKS_NO_MARKERS };
	struct vmdk_geometry geo;
	struct vmdk_fault fault;
	struct mks_image m;
	size_t i;

	make(&m, &opt);
	assert_int_equal(open_image(&m, &geo, &fault), 0);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t bytes[16] = { 0 };
		uint32_t offset = 0, length = 0;
		const char *text = cases[i].text;
		int ret;

		memcpy(bytes, cases[i].bytes, 6);
		ret = vmdk_grain_marker_check(bytes, &geo, 3, 65536, 1 << 20,
					      &offset, &length, &fault);
		if (ret != (text ? EINVAL_ : 0) ||
		    (text && !strstr(fault.text, text)))
			fail_msg("case %zu: %d, %s", i, ret, fault.text);
		if (!text)
			assert_int_equal(offset, 4);
	}
	mks_free(&m);
	(void)state;
}

/* What a check of the marker and zlib say of each way to damage a grain. */
struct verdict {
	const char *text;	/* in the marker's fault; NULL: it is fine */
	int zlib;
	int beyond;		/* bytes beyond a grain; of output */
	size_t left;		/* bytes behind the stream */
};

static const struct verdict verdicts[MKS_NR_DAMAGES] = {
	[MKS_SOUND] = { NULL, Z_STREAM_END, 0, 0 },
	[MKS_WRONG_LBA] = { "for sector 129", 0, 0, 0 },
	[MKS_SIZE_ZERO] = { "expected", 0, 0, 0 },
	[MKS_SIZE_MOST] = { "4294967295 compressed", 0, 0, 0 },
	[MKS_SIZE_PAST_END] = { "past the end", 0, 0, 0 },
	[MKS_SHORT] = { NULL, Z_STREAM_END, -512, 0 },
	[MKS_LONG] = { NULL, Z_STREAM_END, 1, 0 },
	[MKS_BOMB] = { NULL, Z_STREAM_END, 255 * 65536, 0 },
	[MKS_BAD_HEADER] = { NULL, Z_DATA_ERROR, 0, 0 },
	[MKS_DICTIONARY] = { NULL, Z_NEED_DICT, 0, 0 },
	[MKS_BAD_SUM] = { NULL, Z_DATA_ERROR, 0, 0 },
	[MKS_RAW_DEFLATE] = { NULL, Z_DATA_ERROR, 0, 0 },
	[MKS_JUNK] = { NULL, Z_STREAM_END, 0, 17 },
	[MKS_BAD_BITS] = { NULL, Z_DATA_ERROR, 0, 0 },
};

static void check_verdict(const struct mks_image *m,
			  const struct vmdk_geometry *geo,
			  enum mks_damage damage)
{
	const struct verdict *v = &verdicts[damage];
	static uint8_t out[257 * 65536];
	struct vmdk_fault fault;
	uint32_t offset, length;
	size_t written, left;
	uint64_t at = mks_at(m, 1);
	int ret = check_marker(m->image.bytes, m->footer, geo, 1, at, &offset,
			       &length, &fault);

	if (ret != (v->text ? EINVAL_ : 0) ||
	    (v->text && !strstr(fault.text, v->text)))
		fail_msg("%s: %d, %s", mks_damage_names[damage], ret, fault.text);
	if (v->text)
		return;
	assert_int_equal(inflate_to(m->image.bytes + at + offset, length, out,
				    sizeof(out), &written, &left), v->zlib);
	if (v->zlib != Z_STREAM_END)
		return;
	assert_int_equal(written, 65536 + v->beyond);
	assert_int_equal(left, v->left);
}

/* C1 to C4, with and without markers: what they do is confined to their grain. */
static void test_damaged_grains(void **state)
{
	static uint8_t data[65536];
	unsigned int damage, flags;

	for (damage = 0; damage < MKS_NR_DAMAGES; damage++) {
		for (flags = 0; flags <= MKS_NO_MARKERS; flags++) {
			const struct mks_options opt = { .flags = flags };
			struct vmdk_geometry geo;
			struct vmdk_fault fault;
			struct mks_image m;

			if (flags && (damage == MKS_WRONG_LBA ||
				      damage == MKS_BAD_HEADER ||
				      damage == MKS_RAW_DEFLATE))
				continue;
			mks_create(&m, &opt);
			fill(data, sizeof(data), 2);
			mks_grain(&m, 0, data);
			mks_damaged_grain(&m, 1, data, damage);
			mks_finish(&m);
			assert_int_equal(open_image(&m, &geo, &fault), 0);
			if (damage != MKS_SIZE_PAST_END)
				check_verdict(&m, &geo, damage);
			read_grain(m.image.bytes, m.image.size, &geo, 0, data);
			mks_free(&m);
		}
	}
	(void)state;
}

/* C2, C7: an entry that is another grain's shows, as does one of a marker. */
static void test_wrong_entries(void **state)
{
	const struct mks_options opt = { .flags = MKS_PROGRESS };
	struct vmdk_geometry geo;
	struct vmdk_fault fault;
	uint32_t offset, length;
	struct mks_image m;
	const uint8_t *b;

	make(&m, &opt);
	b = m.image.bytes;
	assert_int_equal(open_image(&m, &geo, &fault), 0);
	assert_int_equal(check_marker(b, m.image.size, &geo, 4, mks_at(&m, 5),
				      &offset, &length, &fault), EINVAL_);
	assert_non_null(strstr(fault.text, "for sector 640, expected 512"));
	assert_int_equal(check_marker(b, m.image.size, &geo, 4, m.gd_marker,
				      &offset, &length, &fault), EINVAL_);
	assert_non_null(strstr(fault.text, "a marker of type 2 and value 1"));
	assert_int_equal(check_marker(b, m.image.size, &geo, 4,
				      mks_at(&m, 4) + 512, &offset, &length,
				      &fault), EINVAL_);
	assert_int_equal(check_marker(b, mks_at(&m, 4) + 13, &geo, 4,
				      mks_at(&m, 4), &offset, &length, &fault),
			 EINVAL_);
	assert_non_null(strstr(fault.text, "past the end of the file"));
	mks_free(&m);
	(void)state;
}

static uint8_t *load(const char *path, size_t *size)
{
	FILE *f = fopen(path, "rb");
	uint8_t *bytes;
	long end;

	assert_non_null(f);
	assert_int_equal(fseek(f, 0, SEEK_END), 0);
	end = ftell(f);
	assert_true(end > 0);
	rewind(f);
	*size = (size_t)end;
	bytes = malloc(*size);
	assert_int_equal(fread(bytes, 1, *size, f), *size);
	fclose(f);
	return bytes;
}

/*
 * Every grain of a real file is read, and compared with the raw disk if there
 * is one; returns how many are there.
 */
static unsigned int walk(const char *path, const char *raw_path)
{
	uint8_t *raw = NULL;
	size_t raw_size = 0;
	struct vmdk_geometry geo;
	struct vmdk_fault fault;
	unsigned int found = 0;
	uint64_t grain;
	uint8_t *bytes, *out;
	size_t size;

	bytes = load(path, &size);
	if (open_stream(bytes, size, &geo, &fault))
		fail_msg("%s: %s", path, fault.text);
	assert_true(geo.flags & VMDK_FLAG_COMPRESSED);
	if (raw_path)
		raw = load(raw_path, &raw_size);
	assert_true(!raw || raw_size == geo.capacity * 512);
	out = malloc((size_t)geo.grain_sectors * 512);
	for (grain = 0; grain < vmdk_grains(&geo); grain++) {
		read_grain(bytes, size, &geo, grain, out);
		found += entry_of(bytes, size, &geo, grain) > 1;
		if (raw)
			assert_memory_equal(out, raw + (grain * 512 << geo.grain_shift),
					    vmdk_grain_valid(&geo, grain) * 512ULL);
	}
	free(out);
	free(raw);
	free(bytes);
	return found;
}

static void expect_refusal(const char *path)
{
	struct vmdk_geometry geo;
	struct vmdk_fault fault;
	size_t size;
	uint8_t *bytes = load(path, &size);

	assert_int_equal(open_stream(bytes, size, &geo, &fault), EINVAL_);
	assert_true(fault.text[0]);
	free(bytes);
}

/* Paths in $VMDK_SAMPLES, and grains in the file; -1: refused. */
static void test_samples(void **state)
{
	static const struct {
		const char *path;
		int grains;
		const char *raw;
	} samples[] = {
		{ "converter/streamOptimizedWithMarkers.vmdk", 16, NULL },
		{ "esxi-export/blank.vmdk", 0, NULL },
		{ "version3/iotest-version3.vmdk", 0, NULL },
		{ "virtualbox/test.vmdk", 0, NULL },
		{ "vmdktool/input.vmdk", 0, NULL },
		{ "vmware-10m/streamOptimized.vmdk", 52,
		  "vmware-10m/monolithicFlat-flat.vmdk" },
		{ "refuse/afl9.vmdk", -1, NULL },
		{ "refuse/vmdk-invalid.img", -1, NULL },
	};
	const char *root = getenv("VMDK_SAMPLES");
	char path[4096], raw[4096];
	size_t i;

	if (!root) {
		print_message("$VMDK_SAMPLES is not set\n");
		skip();
	}
	for (i = 0; i < ARRAY_SIZE(samples); i++) {
		snprintf(path, sizeof(path), "%s/%s", root, samples[i].path);
		snprintf(raw, sizeof(raw), "%s/%s", root,
			 samples[i].raw ? samples[i].raw : "");
		if (samples[i].grains < 0)
			expect_refusal(path);
		else
			assert_int_equal(walk(path, samples[i].raw ? raw : NULL),
					 samples[i].grains);
	}
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_padding),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_footers),
		cmocka_unit_test(test_directories),
		cmocka_unit_test(test_gte),
		cmocka_unit_test(test_markers),
		cmocka_unit_test(test_prefix),
		cmocka_unit_test(test_damaged_grains),
		cmocka_unit_test(test_wrong_entries),
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_check_sum),
	};

	return cmocka_run_group_tests_name("streams", tests, NULL, NULL);
}
