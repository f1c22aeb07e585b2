// SPDX-License-Identifier: MIT
/*
 * A dictionary made of what a device holds, when somebody asks for it: pages
 * are taken at equal distances among all that are stored, so that each part of
 * the data has its share. Of four of them three are learnt from. The fourth is
 * held back, and what the dictionary gains is measured with those: by pages
 * that it was made of, any dictionary is a good one.
 *
 * One that was reset meanwhile, or has another codec there, keeps what it has:
 * the dictionary is of the old pages, and for the old codec.
 *
 * A dictionary that does not gain more than it takes, for the pages that are
 * stored now, is not installed. What prepared tables take beside it is not
 * looked at: they come once and do not grow with what is stored.
 *
 * The work is done in a thread for such work, with rests while it reads, as
 * pace.c says; learning itself is some 100 ms of computing.
 *
 * Locks: what came of it is kept under the task's.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <uzram/util/cleanup.h>
#include <uzram/util/size.h>
#include <uzram/worker/train.h>

#include "worker_priv.h"

/* So many bytes for each of the dictionary's are good to learn from. */
#define SAMPLE_PER_DICT 100
/* 16 MiB: more takes longer and gains next to nothing. */
#define SAMPLE_MAX 4096
/* Less says little of what is to come. */
#define SAMPLE_MIN 64
/* One in so many is held back. */
#define HELD_EACH 4
/* The least gain that is worth a codec of its own: one part in so many. */
#define GAIN_MIN 100
/* Pages between rests. */
#define BATCH 16

/*
 * struct uz_trainer - trainings of a device
 * @dev:  the device
 * @task: guards @last
 * @last: the last one that has succeeded
 */
struct uz_trainer {
	struct uz_device *dev;
	struct uz__task task;
	struct uz_trained last;
};

/*
 * struct run - one training
 * @t:        whose
 * @priority: of the codec
 * @since:    when it began
 * @codec:    that of the priority, without a dictionary
 * @io:       the way into the device
 * @cap:      most bytes of the dictionary
 * @learn:    pages to learn from
 * @held:     the others
 * @dict:     it
 * @result:   what is to be told
 * @ret:      how it ended
 * @err:      why
 */
struct run {
	struct uz_trainer *t;
	unsigned int priority;
	struct uz_codec_moment since;
	struct uz_codec codec;
	struct uz_io *io;
	size_t cap;
	uint8_t *learn;
	uint8_t *held;
	void *dict;
	struct uz_trained result;
	int ret;
	struct uz_err err;
};

int uz_trainer_create(struct uz_trainer **trainer, struct uz_device *dev)
{
	struct uz_trainer *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->dev = dev;
	uz__task_init(&t->task);
	*trainer = t;
	return 0;
}

void uz_trainer_destroy(struct uz_trainer *trainer)
{
	if (!trainer)
		return;
	uz__task_destroy(&trainer->task);
	free(trainer);
}

/* ---- reading ---- */

static uint64_t count_pages(struct run *run)
{
	struct uz_sampling s = { 0 };
	bool taken;

	while (uz_device_sample(run->io, &s, 0, NULL, &taken))
		;
	return s.found;
}

/* Where the next page is to be put, which is told of only when it is there. */
static uint8_t *room(const struct run *run)
{
	const struct uz_trained *r = &run->result;

	if ((r->learnt + r->held) % HELD_EACH == HELD_EACH - 1)
		return run->held + r->held * UZ_PAGE_SIZE;
	return run->learn + r->learnt * UZ_PAGE_SIZE;
}

static void add(struct uz_trained *r)
{
	if ((r->learnt + r->held) % HELD_EACH == HELD_EACH - 1)
		r->held++;
	else
		r->learnt++;
}

/* One page in @step, @wanted at most; 0 or -EINTR. */
static int read_pages(struct run *run, uint64_t step, uint64_t wanted)
{
	struct uz_trained *r = &run->result;
	struct uz_sampling s = { 0 };
	struct uz__pacer pacer;
	bool more = true, taken;

	uz__pacer_start(&pacer);
	while (more && r->learnt + r->held < wanted) {
		unsigned int batch;

		uz__pacer_begin(&pacer);
		for (batch = BATCH; more && batch; batch--) {
			if (r->learnt + r->held == wanted)
				break;
			more = uz_device_sample(run->io, &s, step, room(run),
						&taken);
			if (taken)
				add(r);
		}
		if (!uz__task_rest(&run->t->task, uz__pacer_end(&pacer)))
			return -EINTR;
	}
	return 0;
}

