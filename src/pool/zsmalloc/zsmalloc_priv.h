/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_ZSMALLOC_PRIV_H
#define UZRAM_ZSMALLOC_PRIV_H

#include <pthread.h>

#include "../backend.h"
#include "../pin.h"
#include <uzram/util/reserve.h>

/*
 * What the files of this backend share. The life of a window:
 *
 *   untouched   never used; from store.bump on
 *   private     one thread holds it, nobody else knows it
 *   live        has a class: a zspage, listed there or isolated
 *   private     emptied
 *   kept, free  in a list of the store, with or without memory; then private
 *               again
 *
 * Who may touch a descriptor: a live one whoever holds its class's lock, a
 * kept or free one whoever holds the store's lock, a private one its thread.
 * Two fields are open to all: @pins, and @class for reading. @remembered is the
 * keeper's.
 *
 * Locks, in order: compacting (as long as a compaction takes),
 * huge.collapsing (as long as a huge page takes), keeper.work (long, over
 * system calls), a class's lock (short), store.give (long),
 * store.lock (short), keeper.sleep. A class's lock and store.lock are the
 * innermost of their paths: no other lock, system call, page fault or malloc
 * happens under them.
 */

#define UZ__NONE	UINT32_MAX /* no window */
#define UZ__NO_INDEX	UINT16_MAX /* end of a list of deferred frees */
#define UZ__MAX_OBJECTS 512u /* in a zspage, so that its bitmap is 64 bytes */
#define UZ__MAX_PAGES	64u /* in a window, so that a word has a bit for each */
#define UZ__NOT_AHEAD	UZ__MAX_PAGES
#define UZ__SIZES	((UZ_POOL_MAX_OBJECT + UZ_REF_UNIT - 1) / UZ_REF_UNIT + 1)

/*
 * Which list a descriptor is in. A zspage that is not full is in one of the
 * groups if its lowest free place lies in pages that it holds already (the
 * group says how full it is), and otherwise in UZ__LIST_GROWING.
 */
#define UZ__GROUPS	 ((unsigned int)UZ_POOL_GROUPS)
#define UZ__LIST_GROWING UZ__GROUPS
#define UZ__LIST_FULL	 (UZ__GROUPS + 1)
#define UZ__CLASS_LISTS	 (UZ__GROUPS + 2)
#define UZ__LIST_NONE	 (UZ__GROUPS + 2) /* private, or isolated */
#define UZ__LIST_FREE	 (UZ__GROUPS + 3) /* no memory */
#define UZ__LIST_KEPT	 (UZ__GROUPS + 4) /* empty, but with its memory */

/**
 * struct uz__block - what a live zspage knows of its objects
 * @used:  a bit for each object; set until a deferred free is done, too
 * @owner: by index; of an object whose free is deferred: the next such index
 */
struct uz__block {
	uint64_t used[UZ__MAX_OBJECTS / 64];
	uint32_t owner[];
};

/**
 * struct uz__zspage - descriptor of a window; never freed, one cache line
 * @pins:        open to all; outlives every change of class (pin.h)
 * @held:        pages of the window that count as used memory
 * @ready:       those of them that are known to be populated
 * @block:       of a live zspage
 * @next, @prev: neighbours in the list @list
 * @class:       0: not live. Written under the class's lock (and by adoption)
 * @nr_used:     bits set in @block->used
 * @nr_deferred: how many of these are freed and wait for pins
 * @first_free:  the lowest clear bit, or the class's number of objects
 * @waiting:     deferred frees that wait for the old epoch's count
 * @following:   deferred frees that wait for their turn to become @waiting
 * @isolated:    how many threads keep it off the lists, so that nothing is
 *               allocated in it while they work on its pages
 * @filling:     how many threads, stores and the keeper, populate pages of it,
 *               or make a huge page where it lies:
 *               none is given back, and it stays in its class even when it
 *               becomes empty. Pages held and not ready exist only meanwhile,
 *               or because the system refused to take them back
 * @list:        UZ__LIST_*
 * @passed:      the compaction that passed over it in the list it is in
 * @ahead:       from this page on no object lies in it, and what it holds was
 *               populated ahead by the keeper; UZ__NOT_AHEAD: nothing was
 * @remembered:  the keeper has it in its ring, whatever becomes of it. Only
 *               keeper.work guards this
 */
