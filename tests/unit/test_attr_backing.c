// SPDX-License-Identifier: MIT
/*
 * Attributes of the backing store: what they show and refuse, which pages a
 * text asks for, how a run of writing back goes on and ends.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <uzram/worker.h>

#include "attr_fixture.h"

#define PAGES 1024

static void prepare(struct fixture *f)
{
	assert_int_equal(store(f, "backing_dev", "/some/file\n"), 0);
	assert_int_equal(store(f, "disksize", "4M"), 0);
}

static void test_store(void **state)
{
	struct fixture *f = *state;

	assert_shows(f, "backing_dev", "none\n");
	assert_int_equal(store(f, "backing_dev", "file"), -EINVAL);
	assert_shows(f, "last_error", "backing_dev: not a whole path\n");
	assert_int_equal(store(f, "backing_dev", "/some/file"), 0);
	assert_shows(f, "backing_dev", "/some/file\n");
	assert_int_equal(store(f, "backing_dev", "none\n"), 0);
	assert_shows(f, "backing_dev", "none\n");
	prepare(f);
	assert_int_equal(store(f, "backing_dev", "none\n"), -EBUSY);
}

static void test_settings(void **state)
{
	struct fixture *f = *state;

	assert_shows(f, "writeback_limit", "0\n");
	assert_shows(f, "writeback_limit_enable", "0\n");
	assert_int_equal(store(f, "writeback_limit", "400\n"), 0);
	assert_int_equal(store(f, "writeback_limit", "4k"), -EINVAL);
	assert_int_equal(store(f, "writeback_limit", "99999999999999999999"),
			 -EINVAL);
	assert_shows(f, "writeback_limit", "400\n");
	assert_int_equal(store(f, "writeback_limit_enable", "5\n"), 0);
	assert_shows(f, "writeback_limit_enable", "1\n");
	assert_int_equal(store(f, "writeback_limit_enable", "yes"), -EINVAL);
	assert_int_equal(store(f, "writeback_batch_size", "64"), 0);
	assert_int_equal(store(f, "writeback_batch_size", "0"), -EINVAL);
	assert_int_equal(store(f, "writeback_batch_size", "4294967296"),
			 -EINVAL);
	assert_shows(f, "writeback_batch_size", "64\n");
	/* The fake knows no defaults. */
	assert_shows(f, "writeback_marks", "off\n");
	assert_int_equal(store(f, "writeback_marks", "80-100\n"), 0);
	assert_shows(f, "writeback_marks", "80-100\n");
	assert_int_equal(store(f, "writeback_marks", "1-2"), 0);
	assert_int_equal(store(f, "writeback_marks", "90"), -EINVAL);
	assert_int_equal(store(f, "writeback_marks", "90-95%"), -EINVAL);
	assert_int_equal(store(f, "writeback_marks", "-1-5"), -EINVAL);
	assert_int_equal(store(f, "writeback_marks", "1--5"), -EINVAL);
	assert_int_equal(store(f, "writeback_marks", " 1-5"), -EINVAL);
	assert_int_equal(store(f, "writeback_marks", "1-1000"), -EINVAL);
	assert_int_equal(store(f, "writeback_marks", "0-5"), -ERANGE);
	assert_int_equal(store(f, "writeback_marks", "95-95"), -ERANGE);
	assert_int_equal(store(f, "writeback_marks", "90-101"), -ERANGE);
	assert_shows(f, "writeback_marks", "1-2\n");
	assert_int_equal(store(f, "writeback_marks", "off\n"), 0);
	assert_shows(f, "writeback_marks", "off\n");
	assert_int_equal(store(f, "writeback_promote", "1"), 0);
	assert_int_equal(store(f, "writeback_promote", "2"), -EINVAL);
	assert_shows(f, "writeback_promote", "1\n");
	assert_shows(f, "compressed_writeback", "1\n");
	assert_int_equal(store(f, "compressed_writeback", "0\n"), 0);
	assert_int_equal(store(f, "compressed_writeback", "maybe"), -EINVAL);
	assert_shows(f, "compressed_writeback", "1\n");
	prepare(f);
	assert_int_equal(store(f, "compressed_writeback", "1"), -EBUSY);
}

