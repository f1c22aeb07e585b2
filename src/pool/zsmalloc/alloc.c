// SPDX-License-Identifier: MIT
/*
 * Room for an object: under the class's lock a place is chosen and its pages
 * are charged, then, without the lock, the pages that are not known to be
 * there are populated. Nothing that sleeps happens under the lock, so a new
 * zspage is prepared without it and the choice begun again.
 *
 * Two objects may share a page that is still to be populated. Each thread
 * then populates it for itself (a second time costs little) and nobody has to
 * wait; @ready tells later ones that it is not needed. If one of them fails,
 * its object is taken back. Its pages stay charged as long as anybody populates
 * pages of the zspage, for they may be the same; whoever is last gives back
 * those that nobody has populated (uz__zspage_filled()). So whatever fails,
 * what is charged is what the memfd holds once all is quiet.
 *
 * Where there is a reserve a store fails only when nothing populated is left.
 * What is may be out of sight for a moment: pages beside it are being given
 * back, because the system had none for the keeper, or the keeper has just
 * filled a window. All of that happens with keeper.work held. So before it
 * fails a store looks once more with that lock held, and for no more than what
 * is populated; and after a failure it gives back under that lock as well.
 */
#include <assert.h>
#include <errno.h>

#include <uzram/util/cleanup.h>
#include <uzram/util/delay.h>

#include "zsmalloc_priv.h"

/*
 * Beyond what an object needs, a zspage grows by this part of its class's
 * pages, and never by more than so many.
 */
#define AHEAD_SHARE 128
#define AHEAD_MAX   3

/* Members of a list that are looked at for a place that is populated. */
#define LOOKS 4

/* A zspage prepared without the lock, in case no other has room. */
struct spare {
	struct uz__zspage *z;
	struct uz__block *block;
};

struct place {
	struct uz__zspage *z;
	unsigned int index;
	uint64_t missing; /* pages to be populated, by us if by nobody else */
	bool low; /* the zspage soon needs more pages */
	struct uz__zspage *passed; /* it needs them now; or NULL */
	bool dry; /* there is no reserve, or nothing left of it */
	bool last; /* only what is populated; keeper.work is held */
};

/* The fullest zspage that need not grow, else one that can; or NULL. */
static struct uz__zspage *pick(struct uz__zs *pool, const struct uz__class *c)
{
	uint32_t groups = c->occupied & ((1u << UZ__GROUPS) - 1);
	unsigned int list;

	if (groups)
		list = 31 - (unsigned int)__builtin_clz(groups);
	else if (c->occupied & 1u << UZ__LIST_GROWING)
		list = UZ__LIST_GROWING;
	else
		return NULL;
	return &pool->zspages[c->head[list]];
}

/*
 * With a reserve: the fullest zspage whose next place is populated. Nobody
 * waits for memory, even if the keeper is about to populate another one.
 */
static struct uz__zspage *pick_ready(struct uz__zs *pool,
				     const struct uz__class *c)
{
	uint32_t groups = c->occupied & ((1u << UZ__GROUPS) - 1);
	unsigned int list, looks;
	struct uz__zspage *z;
	uint32_t w;

	for (; groups; groups &= ~(1u << list)) {
		list = 31 - (unsigned int)__builtin_clz(groups);
		w = c->head[list];
		for (looks = 0; looks < LOOKS && w != UZ__NONE; looks++) {
			z = &pool->zspages[w];
			if (!(uz__class_pages(c, z->first_free) & ~z->ready))
				return z;
			w = uz__list_next(pool, c->head[list], w);
		}
	}
	return NULL;
}

/* The zspage to take a place in, or NULL: a new one. */
static struct uz__zspage *choose(struct uz__zs *pool, const struct uz__class *c,
				 struct place *place)
{
	struct uz__zspage *z;

	if (place->dry)
		return pick(pool, c);
	z = pick_ready(pool, c);
	place->passed = z ? NULL : pick(pool, c);
	return z;
}

/*
 * The pages that a zspage lacks for an object in @pages, and a few above them
 * if its class is large: populating several at once costs a third less each.
 * On average half of the excess lies idle, 1/256 of the class's memory.
 */
