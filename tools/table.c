// SPDX-License-Identifier: GPL-2.0
/*
 * Rows of typed cells, printed as a table by libsmartcols or as JSON by
 * json-c.  The one place that knows what -o, -n, --raw, -b and -J mean.
 */
#define _GNU_SOURCE	/* mempcpy, newlocale */
#include <ctype.h>
#include <getopt.h>
#include <inttypes.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include <libsmartcols/libsmartcols.h>

#include "printable.h"
#include "vmdkctl.h"

#define TABLE_COLUMNS_MAX	64
#define TABLE_OPTIONS		6
#define OPTION_RAW		0x100	/* it has no letter */

struct cell {
	bool set;
	char *string;
	uint64_t number;
	struct vmdk_geom chs;
};

struct table {
	const struct table_column *columns;
	size_t nr_columns;
	struct table_options opt;
	size_t selected[TABLE_COLUMNS_MAX];
	size_t nr_selected;
	struct cell *cells;	/* row by row */
	size_t nr_rows, max_rows;
};

static bool take_option(int option, struct table_options *opt)
{
	switch (option) {
	case 'o':
		opt->output = optarg;
		return true;
	case 'n':
		opt->noheadings = true;
		return true;
	case OPTION_RAW:
		opt->raw = true;
		return true;
	case 'b':
		opt->bytes = true;
		return true;
	case 'J':
		opt->json = true;
		return true;
	}
	return false;
}

/**
 * table_getopt - the next option of a verb that prints a table
 * @argc: of the verb
 * @argv: of the verb
 * @extra: options that the verb has besides, at most TABLE_EXTRA_MAX and an
 *	empty one, or NULL; only those without argument may be a letter
 * @opt: receives the options that are about output
 *
 * Return: 'h' for --help, a value of @extra, '?' for a wrong option after a line
 * on stderr, or -1 after the last one.
 */
int table_getopt(int argc, char **argv, const struct option *extra,
		 struct table_options *opt)
{
	struct option options[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "noheadings", no_argument, NULL, 'n' },
		{ "raw", no_argument, NULL, OPTION_RAW },
		{ "bytes", no_argument, NULL, 'b' },
		{ "json", no_argument, NULL, 'J' },
		{ "help", no_argument, NULL, 'h' },
		[TABLE_OPTIONS + TABLE_EXTRA_MAX] = { NULL, 0, NULL, 0 },
	};
	char letters[sizeof("o:nbJh") + TABLE_EXTRA_MAX] = "o:nbJh";
	size_t i;
	int c;

	for (i = 0; extra && extra[i].name; i++) {
		options[TABLE_OPTIONS + i] = extra[i];
		if (extra[i].val < OPTION_RAW)
			letters[strlen(letters)] = (char)extra[i].val;
	}
	do
		c = getopt_long(argc, argv, letters, options, NULL);
	while (take_option(c, opt));
	return c;
}

/**
 * table_print_columns - print what --output takes, for --help
 * @columns: of the table
 * @nr: how many
 */
void table_print_columns(const struct table_column *columns, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++)
		printf(" %-16s %s\n", columns[i].name, columns[i].help);
}

static int select_column(struct table *table, const char *name)
{
	size_t i;

	for (i = 0; i < table->nr_columns; i++)
		if (!strcasecmp(name, table->columns[i].name))
			break;
	if (i == table->nr_columns) {
		vmdkctl_error("--output: there is no column '%s'", name);
		return -1;
	}
	if (table->nr_selected == TABLE_COLUMNS_MAX) {
		vmdkctl_error("--output: more than %d columns",
			      TABLE_COLUMNS_MAX);
		return -1;
	}
	table->selected[table->nr_selected++] = i;
	return 0;
}

/* A program that reads JSON picks what it needs: it gets all. */
static int select_columns(struct table *table)
{
	const char *output = table->opt.output;
	char *list, *next, *name;
	int ret = 0;
	size_t i;

	for (i = 0; i < table->nr_columns && (!output || *output == '+'); i++)
		if (!table->columns[i].extra || (table->opt.json && !output))
			table->selected[table->nr_selected++] = i;
	if (!output)
		return 0;
	list = vmdkctl_format("%s", output + (*output == '+'));
	next = list;
	while (!ret && (name = strsep(&next, ",")))
		ret = select_column(table, name);
	free(list);
	return ret;
}

