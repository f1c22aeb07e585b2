// SPDX-License-Identifier: MIT
/*
 * Requests shared with page workers: what they leave behind is what one thread
 * would have left, whoever did which page, however late, and whatever fails.
 *
 * To make that certain and not likely, three things are replaced by the linker
 * (--wrap): the clock, so that each page takes 20 us by it; the load and store
 * of a page, so that a thread can be held there, or fail; pthread_create().
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <crew.h>

#include "device_fixture.h"
#include "sleeps.h"
#include "soon.h"

#define PAGES	256u
#define BYTES	(PAGES * UZ_PAGE_SIZE)
#define SIZE	(UINT64_C(8) << 20)
#define PAGE_NS 20000
#define NOWHERE UINT64_MAX

static _Atomic uint64_t clock_ns = 1000000000;
static _Thread_local bool submits; /* this thread is no worker */
static _Atomic unsigned int by_submitter, by_workers; /* pages */
static _Atomic uint64_t fails[2] = { NOWHERE, NOWHERE };
static _Atomic bool meet; /* submitters wait until a worker has begun */
static _Atomic bool hold; /* the first worker waits until all else is done */
static _Atomic bool waited; /* a submitter looked at the clock after that */
static _Atomic int threads_left = -1;
static unsigned char buf[BYTES + UZ_PAGE_SIZE], got[BYTES + UZ_PAGE_SIZE];

int __wrap_clock_gettime(clockid_t id, struct timespec *t);
int __real_uz_page_load(struct uz_io *io, uint64_t index, void *page);
int __wrap_uz_page_load(struct uz_io *io, uint64_t index, void *page);
int __real_uz_page_store(struct uz_io *io, uint64_t index, const void *page);
int __wrap_uz_page_store(struct uz_io *io, uint64_t index, const void *page);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*start)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*start)(void *), void *arg);

static void nap(void)
{
	const struct timespec t = { .tv_nsec = 100000 };

	nanosleep(&t, NULL);
}

int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
	uint64_t ns = clock_ns;

	(void)id;
	t->tv_sec = (time_t)(ns / 1000000000);
	t->tv_nsec = (long)(ns % 1000000000);
	if (submits && by_submitter + by_workers == PAGES)
		waited = true;
	return 0;
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr,
			  void *(*start)(void *), void *arg)
{
	if (!threads_left)
		return EAGAIN;
	threads_left -= threads_left > 0;
	return __real_pthread_create(thread, attr, start, arg);
}

/* Every page passes here; the first three are done before any call. */
static int on_page(uint64_t index)
{
	if (submits) {
		while (meet && by_submitter >= 3 && !by_workers)
			nap();
		by_submitter++;
		clock_ns += PAGE_NS;
	} else if (!by_workers++ && hold) {
		while (!waited)
			nap();
		clock_ns += 1000000;
		hold = false;
	}
	if (index == fails[0])
		return -EIO;
	return index == fails[1] ? -ENOSPC : 0;
}

int __wrap_uz_page_load(struct uz_io *io, uint64_t index, void *page)
{
	int err = on_page(index);

	return err ? err : __real_uz_page_load(io, index, page);
}

int __wrap_uz_page_store(struct uz_io *io, uint64_t index, const void *page)
{
	int err = on_page(index);

	return err ? err : __real_uz_page_store(io, index, page);
}

static int transfer(struct uz_io *io, enum uz_op op, uint64_t offset,
		    uint64_t length, void *at)
{
	const struct uz_request rq = { op, offset, length, at };

	/*
	 * Only who sleeps is called; each has time to leave the last request.
	 */
	while (io->dev->crew->idle < io->dev->crew->nr)
		nap();
	if (meet)
		clock_ns += 1000000000; /* whoever was late before */
	by_submitter = by_workers = 0;
	waited = false;
	return uz_device_submit(io, &rq);
}

static void fill(unsigned char *to, unsigned int pages, uint64_t number)
{
	unsigned int i;

	for (i = 0; i < pages; i++)
		page_text(to + i * UZ_PAGE_SIZE, number + i);
}

static struct uz_device_stat numbers(const struct fixture *f)
{
	struct uz_device_stat stat;

	uz_device_stat(f->dev, &stat);
	return stat;
}

/* By single pages: no request, so nobody helps. */
static void expect_pages(struct fixture *f, uint64_t index, unsigned int nr,
			 const unsigned char *want)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		assert_int_equal(__real_uz_page_load(f->io, index + i, got), 0);
		assert_memory_equal(got, want + i * UZ_PAGE_SIZE, UZ_PAGE_SIZE);
	}
}

static void open_with(struct fixture *f, unsigned int workers)
{
	submits = true;
	fixture_open(f, NULL, SIZE);
	uz_device_set_workers(f->dev, workers);
	assert_int_equal(numbers(f).workers, workers);
}

