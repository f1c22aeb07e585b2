// SPDX-License-Identifier: MIT
/*
 * One run at a time, and how it is told to end: while it sleeps, between
 * rests, and before it has begun.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <worker_priv.h>

#define SECOND UINT64_C(1000000000)

static bool begin(struct uz__task *task, uint64_t id)
{
	uz_scoped_acquire(guard, &task->lock);

	return uz__task_begin(task, id);
}

static void test_one(void **state)
{
	struct uz__task task = { 0 };

	(void)state;
	uz__task_init(&task);
	assert_true(begin(&task, 0));
	assert_false(begin(&task, 0));
	uz__task_end(&task);
	assert_true(begin(&task, 1));
	uz__task_end(&task);
	uz__task_destroy(&task);
}

static void test_ids(void **state)
{
	struct uz__task task = { 0 };
	uint64_t id;

	(void)state;
	uz__task_init(&task);
	/* Another one's, and then its own. */
	assert_true(begin(&task, 1));
	uz__task_interrupt(&task, 2);
	assert_true(uz__task_rest(&task, 1));
	uz__task_interrupt(&task, 1);
	assert_false(uz__task_rest(&task, 0));
	assert_false(uz__task_rest(&task, 100 * SECOND));
	uz__task_end(&task);
	/* It came before the run. */
	assert_true(begin(&task, 2));
	assert_false(uz__task_rest(&task, 0));
	uz__task_end(&task);
	/* Whoever: not those to come. */
	uz__task_interrupt(&task, 0);
	assert_true(begin(&task, 0));
	assert_true(uz__task_rest(&task, 0));
	uz__task_interrupt(&task, 0);
	assert_false(uz__task_rest(&task, 0));
	uz__task_end(&task);
	/* So many are kept, and the oldest are forgotten. */
	for (id = 10; id <= 10 + UZ__TASK_EARLY; id++)
		uz__task_interrupt(&task, id);
	for (id = 10; id <= 10 + UZ__TASK_EARLY; id++) {
		assert_true(begin(&task, id));
		assert_int_equal(uz__task_rest(&task, 0), id == 10);
		uz__task_end(&task);
	}
	uz__task_destroy(&task);
}

static void *sleeper(void *arg)
{
	sigset_t blocked;

	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	if (!sigismember(&blocked, SIGTERM))
		return NULL;
	return uz__task_rest(arg, 1000 * SECOND) ? NULL : arg;
}

static void test_sleep(void **state)
{
	struct uz__task task = { 0 };
	pthread_t thread;
	void *ret;

	(void)state;
	uz__task_init(&task);
	assert_true(begin(&task, 5));
	assert_int_equal(uz__task_thread(&thread, "sleeper", sleeper, &task),
			 0);
	uz__task_interrupt(&task, 5);
	pthread_join(thread, &ret);
	assert_ptr_equal(ret, &task);
	uz__task_destroy(&task);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_sleep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
