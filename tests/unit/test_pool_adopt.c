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

/* Memory in the far end of the arena, where nothing was ever used. */
static void test_stray_memory_is_given_back(void **state)
{
	static const char ones[PAGES(70)] = { 1 };
	struct fixture f;
	uz_ref_t ref;

	(void)state;
	fixture_open(&f, 64);
	ref = fixture_alloc(&f, fixture_page(&f), 1);
	assert_int_equal(pwrite(f.fd, ones, sizeof(ones),
				(off_t)PAGES(50 * WINDOW_PAGES)),
			 sizeof(ones));
	fixture_restart(&f);
	adopt(&f, ref, fixture_page(&f), 1);
	assert_int_equal(uz_pool_adopt_end(f.pool), 0);
	fixture_check(&f);
	assert_int_equal(fixture_resident(&f), PAGES(1));
	uz_pool_free(f.pool, ref);
	fixture_close(&f);
}

/* Pages without an object are given back, the others keep their bytes. */
static void test_unused_memory_is_given_back(void **state)
{
	uz_ref_t refs[100];
	struct fixture f;

	(void)state;
	fixture_open(&f, 64);
	fixture_fill(&f, refs, 100, fixture_page(&f));
	fixture_restart(&f);
	adopt(&f, refs[77], fixture_page(&f), 77);
	assert_int_equal(uz_pool_adopt_end(f.pool), 0);
	fixture_check(&f);
	assert_true(uz_pool_used_bytes(f.pool) < PAGES(100));
	fixture_same(&f, refs[77], fixture_page(&f), 77);
	fixture_fill(&f, refs, 50, fixture_page(&f));
	fixture_check(&f);
	fixture_same(&f, refs[77], fixture_page(&f), 77);
	fixture_free(&f, refs, 50);
	uz_pool_free(f.pool, refs[77]);
	fixture_close(&f);
}

/* What no backend takes, whatever lies where. */
static void test_what_never_can_be(void **state)
{
	uint64_t end = PAGES(4 * WINDOW_PAGES) / UZ_REF_UNIT;
	struct never {
		uz_ref_t ref;
		uint32_t size;
	} never[] = {
		{ 0, 0 },	   { 0, 0 },	  { 0, UZ_POOL_MAX_OBJECT + 1 },
		{ 0, UINT32_MAX }, { end, 1000 }, { UINT64_MAX, 1000 },
		{ end - 1, 1000 }, { 1, 1000 },
	};
	struct fixture f;
	unsigned int i;
	uz_ref_t a;

	(void)state;
	for (i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
		fixture_open(&f, 4);
		a = fixture_alloc(&f, 1000, 1);
		fixture_restart(&f);
		adopt(&f, a, 1000, 1);
		if (!i) /* there already */
			never[i] = (struct never){ a, 1000 };
		assert_int_equal(uz_pool_adopt_object(f.pool, never[i].ref,
						      never[i].size, 2),
				 -EUCLEAN);
		uz_pool_destroy(f.pool);
		close(f.fd);
	}
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
	fixture_fill(&f, refs, 5, 4096);
	assert_int_equal(uz_shm_map(&shm, f.fd, f.config.arena_size), 0);
	assert_int_equal(uz_shm_punch(&shm, PAGES(1), PAGES(1)), 0);
	assert_int_equal(uz_shm_punch(&shm, PAGES(3), PAGES(1)), 0);
	uz_shm_unmap(&shm);
	fixture_restart(&f);
	if (!fixture_can(&f, UZ_POOL_LINEAR)) {
		/* An object in parts is lost without its links. */
		assert_int_equal(uz_pool_adopt_object(f.pool, refs[1], 4096, 1),
				 -EUCLEAN);
		uz_pool_destroy(f.pool);
		close(f.fd);
		return;
	}
	for (i = 0; i < 5; i++)
		if (i != 3)
			adopt(&f, refs[i], 4096, i);
	assert_int_equal(uz_pool_adopt_end(f.pool), 0);
	fixture_check(&f);
	assert_int_equal(fixture_resident(&f), PAGES(4));
	/* The hole that stayed a hole is populated when it is used. */
	refs[3] = fixture_alloc(&f, 4096, 3);
	fixture_check(&f);
	fixture_free(&f, refs, 5);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_unused_memory_is_given_back),
		cmocka_unit_test(test_stray_memory_is_given_back),
		cmocka_unit_test(test_missing_pages_are_populated),
		cmocka_unit_test(test_nothing_to_adopt),
		cmocka_unit_test(test_what_never_can_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
