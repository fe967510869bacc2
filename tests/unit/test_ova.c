// SPDX-License-Identifier: GPL-2.0
/*
 * Disks in an OVA: which there are, where they lie, and what is refused of
 * archives and OVF descriptors that are damaged or hostile.
 */
#define _GNU_SOURCE	/* asprintf */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "ova.h"
#include "scaffold.h"

#define BLOCK	512

/* Byte offsets of a ustar header's fields. */
enum { NAME = 0, SIZE = 124, SUM = 148, KIND = 156, MAGIC = 257, PREFIX = 345 };

struct archive {
	uint8_t *bytes;
	size_t size;
};

static uint8_t *grow(struct archive *a, size_t size)
{
	a->bytes = realloc(a->bytes, a->size + size);
	assert_non_null(a->bytes);
	memset(a->bytes + a->size, 0, size);
	a->size += size;
	return a->bytes + a->size - size;
}

static void sum(uint8_t *header)
{
	unsigned int i, total = 0;

	memset(header + SUM, ' ', 8);
	for (i = 0; i < BLOCK; i++)
		total += header[i];
	snprintf((char *)header + SUM, 8, "%06o", total);
}

/* Appends a header; returns its place in the archive. */
static size_t add_header(struct archive *a, const char *name, char kind,
			 uint64_t size)
{
	uint8_t *h = grow(a, BLOCK);

	strncpy((char *)h + NAME, name, 99);
	snprintf((char *)h + SIZE, 12, "%011llo", (unsigned long long)size);
	h[KIND] = kind;
	memcpy(h + MAGIC, "ustar", 5);
	memcpy(h + MAGIC + 6, "00", 2);
	sum(h);
	return a->size - BLOCK;
}

static size_t add_kind(struct archive *a, const char *name, char kind,
		       const void *data, size_t size)
{
	size_t at = add_header(a, name, kind, size);

	memcpy(grow(a, (size + BLOCK - 1) / BLOCK * BLOCK), data, size);
	return at;
}

static size_t add(struct archive *a, const char *name, const void *data,
		  size_t size)
{
	return add_kind(a, name, '0', data, size);
}

static size_t add_text(struct archive *a, const char *name, const char *text)
{
	return add(a, name, text, strlen(text));
}

/* A sparse disk of that many sectors. */
static size_t add_disk(struct archive *a, const char *name, uint64_t sectors)
{
	struct mk_image m;
	char text[128];
	size_t at;

	snprintf(text, sizeof(text), HEAD "RW %llu SPARSE \"old name\"\n",
		 (unsigned long long)sectors);
	make_sparse(&m, &(struct mk_options){ .capacity = sectors }, text);
	at = add(a, name, m.bytes, m.size);
	mk_free(&m);
	return at;
}

static void finish(struct archive *a, const char *file)
{
	grow(a, 2 * BLOCK);
	put(file, a->bytes, a->size);
	free(a->bytes);
	memset(a, 0, sizeof(*a));
}

#define FILE_TAG(id, href)	"<File ovf:id='" id "' ovf:href='" href "'/>"
#define DISK_TAG(id, ref)	"<Disk ovf:diskId='" id "' ovf:fileRef='" ref "'/>"
#define OVF(files, disks)						\
	"<?xml version='1.0'?>\n<Envelope xmlns='http://schemas.dmtf.org/"	\
	"ovf/envelope/1' xmlns:ovf='http://schemas.dmtf.org/ovf/envelope/1'>"	\
	"<References>" files "</References><DiskSection>" disks		\
	"</DiskSection></Envelope>"
#define ONE	OVF(FILE_TAG("f1", "a.vmdk"), DISK_TAG("d1", "f1"))

static const struct vmdk_open_options *choose(const char *disk)
{
	static struct vmdk_open_options opt;

	opt = reading;
	opt.disk = disk;
	return &opt;
}

static void refuse_ovf_bytes(const char *text, size_t size, const char *words)
{
	struct archive a = { 0 };

	add(&a, "x.ovf", text, size);
	add_disk(&a, "a.vmdk", 2048);
	finish(&a, "x.ova");
	refuse("x.ova", &reading, -EINVAL, words);
}

