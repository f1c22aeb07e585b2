// SPDX-License-Identifier: MIT
/*
 * Blocks of the backing store of which little is used any more are emptied.
 *
 * Several objects share a block, which is free when the last of them has gone.
 * Where pages are overwritten at random, many a block holds one object that
 * nobody changes. When free blocks become few, such objects come back to
 * memory, marked as idle, so that the next one who looks for cold pages writes
 * them back again, together with others.
 *
 * That is a promotion (backed.c) for which nobody has asked. It is done
 * by whoever makes room, right after he has written pages back, and no more of
 * it than half of the bytes that have left: so there is less in memory in any
 * case, and at most twice as much is written to the store as without. Where
 * there is a limit of what may be written nothing is done.
 *
 * Inside the gate; no lock is held.
 */
#include <errno.h>

#include <uzram/util/delay.h>

#include "device_priv.h"

/* Free blocks are few when they are less than one in so many; chosen. */
#define FEW 8

/* An object that takes more of a block is not worth being written again. */
#define LARGEST (UZ_BLOCK_SIZE / 4 * 3)

/* In one go, as a reset waits for it: slots looked at, objects read. */
#define LOOKED_AT (UINT64_C(1) << 16)
#define OBJECTS	  256

static bool is_wanted(struct uz_device *dev)
{
	/* A store once set stays while the device has a size. */
	struct uz_backing *store = atomic_load(&dev->backing);
	struct uz_backing_info info;

	if (!store || uz_device_backing_setting(dev, UZ_BACKING_LIMITED))
		return false;
	uz_backing_info(store, &info);
	return info.blocks - info.used < info.blocks / FEW;
}

static bool is_sparse(struct uz_device *dev, uz_slot_t w)
{
	return uz_slot_kind(w) == UZ_SLOT_BACKED && uz_slot_valid(w) &&
	       uz__piece_bytes(uz_slot_size(w)) <= LARGEST &&
	       uz__backed_alone(dev, w);
}

/* The object that the slot's piece holds, in @local. */
static int fetch(struct uz_io *io, uint64_t index, const struct uz__pinned *p)
{
	int err = uz__backed_read(io->dev, p->slot, io->local);

	uz_delay(UZ_DELAY_FETCHED);
	if (err)
		return err;
	return uz__object_intact(uz_slot_from_backing(p->slot, 0), io->local,
				 index)
		       ? 0
		       : -EIO;
}

/* 0, or why it stays where it is. */
static int bring_back(struct uz_io *io, uint64_t index, uint64_t *bytes)
{
	struct uz__pinned p;
	int err = uz__pin(io, index, &p);

	if (!err && p.held) {
		err = fetch(io, index, &p);
		if (!err)
			err = uz__backed_take(io, index, &p, UZ_SLOT_IDLE);
		if (!err) {
			*bytes += uz__piece_bytes(uz_slot_size(p.slot));
			uz__count(io, gathered_pages, 1);
		}
	}
	uz__unpin(io, &p);
	return err;
}

/**
 * uz__gather() - have objects that are alone in their blocks come back
 * @io:   this thread's context; its @local is used
 * @next: the page to be looked at next; moved on, around the device
 * @nr:   pages of the device
 * @most: bytes of objects
 *
 * Only when few blocks are free. One that cannot be read stays where it is.
 *
 * Context: the thread of @io, inside the gate; reads from the store.
 */
void uz__gather(struct uz_io *io, uint64_t *next, uint64_t nr, uint64_t most)
{
	struct uz_device *dev = io->dev;
	uint64_t looked = 0, bytes = 0;
	unsigned int objects = 0;
	int err = 0;

	if (!is_wanted(dev))
		return;
	while (err != -ENOSPC && bytes < most && objects < OBJECTS &&
	       looked++ < LOOKED_AT) {
		*next = uz_table_next(dev->table, *next);
		if (*next >= nr) {
			*next = 0;
			return;
		}
		if (is_sparse(dev, uz_table_load(dev->table, *next))) {
			err = bring_back(io, *next, &bytes);
			objects++;
		}
		++*next;
	}
}
