// SPDX-License-Identifier: MIT
/*
 * The attribute save: what is written to it, what it then says, and what is
 * refused. Saving itself is in test_worker_save.c.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "attr_fixture.h"

static char dir[64];
static char path[96];

static int set_up(void **state)
{
	int ret = fixture_setup(state);
	struct fixture *f = *state;

	strcpy(dir, "/tmp/uzram-save.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/file", dir);
	f->dev.snapshot_pages = 3;
	return ret ? ret : store(f, "disksize", "1M");
}

static int tear_down(void **state)
{
	int ret = fixture_teardown(state);

	unlink(path);
	return ret ? ret : rmdir(dir);
}

/* Waits for the end of a save. */
static void expect_end(struct fixture *f, const char *want)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	struct uz_strbuf text = { 0 };

	for (;;) {
		assert_int_equal(
			uz_attr_show(f->ctx, attr_named("save"), &text), 0);
		if (strncmp(text.data, "saving", 6) != 0)
			break;
		uz_strbuf_free(&text);
		nanosleep(&pause, NULL);
	}
	assert_string_equal(text.data, want);
	uz_strbuf_free(&text);
}

static void test_saves(void **state)
{
	struct fixture *f = *state;
	char line[128], want[128];
	struct stat st;

	assert_shows(f, "save", "none\n");
	snprintf(line, sizeof(line), "%s\n", path);
	assert_int_equal(store(f, "save", line), 0);
	/* Header, one block with three pages of a byte, trailer. */
	snprintf(want, sizeof(want), "saved 3 pages in %d bytes to %s\n",
		 1024 + 32 + 3 * 13 + 48, path);
	expect_end(f, want);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 1024 + 32 + 3 * 13 + 48);
	assert_int_equal(f->dev.snapshots, 0);
}

static void test_one_at_a_time(void **state)
{
	struct fixture *f = *state;
	char want[160];

	f->dev.hold_snapshot = true;
	assert_int_equal(store(f, "save", path), 0);
	snprintf(want, sizeof(want), "saving 0 / 3 pages to %s\n", path);
	assert_shows(f, "save", want);
	assert_int_equal(store(f, "save", "/tmp/other"), -EBUSY);
	assert_shows(f, "last_error",
		     "save: fake is being saved already; wait for its end\n");
	assert_shows(f, "save", want);
	f->dev.hold_snapshot = false;
	snprintf(want, sizeof(want), "saved 3 pages in 1143 bytes to %s\n",
		 path);
	expect_end(f, want);
	assert_int_equal(store(f, "save", path), 0);
	expect_end(f, want);
}

static void test_refuses(void **state)
{
	struct fixture *f = *state;
	char want[160];

	assert_int_equal(store(f, "save", "file"), -EINVAL);
	assert_shows(f, "last_error",
		     "save: \"file\" does not begin with '/': the daemon has "
		     "a directory of its own\n");
	assert_int_equal(store(f, "save", "\n"), -EINVAL);
	assert_int_equal(store(f, "save", "/no/such/directory/file"), -ENOENT);
	assert_int_equal(store(f, "save", dir), -EINVAL);
	snprintf(want, sizeof(want),
		 "save: %s is no regular file: it is not replaced\n", dir);
	assert_shows(f, "last_error", want);
	f->dev.begin_error = -EINVAL;
	assert_int_equal(store(f, "save", path), -EINVAL);
	assert_shows(f, "last_error", "save: not today\n");
	/* None of them counts as a save. */
	assert_shows(f, "save", "none\n");
	assert_int_equal(f->dev.snapshots, 0);
}

static void test_fails(void **state)
{
	struct fixture *f = *state;

	f->dev.next_error = -EIO;
	assert_int_equal(store(f, "save", path), 0);
	expect_end(f, "failed: it broke\n");
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(f->dev.snapshots, 0);
}

/* The device ends: nothing is left. */
static void test_is_given_up(void **state)
{
	struct fixture *f = *state;

	f->dev.snapshot_pages = ~0u;
	assert_int_equal(store(f, "save", path), 0);
	uz_attr_ctx_destroy(f->ctx);
	f->ctx = NULL;
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(f->dev.snapshots, 0);
}

#define save_test(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		save_test(test_saves),	     save_test(test_one_at_a_time),
		save_test(test_refuses),     save_test(test_fails),
		save_test(test_is_given_up),
	};

	return cmocka_run_group_tests_name("attr save", tests, NULL, NULL);
}
