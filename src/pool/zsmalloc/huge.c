// SPDX-License-Identifier: MIT
/*
 * Huge pages of zspages that are wholly populated and at rest.
 *
 * A *region* is as many windows as fit a huge page. When each of them is a
 * zspage that is populated to its last page, the region can become one, and no
 * memory is taken by that: MADV_COLLAPSE populates what is missing, and here
 * nothing is. That it stays so meanwhile is seen to by counting the
 * kernel among those who populate pages of the zspages (@filling): none of them
 * gives a page back or leaves its class. Objects come and go in them all the
 * time, by threads that wait for the kernel's copy if they meet it.
 *
 * A zspage that has become whole marks its region as due, whoever populated
 * the last page of it; nothing else is needed to find what there is to do. Is
 * it looked at and not all of it is whole, the mark goes, and the next zspage
 * there sets it again. It is set under the class's lock after the page was
 * counted as ready, and taken away before the zspages are looked at under
 * theirs. So either the look finds the last one whole, or that one's mark comes
 * after it.
 *
 * Whoever gives back a page of a huge page has the kernel take it apart. The
 * region may become whole again, and is then left alone for longer each time,
 * so that work that goes on in it costs a bounded part of the time.
 *
 * Locks: collapsing, which guards the search; under it a class's lock for
 * moments, none during the system call. A region's words are open to all.
 */
#include <errno.h>
#include <time.h>

#include <uzram/util/ahead.h>

#include "zsmalloc_priv.h"

/* Since the last page was populated: who fills a device is done there. */
#define REST_MS 1000
/* After it was taken apart or refused, doubled each time up to 17 minutes. */
#define AGAIN_MS  4000
#define AGAIN_MAX 9
/* After one could not be had, before the next is tried. */
#define NEXT_MS 10

#define DUE  1u
#define HUGE 2u

/* Milliseconds of a clock that is cheap to read; wraps after 49 days. */
static uint32_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint32_t)((uint64_t)t.tv_sec * 1000 +
			  (uint64_t)t.tv_nsec / 1000000);
}

static uint32_t windows_of_region(const struct uz__zs *pool)
{
	return (uint32_t)(UZ_SHM_HUGE / pool->base.config.window_size);
}

static struct uz__region *region_of(struct uz__zs *pool,
				    const struct uz__zspage *z)
{
	return &pool->huge.regions[uz__zspage_window(pool, z) /
				   windows_of_region(pool)];
}

static size_t regions_bytes(uint64_t arena)
{
	return (arena / UZ_SHM_HUGE + 1) * sizeof(struct uz__region);
}

int uz__huge_init(struct uz__zs *pool, const struct uz_pool_config *config)
{
	struct uz__huge *h = &pool->huge;
	int ret = uz_reserve_map(&h->map, regions_bytes(config->arena_size),
				 regions_bytes(config->arena_most));

	if (ret)
		return ret;
	h->regions = h->map.base;
	uz_ahead_memory(h->map.base, h->map.size);
	return 0;
}

int uz__huge_grow(struct uz__zs *pool, uint64_t arena_size)
{
	struct uz_reserve *map = &pool->huge.map;
	size_t before = map->size;
	int ret = uz_reserve_grow(map, regions_bytes(arena_size));

	if (!ret)
		uz_ahead_memory((char *)map->base + before, map->size - before);
	return ret;
}

/* Have the region's word in memory, before a note comes under a lock. */
void uz__huge_touch(struct uz__zs *pool, const struct uz__zspage *z)
{
	/* relaxed: changes nothing. */
	atomic_fetch_or_explicit(&region_of(pool, z)->state, 0,
				 memory_order_relaxed);
}

void uz__huge_fini(struct uz__zs *pool)
{
	uz_reserve_unmap(&pool->huge.map);
}

/* ---- what others tell ---- */

