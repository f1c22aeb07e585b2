// SPDX-License-Identifier: MIT
/*
 * Another program takes over from a worker, on a front end that mounts nothing:
 * what is called in which order, and what goes on when it does not come up.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon_fixture.h"

#define NS_PER_S UINT64_C(1000000000)

/*
 * A worker has a second to leave, and a program five to begin: on a machine
 * that is busy neither may have a CPU for so long. So the supervisor's clock is
 * slow, where nothing is to be late.
 */
#define SLOWER 50

/* Or only a little, where something is to be late. */
#define A_LITTLE 10

/* By how much it jumps then. */
#define JUMP_S 3600

static pid_t slow;
static unsigned int slower;

int __real_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_clock_gettime(clockid_t id, struct timespec *t);

int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
	int ret = __real_clock_gettime(id, t);
	uint64_t ns;

	if (ret || slow != getpid())
		return ret;
	ns = ((uint64_t)t->tv_sec * NS_PER_S + (uint64_t)t->tv_nsec) / slower;
	t->tv_sec = (time_t)(ns / NS_PER_S);
	if (fake->overdue)
		t->tv_sec += JUMP_S;
	t->tv_nsec = (long)(ns % NS_PER_S);
	return ret;
}

static int slow_setup(void **state)
{
	slow = getpid();
	slower = SLOWER;
	return fake_setup(state);
}

static int little_setup(void **state)
{
	slow = getpid();
	slower = A_LITTLE;
	return fake_setup(state);
}

/* Another program goes on with what this one had, and so does the next. */
static void test_upgrade(void **state)
{
	char heard[256];

	(void)state;
	fake->ends_itself = true;
	fake->upgrades = 2;
	assert_int_equal(fake_run("dev", 16u << 20, heard, sizeof(heard)), 0);
	assert_string_equal(heard, "READY\n");
	assert_string_equal(fake->calls,
			    "mount start wait leave new-start wait leave "
			    "new-start wait free unmount ");
	assert_int_equal(fake->restarts, 0);
	assert_int_equal(fake->disksize, 16u << 20);
	assert_int_equal(fake->mem_limit, 8u << 20);
	assert_non_null(strstr(fake->shown, "\nversion 2\nupgrades 2\n"));
	assert_non_null(
		strstr(fake->shown, "\nlast upgraded from 2 to 2, pause "));
	assert_false(fake_left_behind("dev"));
}

static void test_upgrade_by_attribute(void **state)
{
	char heard[256];

	(void)state;
	fake->ends_itself = true;
	fake->upgrades = 1;
	fake->by_board = true;
	assert_int_equal(fake_run("dev", 0, heard, sizeof(heard)), 0);
	assert_string_equal(fake->calls, "mount start wait leave new-start "
					 "wait free unmount ");
}

/* Of what was upgraded to, those after a death are made as well. */
static void test_upgrade_then_death(void **state)
{
	char heard[256];

	(void)state;
	fake->ends_itself = true;
	fake->upgrades = 1;
	fake->deaths = 1;
	fake->death = SIGKILL;
	assert_int_equal(fake_run("dev", 0, heard, sizeof(heard)), 0);
	assert_string_equal(fake->calls, "mount start wait leave new-start "
					 "wait new-start wait free unmount ");
	assert_int_equal(fake->restarts, 1);
}

/* A worker that does not leave is ended. */
static void test_upgrade_stuck(void **state)
{
	char heard[256];

	(void)state;
	fake->ends_itself = true;
	fake->upgrades = 1;
	fake->stays = true;
	assert_int_equal(fake_run("dev", 0, heard, sizeof(heard)), 0);
	assert_string_equal(fake->calls, "mount start wait leave new-start "
					 "wait free unmount ");
	assert_int_equal(fake->restarts, 0);
}

