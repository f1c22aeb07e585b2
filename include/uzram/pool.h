/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_POOL_H
#define UZRAM_POOL_H

#include <uzram/pool/stat.h>
#include <uzram/types.h>
#include <uzram/util/err.h>

/**
 * DOC: the pool
 *
 * Holds objects of 1 ... UZ_POOL_MAX_OBJECT bytes, packed, in a memfd (the
 * *arena*). The arena is cut into *windows* of equal size; a *zspage* is such
 * a window, or of small objects the pages at its start, all its objects of one
 * *size class*. Objects of a zspage lie end to end and may straddle pages: the
 * mapping is contiguous. It is filled from its low end and populated page by
 * page.
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
 *
 * This describes the default backend, *zsmalloc*. Others place objects in
 * other ways, for comparison and for tests; the calls are the same, and what
 * a backend cannot do it says (uz_pool_caps()).
 */

/* A page and its checksum, the largest object there is. */
#define UZ_POOL_MAX_OBJECT 4104

/* Longest name of a backend, without the terminating zero. */
#define UZ_POOL_NAME_MAX 15

/*
 * What a backend can do. All that hold only at the default one:
 *
 * UZ_POOL_LINEAR: an object's bytes lie in a row in this process's memory, so
 * a map has a pointer to them. Otherwise they can only be copied out.
 *
 * UZ_POOL_SLEEP_MAPPED: the holder of a map may do what it likes for as long
 * as it likes. Otherwise it must not sleep, use a codec, or call the pool for
 * anything but uz_pool_view() and uz_pool_unmap() until it has dropped the map.
 *
 * UZ_POOL_COMPACTS: uz_pool_compact() does something.
 */
#define UZ_POOL_LINEAR	     1u
#define UZ_POOL_SLEEP_MAPPED 2u
#define UZ_POOL_COMPACTS     4u

/**
 * uz_pool_backend() - the allocators that a pool may use
 * @nth: 0 is the default one
 *
 * Context: any thread.
 * Return:  its name, or NULL when there are no more.
 */
const char *uz_pool_backend(unsigned int nth);

/**
 * struct uz_pool_config - what is fixed for the life of the arena
 * @backend:      name of the allocator, one of uz_pool_backend()
 * @arena_size:   bytes of address space; a multiple of @window_size, at most
 *                2^44; costs nothing until used
 * @window_size:  bytes, a power of two, 16 ... 64 pages
 * @class_step:   least bytes between size classes, 8 or 16
 * @keep_empty:   bytes of empty, populated zspages kept for reuse before
 *                memory is given back to the system
 * @reserve:      bytes of populated memory to be there for stores whenever the
 *                system may have none; 0: none. See uz_pool_keep()
 * @arena_most:   that uz_pool_grow() may make of @arena_size, as far as there
 *                is address space; less than @arena_size is the same as that
 *
 * Lies in the superblock: whoever adopts the arena must use the same values,
 * except @keep_empty, @reserve and @arena_most. @arena_size may be larger.
 */
