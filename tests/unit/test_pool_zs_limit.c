// SPDX-License-Identifier: MIT
/*
 * zsmalloc's own at the limit: zspages that grow, kept windows, places that
 * need no memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pool_fixture.h"

/*
 * A place in pages that are there needs no memory, so it is used although more
 * is in use than the limit: because a store was let through, or because the
 * limit came late.
 */
static void test_over_limit(void **state)
{
	struct fixture f;
	uz_ref_t a, b;

	(void)state;
	fixture_open(&f, 8);
	uz_pool_set_limit(f.pool, PAGES(1));
	a = fixture_alloc(&f, 4096, 0);
	assert_int_equal(uz_pool_alloc(f.pool, 4096, 1, UZ_POOL_OVER_LIMIT, &b),
			 0);
	fixture_refused(&f, 4096);
	uz_pool_free(f.pool, a);
	a = fixture_alloc(&f, 4096, 0);
	uz_pool_free(f.pool, a);
	uz_pool_free(f.pool, b);
	fixture_close(&f);
}

static void test_limit_below_use(void **state)
{
	uz_ref_t refs[10];
	struct fixture f;

	(void)state;
	fixture_open(&f, 8);
	fixture_fill(&f, refs, 10, 4096);
	uz_pool_set_limit(f.pool, PAGES(4));
	fixture_refused(&f, 4096);
	uz_pool_free(f.pool, refs[9]);
	refs[9] = fixture_alloc(&f, 4096, 9);
	fixture_free(&f, refs, 10);
	fixture_close(&f);
}

/* Memory kept for reuse must not be what refuses a store. */
static void test_kept_memory_is_no_obstacle(void **state)
{
	uz_ref_t refs[32], small, other;
	struct fixture f;

	(void)state;
	fixture_open(&f, 8);
	fixture_keep(&f, 4 * WINDOW_PAGES);
	uz_pool_set_limit(f.pool, PAGES(33));
	small = fixture_alloc(&f, 3968, 100);
	fixture_fill(&f, refs, 32, 4096);
	fixture_refused(&f, 3968);
	fixture_free(&f, refs, 32);
	assert_int_equal(fixture_stat(&f).empty_bytes, PAGES(32));
	/* A zspage that must grow: the kept memory is given back. */
	other = fixture_alloc(&f, 3968, 101);
	assert_int_equal(fixture_stat(&f).empty_bytes, 0);
	assert_int_equal(uz_pool_used_bytes(f.pool), PAGES(2));
	uz_pool_free(f.pool, other);

	/* A new zspage: the kept memory is used as it is. */
	fixture_fill(&f, refs, 31, 4096);
	fixture_free(&f, refs, 31);
	other = fixture_alloc(&f, 2048, 102);
	assert_int_equal(uz_pool_used_bytes(f.pool), PAGES(33));
	fixture_check(&f);
	uz_pool_free(f.pool, other);
	uz_pool_free(f.pool, small);
	fixture_close(&f);
}

/* A large class grows by several pages at once, but not past the limit. */
static void test_growth_ahead(void **state)
{
	uz_ref_t refs[32 * 8 + 5];
	struct fixture f;
	unsigned int i;

	(void)state;
	fixture_open(&f, 16);
	fixture_fill(&f, refs, 32 * 8, 4096);
	assert_int_equal(uz_pool_used_bytes(f.pool), PAGES(32 * 8));
	i = 32 * 8;
	refs[i] = fixture_alloc(&f, 4096, i);
	assert_int_equal(uz_pool_used_bytes(f.pool), PAGES(32 * 8 + 3));
	fixture_check(&f);
	for (i++; i < 32 * 8 + 3; i++)
		refs[i] = fixture_alloc(&f, 4096, i);
	assert_int_equal(uz_pool_used_bytes(f.pool), PAGES(32 * 8 + 3));
	uz_pool_set_limit(f.pool, PAGES(32 * 8 + 4));
	refs[i] = fixture_alloc(&f, 4096, i);
	assert_int_equal(uz_pool_used_bytes(f.pool), PAGES(32 * 8 + 4));
	fixture_refused(&f, 4096);
	i++;
	assert_int_equal(
		uz_pool_alloc(f.pool, 4096, i, UZ_POOL_OVER_LIMIT, &refs[i]),
		0);
	assert_int_equal(uz_pool_used_bytes(f.pool), PAGES(32 * 8 + 5));
	fixture_check(&f);
	fixture_free(&f, refs, 32 * 8 + 5);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_over_limit),
		cmocka_unit_test(test_limit_below_use),
		cmocka_unit_test(test_kept_memory_is_no_obstacle),
		cmocka_unit_test(test_growth_ahead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
