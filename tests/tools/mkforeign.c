// SPDX-License-Identifier: GPL-2.0
/*
 * Writes a compressed, COWD or seSparse image of a raw file, sound or damaged.
 * Uses the writers of the unit tests, which share nothing with the driver.
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mkcowd.h"
#include "mksesparse.h"
#include "mkstream.h"

#define MAX_LIST	64

static const char usage[] =
	"usage: mkforeign stream|cowd|sesparse OUTPUT RAWFILE [OPTION...]\n"
	"Grains of zeros are left out.  All formats:\n"
	"  --grain N              sectors in a grain (not seSparse: always 8)\n"
	"  --zeros                keep grains of zeros\n"
	"  --reverse              the last grain comes first in the file\n"
	"  --show GRAIN           print at which byte its entry and data are\n"
	"  --poke BYTE:WIDTH:VALUE  in the end, put a little-endian number there\n"
	"stream (streamOptimized):\n"
	"  --place footer|behind|front  of the directory\n"
	"  --gtes N               entries in a table\n"
	"  --no-markers --rgd --progress --short-last --stored --cut\n"
	"  --pad N                bytes of junk behind the end\n"
	"  --damage GRAIN:KIND    lba, size-zero, size-most, size-past-end, short,\n"
	"                         long, bomb, header, dictionary, sum, raw, junk, bits\n"
	"cowd, sesparse:\n"
	"  --descriptor FILE      write one that names OUTPUT\n"
	"  --cid CID              in it; 12345678 if not given\n"
	"  --parent NAME:CID      in it\n"
	"cowd:\n"
	"  --stale-free           leave freeSector at the end of the directory\n"
	"sesparse:\n"
	"  --zero GRAIN, --unmapped GRAIN  of these types\n";

struct poke {
	uint64_t at;
	unsigned int width;
	uint64_t value;
};

struct list {
	uint64_t grain[MAX_LIST];
	unsigned int nr;
};

static struct {
	const char *format;
	const char *output;
	const char *raw;
	const char *descriptor;
	const char *cid;
	char *parent;
	struct mks_options stream;
	struct mkc_options cowd;
	uint64_t grain;
	bool zeros;
	bool reverse;
	struct list show, zero, unmapped, damaged;
	enum mks_damage damage[MAX_LIST];	/* of @damaged */
	struct poke poke[MAX_LIST];
	unsigned int nr_pokes;
} opt = { .cid = "12345678" };

static uint8_t *raw;		/* whole grains */
static uint64_t capacity;	/* sectors */
static size_t grain_bytes;
static uint64_t grains;

