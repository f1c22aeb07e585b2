// SPDX-License-Identifier: MIT
/*
 * Adoption: a device comes back from its memory as it was, and memory that
 * makes no sense is refused, not believed. What a kill leaves behind is in
 * stress_adopt.c.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "config.h"
#include "device_fixture.h"

#define SIZE (16u << 20)

/* One with a level other than the default, where the build has any. */
#if UZ_HAVE_ZSTD
#define CODEC "zstd"
#define LEVEL "1"
#elif UZ_HAVE_LZ4
#define CODEC "lz4"
#define LEVEL "2"
#else
#define CODEC "store"
#define LEVEL "0"
#endif

static void some_page(unsigned char *page, uint64_t i)
{
	if (i % 10 == 0)
		page_noise(page, i);
	else if (i % 10 == 1)
		page_same(page, i);
	else if (i % 10 == 2)
		page_same(page, UINT64_C(0x0123456789abcdef) + i);
	else
		page_text(page, i);
}

static void store_some(struct fixture *f)
{
	unsigned char page[UZ_PAGE_SIZE];
	uint64_t i;

	for (i = 0; i < 1000; i++) {
		some_page(page, i);
		assert_int_equal(uz_page_store(f->io, i * 3, page), 0);
	}
	for (i = 5; i < 1000; i += 7)
		uz_page_drop(f->io, i * 3);
}

static void test_comes_back_as_it_was(void **state)
{
	unsigned char *before = malloc(SIZE), *after = malloc(SIZE);
	struct uz_request rq = { UZ_OP_READ, 0, SIZE, before };
	struct uz_device_stat was, is;
	struct uz_codec codec;
	struct stat arena;
	struct fixture f;

	(void)state;
	fixture_open(&f, CODEC ":level=" LEVEL, SIZE);
	uz_device_set_limit(f.dev, 32 << 20);
	store_some(&f);
	assert_int_equal(uz_device_submit(f.io, &rq), 0);
	uz_device_stat(f.dev, &was);
	fixture_forget(&f);
	/* The pool may have populated more, or given it back, since. */
	assert_int_equal(fstat(f.mem.arena_fd, &arena), 0);

	fixture_adopt(&f);
	assert_int_equal(uz_device_disksize(f.dev), SIZE);
	uz_device_codec(f.dev, &codec);
	assert_string_equal(uz_codec_name(&codec), CODEC);
	assert_int_equal(codec.level, atoi(LEVEL));
	uz_device_stat(f.dev, &is);
	assert_int_equal(is.orig_data_size, was.orig_data_size);
	assert_int_equal(is.compr_data_size, was.compr_data_size);
	assert_int_equal(is.same_pages, was.same_pages);
	assert_int_equal(is.huge_pages, was.huge_pages);
	assert_int_equal(is.huge_pages_since, was.huge_pages_since);
	assert_int_equal(is.num_reads, was.num_reads);
	assert_int_equal(is.mem_limit, was.mem_limit);
	assert_true(is.mem_used_total <= (uint64_t)arena.st_blocks * 512);
	rq.buf = after;
	assert_int_equal(uz_device_submit(f.io, &rq), 0);
	assert_memory_equal(before, after, SIZE);
	fixture_check(&f);
	store_some(&f);
	fixture_close(&f);
	free(before);
	free(after);
}

static void test_without_size(void **state)
{
	struct uz_codec codec;
	struct fixture f;

	(void)state;
	fixture_open(&f, "store", 0);
	fixture_forget(&f);
	fixture_adopt(&f);
	assert_int_equal(uz_device_disksize(f.dev), 0);
	uz_device_codec(f.dev, &codec);
	assert_string_equal(uz_codec_name(&codec), "store");
	assert_int_equal(uz_device_set_disksize(f.dev, SIZE, NULL), 0);
	store_some(&f);
	fixture_close(&f);
}

/* One word of a memfd is changed; opening it must fail with this code. */
static void refuse(int fd, off_t off, uint64_t word, struct fixture *f,
		   int code)
{
	struct uz_device *dev = NULL;
	struct uz_err err = { 0 };
	uint64_t saved;

	assert_int_equal(pread(fd, &saved, 8, off), 8);
	assert_int_equal(pwrite(fd, &word, 8, off), 8);
	assert_int_equal(uz_device_open(&dev, "test", &f->mem, &err), code);
	assert_null(dev);
	assert_true(err.text[0]);
	assert_int_equal(pwrite(fd, &saved, 8, off), 8);
}

static uint64_t slot_of(const struct fixture *f, uint64_t index)
{
	uint64_t w;

	assert_int_equal(pread(f->mem.table_fd, &w, 8, (off_t)index * 8), 8);
	return w;
}

static void test_refuses_nonsense(void **state)
{
	struct fixture f;
	uint64_t a, b;

	(void)state;
	fixture_open(&f, NULL, SIZE);
	store_some(&f);
	fixture_forget(&f);
	a = slot_of(&f, 3 * 3);
	b = slot_of(&f, 4 * 3);
	/* superblock: magic, version, size */
	refuse(f.mem.ctl_fd, 0, 1234, &f, -EUCLEAN);
	refuse(f.mem.ctl_fd, 8, 77, &f, -ENOTSUP);
	refuse(f.mem.ctl_fd, 16, SIZE + 1, &f, -EUCLEAN);
	/* slots: another's object, beyond the arena, size */
	refuse(f.mem.table_fd, 3 * 3 * 8, b, &f, -EUCLEAN);
	refuse(f.mem.table_fd, 3 * 3 * 8,
	       uz_slot_move(a, (UINT64_C(1) << UZ_REF_BITS) - 1), &f, -EUCLEAN);
	/*
	 * Only where all objects beside it are of one size, and there are more.
	 */
	if (!getenv("UZ_ZPOOL") && uz_slot_kind(a) == UZ_SLOT_OBJECT)
		refuse(f.mem.table_fd, 3 * 3 * 8,
		       uz_slot_seal(a ^ UINT64_C(64) << 8), &f, -EUCLEAN);
	refuse(f.mem.table_fd, 3 * 3 * 8, uz_slot_move(a, uz_slot_ref(a) ^ 1),
	       &f, -EUCLEAN);
	/* a codec that the superblock does not describe */
	if (uz_slot_kind(a) == UZ_SLOT_OBJECT)
		refuse(f.mem.table_fd, 3 * 3 * 8, a ^ 3 << 5, &f, -EUCLEAN);
	/* all put back: it opens, nothing was lost on the way */
	fixture_adopt(&f);
	fixture_close(&f);
}

