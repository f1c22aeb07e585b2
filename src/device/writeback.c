// SPDX-License-Identifier: MIT
/*
 * Pages go to the backing store, some MiB at a time.
 *
 * A *batch* is a run of blocks and the objects that are to lie in it, one
 * behind the other, each from a multiple of eight bytes on. Where the pool
 * allows it the objects stay mapped and are written from where they lie;
 * otherwise each is copied while it is mapped. Several batches are under way
 * at a time. When a *group* of them was written it is made durable, once, and
 * only then is each slot swapped, from the very word that was mapped to the
 * one that names the piece. So a page that was overwritten, dropped, marked or
 * moved meanwhile keeps its object, and the piece is given up; and whoever is
 * killed at any moment leaves either the object in memory or a piece that is
 * durable. What its slots do not name is free for a successor.
 *
 * The run's holder is a user of its blocks until the group ends; each piece is
 * held for its slot before the slot names it.
 *
 * No lock is held across anything that sleeps. Each group is a request that
 * passes the gate (io.c): reset waits for its end, and the next one finds that
 * the device is another.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <uzram/util/delay.h>

#include "device_priv.h"

#define RUN_BLOCKS 64u /* 256 KiB */
#define PIECES	   512u

/* Runs that are too short for the next object, one after the other. */
#define SHORT_RUNS 64

/* Slots that one call looks at: reset waits for it. */
#define LOOKED_AT (UINT64_C(1) << 20)

/*
 * struct piece - an object on its way
 * @map:   pin on the object, where it may be held
 * @old:   the word that names it in the pool
 * @slot:  the word that will name the piece
 * @index: its page
 */
struct piece {
	struct uz_map map;
	uz_slot_t old;
	uz_slot_t slot;
	uint64_t index;
};

/*
 * struct batch - a run that is being filled and written
 * @run:     its blocks
 * @budget:  blocks taken out of the limit
 * @nr:      pieces
 * @bytes:   that they take
 * @write:   of all of them
 * @iov:     each of them; changed by the write
 * @pieces:  likewise
 * @copy:    RUN_BLOCKS blocks, where objects cannot stay mapped
 */
struct batch {
	struct uz_run run;
	uint32_t budget;
	unsigned int nr;
	uint32_t bytes;
	struct uz_write write;
	struct iovec iov[PIECES];
	struct piece pieces[PIECES];
	unsigned char *copy;
};

/*
 * struct uz_writeback - one thread's context
 * @dev:       the device
 * @io:        its way into it
 * @store:     the device's, until it is reset
 * @writer:    queue of writes
 * @resets:    of the device when this was made
 * @depth:     writes under way, at most
 * @under_way: now
 * @nr:        batches in this group, the one that is being filled included
 * @filling:   the last one takes more
 * @most:      bytes that the group is to take, all of cold pages; 0: what fits
 * @taken:     bytes that it has
 * @small:     there are no two free blocks in a row for it
 * @batches:   made when first needed
 */
struct uz_writeback {
	struct uz_device *dev;
	struct uz_io *io;
	struct uz_backing *store;
	struct uz_writer *writer;
	uint64_t resets;
	unsigned int depth;
	unsigned int under_way;
	unsigned int nr;
	bool filling;
	uint64_t most;
	uint64_t taken;
	bool small;
	struct batch *batches[UZ_WRITEBACK_DEPTH];
};

/* ---- which pages ---- */

static bool is_wanted(const struct uz_writeback_want *want, uz_slot_t w)
{
	enum uz_slot_kind kind = uz_slot_kind(w);
	uint32_t size = uz_slot_size(w);

	if ((kind != UZ_SLOT_OBJECT && kind != UZ_SLOT_RAW) ||
	    !uz_slot_valid(w) || size < want->smallest || size > want->largest)
		return false;
	return !(want->kinds & UZ_WRITEBACK_HUGE && kind != UZ_SLOT_RAW) &&
	       !(want->kinds & UZ_WRITEBACK_IDLE && !(w & UZ_SLOT_IDLE)) &&
	       !(want->kinds & UZ_WRITEBACK_INCOMPRESSIBLE &&
		 !(w & UZ_SLOT_INCOMPRESSIBLE));
}

/* ---- the limit ---- */

/* Takes up to @blocks out of the limit; 0: it is used up. */
static uint32_t budget_take(struct uz_device *dev, uint32_t blocks)
{
	_Atomic uint64_t *limit = &dev->ctl->backing.settings[UZ_BACKING_LIMIT];
	uint64_t left, take;

	if (!uz_device_backing_setting(dev, UZ_BACKING_LIMITED))
		return blocks;
	/* relaxed, also below: a number that orders nothing. */
	left = atomic_load_explicit(limit, memory_order_relaxed);
	do {
		take = left < blocks ? left : blocks;
	} while (!atomic_compare_exchange_weak_explicit(
		limit, &left, left - take, memory_order_relaxed,
		memory_order_relaxed));
	return (uint32_t)take;
}

