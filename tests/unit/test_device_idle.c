// SPDX-License-Identifier: MIT
/*
 * Idle pages: what marks them, what takes the mark away, and what is told of
 * pages one by one. Time comes from the test.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include <cmocka.h>

#include <device_priv.h>

#include "device_fixture.h"

#define SIZE (UINT64_C(1) << 30)

int __real_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);

static time_t seconds;

int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
	if (clock != CLOCK_BOOTTIME)
		return __real_clock_gettime(clock, t);
	*t = (struct timespec){ .tv_sec = seconds };
	return 0;
}

/* No mapping is possible any more, or again. */
static void address_space(bool some)
{
	struct rlimit limit;

	getrlimit(RLIMIT_AS, &limit);
	limit.rlim_cur = some ? limit.rlim_max : UZ_PAGE_SIZE;
	assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
}

/* Pages 1 text, 2 noise, 3 same, 4 same in an object. */
static void fill(struct fixture *f)
{
	unsigned char page[UZ_PAGE_SIZE];

	page_text(page, 1);
	assert_int_equal(uz_page_store(f->io, 1, page), 0);
	page_noise(page, 2);
	assert_int_equal(uz_page_store(f->io, 2, page), 0);
	page_same(page, 3);
	assert_int_equal(uz_page_store(f->io, 3, page), 0);
	page_same(page, UINT64_C(0x123456789abcdef1));
	assert_int_equal(uz_page_store(f->io, 4, page), 0);
}

static struct uz_page_state state_of(struct fixture *f, uint64_t index)
{
	struct uz_page_state s;
	uint64_t at = index;

	assert_int_equal(uz_device_page_states(f->dev, &at, &s, 1), 1);
	assert_int_equal(s.index, index);
	assert_int_equal(at, index + 1);
	return s;
}

static void expect_idle(struct fixture *f, uint64_t index, bool idle)
{
	assert_int_equal(state_of(f, index).idle, idle);
}

static void load(struct fixture *f, uint64_t index)
{
	unsigned char page[UZ_PAGE_SIZE];

	assert_int_equal(uz_page_load(f->io, index, page), 0);
}

static void test_all(void **state)
{
	unsigned char page[UZ_PAGE_SIZE];
	uint64_t marked;
	struct uz_err err = { 0 };
	struct fixture f;

	(void)state;
	seconds = 1000;
	fixture_open(&f, NULL, 0);
	assert_int_equal(uz_device_mark_idle(f.dev, UZ_IDLE_ALL, NULL, &err),
			 -EINVAL);
	assert_string_not_equal(err.text, "");
	assert_int_equal(uz_device_set_disksize(f.dev, SIZE, NULL), 0);
	assert_int_equal(uz_device_mark_idle(f.dev, UZ_IDLE_ALL, NULL, NULL),
			 0);
	fill(&f);
	expect_idle(&f, 1, false);
	assert_int_equal(uz_device_mark_idle(f.dev, UZ_IDLE_ALL, &marked, NULL),
			 0);
	assert_int_equal(marked, 2);
	assert_int_equal(uz_device_mark_idle(f.dev, UZ_IDLE_ALL, &marked, NULL),
			 0);
	assert_int_equal(marked, 0);
	expect_idle(&f, 1, true);
	expect_idle(&f, 2, true);
	expect_idle(&f, 3, false);
	expect_idle(&f, 4, false);
	fixture_check(&f);

	/* A read takes the mark away, a write, and a write of a part. */
	load(&f, 2);
	load(&f, 3);
	load(&f, 4);
	expect_idle(&f, 2, false);
	assert_int_equal(uz_device_mark_idle(f.dev, UZ_IDLE_ALL, NULL, NULL),
			 0);
	page_noise(page, 2);
	assert_int_equal(uz_page_store(f.io, 2, page), 0);
	expect_idle(&f, 2, false);
	assert_int_equal(uz_device_mark_idle(f.dev, UZ_IDLE_ALL, NULL, NULL),
			 0);
	assert_int_equal(uz_page_store_part(f.io, 2, 1, 3, page + 1), 0);
	expect_idle(&f, 2, false);
	expect_page(&f, 2, page);
	expect_idle(&f, 1, true);

	/* It is in the slot, so it outlives the process. */
	fixture_forget(&f);
	fixture_adopt(&f);
	expect_idle(&f, 1, true);
	page_text(page, 1);
	expect_page(&f, 1, page);
	expect_idle(&f, 1, false);
	fixture_close(&f);
}

