// SPDX-License-Identifier: MIT
/*
 * Training on the real device: which pages are read and that nobody notices,
 * that the dictionary is used afterwards, and what is refused.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <uzram/worker/train.h>

#include "device_fixture.h"

#define SIZE  (32u << 20)
#define PAGES 2000u

struct scene {
	struct fixture f;
	struct uz_trainer *trainer;
	struct uz_err err;
};

/*
 * Each page has bytes of its own, and lines that others have as well, but
 * itself only once.
 */
static void page_kin(unsigned char *page, uint64_t n)
{
	uint64_t x = n * UINT64_C(0x9e3779b97f4a7c15) + 1;
	unsigned int i, j;

	page_noise(page, n);
	for (i = 0; i < UZ_PAGE_SIZE; i += 128) {
		uint64_t line;

		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		line = (x >> 20) % 256 * UINT64_C(0x2545f4914f6cdd1d) + 1;
		for (j = 0; j < 112; j++) {
			line ^= line << 13, line ^= line >> 7,
				line ^= line << 17;
			page[i + j] = (unsigned char)line;
		}
	}
}

static void store_kin(struct fixture *f, uint64_t index)
{
	unsigned char page[UZ_PAGE_SIZE];

	page_kin(page, index);
	assert_int_equal(uz_page_store(f->io, index, page), 0);
}

static void expect_kin(struct fixture *f, uint64_t index)
{
	unsigned char page[UZ_PAGE_SIZE];

	page_kin(page, index);
	expect_page(f, index, page);
}

static int set_up(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	fixture_open(&s->f, "zstd:level=5", SIZE);
	*state = s;
	return uz_trainer_create(&s->trainer, s->f.dev);
}

static int tear_down(void **state)
{
	struct scene *s = *state;

	uz_trainer_destroy(s->trainer);
	fixture_close(&s->f);
	free(s);
	return 0;
}

static int train(struct scene *s, unsigned int priority, uint64_t size)
{
	return uz_trainer_run(s->trainer, priority, size, 0, &s->err);
}

static void test_train(void **state)
{
	struct scene *s = *state;
	struct uz_device_stat before, after;
	struct uz_page_state page;
	struct uz_trained t;
	uint64_t i;

	for (i = 0; i < PAGES; i++)
		store_kin(&s->f, i);
	assert_int_equal(uz_device_mark_idle(s->f.dev, UZ_IDLE_ALL, NULL, NULL),
			 0);
	uz_device_stat(s->f.dev, &before);
	assert_false(uz_trainer_last(s->trainer, &t));
	assert_string_equal(t.codec, "");
	if (train(s, 0, 16 << 10))
		fail_msg("%s", s->err.text);

	/* Nobody notices that pages were read. */
	uz_device_stat(s->f.dev, &after);
	assert_int_equal(before.num_reads, after.num_reads);
	assert_int_equal(before.compr_data_size, after.compr_data_size);
	i = 0;
	assert_int_equal(uz_device_page_states(s->f.dev, &i, &page, 1), 1);
	assert_true(page.idle);

	assert_false(uz_trainer_last(s->trainer, &t));
	assert_memory_equal(t.codec, "zstd:level=5,dict=", 18);
	assert_in_range(t.size, 8 << 10, 16 << 10);
	assert_int_equal(t.stored, PAGES);
	/* 400 pages are a hundred times the dictionary. */
	assert_in_range(t.learnt + t.held, 200, 400);
	assert_in_range(t.held, t.learnt / 4, t.learnt / 2);
	assert_true(t.with < t.without / 10 * 9);

	/* What was stored stays; what is stored now takes less. */
	for (i = 0; i < PAGES; i++)
		expect_kin(&s->f, i);
	for (i = 0; i < PAGES; i++)
		store_kin(&s->f, i);
	uz_device_stat(s->f.dev, &after);
	assert_true(after.compr_data_size < before.compr_data_size / 10 * 9);
	for (i = 0; i < PAGES; i++)
		expect_kin(&s->f, i);
}

/* Another priority; and a second one while pages need the first. */
static void test_again(void **state)
{
	struct scene *s = *state;
	struct uz_trained first, second;
	uint64_t i;

	assert_int_equal(uz_device_set_secondary(s->f.dev, 2, "lz4hc", NULL),
			 0);
	for (i = 0; i < PAGES; i++)
		store_kin(&s->f, i);
	assert_int_equal(train(s, 2, 16 << 10), 0);
	uz_trainer_last(s->trainer, &first);
	assert_memory_equal(first.codec, "lz4hc:dict=", 11);
	assert_int_equal(train(s, 0, 16 << 10), 0);
	for (i = 0; i < PAGES; i += 2)
		store_kin(&s->f, i);
	assert_int_equal(train(s, 0, 32 << 10), 0);
	uz_trainer_last(s->trainer, &second);
	assert_string_not_equal(first.codec, second.codec);
	for (i = 0; i < PAGES; i++)
		expect_kin(&s->f, i);
}

static void expect_refused(struct scene *s, unsigned int priority,
			   uint64_t size, int code, const char *why)
{
	struct uz_codec before, after;
	struct uz_trained t;

	uz_device_codec(s->f.dev, &before);
	assert_int_equal(train(s, priority, size), code);
	if (!strstr(s->err.text, why))
		fail_msg("'%s' does not say '%s'", s->err.text, why);
	uz_device_codec(s->f.dev, &after);
	assert_true(uz_codec_same(&before, &after));
	assert_false(uz_trainer_last(s->trainer, &t));
	assert_string_equal(t.codec, "");
}

