// SPDX-License-Identifier: GPL-2.0
/*
 * Writes images of every kind that the driver can write to, empty or filled
 * from a raw file.
 *
 * Written from the format's description alone: shares no code, no structure and
 * no constant with the code under test.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define SECTOR		512
#define MAX_EXTENTS	64
#define DESC_SECTORS	20

struct extent {
	char access[16];
	char type[16];
	uint64_t sectors;
	uint64_t offset;	/* of a flat one in its file, in sectors */
	char name[256];		/* of its file */
};

static struct {
	const char *folder;
	const char *name;
	const char *type;
	const char *fill;
	const char *style;
	const char *cid;
	const char *long_id;
	const char *inner_name;	/* in the descriptor; NULL: the file's */
	uint64_t grain;
	uint64_t gtes;
	uint64_t gap;
	unsigned int version;
	bool no_rgd;
	bool zeroed_flag;
	bool zero_entries;
	bool lazy;
	bool scatter;
	bool vmfs_offset;
	struct extent extent[MAX_EXTENTS];
	unsigned int nr;
} opt = {
	.name = "disk", .type = "monolithicSparse", .style = "plain",
	.cid = "1234abcd", .grain = 128, .gtes = 512, .version = 1,
};

static int fill_fd = -1;

static void die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fputs("mkimage: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
	exit(2);
}

static uint64_t round_up(uint64_t v, uint64_t unit)
{
	return (v + unit - 1) / unit * unit;
}

static void *zalloc(size_t bytes)
{
	void *memory = calloc(1, bytes ? bytes : 1);

	if (!memory)
		die("out of memory");
	return memory;
}

static int create(const char *name)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", opt.folder, name);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	return fd;
}

static void write_at(int fd, const void *buf, size_t bytes, uint64_t pos)
{
	if (pwrite(fd, buf, bytes, (off_t)pos) != (ssize_t)bytes)
		die("write: %s", strerror(errno));
}

static void set_size(int fd, uint64_t bytes)
{
	if (ftruncate(fd, (off_t)bytes))
		die("truncate to %llu: %s", (unsigned long long)bytes,
		    strerror(errno));
}

/* Reads what the disk is to hold; false: zeros alone. */
static bool read_fill(uint8_t *buf, uint64_t sector, uint64_t n)
{
	ssize_t bytes = (ssize_t)(n * SECTOR), have = 0, i;

	memset(buf, 0, (size_t)bytes);
	while (fill_fd >= 0 && have < bytes) {
		ssize_t got = pread(fill_fd, buf + have, (size_t)(bytes - have),
				    (off_t)(sector * SECTOR + (uint64_t)have));

		if (got <= 0)
			break;
		have += got;
	}
	for (i = 0; i < have; i++)
		if (buf[i])
			return true;
	return false;
}

/* ------------------------------------------------------------ the descriptor */

struct text {
	char bytes[16384];
	size_t length;
	const char *newline;
};

static void line(struct text *t, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	t->length += (size_t)vsnprintf(t->bytes + t->length,
				       sizeof(t->bytes) - t->length, fmt, args);
	va_end(args);
	t->length += (size_t)snprintf(t->bytes + t->length,
				      sizeof(t->bytes) - t->length, "%s",
				      t->newline);
	if (t->length >= sizeof(t->bytes) - 1)
		die("the descriptor is too long");
}

static bool is_flat(const struct extent *e)
{
	return !strcmp(e->type, "FLAT") || !strcmp(e->type, "VMFS");
}

static void extent_line(struct text *t, const struct extent *e)
{
	const char *name = opt.inner_name ? opt.inner_name : e->name;
	char rest[320] = "";

	if (strcmp(e->type, "ZERO"))
		snprintf(rest, sizeof(rest), " \"%s\"", name);
	if (!strcmp(e->type, "FLAT"))
		snprintf(rest + strlen(rest), sizeof(rest) - strlen(rest),
			 " %llu", (unsigned long long)e->offset);
	else if (!strcmp(e->type, "VMFS") && opt.vmfs_offset)
		strcat(rest, " 0");
	line(t, "%s %llu %s%s", e->access, (unsigned long long)e->sectors,
	     e->type, rest);
}

