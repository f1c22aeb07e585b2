// SPDX-License-Identifier: MIT
/*
 * zsmalloc's own at the limit: zspages that grow, kept windows, places that
 * need no memory.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pool_fixture.h"

/* The store is refused and nothing has changed. */
static void refused(struct fixture *f, uint32_t size)
{
	struct uz_pool_stat before = fixture_stat(f), after;
	uz_ref_t ref = 12345;

	assert_int_equal(uz_pool_alloc(f->pool, size, 0, 0, &ref), -ENOSPC);
	assert_int_equal(ref, 12345);
	after = fixture_stat(f);
	assert_int_equal(after.used_bytes, before.used_bytes);
	assert_int_equal(after.max_used_bytes, before.max_used_bytes);
	assert_int_equal(after.objects, before.objects);
	assert_int_equal(after.zspages, before.zspages);
	fixture_check(f);
}

static void test_over_limit(void **state)
{
	struct fixture f;
	uz_ref_t a, b;

	(void)state;
	fixture_open(&f, 8);
	uz_pool_set_limit(f.pool, PAGES(1));
	a = fixture_alloc(&f, 4096, 0);
	refused(&f, 4096);
	assert_int_equal(uz_pool_alloc(f.pool, 4096, 1, UZ_POOL_OVER_LIMIT, &b),
			 0);
	assert_int_equal(uz_pool_used_bytes(f.pool), PAGES(2));
	assert_int_equal(fixture_stat(&f).max_used_bytes, PAGES(2));
	refused(&f, 4096);
	uz_pool_free(f.pool, a);
	a = fixture_alloc(&f, 4096, 0); /* its place needs no memory */
	uz_pool_free(f.pool, a);
	uz_pool_free(f.pool, b);
	fixture_close(&f);
}

static void test_limit_below_use(void **state)
{
	uz_ref_t refs[10];
	struct fixture f;
	unsigned int i;

	(void)state;
	fixture_open(&f, 8);
	for (i = 0; i < 10; i++)
		refs[i] = fixture_alloc(&f, 4096, i);
	uz_pool_set_limit(f.pool, PAGES(4));
	refused(&f, 4096);
	for (i = 0; i < 10; i++)
		fixture_same(&f, refs[i], 4096, i);
	uz_pool_free(f.pool, refs[9]);
	refs[9] = fixture_alloc(&f, 4096, 9);
	for (i = 0; i < 10; i++)
		uz_pool_free(f.pool, refs[i]);
	refs[0] = fixture_alloc(&f, 4096, 0);
	uz_pool_free(f.pool, refs[0]);
	fixture_close(&f);
}

/* Memory kept for reuse must not be what refuses a store. */
static void test_kept_memory_is_no_obstacle(void **state)
{
	uz_ref_t refs[32], small, other;
	struct fixture f;
	unsigned int i;

	(void)state;
	fixture_open(&f, 8);
	uz_pool_destroy(f.pool);
	f.config.keep_empty = PAGES(4 * WINDOW_PAGES);
	assert_int_equal(uz_pool_create(&f.pool, f.fd, &f.config), 0);
	uz_pool_set_limit(f.pool, PAGES(33));
	small = fixture_alloc(&f, 4000, 100);
	for (i = 0; i < 32; i++)
		refs[i] = fixture_alloc(&f, 4096, i);
	refused(&f, 4000);
	for (i = 0; i < 32; i++)
		uz_pool_free(f.pool, refs[i]);
	assert_int_equal(fixture_stat(&f).empty_bytes, PAGES(32));
	/* A zspage that must grow: the kept memory is given back. */
	other = fixture_alloc(&f, 4000, 101);
	assert_int_equal(fixture_stat(&f).empty_bytes, 0);
	assert_int_equal(uz_pool_used_bytes(f.pool), PAGES(2));
	uz_pool_free(f.pool, other);

	/* A new zspage: the kept memory is used as it is. */
	for (i = 0; i < 31; i++)
		refs[i] = fixture_alloc(&f, 4096, i);
	for (i = 0; i < 31; i++)
		uz_pool_free(f.pool, refs[i]);
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
	for (i = 0; i < 32 * 8; i++)
		refs[i] = fixture_alloc(&f, 4096, i);
	assert_int_equal(uz_pool_used_bytes(f.pool), PAGES(32 * 8));
	refs[i] = fixture_alloc(&f, 4096, i);
	assert_int_equal(uz_pool_used_bytes(f.pool), PAGES(32 * 8 + 3));
	fixture_check(&f);
	for (i++; i < 32 * 8 + 3; i++)
		refs[i] = fixture_alloc(&f, 4096, i);
	assert_int_equal(uz_pool_used_bytes(f.pool), PAGES(32 * 8 + 3));
	uz_pool_set_limit(f.pool, PAGES(32 * 8 + 4));
	refs[i] = fixture_alloc(&f, 4096, i);
	assert_int_equal(uz_pool_used_bytes(f.pool), PAGES(32 * 8 + 4));
	refused(&f, 4096);
	i++;
	assert_int_equal(
		uz_pool_alloc(f.pool, 4096, i, UZ_POOL_OVER_LIMIT, &refs[i]),
		0);
	assert_int_equal(uz_pool_used_bytes(f.pool), PAGES(32 * 8 + 5));
	fixture_check(&f);
	for (i = 0; i < 32 * 8 + 5; i++)
		uz_pool_free(f.pool, refs[i]);
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
