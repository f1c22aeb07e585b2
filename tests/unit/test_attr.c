// SPDX-License-Identifier: MIT
/*
 * The attribute table and what is common to all stores: limits on the text,
 * last_error, and who is told of a new size.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "attr_fixture.h"

static void test_rows_are_whole(void **state)
{
	const struct uz_attr *a, *b;
	unsigned int i, j;

	(void)state;
	for (i = 0; (a = uz_attr_at(i)); i++) {
		assert_true(a->what[0]);
		/* The mode says what there is, and nothing is there for all. */
		assert_int_equal(!!(a->mode & 0444), !!a->show);
		assert_int_equal(!!(a->mode & 0200), !!a->store);
		assert_int_equal(a->mode & 0133, 0);
		for (j = 0; j < i; j++) {
			b = uz_attr_at(j);
			assert_string_not_equal(a->name, b->name);
		}
	}
	assert_true(i >= 22);
	assert_null(uz_attr_at(i));
	assert_null(uz_attr_at(UINT32_MAX));
}

static void test_kernel_modes(void **state)
{
	(void)state;
	assert_int_equal(attr_named("disksize")->mode, 0644);
	assert_int_equal(attr_named("initstate")->mode, 0444);
	assert_int_equal(attr_named("reset")->mode, 0200);
	assert_int_equal(attr_named("mem_limit")->mode, 0200);
	assert_int_equal(attr_named("mem_used_max")->mode, 0200);
	assert_int_equal(attr_named("comp_algorithm")->mode, 0644);
	assert_int_equal(attr_named("max_comp_streams")->mode, 0644);
	assert_int_equal(attr_named("compact")->mode, 0200);
	assert_int_equal(attr_named("idle")->mode, 0200);
	assert_int_equal(attr_named("recomp_algorithm")->mode, 0644);
	assert_int_equal(attr_named("algorithm_params")->mode, 0200);
	assert_int_equal(attr_named("recompress")->mode, 0200);
	assert_int_equal(attr_named("mm_stat")->mode, 0444);
}

static void test_only_what_is_there(void **state)
{
	struct fixture *f = *state;
	struct uz_strbuf out = { 0 };

	assert_int_equal(uz_attr_show(f->ctx, attr_named("reset"), &out),
			 -EACCES);
	assert_int_equal(store(f, "mm_stat", "1"), -EACCES);
	assert_shows(f, "last_error", "mm_stat: can only be read\n");
	uz_strbuf_free(&out);
}

static void test_text_limits(void **state)
{
	struct fixture *f = *state;
	const struct uz_attr *attr = attr_named("disksize");
	static char big[1 << 20];

	memset(big, '1', sizeof(big));
	assert_int_equal(uz_attr_store(f->ctx, attr, big, sizeof(big), false),
			 -E2BIG);
	assert_int_equal(
		uz_attr_store(f->ctx, attr, big, UZ_ATTR_TEXT_MAX + 1, false),
		-E2BIG);
	/* That many digits are no number, but a text that is looked at. */
	assert_int_equal(
		uz_attr_store(f->ctx, attr, big, UZ_ATTR_TEXT_MAX, false),
		-EINVAL);
	assert_int_equal(uz_attr_store(f->ctx, attr, "", 0, false), -EINVAL);
	assert_int_equal(uz_attr_store(f->ctx, attr, NULL, 0, false), -EINVAL);
	assert_int_equal(uz_attr_store(f->ctx, attr, "1048576\0", 8, false),
			 -EINVAL);
	assert_int_equal(uz_attr_store(f->ctx, attr, "1048576\n\0x", 10, false),
			 -EINVAL);
	assert_int_equal(f->dev.size, 0);
	assert_int_equal(f->resized, 0);
	/* Not zero-terminated: what follows the text is not part of it. */
	assert_int_equal(
		uz_attr_store(f->ctx, attr, "1048576garbage", 7, false), 0);
	assert_int_equal(f->dev.size, 1048576);
}

