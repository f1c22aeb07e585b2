// SPDX-License-Identifier: MIT
/*
 * A live zspage: which of its places are used, by whom, and which list of its
 * class it is in.
 *
 * A zspage is always filled at its lowest free place. As long as that lies in
 * pages that it holds already, an object there costs no memory, and it is
 * listed by fullness: allocation takes from the fullest, so that the emptiest
 * have a chance to drain. When its next place needs another page it moves to
 * the list of growing ones, which are only taken from when no other zspage of
 * the class has room. So the memory of a class grows only when it has no
 * place left, and a store that needs no memory works at the limit.
 *
 * Unless said otherwise the class's lock is held. settle() ends every change:
 * it puts the zspage where it now belongs or, when it became empty, takes it
 * out of its class; then it is the caller's alone, who retires it after the
 * lock is released.
 */
#include <assert.h>

#include <uzram/util/cleanup.h>

#include "zsmalloc_priv.h"

/* Make a private window a zspage of the class. It is not listed yet. */
void uz__zspage_open(struct uz__zs *pool, unsigned int class,
		     struct uz__zspage *z, struct uz__block *block)
{
	z->block = block;
	z->nr_used = 0;
	z->nr_deferred = 0;
	z->first_free = 0;
	z->waiting = UZ__NO_INDEX;
	z->following = UZ__NO_INDEX;
	z->ahead = UZ__NOT_AHEAD;
	z->filling = 0;
	z->passed = 0;
	/* relaxed: drain() in pin.c says why it is seen in time. */
	atomic_store_explicit(&z->class, (uint16_t) class,
			      memory_order_relaxed);
	pool->classes[class].nr_zspages++;
	uz__class_hold(&pool->classes[class], uz__pages_count(z->held), 0);
	uz__huge_note(pool, z);
}

/* A live zspage holds @pages now; those from page @ahead on ahead of use. */
void uz__zspage_hold(struct uz__class *c, struct uz__zspage *z, uint64_t pages,
		     unsigned int ahead)
{
	uint64_t before = z->held;
	uint64_t before_ahead = uz__zspage_ahead(z);

	z->held = pages;
	z->ahead = (uint8_t)ahead;
	uz__class_hold(
		c, (int64_t)uz__pages_count(pages) - uz__pages_count(before),
		(int64_t)uz__pages_count(uz__zspage_ahead(z)) -
			uz__pages_count(before_ahead));
}

/* The lowest free place from @from on, or the class's number of objects. */
unsigned int uz__zspage_next_free(const struct uz__class *c,
				  const struct uz__zspage *z, unsigned int from)
{
	unsigned int i = from / 64;
	uint64_t clear;

	if (from >= c->objects)
		return c->objects;
	clear = ~z->block->used[i] & (UINT64_MAX << from % 64);
	while (!clear) {
		if (++i * 64 >= c->objects)
			return c->objects;
		clear = ~z->block->used[i];
	}
	i = i * 64 + (unsigned int)__builtin_ctzll(clear);
	return i < c->objects ? i : c->objects;
}

/* Use a free place. */
void uz__zspage_take(struct uz__class *c, struct uz__zspage *z,
		     unsigned int index, uint32_t owner)
{
	uint32_t end = (index * c->size + c->size - 1) / UZ_PAGE_SIZE + 1;
	uint64_t bit = UINT64_C(1) << index % 64;

	assert(!(z->block->used[index / 64] & bit));
	z->block->used[index / 64] |= bit;
	z->block->owner[index] = owner;
	z->nr_used++;
	uz__number_add(&c->nr_used, 1);
	if (uz_unlikely(end > z->ahead))
		uz__zspage_hold(c, z, z->held, end);
	if (index == z->first_free)
		z->first_free = (uint16_t)uz__zspage_next_free(c, z, index + 1);
}

/* Make a place free. */
void uz__zspage_put(struct uz__class *c, struct uz__zspage *z,
		    unsigned int index)
{
	uint64_t bit = UINT64_C(1) << index % 64;

	assert(z->block->used[index / 64] & bit);
	z->block->used[index / 64] &= ~bit;
	z->nr_used--;
	uz__number_add(&c->nr_used, -1);
	if (index < z->first_free)
		z->first_free = (uint16_t)index;
}

/* The list that a zspage belongs in, going by what it holds. */
unsigned int uz__zspage_list(const struct uz__class *c,
			     const struct uz__zspage *z)
{
	if (z->first_free >= c->objects)
		return UZ__LIST_FULL;
	if (uz__class_pages(c, z->first_free) & ~z->held)
		return UZ__LIST_GROWING;
	return z->nr_used * c->group_scale >> 16;
}

/* The pages in which any object lies, a bit for each. */
uint64_t uz__zspage_in_use(const struct uz__class *c,
			   const struct uz__zspage *z)
{
	uint64_t pages = 0;
	unsigned int i;

	for (i = 0; i < c->objects; i++)
		if (z->block->used[i / 64] & UINT64_C(1) << i % 64)
			pages |= uz__class_pages(c, i);
	return pages;
}

static void unlist(struct uz__zs *pool, struct uz__class *c,
		   struct uz__zspage *z)
{
	if (z->list == UZ__LIST_NONE)
		return;
	uz__list_remove(pool, &c->head[z->list], z);
	if (c->head[z->list] == UZ__NONE)
		c->occupied &= ~(1u << z->list);
	z->list = UZ__LIST_NONE;
}

/*
 * Keep allocation away from the zspage until the caller lowers @isolated and
 * settles it again. Frees still happen in it.
 */
void uz__zspage_isolate(struct uz__zs *pool, struct uz__class *c,
			struct uz__zspage *z)
{
	z->isolated++;
	unlist(pool, c, z);
}