static bool whole(const struct uz__zs *pool, const struct uz__zspage *z)
{
	uint64_t all = UINT64_MAX >>
		       (64 - pool->base.config.window_size / UZ_PAGE_SIZE);

	return (z->held & z->ready) == all;
}

/*
 * Pages of a live zspage have become ready. The class's lock is held (or there
 * is one thread, when an arena is adopted).
 */
void uz__huge_note(struct uz__zs *pool, const struct uz__zspage *z)
{
	struct uz__region *r;

	if (!whole(pool, z) || uz__reserve_pages(pool))
		return;
	r = region_of(pool, z);
	/* relaxed: the time is a number, and read after the mark or again. */
	atomic_store_explicit(&r->since, now_ms(), memory_order_relaxed);
	/*
	 * release: who takes the mark away sees the zspage in its class, and
	 * looks at it under the lock that is held here.
	 */
	atomic_fetch_or_explicit(&r->state, DUE, memory_order_release);
	atomic_store_explicit(&pool->huge.news, true, memory_order_relaxed);
}

/* Without locks, after a note: have somebody come and look. */
void uz__huge_tell(struct uz__zs *pool)
{
	/* relaxed: what it is about is found under the locks. */
	if (uz_likely(!atomic_load_explicit(&pool->huge.news,
					    memory_order_relaxed)))
		return;
	atomic_store_explicit(&pool->huge.news, false, memory_order_relaxed);
	if (pool->base.whole)
		pool->base.whole(pool->base.whole_arg);
}

/* Pages of the window are about to be given back. Takes no lock. */
void uz__huge_split(struct uz__zs *pool, const struct uz__zspage *z)
{
	struct uz__region *r = region_of(pool, z);

	/* Nor is what nobody ever writes populated by a look at it. */
	if (uz__reserve_pages(pool))
		return;
	/* relaxed: a number, and a hint of how long to leave it alone. */
	if (uz_likely(!(atomic_load_explicit(&r->state, memory_order_relaxed) &
			HUGE)))
		return;
	if (!(atomic_fetch_and_explicit(&r->state, (uint8_t)~HUGE,
					memory_order_relaxed) &
	      HUGE))
		return;
	atomic_fetch_sub_explicit(&pool->huge.nr, 1, memory_order_relaxed);
	atomic_store_explicit(&r->since, now_ms(), memory_order_relaxed);
}

uint64_t uz__huge_bytes(const struct uz__zs *pool)
{
	return uz__number(&pool->huge.nr) * UZ_SHM_HUGE;
}

size_t uz__huge_meta(const struct uz__zs *pool)
{
	uint64_t arena =
		(uint64_t)pool->store.bump * pool->base.config.window_size;

	return arena / UZ_SHM_HUGE * sizeof(struct uz__region);
}

/* ---- collapsing ---- */

/*
 * Keep it whole: 0. -ENOENT: it is not. -EAGAIN: somebody is working on its
 * pages, and may leave them what they are.
 */
static int hold(struct uz__zs *pool, struct uz__zspage *z)
{
	/* relaxed: looked at again under the lock. */
	unsigned int class =
		atomic_load_explicit(&z->class, memory_order_relaxed);
	struct uz__class *c = &pool->classes[class];
	int ret = -ENOENT;

	if (!class)
		return ret;
	uz_lock_acquire(&c->lock);
	if (atomic_load_explicit(&z->class, memory_order_relaxed) == class &&
	    whole(pool, z))
		ret = z->isolated ? -EAGAIN : 0;
	if (!ret)
		z->filling++;
	uz_lock_release(&c->lock);
	return ret;
}

/* It was held, so it is in its class still. */
static void release(struct uz__zs *pool, struct uz__zspage *z)
{
	struct uz__class *c = &pool->classes[atomic_load_explicit(
		&z->class, memory_order_relaxed)];

	uz_lock_acquire(&c->lock);
	uz__zspage_filled(pool, c, z, 0);
}

