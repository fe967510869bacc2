// SPDX-License-Identifier: GPL-2.0
/*
 * The descriptor parser: what it accepts, what it refuses and with which words,
 * and that spans point at the digits they say.  D numbers are the classes of
 * malformed texts that a reader has to survive.
 */
#define _GNU_SOURCE	/* memmem */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "descriptor.h"

#define HEAD	"# Disk DescriptorFile\nversion=1\nCID=1234abcd\n" \
		"parentCID=ffffffff\ncreateType=\"monolithicFlat\"\n"
#define EXTENT	"RW 2048 FLAT \"a-flat.vmdk\" 0\n"
#define NR_OF(array)	(sizeof(array) / sizeof((array)[0]))

static struct vmdk_text_fault fault;

/* A copy without a byte to spare, so that ASan sees any read beyond it. */
static int parse_bytes(const char *text, size_t size,
		       struct vmdk_descriptor *desc)
{
	char *exact = malloc(size ? size : 1);
	int ret;

	assert_non_null(exact);
	memcpy(exact, text, size);
	ret = vmdk_descriptor_parse(exact, size, desc, &fault);
	free(exact);
	return ret;
}

static int parse(const char *text, struct vmdk_descriptor *desc)
{
	return parse_bytes(text, strlen(text), desc);
}

static void accept(const char *text, struct vmdk_descriptor *desc)
{
	int ret = parse(text, desc);

	if (ret)
		print_error("refused: %s\n%s\n", fault.text, text);
	assert_int_equal(ret, 0);
}

struct refused {
	const char *text;
	const char *words;	/* that the message has to have */
	unsigned int line;
	size_t offset;		/* ~0: any */
};

static void refuse(const struct refused *r)
{
	struct vmdk_descriptor desc;
	int ret = parse(r->text, &desc);

	if (ret != -EINVAL || !strstr(fault.text, r->words) ||
	    fault.line != r->line ||
	    (r->offset != ~(size_t)0 && fault.offset != r->offset))
		print_error("%d, line %u, byte %zu, \"%s\" for\n%s\n", ret,
			    fault.line, fault.offset, fault.text, r->text);
	assert_int_equal(ret, -EINVAL);
	assert_non_null(strstr(fault.text, r->words));
	assert_int_equal(fault.line, r->line);
	if (r->offset != ~(size_t)0)
		assert_int_equal(fault.offset, r->offset);
	assert_null(strchr(fault.text, '\n'));
	assert_null(desc.extents);
}

static void refuse_all(const struct refused *r, size_t nr)
{
	while (nr--)
		refuse(r++);
}

/* The digits of a span are the value, wherever the text was bent. */
static void check_cid_span(const char *text, const char *digits)
{
	struct vmdk_descriptor desc;

	accept(text, &desc);
	assert_true(desc.has_cid);
	assert_int_equal(desc.cid, strtoul(digits, NULL, 16));
	assert_int_equal(desc.cid_span.length, strlen(digits));
	assert_memory_equal(text + desc.cid_span.offset, digits,
			    strlen(digits));
	vmdk_descriptor_free(&desc);
}

