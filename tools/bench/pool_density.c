// SPDX-License-Identifier: MIT
/*
 * "density": each corpus once from the start to the end of the device, and
 * what the pool and all of it take; beside it kernel zram with the same.
 */
#include <string.h>

#include "pool.h"

enum {
	COMPRESSED,
	USED_AT_ONCE,
	USED,
	META,
	DENSITY_AT_ONCE,
	DENSITY,
	ALL,
	RESIDENT,
	RATIO,
};

static const struct table_column columns[] = {
	{ "compressed_bytes", "compressed", "MB", 1e-6, 1 },
	{ "pool_bytes_at_once", "at once", "MB", 1e-6, 1 },
	{ "pool_bytes", "at rest", "MB", 1e-6, 1 },
	{ "pool_meta_bytes", "metadata", "MB", 1e-6, 2 },
	{ "density_at_once", "density", "at once", 1, 4 },
	{ "density", "density", "at rest", 1, 4 },
	{ "all_bytes", "all", "MB", 1e-6, 1 },
	{ "mem_resident", "resident", "MB", 1e-6, 1 },
	{ "all_to_zram", "all by", "zram's", 1, 4 },
};

static int fill(struct pool_device *d, const struct corpus *corpus,
		struct uz_err *err)
{
	for (uint64_t i = 0; i < d->pages; i++) {
		int ret = pool_device_submit(d->io, UZ_OP_WRITE, i,
					     corpus_page(corpus, i));

		if (!ret && undo_stopped())
			ret = -EINTR;
		if (ret)
			return uz_err_set(err, ret, "cannot store: %s",
					  strerror(-ret));
	}
	return 0;
}

static int verify(struct pool_device *d, const struct corpus *corpus,
		  struct uz_err *err)
{
	_Alignas(UZ_PAGE_SIZE) uint8_t page[UZ_PAGE_SIZE];

	for (uint64_t i = 0; i < d->pages; i++) {
		int ret = pool_device_submit(d->io, UZ_OP_READ, i, page);

		if (!ret && memcmp(page, corpus_page(corpus, i), sizeof(page)))
			ret = -EUCLEAN;
		if (!ret && undo_stopped())
			ret = -EINTR;
		if (ret)
			return uz_err_set(err, ret,
					  "page %llu is not what was stored",
					  (unsigned long long)i);
	}
	return 0;
}

static int fill_ours(struct pool_run *run, const struct corpus *corpus,
		     struct pool_memory *at_once, struct pool_memory *at_rest,
		     struct uz_err *err)
{
	struct pool_device d;
	int ret = pool_device_open(&d, run, run->o->size, err);

	if (ret)
		return ret;
	ret = fill(&d, corpus, err);
	if (!ret) {
		pool_device_memory(&d, at_once);
		ret = pool_device_settle(&d);
		if (ret)
			uz_err_set(err, ret, "interrupted");
		pool_device_memory(&d, at_rest);
	}
	if (!ret)
		ret = verify(&d, corpus, err);
	pool_device_close(&d);
	return ret;
}

static int report_ours(struct pool_run *run, const struct corpus *corpus,
		       const struct pool_memory *at_once,
		       const struct pool_memory *at_rest, uint64_t zram_all,
		       struct uz_err *err)
{
	struct table_row *row = pool_row(run, corpus, "uzram", err);

	if (!row)
		return err->code;
	table_set(row, COMPRESSED, (double)at_rest->compressed);
	table_set(row, USED_AT_ONCE, (double)at_once->used);
	table_set(row, USED, (double)at_rest->used);
	table_set(row, META, (double)at_rest->meta);
	table_set(row, DENSITY_AT_ONCE, pool_density_of(at_once));
	table_set(row, DENSITY, pool_density_of(at_rest));
	table_set(row, ALL, (double)at_rest->all);
	table_set(row, RESIDENT, (double)at_rest->resident);
	if (zram_all)
		table_set(row, RATIO, (double)at_rest->all / (double)zram_all);
	return 0;
}

static int report_zram(struct pool_run *run, const struct corpus *corpus,
		       const struct pool_memory *m, struct uz_err *err)
{
	struct table_row *row = pool_row(run, corpus, "kernel zram", err);

	if (!row)
		return err->code;
	table_set(row, COMPRESSED, (double)m->compressed);
	table_set(row, USED, (double)m->used);
	table_set(row, DENSITY, pool_density_of(m));
	table_set(row, ALL, (double)m->all);
	return 0;
}

static int chart(struct pool_run *run, const struct corpus *corpus,
		 const struct pool_memory *ours, const struct pool_memory *zram,
		 struct uz_err *err)
{
	struct chart_panel *p =
		pool_panel(run, corpus->name, "% density, filled", err);

	if (!p)
		return err->code;
	p->value[POOL_BAR_UZRAM] = 100 * pool_density_of(ours);
	p->value[POOL_BAR_ZRAM] = 100 * pool_density_of(zram);
	return 0;
}

static int one(struct pool_run *run, const struct corpus *corpus,
	       struct uz_err *err)
{
	struct pool_memory at_once, at_rest, theirs = { 0 };
	struct pool_zram z;
	int ret;

	pool_progress(run, corpus->name);
	ret = fill_ours(run, corpus, &at_once, &at_rest, err);
	if (!ret)
		ret = pool_zram_open(&z, run, err);
	if (ret)
		return ret;
	if (z.here) {
		pool_progress(run, "kernel zram");
		ret = pool_zram_fill(&z, run, corpus, err);
		if (!ret)
			ret = pool_zram_memory(&z, &theirs, err);
	}
	if (!ret)
		ret = report_ours(run, corpus, &at_once, &at_rest, theirs.all,
				  err);
	if (!ret && z.here)
		ret = report_zram(run, corpus, &theirs, err);
	pool_zram_close(&z);
	return ret ? ret : chart(run, corpus, &at_rest, &theirs, err);
}

static int run_density(struct pool_run *run, struct uz_err *err)
{
	int ret = 0;

	for (unsigned int i = 0; i < run->nr_corpora && !ret; i++)
		ret = one(run, &run->corpus[i], err);
	return ret;
}

const struct pool_part pool_density = {
	.name = "density",
	.title = "each corpus stored once, in order;\n"
		 "density is compressed bytes by those of the pool and its "
		 "metadata, \"all\"\nwhat was taken in all, table included",
	.nr_columns = sizeof(columns) / sizeof(columns[0]),
	.column = columns,
	.run = run_density,
};
