// SPDX-License-Identifier: MIT
/*
 * The memory limit, to the page: never passed unless asked to, and never in
 * the way of a store that needs no memory.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pool_fixture.h"

static void test_limit_is_exact(void **state)
{
	uz_ref_t refs[10];
	struct fixture f;

	(void)state;
	fixture_open(&f, 8);
	uz_pool_set_limit(f.pool, PAGES(10));
	fixture_fill(&f, refs, 10, fixture_page(&f));
	assert_int_equal(uz_pool_used_bytes(f.pool), PAGES(10));
	fixture_refused(&f, fixture_page(&f));
	fixture_refused(&f, 100);
	uz_pool_set_limit(f.pool, 0);
	uz_pool_free(f.pool, fixture_alloc(&f, fixture_page(&f), 10));
	fixture_free(&f, refs, 10);
	fixture_close(&f);
}

static void test_limit_is_rounded_up(void **state)
{
	struct fixture f;
	uz_ref_t ref;

	(void)state;
	fixture_open(&f, 8);
	uz_pool_set_limit(f.pool, 1);
	assert_int_equal(fixture_stat(&f).limit_bytes, PAGES(1));
	ref = fixture_alloc(&f, fixture_page(&f), 0);
	fixture_refused(&f, fixture_page(&f));
	uz_pool_set_limit(f.pool, PAGES(1) + 1);
	assert_int_equal(fixture_stat(&f).limit_bytes, PAGES(2));
	uz_pool_free(f.pool, ref);
	uz_pool_set_limit(f.pool, UINT64_MAX);
	uz_pool_free(f.pool, fixture_alloc(&f, fixture_page(&f), 0));
	fixture_close(&f);
}

/* Room in a page that is there already, and places that were freed. */
static void test_free_places_at_the_limit(void **state)
{
	uz_ref_t refs[6];
	struct fixture f;
	unsigned int i;

	(void)state;
	fixture_open(&f, 8);
	uz_pool_set_limit(f.pool, PAGES(3));
	fixture_fill(&f, refs, 6, fixture_page(&f) / 2);
	fixture_refused(&f, fixture_page(&f) / 2);
	for (i = 0; i < 6; i++) {
		uz_pool_free(f.pool, refs[5 - i]);
		refs[5 - i] = fixture_alloc(&f, fixture_page(&f) / 2, 5 - i);
	}
	fixture_same_all(&f, refs, 6, fixture_page(&f) / 2);
	fixture_free(&f, refs, 6);
	fixture_close(&f);
}

static void test_arena_full(void **state)
{
	uz_ref_t refs[64];
	struct fixture f;

	(void)state;
	fixture_open(&f, 2);
	fixture_fill(&f, refs, 64, fixture_page(&f));
	fixture_refused(&f, fixture_page(&f));
	fixture_refused(&f, 8);
	fixture_free(&f, refs, 64);
	fixture_close(&f);
}

static void test_over_limit(void **state)
{
	struct fixture f;
	uz_ref_t a, b;

	(void)state;
	fixture_open(&f, 8);
	uz_pool_set_limit(f.pool, PAGES(1));
	a = fixture_alloc(&f, fixture_page(&f), 0);
	fixture_refused(&f, fixture_page(&f));
	assert_int_equal(uz_pool_alloc(f.pool, fixture_page(&f), 1,
				       UZ_POOL_OVER_LIMIT, &b),
			 0);
	assert_int_equal(uz_pool_used_bytes(f.pool), PAGES(2));
	assert_int_equal(fixture_stat(&f).max_used_bytes, PAGES(2));
	fixture_refused(&f, fixture_page(&f));
	uz_pool_free(f.pool, a);
	uz_pool_free(f.pool, b);
	fixture_close(&f);
}

/* A limit that comes late stops growth, nothing else. */
static void test_limit_below_use(void **state)
{
	uz_ref_t refs[10];
	struct fixture f;

	(void)state;
	fixture_open(&f, 8);
	fixture_fill(&f, refs, 10, fixture_page(&f));
	uz_pool_set_limit(f.pool, PAGES(4));
	fixture_refused(&f, fixture_page(&f));
	fixture_same_all(&f, refs, 10, fixture_page(&f));
	fixture_free(&f, refs, 10);
	refs[0] = fixture_alloc(&f, fixture_page(&f), 0);
	uz_pool_free(f.pool, refs[0]);
	fixture_close(&f);
}

