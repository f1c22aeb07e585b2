// SPDX-License-Identifier: MIT
/*
 * A thread of the io_uring transport. It sleeps in its ring until requests
 * arrive, serves them in order and gives the answers back several at a time.
 * With one request under way that is one system call for each.
 *
 * The kernel puts a request into the queue of the CPU that its client runs on,
 * and so into the ring of that CPU's worker, however many more are waiting
 * there already. Hence sharing: a worker that has more than it serves right
 * now sends half of it to one that sleeps. The other serves it and commits it
 * on its own ring, which is where the kernel will then bring the entry's next
 * request: a queue that stays deep spreads by itself, and without messages.
 * When it is deep no longer, a worker that keeps getting single requests of
 * another's queue sends the entry home.
 *
 * What may take long (a huge discard, a look for holes) goes to one worker that
 * has no queues, so that it keeps no other request waiting. That one passes on
 * stores to attributes, which may take much longer (clerk.c).
 *
 * No locks: an entry belongs to whoever was told of it last, and telling goes
 * through the kernel's rings. Only the hint that a worker sleeps is read by
 * others; when it is wrong, a request waits a little longer.
 */
#include <errno.h>
#include <string.h>

#include <uzram/util/ahead.h>
#include <uzram/util/delay.h>
#include <uzram/util/log.h>

#include "uring_priv.h"

/* Less work than this is done sooner than somebody is woken for it. */
#define COST_SHARED 8
/* An answer waits for no more work than this. */
#define COST_DELAY 16
/* Sleepers are looked for among so many neighbours. */
#define NEIGHBOURS 16
/*
 * So many requests whose home slept are no burst any more. Those that came to
 * us alone count for more: nothing else speaks for keeping them.
 */
#define AWAY_MAX   64
#define AWAY_ALONE 4
/* Registering is given up after so many naps: one second. */
#define TRIES 100

static bool is_slow_one(const struct uz__fuse_worker *w)
{
	return w->index == w->uring->serving;
}

static void append(struct uz__fuse_worker *w, struct uz__fuse_entry *entry)
{
	entry->next = NULL;
	*w->last = entry;
	w->last = &entry->next;
	w->waiting++;
}

static struct uz__fuse_entry *take_first(struct uz__fuse_worker *w)
{
	struct uz__fuse_entry *entry = w->first;

	if (!entry)
		return NULL;
	w->first = entry->next;
	if (!w->first)
		w->last = &w->first;
	w->waiting--;
	return entry;
}

/* The ring does not take anything. Nothing is lost while that lasts. */
static void trouble(struct uz__fuse_worker *w, int error)
{
	if (!w->troubled)
		uz_log(UZ_LOG_ERR, "io_uring: %s; trying again until it works",
		       strerror(-error));
	w->troubled = true;
	uz__fuse_uring_nap();
}

static void submit(struct uz__fuse_worker *w, bool wait)
{
	int ret;

	if (w->closed) {
		uz__fuse_uring_nap();
		return;
	}
	ret = uz__ring_submit(w->ring, wait);
	w->held = 0;
	if (ret)
		trouble(w, ret);
}

static void commit(struct uz__fuse_worker *w, struct uz__fuse_entry *entry)
{
	int ret = uz__ring_commit(w->ring, entry);

	if (ret) {
		append(w, entry);
		trouble(w, ret);
		return;
	}
	w->held += entry->cost;
}

/* ---- what arrives ---- */

static int submit_registers(struct uz__fuse_worker *w)
{
	int ret, left = TRIES;

	while ((ret = uz__ring_submit(w->ring, false)) == -EAGAIN && --left)
		uz__fuse_uring_nap();
	return ret;
}

/*
 * Gives entries of our queues to the kernel, one of each queue at a time;
 * a queue with a single entry is as good as any, only shallow. Those that the
 * kernel does not take come back at once. If a queue gets none at all, what is
 * still prepared must never reach the kernel: it would then believe that all
 * is well after it has been told otherwise.
 */
static void register_entries(struct uz__fuse_worker *w)
{
	const struct uz__fuse_uring *u = w->uring;
	struct uz__fuse_entry *entry;
	unsigned int round, queue;
	int ret = 0;

	for (round = 0; round < u->opening; round++) {
		for (queue = 0; queue < u->plan.queues; queue++) {
			entry = &u->entries[queue * u->plan.depth + round];
			if (entry->home != w->index)
				continue;
			if (!ret)
				ret = uz__ring_register(w->ring, entry);
			entry->missing = ret;
		}
		if (!ret)
			ret = submit_registers(w);
		if (!ret)
			continue;
		for (queue = 0; queue < u->plan.queues; queue++) {
			entry = &u->entries[queue * u->plan.depth + round];
			if (entry->home == w->index)
				entry->missing = true;
		}
		w->closed |= !round;
	}
	if (ret)
		trouble(w, ret);
}

