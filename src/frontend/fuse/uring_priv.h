/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_FUSE_URING_PRIV_H
#define UZRAM_FUSE_URING_PRIV_H

#include <pthread.h>
#include <semaphore.h>
#include <sys/uio.h>

#include <uzram/frontend.h>

#include "area_priv.h"
#include "entry_priv.h"
#include "fuse_priv.h"
#include "polite_priv.h"

/**
 * DOC: how the io_uring transport is cut
 *
 *   transport.c  this one, or the classic one
 *   uring.c      its life: set up, register, fall back, end
 *   worker.c     a thread: takes requests from its ring, shares, answers
 *   clerk.c      threads that carry out stores to attributes
 *   queue.c      how many of a queue's entries the kernel has
 *   entry.c      pure: a request in its two buffers, its answer in the same
 *   polite.c     which workers let their client have the CPU first
 *   area.c       the memory of all entries, which outlives the process
 *   ring.c       one io_uring; the only file that knows liburing
 *   budget.c     pure: how many entries of which size
 *
 * An entry is a pair of buffers that holds one request. It belongs to a queue,
 * of which the kernel has one for each possible CPU, for good; and to the ring
 * that last gave it to the kernel, where its next request will arrive.
 */

/* ---- ring.c ---- */

struct uz__ring;

/**
 * enum uz__ring_kind - what an event is about
 * @UZ__RING_REQUEST: the kernel: @res is 0 and the entry holds a request, or
 *                    @res is -errno and the kernel does not have it
 * @UZ__RING_TAKE:    another worker: serve the request in the entry
 * @UZ__RING_DONE:    another worker: commit the answer in the entry
 * @UZ__RING_BACK:    a message could not be sent; what it was about is ours
 * @UZ__RING_GO:      register entries, or take them over
 * @UZ__RING_STOP:    end
 */
enum uz__ring_kind {
	UZ__RING_REQUEST,
	UZ__RING_TAKE,
	UZ__RING_DONE,
	UZ__RING_BACK,
	UZ__RING_GO,
	UZ__RING_STOP,
};

/**
 * struct uz__ring_event - something that has arrived at a ring
 * @kind:  what
 * @entry: about which entry, or NULL
 * @res:   0 or -errno
 */
struct uz__ring_event {
	enum uz__ring_kind kind;
	struct uz__fuse_entry *entry;
	int res;
};

/**
 * uz__ring_create() - an io_uring
 * @ring:   set on success
 * @fd:     /dev/fuse; borrowed
 * @events: that may be waiting at a time
 *
 * Context: any thread.
 * Return:  0 or -errno of io_uring_setup(2); -ENOTSUP in a build without.
 */
uz_must_check int uz__ring_create(struct uz__ring **ring, int fd,
				  unsigned int events);

/**
 * uz__ring_destroy() - close it
 * @ring: from uz__ring_create(), or NULL
 *
 * Context: nobody uses it, nor sends to it.
 */
void uz__ring_destroy(struct uz__ring *ring);

/**
 * uz__ring_register() - prepare to give a new entry to the kernel
 * @ring:  ours
 * @entry: empty; must stay where it is until the next uz__ring_submit()
 *
 * Context: the ring's thread. So for all below.
 * Return:  0; -errno the ring is full and cannot be emptied.
 */
uz_must_check int uz__ring_register(struct uz__ring *ring,
				    struct uz__fuse_entry *entry);

/**
 * uz__ring_commit() - prepare to give an answer to the kernel
 * @ring:  ours, where the entry's next request will arrive
 * @entry: with the answer
 *
 * Context: the ring's thread.
 * Return:  as uz__ring_register().
 */
uz_must_check int uz__ring_commit(struct uz__ring *ring,
				  struct uz__fuse_entry *entry);

/**
 * uz__ring_send() - prepare an event for another ring
 * @ring:  ours
 * @to:    the other; alive until the next uz__ring_submit() has returned
 * @kind:  of the event
 * @entry: of the event
 *
 * If it cannot be delivered, we get UZ__RING_BACK.
 *
 * Context: the ring's thread.
 * Return:  as uz__ring_register().
 */
uz_must_check int uz__ring_send(struct uz__ring *ring, struct uz__ring *to,
				enum uz__ring_kind kind,
				struct uz__fuse_entry *entry);

