// SPDX-License-Identifier: MIT
/*
 * What compaction must leave alone: what is pinned, locked, not published yet,
 * or changed by its owner at that moment.
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

static void test_pinned(void **state)
{
	struct scene *s = set_up(2048);
	static struct uz_map maps[OWNERS];
	static bool pinned[4096];
	unsigned int nr = 0, i;
	struct uz__zspage *z;
	uint64_t gainable;

	(void)state;
	memset(pinned, 0, sizeof(pinned));
	fill(s, 30000, 1000);
	thin_out(s, 30000, 4);
	/* Two thirds of all zspages are mapped by somebody. */
	for (i = 0; i < OWNERS; i++) {
		if (s->word[i] == NOTHING)
			continue;
		z = zspage_of(s, i);
		if (fixture_window(s->word[i]) % 3 == 0 ||
		    pinned[fixture_window(s->word[i])])
			continue;
		pinned[fixture_window(s->word[i])] = true;
		uz_pool_map(s->f.pool, s->word[i], &maps[nr++]);
		assert_true(atomic_load(&z->pins));
	}
	assert_true(nr > 50);
	gainable = gain(s, 1000);
	assert_false(compact_all(s));
	check(s);
	/* Some were filled before they were looked at. */
	assert_true(s->done.pinned > nr / 2);
	assert_true(s->done.pinned <= nr);
	/* A third of the zspages is empty now. */
	assert_true(s->done.pages > gainable / 4);
	for (i = 0; i < nr; i++)
		uz_pool_unmap(s->f.pool, &maps[i]);
	s->done.pinned = 0;
	assert_false(compact_all(s));
	assert_int_equal(s->done.pinned, 0);
	assert_true(gain(s, 1000) <= 1);
	finish(s);
}

/* A zspage with deferred frees is not touched: its owners are list links. */
static void test_deferred(void **state)
{
	struct scene *s = set_up(4);
	struct uz_map map;
	unsigned int i;

	(void)state;
	fill(s, 100, 1000);
	uz_pool_map(s->f.pool, s->word[99], &map);
	for (i = 0; i < 90; i++)
		drop(s, i);
	assert_false(compact_all(s));
	assert_int_equal(s->calls, 0);
	check(s);
	uz_pool_unmap(s->f.pool, &map);
	assert_false(compact_all(s));
	assert_int_equal(s->done.objects, 10);
	finish(s);
}

/* Allocated, but no word names it yet. */
static void test_unpublished(void **state)
{
	struct scene *s = set_up(512);
	uint64_t busy;
	uz_ref_t ref;

	(void)state;
	fill(s, 6000, 1000);
	ref = s->word[5999];
	s->word[5999] = NOTHING; /* the last one is still being filled */
	thin_out(s, 5999, 3);
	assert_false(compact_all(s));
	busy = s->done.busy;
	assert_in_range(busy, 0, 2);
	fixture_same(&s->f, ref, 1000, 5999);
	s->word[5999] = ref;
	check(s);
	assert_false(compact_all(s));
	assert_int_equal(s->done.busy, busy);
	assert_in_range(gain(s, 1000), 0, 2);
	finish(s);
}

static bool refuse(struct scene *s, uint32_t owner, uz_ref_t from)
{
	(void)s;
	(void)owner;
	(void)from;
	return false;
}

static bool refuse_some(struct scene *s, uint32_t owner, uz_ref_t from)
{
	(void)owner;
	(void)from;
	return random_below(s, 4);
}

static void test_refused(void **state)
{
	struct scene *s = set_up(512);
	unsigned int i;

	(void)state;
	fill(s, 6000, 1000);
	thin_out(s, 6000, 3);
	s->before = refuse;
	assert_false(compact_all(s));
	assert_int_equal(s->done.objects, 0);
	assert_int_equal(s->done.busy, s->calls);
	check(s);
	s->before = refuse_some;
	for (i = 0; i < 50; i++) {
		compact_all(s);
		check(s);
	}
	s->before = NULL;
	assert_false(compact_all(s));
	/* What stopped half-way ends within a page. */
	assert_true(gain(s, 1000) <= 4);
	finish(s);
}

