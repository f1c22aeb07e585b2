// SPDX-License-Identifier: MIT
/*
 * Snapshots of a device whose pages lie on a backing store in part: they are
 * in it like all others, whether they are still there when they are taken out
 * or not, and no piece of the store stays held.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "writeback_fixture.h"

#include "snapshot_fixture.h"

static int set_up(void **state)
{
	struct uz_writeback_done done;

	(void)state;
	backed_open(&f, SIZE, 2 * SIZE);
	store_all();
	assert_int_equal(write_back(&f, 0, &done), 0);
	assert_true(done.pages > PAGES / 4);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	/* Looks at the users of every block, too. */
	backed_close(&f);
	return 0;
}

static void expect_copy(struct uz_snapshot *snap,
			const struct uz_snapshot_info *info)
{
	unsigned char page[UZ_PAGE_SIZE];
	struct fixture to;
	uint64_t i;

	assert_int_equal(snapshot_copy(snap, info, &to), info->pages);
	for (i = 0; i < PAGES; i++) {
		make(page, i, 0);
		expect_page(&to, i, page);
	}
	fixture_close(&to);
}

static void test_as_they_lie(void **state)
{
	struct uz_snapshot_info info;
	struct uz_snapshot *snap;

	(void)state;
	snap = snapshot_begin(&f, &info);
	expect_copy(snap, &info);
	uz_snapshot_end(snap);
	expect_all();
}

static void change(void)
{
	uint64_t i;

	for (i = 0; i < PAGES; i++) {
		if (i % 3 == 0)
			store(i, 1);
		else if (i % 3 == 1)
			uz_page_drop(f.io, i);
		else
			assert_int_equal(
				uz_page_store_part(f.io, i, 5, 3, "abc"), 0);
	}
}

static void test_changed_since(void **state)
{
	struct uz_writeback_done done;
	struct uz_snapshot_info info;
	struct uz_snapshot *snap;

	(void)state;
	snap = snapshot_begin(&f, &info);
	change();
	/* What they leave on the store is used by others, if not held. */
	store_all();
	assert_int_equal(write_back(&f, 0, &done), 0);
	expect_copy(snap, &info);
	uz_snapshot_end(snap);
	expect_all();
}

static void test_let_go(void **state)
{
	struct uz_snapshot_info info;
	struct uz_page_image page;
	struct uz_snapshot *snap;

	(void)state;
	snap = snapshot_begin(&f, &info);
	change();
	assert_int_equal(uz_snapshot_next(snap, &page, NULL), 1);
	uz_snapshot_end(snap);
}

static void test_reset_with_pieces_held(void **state)
{
	struct uz_snapshot_info info;
	struct uz_page_image page;
	struct uz_snapshot *snap;

	(void)state;
	snap = snapshot_begin(&f, &info);
	change();
	assert_int_equal(uz_snapshot_next(snap, &page, NULL), 1);
	assert_int_equal(uz_device_reset(f.dev, true, NULL), 0);
	/*
	 * The same store anew: nothing of it is given up that was held before.
	 */
	assert_int_equal(uz_device_set_backing(f.dev, store_path, NULL), 0);
	assert_int_equal(uz_device_set_disksize(f.dev, SIZE, NULL), 0);
	store_all();
	assert_int_equal(uz_snapshot_next(snap, &page, NULL), -ENODATA);
	uz_snapshot_end(snap);
}

#define backed_test(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		backed_test(test_as_they_lie),
		backed_test(test_changed_since),
		backed_test(test_let_go),
		backed_test(test_reset_with_pieces_held),
	};

	return cmocka_run_group_tests_name("snapshot backed", tests, NULL,
					   NULL);
}
