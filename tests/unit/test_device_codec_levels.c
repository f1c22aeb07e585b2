// SPDX-License-Identifier: MIT
/*
 * Many codecs on one device in use, by the levels of one: an index is used
 * anew only when neither a page nor a request needs it any more, and who
 * adopts the memory finds them all. Built where a codec has levels.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include <device_priv.h>

#include "device_fixture.h"

#define SIZE (4u << 20)

int __real_uz_codec_compress(struct uz_codec_ctx *ctx, const void *src,
			     void *dst, size_t cap, size_t *len);
int __wrap_uz_codec_compress(struct uz_codec_ctx *ctx, const void *src,
			     void *dst, size_t cap, size_t *len);
int __real_uz_codec_decompress(struct uz_codec_ctx *ctx, const void *src,
			       size_t len, void *dst);
int __wrap_uz_codec_decompress(struct uz_codec_ctx *ctx, const void *src,
			       size_t len, void *dst);

/* The next use of a codec waits inside until it is let go. */
static atomic_bool hold, held;

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

static void be_held(void)
{
	if (!atomic_load(&hold))
		return;
	atomic_store(&held, true);
	while (atomic_load(&hold))
		nap();
}

int __wrap_uz_codec_compress(struct uz_codec_ctx *ctx, const void *src,
			     void *dst, size_t cap, size_t *len)
{
	be_held();
	return __real_uz_codec_compress(ctx, src, dst, cap, len);
}

int __wrap_uz_codec_decompress(struct uz_codec_ctx *ctx, const void *src,
			       size_t len, void *dst)
{
	be_held();
	return __real_uz_codec_decompress(ctx, src, len, dst);
}

static void level_text(int level, char text[UZ_CODEC_TEXT_MAX + 1])
{
	snprintf(text, UZ_CODEC_TEXT_MAX + 1, "%s:level=%d", level_codec(),
		 level);
}

static void set_level(struct fixture *f, int level, int expect)
{
	char text[UZ_CODEC_TEXT_MAX + 1];
	struct uz_err err = { 0 };
	int ret;

	level_text(level, text);
	ret = uz_device_set_codec(f->dev, text, &err);
	if (ret != expect)
		fail_msg("%s: %d, %s", text, ret, err.text);
	if (expect)
		assert_string_not_equal(err.text, "");
}

static void test_adoption_finds_all(void **state)
{
	struct fixture f;
	struct uz_codec codec;
	int i;

	(void)state;
	fixture_open(&f, NULL, SIZE);
	for (i = 1; i <= 6; i++) {
		set_level(&f, i, 0);
		store_text(&f, (uint64_t)i, (uint64_t)i);
	}
	assert_int_equal(uz_device_set_secondary(f.dev, 3, "store", NULL), 0);
	assert_int_equal(uz_device_set_secondary(f.dev, 0, "store", NULL),
			 -EINVAL);
	assert_int_equal(uz_device_set_secondary(f.dev, 4, "store", NULL),
			 -EINVAL);
	for (i = 0; i < 2; i++) {
		fixture_forget(&f);
		fixture_adopt(&f);
	}
	for (i = 1; i <= 6; i++)
		expect_text(&f, (uint64_t)i, (uint64_t)i);
	uz_device_codec(f.dev, &codec);
	assert_int_equal(codec.level, 6);
	assert_true(uz_device_codec_of(f.dev, 3, &codec));
	assert_string_equal(uz_codec_name(&codec), "store");
	assert_false(uz_device_codec_of(f.dev, 1, &codec));
	assert_false(uz_device_codec_of(f.dev, 4, &codec));
	fixture_close(&f);
}

static void test_places_run_out(void **state)
{
	struct fixture f;
	int i;

	(void)state;
	fixture_open(&f, NULL, SIZE);
	for (i = 2; i < 2 + UZ_SLOT_CODECS; i++) {
		set_level(&f, i, 0);
		store_text(&f, (uint64_t)i, (uint64_t)i);
	}
	/* All have pages. The present one stays; it may be chosen again. */
	set_level(&f, 11, -EBUSY);
	assert_int_equal(uz_device_set_secondary(f.dev, 1, "store", NULL),
			 -EBUSY);
	set_level(&f, 2, 0);
	set_level(&f, 1 + UZ_SLOT_CODECS, 0);
	/* The page of one is overwritten, another one's is dropped. */
	store_text(&f, 4, 44);
	set_level(&f, 11, 0);
	store_text(&f, 11, 11);
	set_level(&f, 12, -EBUSY);
	uz_page_drop(f.io, 6);
	set_level(&f, 12, 0);
	store_text(&f, 12, 12);
	fixture_check(&f);
	fixture_forget(&f);
	fixture_adopt(&f);
	for (i = 2; i < 2 + UZ_SLOT_CODECS; i++)
		if (i != 6)
			expect_text(&f, (uint64_t)i, i == 4 ? 44 : (uint64_t)i);
	expect_text(&f, 11, 11);
	expect_text(&f, 12, 12);
	fixture_close(&f);
}

