// SPDX-License-Identifier: MIT
/*
 * What a backing store takes and what it refuses, with the reason.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/backing.h>

#include "direct_fixture.h"

static char path[] = "/tmp/uz-backing-XXXXXX";

static int set_up(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	if (fd < 0)
		return -1;
	return close(fd);
}

static int tear_down(void **state)
{
	(void)state;
	return unlink(path);
}

static void refuses(const char *name, int code, const char *why)
{
	struct uz_backing *b = NULL;
	struct uz_err err = { 0 };

	assert_int_equal(uz_backing_open(&b, name, &err), code);
	assert_null(b);
	assert_int_equal(err.code, code);
	assert_non_null(strstr(err.text, why));
	assert_non_null(strstr(err.text, name));
}

static void test_refused(void **state)
{
	(void)state;
	refuses("relative", -EINVAL, "whole path");
	refuses("/nowhere/at/all", -ENOENT, "No such file");
	refuses("/tmp", -EISDIR, "a file or a block device");
	refuses("/dev/null", -ENOTBLK, "a file or a block device");
	assert_int_equal(truncate(path, UZ_BLOCK_SIZE - 1), 0);
	refuses(path, -EINVAL, "too small");
}

static void test_sizes(void **state)
{
	static const struct {
		uint64_t bytes, blocks;
	} sizes[] = {
		{ UZ_BLOCK_SIZE, 1 },
		{ 3 * UZ_BLOCK_SIZE + 100, 3 },
		{ UINT64_C(1) << 40, UINT64_C(1) << 28 },
	};
	struct uz_backing_info info;
	struct uz_backing *b;
	struct stat st;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(truncate(path, (off_t)sizes[i].bytes), 0);
		assert_int_equal(uz_backing_open(&b, path, NULL), 0);
		uz_backing_info(b, &info);
		assert_int_equal(info.blocks, sizes[i].blocks);
		assert_int_equal(info.used, 0);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(info.dev, st.st_dev);
		assert_int_equal(info.ino, st.st_ino);
		uz_backing_close(b);
	}
	uz_backing_close(NULL);
}

static void test_one_at_a_time(void **state)
{
	struct uz_backing *b;

	(void)state;
	assert_int_equal(truncate(path, 1 << 20), 0);
	assert_int_equal(uz_backing_open(&b, path, NULL), 0);
	refuses(path, -EBUSY, "another device");
	uz_backing_close(b);
	assert_int_equal(uz_backing_open(&b, path, NULL), 0);
	uz_backing_close(b);
}

/* A file that refuses it is a store all the same, and nobody else's. */
static void test_no_direct(void **state)
{
	struct uz_backing *b;

	(void)state;
	assert_int_equal(truncate(path, 1 << 20), 0);
	no_direct = true;
	assert_int_equal(uz_backing_open(&b, path, NULL), 0);
	assert_false(uz_backing_direct(b));
	no_direct = false;
	refuses(path, -EBUSY, "another device");
	uz_backing_close(b);
	assert_int_equal(uz_backing_open(&b, path, NULL), 0);
	uz_backing_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_one_at_a_time),
		cmocka_unit_test(test_no_direct),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
