// SPDX-License-Identifier: MIT
/*
 * A device that grows while it is used: what it held stays, what is beyond the
 * old end is refused before and works after, also under load, in a snapshot and
 * after a death at any step.
 *
 * UZ_SEED repeats a run's random numbers.
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
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/util/ahead.h>
#include <uzram/util/delay.h>

#include "device_fixture.h"
#include "snapshot_fixture.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static uint64_t pages_of(uint64_t size)
{
	return size / UZ_PAGE_SIZE;
}

static int submit(struct uz_io *io, enum uz_op op, uint64_t offset,
		  uint64_t length, void *buf)
{
	const struct uz_request rq = {
		.op = op,
		.offset = offset,
		.length = length,
		.buf = buf,
	};

	return uz_device_submit(io, &rq);
}

static void grow(struct fixture *f, uint64_t size)
{
	struct uz_err err = { 0 };

	if (uz_device_grow(f->dev, size, &err))
		fail_msg("%s", err.text);
}

static void test_grows(void **state)
{
	static unsigned char two[2 * UZ_PAGE_SIZE], zeroes[UZ_PAGE_SIZE];
	struct fixture f;
	uint64_t found;

	(void)state;
	fixture_open(&f, NULL, MIB);
	store_text(&f, 0, 1);
	store_text(&f, 255, 2);
	assert_int_equal(submit(f.io, UZ_OP_READ, MIB, UZ_PAGE_SIZE, two),
			 -EINVAL);
	/* Half of it beyond the end. */
	assert_int_equal(
		submit(f.io, UZ_OP_WRITE, MIB - UZ_PAGE_SIZE, sizeof(two), two),
		-EINVAL);

	grow(&f, 3 * MIB - 1);
	assert_int_equal(uz_device_disksize(f.dev), 3 * MIB);
	expect_text(&f, 0, 1);
	expect_text(&f, 255, 2);
	expect_page(&f, 256, zeroes);
	expect_page(&f, pages_of(3 * MIB) - 1, zeroes);
	assert_int_equal(uz_device_next(f.dev, MIB, true, &found), -ENXIO);
	assert_int_equal(uz_device_next(f.dev, MIB, false, &found), 0);
	assert_int_equal(found, MIB);
	store_text(&f, 256, 3);
	store_text(&f, pages_of(3 * MIB) - 1, 4);
	assert_int_equal(submit(f.io, UZ_OP_READ, 3 * MIB - 1, 2, two),
			 -EINVAL);
	fixture_check(&f);

	fixture_forget(&f);
	fixture_adopt(&f);
	assert_int_equal(uz_device_disksize(f.dev), 3 * MIB);
	expect_text(&f, 255, 2);
	expect_text(&f, 256, 3);
	expect_text(&f, pages_of(3 * MIB) - 1, 4);
	/* And once more, of what was adopted; far. */
	grow(&f, 2 * GIB);
	store_text(&f, pages_of(2 * GIB) - 1, 5);
	assert_int_equal(submit(f.io, UZ_OP_DISCARD, 0, MIB, NULL), 0);
	expect_page(&f, 255, zeroes);
	expect_text(&f, pages_of(2 * GIB) - 1, 5);
	assert_int_equal(uz_device_reset(f.dev, false, NULL), 0);
	assert_int_equal(uz_device_disksize(f.dev), 0);
	/* Nothing of it is left in a device that grows into the same. */
	assert_int_equal(uz_device_set_disksize(f.dev, MIB, NULL), 0);
	grow(&f, 3 * MIB);
	expect_page(&f, 256, zeroes);
	fixture_close(&f);
}

static void expect_refused(struct fixture *f, uint64_t size, int code,
			   const char *why)
{
	uint64_t before = uz_device_disksize(f->dev);
	struct uz_err err = { 0 };

	assert_int_equal(uz_device_grow(f->dev, size, &err), code);
	if (!strstr(err.text, why))
		fail_msg("\"%s\" does not say \"%s\"", err.text, why);
	assert_non_null(strstr(err.text, "test"));
	assert_int_equal(uz_device_disksize(f->dev), before);
}

