// SPDX-License-Identifier: MIT
/*
 * uz_pool_check() finds damage. This is the one test that looks inside: each
 * kind of damage is planted, must be found and named, and is repaired again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <zsmalloc_priv.h>

#include "pool_damage.h"

struct scene {
	struct fixture f;
	struct uz__zspage *z; /* live, with a hole and two deferred frees */
	struct uz__class *c;
	struct uz__zspage *kept;
	uz_ref_t refs[6];
	struct uz_map map;
};

static void set_up(struct scene *s)
{
	fixture_open(&s->f, 16);
	fixture_keep(&s->f, WINDOW_PAGES);
	fixture_fill(&s->f, s->refs, 6, 1000);
	s->z = &uz__zs(s->f.pool)->zspages[0];
	s->c = &uz__zs(s->f.pool)->classes[s->z->class];
	s->kept = &uz__zs(s->f.pool)->zspages[1];
	uz_pool_free(s->f.pool, fixture_alloc(&s->f, 500, 0));
	uz_pool_free(s->f.pool, s->refs[1]);
	uz_pool_map(s->f.pool, s->refs[0], &s->map);
	uz_pool_free(s->f.pool, s->refs[2]);
	uz_pool_free(s->f.pool, s->refs[3]);
	fixture_check(&s->f);
}

static void tear_down(struct scene *s)
{
	uz_pool_unmap(s->f.pool, &s->map);
	uz_pool_free(s->f.pool, s->refs[0]);
	uz_pool_free(s->f.pool, s->refs[4]);
	uz_pool_free(s->f.pool, s->refs[5]);
	fixture_close(&s->f);
}

static void test_bitmap(void **state)
{
	struct scene s;

	(void)state;
	set_up(&s);
	PLANT(&s.f, s.z->block->used[0], s.z->block->used[0] ^ 1,
	      "count of objects");
	PLANT(&s.f, s.z->block->used[7], 1, "past its end");
	PLANT(&s.f, s.z->nr_used, 4, "count of objects");
	PLANT(&s.f, s.z->first_free, 6, "first free place");
	tear_down(&s);
}

static void test_deferred(void **state)
{
	struct scene s;

	(void)state;
	set_up(&s);
	PLANT(&s.f, s.z->nr_deferred, 1, "deferred frees is damaged");
	PLANT(&s.f, s.z->waiting, UZ__NO_INDEX, "deferred frees is damaged");
	PLANT(&s.f, s.z->waiting, 1, "deferred frees is damaged");
	PLANT(&s.f, s.z->block->owner[3], 3, "deferred frees is damaged");
	PLANT(&s.f, s.z->pins, s.z->pins & ~UZ__PIN_DEFERRED,
	      "flag of deferred");
	PLANT(&s.f, s.z->pins, s.z->pins & ~UZ__PIN_COUNTS, "wait for no pin");
	PLANT(&s.f, s.kept->pins, UZ__PIN_DEFERRED, "in a spare window");
	tear_down(&s);
}

static void test_pages(void **state)
{
	struct scene s;

	(void)state;
	set_up(&s);
	PLANT(&s.f, s.z->ready, s.z->ready & ~UINT64_C(1), "not populated");
	PLANT(&s.f, s.z->filling, 1, "populates");
	PLANT(&s.f, s.z->ready, s.z->ready | 4, "populated, not charged");
	PLANT(&s.f, s.f.pool->used_pages, s.f.pool->used_pages + 1, "counted");
	tear_down(&s);
}

static void test_lists(void **state)
{
	struct scene s;

	(void)state;
	set_up(&s);
	PLANT(&s.f, s.z->list, UZ__LIST_FULL, "wrong list");
	PLANT(&s.f, s.z->isolated, 1, "wrong list");
	PLANT(&s.f, s.c->head[s.z->list], UZ__NONE, "is damaged");
	PLANT(&s.f, s.c->occupied, 0, "is damaged");
	PLANT(&s.f, s.z->next, 1, "is damaged");
	PLANT(&s.f, s.z->prev, 1, "is damaged");
	PLANT(&s.f, s.z->class, 0, "no such class");
	PLANT(&s.f, s.z->class, 60000, "no such class");
	PLANT(&s.f, s.c->nr_used, 99, "sums");
	PLANT(&s.f, s.c->nr_deferred, 99, "sums");
	PLANT(&s.f, s.c->nr_zspages, 99, "sums");
	PLANT(&s.f, s.c->held, 99, "sums");
	PLANT(&s.f, s.c->ahead, 99, "sums");
	PLANT(&s.f, s.z->ahead, 0, "ahead of use");
	tear_down(&s);
}

static void test_store(void **state)
{
	struct scene s;

	(void)state;
	set_up(&s);
	assert_int_equal(s.kept->list, UZ__LIST_KEPT);
	PLANT(&s.f, s.kept->list, UZ__LIST_FREE, "wrong list");
	PLANT(&s.f, s.kept->ready, 2, "populated, not charged");
	PLANT(&s.f, s.kept->class, 1, "no bitmap");
	PLANT(&s.f, uz__zs(s.f.pool)->store.kept, UZ__NONE, "spare windows");
	PLANT(&s.f, uz__zs(s.f.pool)->store.nr_free, 1, "spare windows");
	PLANT(&s.f, uz__zs(s.f.pool)->store.kept_pages, 0, "kept pages");
	tear_down(&s);
}

/* Memory that came or went behind the pool's back. */
static void test_memory(void **state)
{
	struct scene s;

	(void)state;
	set_up(&s);
	*(char *)uz_pool_bytes(s.f.pool, PAGES(20) / UZ_REF_UNIT) = 1;
	found(&s.f, "present");
	assert_int_equal(uz_shm_punch(&s.f.pool->arena, PAGES(20), PAGES(1)),
			 0);
	fixture_check(&s.f);
	assert_int_equal(uz_shm_punch(&s.f.pool->arena, 0, PAGES(1)), 0);
	found(&s.f, "present");
	*(char *)uz_pool_bytes(s.f.pool, 0) = 1;
	tear_down(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bitmap), cmocka_unit_test(test_deferred),
		cmocka_unit_test(test_pages),  cmocka_unit_test(test_lists),
		cmocka_unit_test(test_store),  cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
