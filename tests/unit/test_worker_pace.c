// SPDX-License-Identifier: MIT
/*
 * How long background work rests, from times that are made up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <worker_priv.h>

#define MS UINT64_C(1000000)

/* What passed: in the rest before a batch, and during it. */
struct times {
	uint64_t rest_wall;
	uint64_t rest_process;
	uint64_t wall;
	uint64_t own;
	uint64_t process;
};

static uint64_t rest_after(struct times t)
{
	const struct uz__pace last = { .wall = 5000 * MS,
				       .own = 40 * MS,
				       .process = 70 * MS };
	struct uz__pace before = last, after;
	uint64_t rest;
	bool busy;

	before.wall += t.rest_wall;
	before.process += t.rest_process;
	after = before;
	after.wall += t.wall;
	after.own += t.own;
	after.process += t.process;
	rest = uz__pace_rest(&last, &before, &after, &busy);
	/* It is for others that it rests long. */
	assert_int_equal(busy, rest > MS);
	return rest;
}

static void test_idle(void **state)
{
	uint64_t rest;

	(void)state;
	rest = rest_after(
		(struct times){ .wall = MS, .own = MS, .process = MS });
	assert_true(rest > 0 && rest < MS / 10);
	/* Nothing was done at all: no endless loop at full speed. */
	assert_int_equal(rest_after((struct times){ 0 }), rest);
	/* A page fault more or less is not notable. */
	assert_int_equal(rest_after((struct times){ .wall = MS + MS / 8,
						    .own = MS,
						    .process = MS }),
			 rest);
}

static void test_requests(void **state)
{
	(void)state;
	/* During the batch. */
	assert_int_equal(rest_after((struct times){
				 .wall = MS, .own = MS, .process = 2 * MS }),
			 9 * MS);
	/* During the rest before it. */
	assert_int_equal(rest_after((struct times){ .rest_wall = 9 * MS,
						    .rest_process = 6 * MS,
						    .wall = MS,
						    .own = MS,
						    .process = MS }),
			 9 * MS);
}

static void test_others(void **state)
{
	(void)state;
	/* The CPU had to be waited for: nine times what was worked. */
	assert_int_equal(rest_after((struct times){
				 .wall = 5 * MS, .own = MS, .process = MS }),
			 9 * MS);
	/* However long a batch is, the next one comes. */
	assert_int_equal(rest_after((struct times){ .wall = 5000 * MS,
						    .own = 2000 * MS,
						    .process = 2000 * MS }),
			 100 * MS);
}

/* Clocks that do not go in step must not give a rest of centuries. */
static void test_clocks_apart(void **state)
{
	struct uz__pace last = { .wall = 9, .own = 9, .process = 9 };
	struct uz__pace before = { .wall = 8, .own = 8, .process = 8 };
	struct uz__pace after = { .wall = 7, .own = 7, .process = 7 };

	bool busy;

	(void)state;
	assert_true(uz__pace_rest(&last, &before, &after, &busy) < MS);
}

static void test_now(void **state)
{
	struct uz__pace first, second;

	(void)state;
	uz__pace_now(&first);
	do {
		uz__pace_now(&second);
	} while (second.own == first.own);
	assert_true(second.wall > first.wall);
	assert_true(second.process > first.process);
	assert_true(second.process >= second.own);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_clocks_apart),
		cmocka_unit_test(test_now),
	};

	return cmocka_run_group_tests_name("worker pace", tests, NULL, NULL);
}
