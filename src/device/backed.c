// SPDX-License-Identifier: MIT
/*
 * Pages on the backing store: which store that is, reading them from there,
 * and letting them go.
 *
 * A piece of the store belongs to the slot that names it, which is one user of
 * the blocks that it touches; a reader is one more while he reads (pinned.c).
 * Whoever takes the word out of the slot gives the piece up, by the same call
 * as a reader: counts do not know whose they are.
 *
 * The pointer to the store is set under the configuration lock while the
 * device may be in use, before any slot can name a piece of it, and cleared
 * only when there are no slots. So who has found such a slot has the store, or
 * it could not be opened when the memory was adopted, nor since (reopen.c).
 *
 * A successor finds path and identity in the superblock's second page: the
 * path's first letter is written last, and cleared first.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <uzram/util/cleanup.h>
#include <uzram/util/delay.h>

#include "device_priv.h"
#include "reopen.h"

#define BATCH_DEFAULT 32

static uint64_t piece_offset(uz_slot_t slot)
{
	return uz_slot_ref(slot) * UZ_REF_UNIT;
}

static uint32_t piece_length(uz_slot_t slot)
{
	return uz__piece_bytes(uz_slot_size(slot));
}

/* The store that the slot's piece lies in; NULL when there is none. */
static struct uz_backing *piece_store(const struct uz_device *dev,
				      uz_slot_t slot)
{
	/* acquire: with what it points to. */
	struct uz_backing *store =
		atomic_load_explicit(&dev->backing, memory_order_acquire);

	if (!store || !uz_slot_valid(slot) ||
	    piece_offset(slot) + piece_length(slot) > dev->backing_end)
		return NULL;
	return store;
}

/* ---- pieces ---- */

/**
 * uz__backed_hold() - one more user of a slot's piece of the store
 * @dev:  the device
 * @slot: of kind UZ_SLOT_BACKED
 *
 * Context: any thread; takes a leaf lock.
 * Return:  0; -EIO there is no such store, or no such piece.
 */
int uz__backed_hold(struct uz_device *dev, uz_slot_t slot)
{
	struct uz_backing *store = piece_store(dev, slot);

	if (!store)
		return -EIO;
	return uz_backing_hold(store, piece_offset(slot), piece_length(slot))
		       ? -EIO
		       : 0;
}

/**
 * uz__backed_free() - one user less
 * @dev:  the device
 * @slot: of kind UZ_SLOT_BACKED; held, or just taken out of the table
 *
 * Context: any thread; takes a leaf lock.
 */
void uz__backed_free(struct uz_device *dev, uz_slot_t slot)
{
	struct uz_backing *store = piece_store(dev, slot);

	uz_delay(UZ_DELAY_GIVEN);
	if (store)
		uz_backing_drop(store, piece_offset(slot), piece_length(slot));
}

/**
 * uz__backed_read() - the object behind a slot
 * @dev:   the device
 * @slot:  held
 * @bytes: UZ_POOL_MAX_OBJECT bytes
 *
 * Context: any thread; sleeps.
 * Return:  0 or -EIO.
 */
int uz__backed_read(struct uz_device *dev, uz_slot_t slot, void *bytes)
{
	return uz_backing_read(piece_store(dev, slot), piece_offset(slot),
			       bytes, uz__object_bytes(uz_slot_size(slot)))
		       ? -EIO
		       : 0;
}

/**
 * uz__backed_fetch() - the same for a request, which may have to wait for it
 * @io:    this thread's context
 * @slot:  held
 * @bytes: UZ_POOL_MAX_OBJECT bytes
 *
 * Context: the thread of @io; sleeps.
 * Return:  0 or -EIO.
 */
int uz__backed_fetch(struct uz_io *io, uz_slot_t slot, void *bytes)
{
	int err;

	uz_pulse_wait(io->pulse);
	err = uz__backed_read(io->dev, slot, bytes);
	uz_pulse_go_on(io->pulse);
	return err;
}

/**
 * uz__backed_decode() - the page of a slot that is held on the store
 * @io:    this thread's context; its @local is filled with the object
 * @p:     from uz__pin(), @held
 * @index: the page
 * @page:  UZ_PAGE_SIZE bytes
 *
 * Context: the thread of @io; sleeps.
 * Return:  0 or -EIO; then @page is undefined.
 */
int uz__backed_decode(struct uz_io *io, const struct uz__pinned *p,
		      uint64_t index, void *page)
{
	uint64_t at = piece_offset(p->slot);
	uint64_t last = at + uz__object_bytes(uz_slot_size(p->slot)) - 1;
	int err = uz__backed_fetch(io, p->slot, io->local);

	uz__count(io, read_blocks,
		  last / UZ_BLOCK_SIZE - at / UZ_BLOCK_SIZE + 1);
	uz__count(io, read_back_pages, 1);
	if (err)
		return uz__unreadable(io, index);
	uz_delay(UZ_DELAY_FETCHED);
	return uz__object_decode(io, uz_slot_from_backing(p->slot, 0),
				 io->local, index, page);
}