/**
 * table_new - begin a table
 * @columns: what it may have; used as long as the table is
 * @nr: how many, at most 64
 * @opt: how it shall be printed
 *
 * Return: the table; NULL when --output is wrong, after a line on stderr.
 */
struct table *table_new(const struct table_column *columns, size_t nr,
			const struct table_options *opt)
{
	struct table *table = vmdkctl_grow(NULL, 1, sizeof(*table));

	memset(table, 0, sizeof(*table));
	table->columns = columns;
	table->nr_columns = nr;
	table->opt = *opt;
	if (!select_columns(table))
		return table;
	table_free(table);
	return NULL;
}

/**
 * table_free - give back a table
 * @table: it, or NULL
 */
void table_free(struct table *table)
{
	size_t i;

	if (!table)
		return;
	for (i = 0; i < table->nr_rows * table->nr_columns; i++)
		free(table->cells[i].string);
	free(table->cells);
	free(table);
}

/**
 * table_add_row - begin a row; the table_set functions fill the last one
 * @table: to add to
 */
void table_add_row(struct table *table)
{
	size_t nr = table->nr_columns;

	if (table->nr_rows == table->max_rows) {
		table->max_rows = table->max_rows ? 2 * table->max_rows : 16;
		table->cells = vmdkctl_grow(table->cells, table->max_rows,
					    nr * sizeof(struct cell));
	}
	memset(table->cells + table->nr_rows * nr, 0, nr * sizeof(struct cell));
	table->nr_rows++;
}

/**
 * table_rows - how many rows there are
 * @table: in question
 *
 * Return: their number.
 */
size_t table_rows(const struct table *table)
{
	return table->nr_rows;
}

static struct cell *get_cell(const struct table *table, size_t row,
			     size_t column)
{
	return &table->cells[row * table->nr_columns + column];
}

static struct cell *set_cell(struct table *table, size_t column)
{
	struct cell *cell = get_cell(table, table->nr_rows - 1, column);

	cell->set = true;
	return cell;
}

/**
 * table_set_string - fill a TABLE_STRING cell of the last row
 * @table: to fill
 * @column: of the cell
 * @value: any bytes; NULL leaves it empty
 */
void table_set_string(struct table *table, size_t column, const char *value)
{
	if (value)
		set_cell(table, column)->string = vmdkctl_format("%s", value);
}

/**
 * table_set_number - fill a TABLE_NUMBER or TABLE_SIZE cell of the last row
 * @table: to fill
 * @column: of the cell
 * @value: the number, or bytes
 */
void table_set_number(struct table *table, size_t column, uint64_t value)
{
	set_cell(table, column)->number = value;
}

/**
 * table_set_bool - fill a TABLE_BOOL cell of the last row
 * @table: to fill
 * @column: of the cell
 * @value: for it
 */
void table_set_bool(struct table *table, size_t column, bool value)
{
	set_cell(table, column)->number = value;
}

/**
 * table_set_chs - fill a TABLE_CHS cell of the last row
 * @table: to fill
 * @column: of the cell
 * @value: a geometry; without a cylinder it leaves the cell empty
 */
void table_set_chs(struct table *table, size_t column,
		   const struct vmdk_geom *value)
{
	if (value->cylinders)
		set_cell(table, column)->chs = *value;
}

/* 10240 is "10K", 1536 is "1.5K": one digit after the point, unless it is 0. */
static char *format_size(uint64_t bytes)
{
	static const char suffixes[] = "BKMGTPE";
	unsigned int shift = 0, unit = 0;
	uint64_t whole, tenths;

	while (bytes >> shift >= 1024) {
		shift += 10;
		unit++;
	}
	whole = bytes >> shift;
	tenths = unit ? ((bytes >> (shift - 10) & 1023) * 10 + 512) >> 10 : 0;
	whole += tenths / 10;
	tenths %= 10;
	if (tenths)
		return vmdkctl_format("%" PRIu64 ".%" PRIu64 "%c", whole,
				      tenths, suffixes[unit]);
	return vmdkctl_format("%" PRIu64 "%c", whole, suffixes[unit]);
}