static uint64_t growth(const struct uz__class *c, const struct uz__zspage *z,
		       uint64_t pages)
{
	unsigned int page = 64 - (unsigned int)__builtin_clzll(pages);
	uint64_t ahead = c->nr_zspages * c->pages / AHEAD_SHARE;
	uint64_t grow = pages & ~z->held;

	if (ahead > AHEAD_MAX)
		ahead = AHEAD_MAX;
	for (; grow && ahead && page < c->pages; ahead--, page++) {
		if (z->held & UINT64_C(1) << page)
			break;
		grow |= UINT64_C(1) << page;
	}
	return grow;
}

/*
 * Is this the first object in a page of which one of the next two is missing?
 * Then the keeper should be told; the other objects in the page need not.
 */
static bool runs_low(const struct uz__class *c, const struct uz__zspage *z,
		     unsigned int index, uint64_t pages)
{
	uint64_t all = (UINT64_C(2) << (c->pages - 1)) - 1;

	return (pages << 1 | pages << 2) & all & ~z->held &&
	       (uint32_t)index * c->size % UZ_PAGE_SIZE < c->size;
}

/* Count @grow as used, or at least what of it is in @pages; or nothing. */
static bool charge(struct uz__zs *pool, uint64_t *grow, uint64_t pages,
		   bool over)
{
	if (uz__limit_charge(&pool->base, uz__pages_count(*grow), false))
		return true;
	*grow &= pages;
	return uz__limit_charge(&pool->base, uz__pages_count(*grow), over);
}

/*
 * Choose and use a place; the class's lock is held.
 *
 * Return: 0; -EAGAIN no zspage has room and there is no spare one; -ENOSPC
 * the limit is reached.
 */
static int take_place(struct uz__zs *pool, unsigned int class,
		      struct spare *spare, uint32_t owner, bool over,
		      struct place *place)
{
	struct uz__class *c = &pool->classes[class];
	struct uz__zspage *z = choose(pool, c, place);
	bool fresh = !z;
	unsigned int index;
	uint64_t pages, grow;

	if (fresh && !spare->z)
		return -EAGAIN;
	if (fresh)
		z = spare->z;
	index = fresh ? 0 : z->first_free;
	pages = uz__class_pages(c, index);
	grow = growth(c, z, pages);
	if (grow && !charge(pool, &grow, pages, over))
		return -ENOSPC;
	if (fresh) {
		uz__zspage_open(pool, class, z, uz_steal_ptr(spare->block));
		spare->z = NULL;
	}
	if (grow)
		uz__zspage_hold(c, z, z->held | grow, z->ahead);
	uz__zspage_take(c, z, index, owner);
	uz__zspage_settle(pool, c, z);
	place->z = z;
	place->index = index;
	place->missing = (pages | grow) & ~z->ready;
	z->filling += !!place->missing;
	/* Of a new one the keeper must know even if it has enough for now. */
	place->low = fresh || runs_low(c, z, index, pages);
	return 0;
}

/* Have a spare zspage. -ENOSPC when the arena is full or malloc fails. */
static int prepare(struct uz__zs *pool, const struct uz__class *c,
		   struct spare *spare, struct place *place)
{
	if (!place->dry) {
		spare->z = uz__window_get(pool, c->pages, true);
		place->dry = !spare->z;
		if (place->dry)
			return place->last ? -ENOSPC : 0;
	}
	if (!spare->block)
		spare->block = uz__block_get(pool, c);
	if (!spare->block)
		return -ENOSPC;
	if (!spare->z)
		spare->z = uz__window_get(pool, c->pages, false);
	return spare->z ? 0 : -ENOSPC;
}

static void dispose(struct uz__zs *pool, struct spare *spare)
{
	uz__block_put(pool, spare->block);
	if (spare->z)
		uz__window_put(pool, spare->z);
}