/*
 * Return: NULL, or the zspage's bookkeeping when it was empty and has left
 * its class: to be handed to uz__zspage_retire() without the lock.
 */
struct uz__block *uz__zspage_settle(struct uz__zs *pool, struct uz__class *c,
				    struct uz__zspage *z)
{
	unsigned int list;

	if (z->isolated)
		return NULL;
	if (!z->nr_used && !z->filling) {
		unlist(pool, c, z);
		c->nr_zspages--;
		uz__class_hold(c, -(int64_t)uz__pages_count(z->held),
			       -(int64_t)uz__pages_count(uz__zspage_ahead(z)));
		atomic_store_explicit(&z->class, 0, memory_order_relaxed);
		return uz_steal_ptr(z->block);
	}
	list = uz__zspage_list(c, z);
	if (list == z->list)
		return NULL;
	/* In another list, compaction looks at it again. */
	if (z->list != UZ__LIST_NONE)
		z->passed = 0;
	unlist(pool, c, z);
	uz__list_push(pool, &c->head[list], z);
	if (uz_unlikely(z->passed))
		uz__list_last(pool, &c->head[list], z);
	c->occupied |= 1u << list;
	z->list = (uint8_t)list;
	return NULL;
}

/* After settle() and without the lock: the window of an emptied zspage. */
void uz__zspage_retire(struct uz__zs *pool, struct uz__zspage *z,
		       struct uz__block *block)
{
	if (!block)
		return;
	uz__block_put(pool, block);
	uz__window_put(pool, z);
}

/* Do @call with each run of @pages; the first failure ends it. */
int uz__zspage_each_run(struct uz__zs *pool, const struct uz__zspage *z,
			uint64_t pages,
			int (*call)(const struct uz_shm *shm, size_t off,
				    size_t len))
{
	uint64_t base = uz__window_offset(pool, uz__zspage_window(pool, z));
	unsigned int first, nr;
	uint64_t rest;
	int ret;

	while (pages) {
		first = (unsigned int)__builtin_ctzll(pages);
		rest = ~(pages >> first);
		nr = rest ? (unsigned int)__builtin_ctzll(rest) : 64 - first;
		ret = call(&pool->base.arena,
			   base + (uint64_t)first * UZ_PAGE_SIZE,
			   (size_t)nr * UZ_PAGE_SIZE);
		if (ret)
			return ret;
		pages &= ~(((UINT64_C(2) << (nr - 1)) - 1) << first);
	}
	return 0;
}

/*
 * Give pages to the system. The caller has taken them out of @held and makes
 * sure that nobody holds them again meanwhile; afterwards it uncharges them.
 * Takes no lock.
 *
 * Return: 0 or -errno; some of the pages may be gone then.
 */
int uz__zspage_punch(struct uz__zs *pool, const struct uz__zspage *z,
		     uint64_t pages)
{
	if (pages)
		uz__huge_split(pool, z);
	return uz__zspage_each_run(pool, z, pages, uz_shm_punch);
}

/* Populate pages, each of which somebody has charged. Takes no lock. */
int uz__zspage_populate(struct uz__zs *pool, const struct uz__zspage *z,
			uint64_t pages)
{
	return uz__zspage_each_run(pool, z, pages, uz_shm_populate);
}

/*
 * Of @pages, in which no object lies, those that can be given back. A store
 * may have charged pages beyond its object, and populates them with it, as the
 * keeper does; even when another store was faster, has used one of them and is
 * done with it, the first one is still to come. So nothing is given back
 * meanwhile. What is held and not ready at another time the system has refused
 * to take back, and is asked again.
 */
uint64_t uz__zspage_idle(const struct uz__zspage *z, uint64_t pages)
{
	return z->filling ? 0 : pages & z->held;
}

/*
 * Give pages of a live zspage back: charged, without an object, and populated
 * by nobody meanwhile. The class's lock is held on entry and released here.
 *
 * Return: whether any memory was given back.
 */
bool uz__zspage_surrender(struct uz__zs *pool, struct uz__class *c,
			  struct uz__zspage *z, uint64_t pages)
{
	struct uz__block *block;
	int ret;

	uz__zspage_isolate(pool, c, z);
	uz__zspage_hold(c, z, z->held & ~pages, z->ahead);
	z->ready &= ~pages;
	uz_lock_release(&c->lock);

	ret = uz__zspage_punch(pool, z, pages);

	uz_lock_acquire(&c->lock);
	if (ret)
		uz__zspage_hold(c, z, z->held | pages, z->ahead);
	else
		uz__limit_uncharge(&pool->base, uz__pages_count(pages));
	z->isolated--;
	block = uz__zspage_settle(pool, c, z);
	uz_lock_release(&c->lock);
	uz__zspage_retire(pool, z, block);
	return pages && !ret;
}

/*
 * A thread that @filling counts has populated @pages, or none if it failed.
 * The last one gives back what was charged and nobody has populated: no object
 * lies there, for its thread would be counted. Until then it stays, because
 * others may populate it. The class's lock is held on entry and released here.
 */
void uz__zspage_filled(struct uz__zs *pool, struct uz__class *c,
		       struct uz__zspage *z, uint64_t pages)
{
	struct uz__block *block;
	uint64_t missing;

	z->ready |= pages;
	z->filling--;
	if (pages)
		uz__huge_note(pool, z);
	missing = z->held & ~z->ready;
	if (uz_unlikely(missing) && !z->filling) {
		uz__zspage_surrender(pool, c, z, missing);
		uz__huge_tell(pool);
		return;
	}
	block = uz__zspage_settle(pool, c, z);
	uz_lock_release(&c->lock);
	uz__zspage_retire(pool, z, block);
	uz__huge_tell(pool);
}
