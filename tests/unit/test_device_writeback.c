// SPDX-License-Identifier: MIT
/*
 * Pages that are written back: they leave memory, lie packed in the store, and
 * read as before; whatever happens to a page or to the store in between,
 * nothing is lost. What happens in between is brought about at the moments
 * when pages are durable and when a page was read from the store. On a store
 * that takes direct I/O, and what differs also on one that does not.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/backing.h>

#include "direct_fixture.h"
#include "writeback_fixture.h"

#include "writeback_faults.h"

static void test_packs(void **state)
{
	struct uz_device_stat before, after;
	struct uz_writeback_done done;
	struct uz_backing_stat s;

	(void)state;
	uz_device_stat(f.dev, &before);
	assert_int_equal(write_back(&f, 0, &done), 0);
	assert_int_equal(done.pages, PAGES * 6 / 8);
	assert_int_equal(done.changed + done.failed, 0);
	uz_device_stat(f.dev, &after);
	assert_int_equal(after.orig_data_size, before.orig_data_size);
	assert_int_equal(after.compr_data_size, PAGES / 8 * 8);
	assert_int_equal(after.huge_pages, 0);
	if (!getenv("UZ_ZPOOL"))
		assert_true(after.mem_used_total < before.mem_used_total / 4);
	s = backing_stat(&f);
	assert_int_equal(s.backed_pages, done.pages);
	assert_int_equal(s.written_back_pages, done.pages);
	assert_int_equal(s.backed_bytes,
			 before.compr_data_size - after.compr_data_size);
	/* Objects end to end: little more than their bytes. */
	assert_true(s.written_blocks * UZ_BLOCK_SIZE <
		    s.backed_bytes * 103 / 100 + 12 * done.pages);
	assert_in_range(s.used_blocks, s.written_blocks - 64, s.written_blocks);
	fixture_check(&f);
	expect_all();
	s = backing_stat(&f);
	assert_in_range(s.read_blocks, s.backed_pages, 2 * s.backed_pages);
	/* Nothing is left to be written. */
	assert_int_equal(write_back(&f, 0, &done), 0);
	assert_int_equal(done.pages, 0);
}

/* A page on the store is told as what it was in memory. */
static void test_states(void **state)
{
	struct uz_page_state before[PAGES], after[PAGES];
	struct uz_writeback_done done;
	uint64_t index = 0, i;

	(void)state;
	assert_int_equal(uz_device_page_states(f.dev, &index, before, PAGES),
			 PAGES);
	assert_int_equal(write_back(&f, 0, &done), 0);
	index = 0;
	assert_int_equal(uz_device_page_states(f.dev, &index, after, PAGES),
			 PAGES);
	for (i = 0; i < PAGES; i++) {
		assert_int_equal(after[i].backed, !before[i].same);
		assert_int_equal(after[i].huge, before[i].huge);
		assert_int_equal(after[i].same, before[i].same);
	}
	assert_true(after[0].huge && after[0].backed);
}

static void test_kinds(void **state)
{
	struct uz_writeback_done done;
	struct uz_writeback_want small = { 0, 1, 3000 };
	struct uz_writeback *wb;
	uint64_t next = 0;

	(void)state;
	assert_int_equal(write_back(&f, UZ_WRITEBACK_IDLE, &done), 0);
	assert_int_equal(done.pages, 0);
	assert_int_equal(write_back(&f, UZ_WRITEBACK_INCOMPRESSIBLE, &done), 0);
	assert_int_equal(done.pages, 0);
	if (!codec_compresses())
		return;
	assert_int_equal(write_back(&f, UZ_WRITEBACK_HUGE, &done), 0);
	assert_int_equal(done.pages, PAGES / 8);
	assert_int_equal(uz_writeback_create(&wb, f.dev, NULL), 0);
	assert_int_equal(uz_writeback_count(wb, &small, 0, 24), 15);
	assert_int_equal(uz_writeback_some(wb, &small, &next, 24, &done), 0);
	assert_int_equal(done.pages, PAGES / 8 + 15);
	assert_true(next >= 24);
	uz_writeback_destroy(wb);
	expect_all();
}

/* Overwritten, in part and as a whole, dropped, and written back again. */
static void test_changes(void **state)
{
	unsigned char page[UZ_PAGE_SIZE];
	struct uz_writeback_done done;
	uint64_t round, i;

	(void)state;
	for (round = 0; round < 3; round++) {
		assert_int_equal(write_back(&f, 0, &done), 0);
		for (i = 0; i < PAGES; i += 4)
			store(i, round);
		for (i = 3; i < PAGES; i += 4) {
			make(page, i, 0);
			memset(page + 100, (int)round + 1, 50);
			assert_int_equal(uz_page_store_part(f.io, i, 100, 50,
							    page + 100),
					 0);
			expect_page(&f, i, page);
		}
		for (i = 0; i < PAGES; i += 4)
			expect(i, round);
		fixture_check(&f);
	}
	for (i = 0; i < PAGES; i++)
		uz_page_drop(f.io, i);
	assert_int_equal(backing_stat(&f).used_blocks, 0);
	assert_int_equal(backing_stat(&f).backed_pages, 0);
}