static void test_whole(void **state)
{
	static const char text[] =
		"# Disk DescriptorFile\nversion=3\nencoding=\"GBK\"\n"
		"CID=0dc3c2a9\nparentCID=7e5B80a7\nisNativeSnapshot=\"no\"\n"
		"createType=\"custom\"\nparentFileNameHint=\"../base.vmdk\"\n"
		"# Extent description\n"
		"RW 4192256 SPARSE \"x-s001.vmdk\"\n"
		"RDONLY 63 FLAT \"my disk-pt.vmdk\" 17 aaaa-bbbb /dev/sda1\n"
		"NOACCESS 100 ZERO \n"
		"RW 8 VMFS \"v-flat.vmdk\" 0\n"
		"# Change Tracking File\nchangeTrackPath=\"x-ctk.vmdk\"\n"
		"# The Disk Data Base \n#DDB\n"
		"ddb.adapterType = \"lsilogic\"\n"
		"ddb.geometry.cylinders = \"1044\"\nddb.geometry.heads = \"255\"\n"
		"ddb.geometry.sectors = \"63\"\nddb.geometry.biosCylinders = \"7\"\n"
		"ddb.geometry.biosHeads = \"8\"\nddb.geometry.biosSectors = \"9\"\n"
		"ddb.uuid = \"60 00 C2 9a\"\nddb.toolsVersion = \"1\"\n"
		"ddb.longContentID = \"c30e9133f6a8e34df61188c51010a8cd\"\n"
		"ddb.virtualHWVersion = \"7\"\nddb.thinProvisioned = \"1\"\n"
		"ddb.encoding = \"UTF-8\"\n";
	struct vmdk_descriptor d;

	(void)state;
	accept(text, &d);
	assert_int_equal(d.version, 3);
	assert_string_equal(d.encoding, "GBK");
	assert_int_equal(d.cid, 0x0dc3c2a9);
	assert_int_equal(d.parent_cid, 0x7e5b80a7);
	assert_string_equal(d.create_type, "custom");
	assert_string_equal(d.parent_hint, "../base.vmdk");
	assert_string_equal(d.change_track, "x-ctk.vmdk");
	assert_int_equal(d.nr_extents, 4);
	assert_int_equal(d.sectors, 4192256 + 63 + 100 + 8);
	assert_int_equal(d.extents[0].access, VMDK_ACCESS_RW);
	assert_int_equal(d.extents[0].type, VMDK_TYPE_SPARSE);
	assert_string_equal(d.extents[0].name, "x-s001.vmdk");
	assert_int_equal(d.extents[0].line, 10);
	assert_int_equal(d.extents[1].access, VMDK_ACCESS_RDONLY);
	assert_string_equal(d.extents[1].name, "my disk-pt.vmdk");
	assert_int_equal(d.extents[1].offset, 17);
	assert_string_equal(d.extents[1].device_id, "aaaa-bbbb /dev/sda1");
	assert_int_equal(d.extents[2].access, VMDK_ACCESS_NONE);
	assert_int_equal(d.extents[2].type, VMDK_TYPE_ZERO);
	assert_null(d.extents[2].name);
	assert_int_equal(d.extents[3].type, VMDK_TYPE_VMFS);
	assert_null(d.extents[3].device_id);
	assert_int_equal(d.physical.cylinders, 1044);
	assert_int_equal(d.physical.heads, 255);
	assert_int_equal(d.physical.sectors, 63);
	assert_int_equal(d.bios.cylinders, 7);
	assert_int_equal(d.bios.heads, 8);
	assert_int_equal(d.bios.sectors, 9);
	assert_string_equal(d.adapter_type, "lsilogic");
	assert_string_equal(d.uuid, "60 00 C2 9a");
	assert_string_equal(d.hw_version, "7");
	assert_string_equal(d.tools_version, "1");
	assert_string_equal(d.thin_provisioned, "1");
	assert_int_equal(d.long_cid_span.length, 32);
	assert_memory_equal(text + d.long_cid_span.offset, d.long_content_id, 32);
	vmdk_descriptor_free(&d);
	assert_null(d.extents);
}

