// SPDX-License-Identifier: MIT
/*
 * Threads made slow at random. One visit in CHANCE is a pause: half of these
 * yield the CPU, nearly all others sleep for some microseconds, one in
 * LONG_CHANCE for a millisecond, which is long enough for every other thread
 * to come by many times. Who has something pinned then sleeps for up to
 * LONG_PINNED instead: that may take as long as it likes.
 *
 * Each thread has its own random numbers. They begin anew with each start,
 * from the seed and from how many threads came by before; which thread comes
 * when is the system's choice, so a seed repeats the decisions, not the run.
 *
 * No locks: the points are inside of locks and between atomics, and must not
 * bring an order that the program does not have. So all is relaxed here, and
 * nothing but plain numbers is passed on. Without debug_checks this file is
 * empty.
 */
#include <uzram/util/crash.h>
#include <uzram/util/delay.h>

#ifdef UZ_DEBUG_CHECKS
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#define CHANCE	    32u
#define LONG_CHANCE 128u
#define SHORT_MAX   20u /* us */
#define LONG	    1000u
#define LONG_PINNED 40000u

/* No lock is held there, and somebody's pin is. */
#define BIT(point) (UINT64_C(1) << (point))
#define PINNED                                                                 \
	(BIT(UZ_DELAY_PINNED) | BIT(UZ_DELAY_UNPIN) | BIT(UZ_DELAY_SEEN) |     \
	 BIT(UZ_DELAY_COPIED) | BIT(UZ_DELAY_WRITTEN) | BIT(UZ_DELAY_SYNCED) | \
	 BIT(UZ_DELAY_FETCHED) | BIT(UZ_DELAY_DECODED))

atomic_uint uz_delay_on;

static void (*_Atomic called)(void *arg, enum uz_delay_point point);
static void *_Atomic called_arg;

static _Atomic uint64_t seed;
static atomic_uint starts, threads;
static _Atomic uint64_t counts[UZ_DELAY_POINTS];

static _Thread_local uint64_t state;
static _Thread_local unsigned int started;

/* splitmix64: any state will do, also 0. */
static uint64_t next_random(void)
{
	uint64_t x = state += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static void begin(unsigned int start)
{
	unsigned int nth =
		atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed);

	started = start;
	state = atomic_load_explicit(&seed, memory_order_relaxed);
	state = next_random() + nth;
	state = next_random();
}

static void call(enum uz_delay_point point)
{
	void (*fn)(void *arg, enum uz_delay_point point) =
		atomic_load_explicit(&called, memory_order_relaxed);
	int saved = errno;

	if (fn)
		fn(atomic_load_explicit(&called_arg, memory_order_relaxed),
		   point);
	errno = saved;
}

void uz_delay_now(enum uz_delay_point point)
{
	unsigned int start =
		atomic_load_explicit(&starts, memory_order_relaxed);
	unsigned int on =
		atomic_load_explicit(&uz_delay_on, memory_order_relaxed);
	int saved = errno;
	uint64_t r;

	if (on & UZ__DELAY_CRASH)
		uz_crash_now(point);
	if (on & UZ__DELAY_CALL)
		call(point);
	if (!(on & UZ__DELAY_SLOW))
		return;
	if (start != started)
		begin(start);
	r = next_random();
	if (r % CHANCE)
		return;
	atomic_fetch_add_explicit(&counts[point], 1, memory_order_relaxed);
	r /= CHANCE;
	if (r & 1)
		sched_yield();
	else if (r / 2 % LONG_CHANCE)
		usleep(1 + (unsigned int)(r >> 32) % SHORT_MAX);
	else
		usleep(PINNED >> point & 1
			       ? (unsigned int)(r >> 32) % LONG_PINNED
			       : LONG);
	errno = saved;
}

void uz_delay_start(uint64_t number)
{
	atomic_store_explicit(&seed, number, memory_order_relaxed);
	atomic_store_explicit(&threads, 0, memory_order_relaxed);
	atomic_fetch_add_explicit(&starts, 1, memory_order_relaxed);
	atomic_fetch_or_explicit(&uz_delay_on, UZ__DELAY_SLOW,
				 memory_order_relaxed);
}

void uz_delay_stop(void)
{
	atomic_fetch_and_explicit(&uz_delay_on, ~UZ__DELAY_SLOW,
				  memory_order_relaxed);
}

void uz_delay_call(void (*fn)(void *arg, enum uz_delay_point point), void *arg)
{
	atomic_store_explicit(&called_arg, arg, memory_order_relaxed);
	atomic_store_explicit(&called, fn, memory_order_relaxed);
	if (fn)
		atomic_fetch_or_explicit(&uz_delay_on, UZ__DELAY_CALL,
					 memory_order_relaxed);
	else
		atomic_fetch_and_explicit(&uz_delay_on, ~UZ__DELAY_CALL,
					  memory_order_relaxed);
}

uint64_t uz_delay_count(enum uz_delay_point point)
{
	return atomic_load_explicit(&counts[point], memory_order_relaxed);
}

__attribute__((constructor)) static void start_from_environment(void)
{
	const char *number = getenv("UZ_DELAY");

	if (number)
		uz_delay_start(strtoull(number, NULL, 0));
}
#endif