struct uz__zspage {
	_Alignas(UZ_CACHELINE) _Atomic uint64_t pins;
	uint64_t held;
	uint64_t ready;
	struct uz__block *block;
	uint32_t next;
	uint32_t prev;
	uint32_t passed;
	_Atomic uint16_t class;
	uint16_t nr_used;
	uint16_t nr_deferred;
	uint16_t first_free;
	uint16_t waiting;
	uint16_t following;
	uint16_t isolated;
	uint16_t filling;
	uint8_t list;
	uint8_t ahead;
	bool remembered;
};

_Static_assert(sizeof(struct uz__zspage) == UZ_CACHELINE, "one cache line");

/**
 * struct uz__class - all zspages with objects of one size
 * @lock:        of everything below @group_scale and of its live zspages
 * @size:        bytes of an object
 * @reciprocal:  divides an offset in a zspage by @size
 * @objects:     in a zspage
 * @pages:       of a zspage: the window's unless @objects is UZ__MAX_OBJECTS
 * @group_scale: turns a number of used objects into a group
 * @occupied:    a bit for each list that is not empty
 * @head:        of the lists
 * @nr_zspages:  live
 * @nr_deferred: deferred frees
 * @enough:      with fewer objects it is fragmented and nobody was told yet
 * @left:        pages that the last compaction could not gain
 * @nr_used:     objects, deferred frees included
 * @held:        pages of its live zspages
 * @ahead:       of these, those that the keeper populated and no object uses
 * @fragmented:  it was found to be so, and was not compacted since
 *
 * The last four are written under @lock and read without it to find the
 * classes that are worth a look. Relaxed suffices: they are looked at again
 * under the lock, and nothing else is read because of them.
 */
struct uz__class {
	_Alignas(UZ_CACHELINE) struct uz_lock lock;
	uint32_t size;
	uint32_t reciprocal;
	uint16_t objects;
	uint16_t pages;
	uint32_t group_scale;
	uint32_t occupied;
	uint32_t head[UZ__CLASS_LISTS];
	uint64_t nr_zspages;
	uint64_t nr_deferred;
	uint64_t enough;
	uint64_t left;
	_Atomic uint64_t nr_used;
	_Atomic uint64_t held;
	_Atomic uint64_t ahead;
	_Atomic bool fragmented;
};

/**
 * struct uz__store - the windows that no class has (window.c)
 * @give:       held by the one thread that gives memory back
 * @lock:       of all below
 * @kept_pages: pages held by the kept windows; may be read without the lock
 * @kept, @free: heads of the lists, last in first out
 * @nr_kept, @nr_free: their lengths
 * @bump:       windows from here on were never used
 * @nr_got:     windows handed out so far; may be read without the lock
 * @blocks:     bookkeeping in stock (block.c), and how much of it
 * @missed:     stores that had to populate in spite of a reserve; no lock
 */
struct uz__store {
	struct uz_lock give;
	struct uz_lock lock;
	_Atomic uint64_t kept_pages;
	uint32_t kept;
	uint32_t free;
	uint32_t nr_kept;
	uint32_t nr_free;
	uint32_t bump;
	_Atomic uint32_t nr_got;
	uint32_t nr_blocks;
	void *blocks;
	_Atomic uint64_t missed;
};

#define UZ__HINTS 256u /* a power of two */
#define UZ__AHEAD 1024u

/**
 * struct uz__keeper - the thread that populates ahead of use (keeper.c)
 * @running: the thread exists
 * @thread:  if so, this
 * @work:    held while pages are populated ahead or taken back
 * @sleep:   of @wake and @stop
 * @wake:    there is a hint, or an end
 * @stop:    the thread is to end
 * @asleep:  whoever leaves a hint has to wake it
 * @next:    hints left so far
 * @hints:   windows that grew, plus one; 0: none. Old ones are overwritten
 * @ahead:   windows that were grown ahead, each once, oldest first; a ring.
 *           @work
 * @first:   oldest entry of @ahead. @work
 * @nr:      entries of @ahead. @work
 * @nr_got:  windows that had been handed out when it looked last
 */
struct uz__keeper {
	bool running;
	pthread_t thread;
	struct uz_lock work;
	struct uz_lock sleep;
	pthread_cond_t wake;
	_Atomic bool stop;
	_Alignas(UZ_CACHELINE) _Atomic bool asleep;
	_Atomic uint32_t next;
	_Atomic uint32_t hints[UZ__HINTS];
	uint32_t ahead[UZ__AHEAD];
	uint32_t first;
	uint32_t nr;
	uint32_t nr_got;
};

/**
 * struct uz__region - as many windows as a huge page is long (huge.c)
 * @since: milliseconds; when a zspage of it became whole, or it was taken apart
 * @state: whether it may have become whole, whether it is a huge page
 * @tries: how often it was made one, or could not. huge.collapsing
 */
