// SPDX-License-Identifier: MIT
/*
 * A device on an allocator whose objects can only be copied out: what others
 * do between a copy and the swap is not undone, even if the slot's word is the
 * same again. That loads, stores and limits work on it as on any other is
 * shown by the other tests of the device, linked with copying_pool.c.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <device_priv.h>

#include "copying_pool.h"
#include "device_fixture.h"

#define SIZE  (4u << 20)
#define INDEX 5

struct scene {
	struct fixture f;
	struct uz_io *other; /* of the thread that comes in between */
	unsigned char first[UZ_PAGE_SIZE], second[UZ_PAGE_SIZE];
	uz_slot_t slot;
	bool came;
};

static int set_up(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	fixture_open(&s->f, NULL, SIZE);
	assert_int_equal(uz_io_create(s->f.dev, &s->other), 0);
	page_noise(s->first, 1);
	page_noise(s->second, 2);
	assert_int_equal(uz_page_store(s->f.io, INDEX, s->first), 0);
	s->slot = uz_table_load(s->f.dev->table, INDEX);
	copying_hooks = (struct copying_hooks){ .arg = s };
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *s = *state;

	assert_null(copying_hooks.mapped);
	assert_null(copying_hooks.unmapped);
	uz_io_destroy(s->other);
	fixture_close(&s->f);
	free(s);
	return 0;
}

static uint64_t retries(struct scene *s)
{
	struct uz_device_stat stat;

	uz_device_stat(s->f.dev, &stat);
	return stat.retries;
}

/* Another content at the same place: the word is what it was. */
static void same_word(void *arg)
{
	struct scene *s = arg;

	assert_int_equal(uz_page_store(s->other, INDEX, s->first), 0);
	assert_int_equal(uz_page_store(s->other, INDEX, s->second), 0);
	s->came = uz_table_load(s->f.dev->table, INDEX) == s->slot;
}

static void test_same_word_other_content(void **state)
{
	struct scene *s = *state;

	copying_hooks.unmapped = same_word;
	assert_int_equal(uz_page_store_part(s->f.io, INDEX, 10, 3, "abc"), 0);
	assert_true(s->came);
	assert_int_equal(retries(s), 1);
	memcpy(s->second + 10, "abc", 3);
	expect_page(&s->f, INDEX, s->second);
}

/* Same word, same content: then nothing was lost. */
static void test_same_word_same_content(void **state)
{
	struct scene *s = *state;

	memcpy(s->second, s->first, UZ_PAGE_SIZE);
	copying_hooks.unmapped = same_word;
	assert_int_equal(uz_page_store_part(s->f.io, INDEX, 10, 3, "abc"), 0);
	assert_true(s->came);
	assert_int_equal(retries(s), 0);
	memcpy(s->first + 10, "abc", 3);
	expect_page(&s->f, INDEX, s->first);
}

static void store_second(void *arg)
{
	struct scene *s = arg;

	s->came = true;
	assert_int_equal(uz_page_store(s->other, INDEX, s->second), 0);
}

static void test_other_word(void **state)
{
	struct scene *s = *state;

	copying_hooks.unmapped = store_second;
	assert_int_equal(uz_page_store_part(s->f.io, INDEX, 10, 3, "abc"), 0);
	assert_true(s->came);
	assert_int_equal(retries(s), 1);
	memcpy(s->second + 10, "abc", 3);
	expect_page(&s->f, INDEX, s->second);
}

static void drop(void *arg)
{
	struct scene *s = arg;

	s->came = true;
	uz_page_drop(s->other, INDEX);
}

static void test_dropped(void **state)
{
	struct scene *s = *state;

	copying_hooks.unmapped = drop;
	assert_int_equal(uz_page_store_part(s->f.io, INDEX, 10, 3, "abc"), 0);
	assert_true(s->came);
	memset(s->first, 0, UZ_PAGE_SIZE);
	memcpy(s->first + 10, "abc", 3);
	expect_page(&s->f, INDEX, s->first);
}

static void set_idle(void *arg)
{
	struct scene *s = arg;

	s->came = true;
	uz_table_exchange(s->f.dev->table, INDEX,
			  uz_slot_flags(s->slot, UZ_SLOT_IDLE, 0));
}

static void test_other_flags(void **state)
{
	struct scene *s = *state;

	copying_hooks.unmapped = set_idle;
	assert_int_equal(uz_page_store_part(s->f.io, INDEX, 10, 3, "abc"), 0);
	assert_true(s->came);
	memcpy(s->first + 10, "abc", 3);
	expect_page(&s->f, INDEX, s->first);
}

/* Gone between the look at the slot and the map: what is there now is read. */
static void empty_slot(void *arg)
{
	struct scene *s = arg;

	s->came = true;
	uz_table_exchange(s->f.dev->table, INDEX, 0);
}

static void test_load_looks_again(void **state)
{
	struct scene *s = *state;
	unsigned char zeroes[UZ_PAGE_SIZE] = { 0 };

	copying_hooks.mapped = empty_slot;
	expect_page(&s->f, INDEX, zeroes);
	assert_true(s->came);
	assert_int_equal(retries(s), 1);
	/* Put back, as the object was never freed. */
	uz_table_exchange(s->f.dev->table, INDEX, s->slot);
	expect_page(&s->f, INDEX, s->first);
}

/* A slot of impossible size is an error, not a copy beyond the buffers. */
static void test_impossible_size(void **state)
{
	struct scene *s = *state;
	unsigned char buf[UZ_PAGE_SIZE];
	struct uz_device_stat stat;

	uz_table_exchange(s->f.dev->table, INDEX,
			  s->slot | UINT64_C(0x1fff) << 8);
	assert_int_equal(uz_page_load(s->f.io, INDEX, buf), -EIO);
	assert_int_equal(uz_page_store_part(s->f.io, INDEX, 1, 1, "x"), -EIO);
	assert_int_equal(uz_device_check(s->f.dev, NULL), -EUCLEAN);
	uz_device_stat(s->f.dev, &stat);
	assert_int_equal(stat.checksum_errors, 2);
	uz_table_exchange(s->f.dev->table, INDEX, s->slot);
	expect_page(&s->f, INDEX, s->first);
}

#define scene_test(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		scene_test(test_same_word_other_content),
		scene_test(test_same_word_same_content),
		scene_test(test_other_word),
		scene_test(test_dropped),
		scene_test(test_other_flags),
		scene_test(test_load_looks_again),
		scene_test(test_impossible_size),
	};

	return cmocka_run_group_tests_name("device copy", tests, NULL, NULL);
}