/* Set the region's word; relaxed: nothing else is read because of it. */
static void made_huge(struct uz__zs *pool, struct uz__region *r)
{
	atomic_fetch_or_explicit(&r->state, HUGE, memory_order_relaxed);
	atomic_fetch_add_explicit(&pool->huge.nr, 1, memory_order_relaxed);
}

/* 0: it is one huge page now; -ENOENT: it is not whole; else why not. */
static int collapse(struct uz__zs *pool, uint32_t region)
{
	struct uz__region *r = &pool->huge.regions[region];
	uint32_t nr = windows_of_region(pool), i;
	struct uz__zspage *z = &pool->zspages[region * nr];
	int ret = 0;

	for (i = 0; i < nr && !ret; i++)
		ret = hold(pool, &z[i]);
	if (ret)
		i--; /* was not held */
	else
		ret = uz_shm_collapse(&pool->base.arena,
				      (size_t)region * UZ_SHM_HUGE);
	/* As long as none of it can be given back. */
	if (!ret)
		made_huge(pool, r);
	while (i-- > 0)
		release(pool, &z[i]);
	return ret;
}

/* How long it is to be left alone yet; 0: no longer. */
static uint32_t left(const struct uz__region *r, uint32_t now)
{
	uint32_t since = atomic_load_explicit(&r->since, memory_order_relaxed);
	unsigned int again = r->tries < AGAIN_MAX ? r->tries : AGAIN_MAX;
	uint32_t rest = again ? (uint32_t)AGAIN_MS << (again - 1) : REST_MS;

	/* Noted after @now was asked for. */
	if ((int32_t)(now - since) < 0)
		return rest;
	return now - since < rest ? rest - (now - since) : 0;
}

static int try_region(struct uz__zs *pool, uint32_t region, uint32_t now)
{
	struct uz__region *r = &pool->huge.regions[region];
	int ret;

	/* acquire: uz__huge_note() says for what. */
	atomic_fetch_and_explicit(&r->state, (uint8_t)~DUE,
				  memory_order_acquire);
	ret = collapse(pool, region);
	if (ret != -ENOENT && r->tries < AGAIN_MAX)
		r->tries++;
	if (ret && ret != -ENOENT) {
		atomic_store_explicit(&r->since, now, memory_order_relaxed);
		atomic_fetch_or_explicit(&r->state, DUE, memory_order_relaxed);
	}
	return ret;
}

/* Regions in which anything was ever stored, as far as they are whole ones. */
static uint32_t nr_regions(struct uz__zs *pool)
{
	uint64_t windows;

	uz_lock_acquire(&pool->store.lock);
	windows = pool->store.bump;
	uz_lock_release(&pool->store.lock);
	return (uint32_t)(windows / windows_of_region(pool));
}

int uz__zs_collapse(struct uz_pool *base, uint32_t *wait_ms)
{
	struct uz__zs *pool = uz__zs(base);
	uz_scoped_acquire(guard, &pool->huge.collapsing);
	struct uz__huge *h = &pool->huge;
	uint32_t nr = nr_regions(pool), now = now_ms(), wait = UINT32_MAX, i;

	if (uz__reserve_pages(pool) || base->arena.small)
		return -ENOTSUP;
	for (i = 0; i < nr; i++) {
		uint32_t at = (h->next + i) % nr, rest;
		/* relaxed: a mark that comes now is seen next time. */
		unsigned int state = atomic_load_explicit(&h->regions[at].state,
							  memory_order_relaxed);
		int ret;

		if (state != DUE)
			continue;
		rest = left(&h->regions[at], now);
		if (rest) {
			wait = rest < wait ? rest : wait;
			continue;
		}
		ret = try_region(pool, at, now);
		if (ret == -ENOENT)
			continue;
		h->next = at + 1;
		if (ret == -EAGAIN)
			*wait_ms = NEXT_MS;
		return ret ? ret : 1;
	}
	if (wait == UINT32_MAX)
		return 0;
	*wait_ms = wait;
	return -EAGAIN;
}
