// SPDX-License-Identifier: MIT
/*
 * Recompression, writeback and reading from the backing store, stopped at each
 * step (uzram/util/delay.h); there another thread does something with the page,
 * from beginning to end. Each pair of a step and a deed is one run on a device
 * of its own, so nothing depends on time. In every one of them the page reads
 * as it was last written, by both threads and by a successor, and the device is
 * found to be consistent. A step inside of a lock is passed over: the other
 * thread would only wait for its end, which is the next step.
 *
 * In builds with debug checks; others have no steps to stop at. Built where
 * there are both lz4 and zstd.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include <device_priv.h>
#include <uzram/util/delay.h>
#include <uzram/util/lock.h>

/* Hundreds of stores are made durable; no disk has to be waited for. */
#define STORE_DIR "/dev/shm"
#include "backing_fixture.h"

#ifdef UZ_DEBUG_CHECKS

#define SIZE  (1u << 20)
#define INDEX 3
/* Beside it: written back or recompressed as well. */
#define PAGES 3
#define FIRST 2

/* What the stopped thread changes of a page. */
#define PART	"text"
#define PART_AT 8

/* Nobody comes by so many steps. */
#define STEPS_MAX 500

static struct {
	struct fixture f;
	struct uz_io *other;
	/*
	 * What INDEX holds; and whether it was given a new content as a whole.
	 */
	unsigned char page[UZ_PAGE_SIZE];
	bool replaced;

	/* The thread that is stopped, and where. */
	pthread_t subject;
	unsigned int steps;
	unsigned int stop_at;
	enum uz_delay_point point;
	uint64_t seen;

	/* The other one, and what it is to do. */
	pthread_t thread;
	sem_t begin, end;
	void (*deed)(void);
} t;

/* ---- the pages ---- */

static void neighbour(unsigned char *page, uint64_t index)
{
	if (index % 2)
		page_dna(page, 100 + index);
	else
		page_noise(page, 100 + index);
}

static void open_device(void)
{
	unsigned char page[UZ_PAGE_SIZE];
	uint64_t i;

	store_make(SIZE);
	fixture_open(&t.f, "lz4", SIZE);
	assert_int_equal(uz_device_set_backing(t.f.dev, store_path, NULL), 0);
	assert_int_equal(uz_device_set_secondary(t.f.dev, 1, "zstd", NULL), 0);
	assert_int_equal(uz_io_create(t.f.dev, &t.other), 0);
	for (i = FIRST; i < FIRST + PAGES; i++) {
		neighbour(page, i);
		assert_int_equal(uz_page_store(t.f.io, i, page), 0);
	}
	page_dna(t.page, 1);
	t.replaced = false;
	assert_int_equal(uz_page_store(t.f.io, INDEX, t.page), 0);
	assert_int_equal(uz_device_mark_idle(t.f.dev, UZ_IDLE_ALL, NULL, NULL),
			 0);
}

static void expect_pages(void)
{
	unsigned char page[UZ_PAGE_SIZE];
	uint64_t i;

	for (i = FIRST; i < FIRST + PAGES; i++) {
		neighbour(page, i);
		expect_page(&t.f, i, i == INDEX ? t.page : page);
	}
}

/* All is right, now and for a successor. */
static void close_device(void)
{
	expect_pages();
	fixture_check(&t.f);
	uz_io_destroy(t.other);
	fixture_forget(&t.f);
	fixture_adopt(&t.f);
	expect_pages();
	fixture_close(&t.f);
	unlink(store_path);
}

/* ---- what the other thread does ---- */

static void nothing(void)
{
}

static void replace(void)
{
	t.replaced = true;
	assert_int_equal(uz_page_store(t.other, INDEX, t.page), 0);
}

static void overwrite(void)
{
	page_dna(t.page, 2);
	replace();
}

/* The word may be the same then, the object is another. */
static void overwrite_by_the_same(void)
{
	replace();
}

static void overwrite_by_noise(void)
{
	page_noise(t.page, 7);
	replace();
}

static void overwrite_by_one_word(void)
{
	page_same(t.page, 7);
	replace();
}

static void overwrite_part(void)
{
	memcpy(t.page + 100, "part", 4);
	assert_int_equal(uz_page_store_part(t.other, INDEX, 100, 4, "part"), 0);
}

static void discard(void)
{
	memset(t.page, 0, sizeof(t.page));
	t.replaced = true;
	uz_page_drop(t.other, INDEX);
}

static void discard_and_write(void)
{
	discard();
	overwrite();
}

