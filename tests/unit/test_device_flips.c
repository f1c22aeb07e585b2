// SPDX-License-Identifier: MIT
/*
 * Bits that flip in memory, at random, in slots and in objects: the page alone
 * fails, with -EIO, whoever asked to be told is told, and a store or a drop
 * heals it so that nothing is lost in the pool or freed twice.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <device_priv.h>

#include "device_fixture.h"

#define SIZE (2u << 20)
#define NR   (SIZE / UZ_PAGE_SIZE)

/* A sanitizer makes it ten times slower. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FLIPS 1000
#else
#define FLIPS 10000
#endif

struct scene {
	struct fixture f;
	unsigned char model[SIZE];
	uint64_t told;
	uint64_t where;
	const char *why;
};

static void damaged(void *arg, uint64_t index, const char *why)
{
	struct scene *s = arg;

	s->told++;
	s->where = index;
	s->why = why;
}

static void seed_random(void)
{
	const char *env = getenv("UZ_SEED");
	unsigned int seed = env ? (unsigned int)atoi(env)
				: (unsigned int)getpid();

	print_message("# seed %u\n", seed);
	srandom(seed);
}

static void random_page(unsigned char *page)
{
	uint64_t x = (uint64_t)random();

	switch (random() % 6) {
	case 0:
		page_noise(page, x);
		break;
	case 1:
		page_same(page, x);
		break;
	case 2:
		page_same(page, random() % 2 ? 0 : x << 32 | x);
		break;
	case 3:
		page_same(page, UINT64_C(0x0123456789abcdef) + x);
		break;
	default:
		page_text(page, x);
	}
}

/* Write the page or drop it: either makes it sound. */
static void change(struct scene *s, uint64_t index)
{
	unsigned char *want = s->model + index * UZ_PAGE_SIZE;

	if (random() % 4 == 0) {
		memset(want, 0, UZ_PAGE_SIZE);
		uz_page_drop(s->f.io, index);
		return;
	}
	random_page(want);
	assert_int_equal(uz_page_store(s->f.io, index, want), 0);
}

static int set_up(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	uint64_t i;

	seed_random();
	fixture_open(&s->f, NULL, SIZE);
	uz_device_on_damage(s->f.dev, damaged, s);
	for (i = 0; i < NR; i++)
		change(s, i);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *s = *state;

	fixture_close(&s->f);
	free(s);
	return 0;
}

static void flip_slot(struct scene *s, uint64_t index, unsigned int bit)
{
	const struct uz_table *table = s->f.dev->table;
	uz_slot_t w = uz_table_load(table, index);

	uz_table_exchange(s->f.dev->table, index, w ^ UINT64_C(1) << bit);
}

/*
 * A bit of the page's object, checksum included; false if it has none. Where
 * objects are in pieces, one of the first piece, behind its link.
 */
static bool flip_object(struct scene *s, uint64_t index)
{
	uz_slot_t w = uz_table_load(s->f.dev->table, index);
	const char *zpool = getenv("UZ_ZPOOL");
	bool pieces = zpool && !strcmp(zpool, "scatter");
	uint32_t len = uz__object_bytes(uz_slot_size(w));
	unsigned char byte;
	off_t at;

	if (!uz_slot_in_pool(w))
		return false;
	if (pieces && len > 240)
		len = 240;
	at = (off_t)(uz_slot_ref(w) * UZ_REF_UNIT) + (pieces ? 8 : 0) +
	     random() % len;
	assert_int_equal(pread(s->f.mem.arena_fd, &byte, 1, at), 1);
	byte ^= (unsigned char)(1 << random() % 8);
	assert_int_equal(pwrite(s->f.mem.arena_fd, &byte, 1, at), 1);
	return true;
}

static void expect_damage(struct scene *s, uint64_t index, const char *why)
{
	struct uz_request part = { UZ_OP_WRITE, index * UZ_PAGE_SIZE + 7, 100,
				   s->model };
	unsigned char got[UZ_PAGE_SIZE];
	struct uz_device_stat before, after;

	s->told = 0;
	uz_device_stat(s->f.dev, &before);
	assert_int_equal(uz_page_load(s->f.io, index, got), -EIO);
	assert_int_equal(uz_device_submit(s->f.io, &part), -EIO);
	uz_device_stat(s->f.dev, &after);
	assert_int_equal(after.checksum_errors - before.checksum_errors, 2);
	assert_int_equal(after.failed_reads - before.failed_reads, 1);
	assert_int_equal(after.failed_writes - before.failed_writes, 1);
	assert_int_equal(s->told, 2);
	assert_int_equal(s->where, index);
	assert_string_equal(s->why, why);
}

