// SPDX-License-Identifier: MIT
/*
 * Huge pages of the pool's memory: what is whole and at rest becomes one, what
 * is in it stays what it is, what is given back is given back exactly, and
 * nothing else is ever populated by it. A clock of the test's makes it rest.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

#include <cmocka.h>

#include <uzram/pool/huge.h>
#include <zsmalloc_priv.h>

#include "missing.h"
#include "pool_fixture.h"

#define SIZE	1024 /* whose zspages are as long as a window */
#define IN_PAGE (UZ_PAGE_SIZE / SIZE)
#define IN_ZS	(WINDOW_PAGES * IN_PAGE)
#define HUGE	((uint32_t)UZ_SHM_HUGE)
#define IN_HUGE (HUGE / SIZE)
#define WINDOWS (HUGE / (WINDOW_PAGES * UZ_PAGE_SIZE))
#define REGIONS 4
#define SECOND	1000
#define LONG_MS (2000 * SECOND)

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* The linker leads the pool here: time that the test lets pass. */
static _Atomic uint64_t passed_ms;
int __real_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);

int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
	int ret = __real_clock_gettime(clock, t);

	if (clock == CLOCK_MONOTONIC_COARSE)
		t->tv_sec += (time_t)(passed_ms / 1000);
	return ret;
}

/* And here: a kernel that makes none, or says that it has. */
static _Atomic int refuse_with;
static _Atomic bool pretend;
static _Atomic unsigned int collapses;
static void (*meanwhile)(void);
static unsigned int refusals;
int __real_madvise(void *addr, size_t len, int advice);
int __wrap_madvise(void *addr, size_t len, int advice);

int __wrap_madvise(void *addr, size_t len, int advice)
{
	if (advice != MADV_COLLAPSE)
		return __real_madvise(addr, len, advice);
	collapses++;
	if (meanwhile)
		meanwhile();
	errno = refuse_with;
	if (refuse_with || pretend)
		return refuse_with ? -1 : 0;
	if (!__real_madvise(addr, len, advice))
		return 0;
	/* Once more, and it would be taken for one that has none for good. */
	pretend = errno == EINVAL && ++refusals == 3;
	return -1;
}

static uint64_t huge_bytes(struct fixture *f)
{
	return fixture_stat(f).thp_bytes;
}

/* All that can be had now; what the last call said. */
static int collapse_all(struct fixture *f, uint32_t *wait_ms)
{
	unsigned int tries = 0;
	int ret;

	do
		ret = uz_pool_collapse(f->pool, wait_ms);
	while (ret == 1 || (ret == -EAGAIN && *wait_ms <= 10 && ++tries < 100));
	return ret;
}

/* The same after a long time. A page that is in use is waited for. */
static int rest_and_collapse(struct fixture *f)
{
	uint32_t wait_ms = 0;
	int ret;

	for (unsigned int i = 0; i < 100; i++) {
		passed_ms += LONG_MS;
		ret = collapse_all(f, &wait_ms);
		if (ret != -EAGAIN)
			break;
		usleep(1000);
	}
	return ret;
}

static void fill(struct fixture *f, uz_ref_t *refs, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++)
		refs[i] = fixture_alloc(f, SIZE, i);
}

static void same(struct fixture *f, const uz_ref_t *refs, uint32_t from,
		 uint32_t to)
{
	for (uint32_t i = from; i < to; i++)
		fixture_same(f, refs[i], SIZE, i);
}

static void drop(struct fixture *f, const uz_ref_t *refs, uint32_t from,
		 uint32_t to)
{
	for (uint32_t i = from; i < to; i++)
		uz_pool_free(f->pool, refs[i]);
}

static uz_ref_t refs[REGIONS * IN_HUGE];

static void test_whole_and_at_rest(void **state)
{
	uint32_t wait_ms = 0;
	struct fixture f;

	(void)state;
	fixture_open(&f, REGIONS * WINDOWS);
	assert_int_equal(uz_pool_collapse(f.pool, &wait_ms), 0);
	fill(&f, refs, 2 * IN_HUGE + 5);
	/* Not yet. */
	assert_int_equal(uz_pool_collapse(f.pool, &wait_ms), -EAGAIN);
	assert_in_range(wait_ms, 1, SECOND);
	assert_int_equal(huge_bytes(&f), 0);
	assert_int_equal(rest_and_collapse(&f), 0);
	assert_int_equal(huge_bytes(&f), 2 * HUGE);
	fixture_check(&f);
	same(&f, refs, 0, 2 * IN_HUGE + 5);
	/* Nothing is done twice. */
	collapses = 0;
	assert_int_equal(rest_and_collapse(&f), 0);
	assert_int_equal(collapses, 0);
	drop(&f, refs, 0, 2 * IN_HUGE + 5);
	assert_int_equal(huge_bytes(&f), 0);
	fixture_close(&f);
}

