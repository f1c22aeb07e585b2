// SPDX-License-Identifier: MIT
/*
 * "uzram-bench pool": what the pool promises, kept or not.
 *
 * Options and the loop over parts and codecs; each part is a file.
 */
#include <stdlib.h>
#include <string.h>

#include <uzram/util/size.h>
#include <uzram/worker/policy.h>

#include "pool.h"

static const struct pool_part *const parts[] = {
	&pool_density, &pool_churn,  &pool_discard,    &pool_sleepers,
	&pool_latency, &pool_cost,   &pool_recompress, &pool_writeback,
	&pool_client,  &pool_policy, &pool_cache,      &pool_growth,
};

#define NR_PARTS (sizeof(parts) / sizeof(parts[0]))

static void usage(FILE *out)
{
	fputs("usage: uzram-bench pool [OPTION]...\n"
	      "\n"
	      "      --part NAME       one of these parts only; may be "
	      "repeated (default all):\n"
	      "       density  bytes taken by each corpus stored once\n"
	      "       churn    the same after overwriting, and compacted\n"
	      "       discard  memory given back after most pages were "
	      "dropped\n"
	      "       sleepers threads beside one that sleeps with objects "
	      "mapped\n"
	      "       latency  with compaction going on, and without\n"
	      "       cost     of map and unmap, alloc and free\n"
	      "       recompress  memory and latency as pages go to zstd\n"
	      "       client      latency of a client of the block file, as "
	      "pages go to zstd\n"
	      "       writeback   blocks written and speed\n"
	      "       policy      memory of a device that is left alone\n"
	      "       cache       a working set larger than its memory, in "
	      "front of a file\n"
	      "       growth   cost and metadata of a page, little and much "
	      "stored\n"
	      "  -c, --corpus PATH     data to store: a file, or a directory "
	      "of files\n"
	      "                        (default /usr/bin); may be repeated\n"
	      "  -a, --algorithm CODEC codec, as in zstd:level=3 (default "
	      "lz4); may be\n"
	      "                        repeated\n"
	      "  -t, --target TARGET   uzram[:KEY=VALUE,...], whose client "
	      "\"client\" is; may be\n"
	      "                        repeated (default uzram)\n"
	      "      --zpool NAME      allocator of the pool\n"
	      "      --no-zram         without the kernel's zram beside it\n"
	      "  -j, --threads N       threads of \"latency\" and \"cache\" "
	      "(default 2)\n"
	      "  -r, --rounds N        rounds, of which the medians are shown "
	      "(default 5)\n"
	      "      --churn N         overwrites of everything (default 10)\n"
	      "      --seconds S       of each half of a round, and of "
	      "\"cache\" (default 2)\n"
	      "      --sleep S         that objects stay mapped (default 10)\n"
	      "      --idle S          that \"policy\" waits (default 120)\n"
	      "      --policy SETTING  of \"policy\" (default auto)\n"
	      "  -s, --size SIZE       bytes stored (default 1G)\n"
	      "      --large SIZE      bytes stored by \"growth\" too "
	      "(default 16G)\n"
	      "      --limit SIZE      of memory for \"cache\" (default: an "
	      "eighth of the size)\n"
	      "      --json[=FILE]     results as JSON: instead of text, or "
	      "into FILE\n"
	      "      --svg FILE        results as a bar chart\n"
	      "  -h, --help            this text\n",
	      out);
}

void pool_progress(const struct pool_run *run, const char *what)
{
	fprintf(stderr, "uzram-bench pool: %s, %s: %s\n", run->table->name,
		run->codec_text, what);
}

struct table_row *pool_row(struct pool_run *run, const struct corpus *corpus,
			   const char *what, struct uz_err *err)
{
	struct table_row *row = table_add(
		run->table, corpus ? corpus->name : "", run->codec_text, what);

	if (!row)
		uz_err_set(err, -ENOMEM, "no memory");
	return row;
}

struct chart_panel *pool_panel(struct pool_run *run, const char *title,
			       const char *unit, struct uz_err *err)
{
	struct chart_panel *p = chart_add(run->chart);

	if (!p) {
		uz_err_set(err, -ENOMEM, "no memory");
		return NULL;
	}
	snprintf(p->title, sizeof(p->title), "%s, %s: %s", run->codec_text,
		 run->table->name, title);
	snprintf(p->unit, sizeof(p->unit), "%s", unit);
	return p;
}

