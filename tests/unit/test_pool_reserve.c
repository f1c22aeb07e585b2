// SPDX-License-Identifier: MIT
/*
 * The reserve: stores succeed although the system refuses every page and every
 * malloc(), until the reserve is used up, and not sooner; afterwards it fills
 * again by itself. At the limit it is used like any other memory.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "pool_fixture.h"

#define SIZE	1000u
#define WINDOWS 20u /* of the reserve */
#define PER	8u /* pages in each */
#define RESERVE PAGES(WINDOWS *PER)
#define EACH	(PER * UZ_PAGE_SIZE / SIZE) /* objects, at least */

static _Atomic bool refuse;
static uz_ref_t refs[WINDOWS * (EACH + 1)];
static unsigned int nr_refs;

int __real_uz_shm_populate(const struct uz_shm *shm, size_t off, size_t len);
int __wrap_uz_shm_populate(const struct uz_shm *shm, size_t off, size_t len);
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

static _Atomic bool slow; /* memory of window 0 is taken back slowly */
static _Atomic bool taking;

int __wrap_uz_shm_populate(const struct uz_shm *shm, size_t off, size_t len)
{
	return refuse ? -ENOMEM : __real_uz_shm_populate(shm, off, len);
}

int __real_uz_shm_punch(const struct uz_shm *shm, size_t off, size_t len);
int __wrap_uz_shm_punch(const struct uz_shm *shm, size_t off, size_t len);

int __wrap_uz_shm_punch(const struct uz_shm *shm, size_t off, size_t len)
{
	if (slow && off < PAGES(WINDOW_PAGES)) {
		taking = true;
		usleep(200000);
	}
	return __real_uz_shm_punch(shm, off, len);
}

void *__wrap_malloc(size_t size)
{
	return refuse ? NULL : __real_malloc(size);
}

static void start_with(struct fixture *f, uint64_t reserve)
{
	refuse = false;
	fixture_open(f, 2 * WINDOWS + 64);
	f->config.reserve = reserve;
	fixture_restart(f);
	assert_int_equal(uz_pool_keep(f->pool), 0);
}

static void start(struct fixture *f)
{
	start_with(f, RESERVE);
}

static void finish(struct fixture *f)
{
	refuse = false;
	slow = false;
	while (nr_refs)
		uz_pool_free(f->pool, refs[--nr_refs]);
	/* The reserve stays, so this is not fixture_close(). */
	uz_pool_destroy(f->pool);
	close(f->fd);
}

/* Objects of a size, until one is refused; how many. */
static unsigned int fill(struct fixture *f, uint32_t size)
{
	unsigned int before = nr_refs;

	while (nr_refs < sizeof(refs) / sizeof(refs[0]) &&
	       !uz_pool_alloc(f->pool, size, nr_refs, 0, &refs[nr_refs]))
		nr_refs++;
	return nr_refs - before;
}

static bool full_again(struct fixture *f)
{
	return SOON(fixture_stat(f).empty_bytes >= RESERVE);
}

/* The keeper counts what it is about to ask the system for. */
static bool used_is(struct fixture *f, uint64_t bytes)
{
	return SOON(uz_pool_used_bytes(f->pool) == bytes);
}

static void test_there_at_once(void **state)
{
	struct fixture f;

	(void)state;
	start(&f);
	assert_int_equal(fixture_stat(&f).reserve_bytes, RESERVE);
	assert_int_equal(fixture_stat(&f).empty_bytes, RESERVE);
	assert_int_equal(fixture_resident(&f), RESERVE);
	assert_int_equal(uz_pool_used_bytes(f.pool), RESERVE);
	/* It is not what is given back when nobody stores. */
	usleep(500000);
	uz_pool_trim(f.pool);
	assert_int_equal(fixture_stat(&f).empty_bytes, RESERVE);
	finish(&f);
}

static void test_system_has_nothing(void **state)
{
	struct fixture f;
	uz_ref_t ref;

	(void)state;
	start(&f);
	refuse = true;
	assert_in_range(fill(&f, SIZE), WINDOWS * EACH, WINDOWS * (EACH + 1));
	assert_true(used_is(&f, RESERVE));
	assert_true(fixture_stat(&f).reserve_missed > 0);
	/* What is freed is there for the next one. */
	uz_pool_free(f.pool, refs[--nr_refs]);
	assert_int_equal(uz_pool_alloc(f.pool, SIZE, 0, 0, &refs[nr_refs]), 0);
	nr_refs++;

	refuse = false;
	assert_true(full_again(&f));
	assert_int_equal(uz_pool_alloc(f.pool, SIZE, 0, 0, &ref), 0);
	uz_pool_free(f.pool, ref);
	finish(&f);
}

