// SPDX-License-Identifier: MIT
/*
 * What supervisor and workers tell each other of upgrades: who is refused, what
 * a death leaves, what people read.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <daemon_priv.h>

static int set_up(void **state)
{
	struct uz__daemon *d = calloc(1, sizeof(*d));

	*state = d;
	return !d || uz__board_create(d);
}

static int tear_down(void **state)
{
	struct uz__daemon *d = *state;

	uz__board_close(d);
	assert_int_equal(d->board_fd, -1);
	free(d);
	return 0;
}

static void expect_shown(struct uz__board *b, const char *want)
{
	struct uz_strbuf text = { 0 };

	uz__board_show(b, "0.1", &text);
	assert_string_equal(text.data, want);
	uz_strbuf_free(&text);
}

static void test_asked(void **state)
{
	struct uz__daemon *d = *state;
	struct uz__board *b = d->board;
	struct uz_err err;

	expect_shown(b, "state idle\nversion 0.1\nupgrades 0\nrollbacks 0\n");
	assert_false(uz__board_take(b, true));
	assert_int_equal(uz__board_ask(b, "/a", false, &err), 0);
	assert_int_equal(uz__board_ask(b, "/b", false, &err), -EBUSY);
	/* The same request, given out once more. */
	assert_int_equal(uz__board_ask(b, "/a", true, &err), 0);
	assert_false(uz__board_take(b, false));
	assert_true(uz__board_take(b, true));
	assert_false(uz__board_take(b, true));
	assert_string_equal(b->path, "/a");
	expect_shown(b,
		     "state running\nversion 0.1\nupgrades 0\nrollbacks 0\n");
	uz__board_forget(b);
	assert_int_equal(uz__board_ask(b, "/b", false, &err), -EBUSY);
	uz__board_ended(b, true, "well");
	expect_shown(b, "state idle\nversion 0.1\nupgrades 1\nrollbacks 0\n"
			"last well\n");
	/* By itself: the program that is installed. */
	assert_true(uz__board_take(b, false));
	assert_string_equal(b->path, "");
	uz__board_ended(b, false, "badly");
	expect_shown(b, "state idle\nversion 0.1\nupgrades 1\nrollbacks 1\n"
			"last badly\n");
}

/* A worker died before it could tell, or in the middle of it. */
static void test_forgotten(void **state)
{
	struct uz__daemon *d = *state;
	struct uz_err err;

	assert_int_equal(uz__board_ask(d->board, "/a", false, &err), 0);
	uz__board_forget(d->board);
	assert_false(uz__board_take(d->board, true));
	atomic_store(&d->board->state, UZ__BOARD_ASKING);
	assert_int_equal(uz__board_ask(d->board, "/a", false, &err), -EBUSY);
	uz__board_forget(d->board);
	assert_int_equal(uz__board_ask(d->board, "/a", false, &err), 0);
}

/* Whatever a worker wrote there, it is a string. */
static void test_long(void **state)
{
	struct uz__daemon *d = *state;
	char path[5000];
	struct uz_err err;

	memset(path, 'x', sizeof(path));
	path[4096] = '\0';
	assert_int_equal(uz__board_ask(d->board, path, false, &err), -EINVAL);
	path[4095] = '\0';
	assert_int_equal(uz__board_ask(d->board, path, false, &err), 0);
	memset(d->board->path, 'y', sizeof(d->board->path));
	assert_true(uz__board_take(d->board, true));
	assert_int_equal(strlen(d->board->path), 4095);
	uz__board_ended(d->board, true, path);
	assert_int_equal(strlen(d->board->last[1]), 511);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_asked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_forgotten, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_long, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
