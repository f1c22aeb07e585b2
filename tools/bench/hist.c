// SPDX-License-Identifier: MIT
/*
 * Log-linear histogram: below 2^HIST_SUB_BITS one bucket a value, above that
 * 2^HIST_SUB_BITS buckets for each power of two.
 *
 * One thread adds to one histogram; they are merged when the threads ended.
 */
#include <math.h>

#include "bench.h"

#define SUB (UINT64_C(1) << HIST_SUB_BITS)

static unsigned int bucket_of(uint64_t ns)
{
	unsigned int top, shift;

	if (ns < SUB)
		return (unsigned int)ns;
	if (ns >= UINT64_C(1) << HIST_MAX_BITS)
		return HIST_BUCKETS - 1;
	top = 63 - (unsigned int)__builtin_clzll(ns);
	shift = top - HIST_SUB_BITS;
	return (unsigned int)(((shift + 1) << HIST_SUB_BITS) +
			      ((ns >> shift) - SUB));
}

/* The largest value that falls into a bucket. */
static uint64_t upper_bound(unsigned int bucket)
{
	unsigned int shift;

	if (bucket < SUB)
		return bucket;
	shift = (bucket >> HIST_SUB_BITS) - 1;
	return (((bucket & (SUB - 1)) + SUB + 1) << shift) - 1;
}

void hist_add(struct hist *h, uint64_t ns)
{
	h->n++;
	h->count[bucket_of(ns)]++;
}

void hist_merge(struct hist *to, const struct hist *from)
{
	to->n += from->n;
	for (unsigned int i = 0; i < HIST_BUCKETS; i++)
		to->count[i] += from->count[i];
}

uint64_t hist_percentile(const struct hist *h, double percent)
{
	uint64_t seen = 0, want = (uint64_t)ceil(percent / 100 * (double)h->n);

	if (!h->n)
		return 0;
	if (!want)
		want = 1;
	for (unsigned int i = 0; i < HIST_BUCKETS; i++) {
		seen += h->count[i];
		if (seen >= want)
			return upper_bound(i);
	}
	return upper_bound(HIST_BUCKETS - 1);
}