/* Memory kept for reuse must not be what refuses a store. */
static void test_kept_memory_is_no_obstacle(void **state)
{
	static const uint32_t sizes[] = { 100, 2000, 4000, 4104 };
	uz_ref_t refs[32], ref;
	struct fixture f;
	unsigned int k;

	(void)state;
	fixture_open(&f, 8);
	fixture_keep(&f, 4 * WINDOW_PAGES);
	uz_pool_set_limit(f.pool, PAGES(32));
	for (k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
		fixture_fill(&f, refs, 32, fixture_page(&f));
		fixture_refused(&f, sizes[k]);
		fixture_free(&f, refs, 32);
		assert_int_equal(fixture_stat(&f).empty_bytes, PAGES(32));
		ref = fixture_alloc(&f, sizes[k], 101);
		fixture_check(&f);
		uz_pool_free(f.pool, ref);
	}
	fixture_close(&f);
}

struct greedy {
	struct fixture *f;
	pthread_t thread;
	unsigned int nr;
	uz_ref_t refs[512];
};

static void *take_all(void *arg)
{
	struct greedy *g = arg;

	while (!uz_pool_alloc(g->f->pool, fixture_page(g->f), g->nr, 0,
			      &g->refs[g->nr]))
		g->nr++;
	return NULL;
}

/* Threads that race for the last page: all pages are had, none too many. */
static void test_limit_is_exact_in_a_race(void **state)
{
	static struct greedy greedy[4];
	unsigned int round, i, sum;
	struct fixture f;

	(void)state;
	fixture_open(&f, 64);
	uz_pool_set_limit(f.pool, PAGES(500));
	for (round = 0; round < 10; round++) {
		for (i = 0; i < 4; i++) {
			greedy[i] = (struct greedy){ .f = &f };
			assert_int_equal(pthread_create(&greedy[i].thread, NULL,
							take_all, &greedy[i]),
					 0);
		}
		for (i = sum = 0; i < 4; i++) {
			pthread_join(greedy[i].thread, NULL);
			sum += greedy[i].nr;
		}
		assert_int_equal(sum, 500);
		assert_int_equal(fixture_stat(&f).max_used_bytes, PAGES(500));
		fixture_check(&f);
		for (i = 0; i < 4; i++)
			while (greedy[i].nr)
				uz_pool_free(f.pool,
					     greedy[i].refs[--greedy[i].nr]);
	}
	fixture_close(&f);
}

static void count_notice(void *arg)
{
	++*(unsigned int *)arg;
}

static void free_all(struct fixture *f, const uz_ref_t refs[10])
{
	fixture_free(f, refs, 10);
	uz_pool_trim(f->pool);
}

/* Told once each time that use comes from below the mark. */
static void test_mark(void **state)
{
	unsigned int told = 0, i;
	uz_ref_t refs[10];
	struct fixture f;

	(void)state;
	fixture_open(&f, 8);
	uz_pool_on_mark(f.pool, count_notice, &told);
	uz_pool_set_limit(f.pool, PAGES(10));
	uz_pool_set_mark(f.pool, PAGES(8));
	for (i = 0; i < 10; i++) {
		refs[i] = fixture_alloc(&f, fixture_page(&f), i);
		assert_int_equal(told, i >= 7);
	}
	fixture_refused(&f, fixture_page(&f));
	assert_int_equal(told, 1);
	/* Down to below the mark, and up again; then without one. */
	free_all(&f, refs);
	fixture_fill(&f, refs, 10, fixture_page(&f));
	assert_int_equal(told, 2);
	uz_pool_set_mark(f.pool, 0);
	free_all(&f, refs);
	fixture_fill(&f, refs, 10, fixture_page(&f));
	assert_int_equal(told, 2);
	free_all(&f, refs);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limit_is_exact),
		cmocka_unit_test(test_limit_is_rounded_up),
		cmocka_unit_test(test_free_places_at_the_limit),
		cmocka_unit_test(test_over_limit),
		cmocka_unit_test(test_limit_below_use),
		cmocka_unit_test(test_kept_memory_is_no_obstacle),
		cmocka_unit_test(test_arena_full),
		cmocka_unit_test(test_limit_is_exact_in_a_race),
		cmocka_unit_test(test_mark),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
