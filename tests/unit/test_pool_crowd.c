// SPDX-License-Identifier: MIT
/*
 * Any thread may hold any number of maps for any time, hand them on, and let
 * go of them in any order; others store, free and map meanwhile, and nothing
 * is lost. And the other way round: a free is done within a few turns though
 * there is always a pin, each overlapping the next.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "pool_fixture.h"

#define ZSPAGES	   1000u
#define SIZE	   4096u
#define MOST_PAGES 16u /* of a window */
#define BUSY	   2u
#define ROUNDS	   3000u

/**
 * struct crowd - a pool in which one object of each zspage is mapped
 * @f:      the pool
 * @refs:   all objects, in order of allocation
 * @nr:     how many
 * @mapped: index in @refs of the one that is mapped, by zspage
 * @maps:   the maps, by zspage
 * @meet:   the sleeper has all its maps; it may let go of them
 */
struct crowd {
	struct fixture f;
	uz_ref_t refs[ZSPAGES * MOST_PAGES];
	uint32_t nr;
	uint32_t mapped[ZSPAGES];
	struct uz_map maps[ZSPAGES];
	pthread_barrier_t meet;
};

static struct crowd crowd;

/* Small windows, so that a thousand of them take 64 MiB. */
static void open_small(struct fixture *f)
{
	fixture_open(f, 1);
	uz_pool_destroy(f->pool);
	f->config.window_size = MOST_PAGES * UZ_PAGE_SIZE;
	f->config.arena_size = 2 * ZSPAGES * PAGES(MOST_PAGES);
	assert_int_equal(ftruncate(f->fd, 0), 0);
	assert_int_equal(uz_pool_create(&f->pool, f->fd, &f->config), 0);
}

static uint64_t zspage_of(const struct crowd *c, uz_ref_t ref)
{
	return ref * UZ_REF_UNIT / c->f.config.window_size;
}

/* Fill a thousand zspages; the middle one of each is to be mapped. */
static void fill_zspages(struct crowd *c)
{
	uint32_t nr = 0, in = 0;

	do {
		c->refs[nr] = fixture_alloc(&c->f, SIZE, nr);
		in = nr && zspage_of(c, c->refs[nr]) ==
					     zspage_of(c, c->refs[nr - 1])
			     ? in + 1
			     : 0;
		if (in == MOST_PAGES / 2)
			c->mapped[fixture_stat(&c->f).zspages - 1] = nr;
		nr++;
	} while (in < MOST_PAGES - 1 || fixture_stat(&c->f).zspages < ZSPAGES);
	c->nr = nr;
	assert_int_equal(nr, ZSPAGES * MOST_PAGES);
}

/* Holds all the maps and sleeps; another thread gets half of them. */
static void *sleeper(void *arg)
{
	struct crowd *c = arg;
	unsigned int i;

	for (i = 0; i < ZSPAGES; i++)
		uz_pool_map(c->f.pool, c->refs[c->mapped[i]], &c->maps[i]);
	pthread_barrier_wait(&c->meet);
	pthread_barrier_wait(&c->meet);
	/* 7 and 1000 have no common factor: each once, in no order. */
	for (i = 0; i < ZSPAGES / 2; i++)
		uz_pool_unmap(c->f.pool, &c->maps[i * 7 % ZSPAGES]);
	return NULL;
}

/* The sleeper's maps are in the way of none of this. */
static void *busy(void *arg)
{
	struct crowd *c = arg;
	struct uz_map map, fleeting;
	uz_ref_t ref;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		if (uz_pool_alloc(c->f.pool, SIZE, i, 0, &ref))
			return arg;
		uz_pool_write(c->f.pool, ref, 0, &i, sizeof(i));
		uz_pool_map(c->f.pool, ref, &map);
		uz_pool_map(c->f.pool, c->refs[i * 13 % c->nr], &fleeting);
		uz_pool_free(c->f.pool, ref);
		if (*(const unsigned int *)map.bytes != i)
			return arg;
		uz_pool_unmap(c->f.pool, &map);
		uz_pool_unmap(c->f.pool, &fleeting);
	}
	return NULL;
}