static void count(void *arg)
{
	++*(unsigned int *)arg;
}

/* Some pages are missing, more than stores populate at once; then none is. */
static void test_what_is_not_whole(void **state)
{
	const uint32_t most = IN_HUGE - 8 * IN_PAGE;
	unsigned int notices = 0;
	struct fixture f;

	(void)state;
	fixture_open(&f, REGIONS * WINDOWS);
	uz_pool_on_whole(f.pool, count, &notices);
	fill(&f, refs, most);
	assert_int_equal(notices, WINDOWS - 1);
	assert_int_equal(rest_and_collapse(&f), 0);
	assert_int_equal(huge_bytes(&f), 0);
	fixture_check(&f);
	for (uint32_t i = most; i < IN_HUGE; i++)
		refs[i] = fixture_alloc(&f, SIZE, i);
	assert_int_equal(notices, WINDOWS);
	assert_int_equal(rest_and_collapse(&f), 0);
	assert_int_equal(huge_bytes(&f), HUGE);
	fixture_check(&f);
	same(&f, refs, 0, IN_HUGE);
	drop(&f, refs, 0, IN_HUGE);
	fixture_close(&f);
}

/* A zspage of it goes, and another one comes. */
static void test_taken_apart_and_made_again(void **state)
{
	uint32_t wait_ms = 0;
	struct fixture f;

	(void)state;
	fixture_open(&f, WINDOWS);
	fill(&f, refs, IN_HUGE);
	assert_int_equal(rest_and_collapse(&f), 0);
	assert_int_equal(huge_bytes(&f), HUGE);
	drop(&f, refs, 3 * IN_ZS, 4 * IN_ZS);
	assert_int_equal(huge_bytes(&f), 0);
	assert_int_equal(fixture_stat(&f).used_bytes,
			 HUGE - PAGES(WINDOW_PAGES));
	fixture_check(&f);
	assert_int_equal(rest_and_collapse(&f), 0);
	assert_int_equal(huge_bytes(&f), 0);
	for (uint32_t i = 3 * IN_ZS; i < 4 * IN_ZS; i++)
		refs[i] = fixture_alloc(&f, SIZE, i);
	/* Not as soon as the first time. */
	passed_ms += 2 * SECOND;
	assert_int_equal(uz_pool_collapse(f.pool, &wait_ms), -EAGAIN);
	assert_in_range(wait_ms, SECOND, 3 * SECOND);
	assert_int_equal(rest_and_collapse(&f), 0);
	assert_int_equal(huge_bytes(&f), HUGE);
	fixture_check(&f);
	same(&f, refs, 0, IN_HUGE);
	drop(&f, refs, 0, IN_HUGE);
	fixture_close(&f);
}

/* Without memory, for the moment, and for this very piece. */
static void test_refused(void **state)
{
	uint32_t wait_ms = 0;
	struct fixture f;

	(void)state;
	fixture_open(&f, WINDOWS);
	fill(&f, refs, IN_HUGE);
	passed_ms += LONG_MS;
	refuse_with = ENOMEM;
	assert_int_equal(uz_pool_collapse(f.pool, &wait_ms), -ENOMEM);
	fixture_check(&f);
	passed_ms += LONG_MS;
	refuse_with = EAGAIN;
	assert_int_equal(uz_pool_collapse(f.pool, &wait_ms), -EAGAIN);
	fixture_check(&f);
	refuse_with = 0;
	/* It is left alone for a while. */
	assert_int_equal(uz_pool_collapse(f.pool, &wait_ms), -EAGAIN);
	assert_true(wait_ms > SECOND);
	assert_int_equal(rest_and_collapse(&f), 0);
	assert_int_equal(huge_bytes(&f), HUGE);
	fixture_check(&f);
	same(&f, refs, 0, IN_HUGE);
	drop(&f, refs, 0, IN_HUGE);
	fixture_close(&f);
}

