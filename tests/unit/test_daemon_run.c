// SPDX-License-Identifier: MIT
/*
 * The daemon's life on a front end that mounts nothing: what is called in which
 * order, what each failure leaves behind, who is told what.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon_fixture.h"

static void test_ends_itself(void **state)
{
	char heard[256];

	(void)state;
	fake->ends_itself = true;
	assert_int_equal(fake_run("dev", 16u << 20, heard, sizeof(heard)), 0);
	assert_string_equal(heard, "READY\n");
	assert_string_equal(fake->calls, "mount start wait free unmount ");
	assert_int_equal(fake->disksize, 16u << 20);
	assert_int_equal(fake->mem_limit, 8u << 20);
	assert_in_range(fake->threads, 2, 64);
	assert_int_equal(fake->compactors, 1);
	assert_int_equal(fake_compactors(), 0);
	assert_int_equal(fake->stops, 0);
	assert_int_equal(fake->restarts, 0);
	assert_false(fake_left_behind("dev"));
}

static void test_without_compaction(void **state)
{
	char heard[256];

	(void)state;
	fake->ends_itself = true;
	fake->no_compaction = true;
	assert_int_equal(fake_run("dev", 16u << 20, heard, sizeof(heard)), 0);
	assert_int_equal(fake->compactors, 0);
}

static void test_signals(void **state)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGUSR1 };
	char heard[256];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
		fake_setup(NULL);
		fake->signal = signals[i];
		assert_int_equal(fake_run("dev", 0, heard, sizeof(heard)), 0);
		assert_int_equal(fake->stops, 1);
		assert_string_equal(fake->calls,
				    "mount start wait free unmount ");
		assert_false(fake_left_behind("dev"));
	}
}

/* In use: it goes on, and the next signal is heard. */
static void test_busy(void **state)
{
	char heard[256];

	(void)state;
	fake->signal = SIGTERM;
	fake->stop_rc[0] = -EBUSY;
	assert_int_equal(fake_run("dev", 0, heard, sizeof(heard)), 0);
	assert_int_equal(fake->stops, 1);
	assert_false(fake_left_behind("dev"));
}

/* Who cannot find out who uses it keeps nobody from ending it. */
static void test_busy_by_nobody_knows_whom(void **state)
{
	char heard[256];
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		fake_setup(NULL);
		fake->signal = SIGTERM;
		fake->stop_rc[0] = -EBUSY;
		fake->deaf = true;
		fake->late = i;
		assert_int_equal(fake_run("dev", 0, heard, sizeof(heard)), 0);
		assert_int_equal(fake->stops, 1);
		assert_false(fake_left_behind("dev"));
	}
}

/* Whoever has started it ignores the deaths of children, and hands that on. */
static void test_deaths_ignored(void **state)
{
	char heard[256];

	(void)state;
	signal(SIGCHLD, SIG_IGN);
	fake->deaths = 1;
	fake->death = SIGKILL;
	fake->signal = SIGTERM;
	assert_int_equal(fake_run("dev", 0, heard, sizeof(heard)), 0);
	assert_false(fake_left_behind("dev"));
}

static void test_start_fails(void **state)
{
	char heard[256];

	(void)state;
	fake->start_rc = -ENODEV;
	assert_int_equal(fake_run("dev", 0, heard, sizeof(heard)), -ENODEV);
	assert_string_equal(heard, "no smoke here\n");
	assert_string_equal(fake->calls, "mount start unmount ");
	assert_false(fake_left_behind("dev"));
}

static void test_service_breaks(void **state)
{
	char heard[256];

	(void)state;
	fake->ends_itself = true;
	fake->wait_rc = -EIO;
	assert_int_equal(fake_run("dev", 0, heard, sizeof(heard)), -EIO);
	assert_string_equal(heard, "READY\n");
	assert_string_equal(fake->calls, "mount start wait free unmount ");
	assert_false(fake_left_behind("dev"));
}

/* Everything that is refused before the front end hears of it. */
static void test_refused(void **state)
{
	char heard[256], path[128];
	int fd;

	(void)state;
	assert_int_equal(fake_run("a/b", 0, heard, sizeof(heard)), -EINVAL);
	assert_non_null(strstr(heard, "name 'a/b'"));
	assert_int_equal(
		fake_run("dev", UZ_DISKSIZE_MAX + 1, heard, sizeof(heard)),
		-EINVAL);
	assert_false(fake_left_behind("dev"));

	snprintf(path, sizeof(path), "%s/dev", fake_rundir);
	assert_int_equal(mkdir(path, 0700), 0);
	fd = open(path, O_RDONLY | O_DIRECTORY);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(fake_run("dev", 0, heard, sizeof(heard)), -EBUSY);
	assert_non_null(strstr(heard, "dev is taken"));
	assert_true(fake_left_behind("dev"));
	close(fd);

	snprintf(path, sizeof(path), "%s/dev/file", fake_rundir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(fake_run("dev", 0, heard, sizeof(heard)), -EBUSY);
	assert_non_null(strstr(heard, "not empty"));
	assert_true(fake_left_behind("dev/file"));
	assert_int_equal(rmdir(path), 0);
	assert_string_equal(fake->calls, "mount unmount ");

	fake->ends_itself = true;
	assert_int_equal(fake_run("dev", 0, heard, sizeof(heard)), 0);
	assert_false(fake_left_behind("dev"));
}

static void test_mount_fails(void **state)
{
	char heard[256];

	(void)state;
	fake->mount_rc = -EPERM;
	assert_int_equal(fake_run("dev", 0, heard, sizeof(heard)), -EPERM);
	assert_string_equal(heard, "no mountains here\n");
	assert_string_equal(fake->calls, "mount ");
	assert_false(fake_left_behind("dev"));
}

/* Another one takes over, and the device is what it was. */
static void test_worker_dies(void **state)
{
	static const int signals[] = { SIGKILL, SIGSEGV, SIGABRT, SIGBUS };
	char heard[256];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
		fake_setup(NULL);
		fake->deaths = 2;
		fake->death = signals[i];
		fake->ends_itself = true;
		assert_int_equal(
			fake_run("dev", 16u << 20, heard, sizeof(heard)), 0);
		assert_string_equal(heard, "READY\n");
		assert_string_equal(fake->calls, "mount start wait start wait "
						 "start wait free unmount ");
		assert_int_equal(fake->restarts, 2);
		assert_int_equal(fake->disksize, 16u << 20);
		assert_int_equal(fake->mem_limit, 8u << 20);
		assert_int_equal(fake->compactors, 1);
		assert_false(fake_left_behind("dev"));
	}
}

