// SPDX-License-Identifier: MIT
/*
 * check-config: every mistake in a configuration file, or in all that daemons
 * would read, one line each, as compilers write them. Starts nothing.
 *
 * The lines are what was asked for, so they go to stdout.
 */
#include <getopt.h>
#include <stdio.h>

#include "ctl.h"
#include <uzram/daemon/conf.h>

static void tell(void *arg, const char *file, unsigned int line,
		 const char *text)
{
	(void)arg;
	if (line)
		printf("%s:%u: %s\n", file, line, text);
	else
		printf("%s: %s\n", file, text);
}

static const char *plural(unsigned int n)
{
	return n == 1 ? "" : "s";
}

enum uz_exit ctl_verb_check_config(int argc, char **argv)
{
	struct uz_conf_count count;
	enum uz_exit status;
	const char *file;
	int rc;

	if (!ctl_words(argc, argv, 0, 1, &status))
		return status;
	file = argv[optind];
	rc = uz_conf_check(file, tell, NULL, &count);
	if (rc)
		return uz_exit_status(rc);
	if (!count.files)
		puts("There is no configuration file.");
	else
		printf("No mistake in %u file%s, %u section%s.\n", count.files,
		       plural(count.files), count.devices,
		       plural(count.devices));
	return UZ_EXIT_OK;
}