static struct fixture *compacted;
static pthread_t who_compacts;

static void *compact_once(void *arg)
{
	fixture_gain(compacted);
	return arg;
}

/* Gives it time to pass over what is held. */
static void begin_to_compact(void)
{
	assert_int_equal(
		pthread_create(&who_compacts, NULL, compact_once, NULL), 0);
	usleep(20000);
}

/* Who needs a page that can be given back gets it, if after a moment. */
static void test_compacted_meanwhile(void **state)
{
	uint32_t wait_ms = 0;
	struct fixture f;

	(void)state;
	fixture_open(&f, WINDOWS);
	fill(&f, refs, IN_HUGE);
	drop(&f, refs, IN_HUGE - IN_PAGE, IN_HUGE);
	assert_int_equal(fixture_stat(&f).used_bytes, HUGE);
	passed_ms += LONG_MS;
	compacted = &f;
	meanwhile = begin_to_compact;
	assert_int_equal(uz_pool_collapse(f.pool, &wait_ms), 1);
	meanwhile = NULL;
	pthread_join(who_compacts, NULL);
	assert_int_equal(fixture_stat(&f).used_bytes, HUGE - UZ_PAGE_SIZE);
	fixture_check(&f);
	same(&f, refs, 0, IN_HUGE - IN_PAGE);
	drop(&f, refs, 0, IN_HUGE - IN_PAGE);
	fixture_close(&f);
}

static void test_not_with_a_reserve(void **state)
{
	uint32_t wait_ms;
	struct fixture f;

	(void)state;
	fixture_open(&f, REGIONS * WINDOWS);
	f.config.reserve = PAGES(WINDOW_PAGES);
	fixture_restart(&f);
	fill(&f, refs, IN_HUGE);
	passed_ms += LONG_MS;
	assert_int_equal(uz_pool_collapse(f.pool, &wait_ms), -ENOTSUP);
	drop(&f, refs, 0, IN_HUGE);
	f.config.reserve = 0;
	fixture_restart(&f);
	assert_int_equal(uz_pool_adopt_end(f.pool), 0);
	fixture_close(&f);
}

/* A new process knows of no huge page, and gives back parts of them. */
static void test_adopted(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, REGIONS * WINDOWS);
	fill(&f, refs, 2 * IN_HUGE);
	assert_int_equal(rest_and_collapse(&f), 0);
	assert_int_equal(huge_bytes(&f), 2 * HUGE);
	fixture_restart(&f);
	/* Of the first there are holes, of the second zspages are shorter. */
	for (uint32_t i = 0; i < 2 * IN_HUGE; i++)
		if (i < IN_HUGE || i % IN_ZS < IN_ZS / 2)
			assert_int_equal(
				uz_pool_adopt_object(f.pool, refs[i], SIZE, i),
				0);
	assert_int_equal(uz_pool_adopt_end(f.pool), 0);
	fixture_check(&f);
	assert_int_equal(fixture_stat(&f).used_bytes, HUGE + HUGE / 2);
	assert_int_equal(rest_and_collapse(&f), 0);
	assert_int_equal(huge_bytes(&f), HUGE);
	same(&f, refs, 0, IN_HUGE);
	for (uint32_t i = 0; i < 2 * IN_HUGE; i++)
		if (i < IN_HUGE || i % IN_ZS < IN_ZS / 2)
			uz_pool_free(f.pool, refs[i]);
	fixture_close(&f);
}

/* ---- everything at once ---- */

#define OWNERS	(2 * IN_HUGE)
#define STORERS 2
#define NOTHING UINT64_MAX
#define ROUNDS	20000

static struct fixture shared;
static _Atomic uz_ref_t words[OWNERS];
static _Atomic bool over;
static _Atomic unsigned int nr_made, nr_wrong;

static void put(uint32_t owner, uz_ref_t ref)
{
	uz_ref_t old = atomic_exchange(&words[owner], ref);

	if (old != NOTHING)
		uz_pool_free(shared.pool, old);
}

