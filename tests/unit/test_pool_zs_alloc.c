// SPDX-License-Identifier: MIT
/*
 * zsmalloc's own: where objects lie, in which order places are used again,
 * and what is kept of a window.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pool_fixture.h"

/* 3000 bytes: most objects lie in two pages. No gap, no copy. */
static void test_straddling(void **state)
{
	uz_ref_t refs[20];
	struct fixture f;
	unsigned int i;

	(void)state;
	fixture_open(&f, 4);
	for (i = 0; i < 20; i++)
		refs[i] = fixture_alloc(&f, 3000, i);
	for (i = 0; i < 20; i++) {
		assert_int_equal(refs[i] * UZ_REF_UNIT, i * 3000);
		fixture_same(&f, refs[i], 3000, i);
	}
	assert_int_equal(uz_pool_used_bytes(f.pool), PAGES(15));
	for (i = 0; i < 20; i++)
		uz_pool_free(f.pool, refs[i]);
	fixture_close(&f);
}

/* Only as many pages as the objects reach into. */
static void test_populated_page_by_page(void **state)
{
	struct fixture f;
	uz_ref_t refs[3];

	(void)state;
	fixture_open(&f, 4);
	assert_int_equal(fixture_resident(&f), 0);
	refs[0] = fixture_alloc(&f, 2000, 0);
	assert_int_equal(fixture_resident(&f), PAGES(1));
	refs[1] = fixture_alloc(&f, 2000, 1);
	assert_int_equal(fixture_resident(&f), PAGES(1));
	refs[2] = fixture_alloc(&f, 2000, 2);
	assert_int_equal(fixture_resident(&f), PAGES(2));
	fixture_check(&f);
	uz_pool_free(f.pool, refs[0]);
	uz_pool_free(f.pool, refs[1]);
	uz_pool_free(f.pool, refs[2]);
	fixture_close(&f);
}

static void test_lowest_place_first(void **state)
{
	uz_ref_t refs[100], again;
	struct fixture f;
	unsigned int i;

	(void)state;
	fixture_open(&f, 4);
	for (i = 0; i < 100; i++)
		refs[i] = fixture_alloc(&f, 104, i);
	uz_pool_free(f.pool, refs[80]);
	uz_pool_free(f.pool, refs[3]);
	uz_pool_free(f.pool, refs[70]);
	again = fixture_alloc(&f, 104, 3);
	assert_int_equal(again, refs[3]);
	again = fixture_alloc(&f, 104, 70);
	assert_int_equal(again, refs[70]);
	again = fixture_alloc(&f, 104, 80);
	assert_int_equal(again, refs[80]);
	for (i = 0; i < 100; i++)
		uz_pool_free(f.pool, refs[i]);
	fixture_close(&f);
}

/* Of several zspages with holes the fullest is filled up. */
static void test_fullest_first(void **state)
{
	enum {
		PER = 32,
		NR = 3 * PER
	}; /* 32 objects of 4096 in a zspage */
	uz_ref_t refs[NR], ref;
	struct fixture f;
	unsigned int i;

	(void)state;
	fixture_open(&f, 8);
	for (i = 0; i < NR; i++) {
		refs[i] = fixture_alloc(&f, 4096, i);
		assert_int_equal(fixture_window(refs[i]), i / PER);
	}
	for (i = 0; i < 20; i++)
		uz_pool_free(f.pool, refs[i]); /* window 0: 12 left */
	for (i = 0; i < 5; i++)
		uz_pool_free(f.pool, refs[PER + i]); /* window 1: 27 left */
	for (i = 0; i < 12; i++)
		uz_pool_free(f.pool, refs[2 * PER + i]); /* window 2: 20 */
	fixture_check(&f);
	for (i = 0; i < 5 + 12 + 20; i++) {
		ref = fixture_alloc(&f, 4096, i);
		assert_int_equal(fixture_window(ref), i < 5	   ? 1
						      : i < 5 + 12 ? 2
								   : 0);
	}
	assert_int_equal(fixture_stat(&f).zspages, 3);
	for (i = 0; i < NR; i++)
		uz_pool_free(f.pool, refs[i]);
	fixture_close(&f);
}

