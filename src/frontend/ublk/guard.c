// SPDX-License-Identifier: MIT
/*
 * The guard: a process that does nothing until the daemon is gone. A disk that
 * waits for another worker would wait for ever when the supervisor was killed,
 * and whoever uses it could not even be killed; so somebody has to be there
 * that deletes it.
 *
 * It has one end of a pipe. The supervisor has the other one, and so has every
 * worker, as a copy of the supervisor: when nobody has it any more, nobody
 * serves. It holds nothing else of theirs, above all not the connection to
 * FUSE and not the lock of the directory, which end with their last copy. What
 * it needs then it has made before, as memory may be short by then.
 *
 * One supervisor in a process, and one thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ublk_frontend.h"
#include "ublk_priv.h"

static pid_t guard;
static int lifeline = -1;

/* All but 0, 1, 2 and @keep, which becomes 3. */
static void close_others(int keep)
{
	if (keep != STDERR_FILENO + 1)
		dup2(keep, STDERR_FILENO + 1);
	close_range(STDERR_FILENO + 2, ~0u, 0);
}

/*
 * The system may swap to the disk, and nobody serves it when the guard wakes:
 * then neither its own pages may be there nor its allocations wait for pages
 * to be written there. Each may be refused; without it, it works as a rule.
 */
static void be_self_sufficient(void)
{
	mlockall(MCL_CURRENT | MCL_FUTURE);
	prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
}

/* Signals that ask for the end are blocked, as they are in the supervisor. */
static _Noreturn void watch(int fd, uint64_t mark)
{
	struct uz__ublk_control control;
	char byte;

	/* A terminal's other signals are for the supervisor as well. */
	setpgid(0, 0);
	prctl(PR_SET_NAME, "uzramd-guard");
	close_others(fd);
	/* If that is not possible, there will not be a disk either. */
	if (uz__ublk_control_open(&control, NULL))
		_exit(EXIT_SUCCESS);
	be_self_sufficient();
	while (read(STDERR_FILENO + 1, &byte, 1) < 0 && errno == EINTR)
		;
	uz__ublk_reap(&control, mark);
	uz__ublk_control_close(&control);
	_exit(EXIT_SUCCESS);
}

int uz__ublk_guard_start(void)
{
	const uint64_t mark = uz__ublk_mark(getpid());
	int fds[2], ret;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	guard = fork();
	if (!guard)
		watch(fds[0], mark);
	ret = guard < 0 ? -errno : 0;
	close(fds[0]);
	if (ret) {
		close(fds[1]);
		return ret;
	}
	/* A supervisor that goes on as another program has not ended. */
	fcntl(fds[1], F_SETFD, 0);
	lifeline = fds[1];
	return 0;
}

void uz__ublk_guard_end(void)
{
	if (lifeline < 0)
		return;
	close(lifeline);
	lifeline = -1;
	while (waitpid(guard, NULL, 0) < 0 && errno == EINTR)
		;
}