static void refuse_ovf(const char *text, const char *words)
{
	refuse_ovf_bytes(text, strlen(text), words);
}

/* ------------------------------------------------------------ sound ones */

static void test_one_disk(void **state)
{
	struct archive a = { 0 };
	struct vmdk_image *img, *other;
	size_t at;

	(void)state;
	add_text(&a, "x.ovf", ONE);
	at = add_disk(&a, "a.vmdk", 2048);
	finish(&a, "x.ova");
	/* wanted for writing or not: a member is only read, also by several */
	img = accept("x.ova", &writing);
	other = accept("x.ova", &writing);
	assert_string_equal(img->path, "x.ova");
	assert_string_equal(img->member, "a.vmdk");
	assert_string_equal(img->extents[0].path, "x.ova:a.vmdk");
	assert_non_null(strstr(img->read_only, "archive"));
	assert_int_equal(img->extents[0].access, VMDK_ACCESS_RDONLY);
	assert_int_equal(img->extents[0].kind, VMDK_KIND_SPARSE);
	assert_int_equal(img->extents[0].offset, at + BLOCK);
	assert_int_equal(img->extents[0].length, img->extents[0].file_bytes);
	assert_int_equal(img->desc_offset, at + 2 * BLOCK);
	assert_int_equal(img->sectors, 2048);
	vmdk_image_close(other);
	vmdk_image_close(img);
	refuse("x.ova", choose("a"), -EINVAL, "there is no disk \"a\"; there is 1 (a.vmdk)");
}

static void test_several_disks(void **state)
{
	static const char * const names[] = { "2", "b c.vmdk", "d2" };
	struct archive a = { 0 };
	struct vmdk_image *img;
	size_t i;

	(void)state;
	add_text(&a, "x.ovf",
		 OVF(FILE_TAG("f3", "c.vmdk") FILE_TAG("f1", "a.vmdk")
		     FILE_TAG("f2", "b%20c.vmdk") FILE_TAG("iso", "i.iso"),
		     DISK_TAG("d1", "f1") "<Disk ovf:diskId='empty'/>"
		     DISK_TAG("d2", "f2") DISK_TAG("d3", "f3")));
	add_disk(&a, "a.vmdk", 2048);
	add_disk(&a, "./b c.vmdk", 4096);
	add_disk(&a, "c.vmdk", 8192);
	finish(&a, "x.ova");
	refuse("x.ova", &reading, -EINVAL,
	       "x.ova: has 3 disks, choose one with --disk: 1 (a.vmdk), 2 (b c.vmdk), 3 (c.vmdk)\n");
	for (i = 0; i < NR_OF(names); i++) {
		img = accept("x.ova", choose(names[i]));
		assert_int_equal(img->sectors, 4096);
		vmdk_image_close(img);
	}
	refuse("x.ova", choose("0"), -EINVAL, "no disk \"0\"");
	refuse("x.ova", choose("4"), -EINVAL, "no disk \"4\"");
	refuse("x.ova", choose("99999999999999999999999"), -EINVAL, "no disk");
	refuse("x.ova", choose(""), -EINVAL, "no disk");
}

/* Names too long for a ustar header, sizes too large for its digits. */
static void test_extended_headers(void **state)
{
	static const char name[] = "disk with a name.vmdk";
	static const char *records = "30 path=disk with a name.vmdk\n"
				     "12 a=b=cdef\n";
	struct archive a = { 0 };
	struct vmdk_image *img;
	char ovf[1024];
	size_t at;
	int kind;

	(void)state;
	snprintf(ovf, sizeof(ovf), "%s", OVF(FILE_TAG("f", "disk with a name.vmdk"),
					     DISK_TAG("d", "f")));
	for (kind = 0; kind < 5; kind++) {
		add_text(&a, "x.ovf", ovf);
		if (kind == 0)
			add_kind(&a, "././@LongLink", 'L', name, sizeof(name));
		if (kind == 1 || kind == 4)
			add_kind(&a, "PaxHeaders/x", kind == 1 ? 'x' : 'X',
				 records, strlen(records));
		at = add_disk(&a, kind < 2 || kind == 4 ? "short" : name, 2048);
		if (kind == 2) {
			strcpy((char *)a.bytes + at + NAME, "name.vmdk");
			strcpy((char *)a.bytes + at + PREFIX, "disk with a");
			a.bytes[at + PREFIX + 11] = 0;
			sum(a.bytes + at);
		}
		if (kind == 3) {
			uint64_t size = strtoull((char *)a.bytes + at + SIZE,
						 NULL, 8);
			int i;

			memset(a.bytes + at + SIZE, 0, 12);
			a.bytes[at + SIZE] = 0x80;
			for (i = 0; i < 8; i++)
				a.bytes[at + SIZE + 11 - i] = size >> 8 * i;
			sum(a.bytes + at);
		}
		finish(&a, "x.ova");
		if (kind == 2) {
			refuse("x.ova", &reading, -EOPNOTSUPP, "no such member");
			continue;
		}
		img = accept("x.ova", &reading);
		assert_int_equal(img->extents[0].offset, at + BLOCK);
		assert_string_equal(img->member, name);
		vmdk_image_close(img);
	}
}