/**
 * uz__ring_guard() - give up what waits for requests before the thread dies
 * @ring:  ours
 * @other: any other; alive for as long as @ring
 *
 * A request that the kernel hands to a thread which is dying is lost to
 * everybody. This makes a thread give its entries back at the beginning of its
 * end, whatever it dies of, when it can still take in what was handed to it.
 *
 * Context: the ring's thread, once; to be submitted.
 * Return:  as uz__ring_register().
 */
uz_must_check int uz__ring_guard(struct uz__ring *ring, struct uz__ring *other);

/**
 * uz__ring_poke() - have a request arrive in a queue
 * @ring: ours
 * @qid:  the queue
 *
 * The kernel then notices what waits in that queue.
 *
 * Context: the ring's thread; no answer is waited for.
 * Return:  0; -errno it was not possible, for one because we may not run on
 *          that CPU.
 */
int uz__ring_poke(struct uz__ring *ring, uint16_t qid);

/**
 * uz__ring_submit() - do all that was prepared
 * @ring: ours
 * @wait: and sleep until an event has arrived
 *
 * Context: the ring's thread.
 * Return:  0, also when a signal ended the sleep; -EAGAIN for the moment, or
 *          other -errno: what is left prepared will be tried again by the
 *          next call.
 */
int uz__ring_submit(struct uz__ring *ring, bool wait);

/**
 * uz__ring_next() - the next event that has arrived
 * @ring:  ours
 * @event: filled
 *
 * Context: the ring's thread; no system call.
 * Return:  whether there was one.
 */
bool uz__ring_next(struct uz__ring *ring, struct uz__ring_event *event);

/* ---- worker.c ---- */

struct uz__fuse_uring;

/**
 * struct uz__fuse_worker - a thread with a ring
 * @uring:    what it is part of
 * @ring:     its own
 * @id:       the thread
 * @call:     its own
 * @first:    requests that it has and nobody serves yet, in order
 * @last:     where the next one is linked
 * @waiting:  how many
 * @held:     cost of the answers that it was done with and that no system call
 *            has taken along yet
 * @again:    why answers that were refused are committed once more, or 0
 * @given:    of a clerk: what it was given and has not sent back yet; belongs
 *            to the worker for what is slow
 * @index:    in @uring; after those that have queues, the one for what is slow,
 *            then the clerks
 * @behind:   what waits came while the thread was at work
 * @stop:     it is to end
 * @closed:   nothing is to be submitted any more
 * @troubled: it has said that its ring is broken
 * @adopting: it is dealing with what was left in its entries
 * @idle:     it sleeps, or is about to; a hint for the others
 * @ended:    it takes no more requests
 */
struct uz__fuse_worker {
	struct uz__fuse_uring *uring;
	struct uz__ring *ring;
	pthread_t id;
	struct uz__fuse_call call;
	struct uz__fuse_entry *first;
	struct uz__fuse_entry **last;
	unsigned int waiting;
	uint64_t held;
	int again;
	struct uz__fuse_entry *given;
	unsigned int index;
	bool behind;
	bool stop;
	bool closed;
	bool troubled;
	bool adopting;
	_Alignas(UZ_CACHELINE) _Atomic bool idle;
	_Atomic bool ended;
};

/**
 * struct uz__fuse_uring - the transport
 * @fuse:    what it serves
 * @area:    memory of its entries
 * @plan:    its entries
 * @entries: queue after queue
 * @queues:  how many of them the kernel has
 * @opening: entries of a queue that it gets before it knows of any request
 * @reports: one from each worker that has registered its entries; no message,
 *           as it must come however broken a ring is
 * @control: ring of the thread that sets up and ends
 * @polite:  how they treat their clients, or NULL
 * @aside:   stores to attributes for which no clerk is free, in order; these
 *           two belong to the worker for what is slow
 * @aside_end: where the next one is linked
 * @serving: workers that have queues
 * @running: workers whose threads exist
 * @leaving: all are to end at once, whatever they still have
 * @workers: so many, one for what is slow, and UZ__FUSE_CLERKS
 */
