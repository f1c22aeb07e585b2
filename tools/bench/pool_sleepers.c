// SPDX-License-Identifier: MIT
/*
 * "sleepers": a thread that has objects of many zspages mapped and sleeps,
 * beside one that loads and one that stores; the same without its maps, in
 * turns. Then what compaction gives back while they are mapped, and after.
 *
 * On a pool without a device, where no codec hides a delay. Halves of a round
 * change their order from round to round.
 */
#include <string.h>
#include <sys/stat.h>

#include <uzram/util/cleanup.h>

#include "pool.h"

#define SLEEPER_MAPS 1000

enum {
	WITHOUT,
	WITH,
	RATIO,
	MEMFD,
	LIVE,
	DEFERRED
};

static const struct table_column columns[] = {
	{ "per_second_without", "without", "1000/s", 1e-3, 1 },
	{ "per_second_with", "mapped", "1000/s", 1e-3, 1 },
	{ "ratio", "mapped by", "without", 1, 3 },
	{ "arena_bytes", "memfd", "MB", 1e-6, 1 },
	{ "live_bytes", "live", "MB", 1e-6, 1 },
	{ "deferred_bytes", "deferred", "MB", 1e-6, 2 },
};

enum role {
	LOADS,
	STORES,
	SLEEPS,
	NR_ROLES
};

/* What the three threads of a half share. */
struct half {
	struct pool_store *store;
	uint64_t deadline;
	uint32_t nr_maps;
	uint32_t *owner;
	struct uz_map *map;
};

struct worker {
	struct half *half;
	enum role role;
	uint64_t rng;
	uint64_t done;
	double rate;
	int ret;
	uint8_t page[UZ_PAGE_SIZE];
};

static uint32_t map_all(struct half *h)
{
	uint32_t held = 0;

	for (uint32_t i = 0; i < h->nr_maps; i++)
		held += pool_store_map(h->store, h->owner[i], &h->map[held]);
	return held;
}

static void unmap_all(struct half *h, uint32_t held)
{
	while (held)
		uz_pool_unmap(h->store->pool, &h->map[--held]);
}

/* May sleep with one map only if the allocator lets it: run_sleepers(). */
static int sleep_mapped(struct half *h)
{
	uint32_t held = map_all(h);
	int ret = clock_sleep(h->deadline);

	unmap_all(h, held);
	return ret;
}

/* Something even if it had no CPU before the deadline. */
static int work(struct worker *w)
{
	struct pool_store *s = w->half->store;

	do {
		if (undo_stopped())
			return -EINTR;
		/* Few looks at the clock, it costs as much as a load. */
		for (unsigned int i = 0; i < 32; i++, w->done++) {
			uint64_t page = random_below(&w->rng, s->n);
			int ret = 0;

			if (w->role == STORES)
				ret = pool_store_put(s, page, w->rng);
			else
				pool_store_get(s, page, w->page);
			if (ret)
				return ret;
		}
	} while (clock_ns() < w->half->deadline);
	return 0;
}

static void run_worker(void *arg)
{
	struct worker *w = arg;
	uint64_t began = clock_ns();

	if (w->role == SLEEPS) {
		w->ret = sleep_mapped(w->half);
		return;
	}
	w->ret = work(w);
	w->rate = (double)w->done * 1e9 / (double)(clock_ns() - began);
}

static int run_half(struct half *h, double seconds, unsigned int round,
		    bool with, struct stats *loads, struct stats *stores)
{
	struct worker w[NR_ROLES];
	int ret;

	memset(w, 0, sizeof(w));
	h->nr_maps = with ? SLEEPER_MAPS : 0;
	pool_store_spread(h->store, h->owner, &h->nr_maps);
	h->deadline = clock_ns() + (uint64_t)(seconds * 1e9);
	for (unsigned int i = 0; i < NR_ROLES; i++) {
		w[i].half = h;
		w[i].role = (enum role)i;
		w[i].rng = random_mix(round << 8 | i);
	}
	ret = threads_run(NR_ROLES, false, run_worker, w, sizeof(w[0]));
	for (unsigned int i = 0; i < NR_ROLES && !ret; i++)
		ret = w[i].ret;
	if (ret)
		return ret;
	stats_add(loads, w[LOADS].rate);
	stats_add(stores, w[STORES].rate);
	return 0;
}

