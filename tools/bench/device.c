// SPDX-License-Identifier: MIT
/*
 * "uzram-bench device": block files and devices against each other.
 *
 * Only the options are here; device_run.c measures, device_report.c prints.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"

static void usage(FILE *out)
{
	fputs("usage: uzram-bench device [--compare] [-t TARGET]... "
	      "[OPTION]...\n"
	      "\n"
	      "      --compare         kernel zram, ours on every transport, "
	      "with and without\n"
	      "                        a loop device, and nbdkit\n"
	      "  -t, --target TARGET   what to measure; may be repeated "
	      "(default uzram):\n"
	      "       uzram[:KEY=VALUE,...]  a device of ours\n"
	      "       zram[:ALGORITHM]       the kernel's zram, lz4 unless "
	      "said\n"
	      "       nbdkit[:ALLOCATOR]     nbdkit and nbdfuse, zstd unless "
	      "said\n"
	      "       PATH                   a file or block device that "
	      "exists\n"
	      "       loop:TARGET            a loop device on any of them\n"
	      "  -c, --corpus PATH     data to write: a file, or a directory "
	      "of files\n"
	      "                        (default /usr/bin)\n"
	      "  -d, --depth LIST      requests under way (default 1,32)\n"
	      "  -j, --jobs LIST       threads (default 1,2)\n"
	      "  -r, --rounds N        rounds, of which the medians are shown "
	      "(default 5)\n"
	      "      --seconds S       time for each load on each target "
	      "(default 2; 1.5\n"
	      "                        with --compare)\n"
	      "  -s, --size SIZE       bytes of each target that are used "
	      "(default 1G)\n"
	      "      --overwrite       write over a PATH\n"
	      "      --json[=FILE]     results as JSON: instead of text, or "
	      "into FILE\n"
	      "      --svg FILE        results as a bar chart\n"
	      "  -h, --help            this text\n",
	      out);
}

static int take_list(const char *what, char *text, unsigned int max,
		     unsigned int *list, unsigned int *n, struct uz_err *err)
{
	char *word;

	*n = 0;
	while ((word = strsep(&text, ","))) {
		int ret;

		if (*n == DEVICE_LIST_MAX)
			return uz_err_set(err, -EINVAL,
					  "%s: more than %d of them", what,
					  DEVICE_LIST_MAX);
		ret = options_number(what, word, 1, max, &list[*n], err);
		if (ret)
			return ret;
		(*n)++;
	}
	return 0;
}

static int take_depths(void *options, char *text, struct uz_err *err)
{
	struct device_options *o = options;

	return take_list("depth", text, 1024, o->depth, &o->nr_depths, err);
}

static int take_jobs(void *options, char *text, struct uz_err *err)
{
	struct device_options *o = options;

	return take_list("jobs", text, 64, o->jobs, &o->nr_jobs, err);
}

#define AT(member) .at = offsetof(struct device_options, member)

static const struct option_rule rules[] = {
	{ "compare", 0, OPTION_SET, AT(compare) },
	{ "target", 't', OPTION_LIST, AT(targets), .max = TARGETS_MAX },
	{ "corpus", 'c', OPTION_TEXT, AT(corpus) },
	{ "depth", 'd', OPTION_CALL, .take = take_depths },
	{ "jobs", 'j', OPTION_CALL, .take = take_jobs },
	{ "rounds", 'r', OPTION_NUMBER, AT(rounds), 1, STATS_MAX },
	{ "seconds", 0, OPTION_SECONDS, AT(seconds) },
	{ "size", 's', OPTION_SIZE, AT(size), .min = UINT64_C(64) << 20 },
	{ "overwrite", 0, OPTION_SET, AT(overwrite) },
	{ "json", 0, OPTION_JSON, AT(output) },
	{ "svg", 0, OPTION_SVG, AT(output) },
};

static const struct option_set options = {
	.verb = "device",
	.usage = usage,
	.nr = sizeof(rules) / sizeof(rules[0]),
	.rule = rules,
};

/* Depths above 1 need io_uring; say so rather than leave them out. */
static int check_depths(const struct device_options *o, struct uz_err *err)
{
	for (unsigned int i = 0; i < o->nr_depths; i++)
		if (o->depth[i] > 1 && !ring_supported())
			return uz_err_set(err, -ENOTSUP,
					  "depth %u: this build or this system "
					  "has no io_uring; give --depth 1",
					  o->depth[i]);
	return 0;
}

static int take_options(struct device_options *o, int argc, char **argv,
			struct uz_err *err)
{
	int ret = options_take(&options, o, argc, argv, err);

	if (ret)
		return ret;
	if (o->compare)
		compare_defaults(o);
	if (!o->targets.n)
		o->targets.item[o->targets.n++] = "uzram";
	if (o->seconds <= 0)
		o->seconds = 2;
	return check_depths(o, err);
}

int device_main(int argc, char **argv)
{
	struct device_options o = {
		.corpus = "/usr/bin",
		.nr_depths = 2,
		.depth = { 1, 32 },
		.nr_jobs = 2,
		.jobs = { 1, 2 },
		.rounds = 5,
		.size = 1u << 30,
	};
	struct uz_err err = { 0 };
	struct device_run *run;

	if (take_options(&o, argc, argv, &err))
		return bench_exit(&err);
	run = calloc(1, sizeof(*run));
	if (!run)
		uz_err_set(&err, -ENOMEM, "no memory");
	undo_catch_signals();
	if (run) {
		device_run(run, &o, &err);
		undo_all();
		device_run_free(run);
	}
	return bench_exit(&err);
}
