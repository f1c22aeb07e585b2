// SPDX-License-Identifier: MIT
/*
 * list: one row per device, with zramctl's columns in zramctl's order and
 * zramctl's own printer. PATH is ours.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <libsmartcols.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ctl.h"
#include <uzram/util/cleanup.h>
#include <uzram/util/size.h>
#include <uzram/util/users.h>

enum column {
	COL_NAME,
	COL_ALGORITHM,
	COL_DISKSIZE,
	COL_DATA,
	COL_COMPR,
	COL_TOTAL,
	COL_STREAMS,
	COL_MOUNTPOINT,
	COL_ZERO_PAGES,
	COL_MEM_LIMIT,
	COL_MEM_USED,
	COL_MIGRATED,
	COL_COMP_RATIO,
	COL_PATH,
	COLUMNS,
};

#define COLUMNS_DEFAULT (COL_MOUNTPOINT + 1)

enum kind {
	KIND_TEXT,
	KIND_SIZE,
	KIND_COUNT,
};

/* @stat: which statistic it shows, if that is all it does */
static const struct {
	const char *name;
	enum kind kind;
	const char *stat;
} columns[COLUMNS] = {
	[COL_NAME] = { "NAME", KIND_TEXT, NULL },
	[COL_ALGORITHM] = { "ALGORITHM", KIND_TEXT, NULL },
	[COL_DISKSIZE] = { "DISKSIZE", KIND_SIZE, NULL },
	[COL_DATA] = { "DATA", KIND_SIZE, "orig_data_size" },
	[COL_COMPR] = { "COMPR", KIND_SIZE, "compr_data_size" },
	[COL_TOTAL] = { "TOTAL", KIND_SIZE, "mem_used_total" },
	[COL_STREAMS] = { "STREAMS", KIND_COUNT, NULL },
	[COL_MOUNTPOINT] = { "MOUNTPOINT", KIND_TEXT, NULL },
	[COL_ZERO_PAGES] = { "ZERO-PAGES", KIND_COUNT, "same_pages" },
	[COL_MEM_LIMIT] = { "MEM-LIMIT", KIND_SIZE, "mem_limit" },
	[COL_MEM_USED] = { "MEM-USED", KIND_SIZE, "mem_used_max" },
	[COL_MIGRATED] = { "MIGRATED", KIND_COUNT, "pages_compacted" },
	[COL_COMP_RATIO] = { "COMP-RATIO", KIND_COUNT, NULL },
	[COL_PATH] = { "PATH", KIND_TEXT, NULL },
};

/*
 * struct printing - a table being filled
 * @list:  how it is to look
 * @table: libsmartcols' own
 */
struct printing {
	const struct ctl_list *list;
	struct libscols_table *table;
};

static int column_number(const char *name, size_t len)
{
	int i;

	for (i = 0; i < COLUMNS; i++)
		if (strlen(columns[i].name) == len &&
		    !strncasecmp(columns[i].name, name, len))
			return i;
	return -1;
}

static int list_columns(struct ctl_list *list, const char *text,
			struct uz_err *err)
{
	int i, number;
	size_t len;

	list->ncolumns = 0;
	if (*text == '+') {
		text++;
		for (i = 0; i < COLUMNS_DEFAULT; i++)
			list->columns[list->ncolumns++] = i;
	}
	do {
		len = strcspn(text, ",");
		number = column_number(text, len);
		if (number < 0)
			return uz_err_set(err, -EINVAL,
					  "-o: no column '%.*s'; "
					  "--output-all shows them all",
					  (int)(len > 40 ? 40 : len), text);
		if (list->ncolumns ==
		    sizeof(list->columns) / sizeof(*list->columns))
			return uz_err_set(err, -EINVAL, "-o: too many columns");
		list->columns[list->ncolumns++] = number;
		text += len;
	} while (*text++ == ',');
	return 0;
}

int ctl_list_option(struct ctl_list *list, int c, const char *arg,
		    struct uz_err *err)
{
	switch (c) {
	case 'n':
		list->noheadings = true;
		return 0;
	case 'b':
		list->bytes = true;
		return 0;
	case CTL_OPT_RAW:
		list->raw = true;
		return 0;
	case CTL_OPT_JSON:
		list->json = true;
		return 0;
	case CTL_OPT_ALL:
		for (c = 0; c < COLUMNS; c++)
			list->columns[c] = c;
		list->ncolumns = COLUMNS;
		return 0;
	default:
		return list_columns(list, arg, err);
	}
}

/* ---- one row ---- */

/*
 * struct row - what the cells of a row are made from
 * @dev:      the device
 * @stat:     its statistics
 * @disksize: and other attributes, as text
 */
struct row {
	const struct ctl_device *dev;
	char *stat;
	char *disksize;
	char *codec;
	char *streams;
};

static void row_free(struct row *row)
{
	free(row->stat);
	free(row->disksize);
	free(row->codec);
	free(row->streams);
}

static int row_read(struct row *row, const struct ctl_device *dev,
		    struct uz_err *err)
{
	int rc;

	*row = (struct row){ .dev = dev };
	rc = ctl_device_read(dev, "stat", &row->stat, err);
	if (!rc)
		rc = ctl_device_read(dev, "disksize", &row->disksize, err);
	if (!rc)
		rc = ctl_device_codec(dev, &row->codec, err);
	if (!rc)
		rc = ctl_device_read(dev, "max_comp_streams", &row->streams,
				     err);
	if (rc)
		row_free(row);
	return rc;
}