/* What real writers leave out or put in. */
static void test_tolerated(void **state)
{
	static const char * const texts[] = {
		EXTENT,
		"version=1\n" EXTENT,
		"#Disk Descriptor File\n" HEAD EXTENT,
		"# made by a stream converter\n" HEAD EXTENT,
		"\n\n   \n\t# c\n  version=1\n  " EXTENT,
		"VERSION=1\ncid=1\nPARENTCID=FFFFFFFF\nCREATETYPE=vmfs\n" EXTENT,
		"version = 1 \nCID = 1 \ncreateType = \"vmfs\" \n" EXTENT,
		"createType=\"vmfs\"\ncreateType=\"vmfs\"\n" EXTENT,
		"createType=\"\"\n" EXTENT,
		"version=1\nversion=1\nparentCID=1\nparentCID=00000001\n" EXTENT,
		"CID=ffffffff\nparentCID=ffffffff\n" EXTENT,
		"\xef\xbb\xbf" HEAD EXTENT,
		HEAD "RW\t2048\tFLAT\t\"a\"\t0\t",
		HEAD "  RW   2048  FLAT   \"a\"   0   ",
		HEAD "RW 2048 FLAT \"a\" 0",
		HEAD "RW 2048 FLAT \"a\" 000",
		HEAD "RW 0002048 SPARSE \"a\" 0",
		HEAD "RW 2048 VMFS \"a\"",
		HEAD "RW 2048 VMFS \"a\" 0",
		HEAD "RW 2048 VMFSSPARSE \"a\"",
		HEAD "RW 2048 SESPARSE \"a\"",
		HEAD "RW 2048 VMFSRDM \"a\"",
		HEAD "RW 2048 VMFSRAW \"a\"",
		HEAD "RW 2048 ZERO",
		HEAD "RW 2048 FLAT \"a=b # c\" 0",
		HEAD "RW 2048 FLAT \"\xe8\xa1\xa8\" 0",
		HEAD "RW 2048 FLAT \"\\\\.\\PhysicalDrive3\" 0",
		HEAD "RW 274877906944 ZERO",
		HEAD EXTENT "someKey=with \"quotes\nother\x01=x\n=\n==\n",
		/* D9: junk that decides nothing */
		HEAD EXTENT "ddb.geometry.cylinders=\"-1\"\nddb.geometry.heads=\"x\"\n"
			"ddb.geometry.sectors=\"99999999999\"\nddb.uuid=\"open\n"
			"ddb.adapterType=\"\x01\"\nddb.longContentID=\"xyz\"\n"
			"ddb.longContentID=\"\"\nddb.\nddb\nfree words here\n",
	};
	struct vmdk_descriptor d;
	size_t i;

	(void)state;
	for (i = 0; i < NR_OF(texts); i++) {
		accept(texts[i], &d);
		assert_int_equal(d.nr_extents, 1);
		assert_true(d.version == 1);
		vmdk_descriptor_free(&d);
	}
	accept(EXTENT, &d);
	assert_false(d.has_cid);
	assert_int_equal(d.cid_span.length, 0);
	assert_int_equal(d.parent_cid, 0xffffffff);
	assert_null(d.create_type);
	vmdk_descriptor_free(&d);
	accept(texts[NR_OF(texts) - 1], &d);
	assert_int_equal(d.physical.cylinders, 0);
	assert_null(d.uuid);
	assert_null(d.adapter_type);
	assert_null(d.long_content_id);
	assert_int_equal(d.long_cid_span.length, 0);
	vmdk_descriptor_free(&d);
}

static void test_spans(void **state)
{
	(void)state;
	check_cid_span(HEAD EXTENT, "1234abcd");
	check_cid_span("CID=0dc3c2a9 \r\n" EXTENT, "0dc3c2a9");
	check_cid_span("CID=  \"DEADbeef\"  \n" EXTENT, "DEADbeef");
	check_cid_span("  cid =7\n" EXTENT, "7");
	check_cid_span("\xef\xbb\xbfversion=1\r\n\r\nCID=fffffffe\r\n" EXTENT,
		       "fffffffe");
	check_cid_span("# CID=11111111\n#CID=2\nxCID=3\nCID=4\n" EXTENT, "4");
	check_cid_span(EXTENT "CID=abc", "abc");
}

/* D1: the text as a whole. */
static void test_line_ends(void **state)
{
	static const char cr[] =
		"version=1\rCID=5\r\rRW 8 ZERO\rRW 9 FLAT \"a\" 0\r";
	struct vmdk_descriptor d;

	(void)state;
	accept("version=1\r\nCID=5\r\n\r\nRW 8 ZERO\r\nRW 9 FLAT \"a\" 0", &d);
	assert_int_equal(d.sectors, 17);
	assert_int_equal(d.extents[1].line, 5);
	vmdk_descriptor_free(&d);
	accept(cr, &d);
	assert_int_equal(d.sectors, 17);
	assert_string_equal(d.extents[1].name, "a");
	vmdk_descriptor_free(&d);
	/* with one LF, a CR ends no line: what a comment hides stays hidden */
	accept("# x\rRW 8 ZERO\nRW 9 ZERO\r\r\n", &d);
	assert_int_equal(d.sectors, 9);
	vmdk_descriptor_free(&d);
}

