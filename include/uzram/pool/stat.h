/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_POOL_STAT_H
#define UZRAM_POOL_STAT_H

#include <uzram/types.h>

/**
 * DOC: what a pool holds
 *
 * Its numbers, in all and class by class: a part of uzram/pool.h.
 */

struct uz_pool;

/**
 * struct uz_pool_stat - what the pool holds
 * @used_bytes:     arena memory populated, zspages kept for reuse included;
 *                  equals the memfd's own block count when nothing is under
 *                  way
 * @max_used_bytes: most that @used_bytes has been since the start or
 *                  uz_pool_reset_max()
 * @limit_bytes:    0: none
 * @meta_bytes:     ordinary memory for descriptors, bitmaps and owners
 * @objects:        live objects, deferred ones not included
 * @object_bytes:   class sizes of the live objects, summed
 * @deferred:       objects freed that wait for pins to go
 * @zspages:        zspages with at least one object
 * @empty_bytes:    populated memory of empty zspages kept for reuse
 * @deferred_bytes: class sizes of the objects that @deferred counts
 * @longest_map_ns: the longest time that an object was mapped, in steps of
 *                  some milliseconds: maps that were released, and in a build
 *                  with debug checks those that are held
 * @maps:           maps that are held, in a build with debug checks; else 0
 * @reserve_bytes:  what is to be kept ready; what of it is there is a part of
 *                  @empty_bytes
 * @reserve_missed: stores that found nothing populated and no reserve
 * @thp_bytes:      of @used_bytes, what uz_pool_collapse() made huge pages of
 */
struct uz_pool_stat {
	uint64_t used_bytes;
	uint64_t max_used_bytes;
	uint64_t limit_bytes;
	uint64_t meta_bytes;
	uint64_t objects;
	uint64_t object_bytes;
	uint64_t deferred;
	uint64_t zspages;
	uint64_t empty_bytes;
	uint64_t deferred_bytes;
	uint64_t longest_map_ns;
	uint64_t maps;
	uint64_t reserve_bytes;
	uint64_t reserve_missed;
	uint64_t thp_bytes;
};

/**
 * uz_pool_stat() - read the counters
 * @pool: the pool
 * @stat: filled; each value is exact when nothing is under way, and of some
 *        recent moment otherwise
 *
 * Context: any thread; takes each class lock in turn.
 */
void uz_pool_stat(struct uz_pool *pool, struct uz_pool_stat *stat);

/* Groups of fullness in struct uz_pool_class_stat. */
#define UZ_POOL_GROUPS 8

/**
 * struct uz_pool_class_stat - one size class
 * @size:       bytes of an object; of the largest, if the backend has one
 *              class for all sizes
 * @per_zspage: most objects in a zspage
 * @pages:      pages of a zspage that is populated wholly
 * @zspages:    with at least one object
 * @full:       of these, those without room
 * @growing:    those that need another page for their next object
 * @fullness:   those with room in the pages that they hold: up to an eighth
 *              of @per_zspage used, two eighths, ...
 * @objects:    live
 * @deferred:   freed, waiting for pins to go
 * @used_bytes: populated memory of its zspages
 * @waste:      of that, what no object uses (deferred ones count as used)
 */
struct uz_pool_class_stat {
	uint32_t size;
	uint32_t per_zspage;
	uint32_t pages;
	uint64_t zspages;
	uint64_t full;
	uint64_t growing;
	uint64_t fullness[UZ_POOL_GROUPS];
	uint64_t objects;
	uint64_t deferred;
	uint64_t used_bytes;
	uint64_t waste;
};

/**
 * uz_pool_class_stat() - the numbers of one size class
 * @pool: the pool
 * @nth:  0, 1, ...: in order of size
 * @stat: filled
 *
 * The @used_bytes of all classes and the @empty_bytes of struct uz_pool_stat
 * add up to its @used_bytes when nothing is under way.
 *
 * Context: any thread; takes the class lock, for a moment that grows with the
 *          number of its zspages.
 * Return:  false: there are no more classes; @stat is untouched.
 */
bool uz_pool_class_stat(struct uz_pool *pool, unsigned int nth,
			struct uz_pool_class_stat *stat);

/**
 * uz_pool_used_bytes() - @used_bytes of uz_pool_stat() alone, at no cost
 * @pool: the pool
 *
 * Context: any thread; one load.
 * Return:  bytes.
 */
uint64_t uz_pool_used_bytes(const struct uz_pool *pool);

/**
 * uz_pool_over_limit() - does the arena hold more than its limit?
 * @pool: the pool
 *
 * After UZ_POOL_OVER_LIMIT, or because the limit was lowered.
 *
 * Context: any thread; two loads.
 * Return:  true if it does.
 */
bool uz_pool_over_limit(const struct uz_pool *pool);

/**
 * uz_pool_reset_max() - let max_used_bytes begin again from used_bytes
 * @pool: the pool
 *
 * Context: any thread.
 */
void uz_pool_reset_max(struct uz_pool *pool);

#endif
