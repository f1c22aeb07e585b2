// SPDX-License-Identifier: MIT
/*
 * Time in nanoseconds, and waiting for it in short steps, so that a signal is
 * noticed whichever thread its handler ran on.
 */
#include <time.h>
#include <unistd.h>

#include "bench.h"

uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t clock_busy(void)
{
	/* user, nice, system, idle, iowait, irq, softirq */
	unsigned long long v[7], tick;
	FILE *f = fopen("/proc/stat", "re");
	int n;

	if (!f)
		return 0;
	n = fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1],
		   &v[2], &v[3], &v[4], &v[5], &v[6]);
	fclose(f);
	if (n != 7)
		return 0;
	tick = 1000000000u / (unsigned long long)sysconf(_SC_CLK_TCK);
	return (v[0] + v[1] + v[2] + v[5] + v[6]) * tick;
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
