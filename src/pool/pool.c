// SPDX-License-Identifier: MIT
/*
 * A pool's geometry, life and numbers.
 *
 * The arena is one memfd, mapped whole and cut into windows of equal size; a
 * zspage is a run of pages at the start of a window, so that a ref gives its
 * window by a shift and its place there by a multiplication. Per window there
 * is a descriptor of one cache line, in an array that is reserved whole and
 * takes memory only where it was touched; per live zspage one block of
 * ordinary memory with its bitmap and owners. See pool_priv.h for who may
 * touch what, and for the locks.
 *
 * The rooms: class.c how sizes map to zspages, zspage.c one zspage, list.c
 * lists of them, window.c those that no class has, limit.c the count of
 * memory, alloc.c, free.c and pin.c what users call, keeper.c what is
 * populated before it is needed, adopt.c what a new process rebuilds, check.c what must always hold.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "pool_priv.h"

#define ARENA_MAX ((uint64_t)UZ_REF_UNIT << UZ_REF_BITS)

/*
 * Address space is free, and an arena that is full refuses stores although
 * memory is left: so twice what all pages stored raw take, and room for
 * hundreds of classes of which each has some zspages that are hardly used.
 *
 * Classes 16 bytes apart: 8 would save 4 bytes an object, but twice as many
 * classes have twice as many half used zspages. Only with more than a GiB of
 * data that is never overwritten would 8 come out ahead, by 0.3%; after
 * overwriting it is 1% to 6% behind.
 */
void uz_pool_config_default(struct uz_pool_config *config, uint64_t data_bytes)
{
	uint64_t size;

	*config = (struct uz_pool_config){
		.window_size = 32 * UZ_PAGE_SIZE,
		.class_step = 16,
		.keep_empty = UINT64_C(1) << 20,
	};
	if (data_bytes >= ARENA_MAX / 4)
		size = ARENA_MAX;
	else
		size = 2 * data_bytes + (UINT64_C(1) << 30);
	config->arena_size = size & ~(uint64_t)(config->window_size - 1);
}

static bool config_valid(const struct uz_pool_config *config)
{
	uint32_t window = config->window_size;

	if (window < 16 * UZ_PAGE_SIZE || window & (window - 1) ||
	    window > UZ__MAX_PAGES * UZ_PAGE_SIZE)
		return false;
	if (config->class_step != 8 && config->class_step != 16)
		return false;
	return config->arena_size && config->arena_size <= ARENA_MAX &&
	       !(config->arena_size % window);
}

static struct uz_pool *pool_new(const struct uz_pool_config *config)
{
	unsigned int step_shift = config->class_step == 8 ? 3 : 4;
	unsigned int nr_classes = ((UZ_POOL_MAX_OBJECT - 1) >> step_shift) + 2;
	size_t size =
		sizeof(struct uz_pool) + nr_classes * sizeof(struct uz__class);
	struct uz_pool *pool = aligned_alloc(UZ_CACHELINE, size);
	unsigned int i;

	if (!pool)
		return NULL;
	memset(pool, 0, size);
	pool->config = *config;
	pool->arena.fd = -1;
	pool->zspages = MAP_FAILED;
	pool->step_shift = step_shift;
	pool->nr_classes = nr_classes;
	pool->nr_windows = (uint32_t)(config->arena_size / config->window_size);
	pool->ref_shift =
		(unsigned int)__builtin_ctz(config->window_size / UZ_REF_UNIT);
	uz__window_init(pool);
	uz__keeper_init(pool);
	for (i = 1; i < nr_classes; i++)
		uz__class_init(&pool->classes[i], i << step_shift,
			       config->window_size);
	return pool;
}

int uz_pool_create(struct uz_pool **pool, int fd,
		   const struct uz_pool_config *config)
{
	struct uz_pool *p;
	int ret;

	if (!config_valid(config))
		return -EINVAL;
	p = pool_new(config);
	if (!p)
		return -ENOMEM;
	p->zspages_size = p->nr_windows * sizeof(struct uz__zspage);
	p->zspages = mmap(NULL, p->zspages_size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p->zspages == MAP_FAILED) {
		ret = -errno;
		goto fail;
	}
	ret = uz_shm_map(&p->arena, fd, config->arena_size);
	if (ret)
		goto fail;
	/*
	 * Where the system backs shared memory with huge pages, one object
	 * would populate 2 MiB that nobody has charged. Fails where there are
	 * no huge pages.
	 */
	madvise(p->arena.base, p->arena.size, MADV_NOHUGEPAGE);
	*pool = p;
	return 0;
fail:
	uz_pool_destroy(p);
	return ret;
}

void uz_pool_destroy(struct uz_pool *pool)
{
	unsigned int i;

	if (!pool)
		return;
	uz__keeper_fini(pool);
	for (i = 0; i < pool->store.bump; i++)
		free(pool->zspages[i].block);
	for (i = 1; i < pool->nr_classes; i++)
		uz__class_fini(&pool->classes[i]);
	uz__window_fini(pool);
	uz_shm_unmap(&pool->arena);
	if (pool->zspages != MAP_FAILED)
		munmap(pool->zspages, pool->zspages_size);
	free(pool);
}

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

void uz_pool_stat(struct uz_pool *pool, struct uz_pool_stat *stat)
{
	uz_scoped_acquire(rest, &pool->keeper.work);
	unsigned int i;

	*stat = (struct uz_pool_stat){
		.used_bytes = uz_pool_used_bytes(pool),
		/* relaxed: plain numbers; see limit.c. */
		.max_used_bytes = UZ_PAGE_SIZE *
				  atomic_load_explicit(&pool->max_pages,
						       memory_order_relaxed),
		.limit_bytes = UZ_PAGE_SIZE *
			       atomic_load_explicit(&pool->limit_pages,
						    memory_order_relaxed),
		.empty_bytes = UZ_PAGE_SIZE *
			       atomic_load_explicit(&pool->store.kept_pages,
						    memory_order_relaxed),
		.meta_bytes = sizeof(*pool) +
			      pool->nr_classes * sizeof(struct uz__class),
	};
	uz_lock_acquire(&pool->store.lock);
	stat->meta_bytes += pool->store.bump * sizeof(struct uz__zspage);
	uz_lock_release(&pool->store.lock);
	for (i = 1; i < pool->nr_classes; i++)
		add_class(&pool->classes[i], stat);
}
