// SPDX-License-Identifier: MIT
/*
 * When memory is made huge pages of: not without notice, to the end after it,
 * again for what was left for later, not for ever where there are none. Times
 * are not measured.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/worker.h>

#include "fake_device.h"
#include "no_thread.h"
#include "soon.h"

struct fixture {
	struct uz_device dev;
	struct uz_collapser *collapser;
};

static void start(struct fixture *f, const int *answers, unsigned int nr)
{
	f->dev.collapsed = answers;
	f->dev.nr_collapsed = nr;
	assert_int_equal(uz_collapser_start(&f->collapser, &f->dev), 0);
}

static void notice(struct fixture *f)
{
	f->dev.whole(f->dev.whole_arg);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fake_device_init(&f->dev);
	*state = f;
	return f ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	uz_collapser_stop(f->collapser);
	/* Until it is closed. */
	if (f->collapser)
		notice(f);
	fake_device_end(&f->dev);
	uz_collapser_free(f->collapser);
	free(f);
	return 0;
}

static void test_notice(void **state)
{
	static const int answers[] = { 1, 1, 1, 0, 1 };
	struct fixture *f = *state;

	start(f, answers, 5);
	usleep(20000);
	assert_int_equal(f->dev.collapses, 0);
	notice(f);
	assert_true(SOON(f->dev.collapses == 4));
	usleep(20000);
	assert_int_equal(f->dev.collapses, 4);
	notice(f);
	notice(f);
	assert_true(SOON(f->dev.collapses == 6));
}

static void test_later(void **state)
{
	static const int answers[] = { -EAGAIN, 1, 0 };
	struct fixture *f = *state;

	start(f, answers, 3);
	notice(f);
	assert_true(SOON(f->dev.collapses == 3));
}

/* Adopted: nobody has told of it. */
static void test_adopted(void **state)
{
	struct fixture *f = *state;

	f->dev.size = UZ_PAGE_SIZE;
	start(f, NULL, 0);
	assert_true(SOON(f->dev.collapses == 1));
}

static void test_none_to_be_had(void **state)
{
	static const int answers[] = { -ENOMEM, 0 };
	struct fixture *f = *state;

	start(f, answers, 2);
	notice(f);
	assert_true(SOON(f->dev.collapses == 2));
}

static void test_never(void **state)
{
	static const int answers[] = { -ENOTSUP, 1 };
	struct fixture *f = *state;

	start(f, answers, 2);
	notice(f);
	assert_true(SOON(f->dev.collapses == 1));
	notice(f);
	usleep(20000);
	assert_int_equal(f->dev.collapses, 1);
}

/* In the midst of it. */
static void test_stops(void **state)
{
	static const int answers[] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };
	struct fixture *f = *state;

	start(f, answers, 10);
	notice(f);
}

static void test_no_thread(void **state)
{
	struct fixture *f = *state;

	create_fails = true;
	assert_int_equal(uz_collapser_start(&f->collapser, &f->dev), -EAGAIN);
	create_fails = false;
	assert_null(f->collapser);
}

#define EACH(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(test_notice),	   EACH(test_later), EACH(test_adopted),
		EACH(test_none_to_be_had), EACH(test_never), EACH(test_stops),
		EACH(test_no_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
