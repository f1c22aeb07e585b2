// SPDX-License-Identifier: MIT
/*
 * Which blocks are free, and how many users the others have.
 *
 * Two bytes a block, in memory that the system provides when a block is first
 * used: a store may be far larger than what it will ever hold. Beside them the
 * number of free blocks of each group, so that the search does not look into
 * groups that are full. The search goes on where the last one ended: what was
 * written together lies together, and a block that became free rests as long
 * as there are others.
 *
 * All under one lock, which is held for moments: no system call is made under
 * it but for the page fault of a counter's first use.
 */
#include <errno.h>
#include <sys/mman.h>

#include "backing_priv.h"

static uint64_t groups(const struct uz_backing *b)
{
	return (b->blocks + UZ__GROUP - 1) / UZ__GROUP;
}

static size_t users_size(const struct uz_backing *b)
{
	return b->blocks * sizeof(*b->users);
}

static size_t vacant_size(const struct uz_backing *b)
{
	return groups(b) * sizeof(*b->vacant);
}

static void *reserve(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int uz__space_create(struct uz_backing *b)
{
	uint64_t i;

	b->users = reserve(users_size(b));
	b->vacant = reserve(vacant_size(b));
	if (!b->users || !b->vacant)
		return -ENOMEM;
	for (i = 0; i < groups(b); i++)
		b->vacant[i] = UZ__GROUP;
	if (b->blocks % UZ__GROUP)
		b->vacant[i - 1] = (uint16_t)(b->blocks % UZ__GROUP);
	return 0;
}

void uz__space_destroy(struct uz_backing *b)
{
	if (b->users)
		munmap(b->users, users_size(b));
	if (b->vacant)
		munmap(b->vacant, vacant_size(b));
}

/* The lock is held, here and below. */
static void block_get(struct uz_backing *b, uint64_t block)
{
	if (b->users[block]++)
		return;
	b->vacant[block / UZ__GROUP]--;
	b->used++;
}

static void block_put(struct uz_backing *b, uint64_t block)
{
	if (--b->users[block])
		return;
	b->vacant[block / UZ__GROUP]++;
	b->used--;
}

/* The first free block from @at on, or the end. */
static uint64_t find_free(const struct uz_backing *b, uint64_t at)
{
	while (at < b->blocks) {
		if (!b->vacant[at / UZ__GROUP])
			at = (at / UZ__GROUP + 1) * UZ__GROUP;
		else if (b->users[at])
			at++;
		else
			return at;
	}
	return b->blocks;
}

int uz_backing_reserve(struct uz_backing *b, uint32_t nr, struct uz_run *run)
{
	uz_scoped_acquire(guard, &b->lock);
	uint64_t at = find_free(b, b->cursor);

	if (at == b->blocks)
		at = find_free(b, 0);
	if (at == b->blocks)
		return -ENOSPC;
	run->block = at;
	for (run->nr = 0; run->nr < nr && at < b->blocks && !b->users[at];
	     run->nr++)
		block_get(b, at++);
	b->cursor = at;
	return 0;
}

void uz_backing_release(struct uz_backing *b, const struct uz_run *run)
{
	uz_scoped_acquire(guard, &b->lock);
	uint32_t i;

	for (i = 0; i < run->nr; i++)
		block_put(b, run->block + i);
}

int uz_backing_hold(struct uz_backing *b, uint64_t offset, uint32_t length)
{
	uint64_t first = offset / UZ_BLOCK_SIZE, block;
	uint64_t end = (offset + length + UZ_BLOCK_SIZE - 1) / UZ_BLOCK_SIZE;

	if (!length || end > b->blocks)
		return -EUCLEAN;

	uz_scoped_acquire(guard, &b->lock);

	for (block = first; block < end; block++)
		if (b->users[block] == UINT16_MAX)
			return -EUCLEAN;
	for (block = first; block < end; block++)
		block_get(b, block);
	return 0;
}

void uz_backing_drop(struct uz_backing *b, uint64_t offset, uint32_t length)
{
	uint64_t block = offset / UZ_BLOCK_SIZE;
	uint64_t end = (offset + length + UZ_BLOCK_SIZE - 1) / UZ_BLOCK_SIZE;

	uz_scoped_acquire(guard, &b->lock);

	for (; block < end; block++)
		block_put(b, block);
}

uint32_t uz_backing_users(struct uz_backing *b, uint64_t block)
{
	uz_scoped_acquire(guard, &b->lock);

	return b->users[block];
}

void uz_backing_info(struct uz_backing *b, struct uz_backing_info *info)
{
	uz_scoped_acquire(guard, &b->lock);

	*info = (struct uz_backing_info){
		.blocks = b->blocks,
		.used = b->used,
		/* relaxed: numbers for people */
		.written =
			atomic_load_explicit(&b->written, memory_order_relaxed),
		.read = atomic_load_explicit(&b->read, memory_order_relaxed),
		.dev = b->dev,
		.ino = b->ino,
	};
}
