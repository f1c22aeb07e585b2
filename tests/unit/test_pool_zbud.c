// SPDX-License-Identifier: MIT
/*
 * zbud's and z3fold's own: where in a page objects lie, how one goes on in the
 * next page, which places adoption believes, and that uz_pool_check() finds
 * planted damage.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <zbud_priv.h>

#include "pool_damage.h"

#define AT(page, byte) \
	(((page) * (uint64_t)UZ_PAGE_SIZE + (byte)) / UZ_REF_UNIT)

static void open_as(struct fixture *f, const char *backend, unsigned int keep)
{
	fixture_open(f, 1);
	fixture_become(f, backend);
	fixture_keep(f, keep);
}

static void test_two_in_a_page(void **state)
{
	uz_ref_t a, b, c;
	struct fixture f;

	(void)state;
	open_as(&f, "zbud", 0);
	a = fixture_alloc(&f, 1000, 1);
	b = fixture_alloc(&f, 1000, 2);
	c = fixture_alloc(&f, 1000, 3); /* room, but no place */
	assert_int_equal(a, AT(0, 0));
	assert_int_equal(b, AT(0, 4096 - 1024));
	assert_int_equal(c, AT(1, 0));
	fixture_check(&f);
	uz_pool_free(f.pool, a);
	assert_int_equal(fixture_alloc(&f, 3072, 4), AT(0, 0));
	fixture_check(&f);
	uz_pool_free(f.pool, AT(0, 0));
	uz_pool_free(f.pool, b);
	uz_pool_free(f.pool, c);
	fixture_close(&f);
}

static void test_three_in_a_page(void **state)
{
	uz_ref_t refs[4];
	struct fixture f;
	unsigned int i;

	(void)state;
	open_as(&f, "z3fold", 0);
	fixture_fill(&f, refs, 4, 1000);
	assert_int_equal(refs[0], AT(0, 0));
	assert_int_equal(refs[1], AT(0, 4096 - 1024));
	assert_int_equal(refs[2], AT(0, 1024));
	assert_int_equal(refs[3], AT(1, 0));
	/* Before the middle one, and behind it. */
	uz_pool_free(f.pool, refs[0]);
	uz_pool_free(f.pool, refs[1]);
	fixture_check(&f);
	assert_int_equal(fixture_alloc(&f, 2048, 5), AT(0, 2048));
	assert_int_equal(fixture_alloc(&f, 1024, 6), AT(0, 0));
	fixture_check(&f);
	for (i = 0; i < 3; i++)
		fixture_same(&f, AT(0, i * 1024), i == 1 ? 1000 : 1024,
			     i == 0   ? 6
			     : i == 1 ? 2
				      : 5);
	uz_pool_free(f.pool, AT(0, 0));
	uz_pool_free(f.pool, AT(0, 1024));
	uz_pool_free(f.pool, AT(0, 2048));
	uz_pool_free(f.pool, refs[3]);
	fixture_close(&f);
}

/* Of several pages the one that it leaves least room in. */
static void test_best_fit(void **state)
{
	struct fixture f;
	uz_ref_t refs[3];

	(void)state;
	open_as(&f, "zbud", 0);
	refs[0] = fixture_alloc(&f, 2200, 0);
	refs[1] = fixture_alloc(&f, 3000, 1);
	refs[2] = fixture_alloc(&f, 2500, 2);
	assert_int_equal(fixture_alloc(&f, 1500, 3), AT(2, 4096 - 1536));
	assert_int_equal(fixture_alloc(&f, 900, 4), AT(1, 4096 - 960));
	assert_int_equal(fixture_alloc(&f, 1800, 5), AT(0, 4096 - 1856));
	fixture_check(&f);
	assert_int_equal(uz_pool_used_bytes(f.pool), PAGES(3));
	uz_pool_free(f.pool, AT(2, 4096 - 1536));
	uz_pool_free(f.pool, AT(1, 4096 - 960));
	uz_pool_free(f.pool, AT(0, 4096 - 1856));
	uz_pool_free(f.pool, refs[0]);
	uz_pool_free(f.pool, refs[1]);
	uz_pool_free(f.pool, refs[2]);
	fixture_close(&f);
}