/* All bytes of an object are its owner's. */
static void look(uint32_t owner)
{
	uint8_t copy[SIZE];
	struct uz_map map;
	uz_ref_t ref = atomic_load(&words[owner]);

	if (ref == NOTHING)
		return;
	uz_pool_map(shared.pool, ref, &map);
	if (atomic_load(&words[owner]) == ref) {
		const uint8_t *bytes =
			uz_pool_view(shared.pool, &map, SIZE, copy);

		for (unsigned int i = 0; i < SIZE; i++)
			nr_wrong += bytes[i] != (uint8_t)owner;
	}
	uz_pool_unmap(shared.pool, &map);
}

static void *storer(void *arg)
{
	uint64_t random = 1 + (uint64_t)(uintptr_t)arg;
	uint8_t bytes[SIZE];

	for (unsigned int i = 0; i < ROUNDS; i++) {
		uint32_t owner;
		uz_ref_t ref;

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		owner = (uint32_t)(random >> 20) % OWNERS;
		look((uint32_t)(random >> 40) % OWNERS);
		/* There are times when all is dropped, and when all is full. */
		if (random % 100 < (i / 4000 % 2 ? 70 : 5)) {
			put(owner, NOTHING);
			continue;
		}
		memset(bytes, (int)owner, sizeof(bytes));
		if (uz_pool_alloc(shared.pool, SIZE, owner, 0, &ref))
			continue;
		uz_pool_write(shared.pool, ref, 0, bytes, SIZE);
		put(owner, ref);
	}
	return NULL;
}

static bool relocate(void *arg, uint32_t owner, uz_ref_t from, uz_ref_t to)
{
	(void)arg;
	if (atomic_load(&words[owner]) != from)
		return false;
	uz_pool_copy(shared.pool, from, to, SIZE);
	return atomic_compare_exchange_strong(&words[owner], &from, to);
}

static void *compactor(void *arg)
{
	struct uz_pool_compaction done = { 0 };

	while (!over) {
		uz_pool_compact(shared.pool, UZ_POOL_COMPACT_ALL, 256, relocate,
				arg, &done);
		usleep(2000);
	}
	return NULL;
}

static void *collapser(void *arg)
{
	uint32_t wait_ms;

	(void)arg;
	while (!over) {
		passed_ms += LONG_MS;
		if (uz_pool_collapse(shared.pool, &wait_ms) == 1)
			nr_made++;
		usleep(500);
	}
	return NULL;
}

static void test_shared(void **state)
{
	pthread_t threads[STORERS + 2];

	(void)state;
	fixture_open(&shared, REGIONS * WINDOWS);
	assert_int_equal(uz_pool_keep(shared.pool), 0);
	for (uint32_t i = 0; i < OWNERS; i++)
		words[i] = NOTHING;
	over = false;
	for (uintptr_t i = 0; i < STORERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, storer,
						(void *)(i * 7919)),
				 0);
	assert_int_equal(
		pthread_create(&threads[STORERS], NULL, compactor, NULL), 0);
	assert_int_equal(
		pthread_create(&threads[STORERS + 1], NULL, collapser, NULL),
		0);
	for (unsigned int i = 0; i < STORERS + 2; i++) {
		if (i == STORERS)
			over = true;
		pthread_join(threads[i], NULL);
	}
	print_message("# %u huge pages were made\n", nr_made);
	assert_int_equal(nr_wrong, 0);
	fixture_check(&shared);
	for (uint32_t i = 0; i < OWNERS; i++) {
		look(i);
		put(i, NOTHING);
	}
	assert_int_equal(nr_wrong, 0);
	fixture_close(&shared);
}

/* What it says of a region that is whole. */
static int ask_kernel(void)
{
	struct fixture f;
	int ret;

	fixture_open(&f, WINDOWS);
	fill(&f, refs, IN_HUGE);
	ret = rest_and_collapse(&f);
	drop(&f, refs, 0, IN_HUGE);
	fixture_close(&f);
	return ret;
}

/* Where there are none the rest is done with a kernel that pretends. */
static void test_kernel(void **state)
{
	(void)state;
	if (!ask_kernel() && !pretend)
		return;
	pretend = true;
	missing("huge", "no huge page can be made here");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kernel),
		cmocka_unit_test(test_whole_and_at_rest),
		cmocka_unit_test(test_what_is_not_whole),
		cmocka_unit_test(test_taken_apart_and_made_again),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_compacted_meanwhile),
		cmocka_unit_test(test_not_with_a_reserve),
		cmocka_unit_test(test_adopted),
		cmocka_unit_test(test_shared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
