// SPDX-License-Identifier: MIT
/*
 * What a thread in the background is to the scheduler.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/util/background.h>

/* The beginning of struct sched_attr: see sched_setattr(2). */
struct attr {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime;
	uint64_t deadline;
	uint64_t period;
};

static void *body(void *arg)
{
	uz_background();
	assert_int_equal(
		syscall(SYS_sched_getattr, 0, arg, sizeof(struct attr), 0), 0);
	return NULL;
}

static struct attr of_thread(void)
{
	struct attr attr = { 0 };
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, body, &attr), 0);
	pthread_join(thread, NULL);
	return attr;
}

static void test_class(void **state)
{
	(void)state;
	assert_int_equal(of_thread().policy, SCHED_BATCH);
	/* Who made it is what it was. */
	assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
}

static void test_slice(void **state)
{
	struct attr attr = of_thread();

	(void)state;
	/* Kernels before 6.12 say nothing. */
	if (attr.runtime)
		assert_in_range(attr.runtime, 4000000, 100000000);
}

/* Its niceness stays, also one that it could not have got by itself. */
static void test_nice(void **state)
{
	(void)state;
	assert_int_equal(setpriority(PRIO_PROCESS, 0, 7), 0);
	assert_int_equal(of_thread().nice, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_class),
		cmocka_unit_test(test_slice),
		cmocka_unit_test(test_nice),
	};

	return cmocka_run_group_tests_name("util background", tests, NULL,
					   NULL);
}
