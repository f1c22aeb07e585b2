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

/* 43 to a window of 32 pages: most lie in two pages. No gap, no copy. */
static void test_straddling(void **state)
{
	uz_ref_t refs[20];
	struct fixture f;
	unsigned int i;

	(void)state;
	fixture_open(&f, 4);
	fixture_fill(&f, refs, 20, 3048);
	for (i = 0; i < 20; i++) {
		assert_int_equal(refs[i] * UZ_REF_UNIT, i * 3048);
		fixture_same(&f, refs[i], 3048, i);
	}
	assert_int_equal(uz_pool_used_bytes(f.pool), PAGES(15));
	fixture_free(&f, refs, 20);
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

	(void)state;
	fixture_open(&f, 4);
	fixture_fill(&f, refs, 100, 104);
	uz_pool_free(f.pool, refs[80]);
	uz_pool_free(f.pool, refs[3]);
	uz_pool_free(f.pool, refs[70]);
	again = fixture_alloc(&f, 104, 3);
	assert_int_equal(again, refs[3]);
	again = fixture_alloc(&f, 104, 70);
	assert_int_equal(again, refs[70]);
	again = fixture_alloc(&f, 104, 80);
	assert_int_equal(again, refs[80]);
	fixture_free(&f, refs, 100);
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
	fixture_free(&f, refs, NR);
	fixture_close(&f);
}

/* A place in a zspage that is nearly empty is taken before another grows. */
static void test_holes_before_growth(void **state)
{
	uz_ref_t refs[40];
	struct fixture f;
	uint64_t used;

	(void)state;
	fixture_open(&f, 8);
	fixture_fill(&f, refs, 40, 4096); /* one full zspage and eight pages */
	used = uz_pool_used_bytes(f.pool);
	fixture_free(&f, refs, 31);
	fixture_fill(&f, refs, 31, 4096);
	assert_int_equal(uz_pool_used_bytes(f.pool), used);
	fixture_free(&f, refs, 40);
	fixture_close(&f);
}

/* Up to keep_empty stays, and any class uses it before the system's. */
static void test_empty_windows_are_kept(void **state)
{
	uz_ref_t refs[32 * 4];
	struct fixture f;

	(void)state;
	fixture_open(&f, 64);
	fixture_keep(&f, 2 * WINDOW_PAGES);
	fixture_fill(&f, refs, 32 * 4, 4096);
	fixture_free(&f, refs, 32 * 4);
	assert_int_equal(fixture_stat(&f).empty_bytes, PAGES(2 * WINDOW_PAGES));
	assert_int_equal(fixture_resident(&f), PAGES(2 * WINDOW_PAGES));
	fixture_check(&f);
	fixture_fill(&f, refs, 40, 2048);
	assert_int_equal(fixture_stat(&f).empty_bytes, PAGES(WINDOW_PAGES));
	assert_int_equal(fixture_resident(&f), PAGES(2 * WINDOW_PAGES));
	fixture_check(&f);
	fixture_free(&f, refs, 40);
	uz_pool_trim(f.pool);
	assert_int_equal(fixture_stat(&f).empty_bytes, 0);
	assert_int_equal(fixture_resident(&f), 0);
	fixture_close(&f);
}

/* Of small objects a zspage keeps no more of a kept window than it can use. */
static void test_short_zspage_in_kept_window(void **state)
{
	uz_ref_t refs[32];
	struct fixture f;

	(void)state;
	fixture_open(&f, 4);
	fixture_keep(&f, WINDOW_PAGES);
	fixture_fill(&f, refs, 32, 4096);
	fixture_free(&f, refs, 32);
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
