/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_POOL_BACKEND_H
#define UZRAM_POOL_BACKEND_H

#include <stdatomic.h>

#include <uzram/pool.h>
#include <uzram/util/lock.h>
#include <uzram/util/shm.h>

/*
 * What every backend of the pool has in common, and the table of operations
 * that one is. A contract of include/uzram/pool.h holds for each of them;
 * pool.c hands the calls on.
 */

/**
 * struct uz__backend - one way to place objects in an arena
 * @name:         as users write it
 * @caps:         UZ_POOL_LINEAR, ...
 * @new:          the ordinary memory of a pool; @base's config is set, the
 *                arena is mapped. -errno; nothing stays after a failure
 * @destroy:      give that memory back; the arena is unmapped afterwards
 * @grow:         bookkeeping for an arena of so many bytes, of which nothing is
 *                used yet: uz__arena_end() has not changed
 * @keep:         NULL: nothing to be done ahead of use
 * @adopt_object: see uz_pool_adopt_object()
 * @adopt_end:    see uz_pool_adopt_end()
 * @alloc:        see uz_pool_alloc()
 * @free:         see uz_pool_free_if(); with a @size of 0 see uz_pool_free()
 * @holds:        see uz_pool_holds(); @ref and @size are within their ranges
 * @map:          see uz_pool_map(); @ref and @bytes of the map are set already
 * @unmap:        see uz_pool_unmap()
 * @prefetch:     see uz_pool_prefetch(); NULL: nothing to be done
 * @read:         copy from a mapped object, false if no object of so many bytes
 *                lies there; NULL if linear
 * @write:        copy into an object of the caller's; NULL if linear
 * @class_size:   see uz_pool_class_size()
 * @trim:         see uz_pool_trim()
 * @compact:      see uz_pool_compact(); NULL: objects stay where they are
 * @collapse:     see uz_pool_collapse(); NULL: there is never anything to do
 * @stat:         add to what is common
 * @class_stat:   see uz_pool_class_stat()
 * @check:        see uz_pool_check()
 * @for_each:     see uz_pool_for_each()
 */
struct uz__backend {
	const char *name;
	unsigned int caps;
	int (*new)(struct uz_pool **pool, const struct uz_pool_config *config);
	void (*destroy)(struct uz_pool *pool);
	int (*grow)(struct uz_pool *pool, uint64_t arena_size);
	int (*keep)(struct uz_pool *pool);
	int (*adopt_object)(struct uz_pool *pool, uz_ref_t ref, uint32_t size,
			    uint32_t owner);
	int (*adopt_end)(struct uz_pool *pool);
	int (*alloc)(struct uz_pool *pool, uint32_t size, uint32_t owner,
		     unsigned int flags, uz_ref_t *ref);
	bool (*free)(struct uz_pool *pool, uz_ref_t ref, uint32_t size,
		     uint32_t owner);
	bool (*holds)(struct uz_pool *pool, uz_ref_t ref, uint32_t size,
		      uint32_t owner);
	void (*map)(struct uz_pool *pool, struct uz_map *map);
	void (*unmap)(struct uz_pool *pool, const struct uz_map *map);
	void (*prefetch)(const struct uz_pool *pool, uz_ref_t ref);
	bool (*read)(struct uz_pool *pool, uz_ref_t ref, void *buf,
		     uint32_t len);
	void (*write)(struct uz_pool *pool, uz_ref_t ref, uint32_t at,
		      const void *src, uint32_t len);
	uint32_t (*class_size)(const struct uz_pool *pool, uint32_t size);
	void (*trim)(struct uz_pool *pool);
	bool (*compact)(struct uz_pool *pool, enum uz_pool_compact_scope scope,
			uint32_t budget, uz_pool_relocate *relocate, void *arg,
			struct uz_pool_compaction *done);
	int (*collapse)(struct uz_pool *pool, uint32_t *wait_ms);
	void (*stat)(struct uz_pool *pool, struct uz_pool_stat *stat);
	bool (*class_stat)(struct uz_pool *pool, unsigned int nth,
			   struct uz_pool_class_stat *stat);
	int (*check)(struct uz_pool *pool, struct uz_err *err);
	int (*for_each)(struct uz_pool *pool, uz_pool_visit *fn, void *arg);
};

extern const struct uz__backend uz__zsmalloc;
extern const struct uz__backend uz__zbud;
extern const struct uz__backend uz__z3fold;
extern const struct uz__backend uz__scatter_backend;

/**
 * struct uz_pool - the part of a pool that every backend has first
 * @backend:     its operations
 * @arena:       all objects
 * @end:         the first ref beyond the arena, which may grow
 * @config:      as given
 * @limit_pages: 0: none (limit.c)
 * @mark_pages:  whoever takes the page that reaches it tells; 0: nobody
 * @used_pages:  pages of the arena that are held
 * @max_pages:   most that this ever was
 * @longest_map_ns: of maps that were released (token.c)
 * @fragmented:  whom to tell that compaction is worth while
 * @arg:         handed to @fragmented
 * @whole:       whom to tell that there may be something to collapse
 * @whole_arg:   handed to @whole
 * @marked:      whom to tell that use has reached the mark
 * @mark_arg:    handed to @marked
 */
struct uz_pool {
	const struct uz__backend *backend;
	struct uz_shm arena;
	_Atomic uz_ref_t end;
	struct uz_pool_config config;
	_Atomic uint64_t limit_pages;
	_Atomic uint64_t mark_pages;
	_Atomic uint64_t longest_map_ns;
	void (*fragmented)(void *arg);
	void *arg;
	void (*whole)(void *arg);
	void *whole_arg;
	void (*marked)(void *arg);
	void *mark_arg;
	/* Written by every thread that grows; the above is hardly written. */
	_Alignas(UZ_CACHELINE) _Atomic uint64_t used_pages;
	_Atomic uint64_t max_pages;
};

/*
 * For who gives places out. Acquire, paired with the release in uz_pool_grow():
 * with the end come arena and bookkeeping up to there. Who has a ref has it
 * from one who gave it out, through the owner's word, so relaxed suffices
 * there.
 */
static inline uz_ref_t uz__arena_end(const struct uz_pool *pool)
{
	return atomic_load_explicit(&pool->end, memory_order_acquire);
}

static inline uint64_t uz__arena_pages(const struct uz_pool *pool)
{
	return uz__arena_end(pool) / (UZ_PAGE_SIZE / UZ_REF_UNIT);
}

/* limit.c */
bool uz__limit_charge(struct uz_pool *pool, unsigned int pages, bool over);
void uz__limit_uncharge(struct uz_pool *pool, unsigned int pages);
bool uz__limit_fits(const struct uz_pool *pool, unsigned int pages);

#endif