static void budget_return(struct uz_device *dev, uint32_t blocks)
{
	if (uz_device_backing_setting(dev, UZ_BACKING_LIMITED))
		atomic_fetch_add_explicit(
			&dev->ctl->backing.settings[UZ_BACKING_LIMIT], blocks,
			memory_order_relaxed);
}

/* ---- filling a batch ---- */

static uint32_t batch_blocks(const struct batch *b)
{
	return (b->bytes + UZ_BLOCK_SIZE - 1) / UZ_BLOCK_SIZE;
}

/* The first run found that has room for an object of so many bytes. */
static int run_reserve(struct uz_backing *store, uint32_t blocks, uint32_t need,
		       struct uz_run *run)
{
	unsigned int tries = SHORT_RUNS;
	int err = -ENOSPC;

	while (tries--) {
		err = uz_backing_reserve(store, blocks, run);
		if (err || run->nr * UZ_BLOCK_SIZE >= need)
			return err;
		uz_backing_release(store, run);
	}
	return -ENOSPC;
}

static struct batch *batch_make(const struct uz_device *dev)
{
	struct batch *b = malloc(sizeof(*b));

	if (!b)
		return NULL;
	b->copy = dev->direct ? NULL : malloc(RUN_BLOCKS * UZ_BLOCK_SIZE);
	if (dev->direct || b->copy)
		return b;
	free(b);
	return NULL;
}

/* The next batch of the group, with room for @need bytes at least. */
static int batch_begin(struct uz_writeback *wb, uint32_t need)
{
	struct batch **place = &wb->batches[wb->nr];
	struct batch *b;
	int err;

	if (!*place)
		*place = batch_make(wb->dev);
	b = *place;
	if (!b)
		return -ENOMEM;
	b->nr = 0;
	b->bytes = 0;
	b->budget = budget_take(wb->dev, RUN_BLOCKS);
	err = b->budget * UZ_BLOCK_SIZE < need
		      ? -EDQUOT
		      : run_reserve(wb->store, b->budget, need, &b->run);
	if (err) {
		budget_return(wb->dev, b->budget);
		return err;
	}
	wb->nr++;
	wb->filling = true;
	return 0;
}

static struct uz_write *write_done(struct uz_writeback *wb)
{
	struct uz_write *write = uz_writer_wait(wb->writer);

	if (write)
		wb->under_way--;
	return write;
}

/* No more pieces: write it. What it did not need can be used by others. */
static void batch_end(struct uz_writeback *wb)
{
	struct batch *b;

	if (!wb->filling)
		return;
	wb->filling = false;
	b = wb->batches[wb->nr - 1];
	budget_return(wb->dev, b->budget - batch_blocks(b));
	b->budget = batch_blocks(b);
	b->write = (struct uz_write){
		.iov = b->iov,
		.nr = b->nr,
		.offset = b->run.block * UZ_BLOCK_SIZE,
		.length = b->bytes,
	};
	if (!b->nr)
		return;
	if (wb->under_way == wb->depth)
		write_done(wb);
	uz_writer_submit(wb->writer, &b->write);
	wb->under_way++;
	uz_delay(UZ_DELAY_SENT);
}

static bool batch_takes(const struct uz_writeback *wb, uint32_t need)
{
	const struct batch *b;

	if (!wb->filling)
		return false;
	b = wb->batches[wb->nr - 1];
	return b->nr < PIECES && b->bytes + need <= b->run.nr * UZ_BLOCK_SIZE;
}

/*
 * Have the slot's object in the batch, if the slot is still the same: mapped
 * as pinned.c says, word for word.
 */
static void batch_add(struct uz_writeback *wb, uint64_t index, uz_slot_t w)
{
	struct uz_pool *pool = wb->dev->pool;
	struct batch *b = wb->batches[wb->nr - 1];
	struct piece *p = &b->pieces[b->nr];
	uint32_t length = uz__piece_bytes(uz_slot_size(w));
	uint64_t at = b->run.block * UZ_BLOCK_SIZE + b->bytes;
	void *base;

	if (!uz__slot_sound(wb->dev, w))
		return;
	uz_pool_map(pool, uz_slot_ref(w), &p->map);
	if (uz_table_load(wb->dev->table, index) != w) {
		uz_pool_unmap(pool, &p->map);
		return;
	}
	base = (void *)p->map.bytes;
	if (!wb->dev->direct) {
		uint32_t bytes = uz__object_bytes(uz_slot_size(w));
		const void *from;

		base = b->copy + b->bytes;
		from = uz_pool_view(pool, &p->map, bytes, base);
		if (from && from != base)
			memcpy(base, from, bytes);
		memset((char *)base + bytes, 0, length - bytes);
		uz_pool_unmap(pool, &p->map);
		if (!from)
			return;
	}
	p->old = w;
	p->slot = uz_slot_to_backing(w, at / UZ_REF_UNIT);
	p->index = index;
	b->iov[b->nr] = (struct iovec){ base, length };
	b->bytes += length;
	b->nr++;
	wb->taken += length;
}

