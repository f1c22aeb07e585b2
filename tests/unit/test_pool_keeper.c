// SPDX-License-Identifier: MIT
/*
 * Memory populated ahead: it comes, it goes when nobody needs it, it is no
 * obstacle at the limit, and a system that refuses it does no harm. Times are
 * not measured; what must happen soon is waited for.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "pool_fixture.h"

#define OBJECTS 2000u
#define SIZE	1000u

static _Atomic int populate_fails;
static _Atomic int shares; /* so many times a store comes in between */
static struct uz_pool *shared;
static bool sharing; /* only the keeper's thread looks */
static pthread_t tester;
static uz_ref_t refs[10 * OBJECTS];
static unsigned int nr_refs;

static _Atomic bool refuse_tester;

int __real_uz_shm_punch(const struct uz_shm *shm, size_t off, size_t len);
int __wrap_uz_shm_punch(const struct uz_shm *shm, size_t off, size_t len);
int __real_uz_shm_populate(const struct uz_shm *shm, size_t off, size_t len);
int __wrap_uz_shm_populate(const struct uz_shm *shm, size_t off, size_t len);

/*
 * While the keeper populates a zspage, stores use what there is of it, until
 * one of them comes to the keeper's pages, and fails.
 */
static void share(void)
{
	uz_ref_t stored[64];
	unsigned int i = 0;

	sharing = true;
	while (i < 64 && !uz_pool_alloc(shared, SIZE, i, 0, &stored[i]))
		i++;
	sharing = false;
	while (i)
		uz_pool_free(shared, stored[--i]);
}

/* Fails for the keeper only. */
int __wrap_uz_shm_populate(const struct uz_shm *shm, size_t off, size_t len)
{
	bool keeper = !pthread_equal(pthread_self(), tester);

	if (keeper && sharing)
		return -ENOMEM;
	if (keeper && shares) {
		share();
		shares--;
	}
	if (keeper && populate_fails) {
		populate_fails--;
		return -ENOMEM;
	}
	if (!keeper && refuse_tester)
		return -ENOMEM;
	return __real_uz_shm_populate(shm, off, len);
}

/* The keeper has time to come in between. */
int __wrap_uz_shm_punch(const struct uz_shm *shm, size_t off, size_t len)
{
	if (refuse_tester)
		usleep(5000);
	return __real_uz_shm_punch(shm, off, len);
}

static uint64_t fill(struct fixture *f, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (uz_pool_alloc(f->pool, SIZE, i, 0, &refs[nr_refs]))
			break;
		nr_refs++;
		usleep(i % 64 ? 0 : 500); /* let the keeper run, on any CPU */
	}
	return i;
}

static void free_all(struct fixture *f)
{
	while (nr_refs)
		uz_pool_free(f->pool, refs[--nr_refs]);
}

static void finish(struct fixture *f)
{
	free_all(f);
	fixture_close(f);
}

/* Pages that the objects need, without the tails of their zspages. */
static uint64_t needed(uint64_t objects)
{
	return objects * SIZE / UZ_PAGE_SIZE;
}

static bool has_released(struct fixture *f)
{
	return uz_pool_used_bytes(f->pool) / UZ_PAGE_SIZE <=
	       needed(nr_refs) + 2;
}

static void start_keeping(struct fixture *f, uint64_t keep_empty)
{
	tester = pthread_self();
	populate_fails = 0;
	fixture_open(f, 64);
	f->config.keep_empty = keep_empty;
	fixture_restart(f);
	assert_int_equal(uz_pool_keep(f->pool), 0);
}

static void start(struct fixture *f)
{
	start_keeping(f, 0);
}

static bool has_windows(struct fixture *f)
{
	return fixture_stat(f).empty_bytes > 0;
}

/* What was ahead of use is gone, in new zspages and in windows. */
static bool has_no_more_than_objects(struct fixture *f)
{
	struct uz_pool_stat stat = fixture_stat(f);

	return !stat.empty_bytes && stat.used_bytes <= PAGES(nr_refs);
}

/* No more windows are kept ready, so that the pool can come to an end. */
static void keep_none(struct fixture *f)
{
	uz_pool_set_limit(f->pool, UZ_PAGE_SIZE);
	assert_true(SOON(has_no_more_than_objects(f)));
}

/* New zspages find a window that has memory, and it is not kept for ever. */
static void test_windows_for_new_zspages(void **state)
{
	struct fixture f;
	bool ready = false;
	unsigned int i, ms;
	uint64_t first;

	(void)state;
	start_keeping(&f, PAGES(8));
	/* Each object opens a class of its own, until a window is ready. */
	for (i = 0; i < 50 && !ready; i++) {
		assert_int_equal(uz_pool_alloc(f.pool, 8 * (i + 1), i, 0,
					       &refs[nr_refs]),
				 0);
		nr_refs++;
		for (ms = 0; ms < 2000 && !ready; ms++) {
			usleep(1000);
			ready = has_windows(&f);
		}
	}
	assert_true(ready);
	first = fixture_stat(&f).zspages;
	assert_int_equal(uz_pool_alloc(f.pool, 2000, 0, 0, &refs[nr_refs]), 0);
	nr_refs++;
	assert_int_equal(fixture_stat(&f).zspages, first + 1);
	assert_true(SOON(has_no_more_than_objects(&f)));
	fixture_check(&f);
	keep_none(&f);
	finish(&f);
}

