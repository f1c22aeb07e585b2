// SPDX-License-Identifier: MIT
/*
 * The thread that does what policy.c decides. It exists while the policy is
 * on, looks at the device once a second, and does one thing at a time, in
 * itself: so its own CPU time is what the policy costs. The runs of
 * recompression and of writing back are the same as those that are asked for,
 * but others: whoever asks for one is not told to wait for the policy's.
 *
 * Its share: runs rest after each batch as long as it takes to keep to it, and
 * the thread after each action, for what else there was to do (marking,
 * compaction). Requests that come meanwhile slow a run down as they do any
 * other (pace.c).
 *
 * Whoever ends it interrupts the thread first and then its run, by the number
 * that the thread gives to each under the lock. So a run either is not begun,
 * or is found by its number (task.c).
 *
 * Locks: the state is kept under the task's.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <uzram/util/log.h>
#include <uzram/worker.h>

#include "policy_priv.h"
#include "worker_priv.h"

#define NS_PER_S UINT64_C(1000000000)

/* Above all numbers that others may give to runs. */
#define FIRST_ID (UINT64_C(1) << 63)

/* The codec for recompression if nobody has chosen one. */
#define CODEC_DEFAULT "zstd"

/*
 * struct uz_policy - work that a device does unasked
 * @dev:          the device
 * @recompressor: its own
 * @backer:       its own
 * @task:         guards what follows
 * @thread:       to be joined, if @begun
 * @begun:        there is a thread, which may have ended
 * @run:          number of the run that is under way, or was last
 * @word:         as uz_policy_rests()
 * @past:         the thread's, as what follows
 * @failure:      what the last failure was, to tell of it once
 * @cpu_all:      jiffies of the machine's CPUs when it last looked
 * @cpu_idle:     likewise, those without work
 */
struct uz_policy {
	struct uz_device *dev;
	struct uz_recompressor *recompressor;
	struct uz_backer *backer;
	struct uz__task task;
	pthread_t thread;
	bool begun;
	uint64_t run;
	const char *word;
	struct uz__policy_past past;
	int failure;
	uint64_t cpu_all;
	uint64_t cpu_idle;
};

static uint64_t now_seconds(void)
{
	struct timespec t;

	/* The clock of the pages' ages. */
	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec;
}

/* ---- looking ---- */

/* Percent of the machine's CPU time since the last look; 0 if not known. */
static unsigned int cpu_busy(struct uz_policy *p)
{
	uint64_t t[8] = { 0 }, all = 0, idle, past;
	unsigned int busy = 0, i;
	FILE *file = fopen("/proc/stat", "re");
	int n = 0;

	if (!file)
		return 0;
	n = fscanf(file,
		   "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
		   " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
		   &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7]);
	fclose(file);
	if (n != 8)
		return 0;
	for (i = 0; i < 8; i++)
		all += t[i];
	idle = t[3] + t[4]; /* idle and iowait */
	past = all - p->cpu_all;
	if (all > p->cpu_all && idle >= p->cpu_idle &&
	    idle - p->cpu_idle <= past)
		busy = (unsigned int)(100 - (idle - p->cpu_idle) * 100 / past);
	p->cpu_all = all;
	p->cpu_idle = idle;
	return busy;
}

/* Is there a secondary codec? If nobody has chosen one, choose it. */
static bool have_codec(struct uz_device *dev)
{
	struct uz_codec codec;
	unsigned int i;

	for (i = 1; i < UZ_PRIORITIES; i++)
		if (uz_device_codec_of(dev, i, &codec))
			return true;
	uz_device_codec(dev, &codec);
	return strcmp(uz_codec_name(&codec), CODEC_DEFAULT) &&
	       !uz_device_set_secondary(dev, 1, CODEC_DEFAULT, NULL);
}

static bool store_takes(struct uz_device *dev)
{
	char path[UZ_BACKING_PATH_MAX + 1];
	struct uz_backing_stat s;

	uz_device_backing(dev, path);
	if (!path[0])
		return false;
	uz_device_backing_stat(dev, &s);
	if (s.backing_lost || s.used_blocks >= s.blocks)
		return false;
	return !uz_device_backing_setting(dev, UZ_BACKING_LIMITED) ||
	       uz_device_backing_setting(dev, UZ_BACKING_LIMIT);
}

