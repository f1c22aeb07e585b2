// SPDX-License-Identifier: MIT
/*
 * SIGTERM and SIGINT ask for the end of service. The supervisor hands them on
 * to the worker, where they are blocked in every thread and taken by one that
 * does nothing else, so that the front end's stop() runs in an ordinary
 * context. Then the worker is ready for the end, and the supervisor has the
 * device unmounted (quit.c). By SIGHUP the supervisor has the worker leave the
 * device to another one.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <uzram/util/cleanup.h>
#include <uzram/util/log.h>

#include "daemon_priv.h"

void uz__signals_set(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
}

int uz__signals_open(void)
{
	sigset_t set;
	int fd;

	uz__signals_set(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

/*
 * The kernel itself sends it to who is in the foreground of a terminal that is
 * closed, the shell to its other jobs. Anybody else wants an upgrade, and so
 * does a shell whose terminal is there.
 */
bool uz__signals_hung_up(const struct signalfd_siginfo *info, bool terminal)
{
	if (info->ssi_code > 0)
		return true;
	return terminal && (pid_t)info->ssi_pid == getsid(0) &&
	       !uz__signals_terminal();
}

bool uz__signals_terminal(void)
{
	uz_autoclose int fd =
		open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);

	return fd >= 0;
}

void uz__signals_block(void)
{
	sigset_t set;

	uz__signals_set(&set);
	sigaddset(&set, SIGUSR1); /* to the supervisor alone */
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	/* A starter or a terminal that went away is no reason to die. */
	signal(SIGPIPE, SIG_IGN);
	/* Who was started by somebody who ignores it hears of no death. */
	signal(SIGCHLD, SIG_DFL);
}

static void leave(const struct uz__signals *signals)
{
	struct uz_err why = { 0 };
	int ret = signals->ops->leave(signals->fe, &why);

	if (!ret)
		_exit(UZ__STATUS_LEFT);
	uz__report(signals->report, UZ__REPORT_STAYS, ret, "%s", why.text);
}

static void *signals_thread(void *arg)
{
	struct uz__signals *signals = arg;
	sigset_t set;
	int sig;

	uz__signals_set(&set);
	while (!sigwait(&set, &sig)) {
		/* acquire: pairs with uz__signals_end(); the end */
		if (atomic_load_explicit(&signals->ending,
					 memory_order_acquire))
			break;
		if (sig == SIGHUP) {
			leave(signals);
			continue;
		}
		uz_log(UZ_LOG_INFO, "%s: ending", strsignal(sig));
		signals->ops->stop(signals->fe);
		uz__report(signals->report, UZ__REPORT_QUIT, 0, "%s", "");
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
