// SPDX-License-Identifier: MIT
/*
 * SIGTERM, SIGINT and SIGHUP (a closed terminal) ask for the end of service.
 * The supervisor hands them on to the worker, where they are blocked in every
 * thread and taken by one that does nothing else, so that the front end's
 * stop() runs in an ordinary context.
 *
 * A device that is in use is detached, not torn away: the thread says who uses
 * it, and the service ends by itself with the last user.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include <uzram/util/log.h>
#include <uzram/util/users.h>

#include "daemon_priv.h"

void uz__signals_set(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
}

void uz__signals_block(void)
{
	sigset_t set;

	uz__signals_set(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	/* A starter or a terminal that went away is no reason to die. */
	signal(SIGPIPE, SIG_IGN);
}

static void signals_say_busy(const struct uz__signals *signals)
{
	struct uz_users users = { 0 };
	char text[320] = "somebody who cannot be seen from here";

	if (!uz_users_find(&users, signals->fs, true) && users.count)
		uz_users_text(&users, text, sizeof(text));
	uz_users_free(&users);
	uz_log(UZ_LOG_WARN,
	       "still used by %s; detached, and serving until that ends", text);
	uz__report(signals->report, UZ__REPORT_MANAGER, 0,
		   "STATUS=Detached, still used by %s", text);
}

static void signals_stop(const struct uz__signals *signals)
{
	int rc;

	uz__report(signals->report, UZ__REPORT_MANAGER, 0,
		   "STOPPING=1\nSTATUS=Unmounting");
	rc = signals->ops->stop(signals->fe);
	if (rc == -EBUSY)
		signals_say_busy(signals);
	else if (rc)
		uz_log(UZ_LOG_ERR, "cannot unmount: %s", strerror(-rc));
}

static void *signals_thread(void *arg)
{
	struct uz__signals *signals = arg;
	sigset_t set;
	int sig;

	uz__signals_set(&set);
	while (!sigwait(&set, &sig)) {
		/* acquire: pairs with uz__signals_end(); no more stop() */
		if (atomic_load_explicit(&signals->ending,
					 memory_order_acquire))
			break;
		uz_log(UZ_LOG_INFO, "%s: ending", strsignal(sig));
		signals_stop(signals);
	}
	return NULL;
}

int uz__signals_start(struct uz__signals *signals)
{
	return -pthread_create(&signals->thread, NULL, signals_thread, signals);
}

void uz__signals_end(struct uz__signals *signals)
{
	/* release: whoever sees it sees a service that has ended */
	atomic_store_explicit(&signals->ending, true, memory_order_release);
	pthread_kill(signals->thread, SIGTERM);
	pthread_join(signals->thread, NULL);
}