static void test_bd_stat(void **state)
{
	struct fixture *f = *state;

	f->dev.backing_stat = (struct uz_backing_stat){
		.blocks = 99,
		.used_blocks = 1,
		.read_blocks = 2,
		.written_blocks = 3456,
	};
	assert_shows(f, "bd_stat", "       1        2     3456\n");
}

/* Each number is one word of the struct: give each a value of its own. */
static void test_stat_names_every_number(void **state)
{
	struct fixture *f = *state;
	uint64_t *word = (uint64_t *)&f->dev.backing_stat;
	const size_t words = sizeof(f->dev.backing_stat) / sizeof(*word);
	struct uz_strbuf out = { 0 };
	size_t i, seen = 0;
	uint64_t value;
	char name[64];
	char *line;

	for (i = 0; i < words; i++)
		word[i] = 1000 + i;
	assert_int_equal(uz_attr_show(f->ctx, attr_named("stat"), &out), 0);
	line = strstr(out.data, "\nwriteback_running 0\nwriteback_total 0\n"
				"writeback_done 0\n");
	assert_non_null(line);
	line[1] = '\0';
	line = strstr(out.data, "\nblocks ");
	for (line = strtok(line, "\n"); line; line = strtok(NULL, "\n")) {
		assert_int_equal(
			sscanf(line, "%63[a-z_] %" SCNu64, name, &value), 2);
		assert_int_equal(value, 1000 + seen++);
	}
	assert_int_equal(seen, words);
	uz_strbuf_free(&out);
}

static void expect_hit_rate(struct fixture *f, uint64_t bytes_read,
			    uint64_t read_back, const char *rate)
{
	struct uz_strbuf out = { 0 };

	f->dev.stat.bytes_read = bytes_read;
	f->dev.backing_stat.read_back_pages = read_back;
	assert_int_equal(uz_attr_show(f->ctx, attr_named("stat"), &out), 0);
	if (!strstr(out.data, rate))
		fail_msg("no %s in %s", rate, out.data);
	uz_strbuf_free(&out);
}

static void test_hit_rate(void **state)
{
	struct fixture *f = *state;

	expect_hit_rate(f, 0, 0, "\nhit_rate 100.00\n");
	expect_hit_rate(f, 1000 * UZ_PAGE_SIZE, 0, "\nhit_rate 100.00\n");
	expect_hit_rate(f, 1000 * UZ_PAGE_SIZE, 125, "\nhit_rate 87.50\n");
	/* Changed in part: read from the store, and not by a read. */
	expect_hit_rate(f, UZ_PAGE_SIZE, 125, "\nhit_rate 0.00\n");
}

static void refuse(struct fixture *f, const char *text, int error,
		   const char *why)
{
	struct uz_strbuf out = { 0 };

	assert_int_equal(store(f, "writeback", text), error);
	assert_int_equal(uz_attr_show(f->ctx, attr_named("last_error"), &out),
			 0);
	if (!strstr(out.data, why))
		fail_msg("\"%s\" lacks \"%s\"", out.data, why);
	uz_strbuf_free(&out);
}

static void test_refusals(void **state)
{
	struct fixture *f = *state;

	refuse(f, "idle", -EINVAL, "no size");
	assert_int_equal(store(f, "disksize", "4M"), 0);
	refuse(f, "nonsense", -ENODEV, "no backing store");
	assert_int_equal(store(f, "backing_dev", "/some/file\n"), 0);
	refuse(f, "nonsense", -EINVAL, "none of huge, idle");
	refuse(f, "type=all", -EINVAL, "none of huge, idle");
	refuse(f, "type=", -EINVAL, "none of huge, idle");
	refuse(f, "pages=3", -EINVAL, "unknown key 'pages'");
	refuse(f, "page_index=x", -EINVAL, "is not a page");
	refuse(f, "page_index=1024", -ERANGE, "pages 0 to 1023");
	refuse(f, "page_indexes=7", -EINVAL, "two pages");
	refuse(f, "page_indexes=7-", -EINVAL, "two pages");
	refuse(f, "page_indexes=8-7", -ERANGE, "pages 8 to 7");
	refuse(f, "page_indexes=0-1024", -ERANGE, "pages 0 to 1024");
	refuse(f, " \n", -EINVAL, "empty");
	assert_int_equal(f->dev.steps, 0);
}

