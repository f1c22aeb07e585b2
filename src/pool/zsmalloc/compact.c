// SPDX-License-Identifier: MIT
/*
 * Compaction: which classes, which of their zspages, and when to stop.
 *
 * A class can gain the pages that it holds beyond what its objects need when
 * they lie end to end (uz__class_gain()). The class with most to gain comes
 * first. In it the zspage with the fewest objects gives its highest to fuller
 * ones (move.c) and then the pages above its last one to the system: memory is
 * held page by page, so nothing has to be emptied before something is gained.
 *
 * Nobody is waited for once it has begun. A class whose lock is taken is left
 * for later; so is a zspage that is pinned, that has an object whose owner did
 * not let it go, or that has nowhere to put its objects. It is marked with the
 * number of this compaction and goes to the end of its list. So the marked ones
 * are the last of each list, and a marked head means that the list was gone
 * through.
 *
 * Between two turns the pool is at rest: then those get in who wait for that
 * (uz_pool_check(), a store that needs memory at the limit).
 *
 * Locks: compacting and huge.collapsing over a whole call; under them, for a
 * turn, keeper.work; and under that the class's lock, never across more than a
 * batch of moves.
 */
#include <sched.h>

#include "zsmalloc_priv.h"

#define TURN_MOVES (4 * UZ__MOVES) /* in one turn */
#define LOOKS	   16u /* at zspages under one hold of a class's lock */
#define FEW	   4u /* zspages of a list, of which the emptiest is taken */
#define TRIES	   3u /* at a class whose lock is taken */
#define FLOOR	   4u /* goes down to this part of what is tolerated */

#define MAX_CLASSES (UZ_POOL_MAX_OBJECT / 8 + 2)

enum state {
	UNSEEN,
	LATER, /* its lock was taken */
	OVER,
};

struct run {
	struct uz__mover mover;
	enum uz_pool_compact_scope scope;
	uint32_t budget;
	uint32_t pass; /* marks those passed over */
	enum state state[MAX_CLASSES];
};

/* A class is begun with when it has more to gain than so many pages. */
static uint64_t ceiling(const struct run *run, const struct uz__class *c)
{
	return run->scope == UZ_POOL_COMPACT_ALL ? 0 : uz__class_tolerated(c);
}

/*
 * The class with most to gain, or NULL; found without locks, as
 * zsmalloc_priv.h allows.
 */
static struct uz__class *worst(struct run *run)
{
	struct uz__zs *pool = run->mover.pool;
	struct uz__class *c, *found = NULL;
	uint64_t gain, most = 0;
	unsigned int i;

	for (i = 1; i < pool->nr_classes; i++) {
		c = &pool->classes[i];
		gain = uz__class_gain(c);
		if (run->state[i] != UNSEEN || (found && gain <= most))
			continue;
		if (gain > ceiling(run, c) ||
		    atomic_load_explicit(&c->fragmented,
					 memory_order_relaxed)) {
			found = c;
			most = gain;
		}
	}
	return found;
}

/* relaxed: a pin that comes right now makes frees wait, as ever. */
static bool pinned(const struct uz__zspage *z)
{
	return atomic_load_explicit(&z->pins, memory_order_relaxed) &
	       (UZ__PIN_COUNTS | UZ__PIN_DEFERRED);
}

/* Of the first few of a list, the emptiest that is not pinned. */
static struct uz__zspage *emptiest(struct run *run, struct uz__class *c,
				   unsigned int list, unsigned int *looks)
{
	struct uz__zs *pool = run->mover.pool;
	struct uz__zspage *z, *found = NULL;
	unsigned int few = FEW;
	uint32_t w, next;

	for (w = c->head[list]; w != UZ__NONE && few && *looks; w = next) {
		z = &pool->zspages[w];
		if (z->passed == run->pass)
			break;
		next = uz__list_next(pool, c->head[list], w);
		--*looks;
		if (pinned(z)) {
			run->mover.done->pinned++;
			z->passed = run->pass;
			uz__list_last(pool, &c->head[list], z);
			continue;
		}
		few--;
		if (!found || z->nr_used < found->nr_used)
			found = z;
	}
	return found;
}

/*
 * The zspage to take objects from: one that is emptied soon, of equals one
 * that is not populated wholly. NULL: there is none, or @looks became 0.
 */
static struct uz__zspage *choose(struct run *run, struct uz__class *c,
				 unsigned int *looks)
{
	struct uz__zspage *growing = emptiest(run, c, UZ__LIST_GROWING, looks);
	struct uz__zspage *z = NULL;
	unsigned int list;

	for (list = 0; list < UZ__GROUPS && !z; list++)
		z = emptiest(run, c, list, looks);
	if (!z || (growing && growing->nr_used <= z->nr_used))
		z = growing;
	return z;
}

/*
 * Put an isolated zspage back and give away what it does not need. The class's
 * lock is held and released here.
 */
