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
#include <unistd.h>

#include <cmocka.h>

#include <polite_priv.h>

#include "soon.h"

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

/*
 * Which classes this thread was given. On a machine that is busy it gets no CPU
 * to see that itself before the second takes the place of the first.
 */
static _Atomic pid_t worker;
static _Atomic bool was_idle, was_other;

int __real_sched_setscheduler(pid_t pid, int class,
			      const struct sched_param *param);
int __wrap_sched_setscheduler(pid_t pid, int class,
			      const struct sched_param *param);

int __wrap_sched_setscheduler(pid_t pid, int class,
			      const struct sched_param *param)
{
	int ret = __real_sched_setscheduler(pid, class, param);

	if (!ret && pid && pid == worker)
		*(class == SCHED_IDLE ? &was_idle : &was_other) = true;
	return ret;
}

/* Often enough for a guard that looks at it. */
static bool is_called(struct uz__polite *p)
{
	unsigned int i;

	for (i = 0; i < 4096 && !was_idle; i++)
		uz__polite_woken(p, 0, true);
	return was_idle;
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
	worker = gettid();
	uz__polite_join(p, 0);
	assert_true(SOON(is_called(p)));
	assert_true(SOON(was_other));
	assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
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
