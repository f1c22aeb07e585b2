// SPDX-License-Identifier: MIT
/*
 * The attribute latency, taken apart: which buckets there are is the daemon's
 * to say, who may be of another version.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "latency.h"

void latency_read(struct latency *l, const char *text, const char *what)
{
	char name[16], number[24];
	uint64_t count;
	int len;

	*l = (struct latency){ 0 };
	for (; text && sscanf(text, "%15s %23s %" SCNu64 "%n", name, number,
			      &count, &len) == 3;
	     text += len) {
		if (strcmp(name, what) != 0)
			continue;
		if (!strcmp(number, "sum")) {
			l->sum = count;
		} else if (l->nr < LATENCY_BUCKETS &&
			   sscanf(number, "%" SCNu64, &l->most[l->nr]) == 1) {
			l->count[l->nr++] = count;
			l->all += count;
		}
	}
}

static uint64_t count_of(const struct latency *l, uint64_t most)
{
	size_t i;

	for (i = 0; i < l->nr; i++)
		if (l->most[i] == most)
			return l->count[i];
	return 0;
}

/* Has nothing become less? */
static bool follows(const struct latency *l, const struct latency *before)
{
	size_t i;

	for (i = 0; i < before->nr; i++)
		if (count_of(l, before->most[i]) < before->count[i])
			return false;
	return l->sum >= before->sum;
}

void latency_since(struct latency *l, const struct latency *before)
{
	size_t i;

	if (!follows(l, before))
		return;
	for (i = 0; i < l->nr; i++)
		l->count[i] -= count_of(before, l->most[i]);
	l->all -= before->all;
	l->sum -= before->sum;
}

uint64_t latency_within(const struct latency *l, uint64_t ns)
{
	uint64_t all = 0;
	size_t i;

	for (i = 0; i < l->nr && l->most[i] <= ns; i++)
		all += l->count[i];
	return all;
}

uint64_t latency_percentile(const struct latency *l, unsigned int percent)
{
	uint64_t wanted = (l->all * percent + 99) / 100, all = 0;
	size_t i;

	for (i = 0; i < l->nr && wanted; i++) {
		all += l->count[i];
		if (all >= wanted)
			return l->most[i];
	}
	return 0;
}

void latency_text(uint64_t ns, char text[LATENCY_TEXT])
{
	static const char *const units[] = { "us", "ms", "s" };
	double n = (double)ns / 1000;
	size_t i;

	if (ns == UINT64_MAX) {
		snprintf(text, LATENCY_TEXT, "very long");
		return;
	}
	for (i = 0; i + 1 < sizeof(units) / sizeof(*units) && n >= 999.5; i++)
		n /= 1000;
	snprintf(text, LATENCY_TEXT, n < 9.95 ? "%.1f %s" : "%.0f %s",
		 n < 1e6 ? n : 1e6, units[i]);
}
