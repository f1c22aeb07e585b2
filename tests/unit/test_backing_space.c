// SPDX-License-Identifier: MIT
/*
 * The space of a backing store: whoever uses a block has it, what nobody uses
 * is handed out again, and the numbers add up.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <tests/pages.h>
#include <uzram/backing.h>

#define BLOCKS 3000 /* no whole number of groups */

static char path[] = "/tmp/uz-space-XXXXXX";
static struct uz_backing *b;

static int set_up(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	if (fd < 0 || ftruncate(fd, (off_t)BLOCKS * UZ_BLOCK_SIZE))
		return -1;
	close(fd);
	return uz_backing_open(&b, path, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	uz_backing_close(b);
	return unlink(path);
}

static uint64_t used(void)
{
	struct uz_backing_info info;

	uz_backing_info(b, &info);
	return info.used;
}

static void test_run(void **state)
{
	struct uz_run run, other;

	(void)state;
	assert_int_equal(uz_backing_reserve(b, 64, &run), 0);
	assert_int_equal(run.nr, 64);
	assert_int_equal(used(), 64);
	assert_int_equal(uz_backing_reserve(b, 1, &other), 0);
	assert_true(other.block >= run.block + run.nr);
	uz_backing_release(b, &other);
	uz_backing_release(b, &run);
	assert_int_equal(used(), 0);
}

/* A piece across two blocks keeps both when the run is let go. */
static void test_piece(void **state)
{
	struct uz_run run;
	uint64_t at;

	(void)state;
	assert_int_equal(uz_backing_reserve(b, 4, &run), 0);
	at = run.block * UZ_BLOCK_SIZE + UZ_BLOCK_SIZE - 8;
	assert_int_equal(uz_backing_hold(b, at, 16), 0);
	uz_backing_release(b, &run);
	assert_int_equal(used(), 2);
	assert_int_equal(uz_backing_hold(b, at + 8, 8), 0);
	uz_backing_drop(b, at, 16);
	assert_int_equal(used(), 1);
	uz_backing_drop(b, at + 8, 8);
	assert_int_equal(used(), 0);
}

static void test_full(void **state)
{
	struct uz_run runs[BLOCKS], none;
	unsigned int nr = 0;

	(void)state;
	while (!uz_backing_reserve(b, 64, &runs[nr]))
		nr++;
	assert_int_equal(used(), BLOCKS);
	assert_int_equal(uz_backing_reserve(b, 1, &none), -ENOSPC);
	/* One is free again: it is found wherever the search stood. */
	uz_backing_release(b, &runs[nr / 2]);
	assert_int_equal(uz_backing_reserve(b, 4096, &none), 0);
	assert_int_equal(none.block, runs[nr / 2].block);
	assert_int_equal(none.nr, runs[nr / 2].nr);
	while (nr--)
		uz_backing_release(b, &runs[nr]);
	assert_int_equal(used(), 0);
}

static void test_beyond(void **state)
{
	const uint64_t end = (uint64_t)BLOCKS * UZ_BLOCK_SIZE;

	(void)state;
	assert_int_equal(uz_backing_hold(b, end - 8, 16), -EUCLEAN);
	assert_int_equal(uz_backing_hold(b, end, 8), -EUCLEAN);
	assert_int_equal(uz_backing_hold(b, 0, 0), -EUCLEAN);
	assert_int_equal(uz_backing_hold(b, UZ_BACKING_MAX - 8, 8), -EUCLEAN);
	assert_int_equal(used(), 0);
}

/* More users than can be counted are refused, and nothing is half done. */
static void test_crowd(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < UINT16_MAX; i++)
		assert_int_equal(uz_backing_hold(b, UZ_BLOCK_SIZE, 1), 0);
	assert_int_equal(uz_backing_hold(b, UZ_BLOCK_SIZE, 1), -EUCLEAN);
	assert_int_equal(uz_backing_hold(b, 0, 2 * UZ_BLOCK_SIZE), -EUCLEAN);
	assert_int_equal(used(), 1);
	while (i--)
		uz_backing_drop(b, UZ_BLOCK_SIZE, 1);
	assert_int_equal(used(), 0);
}

static void test_random(void **state)
{
	static unsigned int users[BLOCKS];
	static struct {
		uint64_t at;
		uint32_t length;
	} pieces[4000];
	uint64_t random = page_seed("# ");
	unsigned int nr = 0, i, round, expect;
	struct uz_run run;

	(void)state;
	for (round = 0; round < 20000; round++) {
		if (nr && (page_random(&random) % 2 || nr == 4000)) {
			i = (unsigned int)page_random(&random) % nr;
			uz_backing_drop(b, pieces[i].at, pieces[i].length);
			for (uint64_t k = pieces[i].at / UZ_BLOCK_SIZE;
			     k <= (pieces[i].at + pieces[i].length - 1) /
					  UZ_BLOCK_SIZE;
			     k++)
				users[k]--;
			pieces[i] = pieces[--nr];
			continue;
		}
		if (uz_backing_reserve(
			    b, 1 + (unsigned int)page_random(&random) % 9,
			    &run))
			continue;
		for (i = 0; i < run.nr; i++)
			assert_int_equal(users[run.block + i], 0);
		pieces[nr].at = run.block * UZ_BLOCK_SIZE +
				page_random(&random) % 4000 / 8 * 8;
		pieces[nr].length =
			1 + (uint32_t)(page_random(&random) %
				       ((run.block + run.nr) * UZ_BLOCK_SIZE -
					pieces[nr].at));
		assert_int_equal(
			uz_backing_hold(b, pieces[nr].at, pieces[nr].length),
			0);
		for (uint64_t k = pieces[nr].at / UZ_BLOCK_SIZE;
		     k <=
		     (pieces[nr].at + pieces[nr].length - 1) / UZ_BLOCK_SIZE;
		     k++)
			users[k]++;
		nr++;
		uz_backing_release(b, &run);
	}
	for (i = 0, expect = 0; i < BLOCKS; i++)
		expect += !!users[i];
	assert_int_equal(used(), expect);
	while (nr--)
		uz_backing_drop(b, pieces[nr].at, pieces[nr].length);
	assert_int_equal(used(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_run),   cmocka_unit_test(test_piece),
		cmocka_unit_test(test_full),  cmocka_unit_test(test_beyond),
		cmocka_unit_test(test_crowd), cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
