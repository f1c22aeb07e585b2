// SPDX-License-Identifier: MIT
/*
 * save: have a device write itself into a file, and wait until it is there.
 * The daemon writes, as the user and in the place that it runs in; so the path
 * it gets is absolute. How far it is, its attribute says.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ctl.h"
#include <uzram/util/cleanup.h>

#define POLL_FIRST_NS (2 * 1000000L)
#define POLL_MAX_NS   (100 * 1000000L)

/* What the attribute says while it goes on; false once it has ended. */
static bool still_saving(const char *text, const char *name)
{
	uint64_t done, all;
	char what[64];

	if (sscanf(text, "saving %" SCNu64 " / %" SCNu64, &done, &all) != 2)
		return false;
	snprintf(what, sizeof(what), "saving %.40s", name);
	ctl_progress(what, done, all);
	return true;
}

static int await_end(const struct ctl_device *dev, char **text,
		     struct uz_err *err)
{
	struct timespec pause = { .tv_nsec = POLL_FIRST_NS };
	int rc;

	while (!(rc = ctl_device_read(dev, "save", text, err)) &&
	       still_saving(*text, dev->name)) {
		free(uz_steal_ptr(*text));
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < POLL_MAX_NS)
			pause.tv_nsec *= 2;
	}
	ctl_progress_end();
	return rc;
}

static int save(const char *name, const char *file, struct uz_err *err)
{
	static const char failed[] = "failed: ";
	uz_autofree char *text = NULL;
	uint64_t pages, bytes;
	struct ctl_device dev;
	char path[CTL_PATH_MAX];
	int rc = ctl_device_open(&dev, name, err);

	if (!rc)
		rc = ctl_absolute(file, path, err);
	if (!rc)
		rc = ctl_device_write(&dev, "save", path, err);
	if (!rc)
		rc = await_end(&dev, &text, err);
	if (rc)
		return rc;
	if (!strncmp(text, failed, sizeof(failed) - 1))
		return uz_err_set(err, -EIO, "%s: %s", dev.name,
				  text + sizeof(failed) - 1);
	if (!strcmp(text, "none"))
		return uz_err_set(err, -EIO,
				  "%s: its worker has died while it was saving",
				  dev.name);
	if (sscanf(text, "saved %" SCNu64 " pages in %" SCNu64, &pages,
		   &bytes) != 2)
		return uz_err_set(err, -EIO, "%s: save: %.200s", dev.name,
				  text);
	printf("%s: %" PRIu64 " pages (%s) saved to %s, which takes %s\n",
	       dev.name, pages, ctl_size_words(pages * UZ_PAGE_SIZE).text, path,
	       ctl_size_words(bytes).text);
	return 0;
}

enum uz_exit ctl_verb_save(int argc, char **argv)
{
	enum uz_exit status;
	struct uz_err err;

	if (!ctl_words(argc, argv, 2, 2, &status))
		return status;
	return save(argv[optind], argv[optind + 1], &err) ? ctl_fail(&err)
							  : UZ_EXIT_OK;
}
