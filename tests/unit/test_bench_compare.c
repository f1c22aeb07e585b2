// SPDX-License-Identifier: MIT
/*
 * What uzram-bench --compare makes of what was measured, without measuring:
 * the choice of the transport in table, JSON and chart; undoing in parts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <device.h>

static const char *const names[] = {
	"zram:lz4",
	"uzram:transport=auto",
	"uzram:transport=fuse",
	"uzram:transport=io_uring",
};

/* Three rounds of one work; io_uring is the better one by its median. */
static const double rates[4][3] = {
	{ 1000, 2000, 4000 },
	{ 90, 190, 360 },
	{ 100, 150, 4000 },
	{ 100, 200, 400 },
};

static struct device_run *new_run(void)
{
	struct device_run *run = calloc(1, sizeof(*run));

	assert_non_null(run);
	run->nr_targets = 4;
	run->rounds = 3;
	run->seconds = 1;
	run->size = 64 << 20;
	run->compare = true;
	run->nr_works = 1;
	run->work = calloc(1, sizeof(*run->work));
	assert_non_null(run->work);
	run->work->load = (struct load){
		.block = UZ_PAGE_SIZE,
		.reads = 70,
		.random = true,
		.depth = 32,
		.jobs = 2,
	};
	for (int i = 0; i < 4; i++) {
		struct device_value *v = &run->work->value[i];

		strcpy(run->target[i].name, names[i]);
		for (int r = 0; r < 3; r++) {
			stats_add(&v->rate, rates[i][r]);
			stats_add(&v->cpu, 2 + i);
		}
		v->latency = calloc(1, sizeof(*v->latency));
		assert_non_null(v->latency);
		for (int us = 1; us <= 1000; us++)
			hist_add(v->latency, (uint64_t)us * 1000);
	}
	return run;
}

static void test_choice(void **state)
{
	struct device_run *run = new_run();
	struct compare_choice c;

	(void)state;
	assert_true(compare_choice(run, run->work, &c));
	assert_string_equal(c.better, "io_uring");
	/* of 0.9, 0.95 and 0.9 */
	assert_true(c.ratio == 0.9);
	run->work->value[2].rate.v[1] = 1000;
	assert_true(compare_choice(run, run->work, &c));
	assert_string_equal(c.better, "fuse");
	/* of 0.9, 0.19 and 0.09 */
	assert_true(c.ratio == 0.19);
	run->nr_targets = 3;
	assert_false(compare_choice(run, run->work, &c));
	run->nr_targets = 4;
	device_run_free(run);
}

static char *text_of(const struct device_run *run)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	device_text(run, f);
	fclose(f);
	return text;
}

static void test_text(void **state)
{
	struct device_run *run = new_run();
	char *text;

	(void)state;
	run->nr_left_out = 1;
	strcpy(run->left_out[0].name, "nbdkit:zstd");
	strcpy(run->left_out[0].why, "is not here");
	text = text_of(run);
	assert_non_null(strstr(text, "mixed 70/30 4 KiB, depth 32, 2 jobs"));
	assert_non_null(strstr(text, "left out: nbdkit:zstd (is not here)\n"));
	assert_non_null(strstr(text, "auto / better transport (io_uring)"));
	assert_non_null(strstr(text, "in 0 of 1, least 0.90"));
	free(text);
	run->nr_targets = 3;
	text = text_of(run);
	assert_null(strstr(text, "better"));
	free(text);
	run->nr_targets = 4;
	device_run_free(run);
}

static double number(json_t *o, const char *key)
{
	json_t *v = json_object_get(o, key);

	assert_true(json_is_number(v));
	return json_number_value(v);
}

static void test_json(void **state)
{
	struct device_run *run = new_run();
	json_t *root = device_json(run), *work, *value;

	(void)state;
	assert_non_null(root);
	work = json_array_get(json_object_get(root, "results"), 0);
	assert_true(number(work, "read_percent") == 70);
	assert_true(number(json_object_get(work, "auto"), "ratio") == 0.9);
	value = json_array_get(json_object_get(work, "targets"), 3);
	assert_true(number(value, "cpu_ratio_to_first") == 2.5);
	assert_true(number(value, "ratio_to_first") == 0.1);
	assert_true(number(value, "p50_us") >= 500);
	assert_true(number(value, "p99_us") >= 990);
	assert_true(number(value, "p999_us") >= 999);
	assert_true(number(value, "p999_us") > number(value, "p99_us"));
	json_decref(root);
	device_run_free(run);
}

static void test_chart(void **state)
{
	struct device_run *run = new_run();
	struct chart c = { 0 };

	(void)state;
	assert_int_equal(device_chart(run, &c), 0);
	/* rate, latency and CPU */
	assert_int_equal(c.nr_panels, 3);
	assert_true(c.panel[0].value[0] == 2);
	assert_true(c.panel[2].value[0] == 2 && c.panel[2].value[3] == 5);
	chart_free(&c);
	run->compare = false;
	assert_int_equal(device_chart(run, &c), 0);
	assert_int_equal(c.nr_panels, 1);
	chart_free(&c);
	device_run_free(run);
}

static void test_defaults(void **state)
{
	struct device_options o = { 0 };
	struct device_options given = {
		.targets = { 1, { "uzram" } },
		.seconds = 7,
	};

	(void)state;
	compare_defaults(&o);
	assert_int_equal(o.targets.n, 7);
	assert_string_equal(o.targets.item[0], names[0]);
	assert_true(o.seconds == 1.5 && o.max_large == 4);
	compare_defaults(&given);
	assert_int_equal(given.targets.n, 1);
	assert_true(given.seconds == 7);
}

static char undone[8];

static void note(void *arg)
{
	strcat(undone, arg);
}

static void test_undo_in_parts(void **state)
{
	unsigned int mark;

	(void)state;
	undo_push(note, (char *)"a");
	mark = undo_mark();
	undo_push(note, (char *)"b");
	undo_push(note, (char *)"c");
	undo_to(mark);
	assert_string_equal(undone, "cb");
	undo_push(note, (char *)"d");
	undo_all();
	assert_string_equal(undone, "cbda");
	undo_all();
	assert_string_equal(undone, "cbda");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_chart),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_undo_in_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
