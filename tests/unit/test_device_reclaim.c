// SPDX-License-Identifier: MIT
/*
 * What a store at the limit does before it is refused: it has the pool
 * compact as long as that gains anything, and no longer. The pool's answers
 * are made up here; test_device_limit.c has the real ones.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "device_fixture.h"

#define SIZE  (64u << 20)
#define LIMIT (1u << 20)

/*
 * What the pool answers, call after call; the last one for ever. @drop is a
 * page that is dropped first, so that there is room indeed: 0 for none.
 */
struct answer {
	uint64_t pages, objects;
	bool more;
	uint64_t drop;
};

static struct {
	const struct answer *answers;
	unsigned int calls;
	struct uz_io *io;
} pool;

bool __wrap_uz_pool_compact(struct uz_pool *p, enum uz_pool_compact_scope scope,
			    uint32_t budget, uz_pool_relocate *relocate,
			    void *arg, struct uz_pool_compaction *done);

bool __wrap_uz_pool_compact(struct uz_pool *p, enum uz_pool_compact_scope scope,
			    uint32_t budget, uz_pool_relocate *relocate,
			    void *arg, struct uz_pool_compaction *done)
{
	const struct answer *a = pool.answers;

	(void)p;
	(void)relocate;
	(void)arg;
	assert_int_equal(scope, UZ_POOL_COMPACT_ALL);
	assert_in_range(budget, 1, 1000);
	pool.calls++;
	if (a->drop)
		uz_page_drop(pool.io, a->drop);
	done->pages += a->pages;
	done->objects += a->objects;
	if (a->more)
		pool.answers++;
	return a->more;
}

static const struct answer nothing[] = { { 0 } };

struct scene {
	struct fixture f;
	unsigned char page[UZ_PAGE_SIZE];
	uint64_t n; /* pages that fitted, from 1 on */
};

/* Full: another page of noise is refused. */
static int set_up(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	int err = 0;

	fixture_open(&s->f, NULL, SIZE);
	assert_int_equal(uz_io_create(s->f.dev, &pool.io), 0);
	uz_device_set_limit(s->f.dev, LIMIT);
	pool.answers = nothing;
	while (!err) {
		page_noise(s->page, ++s->n);
		err = uz_page_store(s->f.io, s->n, s->page);
	}
	assert_int_equal(err, -ENOSPC);
	assert_int_equal(pool.calls, 1);
	pool.calls = 0;
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *s = *state;

	pool.calls = 0;
	uz_io_destroy(pool.io);
	fixture_close(&s->f);
	free(s);
	return 0;
}

static void expect_rejections(struct scene *s, uint64_t n)
{
	struct uz_device_stat stat;

	uz_device_stat(s->f.dev, &stat);
	assert_int_equal(stat.limit_rejections, n);
}

static void test_stores_what_compaction_made_room_for(void **state)
{
	static const struct answer answers[] = { { 0, 64, true, 0 },
						 { 1, 64, true, 0 },
						 { 2, 10, true, 1 },
						 { 0 } };
	struct scene *s = *state;
	struct uz_device_stat stat;

	pool.answers = answers;
	assert_int_equal(uz_page_store(s->f.io, s->n, s->page), 0);
	assert_int_equal(pool.calls, 3);
	expect_page(&s->f, s->n, s->page);
	expect_rejections(s, 1);
	uz_device_stat(s->f.dev, &stat);
	assert_int_equal(stat.pages_compacted, 3);
	assert_int_equal(stat.objects_moved, 138);
}

static void test_the_last_page_gained_counts(void **state)
{
	static const struct answer answers[] = { { 1, 1, false, 1 } };
	struct scene *s = *state;

	pool.answers = answers;
	assert_int_equal(uz_page_store(s->f.io, s->n, s->page), 0);
	assert_int_equal(pool.calls, 1);
}

static void test_gives_up_when_nothing_is_gained(void **state)
{
	static const struct answer answers[] = { { 0, 64, true, 0 },
						 { 0, 0, true, 0 },
						 { 1, 1, true, 1 } };
	struct scene *s = *state;

	/* More to do, but it was all pinned or locked: do not wait for it. */
	pool.answers = answers;
	assert_int_equal(uz_page_store(s->f.io, s->n, s->page), -ENOSPC);
	assert_int_equal(pool.calls, 2);
	expect_rejections(s, 2);

	pool.calls = 0;
	pool.answers = nothing;
	assert_int_equal(uz_page_store(s->f.io, s->n, s->page), -ENOSPC);
	assert_int_equal(pool.calls, 1);
	memset(s->page, 0, UZ_PAGE_SIZE);
	expect_page(&s->f, s->n, s->page);
}

static void test_overwrites_after_a_look(void **state)
{
	struct scene *s = *state;

	page_noise(s->page, 1000);
	assert_int_equal(uz_page_store(s->f.io, 1, s->page), 0);
	/* And two for the page that was taken, and is one too many now. */
	assert_int_equal(pool.calls, 1 + 2);
	expect_page(&s->f, 1, s->page);
	expect_rejections(s, 1);
}

static void test_partial_stores_too(void **state)
{
	/* Not of the same zspage: that is pinned meanwhile. */
	static const struct answer answers[] = { { 1, 9, true, 200 }, { 0 } };
	struct scene *s = *state;

	pool.answers = answers;
	page_noise(s->page, 2);
	memcpy(s->page + 10, "abc", 3);
	assert_int_equal(uz_page_store_part(s->f.io, 2, 10, 3, "abc"), 0);
	assert_int_equal(pool.calls, 1);
	expect_page(&s->f, 2, s->page);

	/* Full again: in a hole there is nothing to be replaced. */
	pool.answers = nothing;
	page_noise(s->page, 3);
	while (!uz_page_store(s->f.io, s->n, s->page))
		s->n++;
	pool.calls = 0;
	assert_int_equal(uz_page_store_part(s->f.io, s->n, 0, 4000, s->page),
			 -ENOSPC);
	assert_int_equal(pool.calls, 1);
	memcpy(s->page, "abc", 3);
	assert_int_equal(uz_page_store_part(s->f.io, 3, 0, 3, "abc"), 0);
	assert_int_equal(pool.calls, 1 + 1 + 2);
	expect_page(&s->f, 3, s->page);
}

#define scene_test(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		scene_test(test_stores_what_compaction_made_room_for),
		scene_test(test_the_last_page_gained_counts),
		scene_test(test_gives_up_when_nothing_is_gained),
		scene_test(test_overwrites_after_a_look),
		scene_test(test_partial_stores_too),
	};

	return cmocka_run_group_tests_name("device reclaim", tests, NULL, NULL);
}
