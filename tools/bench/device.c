// SPDX-License-Identifier: MIT
/*
 * "uzram-bench device": block files and devices against each other.
 *
 * Only the options are here; device_run.c measures, device_report.c prints.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uzram/util/size.h>

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

static int take_option(struct device_options *o, int c, struct uz_err *err)
{
	switch (c) {
	case 't':
		if (o->nr_targets == TARGETS_MAX)
			return uz_err_set(err, -EINVAL, "more than %d targets",
					  TARGETS_MAX);
		o->target[o->nr_targets++] = optarg;
		return 0;
	case 'c':
		o->corpus = optarg;
		return 0;
	case 'd':
		return take_list("depth", optarg, 1024, o->depth, &o->nr_depths,
				 err);
	case 'j':
		return take_list("jobs", optarg, 64, o->jobs, &o->nr_jobs, err);
	case 'r':
		return options_number("rounds", optarg, 1, STATS_MAX,
				      &o->rounds, err);
	case 'E':
		return options_seconds("seconds", optarg, &o->seconds, err);
	case 's':
		if (uz_size_parse(optarg, uz_size_ram(), &o->size) ||
		    o->size < 64 * (uint64_t)CORPUS_WRAP)
			return uz_err_set(err, -EINVAL,
					  "size \"%s\": is not a size of 64M "
					  "or more",
					  optarg);
		o->size &= ~((uint64_t)CORPUS_WRAP - 1);
		return 0;
	case 'C':
		o->compare = true;
		return 0;
	case 'O':
		o->overwrite = true;
		return 0;
	case 'J':
		o->output.json = true;
		o->output.json_path = optarg;
		return 0;
	default:
		o->output.svg_path = optarg;
		return 0;
	}
}

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
	static const struct option longs[] = {
		{ "compare", no_argument, NULL, 'C' },
		{ "target", required_argument, NULL, 't' },
		{ "corpus", required_argument, NULL, 'c' },
		{ "depth", required_argument, NULL, 'd' },
		{ "jobs", required_argument, NULL, 'j' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "seconds", required_argument, NULL, 'E' },
		{ "size", required_argument, NULL, 's' },
		{ "overwrite", no_argument, NULL, 'O' },
		{ "json", optional_argument, NULL, 'J' },
		{ "svg", required_argument, NULL, 'S' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "t:c:d:j:r:s:h", longs, NULL)) !=
	       -1) {
		if (c == 'h') {
			usage(stdout);
			exit(EXIT_DONE);
		}
		if (c == '?') {
			usage(stderr);
			exit(EXIT_USAGE);
		}
		if (take_option(o, c, err))
			return err->code;
	}
	if (optind < argc)
		return uz_err_set(err, -EINVAL,
				  "\"%s\": targets are given with -t",
				  argv[optind]);
	if (o->compare)
		compare_defaults(o);
	if (!o->nr_targets)
		o->target[o->nr_targets++] = "uzram";
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