struct uz__region {
	_Atomic uint32_t since;
	_Atomic uint8_t state;
	uint8_t tries;
};

/**
 * struct uz__huge - huge pages of zspages
 * @collapsing: held by the one thread that makes them
 * @regions:    by number
 * @map:        where they lie
 * @next:       where the search goes on. @collapsing
 * @nr:         regions that are huge pages
 * @news:       a region may have become whole and nobody was told
 */
struct uz__huge {
	struct uz_lock collapsing;
	struct uz__region *regions;
	struct uz_reserve map;
	uint32_t next;
	_Atomic uint64_t nr;
	_Atomic bool news;
};

/**
 * struct uz__zs - a pool of this backend
 * @base:         what all backends have
 * @zspages:      descriptors, by window
 * @descriptors:  where they lie
 * @ref_shift:    a ref shifted right by this is its window
 * @nr_classes:   entries of @classes; the first is no class
 * @class_of:     the class for so many units of UZ_REF_UNIT, rounded up
 * @store:        spare windows
 * @keeper:       populates ahead
 * @huge:         makes huge pages
 * @compacting:   held by the one thread that compacts
 * @passes:       compactions so far. @compacting
 * @classes:      by number, in order of size (class.c)
 */
struct uz__zs {
	struct uz_pool base;
	struct uz__zspage *zspages;
	struct uz_reserve descriptors;
	unsigned int ref_shift;
	unsigned int nr_classes;
	uint16_t class_of[UZ__SIZES];
	_Alignas(UZ_CACHELINE) struct uz__store store;
	struct uz__keeper keeper;
	struct uz__huge huge;
	struct uz_lock compacting;
	uint32_t passes;
	struct uz__class classes[];
};

static inline struct uz__zs *uz__zs(struct uz_pool *pool)
{
	return (struct uz__zs *)pool;
}

/* Of populated memory that is to be ready for stores. */
static inline uint64_t uz__reserve_pages(const struct uz__zs *pool)
{
	return pool->base.config.reserve / UZ_PAGE_SIZE;
}

/* How many windows the arena has. */
static inline uint32_t uz__nr_windows(const struct uz__zs *pool)
{
	return (uint32_t)(uz__arena_end(&pool->base) >> pool->ref_shift);
}

static inline uint32_t uz__ref_window(const struct uz__zs *pool, uz_ref_t ref)
{
	return (uint32_t)(ref >> pool->ref_shift);
}

/* The byte offset of an object in its window. */
static inline uint32_t uz__ref_offset(const struct uz__zs *pool, uz_ref_t ref)
{
	return (uint32_t)(ref & ((UINT64_C(1) << pool->ref_shift) - 1)) *
	       UZ_REF_UNIT;
}

/* The byte offset of a window in the arena. */
static inline uint64_t uz__window_offset(const struct uz__zs *pool,
					 uint32_t window)
{
	return (uint64_t)window << pool->ref_shift << 3;
}

static inline uint32_t uz__zspage_window(const struct uz__zs *pool,
					 const struct uz__zspage *z)
{
	return (uint32_t)(z - pool->zspages);
}

static inline unsigned int uz__pages_count(uint64_t pages)
{
	return (unsigned int)__builtin_popcountll(pages);
}

/* A number that is written under a lock and may be read without it. */
static inline uint64_t uz__number(const _Atomic uint64_t *number)
{
	return atomic_load_explicit(number, memory_order_relaxed);
}

/* Under the lock, so that no read-modify-write is needed. */
static inline void uz__number_add(_Atomic uint64_t *number, int64_t by)
{
	atomic_store_explicit(number, uz__number(number) + (uint64_t)by,
			      memory_order_relaxed);
}

/* class.c */
uint32_t uz__class_above(const struct uz_pool_config *config, uint32_t size);
void uz__class_init(struct uz__class *c, uint32_t size, uint32_t window_size);
void uz__class_fini(struct uz__class *c);
uint64_t uz__class_need(const struct uz__class *c, uint64_t objects);
uint64_t uz__class_room(const struct uz__class *c, uint64_t pages);
uint64_t uz__class_gain(const struct uz__class *c);
uint64_t uz__class_tolerated(const struct uz__class *c);
void uz__class_hold(struct uz__class *c, int64_t held, int64_t ahead);
bool uz__class_turned(struct uz__class *c);
void uz__class_compacted(struct uz__class *c, uint64_t left);

