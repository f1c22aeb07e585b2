// SPDX-License-Identifier: MIT
/*
 * The store of windows that no class has. Some are empty but keep their
 * memory (kept), because faulting it in again costs as much as compressing a
 * page does; the others (free) have none. Both lists are last in, first out,
 * and untouched windows come last, so that the descriptors and page tables in
 * use stay few.
 *
 * More than config.keep_empty is given back, in batches, by whoever brought
 * the last window. One thread at a time does so, and nobody who frees waits
 * for it: who finds it at work leaves his window to it. Only who is about to
 * fail for want of memory waits.
 *
 * A reserve is kept windows with memory in their first pages, that stores open
 * when no zspage of their class has a populated place left. It is given up only
 * at the limit.
 *
 * A window may be pinned while it lies here or is given back: only by maps
 * that lost a race with a free, and those never read.
 */

#include <uzram/util/ahead.h>

#include "zsmalloc_priv.h"

#define BATCH	   16u
#define FILL_PAGES 4u
/* With a reserve: what lets most objects of a burst find room. */
#define FILL_RESERVE 8u

void uz__window_init(struct uz__zs *pool)
{
	uz_lock_init(&pool->store.give, UZ_LOCK_POOL_GIVE);
	uz_lock_init(&pool->store.lock, UZ_LOCK_POOL_STORE);
	pool->store.kept = UZ__NONE;
	pool->store.free = UZ__NONE;
}

void uz__window_fini(struct uz__zs *pool)
{
	uz_lock_destroy(&pool->store.give);
	uz_lock_destroy(&pool->store.lock);
}

/*
 * Only changed under the lock; read without it to decide whether there is
 * work, which is then looked at again under the lock: relaxed suffices.
 */
static uint64_t kept_pages(const struct uz__zs *pool)
{
	return atomic_load_explicit(&pool->store.kept_pages,
				    memory_order_relaxed);
}

static void kept_pages_set(struct uz__zs *pool, uint64_t pages)
{
	atomic_store_explicit(&pool->store.kept_pages, pages,
			      memory_order_relaxed);
}

/* Pages of empty windows beyond which memory is given back. */
static uint64_t keep_pages(const struct uz__zs *pool)
{
	uint64_t keep = pool->base.config.keep_empty / UZ_PAGE_SIZE;
	uint64_t reserve = uz__reserve_pages(pool);

	return keep > reserve ? keep : reserve;
}

/* Pages that a window is given ahead of its use. */
static unsigned int fill_pages(const struct uz__zs *pool)
{
	return uz__reserve_pages(pool) ? FILL_RESERVE : FILL_PAGES;
}

/* Is less ready than is to be? A hint, without the lock. */
bool uz__window_short(const struct uz__zs *pool)
{
	return kept_pages(pool) + fill_pages(pool) <= uz__reserve_pages(pool);
}

/* Short, and not because of the limit? A hint, without the lock. */
bool uz__window_denied(const struct uz__zs *pool)
{
	return uz__window_short(pool) &&
	       uz__limit_fits(&pool->base, fill_pages(pool));
}

/* The store's lock is held. */
static struct uz__zspage *pop_kept(struct uz__zs *pool)
{
	struct uz__store *s = &pool->store;
	struct uz__zspage *z;

	if (s->kept == UZ__NONE)
		return NULL;
	z = &pool->zspages[s->kept];
	uz__list_remove(pool, &s->kept, z);
	s->nr_kept--;
	kept_pages_set(pool, kept_pages(pool) - uz__pages_count(z->held));
	z->list = UZ__LIST_NONE;
	return z;
}

/* The store's lock is held. */
static void push(struct uz__zs *pool, struct uz__zspage *z)
{
	struct uz__store *s = &pool->store;

	if (!z->held) {
		uz__list_push(pool, &s->free, z);
		z->list = UZ__LIST_FREE;
		s->nr_free++;
		return;
	}
	uz__list_push(pool, &s->kept, z);
	z->list = UZ__LIST_KEPT;
	s->nr_kept++;
	kept_pages_set(pool, kept_pages(pool) + uz__pages_count(z->held));
}

/* Give pages of a private window back. */
static int drop(struct uz__zs *pool, struct uz__zspage *z, uint64_t pages)
{
	int ret;

	z->ready &= ~pages;
	ret = uz__zspage_punch(pool, z, pages);
	if (ret)
		return ret;
	z->held &= ~pages;
	uz__limit_uncharge(&pool->base, uz__pages_count(pages));
	return 0;
}

/* One without memory; the store's lock is held. */
static struct uz__zspage *pop_free(struct uz__zs *pool)
{
	struct uz__store *s = &pool->store;
	struct uz__zspage *z;

	if (s->free != UZ__NONE) {
		z = &pool->zspages[s->free];
		uz__list_remove(pool, &s->free, z);
		s->nr_free--;
	} else if (s->bump < uz__nr_windows(pool)) {
		z = &pool->zspages[s->bump++];
	} else {
		return NULL;
	}
	z->list = UZ__LIST_NONE;
	return z;
}

/*
 * A private window for a zspage of @pages pages; one with memory if there is
 * any, and none else if @ready. NULL when there is none, or the arena is full.
 */