static int too_few(struct run *run, uint64_t least)
{
	const struct uz_trained *r = &run->result;
	char size[UZ_SIZE_TEXT];

	uz_size_format(run->cap, size);
	return uz_err_set(
		&run->err, -EINVAL,
		"%" PRIu64
		" pages to learn from are too few for a dictionary of %s: it takes %" PRIu64
		" that are compressed in memory; store more, or give a smaller size",
		r->learnt + r->held, size, least);
}

static int sample(struct run *run)
{
	const uint64_t least = 2 * run->cap / UZ_PAGE_SIZE > SAMPLE_MIN
				       ? 2 * run->cap / UZ_PAGE_SIZE
				       : SAMPLE_MIN;
	struct uz_trained *r = &run->result;
	uint64_t wanted = run->cap * SAMPLE_PER_DICT / UZ_PAGE_SIZE;
	int ret = 0;

	if (wanted > SAMPLE_MAX)
		wanted = SAMPLE_MAX;
	if (wanted < least)
		wanted = least;
	r->stored = count_pages(run);
	if (wanted > r->stored)
		wanted = r->stored;
	run->learn = malloc((wanted + 1) * UZ_PAGE_SIZE);
	run->held = malloc((wanted / HELD_EACH + 1) * UZ_PAGE_SIZE);
	if (!run->learn || !run->held)
		return uz_err_set(&run->err, -ENOMEM,
				  "no memory for %" PRIu64 " pages", wanted);
	/* Rounded up: not all of them come from the beginning. */
	if (wanted)
		ret = read_pages(run, (r->stored + wanted - 1) / wanted,
				 wanted);
	if (ret)
		return uz_err_set(&run->err, ret, "interrupted");
	return r->learnt + r->held < least ? too_few(run, least) : 0;
}

/* ---- weighing ---- */

/* Bytes of the pages that were held back. */
static int weigh(const struct run *run, const struct uz_codec *codec,
		 const struct uz_codec_dict *dict, uint64_t *bytes)
{
	uint8_t out[UZ_PAGE_SIZE];
	struct uz_codec_ctx *ctx;
	uint64_t i, sum = 0;
	int ret = uz_codec_ctx_create(codec, dict, &ctx);

	if (ret)
		return ret;
	for (i = 0; i < run->result.held; i++) {
		size_t len = UZ_PAGE_SIZE;

		if (uz_codec_compress(ctx, run->held + i * UZ_PAGE_SIZE, out,
				      UZ_HUGE_SIZE - 1, &len))
			len = UZ_PAGE_SIZE;
		sum += len;
	}
	uz_codec_ctx_destroy(ctx);
	*bytes = sum;
	return 0;
}

static int weigh_both(struct run *run)
{
	struct uz_trained *r = &run->result;
	struct uz_codec codec = run->codec;
	struct uz_codec_dict *dict;
	int ret = weigh(run, &codec, NULL, &r->without);

	if (!ret)
		ret = uz_codec_dict_create(&codec, run->dict, r->size, &dict);
	if (ret)
		return ret;
	/* Any number does: it is not stored. */
	codec.dict = 1;
	ret = weigh(run, &codec, dict, &r->with);
	uz_codec_dict_destroy(dict);
	return ret;
}

/* More than it takes, by all pages that there are? */
static bool gains(const struct uz_trained *r)
{
	uint64_t gain = r->without > r->with ? r->without - r->with : 0;

	return gain * GAIN_MIN >= r->without &&
	       gain * (r->stored / r->held) > r->size;
}

static int no_gain(struct run *run)
{
	const struct uz_trained *r = &run->result;

	return uz_err_set(
		&run->err, -EINVAL,
		"a dictionary of %" PRIu64
		" bytes gains nothing: by %s, other pages take %" PRIu64
		" bytes each with it and %" PRIu64 " without, and %" PRIu64
		" are stored",
		r->size, uz_codec_name(&run->codec), r->with / r->held,
		r->without / r->held, r->stored);
}

/* ---- the whole ---- */

static int install(struct run *run)
{
	const struct uz_device_dict dict = { .bytes = run->dict,
					     .size = run->result.size };
	struct uz_codec codec;
	char text[UZ_CODEC_TEXT_MAX + 1];
	int ret;

	uz_codec_format(&run->codec, text);
	ret = uz_device_set_dict_since(run->t->dev, run->priority, text, &dict,
				       &run->since, &run->err);
	if (!ret && uz_device_codec_of(run->t->dev, run->priority, &codec))
		uz_codec_format(&codec, run->result.codec);
	return ret;
}

