/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_POOL_PIN_H
#define UZRAM_POOL_PIN_H

#include <stdatomic.h>

#include <uzram/types.h>
#include <uzram/util/delay.h>

/*
 * The word of pins: what lets a reader use an object's bytes without a lock.
 *
 * Each unit in which a backend gives memory back or uses it again (a window, a
 * page) has one such word, with two counts of pins and the current epoch. A
 * map adds one to the current epoch's count and remembers which that was; its
 * unmap takes one from the same count. Frees in a pinned unit wait, and flip
 * the epoch so as not to wait for pins that come later. The word belongs to
 * the unit, not to what lives there: it is never reset, so a pin from before
 * the unit emptied and found another use still ends properly.
 *
 * The protocol, with W the owner's word and P the word of pins:
 *
 *	reader				freer
 *	r1: load W: names ref		f1: exchange W: names something else
 *	r2: add a pin to P		f2: read P: no pin? then free ref
 *	r3: load W: still ref? use it
 *
 * What must not happen: r3 finds the old W and f2 finds P without the pin.
 * This is two threads that each write one word and then read the other's;
 * with acquire and release alone both may read the old value, because a load
 * may be done before an earlier store to another word is seen by all. If all
 * four are sequentially consistent there is one order S of them. If f2 does
 * not see the pin, f2 comes before r2 in S; then f1 < f2 < r2 < r3, and r3
 * sees what f1 stored, or later. Hence seq_cst on all four is needed, and it
 * is enough:
 *
 * - r3 finds ref although it was freed and allocated again meanwhile: then
 *   the word names a live object at that place, which is now pinned. Harmless
 *   to a reader; and once pinned and seen, the place cannot be freed before
 *   the pin ends, so a compare-and-swap under the pin cannot be fooled.
 * - f2 sees a pin: the free waits until the count that holds it is zero. If
 *   that pin's r3 fails, the wait was for nothing, but it ends.
 * - f2 sees P after a pin came and went: the unmap's release, read by f2,
 *   orders the reader's use before the reuse.
 * - f2 sets UZ__PIN_DEFERRED instead: a read-modify-write of P, ordered with
 *   r2 in P's own order as well; a pin after it sees f1.
 *
 * The lock under which f2 happens does not replace any of this: the reader
 * never takes it. Nor does it matter which epoch a pin goes to: f2 looks at
 * both counts.
 *
 * Progress. Under the unit's lock there are two lists of frees that wait:
 *
 *   waiting    their pins are all in the old epoch's count (new pins go to
 *              the other one), so they are done when that count is zero;
 *   following  freed since; may be held up by pins of either epoch.
 *
 * When the old count is zero, the waiting ones are freed, and the following
 * ones take their place: the epoch is flipped in the same step in which the
 * old count is seen to be zero, so all pins they may have to wait for are in
 * what is then the old count, and no later pin adds to it (but for a few
 * that chose their count just before the flip; they only cost time). So a
 * deferred free is done after at most two epochs, however pins overlap.
 *
 * Whoever makes a count zero and sees UZ__PIN_DEFERRED comes to drain. The
 * flag is set before the counts are looked at, in the same word, so one of
 * the two always sees the other: no free is forgotten.
 */

/*
 * Two counts of 31 bits, which of them counts new pins, and whether anybody
 * waits for one of them to become zero.
 */
#define UZ__PIN_ONE(epoch) (UINT64_C(1) << ((epoch) ? 31 : 0))
#define UZ__PIN_COUNTS	   ((UINT64_C(1) << 62) - 1)
#define UZ__PIN_DEFERRED   (UINT64_C(1) << 62)
#define UZ__PIN_EPOCH	   (UINT64_C(1) << 63)

static inline unsigned int uz__pin_epoch(uint64_t pins)
{
	return (unsigned int)(pins >> 63);
}

