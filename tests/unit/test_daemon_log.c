// SPDX-License-Identifier: MIT
/*
 * A log that cannot be written to before the device serves again, as one that
 * was swapped out to it: a worker that dies or hangs is replaced all the same,
 * and what was to be said is said afterwards. The log is a pipe that is full
 * from the worker's end on; it is read when the next one can serve.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon_fixture.h"

/* For what takes a second or two. */
#define LONG_S 50

static char text[1 << 18];

/* Without the zeroes that it was filled with. */
static void keep_text(const char *from, size_t n)
{
	size_t len = strlen(text), i;

	for (i = 0; i < n && len < sizeof(text) - 1; i++)
		if (from[i])
			text[len++] = from[i];
	text[len] = '\0';
}

/* Until the log ends, or says that. */
static void read_until(int fd, const char *what)
{
	char buf[65536];
	ssize_t n;

	while ((!what || !strstr(text, what)) &&
	       (n = read(fd, buf, sizeof(buf))) > 0)
		keep_text(buf, (size_t)n);
}

/* Until the second worker is about to serve. */
static bool await_successor(void)
{
	const struct timespec pause = { .tv_nsec = 10000000 };
	const time_t until = time(NULL) + LONG_S;

	while (!fake->restarts) {
		if (time(NULL) > until)
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}

/* Of a process with a group of its own, as it may be stuck. */
static _Noreturn void live(int log)
{
	char heard[256];

	setpgid(0, 0);
	dup2(log, STDERR_FILENO);
	close(log);
	_exit(!!fake_run("dev", 16u << 20, heard, sizeof(heard)));
}

static void expect_life(void)
{
	int fds[2], status;
	bool replaced;
	pid_t pid;

	text[0] = '\0';
	assert_int_equal(pipe(fds), 0);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		close(fds[0]);
		live(fds[1]);
	}
	close(fds[1]);
	read_until(fds[0], "serving ");
	fake->heard = true;
	replaced = await_successor();
	if (!replaced)
		kill(pid, SIGKILL); /* a worker dies with it */
	read_until(fds[0], NULL);
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(replaced);
	assert_int_equal(status, 0);
}

static void expect_line(const char *part)
{
	if (!strstr(text, part))
		fail_msg("no '%s' in the log: %s", part, text);
}

static int setup(void **state)
{
	fake_setup(state);
	fake->swap = true;
	fake->mute = true;
	fake->deaths = 1;
	fake->ends_itself = true;
	return 0;
}

static void test_death(void **state)
{
	(void)state;
	fake->death = SIGKILL;
	expect_life();
	expect_line("died, another takes over: killed by signal 9");
	expect_line("worker 1 begins\n");
}

static void test_hang(void **state)
{
	(void)state;
	fake->death = SIGSTOP;
	fake->watchdog = 1;
	expect_life();
	expect_line("hangs: it does not run; the watchdog kills it");
	expect_line("died, another takes over: killed by signal 9");
	expect_line("worker 1 begins\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_death, setup),
		cmocka_unit_test_setup(test_hang, setup),
	};

	return cmocka_run_group_tests(tests, fake_begin, fake_end);
}