static void test_refused(void **state)
{
	struct scene *s = *state;
	unsigned char page[UZ_PAGE_SIZE];
	uint64_t i;

	expect_refused(s, 0, 0, -EINVAL, "0 pages to learn from are too few");
	expect_refused(s, 1, 0, -EINVAL, "no codec of priority 1");
	expect_refused(s, 0, 1023, -ERANGE, "too small for zstd");
	expect_refused(s, 0, (1 << 20) + 1, -ERANGE, "too large for zstd");
	for (i = 0; i < 63; i++)
		store_kin(&s->f, i);
	/* Pages without an object are none. */
	for (i = 100; i < 300; i++) {
		page_same(page, i);
		assert_int_equal(uz_page_store(s->f.io, i, page), 0);
	}
	expect_refused(s, 0, 4096, -EINVAL,
		       "63 pages to learn from are too few for a dictionary of "
		       "4K: it takes 64");
	/* For a larger one it takes more. */
	for (; i < 500; i++)
		store_kin(&s->f, i);
	expect_refused(s, 0, 1 << 20, -EINVAL, "it takes 512");
	/* Noise has nothing in common. */
	for (i = 0; i < 500; i++) {
		page_noise(page, i);
		assert_int_equal(uz_page_store(s->f.io, i, page), 0);
	}
	expect_refused(s, 0, 4096, -EINVAL, "nothing");
	/* What pages repeat themselves needs no dictionary. */
	for (i = 0; i < 500; i++)
		store_text(&s->f, i, i);
	expect_refused(s, 0, 4096, -EINVAL, "nothing");

	assert_int_equal(uz_device_set_codec(s->f.dev, "store", NULL), 0);
	expect_refused(s, 0, 0, -ENOTSUP, "store has no use for dictionaries");
}

static void test_no_size(void **state)
{
	struct scene *s = *state;

	assert_int_equal(uz_device_reset(s->f.dev, true, NULL), 0);
	expect_refused(s, 0, 0, -EINVAL, "has no size");
}

/* Interrupted before it begins, and so before anything is changed. */
static void test_interrupted(void **state)
{
	struct scene *s = *state;
	struct uz_codec codec;
	uint64_t i;

	for (i = 0; i < PAGES; i++)
		store_kin(&s->f, i);
	uz_trainer_interrupt(s->trainer, 7);
	assert_int_equal(uz_trainer_run(s->trainer, 0, 0, 7, &s->err), -EINTR);
	uz_device_codec(s->f.dev, &codec);
	assert_int_equal(codec.dict, 0);
	/* That was about this one only. */
	assert_int_equal(uz_trainer_run(s->trainer, 0, 0, 8, &s->err), 0);
}

/* ---- what happens while it learns ---- */

static void (*meanwhile)(struct fixture *f);
static struct fixture *learnt_of;

int __real_uz_codec_train(const struct uz_codec *codec, const void *pages,
			  size_t nr, void *dict, size_t cap, size_t *size);
int __wrap_uz_codec_train(const struct uz_codec *codec, const void *pages,
			  size_t nr, void *dict, size_t cap, size_t *size);

int __wrap_uz_codec_train(const struct uz_codec *codec, const void *pages,
			  size_t nr, void *dict, size_t cap, size_t *size)
{
	if (meanwhile)
		meanwhile(learnt_of);
	return __real_uz_codec_train(codec, pages, nr, dict, cap, size);
}

static void choose_other(struct fixture *f)
{
	assert_int_equal(uz_device_set_codec(f->dev, "lz4", NULL), 0);
}

/* The same codec and size: only the pages are gone. */
static void reset_all(struct fixture *f)
{
	assert_int_equal(uz_device_reset(f->dev, true, NULL), 0);
	assert_int_equal(uz_device_set_codec(f->dev, "zstd:level=5", NULL), 0);
	assert_int_equal(uz_device_set_disksize(f->dev, SIZE, NULL), 0);
}

static void outlived(struct scene *s, void (*what)(struct fixture *f),
		     const char *codec, const char *why)
{
	char text[UZ_CODEC_TEXT_MAX + 1];
	struct uz_codec after;
	uint64_t i;
	int ret;

	for (i = 0; i < PAGES; i++)
		store_kin(&s->f, i);
	learnt_of = &s->f;
	meanwhile = what;
	ret = train(s, 0, 16 << 10);
	meanwhile = NULL;
	uz_device_codec(s->f.dev, &after);
	uz_codec_format(&after, text);
	assert_string_equal(text, codec);
	assert_int_equal(ret, -EINVAL);
	if (!strstr(s->err.text, why))
		fail_msg("'%s' does not say '%s'", s->err.text, why);
}

static void test_another_codec_meanwhile(void **state)
{
	outlived(*state, choose_other, "lz4", "another codec was chosen");
}

static void test_reset_meanwhile(void **state)
{
	outlived(*state, reset_all, "zstd:level=5", "was reset meanwhile");
}

#define test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(test_train),	    test(test_again),
		test(test_refused),	    test(test_no_size),
		test(test_interrupted),	    test(test_another_codec_meanwhile),
		test(test_reset_meanwhile),
	};

	return cmocka_run_group_tests_name("worker train", tests, NULL, NULL);
}
