// SPDX-License-Identifier: MIT
/*
 * What a device does unasked: each rule with numbers that are made up, then the
 * thread on a device that is a fake.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <policy_priv.h>

#include "fake_device.h"
#include "no_thread.h"
#include "soon.h"

/* ---- the decision ---- */

/*
 * struct rule - what is to be decided of what
 * @what:    for the message
 * @has:     o it is on, p pages are stored, c there is a codec, s a store,
 *           l a limit
 * @now:     seconds; ages are tracked since 100, a round was at 1000
 * @idle:    the idle age
 * @busy:    percent of the CPUs
 * @full:    percent of the limit
 * @changed: when it was used last; 0: there was no round yet
 * @due:     of the round: r to be recompressed, w to be written back
 */
static const struct rule {
	const char *what;
	const char *has;
	uint64_t now;
	uint64_t idle;
	unsigned int busy;
	unsigned int full;
	uint64_t changed;
	const char *due;
	enum uz__policy_action action;
	const char *word;
} rules[] = {
	{ "off", "pcsl", 1010, 60, 10, 99, 990, "rw", UZ__POLICY_END, "off" },
	{ "empty", "ocsl", 9999, 60, 10, 99, 990, "rw", UZ__POLICY_REST,
	  "empty" },
	{ "nothing can be old", "opcsl", 160, 60, 10, 50, 0, "",
	  UZ__POLICY_REST, "young" },
	{ "the first round", "opcsl", 161, 60, 10, 50, 0, "", UZ__POLICY_MARK,
	  "working" },
	{ "the first round, busy", "opcsl", 161, 60, 100, 50, 0, "",
	  UZ__POLICY_MARK, "working" },
	{ "between rounds", "opcsl", 1014, 60, 10, 50, 990, "", UZ__POLICY_REST,
	  "young" },
	{ "a round later", "opcsl", 1015, 60, 10, 50, 990, "", UZ__POLICY_MARK,
	  "working" },
	{ "rounds a second apart at least", "opcsl", 1000, 1, 10, 50, 999, "",
	  UZ__POLICY_REST, "young" },
	{ "and at any age", "opcsl", 1001, 1, 10, 50, 999, "", UZ__POLICY_MARK,
	  "working" },
	{ "all were old", "opcsl", 9999, 60, 10, 50, 939, "", UZ__POLICY_REST,
	  "unchanged" },
	{ "one may not have been", "opcsl", 9999, 60, 10, 50, 940, "",
	  UZ__POLICY_MARK, "working" },
	{ "recompress", "opcsl", 1010, 60, 10, 50, 990, "rw",
	  UZ__POLICY_RECOMPRESS, "working" },
	{ "half of the CPUs are free", "opcsl", 1010, 60, 50, 50, 990, "rw",
	  UZ__POLICY_RECOMPRESS, "working" },
	{ "others want the CPUs", "opcsl", 1010, 60, 51, 50, 990, "rw",
	  UZ__POLICY_REST, "cpu_busy" },
	{ "no codec", "opsl", 1010, 60, 10, 50, 990, "rw", UZ__POLICY_REST,
	  "no_codec" },
	{ "recompress first", "opcsl", 1010, 60, 10, 99, 990, "rw",
	  UZ__POLICY_RECOMPRESS, "working" },
	{ "then write back", "opcsl", 1010, 60, 10, 99, 990, "w",
	  UZ__POLICY_WRITEBACK, "working" },
	{ "write back while busy", "opcsl", 1010, 60, 100, 99, 990, "rw",
	  UZ__POLICY_WRITEBACK, "working" },
	{ "write back without a codec", "opsl", 1010, 60, 10, 99, 990, "rw",
	  UZ__POLICY_WRITEBACK, "working" },
	{ "below the mark", "opcsl", 1010, 60, 10, 89, 990, "w",
	  UZ__POLICY_REST, "young" },
	{ "above the mark", "opcsl", 1010, 60, 10, 91, 990, "w",
	  UZ__POLICY_WRITEBACK, "working" },
	{ "a round is brought to its end", "opcsl", 1015, 60, 10, 99, 990, "rw",
	  UZ__POLICY_RECOMPRESS, "working" },
	{ "all of it", "opcsl", 1015, 60, 10, 99, 990, "w",
	  UZ__POLICY_WRITEBACK, "working" },
	{ "unless that has to wait", "opcsl", 1015, 60, 100, 50, 990, "rw",
	  UZ__POLICY_MARK, "working" },
	{ "no limit", "opcs", 1010, 60, 10, 99, 990, "w", UZ__POLICY_REST,
	  "young" },
	{ "no store, or a full one", "opcl", 1010, 60, 10, 99, 990, "w",
	  UZ__POLICY_REST, "young" },
};

