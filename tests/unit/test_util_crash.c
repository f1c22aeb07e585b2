// SPDX-License-Identifier: MIT
/*
 * Death at a step: where it was asked for and nowhere else, by a fault that
 * nobody can block. Without debug checks there is no such thing.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/util/crash.h>

#ifdef UZ_DEBUG_CHECKS
#define VISITS 4000

/* Seconds; for one that should neither die nor hang. */
#define PATIENCE 100

/* A process comes by a step; how it ended. */
static int child(enum uz_delay_point point, unsigned int seconds)
{
	const struct rlimit no_core = { 0 };
	sigset_t all;
	int status, i;
	pid_t pid = fork();

	if (!pid) {
		setrlimit(RLIMIT_CORE, &no_core);
		signal(SIGSEGV, SIG_DFL); /* a sanitizer's */
		signal(SIGALRM, SIG_DFL);
		alarm(seconds);
		sigfillset(&all);
		sigdelset(&all, SIGALRM);
		sigprocmask(SIG_SETMASK, &all, NULL);
		close(STDERR_FILENO);
		for (i = 0; i < VISITS; i++)
			uz_delay(point);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void test_steps(void **state)
{
	(void)state;
	assert_int_equal(uz_crash_start("1:filled/1,taken/0"), 0);
	assert_int_equal(child(UZ_DELAY_FILLED, PATIENCE), SIGSEGV);
	assert_int_equal(child(UZ_DELAY_TAKEN, PATIENCE), 0);
	assert_int_equal(child(UZ_DELAY_LOADED, PATIENCE), 0);
	assert_int_equal(uz_crash_start("1:all/1,filled/0"), 0);
	assert_int_equal(child(UZ_DELAY_FILLED, PATIENCE), 0);
	assert_int_equal(child(UZ_DELAY_REGISTERED, PATIENCE), SIGSEGV);
	assert_int_equal(uz_crash_start("1:filled/1!"), 0);
	assert_int_equal(child(UZ_DELAY_FILLED, 1), SIGALRM);
}

/* After some that died young, one is left alive. */
static void test_mercy(void **state)
{
	unsigned int i, died = 0;

	(void)state;
	assert_int_equal(uz_crash_start("1:filled/20"), 0);
	for (i = 0; i < 12; i++)
		died += child(UZ_DELAY_FILLED, PATIENCE) == SIGSEGV;
	assert_in_range(died, 1, 6);
}

static void test_no_plans(void **state)
{
	static const char *const plans[] = {
		"",
		"1",
		"1:",
		":filled/1",
		"1:filled",
		"1:filled/",
		"1:fill/1",
		"1:filled/1x",
		"1@1:filled/1",
		"1:filled/1!!",
		"1:filled/1,x",
	};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(plans) / sizeof(plans[0]); i++)
		assert_int_equal(uz_crash_start(plans[i]), -EINVAL);
	assert_int_equal(uz_crash_start("1:all/0"), 0);
}
#else
static void test_steps(void **state)
{
	(void)state;
	uz_delay(UZ_DELAY_FILLED);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steps),
#ifdef UZ_DEBUG_CHECKS
		cmocka_unit_test(test_mercy),
		cmocka_unit_test(test_no_plans),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
