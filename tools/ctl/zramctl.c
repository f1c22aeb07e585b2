// SPDX-License-Identifier: MIT
/*
 * Command lines without a verb, as zramctl(8) spells them: options decide
 * whether a device is found (-f), reset (-r) or the table printed.
 */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>

#include "ctl.h"

static enum uz_exit reset_all(char **names, int count)
{
	enum uz_exit status = UZ_EXIT_OK;
	struct uz_err err;
	int i;

	if (!count) {
		ctl_note("-r needs the NAME of a device");
		return UZ_EXIT_USAGE;
	}
	for (i = 0; i < count; i++)
		if (ctl_reset_device(names[i], false, &err))
			status = ctl_fail(&err);
	return status;
}

/* 0, or -EINVAL when it is an option of the table. */
static int add_option(struct ctl_add *add, int c, const char *arg,
		      struct uz_err *err)
{
	switch (c) {
	case 's':
		return ctl_add_option(add, "-s", arg, err);
	case 't':
		return ctl_add_option(add, "-t", arg, err);
	case 'a':
		add->codec = arg;
		return 0;
	default:
		add->params = arg;
		return 0;
	}
}

enum uz_exit ctl_zramctl(int argc, char **argv)
{
	static const struct option options[] = {
		{ "find", no_argument, NULL, 'f' },
		{ "size", required_argument, NULL, 's' },
		{ "algorithm", required_argument, NULL, 'a' },
		{ "algorithm-params", required_argument, NULL, 'p' },
		{ "streams", required_argument, NULL, 't' },
		{ "reset", no_argument, NULL, 'r' },
		CTL_LIST_LONG,
		{ 0 },
	};
	struct ctl_add add = { .dir = "" };
	bool find = false, reset = false, setup = false;
	struct ctl_list list = { 0 };
	struct uz_err err;
	int c, rc = 0;

	while ((c = getopt_long(argc, argv, "fs:a:p:t:r" CTL_LIST_SHORT,
				options, NULL)) >= 0) {
		switch (c) {
		case 'f':
			find = true;
			break;
		case 'r':
			reset = true;
			break;
		case 's':
		case 'a':
		case 'p':
		case 't':
			setup = true;
			rc = add_option(&add, c, optarg, &err);
			break;
		case '?':
			return UZ_EXIT_USAGE;
		default:
			rc = ctl_list_option(&list, c, optarg, &err);
			break;
		}
		if (rc) {
			ctl_fail(&err);
			return UZ_EXIT_USAGE;
		}
	}
	if (reset && !find && !setup)
		return reset_all(argv + optind, argc - optind);
	if (find && !reset && optind == argc)
		return ctl_add_run(&add);
	if (find || reset || setup) {
		ctl_note("-s, -a, -p and -t go with -f; see also 'uzramctl "
			 "add --help'");
		return UZ_EXIT_USAGE;
	}
	return ctl_list_print(&list, argv + optind, argc - optind);
}