static void expect_rule(const struct rule *r, uint64_t limit)
{
	const struct uz__policy_view view = {
		.on = strchr(r->has, 'o'),
		.codec = strchr(r->has, 'c'),
		.store = strchr(r->has, 's'),
		.now = r->now,
		.stored = strchr(r->has, 'p') ? 100 : 0,
		.used = limit / 100 * r->full,
		.limit = strchr(r->has, 'l') ? limit : 0,
		.busy = r->busy,
		.busy_max = 50,
		.idle = r->idle,
		.near = 90,
	};
	const struct uz__policy_past past = {
		.marked = r->changed,
		.recompress = strchr(r->due, 'r'),
		.writeback = strchr(r->due, 'w'),
		.began = 100,
		.marked_at = 1000,
		.changed_at = r->changed,
	};
	const struct uz__policy_step step = uz__policy_decide(&view, &past);

	if (step.action != r->action || strcmp(step.word, r->word))
		fail_msg("%s: action %d, %s", r->what, step.action, step.word);
}

static void test_rules(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		expect_rule(&rules[i], UINT64_C(1) << 20);
		expect_rule(&rules[i], UINT64_C(1) << 63);
	}
}

/* Left alone, a device comes to rest, and a use of it begins another round. */
static void test_rounds(void **state)
{
	struct uz__policy_view v = {
		.on = true, .codec = true, .stored = 100, .idle = 60
	};
	struct uz__policy_past p;
	unsigned int marks = 0, recompressions = 0;
	struct uz__policy_step step = { 0 };

	(void)state;
	uz__policy_begin(&p, 0);
	for (v.now = 0; v.now < 1000; v.now++) {
		uz__policy_see(&p, &v);
		step = uz__policy_decide(&v, &p);
		if (step.action == UZ__POLICY_MARK)
			marks++;
		/* The first time it finds something. */
		if (step.action == UZ__POLICY_RECOMPRESS)
			recompressions++;
		uz__policy_did(&p, step.action, v.now, recompressions == 1);
	}
	assert_string_equal(step.word, "unchanged");
	/* What lost its mark is marked again, which takes some rounds. */
	assert_in_range(marks, 2, 8);
	assert_int_equal(recompressions, marks);
	v.requests++;
	uz__policy_see(&p, &v);
	assert_string_equal(uz__policy_decide(&v, &p).word, "working");
	assert_int_equal(uz__policy_decide(&v, &p).action, UZ__POLICY_MARK);
}

static void test_pause(void **state)
{
	(void)state;
	assert_int_equal(uz__policy_pause(0, 0, 25), 0);
	assert_int_equal(uz__policy_pause(1000, 1000, 25), 3000);
	assert_int_equal(uz__policy_pause(1000, 3000, 25), 1000);
	assert_int_equal(uz__policy_pause(1000, 5000, 25), 0);
	assert_int_equal(uz__policy_pause(1000, 1000, 100), 0);
	assert_int_equal(uz__policy_pause(1000, 1000, 1), 99000);
}

/* ---- the setting ---- */

struct fixture {
	struct uz_device dev;
	struct uz_policy *policy;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fake_device_init(&f->dev);
	*state = f;
	return uz_policy_create(&f->policy, &f->dev);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	create_fails = false;
	uz_policy_destroy(f->policy);
	fake_device_end(&f->dev);
	free(f);
	return 0;
}

static void expect_setting(struct fixture *f, const char *text)
{
	struct uz_strbuf out = { 0 };

	uz_policy_format(&f->dev, &out);
	assert_string_equal(out.data, text);
	/* What is shown can be given. */
	assert_int_equal(uz_policy_check(out.data, NULL), 0);
	uz_strbuf_free(&out);
}

static void refuses(struct fixture *f, const char *text, const char *why)
{
	struct uz_err err = { 0 };

	assert_int_equal(uz_policy_apply(&f->dev, text, &err), -EINVAL);
	if (!strstr(err.text, why))
		fail_msg("'%s': %s", text, err.text);
}

static void test_setting(void **state)
{
	struct fixture *f = *state;
	char text[UZ_POLICY_TEXT_MAX + 2];

	expect_setting(f, "off idle=60 share=25 near=90 busy=50");
	assert_int_equal(uz_policy_apply(&f->dev, "idle=5,near=50\n", NULL), 0);
	expect_setting(f, "off idle=5 share=25 near=50 busy=50");
	assert_int_equal(uz_policy_apply(&f->dev, "auto share=100", NULL), 0);
	expect_setting(f, "auto idle=5 share=100 near=50 busy=50");
	/* Nothing changes when one word is wrong. */
	refuses(f, "off idle=7 share=101",
		"share '101' is not a number from 1 to 100");
	refuses(f, "off share=0", "from 1 to 100");
	refuses(f, "idle=-1", "from 1 to 4294967295");
	refuses(f, "idle=5s", "idle '5s'");
	refuses(f, "idle=99999999999999999999", "idle");
	refuses(f, "idle", "idle ''");
	refuses(f, "on", "unknown word 'on'");
	refuses(f, " \n", "write off or auto");
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	refuses(f, text, "longer than");
	expect_setting(f, "auto idle=5 share=100 near=50 busy=50");
	/* Memory that was adopted may hold anything. */
	f->dev.policy[UZ_POLICY_SHARE] = 0x1234567890;
	expect_setting(f, "auto idle=5 share=25 near=50 busy=50");
}

/* ---- the thread ---- */

static bool rests(struct fixture *f, const char *word)
{
	return !strcmp(uz_policy_rests(f->policy), word);
}

