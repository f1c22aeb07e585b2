// SPDX-License-Identifier: MIT
/*
 * Opens the program of an upgrade, in a process of its own: its path may lead
 * to a server that does not answer, or onto the very device whose worker has
 * just died, and whoever sleeps in open(2) there hears of no death. The process
 * sends the descriptor back over a line, or says why there is none.
 *
 * One that does not answer in time is killed, but nobody waits for it, as it
 * may sleep where no signal reaches it. It has nothing open but the line, so
 * that nothing of the device depends on it.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <uzram/util/cleanup.h>

#include "daemon_priv.h"
#include "passing_priv.h"

/* How long those that were killed may take at the end, as in quit.c. */
#define STEP_MS 10
#define STEPS	100

/* ---- the process ---- */

static int open_program(const char *path, struct uz_err *err)
{
	uz_autoclose int fd = -1;
	struct stat st;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st))
		return uz_err_set(err, -errno, "%.150s: %s", path,
				  strerror(errno));
	if (!S_ISREG(st.st_mode) || !(st.st_mode & 0111))
		return uz_err_set(err, -EACCES, "%.150s: is no program", path);
	return uz_steal_fd(&fd);
}

static _Noreturn void open_and_send(int line, const char *path, pid_t parent)
{
	struct uz_err err = { 0 };
	struct iovec data = { .iov_base = &err, .iov_len = sizeof(err) };
	struct msghdr msg = { .msg_iov = &data, .msg_iovlen = 1 };
	union uz__passing control = { 0 };
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent) /* it was too late for that */
		_exit(1);
	prctl(PR_SET_NAME, "uzramd-open");
	if (dup2(line, 0) < 0 || close_range(1, ~0u, 0))
		_exit(1);
	fd = open_program(path, &err);
	if (fd >= 0)
		uz__pass(&msg, &control, fd);
	_exit(sendmsg(0, &msg, MSG_NOSIGNAL) < 0);
}

/* ---- the supervisor ---- */

void uz__opener_reap(struct uz__opener *o)
{
	unsigned int i, left = 0;

	for (i = 0; i < o->nr; i++)
		if (!waitpid(o->pid[i], NULL, WNOHANG))
			o->pid[left++] = o->pid[i];
	o->nr = left;
}

int uz__opener_start(struct uz__opener *o, const char *path, struct uz_err *err)
{
	const pid_t self = getpid();
	int ends[2];
	pid_t pid;

	uz__opener_reap(o);
	if (o->nr == UZ__OPENERS_MAX)
		return uz_err_set(err, -EBUSY,
				  "%u programs of before are still being "
				  "opened",
				  o->nr);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return uz_err_set(err, -errno, "cannot open a program: %s",
				  strerror(errno));
	pid = fork();
	if (!pid)
		open_and_send(ends[1], path, self);
	close(ends[1]);
	if (pid < 0) {
		uz_err_set(err, -errno, "no process to open a program: %s",
			   strerror(errno));
		close(ends[0]);
		return err->code;
	}
	o->line = ends[0];
	o->pid[o->nr++] = pid;
	return 0;
}

/* -EAGAIN: nothing has come yet. */
static int receive(int line, struct uz_err *err)
{
	union uz__passing control;
	struct iovec data = { .iov_base = err, .iov_len = sizeof(*err) };
	struct msghdr msg = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(line, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fd;

	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	if (n != sizeof(*err))
		return uz_err_set(err, -EIO, "who was to open it has died");
	if (!CMSG_FIRSTHDR(&msg))
		return err->code ? err->code : -EMFILE;
	memcpy(&fd, CMSG_DATA(&control.hdr), sizeof(fd));
	return fd;
}

int uz__opener_take(struct uz__opener *o, bool late, struct uz_err *err)
{
	int fd = receive(o->line, err);

	if (fd == -EAGAIN && !late)
		return fd;
	if (fd == -EAGAIN) {
		/*
		 * The last one; or, if that is gone, one that was killed
		 * before.
		 */
		if (o->nr)
			kill(o->pid[o->nr - 1], SIGKILL);
		uz_err_set(err, -ETIMEDOUT,
			   "the program cannot be opened in "
			   "time");
		fd = -ETIMEDOUT;
	}
	close(uz_steal_fd(&o->line));
	uz__opener_reap(o);
	return fd;
}

void uz__opener_end(struct uz__opener *o)
{
	const struct timespec step = { .tv_nsec = STEP_MS * 1000000L };
	unsigned int i;

	for (i = 0; i < o->nr; i++)
		kill(o->pid[i], SIGKILL);
	if (o->line >= 0)
		close(uz_steal_fd(&o->line));
	for (i = 0; i < STEPS && o->nr; i++) {
		uz__opener_reap(o);
		if (o->nr)
			nanosleep(&step, NULL);
	}
}
