// SPDX-License-Identifier: MIT
/*
 * The zsmalloc backend: its life.
 *
 * The arena is cut into windows of equal size; a zspage is one, or of small
 * objects the pages at its start, so that a ref gives its window by a shift and
 * its place there by a multiplication. Per window there is a descriptor of one
 * cache line, in an array that takes memory only where it was touched, and
 * grows with the arena without being moved; per live zspage one block of
 * ordinary memory with its bitmap and owners. See zsmalloc_priv.h for who may
 * touch what, and for the locks.
 *
 * The rooms: class.c how sizes map to zspages, zspage.c one zspage, list.c
 * lists of them, block.c their bookkeeping, window.c those that no class has,
 * alloc.c, free.c and pin.c what users call, keeper.c what is populated before
 * it is needed, huge.c what becomes huge pages, compact.c what objects are
 * moved together and move.c how, adopt.c what a new process rebuilds, check.c
 * what must always hold, walk.c all objects, stat.c the numbers.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <uzram/util/ahead.h>

#include "zsmalloc_priv.h"

/* With the one that is none. */
static unsigned int count_classes(const struct uz_pool_config *config)
{
	unsigned int nr = 1;
	uint32_t size = 0;

	for (; size < UZ_POOL_MAX_OBJECT; nr++)
		size = uz__class_above(config, size);
	return nr;
}

/* Each class, and which sizes are its. */
static void init_classes(struct uz__zs *pool,
			 const struct uz_pool_config *config)
{
	unsigned int units = 1, i;
	uint32_t size = 0;

	for (i = 1; i < pool->nr_classes; i++) {
		size = uz__class_above(config, size);
		uz__class_init(&pool->classes[i], size, config->window_size);
		for (; units < UZ__SIZES && units * UZ_REF_UNIT <= size;
		     units++)
			pool->class_of[units] = (uint16_t)i;
	}
}

static struct uz__zs *pool_new(const struct uz_pool_config *config)
{
	unsigned int nr_classes = count_classes(config);
	size_t size =
		sizeof(struct uz__zs) + nr_classes * sizeof(struct uz__class);
	struct uz__zs *pool = aligned_alloc(UZ_CACHELINE, size);

	if (!pool)
		return NULL;
	memset(pool, 0, size);
	pool->nr_classes = nr_classes;
	pool->ref_shift =
		(unsigned int)__builtin_ctz(config->window_size / UZ_REF_UNIT);
	uz__window_init(pool);
	uz__keeper_init(pool);
	uz_lock_init(&pool->compacting, UZ_LOCK_POOL_COMPACT);
	uz_lock_init(&pool->huge.collapsing, UZ_LOCK_POOL_HUGE);
	init_classes(pool, config);
	return pool;
}

static void zs_destroy(struct uz_pool *base)
{
	struct uz__zs *pool = uz__zs(base);
	unsigned int i;

	uz__keeper_fini(pool);
	uz_lock_destroy(&pool->compacting);
	uz_lock_destroy(&pool->huge.collapsing);
	for (i = 0; i < pool->store.bump; i++)
		free(pool->zspages[i].block);
	uz__block_fini(pool);
	for (i = 1; i < pool->nr_classes; i++)
		uz__class_fini(&pool->classes[i]);
	uz__window_fini(pool);
	uz__huge_fini(pool);
	uz_reserve_unmap(&pool->descriptors);
	free(pool);
}

static size_t descriptor_bytes(const struct uz_pool_config *config,
			       uint64_t arena_size)
{
	return arena_size / config->window_size * sizeof(struct uz__zspage);
}

static int zs_new(struct uz_pool **pool, const struct uz_pool_config *config)
{
	struct uz__zs *p = pool_new(config);
	int ret;

	if (!p)
		return -ENOMEM;
	ret = uz_reserve_map(&p->descriptors,
			     descriptor_bytes(config, config->arena_size),
			     descriptor_bytes(config, config->arena_most));
	if (!ret)
		ret = uz__huge_init(p, config);
	if (ret) {
		zs_destroy(&p->base);
		return ret;
	}
	p->zspages = p->descriptors.base;
	uz_ahead_memory(p->descriptors.base, p->descriptors.size);
	*pool = &p->base;
	return 0;
}

static int zs_grow(struct uz_pool *base, uint64_t arena_size)
{
	struct uz__zs *pool = uz__zs(base);
	size_t before = pool->descriptors.size;
	int ret = uz__huge_grow(pool, arena_size);

	if (!ret)
		ret = uz_reserve_grow(
			&pool->descriptors,
			descriptor_bytes(&base->config, arena_size));
	if (!ret)
		uz_ahead_memory((char *)pool->descriptors.base + before,
				pool->descriptors.size - before);
	return ret;
}

const struct uz__backend uz__zsmalloc = {
	.name = "zsmalloc",
	.caps = UZ_POOL_LINEAR | UZ_POOL_SLEEP_MAPPED | UZ_POOL_COMPACTS,
	.new = zs_new,
	.destroy = zs_destroy,
	.grow = zs_grow,
	.keep = uz__zs_keep,
	.adopt_object = uz__zs_adopt_object,
	.adopt_end = uz__zs_adopt_end,
	.alloc = uz__zs_alloc,
	.free = uz__zs_free,
	.holds = uz__zs_holds,
	.map = uz__zs_map,
	.unmap = uz__zs_unmap,
	.prefetch = uz__zs_prefetch,
	.class_size = uz__zs_class_size,
	.trim = uz__zs_trim,
	.compact = uz__zs_compact,
	.collapse = uz__zs_collapse,
	.stat = uz__zs_stat,
	.class_stat = uz__zs_class_stat,
	.check = uz__zs_check,
	.for_each = uz__zs_for_each,
};