/* ---- in between ---- */

static void overwrite(void)
{
	uint64_t i;

	for (i = 0; i < PAGES; i += 5)
		store(i, 7);
	for (i = 1; i < PAGES; i += 5)
		uz_page_drop(f.io, i);
	/* The same bytes again, perhaps at the same place. */
	for (i = 2; i < PAGES; i += 5) {
		uz_page_drop(f.io, i);
		store(i, 0);
	}
}

static void test_overwritten_meanwhile(void **state)
{
	static const unsigned char zero[UZ_PAGE_SIZE];
	struct uz_writeback_done done;
	uint64_t i;

	(void)state;
	at_sync = overwrite;
	assert_int_equal(write_back(&f, 0, &done), 0);
	assert_true(done.changed > 0);
	assert_true(done.pages > 0);
	assert_int_equal(backing_stat(&f).writeback_changed, done.changed);
	for (i = 0; i < PAGES; i++) {
		if (i % 5 == 1)
			expect_page(&f, i, zero);
		else
			expect(i, i % 5 ? 0 : 7);
	}
	fixture_check(&f);
}

static void compact(void)
{
	struct uz_pool_compaction did = { 0 };
	uint64_t i;

	for (i = 0; i < PAGES; i++)
		if (i % 3)
			uz_page_drop(f.io, i);
	while (uz_device_compact(f.dev, UZ_POOL_COMPACT_ALL, 64, &did))
		;
}

static void test_compacted_meanwhile(void **state)
{
	struct uz_writeback_done done;
	uint64_t i;

	(void)state;
	at_sync = compact;
	assert_int_equal(write_back(&f, 0, &done), 0);
	for (i = 0; i < PAGES; i += 3)
		expect(i, 0);
	fixture_check(&f);
}

/* The page is changed after it was read from the store, while it is held. */
static void drop_all_and_refill(void)
{
	struct uz_writeback_done done;
	struct fixture g = f;
	uint64_t i;

	assert_int_equal(uz_io_create(f.dev, &g.io), 0);
	for (i = 0; i < PAGES; i++)
		uz_page_drop(g.io, i);
	/* All but what the reader holds. */
	assert_in_range(backing_stat(&f).used_blocks, 1, 2);
	for (i = 0; i < PAGES; i++) {
		unsigned char page[UZ_PAGE_SIZE];

		make(page, i, 9);
		assert_int_equal(uz_page_store(g.io, i, page), 0);
	}
	assert_int_equal(write_back(&g, 0, &done), 0);
	uz_io_destroy(g.io);
}

static void test_changed_while_read(void **state)
{
	struct uz_writeback_done done;
	uint64_t i;

	(void)state;
	assert_int_equal(write_back(&f, 0, &done), 0);
	at_read = drop_all_and_refill;
	expect(8, 0); /* the read began before */
	for (i = 0; i < PAGES; i++)
		expect(i, 9);
	fixture_check(&f);
	/* The same under a change of a part, which has to begin again. */
	at_read = drop_all_and_refill;
	assert_int_equal(uz_page_store_part(f.io, 8, 0, 8, "uzramuzr"), 0);
	for (i = 0; i < PAGES; i++)
		if (i != 8)
			expect(i, 9);
	fixture_check(&f);
}

/* Nobody to finish what is written while more is packed. */
static void test_alone(void **state)
{
	struct uz_writeback_done done;
	struct uz_io *ios[UZ_IO_MAX];
	struct uz_writeback *wb;
	unsigned int nr = 0;

	(void)state;
	while (!uz_io_create(f.dev, &ios[nr]))
		nr++;
	assert_int_equal(uz_writeback_create(&wb, f.dev, NULL), -EBUSY);
	uz_io_destroy(ios[--nr]);
	assert_int_equal(write_back(&f, 0, &done), 0);
	assert_int_equal(done.pages, PAGES * 6 / 8);
	while (nr)
		uz_io_destroy(ios[--nr]);
	fixture_check(&f);
	expect_all();
}

/* ---- errors ---- */

static void test_write_errors(void **state)
{
	struct uz_writeback_done done;

	(void)state;
	write_fails = EIO;
	assert_int_equal(write_back(&f, 0, &done), -EIO);
	assert_true(done.failed > 0);
	assert_true(done.pages > 0);
	assert_int_equal(backing_stat(&f).writeback_failed, done.failed);
	fixture_check(&f);
	expect_all();
	write_fails = 0;
	assert_int_equal(write_back(&f, 0, &done), 0);
	expect_all();
}