struct uz__fuse_uring {
	struct uz__fuse *fuse;
	const struct uz__fuse_area *area;
	struct uz__fuse_plan plan;
	struct uz__fuse_entry *entries;
	struct uz__fuse_queue *queues;
	unsigned int opening;
	sem_t reports;
	struct uz__ring *control;
	struct uz__polite *polite;
	struct uz__fuse_entry *aside;
	struct uz__fuse_entry **aside_end;
	unsigned int serving;
	unsigned int running;
	_Atomic bool leaving;
	struct uz__fuse_worker workers[];
};

/**
 * uz__fuse_worker_main() - what the thread does
 * @arg: its struct uz__fuse_worker
 *
 * Return: NULL.
 */
void *uz__fuse_worker_main(void *arg);

/* ---- clerk.c ---- */

/*
 * Two stores to attributes take long, each of them one at a time (the next one
 * is refused at once): recompress and writeback. Beside both there is one for
 * all others.
 */
#define UZ__FUSE_CLERKS 3

/**
 * uz__fuse_clerk_main() - what the thread of a clerk does
 * @arg: its struct uz__fuse_worker
 *
 * Return: NULL.
 */
void *uz__fuse_clerk_main(void *arg);

/**
 * uz__fuse_clerk_give() - have a clerk carry out a store to an attribute
 * @slow:  the worker for what is slow
 * @entry: any; it is the clerk's, or waits for one, if the answer is yes
 *
 * Context: the thread of @slow. So for all below.
 * Return:  false when it is no such store.
 */
bool uz__fuse_clerk_give(struct uz__fuse_worker *slow,
			 struct uz__fuse_entry *entry);

/**
 * uz__fuse_clerk_done() - a clerk has sent an answer
 * @slow:  the worker for what is slow
 * @entry: with the answer; goes on to its home
 *
 * Return:  false when it has to be committed by @slow.
 */
bool uz__fuse_clerk_done(struct uz__fuse_worker *slow,
			 struct uz__fuse_entry *entry);

/**
 * uz__fuse_clerk_missed() - a message has come back
 * @slow:  the worker for what is slow
 * @entry: that it was about; if a clerk should have had it, that one is free,
 *         and @slow carries it out
 */
void uz__fuse_clerk_missed(struct uz__fuse_worker *slow,
			   struct uz__fuse_entry *entry);

/* ---- queue.c ---- */

/**
 * struct uz__fuse_queue - how many of a queue's entries the kernel has
 * @open:   the first so many
 * @depth:  most that it is to have
 * @absent: its CPU was not there at the beginning, and nothing is populated
 *
 * Belongs to the home of its entries.
 */
struct uz__fuse_queue {
	uint16_t open;
	uint16_t depth;
	bool absent;
};

/**
 * uz__fuse_queues_create() - what the kernel is to have at first
 * @u: its entries are made; @u->queues and @u->opening are set
 *
 * All of that is populated afterwards, as far as there is memory.
 *
 * Context: before there are threads.
 * Return:  0 or -ENOMEM.
 */
uz_must_check int uz__fuse_queues_create(struct uz__fuse_uring *u);

/**
 * uz__fuse_queue_deepen() - open another entry when the last one is in use
 * @w:     whoever was told of the request
 * @entry: holds a request that the kernel has just brought
 *
 * It is prepared to be registered.
 *
 * Context: the thread of @w; about 2 us for each page of an entry.
 * Return:  whether there is one.
 */
bool uz__fuse_queue_deepen(struct uz__fuse_worker *w,
			   const struct uz__fuse_entry *entry);

/**
 * uz__fuse_queue_refused() - the kernel did not take an entry
 * @w:       whoever had prepared it
 * @entry:   the entry
 * @passing: it may take it another time
 *
 * Context: the thread of @w.
 */
void uz__fuse_queue_refused(struct uz__fuse_worker *w,
			    const struct uz__fuse_entry *entry, bool passing);

/* ---- uring.c ---- */

/**
 * uz__fuse_uring_nap() - wait for something that the kernel lacks just now
 *
 * Context: any thread; sleeps for 10 ms.
 */
void uz__fuse_uring_nap(void);

/**
 * uz__fuse_uring_create() - all that can fail, before the kernel is told
 * @uring:   set on success
 * @fuse:    what it serves; borrowed
 * @area:    memory of its entries; borrowed until uz__fuse_uring_destroy()
 * @threads: most threads that serve; fewer if there are fewer CPUs
 * @fd:      /dev/fuse, mounted; borrowed until uz__fuse_uring_destroy()
 *
 * The threads exist afterwards, and sleep.
 *
 * Context: one thread.
 * Return:  0; -errno of io_uring_setup(2), mmap(2) or pthread_create(3).
 */
