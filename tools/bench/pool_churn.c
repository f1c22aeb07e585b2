// SPDX-License-Identifier: MIT
/*
 * "churn": a full device overwritten again and again, in another random order
 * each time, by pages of all corpora, while it is compacted in the background;
 * then compaction until nothing more can be gained. Kernel zram gets the same
 * pages in the same order.
 */
#include <string.h>

#include <uzram/util/cleanup.h>

#include "pool.h"

enum {
	COMPRESSED,
	USED,
	META,
	DENSITY,
	ALL,
	RATIO,
	SECONDS,
	MOVED
};

static const struct table_column columns[] = {
	{ "compressed_bytes", "compressed", "MB", 1e-6, 1 },
	{ "pool_bytes", "pool", "MB", 1e-6, 1 },
	{ "pool_meta_bytes", "metadata", "MB", 1e-6, 2 },
	{ "density", "density", "", 1, 4 },
	{ "all_bytes", "all", "MB", 1e-6, 1 },
	{ "all_to_zram", "all by", "zram's", 1, 4 },
	{ "seconds", "took", "s", 1, 2 },
	{ "objects_moved", "moved", "objects", 1, 0 },
};

/* The moments at which memory is read. */
enum {
	FILLED,
	CHURNED,
	RESTED,
	COMPACTED,
	NR_MOMENTS,
};

static const char *const moment_name[NR_MOMENTS] = {
	"filled",
	"overwritten",
	"left alone",
	"compacted",
};

struct moment {
	struct pool_memory memory;
	double seconds;
	double moved;
};

/* What is overwritten: a device of ours, or the kernel's. */
struct subject {
	struct pool_device *ours;
	struct pool_zram *zram;
	uint32_t *order;
};

static int store(const struct subject *s, uint64_t page, const void *buf,
		 struct uz_err *err)
{
	int ret;

	if (undo_stopped())
		return uz_err_set(err, -EINTR, "interrupted");
	if (s->zram)
		return pool_zram_write(s->zram, page, buf, err);
	ret = pool_device_submit(s->ours->io, UZ_OP_WRITE, page, buf);
	return ret ? uz_err_set(err, ret, "cannot store: %s", strerror(-ret))
		   : 0;
}

/* Round 0 is the fill, in order. */
static int overwrite(struct pool_run *run, const struct subject *s,
		     unsigned int round, struct uz_err *err)
{
	uint64_t pages = run->o->size >> UZ_PAGE_SHIFT;
	char what[64];
	int ret = 0;

	snprintf(what, sizeof(what), "%s, round %u of %u",
		 s->zram ? "kernel zram" : "uzram", round, run->o->churn);
	pool_progress(run, what);
	random_order(s->order, pages, round);
	for (uint64_t i = 0; i < pages && !ret; i++) {
		uint64_t page = round ? s->order[i] : i;

		ret = store(s, page, pool_mix(run, round, page), err);
	}
	return ret;
}

static int look(const struct subject *s, struct moment *m, uint64_t began,
		struct uz_err *err)
{
	struct uz_device_stat stat;

	m->seconds = (double)(clock_ns() - began) / 1e9;
	if (s->zram)
		return pool_zram_memory(s->zram, &m->memory, err);
	pool_device_memory(s->ours, &m->memory);
	uz_device_stat(s->ours->dev, &stat);
	m->moved = (double)stat.objects_moved;
	return 0;
}

/* Nothing that zram would do. */
static int rest(const struct subject *s, struct uz_err *err)
{
	if (s->ours && pool_device_settle(s->ours))
		return uz_err_set(err, -EINTR, "interrupted");
	return 0;
}

static int compact(const struct subject *s, struct uz_err *err)
{
	struct uz_pool_compaction done = { 0 };

	if (s->zram)
		return pool_zram_compact(s->zram, err);
	if (pool_device_compact(s->ours, &done))
		return uz_err_set(err, -EINTR, "interrupted");
	return 0;
}

static int churn(struct pool_run *run, const struct subject *s,
		 struct moment *m, struct uz_err *err)
{
	uint64_t began = clock_ns();
	int ret = overwrite(run, s, 0, err);

