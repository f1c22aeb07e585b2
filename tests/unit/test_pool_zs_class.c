// SPDX-License-Identifier: MIT
/*
 * zsmalloc's own: every size has a class, which is the largest of which so many
 * objects fit into a window; a full zspage of any class is its window, or as
 * many objects as a zspage may have, and wastes little.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pool_fixture.h"

#define MOST 512 /* objects in a zspage */

static void open_classes(struct fixture *f, uint32_t step, uint32_t pages)
{
	fixture_open(f, 4);
	uz_pool_destroy(f->pool);
	f->config.class_step = step;
	f->config.window_size = pages * UZ_PAGE_SIZE;
	assert_int_equal(uz_pool_create(&f->pool, f->fd, &f->config), 0);
}

/* One class above another. */
static void check_class(const struct fixture *f, uint32_t size, uint32_t below)
{
	uint32_t window = f->config.window_size, step = f->config.class_step;
	uint32_t more = window / size + 1;

	assert_int_equal(size % UZ_REF_UNIT, 0);
	assert_true(size >= below + step);
	/* Nothing larger is one of so many objects... */
	assert_true((size + UZ_REF_UNIT) * (more - 1) > window);
	/* ...and one more object would be too close to the class below. */
	assert_true(size == below + step || window / more < below + step);
}

static void classes_fit(uint32_t step, uint32_t pages)
{
	struct fixture f;
	uint32_t size, got, last = 0;

	open_classes(&f, step, pages);
	for (size = 1; size <= UZ_POOL_MAX_OBJECT; size++) {
		got = uz_pool_class_size(f.pool, size);
		assert_true(got >= size);
		if (size <= last) {
			assert_int_equal(got, last);
			continue;
		}
		check_class(&f, got, last);
		last = got;
	}
	fixture_close(&f);
}

static void test_every_size_has_a_class(void **state)
{
	uint32_t pages;

	(void)state;
	for (pages = 16; pages <= 64; pages *= 2) {
		classes_fit(8, pages);
		classes_fit(16, pages);
	}
}

/*
 * A zspage ends in the last page of its window, or has all the objects that a
 * zspage may have: then with a page's end.
 */
static void zspages_fill(uint32_t step, uint32_t pages)
{
	struct uz_pool_class_stat c;
	struct fixture f;
	unsigned int i;

	open_classes(&f, step, pages);
	for (i = 0; uz_pool_class_stat(f.pool, i, &c); i++) {
		if (c.pages == pages) {
			assert_true(c.per_zspage <= MOST);
			assert_int_equal(c.per_zspage,
					 PAGES(pages) / c.size < MOST
						 ? PAGES(pages) / c.size
						 : MOST);
			assert_true(c.per_zspage * c.size > PAGES(pages - 1));
			continue;
		}
		assert_int_equal(c.per_zspage, MOST);
		assert_int_equal(c.per_zspage * c.size, PAGES(c.pages));
	}
	fixture_close(&f);
}

static void test_zspages_fill_their_windows(void **state)
{
	uint32_t pages;

	(void)state;
	for (pages = 16; pages <= 64; pages *= 2) {
		zspages_fill(8, pages);
		zspages_fill(16, pages);
	}
}

/* Fill one zspage; returns its objects, and its memory when it was full. */
static unsigned int fill_one(struct fixture *f, uint32_t size, uz_ref_t *refs,
			     uint64_t *used)
{
	unsigned int nr = 0;

	for (;;) {
		*used = uz_pool_used_bytes(f->pool);
		refs[nr] = fixture_alloc(f, size, nr);
		if (fixture_window(refs[nr]) != fixture_window(refs[0]))
			return nr;
		nr++;
	}
}

/*
 * In a full zspage of 32 pages at least 99% of the memory is objects, and 99.5%
 * on average: what the choice of sizes is for.
 */
static void test_waste_is_bounded(void **state)
{
	static uz_ref_t refs[1024];
	struct uz_pool_class_stat c;
	uint64_t used, part, sum = 0;
	unsigned int nr, i, class;
	struct fixture f;
	uint32_t size;

	(void)state;
	fixture_open(&f, 4);
	for (class = 0; uz_pool_class_stat(f.pool, class, &c); class ++) {
		size = c.size < UZ_POOL_MAX_OBJECT ? c.size
						   : UZ_POOL_MAX_OBJECT;
		nr = fill_one(&f, size, refs, &used);
		part = (uint64_t)nr * c.size * 10000 / used;
		if (part < 9900)
			fail_msg("class %u: %u objects in %u bytes", c.size, nr,
				 (unsigned int)used);
		sum += part;
		for (i = 0; i <= nr; i++) {
			fixture_same(&f, refs[i], size, i);
			uz_pool_free(f.pool, refs[i]);
		}
	}
	assert_true(sum / class >= 9950);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_size_has_a_class),
		cmocka_unit_test(test_zspages_fill_their_windows),
		cmocka_unit_test(test_waste_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
