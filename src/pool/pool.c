// SPDX-License-Identifier: MIT
/*
 * The pool behind one contract: finds the backend, owns what all have in
 * common (arena, limit, maps' tokens) and hands the calls on.
 *
 * The arena can grow while it is used: it lies in address space for more, and
 * so does the bookkeeping of a backend, so that nothing moves. Both are there
 * before the arena's end says so; whoever gives places out looks at that.
 *
 * The rooms: limit.c the count of memory; token.c who holds which map;
 * zsmalloc/ the default backend, zbud/ two simple ones, scatter/ one
 * for tests.
 */
#include <errno.h>
#include <string.h>

#include <uzram/pool/huge.h>
#include <uzram/pool/prefetch.h>
#include <uzram/util/delay.h>

#include "token.h"

#define ARENA_MAX ((uint64_t)UZ_REF_UNIT << UZ_REF_BITS)

/* The first is the default one. */
static const struct uz__backend *const backends[] = {
	&uz__zsmalloc,
	&uz__zbud,
	&uz__z3fold,
	&uz__scatter_backend,
};

#define NR_BACKENDS (sizeof(backends) / sizeof(backends[0]))

const char *uz_pool_backend(unsigned int nth)
{
	return nth < NR_BACKENDS ? backends[nth]->name : NULL;
}

static const struct uz__backend *find_backend(const char *name)
{
	unsigned int i;

	for (i = 0; i < NR_BACKENDS; i++)
		if (!strncmp(name, backends[i]->name, UZ_POOL_NAME_MAX + 1))
			return backends[i];
	return NULL;
}

/*
 * Address space is free, and an arena that is full refuses stores although
 * memory is left: so twice what all pages stored raw take, and room for
 * hundreds of classes of which each has some zspages that are hardly used.
 *
 * How far classes lie apart and how long a window is: ARCHITECTURE.md, "The
 * class table".
 */
void uz_pool_config_default(struct uz_pool_config *config, uint64_t data_bytes)
{
	uint64_t size;

	*config = (struct uz_pool_config){
		.window_size = 64 * UZ_PAGE_SIZE,
		.class_step = 8,
		.keep_empty = UINT64_C(1) << 20,
	};
	strcpy(config->backend, backends[0]->name);
	if (data_bytes >= ARENA_MAX / 4)
		size = ARENA_MAX;
	else
		size = 2 * data_bytes + (UINT64_C(1) << 30);
	config->arena_size = size & ~(uint64_t)(config->window_size - 1);
}

static bool arena_valid(const struct uz_pool_config *config, uint64_t size)
{
	return size && size <= ARENA_MAX && !(size % config->window_size);
}

static bool config_valid(const struct uz_pool_config *config)
{
	uint32_t window = config->window_size;

	if (window < 16 * UZ_PAGE_SIZE || window & (window - 1) ||
	    window > 64 * UZ_PAGE_SIZE)
		return false;
	if (config->class_step != 8 && config->class_step != 16)
		return false;
	return arena_valid(config, config->arena_size) &&
	       config->arena_most <= ARENA_MAX &&
	       !(config->arena_most % window);
}

static void set_end(struct uz_pool *pool, uint64_t arena_size)
{
	/* release: uz__arena_end() says for whom. */
	atomic_store_explicit(&pool->end, arena_size / UZ_REF_UNIT,
			      memory_order_release);
}

int uz_pool_create(struct uz_pool **pool, int fd,
		   const struct uz_pool_config *config)
{
	const struct uz__backend *backend = find_backend(config->backend);
	struct uz_shm arena;
	int ret;

	if (!backend)
		return -ENOTSUP;
	if (!config_valid(config))
		return -EINVAL;
	ret = uz_shm_map_room(&arena, fd, config->arena_size,
			      config->arena_most);
	if (ret)
		return ret;
	/* What nobody has charged is not to be populated. */
	uz_shm_page_by_page(&arena, config->reserve != 0);
	ret = backend->new (pool, config);
	if (ret) {
		uz_shm_unmap(&arena);
		return ret;
	}
	(*pool)->backend = backend;
	(*pool)->arena = arena;
	(*pool)->config = *config;
	set_end(*pool, config->arena_size);
	return 0;
}

