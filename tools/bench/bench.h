/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_BENCH_H
#define UZRAM_BENCH_H

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>

#include <jansson.h>

#include <uzram/types.h>
#include <uzram/util/err.h>

/* What the files of uzram-bench share, one section for each. */

/* ---- stats.c: the same thing measured several times ---- */

#define STATS_MAX 64

/* One value a round. Rounds of two things that are compared are paired. */
struct stats {
	unsigned int n;
	double v[STATS_MAX];
};

void stats_add(struct stats *s, double value);
/* 0 when there is no value. */
double stats_median(const struct stats *s);
/* Median of a/b of each round, so that drift between rounds cancels. */
double stats_ratio(const struct stats *a, const struct stats *b);
json_t *stats_json(const struct stats *s);

/* ---- hist.c: latencies ---- */

#define HIST_SUB_BITS 6
#define HIST_MAX_BITS 40
#define HIST_BUCKETS  ((HIST_MAX_BITS - HIST_SUB_BITS + 1) << HIST_SUB_BITS)

/* 64 buckets for each power of two: values are right to 1.6 %. */
struct hist {
	uint64_t n;
	uint64_t count[HIST_BUCKETS];
};

void hist_add(struct hist *h, uint64_t ns);
void hist_merge(struct hist *to, const struct hist *from);
/* The value that @percent of all do not exceed; 0 when there is none. */
uint64_t hist_percentile(const struct hist *h, double percent);

/* ---- machine.c: where and of what a figure was taken ---- */

struct machine {
	char cpu[128];
	unsigned int cpus;
	uint64_t ram;
	char kernel[200];
	char date[32];
	char commit[64];
};

extern const char machine_commit[]; /* commit.c */

void machine_read(struct machine *m);
/* Two lines without the last line feed. */
void machine_text(const struct machine *m, char *text, size_t size);
json_t *machine_json(const struct machine *m);
/* Bytes of memory that the system could still give; 0: it does not tell. */
uint64_t machine_available(void);

/* ---- corpus.c: the data that is stored ---- */

/* Bytes that repeat the start after the end: any block up to this size can
 * be taken at any page of the corpus.
 */
#define CORPUS_WRAP (1u << 20)

/* Fewer bytes than this are no corpus. */
#define CORPUS_MIN (1u << 20)

struct corpus {
	char name[64];
	uint8_t *data; /* page-aligned, size + CORPUS_WRAP bytes */
	size_t size; /* whole pages */
	size_t mapped;
};

/* @path: a file, or a directory whose files are taken in order of name. */
int corpus_load(struct corpus *c, const char *path, size_t max,
		struct uz_err *err);
/* Of pages that @fill makes; @size: whole pages, CORPUS_WRAP or more. */
int corpus_make(struct corpus *c, const char *name, size_t size,
		void (*fill)(uint8_t *page, uint64_t index),
		struct uz_err *err);
void corpus_free(struct corpus *c);

static inline size_t corpus_pages(const struct corpus *c)
{
	return c->size / UZ_PAGE_SIZE;
}

static inline const uint8_t *corpus_page(const struct corpus *c, uint64_t i)
{
	return c->data + i % corpus_pages(c) * UZ_PAGE_SIZE;
}

/* ---- chart.c: bars as SVG ---- */

#define CHART_SERIES_MAX 8

/* One small picture: a bar for each series. A value of 0 is left out. */
struct chart_panel {
	char title[160];
	char unit[16];
	double value[CHART_SERIES_MAX];
};

struct chart {
	char title[128];
	char note[640]; /* what and where; lines end in '\n' */
	unsigned int columns; /* panels in a row */
	unsigned int nr_series;
	char series[CHART_SERIES_MAX][48];
	unsigned int nr_panels;
	struct chart_panel *panel;
};

struct chart_panel *chart_add(struct chart *c);
int chart_write(const struct chart *c, FILE *out);
int chart_save(const struct chart *c, const char *path, struct uz_err *err);
void chart_free(struct chart *c);

/* ---- output.c: where results go ---- */

/* How all verbs report; text goes to stdout unless JSON does. */
struct output {
	bool json; /* asked for */
	const char *json_path; /* NULL: stdout */
	const char *svg_path; /* NULL: none */
};

static inline bool output_text(const struct output *o)
{
	return !o->json || o->json_path;
}

/* Takes over @root. */
int output_json(const struct output *o, json_t *root, struct uz_err *err);
/* Names come from the file system; what is written out is plain ASCII. */
void output_printable(char *text);

/* ---- options.c: what options of several verbs have in common ---- */

#define LIST_MAX  16
#define RULES_MAX 24

struct list {
	unsigned int n;
	const char *item[LIST_MAX];
};

