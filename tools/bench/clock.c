// SPDX-License-Identifier: MIT
/*
 * Time in nanoseconds, and waiting for it in short steps, so that a signal is
 * noticed whichever thread its handler ran on.
 */
#include <time.h>

#include "bench.h"

uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int clock_sleep(uint64_t deadline)
{
	uint64_t now;

	while ((now = clock_ns()) < deadline) {
		uint64_t ns = deadline - now;
		const struct timespec t = {
			.tv_nsec = ns < 50000000 ? (long)ns : 50000000,
		};

		if (undo_stopped())
			return -EINTR;
		nanosleep(&t, NULL);
	}
	return undo_stopped() ? -EINTR : 0;
}
