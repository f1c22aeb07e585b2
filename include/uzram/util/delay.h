/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_UTIL_DELAY_H
#define UZRAM_UTIL_DELAY_H

#include <stdatomic.h>
#include <string.h>

#include <uzram/types.h>

/**
 * DOC: the steps of the protocols, and delays where threads meet
 *
 * A protocol without locks is wrong when some thread is slow at the one place
 * where nobody thought it would be. A build with debug checks can be slow at
 * all of them: uz_delay() marks each step, and once delays are on, a thread
 * that comes by sometimes yields or sleeps there; seldom for a millisecond, or
 * for some tens of them if it has pinned something.
 * In other builds nothing of this exists.
 *
 * A test may have a function called at each step: there it does what another
 * thread would have to be very quick for.
 *
 * Delays are switched on by a test, or by UZ_DELAY=SEED in the environment of
 * any program of the build, the daemon included. The same steps are where a
 * process may be made to die (uzram/util/crash.h).
 */

/**
 * enum uz_delay_point - the steps at which a thread may be slow, or die
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
 * @UZ_DELAY_SENT:      pages are being written to the backing store
 * @UZ_DELAY_SYNCED:    they have reached it, no slot says so yet
 * @UZ_DELAY_WRITTEN:   a page's copy has reached the backing store and is held,
 *                      its slot does not say so yet
 * @UZ_DELAY_FETCHED:   a copy was read from the backing store, and is held
 * @UZ_DELAY_GIVEN:     a copy has a user less, which the store does not know
 *                      yet
 * @UZ_DELAY_DECODED:   a page was decoded, to be encoded anew
 * @UZ_DELAY_RECODED:   that was tried, and nothing done about it yet
 * @UZ_DELAY_PUBLISHED: a store has exchanged its slot, nothing is counted yet
 * @UZ_DELAY_FOLDED:    a dead thread's share of the counters was added, not
 *                      cleared yet
 * @UZ_DELAY_ARENA:     the superblock knows of a larger arena, the pool does
 *                      not
 * @UZ_DELAY_TABLE:     a larger table is there, no size says so
 * @UZ_DELAY_SIZED:     the superblock has a larger size, requests do not know
 *                      it
 * @UZ_DELAY_ADOPTED:   a slot was taken over from a dead process
 * @UZ_DELAY_SETTLED:   an adopted zspage has given pages back, and may lack
 *                      others
 * @UZ_DELAY_SERVES:    the supervisor was told that this worker serves
 * @UZ_DELAY_RECEIVED:  a request was received, nothing is done yet
 * @UZ_DELAY_CARRIED:   a request was carried out, not answered yet
 * @UZ_DELAY_MARKED:    what came of an entry's request is noted and marked, not
 *                      laid out for the kernel yet
 * @UZ_DELAY_OPENED:    an open file is counted, not noted for successors yet
 * @UZ_DELAY_GREETED:   FUSE_INIT is answered, successors cannot know yet
 * @UZ_DELAY_RESENT:    the kernel was asked to give requests out again
 * @UZ_DELAY_MAPPED:    the entries' memory of a dead process is mapped
 * @UZ_DELAY_FOUND:     it was seen what a dead process has left in an entry
 * @UZ_DELAY_REGISTERED: what was left in an entry is prepared for the kernel
 * @UZ_DELAY_POISONED:  a write's data begin with UZ_DELAY_POISON
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
	UZ_DELAY_SENT,
	UZ_DELAY_SYNCED,
	UZ_DELAY_WRITTEN,
	UZ_DELAY_FETCHED,
	UZ_DELAY_GIVEN,
	UZ_DELAY_DECODED,
	UZ_DELAY_RECODED,
	UZ_DELAY_PUBLISHED,
	UZ_DELAY_FOLDED,
	UZ_DELAY_ARENA,
	UZ_DELAY_TABLE,
	UZ_DELAY_SIZED,
	UZ_DELAY_ADOPTED,
	UZ_DELAY_SETTLED,
	UZ_DELAY_SERVES,
	UZ_DELAY_RECEIVED,
	UZ_DELAY_CARRIED,
	UZ_DELAY_MARKED,
	UZ_DELAY_OPENED,
	UZ_DELAY_GREETED,
	UZ_DELAY_RESENT,
	UZ_DELAY_MAPPED,
	UZ_DELAY_FOUND,
	UZ_DELAY_REGISTERED,
	UZ_DELAY_POISONED,
	UZ_DELAY_POINTS,
};

/* What a test writes to have a request that is different from all others. */
#define UZ_DELAY_POISON "uzpoison"

#ifdef UZ_DEBUG_CHECKS
/* Private to uz_delay(): what is on, delays, deaths or a test's function. */
extern atomic_uint uz_delay_on;
#define UZ__DELAY_SLOW	1u
#define UZ__DELAY_CRASH 2u
#define UZ__DELAY_CALL	4u

/**
 * uz_delay_now() - what uz_delay() does while anything is on
 * @point: the step
 *
 * Context: any thread; may sleep.
 */
void uz_delay_now(enum uz_delay_point point);

/**
 * uz_delay() - this thread may be slow here, or the process die
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

/* A step of requests that a test marked. */
static inline void uz_delay_poison(const void *data, size_t len)
{
	if (len >= sizeof(UZ_DELAY_POISON) - 1 &&
	    !memcmp(data, UZ_DELAY_POISON, sizeof(UZ_DELAY_POISON) - 1))
		uz_delay(UZ_DELAY_POISONED);
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
 * uz_delay_call() - have a function called at each step
 * @fn:  called by the thread that comes by, whatever locks it holds; NULL: none
 * @arg: handed to it
 *
 * Context: one thread at a time; others that come by may call the old one.
 */
void uz_delay_call(void (*fn)(void *arg, enum uz_delay_point point), void *arg);

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

static inline void uz_delay_poison(const void *data, size_t len)
{
	(void)data;
	(void)len;
}

static inline void uz_delay_start(uint64_t seed)
{
	(void)seed;
}

static inline void uz_delay_stop(void)
{
}

static inline void
uz_delay_call(void (*fn)(void *arg, enum uz_delay_point point), void *arg)
{
	(void)fn;
	(void)arg;
}

static inline uint64_t uz_delay_count(enum uz_delay_point point)
{
	(void)point;
	return 0;
}
#endif

#endif