/* What tar itself writes. */
static void test_made_by_tar(void **state)
{
	static const char * const formats[] = { "ustar", "gnu", "pax", "posix" };
	struct vmdk_image *img;
	char *command;
	size_t i;

	(void)state;
	put_text("x.ovf", ONE);
	put_text("x.mf", "SHA256(x.ovf)= 00\n");
	put_sparse("a.vmdk", 2048, HEAD "RW 2048 SPARSE \"a\"\n");
	assert_int_equal(mkdir("folder", 0755), 0);
	for (i = 0; i < NR_OF(formats); i++) {
		assert_true(asprintf(&command,
				     "tar --format=%s -cf x.ova x.ovf x.mf folder a.vmdk",
				     formats[i]) > 0);
		assert_int_equal(system(command), 0);
		free(command);
		img = accept("x.ova", &reading);
		assert_int_equal(img->sectors, 2048);
		vmdk_image_close(img);
	}
}

/* ------------------------------------------------------------ members */

static void refuse_member(const char *file_tag, const char *name,
			  const void *data, size_t size, const char *words)
{
	struct archive a = { 0 };
	char ovf[1024];

	snprintf(ovf, sizeof(ovf), OVF("%s", DISK_TAG("d", "f")), file_tag);
	add_text(&a, "x.ovf", ovf);
	add(&a, name, data, size);
	finish(&a, "x.ova");
	refuse("x.ova", &reading, -EOPNOTSUPP, words);
}

static void test_unusable_members(void **state)
{
	(void)state;
	refuse_member(FILE_TAG("f", "a.vmdk.gz"), "a.vmdk.gz", "\x1f\x8b\x08", 3,
		      "x.ova:a.vmdk.gz: is compressed as a whole: extract it with tar, and unpack it with gunzip");
	refuse_member("<File ovf:id='f' ovf:href='a' ovf:compression='gzip'/>",
		      "a", "KDMV", 4, "x.ova:a: is compressed as a whole");
	refuse_member(FILE_TAG("f", "gone.vmdk"), "a", "", 0,
		      "x.ova:gone.vmdk: there is no such member");
	refuse_member(FILE_TAG("g", "a"), "a", "", 0, "no File of that id");
	refuse_member(FILE_TAG("f", "http://x/a.vmdk"), "a", "", 0,
		      "is not in the archive, but elsewhere");
	refuse_member(FILE_TAG("f", "../a"), "a", "", 0, "no such member");
	refuse_member(FILE_TAG("f", "a%00b"), "a", "", 0, "no such member");
	refuse_member(FILE_TAG("f", "a.vmdk"), "a.vmdk", HEAD "RW 8 ZERO\n",
		      strlen(HEAD) + 10, "is not a sparse disk with its desc");
}

static void test_other_disk_is_no_harm(void **state)
{
	struct archive a = { 0 };

	(void)state;
	add_text(&a, "x.ovf", OVF(FILE_TAG("f1", "gone") FILE_TAG("f2", "a.vmdk"),
				  DISK_TAG("d1", "f1") DISK_TAG("d2", "f2")
				  "<Disk ovf:diskId='d3' ovf:fileRef='f2' ovf:parentRef='d1'/>"));
	add_disk(&a, "a.vmdk", 2048);
	finish(&a, "x.ova");
	vmdk_image_close(accept("x.ova", choose("d2")));
	refuse("x.ova", choose("d1"), -EOPNOTSUPP, "no such member");
	refuse("x.ova", choose("d3"), -EOPNOTSUPP, "child of another disk");
	refuse("x.ova", choose("a.vmdk"), -EINVAL, "is the name of 2 disks");
}