/* The connection has ended. */
static bool is_end(int error)
{
	return error == -ENOTCONN || error == -ECONNABORTED ||
	       error == -ECANCELED || error == -ENODEV;
}

/* The request that was answered is gone, and the entry with it. */
static bool is_lost(int error)
{
	return error == -ENOENT || error == -EIO;
}

static bool is_passing(int error)
{
	return error == -ENOMEM || error == -EAGAIN || error == -EINTR;
}

/* The kernel has queues already, so it has not given up because of one. */
static void register_again(struct uz__fuse_worker *w,
			   struct uz__fuse_entry *entry, int error)
{
	entry->answered = false;
	if (!error || is_passing(error)) {
		if (error)
			w->again = error;
		error = uz__ring_register(w->ring, entry);
	}
	if (!error)
		return;
	entry->missing = true;
	uz_log(UZ_LOG_ERR, "io_uring: a buffer is lost: %s", strerror(-error));
}

/*
 * Our predecessor had given this answer to the kernel. It has forgotten the
 * entry, too: nothing is in its way now. What waits in its queue does not come
 * by itself.
 */
static void was_taken(struct uz__fuse_worker *w, struct uz__fuse_entry *entry)
{
	register_again(w, entry, 0);
	if (w->adopting)
		return;
	submit(w, false);
	uz__ring_poke(w->ring, entry->qid);
}

/*
 * The kernel does not have an entry that it was given. Unless it says that the
 * request is gone, its client still sleeps until the answer arrives.
 */
static void refused(struct uz__fuse_worker *w, struct uz__fuse_entry *entry,
		    int error)
{
	if (is_end(error))
		return;
	if (!entry->answered && w->uring->area->adopted) {
		register_again(w, entry, error);
		return;
	}
	if (!entry->answered) {
		entry->missing = true;
		uz__fuse_queue_refused(w, entry, is_passing(error));
		return;
	}
	/* Switched off. Nobody says whether it will be on again. */
	if (error == -EOPNOTSUPP) {
		if (!w->troubled)
			uz_log(UZ_LOG_ERR,
			       "io_uring: the kernel takes no answers any more; unmount and start anew");
		w->troubled = true;
		return;
	}
	if (entry->left && error == -ENOENT) {
		entry->left = UZ__FUSE_LEFT_NOTHING;
		was_taken(w, entry);
		return;
	}
	if (!entry->renewed && !is_lost(error)) {
		/* Not worth sharing. */
		entry->cost = 1;
		append(w, entry);
		w->again = error;
		return;
	}
	uz_log(UZ_LOG_ERR, "the kernel refused an answer: %s",
	       strerror(-error));
	if (entry->renewed || uz__ring_register(w->ring, entry))
		return;
	entry->renewed = true;
}

/* It is in the entry, and is to be served by somebody. */
static void receive(struct uz__fuse_worker *w, struct uz__fuse_entry *entry)
{
	struct uz__fuse_worker *slow = &w->uring->workers[w->uring->serving];
	const bool deeper = uz__fuse_queue_deepen(w, entry);

	entry->cost = uz__fuse_entry_cost(entry);
	entry->page = uz__fuse_entry_page(entry, &entry->reads);
	if (entry->cost < UZ__FUSE_COST_SLOW ||
	    uz__ring_send(w->ring, slow->ring, UZ__RING_TAKE, entry)) {
		append(w, entry);
		/* For what comes while we are at work. */
		if (deeper)
			submit(w, false);
		return;
	}
	/* Not kept back, whatever we are busy with. */
	submit(w, false);
	/* What has come before the queue was deeper waits for an answer. */
	if (deeper)
		uz__ring_poke(w->ring, entry->qid);
}

static void on_request(struct uz__fuse_worker *w, struct uz__fuse_entry *entry)
{
	entry->answered = false;
	entry->renewed = false;
	entry->left = UZ__FUSE_LEFT_NOTHING;
	receive(w, entry);
}

/*
 * What a predecessor has left in our entries is dealt with as if it had just
 * arrived. The kernel has closed all that it had given him for new requests;
 * an entry is registered again if it holds none, and never before that is
 * known, or else two of the kernel's requests could share one buffer.
 */
