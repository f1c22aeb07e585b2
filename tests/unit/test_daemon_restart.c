// SPDX-License-Identifier: MIT
/*
 * When a worker that died is followed by another, and when no more.
 */
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
		assert_int_equal(uz__restart_pause(&r, 50), 0);
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
		assert_int_equal(uz__restart_pause(&r, i % 2 ? 0 : 49),
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
		assert_true(uz__restart_pause(&r, 0) >= 0);
	assert_int_equal(uz__restart_pause(&r, 1000), 0);
	assert_int_equal(uz__restart_pause(&r, 0), 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_after_service),
		cmocka_unit_test(test_in_vain),
		cmocka_unit_test(test_recovers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
