// SPDX-License-Identifier: MIT
/*
 * Moving objects: a batch of one zspage's highest, each into a hole.
 *
 * A hole is a free place that is populated, so that an object there needs no
 * memory, and not ahead of use, since those are the keeper's matter. The holes
 * of zspages that are at least as full come first, so that the emptier
 * one can be emptied; if there are none its own lowest are taken. So each hole
 * costs one move, and nothing is moved back and forth: a move makes zspages
 * less equal, or brings an object nearer to the start of its own.
 *
 * The zspage is pinned while its objects are copied without the class's lock.
 * A move is then for the pool what a map, an alloc and a free are: the pin
 * keeps the old place what it is, the new place is nobody's until the owner's
 * word names it, and the old one is freed by the rules for any other. The
 * owners were read under the lock while the zspage was not pinned. Hence no
 * free was deferred in it, and no owner word was a link of that list.
 */
#include "zsmalloc_priv.h"

#define LOOKS 8u /* at zspages, for one with a hole */

struct move {
	struct uz__zspage *to;
	struct uz__block *block; /* of @to, if it became empty */
	uint32_t owner;
	uint16_t from_index;
	uint16_t to_index;
	bool moved;
};

/* The last used place below @end, or UZ__NO_INDEX. */
static unsigned int last_used(const struct uz__zspage *z, unsigned int end)
{
	unsigned int i = (end + 63) / 64;
	uint64_t used;

	while (i-- > 0) {
		used = z->block->used[i];
		if (end < (i + 1) * 64)
			used &= (UINT64_C(1) << end % 64) - 1;
		if (used)
			return i * 64 + 63 -
			       (unsigned int)__builtin_clzll(used);
	}
	return UZ__NO_INDEX;
}

/* All pages up to the last that an object lies in. */
uint64_t uz__move_span(const struct uz__class *c, const struct uz__zspage *z)
{
	unsigned int last = last_used(z, c->objects);

	return last == UZ__NO_INDEX ? 0
				    : uz__pages_span(uz__class_pages(c, last));
}

static bool first_is_hole(const struct uz__class *c, const struct uz__zspage *z)
{
	return !(uz__class_pages(c, z->first_free) &
		 (~z->ready | uz__zspage_ahead(z)));
}

/* The fullest zspage that has a hole and is as full as @from; or NULL. */
static struct uz__zspage *fuller(struct uz__zs *pool, const struct uz__class *c,
				 const struct uz__zspage *from)
{
	unsigned int list = UZ__GROUPS, looks = LOOKS;
	struct uz__zspage *z;
	uint32_t w;

	while (list-- > 0) {
		for (w = c->head[list]; w != UZ__NONE;
		     w = uz__list_next(pool, c->head[list], w)) {
			if (!looks--)
				return NULL;
			z = &pool->zspages[w];
			if (z->nr_used >= from->nr_used && first_is_hole(c, z))
				return z;
		}
	}
	return NULL;
}

/* The lowest hole from @hole on; all above its last object if none. */
static unsigned int own_hole(const struct uz__class *c,
			     const struct uz__zspage *z, unsigned int hole)
{
	hole = uz__zspage_next_free(c, z, hole);
	while (hole < c->objects && uz__class_pages(c, hole) & ~z->ready)
		hole = uz__zspage_next_free(c, z, hole + 1);
	return hole;
}

/* Find holes for the highest objects and use them. */
static unsigned int collect(struct uz__zs *pool, struct uz__class *c,
			    struct uz__zspage *from, struct move *moves,
			    unsigned int max)
{
	unsigned int index = c->objects, own = 0, hole, nr;
	struct uz__zspage *to = NULL;

	for (nr = 0; nr < max; nr++) {
		index = last_used(from, index);
		if (index == UZ__NO_INDEX)
			break;
		if (to != from)
			to = fuller(pool, c, from);
		if (!to)
			to = from;
		if (to == from)
			own = own_hole(c, from, own);
		hole = to == from ? own : to->first_free;
		if (to == from && hole >= index)
			break;
		moves[nr] = (struct move){
			.to = to,
			.owner = from->block->owner[index],
			.from_index = (uint16_t)index,
			.to_index = (uint16_t)hole,
		};
		uz__zspage_take(c, to, hole, moves[nr].owner);
		uz__zspage_settle(pool, c, to);
	}
	return nr;
}

/* Free the old places of those that moved, the new ones of the others. */
static unsigned int finish(const struct uz__mover *mover, struct uz__class *c,
			   struct uz__zspage *from, struct move *moves,
			   unsigned int nr)
{
	unsigned int moved = 0, i;
	struct move *m;

	for (i = 0; i < nr; i++) {
		m = &moves[i];
		if (m->moved) {
			uz__free_place(c, from, m->from_index);
			moved++;
			continue;
		}
		/* At once, pinned or not: no word has ever named it. */
		uz__zspage_put(c, m->to, m->to_index);
		m->block = uz__zspage_settle(mover->pool, c, m->to);
	}
	mover->done->objects += moved;
	mover->done->busy += nr - moved;
	return moved;
}

/*
 * Move up to @max objects of a zspage that is isolated and not pinned. The
 * class's lock is held on entry and released here.
 *
 * Return: how many were moved; fewer than @max if there is no hole for more,
 * or if one was left where it is.
 */
unsigned int uz__move_batch(const struct uz__mover *mover, struct uz__class *c,
			    struct uz__zspage *from, unsigned int max)
{
	struct uz__zs *pool = mover->pool;
	struct move moves[UZ__MOVES];
	unsigned int nr, moved, epoch, i;

	nr = collect(pool, c, from, moves, max < UZ__MOVES ? max : UZ__MOVES);
	epoch = uz__pin_add(&from->pins);
	uz_lock_release(&c->lock);

	for (i = 0; i < nr; i++)
		moves[i].moved = mover->relocate(
			mover->arg, moves[i].owner,
			uz__zspage_ref(pool, c, from, moves[i].from_index),
			uz__zspage_ref(pool, c, moves[i].to,
				       moves[i].to_index));

	uz_lock_acquire(&c->lock);
	if (uz__pin_drop(&from->pins, epoch))
		uz__free_drain(c, from);
	moved = finish(mover, c, from, moves, nr);
	uz_lock_release(&c->lock);
	for (i = 0; i < nr; i++)
		uz__zspage_retire(pool, moves[i].to, moves[i].block);
	return moved;
}