/*
 * plain: as products write it; windows: their line ends; odd: quotes, blanks
 * and capitals where some writer or other has them; minimal: what cannot be
 * left out, and no newline at the end.
 */
static void make_descriptor(struct text *t)
{
	bool odd = !strcmp(opt.style, "odd");
	bool minimal = !strcmp(opt.style, "minimal");
	unsigned int i;

	t->length = 0;
	t->newline = strcmp(opt.style, "windows") ? "\n" : "\r\n";
	if (!minimal)
		line(t, "# Disk DescriptorFile");
	if (odd) {
		line(t, "");
		line(t, "  version = \"1\"");
		line(t, "encoding=\"windows-1252\"");
		line(t, "cid=%s ", opt.cid);
		line(t, "ParentCID=ffffffff  ");
		line(t, "createtype = %s", opt.type);
	} else {
		if (!minimal)
			line(t, "version=1");
		line(t, "CID=%s", opt.cid);
		if (!minimal)
			line(t, "parentCID=ffffffff");
		line(t, "createType=\"%s\"", opt.type);
	}
	if (!minimal)
		line(t, "# Extent description");
	for (i = 0; i < opt.nr; i++)
		extent_line(t, &opt.extent[i]);
	if (minimal) {
		t->length -= strlen(t->newline);
	} else {
		line(t, odd ? "# The disk Data Base " : "# The Disk Data Base");
		line(t, "#DDB");
		if (opt.long_id)
			line(t, "ddb.longContentID = \"%s\"", opt.long_id);
		line(t, "ddb.virtualHWVersion = \"4\"");
		line(t, "ddb.geometry.cylinders = \"20\"");
		line(t, "ddb.geometry.heads = \"16\"");
		line(t, "ddb.geometry.sectors = \"63\"");
		line(t, "ddb.adapterType = \"ide\"");
	}
}

/* ----------------------------------------------------------- sparse extents */

struct sparse {
	int fd;
	uint64_t start;		/* of the extent in the disk */
	uint64_t sectors;
	bool embedded;
	uint64_t gd[2];		/* 0: primary */
	uint64_t nr_tables, nr_grains;
	uint64_t gd_sectors, gt_sectors;
	uint64_t overhead;
	uint32_t *directory[2];
	uint32_t *table;	/* entries of all grains */
};

static unsigned int copies(void)
{
	return opt.no_rgd ? 1 : 2;
}

/* The entries of a huge and empty image are memory that nobody touches. */
static bool has_grains(void)
{
	return fill_fd >= 0;
}

static bool has_table(const struct sparse *s, uint64_t index)
{
	uint64_t i;

	for (i = 0; opt.lazy && has_grains() && i < opt.gtes; i++)
		if (s->table[index * opt.gtes + i])
			return true;
	return !opt.lazy;
}

/* Grains of an extent that gets one at all have their place already. */
static void lay_out(struct sparse *s)
{
	uint64_t next = 1 + (s->embedded ? DESC_SECTORS : 0) + opt.gap;
	unsigned int copy = copies();
	uint64_t i;

	while (copy--) {
		s->gd[copy] = next;
		next += s->gd_sectors;
		for (i = 0; i < s->nr_tables; i++) {
			if (!has_table(s, i))
				continue;
			s->directory[copy][i] = htole32((uint32_t)next);
			next += s->gt_sectors;
		}
		next += opt.gap;
	}
	s->overhead = round_up(next, opt.grain);
}

/* First which grains there are: 1 stands for one that is. */
static void find_grains(struct sparse *s)
{
	uint8_t *buf = zalloc(opt.grain * SECTOR);
	uint64_t i, n;

	for (i = 0; has_grains() && i < s->nr_grains; i++) {
		n = s->sectors - i * opt.grain;
		n = n < opt.grain ? n : opt.grain;
		s->table[i] = read_fill(buf, s->start + i * opt.grain, n);
	}
	free(buf);
}