/* The bytes of a disk of @sectors. */
static void make_disk(struct mk_image *m, uint64_t sectors)
{
	char text[128];

	snprintf(text, sizeof(text), HEAD "RW %llu SPARSE \"old name\"\n",
		 (unsigned long long)sectors);
	make_sparse(m, &(struct mk_options){ .capacity = sectors }, text);
}

#define CHUNKED(attributes)						\
	OVF("<File ovf:id='f1' ovf:href='a%%20b' " attributes "/>",	\
	    DISK_TAG("d1", "f1"))

/* "a b.000000000" and so on; the order of the members means nothing. */
static void add_chunks(struct archive *a, const struct mk_image *m,
		       size_t chunk, size_t first, size_t end)
{
	char name[32];
	size_t i;

	for (i = end; i-- > first;) {
		size_t from = i * chunk, left = m->size - from;

		snprintf(name, sizeof(name), "a b.%09zu", i);
		add(a, name, m->bytes + from, left < chunk ? left : chunk);
	}
}

static void put_chunked(const struct mk_image *m, const char *attributes,
			size_t chunk, size_t first, size_t end)
{
	struct archive a = { 0 };
	char ovf[1024];

	snprintf(ovf, sizeof(ovf), CHUNKED("%s"), attributes);
	add_text(&a, "x.ovf", ovf);
	add_chunks(&a, m, chunk, first, end);
	finish(&a, "x.ova");
}

static void test_lone_chunk(void **state)
{
	struct archive a = { 0 };
	struct vmdk_image *img;
	size_t at;

	(void)state;
	add_text(&a, "x.ovf",
		 OVF("<File ovf:id='f1' ovf:href='a.vmdk' ovf:chunkSize='9'/>",
		     DISK_TAG("d1", "f1")));
	at = add_disk(&a, "a.vmdk.000000000", 2048);
	/* names that are none of a chunk */
	add_text(&a, "a.vmdk.00000000", "no");
	add_text(&a, "a.vmdk.0000000001", "no");
	add_text(&a, "a.vmdk.00000000x", "no");
	add_text(&a, "a.vmdk-000000001", "no");
	finish(&a, "x.ova");
	img = accept("x.ova", &reading);
	assert_string_equal(img->member, "a.vmdk.000000000");
	assert_null(img->extents[0].windows);
	assert_int_equal(img->extents[0].offset, at + BLOCK);
	vmdk_image_close(img);
}

/* What is read through the chunks is what was cut. */
static void check_windows(const struct vmdk_image *img, const struct mk_image *m,
			  size_t nr)
{
	const struct vmdk_image_extent *ext = &img->extents[0];
	const struct vmdk_part part = {
		.fd = ext->fd, .windows = ext->windows, .base = ext->offset,
		.bytes = ext->file_bytes,
	};
	uint8_t *bytes = malloc(m->size + 1);
	size_t i;

	assert_non_null(bytes);
	assert_non_null(ext->windows);
	assert_int_equal(ext->windows->nr, nr);
	assert_int_equal(ext->windows->bytes, m->size);
	assert_int_equal(ext->length, m->size);
	assert_int_equal(ext->offset, 0);
	assert_int_equal(vmdk_part_read(&part, bytes, m->size, 0), 0);
	assert_memory_equal(bytes, m->bytes, m->size);
	for (i = 1; i < m->size; i = i * 2 + 1) {
		assert_int_equal(vmdk_part_read(&part, bytes, i, m->size - i),
				 0);
		assert_memory_equal(bytes, m->bytes + m->size - i, i);
	}
	assert_int_equal(vmdk_part_read(&part, bytes, 2, m->size - 1), -EIO);
	assert_int_equal(vmdk_part_read(&part, bytes, 1, UINT64_MAX), -EIO);
	free(bytes);
}

