// SPDX-License-Identifier: MIT
/*
 * Pages and the fragments in them: which are free, and where memory comes from
 * and goes to. The lock is held, unless said otherwise.
 */
#include "scatter_priv.h"

static void add_free(struct uz__scatter *pool, uint32_t frag)
{
	pool->frags[frag].state = UZ__FRAG_FREE;
	pool->frags[frag].next = pool->nr_free;
	pool->free[pool->nr_free++] = frag;
}

static void remove_free(struct uz__scatter *pool, uint32_t frag)
{
	uint32_t at = pool->frags[frag].next;
	uint32_t last = pool->free[--pool->nr_free];

	pool->free[at] = last;
	pool->frags[last].next = at;
}

/* A private page that is charged and populated: what nobody uses is free. */
void uz__scatter_hold(struct uz__scatter *pool, uint32_t page)
{
	struct uz__frag_page *p = &pool->pages[page];
	uint32_t frag = page * UZ__FRAG_IN_PAGE;
	unsigned int i;

	for (i = 0; i < UZ__FRAG_IN_PAGE; i++, frag++)
		if (pool->frags[frag].state == UZ__FRAG_GONE)
			add_free(pool, frag);
	p->held = true;
	if (p->used)
		pool->nr_live++;
	else
		pool->nr_kept++;
}

/* A private page without memory is spare. */
void uz__scatter_shelve(struct uz__scatter *pool, uint32_t page)
{
	pool->pages[page].next = pool->spare;
	pool->spare = page;
}

/* Make a held page without objects private. */
void uz__scatter_withdraw(struct uz__scatter *pool, uint32_t page)
{
	uint32_t frag = page * UZ__FRAG_IN_PAGE;
	unsigned int i;

	for (i = 0; i < UZ__FRAG_IN_PAGE; i++, frag++) {
		remove_free(pool, frag);
		pool->frags[frag].state = UZ__FRAG_GONE;
	}
	pool->pages[page].held = false;
	pool->nr_kept--;
}

/* Have @nr private pages without memory; false: there are not so many. */
bool uz__scatter_claim(struct uz__scatter *pool, uint32_t *pages,
		       unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (pool->spare != UZ__FRAG_NONE) {
			pages[i] = pool->spare;
			pool->spare = pool->pages[pages[i]].next;
		} else if (pool->bump < uz__scatter_nr_pages(pool)) {
			pages[i] = pool->bump++;
		} else {
			while (i)
				uz__scatter_shelve(pool, pages[--i]);
			return false;
		}
	}
	return true;
}

/* Without the lock, of a private page. */
bool uz__scatter_populate(struct uz__scatter *pool, uint32_t page)
{
	return !uz_shm_populate(&pool->base.arena,
				(uint64_t)page * UZ_PAGE_SIZE, UZ_PAGE_SIZE);
}

static bool present(const struct uz__scatter *pool, uint32_t page)
{
	size_t off = (size_t)page * UZ_PAGE_SIZE, start, end;

	return !uz_shm_next_data(&pool->base.arena, off, &start, &end) &&
	       start == off;
}

/*
 * Give the memory of charged private pages back; takes the lock itself. What
 * the system does not take is kept, if it is there.
 */
void uz__scatter_drop(struct uz__scatter *pool, const uint32_t *pages,
		      unsigned int nr)
{
	unsigned int i;
	bool gone;

	for (i = 0; i < nr; i++) {
		gone = !uz_shm_punch(&pool->base.arena,
				     (uint64_t)pages[i] * UZ_PAGE_SIZE,
				     UZ_PAGE_SIZE) ||
		       !present(pool, pages[i]);
		if (gone)
			uz__limit_uncharge(&pool->base, 1);
		uz_lock_acquire(&pool->lock);
		if (gone)
			uz__scatter_shelve(pool, pages[i]);
		else
			uz__scatter_hold(pool, pages[i]);
		uz_lock_release(&pool->lock);
	}
}

bool uz__scatter_too_many(const struct uz__scatter *pool)
{
	return pool->nr_kept * UZ_PAGE_SIZE > pool->base.config.keep_empty;
}

/* Take any free fragment; there is one. */
uint32_t uz__scatter_pick(struct uz__scatter *pool)
{
	struct uz__frag_page *p;
	uint32_t frag;

	/* Any order will do, as long as it is none: a multiplier of Knuth's. */
	pool->random = pool->random * UINT64_C(6364136223846793005) + 1;
	frag = pool->free[(pool->random >> 33) % pool->nr_free];
	remove_free(pool, frag);
	p = &pool->pages[frag / UZ__FRAG_IN_PAGE];
	if (!p->used++) {
		pool->nr_kept--;
		pool->nr_live++;
	}
	pool->nr_used++;
	return frag;
}

/* Give a fragment back. */
void uz__scatter_put(struct uz__scatter *pool, uint32_t frag)
{
	struct uz__frag_page *p = &pool->pages[frag / UZ__FRAG_IN_PAGE];

	add_free(pool, frag);
	pool->nr_used--;
	if (!--p->used) {
		pool->nr_live--;
		pool->nr_kept++;
	}
}

void uz__scatter_trim(struct uz_pool *base)
{
	struct uz__scatter *pool = uz__scatter(base);
	uint32_t page, bump;
	bool empty;

	uz_lock_acquire(&pool->lock);
	bump = pool->bump;
	uz_lock_release(&pool->lock);
	for (page = 0; page < bump; page++) {
		uz_lock_acquire(&pool->lock);
		empty = pool->pages[page].held && !pool->pages[page].used;
		if (empty)
			uz__scatter_withdraw(pool, page);
		uz_lock_release(&pool->lock);
		if (empty)
			uz__scatter_drop(pool, &page, 1);
	}
}
