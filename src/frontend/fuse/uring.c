// SPDX-License-Identifier: MIT
/*
 * The life of the io_uring transport: buffers, rings, threads, queues.
 *
 * Once the kernel has been told that we want it, every request of the mount
 * blocks until each queue has an entry. So whatever can fail is done before
 * (uz__fuse_uring_create()); what can still fail afterwards is registering,
 * and the kernel takes a failed registration for a refusal: it goes on through
 * /dev/fuse. If it has not noticed, it is sent one that must fail.
 *
 * The threads begin and end by messages to their rings, which come from a ring
 * of ours. No locks: the thread that creates is the one that ends.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <uzram/util/delay.h>
#include <uzram/util/log.h>

#include "uring_priv.h"

/* Messages that may wait beside the requests. */
#define MESSAGES 64

/* For what must not fail for a passing lack of memory: one second. */
#define TRIES 100

void uz__fuse_uring_nap(void)
{
	const struct timespec time = { .tv_nsec = 10 * 1000000L };

	nanosleep(&time, NULL);
}

/* CPUs that we may use, and how many of them come before each. */
struct cpus {
	cpu_set_t set;
	unsigned int count;
	unsigned int before[CPU_SETSIZE];
};

static void cpus_allowed(struct cpus *cpus)
{
	unsigned int cpu;

	CPU_ZERO(&cpus->set);
	/* It fails where there are more CPUs than fit: then nobody is bound. */
	if (sched_getaffinity(0, sizeof(cpus->set), &cpus->set))
		CPU_ZERO(&cpus->set);
	cpus->count = 0;
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		cpus->before[cpu] = cpus->count;
		cpus->count += !!CPU_ISSET(cpu, &cpus->set);
	}
}

/* Neighbours share a worker where there are more CPUs than workers. */
static uint16_t home_of(const struct cpus *cpus, unsigned int queue,
			unsigned int serving)
{
	if (queue >= CPU_SETSIZE || !CPU_ISSET(queue, &cpus->set))
		return (uint16_t)(queue % serving);
	return (uint16_t)(cpus->before[queue] * serving / cpus->count);
}

/*
 * A worker stays where its clients are: the kernel then goes from one to the
 * other without waking another CPU. Those of many queues move among them.
 */
static void bind_worker(const struct uz__fuse_worker *w,
			const struct cpus *cpus)
{
	cpu_set_t set;
	unsigned int cpu;

	CPU_ZERO(&set);
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &cpus->set) &&
		    home_of(cpus, cpu, w->uring->serving) == w->index)
			CPU_SET(cpu, &set);
	if (CPU_COUNT(&set))
		pthread_setaffinity_np(w->id, sizeof(set), &set);
}

static unsigned int entries_of(const struct uz__fuse_plan *plan)
{
	return plan->queues * plan->depth;
}

/* Not touched: a page of it costs something when a request gets there. */
static void make_entry(struct uz__fuse_uring *u, unsigned int i,
		       const struct cpus *cpus)
{
	struct uz__fuse_entry *entry = &u->entries[i];
	unsigned char *at = u->area->slots + i * uz__fuse_slot_size(&u->plan);
	struct uz__fuse_slot *slot = (struct uz__fuse_slot *)at;

	*entry = (struct uz__fuse_entry){
		.hdr = &slot->hdr,
		.outcome = &slot->outcome,
		.payload = at + UZ__FUSE_ENTRY_HEAD,
		.cap = u->plan.payload,
		.qid = (uint16_t)(i / u->plan.depth),
		.home = home_of(cpus, i / u->plan.depth, u->serving),
	};
	entry->iov[0] = (struct iovec){ entry->hdr, sizeof(*entry->hdr) };
	entry->iov[1] = (struct iovec){ entry->payload, entry->cap };
	if (u->area->adopted && uz__fuse_area_touched(u->area, i)) {
		entry->left = uz__fuse_entry_adopt(entry);
		uz_delay(UZ_DELAY_FOUND);
	}
}

