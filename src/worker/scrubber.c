// SPDX-License-Identifier: MIT
/*
 * Looking at every stored page, from the first to the last, so that damage is
 * found before somebody wants the page.
 *
 * A thread for each scrub, with a way into the device of its own: it works a
 * batch of pages at a time, beside requests, and rests after each one as
 * pace.c says, or for longer, so as to keep to the rate that is wanted. It
 * holds no lock while it looks, so nobody waits for it.
 *
 * Locks: the state is kept under the task's.
 */
#include <errno.h>
#include <stdlib.h>

#include "worker_priv.h"

#define NS_PER_S UINT64_C(1000000000)
#define BATCH	 64

/*
 * struct uz_scrubber - the scrubs of a device, one at a time
 * @dev:    the device
 * @task:   guards @state
 * @thread: to be joined, if @begun
 * @begun:  there is a thread, which may have ended
 * @io:     its way into the device; its own
 * @rate:   bytes a second, 0 for no limit
 * @state:  what it has done; @running is not kept there
 */
struct uz_scrubber {
	struct uz_device *dev;
	struct uz__task task;
	pthread_t thread;
	bool begun;
	struct uz_io *io;
	uint64_t rate;
	struct uz_scrub_state state;
};

/* Nanoseconds that a batch of @pages has to take at least. */
static uint64_t batch_ns(const struct uz_scrubber *s, uint64_t pages)
{
	return s->rate ? pages * UZ_PAGE_SIZE * NS_PER_S / s->rate : 0;
}

/* Tell how far it is, and rest; false when the scrub is to end. */
static bool report(struct uz_scrubber *s, const struct uz_scrub *done,
		   uint64_t ns)
{
	uz_lock_acquire(&s->task.lock);
	s->state.done = *done;
	uz_lock_release(&s->task.lock);
	return uz__task_rest(&s->task, ns);
}

static void *scrubber_main(void *arg)
{
	struct uz_scrubber *s = arg;
	struct uz_scrub done = { 0 };
	struct uz__pacer pacer;
	uint64_t ns, took, least;
	bool more, ended;

	uz__pacer_start(&pacer);
	do {
		uint64_t pages = done.pages;

		uz__pacer_begin(&pacer);
		more = uz_device_scrub(s->io, BATCH, &done);
		ns = uz__pacer_end(&pacer);
		took = pacer.after.wall - pacer.before.wall;
		least = batch_ns(s, done.pages - pages);
		if (least > took + ns)
			ns = least - took;
		ended = !report(s, &done, more ? ns : 0);
	} while (more && !ended);
	uz_io_destroy(s->io);
	uz_lock_acquire(&s->task.lock);
	s->state.finished = !more;
	uz_lock_release(&s->task.lock);
	uz__task_end(&s->task);
	return NULL;
}

int uz_scrubber_create(struct uz_scrubber **scrubber, struct uz_device *dev)
{
	struct uz_scrubber *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->dev = dev;
	uz__task_init(&s->task);
	*scrubber = s;
	return 0;
}

static void join(struct uz_scrubber *s)
{
	if (s->begun)
		pthread_join(s->thread, NULL);
	s->begun = false;
}

void uz_scrubber_destroy(struct uz_scrubber *scrubber)
{
	if (!scrubber)
		return;
	uz_scrubber_stop(scrubber);
	join(scrubber);
	uz__task_destroy(&scrubber->task);
	free(scrubber);
}

static int start(struct uz_scrubber *s, uint64_t rate)
{
	int ret;

	join(s);
	ret = uz_io_create(s->dev, &s->io);
	if (ret)
		return ret;
	s->rate = rate;
	ret = uz__task_thread(&s->thread, "uz-scrubber", scrubber_main, s);
	s->begun = !ret;
	if (ret)
		uz_io_destroy(s->io);
	return ret;
}

int uz_scrubber_start(struct uz_scrubber *s, uint64_t rate)
{
	bool begins;
	int ret;

	uz_lock_acquire(&s->task.lock);
	begins = uz__task_begin(&s->task, 0);
	if (begins)
		s->state = (struct uz_scrub_state){ 0 };
	uz_lock_release(&s->task.lock);
	if (!begins)
		return -EBUSY;
	ret = start(s, rate);
	if (ret)
		uz__task_end(&s->task);
	return ret;
}

void uz_scrubber_stop(struct uz_scrubber *s)
{
	uz__task_interrupt(&s->task, 0);
}

void uz_scrubber_state(struct uz_scrubber *s, struct uz_scrub_state *state)
{
	uz_scoped_acquire(guard, &s->task.lock);

	*state = s->state;
	state->running = s->task.running;
}
