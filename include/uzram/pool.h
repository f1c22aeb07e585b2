/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_POOL_H
#define UZRAM_POOL_H

#include <uzram/types.h>
#include <uzram/util/err.h>

/**
 * DOC: the pool
 *
 * Holds objects of 1 ... UZ_POOL_MAX_OBJECT bytes, packed, in a memfd (the
 * *arena*). The arena is cut into *windows* of equal size; a *zspage* is the
 * run of pages at the start of a window, all its objects of one *size class*.
 * Objects of a zspage lie end to end and may straddle pages: the mapping is
 * contiguous. A zspage is filled from its low end and populated page by page.
 *
 * An object is filled once, between uz_pool_alloc() and its publication by
 * the owner, and never changes afterwards. Nothing of the pool but the
 * objects' bytes lies in shared memory: class, bitmaps, owners and lists are
 * ordinary memory, rebuilt by uz_pool_adopt_object() from what the owner
 * knows. The class of an object follows from its size alone.
 *
 * Mapping pins, it does not lock. While an object's zspage is pinned, frees
 * in it are deferred: their memory is neither reused nor given back until
 * every pin that was there at the time of the free is gone. Pins taken later
 * hold a free up for one round at most (until the pins that an earlier free
 * waits for are gone), so frees make progress even when pins overlap for
 * ever. The pool cannot know whether a ref is still current when it is
 * pinned, so the owner must read its own word again after uz_pool_map():
 * see ARCHITECTURE.md, "Publish, map, free".
 */

struct uz_pool;

/* A page and its checksum, the largest object there is. */
#define UZ_POOL_MAX_OBJECT 4104

/**
 * struct uz_pool_config - what is fixed for the life of the arena
 * @arena_size:   bytes of address space; a multiple of @window_size, at most
 *                2^44; costs nothing until used
 * @window_size:  bytes, a power of two, 16 ... 64 pages
 * @class_step:   bytes between size classes, 8 or 16
 * @keep_empty:   bytes of empty, populated zspages kept for reuse before
 *                memory is given back to the system
 *
 * Lies in the superblock: whoever adopts the arena must use the same values,
 * except @keep_empty.
 */
struct uz_pool_config {
	uint64_t arena_size;
	uint32_t window_size;
	uint32_t class_step;
	uint64_t keep_empty;
};

/**
 * uz_pool_config_default() - the geometry that new arenas get
 * @config:     filled
 * @data_bytes: most bytes of pages that the pool may ever have to hold
 *
 * Context: any thread.
 */
void uz_pool_config_default(struct uz_pool_config *config, uint64_t data_bytes);

/**
 * uz_pool_create() - a pool on an arena
 * @pool:   set on success, untouched on failure
 * @fd:     memfd, borrowed; either empty, or to be adopted: then the caller
 *          reports every live object with uz_pool_adopt_object() and ends
 *          with uz_pool_adopt_end() before any other call
 * @config: copied
 *
 * Context: any thread.
 * Return:  0, -EINVAL (bad @config), -ENOMEM or another -errno.
 */
uz_must_check int uz_pool_create(struct uz_pool **pool, int fd,
				 const struct uz_pool_config *config);

/**
 * uz_pool_keep() - have a thread populate memory ahead of use
 * @pool: the pool
 *
 * Faulting a page in costs a third of compressing one; a thread of the pool's
 * own does it beforehand, for zspages that are being filled, when there is a
 * CPU to run it. It sleeps when nothing is stored, gives back what was not
 * needed soon after the last store, and never takes what a limit would refuse.
 * Ends with uz_pool_destroy().
 *
 * Context: once, by the thread that made the pool; the new thread takes no
 *          signals.
 * Return:  0 or -errno; after a failure the pool is as good without it.
 */
uz_must_check int uz_pool_keep(struct uz_pool *pool);

/**
 * uz_pool_destroy() - forget the pool; the arena's bytes stay in the memfd
 * @pool: the pool, or NULL
 *
 * Context: no other thread uses the pool any more.
 */
void uz_pool_destroy(struct uz_pool *pool);

/**
 * uz_pool_adopt_object() - report an object that the arena holds already
 * @pool:  a pool just created, used by this thread alone
 * @ref:   its place; any value is checked, none is trusted
 * @size:  its bytes, as given to uz_pool_alloc()
 * @owner: as given to uz_pool_alloc()
 *
 * Context: before uz_pool_adopt_end(); allocates.
 * Return:  0; -EUCLEAN the place cannot hold such an object, or another one
 *          lies there; -ENOMEM. After a failure the pool is only good for
 *          uz_pool_destroy().
 */
uz_must_check int uz_pool_adopt_object(struct uz_pool *pool, uz_ref_t ref,
				       uint32_t size, uint32_t owner);

/**
 * uz_pool_adopt_end() - all live objects were reported
 * @pool: the pool
 *
 * Memory of the arena that no object uses goes back to the system.
 *
 * Context: the thread that adopts.
 * Return:  0 or -errno; after a failure the pool is only good for
 *          uz_pool_destroy().
 */
uz_must_check int uz_pool_adopt_end(struct uz_pool *pool);

/* uz_pool_alloc() flag: may pass the limit (a store that shrinks overall). */
#define UZ_POOL_OVER_LIMIT 1u

