/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_UTIL_CRASH_H
#define UZRAM_UTIL_CRASH_H

#include <uzram/util/delay.h>

/**
 * DOC: death inside of the code
 *
 * A signal from outside finds a process mostly where it is most of the time. A
 * build with debug checks can die at each step that uz_delay() marks, by a
 * fault as a bug would be one, or have a thread hang there for ever.
 * In other builds nothing of this exists.
 *
 * It is switched on by a test, or by UZ_CRASH=PLAN in the environment of any
 * program of the build. A PLAN is "SEED:STEP/N,STEP/N,...": each visit at STEP
 * (a point's name without prefix, in small letters; or "all") is the last one
 * with a probability of 1/N. "STEP/N!" hangs instead, while it holds whatever
 * it holds. N = 0 is never, and the last word for a step counts.
 *
 * Processes that come from one another by fork(2) share one plan, and each has
 * its own random numbers. After some that died young, the next one lives until
 * it has served for 0.15 s: whoever starts them shall not come to believe that
 * they cannot live. 1/1 is without mercy.
 */

#ifdef UZ_DEBUG_CHECKS
/* What the fault is at: other faults are not meant. */
#define UZ_CRASH_ADDRESS 0xdead

/**
 * uz_crash_now() - perhaps die; uz_delay() calls it
 * @point: the step
 *
 * Context: any thread, any lock held.
 */
void uz_crash_now(enum uz_delay_point point);

/**
 * uz_crash_start() - switch deaths on
 * @plan: as above
 *
 * Context: before any process is forked.
 * Return:  0; -EINVAL it is no plan; -ENOMEM.
 */
uz_must_check int uz_crash_start(const char *plan);
#endif

#endif
