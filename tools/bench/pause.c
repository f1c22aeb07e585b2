// SPDX-License-Identifier: MIT
/*
 * "uzram-bench pause": what a client notices of a worker's death.
 *
 * Only options and output are here; pause_run.c measures.
 */
#include <stdlib.h>
#include <string.h>

#include <uzram/util/cleanup.h>
#include <uzram/util/size.h>

#include "pause.h"

static void usage(FILE *out)
{
	fputs("usage: uzram-bench pause [OPTION]...\n"
	      "\n"
	      "  -t, --target TARGET   uzram[:KEY=VALUE,...], a device of "
	      "ours; may be\n"
	      "                        repeated (default uzram)\n"
	      "  -d, --data DATA       what is stored; may be repeated "
	      "(default light):\n"
	      "       same   pages of one word each, without pool memory\n"
	      "       light  pages that take 1/40 or so\n"
	      "       PATH   pages of a file, or of a directory of files\n"
	      "  -s, --size LIST       bytes stored (default 1G,4G,16G)\n"
	      "      --disksize SIZE   of the device (default: the largest of "
	      "them)\n"
	      "  -k, --kills N         workers killed at each size (default "
	      "20)\n"
	      "      --json[=FILE]     results as JSON: instead of text, or "
	      "into FILE\n"
	      "      --svg FILE        results as a bar chart\n"
	      "  -h, --help            this text\n",
	      out);
}

static int take_sizes(void *options, char *text, struct uz_err *err)
{
	struct pause_options *o = options;
	uint64_t size = 0, before = 0;
	char *word;

	for (o->nr_sizes = 0; (word = strsep(&text, ",")); before = size) {
		if (o->nr_sizes == PAUSE_SIZES_MAX)
			return uz_err_set(err, -EINVAL, "more than %d sizes",
					  PAUSE_SIZES_MAX);
		if (options_size("size", word, CORPUS_WRAP, &size, err))
			return err->code;
		if (size <= before)
			return uz_err_set(err, -EINVAL,
					  "size \"%s\": is not larger than the "
					  "one before it",
					  word);
		o->size[o->nr_sizes++] = size;
	}
	return 0;
}

static int take_target(void *options, char *text, struct uz_err *err)
{
	struct pause_options *o = options;
	int ret = target_is_ours(text, err);

	return ret ? ret : options_list(&o->targets, text, TARGETS_MAX, err);
}

#define AT(member) .at = offsetof(struct pause_options, member)

static const struct option_rule rules[] = {
	{ "target", 't', OPTION_CALL, .take = take_target },
	{ "data", 'd', OPTION_LIST, AT(data), .max = LIST_MAX },
	{ "size", 's', OPTION_CALL, .take = take_sizes },
	{ "disksize", 0, OPTION_SIZE, AT(disksize), .min = CORPUS_WRAP },
	{ "kills", 'k', OPTION_NUMBER, AT(kills), 1, STATS_MAX },
	{ "json", 0, OPTION_JSON, AT(output) },
	{ "svg", 0, OPTION_SVG, AT(output) },
};

static const struct option_set options = {
	.verb = "pause",
	.usage = usage,
	.nr = sizeof(rules) / sizeof(rules[0]),
	.rule = rules,
};

static void set_defaults(struct pause_options *o)
{
	static const uint64_t gib[] = { 1, 4, 16 };

	if (!o->targets.n)
		o->targets.item[o->targets.n++] = "uzram";
	if (!o->data.n)
		o->data.item[o->data.n++] = "light";
	for (unsigned int i = 0; !o->nr_sizes && i < 3; i++)
		o->size[i] = gib[i] << 30;
	if (!o->nr_sizes)
		o->nr_sizes = 3;
	if (o->disksize < o->size[o->nr_sizes - 1])
		o->disksize = o->size[o->nr_sizes - 1];
}

/* A panel for each size of each kind of data, a bar for each target. */
static int set_chart(struct pause_run *run, const struct machine *machine,
		     struct uz_err *err)
{
	const struct pause_options *o = run->o;
	struct chart *c = &run->chart;
	char text[UZ_SIZE_TEXT];

	snprintf(c->title, sizeof(c->title),
		 "uzram: what a client waits when a worker is killed");
	machine_text(machine, c->note, sizeof(c->note));
	c->columns = o->nr_sizes;
	c->nr_series = o->targets.n;
	for (unsigned int i = 0; i < o->targets.n; i++)
		snprintf(c->series[i], sizeof(c->series[0]), "%s",
			 o->targets.item[i]);
	for (unsigned int i = 0; i < o->data.n * o->nr_sizes; i++) {
		struct chart_panel *p = chart_add(c);

		if (!p)
			return uz_err_set(err, -ENOMEM, "no memory");
		uz_size_format(o->size[i % o->nr_sizes], text);
		snprintf(p->title, sizeof(p->title), "%s, %s stored",
			 o->data.item[i / o->nr_sizes], text);
		output_printable(p->title);
		snprintf(p->unit, sizeof(p->unit), "ms");
	}
	return 0;
}

static int report(const struct pause_run *run, const struct machine *machine,
		  struct uz_err *err)
{
	const struct pause_options *o = run->o;
	int ret = 0;

	if (output_text(&o->output))
		table_text(&run->table, stdout);
	if (o->output.svg_path)
		ret = chart_save(&run->chart, o->output.svg_path, err);
	if (ret || !o->output.json)
		return ret;
	return output_json(&o->output,
			   json_pack("{s:s, s:i, s:o, s:i, s:I, s:o}",
				     "benchmark", "pause", "version", 1,
				     "machine", machine_json(machine), "kills",
				     (int)o->kills, "disksize",
				     (json_int_t)o->disksize, "results",
				     table_json(&run->table)),
			   err);
}

static int run_all(struct pause_run *run, struct uz_err *err)
{
	const struct pause_options *o = run->o;
	struct corpus corpus = { 0 };
	int ret = 0;

	for (unsigned int d = 0; d < o->data.n && !ret; d++) {
		ret = pause_data(&corpus, o->data.item[d], err);
		for (unsigned int t = 0; t < o->targets.n && !ret; t++)
			ret = pause_measure(run, t, &corpus, d * o->nr_sizes,
					    err);
		corpus_free(&corpus);
	}
	return ret;
}

static int pause_all(const struct pause_options *o, struct uz_err *err)
{
	struct pause_run run = { .o = o };
	struct machine machine;
	char text[640], size[UZ_SIZE_TEXT];
	int ret;

	run.table.name = "pause";
	run.table.title = "the longest that a client waits for an answer when "
			  "the worker is killed;\na GiB more is by the row "
			  "above it";
	run.table.nr_columns = pause_nr_columns;
	run.table.column = pause_columns;
	machine_read(&machine);
	machine_text(&machine, text, sizeof(text));
	uz_size_format(o->disksize, size);
	if (output_text(&o->output))
		printf("uzram-bench pause: a device of %s, %u kills at each "
		       "size\n%s\n",
		       size, o->kills, text);
	ret = set_chart(&run, &machine, err);
	if (!ret)
		ret = run_all(&run, err);
	if (!ret)
		ret = report(&run, &machine, err);
	table_free(&run.table);
	chart_free(&run.chart);
	return ret;
}

int pause_main(int argc, char **argv)
{
	struct pause_options o = { .kills = 20 };
	struct uz_err err = { 0 };

	if (options_take(&options, &o, argc, argv, &err))
		return bench_exit(&err);
	set_defaults(&o);
	undo_catch_signals();
	pause_all(&o, &err);
	undo_all();
	return bench_exit(&err);
}
