// SPDX-License-Identifier: MIT
/*
 * What is a geometry and what is not; every size has a class that fits, in
 * windows of any size.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pool_fixture.h"

static void test_every_size_has_a_class(void **state)
{
	uint32_t size, got, last = 0;
	struct fixture f;

	(void)state;
	fixture_open(&f, 4);
	for (size = 1; size <= UZ_POOL_MAX_OBJECT; size++) {
		got = uz_pool_class_size(f.pool, size);
		assert_true(got >= size);
		assert_true(got >= last);
		last = got;
	}
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
		cmocka_unit_test(test_default_geometry),
		cmocka_unit_test(test_bad_geometry_is_refused),
		cmocka_unit_test(test_bad_descriptor_is_refused),
		cmocka_unit_test(test_other_windows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
