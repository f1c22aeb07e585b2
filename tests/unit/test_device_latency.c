// SPDX-License-Identifier: MIT
/*
 * How long requests take: which are timed, what is counted of them and where,
 * and how long it is kept. The clock is the test's own.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <time.h>

#include <cmocka.h>

#include <uzram/device/latency.h>

#include "device_fixture.h"

#define SIZE (UINT64_C(1) << 20)

/* What each look at the clock takes; 0: it is not ours. */
static _Thread_local uint64_t step;
static _Thread_local uint64_t clock_ns;

int __real_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_clock_gettime(clockid_t id, struct timespec *t);

int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
	if (!step)
		return __real_clock_gettime(id, t);
	clock_ns += step;
	t->tv_sec = (time_t)(clock_ns / 1000000000);
	t->tv_nsec = (long)(clock_ns % 1000000000);
	return 0;
}

static int submit(struct fixture *f, enum uz_op op, uint64_t offset)
{
	static unsigned char page[UZ_PAGE_SIZE];
	const struct uz_request rq = { op, offset, sizeof(page), page };

	return uz_device_submit(f->io, &rq);
}

/* So many that one of them is timed, and that this one takes @ns. */
static void submit_timed(struct fixture *f, enum uz_op op, uint64_t ns)
{
	unsigned int i;

	step = ns;
	for (i = 0; i < UZ_LATENCY_EVERY; i++)
		assert_int_equal(submit(f, op, 0), 0);
	step = 0;
}

static uint64_t timed(struct fixture *f, enum uz_latency_of of)
{
	struct uz_latency l;
	uint64_t all = 0;
	unsigned int i;

	uz_device_latency(f->dev, of, &l);
	for (i = 0; i < UZ_LATENCY_BUCKETS; i++)
		all += l.count[i];
	assert_int_equal(!all, !l.sum_ns);
	return all;
}

static void test_buckets(void **state)
{
	unsigned int i;

	(void)state;
	assert_int_equal(uz_latency_most(0), 255);
	assert_int_equal(uz_latency_most(1), 319);
	assert_int_equal(uz_latency_most(4), 511);
	assert_int_equal(uz_latency_most(5), 639);
	for (i = 1; i < UZ_LATENCY_BUCKETS; i++)
		assert_true(uz_latency_most(i) > uz_latency_most(i - 1));
	assert_in_range(uz_latency_most(UZ_LATENCY_BUCKETS - 2), 10000000000,
			20000000000);
	assert_true(uz_latency_most(UZ_LATENCY_BUCKETS - 1) == UINT64_MAX);
}

/* Each time lies in the first bucket that has room for it. */
static void test_where(void **state)
{
	static const uint64_t times[] = { 1,	255,  256,     319,	320,
					  4095, 4096, 1234567, 1u << 30 };
	struct uz_latency l;
	struct fixture f;
	unsigned int i, bucket;

	(void)state;
	for (i = 0; i < sizeof(times) / sizeof(*times); i++) {
		fixture_open(&f, NULL, SIZE);
		submit_timed(&f, UZ_OP_READ, times[i]);
		uz_device_latency(f.dev, UZ_LATENCY_READ, &l);
		for (bucket = 0; uz_latency_most(bucket) < times[i]; bucket++)
			assert_int_equal(l.count[bucket], 0);
		assert_int_equal(l.count[bucket], 1);
		assert_int_equal(l.sum_ns, times[i]);
		fixture_close(&f);
	}
	fixture_open(&f, NULL, SIZE);
	submit_timed(&f, UZ_OP_WRITE, UINT64_C(3600000000000));
	uz_device_latency(f.dev, UZ_LATENCY_WRITE, &l);
	assert_int_equal(l.count[UZ_LATENCY_BUCKETS - 1], 1);
	fixture_close(&f);
}

static void test_which(void **state)
{
	struct fixture f;
	unsigned int i;

	(void)state;
	fixture_open(&f, NULL, SIZE);
	submit_timed(&f, UZ_OP_READ, 1000);
	submit_timed(&f, UZ_OP_READ, 1000);
	submit_timed(&f, UZ_OP_WRITE, 1000);
	assert_int_equal(timed(&f, UZ_LATENCY_READ), 2);
	assert_int_equal(timed(&f, UZ_LATENCY_WRITE), 1);
	/* None of them is one of these. */
	submit_timed(&f, UZ_OP_DISCARD, 1000);
	submit_timed(&f, UZ_OP_FLUSH, 1000);
	step = 1000;
	for (i = 0; i < UZ_LATENCY_EVERY; i++)
		assert_int_equal(submit(&f, UZ_OP_READ, SIZE), -EINVAL);
	step = 0;
	assert_int_equal(timed(&f, UZ_LATENCY_READ), 2);
	assert_int_equal(timed(&f, UZ_LATENCY_WRITE), 1);
	fixture_close(&f);
}

/* A thread that ends leaves its numbers; a reset and a process do not. */
static void test_how_long(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, NULL, SIZE);
	submit_timed(&f, UZ_OP_WRITE, 1000);
	uz_io_destroy(f.io);
	assert_int_equal(uz_io_create(f.dev, &f.io), 0);
	submit_timed(&f, UZ_OP_WRITE, 1000);
	assert_int_equal(timed(&f, UZ_LATENCY_WRITE), 2);
	assert_int_equal(uz_device_reset(f.dev, true, NULL), 0);
	assert_int_equal(timed(&f, UZ_LATENCY_WRITE), 0);
	assert_int_equal(uz_device_set_disksize(f.dev, SIZE, NULL), 0);
	submit_timed(&f, UZ_OP_WRITE, 1000);
	assert_int_equal(timed(&f, UZ_LATENCY_WRITE), 1);
	fixture_forget(&f);
	fixture_adopt(&f);
	assert_int_equal(timed(&f, UZ_LATENCY_WRITE), 0);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buckets),
		cmocka_unit_test(test_where),
		cmocka_unit_test(test_which),
		cmocka_unit_test(test_how_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
