// SPDX-License-Identifier: MIT
/*
 * Pins: what lets a reader use an object's bytes without a lock.
 *
 * Each descriptor has one word with two counts of pins and the current epoch.
 * A map adds one to the current epoch's count and remembers which that was;
 * its unmap takes one from the same count. Frees in a pinned zspage wait, and
 * flip the epoch so as not to wait for pins that come later (free.c). The word
 * belongs to the window, not to what lives there: it is never reset, so a pin
 * from before the window emptied and found another use still ends properly.
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
 * The class's lock, under which f2 happens, does not replace any of this: the
 * reader never takes it. Nor does it matter which epoch a pin goes to: f2
 * looks at both counts.
 */
#include "zsmalloc_priv.h"

void uz__zs_map(struct uz_pool *base, struct uz_map *map)
{
	struct uz__zs *pool = uz__zs(base);
	struct uz__zspage *z = &pool->zspages[uz__ref_window(pool, map->ref)];
	/*
	 * relaxed: which count the pin goes to matters for progress alone; if
	 * the epoch is flipped right now, one wait gets a little longer.
	 */
	unsigned int epoch = uz__pin_epoch(
		atomic_load_explicit(&z->pins, memory_order_relaxed));

	/* seq_cst: r2 above. */
	atomic_fetch_add_explicit(&z->pins, UZ__PIN_ONE(epoch),
				  memory_order_seq_cst);
	map->pin = epoch;
}

/*
 * The last pin of a count is gone and a free was deferred. If the window has
 * left that class since, somebody else has drained it: only an empty zspage
 * leaves its class, and deferred frees keep it from being empty.
 */
static void drain(struct uz__zs *pool, struct uz__zspage *z)
{
	/*
	 * relaxed: the flag that brought us here was set after the class was,
	 * and the acquire of our own subtraction saw the flag, so this is the
	 * class in which it was set, or a later one.
	 */
	unsigned int class =
		atomic_load_explicit(&z->class, memory_order_relaxed);
	struct uz__class *c = &pool->classes[class];
	struct uz__block *block = NULL;

	if (!class)
		return;
	uz_lock_acquire(&c->lock);
	/* relaxed: changes to and from this class need the lock. */
	if (atomic_load_explicit(&z->class, memory_order_relaxed) == class) {
		uz__free_drain(c, z);
		block = uz__zspage_settle(pool, c, z);
	}
	uz_lock_release(&c->lock);
	uz__zspage_retire(pool, z, block);
}

void uz__zs_unmap(struct uz_pool *base, const struct uz_map *map)
{
	struct uz__zs *pool = uz__zs(base);
	struct uz__zspage *z = &pool->zspages[uz__ref_window(pool, map->ref)];
	uint64_t one = UZ__PIN_ONE(map->pin);
	uint64_t pins;

	/*
	 * release: our reading is over before anybody sees the pin gone.
	 * acquire: drain() needs what was written before the flag.
	 */
	pins = atomic_fetch_sub_explicit(&z->pins, one, memory_order_acq_rel) -
	       one;
	if (uz_unlikely(pins & UZ__PIN_DEFERRED) &&
	    !uz__pin_count(pins, map->pin))
		drain(pool, z);
}