static int take_part(void *options, char *name, struct uz_err *err)
{
	struct pool_options *o = options;

	for (unsigned int i = 0; i < NR_PARTS; i++) {
		if (!strcmp(parts[i]->name, name)) {
			o->parts |= 1u << i;
			return 0;
		}
	}
	return uz_err_set(err, -EINVAL,
			  "part \"%s\": there is none; see --help", name);
}

static int take_target(void *options, char *text, struct uz_err *err)
{
	struct pool_options *o = options;
	int ret = target_is_ours(text, err);

	return ret ? ret : options_list(&o->targets, text, TARGETS_MAX, err);
}

static int take_zpool(void *options, char *name, struct uz_err *err)
{
	struct pool_options *o = options;

	o->zpool = name;
	return uz_device_check_zpool(name, err);
}

static int take_policy(void *options, char *text, struct uz_err *err)
{
	struct pool_options *o = options;

	o->policy = text;
	return uz_policy_check(text, err);
}

#define AT(member) .at = offsetof(struct pool_options, member)

/* Sizes: whole blocks of the zram fill. */
static const struct option_rule rules[] = {
	{ "part", 0, OPTION_CALL, .take = take_part },
	{ "corpus", 'c', OPTION_LIST, AT(corpora), .max = LIST_MAX },
	{ "algorithm", 'a', OPTION_LIST, AT(codecs), .max = LIST_MAX },
	{ "target", 't', OPTION_CALL, .take = take_target },
	{ "zpool", 0, OPTION_CALL, .take = take_zpool },
	{ "no-zram", 0, OPTION_SET, AT(no_zram) },
	{ "threads", 'j', OPTION_NUMBER, AT(threads), 1, 64 },
	{ "rounds", 'r', OPTION_NUMBER, AT(rounds), 1, STATS_MAX },
	{ "churn", 0, OPTION_NUMBER, AT(churn), 1, 1000 },
	{ "seconds", 0, OPTION_SECONDS, AT(seconds) },
	{ "sleep", 0, OPTION_SECONDS, AT(sleep) },
	{ "idle", 0, OPTION_SECONDS, AT(idle) },
	{ "policy", 0, OPTION_CALL, .take = take_policy },
	{ "size", 's', OPTION_SIZE, AT(size), .min = CORPUS_WRAP },
	{ "large", 0, OPTION_SIZE, AT(large), .min = CORPUS_WRAP },
	{ "limit", 0, OPTION_SIZE, AT(limit), .min = CORPUS_WRAP },
	{ "json", 0, OPTION_JSON, AT(output) },
	{ "svg", 0, OPTION_SVG, AT(output) },
};

static const struct option_set options = {
	.verb = "pool",
	.usage = usage,
	.nr = sizeof(rules) / sizeof(rules[0]),
	.rule = rules,
};

static int take_options(struct pool_options *o, int argc, char **argv,
			struct uz_err *err)
{
	int ret = options_take(&options, o, argc, argv, err);

	if (ret)
		return ret;
	if (!o->parts)
		o->parts = (1u << NR_PARTS) - 1;
	if (!o->corpora.n)
		o->corpora.item[o->corpora.n++] = "/usr/bin";
	if (!o->codecs.n)
		o->codecs.item[o->codecs.n++] = "lz4";
	if (!o->targets.n)
		o->targets.item[o->targets.n++] = "uzram";
	if (!o->limit)
		o->limit = o->size / 8 > CORPUS_WRAP ? o->size / 8
						     : CORPUS_WRAP;
	return 0;
}

static int set_codec(struct pool_run *run, const char *codec,
		     struct uz_err *err)
{
	int ret = uz_codec_parse(codec, &run->codec, err);

	if (!ret)
		uz_codec_format(&run->codec, run->codec_text);
	return ret;
}

/* What would fail after minutes is looked at first. */
static int check_all(struct pool_run *run, struct uz_err *err)
{
	const struct pool_options *o = run->o;
	int ret = 0;

	for (unsigned int i = 0; i < o->codecs.n && !ret; i++) {
		ret = set_codec(run, o->codecs.item[i], err);
		for (unsigned int j = 0; j < NR_PARTS && !ret; j++)
			if (o->parts & 1u << j && parts[j] == &pool_growth)
				ret = pool_growth_fits(run, err);
	}
	return ret;
}

