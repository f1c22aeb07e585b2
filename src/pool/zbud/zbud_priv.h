/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_ZBUD_PRIV_H
#define UZRAM_ZBUD_PRIV_H

#include "../backend.h"
#include "../pin.h"
#include <uzram/util/reserve.h>

/*
 * What the files of the backends zbud and z3fold share. A page of the arena
 * has up to three places, measured in chunks of 64 bytes: the first begins
 * where the page begins, the last ends where it ends, and the middle one
 * (z3fold alone) lies between two others when it is taken.
 *
 * An object larger than a page takes all of one page, as its first place, and
 * the first chunk of the next page, where a place of its own (UZ__BUD_TAIL)
 * stands for it.
 *
 * The life of a page:
 *
 *   untouched   never used; from bump on
 *   private     one thread populates it or gives it back; in no list
 *   live        has a place that is taken; listed by its free chunks
 *   kept, free  empty, with or without memory
 *
 * Descriptors but their @pins are touched under the pool's one lock, which is
 * held for moments: no system call, page fault of the arena or malloc happens
 * under it. Of a private page only @held and @ready belong to its thread.
 */

#define UZ__BUD_CHUNK  64u
#define UZ__BUD_CHUNKS (UZ_PAGE_SIZE / UZ__BUD_CHUNK) /* 64 */
#define UZ__BUD_NONE   UINT32_MAX /* no page */

/* Lists of pages: 0 ... 63 live, by the largest run of free chunks. */
#define UZ__BUD_KEPT	  64u /* empty, charged */
#define UZ__BUD_KEPT_PAIR 65u /* and the next page's first chunk is free */
#define UZ__BUD_FREE	  66u /* empty, without memory */
#define UZ__BUD_FREE_PAIR 67u /* and the next page's first chunk is free */
#define UZ__BUD_LISTS	  68u
#define UZ__BUD_PRIVATE	  68u /* in none */

/* Places of a page. */
enum {
	UZ__BUD_FIRST,
	UZ__BUD_MIDDLE,
	UZ__BUD_LAST,
	UZ__BUD_PLACES,
};

/**
 * enum uz__bud_state - what a place is used for
 * @UZ__BUD_EMPTY:     nothing
 * @UZ__BUD_LIVE:      an object
 * @UZ__BUD_WAITING:   an object that is freed, waiting for the old epoch's pins
 * @UZ__BUD_FOLLOWING: an object that is freed, to become waiting next
 * @UZ__BUD_TAIL:      the end of the object that takes all of the page before
 */
enum uz__bud_state {
	UZ__BUD_EMPTY,
	UZ__BUD_LIVE,
	UZ__BUD_WAITING,
	UZ__BUD_FOLLOWING,
	UZ__BUD_TAIL,
};

/**
 * struct uz__bud_place - one place
 * @owner:  of the object
 * @start:  its first chunk
 * @chunks: its length; 65 for an object that goes on in the next page
 * @state:  enum uz__bud_state
 */
struct uz__bud_place {
	uint32_t owner;
	uint8_t start;
	uint8_t chunks;
	uint8_t state;
};

/**
 * struct uz__bud_page - descriptor of a page; never freed, one cache line
 * @pins:  open to all; outlives every use of the page (pin.h)
 * @next, @prev: neighbours in the list @list
 * @place: its places
 * @list:  0 ... UZ__BUD_PRIVATE
 * @held:  charged
 * @ready: populated; implies @held
 */
struct uz__bud_page {
	_Alignas(UZ_CACHELINE) _Atomic uint64_t pins;
	uint32_t next;
	uint32_t prev;
	struct uz__bud_place place[UZ__BUD_PLACES];
	uint8_t list;
	bool held;
	bool ready;
};

/**
 * struct uz__bud - a pool of this backend
 * @base:        what all backends have
 * @pages:       descriptors
 * @descriptors: where they lie; in memory where they were touched
 * @middle:      pages have a middle place
 * @give:        held by the one thread that gives memory back; taken before
 *               @lock
 * @lock:        of all below
 * @bump:        pages from here on are untouched
 * @live_lists:  a bit for each list of live pages that is not empty
 * @head:        of the lists
 * @nr_live:     live pages
 * @nr_full:     of these, those without a free chunk
 * @nr_kept:     kept pages
 * @objects:     live ones
 * @chunks:      that they take up
 * @deferred:    frees that wait for pins
 * @deferred_chunks: that these take up
 */
