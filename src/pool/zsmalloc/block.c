// SPDX-License-Identifier: MIT
/*
 * Bookkeeping of live zspages: from malloc() where it is needed, or, in a pool
 * with a reserve, out of a stock.
 *
 * A pool with a reserve may be what memory is freed by, so a store there must
 * not meet malloc(): somebody may hold its lock and wait for memory. So blocks
 * are all as large as any class needs, the keeper has some ready, and who is
 * done with one puts it back.
 *
 * The store's lock guards the stock. Blocks in it are linked by their first
 * word.
 */
#include <stdlib.h>
#include <string.h>

#include <uzram/util/ahead.h>

#include "zsmalloc_priv.h"

/* What a block is while it lies in stock. */
struct spare {
	struct spare *next;
};

#define LARGEST (sizeof(struct uz__block) + UZ__MAX_OBJECTS * sizeof(uint32_t))

size_t uz__block_size(const struct uz__zs *pool, const struct uz__class *c)
{
	return uz__reserve_pages(pool) ? LARGEST
				       : sizeof(struct uz__block) +
						 c->objects * sizeof(uint32_t);
}

/* What the stock takes; the store's lock is held. */
size_t uz__block_stocked(const struct uz__zs *pool)
{
	return pool->store.nr_blocks * LARGEST;
}

static struct uz__block *stock_take(struct uz__zs *pool)
{
	struct spare *spare;

	uz_lock_acquire(&pool->store.lock);
	spare = pool->store.blocks;
	if (spare) {
		pool->store.blocks = spare->next;
		pool->store.nr_blocks--;
	}
	uz_lock_release(&pool->store.lock);
	return (struct uz__block *)spare;
}

/*
 * One for a zspage of the class, all empty; NULL: no memory. All of it is
 * written now, so that it does not fault later, under the class's lock.
 */
struct uz__block *uz__block_get(struct uz__zs *pool, const struct uz__class *c)
{
	struct uz__block *block = NULL;

	if (uz__reserve_pages(pool))
		block = stock_take(pool);
	if (!block)
		block = malloc(uz__block_size(pool, c));
	if (!block)
		return NULL;
	memset(block->used, 0, sizeof(block->used));
	memset(block->owner, 0xff, c->objects * sizeof(*block->owner));
	return block;
}

void uz__block_put(struct uz__zs *pool, struct uz__block *block)
{
	struct spare *spare = (struct spare *)block;

	if (!block)
		return;
	if (!uz__reserve_pages(pool)) {
		free(block);
		return;
	}
	uz_lock_acquire(&pool->store.lock);
	spare->next = pool->store.blocks;
	pool->store.blocks = spare;
	pool->store.nr_blocks++;
	uz_lock_release(&pool->store.lock);
}

/* The keeper's: let there be @nr in stock, and not many more. */
void uz__block_stock(struct uz__zs *pool, uint32_t nr)
{
	struct uz__store *s = &pool->store;
	struct uz__block *block;

	for (;;) {
		uint32_t have;

		uz_lock_acquire(&s->lock);
		have = s->nr_blocks;
		uz_lock_release(&s->lock);
		if (have >= nr && have <= 2 * nr)
			return;
		if (have > nr) {
			free(stock_take(pool));
			continue;
		}
		/* Heap that waits for memory would hold up all who map any. */
		block = uz_ahead_plenty(LARGEST) ? malloc(LARGEST) : NULL;
		if (!block)
			return;
		memset(block, 0, LARGEST);
		uz__block_put(pool, block);
	}
}

void uz__block_fini(struct uz__zs *pool)
{
	struct uz__block *block;

	while ((block = stock_take(pool)))
		free(block);
}