static void put_grain(struct sparse *s, uint8_t *buf, uint64_t grain,
		      uint64_t place)
{
	uint64_t n = s->sectors - grain * opt.grain;

	memset(buf, 0, opt.grain * SECTOR);
	read_fill(buf, s->start + grain * opt.grain,
		  n < opt.grain ? n : opt.grain);
	write_at(s->fd, buf, opt.grain * SECTOR, place * SECTOR);
	s->table[grain] = (uint32_t)place;
}

/* In order, or from the last one to the first. */
static void put_grains(struct sparse *s)
{
	uint8_t *buf = zalloc(opt.grain * SECTOR);
	uint64_t place = s->overhead;
	uint64_t nr = has_grains() || opt.zero_entries ? s->nr_grains : 0;
	uint64_t i;

	for (i = 0; i < nr; i++) {
		uint64_t grain = opt.scatter ? s->nr_grains - 1 - i : i;

		if (s->table[grain]) {
			put_grain(s, buf, grain, place);
			place += opt.grain;
		} else if (opt.zero_entries && grain % 3 == 1) {
			s->table[grain] = 1;
		}
	}
	set_size(s->fd, place * SECTOR);
	free(buf);
}

static void put_tables(const struct sparse *s)
{
	uint32_t *out = zalloc(s->gt_sectors * SECTOR);
	unsigned int copy;
	uint64_t i, j;

	for (i = 0; i < s->nr_tables; i++) {
		if (!s->directory[0][i])
			continue;
		for (j = 0; j < opt.gtes; j++)
			out[j] = htole32(s->table[i * opt.gtes + j]);
		for (copy = 0; copy < copies(); copy++)
			write_at(s->fd, out, s->gt_sectors * SECTOR,
				 (uint64_t)le32toh(s->directory[copy][i]) *
				 SECTOR);
	}
	for (copy = 0; copy < copies(); copy++)
		write_at(s->fd, s->directory[copy], s->gd_sectors * SECTOR,
			 s->gd[copy] * SECTOR);
	free(out);
}

static void put32(uint8_t *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof(v));
}

static void put64(uint8_t *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, sizeof(v));
}

static void put_header(const struct sparse *s)
{
	uint8_t h[SECTOR] = "KDMV";

	put32(h + 4, opt.version);
	put32(h + 8, 1 | (opt.no_rgd ? 0 : 2) | (opt.zeroed_flag ? 4 : 0));
	put64(h + 12, s->sectors);
	put64(h + 20, opt.grain);
	put64(h + 28, s->embedded ? 1 : 0);
	put64(h + 36, s->embedded ? DESC_SECTORS : 0);
	put32(h + 44, (uint32_t)opt.gtes);
	put64(h + 48, opt.no_rgd ? 0 : s->gd[1]);
	put64(h + 56, s->gd[0]);
	put64(h + 64, s->overhead);
	memcpy(h + 73, "\n \r\n", 4);
	write_at(s->fd, h, sizeof(h), 0);
}

static void put_sparse(int fd, uint64_t start, const struct extent *e,
		       bool embedded)
{
	struct sparse s = {
		.fd = fd, .start = start, .sectors = e->sectors,
		.embedded = embedded,
	};

	s.nr_grains = round_up(s.sectors, opt.grain) / opt.grain;
	s.nr_tables = round_up(s.nr_grains, opt.gtes) / opt.gtes;
	s.gd_sectors = round_up(s.nr_tables * 4, SECTOR) / SECTOR;
	s.gt_sectors = round_up(opt.gtes * 4, SECTOR) / SECTOR;
	s.directory[0] = zalloc(s.gd_sectors * SECTOR);
	s.directory[1] = zalloc(s.gd_sectors * SECTOR);
	s.table = zalloc(s.nr_tables * opt.gtes * 4);
	find_grains(&s);
	lay_out(&s);
	put_grains(&s);
	put_tables(&s);
	put_header(&s);
	free(s.directory[0]);
	free(s.directory[1]);
	free(s.table);
}

/* ------------------------------------------------------------- flat extents */

