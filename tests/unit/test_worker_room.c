// SPDX-License-Identifier: MIT
/*
 * A device whose memory is a cache in front of its store: more is written to it
 * than the limit lets it hold. Nothing is refused as long as there is somewhere
 * to go, nothing is lost when there is not, and nobody waits for ever.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/backing.h>
#include <uzram/device/snapshot.h>
#include <uzram/worker.h>

#include "direct_fixture.h"
#include "soon.h"
#include "writeback_fixture.h"

#define LIMIT (3u << 20)

/*
 * How the store is just now: errno, microseconds, held until it is let go or
 * until a store has found the limit reached. It takes no direct I/O: how it is
 * shows when a group is made durable.
 */
static _Atomic int sync_fails;
static _Atomic unsigned int sync_us;
static _Atomic bool sync_held;
static _Atomic bool sync_awaits_limit;

static struct uz_shrinker *shrinker;

int __real_uz_writer_sync(struct uz_writer *w, uint64_t offset, uint64_t len);
int __wrap_uz_writer_sync(struct uz_writer *w, uint64_t offset, uint64_t len);

int __wrap_uz_writer_sync(struct uz_writer *w, uint64_t offset, uint64_t len)
{
	int ret = __real_uz_writer_sync(w, offset, len);

	usleep(sync_us);
	while (sync_held ||
	       (sync_awaits_limit && !backing_stat(&f).pool_limit_hit))
		usleep(1000);
	return sync_fails ? -sync_fails : ret;
}

static void begin(uint64_t store_bytes, uint64_t limit)
{
	no_direct = true;
	if (store_bytes)
		backed_open(&f, SIZE, store_bytes);
	else
		fixture_open(&f, NULL, SIZE);
	assert_int_equal(uz_shrinker_start(&shrinker, f.dev), 0);
	uz_device_set_limit(f.dev, limit);
}

static void end(void)
{
	uz_shrinker_stop(shrinker);
	shrinker = NULL;
	backed_close(&f);
}

static int tear_down(void **state)
{
	(void)state;
	sync_fails = 0;
	sync_us = 0;
	sync_held = false;
	sync_awaits_limit = false;
	return 0;
}

static struct uz_device_stat device_stat(void)
{
	struct uz_device_stat stat;

	uz_device_stat(f.dev, &stat);
	return stat;
}

static int try_store(struct uz_io *io, uint64_t index, uint64_t salt)
{
	unsigned char page[UZ_PAGE_SIZE];

	make(page, index, salt);
	return uz_page_store(io, index, page);
}

/* Of each page it is counted where it is, once none is on its way. */
static bool all_counted(void)
{
	struct uz_backing_stat stat = backing_stat(&f);

	return stat.stored_pages + stat.backed_pages == PAGES;
}

/* Every page four times over, in another order each time. */
static void test_keeps_to_the_limit(void **state)
{
	struct uz_device_stat stat;
	uint64_t round, i;

	(void)state;
	begin(4 * SIZE, LIMIT);
	uz_device_set_backing_setting(f.dev, UZ_BACKING_PROMOTE, 1);
	store_all();
	for (round = 1; round < 4; round++) {
		for (i = 0; i < PAGES; i++) {
			expect(i * 1237 % PAGES, round - 1);
			store(i * 1237 % PAGES, round);
		}
	}
	for (i = 0; i < PAGES; i++)
		expect(i, 3);
	stat = device_stat();
	assert_int_equal(stat.limit_rejections, 0);
	assert_int_equal(stat.failed_writes, 0);
	assert_in_range(stat.mem_used_max, LIMIT / 2, LIMIT + LIMIT / 100);
	assert_true(backing_stat(&f).shrunk_pages > PAGES);
	assert_true(backing_stat(&f).read_back_pages > 0);
	assert_true(SOON(all_counted()));
	end();
}

static void await_used_below(uint64_t bytes)
{
	assert_true(SOON(device_stat().mem_used_total <= bytes));
}

/*
 * The pages that have left, when no more do. They are counted some time after
 * their memory was given back; who goes on and on has all of them leave.
 */
static uint64_t shrunk_at_rest(void)
{
	uint64_t before, now = 0;
	unsigned int i = 0;

	do {
		before = now;
		usleep(100000);
		now = backing_stat(&f).shrunk_pages;
	} while (i++ < 600 && (now < PAGES / 8 || now != before));
	assert_int_equal(now, before);
	return now;
}

/* From the high mark down to the low one, and at rest then. */
static void test_marks(void **state)
{
	uint64_t used;

	(void)state;
	begin(4 * SIZE, 0);
	store_all();
	used = device_stat().mem_used_total;
	assert_int_equal(backing_stat(&f).shrunk_pages, 0);
	uz_room_set_marks(f.dev, 50, 80);
	/* A limit below what is used is one more way to be above the mark. */
	uz_device_set_limit(f.dev, used);
	await_used_below(used / 2);
	assert_in_range(shrunk_at_rest(), PAGES / 8, PAGES - PAGES / 8);
	expect_all();
	/* A successor goes on by himself. */
	uz_shrinker_stop(shrinker);
	fixture_forget(&f);
	fixture_adopt(&f);
	assert_int_equal(uz_device_backing_setting(f.dev, UZ_BACKING_LOW), 50);
	uz_device_set_limit(f.dev, used / 2);
	assert_int_equal(uz_shrinker_start(&shrinker, f.dev), 0);
	await_used_below(used / 4);
	expect_all();
	end();
}