/* A place in a zspage that is nearly empty is taken before another grows. */
static void test_holes_before_growth(void **state)
{
	uz_ref_t refs[40];
	struct fixture f;
	uint64_t used;
	unsigned int i;

	(void)state;
	fixture_open(&f, 8);
	for (i = 0; i < 40; i++) /* one full zspage and eight pages */
		refs[i] = fixture_alloc(&f, 4096, i);
	used = uz_pool_used_bytes(f.pool);
	for (i = 0; i < 31; i++)
		uz_pool_free(f.pool, refs[i]);
	for (i = 0; i < 31; i++)
		refs[i] = fixture_alloc(&f, 4096, i);
	assert_int_equal(uz_pool_used_bytes(f.pool), used);
	for (i = 0; i < 40; i++)
		uz_pool_free(f.pool, refs[i]);
	fixture_close(&f);
}

/* Up to keep_empty stays, and any class uses it before the system's. */
static void test_empty_windows_are_kept(void **state)
{
	uz_ref_t refs[32 * 4];
	struct fixture f;
	unsigned int i;

	(void)state;
	fixture_open(&f, 64);
	uz_pool_destroy(f.pool);
	f.config.keep_empty = PAGES(2 * WINDOW_PAGES);
	assert_int_equal(uz_pool_create(&f.pool, f.fd, &f.config), 0);
	for (i = 0; i < 32 * 4; i++)
		refs[i] = fixture_alloc(&f, 4096, i);
	for (i = 0; i < 32 * 4; i++)
		uz_pool_free(f.pool, refs[i]);
	assert_int_equal(fixture_stat(&f).empty_bytes, PAGES(2 * WINDOW_PAGES));
	assert_int_equal(fixture_resident(&f), PAGES(2 * WINDOW_PAGES));
	fixture_check(&f);
	for (i = 0; i < 40; i++)
		refs[i] = fixture_alloc(&f, 2048, i);
	assert_int_equal(fixture_stat(&f).empty_bytes, PAGES(WINDOW_PAGES));
	assert_int_equal(fixture_resident(&f), PAGES(2 * WINDOW_PAGES));
	fixture_check(&f);
	for (i = 0; i < 40; i++)
		uz_pool_free(f.pool, refs[i]);
	uz_pool_trim(f.pool);
	assert_int_equal(fixture_stat(&f).empty_bytes, 0);
	assert_int_equal(fixture_resident(&f), 0);
	fixture_close(&f);
}

/* A short zspage keeps no more of a kept window than it can use. */
static void test_short_zspage_in_kept_window(void **state)
{
	uz_ref_t refs[32];
	struct fixture f;
	unsigned int i;

	(void)state;
	fixture_open(&f, 4);
	uz_pool_destroy(f.pool);
	f.config.keep_empty = PAGES(WINDOW_PAGES);
	assert_int_equal(uz_pool_create(&f.pool, f.fd, &f.config), 0);
	for (i = 0; i < 32; i++)
		refs[i] = fixture_alloc(&f, 4096, i);
	for (i = 0; i < 32; i++)
		uz_pool_free(f.pool, refs[i]);
	assert_int_equal(fixture_resident(&f), PAGES(32));
	refs[0] = fixture_alloc(&f, 8, 0);
	assert_int_equal(fixture_resident(&f), PAGES(1));
	fixture_check(&f);
	uz_pool_free(f.pool, refs[0]);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_straddling),
		cmocka_unit_test(test_populated_page_by_page),
		cmocka_unit_test(test_lowest_place_first),
		cmocka_unit_test(test_fullest_first),
		cmocka_unit_test(test_holes_before_growth),
		cmocka_unit_test(test_empty_windows_are_kept),
		cmocka_unit_test(test_short_zspage_in_kept_window),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
