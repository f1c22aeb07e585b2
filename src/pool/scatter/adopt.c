// SPDX-License-Identifier: MIT
/*
 * Adoption: an object's fragments are found by the links in the arena. A
 * crashed process wrote these, so each is checked before it is followed, and
 * none leads to a fragment that was found before. They are read from the file:
 * a page that is missing reads as zeroes, which are no link, and stays missing.
 *
 * One thread works here before any other uses the pool, so no lock is taken.
 */
#include <errno.h>
#include <unistd.h>

#include "scatter_priv.h"

/* Where a fragment's link leads; false if it has none. */
static bool follow(const struct uz__scatter *pool, uint32_t frag,
		   uint32_t *next)
{
	uint64_t word;

	if (pread(pool->base.arena.fd, &word, sizeof(word),
		  (off_t)((uint64_t)frag * UZ__FRAG_SIZE)) != sizeof(word) ||
	    (word & UINT64_C(0xffffffff00000000)) != UZ__FRAG_MAGIC)
		return false;
	*next = (uint32_t)word;
	return true;
}

static int adopt_frag(struct uz__scatter *pool, uint32_t frag,
		      const struct uz__frag *as, uint32_t *next)
{
	uint32_t page = frag / UZ__FRAG_IN_PAGE;

	if (page >= uz__scatter_nr_pages(pool) ||
	    pool->frags[frag].state != UZ__FRAG_GONE ||
	    !follow(pool, frag, next))
		return -EUCLEAN;
	pool->frags[frag] = *as;
	pool->frags[frag].next = *next;
	pool->pages[page].used++;
	pool->nr_used++;
	if (page >= pool->bump)
		pool->bump = page + 1;
	return 0;
}

int uz__scatter_adopt_object(struct uz_pool *base, uz_ref_t ref, uint32_t size,
			     uint32_t owner)
{
	struct uz__scatter *pool = uz__scatter(base);
	struct uz__frag as = {
		.owner = owner,
		.nr = (uint16_t)uz__frags_of(size),
		.state = UZ__FRAG_HEAD,
	};
	uint64_t head = ref / (UZ__FRAG_SIZE / UZ_REF_UNIT);
	uint32_t frag = (uint32_t)head;
	unsigned int nr = as.nr;
	int ret;

	if (ref % (UZ__FRAG_SIZE / UZ_REF_UNIT) || head >= UZ__FRAG_NONE)
		return -EUCLEAN;
	for (; nr; nr--) {
		ret = adopt_frag(pool, frag, &as, &frag);
		if (ret)
			return ret;
		as = (struct uz__frag){
			.owner = (uint32_t)head,
			.state = UZ__FRAG_BODY,
		};
	}
	pool->objects++;
	return frag == UZ__FRAG_NONE ? 0 : -EUCLEAN;
}

static int give_back(struct uz__scatter *pool, uint64_t start, uint64_t end)
{
	return start < end ? uz_shm_punch(&pool->base.arena, start, end - start)
			   : 0;
}

/* Of an extent, give back the pages in which no object has a fragment. */
static int clear_extent(struct uz__scatter *pool, uint64_t start, uint64_t end)
{
	uint64_t unused = start; /* from here up to @at nobody needs it */
	uint64_t at;
	int ret;

	for (at = start; at < end && at / UZ_PAGE_SIZE < pool->bump;
	     at += UZ_PAGE_SIZE) {
		if (!pool->pages[at / UZ_PAGE_SIZE].used)
			continue;
		ret = give_back(pool, unused, at);
		if (ret)
			return ret;
		unused = at + UZ_PAGE_SIZE;
	}
	return give_back(pool, unused, end);
}

int uz__scatter_adopt_end(struct uz_pool *base)
{
	struct uz__scatter *pool = uz__scatter(base);
	size_t start, end = 0;
	uint32_t page;
	int ret;

	while (!(ret = uz_shm_next_data(&base->arena, end, &start, &end))) {
		ret = clear_extent(pool, start, end);
		if (ret)
			return ret;
	}
	if (ret != -ENXIO)
		return ret;
	/* Downwards, so that the lowest spare page is handed out first. */
	for (page = pool->bump; page-- > 0;) {
		if (!pool->pages[page].used) {
			uz__scatter_shelve(pool, page);
			continue;
		}
		/* It was there when its links were read. */
		if (!uz__scatter_populate(pool, page))
			return -ENOMEM;
		uz__limit_charge(base, 1, true);
		uz__scatter_hold(pool, page);
	}
	return 0;
}
