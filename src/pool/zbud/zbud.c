// SPDX-License-Identifier: MIT
/*
 * The backends zbud and z3fold: at most two, or three, objects in a page of
 * the arena. Simple and predictable: whatever is stored and freed, a page of
 * memory holds two objects at best, and an object is found, placed and freed
 * in constant time.
 *
 * The rooms: page.c one page and its lists, store.c empty pages, alloc.c and
 * free.c what users call, adopt.c what a new process rebuilds, check.c what
 * must always hold. See zbud_priv.h for who may touch what.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "zbud_priv.h"

static void bud_destroy(struct uz_pool *base)
{
	struct uz__bud *pool = uz__bud(base);

	uz_reserve_unmap(&pool->descriptors);
	uz_lock_destroy(&pool->lock);
	uz_lock_destroy(&pool->give);
	free(pool);
}

/* Any page of the arena can be mapped, even the one that is no page. */
static size_t descriptor_bytes(uint64_t arena_size)
{
	return arena_size / UZ_PAGE_SIZE * sizeof(struct uz__bud_page);
}

static int bud_grow(struct uz_pool *base, uint64_t arena_size)
{
	return uz_reserve_grow(&uz__bud(base)->descriptors,
			       descriptor_bytes(arena_size));
}

static int bud_new(struct uz_pool **base, const struct uz_pool_config *config,
		   bool middle)
{
	struct uz__bud *pool = aligned_alloc(UZ_CACHELINE, sizeof(*pool));
	unsigned int i;
	int ret;

	if (!pool)
		return -ENOMEM;
	memset(pool, 0, sizeof(*pool));
	ret = uz_reserve_map(&pool->descriptors,
			     descriptor_bytes(config->arena_size),
			     descriptor_bytes(config->arena_most));
	if (ret) {
		free(pool);
		return ret;
	}
	pool->pages = pool->descriptors.base;
	pool->middle = middle;
	for (i = 0; i < UZ__BUD_LISTS; i++)
		pool->head[i] = UZ__BUD_NONE;
	uz_lock_init(&pool->give, UZ_LOCK_POOL_KEEPER);
	uz_lock_init(&pool->lock, UZ_LOCK_POOL_CLASS);
	*base = &pool->base;
	return 0;
}

static int zbud_new(struct uz_pool **base, const struct uz_pool_config *config)
{
	return bud_new(base, config, false);
}

static int z3fold_new(struct uz_pool **base,
		      const struct uz_pool_config *config)
{
	return bud_new(base, config, true);
}

static uint32_t bud_class_size(const struct uz_pool *base, uint32_t size)
{
	(void)base;
	return uz__bud_chunks(size) * UZ__BUD_CHUNK;
}

static void bud_stat(struct uz_pool *base, struct uz_pool_stat *stat)
{
	struct uz__bud *pool = uz__bud(base);
	uz_scoped_acquire(guard, &pool->lock);

	stat->meta_bytes = sizeof(*pool) +
			   (uint64_t)pool->bump * sizeof(struct uz__bud_page);
	stat->objects = pool->objects;
	stat->object_bytes = pool->chunks * UZ__BUD_CHUNK;
	stat->deferred = pool->deferred;
	stat->deferred_bytes = pool->deferred_chunks * UZ__BUD_CHUNK;
	stat->zspages = pool->nr_live;
	stat->empty_bytes = pool->nr_kept * UZ_PAGE_SIZE;
}

/* How many of its places a live page uses. */
static unsigned int places_used(const struct uz__bud_page *p)
{
	return (p->place[UZ__BUD_FIRST].state != UZ__BUD_EMPTY) +
	       (p->place[UZ__BUD_MIDDLE].state != UZ__BUD_EMPTY) +
	       (p->place[UZ__BUD_LAST].state != UZ__BUD_EMPTY);
}

/* All sizes are one class. */
static bool bud_class_stat(struct uz_pool *base, unsigned int nth,
			   struct uz_pool_class_stat *stat)
{
	struct uz__bud *pool = uz__bud(base);
	unsigned int per_page = pool->middle ? 3 : 2, i, used;
	uint32_t page;

	if (nth)
		return false;
	*stat = (struct uz_pool_class_stat){
		.size = (UZ__BUD_CHUNKS + 1) * UZ__BUD_CHUNK,
		.per_zspage = per_page,
		.pages = 1,
	};
	uz_scoped_acquire(guard, &pool->lock);
	stat->zspages = pool->nr_live;
	stat->full = pool->nr_full;
	stat->objects = pool->objects;
	stat->deferred = pool->deferred;
	stat->used_bytes = pool->nr_live * UZ_PAGE_SIZE;
	stat->waste = stat->used_bytes -
		      (pool->chunks + pool->deferred_chunks) * UZ__BUD_CHUNK;
	for (i = 1; i < UZ__BUD_CHUNKS; i++) {
		for (page = pool->head[i]; page != UZ__BUD_NONE;
		     page = pool->pages[page].next) {
			used = places_used(&pool->pages[page]);
			stat->fullness[(used * UZ_POOL_GROUPS - 1) / per_page]++;
		}
	}
	return true;
}

static int bud_for_each(struct uz_pool *base, uz_pool_visit *fn, void *arg)
{
	struct uz__bud *pool = uz__bud(base);
	const struct uz__bud_place *place;
	unsigned int i;
	uint32_t page;
	int ret;

	for (page = 0; page < pool->bump; page++) {
		for (i = 0; i < UZ__BUD_PLACES; i++) {
			place = &pool->pages[page].place[i];
			if (place->state != UZ__BUD_LIVE)
				continue;
			ret = fn(arg, uz__bud_ref(page, place->start),
				 place->chunks * UZ__BUD_CHUNK, place->owner);
			if (ret)
				return ret;
		}
	}
	return 0;
}

#define BUD_OPERATIONS                                                         \
	.caps = UZ_POOL_LINEAR | UZ_POOL_SLEEP_MAPPED, .destroy = bud_destroy, \
	.grow = bud_grow, .adopt_object = uz__bud_adopt_object,                \
	.adopt_end = uz__bud_adopt_end, .alloc = uz__bud_alloc,                \
	.free = uz__bud_free, .holds = uz__bud_holds, .map = uz__bud_map,      \
	.unmap = uz__bud_unmap, .prefetch = uz__bud_prefetch,                  \
	.class_size = bud_class_size, .trim = uz__bud_trim, .stat = bud_stat,  \
	.class_stat = bud_class_stat, .check = uz__bud_check,                  \
	.for_each = bud_for_each

const struct uz__backend uz__zbud = {
	.name = "zbud",
	.new = zbud_new,
	BUD_OPERATIONS,
};

const struct uz__backend uz__z3fold = {
	.name = "z3fold",
	.new = z3fold_new,
	BUD_OPERATIONS,
};