static void test_refuses(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, NULL, 0);
	expect_refused(&f, MIB, -EINVAL, "has no size");
	assert_int_equal(uz_device_set_disksize(f.dev, 2 * MIB, NULL), 0);
	store_text(&f, 3, 3);
	expect_refused(&f, 0, -EINVAL, "at most 16 TiB");
	expect_refused(&f, UZ_DISKSIZE_MAX + 1, -EINVAL, "at most 16 TiB");
	expect_refused(&f, MIB, -EBUSY, "can grow but not shrink");
	expect_refused(&f, 2 * MIB - UZ_PAGE_SIZE, -EBUSY, "shrink");
	expect_refused(&f, UZ_DISKSIZE_MAX, -ENOMEM, "address space");
	/* The same size, however it is said, is what there is. */
	assert_int_equal(uz_device_grow(f.dev, 2 * MIB, NULL), 0);
	assert_int_equal(uz_device_grow(f.dev, 2 * MIB - 1, NULL), 0);
	assert_int_equal(uz_device_disksize(f.dev), 2 * MIB);
	expect_text(&f, 3, 3);
	grow(&f, 64 * GIB);
	store_text(&f, pages_of(64 * GIB) - 1, 4);
	expect_refused(&f, UZ_DISKSIZE_MAX, -ENOMEM, "at most");
	/* Who follows has address space for more. */
	fixture_forget(&f);
	fixture_adopt(&f);
	expect_text(&f, pages_of(64 * GIB) - 1, 4);
#ifndef __SANITIZE_THREAD__ /* which leaves not so much */
	grow(&f, 65 * GIB);
#endif
	fixture_close(&f);
}

/* What is beyond the end may be asked for as soon as grow() has returned. */
static void test_ages(void **state)
{
	struct uz_page_state states[4];
	uint64_t marked, index = 0;
	struct fixture f;

	(void)state;
	fixture_open(&f, NULL, MIB);
	assert_int_equal(uz_device_track_age(f.dev), 0);
	store_text(&f, 1, 1);
	grow(&f, 8 * MIB);
	store_text(&f, 2047, 2);
	expect_text(&f, 2047, 2);
	assert_int_equal(uz_device_mark_idle(f.dev, UZ_IDLE_ALL, &marked, NULL),
			 0);
	assert_int_equal(marked, 2);
	assert_int_equal(uz_device_page_states(f.dev, &index, states, 4), 2);
	assert_int_equal(states[1].index, 2047);
	assert_true(states[1].idle);
	assert_true(states[1].used);
	fixture_close(&f);
}

/* Of one that is saved meanwhile, the image is what it was at the moment. */
static void test_snapshot(void **state)
{
	struct uz_snapshot *snap = NULL;
	struct uz_snapshot_info info;
	struct fixture f, copy;

	(void)state;
	fixture_open(&f, NULL, MIB);
	store_text(&f, 7, 7);
	store_text(&f, 255, 255);
	snap = snapshot_begin(&f, &info);
	grow(&f, 64 * MIB);
	store_text(&f, 7, 1007);
	store_text(&f, 256, 256);
	store_text(&f, pages_of(64 * MIB) - 1, 1);
	assert_int_equal(info.disksize, MIB);
	assert_int_equal(snapshot_copy(snap, &info, &copy), 2);
	uz_snapshot_end(snap);
	expect_text(&copy, 7, 7);
	expect_text(&copy, 255, 255);
	fixture_close(&copy);

	snap = snapshot_begin(&f, &info);
	assert_int_equal(info.disksize, 64 * MIB);
	assert_int_equal(snapshot_copy(snap, &info, &copy), 4);
	uz_snapshot_end(snap);
	expect_text(&copy, 7, 1007);
	expect_text(&copy, pages_of(64 * MIB) - 1, 1);
	fixture_close(&copy);
	fixture_close(&f);
}

/* ---- under load ---- */

#define THREADS	 3
#define LAST	 (24 * MIB)
#define REQUESTS 4000u

static struct {
	struct fixture f;
	_Atomic uint64_t stored[LAST / UZ_PAGE_SIZE]; /* number, or 0 */
	_Atomic unsigned int ended;
	_Atomic uint64_t done; /* requests */
	_Atomic uint64_t refused;
	_Atomic uint64_t beyond; /* requests behind the first end, carried out */
	uint64_t seed;
} load;