/* Every page but @bad, which may be NR, is what it should be. */
static void expect_others(struct scene *s, uint64_t bad)
{
	uint64_t i;

	for (i = 0; i < NR; i++)
		if (i != bad)
			expect_page(&s->f, i, s->model + i * UZ_PAGE_SIZE);
}

static void compact(struct scene *s)
{
	struct uz_pool_compaction done = { 0 };

	uz_device_compact(s->f.dev, UZ_POOL_COMPACT_ALL, 100, &done);
}

static void test_any_flip(void **state)
{
	struct scene *s = *state;
	unsigned int i;

	for (i = 0; i < FLIPS; i++) {
		uint64_t index = (uint64_t)random() % NR;

		if (random() % 2 && flip_object(s, index)) {
			expect_damage(s, index, UZ__DAMAGED_OBJECT);
		} else {
			flip_slot(s, index, (unsigned int)random() % 64);
			expect_damage(s, index, UZ__DAMAGED_SLOT);
		}
		if (i % 100 == 0) {
			compact(s);
			expect_others(s, index);
			assert_int_equal(uz_device_check(s->f.dev, NULL),
					 -EUCLEAN);
		}
		change(s, index);
		expect_page(&s->f, index, s->model + index * UZ_PAGE_SIZE);
		if (i % 100 == 0)
			fixture_check(&s->f);
		/* Others come and go, so that places are used again. */
		change(s, (uint64_t)random() % NR);
	}
	expect_others(s, NR);
}

/* A scrub finds all of it, names the first, and hurts nobody. */
static void test_scrub_finds_flips(void **state)
{
	struct scene *s = *state;
	struct uz_scrub scrub = { 0 };
	struct uz_device_stat stat;
	uint64_t i, bad = 0;

	while (uz_device_scrub(s->f.io, 7, &scrub))
		;
	uz_device_stat(s->f.dev, &stat);
	assert_int_equal(scrub.errors, 0);
	assert_int_equal(scrub.pages * UZ_PAGE_SIZE, stat.orig_data_size);
	for (i = 20; i < NR; i += 10, bad++)
		if (i % 20 || !flip_object(s, i))
			flip_slot(s, i, (unsigned int)random() % 64);
	scrub = (struct uz_scrub){ 0 };
	s->told = 0;
	while (uz_device_scrub(s->f.io, 7, &scrub))
		;
	assert_int_equal(scrub.errors, bad);
	assert_int_equal(scrub.bad, 20);
	assert_int_equal(s->told, bad);
	for (i = 20; i < NR; i += 10)
		change(s, i);
	expect_others(s, NR);
}

/* Each bit of each kind of slot; many at once. */
static void test_each_bit_of_slots(void **state)
{
	struct scene *s = *state;
	unsigned int bit;
	uint64_t i;

	for (bit = 0; bit < 64; bit++) {
		for (i = bit % 2; i < NR; i += 2)
			flip_slot(s, i, bit);
		for (i = bit % 2; i < NR; i += 2)
			expect_damage(s, i, UZ__DAMAGED_SLOT);
		for (i = bit % 2; i < NR; i += 2)
			change(s, i);
		fixture_check(&s->f);
		expect_others(s, NR);
	}
}

/* At the memory limit, too, a store heals: by what the page had before. */
static void test_heals_at_the_limit(void **state)
{
	struct scene *s = *state;
	unsigned char page[UZ_PAGE_SIZE];
	struct uz_device_stat stat;
	uint64_t i, bad = NR;
	unsigned int bit;

	uz_device_stat(s->f.dev, &stat);
	uz_device_set_limit(s->f.dev, stat.mem_used_total);
	/* Until there is no room for one more. */
	for (i = 0; i < NR; i++) {
		page_noise(page, 1000 + i);
		if (!uz_page_store(s->f.io, i, page))
			bad = i;
	}
	assert_true(bad < NR);
	for (bit = 0; bit < 64; bit++) {
		flip_slot(s, bad, bit);
		assert_int_equal(uz_page_load(s->f.io, bad, page), -EIO);
		page_noise(page, 5000 + bit);
		assert_int_equal(uz_page_store(s->f.io, bad, page), 0);
		expect_page(&s->f, bad, page);
		fixture_check(&s->f);
	}
	assert_true(flip_object(s, bad));
	assert_int_equal(uz_page_load(s->f.io, bad, page), -EIO);
	page_noise(page, 6000);
	assert_int_equal(uz_page_store(s->f.io, bad, page), 0);
	expect_page(&s->f, bad, page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_any_flip, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_scrub_finds_flips, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_each_bit_of_slots, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_heals_at_the_limit, set_up,
						tear_down),
	};

	return cmocka_run_group_tests_name("device flips", tests, NULL, NULL);
}
