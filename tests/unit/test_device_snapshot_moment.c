// SPDX-License-Identifier: MIT
/*
 * A snapshot is of one moment, proved by numbered requests: request n + 1
 * begins after request n has ended, whichever thread carries it out, and each
 * writes its number into some pages, or drops them. A snapshot must then be
 * what the first so many requests leave behind: no more of a later one, and no
 * less of an earlier one, each of them whole.
 *
 * Next to them threads write as they like, other pages through the same pool,
 * and one compacts it without end. UZ_SEED repeats a run, UZ_SECONDS makes it
 * longer.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "device_fixture.h"
#include "snapshot_fixture.h"

#define SIZE	 (8u << 20)
#define PAGES	 (SIZE / UZ_PAGE_SIZE)
#define NUMBERED 1024u /* pages; the others are written without order */
#define SPAN	 16u /* most pages of a request */
#define MAX	 (1u << 20) /* requests */
#define THREADS	 2

/* What request n did. */
struct entry {
	uint16_t first;
	uint8_t pages;
	bool drop;
};

static struct {
	struct fixture f;
	pthread_mutex_t lock;
	struct entry *log; /* [n - 1] */
	uint32_t done; /* requests that have ended */
	_Atomic bool stop;
	uint64_t seed;
} test;

static uint64_t random_next(uint64_t *x)
{
	*x ^= *x << 13, *x ^= *x >> 7, *x ^= *x << 17;
	return *x * UINT64_C(0x2545f4914f6cdd1d) >> 16;
}

/* A page of request @n: with text, noise, or nothing but its number. */
static void page_numbered(unsigned char *page, uint32_t n, uint64_t index)
{
	uint64_t word = (uint64_t)n << 32 | index;

	if ((n + index) % 3 == 0)
		page_text(page, word);
	else if ((n + index) % 3 == 1)
		page_noise(page, word);
	else
		page_same(page, word);
	memcpy(page, &word, sizeof(word));
}

/* The next request; the lock is held. */
static void write_numbered(struct uz_io *io, unsigned char *buf, uint64_t *x)
{
	uint32_t n = test.done + 1;
	struct entry *e = &test.log[n - 1];
	struct uz_request rq = { .buf = buf };
	unsigned int i;

	e->pages = 1 + random_next(x) % (random_next(x) % 4 ? 2 : SPAN);
	e->first = random_next(x) % (NUMBERED - e->pages);
	e->drop = random_next(x) % 8 == 0;
	for (i = 0; i < e->pages; i++)
		page_numbered(buf + i * UZ_PAGE_SIZE, n, e->first + i);
	rq.op = e->drop ? UZ_OP_DISCARD : UZ_OP_WRITE;
	rq.offset = (uint64_t)e->first * UZ_PAGE_SIZE;
	rq.length = (uint64_t)e->pages * UZ_PAGE_SIZE;
	assert_int_equal(uz_device_submit(io, &rq), 0);
	test.done = n;
}

static void *numbered_main(void *arg)
{
	uint64_t x = test.seed + (uintptr_t)arg;
	unsigned char *buf = malloc(SPAN * UZ_PAGE_SIZE);
	struct uz_io *io;

	assert_int_equal(uz_io_create(test.f.dev, &io), 0);
	while (!atomic_load(&test.stop)) {
		pthread_mutex_lock(&test.lock);
		if (test.done < MAX)
			write_numbered(io, buf, &x);
		pthread_mutex_unlock(&test.lock);
	}
	uz_io_destroy(io);
	free(buf);
	return NULL;
}

/* Any bytes anywhere behind the numbered pages. */
static void *wild_main(void *arg)
{
	uint64_t x = test.seed + (uintptr_t)arg;
	unsigned char *buf = malloc(SPAN * UZ_PAGE_SIZE);
	struct uz_request rq = { .buf = buf };
	struct uz_io *io;

	assert_int_equal(uz_io_create(test.f.dev, &io), 0);
	while (!atomic_load(&test.stop)) {
		rq.op = random_next(&x) % 4 ? UZ_OP_WRITE : UZ_OP_ZERO;
		rq.length = 1 + random_next(&x) % (4 * UZ_PAGE_SIZE);
		rq.offset = NUMBERED * UZ_PAGE_SIZE +
			    random_next(&x) % (SIZE - NUMBERED * UZ_PAGE_SIZE -
					       rq.length);
		page_text(buf + random_next(&x) % (3 * UZ_PAGE_SIZE),
			  random_next(&x));
		assert_int_equal(uz_device_submit(io, &rq), 0);
	}
	uz_io_destroy(io);
	free(buf);
	return NULL;
}

