// SPDX-License-Identifier: MIT
/*
 * Which marks of disks tell of a daemon that is gone: not one of a process that
 * lives; one of a process that has ended, waited for or not; one whose number
 * another process has now. Marks of others are nobody's business. Who does not
 * see all processes looks at no disk.
 */
#include <dirent.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <ublk_priv.h>

#include "missing.h"

#define PID_BITS 22

/* How often disks were looked for. There are none here. */
static unsigned int looks;

DIR *__wrap_opendir(const char *path);

DIR *__wrap_opendir(const char *path)
{
	looks += !strcmp(path, "/dev");
	return NULL;
}

static void test_lives(void **state)
{
	const uint64_t mark = uz__ublk_mark(getpid());

	(void)state;
	assert_int_equal(mark >> 48, 0x757a);
	assert_int_equal(mark & 0x3fffff, getpid());
	assert_int_equal(mark, uz__ublk_mark(getpid()));
	assert_false(uz__ublk_is_left(mark));
}

/* As if another one had been of this number before. */
static void test_number_used_again(void **state)
{
	(void)state;
	assert_true(uz__ublk_is_left(uz__ublk_mark(getpid()) ^
				     (UINT64_C(1) << PID_BITS)));
}

static void test_others(void **state)
{
	const uint64_t mark = uz__ublk_mark(getpid());

	(void)state;
	assert_false(uz__ublk_is_left(0));
	assert_false(uz__ublk_is_left(UINT64_MAX));
	assert_false(uz__ublk_is_left(mark ^ (UINT64_C(1) << 63)));
	/* No process has that number. */
	assert_false(uz__ublk_is_left(mark & ~UINT64_C(0x3fffff)));
}

static void test_ended(void **state)
{
	siginfo_t info;
	uint64_t mark;
	int fds[2];
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		char byte;

		close(fds[1]);
		_exit(read(fds[0], &byte, 1) != 0);
	}
	mark = uz__ublk_mark(pid);
	assert_false(uz__ublk_is_left(mark));
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_true(uz__ublk_is_left(mark));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(uz__ublk_is_left(mark));
}

/* In a pid namespace of its own, where daemons outside look dead. */
static void test_out_of_sight(void **state)
{
	struct uz__ublk_control c = { 0 };
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(uz__ublk_reap_asked(&c), 0);
	assert_int_equal(looks, 1);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		if (unshare(CLONE_NEWPID))
			_exit(77);
		pid = fork();
		if (!pid) {
			uz__ublk_reap(&c, 0);
			_exit(looks != 1);
		}
		_exit(pid < 0 || waitpid(pid, &status, 0) != pid || status);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		missing("root", "no pid namespace can be made");
	else
		assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lives),
		cmocka_unit_test(test_number_used_again),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_ended),
		cmocka_unit_test(test_out_of_sight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
