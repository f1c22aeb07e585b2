// SPDX-License-Identifier: MIT
/*
 * Recompression of pages: what is gained and what is left, and that whatever
 * happens to a page at any step of it, the page reads right. The codec is
 * where others come in: it is wrapped, and calls back. Built where there are
 * both lz4 and zstd.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <device_priv.h>

#include "device_fixture.h"

#define SIZE (UINT64_C(64) << 20)

int __real_uz_codec_compress(struct uz_codec_ctx *ctx, const void *src,
			     void *dst, size_t cap, size_t *len);
int __wrap_uz_codec_compress(struct uz_codec_ctx *ctx, const void *src,
			     void *dst, size_t cap, size_t *len);
int __real_uz_codec_decompress(struct uz_codec_ctx *ctx, const void *src,
			       size_t len, void *dst);
int __wrap_uz_codec_decompress(struct uz_codec_ctx *ctx, const void *src,
			       size_t len, void *dst);

/* Called once, in the middle of the next use of this context. */
static struct {
	const struct uz_codec_ctx *ctx;
	void (*before_encode)(void);
	void (*after_encode)(void);
	void (*after_decode)(void);
	bool fails;
} hook;

static void call(void (**fn)(void))
{
	void (*now)(void) = *fn;

	*fn = NULL;
	if (now)
		now();
}

int __wrap_uz_codec_compress(struct uz_codec_ctx *ctx, const void *src,
			     void *dst, size_t cap, size_t *len)
{
	int ret;

	if (ctx != hook.ctx)
		return __real_uz_codec_compress(ctx, src, dst, cap, len);
	call(&hook.before_encode);
	if (hook.fails)
		return -E2BIG;
	ret = __real_uz_codec_compress(ctx, src, dst, cap, len);
	call(&hook.after_encode);
	return ret;
}

int __wrap_uz_codec_decompress(struct uz_codec_ctx *ctx, const void *src,
			       size_t len, void *dst)
{
	int ret = __real_uz_codec_decompress(ctx, src, len, dst);

	call(&hook.after_decode);
	return ret;
}

/* Device with lz4 for stores and zstd behind it, and a second thread's way. */
static struct {
	struct fixture f;
	struct uz_io *other;
	unsigned char page[UZ_PAGE_SIZE];
} t;

#define INDEX 5

static void open_device(void)
{
	memset(&hook, 0, sizeof(hook));
	fixture_open(&t.f, "lz4", SIZE);
	assert_int_equal(uz_device_set_secondary(t.f.dev, 1, "zstd", NULL), 0);
	assert_int_equal(uz_io_create(t.f.dev, &t.other), 0);
	hook.ctx =
		t.f.io->ctx[uz__secondary(atomic_load(&t.f.dev->secondary), 1)];
	assert_non_null(hook.ctx);
	page_dna(t.page, 1);
	assert_int_equal(uz_page_store(t.other, INDEX, t.page), 0);
}

static void close_device(void)
{
	expect_page(&t.f, INDEX, t.page);
	uz_io_destroy(t.other);
	fixture_close(&t.f);
}

static struct uz_recompression recompress_all(struct uz_recompress how)
{
	struct uz_recompression done = { 0 };
	uint64_t index = 0;
	int ret;

	assert_int_equal(uz_recompress_begin(t.f.dev, &how, NULL), 0);
	while ((ret = uz_recompress(t.f.io, &how, &index, 16, &done)) > 0)
		;
	assert_int_equal(ret, 0);
	return done;
}

static uz_slot_t slot(uint64_t index)
{
	return uz_table_load(t.f.dev->table, index);
}

static bool by_zstd(uint64_t index)
{
	return uz_slot_kind(slot(index)) == UZ_SLOT_OBJECT &&
	       !strcmp(uz_codec_name(
			       &t.f.dev->codecs[uz_slot_codec(slot(index))]),
		       "zstd");
}

