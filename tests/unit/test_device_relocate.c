// SPDX-License-Identifier: MIT
/*
 * Moving a page's object: what the device does with each state in which it
 * can find the slot, step by step, and what it counts. The pool's part is in
 * test_pool_compact.c; both together under load in stress_device.c.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <device_priv.h>

#include "device_fixture.h"

#define SIZE (4u << 20)

bool __wrap_uz_pool_compact(struct uz_pool *pool,
			    enum uz_pool_compact_scope scope, uint32_t budget,
			    uz_pool_relocate *relocate, void *arg,
			    struct uz_pool_compaction *done);
void __real_uz_pool_copy(struct uz_pool *pool, uz_ref_t from, uz_ref_t to,
			 uint32_t len);
void __wrap_uz_pool_copy(struct uz_pool *pool, uz_ref_t from, uz_ref_t to,
			 uint32_t len);

/* What happens to the slot while its object is being copied. */
static struct {
	struct uz_table *table;
	uint64_t index;
	uz_slot_t becomes;
	unsigned int copies;
} meanwhile;

void __wrap_uz_pool_copy(struct uz_pool *pool, uz_ref_t from, uz_ref_t to,
			 uint32_t len)
{
	meanwhile.copies++;
	__real_uz_pool_copy(pool, from, to, len);
	if (meanwhile.table)
		uz_table_exchange(meanwhile.table, meanwhile.index,
				  meanwhile.becomes);
}

static struct {
	enum uz_pool_compact_scope scope;
	uint32_t budget;
	bool more;
	struct uz_pool_compaction does;
} compaction;

bool __wrap_uz_pool_compact(struct uz_pool *pool,
			    enum uz_pool_compact_scope scope, uint32_t budget,
			    uz_pool_relocate *relocate, void *arg,
			    struct uz_pool_compaction *done)
{
	(void)pool;
	(void)arg;
	assert_true(relocate == uz__relocate);
	compaction.scope = scope;
	compaction.budget = budget;
	done->pages += compaction.does.pages;
	done->objects += compaction.does.objects;
	done->pinned += compaction.does.pinned;
	done->contended += compaction.does.contended;
	done->busy += compaction.does.busy;
	return compaction.more;
}

/* One page and room to move it to. */
struct scene {
	struct fixture f;
	unsigned char page[UZ_PAGE_SIZE];
	uz_slot_t slot;
	uz_ref_t to;
};

#define INDEX 5

static int set_up(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	memset(&meanwhile, 0, sizeof(meanwhile));
	memset(&compaction, 0, sizeof(compaction));
	fixture_open(&s->f, NULL, SIZE);
	page_text(s->page, 1);
	assert_int_equal(uz_page_store(s->f.io, INDEX, s->page), 0);
	s->slot = uz_table_load(s->f.dev->table, INDEX);
	assert_int_equal(uz_pool_alloc(s->f.dev->pool,
				       uz__object_bytes(uz_slot_size(s->slot)),
				       INDEX, 0, &s->to),
			 0);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *s = *state;

	expect_page(&s->f, INDEX, s->page);
	fixture_close(&s->f);
	free(s);
	return 0;
}

/* As the pool does: pin, ask, and free one of the two. */
static bool move(struct scene *s, uint64_t owner, uz_ref_t from)
{
	struct uz_map map;
	bool moved;

	uz_pool_map(s->f.dev->pool, from, &map);
	moved = uz__relocate(s->f.dev, (uint32_t)owner, from, s->to);
	uz_pool_unmap(s->f.dev->pool, &map);
	uz_pool_free(s->f.dev->pool, moved ? from : s->to);
	return moved;
}

static void test_moves(void **state)
{
	struct scene *s = *state;
	struct uz_device_stat before, after;

	uz_device_stat(s->f.dev, &before);
	assert_true(move(s, INDEX, uz_slot_ref(s->slot)));
	assert_int_equal(uz_table_load(s->f.dev->table, INDEX),
			 uz_slot_move(s->slot, s->to));
	uz_device_stat(s->f.dev, &after);
	assert_int_equal(after.compr_data_size, before.compr_data_size);
	assert_int_equal(after.orig_data_size, before.orig_data_size);
}

static void test_keeps_the_flags(void **state)
{
	struct scene *s = *state;
	uz_slot_t w = uz_slot_flags(s->slot, UZ_SLOT_IDLE, 0);

	uz_table_exchange(s->f.dev->table, INDEX, w);
	/* The flags change again during the copy: that is no reason to stop. */
	meanwhile.table = s->f.dev->table;
	meanwhile.index = INDEX;
	meanwhile.becomes = uz_slot_flags(s->slot, UZ_SLOT_INCOMPRESSIBLE, 0);
	assert_true(move(s, INDEX, uz_slot_ref(s->slot)));
	assert_int_equal(meanwhile.copies, 1);
	assert_int_equal(uz_table_load(s->f.dev->table, INDEX),
			 uz_slot_move(meanwhile.becomes, s->to));
}

