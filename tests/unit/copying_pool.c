// SPDX-License-Identifier: MIT
/*
 * The strict pool of copying_pool.h: between the device and the real one, by
 * the linker.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uzram/pool.h>

#include "copying_pool.h"

_Thread_local struct copying_hooks copying_hooks;

static _Thread_local bool held;

unsigned int __real_uz_pool_caps(const struct uz_pool *pool);
unsigned int __wrap_uz_pool_caps(const struct uz_pool *pool);
void *__real_uz_pool_bytes(struct uz_pool *pool, uz_ref_t ref);
void *__wrap_uz_pool_bytes(struct uz_pool *pool, uz_ref_t ref);
void __real_uz_pool_map_by(struct uz_pool *pool, uz_ref_t ref,
			   struct uz_map *map, const char *who);
void __wrap_uz_pool_map_by(struct uz_pool *pool, uz_ref_t ref,
			   struct uz_map *map, const char *who);
const void *__real_uz_pool_view(struct uz_pool *pool, const struct uz_map *map,
				uint32_t len, void *copy);
const void *__wrap_uz_pool_view(struct uz_pool *pool, const struct uz_map *map,
				uint32_t len, void *copy);
void __real_uz_pool_unmap_by(struct uz_pool *pool, const struct uz_map *map,
			     const char *who);
void __wrap_uz_pool_unmap_by(struct uz_pool *pool, const struct uz_map *map,
			     const char *who);
int __real_uz_pool_alloc(struct uz_pool *pool, uint32_t size, uint32_t owner,
			 unsigned int flags, uz_ref_t *ref);
int __wrap_uz_pool_alloc(struct uz_pool *pool, uint32_t size, uint32_t owner,
			 unsigned int flags, uz_ref_t *ref);
void __real_uz_pool_free(struct uz_pool *pool, uz_ref_t ref);
void __wrap_uz_pool_free(struct uz_pool *pool, uz_ref_t ref);
bool __real_uz_pool_free_if(struct uz_pool *pool, uz_ref_t ref, uint32_t size,
			    uint32_t owner);
bool __wrap_uz_pool_free_if(struct uz_pool *pool, uz_ref_t ref, uint32_t size,
			    uint32_t owner);
void __real_uz_pool_write(struct uz_pool *pool, uz_ref_t ref, uint32_t at,
			  const void *src, uint32_t len);
void __wrap_uz_pool_write(struct uz_pool *pool, uz_ref_t ref, uint32_t at,
			  const void *src, uint32_t len);

static void expect(bool right, const char *what)
{
	if (right)
		return;
	fprintf(stderr, "copying pool: %s\n", what);
	abort();
}

static void call(void (**hook)(void *arg))
{
	void (*fn)(void *arg) = *hook;

	*hook = NULL;
	if (fn)
		fn(copying_hooks.arg);
}

unsigned int __wrap_uz_pool_caps(const struct uz_pool *pool)
{
	return __real_uz_pool_caps(pool) &
	       ~(UZ_POOL_LINEAR | UZ_POOL_SLEEP_MAPPED);
}

void *__wrap_uz_pool_bytes(struct uz_pool *pool, uz_ref_t ref)
{
	(void)pool;
	(void)ref;
	return NULL;
}

void __wrap_uz_pool_map_by(struct uz_pool *pool, uz_ref_t ref,
			   struct uz_map *map, const char *who)
{
	expect(!held, "a second map in one thread");
	held = true;
	__real_uz_pool_map_by(pool, ref, map, who);
	map->bytes = NULL;
	call(&copying_hooks.mapped);
}

const void *__wrap_uz_pool_view(struct uz_pool *pool, const struct uz_map *map,
				uint32_t len, void *copy)
{
	const void *bytes = __real_uz_pool_bytes(pool, map->ref);

	expect(held, "a view without a map");
	return bytes ? memcpy(copy, bytes, len)
		     : __real_uz_pool_view(pool, map, len, copy);
}

void __wrap_uz_pool_unmap_by(struct uz_pool *pool, const struct uz_map *map,
			     const char *who)
{
	expect(held, "an unmap without a map");
	__real_uz_pool_unmap_by(pool, map, who);
	held = false;
	call(&copying_hooks.unmapped);
}

int __wrap_uz_pool_alloc(struct uz_pool *pool, uint32_t size, uint32_t owner,
			 unsigned int flags, uz_ref_t *ref)
{
	expect(!held, "an allocation under a map");
	return __real_uz_pool_alloc(pool, size, owner, flags, ref);
}

void __wrap_uz_pool_free(struct uz_pool *pool, uz_ref_t ref)
{
	expect(!held, "a free under a map");
	__real_uz_pool_free(pool, ref);
}

bool __wrap_uz_pool_free_if(struct uz_pool *pool, uz_ref_t ref, uint32_t size,
			    uint32_t owner)
{
	expect(!held, "a free under a map");
	return __real_uz_pool_free_if(pool, ref, size, owner);
}

void __wrap_uz_pool_write(struct uz_pool *pool, uz_ref_t ref, uint32_t at,
			  const void *src, uint32_t len)
{
	expect(!held, "a write under a map");
	__real_uz_pool_write(pool, ref, at, src, len);
}