static void test_nul_ends(void **state)
{
	static const char text[] = HEAD EXTENT "\0RW 7 JUNK\nCID=x\n";
	struct vmdk_descriptor d;

	(void)state;
	assert_int_equal(parse_bytes(text, sizeof(text), &d), 0);
	assert_int_equal(d.nr_extents, 1);
	assert_int_equal(d.sectors, 2048);
	vmdk_descriptor_free(&d);
	assert_int_equal(parse_bytes("\0" HEAD, sizeof(HEAD), &d), -EINVAL);
	assert_int_equal(parse_bytes("", 0, &d), -EINVAL);
}

static void test_utf16(void **state)
{
	static const char le[] = "\xff\xfe#\0 \0D\0", be[] = "\xfe\xff\0#\0 ";
	static const char bare_le[] = "#\0 \0", bare_be[] = "\0#\0 ";
	struct vmdk_descriptor d;

	(void)state;
	assert_int_equal(parse_bytes(le, sizeof(le), &d), -EINVAL);
	assert_non_null(strstr(fault.text, "UTF-16"));
	assert_int_equal(parse_bytes(be, sizeof(be), &d), -EINVAL);
	assert_non_null(strstr(fault.text, "UTF-16"));
	assert_int_equal(parse_bytes(bare_le, sizeof(bare_le), &d), -EINVAL);
	assert_non_null(strstr(fault.text, "UTF-16"));
	assert_int_equal(parse_bytes(bare_be, sizeof(bare_be), &d), -EINVAL);
	assert_non_null(strstr(fault.text, "UTF-16"));
}

static void test_size(void **state)
{
	const size_t max = 1 << 20;
	char *text = malloc(max + 1);
	struct vmdk_descriptor d;

	(void)state;
	assert_non_null(text);
	memset(text, '#', max + 1);
	memcpy(text, HEAD EXTENT, strlen(HEAD EXTENT));
	assert_int_equal(parse_bytes(text, max, &d), 0);
	vmdk_descriptor_free(&d);
	assert_int_equal(parse_bytes(text, max + 1, &d), -EINVAL);
	assert_non_null(strstr(fault.text, "at most"));
	/* one line, as long as it goes */
	memset(text, 'x', max);
	assert_int_equal(parse_bytes(text, max, &d), -EINVAL);
	memset(text, '=', max);
	assert_int_equal(parse_bytes(text, max, &d), -EINVAL);
	memset(text, '\n', max);
	assert_int_equal(parse_bytes(text, max, &d), -EINVAL);
	free(text);
}

static void test_not_a_descriptor(void **state)
{
	static const struct refused texts[] = {
		{ "", "not a VMDK descriptor", 0, 0 },
		{ "hello\nworld\n", "not a VMDK descriptor", 0, 0 },
		{ "# Disk DescriptorFile\n", "not a VMDK descriptor", 0, 0 },
		{ "\x7f" "ELF\x02\x01\x01", "not a VMDK descriptor", 0, 0 },
		{ HEAD, "no extent", 0, 0 },
		{ "CID=1\n", "no extent", 0, 0 },
	};

	(void)state;
	refuse_all(texts, NR_OF(texts));
}

