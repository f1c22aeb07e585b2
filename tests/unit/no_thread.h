/* SPDX-License-Identifier: MIT */
#ifndef NO_THREAD_H
#define NO_THREAD_H

/*
 * A system that may have no thread left: pthread_create() is replaced by the
 * linker (--wrap). For one file of a program.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

/* There is none. */
static _Atomic bool create_fails;
/* Who made the last one had signals blocked, as the thread then has. */
static _Atomic bool signals_blocked;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*main)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*main)(void *), void *arg);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*main)(void *), void *arg)
{
	sigset_t now;

	pthread_sigmask(SIG_SETMASK, NULL, &now);
	signals_blocked = sigismember(&now, SIGTERM) &&
			  sigismember(&now, SIGUSR1);
	return create_fails ? EAGAIN
			    : __real_pthread_create(thread, attr, main, arg);
}

#endif
