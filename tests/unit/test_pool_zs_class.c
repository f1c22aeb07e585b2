// SPDX-License-Identifier: MIT
/*
 * zsmalloc's own: every size has a class that fits closely, and a full zspage
 * of any class wastes little.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pool_fixture.h"

static void classes_fit(uint32_t step)
{
	struct fixture f;
	uint32_t size, got, last = 0;

	fixture_open(&f, 4);
	uz_pool_destroy(f.pool);
	f.config.class_step = step;
	assert_int_equal(uz_pool_create(&f.pool, f.fd, &f.config), 0);
	for (size = 1; size <= UZ_POOL_MAX_OBJECT; size++) {
		got = uz_pool_class_size(f.pool, size);
		assert_true(got >= size);
		assert_true(got < size + step);
		assert_int_equal(got % step, 0);
		assert_true(got >= last);
		last = got;
	}
	fixture_close(&f);
}

static void test_every_size_has_a_class(void **state)
{
	(void)state;
	classes_fit(8);
	classes_fit(16);
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
 * In a full zspage at least 96% of the memory is objects, and 98.5% on
 * average: what the choice of its length is for.
 */
static void test_waste_is_bounded(void **state)
{
	static uz_ref_t refs[1024];
	unsigned int nr, i, classes = 0;
	uint64_t used, part, sum = 0;
	struct fixture f;
	uint32_t size;

	(void)state;
	fixture_open(&f, 4);
	for (size = 8; size <= UZ_POOL_MAX_OBJECT; size += 8) {
		nr = fill_one(&f, size, refs, &used);
		part = (uint64_t)nr * size * 10000 / used;
		if (part < 9600)
			fail_msg("class %u: %u objects in %u bytes", size, nr,
				 (unsigned int)used);
		sum += part;
		classes++;
		for (i = 0; i <= nr; i++) {
			fixture_same(&f, refs[i], size, i);
			uz_pool_free(f.pool, refs[i]);
		}
	}
	assert_true(sum / classes >= 9850);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_size_has_a_class),
		cmocka_unit_test(test_waste_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
