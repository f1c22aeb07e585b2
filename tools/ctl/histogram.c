// SPDX-License-Identifier: MIT
/*
 * histogram: how the pages of a device are distributed over sizes, kinds,
 * codecs and ages, as bars, as a picture (picture.c) or as JSON. Sizes are
 * those of zsmalloc's size classes; other allocators have none.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "census.h"
#include <uzram/util/cleanup.h>
#include <uzram/util/size.h>

#define JSON_VERSION 1

/* Columns in front of the bars, and how long the longest bar is. */
#define TEXT_COLUMNS 57u
#define BAR_LEAST    8u
#define BAR_COLUMNS  60u

/*
 * struct drawing - how it is drawn
 * @bars: columns for them; 0: none
 */
struct drawing {
	unsigned int bars;
};

static double share(uint64_t part, uint64_t whole)
{
	return whole ? (double)part / (double)whole : 0;
}

static void draw_bar(const struct drawing *d, double of)
{
	if (d->bars && of > 0)
		printf("  %s", ctl_bar(of, d->bars).text);
	puts("");
}

/* One line of pages: of @all, the bar as long as that is. */
static void draw_pages(const struct drawing *d, const char *name,
		       uint64_t pages, uint64_t all, const char *more)
{
	printf("%-22s %10" PRIu64 " %3.0f %%", name, pages,
	       100 * share(pages, all));
	if (*more || (d->bars && pages))
		printf(" %6s", more);
	draw_bar(d, share(pages, all));
}

/* ---- sizes ---- */

static void draw_sizes(const struct drawing *d, const struct census *c)
{
	char memory[UZ_SIZE_TEXT], unused[UZ_SIZE_TEXT];
	struct census_sizes sizes;
	size_t i;

	census_sizes(c, &sizes);
	if (!sizes.all)
		return;
	if (!c->sized) {
		puts("\nThe allocator does not tell of sizes.");
		return;
	}
	puts("\nBytes in memory             pages         memory  unused");
	for (i = 0; i < CENSUS_ROWS; i++) {
		const struct census_row *row = &sizes.rows[i];

		if (i == CENSUS_ROWS - 1 && !row->objects)
			break;
		uz_size_format(row->memory, memory);
		uz_size_format(row->freeable, unused);
		printf("%-19s %13" PRIu64 " %3.0f %% %7s %7s", row->range,
		       row->objects, 100 * share(row->objects, sizes.all),
		       memory, unused);
		draw_bar(d, share(row->objects, sizes.most));
	}
}

/* ---- the rest ---- */

static void draw_kinds(const struct drawing *d, const struct census *c)
{
	struct census_kind kinds[CENSUS_KINDS];
	size_t i, nr = census_kinds(c, kinds);

	puts("\nPages                       of all");
	for (i = 0; i < nr; i++)
		draw_pages(d, kinds[i].name, kinds[i].pages, kinds[i].of, "");
}

static void draw_codecs(const struct drawing *d, const struct census *c)
{
	char ratio[32];
	size_t i;

	if (c->nr_codecs)
		puts("\nCodec                        pages       ratio");
	for (i = 0; i < c->nr_codecs; i++) {
		const struct census_codec *codec = &c->codecs[i];

		snprintf(ratio, sizeof(ratio), "%.1f:1",
			 share(codec->pages * UZ_PAGE_SIZE, codec->bytes));
		draw_pages(d, codec->name, codec->pages, c->pages, ratio);
	}
}

static void draw_ages(const struct drawing *d, const struct census *c)
{
	struct census_age_name name;
	int i;

	if (!c->aged)
		return;
	puts("\nLast used                    pages");
	for (i = 0; i < CENSUS_AGES; i++) {
		name = census_age_name(i);
		draw_pages(d, name.text, c->ages[i], c->aged, "");
	}
}