/* D2, D3, and the other keys. */
static void test_bad_keys(void **state)
{
	static const struct refused texts[] = {
		{ "createType=\"vmfs\"\ncreateType=\"custom\"\n" EXTENT,
		  "createType is given twice, \"vmfs\" and \"custom\"", 2, 30 },
		{ "createType=\"vm fs\"\n" EXTENT, "printable", 1, 14 },
		{ "createType=\"vmf\xc3\xa9\"\n" EXTENT, "printable", 1, 15 },
		{ "createType=\"vm\nfs\"\n" EXTENT, "never closed", 1, 12 },
		{ "createType=\"abcdefghijklmnopqrstuvwxyz012345\"\n" EXTENT,
		  "32 characters", 1, 12 },
		{ "createType=\"a\"b\n" EXTENT, "behind its closing", 1, 12 },
		{ "createType=a\x1b[m\n" EXTENT, "control character", 1, 11 },
		{ "CID=xyz\n" EXTENT, "CID is \"xyz\", expected", 1, 4 },
		{ "CID=IDHERE\n" EXTENT, "CID is \"IDHERE\"", 1, 4 },
		{ "CID=123456789\n" EXTENT, "CID is \"123456789\"", 1, 4 },
		{ "CID=0x1\n" EXTENT, "CID is \"0x1\"", 1, 4 },
		{ "CID=-1\n" EXTENT, "CID is \"-1\"", 1, 4 },
		{ "CID=\n" EXTENT, "CID is \"\"", 1, 4 },
		{ "CID=\"\"\n" EXTENT, "CID is \"\"", 1, 5 },
		{ "CID=1 2\n" EXTENT, "CID is \"1 2\"", 1, 4 },
		{ "CID=1\nCID=1\n" EXTENT, "CID is given twice", 2, 10 },
		{ "CID=1\nCID=2\n" EXTENT, "CID is given twice", 2, 10 },
		{ "CID=a1\nparentCID=000000A1\n" EXTENT, "own parent", 0, 4 },
		{ "parentCID=no\n" EXTENT, "parentCID is \"no\"", 1, 10 },
		{ "parentCID=1\nparentCID=2\n" EXTENT, "given twice", 2, 22 },
		{ "version=\n" EXTENT, "version is \"\"", 1, 8 },
		{ "version=0\n" EXTENT, "version is \"0\"", 1, 8 },
		{ "version=x\n" EXTENT, "version is \"x\"", 1, 8 },
		{ "version=1000\n" EXTENT, "version is \"1000\"", 1, 8 },
		{ "version=1\nversion=2\n" EXTENT, "given twice, 1 and 2", 2, 18 },
		{ "encoding=\"a\"\nencoding=\"b\"\n" EXTENT, "twice", 2, 23 },
		{ "parentFileNameHint=\"a\"\nparentFileNameHint=\"b\"\n" EXTENT,
		  "twice", 2, 43 },
		{ "changeTrackPath=\"a\x01\"\n" EXTENT, "control", 1, 16 },
	};

	(void)state;
	refuse_all(texts, NR_OF(texts));
}

/* D4: counts and sums. */
static void test_bad_sectors(void **state)
{
	static const struct refused texts[] = {
		{ "RW 0 ZERO\n", "has \"0\" sectors", 1, 3 },
		{ "RW -5 ZERO\n", "has \"-5\" sectors", 1, 3 },
		{ "RW +5 ZERO\n", "has \"+5\" sectors", 1, 3 },
		{ "RW 5.0 ZERO\n", "has \"5.0\" sectors", 1, 3 },
		{ "RW 0x10 ZERO\n", "has \"0x10\" sectors", 1, 3 },
		{ "RW 274877906945 ZERO\n", "expected a number from 1 to", 1, 3 },
		{ "RW 18446744073709551617 ZERO\n", "sectors", 1, 3 },
		{ "RW 99999999999999999999999999999999999999999999999 ZERO\n",
		  "has \"9999999999999999999999999999999999999999...\" ", 1, 3 },
		{ "RW 274877906944 ZERO\nRW 1 ZERO\n", "add up", 2, 24 },
		{ "RW ZERO\n", "has \"ZERO\" sectors", 1, 3 },
		{ "RW\n", "has \"\" sectors", 1, 2 },
	};

	(void)state;
	refuse_all(texts, NR_OF(texts));
}

static char *many_extents(size_t nr)
{
	char *text = malloc(nr * 10 + 1);
	size_t i;

	assert_non_null(text);
	for (i = 0; i < nr; i++)
		memcpy(text + i * 10, "RW 1 ZERO\n", 10);
	text[nr * 10] = '\0';
	return text;
}

