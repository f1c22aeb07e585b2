// SPDX-License-Identifier: MIT
/*
 * Page workers: threads that help with requests of many pages (job.c).
 *
 * They are help, no more: whoever submits a request does all of it that
 * nobody else has taken. So a worker that is late, or that nobody has called,
 * costs time and never a result, and none of what follows has to be exact
 * about when a worker looks for work.
 *
 * A worker without work counts itself in @idle and waits for @wake. Who calls
 * one takes it out of @idle and posts. So at any time as many wait as @idle
 * and the value of @wake say together, each post ends the wait of exactly
 * one, and a caller never makes a system call for nobody. Between requests
 * nothing runs.
 *
 * There are CPUs for the workers and one thread more. When several threads
 * submit large requests each of them needs a CPU of its own: then fewer
 * workers are called, and those at work leave.
 *
 * Each worker has a struct uz_io, but never sets its busy flag: it touches the
 * device only inside of a job, and the submitter of that job, whose flag is
 * set, does not leave before every helper has (job.c). So reset, which waits
 * for the flags, waits for the workers too.
 *
 * Threads come and go under the configuration lock.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <uzram/util/ahead.h>
#include <uzram/util/log.h>

#include "crew.h"

/*
 * Take a worker out of @idle. Relaxed: it is a right to one post and says
 * nothing of other memory; what a worker is to see is ordered by @wake and by
 * the state of the job that it joins.
 */
static bool take_idle(struct uz__crew *crew)
{
	unsigned int n =
		atomic_load_explicit(&crew->idle, memory_order_relaxed);

	/*
	 * Sequentially consistent for the end of the crew: see wait_for_call().
	 */
	while (n)
		if (atomic_compare_exchange_weak(&crew->idle, &n, n - 1))
			return true;
	return false;
}

/*
 * With n workers there are n + 1 CPUs, and of these n - idle + submitters are
 * in use. Relaxed, here and below: a guess that is wrong for a moment makes
 * somebody run or sleep who had better not.
 */
void uz__crew_call(struct uz__crew *crew)
{
	unsigned int idle =
		atomic_load_explicit(&crew->idle, memory_order_relaxed);
	uint64_t now;

	if (!idle || idle < atomic_load_explicit(&crew->submitters,
						 memory_order_relaxed))
		return;
	now = uz__crew_clock();
	if (now < atomic_load_explicit(&crew->quiet, memory_order_relaxed) ||
	    !take_idle(crew))
		return;
	sem_post(&crew->wake);
}

/*
 * When other programs want the CPUs, a worker that has joined a job may be
 * stopped in the middle of a page, for milliseconds, while the submitter waits
 * for it. No one can be asked beforehand whether that will happen; so what
 * did happen decides. Since a pause is QUIET times as long as what was lost,
 * little is lost in the long run.
 */
void uz__crew_late(struct uz__crew *crew, uint64_t since, uint64_t patience)
{
	uint64_t now = uz__crew_clock();

	if (now >= since + UZ__LATE_NS + patience)
		atomic_store_explicit(&crew->quiet,
				      now + (now - since) * UZ__QUIET,
				      memory_order_relaxed);
}

bool uz__crew_crowded(struct uz__crew *crew)
{
	return atomic_load_explicit(&crew->submitters, memory_order_relaxed) >
	       atomic_load_explicit(&crew->idle, memory_order_relaxed) + 1;
}

/*
 * Sleep until called; false at the end. This counts itself, then looks at
 * @stop; crew_end() sets @stop, then takes all that are counted. All four are
 * sequentially consistent: one of the two sees the other. Who finds that
 * nobody is left in @idle was taken out himself, and a post is on its way.
 */
static bool wait_for_call(struct uz__crew *crew)
{
	atomic_fetch_add(&crew->idle, 1);
	if (atomic_load(&crew->stop) && take_idle(crew))
		return false;
	while (sem_wait(&crew->wake))
		; /* EINTR: a debugger was here */
	return !atomic_load(&crew->stop);
}