int uz_pool_grow_ready(struct uz_pool *pool, uint64_t arena_size)
{
	int ret;

	if (!arena_valid(&pool->config, arena_size))
		return -EINVAL;
	if (arena_size / UZ_REF_UNIT <= uz__arena_end(pool))
		return 0;
	ret = pool->backend->grow(pool, arena_size);
	if (!ret)
		ret = uz_shm_grow(&pool->arena, arena_size);
	return ret;
}

int uz_pool_grow(struct uz_pool *pool, uint64_t arena_size)
{
	int ret = uz_pool_grow_ready(pool, arena_size);

	if (!ret && arena_size / UZ_REF_UNIT > uz__arena_end(pool))
		set_end(pool, arena_size);
	return ret;
}

void uz_pool_destroy(struct uz_pool *pool)
{
	struct uz_shm arena;

	if (!pool)
		return;
	uz__token_none(pool);
	arena = pool->arena;
	pool->backend->destroy(pool);
	uz_shm_unmap(&arena);
}

unsigned int uz_pool_caps(const struct uz_pool *pool)
{
	return pool->backend->caps;
}

int uz_pool_keep(struct uz_pool *pool)
{
	return pool->backend->keep ? pool->backend->keep(pool) : 0;
}

int uz_pool_adopt_object(struct uz_pool *pool, uz_ref_t ref, uint32_t size,
			 uint32_t owner)
{
	if (!size || size > UZ_POOL_MAX_OBJECT || ref >= uz__arena_end(pool))
		return -EUCLEAN;
	return pool->backend->adopt_object(pool, ref, size, owner);
}

int uz_pool_adopt_end(struct uz_pool *pool)
{
	return pool->backend->adopt_end(pool);
}

int uz_pool_alloc(struct uz_pool *pool, uint32_t size, uint32_t owner,
		  unsigned int flags, uz_ref_t *ref)
{
	return pool->backend->alloc(pool, size, owner, flags, ref);
}

void uz_pool_free(struct uz_pool *pool, uz_ref_t ref)
{
	uz_delay(UZ_DELAY_EXCHANGED);
	pool->backend->free(pool, ref, 0, 0);
}

bool uz_pool_spans(const struct uz_pool *pool, uz_ref_t ref, uint32_t size)
{
	/* relaxed: uz__arena_end() says why. */
	uz_ref_t end = atomic_load_explicit(&pool->end, memory_order_relaxed);
	uint32_t more = pool->backend->caps & UZ_POOL_LINEAR ? size - 1 : 0;

	return ref < end && more / UZ_REF_UNIT < end - ref;
}

static bool possible(const struct uz_pool *pool, uz_ref_t ref, uint32_t size)
{
	return uz_likely(size && size <= UZ_POOL_MAX_OBJECT &&
			 uz_pool_spans(pool, ref, size));
}

bool uz_pool_holds(struct uz_pool *pool, uz_ref_t ref, uint32_t size,
		   uint32_t owner)
{
	return possible(pool, ref, size) &&
	       pool->backend->holds(pool, ref, size, owner);
}

bool uz_pool_free_if(struct uz_pool *pool, uz_ref_t ref, uint32_t size,
		     uint32_t owner)
{
	if (!possible(pool, ref, size))
		return false;
	uz_delay(UZ_DELAY_EXCHANGED);
	return pool->backend->free(pool, ref, size, owner);
}

void *uz_pool_bytes(struct uz_pool *pool, uz_ref_t ref)
{
	if (!(pool->backend->caps & UZ_POOL_LINEAR))
		return NULL;
	return (char *)pool->arena.base + ref * UZ_REF_UNIT;
}

void uz_pool_write(struct uz_pool *pool, uz_ref_t ref, uint32_t at,
		   const void *src, uint32_t len)
{
	char *bytes = uz_pool_bytes(pool, ref);

	if (bytes)
		memcpy(bytes + at, src, len);
	else
		pool->backend->write(pool, ref, at, src, len);
	uz_delay(UZ_DELAY_FILLED);
}