/* An object larger than a page, beside others; in spare pages and new ones. */
static void test_larger_than_a_page(void **state)
{
	uz_ref_t big, next, last, first;
	struct uz_map map;
	struct fixture f;

	(void)state;
	open_as(&f, "zbud", 32);
	big = fixture_alloc(&f, 4104, 1);
	assert_int_equal(big, AT(0, 0));
	assert_int_equal(uz_pool_used_bytes(f.pool), PAGES(2));
	next = fixture_alloc(&f, 4000, 2);
	assert_int_equal(next, AT(1, 4096 - 4032)); /* all but its end */
	fixture_check(&f);
	fixture_same(&f, big, 4104, 1);
	uz_pool_free(f.pool, big);
	fixture_check(&f);
	/* The first chunk of the second page is free: there again. */
	assert_int_equal(fixture_alloc(&f, 4097, 3), AT(0, 0));
	fixture_check(&f);
	/* The second page's own object goes; its end stays. */
	uz_pool_free(f.pool, next);
	fixture_check(&f);
	last = fixture_alloc(&f, 64, 4);
	assert_int_equal(last, AT(1, 4096 - 64));
	/* A pin on the second page does not hold the end up. */
	uz_pool_map(f.pool, last, &map);
	uz_pool_free(f.pool, AT(0, 0));
	assert_int_equal(fixture_stat(&f).deferred, 0);
	first = fixture_alloc(&f, 64, 5);
	assert_int_equal(first, AT(1, 0));
	fixture_same_mapped(&f, &map, 64, 4);
	uz_pool_unmap(f.pool, &map);
	/*
	 * Its first chunk is taken: not the pages 0 and 1, although 0 is free.
	 */
	big = fixture_alloc(&f, 4104, 6);
	assert_int_equal(big, AT(2, 0));
	/* But a pin on the first page holds all of it up. */
	uz_pool_map(f.pool, big, &map);
	uz_pool_free(f.pool, big);
	assert_int_equal(fixture_stat(&f).deferred, 1);
	assert_int_equal(fixture_stat(&f).deferred_bytes, 4160);
	fixture_check(&f);
	fixture_same_mapped(&f, &map, 4104, 6);
	uz_pool_unmap(f.pool, &map);
	fixture_check(&f);
	uz_pool_free(f.pool, first);
	uz_pool_free(f.pool, last);
	fixture_close(&f);
}

/* The arena of 32 pages is used to its last one, whatever is stored. */
static void test_arena_full(void **state)
{
	uz_ref_t refs[32], ref;
	struct fixture f;

	(void)state;
	open_as(&f, "z3fold", 0);
	fixture_fill(&f, refs, 31, 4096);
	assert_int_equal(uz_pool_alloc(f.pool, 4104, 0, 0, &ref), -ENOSPC);
	fixture_check(&f);
	assert_int_equal(uz_pool_used_bytes(f.pool), PAGES(31));
	/* The last page but one is free now, the last one was never used. */
	uz_pool_free(f.pool, refs[30]);
	refs[30] = fixture_alloc(&f, 4104, 30);
	assert_int_equal(refs[30], AT(30, 0));
	refs[31] = fixture_alloc(&f, 4000, 31);
	assert_int_equal(uz_pool_alloc(f.pool, 64, 0, 0, &ref), -ENOSPC);
	fixture_check(&f);
	fixture_free(&f, refs, 32);
	fixture_fill(&f, refs, 16, 4104);
	assert_int_equal(uz_pool_alloc(f.pool, 4104, 0, 0, &ref), -ENOSPC);
	fixture_check(&f);
	fixture_free(&f, refs, 16);
	fixture_close(&f);
}

/* One object of two pages is adopted, then what cannot be beside it. */
static void unclean(const char *backend, uz_ref_t ref, uint32_t size, int ret)
{
	struct fixture f;

	open_as(&f, backend, 0);
	assert_int_equal(uz_pool_adopt_object(f.pool, AT(3, 0), 4104, 1), 0);
	assert_int_equal(
		uz_pool_adopt_object(f.pool, AT(4, 4096 - 1024), 1000, 2), 0);
	assert_int_equal(uz_pool_adopt_object(f.pool, ref, size, 3), ret);
	if (!ret) {
		assert_int_equal(uz_pool_adopt_end(f.pool), 0);
		fixture_check(&f);
	}
	uz_pool_destroy(f.pool);
	close(f.fd);
}

static void test_what_cannot_be(void **state)
{
	(void)state;
	unclean("zbud", AT(3, 0), 4104, -EUCLEAN); /* there already */
	unclean("zbud", AT(3, 0), 8, -EUCLEAN);
	unclean("zbud", AT(3, 4032), 8, -EUCLEAN);
	unclean("zbud", AT(4, 0), 8, -EUCLEAN); /* its end is there */
	unclean("zbud", AT(4, 0), 4104, -EUCLEAN);
	unclean("zbud", AT(2, 0), 4104, -EUCLEAN); /* the end would be in it */
	unclean("zbud", AT(31, 0), 4104, -EUCLEAN); /* no next page */
	unclean("zbud", AT(7, 64), 4104, -EUCLEAN); /* not the page's start */
	unclean("zbud", AT(7, 64), 4096, -EUCLEAN); /* past the page's end */
	unclean("zbud", AT(7, 8), 8, -EUCLEAN); /* between two chunks */
	unclean("zbud", AT(7, 64), 8, -EUCLEAN); /* zbud has no middle */
	unclean("zbud", AT(4, 4096 - 64), 8, -EUCLEAN); /* in another object */
	unclean("z3fold", AT(4, 4096 - 1088), 128, -EUCLEAN);
	unclean("z3fold", AT(4, 0), 64, -EUCLEAN);
	unclean("z3fold", AT(4, 64), 64, 0);
	unclean("z3fold", AT(4, 64), 3072 - 64, 0);
	unclean("z3fold", AT(4, 64), 3072, -EUCLEAN);
	unclean("zbud", AT(2, 0), 4096, 0);
	unclean("zbud", AT(5, 0), 4104, 0);
}

