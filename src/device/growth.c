// SPDX-License-Identifier: MIT
/*
 * A device that becomes larger while it is used.
 *
 * What is sized by the number of pages (table, arena, the pool's bookkeeping,
 * times of last use) lies in address space that was reserved for more, so it
 * grows where it is: no thread ever sees it move, and the path of a page
 * neither takes a lock nor looks at anything that it did not look at before.
 * Requests learn of the new pages from the gate's nr_pages alone, which is
 * stored last.
 *
 * The order, for a process that dies at any of these steps:
 *
 *  1. The pool has all that it needs for a larger arena, and the superblock
 *     gets its new size. A successor maps more of it than was used. Not before
 *     the pool has it: what this process cannot have, a successor might not get
 *     either, and would need to open the device at all.
 *  2. The pool may use it. Places beyond the old end are given out from now on,
 *     to stores of pages that there are already, so 1 has to come first.
 *  3. The table's memfd gets longer. A successor that maps less of it finds
 *     what it had: nobody has written beyond the old end.
 *  4. The superblock gets the new disksize. A successor has that size.
 *  5. nr_pages: requests do, here. Slots beyond the old end are used only now,
 *     so 4 has to come first.
 *
 * What fails leaves room that nobody uses, and can be tried again.
 *
 * The configuration lock is held throughout: no reset, no snapshot begins
 * meanwhile. One that is under way stays what it was (snapshot.c). What is kept
 * ready for stores (struct uz_device_mem) grows with the next process only.
 */
#include <errno.h>
#include <string.h>

#include <uzram/util/ahead.h>
#include <uzram/util/delay.h>

#include "device_priv.h"

/*
 * Of what a page has: 8 of the table, 4 for its last use, 6 of the pool's
 * descriptors; and some for page tables.
 */
#define PAGE_BYTES 24

/*
 * Steps 1 and 2. The pool publishes its new end by a release, so whoever places
 * something there does so after the superblock was written.
 */
static int grow_arena(struct uz_device *dev, uint64_t disksize)
{
	uint64_t *size = &dev->ctl->super.arena_size;
	const uint64_t before = *size;
	struct uz_pool_config more;
	int ret;

	uz_pool_config_default(&more, disksize);
	if (more.arena_size <= before)
		return 0;
	ret = uz_pool_grow_ready(dev->pool, more.arena_size);
	if (ret)
		return ret;
	*size = more.arena_size;
	uz_delay(UZ_DELAY_ARENA);
	/* It does not fail any more. If it did, nobody would use the rest. */
	ret = uz_pool_grow(dev->pool, more.arena_size);
	if (ret)
		return ret;
	/* relaxed: no more than a hint (expect.c). */
	atomic_store_explicit(&dev->ref_end, more.arena_size / UZ_REF_UNIT,
			      memory_order_relaxed);
	return 0;
}

static int grow(struct uz_device *dev, uint64_t disksize)
{
	const uint64_t nr_pages = disksize / UZ_PAGE_SIZE;
	int ret;

	ret = uz__ages_grow(dev, nr_pages);
	if (!ret)
		ret = grow_arena(dev, disksize);
	if (!ret)
		ret = uz_table_grow(dev->table, nr_pages);
	if (ret)
		return ret;
	uz_delay(UZ_DELAY_TABLE);
	/* release: a successor that finds the size finds arena and table. */
	atomic_store_explicit(&dev->ctl->super.disksize, disksize,
			      memory_order_release);
	uz_delay(UZ_DELAY_SIZED);
	/*
	 * seq_cst, the gate: who enters by this number sees all that was done.
	 */
	atomic_store(&dev->nr_pages, nr_pages);
	return 0;
}

static int no_room(struct uz_device *dev, uint64_t size, struct uz_err *err)
{
	return uz_err_set(
		err, -ENOMEM,
		"cannot grow %s to %llu bytes: this worker has address space for %llu at most, one that follows it (uzramctl upgrade) for 16 times what there is then",
		dev->name, (unsigned long long)size,
		(unsigned long long)uz_table_most(dev->table) * UZ_PAGE_SIZE);
}

/* Where nothing may wait for memory, the thread that would populate may not. */
static int no_memory(struct uz_device *dev, uint64_t size, uint64_t more,
		     struct uz_err *err)
{
	return uz_err_set(
		err, -ENOMEM,
		"cannot grow %s to %llu bytes: with swap=on %llu bytes must be free, to be made ready for its pages; have less in use, or try again later",
		dev->name, (unsigned long long)size, (unsigned long long)more);
}

int uz_device_grow(struct uz_device *dev, uint64_t size, struct uz_err *err)
{
	uz_scoped_acquire(guard, &dev->lock);
	const unsigned long long bytes = size;
	uint64_t now = uz_device_disksize(dev), more;
	int ret;

	if (!now)
		return uz_err_set(err, -EINVAL, "%s has no size", dev->name);
	if (!size || size > UZ_DISKSIZE_MAX)
		return uz_err_set(
			err, -EINVAL,
			"cannot set disksize of %s to %llu bytes: it must be more than 0, and at most 16 TiB",
			dev->name, bytes);
	size = (size + UZ_PAGE_SIZE - 1) & ~(uint64_t)(UZ_PAGE_SIZE - 1);
	if (size < now)
		return uz_err_set(
			err, -EBUSY,
			"cannot set disksize of %s to %llu bytes: it has %llu, and a device in use can grow but not shrink; reset it first",
			dev->name, bytes, (unsigned long long)now);
	if (size == now)
		return 0;
	if (size / UZ_PAGE_SIZE > uz_table_most(dev->table))
		return no_room(dev, size, err);
	more = (size - now) / UZ_PAGE_SIZE * PAGE_BYTES;
	if (!uz_ahead_plenty(more))
		return no_memory(dev, size, more, err);
	ret = grow(dev, size);
	if (ret)
		return uz_err_set(
			err, ret,
			"cannot grow %s to %llu bytes: %s; it stays as large as it was",
			dev->name, bytes,
			ret == -ENOMEM ? "no memory, or no address space"
				       : strerror(-ret));
	return 0;
}
