// SPDX-License-Identifier: MIT
/*
 * Bar charts as SVG: a title, a legend, and a grid of small panels, one for
 * each thing measured, each with a bar for each thing compared.
 *
 * Panels have their own linear scale that begins at 0, and every bar has its
 * value beside it: bars of one panel are comparable at a glance, and panels
 * whose values differ a hundredfold need no logarithms. Text is sized for a
 * page where the picture is shown 900 pixels wide.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

enum {
	MARGIN = 24,
	HEAD = 66, /* where the note begins */
	NOTE_ROW = 17,
	LEGEND_ROW = 22,
	PANEL_WIDTH = 280,
	PANEL_GAP = 20,
	PANEL_TITLE = 24,
	BAR = 16,
	BAR_STEP = 20,
	VALUE_ROOM = 86, /* for the text after the longest bar */
};

/* Distinct for the colour-blind too (Okabe and Ito), and on white. */
static const char *const colour[CHART_SERIES_MAX] = {
	"#0072b2", "#e69f00", "#009e73", "#cc79a7",
	"#56b4e9", "#d55e00", "#999999", "#f0e442",
};

static void put_text(FILE *out, double x, double y, int size, const char *extra,
		     const char *text)
{
	fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" font-size=\"%d\"%s>", x, y,
		size, extra);
	for (const char *p = text; *p; p++) {
		if (*p == '<')
			fputs("&lt;", out);
		else if (*p == '>')
			fputs("&gt;", out);
		else if (*p == '&')
			fputs("&amp;", out);
		else if ((unsigned char)*p >= ' ')
			fputc(*p, out);
	}
	fputs("</text>\n", out);
}

static void format_value(char text[32], double v, const char *unit)
{
	int digits = v >= 99.95 ? 0 : v >= 9.995 ? 1 : 2;

	snprintf(text, 32, "%.*f %s", digits, v, unit);
}

static void put_panel(const struct chart *c, const struct chart_panel *p,
		      double x, double y, FILE *out)
{
	double max = 0, room = PANEL_WIDTH - VALUE_ROOM;
	unsigned int row = 0;

	for (unsigned int i = 0; i < c->nr_series; i++)
		max = p->value[i] > max ? p->value[i] : max;
	put_text(out, x, y + 14, 13, " font-weight=\"bold\"", p->title);
	y += PANEL_TITLE;
	for (unsigned int i = 0; i < c->nr_series; i++) {
		double width = max > 0 ? p->value[i] / max * room : 0;
		char text[32];

		if (p->value[i] <= 0)
			continue;
		fprintf(out,
			"<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
			"height=\"%d\" fill=\"%s\"/>\n",
			x, y + row * BAR_STEP, width, BAR, colour[i]);
		format_value(text, p->value[i], p->unit);
		put_text(out, x + width + 5, y + row * BAR_STEP + 12.5, 12, "",
			 text);
		row++;
	}
	fprintf(out,
		"<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" "
		"stroke=\"#444\"/>\n",
		x, y - 3, x, y + (row ? row : 1) * BAR_STEP - 1);
}

/* Everything that depends on how much there is to show. */
struct layout {
	unsigned int width, height;
	unsigned int legend_width, legend_columns, legend_rows, legend_y;
	unsigned int panel_y, panel_height;
};

static unsigned int rows_of(unsigned int n, unsigned int columns)
{
	return (n + columns - 1) / columns;
}

static struct layout lay_out(const struct chart *c)
{
	unsigned int columns = c->columns ? c->columns : 1, lines = 1;
	struct layout l = { 0 };
	size_t longest = 0;

	for (unsigned int i = 0; i < c->nr_series; i++)
		if (strlen(c->series[i]) > longest)
			longest = strlen(c->series[i]);
	for (const char *p = c->note; *p; p++)
		lines += *p == '\n';
	l.width =
		2 * MARGIN + columns * PANEL_WIDTH + (columns - 1) * PANEL_GAP;
	l.legend_width = 36 + 8 * (unsigned int)longest;
	l.legend_columns = (l.width - 2 * MARGIN) / l.legend_width;
	if (!l.legend_columns)
		l.legend_columns = 1;
	l.legend_rows = rows_of(c->nr_series, l.legend_columns);
	l.legend_y = HEAD + lines * NOTE_ROW;
	l.panel_y = l.legend_y + l.legend_rows * LEGEND_ROW + PANEL_GAP;
	l.panel_height = PANEL_TITLE + c->nr_series * BAR_STEP + PANEL_GAP;
	l.height = l.panel_y + rows_of(c->nr_panels, columns) * l.panel_height;
	return l;
}

static void put_head(const struct chart *c, const struct layout *l, FILE *out)
{
	char note[sizeof(c->note)], *rest = note, *line;
	unsigned int y = HEAD;

	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" "
		"height=\"%u\" viewBox=\"0 0 %u %u\" "
		"font-family=\"DejaVu Sans, Helvetica, Arial, sans-serif\">\n"
		"<rect width=\"%u\" height=\"%u\" fill=\"#ffffff\"/>\n",
		l->width, l->height, l->width, l->height, l->width, l->height);
	put_text(out, MARGIN, MARGIN + 18, 20, " font-weight=\"bold\"",
		 c->title);
	memcpy(note, c->note, sizeof(note));
	while ((line = strsep(&rest, "\n"))) {
		put_text(out, MARGIN, y, 12, " fill=\"#555555\"", line);
		y += NOTE_ROW;
	}
	for (unsigned int i = 0; i < c->nr_series; i++) {
		unsigned int lx =
			MARGIN + i % l->legend_columns * l->legend_width;
		unsigned int ly =
			l->legend_y + i / l->legend_columns * LEGEND_ROW;

		fprintf(out,
			"<rect x=\"%u\" y=\"%u\" width=\"14\" height=\"14\" "
			"fill=\"%s\"/>\n",
			lx, ly, colour[i]);
		put_text(out, lx + 20, ly + 12, 13, "", c->series[i]);
	}
}

int chart_write(const struct chart *c, FILE *out)
{
	unsigned int columns = c->columns ? c->columns : 1;
	struct layout l = lay_out(c);

	put_head(c, &l, out);
	for (unsigned int i = 0; i < c->nr_panels; i++)
		put_panel(c, &c->panel[i],
			  MARGIN + i % columns * (PANEL_WIDTH + PANEL_GAP),
			  l.panel_y + i / columns * l.panel_height, out);
	fputs("</svg>\n", out);
	return fflush(out) ? -errno : 0;
}

int chart_save(const struct chart *c, const char *path, struct uz_err *err)
{
	FILE *out = fopen(path, "we");
	int ret;

	if (!out)
		return uz_err_set(err, -errno, "chart %s: %m", path);
	ret = chart_write(c, out);
	if (fclose(out) != 0 && !ret)
		ret = -errno;
	if (ret)
		uz_err_set(err, ret, "chart %s: %s", path, strerror(-ret));
	return ret;
}

struct chart_panel *chart_add(struct chart *c)
{
	struct chart_panel *panel =
		reallocarray(c->panel, c->nr_panels + 1, sizeof(*panel));

	if (!panel)
		return NULL;
	c->panel = panel;
	panel = &c->panel[c->nr_panels++];
	memset(panel, 0, sizeof(*panel));
	return panel;
}

void chart_free(struct chart *c)
{
	free(c->panel);
	memset(c, 0, sizeof(*c));
}
