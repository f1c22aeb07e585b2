// SPDX-License-Identifier: MIT
/*
 * idle and block_state: what they take and print, and that a text which is
 * read in pieces of any size is one text, without counting from the start.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "attr_fixture.h"

#define PAGES 5000
#define LINE  40

static void test_idle(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(store(f, "idle", "all"), -EINVAL);
	assert_shows(f, "last_error", "idle: no size\n");
	assert_int_equal(store(f, "disksize", "1M"), 0);
	assert_int_equal(store(f, "idle", "all\n"), 0);
	assert_true(f->dev.idle_age == UZ_IDLE_ALL);
	assert_int_equal(store(f, "idle", "3600"), 0);
	assert_int_equal(f->dev.idle_age, 3600);
	assert_int_equal(store(f, "idle", "0\n"), 0);
	assert_int_equal(f->dev.idle_age, 0);
	assert_int_equal(store(f, "idle", "every"), -EINVAL);
	assert_int_equal(store(f, "idle", "all "), -EINVAL);
	assert_int_equal(store(f, "idle", "-1"), -EINVAL);
	assert_int_equal(store(f, "idle", "4294967296"), -EINVAL);
	assert_shows(f, "last_error",
		     "idle: write \"all\" or an age in seconds\n");
}

static void test_format(void **state)
{
	struct fixture *f = *state;
	struct uz_page_state pages[] = {
		{ .index = 0, .used = 12, .same = true },
		{ .index = 7, .huge = true, .idle = true },
		{ .index = UINT32_MAX,
		  .used = UINT32_MAX,
		  .backed = true,
		  .recompressed = true,
		  .incompressible = true },
	};

	assert_shows(f, "block_state", "");
	f->dev.states = pages;
	f->dev.nr_states = 3;
	assert_shows(f, "block_state",
		     "           0           12.000000 s.....\n"
		     "           7            0.000000 ..hi..\n"
		     "  4294967295   4294967295.000000 .w..rn\n");
}

/* All of it, in pieces of @size bytes. */
static char *read_in_pieces(struct fixture *f, size_t size)
{
	char *text = calloc(PAGES + 1, LINE);
	size_t at = 0, len;

	do {
		assert_int_equal(uz_attr_read(f->ctx, attr_named("block_state"),
					      at, text + at, size, &len),
				 0);
		assert_in_range(len, 0, size);
		at += len;
	} while (len);
	return text;
}

static void test_pieces(void **state)
{
	static const size_t sizes[] = { 1, 39, 40, 41, 1000, 4096, 131072 };
	struct fixture *f = *state;
	struct uz_page_state *pages = calloc(PAGES, sizeof(*pages));
	struct uz_strbuf whole = { 0 };
	unsigned int i;
	char *text;

	for (i = 0; i < PAGES; i++)
		pages[i].index = 3 * (uint64_t)i;
	f->dev.states = pages;
	f->dev.nr_states = PAGES;
	assert_int_equal(
		uz_attr_show(f->ctx, attr_named("block_state"), &whole), 0);
	assert_int_equal(whole.len, PAGES * LINE);
	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		f->dev.state_calls = 0;
		text = read_in_pieces(f, sizes[i]);
		assert_int_equal(strlen(text), whole.len);
		assert_string_equal(text, whole.data);
		/* One call for each piece and some more, not for each line. */
		assert_in_range(f->dev.state_calls, 1,
				2 * (whole.len / sizes[i] + 1) + PAGES / 128);
		free(text);
	}
	uz_strbuf_free(&whole);
	free(pages);
}

/* Somewhere in the middle, with nothing known of it. */
static void test_any_offset(void **state)
{
	struct fixture *f = *state;
	struct uz_page_state pages[300] = { 0 };
	char got[50];
	unsigned int i;
	size_t len;

	for (i = 0; i < 300; i++)
		pages[i].index = i;
	f->dev.states = pages;
	f->dev.nr_states = 300;
	assert_int_equal(uz_attr_read(f->ctx, attr_named("block_state"),
				      299 * LINE + 9, got, sizeof(got), &len),
			 0);
	assert_int_equal(len, LINE - 9);
	assert_memory_equal(got, "299 ", 4);
	assert_int_equal(uz_attr_read(f->ctx, attr_named("block_state"),
				      300 * LINE, got, sizeof(got), &len),
			 0);
	assert_int_equal(len, 0);
	assert_int_equal(uz_attr_read(f->ctx, attr_named("block_state"),
				      UINT64_MAX - 5, got, sizeof(got), &len),
			 0);
	assert_int_equal(len, 0);
	/* Pages in front are dropped: who reads in order misses none. */
	assert_int_equal(uz_attr_read(f->ctx, attr_named("block_state"), 0, got,
				      LINE, &len),
			 0);
	f->dev.states = pages + 1;
	f->dev.nr_states = 299;
	assert_int_equal(uz_attr_read(f->ctx, attr_named("block_state"), LINE,
				      got, LINE, &len),
			 0);
	assert_memory_equal(got, "           1 ", 13);
	/* The other attributes are read by parts as well. */
	assert_int_equal(uz_attr_read(f->ctx, attr_named("initstate"), 1, got,
				      LINE, &len),
			 0);
	assert_int_equal(len, 1);
	assert_int_equal(
		uz_attr_read(f->ctx, attr_named("idle"), 0, got, LINE, &len),
		-EACCES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(test_idle),
		fixture_test(test_format),
		fixture_test(test_pieces),
		fixture_test(test_any_offset),
	};

	return cmocka_run_group_tests_name("attr pages", tests, NULL, NULL);
}
