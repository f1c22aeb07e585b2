// SPDX-License-Identifier: MIT
/*
 * Medians of a few rounds.
 *
 * The machine drifts between rounds by more than what is to be told apart, so
 * two things are compared within a round and the median is taken of the
 * ratios; the ratio of the medians would mix rounds.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

void stats_add(struct stats *s, double value)
{
	assert(s->n < STATS_MAX);
	s->v[s->n++] = value;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double stats_median(const struct stats *s)
{
	struct stats sorted = *s;
	unsigned int half = s->n / 2;

	if (!s->n)
		return 0;
	qsort(sorted.v, sorted.n, sizeof(sorted.v[0]), compare);
	if (s->n % 2)
		return sorted.v[half];
	return (sorted.v[half - 1] + sorted.v[half]) / 2;
}

double stats_ratio(const struct stats *a, const struct stats *b)
{
	struct stats ratio = { 0 };

	for (unsigned int i = 0; i < a->n && i < b->n; i++)
		if (b->v[i] > 0)
			stats_add(&ratio, a->v[i] / b->v[i]);
	return stats_median(&ratio);
}

json_t *stats_json(const struct stats *s)
{
	json_t *rounds = json_array();

	for (unsigned int i = 0; i < s->n; i++)
		json_array_append_new(rounds, json_real(s->v[i]));
	return json_pack("{s:f, s:o}", "median", stats_median(s), "rounds",
			 rounds);
}
