// SPDX-License-Identifier: MIT
/*
 * What a pool holds, in all and class by class. Each class is looked at under
 * its own lock, so a sum over classes is exact only when nothing is under way.
 */
#include "zsmalloc_priv.h"

static void add_class(const struct uz__zs *pool, struct uz__class *c,
		      struct uz_pool_stat *stat)
{
	uz_scoped_acquire(guard, &c->lock);
	uint64_t live = uz__number(&c->nr_used) - c->nr_deferred;

	stat->objects += live;
	stat->object_bytes += live * c->size;
	stat->deferred += c->nr_deferred;
	stat->deferred_bytes += c->nr_deferred * c->size;
	stat->zspages += c->nr_zspages;
	stat->meta_bytes += c->nr_zspages * uz__block_size(pool, c);
}

void uz__zs_stat(struct uz_pool *base, struct uz_pool_stat *stat)
{
	struct uz__zs *pool = uz__zs(base);
	uz_scoped_acquire(rest, &pool->keeper.work);
	unsigned int i;

	stat->meta_bytes =
		sizeof(*pool) + pool->nr_classes * sizeof(struct uz__class);
	uz_lock_acquire(&pool->store.lock);
	stat->meta_bytes += pool->store.bump * sizeof(struct uz__zspage) +
			    uz__block_stocked(pool) + uz__huge_meta(pool);
	/* relaxed: written under the lock that is held. */
	stat->empty_bytes =
		UZ_PAGE_SIZE * atomic_load_explicit(&pool->store.kept_pages,
						    memory_order_relaxed);
	uz_lock_release(&pool->store.lock);
	stat->thp_bytes = uz__huge_bytes(pool);
	stat->reserve_bytes = uz__reserve_pages(pool) * UZ_PAGE_SIZE;
	/* relaxed: a number. */
	stat->reserve_missed =
		atomic_load_explicit(&pool->store.missed, memory_order_relaxed);
	for (i = 1; i < pool->nr_classes; i++)
		add_class(pool, &pool->classes[i], stat);
}

/* The class's lock is held. */
static uint64_t list_length(const struct uz__zs *pool, uint32_t head)
{
	uint64_t nr = 0;
	uint32_t w;

	for (w = head; w != UZ__NONE; w = uz__list_next(pool, head, w))
		nr++;
	return nr;
}

bool uz__zs_class_stat(struct uz_pool *base, unsigned int nth,
		       struct uz_pool_class_stat *stat)
{
	struct uz__zs *pool = uz__zs(base);
	uz_scoped_acquire(rest, &pool->keeper.work);
	struct uz__class *c = &pool->classes[nth + 1];
	unsigned int i;

	if (nth + 1 >= pool->nr_classes)
		return false;
	*stat = (struct uz_pool_class_stat){
		.size = c->size,
		.per_zspage = c->objects,
		.pages = c->pages,
	};
	uz_scoped_acquire(guard, &c->lock);
	stat->zspages = c->nr_zspages;
	stat->objects = uz__number(&c->nr_used) - c->nr_deferred;
	stat->deferred = c->nr_deferred;
	for (i = 0; i < UZ__GROUPS; i++)
		stat->fullness[i] = list_length(pool, c->head[i]);
	stat->full = list_length(pool, c->head[UZ__LIST_FULL]);
	stat->growing = list_length(pool, c->head[UZ__LIST_GROWING]);
	stat->used_bytes = uz__number(&c->held) * UZ_PAGE_SIZE;
	stat->waste = stat->used_bytes - uz__number(&c->nr_used) * c->size;
	return true;
}
