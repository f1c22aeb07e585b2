/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_CTL_REPORT_H
#define UZRAM_CTL_REPORT_H

#include "ctl.h"

/*
 * struct report - what a device tells about itself at one moment
 * @dev:       the device
 * @stat:      text of the attribute "stat"
 * @latency:   text of the attribute "latency"; NULL: the daemon has none
 * @codec:     the codec
 * @transport: how requests get to the daemon, or ""
 * @survives:  what becomes of them when the worker dies, or ""
 * @policy:    what work unasked waits for, or ""
 * @disksize:  bytes, 0 for none
 */
struct report {
	struct ctl_device dev;
	char *stat;
	char *latency;
	char *codec;
	char transport[16];
	char survives[16];
	char policy[16];
	uint64_t disksize;
};

/* Must be followed by report_free(), also after a failure. */
uz_must_check int report_read(struct report *r, const struct ctl_device *dev,
			      struct uz_err *err);
void report_free(struct report *r);

/* A statistic; 0 when there is no such. */
uint64_t report_number(const struct report *r, const char *name);

/* ---- prometheus.c ---- */

/* Prints the metrics of these devices, or with no name of all that serve. */
uz_must_check int prometheus_print(char **names, int nr, struct uz_err *err);

#endif
