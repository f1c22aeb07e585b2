// SPDX-License-Identifier: MIT
/*
 * writeback: have pages of a device leave memory for its backing store, and
 * say what that came to.
 */
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "ctl.h"
#include <uzram/util/cleanup.h>

static void print_done(const struct ctl_device *dev, const char *before,
		       const char *after)
{
	uint64_t pages = ctl_stat_growth(before, after, "written_back_pages");
	uint64_t blocks = ctl_stat_growth(before, after, "written_blocks");

	printf("%s: %" PRIu64 " pages (%s) written back in %" PRIu64
	       " blocks (%s), %" PRIu64 " changed meanwhile\n",
	       dev->name, pages, ctl_size_words(pages * UZ_PAGE_SIZE).text,
	       blocks, ctl_size_words(blocks * UZ_PAGE_SIZE).text,
	       ctl_stat_growth(before, after, "writeback_changed"));
}

static int writeback_device(const char *name, char **words, int nr,
			    struct uz_err *err)
{
	uz_autofree char *before = NULL, *after = NULL;
	struct uz_err unread;
	struct ctl_device dev;
	int rc = ctl_device_open(&dev, name, err);

	if (!rc)
		rc = ctl_device_read(&dev, "stat", &before, err);
	if (rc)
		return rc;
	rc = ctl_write_watched(&dev, "writeback", words, nr, "done", err);
	/* Also when it was cut short: some pages may have been. */
	if (!ctl_device_read(&dev, "stat", &after, &unread) &&
	    (!rc || ctl_stat_growth(before, after, "written_back_pages")))
		print_done(&dev, before, after);
	return rc;
}

enum uz_exit ctl_verb_writeback(int argc, char **argv)
{
	enum uz_exit status;
	struct uz_err err;

	if (!ctl_words(argc, argv, 2, INT_MAX, &status))
		return status;
	return writeback_device(argv[optind], argv + optind + 1,
				argc - optind - 1, &err)
		       ? ctl_fail(&err)
		       : UZ_EXIT_OK;
}
