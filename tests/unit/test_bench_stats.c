// SPDX-License-Identifier: MIT
/*
 * Medians, paired ratios and percentiles of uzram-bench.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <bench.h>

static void test_median(void **state)
{
	struct stats s = { 0 };

	(void)state;
	assert_true(stats_median(&s) == 0);
	stats_add(&s, 7);
	assert_true(stats_median(&s) == 7);
	stats_add(&s, 1);
	assert_true(stats_median(&s) == 4);
	stats_add(&s, 100);
	assert_true(stats_median(&s) == 7);
	/* The order of the rounds is kept. */
	assert_true(s.v[0] == 7 && s.v[1] == 1 && s.v[2] == 100);
}

static void test_ratio_is_paired(void **state)
{
	struct stats a = { 3, { 10, 100, 1000 } };
	struct stats b = { 3, { 20, 400, 1000 } };
	struct stats zero = { 3, { 0, 200, 0 } };
	struct stats none = { 0 };

	(void)state;
	/* of 0.5, 0.25 and 1; the ratio of the medians is 0.25 */
	assert_true(stats_ratio(&a, &b) == 0.5);
	/* a round without a rate has no ratio */
	assert_true(stats_ratio(&a, &zero) == 0.5);
	assert_true(stats_ratio(&a, &none) == 0);
}

static void test_stats_json(void **state)
{
	struct stats s = { 2, { 1, 3 } };
	json_t *o = stats_json(&s);

	(void)state;
	assert_true(json_real_value(json_object_get(o, "median")) == 2);
	assert_int_equal(json_array_size(json_object_get(o, "rounds")), 2);
	json_decref(o);
}

static struct hist *new_hist(void)
{
	struct hist *h = calloc(1, sizeof(*h));

	assert_non_null(h);
	return h;
}

static void test_small_latencies_are_exact(void **state)
{
	struct hist *h = new_hist();

	(void)state;
	assert_int_equal(hist_percentile(h, 50), 0);
	for (uint64_t i = 1; i <= 50; i++)
		hist_add(h, i);
	assert_int_equal(hist_percentile(h, 0), 1);
	assert_int_equal(hist_percentile(h, 50), 25);
	assert_int_equal(hist_percentile(h, 98), 49);
	assert_int_equal(hist_percentile(h, 100), 50);
	free(h);
}

static void test_large_latencies_are_near(void **state)
{
	(void)state;
	for (unsigned int bit = 6; bit < HIST_MAX_BITS; bit++) {
		for (int off = -1; off <= 1; off++) {
			uint64_t v = (UINT64_C(1) << bit) + (uint64_t)off, got;
			struct hist *h = new_hist();

			hist_add(h, v);
			got = hist_percentile(h, 50);
			assert_true(got >= v && got - v <= v >> HIST_SUB_BITS);
			free(h);
		}
	}
}

static void test_beyond_the_range(void **state)
{
	struct hist *h = new_hist();

	(void)state;
	hist_add(h, UINT64_MAX);
	assert_int_equal(hist_percentile(h, 50),
			 (UINT64_C(1) << HIST_MAX_BITS) - 1);
	free(h);
}

static void test_merge(void **state)
{
	struct hist *a = new_hist(), *b = new_hist();

	(void)state;
	for (int i = 0; i < 99; i++)
		hist_add(a, 10);
	hist_add(b, 5000);
	hist_merge(a, b);
	assert_int_equal(a->n, 100);
	assert_int_equal(hist_percentile(a, 99), 10);
	assert_true(hist_percentile(a, 99.5) >= 5000);
	free(a);
	free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_median),
		cmocka_unit_test(test_ratio_is_paired),
		cmocka_unit_test(test_stats_json),
		cmocka_unit_test(test_small_latencies_are_exact),
		cmocka_unit_test(test_large_latencies_are_near),
		cmocka_unit_test(test_beyond_the_range),
		cmocka_unit_test(test_merge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