static void wait_for_rest(struct fixture *f, const char *word)
{
	if (!SOON(rests(f, word)))
		fail_msg("'%s', not '%s'", uz_policy_rests(f->policy), word);
}

/* All that its thread looks at is there before it. */
static void turn_on(struct fixture *f)
{
	if (!f->dev.size)
		assert_int_equal(uz_device_set_disksize(&f->dev, 1 << 20, NULL),
				 0);
	f->dev.stat.orig_data_size = 1 << 20;
	f->dev.stat.mem_used_total = f->dev.stat.mem_limit = 1 << 20;
	f->dev.secondary[1] = f->dev.codec;
	f->dev.candidates = 50;
	f->dev.backing_stat.blocks = 1000;
	strcpy(f->dev.backing, "/store");
	assert_int_equal(uz_policy_apply(&f->dev,
					 "auto idle=1 share=100 busy=100",
					 NULL),
			 0);
	assert_int_equal(uz_policy_follow(f->policy, NULL), 0);
}

static void turn_off(struct fixture *f)
{
	assert_int_equal(uz_policy_apply(&f->dev, "off", NULL), 0);
	assert_int_equal(uz_policy_follow(f->policy, NULL), 0);
	assert_string_equal(uz_policy_rests(f->policy), "off");
}

static void test_off(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(uz_policy_follow(f->policy, NULL), 0);
	assert_string_equal(uz_policy_rests(f->policy), "off");
	assert_false(f->dev.tracks_age);
}

static void wait_for_number(struct fixture *f, enum uz_policy_number which)
{
	assert_true(SOON(uz_device_policy(&f->dev, which)));
}

/* As busy as the machine may be: writing back does not wait for that. */
static void test_works(void **state)
{
	struct fixture *f = *state;

	turn_on(f);
	assert_true(f->dev.tracks_age);
	wait_for_number(f, UZ_POLICY_WRITTEN);
	turn_off(f);
	assert_int_equal(f->dev.idle_age, 1);
	assert_int_equal(f->dev.want.kinds, UZ_WRITEBACK_IDLE);
	assert_int_equal(f->dev.want_end, 256);
	/* The first run was whole; it may have been ended in another one. */
	assert_true(uz_device_policy(&f->dev, UZ_POLICY_WRITTEN) >= 256);
	assert_true(uz_device_policy(&f->dev, UZ_POLICY_MARKED) >= 50);
	assert_true(uz_device_policy(&f->dev, UZ_POLICY_CPU_NS) > 0);
	assert_int_equal(
		uz_device_policy(&f->dev, UZ_POLICY_SAVED),
		100 * uz_device_policy(&f->dev, UZ_POLICY_RECOMPRESSED));
	/* Once more. */
	assert_int_equal(uz_policy_apply(&f->dev, "auto", NULL), 0);
	assert_int_equal(uz_policy_follow(f->policy, NULL), 0);
	assert_false(rests(f, "off"));
}

/* In the middle of writing back: the step is waited for, and no more. */
static void stop_soon(void *arg)
{
	usleep(20000);
	(void)arg;
}

static void test_stopped_in_a_run(void **state)
{
	struct fixture *f = *state;

	f->dev.in_step = stop_soon;
	assert_int_equal(uz_device_set_disksize(&f->dev, 1 << 20, NULL), 0);
	/* More steps than anybody would wait for; the data are not touched. */
	f->dev.size = UINT64_C(1) << 40;
	turn_on(f);
	assert_true(SOON(f->dev.steps));
	turn_off(f);
	assert_in_range(f->dev.steps, 1, 100000);
}

/* A reset takes the setting away. */
static void test_reset(void **state)
{
	struct fixture *f = *state;

	turn_on(f);
	f->dev.policy[UZ_POLICY_ON] = 0;
	wait_for_rest(f, "off");
	/* Its thread has ended by itself, and another one can begin. */
	f->dev.policy[UZ_POLICY_ON] = 1;
	assert_int_equal(uz_policy_follow(f->policy, NULL), 0);
}

static void test_failures(void **state)
{
	struct fixture *f = *state;
	struct uz_err err = { 0 };

	f->dev.policy[UZ_POLICY_ON] = 1;
	f->dev.track_error = -ENOMEM;
	assert_int_equal(uz_policy_follow(f->policy, &err), -ENOMEM);
	f->dev.track_error = 0;
	create_fails = true;
	assert_int_equal(uz_policy_follow(f->policy, &err), -EAGAIN);
	assert_non_null(strstr(err.text, "no thread for the policy"));
	assert_string_equal(uz_policy_rests(f->policy), "off");
	create_fails = false;
	assert_int_equal(uz_policy_follow(f->policy, &err), 0);
	wait_for_rest(f, "empty");
}

#define policy_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_rounds),
		cmocka_unit_test(test_pause),
		policy_test(test_setting),
		policy_test(test_off),
		policy_test(test_works),
		policy_test(test_stopped_in_a_run),
		policy_test(test_reset),
		policy_test(test_failures),
	};

	return cmocka_run_group_tests_name("worker policy", tests, NULL, NULL);
}