/* What is read all the time stays; what is not goes first. */
static void test_second_chance(void **state)
{
	uint64_t used, i, hot, round;

	(void)state;
	begin(4 * SIZE, 0);
	store_all();
	used = device_stat().mem_used_total;
	uz_room_set_marks(f.dev, 60, 61);
	/* Text at every eighth page, once the hand has come by. */
	assert_int_equal(uz_device_mark_idle(f.dev, UZ_IDLE_ALL, NULL, NULL),
			 0);
	for (i = 3; i < PAGES; i += 8)
		expect(i, 0);
	uz_device_set_limit(f.dev, used);
	await_used_below(used * 60 / 100);
	hot = backing_stat(&f).read_back_pages;
	for (round = 0; round < 2; round++)
		for (i = 3; i < PAGES; i += 8)
			expect(i, 0);
	assert_in_range(backing_stat(&f).read_back_pages - hot, 0, PAGES / 80);
	expect_all();
	end();
}

/* ---- stores that are not as they should be ---- */

static void test_slow(void **state)
{
	(void)state;
	begin(4 * SIZE, LIMIT);
	sync_us = 30000;
	sync_awaits_limit = true;
	store_all();
	sync_us = 0;
	assert_int_equal(device_stat().limit_rejections, 0);
	assert_true(backing_stat(&f).pool_limit_hit > 0);
	expect_all();
	end();
}

/* Fills the device; returns how many pages it took before one was refused. */
static uint64_t fill(void)
{
	uint64_t i;
	int err = 0;

	for (i = 0; i < PAGES && !err; i++)
		err = try_store(f.io, i, 0);
	assert_int_equal(err, -ENOSPC);
	return i - 1;
}

static void expect_first(uint64_t nr)
{
	static const unsigned char zero[UZ_PAGE_SIZE];
	uint64_t i;

	for (i = 0; i < nr; i++)
		expect(i, 0);
	expect_page(&f, nr, zero);
}

/*
 * What is wrong is right again; but whoever makes room may be about to tell of
 * what was before, and for a second after that stores are refused at once.
 */
static void store_in_time(uint64_t index, uint64_t salt)
{
	int err = 0;

	if (!SOON((err = try_store(f.io, index, salt)) != -ENOSPC))
		fail_msg("page %u is still refused", (unsigned int)index);
	assert_int_equal(err, 0);
}

/* Goes on as soon as the store is right again. */
static void test_failing(void **state)
{
	uint64_t nr, i;

	(void)state;
	begin(4 * SIZE, LIMIT);
	sync_fails = EIO;
	nr = fill();
	assert_int_equal(device_stat().limit_rejections, 1);
	assert_int_equal(backing_stat(&f).backed_pages, 0);
	assert_true(backing_stat(&f).writeback_failed > 0);
	expect_first(nr);
	sync_fails = 0;
	usleep(1200000);
	for (i = nr; !backing_stat(&f).shrunk_pages; i++)
		store_in_time(i, 0);
	usleep(1200000);
	store_all();
	expect_all();
	end();
}

static void test_full(void **state)
{
	uint64_t nr, i;

	(void)state;
	begin(1 << 20, LIMIT);
	nr = fill();
	assert_true(backing_stat(&f).backed_pages > 0);
	expect_first(nr);
	/* Room on it is used as soon as there is some. */
	for (i = 0; i < nr / 2; i++)
		uz_page_drop(f.io, i);
	usleep(1200000);
	for (i = 0; i < nr / 4; i++)
		store_in_time(i, 0);
	for (i = 0; i < nr; i++)
		if (i < nr / 4 || i >= nr / 2)
			expect(i, 0);
	end();
}

/* One block, no two in a row: a raw page stays, but keeps no other one back. */
static void test_crumbs(void **state)
{
	uint64_t nr;

	(void)state;
	begin(UZ_BLOCK_SIZE, LIMIT);
	nr = fill();
	/* It may be looking once more whether there is a block. */
	assert_true(SOON(backing_stat(&f).used_blocks == codec_compresses()));
	assert_int_equal(!!backing_stat(&f).shrunk_pages, codec_compresses());
	expect_first(nr);
	end();
}

/* writeback_limit counts here as well. */
static void test_limited(void **state)
{
	uint64_t nr;

	(void)state;
	begin(4 * SIZE, LIMIT);
	uz_device_set_backing_setting(f.dev, UZ_BACKING_LIMITED, 1);
	uz_device_set_backing_setting(f.dev, UZ_BACKING_LIMIT, 100);
	nr = fill();
	assert_in_range(backing_stat(&f).written_blocks, 1, 100);
	expect_first(nr);
	end();
}

