// SPDX-License-Identifier: MIT
/*
 * Workers that hang: the worker's threads say that they are alive, in the
 * board, and the supervisor looks at it a few times in the time that they are
 * given. It compares words of memory, no more, so it needs nothing of what may
 * be the reason.
 *
 * Threads that serve say so themselves (uz_device_submit()): what counts is
 * that a page that was begun is not done. One more thread has nothing else to
 * do, so it stands for the process, which may be stopped while nobody is at
 * work. It is made before the memory is taken over, which takes as long as
 * there are pages: the process is seen to run meanwhile. Before that a worker
 * has little to do, and is given a minute. The very first one is not waited for
 * by anybody until it serves.
 *
 * Looks are counted, not time, and one that comes late does not count: while
 * the supervisor itself does not run (a frozen cgroup, a suspended machine, too
 * much load) nobody gets older.
 *
 * No locks. The supervisor believes nothing that it reads there but that words
 * differ.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include <uzram/util/ahead.h>

#include "daemon_priv.h"

/* In the time that a thread is given. */
#define LOOKS 4

/* To begin, as long as an upgrade has to take over. */
#define BEGIN_S 60

static unsigned int period_ms(unsigned int seconds)
{
	return seconds * 1000 / LOOKS;
}

static void forget_pulses(struct uz__board *b)
{
	unsigned int i;

	for (i = 0; i < UZ__PULSES; i++)
		uz_pulse_end(&b->pulses[i]);
}

/* ---- the supervisor ---- */

void uz__watchdog_begin(struct uz__watchdog *w, struct uz__daemon *d,
			uint64_t now)
{
	struct uz__board *b = d->board;

	memset(w, 0, sizeof(*w));
	b->watchdog = d->config->watchdog;
	if (!b->watchdog)
		return;
	forget_pulses(b);
	w->next = now + period_ms(d->config->watchdog);
}

/* Who stays at the same place for too long, in words, or NULL. */
static const char *who_is_still(struct uz__watchdog *w,
				const struct uz__board *b)
{
	const char *who = NULL;
	unsigned int i;

	for (i = 0; i < UZ__PULSES; i++)
		if (uz_pulse_look(&b->pulses[i], &w->seen[i]) >= LOOKS)
			who = i == UZ__PULSE_PROCESS
				      ? "it does not run"
				      : "a request does not get on";
	return who;
}

/* The same of the whole worker. */
static const char *how_it_hangs(struct uz__watchdog *w,
				const struct uz__daemon *d, bool serves)
{
	const unsigned int seconds = d->config->watchdog;
	const unsigned int limit = seconds < BEGIN_S ? BEGIN_S : seconds;

	if (!d->served)
		return NULL;
	if (serves || uz_pulse_works(&d->board->pulses[UZ__PULSE_PROCESS]))
		return who_is_still(w, d->board);
	return ++w->looks > limit * LOOKS / seconds ? "it does not begin"
						    : NULL;
}

const char *uz__watchdog_hangs(struct uz__watchdog *w, struct uz__daemon *d,
			       bool serves, uint64_t now)
{
	const unsigned int seconds = d->config->watchdog;
	const char *how = NULL;

	if (!w->next || now < w->next)
		return NULL;
	if (now - w->next <= period_ms(seconds) / 2)
		how = how_it_hangs(w, d, serves);
	w->next = how ? 0 : now + period_ms(seconds);
	/* seq_cst: it is rare. Read by the workers that follow. */
	if (how)
		atomic_fetch_add(&d->board->hangs, 1);
	return how;
}

/* ---- the worker ---- */

static void *alive_thread(void *arg)
{
	const struct uz__alive *a = arg;

	uz_ahead_stack();
	for (;;) {
		nanosleep(&a->period, NULL);
		uz_pulse_beat(a->pulse);
	}
	return NULL;
}

int uz__alive_start(struct uz__alive *a, struct uz__board *b)
{
	/* So that each look but an early one finds something new. */
	const unsigned int ms = period_ms(b->watchdog) / 2;
	pthread_t thread;
	int ret;

	if (!b->watchdog)
		return 0;
	/*
	 * Once more: the worker of a supervisor that was killed may have gone
	 * on after the next one's uz__watchdog_begin().
	 */
	forget_pulses(b);
	a->pulse = &b->pulses[UZ__PULSE_PROCESS];
	a->period = (struct timespec){ .tv_sec = ms / 1000,
				       .tv_nsec = ms % 1000 * 1000000L };
	uz_pulse_begin(a->pulse);
	ret = pthread_create(&thread, NULL, alive_thread, a);
	if (ret) {
		uz_pulse_end(a->pulse);
		return -ret;
	}
	pthread_detach(thread); /* it ends with the process */
	return 0;
}
