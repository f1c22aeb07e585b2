// SPDX-License-Identifier: MIT
/*
 * "client": what a client notices of a recompression. It reads pages of 4 KiB
 * at random from the block file, one at a time, through whatever the target
 * has for a transport: before all pages go to zstd, meanwhile, and afterwards.
 *
 * The three are of the same round, the same client and the same pages. What
 * "after" takes longer than "before" is due to pages that are zstd's by then;
 * only what "meanwhile" takes longer than both is due to the recompression.
 *
 * The device is that of a daemon, and everything is written to its attributes,
 * so a recompression keeps to its share of the time as it does for any client.
 * Once that is measured nobody reads any more and it goes on to its end. One
 * that ends earlier is measured for as long as it lasts.
 */
#include <string.h>
#include <unistd.h>

#include "pool.h"

#define SECONDARY "zstd"

/* Between looks at whether it has ended. */
#define SLICE_NS 100000000

enum {
	BEFORE,
	MEANWHILE,
	AFTER,
	NR_TIMES,
};

static const char *const times[NR_TIMES] = { "before", "meanwhile", "after" };

enum {
	P50,
	P99,
	P999,
	RATIO_P50,
	RATIO_P99,
	RATIO_P999,
	RATE,
	PAGES,
	NR_STATS,
};

static const struct table_column columns[NR_STATS] = {
	{ "load_p50_ns", "p50", "us", 1e-3, 1 },
	{ "load_p99_ns", "p99", "us", 1e-3, 1 },
	{ "load_p999_ns", "p99.9", "us", 1e-3, 1 },
	{ "load_p50_to_before", "p50 by", "before", 1, 2 },
	{ "load_p99_to_before", "p99 by", "before", 1, 2 },
	{ "load_p999_to_before", "p99.9 by", "before", 1, 2 },
	{ "loads_per_second", "loads", "a second", 1, 0 },
	{ "pages_per_second", "tried", "pages/s", 1, 0 },
};

/* One of the three times of a round. */
struct measured {
	struct hist hist;
	double seconds;
	uint64_t tried; /* pages, by the recompression */
};

struct client {
	struct pool_run *run;
	char spec[256];
	struct target target;
	struct load load;
	struct measured *at; /* NR_TIMES of them */
};

static int write_attr(struct client *c, const char *name, const char *text,
		      struct uz_err *err)
{
	char path[PATH_MAX + 64];
	int ret;

	snprintf(path, sizeof(path), "%s/bench/%s", c->target.dir, name);
	ret = scratch_write(path, text);
	return ret ? uz_err_set(err, ret, "%s: %s", path, strerror(-ret)) : 0;
}

/* Pages that the run which is under way, or was last, has tried. */
static uint64_t tried(const struct client *c)
{
	char path[PATH_MAX + 64], text[4096];
	const char *line;
	FILE *f;
	size_t n;

	snprintf(path, sizeof(path), "%s/bench/stat", c->target.dir);
	f = fopen(path, "re");
	n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	if (f)
		fclose(f);
	text[n] = 0;
	line = strstr(text, "\nrecompress_tried ");
	return line ? strtoull(line + strlen("\nrecompress_tried "), NULL, 10)
		    : 0;
}

/* For so long, or until the program has ended. */
static int read_some(struct client *c, struct measured *m, pid_t until,
		     struct uz_err *err)
{
	const uint64_t began = clock_ns();
	const uint64_t end = began + (uint64_t)(c->run->o->seconds * 1e9);
	const uint64_t had = until ? tried(c) : 0;
	struct load_result result;
	uint64_t now = began;
	int ret = 0;

	while (now < end && !ret && (!until || child_alive(until))) {
		uint64_t left = end - now;

		c->load.seconds =
			(double)(left < SLICE_NS ? left : SLICE_NS) / 1e9;
		c->load.seed++;
		ret = load_run(&c->load, &result, &m->hist, err);
		now = clock_ns();
	}
	m->seconds = (double)(now - began) / 1e9;
	m->tried = until ? tried(c) - had : 0;
	return ret;
}

/* A program writes the attribute: a signal ends it, and so the run. */
static int start(struct client *c, pid_t *pid, struct uz_err *err)
{
	char path[PATH_MAX + 64];
	char script[] = "echo type=idle >\"$0\"";
	char *argv[] = { (char *)"sh", (char *)"-c", script, path, NULL };
	int ret;

	snprintf(path, sizeof(path), "%s/bench/recompress", c->target.dir);
	ret = child_start(argv, NULL, pid);
	return ret ? uz_err_set(err, ret, "sh: %s", strerror(-ret)) : 0;
}

static int wait_end(pid_t pid, struct uz_err *err)
{
	while (child_alive(pid))
		if (clock_sleep(clock_ns() + SLICE_NS))
			return uz_err_set(err, -EINTR, "interrupted");
	if (child_status(pid))
		return uz_err_set(err, -EIO, "the recompression failed");
	return 0;
}

static int meanwhile(struct client *c, struct uz_err *err)
{
	pid_t pid;
	int ret = start(c, &pid, err);

	if (ret)
		return ret;
	ret = read_some(c, &c->at[MEANWHILE], pid, err);
	if (!ret)
		ret = wait_end(pid, err);
	child_stop(pid);
	return ret;
}