static void run_busy(struct crowd *c)
{
	pthread_t threads[BUSY];
	unsigned int i;
	void *failed;

	for (i = 0; i < BUSY; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, busy, c), 0);
	for (i = 0; i < BUSY; i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
}

static void test_a_thousand_maps(void **state)
{
	struct crowd *c = &crowd;
	pthread_t thread;
	uint32_t i;

	(void)state;
	open_small(&c->f);
	fill_zspages(c);
	assert_int_equal(pthread_barrier_init(&c->meet, NULL, 2), 0);
	assert_int_equal(pthread_create(&thread, NULL, sleeper, c), 0);
	pthread_barrier_wait(&c->meet);

	/* All are freed, none of them may go. */
	fixture_free(&c->f, c->refs, c->nr);
	run_busy(c);
	assert_int_equal(fixture_stat(&c->f).deferred, c->nr);
	assert_int_equal(fixture_stat(&c->f).objects, 0);
	assert_int_equal(fixture_resident(&c->f), ZSPAGES * PAGES(MOST_PAGES));
	fixture_check(&c->f);
	for (i = 0; i < ZSPAGES; i++)
		fixture_same(&c->f, c->refs[c->mapped[i]], SIZE, c->mapped[i]);

	pthread_barrier_wait(&c->meet);
	for (i = ZSPAGES / 2; i < ZSPAGES; i++)
		uz_pool_unmap(c->f.pool, &c->maps[i * 7 % ZSPAGES]);
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&c->meet);
	assert_int_equal(fixture_stat(&c->f).deferred, 0);
	assert_int_equal(fixture_resident(&c->f), 0);
	fixture_close(&c->f);
}

/* ---- pins that overlap for ever ---- */

/**
 * struct relay - an object that is always pinned, never by the same map
 * @f:     the pool
 * @stays: the object
 * @turns: maps that were replaced by a later one so far
 * @end:   no more turns
 */
struct relay {
	struct fixture f;
	uz_ref_t stays;
	atomic_uint turns;
	atomic_bool end;
};

static void *relay_pins(void *arg)
{
	struct relay *r = arg;
	struct uz_map maps[2];
	unsigned int turn = 0;

	uz_pool_map(r->f.pool, r->stays, &maps[0]);
	while (!atomic_load(&r->end)) {
		turn++;
		uz_pool_map(r->f.pool, r->stays, &maps[turn % 2]);
		uz_pool_unmap(r->f.pool, &maps[(turn + 1) % 2]);
		atomic_store(&r->turns, turn);
		sched_yield();
	}
	uz_pool_unmap(r->f.pool, &maps[turn % 2]);
	return NULL;
}

/*
 * The free may come in the middle of a turn, when two pins are held; both are
 * dropped by the end of the next turn but one.
 */
static void wait_for_turns(struct relay *r)
{
	unsigned int from = atomic_load(&r->turns);

	while (atomic_load(&r->turns) - from < 3)
		sched_yield();
}

static void test_frees_go_on(void **state)
{
	struct relay r = { 0 };
	pthread_t thread;
	uz_ref_t ref;
	unsigned int i;

	(void)state;
	fixture_open(&r.f, 4);
	r.stays = fixture_alloc(&r.f, 400, 0);
	assert_int_equal(pthread_create(&thread, NULL, relay_pins, &r), 0);
	for (i = 1; i < ROUNDS; i++) {
		ref = fixture_alloc(&r.f, 400, i);
		assert_int_equal(fixture_window(ref), fixture_window(r.stays));
		uz_pool_free(r.f.pool, ref);
		wait_for_turns(&r);
		assert_int_equal(fixture_stat(&r.f).deferred, 0);
	}
	assert_int_equal(fixture_resident(&r.f), PAGES(1));
	atomic_store(&r.end, true);
	pthread_join(thread, NULL);
	uz_pool_free(r.f.pool, r.stays);
	fixture_close(&r.f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_thousand_maps),
		cmocka_unit_test(test_frees_go_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
