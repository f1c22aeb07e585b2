// SPDX-License-Identifier: MIT
/*
 * When to compact: the pool says when one of its classes becomes fragmented,
 * and a thread of the device's then works until no class is.
 *
 * Notice comes from whoever frees an object, in the middle of a request. It
 * sets a flag and takes a lock only to wake the thread, which it does only if
 * it was the one to set the flag and the thread is asleep. The flag is cleared
 * before the work that it asks for is begun, so notice that comes during the
 * work is found afterwards. Without notice nothing wakes the thread.
 *
 * The thread waits a short while before it begins: a discard of many pages
 * frees them in some order, and zspages that are about to become empty need
 * not be compacted. Between two batches it rests as pace.c says.
 *
 * Zspages that are mapped and classes that are locked are passed over, and the
 * pool gives no second notice of them. Therefore they are tried again, a few
 * times and less and less often: what is mapped for a minute must not keep a
 * thread awake.
 *
 * Locks: @lock guards the sleep only; it is a leaf. A batch takes the device's
 * configuration lock and those of the pool.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include <uzram/util/lock.h>

#include "worker_priv.h"

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

/* Objects: some 100 us of work, for which others wait at the device's lock. */
#define BATCH	  64
#define BATCH_ALL 512

/* After a batch in which nothing could be done. */
#define STUCK_NS  NS_PER_MS
#define STUCK_MAX 100 /* such batches in a row */

#define SETTLE_NS (30 * NS_PER_MS)
#define RETRY_NS  (100 * NS_PER_MS) /* doubled with each one in a row */
#define RETRIES	  7 /* the last one after 6.4 s */

/*
 * struct uz_compactor - the thread of a device
 * @dev:     the device
 * @thread:  itself
 * @lock:    of @wake and @stop
 * @wake:    there is notice, or an end
 * @stop:    the thread is to end
 * @noticed: the pool has something to compact
 * @asleep:  whoever sets @noticed has to wake it
 */
struct uz_compactor {
	struct uz_device *dev;
	pthread_t thread;
	struct uz_lock lock;
	pthread_cond_t wake;
	bool stop;
	_Atomic bool noticed;
	_Atomic bool asleep;
};

/*
 * The flag is set before @asleep is looked at; the thread sets @asleep before
 * it looks at the flag. All four are sequentially consistent, so one of the
 * two sees the other.
 *
 * A flag that is set already must be seen by the thread after what the pool
 * gives notice of: the fence here and the one after the flag is cleared order
 * "the class became fragmented, look at the flag" against "clear the flag,
 * look at the classes".
 */
static void notice(void *arg)
{
	struct uz_compactor *c = arg;

	atomic_thread_fence(memory_order_seq_cst);
	/* relaxed: if it is set already, who set it did the rest, too. */
	if (atomic_load_explicit(&c->noticed, memory_order_relaxed) ||
	    atomic_exchange(&c->noticed, true))
		return;
	if (!atomic_load(&c->asleep))
		return;
	uz_lock_acquire(&c->lock);
	pthread_cond_signal(&c->wake);
	uz_lock_release(&c->lock);
}

static struct timespec deadline(uint64_t ns)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	ns += (uint64_t)t.tv_nsec;
	t.tv_sec += (time_t)(ns / NS_PER_S);
	t.tv_nsec = (long)(ns % NS_PER_S);
	return t;
}

/*
 * Sleep until there is notice, or for @ns if that is not 0; false when the
 * thread is to end.
 */
static bool await_notice(struct uz_compactor *c, uint64_t ns)
{
	const struct timespec until = deadline(ns);
	uz_scoped_acquire(guard, &c->lock);
	int ret = 0;

	atomic_store(&c->asleep, true);
	while (!c->stop && !atomic_load(&c->noticed) && !ret)
		ret = ns ? pthread_cond_timedwait(&c->wake, &c->lock.mutex,
						  &until)
			 : pthread_cond_wait(&c->wake, &c->lock.mutex);
	atomic_store(&c->asleep, false);
	return !c->stop;
}

/* Do nothing for a while; false when the thread is to end. */
static bool rest(struct uz_compactor *c, uint64_t ns)
{
	const struct timespec until = deadline(ns);
	uz_scoped_acquire(guard, &c->lock);
	int ret = 0;

	while (!c->stop && !ret)
		ret = pthread_cond_timedwait(&c->wake, &c->lock.mutex, &until);
	return !c->stop;
}

/*
 * One batch. @stuck counts those in a row that did nothing though there is
 * something to do, as when a class's lock is taken each time; false: there is
 * no more to do now.
 */
