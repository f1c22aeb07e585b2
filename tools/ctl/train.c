// SPDX-License-Identifier: MIT
/*
 * train: have the daemon make a dictionary of what a device holds, and say what
 * it gains. The daemon works while the attribute is being written; what came of
 * it the attribute says.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include <uzram/util/cleanup.h>

#define ORDER_MAX 256

static int report(const struct ctl_device *dev, struct uz_err *err)
{
	static const char trained[] = "state trained\ncodec ";
	uz_autofree char *text = NULL;
	uint64_t without, with;
	const char *codec;
	int rc = ctl_device_read(dev, "train", &text, err);

	if (rc)
		return rc;
	if (strncmp(text, trained, sizeof(trained) - 1) != 0)
		return uz_err_set(err, -EIO,
				  "%s: its worker has died since; see "
				  "comp_algorithm and recomp_algorithm",
				  dev->name);
	codec = text + sizeof(trained) - 1;
	without = ctl_stat_number(text, "bytes_without");
	with = ctl_stat_number(text, "bytes_with");
	printf("%s: %.*s: a dictionary of %s, made of %" PRIu64 " of %" PRIu64
	       " pages; %" PRIu64 " others take %.1f %% less with it\n",
	       dev->name, (int)strcspn(codec, "\n"), codec,
	       ctl_size_words(ctl_stat_number(text, "size")).text,
	       ctl_stat_number(text, "learnt"), ctl_stat_number(text, "stored"),
	       ctl_stat_number(text, "held_back"),
	       without ? 100 * (1 - (double)with / (double)without) : 0);
	return 0;
}

static int train(const char *name, const char *algo, const char *size,
		 struct uz_err *err)
{
	char order[ORDER_MAX];
	struct ctl_device dev;
	int rc = ctl_device_open(&dev, name, err);

	if (rc)
		return rc;
	snprintf(order, sizeof(order), "%s%.100s%s%.100s",
		 algo ? "algo=" : "priority=0", algo ? algo : "",
		 size ? " size=" : "", size ? size : "");
	rc = ctl_device_write(&dev, "train", order, err);
	return rc ? rc : report(&dev, err);
}

enum uz_exit ctl_verb_train(int argc, char **argv)
{
	static const struct option options[] = {
		{ "size", required_argument, NULL, 's' },
		{ "algo", required_argument, NULL, 'a' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	const char *algo = NULL, *size = NULL;
	struct uz_err err;
	int c;

	while ((c = getopt_long(argc, argv, "s:a:h", options, NULL)) >= 0) {
		if (c == 'h')
			return ctl_help("train");
		if (c == '?')
			return UZ_EXIT_USAGE;
		if (c == 's')
			size = optarg;
		else
			algo = optarg;
	}
	if (argc - optind != 1)
		return ctl_usage("train");
	return train(argv[optind], algo, size, &err) ? ctl_fail(&err)
						     : UZ_EXIT_OK;
}
