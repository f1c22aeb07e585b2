// SPDX-License-Identifier: MIT
/*
 * Adoption: a new process takes over an arena. Nothing in the arena but the
 * objects' bytes is known to be right, and the refs come from a table that a
 * crashed process wrote, so each is checked against the geometry and against
 * those that came before; what no object needs goes back to the system.
 *
 * One thread works here before any other uses the pool, so no lock is taken.
 */
#include <errno.h>
#include <time.h>

#include <uzram/util/ahead.h>
#include <uzram/util/delay.h>

#include "zsmalloc_priv.h"

/* At what the kernel keeps for now; a second in all. */
#define TRIES	 80
#define PAUSE_NS 10000000

int uz__zs_adopt_object(struct uz_pool *base, uz_ref_t ref, uint32_t size,
			uint32_t owner)
{
	struct uz__zs *pool = uz__zs(base);
	unsigned int class, index;
	struct uz__block *block;
	struct uz__zspage *z;
	struct uz__class *c;
	uint32_t offset;

	if (!size || size > UZ_POOL_MAX_OBJECT || ref >= uz__arena_end(base))
		return -EUCLEAN;
	class = uz__class_number(pool, size);
	c = &pool->classes[class];
	z = &pool->zspages[uz__ref_window(pool, ref)];
	offset = uz__ref_offset(pool, ref);
	index = offset / c->size;
	if (offset % c->size || index >= c->objects)
		return -EUCLEAN;
	if (z->block && z->class != class)
		return -EUCLEAN;
	if (!z->block) {
		block = uz__block_get(pool, c);
		if (!block)
			return -ENOMEM;
		uz__zspage_open(pool, class, z, block);
		z->list = UZ__LIST_NONE;
		if (uz__ref_window(pool, ref) >= pool->store.bump)
			pool->store.bump = uz__ref_window(pool, ref) + 1;
	}
	if (z->block->used[index / 64] & UINT64_C(1) << index % 64)
		return -EUCLEAN;
	uz__zspage_take(c, z, index, owner);
	return 0;
}

/*
 * Parts of huge pages: who died may still be using them, as the kernel ends its
 * I/O and unmaps what it had. That passes; if it does not, the memfd holds a
 * little more than is counted until that is used. A device is not lost for it.
 */
static int punch(const struct uz_shm *shm, size_t off, size_t len)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };
	unsigned int tries = TRIES;
	int ret;

	while ((ret = uz_shm_punch(shm, off, len)) == -EAGAIN && --tries)
		nanosleep(&pause, NULL);
	return ret == -EAGAIN ? 0 : ret;
}

static int give_back(struct uz__zs *pool, uint64_t start, uint64_t end)
{
	return start < end ? punch(&pool->base.arena, start, end - start) : 0;
}

/*
 * Note which pages from @start to @end lie in live zspages; the other windows
 * they cover are given back.
 */
static int note_extent(struct uz__zs *pool, uint64_t start, uint64_t end)
{
	uint32_t size = pool->base.config.window_size;
	uint64_t unused = start; /* from here up to @at nobody needs it */
	uint64_t at, next, found;
	struct uz__zspage *z;
	int ret;

	for (at = start; at < end; at = next) {
		next = (at & ~(uint64_t)(size - 1)) + size;
		if (at / size >= pool->store.bump)
			break;
		z = &pool->zspages[at / size];
		if (!z->block)
			continue;
		ret = give_back(pool, unused, at);
		if (ret)
			return ret;
		unused = next;
		found = 0;
		for (; at < next && at < end; at += UZ_PAGE_SIZE)
			found |= UINT64_C(1) << at % size / UZ_PAGE_SIZE;
		uz__zspage_hold(&pool->classes[z->class], z, z->held | found,
				UZ__NOT_AHEAD);
	}
	return give_back(pool, unused, end);
}

/*
 * Of a live zspage keep the pages up to its last object: what lies between
 * its objects will be used again first. What an object needs and is not there
 * (never filled, or lost) is populated, so that what is charged is there.
 */
static int settle_pages(struct uz__zs *pool, struct uz__class *c,
			struct uz__zspage *z)
{
	uint64_t needed = uz__zspage_in_use(c, z);
	uint64_t span = uz__pages_span(needed);
	uint64_t missing = needed & ~z->held;
	int ret;

	ret = uz__zspage_each_run(pool, z, z->held & ~span, punch);
	if (ret)
		return ret;
	uz__zspage_hold(c, z, z->held & span, UZ__NOT_AHEAD);
	uz_delay(UZ_DELAY_SETTLED);
	ret = uz__zspage_populate(pool, z, missing);
	if (ret)
		return ret;
	/* Those that are there are mapped here on first use, or now. */
	if (uz_ahead())
		(void)!uz__zspage_populate(pool, z, z->held);
	uz__zspage_hold(c, z, z->held | needed, UZ__NOT_AHEAD);
	z->ready = z->held;
	uz__huge_note(pool, z);
	uz__limit_charge(&pool->base, uz__pages_count(z->held), true);
	return 0;
}

int uz__zs_adopt_end(struct uz_pool *base)
{
	struct uz__zs *pool = uz__zs(base);
	size_t start, end = 0;
	struct uz__class *c;
	struct uz__zspage *z;
	uint32_t w;
	int ret;

	while (!(
		ret = uz_shm_next_data(&pool->base.arena, end, &start, &end))) {
		ret = note_extent(pool, start, end);
		if (ret)
			return ret;
	}
	if (ret != -ENXIO)
		return ret;
	/* Downwards, so that the lowest free window is handed out first. */
	for (w = pool->store.bump; w-- > 0;) {
		z = &pool->zspages[w];
		if (!z->block) {
			uz__window_put(pool, z);
			continue;
		}
		c = &pool->classes[z->class];
		ret = settle_pages(pool, c, z);
		if (ret)
			return ret;
		uz__zspage_settle(pool, c, z);
	}
	return 0;
}
