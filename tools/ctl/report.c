// SPDX-License-Identifier: MIT
/*
 * What a device tells about itself, read once for all that is then shown of
 * it. Its statistics are of one moment; codec and size are read after them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"
#include <uzram/util/cleanup.h>

uint64_t report_number(const struct report *r, const char *name)
{
	return ctl_stat_number(r->stat, name);
}

/* The statistics that are words. */
static void report_words(struct report *r)
{
	const char *line = strstr(r->stat, "\ntransport ");

	if (line)
		sscanf(line, " transport %15s", r->transport);
	line = strstr(r->stat, "\nsurvives ");
	if (line)
		sscanf(line, " survives %15s", r->survives);
	line = strstr(r->stat, "\npolicy ");
	if (line)
		sscanf(line, " policy %15s", r->policy);
}

int report_read(struct report *r, const struct ctl_device *dev,
		struct uz_err *err)
{
	uz_autofree char *disksize = NULL;
	int rc;

	*r = (struct report){ .dev = *dev };
	rc = ctl_device_read(dev, "stat", &r->stat, err);
	if (!rc)
		report_words(r);
	if (!rc && ctl_device_read(dev, "latency", &r->latency, NULL))
		r->latency = NULL; /* a program before there was that */
	if (!rc)
		rc = ctl_device_codec(dev, &r->codec, err);
	if (!rc)
		rc = ctl_device_read(dev, "disksize", &disksize, err);
	if (!rc)
		r->disksize = strtoull(disksize, NULL, 10);
	return rc;
}

void report_free(struct report *r)
{
	free(r->stat);
	free(r->latency);
	free(r->codec);
}
