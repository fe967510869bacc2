// SPDX-License-Identifier: GPL-2.0
/*
 * Opening images: what a file is, what the opened image says, what is refused and
 * with which words.  D, H and N numbers are the classes of malformed images that
 * a reader has to survive.
 */
#define _GNU_SOURCE	/* asprintf */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "opener.h"
#include "scaffold.h"

static void refuse_text(const char *text, int expected, const char *words)
{
	put_text("x.vmdk", text);
	refuse("x.vmdk", &reading, expected, words);
	assert_memory_equal(message, "vmdkctl: x.vmdk: ", 17);
}

/* ------------------------------------------------------------ sound ones */

static void test_flat(void **state)
{
	struct vmdk_image *img;

	(void)state;
	put_flat("a-flat.vmdk", 100);
	put_text("a.vmdk", TYPE("monolithicFlat")
		 "RW 80 FLAT \"a-flat.vmdk\" 20\n");
	img = accept("a.vmdk", &writing);
	assert_int_equal(img->sectors, 80);
	assert_false(img->embedded);
	assert_int_equal(img->desc_offset, 0);
	assert_memory_equal(img->text + img->desc.cid_span.offset, "1234abcd", 8);
	assert_int_equal(fcntl(img->desc_fd, F_GETFL) & O_ACCMODE, O_RDWR);
	assert_int_equal(img->extents[0].kind, VMDK_KIND_FLAT);
	assert_int_equal(img->extents[0].access, VMDK_ACCESS_RW);
	assert_int_equal(img->extents[0].offset, 20 * 512);
	assert_int_equal(img->extents[0].length, 80 * 512);
	assert_int_equal(img->extents[0].file_bytes, 100 * 512);
	assert_int_equal(fcntl(img->extents[0].fd, F_GETFL) &
			 (O_ACCMODE | O_APPEND | O_NONBLOCK), O_RDWR);
	assert_int_equal(fcntl(img->extents[0].fd, F_GETFD), FD_CLOEXEC);
	vmdk_image_close(img);

	/* what the caller wants read stays read-only, RW lines or not */
	img = accept("a.vmdk", &reading);
	assert_int_equal(img->extents[0].access, VMDK_ACCESS_RDONLY);
	assert_int_equal(fcntl(img->extents[0].fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(fcntl(img->desc_fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	vmdk_image_close(img);
}

static void test_embedded(void **state)
{
	struct vmdk_image *img;
	char byte;

	(void)state;
	/* the name in it is that of another file, which must not be touched */
	put_sparse("new name.vmdk", 2048, TYPE("monolithicSparse")
		   "RW 2048 SPARSE \"/etc/shadow\"\n");
	img = accept("new name.vmdk", &writing);
	assert_true(img->embedded);
	assert_int_equal(img->desc_offset, 512);
	assert_int_equal(img->desc_size, 20 * 512);
	assert_string_equal(img->extents[0].path, "new name.vmdk");
	assert_int_equal(img->extents[0].kind, VMDK_KIND_SPARSE);
	assert_int_equal(img->extents[0].length, 0);
	assert_true(img->extents[0].has_header);
	assert_int_equal(img->extents[0].geo.capacity, 2048);
	assert_false(img->unclean);
	assert_int_equal(pread(img->desc_fd, &byte, 1, img->desc_offset +
			       img->desc.cid_span.offset), 1);
	assert_int_equal(byte, '1');
	vmdk_image_close(img);
}

static void test_unclean(void **state)
{
	struct vmdk_image *img;
	struct mk_image m;

	(void)state;
	make_sparse(&m, &(struct mk_options){ .capacity = 2048 },
		    HEAD "RW 2048 SPARSE \"x\"\n");
	mk_header(&m, MK_UNCLEAN, 1);
	save(&m, "x.vmdk");
	img = accept("x.vmdk", &reading);
	assert_true(img->unclean);
	vmdk_image_close(img);
}

static void test_mixed(void **state)
{
	struct vmdk_image *img;

	(void)state;
	assert_int_equal(mkdir("sub", 0755), 0);
	put_sparse("sub/s.vmdk", 2048, NULL);
	put_flat("f", 10);
	put_flat("r", 10);
	put_flat("v", 10);
	put_text("x.vmdk", TYPE("custom")
		 "RW 2048 SPARSE \"sub/s.vmdk\"\nRW 10 FLAT \"./f\" 0\n"
		 "RW 63 ZERO\nRDONLY 7 FLAT \"r\" 1 uuid dev\n"
		 "RW 10 VMFS \"v\"\nNOACCESS 5 FLAT \"not there\" 0\n");
	img = accept("x.vmdk", &writing);
	assert_int_equal(img->nr_extents, 6);
	assert_int_equal(img->sectors, 2048 + 10 + 63 + 7 + 10 + 5);
	assert_int_equal(img->extents[0].kind, VMDK_KIND_SPARSE);
	assert_int_equal(img->extents[2].kind, VMDK_KIND_ZERO);
	assert_int_equal(img->extents[2].fd, -1);
	assert_int_equal(img->extents[3].access, VMDK_ACCESS_RDONLY);
	assert_int_equal(fcntl(img->extents[3].fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(fcntl(img->extents[4].fd, F_GETFL) & O_ACCMODE, O_RDWR);
	/* what must not be read need not be there */
	assert_int_equal(img->extents[5].access, VMDK_ACCESS_NONE);
	assert_int_equal(img->extents[5].fd, -1);
	vmdk_image_close(img);
}

/* Nothing in it can be written, so nothing is opened for writing. */
static void test_nothing_writable(void **state)
{
	struct vmdk_image *img, *other;

	(void)state;
	put_flat("f", 10);
	put_text("x.vmdk", HEAD "RDONLY 10 FLAT \"f\" 0\nRW 5 ZERO\n");
	img = accept("x.vmdk", &writing);
	assert_int_equal(fcntl(img->desc_fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_int_equal(fcntl(img->extents[0].fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	other = accept("x.vmdk", &reading);
	vmdk_image_close(other);
	vmdk_image_close(img);
}

/* qemu pads a short text with zeros when it renews the content id. */
static void test_padded_text(void **state)
{
	static const char text[] = HEAD "RW 8 ZERO\n";
	char padded[10240] = { 0 };

	(void)state;
	memcpy(padded, text, sizeof(text));
	put("x.vmdk", padded, sizeof(padded));
	vmdk_image_close(accept("x.vmdk", &reading));
	padded[9000] = 'x';
	put("x.vmdk", padded, sizeof(padded));
	refuse("x.vmdk", &reading, -EINVAL,
	       "x.vmdk: descriptor at byte 9000: something follows");
}

/* It writes 1234abcd as it would 5e: what the text loses is still behind it. */
static void test_stale_tail(void **state)
{
	static const char text[] = HEAD "RW 8 ZERO\n";
	const size_t lost = 6, end = sizeof(text) - 1 - lost;
	char stale[10240] = { 0 };
	char *id;

	(void)state;
	memcpy(stale, text, sizeof(text));
	id = strstr(stale, "1234abcd");
	memmove(id + 2, id + 2 + lost, strlen(id + 2 + lost) + 1);
	assert_int_equal(strlen(stale), end);
	assert_int_equal(strlen(stale + end + 1), lost - 1);
	put("x.vmdk", stale, sizeof(stale));
	vmdk_image_close(accept("x.vmdk", &reading));
	stale[end + lost] = '\n';
	put("x.vmdk", stale, sizeof(stale));
	vmdk_image_close(accept("x.vmdk", &reading));
	stale[end + lost + 1] = '\n';
	put("x.vmdk", stale, sizeof(stale));
	refuse("x.vmdk", &reading, -EINVAL,
	       "descriptor at byte 75: something follows");
}

static void test_flat_behind_header(void **state)
{
	struct mk_image m;
	struct vmdk_image *img;

	(void)state;
	make_sparse(&m, &(struct mk_options){ .capacity = 2048 },
		    HEAD "RW 10 FLAT \"x.vmdk\" 21\nRW 4 FLAT \"f\" 0\n");
	mk_header(&m, MK_CAPACITY, 0);
	save(&m, "x.vmdk");
	put_flat("f", 4);
	img = accept("x.vmdk", &writing);
	assert_true(img->embedded);
	assert_int_equal(img->extents[0].kind, VMDK_KIND_FLAT);
	assert_int_equal(img->extents[0].offset, 21 * 512);
	vmdk_image_close(img);

	make_sparse(&m, &(struct mk_options){ .capacity = 2048 },
		    HEAD "RW 10 FLAT \"x.vmdk\" 20\n");
	mk_header(&m, MK_CAPACITY, 0);
	save(&m, "x.vmdk");
	refuse("x.vmdk", &reading, -EINVAL, "overlaps the header or the descr");
	make_sparse(&m, &(struct mk_options){ .capacity = 2048 },
		    HEAD "RW 2048 SPARSE \"x.vmdk\"\n");
	mk_header(&m, MK_CAPACITY, 0);
	save(&m, "x.vmdk");
	refuse("x.vmdk", &reading, -EINVAL, "header at byte 12: capacity is 0");
}

/* VirtualBox: a header of whole grains, a disk of fewer sectors. */
static void test_rounded_capacity(void **state)
{
	struct vmdk_image *img;

	(void)state;
	put_sparse("x.vmdk", 2048, HEAD "RW 2000 SPARSE \"x\"\n");
	img = accept("x.vmdk", &reading);
	assert_int_equal(img->sectors, 2000);
	vmdk_image_close(img);
	put_sparse("x.vmdk", 2048, HEAD "RW 1920 SPARSE \"x\"\n");
	refuse("x.vmdk", &reading, -EINVAL,
	       "header at byte 12: capacity is 2048 sectors, but the descriptor says 1920");
	put_sparse("x.vmdk", 2048, HEAD "RW 2049 SPARSE \"x\"\n");
	refuse("x.vmdk", &reading, -EINVAL, "descriptor says 2049");
}

static void test_through_symlink(void **state)
{
	struct vmdk_image *img;

	(void)state;
	assert_int_equal(mkdir("store", 0755), 0);
	put_flat("store/f", 8);
	put_text("store/x.vmdk", HEAD "RW 8 FLAT \"f\" 0\n");
	assert_int_equal(symlink("store/x.vmdk", "link"), 0);
	img = accept("link", &writing);
	assert_non_null(strstr(img->extents[0].path, "/store/f"));
	vmdk_image_close(img);
}

/* ------------------------------------------------------ kinds of files */

struct other_file {
	const char *start;	/* zeros follow, up to its size */
	size_t start_size, size;
	int ret;
	const char *words;
};

#define OTHER(start, size, ret, words)					\
	{ start, sizeof(start) - 1, size, ret, words }

static void refuse_other_file(const struct other_file *other)
{
	char *bytes = calloc(1, other->size + 1);

	assert_non_null(bytes);
	memcpy(bytes, other->start, other->start_size);
	put("x.vmdk", bytes, other->size);
	refuse("x.vmdk", &reading, other->ret, other->words);
	refuse("x.vmdk", &info, other->ret, other->words);
	free(bytes);
}

/* D1, D10, H1, H2 */
static void test_other_files(void **state)
{
	static const struct other_file files[] = {
		OTHER("", 0, -EINVAL, "is empty"),
		OTHER("K", 1, -EINVAL, "not a VMDK descriptor"),
		OTHER("KDMV", 4, -EINVAL, "header at byte 0: the file has 4 bytes"),
		OTHER("KDMV\1", 79, -EINVAL, "header at byte 0: the file has 79"),
		OTHER("KDMV\1", 511, -EINVAL, "header at byte 0: the file has 511"),
		OTHER("kdmv", 512, -EINVAL, "header at byte 0: this file was never"),
		OTHER("VMDK", 512, -EINVAL, "byte-swapped"),
		OTHER("COWD", 2048, -EINVAL, "COWD header at byte 4: version"),
		OTHER("COWD", 2047, -EINVAL, "the file has 2047 bytes"),
		OTHER("\xbe\xba\xfe\xca", 512, -EINVAL, "seSparse"),
		OTHER("\x1f\x8b\x08", 30, -EOPNOTSUPP, "unpack it with gunzip"),
		OTHER("QFI\xfb", 600, -EOPNOTSUPP, "qcow2"),
		OTHER("\xff\xfe#\0 ", 600, -EINVAL, "UTF-16"),
		OTHER("\xeb\x63\x90", 4096, -EINVAL, "not a VMDK"),
		OTHER(HEAD "RW 8 ZERO\n", 2 << 20, -EINVAL, "too many for"),
	};
	size_t i;

	(void)state;
	for (i = 0; i < NR_OF(files); i++)
		refuse_other_file(&files[i]);
}

static void test_no_files(void **state)
{
	(void)state;
	refuse("gone", &reading, -ENOENT, "gone: cannot be opened: No such");
	refuse("/tmp", &reading, -EISDIR, "/tmp: is a directory");
	refuse("/tmp", &writing, -EISDIR, "/tmp: is a directory");
	refuse("/dev/null", &reading, -ENODEV, "is not a regular file");
	refuse("/proc/self/mem", &reading, -ENODEV, "is a file of the kernel");
	refuse("/sys/kernel/notes", &reading, -ENODEV, "is a file of the kernel");
	alarm(10);
	assert_int_equal(mkfifo("fifo", 0644), 0);
	refuse("fifo", &reading, -ENODEV, "is not a regular file");
	refuse("fifo", &writing, -ENODEV, "is not a regular file");
	alarm(0);
}

/* That it shrinks while it is being read says nothing about what it had. */
static void test_shrunk_file(void **state)
{
	struct vmdk_opener o = { .path = "x.vmdk" };
	struct vmdk_place place = { .path = "x.vmdk" };
	char block[512];

	(void)state;
	put_text("x.vmdk", "abc");
	place.part.fd = open("x.vmdk", O_RDONLY | O_CLOEXEC);
	place.part.bytes = 512;
	assert_int_equal(vmdk_read_start(&o, &place, block, sizeof(block)), -EIO);
	assert_string_equal(o.why, "x.vmdk: ends at byte 3 while it is being read");
	free(o.why);
	close(place.part.fd);
}

static void check_lone_extent(const char *text)
{
	struct vmdk_image *img;

	put_sparse("x-s001.vmdk", 2048, text);
	refuse("x-s001.vmdk", &reading, -EINVAL, "one extent of a split disk");
	img = accept("x-s001.vmdk", &info);
	assert_non_null(strstr(img->refusal, "one extent of a split disk"));
	assert_int_equal(img->nr_extents, 1);
	assert_int_equal(img->sectors, 2048);
	assert_true(img->extents[0].has_header);
	assert_string_equal(img->desc.extents[0].name, "x-s001.vmdk");
	assert_false(img->desc.has_cid);
	vmdk_image_close(img);
}

static void test_lone_extent(void **state)
{
	(void)state;
	check_lone_extent(NULL);
	check_lone_extent("");
}

/* H classes are vmdk_header_decode()'s; here: that its words come through. */
static void test_bad_headers(void **state)
{
	static const struct {
		enum mk_field field;
		uint64_t value;
		const char *words;
	} bad[] = {
		{ MK_VERSION, 4, "x.vmdk: header at byte 4: version is 4" },
		{ MK_CAPACITY, 1ULL << 63, "x.vmdk: header at byte 12: " },
		{ MK_GRAIN, 7, "x.vmdk: header at byte 20: " },
		{ MK_GTES, 0, "x.vmdk: header at byte 44: " },
		{ MK_DESC_OFFSET, 1ULL << 40, "x.vmdk: header at byte 28: " },
		{ MK_DESC_SIZE, 0, "x.vmdk: header at byte 36: the descriptor has" },
		{ MK_DESC_SIZE, 2049, "x.vmdk: header at byte 36: " },
		{ MK_GD_OFFSET, 0, "x.vmdk: header at byte 56: " },
	};
	struct mk_image m;
	size_t i;

	(void)state;
	for (i = 0; i < NR_OF(bad); i++) {
		make_sparse(&m, &(struct mk_options){ .capacity = 2048 },
			    HEAD "RW 2048 SPARSE \"x\"\n");
		mk_header(&m, bad[i].field, bad[i].value);
		save(&m, "x.vmdk");
		refuse("x.vmdk", &reading, -EINVAL, bad[i].words);
		refuse("x.vmdk", &info, -EINVAL, bad[i].words);
	}
}

/* -------------------------------------------------------------- policy */

/* D8: an embedded descriptor is a way to no other file. */
static void test_embedded_lies(void **state)
{
	static const char * const texts[] = {
		TYPE("monolithicSparse") "RW 2048 FLAT \"/etc/shadow\" 0\n",
		TYPE("monolithicFlat") "RW 2048 FLAT \"/etc/shadow\" 0\n",
		TYPE("streamOptimized") "RW 2048 FLAT \"f\" 0\n",
		TYPE("custom") "RW 2048 SPARSE \"x.vmdk\"\nRW 1 FLAT \"f\" 0\n",
		HEAD "RW 2048 ZERO\n",
	};
	size_t i;

	(void)state;
	put_flat("f", 2048);
	for (i = 0; i < NR_OF(texts); i++) {
		put_sparse("x.vmdk", 2048, texts[i]);
		refuse("x.vmdk", &reading, -EINVAL, "x.vmdk: descriptor at line");
		refuse("x.vmdk", &info, -EINVAL, "x.vmdk: descriptor at line");
	}
	put_sparse("x.vmdk", 2048, TYPE("monolithicFlat")
		   "RW 2048 SPARSE \"x\"\n");
	refuse("x.vmdk", &reading, -EINVAL,
	       "a SPARSE extent does not match createType \"monolithicFlat\"");
}

static void test_bad_texts(void **state)
{
	(void)state;
	refuse_text(TYPE("monolithicSparse") "RW 8 FLAT \"f\" 0\n", -EINVAL,
		    "line 6: a FLAT extent does not match createType");
	refuse_text(TYPE("vmfs") "RW 8 SPARSE \"f\"\n", -EINVAL, "match");
	refuse_text(TYPE("custom") "RW 8 VMFSSPARSE \"f\"\n", -EINVAL, "match");
	refuse_text(HEAD "RW 8 FLAT \"f\"\n", -EINVAL,
		    "x.vmdk: descriptor at byte 77 (line 5): FLAT extent has no");
	refuse_text(HEAD, -EINVAL, "x.vmdk: descriptor at byte 0: there is no");
}

static void test_create_types(void **state)
{
	static const struct {
		const char *name;
		bool sparse, flat;
	} types[] = {
		{ "monolithicSparse", true, false },
		{ "monolithicFlat", false, true },
		{ "twoGbMaxExtentSparse", true, false },
		{ "2GbMaxExtentSparse", true, false },
		{ "twoGbMaxExtentFlat", false, true },
		{ "2GbMaxExtentFlat", false, true },
		{ "vmfs", false, true },
		{ "vmfsThin", false, true },
		{ "vmfsPreallocated", false, true },
		{ "vmfsEagerZeroedThick", false, true },
		{ "custom", true, true },
	};
	static const char * const lines[] = {
		"RW 8 FLAT \"f\" 0\n", "RW 8 VMFS \"f\"\n", "RW 2048 SPARSE \"s\"\n",
	};
	struct vmdk_image *img;
	char text[512];
	size_t i, j;

	(void)state;
	put_flat("f", 8);
	put_sparse("s", 2048, NULL);
	for (i = 0; i < NR_OF(types); i++) {
		for (j = 0; j < NR_OF(lines); j++) {
			snprintf(text, sizeof(text), TYPE("%s") "RW 1 ZERO\n%s",
				 types[i].name, lines[j]);
			put_text("x.vmdk", text);
			if (j == 2 ? types[i].sparse : types[i].flat)
				vmdk_image_close(accept("x.vmdk", &writing));
			else
				assert_int_equal(try_image("x.vmdk", &writing,
							   &img), -EINVAL);
		}
	}
}

static void test_unsupported(void **state)
{
	static const struct refused {
		const char *text, *words;
	} texts[] = {
		{ TYPE("newType") "RW 8 FLAT \"s\" 0\n", "\"newType\": this type is" },
		{ "version=4\nRW 8 ZERO\n", "descriptor version 4" },
	};
	struct vmdk_image *img;
	size_t i;

	(void)state;
	for (i = 0; i < NR_OF(texts); i++) {
		refuse_text(texts[i].text, -EOPNOTSUPP, texts[i].words);
		img = accept("x.vmdk", &info);
		assert_non_null(img->refusal);
		assert_non_null(img->text);
		assert_int_equal(img->sectors, 8);
		vmdk_image_close(img);
	}
}

/* Refused for an extent: for info that is a fault of the extent. */
static void test_raw_devices(void **state)
{
	static const struct {
		const char *text;
		int ret;
		const char *words;
	} texts[] = {
		{ TYPE("fullDevice") "RW 8 FLAT \"/dev/sda\" 0\n", -EXDEV,
		  "line 6: /dev/sda: is a device; it is only used" },
		{ TYPE("fullDevice") "RW 8 FLAT \"\\\\.\\PhysicalDrive3\" 0\n",
		  -EXDEV, "is a device of Windows" },
		{ TYPE("partitionedDevice") "RW 1 FLAT \"pt\" 0\n"
		  "RW 7 FLAT \"/dev/sda\" 63\n", -EXDEV, "line 7: /dev/sda" },
		{ TYPE("vmfsRawDeviceMap") "RW 8 VMFSRDM \"s-rdm.vmdk\"\n",
		  -EOPNOTSUPP, "s-rdm.vmdk: is the map of a raw device" },
		{ TYPE("vmfsRaw") "RW 8 VMFSRAW \"/vmfs/devices/disks/x\"\n",
		  -EXDEV, "--allow-device" },
	};
	struct vmdk_image *img;
	size_t i;

	(void)state;
	put_flat("pt", 1);
	for (i = 0; i < NR_OF(texts); i++) {
		refuse_text(texts[i].text, texts[i].ret, texts[i].words);
		img = accept("x.vmdk", &info);
		assert_null(img->refusal);
		assert_non_null(img->extents[img->nr_extents - 1].open_error);
		assert_int_equal(img->sectors, 8);
		vmdk_image_close(img);
	}
}

static void test_change_tracking(void **state)
{
	(void)state;
	put_flat("f", 8);
	put_text("x.vmdk", HEAD "RW 8 VMFS \"f\"\nchangeTrackPath=\"x-ctk.vmdk\"\n");
	vmdk_image_close(accept("x.vmdk", &reading));
	refuse("x.vmdk", &writing, -EINVAL, "attach with --read-only");
}

/* D5, N5: a flat extent has to be there to its last byte. */
static void test_short_flat(void **state)
{
	static const char * const lines[] = {
		"RW 9 FLAT \"f\" 0\n", "RW 8 FLAT \"f\" 1\n", "RW 9 VMFS \"f\"\n",
		"RW 1 FLAT \"f\" 8\n", "RW 1 FLAT \"f\" 18014123631575039\n",
	};
	struct vmdk_image *img;
	char text[256];
	size_t i;

	(void)state;
	put_flat("f", 8);
	for (i = 0; i < NR_OF(lines); i++) {
		snprintf(text, sizeof(text), HEAD "%s", lines[i]);
		put_text("x.vmdk", text);
		refuse("x.vmdk", &reading, -EINVAL, "/f: extent at byte ");
		assert_non_null(strstr(message, "ends at byte 4096"));
		img = accept("x.vmdk", &info);
		assert_non_null(strstr(img->extents[0].open_error, "4096"));
		vmdk_image_close(img);
	}
}

static void test_many_files(void **state)
{
	struct rlimit limit, small;
	struct vmdk_image *img;
	char name[16];
	FILE *f;
	int i;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	small = limit;
	small.rlim_cur = 128;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &small), 0);
	f = fopen("x.vmdk", "w");
	assert_non_null(f);
	for (i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "f%03d", i);
		put_flat(name, 1);
		fprintf(f, "RW 1 FLAT \"%s\" 0\n", name);
	}
	fclose(f);
	img = accept("x.vmdk", &writing);
	assert_int_equal(img->nr_extents, 300);
	vmdk_image_close(img);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* -------------------------------------------------------------- samples */

static const struct sample {
	const char *path;
	int ret;		/* of a read */
	const char *words;
	uint64_t sectors;	/* that info shows; 0: refused by it, too */
} samples[] = {
	{ "vmware-10m/monolithicFlat.vmdk", 0, "", 20480 },
	{ "vmware-10m/monolithicSparse.vmdk", 0, "", 20480 },
	{ "vmware-10m/twoGbMaxExtentSparse.vmdk", 0, "", 20480 },
	{ "vmware-10m/streamOptimized.vmdk", 0, "", 20480 },
	{ "vmware-10m/twoGbMaxExtentSparse-s001.vmdk", -EINVAL,
	  "one extent of a split disk", 20480 },
	{ "vmware-10m/monolithicFlat-flat.vmdk", -EINVAL, "not a VMDK", 0 },
	{ "split/tw_sparse.vmdk", 0, "", 8192 },
	{ "split/tw_sparse-s001.vmdk", -EINVAL, "one extent of a split disk",
	  8192 },
	{ "ext2/ext2.vmdk", 0, "", 8192 },
	{ "converter/streamOptimizedWithMarkers.vmdk", 0, "", 2048 },
	{ "esxi-export/blank.vmdk", 0, "", 16777216 },
	{ "version3/iotest-version3.vmdk", 0, "", 2097152 },
	{ "virtualbox/test.vmdk", 0, "", 8192 },
	{ "vmdktool/input.vmdk", 0, "", 2097152 },
	{ "refuse/afl9.vmdk", -EINVAL, " at byte ", 0 },
	{ "refuse/vmdk-invalid.img", -EINVAL, " at byte ", 0 },
	{ "descriptors/esxi-rdm-physical.vmdk", -EOPNOTSUPP,
	  "is the map of a raw device", 1048576000 },
	{ "descriptors/esxi-snapshot-v2.vmdk", -ENOENT,
	  "HostName-000001-delta.vmdk: cannot be opened", 1048576000 },
	{ "descriptors/esxi-vmfs-v3-ctk.vmdk", -EINVAL,
	  "CID is \"IDHERE\"", 0 },
	{ "descriptors/vbox-createrawvmdk-physicaldrive3.vmdk", -EXDEV,
	  "PhysicalDrive3: is a device of Windows", 8036352 },
	{ "descriptors/vmware-fulldevice-sdb.vmdk", -EXDEV,
	  "/dev/sdb: is a device", 976773168 },
};

static void test_samples(void **state)
{
	const char *root = getenv("VMDK_SAMPLES");
	struct vmdk_image *img;
	size_t i;

	(void)state;
	if (!root)
		skip();
	for (i = 0; i < NR_OF(samples); i++) {
		const struct sample *s = &samples[i];
		char *path;

		assert_true(asprintf(&path, "%s/%s", root, s->path) > 0);
		if (s->ret)
			refuse(path, &reading, s->ret, s->words);
		else
			vmdk_image_close(accept(path, &reading));
		if (s->sectors) {
			img = accept(path, &info);
			assert_int_equal(img->sectors, s->sectors);
			assert_int_equal(!img->refusal &&
					 !img->extents[0].open_error, !s->ret);
			vmdk_image_close(img);
		} else {
			refuse(path, &info, s->ret, s->words);
		}
		free(path);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_flat),
		TEST(test_embedded),
		TEST(test_unclean),
		TEST(test_mixed),
		TEST(test_nothing_writable),
		TEST(test_padded_text),
		TEST(test_stale_tail),
		TEST(test_flat_behind_header),
		TEST(test_rounded_capacity),
		TEST(test_through_symlink),
		TEST(test_other_files),
		TEST(test_no_files),
		TEST(test_shrunk_file),
		TEST(test_lone_extent),
		TEST(test_bad_headers),
		TEST(test_embedded_lies),
		TEST(test_bad_texts),
		TEST(test_create_types),
		TEST(test_unsupported),
		TEST(test_raw_devices),
		TEST(test_change_tracking),
		TEST(test_short_flat),
		TEST(test_many_files),
		TEST(test_samples),
	};

	return cmocka_run_group_tests(tests, note_open_fds, check_open_fds);
}
