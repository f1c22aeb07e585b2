// SPDX-License-Identifier: MIT
/*
 * When to compact: the pool says when one of its classes becomes fragmented,
 * and a thread of the device's then works until no class is.
 *
 * Notice comes from whoever frees an object, in the middle of a request.
 * Without it nothing wakes the thread (notice.c).
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
 * Locks: a batch takes the device's configuration lock and those of the pool.
 */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "worker_priv.h"

#define NS_PER_MS UINT64_C(1000000)

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
 * @dev:    the device
 * @thread: itself
 * @notice: the pool has something to compact
 */
struct uz_compactor {
	struct uz_device *dev;
	pthread_t thread;
	struct uz__notice notice;
};

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
	struct uz__pacer pacer;
	unsigned int stuck = 0;
	uint64_t ns;
	bool more;

	uz__pacer_start(&pacer);
	do {
		uz__pacer_begin(&pacer);
		more = batch(c->dev, UZ_POOL_COMPACT_FRAGMENTED, BATCH, done,
			     &stuck);
		ns = uz__pacer_end(&pacer);
		if (stuck && ns < STUCK_NS)
			ns = STUCK_NS;
		if (more && !uz__task_rest(&c->notice.task, ns))
			return false;
	} while (more);
	return true;
}

static void *compactor_main(void *arg)
{
	struct uz_compactor *c = arg;
	unsigned int retries = 0;

	while (uz__notice_await(&c->notice,
				retries ? RETRY_NS << (retries - 1) : 0)) {
		struct uz_pool_compaction done = { 0 };

		if (!uz__task_rest(&c->notice.task, SETTLE_NS))
			break;
		uz__notice_take(&c->notice);
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

static void compactor_free(struct uz_compactor *c)
{
	uz__notice_destroy(&c->notice);
	free(c);
}

int uz_compactor_start(struct uz_compactor **compactor, struct uz_device *dev)
{
	struct uz_compactor *c = calloc(1, sizeof(*c));
	int ret;

	if (!c)
		return -ENOMEM;
	c->dev = dev;
	/*
	 * One that was adopted may be fragmented, and gave its notice before.
	 */
	uz__notice_init(&c->notice, uz_device_disksize(dev) != 0);
	ret = uz__task_thread(&c->thread, "uz-compactor", compactor_main, c);
	if (ret) {
		compactor_free(c);
		return ret;
	}
	uz_device_on_fragmented(dev, uz__notice_give, &c->notice);
	*compactor = c;
	return 0;
}

void uz_compactor_stop(struct uz_compactor *compactor)
{
	if (!compactor)
		return;
	uz__task_interrupt(&compactor->notice.task, 0);
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
