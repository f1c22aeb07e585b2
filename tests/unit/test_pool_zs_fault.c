// SPDX-License-Identifier: MIT
/*
 * The system refuses, where that concerns zsmalloc alone: zspages that grow,
 * that share pages, and that are cut.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pool_faulty.h"

static uz_ref_t inner;

static void free_inside(struct fixture *f)
{
	uz_pool_free(f->pool, inner);
}

/*
 * An object straddles a page that is there and one that does not come; the
 * first page's other object goes meanwhile. That page stays for reuse.
 */
static void test_neighbour_leaves(void **state)
{
	uz_ref_t a;

	(void)state;
	open_fixture(0);
	a = fixture_alloc(&fix, 3000, 1);
	inner = fixture_alloc(&fix, 3000, 77);
	populate_fails = 1;
	in_populate = free_inside;
	refused(3000);
	fixture_check(&fix);
	assert_int_equal(fixture_resident(&fix), PAGES(2));
	uz_pool_free(fix.pool, a);
	fixture_close(&fix);
}

/* The page that fails comes to lie below pages that are in use. */
static void alloc_above(struct fixture *f)
{
	inner = fixture_alloc(f, 4096, 77);
}

static void test_hole_below_others(void **state)
{
	uz_ref_t a;

	(void)state;
	open_fixture(0);
	populate_fails = 1;
	in_populate = alloc_above;
	refused(4096);
	fixture_check(&fix);
	assert_int_equal(fixture_resident(&fix), PAGES(1));
	assert_int_equal(inner, 4096 / UZ_REF_UNIT);
	a = fixture_alloc(&fix, 4096, 1);
	assert_int_equal(a, 0);
	fixture_check(&fix);
	fixture_same(&fix, inner, 4096, 77);
	uz_pool_free(fix.pool, a);
	uz_pool_free(fix.pool, inner);
	fixture_close(&fix);
}

/*
 * A large class grows by three pages at once. They fail, but the second was
 * taken by another object meanwhile: that stays, the others are given back.
 */
static void test_growth_ahead(void **state)
{
	uz_ref_t refs[32 * 8], hole;

	(void)state;
	open_fixture(0);
	fixture_fill(&fix, refs, 32 * 8, 4096);
	populate_fails = 1;
	refused(4096);
	assert_int_equal(uz_pool_used_bytes(fix.pool), PAGES(32 * 8));
	fixture_check(&fix);
	populate_fails = -1;
	refused(4096);
	assert_int_equal(uz_pool_used_bytes(fix.pool), PAGES(32 * 8));
	fixture_check(&fix);
	populate_fails = 1;
	in_populate = alloc_above;
	refused(4096);
	assert_int_equal(uz_pool_used_bytes(fix.pool), PAGES(32 * 8 + 1));
	fixture_check(&fix);
	fixture_same(&fix, inner, 4096, 77);
	/* The hole below it is filled; growth ends where a page is held. */
	hole = fixture_alloc(&fix, 4096, 78);
	assert_true(hole < inner);
	assert_int_equal(uz_pool_used_bytes(fix.pool), PAGES(32 * 8 + 2));
	fixture_check(&fix);
	uz_pool_free(fix.pool, hole);
	uz_pool_free(fix.pool, inner);
	fixture_free(&fix, refs, 32 * 8);
	fixture_close(&fix);
}

static void refuse_inside(struct fixture *f)
{
	(void)f;
	refused(4096);
}

static void refuse_only_inside(struct fixture *f)
{
	populate_fails = 1;
	refuse_inside(f);
}

/*
 * One store grows a zspage by three pages, another one's place is in the
 * second and it fails. Then the first fails, too, and all three are given
 * back; or it succeeds and has them all.
 */
static void test_growth_shared(void **state)
{
	uz_ref_t refs[32 * 8 + 3];
	unsigned int i;

	(void)state;
	open_fixture(0);
	fixture_fill(&fix, refs, 32 * 8, 4096);
	populate_fails = 2;
	in_populate = refuse_inside;
	refused(4096);
	assert_int_equal(populate_fails, 0);
	assert_int_equal(uz_pool_used_bytes(fix.pool), PAGES(32 * 8));
	fixture_check(&fix);
	in_populate = refuse_only_inside;
	i = 32 * 8;
	refs[i] = fixture_alloc(&fix, 4096, i);
	i++;
	assert_int_equal(populate_fails, 0);
	assert_int_equal(uz_pool_used_bytes(fix.pool), PAGES(32 * 8 + 3));
	fixture_check(&fix);
	for (; i < 32 * 8 + 3; i++)
		refs[i] = fixture_alloc(&fix, 4096, i);
	assert_int_equal(uz_pool_used_bytes(fix.pool), PAGES(32 * 8 + 3));
	fixture_free(&fix, refs, 32 * 8 + 3);
	fixture_close(&fix);
}

