// SPDX-License-Identifier: MIT
/*
 * Random numbers of uzram-bench: permutations, bounds, the same in every run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <bench.h>

#define N 1000

static void test_order_is_a_permutation(void **state)
{
	static uint32_t order[N], again[N], other[N];
	static bool seen[N];
	unsigned int moved = 0;

	(void)state;
	random_order(order, N, 1);
	random_order(again, N, 1);
	random_order(other, N, 2);
	assert_memory_equal(order, again, sizeof(order));
	assert_memory_not_equal(order, other, sizeof(order));
	for (unsigned int i = 0; i < N; i++) {
		assert_true(order[i] < N);
		assert_false(seen[order[i]]);
		seen[order[i]] = true;
		moved += order[i] != i;
	}
	assert_true(moved > N / 2);
	random_order(order, 1, 1);
	assert_int_equal(order[0], 0);
	random_order(order, 0, 1);
}

static void test_below_reaches_all(void **state)
{
	unsigned int count[7] = { 0 };
	uint64_t rng = 5;

	(void)state;
	for (unsigned int i = 0; i < 7 * N; i++) {
		uint64_t n = random_below(&rng, 7);

		assert_true(n < 7);
		count[n]++;
	}
	for (unsigned int i = 0; i < 7; i++)
		assert_in_range(count[i], N * 8 / 10, N * 12 / 10);
	assert_int_equal(random_below(&rng, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_is_a_permutation),
		cmocka_unit_test(test_below_reaches_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
