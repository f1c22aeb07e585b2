// SPDX-License-Identifier: MIT
/*
 * Polite workers: of those that get single small requests, one after the
 * other, the threads are given the scheduling class SCHED_IDLE.
 *
 * Why: the kernel wakes a client while the worker that answered still runs. It
 * looks for a CPU without work and sends the client there, although the worker
 * is going to sleep right away. Waking another CPU costs more than all the rest
 * of a small request where CPUs sleep deeply, as in virtual machines. A CPU on
 * which nothing but SCHED_IDLE runs counts as one without work, so the client
 * of a polite worker stays where it is and takes the CPU over at once
 * (sched(7), and select_idle_sibling() in the kernel's kernel/sched/fair.c).
 *
 * The price: when another program wants that CPU, a polite worker gets next to
 * nothing of it. So one thread, the guard, looks at all workers every few
 * milliseconds, for as long as one is polite. It takes that away from a worker
 * that is kept waiting, and does not give it back for a while, which doubles.
 * Nobody waits longer for that than for a turn of the scheduler. The guard
 * alone changes classes, so that it cannot meet a change half way; workers
 * only count. It sleeps when none is polite.
 *
 * Counters are read without order: what is decided by an old value is decided
 * otherwise a few milliseconds later.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <uzram/util/ahead.h>

#include "fuse_priv.h"
#include "polite_priv.h"

#define TICK_NS	  4000000u
#define NS_PER_S  1000000000ull
#define CALL_EACH 64

/**
 * struct member - a worker, as the guard sees it
 * @wakes:  how often requests have woken it; the worker alone writes
 * @alone:  how often that was a single small one; the worker alone writes
 * @tid:    0: it has not joined; what follows is set before
 * @waits:  its schedstat file
 * @seen:   at the last tick
 * @polite: what the guard knows
 */
struct member {
	_Alignas(UZ_CACHELINE) _Atomic uint64_t wakes;
	_Atomic uint64_t alone;
	_Atomic pid_t tid;
	int waits;
	struct uz__polite_count seen;
	struct uz__polite_state polite;
};

struct uz__polite {
	pthread_t guard;
	sem_t call;
	_Atomic bool ending;
	_Atomic bool watching;
	unsigned int count;
	struct member members[];
};

/* ---- the guard ---- */

static void set_class(const struct member *m, int class)
{
	const struct sched_param none = { 0 };

	sched_setscheduler(m->tid, class, &none);
}