static int run_part(struct pool_run *run, const struct pool_part *part,
		    json_t *results, struct uz_err *err)
{
	const struct list *codecs = &run->o->codecs;
	unsigned int n = part->any_codec ? 1 : codecs->n;
	struct table table = {
		.name = part->name,
		.title = part->title,
		.nr_columns = part->nr_columns,
		.column = part->column,
	};
	int ret = 0;

	run->table = &table;
	for (unsigned int i = 0; i < n && !ret; i++) {
		ret = set_codec(run, codecs->item[i], err);
		if (!ret)
			ret = part->run(run, err);
	}
	if (!ret) {
		if (output_text(&run->o->output))
			table_text(&table, stdout);
		json_array_append_new(results, table_json(&table));
	}
	table_free(&table);
	return ret;
}

static void set_chart(const struct pool_run *run, const struct machine *machine)
{
	struct chart *c = run->chart;

	snprintf(c->title, sizeof(c->title), "uzram's pool");
	machine_text(machine, c->note, sizeof(c->note));
	c->columns = 3;
	c->nr_series = POOL_NR_BARS;
	snprintf(c->series[POOL_BAR_UZRAM], sizeof(c->series[0]), "uzram");
	snprintf(c->series[POOL_BAR_ZRAM], sizeof(c->series[0]), "kernel zram");
	snprintf(c->series[POOL_BAR_WITHOUT], sizeof(c->series[0]),
		 "uzram, undisturbed");
	snprintf(c->series[POOL_BAR_WITH], sizeof(c->series[0]),
		 "uzram, disturbed (sleepers, compaction)");
}

static int run_parts(struct pool_run *run, json_t *results, struct uz_err *err)
{
	int ret = check_all(run, err);

	for (unsigned int i = 0; i < NR_PARTS && !ret; i++)
		if (run->o->parts & 1u << i)
			ret = run_part(run, parts[i], results, err);
	return ret;
}

/* Takes over @results. */
static int report(const struct pool_run *run, const struct machine *machine,
		  json_t *results, struct uz_err *err)
{
	const struct pool_options *o = run->o;
	int ret = 0;

	if (o->output.svg_path)
		ret = chart_save(run->chart, o->output.svg_path, err);
	if (ret || !o->output.json) {
		json_decref(results);
		return ret;
	}
	return output_json(&o->output,
			   json_pack("{s:s, s:i, s:o, s:i, s:I, s:o}",
				     "benchmark", "pool", "version", 1,
				     "machine", machine_json(machine), "rounds",
				     (int)o->rounds, "bytes",
				     (json_int_t)o->size, "parts", results),
			   err);
}

static int run_all(const struct pool_options *o, struct uz_err *err)
{
	struct pool_run *run = calloc(1, sizeof(*run));
	json_t *results = json_array();
	struct chart chart = { 0 };
	struct machine machine;
	char text[640], size[UZ_SIZE_TEXT];
	int ret = 0;

	if (!run || !results) {
		free(run);
		return uz_err_set(err, -ENOMEM, "no memory");
	}
	run->o = o;
	run->chart = &chart;
	machine_read(&machine);
	set_chart(run, &machine);
	machine_text(&machine, text, sizeof(text));
	uz_size_format(o->size, size);
	if (output_text(&o->output))
		printf("uzram-bench pool: %s stored, medians of %u rounds\n%s\n",
		       size, o->rounds, text);
	for (; run->nr_corpora < o->corpora.n && !ret; run->nr_corpora++)
		ret = corpus_load(&run->corpus[run->nr_corpora],
				  o->corpora.item[run->nr_corpora], o->size,
				  err);
	if (!ret)
		ret = run_parts(run, results, err);
	if (!ret)
		ret = report(run, &machine, results, err);
	else
		json_decref(results);
	while (run->nr_corpora)
		corpus_free(&run->corpus[--run->nr_corpora]);
	chart_free(&chart);
	free(run);
	return ret;
}

int pool_main(int argc, char **argv)
{
	struct pool_options o = {
		.threads = 2,
		.rounds = 5,
		.churn = 10,
		.seconds = 2,
		.sleep = 10,
		.size = UINT64_C(1) << 30,
		.large = UINT64_C(16) << 30,
		.idle = 120,
		.policy = "auto",
	};
	struct uz_err err = { 0 };

	if (take_options(&o, argc, argv, &err))
		return bench_exit(&err);
	undo_catch_signals();
	run_all(&o, &err);
	undo_all();
	return bench_exit(&err);
}
