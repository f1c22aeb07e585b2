// SPDX-License-Identifier: MIT
/*
 * The process that unmounts a device when a signal has asked for the end. The
 * worker cannot, as it may neither mount nor run fusermount3; the supervisor
 * must not, as unmounting may have to wait for a worker that it may have to
 * replace meanwhile. So the supervisor makes a process for that, by fork(),
 * when the worker has heard of the signal and is ready.
 *
 * A device that is in use is detached, not torn away: the service ends by
 * itself with the last user, and another process, the teller, says who that is.
 * To find out it asks of every process and mount of this machine, and any of
 * them may be stuck, even so that it cannot be killed. So nobody waits for the
 * teller: the next signal is heard, and it holds nothing that outlives the
 * device.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <uzram/util/background.h>
#include <uzram/util/log.h>
#include <uzram/util/users.h>

#include "daemon_priv.h"

/* How the process ends that has found the device in use. */
#define STATUS_BUSY 1

/* Chosen: the teller looks at some thousand processes in a second. */
#define TELL_S 10

/* How long one that was killed may take, before it is left to itself. */
#define STEP_MS 10
#define STEPS	100

/* ---- the teller ---- */

static void say_busy(const struct uz__daemon *d, const char *text)
{
	uz_log(UZ_LOG_WARN,
	       "still used by %s; detached, and serving until that ends", text);
	uz__report(d->report, UZ__REPORT_MANAGER, 0,
		   "STATUS=Detached, still used by %s", text);
}

/* The end of it, whatever it is at and has inherited. */
static void set_alarm(void)
{
	sigset_t set;

	signal(SIGALRM, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	alarm(TELL_S);
}

/* Says who uses the device, in a process made for that. */
static _Noreturn void tell(const struct uz__daemon *d)
{
	struct uz_users users = { 0 };
	char text[320] = "somebody who cannot be seen from here";
	const int fds[] = { d->session.fd, d->session.mem,  d->place.fd,
			    d->mem.ctl_fd, d->mem.table_fd, d->mem.arena_fd,
			    d->spare,	   d->ballast };
	size_t i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != d->pid) /* it was too late for that */
		_exit(1);
	prctl(PR_SET_NAME, "uzramd-tell");
	uz_background();
	for (i = 0; i < sizeof(fds) / sizeof(*fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	set_alarm();
	if (!uz_users_find(&users, d->fs, 0, true) && users.count)
		uz_users_text(&users, text, sizeof(text));
	uz_users_free(&users);
	say_busy(d, text);
	_exit(0);
}

static void teller_start(struct uz__quit *quit, const struct uz__daemon *d)
{
	if (quit->teller)
		return; /* what it says is as good */
	quit->teller = fork();
	if (!quit->teller)
		tell(d);
	if (quit->teller > 0)
		return;
	quit->teller = 0;
	say_busy(d, "somebody");
}

static void teller_reap(struct uz__quit *quit, const struct uz__daemon *d)
{
	int status;

	if (!quit->teller || waitpid(quit->teller, &status, WNOHANG) <= 0)
		return;
	quit->teller = 0;
	if (WIFSIGNALED(status) && d)
		say_busy(d, "somebody who could not be found in time");
}

static void teller_end(struct uz__quit *quit)
{
	const struct timespec step = { .tv_nsec = STEP_MS * 1000000L };
	unsigned int i;

	if (!quit->teller)
		return;
	kill(quit->teller, SIGKILL);
	for (i = 0; i < STEPS && quit->teller; i++) {
		teller_reap(quit, NULL);
		if (quit->teller)
			nanosleep(&step, NULL);
	}
}

/* ---- unmounting ---- */

/* Unmounts the device, in a process made for that. */
static _Noreturn void unmount(const struct uz__daemon *d)
{
	int rc;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != d->pid) /* it was too late for that */
		_exit(1);
	prctl(PR_SET_NAME, "uzramd-quit");
	rc = d->ops->quit(&d->session);
	if (rc == -EBUSY)
		_exit(STATUS_BUSY);
	if (rc)
		uz_log(UZ_LOG_ERR, "cannot unmount: %s", strerror(-rc));
	_exit(0);
}

void uz__quit_start(struct uz__quit *quit, const struct uz__daemon *d)
{
	quit->again = quit->pid;
	if (quit->pid)
		return;
	uz__notify_manager("STOPPING=1\nSTATUS=Unmounting");
	quit->pid = fork();
	if (!quit->pid)
		unmount(d);
	if (quit->pid > 0)
		return;
	uz_log(UZ_LOG_ERR, "cannot unmount: no process for that: %s",
	       strerror(errno));
	quit->pid = 0;
}

static bool reap(struct uz__quit *quit, const struct uz__daemon *d, int how)
{
	int status;

	if (!quit->pid || waitpid(quit->pid, &status, how) <= 0)
		return false;
	quit->pid = 0;
	if (d && WIFEXITED(status) && WEXITSTATUS(status) == STATUS_BUSY)
		teller_start(quit, d);
	return true;
}

void uz__quit_reap(struct uz__quit *quit, const struct uz__daemon *d)
{
	teller_reap(quit, d);
	if (reap(quit, d, WNOHANG) && quit->again && d)
		uz__quit_start(quit, d);
}

void uz__quit_end(struct uz__quit *quit)
{
	/* It has the connection open, whose last copy is to be closed. */
	if (quit->pid)
		kill(quit->pid, SIGKILL);
	reap(quit, NULL, 0);
	teller_end(quit);
}