struct uz__bud {
	struct uz_pool base;
	struct uz__bud_page *pages;
	struct uz_reserve descriptors;
	bool middle;
	struct uz_lock give;
	_Alignas(UZ_CACHELINE) struct uz_lock lock;
	uint32_t bump;
	uint64_t live_lists;
	uint32_t head[UZ__BUD_LISTS];
	uint64_t nr_live;
	uint64_t nr_full;
	uint64_t nr_kept;
	uint64_t objects;
	uint64_t chunks;
	uint64_t deferred;
	uint64_t deferred_chunks;
};

static inline struct uz__bud *uz__bud(struct uz_pool *base)
{
	return (struct uz__bud *)base;
}

static inline uint32_t uz__bud_chunks(uint32_t size)
{
	return (size + UZ__BUD_CHUNK - 1) / UZ__BUD_CHUNK;
}

/* Pages of the arena that may be used. */
static inline uint32_t uz__bud_nr_pages(const struct uz__bud *pool)
{
	uint64_t nr = uz__arena_pages(&pool->base);

	return nr > UZ__BUD_NONE ? UZ__BUD_NONE : (uint32_t)nr;
}

static inline uint32_t uz__bud_ref_page(uz_ref_t ref)
{
	return (uint32_t)(ref / (UZ_PAGE_SIZE / UZ_REF_UNIT));
}

static inline uz_ref_t uz__bud_ref(uint32_t page, unsigned int chunk)
{
	return ((uint64_t)page * UZ_PAGE_SIZE + chunk * UZ__BUD_CHUNK) /
	       UZ_REF_UNIT;
}

static inline bool uz__bud_is_spare(const struct uz__bud_page *p)
{
	return p->list >= UZ__BUD_KEPT && p->list <= UZ__BUD_FREE_PAIR;
}

/* page.c; the pool's lock is held */
bool uz__bud_empty(const struct uz__bud_page *p);
unsigned int uz__bud_room(const struct uz__bud *pool,
			  const struct uz__bud_page *p);
unsigned int uz__bud_belongs(const struct uz__bud *pool, uint32_t page);
struct uz__bud_place *uz__bud_occupy(struct uz__bud *pool,
				     struct uz__bud_place *place,
				     unsigned int start, unsigned int chunks,
				     uint32_t owner);
struct uz__bud_place *uz__bud_take(struct uz__bud *pool, uint32_t page,
				   unsigned int chunks, uint32_t owner);
void uz__bud_take_pair(struct uz__bud *pool, uint32_t page, uint32_t owner);
void uz__bud_put(struct uz__bud *pool, uint32_t page,
		 struct uz__bud_place *place);
void uz__bud_defer(struct uz__bud *pool, struct uz__bud_place *place);
void uz__bud_drain(struct uz__bud *pool, uint32_t page);
void uz__bud_isolate(struct uz__bud *pool, uint32_t page);
void uz__bud_settle(struct uz__bud *pool, uint32_t page);

/* store.c; the lock is held by find_spare() and too_many() alone */
uint32_t uz__bud_find_spare(struct uz__bud *pool, bool pair);
bool uz__bud_too_many(const struct uz__bud *pool);
void uz__bud_shrink(struct uz__bud *pool);
bool uz__bud_give_one(struct uz__bud *pool);
void uz__bud_drop(struct uz__bud *pool, const uint32_t *pages, unsigned int nr,
		  bool *gone);
void uz__bud_trim(struct uz_pool *base);

/* alloc.c, free.c, adopt.c, check.c */
int uz__bud_alloc(struct uz_pool *base, uint32_t size, uint32_t owner,
		  unsigned int flags, uz_ref_t *ref);
bool uz__bud_holds(struct uz_pool *base, uz_ref_t ref, uint32_t size,
		   uint32_t owner);
bool uz__bud_free(struct uz_pool *base, uz_ref_t ref, uint32_t size,
		  uint32_t owner);
void uz__bud_map(struct uz_pool *base, struct uz_map *map);
void uz__bud_prefetch(const struct uz_pool *base, uz_ref_t ref);
void uz__bud_unmap(struct uz_pool *base, const struct uz_map *map);
int uz__bud_adopt_object(struct uz_pool *base, uz_ref_t ref, uint32_t size,
			 uint32_t owner);
int uz__bud_adopt_end(struct uz_pool *base);
int uz__bud_check(struct uz_pool *base, struct uz_err *err);

#endif
