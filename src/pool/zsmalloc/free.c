// SPDX-License-Identifier: MIT
/*
 * Freeing: at once when the zspage is not pinned, otherwise deferred.
 *
 * ../pin.h explains the word of pins, and the two lists of frees that wait for
 * it. Here they are, under the class's lock.
 *
 * The lists are linked through the owner words of the freed objects, which
 * nobody needs any more, and need no memory that could be refused.
 */
#include "zsmalloc_priv.h"

static void put_list(struct uz__class *c, struct uz__zspage *z, uint16_t *head)
{
	while (*head != UZ__NO_INDEX) {
		uint16_t index = *head;

		*head = (uint16_t)z->block->owner[index];
		uz__zspage_put(c, z, index);
		z->nr_deferred--;
		c->nr_deferred--;
	}
}

/* Free what waits for no pin any more, and begin the next wait. */
void uz__free_drain(struct uz__class *c, struct uz__zspage *z)
{
	switch (uz__pin_turn(&z->pins, z->following != UZ__NO_INDEX)) {
	case UZ__PIN_NONE:
		break;
	case UZ__PIN_WAITING:
		put_list(c, z, &z->waiting);
		z->waiting = z->following;
		z->following = UZ__NO_INDEX;
		break;
	case UZ__PIN_ALL:
		put_list(c, z, &z->waiting);
		put_list(c, z, &z->following);
		break;
	}
}

/* The zspage is pinned: leave the object where it is for now. */
static void defer(struct uz__class *c, struct uz__zspage *z, unsigned int index)
{
	z->block->owner[index] = z->following;
	z->following = (uint16_t)index;
	z->nr_deferred++;
	c->nr_deferred++;
	uz__pin_defer(&z->pins);
	uz__free_drain(c, z);
}

/* Free an object at once or, when its zspage is pinned, later. */
void uz__free_place(struct uz__class *c, struct uz__zspage *z,
		    unsigned int index)
{
	if (uz_likely(!uz__pin_held(&z->pins)))
		uz__zspage_put(c, z, index);
	else
		defer(c, z, index);
}

/* Without locks: a class became fragmented, or not. */
void uz__free_tell(struct uz__zs *pool, bool fragmented)
{
	if (uz_unlikely(fragmented) && pool->base.fragmented)
		pool->base.fragmented(pool->base.arg);
}

static bool listed(const struct uz__zspage *z, uint16_t at, unsigned int index)
{
	while (at != UZ__NO_INDEX && at != index)
		at = (uint16_t)z->block->owner[at];
	return at == index;
}

/*
 * Is this a live object of that size and owner? The class's lock is held. The
 * owner of an object that is freed but deferred was overwritten by the link of
 * its list; a page's number may look the same if it is as small as a link.
 */
static bool is_object(const struct uz__zs *pool, const struct uz__zspage *z,
		      uz_ref_t ref, uint32_t size, uint32_t owner)
{
	unsigned int class = uz__class_number(pool, size);
	const struct uz__class *c = &pool->classes[class];
	uint32_t offset = uz__ref_offset(pool, ref);
	unsigned int index = offset / c->size;

	/* relaxed: changes to and from this class need the lock. */
	if (atomic_load_explicit(&z->class, memory_order_relaxed) != class ||
	    index * c->size != offset || index >= c->objects ||
	    !(z->block->used[index / 64] & UINT64_C(1) << index % 64) ||
	    z->block->owner[index] != owner)
		return false;
	return owner > UZ__NO_INDEX || !z->nr_deferred ||
	       (!listed(z, z->waiting, index) &&
		!listed(z, z->following, index));
}

bool uz__zs_holds(struct uz_pool *base, uz_ref_t ref, uint32_t size,
		  uint32_t owner)
{
	struct uz__zs *pool = uz__zs(base);
	unsigned int class = uz__class_number(pool, size);
	uz_scoped_acquire(guard, &pool->classes[class].lock);

	return is_object(pool, &pool->zspages[uz__ref_window(pool, ref)], ref,
			 size, owner);
}

bool uz__zs_free(struct uz_pool *base, uz_ref_t ref, uint32_t size,
		 uint32_t owner)
{
	struct uz__zs *pool = uz__zs(base);
	struct uz__zspage *z = &pool->zspages[uz__ref_window(pool, ref)];
	/* relaxed: the object is ours, so its zspage stays in its class. */
	unsigned int class =
		atomic_load_explicit(&z->class, memory_order_relaxed);
	struct uz__class *c = &pool->classes[class];
	unsigned int index = uz__class_index(c, uz__ref_offset(pool, ref));
	struct uz__block *block;
	bool fragmented;

	/*
	 * Nothing lies there, or what is not ours: only a damaged word of the
	 * owner's can name it.
	 */
	if (uz_unlikely(!class ||
			(size && class != uz__class_number(pool, size))))
		return false;
	uz_lock_acquire(&c->lock);
	if (uz_unlikely(size && !is_object(pool, z, ref, size, owner))) {
		uz_lock_release(&c->lock);
		return false;
	}
	uz__free_place(c, z, index);
	block = uz__zspage_settle(pool, c, z);
	fragmented = uz__class_turned(c);
	uz_lock_release(&c->lock);
	if (uz_unlikely(block))
		uz__zspage_retire(pool, z, block);
	uz__free_tell(pool, fragmented);
	return true;
}
