// SPDX-License-Identifier: MIT
/*
 * Snapshots step by step: what is in one, what is not, what ends one, and
 * which pages may be put into a device. That it is one moment under load is in
 * test_device_snapshot_moment.c.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <device_priv.h>

#include "device_fixture.h"
#include "snapshot_fixture.h"

#define SIZE  (8u << 20)
#define PAGES (SIZE / UZ_PAGE_SIZE)

/* Page @number of the kind that it stands for; false: none is stored. */
static bool page_of(unsigned char *page, uint64_t number)
{
	switch (number % 6) {
	case 0:
		page_text(page, number);
		return true;
	case 1:
		page_noise(page, number);
		return true;
	case 2:
		page_same(page, number);
		return true;
	case 3: /* a word that the slot cannot hold */
		page_same(page, UINT64_C(0x0123456789abcd01) + number * 256);
		return true;
	case 4:
		page_same(page, 0);
		return true;
	default:
		memset(page, 0, UZ_PAGE_SIZE);
		return false;
	}
}

static uint64_t fill(struct fixture *f)
{
	unsigned char page[UZ_PAGE_SIZE];
	uint64_t i, stored = 0;

	for (i = 0; i < PAGES / 2; i++) {
		if (!page_of(page, i))
			continue;
		assert_int_equal(uz_page_store(f->io, i, page), 0);
		stored++;
	}
	return stored;
}

static void expect_filled(struct fixture *f)
{
	unsigned char page[UZ_PAGE_SIZE];
	uint64_t i;

	for (i = 0; i < PAGES; i++) {
		page_of(page, i < PAGES / 2 ? i : 5);
		expect_page(f, i, page);
	}
}

static void test_is_what_was_there(void **state)
{
	struct uz_snapshot_info info;
	struct uz_snapshot *snap;
	struct fixture f, to;
	uint64_t stored;

	(void)state;
	fixture_open(&f, NULL, SIZE);
	stored = fill(&f);
	snap = snapshot_begin(&f, &info);
	assert_int_equal(info.disksize, SIZE);
	assert_int_equal(info.pages, stored);
	assert_int_equal(snapshot_copy(snap, &info, &to), stored);
	assert_int_equal(uz_snapshot_copied(snap), 0);
	uz_snapshot_end(snap);
	expect_filled(&to);
	fixture_close(&to);
	fixture_close(&f);
}

/* Every way in which a page can change, before anything was taken out. */
static void change(struct fixture *f)
{
	unsigned char page[UZ_PAGE_SIZE];
	uint64_t i;

	for (i = 0; i < PAGES; i++) {
		page_noise(page, i + 1000000);
		switch (i % 4) {
		case 0:
			assert_int_equal(uz_page_store(f->io, i, page), 0);
			assert_int_equal(uz_page_store(f->io, i, page), 0);
			break;
		case 1:
			assert_int_equal(
				uz_page_store_part(f->io, i, 10, 20, page), 0);
			break;
		case 2:
			uz_page_drop(f->io, i);
			break;
		default:
			break;
		}
	}
}

static void test_is_not_what_came_later(void **state)
{
	struct uz_snapshot_info info;
	struct uz_snapshot *snap;
	struct fixture f, to;
	uint64_t stored;

	(void)state;
	fixture_open(&f, NULL, SIZE);
	stored = fill(&f);
	snap = snapshot_begin(&f, &info);
	change(&f);
	assert_true(uz_snapshot_copied(snap) > 0);
	assert_int_equal(snapshot_copy(snap, &info, &to), stored);
	expect_filled(&to);
	uz_snapshot_end(snap);
	fixture_close(&to);
	fixture_close(&f);
}

/* Halfway through, with compaction, and to the end. */
static void test_goes_on_meanwhile(void **state)
{
	struct uz_pool_compaction done = { 0 };
	struct uz_snapshot_info info;
	unsigned int codecs[UZ_SLOT_CODECS] = { 0 };
	struct uz_page_image page;
	struct uz_snapshot *snap;
	struct fixture f, to;
	uint64_t stored, n = 0;

	(void)state;
	fixture_open(&f, NULL, SIZE);
	stored = fill(&f);
	snap = snapshot_begin(&f, &info);
	snapshot_target(&to, &info, codecs);
	while (uz_snapshot_next(snap, &page, NULL) == 1) {
		snapshot_put(&to, page, codecs);
		n++;
		if (n == stored / 2)
			change(&f);
		if (n > stored / 2)
			uz_device_compact(f.dev, UZ_POOL_COMPACT_ALL, 8, &done);
	}
	assert_int_equal(n, stored);
	expect_filled(&to);
	uz_snapshot_end(snap);
	fixture_close(&to);
	fixture_close(&f);
}