static int make_entries(struct uz__fuse_uring *u, const struct cpus *cpus)
{
	const unsigned int count = entries_of(&u->plan);
	unsigned int i, answers = 0, requests = 0;

	u->entries = aligned_alloc(UZ_CACHELINE, count * sizeof(*u->entries));
	if (!u->entries)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		make_entry(u, i, cpus);
		answers += u->entries[i].left == UZ__FUSE_LEFT_ANSWER;
		requests += u->entries[i].left == UZ__FUSE_LEFT_REQUEST;
	}
	if (u->area->adopted)
		uz_log(UZ_LOG_INFO,
		       "io_uring: taken over %u requests and %u answers",
		       requests, answers);
	return uz__fuse_queues_create(u);
}

static unsigned int workers_of(unsigned int serving)
{
	return serving + 1 + UZ__FUSE_CLERKS;
}

static bool is_clerk(const struct uz__fuse_worker *w)
{
	return w->index > w->uring->serving;
}

static int make_worker(struct uz__fuse_uring *u, struct uz__fuse_worker *w,
		       int fd)
{
	int ret;

	w->uring = u;
	w->index = (unsigned int)(w - u->workers);
	w->last = &w->first;
	w->call.fuse = u->fuse;
	/* The first one is that of the thread on /dev/fuse. */
	w->call.trial = uz__fuse_trial_of(u->fuse, 1 + w->index);
	ret = uz__ring_create(&w->ring, fd, entries_of(&u->plan) + MESSAGES);
	/* Clerks see no pages. */
	if (!ret && !is_clerk(w))
		ret = uz_io_create(u->fuse->dev, &w->call.io);
	return ret;
}

static int start_workers(struct uz__fuse_uring *u, const struct cpus *cpus)
{
	struct uz__fuse_worker *w;
	int ret;

	while (u->running < workers_of(u->serving)) {
		w = &u->workers[u->running];
		ret = uz__fuse_thread(&w->id,
				      is_clerk(w) ? uz__fuse_clerk_main
						  : uz__fuse_worker_main,
				      w, "ring", w->index);
		if (ret)
			return ret;
		u->running++;
		if (w->index < u->serving)
			bind_worker(w, cpus);
	}
	return 0;
}

int uz__fuse_uring_create(struct uz__fuse_uring **uring, struct uz__fuse *fuse,
			  const struct uz__fuse_area *area,
			  unsigned int threads, int fd)
{
	const struct uz__fuse_plan *plan = &area->plan;
	struct uz__fuse_uring *u;
	struct cpus cpus;
	unsigned int i;
	size_t size;
	int ret;

	cpus_allowed(&cpus);
	if (cpus.count && threads > cpus.count)
		threads = cpus.count;
	if (threads > plan->queues)
		threads = plan->queues;
	size = sizeof(*u) + workers_of(threads) * sizeof(u->workers[0]);
	u = aligned_alloc(UZ_CACHELINE, size);
	if (!u)
		return -ENOMEM;
	memset(u, 0, size);
	u->fuse = fuse;
	u->area = area;
	u->plan = *plan;
	u->serving = threads;
	u->aside_end = &u->aside;
	sem_init(&u->reports, 0, 0);
	/* Nothing is missing without, but time. */
	if (uz__polite_create(&u->polite, threads))
		uz_log(UZ_LOG_DEBUG, "io_uring: workers are not polite");
	ret = uz__ring_create(&u->control, fd, threads + MESSAGES);
	if (!ret)
		ret = make_entries(u, &cpus);
	for (i = 0; i < workers_of(threads) && !ret; i++)
		ret = make_worker(u, &u->workers[i], fd);
	if (!ret) {
		/* One for all, as entries belong to no thread for good. */
		uz_io_buffer(u->workers[0].call.io, area->base, area->size);
		ret = start_workers(u, &cpus);
	}
	if (ret) {
		uz__fuse_uring_destroy(u);
		return ret;
	}
	*uring = u;
	return 0;
}

/* ---- registering ---- */

/* For as long as it may still work. */
static int submit_all(struct uz__ring *ring)
{
	int ret, left = TRIES;

	while ((ret = uz__ring_submit(ring, false)) == -EAGAIN && --left)
		uz__fuse_uring_nap();
	return ret;
}

