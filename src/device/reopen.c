// SPDX-License-Identifier: MIT
/*
 * The store of a device whose memory was adopted: opened again, at once or,
 * if it is not there, later.
 *
 * Pieces are counted by table and store together: whoever takes a slot away
 * gives its piece up if there is a store. While it is missing nothing names
 * less of it than the slots do, and nobody holds any of it. So when it is
 * found the gate is closed, each piece that a slot names is held, and then the
 * store is set: who moves pages, whom the gate does not stop, cannot have one
 * that lies there without the store. Nor can pages come to lie there.
 *
 * The file is opened without any lock: that may take as long as it likes.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include <uzram/util/log.h>

#include "device_priv.h"
#include "reopen.h"

/* How long a successor waits for the store. */
#define REOPEN_MS      10000
#define REOPEN_STEP_MS 10

/*
 * The predecessor is dead, but what it had begun to write may still be under
 * way. Until that has ended the file is its own, and must be: what is free now
 * will soon be written anew.
 */
static int backing_await(const char *path, unsigned int ms,
			 struct uz_backing **store, struct uz_err *err)
{
	const struct timespec step = { .tv_nsec = REOPEN_STEP_MS * 1000000 };
	unsigned int tries = ms / REOPEN_STEP_MS;
	int ret;

	while ((ret = uz_backing_open(store, path, err)) == -EBUSY && tries--)
		nanosleep(&step, NULL);
	return ret;
}

static int backing_reopen(const struct uz__super_backing *sb, unsigned int ms,
			  struct uz_backing **store, struct uz_err *err)
{
	struct uz_backing_info info;
	int ret = backing_await(sb->path, ms, store, err);

	if (ret)
		return ret;
	uz_backing_info(*store, &info);
	if (info.dev == sb->dev && info.ino == sb->ino)
		return 0;
	uz_backing_close(*store);
	return uz_err_set(err, -ESTALE, "%s is another file than it was",
			  sb->path);
}

/*
 * The system is short of something, which says nothing of the store: a process
 * that tries again may have it, and until then nobody gets errors.
 */
static bool is_shortage(int ret)
{
	return ret == -ENOMEM || ret == -EAGAIN || ret == -EMFILE ||
	       ret == -ENFILE;
}

/**
 * uz__backing_adopt() - open the store that the superblock names, if any
 * @dev: being adopted; the table is not looked at yet
 * @err: the reason of a failure
 *
 * A store that is not there is told of in the log, and no failure.
 *
 * Context: uz_device_open(); no other thread.
 * Return:  0; -errno: the system is short of what it takes to open it.
 */
int uz__backing_adopt(struct uz_device *dev, struct uz_err *err)
{
	struct uz__super_backing *sb = &dev->ctl->backing;
	struct uz_backing *store;
	struct uz_err why = { 0 };
	int ret;

	sb->path[UZ_BACKING_PATH_MAX] = '\0';
	if (!sb->path[0])
		return 0;
	ret = backing_reopen(sb, REOPEN_MS, &store, &why);
	if (is_shortage(ret))
		return uz_err_set(err, ret,
				  "cannot open the backing store of %s: %s",
				  dev->name, why.text);
	if (!ret)
		uz__backing_install(dev, store);
	else
		uz_log(UZ_LOG_ERR,
		       "%s: its backing store is not there: %s; pages that lie in it cannot be read until it is, which is looked for every few seconds",
		       dev->name, why.text);
	return 0;
}

/* Configuration lock held. */
static bool is_missing(const struct uz_device *dev)
{
	return dev->ctl->backing.path[0] && !atomic_load(&dev->backing);
}

/* A slot may name what a store that was cut off has not: that is not held. */
static void hold_pieces(const struct uz_device *dev, struct uz_backing *store)
{
	uint64_t nr = uz_table_pages(dev->table), i;

	for (i = 0; (i = uz_table_next(dev->table, i)) < nr; i++) {
		uz_slot_t w = uz_table_load(dev->table, i);

		if (uz_slot_valid(w) && uz_slot_kind(w) == UZ_SLOT_BACKED)
			(void)!uz_backing_hold(
				store, uz_slot_ref(w) * UZ_REF_UNIT,
				uz__piece_bytes(uz_slot_size(w)));
	}
}

static void take_store(struct uz_device *dev, struct uz_backing *store)
{
	if (dev->table) {
		uz__gate_close(dev);
		hold_pieces(dev, store);
	}
	uz__backing_install(dev, store);
	if (dev->table)
		uz__gate_open(dev);
	uz__room_update(dev, false);
	uz_log(UZ_LOG_NOTICE, "%s: its backing store is there again: %s",
	       dev->name, dev->ctl->backing.path);
}

/* True: there is a store to be looked for, which @sb names. */
static bool look_for(struct uz_device *dev, struct uz__super_backing *sb)
{
	uz_scoped_acquire(guard, &dev->lock);

	*sb = dev->ctl->backing;
	return is_missing(dev);
}

/* What was opened without the lock: is it wanted? */
static int found(struct uz_device *dev, const struct uz__super_backing *sb,
		 struct uz_backing *store)
{
	uz_scoped_acquire(guard, &dev->lock);

	if (!is_missing(dev) || strcmp(sb->path, dev->ctl->backing.path) != 0 ||
	    sb->dev != dev->ctl->backing.dev ||
	    sb->ino != dev->ctl->backing.ino) {
		uz_backing_close(store);
		return 0;
	}
	/* It has met with pages that could not be held. */
	if (dev->snapshot) {
		uz_backing_close(store);
		return -EBUSY;
	}
	take_store(dev, store);
	return 0;
}

int uz_device_retry_backing(struct uz_device *dev)
{
	struct uz__super_backing sb;
	struct uz_backing *store;
	int ret;

	if (!look_for(dev, &sb))
		return 0;
	ret = backing_reopen(&sb, 0, &store, NULL);
	if (ret)
		return ret;
	ret = found(dev, &sb, store);
	uz__room_settle(dev);
	return ret;
}
