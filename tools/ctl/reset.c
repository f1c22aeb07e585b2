// SPDX-License-Identifier: MIT
/*
 * reset: drop what a device holds, its size and its settings. The users are
 * looked for first so that the refusal can name them; the daemon refuses again
 * by itself, so nothing slips through between the two.
 */
#include <getopt.h>
#include <stdio.h>

#include "ctl.h"

int ctl_reset_device(const char *name, bool force, struct uz_err *err)
{
	struct ctl_device dev;
	int rc = ctl_device_open(&dev, name, err);

	if (!rc)
		rc = force ? ctl_release(&dev, NULL, err)
			   : ctl_refuse_used(&dev, err);
	if (rc)
		return rc;
	return ctl_device_write(&dev, "reset", force ? "force" : "1", err);
}

enum uz_exit ctl_verb_reset(int argc, char **argv)
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
			return ctl_help("reset");
		if (c == '?')
			return UZ_EXIT_USAGE;
		force = true;
	}
	if (optind == argc)
		return ctl_usage("reset");
	for (; optind < argc; optind++)
		if (ctl_reset_device(argv[optind], force, &err))
			status = ctl_fail(&err);
	return status;
}
