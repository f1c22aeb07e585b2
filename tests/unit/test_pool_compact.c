// SPDX-License-Identifier: MIT
/*
 * What compaction gains, at the memory limit and within a budget too, and that
 * nothing is lost on the way.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "compact_fixture.h"

static void test_need_and_room(void **state)
{
	struct scene *s = set_up(16);
	struct uz__zs *pool = uz__zs(s->f.pool);
	const struct uz__class *c;
	uint64_t n, p;
	unsigned int i;

	(void)state;
	for (i = 1; i < pool->nr_classes; i++) {
		c = &pool->classes[i];
		assert_int_equal(uz__class_need(c, 0), 0);
		assert_int_equal(uz__class_need(c, c->objects), c->pages);
		for (n = 1; n < 3u * c->objects; n += 1 + n / 7) {
			p = uz__class_need(c, n);
			assert_true(uz__class_room(c, p) >= n);
			assert_true(uz__class_room(c, p - 1) < n);
		}
	}
	finish(s);
}

static void density(uint32_t size, uint32_t of)
{
	struct scene *s = set_up(2048);
	uint32_t nr = size < 512 ? OWNERS : OWNERS / 4;
	uint64_t before;

	fill(s, nr, size);
	thin_out(s, nr, of);
	before = pages(s);
	assert_false(compact_all(s));
	check(s);
	assert_true(gain(s, size) <= 1);
	assert_true(s->done.objects <= objects(s));
	assert_int_equal(s->done.pages, before - pages(s));
	assert_true(s->done.pages > 0);
	assert_int_equal(s->done.pinned, 0);
	assert_int_equal(s->done.contended, 0);
	assert_int_equal(s->done.busy, 0);
	assert_int_equal(s->calls, s->done.objects);
	/* Hardly anything is left to be done. */
	s->calls = 0;
	assert_false(compact_all(s));
	assert_true(s->calls <= class_of(s, size)->objects);
	finish(s);
}

static void test_density(void **state)
{
	static const uint32_t sizes[] = { 8, 104, 700, 1500, 2100, 4096, 4104 };
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		density(sizes[i], 2);
		density(sizes[i], 20);
	}
}

static void test_many_classes(void **state)
{
	struct scene *s = set_up(4096);
	uint64_t before, gains = 0;
	uint32_t i;

	(void)state;
	for (i = 0; i < 20000; i++)
		store(s, i, 1 + random_below(s, UZ_POOL_MAX_OBJECT));
	thin_out(s, 20000, 3);
	before = pages(s);
	assert_false(compact_all(s));
	assert_int_equal(s->done.pages, before - pages(s));
	/* Of each class once: some have many sizes. */
	for (i = 1; i <= UZ_POOL_MAX_OBJECT; i = class_of(s, i)->size + 1) {
		assert_true(gain(s, i) <= 1);
		gains += gain(s, i);
	}
	assert_true(gains < 10);
	finish(s);
}

static void test_nothing_to_gain(void **state)
{
	struct scene *s = set_up(64);
	const struct uz__class *c = class_of(s, 700);
	uint32_t nr = 3000;

	(void)state;
	assert_false(compact_all(s));
	while (uz__class_need(c, nr) != uz__class_need(c, nr - 2))
		nr++;
	fill(s, nr, 700);
	assert_false(compact_all(s)); /* pages that a store took ahead */
	assert_int_equal(s->calls, 0);
	s->done.pages = 0;
	/* Holes, but less than a page of them. */
	drop(s, 100);
	drop(s, 2000);
	assert_false(compact_all(s));
	assert_int_equal(s->calls, 0);
	assert_int_equal(s->done.pages, 0);
	finish(s);
}

/* One zspage: its own highest objects go into its own lowest holes. */
static void test_own_holes(void **state)
{
	struct scene *s = set_up(4);
	unsigned int per = class_of(s, 700)->objects, left = per / 2, i;

	(void)state;
	fill(s, per, 700);
	for (i = 0; i < per; i += 2)
		drop(s, i);
	assert_false(compact_all(s));
	/* Only those above the new end: every other place there. */
	assert_int_equal(s->done.objects, left - left / 2);
	assert_int_equal(gain(s, 700), 0);
	for (i = 0; i < per; i++)
		if (s->word[i] != NOTHING)
			assert_true(s->word[i] * UZ_REF_UNIT < left * 704);
	finish(s);
}