static void test_many_extents(void **state)
{
	char *text = many_extents(VMDK_MAX_EXTENTS + 1);
	struct vmdk_descriptor d;

	(void)state;
	assert_int_equal(parse(text, &d), -EINVAL);
	assert_non_null(strstr(fault.text, "more than"));
	assert_int_equal(fault.line, VMDK_MAX_EXTENTS + 1);
	text[(size_t)VMDK_MAX_EXTENTS * 10] = '\0';
	accept(text, &d);
	assert_int_equal(d.nr_extents, VMDK_MAX_EXTENTS);
	assert_int_equal(d.sectors, VMDK_MAX_EXTENTS);
	vmdk_descriptor_free(&d);
	free(text);
}

/* D5: offsets, and what stands behind them. */
static void test_bad_offsets(void **state)
{
	static const struct refused texts[] = {
		{ "RW 8 FLAT \"a\"\n", "FLAT extent has no offset", 1, 13 },
		{ "RW 8 FLAT \"a\" -1\n", "offset is \"-1\"", 1, 14 },
		{ "RW 8 FLAT \"a\" x\n", "offset is \"x\"", 1, 14 },
		{ "RW 8 FLAT \"a\" 18446744073709551615\n", "offset is", 1, 14 },
		{ "RW 8 FLAT \"a\" 36028797018963968\n", "offset is", 1, 14 },
		{ "RW 8 SPARSE \"a\" 1\n", "SPARSE extent has the offset 1", 1, 16 },
		{ "RW 8 SPARSE \"a\" x\n", "offset is \"x\"", 1, 16 },
		{ "RW 8 VMFS \"a\" 1\n", "VMFS extent has the offset 1", 1, 14 },
		{ "RW 8 VMFS \"a\" 0 1\n", "ends in \"1\"", 1, 16 },
		{ "RW 8 SPARSE \"a\" 0 b c\n", "ends in \"b c\"", 1, 18 },
		{ "RW 8 ZERO \"a\"\n", "ends in \"\"a\"\"", 1, 10 },
		{ "RW 8 ZERO 0\n", "ends in \"0\"", 1, 10 },
		{ "RW 8 FLAT \"a\" 0 b\x01\n", "no meaning", 1, 16 },
	};

	(void)state;
	refuse_all(texts, NR_OF(texts));
}

/* D6: access and type. */
static void test_bad_words(void **state)
{
	static const struct refused texts[] = {
		{ "rw 8 ZERO\n", "access is \"rw\"", 1, 0 },
		{ " Rdonly 8 ZERO\n", "access is \"Rdonly\"", 1, 1 },
		{ "noaccess 8 ZERO\n", "access is \"noaccess\"", 1, 0 },
		{ "RO 8 ZERO\n", "access is \"RO\"", 1, 0 },
		{ "junk 8 FLAT \"a\" 0\n", "access is \"junk\"", 1, 0 },
		{ "junk x FLAT \"a\" 0\n", "access is \"junk\"", 1, 0 },
		{ "junk 8 BOGUS \"a\" 0\n", "access is \"junk\"", 1, 0 },
		{ "R\x1b[31m 8 ZERO\n", "access is \"R?[31m\"", 1, 0 },
		{ "RW 8 flat \"a\" 0\n", "type is \"flat\", which is unknown", 1, 5 },
		{ "RW 8 QCOW \"a\" 0\n", "type is \"QCOW\"", 1, 5 },
		{ "RW 8 FLATT \"a\" 0\n", "type is \"FLATT\"", 1, 5 },
		{ "RW 8\n", "type is \"\"", 1, 4 },
		{ "RW", "sectors", 1, 2 },
	};

	(void)state;
	refuse_all(texts, NR_OF(texts));
}

