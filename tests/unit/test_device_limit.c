// SPDX-License-Identifier: MIT
/*
 * The memory limit: never passed by growth, no obstacle to what shrinks, and
 * what was stored before stays as it was.
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

#include <device_priv.h>

#include "device_fixture.h"

#define SIZE  (64u << 20)
#define LIMIT (4u << 20)
#define CREEP (32u * UZ_PAGE_SIZE)

static uint64_t used(struct fixture *f)
{
	struct uz_device_stat stat;

	uz_device_stat(f->dev, &stat);
	return stat.mem_used_total;
}

/* Fill with what does not compress; returns the pages that fitted. */
static uint64_t fill(struct fixture *f)
{
	unsigned char page[UZ_PAGE_SIZE];
	uint64_t i;
	int err = 0;

	for (i = 0; !err; i++) {
		page_noise(page, i);
		err = uz_page_store(f->io, i, page);
		assert_true(used(f) <= LIMIT);
	}
	assert_int_equal(err, -ENOSPC);
	return i - 1;
}

static bool scatters(void)
{
	const char *name = getenv("UZ_ZPOOL");

	return name && !strcmp(name, "scatter");
}

/* The fewest bytes of raw pages that a limit must have room for. */
static uint64_t room(void)
{
	/*
	 * A raw page and its checksum keep another such one out of two pages.
	 */
	if (getenv("UZ_ZPOOL") && !scatters())
		return LIMIT / 2 - LIMIT / 16;
	return LIMIT - LIMIT / 16;
}

/* A page of which @noise bytes do not compress. */
static void page_mixed(void *page, uint64_t seed, uint32_t noise)
{
	page_noise(page, seed);
	memset((char *)page + noise, 0, UZ_PAGE_SIZE - noise);
}

/*
 * Overwriting by what is smaller goes on at the limit, and does not creep past
 * it: what an object frees may be less than a page, what the new one takes is
 * a whole one. What stays is at most a part of a page for each size class.
 */
static void test_overwriting_does_not_creep(void **state)
{
	unsigned char page[UZ_PAGE_SIZE];
	uint64_t n, i;
	struct fixture f;

	(void)state;
	fixture_open(&f, NULL, SIZE);
	uz_device_set_limit(f.dev, LIMIT);
	for (n = 0;; n++) {
		page_mixed(page, n, 1000 + n * 37 % 2500);
		if (uz_page_store(f.io, n, page))
			break;
	}
	for (i = 0; i < 20 * n; i++) {
		uint64_t index = i * 7919 % n;

		page_mixed(page, i, 1000 + index * 37 % 2500 - i / n * 40);
		assert_int_equal(uz_page_store(f.io, index, page), 0);
		assert_true(used(&f) <= LIMIT + CREEP);
	}
	fixture_close(&f);
}

static void test_growth_stops_at_the_limit(void **state)
{
	unsigned char page[UZ_PAGE_SIZE];
	struct uz_device_stat stat;
	struct fixture f;
	uint64_t n, i;

	(void)state;
	fixture_open(&f, NULL, SIZE);
	uz_device_set_limit(f.dev, LIMIT);
	n = fill(&f);
	assert_true(n * UZ_PAGE_SIZE > room());
	uz_device_stat(f.dev, &stat);
	assert_int_equal(stat.limit_rejections, 1);
	assert_int_equal(stat.failed_writes, 1);
	assert_true(stat.mem_used_max <= LIMIT);
	for (i = 0; i < n; i++) {
		page_noise(page, i);
		expect_page(&f, i, page);
	}
	page_same(page, 0);
	expect_page(&f, n, page);
	fixture_close(&f);
}

static void test_overwrites_succeed_at_the_limit(void **state)
{
	unsigned char page[UZ_PAGE_SIZE];
	struct fixture f;
	uint64_t n, i, round;

	(void)state;
	if (!codec_compresses())
		return;
	fixture_open(&f, NULL, SIZE);
	uz_device_set_limit(f.dev, LIMIT);
	n = fill(&f);
	for (round = 1; round < 4; round++) {
		for (i = 0; i < n; i++) {
			page_noise(page, i + round * 100000);
			assert_int_equal(uz_page_store(f.io, i, page), 0);
		}
		/* No more than the room for one object, over and over. */
		assert_true(used(&f) <= LIMIT + 2 * UZ_PAGE_SIZE);
	}
	/* Part of a page, too. */
	assert_int_equal(uz_page_store_part(f.io, 0, 1, 2, "ab"), 0);
	for (i = 1; i < n; i++) {
		page_noise(page, i + 300000);
		expect_page(&f, i, page);
	}
	/* Smaller ones: the rest of what was there goes free. */
	for (i = 0; i < n; i++) {
		page_text(page, i);
		assert_int_equal(uz_page_store(f.io, i, page), 0);
	}
	for (i = 0; i < n; i++) {
		page_text(page, i);
		expect_page(&f, i, page);
	}
	/* Where all pages have some fragment, none goes free. */
	assert_true(used(&f) <= LIMIT + (scatters() ? 2 * UZ_PAGE_SIZE : 0));
	fixture_close(&f);
}

