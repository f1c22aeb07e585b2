// SPDX-License-Identifier: MIT
/*
 * Charts of uzram-bench: what is drawn, what is left out, what is escaped.
 * That a whole chart is well-formed XML is looked at by bench_engine.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <bench.h>

static char *draw(const struct chart *c)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	assert_non_null(f);
	assert_int_equal(chart_write(c, f), 0);
	fclose(f);
	return text;
}

static unsigned int count(const char *text, const char *what)
{
	unsigned int n = 0;

	for (; (text = strstr(text, what)); text += strlen(what))
		n++;
	return n;
}

static void test_bars(void **state)
{
	struct chart c = { .columns = 2, .nr_series = 2 };
	struct chart_panel *p;
	char *text;

	(void)state;
	strcpy(c.title, "a <b> & c");
	strcpy(c.note, "one\ntwo");
	strcpy(c.series[0], "first");
	strcpy(c.series[1], "second");
	for (int i = 0; i < 3; i++) {
		p = chart_add(&c);
		assert_non_null(p);
		strcpy(p->title, "panel");
		strcpy(p->unit, "MB/s");
		p->value[0] = 50;
		p->value[1] = i ? 100 : 0;
	}
	text = draw(&c);
	assert_int_equal(count(text, "<svg "), 1);
	assert_int_equal(count(text, "</svg>"), 1);
	/* background, legend, and a bar for each value that there is */
	assert_int_equal(count(text, "<rect "), 1 + 2 + 5);
	assert_int_equal(count(text, ">panel<"), 3);
	assert_int_equal(count(text, ">50.0 MB/s<"), 3);
	assert_int_equal(count(text, ">100 MB/s<"), 2);
	assert_int_equal(count(text, "a &lt;b&gt; &amp; c"), 1);
	assert_int_equal(count(text, ">two<"), 1);
	free(text);
	chart_free(&c);
}

static void test_empty(void **state)
{
	struct chart c = { 0 };
	char *text = draw(&c);

	(void)state;
	assert_int_equal(count(text, "</svg>"), 1);
	assert_int_equal(count(text, "nan"), 0);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bars),
		cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