/* What the value of an option is, and what it is kept as. */
enum option_kind {
	OPTION_SET, /* none; bool: true */
	OPTION_TEXT, /* const char * */
	OPTION_LIST, /* struct list: may be repeated, @max times at most */
	OPTION_NUMBER, /* unsigned int: @min ... @max */
	OPTION_SECONDS, /* double: 0.01 ... 3600 */
	OPTION_SIZE, /* uint64_t: bytes, as options_size() */
	OPTION_JSON, /* struct output */
	OPTION_SVG, /* struct output */
	OPTION_CALL, /* whatever @take makes of it */
};

struct option_rule {
	const char *name; /* after "--" */
	char letter; /* after "-"; 0: none */
	enum option_kind kind;
	size_t at; /* in the verb's struct */
	uint64_t min, max;
	int (*take)(void *options, char *text, struct uz_err *err);
};

struct option_set {
	const char *verb;
	void (*usage)(FILE *out);
	unsigned int nr; /* RULES_MAX at most */
	const struct option_rule *rule;
};

/* Take all options into @options, which has the defaults. Ends the program
 * after --help, and after an option that there is none of.
 */
int options_take(const struct option_set *set, void *options, int argc,
		 char **argv, struct uz_err *err);
/* For what a rule's @take makes of words in its text. */
/* @text has @min ... @max, or -EINVAL and a sentence about @what. */
int options_number(const char *what, const char *text, unsigned int min,
		   unsigned int max, unsigned int *value, struct uz_err *err);
/* Bytes, whole MiB, @min or more; likewise. */
int options_size(const char *what, const char *text, uint64_t min,
		 uint64_t *size, struct uz_err *err);
int options_list(struct list *l, const char *item, unsigned int max,
		 struct uz_err *err);

/* ---- clock.c ---- */

/* ns of CLOCK_MONOTONIC */
uint64_t clock_ns(void);
/* ns that all CPUs together were busy since boot, in steps of a tick (10 ms):
 * programs and the kernel's own threads, not what a hypervisor took. 0 when
 * the system does not tell.
 */
uint64_t clock_busy(void);
/* Sleep until then; -EINTR when undo_stop was raised meanwhile. */
int clock_sleep(uint64_t deadline);

/* ---- random.c: numbers, the same in every run ---- */

/* One number for each @x, with nothing to be seen of the other. */
uint64_t random_mix(uint64_t x);
/* 0 ... @n - 1; @state may begin as anything. */
uint64_t random_below(uint64_t *state, uint64_t n);
/* A permutation of 0 ... @n - 1. */
void random_order(uint32_t *order, uint64_t n, uint64_t seed);

/* ---- table.c: figures as text and as JSON ---- */

#define TABLE_COLUMNS_MAX 10

struct table_column {
	const char *key; /* in JSON, with its unit */
	const char *head; /* in the text: two lines */
	const char *unit;
	double scale; /* from JSON's unit to the text's */
	int digits;
};

/* Rows of the same corpus and codec in a row stand under one heading. */
struct table_row {
	char corpus[64];
	char codec[64];
	char what[64];
	struct stats value[TABLE_COLUMNS_MAX];
};

struct table {
	const char *name;
	const char *title;
	char note[512]; /* what the reader has to know; may be empty */
	unsigned int nr_columns;
	const struct table_column *column;
	unsigned int nr_rows;
	struct table_row *row;
};

/* NULL: no memory. Valid until the next one is added. */
struct table_row *table_add(struct table *t, const char *corpus,
			    const char *codec, const char *what);
void table_set(struct table_row *row, unsigned int column, double value);
void table_text(const struct table *t, FILE *out);
json_t *table_json(const struct table *t);
void table_free(struct table *t);

/* ---- threads.c ---- */

/* Run @fn once for each of @n arguments that lie in a row, all at the same
 * time, and wait for them. @pinned: each on a CPU of its own while there are
 * enough; threads that start together are otherwise often left on one CPU for
 * longer than a short run lasts. On failure none has run.
 */
int threads_run(unsigned int n, bool pinned, void (*fn)(void *arg), void *args,
		size_t arg_size);

/* ---- undo.c: what must be taken down, whatever happens ---- */

/* Set by SIGINT, SIGTERM and SIGHUP; loops look at it and end early. */
extern atomic_bool undo_stop;

static inline bool undo_stopped(void)
{
	/* relaxed: a flag that guards nothing else. */
	return atomic_load_explicit(&undo_stop, memory_order_relaxed);
}

void undo_catch_signals(void);
/* Have @fn(@arg) called by undo_all(), last pushed first. */
void undo_push(void (*fn)(void *arg), void *arg);
/* How many are pushed: what undo_to() goes back to. */
unsigned int undo_mark(void);
/* Undo what was pushed since @mark. */
void undo_to(unsigned int mark);
void undo_all(void);

/* ---- the verbs ---- */

int engine_main(int argc, char **argv);
int device_main(int argc, char **argv);
int pool_main(int argc, char **argv);
int pause_main(int argc, char **argv);

/* Exit status, as in the man page. */
enum {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_UNSUPPORTED = 5,
	EXIT_INTERRUPTED = 130,
};

int bench_exit(const struct uz_err *err);

#endif