static void test_gains(void **state)
{
	struct uz_device_stat before, after;
	struct uz_recompression done;

	(void)state;
	open_device();
	uz_device_stat(t.f.dev, &before);
	done = recompress_all((struct uz_recompress){ .count_only = true });
	assert_int_equal(done.tried, 1);
	assert_false(by_zstd(INDEX));
	done = recompress_all((struct uz_recompress){ 0 });
	assert_int_equal(done.tried, 1);
	assert_int_equal(done.gained, 1);
	assert_true(by_zstd(INDEX));
	uz_device_stat(t.f.dev, &after);
	assert_true(after.compr_data_size + 100 < before.compr_data_size);
	assert_int_equal(after.orig_data_size, before.orig_data_size);
	assert_int_equal(after.recompressed, 1);
	assert_int_equal(after.recompress_saved, done.bytes);
	assert_true(done.bytes > 100);
	/* It has that codec now, so there is nothing more to do. */
	done = recompress_all((struct uz_recompress){ 0 });
	assert_int_equal(done.tried, 0);
	done = recompress_all((struct uz_recompress){ .priority = 1 });
	assert_int_equal(done.tried, 0);
	/* The counts outlive the process. */
	uz_io_destroy(t.other);
	fixture_forget(&t.f);
	fixture_adopt(&t.f);
	assert_int_equal(uz_io_create(t.f.dev, &t.other), 0);
	uz_device_stat(t.f.dev, &after);
	assert_int_equal(after.recompressed, 1);
	assert_true(by_zstd(INDEX));
	close_device();
}

static void test_which_pages(void **state)
{
	unsigned char page[UZ_PAGE_SIZE];
	struct uz_recompression done;
	uint64_t i;

	(void)state;
	open_device();
	page_noise(page, 1);
	assert_int_equal(uz_page_store(t.f.io, 6, page), 0);
	page_same(page, UINT64_C(0x123456789abcdef1));
	assert_int_equal(uz_page_store(t.f.io, 7, page), 0);
	page_same(page, 1);
	assert_int_equal(uz_page_store(t.f.io, 8, page), 0);

	done = recompress_all((struct uz_recompress){ .count_only = true });
	assert_int_equal(done.tried, 2);
	done = recompress_all(
		(struct uz_recompress){ .count_only = true, .huge = true });
	assert_int_equal(done.tried, 1);
	done = recompress_all(
		(struct uz_recompress){ .count_only = true, .least = 4096 });
	assert_int_equal(done.tried, 1);
	done = recompress_all(
		(struct uz_recompress){ .count_only = true, .below = 4096 });
	assert_int_equal(done.tried, 1);
	done = recompress_all((struct uz_recompress){ .idle = true });
	assert_int_equal(done.tried, 0);
	assert_int_equal(uz_device_mark_idle(t.f.dev, UZ_IDLE_ALL, NULL, NULL),
			 0);
	expect_page(&t.f, INDEX, t.page);
	done = recompress_all(
		(struct uz_recompress){ .idle = true, .huge = true });
	/* Noise: nothing helps, and that is noted. It is not idle any more. */
	assert_int_equal(done.tried, 1);
	assert_int_equal(done.kept, 1);
	assert_true(slot(6) & UZ_SLOT_INCOMPRESSIBLE);
	assert_false(slot(6) & UZ_SLOT_IDLE);
	done = recompress_all((struct uz_recompress){ .huge = true });
	assert_int_equal(done.tried, 0);
	fixture_check(&t.f);
	page_noise(page, 1);
	expect_page(&t.f, 6, page);

	/* Few at a time, over holes, and to the very last page. */
	for (i = 0; i < 40; i++)
		assert_int_equal(uz_page_store(t.f.io,
					       SIZE / UZ_PAGE_SIZE - 1 - i,
					       t.page),
				 0);
	done = recompress_all((struct uz_recompress){ 0 });
	assert_int_equal(done.gained, 41);
	close_device();
}

