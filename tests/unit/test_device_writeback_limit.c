// SPDX-License-Identifier: MIT
/*
 * Writing back into a store that has few blocks left, and by a limit of what
 * may be written: pages that need less go on, and blocks are paid for once.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "direct_fixture.h"
#include "writeback_fixture.h"

#include "writeback_faults.h"

static void test_full(void **state)
{
	struct uz_writeback_done done;
	struct uz_backing_stat s;
	struct fixture small;
	char path[sizeof(store_path)];

	(void)state;
	small = f;
	strcpy(path, store_path);
	backed_open(&f, SIZE, 1 << 20);
	store_all();
	assert_int_equal(write_back(&f, 0, &done), -ENOSPC);
	assert_true(done.pages > (codec_compresses() ? 256 : 240));
	s = backing_stat(&f);
	assert_true(s.used_blocks >= s.blocks - 1);
	fixture_check(&f);
	expect_all();
	/* What is freed is used again. */
	uz_page_drop(f.io, 0);
	uz_page_drop(f.io, 3);
	uz_page_drop(f.io, 4);
	uz_page_drop(f.io, 5);
	assert_int_equal(write_back(&f, 0, &done), -ENOSPC);
	assert_true(done.pages > 0);
	fixture_check(&f);
	backed_close(&f);
	f = small;
	strcpy(store_path, path);
}

/* Raw pages need two blocks in a row; the others do without. */
static void test_single_blocks(void **state)
{
	struct uz_writeback_done done;

	(void)state;
	single_blocks = true;
	assert_int_equal(write_back(&f, 0, &done), -ENOSPC);
	assert_int_equal(done.pages, codec_compresses() ? PAGES * 5 / 8 : 0);
	assert_int_equal(done.failed, 0);
	fixture_check(&f);
	expect_all();
	single_blocks = false;
	assert_int_equal(write_back(&f, 0, &done), 0);
	assert_int_equal(backing_stat(&f).backed_pages, PAGES * 6 / 8);
}

/* So it is when one block more may be written. */
static void test_limit_of_one(void **state)
{
	struct uz_writeback_done done;

	(void)state;
	uz_device_set_backing_setting(f.dev, UZ_BACKING_LIMITED, 1);
	uz_device_set_backing_setting(f.dev, UZ_BACKING_LIMIT, 1);
	assert_int_equal(write_back(&f, 0, &done), -EDQUOT);
	assert_int_equal(done.pages > 0, codec_compresses());
	assert_int_equal(backing_stat(&f).written_blocks, codec_compresses());
	assert_int_equal(uz_device_backing_setting(f.dev, UZ_BACKING_LIMIT),
			 !codec_compresses());
	fixture_check(&f);
	expect_all();
}

static void test_limit(void **state)
{
	struct uz_writeback_done done;

	(void)state;
	uz_device_set_backing_setting(f.dev, UZ_BACKING_LIMITED, 1);
	assert_int_equal(write_back(&f, 0, &done), -EDQUOT);
	assert_int_equal(done.pages, 0);
	uz_device_set_backing_setting(f.dev, UZ_BACKING_LIMIT, 100);
	assert_int_equal(write_back(&f, 0, &done), -EDQUOT);
	assert_true(done.pages > (codec_compresses() ? 100 : 90));
	assert_in_range(backing_stat(&f).written_blocks, 98, 100);
	assert_int_equal(uz_device_backing_setting(f.dev, UZ_BACKING_LIMIT),
			 100 - backing_stat(&f).written_blocks);
	/* What could not be written was not paid for. */
	uz_device_set_backing_setting(f.dev, UZ_BACKING_LIMIT, 1000);
	sync_fails = EIO;
	assert_int_equal(write_back(&f, 0, &done), -EIO);
	assert_int_equal(uz_device_backing_setting(f.dev, UZ_BACKING_LIMIT),
			 1000);
}

static void limit_on(void)
{
	uz_device_set_backing_setting(f.dev, UZ_BACKING_LIMITED, 1);
}

static void limit_high(void)
{
	uz_device_set_backing_setting(f.dev, UZ_BACKING_LIMIT, UINT64_MAX - 1);
}

/* Nothing is given back that was not taken, nor past the largest number. */
static void test_limit_meanwhile(void **state)
{
	struct uz_writeback_done done;

	(void)state;
	uz_device_set_backing_setting(f.dev, UZ_BACKING_LIMIT, 10);
	sync_fails = EIO;
	at_sync = limit_on;
	assert_int_equal(write_back(&f, 0, &done), -EIO);
	assert_int_equal(uz_device_backing_setting(f.dev, UZ_BACKING_LIMIT),
			 10);
	uz_device_set_backing_setting(f.dev, UZ_BACKING_LIMIT, 1000);
	at_sync = limit_high;
	assert_int_equal(write_back(&f, 0, &done), -EIO);
	assert_int_equal(uz_device_backing_setting(f.dev, UZ_BACKING_LIMIT),
			 UINT64_MAX);
}

int main(void)
{
#define TEST(fn)   cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
#define CACHED(fn) cmocka_unit_test_setup_teardown(fn, set_up_cached, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_full),
		TEST(test_single_blocks),
		TEST(test_limit_of_one),
		TEST(test_limit),
		TEST(test_limit_meanwhile),
		CACHED(test_full),
		CACHED(test_single_blocks),
		CACHED(test_limit_of_one),
		CACHED(test_limit),
		CACHED(test_limit_meanwhile),
	};

	return cmocka_run_group_tests_name("device writeback limit", tests,
					   NULL, NULL);
}
