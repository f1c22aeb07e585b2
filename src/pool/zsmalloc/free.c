// SPDX-License-Identifier: MIT
/*
 * Freeing: at once when the zspage is not pinned, otherwise deferred.
 *
 * pin.c explains the word of pins and its two epochs. Here, under the class's
 * lock, is what waits for them. A zspage has two lists of deferred frees:
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
 * The lists are linked through the owner words of the freed objects, which
 * nobody needs any more, and need no memory that could be refused.
 *
 * Whoever makes a count zero and sees UZ__PIN_DEFERRED comes here to drain.
 * The flag is set before the counts are looked at, in the same word, so one
 * of the two always sees the other: no free is forgotten.
 */
#include "zsmalloc_priv.h"

static void put_list(struct uz__class *c, struct uz__zspage *z, uint16_t *head)
{
	while (*head != UZ__NO_INDEX) {
		uint16_t index = *head;

		*head = (uint16_t)z->block->owner[index];
		uz__zspage_put(c, z, index);
		z->nr_deferred--;
		c->nr_deferred--;
	}
}

/*
 * Free what waits for no pin any more, and begin the next wait.
 *
 * Ordering: acquire pairs with the release of each unmap that the load sees
 * the effect of, so their reading is over before a place is used again. The
 * class's lock admits one drain at a time; unmaps and new pins run freely.
 */
void uz__free_drain(struct uz__class *c, struct uz__zspage *z)
{
	uint64_t pins = atomic_load_explicit(&z->pins, memory_order_acquire);
	unsigned int now;

	for (;;) {
		now = uz__pin_epoch(pins);
		if (uz__pin_count(pins, !now))
			return;
		put_list(c, z, &z->waiting);
		if (!uz__pin_count(pins, now))
			put_list(c, z, &z->following);
		if (z->following == UZ__NO_INDEX) {
			/* relaxed: only the next deferred free needs it set. */
			atomic_fetch_and_explicit(&z->pins, ~UZ__PIN_DEFERRED,
						  memory_order_relaxed);
			return;
		}
		if (atomic_compare_exchange_weak_explicit(
			    &z->pins, &pins, pins ^ UZ__PIN_EPOCH,
			    memory_order_acq_rel, memory_order_acquire)) {
			z->waiting = z->following;
			z->following = UZ__NO_INDEX;
			return;
		}
	}
}

/* The zspage is pinned: leave the object where it is for now. */
static void defer(struct uz__class *c, struct uz__zspage *z, unsigned int index)
{
	z->block->owner[index] = z->following;
	z->following = (uint16_t)index;
	z->nr_deferred++;
	c->nr_deferred++;
	/* seq_cst: f2 of pin.c again, for the counts that are now decisive. */
	atomic_fetch_or_explicit(&z->pins, UZ__PIN_DEFERRED,
				 memory_order_seq_cst);
	uz__free_drain(c, z);
}

void uz__zs_free(struct uz_pool *base, uz_ref_t ref)
{
	struct uz__zs *pool = uz__zs(base);
	struct uz__zspage *z = &pool->zspages[uz__ref_window(pool, ref)];
	/* relaxed: the object is ours, so its zspage stays in its class. */
	unsigned int class =
		atomic_load_explicit(&z->class, memory_order_relaxed);
	struct uz__class *c = &pool->classes[class];
	unsigned int index = uz__class_index(c, uz__ref_offset(pool, ref));
	struct uz__block *block;
	uint64_t pins;

	uz_lock_acquire(&c->lock);
	/* seq_cst: the freer's half of the argument in pin.c. */
	pins = atomic_load_explicit(&z->pins, memory_order_seq_cst);
	if (uz_likely(!(pins & (UZ__PIN_COUNTS | UZ__PIN_DEFERRED))))
		uz__zspage_put(c, z, index);
	else
		defer(c, z, index);
	block = uz__zspage_settle(pool, c, z);
	uz_lock_release(&c->lock);
	if (uz_unlikely(block))
		uz__zspage_retire(pool, z, block);
}