/* The same message to all workers that have queues, or to all. */
static int tell(struct uz__fuse_uring *u, enum uz__ring_kind kind,
		unsigned int workers)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < workers && !ret; i++)
		ret = uz__ring_send(u->control, u->workers[i].ring, kind, NULL);
	return ret ? ret : submit_all(u->control);
}

/* Sleeps until all workers have reported, if all of them were told to. */
static int hear(struct uz__fuse_uring *u)
{
	struct uz__ring_event undelivered;
	unsigned int heard = 0;

	if (uz__ring_next(u->control, &undelivered))
		return undelivered.res;
	while (heard < u->serving)
		heard += !sem_wait(&u->reports);
	return 0;
}

/* A registration that fails: the kernel gives up waiting for the others. */
static int call_off(struct uz__fuse_uring *u)
{
	struct uz__fuse_entry wrong = { .qid = UINT16_MAX };
	struct uz__ring_event event = { .res = 0 };
	int ret = uz__ring_register(u->control, &wrong), left = TRIES;

	while (!ret && (ret = uz__ring_submit(u->control, false)) && --left) {
		uz__fuse_uring_nap();
		ret = 0;
	}
	if (ret)
		return ret;
	return uz__ring_next(u->control, &event) && event.res ? 0 : -EIO;
}

int uz__fuse_uring_go(struct uz__fuse_uring *u)
{
	unsigned int queue, i, missing, lost = 0, dead = 0;
	int ret;

	ret = tell(u, UZ__RING_GO, u->serving);
	if (!ret)
		ret = hear(u);
	/* The kernel has queues already; what it refuses is tried again. */
	if (u->area->adopted)
		return ret ? -EIO : 0;
	for (queue = 0; queue < u->plan.queues && !ret; queue++) {
		missing = 0;
		for (i = 0; i < u->opening; i++)
			missing +=
				u->entries[queue * u->plan.depth + i].missing;
		lost += missing;
		dead += missing == u->opening;
	}
	if (ret || dead)
		return call_off(u) ? -EIO : -EAGAIN;
	if (lost)
		uz_log(UZ_LOG_WARN,
		       "io_uring: the kernel took %u of %u buffers",
		       u->plan.queues * u->opening - lost,
		       u->plan.queues * u->opening);
	return 0;
}

/* ---- the end ---- */

/* Who is told twice does not mind. */
static int tell_end(struct uz__fuse_uring *u)
{
	struct uz__ring_event undelivered;
	int ret = tell(u, UZ__RING_STOP, u->running);

	while (uz__ring_next(u->control, &undelivered))
		if (undelivered.kind == UZ__RING_BACK)
			ret = undelivered.res;
	return ret;
}

/* Whether all threads have ended. */
static bool end_workers(struct uz__fuse_uring *u)
{
	int left = TRIES;

	while (u->running && tell_end(u)) {
		if (!--left)
			return false;
		uz__fuse_uring_nap();
	}
	while (u->running)
		pthread_join(u->workers[--u->running].id, NULL);
	return true;
}

void uz__fuse_uring_leave(struct uz__fuse_uring *u)
{
	struct uz__fuse_worker *w;

	uz__fuse_interruptible();
	atomic_store_explicit(&u->leaving, true, memory_order_relaxed);
	for (; u->running; u->running--) {
		w = &u->workers[u->running - 1];
		while (!atomic_load_explicit(&w->ended, memory_order_relaxed)) {
			pthread_kill(w->id, UZ__FUSE_INTERRUPT);
			uz__fuse_nap();
		}
		pthread_join(w->id, NULL);
	}
}

bool uz__fuse_uring_destroy(struct uz__fuse_uring *u)
{
	unsigned int i;

	if (!u)
		return true;
	/* Nobody can reach them: they sleep until the process ends. */
	if (!end_workers(u)) {
		uz_log(UZ_LOG_ERR, "io_uring: threads could not be ended");
		return false;
	}
	for (i = 0; i < workers_of(u->serving); i++) {
		uz__ring_destroy(u->workers[i].ring);
		uz_io_destroy(u->workers[i].call.io);
	}
	uz__polite_destroy(u->polite);
	uz__ring_destroy(u->control);
	sem_destroy(&u->reports);
	free(u->queues);
	free(u->entries);
	free(u);
	return true;
}
