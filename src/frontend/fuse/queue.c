// SPDX-License-Identifier: MIT
/*
 * How many of a queue's entries the kernel has: as many as requests of that CPU
 * have been under way at a time, and one more, up to what the plan allows.
 *
 * The kernel copies a request in a moment that may be a thread's last. For a
 * process that is being killed it brings no page of a payload into the mapping,
 * and fails the request. It asks nobody how large a request is before it takes
 * an entry for it. So whatever entry the kernel has is present, all of it, and
 * mapped, from before it is registered; and those that it need not have take no
 * memory. Entries that a predecessor has left are mapped before one of them is
 * committed.
 *
 * The kernel takes the entry that came back last first. When there is a request
 * in the one that was registered last, so there is in all others, or was a
 * moment ago, and the next one is opened. So there is always one for a request
 * that comes while all others wait for something, maybe for that very request
 * (a store to an attribute that waits for a close). What comes in between, when
 * the kernel has none, is brought by the next answer of the queue.
 *
 * An entry that was registered cannot be had back, and another process takes
 * over what was opened: it stays until the device ends.
 *
 * No locks: a queue belongs to the worker that is the home of its entries. It
 * registers the last one, and is told of the first request in it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <uzram/util/ahead.h>
#include <uzram/util/log.h>

#include "uring_priv.h"

static struct uz__fuse_entry *first_of(const struct uz__fuse_uring *u,
				       unsigned int queue)
{
	return &u->entries[queue * u->plan.depth];
}

static int populate(const struct uz__fuse_uring *u,
		    const struct uz__fuse_entry *entry)
{
	return uz__fuse_area_populate(u->area,
				      (unsigned int)(entry - u->entries));
}

/* Entries up to the last one in which a predecessor had a request. */
static unsigned int left_in(const struct uz__fuse_uring *u, unsigned int queue)
{
	unsigned int used = u->plan.depth;

	while (used &&
	       first_of(u, queue)[used - 1].left == UZ__FUSE_LEFT_NOTHING)
		used--;
	return used;
}

static int make_queue(struct uz__fuse_uring *u, unsigned int queue, bool online)
{
	struct uz__fuse_queue *q = &u->queues[queue];
	const unsigned int left = left_in(u, queue);
	unsigned int open = left + 1, i;
	int ret = 0;

	if (open < u->opening)
		open = u->opening;
	if (open > u->plan.depth)
		open = u->plan.depth;
	q->open = (uint16_t)open;
	q->depth = (uint16_t)u->plan.depth;
	q->absent = !online && !left;
	for (i = 0; i < open && !q->absent && !ret; i++)
		ret = populate(u, &first_of(u, queue)[i]);
	return ret;
}

int uz__fuse_queues_create(struct uz__fuse_uring *u)
{
	struct uz__fuse_cpus online = { { false } };
	const bool known = uz__fuse_cpus_online(&online) > 0;
	unsigned int i;
	int ret = 0;

	u->queues = calloc(u->plan.queues, sizeof(*u->queues));
	if (!u->queues)
		return -ENOMEM;
	/* Where all of it is populated, nothing is gained by fewer. */
	u->opening = uz_ahead() ? u->plan.depth : 1;
	for (i = 0; i < u->plan.queues; i++) {
		int error = make_queue(u, i, !known || online.has[i]);

		ret = ret ? ret : error;
	}
	if (ret)
		uz_log(UZ_LOG_WARN,
		       "io_uring: not all buffers could be populated (%s): a "
		       "request may fail if the worker dies while it arrives",
		       strerror(-ret));
	return 0;
}

/* It is ours: what waits in the queue is to come with its answer. */
static bool is_poke(const struct uz__fuse_entry *entry)
{
	struct fuse_in_header in;

	memcpy(&in, entry->hdr->in_out, sizeof(in));
	return in.opcode == FUSE_NOTIFY_REPLY;
}

bool uz__fuse_queue_deepen(struct uz__fuse_worker *w,
			   const struct uz__fuse_entry *entry)
{
	const struct uz__fuse_uring *u = w->uring;
	struct uz__fuse_queue *q = &u->queues[entry->qid];
	struct uz__fuse_entry *first = first_of(u, entry->qid);

	if (entry->home != w->index || q->open == q->depth ||
	    entry != &first[q->open - 1] || is_poke(entry))
		return false;
	/* A CPU that has come since; its first request was a matter of luck. */
	if (q->absent)
		q->absent = populate(u, first);
	/* Without memory: another time. */
	if (populate(u, &first[q->open]))
		return false;
	if (uz__ring_register(w->ring, &first[q->open]))
		return false;
	q->open++;
	return true;
}

void uz__fuse_queue_refused(struct uz__fuse_worker *w,
			    const struct uz__fuse_entry *entry, bool passing)
{
	struct uz__fuse_queue *q = &w->uring->queues[entry->qid];

	if (q->open <= w->uring->opening ||
	    entry != &first_of(w->uring, entry->qid)[q->open - 1])
		return;
	/* The one before it is the last again, and its next request tries. */
	q->open--;
	if (!passing)
		q->depth = q->open;
}
