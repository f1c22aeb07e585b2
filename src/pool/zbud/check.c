// SPDX-License-Identifier: MIT
/*
 * What must always hold when nothing is under way. Everything that is counted
 * or linked is recomputed from the places and compared; nothing is changed,
 * and no lock is taken.
 */
#include <errno.h>

#include "zbud_priv.h"

/* What a walk over all pages adds up. */
struct sums {
	uint64_t held;
	uint64_t live;
	uint64_t full;
	uint64_t kept;
	uint64_t objects;
	uint64_t chunks;
	uint64_t deferred;
	uint64_t deferred_chunks;
	uint64_t listed[UZ__BUD_LISTS];
};

static int bad(uint32_t page, struct uz_err *err, const char *what)
{
	return uz_err_set(err, -EUCLEAN, "pool: page %u: %s", page, what);
}

/* Where a place may lie, by which one it is. */
static bool well_placed(const struct uz__bud *pool,
			const struct uz__bud_place *place, unsigned int i)
{
	unsigned int end = (unsigned int)place->start + place->chunks;

	if (!place->chunks || place->state > UZ__BUD_TAIL)
		return false;
	if (i == UZ__BUD_FIRST)
		return !place->start && end <= UZ__BUD_CHUNKS + 1;
	if (place->state == UZ__BUD_TAIL || !place->start)
		return false;
	if (i == UZ__BUD_LAST)
		return end == UZ__BUD_CHUNKS;
	return pool->middle && end < UZ__BUD_CHUNKS;
}

static int check_places(const struct uz__bud *pool, uint32_t page,
			struct sums *sums, struct uz_err *err)
{
	const struct uz__bud_place *place = pool->pages[page].place;
	unsigned int end = 0, i;

	for (i = 0; i < UZ__BUD_PLACES; i++, place++) {
		if (place->state == UZ__BUD_EMPTY)
			continue;
		if (!well_placed(pool, place, i) || place->start < end)
			return bad(page, err, "an object where none can be");
		end = (unsigned int)place->start + place->chunks;
		if (place->state == UZ__BUD_LIVE) {
			sums->objects++;
			sums->chunks += place->chunks;
		} else if (place->state != UZ__BUD_TAIL) {
			sums->deferred++;
			sums->deferred_chunks += place->chunks;
		}
	}
	return 0;
}

/* An end has a beginning in the page before, and the other way round. */
static int check_tail(const struct uz__bud *pool, uint32_t page,
		      struct uz_err *err)
{
	const struct uz__bud_page *p = &pool->pages[page];
	const struct uz__bud_place *first = &p->place[UZ__BUD_FIRST];
	const struct uz__bud_place *before = page ? &p[-1].place[UZ__BUD_FIRST]
						  : NULL;
	bool begun = before && before->state != UZ__BUD_EMPTY &&
		     before->chunks > UZ__BUD_CHUNKS;

	if (begun != (first->state == UZ__BUD_TAIL) ||
	    (begun && first->chunks != 1))
		return bad(page, err, "the end of an object is wrong");
	if (page + 1 == pool->bump && first->state != UZ__BUD_EMPTY &&
	    first->chunks > UZ__BUD_CHUNKS)
		return bad(page, err, "an object without its end");
	return 0;
}

static int check_deferred(const struct uz__bud *pool, uint32_t page,
			  struct uz_err *err)
{
	struct uz__bud_page *p = &pool->pages[page];
	uint64_t pins = atomic_load(&p->pins);
	bool any = false;
	unsigned int i;

	for (i = 0; i < UZ__BUD_PLACES; i++)
		any |= p->place[i].state == UZ__BUD_WAITING ||
		       p->place[i].state == UZ__BUD_FOLLOWING;
	if (any != !!(pins & UZ__PIN_DEFERRED))
		return bad(page, err, "flag of deferred frees is wrong");
	if (any && !uz__pin_count(pins, !uz__pin_epoch(pins)))
		return bad(page, err, "deferred frees wait for no pin");
	return 0;
}

static int check_page(const struct uz__bud *pool, uint32_t page,
		      struct sums *sums, struct uz_err *err)
{
	const struct uz__bud_page *p = &pool->pages[page];
	int ret = check_places(pool, page, sums, err);

	if (!ret)
		ret = check_tail(pool, page, err);
	if (!ret)
		ret = check_deferred(pool, page, err);
	if (ret)
		return ret;
	if (p->list == UZ__BUD_PRIVATE ||
	    p->list != uz__bud_belongs(pool, page))
		return bad(page, err, "in the wrong list");
	if (p->ready && !p->held)
		return bad(page, err, "populated, not charged");
	if (!uz__bud_empty(p) && !p->ready)
		return bad(page, err, "an object's page is not populated");
	sums->held += p->held;
	sums->live += p->list < UZ__BUD_CHUNKS;
	sums->full += !p->list;
	sums->kept += uz__bud_is_spare(p) && p->held;
	sums->listed[p->list]++;
	return 0;
}

/* Follows a list whose members must say @list; returns its length or -1. */
static int64_t list_length(const struct uz__bud *pool, unsigned int list)
{
	uint32_t prev = UZ__BUD_NONE, page;
	const struct uz__bud_page *p;
	int64_t nr = 0;

	for (page = pool->head[list]; page != UZ__BUD_NONE; page = p->next) {
		if (page >= pool->bump || nr++ > pool->bump)
			return -1;
		p = &pool->pages[page];
		if (p->list != list || p->prev != prev)
			return -1;
		prev = page;
	}
	return nr;
}

static int check_lists(const struct uz__bud *pool, const struct sums *sums,
		       struct uz_err *err)
{
	unsigned int i;

	for (i = 0; i < UZ__BUD_LISTS; i++) {
		bool occupied = i < UZ__BUD_CHUNKS &&
				pool->live_lists & UINT64_C(1) << i;

		if (list_length(pool, i) != (int64_t)sums->listed[i] ||
		    (i < UZ__BUD_CHUNKS && occupied != !!sums->listed[i]))
			return uz_err_set(err, -EUCLEAN,
					  "pool: list %u is damaged", i);
	}
	return 0;
}

int uz__bud_check(struct uz_pool *base, struct uz_err *err)
{
	struct uz__bud *pool = uz__bud(base);
	uint64_t used = uz_pool_used_bytes(base);
	uint64_t resident = uz_shm_resident(&base->arena);
	struct sums sums = { 0 };
	uint32_t page;
	int ret;

	for (page = 0; page < pool->bump; page++) {
		ret = check_page(pool, page, &sums, err);
		if (ret)
			return ret;
	}
	ret = check_lists(pool, &sums, err);
	if (ret)
		return ret;
	if (sums.live != pool->nr_live || sums.full != pool->nr_full ||
	    sums.kept != pool->nr_kept)
		return uz_err_set(err, -EUCLEAN,
				  "pool: count of pages is wrong");
	if (sums.objects != pool->objects || sums.chunks != pool->chunks ||
	    sums.deferred != pool->deferred ||
	    sums.deferred_chunks != pool->deferred_chunks)
		return uz_err_set(err, -EUCLEAN,
				  "pool: count of objects is wrong");
	if (sums.held * UZ_PAGE_SIZE != used || used != resident)
		return uz_err_set(err, -EUCLEAN,
				  "pool: pages hold %llu bytes, %llu are "
				  "counted and %llu present",
				  (unsigned long long)sums.held * UZ_PAGE_SIZE,
				  (unsigned long long)used,
				  (unsigned long long)resident);
	return 0;
}
