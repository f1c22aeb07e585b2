// SPDX-License-Identifier: MIT
/*
 * Pages go to the backing store, batch after batch (batch.c), several of which
 * are under way at a time. What is written is finished by another thread
 * (finisher.c) while this one packs more, as far as there is one.
 *
 * A *group* is what one call does. Where a write that is done is on the device
 * (uz_backing_direct()) each batch is finished as soon as it is written, and
 * another one takes its place: memory is given up while more is written.
 * Otherwise a group is as many batches as there are, which are made durable
 * together when all are written, and finished then.
 *
 * Slots are swapped only after that, so whoever is killed at any moment leaves
 * either the object in memory or a piece that can be relied on. What its slots
 * do not name is free for a successor.
 *
 * No lock is held across anything that sleeps. Each group is a request that
 * passes the gate (io.c): reset waits for its end, and the next one finds that
 * the device is another.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <uzram/util/delay.h>

#include "finisher.h"

#define NS_PER_S UINT64_C(1000000000)

/* Pages; chosen. */
#define AHEAD 2

/* Slots that one call looks at: reset waits for it. */
#define LOOKED_AT (UINT64_C(1) << 20)

/*
 * A group of more batches than there are takes no longer: reset waits for it.
 * Its end, when nothing is left to be packed and the last writes are waited
 * for, is a small part of that.
 */
#define GROUP_NS (NS_PER_S / 10)

/*
 * struct uz_writeback - one thread's context
 * @dev:       the device
 * @io:        its way into it
 * @store:     the device's, until it is reset
 * @writer:    queue of writes
 * @resets:    of the device when this was made
 * @finisher:  finishes what was written
 * @all:       batches that there are
 * @depth:     writes under way, at most
 * @under_way: now
 * @begun:     batches in this group
 * @until:     when it takes no more
 * @filling:   takes more, or NULL
 * @unsynced:  written, but not yet durable
 * @idle:      take part in nothing
 * @err:       the group's first error of the store
 * @most:      bytes that the group is to take, all of cold pages; 0: what fits
 * @taken:     bytes that it has
 * @small:     there are no two blocks in a row for it: large pages are passed
 *             over, others may do with single ones
 * @done:      where to count
 */
struct uz_writeback {
	struct uz_device *dev;
	struct uz_io *io;
	struct uz_backing *store;
	struct uz_writer *writer;
	uint64_t resets;
	struct uz__finisher finisher;
	struct uz__batch *all;
	unsigned int depth;
	unsigned int under_way;
	unsigned int begun;
	uint64_t until;
	struct uz__batch *filling;
	struct uz__batch *unsynced;
	struct uz__batch *idle;
	int err;
	uint64_t most;
	uint64_t taken;
	bool small;
	struct uz_writeback_done *done;
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

/* ---- batches ---- */

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void push(struct uz__batch **list, struct uz__batch *b)
{
	b->next = *list;
	*list = b;
}

static struct uz__batch *pop(struct uz__batch **list)
{
	struct uz__batch *b = *list;

