// SPDX-License-Identifier: MIT
/*
 * Adoption: which place an object has in its page follows from where it
 * begins and ends there, so a ref and a size say all. Each is checked against
 * the geometry and against those that came before; what no object needs goes
 * back to the system.
 *
 * One thread works here before any other uses the pool, so no lock is taken;
 * pages are listed at the end.
 */
#include <errno.h>

#include "zbud_priv.h"

static bool overlaps(const struct uz__bud_page *p, unsigned int from,
		     unsigned int to)
{
	unsigned int i;

	for (i = 0; i < UZ__BUD_PLACES; i++)
		if (p->place[i].state != UZ__BUD_EMPTY &&
		    from < (unsigned int)p->place[i].start +
				    p->place[i].chunks &&
		    to > p->place[i].start)
			return true;
	return false;
}

/* All pages up to this one are touched. */
static void touch(struct uz__bud *pool, uint32_t page)
{
	if (page >= pool->bump)
		pool->bump = page + 1;
}

static int adopt_pair(struct uz__bud *pool, uint32_t page, uint32_t owner)
{
	struct uz__bud_page *p = &pool->pages[page];

	if (page + 1 >= uz__bud_nr_pages(pool) || !uz__bud_empty(p) ||
	    overlaps(p + 1, 0, 1))
		return -EUCLEAN;
	uz__bud_take_pair(pool, page, owner);
	touch(pool, page + 1);
	return 0;
}

int uz__bud_adopt_object(struct uz_pool *base, uz_ref_t ref, uint32_t size,
			 uint32_t owner)
{
	struct uz__bud *pool = uz__bud(base);
	uint32_t page = uz__bud_ref_page(ref);
	uint32_t offset = (uint32_t)(ref * UZ_REF_UNIT % UZ_PAGE_SIZE);
	unsigned int start = offset / UZ__BUD_CHUNK;
	unsigned int chunks = uz__bud_chunks(size), i;
	struct uz__bud_page *p = &pool->pages[page];

	if (page >= uz__bud_nr_pages(pool) || offset % UZ__BUD_CHUNK)
		return -EUCLEAN;
	if (chunks > UZ__BUD_CHUNKS)
		return start ? -EUCLEAN : adopt_pair(pool, page, owner);
	if (!start)
		i = UZ__BUD_FIRST;
	else if (start + chunks == UZ__BUD_CHUNKS)
		i = UZ__BUD_LAST;
	else
		i = UZ__BUD_MIDDLE;
	if (start + chunks > UZ__BUD_CHUNKS ||
	    (i == UZ__BUD_MIDDLE && !pool->middle) ||
	    p->place[i].state != UZ__BUD_EMPTY ||
	    overlaps(p, start, start + chunks))
		return -EUCLEAN;
	uz__bud_occupy(pool, &p->place[i], start, chunks, owner);
	touch(pool, page);
	return 0;
}

static int give_back(struct uz__bud *pool, uint64_t start, uint64_t end)
{
	return start < end ? uz_shm_punch(&pool->base.arena, start, end - start)
			   : 0;
}

/* Note which pages of an extent are needed; the others are given back. */
static int note_extent(struct uz__bud *pool, uint64_t start, uint64_t end)
{
	uint64_t unused = start; /* from here up to @at nobody needs it */
	uint64_t at;
	int ret;

	for (at = start; at < end && at / UZ_PAGE_SIZE < pool->bump;
	     at += UZ_PAGE_SIZE) {
		if (uz__bud_empty(&pool->pages[at / UZ_PAGE_SIZE]))
			continue;
		pool->pages[at / UZ_PAGE_SIZE].ready = true;
		ret = give_back(pool, unused, at);
		if (ret)
			return ret;
		unused = at + UZ_PAGE_SIZE;
	}
	return give_back(pool, unused, end);
}

/* What an object needs and is not there is populated and all is charged. */
static int settle(struct uz__bud *pool, uint32_t page)
{
	struct uz__bud_page *p = &pool->pages[page];
	int ret;

	if (!uz__bud_empty(p)) {
		if (!p->ready) {
			ret = uz_shm_populate(&pool->base.arena,
					      (uint64_t)page * UZ_PAGE_SIZE,
					      UZ_PAGE_SIZE);
			if (ret)
				return ret;
		}
		p->held = true;
		p->ready = true;
		uz__limit_charge(&pool->base, 1, true);
	}
	uz__bud_settle(pool, page);
	return 0;
}

int uz__bud_adopt_end(struct uz_pool *base)
{
	struct uz__bud *pool = uz__bud(base);
	size_t start, end = 0;
	uint32_t page;
	int ret;

	while (!(
		ret = uz_shm_next_data(&pool->base.arena, end, &start, &end))) {
		ret = note_extent(pool, start, end);
		if (ret)
			return ret;
	}
	if (ret != -ENXIO)
		return ret;
	for (page = 0; page < pool->bump; page++)
		pool->pages[page].list = UZ__BUD_PRIVATE;
	/* Downwards, so that the lowest free page is handed out first. */
	for (page = pool->bump; page-- > 0;) {
		ret = settle(pool, page);
		if (ret)
			return ret;
	}
	return 0;
}
