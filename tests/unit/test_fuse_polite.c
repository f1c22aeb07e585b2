// SPDX-License-Identifier: MIT
/*
 * Which workers are polite, and for how long: the decision by itself, and a
 * thread that gets the class and loses it again.
 */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <polite_priv.h>

#define MS UINT64_C(1000000)
#define S  (1000 * MS)

/* Between two looks. */
#define TIME (4 * MS)

static const struct uz__polite_count busy = {
	.wakes = 300,
	.alone = 300,
	.waited = 2 * MS,
	.time = TIME,
};
static const struct uz__polite_count starved = {
	.wakes = 1,
	.alone = 1,
	.waited = 3 * MS,
	.time = TIME,
};
static const struct uz__polite_count quiet = { .time = TIME };

static bool decide(struct uz__polite_state *s,
		   const struct uz__polite_count *delta, uint64_t now)
{
	uz__polite_decide(s, delta, now);
	return s->on;
}

static void test_single_requests(void **state)
{
	struct uz__polite_state s = { 0 };

	(void)state;
	assert_false(decide(&s, &quiet, S));
	assert_true(decide(&s, &busy, S + TIME));
	assert_true(decide(&s, &busy, S + 2 * TIME));
	assert_false(decide(&s, &quiet, S + 3 * TIME));
	assert_true(decide(&s, &busy, S + 4 * TIME));
}

/* A few a second, or many at a time: nothing is to be gained. */
static void test_others(void **state)
{
	static const struct uz__polite_count few = { 8, 8, 0, TIME };
	static const struct uz__polite_count deep = { 300, 200, 0, TIME };
	struct uz__polite_state s = { 0 };

	(void)state;
	assert_false(decide(&s, &few, S));
	assert_false(decide(&s, &deep, S));
	assert_true(decide(&s, &busy, S));
	assert_false(decide(&s, &deep, S + TIME));
}

/* Waits that come from its client's own work are none. */
static void test_shared_cpu(void **state)
{
	static const struct uz__polite_count shared = { 60, 60, 3 * MS, TIME };
	struct uz__polite_state s = { 0 };

	(void)state;
	assert_true(decide(&s, &busy, S));
	assert_true(decide(&s, &shared, S + TIME));
}

static void test_ban(void **state)
{
	struct uz__polite_state s = { 0 };
	uint64_t now = 100 * S, ban = S;
	unsigned int i;

	(void)state;
	for (i = 0; i < 10; i++) {
		assert_true(decide(&s, &busy, now));
		assert_false(decide(&s, &starved, now + TIME));
		assert_false(decide(&s, &busy, now + TIME + ban - 1));
		now += TIME + ban;
		ban = ban < 64 * S ? 2 * ban : ban;
	}
	/* After a good while it is short again. */
	assert_true(decide(&s, &busy, now));
	assert_false(decide(&s, &starved, now + 11 * S));
	assert_true(decide(&s, &busy, now + 12 * S));
}

static bool has_class(int class)
{
	const struct timespec moment = { .tv_nsec = 200 * 1000 };
	struct timespec begin, now;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		if (sched_getscheduler(0) == class)
			return true;
		nanosleep(&moment, NULL);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - begin.tv_sec < 20);
	return false;
}

/* For so long that a guard has looked at it a few times. */
static bool is_called(struct uz__polite *p, int class)
{
	struct timespec begin, now;
	unsigned int i;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		for (i = 0; i < 64; i++)
			uz__polite_woken(p, 0, true);
		if (sched_getscheduler(0) == class)
			return true;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - begin.tv_sec < 20);
	return false;
}

static void test_thread(void **state)
{
	struct uz__polite *p;
	int ret = uz__polite_create(&p, 2);

	(void)state;
	if (geteuid()) {
		assert_true(!ret || ret == -EPERM);
		uz__polite_destroy(p);
		return;
	}
	assert_int_equal(ret, 0);
	uz__polite_join(p, 0);
	assert_true(is_called(p, SCHED_IDLE));
	assert_true(has_class(SCHED_OTHER));
	uz__polite_destroy(p);
}

/* What happens where it is not allowed. */
static void test_without(void **state)
{
	(void)state;
	uz__polite_join(NULL, 0);
	uz__polite_woken(NULL, 0, true);
	uz__polite_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_single_requests),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_shared_cpu),
		cmocka_unit_test(test_ban),
		cmocka_unit_test(test_thread),
		cmocka_unit_test(test_without),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