static int measure(struct pool_run *run, struct half *h, struct uz_err *err)
{
	const struct pool_options *o = run->o;
	/* [with][role] */
	struct stats rate[2][2] = { 0 };

	for (unsigned int r = 0; r < o->rounds; r++) {
		char what[64];

		snprintf(what, sizeof(what), "round %u of %u", r + 1,
			 o->rounds);
		pool_progress(run, what);
		for (unsigned int i = 0; i < 2; i++) {
			bool with = (i + r) % 2;
			int ret = run_half(h, o->sleep, r, with,
					   &rate[with][LOADS],
					   &rate[with][STORES]);

			if (ret)
				return uz_err_set(err, ret, "sleepers: %s",
						  strerror(-ret));
		}
	}
	for (unsigned int i = LOADS; i <= STORES; i++) {
		const char *what = i == LOADS ? "loads" : "stores";
		struct table_row *row = pool_row(run, NULL, what, err);
		struct chart_panel *p = pool_panel(run, what, "/s", err);

		if (!row || !p)
			return err->code;
		row->value[WITHOUT] = rate[0][i];
		row->value[WITH] = rate[1][i];
		table_set(row, RATIO, stats_ratio(&rate[1][i], &rate[0][i]));
		p->value[POOL_BAR_WITHOUT] = stats_median(&rate[0][i]);
		p->value[POOL_BAR_WITH] = stats_median(&rate[1][i]);
	}
	return 0;
}

static uint64_t arena(void *arg)
{
	struct pool_store *s = arg;
	struct stat st;

	return fstat(s->fd, &st) < 0 ? 0 : (uint64_t)st.st_blocks * 512;
}

/* Compact, wait for the memfd, and say what is left. */
static int compact(struct pool_run *run, struct pool_store *s, const char *what,
		   struct uz_err *err)
{
	struct uz_pool_compaction done = { 0 };
	struct uz_pool_stat stat;
	struct table_row *row;

	pool_progress(run, what);
	if (pool_store_compact(s, &done) || settle_wait(arena, s, NULL))
		return uz_err_set(err, -EINTR, "interrupted");
	row = pool_row(run, NULL, what, err);
	if (!row)
		return err->code;
	uz_pool_stat(s->pool, &stat);
	table_set(row, MEMFD, (double)arena(s));
	table_set(row, LIVE, (double)stat.object_bytes);
	table_set(row, DEFERRED, (double)stat.deferred_bytes);
	return 0;
}

static int give_back(struct pool_run *run, struct half *h, struct uz_err *err)
{
	struct pool_store *s = h->store;
	uz_autofree uint32_t *order = calloc(s->n, sizeof(*order));
	uint32_t held;
	int ret;

	if (!order)
		return uz_err_set(err, -ENOMEM, "no memory");
	h->nr_maps = SLEEPER_MAPS;
	pool_store_spread(s, h->owner, &h->nr_maps);
	held = map_all(h);
	random_order(order, s->n, 1);
	for (uint64_t i = 0; i < s->n * 9 / 10; i++)
		pool_store_drop(s, order[i]);
	ret = compact(run, s, "90 % dropped, still mapped", err);
	unmap_all(h, held);
	if (!ret)
		ret = compact(run, s, "no longer mapped", err);
	return ret ? ret : uz_pool_check(s->pool, err);
}

static int run_sleepers(struct pool_run *run, struct uz_err *err)
{
	uz_autofree uint32_t *owner = calloc(SLEEPER_MAPS, sizeof(*owner));
	uz_autofree struct uz_map *map = calloc(SLEEPER_MAPS, sizeof(*map));
	struct pool_store s;
	struct half h = { .store = &s, .owner = owner, .map = map };
	int ret;

	if (!owner || !map)
		return uz_err_set(err, -ENOMEM, "no memory");
	ret = pool_store_open(&s, run, run->o->size >> UZ_PAGE_SHIFT, err);
	if (ret)
		return ret;
	if (uz_pool_caps(s.pool) & UZ_POOL_SLEEP_MAPPED) {
		pool_progress(run, "fill");
		ret = pool_store_fill(&s, err);
		if (!ret)
			ret = measure(run, &h, err);
		if (!ret)
			ret = give_back(run, &h, err);
	} else {
		snprintf(run->table->note, sizeof(run->table->note),
			 "(with this allocator nobody may sleep)");
	}
	pool_store_close(&s);
	return ret;
}

const struct pool_part pool_sleepers = {
	.name = "sleepers",
	.title = "loads and stores beside a thread that sleeps with an object\n"
		 "mapped in each of up to 1000 zspages, and without; no codec",
	.any_codec = true,
	.nr_columns = sizeof(columns) / sizeof(columns[0]),
	.column = columns,
	.run = run_sleepers,
};