static void look(struct uz_policy *p, struct uz__policy_view *v)
{
	struct uz_device_stat s;

	uz_device_stat(p->dev, &s);
	*v = (struct uz__policy_view){
		.on = uz_device_policy(p->dev, UZ_POLICY_ON),
		.now = now_seconds(),
		.stored = s.orig_data_size / UZ_PAGE_SIZE,
		.requests = s.num_reads + s.num_writes + s.num_discards,
		.used = s.mem_used_total,
		.limit = s.mem_limit,
		.busy = cpu_busy(p),
		.busy_max = (unsigned int)uz__policy_setting(p->dev,
							     UZ_POLICY_BUSY),
		.idle = uz__policy_setting(p->dev, UZ_POLICY_IDLE),
		.near = (unsigned int)uz__policy_setting(p->dev,
							 UZ_POLICY_NEAR),
	};
	if (!v->stored)
		return;
	v->codec = have_codec(p->dev);
	v->store = store_takes(p->dev);
}

/* ---- doing ---- */

static unsigned int share(const struct uz_policy *p)
{
	return (unsigned int)uz__policy_setting(p->dev, UZ_POLICY_SHARE);
}

/* The number of a run that is about to begin; 0: the thread is to end. */
static uint64_t next_run(struct uz_policy *p)
{
	uz_scoped_acquire(guard, &p->task.lock);

	return p->task.stop ? 0 : ++p->run;
}

static int mark(struct uz_policy *p, uint64_t idle, struct uz_err *err)
{
	uint64_t marked = 0;
	int ret = uz_device_mark_idle(p->dev, idle, &marked, err);

	uz_device_add_policy(p->dev, UZ_POLICY_MARKED, marked);
	return ret;
}

static int recompress(struct uz_policy *p, uint64_t *tried, struct uz_err *err)
{
	const struct uz_recompress_order orders[] = {
		{ .idle = true,
		  .max_pages = UINT64_MAX,
		  .share = share(p),
		  .here = true },
		{ .huge = true,
		  .max_pages = UINT64_MAX,
		  .share = share(p),
		  .here = true },
	};
	struct uz_recompression done;
	uint64_t total, id;
	unsigned int i;
	int ret = 0;

	for (i = 0; i < 2 && !ret; i++) {
		id = next_run(p);
		if (!id)
			return -EINTR;
		ret = uz_recompressor_run(p->recompressor, &orders[i], id, err);
		uz_recompressor_progress(p->recompressor, &total, &done);
		*tried += done.tried;
		uz_device_add_policy(p->dev, UZ_POLICY_RECOMPRESSED,
				     done.gained);
		uz_device_add_policy(p->dev, UZ_POLICY_SAVED, done.bytes);
	}
	return ret;
}

static int write_back(struct uz_policy *p, struct uz_err *err)
{
	const struct uz_backer_range range = {
		.kinds = UZ_WRITEBACK_IDLE,
		.end = uz_device_disksize(p->dev) / UZ_PAGE_SIZE,
	};
	const struct uz_backer_order order = { &range, 1, share(p) };
	struct uz_writeback_done done;
	uint64_t total, id = next_run(p);
	int ret;

	if (!id)
		return -EINTR;
	ret = uz_backer_run(p->backer, &order, id, err);
	uz_backer_progress(p->backer, &total, &done);
	uz_device_add_policy(p->dev, UZ_POLICY_WRITTEN, done.pages);
	return ret;
}

/* Once for each kind of failure in a row; a reset or the end is none. */
static void tell(struct uz_policy *p, int ret, const struct uz_err *err)
{
	if (ret && ret != p->failure && ret != -EINTR && ret != -EINVAL)
		uz_log(UZ_LOG_WARN, "%s: policy: %s; it goes on",
		       uz_device_name(p->dev), err->text);
	p->failure = ret;
}

static void act(struct uz_policy *p, const struct uz__policy_view *v,
		enum uz__policy_action action)
{
	struct uz_err err = { 0 };
	uint64_t tried = 0;
	int ret = 0;

	switch (action) {
	case UZ__POLICY_MARK:
		ret = mark(p, v->idle, &err);
		break;
	case UZ__POLICY_RECOMPRESS:
		ret = recompress(p, &tried, &err);
		break;
	case UZ__POLICY_WRITEBACK:
		ret = write_back(p, &err);
		break;
	case UZ__POLICY_REST:
	case UZ__POLICY_END:
		break;
	}
	tell(p, ret, &err);
	uz__policy_did(&p->past, action, v->now, tried);
}