static void expect_order(struct fixture *f, const char *text,
			 unsigned int kinds, uint64_t first, uint64_t end)
{
	f->dev.want_first = f->dev.want_end = UINT64_MAX;
	assert_int_equal(store(f, "writeback", text), 0);
	assert_int_equal(f->dev.want.kinds, kinds);
	assert_int_equal(f->dev.want_first / 100, first / 100);
	assert_int_equal(f->dev.want_end, end);
}

static void test_orders(void **state)
{
	struct fixture *f = *state;

	prepare(f);
	expect_order(f, "huge\n", UZ_WRITEBACK_HUGE, 1000, PAGES);
	assert_int_equal(f->dev.steps, 11);
	expect_order(f, "idle", UZ_WRITEBACK_IDLE, 1000, PAGES);
	expect_order(f, "type=huge_idle", UZ_WRITEBACK_HUGE | UZ_WRITEBACK_IDLE,
		     1000, PAGES);
	expect_order(f, "incompressible", UZ_WRITEBACK_INCOMPRESSIBLE, 1000,
		     PAGES);
	expect_order(f, "page_index=7", 0, 7, 8);
	expect_order(f, "page_indexes=0-49 page_index=60 page_indexes=70-80", 0,
		     70, 81);
	/* What follows the type is not looked at, as in the kernel. */
	expect_order(f, "page_index=60 type=idle page_index=nonsense",
		     UZ_WRITEBACK_IDLE, 1000, PAGES);
}

static void test_largest_first(void **state)
{
	struct fixture *f = *state;

	prepare(f);
	assert_int_equal(store(f, "writeback", "page_index=7"), 0);
	assert_int_equal(f->dev.want.smallest, 1);
	assert_int_equal(f->dev.want.largest, UZ_PAGE_SIZE);
	assert_int_equal(store(f, "writeback_limit_enable", "1"), 0);
	f->dev.steps = 0;
	f->dev.fail_step = 2;
	f->dev.fail_error = -EDQUOT;
	refuse(f, "page_index=7", -EIO,
	       "writeback_limit is used up after 1 of 1 pages");
	assert_int_equal(f->dev.want.smallest, 3072);
	assert_int_equal(f->dev.want.largest, UZ_PAGE_SIZE - 1);
}

static void test_failures(void **state)
{
	struct fixture *f = *state;

	prepare(f);
	f->dev.fail_step = 3;
	f->dev.fail_error = -ENOSPC;
	refuse(f, "idle", -ENOSPC, "full after 200 of 1024 pages");
	f->dev.fail_step = 3;
	f->dev.fail_error = -ENODEV;
	refuse(f, "idle", -EINVAL, "was reset");
	/* The store fails once: what follows is written all the same. */
	f->dev.steps = 0;
	f->dev.fail_step = 3;
	f->dev.fail_error = -EIO;
	refuse(f, "idle", -EIO, "100 of 1024 pages could not be written");
	assert_int_equal(f->dev.steps, 11);
}

/* Some pages did not fit where others did: that is told at the end. */
static void test_skipped(void **state)
{
	struct fixture *f = *state;

	prepare(f);
	f->dev.skipped = -ENOSPC;
	refuse(f, "idle", -ENOSPC, "full after 1024 of 1024 pages");
	f->dev.skipped = -EDQUOT;
	refuse(f, "idle", -EIO, "is used up after 1024 of 1024 pages");
	f->dev.steps = 0;
	f->dev.fail_step = 3;
	f->dev.fail_error = -EIO;
	refuse(f, "idle", -EIO, "100 of 1024 pages could not be written");
	assert_int_equal(f->dev.steps, 11);
}

