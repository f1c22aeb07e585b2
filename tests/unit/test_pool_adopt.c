// SPDX-License-Identifier: MIT
/*
 * Adoption: a new pool on an old arena holds the same objects, wastes no
 * memory on what is gone, and believes nothing that cannot be.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pool_fixture.h"

static uint32_t size_of(uint32_t i)
{
	return 1 + i * 37 % UZ_POOL_MAX_OBJECT;
}

static void adopt(struct fixture *f, uz_ref_t ref, uint32_t size,
		  uint32_t owner)
{
	assert_int_equal(uz_pool_adopt_object(f->pool, ref, size, owner), 0);
}

static void test_round_trip(void **state)
{
	enum {
		NR = 2000,
		MORE = 500
	};
	static uz_ref_t refs[NR], more[MORE];
	struct uz_pool_stat before, after;
	struct fixture f;
	uint32_t i;

	(void)state;
	fixture_open(&f, 1024);
	for (i = 0; i < NR; i++)
		refs[i] = fixture_alloc(&f, size_of(i), i);
	for (i = 0; i < NR; i += 3)
		uz_pool_free(f.pool, refs[i]);
	before = fixture_stat(&f);
	fixture_restart(&f);
	for (i = NR; i-- > 0;)
		if (i % 3)
			adopt(&f, refs[i], size_of(i), i);
	assert_int_equal(uz_pool_adopt_end(f.pool), 0);
	fixture_check(&f);
	after = fixture_stat(&f);
	assert_int_equal(after.objects, before.objects);
	assert_int_equal(after.object_bytes, before.object_bytes);
	assert_int_equal(after.zspages, before.zspages);
	assert_true(after.used_bytes <= before.used_bytes);
	assert_int_equal(after.max_used_bytes, after.used_bytes);

	/* New objects find room beside the old ones. */
	for (i = 0; i < MORE; i++)
		more[i] = fixture_alloc(&f, size_of(i), NR + i);
	for (i = 0; i < NR; i++)
		if (i % 3)
			fixture_same(&f, refs[i], size_of(i), i);
	for (i = 0; i < MORE; i++) {
		fixture_same(&f, more[i], size_of(i), NR + i);
		uz_pool_free(f.pool, more[i]);
	}
	fixture_check(&f);
	for (i = 0; i < NR; i++)
		if (i % 3)
			uz_pool_free(f.pool, refs[i]);
	fixture_close(&f);
}

/* Windows without an object, and pages past a zspage's last, are punched. */
static void test_unused_memory_is_given_back(void **state)
{
	uz_ref_t refs[32 * 4];
	struct fixture f;
	unsigned int i;

	(void)state;
	fixture_open(&f, 64);
	for (i = 0; i < 32 * 4; i++)
		refs[i] = fixture_alloc(&f, 4096, i);
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

/* Memory in the far end of the arena, where no window was ever used. */
static void test_stray_memory_is_given_back(void **state)
{
	struct fixture f;
	uz_ref_t ref;

	(void)state;
	fixture_open(&f, 64);
	ref = fixture_alloc(&f, 4096, 1);
	memset(uz_pool_bytes(f.pool, 50 * PAGES(WINDOW_PAGES) / UZ_REF_UNIT), 1,
	       PAGES(70));
	fixture_restart(&f);
	adopt(&f, ref, 4096, 1);
	assert_int_equal(uz_pool_adopt_end(f.pool), 0);
	fixture_check(&f);
	assert_int_equal(fixture_resident(&f), PAGES(1));
	uz_pool_free(f.pool, ref);
	fixture_close(&f);
}

/* An object that the crash caught between alloc and fill has no page yet. */
static void test_missing_pages_are_populated(void **state)
{
	struct uz_shm shm;
	uz_ref_t refs[5];
	struct fixture f;
	unsigned int i;

	(void)state;
	fixture_open(&f, 4);
	for (i = 0; i < 5; i++)
		refs[i] = fixture_alloc(&f, 4096, i);
	assert_int_equal(uz_shm_map(&shm, f.fd, f.config.arena_size), 0);
	assert_int_equal(uz_shm_punch(&shm, PAGES(1), PAGES(1)), 0);
	assert_int_equal(uz_shm_punch(&shm, PAGES(3), PAGES(1)), 0);
	uz_shm_unmap(&shm);
	fixture_restart(&f);
	for (i = 0; i < 5; i++)
		if (i != 3)
			adopt(&f, refs[i], 4096, i);
	assert_int_equal(uz_pool_adopt_end(f.pool), 0);
	fixture_check(&f);
	assert_int_equal(fixture_resident(&f), PAGES(4));
	/* The hole that stayed a hole is populated when it is used. */
	refs[3] = fixture_alloc(&f, 4096, 3);
	fixture_check(&f);
	for (i = 0; i < 5; i++)
		uz_pool_free(f.pool, refs[i]);
	fixture_close(&f);
}

static void test_nothing_to_adopt(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, 4);
	(void)fixture_alloc(&f, 100, 1);
	fixture_restart(&f);
	assert_int_equal(uz_pool_adopt_end(f.pool), 0);
	uz_pool_free(f.pool, fixture_alloc(&f, 100, 2));
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
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_unused_memory_is_given_back),
		cmocka_unit_test(test_stray_memory_is_given_back),
		cmocka_unit_test(test_missing_pages_are_populated),
		cmocka_unit_test(test_nothing_to_adopt),
		cmocka_unit_test(test_what_cannot_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