static inline unsigned int uz__class_number(const struct uz__zs *pool,
					    uint32_t size)
{
	return pool->class_of[(size + UZ_REF_UNIT - 1) / UZ_REF_UNIT];
}

/* Exact for every offset in a window at which an object begins. */
static inline unsigned int uz__class_index(const struct uz__class *c,
					   uint32_t offset)
{
	return (unsigned int)((uint64_t)offset * c->reciprocal >> 32);
}

/* The pages that an object lies in, a bit for each. */
static inline uint64_t uz__class_pages(const struct uz__class *c,
				       unsigned int index)
{
	uint32_t first = index * c->size / UZ_PAGE_SIZE;
	uint32_t last = (index * c->size + c->size - 1) / UZ_PAGE_SIZE;

	return (UINT64_C(2) << last) - (UINT64_C(1) << first);
}

/* The ref of a place. */
static inline uz_ref_t uz__zspage_ref(const struct uz__zs *pool,
				      const struct uz__class *c,
				      const struct uz__zspage *z,
				      unsigned int index)
{
	return (uz__window_offset(pool, uz__zspage_window(pool, z)) +
		index * c->size) /
	       UZ_REF_UNIT;
}

/* The pages up to the last of @pages. */
static inline uint64_t uz__pages_span(uint64_t pages)
{
	return pages ? UINT64_MAX >> __builtin_clzll(pages) : 0;
}

/* The pages that it holds ahead of use. */
static inline uint64_t uz__zspage_ahead(const struct uz__zspage *z)
{
	return z->ahead == UZ__NOT_AHEAD ? 0 : z->held & UINT64_MAX << z->ahead;
}

/* block.c */
size_t uz__block_size(const struct uz__zs *pool, const struct uz__class *c);
size_t uz__block_stocked(const struct uz__zs *pool);
struct uz__block *uz__block_get(struct uz__zs *pool, const struct uz__class *c);
void uz__block_put(struct uz__zs *pool, struct uz__block *block);
void uz__block_stock(struct uz__zs *pool, uint32_t nr);
void uz__block_fini(struct uz__zs *pool);

/*
 * zspage.c; the class's lock is held, but for retire, each_run, punch and
 * populate; surrender and filled release it
 */
void uz__zspage_open(struct uz__zs *pool, unsigned int class,
		     struct uz__zspage *z, struct uz__block *block);
void uz__zspage_hold(struct uz__class *c, struct uz__zspage *z, uint64_t pages,
		     unsigned int ahead);
void uz__zspage_take(struct uz__class *c, struct uz__zspage *z,
		     unsigned int index, uint32_t owner);
void uz__zspage_put(struct uz__class *c, struct uz__zspage *z,
		    unsigned int index);
unsigned int uz__zspage_next_free(const struct uz__class *c,
				  const struct uz__zspage *z,
				  unsigned int from);
unsigned int uz__zspage_list(const struct uz__class *c,
			     const struct uz__zspage *z);
uint64_t uz__zspage_in_use(const struct uz__class *c,
			   const struct uz__zspage *z);
void uz__zspage_isolate(struct uz__zs *pool, struct uz__class *c,
			struct uz__zspage *z);
struct uz__block *uz__zspage_settle(struct uz__zs *pool, struct uz__class *c,
				    struct uz__zspage *z);
void uz__zspage_retire(struct uz__zs *pool, struct uz__zspage *z,
		       struct uz__block *block);
uint64_t uz__zspage_idle(const struct uz__zspage *z, uint64_t pages);
void uz__zspage_filled(struct uz__zs *pool, struct uz__class *c,
		       struct uz__zspage *z, uint64_t pages);
bool uz__zspage_surrender(struct uz__zs *pool, struct uz__class *c,
			  struct uz__zspage *z, uint64_t pages);
int uz__zspage_each_run(struct uz__zs *pool, const struct uz__zspage *z,
			uint64_t pages,
			int (*call)(const struct uz_shm *shm, size_t off,
				    size_t len));
int uz__zspage_punch(struct uz__zs *pool, const struct uz__zspage *z,
		     uint64_t pages);
int uz__zspage_populate(struct uz__zs *pool, const struct uz__zspage *z,
			uint64_t pages);

/* list.c */
static inline uint32_t uz__list_next(const struct uz__zs *pool, uint32_t head,
				     uint32_t window)
{
	uint32_t next = pool->zspages[window].next;

	return next == head ? UZ__NONE : next;
}

