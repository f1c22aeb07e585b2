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
 * Locks: @lock guards the state and the sleep; it is a leaf.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include <uzram/util/lock.h>

#include "worker_priv.h"

#define NS_PER_S UINT64_C(1000000000)
#define BATCH	 64

/*
 * struct uz_scrubber - the scrubs of a device, one at a time
 * @dev:    the device
 * @lock:   of all below
 * @wake:   the scrub is to end
 * @thread: to be joined, if @begun
 * @begun:  there is a thread, which may have ended
 * @stop:   it is to end
 * @io:     its way into the device; its own
 * @rate:   bytes a second, 0 for no limit
 * @state:  what it has done
 */
struct uz_scrubber {
	struct uz_device *dev;
	struct uz_lock lock;
	pthread_cond_t wake;
	pthread_t thread;
	bool begun;
	bool stop;
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
	uz_scoped_acquire(guard, &s->lock);
	struct timespec until;
	int ret = 0;

	s->state.done = *done;
	clock_gettime(CLOCK_MONOTONIC, &until);
	ns += (uint64_t)until.tv_nsec;
	until.tv_sec += (time_t)(ns / NS_PER_S);
	until.tv_nsec = (long)(ns % NS_PER_S);
	while (!s->stop && !ret)
		ret = pthread_cond_timedwait(&s->wake, &s->lock.mutex, &until);
	return !s->stop;
}

static void *scrubber_main(void *arg)
{
	struct uz__pace last, before, after;
	struct uz_scrubber *s = arg;
	struct uz_scrub done = { 0 };
	uint64_t ns, least;
	bool more, ended;

	uz__pace_now(&last);
	do {
		uint64_t pages = done.pages;

		uz__pace_now(&before);
		more = uz_device_scrub(s->io, BATCH, &done);
		uz__pace_now(&after);
		ns = uz__pace_rest(&last, &before, &after);
		least = batch_ns(s, done.pages - pages);
		if (least > after.wall - before.wall + ns)
			ns = least - (after.wall - before.wall);
		ended = !report(s, &done, more ? ns : 0);
		last = after;
	} while (more && !ended);
	uz_io_destroy(s->io);
	uz_lock_acquire(&s->lock);
	s->state.running = false;
	s->state.finished = !more;
	uz_lock_release(&s->lock);
	return NULL;
}

int uz_scrubber_create(struct uz_scrubber **scrubber, struct uz_device *dev)
{
	struct uz_scrubber *s = calloc(1, sizeof(*s));
	pthread_condattr_t attr;

	if (!s)
		return -ENOMEM;
	s->dev = dev;
	uz_lock_init(&s->lock, UZ_LOCK_LEAF);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->wake, &attr);
	pthread_condattr_destroy(&attr);
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
	pthread_cond_destroy(&scrubber->wake);
	uz_lock_destroy(&scrubber->lock);
	free(scrubber);
}

static int spawn(struct uz_scrubber *s)
{
	sigset_t all, before;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&s->thread, NULL, scrubber_main, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!ret)
		pthread_setname_np(s->thread, "uz-scrubber");
	return -ret;
}

int uz_scrubber_start(struct uz_scrubber *s, uint64_t rate)
{
	struct uz_scrub_state state;
	int ret;

	uz_scrubber_state(s, &state);
	if (state.running)
		return -EBUSY;
	join(s);
	ret = uz_io_create(s->dev, &s->io);
	if (ret)
		return ret;
	uz_lock_acquire(&s->lock);
	s->rate = rate;
	s->stop = false;
	s->state = (struct uz_scrub_state){ .running = true };
	uz_lock_release(&s->lock);
	ret = spawn(s);
	s->begun = !ret;
	if (ret) {
		uz_io_destroy(s->io);
		uz_lock_acquire(&s->lock);
		s->state.running = false;
		uz_lock_release(&s->lock);
	}
	return ret;
}

void uz_scrubber_stop(struct uz_scrubber *s)
{
	uz_scoped_acquire(guard, &s->lock);

	s->stop = true;
	pthread_cond_signal(&s->wake);
}

void uz_scrubber_state(struct uz_scrubber *s, struct uz_scrub_state *state)
{
	uz_scoped_acquire(guard, &s->lock);

	*state = s->state;
}
