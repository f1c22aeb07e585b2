// SPDX-License-Identifier: MIT
/*
 * When a device is compacted: not without notice, to the end after it, again
 * for what comes meanwhile, a few times for what is in the way. Times are not
 * measured; what must happen is waited for, and what must not happen is looked
 * for after something else that must.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/worker.h>

#include "fake_device.h"
#include "no_thread.h"
#include "soon.h"

struct fixture {
	struct uz_device dev;
	struct uz_compactor *compactor;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fake_device_init(&f->dev);
	*state = f;
	return uz_compactor_start(&f->compactor, &f->dev);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	uz_compactor_stop(f->compactor);
	fake_device_end(&f->dev);
	free(f);
	return 0;
}

static void give_notice(struct fixture *f)
{
	f->dev.fragmented(f->dev.fragmented_arg);
}

static void await_calls(struct fixture *f, unsigned int calls)
{
	if (!SOON(f->dev.compacts >= calls))
		fail_msg("%u calls instead of %u", f->dev.compacts, calls);
}

/* What is to do has been done, by whichever call. */
static void await_all_done(struct fixture *f)
{
	assert_true(SOON(!f->dev.batches));
}

static void test_asleep_without_notice(void **state)
{
	struct fixture *f = *state;

	f->dev.batches = 3;
	usleep(200000);
	assert_int_equal(f->dev.compacts, 0);
	assert_true(signals_blocked);
}

static void test_works_to_the_end(void **state)
{
	struct fixture *f = *state;

	f->dev.batches = 100;
	give_notice(f);
	await_calls(f, 100);
	assert_int_equal(f->dev.scope, UZ_POOL_COMPACT_FRAGMENTED);
	assert_in_range(f->dev.budget, 1, 1024);
	assert_int_equal(f->dev.batches, 0);
	/* Notice that asks for nothing any more: one look, and no more. */
	give_notice(f);
	await_calls(f, 101);
	usleep(300000);
	assert_int_equal(f->dev.compacts, 101);
}

static void test_notice_again_and_again(void **state)
{
	struct fixture *f = *state;
	unsigned int i, calls;

	for (i = 0; i < 10; i++) {
		calls = f->dev.compacts;
		f->dev.batches = 1;
		give_notice(f);
		give_notice(f);
		await_calls(f, calls + 1);
	}
}

static void *notices(void *arg)
{
	unsigned int i;

	for (i = 0; i < 100000; i++)
		give_notice(arg);
	return NULL;
}

/* Whatever the moment at which notice comes, a look follows it. */
static void test_notice_from_many_threads(void **state)
{
	struct fixture *f = *state;
	unsigned int i, round, calls;
	pthread_t threads[3];

	for (round = 0; round < 3; round++) {
		for (i = 0; i < 3; i++)
			assert_int_equal(
				pthread_create(&threads[i], NULL, notices, f),
				0);
		for (i = 0; i < 3; i++)
			pthread_join(threads[i], NULL);
		calls = f->dev.compacts;
		give_notice(f);
		await_calls(f, calls + 1);
	}
}

static void test_what_is_pinned_is_tried_again(void **state)
{
	struct fixture *f = *state;
	unsigned int before, calls;

	/* Until this thread is in time: after nine calls it is left alone. */
	do {
		before = f->dev.compacts;
		f->dev.pinned = 1;
		f->dev.batches = 2;
		give_notice(f);
		await_calls(f, before + 4);
		f->dev.batches = 1;
		f->dev.pinned = 0;
		calls = f->dev.compacts;
	} while (calls > before + 7);
	await_all_done(f);
	/* But for a call that saw it pinned and the one after that: no more. */
	usleep(1000000);
	assert_in_range(f->dev.compacts, calls, calls + 2);
}

/* While it waits to try again, notice is heard. */
static void test_notice_before_the_next_try(void **state)
{
	struct fixture *f = *state;

	f->dev.contended = 1;
	give_notice(f);
	await_calls(f, 4);
	f->dev.contended = 0;
	f->dev.batches = 5;
	give_notice(f);
	await_all_done(f);
}

static void test_stop_at_any_moment(void **state)
{
	struct fixture *f = *state;
	unsigned int i;

	for (i = 0; i < 25; i++) {
		f->dev.batches = UINT32_MAX;
		give_notice(f);
		usleep(i * 2000);
		uz_compactor_stop(f->compactor);
		assert_null(f->dev.fragmented);
		assert_int_equal(uz_compactor_start(&f->compactor, &f->dev), 0);
	}
	uz_compactor_stop(NULL);
}

static void test_no_thread(void **state)
{
	struct uz_compactor *compactor = NULL;
	struct fixture *f = *state;
	sigset_t now;

	uz_compactor_stop(f->compactor);
	f->compactor = NULL;
	create_fails = true;
	assert_int_equal(uz_compactor_start(&compactor, &f->dev), -EAGAIN);
	create_fails = false;
	assert_null(compactor);
	assert_null(f->dev.fragmented);
	pthread_sigmask(SIG_SETMASK, NULL, &now);
	assert_false(sigismember(&now, SIGTERM));
}

static void test_all(void **state)
{
	struct uz_pool_compaction done = { .objects = 5 };
	struct fixture *f = *state;

	f->dev.batches = 7;
	f->dev.pinned = 2;
	f->dev.contended = 3;
	uz_compact_all(&f->dev, &done);
	assert_int_equal(f->dev.scope, UZ_POOL_COMPACT_ALL);
	assert_int_equal(f->dev.compacts, 7);
	assert_int_equal(done.objects, 75);
	assert_int_equal(done.pages, 7);
	assert_int_equal(done.pinned, 2);
	assert_int_equal(done.contended, 3);
}

/* Somebody has a lock whenever it is tried: for a while, or for ever. */
static void test_stuck(void **state)
{
	struct uz_pool_compaction done = { 0 };
	struct fixture *f = *state;

	f->dev.stuck = 20;
	f->dev.batches = 2;
	uz_compact_all(&f->dev, &done);
	assert_int_equal(f->dev.compacts, 22);
	assert_int_equal(done.objects, 20);
	f->dev.stuck = UINT32_MAX;
	uz_compact_all(&f->dev, &done);
	assert_in_range(f->dev.compacts, 23, 1000);

	f->dev.stuck = 20;
	f->dev.batches = 2;
	f->dev.compacts = 0;
	give_notice(f);
	await_calls(f, 22);
	f->dev.stuck = UINT32_MAX;
	f->dev.compacts = 0;
	give_notice(f);
	await_calls(f, 50);
}

/* Requests that undo all that is gained do not keep the caller for ever. */
static void test_all_is_bounded(void **state)
{
	struct uz_pool_compaction done = { .objects = 1000000 };
	struct fixture *f = *state;

	f->dev.stat.orig_data_size = 10000 * UZ_PAGE_SIZE;
	f->dev.batches = UINT32_MAX;
	uz_compact_all(&f->dev, &done);
	assert_in_range(done.objects, 1010000, 1020000);
}

#define compactor_test(name) \
	cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		compactor_test(test_asleep_without_notice),
		compactor_test(test_works_to_the_end),
		compactor_test(test_notice_again_and_again),
		compactor_test(test_notice_from_many_threads),
		compactor_test(test_what_is_pinned_is_tried_again),
		compactor_test(test_notice_before_the_next_try),
		compactor_test(test_stop_at_any_moment),
		compactor_test(test_no_thread),
		compactor_test(test_all),
		compactor_test(test_stuck),
		compactor_test(test_all_is_bounded),
	};

	return cmocka_run_group_tests_name("worker compactor", tests, NULL,
					   NULL);
}
