// SPDX-License-Identifier: MIT
/*
 * What must always hold when nothing is under way: every fragment is free or
 * of exactly one object, the links in the arena say what the notes say, and
 * the counts are right. Nothing is changed, and no lock is taken.
 */
#include <errno.h>
#include <string.h>

#include "scatter_priv.h"

/* What a walk over all pages adds up. */
struct sums {
	uint64_t objects;
	uint64_t bodies;
	uint64_t of_objects; /* bodies that were found by their object */
	uint64_t free;
	uint64_t live;
	uint64_t kept;
	uint64_t spare;
};

static int bad(uint32_t frag, struct uz_err *err, const char *what)
{
	return uz_err_set(err, -EUCLEAN, "pool: fragment %u: %s", frag, what);
}

/* Each fragment says whose it is, so no two objects can share one. */
static int check_object(const struct uz__scatter *pool, uint32_t head,
			struct sums *sums, struct uz_err *err)
{
	uint32_t frag = head;
	unsigned int nr = pool->frags[head].nr;
	const struct uz__frag *f;
	uint64_t link;

	if (!nr || nr > UZ__FRAG_MOST)
		return bad(head, err, "an object of no such size");
	for (; nr; nr--, frag = f->next) {
		if (frag / UZ__FRAG_IN_PAGE >= pool->bump)
			return bad(head, err, "its chain leaves the arena");
		f = &pool->frags[frag];
		if (frag != head &&
		    (f->state != UZ__FRAG_BODY || f->owner != head))
			return bad(head, err, "its chain leaves the object");
		sums->of_objects += frag != head;
		memcpy(&link, uz__frag_at(pool, frag), sizeof(link));
		if (link != (UZ__FRAG_MAGIC | f->next))
			return bad(frag, err, "its link is not what it was");
	}
	if (frag != UZ__FRAG_NONE)
		return bad(head, err, "its chain does not end");
	sums->objects++;
	return 0;
}

static int check_frag(const struct uz__scatter *pool, uint32_t frag, bool held,
		      struct sums *sums, struct uz_err *err)
{
	const struct uz__frag *f = &pool->frags[frag];

	if (f->state > UZ__FRAG_BODY || held == (f->state == UZ__FRAG_GONE))
		return bad(frag, err, "its state is wrong");
	if (f->state == UZ__FRAG_HEAD)
		return check_object(pool, frag, sums, err);
	if (f->state == UZ__FRAG_BODY)
		sums->bodies++;
	if (f->state != UZ__FRAG_FREE)
		return 0;
	sums->free++;
	if (f->next >= pool->nr_free || pool->free[f->next] != frag)
		return bad(frag, err, "free, but not in the list");
	return 0;
}

static int check_page(const struct uz__scatter *pool, uint32_t page,
		      struct sums *sums, struct uz_err *err)
{
	const struct uz__frag_page *p = &pool->pages[page];
	uint32_t frag = page * UZ__FRAG_IN_PAGE;
	unsigned int used = 0, i;
	int ret;

	for (i = 0; i < UZ__FRAG_IN_PAGE; i++, frag++) {
		ret = check_frag(pool, frag, p->held, sums, err);
		if (ret)
			return ret;
		used += pool->frags[frag].state > UZ__FRAG_FREE;
	}
	if (used != p->used)
		return uz_err_set(err, -EUCLEAN,
				  "pool: page %u: count of fragments is wrong",
				  page);
	sums->live += p->held && used;
	sums->kept += p->held && !used;
	sums->spare += !p->held;
	return 0;
}

static bool spare_listed(const struct uz__scatter *pool, uint64_t nr)
{
	uint32_t page = pool->spare;

	for (; nr && page < pool->bump && !pool->pages[page].held; nr--)
		page = pool->pages[page].next;
	return !nr && page == UZ__FRAG_NONE;
}

static int check_sums(const struct uz__scatter *pool, const struct sums *sums,
		      struct uz_err *err)
{
	uint64_t used = uz_pool_used_bytes(&pool->base);
	uint64_t held = (sums->live + sums->kept) * UZ_PAGE_SIZE;
	uint64_t resident = uz_shm_resident(&pool->base.arena);

	if (sums->objects != pool->objects ||
	    sums->bodies != sums->of_objects ||
	    sums->objects + sums->bodies != pool->nr_used)
		return uz_err_set(err, -EUCLEAN,
				  "pool: count of objects is wrong");
	if (sums->free != pool->nr_free || sums->live != pool->nr_live ||
	    sums->kept != pool->nr_kept)
		return uz_err_set(err, -EUCLEAN,
				  "pool: count of pages is wrong");
	if (!spare_listed(pool, sums->spare))
		return uz_err_set(err, -EUCLEAN,
				  "pool: list of spare pages is damaged");
	if (held != used || used != resident)
		return uz_err_set(err, -EUCLEAN,
				  "pool: pages hold %llu bytes, %llu are "
				  "counted and %llu present",
				  (unsigned long long)held,
				  (unsigned long long)used,
				  (unsigned long long)resident);
	return 0;
}

int uz__scatter_check(struct uz_pool *base, struct uz_err *err)
{
	struct uz__scatter *pool = uz__scatter(base);
	struct sums sums = { 0 };
	uint32_t page;
	int ret;

	for (page = 0; page < pool->bump; page++) {
		ret = check_page(pool, page, &sums, err);
		if (ret)
			return ret;
	}
	return check_sums(pool, &sums, err);
}