/* With or without the part that store_part() is about to change. */
static void read_it(void)
{
	unsigned char page[UZ_PAGE_SIZE];

	assert_int_equal(uz_page_load(t.other, INDEX, page), 0);
	if (!memcmp(page + PART_AT, PART, sizeof(PART)))
		memcpy(page + PART_AT, t.page + PART_AT, sizeof(PART));
	assert_memory_equal(page, t.page, UZ_PAGE_SIZE);
}

static void mark_idle(void)
{
	assert_int_equal(uz_device_mark_idle(t.f.dev, UZ_IDLE_ALL, NULL, NULL),
			 0);
}

static void compact(void)
{
	struct uz_pool_compaction done = { 0 };

	uz_device_compact(t.f.dev, UZ_POOL_COMPACT_ALL, 1000, &done);
}

static const struct {
	const char *name;
	void (*fn)(void);
} deeds[] = {
	{ "nothing", nothing },
	{ "overwritten", overwrite },
	{ "overwritten by the same", overwrite_by_the_same },
	{ "overwritten by noise", overwrite_by_noise },
	{ "overwritten by one word", overwrite_by_one_word },
	{ "overwritten in part", overwrite_part },
	{ "discarded", discard },
	{ "discarded and written", discard_and_write },
	{ "read", read_it },
	{ "marked as idle", mark_idle },
	{ "compacted", compact },
};

#define DEEDS (sizeof(deeds) / sizeof(deeds[0]))

static void *other_main(void *arg)
{
	(void)arg;
	for (;;) {
		sem_wait(&t.begin);
		if (!t.deed)
			return NULL;
		t.deed();
		sem_post(&t.end);
	}
}

/* ---- the steps ---- */

static void on_step(void *arg, enum uz_delay_point point)
{
	(void)arg;
	if (!pthread_equal(pthread_self(), t.subject) || uz_lock_holds_any())
		return;
	t.seen |= UINT64_C(1) << point;
	if (t.steps++ != t.stop_at)
		return;
	t.point = point;
	sem_post(&t.begin);
	sem_wait(&t.end);
}

/* Whether there was such a step. */
static bool run(void (*what)(void), unsigned int step, unsigned int deed)
{
	t.deed = deeds[deed].fn;
	t.steps = 0;
	t.stop_at = step;
	uz_delay_call(on_step, NULL);
	what();
	uz_delay_call(NULL, NULL);
	return t.steps > step;
}

/* Each deed at each step; @begin and @end are around it, undisturbed. */
static void every(void (*begin)(void), void (*what)(void), void (*end)(void))
{
	unsigned int step, deed, runs = 0;
	bool there = true;

	t.seen = 0;
	for (deed = 0; deed < DEEDS; deed++) {
		for (step = 0, there = true; there; step++) {
			open_device();
			begin();
			there = run(what, step, deed);
			end();
			close_device();
			runs++;
			assert_true(step < STEPS_MAX);
		}
	}
	print_message("# %u runs\n", runs);
}

static void saw(enum uz_delay_point point)
{
	if (!(t.seen & UINT64_C(1) << point))
		fail_msg("nobody came by step %d", (int)point);
}

/* ---- what is disturbed ---- */

static void recompress(void)
{
	struct uz_recompress how = { 0 };
	struct uz_recompression done = { 0 };
	uint64_t index = 0;

	assert_int_equal(uz_recompress_begin(t.f.dev, &how, NULL), 0);
	while (uz_recompress(t.f.io, &how, &index, 16, &done) > 0)
		;
	assert_int_equal(done.failed, 0);
}

static void write_all_back(void)
{
	struct uz_writeback_done done;

	assert_int_equal(write_back(&t.f, 0, &done), 0);
	assert_int_equal(done.failed, 0);
}

static void load(void)
{
	unsigned char page[UZ_PAGE_SIZE], before[UZ_PAGE_SIZE];

	/* What it held at the beginning, or what it was made by the deed. */
	memcpy(before, t.page, sizeof(before));
	assert_int_equal(uz_page_load(t.f.io, INDEX, page), 0);
	if (memcmp(page, before, sizeof(page)))
		assert_memory_equal(page, t.page, sizeof(page));
}

static void store_part(void)
{
	assert_int_equal(
		uz_page_store_part(t.f.io, INDEX, PART_AT, sizeof(PART), PART),
		0);
}

/* What replaced the page after that has taken the part away again. */
static void look_for_part(void)
{
	unsigned char page[UZ_PAGE_SIZE];

	assert_int_equal(uz_page_load(t.f.io, INDEX, page), 0);
	if (!t.replaced || memcmp(page, t.page, sizeof(page)))
		memcpy(t.page + PART_AT, PART, sizeof(PART));
	write_all_back();
}

