// SPDX-License-Identifier: MIT
/*
 * "growth": does a page cost more when many are stored? One thread, a small
 * device and a large one, both anew in each round.
 *
 * Both are filled, which is first changing from round to round, and left alone
 * until what is at rest lies in huge pages. Then they are loaded in order,
 * loaded and overwritten at random, as many pages in both, in slices of some
 * ten milliseconds by turns, since neighbours of a virtual machine change more
 * than what is to be told apart; loaded once more with the next two pages known
 * to the device, as a front end knows them that has several requests. What is
 * done at random pays for caches of the CPU that the large device does not fit
 * (of translations first of all), what is done in order shows what the
 * structures themselves cost.
 */
#include <errno.h>
#include <string.h>

#include <uzram/util/size.h>

#include "pool.h"

#define SAMPLE (UINT64_C(1) << 20) /* pages, at most */
#define SLICE  (UINT64_C(1) << 13)

enum {
	FILL,
	LOAD,
	RANDOM,
	KNOWN,
	OVERWRITE,
	TABLE,
	META,
	DENSITY,
	HUGE,
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
	{ "huge_percent", "huge", "%", 100, 0 },
};

int pool_growth_fits(const struct pool_run *run, struct uz_err *err)
{
	char size[UZ_SIZE_TEXT], need[UZ_SIZE_TEXT], has[UZ_SIZE_TEXT];
	uint64_t both = run->o->size + run->o->large;
	double pages = (double)(both >> UZ_PAGE_SHIFT), bytes;
	uint64_t free = machine_available(), want;
	int ret = pool_mix_size(run, &bytes, err);

	if (ret)
		return ret;
	/* Table, descriptors, holes; and something for everybody else. */
	want = (uint64_t)(pages * (bytes * 1.1 + 32)) + (UINT64_C(64) << 20);
	if (!free || want <= free)
		return 0;
	uz_size_format(both, size);
	uz_size_format(want, need);
	uz_size_format(free, has);
	return uz_err_set(err, -ENOMEM,
			  "growth: %s stored with %s would take %s of memory, "
			  "but %s is available; give a smaller --large, or "
			  "other parts",
			  size, run->codec_text, need, has);
}

/* A device of one size, what is measured of it, and how far a pass has come. */
struct subject {
	struct pool_device d;
	struct stats cell[NR_CELLS];
	uint64_t size;
	uint64_t done, rng, ahead[2];
	double ns;
};

/* The random pages are the same for loads and overwrites. */
static void begin(struct subject *s)
{
	s->done = 0;
	s->ns = 0;
	s->rng = 1;
	s->ahead[0] = random_below(&s->rng, s->d.pages);
	s->ahead[1] = random_below(&s->rng, s->d.pages);
}