static void test_chunks(void **state)
{
	static const size_t sizes[] = { 512, 4096, 10240, 65535, 1000, 511 };
	struct vmdk_image *img;
	struct mk_image m;
	char attributes[96];
	size_t i, nr;

	(void)state;
	make_disk(&m, 2048);
	for (i = 0; i < NR_OF(sizes); i++) {
		nr = (m.size + sizes[i] - 1) / sizes[i];
		assert_true(nr > 1);
		snprintf(attributes, sizeof(attributes),
			 "ovf:chunkSize='%zu' ovf:size='%zu'", sizes[i], m.size);
		put_chunked(&m, attributes, sizes[i], 0, nr);
		img = accept("x.ova", &writing);
		assert_string_equal(img->member, "a b");
		assert_string_equal(img->extents[0].path, "x.ova:a b");
		assert_int_equal(img->extents[0].access, VMDK_ACCESS_RDONLY);
		assert_int_equal(img->member_bytes, m.size);
		assert_int_equal(img->sectors, 2048);
		check_windows(img, &m, nr);
		vmdk_image_close(img);
		vmdk_image_close(accept("x.ova", choose("a b")));
	}
	mk_free(&m);
}

static void test_missing_chunks(void **state)
{
	struct mk_image m;
	char size[64];
	size_t nr;

	(void)state;
	make_disk(&m, 2048);
	nr = (m.size + 4095) / 4096;
	assert_true(nr > 3);
	put_chunked(&m, "ovf:chunkSize='4096'", 4096, 1, nr);
	refuse("x.ova", &reading, -EOPNOTSUPP,
	       "x.ova:a b: chunk 0 of it is missing");
	put_chunked(&m, "ovf:chunkSize='4096'", 4096, 1, 2);
	refuse("x.ova", &reading, -EOPNOTSUPP, "chunk 0 of it is missing");
	snprintf(size, sizeof(size), "ovf:chunkSize='4096' ovf:size='%zu'",
		 m.size);
	put_chunked(&m, size, 4096, 0, nr - 1);
	refuse("x.ova", &reading, -EOPNOTSUPP, "its chunks have ");
	put_chunked(&m, size, 4096, 0, 1);
	refuse("x.ova", &reading, -EOPNOTSUPP,
	       "its chunks have 4096 bytes together, but the OVF descriptor says");
	put_chunked(&m, "", 4096, 0, nr);
	refuse("x.ova", &reading, -EOPNOTSUPP,
	       "is cut into chunks, but the OVF descriptor has no chunkSize");
	put_chunked(&m, "ovf:chunkSize='4097'", 4096, 0, nr);
	refuse("x.ova", &reading, -EOPNOTSUPP,
	       "chunk 0 of it has 4096 bytes, but the chunkSize of the OVF descriptor is 4097");
	mk_free(&m);
}

/* A chunk that is longer than chunkSize at the end, a gap, one of a high number. */
static void test_odd_chunks(void **state)
{
	static const struct {
		const char *name, *words;
		size_t size;
	} extra[] = {
		{ "a b.000000001", "chunk 1 of it has 4097 bytes", 4097 },
		{ "a b.000000002", "chunk 1 of it is missing", 1 },
		{ "a b.999999999", "chunk 1 of it is missing", 1 },
		{ "a b", "in one piece and in chunks as well", 4096 },
		{ "a%20b", "in one piece", 1 },
	};
	static const char zeros[8192];
	char ovf[1024];
	size_t i;

	(void)state;
	snprintf(ovf, sizeof(ovf), CHUNKED("%s"), "ovf:chunkSize='4096'");
	for (i = 0; i < NR_OF(extra); i++) {
		struct archive a = { 0 };

		add_text(&a, "x.ovf", ovf);
		add(&a, i < 4 ? "a b.000000000" : "a%20b.000000000", zeros, 4096);
		add(&a, extra[i].name, zeros, extra[i].size);
		finish(&a, "x.ova");
		refuse("x.ova", &reading, -EOPNOTSUPP, extra[i].words);
	}
}

/* ------------------------------------------------------------ archives */

