// SPDX-License-Identifier: MIT
/*
 * One thread's way into a device: its scratch pages, codec contexts and
 * counters, and the gate that lets reset wait for requests under way.
 *
 * The gate: a thread makes its own turn odd, then reads nr_pages; reset sets
 * nr_pages to 0, then reads every turn. Both sides store first and load
 * afterwards, all sequentially consistent: so either the thread sees that the
 * device is gone, or reset sees the thread and waits. Nothing is shared
 * between threads on the way in but nr_pages, which hardly ever changes.
 * In the same way, who changes what requests read (the codec for new stores)
 * and then waits for each odd turn to pass knows that no request uses what
 * was there before.
 * Page workers never pass the gate: crew.c says why they need not.
 *
 * The gate can also be closed for a moment (uz__gate_close()), by a bit beside
 * nr_pages, in the same order: then whoever comes makes its turn even again and
 * waits for a lock that is held until the gate is open. Movers, which change
 * where pages lie and not what they hold, come and go all the same.
 *
 * Contexts of all codecs in use are made when the thread joins, when the
 * device gets its size and when a codec is added, all under the configuration
 * lock; no request allocates. A context that is added while requests run is
 * there for every thread before any can hear of its codec, from the device or
 * from a slot; both are read with sequential consistency. One is taken away
 * only after every request that might still know of its codec has ended.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include <uzram/util/ahead.h>

#include "device_priv.h"

/* Looks at the flags before the first sleep: most requests end soon. */
#define DRAIN_YIELDS 100

uint64_t uz__io_enter(struct uz_io *io)
{
	struct uz_device *dev = io->dev;
	uint32_t turn;
	uint64_t nr;

	for (;;) {
		/* relaxed: nobody else writes it. */
		turn = atomic_load_explicit(&io->turn, memory_order_relaxed);
		atomic_store(&io->turn, turn + 1);
		nr = atomic_load(&dev->nr_pages);
		if (uz_likely(!(nr & UZ__GATE_CLOSED)))
			return nr;
		/* It may be what a request that has to end waits for. */
		if (io->mover)
			return nr & ~UZ__GATE_CLOSED;
		uz__io_leave(io);
		uz_lock_acquire(&dev->gate);
		uz_lock_release(&dev->gate);
	}
}

void uz__io_leave(struct uz_io *io)
{
	uint32_t turn = atomic_load_explicit(&io->turn, memory_order_relaxed);

	/* release: all that the request did is done when reset sees this. */
	atomic_store_explicit(&io->turn, turn + 1, memory_order_release);
}

/* Without @movers: whoever changes where pages lie, and no more, may go on. */
void uz__io_drain(struct uz_device *dev, bool movers)
{
	const struct timespec pause = { .tv_nsec = 200000 };
	unsigned int yields = 0, i;

	for (i = 0; i < UZ_IO_MAX; i++) {
		if (dev->ios[i] && dev->ios[i]->mover && !movers)
			continue;
		while (dev->ios[i] && atomic_load(&dev->ios[i]->turn) % 2) {
			if (yields++ < DRAIN_YIELDS)
				sched_yield();
			else
				nanosleep(&pause, NULL);
		}
	}
}

void uz__io_quiesce(struct uz_device *dev)
{
	const struct timespec pause = { .tv_nsec = 50000 };
	unsigned int i;

	for (i = 0; i < UZ_IO_MAX; i++) {
		uint32_t turn;

		if (!dev->ios[i])
			continue;
		turn = atomic_load(&dev->ios[i]->turn);
		while (turn % 2 && atomic_load(&dev->ios[i]->turn) == turn)
			nanosleep(&pause, NULL);
	}
}

/**
 * uz__gate_close() - have no request under way
 * @dev: it has a size
 *
 * Those that come wait for uz__gate_open().
 *
 * Context: configuration lock held; sleeps until those under way have ended.
 */
void uz__gate_close(struct uz_device *dev)
{
	uz_lock_acquire(&dev->gate);
	atomic_fetch_or(&dev->nr_pages, UZ__GATE_CLOSED);
	uz__io_drain(dev, false);
}

void uz__gate_open(struct uz_device *dev)
{
	/*
	 * seq_cst, the gate: what was changed meanwhile is seen by who enters.
	 */
	atomic_fetch_and(&dev->nr_pages, ~UZ__GATE_CLOSED);
	uz_lock_release(&dev->gate);
}