/* ---- tests ---- */

static void test_shared(void **state)
{
	struct uz_device_stat stat;
	struct fixture f;

	(void)state;
	open_with(&f, 2);
	fill(buf, PAGES + 1, 1);
	meet = true;
	assert_int_equal(transfer(f.io, UZ_OP_WRITE, 0, BYTES, buf), 0);
	assert_true(by_workers && by_submitter);
	assert_int_equal(by_workers + by_submitter, PAGES);
	assert_int_equal(numbers(&f).worker_pages, by_workers);
	assert_int_equal(transfer(f.io, UZ_OP_READ, 0, BYTES, got), 0);
	assert_true(by_workers);
	assert_memory_equal(got, buf, BYTES);
	expect_pages(&f, 0, PAGES, buf);

	/* Ends that are no whole pages. */
	fill(buf, PAGES + 1, 1000);
	assert_int_equal(
		transfer(f.io, UZ_OP_WRITE, SIZE / 2 + 100, BYTES, buf), 0);
	assert_true(by_workers);
	assert_int_equal(
		transfer(f.io, UZ_OP_READ, SIZE / 2 + 99, BYTES + 2, got), 0);
	assert_true(by_workers);
	assert_int_equal(got[0] | got[BYTES + 1], 0);
	assert_memory_equal(got + 1, buf, BYTES);
	meet = false;

	stat = numbers(&f);
	assert_int_equal(stat.num_reads, 2);
	assert_int_equal(stat.num_writes, 2);
	assert_int_equal(stat.bytes_written, 2 * BYTES);
	assert_int_equal(stat.orig_data_size, (2 * PAGES + 1) * UZ_PAGE_SIZE);
	fixture_close(&f);
}

static void test_few_pages(void **state)
{
	struct fixture f;
	unsigned int n;

	(void)state;
	open_with(&f, 2);
	fill(buf, 8, 1);
	for (n = 0; n < 8; n++) {
		assert_int_equal(
			transfer(f.io, UZ_OP_WRITE, 0, n * UZ_PAGE_SIZE, buf),
			0);
		assert_int_equal(
			transfer(f.io, UZ_OP_READ, 0, n * UZ_PAGE_SIZE, got),
			0);
		assert_memory_equal(got, buf, n * UZ_PAGE_SIZE);
	}
	assert_int_equal(numbers(&f).worker_pages, 0);
	fixture_close(&f);
}

static void test_no_workers(void **state)
{
	struct fixture f;

	(void)state;
	open_with(&f, 0);
	fill(buf, PAGES, 1);
	assert_int_equal(transfer(f.io, UZ_OP_WRITE, 0, BYTES, buf), 0);
	assert_int_equal(by_submitter, PAGES);
	expect_pages(&f, 0, PAGES, buf);
	uz_device_set_workers(f.dev, 1000);
	assert_int_equal(numbers(&f).workers, UZ_WORKERS_MAX);
	fixture_close(&f);
}

/* Who stands still with the page that fails lets the others do the rest. */
static bool read_stops(struct fixture *f)
{
	assert_int_equal(transfer(f->io, UZ_OP_READ, 0, BYTES, got), -ENOSPC);
	return by_submitter + by_workers < PAGES;
}

/* The lowest page's error, as from one thread; writes go on, reads do not. */
static void test_failures(void **state)
{
	static const unsigned char zeroes[UZ_PAGE_SIZE];
	struct fixture f;

	(void)state;
	open_with(&f, 3);
	fill(buf, PAGES, 1);
	meet = true;
	fails[0] = 200;
	fails[1] = 40;
	assert_int_equal(transfer(f.io, UZ_OP_WRITE, 0, BYTES, buf), -ENOSPC);
	assert_int_equal(by_submitter + by_workers, PAGES);
	assert_true(SOON(read_stops(&f)));
	fails[0] = 39;
	assert_int_equal(transfer(f.io, UZ_OP_WRITE, 0, BYTES, buf), -EIO);
	assert_int_equal(transfer(f.io, UZ_OP_READ, 0, BYTES, got), -EIO);
	/* Before anything is shared. */
	fails[0] = 0;
	assert_int_equal(transfer(f.io, UZ_OP_WRITE, 0, BYTES, buf), -EIO);
	assert_int_equal(by_submitter + by_workers, PAGES);
	assert_int_equal(transfer(f.io, UZ_OP_READ, 0, BYTES, got), -EIO);
	assert_int_equal(by_submitter, 1);
	fails[0] = fails[1] = NOWHERE;
	meet = false;

	/* 39 failed once and was written before; 40 never was. */
	expect_pages(&f, 0, 40, buf);
	expect_pages(&f, 40, 1, zeroes);
	expect_pages(&f, 41, PAGES - 41, buf + 41 * UZ_PAGE_SIZE);
	fixture_close(&f);
}

