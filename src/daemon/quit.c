// SPDX-License-Identifier: MIT
/*
 * The process that unmounts a device when a signal has asked for the end. The
 * worker cannot, as it may neither mount nor run fusermount3; the supervisor
 * must not, as unmounting may have to wait for a worker that it may have to
 * replace meanwhile. So the supervisor makes a process for that, by fork(),
 * when the worker has heard of the signal and is ready.
 *
 * A device that is in use is detached, not torn away: the process says who uses
 * it, and the service ends by itself with the last user.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <uzram/util/log.h>
#include <uzram/util/users.h>

#include "daemon_priv.h"

static void say_busy(const struct uz__daemon *d)
{
	struct uz_users users = { 0 };
	char text[320] = "somebody who cannot be seen from here";

	if (!uz_users_find(&users, d->fs, 0, true) && users.count)
		uz_users_text(&users, text, sizeof(text));
	uz_users_free(&users);
	uz_log(UZ_LOG_WARN,
	       "still used by %s; detached, and serving until that ends", text);
	uz__report(d->report, UZ__REPORT_MANAGER, 0,
		   "STATUS=Detached, still used by %s", text);
}

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
		say_busy(d);
	else if (rc)
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

static bool reap(struct uz__quit *quit, int how)
{
	if (!quit->pid || waitpid(quit->pid, NULL, how) <= 0)
		return false;
	quit->pid = 0;
	return true;
}

void uz__quit_reap(struct uz__quit *quit, const struct uz__daemon *d)
{
	if (reap(quit, WNOHANG) && quit->again && d)
		uz__quit_start(quit, d);
}

void uz__quit_end(struct uz__quit *quit)
{
	/* It has the connection open, whose last copy is to be closed. */
	if (quit->pid)
		kill(quit->pid, SIGKILL);
	reap(quit, 0);
}
