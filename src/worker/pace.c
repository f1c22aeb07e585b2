// SPDX-License-Identifier: MIT
/*
 * How background work keeps out of the way: it rests after each batch, for
 * nine times as long as that took, while anybody else wants the CPUs, and next
 * to not at all otherwise. So it gets on at any load, at a tenth of one CPU.
 *
 * Somebody else wants them when the process's other threads have run for a
 * notable part of the time since the batch before (requests are being served),
 * or when this thread did not get a CPU for a notable part of the batch.
 *
 * Why not SCHED_IDLE: whoever is in it and loses its CPU while it holds a size
 * class's lock gets it back when some CPU has nothing else to do, and every
 * store of that class waits until then. Nor can a thread without privileges
 * leave it again. SCHED_BATCH and long slices (background.c) leave a thread its
 * fair share, so locks are soon released.
 */
#include <time.h>

#include "worker_priv.h"

#define NS_PER_S UINT64_C(1000000000)
/*
 * Chosen, not measured. Busy: one part in ten is work. Others are busy from
 * one part in twenty on; a page fault or an interrupt alone is not that much.
 * The shortest rest is for who waits for the device's lock; the longest, for
 * a batch that was held up by something else.
 */
#define DUTY	    10
#define NOTABLE	    20
#define LATE_MIN_NS UINT64_C(200000)
#define REST_MIN_NS UINT64_C(20000)
#define REST_MAX_NS UINT64_C(100000000)

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

void uz__pace_now(struct uz__pace *now)
{
	/* In this order, so that the process never has less than its thread. */
	now->own = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	now->process = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	now->wall = clock_ns(CLOCK_MONOTONIC);
}

/* Clocks of CPU time are read one after the other: never below 0. */
static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static bool others_run(const struct uz__pace *last,
		       const struct uz__pace *after)
{
	uint64_t wall = less(after->wall, last->wall);
	uint64_t others = less(less(after->process, last->process),
			       less(after->own, last->own));

	return others > wall / NOTABLE;
}

static bool was_late(const struct uz__pace *before,
		     const struct uz__pace *after)
{
	uint64_t wall = less(after->wall, before->wall);
	uint64_t late = less(wall, less(after->own, before->own));

	return late > LATE_MIN_NS && late > wall / NOTABLE;
}

uint64_t uz__pace_rest(const struct uz__pace *last,
		       const struct uz__pace *before,
		       const struct uz__pace *after, bool *busy)
{
	uint64_t rest = REST_MIN_NS;

	*busy = others_run(last, after) || was_late(before, after);
	if (*busy)
		rest = less(after->own, before->own) * (DUTY - 1);
	if (rest < REST_MIN_NS)
		return REST_MIN_NS;
	return rest > REST_MAX_NS ? REST_MAX_NS : rest;
}

uint64_t uz__share_rest(uint64_t ns, unsigned int share)
{
	return share ? ns * (100 - share) / share : 0;
}

void uz__pacer_start(struct uz__pacer *pacer)
{
	pacer->busy = true;
	uz__pace_now(&pacer->after);
}

void uz__pacer_begin(struct uz__pacer *pacer)
{
	pacer->last = pacer->after;
	uz__pace_now(&pacer->before);
}

uint64_t uz__pacer_end(struct uz__pacer *pacer)
{
	uz__pace_now(&pacer->after);
	return uz__pace_rest(&pacer->last, &pacer->before, &pacer->after,
			     &pacer->busy);
}