static void test_limit(void **state)
{
	static const unsigned char zeroes[UZ_PAGE_SIZE];
	unsigned int i, stored = 0;
	struct fixture f;

	(void)state;
	open_with(&f, 2);
	uz_device_set_limit(f.dev, BYTES / 2);
	for (i = 0; i < PAGES; i++)
		page_noise(buf + i * UZ_PAGE_SIZE, i + 1);
	meet = true;
	assert_int_equal(transfer(f.io, UZ_OP_WRITE, 0, BYTES, buf), -ENOSPC);
	meet = false;
	for (i = 0; i < PAGES; i++) {
		const unsigned char *page = buf + i * UZ_PAGE_SIZE;

		assert_int_equal(__real_uz_page_load(f.io, i, got), 0);
		if (!memcmp(got, page, UZ_PAGE_SIZE))
			stored++;
		else
			assert_memory_equal(got, zeroes, UZ_PAGE_SIZE);
	}
	assert_in_range(stored, 1, PAGES / 2);
	assert_int_equal(numbers(&f).limit_rejections, PAGES - stored);
	fixture_close(&f);
}

/* A worker that stays long with its page is waited for, then left alone. */
static void test_late(void **state)
{
	unsigned int before;
	struct fixture f;

	(void)state;
	open_with(&f, 1);
	fill(buf, PAGES, 1);
	meet = hold = true;
	assert_int_equal(transfer(f.io, UZ_OP_WRITE, 0, BYTES, buf), 0);
	assert_false(hold);
	meet = false;
	expect_pages(&f, 0, PAGES, buf);
	before = (unsigned int)numbers(&f).worker_pages;
	assert_true(before > 0);
	assert_int_equal(transfer(f.io, UZ_OP_READ, 0, BYTES, got), 0);
	assert_memory_equal(got, buf, BYTES);
	assert_int_equal(numbers(&f).worker_pages, before);
	meet = true;
	assert_int_equal(transfer(f.io, UZ_OP_READ, 0, BYTES, got), 0);
	assert_true(numbers(&f).worker_pages > before);
	meet = false;
	fixture_close(&f);
}

/* The threads are gone with the size, their number is not. */
static void test_life(void **state)
{
	struct fixture f;

	(void)state;
	submits = true;
	fixture_open(&f, NULL, 0);
	uz_device_set_workers(f.dev, 2);
	assert_int_equal(numbers(&f).workers, 0);
	assert_int_equal(uz_device_set_disksize(f.dev, SIZE, NULL), 0);
	assert_int_equal(numbers(&f).workers, 2);
	fill(buf, PAGES, 1);
	meet = true;
	assert_int_equal(transfer(f.io, UZ_OP_WRITE, 0, BYTES, buf), 0);
	assert_true(numbers(&f).worker_pages > 0);
	assert_int_equal(uz_device_reset(f.dev, false, NULL), 0);
	assert_int_equal(uz_device_set_disksize(f.dev, SIZE, NULL), 0);
	assert_int_equal(numbers(&f).workers, 2);
	assert_int_equal(numbers(&f).worker_pages, 0);
	assert_int_equal(transfer(f.io, UZ_OP_WRITE, 0, BYTES, buf), 0);

	fixture_forget(&f);
	fixture_adopt(&f);
	assert_int_equal(numbers(&f).workers, 0);
	assert_true(numbers(&f).worker_pages > 0);
	expect_pages(&f, 0, PAGES, buf);
	uz_device_set_workers(f.dev, 1);
	assert_int_equal(transfer(f.io, UZ_OP_READ, 0, BYTES, got), 0);
	assert_memory_equal(got, buf, BYTES);
	assert_true(by_workers > 0);
	meet = false;
	fixture_close(&f);
}

static void test_cannot_start(void **state)
{
	static struct uz_io *io[UZ_IO_MAX];
	struct fixture f;
	int n = 0;

	(void)state;
	open_with(&f, 0);
	threads_left = 1;
	uz_device_set_workers(f.dev, 3);
	threads_left = -1;
	assert_int_equal(numbers(&f).workers, 1);
	fill(buf, PAGES, 1);
	meet = true;
	assert_int_equal(transfer(f.io, UZ_OP_WRITE, 0, BYTES, buf), 0);
	meet = false;
	expect_pages(&f, 0, PAGES, buf);

	/* Every place for a thread is taken but those two. */
	uz_device_set_workers(f.dev, 2);
	while (!uz_io_create(f.dev, &io[n]))
		n++;
	uz_device_set_workers(f.dev, 5);
	assert_int_equal(numbers(&f).workers, 2);
	while (n)
		uz_io_destroy(io[--n]);
	fixture_close(&f);
}

/* ---- many threads ---- */