/* Find a place, preparing zspages and giving memory back as need be. */
static int find_place(struct uz__zs *pool, unsigned int class, uint32_t owner,
		      bool over, struct place *place)
{
	struct uz__class *c = &pool->classes[class];
	struct spare spare = { 0 };
	bool last = false;
	int ret;

	for (;;) {
		uz_lock_acquire(&c->lock);
		ret = take_place(pool, class, &spare, owner, over, place);
		uz_lock_release(&c->lock);
		if (ret == -EAGAIN) {
			ret = prepare(pool, c, &spare, place);
			if (ret)
				break;
		} else if (ret == -ENOSPC && !last && !place->last) {
			/* If it finds none, it has waited for who did. */
			last = !uz__window_give_back(pool) &&
			       !uz__keeper_release(pool);
		} else {
			break;
		}
	}
	if (uz_unlikely(spare.block || spare.z))
		dispose(pool, &spare);
	return ret;
}

/*
 * All pages from the first to the last missing one are ours to populate: they
 * lie in our object or were charged for us, and nobody gives them back while
 * @filling counts us. If that fails it is as if the place was never taken.
 */
static int populate(struct uz__zs *pool, struct uz__class *c,
		    const struct place *place)
{
	struct uz__zspage *z = place->z;
	uint64_t base = uz__window_offset(pool, uz__zspage_window(pool, z));
	unsigned int first = (unsigned int)__builtin_ctzll(place->missing);
	unsigned int last = 63 - (unsigned int)__builtin_clzll(place->missing);
	bool rest;
	int ret;

	ret = uz_shm_populate(&pool->base.arena,
			      base + (uint64_t)first * UZ_PAGE_SIZE,
			      (size_t)(last - first + 1) * UZ_PAGE_SIZE);
	rest = ret && uz__reserve_pages(pool);
	if (uz_unlikely(rest))
		uz_lock_acquire(&pool->keeper.work);
	uz_lock_acquire(&c->lock);
	if (uz_unlikely(ret))
		uz__zspage_put(c, z, place->index);
	uz__zspage_filled(pool, c, z, ret ? 0 : place->missing);
	if (uz_unlikely(rest))
		uz_lock_release(&pool->keeper.work);
	return ret ? -ENOSPC : 0;
}

/* Find a place and have its pages. */
static int get_place(struct uz__zs *pool, unsigned int class, uint32_t owner,
		     bool over, struct place *place)
{
	int ret;

	if (uz_unlikely(place->last))
		uz_lock_acquire(&pool->keeper.work);
	ret = find_place(pool, class, owner, over, place);
	if (uz_unlikely(place->last))
		uz_lock_release(&pool->keeper.work);
	if (uz_unlikely(ret))
		return ret;
	uz_delay(UZ_DELAY_TAKEN);
	if (uz_unlikely(place->low)) {
		uz__keeper_hint(pool, place->z);
		uz__huge_tell(pool);
	}
	if (uz_unlikely(place->passed))
		uz__keeper_hint(pool, place->passed);
	if (uz_likely(!place->missing))
		return 0;
	/* relaxed: a number. */
	if (uz__reserve_pages(pool))
		atomic_fetch_add_explicit(&pool->store.missed, 1,
					  memory_order_relaxed);
	return populate(pool, &pool->classes[class], place);
}

int uz__zs_alloc(struct uz_pool *base, uint32_t size, uint32_t owner,
		 unsigned int flags, uz_ref_t *ref)
{
	struct uz__zs *pool = uz__zs(base);
	unsigned int class = uz__class_number(pool, size);
	struct place place = { .dry = !uz__reserve_pages(pool) };
	bool over = flags & UZ_POOL_OVER_LIMIT;
	int ret;

	assert(size && size <= UZ_POOL_MAX_OBJECT);
	ret = get_place(pool, class, owner, over, &place);
	if (uz_unlikely(ret) && uz__reserve_pages(pool)) {
		place = (struct place){ .last = true };
		ret = get_place(pool, class, owner, over, &place);
	}
	if (uz_unlikely(ret))
		return ret;
	*ref = uz__zspage_ref(pool, &pool->classes[class], place.z,
			      place.index);
	return 0;
}