/* Raw pages of what the first codec cannot do and the second one can. */
static void test_raw_becomes_compressed(void **state)
{
	struct uz_device_stat before, after;
	struct uz_recompression done;
	struct uz_page_state s;
	uint64_t at = INDEX;

	(void)state;
	open_device();
	assert_int_equal(uz_device_set_codec(t.f.dev, "store", NULL), 0);
	assert_int_equal(uz_page_store(t.f.io, INDEX, t.page), 0);
	uz_device_stat(t.f.dev, &before);
	assert_int_equal(before.huge_pages, 1);
	done = recompress_all((struct uz_recompress){ .huge = true });
	assert_int_equal(done.gained, 1);
	uz_device_stat(t.f.dev, &after);
	assert_int_equal(after.huge_pages, 0);
	assert_int_equal(after.huge_pages_since, before.huge_pages_since);
	assert_int_equal(uz_device_page_states(t.f.dev, &at, &s, 1), 1);
	assert_true(s.recompressed && !s.huge);
	close_device();
}

static void test_priorities(void **state)
{
	struct uz_recompress how = { .priority = 2 };
	struct uz_recompression done;
	struct uz_err err = { 0 };

	(void)state;
	open_device();
	assert_int_equal(uz_recompress_begin(t.f.dev, &how, &err), -EINVAL);
	assert_non_null(strstr(err.text, "priority 2"));
	how.priority = 4;
	assert_int_equal(uz_recompress_begin(t.f.dev, &how, NULL), -EINVAL);

	/* The first gains nothing; the second is there to be tried. */
	assert_int_equal(uz_device_set_secondary(t.f.dev, 1, "store", NULL), 0);
	assert_int_equal(uz_device_set_secondary(t.f.dev, 3, "zstd", NULL), 0);
	done = recompress_all((struct uz_recompress){ .priority = 1 });
	assert_int_equal(done.kept, 1);
	assert_false(slot(INDEX) & UZ_SLOT_INCOMPRESSIBLE);
	done = recompress_all((struct uz_recompress){ 0 });
	assert_int_equal(done.gained, 1);
	assert_true(by_zstd(INDEX));
	/* In vain with the last one of them. */
	page_noise(t.page, 1);
	assert_int_equal(uz_page_store(t.f.io, INDEX, t.page), 0);
	done = recompress_all((struct uz_recompress){ .priority = 3 });
	assert_int_equal(done.kept, 1);
	assert_true(slot(INDEX) & UZ_SLOT_INCOMPRESSIBLE);
	close_device();
}

static void test_codec_fails(void **state)
{
	struct uz_recompression done;
	uz_slot_t before;

	(void)state;
	open_device();
	before = slot(INDEX);
	hook.fails = true;
	done = recompress_all((struct uz_recompress){ 0 });
	assert_int_equal(done.kept, 1);
	assert_true(uz_slot_same_place(slot(INDEX), before));
	assert_true(slot(INDEX) & UZ_SLOT_INCOMPRESSIBLE);
	close_device();
}

/* ---- somebody else comes in between ---- */

static void overwrite(void)
{
	page_dna(t.page, 2);
	assert_int_equal(uz_page_store(t.other, INDEX, t.page), 0);
}

static void overwrite_twice(void)
{
	overwrite();
	overwrite();
}

/* The old content again: the word may be the same, the object is another. */
static void overwrite_by_the_same(void)
{
	assert_int_equal(uz_page_store(t.other, INDEX, t.page), 0);
}

static void overwrite_part(void)
{
	memcpy(t.page + 100, "part", 4);
	assert_int_equal(uz_page_store_part(t.other, INDEX, 100, 4, "part"), 0);
}

static void drop(void)
{
	memset(t.page, 0, sizeof(t.page));
	uz_page_drop(t.other, INDEX);
}

static void drop_and_store(void)
{
	drop();
	overwrite();
}

static void make_noise(void)
{
	page_noise(t.page, 3);
	assert_int_equal(uz_page_store(t.other, INDEX, t.page), 0);
}