/* D7: names. */
static void test_bad_names(void **state)
{
	static const struct refused texts[] = {
		{ "RW 8 FLAT \"a 0\n", "no closing quote", 1, 10 },
		{ "RW 8 FLAT \"a\nb\" 0\n", "no closing quote", 1, 10 },
		{ "RW 8 FLAT \"\n", "no closing quote", 1, 10 },
		{ "RW 8 FLAT\n", "no file name", 1, 9 },
		{ "RW 8 FLAT a 0\n", "not in quotes", 1, 10 },
		{ "RW 8 FLAT \"\" 0\n", "is empty", 1, 11 },
		{ "RW 8 FLAT \"a\"0\n", "behind its closing quote", 1, 13 },
		{ "RW 8 FLAT \"a\"b\" 0\n", "behind its closing quote", 1, 13 },
		{ "RW 8 FLAT \"a\rb\" 0\n", "control character", 1, 12 },
		{ "RW 8 FLAT \"a\tb\" 0\n", "control character", 1, 12 },
		{ "RW 8 FLAT \"\x7f\" 0\n", "control character", 1, 11 },
	};

	(void)state;
	refuse_all(texts, NR_OF(texts));
}

static void test_long_name(void **state)
{
	char *text = malloc(5000);
	struct vmdk_descriptor d;

	(void)state;
	assert_non_null(text);
	snprintf(text, 5000, "RW 8 FLAT \"%04095d\" 0\n", 0);
	accept(text, &d);
	assert_int_equal(strlen(d.extents[0].name), 4095);
	vmdk_descriptor_free(&d);
	snprintf(text, 5000, "RW 8 FLAT \"%04096d\" 0\n", 0);
	assert_int_equal(parse(text, &d), -EINVAL);
	assert_non_null(strstr(fault.text, "4096 bytes"));
	snprintf(text, 5000, "parentFileNameHint=\"%04096d\"\n", 0);
	assert_int_equal(parse(text, &d), -EINVAL);
	assert_non_null(strstr(fault.text, "4096 bytes"));
	free(text);
}

/* A sound text with one byte changed or cut off never does harm. */
static void test_every_byte(void **state)
{
	static const char sound[] = HEAD EXTENT
		"ddb.longContentID = \"c30e9133f6a8e34df61188c51010a8cd\"\n";
	static const char bytes[] = "\0\"= \n\r#0Z\x80\xff";
	char text[sizeof(sound)];
	struct vmdk_descriptor d;
	size_t i, j;

	(void)state;
	for (i = 0; i < sizeof(sound) - 1; i++) {
		if (!parse_bytes(sound, i, &d))
			vmdk_descriptor_free(&d);
		for (j = 0; j < sizeof(bytes); j++) {
			memcpy(text, sound, sizeof(sound));
			text[i] = bytes[j];
			if (!parse_bytes(text, sizeof(sound) - 1, &d))
				vmdk_descriptor_free(&d);
		}
	}
}

/* ---------------------------------------------------------- real samples */

struct sample {
	const char *path;
	size_t offset, size;	/* of the text; size 0: all */
	uint64_t sectors;
	enum vmdk_extent_type type;
	const char *create_type;
	uint32_t cid;
};

static char *read_sample(const struct sample *s, size_t *size)
{
	const char *root = getenv("VMDK_SAMPLES");
	char path[4096], *text;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", root, s->path);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fseek(f, s->offset, SEEK_SET), 0);
	*size = s->size ? s->size : 4096;
	text = malloc(*size);
	assert_non_null(text);
	*size = fread(text, 1, *size, f);
	fclose(f);
	return text;
}

static void check_sample(const struct sample *s)
{
	struct vmdk_descriptor d;
	size_t size;
	char *text = read_sample(s, &size);
	int ret = parse_bytes(text, size, &d);

	if (ret)
		print_error("%s: %s\n", s->path, fault.text);
	assert_int_equal(ret, 0);
	assert_int_equal(d.nr_extents, 1);
	assert_int_equal(d.sectors, s->sectors);
	assert_int_equal(d.extents[0].type, s->type);
	assert_string_equal(d.create_type, s->create_type);
	assert_int_equal(d.cid, s->cid);
	assert_int_equal(d.cid_span.length, 8);
	assert_int_equal(strtoul(text + d.cid_span.offset, NULL, 16), s->cid);
	vmdk_descriptor_free(&d);
	free(text);
}