static void damage_header(size_t field, const void *bytes, size_t size,
			  bool keep_sum, const char *words)
{
	struct archive a = { 0 };
	size_t at;

	add_text(&a, "x.ovf", ONE);
	at = add_disk(&a, "a.vmdk", 2048);
	memcpy(a.bytes + at + field, bytes, size);
	if (!keep_sum)
		sum(a.bytes + at);
	finish(&a, "x.ova");
	refuse("x.ova", &reading, -EINVAL, words);
}

static void test_bad_headers(void **state)
{
	(void)state;
	damage_header(NAME, "b", 1, true, "the check sum is wrong");
	damage_header(MAGIC, "u5tar", 5, false, "this is no header");
	damage_header(SIZE, "89", 2, false, "the size is not a number");
	damage_header(SIZE, "\xff\xff", 2, false, "the size is not a number");
	damage_header(SIZE, "\x80\1\1\1\1", 5, false, "the size is not a number");
	damage_header(SIZE, "77777777777", 11, false, "it is truncated");
	damage_header(SIZE, "\x80\0\0\0\x7f", 5, false, "it is truncated");
	damage_header(NAME, "../../etc/shadow", 17, false, "leads out of the archive");
	damage_header(NAME, "/etc/shadow", 12, false, "leads out of the archive");
	damage_header(NAME, "\0", 1, false, "has no name");
	damage_header(NAME, "./x.ovf", 8, false, "another member of the name \"x.ovf\"");
	damage_header(NAME, "b.OVF", 6, false, "has two OVF descriptors");
	damage_header(KIND, "2", 1, false, "that is not a file has data");
	damage_header(KIND, "x", 1, false, "x.ova: tar header at byte ");
}

static void put_extended(char kind, const char *records)
{
	struct archive a = { 0 };

	add_text(&a, "x.ovf", ONE);
	add_kind(&a, "h", kind, records, strlen(records));
	add_disk(&a, "a.vmdk", 2048);
	finish(&a, "x.ova");
}

static void refuse_extended(char kind, const char *records, int ret,
			    const char *words)
{
	put_extended(kind, records);
	refuse("x.ova", &reading, ret, words);
}

static void refuse_records(const char *records, int ret, const char *words)
{
	refuse_extended('x', records, ret, words);
}

static void repeat_record(void)
{
	char *records = malloc(65546);

	assert_non_null(records);
	memset(records, '\n', 65545);
	records[65545] = '\0';
	refuse_records(records, -EINVAL, "the extended header is too long");
	free(records);
}

static void test_bad_records(void **state)
{
	(void)state;
	refuse_records("0 path=a\n", -EINVAL, "wrong length");
	refuse_records("99 path=a\n", -EINVAL, "wrong length");
	refuse_records("18446744073709551625 path=a\n", -EINVAL, "wrong length");
	refuse_records("path=a\n", -EINVAL, "wrong length");
	refuse_records("16  path=b.vmdk\n", -EINVAL, "begins with a blank");
	refuse_records("16 \tpath=b.vmdk\n", -EINVAL, "begins with a blank");
	refuse_records("8 patha\n", -EINVAL, "has no '='");
	refuse_records("8 path=\n", -EINVAL, "long name in it is not valid");
	refuse_records("9 size=x\n", -EINVAL, "is not a number");
	refuse_records("28 size=9999999999999999999\n", -EINVAL, "not a number");
	refuse_records("18 size=999999999\n", -EINVAL, "it is truncated");
	repeat_record();
	refuse_records("22 GNU.sparse.major=1\n", -EOPNOTSUPP, "sparse file");
}

