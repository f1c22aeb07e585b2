// SPDX-License-Identifier: MIT
/*
 * What the load generator of uzram-bench asks for, and what it reads beside.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <device.h>

/* How many of 10000 requests write. */
static int writes_of(unsigned int reads)
{
	static uint8_t data[2 * UZ_PAGE_SIZE], buf[UZ_PAGE_SIZE];
	const struct corpus corpus = { .data = data, .size = sizeof(data) };
	const struct load l = {
		.corpus = &corpus,
		.block = UZ_PAGE_SIZE,
		.reads = reads,
		.random = true,
	};
	struct load_job j = { .l = &l, .first = 3, .end = 9, .buf = buf };
	int writes = 0;

	for (int i = 0; i < 10000; i++) {
		const struct load_request r = load_next(&j, 0);

		assert_in_range(r.at, 3 * UZ_PAGE_SIZE, 8 * UZ_PAGE_SIZE);
		if (r.write)
			assert_true(r.buf == data ||
				    r.buf == data + UZ_PAGE_SIZE);
		else
			assert_ptr_equal(r.buf, buf);
		writes += r.write;
	}
	return writes;
}

static void test_mixture(void **state)
{
	(void)state;
	assert_int_equal(writes_of(0), 10000);
	assert_int_equal(writes_of(100), 0);
	/* The same numbers in every run, so this is no matter of luck. */
	assert_in_range(writes_of(70), 2900, 3100);
}

static void test_busy_time(void **state)
{
	uint64_t before = clock_busy();

	(void)state;
	assert_true(before > 0);
	assert_true(clock_busy() >= before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mixture),
		cmocka_unit_test(test_busy_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