static bool batch(struct uz_device *dev, enum uz_pool_compact_scope scope,
		  uint32_t budget, struct uz_pool_compaction *done,
		  unsigned int *stuck)
{
	uint64_t before = done->objects + done->pages;
	bool more = uz_device_compact(dev, scope, budget, done);

	*stuck = done->objects + done->pages == before ? *stuck + 1 : 0;
	return more && *stuck < STUCK_MAX;
}

/* Batch by batch, until there is no more to do; false: the thread is to end. */
static bool work(struct uz_compactor *c, struct uz_pool_compaction *done)
{
	struct uz__pace last, before, after;
	unsigned int stuck = 0;
	uint64_t ns;
	bool more;

	uz__pace_now(&last);
	do {
		uz__pace_now(&before);
		more = batch(c->dev, UZ_POOL_COMPACT_FRAGMENTED, BATCH, done,
			     &stuck);
		uz__pace_now(&after);
		ns = uz__pace_rest(&last, &before, &after);
		if (stuck && ns < STUCK_NS)
			ns = STUCK_NS;
		if (more && !rest(c, ns))
			return false;
		last = after;
	} while (more);
	return true;
}

static void *compactor_main(void *arg)
{
	const struct sched_param none = { 0 };
	struct uz_compactor *c = arg;
	unsigned int retries = 0;

	/* A refusal is no matter. */
	pthread_setschedparam(pthread_self(), SCHED_BATCH, &none);
	while (await_notice(c, retries ? RETRY_NS << (retries - 1) : 0)) {
		struct uz_pool_compaction done = { 0 };

		if (!rest(c, SETTLE_NS))
			break;
		/* seq_cst: before the work, see above. */
		atomic_store(&c->noticed, false);
		atomic_thread_fence(memory_order_seq_cst);
		if (!work(c, &done))
			break;
		if (!done.pinned && !done.contended)
			retries = 0;
		else if (done.objects || done.pages)
			retries = 1;
		else
			retries = retries == RETRIES ? 0 : retries + 1;
	}
	return NULL;
}

static int compactor_run(struct uz_compactor *c)
{
	sigset_t all, before;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&c->thread, NULL, compactor_main, c);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!ret)
		pthread_setname_np(c->thread, "uz-compactor");
	return -ret;
}

static void compactor_free(struct uz_compactor *c)
{
	pthread_cond_destroy(&c->wake);
	uz_lock_destroy(&c->lock);
	free(c);
}

int uz_compactor_start(struct uz_compactor **compactor, struct uz_device *dev)
{
	struct uz_compactor *c = calloc(1, sizeof(*c));
	pthread_condattr_t attr;
	int ret;

	if (!c)
		return -ENOMEM;
	c->dev = dev;
	/* One that was adopted may be fragmented, and gave its notice before. */
	c->noticed = uz_device_disksize(dev) != 0;
	uz_lock_init(&c->lock, UZ_LOCK_LEAF);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->wake, &attr);
	pthread_condattr_destroy(&attr);
	ret = compactor_run(c);
	if (ret) {
		compactor_free(c);
		return ret;
	}
	uz_device_on_fragmented(dev, notice, c);
	*compactor = c;
	return 0;
}

void uz_compactor_stop(struct uz_compactor *compactor)
{
	if (!compactor)
		return;
	uz_lock_acquire(&compactor->lock);
	compactor->stop = true;
	pthread_cond_signal(&compactor->wake);
	uz_lock_release(&compactor->lock);
	pthread_join(compactor->thread, NULL);
	uz_device_on_fragmented(compactor->dev, NULL, NULL);
	compactor_free(compactor);
}

void uz_compact_all(struct uz_device *dev, struct uz_pool_compaction *done)
{
	/* Who waits for the configuration lock must get it in between. */
	const struct timespec gap = { .tv_nsec = 20000 };
	const struct timespec pause = { .tv_nsec = STUCK_NS };
	struct uz_device_stat stat;
	unsigned int stuck = 0;
	uint64_t end;

	/*
	 * Each object has to be moved once at most. Without this bound requests
	 * that go on fragmenting the pool would keep the caller here for ever.
	 */
	uz_device_stat(dev, &stat);
	end = done->objects + stat.orig_data_size / UZ_PAGE_SIZE + BATCH_ALL;
	while (batch(dev, UZ_POOL_COMPACT_ALL, BATCH_ALL, done, &stuck) &&
	       done->objects < end)
		nanosleep(stuck ? &pause : &gap, NULL);
}