struct uz_pool_config {
	char backend[UZ_POOL_NAME_MAX + 1];
	uint64_t arena_size;
	uint32_t window_size;
	uint32_t class_step;
	uint64_t keep_empty;
	uint64_t reserve;
	uint64_t arena_most;
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
 * Return:  0, -EINVAL (bad @config), -ENOTSUP (no such backend), -ENOMEM or
 *          another -errno.
 */
uz_must_check int uz_pool_create(struct uz_pool **pool, int fd,
				 const struct uz_pool_config *config);

/**
 * uz_pool_grow_ready() - have all that a larger arena needs
 * @pool:       the pool; nothing of it moves
 * @arena_size: as in struct uz_pool_config. Less than it is changes nothing
 *
 * Nothing is placed there yet; uz_pool_grow() to that size then does not fail.
 * Context: as uz_pool_grow().
 * Return:  the same.
 */
uz_must_check int uz_pool_grow_ready(struct uz_pool *pool, uint64_t arena_size);

/**
 * uz_pool_grow() - a larger arena, while it is in use
 * @pool:       the pool; nothing of it moves
 * @arena_size: as in struct uz_pool_config. Less than it is changes nothing
 *
 * Whoever adopts the arena must know of the larger size before this is called:
 * from then on objects may lie there.
 *
 * Context: one thread at a time, others use the pool meanwhile.
 * Return:  0; -EINVAL no such size; -ENOMEM beyond @arena_most, or refused by
 *          the system; other -errno. After a failure nothing is placed beyond
 *          the old end.
 */
uz_must_check int uz_pool_grow(struct uz_pool *pool, uint64_t arena_size);

/**
 * uz_pool_caps() - what the pool's backend can do
 * @pool: the pool
 *
 * Context: any thread.
 * Return:  UZ_POOL_LINEAR, ...
 */
unsigned int uz_pool_caps(const struct uz_pool *pool);

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
 * With a reserve, stores of a pool that can do so (the default one) use what is
 * populated already, or else the reserve, as long as there is any; the thread
 * fills it up. It counts as used memory and as empty. At the limit it is used
 * up like any other. Only a store that finds nothing left populates by itself;
 * struct uz_pool_stat counts those. The reserve is there when this returns, if
 * there was memory for it.
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
 * A build with debug checks ends the program when a map is still held.
 *
 * Context: no other thread uses the pool any more; no map is held.
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
 * uz_pool_write() - fill an object that is not published yet
 * @pool: the pool
 * @ref:  from uz_pool_alloc(), and still the caller's alone
 * @at:   first byte to be written
 * @src:  the bytes
 * @len:  how many; @at + @len is at most the object's size
 *
 * Context: any thread; not while a map is held, unless UZ_POOL_SLEEP_MAPPED.
 */
void uz_pool_write(struct uz_pool *pool, uz_ref_t ref, uint32_t at,
		   const void *src, uint32_t len);

/**
 * uz_pool_bytes() - where an object lies
 * @pool: the pool
 * @ref:  any ref within the arena
 *
 * For hints to the CPU, and for objects that are the caller's alone; all
 * others have to be mapped.
 *
 * Context: any thread.
 * Return:  the object's first byte, aligned to 8; NULL unless UZ_POOL_LINEAR.
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
 * uz_pool_spans() - can an object lie there at all?
 * @pool: the pool
 * @ref:  any value
 * @size: bytes, at least 1
 *
 * For whoever has a ref from a word that may be damaged: only what passes may
 * be mapped. Whether there is such an object is not looked at.
 *
 * Context: any thread; takes no lock.
 * Return:  true when it begins within the arena and, where objects' bytes lie
 *          in a row, ends there as well.
 */
bool uz_pool_spans(const struct uz_pool *pool, uz_ref_t ref, uint32_t size);

/**
 * uz_pool_holds() - does this very object lie there?
 * @pool:  the pool
 * @ref:   any value
 * @size:  any value; as given to uz_pool_alloc(), or another of its class
 * @owner: as given to uz_pool_alloc()
 *
 * Context: any thread; takes the class lock for a moment.
 * Return:  true when it does, and was not freed.
 */
bool uz_pool_holds(struct uz_pool *pool, uz_ref_t ref, uint32_t size,
		   uint32_t owner);

/**
 * uz_pool_free_if() - free an object if it is what the owner thinks it is
 * @pool:  the pool
 * @ref:   any value, otherwise as for uz_pool_free()
 * @size:  any value; as given to uz_pool_alloc(), or another of its class
 * @owner: as given to uz_pool_alloc()
 *
 * As uz_pool_free(), for whoever has @ref from a word that may be damaged.
 * All is compared before anything is changed.
 *
 * Context: as uz_pool_free().
 * Return:  true if it was freed; false when no such object lies there, or it
 *          was freed before: nothing has changed.
 */
bool uz_pool_free_if(struct uz_pool *pool, uz_ref_t ref, uint32_t size,
		     uint32_t owner);

/**
 * struct uz_map - a pin on the place of one object
 * @bytes: the object's first byte; meaningful once the owner's word was read
 *         again and still names the object. NULL unless UZ_POOL_LINEAR
 * @ref:   the object
 * @since: private: when it was mapped
 * @token: private: what it is known by in a build with debug checks
 * @pin:   private to the backend
 *
 * A plain value, released exactly once: in any order and by any thread if
 * UZ_POOL_SLEEP_MAPPED, otherwise by the thread that mapped.
 */
struct uz_map {
	const void *bytes;
	uz_ref_t ref;
	uint64_t since;
	uint64_t token;
	uint32_t pin;
};

/**
 * uz_pool_map_by() - pin an object's place
 * @pool: the pool
 * @ref:  the object, from a word that may have changed meanwhile; if the word
 *        may be damaged, uz_pool_spans() was asked
 * @map:  filled
 * @who:  the function that maps, for messages about maps that are misused; a
 *        string that lives as long as the program
 *
 * The pin is an atomic read-modify-write of sequential consistency; the owner
 * must then load its word again, with sequential consistency, and may use
 * the object only if the word still names @ref. From then on the bytes stay
 * as they are until uz_pool_unmap(), however long that takes: the holder may
 * sleep, if UZ_POOL_SLEEP_MAPPED.
 *
 * Context: any thread, any number of maps; takes no lock, never waits, if
 *          UZ_POOL_SLEEP_MAPPED; otherwise one map at a time and it may wait
 *          for another thread's.
 */
void uz_pool_map_by(struct uz_pool *pool, uz_ref_t ref, struct uz_map *map,
		    const char *who);

/* Map in the name of the calling function. */
#define uz_pool_map(pool, ref, map) uz_pool_map_by(pool, ref, map, __func__)

/**
 * uz_pool_view() - the bytes of a mapped object
 * @pool: the pool
 * @map:  the owner's word was read again and still names the object
 * @len:  bytes wanted, from the first; at most the object's size
 * @copy: at least @len bytes
 *
 * For those who use any backend: works on every one.
 *
 * Context: any thread; sleeps for nothing.
 * Return:  @len bytes in a row: the object's own, valid until
 *          uz_pool_unmap(), or @copy, filled. NULL: no object of so many
 *          bytes lies there, so the owner's word is damaged. Where bytes lie
 *          in a row this is not noticed: the answer is then what lies there.
 */
const void *uz_pool_view(struct uz_pool *pool, const struct uz_map *map,
			 uint32_t len, void *copy);

/**
 * uz_pool_unmap_by() - drop a pin
 * @pool: the pool
 * @map:  from uz_pool_map()
 * @who:  the function that releases it, as for uz_pool_map_by()
 *
 * A build with debug checks ends the program when @map was released before or
 * never came from this pool, and says who mapped what, and who released it.
 *
 * Context: any thread; takes the class lock for a moment only when this was
 *          the last pin that deferred frees waited for.
 */
void uz_pool_unmap_by(struct uz_pool *pool, const struct uz_map *map,
		      const char *who);

/* Unmap in the name of the calling function. */
#define uz_pool_unmap(pool, map) uz_pool_unmap_by(pool, map, __func__)

/* ---- compaction ---- */

/**
 * typedef uz_pool_relocate - move one object, if it is still there
 * @arg:   as given to uz_pool_compact()
 * @owner: as given to uz_pool_alloc()
 * @from:  the object; its place is pinned during the call
 * @to:    room of the same class, the caller's alone
 *
 * If the owner's word names @from (read after the pin, with sequential
 * consistency): copy the object with uz_pool_copy() and put @to in the word
 * by compare-and-swap of sequential consistency. The object behind @from may
 * also be one that was not published yet or not any more; then it must not
 * even be read.
 *
 * Context: the thread that compacts; locks of the pool are held, but none that
 *          a map, an unmap or a free waits for. Calls nothing of the pool but
 *          uz_pool_copy(), and takes no lock; short.
 * Return:  true when the word names @to now: the pool then frees @from.
 *          Otherwise the pool takes @to back.
 */
typedef bool uz_pool_relocate(void *arg, uint32_t owner, uz_ref_t from,
			      uz_ref_t to);

/**
 * uz_pool_copy() - copy an object from one place to another
 * @pool: the pool
 * @from: pinned, and named by its owner
 * @to:   the caller's alone
 * @len:  bytes
 *
 * Context: any thread; only for pools with UZ_POOL_COMPACTS.
 */
void uz_pool_copy(struct uz_pool *pool, uz_ref_t from, uz_ref_t to,
		  uint32_t len);

/**
 * enum uz_pool_compact_scope - how far compaction is to go
 * @UZ_POOL_COMPACT_ALL:        until nothing more can be gained
 * @UZ_POOL_COMPACT_FRAGMENTED: only in classes whose waste is above the
 *                              threshold at which the pool gives notice
 */
enum uz_pool_compact_scope {
	UZ_POOL_COMPACT_ALL,
	UZ_POOL_COMPACT_FRAGMENTED,
};

/**
 * struct uz_pool_compaction - what compaction did; added to, never cleared
 * @pages:     given back
 * @objects:   moved
 * @pinned:    zspages passed over because somebody had them mapped
 * @contended: classes passed over because somebody held their lock
 * @busy:      objects left where they were: their owner changed its mind
 */
struct uz_pool_compaction {
	uint64_t pages;
	uint64_t objects;
	uint64_t pinned;
	uint64_t contended;
	uint64_t busy;
};

/**
 * uz_pool_compact() - move objects together and give back the memory gained
 * @pool:     the pool
 * @scope:    how far to go
 * @budget:   most objects to move in this call
 * @relocate: changes the owner's word
 * @arg:      handed to @relocate
 * @done:     added to
 *
 * Object by object, from the emptiest zspages into the fullest, the class
 * that wastes most first. Waits for nobody: a zspage that is pinned and a
 * class whose lock is taken are passed over and counted; the rest goes on.
 * Everything else goes on meanwhile. Works at the memory limit: it never
 * takes memory.
 *
 * Context: any thread, one at a time (a second one waits for a call's end);
 *          takes class locks for moments; sleeps.
 * Return:  true when another call would find more to do now.
 */
bool uz_pool_compact(struct uz_pool *pool, enum uz_pool_compact_scope scope,
		     uint32_t budget, uz_pool_relocate *relocate, void *arg,
		     struct uz_pool_compaction *done);

/**
 * uz_pool_on_fragmented() - be told when compaction is worth while
 * @pool: the pool, not in use by another thread yet
 * @fn:   called by whoever frees an object so that its class's waste passes
 *        the threshold, once until that class was compacted; without locks of
 *        the pool, and must be short. NULL: nobody
 * @arg:  handed to @fn
 *
 * What compaction had to leave, because it was pinned, gives no notice a
 * second time: who wants that memory compacts again later.
 *
 * Context: before the pool is used by several threads.
 */
void uz_pool_on_fragmented(struct uz_pool *pool, void (*fn)(void *arg),
			   void *arg);

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
 * uz_pool_on_mark() - be told when much memory is in use
 * @pool: the pool
 * @fn:   called by whoever takes memory so that the mark is reached from below;
 *        with locks of the pool held, so it may take leaf locks only, and must
 *        be short
 * @arg:  handed to @fn
 *
 * Context: before the pool is used by several threads.
 */
void uz_pool_on_mark(struct uz_pool *pool, void (*fn)(void *arg), void *arg);

/**
 * uz_pool_set_mark() - how much is much
 * @pool:  the pool; uz_pool_on_mark() was called unless @bytes is 0
 * @bytes: of arena in use; 0: no notice
 *
 * Who sets a mark below what is used gets no notice of that.
 *
 * Context: any thread.
 */
void uz_pool_set_mark(struct uz_pool *pool, uint64_t bytes);

/**
 * uz_pool_trim() - give empty zspages that are kept for reuse to the system
 * @pool: the pool
 *
 * All but the reserve.
 *
 * Context: any thread; sleeps.
 */
void uz_pool_trim(struct uz_pool *pool);

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
 * typedef uz_pool_visit - what uz_pool_for_each() calls
 * @arg:        as given
 * @ref:        the object
 * @class_size: bytes that it takes up
 * @owner:      as given to uz_pool_alloc()
 *
 * Context: as uz_pool_for_each().
 * Return:  0 to go on.
 */
typedef int uz_pool_visit(void *arg, uz_ref_t ref, uint32_t class_size,
			  uint32_t owner);

/**
 * uz_pool_for_each() - every live object
 * @pool: the pool
 * @fn:   a return other than 0 ends the walk
 * @arg:  handed to @fn
 *
 * Context: no other thread changes the pool meanwhile.
 * Return:  0, or what @fn returned.
 */
int uz_pool_for_each(struct uz_pool *pool, uz_pool_visit *fn, void *arg);

#endif