static uint64_t random_next(uint64_t *x)
{
	*x ^= *x << 13, *x ^= *x >> 7, *x ^= *x << 17;
	return *x * UINT64_C(0x2545f4914f6cdd1d) >> 16;
}

/* Those that end before the old size work, those beyond the new one do not. */
static void judge(uint64_t end, uint64_t before, uint64_t after, int ret)
{
	if (ret && ret != -EINVAL)
		fail_msg("%s", strerror(-ret));
	if (end <= before)
		assert_int_equal(ret, 0);
	if (end > after)
		assert_int_equal(ret, -EINVAL);
	if (ret)
		atomic_fetch_add(&load.refused, 1);
	else if (end > MIB)
		atomic_fetch_add(&load.beyond, 1);
}

/* Each thread has pages of its own. */
static void *load_main(void *arg)
{
	const uint64_t id = (uintptr_t)arg;
	uint64_t x = load.seed + id, n;
	unsigned char page[UZ_PAGE_SIZE], want[UZ_PAGE_SIZE];
	struct uz_io *io;

	assert_int_equal(uz_io_create(load.f.dev, &io), 0);
	for (n = 1; n <= REQUESTS || uz_device_disksize(load.f.dev) < LAST ||
		    !atomic_load(&load.beyond);
	     n++) {
		uint64_t before = uz_device_disksize(load.f.dev), after;
		/* Many of them near the end, wherever that is. */
		uint64_t near = pages_of(before) + random_next(&x) % 64;
		uint64_t index = random_next(&x) % 2
					 ? near - 32
					 : random_next(&x) % pages_of(LAST);
		_Atomic uint64_t *stored;
		int ret;

		atomic_fetch_add(&load.done, 1);
		index = index / THREADS * THREADS + id;
		if (index >= pages_of(LAST))
			continue;
		stored = &load.stored[index];
		if (random_next(&x) % 3 && *stored) {
			page_text(want, *stored);
			ret = submit(io, UZ_OP_READ, index * UZ_PAGE_SIZE,
				     UZ_PAGE_SIZE, page);
			assert_int_equal(ret, 0);
			assert_memory_equal(page, want, UZ_PAGE_SIZE);
			continue;
		}
		page_text(page, n << 8 | id);
		ret = submit(io, UZ_OP_WRITE, index * UZ_PAGE_SIZE,
			     UZ_PAGE_SIZE, page);
		after = uz_device_disksize(load.f.dev);
		judge((index + 1) * UZ_PAGE_SIZE, before, after, ret);
		if (!ret)
			*stored = n << 8 | id;
	}
	uz_io_destroy(io);
	atomic_fetch_add(&load.ended, 1);
	return NULL;
}

/* What looks over the whole table, whatever it finds. */
static void *scan_main(void *arg)
{
	struct uz_pool_compaction done = { 0 };
	struct uz_scrub scrub = { 0 };
	struct uz_io *io;
	uint64_t found, marked;

	(void)arg;
	assert_int_equal(uz_io_create(load.f.dev, &io), 0);
	while (atomic_load(&load.ended) < THREADS) {
		assert_int_equal(uz_device_mark_idle(load.f.dev, UZ_IDLE_ALL,
						     &marked, NULL),
				 0);
		uz_device_compact(load.f.dev, UZ_POOL_COMPACT_ALL, 100, &done);
		(void)!uz_device_next(load.f.dev, 0, true, &found);
		if (!uz_device_scrub(io, 100, &scrub))
			scrub.next = 0;
	}
	assert_int_equal(scrub.errors, 0);
	uz_io_destroy(io);
	return NULL;
}

static void expect_stored(void)
{
	uint64_t i;

	for (i = 0; i < pages_of(LAST); i++)
		if (load.stored[i])
			expect_text(&load.f, i, load.stored[i]);
}

