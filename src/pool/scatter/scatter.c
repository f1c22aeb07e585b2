// SPDX-License-Identifier: MIT
/*
 * The backend scatter, for tests and for the curious: what a pool must be like
 * that has nothing of what the default one offers. An object lies in fragments
 * all over the arena, so nobody can point to it; a map holds the pool's lock,
 * so nobody else gets anywhere meanwhile. A consumer that reckons with a
 * pointer, or that allocates, frees, writes or maps once more while it has an
 * object mapped, is found out: the order of locks forbids it in a build with
 * debug checks, and it waits for itself in any other.
 *
 * Each fragment begins with a link to the next one, in the arena, so that a
 * new process finds the object by its first one (adopt.c). While the pool
 * lives it believes its own notes alone.
 *
 * Memory is populated and given back without the lock. Frees are never
 * deferred: who frees waits for the lock, hence for whoever has mapped.
 *
 * The rooms: page.c pages and free fragments, adopt.c what a new process
 * rebuilds, check.c what must always hold.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <uzram/util/delay.h>

#include "scatter_priv.h"

/* Those of struct uz__scatter, in their order. */
#define ARRAYS 3

static void scatter_destroy(struct uz_pool *base)
{
	struct uz__scatter *pool = uz__scatter(base);
	unsigned int i;

	for (i = 0; i < ARRAYS; i++)
		uz_reserve_unmap(&pool->room[i]);
	uz_lock_destroy(&pool->lock);
	free(pool);
}

/* Each takes memory only where it is touched. */
static size_t array_bytes(unsigned int which, uint64_t arena_size)
{
	static const size_t in_page[ARRAYS] = {
		UZ__FRAG_IN_PAGE * sizeof(struct uz__frag),
		UZ__FRAG_IN_PAGE * sizeof(uint32_t),
		sizeof(struct uz__frag_page),
	};

	return uz__scatter_usable(arena_size / UZ_PAGE_SIZE) * in_page[which];
}

static int scatter_grow(struct uz_pool *base, uint64_t arena_size)
{
	struct uz__scatter *pool = uz__scatter(base);
	int ret = 0;
	unsigned int i;

	for (i = 0; i < ARRAYS && !ret; i++)
		ret = uz_reserve_grow(&pool->room[i],
				      array_bytes(i, arena_size));
	return ret;
}

static int scatter_new(struct uz_pool **base,
		       const struct uz_pool_config *config)
{
	struct uz__scatter *pool = aligned_alloc(UZ_CACHELINE, sizeof(*pool));
	unsigned int i;
	int ret = 0;

	if (!pool)
		return -ENOMEM;
	memset(pool, 0, sizeof(*pool));
	pool->spare = UZ__FRAG_NONE;
	uz_lock_init(&pool->lock, UZ_LOCK_POOL_STORE);
	for (i = 0; i < ARRAYS && !ret; i++)
		ret = uz_reserve_map(&pool->room[i],
				     array_bytes(i, config->arena_size),
				     array_bytes(i, config->arena_most));
	if (ret) {
		scatter_destroy(&pool->base);
		return ret;
	}
	pool->frags = pool->room[0].base;
	pool->free = pool->room[1].base;
	pool->pages = pool->room[2].base;
	*base = &pool->base;
	return 0;
}

static void link_to(struct uz__scatter *pool, uint32_t frag, uint32_t next)
{
	uint64_t word = UZ__FRAG_MAGIC | next;

	pool->frags[frag].next = next;
	memcpy(uz__frag_at(pool, frag), &word, sizeof(word));
}

/* There are @nr free fragments; the lock is held. */
static uint32_t chain(struct uz__scatter *pool, unsigned int nr, uint32_t owner)
{
	uint32_t head = uz__scatter_pick(pool), last = head, next;
	unsigned int i;

	pool->frags[head] = (struct uz__frag){
		.owner = owner,
		.nr = (uint16_t)nr,
		.state = UZ__FRAG_HEAD,
	};
	for (i = 1; i < nr; i++) {
		next = uz__scatter_pick(pool);
		pool->frags[next] = (struct uz__frag){
			.owner = head,
			.state = UZ__FRAG_BODY,
		};
		link_to(pool, last, next);
		last = next;
	}
	link_to(pool, last, UZ__FRAG_NONE);
	pool->objects++;
	return head;
}

/*
 * Take @nr fragments if there are so many. Otherwise claim the pages that are
 * missing.
 *
 * Return: how many these are; -ENOSPC.
 */