static void test_age(void **state)
{
	struct uz_device_stat before, after;
	struct fixture f;

	(void)state;
	seconds = 1000;
	fixture_open(&f, NULL, SIZE);
	fill(&f);
	assert_int_equal(state_of(&f, 2).used, 0);
	/* The first use turns it on: all pages count as used now. */
	seconds = 2000;
	uz_device_stat(f.dev, &before);
	assert_int_equal(uz_device_mark_idle(f.dev, 10, NULL, NULL), 0);
	expect_idle(&f, 2, false);
	assert_int_equal(state_of(&f, 2).used, 2000);
	seconds = 2010;
	assert_int_equal(uz_device_mark_idle(f.dev, 10, NULL, NULL), 0);
	expect_idle(&f, 2, false);
	seconds = 2011;
	assert_int_equal(uz_device_mark_idle(f.dev, 10, NULL, NULL), 0);
	expect_idle(&f, 2, true);
	load(&f, 2);
	expect_idle(&f, 2, false);
	assert_int_equal(state_of(&f, 2).used, 2011);
	load(&f, 7); /* nothing is stored there */
	uz_device_stat(f.dev, &after);
	/* A page of times, not the megabyte that they would take at most. */
	assert_in_range(after.meta_bytes, before.meta_bytes + 1,
			before.meta_bytes + 64 * 1024);

	/* What was used since is not idle any more, whoever marked it. */
	assert_int_equal(uz_device_mark_idle(f.dev, UZ_IDLE_ALL, NULL, NULL),
			 0);
	expect_idle(&f, 2, true);
	seconds = 2015;
	assert_int_equal(uz_device_mark_idle(f.dev, 10, NULL, NULL), 0);
	expect_idle(&f, 2, false);
	/* Longer than there are seconds. */
	assert_int_equal(
		uz_device_mark_idle(f.dev, UZ_IDLE_ALL - 1, NULL, NULL), 0);
	expect_idle(&f, 2, false);
	/* 0: all that were not used in this very second. */
	fill(&f);
	load(&f, 2);
	assert_int_equal(uz_device_mark_idle(f.dev, 0, NULL, NULL), 0);
	expect_idle(&f, 2, false);
	seconds = 2016;
	assert_int_equal(uz_device_mark_idle(f.dev, 0, NULL, NULL), 0);
	expect_idle(&f, 2, true);

	/* It stays on over a reset. */
	assert_int_equal(uz_device_reset(f.dev, true, NULL), 0);
	assert_int_equal(uz_device_set_disksize(f.dev, SIZE, NULL), 0);
	fill(&f);
	assert_int_equal(state_of(&f, 2).used, 2016);
	fixture_close(&f);
}

static void test_no_memory(void **state)
{
	struct uz_err err = { 0 };
	struct fixture f;
	int first, ret;

	(void)state;
	seconds = 1000;
	fixture_open(&f, NULL, SIZE);
	fill(&f);
	address_space(false);
	first = uz_device_track_age(f.dev);
	ret = uz_device_mark_idle(f.dev, 1, NULL, &err);
	address_space(true);
	assert_int_equal(first, -ENOMEM);
	assert_int_equal(ret, -ENOMEM);
	assert_string_not_equal(err.text, "");
	assert_int_equal(state_of(&f, 2).used, 0);
	assert_int_equal(uz_device_track_age(f.dev), 0);
	assert_int_equal(uz_device_track_age(f.dev), 0);
	assert_int_equal(state_of(&f, 2).used, 1000);
	fixture_close(&f);
}

static void test_states(void **state)
{
	struct uz_page_state s[8];
	struct fixture f;
	uint64_t at = 0;

	(void)state;
	fixture_open(&f, NULL, 0);
	assert_int_equal(uz_device_page_states(f.dev, &at, s, 8), 0);
	assert_int_equal(uz_device_set_disksize(f.dev, SIZE, NULL), 0);
	fill(&f);
	assert_int_equal(uz_page_store(f.io, SIZE / UZ_PAGE_SIZE - 1,
				       (unsigned char[UZ_PAGE_SIZE]){ 1 }),
			 0);
	at = 0;
	assert_int_equal(uz_device_page_states(f.dev, &at, s, 8), 5);
	assert_int_equal(at, SIZE / UZ_PAGE_SIZE);
	assert_int_equal(uz_device_page_states(f.dev, &at, s, 8), 0);
	at = 0;
	assert_int_equal(uz_device_page_states(f.dev, &at, s, 2), 2);
	assert_int_equal(at, 3);
	assert_int_equal(s[0].index, 1);
	assert_int_equal(s[0].huge, !codec_compresses());
	assert_false(s[0].same || s[0].recompressed || s[0].incompressible);
	assert_true(s[1].huge && !s[1].same && !s[1].backed);
	assert_true(state_of(&f, 3).same);
	assert_true(state_of(&f, 4).same);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_age),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_states),
	};

	return cmocka_run_group_tests_name("device idle", tests, NULL, NULL);
}
