// SPDX-License-Identifier: MIT
/*
 * "writeback": each corpus stored, then written back to a file, all of it.
 *
 * Before it the load generator writes the same file, in order, by direct I/O
 * through io_uring, with as large requests and as many under way; the two take
 * turns. Ours ends when the data are on the device, as writing back does before
 * it gives memory up.
 */
#include <string.h>

#include "pool.h"

/* The requests of writing back. */
#define BLOCK UZ_WRITEBACK_BYTES

enum {
	PAGES,
	BLOCKS,
	BLOCKS_PER_PAGE,
	RATE,
	PLAIN_RATE,
	RATIO,
	LEFT,
	NR_STATS,
};

static const struct table_column columns[NR_STATS] = {
	{ "pages", "pages", "written", 1, 0 },
	{ "blocks", "blocks", "of 4 KiB", 1, 0 },
	{ "blocks_per_page", "blocks", "a page", 1, 3 },
	{ "bytes_per_second", "MB/s", "written", 1e-6, 0 },
	{ "plain_bytes_per_second", "MB/s", "plain", 1e-6, 0 },
	{ "rate_to_plain", "by", "plain", 1, 2 },
	{ "arena_bytes_after", "left in", "memory MB", 1e-6, 1 },
};

/* Once untimed: a block costs more when it is written for the first time. */
static int plain_rate(const struct pool_run *run, const struct corpus *corpus,
		      const char *path, double *rate, struct uz_err *err)
{
	const struct load l = {
		.path = path,
		.corpus = corpus,
		.size = run->o->size,
		.block = BLOCK,
		.depth = ring_supported() ? UZ_WRITEBACK_DEPTH : 1,
		.jobs = 1,
		.seconds = run->o->seconds,
	};
	struct hist *unused = calloc(1, sizeof(*unused));
	struct load_result result;
	int ret;

	if (!unused)
		return uz_err_set(err, -ENOMEM, "no memory");
	ret = load_fill(&l, err);
	if (!ret)
		ret = load_run(&l, &result, unused, err);
	free(unused);
	if (!ret)
		*rate = result.rate * BLOCK;
	return ret;
}

static int pages(struct pool_device *d, const struct corpus *corpus,
		 enum uz_op op, struct uz_err *err)
{
	_Alignas(UZ_PAGE_SIZE) uint8_t page[UZ_PAGE_SIZE];

	for (uint64_t i = 0; i < d->pages; i++) {
		const uint8_t *content = corpus_page(corpus, i);
		bool reads = op == UZ_OP_READ;
		int ret = pool_device_submit(d->io, op, i,
					     reads ? page : content);

		if (!ret && reads && memcmp(page, content, sizeof(page)))
			ret = -EUCLEAN;
		if (!ret && undo_stopped())
			ret = -EINTR;
		if (ret)
			return uz_err_set(err, ret, "page %llu: %s",
					  (unsigned long long)i,
					  strerror(-ret));
	}
	return 0;
}

static int write_back(struct pool_device *d, double *seconds,
		      struct uz_err *err)
{
	const struct uz_backer_range all = { .end = d->pages };
	const struct uz_backer_order order = { .ranges = &all, .nr = 1 };
	struct uz_backer *backer;
	uint64_t began = clock_ns();
	int ret = uz_backer_create(&backer, d->dev);

	if (ret)
		return uz_err_set(err, ret, "no memory");
	ret = uz_backer_run(backer, &order, 0, err);
	*seconds = (double)(clock_ns() - began) / 1e9;
	uz_backer_destroy(backer);
	return ret;
}

static int run_round(const struct pool_run *run, const struct corpus *corpus,
		     struct pool_device *d, const char *file,
		     struct stats cell[], struct uz_err *err)
{
	struct uz_backing_stat s;
	double seconds = 0, plain = 0, bytes;
	int ret = plain_rate(run, corpus, file, &plain, err);

	if (!ret)
		ret = uz_device_set_backing(d->dev, file, err);
	if (!ret)
		ret = pages(d, corpus, UZ_OP_WRITE, err);
	if (!ret)
		ret = write_back(d, &seconds, err);
	if (ret)
		return ret;
	if (pool_device_settle(d))
		return uz_err_set(err, -EINTR, "interrupted");
	uz_device_backing_stat(d->dev, &s);
	stats_add(&cell[LEFT], (double)pool_device_arena(d));
	bytes = (double)s.written_blocks * UZ_PAGE_SIZE;
	stats_add(&cell[PAGES], (double)s.written_back_pages);
	stats_add(&cell[BLOCKS], (double)s.written_blocks);
	stats_add(&cell[BLOCKS_PER_PAGE],
		  (double)s.written_blocks / (double)s.written_back_pages);
	stats_add(&cell[RATE], bytes / seconds);
	stats_add(&cell[PLAIN_RATE], plain);
	stats_add(&cell[RATIO], bytes / seconds / plain);
	return pages(d, corpus, UZ_OP_READ, err);
}

static int one(struct pool_run *run, const struct corpus *corpus,
	       struct uz_err *err)
{
	struct stats cell[NR_STATS] = { 0 };
	struct table_row *row;
	int ret = 0;

	pool_progress(run, corpus->name);
	for (unsigned int i = 0; i < run->o->rounds && !ret; i++) {
		const unsigned int mark = undo_mark();
		struct pool_device d;
		char file[PATH_MAX];

		ret = scratch_file(file, run->o->size, err);
		if (!ret)
			ret = pool_device_open(&d, run, run->o->size, err);
		if (!ret) {
			ret = run_round(run, corpus, &d, file, cell, err);
			pool_device_close(&d);
		}
		undo_to(mark);
	}
	if (ret)
		return ret;
	row = pool_row(run, corpus, "packed", err);
	if (!row)
		return err->code;
	memcpy(row->value, cell, sizeof(cell));
	return 0;
}

static int run_writeback(struct pool_run *run, struct uz_err *err)
{
	int ret = 0;

	for (unsigned int i = 0; i < run->nr_corpora && !ret; i++)
		ret = one(run, &run->corpus[i], err);
	return ret;
}

const struct pool_part pool_writeback = {
	.name = "writeback",
	.title =
		"each corpus stored and all of it written back to a file in "
		"TMPDIR;\n\"plain\" is the same file written in order by direct I/O",
	.nr_columns = NR_STATS,
	.column = columns,
	.run = run_writeback,
};
