// SPDX-License-Identifier: MIT
/*
 * zsmalloc's own: a pin is on all of a zspage, and on nothing else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pool_fixture.h"

static uint64_t deferred(struct fixture *f)
{
	return fixture_stat(f).deferred;
}

/* A pin on another object of the zspage holds frees up, too; not elsewhere. */
static void test_pins_are_per_zspage(void **state)
{
	struct uz_map map;
	struct fixture f;
	uz_ref_t a, b, c;

	(void)state;
	fixture_open(&f, 4);
	a = fixture_alloc(&f, 1000, 1);
	b = fixture_alloc(&f, 1000, 2);
	c = fixture_alloc(&f, 2000, 3);
	uz_pool_map(f.pool, a, &map);
	uz_pool_free(f.pool, b);
	assert_int_equal(deferred(&f), 1);
	uz_pool_free(f.pool, c);
	assert_int_equal(deferred(&f), 1);
	uz_pool_unmap(f.pool, &map);
	assert_int_equal(deferred(&f), 0);
	uz_pool_free(f.pool, a);
	fixture_close(&f);
}

/* A reader sleeps for long: all that is freed meanwhile waits, then goes. */
static void test_long_pin(void **state)
{
	enum {
		NR = 200
	};
	struct uz_map sleeper, passing;
	uz_ref_t refs[NR];
	struct fixture f;
	unsigned int i;

	(void)state;
	fixture_open(&f, 4);
	fixture_fill(&f, refs, NR, 400);
	uz_pool_map(f.pool, refs[0], &sleeper);
	for (i = 0; i < NR; i++) {
		uz_pool_map(f.pool, refs[i], &passing);
		uz_pool_free(f.pool, refs[i]);
		uz_pool_unmap(f.pool, &passing);
		fixture_same(&f, refs[i], 400, i);
	}
	assert_int_equal(deferred(&f), NR);
	fixture_check(&f);
	uz_pool_unmap(f.pool, &sleeper);
	assert_int_equal(deferred(&f), 0);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pins_are_per_zspage),
		cmocka_unit_test(test_long_pin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