/* The slot names another object: the one at the place is not even read. */
static void test_leaves_what_is_not_named(void **state)
{
	struct scene *s = *state;
	uz_ref_t unpublished;

	assert_int_equal(
		uz_pool_alloc(s->f.dev->pool, 100, INDEX, 0, &unpublished), 0);
	assert_false(move(s, INDEX, unpublished));
	assert_int_equal(meanwhile.copies, 0);
	assert_int_equal(uz_table_load(s->f.dev->table, INDEX), s->slot);
	uz_pool_free(s->f.dev->pool, unpublished);
}

static void test_leaves_what_was_dropped(void **state)
{
	struct scene *s = *state;

	uz_page_drop(s->f.io, INDEX);
	assert_false(move(s, INDEX, uz_slot_ref(s->slot)));
	assert_int_equal(meanwhile.copies, 0);
	memset(s->page, 0, sizeof(s->page));
}

/* A same-filled page whose word looks like the place. */
static void test_leaves_a_word_like_the_place(void **state)
{
	struct scene *s = *state;
	uz_slot_t same = (s->slot & ~UINT64_C(7)) | UZ_SLOT_SAME;

	/* No object of this page any more, whatever the other bits say. */
	uz_table_exchange(s->f.dev->table, INDEX, same);
	assert_false(move(s, INDEX, uz_slot_ref(s->slot)));
	assert_int_equal(meanwhile.copies, 0);
	assert_int_equal(uz_table_load(s->f.dev->table, INDEX), same);
	uz_table_exchange(s->f.dev->table, INDEX, s->slot);
}

/* A store wins during the copy. */
static void test_loses_to_a_store(void **state)
{
	struct scene *s = *state;
	uz_slot_t other;

	page_text(s->page, 2);
	assert_int_equal(uz_page_store(s->f.io, INDEX, s->page), 0);
	other = uz_table_exchange(s->f.dev->table, INDEX, 0);
	/* The old object was freed by the store: take its place again. */
	assert_int_equal(uz_pool_alloc(s->f.dev->pool,
				       uz__object_bytes(uz_slot_size(s->slot)),
				       INDEX, 0, &(uz_ref_t){ 0 }),
			 0);
	uz_table_exchange(s->f.dev->table, INDEX, s->slot);
	meanwhile.table = s->f.dev->table;
	meanwhile.index = INDEX;
	meanwhile.becomes = other;
	assert_false(move(s, INDEX, uz_slot_ref(s->slot)));
	assert_int_equal(meanwhile.copies, 1);
	assert_int_equal(uz_table_load(s->f.dev->table, INDEX), other);
	uz_pool_free(s->f.dev->pool, uz_slot_ref(s->slot));
}

static void test_counts(void **state)
{
	struct scene *s = *state;
	struct uz_pool_compaction done = { .pages = 100, .busy = 1 };
	struct uz_device_stat stat;

	uz_pool_free(s->f.dev->pool, s->to);
	compaction.does = (struct uz_pool_compaction){ 1, 2, 3, 4, 5 };
	compaction.more = true;
	assert_true(uz_device_compact(s->f.dev, UZ_POOL_COMPACT_FRAGMENTED, 77,
				      &done));
	assert_int_equal(compaction.scope, UZ_POOL_COMPACT_FRAGMENTED);
	assert_int_equal(compaction.budget, 77);
	compaction.more = false;
	assert_false(
		uz_device_compact(s->f.dev, UZ_POOL_COMPACT_ALL, 1, &done));
	assert_int_equal(done.pages, 102);
	assert_int_equal(done.objects, 4);
	assert_int_equal(done.pinned, 6);
	assert_int_equal(done.contended, 8);
	assert_int_equal(done.busy, 11);

	/* They last. */
	fixture_forget(&s->f);
	fixture_adopt(&s->f);
	uz_device_stat(s->f.dev, &stat);
	assert_int_equal(stat.pages_compacted, 2);
	assert_int_equal(stat.objects_moved, 4);
	assert_int_equal(stat.compact_pinned, 6);
	assert_int_equal(stat.compact_contended, 8);

	/* Without a size there is nothing to be moved. */
	assert_int_equal(uz_device_reset(s->f.dev, true, NULL), 0);
	compaction.more = true;
	assert_false(
		uz_device_compact(s->f.dev, UZ_POOL_COMPACT_ALL, 1, &done));
	assert_int_equal(done.pages, 102);
	assert_int_equal(uz_device_set_disksize(s->f.dev, SIZE, NULL), 0);
	memset(s->page, 0, sizeof(s->page));
	uz_device_stat(s->f.dev, &stat);
	assert_int_equal(stat.pages_compacted, 0);
}

#define scene_test(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		scene_test(test_moves),
		scene_test(test_keeps_the_flags),
		scene_test(test_leaves_what_is_not_named),
		scene_test(test_leaves_what_was_dropped),
		scene_test(test_leaves_a_word_like_the_place),
		scene_test(test_loses_to_a_store),
		scene_test(test_counts),
	};

	return cmocka_run_group_tests_name("device relocate", tests, NULL,
					   NULL);
}
