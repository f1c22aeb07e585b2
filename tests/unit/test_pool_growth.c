// SPDX-License-Identifier: MIT
/*
 * An arena that grows while it is used: full before, with room after; nothing
 * moves, a successor that knows of the larger size adopts all of it, and
 * nothing is placed beyond an end that could not be reached.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>

#include <cmocka.h>

#include "pool_fixture.h"

#define WINDOWS 4u
#define SIZE	3000u
#define MOST	(64 * PAGES(WINDOW_PAGES))

/* More than there are ever. */
#define OBJECTS 5000u

static void open_with_room(struct fixture *f)
{
	fixture_open(f, WINDOWS);
	uz_pool_destroy(f->pool);
	f->config.arena_most = MOST;
	assert_int_equal(uz_pool_create(&f->pool, f->fd, &f->config), 0);
}

/* Objects until there is no room for another; how many there are then. */
static uint32_t fill(struct fixture *f, uz_ref_t *refs, uint32_t nr)
{
	for (; nr < OBJECTS; nr++) {
		if (uz_pool_alloc(f->pool, SIZE, nr, 0, &refs[nr]))
			break;
		uz_pool_write(f->pool, refs[nr], 0, &nr, sizeof(nr));
	}
	assert_true(nr < OBJECTS);
	return nr;
}

static void expect_objects(struct fixture *f, const uz_ref_t *refs, uint32_t nr)
{
	unsigned char copy[UZ_POOL_MAX_OBJECT];
	const void *bytes;
	struct uz_map map;
	uint32_t i;

	for (i = 0; i < nr; i++) {
		uz_pool_map(f->pool, refs[i], &map);
		bytes = uz_pool_view(f->pool, &map, SIZE, copy);
		assert_non_null(bytes);
		assert_memory_equal(bytes, &i, sizeof(i));
		uz_pool_unmap(f->pool, &map);
	}
}

static void test_room_after(void **state)
{
	static uz_ref_t refs[OBJECTS];
	const uint64_t size = WINDOWS * PAGES(WINDOW_PAGES);
	uint32_t before, after, i;
	struct fixture f;

	(void)state;
	open_with_room(&f);
	before = fill(&f, refs, 0);
	assert_false(uz_pool_spans(f.pool, size / UZ_REF_UNIT, SIZE));
	assert_int_equal(uz_pool_grow(f.pool, 3 * size), 0);
	assert_true(uz_pool_spans(f.pool, size / UZ_REF_UNIT, SIZE));
	assert_false(uz_pool_spans(f.pool, 3 * size / UZ_REF_UNIT, SIZE));
	after = fill(&f, refs, before);
	assert_true(after >= 3 * before - WINDOWS);
	expect_objects(&f, refs, after);
	fixture_check(&f);

	/* Whoever follows must know of it. */
	fixture_restart(&f);
	for (i = 0; i < after; i++)
		if (uz_pool_adopt_object(f.pool, refs[i], SIZE, i))
			break;
	assert_true(i < after);
	f.config.arena_size = 3 * size;
	fixture_restart(&f);
	for (i = 0; i < after; i++)
		assert_int_equal(uz_pool_adopt_object(f.pool, refs[i], SIZE, i),
				 0);
	assert_int_equal(uz_pool_adopt_end(f.pool), 0);
	expect_objects(&f, refs, after);
	fixture_check(&f);
	fixture_free(&f, refs, after);
	fixture_close(&f);
}

static void test_refuses(void **state)
{
	const uint64_t size = WINDOWS * PAGES(WINDOW_PAGES);
	static uz_ref_t refs[OBJECTS];
	struct fixture f;
	uint32_t nr;

	(void)state;
	open_with_room(&f);
	nr = fill(&f, refs, 0);
	assert_int_equal(uz_pool_grow(f.pool, 0), -EINVAL);
	assert_int_equal(uz_pool_grow(f.pool, size + UZ_PAGE_SIZE), -EINVAL);
	assert_int_equal(uz_pool_grow(f.pool, UINT64_C(1) << 45), -EINVAL);
	assert_int_equal(uz_pool_grow(f.pool, 2 * MOST), -ENOMEM);
	assert_int_equal(uz_pool_grow(f.pool, PAGES(WINDOW_PAGES)), 0);
	assert_int_equal(uz_pool_grow(f.pool, size), 0);
	assert_false(uz_pool_spans(f.pool, size / UZ_REF_UNIT, SIZE));
	assert_int_equal(fill(&f, refs, nr), nr);
	expect_objects(&f, refs, nr);
	fixture_free(&f, refs, nr);
	fixture_close(&f);
	/* Without room for it. */
	fixture_open(&f, WINDOWS);
	assert_int_equal(uz_pool_grow(f.pool, 2 * size), -ENOMEM);
	fixture_close(&f);
}

/* ---- while others store ---- */

#define THREADS 3

struct storing {
	struct fixture *f;
	uint32_t id;
	uint32_t nr;
	_Atomic bool *stop;
	uz_ref_t refs[OBJECTS];
};

static void *store_main(void *arg)
{
	struct storing *s = arg;
	uint32_t owner;

	while (s->nr < OBJECTS && !atomic_load(s->stop)) {
		owner = s->nr * THREADS + s->id;
		if (uz_pool_alloc(s->f->pool, SIZE, owner, 0, &s->refs[s->nr]))
			continue; /* until there is room */
		uz_pool_write(s->f->pool, s->refs[s->nr++], 0, &owner,
			      sizeof(owner));
	}
	return NULL;
}

static void expect_theirs(struct storing *s)
{
	unsigned char copy[UZ_POOL_MAX_OBJECT];
	const void *bytes;
	struct uz_map map;
	uint32_t i, owner;

	for (i = 0; i < s->nr; i++) {
		owner = i * THREADS + s->id;
		uz_pool_map(s->f->pool, s->refs[i], &map);
		bytes = uz_pool_view(s->f->pool, &map, SIZE, copy);
		assert_memory_equal(bytes, &owner, sizeof(owner));
		uz_pool_unmap(s->f->pool, &map);
		uz_pool_free(s->f->pool, s->refs[i]);
	}
}

static void test_while_others_store(void **state)
{
	static struct storing s[THREADS];
	_Atomic bool stop = false;
	pthread_t threads[THREADS];
	struct fixture f;
	uint64_t used;
	uint32_t i;

	(void)state;
	open_with_room(&f);
	for (i = 0; i < THREADS; i++) {
		s[i] = (struct storing){ .f = &f, .id = i, .stop = &stop };
		assert_int_equal(
			pthread_create(&threads[i], NULL, store_main, &s[i]),
			0);
	}
	for (i = WINDOWS + 1; i <= 40; i++) {
		used = uz_pool_used_bytes(f.pool);
		assert_int_equal(uz_pool_grow(f.pool, i * PAGES(WINDOW_PAGES)),
				 0);
		while (uz_pool_used_bytes(f.pool) <= used)
			sched_yield();
	}
	atomic_store(&stop, true);
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	fixture_check(&f);
	for (i = 0; i < THREADS; i++)
		expect_theirs(&s[i]);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_room_after),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_while_others_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
