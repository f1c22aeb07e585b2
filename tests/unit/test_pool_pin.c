// SPDX-License-Identifier: MIT
/*
 * Pins and the frees that wait for them: what is pinned stays, what is freed
 * gets free in the end, whoever unmaps, in whatever order, and even if the
 * zspage is never without a pin. A map that came too late harms nobody.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pool_fixture.h"

static uint64_t deferred(struct fixture *f)
{
	return fixture_stat(f).deferred;
}

static void test_free_waits_for_the_pin(void **state)
{
	struct uz_map map;
	struct fixture f;
	uz_ref_t a, b;

	(void)state;
	fixture_open(&f, 4);
	a = fixture_alloc(&f, 1000, 1);
	uz_pool_map(f.pool, a, &map);
	assert_ptr_equal(map.bytes, uz_pool_bytes(f.pool, a));
	uz_pool_free(f.pool, a);
	assert_int_equal(deferred(&f), 1);
	assert_int_equal(fixture_stat(&f).objects, 0);
	assert_int_equal(fixture_stat(&f).object_bytes, 0);
	fixture_check(&f);
	/* Neither reused nor given back. */
	b = fixture_alloc(&f, 1000, 2);
	assert_int_not_equal(a, b);
	fixture_same_mapped(&f, &map, 1000, 1);
	uz_pool_unmap(f.pool, &map);
	assert_int_equal(deferred(&f), 0);
	fixture_check(&f);
	assert_int_equal(fixture_alloc(&f, 1000, 3), a);
	uz_pool_free(f.pool, a);
	uz_pool_free(f.pool, b);
	fixture_close(&f);
}

/* The last object of a zspage: its memory returns with the last pin. */
static void test_unmap_gives_memory_back(void **state)
{
	struct uz_map first, second;
	struct fixture f;
	uz_ref_t a;

	(void)state;
	fixture_open(&f, 4);
	a = fixture_alloc(&f, 4096, 1);
	uz_pool_map(f.pool, a, &first);
	uz_pool_map(f.pool, a, &second);
	uz_pool_free(f.pool, a);
	uz_pool_unmap(f.pool, &first);
	assert_int_equal(fixture_resident(&f), PAGES(1));
	fixture_same(&f, a, 4096, 1);
	uz_pool_unmap(f.pool, &second);
	assert_int_equal(fixture_resident(&f), 0);
	fixture_close(&f);
}

/* A pin taken after the free does not hold it up. */
static void test_later_pins_do_not_count(void **state)
{
	struct uz_map early, late;
	struct fixture f;
	uz_ref_t a, b;

	(void)state;
	fixture_open(&f, 4);
	a = fixture_alloc(&f, 1000, 1);
	b = fixture_alloc(&f, 1000, 2);
	uz_pool_map(f.pool, b, &early);
	uz_pool_free(f.pool, a);
	uz_pool_map(f.pool, b, &late);
	assert_int_equal(deferred(&f), 1);
	uz_pool_unmap(f.pool, &early);
	assert_int_equal(deferred(&f), 0);
	/* Held up by the late one; it is of the other epoch. */
	uz_pool_free(f.pool, b);
	assert_int_equal(deferred(&f), 1);
	fixture_same(&f, b, 1000, 2);
	uz_pool_unmap(f.pool, &late);
	assert_int_equal(deferred(&f), 0);
	fixture_close(&f);
}

/*
 * There is always a pin, each overlapping the next, and in each step an
 * object is freed: the frees that wait must not pile up.
 */
static void test_pins_that_overlap_for_ever(void **state)
{
	struct uz_map maps[2];
	uz_ref_t stays, ref;
	struct fixture f;
	unsigned int i;

	(void)state;
	fixture_open(&f, 4);
	stays = fixture_alloc(&f, 400, 0);
	uz_pool_map(f.pool, stays, &maps[0]);
	for (i = 1; i < 5000; i++) {
		ref = fixture_alloc(&f, 400, i);
		uz_pool_free(f.pool, ref);
		uz_pool_map(f.pool, stays, &maps[i % 2]);
		uz_pool_unmap(f.pool, &maps[(i + 1) % 2]);
		assert_true(deferred(&f) <= 2);
	}
	assert_int_equal(uz_pool_used_bytes(f.pool), PAGES(1));
	fixture_check(&f);
	uz_pool_unmap(f.pool, &maps[(i + 1) % 2]);
	assert_int_equal(deferred(&f), 0);
	uz_pool_free(f.pool, stays);
	fixture_close(&f);
}

/* A reader sleeps for long: what it reads stays, then all goes. */
static void test_long_pin(void **state)
{
	enum {
		NR = 200
	};
	struct uz_map sleepers[NR], passing;
	uz_ref_t refs[NR];
	struct fixture f;
	unsigned int i;

	(void)state;
	fixture_open(&f, 4);
	fixture_fill(&f, refs, NR, 400);
	for (i = 0; i < NR; i += 10)
		uz_pool_map(f.pool, refs[i], &sleepers[i]);
	for (i = 0; i < NR; i++) {
		uz_pool_map(f.pool, refs[i], &passing);
		uz_pool_free(f.pool, refs[i]);
		uz_pool_unmap(f.pool, &passing);
	}
	assert_true(deferred(&f) >= NR / 10);
	assert_true(fixture_stat(&f).deferred_bytes >= NR / 10 * 400);
	fixture_check(&f);
	for (i = 0; i < NR; i += 10) {
		fixture_same_mapped(&f, &sleepers[i], 400, i);
		uz_pool_unmap(f.pool, &sleepers[i]);
	}
	assert_int_equal(deferred(&f), 0);
	fixture_close(&f);
}