static void test_under_load(void **state)
{
	const char *env = getenv("UZ_SEED");
	pthread_t threads[THREADS + 1];
	uint64_t size = MIB, want;
	uintptr_t i;

	(void)state;
	load.seed = env ? strtoull(env, NULL, 0) : (uint64_t)time(NULL);
	print_message("# seed %llu\n", (unsigned long long)load.seed);
	fixture_open(&load.f, NULL, size);
	for (i = 0; i < THREADS; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, load_main, (void *)i),
			0);
	assert_int_equal(pthread_create(&threads[i], NULL, scan_main, NULL), 0);
	while (atomic_load(&load.ended) < THREADS) {
		/* As far as they are, by a page or by as many as it happens. */
		want = MIB + (LAST - MIB) * atomic_load(&load.done) /
				     (THREADS * REQUESTS);
		want = want < LAST ? want & ~(uint64_t)(UZ_PAGE_SIZE - 1)
				   : LAST;
		if (want > size)
			grow(&load.f, size = want);
		else
			sched_yield();
	}
	for (i = 0; i <= THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_true(load.refused);
	assert_true(load.beyond);
	expect_stored();
	fixture_check(&load.f);
	fixture_forget(&load.f);
	fixture_adopt(&load.f);
	assert_int_equal(uz_device_disksize(load.f.dev), size);
	expect_stored();
	fixture_close(&load.f);
}

/* ---- death ---- */

/* ThreadSanitizer lets no child have threads. */
#if defined(UZ_DEBUG_CHECKS) && !defined(__SANITIZE_THREAD__)
static enum uz_delay_point last_step;

static void die_there(void *arg, enum uz_delay_point point)
{
	(void)arg;
	if (point == last_step)
		_exit(7);
}

/* In another process, which dies at @step if it comes by. */
static void grow_and_die(struct fixture *f, uint64_t size,
			 enum uz_delay_point step)
{
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		if (uz_device_open(&f->dev, "test", &f->mem, NULL))
			_exit(1);
		last_step = step;
		uz_delay_call(die_there, NULL);
		(void)!uz_device_grow(f->dev, size, NULL);
		_exit(2);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
}

static void test_death(void **state)
{
	static const struct {
		enum uz_delay_point step;
		bool grown;
	} steps[] = {
		{ UZ_DELAY_ARENA, false },
		{ UZ_DELAY_TABLE, false },
		{ UZ_DELAY_SIZED, true },
	};
	uint64_t size = MIB, larger;
	struct fixture f;
	size_t i;

	(void)state;
	fixture_open(&f, NULL, size);
	store_text(&f, 255, 9);
	for (i = 0; i < 2 * sizeof(steps) / sizeof(steps[0]); i++) {
		larger = size + (i % 2 ? 5 * UZ_PAGE_SIZE : 20 * MIB);
		/* The arena grows by windows, and keeps what it has tried. */
		if (steps[i / 2].step == UZ_DELAY_ARENA)
			larger = size + (i + 1) * 20 * MIB;
		fixture_forget(&f);
		grow_and_die(&f, larger, steps[i / 2].step);
		fixture_adopt(&f);
		if (steps[i / 2].grown)
			size = larger;
		assert_int_equal(uz_device_disksize(f.dev), size);
		store_text(&f, pages_of(size) - 1, 9);
		expect_text(&f, 255, 9);
		expect_text(&f, pages_of(size) - 1, 9);
		fixture_check(&f);
	}
	grow(&f, size + MIB);
	expect_text(&f, pages_of(size) - 1, 9);
	fixture_close(&f);
}
#else
static void test_death(void **state)
{
	(void)state; /* needs a build with debug checks */
}
#endif

/* Where nothing may wait for memory later, it is there when grow() returns. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
static void test_ahead(void **state)
{
	struct fixture f;
	struct stat st;
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid) {
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
		return;
	}
	uz_ahead_enable();
	fixture_open(&f, NULL, MIB);
	grow(&f, 64 * MIB);
	assert_int_equal(fstat(f.mem.table_fd, &st), 0);
	assert_int_equal(st.st_blocks * 512, 64 * MIB / 512);
	store_text(&f, pages_of(64 * MIB) - 1, 1);
	fixture_close(&f);
	_exit(0);
}
#else
static void test_ahead(void **state)
{
	(void)state; /* a sanitizer's own memory would be populated, too */
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grows),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_ages),
		cmocka_unit_test(test_snapshot),
		cmocka_unit_test(test_under_load),
		cmocka_unit_test(test_death),
		cmocka_unit_test(test_ahead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