/* Two that differ: programs take the first one, the last one, or one of a kind. */
static void test_two_extended_headers(void **state)
{
	static const char path[] = "15 path=b.vmdk\n", other[] = "15 path=c.vmdk\n";
	static const char size[] = "14 size=66560\n";
	static const struct {
		char kinds[3];
		const char *first, *second, *words;
	} bad[] = {
		{ "xx", path, other, "has two names" },
		{ "xL", path, "a.vmdk", "has two names" },
		{ "Lx", "a.vmdk", path, "has two names" },
		{ "LL", "a.vmdk", "b.vmdk", "has two names" },
		{ "XX", path, other, "has two names" },
		{ "xx", size, size, "has two sizes" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < NR_OF(bad); i++) {
		struct archive a = { 0 };

		add_text(&a, "x.ovf", ONE);
		add_kind(&a, "h", bad[i].kinds[0], bad[i].first,
			 strlen(bad[i].first));
		add_kind(&a, "h", bad[i].kinds[1], bad[i].second,
			 strlen(bad[i].second));
		add_disk(&a, "a.vmdk", 2048);
		finish(&a, "x.ova");
		refuse("x.ova", &reading, -EINVAL, bad[i].words);
	}
}

/* Records for all members behind them; by no reader but some are they heeded. */
/* As some programs write it for those that know one of the two. */
static void test_name_twice(void **state)
{
	static const char path[] = "15 path=a.vmdk\n";
	struct archive a = { 0 };

	(void)state;
	add_text(&a, "x.ovf", ONE);
	add_kind(&a, "h", 'L', "a.vmdk", 6);
	add_kind(&a, "h", 'x', path, strlen(path));
	add_disk(&a, "short", 2048);
	finish(&a, "x.ova");
	vmdk_image_close(accept("x.ova", &reading));
}

static void test_global_records(void **state)
{
	static const struct {
		const char *records, *words;
	} bad[] = {
		{ "15 path=b.vmdk\n", "for all members, it has \"path\"" },
		{ "12 size=512\n", "for all members, it has \"size\"" },
		{ "14 linkpath=b\n", "for all members, it has \"linkpath\"" },
		{ "22 GNU.sparse.major=1\n",
		  "for all members, it has \"GNU.sparse.major\"" },
		{ "12 comment=\n9 size=1\n", "it has \"size\"" },
		{ "99 comment=a\n", "wrong length" },
	};
	static const char good[] = "13 comment=a\n"
				   "30 mtime=1700000000.123456789\n"
				   "11 paths=b\n10 pat=ab\n";
	size_t i;

	(void)state;
	for (i = 0; i < NR_OF(bad); i++)
		refuse_extended('g', bad[i].records, -EINVAL, bad[i].words);
	put_extended('g', good);
	vmdk_image_close(accept("x.ova", &reading));
}

/* At no length that cuts something off does it come to harm. */
static void test_truncated(void **state)
{
	struct archive a = { 0 };
	struct vmdk_image *img;
	size_t size, whole;

	(void)state;
	add_text(&a, "x.ovf", ONE);
	add_disk(&a, "a.vmdk", 2048);
	whole = a.size;
	for (size = BLOCK; size < whole; size += size % 3 ? 1021 : 509) {
		put("x.ova", a.bytes, size);
		assert_int_not_equal(try_image("x.ova", &reading, &img), 0);
		assert_memory_equal(message, "vmdkctl: x.ova", 14);
	}
	put("x.ova", a.bytes, whole);
	vmdk_image_close(accept("x.ova", &reading));
	free(a.bytes);
}

static void test_no_appliance(void **state)
{
	struct archive a = { 0 };

	(void)state;
	add_disk(&a, "a.vmdk", 2048);
	finish(&a, "x.ova");
	refuse("x.ova", &reading, -EINVAL, "a tar archive without an OVF");
	put_sparse("a.vmdk", 2048, HEAD "RW 2048 SPARSE \"a\"\n");
	refuse("a.vmdk", choose("1"), -ENOENT, "a.vmdk: is not an OVA");
	/* what macOS adds is no second descriptor */
	add_text(&a, "._x.ovf", "junk");
	add_text(&a, "x.ovf", ONE);
	add_disk(&a, "a.vmdk", 2048);
	finish(&a, "x.ova");
	vmdk_image_close(accept("x.ova", &reading));
}

/* ----------------------------------------------------------- descriptors */

/* With as many lines again it would grow to GBs, were entities replaced. */
#define LAUGHS								\
	"<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaaaaaaaaaaaa'>"		\
	"<!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>"			\
	"<!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;'>]>"			\
	"<e><File href='&c;&c;&c;&c;&c;&c;'/></e>"

static void test_hostile_xml(void **state)
{
	(void)state;
	refuse_ovf("", "x.ova:x.ovf: OVF descriptor at line ");
	refuse_ovf("junk", "it is not well-formed XML");
	refuse_ovf("<Envelope>", "it is not well-formed XML");
	refuse_ovf("<Envelope/>", "lists no disk with a file");
	refuse_ovf("<!DOCTYPE x SYSTEM 'file:///etc/passwd'><Envelope/>",
		   "it has a document type");
	refuse_ovf(LAUGHS, "it has a document type");
	refuse_ovf("<!DOCTYPE x [<!ENTITY % a SYSTEM '/etc/passwd'> %a;]><x/>",
		   "it has a document type");
	refuse_ovf("\xef\xbb\xbf<?xml version='1.0'?> <!-- <x> --><?y?>\n"
		   "<!DOCTYPE x><x/>", "it has a document type");
	refuse_ovf("<!-- <!DOCTYPE x> --><e/>", "lists no disk");
	refuse_ovf("<Envelope><File id='f'/></Envelope>", "a File has no href");
	refuse_ovf("<e xmlns:x='y'><File href='a' id='b' x:id='c'/></e>",
		   "an attribute is given twice");
	refuse_ovf("<e><File href='a' chunkSize='-1'/></e>", "chunkSize is not");
	refuse_ovf("\xff\xfe<\0e\0", "it is not well-formed XML");
}

/* Nor in any way in which an XML may be written: they are for others to read. */
static void test_encodings(void **state)
{
	static const char * const starts[] = {
		"\0\0\0<", "<\0\0\0", "\0\0<\0", "\0<\0\0",
		"<\0?\0", "\0<\0?", "\xff\xfe\0\0", "L\xa7\x94\x93",
		"\xfe\xff\0<", "\xff\xfe<",
	};
	char text[64] = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < NR_OF(starts); i++) {
		memcpy(text, starts[i], 4);
		refuse_ovf_bytes(text, sizeof(text), "it is not well-formed XML");
	}
}

