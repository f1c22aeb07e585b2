// SPDX-License-Identifier: MIT
/*
 * Blocks of the store that hold little: with few others free they are emptied
 * by whoever makes room, so that a store takes what its size lets it take, and
 * not only where blocks happen to have become free as a whole.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <device_priv.h>

#include "soon.h"
#include "writeback_fixture.h"

/* Some are overwritten, so that every block has few that are not. */
static bool is_text(uint64_t i)
{
	return i % 8 > 2;
}

static bool is_kept(uint64_t i)
{
	return i % 8 == 3 || i % 8 == 6;
}

static void store_texts(void)
{
	uint64_t i;

	for (i = 0; i < PAGES; i++)
		if (is_text(i))
			store(i, 0);
}

static void thin_out(void)
{
	uint64_t i;

	for (i = 0; i < PAGES; i++)
		if (is_text(i) && !is_kept(i))
			store(i, 1);
}

static void expect_texts(void)
{
	uint64_t i;

	for (i = 0; i < PAGES; i++)
		if (is_text(i))
			expect(i, !is_kept(i));
}

static void need(void *dev)
{
	uz_room_ready(dev);
}

/* A store of a size of which it is nearly full, with little in each block. */
static void begin(void)
{
	struct uz_writeback_done done;
	uint64_t blocks;

	backed_open(&f, SIZE, SIZE);
	store_texts();
	assert_int_equal(write_back(&f, 0, &done), 0);
	blocks = backing_stat(&f).used_blocks;
	backed_close(&f);

	backed_open(&f, SIZE, (blocks + blocks / 50) * UZ_BLOCK_SIZE);
	uz_room_on_need(f.dev, need, f.dev);
	store_texts();
	assert_int_equal(write_back(&f, 0, &done), 0);
	thin_out();
	assert_true(backing_stat(&f).used_blocks > blocks * 9 / 10);
}

static void end(void)
{
	fixture_check(&f);
	expect_texts();
	fixture_forget(&f);
	fixture_adopt(&f);
	expect_texts();
	backed_close(&f);
}

static int make_room(void)
{
	struct uz_writeback_done done = { 0 };
	struct uz_room_hand hand = { 0 };
	struct uz_writeback *wb;
	int ret;

	assert_int_equal(uz_writeback_create(&wb, f.dev, NULL), 0);
	do {
		ret = uz_room_make(wb, &hand, &done);
	} while (ret > 0);
	uz_writeback_destroy(wb);
	return ret;
}

static uint64_t used(void)
{
	struct uz_device_stat stat;

	uz_device_stat(f.dev, &stat);
	return stat.mem_used_total;
}

/* The pool may populate ahead of stores, and soon gives back what it did. */
static bool used_is_at_most(uint64_t bytes)
{
	return SOON(used() <= bytes);
}

static void test_room_in_a_store_that_is_nearly_full(void **state)
{
	struct uz_device_stat stat;
	uint64_t before;

	(void)state;
	begin();
	before = used();
	uz_room_set_marks(f.dev, 50, 60);
	uz_device_set_limit(f.dev, before);
	assert_int_equal(make_room(), 0);
	uz_device_stat(f.dev, &stat);
	assert_in_range(stat.compr_data_size, 0, before / 2);
	assert_true(used_is_at_most(before / 2));
	assert_true(backing_stat(&f).gathered_pages > 0);
	assert_int_equal(backing_stat(&f).read_back_pages, 0);
	end();
}

static void gather(uint64_t most)
{
	uint64_t next = 0, last;

	/*
	 * It goes around once, in goes of some hundred objects, or until enough
	 * blocks are free and a go does nothing any more.
	 */
	do {
		last = next;
		uz__gather(f.io, &next, PAGES, most);
	} while (next && next != last && most == UINT64_MAX);
}

static void test_as_much_as_is_wanted(void **state)
{
	struct uz_backing_stat before, after;

	(void)state;
	begin();
	before = backing_stat(&f);
	gather(10000);
	after = backing_stat(&f);
	assert_in_range(before.backed_bytes - after.backed_bytes, 5000,
			10000 + UZ_PAGE_SIZE);
	/* Each was the last in some block, and is cold. */
	assert_true(before.used_blocks - after.used_blocks >=
		    after.gathered_pages);
	assert_int_equal(write_back(&f, UZ_WRITEBACK_IDLE,
				    &(struct uz_writeback_done){ 0 }),
			 0);
	assert_int_equal(backing_stat(&f).backed_pages, before.backed_pages);
	end();
}

/* Free blocks, or a limit of writing: all stays where it is. */
static void test_when_not(void **state)
{
	struct uz_writeback_done done;
	uint64_t before;

	(void)state;
	begin();
	uz_device_set_backing_setting(f.dev, UZ_BACKING_LIMITED, 1);
	gather(UINT64_MAX);
	assert_int_equal(backing_stat(&f).gathered_pages, 0);
	uz_device_set_backing_setting(f.dev, UZ_BACKING_LIMITED, 0);
	/* Without memory only into places that are free. */
	uz_room_set_marks(f.dev, 0, 0);
	uz_device_set_limit(f.dev, UZ_PAGE_SIZE);
	before = used();
	gather(UINT64_MAX);
	assert_true(used_is_at_most(before));
	end();

	backed_open(&f, SIZE, SIZE);
	store_texts();
	assert_int_equal(write_back(&f, 0, &done), 0);
	thin_out();
	gather(UINT64_MAX);
	assert_int_equal(backing_stat(&f).gathered_pages, 0);
	end();
}

/* What the store has lost is not brought back as if it were intact. */
static void test_damaged(void **state)
{
	static const char zeros[UZ_BLOCK_SIZE];
	unsigned char page[UZ_PAGE_SIZE];
	uint64_t block, blocks, lost = 0, i;
	int fd;

	(void)state;
	begin();
	blocks = backing_stat(&f).blocks;
	fd = open(store_path, O_WRONLY);
	assert_true(fd >= 0);
	for (block = 0; block < blocks; block++)
		assert_int_equal(pwrite(fd, zeros, sizeof(zeros),
					(off_t)(block * UZ_BLOCK_SIZE)),
				 sizeof(zeros));
	close(fd);
	gather(UINT64_MAX);
	assert_int_equal(backing_stat(&f).gathered_pages, 0);
	for (i = 0; i < PAGES; i++)
		if (is_text(i) && uz_page_load(f.io, i, page))
			lost++;
	assert_int_equal(lost, backing_stat(&f).backed_pages);
	/* Nor is more lost than that. */
	for (i = 0; i < PAGES; i++)
		if (is_kept(i))
			uz_page_drop(f.io, i);
	assert_int_equal(backing_stat(&f).used_blocks, 0);
	fixture_check(&f);
	backed_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_room_in_a_store_that_is_nearly_full),
		cmocka_unit_test(test_as_much_as_is_wanted),
		cmocka_unit_test(test_when_not),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests_name("device gather", tests, NULL, NULL);
}
