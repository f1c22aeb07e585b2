/* SPDX-License-Identifier: MIT */
#ifndef WRITEBACK_FIXTURE_H
#define WRITEBACK_FIXTURE_H

/*
 * A backed device full of pages that are known. Include after <cmocka.h>.
 */
#include "backing_fixture.h"

#define SIZE  (16u << 20)
#define PAGES (SIZE / UZ_PAGE_SIZE)

static struct fixture f;

/* A page of each sort, told apart by its index and a salt. */
static inline void make(unsigned char *page, uint64_t index, uint64_t salt)
{
	uint64_t number = index + salt * 1000003;

	switch (index % 8) {
	case 0:
		page_noise(page, number);
		return;
	case 1:
		page_same(page, number);
		return;
	case 2:
		page_same(page, UINT64_C(0x0123456789abcdef) + number);
		return;
	default:
		page_text(page, number);
		return;
	}
}

static inline void store(uint64_t index, uint64_t salt)
{
	unsigned char page[UZ_PAGE_SIZE];

	make(page, index, salt);
	assert_int_equal(uz_page_store(f.io, index, page), 0);
}

static inline void expect(uint64_t index, uint64_t salt)
{
	unsigned char page[UZ_PAGE_SIZE];

	make(page, index, salt);
	expect_page(&f, index, page);
}

static inline void store_all(void)
{
	uint64_t i;

	for (i = 0; i < PAGES; i++)
		store(i, 0);
}

static inline void expect_all(void)
{
	uint64_t i;

	for (i = 0; i < PAGES; i++)
		expect(i, 0);
}

#endif