/**
 * uz__backed_take() - have an object that was just read in memory again
 * @io:    this thread's context, whose @local has the object
 * @index: the page
 * @p:     from uz__pin(), held, and stays so
 * @flags: of the slot, more than it has: UZ_SLOT_IDLE or 0
 *
 * Only where there is room without moving anything. The object must be intact.
 *
 * Context: the thread of @io.
 * Return:  0; -ENOSPC no room; -EAGAIN the slot has changed meanwhile.
 */
int uz__backed_take(struct uz_io *io, uint64_t index,
		    const struct uz__pinned *p, uz_slot_t flags)
{
	struct uz_device *dev = io->dev;
	uint32_t bytes = uz__object_bytes(uz_slot_size(p->slot));
	uz_slot_t slot;
	uz_ref_t ref;

	if (uz_pool_alloc(dev->pool, bytes, (uint32_t)index, 0, &ref))
		return -ENOSPC;
	uz_pool_write(dev->pool, ref, 0, io->local, bytes);
	slot = uz_slot_flags(uz_slot_from_backing(p->slot, ref), flags, 0);
	if (!uz_table_swap(dev->table, index, p->slot, slot)) {
		uz_pool_free(dev->pool, ref);
		return -EAGAIN;
	}
	uz__stat_move(io->cnt, p->slot, slot);
	/* The slot's own share; the reader's goes with its pin. */
	uz__backed_free(dev, p->slot);
	return 0;
}

/**
 * uz__backed_promote() - have the page that was just read in memory again
 * @io:    this thread's context, after uz__backed_decode()
 * @index: the page
 * @p:     still held
 *
 * Only where that is wanted, and if uz__backed_take() can.
 *
 * Context: the thread of @io.
 */
void uz__backed_promote(struct uz_io *io, uint64_t index,
			const struct uz__pinned *p)
{
	if (uz_device_backing_setting(io->dev, UZ_BACKING_PROMOTE) &&
	    !uz__backed_take(io, index, p, 0))
		uz__count(io, promoted_pages, 1);
}

/**
 * uz__backed_alone() - is a slot's piece the last one of some block?
 * @dev:  the device
 * @slot: of kind UZ_SLOT_BACKED
 *
 * True a moment ago: nothing is held.
 *
 * Context: any thread; takes a leaf lock.
 */
bool uz__backed_alone(struct uz_device *dev, uz_slot_t slot)
{
	struct uz_backing *store = piece_store(dev, slot);
	uint64_t block = piece_offset(slot) / UZ_BLOCK_SIZE;
	uint64_t last =
		(piece_offset(slot) + piece_length(slot) - 1) / UZ_BLOCK_SIZE;

	for (; store && block <= last; block++)
		if (uz_backing_users(store, block) == 1)
			return true;
	return false;
}

/* ---- the store ---- */

/**
 * uz__backing_install() - the device has this store
 * @dev:   configuration lock held, or no other thread; has none
 * @store: what slots name of it is held already, or will be before any request
 *
 * Context: as said.
 */
void uz__backing_install(struct uz_device *dev, struct uz_backing *store)
{
	struct uz_backing_info info;

	uz_backing_info(store, &info);
	dev->backing_end = info.blocks * UZ_BLOCK_SIZE;
	/* release: who finds the store finds its end, and the store. */
	atomic_store_explicit(&dev->backing, store, memory_order_release);
}

static void backing_remove(struct uz_device *dev)
{
	struct uz__super_backing *sb = &dev->ctl->backing;

	sb->path[0] = '\0';
	uz_backing_close(atomic_load(&dev->backing));
	atomic_store(&dev->backing, NULL);
	dev->backing_end = 0;
}

static void backing_record(struct uz_device *dev, const char *path)
{
	struct uz__super_backing *sb = &dev->ctl->backing;
	struct uz_backing_info info;

	uz_backing_info(atomic_load(&dev->backing), &info);
	sb->dev = info.dev;
	sb->ino = info.ino;
	strcpy(sb->path + 1, path + 1);
	/* release: a successor that finds the first letter finds the rest. */
	__atomic_store_n(&sb->path[0], path[0], __ATOMIC_RELEASE);
}

static int set_backing(struct uz_device *dev, const char *path,
		       struct uz_err *err)
{
	uz_scoped_acquire(guard, &dev->lock);
	bool present = dev->ctl->backing.path[0];
	struct uz_backing *store;
	int ret;

