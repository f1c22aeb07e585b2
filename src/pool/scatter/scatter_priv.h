/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_SCATTER_PRIV_H
#define UZRAM_SCATTER_PRIV_H

#include "../backend.h"
#include <uzram/util/reserve.h>

/*
 * What the files of the backend scatter share. The arena is cut into
 * fragments of 256 bytes: a link to the next one of the object, and payload.
 *
 * The life of a page:
 *
 *   untouched   never used; from bump on
 *   private     one thread populates it or gives it back
 *   held        charged and populated; each fragment is free or of an object
 *   spare       without memory; in the stack of spare pages
 *
 * All of it is touched under the pool's one lock, but for the fragments of an
 * object, which are read by whoever has it: its owner, before it is published,
 * and afterwards who holds a map, which is to hold the lock.
 */

#define UZ__FRAG_SIZE	 256u
#define UZ__FRAG_LINK	 8u
#define UZ__FRAG_BYTES	 (UZ__FRAG_SIZE - UZ__FRAG_LINK)
#define UZ__FRAG_IN_PAGE (UZ_PAGE_SIZE / UZ__FRAG_SIZE)
#define UZ__FRAG_MOST	 17u /* of an object */
#define UZ__FRAG_NONE	 UINT32_MAX

/* A link, so that memory of zeroes, or of something else, is none. */
#define UZ__FRAG_MAGIC (UINT64_C(0x73636174) << 32)

/**
 * enum uz__frag_state - what a fragment is used for
 * @UZ__FRAG_GONE: nothing; its page is not held
 * @UZ__FRAG_FREE: nothing
 * @UZ__FRAG_HEAD: the first one of an object
 * @UZ__FRAG_BODY: another one of an object
 */
enum uz__frag_state {
	UZ__FRAG_GONE,
	UZ__FRAG_FREE,
	UZ__FRAG_HEAD,
	UZ__FRAG_BODY,
};

/**
 * struct uz__frag - a fragment
 * @next:  of the object, or UZ__FRAG_NONE. Of a free one: its place in the
 *         list of free ones
 * @owner: of a head, as given; of another, its head
 * @nr:    of a head: fragments of the object
 * @state: enum uz__frag_state
 */
struct uz__frag {
	uint32_t next;
	uint32_t owner;
	uint16_t nr;
	uint8_t state;
};

/**
 * struct uz__frag_page - a page
 * @next: of a spare one: the one below it in the stack
 * @used: fragments of objects
 * @held: charged, populated, and not private
 */
struct uz__frag_page {
	uint32_t next;
	uint8_t used;
	bool held;
};

/**
 * struct uz__scatter - a pool of this backend
 * @base:     what all backends have
 * @frags:    by number
 * @free:     numbers of the free ones, in no order
 * @pages:    by number
 * @room:     where these three lie
 * @lock:     of all below, and of every object while it is mapped
 * @random:   where the next fragment is taken
 * @bump:     pages from here on are untouched
 * @spare:    top of the stack of pages without memory
 * @nr_free:  free fragments
 * @nr_used:  fragments of objects
 * @nr_live:  held pages with a fragment of an object
 * @nr_kept:  held pages without
 * @objects:  live ones
 */
struct uz__scatter {
	struct uz_pool base;
	struct uz__frag *frags;
	uint32_t *free;
	struct uz__frag_page *pages;
	struct uz_reserve room[3];
	_Alignas(UZ_CACHELINE) struct uz_lock lock;
	uint64_t random;
	uint32_t bump;
	uint32_t spare;
	uint32_t nr_free;
	uint64_t nr_used;
	uint64_t nr_live;
	uint64_t nr_kept;
	uint64_t objects;
};

static inline struct uz__scatter *uz__scatter(struct uz_pool *base)
{
	return (struct uz__scatter *)base;
}

/* Fragments have numbers of 32 bits: 1 TiB of them is used. */
static inline uint32_t uz__scatter_usable(uint64_t pages)
{
	return pages < UZ__FRAG_NONE / UZ__FRAG_IN_PAGE
		       ? (uint32_t)pages
		       : UZ__FRAG_NONE / UZ__FRAG_IN_PAGE;
}

/* Pages of the arena that may be used. */
static inline uint32_t uz__scatter_nr_pages(const struct uz__scatter *pool)
{
	return uz__scatter_usable(uz__arena_pages(&pool->base));
}

static inline uint32_t uz__frags_of(uint32_t size)
{
	return (size + UZ__FRAG_BYTES - 1) / UZ__FRAG_BYTES;
}

static inline uz_ref_t uz__frag_ref(uint32_t frag)
{
	return (uint64_t)frag * (UZ__FRAG_SIZE / UZ_REF_UNIT);
}

static inline uint32_t uz__ref_frag(uz_ref_t ref)
{
	return (uint32_t)(ref / (UZ__FRAG_SIZE / UZ_REF_UNIT));
}

static inline char *uz__frag_at(const struct uz__scatter *pool, uint32_t frag)
{
	return (char *)pool->base.arena.base + (uint64_t)frag * UZ__FRAG_SIZE;
}

/* page.c; without the lock: populate and punch alone */
void uz__scatter_hold(struct uz__scatter *pool, uint32_t page);
void uz__scatter_shelve(struct uz__scatter *pool, uint32_t page);
bool uz__scatter_claim(struct uz__scatter *pool, uint32_t *pages,
		       unsigned int nr);
bool uz__scatter_populate(struct uz__scatter *pool, uint32_t page);
void uz__scatter_drop(struct uz__scatter *pool, const uint32_t *pages,
		      unsigned int nr);
bool uz__scatter_too_many(const struct uz__scatter *pool);
void uz__scatter_withdraw(struct uz__scatter *pool, uint32_t page);
uint32_t uz__scatter_pick(struct uz__scatter *pool);
void uz__scatter_put(struct uz__scatter *pool, uint32_t frag);
void uz__scatter_trim(struct uz_pool *base);

/* adopt.c, check.c */
int uz__scatter_adopt_object(struct uz_pool *base, uz_ref_t ref, uint32_t size,
			     uint32_t owner);
int uz__scatter_adopt_end(struct uz_pool *base);
int uz__scatter_check(struct uz_pool *base, struct uz_err *err);

#endif
