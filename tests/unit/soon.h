/* SPDX-License-Identifier: MIT */
#ifndef SOON_H
#define SOON_H

/*
 * Waiting for what another thread or process does some time. The limit is for
 * what never happens: on a machine with more to do than it has CPUs any thread
 * may stand still for many seconds. No clock is looked at, as some tests have
 * one of their own.
 */
#include <stdbool.h>
#include <unistd.h>

#define SOON_STEPS   50000u
#define SOON_STEP_US 2000u

static inline bool soon_step(unsigned int *steps)
{
	usleep(SOON_STEP_US);
	return ++*steps < SOON_STEPS;
}

/* True as soon as the condition holds, which is looked at again and again. */
#define SOON(condition)                                                     \
	({                                                                  \
		unsigned int soon_steps = 0;                                \
		bool soon_yes;                                              \
                                                                            \
		while (!(soon_yes = (condition)) && soon_step(&soon_steps)) \
			;                                                   \
		soon_yes;                                                   \
	})

#endif
