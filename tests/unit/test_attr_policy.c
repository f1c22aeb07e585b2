// SPDX-License-Identifier: MIT
/*
 * The attribute policy: what it shows and refuses, and what stat says of it.
 * What the policy does is in test_worker_policy.c.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "attr_fixture.h"

static void expect_stat(struct fixture *f, const char *text)
{
	struct uz_strbuf out = { 0 };

	assert_int_equal(uz_attr_show(f->ctx, attr_named("stat"), &out), 0);
	if (!strstr(out.data, text))
		fail_msg("no '%s' in '%s'", text, out.data);
	uz_strbuf_free(&out);
}

static void test_setting(void **state)
{
	struct fixture *f = *state;

	assert_shows(f, "policy", "off idle=60 share=25 near=90 busy=50\n");
	assert_int_equal(store(f, "policy", "idle=9, busy=100\n"), 0);
	assert_shows(f, "policy", "off idle=9 share=25 near=90 busy=100\n");
	assert_false(f->dev.tracks_age);
	assert_int_equal(store(f, "policy", "perhaps"), -EINVAL);
	assert_shows(f, "last_error",
		     "policy: unknown word 'perhaps'; known are off, auto, "
		     "idle=SECONDS, share=PERCENT, near=PERCENT and "
		     "busy=PERCENT\n");
}

static void test_on(void **state)
{
	struct fixture *f = *state;

	expect_stat(f, "\npolicy off\n");
	assert_int_equal(store(f, "policy", "auto"), 0);
	assert_shows(f, "policy", "auto idle=60 share=25 near=90 busy=50\n");
	assert_true(f->dev.tracks_age);
	assert_int_equal(store(f, "policy", "off"), 0);
	expect_stat(f, "\npolicy off\n");
}

static void test_stat(void **state)
{
	struct fixture *f = *state;

	f->dev.policy[UZ_POLICY_MARKED] = 11;
	f->dev.policy[UZ_POLICY_RECOMPRESSED] = 12;
	f->dev.policy[UZ_POLICY_SAVED] = 13;
	f->dev.policy[UZ_POLICY_WRITTEN] = 14;
	f->dev.policy[UZ_POLICY_CPU_NS] = 15;
	expect_stat(f, "\npolicy_marked 11\npolicy_recompressed 12\n"
		       "policy_saved 13\npolicy_written_back 14\n"
		       "policy_cpu_ns 15\npolicy off\n");
}

/*
 * Whoever takes a device over goes on; if he cannot, there is still a device.
 */
static void test_taken_over(void **state)
{
	struct fixture *f = *state;

	uz_attr_ctx_destroy(f->ctx);
	f->dev.policy[UZ_POLICY_ON] = 1;
	f->dev.track_error = -ENOMEM;
	assert_int_equal(uz_attr_ctx_create(&f->ctx, &f->dev, 1, NULL, NULL),
			 0);
	expect_stat(f, "\npolicy off\n");
	uz_attr_ctx_destroy(f->ctx);
	f->dev.track_error = 0;
	assert_int_equal(uz_attr_ctx_create(&f->ctx, &f->dev, 1, NULL, NULL),
			 0);
	assert_true(f->dev.tracks_age);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(test_setting),
		fixture_test(test_on),
		fixture_test(test_stat),
		fixture_test(test_taken_over),
	};

	return cmocka_run_group_tests_name("attr policy", tests, NULL, NULL);
}