/* Where a file system on it is mounted, or [SWAP]. */
static char *row_mountpoint(const struct row *row)
{
	struct uz_users users = { 0 };
	char *text = NULL;
	size_t i;

	if (ctl_users(row->dev, false, &users, NULL))
		return NULL;
	for (i = 0; i < users.count && !text; i++) {
		if (users.list[i].kind == UZ_USER_MOUNT)
			text = strdup(users.list[i].path);
		else if (users.list[i].kind == UZ_USER_SWAP)
			text = strdup("[SWAP]");
	}
	uz_users_free(&users);
	return text;
}

static char *format_size(uint64_t size, bool bytes)
{
	char text[UZ_SIZE_TEXT + 8];

	if (bytes)
		snprintf(text, sizeof(text), "%" PRIu64, size);
	else
		uz_size_format(size, text);
	return strdup(text);
}

static char *row_ratio(const struct row *row)
{
	uint64_t total = ctl_stat_number(row->stat, "mem_used_total");
	uint64_t data = ctl_stat_number(row->stat, "orig_data_size");
	char text[32];

	if (!total)
		return NULL;
	snprintf(text, sizeof(text), "%.4f", (double)data / (double)total);
	return strdup(text);
}

/* The text of a cell, from malloc; NULL for an empty one. */
static char *row_cell(const struct row *row, enum column column, bool bytes)
{
	char path[CTL_PATH_MAX], text[32];
	uint64_t number;

	if (columns[column].stat) {
		number = ctl_stat_number(row->stat, columns[column].stat);
		if (columns[column].kind == KIND_SIZE)
			return format_size(number, bytes);
		snprintf(text, sizeof(text), "%" PRIu64, number);
		return strdup(text);
	}
	switch ((int)column) {
	case COL_NAME:
		return strdup(row->dev->name);
	case COL_ALGORITHM:
		return strdup(row->codec);
	case COL_DISKSIZE:
		return format_size(strtoull(row->disksize, NULL, 10), bytes);
	case COL_STREAMS:
		return strdup(row->streams);
	case COL_MOUNTPOINT:
		return row_mountpoint(row);
	case COL_COMP_RATIO:
		return row_ratio(row);
	case COL_PATH:
		ctl_device_path(row->dev, "block", path);
		return strdup(path);
	default:
		return NULL;
	}
}

static int add_row(const struct ctl_device *dev, void *arg, struct uz_err *err)
{
	struct printing *p = arg;
	struct libscols_line *line;
	struct row row;
	size_t i;
	char *cell;

	/* A device that has just gone is simply no longer in the table. */
	if (row_read(&row, dev, err))
		return err->code == -ENOMEM || err->code == -EACCES ? err->code
								    : 0;
	line = scols_table_new_line(p->table, NULL);
	for (i = 0; line && i < p->list->ncolumns; i++) {
		cell = row_cell(&row, (enum column)p->list->columns[i],
				p->list->bytes || p->list->json);
		if (cell)
			scols_line_refer_data(line, i, cell);
	}
	row_free(&row);
	return line ? 0 : uz_err_set(err, -ENOMEM, "out of memory");
}

/* ---- the table ---- */

static int table_make(struct printing *p)
{
	size_t i;

	p->table = scols_new_table();
	if (!p->table)
		return -ENOMEM;
	scols_table_set_name(p->table, "devices");
	scols_table_enable_raw(p->table, p->list->raw);
	scols_table_enable_json(p->table, p->list->json);
	scols_table_enable_noheadings(p->table, p->list->noheadings);
	for (i = 0; i < p->list->ncolumns; i++) {
		int n = p->list->columns[i];
		bool number = columns[n].kind != KIND_TEXT;
		struct libscols_column *column =
			scols_table_new_column(p->table, columns[n].name, 0,
					       number ? SCOLS_FL_RIGHT : 0);

		if (!column)
			return -ENOMEM;
		if (p->list->json && number)
			scols_column_set_json_type(column, SCOLS_JSON_NUMBER);
	}
	return 0;
}

static int add_named_rows(struct printing *p, char **names, int count,
			  struct uz_err *err)
{
	struct ctl_device dev;
	int i, rc = 0;

	for (i = 0; i < count && !rc; i++) {
		rc = ctl_device_open(&dev, names[i], err);
		if (!rc)
			rc = add_row(&dev, p, err);
	}
	return rc;
}

enum uz_exit ctl_list_print(const struct ctl_list *list, char **names,
			    int count)
{
	struct ctl_list defaulted = *list;
	struct printing p = { .list = &defaulted };
	struct uz_err err = { 0 };
	int rc;

	if (!defaulted.ncolumns)
		for (rc = 0; rc < COLUMNS_DEFAULT; rc++)
			defaulted.columns[defaulted.ncolumns++] = rc;
	rc = table_make(&p);
	if (rc)
		uz_err_set(&err, rc, "out of memory");
	else if (count)
		rc = add_named_rows(&p, names, count, &err);
	else
		rc = ctl_device_each(add_row, &p, &err);
	if (!rc)
		scols_print_table(p.table);
	scols_unref_table(p.table);
	return rc ? ctl_fail(&err) : UZ_EXIT_OK;
}

enum uz_exit ctl_verb_list(int argc, char **argv)
{
	static const struct option options[] = {
		CTL_LIST_LONG,
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct ctl_list list = { 0 };
	struct uz_err err;
	int c;

	while ((c = getopt_long(argc, argv, CTL_LIST_SHORT "h", options,
				NULL)) >= 0) {
		if (c == 'h')
			return ctl_help("list");
		if (c == '?')
			return UZ_EXIT_USAGE;
		if (ctl_list_option(&list, c, optarg, &err)) {
			ctl_fail(&err);
			return UZ_EXIT_USAGE;
		}
	}
	return ctl_list_print(&list, argv + optind, argc - optind);
}
