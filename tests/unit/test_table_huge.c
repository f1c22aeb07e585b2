// SPDX-License-Identifier: MIT
/*
 * Huge pages of the table: of what has memory for all its slots, once, and
 * without a change to any of them or to what the table takes.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/table.h>
#include <uzram/util/shm.h>

#include "missing.h"

#define CHUNK (UZ_PAGE_SIZE / sizeof(uz_slot_t))
#define PIECE (UZ_SHM_HUGE / sizeof(uz_slot_t)) /* slots */

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* The linker leads the table here. */
static int refuse_with; /* an errno, or 0: do not refuse */
static bool pretend; /* a kernel that can */
int __real_madvise(void *addr, size_t len, int advice);
int __wrap_madvise(void *addr, size_t len, int advice);

static unsigned int refusals;

int __wrap_madvise(void *addr, size_t len, int advice)
{
	if (advice != MADV_COLLAPSE)
		return __real_madvise(addr, len, advice);
	if (refuse_with) {
		errno = refuse_with;
		return -1;
	}
	if (pretend || !__real_madvise(addr, len, advice))
		return 0;
	/* Once more, and it would be taken for one that has none for good. */
	pretend = errno == EINVAL && ++refusals == 3;
	return -1;
}

struct fixture {
	struct uz_table *table;
	int fd;
};

static uz_slot_t slot_of(uint64_t index)
{
	return uz_slot_make(UZ_SLOT_OBJECT, 1, 100, index * 3 + 1);
}

static void fill(struct fixture *f, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++) {
		assert_int_equal(uz_table_prepare(f->table, i), 0);
		uz_table_exchange(f->table, i, slot_of(i));
	}
}

static void expect(struct fixture *f, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++)
		if (uz_table_load(f->table, i) != slot_of(i))
			fail_msg("slot %llu", (unsigned long long)i);
}

/* 0 in the end: all is done that could be. A page in use is waited for. */
static int collapse_all(struct fixture *f)
{
	int ret;

	for (unsigned int i = 0; i < 100; i++) {
		ret = uz_table_collapse(f->table);
		if (ret == -EAGAIN)
			usleep(10000);
		else if (ret != 1)
			break;
	}
	return ret;
}

static void test_whole_pieces(void **state)
{
	struct fixture *f = *state;
	uint64_t resident;

	assert_int_equal(uz_table_collapse(f->table), 0);
	fill(f, 0, PIECE - CHUNK);
	fill(f, PIECE, 2 * PIECE);
	resident = uz_table_resident(f->table);
	if (collapse_all(f) || pretend) {
		missing("huge", "no huge page can be made here");
		pretend = true;
		assert_int_equal(collapse_all(f), 0);
	}
	assert_int_equal(uz_table_huge(f->table), UZ_SHM_HUGE);
	expect(f, 0, PIECE - CHUNK);
	expect(f, PIECE, 2 * PIECE);
	assert_int_equal(uz_table_load(f->table, PIECE - 1), 0);
	assert_int_equal(uz_table_resident(f->table), resident);

	fill(f, PIECE - CHUNK, PIECE);
	assert_int_equal(collapse_all(f), 0);
	assert_int_equal(uz_table_huge(f->table), 2 * UZ_SHM_HUGE);
	expect(f, 0, 2 * PIECE);
}

static void test_grown(void **state)
{
	struct fixture *f = *state;

	fill(f, 0, 2 * PIECE);
	assert_int_equal(uz_table_grow(f->table, 4 * PIECE), 0);
	fill(f, 3 * PIECE, 4 * PIECE);
	assert_int_equal(collapse_all(f), 0);
	assert_int_equal(uz_table_huge(f->table), 3 * UZ_SHM_HUGE);
	expect(f, 0, 2 * PIECE);
	expect(f, 3 * PIECE, 4 * PIECE);
}

static void test_refused(void **state)
{
	struct fixture *f = *state;

	fill(f, 0, PIECE);
	refuse_with = ENOMEM;
	assert_int_equal(uz_table_collapse(f->table), -ENOMEM);
	refuse_with = EAGAIN;
	assert_int_equal(uz_table_collapse(f->table), -EAGAIN);
	refuse_with = 0;
	assert_int_equal(uz_table_huge(f->table), 0);
	assert_int_equal(collapse_all(f), 0);
	assert_int_equal(uz_table_huge(f->table), UZ_SHM_HUGE);
	expect(f, 0, PIECE);
}

static int set_up(void **state)
{
	static struct fixture f;

	f.fd = uz_shm_memfd("test");
	*state = &f;
	return f.fd < 0 ? f.fd
			: uz_table_create(&f.table, f.fd, 2 * PIECE + 7,
					  16 * PIECE);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	uz_table_destroy(f->table);
	return close(f->fd);
}

#define EACH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(test_whole_pieces), /* first: whether they can be had */
		EACH(test_grown),
		EACH(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
