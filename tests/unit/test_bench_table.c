// SPDX-License-Identifier: MIT
/*
 * Tables of uzram-bench: text and JSON have the same figures, and what was
 * not measured is not zero.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <bench.h>

static const struct table_column columns[] = {
	{ "size_bytes", "size", "MB", 1e-6, 1 },
	{ "cost_ns", "cost", "us", 1e-3, 2 },
};

static void fill(struct table *t)
{
	struct table_row *row;

	*t = (struct table){
		.name = "part",
		.title = "what it is",
		.nr_columns = 2,
		.column = columns,
	};
	row = table_add(t, "corpus", "lz4", "first");
	assert_non_null(row);
	table_set(row, 0, 7e6);
	table_set(row, 0, 1.5e6); /* set, not added */
	row = table_add(t, "corpus", "lz4", "second one");
	assert_non_null(row);
	for (unsigned int i = 1; i <= 3; i++)
		stats_add(&row->value[1], 1000 * i);
}

static void test_text(void **state)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	struct table t;

	(void)state;
	assert_non_null(out);
	fill(&t);
	table_text(&t, out);
	snprintf(t.note, sizeof(t.note), "(a note)");
	table_text(&t, out);
	fclose(out);
	assert_non_null(strstr(text, "\npart: what it is\n            "));
	assert_non_null(strstr(text, "\npart: what it is\n(a note)\n"));
	assert_non_null(strstr(text, "\nlz4, corpus\n"
				     "  first             1.5          -\n"
				     "  second one          -       2.00\n"));
	free(text);
	table_free(&t);
}

static void test_json(void **state)
{
	struct table t;
	json_t *root, *rows, *cost;

	(void)state;
	fill(&t);
	root = table_json(&t);
	rows = json_object_get(root, "rows");
	assert_int_equal(json_array_size(rows), 2);
	assert_true(json_number_value(json_object_get(json_array_get(rows, 0),
						      "size_bytes")) == 1.5e6);
	assert_null(json_object_get(json_array_get(rows, 0), "cost_ns"));
	cost = json_object_get(json_array_get(rows, 1), "cost_ns");
	assert_true(json_number_value(json_object_get(cost, "median")) == 2000);
	assert_int_equal(json_array_size(json_object_get(cost, "rounds")), 3);
	json_decref(root);
	table_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
