// SPDX-License-Identifier: MIT
/*
 * What goes back to the system when a worker has come up: it is there after a
 * while, it is let go of at once, and it does no harm where it cannot be had.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <daemon_priv.h>

#include "soon.h"

static unsigned int held_kib(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (unsigned int)(st.st_blocks / 2);
}

static bool comes_to(int fd, unsigned int kib)
{
	return SOON(held_kib(fd) == kib);
}

static void test_comes_and_goes(void **state)
{
	struct uz__daemon d = { .ballast = -1 };
	char mark = 'x';

	(void)state;
	uz__ballast_create(&d);
	assert_true(d.ballast >= 0);
	assert_int_equal(held_kib(d.ballast), 0);
	uz__ballast_drop(&d);
	assert_true(comes_to(d.ballast, 8 << 10));
	assert_int_equal(pwrite(d.ballast, &mark, 1, 0), 1);
	uz__ballast_drop(&d);
	assert_int_equal(pread(d.ballast, &mark, 1, 0), 1);
	assert_int_equal(mark, 0);
	assert_true(comes_to(d.ballast, 8 << 10));
	close(d.ballast);
}

/* Its thread tries again and again, and nobody waits for it. */
static void test_refused(void **state)
{
	struct uz__daemon d = { .ballast = -1 };

	(void)state;
	uz__ballast_drop(&d);
	d.ballast = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(fcntl(d.ballast, F_ADD_SEALS, F_SEAL_GROW), 0);
	uz__ballast_drop(&d);
	assert_int_equal(held_kib(d.ballast), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_comes_and_goes),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