static void adopt_entries(struct uz__fuse_worker *w)
{
	const struct uz__fuse_uring *u = w->uring;
	struct uz__fuse_entry *entry;
	unsigned int i;

	for (i = 0; i < u->plan.queues * u->plan.depth; i++) {
		entry = &u->entries[i];
		if (entry->home != w->index)
			continue;
		switch (entry->left) {
		case UZ__FUSE_LEFT_NOTHING:
			if (i % u->plan.depth < u->queues[entry->qid].open)
				register_again(w, entry, 0);
			break;
		case UZ__FUSE_LEFT_ANSWER:
			entry->answered = true;
			entry->cost = 1;
			commit(w, entry);
			break;
		case UZ__FUSE_LEFT_REQUEST:
			receive(w, entry);
			break;
		}
		uz_delay(UZ_DELAY_REGISTERED);
	}
}

/* What has waited since a predecessor died comes with the next request. */
static void poke_queues(struct uz__fuse_worker *w)
{
	const struct uz__fuse_uring *u = w->uring;
	unsigned int queue, failed = 0;
	int ret, error = 0;

	for (queue = 0; queue < u->plan.queues; queue++) {
		if (u->entries[queue * u->plan.depth].home != w->index)
			continue;
		ret = uz__ring_poke(w->ring, (uint16_t)queue);
		failed += !!ret;
		error = ret ? ret : error;
	}
	if (failed)
		uz_log(UZ_LOG_INFO,
		       "io_uring: %u CPUs cannot be asked what waits there "
		       "(%s); it comes with their next request",
		       failed, strerror(-error));
}

static void on_event(struct uz__fuse_worker *w,
		     const struct uz__ring_event *event)
{
	struct uz__fuse_entry *entry = event->entry;

	switch (event->kind) {
	case UZ__RING_REQUEST:
		if (event->res)
			refused(w, entry, event->res);
		else
			on_request(w, entry);
		break;
	case UZ__RING_TAKE:
		append(w, entry);
		break;
	case UZ__RING_DONE:
		if (!is_slow_one(w) || !uz__fuse_clerk_done(w, entry))
			commit(w, entry);
		break;
	case UZ__RING_BACK:
		if (is_slow_one(w))
			uz__fuse_clerk_missed(w, entry);
		if (entry)
			append(w, entry);
		break;
	case UZ__RING_GO:
		w->adopting = w->uring->area->adopted;
		if (w->adopting)
			adopt_entries(w);
		else
			register_entries(w);
		break;
	case UZ__RING_STOP:
		w->stop = true;
		break;
	}
}

static void take_events(struct uz__fuse_worker *w)
{
	struct uz__ring_event event;
	bool go = false;

	while (uz__ring_next(w->ring, &event)) {
		on_event(w, &event);
		go |= event.kind == UZ__RING_GO;
		/* Their answers are here when the call returns. */
		if (w->adopting)
			submit(w, false);
	}
	if (w->again)
		trouble(w, w->again);
	w->again = 0;
	if (w->adopting)
		poke_queues(w);
	w->adopting = false;
	/* After the refusals, which have been noted by now. */
	if (go)
		sem_post(&w->uring->reports);
}

/* Sleeps when there is nothing to do. */
static void gather(struct uz__fuse_worker *w)
{
	take_events(w);
	if (w->first || w->stop)
		return;
	/* relaxed: a hint */
	atomic_store_explicit(&w->idle, true, memory_order_relaxed);
	submit(w, true);
	atomic_store_explicit(&w->idle, false, memory_order_relaxed);
	w->behind = false;
	take_events(w);
	if (w->first && !is_slow_one(w))
		uz__polite_woken(w->uring->polite, w->index,
				 w->waiting == 1 &&
					 w->first->cost < COST_SHARED);
}

/* ---- sharing ---- */

/* A worker that sleeps, and is now taken not to; or NULL. */
static struct uz__fuse_worker *find_idle(struct uz__fuse_worker *w)
{
	struct uz__fuse_uring *u = w->uring;
	struct uz__fuse_worker *other;
	unsigned int i;

	for (i = 1; i < u->serving && i <= NEIGHBOURS; i++) {
		other = &u->workers[(w->index + i) % u->serving];
		/* relaxed: a hint */
		if (atomic_load_explicit(&other->idle, memory_order_relaxed) &&
		    atomic_exchange_explicit(&other->idle, false,
					     memory_order_relaxed))
			return other;
	}
	return NULL;
}

/* A part of what waits in a worker: its first requests. */
struct part {
	struct uz__fuse_entry **end;
	unsigned int count;
	uint64_t cost;
};

static uint64_t cost_of(const struct uz__fuse_entry *entry)
{
	uint64_t cost = 0;

	for (; entry; entry = entry->next)
		cost += entry->cost;
	return cost;
}

