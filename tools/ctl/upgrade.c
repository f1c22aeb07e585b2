// SPDX-License-Identifier: MIT
/*
 * upgrade: have a device go on with another program, and wait until it does.
 * The daemon counts what has ended, well or not; so whatever happens meanwhile,
 * the end is known by a count that has changed.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl.h"
#include <uzram/util/cleanup.h>

#define POLL_NS (5 * 1000000L)

struct outcome {
	bool idle;
	uint64_t upgrades;
	uint64_t rollbacks;
	char last[512];
};

static int read_outcome(const struct ctl_device *dev, struct outcome *o,
			struct uz_err *err)
{
	static const char last[] = "\nlast ";
	uz_autofree char *text = NULL;
	int rc = ctl_device_read(dev, "upgrade", &text, err);
	const char *line;

	if (rc)
		return rc;
	line = strstr(text, last);
	*o = (struct outcome){
		.idle = !strncmp(text, "state idle", 10),
		.upgrades = ctl_stat_number(text, "upgrades"),
		.rollbacks = ctl_stat_number(text, "rollbacks"),
	};
	snprintf(o->last, sizeof(o->last), "%s",
		 line ? line + sizeof(last) - 1 : "");
	return 0;
}

static int wait_outcome(const struct ctl_device *dev, struct outcome *o,
			struct uz_err *err)
{
	const struct timespec step = { .tv_nsec = POLL_NS };
	const uint64_t before = o->upgrades + o->rollbacks;
	int rc;

	while (!(rc = read_outcome(dev, o, err)) && !o->idle)
		nanosleep(&step, NULL);
	if (rc)
		return rc;
	if (o->upgrades + o->rollbacks == before)
		return uz_err_set(err, -EIO,
				  "%s: its worker died before it could begin; "
				  "try again",
				  dev->name);
	return 0;
}

static int upgrade(const char *name, const char *program, struct uz_err *err)
{
	char path[CTL_PATH_MAX] = "1";
	struct outcome before = { 0 }, after;
	struct ctl_device dev;
	int rc = ctl_device_open(&dev, name, err);

	if (!rc && program)
		rc = ctl_absolute(program, path, err);
	if (!rc)
		rc = read_outcome(&dev, &before, err);
	if (!rc)
		rc = ctl_device_write(&dev, "upgrade", path, err);
	after = before;
	if (!rc)
		rc = wait_outcome(&dev, &after, err);
	if (rc)
		return rc;
	if (after.rollbacks != before.rollbacks)
		return uz_err_set(err, -EIO, "%s: %s", dev.name, after.last);
	printf("%s: %s\n", dev.name, after.last);
	return 0;
}

enum uz_exit ctl_verb_upgrade(int argc, char **argv)
{
	static const struct option options[] = {
		{ "binary", required_argument, NULL, 'b' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	const char *program = NULL;
	struct uz_err err;
	int c;

	while ((c = getopt_long(argc, argv, "b:h", options, NULL)) >= 0) {
		if (c == 'h')
			return ctl_help("upgrade");
		if (c == '?')
			return UZ_EXIT_USAGE;
		program = optarg;
	}
	if (argc - optind != 1)
		return ctl_usage("upgrade");
	if (upgrade(argv[optind], program, &err))
		return ctl_fail(&err);
	return UZ_EXIT_OK;
}