static void test_off(void **state)
{
	(void)state;
	begin(4 * SIZE, LIMIT);
	uz_room_set_marks(f.dev, 0, 0);
	expect_first(fill());
	assert_int_equal(backing_stat(&f).shrunk_pages, 0);
	end();
	/* Nor without a store. */
	begin(0, LIMIT);
	expect_first(fill());
	assert_int_equal(device_stat().limit_rejections, 1);
	uz_shrinker_stop(shrinker);
	fixture_close(&f);
}

/* ---- what else is under way ---- */

struct writer {
	pthread_t thread;
	struct uz_io *io;
	uint64_t first;
	uint64_t salt;
	int err;
};

static int write_part(struct uz_io *io, uint64_t index, uint32_t from,
		      uint32_t to, unsigned char *page)
{
	const struct uz_request rq = {
		.op = UZ_OP_WRITE,
		.offset = index * UZ_PAGE_SIZE + from,
		.length = to - from,
		.buf = page + from,
	};

	return uz_device_submit(io, &rq);
}

/* Every fourth page from the first on; in parts, if the salt is odd. */
static void *writer_main(void *arg)
{
	struct writer *w = arg;
	uint32_t cut = w->salt % 2 ? 1000 : UZ_PAGE_SIZE;
	unsigned char page[UZ_PAGE_SIZE];
	uint64_t i;

	for (i = w->first; i < PAGES && !w->err; i += 4) {
		make(page, i, w->salt);
		w->err = write_part(w->io, i, 0, cut, page);
		if (!w->err && cut < UZ_PAGE_SIZE)
			w->err = write_part(w->io, i, cut, UZ_PAGE_SIZE, page);
	}
	return NULL;
}

static void writers_begin(struct writer *w, unsigned int nr, uint64_t salt)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		w[i] = (struct writer){ .first = i, .salt = salt };
		assert_int_equal(uz_io_create(f.dev, &w[i].io), 0);
		assert_int_equal(
			pthread_create(&w[i].thread, NULL, writer_main, &w[i]),
			0);
	}
}

static void writers_end(struct writer *w, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		pthread_join(w[i].thread, NULL);
		uz_io_destroy(w[i].io);
	}
}

/*
 * The moment of a snapshot waits for all requests, with the configuration lock
 * held; they wait for room.
 */
static void test_snapshots_meanwhile(void **state)
{
	struct uz_snapshot_info info;
	struct uz_snapshot *snap;
	struct writer w[4];
	unsigned int i, n;
	uint64_t round;

	(void)state;
	begin(4 * SIZE, LIMIT);
	for (round = 0; round < 4; round++) {
		sync_us = 5000;
		writers_begin(w, 4, round);
		for (n = 0; n < 20; n++) {
			usleep(2000);
			assert_int_equal(
				uz_snapshot_begin(f.dev, &snap, &info, NULL),
				0);
			usleep(1000);
			uz_snapshot_end(snap);
		}
		sync_us = 0;
		writers_end(w, 4);
		for (i = 0; i < 4; i++)
			assert_int_equal(w[i].err, 0);
		for (i = 0; i < PAGES; i++)
			expect(i, round);
	}
	end();
}

static void *reset_main(void *arg)
{
	(void)arg;
	assert_int_equal(uz_device_reset(f.dev, true, NULL), 0);
	return NULL;
}

/* A reset has not to wait for those that wait. */
static void test_reset_while_waiting(void **state)
{
	struct writer w[4];
	pthread_t thread;
	unsigned int i;

	(void)state;
	begin(4 * SIZE, LIMIT);
	sync_held = true;
	writers_begin(w, 4, 0);
	assert_true(SOON(backing_stat(&f).pool_limit_hit));
	assert_int_equal(pthread_create(&thread, NULL, reset_main, NULL), 0);
	for (i = 0; i < 4; i++) {
		pthread_join(w[i].thread, NULL);
		/* It may still have found room, but no device then. */
		assert_true(!w[i].err || w[i].err == -ENOSPC ||
			    w[i].err == -EINVAL);
	}
	sync_held = false;
	pthread_join(thread, NULL);
	for (i = 0; i < 4; i++)
		uz_io_destroy(w[i].io);
	/* And the same once more with the next device. */
	assert_int_equal(uz_device_set_backing(f.dev, store_path, NULL), 0);
	assert_int_equal(uz_device_set_disksize(f.dev, SIZE, NULL), 0);
	uz_device_set_limit(f.dev, LIMIT);
	store_all();
	expect_all();
	end();
}

#define room_test(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		room_test(test_keeps_to_the_limit),
		room_test(test_marks),
		room_test(test_second_chance),
		room_test(test_slow),
		room_test(test_failing),
		room_test(test_full),
		room_test(test_crumbs),
		room_test(test_limited),
		room_test(test_off),
		room_test(test_snapshots_meanwhile),
		room_test(test_reset_while_waiting),
	};

	return cmocka_run_group_tests_name("worker room", tests, NULL, NULL);
}