static void set_word(struct uz_policy *p, const char *word)
{
	uz_scoped_acquire(guard, &p->task.lock);

	p->word = word;
}

/* One look, and what comes of it; nanoseconds to rest, or 0: the end. */
static uint64_t turn(struct uz_policy *p, struct uz__pace *last)
{
	struct uz__policy_view v;
	struct uz__policy_step step;
	struct uz__pace now;
	uint64_t cpu, rest;

	look(p, &v);
	uz__policy_see(&p->past, &v);
	step = uz__policy_decide(&v, &p->past);
	set_word(p, step.word);
	if (step.action == UZ__POLICY_END)
		return 0;
	act(p, &v, step.action);
	uz__pace_now(&now);
	cpu = now.own - last->own;
	rest = uz__policy_pause(cpu, now.wall - last->wall, share(p));
	uz_device_add_policy(p->dev, UZ_POLICY_CPU_NS, cpu);
	*last = now;
	if (rest > NS_PER_S)
		set_word(p, "share");
	return rest > NS_PER_S ? rest : NS_PER_S;
}

static void *policy_main(void *arg)
{
	struct uz_policy *p = arg;
	struct uz__pace last;
	uint64_t rest;

	uz__pace_now(&last);
	do {
		rest = turn(p, &last);
	} while (rest && uz__task_rest(&p->task, rest));
	set_word(p, "off");
	uz__task_end(&p->task);
	return NULL;
}

/* ---- its life ---- */

int uz_policy_create(struct uz_policy **policy, struct uz_device *dev)
{
	struct uz_policy *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	if (uz_recompressor_create(&p->recompressor, dev) ||
	    uz_backer_create(&p->backer, dev)) {
		uz_recompressor_destroy(p->recompressor);
		free(p);
		return -ENOMEM;
	}
	p->dev = dev;
	p->run = FIRST_ID;
	p->word = "off";
	uz__task_init(&p->task);
	*policy = p;
	return 0;
}

static void stop(struct uz_policy *p)
{
	uint64_t run;

	if (!p->begun)
		return;
	uz__task_interrupt(&p->task, 0);
	uz_lock_acquire(&p->task.lock);
	run = p->run;
	uz_lock_release(&p->task.lock);
	uz_recompressor_interrupt(p->recompressor, run);
	uz_backer_interrupt(p->backer, run);
	pthread_join(p->thread, NULL);
	p->begun = false;
}

void uz_policy_destroy(struct uz_policy *policy)
{
	if (!policy)
		return;
	stop(policy);
	uz_recompressor_destroy(policy->recompressor);
	uz_backer_destroy(policy->backer);
	uz__task_destroy(&policy->task);
	free(policy);
}

static bool begin(struct uz_policy *p)
{
	uz_scoped_acquire(guard, &p->task.lock);

	if (!uz__task_begin(&p->task, 0))
		return false;
	p->word = "young";
	return true;
}

static int start(struct uz_policy *p)
{
	int ret = uz_device_track_age(p->dev);

	if (ret)
		return ret;
	uz__policy_begin(&p->past, now_seconds());
	p->failure = 0;
	cpu_busy(p);
	if (!begin(p))
		return -EBUSY;
	ret = uz__task_thread(&p->thread, "uz-policy", policy_main, p);
	p->begun = !ret;
	if (ret) {
		set_word(p, "off");
		uz__task_end(&p->task);
	}
	return ret;
}

/*
 * The thread is always begun anew: a setting that was changed holds from now
 * on, and it may just be about to end because of a reset.
 */
int uz_policy_follow(struct uz_policy *policy, struct uz_err *err)
{
	int ret;

	stop(policy);
	if (!uz_device_policy(policy->dev, UZ_POLICY_ON))
		return 0;
	ret = start(policy);
	return ret ? uz_err_set(err, ret, "no thread for the policy: %s",
				strerror(-ret))
		   : 0;
}

const char *uz_policy_rests(struct uz_policy *policy)
{
	uz_scoped_acquire(guard, &policy->task.lock);

	return policy->word;
}