/* -EAGAIN: this group takes no more. */
static int page_add(struct uz_writeback *wb, uint64_t index, uz_slot_t w)
{
	uint32_t need = uz__piece_bytes(uz_slot_size(w));
	int err;

	if (!batch_takes(wb, need)) {
		batch_end(wb);
		if (wb->nr == UZ_WRITEBACK_DEPTH)
			return -EAGAIN;
		err = batch_begin(wb, need);
		if (err)
			return err;
	}
	batch_add(wb, index, w);
	return 0;
}

/* ---- the end of a group ---- */

/* Durable: the slot is to name the piece. */
static bool piece_swap(struct uz_writeback *wb, const struct batch *b,
		       const struct piece *p)
{
	uint64_t at = uz_slot_ref(p->slot) * UZ_REF_UNIT;
	struct uz_device *dev = wb->dev;

	if (uz__backed_hold(dev, p->slot))
		return false;
	uz_delay(UZ_DELAY_WRITTEN);
	if (dev->direct ? uz_table_swap(dev->table, p->index, p->old, p->slot)
			: uz__copied_swap(wb->io, p->index, p->old,
					  b->copy + at -
						  b->run.block * UZ_BLOCK_SIZE,
					  p->slot))
		return true;
	uz__backed_free(dev, p->slot);
	return false;
}

static void piece_end(struct uz_writeback *wb, const struct batch *b,
		      const struct piece *p, bool durable,
		      struct uz_writeback_done *done)
{
	struct uz_device *dev = wb->dev;
	bool swapped = durable && piece_swap(wb, b, p);

	if (dev->direct)
		uz_pool_unmap(dev->pool, &p->map);
	if (swapped) {
		uz__stat_move(wb->io->cnt, p->old, p->slot);
		uz_pool_free(dev->pool, uz_slot_ref(p->old));
		uz__count(wb->io, written_back_pages, 1);
		done->pages++;
	} else if (durable) {
		uz__count(wb->io, writeback_changed, 1);
		done->changed++;
	} else {
		uz__count(wb->io, writeback_failed, 1);
		done->failed++;
	}
}

static void batch_finish(struct uz_writeback *wb, struct batch *b, int err,
			 struct uz_writeback_done *done)
{
	unsigned int i;

	if (b->nr && !err)
		uz__count(wb->io, written_blocks, b->budget);
	for (i = 0; i < b->nr; i++)
		piece_end(wb, b, &b->pieces[i], !err, done);
	if (err)
		budget_return(wb->dev, b->budget);
	uz_backing_release(wb->store, &b->run);
}

/* From the lowest byte that was written to the highest. */
static int group_sync(struct uz_writeback *wb)
{
	uint64_t from = UINT64_MAX, to = 0;
	unsigned int i;

	for (i = 0; i < wb->nr; i++) {
		const struct batch *b = wb->batches[i];
		uint64_t at = b->run.block * UZ_BLOCK_SIZE;

		if (!b->nr || b->write.result)
			continue;
		from = at < from ? at : from;
		to = at + b->bytes > to ? at + b->bytes : to;
	}
	return to ? uz_writer_sync(wb->writer, from, to - from) : 0;
}

static int group_end(struct uz_writeback *wb, struct uz_writeback_done *done)
{
	unsigned int i;
	int sync, err = 0;

	batch_end(wb);
	while (write_done(wb))
		;
	sync = group_sync(wb);
	uz_delay(UZ_DELAY_SYNCED);
	for (i = 0; i < wb->nr; i++) {
		int ret = wb->batches[i]->nr ? wb->batches[i]->write.result : 0;

		if (!ret)
			ret = sync;
		batch_finish(wb, wb->batches[i], ret, done);
		if (!err)
			err = ret;
	}
	wb->nr = 0;
	return err;
}

/* It may lie in no less than two blocks in a row. */
static bool is_large(uz_slot_t w)
{
	return uz__piece_bytes(uz_slot_size(w)) > UZ_BLOCK_SIZE;
}

/* A page that is not marked is, and has another chance. */
static bool is_cold(struct uz_writeback *wb, uint64_t index, uz_slot_t w)
{
	if (!wb->most)
		return true;
	if (w & UZ_SLOT_IDLE)
		return !wb->small || !is_large(w);
	uz__idle_set(wb->dev, index);
	return false;
}