/* How long it has waited for a CPU: the second number of its schedstat. */
static uint64_t waited_ns(const struct member *m)
{
	char text[96], *end;
	ssize_t n = pread(m->waits, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	strtoull(text, &end, 10);
	return strtoull(end, NULL, 10);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* Whether it is worth another look soon. */
static bool look_at(struct member *m, uint64_t now)
{
	struct uz__polite_count count, delta;
	bool was = m->polite.on;

	/* acquire: the file is open */
	if (!atomic_load_explicit(&m->tid, memory_order_acquire))
		return false;
	count = (struct uz__polite_count){
		.wakes = atomic_load_explicit(&m->wakes, memory_order_relaxed),
		.alone = atomic_load_explicit(&m->alone, memory_order_relaxed),
		.waited = waited_ns(m),
		.time = now,
	};
	delta = (struct uz__polite_count){
		.wakes = count.wakes - m->seen.wakes,
		.alone = count.alone - m->seen.alone,
		.waited = count.waited - m->seen.waited,
		.time = count.time - m->seen.time,
	};
	m->seen = count;
	uz__polite_decide(&m->polite, &delta, now);
	if (m->polite.on != was)
		set_class(m, m->polite.on ? SCHED_IDLE : SCHED_OTHER);
	return m->polite.on;
}

static bool look_at_all(struct uz__polite *p)
{
	const uint64_t now = now_ns();
	bool any = false;
	unsigned int i;

	for (i = 0; i < p->count; i++)
		any |= look_at(&p->members[i], now);
	return any;
}

static void tick(void)
{
	const struct timespec time = { .tv_nsec = TICK_NS };

	nanosleep(&time, NULL);
}

/* The first look only takes the counters' values. */
static void watch(struct uz__polite *p)
{
	atomic_store_explicit(&p->watching, true, memory_order_relaxed);
	look_at_all(p);
	do
		tick();
	while (look_at_all(p));
	atomic_store_explicit(&p->watching, false, memory_order_relaxed);
}

static void *guard_main(void *arg)
{
	struct uz__polite *p = arg;

	for (;;) {
		while (sem_wait(&p->call))
			;
		/* The semaphore orders it. */
		if (atomic_load_explicit(&p->ending, memory_order_relaxed))
			return NULL;
		watch(p);
	}
}

/* ---- may we? ---- */

/* Whether one that was polite may be as before; the thread is thrown away. */
static void *try_main(void *arg)
{
	const struct sched_param none = { 0 };
	bool *allowed = arg;

	*allowed = !sched_setscheduler(0, SCHED_IDLE, &none) &&
		   !sched_setscheduler(0, SCHED_OTHER, &none);
	return NULL;
}

/* Never while the system swaps to us: everybody waits for us then. */
static bool may_be_polite(void)
{
	bool allowed = false;
	pthread_t id;

	if (uz_ahead() || sched_getscheduler(0) != SCHED_OTHER ||
	    uz__fuse_thread(&id, try_main, &allowed, "try", 0))
		return false;
	pthread_join(id, NULL);
	return allowed;
}

/* ---- what workers call ---- */

int uz__polite_create(struct uz__polite **polite, unsigned int workers)
{
	struct uz__polite *p;
	size_t size;
	int ret;

	*polite = NULL;
	if (!may_be_polite())
		return -EPERM;
	size = sizeof(*p) + workers * sizeof(p->members[0]);
	p = aligned_alloc(UZ_CACHELINE, size);
	if (!p)
		return -ENOMEM;
	memset(p, 0, size);
	p->count = workers;
	sem_init(&p->call, 0, 0);
	ret = uz__fuse_thread(&p->guard, guard_main, p, "guard", 0);
	if (ret) {
		free(p);
		return ret;
	}
	*polite = p;
	return 0;
}

void uz__polite_join(struct uz__polite *p, unsigned int worker)
{
	struct member *m;

	if (!p)
		return;
	m = &p->members[worker];
	m->waits = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	/* release: with the file */
	if (m->waits >= 0)
		atomic_store_explicit(&m->tid, gettid(), memory_order_release);
}

void uz__polite_woken(struct uz__polite *p, unsigned int worker, bool alone)
{
	struct member *m;
	uint64_t n;

	if (!p)
		return;
	m = &p->members[worker];
	n = atomic_load_explicit(&m->wakes, memory_order_relaxed) + 1;
	atomic_store_explicit(&m->wakes, n, memory_order_relaxed);
	if (!alone)
		return;
	n = atomic_load_explicit(&m->alone, memory_order_relaxed) + 1;
	atomic_store_explicit(&m->alone, n, memory_order_relaxed);
	if (!(n % CALL_EACH) &&
	    !atomic_load_explicit(&p->watching, memory_order_relaxed))
		sem_post(&p->call);
}

void uz__polite_destroy(struct uz__polite *p)
{
	unsigned int i;

	if (!p)
		return;
	/* relaxed: the semaphore orders it */
	atomic_store_explicit(&p->ending, true, memory_order_relaxed);
	sem_post(&p->call);
	pthread_join(p->guard, NULL);
	for (i = 0; i < p->count; i++)
		if (p->members[i].tid)
			close(p->members[i].waits);
	sem_destroy(&p->call);
	free(p);
}

/* ---- when ---- */

/* Requests one by one, at a rate that makes it worth while: 4,000 a second. */
#define RATE_NS 250000u
/* Each of them may wait so long for the CPU; clients want it, too. */
#define WAIT_NS 250000u
/* Less than that in all is no reason to worry. */
#define WAIT_SHARE 4
#define BAN_MIN	   (NS_PER_S)
#define BAN_MAX	   (64 * NS_PER_S)
/* Without trouble for so long: what was is forgotten. */
#define FORGIVEN (10 * NS_PER_S)

static bool is_lonely(const struct uz__polite_count *d)
{
	return d->alone > d->time / RATE_NS && d->alone > d->wakes / 8 * 7;
}

static bool is_starved(const struct uz__polite_count *d)
{
	return d->waited > d->time / WAIT_SHARE &&
	       d->waited > d->wakes * WAIT_NS;
}

static void ban(struct uz__polite_state *s, uint64_t now)
{
	if (now - s->since > FORGIVEN)
		s->ban = 0;
	s->ban = s->ban ? s->ban * 2 : BAN_MIN;
	if (s->ban > BAN_MAX)
		s->ban = BAN_MAX;
	s->banned_until = now + s->ban;
}

void uz__polite_decide(struct uz__polite_state *s,
		       const struct uz__polite_count *d, uint64_t now)
{
	if (!s->on) {
		s->on = is_lonely(d) && now >= s->banned_until;
		s->since = now;
		return;
	}
	if (is_starved(d))
		ban(s, now);
	else if (is_lonely(d))
		return;
	s->on = false;
}