/*
 * Half of the work, but all requests except one at most. A single one that has
 * waited may go as a whole.
 */
static struct part first_half(struct uz__fuse_worker *w, uint64_t all)
{
	struct part kept = { .end = &w->first };

	if (w->waiting == 1)
		return kept;
	do {
		kept.cost += (*kept.end)->cost;
		kept.end = &(*kept.end)->next;
		kept.count++;
	} while (kept.count < w->waiting - 1 && kept.cost < all / 2);
	return kept;
}

/*
 * Half of the work that waits goes to somebody who sleeps, if he is worth
 * waking: because it is much, or because it would wait for much.
 */
static bool share_once(struct uz__fuse_worker *w)
{
	const uint64_t all = cost_of(w->first);
	const struct part kept = first_half(w, all);
	struct uz__fuse_entry *entry, *next;
	struct uz__fuse_worker *other;
	bool sent = false;

	if (kept.cost < COST_SHARED && all - kept.cost < COST_SHARED)
		return false;
	other = find_idle(w);
	if (!other)
		return false;
	entry = *kept.end;
	*kept.end = NULL;
	w->last = kept.end;
	w->waiting = kept.count;
	for (; entry; entry = next) {
		next = entry->next;
		if (uz__ring_send(w->ring, other->ring, UZ__RING_TAKE, entry))
			append(w, entry);
		else
			sent = true;
	}
	/* relaxed: a hint; nobody is going to wake him. */
	if (!sent)
		atomic_store_explicit(&other->idle, true, memory_order_relaxed);
	return sent;
}

static void share(struct uz__fuse_worker *w)
{
	bool shared = false;

	if (is_slow_one(w))
		return;
	while (w->waiting > !w->behind && share_once(w))
		shared = true;
	if (shared)
		submit(w, false);
}

/*
 * An entry that came to us with others stays for as long as its own worker has
 * work; or else we could keep the requests of a client behind those of another
 * for ever. Its own worker runs where the client runs, so it wakes up sooner.
 */
static bool goes_home(const struct uz__fuse_worker *w,
		      struct uz__fuse_entry *entry)
{
	struct uz__fuse_worker *home = &w->uring->workers[entry->home];

	if (is_slow_one(w))
		return true;
	/* relaxed: a hint */
	if (home == w ||
	    !atomic_load_explicit(&home->idle, memory_order_relaxed)) {
		entry->away = 0;
		return false;
	}
	entry->away += w->first || w->behind ? 1 : AWAY_ALONE;
	if (entry->away < AWAY_MAX)
		return false;
	entry->away = 0;
	return true;
}

/* ---- serving ---- */

static void serve(struct uz__fuse_worker *w, struct uz__fuse_entry *entry)
{
	struct uz__fuse_worker *home = &w->uring->workers[entry->home];
	const unsigned int cost = entry->cost;
	bool sent_back = entry->answered;

	if (is_slow_one(w) && uz__fuse_clerk_give(w, entry))
		return;
	if (w->held && w->held + cost > COST_DELAY)
		submit(w, false);
	if (!sent_back) {
		uz__fuse_entry_expect(w->first, w->call.io);
		uz__fuse_entry_serve(entry, &w->call);
		entry->answered = true;
	}
	if (sent_back || !goes_home(w, entry) ||
	    uz__ring_send(w->ring, home->ring, UZ__RING_DONE, entry))
		commit(w, entry);
	else
		w->held += cost;
	/* Nobody knows how long the next one takes. */
	if (is_slow_one(w))
		submit(w, false);
	w->behind = true;
}

void *uz__fuse_worker_main(void *arg)
{
	struct uz__fuse_worker *w = arg;
	struct uz__fuse_entry *entry;

	uz_ahead_stack();
	/* It is of use without; what does not go now goes with what follows. */
	if (uz__ring_guard(w->ring, w->uring->control) ||
	    uz__ring_submit(w->ring, false))
		uz_log(UZ_LOG_DEBUG, "io_uring: no guard yet");
	if (!is_slow_one(w))
		uz__polite_join(w->uring->polite, w->index);
	/* relaxed: whoever sets it interrupts us until we have seen it */
	while (!w->stop && !atomic_load_explicit(&w->uring->leaving,
						 memory_order_relaxed)) {
		gather(w);
		share(w);
		entry = take_first(w);
		if (entry)
			serve(w, entry);
	}
	/* relaxed: it only ends the interruptions; who needs more, joins */
	atomic_store_explicit(&w->ended, true, memory_order_relaxed);
	return NULL;
}