static void draw(const struct ctl_device *dev, const struct census *c,
		 bool plain)
{
	unsigned int columns = ctl_columns(STDOUT_FILENO);
	struct drawing d = { 0 };

	if (!plain && columns >= TEXT_COLUMNS + BAR_LEAST)
		d.bars = columns - TEXT_COLUMNS;
	if (d.bars > BAR_COLUMNS)
		d.bars = BAR_COLUMNS;
	printf("%s: %" PRIu64 " pages (%s) are stored.\n", dev->name, c->pages,
	       ctl_size_words(c->pages * UZ_PAGE_SIZE).text);
	if (!c->pages)
		return;
	draw_sizes(&d, c);
	draw_kinds(&d, c);
	draw_codecs(&d, c);
	draw_ages(&d, c);
}

/* ---- for programs ---- */

static json_t *json_uint(uint64_t value)
{
	return json_integer((json_int_t)value);
}

static json_t *json_classes(const struct census *c)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < c->nr_classes; i++) {
		const struct census_class *class = &c->classes[i];

		json_array_append_new(
			list, json_pack("{s:o,s:o,s:o,s:o,s:o}", "size",
					json_uint(class->size), "pages",
					json_uint(class->objects), "places",
					json_uint(class->places), "memory",
					json_uint(class->memory), "unused",
					json_uint(class->freeable)));
	}
	return list;
}

static json_t *json_codecs(const struct census *c)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < c->nr_codecs; i++)
		json_array_append_new(
			list,
			json_pack("{s:s,s:o,s:o}", "name", c->codecs[i].name,
				  "pages", json_uint(c->codecs[i].pages),
				  "bytes", json_uint(c->codecs[i].bytes)));
	return list;
}

static json_t *json_ages(const struct census *c)
{
	json_t *list = json_array();
	int i;

	for (i = 0; i < CENSUS_AGES && c->aged; i++)
		json_array_append_new(
			list, json_pack("{s:o,s:o}", "seconds",
					i < CENSUS_AGES - 1
						? json_uint(census_ages[i])
						: json_null(),
					"pages", json_uint(c->ages[i])));
	return list;
}

static int print_json(const struct ctl_device *dev, const struct census *c,
		      struct uz_err *err)
{
	json_t *root =
		json_pack("{s:i,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "version",
			  JSON_VERSION, "name", dev->name, "pages",
			  json_uint(c->pages), "same_pages", json_uint(c->same),
			  "huge_pages", json_uint(c->huge), "backed_pages",
			  json_uint(c->backed), "classes", json_classes(c),
			  "codecs", json_codecs(c), "ages", json_ages(c));
	int failed = !root;

	if (root && c->looked) {
		failed |= json_object_set_new(root, "idle_pages",
					      json_uint(c->idle));
		failed |= json_object_set_new(root, "recompressed_pages",
					      json_uint(c->recompressed));
	}
	if (!failed)
		failed = json_dumpf(root, stdout, JSON_INDENT(2));
	json_decref(root);
	if (failed)
		return uz_err_set(err, -ENOMEM, "%s: cannot print JSON",
				  dev->name);
	puts("");
	return 0;
}

enum uz_exit ctl_verb_histogram(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "plain", no_argument, NULL, 'p' },
		{ "svg", no_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct census census = { 0 };
	struct ctl_device dev;
	struct uz_err err;
	int c, form = 0, rc;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
		if (c == 'h')
			return ctl_help("histogram");
		if (c == '?')
			return UZ_EXIT_USAGE;
		form = c;
	}
	if (argc - optind != 1)
		return ctl_usage("histogram");
	rc = ctl_device_open(&dev, argv[optind], &err);
	if (!rc)
		rc = census_take(&census, &dev, &err);
	if (!rc && form == 'j')
		rc = print_json(&dev, &census, &err);
	else if (!rc && form == 's')
		census_picture(&census, dev.name);
	else if (!rc)
		draw(&dev, &census, form == 'p');
	census_free(&census);
	return rc ? ctl_fail(&err) : UZ_EXIT_OK;
}
