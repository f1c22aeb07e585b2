// SPDX-License-Identifier: MIT
/*
 * "uzram-bench engine": the device in this process, codec by codec.
 *
 * Options and the loop over corpora and codecs; the rounds are in
 * engine_run.c, the printing in engine_report.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <uzram/util/size.h>

#include "engine.h"

struct options {
	struct list corpora;
	struct list codecs;
	unsigned int threads;
	unsigned int rounds;
	uint64_t size;
	struct output output;
};

static void usage(FILE *out)
{
	fputs("usage: uzram-bench engine [OPTION]...\n"
	      "\n"
	      "  -c, --corpus PATH     data to store: a file, or a directory "
	      "of files\n"
	      "                        (default /usr/bin); may be repeated\n"
	      "  -a, --algorithm CODEC codec, as in lz4:acceleration=2 "
	      "(default: all);\n"
	      "                        may be repeated\n"
	      "  -j, --threads N       measure with 1 and with N threads "
	      "(default 2)\n"
	      "  -r, --rounds N        rounds, of which the medians are shown "
	      "(default 5)\n"
	      "  -s, --size SIZE       bytes of each corpus (default 64M)\n"
	      "      --json[=FILE]     results as JSON: instead of text, or "
	      "into FILE\n"
	      "      --svg FILE        results as a bar chart\n"
	      "  -h, --help            this text\n",
	      out);
}

#define AT(member) .at = offsetof(struct options, member)

static const struct option_rule rules[] = {
	{ "corpus", 'c', OPTION_LIST, AT(corpora), .max = LIST_MAX },
	{ "algorithm", 'a', OPTION_LIST, AT(codecs), .max = LIST_MAX },
	{ "threads", 'j', OPTION_NUMBER, AT(threads), 1, 64 },
	{ "rounds", 'r', OPTION_NUMBER, AT(rounds), 1, STATS_MAX },
	{ "size", 's', OPTION_SIZE, AT(size), .min = CORPUS_MIN },
	{ "json", 0, OPTION_JSON, AT(output) },
	{ "svg", 0, OPTION_SVG, AT(output) },
};

static const struct option_set option_set = {
	.verb = "engine",
	.usage = usage,
	.nr = sizeof(rules) / sizeof(rules[0]),
	.rule = rules,
};

/* Every codec of this build that compresses. */
static void default_codecs(struct list *l)
{
	const char *name;

	for (unsigned int i = 0; (name = uz_codec_known(i)); i++)
		if (strcmp(name, "store") != 0 && l->n < LIST_MAX)
			l->item[l->n++] = name;
}

struct run {
	const struct options *o;
	struct machine machine;
	json_t *results;
	struct chart chart;
};

static int run_one(struct run *run, const struct corpus *corpus,
		   const char *codec, struct uz_err *err)
{
	struct engine_result *r = calloc(1, sizeof(*r));
	int ret;

	if (!r)
		return uz_err_set(err, -ENOMEM, "no memory");
	ret = uz_codec_parse(codec, &r->codec, err);
	if (!ret) {
		uz_codec_format(&r->codec, r->codec_text);
		r->corpus = corpus;
		r->pages = corpus_pages(corpus);
		r->threads = run->o->threads;
		ret = engine_run(r, run->o->rounds, err);
	}
	if (!ret) {
		if (output_text(&run->o->output))
			engine_text(r, stdout);
		json_array_append_new(run->results, engine_json(r));
		if (engine_chart(r, &run->chart))
			ret = uz_err_set(err, -ENOMEM, "no memory");
	}
	free(r);
	return ret;
}

static void set_chart(struct run *run)
{
	struct chart *c = &run->chart;
	char size[UZ_SIZE_TEXT];
	size_t len;

	snprintf(c->title, sizeof(c->title),
		 "uzram in process against the bare codec");
	machine_text(&run->machine, c->note, sizeof(c->note));
	len = strlen(c->note);
	uz_size_format(run->o->size, size);
	snprintf(c->note + len, sizeof(c->note) - len,
		 "\n%s of each corpus, medians of %u rounds; more is better",
		 size, run->o->rounds);
	c->columns = 4;
	c->nr_series = run->o->threads > 1 ? 4 : 2;
	snprintf(c->series[0], sizeof(c->series[0]), "bare codec, 1 thread");
	snprintf(c->series[1], sizeof(c->series[1]), "uzram, 1 thread");
	snprintf(c->series[2], sizeof(c->series[2]), "bare codec, %u threads",
		 run->o->threads);
	snprintf(c->series[3], sizeof(c->series[3]), "uzram, %u threads",
		 run->o->threads);
}

static void print_head(const struct run *run)
{
	char text[640];

	machine_text(&run->machine, text, sizeof(text));
	printf("uzram-bench engine: medians of %u rounds; each ratio is the "
	       "median of the\nrounds' ratios of the device to the bare codec "
	       "on the same pages\n%s\n",
	       run->o->rounds, text);
}

static int run_all(const struct options *o, struct uz_err *err)
{
	struct run run = { .o = o, .results = json_array() };
	int ret = 0;

	machine_read(&run.machine);
	set_chart(&run);
	if (output_text(&o->output))
		print_head(&run);
	for (unsigned int i = 0; i < o->corpora.n && !ret; i++) {
		struct corpus corpus;

		ret = corpus_load(&corpus, o->corpora.item[i], o->size, err);
		if (ret)
			break;
		for (unsigned int j = 0; j < o->codecs.n && !ret; j++)
			ret = run_one(&run, &corpus, o->codecs.item[j], err);
		corpus_free(&corpus);
	}
	if (!ret && o->output.svg_path)
		ret = chart_save(&run.chart, o->output.svg_path, err);
	if (!ret && o->output.json)
		ret = output_json(
			&o->output,
			json_pack("{s:s, s:i, s:o, s:i, s:O}", "benchmark",
				  "engine", "version", 1, "machine",
				  machine_json(&run.machine), "rounds",
				  (int)o->rounds, "results", run.results),
			err);
	json_decref(run.results);
	chart_free(&run.chart);
	return ret;
}

int engine_main(int argc, char **argv)
{
	struct options o = { .threads = 2, .rounds = 5, .size = 64u << 20 };
	struct uz_err err = { 0 };

	if (options_take(&option_set, &o, argc, argv, &err))
		return bench_exit(&err);
	if (!o.corpora.n)
		o.corpora.item[o.corpora.n++] = "/usr/bin";
	if (!o.codecs.n)
		default_codecs(&o.codecs);
	undo_catch_signals();
	run_all(&o, &err);
	return bench_exit(&err);
}
