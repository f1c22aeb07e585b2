// SPDX-License-Identifier: MIT
/*
 * "recompress": each corpus stored with the first codec, then recompressed
 * with zstd and compacted; beside it kernel zram with the first codec alone.
 *
 * One thread loads pages at random before, and while the recompression goes
 * on, which therefore keeps to its share of the time; once that is measured
 * nobody loads any more and it goes on at full speed to its end. The two are
 * of the same round and the same pages.
 */
#include <pthread.h>
#include <string.h>

#include "pool.h"

#define SECONDARY "zstd"

enum {
	ALL_BEFORE,
	ALL_AFTER,
	TO_BEFORE,
	TO_ZRAM,
	DENSITY,
	SECONDS,
	P99_WITHOUT,
	P99_WITH,
	P99_RATIO,
	NR_STATS,
};

static const struct table_column columns[NR_STATS] = {
	{ "all_bytes_before", "all", "MB", 1e-6, 1 },
	{ "all_bytes_after", "after", "MB", 1e-6, 1 },
	{ "after_to_before", "after by", "before", 1, 3 },
	{ "after_to_zram", "after by", "zram's", 1, 3 },
	{ "density_after", "density", "after", 1, 4 },
	{ "seconds", "alone", "seconds", 1, 2 },
	{ "load_p99_ns_without", "p99 us", "without", 1e-3, 1 },
	{ "load_p99_ns_with", "p99 us", "meanwhile", 1e-3, 1 },
	{ "load_p99_ratio", "ratio", "p99", 1, 2 },
};

/* What one round has found; ALL_* of kernel zram come once a corpus. */
struct round {
	struct pool_memory before, after;
	struct hist *without, *with;
	double seconds; /* that the recompression took with nobody else */
};

struct job {
	struct uz_recompressor *recompressor;
	struct uz_err err;
	int ret;
};

static void *recompress(void *arg)
{
	static const struct uz_recompress_order every_page = {
		.max_pages = UINT64_MAX,
	};
	struct job *job = arg;

	job->ret = uz_recompressor_run(job->recompressor, &every_page, 0,
				       &job->err);
	return NULL;
}

static int load_some(struct pool_device *d, double seconds, struct hist *hist,
		     struct uz_err *err)
{
	_Alignas(UZ_PAGE_SIZE) uint8_t page[UZ_PAGE_SIZE];
	uint64_t now = clock_ns(), rng = random_mix(1);
	const uint64_t deadline = now + (uint64_t)(seconds * 1e9);

	while (now < deadline && !undo_stopped()) {
		uint64_t i = random_below(&rng, d->pages), began = now;
		int ret = pool_device_submit(d->io, UZ_OP_READ, i, page);

		if (ret)
			return uz_err_set(err, ret, "page %llu: %s",
					  (unsigned long long)i,
					  strerror(-ret));
		now = clock_ns();
		hist_add(hist, now - began);
	}
	return undo_stopped() ? uz_err_set(err, -EINTR, "interrupted") : 0;
}

/* The recompression is over when this returns. */
static int both(const struct pool_run *run, struct pool_device *d,
		struct job *job, struct round *r, struct uz_err *err)
{
	uint64_t alone;
	pthread_t id;
	int ret = -pthread_create(&id, NULL, recompress, job);

	if (ret)
		return uz_err_set(err, ret, "no thread: %s", strerror(-ret));
	ret = load_some(d, run->o->seconds, r->with, err);
	alone = clock_ns();
	if (ret)
		uz_recompressor_interrupt(job->recompressor, 0);
	pthread_join(id, NULL);
	r->seconds = (double)(clock_ns() - alone) / 1e9;
	if (!ret && job->ret)
		ret = uz_err_set(err, job->ret, "%s", job->err.text);
	return ret;
}

static int run_round(const struct pool_run *run, const struct corpus *corpus,
		     struct pool_device *d, struct round *r, struct uz_err *err)
{
	struct job job = { 0 };
	int ret = uz_device_set_secondary(d->dev, 1, SECONDARY, err);