static void io_drop_contexts(struct uz_io *io)
{
	unsigned int i;

	for (i = 0; i < UZ_SLOT_CODECS; i++) {
		uz_codec_ctx_destroy(io->ctx[i]);
		io->ctx[i] = NULL;
	}
}

static int io_make_contexts(struct uz_io *io)
{
	const struct uz_device *dev = io->dev;
	unsigned int i;
	int err;

	for (i = 0; i < UZ_SLOT_CODECS; i++) {
		if (!dev->codecs[i].ops || io->ctx[i] || uz__dict_lost(dev, i))
			continue;
		err = uz_codec_ctx_create(&dev->codecs[i], dev->dicts[i].ready,
					  &io->ctx[i]);
		if (err)
			return err;
	}
	return 0;
}

int uz__io_make_contexts(struct uz_device *dev)
{
	unsigned int i;
	int err;

	for (i = 0; i < UZ_IO_MAX; i++) {
		if (!dev->ios[i])
			continue;
		err = io_make_contexts(dev->ios[i]);
		if (err) {
			uz__io_drop_contexts(dev);
			return err;
		}
	}
	return 0;
}

void uz__io_drop_contexts(struct uz_device *dev)
{
	unsigned int i;

	for (i = 0; i < UZ_IO_MAX; i++) {
		if (dev->ios[i])
			io_drop_contexts(dev->ios[i]);
	}
}

int uz__io_make_context(struct uz_device *dev, unsigned int index,
			const struct uz_codec *codec)
{
	unsigned int i;
	int err;

	for (i = 0; i < UZ_IO_MAX; i++) {
		if (!dev->ios[i])
			continue;
		err = uz_codec_ctx_create(codec, dev->dicts[index].ready,
					  &dev->ios[i]->ctx[index]);
		if (err) {
			uz__io_drop_context(dev, index);
			return err;
		}
	}
	uz_ahead_program();
	return 0;
}

void uz__io_drop_context(struct uz_device *dev, unsigned int index)
{
	unsigned int i;

	for (i = 0; i < UZ_IO_MAX; i++) {
		if (!dev->ios[i])
			continue;
		uz_codec_ctx_destroy(dev->ios[i]->ctx[index]);
		dev->ios[i]->ctx[index] = NULL;
	}
}

int uz__io_add(struct uz_device *dev, struct uz_io **io)
{
	struct uz_io *n;
	unsigned int id;
	int err = 0;

	for (id = 0; id < UZ_IO_MAX && dev->ios[id]; id++)
		;
	if (id == UZ_IO_MAX)
		return -EBUSY;
	n = aligned_alloc(UZ_CACHELINE, sizeof(*n));
	if (!n)
		return -ENOMEM;
	*n = (struct uz_io){
		.dev = dev,
		.cnt = &dev->ctl->counters[id + 1],
		.id = id,
		.untimed = UZ_LATENCY_EVERY,
		.soon = UZ_PAGE_NONE,
		.later = UZ_PAGE_NONE,
		.pulse = dev->pulses ? &dev->pulses[id] : &n->unseen,
	};
	if (dev->table)
		err = io_make_contexts(n);
	if (err) {
		io_drop_contexts(n);
		free(n);
		return err;
	}
	dev->ios[id] = n;
	*io = n;
	return 0;
}

void uz__io_remove(struct uz_io *io)
{
	uz__stat_fold(io->dev, io->cnt);
	uz__latency_fold(io->dev, io);
	uz_pulse_end(io->pulse);
	io->dev->ios[io->id] = NULL;
	io_drop_contexts(io);
	free(io);
}

int uz_io_create(struct uz_device *dev, struct uz_io **io)
{
	uz_scoped_acquire(guard, &dev->lock);

	return uz__io_add(dev, io);
}

void uz_io_buffer(struct uz_io *io, const void *mem, size_t size)
{
	uz_scoped_acquire(guard, &io->dev->lock);

	io->mem = mem;
	io->size = size;
}

void uz_io_destroy(struct uz_io *io)
{
	if (!io)
		return;

	uz_scoped_acquire(guard, &io->dev->lock);

	uz__io_remove(io);
}
