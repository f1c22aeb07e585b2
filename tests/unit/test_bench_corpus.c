// SPDX-License-Identifier: MIT
/*
 * Corpora of uzram-bench: files and directories, whole pages, and blocks that
 * are taken across the end.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <bench.h>

struct dir {
	char path[32];
	char file[2][48];
};

static void write_file(const char *path, size_t size, char c)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	for (size_t i = 0; i < size; i++)
		fputc(c, f);
	assert_int_equal(fclose(f), 0);
}

static int setup(void **state)
{
	struct dir *d = calloc(1, sizeof(*d));

	assert_non_null(d);
	strcpy(d->path, "/tmp/test-corpus-XXXXXX");
	assert_non_null(mkdtemp(d->path));
	snprintf(d->file[0], sizeof(d->file[0]), "%s/a", d->path);
	snprintf(d->file[1], sizeof(d->file[1]), "%s/b", d->path);
	write_file(d->file[0], CORPUS_MIN - 1, 'a');
	write_file(d->file[1], UZ_PAGE_SIZE + 1, 'b');
	*state = d;
	return 0;
}

static int teardown(void **state)
{
	struct dir *d = *state;

	unlink(d->file[0]);
	unlink(d->file[1]);
	rmdir(d->path);
	free(d);
	return 0;
}

static void test_directory(void **state)
{
	struct dir *d = *state;
	struct corpus c;

	assert_int_equal(corpus_load(&c, d->path, 64 << 20, NULL), 0);
	assert_int_equal(c.size, CORPUS_MIN + UZ_PAGE_SIZE);
	assert_int_equal(c.data[0], 'a');
	assert_int_equal(c.data[CORPUS_MIN - 2], 'a');
	assert_int_equal(c.data[CORPUS_MIN - 1], 'b');
	/* A block that begins at the last page goes on at the start. */
	assert_int_equal(c.data[c.size - 1], 'b');
	assert_int_equal(c.data[c.size], 'a');
	assert_ptr_equal(corpus_page(&c, corpus_pages(&c) + 1),
			 c.data + UZ_PAGE_SIZE);
	corpus_free(&c);
	assert_null(c.data);
}

static void test_limit(void **state)
{
	struct dir *d = *state;
	struct corpus c;

	assert_int_equal(corpus_load(&c, d->path, CORPUS_MIN + 5, NULL), 0);
	assert_int_equal(c.size, CORPUS_MIN);
	corpus_free(&c);
}

static void test_refused(void **state)
{
	struct dir *d = *state;
	struct uz_err err = { 0 };
	struct corpus c;

	assert_int_equal(corpus_load(&c, d->file[1], 64 << 20, &err), -EINVAL);
	assert_non_null(strstr(err.text, "less than 1 MiB"));
	assert_null(c.data);
	assert_int_equal(corpus_load(&c, "/nonexistent/corpus", 64 << 20, &err),
			 -ENOENT);
	assert_non_null(strstr(err.text, "/nonexistent/corpus"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_directory, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