static char *cell_text(const struct table *table, size_t row, size_t column)
{
	const struct cell *cell = get_cell(table, row, column);

	if (!cell->set)
		return vmdkctl_format("%s", "");
	switch (table->columns[column].type) {
	case TABLE_STRING:
		return vmdkctl_format("%s", cell->string);
	case TABLE_SIZE:
		if (!table->opt.bytes)
			return format_size(cell->number);
		break;
	case TABLE_CHS:
		return vmdkctl_format("%u/%u/%u", cell->chs.cylinders,
				      cell->chs.heads, cell->chs.sectors);
	case TABLE_NUMBER:
	case TABLE_BOOL:
		break;
	}
	return vmdkctl_format("%" PRIu64, cell->number);
}

static bool is_right_aligned(enum table_type type)
{
	return type != TABLE_STRING && type != TABLE_CHS;
}

static struct libscols_table *new_scols(const struct table *table)
{
	struct libscols_table *tb;

	scols_init_debug(0);
	tb = scols_new_table();
	if (!tb)
		return NULL;
	scols_table_enable_noheadings(tb, table->opt.noheadings);
	scols_table_enable_raw(tb, table->opt.raw);
	return tb;
}

static int add_line(const struct table *table, size_t row,
		    struct libscols_table *tb)
{
	struct libscols_line *line = scols_table_new_line(tb, NULL);
	char *text;
	size_t i;

	if (!line)
		return -1;
	for (i = 0; i < table->nr_selected; i++) {
		text = cell_text(table, row, table->selected[i]);
		if (scols_line_refer_data(line, i, text)) {
			free(text);
			return -1;
		}
	}
	return 0;
}

static int print_scols(struct libscols_table *tb, int ret)
{
	if (!ret)
		ret = scols_print_table(tb);
	scols_unref_table(tb);
	if (ret)
		vmdkctl_error("the table cannot be printed");
	return ret ? -1 : 0;
}

/**
 * table_print - print a table as it was asked for, but not as JSON
 * @table: to print; without rows nothing is printed
 *
 * Return: 0, or -1 after a line on stderr.
 */
int table_print(const struct table *table)
{
	struct libscols_table *tb;
	size_t i;
	int ret = 0;

	if (!table->nr_rows)
		return 0;
	tb = new_scols(table);
	if (!tb)
		return print_scols(tb, -1);
	for (i = 0; i < table->nr_selected && !ret; i++) {
		const struct table_column *col =
			&table->columns[table->selected[i]];

		if (!scols_table_new_column(tb, col->name, 0,
					    is_right_aligned(col->type) ?
					    SCOLS_FL_RIGHT : 0))
			ret = -1;
	}
	for (i = 0; i < table->nr_rows && !ret; i++)
		ret = add_line(table, i, tb);
	return print_scols(tb, ret);
}

/* "Capacity:", from what --help says of the column. */
static char *label_text(const struct table_column *column)
{
	char *label = vmdkctl_format("%s:", column->help);

	label[0] = (char)toupper((unsigned char)label[0]);
	return label;
}

/* For people, a size is shown in both ways, and yes is not 1. */
static char *value_text(const struct table *table, size_t column)
{
	const struct cell *cell = get_cell(table, 0, column);
	char *text, *both;

	if (table->columns[column].type == TABLE_BOOL && !table->opt.raw)
		return vmdkctl_format("%s", cell->number ? "yes" : "no");
	text = cell_text(table, 0, column);
	if (table->columns[column].type != TABLE_SIZE || table->opt.bytes ||
	    table->opt.raw)
		return text;
	both = vmdkctl_format("%s (%" PRIu64 " bytes)", text, cell->number);
	free(text);
	return both;
}

/**
 * table_print_vertical - print the first row of a table, a line per cell
 * @table: to print; what is empty is left out
 *
 * Return: 0, or -1 after a line on stderr.
 */
int table_print_vertical(const struct table *table)
{
	struct libscols_table *tb = new_scols(table);
	struct libscols_line *line;
	int ret = 0;
	size_t i;

	if (!tb)
		return print_scols(tb, -1);
	scols_table_enable_noheadings(tb, 1);
	if (!scols_table_new_column(tb, "NAME", 0, 0) ||
	    !scols_table_new_column(tb, "VALUE", 0, 0))
		ret = -1;
	for (i = 0; i < table->nr_selected && !ret; i++) {
		size_t column = table->selected[i];

		if (!get_cell(table, 0, column)->set)
			continue;
		line = scols_table_new_line(tb, NULL);
		if (!line ||
		    scols_line_refer_data(line, 0, label_text(&table->columns[column])) ||
		    scols_line_refer_data(line, 1, value_text(table, column)))
			ret = -1;
	}
	return print_scols(tb, ret);
}