/*
 * A slot that memory has damaged costs its page, until that is written; one
 * that was empty, too.
 */
static void test_damaged_slots_cost_a_page(void **state)
{
	unsigned char page[UZ_PAGE_SIZE], zero[UZ_PAGE_SIZE] = { 0 };
	struct uz_device_stat stat;
	unsigned int bit, i;
	struct fixture f;
	uint64_t before, seen = 0;

	(void)state;
	fixture_open(&f, NULL, SIZE);
	store_some(&f);
	uz_device_stat(f.dev, &stat);
	before = stat.orig_data_size;
	for (bit = 0; bit < 64; bit++) {
		const uint64_t nr = bit % 4; /* one of each kind */
		const uint64_t at[] = { 3 * nr, 1 };
		uint64_t w[2];

		fixture_forget(&f);
		for (i = 0; i < 2; i++) {
			w[i] = slot_of(&f, at[i]) ^ UINT64_C(1) << bit;
			assert_int_equal(pwrite(f.mem.table_fd, &w[i], 8,
						(off_t)at[i] * 8),
					 8);
		}
		/* Twice: it is not found again, and not forgotten either. */
		fixture_adopt(&f);
		uz_device_stat(f.dev, &stat);
		assert_int_equal(stat.checksum_errors - seen, 2);
		seen = stat.checksum_errors + 2; /* by the loads below */
		assert_int_equal(stat.orig_data_size, before - UZ_PAGE_SIZE);
		fixture_forget(&f);
		fixture_adopt(&f);
		for (i = 0; i < 2; i++)
			assert_int_equal(uz_page_load(f.io, at[i], page), -EIO);
		assert_int_equal(uz_device_check(f.dev, NULL), -EUCLEAN);
		some_page(page, nr);
		assert_int_equal(uz_page_store(f.io, at[0], page), 0);
		expect_page(&f, at[0], page);
		uz_page_drop(f.io, at[1]);
		expect_page(&f, at[1], zero);
		fixture_check(&f);
	}
	fixture_close(&f);
}

/* Where a text lies in the superblock. */
static off_t super_find(const struct fixture *f, const char *text)
{
	char page[UZ_PAGE_SIZE];
	const char *at;

	assert_int_equal(pread(f->mem.ctl_fd, page, sizeof(page), 0),
			 sizeof(page));
	at = memmem(page, sizeof(page), text, strlen(text) + 1);
	assert_non_null(at);
	return at - page;
}

static void test_refuses_unknown_zpool(void **state)
{
	struct fixture f;
	uint64_t word, index;
	off_t at;

	(void)state;
	fixture_open(&f, NULL, 0);
	if (getenv("UZ_ZPOOL"))
		assert_int_equal(
			uz_device_set_zpool(f.dev, uz_pool_backend(0), NULL),
			0);
	fixture_forget(&f);
	at = super_find(&f, uz_pool_backend(0));
	memset(&word, 'x', sizeof(word)); /* in that case without an end */
	assert_int_equal(pwrite(f.mem.ctl_fd, &word, 8, at + 8), 8);
	refuse(f.mem.ctl_fd, at, word, &f, -ENOTSUP);
	memset(&word, 0, sizeof(word));
	assert_int_equal(pwrite(f.mem.ctl_fd, &word, 8, at + 8), 8);
	/* The index of the entry lies before the two. */
	assert_int_equal(pread(f.mem.ctl_fd, &index, 4, at - 16 - 4), 4);
	assert_int_equal((uint32_t)index, 1);
	assert_int_equal(pread(f.mem.ctl_fd, &index, 8, at - 16 - 4), 8);
	refuse(f.mem.ctl_fd, at - 16 - 4, (index & ~UINT64_C(0xff)) | 7, &f,
	       -EUCLEAN);
	fixture_adopt(&f);
	fixture_close(&f);
}

static void test_refuses_foreign_memory(void **state)
{
	struct uz_device *dev = NULL;
	struct uz_device_mem mem;
	struct uz_err err;

	(void)state;
	assert_int_equal(uz_device_mem_create(&mem), 0);
	assert_int_equal(ftruncate(mem.ctl_fd, 1 << 20), 0);
	assert_int_equal(uz_device_open(&dev, "test", &mem, &err), -EUCLEAN);
	assert_null(dev);
	uz_device_mem_close(&mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_comes_back_as_it_was),
		cmocka_unit_test(test_without_size),
		cmocka_unit_test(test_refuses_nonsense),
		cmocka_unit_test(test_damaged_slots_cost_a_page),
		cmocka_unit_test(test_refuses_unknown_zpool),
		cmocka_unit_test(test_refuses_foreign_memory),
	};

	return cmocka_run_group_tests_name("device adopt", tests, NULL, NULL);
}