/* Whoever asked a dead worker to end is heard by the next. */
static void test_worker_dies_when_asked(void **state)
{
	char heard[256];

	(void)state;
	fake->deaths = 1;
	fake->death = SIGKILL;
	fake->signal = SIGTERM;
	assert_int_equal(fake_run("dev", 0, heard, sizeof(heard)), 0);
	assert_true(fake->stops >= 1);
	assert_false(fake_left_behind("dev"));
}

static void test_worker_dies_always(void **state)
{
	char heard[256];

	(void)state;
	fake->deaths = 1;
	fake->vain = 100;
	fake->death = SIGKILL;
	assert_int_equal(fake_run("dev", 0, heard, sizeof(heard)), -EIO);
	assert_string_equal(heard, "READY\n");
	assert_int_equal(fake->vain, 93);
	assert_non_null(strstr(fake_reason.text, "died 8 times in a row"));
	assert_non_null(
		strstr(fake_reason.text, "killed by signal 9 (Killed)"));
	assert_false(fake_left_behind("dev"));
}

static void test_worker_dies_at_once(void **state)
{
	char heard[256];

	(void)state;
	fake->early = 1;
	fake->death = SIGKILL;
	assert_int_equal(fake_run("dev", 0, heard, sizeof(heard)), -EIO);
	assert_string_equal(heard, "worker did not come up: killed by signal 9 "
				   "(Killed)\n");
	assert_string_equal(fake->calls, "mount start unmount ");
}

/* What the next one would meet as well is the end, the rest is tried again. */
static void test_taking_over_fails(void **state)
{
	char heard[256];

	(void)state;
	fake->deaths = 1;
	fake->death = SIGKILL;
	fake->later = 1;
	fake->later_rc = -ENOMEM;
	fake->ends_itself = true;
	assert_int_equal(fake_run("dev", 0, heard, sizeof(heard)), 0);
	assert_string_equal(fake->calls, "mount start wait start start wait "
					 "free unmount ");
	assert_int_equal(fake->restarts, 2);

	fake_setup(NULL);
	fake->deaths = 1;
	fake->death = SIGKILL;
	fake->later = 1;
	fake->later_rc = -EUCLEAN;
	assert_int_equal(fake_run("dev", 0, heard, sizeof(heard)), -EUCLEAN);
	assert_string_equal(fake_reason.text, "no smoke any more");
	assert_string_equal(fake->calls, "mount start wait start unmount ");
}

/*
 * To be stopped is to hang, where somebody watches. After so short a time those
 * that follow may be taken for such as well, on a machine that is busy.
 */
static void test_worker_hangs(void **state)
{
	static const char first[] = "mount start wait start ";
	char heard[256];

	(void)state;
	fake->watchdog = 1;
	fake->deaths = 1;
	fake->death = SIGSTOP;
	fake->ends_itself = true;
	assert_int_equal(fake_run("dev", 16u << 20, heard, sizeof(heard)), 0);
	assert_memory_equal(fake->calls, first, sizeof(first) - 1);
	assert_non_null(
		strstr(fake->calls + sizeof(first) - 1, "wait free unmount "));
	assert_true(fake->restarts >= 1);
	assert_int_equal(fake->hangs, fake->restarts);
	assert_int_equal(fake->disksize, 16u << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_ends_itself, fake_setup),
		cmocka_unit_test_setup(test_without_compaction, fake_setup),
		cmocka_unit_test_setup(test_signals, fake_setup),
		cmocka_unit_test_setup(test_busy, fake_setup),
		cmocka_unit_test_setup(test_busy_by_nobody_knows_whom,
				       fake_setup),
		cmocka_unit_test_setup(test_deaths_ignored, fake_setup),
		cmocka_unit_test_setup(test_start_fails, fake_setup),
		cmocka_unit_test_setup(test_service_breaks, fake_setup),
		cmocka_unit_test_setup(test_refused, fake_setup),
		cmocka_unit_test_setup(test_mount_fails, fake_setup),
		cmocka_unit_test_setup(test_worker_dies, fake_setup),
		cmocka_unit_test_setup(test_worker_dies_when_asked, fake_setup),
		cmocka_unit_test_setup(test_worker_dies_always, fake_setup),
		cmocka_unit_test_setup(test_worker_dies_at_once, fake_setup),
		cmocka_unit_test_setup(test_worker_hangs, fake_setup),
		cmocka_unit_test_setup(test_taking_over_fails, fake_setup),
	};

	return cmocka_run_group_tests(tests, fake_begin, fake_end);
}
