// SPDX-License-Identifier: MIT
/*
 * Stores to attributes over io_uring. Some take minutes (recompress,
 * writeback), some wait for a close (reset), and none may keep another one
 * waiting that would go through, or that ends it: a reset ends a recompression.
 *
 * So the worker for what is slow carries out none itself. It knows which of the
 * clerks are free and gives each a store at a time; a clerk sends the answer
 * back to it, and it passes that on to the entry's home. Stores for which no
 * clerk is free are kept in order.
 *
 * A clerk has a ring for messages alone: nothing is committed on it, so no
 * request ever arrives there, and a clerk needs no way into the device.
 *
 * No locks: who has what is known to one thread.
 */
#include <uzram/util/ahead.h>

#include "uring_priv.h"

/* The client sleeps until there is an answer, so there is no giving up. */
static void send(struct uz__fuse_worker *from, struct uz__fuse_worker *to,
		 enum uz__ring_kind kind, struct uz__fuse_entry *entry)
{
	while (uz__ring_send(from->ring, to->ring, kind, entry))
		uz__fuse_uring_nap();
}

/* ---- the clerk's thread ---- */

static void send_back(struct uz__fuse_worker *clerk,
		      struct uz__fuse_entry *entry)
{
	struct uz__fuse_uring *u = clerk->uring;

	send(clerk, &u->workers[u->serving], UZ__RING_DONE, entry);
}

static void on_event(struct uz__fuse_worker *clerk,
		     const struct uz__ring_event *event)
{
	switch (event->kind) {
	case UZ__RING_TAKE:
		uz__fuse_entry_serve(event->entry, &clerk->call);
		event->entry->answered = true;
		send_back(clerk, event->entry);
		break;
	case UZ__RING_BACK:
		uz__fuse_uring_nap();
		send_back(clerk, event->entry);
		break;
	case UZ__RING_STOP:
		clerk->stop = true;
		break;
	case UZ__RING_REQUEST:
	case UZ__RING_DONE:
	case UZ__RING_GO:
		break;
	}
}

void *uz__fuse_clerk_main(void *arg)
{
	struct uz__fuse_worker *clerk = arg;
	struct uz__ring_event event;

	uz_ahead_stack();
	/* relaxed, also below: as in worker.c */
	while (!clerk->stop && !atomic_load_explicit(&clerk->uring->leaving,
						     memory_order_relaxed)) {
		/* What could not be sent is sent by the next call. */
		if (uz__ring_submit(clerk->ring, true))
			uz__fuse_uring_nap();
		while (uz__ring_next(clerk->ring, &event))
			on_event(clerk, &event);
	}
	atomic_store_explicit(&clerk->ended, true, memory_order_relaxed);
	return NULL;
}

/* ---- for the worker for what is slow ---- */

/* The clerk that has @entry; with NULL, one that has none. */
static struct uz__fuse_worker *find(struct uz__fuse_worker *slow,
				    const struct uz__fuse_entry *entry)
{
	unsigned int i;

	for (i = 1; i <= UZ__FUSE_CLERKS; i++)
		if (slow[i].given == entry)
			return &slow[i];
	return NULL;
}

static void give(struct uz__fuse_worker *slow, struct uz__fuse_worker *clerk,
		 struct uz__fuse_entry *entry)
{
	clerk->given = entry;
	send(slow, clerk, UZ__RING_TAKE, entry);
	/* What this does not do is done by the next one. */
	uz__ring_submit(slow->ring, false);
}

bool uz__fuse_clerk_give(struct uz__fuse_worker *slow,
			 struct uz__fuse_entry *entry)
{
	struct uz__fuse_uring *u = slow->uring;
	struct uz__fuse_worker *clerk = find(slow, NULL);

	if (entry->answered || entry->cost != UZ__FUSE_COST_STORE)
		return false;
	if (clerk) {
		give(slow, clerk, entry);
		return true;
	}
	entry->next = NULL;
	*u->aside_end = entry;
	u->aside_end = &entry->next;
	return true;
}

/* It is free again: for the next one that waits. */
static void set_free(struct uz__fuse_worker *slow,
		     struct uz__fuse_worker *clerk)
{
	struct uz__fuse_uring *u = slow->uring;
	struct uz__fuse_entry *entry = u->aside;

	clerk->given = NULL;
	if (!entry)
		return;
	u->aside = entry->next;
	if (!u->aside)
		u->aside_end = &u->aside;
	give(slow, clerk, entry);
}

bool uz__fuse_clerk_done(struct uz__fuse_worker *slow,
			 struct uz__fuse_entry *entry)
{
	struct uz__fuse_worker *clerk = find(slow, entry);
	struct uz__fuse_worker *home = &slow->uring->workers[entry->home];

	if (clerk)
		set_free(slow, clerk);
	if (uz__ring_send(slow->ring, home->ring, UZ__RING_DONE, entry))
		return false;
	uz__ring_submit(slow->ring, false);
	return true;
}

void uz__fuse_clerk_missed(struct uz__fuse_worker *slow,
			   struct uz__fuse_entry *entry)
{
	struct uz__fuse_worker *clerk = entry ? find(slow, entry) : NULL;

	if (!clerk)
		return;
	set_free(slow, clerk);
	entry->cost = UZ__FUSE_COST_SLOW;
}
