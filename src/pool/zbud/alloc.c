// SPDX-License-Identifier: MIT
/*
 * Room for an object: in the live page that it leaves least room in, else in
 * an empty one. An empty page without memory is charged and made private
 * under the lock, populated without it, and listed when that is done, so
 * nobody else counts on memory that may not come.
 *
 * An object that is larger than a page needs an empty page whose next one has
 * its first chunk free. That one may be live, and then has its memory, or
 * empty, and then becomes private with the first.
 */
#include <assert.h>
#include <errno.h>

#include <uzram/util/delay.h>

#include "zbud_priv.h"

/* Where an object was put, and what is left to be done. */
struct spot {
	uint32_t page;
	struct uz__bud_place *place;
	uint32_t mine[2]; /* private pages, ascending */
	unsigned int nr_mine;
	unsigned int missing; /* bit i: mine[i] has to be populated */
};

/* Make an empty page the object's; the pool's lock is held. */
static void claim(struct uz__bud *pool, struct spot *s, uint32_t page)
{
	struct uz__bud_page *p = &pool->pages[page];
	unsigned int bit = 1u << s->nr_mine;

	uz__bud_isolate(pool, page);
	if (!p->ready)
		s->missing |= bit;
	p->held = true;
	s->mine[s->nr_mine++] = page;
}

/* Nothing is missing (any more): the pages may be listed. */
static void settle(struct uz__bud *pool, const struct spot *s)
{
	unsigned int i;

	for (i = s->nr_mine; i-- > 0;)
		uz__bud_settle(pool, s->mine[i]);
}

/*
 * An empty page that was found may have been untouched: then it is private
 * already, and has to be put back when it is not used after all.
 */
static int refuse(struct uz__bud *pool, uint32_t page)
{
	if (pool->pages[page].list == UZ__BUD_PRIVATE)
		uz__bud_settle(pool, page);
	return -ENOSPC;
}

/* The pool's lock is held. */
static int take_small(struct uz__bud *pool, unsigned int chunks, uint32_t owner,
		      bool over, struct spot *s)
{
	uint64_t lists = 0;
	uint32_t page;

	if (chunks < UZ__BUD_CHUNKS)
		lists = pool->live_lists & UINT64_MAX << chunks;
	if (lists) {
		page = pool->head[__builtin_ctzll(lists)];
	} else {
		page = uz__bud_find_spare(pool, false);
		if (page == UZ__BUD_NONE)
			return -ENOSPC;
		if (!pool->pages[page].held &&
		    !uz__limit_charge(&pool->base, 1, over))
			return refuse(pool, page);
		claim(pool, s, page);
	}
	s->page = page;
	s->place = uz__bud_take(pool, page, chunks, owner);
	if (lists)
		uz__bud_settle(pool, page);
	return 0;
}

/* The pool's lock is held. */
static int take_pair(struct uz__bud *pool, uint32_t owner, bool over,
		     struct spot *s)
{
	uint32_t page = uz__bud_find_spare(pool, true);
	struct uz__bud_page *p;
	unsigned int need;

	if (page == UZ__BUD_NONE)
		return -ENOSPC;
	p = &pool->pages[page];
	need = (unsigned int)!p[0].held + !p[1].held;
	if (need && !uz__limit_charge(&pool->base, need, over))
		return refuse(pool, page);
	claim(pool, s, page);
	if (uz__bud_is_spare(&p[1]))
		claim(pool, s, page + 1);
	uz__bud_take_pair(pool, page, owner);
	if (s->nr_mine == 1)
		uz__bud_settle(pool, page + 1);
	s->page = page;
	s->place = &p[0].place[UZ__BUD_FIRST];
	return 0;
}

static int take(struct uz__bud *pool, uint32_t size, uint32_t owner, bool over,
		struct spot *s)
{
	uz_scoped_acquire(guard, &pool->lock);
	int ret;

	if (size > UZ_PAGE_SIZE)
		ret = take_pair(pool, owner, over, s);
	else
		ret = take_small(pool, uz__bud_chunks(size), owner, over, s);
	if (!ret && !s->missing)
		settle(pool, s);
	return ret;
}

/* The pages could not be populated: as if they had never been taken. */
static void take_back(struct uz__bud *pool, const struct spot *s)
{
	uint32_t pages[2];
	unsigned int nr = 0, i;
	bool gone, shrink;

	for (i = 0; i < s->nr_mine; i++)
		if (s->missing & 1u << i)
			pages[nr++] = s->mine[i];
	uz__bud_drop(pool, pages, nr, &gone);
	uz_lock_acquire(&pool->lock);
	uz__bud_put(pool, s->page, s->place);
	settle(pool, s);
	shrink = uz__bud_too_many(pool);
	uz_lock_release(&pool->lock);
	if (shrink)
		uz__bud_shrink(pool);
}

/* The pages that are missing lie in a row. */
static int populate(struct uz__bud *pool, const struct spot *s)
{
	unsigned int first = (unsigned int)__builtin_ctz(s->missing);
	unsigned int nr = (unsigned int)__builtin_popcount(s->missing), i;

	if (uz_shm_populate(&pool->base.arena,
			    (uint64_t)s->mine[first] * UZ_PAGE_SIZE,
			    (size_t)nr * UZ_PAGE_SIZE)) {
		take_back(pool, s);
		return -ENOSPC;
	}
	uz_lock_acquire(&pool->lock);
	for (i = first; i < first + nr; i++)
		pool->pages[s->mine[i]].ready = true;
	settle(pool, s);
	uz_lock_release(&pool->lock);
	return 0;
}

int uz__bud_alloc(struct uz_pool *base, uint32_t size, uint32_t owner,
		  unsigned int flags, uz_ref_t *ref)
{
	struct uz__bud *pool = uz__bud(base);
	bool over = flags & UZ_POOL_OVER_LIMIT, last = false;
	struct spot s = { 0 };
	int ret;

	assert(size && size <= UZ_POOL_MAX_OBJECT);
	for (;;) {
		ret = take(pool, size, owner, over, &s);
		if (ret != -ENOSPC || last)
			break;
		/* If it finds none, it has waited for who did. */
		last = !uz__bud_give_one(pool);
	}
	if (ret)
		return ret;
	uz_delay(UZ_DELAY_TAKEN);
	if (s.missing)
		ret = populate(pool, &s);
	if (ret)
		return ret;
	*ref = uz__bud_ref(s.page, s.place->start);
	return 0;
}
