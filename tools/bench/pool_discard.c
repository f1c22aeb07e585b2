// SPDX-License-Identifier: MIT
/*
 * "discard": nine tenths of the pages dropped at random, then compaction: how
 * near the arena comes to what still lives in it, and how soon.
 *
 * The arena is the kernel's count of the memfd's blocks, not ours.
 */
#include <string.h>

#include <uzram/util/cleanup.h>

#include "pool.h"

enum {
	LIVE,
	ARENA,
	RATIO,
	SECONDS,
	MOVED
};

static const struct table_column columns[] = {
	{ "live_bytes", "live", "MB", 1e-6, 1 },
	{ "arena_bytes", "memfd", "MB", 1e-6, 1 },
	{ "arena_to_live", "memfd by", "live", 1, 3 },
	{ "seconds", "took", "s", 1, 3 },
	{ "objects_moved", "moved", "objects", 1, 0 },
};

static struct table_row *report(struct pool_run *run, struct pool_device *d,
				const char *what, double seconds,
				struct uz_err *err)
{
	struct table_row *row = pool_row(run, NULL, what, err);
	uint64_t arena = pool_device_arena(d);
	struct pool_memory m;

	if (!row)
		return NULL;
	pool_device_memory(d, &m);
	table_set(row, LIVE, (double)m.compressed);
	table_set(row, ARENA, (double)arena);
	if (m.compressed)
		table_set(row, RATIO, (double)arena / (double)m.compressed);
	table_set(row, SECONDS, seconds);
	return row;
}

static double since(uint64_t began)
{
	return (double)(clock_ns() - began) / 1e9;
}

static int submit_all(struct pool_run *run, struct pool_device *d,
		      enum uz_op op, const uint32_t *order, uint64_t n,
		      struct uz_err *err)
{
	for (uint64_t i = 0; i < n; i++) {
		const void *page =
			op == UZ_OP_WRITE ? pool_mix(run, 0, order[i]) : NULL;
		int ret = pool_device_submit(d->io, op, order[i], page);

		if (!ret && undo_stopped())
			ret = -EINTR;
		if (ret)
			return uz_err_set(err, ret, "a page: %s",
					  strerror(-ret));
	}
	return 0;
}

/* From the beginning of compaction until the memfd stopped shrinking. */
static int compact(struct pool_run *run, struct pool_device *d,
		   struct uz_err *err)
{
	struct uz_pool_compaction done = { 0 };
	uint64_t began = clock_ns(), ended;
	struct table_row *row;

	pool_progress(run, "compaction");
	if (pool_device_compact(d, &done) ||
	    settle_wait(pool_device_arena, d, &ended))
		return uz_err_set(err, -EINTR, "interrupted");
	row = report(run, d, "compacted, memfd shrunk",
		     (double)(ended - began) / 1e9, err);
	if (!row)
		return err->code;
	table_set(row, MOVED, (double)done.objects);
	return pool_device_check(d, err);
}

static int discard(struct pool_run *run, struct pool_device *d, uint32_t *order,
		   struct uz_err *err)
{
	uint64_t began = clock_ns();
	int ret;

	for (uint64_t i = 0; i < d->pages; i++)
		order[i] = (uint32_t)i;
	pool_progress(run, "fill");
	ret = submit_all(run, d, UZ_OP_WRITE, order, d->pages, err);
	if (!ret && pool_device_settle(d))
		ret = uz_err_set(err, -EINTR, "interrupted");
	if (!ret && !report(run, d, "filled", since(began), err))
		ret = err->code;
	if (ret)
		return ret;
	pool_progress(run, "discard");
	random_order(order, d->pages, 1);
	began = clock_ns();
	ret = submit_all(run, d, UZ_OP_DISCARD, order, d->pages * 9 / 10, err);
	if (!ret && !report(run, d, "90 % discarded", since(began), err))
		ret = err->code;
	return ret ? ret : compact(run, d, err);
}

static int run_discard(struct pool_run *run, struct uz_err *err)
{
	uz_autofree uint32_t *order =
		calloc(run->o->size >> UZ_PAGE_SHIFT, sizeof(*order));
	struct pool_device d;
	int ret;

	if (!order)
		return uz_err_set(err, -ENOMEM, "no memory");
	ret = pool_device_open(&d, run, run->o->size, err);
	if (ret)
		return ret;
	ret = discard(run, &d, order, err);
	pool_device_close(&d);
	return ret;
}

const struct pool_part pool_discard = {
	.name = "discard",
	.title = "nine tenths of the pages dropped at random, then "
		 "compaction;\nlive is compressed bytes, memfd the arena's "
		 "blocks as the kernel counts them",
	.nr_columns = sizeof(columns) / sizeof(columns[0]),
	.column = columns,
	.run = run_discard,
};
