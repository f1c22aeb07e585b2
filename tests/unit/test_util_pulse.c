// SPDX-License-Identifier: MIT
/*
 * Pulses: who works and does not get on is found, who waits or rests is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <uzram/util/pulse.h>

static void expect(const struct uz_pulse *p, struct uz_pulse_seen *seen,
		   unsigned int still)
{
	assert_int_equal(uz_pulse_look(p, seen), still);
}

static void test_work(void **state)
{
	struct uz_pulse_seen seen = { 0 };
	struct uz_pulse p = { 0 };

	(void)state;
	expect(&p, &seen, 0);
	expect(&p, &seen, 0);
	uz_pulse_begin(&p);
	expect(&p, &seen, 0);
	expect(&p, &seen, 1);
	expect(&p, &seen, 2);
	uz_pulse_beat(&p);
	expect(&p, &seen, 0);
	expect(&p, &seen, 1);
	uz_pulse_end(&p);
	expect(&p, &seen, 0);
	expect(&p, &seen, 0);
	/* Other work of the same kind is other work. */
	uz_pulse_begin(&p);
	expect(&p, &seen, 0);
	uz_pulse_end(&p);
	uz_pulse_begin(&p);
	expect(&p, &seen, 0);
	expect(&p, &seen, 1);
}

static void test_waiting(void **state)
{
	struct uz_pulse_seen seen = { 0 };
	struct uz_pulse p = { 0 };
	unsigned int i;

	(void)state;
	uz_pulse_begin(&p);
	uz_pulse_wait(&p);
	for (i = 0; i < 9; i++)
		expect(&p, &seen, 0);
	uz_pulse_go_on(&p);
	expect(&p, &seen, 0);
	expect(&p, &seen, 1);
	/* To wait outside of work is nothing to anybody. */
	uz_pulse_end(&p);
	uz_pulse_wait(&p);
	uz_pulse_go_on(&p);
	expect(&p, &seen, 0);
	expect(&p, &seen, 0);
}

/* The count passes its end; flags stay what they are. */
static void test_wrap(void **state)
{
	struct uz_pulse p = { .word = UINT32_MAX & ~(UZ_PULSE_ONE - 1) };
	struct uz_pulse_seen seen = { 0 };

	(void)state;
	uz_pulse_begin(&p);
	assert_int_equal(p.word, UZ_PULSE_WORKS);
	expect(&p, &seen, 0);
	expect(&p, &seen, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_work),
		cmocka_unit_test(test_waiting),
		cmocka_unit_test(test_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
