// SPDX-License-Identifier: MIT
/*
 * Hints of what comes next are harmless: whatever they name, whatever became of
 * that page, and while the device goes away and comes back. What they gain only
 * a benchmark can tell.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

#include <device_priv.h>

#include "device_fixture.h"

#define SIZE  (UINT64_C(64) << 20)
#define NR    (SIZE / UZ_PAGE_SIZE)
#define TEXTS 600
#define TURNS 200

static int read_page(struct uz_io *io, uint64_t index, unsigned char *page)
{
	const struct uz_request rq = {
		.op = UZ_OP_READ,
		.offset = index * UZ_PAGE_SIZE,
		.length = UZ_PAGE_SIZE,
		.buf = page,
	};

	return uz_device_submit(io, &rq);
}

static void expect_read(struct fixture *f, uint64_t index)
{
	unsigned char got[UZ_PAGE_SIZE], want[UZ_PAGE_SIZE];

	page_text(want, index);
	assert_int_equal(read_page(f->io, index, got), 0);
	assert_memory_equal(got, want, sizeof(got));
}

static blkcnt_t table_blocks(const struct fixture *f)
{
	struct stat st;

	assert_int_equal(fstat(f->mem.table_fd, &st), 0);
	return st.st_blocks;
}

/* Of each allocator; the hints name what comes, and anything else. */
static void test_any_page(void **state)
{
	static const uint64_t odd[] = {
		0,
		TEXTS,
		NR - 1,
		NR,
		NR + 1,
		NR + (1 << 20),
		UINT64_MAX / 4096,
		UZ_PAGE_NONE,
	};
	const unsigned int nr = sizeof(odd) / sizeof(odd[0]);
	blkcnt_t blocks;
	struct fixture f;
	uint64_t i;

	(void)state;
	fixture_open(&f, NULL, SIZE);
	for (i = 0; i < TEXTS; i++)
		store_text(&f, i, i);
	blocks = table_blocks(&f);
	for (i = 0; i < TEXTS - 2; i++) {
		uz_device_expect(f.io, i + 1, i + 2);
		expect_read(&f, i);
	}
	for (i = 0; i < nr * nr; i++) {
		uz_device_expect(f.io, odd[i / nr], odd[i % nr]);
		expect_read(&f, i);
	}
	/* Where nothing was ever stored no memory was taken for slots. */
	assert_true(table_blocks(&f) == blocks);
	assert_true(f.io->soon == UZ_PAGE_NONE && f.io->later == UZ_PAGE_NONE);
	fixture_check(&f);
	fixture_close(&f);
}

static void test_no_size(void **state)
{
	unsigned char page[UZ_PAGE_SIZE];
	struct fixture f;

	(void)state;
	fixture_open(&f, NULL, 0);
	uz_device_expect(f.io, 0, 1);
	assert_int_equal(read_page(f.io, 0, page), -EINVAL);
	/* Said to one that has no size, it does not hold for the next. */
	assert_true(f.io->soon == UZ_PAGE_NONE && f.io->later == UZ_PAGE_NONE);
	uz_device_expect(f.io, 0, 1);
	assert_int_equal(uz_device_set_disksize(f.dev, SIZE, NULL), 0);
	assert_int_equal(read_page(f.io, 0, page), 0);
	/* What is expected may be beyond the end of a smaller one. */
	uz_device_expect(f.io, NR - 1, NR - 2);
	assert_int_equal(uz_device_reset(f.dev, false, NULL), 0);
	assert_int_equal(uz_device_set_disksize(f.dev, UZ_PAGE_SIZE, NULL), 0);
	assert_int_equal(read_page(f.io, 0, page), 0);
	fixture_close(&f);
}

/* A slot with any bit flipped may name any place, inside the arena or not. */
static void test_damaged(void **state)
{
	struct fixture f;
	unsigned int bit;
	uz_slot_t w;

	(void)state;
	fixture_open(&f, NULL, SIZE);
	store_text(&f, 0, 0);
	store_text(&f, 1, 1);
	w = uz_table_load(f.dev->table, 1);
	for (bit = 0; bit < 64; bit++) {
		uz_table_exchange(f.dev->table, 1, w ^ UINT64_C(1) << bit);
		uz_device_expect(f.io, 1, 1);
		expect_read(&f, 0);
	}
	uz_table_exchange(f.dev->table, 1, UINT64_MAX);
	uz_device_expect(f.io, 1, 1);
	expect_read(&f, 0);
	uz_table_exchange(f.dev->table, 1, w);
	expect_read(&f, 1);
	fixture_check(&f);
	fixture_close(&f);
}

struct reader {
	pthread_t thread;
	struct fixture *f;
	_Atomic bool stop;
	_Atomic uint64_t reads;
	bool wrong;
};

/* The device has a size, or another one, or none. */
static void *read_on(void *arg)
{
	struct reader *r = arg;
	unsigned char page[UZ_PAGE_SIZE];
	struct uz_io *io;
	uint64_t i;
	int err;

	r->wrong = uz_io_create(r->f->dev, &io) != 0;
	for (i = 0; !r->wrong && !atomic_load(&r->stop); i++) {
		uz_device_expect(io, (i + 1) % (2 * TEXTS),
				 (i + 2) % (2 * TEXTS));
		err = read_page(io, i % TEXTS, page);
		r->wrong = err && err != -EINVAL;
		atomic_fetch_add(&r->reads, 1);
	}
	atomic_store(&r->reads, UINT64_MAX / 2);
	if (!r->wrong)
		uz_io_destroy(io);
	return NULL;
}

static void await_reads(struct reader *r, uint64_t more)
{
	uint64_t till = atomic_load(&r->reads) + more;

	while (atomic_load(&r->reads) < till &&
	       atomic_load(&r->reads) < UINT64_MAX / 2)
		sched_yield();
}

static void test_reset(void **state)
{
	struct fixture f;
	struct reader r = { .f = &f };
	unsigned int i, k;

	(void)state;
	fixture_open(&f, NULL, 0);
	assert_int_equal(pthread_create(&r.thread, NULL, read_on, &r), 0);
	for (i = 0; i < TURNS; i++) {
		assert_int_equal(
			uz_device_set_disksize(
				f.dev, TEXTS * UZ_PAGE_SIZE << i % 2, NULL),
			0);
		for (k = 0; k < 8; k++)
			store_text(&f, k * (TEXTS / 8), k);
		await_reads(&r, 3);
		if (i % 3 == 0)
			assert_int_equal(uz_device_grow(f.dev, SIZE, NULL), 0);
		await_reads(&r, 3);
		assert_int_equal(uz_device_reset(f.dev, false, NULL), 0);
	}
	atomic_store(&r.stop, true);
	pthread_join(r.thread, NULL);
	assert_false(r.wrong);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_page),
		cmocka_unit_test(test_no_size),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_reset),
	};

	return cmocka_run_group_tests_name("device expect", tests, NULL, NULL);
}
