// SPDX-License-Identifier: MIT
/*
 * A device that is to grow and gets no memory, or not without waiting for it:
 * it stays as it was, for this process and for one that follows, and is told
 * what is missing.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <device_priv.h>
#include <uzram/util/ahead.h>
#include <uzram/util/shm.h>

#include "device_fixture.h"

#define MIB (UINT64_C(1) << 20)

/* All of it is about the test's own thread; the pool's keeper asks as well. */
static _Thread_local bool tester;

/* The device that grows; what was promised when its arena did. */
static struct fixture *growing;
static uint64_t promised;
static bool refuse;

/* What was asked for; whether there is so much. */
static size_t wanted;
static bool plenty;

int __real_uz_shm_grow(struct uz_shm *shm, size_t size);
int __wrap_uz_shm_grow(struct uz_shm *shm, size_t size);
int __wrap_uz_shm_grow(struct uz_shm *shm, size_t size)
{
	if (growing && shm->fd == growing->mem.arena_fd) {
		if (size > shm->size)
			promised = growing->dev->ctl->super.arena_size;
		if (refuse)
			return -ENOMEM;
	}
	return __real_uz_shm_grow(shm, size);
}

bool __wrap_uz_ahead_plenty(size_t size);
bool __wrap_uz_ahead_plenty(size_t size)
{
	if (!tester)
		return true;
	if (growing)
		wanted = size;
	return plenty;
}

static int setup(void **state)
{
	(void)state;
	tester = true;
	growing = NULL;
	promised = 0;
	refuse = false;
	wanted = 0;
	plenty = true;
	return 0;
}

static void expect_refused(struct fixture *f, uint64_t size, const char *why)
{
	const uint64_t arena = f->dev->ctl->super.arena_size;
	struct uz_err err = { 0 };

	growing = f;
	assert_int_equal(uz_device_grow(f->dev, size, &err), -ENOMEM);
	growing = NULL;
	if (!strstr(err.text, why))
		fail_msg("it says: %s", err.text);
	assert_int_equal(uz_device_disksize(f->dev), MIB);
	assert_int_equal(f->dev->ctl->super.disksize, MIB);
	assert_int_equal(f->dev->ctl->super.arena_size, arena);
}

/* A death in the middle leaves no promise that nobody can keep. */
static void test_promise(void **state)
{
	struct fixture f;
	uint64_t before;

	(void)state;
	fixture_open(&f, NULL, MIB);
	before = f.dev->ctl->super.arena_size;
	refuse = true;
	expect_refused(&f, 64 * MIB, "no memory, or no address space");
	assert_int_equal(promised, before);

	growing = &f;
	refuse = false;
	assert_int_equal(uz_device_grow(f.dev, 64 * MIB, NULL), 0);
	growing = NULL;
	assert_int_equal(promised, before);
	assert_true(f.dev->ctl->super.arena_size > before);
	assert_int_equal(uz_device_disksize(f.dev), 64 * MIB);
	fixture_close(&f);
}

static void test_nothing_free(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, NULL, MIB);
	plenty = false;
	expect_refused(&f, 65 * MIB, "must be free");
	/* At least what the table takes. */
	assert_true(wanted >= 64 * MIB / UZ_PAGE_SIZE * sizeof(uz_slot_t));
	plenty = true;
	assert_int_equal(uz_device_grow(f.dev, 65 * MIB, NULL), 0);
	assert_int_equal(uz_device_disksize(f.dev), 65 * MIB);
	fixture_close(&f);
}

static void test_too_large(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, NULL, MIB);
	expect_refused(&f, UZ_DISKSIZE_MAX,
		       "this worker has address space for");
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_promise, setup),
		cmocka_unit_test_setup(test_nothing_free, setup),
		cmocka_unit_test_setup(test_too_large, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
