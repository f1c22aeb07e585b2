/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_BENCH_PAUSE_H
#define UZRAM_BENCH_PAUSE_H

#include "device.h"

#define PAUSE_SIZES_MAX 8

/* ---- pause.c: what is asked for ---- */

struct pause_options {
	struct list targets;
	struct list data;
	unsigned int nr_sizes;
	uint64_t size[PAUSE_SIZES_MAX]; /* ascending */
	uint64_t disksize; /* at least the largest of them */
	unsigned int kills;
	struct output output;
};

/* ---- pause_run.c ---- */

struct pause_run {
	const struct pause_options *o;
	struct table table;
	struct chart chart;
};

extern const struct table_column pause_columns[];
extern const unsigned int pause_nr_columns;

/* "same", "light", or the path of a file or directory. */
int pause_data(struct corpus *c, const char *data, struct uz_err *err);
/* A row for each size, and a bar in each of the panels from @panel on. */
int pause_measure(struct pause_run *run, unsigned int target,
		  const struct corpus *corpus, unsigned int panel,
		  struct uz_err *err);

#endif
