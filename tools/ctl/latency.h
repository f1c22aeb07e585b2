/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_CTL_LATENCY_H
#define UZRAM_CTL_LATENCY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LATENCY_BUCKETS 128

/*
 * struct latency - how long requests of one kind took
 * @most:  of each bucket: its longest time in nanoseconds, ascending
 * @count: how many it has
 * @nr:    buckets
 * @all:   requests in all of them
 * @sum:   their times together
 */
struct latency {
	uint64_t most[LATENCY_BUCKETS];
	uint64_t count[LATENCY_BUCKETS];
	size_t nr;
	uint64_t all;
	uint64_t sum;
};

/* What a text of the attribute says of "read" or "write"; NULL: nothing. */
void latency_read(struct latency *l, const char *text, const char *what);

/* What came since @before; all of it, if that was another process. */
void latency_since(struct latency *l, const struct latency *before);

/* So many took at most @ns. */
uint64_t latency_within(const struct latency *l, uint64_t ns);

/* The time that @percent of them took at most; 0: nobody was timed. */
uint64_t latency_percentile(const struct latency *l, unsigned int percent);

/* As people say it: "4.6 us". */
#define LATENCY_TEXT 16
void latency_text(uint64_t ns, char text[LATENCY_TEXT]);

#endif