static int train(struct run *run)
{
	struct uz_trained *r = &run->result;
	size_t size;
	int ret;

	run->dict = malloc(run->cap);
	if (!run->dict)
		return -ENOMEM;
	ret = uz_codec_train(&run->codec, run->learn, r->learnt, run->dict,
			     run->cap, &size);
	if (ret == -E2BIG)
		return uz_err_set(
			&run->err, -EINVAL,
			"the pages that are stored have nothing in common that a dictionary could keep");
	if (ret)
		return ret;
	r->size = size;
	ret = weigh_both(run);
	if (ret)
		return ret;
	return gains(r) ? install(run) : no_gain(run);
}

static void work(struct run *run)
{
	run->ret = sample(run);
	if (!run->ret)
		run->ret = train(run);
	if (run->ret && !run->err.code)
		uz_err_set(&run->err, run->ret, "training: %s",
			   strerror(-run->ret));
	free(run->learn);
	free(run->held);
	free(run->dict);
}

static void *run_main(void *arg)
{
	work(arg);
	return NULL;
}

static void run_in_thread(struct run *run)
{
	pthread_t thread;

	if (uz__task_thread(&thread, "uz-trainer", run_main, run))
		work(run);
	else
		pthread_join(thread, NULL);
}

/* Is there a codec, and does it take such a dictionary? */
static int check(struct run *run, uint64_t size, struct uz_err *err)
{
	size_t reach;

	uz_device_codec_moment(run->t->dev, run->priority, &run->since);
	if (!uz_device_disksize(run->t->dev))
		return uz_err_set(err, -EINVAL, "the device has no size");
	if (!run->since.codec.ops)
		return uz_err_set(err, -EINVAL,
				  "there is no codec of priority %u",
				  run->priority);
	run->codec = run->since.codec;
	reach = uz_codec_dict_reach(&run->codec);
	if (!reach)
		return uz_err_set(
			err, -ENOTSUP,
			"%s has no use for dictionaries: lz4, lz4hc and zstd have",
			uz_codec_name(&run->codec));
	run->codec.dict = 0;
	if (!size)
		size = UZ_TRAIN_SIZE;
	if (size < UZ_CODEC_TRAIN_MIN || size > reach)
		return uz_err_set(err, -ERANGE,
				  "a dictionary of %" PRIu64
				  " bytes is too %s for %s: use %d to %zu",
				  size, size > reach ? "large" : "small",
				  uz_codec_name(&run->codec),
				  UZ_CODEC_TRAIN_MIN, reach);
	run->cap = size;
	return 0;
}

static int do_run(struct run *run, uint64_t size, struct uz_err *err)
{
	int ret = check(run, size, err);

	if (ret)
		return ret;
	ret = uz_io_create(run->t->dev, &run->io);
	if (ret)
		return uz_err_set(err, ret, "training: %s", strerror(-ret));
	run_in_thread(run);
	uz_io_destroy(run->io);
	if (run->ret)
		return uz_err_set(err, run->ret, "%s", run->err.text);
	uz_lock_acquire(&run->t->task.lock);
	run->t->last = run->result;
	uz_lock_release(&run->t->task.lock);
	return 0;
}

int uz_trainer_run(struct uz_trainer *trainer, unsigned int priority,
		   uint64_t size, uint64_t id, struct uz_err *err)
{
	struct run run = { .t = trainer, .priority = priority };
	bool begins;
	int ret;

	uz_lock_acquire(&trainer->task.lock);
	begins = uz__task_begin(&trainer->task, id);
	uz_lock_release(&trainer->task.lock);
	if (!begins)
		return uz_err_set(err, -EBUSY,
				  "a dictionary is being trained already");
	ret = do_run(&run, size, err);
	uz__task_end(&trainer->task);
	return ret;
}

void uz_trainer_interrupt(struct uz_trainer *trainer, uint64_t id)
{
	uz__task_interrupt(&trainer->task, id);
}

bool uz_trainer_last(struct uz_trainer *trainer, struct uz_trained *trained)
{
	uz_scoped_acquire(guard, &trainer->task.lock);

	*trained = trainer->last;
	return trainer->task.running;
}
