// SPDX-License-Identifier: MIT
/*
 * Running another program, and what is a mount point: each answer that can be
 * had without mounting anything.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/util/mountpoint.h>
#include <uzram/util/spawn.h>

static int sh(const char *script, bool quiet)
{
	const char *const argv[] = { "sh", "-c", script, NULL };

	return uz_spawn_wait(argv, quiet);
}

static void test_status(void **state)
{
	static const char *const none[] = { "uzram-no-such-program", NULL };
	static const char *const words[] = { "test", "$HOME", "=", "$HOME",
					     NULL };

	(void)state;
	assert_int_equal(sh("exit 0", false), 0);
	assert_int_equal(sh("exit 7", false), 7);
	assert_int_equal(sh("kill -9 $$", false), 128 + SIGKILL);
	assert_int_equal(uz_spawn_wait(none, false), -ENOENT);
	assert_int_equal(uz_spawn_wait(words, false), 0);
}

/* Runs with our stdout and stderr in @path, and returns how much came. */
static off_t output(const char *script, bool quiet)
{
	char path[] = "/tmp/uzram-test.XXXXXX";
	int fd = mkstemp(path), saved[2] = { dup(1), dup(2) };
	off_t size;

	assert_true(fd >= 0);
	fflush(NULL);
	dup2(fd, 1);
	dup2(fd, 2);
	assert_int_equal(sh(script, quiet), 0);
	dup2(saved[0], 1);
	dup2(saved[1], 2);
	size = lseek(fd, 0, SEEK_END);
	close(saved[0]);
	close(saved[1]);
	close(fd);
	unlink(path);
	return size;
}

static void test_output(void **state)
{
	(void)state;
	assert_int_equal(output("echo data", false), 0);
	assert_int_equal(output("echo word >&2", false), 5);
	assert_int_equal(output("echo word >&2", true), 0);
}

/* A daemon blocks signals; what it starts must still be killable. */
static void test_signals(void **state)
{
	sigset_t all, before;

	(void)state;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	assert_int_equal(sh("kill -TERM $$; exit 0", false), 128 + SIGTERM);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void test_mountpoint(void **state)
{
	enum uz_mountpoint mp = UZ_MOUNTPOINT_STALE;
	char path[] = "/tmp/uzram-test.XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(path));
	assert_int_equal(uz_mountpoint_state(path, &mp), 0);
	assert_int_equal(mp, UZ_MOUNTPOINT_NONE);
	assert_int_equal(uz_mountpoint_state("/proc", &mp), 0);
	assert_int_equal(mp, UZ_MOUNTPOINT_LIVE);
	if (!geteuid())
		assert_int_equal(uz_mountpoint_unmount(path, false), -EINVAL);
	rmdir(path);
	assert_int_equal(uz_mountpoint_state(path, &mp), -ENOENT);
	assert_int_equal(mp, UZ_MOUNTPOINT_LIVE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_output),
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_mountpoint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