/* The program does not come up: the one before it goes on. */
static void test_rollback(void **state)
{
	static const int codes[] = { -ENOTSUP, -EUCLEAN, -ENOMEM };
	char heard[256];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(codes) / sizeof(*codes) + 1; i++) {
		fake_setup(NULL);
		fake->ends_itself = true;
		fake->upgrades = 1;
		if (i < sizeof(codes) / sizeof(*codes))
			fake->program_rc = codes[i];
		else
			fake->program_death = SIGKILL;
		assert_int_equal(
			fake_run("dev", 16u << 20, heard, sizeof(heard)), 0);
		assert_string_equal(fake->calls,
				    "mount start wait leave new-start start "
				    "wait free unmount ");
		assert_int_equal(fake->restarts, 0);
		assert_int_equal(fake->disksize, 16u << 20);
		assert_false(fake_left_behind("dev"));
	}
}

/* Nothing changes, and whoever asked is told why. */
static void test_refuses(void **state)
{
	char heard[256];

	(void)state;
	fake->ends_itself = true;
	fake->upgrades = 1;
	fake->refuses = true;
	assert_int_equal(fake_run("dev", 0, heard, sizeof(heard)), 0);
	assert_string_equal(fake->calls,
			    "mount start wait leave free unmount ");
	assert_non_null(strstr(
		fake->shown, "state idle\nversion 1\nupgrades 0\n"
			     "rollbacks 1\nlast not upgraded, 1 serves on: it "
			     "does not want to\n"));
	assert_int_equal(fake->restarts, 0);
}

/* What it has said in time counts, however late the supervisor hears it. */
static void test_refuses_unheard(void **state)
{
	char heard[256];

	(void)state;
	fake->ends_itself = true;
	fake->upgrades = 1;
	fake->refuses = true;
	fake->unheard = true;
	assert_int_equal(fake_run("dev", 0, heard, sizeof(heard)), 0);
	assert_string_equal(fake->calls,
			    "mount start wait leave free unmount ");
	assert_non_null(strstr(fake->shown, "not upgraded, 1 serves on: it "
					    "does not want to\n"));
	assert_int_equal(fake->restarts, 0);
}

/* It dies as soon as it has refused: one end of an upgrade, not two. */
static void test_refuses_and_dies(void **state)
{
	char heard[256];

	(void)state;
	fake->ends_itself = true;
	fake->upgrades = 1;
	fake->refuses = true;
	fake->late_refusal = true;
	assert_int_equal(fake_run("dev", 0, heard, sizeof(heard)), 0);
	assert_string_equal(fake->calls, "mount start wait leave start wait "
					 "free unmount ");
	assert_non_null(strstr(
		fake->shown, "state idle\nversion 1\nupgrades 0\n"
			     "rollbacks 1\nlast not upgraded, 1 serves on: it "
			     "does not want to\n"));
	assert_int_equal(fake->restarts, 1);
}

/* What was handed over is looked at before anything is done. */
static void test_no_handover(void **state)
{
	struct uz_daemon_config config;
	FILE *file = tmpfile();
	struct uz_err err;

	(void)state;
	uz_daemon_config_init(&config);
	assert_int_equal(uz_daemon_work(&config, 999, &err), -EINVAL);
	assert_int_equal(uz_daemon_work(&config, fileno(file), &err), -EINVAL);
	/* Another version. */
	assert_int_equal(fwrite("uz4rkovr\7\0\0\0\20\0\0\0", 1, 16, file), 16);
	fflush(file);
	assert_int_equal(uz_daemon_work(&config, fileno(file), &err), -ENOTSUP);
	assert_string_equal(err.text, "the supervisor hands over by version 7, "
				      "this program knows 1");
	fclose(file);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_upgrade, slow_setup),
		cmocka_unit_test_setup(test_upgrade_by_attribute, slow_setup),
		cmocka_unit_test_setup(test_upgrade_then_death, slow_setup),
		cmocka_unit_test_setup(test_upgrade_stuck, little_setup),
		cmocka_unit_test_setup(test_rollback, slow_setup),
		cmocka_unit_test_setup(test_refuses, slow_setup),
		cmocka_unit_test_setup(test_refuses_unheard, slow_setup),
		cmocka_unit_test_setup(test_refuses_and_dies, slow_setup),
		cmocka_unit_test_setup(test_no_handover, slow_setup),
	};
	int status;

	if (fake_is_worker(argc, argv, &status))
		return status;
	return cmocka_run_group_tests(tests, fake_begin, fake_end);
}