static __attribute__((noreturn, format(printf, 1, 2)))
void die(const char *fmt, ...)
{
	va_list args;

	fputs("mkforeign: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

static uint64_t parse_number(const char *text, char **end)
{
	char *stop;
	uint64_t v;

	errno = 0;
	v = strtoull(text, &stop, 0);
	if (errno || stop == text || (end ? *stop != ':' : *stop))
		die("%s: no number", text);
	if (end)
		*end = stop + 1;
	return v;
}

static void add(struct list *list, uint64_t grain)
{
	if (list->nr == MAX_LIST)
		die("too many options of one kind");
	list->grain[list->nr++] = grain;
}

static bool contains(const struct list *list, uint64_t grain, unsigned int *at)
{
	unsigned int i;

	for (i = 0; i < list->nr; i++) {
		if (list->grain[i] != grain)
			continue;
		if (at)
			*at = i;
		return true;
	}
	return false;
}

static void add_damage(const char *text)
{
	char *kind;
	uint64_t grain = parse_number(text, &kind);
	unsigned int i;

	for (i = 0; i < MKS_NR_DAMAGES; i++) {
		if (strcmp(kind, mks_damage_names[i]))
			continue;
		add(&opt.damaged, grain);
		opt.damage[opt.damaged.nr - 1] = i;
		return;
	}
	die("%s: no such damage", kind);
}

static void add_poke(const char *text)
{
	struct poke *p = &opt.poke[opt.nr_pokes++];
	char *rest;

	if (opt.nr_pokes > MAX_LIST)
		die("too many options of one kind");
	p->at = parse_number(text, &rest);
	p->width = (unsigned int)parse_number(rest, &rest);
	p->value = parse_number(rest, NULL);
	if (!p->width || p->width > 8)
		die("%s: the width is 1 to 8", text);
}

static void set_place(const char *name)
{
	if (!strcmp(name, "footer"))
		opt.stream.place = MKS_FOOTER;
	else if (!strcmp(name, "behind"))
		opt.stream.place = MKS_BEHIND;
	else if (!strcmp(name, "front"))
		opt.stream.place = MKS_FRONT;
	else
		die("%s: no such place", name);
}

enum {
	OPT_GRAIN = 256, OPT_ZEROS, OPT_REVERSE, OPT_SHOW, OPT_POKE, OPT_PLACE,
	OPT_GTES, OPT_PAD, OPT_DAMAGE, OPT_DESCRIPTOR, OPT_CID, OPT_PARENT,
	OPT_STALE_FREE, OPT_ZERO, OPT_UNMAPPED, OPT_HELP,
	OPT_STREAM_FLAG,	/* the bit is added */
};

static const struct option options[] = {
	{ "grain", required_argument, NULL, OPT_GRAIN },
	{ "zeros", no_argument, NULL, OPT_ZEROS },
	{ "reverse", no_argument, NULL, OPT_REVERSE },
	{ "show", required_argument, NULL, OPT_SHOW },
	{ "poke", required_argument, NULL, OPT_POKE },
	{ "place", required_argument, NULL, OPT_PLACE },
	{ "gtes", required_argument, NULL, OPT_GTES },
	{ "pad", required_argument, NULL, OPT_PAD },
	{ "damage", required_argument, NULL, OPT_DAMAGE },
	{ "descriptor", required_argument, NULL, OPT_DESCRIPTOR },
	{ "cid", required_argument, NULL, OPT_CID },
	{ "parent", required_argument, NULL, OPT_PARENT },
	{ "stale-free", no_argument, NULL, OPT_STALE_FREE },
	{ "zero", required_argument, NULL, OPT_ZERO },
	{ "unmapped", required_argument, NULL, OPT_UNMAPPED },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "no-markers", no_argument, NULL, OPT_STREAM_FLAG + MKS_NO_MARKERS },
	{ "rgd", no_argument, NULL, OPT_STREAM_FLAG + MKS_RGD },
	{ "progress", no_argument, NULL, OPT_STREAM_FLAG + MKS_PROGRESS },
	{ "short-last", no_argument, NULL, OPT_STREAM_FLAG + MKS_SHORT_LAST },
	{ "stored", no_argument, NULL, OPT_STREAM_FLAG + MKS_STORED },
	{ "cut", no_argument, NULL, OPT_STREAM_FLAG + MKS_CUT },
	{ 0 }
};

static void apply_number(int c, const char *text)
{
	uint64_t v = parse_number(text, NULL);

	if (c == OPT_GRAIN)
		opt.grain = v;
	else if (c == OPT_GTES)
		opt.stream.gtes = (uint32_t)v;
	else if (c == OPT_PAD)
		opt.stream.pad = v;
	else if (c == OPT_SHOW)
		add(&opt.show, v);
	else if (c == OPT_ZERO)
		add(&opt.zero, v);
	else
		add(&opt.unmapped, v);
}

static void apply(int c)
{
	switch (c) {
	case OPT_HELP:
		fputs(usage, stdout);
		exit(0);
	case OPT_ZEROS:
		opt.zeros = true;
		break;
	case OPT_REVERSE:
		opt.reverse = true;
		break;
	case OPT_STALE_FREE:
		opt.cowd.stale_free = true;
		break;
	case OPT_POKE:
		add_poke(optarg);
		break;
	case OPT_PLACE:
		set_place(optarg);
		break;
	case OPT_DAMAGE:
		add_damage(optarg);
		break;
	case OPT_DESCRIPTOR:
		opt.descriptor = optarg;
		break;
	case OPT_CID:
		opt.cid = optarg;
		break;
	case OPT_PARENT:
		opt.parent = optarg;
		break;
	case '?':
		fputs(usage, stderr);
		exit(2);
	default:
		if (c >= OPT_STREAM_FLAG)
			opt.stream.flags |= (uint32_t)(c - OPT_STREAM_FLAG);
		else
			apply_number(c, optarg);
	}
}

static void parse(int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		apply(c);
	if (argc - optind != 3) {
		fputs(usage, stderr);
		exit(2);
	}
	opt.format = argv[optind];
	opt.output = argv[optind + 1];
	opt.raw = argv[optind + 2];
}

static void read_raw(void)
{
	FILE *f = fopen(opt.raw, "rb");
	struct stat st;
	size_t size;

	if (!f || fstat(fileno(f), &st))
		die("%s: %s", opt.raw, strerror(errno));
	size = (size_t)st.st_size;
	capacity = (size + MK_SECTOR - 1) / MK_SECTOR;
	if (!capacity)
		die("%s: is empty", opt.raw);
	grains = (size + grain_bytes - 1) / grain_bytes;
	raw = calloc(grains, grain_bytes);
	if (!raw || fread(raw, 1, size, f) != size)
		die("%s: cannot be read", opt.raw);
	fclose(f);
}

/* The next grain to be written, counted from 0; NULL: it is left out. */
static const uint8_t *next_grain(uint64_t i, uint64_t *grain)
{
	const uint8_t *data;

	*grain = opt.reverse ? grains - 1 - i : i;
	data = raw + *grain * grain_bytes;
	if (opt.zeros || data[0] || memcmp(data, data + 1, grain_bytes - 1))
		return data;
	return NULL;
}

static void save(struct mk_image *image)
{
	unsigned int i;

	for (i = 0; i < opt.nr_pokes; i++)
		mk_put(image, opt.poke[i].at, opt.poke[i].width,
		       opt.poke[i].value);
	close(mk_save(image, opt.output));
}

static void show(uint64_t grain, uint64_t entry, uint64_t data)
{
	printf("grain %llu entry %llu data %llu\n", (unsigned long long)grain,
	       (unsigned long long)entry, (unsigned long long)data);
}

static void write_stream(void)
{
	struct mks_image m;
	unsigned int at;
	uint64_t i, grain;

	opt.stream.capacity = capacity;
	opt.stream.grain = opt.grain;
	mks_create(&m, &opt.stream);
	for (i = 0; i < grains; i++) {
		const uint8_t *data = next_grain(i, &grain);

		if (contains(&opt.damaged, grain, &at))
			mks_damaged_grain(&m, grain, raw + grain * grain_bytes,
					  opt.damage[at]);
		else if (data)
			mks_grain(&m, grain, data);
	}
	mks_finish(&m);
	printf("directory %llu footer %llu\n",
	       (unsigned long long)m.image.gd[0] * MK_SECTOR,
	       (unsigned long long)m.footer);
	for (i = 0; i < opt.show.nr; i++)
		show(opt.show.grain[i], mk_gte(&m.image, 0, opt.show.grain[i]),
		     mks_at(&m, opt.show.grain[i]));
	save(&m.image);
	mks_free(&m);
}

static void write_cowd(void)
{
	struct mkc_image m;
	uint64_t i, grain, entry;

	if (capacity > UINT32_MAX)
		die("%s: too large for COWD", opt.raw);
	opt.cowd.capacity = (uint32_t)capacity;
	opt.cowd.grain = (uint32_t)opt.grain;
	mkc_create(&m, &opt.cowd);
	for (i = 0; i < grains; i++) {
		const uint8_t *data = next_grain(i, &grain);

		if (data)
			mkc_map(&m, grain, data);
	}
	printf("directory %llu\n",
	       (unsigned long long)m.image.gd[0] * MK_SECTOR);
	for (i = 0; i < opt.show.nr; i++) {
		entry = mk_gte(&m.image, 0, opt.show.grain[i]);
		show(opt.show.grain[i], entry,
		     mk_get(&m.image, entry, 4) * MK_SECTOR);
	}
	save(&m.image);
	mkc_free(&m);
}

static void write_sesparse(void)
{
	struct mkse_image m;
	uint64_t i, grain, number_of = 0;

	mkse_create(&m, capacity);
	for (i = 0; i < grains; i++) {
		const uint8_t *data = next_grain(i, &grain);

		if (contains(&opt.zero, grain, NULL))
			mkse_entry(&m, grain, mkse_value(MKSE_ZERO, 0));
		else if (contains(&opt.unmapped, grain, NULL))
			mkse_entry(&m, grain, mkse_value(MKSE_UNMAPPED, 5));
		else if (data)
			number_of = mkse_map(&m, grain, data);
		if (data && contains(&opt.show, grain, NULL))
			show(grain, mkse_gte(&m, grain),
			     (m.grains + number_of * MKSE_GRAIN) * MK_SECTOR);
	}
	printf("directory %llu volatile %llu\n",
	       (unsigned long long)m.gd * MK_SECTOR,
	       (unsigned long long)m.volatile_header * MK_SECTOR);
	save(&m.image);
	mkse_free(&m);
}

static void write_descriptor(const char *create_type, const char *extent_type)
{
	const char *name = strrchr(opt.output, '/');
	const char *parent_cid = "ffffffff";
	char *colon = opt.parent ? strrchr(opt.parent, ':') : NULL;
	FILE *f = fopen(opt.descriptor, "w");

	if (!f)
		die("%s: %s", opt.descriptor, strerror(errno));
	if (opt.parent && !colon)
		die("%s: expected NAME:CID", opt.parent);
	if (colon) {
		*colon = '\0';
		parent_cid = colon + 1;
	}
	fprintf(f, "# Disk DescriptorFile\nversion=1\nCID=%s\nparentCID=%s\n"
		"createType=\"%s\"\n", opt.cid, parent_cid, create_type);
	if (colon)
		fprintf(f, "parentFileNameHint=\"%s\"\n", opt.parent);
	fprintf(f, "\n# Extent description\nRW %llu %s \"%s\"\n\n"
		"# The Disk Data Base\n#DDB\n\nddb.virtualHWVersion = \"7\"\n"
		"ddb.geometry.cylinders = \"%llu\"\nddb.geometry.heads = \"255\"\n"
		"ddb.geometry.sectors = \"63\"\nddb.adapterType = \"lsilogic\"\n",
		(unsigned long long)capacity, extent_type,
		name ? name + 1 : opt.output,
		(unsigned long long)capacity / (255 * 63));
	if (fclose(f))
		die("%s: %s", opt.descriptor, strerror(errno));
}

static void set_grain(uint64_t usual, uint64_t most)
{
	opt.grain = opt.grain ? opt.grain : usual;
	if (opt.grain > most)
		die("a grain has %llu sectors at most",
		    (unsigned long long)most);
	grain_bytes = opt.grain * MK_SECTOR;
	read_raw();
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	if (!strcmp(opt.format, "stream")) {
		set_grain(128, 131072);
		write_stream();
	} else if (!strcmp(opt.format, "cowd")) {
		set_grain(1, 2048);
		write_cowd();
		if (opt.descriptor)
			write_descriptor("vmfsSparse", "VMFSSPARSE");
	} else if (!strcmp(opt.format, "sesparse")) {
		set_grain(MKSE_GRAIN, MKSE_GRAIN);
		write_sesparse();
		if (opt.descriptor)
			write_descriptor("seSparse", "SESPARSE");
	} else {
		die("%s: no such format", opt.format);
	}
	free(raw);
	return 0;
}
