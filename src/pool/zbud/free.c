// SPDX-License-Identifier: MIT
/*
 * Maps, and frees that wait for them: as pin.h has it, page by page. A page
 * has so few places that each says for itself what it waits for, where a list
 * would do elsewhere.
 */
#include <assert.h>

#include "zbud_priv.h"

/*
 * The place of a live object, or NULL: only a damaged word of the owner's can
 * name what is none. The pool's lock is held.
 */
static struct uz__bud_place *find_place(struct uz__bud_page *p, uz_ref_t ref)
{
	unsigned int chunk = (unsigned int)(ref * UZ_REF_UNIT % UZ_PAGE_SIZE /
					    UZ__BUD_CHUNK);
	unsigned int i;

	for (i = 0; i < UZ__BUD_PLACES; i++)
		if (p->place[i].state == UZ__BUD_LIVE &&
		    p->place[i].start == chunk)
			return &p->place[i];
	return NULL;
}

/* The page is pinned: leave the object where it is for now. */
static void defer(struct uz__bud *pool, uint32_t page,
		  struct uz__bud_place *place)
{
	uz__bud_defer(pool, place);
	uz__pin_defer(&pool->pages[page].pins);
	uz__bud_drain(pool, page);
}

static bool is_object(const struct uz__bud_place *place, uz_ref_t ref,
		      uint32_t size, uint32_t owner)
{
	return !(ref * UZ_REF_UNIT % UZ__BUD_CHUNK) &&
	       place->chunks == uz__bud_chunks(size) && place->owner == owner;
}

bool uz__bud_holds(struct uz_pool *base, uz_ref_t ref, uint32_t size,
		   uint32_t owner)
{
	struct uz__bud *pool = uz__bud(base);
	uz_scoped_acquire(guard, &pool->lock);
	const struct uz__bud_place *place =
		find_place(&pool->pages[uz__bud_ref_page(ref)], ref);

	return place && is_object(place, ref, size, owner);
}

bool uz__bud_free(struct uz_pool *base, uz_ref_t ref, uint32_t size,
		  uint32_t owner)
{
	struct uz__bud *pool = uz__bud(base);
	uint32_t page = uz__bud_ref_page(ref);
	struct uz__bud_page *p = &pool->pages[page];
	struct uz__bud_place *place;
	bool shrink;

	uz_lock_acquire(&pool->lock);
	place = find_place(p, ref);
	assert(place || size);
	if (uz_unlikely(!place ||
			(size && !is_object(place, ref, size, owner)))) {
		uz_lock_release(&pool->lock);
		return false;
	}
	if (uz_likely(!uz__pin_held(&p->pins)))
		uz__bud_put(pool, page, place);
	else
		defer(pool, page, place);
	uz__bud_settle(pool, page);
	shrink = uz__bud_too_many(pool);
	uz_lock_release(&pool->lock);
	if (uz_unlikely(shrink))
		uz__bud_shrink(pool);
	return true;
}

void uz__bud_map(struct uz_pool *base, struct uz_map *map)
{
	struct uz__bud *pool = uz__bud(base);
	struct uz__bud_page *p = &pool->pages[uz__bud_ref_page(map->ref)];

	map->pin = uz__pin_add(&p->pins);
}

/* To be written: the pin is. */
void uz__bud_prefetch(const struct uz_pool *base, uz_ref_t ref)
{
	const struct uz__bud *pool = (const struct uz__bud *)base;

	__builtin_prefetch(&pool->pages[uz__bud_ref_page(ref)], 1);
}

/*
 * The last pin of a count is gone and a free was deferred. If somebody else
 * has drained the page since, it may be anything by now, but nothing waits in
 * it, and a private one is not ours to list.
 */
static void drain(struct uz__bud *pool, uint32_t page)
{
	bool shrink = false;

	uz_lock_acquire(&pool->lock);
	if (pool->pages[page].list < UZ__BUD_CHUNKS) {
		uz__bud_drain(pool, page);
		uz__bud_settle(pool, page);
		shrink = uz__bud_too_many(pool);
	}
	uz_lock_release(&pool->lock);
	if (shrink)
		uz__bud_shrink(pool);
}

void uz__bud_unmap(struct uz_pool *base, const struct uz_map *map)
{
	struct uz__bud *pool = uz__bud(base);
	uint32_t page = uz__bud_ref_page(map->ref);

	if (uz__pin_drop(&pool->pages[page].pins, map->pin))
		drain(pool, page);
}