/* Its owner drops an object just as it is to be moved. */
static bool drop_it(struct scene *s, uint32_t owner, uz_ref_t from)
{
	if (s->word[owner] == from && !random_below(s, 3))
		drop(s, owner);
	return true;
}

static void test_dropped_meanwhile(void **state)
{
	struct scene *s = set_up(512);

	(void)state;
	fill(s, 6000, 1000);
	thin_out(s, 6000, 2);
	s->before = drop_it;
	compact_all(s);
	check(s);
	assert_true(s->done.busy > 0);
	s->before = NULL;
	assert_false(compact_all(s));
	/* What stopped half-way ends within a page. */
	assert_true(gain(s, 1000) <= 4);
	finish(s);
}

/* Somebody else maps an object of the zspage, which then is moved. */
static bool map_it(struct scene *s, uint32_t owner, uz_ref_t from)
{
	if (!s->mapped && s->word[owner] == from) {
		uz_pool_map(s->f.pool, from, &s->map);
		s->mapped = true;
	}
	return true;
}

static void test_mapped_meanwhile(void **state)
{
	struct scene *s = set_up(512);
	uint8_t bytes[1000];

	(void)state;
	fill(s, 6000, 1000);
	thin_out(s, 6000, 3);
	s->before = map_it;
	assert_false(compact_all(s));
	check(s);
	assert_true(s->mapped);
	assert_true(s->done.pinned > 0);
	assert_true(fixture_stat(&s->f).deferred > 0);
	/* The old place is as it was as long as it is mapped. */
	memcpy(bytes, s->map.bytes, sizeof(bytes));
	assert_int_equal((uint8_t)(bytes[1] - bytes[0]), 7);
	uz_pool_unmap(s->f.pool, &s->map);
	assert_int_equal(fixture_stat(&s->f).deferred, 0);
	check(s);
	s->before = NULL;
	assert_false(compact_all(s));
	assert_true(gain(s, 1000) <= 1);
	finish(s);
}

/* The pool is used from within a move: class's lock is not held. */
static bool store_more(struct scene *s, uint32_t owner, uz_ref_t from)
{
	uint32_t other = random_below(s, OWNERS);

	(void)owner;
	(void)from;
	if (s->word[other] == NOTHING)
		store(s, other, 1000);
	else
		drop(s, other);
	return true;
}

static void test_stores_meanwhile(void **state)
{
	struct scene *s = set_up(2048);
	unsigned int i;

	(void)state;
	fill(s, 20000, 1000);
	thin_out(s, 20000, 3);
	s->before = store_more;
	for (i = 0; i < 10; i++) {
		compact(s, UZ_POOL_COMPACT_ALL, 1000);
		check(s);
	}
	finish(s);
}

static void *finds_more(void *arg)
{
	return compact_all(arg) ? arg : NULL;
}

static void test_contended(void **state)
{
	struct scene *s = set_up(512);
	void *more = NULL;
	pthread_t thread;
	unsigned int i;

	(void)state;
	fill(s, 3000, 1000);
	thin_out(s, 3000, 2);
	for (i = 3000; i < 6000; i++)
		store(s, i, 2000);
	for (i = 3000; i < 6000; i += 2)
		drop(s, i);
	uz_lock_acquire(&class_of(s, 1000)->lock);
	assert_int_equal(pthread_create(&thread, NULL, finds_more, s), 0);
	pthread_join(thread, &more);
	uz_lock_release(&class_of(s, 1000)->lock);
	assert_non_null(more);
	assert_true(s->done.contended > 0);
	assert_true(gain(s, 1000) > 1);
	assert_true(gain(s, 2000) <= 1); /* the rest went on */
	check(s);
	assert_false(compact_all(s));
	assert_true(gain(s, 1000) <= 1);
	finish(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pinned),
		cmocka_unit_test(test_deferred),
		cmocka_unit_test(test_unpublished),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_dropped_meanwhile),
		cmocka_unit_test(test_mapped_meanwhile),
		cmocka_unit_test(test_stores_meanwhile),
		cmocka_unit_test(test_contended),
	};

	return cmocka_run_group_tests_name("pool compact left", tests, NULL,
					   NULL);
}
