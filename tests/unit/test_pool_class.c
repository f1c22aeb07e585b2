// SPDX-License-Identifier: MIT
/*
 * Size classes: every size has one that fits, and a full zspage of any class
 * wastes little. What is a geometry and what is not.
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

static void test_default_geometry(void **state)
{
	static const uint64_t bytes[] = { 0, UZ_DISKSIZE_MIN, UINT64_C(3) << 30,
					  UZ_DISKSIZE_MAX };
	struct uz_pool_config config;
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
		uz_pool_config_default(&config, bytes[i]);
		assert_int_equal(config.arena_size % config.window_size, 0);
		assert_true(config.arena_size <= UINT64_C(1) << 44);
		assert_true(config.arena_size >= bytes[i]);
		if (config.arena_size < UINT64_C(1) << 44)
			assert_true(config.arena_size >
				    bytes[i] + bytes[i] / 4);
	}
}

static void refused(const struct uz_pool_config *config)
{
	struct uz_pool *untouched = (void *)&untouched;
	struct uz_pool *pool = untouched;
	int fd = uz_shm_memfd("test");

	assert_int_equal(uz_pool_create(&pool, fd, config), -EINVAL);
	assert_ptr_equal(pool, untouched);
	close(fd);
}

static void test_bad_geometry_is_refused(void **state)
{
	struct uz_pool_config good, bad;

	(void)state;
	uz_pool_config_default(&good, 0);
	bad = good;
	bad.window_size = 8 * UZ_PAGE_SIZE;
	refused(&bad);
	bad.window_size = 128 * UZ_PAGE_SIZE;
	refused(&bad);
	bad.window_size = 48 * UZ_PAGE_SIZE;
	refused(&bad);
	bad.window_size = 0;
	refused(&bad);
	bad = good;
	bad.class_step = 0;
	refused(&bad);
	bad.class_step = 32;
	refused(&bad);
	bad = good;
	bad.class_fine = 8;
	refused(&bad);
	bad.class_fine = UZ_POOL_MAX_OBJECT + 8;
	refused(&bad);
	bad = good;
	bad.arena_size = 0;
	refused(&bad);
	bad.arena_size = good.arena_size + UZ_PAGE_SIZE;
	refused(&bad);
	bad.arena_size = (UINT64_C(1) << 44) + good.window_size;
	refused(&bad);
}

static void test_bad_descriptor_is_refused(void **state)
{
	struct uz_pool *pool = NULL;
	struct uz_pool_config config;

	(void)state;
	uz_pool_config_default(&config, 0);
	assert_int_equal(uz_pool_create(&pool, -1, &config), -EBADF);
	assert_null(pool);
	uz_pool_destroy(NULL);
}

/* Windows of another size: the same objects, other zspages. */
static void test_other_windows(void **state)
{
	static const uint32_t pages[] = { 16, 64 };
	uz_ref_t refs[200];
	struct fixture f;
	unsigned int i, k;

	(void)state;
	for (k = 0; k < 2; k++) {
		fixture_open(&f, 512);
		uz_pool_destroy(f.pool);
		f.config.window_size = pages[k] * UZ_PAGE_SIZE;
		assert_int_equal(uz_pool_create(&f.pool, f.fd, &f.config), 0);
		for (i = 0; i < 200; i++)
			refs[i] = fixture_alloc(&f, 17 * (i + 1), i);
		fixture_check(&f);
		for (i = 0; i < 200; i++) {
			fixture_same(&f, refs[i], 17 * (i + 1), i);
			uz_pool_free(f.pool, refs[i]);
		}
		fixture_close(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_size_has_a_class),
		cmocka_unit_test(test_waste_is_bounded),
		cmocka_unit_test(test_default_geometry),
		cmocka_unit_test(test_bad_geometry_is_refused),
		cmocka_unit_test(test_bad_descriptor_is_refused),
		cmocka_unit_test(test_other_windows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
