/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_UTIL_PULSE_H
#define UZRAM_UTIL_PULSE_H

#include <stdatomic.h>

#include <uzram/types.h>

/**
 * DOC: is a thread alive?
 *
 * Somebody else, perhaps another process, is to notice that a thread hangs. A
 * pulse lies in memory that both have. Its thread says there when it begins a
 * piece of work that cannot take long, that it gets on with it, when it waits
 * for something that can take long, and when it is done. One who looks again
 * and again and finds it at work at the very same place knows that it hangs,
 * or gets no CPU.
 *
 * One thread writes, so each of these is a load and a store of its own line and
 * no read-modify-write. Relaxed: who looks needs nothing but the word itself,
 * never acts on other memory because of it, and may be late by a look.
 */

/**
 * struct uz_pulse - what one thread says
 * @word: UZ_PULSE_ flags, and above them how often it has said something
 *
 * All zeroes: does not work.
 */
struct uz_pulse {
	_Alignas(UZ_CACHELINE) _Atomic uint32_t word;
};

#define UZ_PULSE_WORKS 1u
#define UZ_PULSE_WAITS 2u
#define UZ_PULSE_ONE   4u

/* Private: the flags of @clear away, those of @set there, and one more. */
static inline void uz__pulse_set(struct uz_pulse *p, uint32_t clear,
				 uint32_t set)
{
	uint32_t word = atomic_load_explicit(&p->word, memory_order_relaxed);

	atomic_store_explicit(&p->word, (word & ~clear) + UZ_PULSE_ONE + set,
			      memory_order_relaxed);
}

/**
 * uz_pulse_begin() - a piece of work begins
 * @p: this thread's
 *
 * Context: the thread of @p, which does not work.
 */
static inline void uz_pulse_begin(struct uz_pulse *p)
{
	uz__pulse_set(p, UZ_PULSE_WORKS | UZ_PULSE_WAITS, UZ_PULSE_WORKS);
}

/**
 * uz_pulse_beat() - the work gets on
 * @p: this thread's
 *
 * Context: the thread of @p.
 */
static inline void uz_pulse_beat(struct uz_pulse *p)
{
	uz__pulse_set(p, 0, 0);
}

/**
 * uz_pulse_wait() - from here on it may take as long as it likes
 * @p: this thread's
 *
 * Context: the thread of @p, which does not wait.
 */
static inline void uz_pulse_wait(struct uz_pulse *p)
{
	uz__pulse_set(p, UZ_PULSE_WAITS, UZ_PULSE_WAITS);
}

/**
 * uz_pulse_go_on() - what was waited for is there
 * @p: this thread's
 *
 * Context: the thread of @p.
 */
static inline void uz_pulse_go_on(struct uz_pulse *p)
{
	uz__pulse_set(p, UZ_PULSE_WAITS, 0);
}

/**
 * uz_pulse_end() - the work is done
 * @p: this thread's
 *
 * Context: the thread of @p, or after it has ended.
 */
static inline void uz_pulse_end(struct uz_pulse *p)
{
	uz__pulse_set(p, UZ_PULSE_WORKS | UZ_PULSE_WAITS, 0);
}

/**
 * uz_pulse_works() - is a thread at work, or waits in the middle of it?
 * @p: its pulse
 *
 * Context: any thread, any process.
 */
static inline bool uz_pulse_works(const struct uz_pulse *p)
{
	return atomic_load_explicit(&p->word, memory_order_relaxed) &
	       UZ_PULSE_WORKS;
}

/**
 * struct uz_pulse_seen - what one who looks remembers; begins with all zeroes
 * @word:  at the last look
 * @still: looks since then that have found nothing new
 */
struct uz_pulse_seen {
	uint32_t word;
	unsigned int still;
};

/**
 * uz_pulse_look() - look at a thread
 * @p:    its pulse
 * @seen: of @p
 *
 * Context: any thread, any process.
 * Return:  at how many looks in a row, this one included, it was at the same
 *          place of the same work as at the look before; 0: it does not work,
 *          it waits, or it got on.
 */
static inline unsigned int uz_pulse_look(const struct uz_pulse *p,
					 struct uz_pulse_seen *seen)
{
	uint32_t word = atomic_load_explicit(&p->word, memory_order_relaxed);
	bool works = (word & (UZ_PULSE_WORKS | UZ_PULSE_WAITS)) ==
		     UZ_PULSE_WORKS;

	seen->still = works && word == seen->word ? seen->still + 1 : 0;
	seen->word = word;
	return seen->still;
}

#endif