/* A secondary codec keeps its place although it has no page. */
static void test_secondary_keeps_its_place(void **state)
{
	char other[UZ_CODEC_TEXT_MAX + 1];
	struct fixture f;
	int i;

	(void)state;
	fixture_open(&f, NULL, SIZE);
	assert_int_equal(uz_device_set_secondary(f.dev, 1, "store", NULL), 0);
	for (i = 2; i < 2 + UZ_SLOT_CODECS - 1; i++) {
		set_level(&f, i, 0);
		store_text(&f, (uint64_t)i, (uint64_t)i);
	}
	set_level(&f, 11, -EBUSY);
	/* Another one in its place: then it has none. */
	level_text(12, other);
	assert_int_equal(uz_device_set_secondary(f.dev, 1, other, NULL),
			 -EBUSY);
	uz_page_drop(f.io, 2);
	assert_int_equal(uz_device_set_secondary(f.dev, 1, other, NULL), 0);
	set_level(&f, 11, 0);
	fixture_close(&f);
}

struct helper {
	struct fixture *f;
	struct uz_io *io;
	enum uz_op op;
	int expect;
	atomic_bool done;
};

static void *request_page_2(void *arg)
{
	struct helper *h = arg;
	unsigned char page[UZ_PAGE_SIZE], want[UZ_PAGE_SIZE];

	page_text(page, 2);
	page_text(want, 2);
	assert_int_equal(uz_device_submit(h->io,
					  &(struct uz_request){
						  .op = h->op,
						  .offset = 2 * UZ_PAGE_SIZE,
						  .length = UZ_PAGE_SIZE,
						  .buf = page,
					  }),
			 0);
	assert_memory_equal(page, want, UZ_PAGE_SIZE);
	return NULL;
}

static void *change_codec(void *arg)
{
	struct helper *h = arg;

	set_level(h->f, 11, h->expect);
	atomic_store(&h->done, true);
	return NULL;
}

/*
 * A request is in the middle of a page by codec 2, which is not chosen any
 * more and has no page: its place must not be given away before its end. A
 * store then leaves a page, so that there is no place after all.
 */
static void waits_for(enum uz_op op)
{
	struct fixture f;
	struct helper a = { .f = &f, .op = op };
	struct helper b = { .f = &f, .expect = op == UZ_OP_READ ? 0 : -EBUSY };
	unsigned int i, index;
	pthread_t ta, tb;

	fixture_open(&f, NULL, SIZE);
	assert_int_equal(uz_io_create(f.dev, &a.io), 0);
	set_level(&f, 2, 0);
	index = atomic_load(&f.dev->codec);
	if (op == UZ_OP_READ)
		store_text(&f, 2, 2);
	atomic_store(&held, false);
	atomic_store(&hold, true);
	assert_int_equal(pthread_create(&ta, NULL, request_page_2, &a), 0);
	while (!atomic_load(&held))
		nap();
	/*
	 * The default codec may be one of these, so see that no place is left.
	 */
	for (i = 3; !f.dev->codecs[UZ_SLOT_CODECS - 1].ops; i++)
		set_level(&f, (int)i, 0);
	/* As if all the others had pages. */
	for (i = 0; i < UZ_SLOT_CODECS; i++)
		if (i != index)
			atomic_store(
				uz__codec_pages(&f.dev->ctl->counters[0], i),
				1);
	if (op == UZ_OP_READ)
		uz_page_drop(f.io, 2);
	assert_int_equal(pthread_create(&tb, NULL, change_codec, &b), 0);
	for (i = 0; i < 20; i++)
		nap();
	assert_false(atomic_load(&b.done));
	atomic_store(&hold, false);
	pthread_join(ta, NULL);
	pthread_join(tb, NULL);
	if (op == UZ_OP_WRITE)
		expect_text(&f, 2, 2);
	uz_io_destroy(a.io);
	/* The numbers were made up, so nothing could agree with them. */
	fixture_forget(&f);
	uz_device_mem_close(&f.mem);
}

static void test_waits_for_a_reader(void **state)
{
	(void)state;
	waits_for(UZ_OP_READ);
}

static void test_waits_for_a_writer(void **state)
{
	(void)state;
	waits_for(UZ_OP_WRITE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_adoption_finds_all),
		cmocka_unit_test(test_places_run_out),
		cmocka_unit_test(test_secondary_keeps_its_place),
		cmocka_unit_test(test_waits_for_a_reader),
		cmocka_unit_test(test_waits_for_a_writer),
	};

	return cmocka_run_group_tests_name("device codec levels", tests, NULL,
					   NULL);
}
