// SPDX-License-Identifier: MIT
/*
 * The system refuses: to populate, to take memory back, to malloc. Each time
 * the store fails, what was there stays, and the count of memory is exact.
 * The calls are replaced by the linker (--wrap), and a hook in the middle of
 * them does what another thread might do just then: no lock is held there.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pool_fixture.h"

static int populate_fails; /* so many calls; negative: after one page */
static int punch_fails;
static int malloc_fails;
static void (*in_populate)(struct fixture *f);
static void (*in_punch)(struct fixture *f);
static struct fixture fix;

int __real_uz_shm_populate(const struct uz_shm *shm, size_t off, size_t len);
int __wrap_uz_shm_populate(const struct uz_shm *shm, size_t off, size_t len);
int __real_uz_shm_punch(const struct uz_shm *shm, size_t off, size_t len);
int __wrap_uz_shm_punch(const struct uz_shm *shm, size_t off, size_t len);
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

int __wrap_uz_shm_populate(const struct uz_shm *shm, size_t off, size_t len)
{
	void (*hook)(struct fixture *) = in_populate;
	bool fails = populate_fails > 0;

	populate_fails -= fails;
	in_populate = NULL;
	if (hook)
		hook(&fix);
	if (fails)
		return -ENOMEM;
	if (populate_fails < 0) {
		populate_fails++;
		if (__real_uz_shm_populate(shm, off, UZ_PAGE_SIZE))
			fail();
		return -ENOMEM;
	}
	return __real_uz_shm_populate(shm, off, len);
}

int __wrap_uz_shm_punch(const struct uz_shm *shm, size_t off, size_t len)
{
	void (*hook)(struct fixture *) = in_punch;

	in_punch = NULL;
	if (hook)
		hook(&fix);
	if (punch_fails) {
		punch_fails--;
		return -ENOMEM;
	}
	return __real_uz_shm_punch(shm, off, len);
}

void *__wrap_malloc(size_t size)
{
	if (!malloc_fails)
		return __real_malloc(size);
	malloc_fails--;
	return NULL;
}

static void open_fixture(unsigned int keep_windows)
{
	fixture_open(&fix, 16);
	if (!keep_windows)
		return;
	uz_pool_destroy(fix.pool);
	fix.config.keep_empty = PAGES(keep_windows * WINDOW_PAGES);
	assert_int_equal(uz_pool_create(&fix.pool, fix.fd, &fix.config), 0);
}

static void refused(uint32_t size)
{
	uz_ref_t ref = 12345;

	assert_int_equal(uz_pool_alloc(fix.pool, size, 0, 0, &ref), -ENOSPC);
	assert_int_equal(ref, 12345);
}

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
	a = fixture_alloc(&fix, 4096, 1);
	populate_fails = 1;
	refused(4096);
	assert_int_equal(fixture_stat(&fix).used_bytes, PAGES(1));
	fixture_check(&fix);
	fixture_same(&fix, a, 4096, 1);
	b = fixture_alloc(&fix, 4096, 2);
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
	unsigned int i;

	(void)state;
	open_fixture(0);
	for (i = 0; i < 32 * 8; i++)
		refs[i] = fixture_alloc(&fix, 4096, i);
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
	for (i = 0; i < 32 * 8; i++)
		uz_pool_free(fix.pool, refs[i]);
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

/* Its last other object is freed just then: the zspage is gone afterwards. */
static void test_emptied_while_punched(void **state)
{
	(void)state;
	open_fixture(0);
	inner = fixture_alloc(&fix, 4096, 1);
	populate_fails = 1;
	in_punch = free_inside;
	refused(4096);
	assert_int_equal(fixture_stat(&fix).zspages, 0);
	fixture_close(&fix);
}

/* What the system does not take back stays counted, and is used again. */
static void test_punch_fails(void **state)
{
	uz_ref_t a;

	(void)state;
	open_fixture(0);
	a = fixture_alloc(&fix, 4096, 1);
	punch_fails = 1;
	uz_pool_free(fix.pool, a);
	assert_int_equal(punch_fails, 0);
	fixture_check(&fix);
	assert_int_equal(fixture_stat(&fix).empty_bytes, PAGES(1));
	assert_int_equal(fixture_resident(&fix), PAGES(1));
	a = fixture_alloc(&fix, 4096, 1);
	fixture_check(&fix);
	assert_int_equal(fixture_resident(&fix), PAGES(1));
	uz_pool_free(fix.pool, a);
	assert_int_equal(fixture_resident(&fix), 0);
	fixture_close(&fix);
}

/* A kept window cannot be cut to the short zspage that wants it. */
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
	refused(8);
	fixture_check(&fix);
	assert_int_equal(fixture_resident(&fix), PAGES(2));
	uz_pool_free(fix.pool, fixture_alloc(&fix, 8, 1));
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

/* Adoption needs a page that the system does not give. */
static void test_adoption_fails(void **state)
{
	uz_ref_t a;

	(void)state;
	open_fixture(0);
	a = fixture_alloc(&fix, 1000, 1);
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
		cmocka_unit_test(test_neighbour_leaves),
		cmocka_unit_test(test_hole_below_others),
		cmocka_unit_test(test_growth_ahead),
		cmocka_unit_test(test_isolated_while_punched),
		cmocka_unit_test(test_emptied_while_punched),
		cmocka_unit_test(test_punch_fails),
		cmocka_unit_test(test_cut_fails),
		cmocka_unit_test(test_malloc_fails),
		cmocka_unit_test(test_adoption_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