	if (dev->table && present)
		return uz_err_set(
			err, -EBUSY,
			"cannot change the backing store of %s: its pages may lie in %s; reset the device first",
			dev->name, dev->ctl->backing.path);
	if (path && strlen(path) > UZ_BACKING_PATH_MAX)
		return uz_err_set(err, -EINVAL,
				  "a path of more than %d letters",
				  UZ_BACKING_PATH_MAX);
	if (!path) {
		backing_remove(dev);
		return 0;
	}
	if (present && !strcmp(path, dev->ctl->backing.path) &&
	    atomic_load(&dev->backing))
		return 0;
	ret = uz_backing_open(&store, path, err);
	if (ret)
		return ret;
	backing_remove(dev);
	uz__backing_install(dev, store);
	backing_record(dev, path);
	uz__room_update(dev, false);
	return 0;
}

int uz_device_set_backing(struct uz_device *dev, const char *path,
			  struct uz_err *err)
{
	int ret = set_backing(dev, path, err);

	uz__room_settle(dev);
	return ret;
}

void uz_device_backing(struct uz_device *dev,
		       char path[UZ_BACKING_PATH_MAX + 1])
{
	uz_scoped_acquire(guard, &dev->lock);

	strcpy(path, dev->ctl->backing.path);
}

/* Relaxed: each is a number by itself. */
void uz_device_set_backing_setting(struct uz_device *dev,
				   enum uz_backing_setting which,
				   uint64_t value)
{
	atomic_store_explicit(&dev->ctl->backing.settings[which], value,
			      memory_order_relaxed);
}

uint64_t uz_device_backing_setting(const struct uz_device *dev,
				   enum uz_backing_setting which)
{
	return atomic_load_explicit(&dev->ctl->backing.settings[which],
				    memory_order_relaxed);
}

/**
 * uz__backing_reset() - no store, and the settings of a new device
 * @dev: no request is under way; configuration lock held
 *
 * Context: as said.
 */
void uz__backing_reset(struct uz_device *dev)
{
	backing_remove(dev);
	uz_device_set_backing_setting(dev, UZ_BACKING_LIMITED, 0);
	uz_device_set_backing_setting(dev, UZ_BACKING_LIMIT, 0);
	uz_device_set_backing_setting(dev, UZ_BACKING_BATCH, BATCH_DEFAULT);
	uz_device_set_backing_setting(dev, UZ_BACKING_PROMOTE, 0);
	uz_device_set_backing_setting(dev, UZ_BACKING_LOW, UZ_ROOM_LOW);
	uz_device_set_backing_setting(dev, UZ_BACKING_HIGH, UZ_ROOM_HIGH);
}

/* ---- check ---- */

/* One page: count its users, and look at its object. */
static const char *check_piece(struct uz_device *dev, uz_slot_t w,
			       uint64_t index, uint16_t *users)
{
	uint64_t at = piece_offset(w), length = piece_length(w), block;
	unsigned char copy[UZ_POOL_MAX_OBJECT];
	struct uz_backing *store = piece_store(dev, w);

	if (!store)
		return "its piece lies beyond the end of the store";
	for (block = at / UZ_BLOCK_SIZE;
	     block <= (at + length - 1) / UZ_BLOCK_SIZE; block++)
		users[block]++;
	if (uz_backing_read(store, at, copy, uz__object_bytes(uz_slot_size(w))))
		return "its piece of the store cannot be read";
	return uz__object_intact(w, copy, index)
		       ? NULL
		       : "the checksum of its piece of the store is wrong";
}

static int check_users(struct uz_device *dev, const uint16_t *users,
		       struct uz_err *err)
{
	struct uz_backing *store = atomic_load(&dev->backing);
	uint64_t block;

	for (block = 0; block < dev->backing_end / UZ_BLOCK_SIZE; block++) {
		uint32_t has = uz_backing_users(store, block);

		if (has != users[block])
			return uz_err_set(
				err, -EUCLEAN,
				"%s, block %llu of the store: %u users, slots name it %u times",
				dev->name, (unsigned long long)block, has,
				users[block]);
	}
	return 0;
}

/**
 * uz__backing_check() - do the store and the table agree?
 * @dev: nothing is under way; configuration lock held; has a size
 * @err: what does not
 *
 * Context: as said; reads every piece.
 * Return:  0, -EUCLEAN or -ENOMEM.
 */
int uz__backing_check(struct uz_device *dev, struct uz_err *err)
{
	uint64_t nr = uz_table_pages(dev->table), i = 0;
	uz_autofree uint16_t *users = NULL;
	const char *wrong;
	uz_slot_t w;

	if (!atomic_load(&dev->backing))
		return 0;
	users = calloc(dev->backing_end / UZ_BLOCK_SIZE, sizeof(*users));
	if (!users)
		return uz_err_set(err, -ENOMEM, "no memory to check %s",
				  dev->name);
	for (; (i = uz_table_next(dev->table, i)) < nr; i++) {
		w = uz_table_load(dev->table, i);
		if (uz_slot_kind(w) != UZ_SLOT_BACKED)
			continue;
		wrong = check_piece(dev, w, i, users);
		if (wrong)
			return uz_err_set(err, -EUCLEAN, "%s, page %llu: %s",
					  dev->name, (unsigned long long)i,
					  wrong);
	}
	return check_users(dev, users, err);
}