static void promote(void)
{
	uz_device_set_backing_setting(t.f.dev, UZ_BACKING_PROMOTE, 1);
}

static void write_back_to_promote(void)
{
	write_all_back();
	promote();
}

static void recompress_and_write_back(void)
{
	recompress();
	write_all_back();
}

/* Blocks that somebody else has: of 256 all but some ten. */
#define OCCUPIED 240

static struct uz_run occupied[4];
static unsigned int nr_occupied;

static void occupy(void)
{
	struct uz_run *run = occupied;
	uint32_t blocks = 0;

	for (; blocks < OCCUPIED; blocks += run++->nr) {
		assert_true(run < occupied + 4);
		assert_int_equal(uz_backing_reserve(t.f.dev->backing,
						    OCCUPIED - blocks, run),
				 0);
	}
	nr_occupied = (unsigned int)(run - occupied);
}

/* INDEX alone in its block, and next to none free. */
static void write_back_and_thin_out(void)
{
	unsigned char page[UZ_PAGE_SIZE];
	uint64_t i;

	page_text(t.page, 1);
	assert_int_equal(uz_page_store(t.f.io, INDEX, t.page), 0);
	write_all_back();
	for (i = FIRST; i < FIRST + PAGES; i++) {
		neighbour(page, i);
		if (i != INDEX)
			assert_int_equal(uz_page_store(t.f.io, i, page), 0);
	}
	occupy();
	assert_int_equal(backing_stat(&t.f).used_blocks, OCCUPIED + 1);
}

static void gather(void)
{
	uint64_t next = 0;

	uz__gather(t.f.io, &next, SIZE / UZ_PAGE_SIZE, UINT64_MAX);
}

static void vacate_and_write_back(void)
{
	while (nr_occupied)
		uz_backing_release(t.f.dev->backing, &occupied[--nr_occupied]);
	write_all_back();
}

static void test_recompression(void **state)
{
	(void)state;
	every(nothing, recompress, write_all_back);
	saw(UZ_DELAY_DECODED);
	saw(UZ_DELAY_RECODED);
	saw(UZ_DELAY_EXCHANGED);
}

static void test_writeback(void **state)
{
	(void)state;
	every(nothing, write_all_back, nothing);
	saw(UZ_DELAY_SENT);
	saw(UZ_DELAY_SYNCED);
	saw(UZ_DELAY_WRITTEN);
	saw(UZ_DELAY_EXCHANGED);
	every(recompress, write_all_back, recompress_and_write_back);
}

static void test_reading_back(void **state)
{
	(void)state;
	every(write_all_back, load, write_all_back);
	saw(UZ_DELAY_PINNED);
	saw(UZ_DELAY_FETCHED);
	saw(UZ_DELAY_GIVEN);
	every(write_back_to_promote, load, write_all_back);
	saw(UZ_DELAY_FILLED);
}

static void test_changing_what_is_back(void **state)
{
	(void)state;
	every(write_all_back, store_part, look_for_part);
	saw(UZ_DELAY_FETCHED);
}

static void test_gathering(void **state)
{
	(void)state;
	every(write_back_and_thin_out, gather, vacate_and_write_back);
	saw(UZ_DELAY_PINNED);
	saw(UZ_DELAY_FETCHED);
	saw(UZ_DELAY_FILLED);
	saw(UZ_DELAY_GIVEN);
}

static int set_up(void **state)
{
	(void)state;
	t.subject = pthread_self();
	sem_init(&t.begin, 0, 0);
	sem_init(&t.end, 0, 0);
	return pthread_create(&t.thread, NULL, other_main, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	t.deed = NULL;
	sem_post(&t.begin);
	return pthread_join(t.thread, NULL);
}

#else

#define set_up	  NULL
#define tear_down NULL

static void test_nothing_to_stop_at(void **state)
{
	(void)state;
	print_message("# without debug checks there are no steps\n");
}

#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
#ifdef UZ_DEBUG_CHECKS
		cmocka_unit_test(test_recompression),
		cmocka_unit_test(test_writeback),
		cmocka_unit_test(test_reading_back),
		cmocka_unit_test(test_changing_what_is_back),
		cmocka_unit_test(test_gathering),
#else
		cmocka_unit_test(test_nothing_to_stop_at),
#endif
	};

	return cmocka_run_group_tests_name("device steps", tests, set_up,
					   tear_down);
}