static void repeat(const char *head, const char *middle, const char *tail,
		   size_t times, const char *words)
{
	size_t len = strlen(middle), size = strlen(head), i;
	char *text = malloc(size + times * len + strlen(tail) + 1);

	assert_non_null(text);
	memcpy(text, head, size);
	for (i = 0; i < times; i++, size += len)
		memcpy(text + size, middle, len);
	strcpy(text + size, tail);
	refuse_ovf(text, words);
	free(text);
}

static void test_large_xml(void **state)
{
	(void)state;
	repeat("<e>", "<File href='a'/>", "</e>", 1025, "too many files");
	repeat("", "<e>", "", 100000, "it is not well-formed XML");
	repeat("<e>", "                ", "</e>", 1 << 20, "more than 16 MiB");
}

/* Each may be copied for as many disks as there are. */
static void test_long_attributes(void **state)
{
	static const char words[] = "at line 1: an attribute has more than 4095 bytes";
	static const char * const tags[] = {
		"<e><File href='", "<e><File href='a' id='",
		"<e><File href='a' compression='", "<e><Disk diskId='",
		"<e><Disk fileRef='", "<e><Disk parentRef='",
	};
	size_t i;

	(void)state;
	for (i = 0; i < NR_OF(tags); i++)
		repeat(tags[i], "a", "'/></e>", 4096, words);
	repeat(tags[0], "a", "'/></e>", 4095, "lists no disk with a file");
	repeat("<e><File href='a' other='", "a", "'/></e>", 1 << 20,
	       "lists no disk with a file");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_one_disk),
		TEST(test_several_disks),
		TEST(test_extended_headers),
		TEST(test_made_by_tar),
		TEST(test_unusable_members),
		TEST(test_other_disk_is_no_harm),
		TEST(test_lone_chunk),
		TEST(test_chunks),
		TEST(test_missing_chunks),
		TEST(test_odd_chunks),
		TEST(test_bad_headers),
		TEST(test_bad_records),
		TEST(test_two_extended_headers),
		TEST(test_name_twice),
		TEST(test_global_records),
		TEST(test_truncated),
		TEST(test_no_appliance),
		TEST(test_hostile_xml),
		TEST(test_encodings),
		TEST(test_large_xml),
		TEST(test_long_attributes),
	};

	return cmocka_run_group_tests(tests, note_open_fds, check_open_fds);
}
