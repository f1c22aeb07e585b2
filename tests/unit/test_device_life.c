// SPDX-License-Identifier: MIT
/*
 * A device's life: names, codec, size, holders, reset, and what each state
 * refuses.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "device_fixture.h"

static void test_names(void **state)
{
	static const char *const bad[] = {
		"",    ".x", "-x",  "a/b",
		"a b", "..", "a\n", "abcdefghijklmnopqrstuvwxyz012345" /* 32 */
	};
	struct uz_device_mem mem;
	struct uz_device *dev = NULL;
	struct uz_err err;
	size_t i;

	(void)state;
	assert_int_equal(uz_device_mem_create(&mem), 0);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(uz_device_open(&dev, bad[i], &mem, &err),
				 -EINVAL);
		assert_null(dev);
		assert_true(err.text[0]);
	}
	uz_device_mem_close(&mem);
	uz_device_mem_close(&mem); /* closing twice closes nothing else */
}

static void test_sizes(void **state)
{
	struct fixture f;
	struct uz_err err;

	(void)state;
	fixture_open(&f, NULL, 0);
	assert_int_equal(uz_device_disksize(f.dev), 0);
	assert_int_equal(uz_device_set_disksize(f.dev, 0, &err), -EINVAL);
	assert_int_equal(uz_device_set_disksize(f.dev, 4096, &err), -EINVAL);
	assert_int_equal(
		uz_device_set_disksize(f.dev, UZ_DISKSIZE_MAX + 1, &err),
		-EINVAL);
	assert_int_equal(uz_device_disksize(f.dev), 0);
	assert_int_equal(
		uz_device_set_disksize(f.dev, UZ_DISKSIZE_MIN + 1, &err), 0);
	assert_int_equal(uz_device_disksize(f.dev),
			 UZ_DISKSIZE_MIN + UZ_PAGE_SIZE);
	assert_int_equal(uz_device_set_disksize(f.dev, 1 << 22, &err), -EBUSY);
	assert_non_null(strstr(err.text, "test"));
	fixture_close(&f);
}

static void test_codec(void **state)
{
	struct uz_codec codec;
	struct fixture f;

	(void)state;
	fixture_open(&f, NULL, 0);
	uz_device_codec(f.dev, &codec);
	assert_string_equal(uz_codec_name(&codec), uz_codec_known(0));
	assert_int_equal(uz_device_set_codec(f.dev, "no-such", NULL), -EINVAL);
	assert_int_equal(uz_device_set_codec(f.dev, "store", NULL), 0);
	uz_device_codec(f.dev, &codec);
	assert_string_equal(uz_codec_name(&codec), "store");
	assert_int_equal(uz_device_set_disksize(f.dev, 1 << 20, NULL), 0);
	assert_int_equal(uz_device_set_codec(f.dev, "store", NULL), -EBUSY);
	fixture_close(&f);
}

static void test_no_size_no_io(void **state)
{
	unsigned char page[UZ_PAGE_SIZE] = { 0 };
	struct uz_request rq = { UZ_OP_READ, 0, UZ_PAGE_SIZE, page };
	struct uz_device_stat stat;
	struct fixture f;

	(void)state;
	fixture_open(&f, NULL, 0);
	assert_int_equal(uz_device_submit(f.io, &rq), -EINVAL);
	rq.op = UZ_OP_WRITE;
	assert_int_equal(uz_device_submit(f.io, &rq), -EINVAL);
	uz_device_set_limit(f.dev, 5000);
	uz_device_stat(f.dev, &stat);
	assert_int_equal(stat.mem_limit, 8192);
	assert_int_equal(stat.orig_data_size, 0);
	fixture_close(&f);
}

static void test_reset(void **state)
{
	unsigned char page[UZ_PAGE_SIZE];
	struct uz_device_stat stat;
	struct uz_codec codec;
	struct stat st;
	struct fixture f;
	struct uz_err err;

	(void)state;
	fixture_open(&f, "store", 1 << 20);
	page_noise(page, 1);
	assert_int_equal(uz_page_store(f.io, 3, page), 0);
	uz_device_hold(f.dev);
	uz_device_hold(f.dev);
	uz_device_release(f.dev);
	assert_int_equal(uz_device_holders(f.dev), 1);
	assert_int_equal(uz_device_reset(f.dev, false, &err), -EBUSY);
	expect_page(&f, 3, page);
	assert_int_equal(uz_device_reset(f.dev, true, &err), 0);
	uz_device_release(f.dev);

	assert_int_equal(uz_device_disksize(f.dev), 0);
	uz_device_codec(f.dev, &codec);
	assert_string_equal(uz_codec_name(&codec), uz_codec_known(0));
	assert_int_equal(fstat(f.mem.arena_fd, &st), 0);
	assert_int_equal(st.st_blocks, 0);
	assert_int_equal(fstat(f.mem.table_fd, &st), 0);
	assert_int_equal(st.st_blocks, 0);

	assert_int_equal(uz_device_set_disksize(f.dev, 1 << 20, &err), 0);
	uz_device_stat(f.dev, &stat);
	assert_int_equal(stat.orig_data_size, 0);
	assert_int_equal(stat.huge_pages_since, 0);
	page_same(page, 0);
	expect_page(&f, 3, page);
	fixture_close(&f);
}

static void test_too_many_threads(void **state)
{
	static struct uz_io *io[UZ_IO_MAX];
	struct uz_io *more = NULL;
	struct fixture f;
	int i;

	(void)state;
	fixture_open(&f, NULL, 0);
	for (i = 0; i < UZ_IO_MAX - 1; i++)
		assert_int_equal(uz_io_create(f.dev, &io[i]), 0);
	assert_int_equal(uz_io_create(f.dev, &more), -EBUSY);
	assert_null(more);
	for (i = 0; i < UZ_IO_MAX - 1; i++)
		uz_io_destroy(io[i]);
	assert_int_equal(uz_io_create(f.dev, &more), 0);
	uz_io_destroy(more);
	uz_io_destroy(NULL);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_codec),
		cmocka_unit_test(test_no_size_no_io),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_too_many_threads),
	};

	return cmocka_run_group_tests_name("device life", tests, NULL, NULL);
}
