/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_POOL_PREFETCH_H
#define UZRAM_POOL_PREFETCH_H

#include <uzram/types.h>

struct uz_pool;

/**
 * uz_pool_prefetch() - have what a map needs come nearer, without waiting
 * @pool: the pool
 * @ref:  any within the arena
 *
 * Not the object's bytes: where they lie, their owner knows (uz_pool_bytes()).
 *
 * Context: any thread.
 */
void uz_pool_prefetch(const struct uz_pool *pool, uz_ref_t ref);

#endif
