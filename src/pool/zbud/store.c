// SPDX-License-Identifier: MIT
/*
 * Empty pages. Some keep their memory (kept), because faulting it in again
 * costs as much as compressing a page does; the others (free) have none. Both
 * are used last in, first out, and untouched pages come last.
 *
 * More than config.keep_empty is given back, in batches, by whoever brought
 * the last page. One thread at a time does so, and nobody who frees waits for
 * it; only who is about to fail for want of memory waits. The lock that says
 * so is held over system calls, so it is taken before the pool's lock.
 */
#include <stdlib.h>

#include "zbud_priv.h"

#define BATCH 64u

/* An untouched page, as a private one; none is left: UZ__BUD_NONE. */
static uint32_t touch(struct uz__bud *pool)
{
	if (pool->bump == uz__bud_nr_pages(pool))
		return UZ__BUD_NONE;
	pool->pages[pool->bump].list = UZ__BUD_PRIVATE;
	return pool->bump++;
}

/*
 * Two untouched pages; the second one is spare then. A single last one is
 * made spare too, so that it may be the second of a pair.
 */
static uint32_t touch_pair(struct uz__bud *pool)
{
	uint32_t first = touch(pool), second;

	/* Not asked for twice: the arena may have grown in between. */
	if (first == UZ__BUD_NONE)
		return UZ__BUD_NONE;
	second = touch(pool);
	if (second != UZ__BUD_NONE) {
		uz__bud_settle(pool, second);
		return first;
	}
	uz__bud_settle(pool, first);
	return first && uz__bud_is_spare(&pool->pages[first - 1])
		       ? first - 1
		       : UZ__BUD_NONE;
}

/*
 * An empty page, listed or untouched, with memory if there is one; for @pair
 * one whose next page has its first chunk free. The pool's lock is held.
 *
 * Return: the page, still in its list if it is in one; or UZ__BUD_NONE.
 */
uint32_t uz__bud_find_spare(struct uz__bud *pool, bool pair)
{
	static const uint8_t any[] = { UZ__BUD_KEPT, UZ__BUD_KEPT_PAIR,
				       UZ__BUD_FREE, UZ__BUD_FREE_PAIR };
	static const uint8_t pairs[] = { UZ__BUD_KEPT_PAIR, UZ__BUD_FREE_PAIR };
	const uint8_t *lists = pair ? pairs : any;
	unsigned int nr = pair ? sizeof(pairs) : sizeof(any), i;

	for (i = 0; i < nr; i++)
		if (pool->head[lists[i]] != UZ__BUD_NONE)
			return pool->head[lists[i]];
	return pair ? touch_pair(pool) : touch(pool);
}

static int ascending(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/*
 * Give the memory of charged private pages back, in ascending order. What the
 * system does not take stays charged, but may be gone in part.
 */
void uz__bud_drop(struct uz__bud *pool, const uint32_t *pages, unsigned int nr,
		  bool *gone)
{
	unsigned int i, k, run;

	for (i = 0; i < nr; i += run) {
		run = 1;
		while (i + run < nr && pages[i + run] == pages[i] + run)
			run++;
		*gone = !uz_shm_punch(&pool->base.arena,
				      (uint64_t)pages[i] * UZ_PAGE_SIZE,
				      (size_t)run * UZ_PAGE_SIZE);
		for (k = i; k < i + run; k++) {
			pool->pages[pages[k]].ready = false;
			pool->pages[pages[k]].held = !*gone;
		}
		if (*gone)
			uz__limit_uncharge(&pool->base, run);
	}
}

/* Give up to @max kept pages back, until @keep are left. @give is held. */
static bool give_back(struct uz__bud *pool, uint64_t keep, unsigned int max)
{
	uint32_t batch[BATCH];
	unsigned int nr = 0, i;
	bool gone = false;
	uint32_t page;

	uz_lock_acquire(&pool->lock);
	while (nr < max && pool->nr_kept > keep) {
		page = pool->head[UZ__BUD_KEPT];
		if (page == UZ__BUD_NONE)
			page = pool->head[UZ__BUD_KEPT_PAIR];
		uz__bud_isolate(pool, page);
		batch[nr++] = page;
	}
	uz_lock_release(&pool->lock);
	if (!nr)
		return false;
	qsort(batch, nr, sizeof(batch[0]), ascending);
	uz__bud_drop(pool, batch, nr, &gone);
	uz_lock_acquire(&pool->lock);
	/* Downwards, so that the lowest is used first. */
	for (i = nr; i-- > 0;)
		uz__bud_settle(pool, batch[i]);
	uz_lock_release(&pool->lock);
	return gone;
}

static uint64_t keep_pages(const struct uz__bud *pool)
{
	return pool->base.config.keep_empty / UZ_PAGE_SIZE;
}

/* Whether shrink() has work to do; the pool's lock is held. */
bool uz__bud_too_many(const struct uz__bud *pool)
{
	return pool->nr_kept > keep_pages(pool);
}

/* Give back what is kept beyond config.keep_empty, unless somebody does. */
void uz__bud_shrink(struct uz__bud *pool)
{
	bool more = true;

	/*
	 * Look again after each batch with the lock released: a thread that
	 * found it taken has left its page to this one.
	 */
	while (more && uz_lock_try(&pool->give)) {
		more = give_back(pool, keep_pages(pool), BATCH);
		uz_lock_release(&pool->give);
	}
}

/*
 * The limit is reached: give a kept page back, after waiting for whoever is
 * giving back already. False when there was none.
 */
bool uz__bud_give_one(struct uz__bud *pool)
{
	uz_scoped_acquire(guard, &pool->give);

	return give_back(pool, 0, 1);
}

void uz__bud_trim(struct uz_pool *base)
{
	struct uz__bud *pool = uz__bud(base);
	uz_scoped_acquire(guard, &pool->give);

	while (give_back(pool, 0, BATCH))
		;
}
