// SPDX-License-Identifier: MIT
/*
 * Recompression on demand: how far it goes, who can end it, that there is one
 * at a time, and that compaction follows.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/worker.h>

#include "fake_device.h"
#include "no_thread.h"

struct fixture {
	struct uz_device dev;
	struct uz_recompressor *r;
	struct uz_recompress_order order;
	uint64_t id;
	int ret;
	struct uz_err err;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fake_device_init(&f->dev);
	f->dev.secondary[1] = f->dev.codec;
	f->dev.candidates = 1000;
	f->order.max_pages = UINT64_MAX;
	*state = f;
	return uz_recompressor_create(&f->r, &f->dev);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	uz_recompressor_destroy(f->r);
	fake_device_end(&f->dev);
	free(f);
	return 0;
}

static int run(struct fixture *f)
{
	return uz_recompressor_run(f->r, &f->order, f->id, &f->err);
}

static void expect_progress(struct fixture *f, bool running, uint64_t total,
			    uint64_t tried)
{
	struct uz_recompression done;
	uint64_t t;

	assert_int_equal(uz_recompressor_progress(f->r, &t, &done), running);
	assert_int_equal(t, total);
	assert_int_equal(done.tried, tried);
}

static void test_all(void **state)
{
	struct fixture *f = *state;
	struct uz_recompression done;
	uint64_t total;

	f->order = (struct uz_recompress_order){ .idle = true,
						 .threshold = 77,
						 .max_pages = UINT64_MAX,
						 .priority = 1 };
	f->dev.batches = 2;
	assert_int_equal(run(f), 0);
	assert_int_equal(f->dev.recompressed, 1000);
	assert_true(f->dev.how.idle);
	assert_false(f->dev.how.huge);
	assert_int_equal(f->dev.how.least, 77);
	assert_int_equal(f->dev.how.priority, 1);
	/* Compaction goes to the end. */
	assert_int_equal(f->dev.compacts, 2);
	assert_int_equal(f->dev.scope, UZ_POOL_COMPACT_ALL);
	expect_progress(f, false, 1000, 1000);
	uz_recompressor_progress(f->r, &total, &done);
	assert_int_equal(done.bytes, 100000);

	/* Nothing gained: nothing to compact. */
	f->dev.candidates = 0;
	f->order = (struct uz_recompress_order){ .huge = true,
						 .max_pages = UINT64_MAX };
	assert_int_equal(run(f), 0);
	assert_int_equal(f->dev.compacts, 2);
	assert_true(f->dev.how.huge);
	assert_int_equal(f->dev.how.priority, 0);
	expect_progress(f, false, 0, 0);
}

/* The fake's pages have 2000 bytes. */
static void test_so_many_pages(void **state)
{
	struct fixture *f = *state;

	f->order.max_pages = 21;
	assert_int_equal(run(f), 0);
	assert_int_equal(f->dev.recompressed, 21);
	expect_progress(f, false, 21, 21);
	assert_int_equal(f->dev.how.least, 1024);
	assert_int_equal(f->dev.how.below, 2048);
	/* More than there are, and none below the threshold. */
	f->dev.candidates = 50;
	f->order.max_pages = 5000;
	f->order.threshold = 1500;
	assert_int_equal(run(f), 0);
	assert_int_equal(f->dev.recompressed, 71);
	expect_progress(f, false, 50, 50);
	assert_int_equal(f->dev.how.least, 1500);
	/* None is none, as the kernel has it. */
	f->dev.candidates = 50;
	f->order.max_pages = 0;
	assert_int_equal(run(f), 0);
	assert_int_equal(f->dev.recompressed, 71);
	expect_progress(f, false, 0, 0);
}

static void test_failures(void **state)
{
	struct fixture *f = *state;

	f->order.priority = 2;
	assert_int_equal(run(f), -EINVAL);
	assert_string_equal(f->err.text, "no codec");
	f->order.priority = 1;
	f->dev.fail_after = 100;
	f->dev.recompress_error = -EINVAL;
	assert_int_equal(run(f), -EINVAL);
	assert_string_equal(f->err.text, "the device was reset");
	f->dev.fail_after = 200;
	f->dev.recompress_error = -ENOSPC;
	assert_int_equal(run(f), -ENOSPC);
	assert_int_equal(f->dev.recompressed, 200);
	f->dev.recompress_error = 0;
	/* No thread: done all the same. */
	create_fails = true;
	assert_int_equal(run(f), 0);
	create_fails = false;
	expect_progress(f, false, 1000, 1000);
}

static void *run_thread(void *arg)
{
	struct fixture *f = arg;

	f->ret = run(f);
	return NULL;
}

static pthread_t start_held(struct fixture *f)
{
	pthread_t thread;
	uint64_t total = 0;
	struct uz_recompression done;

	f->dev.hold = true;
	assert_int_equal(pthread_create(&thread, NULL, run_thread, f), 0);
	while (!uz_recompressor_progress(f->r, &total, &done) || !total)
		usleep(1000);
	return thread;
}

static void test_one_at_a_time(void **state)
{
	struct fixture *f = *state;
	struct uz_err err = { 0 };
	pthread_t thread = start_held(f);

	assert_int_equal(uz_recompressor_run(f->r, &f->order, 0, &err), -EBUSY);
	assert_non_null(strstr(err.text, "0 of 1000"));
	expect_progress(f, true, 1000, 0);
	f->dev.hold = false;
	pthread_join(thread, NULL);
	assert_int_equal(f->ret, 0);
	assert_int_equal(run(f), 0);
}

static void test_interrupt(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;

	f->id = 6;
	thread = start_held(f);
	uz_recompressor_interrupt(f->r, 7); /* somebody else */
	uz_recompressor_interrupt(f->r, 6);
	f->dev.hold = false;
	pthread_join(thread, NULL);
	assert_int_equal(f->ret, -EINTR);
	assert_in_range(f->dev.recompressed, 1, 999);
	assert_int_equal(f->dev.compacts, 0);
	assert_non_null(strstr(f->err.text, "of 1000 pages"));

	/* Who came too early is remembered; anybody else is not stopped. */
	f->id = 7;
	assert_int_equal(run(f), -EINTR);
	f->id = 8;
	assert_int_equal(run(f), 0);
	/* Nobody is running: nothing to end. */
	uz_recompressor_interrupt(f->r, 0);
	assert_int_equal(run(f), 0);
	thread = start_held(f);
	uz_recompressor_interrupt(f->r, 0);
	f->dev.hold = false;
	pthread_join(thread, NULL);
	assert_int_equal(f->ret, -EINTR);
}

#define fixture_test(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(test_all),	      fixture_test(test_so_many_pages),
		fixture_test(test_failures),  fixture_test(test_one_at_a_time),
		fixture_test(test_interrupt),
	};

	return cmocka_run_group_tests_name("recompressor", tests, NULL, NULL);
}