/* Every order of three unmaps, with a free between the maps. */
static void test_any_order(void **state)
{
	static const unsigned int orders[6][3] = {
		{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
		{ 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 },
	};
	struct uz_map maps[3];
	uz_ref_t refs[3];
	struct fixture f;
	unsigned int o, i;

	(void)state;
	fixture_open(&f, 4);
	for (o = 0; o < 6; o++) {
		fixture_fill(&f, refs, 3, 500);
		for (i = 0; i < 3; i++) {
			uz_pool_map(f.pool, refs[i], &maps[i]);
			uz_pool_free(f.pool, refs[i]);
		}
		for (i = 0; i < 3; i++) {
			fixture_same(&f, refs[orders[o][i]], 500, orders[o][i]);
			fixture_check(&f);
			uz_pool_unmap(f.pool, &maps[orders[o][i]]);
		}
		assert_int_equal(deferred(&f), 0);
		assert_int_equal(fixture_resident(&f), 0);
	}
	fixture_close(&f);
}

struct handover {
	struct fixture *f;
	struct uz_map map;
};

static void *unmap_it(void *arg)
{
	struct handover *h = arg;

	uz_pool_unmap(h->f->pool, &h->map);
	return NULL;
}

/* A map is a plain value: another thread may release a copy of it. */
static void test_unmap_by_another_thread(void **state)
{
	struct handover h;
	struct uz_map map;
	pthread_t thread;
	struct fixture f;
	uz_ref_t a;

	(void)state;
	fixture_open(&f, 4);
	a = fixture_alloc(&f, 1000, 1);
	uz_pool_map(f.pool, a, &map);
	uz_pool_free(f.pool, a);
	h = (struct handover){ .f = &f, .map = map };
	assert_int_equal(pthread_create(&thread, NULL, unmap_it, &h), 0);
	pthread_join(thread, NULL);
	assert_int_equal(deferred(&f), 0);
	fixture_close(&f);
}

/* The object was freed before the map: its window is empty by then. */
static void test_stale_map_of_an_empty_window(void **state)
{
	struct uz_map map;
	struct fixture f;
	uz_ref_t a;

	(void)state;
	fixture_open(&f, 4);
	a = fixture_alloc(&f, 1000, 1);
	uz_pool_free(f.pool, a);
	uz_pool_map(f.pool, a, &map);
	fixture_check(&f);
	uz_pool_unmap(f.pool, &map);
	assert_int_equal(fixture_resident(&f), 0);
	fixture_close(&f);
}

/*
 * The map is older than the use that its window was put to, in another class:
 * it delays frees there, and its unmap must find the right class.
 */
static void test_stale_map_of_a_reused_window(void **state)
{
	struct uz_map map;
	struct fixture f;
	uz_ref_t a, b, c;

	(void)state;
	fixture_open(&f, 4);
	a = fixture_alloc(&f, 1000, 1);
	uz_pool_free(f.pool, a);
	uz_pool_map(f.pool, a, &map);
	b = fixture_alloc(&f, 3000, 2);
	c = fixture_alloc(&f, 3000, 3);
	assert_int_equal(fixture_window(a), fixture_window(b));
	uz_pool_free(f.pool, b);
	assert_int_equal(deferred(&f), 1);
	fixture_check(&f);
	uz_pool_unmap(f.pool, &map);
	assert_int_equal(deferred(&f), 0);
	fixture_same(&f, c, 3000, 3);
	fixture_check(&f);
	uz_pool_free(f.pool, c);
	fixture_close(&f);
}

/* Any ref within the arena may be mapped, whatever lies there. */
static void test_map_of_nothing(void **state)
{
	struct uz_map map;
	struct fixture f;
	uint64_t ref, last;

	(void)state;
	fixture_open(&f, 64);
	last = f.config.arena_size / UZ_REF_UNIT - 1;
	for (ref = 0; ref < last; ref += 12347) {
		uz_pool_map(f.pool, ref, &map);
		uz_pool_unmap(f.pool, &map);
	}
	uz_pool_map(f.pool, last, &map);
	uz_pool_unmap(f.pool, &map);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_free_waits_for_the_pin),
		cmocka_unit_test(test_unmap_gives_memory_back),
		cmocka_unit_test(test_later_pins_do_not_count),
		cmocka_unit_test(test_pins_that_overlap_for_ever),
		cmocka_unit_test(test_long_pin),
		cmocka_unit_test(test_any_order),
		cmocka_unit_test(test_unmap_by_another_thread),
		cmocka_unit_test(test_stale_map_of_an_empty_window),
		cmocka_unit_test(test_stale_map_of_a_reused_window),
		cmocka_unit_test(test_map_of_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
