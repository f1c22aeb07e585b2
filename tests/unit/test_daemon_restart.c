// SPDX-License-Identifier: MIT
/*
 * When a worker that died is followed by another, and when no more.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <daemon_priv.h>

static void test_after_service(void **state)
{
	struct uz__restart r = { 0 };
	unsigned int i;

	(void)state;
	for (i = 1; i <= 10000; i++) {
		assert_int_equal(uz__restart_pause(&r, 50, 0), 0);
		assert_int_equal(r.total, i);
	}
}

static void test_in_vain(void **state)
{
	static const int pauses[] = { 0, 10, 40, 160, 640, 1000, 1000, -1 };
	struct uz__restart r = { 0 };
	unsigned int i;

	(void)state;
	for (i = 0; i < UZ__RESTART_VAIN; i++)
		assert_int_equal(uz__restart_pause(&r, i % 2 ? 0 : 49, -EIO),
				 pauses[i]);
	assert_int_equal(r.total, UZ__RESTART_VAIN - 1);
}

/* One that has served makes up for all before it. */
static void test_recovers(void **state)
{
	struct uz__restart r = { 0 };
	unsigned int i;

	(void)state;
	for (i = 1; i < UZ__RESTART_VAIN; i++)
		assert_true(uz__restart_pause(&r, 0, 0) >= 0);
	assert_int_equal(uz__restart_pause(&r, 1000, 0), 0);
	assert_int_equal(uz__restart_pause(&r, 0, 0), 10);
}

/* It outlasts minutes in which there is no process or memory to be had. */
static void test_in_want(void **state)
{
	static const int wants[] = { -EAGAIN, -ENOMEM, -EMFILE, -ECANCELED };
	struct uz__restart r = { 0 };
	unsigned int ms = 0, i;
	int pause;

	(void)state;
	assert_int_equal(uz__restart_pause(&r, 1000, 0), 0);
	for (i = 1; i < UZ__RESTART_WANTS; i++) {
		pause = uz__restart_pause(&r, 0, wants[i % 4]);
		assert_in_range(pause, 0, 1000);
		ms += (unsigned int)pause;
	}
	assert_in_range(ms, 240000, 360000);
	assert_int_equal(r.total, UZ__RESTART_WANTS);
	/* It is for that alone, and not for ever. */
	assert_int_equal(uz__restart_pause(&r, 0, -EIO), 10);
	assert_int_equal(uz__restart_pause(&r, 0, -ENOMEM), -1);
	assert_int_equal(uz__restart_pause(&r, 1000, 0), 0);
	assert_int_equal(uz__restart_pause(&r, 0, -ENOMEM), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_after_service),
		cmocka_unit_test(test_in_vain),
		cmocka_unit_test(test_recovers),
		cmocka_unit_test(test_in_want),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
