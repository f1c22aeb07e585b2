// SPDX-License-Identifier: MIT
/*
 * Recompression when somebody asks for it: page after page, in small batches,
 * with rests in between as pace.c says, and compaction at the end, without
 * which less is gained than was saved: pages of new sizes leave holes where
 * they were.
 *
 * The work is done in a thread of its own (background.c), while the one who
 * asks sleeps: that one serves requests otherwise and is to stay as it is. If
 * there is no such thread to be had, he does it himself.
 *
 * If no more than some pages are asked for, the largest come first: there is
 * most to be gained. Pages are not sorted for that, the table is gone through
 * once for each range of sizes.
 *
 * An end comes from the table's, from the number of pages asked for, from the
 * device when it is reset, or from whoever interrupts: then the rest is cut
 * short, and nothing is waited for but the batch.
 *
 * Locks: batches take none; what they did is counted up under the task's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "worker_priv.h"

/*
 * Pages in a row, while nobody else wants the CPUs: less than a millisecond
 * with most codecs. When somebody does, one by one: not every kernel lets him
 * have the CPU before the batch ends (background.c).
 */
#define BATCH 16

/* When the largest come first: each time down to this size. */
static const uint32_t steps[] = { UZ_PAGE_SIZE, 3072, 2048, 1024, 1 };

#define STEPS (sizeof(steps) / sizeof(steps[0]))

/*
 * struct uz_recompressor - recompression of a device
 * @dev:   the device
 * @task:  guards what follows
 * @total: pages that the run will be about
 * @done:  what was done of it
 */
struct uz_recompressor {
	struct uz_device *dev;
	struct uz__task task;
	uint64_t total;
	struct uz_recompression done;
};

/*
 * struct run - one run of it
 * @r:     whose
 * @order: what is wanted
 * @how:   as the device is told
 * @io:    the way into the device
 * @ret:   how it ended
 */
struct run {
	struct uz_recompressor *r;
	const struct uz_recompress_order *order;
	struct uz_recompress how;
	struct uz_io *io;
	int ret;
};

int uz_recompressor_create(struct uz_recompressor **recompressor,
			   struct uz_device *dev)
{
	struct uz_recompressor *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->dev = dev;
	uz__task_init(&r->task);
	*recompressor = r;
	return 0;
}

void uz_recompressor_destroy(struct uz_recompressor *recompressor)
{
	if (!recompressor)
		return;
	uz__task_destroy(&recompressor->task);
	free(recompressor);
}

static void count(struct uz_recompressor *r, const struct uz_recompression *did)
{
	uz_scoped_acquire(guard, &r->task.lock);

	r->done.tried += did->tried;
	r->done.gained += did->gained;
	r->done.bytes += did->bytes;
	r->done.kept += did->kept;
	r->done.lost += did->lost;
	r->done.failed += did->failed;
}

/* How many pages of the order may still be tried, and in one batch. */
static unsigned int batch_size(const struct run *run, bool busy)
{
	uint64_t max = run->order->max_pages, done = run->r->done.tried;
	unsigned int most = busy ? 1 : BATCH;

	return max - done < most ? (unsigned int)(max - done) : most;
}

/* All pages within the run's sizes; 0, or how it ended early. */
static int go_through(struct run *run)
{
	struct uz__pacer pacer;
	uint64_t index = 0, ns, least;
	int more;

	uz__pacer_start(&pacer);
	do {
		struct uz_recompression did = { 0 };
		unsigned int batch = batch_size(run, pacer.busy);

		if (!batch)
			return 0;
		uz__pacer_begin(&pacer);
		more = uz_recompress(run->io, &run->how, &index, batch, &did);
		ns = uz__pacer_end(&pacer);
		least = uz__share_rest(pacer.after.own - pacer.before.own,
				       run->order->share);
		if (ns < least)
			ns = least;
		count(run->r, &did);
		if (more > 0 && !uz__task_rest(&run->r->task, ns))
			return -EINTR;
	} while (more > 0);
	return more;
}

static int largest_first(struct run *run)
{
	uint32_t below = 0;
	unsigned int i;
	int ret;

	for (i = 0; i < STEPS; i++) {
		run->how.least = steps[i] > run->order->threshold
					 ? steps[i]
					 : run->order->threshold;
		run->how.below = below;
		ret = go_through(run);
		if (ret || run->how.least > steps[i])
			return ret;
		below = steps[i];
	}
	return 0;
}

