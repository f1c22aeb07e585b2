// SPDX-License-Identifier: MIT
/*
 * When cold pages are written back: not without notice, turn after turn until
 * there is no need, again for what comes meanwhile; what is told to those that
 * wait, and what to people. What a turn comes to is made up.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/util/log.h>
#include <uzram/worker.h>

#include "fake_device.h"
#include "no_thread.h"
#include "soon.h"

struct fixture {
	struct uz_device dev;
	struct uz_shrinker *shrinker;
};

static _Atomic unsigned int lines;
static char line[512];

void __wrap_uz_log(enum uz_log_level level, const char *fmt, ...)
	uz_printf(2, 3);

void __wrap_uz_log(enum uz_log_level level, const char *fmt, ...)
{
	va_list args;

	(void)level;
	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	lines++;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fake_device_init(&f->dev);
	strcpy(f->dev.backing, "/store");
	lines = 0;
	*state = f;
	return uz_shrinker_start(&f->shrinker, &f->dev);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	uz_shrinker_stop(f->shrinker);
	assert_null(f->dev.need);
	fake_device_end(&f->dev);
	free(f);
	return 0;
}

static void give_notice(struct fixture *f)
{
	f->dev.need(f->dev.need_arg);
}

static void await(_Atomic unsigned int *number, unsigned int least)
{
	if (!SOON(*number >= least))
		fail_msg("%u instead of %u", *number, least);
}

/* All that it is to do was done: what comes next is for another notice. */
static void settle(struct fixture *f, unsigned int turns)
{
	await(&f->dev.turns, turns);
	usleep(50000);
	assert_int_equal(f->dev.turns, turns);
}

/* It tells some time after the turn. */
static void settle_told(struct fixture *f, unsigned int told)
{
	await(&f->dev.told, told);
	assert_int_equal(f->dev.told, told);
}

static void test_asleep_without_notice(void **state)
{
	struct fixture *f = *state;

	f->dev.turn[0] = 1;
	settle(f, 0);
	give_notice(f);
	settle(f, 2);
	assert_int_equal(f->dev.told, 1);
	assert_int_equal(f->dev.told_error, 0);
	give_notice(f);
	settle(f, 3);
	assert_int_equal(f->dev.told, 1);
	assert_int_equal(lines, 0);
}

static void test_until_there_is_room(void **state)
{
	struct fixture *f = *state;
	unsigned int i;

	for (i = 0; i < 10; i++)
		f->dev.turn[i] = 1;
	give_notice(f);
	settle(f, 11);
	/* Each turn lets somebody in. */
	assert_int_equal(f->dev.told, 10);
}

/* Full: nobody waits in vain, and it is said once until it is right again. */
static void test_full(void **state)
{
	struct fixture *f = *state;

	f->dev.turn[0] = f->dev.turn[1] = -ENOSPC;
	f->dev.turn[2] = 1;
	f->dev.turn[3] = f->dev.turn[4] = -ENOSPC;
	give_notice(f);
	settle(f, 1);
	await(&f->dev.told, 1);
	assert_int_equal(f->dev.told_error, -ENOSPC);
	assert_int_equal(lines, 1);
	assert_string_equal(
		line,
		"fake: no room below mem_limit by writing back: the backing store is full; stores that do not fit are refused");
	give_notice(f);
	settle(f, 2);
	settle_told(f, 2);
	assert_int_equal(lines, 1);
	give_notice(f);
	settle(f, 4);
	settle_told(f, 4);
	assert_int_equal(lines, 2);
	give_notice(f);
	settle(f, 5);
	settle_told(f, 5);
	assert_int_equal(lines, 2);
}

static void test_limit_used_up(void **state)
{
	struct fixture *f = *state;

	f->dev.turn[0] = -EDQUOT;
	give_notice(f);
	await(&f->dev.told, 1);
	assert_non_null(strstr(line, "writeback_limit is used up"));
	assert_int_equal(f->dev.told_error, -EDQUOT);
}

/* One failure is none; four in a row are. */
static void test_fails(void **state)
{
	struct fixture *f = *state;
	unsigned int i;

	for (i = 0; i < 8; i++)
		f->dev.turn[i] = -EIO;
	f->dev.turn[3] = 1;
	give_notice(f);
	settle(f, 8);
	await(&f->dev.told, 2);
	assert_int_equal(f->dev.told_error, -EIO);
	assert_int_equal(lines, 1);
	assert_non_null(strstr(line, strerror(EIO)));
}

/* Nothing to be written: believed after a while. */
static void test_nothing_left(void **state)
{
	struct fixture *f = *state;
	unsigned int i;

	for (i = 0; i < FAKE_TURNS; i++)
		f->dev.turn[i] = -ENODATA;
	f->dev.turn[2] = 1;
	give_notice(f);
	settle(f, FAKE_TURNS + 1);
	assert_int_equal(f->dev.told, 1);
	for (i = 0; i < FAKE_TURNS; i++)
		f->dev.turn[i] = -ENODATA;
	f->dev.always = -ENODATA;
	give_notice(f);
	await(&f->dev.told, 2);
	assert_int_equal(f->dev.told_error, -ENODATA);
	assert_non_null(strstr(line, "nothing that could be written back"));
}

/* A reset: what was made for the old device is made anew. */
static void test_reset(void **state)
{
	struct fixture *f = *state;

	f->dev.turn[0] = 1;
	f->dev.turn[1] = -ENODEV;
	f->dev.turn[2] = 1;
	give_notice(f);
	settle(f, 4);
	assert_int_equal(f->dev.writebacks, 2);
	assert_int_equal(lines, 0);
	/* And the store has gone with it: that is no failure. */
	f->dev.turn[4] = -ENODEV;
	f->dev.backing[0] = '\0';
	give_notice(f);
	settle(f, 5);
	give_notice(f);
	settle(f, 5);
	assert_int_equal(f->dev.writebacks, 2);
	assert_int_equal(f->dev.told, 2);
	assert_int_equal(lines, 0);
}

/* Looked for without any notice, and when it is there, no more. */
static void test_missing(void **state)
{
	struct uz_shrinker *s;
	struct uz_device dev;

	(void)state;
	fake_device_init(&dev);
	dev.missing = 2;
	assert_int_equal(uz_shrinker_start(&s, &dev), 0);
	if (!SOON(!dev.missing))
		fail_msg("the store is looked for no more");
	uz_shrinker_stop(s);
	fake_device_end(&dev);
}

static void test_no_thread(void **state)
{
	struct uz_shrinker *s = NULL;
	struct uz_device dev;

	(void)state;
	fake_device_init(&dev);
	create_fails = true;
	assert_int_equal(uz_shrinker_start(&s, &dev), -EAGAIN);
	create_fails = false;
	assert_null(s);
	assert_null(dev.need);
	uz_shrinker_stop(NULL);
	fake_device_end(&dev);
}

#define shrinker_test(name) \
	cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		shrinker_test(test_asleep_without_notice),
		shrinker_test(test_until_there_is_room),
		shrinker_test(test_full),
		shrinker_test(test_limit_used_up),
		shrinker_test(test_fails),
		shrinker_test(test_nothing_left),
		shrinker_test(test_reset),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_no_thread),
	};

	return cmocka_run_group_tests_name("worker shrinker", tests, NULL,
					   NULL);
}