static void put_flat(int fd, uint64_t start, const struct extent *e)
{
	uint8_t *buf = zalloc(2048 * SECTOR);
	uint64_t done, n;

	set_size(fd, (e->offset + e->sectors) * SECTOR);
	for (done = 0; fill_fd >= 0 && done < e->sectors; done += n) {
		n = e->sectors - done < 2048 ? e->sectors - done : 2048;
		if (read_fill(buf, start + done, n))
			write_at(fd, buf, n * SECTOR,
				 (e->offset + done) * SECTOR);
	}
	free(buf);
}

/* ----------------------------------------------------------------- the disk */

static bool is_monolithic_sparse(void)
{
	return !strcasecmp(opt.type, "monolithicSparse");
}

static void name_extents(void)
{
	unsigned int i;

	for (i = 0; i < opt.nr; i++) {
		struct extent *e = &opt.extent[i];

		if (is_monolithic_sparse())
			snprintf(e->name, sizeof(e->name), "%s.vmdk", opt.name);
		else if (opt.nr == 1 && is_flat(e))
			snprintf(e->name, sizeof(e->name), "%s-flat.vmdk",
				 opt.name);
		else
			snprintf(e->name, sizeof(e->name), "%s-%c%03u.vmdk",
				 opt.name, is_flat(e) ? 'f' : 's', i + 1);
	}
}

static void put_extents(void)
{
	uint64_t start = 0;
	unsigned int i;
	int fd;

	for (i = 0; i < opt.nr; i++) {
		const struct extent *e = &opt.extent[i];

		if (strcmp(e->type, "ZERO")) {
			fd = create(e->name);
			if (is_flat(e))
				put_flat(fd, start, e);
			else
				put_sparse(fd, start, e, is_monolithic_sparse());
			close(fd);
		}
		start += e->sectors;
	}
}

static void put_descriptor(void)
{
	static struct text text;
	char path[4096];
	int fd;

	make_descriptor(&text);
	snprintf(path, sizeof(path), "%s/%s.vmdk", opt.folder, opt.name);
	if (is_monolithic_sparse()) {
		if (text.length > DESC_SECTORS * SECTOR)
			die("the descriptor is too long");
		fd = open(path, O_WRONLY | O_CLOEXEC);
	} else {
		fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	}
	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	write_at(fd, text.bytes, text.length,
		 is_monolithic_sparse() ? SECTOR : 0);
	close(fd);
	puts(path);
}

/* ------------------------------------------------------------------ options */

static void usage(FILE *to)
{
	fputs("usage: mkimage [options] FOLDER\n"
	      "Writes FOLDER/NAME.vmdk, and what belongs to it, and prints its path.\n"
	      " --name NAME      (disk)\n"
	      " --type TYPE      createType (monolithicSparse)\n"
	      " --extent SPEC    SECTORS, in the way of the type; or\n"
	      "                  ACCESS:TYPE:SECTORS[:OFFSET]; repeatable\n"
	      " --fill FILE      raw content; grains of zeros stay absent\n"
	      " --grain SECTORS  (128)\n"
	      " --gtes N         entries of a table (512)\n"
	      " --no-rgd         one copy of the tables\n"
	      " --zeroed         the flag for zeroed-grain entries\n"
	      " --zero-entries   and some of those, for absent grains\n"
	      " --lazy           no tables for absent grains\n"
	      " --gap SECTORS    unused space before each directory and the data\n"
	      " --scatter        grains lie in reverse order\n"
	      " --version N      of the header (1)\n"
	      " --style STYLE    of the descriptor: plain, windows, odd, minimal\n"
	      " --inner-name N   what the descriptor calls every extent's file\n"
	      " --vmfs-offset    VMFS \"x\" 0 instead of VMFS \"x\"\n"
	      " --cid HEX        (1234abcd)\n"
	      " --long-id HEX    ddb.longContentID\n", to);
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t value = strtoull(text, &end, 0);

	if (end == text || *end)
		die("not a number: %s", text);
	return value;
}

static const char *usual_extent(void)
{
	if (!strncasecmp(opt.type, "vmfs", 4))
		return "VMFS";
	return strcasestr(opt.type, "Flat") ? "FLAT" : "SPARSE";
}

