// SPDX-License-Identifier: MIT
/*
 * uzram-bench: how fast and how compact, against what it is measured by.
 *
 * One verb, one file below bench/: "engine" measures the layers under the
 * front end in this process against the bare codec, "device" measures block
 * files and devices against each other through direct I/O, "pool" what the pool
 * promises: density, memory given back, sleepers, latency; "pause" kills
 * workers of devices, and measures what a client notices of it.
 */
#include <string.h>

#include "bench/bench.h"
#include "config.h"

static void usage(FILE *out)
{
	fputs("usage: uzram-bench engine [OPTION]...\n"
	      "       uzram-bench device [-t TARGET]... [OPTION]...\n"
	      "       uzram-bench pool [--part NAME]... [OPTION]...\n"
	      "       uzram-bench pause [-t TARGET]... [OPTION]...\n"
	      "       uzram-bench --help | --version\n"
	      "\n"
	      "  engine  the device in this process against the bare codec\n"
	      "  device  block files and devices against each other\n"
	      "  pool    what the pool takes, gives back and costs\n"
	      "  pause   what a client waits when a worker is killed\n"
	      "\n"
	      "uzram-bench VERB --help tells its options; see also "
	      "uzram-bench(1).\n",
	      out);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "engine"))
		return engine_main(argc - 1, argv + 1);
	if (!strcmp(argv[1], "device"))
		return device_main(argc - 1, argv + 1);
	if (!strcmp(argv[1], "pool"))
		return pool_main(argc - 1, argv + 1);
	if (!strcmp(argv[1], "pause"))
		return pause_main(argc - 1, argv + 1);
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		usage(stdout);
		return EXIT_DONE;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		puts("uzram-bench " UZ_VERSION);
		return EXIT_DONE;
	}
	fprintf(stderr,
		"uzram-bench: \"%s\": is not one of its verbs; engine, device, "
		"pool and pause are\n",
		argv[1]);
	return EXIT_USAGE;
}