static bool group_takes(const struct uz_writeback *wb)
{
	return !wb->most || wb->taken < wb->most;
}

static int group_run(struct uz_writeback *wb,
		     const struct uz_writeback_want *want, uint64_t *next,
		     uint64_t end, struct uz_writeback_done *done)
{
	const struct uz_table *table = wb->dev->table;
	uint64_t stop = *next + LOOKED_AT;
	int err = 0, ret;

	wb->depth = UZ_WRITEBACK_DEPTH;
	if (uz_device_backing_setting(wb->dev, UZ_BACKING_BATCH) < wb->depth)
		wb->depth = (unsigned int)uz_device_backing_setting(
			wb->dev, UZ_BACKING_BATCH);
	if (!wb->depth)
		wb->depth = 1;
	if (stop > end)
		stop = end;
	wb->taken = 0;
	wb->small = false;
	while (!err && group_takes(wb) &&
	       (*next = uz_table_next(table, *next)) < stop) {
		uz_slot_t w = uz_table_load(table, *next);

		if (is_wanted(want, w) && is_cold(wb, *next, w))
			err = page_add(wb, *next, w);
		if (err == -ENOSPC && wb->most && is_large(w)) {
			/* There may be single blocks that are free. */
			wb->small = true;
			err = 0;
		}
		if (!err)
			++*next;
	}
	ret = group_end(wb, done);
	return ret ? ret : err == -EAGAIN ? 0 : err;
}

bool uz__writeback_same(const struct uz_writeback *wb, uint64_t nr)
{
	return nr && wb->dev->resets == wb->resets;
}

struct uz_io *uz__writeback_io(struct uz_writeback *wb)
{
	return wb->io;
}

int uz__writeback_cold(struct uz_writeback *wb, uint64_t bytes, uint64_t *next,
		       uint64_t end, struct uz_writeback_done *done)
{
	const struct uz_writeback_want any = { 0, 1, UZ_PAGE_SIZE };
	int ret;

	wb->most = bytes;
	ret = group_run(wb, &any, next, end, done);
	wb->most = 0;
	return ret;
}

int uz_writeback_some(struct uz_writeback *wb,
		      const struct uz_writeback_want *want, uint64_t *next,
		      uint64_t end, struct uz_writeback_done *done)
{
	uint64_t nr = uz__io_enter(wb->io);
	int ret = -ENODEV;

	if (uz__writeback_same(wb, nr))
		ret = group_run(wb, want, next, end < nr ? end : nr, done);
	uz__io_leave(wb->io);
	if (!ret && *next >= nr)
		*next = end;
	return ret;
}

uint64_t uz_writeback_count(struct uz_writeback *wb,
			    const struct uz_writeback_want *want, uint64_t from,
			    uint64_t end)
{
	uint64_t nr = uz__io_enter(wb->io), pages = 0;
	const struct uz_table *table = wb->dev->table;

	if (uz__writeback_same(wb, nr)) {
		end = end < nr ? end : nr;
		while ((from = uz_table_next(table, from)) < end)
			pages += is_wanted(want, uz_table_load(table, from++));
	}
	uz__io_leave(wb->io);
	return pages;
}

/* ---- life ---- */

int uz_writeback_create(struct uz_writeback **wb, struct uz_device *dev,
			struct uz_err *err)
{
	uz_scoped_acquire(guard, &dev->lock);
	struct uz_writeback *w;
	int ret;

	if (!dev->table)
		return uz_err_set(err, -EINVAL, "the device has no size");
	if (!atomic_load(&dev->backing))
		return uz_err_set(
			err, -ENODEV,
			"the device has no backing store; write its path to backing_dev");
	w = calloc(1, sizeof(*w));
	if (!w)
		return uz_err_set(err, -ENOMEM, "no memory");
	w->dev = dev;
	w->store = atomic_load(&dev->backing);
	w->resets = dev->resets;
	ret = uz_writer_create(&w->writer, w->store, UZ_WRITEBACK_DEPTH);
	if (!ret)
		ret = uz__io_add(dev, &w->io);
	if (ret) {
		uz_writer_destroy(w->writer);
		free(w);
		return uz_err_set(err, ret, "no thread more can use %s: %s",
				  dev->name, strerror(-ret));
	}
	w->io->mover = true;
	*wb = w;
	return 0;
}

void uz_writeback_destroy(struct uz_writeback *wb)
{
	unsigned int i;

	if (!wb)
		return;
	for (i = 0; i < UZ_WRITEBACK_DEPTH && wb->batches[i]; i++) {
		free(wb->batches[i]->copy);
		free(wb->batches[i]);
	}
	uz_writer_destroy(wb->writer);
	uz_io_destroy(wb->io);
	free(wb);
}