	if (!ret)
		ret = pool_device_fill(d, corpus, err);
	if (ret)
		return ret;
	pool_device_memory(d, &r->before);
	ret = load_some(d, run->o->seconds, r->without, err);
	if (ret)
		return ret;
	ret = uz_recompressor_create(&job.recompressor, d->dev);
	if (ret)
		return uz_err_set(err, ret, "no memory");
	ret = both(run, d, &job, r, err);
	uz_recompressor_destroy(job.recompressor);
	if (!ret && pool_device_settle(d))
		ret = uz_err_set(err, -EINTR, "interrupted");
	pool_device_memory(d, &r->after);
	return ret ? ret : pool_device_check(d, err);
}

static void add(struct stats cell[], const struct round *r, uint64_t zram)
{
	double without = (double)hist_percentile(r->without, 99);
	double with = (double)hist_percentile(r->with, 99);
	double after = (double)r->after.all;

	stats_add(&cell[ALL_BEFORE], (double)r->before.all);
	stats_add(&cell[ALL_AFTER], after);
	stats_add(&cell[TO_BEFORE], after / (double)r->before.all);
	if (zram)
		stats_add(&cell[TO_ZRAM], after / (double)zram);
	stats_add(&cell[DENSITY], pool_density_of(&r->after));
	stats_add(&cell[SECONDS], r->seconds);
	stats_add(&cell[P99_WITHOUT], without);
	stats_add(&cell[P99_WITH], with);
	stats_add(&cell[P99_RATIO], with / without);
}

static int measure(struct pool_run *run, const struct corpus *corpus,
		   uint64_t zram, struct stats cell[], struct uz_err *err)
{
	struct hist *hist = calloc(2, sizeof(*hist));
	int ret = 0;

	if (!hist)
		return uz_err_set(err, -ENOMEM, "no memory");
	for (unsigned int i = 0; i < run->o->rounds && !ret; i++) {
		struct round r = { .without = &hist[0], .with = &hist[1] };
		struct pool_device d;

		memset(hist, 0, 2 * sizeof(*hist));
		ret = pool_device_open(&d, run, run->o->size, err);
		if (ret)
			break;
		ret = run_round(run, corpus, &d, &r, err);
		pool_device_close(&d);
		if (!ret)
			add(cell, &r, zram);
	}
	free(hist);
	return ret;
}

static int kernel(struct pool_run *run, const struct corpus *corpus,
		  uint64_t *all, struct uz_err *err)
{
	struct pool_memory m = { 0 };
	struct pool_zram z;
	int ret = pool_zram_open(&z, run, err);

	if (ret)
		return ret;
	if (z.here) {
		ret = pool_zram_fill(&z, run, corpus, err);
		if (!ret)
			ret = pool_zram_memory(&z, &m, err);
	}
	pool_zram_close(&z);
	*all = m.all;
	return ret;
}

static int one(struct pool_run *run, const struct corpus *corpus,
	       struct uz_err *err)
{
	struct stats cell[NR_STATS] = { 0 };
	struct table_row *row;
	struct chart_panel *p;
	uint64_t zram;
	int ret;

	pool_progress(run, corpus->name);
	ret = kernel(run, corpus, &zram, err);
	if (!ret)
		ret = measure(run, corpus, zram, cell, err);
	if (ret)
		return ret;
	row = pool_row(run, corpus, "to " SECONDARY, err);
	p = row ? pool_panel(run, corpus->name, "MB", err) : NULL;
	if (!p)
		return err->code;
	memcpy(row->value, cell, sizeof(cell));
	p->value[POOL_BAR_UZRAM] = stats_median(&cell[ALL_AFTER]) / 1e6;
	p->value[POOL_BAR_ZRAM] = (double)zram / 1e6;
	return 0;
}

static int run_recompress(struct pool_run *run, struct uz_err *err)
{
	struct uz_err why = { 0 };
	struct uz_codec codec;
	int ret = 0;

	if (uz_codec_parse(SECONDARY, &codec, &why)) {
		snprintf(run->table->note, sizeof(run->table->note),
			 "(left out: %s)", why.text);
		return 0;
	}
	for (unsigned int i = 0; i < run->nr_corpora && !ret; i++)
		ret = one(run, &run->corpus[i], err);
	return ret;
}

const struct pool_part pool_recompress = {
	.name = "recompress",
	.title = "each corpus stored, recompressed with " SECONDARY
		 " and compacted;\nloads of 4 KiB at random before and "
		 "meanwhile",
	.nr_columns = NR_STATS,
	.column = columns,
	.run = run_recompress,
};
