/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_BENCH_DEVICE_H
#define UZRAM_BENCH_DEVICE_H

#include <limits.h>
#include <sys/types.h>

#include "bench.h"

/* ---- target.c: what is measured ---- */

struct target {
	char name[48]; /* as the user wrote it */
	char path[PATH_MAX]; /* what the load opens */
	uint64_t size; /* bytes from its start that may be used */
	/* Bytes of memory that it takes; 0: not known. NULL: cannot know. */
	uint64_t (*memory)(const struct target *t);
	/* Private to its kind: */
	char dir[PATH_MAX];
	pid_t pid;
	int number;
	int fd;
};

struct target_kind {
	const char *name;
	/* Make it, @t->size bytes large, and push how it is undone.
	 * @options: what the user wrote after "NAME:", or "".
	 */
	int (*open)(struct target *t, const char *options, struct uz_err *err);
};

extern const struct target_kind target_uzram, target_zram, target_nbdkit;

/* @t must stay where it is until undo_all(). @overwrite: files and devices
 * that exist may be written over.
 */
int target_open(struct target *t, const char *spec, uint64_t size,
		bool overwrite, struct uz_err *err);

/* Is that a device of ours? 0, or -EINVAL. */
int target_is_ours(const char *spec, struct uz_err *err);

/* target_loop.c: put a loop device with direct I/O on @t. */
int target_loop(struct target *t, struct uz_err *err);

/* ---- child.c: programs that targets run ---- */

/* @ready: NULL, or gets the reading end of a pipe that the child has as
 * descriptor CHILD_READY_FD.
 */
#define CHILD_READY_FD 3
int child_start(char *const argv[], int *ready, pid_t *pid);
/* True while it runs. */
bool child_alive(pid_t pid);
/* Wait up to 3 s until it ends by itself: its exit status, or -1. It stays to
 * be stopped.
 */
int child_status(pid_t pid);
/* Ask it to end, then insist. */
void child_stop(pid_t pid);

/* ---- scratch.c: private directories and mounts in them ---- */

/* A new directory below TMPDIR, removed by undo_all(). */
int scratch_make(char path[PATH_MAX], struct uz_err *err);
/* A new file of @size bytes in such a directory. */
int scratch_file(char path[PATH_MAX], uint64_t size, struct uz_err *err);
/* Whatever happened: nothing is mounted at @path any more. */
void scratch_unmount(const char *path);
/* Write @text to the file @path. */
int scratch_write(const char *path, const char *text);
/* The text of a small file without its line feed, "" on failure. */
void scratch_read(const char *path, char *text, size_t size);

/* ---- load.c: the load generator ---- */

struct load {
	const char *path;
	const struct corpus *corpus;
	uint64_t from; /* where load_fill() begins, whole blocks */
	uint64_t size; /* bytes from the start that are used */
	size_t block; /* bytes a request */
	unsigned int reads; /* percent of the requests; the others write */
	bool random;
	unsigned int depth; /* 1: pread and pwrite, more: io_uring */
	unsigned int jobs; /* threads, each with its own descriptor */
	double seconds;
	uint64_t seed;
};

struct load_result {
	double rate; /* requests a second of all jobs */
	/* Seconds that the machine's CPUs were busy for each GiB moved: the
	 * load itself, the kernel and whoever serves the target.
	 */
	double cpu;
};

/* The latencies of the requests are added to @hist. */
int load_run(const struct load *l, struct load_result *result,
	     struct hist *hist, struct uz_err *err);
/* Write all of it once, in order, from @from on. */
int load_fill(const struct load *l, struct uz_err *err);

/* What load.c and ring.c share: one thread of a load. */
struct load_job {
	const struct load *l;
	int fd;
	uint64_t first, end; /* its blocks */
	uint64_t next; /* in order: the block that comes next */
	uint64_t shift; /* in order: what is written where */
	uint64_t rng;
	uint8_t *buf; /* depth blocks, for reads */
	uint64_t deadline; /* ns of CLOCK_MONOTONIC */
	uint64_t done;
	struct hist hist;
};

bool load_goes_on(const struct load_job *j, uint64_t now);

struct load_request {
	bool write;
	void *buf;
	off_t at;
};

/* Choose the next request of slot @slot. */
struct load_request load_next(struct load_job *j, unsigned int slot);

/* ---- ring.c: many requests under way ---- */

bool ring_supported(void);
int ring_run(struct load_job *j);

/* ---- device.c ---- */

#define TARGETS_MAX	CHART_SERIES_MAX
#define DEVICE_LIST_MAX 8

struct device_options {
	struct list targets;
	const char *corpus;
	unsigned int nr_depths, depth[DEVICE_LIST_MAX];
	unsigned int nr_jobs, jobs[DEVICE_LIST_MAX];
	unsigned int max_large; /* depth of 1 MiB requests; 0: any */
	unsigned int rounds;
	double seconds; /* 0: not given */
	uint64_t size;
	bool overwrite;
	bool compare;
	struct output output;
};

/* ---- device_run.c ---- */

struct device_value {
	struct stats rate; /* requests a second */
	struct stats cpu; /* seconds for each GiB */
	struct hist *latency;
};

/* A target of --compare that cannot be had here. */
struct device_left_out {
	char name[48];
	char why[UZ_ERR_TEXT];
};

/* One kind of load on every target. */
struct device_work {
	struct load load; /* without path */
	struct device_value value[TARGETS_MAX];
};

struct device_run {
	struct machine machine;
	struct corpus corpus;
	unsigned int rounds;
	unsigned int nr_targets;
	struct target target[TARGETS_MAX];
	uint64_t memory[TARGETS_MAX]; /* after the fill; 0: not known */
	unsigned int nr_left_out;
	struct device_left_out left_out[TARGETS_MAX];
	bool compare;
	unsigned int nr_works;
	struct device_work *work;
	uint64_t size;
	double seconds;
};

int device_run(struct device_run *run, const struct device_options *o,
	       struct uz_err *err);
void device_run_free(struct device_run *run);

/* ---- device_compare.c: --compare, and what is said of transports ---- */

/* What was not given becomes what --compare has. */
void compare_defaults(struct device_options *o);
/* Have the kernel offer io_uring to FUSE until undo_all(), if it can. */
void compare_allow_uring(void);

/* The transport "auto" by the better one of those that it chooses from. */
struct compare_choice {
	const char *better;
	double ratio;
};

/* False: not all three of them were measured. */
bool compare_choice(const struct device_run *run,
		    const struct device_work *work, struct compare_choice *c);

/* ---- device_report.c ---- */

void device_work_name(const struct load *l, char *text, size_t size);
/* MB/s, the median of the rounds. */
double device_mb(const struct load *l, const struct stats *rate);
/* Microseconds that @percent of the requests do not exceed. */
double device_micro(const struct device_value *v, double percent);
void device_text(const struct device_run *run, FILE *out);
json_t *device_json(const struct device_run *run);

/* ---- device_chart.c ---- */

int device_chart(const struct device_run *run, struct chart *c);

#endif
