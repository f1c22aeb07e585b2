// SPDX-License-Identifier: MIT
/*
 * Size classes: which there are, fixed when the pool is made. They follow from
 * step and window alone, so that none are stored with the arena: a new worker
 * gets the same ones.
 *
 * A class is the largest size of which so many objects fit into a window, for
 * each number of objects that makes it a step (8 or 16 bytes) larger than the
 * one before: a step apart among the small ones, further and further apart
 * among the large ones. So each zspage is as long as its window and loses less
 * than 8 bytes an object, and windows that are full lie end to end without a
 * gap. There may be hundreds of classes because the pages of a zspage are only
 * populated as objects come to lie in them.
 *
 * Only objects so small that UZ__MAX_OBJECTS do not reach the window's end
 * have shorter zspages. These lose nothing: so many objects of any multiple of
 * 8 bytes are whole pages.
 */
#include "zsmalloc_priv.h"

_Static_assert(!((UZ__MAX_OBJECTS * UZ_REF_UNIT) % UZ_PAGE_SIZE),
	       "the most objects of a zspage end with a page");

/* The size of the class above that of @size bytes; of 0: of the first one. */
uint32_t uz__class_above(const struct uz_pool_config *config, uint32_t size)
{
	uint32_t most = config->window_size / (size + config->class_step);

	return config->window_size / most & ~(UZ_REF_UNIT - 1u);
}

static unsigned int objects_in(uint32_t size, uint32_t window_size)
{
	unsigned int n = window_size / size;

	return n < UZ__MAX_OBJECTS ? n : UZ__MAX_OBJECTS;
}

/*
 * How much waste is left alone. Objects come and go, so that some waste is
 * there again at once whatever is done; moving them costs time, and pages that
 * were given back have to be populated again. 1/32 keeps a pool that is
 * overwritten at random well above 0.94 full, since the waste lies anywhere
 * between that and the quarter that compaction goes down to. Two pages more
 * keep small classes quiet, of which there are hundreds.
 */
#define TOLERATED_SHARE 32
#define TOLERATED_PAGES 2

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
	c->objects = (uint16_t)objects_in(size, window_size);
	c->pages = (uint16_t)((c->objects * size + UZ_PAGE_SIZE - 1) /
			      UZ_PAGE_SIZE);
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

/* Without what the keeper populated: that is its matter. */
static uint64_t in_play(const struct uz__class *c)
{
	return uz__number(&c->held) - uz__number(&c->ahead);
}

/*
 * The pages that could be given back if its objects were moved together.
 * Without the lock a guess.
 */
uint64_t uz__class_gain(const struct uz__class *c)
{
	uint64_t need = uz__class_need(c, uz__number(&c->nr_used));
	uint64_t pages = in_play(c);

	return (int64_t)pages > (int64_t)need ? pages - need : 0;
}

/* With more pages to gain than so many it counts as fragmented. */
uint64_t uz__class_tolerated(const struct uz__class *c)
{
	return in_play(c) / TOLERATED_SHARE + TOLERATED_PAGES;
}

/*
 * Find @enough again, so that a free needs one comparison to know that the
 * class has become fragmented. What the last compaction could not gain gives
 * no notice a second time.
 */
static void find_enough(struct uz__class *c)
{
	uint64_t tolerated = uz__class_tolerated(c) + c->left;
	uint64_t pages = in_play(c);

	c->enough = 0;
	if (pages > tolerated &&
	    !atomic_load_explicit(&c->fragmented, memory_order_relaxed))
		c->enough = uz__class_room(c, pages - tolerated - 1) + 1;
}

/* Its zspages hold so many pages more, so many of them ahead of use. */
void uz__class_hold(struct uz__class *c, int64_t held, int64_t ahead)
{
	uz__number_add(&c->held, held);
	uz__number_add(&c->ahead, ahead);
	find_enough(c);
}

/*
 * Whether it has just become fragmented, so that somebody has to be told. It
 * then has not enough until it was compacted, and nobody is told again.
 */
bool uz__class_turned(struct uz__class *c)
{
	if (uz_likely(uz__number(&c->nr_used) >= c->enough))
		return false;
	atomic_store_explicit(&c->fragmented, true, memory_order_relaxed);
	find_enough(c);
	return true;
}

/* Compaction is done with it, and had to leave @left pages. */
void uz__class_compacted(struct uz__class *c, uint64_t left)
{
	atomic_store_explicit(&c->fragmented, false, memory_order_relaxed);
	c->left = left;
	find_enough(c);
}

uint32_t uz__zs_class_size(const struct uz_pool *base, uint32_t size)
{
	const struct uz__zs *pool = uz__zs((struct uz_pool *)base);

	return pool->classes[uz__class_number(pool, size)].size;
}