uz_must_check int uz__fuse_uring_create(struct uz__fuse_uring **uring,
					struct uz__fuse *fuse,
					const struct uz__fuse_area *area,
					unsigned int threads, int fd);

/**
 * uz__fuse_uring_go() - give entries to the kernel
 * @uring: from uz__fuse_uring_create(); FUSE_INIT has been answered
 *
 * With memory of a predecessor: what he left unanswered is answered, and what
 * has waited in the kernel since he died is called for. What the kernel does
 * not take then is tried again while the rest is served.
 *
 * Context: the thread that created it; sleeps until all were registered.
 * Return:  0 requests are served here from now on; -EAGAIN a queue has no
 *          entry, and the kernel goes on through /dev/fuse; other -errno it
 *          does not even do that: the mount is of no use.
 */
uz_must_check int uz__fuse_uring_go(struct uz__fuse_uring *uring);

/**
 * uz__fuse_uring_leave() - end all threads at once, for another process
 * @u: its threads are serving, or have ended
 *
 * Each finishes the request that it is at. What else it has, and answers that
 * the kernel does not have yet, stay in the entries' memory, as after a death.
 * The process has to end.
 *
 * Context: one thread; sleeps until the last request is carried out.
 */
void uz__fuse_uring_leave(struct uz__fuse_uring *u);

/**
 * uz__fuse_uring_destroy() - end the threads and free everything
 * @uring: or NULL
 *
 * Context: the thread that created it; the connection has ended, or no queue
 *          was ever served.
 * Return:  false when threads are left, which use all that was borrowed.
 */
bool uz__fuse_uring_destroy(struct uz__fuse_uring *uring);

/* ---- transport.c ---- */

/**
 * struct uz__fuse_transport - the transport of a mount
 * @fuse:    what it serves
 * @wanted:  by the user
 * @budget:  most bytes of buffers that io_uring may have
 * @threads: that serve requests
 * @dev_fd:  /dev/fuse
 * @dev:     the threads on it
 * @uring:   io_uring, or NULL
 * @plan:    of @uring
 * @area:    memory of its entries
 */
struct uz__fuse_transport {
	struct uz__fuse *fuse;
	enum uz_transport wanted;
	uint64_t budget;
	unsigned int threads;
	int dev_fd;
	struct uz__fuse_dev *dev;
	struct uz__fuse_uring *uring;
	struct uz__fuse_plan plan;
	struct uz__fuse_area area;
};

/**
 * uz__fuse_transport_create() - what any transport needs
 * @t:      filled
 * @fuse:   what it serves; borrowed
 * @config: the front end's
 *
 * Context: one thread. So for all below.
 * Return:  as uz__fuse_dev_create().
 */
uz_must_check int
uz__fuse_transport_create(struct uz__fuse_transport *t, struct uz__fuse *fuse,
			  const struct uz_frontend_config *config);

/**
 * uz__fuse_transport_start() - choose, answer FUSE_INIT and serve
 * @t:   created
 * @fd:  /dev/fuse, mounted; borrowed until uz__fuse_transport_destroy()
 * @err: why not
 *
 * Return:  0; -ENOTSUP or -EPERM what was demanded is not possible; other
 *          -errno. After a failure some threads may run until the connection
 *          ends.
 */
uz_must_check int uz__fuse_transport_start(struct uz__fuse_transport *t, int fd,
					   struct uz_err *err);

/**
 * uz__fuse_transport_join() - sleep until the connection has ended
 * @t: created
 *
 * Return:  as uz__fuse_dev_join().
 */
int uz__fuse_transport_join(struct uz__fuse_transport *t);

/**
 * uz__fuse_transport_leave() - take no more requests
 * @t: started; uz__fuse_transport_join() goes on to sleep
 *
 * Context: any thread, once; sleeps until what was begun is carried out.
 */
void uz__fuse_transport_leave(struct uz__fuse_transport *t);

/**
 * uz__fuse_transport_destroy() - free it
 * @t: joined, or all zeroes
 */
void uz__fuse_transport_destroy(struct uz__fuse_transport *t);

#endif