static void test_let_go_early(void **state)
{
	struct uz_snapshot_info info;
	struct uz_page_image page;
	struct uz_snapshot *snap;
	struct fixture f;

	(void)state;
	fixture_open(&f, NULL, SIZE);
	fill(&f);
	snap = snapshot_begin(&f, &info);
	change(&f);
	assert_int_equal(uz_snapshot_next(snap, &page, NULL), 1);
	uz_snapshot_end(snap);
	change(&f);
	uz_snapshot_end(NULL);
	fixture_close(&f);
}

static void test_one_at_a_time(void **state)
{
	struct uz_snapshot *snap, *other = NULL;
	struct uz_snapshot_info info;
	struct uz_err err;
	struct fixture f;

	(void)state;
	fixture_open(&f, NULL, 0);
	assert_int_equal(uz_snapshot_begin(f.dev, &snap, &info, &err), -EINVAL);
	assert_non_null(strstr(err.text, "no size"));
	assert_int_equal(uz_device_set_disksize(f.dev, SIZE, NULL), 0);
	snap = snapshot_begin(&f, &info);
	assert_int_equal(uz_snapshot_begin(f.dev, &other, &info, &err), -EBUSY);
	assert_non_null(strstr(err.text, "saved already"));
	assert_null(other);
	uz_snapshot_end(snap);
	snap = snapshot_begin(&f, &info);
	uz_snapshot_end(snap);
	fixture_close(&f);
}

/* What is taken out is by the codecs that there were. */
static void test_holds_on_to_codecs(void **state)
{
	struct uz_snapshot_info info;
	struct uz_snapshot *snap;
	struct uz_err err;
	struct fixture f;

	(void)state;
	fixture_open(&f, NULL, SIZE);
	fill(&f);
	snap = snapshot_begin(&f, &info);
	if (codec_compresses()) {
		assert_int_equal(uz_device_set_codec(f.dev, "store", &err),
				 -EBUSY);
		assert_non_null(strstr(err.text, "being saved"));
	}
	assert_int_equal(uz_device_set_codec(f.dev, uz_codec_known(0), NULL),
			 0);
	uz_snapshot_end(snap);
	assert_int_equal(uz_device_set_codec(f.dev, "store", NULL), 0);
	fixture_close(&f);
}

static void test_reset_takes_it_away(void **state)
{
	struct uz_snapshot *snap, *next;
	struct uz_snapshot_info info;
	struct uz_page_image page;
	struct uz_err err;
	struct fixture f;

	(void)state;
	fixture_open(&f, NULL, SIZE);
	fill(&f);
	snap = snapshot_begin(&f, &info);
	assert_int_equal(uz_snapshot_next(snap, &page, NULL), 1);
	assert_int_equal(uz_device_reset(f.dev, true, NULL), 0);
	assert_int_equal(uz_snapshot_next(snap, &page, &err), -ENODATA);
	assert_non_null(strstr(err.text, "reset"));
	/* The next one is not disturbed by the end of the former. */
	assert_int_equal(uz_device_set_disksize(f.dev, SIZE, NULL), 0);
	next = snapshot_begin(&f, &info);
	uz_snapshot_end(snap);
	assert_int_equal(uz_snapshot_next(next, &page, NULL), 0);
	uz_snapshot_end(next);
	fixture_close(&f);
}