static void work(struct run *run)
{
	run->ret = run->order->max_pages != UINT64_MAX ? largest_first(run)
						       : go_through(run);
}

static void *run_main(void *arg)
{
	work(arg);
	return NULL;
}

static void run_in_thread(struct run *run)
{
	pthread_t thread;

	if (run->order->here ||
	    uz__task_thread(&thread, "uz-recompress", run_main, run))
		work(run);
	else
		pthread_join(thread, NULL);
}

/* How many pages there are to be tried. */
static int count_pages(struct run *run)
{
	struct uz_recompress how = run->how;
	struct uz_recompression found = { 0 };
	uint64_t max = run->order->max_pages;
	uint64_t index = 0;
	int ret;

	how.count_only = true;
	do {
		ret = uz_recompress(run->io, &how, &index, UINT32_MAX, &found);
	} while (ret > 0);
	uz_lock_acquire(&run->r->task.lock);
	run->r->total = max < found.tried ? max : found.tried;
	uz_lock_release(&run->r->task.lock);
	return ret;
}

static int do_run(struct run *run, struct uz_err *err)
{
	struct uz_recompressor *r = run->r;
	struct uz_pool_compaction compacted = { 0 };
	int ret = uz_recompress_begin(r->dev, &run->how, err);

	if (ret)
		return ret;
	ret = uz_io_create(r->dev, &run->io);
	if (ret)
		return uz_err_set(err, ret, "recompression: %s",
				  strerror(-ret));
	run->ret = count_pages(run);
	if (!run->ret)
		run_in_thread(run);
	uz_io_destroy(run->io);
	if (r->done.gained && run->ret != -EINTR)
		uz_compact_all(r->dev, &compacted);
	if (run->ret == -EINTR)
		return uz_err_set(err, -EINTR,
				  "interrupted after %llu of %llu pages",
				  (unsigned long long)r->done.tried,
				  (unsigned long long)r->total);
	if (run->ret == -EINVAL)
		return uz_err_set(err, -EINVAL, "the device was reset");
	if (run->ret)
		return uz_err_set(err, run->ret, "after %llu pages: %s",
				  (unsigned long long)r->done.tried,
				  strerror(-run->ret));
	if (r->done.failed)
		return uz_err_set(err, -EIO, "%llu pages could not be read",
				  (unsigned long long)r->done.failed);
	return 0;
}

/* The task's lock is held. */
static int refuse(const struct uz_recompressor *r, struct uz_err *err)
{
	return uz_err_set(
		err, -EBUSY,
		"the device is being recompressed already, %llu of %llu pages are done",
		(unsigned long long)r->done.tried,
		(unsigned long long)r->total);
}

int uz_recompressor_busy(struct uz_recompressor *recompressor,
			 struct uz_err *err)
{
	uz_scoped_acquire(guard, &recompressor->task.lock);

	return recompressor->task.running ? refuse(recompressor, err) : 0;
}

static int run_begin(struct uz_recompressor *r, uint64_t id, struct uz_err *err)
{
	uz_scoped_acquire(guard, &r->task.lock);

	if (!uz__task_begin(&r->task, id))
		return refuse(r, err);
	r->total = 0;
	memset(&r->done, 0, sizeof(r->done));
	return 0;
}

int uz_recompressor_run(struct uz_recompressor *recompressor,
			const struct uz_recompress_order *order, uint64_t id,
			struct uz_err *err)
{
	struct run run = {
		.r = recompressor,
		.order = order,
		.how = { .idle = order->idle,
			 .huge = order->huge,
			 .least = order->threshold,
			 .priority = order->priority },
	};
	int ret = run_begin(recompressor, id, err);

	if (ret)
		return ret;
	ret = do_run(&run, err);
	uz__task_end(&recompressor->task);
	return ret;
}

void uz_recompressor_interrupt(struct uz_recompressor *recompressor,
			       uint64_t id)
{
	uz__task_interrupt(&recompressor->task, id);
}

bool uz_recompressor_progress(struct uz_recompressor *recompressor,
			      uint64_t *total, struct uz_recompression *done)
{
	uz_scoped_acquire(guard, &recompressor->task.lock);

	*total = recompressor->total;
	*done = recompressor->done;
	return recompressor->task.running;
}
