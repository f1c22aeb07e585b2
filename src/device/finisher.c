// SPDX-License-Identifier: MIT
/*
 * Batches that are written are finished by a thread of their own: slots are
 * swapped, objects freed and emptied memory given back while the next batches
 * are packed. It is about half of the CPU time of writing back.
 *
 * It is help, no more: who packs finishes batches himself when he has nothing
 * else to do. So one batch alone wakes nobody, and where no thread can be had
 * all goes on without.
 *
 * The thread has a struct uz_io for its counters and never passes the gate: it
 * touches the device only while there are batches to be finished, and who gave
 * them to it stays inside of the gate until there are none (writeback.c).
 *
 * Locks: its own, a leaf, never held while a batch is being finished.
 */
#include <signal.h>

#include <uzram/util/ahead.h>

#include "finisher.h"

/* The lock is held. */
static struct uz__batch *pop_first(struct uz__finisher *f)
{
	struct uz__batch *b = f->first;

	if (b)
		f->first = b->next;
	return b;
}

static void *finisher_main(void *arg)
{
	struct uz__finisher *f = arg;
	struct uz__batch *b;

	uz_ahead_stack();
	uz_lock_acquire(&f->lock);
	while (!f->stop) {
		b = pop_first(f);
		if (!b) {
			pthread_cond_wait(&f->call, &f->lock.mutex);
			continue;
		}
		f->at_work = true;
		uz_lock_release(&f->lock);
		uz__batch_finish(b, f->io);
		uz_lock_acquire(&f->lock);
		f->at_work = false;
		b->next = f->done;
		f->done = b;
		pthread_cond_signal(&f->news);
	}
	uz_lock_release(&f->lock);
	return NULL;
}

void uz__finisher_start(struct uz__finisher *f, struct uz_device *dev)
{
	sigset_t all, before;
	int ret;

	uz_lock_init(&f->lock, UZ_LOCK_LEAF);
	pthread_cond_init(&f->call, NULL);
	pthread_cond_init(&f->news, NULL);
	if (uz__io_add(dev, &f->io))
		return;
	/* Signals are for the thread that the program has chosen. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&f->thread, NULL, finisher_main, f);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ret) {
		uz__io_remove(f->io);
		f->io = NULL;
		return;
	}
	pthread_setname_np(f->thread, "uz-finisher");
}

void uz__finisher_stop(struct uz__finisher *f)
{
	if (f->io) {
		uz_lock_acquire(&f->lock);
		f->stop = true;
		pthread_cond_signal(&f->call);
		uz_lock_release(&f->lock);
		pthread_join(f->thread, NULL);
		uz_io_destroy(f->io);
	}
	pthread_cond_destroy(&f->call);
	pthread_cond_destroy(&f->news);
	uz_lock_destroy(&f->lock);
}

void uz__finisher_give(struct uz__finisher *f, struct uz__batch *b, bool busy)
{
	uz_scoped_acquire(guard, &f->lock);

	b->next = NULL;
	if (f->first)
		f->last->next = b;
	else
		f->first = b;
	f->last = b;
	if (busy || f->first != b)
		pthread_cond_signal(&f->call);
}

struct uz__batch *uz__finisher_take(struct uz__finisher *f)
{
	uz_scoped_acquire(guard, &f->lock);

	return pop_first(f);
}

struct uz__batch *uz__finisher_done(struct uz__finisher *f, bool wait)
{
	uz_scoped_acquire(guard, &f->lock);
	struct uz__batch *done;

	while (wait && !f->done && f->at_work)
		pthread_cond_wait(&f->news, &f->lock.mutex);
	done = f->done;
	f->done = NULL;
	return done;
}
