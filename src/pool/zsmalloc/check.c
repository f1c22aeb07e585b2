// SPDX-License-Identifier: MIT
/*
 * What must always hold when nothing is under way. Everything that is counted
 * or linked is recomputed from the bitmaps and compared. For tests, and for
 * whoever doubts a running pool: nothing is changed. The keeper, and who makes
 * huge pages, are kept out.
 */
#include <errno.h>

#include "zsmalloc_priv.h"

/* What a walk over all windows adds up. */
struct sums {
	uint64_t held;
	uint32_t live;
	uint32_t spare;
};

static int bad(const struct uz__zs *pool, const struct uz__zspage *z,
	       struct uz_err *err, const char *what)
{
	return uz_err_set(err, -EUCLEAN, "pool: zspage %u: %s",
			  uz__zspage_window(pool, z), what);
}

static int check_bitmap(const struct uz__zs *pool, const struct uz__class *c,
			const struct uz__zspage *z, struct uz_err *err)
{
	unsigned int nr_used = 0, first_free = c->objects, i;

	for (i = UZ__MAX_OBJECTS; i-- > 0;) {
		if (z->block->used[i / 64] & UINT64_C(1) << i % 64) {
			nr_used++;
			if (i >= c->objects)
				return bad(pool, z, err, "bit past its end");
		} else if (i < c->objects) {
			first_free = i;
		}
	}
	if (!nr_used)
		return bad(pool, z, err, "empty, but still in its class");
	if (nr_used != z->nr_used)
		return bad(pool, z, err, "count of objects is wrong");
	if (first_free != z->first_free)
		return bad(pool, z, err, "first free place is wrong");
	return 0;
}

/* Adds the list's length to @nr; false when it is damaged. */
static bool deferred_list(const struct uz__class *c, const struct uz__zspage *z,
			  uint32_t index, unsigned int *nr)
{
	while (index != UZ__NO_INDEX) {
		if (index >= c->objects || ++*nr > z->nr_deferred)
			return false;
		if (!(z->block->used[index / 64] & UINT64_C(1) << index % 64))
			return false;
		index = z->block->owner[index];
	}
	return true;
}

static int check_deferred(const struct uz__zs *pool, const struct uz__class *c,
			  struct uz__zspage *z, struct uz_err *err)
{
	uint64_t pins = atomic_load(&z->pins);
	unsigned int nr = 0;

	if (!deferred_list(c, z, z->waiting, &nr) ||
	    !deferred_list(c, z, z->following, &nr) || nr != z->nr_deferred)
		return bad(pool, z, err, "list of deferred frees is damaged");
	if (!nr != !(pins & UZ__PIN_DEFERRED))
		return bad(pool, z, err, "flag of deferred frees is wrong");
	if (nr && !uz__pin_count(pins, !uz__pin_epoch(pins)))
		return bad(pool, z, err, "deferred frees wait for no pin");
	return 0;
}

static int check_pages(const struct uz__zs *pool, const struct uz__class *c,
		       const struct uz__zspage *z, struct uz_err *err)
{
	if (uz__zspage_in_use(c, z) & ~z->ready)
		return bad(pool, z, err, "an object's page is not populated");
	if (z->filling)
		return bad(pool, z, err, "somebody populates it");
	/* Held and not ready: the system has refused to take it back. */
	if (z->ready & ~z->held)
		return bad(pool, z, err, "a page is populated, not charged");
	if (uz__zspage_in_use(c, z) & uz__zspage_ahead(z))
		return bad(pool, z, err, "a page ahead of use is in use");
	if (z->held & ~((UINT64_C(2) << (c->pages - 1)) - 1))
		return bad(pool, z, err, "a page past its end is charged");
	return 0;
}

static int check_live(const struct uz__zs *pool, struct uz__zspage *z,
		      struct uz_err *err)
{
	const struct uz__class *c;
	int ret;

	if (!z->class || z->class >= pool->nr_classes)
		return bad(pool, z, err, "no such class");
	c = &pool->classes[z->class];
	ret = check_bitmap(pool, c, z, err);
	if (!ret)
		ret = check_deferred(pool, c, z, err);
	if (!ret)
		ret = check_pages(pool, c, z, err);
	if (!ret && (z->isolated || z->list != uz__zspage_list(c, z)))
		ret = bad(pool, z, err, "in the wrong list");
	return ret;
}

static int check_spare(const struct uz__zs *pool, struct uz__zspage *z,
		       struct uz_err *err)
{
	if (z->class)
		return bad(pool, z, err, "a class, but no bitmap");
	if (z->list != (z->held ? UZ__LIST_KEPT : UZ__LIST_FREE))
		return bad(pool, z, err, "a spare window in the wrong list");
	if (z->ready & ~z->held)
		return bad(pool, z, err, "a page is populated, not charged");
	if (atomic_load(&z->pins) & UZ__PIN_DEFERRED)
		return bad(pool, z, err, "deferred frees in a spare window");
	return 0;
}