static void test_growing_overwrite_leaves_the_old(void **state)
{
	unsigned char page[UZ_PAGE_SIZE], small[UZ_PAGE_SIZE];
	struct fixture f;
	uint64_t i;

	(void)state;
	if (!codec_compresses())
		return;
	fixture_open(&f, NULL, SIZE);
	uz_device_set_limit(f.dev, LIMIT);
	page_text(small, 7);
	assert_int_equal(uz_page_store(f.io, 10000, small), 0);
	page_same(page, 5);
	assert_int_equal(uz_page_store(f.io, 10001, page), 0);
	fill(&f);
	/* Places in zspages that are there already may take a few more. */
	for (i = 0; i < 64; i++) {
		page_noise(page, i);
		if (uz_page_store(f.io, 10000, page) == -ENOSPC)
			break;
		assert_int_equal(uz_page_store(f.io, 20000 + i, page), 0);
		page_text(small, i);
		assert_int_equal(uz_page_store(f.io, 10000, small), 0);
	}
	assert_true(i < 64);
	expect_page(&f, 10000, small);
	assert_int_equal(uz_page_store(f.io, 10001, page), -ENOSPC);
	assert_int_equal(uz_page_store_part(f.io, 10000, 0, 4000, page),
			 -ENOSPC);
	expect_page(&f, 10000, small);
	page_same(page, 5);
	expect_page(&f, 10001, page);
	fixture_close(&f);
}

static void test_dropping_makes_room(void **state)
{
	unsigned char page[UZ_PAGE_SIZE];
	struct fixture f;
	uint64_t n;

	(void)state;
	fixture_open(&f, NULL, SIZE);
	uz_device_set_limit(f.dev, LIMIT);
	n = fill(&f);
	page_same(page, 1);
	assert_int_equal(uz_page_store(f.io, 0, page), 0); /* needs none */
	uz_page_drop(f.io, 1);
	page_noise(page, n);
	assert_int_equal(uz_page_store(f.io, n, page), 0);
	expect_page(&f, n, page);
	uz_device_set_limit(f.dev, 0);
	assert_int_equal(uz_page_store(f.io, n + 1, page), 0);
	assert_int_equal(uz_page_store(f.io, n + 2, page), 0);
	fixture_close(&f);
}

/*
 * A full device of which pages are dropped here and there: what the others no
 * longer need is room for pages of another size, although every zspage still
 * has some object. Never mind allocators that cannot move any.
 */
static void test_gaps_are_room_for_other_sizes(void **state)
{
	const char *env = getenv("UZ_SEED");
	unsigned int seed = env ? (unsigned int)atoi(env)
				: (unsigned int)getpid();
	unsigned char page[UZ_PAGE_SIZE];
	struct uz_device_stat stat;
	uint64_t n, i, stored, before;
	bool *kept;
	struct fixture f;
	int err = 0;

	(void)state;
	if (!codec_compresses())
		return;
	print_message("# seed %u\n", seed);
	srandom(seed);
	fixture_open(&f, NULL, SIZE);
	uz_device_set_limit(f.dev, LIMIT);
	n = fill(&f);
	kept = calloc(n, sizeof(*kept));
	for (i = 0; i < n; i++) {
		kept[i] = random() % 2;
		if (!kept[i])
			uz_page_drop(f.io, i);
	}
	uz_device_stat(f.dev, &stat);
	before = stat.compr_data_size;
	for (i = n; !err; i++) {
		page_text(page, i);
		err = uz_page_store(f.io, i, page);
		assert_true(used(&f) <= LIMIT);
	}
	assert_int_equal(err, -ENOSPC);
	stored = i - 1 - n;
	uz_device_stat(f.dev, &stat);
	assert_true(stat.mem_used_max <= LIMIT);
	if (uz_pool_caps(f.dev->pool) & UZ_POOL_COMPACTS) {
		/* Of the half that was dropped, nearly all. */
		assert_true(stat.compr_data_size - before > LIMIT / 2 * 3 / 4);
		assert_true(stat.compr_data_size > LIMIT - LIMIT / 8);
		assert_true(stat.pages_compacted > LIMIT / UZ_PAGE_SIZE / 4);
		assert_true(stat.objects_moved > 0);
	}
	for (i = 0; i < n + stored; i++) {
		if (i < n)
			page_noise(page, i);
		else
			page_text(page, i);
		if (i < n && !kept[i])
			page_same(page, 0);
		expect_page(&f, i, page);
	}
	free(kept);
	fixture_close(&f);
}

static void expect_limit(struct fixture *f, uint64_t limit)
{
	struct uz_device_stat stat;

	uz_device_stat(f->dev, &stat);
	assert_int_equal(stat.mem_limit, limit);
}

static void test_ceiling_is_above_all_limits(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, NULL, SIZE);
	uz_device_set_ceiling(f.dev, LIMIT + 1);
	expect_limit(&f, LIMIT);
	assert_true(fill(&f) > 0);
	uz_device_set_limit(f.dev, 2 * LIMIT);
	expect_limit(&f, LIMIT);
	uz_device_set_limit(f.dev, LIMIT / 2);
	expect_limit(&f, LIMIT / 2);
	uz_device_set_limit(f.dev, 0);
	expect_limit(&f, LIMIT);

	/* It stays when the device begins anew. */
	assert_int_equal(uz_device_reset(f.dev, true, NULL), 0);
	expect_limit(&f, LIMIT);
	assert_int_equal(uz_device_set_disksize(f.dev, SIZE, NULL), 0);
	expect_limit(&f, LIMIT);
	assert_true(fill(&f) > 0);
	uz_device_set_ceiling(f.dev, 0);
	expect_limit(&f, 0);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_growth_stops_at_the_limit),
		cmocka_unit_test(test_overwriting_does_not_creep),
		cmocka_unit_test(test_overwrites_succeed_at_the_limit),
		cmocka_unit_test(test_growing_overwrite_leaves_the_old),
		cmocka_unit_test(test_dropping_makes_room),
		cmocka_unit_test(test_gaps_are_room_for_other_sizes),
		cmocka_unit_test(test_ceiling_is_above_all_limits),
	};

	return cmocka_run_group_tests_name("device limit", tests, NULL, NULL);
}
