// SPDX-License-Identifier: MIT
/*
 * Writing back when somebody asks for it: some MiB after some MiB, in the
 * thread of whoever asks.
 *
 * It is the store that this is slow for and not the CPU, so pace.c has nothing
 * to say here: while requests come in, a rest as long as the last step was
 * leaves them half of the time; and between steps nobody is in the way at all.
 *
 * Where only so many blocks may be written, the largest pages come first: they
 * free most memory. For that the table is gone through once for each range of
 * sizes. Otherwise it is gone through once, so that pages which are neighbours
 * on the device are neighbours on the store.
 *
 * An end comes from the table's, from a full store or its limit, from failures
 * in a row, from the device when it is reset, or from whoever interrupts; then
 * nothing is waited for but the step. Pages that need more than the store or
 * the limit has in a row are passed over, which is told if nothing else is.
 *
 * Locks: what is told of the run is kept under the task's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "worker_priv.h"

#define NS_PER_S UINT64_C(1000000000)

/* A store that fails so often in a row is left alone. */
#define FAILURES 4

/* Where the largest come first: each time down to this size. */
static const uint32_t steps[] = { UZ_PAGE_SIZE, 3072, 2048, 1024, 1 };

#define STEPS (sizeof(steps) / sizeof(steps[0]))

/*
 * struct uz_backer - writing back of a device
 * @dev:   the device
 * @task:  guards what follows
 * @total: pages that the run will be about
 * @done:  what was done of it
 */
struct uz_backer {
	struct uz_device *dev;
	struct uz__task task;
	uint64_t total;
	struct uz_writeback_done done;
};

/*
 * struct run - one run of it
 * @b:        whose
 * @order:    what is wanted
 * @wb:       the way into the device
 * @want:     as the device is told
 * @failures: in a row
 * @failure:  the first one
 * @skipped:  why pages were passed over, if any were
 */
struct run {
	struct uz_backer *b;
	const struct uz_backer_order *order;
	struct uz_writeback *wb;
	struct uz_writeback_want want;
	unsigned int failures;
	int failure;
	int skipped;
};

int uz_backer_create(struct uz_backer **backer, struct uz_device *dev)
{
	struct uz_backer *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->dev = dev;
	uz__task_init(&b->task);
	*backer = b;
	return 0;
}

void uz_backer_destroy(struct uz_backer *backer)
{
	if (!backer)
		return;
	uz__task_destroy(&backer->task);
	free(backer);
}

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static uint64_t requests(struct uz_device *dev)
{
	struct uz_device_stat stat;

	uz_device_stat(dev, &stat);
	return stat.num_reads + stat.num_writes + stat.num_discards;
}

static void count(struct uz_backer *b, const struct uz_writeback_done *did)
{
	uz_scoped_acquire(guard, &b->task.lock);

	b->done.pages += did->pages;
	b->done.changed += did->changed;
	b->done.failed += did->failed;
}

/* One step; errors of the store are counted, others end the run. */
static int step(struct run *run, uint64_t *next, uint64_t end)
{
	struct uz_writeback_done did = { 0 };
	int ret = uz_writeback_some(run->wb, &run->want, next, end, &did);

	count(run->b, &did);
	if (did.skipped)
		run->skipped = did.skipped;
	if (!ret && did.pages)
		run->failures = 0;
	if (!did.failed)
		return ret;
	if (!run->failure)
		run->failure = ret;
	return ++run->failures < FAILURES ? 0 : ret;
}

static int go_through(struct run *run, const struct uz_backer_range *range)
{
	uint64_t next = range->first, before, took, rest;
	uint64_t seen = requests(run->b->dev);
	int ret = 0;

	run->want.kinds = range->kinds;
	while (!ret && next < range->end) {
		took = clock_ns();
		ret = step(run, &next, range->end);
		before = seen;
		seen = requests(run->b->dev);
		took = clock_ns() - took;
		rest = uz__share_rest(took, run->order->share);
		if (seen != before && rest < took)
			rest = took;
		if (!uz__task_rest(&run->b->task, rest))
			return -EINTR;
	}
	return ret;
}

static int go_through_all(struct run *run)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < run->order->nr && !ret; i++)
		ret = go_through(run, &run->order->ranges[i]);
	return ret;
}

