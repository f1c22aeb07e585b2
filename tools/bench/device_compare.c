// SPDX-License-Identifier: MIT
/*
 * "device --compare": everything that a device of ours is measured by, with
 * the loads that tell them apart; and how good the choice of the transport is.
 *
 * The kernel offers io_uring to FUSE only while a parameter of its module says
 * so, and whoever mounts then is who gets it. The parameter is the whole
 * machine's, so it is put back to what it was.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device.h"

#define PARAMETER "/sys/module/fuse/parameters/enable_uring"

#define AUTO  "uzram:transport=auto"
#define FUSE  "uzram:transport=fuse"
#define URING "uzram:transport=io_uring"

static const char *const targets[] = {
	"zram:lz4", /* the first: ratios refer to it */
	AUTO,	    FUSE, URING, "loop:" FUSE, "loop:" URING, "nbdkit:zstd",
};

#define NR_TARGETS (sizeof(targets) / sizeof(targets[0]))

_Static_assert(NR_TARGETS <= TARGETS_MAX, "all are measured together");

void compare_defaults(struct device_options *o)
{
	/* 20 kinds of load on 7 targets in 5 rounds: 18 minutes. */
	if (o->seconds <= 0)
		o->seconds = 1.5;
	if (!o->targets.n) {
		memcpy(o->targets.item, targets, sizeof(targets));
		o->targets.n = NR_TARGETS;
	}
	/* These occupy every CPU of most machines; more would only queue. */
	o->max_large = 4;
}

static void put_back(void *arg)
{
	scratch_write(PARAMETER, arg);
	free(arg);
}

void compare_allow_uring(void)
{
	char was[8], *copy;

	scratch_read(PARAMETER, was, sizeof(was));
	if (strcmp(was, "N") != 0)
		return;
	copy = strdup(was);
	if (!copy)
		return;
	/* Without it, targets that demand it say why they cannot be had. */
	if (scratch_write(PARAMETER, "Y"))
		free(copy);
	else
		undo_push(put_back, copy);
}

/* NULL: it was not measured. */
static const struct stats *rate_of(const struct device_run *run,
				   const struct device_work *work,
				   const char *name)
{
	for (unsigned int i = 0; i < run->nr_targets; i++)
		if (!strcmp(run->target[i].name, name))
			return &work->value[i].rate;
	return NULL;
}

bool compare_choice(const struct device_run *run,
		    const struct device_work *work, struct compare_choice *c)
{
	const struct stats *chosen = rate_of(run, work, AUTO);
	const struct stats *fuse = rate_of(run, work, FUSE);
	const struct stats *uring = rate_of(run, work, URING);

	if (!chosen || !fuse || !uring)
		return false;
	/*
	 * The better one by its median: the better one of each round would be
	 * better by luck.
	 */
	if (stats_median(fuse) > stats_median(uring))
		*c = (struct compare_choice){
			"fuse",
			stats_ratio(chosen, fuse),
		};
	else
		*c = (struct compare_choice){
			"io_uring",
			stats_ratio(chosen, uring),
		};
	return true;
}