static int take(struct uz__scatter *pool, unsigned int nr, uint32_t owner,
		bool over, uint32_t *head, uint32_t *pages)
{
	uz_scoped_acquire(guard, &pool->lock);
	unsigned int missing;

	if (pool->nr_free >= nr) {
		*head = chain(pool, nr, owner);
		return 0;
	}
	missing =
		(nr - pool->nr_free + UZ__FRAG_IN_PAGE - 1) / UZ__FRAG_IN_PAGE;
	if (!uz__scatter_claim(pool, pages, missing))
		return -ENOSPC;
	if (uz__limit_charge(&pool->base, missing, over))
		return (int)missing;
	while (missing)
		uz__scatter_shelve(pool, pages[--missing]);
	return -ENOSPC;
}

/* Populate claimed pages; all of them, or they are given back. */
static int grow(struct uz__scatter *pool, const uint32_t *pages,
		unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (!uz__scatter_populate(pool, pages[i])) {
			uz__scatter_drop(pool, pages, nr);
			return -ENOSPC;
		}
	}
	uz_lock_acquire(&pool->lock);
	for (i = 0; i < nr; i++)
		uz__scatter_hold(pool, pages[i]);
	uz_lock_release(&pool->lock);
	return 0;
}

static int scatter_alloc(struct uz_pool *base, uint32_t size, uint32_t owner,
			 unsigned int flags, uz_ref_t *ref)
{
	struct uz__scatter *pool = uz__scatter(base);
	uint32_t pages[2], head = UZ__FRAG_NONE;
	int ret;

	assert(size && size <= UZ_POOL_MAX_OBJECT);
	/* What was populated may be taken by somebody else: then once more. */
	for (;;) {
		ret = take(pool, uz__frags_of(size), owner,
			   flags & UZ_POOL_OVER_LIMIT, &head, pages);
		if (ret <= 0)
			break;
		uz_delay(UZ_DELAY_TAKEN);
		ret = grow(pool, pages, (unsigned int)ret);
		if (ret)
			break;
	}
	if (!ret)
		*ref = uz__frag_ref(head);
	return ret;
}

/*
 * How many fragments the object has that begins there; 0 if none does, which
 * only a damaged word of the owner's can bring about. The lock is held.
 */
static unsigned int object_frags(const struct uz__scatter *pool, uz_ref_t ref)
{
	uint64_t head = ref / (UZ__FRAG_SIZE / UZ_REF_UNIT);

	if (ref % (UZ__FRAG_SIZE / UZ_REF_UNIT) ||
	    head >= (uint64_t)uz__scatter_nr_pages(pool) * UZ__FRAG_IN_PAGE ||
	    pool->frags[head].state != UZ__FRAG_HEAD)
		return 0;
	return pool->frags[head].nr;
}

static bool is_object(const struct uz__scatter *pool, uz_ref_t ref,
		      uint32_t size, uint32_t owner)
{
	return object_frags(pool, ref) == uz__frags_of(size) &&
	       pool->frags[uz__ref_frag(ref)].owner == owner;
}

static bool scatter_holds(struct uz_pool *base, uz_ref_t ref, uint32_t size,
			  uint32_t owner)
{
	struct uz__scatter *pool = uz__scatter(base);
	uz_scoped_acquire(guard, &pool->lock);

	return is_object(pool, ref, size, owner);
}

static bool scatter_free(struct uz_pool *base, uz_ref_t ref, uint32_t size,
			 uint32_t owner)
{
	struct uz__scatter *pool = uz__scatter(base);
	uint32_t frag = uz__ref_frag(ref), next, page;
	uint32_t emptied[UZ__FRAG_MOST];
	unsigned int nr = 0;

	uz_lock_acquire(&pool->lock);
	if (size ? !is_object(pool, ref, size, owner)
		 : !object_frags(pool, ref)) {
		uz_lock_release(&pool->lock);
		return false;
	}
	pool->objects--;
	for (; frag != UZ__FRAG_NONE; frag = next) {
		next = pool->frags[frag].next;
		page = frag / UZ__FRAG_IN_PAGE;
		uz__scatter_put(pool, frag);
		if (!pool->pages[page].used && uz__scatter_too_many(pool)) {
			uz__scatter_withdraw(pool, page);
			emptied[nr++] = page;
		}
	}
	uz_lock_release(&pool->lock);
	uz__scatter_drop(pool, emptied, nr);
	return true;
}

static void scatter_map(struct uz_pool *base, struct uz_map *map)
{
	map->pin = 0;
	uz_lock_acquire(&uz__scatter(base)->lock);
}

static void scatter_unmap(struct uz_pool *base, const struct uz_map *map)
{
	(void)map;
	uz_lock_release(&uz__scatter(base)->lock);
}

