// SPDX-License-Identifier: MIT
/*
 * What a pool holds, in all and class by class. Each class is looked at under
 * its own lock, so a sum over classes is exact only when nothing is under way.
 */
#include "zsmalloc_priv.h"

static void add_class(struct uz__class *c, struct uz_pool_stat *stat)
{
	uz_scoped_acquire(guard, &c->lock);
	uint64_t live = c->nr_used - c->nr_deferred;

	stat->objects += live;
	stat->object_bytes += live * c->size;
	stat->deferred += c->nr_deferred;
	stat->zspages += c->nr_zspages;
	stat->meta_bytes += c->nr_zspages * uz__zspage_block_size(c);
}

void uz__zs_stat(struct uz_pool *base, struct uz_pool_stat *stat)
{
	struct uz__zs *pool = uz__zs(base);
	uz_scoped_acquire(rest, &pool->keeper.work);
	unsigned int i;

	stat->meta_bytes =
		sizeof(*pool) + pool->nr_classes * sizeof(struct uz__class);
	uz_lock_acquire(&pool->store.lock);
	stat->meta_bytes += pool->store.bump * sizeof(struct uz__zspage);
	/* relaxed: written under the lock that is held. */
	stat->empty_bytes =
		UZ_PAGE_SIZE * atomic_load_explicit(&pool->store.kept_pages,
						    memory_order_relaxed);
	uz_lock_release(&pool->store.lock);
	for (i = 1; i < pool->nr_classes; i++)
		add_class(&pool->classes[i], stat);
}

/* The class's lock is held. */
static void add_list(const struct uz__zs *pool, uint32_t head,
		     struct uz_pool_class_stat *stat, uint64_t *zspages)
{
	uint32_t w;

	for (w = head; w != UZ__NONE; w = pool->zspages[w].next) {
		stat->used_bytes += (uint64_t)UZ_PAGE_SIZE *
				    uz__pages_count(pool->zspages[w].held);
		(*zspages)++;
	}
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
	stat->objects = c->nr_used - c->nr_deferred;
	stat->deferred = c->nr_deferred;
	for (i = 0; i < UZ__GROUPS; i++)
		add_list(pool, c->head[i], stat, &stat->fullness[i]);
	add_list(pool, c->head[UZ__LIST_FULL], stat, &stat->full);
	add_list(pool, c->head[UZ__LIST_GROWING], stat, &stat->growing);
	stat->waste = stat->used_bytes - c->nr_used * c->size;
	return true;
}
