/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_UTIL_DELAY_H
#define UZRAM_UTIL_DELAY_H

#include <stdatomic.h>

#include <uzram/types.h>

/**
 * DOC: delays where threads meet
 *
 * A protocol without locks is wrong when some thread is slow at the one place
 * where nobody thought it would be. A build with debug checks can be slow at
 * all of them: uz_delay() marks each step, and once delays are on, a thread
 * that comes by sometimes yields or sleeps there; seldom for a millisecond, or
 * for some tens of them if it has pinned something.
 * In other builds nothing of this exists.
 *
 * Delays are switched on by a test, or by UZ_DELAY=SEED in the environment of
 * any program of the build, the daemon included.
 */

/**
 * enum uz_delay_point - the steps at which a thread may be slow
 * @UZ_DELAY_LOADED:    a slot was read, what it names is not pinned yet
 * @UZ_DELAY_EPOCH:     the count for a pin is chosen, not raised yet
 * @UZ_DELAY_PINNED:    pinned, the slot not read again yet
 * @UZ_DELAY_UNPIN:     done with the bytes, still pinned
 * @UZ_DELAY_TAKEN:     an object has its place, but perhaps no memory there
 * @UZ_DELAY_FILLED:    an object was written, not published yet
 * @UZ_DELAY_EXCHANGED: no slot names the object any more; not freed yet
 * @UZ_DELAY_LOOKED:    a free has read the pins and not acted on them yet
 * @UZ_DELAY_FLIP:      a drain found no old pin and has not flipped the epoch
 * @UZ_DELAY_SEEN:      a move has seen its object, not copied it yet
 * @UZ_DELAY_COPIED:    a move has copied its object, not swapped the slot yet
 * @UZ_DELAY_SWAPPED:   a move has swapped the slot, the old place is not freed
 * @UZ_DELAY_WRITTEN:   a page's copy on the backing store is durable, its slot
 *                      does not say so yet
 * @UZ_DELAY_RECODED:   a page was encoded anew, and has no place yet
 * @UZ_DELAY_POINTS:    how many there are
 */
enum uz_delay_point {
	UZ_DELAY_LOADED,
	UZ_DELAY_EPOCH,
	UZ_DELAY_PINNED,
	UZ_DELAY_UNPIN,
	UZ_DELAY_TAKEN,
	UZ_DELAY_FILLED,
	UZ_DELAY_EXCHANGED,
	UZ_DELAY_LOOKED,
	UZ_DELAY_FLIP,
	UZ_DELAY_SEEN,
	UZ_DELAY_COPIED,
	UZ_DELAY_SWAPPED,
	UZ_DELAY_WRITTEN,
	UZ_DELAY_RECODED,
	UZ_DELAY_POINTS,
};

#ifdef UZ_DEBUG_CHECKS
extern atomic_bool uz_delay_on; /* private to uz_delay() */

/**
 * uz_delay_now() - what uz_delay() does while delays are on
 * @point: the step
 *
 * Context: any thread; may sleep.
 */
void uz_delay_now(enum uz_delay_point point);

/**
 * uz_delay() - this thread may be slow here
 * @point: the step
 *
 * Context: any thread, any lock held; may sleep. Keeps errno.
 */
static inline void uz_delay(enum uz_delay_point point)
{
	/* relaxed: sooner or later is soon enough. */
	if (uz_unlikely(
		    atomic_load_explicit(&uz_delay_on, memory_order_relaxed)))
		uz_delay_now(point);
}

/**
 * uz_delay_start() - switch delays on
 * @seed: of the random numbers by which each thread decides; the same seed
 *        gives the n-th thread that comes by the same decisions
 *
 * Context: any thread.
 */
void uz_delay_start(uint64_t seed);

/**
 * uz_delay_stop() - switch delays off
 *
 * Context: any thread; threads that are slow already finish that.
 */
void uz_delay_stop(void);

/**
 * uz_delay_count() - how often threads were slow at a step
 * @point: the step
 *
 * Context: any thread.
 * Return:  the number since the program began; 0 without debug checks.
 */
uint64_t uz_delay_count(enum uz_delay_point point);
#else
static inline void uz_delay(enum uz_delay_point point)
{
	(void)point;
}

static inline void uz_delay_start(uint64_t seed)
{
	(void)seed;
}

static inline void uz_delay_stop(void)
{
}

static inline uint64_t uz_delay_count(enum uz_delay_point point)
{
	(void)point;
	return 0;
}
#endif

#endif