static bool scatter_read(struct uz_pool *base, uz_ref_t ref, void *buf,
			 uint32_t len)
{
	struct uz__scatter *pool = uz__scatter(base);
	uint32_t frag = uz__ref_frag(ref), part;
	char *to = buf;

	if (object_frags(pool, ref) < uz__frags_of(len))
		return false;
	for (; len; frag = pool->frags[frag].next) {
		part = len < UZ__FRAG_BYTES ? len : UZ__FRAG_BYTES;
		memcpy(to, uz__frag_at(pool, frag) + UZ__FRAG_LINK, part);
		to += part;
		len -= part;
	}
	return true;
}

static void scatter_write(struct uz_pool *base, uz_ref_t ref, uint32_t at,
			  const void *src, uint32_t len)
{
	struct uz__scatter *pool = uz__scatter(base);
	uint32_t frag = uz__ref_frag(ref), part;
	const char *from = src;

	/* Nobody else is in the way; this is to find out who has a map. */
	uz_lock_acquire(&pool->lock);
	uz_lock_release(&pool->lock);
	for (; len; frag = pool->frags[frag].next) {
		if (at >= UZ__FRAG_BYTES) {
			at -= UZ__FRAG_BYTES;
			continue;
		}
		part = UZ__FRAG_BYTES - at;
		if (part > len)
			part = len;
		memcpy(uz__frag_at(pool, frag) + UZ__FRAG_LINK + at, from,
		       part);
		from += part;
		len -= part;
		at = 0;
	}
}

static uint32_t scatter_class_size(const struct uz_pool *base, uint32_t size)
{
	(void)base;
	return uz__frags_of(size) * UZ__FRAG_SIZE;
}

static void scatter_stat(struct uz_pool *base, struct uz_pool_stat *stat)
{
	struct uz__scatter *pool = uz__scatter(base);
	uz_scoped_acquire(guard, &pool->lock);

	stat->meta_bytes = sizeof(*pool) +
			   (uint64_t)pool->bump *
				   (sizeof(*pool->pages) +
				    UZ__FRAG_IN_PAGE * (sizeof(*pool->frags) +
							sizeof(*pool->free)));
	stat->objects = pool->objects;
	stat->object_bytes = pool->nr_used * UZ__FRAG_SIZE;
	stat->zspages = pool->nr_live;
	stat->empty_bytes = pool->nr_kept * UZ_PAGE_SIZE;
}

/* All sizes are one class; it is the pages' fragments that are counted. */
static bool scatter_class_stat(struct uz_pool *base, unsigned int nth,
			       struct uz_pool_class_stat *stat)
{
	struct uz__scatter *pool = uz__scatter(base);
	uint32_t page;
	unsigned int used;

	if (nth)
		return false;
	*stat = (struct uz_pool_class_stat){
		.size = UZ__FRAG_MOST * UZ__FRAG_SIZE,
		.per_zspage = UZ__FRAG_IN_PAGE,
		.pages = 1,
	};
	uz_scoped_acquire(guard, &pool->lock);
	stat->zspages = pool->nr_live;
	stat->objects = pool->objects;
	stat->used_bytes = pool->nr_live * UZ_PAGE_SIZE;
	stat->waste = stat->used_bytes - pool->nr_used * UZ__FRAG_SIZE;
	for (page = 0; page < pool->bump; page++) {
		used = pool->pages[page].used;
		if (used == UZ__FRAG_IN_PAGE)
			stat->full++;
		else if (used)
			stat->fullness[(used - 1) * UZ_POOL_GROUPS /
				       UZ__FRAG_IN_PAGE]++;
	}
	return true;
}

static int scatter_for_each(struct uz_pool *base, uz_pool_visit *fn, void *arg)
{
	struct uz__scatter *pool = uz__scatter(base);
	uint32_t end = pool->bump * UZ__FRAG_IN_PAGE, i;
	const struct uz__frag *f;
	int ret;

	for (i = 0; i < end; i++) {
		f = &pool->frags[i];
		if (f->state != UZ__FRAG_HEAD)
			continue;
		ret = fn(arg, uz__frag_ref(i), f->nr * UZ__FRAG_SIZE, f->owner);
		if (ret)
			return ret;
	}
	return 0;
}

const struct uz__backend uz__scatter_backend = {
	.name = "scatter",
	.new = scatter_new,
	.destroy = scatter_destroy,
	.grow = scatter_grow,
	.adopt_object = uz__scatter_adopt_object,
	.adopt_end = uz__scatter_adopt_end,
	.alloc = scatter_alloc,
	.free = scatter_free,
	.holds = scatter_holds,
	.map = scatter_map,
	.unmap = scatter_unmap,
	.read = scatter_read,
	.write = scatter_write,
	.class_size = scatter_class_size,
	.trim = uz__scatter_trim,
	.stat = scatter_stat,
	.class_stat = scatter_class_stat,
	.check = uz__scatter_check,
	.for_each = scatter_for_each,
};
