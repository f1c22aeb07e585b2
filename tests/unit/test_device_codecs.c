// SPDX-License-Identifier: MIT
/*
 * The codecs of a device in use: a change applies to new stores, pages of
 * former codecs stay readable, also for who adopts the memory. What becomes of
 * many codecs is in test_device_codec_levels.c.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <device_priv.h>

#include "device_fixture.h"

#define SIZE (4u << 20)

int __real_uz_codec_ctx_create(const struct uz_codec *codec,
			       const struct uz_codec_dict *dict,
			       struct uz_codec_ctx **ctx);
int __wrap_uz_codec_ctx_create(const struct uz_codec *codec,
			       const struct uz_codec_dict *dict,
			       struct uz_codec_ctx **ctx);

/* Contexts that can still be made; then there is no memory. */
static unsigned int contexts = ~0u;

int __wrap_uz_codec_ctx_create(const struct uz_codec *codec,
			       const struct uz_codec_dict *dict,
			       struct uz_codec_ctx **ctx)
{
	if (!contexts)
		return -ENOMEM;
	contexts--;
	return __real_uz_codec_ctx_create(codec, dict, ctx);
}

static void expect_codec(struct fixture *f, const char *want)
{
	char text[UZ_CODEC_TEXT_MAX + 1];
	struct uz_codec codec;

	uz_device_codec(f->dev, &codec);
	uz_codec_format(&codec, text);
	assert_string_equal(text, want);
}

/* Pages and bytes of the codec of that text; 0 where it is not listed. */
static struct uz_device_codec_stat stat_of(struct fixture *f, const char *name)
{
	char text[UZ_CODEC_TEXT_MAX + 1];
	struct uz_device_codec_stat stat;
	unsigned int i;

	for (i = 0; uz_device_codec_stat(f->dev, i, &stat); i++) {
		if (!stat.codec.ops)
			continue;
		uz_codec_format(&stat.codec, text);
		if (!strcmp(text, name))
			return stat;
	}
	return (struct uz_device_codec_stat){ 0 };
}

static void test_applies_to_new_stores(void **state)
{
	struct fixture f;
	struct uz_io *late;
	unsigned int n;

	(void)state;
	fixture_open(&f, NULL, SIZE);
	store_text(&f, 1, 1);
	assert_int_equal(uz_device_set_codec(f.dev, "store", NULL), 0);
	expect_codec(&f, "store");
	store_text(&f, 2, 2);
	expect_text(&f, 1, 1);
	expect_text(&f, 2, 2);
	/* The codec "store" gains nothing, so its pages are raw. */
	n = codec_compresses();
	assert_int_equal(stat_of(&f, uz_codec_known(0)).pages, n);
	if (n)
		assert_in_range(stat_of(&f, uz_codec_known(0)).bytes, 1, 4095);
	assert_int_equal(stat_of(&f, "store").pages, 0);

	/* A thread that comes later reads both, and stores by the new one. */
	assert_int_equal(uz_io_create(f.dev, &late), 0);
	uz_io_destroy(f.io);
	f.io = late;
	expect_text(&f, 1, 1);
	store_text(&f, 1, 3);
	expect_text(&f, 1, 3);
	assert_int_equal(stat_of(&f, uz_codec_known(0)).pages, 0);

	/* What cannot be parsed changes nothing. */
	assert_int_equal(uz_device_set_codec(f.dev, "nope", NULL), -EINVAL);
	expect_codec(&f, "store");

	/* Reset goes back to the default and forgets the others. */
	assert_int_equal(uz_device_set_secondary(f.dev, 1, "store", NULL), 0);
	assert_int_equal(uz_device_reset(f.dev, true, NULL), 0);
	expect_codec(&f, uz_codec_known(0));
	assert_false(uz_device_codec_of(f.dev, 1, &(struct uz_codec){ 0 }));
	fixture_close(&f);
}

static void test_no_memory(void **state)
{
	struct fixture f;
	struct uz_io *other;

	(void)state;
	fixture_open(&f, NULL, SIZE);
	assert_int_equal(uz_io_create(f.dev, &other), 0);
	contexts = 1;
	assert_int_equal(
		uz_device_set_codec(f.dev, "store", &(struct uz_err){ 0 }),
		codec_compresses() ? -ENOMEM : 0);
	contexts = ~0u;
	expect_codec(&f, uz_codec_known(0));
	store_text(&f, 1, 1);
	expect_text(&f, 1, 1);
	assert_int_equal(uz_device_set_codec(f.dev, "store", NULL), 0);
	store_text(&f, 2, 2);
	expect_text(&f, 2, 2);
	uz_io_destroy(other);
	fixture_close(&f);
}

/* Every codec of the build, side by side, and again for a successor. */
static void test_each_codec(void **state)
{
	struct fixture f;
	const char *name;
	unsigned int i;

	(void)state;
	fixture_open(&f, NULL, SIZE);
	for (i = 0; (name = uz_codec_known(i)); i++) {
		assert_int_equal(uz_device_set_codec(f.dev, name, NULL), 0);
		expect_codec(&f, name);
		store_text(&f, i, i);
		assert_int_equal(stat_of(&f, name).pages,
				 strcmp(name, "store") != 0);
	}
	fixture_check(&f);
	fixture_forget(&f);
	fixture_adopt(&f);
	for (i = 0; uz_codec_known(i); i++)
		expect_text(&f, i, i);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_applies_to_new_stores),
		cmocka_unit_test(test_each_codec),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests_name("device codecs", tests, NULL, NULL);
}
