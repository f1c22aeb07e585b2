// SPDX-License-Identifier: MIT
/*
 * When somebody is told that a class is fragmented, and what compaction does
 * about it.
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

static void test_notice(void **state)
{
	struct scene *s = set_up(512);
	struct uz__class *c = class_of(s, 1000);
	uint64_t tolerated, left;
	uint32_t i;

	(void)state;
	fill(s, 8000, 1000);
	assert_int_equal(s->notices, 0);
	tolerated = uz__class_tolerated(c);
	for (i = 0; !s->notices; i += 7) {
		assert_true(gain(s, 1000) <= tolerated);
		drop(s, i % 8000 + i / 8000);
	}
	assert_int_equal(gain(s, 1000), tolerated + 1);
	/* Once. */
	for (; i < 7000; i += 7)
		drop(s, i);
	assert_int_equal(s->notices, 1);
	assert_false(compact(s, UZ_POOL_COMPACT_FRAGMENTED, NO_LIMIT));
	left = gain(s, 1000);
	assert_true(left <= tolerated / 4);
	check(s);
	/* And again after that. */
	for (i = 1; i < 7000 && s->notices < 2; i += 7)
		drop(s, i);
	assert_int_equal(s->notices, 2);
	finish(s);
}

/* Below the threshold nothing moves unless all is asked for. */
static void test_scope(void **state)
{
	struct scene *s = set_up(512);
	uint32_t i;

	(void)state;
	fill(s, 8000, 1000);
	for (i = 0; gain(s, 1000) < uz__class_tolerated(class_of(s, 1000));
	     i += 3)
		drop(s, i);
	assert_false(compact(s, UZ_POOL_COMPACT_FRAGMENTED, NO_LIMIT));
	assert_int_equal(s->calls, 0);
	assert_int_equal(s->done.pages, 0);
	assert_false(compact_all(s));
	assert_true(s->done.pages > 0);
	finish(s);
}

/* The last pin makes deferred frees real, and these the class fragmented. */
static void test_notice_of_unmap(void **state)
{
	struct scene *s = set_up(512);
	struct uz_map map;
	uint32_t i;

	(void)state;
	fill(s, 1000, 4000);
	for (i = 0; i < 31; i++)
		if (fixture_window(s->word[i]) == 0)
			break;
	uz_pool_map(s->f.pool, s->word[0], &map);
	for (i = 1; i < 31; i++)
		drop(s, i);
	for (i = 100;
	     i < 300 && gain(s, 4000) < uz__class_tolerated(class_of(s, 4000));
	     i += 5)
		drop(s, i);
	assert_int_equal(s->notices, 0);
	uz_pool_unmap(s->f.pool, &map);
	assert_int_equal(s->notices, 1);
	finish(s);
}

/*
 * What cannot be gained, because it is pinned, is not complained about with
 * each free; new waste is.
 */
static void test_notice_of_pinned(void **state)
{
	struct scene *s = set_up(512);
	static struct uz_map maps[OWNERS];
	unsigned int nr = 0, before;
	uint32_t i;

	(void)state;
	fill(s, 8000, 1000);
	thin_out(s, 8000, 2);
	assert_int_equal(s->notices, 1);
	for (i = 0; i < 8000; i++)
		if (s->word[i] != NOTHING)
			uz_pool_map(s->f.pool, s->word[i], &maps[nr++]);
	assert_false(compact(s, UZ_POOL_COMPACT_FRAGMENTED, NO_LIMIT));
	assert_int_equal(s->done.objects, 0);
	assert_true(s->done.pinned > 0);
	while (nr)
		uz_pool_unmap(s->f.pool, &maps[--nr]);
	before = s->notices;
	for (i = 0; i < 8000 && s->notices == before; i += 3) {
		nr += s->word[i] != NOTHING;
		drop(s, i);
	}
	assert_int_equal(s->notices, before + 1);
	assert_true(nr > 50);
	finish(s);
}

/* Sizes that change at random, and a background that heeds the notices. */
static void test_overwriting(void **state)
{
	struct scene *s = set_up(4096);
	struct uz_pool_stat stat;
	uint64_t worst = 1000, packed;
	uint32_t i, owner;

	(void)state;
	for (i = 0; i < 300000; i++) {
		owner = random_below(s, 30000);
		drop(s, owner);
		store(s, owner, 500 + 8 * random_below(s, 50));
		if (s->notices) {
			s->notices = 0;
			compact(s, UZ_POOL_COMPACT_FRAGMENTED, NO_LIMIT);
		}
		if (i > 100000 && i % 1000 == 0) {
			stat = fixture_stat(&s->f);
			packed = stat.object_bytes * 1000 / stat.used_bytes;
			worst = packed < worst ? packed : worst;
		}
	}
	print_message("# %llu/1000 packed, %llu objects moved\n",
		      (unsigned long long)worst,
		      (unsigned long long)s->done.objects);
	assert_true(worst >= 940);
	finish(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_notice),
		cmocka_unit_test(test_scope),
		cmocka_unit_test(test_notice_of_unmap),
		cmocka_unit_test(test_notice_of_pinned),
		cmocka_unit_test(test_overwriting),
	};

	return cmocka_run_group_tests_name("pool compact notice", tests, NULL,
					   NULL);
}