static void parse_extent(const char *text)
{
	struct extent *e = &opt.extent[opt.nr];
	unsigned long long length, offset = 0;

	if (opt.nr == MAX_EXTENTS)
		die("too many extents");
	if (!strchr(text, ':')) {
		strcpy(e->access, "RW");
		e->sectors = number(text);
	} else if (sscanf(text, "%15[^:]:%15[^:]:%llu:%llu", e->access, e->type,
			  &length, &offset) >= 3) {
		e->sectors = length;
		e->offset = offset;
	} else {
		die("not an extent: %s", text);
	}
	if (!e->sectors)
		die("an extent without sectors");
	opt.nr++;
}

enum {
	NAME = 256, TYPE, EXTENT, FILL, GRAIN, GTES, NO_RGD, ZEROED,
	ZERO_ENTRIES, LAZY, GAP, SCATTER, VERSION, STYLE, INNER_NAME,
	VMFS_OFFSET, CID, LONG_ID, HELP
};

static const struct option longs[] = {
	{ "name", 1, NULL, NAME }, { "type", 1, NULL, TYPE },
	{ "extent", 1, NULL, EXTENT }, { "fill", 1, NULL, FILL },
	{ "grain", 1, NULL, GRAIN }, { "gtes", 1, NULL, GTES },
	{ "no-rgd", 0, NULL, NO_RGD }, { "zeroed", 0, NULL, ZEROED },
	{ "zero-entries", 0, NULL, ZERO_ENTRIES }, { "lazy", 0, NULL, LAZY },
	{ "gap", 1, NULL, GAP }, { "scatter", 0, NULL, SCATTER },
	{ "version", 1, NULL, VERSION }, { "style", 1, NULL, STYLE },
	{ "inner-name", 1, NULL, INNER_NAME },
	{ "vmfs-offset", 0, NULL, VMFS_OFFSET }, { "cid", 1, NULL, CID },
	{ "long-id", 1, NULL, LONG_ID }, { "help", 0, NULL, HELP },
	{ NULL, 0, NULL, 0 }
};

static void parse_one(int c)
{
	switch (c) {
	case NAME:
		opt.name = optarg;
		break;
	case TYPE:
		opt.type = optarg;
		break;
	case EXTENT:
		parse_extent(optarg);
		break;
	case FILL:
		opt.fill = optarg;
		break;
	case GRAIN:
		opt.grain = number(optarg);
		break;
	case GTES:
		opt.gtes = number(optarg);
		break;
	case NO_RGD:
		opt.no_rgd = true;
		break;
	case ZEROED:
		opt.zeroed_flag = true;
		break;
	case ZERO_ENTRIES:
		opt.zeroed_flag = true;
		opt.zero_entries = true;
		break;
	case LAZY:
		opt.lazy = true;
		break;
	case GAP:
		opt.gap = number(optarg);
		break;
	case SCATTER:
		opt.scatter = true;
		break;
	case VERSION:
		opt.version = (unsigned int)number(optarg);
		break;
	case STYLE:
		opt.style = optarg;
		break;
	case INNER_NAME:
		opt.inner_name = optarg;
		break;
	case VMFS_OFFSET:
		opt.vmfs_offset = true;
		break;
	case CID:
		opt.cid = optarg;
		break;
	case LONG_ID:
		opt.long_id = optarg;
		break;
	case HELP:
		usage(stdout);
		exit(0);
	default:
		usage(stderr);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	unsigned int i;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		parse_one(c);
	if (argc - optind != 1 || !opt.nr || !opt.grain || !opt.gtes) {
		usage(stderr);
		return 2;
	}
	opt.folder = argv[optind];
	if (opt.fill) {
		fill_fd = open(opt.fill, O_RDONLY | O_CLOEXEC);
		if (fill_fd < 0)
			die("%s: %s", opt.fill, strerror(errno));
	}
	for (i = 0; i < opt.nr; i++)
		if (!opt.extent[i].type[0])
			strcpy(opt.extent[i].type, usual_extent());
	name_extents();
	put_extents();
	put_descriptor();
	return 0;
}