static inline uint32_t uz__pin_count(uint64_t pins, unsigned int epoch)
{
	return (uint32_t)(pins >> (epoch ? 31 : 0)) & 0x7fffffff;
}

/* Add a pin; returns the epoch to be handed to uz__pin_drop(). */
static inline unsigned int uz__pin_add(_Atomic uint64_t *word)
{
	/*
	 * relaxed: which count the pin goes to matters for progress alone; if
	 * the epoch is flipped right now, one wait gets a little longer.
	 */
	unsigned int epoch =
		uz__pin_epoch(atomic_load_explicit(word, memory_order_relaxed));

	uz_delay(UZ_DELAY_EPOCH);
	/* seq_cst: r2 above. */
	atomic_fetch_add_explicit(word, UZ__PIN_ONE(epoch),
				  memory_order_seq_cst);
	return epoch;
}

/* Drop a pin; true when frees waited for it and have to be drained. */
static inline bool uz__pin_drop(_Atomic uint64_t *word, unsigned int epoch)
{
	uint64_t one = UZ__PIN_ONE(epoch);
	/*
	 * release: our reading is over before anybody sees the pin gone.
	 * acquire: who drains needs what was written before the flag.
	 */
	uint64_t pins =
		atomic_fetch_sub_explicit(word, one, memory_order_acq_rel) -
		one;

	return uz_unlikely(pins & UZ__PIN_DEFERRED) &&
	       !uz__pin_count(pins, epoch);
}

/* Whether a free has to be deferred; the unit's lock is held. */
static inline bool uz__pin_held(_Atomic uint64_t *word)
{
	/* seq_cst: f2 above. */
	uint64_t pins = atomic_load_explicit(word, memory_order_seq_cst);

	uz_delay(UZ_DELAY_LOOKED);
	return pins & (UZ__PIN_COUNTS | UZ__PIN_DEFERRED);
}

/*
 * Say that a free waits, after putting it among the following ones; the
 * unit's lock is held, and uz__pin_turn() comes next.
 */
static inline void uz__pin_defer(_Atomic uint64_t *word)
{
	/* seq_cst: f2 again, for the counts that are now decisive. */
	atomic_fetch_or_explicit(word, UZ__PIN_DEFERRED, memory_order_seq_cst);
}

/**
 * enum uz__pin_turn - which deferred frees are to be done
 * @UZ__PIN_NONE:    none: somebody still has a pin from before
 * @UZ__PIN_WAITING: those that are waiting; those that follow wait now
 * @UZ__PIN_ALL:     all; nobody waits any more
 */
enum uz__pin_turn {
	UZ__PIN_NONE,
	UZ__PIN_WAITING,
	UZ__PIN_ALL,
};

/*
 * Find out what waits for no pin any more, and begin the next wait if there
 * are any following frees.
 *
 * Ordering: acquire pairs with the release of each unmap that the load sees
 * the effect of, so their reading is over before a place is used again. The
 * unit's lock admits one call at a time; unmaps and new pins run freely.
 */
static inline enum uz__pin_turn uz__pin_turn(_Atomic uint64_t *word,
					     bool following)
{
	uint64_t pins = atomic_load_explicit(word, memory_order_acquire);
	unsigned int now;

	for (;;) {
		now = uz__pin_epoch(pins);
		if (uz__pin_count(pins, !now))
			return UZ__PIN_NONE;
		if (!following || !uz__pin_count(pins, now)) {
			/* relaxed: only the next deferred free needs it set. */
			atomic_fetch_and_explicit(word, ~UZ__PIN_DEFERRED,
						  memory_order_relaxed);
			return UZ__PIN_ALL;
		}
		uz_delay(UZ_DELAY_FLIP);
		if (atomic_compare_exchange_weak_explicit(
			    word, &pins, pins ^ UZ__PIN_EPOCH,
			    memory_order_acq_rel, memory_order_acquire))
			return UZ__PIN_WAITING;
	}
}

#endif