/* What was populated for a zspage is used as well, however late. */
static void test_nothing_given_to_a_system_that_has_nothing(void **state)
{
	struct fixture f;

	(void)state;
	start(&f);
	refuse = true;
	assert_int_equal(uz_pool_alloc(f.pool, SIZE, 0, 0, &refs[nr_refs]), 0);
	nr_refs++;
	/* It would be given back in less. */
	usleep(1000000);
	assert_in_range(1 + fill(&f, SIZE), WINDOWS * EACH,
			WINDOWS * (EACH + 1));
	refuse = false;
	assert_true(full_again(&f));
	finish(&f);
}

/*
 * The keeper could not populate pages and sees to it that none is left of them:
 * a store finds those beside them all the same.
 */
static void test_while_pages_are_taken_back(void **state)
{
	struct fixture f;
	unsigned int i;

	(void)state;
	start_with(&f, PAGES(PER));
	refuse = true;
	taking = false;
	slow = true;
	/* With a page left it begins. */
	for (i = 0; i < EACH - PER / 2; i++, nr_refs++)
		assert_int_equal(
			uz_pool_alloc(f.pool, SIZE, i, 0, &refs[nr_refs]), 0);
	assert_int_equal(fixture_window(refs[0]), 0);
	assert_true(SOON(taking));
	fill(&f, SIZE);
	assert_in_range(nr_refs, EACH, EACH + 1);
	finish(&f);
}

/* Each of another class, so that each opens a window of its own. */
static void test_all_sizes(void **state)
{
	struct fixture f;
	unsigned int i;

	(void)state;
	start(&f);
	refuse = true;
	for (i = 0; i < WINDOWS; i++, nr_refs++)
		assert_int_equal(uz_pool_alloc(f.pool, 200 * (i + 1), i, 0,
					       &refs[nr_refs]),
				 0);
	assert_int_equal(fixture_stat(&f).reserve_missed, 0);
	assert_int_equal(fixture_stat(&f).empty_bytes, 0);
	finish(&f);
}

static void test_at_the_limit(void **state)
{
	struct fixture f;
	struct uz_err err;

	(void)state;
	start(&f);
	uz_pool_set_limit(f.pool, RESERVE);
	assert_in_range(fill(&f, SIZE), WINDOWS * EACH, WINDOWS * (EACH + 1));
	assert_int_equal(uz_pool_used_bytes(f.pool), RESERVE);
	assert_int_equal(uz_pool_check(f.pool, &err), 0);
	while (nr_refs)
		uz_pool_free(f.pool, refs[--nr_refs]);
	assert_true(uz_pool_used_bytes(f.pool) <= RESERVE);
	uz_pool_set_limit(f.pool, 0);
	finish(&f);
}

/* Who takes over has a reserve as well, beside what is stored. */
static void test_adopted(void **state)
{
	struct fixture f;
	struct uz_err err;
	unsigned int i;
	uz_ref_t ref;

	(void)state;
	start(&f);
	assert_true(fill(&f, SIZE) > 0);
	fixture_restart(&f);
	for (i = 0; i < nr_refs; i++)
		assert_int_equal(uz_pool_adopt_object(f.pool, refs[i], SIZE, i),
				 0);
	assert_int_equal(uz_pool_adopt_end(f.pool), 0);
	assert_int_equal(uz_pool_keep(f.pool), 0);
	assert_true(full_again(&f));
	assert_int_equal(uz_pool_check(f.pool, &err), 0);
	refuse = true;
	assert_int_equal(uz_pool_alloc(f.pool, 3000, 0, 0, &ref), 0);
	uz_pool_free(f.pool, ref);
	finish(&f);
}

/* Without memory at the start there is a pool all the same. */
static void test_refused_from_the_start(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, 2 * WINDOWS + 64);
	f.config.reserve = RESERVE;
	fixture_restart(&f);
	refuse = true;
	assert_int_equal(uz_pool_keep(f.pool), 0);
	assert_int_equal(fixture_stat(&f).empty_bytes, 0);
	assert_int_equal(fill(&f, SIZE), 0);
	refuse = false;
	assert_true(full_again(&f));
	finish(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_at_once),
		cmocka_unit_test(test_system_has_nothing),
		cmocka_unit_test(
			test_nothing_given_to_a_system_that_has_nothing),
		cmocka_unit_test(test_while_pages_are_taken_back),
		cmocka_unit_test(test_all_sizes),
		cmocka_unit_test(test_at_the_limit),
		cmocka_unit_test(test_adopted),
		cmocka_unit_test(test_refused_from_the_start),
	};

	return cmocka_run_group_tests_name("pool reserve", tests, NULL, NULL);
}