	if (!ret)
		ret = rest(s, err);
	if (!ret)
		ret = look(s, &m[FILLED], began, err);
	began = clock_ns();
	for (unsigned int r = 1; r <= run->o->churn && !ret; r++)
		ret = overwrite(run, s, r, err);
	if (!ret)
		ret = look(s, &m[CHURNED], began, err);
	began = clock_ns();
	if (!ret)
		ret = rest(s, err);
	if (!ret)
		ret = look(s, &m[RESTED], began, err);
	pool_progress(run, "compaction");
	began = clock_ns();
	if (!ret)
		ret = compact(s, err);
	return ret ? ret : look(s, &m[COMPACTED], began, err);
}

static int report(struct pool_run *run, const struct moment *m,
		  const struct moment *zram, const char *who,
		  struct uz_err *err)
{
	for (unsigned int i = 0; i < NR_MOMENTS; i++) {
		const struct pool_memory *now = &m[i].memory;
		struct table_row *row;
		char what[64];

		snprintf(what, sizeof(what), "%s, %s", who, moment_name[i]);
		row = pool_row(run, NULL, what, err);
		if (!row)
			return err->code;
		table_set(row, COMPRESSED, (double)now->compressed);
		table_set(row, USED, (double)now->used);
		table_set(row, DENSITY, pool_density_of(now));
		table_set(row, ALL, (double)now->all);
		table_set(row, SECONDS, m[i].seconds);
		if (m == zram)
			continue;
		table_set(row, META, (double)now->meta);
		table_set(row, MOVED, m[i].moved);
		if (zram)
			table_set(row, RATIO,
				  (double)now->all /
					  (double)zram[i].memory.all);
	}
	return 0;
}

static int chart(struct pool_run *run, const struct moment *m,
		 const struct moment *zram, struct uz_err *err)
{
	for (unsigned int i = CHURNED; i < NR_MOMENTS; i++) {
		struct chart_panel *p;

		p = pool_panel(run, moment_name[i], "% density", err);
		if (!p)
			return err->code;
		p->value[POOL_BAR_UZRAM] = 100 * pool_density_of(&m[i].memory);
		if (zram)
			p->value[POOL_BAR_ZRAM] =
				100 * pool_density_of(&zram[i].memory);
	}
	return 0;
}

static int churn_zram(struct pool_run *run, uint32_t *order, struct moment *m,
		      bool *here, struct uz_err *err)
{
	struct pool_zram z;
	int ret = pool_zram_open(&z, run, err);

	if (ret)
		return ret;
	*here = z.here;
	if (z.here)
		ret = churn(run,
			    &(struct subject){ .zram = &z, .order = order }, m,
			    err);
	pool_zram_close(&z);
	return ret;
}

static int run_churn(struct pool_run *run, struct uz_err *err)
{
	struct moment ours[NR_MOMENTS] = { 0 }, zram[NR_MOMENTS] = { 0 };
	uint64_t pages = run->o->size >> UZ_PAGE_SHIFT;
	uz_autofree uint32_t *order = calloc(pages, sizeof(*order));
	struct subject s = { .order = order };
	struct pool_device d;
	bool here = false;
	int ret;

	if (!order)
		return uz_err_set(err, -ENOMEM, "no memory");
	/* Touched before, or it would be counted as the device's. */
	random_order(order, pages, 0);
	ret = pool_device_open(&d, run, run->o->size, err);
	if (ret)
		return ret;
	s.ours = &d;
	ret = pool_device_background(&d, err);
	if (!ret)
		ret = churn(run, &s, ours, err);
	if (!ret)
		ret = pool_device_check(&d, err);
	pool_device_close(&d);
	if (!ret)
		ret = churn_zram(run, order, zram, &here, err);
	if (!ret)
		ret = report(run, ours, here ? zram : NULL, "uzram", err);
	if (!ret && here)
		ret = report(run, zram, zram, "kernel zram", err);
	return ret ? ret : chart(run, ours, here ? zram : NULL, err);
}

const struct pool_part pool_churn = {
	.name = "churn",
	.title =
		"filled, overwritten in random order with compaction in the "
		"background,\nleft alone, compacted; the pages are those of all "
		"corpora, mixed",
	.nr_columns = sizeof(columns) / sizeof(columns[0]),
	.column = columns,
	.run = run_churn,
};