static void test_damage_is_found(void **state)
{
	struct uz__bud_page *p;
	struct uz__bud *pool;
	struct uz_map map;
	uz_ref_t refs[5];
	struct fixture f;
	unsigned int i;

	(void)state;
	open_as(&f, "z3fold", 4);
	pool = uz__bud(f.pool);
	p = pool->pages;
	refs[0] = fixture_alloc(&f, 4104, 0); /* pages 0 and 1 */
	refs[1] = fixture_alloc(&f, 4096, 1); /* page 2 */
	for (i = 2; i < 5; i++)
		refs[i] = fixture_alloc(&f, 1000, i); /* two in 1, one in 3 */
	uz_pool_map(f.pool, refs[4], &map);
	uz_pool_free(f.pool, refs[4]);
	uz_pool_free(f.pool, refs[1]); /* kept */
	fixture_check(&f);

	PLANT(&f, p[0].place[0].start, 1, "none can be");
	PLANT(&f, p[0].place[0].chunks, 66, "none can be");
	PLANT(&f, p[0].place[0].chunks, 0, "none can be");
	PLANT(&f, p[0].place[0].chunks, 64, "end of an object");
	PLANT(&f, p[0].place[0].state, 9, "none can be");
	PLANT(&f, p[1].place[2].start, 50, "none can be");
	PLANT(&f, p[1].place[0].state, UZ__BUD_LIVE, "end of an object");
	PLANT(&f, p[1].place[0].chunks, 2, "none can be");
	PLANT(&f, pool->middle, false, "none can be");
	PLANT(&f, pool->bump, 1, "without its end");
	PLANT(&f, p[3].pins, p[3].pins & ~UZ__PIN_DEFERRED, "flag of deferred");
	PLANT(&f, p[3].pins, p[3].pins & ~UZ__PIN_COUNTS, "wait for no pin");
	PLANT(&f, p[2].pins, UZ__PIN_DEFERRED, "flag of deferred");
	PLANT(&f, p[1].list, 63, "wrong list");
	PLANT(&f, p[1].list, UZ__BUD_PRIVATE, "wrong list");
	PLANT(&f, p[2].list, UZ__BUD_FREE, "wrong list");
	PLANT(&f, p[2].held, false, "wrong list");
	PLANT(&f, p[0].ready, false, "not populated");
	PLANT(&f, p[0].held, false, "not charged");
	PLANT(&f, p[0].next, 2, "is damaged");
	PLANT(&f, p[0].prev, 2, "is damaged");
	PLANT(&f, pool->head[p[2].list], UZ__BUD_NONE, "is damaged");
	PLANT(&f, pool->head[0], 77777, "is damaged");
	PLANT(&f, pool->live_lists, 0, "is damaged");
	PLANT(&f, pool->nr_live, 77, "count of pages");
	PLANT(&f, pool->nr_full, 77, "count of pages");
	PLANT(&f, pool->nr_kept, 77, "count of pages");
	PLANT(&f, pool->objects, 77, "count of objects");
	PLANT(&f, pool->chunks, 77, "count of objects");
	PLANT(&f, pool->deferred, 77, "count of objects");
	PLANT(&f, pool->deferred_chunks, 77, "count of objects");
	PLANT(&f, f.pool->used_pages, f.pool->used_pages + 1, "counted");
	*(char *)uz_pool_bytes(f.pool, AT(20, 0)) = 1;
	found(&f, "present");
	assert_int_equal(uz_shm_punch(&f.pool->arena, PAGES(20), PAGES(1)), 0);

	uz_pool_unmap(f.pool, &map);
	uz_pool_free(f.pool, refs[0]);
	uz_pool_free(f.pool, refs[2]);
	uz_pool_free(f.pool, refs[3]);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_in_a_page),
		cmocka_unit_test(test_three_in_a_page),
		cmocka_unit_test(test_best_fit),
		cmocka_unit_test(test_larger_than_a_page),
		cmocka_unit_test(test_arena_full),
		cmocka_unit_test(test_what_cannot_be),
		cmocka_unit_test(test_damage_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
