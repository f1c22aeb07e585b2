// SPDX-License-Identifier: MIT
/*
 * Size classes: how long the zspages of a size are, fixed when the pool is
 * made. The number of a class follows from the size by a shift, so there is
 * no table to look up and none to store with the arena; a new worker gets the
 * same one from the same step.
 *
 * Classes lie so close (8 or 16 bytes) that rounding up wastes little, and
 * their zspages are as long as a window allows unless a shorter one wastes
 * less: there may be hundreds of classes because the pages of a zspage are
 * only populated as objects come to lie in them.
 */
#include "zsmalloc_priv.h"

/* Ordinary memory that each zspage costs: descriptor, bitmap, malloc. */
#define ZSPAGE_COST 160u

static unsigned int objects_in(uint32_t size, unsigned int pages)
{
	unsigned int n = pages * UZ_PAGE_SIZE / size;

	return n < UZ__MAX_OBJECTS ? n : UZ__MAX_OBJECTS;
}

/* Bytes of @pages pages that no object uses, and what the zspage costs. */
static uint32_t lost_in(uint32_t size, unsigned int pages)
{
	return pages * UZ_PAGE_SIZE - objects_in(size, pages) * size +
	       ZSPAGE_COST;
}

/* The number of pages that loses least per page; of equals the greatest. */
static unsigned int best_pages(uint32_t size, unsigned int max_pages)
{
	unsigned int best = (size + UZ_PAGE_SIZE - 1) / UZ_PAGE_SIZE;
	unsigned int n;

	for (n = best + 1; n <= max_pages; n++)
		if (lost_in(size, n) * best <= lost_in(size, best) * n)
			best = n;
	return best;
}

void uz__class_init(struct uz__class *c, uint32_t size, uint32_t window_size)
{
	unsigned int i;

	uz_lock_init(&c->lock, UZ_LOCK_POOL_CLASS);
	c->size = size;
	/*
	 * Rounded up. For offset = k * size the product exceeds k * 2^32 by
	 * less than k * size <= 2^18, so the quotient is k.
	 */
	c->reciprocal = (uint32_t)(((UINT64_C(1) << 32) + size - 1) / size);
	c->pages = (uint16_t)best_pages(size, window_size / UZ_PAGE_SIZE);
	c->objects = (uint16_t)objects_in(size, c->pages);
	c->group_scale = (UZ__GROUPS << 16) / c->objects;
	for (i = 0; i < UZ__CLASS_LISTS; i++)
		c->head[i] = UZ__NONE;
}

void uz__class_fini(struct uz__class *c)
{
	uz_lock_destroy(&c->lock);
}

/* The fewest pages that can hold so many objects. */
uint64_t uz__class_need(const struct uz__class *c, uint64_t objects)
{
	uint64_t rest = objects % c->objects * c->size;

	return objects / c->objects * c->pages +
	       (rest + UZ_PAGE_SIZE - 1) / UZ_PAGE_SIZE;
}

/* The inverse: the most objects that so many pages can hold. */
uint64_t uz__class_room(const struct uz__class *c, uint64_t pages)
{
	return pages / c->pages * c->objects +
	       pages % c->pages * UZ_PAGE_SIZE / c->size;
}

/*
 * The pages that could be given back if its objects were moved together. What
 * is populated ahead of use is the keeper's matter. Without the lock a guess.
 */
uint64_t uz__class_gain(const struct uz__class *c)
{
	uint64_t held = uz__number(&c->held) - uz__number(&c->ahead);
	uint64_t need = uz__class_need(c, uz__number(&c->nr_used));

	return (int64_t)held > (int64_t)need ? held - need : 0;
}

uint32_t uz__zs_class_size(const struct uz_pool *base, uint32_t size)
{
	const struct uz__zs *pool = uz__zs((struct uz_pool *)base);

	return pool->classes[uz__class_number(pool, size)].size;
}
