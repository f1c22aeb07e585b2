/* SPDX-License-Identifier: MIT */
#ifndef UZ_DEVICE_FINISHER_H
#define UZ_DEVICE_FINISHER_H

#include <pthread.h>

#include "batch.h"

/* ---- finisher.c ---- */

/*
 * struct uz__finisher - a thread that finishes batches
 * @io:      its way into the device; NULL: there is no thread
 * @thread:  itself
 * @lock:    guards what follows; a leaf
 * @call:    there is work, or an end
 * @news:    a batch is finished
 * @first:   of those to be finished, the oldest
 * @last:    the newest, if there is any
 * @done:    finished
 * @at_work: on one batch now
 * @stop:    it is to end
 */
struct uz__finisher {
	struct uz_io *io;
	pthread_t thread;
	struct uz_lock lock;
	pthread_cond_t call;
	pthread_cond_t news;
	struct uz__batch *first;
	struct uz__batch *last;
	struct uz__batch *done;
	bool at_work;
	bool stop;
};

/* Configuration lock held. Without a thread, whoever asks does the work. */
void uz__finisher_start(struct uz__finisher *f, struct uz_device *dev);

/* No lock held; nothing is left to be finished. */
void uz__finisher_stop(struct uz__finisher *f);

/*
 * @b is written, or could not be. @busy: who gives it has other work and does
 * not finish it himself.
 */
void uz__finisher_give(struct uz__finisher *f, struct uz__batch *b, bool busy);

/* One that nobody has begun to finish: the caller does. NULL: there is none. */
struct uz__batch *uz__finisher_take(struct uz__finisher *f);

/*
 * All that are finished, as a list. @wait: for one at least, if the thread is
 * at work.
 */
struct uz__batch *uz__finisher_done(struct uz__finisher *f, bool wait);

#endif