static void others(void (*what)(void), bool wins)
{
	static const char *const steps[] = { "after decoding",
					     "before encoding",
					     "after encoding" };
	unsigned int step;

	for (step = 0; step < 3; step++) {
		struct uz_recompression done;

		print_message("# %s\n", steps[step]);
		open_device();
		if (step == 0)
			hook.after_decode = what;
		else if (step == 1)
			hook.before_encode = what;
		else
			hook.after_encode = what;
		done = recompress_all((struct uz_recompress){ 0 });
		assert_int_equal(done.tried, 1);
		assert_int_equal(done.lost, wins);
		assert_int_equal(done.gained, !wins);
		assert_int_equal(by_zstd(INDEX), !wins);
		assert_null(hook.after_decode);
		assert_null(hook.before_encode);
		assert_null(hook.after_encode);
		close_device();
	}
}

static void test_others_win(void **state)
{
	(void)state;
	others(overwrite, true);
	others(overwrite_twice, true);
	others(overwrite_by_the_same, true);
	others(overwrite_part, true);
	others(drop, true);
	others(drop_and_store, true);
	others(make_noise, true);
}

static void load(void)
{
	unsigned char page[UZ_PAGE_SIZE];

	assert_int_equal(uz_page_load(t.other, INDEX, page), 0);
	assert_memory_equal(page, t.page, UZ_PAGE_SIZE);
}

static void compact(void)
{
	struct uz_pool_compaction done = { 0 };

	uz_device_compact(t.f.dev, UZ_POOL_COMPACT_ALL, 1000, &done);
}

static void test_reads_do_not_matter(void **state)
{
	(void)state;
	others(load, false);
	others(compact, false);
}

/* A page that is read is not idle, so it is left as it is. */
static void test_read_of_an_idle_page(void **state)
{
	struct uz_recompression done;

	(void)state;
	open_device();
	assert_int_equal(uz_device_mark_idle(t.f.dev, UZ_IDLE_ALL, NULL, NULL),
			 0);
	hook.after_encode = load;
	done = recompress_all((struct uz_recompress){ .idle = true });
	assert_int_equal(done.tried, 1);
	assert_int_equal(done.lost, 1);
	assert_false(slot(INDEX) & UZ_SLOT_IDLE);
	assert_int_equal(uz_device_mark_idle(t.f.dev, UZ_IDLE_ALL, NULL, NULL),
			 0);
	done = recompress_all((struct uz_recompress){ .idle = true });
	assert_int_equal(done.gained, 1);
	assert_false(slot(INDEX) & UZ_SLOT_IDLE);
	close_device();
}

static void test_damage_stays_visible(void **state)
{
	struct uz_recompression done;
	unsigned char page[UZ_PAGE_SIZE];
	unsigned char *at;

	(void)state;
	open_device();
	make_noise();
	at = uz_pool_bytes(t.f.dev->pool, uz_slot_ref(slot(INDEX)));
	at[17] ^= 4;
	done = recompress_all((struct uz_recompress){ 0 });
	assert_int_equal(done.failed, 1);
	assert_int_equal(done.gained + done.kept, 0);
	assert_int_equal(uz_page_load(t.f.io, INDEX, page), -EIO);
	at[17] ^= 4;
	close_device();
}

static void test_at_the_limit(void **state)
{
	struct uz_recompression done;
	struct uz_device_stat s, after;
	unsigned char page[UZ_PAGE_SIZE];
	uint64_t i, n = 2000;

	(void)state;
	open_device();
	for (i = 0; i < n; i++) {
		page_dna(page, 1000 + i);
		assert_int_equal(uz_page_store(t.f.io, 100 + i, page), 0);
	}
	/* At a limit that is reached the pool populates nothing ahead. */
	uz_device_set_limit(t.f.dev, UZ_PAGE_SIZE);
	uz_device_stat(t.f.dev, &s);
	uz_device_set_limit(t.f.dev, s.mem_used_total);
	uz_device_reset_max(t.f.dev);
	done = recompress_all((struct uz_recompress){ 0 });
	assert_int_equal(done.gained, n + 1);
	uz_device_stat(t.f.dev, &after);
	/* Less than a page for each class that is new. */
	assert_true(after.mem_used_max <= s.mem_used_total + 64 * 4096);
	compact();
	while (uz_device_compact(t.f.dev, UZ_POOL_COMPACT_ALL, 1000,
				 &(struct uz_pool_compaction){ 0 }))
		;
	uz_device_stat(t.f.dev, &after);
	assert_true(after.mem_used_total < s.mem_used_total * 9 / 10);
	/* And there is room for what could not be stored before. */
	for (i = 0; i < 20; i++) {
		page_noise(page, i);
		assert_int_equal(uz_page_store(t.f.io, 5000 + i, page), 0);
	}
	for (i = 0; i < n; i++) {
		page_dna(page, 1000 + i);
		expect_page(&t.f, 100 + i, page);
	}
	close_device();
}