/**
 * uz_pool_alloc() - room for one object
 * @pool:  the pool
 * @size:  bytes, 1 ... UZ_POOL_MAX_OBJECT
 * @owner: index of the page that the object will belong to
 * @flags: 0 or UZ_POOL_OVER_LIMIT
 * @ref:   set on success, untouched on failure
 *
 * The bytes are undefined and belong to the caller alone until it publishes
 * the ref or frees it again.
 *
 * Context: any thread; takes the class lock for a moment, never while memory
 *          is populated; may allocate and sleep.
 * Return:  0; -ENOSPC when the object needs pages beyond the limit, or the
 *          system has none, or the arena is full; the pool is then unchanged.
 */
uz_must_check int uz_pool_alloc(struct uz_pool *pool, uint32_t size,
				uint32_t owner, unsigned int flags,
				uz_ref_t *ref);

/**
 * uz_pool_bytes() - where to fill an object that is not published yet
 * @pool: the pool
 * @ref:  from uz_pool_alloc()
 *
 * Context: any thread.
 * Return:  the object's first byte, aligned to 8.
 */
void *uz_pool_bytes(struct uz_pool *pool, uz_ref_t ref);

/**
 * uz_pool_free() - an object is no longer named by its owner
 * @pool: the pool
 * @ref:  the object; its owner's word was changed before, by an atomic
 *        read-modify-write of sequential consistency
 *
 * Frees at once, or when the pins of this moment are gone. Never waits for
 * them.
 *
 * Context: any thread; takes the class lock for a moment; may give emptied
 *          zspages back to the system after it is released.
 */
void uz_pool_free(struct uz_pool *pool, uz_ref_t ref);

/**
 * struct uz_map - a pin on the zspage of one object
 * @bytes:  the object's first byte; meaningful once the owner's word was read
 *          again and still names the object
 * @zspage: private
 * @epoch:  private
 *
 * A plain value: it may be handed to another thread and released there, in
 * any order.
 */
struct uz_map {
	const void *bytes;
	uint32_t zspage;
	uint32_t epoch;
};

/**
 * uz_pool_map() - pin an object's zspage
 * @pool: the pool
 * @ref:  the object, from a word that may have changed meanwhile
 * @map:  filled
 *
 * The pin is an atomic read-modify-write of sequential consistency; the owner
 * must then load its word again, with sequential consistency, and may use
 * @map->bytes only if the word still names @ref. From then on the bytes stay
 * as they are until uz_pool_unmap(), however long that takes: the holder may
 * sleep.
 *
 * Context: any thread, any number of maps; takes no lock, never waits.
 */
void uz_pool_map(struct uz_pool *pool, uz_ref_t ref, struct uz_map *map);

/**
 * uz_pool_unmap() - drop a pin
 * @pool: the pool
 * @map:  from uz_pool_map()
 *
 * Context: any thread; takes the class lock for a moment only when this was
 *          the last pin that deferred frees waited for.
 */
void uz_pool_unmap(struct uz_pool *pool, const struct uz_map *map);

/**
 * uz_pool_class_size() - bytes that an object of this size takes up
 * @pool: the pool
 * @size: bytes, 1 ... UZ_POOL_MAX_OBJECT
 *
 * Context: any thread.
 * Return:  the size of its class.
 */
uint32_t uz_pool_class_size(const struct uz_pool *pool, uint32_t size);

/**
 * uz_pool_set_limit() - most bytes of arena that stores may use
 * @pool:  the pool
 * @bytes: 0 for no limit; rounded up to a page
 *
 * A limit below what is used now stops growth, nothing else.
 *
 * Context: any thread.
 */
void uz_pool_set_limit(struct uz_pool *pool, uint64_t bytes);

/**
 * uz_pool_trim() - give empty zspages that are kept for reuse to the system
 * @pool: the pool
 *
 * Context: any thread; sleeps.
 */
void uz_pool_trim(struct uz_pool *pool);

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

/**
 * uz_pool_used_bytes() - @used_bytes of uz_pool_stat() alone, at no cost
 * @pool: the pool
 *
 * Context: any thread; one load.
 * Return:  bytes.
 */
uint64_t uz_pool_used_bytes(const struct uz_pool *pool);

/**
 * uz_pool_reset_max() - let max_used_bytes begin again from used_bytes
 * @pool: the pool
 *
 * Context: any thread.
 */
void uz_pool_reset_max(struct uz_pool *pool);

/**
 * uz_pool_check() - are the pool's own structures consistent?
 * @pool: the pool
 * @err:  what is wrong with which zspage; may be NULL
 *
 * Bitmaps against counters, lists against fullness, deferred frees against
 * pins, populated pages against the memfd's own.
 *
 * Context: no other thread changes the pool meanwhile.
 * Return:  0, or -EUCLEAN.
 */
uz_must_check int uz_pool_check(struct uz_pool *pool, struct uz_err *err);

/**
 * uz_pool_for_each() - every live object
 * @pool: the pool
 * @fn:   called with the object's ref, its class size and its owner; a
 *        non-zero return ends the walk
 * @arg:  handed to @fn
 *
 * Context: no other thread changes the pool meanwhile.
 * Return:  0, or what @fn returned.
 */
int uz_pool_for_each(struct uz_pool *pool,
		     int (*fn)(void *arg, uz_ref_t ref, uint32_t class_size,
			       uint32_t owner),
		     void *arg);

#endif