/* Stores never fail for the sake of a snapshot. */
static void test_fails_at_the_limit(void **state)
{
	unsigned char page[UZ_PAGE_SIZE];
	struct uz_snapshot_info info;
	struct uz_page_image image;
	struct uz_snapshot *snap;
	struct uz_device_stat stat;
	struct uz_err err;
	struct fixture f;
	uint64_t i, n = 0;

	(void)state;
	fixture_open(&f, NULL, SIZE);
	uz_device_set_limit(f.dev, SIZE / 2);
	for (; n < PAGES; n++) {
		page_noise(page, n);
		if (uz_page_store(f.io, n, page))
			break;
	}
	assert_true(n < PAGES);
	snap = snapshot_begin(&f, &info);
	for (i = 0; i < n; i++) {
		page_noise(page, i + PAGES);
		assert_int_equal(uz_page_store(f.io, i, page), 0);
	}
	uz_device_stat(f.dev, &stat);
	assert_true(uz_snapshot_copied(snap) <= 1u << 20);
	assert_int_equal(uz_snapshot_next(snap, &image, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "mem_limit"));
	assert_int_equal(uz_snapshot_next(snap, &image, &err), -ENOSPC);
	uz_snapshot_end(snap);

	/* Without that many writes it works there. */
	snap = snapshot_begin(&f, &info);
	page_noise(page, 1);
	assert_int_equal(uz_page_store(f.io, 1, page), 0);
	for (i = 0; uz_snapshot_next(snap, &image, &err) == 1;)
		i++;
	assert_int_equal(i, n);
	uz_snapshot_end(snap);
	fixture_close(&f);
}

static void test_counts_its_memory(void **state)
{
	struct uz_device_stat before, after;
	struct uz_snapshot_info info;
	struct uz_snapshot *snap;
	struct fixture f;

	(void)state;
	fixture_open(&f, NULL, SIZE);
	fill(&f);
	change(&f);
	uz_device_stat(f.dev, &before);
	snap = snapshot_begin(&f, &info);
	change(&f);
	uz_device_stat(f.dev, &after);
	assert_true(after.meta_bytes >=
		    before.meta_bytes + uz_snapshot_copied(snap));
	uz_snapshot_end(snap);
	fixture_close(&f);
}

/* A flipped bit is found, by whoever comes to the page first. */
static void test_refuses_damage(void **state)
{
	unsigned char page[UZ_PAGE_SIZE];
	struct uz_snapshot_info info;
	struct uz_page_image image;
	struct uz_snapshot *snap;
	struct uz_err err;
	struct fixture f;
	uz_slot_t slot;
	unsigned char *bytes;
	int ret, changed;

	(void)state;
	for (changed = 0; changed < 2; changed++) {
		fixture_open(&f, NULL, SIZE);
		fill(&f);
		slot = uz_table_load(f.dev->table, 6);
		bytes = uz_pool_bytes(f.dev->pool, uz_slot_ref(slot));
		if (!bytes) {
			fixture_close(&f);
			return; /* not where objects cannot be looked at */
		}
		bytes[3] ^= 4;
		snap = snapshot_begin(&f, &info);
		page_text(page, 7);
		if (changed)
			assert_int_equal(uz_page_store(f.io, 6, page), 0);
		while ((ret = uz_snapshot_next(snap, &image, &err)) == 1)
			;
		assert_int_equal(ret, -EIO);
		assert_non_null(strstr(err.text, "page 6 "));
		uz_snapshot_end(snap);
		assert_int_equal(uz_page_store(f.io, 6, page), 0);
		fixture_close(&f);
	}
}

/* ---- putting pages in ---- */

static uint32_t sum_of(const struct uz_page_image *p)
{
	return uz__object_sum(p->bytes, p->size, p->index);
}

static void refuse(struct fixture *f, struct uz_page_image p)
{
	p.sum = sum_of(&p);
	assert_int_equal(uz_page_restore(f->io, &p), -EUCLEAN);
}

