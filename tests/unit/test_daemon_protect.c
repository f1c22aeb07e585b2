// SPDX-License-Identifier: MIT
/*
 * What a process asks for that memory is freed by: the real-time class, which
 * is inherited, kept where it was given, and refused to who has no right to it;
 * and that a death is told once. Each case is a process of its own.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/util/background.h>

#include <daemon_priv.h>

#include "missing.h"

static bool may_have_realtime(void)
{
	const struct sched_param least = { .sched_priority = 1 };
	const struct sched_param none = { 0 };

	if (sched_setscheduler(0, SCHED_RR, &least))
		return false;
	sched_setscheduler(0, SCHED_OTHER, &none);
	return true;
}

/* What a process ends with that does @what; what it logs is in @log. */
static int in_process(int (*what)(void), char *log, size_t size)
{
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	fflush(NULL);
	pid = fork();
	if (!pid) {
		dup2(fds[1], STDERR_FILENO);
		_exit(what());
	}
	close(fds[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	n = read(fds[0], log, size - 1);
	log[n > 0 ? n : 0] = '\0';
	close(fds[0]);
	return status;
}

static void *in_background(void *arg)
{
	(void)arg;
	uz_background();
	return sched_getscheduler(0) == SCHED_RR ? NULL : &in_background;
}

static void *in_service(void *arg)
{
	(void)arg;
	return sched_getscheduler(0) == SCHED_RR ? &in_service : NULL;
}

static int asks(void)
{
	struct sched_param param;
	pthread_t thread;
	void *good;

	if (uz__protect(UZ__PROTECT_RT, true) != UZ__PROTECT_RT ||
	    sched_getscheduler(0) != SCHED_RR || sched_getparam(0, &param) ||
	    param.sched_priority != sched_get_priority_min(SCHED_RR))
		return 1;
	pthread_create(&thread, NULL, in_service, NULL);
	pthread_join(thread, &good);
	if (!good)
		return 2;
	pthread_create(&thread, NULL, in_background, NULL);
	pthread_join(thread, &good);
	return good ? 0 : 3;
}

static int has_another(void)
{
	const struct sched_param given = { .sched_priority = 7 };
	struct sched_param param;

	if (sched_setscheduler(0, SCHED_FIFO, &given) ||
	    uz__protect(UZ__PROTECT_RT, true) != UZ__PROTECT_RT ||
	    sched_getparam(0, &param))
		return 1;
	return sched_getscheduler(0) == SCHED_FIFO && param.sched_priority == 7
		       ? 0
		       : 2;
}

static int is_refused(void)
{
	const struct rlimit none = { 0 };

	if (setrlimit(RLIMIT_RTPRIO, &none) || uz__confine_capabilities(0))
		return 1;
	if (uz__protect(UZ__PROTECT_RT, true) ||
	    uz__protect(UZ__PROTECT_RT, false))
		return 2;
	return sched_getscheduler(0) == SCHED_OTHER ? 0 : 3;
}

static void test_asks(void **state)
{
	char log[256];

	(void)state;
	if (!may_have_realtime()) {
		missing("root", "no right to a real-time class");
		return;
	}
	assert_int_equal(in_process(asks, log, sizeof(log)), 0);
	assert_string_equal(log, "");
	assert_int_equal(in_process(has_another, log, sizeof(log)), 0);
}

static void test_refused(void **state)
{
	char log[256];

	(void)state;
	assert_int_equal(in_process(is_refused, log, sizeof(log)), 0);
	assert_non_null(strstr(log, "swap: no realtime ("));
	/* Who asks again and does not want to be told is not. */
	assert_ptr_equal(strchr(log, '\n'), log + strlen(log) - 1);
}

static void test_words(void **state)
{
	char text[64];

	(void)state;
	uz__protect_text(0, text, sizeof(text));
	assert_string_equal(text, "no");
	uz__protect_text(UZ__PROTECT_PROCESS | UZ__PROTECT_NOSWAP, text,
			 sizeof(text));
	assert_string_equal(text, "io_flusher,locked,oom,noswap,realtime");
}

static int tells(void)
{
	struct uz__death death = { .told = "worker 7 died" };

	uz__death_tell(&death);
	uz__death_tell(&death);
	return 0;
}

static void test_death_told_once(void **state)
{
	char log[256];
	const char *at;

	(void)state;
	assert_int_equal(in_process(tells, log, sizeof(log)), 0);
	at = strstr(log, "worker 7 died\n");
	assert_non_null(at);
	assert_int_equal(strlen(at), strlen("worker 7 died\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asks),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_death_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