void uz__list_push(struct uz__zs *pool, uint32_t *head, struct uz__zspage *z);
void uz__list_remove(struct uz__zs *pool, uint32_t *head, struct uz__zspage *z);
void uz__list_last(struct uz__zs *pool, uint32_t *head, struct uz__zspage *z);

/* free.c; the class's lock is held, but for tell */
void uz__free_drain(struct uz__class *c, struct uz__zspage *z);
void uz__free_place(struct uz__class *c, struct uz__zspage *z,
		    unsigned int index);
void uz__free_tell(struct uz__zs *pool, bool fragmented);

/**
 * struct uz__mover - who moves objects (move.c)
 * @pool:     of this pool
 * @relocate: the owner's part
 * @arg:      handed to @relocate
 * @done:     counts
 */
struct uz__mover {
	struct uz__zs *pool;
	uz_pool_relocate *relocate;
	void *arg;
	struct uz_pool_compaction *done;
};

#define UZ__MOVES 16u /* objects moved between two holds of a class's lock */

/* move.c; the class's lock is held, but released by batch */
unsigned int uz__move_batch(const struct uz__mover *mover, struct uz__class *c,
			    struct uz__zspage *from, unsigned int max);
uint64_t uz__move_span(const struct uz__class *c, const struct uz__zspage *z);

/* The operations: alloc.c, free.c, pin.c, adopt.c, window.c, check.c, ... */
int uz__zs_keep(struct uz_pool *base);
int uz__zs_adopt_object(struct uz_pool *base, uz_ref_t ref, uint32_t size,
			uint32_t owner);
int uz__zs_adopt_end(struct uz_pool *base);
int uz__zs_alloc(struct uz_pool *base, uint32_t size, uint32_t owner,
		 unsigned int flags, uz_ref_t *ref);
bool uz__zs_holds(struct uz_pool *base, uz_ref_t ref, uint32_t size,
		  uint32_t owner);
bool uz__zs_free(struct uz_pool *base, uz_ref_t ref, uint32_t size,
		 uint32_t owner);
void uz__zs_map(struct uz_pool *base, struct uz_map *map);
void uz__zs_prefetch(const struct uz_pool *base, uz_ref_t ref);
void uz__zs_unmap(struct uz_pool *base, const struct uz_map *map);
uint32_t uz__zs_class_size(const struct uz_pool *base, uint32_t size);
void uz__zs_trim(struct uz_pool *base);
void uz__zs_stat(struct uz_pool *base, struct uz_pool_stat *stat);
bool uz__zs_class_stat(struct uz_pool *base, unsigned int nth,
		       struct uz_pool_class_stat *stat);
bool uz__zs_compact(struct uz_pool *base, enum uz_pool_compact_scope scope,
		    uint32_t budget, uz_pool_relocate *relocate, void *arg,
		    struct uz_pool_compaction *done);
int uz__zs_collapse(struct uz_pool *base, uint32_t *wait_ms);
int uz__zs_check(struct uz_pool *base, struct uz_err *err);
int uz__zs_for_each(struct uz_pool *base, uz_pool_visit *fn, void *arg);

/* keeper.c */
void uz__keeper_init(struct uz__zs *pool);
void uz__keeper_fini(struct uz__zs *pool);
void uz__keeper_hint(struct uz__zs *pool, const struct uz__zspage *z);
bool uz__keeper_release(struct uz__zs *pool);

/* huge.c; for note the class's lock is held, for the others none */
int uz__huge_init(struct uz__zs *pool, const struct uz_pool_config *config);
int uz__huge_grow(struct uz__zs *pool, uint64_t arena_size);
void uz__huge_fini(struct uz__zs *pool);
void uz__huge_touch(struct uz__zs *pool, const struct uz__zspage *z);
void uz__huge_note(struct uz__zs *pool, const struct uz__zspage *z);
void uz__huge_tell(struct uz__zs *pool);
void uz__huge_split(struct uz__zs *pool, const struct uz__zspage *z);
uint64_t uz__huge_bytes(const struct uz__zs *pool);
size_t uz__huge_meta(const struct uz__zs *pool);

/* window.c */
void uz__window_init(struct uz__zs *pool);
void uz__window_fini(struct uz__zs *pool);
struct uz__zspage *uz__window_get(struct uz__zs *pool, unsigned int pages,
				  bool ready);
void uz__window_put(struct uz__zs *pool, struct uz__zspage *z);
void uz__window_fill(struct uz__zs *pool, unsigned int nr);
bool uz__window_give_back(struct uz__zs *pool);
bool uz__window_short(const struct uz__zs *pool);
bool uz__window_denied(const struct uz__zs *pool);

#endif