static void fail_always(void *arg)
{
	struct fixture *f = arg;

	f->dev.fail_step = 1;
}

static void test_gives_up(void **state)
{
	struct fixture *f = *state;

	prepare(f);
	f->dev.fail_error = -EIO;
	f->dev.in_step = fail_always;
	f->dev.in_step_arg = f;
	refuse(f, "idle", -EIO, "400 of 1024 pages could not be written");
	assert_int_equal(f->dev.steps, 4);
}

/* Requests come in meanwhile, and another run is refused. */
static void be_busy(void *arg)
{
	struct fixture *f = arg;
	struct uz_strbuf out = { 0 };

	f->dev.stat.num_reads++;
	if (f->dev.steps != 2)
		return;
	assert_int_equal(store(f, "writeback", "huge"), -EBUSY);
	assert_int_equal(uz_attr_busy(f->ctx, attr_named("writeback")), -EBUSY);
	assert_shows(f, "last_error",
		     "writeback: pages are being written back already, 100 of "
		     "1024 are done\n");
	assert_int_equal(uz_attr_busy(f->ctx, attr_named("recompress")), 0);
	assert_int_equal(uz_attr_busy(f->ctx, attr_named("idle")), 0);
	assert_int_equal(uz_attr_show(f->ctx, attr_named("stat"), &out), 0);
	assert_non_null(strstr(out.data,
			       "\nwriteback_running 1\nwriteback_total 1024\n"
			       "writeback_done 100\n"));
	uz_strbuf_free(&out);
	/* Other attributes are not held up. */
	assert_int_equal(store(f, "writeback_limit", "77"), 0);
}

static void test_meanwhile(void **state)
{
	struct fixture *f = *state;

	prepare(f);
	f->dev.in_step = be_busy;
	f->dev.in_step_arg = f;
	assert_int_equal(store(f, "writeback", "idle"), 0);
	assert_int_equal(f->dev.steps, 11);
	assert_int_equal(uz_attr_busy(f->ctx, attr_named("writeback")), 0);
	assert_true(uz_attr_takes_long(attr_named("writeback")));
	assert_true(uz_attr_takes_long(attr_named("recompress")));
	assert_false(uz_attr_takes_long(attr_named("scrub")));
}

/* ---- the worker itself ---- */

static const struct uz_backer_range all = { 0, 0, PAGES };
static const struct uz_backer_order order = { &all, 1, 0 };

static void interrupt(void *arg)
{
	uz_backer_interrupt(arg, 5);
}

static void test_interrupted(void **state)
{
	struct fixture *f = *state;
	struct uz_backer *b;
	struct uz_err err = { 0 };

	prepare(f);
	assert_int_equal(uz_backer_create(&b, &f->dev), 0);
	f->dev.in_step = interrupt;
	f->dev.in_step_arg = b;
	assert_int_equal(uz_backer_run(b, &order, 5, &err), -EINTR);
	assert_int_equal(f->dev.steps, 1);
	assert_string_equal(err.text, "interrupted after 100 of 1024 pages");
	/* Somebody else's interruption is not ours. */
	assert_int_equal(uz_backer_run(b, &order, 6, &err), 0);
	f->dev.in_step = NULL;
	/* One that comes before what it is about. */
	uz_backer_interrupt(b, 7);
	f->dev.steps = 0;
	assert_int_equal(uz_backer_run(b, &order, 7, &err), -EINTR);
	assert_int_equal(f->dev.steps, 0);
	uz_backer_destroy(b);
	uz_backer_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(test_store),
		fixture_test(test_settings),
		fixture_test(test_bd_stat),
		fixture_test(test_stat_names_every_number),
		fixture_test(test_hit_rate),
		fixture_test(test_refusals),
		fixture_test(test_orders),
		fixture_test(test_largest_first),
		fixture_test(test_failures),
		fixture_test(test_skipped),
		fixture_test(test_gives_up),
		fixture_test(test_meanwhile),
		fixture_test(test_interrupted),
	};

	return cmocka_run_group_tests_name("attr backing", tests, NULL, NULL);
}