/* Follows a list whose members must say @list; returns its length or -1. */
static int64_t list_length(const struct uz__zs *pool, uint32_t head,
			   unsigned int list, unsigned int class)
{
	struct uz__zspage *z;
	uint32_t w = head;
	int64_t nr = 0;

	if (head == UZ__NONE)
		return 0;
	do {
		if (w >= pool->store.bump || nr++ > pool->store.bump)
			return -1;
		z = &pool->zspages[w];
		if (z->list != list || z->class != class ||
		    z->next >= pool->store.bump ||
		    pool->zspages[z->next].prev != w)
			return -1;
		w = z->next;
	} while (w != head);
	return nr;
}

/* Lists and sums of one class. Its zspages were checked one by one before. */
static int check_class(const struct uz__zs *pool, unsigned int class,
		       struct uz_err *err)
{
	const struct uz__class *c = &pool->classes[class];
	uint64_t nr_zspages = 0, nr_used = 0, nr_deferred = 0;
	uint64_t held = 0, ahead = 0;
	const struct uz__zspage *z;
	unsigned int i;
	int64_t nr;
	uint32_t w;

	for (i = 0; i < UZ__CLASS_LISTS; i++) {
		nr = list_length(pool, c->head[i], i, class);
		if (nr < 0 || !nr != !(c->occupied & 1u << i))
			return uz_err_set(err, -EUCLEAN,
					  "pool: class %u: list %u is damaged",
					  c->size, i);
		nr_zspages += (uint64_t)nr;
		for (w = c->head[i]; w != UZ__NONE;
		     w = uz__list_next(pool, c->head[i], w)) {
			z = &pool->zspages[w];
			nr_used += z->nr_used;
			nr_deferred += z->nr_deferred;
			held += uz__pages_count(z->held);
			ahead += uz__pages_count(uz__zspage_ahead(z));
		}
	}
	if (nr_zspages != c->nr_zspages || nr_deferred != c->nr_deferred ||
	    nr_used != uz__number(&c->nr_used) ||
	    held != uz__number(&c->held) || ahead != uz__number(&c->ahead))
		return uz_err_set(err, -EUCLEAN,
				  "pool: class %u: its sums are wrong",
				  c->size);
	return 0;
}

static int check_windows(struct uz__zs *pool, struct sums *sums,
			 struct uz_err *err)
{
	struct uz__zspage *z;
	uint32_t w;
	int ret;

	for (w = 0; w < pool->store.bump; w++) {
		z = &pool->zspages[w];
		sums->held += uz__pages_count(z->held);
		if (z->block) {
			sums->live++;
			ret = check_live(pool, z, err);
		} else {
			sums->spare++;
			ret = check_spare(pool, z, err);
		}
		if (ret)
			return ret;
	}
	return 0;
}

/* The lists of spare windows, and what memory there is in all. */
static int check_sums(struct uz__zs *pool, const struct sums *sums,
		      uint64_t nr_zspages, struct uz_err *err)
{
	const struct uz__store *s = &pool->store;
	uint64_t used = uz_pool_used_bytes(&pool->base);
	uint64_t resident = uz_shm_resident(&pool->base.arena);
	uint64_t kept = 0;
	uint32_t w;

	if (list_length(pool, s->kept, UZ__LIST_KEPT, 0) != s->nr_kept ||
	    list_length(pool, s->free, UZ__LIST_FREE, 0) != s->nr_free ||
	    s->nr_kept + s->nr_free != sums->spare)
		return uz_err_set(err, -EUCLEAN,
				  "pool: a list of spare windows is damaged");
	for (w = s->kept; w != UZ__NONE; w = uz__list_next(pool, s->kept, w))
		kept += uz__pages_count(pool->zspages[w].held);
	if (kept != atomic_load(&s->kept_pages))
		return uz_err_set(err, -EUCLEAN,
				  "pool: count of kept pages is wrong");
	if (nr_zspages != sums->live)
		return uz_err_set(err, -EUCLEAN,
				  "pool: a zspage is in no list");
	if (sums->held * UZ_PAGE_SIZE != used || used != resident)
		return uz_err_set(err, -EUCLEAN,
				  "pool: zspages hold %llu bytes, %llu are "
				  "counted and %llu present",
				  (unsigned long long)sums->held * UZ_PAGE_SIZE,
				  (unsigned long long)used,
				  (unsigned long long)resident);
	return 0;
}

int uz__zs_check(struct uz_pool *base, struct uz_err *err)
{
	struct uz__zs *pool = uz__zs(base);
	uz_scoped_acquire(still, &pool->huge.collapsing);
	uz_scoped_acquire(rest, &pool->keeper.work);
	struct sums sums = { 0 };
	uint64_t nr_zspages = 0;
	unsigned int i;
	int ret;

	ret = check_windows(pool, &sums, err);
	if (ret)
		return ret;
	for (i = 1; i < pool->nr_classes; i++) {
		ret = check_class(pool, i, err);
		if (ret)
			return ret;
		nr_zspages += pool->classes[i].nr_zspages;
	}
	return check_sums(pool, &sums, nr_zspages, err);
}
