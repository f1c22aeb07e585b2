// SPDX-License-Identifier: MIT
/*
 * How much memory the arena takes, and how much it may. A page is charged
 * before it is populated and uncharged after it was given back, so the
 * memfd never holds more than the counter says, and exactly as much when
 * nothing is under way.
 *
 * The counters are only numbers: no other memory is published through them,
 * so relaxed ordering suffices throughout. That the limit is never passed
 * follows from the compare-and-swap alone.
 */
#include "backend.h"

static void raise_max(struct uz_pool *pool, uint64_t used)
{
	uint64_t max =
		atomic_load_explicit(&pool->max_pages, memory_order_relaxed);

	while (max < used &&
	       !atomic_compare_exchange_weak_explicit(
		       &pool->max_pages, &max, used, memory_order_relaxed,
		       memory_order_relaxed))
		;
}

/* Relaxed: if the mark is set or passed just now, one notice more or less. */
static void tell_mark(struct uz_pool *pool, uint64_t used, unsigned int pages)
{
	uint64_t mark =
		atomic_load_explicit(&pool->mark_pages, memory_order_relaxed);

	if (uz_unlikely(mark && used < mark && used + pages >= mark))
		pool->marked(pool->mark_arg);
}

/* Count @pages as used; false when they do not fit and @over is not set. */
bool uz__limit_charge(struct uz_pool *pool, unsigned int pages, bool over)
{
	uint64_t limit =
		atomic_load_explicit(&pool->limit_pages, memory_order_relaxed);
	uint64_t used =
		atomic_load_explicit(&pool->used_pages, memory_order_relaxed);

	do {
		if (limit && !over && used + pages > limit)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
		&pool->used_pages, &used, used + pages, memory_order_relaxed,
		memory_order_relaxed));
	raise_max(pool, used + pages);
	tell_mark(pool, used, pages);
	return true;
}

void uz__limit_uncharge(struct uz_pool *pool, unsigned int pages)
{
	atomic_fetch_sub_explicit(&pool->used_pages, pages,
				  memory_order_relaxed);
}

/* Does the limit leave room for so many? A hint. */
bool uz__limit_fits(const struct uz_pool *pool, unsigned int pages)
{
	uint64_t limit =
		atomic_load_explicit(&pool->limit_pages, memory_order_relaxed);
	uint64_t used =
		atomic_load_explicit(&pool->used_pages, memory_order_relaxed);

	return !limit || used + pages <= limit;
}

void uz_pool_set_limit(struct uz_pool *pool, uint64_t bytes)
{
	uint64_t pages = bytes / UZ_PAGE_SIZE + !!(bytes % UZ_PAGE_SIZE);

	atomic_store_explicit(&pool->limit_pages, pages, memory_order_relaxed);
}

void uz_pool_on_mark(struct uz_pool *pool, void (*fn)(void *arg), void *arg)
{
	pool->marked = fn;
	pool->mark_arg = arg;
}

void uz_pool_set_mark(struct uz_pool *pool, uint64_t bytes)
{
	atomic_store_explicit(&pool->mark_pages, bytes / UZ_PAGE_SIZE,
			      memory_order_relaxed);
}

uint64_t uz_pool_used_bytes(const struct uz_pool *pool)
{
	return atomic_load_explicit(&pool->used_pages, memory_order_relaxed) *
	       UZ_PAGE_SIZE;
}

bool uz_pool_over_limit(const struct uz_pool *pool)
{
	uint64_t limit =
		atomic_load_explicit(&pool->limit_pages, memory_order_relaxed);

	return limit && uz_pool_used_bytes(pool) > limit * UZ_PAGE_SIZE;
}

void uz_pool_reset_max(struct uz_pool *pool)
{
	atomic_store_explicit(&pool->max_pages, 0, memory_order_relaxed);
	/* Who grows the pool meanwhile raises it as well: the higher wins. */
	raise_max(pool, atomic_load_explicit(&pool->used_pages,
					     memory_order_relaxed));
}
