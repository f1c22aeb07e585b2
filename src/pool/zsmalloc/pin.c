// SPDX-License-Identifier: MIT
/*
 * Maps: a pin on the window that an object lies in. ../pin.h has the word of
 * pins and why it suffices; here is what the last pin finds to do.
 */
#include "zsmalloc_priv.h"

void uz__zs_map(struct uz_pool *base, struct uz_map *map)
{
	struct uz__zs *pool = uz__zs(base);
	struct uz__zspage *z = &pool->zspages[uz__ref_window(pool, map->ref)];

	map->pin = uz__pin_add(&z->pins);
}

/* To be written: the pin is. */
void uz__zs_prefetch(const struct uz_pool *base, uz_ref_t ref)
{
	const struct uz__zs *pool = (const struct uz__zs *)base;

	__builtin_prefetch(&pool->zspages[uz__ref_window(pool, ref)], 1);
}

/*
 * The last pin of a count is gone and a free was deferred. If the window has
 * left that class since, somebody else has drained it: only an empty zspage
 * leaves its class, and deferred frees keep it from being empty.
 */
static void drain(struct uz__zs *pool, struct uz__zspage *z)
{
	/*
	 * relaxed: the flag that brought us here was set after the class was,
	 * and the acquire of our own subtraction saw the flag, so this is the
	 * class in which it was set, or a later one.
	 */
	unsigned int class =
		atomic_load_explicit(&z->class, memory_order_relaxed);
	struct uz__class *c = &pool->classes[class];
	struct uz__block *block = NULL;
	bool fragmented = false;

	if (!class)
		return;
	uz_lock_acquire(&c->lock);
	/* relaxed: changes to and from this class need the lock. */
	if (atomic_load_explicit(&z->class, memory_order_relaxed) == class) {
		uz__free_drain(c, z);
		block = uz__zspage_settle(pool, c, z);
		fragmented = uz__class_turned(c);
	}
	uz_lock_release(&c->lock);
	uz__zspage_retire(pool, z, block);
	uz__free_tell(pool, fragmented);
}

void uz__zs_unmap(struct uz_pool *base, const struct uz_map *map)
{
	struct uz__zs *pool = uz__zs(base);
	struct uz__zspage *z = &pool->zspages[uz__ref_window(pool, map->ref)];

	if (uz__pin_drop(&z->pins, map->pin))
		drain(pool, z);
}