/* The next @n pages of a pass. */
static int go_on(struct pool_run *run, struct subject *s, int what, uint64_t n)
{
	_Alignas(UZ_PAGE_SIZE) uint8_t page[UZ_PAGE_SIZE];
	uint64_t began = clock_ns(), end = s->done + n;
	int ret = 0;

	for (; s->done < end && !ret; s->done++) {
		uint64_t at = what < RANDOM ? s->done : s->ahead[0];

		s->ahead[0] = s->ahead[1];
		s->ahead[1] = random_below(&s->rng, s->d.pages);
		if (what == KNOWN)
			uz_device_expect(s->d.io, s->ahead[0], s->ahead[1]);
		if (undo_stopped())
			return -EINTR;
		if (what != FILL && what != OVERWRITE)
			ret = pool_device_submit(s->d.io, UZ_OP_READ, at, page);
		else
			ret = pool_device_submit(s->d.io, UZ_OP_WRITE, at,
						 pool_mix(run, what, at));
	}
	s->ns += (double)(clock_ns() - began);
	return ret;
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static int by_turns(struct pool_run *run, struct subject *s, int what)
{
	uint64_t n = less(SAMPLE, less(s[0].d.pages, s[1].d.pages));
	uint64_t left;
	int ret = 0;

	begin(&s[0]);
	begin(&s[1]);
	for (left = n; left && !ret; left -= less(left, SLICE)) {
		ret = go_on(run, &s[0], what, less(left, SLICE));
		if (!ret)
			ret = go_on(run, &s[1], what, less(left, SLICE));
	}
	for (unsigned int i = 0; i < 2 && !ret; i++)
		stats_add(&s[i].cell[what], s[i].ns / (double)s[i].done);
	return ret;
}

static int fill(struct pool_run *run, struct subject *s)
{
	struct uz_device_stat stat;
	struct pool_memory m;
	int ret;

	begin(s);
	ret = go_on(run, s, FILL, s->d.pages);
	if (!ret)
		ret = pool_device_settle(&s->d);
	if (!ret)
		ret = pool_device_collapse(&s->d);
	if (ret)
		return ret;
	pool_device_memory(&s->d, &m);
	uz_device_stat(s->d.dev, &stat);
	stats_add(&s->cell[FILL], s->ns / (double)s->d.pages);
	stats_add(&s->cell[TABLE], (double)m.table / (double)s->d.pages);
	stats_add(&s->cell[META], (double)m.meta / (double)s->d.pages);
	stats_add(&s->cell[DENSITY], pool_density_of(&m));
	stats_add(&s->cell[HUGE],
		  (double)stat.thp_bytes / (double)(m.used + m.table));
	return 0;
}

static int all_passes(struct pool_run *run, struct subject *s,
		      unsigned int first, struct uz_err *err)
{
	static const char *const doing[] = { "fill", "load",
					     "load at random in",
					     "load with the next known in",
					     "overwrite" };
	char text[2][UZ_SIZE_TEXT], what[96];
	int ret = 0;

	uz_size_format(s[0].size, text[0]);
	uz_size_format(s[1].size, text[1]);
	for (int i = FILL; i <= OVERWRITE && !ret; i++) {
		snprintf(what, sizeof(what), "%s %s and %s", doing[i], text[0],
			 text[1]);
		pool_progress(run, what);
		if (i != FILL) {
			ret = by_turns(run, s, i);
		} else {
			ret = fill(run, &s[first]);
			if (!ret)
				ret = fill(run, &s[!first]);
		}
		if (ret)
			uz_err_set(err, ret, "cannot %s: %s", what,
				   strerror(-ret));
	}
	return ret;
}

static int one_round(struct pool_run *run, struct subject *s,
		     unsigned int first, struct uz_err *err)
{
	int ret = pool_device_open(&s[0].d, run, s[0].size, err);

	if (ret)
		return ret;
	ret = pool_device_open(&s[1].d, run, s[1].size, err);
	if (!ret) {
		ret = all_passes(run, s, first, err);
		pool_device_close(&s[1].d);
	}
	pool_device_close(&s[0].d);
	return ret;
}

static int report(struct pool_run *run, const struct subject *s,
		  struct uz_err *err)
{
	char text[UZ_SIZE_TEXT], what[64];
	struct table_row *row;

	uz_size_format(s->size, text);
	snprintf(what, sizeof(what), "%s stored", text);
	row = pool_row(run, NULL, what, err);
	if (!row)
		return err->code;
	memcpy(row->value, s->cell, sizeof(s->cell));
	return 0;
}

static int run_growth(struct pool_run *run, struct uz_err *err)
{
	struct subject s[2] = { { .size = run->o->size },
				{ .size = run->o->large } };
	/* Looked at before all parts; things may have changed since. */
	int ret = pool_growth_fits(run, err);

	for (unsigned int i = 0; i < run->o->rounds && !ret; i++)
		ret = one_round(run, s, i % 2, err);
	for (unsigned int i = 0; i < 2 && !ret; i++)
		ret = report(run, &s[i], err);
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
