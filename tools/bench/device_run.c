// SPDX-License-Identifier: MIT
/*
 * The rounds of "device": in each of them every kind of load runs on one
 * target after the other, so that drift of the machine hits all of them.
 *
 * Each target is filled from the corpus first, so nothing is ever read that
 * was not written. Whatever was set up is taken down at the end, after a
 * failure and after a signal. With --compare, a target that cannot be had here
 * is left out and named; without, it is an error.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device.h"

static const struct {
	bool random;
	unsigned int reads;
	size_t block;
} kinds[] = {
	{ false, 0, CORPUS_WRAP },  { false, 100, CORPUS_WRAP },
	{ true, 0, UZ_PAGE_SIZE },  { true, 100, UZ_PAGE_SIZE },
	{ true, 70, UZ_PAGE_SIZE },
};

#define NR_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static int add_work(struct device_run *run, struct load load)
{
	struct device_work *work = &run->work[run->nr_works];

	work->load = load;
	for (unsigned int i = 0; i < run->nr_targets; i++) {
		work->value[i].latency = calloc(1, sizeof(struct hist));
		if (!work->value[i].latency)
			return -ENOMEM;
	}
	run->nr_works++;
	return 0;
}

static bool have_work(const struct device_run *run, const struct load *l)
{
	for (unsigned int w = 0; w < run->nr_works; w++) {
		const struct load *have = &run->work[w].load;

		if (have->block == l->block && have->reads == l->reads &&
		    have->depth == l->depth && have->jobs == l->jobs)
			return true;
	}
	return false;
}

static int make_works(struct device_run *run, const struct device_options *o)
{
	size_t max = o->nr_jobs * o->nr_depths * NR_KINDS, n = 0;

	run->work = calloc(max, sizeof(*run->work));
	if (!run->work)
		return -ENOMEM;
	for (; n < max; n++) {
		size_t depth = n / o->nr_jobs % o->nr_depths;
		size_t kind = n / o->nr_jobs / o->nr_depths;
		struct load load = {
			.corpus = &run->corpus,
			.size = o->size,
			.block = kinds[kind].block,
			.reads = kinds[kind].reads,
			.random = kinds[kind].random,
			.depth = o->depth[depth],
			.jobs = o->jobs[n % o->nr_jobs],
			.seconds = o->seconds,
		};

		if (load.block > UZ_PAGE_SIZE && o->max_large &&
		    load.depth > o->max_large)
			load.depth = o->max_large;
		/* What became the same is measured once. */
		if (!have_work(run, &load) && add_work(run, load))
			return -ENOMEM;
	}
	return 0;
}

/* One line on a terminal, nothing elsewhere. */
static void show(const char *what, const char *on, unsigned int done,
		 unsigned int all)
{
	if (!isatty(STDERR_FILENO))
		return;
	if (what)
		fprintf(stderr, "\r%3u %%  %s on %s\033[K",
			all ? 100 * done / all : 0, what, on);
	else
		fprintf(stderr, "\r\033[K");
	fflush(stderr);
}

/* Is it that a target cannot be had here, not that something is wrong? */
static bool unsupported(int ret)
{
	return ret == -ENOTSUP || ret == -EPERM || ret == -EACCES;
}

static void leave_out(struct device_run *run, const char *name,
		      struct uz_err *err)
{
	struct device_left_out *l = &run->left_out[run->nr_left_out++];

	snprintf(l->name, sizeof(l->name), "%s", name);
	output_printable(l->name);
	snprintf(l->why, sizeof(l->why), "%s", err->text);
	*err = (struct uz_err){ 0 };
}

static int set_up(struct device_run *run, const struct device_options *o,
		  struct uz_err *err)
{
	struct load fill = {
		.corpus = &run->corpus,
		.size = o->size,
		.block = CORPUS_WRAP,
		.reads = 0,
		.depth = 1,
		.jobs = 1,
	};

	if (o->compare)
		compare_allow_uring();
	for (unsigned int i = 0; i < o->targets.n; i++) {
		struct target *t = &run->target[run->nr_targets];
		unsigned int mark = undo_mark();
		int ret;

		show("set up and fill", o->targets.item[i], 0, 0);
		ret = target_open(t, o->targets.item[i], o->size, o->overwrite,
				  err);
		if (o->compare && unsupported(ret)) {
			undo_to(mark);
			leave_out(run, o->targets.item[i], err);
			continue;
		}
		if (ret)
			return ret;
		fill.path = t->path;
		ret = load_fill(&fill, err);
		if (ret)
			return ret;
		run->memory[run->nr_targets++] = t->memory ? t->memory(t) : 0;
	}
	if (!run->nr_targets)
		return uz_err_set(err, -ENOTSUP, "nothing to compare: %s",
				  run->left_out[0].why);
	return 0;
}

static int measure(struct device_run *run, struct uz_err *err)
{
	unsigned int all = run->rounds * run->nr_works, done = 0;
	char name[64];

	for (unsigned int r = 0; r < run->rounds; r++) {
		for (unsigned int w = 0; w < run->nr_works; w++, done++) {
			struct device_work *work = &run->work[w];

			work->load.seed = r;
			device_work_name(&work->load, name, sizeof(name));
			for (unsigned int i = 0; i < run->nr_targets; i++) {
				struct device_value *v = &work->value[i];
				struct load_result result;
				int ret;

				show(name, run->target[i].name, done, all);
				work->load.path = run->target[i].path;
				ret = load_run(&work->load, &result, v->latency,
					       err);
				if (ret)
					return ret;
				stats_add(&v->rate, result.rate);
				stats_add(&v->cpu, result.cpu);
			}
		}
	}
	return 0;
}

static int report(const struct device_run *run, const struct output *o,
		  struct uz_err *err)
{
	struct chart chart = { 0 };
	int ret = 0;

	if (output_text(o))
		device_text(run, stdout);
	if (o->svg_path) {
		ret = device_chart(run, &chart);
		if (ret)
			uz_err_set(err, ret, "no memory");
		else
			ret = chart_save(&chart, o->svg_path, err);
		chart_free(&chart);
	}
	if (!ret && o->json)
		ret = output_json(o, device_json(run), err);
	return ret;
}

int device_run(struct device_run *run, const struct device_options *o,
	       struct uz_err *err)
{
	int ret = corpus_load(&run->corpus, o->corpus, o->size, err);

	if (ret)
		return ret;
	machine_read(&run->machine);
	run->compare = o->compare;
	run->rounds = o->rounds;
	run->seconds = o->seconds;
	run->size = o->size;
	ret = set_up(run, o, err);
	if (!ret && make_works(run, o))
		ret = uz_err_set(err, -ENOMEM, "no memory");
	if (!ret)
		ret = measure(run, err);
	show(NULL, NULL, 0, 0);
	undo_all();
	if (!ret)
		ret = report(run, &o->output, err);
	return ret;
}

void device_run_free(struct device_run *run)
{
	for (unsigned int w = 0; w < run->nr_works; w++)
		for (unsigned int i = 0; i < run->nr_targets; i++)
			free(run->work[w].value[i].latency);
	free(run->work);
	corpus_free(&run->corpus);
	free(run);
}
