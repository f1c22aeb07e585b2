// SPDX-License-Identifier: MIT
/*
 * When memory becomes huge pages: the pool says when a piece may have been
 * populated wholly, and a thread of the device's looks a while later.
 *
 * Without notice nothing wakes the thread (notice.c), but for what was left for
 * later, because it had changed too recently. Between two huge pages it
 * rests as pace.c says.
 *
 * A system that has no huge page to give is asked again after a while, less
 * and less often. One that never has any ends the thread.
 *
 * Locks: one huge page takes the device's configuration lock and those of the
 * pool.
 */
#include <errno.h>
#include <stdlib.h>

#include <uzram/device/huge.h>

#include "worker_priv.h"

#define NS_PER_MS UINT64_C(1000000)

/* After notice: who fills a device gives it all the time. */
#define SETTLE_NS (1000 * NS_PER_MS)
/* At least between two huge pages, for who waits for the device's lock. */
#define REST_NS	  (1 * NS_PER_MS)
#define SHORT_MS  2000 /* after the system had none, doubled each time */
#define SHORT_MAX 256000

/*
 * struct uz_collapser - the thread of a device
 * @dev:    the device
 * @thread: itself
 * @notice: there may be something to do
 */
struct uz_collapser {
	struct uz_device *dev;
	pthread_t thread;
	struct uz__notice notice;
};

/*
 * One after the other; why it ended, as uz_device_collapse() says, or -EINTR:
 * the thread is to end.
 */
static int work(struct uz_collapser *c, uint32_t *wait_ms)
{
	struct uz__pacer pacer;
	uint64_t ns;
	int ret;

	uz__pacer_start(&pacer);
	do {
		uz__pacer_begin(&pacer);
		ret = uz_device_collapse(c->dev, wait_ms);
		ns = uz__pacer_end(&pacer);
		if (!uz__task_rest(&c->notice.task,
				   ns < REST_NS ? REST_NS : ns))
			return -EINTR;
	} while (ret > 0);
	return ret;
}

static void *collapser_main(void *arg)
{
	struct uz_collapser *c = arg;
	uint32_t wait_ms = 0, none_ms = 0;
	int ret;

	while (uz__notice_await(&c->notice, wait_ms * NS_PER_MS)) {
		if (!uz__task_rest(&c->notice.task, SETTLE_NS))
			break;
		uz__notice_take(&c->notice);
		wait_ms = 0;
		ret = work(c, &wait_ms);
		if (ret == -EINTR || ret == -ENOTSUP)
			break;
		if (ret != -ENOMEM) {
			none_ms = 0;
			continue;
		}
		none_ms = none_ms ? 2 * none_ms : SHORT_MS;
		if (none_ms > SHORT_MAX)
			none_ms = SHORT_MAX;
		wait_ms = 1;
		if (!uz__task_rest(&c->notice.task, none_ms * NS_PER_MS))
			break;
	}
	return NULL;
}

static void collapser_free(struct uz_collapser *c)
{
	uz__notice_destroy(&c->notice);
	free(c);
}

int uz_collapser_start(struct uz_collapser **collapser, struct uz_device *dev)
{
	struct uz_collapser *c = calloc(1, sizeof(*c));
	int ret;

	if (!c)
		return -ENOMEM;
	c->dev = dev;
	/* Nobody is told of what was adopted. */
	uz__notice_init(&c->notice, uz_device_disksize(dev) != 0);
	ret = uz__task_thread(&c->thread, "uz-collapser", collapser_main, c);
	if (ret) {
		collapser_free(c);
		return ret;
	}
	uz_device_on_whole(dev, uz__notice_give, &c->notice);
	*collapser = c;
	return 0;
}

void uz_collapser_stop(struct uz_collapser *collapser)
{
	if (!collapser)
		return;
	uz__task_interrupt(&collapser->notice.task, 0);
	pthread_join(collapser->thread, NULL);
}

void uz_collapser_free(struct uz_collapser *collapser)
{
	if (collapser)
		collapser_free(collapser);
}