static void *compact_main(void *arg)
{
	struct uz_pool_compaction done = { 0 };

	(void)arg;
	while (!atomic_load(&test.stop)) {
		if (!uz_device_compact(test.f.dev, UZ_POOL_COMPACT_ALL, 16,
				       &done))
			usleep(500);
	}
	return NULL;
}

/* The number in a page, 0 for one that was dropped; checks the rest of it. */
static uint32_t number_in(struct fixture *copy, uint64_t index)
{
	unsigned char got[UZ_PAGE_SIZE], want[UZ_PAGE_SIZE];
	uint64_t word;
	uint32_t n;

	assert_int_equal(uz_page_load(copy->io, index, got), 0);
	memcpy(&word, got, sizeof(word));
	n = (uint32_t)(word >> 32);
	if (n)
		page_numbered(want, n, index);
	else
		memset(want, 0, sizeof(want));
	assert_memory_equal(got, want, sizeof(want));
	return n;
}

/*
 * Is the copy what the first n requests leave, for some n from @from to @to?
 * Those are the requests that had ended before it was begun, and before that
 * call returned.
 */
static void expect_a_moment(struct fixture *copy, uint32_t from, uint32_t to)
{
	uint32_t image[NUMBERED], now[NUMBERED] = { 0 };
	uint32_t n, i, differ = 0;

	for (i = 0; i < NUMBERED; i++) {
		image[i] = number_in(copy, i);
		differ += image[i] != 0;
	}
	for (n = 0; differ || n < from; n++) {
		const struct entry *e = &test.log[n];

		if (n == to)
			fail_msg("%u pages are of no moment from %u to %u",
				 differ, from, to);
		for (i = e->first; i < (uint32_t)e->first + e->pages; i++) {
			differ -= now[i] != image[i];
			now[i] = e->drop ? 0 : n + 1;
			differ += now[i] != image[i];
		}
	}
	assert_int_equal(differ, 0);
}

static uint32_t done_now(void)
{
	uint32_t n;

	pthread_mutex_lock(&test.lock);
	n = test.done;
	pthread_mutex_unlock(&test.lock);
	return n;
}

static void one_snapshot(void)
{
	struct uz_snapshot_info info;
	struct uz_snapshot *snap;
	uint32_t from = done_now(), to;
	struct fixture copy;

	snap = snapshot_begin(&test.f, &info);
	to = done_now();
	assert_int_equal(snapshot_copy(snap, &info, &copy), info.pages);
	uz_snapshot_end(snap);
	/* One that was waiting at the gate has ended since: it is not in. */
	expect_a_moment(&copy, from, to);
	fixture_close(&copy);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void test_one_moment(void **state)
{
	pthread_t threads[2 * THREADS + 1];
	const char *text = getenv("UZ_SECONDS");
	double end = seconds() + (text ? atof(text) : 2);
	unsigned int n = 0, i, taken = 0;

	(void)state;
	text = getenv("UZ_SEED");
	test.seed = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL);
	print_message("# UZ_SEED=%llu\n", (unsigned long long)test.seed);
	test.seed = test.seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
	test.log = calloc(MAX, sizeof(*test.log));
	pthread_mutex_init(&test.lock, NULL);
	fixture_open(&test.f, NULL, SIZE);
	uz_device_set_workers(test.f.dev, 1);
	for (i = 1; i <= THREADS; i++) {
		pthread_create(&threads[n++], NULL, numbered_main,
			       (void *)(uintptr_t)i);
		pthread_create(&threads[n++], NULL, wild_main,
			       (void *)(uintptr_t)(i + 100));
	}
	pthread_create(&threads[n++], NULL, compact_main, NULL);
	do {
		one_snapshot();
		taken++;
	} while (seconds() < end && done_now() < MAX);
	atomic_store(&test.stop, true);
	while (n)
		pthread_join(threads[--n], NULL);
	print_message("# %u snapshots of %u requests\n", taken, test.done);
	one_snapshot();
	fixture_close(&test.f);
	free(test.log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_moment),
	};

	return cmocka_run_group_tests_name("snapshot moment", tests, NULL,
					   NULL);
}