static void test_refuses_wrong_pages(void **state)
{
	unsigned char page[UZ_PAGE_SIZE], zero[UZ_PAGE_SIZE] = { 0 };
	struct uz_page_image p = {
		.index = 3,
		.form = UZ_PAGE_RAW,
		.size = UZ_PAGE_SIZE,
		.bytes = page,
	}, q;
	struct fixture f;

	(void)state;
	fixture_open(&f, NULL, SIZE);
	page_noise(page, 1);
	q = p, q.index = PAGES, refuse(&f, q);
	q = p, q.index = UINT32_MAX, refuse(&f, q);
	q = p, q.form = 0, refuse(&f, q);
	q = p, q.form = 4, refuse(&f, q);
	q = p, q.size = 100, refuse(&f, q);
	q = p, q.codec = 1, refuse(&f, q);
	q = p, q.form = UZ_PAGE_WORD, refuse(&f, q);
	q.size = 8, q.codec = 1, refuse(&f, q);
	q = p, q.form = UZ_PAGE_CODED, refuse(&f, q);
	q.size = 0, refuse(&f, q);
	q.size = 100, q.codec = 7, refuse(&f, q);
	q.codec = 8, refuse(&f, q);
	q = p, q.sum = sum_of(&q) ^ 1;
	assert_int_equal(uz_page_restore(f.io, &q), -EUCLEAN);
	expect_page(&f, 3, zero);

	p.sum = sum_of(&p);
	assert_int_equal(uz_page_restore(f.io, &p), 0);
	expect_page(&f, 3, page);
	/* A second time. */
	assert_int_equal(uz_page_restore(f.io, &p), -EUCLEAN);
	expect_page(&f, 3, page);
	fixture_close(&f);
}

static void test_has_no_room(void **state)
{
	unsigned char page[UZ_PAGE_SIZE];
	struct uz_page_image p = {
		.form = UZ_PAGE_RAW,
		.size = UZ_PAGE_SIZE,
		.bytes = page,
	};
	struct fixture f;
	int ret = 0;

	(void)state;
	fixture_open(&f, NULL, SIZE);
	uz_device_set_limit(f.dev, 1 << 20);
	for (; !ret && p.index < PAGES; p.index++) {
		page_noise(page, p.index);
		p.sum = sum_of(&p);
		ret = uz_page_restore(f.io, &p);
	}
	assert_int_equal(ret, -ENOSPC);
	fixture_close(&f);
}

static void test_adds_codecs(void **state)
{
	unsigned int first, index, again;
	struct fixture f;
	char text[32];
	int i, ret = 0;

	(void)state;
	fixture_open(&f, "store", 0);
	assert_int_equal(
		uz_device_add_codec(f.dev, "store", NULL, &first, NULL), 0);
	assert_int_equal(
		uz_device_add_codec(f.dev, "nonsense", NULL, &index, NULL),
		-EINVAL);
	if (level_codec()) {
		for (i = 2; !ret && i < 20; i++) {
			snprintf(text, sizeof(text), "%s:level=%d",
				 level_codec(), i);
			ret = uz_device_add_codec(f.dev, text, NULL, &index,
						  NULL);
			if (ret)
				break;
			assert_int_not_equal(index, first);
			assert_int_equal(uz_device_add_codec(f.dev, text, NULL,
							     &again, NULL),
					 0);
			assert_int_equal(index, again);
		}
		assert_int_equal(ret, -ENOSPC);
		assert_int_equal(i, 2 + UZ_SLOT_CODECS - 1);
	}
	assert_int_equal(uz_device_set_disksize(f.dev, SIZE, NULL), 0);
	assert_int_equal(
		uz_device_add_codec(f.dev, "store", NULL, &index, NULL),
		-EBUSY);
	/* All are there for who adopts, and none after a reset. */
	fixture_forget(&f);
	fixture_adopt(&f);
	assert_int_equal(uz_device_reset(f.dev, true, NULL), 0);
	for (i = 0, index = 0; i < UZ_SLOT_CODECS; i++)
		index += f.dev->codecs[i].ops != NULL;
	assert_int_equal(index, 1);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_is_what_was_there),
		cmocka_unit_test(test_is_not_what_came_later),
		cmocka_unit_test(test_goes_on_meanwhile),
		cmocka_unit_test(test_let_go_early),
		cmocka_unit_test(test_one_at_a_time),
		cmocka_unit_test(test_holds_on_to_codecs),
		cmocka_unit_test(test_reset_takes_it_away),
		cmocka_unit_test(test_fails_at_the_limit),
		cmocka_unit_test(test_counts_its_memory),
		cmocka_unit_test(test_refuses_damage),
		cmocka_unit_test(test_refuses_wrong_pages),
		cmocka_unit_test(test_has_no_room),
		cmocka_unit_test(test_adds_codecs),
	};

	return cmocka_run_group_tests_name("device snapshot", tests, NULL,
					   NULL);
}
