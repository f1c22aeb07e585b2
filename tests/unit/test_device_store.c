// SPDX-License-Identifier: MIT
/*
 * The store of a device: given and taken away, found again by a successor, or
 * not found.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "device_fixture.h"
#include "snapshot_fixture.h"
#include "writeback_fixture.h"

static int set_up(void **state)
{
	(void)state;
	backed_open(&f, SIZE, 2 * SIZE);
	store_all();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	backed_close(&f);
	return 0;
}

static void test_life(void **state)
{
	char path[UZ_BACKING_PATH_MAX + 1];
	struct uz_writeback_done done;
	struct uz_writeback *wb;
	struct uz_err err = { 0 };
	uint64_t next = 0;

	(void)state;
	uz_device_backing(f.dev, path);
	assert_string_equal(path, store_path);
	assert_int_equal(uz_device_set_backing(f.dev, NULL, &err), -EBUSY);
	assert_int_equal(uz_device_set_backing(f.dev, "/dev/null", &err),
			 -EBUSY);
	uz_device_set_backing_setting(f.dev, UZ_BACKING_BATCH, 3);
	assert_int_equal(uz_writeback_create(&wb, f.dev, NULL), 0);
	assert_int_equal(uz_device_reset(f.dev, false, NULL), 0);
	uz_device_backing(f.dev, path);
	assert_string_equal(path, "");
	assert_int_equal(uz_device_backing_setting(f.dev, UZ_BACKING_BATCH),
			 32);
	/* Made anew, it is another device. */
	assert_int_equal(uz_writeback_some(wb, &want_any, &next, PAGES, &done),
			 -ENODEV);
	assert_int_equal(uz_device_set_disksize(f.dev, SIZE, NULL), 0);
	assert_int_equal(uz_writeback_some(wb, &want_any, &next, PAGES, &done),
			 -ENODEV);
	assert_int_equal(uz_writeback_count(wb, &want_any, 0, PAGES), 0);
	uz_writeback_destroy(wb);
	assert_int_equal(uz_writeback_create(&wb, f.dev, &err), -ENODEV);
	/* A store may come late. */
	store_all();
	assert_int_equal(uz_device_set_backing(f.dev, "/tmp", &err), -EISDIR);
	assert_int_equal(uz_device_set_backing(f.dev, store_path, &err), 0);
	assert_int_equal(write_back(&f, 0, &done), 0);
	expect_all();
}

static void test_without_size(void **state)
{
	struct uz_writeback *wb;
	struct fixture g;
	struct uz_err err = { 0 };
	char longest[UZ_BACKING_PATH_MAX + 2];

	(void)state;
	fixture_open(&g, NULL, 0);
	assert_int_equal(uz_device_set_backing(g.dev, store_path, &err),
			 -EBUSY);
	assert_true(err.text[0]);
	memset(longest, '/', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(uz_device_set_backing(g.dev, longest, &err), -EINVAL);
	assert_int_equal(uz_device_set_backing(g.dev, NULL, &err), 0);
	assert_int_equal(uz_writeback_create(&wb, g.dev, &err), -EINVAL);
	fixture_close(&g);
}

/* ---- adoption ---- */

static void test_adopted(void **state)
{
	struct uz_writeback_done done;
	struct uz_backing_stat was, is;

	(void)state;
	uz_device_set_backing_setting(f.dev, UZ_BACKING_PROMOTE, 1);
	assert_int_equal(write_back(&f, 0, &done), 0);
	was = backing_stat(&f);
	fixture_forget(&f);
	fixture_adopt(&f);
	is = backing_stat(&f);
	assert_int_equal(is.backed_pages, was.backed_pages);
	assert_int_equal(is.backed_bytes, was.backed_bytes);
	assert_int_equal(is.used_blocks, was.used_blocks);
	assert_int_equal(is.written_back_pages, was.written_back_pages);
	assert_int_equal(uz_device_backing_setting(f.dev, UZ_BACKING_PROMOTE),
			 1);
	fixture_check(&f);
	uz_device_set_backing_setting(f.dev, UZ_BACKING_PROMOTE, 0);
	expect_all();
	store_all();
	assert_int_equal(write_back(&f, 0, &done), 0);
	assert_int_equal(done.pages, was.backed_pages);
	expect_all();
}

static void expect_lost(void)
{
	unsigned char page[UZ_PAGE_SIZE];
	struct uz_err err = { 0 };

	fixture_adopt(&f);
	assert_int_equal(backing_stat(&f).backing_lost, 1);
	assert_int_equal(uz_page_load(f.io, 8, page), -EIO);
	expect(9, 0);
	assert_int_equal(uz_page_store_part(f.io, 8, 0, 4, page), -EIO);
	fixture_check(&f);
	assert_int_equal(uz_device_set_backing(f.dev, store_path, &err),
			 -EBUSY);
	/* These are dropped and overwritten as any. */
	uz_page_drop(f.io, 16);
	store(24, 3);
	expect(24, 3);
	store(24, 0);
	fixture_forget(&f);
}

static void test_adopted_without_store(void **state)
{
	struct uz_writeback_done done;
	char aside[80];
	int fd;

	(void)state;
	assert_int_equal(write_back(&f, 0, &done), 0);
	fixture_forget(&f);
	snprintf(aside, sizeof(aside), "%s.aside", store_path);
	assert_int_equal(rename(store_path, aside), 0);
	expect_lost();
	/* Another file of that name is not the store. */
	fd = open(store_path, O_RDWR | O_CREAT, 0600);
	assert_int_equal(ftruncate(fd, SIZE), 0);
	close(fd);
	expect_lost();
	assert_int_equal(rename(aside, store_path), 0);
	fixture_adopt(&f);
	fixture_check(&f);
	store(16, 0);
	expect_all();
}

/* It comes back while the device is in use, where much has changed meanwhile */
static void test_found_later(void **state)
{
	struct uz_writeback_done done;
	struct uz_snapshot_info info;
	struct uz_snapshot *snap;
	char aside[80];

	(void)state;
	assert_int_equal(write_back(&f, 0, &done), 0);
	assert_int_equal(uz_device_retry_backing(f.dev), 0);
	fixture_forget(&f);
	snprintf(aside, sizeof(aside), "%s.aside", store_path);
	assert_int_equal(rename(store_path, aside), 0);
	fixture_adopt(&f);
	assert_int_equal(uz_device_retry_backing(f.dev), -ENOENT);
	assert_int_equal(backing_stat(&f).backing_lost, 1);
	uz_page_drop(f.io, 16);
	store(24, 3);
	assert_int_equal(rename(aside, store_path), 0);
	assert_int_equal(uz_snapshot_begin(f.dev, &snap, &info, NULL), 0);
	assert_int_equal(uz_device_retry_backing(f.dev), -EBUSY);
	uz_snapshot_end(snap);
	assert_int_equal(uz_device_retry_backing(f.dev), 0);
	assert_int_equal(backing_stat(&f).backing_lost, 0);
	fixture_check(&f);
	expect(24, 3);
	store(16, 0);
	store(24, 0);
	expect_all();
	assert_int_equal(write_back(&f, 0, &done), 0);
	store_all();
	assert_int_equal(backing_stat(&f).used_blocks, 0);
}

/* A reset: nothing is missed any more. */
static void test_missing_no_more(void **state)
{
	struct uz_writeback_done done;

	(void)state;
	assert_int_equal(write_back(&f, 0, &done), 0);
	fixture_forget(&f);
	assert_int_equal(unlink(store_path), 0);
	fixture_adopt(&f);
	assert_int_equal(uz_device_retry_backing(f.dev), -ENOENT);
	assert_int_equal(uz_device_reset(f.dev, false, NULL), 0);
	assert_int_equal(uz_device_retry_backing(f.dev), 0);
}

/* So many descriptors as there are now may be open. */
static void limit_descriptors(struct rlimit *before)
{
	struct rlimit now;
	int next = dup(STDOUT_FILENO);

	assert_true(next >= 0);
	close(next);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, before), 0);
	now = *before;
	now.rlim_cur = (rlim_t)next;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
}