/* While the failed page is given back nothing is allocated in its zspage. */
static void test_isolated_while_punched(void **state)
{
	uz_ref_t a;

	(void)state;
	open_fixture(0);
	a = fixture_alloc(&fix, 4096, 1);
	populate_fails = 1;
	in_punch = alloc_above;
	refused(4096);
	assert_int_not_equal(fixture_window(inner), fixture_window(a));
	fixture_check(&fix);
	fixture_same(&fix, inner, 4096, 77);
	uz_pool_free(fix.pool, a);
	uz_pool_free(fix.pool, inner);
	fixture_close(&fix);
}

/* A kept window cannot be cut to the short zspage that wants one. */
static void test_cut_fails(void **state)
{
	uz_ref_t a, b;

	(void)state;
	open_fixture(1);
	a = fixture_alloc(&fix, 4096, 1);
	b = fixture_alloc(&fix, 4096, 2);
	uz_pool_free(fix.pool, a);
	uz_pool_free(fix.pool, b);
	punch_fails = 1;
	a = fixture_alloc(&fix, 8, 1);
	assert_int_equal(punch_fails, 0);
	fixture_check(&fix);
	assert_int_equal(fixture_resident(&fix), PAGES(3));
	uz_pool_free(fix.pool, a);
	fixture_close(&fix);
}

/* A new process knows the first of three objects; the others go. */
static void adopt_first(uz_ref_t refs[3])
{
	open_fixture(0);
	for (uint32_t i = 0; i < 3; i++)
		refs[i] = fixture_alloc(&fix, 4096, i);
	fixture_restart(&fix);
	assert_int_equal(uz_pool_adopt_object(fix.pool, refs[0], 4096, 0), 0);
}

/* A new process has parts of huge pages that somebody refers to for now. */
static void test_adopted_while_referred_to(void **state)
{
	uz_ref_t refs[3];

	(void)state;
	adopt_first(refs);
	punch_fails = 3;
	punch_error = -EAGAIN;
	assert_int_equal(uz_pool_adopt_end(fix.pool), 0);
	assert_int_equal(punch_fails, 0);
	punch_error = -ENOMEM;
	fixture_check(&fix);
	assert_int_equal(fixture_resident(&fix), PAGES(1));
	fixture_same(&fix, refs[0], 4096, 0);
	uz_pool_free(fix.pool, refs[0]);
	fixture_close(&fix);
}

/* And for good: no device is lost for a page, and stores use it again. */
static void test_adopted_in_spite(void **state)
{
	uz_ref_t refs[3];

	(void)state;
	adopt_first(refs);
	punch_fails = 1000;
	punch_error = -EAGAIN;
	assert_int_equal(uz_pool_adopt_end(fix.pool), 0);
	punch_fails = 0;
	punch_error = -ENOMEM;
	fixture_same(&fix, refs[0], 4096, 0);
	assert_int_equal(uz_pool_used_bytes(fix.pool), PAGES(1));
	assert_int_equal(fixture_resident(&fix), PAGES(3));
	for (uint32_t i = 1; i < 3; i++)
		refs[i] = fixture_alloc(&fix, 4096, i);
	fixture_check(&fix);
	assert_int_equal(fixture_resident(&fix), PAGES(3));
	fixture_free(&fix, refs, 3);
	fixture_close(&fix);
}

/* What the system would not take back it is offered the next time. */
static void test_offered_again(void **state)
{
	uz_ref_t low, high;

	(void)state;
	open_fixture(0);
	low = fixture_alloc(&fix, 4096, 1);
	high = fixture_alloc(&fix, 4096, 2);
	uz_pool_free(fix.pool, high);
	punch_fails = 1;
	punch_error = -EAGAIN;
	fixture_gain(&fix);
	assert_int_equal(punch_fails, 0);
	assert_int_equal(uz_pool_used_bytes(fix.pool), PAGES(2));
	fixture_check(&fix);
	fixture_gain(&fix);
	assert_int_equal(uz_pool_used_bytes(fix.pool), PAGES(1));
	assert_int_equal(fixture_resident(&fix), PAGES(1));
	fixture_check(&fix);
	uz_pool_free(fix.pool, low);
	punch_error = -ENOMEM;
	fixture_close(&fix);
}

static void test_malloc_fails(void **state)
{
	(void)state;
	open_fixture(0);
	malloc_fails = 1;
	refused(1000);
	assert_int_equal(malloc_fails, 0);
	fixture_check(&fix);
	uz_pool_free(fix.pool, fixture_alloc(&fix, 1000, 1));
	malloc_fails = 1;
	assert_int_equal(uz_pool_adopt_object(fix.pool, 0, 1000, 1), -ENOMEM);
	fixture_close(&fix);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_neighbour_leaves),
		cmocka_unit_test(test_hole_below_others),
		cmocka_unit_test(test_growth_ahead),
		cmocka_unit_test(test_growth_shared),
		cmocka_unit_test(test_isolated_while_punched),
		cmocka_unit_test(test_cut_fails),
		cmocka_unit_test(test_adopted_while_referred_to),
		cmocka_unit_test(test_adopted_in_spite),
		cmocka_unit_test(test_offered_again),
		cmocka_unit_test(test_malloc_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
