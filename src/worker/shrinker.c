// SPDX-License-Identifier: MIT
/*
 * A device with a backing store is kept below its memory limit: a thread
 * sleeps until the device gives notice that there is need for room, and then
 * has cold pages written back until there is enough, or nothing more can be
 * done. What it does in one turn, and which pages are cold, is the device's
 * business (uzram/device/room.h).
 *
 * After each turn that has gained something the stores that wait are told, and
 * at the end, when it was a failure. A store that fails is tried a few times
 * in a row, and then left alone until there is notice again: pages that could
 * not be written stay where they are, and what does not fit is refused. When
 * nothing is left to be written it is worth a short wait: what has left may
 * still be read by somebody, and its memory be freed only then. What is wrong
 * is said once, until it is right again.
 *
 * A store that was not there when the device's memory was adopted is looked
 * for now and then, as this is the thread that has to do with it.
 *
 * There are no other rests: what keeps stores waiting is to be over soon, and
 * between the marks it is the store that takes the time.
 *
 * Locks: none of its own. What it needs of the device it has made before there
 * is need, at the notice that a limit will be set: that takes the configuration
 * lock, which later may be held by somebody who waits for a store.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <uzram/util/log.h>

#include "worker_priv.h"

/* A store that fails so often in a row is left alone. */
#define FAILURES 4

/*
 * How often a store that is missing is looked for: nobody notices what that
 * costs, and a person who has brought it back need not wait long.
 */
#define LOOK_NS UINT64_C(5000000000)

/* How often memory that is still being read is waited for, and how long. */
#define WAITS	20
#define WAIT_NS UINT64_C(10000000)

/*
 * struct uz_shrinker - the thread of a device
 * @dev:     the device
 * @thread:  itself
 * @notice:  there is need for room
 * @wb:      its way into the device, made when there is need first
 * @hand:    of the device's clock
 * @failure: what was told of last; 0: nothing is wrong
 */
struct uz_shrinker {
	struct uz_device *dev;
	pthread_t thread;
	struct uz__notice notice;
	struct uz_writeback *wb;
	struct uz_room_hand hand;
	int failure;
};

static void forget(struct uz_shrinker *s)
{
	uz_writeback_destroy(s->wb);
	s->wb = NULL;
	s->hand = (struct uz_room_hand){ 0 };
}

/* One turn, with what it needs; -ENODEV: of a device that was reset. */
static int turn(struct uz_shrinker *s, uint64_t *pages, struct uz_err *err)
{
	struct uz_writeback_done done = { 0 };
	int ret = 0;

	if (!s->wb)
		ret = uz_writeback_create(&s->wb, s->dev, err);
	if (ret)
		return ret == -ENODEV ? -EINVAL : ret;
	ret = uz_room_make(s->wb, &s->hand, &done);
	*pages = done.pages;
	return ret;
}

static const char *why(int ret, const struct uz_err *err)
{
	if (err->text[0])
		return err->text;
	switch (ret) {
	case -ENOSPC:
		return "the backing store is full";
	case -EDQUOT:
		return "writeback_limit is used up";
	case -ENODATA:
		return "nothing that could be written back is left in memory";
	default:
		return strerror(-ret);
	}
}

/* Once for each kind. */
static void tell(struct uz_shrinker *s, int ret, const struct uz_err *err)
{
	if (ret && ret != s->failure)
		uz_log(UZ_LOG_WARN,
		       "%s: no room below mem_limit by writing back: %s; stores that do not fit are refused",
		       uz_device_name(s->dev), why(ret, err));
	s->failure = ret;
}

/* How often it may come to that before it is believed. */
static unsigned int patience(int ret)
{
	switch (ret) {
	case -ENOSPC:
	case -EDQUOT:
	case -EINVAL:
		return 1;
	case -ENODATA:
		return WAITS;
	default:
		return FAILURES;
	}
}

/* Until there is room, or nothing more can be done. */
static void work(struct uz_shrinker *s)
{
	struct uz_err err = { 0 };
	unsigned int failures = 0;
	uint64_t pages;
	int ret;

	do {
		pages = 0;
		err.text[0] = '\0';
		ret = turn(s, &pages, &err);
		if (ret == -ENODEV)
			forget(s);
		else if (s->wb || ret != -EINVAL)
			uz_room_ready(s->dev);
		failures = ret < 0 ? failures + 1 : 0;
		if (pages) {
			uz_room_tell(s->dev, 0);
			tell(s, 0, &err);
		}
		if (!uz__task_rest(&s->notice.task,
				   ret == -ENODATA ? WAIT_NS : 0))
			return;
	} while (ret > 0 || (ret && failures < patience(ret)));
	/* No device or store any more: those that wait have seen it. */
	if (!ret || ret == -EINVAL)
		return;
	/* First: who is refused finds the reason in the log. */
	tell(s, ret, &err);
	uz_room_tell(s->dev, ret);
}

static void *shrinker_main(void *arg)
{
	struct uz_shrinker *s = arg;
	bool missing = uz_device_retry_backing(s->dev);

	while (uz__notice_await(&s->notice, missing ? LOOK_NS : 0)) {
		uz__notice_take(&s->notice);
		if (missing)
			missing = uz_device_retry_backing(s->dev);
		work(s);
	}
	forget(s);
	return NULL;
}

int uz_shrinker_start(struct uz_shrinker **shrinker, struct uz_device *dev)
{
	struct uz_shrinker *s = calloc(1, sizeof(*s));
	int ret;

	if (!s)
		return -ENOMEM;
	s->dev = dev;
	uz__notice_init(&s->notice, false);
	ret = uz__task_thread(&s->thread, "uz-shrinker", shrinker_main, s);
	if (ret) {
		uz__notice_destroy(&s->notice);
		free(s);
		return ret;
	}
	uz_room_on_need(dev, uz__notice_give, &s->notice);
	*shrinker = s;
	return 0;
}

void uz_shrinker_stop(struct uz_shrinker *shrinker)
{
	if (!shrinker)
		return;
	uz__task_interrupt(&shrinker->notice.task, 0);
	pthread_join(shrinker->thread, NULL);
	uz_room_on_need(shrinker->dev, NULL, NULL);
	uz__notice_destroy(&shrinker->notice);
	free(shrinker);
}
