// SPDX-License-Identifier: MIT
/*
 * The attribute upgrade: what it hands on, and what it refuses by itself.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "attr_fixture.h"

static char asked[128];
static int answer;

static int ask(void *arg, const char *path, bool again, struct uz_err *err)
{
	snprintf(asked, sizeof(asked), "%s%s", path, again ? " again" : "");
	return answer ? uz_err_set((struct uz_err *)err, answer, "not %s",
				   (const char *)arg)
		      : 0;
}

static void show(void *arg, struct uz_strbuf *out)
{
	uz_strbuf_add(out, "state %s\n", (const char *)arg);
}

static char now[] = "now";
static const struct uz_attr_upgrade upgrade = {
	.ask = ask,
	.show = show,
	.arg = now,
};

static const struct uz_attr_process process = {
	.supervisor = 1,
	.upgrade = &upgrade,
};

static int set_up(void **state)
{
	int ret = fixture_setup(state);
	struct fixture *f = *state;

	asked[0] = '\0';
	answer = 0;
	if (!ret)
		uz_attr_set_process(f->ctx, &process);
	return ret;
}

static void expect_shown(struct fixture *f, const char *name, const char *want)
{
	struct uz_strbuf text = { 0 };

	assert_int_equal(uz_attr_show(f->ctx, attr_named(name), &text), 0);
	assert_string_equal(text.data, want);
	uz_strbuf_free(&text);
}

static void test_hands_on(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(store(f, "upgrade", "/sbin/uzramd\n"), 0);
	assert_string_equal(asked, "/sbin/uzramd");
	assert_int_equal(store(f, "upgrade", "1"), 0);
	assert_string_equal(asked, "");
	assert_int_equal(
		uz_attr_store(f->ctx, attr_named("upgrade"), "/p", 2, true), 0);
	assert_string_equal(asked, "/p again");
	expect_shown(f, "upgrade", "state now\n");
	answer = -EBUSY;
	assert_int_equal(store(f, "upgrade", "1\n"), -EBUSY);
	expect_shown(f, "last_error", "upgrade: not now\n");
}

static void test_refuses(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(store(f, "upgrade", "uzramd"), -EINVAL);
	assert_int_equal(store(f, "upgrade", "0\n"), -EINVAL);
	assert_string_equal(asked, "");
	uz_attr_set_process(f->ctx, &(struct uz_attr_process){ 0 });
	assert_int_equal(store(f, "upgrade", "1"), -ENOTSUP);
	expect_shown(f, "upgrade", "state none\n");
}

/* It would end with the process. */
static void test_while_saving(void **state)
{
	struct fixture *f = *state;
	char path[] = "/tmp/uzram-save.XXXXXX";
	char want[160];

	close(mkstemp(path));
	f->dev.snapshot_pages = 3;
	f->dev.hold_snapshot = true;
	assert_int_equal(store(f, "disksize", "1M"), 0);
	assert_int_equal(store(f, "save", path), 0);
	assert_int_equal(store(f, "upgrade", "1"), -EBUSY);
	assert_string_equal(asked, "");
	snprintf(want, sizeof(want),
		 "upgrade: the device is being saved to %s, which would end; "
		 "wait for that\n",
		 path);
	expect_shown(f, "last_error", want);
	f->dev.hold_snapshot = false;
	while (store(f, "upgrade", "1"))
		usleep(1000);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_hands_on, set_up,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_refuses, set_up,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_while_saving, set_up,
						fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
