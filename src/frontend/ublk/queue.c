// SPDX-License-Identifier: MIT
/*
 * A thread of the ublk front end: one for each queue of the disk. It gives all
 * tags of the queue to the driver, and serves what comes back until the driver
 * has given back every tag for good.
 *
 * Answers wait for the next system call, which takes them along and brings new
 * requests, but not for longer than a few pages of other work. Page workers
 * help with large requests, as they do for FUSE.
 *
 * Told to leave, it takes no more requests. Where the driver has ceased to give
 * out any, those that have come are answered first; else they come again, to
 * the next process. The thread stays until the process ends, as the driver
 * takes a thread that ends for a server that has died.
 *
 * No locks: a tag is ours from its completion until it is committed, and the
 * driver's otherwise; the driver writes a request's description before the
 * completion.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include <uzram/util/ahead.h>
#include <uzram/util/log.h>

#include "ublk_priv.h"

/* Of @leave. */
#define LEAVE_NOW 1

/* Pages. An answer waits for no more work than this. */
#define HELD_MAX 16

static void *buffer_of(const struct uz__ublk_queue *q, unsigned int tag)
{
	return q->buffers + (size_t)tag * q->io_max;
}

/* The ring does not take anything. Nothing is lost while that lasts. */
static void submit(struct uz__ublk_queue *q, bool wait)
{
	const struct timespec nap = { .tv_nsec = 10 * 1000000L };
	int ret = uz__ublk_ring_submit(q->ring, wait);

	q->held = 0;
	if (!ret)
		return;
	if (!q->troubled)
		uz_log(UZ_LOG_ERR, "ublk: %s; trying again until it works",
		       strerror(-ret));
	q->troubled = true;
	nanosleep(&nap, NULL);
}

/* In pages read; to compress one takes longer than to decompress it. */
static unsigned int cost_of(const struct uz_request *rq)
{
	const unsigned int pages = (unsigned int)(rq->length / UZ_PAGE_SIZE);

	if (!rq->buf)
		return 1;
	return rq->op == UZ_OP_WRITE ? 2 * pages : pages;
}

/* Bytes or -errno, as the driver wants it. */
static int carry_out(struct uz__ublk_queue *q, unsigned int tag)
{
	const struct ublksrv_io_desc desc = q->desc[tag];
	struct uz_request rq;
	int ret;

	ret = uz__ublk_decode(&rq, &desc, q->io_max, buffer_of(q, tag));
	if (ret) {
		uz_log(UZ_LOG_ERR, "ublk: operation %u of %u sectors: %s",
		       desc.op_flags & UBLK_IO_OP_MASK, desc.nr_sectors,
		       strerror(-ret));
		return ret;
	}
	q->held += cost_of(&rq);
	ret = uz_device_submit(q->io, &rq);
	/* A client knows what no space means; all else is a broken disk. */
	if (ret)
		return ret == -ENOSPC ? ret : -EIO;
	return rq.buf ? (int)rq.length : 0;
}

static void on_event(struct uz__ublk_queue *q,
		     const struct uz__ublk_event *event)
{
	int result;

	if (event->tag == UZ__UBLK_LEAVE) {
		q->leave = 1 + event->res;
		return;
	}
	q->tags--;
	if (event->res == UBLK_IO_RES_ABORT)
		return;
	if (event->res) {
		uz_log(UZ_LOG_ERR, "ublk: queue %u lost tag %u: %s", q->index,
		       event->tag, strerror(-event->res));
		return;
	}
	if (q->held > HELD_MAX)
		submit(q, false);
	result = carry_out(q, event->tag);
	uz__ublk_ring_commit(q->ring, event->tag, result,
			     buffer_of(q, event->tag));
	q->tags++;
}

/* The driver gets all tags. */
static int begin(struct uz__ublk_queue *q)
{
	unsigned int tag;
	int ret;

	uz__ublk_ring_use(q->ring, q->fd);
	for (tag = 0; tag < q->depth; tag++)
		uz__ublk_ring_fetch(q->ring, tag, buffer_of(q, tag));
	ret = uz__ublk_ring_submit(q->ring, false);
	if (!ret)
		q->tags = q->depth;
	return ret;
}

/* Until a request is at hand that is not to be taken any more. */
static bool serve_events(struct uz__ublk_queue *q)
{
	struct uz__ublk_event event;
	bool any = false;

	while (q->leave != LEAVE_NOW && uz__ublk_ring_next(q->ring, &event)) {
		on_event(q, &event);
		any = true;
	}
	return any;
}

/* What it has answered reaches the driver, and nothing else happens here. */
static void leave(struct uz__ublk_queue *q)
{
	do {
		uz__ublk_ring_collect(q->ring);
	} while (serve_events(q));
	sem_post(&q->ready);
	while (sem_wait(&q->go))
		;
}

void *uz__ublk_queue_main(void *arg)
{
	struct uz__ublk_queue *q = arg;

	uz_ahead_stack();
	q->error =
		uz__ublk_ring_create(&q->ring, q->index, q->depth, q->encoded);
	sem_post(&q->ready);
	while (sem_wait(&q->go))
		;
	if (q->ring && q->fd >= 0) {
		q->error = begin(q);
		sem_post(&q->ready);
	}
	while (q->tags && !q->leave) {
		submit(q, true);
		serve_events(q);
	}
	if (q->leave)
		leave(q);
	else
		sem_post(&q->ready);
	return NULL;
}
