// SPDX-License-Identifier: MIT
/*
 * What all work in the background has in common: one run at a time, which can
 * be told to end, sleeps with an ear for that, and is paced.
 *
 * Who interrupts names the run by a number, and may come before it: the front
 * end learns that a client has gone while the client's request still waits for
 * a thread. So the last few such numbers are kept, and a run that begins with
 * one of them finds that it is to end.
 *
 * Locks: the task's, a leaf, guards all of it. Whoever has a task may keep
 * under it what others want to know of the run.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include <uzram/util/background.h>

#include "worker_priv.h"

#define NS_PER_S UINT64_C(1000000000)

void uz__task_init(struct uz__task *task)
{
	pthread_condattr_t attr;

	uz_lock_init(&task->lock, UZ_LOCK_LEAF);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&task->wake, &attr);
	pthread_condattr_destroy(&attr);
}

void uz__task_destroy(struct uz__task *task)
{
	pthread_cond_destroy(&task->wake);
	uz_lock_destroy(&task->lock);
}

bool uz__task_begin(struct uz__task *task, uint64_t id)
{
	unsigned int i;

	if (task->running)
		return false;
	task->running = true;
	task->stop = false;
	task->id = id;
	for (i = 0; i < UZ__TASK_EARLY; i++)
		if (id && task->early[i] == id)
			task->stop = true;
	return true;
}

void uz__task_end(struct uz__task *task)
{
	uz_scoped_acquire(guard, &task->lock);

	task->running = false;
}

void uz__task_interrupt(struct uz__task *task, uint64_t id)
{
	uz_scoped_acquire(guard, &task->lock);

	if (id && (!task->running || task->id != id)) {
		task->early[task->next++ % UZ__TASK_EARLY] = id;
		return;
	}
	task->stop = true;
	pthread_cond_signal(&task->wake);
}

struct timespec uz__task_deadline(uint64_t ns)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	ns += (uint64_t)t.tv_nsec;
	t.tv_sec += (time_t)(ns / NS_PER_S);
	t.tv_nsec = (long)(ns % NS_PER_S);
	return t;
}

bool uz__task_rest(struct uz__task *task, uint64_t ns)
{
	const struct timespec until = uz__task_deadline(ns);
	uz_scoped_acquire(guard, &task->lock);
	int ret = 0;

	while (!task->stop && ns && !ret)
		ret = pthread_cond_timedwait(&task->wake, &task->lock.mutex,
					     &until);
	return !task->stop;
}

/*
 * struct body - what a thread is for
 * @run: to be called
 * @arg: with this
 */
struct body {
	void *(*run)(void *arg);
	void *arg;
};

static void *thread_main(void *arg)
{
	const struct body body = *(struct body *)arg;

	free(arg);
	uz_background();
	return body.run(body.arg);
}

int uz__task_thread(pthread_t *thread, const char *name,
		    void *(*run)(void *arg), void *arg)
{
	struct body *body = malloc(sizeof(*body));
	sigset_t all, before;
	int ret;

	if (!body)
		return -ENOMEM;
	*body = (struct body){ .run = run, .arg = arg };
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(thread, NULL, thread_main, body);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ret) {
		free(body);
		return -ret;
	}
	pthread_setname_np(*thread, name);
	return 0;
}
