/* SPDX-License-Identifier: MIT */
#ifndef UZ_WORKER_PRIV_H
#define UZ_WORKER_PRIV_H

#include <uzram/worker.h>

/* ---- pace.c ---- */

/*
 * struct uz__pace - what is known of the time that passes
 * @wall:    nanoseconds since some moment
 * @own:     nanoseconds of CPU that this thread has had
 * @process: nanoseconds of CPU that all threads have had
 */
struct uz__pace {
	uint64_t wall;
	uint64_t own;
	uint64_t process;
};

/* What is so now, for the calling thread. */
void uz__pace_now(struct uz__pace *now);

/*
 * Nanoseconds to rest after a batch.
 * @last:   the end of the batch before, its rest included in what follows
 * @before: the beginning of this batch
 * @after:  its end
 */
uint64_t uz__pace_rest(const struct uz__pace *last,
		       const struct uz__pace *before,
		       const struct uz__pace *after);

#endif
