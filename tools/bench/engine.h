/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_BENCH_ENGINE_H
#define UZRAM_BENCH_ENGINE_H

#include <time.h>

#include <uzram/compress.h>
#include <uzram/device.h>

#include "bench.h"
#include "settle.h"

/* What is measured, in the order of a round. */
enum engine_op {
	ENGINE_FILL, /* every page for the first time */
	ENGINE_OVERWRITE, /* every page again with other content */
	ENGINE_LOAD, /* in order */
	ENGINE_RANDOM, /* each page once, in random order */
	ENGINE_DISCARD, /* one page at a time */
	ENGINE_NR_OPS,
};

/* MB/s of the bare codec and of the device; nothing bare for a discard. */
struct engine_cell {
	struct stats bare;
	struct stats device;
};

/* One codec on one corpus. */
struct engine_result {
	const struct corpus *corpus;
	struct uz_codec codec;
	char codec_text[UZ_CODEC_TEXT_MAX + 1];
	uint64_t pages;
	/* With one thread, and with as many as asked for (1: not measured). */
	unsigned int threads;
	struct engine_cell one[ENGINE_NR_OPS];
	struct engine_cell many[ENGINE_NR_OPS];
	/* One thread, last round: after the first fill, after overwriting. */
	struct settle_stat filled;
	struct settle_stat overwritten;
};

/* ---- engine_pass.c ---- */

/* What the threads of a pass have in common. */
struct engine_setup {
	const struct corpus *corpus;
	uint64_t pages;
	uint64_t shift; /* what the device holds now */
	uint32_t *order; /* a permutation of the pages */
	uint8_t *objects; /* the bare codec's results, end to end */
	uint64_t *place; /* where page i's begins; pages + 1 of them */
};

/* One thread. */
struct engine_worker {
	const struct engine_setup *s;
	int (*pass)(struct engine_worker *w);
	struct uz_codec_ctx *ctx;
	struct uz_io *io;
	uint64_t first, end; /* pages of the next pass */
	struct timespec began, ended;
	int ret;
	_Alignas(UZ_PAGE_SIZE) uint8_t page[UZ_PAGE_SIZE];
};

typedef int engine_pass(struct engine_worker *w);

/* By operation; nothing bare for a discard. */
extern engine_pass *const engine_pass_bare[ENGINE_NR_OPS];
extern engine_pass *const engine_pass_device[ENGINE_NR_OPS];
/* Is everything as @w->s says? -EUCLEAN when it is not. */
engine_pass engine_pass_verify;

/* Run a pass on @n workers at once; adds the seconds to *@took. */
int engine_pass_run(struct engine_worker *w, unsigned int n, engine_pass *pass,
		    double *took);

/* ---- engine_run.c ---- */

/* @r has corpus, codec, pages and threads. */
int engine_run(struct engine_result *r, unsigned int rounds,
	       struct uz_err *err);

/* ---- engine_report.c ---- */

const char *engine_op_name(enum engine_op op);
/* All threads' rate by one thread's, paired by round; 0: not measured. */
double engine_scaling(const struct engine_result *r, enum engine_op op);
void engine_text(const struct engine_result *r, FILE *out);
json_t *engine_json(const struct engine_result *r);
int engine_chart(const struct engine_result *r, struct chart *c);

#endif