#define SUBMITTERS 20u /* more than there are places for jobs */
#define SHARE	   (SIZE / SUBMITTERS / UZ_PAGE_SIZE) /* pages of each */

static struct fixture many;
static _Atomic bool ended;
static _Atomic bool may_refuse;

static void *submit_mine(void *arg)
{
	unsigned int id = *(unsigned int *)arg;
	unsigned char *mine = malloc(2 * SHARE * UZ_PAGE_SIZE);
	unsigned char *back = mine + SHARE * UZ_PAGE_SIZE;
	struct uz_request rq = { UZ_OP_WRITE, id * SHARE * UZ_PAGE_SIZE,
				 SHARE * UZ_PAGE_SIZE, mine };
	struct uz_io *io;
	uint64_t round;
	int err;

	submits = true;
	if (!mine || uz_io_create(many.dev, &io))
		abort();
	for (round = 1; !ended || round < 3; round++) {
		fill(mine, SHARE, round << 32 | id << 16);
		rq.op = UZ_OP_WRITE;
		rq.buf = mine;
		err = uz_device_submit(io, &rq);
		rq.op = UZ_OP_READ;
		rq.buf = back;
		if (!err)
			err = uz_device_submit(io, &rq);
		if (err && !(err == -EINVAL && may_refuse))
			abort();
		if (!err && !may_refuse && memcmp(mine, back, rq.length))
			abort();
	}
	uz_io_destroy(io);
	free(mine);
	return NULL;
}

static void with_submitters(unsigned int nr, void (*meanwhile)(void))
{
	unsigned int id[SUBMITTERS], i;
	pthread_t thread[SUBMITTERS];

	ended = false;
	for (i = 0; i < nr; i++) {
		id[i] = i;
		assert_int_equal(__real_pthread_create(&thread[i], NULL,
						       submit_mine, &id[i]),
				 0);
	}
	meanwhile();
	ended = true;
	for (i = 0; i < nr; i++)
		pthread_join(thread[i], NULL);
}

static void wait_for_help(void)
{
	while (!numbers(&many).worker_pages) {
		clock_ns += 1000000000; /* whoever is left alone no longer is */
		nap();
	}
}

static void no_wait(void)
{
}

/* With workers for all of them, and without: those keep out of the way. */
static void test_more_submitters(void **state)
{
	(void)state;
	open_with(&many, 2 * SUBMITTERS);
	with_submitters(SUBMITTERS, wait_for_help);
	uz_device_set_workers(many.dev, 2);
	with_submitters(SUBMITTERS, no_wait);
	fixture_close(&many);
}

static void change_workers(void)
{
	unsigned int i;

	for (i = 0; i < 50; i++) {
		uz_device_set_workers(many.dev, i % 4);
		nap();
	}
}

static void test_change_workers(void **state)
{
	(void)state;
	open_with(&many, 1);
	with_submitters(3, change_workers);
	fixture_close(&many);
}

static void reset_often(void)
{
	unsigned int i;

	for (i = 0; i < 10; i++) {
		if (uz_device_reset(many.dev, true, NULL) ||
		    uz_device_set_disksize(many.dev, SIZE, NULL))
			fail();
		clock_ns += 1000000000;
		nap();
	}
}

static void test_reset(void **state)
{
	(void)state;
	open_with(&many, 2);
	may_refuse = true;
	with_submitters(3, reset_often);
	may_refuse = false;
	fixture_close(&many);
}

/* ---- without work ---- */

/* Small requests and cheap ones wake nobody. */
static bool wakes_nobody(struct fixture *f)
{
	const struct timespec t = { .tv_nsec = 300000000 };
	unsigned long before, after;
	unsigned int workers;

	/* Until those who were called have gone to sleep again. */
	do {
		before = sleeps("uz-page-", &workers);
		nanosleep(&t, NULL);
		after = sleeps("uz-page-", &workers);
		assert_int_equal(workers, 3);
	} while (after != before);
	assert_int_equal(transfer(f->io, UZ_OP_READ, 0, 7 * UZ_PAGE_SIZE, got),
			 0);
	nanosleep(&t, NULL);
	return sleeps("uz-page-", &workers) == before;
}

static void test_asleep(void **state)
{
	unsigned int tries = 0;
	struct fixture f;

	(void)state;
	open_with(&f, 3);
	fill(buf, PAGES, 1);
	meet = true;
	assert_int_equal(transfer(f.io, UZ_OP_WRITE, 0, BYTES, buf), 0);
	meet = false;
	/* One that is about to sleep may have no CPU for as long as that. */
	while (!wakes_nobody(&f))
		assert_true(++tries < 20);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shared),
		cmocka_unit_test(test_few_pages),
		cmocka_unit_test(test_no_workers),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_cannot_start),
		cmocka_unit_test(test_more_submitters),
		cmocka_unit_test(test_change_workers),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_asleep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
