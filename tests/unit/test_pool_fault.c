// SPDX-License-Identifier: MIT
/*
 * The system refuses to populate or to take memory back. Each time the store
 * fails, what was there stays, and the count of memory is exact.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pool_faulty.h"

static void test_first_page_of_a_zspage(void **state)
{
	(void)state;
	open_fixture(0);
	populate_fails = 1;
	refused(1000);
	fixture_check(&fix);
	assert_int_equal(fixture_stat(&fix).used_bytes, 0);
	assert_int_equal(fixture_stat(&fix).zspages, 0);
	uz_pool_free(fix.pool, fixture_alloc(&fix, 1000, 1));
	fixture_close(&fix);
}

/* The zspage has objects; it cannot grow now, and does so later. */
static void test_growth(void **state)
{
	uz_ref_t a, b;

	(void)state;
	open_fixture(0);
	a = fixture_alloc(&fix, fixture_page(&fix), 1);
	populate_fails = 1;
	refused(fixture_page(&fix));
	assert_int_equal(fixture_stat(&fix).used_bytes, PAGES(1));
	fixture_check(&fix);
	fixture_same(&fix, a, fixture_page(&fix), 1);
	b = fixture_alloc(&fix, fixture_page(&fix), 2);
	fixture_check(&fix);
	uz_pool_free(fix.pool, a);
	uz_pool_free(fix.pool, b);
	fixture_close(&fix);
}

/* Two pages were asked for, and one of them came. */
static void test_half_populated(void **state)
{
	uz_ref_t a;

	(void)state;
	open_fixture(0);
	populate_fails = -1;
	refused(4104);
	assert_int_equal(fixture_resident(&fix), 0);
	fixture_check(&fix);
	a = fixture_alloc(&fix, 4104, 1);
	populate_fails = -1;
	refused(4104);
	assert_int_equal(fixture_resident(&fix), PAGES(2));
	fixture_check(&fix);
	fixture_same(&fix, a, 4104, 1);
	uz_pool_free(fix.pool, a);
	fixture_close(&fix);
}

static uz_ref_t inner;

static void alloc_inside(struct fixture *f)
{
	inner = fixture_alloc(f, 1000, 77);
}

static void fail_inside(struct fixture *f)
{
	(void)f;
	refused(1000);
}

/*
 * While one object waits for its page another is put into the same page,
 * populates it and is done; then the first one fails. The page stays.
 */
static void test_shared_page_other_succeeds(void **state)
{
	(void)state;
	open_fixture(0);
	populate_fails = 1;
	in_populate = alloc_inside;
	refused(1000);
	fixture_check(&fix);
	assert_int_equal(fixture_resident(&fix), PAGES(1));
	fixture_same(&fix, inner, 1000, 77);
	uz_pool_free(fix.pool, inner);
	fixture_close(&fix);
}

static void alloc_and_free_inside(struct fixture *f)
{
	uz_pool_free(f->pool, fixture_alloc(f, 1000, 77));
}

/* The other one is gone again before the first fails. */
static void test_shared_page_other_passes(void **state)
{
	(void)state;
	open_fixture(0);
	populate_fails = 1;
	in_populate = alloc_and_free_inside;
	refused(1000);
	fixture_check(&fix);
	uz_pool_free(fix.pool, fixture_alloc(&fix, 1000, 1));
	fixture_check(&fix);
	inner = fixture_alloc(&fix, 1000, 77);
	fixture_check(&fix);
	uz_pool_free(fix.pool, inner);
	fixture_close(&fix);
}

static void test_shared_page_both_fail(void **state)
{
	(void)state;
	open_fixture(0);
	populate_fails = 2;
	in_populate = fail_inside;
	refused(1000);
	assert_int_equal(populate_fails, 0);
	fixture_check(&fix);
	assert_int_equal(fixture_resident(&fix), 0);
	fixture_close(&fix);
}

static void free_inside(struct fixture *f)
{
	uz_pool_free(f->pool, inner);
}

/* Its last other object is freed just then: the zspage is gone afterwards. */
static void test_emptied_while_punched(void **state)
{
	(void)state;
	open_fixture(0);
	inner = fixture_alloc(&fix, fixture_page(&fix), 1);
	populate_fails = 1;
	in_punch = free_inside;
	refused(fixture_page(&fix));
	assert_int_equal(fixture_stat(&fix).zspages, 0);
	fixture_close(&fix);
}

/* What the system does not take back stays counted, and is used again. */
static void test_punch_fails(void **state)
{
	uz_ref_t a;

	(void)state;
	open_fixture(0);
	a = fixture_alloc(&fix, fixture_page(&fix), 1);
	punch_fails = 1;
	uz_pool_free(fix.pool, a);
	assert_int_equal(punch_fails, 0);
	fixture_check(&fix);
	assert_int_equal(fixture_stat(&fix).empty_bytes, PAGES(1));
	assert_int_equal(fixture_resident(&fix), PAGES(1));
	a = fixture_alloc(&fix, fixture_page(&fix), 1);
	fixture_check(&fix);
	assert_int_equal(fixture_resident(&fix), PAGES(1));
	uz_pool_free(fix.pool, a);
	assert_int_equal(fixture_resident(&fix), 0);
	fixture_close(&fix);
}

/* Adoption needs a page that the system does not give. */
static void test_adoption_fails(void **state)
{
	uz_ref_t a;

	(void)state;
	open_fixture(0);
	a = fixture_alloc(&fix, 1000, 1);
	if (!fixture_can(&fix, UZ_POOL_LINEAR)) {
		/* Pages that are missing are found before that. */
		uz_pool_free(fix.pool, a);
		fixture_close(&fix);
		return;
	}
	uz_pool_free(fix.pool, a);
	fixture_restart(&fix);
	assert_int_equal(uz_pool_adopt_object(fix.pool, a, 1000, 1), 0);
	populate_fails = 1;
	assert_int_equal(uz_pool_adopt_end(fix.pool), -ENOMEM);
	fixture_restart(&fix);
	fixture_close(&fix);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_page_of_a_zspage),
		cmocka_unit_test(test_growth),
		cmocka_unit_test(test_half_populated),
		cmocka_unit_test(test_shared_page_other_succeeds),
		cmocka_unit_test(test_shared_page_other_passes),
		cmocka_unit_test(test_shared_page_both_fail),
		cmocka_unit_test(test_emptied_while_punched),
		cmocka_unit_test(test_punch_fails),
		cmocka_unit_test(test_adoption_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
