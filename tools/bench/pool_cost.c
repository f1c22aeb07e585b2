// SPDX-License-Identifier: MIT
/*
 * "cost": nanoseconds of the pool's pairs of calls, by one thread with nobody
 * beside it, in a pool that holds objects.
 */
#include <string.h>

#include <uzram/util/cleanup.h>

#include "pool.h"

enum {
	PAIR_NS
};

static const struct table_column columns[] = {
	{ "pair_ns", "a pair", "ns", 1, 1 },
};

#define PAIRS	  (1u << 18)
#define STORE_MAX (UINT64_C(64) << 20)

static const uint32_t alloc_sizes[] = { 64, 512, 1536, 3072, 4100 };

#define NR_ALLOC (sizeof(alloc_sizes) / sizeof(alloc_sizes[0]))
#define NR_COSTS (2 + NR_ALLOC)

static double map_pairs(struct pool_store *s, const uint32_t *order,
			bool random)
{
	uint64_t began = clock_ns();

	for (uint32_t i = 0; i < PAIRS; i++) {
		struct uz_map map;

		if (pool_store_map(s, random ? order[i % s->n] : 0, &map))
			uz_pool_unmap(s->pool, &map);
	}
	return (double)(clock_ns() - began) / PAIRS;
}

static int alloc_pairs(struct pool_store *s, uint32_t size, double *ns)
{
	uint64_t began;
	uz_ref_t kept;
	int ret = uz_pool_alloc(s->pool, size, 0, 0, &kept);

	/* Or each pair would also make a zspage. */
	if (ret)
		return ret;
	began = clock_ns();
	for (uint32_t i = 0; i < PAIRS; i++) {
		uz_ref_t ref;

		ret = uz_pool_alloc(s->pool, size, 0, 0, &ref);
		if (ret)
			break;
		uz_pool_free(s->pool, ref);
	}
	*ns = (double)(clock_ns() - began) / PAIRS;
	uz_pool_free(s->pool, kept);
	return ret;
}

static int measure(struct pool_store *s, const uint32_t *order,
		   unsigned int rounds, struct stats *cost, struct uz_err *err)
{
	for (unsigned int r = 0; r < rounds; r++) {
		if (undo_stopped())
			return uz_err_set(err, -EINTR, "interrupted");
		stats_add(&cost[0], map_pairs(s, order, false));
		stats_add(&cost[1], map_pairs(s, order, true));
		for (unsigned int i = 0; i < NR_ALLOC; i++) {
			double ns;
			int ret = alloc_pairs(s, alloc_sizes[i], &ns);

			if (ret)
				return uz_err_set(err, ret, "alloc: %s",
						  strerror(-ret));
			stats_add(&cost[2 + i], ns);
		}
	}
	return 0;
}

static int report(struct pool_run *run, const struct stats *cost,
		  struct uz_err *err)
{
	for (unsigned int i = 0; i < NR_COSTS; i++) {
		struct table_row *row;
		char what[64];

		if (i < 2)
			snprintf(what, sizeof(what), "map, unmap: %s",
				 i ? "random objects" : "one object");
		else
			snprintf(what, sizeof(what), "alloc, free: %u bytes",
				 alloc_sizes[i - 2]);
		row = pool_row(run, NULL, what, err);
		if (!row)
			return err->code;
		row->value[PAIR_NS] = cost[i];
	}
	return 0;
}

static int run_cost(struct pool_run *run, struct uz_err *err)
{
	uint64_t size = run->o->size < STORE_MAX ? run->o->size : STORE_MAX;
	uint64_t n = size >> UZ_PAGE_SHIFT;
	uz_autofree uint32_t *order = calloc(n, sizeof(*order));
	struct stats cost[NR_COSTS] = { 0 };
	struct pool_store s;
	int ret;

	if (!order)
		return uz_err_set(err, -ENOMEM, "no memory");
	random_order(order, n, 1);
	pool_progress(run, "all pairs");
	ret = pool_store_open(&s, run, n, err);
	if (ret)
		return ret;
	ret = pool_store_fill(&s, err);
	if (!ret)
		ret = measure(&s, order, run->o->rounds, cost, err);
	pool_store_close(&s);
	return ret ? ret : report(run, cost, err);
}

const struct pool_part pool_cost = {
	.name = "cost",
	.title = "one thread, nobody beside it",
	.any_codec = true,
	.nr_columns = sizeof(columns) / sizeof(columns[0]),
	.column = columns,
	.run = run_cost,
};