/**
 * table_json_string - a JSON string of any bytes
 * @text: names from an image may be in any encoding, or in none
 *
 * JSON is UTF-8.  A byte that is not becomes \xNN, as it does in a table.
 *
 * Return: the string.
 */
struct json_object *table_json_string(const char *text)
{
	locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	locale_t before = utf8 ? uselocale(utf8) : (locale_t)0;
	size_t len, left = strlen(text);
	char *clean = vmdkctl_grow(NULL, left + 1, 4);
	struct json_object *object;
	mbstate_t state = { 0 };
	char *out = clean;

	for (; left; left -= len, text += len) {
		len = mbrtowc(NULL, text, left, &state);
		if (len > left) {
			out += sprintf(out, "\\x%02x", (unsigned char)*text);
			memset(&state, 0, sizeof(state));
			len = 1;
		} else {
			out = mempcpy(out, text, len);
		}
	}
	*out = '\0';
	if (utf8) {
		uselocale(before);
		freelocale(utf8);
	}
	object = json_object_new_string(clean);
	free(clean);
	return object;
}

static struct json_object *chs_json(const struct vmdk_geom *chs)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "cylinders",
			       json_object_new_int64(chs->cylinders));
	json_object_object_add(object, "heads",
			       json_object_new_int64(chs->heads));
	json_object_object_add(object, "sectors",
			       json_object_new_int64(chs->sectors));
	return object;
}

static struct json_object *cell_json(const struct table *table, size_t row,
				     size_t column)
{
	const struct cell *cell = get_cell(table, row, column);

	if (!cell->set)
		return NULL;
	switch (table->columns[column].type) {
	case TABLE_STRING:
		return table_json_string(cell->string);
	case TABLE_BOOL:
		return json_object_new_boolean(cell->number != 0);
	case TABLE_CHS:
		return chs_json(&cell->chs);
	case TABLE_NUMBER:
	case TABLE_SIZE:
		break;
	}
	return json_object_new_uint64(cell->number);
}

/* GRAIN-SIZE is "grain_size": a name that jq takes without quotes. */
static void json_key(char *key, size_t size, const char *name)
{
	size_t i;

	for (i = 0; name[i] && i < size - 1; i++)
		key[i] = name[i] == '-' ? '_' : (char)tolower((unsigned char)name[i]);
	key[i] = '\0';
}

/**
 * table_row_json - one row as an object
 * @table: of the row
 * @row: its number
 *
 * Return: an object with a member for each selected column; null is empty.
 */
struct json_object *table_row_json(const struct table *table, size_t row)
{
	struct json_object *object = json_object_new_object();
	char key[32];
	size_t i;

	for (i = 0; i < table->nr_selected; i++) {
		size_t column = table->selected[i];

		json_key(key, sizeof(key), table->columns[column].name);
		json_object_object_add(object, key,
				       cell_json(table, row, column));
	}
	return object;
}

/**
 * table_json - all rows as an array
 * @table: of the rows
 *
 * Return: an array of objects.
 */
struct json_object *table_json(const struct table *table)
{
	struct json_object *array = json_object_new_array();
	size_t i;

	for (i = 0; i < table->nr_rows; i++)
		json_object_array_add(array, table_row_json(table, i));
	return array;
}

/* JSON may have U+0080 to U+009F as they are, but terminals may not. */
static int print_text(const char *text)
{
	const char *p = text;

	while ((p = strchr(p, '\xc2'))) {
		if (!vmdk_is_c1(*++p))
			continue;
		fwrite(text, 1, p - 1 - text, stdout);
		printf("\\u%04x", (unsigned char)*p);
		text = ++p;
	}
	return puts(text) < 0 || ferror(stdout) ? -1 : 0;
}

/**
 * table_print_json - print the one JSON document of a run
 * @value: printed as the member "vmdk" of an object; given back
 *
 * Return: 0, or -1 after a line on stderr.
 */
int table_print_json(struct json_object *value)
{
	struct json_object *root = json_object_new_object();
	const char *text;
	int ret;

	json_object_object_add(root, "vmdk", value);
	text = json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY |
						    JSON_C_TO_STRING_SPACED |
						    JSON_C_TO_STRING_NOSLASHESCAPE);
	ret = text ? print_text(text) : -1;
	json_object_put(root);
	if (ret)
		vmdkctl_error("the JSON text cannot be printed");
	return ret;
}
