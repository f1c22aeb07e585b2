/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_POOL_TOKEN_H
#define UZRAM_POOL_TOKEN_H

#include <time.h>

#include "backend.h"

/*
 * What pool.c knows of maps beside the backend's pin: how long they were held
 * and, in a build with debug checks, each of them by a token (token.c).
 */

/*
 * The clock of maps, in ns. It moves in steps of the kernel's tick, and is
 * read in a quarter of the time that a finer one takes: it is read twice for
 * each object that is mapped.
 */
static inline uint64_t uz__token_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

void uz__token_raise(struct uz_pool *pool, uint64_t ns);

/* A map was held from @since until now. */
static inline void uz__token_held(struct uz_pool *pool, uint64_t since)
{
	uint64_t ns = uz__token_clock() - since;

	/* relaxed: a plain number. */
	if (uz_unlikely(ns > atomic_load_explicit(&pool->longest_map_ns,
						  memory_order_relaxed)))
		uz__token_raise(pool, ns);
}

#ifdef UZ_DEBUG_CHECKS
void uz__token_give(const struct uz_pool *pool, struct uz_map *map,
		    const char *who);
void uz__token_take(const struct uz_pool *pool, const struct uz_map *map,
		    const char *who);
void uz__token_none(const struct uz_pool *pool);
void uz__token_stat(const struct uz_pool *pool, struct uz_pool_stat *stat);
#else
static inline void uz__token_give(const struct uz_pool *pool,
				  struct uz_map *map, const char *who)
{
	(void)pool;
	(void)map;
	(void)who;
}

static inline void uz__token_take(const struct uz_pool *pool,
				  const struct uz_map *map, const char *who)
{
	(void)pool;
	(void)map;
	(void)who;
}

static inline void uz__token_none(const struct uz_pool *pool)
{
	(void)pool;
}

static inline void uz__token_stat(const struct uz_pool *pool,
				  struct uz_pool_stat *stat)
{
	(void)pool;
	(void)stat;
}
#endif

#endif