static void test_sync_error(void **state)
{
	struct uz_writeback_done done;

	(void)state;
	sync_fails = EIO;
	assert_int_equal(write_back(&f, 0, &done), -EIO);
	assert_int_equal(done.pages, 0);
	assert_true(done.failed > 0);
	assert_int_equal(backing_stat(&f).used_blocks, 0);
	assert_int_equal(backing_stat(&f).backed_pages, 0);
	expect_all();
}

static uint64_t told_index;
static char told_why[64];

static void told(void *arg, uint64_t index, const char *why)
{
	(void)arg;
	told_index = index;
	snprintf(told_why, sizeof(told_why), "%s", why);
}

static void test_read_error(void **state)
{
	unsigned char page[UZ_PAGE_SIZE];
	struct uz_writeback_done done;
	struct uz_device_stat s;

	(void)state;
	assert_int_equal(write_back(&f, 0, &done), 0);
	read_fails = EIO;
	uz_device_on_damage(f.dev, told, NULL);
	assert_int_equal(uz_page_load(f.io, 8, page), -EIO);
	uz_device_on_damage(f.dev, NULL, NULL);
	assert_int_equal(told_index, 8);
	assert_string_equal(told_why, "the backing store cannot be read there");
	assert_int_equal(uz_page_store_part(f.io, 8, 0, 4, page), -EIO);
	assert_int_equal(backing_stat(&f).backing_read_errors, 2);
	uz_device_stat(f.dev, &s);
	assert_int_equal(s.failed_reads, 1);
	assert_int_equal(s.failed_writes, 1);
	assert_int_equal(s.checksum_errors, 0);
	read_fails = 0;
	expect_all();
}

/* One byte of the store differs: an error of one page, never its bytes. */
static void test_damaged_store(void **state)
{
	unsigned char page[UZ_PAGE_SIZE];
	struct uz_writeback_done done;
	FILE *file;

	(void)state;
	assert_int_equal(write_back(&f, 0, &done), 0);
	file = fopen(store_path, "r+");
	assert_non_null(file);
	assert_int_equal(fseek(file, 1000, SEEK_SET), 0);
	assert_int_equal(fread(page, 1, 1, file), 1);
	assert_int_equal(fseek(file, 1000, SEEK_SET), 0);
	fputc(page[0] ^ 1, file);
	fclose(file);
	/* Page 0 is the first, raw. */
	assert_int_equal(uz_page_load(f.io, 0, page), -EIO);
	assert_int_equal(uz_device_check(f.dev, NULL), -EUCLEAN);
	store(0, 0);
	expect_all();
}

/* ---- promotion ---- */

static void test_promotes(void **state)
{
	struct uz_device_stat before, after;
	struct uz_writeback_done done;
	struct uz_backing_stat s;

	(void)state;
	uz_device_stat(f.dev, &before);
	assert_int_equal(write_back(&f, 0, &done), 0);
	expect_all();
	assert_int_equal(backing_stat(&f).backed_pages, done.pages);
	uz_device_set_backing_setting(f.dev, UZ_BACKING_PROMOTE, 1);
	expect_all();
	s = backing_stat(&f);
	assert_int_equal(s.backed_pages, 0);
	assert_int_equal(s.promoted_pages, done.pages);
	assert_int_equal(s.used_blocks, 0);
	/* Raw ones are so again, but nobody has stored any. */
	uz_device_stat(f.dev, &after);
	assert_int_equal(after.huge_pages, before.huge_pages);
	assert_int_equal(after.huge_pages_since, before.huge_pages_since);
	fixture_check(&f);
	expect_all();
	/* Only where there is room. */
	assert_int_equal(write_back(&f, 0, &done), 0);
	uz_device_set_limit(f.dev, 256 << 10);
	expect_all();
	s = backing_stat(&f);
	assert_true(s.backed_pages > 0);
	assert_int_equal(s.backing_read_errors, 0);
	uz_device_set_limit(f.dev, 0);
	/* Nor one that has changed since it was read. */
	at_read = drop_all_and_refill;
	expect(PAGES - 8, 0);
	expect(PAGES - 8, 9);
}

int main(void)
{
#define TEST(fn)   cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
#define CACHED(fn) cmocka_unit_test_setup_teardown(fn, set_up_cached, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_packs),
		TEST(test_states),
		TEST(test_kinds),
		TEST(test_changes),
		TEST(test_overwritten_meanwhile),
		TEST(test_compacted_meanwhile),
		TEST(test_changed_while_read),
		TEST(test_alone),
		TEST(test_write_errors),
		TEST(test_sync_error),
		TEST(test_read_error),
		TEST(test_damaged_store),
		TEST(test_promotes),
		CACHED(test_packs),
		CACHED(test_changes),
		CACHED(test_overwritten_meanwhile),
		CACHED(test_compacted_meanwhile),
		CACHED(test_alone),
		CACHED(test_write_errors),
		CACHED(test_sync_error),
	};

	return cmocka_run_group_tests_name("device writeback", tests, NULL,
					   NULL);
}
