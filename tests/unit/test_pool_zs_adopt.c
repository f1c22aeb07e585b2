// SPDX-License-Identifier: MIT
/*
 * zsmalloc's own of adoption: what is kept of a window, and what cannot be.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pool_fixture.h"

static void adopt(struct fixture *f, uz_ref_t ref, uint32_t size,
		  uint32_t owner)
{
	assert_int_equal(uz_pool_adopt_object(f->pool, ref, size, owner), 0);
}

/* Windows without an object, and pages past a zspage's last, are punched. */
static void test_unused_memory_is_given_back(void **state)
{
	uz_ref_t refs[32 * 4];
	struct fixture f;

	(void)state;
	fixture_open(&f, 64);
	fixture_fill(&f, refs, 32 * 4, 4096);
	fixture_restart(&f);
	adopt(&f, refs[32 + 7], 4096, 32 + 7);
	adopt(&f, refs[32 + 2], 4096, 32 + 2);
	adopt(&f, refs[96], 4096, 96);
	assert_int_equal(uz_pool_adopt_end(f.pool), 0);
	fixture_check(&f);
	assert_int_equal(uz_pool_used_bytes(f.pool), PAGES(8 + 1));
	fixture_same(&f, refs[32 + 7], 4096, 32 + 7);
	fixture_same(&f, refs[32 + 2], 4096, 32 + 2);
	fixture_same(&f, refs[96], 4096, 96);
	/* The lowest free window, the lowest place in pages that stayed. */
	refs[0] = fixture_alloc(&f, 2048, 0);
	uz_pool_free(f.pool, refs[96]);
	assert_int_equal(fixture_alloc(&f, 4096, 32), refs[32]);
	assert_int_equal(fixture_window(refs[0]), 0);
	uz_pool_free(f.pool, refs[0]);
	uz_pool_free(f.pool, refs[32]);
	uz_pool_free(f.pool, refs[32 + 2]);
	uz_pool_free(f.pool, refs[32 + 7]);
	fixture_close(&f);
}

/* One object is adopted, then what cannot be beside it. */
static void unclean(uz_ref_t ref, uint32_t size)
{
	struct fixture f;
	uz_ref_t a;

	fixture_open(&f, 4);
	a = fixture_alloc(&f, 1000, 1);
	assert_int_equal(a, 0);
	fixture_restart(&f);
	adopt(&f, a, 1000, 1);
	assert_int_equal(uz_pool_adopt_object(f.pool, ref, size, 2), -EUCLEAN);
	uz_pool_destroy(f.pool);
	close(f.fd);
}

static void test_what_cannot_be(void **state)
{
	uint64_t window = PAGES(WINDOW_PAGES) / UZ_REF_UNIT;

	(void)state;
	unclean(4 * window, 1000); /* past the arena */
	unclean(UINT64_MAX, 1000);
	unclean(UINT64_MAX / UZ_REF_UNIT + 1, 1000); /* overflows to 0 */
	unclean(window, 0);
	unclean(window, UZ_POOL_MAX_OBJECT + 1);
	unclean(window, UINT32_MAX);
	unclean(1, 1000); /* between two places */
	unclean(window + 124, 1000);
	unclean(window + 31 * (4104 / 8), 4104); /* past the last place */
	unclean(window + 513, 8);
	unclean(125, 1008); /* of another class than its neighbour */
	unclean(0, 8);
	unclean(0, 1000); /* there already */
	unclean(0, 993);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unused_memory_is_given_back),
		cmocka_unit_test(test_what_cannot_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
