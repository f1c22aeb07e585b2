// SPDX-License-Identifier: MIT
/*
 * Reaching the ublk driver in a system that is short of something for a moment:
 * that is no driver without features, by which a disk would be given up.
 * /dev/null takes the driver's place; it carries out any command.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ublk_frontend.h>
#include <ublk_priv.h>

#include "missing.h"

/* The linker leads control.c here. What comes of the next one, or 0. */
static int open_fails, command_fails;

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __real_io_uring_wait_cqe_timeout(struct io_uring *ring,
				     struct io_uring_cqe **cqe,
				     struct __kernel_timespec *ts);
int __wrap_io_uring_wait_cqe_timeout(struct io_uring *ring,
				     struct io_uring_cqe **cqe,
				     struct __kernel_timespec *ts);

int __wrap_open64(const char *path, int flags, ...)
{
	if (strcmp(path, UZ__UBLK_CONTROL) != 0)
		return __real_open64(path, flags);
	if (!open_fails)
		return __real_open64("/dev/null", flags);
	errno = open_fails;
	return -1;
}

int __wrap_io_uring_wait_cqe_timeout(struct io_uring *ring,
				     struct io_uring_cqe **cqe,
				     struct __kernel_timespec *ts)
{
	int ret = __real_io_uring_wait_cqe_timeout(ring, cqe, ts);

	if (!ret)
		(*cqe)->res = -command_fails;
	return ret;
}

static void expect(int code)
{
	struct uz__ublk_control control;
	struct uz_err err = { 0 };

	assert_int_equal(uz__ublk_control_open(&control, &err), code);
	if (code)
		assert_true(err.text[0]);
	else
		uz__ublk_control_close(&control);
}

static void test_cannot_be_opened(void **state)
{
	static const int want[] = { ENOMEM, EMFILE, ENFILE, EINTR };
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		open_fails = want[i];
		expect(-want[i]);
	}
	open_fails = EACCES;
	expect(-EPERM);
	open_fails = ENOENT;
	expect(-ENODEV);
	open_fails = 0;
}

static void test_cannot_be_asked(void **state)
{
	static const int want[] = { ENOMEM, EAGAIN, EINTR, ECANCELED };
	struct uz__ublk_control control;
	unsigned int i;

	(void)state;
	if (uz__ublk_control_open(&control, NULL)) {
		missing("uring", "no io_uring");
		return;
	}
	uz__ublk_control_close(&control);
	for (i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		command_fails = want[i];
		expect(-EAGAIN);
	}
	/* An old driver, which does not know what it is asked for. */
	command_fails = EOPNOTSUPP;
	expect(0);
	command_fails = 0;
	expect(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cannot_be_opened),
		cmocka_unit_test(test_cannot_be_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
