/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_BENCH_POOL_H
#define UZRAM_BENCH_POOL_H

#include <uzram/compress.h>
#include <uzram/device.h>
#include <uzram/pool.h>
#include <uzram/worker.h>

#include "device.h"
#include "settle.h"

/* ---- pool.c: what is asked for, and what is found ---- */

struct pool_options {
	unsigned int parts; /* bit n: part n */
	struct list corpora;
	struct list codecs;
	struct list targets; /* of "client" */
	const char *zpool; /* NULL: the default */
	unsigned int threads;
	unsigned int rounds;
	unsigned int churn; /* overwrites of everything */
	double seconds; /* of each half of a round */
	double sleep; /* that objects stay mapped */
	uint64_t size;
	uint64_t large; /* of "growth" */
	uint64_t limit; /* of "cache" */
	double idle; /* that "policy" leaves it alone */
	const char *policy; /* its setting */
	bool no_zram;
	struct output output;
};

struct pool_run {
	const struct pool_options *o;
	unsigned int nr_corpora;
	struct corpus corpus[LIST_MAX];
	/* What a part is run with: */
	struct uz_codec codec;
	char codec_text[UZ_CODEC_TEXT_MAX + 1];
	struct table *table; /* gets the part's rows */
	struct chart *chart; /* gets its panels */
};

/* What the bars of a panel are; those that mean nothing there are left out. */
enum {
	POOL_BAR_UZRAM,
	POOL_BAR_ZRAM,
	POOL_BAR_WITHOUT,
	POOL_BAR_WITH,
	POOL_NR_BARS,
};

/* A kind of measurement, in a file of its own. */
struct pool_part {
	const char *name;
	const char *title;
	bool any_codec; /* run with the first codec only */
	unsigned int nr_columns;
	const struct table_column *column;
	int (*run)(struct pool_run *run, struct uz_err *err);
};

extern const struct pool_part pool_density, pool_churn, pool_discard,
	pool_sleepers, pool_latency, pool_cost, pool_growth, pool_recompress,
	pool_client, pool_writeback, pool_policy, pool_cache;

/* Is there memory for the large size? Looked at before anything is run. */
int pool_growth_fits(const struct pool_run *run, struct uz_err *err);

/* What is being done: a line on stderr. */
void pool_progress(const struct pool_run *run, const char *what);
/* A row of the part's table; @corpus NULL: all of them. NULL sets @err. */
struct table_row *pool_row(struct pool_run *run, const struct corpus *corpus,
			   const char *what, struct uz_err *err);
/* A panel; NULL sets @err. */
struct chart_panel *pool_panel(struct pool_run *run, const char *title,
			       const char *unit, struct uz_err *err);

/* ---- pool_mix.c: pages of all corpora ---- */

/* Page @index as it is in round @round: the same in every run. */
const uint8_t *pool_mix(const struct pool_run *run, unsigned int round,
			uint64_t index);
/* Bytes that a page of the mixture takes compressed, on average. */
int pool_mix_size(const struct pool_run *run, double *bytes,
		  struct uz_err *err);

/* ---- pool_device.c: a device in this process ---- */

struct pool_device {
	struct uz_device_mem mem;
	struct uz_device *dev;
	struct uz_io *io; /* of the thread that made it */
	struct uz_compactor *compactor; /* NULL: none in the background */
	uint64_t pages;
	uint64_t before; /* ordinary memory of the process before */
};

int pool_device_open(struct pool_device *d, const struct pool_run *run,
		     uint64_t size, struct uz_err *err);
void pool_device_close(struct pool_device *d);
/* Compact in the background from now on, as the daemon does. */
int pool_device_background(struct pool_device *d, struct uz_err *err);
/* One page by a request. */
int pool_device_submit(struct uz_io *io, enum uz_op op, uint64_t page,
		       const void *buf);
/* All pages, those of the corpus, and wait until the reserve is gone. */
int pool_device_fill(struct pool_device *d, const struct corpus *corpus,
		     struct uz_err *err);
/* Does the device agree with itself, checksums included? */
int pool_device_check(struct pool_device *d, struct uz_err *err);
/* Bytes of the arena that the kernel counts. */
uint64_t pool_device_arena(void *d);

/* What it takes. */
struct pool_memory {
	uint64_t compressed; /* payload */
	uint64_t used; /* arena */
	uint64_t meta; /* of the pool */
	uint64_t table; /* and what else is shared */
	uint64_t all; /* more than before, by the kernel's account */
	uint64_t resident; /* the same by the device's account; 0: none */
};

void pool_device_memory(struct pool_device *d, struct pool_memory *m);
double pool_density_of(const struct pool_memory *m);
/* Wait until the reserve is gone. */
int pool_device_settle(struct pool_device *d);
/* And until what is at rest lies in huge pages, at most a minute. */
int pool_device_collapse(struct pool_device *d);
/* Until nothing more is to be gained; adds to @done. -EINTR after a signal. */
int pool_device_compact(struct pool_device *d, struct uz_pool_compaction *done);

/* ---- pool_zram.c: the kernel's, beside it ---- */

struct pool_zram {
	struct target target;
	bool here; /* false: there is none; nothing else is set */
	int fd;
};

/* Not having one is not an error: the part's note says why. */
int pool_zram_open(struct pool_zram *z, struct pool_run *run,
		   struct uz_err *err);
int pool_zram_fill(struct pool_zram *z, const struct pool_run *run,
		   const struct corpus *corpus, struct uz_err *err);
int pool_zram_write(struct pool_zram *z, uint64_t page, const void *buf,
		    struct uz_err *err);
int pool_zram_compact(struct pool_zram *z, struct uz_err *err);
/* @m->all is what it takes by the layout of its structures. */
int pool_zram_memory(const struct pool_zram *z, struct pool_memory *m,
		     struct uz_err *err);
void pool_zram_close(struct pool_zram *z);

/* ---- pool_store.c: objects in a pool, without a device ---- */

/* Sizes of objects are those of pages of the mixture. */
#define POOL_SIZES 4096

struct pool_store {
	struct uz_pool *pool;
	int fd;
	uint64_t n;
	_Atomic uint64_t *word; /* of object i; 0: none */
	uint32_t window;
	const struct pool_run *run;
	uint16_t size[POOL_SIZES];
};

int pool_store_open(struct pool_store *s, const struct pool_run *run,
		    uint64_t n, struct uz_err *err);
void pool_store_close(struct pool_store *s);
/* Store object @i, with the size and bytes that @salt says. */
int pool_store_put(struct pool_store *s, uint64_t i, uint64_t salt);
int pool_store_fill(struct pool_store *s, struct uz_err *err);
/* Copy it out; its size, 0 when there is none. */
uint32_t pool_store_get(struct pool_store *s, uint64_t i, void *buf);
/* Map it as long as it is wanted; false: there is none. */
bool pool_store_map(struct pool_store *s, uint64_t i, struct uz_map *map);
void pool_store_drop(struct pool_store *s, uint64_t i);
int pool_store_compact(struct pool_store *s, struct uz_pool_compaction *done);
/* One object of each of at most *@n zspages; *@n becomes how many. */
void pool_store_spread(struct pool_store *s, uint32_t *owner, uint32_t *n);

#endif