/* Another device under the same name: its pages are not what was asked for. */
static void test_reset_in_between(void **state)
{
	struct uz_recompress how = { 0 };
	struct uz_recompression done = { 0 };
	uint64_t index = 0;

	(void)state;
	open_device();
	assert_int_equal(uz_recompress_begin(t.f.dev, &how, NULL), 0);
	assert_int_equal(uz_device_reset(t.f.dev, true, NULL), 0);
	assert_int_equal(uz_recompress(t.f.io, &how, &index, 16, &done),
			 -EINVAL);
	assert_int_equal(uz_recompress_begin(t.f.dev, &how, NULL), -EINVAL);
	assert_int_equal(uz_device_set_disksize(t.f.dev, SIZE, NULL), 0);
	assert_int_equal(uz_page_store(t.f.io, INDEX, t.page), 0);
	how.generation = 1;
	assert_int_equal(uz_recompress(t.f.io, &how, &index, 16, &done),
			 -EINVAL);
	assert_int_equal(uz_recompress_begin(t.f.dev, &how, NULL), -EINVAL);
	assert_int_equal(done.tried, 0);
	close_device();
}

static void die(void)
{
	_exit(17);
}

/* The process dies in the middle of a page: who adopts finds it whole. */
static void test_death(void **state)
{
	unsigned int step;

	(void)state;
	for (step = 0; step < 3; step++) {
		int status;
		pid_t pid;

		open_device();
		pid = fork();
		assert_true(pid >= 0);
		if (!pid) {
			struct uz_recompress how = { 0 };
			uint64_t index = 0;

			hook.after_decode = step == 0 ? die : NULL;
			hook.before_encode = step == 1 ? die : NULL;
			hook.after_encode = step == 2 ? die : NULL;
			if (uz_recompress_begin(t.f.dev, &how, NULL) ||
			    uz_recompress(t.f.io, &how, &index, 16,
					  &(struct uz_recompression){ 0 }) < 0)
				_exit(1);
			_exit(2);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(WEXITSTATUS(status), 17);
		uz_io_destroy(t.other);
		fixture_forget(&t.f);
		fixture_adopt(&t.f);
		assert_int_equal(uz_io_create(t.f.dev, &t.other), 0);
		fixture_check(&t.f);
		expect_page(&t.f, INDEX, t.page);
		memset(&hook, 0, sizeof(hook));
		recompress_all((struct uz_recompress){ 0 });
		assert_true(by_zstd(INDEX));
		close_device();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gains),
		cmocka_unit_test(test_which_pages),
		cmocka_unit_test(test_raw_becomes_compressed),
		cmocka_unit_test(test_priorities),
		cmocka_unit_test(test_codec_fails),
		cmocka_unit_test(test_others_win),
		cmocka_unit_test(test_reads_do_not_matter),
		cmocka_unit_test(test_read_of_an_idle_page),
		cmocka_unit_test(test_damage_stays_visible),
		cmocka_unit_test(test_at_the_limit),
		cmocka_unit_test(test_reset_in_between),
		cmocka_unit_test(test_death),
	};

	return cmocka_run_group_tests_name("device recompress", tests, NULL,
					   NULL);
}
