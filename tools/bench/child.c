// SPDX-License-Identifier: MIT
/*
 * Programs that serve a target while it is measured.
 *
 * They get their own session, so that Ctrl-C reaches only this program, which
 * then ends them in order; should it be killed, they are told by the kernel.
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <uzram/util/cleanup.h>

#include "device.h"

static _Noreturn void exec_child(char *const argv[], int ready)
{
	int null = open("/dev/null", O_RDWR);

	setsid();
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	/* dup2() onto itself would leave it closed on exec. */
	if (ready == CHILD_READY_FD)
		fcntl(ready, F_SETFD, 0);
	else if (ready >= 0)
		dup2(ready, CHILD_READY_FD);
	execvp(argv[0], argv);
	_exit(127);
}

int child_start(char *const argv[], int *ready, pid_t *pid)
{
	uz_autoclose int out = -1;
	uz_autoclose int in = -1;
	int pipefd[2];
	pid_t child;

	if (ready) {
		if (pipe2(pipefd, O_CLOEXEC) < 0)
			return -errno;
		out = pipefd[0];
		in = pipefd[1];
	}
	child = fork();
	if (child < 0)
		return -errno;
	if (child == 0)
		exec_child(argv, in);
	*pid = child;
	if (ready)
		*ready = uz_steal_fd(&out);
	return 0;
}

bool child_alive(pid_t pid)
{
	siginfo_t info = { 0 };

	/* Leaves the zombie for child_stop(), so the id stays ours. */
	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) ==
		       0 &&
	       info.si_pid == 0;
}

/* For a minute at least; on a busy machine that is not much. */
static void await_end(pid_t pid)
{
	for (int i = 0; i < 6000 && child_alive(pid); i++)
		usleep(10000);
}

int child_status(pid_t pid)
{
	siginfo_t info = { 0 };

	await_end(pid);
	if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
	    info.si_pid == 0 || info.si_code != CLD_EXITED)
		return -1;
	return info.si_status;
}

void child_stop(pid_t pid)
{
	kill(pid, SIGTERM);
	await_end(pid);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}
