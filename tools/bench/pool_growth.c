// SPDX-License-Identifier: MIT
/*
 * "growth": does a page cost more when many are stored? One thread, a small
 * device and a large one in each round, both anew; which is first changes from
 * round to round.
 *
 * Filled, and left alone until what is at rest lies in huge pages; loaded in
 * order; loaded and overwritten at random, as many pages in both; loaded once
 * more with the next two pages known to the device, as a front end knows them
 * that has several requests. What is done at random pays for caches of the CPU
 * that the large device does not fit (of translations first of all), what is
 * done in order shows what the structures themselves cost.
 */
#include <string.h>

#include <uzram/util/size.h>

#include "pool.h"

#define SAMPLE (UINT64_C(1) << 20) /* pages, at most */

enum {
	FILL,
	LOAD,
	RANDOM,
	KNOWN,
	OVERWRITE,
	TABLE,
	META,
	DENSITY,
	NR_CELLS
};

static const struct table_column columns[] = {
	{ "fill_ns", "fill", "ns/page", 1, 0 },
	{ "load_ns", "load", "ns/page", 1, 0 },
	{ "random_load_ns", "random load", "ns/page", 1, 0 },
	{ "random_known_ns", "next known", "ns/page", 1, 0 },
	{ "overwrite_ns", "overwrite", "ns/page", 1, 0 },
	{ "table_bytes_per_page", "table", "bytes/page", 1, 2 },
	{ "meta_bytes_per_page", "pool meta", "bytes/page", 1, 2 },
	{ "density", "density", "", 1, 4 },
};

int pool_growth_fits(const struct pool_run *run, struct uz_err *err)
{
	char size[UZ_SIZE_TEXT], need[UZ_SIZE_TEXT], has[UZ_SIZE_TEXT];
	double pages = (double)(run->o->large >> UZ_PAGE_SHIFT), bytes;
	uint64_t free = machine_available(), want;
	int ret = pool_mix_size(run, &bytes, err);

	if (ret)
		return ret;
	/* Table, descriptors, holes; and something for everybody else. */
	want = (uint64_t)(pages * (bytes * 1.1 + 32)) + (UINT64_C(64) << 20);
	if (!free || want <= free)
		return 0;
	uz_size_format(run->o->large, size);
	uz_size_format(want, need);
	uz_size_format(free, has);
	return uz_err_set(err, -ENOMEM,
			  "growth: %s stored with %s would take %s of memory, "
			  "but %s is available; give a smaller --large, or "
			  "other parts",
			  size, run->codec_text, need, has);
}

/* The random pages are the same for loads and overwrites. */
static int pass(struct pool_run *run, struct pool_device *d, int what,
		struct stats *ns)
{
	_Alignas(UZ_PAGE_SIZE) uint8_t page[UZ_PAGE_SIZE];
	uint64_t n = what == FILL || d->pages < SAMPLE ? d->pages : SAMPLE;
	uint64_t began = clock_ns(), rng = 1, ahead[2];
	int ret = 0;

	ahead[0] = random_below(&rng, d->pages);
	ahead[1] = random_below(&rng, d->pages);
	for (uint64_t i = 0; i < n && !ret; i++) {
		uint64_t at = what < RANDOM ? i : ahead[0];

		ahead[0] = ahead[1];
		ahead[1] = random_below(&rng, d->pages);
		if (what == KNOWN)
			uz_device_expect(d->io, ahead[0], ahead[1]);
		if (undo_stopped())
			return -EINTR;
		if (what != FILL && what != OVERWRITE)
			ret = pool_device_submit(d->io, UZ_OP_READ, at, page);
		else
			ret = pool_device_submit(d->io, UZ_OP_WRITE, at,
						 pool_mix(run, what, at));
	}
	stats_add(ns, (double)(clock_ns() - began) / (double)n);
	return ret;
}

/* All passes over a device of that size. */
static int one(struct pool_run *run, uint64_t size, struct stats cell[],
	       struct uz_err *err)
{
	static const char *const doing[] = { "fill", "load",
					     "load at random in",
					     "load with the next known in",
					     "overwrite" };
	struct pool_memory m;
	struct pool_device d;
	int ret = pool_device_open(&d, run, size, err);

	if (ret)
		return ret;
	for (int i = FILL; i <= OVERWRITE && !ret; i++) {
		char text[UZ_SIZE_TEXT], what[64];

		uz_size_format(size, text);
		snprintf(what, sizeof(what), "%s %s", doing[i], text);
		pool_progress(run, what);
		ret = pass(run, &d, i, &cell[i]);
		if (!ret && i == FILL) {
			ret = pool_device_settle(&d);
			if (!ret)
				ret = pool_device_collapse(&d);
			pool_device_memory(&d, &m);
			stats_add(&cell[TABLE],
				  (double)m.table / (double)d.pages);
			stats_add(&cell[META],
				  (double)m.meta / (double)d.pages);
			stats_add(&cell[DENSITY], pool_density_of(&m));
		}
		if (ret)
			uz_err_set(err, ret, "cannot %s %s: %s", doing[i], text,
				   strerror(-ret));
	}
	pool_device_close(&d);
	return ret;
}

static int report(struct pool_run *run, uint64_t size,
		  const struct stats cell[], struct uz_err *err)
{
	char text[UZ_SIZE_TEXT], what[64];
	struct table_row *row;

	uz_size_format(size, text);
	snprintf(what, sizeof(what), "%s stored", text);
	row = pool_row(run, NULL, what, err);
	if (!row)
		return err->code;
	memcpy(row->value, cell, NR_CELLS * sizeof(*cell));
	return 0;
}

static int run_growth(struct pool_run *run, struct uz_err *err)
{
	const uint64_t size[2] = { run->o->size, run->o->large };
	struct stats cell[2][NR_CELLS] = { 0 };
	/* Looked at before all parts; things may have changed since. */
	int ret = pool_growth_fits(run, err);

	for (unsigned int i = 0; i < run->o->rounds * 2 && !ret; i++) {
		/* small, large; large, small; ... */
		unsigned int which = (i ^ i >> 1) & 1;

		ret = one(run, size[which], cell[which], err);
	}
	for (unsigned int i = 0; i < 2 && !ret; i++)
		ret = report(run, size[i], cell[i], err);
	return ret;
}

const struct pool_part pool_growth = {
	.name = "growth",
	.title = "little and much stored, by one thread, of all corpora "
		 "mixed;\nfilled and loaded in order, loaded and overwritten "
		 "at random",
	.nr_columns = sizeof(columns) / sizeof(columns[0]),
	.column = columns,
	.run = run_growth,
};
