// SPDX-License-Identifier: MIT
/*
 * Objects come and go: they keep their bytes, are counted, and memory returns
 * to the system.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pool_fixture.h"

static void test_objects_keep_their_bytes(void **state)
{
	enum {
		NR = 3000
	};
	static uz_ref_t refs[NR];
	struct uz_pool_stat stat;
	uint64_t bytes = 0;
	struct fixture f;
	uint32_t i;

	(void)state;
	fixture_open(&f, 600);
	for (i = 0; i < NR; i++) {
		refs[i] = fixture_alloc(&f, 1 + i * 3 % UZ_POOL_MAX_OBJECT, i);
		bytes += uz_pool_class_size(f.pool,
					    1 + i * 3 % UZ_POOL_MAX_OBJECT);
	}
	fixture_check(&f);
	stat = fixture_stat(&f);
	assert_int_equal(stat.objects, NR);
	assert_int_equal(stat.object_bytes, bytes);
	assert_true(stat.meta_bytes > 0);
	for (i = 0; i < NR; i++)
		fixture_same(&f, refs[i], 1 + i * 3 % UZ_POOL_MAX_OBJECT, i);
	fixture_free(&f, refs, NR);
	fixture_close(&f);
}

static void test_memory_is_given_back(void **state)
{
	enum {
		NR = 32 * 40
	};
	static uz_ref_t refs[NR];
	struct fixture f;

	(void)state;
	fixture_open(&f, 64);
	fixture_fill(&f, refs, NR, fixture_page(&f));
	assert_int_equal(fixture_resident(&f), PAGES(NR));
	fixture_free(&f, refs, NR / 2);
	assert_int_equal(fixture_resident(&f), PAGES(NR / 2));
	assert_int_equal(fixture_stat(&f).max_used_bytes, PAGES(NR));
	uz_pool_reset_max(f.pool);
	assert_int_equal(fixture_stat(&f).max_used_bytes, PAGES(NR / 2));
	fixture_free(&f, refs + NR / 2, NR / 2);
	assert_int_equal(fixture_resident(&f), 0);
	fixture_close(&f);
}

/* No more than keep_empty stays, and it is used before the system's. */
static void test_empty_memory_is_kept(void **state)
{
	uz_ref_t refs[32 * 4];
	uint64_t kept;
	struct fixture f;

	(void)state;
	fixture_open(&f, 64);
	fixture_keep(&f, 2 * WINDOW_PAGES);
	fixture_fill(&f, refs, 32 * 4, fixture_page(&f));
	fixture_free(&f, refs, 32 * 4);
	kept = fixture_stat(&f).empty_bytes;
	assert_int_equal(kept, PAGES(2 * WINDOW_PAGES));
	assert_int_equal(fixture_resident(&f), kept);
	fixture_check(&f);
	fixture_fill(&f, refs, 32, fixture_page(&f));
	assert_true(fixture_stat(&f).empty_bytes < kept);
	assert_int_equal(fixture_resident(&f), kept);
	fixture_check(&f);
	fixture_free(&f, refs, 32);
	uz_pool_trim(f.pool);
	assert_int_equal(fixture_stat(&f).empty_bytes, 0);
	assert_int_equal(fixture_resident(&f), 0);
	fixture_close(&f);
}

/* What is said class by class adds up to what is said of all. */
static void test_classes_add_up(void **state)
{
	uint64_t used = 0, objects = 0, deferred = 0, waste = 0;
	struct uz_pool_class_stat class;
	static uz_ref_t refs[500];
	struct uz_pool_stat stat;
	struct fixture f;
	unsigned int i, k;
	uint64_t groups;

	(void)state;
	fixture_open(&f, 600);
	for (i = 0; i < 500; i++)
		refs[i] = fixture_alloc(&f, 1 + i * 31 % UZ_POOL_MAX_OBJECT, i);
	for (i = 0; i < 500; i += 2)
		uz_pool_free(f.pool, refs[i]);
	for (k = 0; uz_pool_class_stat(f.pool, k, &class); k++) {
		groups = class.full + class.growing;
		for (i = 0; i < UZ_POOL_GROUPS; i++)
			groups += class.fullness[i];
		assert_int_equal(groups, class.zspages);
		used += class.used_bytes;
		objects += class.objects;
		deferred += class.deferred;
		waste += class.waste;
	}
	assert_true(k > 0);
	stat = fixture_stat(&f);
	assert_int_equal(used + stat.empty_bytes, stat.used_bytes);
	assert_int_equal(objects, stat.objects);
	assert_int_equal(deferred, stat.deferred);
	assert_int_equal(waste, used - stat.object_bytes);
	for (i = 1; i < 500; i += 2)
		uz_pool_free(f.pool, refs[i]);
	fixture_close(&f);
}

struct seen {
	const struct uz_pool *pool;
	const uz_ref_t *refs;
	unsigned int times[50];
};

static int count_object(void *arg, uz_ref_t ref, uint32_t class_size,
			uint32_t owner)
{
	struct seen *seen = arg;

	assert_true(owner < 50);
	assert_int_equal(ref, seen->refs[owner]);
	assert_int_equal(class_size,
			 uz_pool_class_size(seen->pool, 80 * (owner + 1)));
	seen->times[owner]++;
	return 0;
}

static void test_for_each(void **state)
{
	uz_ref_t refs[50];
	struct seen seen = { .refs = refs };
	struct fixture f;
	uint32_t i;

	(void)state;
	fixture_open(&f, 64);
	seen.pool = f.pool;
	for (i = 0; i < 50; i++)
		refs[i] = fixture_alloc(&f, 80 * (i + 1), i);
	uz_pool_free(f.pool, refs[8]);
	assert_int_equal(uz_pool_for_each(f.pool, count_object, &seen), 0);
	for (i = 0; i < 50; i++)
		assert_int_equal(seen.times[i], i != 8);
	for (i = 0; i < 50; i++)
		if (i != 8)
			uz_pool_free(f.pool, refs[i]);
	fixture_close(&f);
}

static int stop_at_once(void *arg, uz_ref_t ref, uint32_t class_size,
			uint32_t owner)
{
	(void)ref;
	(void)class_size;
	(void)owner;
	++*(int *)arg;
	return 42;
}

static void test_for_each_stops(void **state)
{
	struct fixture f;
	uz_ref_t a, b;
	int calls = 0;

	(void)state;
	fixture_open(&f, 4);
	a = fixture_alloc(&f, 8, 1);
	b = fixture_alloc(&f, 8, 2);
	assert_int_equal(uz_pool_for_each(f.pool, stop_at_once, &calls), 42);
	assert_int_equal(calls, 1);
	uz_pool_free(f.pool, a);
	uz_pool_free(f.pool, b);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_objects_keep_their_bytes),
		cmocka_unit_test(test_memory_is_given_back),
		cmocka_unit_test(test_empty_memory_is_kept),
		cmocka_unit_test(test_classes_add_up),
		cmocka_unit_test(test_for_each),
		cmocka_unit_test(test_for_each_stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