static void *worker_main(void *arg)
{
	struct uz__worker *w = arg;
	struct uz__crew *crew = w->crew;

	uz_ahead_stack();
	while (wait_for_call(crew)) {
		while (uz__job_help(crew, w->io))
			;
	}
	return NULL;
}

uint64_t uz__crew_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int worker_start(struct uz_device *dev, struct uz__worker *w)
{
	int ret;

	w->crew = dev->crew;
	ret = uz__io_add(dev, &w->io);
	if (ret)
		return ret;
	ret = -pthread_create(&w->thread, NULL, worker_main, w);
	if (ret)
		uz__io_remove(w->io);
	return ret;
}

/**
 * uz__crew_start() - have the workers that are wanted
 * @dev: it has table, pool and codec contexts; there are no workers
 *
 * Those that cannot be had are a warning: requests are carried out all the
 * same.
 *
 * Context: configuration lock held, or no other thread.
 */
void uz__crew_start(struct uz_device *dev)
{
	struct uz__crew *crew = dev->crew;
	sigset_t all, before;
	unsigned int nr = 0;
	char name[24]; /* the compiler cannot know how few there are */
	int ret = 0;

	atomic_store(&crew->stop, false);
	/* Signals are for the thread that the program has chosen. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (nr < crew->wanted) {
		ret = worker_start(dev, &crew->workers[nr]);
		if (ret)
			break;
		snprintf(name, sizeof(name), "uz-page-%u", nr);
		pthread_setname_np(crew->workers[nr++].thread, name);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	/* relaxed: it says that calling may be worth while, no more. */
	atomic_store_explicit(&crew->nr, nr, memory_order_relaxed);
	if (ret)
		uz_log(UZ_LOG_WARN,
		       "%s: %u of %u page workers: large requests will be slower",
		       dev->name, nr, crew->wanted);
}

/**
 * uz__crew_end() - let every worker end
 * @dev: the device; requests may be under way, and are carried out
 *
 * Context: configuration lock held, or no other thread. Sleeps.
 */
void uz__crew_end(struct uz_device *dev)
{
	struct uz__crew *crew = dev->crew;
	unsigned int nr, i;

	if (!crew)
		return;
	nr = atomic_load_explicit(&crew->nr, memory_order_relaxed);
	atomic_store_explicit(&crew->nr, 0, memory_order_relaxed);
	atomic_store(&crew->stop, true);
	while (take_idle(crew))
		sem_post(&crew->wake);
	for (i = 0; i < nr; i++) {
		pthread_join(crew->workers[i].thread, NULL);
		uz__io_remove(crew->workers[i].io);
	}
}

int uz__crew_create(struct uz_device *dev)
{
	size_t size = sizeof(struct uz__crew);
	struct uz__crew *crew = aligned_alloc(UZ_CACHELINE, size);
	unsigned int i;

	if (!crew)
		return -ENOMEM;
	*crew = (struct uz__crew){ 0 };
	sem_init(&crew->wake, 0, 0);
	for (i = 0; i < UZ__JOBS; i++)
		sem_init(&crew->jobs[i].done, 0, 0);
	dev->crew = crew;
	return 0;
}

void uz__crew_destroy(struct uz_device *dev)
{
	unsigned int i;

	if (!dev->crew)
		return;
	for (i = 0; i < UZ__JOBS; i++)
		sem_destroy(&dev->crew->jobs[i].done);
	sem_destroy(&dev->crew->wake);
	free(dev->crew);
}

void uz_device_set_workers(struct uz_device *dev, unsigned int nr)
{
	uz_scoped_acquire(guard, &dev->lock);

	uz__crew_end(dev);
	dev->crew->wanted = nr < UZ_WORKERS_MAX ? nr : UZ_WORKERS_MAX;
	if (dev->table)
		uz__crew_start(dev);
	uz_ahead_program();
}
