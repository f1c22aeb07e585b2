// SPDX-License-Identifier: MIT
/*
 * get and set: one attribute, as cat and echo, but with the daemon's reason
 * when it refuses.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include <uzram/util/cleanup.h>

/* Neither verb has options but --help; values may begin with a dash. */
static bool wants_help(int argc, char **argv)
{
	return argc == 2 &&
	       (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"));
}

enum uz_exit ctl_verb_get(int argc, char **argv)
{
	uz_autofree char *text = NULL;
	struct ctl_device dev;
	struct uz_err err;

	if (wants_help(argc, argv))
		return ctl_help("get");
	if (argc != 3)
		return ctl_usage("get");
	if (ctl_device_open(&dev, argv[1], &err) ||
	    ctl_device_read(&dev, argv[2], &text, &err))
		return ctl_fail(&err);
	puts(text);
	return UZ_EXIT_OK;
}

enum uz_exit ctl_verb_set(int argc, char **argv)
{
	struct ctl_device dev;
	struct uz_err err;

	if (wants_help(argc, argv))
		return ctl_help("set");
	if (argc != 4)
		return ctl_usage("set");
	if (ctl_device_open(&dev, argv[1], &err) ||
	    ctl_device_write(&dev, argv[2], argv[3], &err))
		return ctl_fail(&err);
	return UZ_EXIT_OK;
}
