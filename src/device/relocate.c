// SPDX-License-Identifier: MIT
/*
 * Compaction as the device sees it: the pool chooses what is to be moved
 * where, and each move is one more swap of a slot word.
 *
 * The pool holds the old place pinned from before the slot is read here until
 * after the swap. So what the slot names when it is read stays what it is:
 * the place cannot be freed, hence not be filled anew, and the same word
 * cannot come to mean another object in between (no ABA). Three things may be
 * found in the slot:
 *
 * - It names the old place: then the object there is published, its bytes do
 *   not change any more, and they may be copied.
 * - It names something else, or nothing: what lies at the old place was not
 *   published yet (the slot is exchanged only after the object was filled), or
 *   was taken out of the slot and is about to be freed. Its owner may be
 *   writing it, so it is not even read; the pool takes the new place back.
 * - It names the old place when it is read and not any more at the swap: a
 *   store or a drop won. The copy is thrown away.
 *
 * A page's contents, kind and size stay as they are, so do all statistics but
 * those of compaction itself.
 */
#include <uzram/util/delay.h>

#include "device_priv.h"

/* Load (seq_cst) under the pool's pin; the swap is seq_cst as well. */
bool uz__relocate(void *arg, uint32_t owner, uz_ref_t from, uz_ref_t to)
{
	struct uz_device *dev = arg;
	uz_slot_t old = uz_table_load(dev->table, owner), w;

	/* Of a damaged slot the size cannot be believed either. */
	if (!uz_slot_in_pool(old) || !uz_slot_valid(old) ||
	    uz_slot_ref(old) != from)
		return false;
	uz_pool_copy(dev->pool, from, to, uz__object_bytes(uz_slot_size(old)));
	for (;;) {
		if (uz_table_swap(dev->table, owner, old,
				  uz_slot_move(old, to))) {
			uz_delay(UZ_DELAY_SWAPPED);
			return true;
		}
		w = uz_table_load(dev->table, owner);
		/* Only flags differ: it is the object that was copied. */
		if (!uz_slot_same_place(old, w) || !uz_slot_valid(w))
			return false;
		old = w;
	}
}

/*
 * Objects that a store which was refused has moved before it tries again. A
 * few dozen often empty a page, and take less time than compressing ten.
 */
#define RECLAIM_BUDGET 64

/**
 * uz__reclaim() - gain memory for a store that was refused
 * @io:    this thread's context, inside a request
 * @scope: how far to go
 *
 * Without the configuration lock: whoever resets the device holds it while it
 * waits for this very request. The request itself keeps table and pool, and
 * what is done is counted in the thread's own share.
 *
 * Context: the thread of @io; no map is held that must not be slept upon.
 * Return:  true: it is worth trying again. False: nothing can be gained now.
 */
bool uz__reclaim(struct uz_io *io, enum uz_pool_compact_scope scope)
{
	struct uz_pool_compaction did = { 0 };
	bool more;

	more = uz_pool_compact(io->dev->pool, scope, RECLAIM_BUDGET,
			       uz__relocate, io->dev, &did);
	uz__stat_compaction(io->cnt, &did);
	/* What stays where it is for others' sake is no reason to go on. */
	return did.pages || (more && did.objects);
}

bool uz_device_compact(struct uz_device *dev, enum uz_pool_compact_scope scope,
		       uint32_t budget, struct uz_pool_compaction *done)
{
	uz_scoped_acquire(guard, &dev->lock);
	struct uz_pool_compaction did = { 0 };
	bool more;

	if (!dev->pool)
		return false;
	more = uz_pool_compact(dev->pool, scope, budget, uz__relocate, dev,
			       &did);
	/* The share of those that have none: the lock makes it ours. */
	uz__stat_compaction(&dev->ctl->counters[0], &did);
	done->pages += did.pages;
	done->objects += did.objects;
	done->pinned += did.pinned;
	done->contended += did.contended;
	done->busy += did.busy;
	return more;
}
