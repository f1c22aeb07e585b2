// SPDX-License-Identifier: MIT
/*
 * "latency": requests of one page by several threads while the device is
 * compacted, and while it is not, in turns.
 *
 * In both halves of a round another thread drops and stores pages at a steady
 * pace, which leaves holes; in one of them it compacts after each batch. Its
 * pages are every fourth one, so that the others' objects lie among the holes
 * and are moved too. Halves change their order from round to round.
 */
#include <string.h>

#include "pool.h"

/* The churning thread: a batch each tick, then so many objects moved. */
#define TICK_NS UINT64_C(2000000)
#define BATCH	64
#define BUDGET	256

#define NR_PERCENTILES 3

static const double percentile[NR_PERCENTILES] = { 50, 99, 99.9 };
static const char *const percentile_name[NR_PERCENTILES] = { "p50", "p99",
							     "p99.9" };

/* Of each percentile: without, with, ratio. */
static const struct table_column columns[] = {
	{ "p50_ns_without", "p50 us", "without", 1e-3, 2 },
	{ "p50_ns_with", "p50 us", "compacted", 1e-3, 2 },
	{ "p50_ratio", "ratio", "p50", 1, 2 },
	{ "p99_ns_without", "p99 us", "without", 1e-3, 1 },
	{ "p99_ns_with", "p99 us", "compacted", 1e-3, 1 },
	{ "p99_ratio", "ratio", "p99", 1, 2 },
	{ "p999_ns_without", "p99.9 us", "without", 1e-3, 1 },
	{ "p999_ns_with", "p99.9 us", "compacted", 1e-3, 1 },
	{ "p999_ratio", "ratio", "p99.9", 1, 2 },
	{ "objects_moved_per_second", "moved", "objects/s", 1, 0 },
};

enum {
	WITHOUT,
	WITH,
	RATIO,
	NR_CELLS
};

#define MOVED	 (NR_PERCENTILES * NR_CELLS)
#define NR_STATS (MOVED + 1)

struct worker {
	const struct pool_run *run;
	struct pool_device *d;
	struct uz_io *io;
	bool churns; /* this thread */
	bool compacts; /* if it is the one that churns */
	bool stores; /* if it is not */
	uint64_t deadline;
	uint64_t rng;
	uint64_t moved;
	int ret;
	struct hist hist;
	_Alignas(UZ_PAGE_SIZE) uint8_t page[UZ_PAGE_SIZE];
};

static const uint8_t *content(struct worker *w, uint64_t page)
{
	return pool_mix(w->run, (unsigned int)(w->rng >> 48), page);
}

static int churn_batch(struct worker *w)
{
	int ret = 0;

	for (unsigned int i = 0; i < BATCH && !ret; i++) {
		uint64_t page = random_below(&w->rng, w->d->pages / 4) * 4;

		if (w->rng >> 63)
			ret = pool_device_submit(w->io, UZ_OP_DISCARD, page,
						 NULL);
		else
			ret = pool_device_submit(w->io, UZ_OP_WRITE, page,
						 content(w, page));
	}
	return ret;
}

static int churn(struct worker *w)
{
	struct uz_pool_compaction done = { 0 };
	uint64_t tick = clock_ns();
	int ret = 0;

	while (tick < w->deadline && !ret) {
		ret = churn_batch(w);
		if (w->compacts)
			uz_device_compact(w->d->dev, UZ_POOL_COMPACT_ALL,
					  BUDGET, &done);
		tick += TICK_NS;
		if (!ret)
			ret = clock_sleep(tick);
	}
	w->moved = done.objects;
	return ret;
}

/* Any page but the churning thread's. */
static uint64_t next_page(struct worker *w)
{
	uint64_t n = random_below(&w->rng, w->d->pages / 4 * 3);

	return n / 3 * 4 + 1 + n % 3;
}

/* One even if it had no CPU before the deadline. */
static int request(struct worker *w)
{
	uint64_t now;

	do {
		uint64_t page = next_page(w), began;
		const void *buf = w->stores ? content(w, page) : w->page;
		int ret;

		began = clock_ns();
		ret = pool_device_submit(
			w->io, w->stores ? UZ_OP_WRITE : UZ_OP_READ, page, buf);
		if (ret)
			return ret;
		now = clock_ns();
		hist_add(&w->hist, now - began);
	} while (now < w->deadline && !undo_stopped());
	return undo_stopped() ? -EINTR : 0;
}

static void run_worker(void *arg)
{
	struct worker *w = arg;

	w->ret = w->churns ? churn(w) : request(w);
}

