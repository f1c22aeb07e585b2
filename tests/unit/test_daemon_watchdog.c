// SPDX-License-Identifier: MIT
/*
 * The watchdog's looks: who is found to hang, and when, and who is not. Time is
 * given, so none passes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <daemon_priv.h>

#define SECONDS 2
#define PERIOD	(SECONDS * 1000 / 4)

static struct uz__board board;
static struct uz_daemon_config config;
static struct uz__daemon d = { .config = &config, .board = &board };
static struct uz__watchdog dog;
static uint64_t now;

static int setup(void **state)
{
	(void)state;
	memset(&board, 0, sizeof(board));
	config.watchdog = SECONDS;
	d.served = true;
	now = 1000;
	uz__watchdog_begin(&dog, &d, now);
	return 0;
}

static bool look(bool serves)
{
	now += PERIOD;
	return uz__watchdog_hangs(&dog, &d, serves, now) != NULL;
}

/* No look is this one's, whatever it finds. */
static void look_late(unsigned int ms)
{
	now += PERIOD + ms;
	assert_null(uz__watchdog_hangs(&dog, &d, true, now));
}

static void test_hangs(void **state)
{
	struct uz_pulse *p = &board.pulses[7];
	unsigned int i;

	(void)state;
	uz_pulse_begin(p);
	for (i = 0; i < 4; i++)
		assert_false(look(true));
	/* Not before it is time. */
	assert_null(uz__watchdog_hangs(&dog, &d, true, now));
	assert_int_equal(board.hangs, 0);
	assert_true(look(true));
	assert_int_equal(board.hangs, 1);
	/* Once; it may take a while to be gone. */
	for (i = 0; i < 20; i++)
		assert_false(look(true));
	/* Its successor has nothing to do with that. */
	uz__watchdog_begin(&dog, &d, now);
	for (i = 0; i < 20; i++)
		assert_false(look(true));
}

static void test_alive(void **state)
{
	struct uz_pulse *p = &board.pulses[UZ__PULSE_PROCESS];
	unsigned int i;

	(void)state;
	uz_pulse_begin(p);
	for (i = 0; i < 20; i++) {
		if (i % 3 == 0)
			uz_pulse_beat(p);
		assert_false(look(true));
	}
	uz_pulse_wait(p);
	for (i = 0; i < 20; i++)
		assert_false(look(true));
	uz_pulse_end(p);
	for (i = 0; i < 20; i++)
		assert_false(look(true));
}

/* Who looks late had no CPU, or was stopped; so, perhaps, were the others. */
static void test_late(void **state)
{
	struct uz_pulse *p = &board.pulses[3];
	unsigned int i;

	(void)state;
	uz_pulse_begin(p);
	for (i = 0; i < 4; i++)
		assert_false(look(true));
	for (i = 0; i < 20; i++)
		look_late(PERIOD / 2 + 1);
	look_late(3600 * 1000);
	/* A little late is not. */
	now += PERIOD / 2;
	assert_true(look(true));
}

/* Beginning may take a minute, taking over as long as the process runs. */
static void test_taking_over(void **state)
{
	struct uz_pulse *p = &board.pulses[UZ__PULSE_PROCESS];
	unsigned int i;

	(void)state;
	for (i = 0; i < 60 * 1000 / PERIOD; i++)
		assert_false(look(false));
	assert_true(look(false));
	uz__watchdog_begin(&dog, &d, now);
	uz_pulse_begin(p);
	for (i = 0; i < 1000; i++) {
		if (i % 3 == 0)
			uz_pulse_beat(p);
		assert_false(look(false));
	}
	for (i = 0; i < 3; i++)
		assert_false(look(false));
	assert_true(look(false));
}

/* Nobody waits for the very first one until it serves. */
static void test_first(void **state)
{
	unsigned int i;

	(void)state;
	d.served = false;
	uz_pulse_begin(&board.pulses[UZ__PULSE_PROCESS]);
	for (i = 0; i < 1000; i++)
		assert_false(look(false));
}

static void test_off(void **state)
{
	unsigned int i;

	(void)state;
	config.watchdog = 0;
	uz__watchdog_begin(&dog, &d, now);
	assert_int_equal(dog.next, 0);
	assert_int_equal(board.watchdog, 0);
	uz_pulse_begin(&board.pulses[0]);
	for (i = 0; i < 20; i++)
		assert_false(look(true));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_hangs, setup),
		cmocka_unit_test_setup(test_alive, setup),
		cmocka_unit_test_setup(test_late, setup),
		cmocka_unit_test_setup(test_taking_over, setup),
		cmocka_unit_test_setup(test_first, setup),
		cmocka_unit_test_setup(test_off, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