/* The store is there, so nothing of it may be given up. */
static void test_adopted_in_want(void **state)
{
	struct uz_writeback_done done;
	struct uz_err err = { 0 };
	struct rlimit before;
	int ret;

	(void)state;
	assert_int_equal(write_back(&f, 0, &done), 0);
	fixture_forget(&f);
	limit_descriptors(&before);
	ret = uz_device_open(&f.dev, "test", &f.mem, &err);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(ret, -EMFILE);
	assert_non_null(strstr(err.text, store_path));
	fixture_adopt(&f);
	expect_all();
}

static void test_adopted_short_store(void **state)
{
	unsigned char page[UZ_PAGE_SIZE];
	struct uz_writeback_done done;

	(void)state;
	assert_int_equal(write_back(&f, 0, &done), 0);
	fixture_forget(&f);
	assert_int_equal(truncate(store_path, 1 << 20), 0);
	fixture_adopt(&f);
	expect(8, 0);
	assert_int_equal(uz_page_load(f.io, PAGES - 8, page), -EIO);
	assert_int_equal(uz_device_check(f.dev, NULL), -EUCLEAN);
	store_all();
	expect_all();
	assert_int_equal(backing_stat(&f).used_blocks, 0);
}

/* ---- snapshots ---- */

/* Written back before it and after it, changed after it: all as it was. */
static void test_in_snapshot(void **state)
{
	struct uz_writeback_done done;
	struct uz_snapshot_info info;
	struct uz_snapshot *snap;
	struct fixture copy, own = f;
	uint64_t i;

	(void)state;
	assert_int_equal(write_back(&f, UZ_WRITEBACK_HUGE, &done), 0);
	snap = snapshot_begin(&f, &info);
	assert_int_equal(info.pages, PAGES);
	for (i = 0; i < PAGES; i += 16)
		store(i, 5);
	assert_int_equal(write_back(&f, 0, &done), 0);
	for (i = 5; i < PAGES; i += 16)
		uz_page_drop(f.io, i);
	assert_int_equal(snapshot_copy(snap, &info, &copy), PAGES);
	uz_snapshot_end(snap);
	f = copy;
	expect_all();
	f = own;
	fixture_close(&copy);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_life),
		TEST(test_without_size),
		TEST(test_adopted),
		TEST(test_adopted_without_store),
		TEST(test_found_later),
		TEST(test_missing_no_more),
		TEST(test_adopted_in_want),
		TEST(test_adopted_short_store),
		TEST(test_in_snapshot),
	};

	return cmocka_run_group_tests_name("device store", tests, NULL, NULL);
}
