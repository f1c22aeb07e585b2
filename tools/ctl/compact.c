// SPDX-License-Identifier: MIT
/*
 * compact: have devices move their pages together, and say what that gave
 * back. The daemon works while the attribute is being written; what was gained
 * is told by its statistics before and after. They also count what it does by
 * itself meanwhile, which nobody could tell apart.
 */
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "ctl.h"
#include <uzram/util/cleanup.h>

static void print_gain(const struct ctl_device *dev, const char *before,
		       const char *after)
{
	uint64_t pages = ctl_stat_growth(before, after, "pages_compacted");
	uint64_t objects = ctl_stat_growth(before, after, "objects_moved");
	uint64_t pinned = ctl_stat_growth(before, after, "compact_pinned");
	uint64_t contended =
		ctl_stat_growth(before, after, "compact_contended");

	printf("%s: %" PRIu64 " pages (%s) given back, %" PRIu64
	       " objects moved, %" PRIu64 " zspages in use and %" PRIu64
	       " locked classes passed over\n",
	       dev->name, pages, ctl_size_words(pages * UZ_PAGE_SIZE).text,
	       objects, pinned, contended);
}

static int compact_device(const char *name, struct uz_err *err)
{
	uz_autofree char *before = NULL, *after = NULL;
	struct ctl_device dev;
	int rc = ctl_device_open(&dev, name, err);

	if (!rc)
		rc = ctl_device_read(&dev, "stat", &before, err);
	if (!rc)
		rc = ctl_device_write(&dev, "compact", "1", err);
	if (!rc)
		rc = ctl_device_read(&dev, "stat", &after, err);
	if (!rc)
		print_gain(&dev, before, after);
	return rc;
}

enum uz_exit ctl_verb_compact(int argc, char **argv)
{
	enum uz_exit status = UZ_EXIT_OK;
	struct uz_err err;

	if (!ctl_words(argc, argv, 1, INT_MAX, &status))
		return status;
	for (; optind < argc; optind++)
		if (compact_device(argv[optind], &err))
			status = ctl_fail(&err);
	return status;
}