struct uz__zspage *uz__window_get(struct uz__zs *pool, unsigned int pages,
				  bool ready)
{
	struct uz__store *s = &pool->store;
	struct uz__zspage *z;
	uint64_t excess;

	uz_lock_acquire(&s->lock);
	z = pop_kept(pool);
	if (!z && !ready)
		z = pop_free(pool);
	/* relaxed: a number for the keeper to look at. */
	if (z)
		atomic_fetch_add_explicit(&s->nr_got, 1, memory_order_relaxed);
	uz_lock_release(&s->lock);
	if (!z)
		return NULL;
	uz__huge_touch(pool, z);
	/* Of small objects only: the rest of the window would lie idle. */
	excess = z->held & ~((UINT64_C(2) << (pages - 1)) - 1);
	if (!excess || !drop(pool, z, excess))
		return z;
	uz__window_put(pool, z);
	if (ready)
		return NULL;
	uz_lock_acquire(&s->lock);
	z = pop_free(pool);
	uz_lock_release(&s->lock);
	return z;
}

/* Give a window its first pages; false when there is no memory for them. */
static bool fill(struct uz__zs *pool, struct uz__zspage *z)
{
	uint64_t mask = (UINT64_C(1) << fill_pages(pool)) - 1;

	if (!uz__limit_charge(&pool->base, fill_pages(pool), false))
		return false;
	z->held = mask;
	if (uz__zspage_populate(pool, z, mask)) {
		/* What was populated of it is there to be given back. */
		drop(pool, z, mask);
		return false;
	}
	z->ready = mask;
	return true;
}

/*
 * Ahead of use: let there be the reserve, and @nr kept windows if they may be
 * kept, as far as there is memory: more would be given back with the next
 * window that is emptied. Those that are added have a few pages, so that a new
 * zspage need not wait for its first ones.
 */
void uz__window_fill(struct uz__zs *pool, unsigned int nr)
{
	uint64_t keep = keep_pages(pool);
	struct uz__store *s = &pool->store;
	struct uz__zspage *z;
	bool filled = true;

	if (uz__reserve_pages(pool))
		uz__block_stock(
			pool,
			(uint32_t)(uz__reserve_pages(pool) / FILL_RESERVE) + 1);

	while (filled && uz_ahead_plenty(fill_pages(pool) * UZ_PAGE_SIZE)) {
		uz_lock_acquire(&s->lock);
		z = NULL;
		if ((s->nr_kept < nr || uz__window_short(pool)) &&
		    kept_pages(pool) + fill_pages(pool) <= keep)
			z = pop_free(pool);
		uz_lock_release(&s->lock);
		if (!z)
			return;
		filled = fill(pool, z);
		uz_lock_acquire(&s->lock);
		push(pool, z);
		uz_lock_release(&s->lock);
	}
}

/* Give up to @max kept windows back, until @keep pages are left. */
static unsigned int give_back(struct uz__zs *pool, uint64_t keep,
			      unsigned int max)
{
	struct uz__zspage *batch[BATCH];
	unsigned int nr = 0, done = 0, i;

	uz_lock_acquire(&pool->store.lock);
	while (nr < max && kept_pages(pool) > keep)
		batch[nr++] = pop_kept(pool);
	uz_lock_release(&pool->store.lock);

	for (i = 0; i < nr; i++)
		if (!drop(pool, batch[i], batch[i]->held))
			done++;

	uz_lock_acquire(&pool->store.lock);
	for (i = 0; i < nr; i++) {
		push(pool, batch[i]);
		/* Refused: the others come first. */
		if (batch[i]->list == UZ__LIST_KEPT)
			uz__list_last(pool, &pool->store.kept, batch[i]);
	}
	uz_lock_release(&pool->store.lock);
	return done;
}

/* A private window that nobody needs. May give memory back. */
void uz__window_put(struct uz__zs *pool, struct uz__zspage *z)
{
	uint64_t keep = keep_pages(pool);
	unsigned int done = 1;

	uz_lock_acquire(&pool->store.lock);
	push(pool, z);
	uz_lock_release(&pool->store.lock);

	/*
	 * Look again after each batch with the mutex released: a thread that
	 * found it taken has left its window to this one.
	 */
	while (done && kept_pages(pool) > keep &&
	       uz_lock_try(&pool->store.give)) {
		done = give_back(pool, keep, BATCH);
		uz_lock_release(&pool->store.give);
	}
}

static uint32_t nr_kept(struct uz__zs *pool)
{
	uz_scoped_acquire(guard, &pool->store.lock);

	return pool->store.nr_kept;
}

/*
 * The limit is reached: give one kept window back, after waiting for whoever
 * is giving back already. False when there was none that the system took.
 */
bool uz__window_give_back(struct uz__zs *pool)
{
	uz_scoped_acquire(guard, &pool->store.give);
	uint32_t left = nr_kept(pool);

	while (left-- > 0)
		if (give_back(pool, 0, 1))
			return true;
	return false;
}

void uz__zs_trim(struct uz_pool *base)
{
	struct uz__zs *pool = uz__zs(base);
	uz_scoped_acquire(guard, &pool->store.give);

	while (give_back(pool, uz__reserve_pages(pool), BATCH))
		;
}
