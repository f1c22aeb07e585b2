// SPDX-License-Identifier: MIT
/*
 * Delays: off unless switched on, then now and then at each step, in every
 * thread; they keep errno. Without debug checks they are nothing.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <uzram/util/delay.h>

#define VISITS 2000

static void *visit(void *arg)
{
	enum uz_delay_point *point = arg;
	int i;

	for (i = 0; i < VISITS; i++) {
		errno = i;
		uz_delay(*point);
		if (errno != i)
			return arg;
	}
	return NULL;
}

static void test_off(void **state)
{
	enum uz_delay_point point = UZ_DELAY_PINNED;

	(void)state;
	uz_delay_stop(); /* the environment may have them on */
	assert_null(visit(&point));
	uz_delay_start(1);
	uz_delay_stop();
	assert_null(visit(&point));
	assert_int_equal(uz_delay_count(point), 0);
}

static void test_each_point(void **state)
{
	enum uz_delay_point point;
	uint64_t before;

	(void)state;
	uz_delay_start(1);
	for (point = 0; point < UZ_DELAY_POINTS; point++) {
		before = uz_delay_count(point);
		assert_null(visit(&point));
#ifdef UZ_DEBUG_CHECKS
		assert_in_range(uz_delay_count(point) - before, 10,
				VISITS / 10);
#else
		assert_int_equal(uz_delay_count(point), before);
#endif
	}
	uz_delay_stop();
}

/* How often a new thread, the first to come by, pauses. */
static uint64_t pauses(uint64_t seed)
{
	enum uz_delay_point point = UZ_DELAY_FLIP;
	uint64_t before = uz_delay_count(point);
	pthread_t thread;
	void *failed;

	uz_delay_start(seed);
	assert_int_equal(pthread_create(&thread, NULL, visit, &point), 0);
	pthread_join(thread, &failed);
	assert_null(failed);
	uz_delay_stop();
	return uz_delay_count(point) - before;
}

static void test_seed_repeats(void **state)
{
	uint64_t first = pauses(7);
	unsigned int differ = 0, i;

	(void)state;
	assert_int_equal(pauses(7), first);
	for (i = 0; i < 20; i++)
		differ += pauses(8 + i) != first;
#ifdef UZ_DEBUG_CHECKS
	assert_true(differ);
#else
	assert_false(differ);
#endif
}

static void note(void *arg, enum uz_delay_point point)
{
	*(enum uz_delay_point *)arg = point;
	errno = ENOMEM;
}

static void test_call(void **state)
{
	enum uz_delay_point point = UZ_DELAY_SYNCED, seen = UZ_DELAY_POINTS;

	(void)state;
	uz_delay_call(note, &seen);
	assert_null(visit(&point));
	uz_delay_call(NULL, NULL);
#ifdef UZ_DEBUG_CHECKS
	assert_int_equal(seen, point);
#else
	assert_int_equal(seen, UZ_DELAY_POINTS);
#endif
	point = UZ_DELAY_SENT;
	assert_null(visit(&point));
	assert_int_not_equal(seen, point);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_off),
		cmocka_unit_test(test_each_point),
		cmocka_unit_test(test_seed_repeats),
		cmocka_unit_test(test_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
