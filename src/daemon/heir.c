// SPDX-License-Identifier: MIT
/*
 * The heir of a worker: a process that shares its memory, sleeps as long as the
 * worker lives, and then ends. The kernel takes apart what a process has mapped
 * when the last one that shares it ends, and tells of a death only after that;
 * for a device that is full it takes longer than all else that a successor has
 * to wait for. With an heir that is done after the death was told, beside the
 * successor and at low priority.
 *
 * That the worker is gone the heir sees by the end of a line to it, a socket of
 * which nobody else has the other end. It is closed when the worker's last
 * thread has let go of the memory, so nobody can use it any more but the heir,
 * which does not: it has its own stack, and nothing but one system call to come
 * back from. It has no other descriptor, so that what is known by a close is
 * known as before, no rights and almost no system calls: whoever has taken over
 * the worker has the heir's memory too, and must not gain by it.
 *
 * The supervisor is its parent as it is the worker's, and knows it by the
 * worker's process group. When a few are at it already, it waits for the oldest
 * before another worker begins, so that many deaths in a row do not leave the
 * memory of as many workers behind them.
 *
 * A device does as well without. Nobody is told of it when there is none.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <uzram/util/cleanup.h>

#include "daemon_priv.h"

/* Of library functions that only make a system call. */
#define STACK (16u << 10)

/*
 * Who serves comes first; but where all CPUs are busy a dead worker's memory
 * is to be gone in seconds, not minutes, as it counts until then.
 */
#define NICE 10

/* ---- the worker ---- */

static int close_all_but(int fd)
{
	if (fd > 0 && close_range(0, (unsigned int)fd - 1, 0))
		return -errno;
	return close_range((unsigned int)fd + 1, ~0u, 0) ? -errno : 0;
}

/*
 * The heir. The worker waits until it has heard from it, as until then they
 * share the C library's variables of a thread, and write them.
 */
static int live(void *arg)
{
	const int line = *(const int *)arg;
	char c = 0;

	prctl(PR_SET_NAME, "uzramd-heir");
	if (close_all_but(line) || uz__confine_capabilities(0) ||
	    uz__filter_heir() || syscall(SYS_write, line, &c, 1) != 1)
		_exit(1);
	/*
	 * Nothing is ever sent, and no signal comes. Not libc's read(), which
	 * would note in those variables that it may be cancelled.
	 */
	syscall(SYS_read, line, &c, 1);
	_exit(0);
}

/* Its process, or -1. */
static pid_t make(int *line)
{
	_Alignas(64) static unsigned char stack[STACK];
	sigset_t all, before;
	pid_t pid;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = clone(live, stack + STACK, CLONE_VM | CLONE_PARENT | SIGCHLD,
		    line);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return pid;
}

void uz__heir_start(const struct uz__daemon *d)
{
	uz_autoclose int line = -1;
	int ends[2];
	pid_t pid;
	char c;

	/* The supervisor knows it by the group. */
	if (!d->board->heirs || !uz_daemon_can_filter() ||
	    getpgrp() != getpid())
		return;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return;
	line = ends[0];
	pid = make(&ends[1]);
	close(ends[1]);
	if (pid < 0 || read(line, &c, 1) != 1)
		return;
	/* Not sooner, as it was waited for. */
	if (getpriority(PRIO_PROCESS, 0) < NICE)
		setpriority(PRIO_PROCESS, (id_t)pid, NICE);
	/* Open as long as this process lives. */
	uz_steal_fd(&line);
}

/* ---- the supervisor ---- */

/* Whether there is no heir of that worker, any more or at all. */
static bool is_gone(pid_t worker)
{
	const pid_t pid = waitpid(-worker, NULL, WNOHANG);

	return pid > 0 || (pid < 0 && errno == ECHILD);
}

static void end(pid_t worker)
{
	/* It may have been stopped. It is there, so the group is its. */
	kill(-worker, SIGKILL);
	while (waitpid(-worker, NULL, 0) < 0 && errno == EINTR)
		;
}

void uz__heirs_reap(struct uz__heirs *heirs)
{
	unsigned int i, left = 0;

	for (i = 0; i < heirs->nr; i++)
		if (!is_gone(heirs->worker[i]))
			heirs->worker[left++] = heirs->worker[i];
	heirs->nr = left;
}

void uz__heirs_add(struct uz__heirs *heirs, pid_t worker)
{
	uz__heirs_reap(heirs);
	if (heirs->nr == UZ__HEIRS_MAX) {
		end(heirs->worker[0]);
		uz__heirs_reap(heirs);
	}
	heirs->worker[heirs->nr++] = worker;
}

void uz__heirs_end(struct uz__heirs *heirs)
{
	uz__heirs_reap(heirs);
	while (heirs->nr)
		end(heirs->worker[--heirs->nr]);
}