static int run_round(struct client *c, struct uz_err *err)
{
	const struct load fill = {
		.path = c->load.path,
		.corpus = c->load.corpus,
		.size = c->load.size,
		.block = CORPUS_WRAP,
	};
	int ret = load_fill(&fill, err);

	if (!ret)
		ret = write_attr(c, "recomp_algorithm",
				 "algo=" SECONDARY " priority=1", err);
	/* The reserve for stores goes meanwhile. */
	if (!ret && clock_sleep(clock_ns() + 10 * SLICE_NS))
		ret = uz_err_set(err, -EINTR, "interrupted");
	if (!ret)
		ret = read_some(c, &c->at[BEFORE], 0, err);
	if (!ret)
		ret = write_attr(c, "idle", "all", err);
	if (!ret)
		ret = meanwhile(c, err);
	return ret ? ret : read_some(c, &c->at[AFTER], 0, err);
}

static int one_round(struct client *c, struct uz_err *err)
{
	unsigned int mark = undo_mark();
	int ret;

	memset(c->at, 0, NR_TIMES * sizeof(*c->at));
	ret = target_open(&c->target, c->spec, c->run->o->size, false, err);
	c->load.path = c->target.path;
	if (!ret)
		ret = run_round(c, err);
	undo_to(mark);
	return ret;
}

static void add(struct table_row *row, const struct client *c, unsigned int at)
{
	static const double percent[] = { 50, 99, 99.9 };
	const struct measured *m = &c->at[at];

	/* It may have ended before a page was read. */
	for (unsigned int i = 0; i < 3 && m->hist.n; i++) {
		double ns = (double)hist_percentile(&m->hist, percent[i]);
		double was = (double)hist_percentile(&c->at[BEFORE].hist,
						     percent[i]);

		stats_add(&row->value[P50 + i], ns);
		if (at != BEFORE && was > 0)
			stats_add(&row->value[RATIO_P50 + i], ns / was);
	}
	if (m->hist.n)
		stats_add(&row->value[RATE], (double)m->hist.n / m->seconds);
	if (at == MEANWHILE && m->hist.n)
		stats_add(&row->value[PAGES], (double)m->tried / m->seconds);
}

static int rounds(struct client *c, unsigned int first, struct uz_err *err)
{
	struct pool_run *run = c->run;
	int ret = 0;

	for (unsigned int i = 0; i < run->o->rounds && !ret; i++) {
		ret = one_round(c, err);
		for (unsigned int t = 0; t < NR_TIMES && !ret; t++)
			add(&run->table->row[first + t], c, t);
	}
	return ret;
}

static int one(struct pool_run *run, const struct corpus *corpus,
	       const char *target, struct uz_err *err)
{
	struct client c = {
		.run = run,
		.load = { .corpus = corpus,
			  .size = run->o->size,
			  .block = UZ_PAGE_SIZE,
			  .reads = 100,
			  .random = true,
			  .depth = 1,
			  .jobs = 1 },
	};
	unsigned int first = run->table->nr_rows;
	char what[64];
	int ret;

	pool_progress(run, corpus->name);
	snprintf(c.spec, sizeof(c.spec), "%s%calgorithm=%s", target,
		 strchr(target, ':') ? ',' : ':', run->codec_text);
	for (unsigned int i = 0; i < NR_TIMES; i++) {
		snprintf(what, sizeof(what), "%.40s, %s", target, times[i]);
		output_printable(what);
		if (!pool_row(run, corpus, what, err))
			return err->code;
	}
	c.at = calloc(NR_TIMES, sizeof(*c.at));
	if (!c.at)
		return uz_err_set(err, -ENOMEM, "no memory");
	ret = rounds(&c, first, err);
	free(c.at);
	return ret;
}

/* Can it be had here? */
static bool there(const struct pool_run *run, const char *target)
{
	struct uz_err why = { 0 };
	unsigned int mark = undo_mark();
	struct uz_codec codec;
	struct target t;
	int ret = uz_codec_parse(SECONDARY, &codec, &why);

	if (!ret)
		ret = target_open(&t, target, run->o->size, false, &why);
	undo_to(mark);
	if (ret && !undo_stopped())
		snprintf(run->table->note, sizeof(run->table->note),
			 "(left out: %s)", why.text);
	return !ret;
}

static int run_client(struct pool_run *run, struct uz_err *err)
{
	int ret = 0;

	for (unsigned int t = 0; t < run->o->targets.n && !ret; t++) {
		if (!there(run, run->o->targets.item[t]))
			continue;
		for (unsigned int i = 0; i < run->nr_corpora && !ret; i++)
			ret = one(run, &run->corpus[i], run->o->targets.item[t],
				  err);
	}
	return undo_stopped() ? uz_err_set(err, -EINTR, "interrupted") : ret;
}

const struct pool_part pool_client = {
	.name = "client",
	.title = "each corpus stored, and recompressed with " SECONDARY
		 ";\nloads of 4 KiB at random through the block file, one at "
		 "a time",
	.nr_columns = NR_STATS,
	.column = columns,
	.run = run_client,
};
