// SPDX-License-Identifier: MIT
/*
 * Threads store, change, drop and load pages at random while others write them
 * back, compact the pool and change their minds about promotion. Each page
 * belongs to one thread, which knows what must be in it. The store is so small
 * that it is full now and then, and some of its reads and writes fail.
 *
 * At the end everything agrees, also for a successor. The seed is printed, and
 * UZ_SEED repeats it.
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

#include <uzram/backing.h>
#include <uzram/util/delay.h>

#include "backing_fixture.h"
#include "device_fixture.h"

#define THREADS 3
#define PAGES	1536
#define SIZE	(PAGES * UZ_PAGE_SIZE)
#define STORE	(SIZE / 4)
#define STEPS	20000

/* One write in so many fails. */
#define WRITE_FAILS 16

struct owner {
	pthread_t thread;
	unsigned int id;
	struct uz_io *io;
	uint64_t seed;
	const char *wrong;
	uint64_t where;
};

static struct fixture f;
static atomic_bool stop;
static atomic_uint writes;
/* What each page holds: 0 for zeroes, or a number and the bytes changed. */
static uint32_t numbers[PAGES];
static unsigned char parts[PAGES];

struct uz_write *__real_uz_writer_wait(struct uz_writer *w);
struct uz_write *__wrap_uz_writer_wait(struct uz_writer *w);
struct uz_write *__real_uz_writer_look(struct uz_writer *w);
struct uz_write *__wrap_uz_writer_look(struct uz_writer *w);

static struct uz_write *fail_some(struct uz_write *write)
{
	if (write && atomic_fetch_add(&writes, 1) % WRITE_FAILS == 0)
		write->result = -EIO;
	return write;
}

struct uz_write *__wrap_uz_writer_wait(struct uz_writer *w)
{
	return fail_some(__real_uz_writer_wait(w));
}

struct uz_write *__wrap_uz_writer_look(struct uz_writer *w)
{
	return fail_some(__real_uz_writer_look(w));
}

static uint64_t draw(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static void make(unsigned char *page, uint64_t index)
{
	uint32_t n = numbers[index];

	if (!n)
		memset(page, 0, UZ_PAGE_SIZE);
	else if (n % 4 == 0)
		page_noise(page, n);
	else if (n % 16 == 1)
		page_same(page, n * UINT64_C(0x123456789abcd));
	else
		page_text(page, n);
	if (parts[index])
		memset(page + 64, parts[index], 100);
}

static bool page_is_right(struct owner *o, struct uz_io *io, uint64_t index)
{
	unsigned char got[UZ_PAGE_SIZE], want[UZ_PAGE_SIZE];

	make(want, index);
	o->where = index;
	if (uz_page_load(io, index, got))
		o->wrong = "does not load";
	else if (memcmp(got, want, UZ_PAGE_SIZE))
		o->wrong = "is not what was stored";
	return !o->wrong;
}

static bool step(struct owner *o)
{
	uint64_t r = draw(&o->seed);
	uint64_t index = r % (PAGES / THREADS) * THREADS + o->id;
	unsigned char page[UZ_PAGE_SIZE];
	int ret = 0;

	switch (r >> 32 & 7) {
	case 0:
	case 1:
		numbers[index] = (uint32_t)(r >> 40) | 1u << 23;
		parts[index] = 0;
		make(page, index);
		ret = uz_page_store(o->io, index, page);
		break;
	case 2:
		parts[index] = (unsigned char)(r >> 40) | 1;
		make(page, index);
		ret = uz_page_store_part(o->io, index, 64, 100, page + 64);
		break;
	case 3:
		numbers[index] = 0;
		parts[index] = 0;
		uz_page_drop(o->io, index);
		break;
	default:
		return page_is_right(o, o->io, index);
	}
	if (!ret)
		return true;
	o->where = index;
	o->wrong = "does not take a store";
	return false;
}

static void *owner_main(void *arg)
{
	struct owner *o = arg;
	unsigned int i;

	for (i = 0; i < STEPS && step(o); i++)
		;
	return NULL;
}

/* Two of these at once: nobody has promised that there is only one. */
static void *writer_main(void *arg)
{
	struct uz_writeback_done *done = arg;
	struct uz_writeback *wb;
	uint64_t next = 0, turn = 0;
	int ret;

	if (uz_writeback_create(&wb, f.dev, NULL))
		return NULL;
	/* Who begins late finds something that can be written all the same. */
	while (!atomic_load(&stop) || (!done->pages && turn < 100)) {
		ret = uz_writeback_some(wb, &want_any, &next, PAGES, done);
		if (ret || next == PAGES)
			next = 0;
		uz_device_set_backing_setting(f.dev, UZ_BACKING_PROMOTE,
					      turn++ % 3 != 0);
	}
	uz_writeback_destroy(wb);
	return NULL;
}

static void *compactor_main(void *arg)
{
	const struct timespec pause = { .tv_nsec = 100000 };
	struct uz_pool_compaction did = { 0 };
	struct uz_device_stat stat;

	(void)arg;
	while (!atomic_load(&stop)) {
		uz_device_compact(f.dev, UZ_POOL_COMPACT_ALL, 64, &did);
		uz_device_stat(f.dev, &stat);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static void run(uint64_t seed)
{
	struct uz_writeback_done done[2] = { 0 };
	struct owner owners[THREADS] = { 0 };
	pthread_t writers[2], compactor;
	unsigned int i;

	for (i = 0; i < THREADS; i++) {
		owners[i].id = i;
		owners[i].seed = seed * 31 + i + 1;
		assert_int_equal(uz_io_create(f.dev, &owners[i].io), 0);
	}
	for (i = 0; i < 2; i++)
		pthread_create(&writers[i], NULL, writer_main, &done[i]);
	pthread_create(&compactor, NULL, compactor_main, NULL);
	for (i = 0; i < THREADS; i++)
		pthread_create(&owners[i].thread, NULL, owner_main, &owners[i]);
	for (i = 0; i < THREADS; i++)
		pthread_join(owners[i].thread, NULL);
	atomic_store(&stop, true);
	for (i = 0; i < 2; i++)
		pthread_join(writers[i], NULL);
	pthread_join(compactor, NULL);
	for (i = 0; i < THREADS; i++) {
		uz_io_destroy(owners[i].io);
		if (owners[i].wrong)
			fail_msg("page %llu %s",
				 (unsigned long long)owners[i].where,
				 owners[i].wrong);
	}
	/* How far they came is for the scheduler to say. */
	assert_true(done[0].pages + done[1].pages > 0);
}

static void expect_all(void)
{
	struct owner o = { 0 };
	uint64_t i;

	for (i = 0; i < PAGES; i++)
		if (!page_is_right(&o, f.io, i))
			fail_msg("page %llu %s", (unsigned long long)i,
				 o.wrong);
}

static void test_all_at_once(void **state)
{
	const char *given = getenv("UZ_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);

	(void)state;
	printf("# seed %llu (UZ_SEED repeats it)\n", (unsigned long long)seed);
	backed_open(&f, SIZE, STORE);
	uz_delay_start(seed);
	run(seed);
	uz_delay_stop();
	fixture_check(&f);
	uz_device_set_backing_setting(f.dev, UZ_BACKING_PROMOTE, 0);
	expect_all();
	fixture_forget(&f);
	fixture_adopt(&f);
	fixture_check(&f);
	expect_all();
	backed_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_at_once),
	};

	return cmocka_run_group_tests_name("device backed", tests, NULL, NULL);
}
