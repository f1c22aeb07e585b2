// SPDX-License-Identifier: MIT
/*
 * histogram --svg: a census as a picture, for reports and web pages: groups of
 * rows, each with a name, a bar and its number. Bars of a group are of one
 * scale; a page is as wide for all, and as high as it needs to be.
 */
#include <inttypes.h>
#include <stdio.h>

#include "census.h"

enum {
	WIDTH = 640,
	MARGIN = 20,
	BAR_X = 190, /* behind the names */
	BAR_MAX = 300, /* of the longest; its number has room behind it */
	BAR_HEIGHT = 12,
	ROW = 18,
	HEADING = 34,
	HEADINGS = 4,
};

/*
 * struct line - a row, or a heading
 * @name:  of it
 * @pages: how many; of a heading none
 * @of:    that fill the width of a bar; 0: a heading
 * @all:   that are 100 %
 */
struct line {
	char name[80];
	uint64_t pages;
	uint64_t of;
	uint64_t all;
};

struct picture {
	struct line lines[HEADINGS + CENSUS_ROWS + CENSUS_KINDS +
			  CENSUS_CODECS + CENSUS_AGES];
	size_t nr;
};

static void add(struct picture *p, const char *name, uint64_t pages,
		uint64_t of, uint64_t all)
{
	struct line *line = &p->lines[p->nr++];

	snprintf(line->name, sizeof(line->name), "%.79s", name);
	line->pages = pages;
	line->of = of;
	line->all = all;
}

static void add_sizes(struct picture *p, const struct census *c)
{
	struct census_sizes sizes;
	size_t i;

	census_sizes(c, &sizes);
	if (!c->sized || !sizes.most)
		return;
	add(p, "Pages by bytes in memory", 0, 0, 0);
	for (i = 0; i < CENSUS_ROWS; i++)
		add(p, sizes.rows[i].range, sizes.rows[i].objects, sizes.most,
		    sizes.all);
}

static void add_kinds(struct picture *p, const struct census *c)
{
	struct census_kind kinds[CENSUS_KINDS];
	size_t i, nr = census_kinds(c, kinds);

	add(p, "Pages by kind", 0, 0, 0);
	for (i = 0; i < nr; i++)
		if (kinds[i].of)
			add(p, kinds[i].name, kinds[i].pages, kinds[i].of,
			    kinds[i].of);
}

static void add_codecs(struct picture *p, const struct census *c)
{
	size_t i;

	if (c->nr_codecs)
		add(p, "Pages by codec", 0, 0, 0);
	for (i = 0; i < c->nr_codecs; i++)
		add(p, c->codecs[i].name, c->codecs[i].pages, c->pages,
		    c->pages);
}

static void add_ages(struct picture *p, const struct census *c)
{
	int i;

	if (!c->aged)
		return;
	add(p, "Pages by last use", 0, 0, 0);
	for (i = 0; i < CENSUS_AGES; i++)
		add(p, census_age_name(i).text, c->ages[i], c->aged, c->aged);
}

/* Names come from people. */
static void put_text(const char *text)
{
	for (; *text; text++) {
		if (*text == '<')
			fputs("&lt;", stdout);
		else if (*text == '>')
			fputs("&gt;", stdout);
		else if (*text == '&')
			fputs("&amp;", stdout);
		else if ((unsigned char)*text >= ' ')
			putchar(*text);
	}
}

static void put_line(const struct line *line, int y)
{
	double width;

	if (!line->of) {
		printf("<text x=\"%d\" y=\"%d\" font-weight=\"bold\">", MARGIN,
		       y);
		put_text(line->name);
		puts("</text>");
		return;
	}
	width = BAR_MAX * ((double)line->pages / (double)line->of);
	printf("<text x=\"%d\" y=\"%d\">", MARGIN, y);
	put_text(line->name);
	printf("</text>\n<rect x=\"%d\" y=\"%d\" width=\"%.1f\" "
	       "height=\"%d\" fill=\"#0072b2\"/>\n",
	       BAR_X, y - BAR_HEIGHT + 2, width, BAR_HEIGHT);
	printf("<text x=\"%.1f\" y=\"%d\">%" PRIu64 " (%.0f %%)</text>\n",
	       BAR_X + width + 6, y, line->pages,
	       100 * ((double)line->pages / (double)line->all));
}

void census_picture(const struct census *c, const char *name)
{
	struct picture p = { .nr = 0 };
	int height = 2 * MARGIN + ROW, y = MARGIN + ROW;
	size_t i;

	if (c->pages) {
		add_sizes(&p, c);
		add_kinds(&p, c);
		add_codecs(&p, c);
		add_ages(&p, c);
	}
	for (i = 0; i < p.nr; i++)
		height += p.lines[i].of ? ROW : HEADING;
	printf("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" "
	       "height=\"%d\" font-family=\"sans-serif\" font-size=\"12\">\n"
	       "<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n"
	       "<text x=\"%d\" y=\"%d\" font-size=\"16\">",
	       WIDTH, height, MARGIN, y);
	put_text(name);
	printf(": %" PRIu64 " pages (%s)</text>\n", c->pages,
	       ctl_size_words(c->pages * UZ_PAGE_SIZE).text);
	for (i = 0; i < p.nr; i++) {
		y += p.lines[i].of ? ROW : HEADING;
		put_line(&p.lines[i], y);
	}
	puts("</svg>");
}