/* @w: one for each thread of the load, then the one that churns. */
static int run_half(struct worker *w, unsigned int n, double seconds,
		    bool stores, bool compacts, struct stats cell[])
{
	uint64_t deadline = clock_ns() + (uint64_t)(seconds * 1e9);
	int ret;

	for (unsigned int i = 0; i <= n; i++) {
		w[i].stores = stores;
		w[i].compacts = compacts;
		w[i].deadline = deadline;
		memset(&w[i].hist, 0, sizeof(w[i].hist));
	}
	ret = threads_run(n + 1, false, run_worker, w, sizeof(*w));
	for (unsigned int i = 0; i <= n && !ret; i++)
		ret = w[i].ret;
	for (unsigned int i = 1; i < n; i++)
		hist_merge(&w[0].hist, &w[i].hist);
	for (unsigned int i = 0; i < NR_PERCENTILES && !ret; i++)
		stats_add(&cell[i * NR_CELLS + (compacts ? WITH : WITHOUT)],
			  (double)hist_percentile(&w[0].hist, percentile[i]));
	if (compacts && !ret)
		stats_add(&cell[MOVED], (double)w[n].moved / seconds);
	return ret;
}

static int report(struct pool_run *run, const char *what,
		  const struct stats cell[], struct uz_err *err)
{
	struct table_row *row = pool_row(run, NULL, what, err);

	if (!row)
		return err->code;
	row->value[MOVED] = cell[MOVED];
	for (unsigned int i = 0; i < NR_PERCENTILES; i++) {
		const struct stats *c = &cell[i * NR_CELLS];
		struct chart_panel *p;
		char title[64];

		row->value[i * NR_CELLS + WITHOUT] = c[WITHOUT];
		row->value[i * NR_CELLS + WITH] = c[WITH];
		table_set(row, i * NR_CELLS + RATIO,
			  stats_ratio(&c[WITH], &c[WITHOUT]));
		snprintf(title, sizeof(title), "%s, %s", what,
			 percentile_name[i]);
		p = pool_panel(run, title, "us", err);
		if (!p)
			return err->code;
		p->value[POOL_BAR_WITHOUT] = stats_median(&c[WITHOUT]) / 1e3;
		p->value[POOL_BAR_WITH] = stats_median(&c[WITH]) / 1e3;
	}
	return 0;
}

static int measure(struct pool_run *run, struct worker *w, bool stores,
		   struct uz_err *err)
{
	struct stats cell[NR_STATS] = { 0 };
	const char *what = stores ? "stores" : "loads";
	const struct pool_options *o = run->o;

	pool_progress(run, what);
	for (unsigned int i = 0; i < o->rounds * 2; i++) {
		/* without, with; with, without; ... */
		bool compacts = (i ^ i >> 1) & 1;
		int ret = run_half(w, o->threads, o->seconds, stores, compacts,
				   cell);

		if (ret)
			return uz_err_set(err, ret, "latency: %s",
					  strerror(-ret));
	}
	return report(run, what, cell, err);
}

/* Full, but for half of the pages of the thread that churns. */
static int fill(struct pool_run *run, struct pool_device *d, struct uz_err *err)
{
	pool_progress(run, "fill");
	for (uint64_t i = 0; i < d->pages; i++) {
		int ret = undo_stopped() ? -EINTR : 0;

		if (!ret)
			ret = pool_device_submit(d->io, UZ_OP_WRITE, i,
						 pool_mix(run, 0, i));
		if (ret)
			return uz_err_set(err, ret, "cannot store: %s",
					  strerror(-ret));
	}
	for (uint64_t i = 0; i < d->pages; i += 8)
		if (pool_device_submit(d->io, UZ_OP_DISCARD, i, NULL))
			return uz_err_set(err, -EIO, "cannot discard");
	return 0;
}

static int run_workers(struct pool_run *run, struct pool_device *d,
		       struct worker *w, struct uz_err *err)
{
	unsigned int n = run->o->threads + 1;
	int ret = 0;

	for (unsigned int i = 0; i < n && !ret; i++) {
		w[i].run = run;
		w[i].d = d;
		w[i].rng = random_mix(i);
		w[i].churns = i == run->o->threads;
		ret = uz_io_create(d->dev, &w[i].io);
	}
	if (ret)
		uz_err_set(err, ret, "threads: %s", strerror(-ret));
	if (!ret)
		ret = measure(run, w, false, err);
	if (!ret)
		ret = measure(run, w, true, err);
	if (!ret)
		ret = pool_device_check(d, err);
	for (unsigned int i = 0; i < n; i++)
		uz_io_destroy(w[i].io);
	return ret;
}

static int run_latency(struct pool_run *run, struct uz_err *err)
{
	size_t size = (run->o->threads + 1) * sizeof(struct worker);
	struct worker *w = aligned_alloc(UZ_PAGE_SIZE, size);
	struct pool_device d;
	int ret;

	if (!w)
		return uz_err_set(err, -ENOMEM, "no memory");
	memset(w, 0, size);
	ret = pool_device_open(&d, run, run->o->size, err);
	if (!ret) {
		ret = fill(run, &d, err);
		if (!ret)
			ret = run_workers(run, &d, w, err);
		pool_device_close(&d);
	}
	free(w);
	return ret;
}

const struct pool_part pool_latency = {
	.name = "latency",
	.title = "requests of 4 KiB at random while another thread drops and\n"
		 "stores pages, with compaction after each of its batches and "
		 "without",
	.nr_columns = sizeof(columns) / sizeof(columns[0]),
	.column = columns,
	.run = run_latency,
};
