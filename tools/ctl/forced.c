// SPDX-License-Identifier: MIT
/*
 * Verbs of the form VERB [--force] NAME...: each device in turn, and the last
 * failure is the program's.
 */
#include <getopt.h>

#include "ctl.h"

enum uz_exit ctl_forced(const char *verb,
			int (*one)(const char *name, bool force,
				   struct uz_err *err),
			int argc, char **argv)
{
	static const struct option options[] = {
		{ "force", no_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	enum uz_exit status = UZ_EXIT_OK;
	bool force = false;
	struct uz_err err;
	int c;

	while ((c = getopt_long(argc, argv, "fh", options, NULL)) >= 0) {
		if (c == 'h')
			return ctl_help(verb);
		if (c == '?')
			return UZ_EXIT_USAGE;
		force = true;
	}
	if (optind == argc)
		return ctl_usage(verb);
	for (; optind < argc; optind++)
		if (one(argv[optind], force, &err))
			status = ctl_fail(&err);
	return status;
}