/* Whether anything was there ahead of the stores, and went again. */
static bool comes_and_goes(void)
{
	struct fixture f;
	bool came;

	start(&f);
	assert_int_equal(fill(&f, OBJECTS), OBJECTS);
	assert_true(SOON(has_released(&f)));
	came = fixture_stat(&f).max_used_bytes > uz_pool_used_bytes(f.pool);
	assert_int_equal(uz_pool_check(f.pool, NULL), 0);
	/* And again, after the keeper has slept. */
	assert_int_equal(fill(&f, 100), 100);
	assert_int_equal(uz_pool_check(f.pool, NULL), 0);
	finish(&f);
	return came;
}

/* On a busy machine the keeper may rest for as long as the stores take. */
static void test_comes_and_goes(void **state)
{
	unsigned int tries = 0;

	(void)state;
	while (!comes_and_goes())
		assert_true(++tries < 100);
}

static void test_no_obstacle_at_the_limit(void **state)
{
	const uint64_t limit = 400;
	struct fixture f;
	uint64_t nr;

	(void)state;
	start(&f);
	uz_pool_set_limit(f.pool, limit * UZ_PAGE_SIZE);
	nr = fill(&f, 10 * OBJECTS);
	assert_true(uz_pool_used_bytes(f.pool) <= limit * UZ_PAGE_SIZE);
	assert_true(needed(nr) >= limit - 14); /* a tail of each zspage */
	assert_int_equal(uz_pool_check(f.pool, NULL), 0);
	finish(&f);
}

/*
 * Objects come, and go again when they are many, until the keeper has done that
 * so often: it comes too late for stores that do not wait.
 */
static bool fill_until_none(struct fixture *f, const _Atomic int *left)
{
	unsigned int steps = 0;

	do {
		if (nr_refs >= OBJECTS)
			free_all(f);
		assert_int_equal(fill(f, 10), 10);
	} while (*left && soon_step(&steps));
	return !*left;
}

static void test_refused_by_the_system(void **state)
{
	struct fixture f;

	(void)state;
	start(&f);
	populate_fails = 5;
	assert_true(fill_until_none(&f, &populate_fails));
	assert_int_equal(uz_pool_check(f.pool, NULL), 0);
	finish(&f);
}

/* The keeper and a store populate the same page, and the store fails. */
static void share_with(int keeper_fails)
{
	struct fixture f;

	start(&f);
	shared = f.pool;
	populate_fails = keeper_fails;
	shares = 5;
	assert_true(fill_until_none(&f, &shares));
	assert_int_equal(uz_pool_check(f.pool, NULL), 0);
	finish(&f);
}

static void test_shared_with_a_store(void **state)
{
	(void)state;
	share_with(0);
	share_with(5);
}

/* A store left a hint, failed, and its page is being given back. */
static void test_not_while_given_back(void **state)
{
	struct fixture f;
	unsigned int i;

	(void)state;
	start(&f);
	for (i = 0; i < 50; i++) {
		/* A keeper that is quick each time would fill the arena. */
		if (nr_refs >= OBJECTS / 2)
			free_all(&f);
		assert_int_equal(uz_pool_alloc(f.pool, UZ_PAGE_SIZE, i, 0,
					       &refs[nr_refs]),
				 0);
		nr_refs++;
		refuse_tester = true;
		while (!uz_pool_alloc(f.pool, UZ_PAGE_SIZE, i, 0,
				      &refs[nr_refs]))
			nr_refs++;
		refuse_tester = false;
		assert_int_equal(uz_pool_check(f.pool, NULL), 0);
	}
	finish(&f);
}

static void test_ends_at_work(void **state)
{
	struct fixture f;
	unsigned int i;

	(void)state;
	for (i = 0; i < 20; i++) {
		start(&f);
		fill(&f, 50 * i);
		finish(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_comes_and_goes),
		cmocka_unit_test(test_windows_for_new_zspages),
		cmocka_unit_test(test_no_obstacle_at_the_limit),
		cmocka_unit_test(test_refused_by_the_system),
		cmocka_unit_test(test_shared_with_a_store),
		cmocka_unit_test(test_not_while_given_back),
		cmocka_unit_test(test_ends_at_work),
	};

	return cmocka_run_group_tests_name("pool keeper", tests, NULL, NULL);
}
