// SPDX-License-Identifier: MIT
/*
 * The table of ARCHITECTURE.md, "The class table", computed again from the
 * classes that the pool really makes. The expected waste of a sequential fill:
 *
 *   rounding     from an object's size to its class's
 *   tails        what does not fit a whole object at the end of a zspage
 *   bookkeeping  descriptors, bitmaps, owners and the classes themselves
 *   last pages   half a page for each class that has objects
 *
 * in hundredths of a percent of all memory, for objects of which one in twenty
 * is a raw page and the others are spread evenly from 100 to 4000 bytes (as
 * lz4 leaves programs), and for objects of 100 to 1600 bytes (as zstd leaves a
 * heap).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <uzram/util/cleanup.h>

#include "pool_fixture.h"

#define RAW	   (UZ_PAGE_SIZE + 4u)
#define DESCRIPTOR 64.0
#define BLOCK	   80.0 /* bitmap and malloc's own */
#define OWNER	   4.0
#define CLASS	   128.0
#define HUNDREDTHS 10000.0
#define TEXT_MAX   200

/* What is stored: sizes evenly from @first to @last, and raw pages. */
struct load {
	uint32_t first;
	uint32_t last;
	double raw;
	double objects;
};

#define NR_LOADS 4

static const struct load loads[NR_LOADS] = {
	{ 100, 4000, 0.05, 65536 },
	{ 100, 4000, 0.05, 1048576 },
	{ 100, 1600, 0, 65536 },
	{ 100, 1600, 0, 1048576 },
};

struct shape {
	uint32_t step;
	uint32_t window_pages;
};

static const struct shape shapes[] = {
	{ 8, 16 }, { 8, 32 }, { 8, 64 }, { 16, 16 }, { 16, 32 }, { 16, 64 },
};

/* How many objects have exactly @size bytes. */
static double objects(const struct load *l, uint32_t size)
{
	if (size == RAW)
		return l->objects * l->raw;
	if (size < l->first || size > l->last)
		return 0;
	return l->objects * (1 - l->raw) / (l->last - l->first + 1);
}

/* All that @nr objects of a class cost. */
static double class_bytes(const struct uz_pool_class_stat *c, double nr)
{
	double zspages = nr / c->per_zspage;
	double bytes = zspages * c->pages * UZ_PAGE_SIZE;

	bytes += zspages * (DESCRIPTOR + BLOCK) + nr * OWNER;
	return bytes + UZ_PAGE_SIZE / 2.0;
}

/* In such a pool, in hundredths of a percent. */
static double waste(struct uz_pool *pool, const struct load *l)
{
	struct uz_pool_class_stat c;
	double payload = 0, memory = 0;
	uint32_t size = 1;
	unsigned int i;

	for (i = 0; uz_pool_class_stat(pool, i, &c); i++) {
		double in_class = 0;

		for (; size <= c.size; size++) {
			in_class += objects(l, size);
			payload += objects(l, size) * size;
		}
		memory += CLASS;
		if (in_class > 0)
			memory += class_bytes(&c, in_class);
	}
	return HUNDREDTHS * (1 - payload / memory);
}

static void row(const struct shape *s, char *text)
{
	struct uz_pool_config config;
	struct uz_pool_class_stat c;
	struct uz_pool *pool;
	unsigned int nr = 0, i, len;
	int fd = uz_shm_memfd("test");

	uz_pool_config_default(&config, 0);
	config.class_step = s->step;
	config.window_size = s->window_pages * UZ_PAGE_SIZE;
	assert_int_equal(uz_pool_create(&pool, fd, &config), 0);
	while (uz_pool_class_stat(pool, nr, &c))
		nr++;
	len = (unsigned int)snprintf(text, TEXT_MAX, "| %u | %u | %u |",
				     s->step, s->window_pages, nr);
	for (i = 0; i < NR_LOADS; i++)
		len += (unsigned int)snprintf(text + len, TEXT_MAX - len,
					      " %.0f |",
					      waste(pool, &loads[i]));
	snprintf(text + len, TEXT_MAX - len, "\n");
	uz_pool_destroy(pool);
	close(fd);
}

static char *read_page(void)
{
	FILE *f = fopen(UZ_SOURCE "/ARCHITECTURE.md", "r");
	char *text = NULL;
	size_t size = 0;

	assert_non_null(f);
	assert_true(getdelim(&text, &size, '\0', f) > 0);
	fclose(f);
	return text;
}

static void test_table_is_what_the_classes_give(void **state)
{
	uz_autofree char *page = read_page();
	char text[TEXT_MAX];
	unsigned int i, missing = 0;

	(void)state;
	for (i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		row(&shapes[i], text);
		if (strstr(page, text))
			continue;
		print_message("ARCHITECTURE.md lacks the row %s", text);
		missing++;
	}
	assert_int_equal(missing, 0);
}

/* The default is a row of the table. */
static void test_default_is_in_the_table(void **state)
{
	struct uz_pool_config config;
	unsigned int i, found = 0;

	(void)state;
	uz_pool_config_default(&config, 0);
	for (i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		found += shapes[i].step == config.class_step &&
			 shapes[i].window_pages * UZ_PAGE_SIZE ==
				 config.window_size;
	assert_int_equal(found, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table_is_what_the_classes_give),
		cmocka_unit_test(test_default_is_in_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