static void test_samples(void **state)
{
	static const struct sample samples[] = {
		{ "descriptors/esxi-rdm-physical.vmdk", 0, 0, 1048576000,
		  VMDK_TYPE_VMFSRDM, "vmfsPassthroughRawDeviceMap", 0x6c6fb67d },
		{ "descriptors/esxi-snapshot-v2.vmdk", 0, 0, 1048576000,
		  VMDK_TYPE_VMFSSPARSE, "vmfsSparse", 0xd9c73e0a },
		{ "descriptors/vbox-createrawvmdk-physicaldrive3.vmdk", 0, 0,
		  8036352, VMDK_TYPE_FLAT, "fullDevice", 0xdb9f2dfb },
		{ "descriptors/vmware-fulldevice-sdb.vmdk", 0, 0, 976773168,
		  VMDK_TYPE_FLAT, "fullDevice", 0x7e245252 },
		{ "split/tw_sparse.vmdk", 0, 0, 8192, VMDK_TYPE_SPARSE,
		  "twoGbMaxExtentSparse", 0xcabccc3c },
		{ "vmware-10m/monolithicFlat.vmdk", 0, 0, 20480,
		  VMDK_TYPE_FLAT, "monolithicFlat", 0 },
		{ "vmware-10m/twoGbMaxExtentSparse.vmdk", 0, 0, 20480,
		  VMDK_TYPE_SPARSE, "twoGbMaxExtentSparse", 0 },
		{ "vmware-10m/monolithicSparse.vmdk", 512, 10240, 20480,
		  VMDK_TYPE_SPARSE, "monolithicSparse", 0 },
		{ "vmware-10m/streamOptimized.vmdk", 512, 10240, 20480,
		  VMDK_TYPE_SPARSE, "streamOptimized", 0 },
		{ "ext2/ext2.vmdk", 512, 10240, 8192, VMDK_TYPE_SPARSE,
		  "monolithicSparse", 0xdc80b6c7 },
		{ "converter/streamOptimizedWithMarkers.vmdk", 512, 512, 2048,
		  VMDK_TYPE_SPARSE, "streamOptimized", 0x7e5b80a7 },
		{ "version3/iotest-version3.vmdk", 512, 512, 2097152,
		  VMDK_TYPE_SPARSE, "streamOptimized", 0xb1ccbfdc },
		{ "virtualbox/test.vmdk", 512, 1024, 8192,
		  VMDK_TYPE_SPARSE, "streamOptimized", 0xe4a19e81 },
		{ "esxi-export/blank.vmdk", 512, 512, 16777216,
		  VMDK_TYPE_SPARSE, "streamOptimized", 0x0dc3c2a9 },
		{ "vmdktool/input.vmdk", 512, 512, 2097152,
		  VMDK_TYPE_SPARSE, "streamOptimized", 0x278f54ff },
	};
	/* whoever published this one blanked its CID */
	static const struct sample blanked = {
		.path = "descriptors/esxi-vmfs-v3-ctk.vmdk",
	};
	struct vmdk_descriptor d;
	size_t i, size;
	char *text, *at;

	(void)state;
	if (!getenv("VMDK_SAMPLES"))
		skip();
	for (i = 0; i < NR_OF(samples); i++)
		check_sample(&samples[i]);
	text = read_sample(&blanked, &size);
	assert_int_equal(parse_bytes(text, size, &d), -EINVAL);
	assert_non_null(strstr(fault.text, "IDHERE"));
	at = memmem(text, size, "IDHERE", 6);
	memcpy(at, "c0ffee", 6);
	assert_int_equal(parse_bytes(text, size, &d), 0);
	assert_int_equal(d.version, 3);
	assert_string_equal(d.change_track, "VMname-ctk.vmdk");
	vmdk_descriptor_free(&d);
	free(text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_tolerated),
		cmocka_unit_test(test_spans),
		cmocka_unit_test(test_line_ends),
		cmocka_unit_test(test_nul_ends),
		cmocka_unit_test(test_utf16),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_not_a_descriptor),
		cmocka_unit_test(test_bad_keys),
		cmocka_unit_test(test_bad_sectors),
		cmocka_unit_test(test_many_extents),
		cmocka_unit_test(test_bad_offsets),
		cmocka_unit_test(test_bad_words),
		cmocka_unit_test(test_bad_names),
		cmocka_unit_test(test_long_name),
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_samples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
