// SPDX-License-Identifier: MIT
/*
 * What the attributes tell of the allocator, and compaction on demand.
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "attr_fixture.h"

#define COLUMNS 18

static void test_compact(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(store(f, "compact", "1\n"), -EINVAL);
	assert_shows(f, "last_error", "compact: the device has no size\n");
	assert_int_equal(f->dev.compacts, 0);
	assert_int_equal(store(f, "disksize", "1M"), 0);
	f->dev.batches = 3;
	assert_int_equal(store(f, "compact", "1\n"), 0);
	assert_int_equal(f->dev.compacts, 3);
	assert_int_equal(f->dev.scope, UZ_POOL_COMPACT_ALL);
	/* Any text at all, and with nothing to do. */
	assert_int_equal(store(f, "compact", "please"), 0);
	assert_int_equal(f->dev.compacts, 4);
	assert_int_equal(f->resized, 1);
}

static void test_zpool(void **state)
{
	assert_shows(*state, "zpool", "fakepool\n");
}

/* The words of the next line; false at the end. */
static bool next_line(char **text, char *words[COLUMNS + 1])
{
	char *line = strsep(text, "\n"), *save = NULL;
	unsigned int i;

	if (!line || !*line)
		return false;
	for (i = 0; i <= COLUMNS; i++, line = NULL) {
		words[i] = strtok_r(line, " ", &save);
		if (!words[i])
			break;
	}
	if (i != COLUMNS)
		fail_msg("%u columns", i);
	return true;
}

static void assert_words(char *words[COLUMNS + 1],
			 const char *const wanted[COLUMNS])
{
	unsigned int i;

	for (i = 0; i < COLUMNS; i++)
		assert_string_equal(words[i], wanted[i]);
}

#define TITLES                                                             \
	{                                                                  \
		"class", "size", "12%", "25%", "37%", "50%", "62%", "75%", \
			"87%", "99%", "100%", "growing", "obj_allocated",  \
			"obj_used", "obj_deferred", "pages_used",          \
			"pages_per_zspage", "freeable"                     \
	}

static void test_pool_stat(void **state)
{
	static const char *const wanted[][COLUMNS] = {
		TITLES,
		{ "0", "16", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10",
		  "5500", "40", "2", "60", "32", "11" },
		{ "2", "4112", "0", "0", "0", "0", "0", "0", "0", "0", "1", "0",
		  "31", "31", "0", "32", "32", "0" },
		{ "Empty", "-", "0", "0", "0", "0", "0", "0", "0", "0", "0",
		  "0", "0", "0", "0", "5", "-", "5" },
		{ "Total", "-", "1", "2", "3", "4", "5", "6", "7", "8", "10",
		  "10", "5531", "71", "2", "97", "-", "16" },
	};
	struct fixture *f = *state;
	struct uz_strbuf out = { 0 };
	char *text, *words[COLUMNS + 1];
	unsigned int i;

	f->dev.nr_classes = 3;
	f->dev.classes[0] = (struct uz_pool_class_stat){
		.size = 16,
		.per_zspage = 100,
		.pages = 32,
		.zspages = 55,
		.full = 9,
		.growing = 10,
		.fullness = { 1, 2, 3, 4, 5, 6, 7, 8 },
		.objects = 40,
		.deferred = 2,
		.used_bytes = 60 * UZ_PAGE_SIZE,
		.waste = 11 * UZ_PAGE_SIZE + 4095,
	};
	/* Without zspages, so it is left out. */
	f->dev.classes[1] = (struct uz_pool_class_stat){
		.size = 32,
		.per_zspage = 100,
		.pages = 32,
	};
	f->dev.classes[2] = (struct uz_pool_class_stat){
		.size = 4112,
		.per_zspage = 31,
		.pages = 32,
		.zspages = 1,
		.full = 1,
		.objects = 31,
		.used_bytes = 32 * UZ_PAGE_SIZE,
		.waste = 1,
	};
	f->dev.stat.empty_bytes = 5 * UZ_PAGE_SIZE;
	assert_int_equal(uz_attr_show(f->ctx, attr_named("pool_stat"), &out),
			 0);
	text = out.data;
	for (i = 0; next_line(&text, words); i++)
		assert_words(words, wanted[i]);
	assert_int_equal(i, sizeof(wanted) / sizeof(*wanted));
	uz_strbuf_free(&out);
}

/* Whatever the numbers, each stands under the end of its title. */
static void test_pool_stat_in_columns(void **state)
{
	struct fixture *f = *state;
	struct uz_strbuf out = { 0 };
	const char *line, *end;
	size_t width;

	f->dev.nr_classes = 1;
	f->dev.classes[0] = (struct uz_pool_class_stat){ .size = 4112,
							 .pages = 32,
							 .zspages = 1 };
	assert_int_equal(uz_attr_show(f->ctx, attr_named("pool_stat"), &out),
			 0);
	width = strcspn(out.data, "\n");
	for (line = out.data; *line; line = end + 1) {
		end = strchr(line, '\n');
		assert_int_equal(end - line, width);
	}
	uz_strbuf_free(&out);
}

/* Without a size there is nothing but the sums. */
static void test_pool_stat_without_size(void **state)
{
	struct fixture *f = *state;
	struct uz_strbuf out = { 0 };
	char *text, *words[COLUMNS + 1];

	assert_int_equal(uz_attr_show(f->ctx, attr_named("pool_stat"), &out),
			 0);
	text = out.data;
	assert_true(next_line(&text, words));
	assert_true(next_line(&text, words));
	assert_string_equal(words[0], "Empty");
	assert_true(next_line(&text, words));
	assert_string_equal(words[0], "Total");
	assert_false(next_line(&text, words));
	uz_strbuf_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(test_compact),
		fixture_test(test_zpool),
		fixture_test(test_pool_stat),
		fixture_test(test_pool_stat_in_columns),
		fixture_test(test_pool_stat_without_size),
	};

	return cmocka_run_group_tests_name("attr pool", tests, NULL, NULL);
}