	if (b)
		*list = b->next;
	return b;
}

/* It takes part in nothing any more. */
static void retire(struct uz_writeback *wb, struct uz__batch *b)
{
	wb->done->pages += b->did.pages;
	wb->done->bytes += b->did.bytes;
	wb->done->changed += b->did.changed;
	wb->done->failed += b->did.failed;
	if (!wb->err)
		wb->err = b->err;
	push(&wb->idle, b);
}

/* False: nobody is finishing any. */
static bool retire_finished(struct uz_writeback *wb, bool wait)
{
	struct uz__batch *done = uz__finisher_done(&wb->finisher, wait);

	if (!done)
		return false;
	while (done)
		retire(wb, pop(&done));
	return true;
}

/* False: there is none to be finished that somebody else is not at. */
static bool finish_one(struct uz_writeback *wb)
{
	struct uz__batch *b = uz__finisher_take(&wb->finisher);

	if (!b)
		return false;
	uz__batch_finish(b, wb->io);
	retire(wb, b);
	return true;
}

/* @busy: this thread has to pack, and will not finish it itself. */
static void written(struct uz_writeback *wb, struct uz_write *write, bool busy)
{
	struct uz__batch *b =
		(struct uz__batch *)((char *)write -
				     offsetof(struct uz__batch, write));

	wb->under_way--;
	if (!uz_backing_direct(wb->store)) {
		push(&wb->unsynced, b);
		return;
	}
	uz_delay(UZ_DELAY_SYNCED);
	b->err = write->result;
	uz__finisher_give(&wb->finisher, b, busy);
}

/* False: nothing is under way. */
static bool await_one(struct uz_writeback *wb, bool busy)
{
	struct uz_write *write = uz_writer_wait(wb->writer);

	if (write)
		written(wb, write, busy);
	return write;
}

/* Hand over what is written by now. */
static void look_for_written(struct uz_writeback *wb)
{
	struct uz_write *write;

	while ((write = uz_writer_look(wb->writer)))
		written(wb, write, true);
}

/*
 * Something of the group goes on, by this thread if it can; false: there is
 * nothing left of it but what waits to be durable.
 */
static bool go_on(struct uz_writeback *wb)
{
	return finish_one(wb) || await_one(wb, false) ||
	       retire_finished(wb, true);
}

static bool group_is_over(const struct uz_writeback *wb)
{
	if (wb->begun < UZ_WRITEBACK_DEPTH)
		return false;
	return !uz_backing_direct(wb->store) || clock_ns() > wb->until;
}

/*
 * The next batch of the group, with room for @need bytes at least; -EAGAIN:
 * this group takes no more. None and 0: it takes small pages only from now on.
 */
static int batch_begin(struct uz_writeback *wb, uint32_t need)
{
	int err;

	if (group_is_over(wb))
		return -EAGAIN;
	/* A group leaves fewer unsynced than there are, so this ends. */
	retire_finished(wb, false);
	while (!wb->idle)
		go_on(wb);
	err = uz__batch_begin(wb->idle, need);
	if (err && wb->idle->tight) {
		wb->small = true;
		wb->done->skipped = err;
		return 0;
	}
	if (err)
		return err;
	wb->filling = pop(&wb->idle);
	wb->begun++;
	return 0;
}

/* No more pieces: write it. */
static void batch_end(struct uz_writeback *wb)
{
	struct uz__batch *b = wb->filling;

	if (!b)
		return;
	wb->filling = NULL;
	uz__batch_close(b);
	if (!b->nr) {
		b->err = 0;
		uz__batch_finish(b, wb->io);
		retire(wb, b);
		return;
	}
	if (wb->under_way == wb->depth)
		await_one(wb, true);
	uz_writer_submit(wb->writer, &b->write);
	wb->under_way++;
	uz_delay(UZ_DELAY_SENT);
	look_for_written(wb);
}

static int page_add(struct uz_writeback *wb, uint64_t index, uz_slot_t w)
{
	uint32_t need = uz__piece_bytes(uz_slot_size(w));
	int err;

	if (!wb->filling || !uz__batch_takes(wb->filling, need)) {
		batch_end(wb);
		err = batch_begin(wb, need);
		if (err || !wb->filling)
			return err;
	}
	wb->taken += uz__batch_add(wb->filling, index, w);
	return 0;
}

/* ---- groups ---- */

static void group_begin(struct uz_writeback *wb, struct uz_writeback_done *done)
{
	uint64_t depth = uz_device_backing_setting(wb->dev, UZ_BACKING_BATCH);

	if (depth > UZ_WRITEBACK_DEPTH)
		depth = UZ_WRITEBACK_DEPTH;
	wb->depth = depth ? (unsigned int)depth : 1;
	wb->begun = 0;
	wb->until = clock_ns() + GROUP_NS;
	wb->err = 0;
	wb->taken = 0;
	wb->small = false;
	wb->done = done;
}

/* From the lowest byte that was written to the highest. */
static int group_sync(struct uz_writeback *wb)
{
	uint64_t from = UINT64_MAX, to = 0;
	const struct uz__batch *b;

	for (b = wb->unsynced; b; b = b->next) {
		uint64_t at = b->run.block * UZ_BLOCK_SIZE;

		if (b->write.result)
			continue;
		from = at < from ? at : from;
		to = at + b->bytes > to ? at + b->bytes : to;
	}
	return to ? uz_writer_sync(wb->writer, from, to - from) : 0;
}

static int group_end(struct uz_writeback *wb)
{
	struct uz__batch *b;
	int sync;

	batch_end(wb);
	while (go_on(wb))
		;
	if (!wb->unsynced)
		return wb->err;
	sync = group_sync(wb);
	uz_delay(UZ_DELAY_SYNCED);
	while ((b = pop(&wb->unsynced))) {
		b->err = b->write.result ? b->write.result : sync;
		uz__finisher_give(&wb->finisher, b, false);
	}
	while (go_on(wb))
		;
	return wb->err;
}

/* It may lie in no less than two blocks in a row. */
static bool is_large(uz_slot_t w)
{
	return uz__piece_bytes(uz_slot_size(w)) > UZ_BLOCK_SIZE;
}

/* A page that is not marked is, and has another chance. */
static bool is_cold(struct uz_writeback *wb, uint64_t index, uz_slot_t w)
{
	if (!wb->most || w & UZ_SLOT_IDLE)
		return true;
	uz__idle_set(wb->dev, index);
	return false;
}

static bool has_room(const struct uz_writeback *wb, uz_slot_t w)
{
	return !wb->small || !is_large(w);
}

static bool group_takes(const struct uz_writeback *wb)
{
	return !wb->most || wb->taken < wb->most;
}

/* Objects lie anywhere: have the next ones on their way from memory. */
static void look_ahead(const struct uz_writeback *wb,
		       const struct uz_writeback_want *want, uint64_t index,
		       uint64_t stop)
{
	uz_slot_t w;

	if (stop - index <= AHEAD)
		return;
	w = uz_table_load(wb->dev->table, index + AHEAD);
	if (is_wanted(want, w))
		uz__slot_prefetch(wb->dev, w, UZ_PAGE_SIZE);
}

static int group_run(struct uz_writeback *wb,
		     const struct uz_writeback_want *want, uint64_t *next,
		     uint64_t end, struct uz_writeback_done *done)
{
	const struct uz_table *table = wb->dev->table;
	uint64_t stop = *next + LOOKED_AT;
	int err = 0, ret;

	if (stop > end)
		stop = end;
	group_begin(wb, done);
	while (!err && !wb->err && group_takes(wb) &&
	       (*next = uz_table_next(table, *next)) < stop) {
		uz_slot_t w = uz_table_load(table, *next);

		look_ahead(wb, want, *next, stop);
		if (is_wanted(want, w) && is_cold(wb, *next, w) &&
		    has_room(wb, w))
			err = page_add(wb, *next, w);
		if (!err)
			++*next;
	}
	ret = group_end(wb);
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
	unsigned int i;
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
	w->all = uz__batches_create(dev, w->store);
	ret = w->all ? uz_writer_create(&w->writer, w->store,
					UZ_WRITEBACK_DEPTH)
		     : -ENOMEM;
	if (!ret)
		ret = uz__io_add(dev, &w->io);
	if (ret) {
		uz_writer_destroy(w->writer);
		uz__batches_destroy(w->all);
		free(w);
		return uz_err_set(err, ret, "no thread more can use %s: %s",
				  dev->name, strerror(-ret));
	}
	for (i = UZ__BATCHES; i--;)
		push(&w->idle, &w->all[i]);
	w->io->mover = true;
	uz__finisher_start(&w->finisher, dev);
	*wb = w;
	return 0;
}

void uz_writeback_destroy(struct uz_writeback *wb)
{
	if (!wb)
		return;
	uz__finisher_stop(&wb->finisher);
	uz_writer_destroy(wb->writer);
	uz__batches_destroy(wb->all);
	uz_io_destroy(wb->io);
	free(wb);
}
