// SPDX-License-Identifier: MIT
/*
 * idle and recompress: mark pages of a device as idle, and have pages encoded
 * anew.
 */
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "ctl.h"
#include <uzram/util/cleanup.h>

enum uz_exit ctl_verb_idle(int argc, char **argv)
{
	struct ctl_device dev;
	enum uz_exit status;
	struct uz_err err;

	if (!ctl_words(argc, argv, 1, 2, &status))
		return status;
	if (ctl_device_open(&dev, argv[optind], &err) ||
	    ctl_device_write(&dev, "idle",
			     argc - optind > 1 ? argv[optind + 1] : "all",
			     &err))
		return ctl_fail(&err);
	return UZ_EXIT_OK;
}

static int report(const struct ctl_device *dev, const char *before,
		  struct uz_err *err)
{
	uz_autofree char *after = NULL;
	uint64_t pages, bytes;
	int rc = ctl_device_read(dev, "stat", &after, err);

	if (rc)
		return rc;
	pages = ctl_stat_growth(before, after, "recompressed");
	bytes = ctl_stat_growth(before, after, "recompress_saved");
	printf("%s: %" PRIu64 " of %" PRIu64 " pages made smaller, %s saved\n",
	       dev->name, pages, ctl_stat_number(after, "recompress_tried"),
	       ctl_size_words(bytes).text);
	return 0;
}

enum uz_exit ctl_verb_recompress(int argc, char **argv)
{
	uz_autofree char *before = NULL;
	struct ctl_device dev;
	enum uz_exit status;
	struct uz_err err;

	if (!ctl_words(argc, argv, 1, INT_MAX, &status))
		return status;
	/* Without words it is about every page. */
	if (ctl_device_open(&dev, argv[optind], &err) ||
	    ctl_device_read(&dev, "stat", &before, &err) ||
	    ctl_write_watched(&dev, "recompress", argv + optind + 1,
			      argc - optind - 1, "tried", &err) ||
	    report(&dev, before, &err))
		return ctl_fail(&err);
	return UZ_EXIT_OK;
}