void uz_pool_map_by(struct uz_pool *pool, uz_ref_t ref, struct uz_map *map,
		    const char *who)
{
	uz_delay(UZ_DELAY_LOADED);
	map->ref = ref;
	map->bytes = uz_pool_bytes(pool, ref);
	map->since = uz__token_clock();
	map->token = 0;
	pool->backend->map(pool, map);
	uz__token_give(pool, map, who);
	uz_delay(UZ_DELAY_PINNED);
}

void uz_pool_prefetch(const struct uz_pool *pool, uz_ref_t ref)
{
	if (pool->backend->prefetch)
		pool->backend->prefetch(pool, ref);
}

const void *uz_pool_view(struct uz_pool *pool, const struct uz_map *map,
			 uint32_t len, void *copy)
{
	if (map->bytes)
		return map->bytes;
	return pool->backend->read(pool, map->ref, copy, len) ? copy : NULL;
}

void uz_pool_unmap_by(struct uz_pool *pool, const struct uz_map *map,
		      const char *who)
{
	uz_delay(UZ_DELAY_UNPIN);
	uz__token_take(pool, map, who);
	uz__token_held(pool, map->since);
	pool->backend->unmap(pool, map);
}

uint32_t uz_pool_class_size(const struct uz_pool *pool, uint32_t size)
{
	return pool->backend->class_size(pool, size);
}

void uz_pool_trim(struct uz_pool *pool)
{
	pool->backend->trim(pool);
}

void uz_pool_copy(struct uz_pool *pool, uz_ref_t from, uz_ref_t to,
		  uint32_t len)
{
	uz_delay(UZ_DELAY_SEEN);
	memcpy(uz_pool_bytes(pool, to), uz_pool_bytes(pool, from), len);
	uz_delay(UZ_DELAY_COPIED);
}

bool uz_pool_compact(struct uz_pool *pool, enum uz_pool_compact_scope scope,
		     uint32_t budget, uz_pool_relocate *relocate, void *arg,
		     struct uz_pool_compaction *done)
{
	if (!pool->backend->compact)
		return false;
	return pool->backend->compact(pool, scope, budget, relocate, arg, done);
}

void uz_pool_on_fragmented(struct uz_pool *pool, void (*fn)(void *arg),
			   void *arg)
{
	pool->fragmented = fn;
	pool->arg = arg;
}

int uz_pool_collapse(struct uz_pool *pool, uint32_t *wait_ms)
{
	return pool->backend->collapse ? pool->backend->collapse(pool, wait_ms)
				       : 0;
}

void uz_pool_on_whole(struct uz_pool *pool, void (*fn)(void *arg), void *arg)
{
	pool->whole = fn;
	pool->whole_arg = arg;
}

void uz_pool_stat(struct uz_pool *pool, struct uz_pool_stat *stat)
{
	*stat = (struct uz_pool_stat){ 0 };
	pool->backend->stat(pool, stat);
	stat->used_bytes = uz_pool_used_bytes(pool);
	/* relaxed: plain numbers; see limit.c. */
	stat->max_used_bytes =
		UZ_PAGE_SIZE *
		atomic_load_explicit(&pool->max_pages, memory_order_relaxed);
	stat->limit_bytes =
		UZ_PAGE_SIZE *
		atomic_load_explicit(&pool->limit_pages, memory_order_relaxed);
	stat->longest_map_ns = atomic_load_explicit(&pool->longest_map_ns,
						    memory_order_relaxed);
	uz__token_stat(pool, stat);
}

bool uz_pool_class_stat(struct uz_pool *pool, unsigned int nth,
			struct uz_pool_class_stat *stat)
{
	return pool->backend->class_stat(pool, nth, stat);
}

int uz_pool_check(struct uz_pool *pool, struct uz_err *err)
{
	return pool->backend->check(pool, err);
}

int uz_pool_for_each(struct uz_pool *pool, uz_pool_visit *fn, void *arg)
{
	return pool->backend->for_each(pool, fn, arg);
}