static int work(struct run *run)
{
	unsigned int i;
	int ret = 0;

	if (!uz_device_backing_setting(run->b->dev, UZ_BACKING_LIMITED)) {
		run->want.smallest = 1;
		run->want.largest = UZ_PAGE_SIZE;
		return go_through_all(run);
	}
	for (i = 0; i < STEPS && !ret; i++) {
		run->want.smallest = steps[i];
		run->want.largest = i ? steps[i - 1] - 1 : UZ_PAGE_SIZE;
		ret = go_through_all(run);
	}
	return ret;
}

static void count_pages(struct run *run)
{
	uint64_t total = 0;
	unsigned int i;

	for (i = 0; i < run->order->nr; i++) {
		const struct uz_backer_range *r = &run->order->ranges[i];
		const struct uz_writeback_want want = { r->kinds, 1,
							UZ_PAGE_SIZE };

		total += uz_writeback_count(run->wb, &want, r->first, r->end);
	}
	uz_lock_acquire(&run->b->task.lock);
	run->b->total = total;
	uz_lock_release(&run->b->task.lock);
}

/* How it ended, in words. */
static int tell(const struct run *run, int ret, struct uz_err *err)
{
	unsigned long long pages = run->b->done.pages;
	unsigned long long total = run->b->total;

	switch (ret) {
	case -EINTR:
		return uz_err_set(err, ret,
				  "interrupted after %llu of %llu pages", pages,
				  total);
	case -ENODEV:
		return uz_err_set(err, -EINVAL, "the device was reset");
	case -ENOSPC:
		/* It has blocks left; the file system that it is in has not. */
		if (run->failure)
			break;
		return uz_err_set(
			err, ret,
			"the backing store is full after %llu of %llu pages; the others stay in memory",
			pages, total);
	case -EDQUOT:
		return uz_err_set(
			err, -EIO,
			"writeback_limit is used up after %llu of %llu pages; the others stay in memory",
			pages, total);
	default:
		break;
	}
	if (!ret)
		ret = run->failure;
	if (!ret)
		return 0;
	return uz_err_set(
		err, ret,
		"%llu of %llu pages could not be written (%s) and stay in memory",
		(unsigned long long)run->b->done.failed, total, strerror(-ret));
}

static int do_run(struct run *run, struct uz_err *err)
{
	int ret = uz_writeback_create(&run->wb, run->b->dev, err);

	if (ret)
		return ret;
	count_pages(run);
	ret = uz__task_rest(&run->b->task, 0) ? work(run) : -EINTR;
	if (!ret && !run->failure)
		ret = run->skipped;
	uz_writeback_destroy(run->wb);
	return tell(run, ret, err);
}

/* The task's lock is held. */
static int refuse(const struct uz_backer *b, struct uz_err *err)
{
	return uz_err_set(
		err, -EBUSY,
		"pages are being written back already, %llu of %llu are done",
		(unsigned long long)b->done.pages,
		(unsigned long long)b->total);
}

int uz_backer_busy(struct uz_backer *backer, struct uz_err *err)
{
	uz_scoped_acquire(guard, &backer->task.lock);

	return backer->task.running ? refuse(backer, err) : 0;
}

static int run_begin(struct uz_backer *b, uint64_t id, struct uz_err *err)
{
	uz_scoped_acquire(guard, &b->task.lock);

	if (!uz__task_begin(&b->task, id))
		return refuse(b, err);
	b->total = 0;
	memset(&b->done, 0, sizeof(b->done));
	return 0;
}

int uz_backer_run(struct uz_backer *backer, const struct uz_backer_order *order,
		  uint64_t id, struct uz_err *err)
{
	struct run run = {
		.b = backer,
		.order = order,
	};
	int ret = run_begin(backer, id, err);

	if (ret)
		return ret;
	ret = do_run(&run, err);
	uz__task_end(&backer->task);
	return ret;
}

void uz_backer_interrupt(struct uz_backer *backer, uint64_t id)
{
	uz__task_interrupt(&backer->task, id);
}

bool uz_backer_progress(struct uz_backer *backer, uint64_t *total,
			struct uz_writeback_done *done)
{
	uz_scoped_acquire(guard, &backer->task.lock);

	*total = backer->total;
	*done = backer->done;
	return backer->task.running;
}