static void test_last_error_is_the_last(void **state)
{
	struct fixture *f = *state;

	assert_shows(f, "last_error", "");
	assert_int_equal(store(f, "mem_used_max", "1"), -EINVAL);
	assert_shows(f, "last_error", "mem_used_max: takes only 0\n");
	assert_int_equal(store(f, "max_comp_streams", "x"), -EINVAL);
	assert_shows(f, "last_error",
		     "max_comp_streams: not a number above 0\n");
	/* A success does not wash it away: somebody may still want to read. */
	assert_int_equal(store(f, "mem_used_max", "0"), 0);
	assert_shows(f, "last_error",
		     "max_comp_streams: not a number above 0\n");
}

static void test_last_error_names_damage(void **state)
{
	struct fixture *f = *state;

	f->dev.damaged(f->dev.damaged_arg, 1234, "its slot is damaged");
	assert_shows(f, "last_error",
		     "block: page 1234: its slot is damaged; reading it fails "
		     "until all of it is written\n");
	assert_int_equal(store(f, "mem_used_max", "1"), -EINVAL);
	assert_shows(f, "last_error", "mem_used_max: takes only 0\n");
}

/* A page is read again and again for two seconds: lines in the log. */
static unsigned int lines_about_damage(struct fixture *f)
{
	struct timespec now, begin;
	unsigned int lines = 0;
	char line[512];
	int saved = dup(STDERR_FILENO);
	FILE *log = tmpfile();

	assert_non_null(log);
	assert_true(dup2(fileno(log), STDERR_FILENO) >= 0);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		f->dev.damaged(f->dev.damaged_arg, 99, "its slot is damaged");
		usleep(1000);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - begin.tv_sec < 2);
	/* This thread may have stood still since the first one. */
	f->dev.damaged(f->dev.damaged_arg, 99, "its slot is damaged");
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(log);
	while (fgets(line, sizeof(line), log))
		lines += !!strstr(line, "block: page 99: its slot is damaged");
	fclose(log);
	return lines;
}

static void test_log_names_damage(void **state)
{
	unsigned int lines = lines_about_damage(*state);

	/* One in each second, of which there may have been more. */
	assert_in_range(lines, 2, 30);
}

static void test_resized_is_called_when_it_was(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(store(f, "disksize", "0"), -EINVAL);
	assert_int_equal(store(f, "mem_limit", "4096"), 0);
	assert_int_equal(f->resized, 0);
	assert_int_equal(store(f, "disksize", "1048576"), 0);
	assert_int_equal(f->resized, 1);
	assert_int_equal(store(f, "disksize", "524288"), -EBUSY);
	assert_int_equal(store(f, "disksize", "1M"), 0);
	assert_int_equal(f->resized, 1);
	assert_int_equal(store(f, "disksize", "2M"), 0);
	assert_int_equal(f->resized, 2);
	/* Perhaps it was, by a process that has died. */
	assert_int_equal(
		uz_attr_store(f->ctx, attr_named("disksize"), "2M", 2, true),
		0);
	assert_int_equal(f->resized, 3);
	assert_int_equal(store(f, "reset", "1"), 0);
	assert_int_equal(f->resized, 4);
	assert_int_equal(store(f, "reset", "1"), 0);
	assert_int_equal(f->resized, 4);
}

static void test_pid(void **state)
{
	char text[32];

	snprintf(text, sizeof(text), "%d\n", (int)getpid());
	assert_shows(*state, "pid", text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_are_whole),
		cmocka_unit_test(test_kernel_modes),
		fixture_test(test_only_what_is_there),
		fixture_test(test_text_limits),
		fixture_test(test_last_error_is_the_last),
		fixture_test(test_last_error_names_damage),
		fixture_test(test_log_names_damage),
		fixture_test(test_resized_is_called_when_it_was),
		fixture_test(test_pid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