/* Pages above the last object cost no move. */
static void test_only_pages(void **state)
{
	struct scene *s = set_up(4);
	unsigned int per = class_of(s, 1000)->objects;
	unsigned int i;

	(void)state;
	fill(s, per, 1000);
	for (i = 10; i < per; i++)
		drop(s, i);
	assert_false(compact_all(s));
	assert_int_equal(s->calls, 0);
	assert_int_equal(pages(s), 3);
	assert_int_equal(s->done.pages, WINDOW_PAGES - 3);
	finish(s);
}

/* Emptied windows go to the store, and with scope ALL on to the system. */
static void test_memory_is_returned(void **state)
{
	struct scene *s = set_up(512);
	uint32_t i;

	(void)state;
	uz_pool_destroy(s->f.pool);
	s->f.config.keep_empty = PAGES(8 * WINDOW_PAGES);
	assert_int_equal(uz_pool_create(&s->f.pool, s->f.fd, &s->f.config), 0);
	fill(s, 6000, 1000);
	for (i = 0; i < 6000; i++)
		if (i % 4)
			drop(s, i);
	assert_true(fixture_resident(&s->f) > PAGES(1400));
	compact(s, UZ_POOL_COMPACT_FRAGMENTED, NO_LIMIT);
	check(s);
	assert_true(fixture_stat(&s->f).empty_bytes > 0);
	assert_false(compact_all(s));
	assert_int_equal(fixture_stat(&s->f).empty_bytes, 0);
	assert_true(fixture_resident(&s->f) <=
		    PAGES(uz__class_need(class_of(s, 1000), 1500) + 1));
	finish(s);
}

static void test_at_the_limit(void **state)
{
	struct scene *s = set_up(512);
	uz_ref_t ref;

	(void)state;
	fill(s, 6000, 1000);
	uz_pool_set_limit(s->f.pool, uz_pool_used_bytes(s->f.pool));
	thin_out(s, 6000, 4);
	uz_pool_reset_max(s->f.pool);
	assert_int_equal(uz_pool_alloc(s->f.pool, 4000, 0, 0, &ref), -ENOSPC);
	uz_pool_set_limit(s->f.pool, UZ_PAGE_SIZE);
	assert_false(compact_all(s));
	assert_true(gain(s, 1000) <= 1);
	assert_true(s->done.objects > 0);
	/* Not a page was taken meanwhile. */
	assert_int_equal(fixture_stat(&s->f).max_used_bytes,
			 PAGES(s->done.pages) + uz_pool_used_bytes(s->f.pool));
	finish(s);
}

static void test_budget(void **state)
{
	struct scene *s = set_up(512);
	uint64_t moved = 0;
	uint32_t budget;
	bool more = true;

	(void)state;
	fill(s, 8000, 700);
	thin_out(s, 8000, 2);
	assert_true(compact(s, UZ_POOL_COMPACT_ALL, 0));
	assert_int_equal(s->calls, 0);
	for (budget = 1; more; budget = 1 + random_below(s, 150)) {
		more = compact(s, UZ_POOL_COMPACT_ALL, budget);
		assert_true(s->done.objects - moved <= budget);
		assert_true(s->done.objects - moved == budget || !more);
		moved = s->done.objects;
		fixture_check(&s->f);
	}
	assert_true(gain(s, 700) <= 1);
	assert_true(moved <= objects(s));
	finish(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_need_and_room),
		cmocka_unit_test(test_density),
		cmocka_unit_test(test_many_classes),
		cmocka_unit_test(test_nothing_to_gain),
		cmocka_unit_test(test_own_holes),
		cmocka_unit_test(test_only_pages),
		cmocka_unit_test(test_memory_is_returned),
		cmocka_unit_test(test_at_the_limit),
		cmocka_unit_test(test_budget),
	};

	return cmocka_run_group_tests_name("pool compact", tests, NULL, NULL);
}