static void put_back(struct run *run, struct uz__class *c, struct uz__zspage *z,
		     uint64_t idle)
{
	struct uz__zs *pool = run->mover.pool;
	unsigned int held = uz__pages_count(z->held);
	struct uz__block *block;

	z->isolated--;
	if (z->nr_used && idle) {
		if (uz__zspage_surrender(pool, c, z, idle))
			run->mover.done->pages += uz__pages_count(idle);
		return;
	}
	block = uz__zspage_settle(pool, c, z);
	uz_lock_release(&c->lock);
	if (block)
		run->mover.done->pages += held;
	uz__zspage_retire(pool, z, block);
}

/*
 * Take objects from one zspage, until it has none, or there is no place for
 * more, or it is somebody else's turn. The class's lock is released here.
 */
static void empty(struct run *run, struct uz__class *c, struct uz__zspage *z)
{
	unsigned int left = run->budget < TURN_MOVES ? run->budget : TURN_MOVES;
	unsigned int max, moved;
	bool stuck = false;

	uz__zspage_isolate(run->mover.pool, c, z);
	while (left && !stuck) {
		if (pinned(z)) {
			run->mover.done->pinned++;
			stuck = true;
			break;
		}
		max = left < UZ__MOVES ? left : UZ__MOVES;
		moved = uz__move_batch(&run->mover, c, z, max);
		run->budget -= moved;
		left -= moved;
		stuck = moved < max;
		uz_lock_acquire(&c->lock);
	}
	z->passed = stuck ? run->pass : 0;
	put_back(run, c, z,
		 uz__zspage_idle(z,
				 ~uz__move_span(c, z) & ~uz__zspage_ahead(z)));
}

/* One turn at a class; how it stands with it afterwards. */
static enum state turn(struct run *run, struct uz__class *c)
{
	uz_scoped_acquire(rest, &run->mover.pool->keeper.work);
	uint64_t gain, enough = ceiling(run, c) / FLOOR;
	struct uz__zspage *z = NULL;
	unsigned int looks = LOOKS;

	if (!uz_lock_try(&c->lock)) {
		run->mover.done->contended++;
		return LATER;
	}
	gain = uz__class_gain(c);
	if (gain > enough)
		z = choose(run, c, &looks);
	if (z) {
		empty(run, c, z);
		return UNSEEN;
	}
	if (gain > enough && !looks) {
		uz_lock_release(&c->lock);
		return UNSEEN;
	}
	uz__class_compacted(c, gain > enough ? gain : 0);
	uz_lock_release(&c->lock);
	return OVER;
}

/*
 * Each class, the worst first, as far as the budget goes. A turn that is of
 * use gains a page or moves an object for good. When owners do not let their
 * objects go, it may only make room for the next one's; so no class has more
 * turns than pages and objects.
 */
static void go_round(struct run *run)
{
	struct uz__class *c;
	enum state *state;
	uint64_t turns;

	while (run->budget && (c = worst(run))) {
		state = &run->state[c - run->mover.pool->classes];
		turns = uz__number(&c->held) + uz__number(&c->nr_used) + LOOKS;
		do {
			*state = turn(run, c);
		} while (*state == UNSEEN && run->budget && --turns);
		if (!turns)
			*state = OVER;
	}
}

/* Those that were left for later are to be seen again; whether any were. */
static bool come_back(struct run *run)
{
	bool any = false;
	unsigned int i;

	for (i = 1; i < run->mover.pool->nr_classes; i++) {
		if (run->state[i] != LATER)
			continue;
		run->state[i] = UNSEEN;
		any = true;
	}
	return any;
}

/* Whether there is more to be done now. */
static bool compact(struct run *run)
{
	unsigned int tries = TRIES;

	go_round(run);
	while (come_back(run)) {
		if (!run->budget || !--tries)
			return true;
		/* Whoever has the lock may wait for this CPU. */
		sched_yield();
		go_round(run);
	}
	return worst(run);
}

bool uz__zs_compact(struct uz_pool *base, enum uz_pool_compact_scope scope,
		    uint32_t budget, uz_pool_relocate *relocate, void *arg,
		    struct uz_pool_compaction *done)
{
	struct uz__zs *pool = uz__zs(base);
	uz_scoped_acquire(one, &pool->compacting);
	/*
	 * Zspages that are about to lie in a huge page give none of theirs
	 * back, and a store that found no room is to have what there is.
	 */
	uz_scoped_acquire(still, &pool->huge.collapsing);
	struct run run = {
		.mover = { pool, relocate, arg, done },
		.scope = scope,
		.budget = budget,
	};
	bool more;

	/* 0 is the mark of those that no compaction has passed over. */
	if (!++pool->passes)
		pool->passes++;
	run.pass = pool->passes;
	if (scope == UZ_POOL_COMPACT_ALL)
		uz__keeper_release(pool);
	more = compact(&run);
	if (scope == UZ_POOL_COMPACT_ALL)
		uz__zs_trim(base);
	return more;
}
