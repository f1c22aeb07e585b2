// SPDX-License-Identifier: MIT
/*
 * Tables of figures, as text and as JSON: one description of the columns for
 * both, so that neither has a figure that the other has not.
 *
 * A cell is what one thing measured in one or several rounds; the text has
 * the median. What was not measured is "-" in the text and absent in JSON.
 */
#include <stdlib.h>
#include <string.h>

#include "bench.h"

struct table_row *table_add(struct table *t, const char *corpus,
			    const char *codec, const char *what)
{
	struct table_row *row =
		reallocarray(t->row, t->nr_rows + 1, sizeof(*row));

	if (!row)
		return NULL;
	t->row = row;
	row = &t->row[t->nr_rows++];
	memset(row, 0, sizeof(*row));
	snprintf(row->corpus, sizeof(row->corpus), "%s", corpus);
	snprintf(row->codec, sizeof(row->codec), "%s", codec);
	snprintf(row->what, sizeof(row->what), "%s", what);
	return row;
}

void table_set(struct table_row *row, unsigned int column, double value)
{
	row->value[column].n = 0;
	stats_add(&row->value[column], value);
}

#define CELL 10 /* characters, and a space before them */

static void put_row(const struct table *t, const struct table_row *row,
		    int label, FILE *out)
{
	fprintf(out, "  %-*s", label, row->what);
	for (unsigned int i = 0; i < t->nr_columns; i++) {
		const struct table_column *c = &t->column[i];
		const struct stats *s = &row->value[i];

		if (s->n)
			fprintf(out, " %*.*f", CELL, c->digits,
				stats_median(s) * c->scale);
		else
			fprintf(out, " %*s", CELL, "-");
	}
	fputc('\n', out);
}

static bool same_group(const struct table_row *a, const struct table_row *b)
{
	return !strcmp(a->corpus, b->corpus) && !strcmp(a->codec, b->codec);
}

static void put_head(const struct table *t, int label, FILE *out)
{
	fprintf(out, "\n%s: %s\n", t->name, t->title);
	if (t->note[0])
		fprintf(out, "%s\n", t->note);
	fprintf(out, "  %-*s", label, "");
	for (unsigned int i = 0; i < t->nr_columns; i++)
		fprintf(out, " %*s", CELL, t->column[i].head);
	fprintf(out, "\n  %-*s", label, "");
	for (unsigned int i = 0; i < t->nr_columns; i++)
		fprintf(out, " %*s", CELL, t->column[i].unit);
	fputc('\n', out);
}

void table_text(const struct table *t, FILE *out)
{
	int label = 0;

	for (unsigned int i = 0; i < t->nr_rows; i++) {
		int len = (int)strlen(t->row[i].what);

		label = len > label ? len : label;
	}
	put_head(t, label, out);
	for (unsigned int i = 0; i < t->nr_rows; i++) {
		const struct table_row *row = &t->row[i];

		if (!i || !same_group(row, row - 1))
			fprintf(out, "%s%s%s\n", row->codec,
				*row->codec && *row->corpus ? ", " : "",
				row->corpus);
		put_row(t, row, label, out);
	}
	fflush(out);
}

json_t *table_json(const struct table *t)
{
	json_t *rows = json_array();

	for (unsigned int i = 0; i < t->nr_rows; i++) {
		const struct table_row *row = &t->row[i];
		json_t *o = json_pack("{s:s, s:s, s:s}", "corpus", row->corpus,
				      "codec", row->codec, "what", row->what);

		for (unsigned int j = 0; j < t->nr_columns; j++) {
			const struct stats *s = &row->value[j];

			if (s->n == 1)
				json_object_set_new(o, t->column[j].key,
						    json_real(s->v[0]));
			else if (s->n)
				json_object_set_new(o, t->column[j].key,
						    stats_json(s));
		}
		json_array_append_new(rows, o);
	}
	return json_pack("{s:s, s:s, s:s, s:o}", "part", t->name, "title",
			 t->title, "note", t->note, "rows", rows);
}

void table_free(struct table *t)
{
	free(t->row);
	memset(t, 0, sizeof(*t));
}
