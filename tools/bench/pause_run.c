// SPDX-License-Identifier: MIT
/*
 * Workers killed, and how long a client waits each time.
 *
 * One device is filled bit by bit, and its worker killed at each of the sizes.
 * The client is this thread: it kills, and then reads pages and asks who
 * serves, until that is another process. What it waits for longest is the
 * pause; the worker may still answer while it dies, so the first request need
 * not be the one that waits. Every page that is read is compared.
 *
 * Nothing else runs meanwhile. Requests that are under way add little: the
 * successor takes over all memory before it looks at the first.
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>

#include <uzram/util/cleanup.h>
#include <uzram/util/size.h>

#include "pause.h"
#include "settle.h"

#define STEP (UINT64_C(256) << 20) /* bytes between looks at the memory */

/* Longer than a supervisor gives a worker the benefit of the doubt. */
#define SERVES_NS   UINT64_C(200000000)
#define PATIENCE_NS (UINT64_C(120) * 1000000000)

enum {
	PAUSE,
	LONGEST,
	SLOPE,
	MEMORY
};

const struct table_column pause_columns[] = {
	{ "pause_ms", "median", "ms", 1, 1 },
	{ "longest_ms", "longest", "ms", 1, 1 },
	{ "ms_per_gib", "a GiB more", "ms", 1, 2 },
	{ "pool_bytes", "pool", "MB", 1e-6, 1 },
};
const unsigned int pause_nr_columns =
	sizeof(pause_columns) / sizeof(pause_columns[0]);

/* A device and who asks it. */
struct client {
	struct target target;
	const struct corpus *corpus;
	int fd;
	uint64_t filled; /* bytes */
	uint64_t rng;
	uint8_t *page;
};

/* Takes next to no memory: one word over and over. */
static void fill_same(uint8_t *page, uint64_t index)
{
	uint64_t *word = (uint64_t *)page;

	for (unsigned int i = 0; i < UZ_PAGE_SIZE / sizeof(*word); i++)
		word[i] = index + 1;
}

/* Takes little: half a cache line of noise. */
static void fill_light(uint8_t *page, uint64_t index)
{
	uint64_t *word = (uint64_t *)page;

	memset(page, 0, UZ_PAGE_SIZE);
	for (unsigned int i = 0; i < 4; i++)
		word[i * 8] = random_mix(index * 4 + i);
}

int pause_data(struct corpus *c, const char *data, struct uz_err *err)
{
	if (!strcmp(data, "same"))
		return corpus_make(c, data, STEP / 16, fill_same, err);
	if (!strcmp(data, "light"))
		return corpus_make(c, data, STEP / 16, fill_light, err);
	return corpus_load(c, data, STEP, err);
}

/* ---- a client ---- */

static int read_page(struct client *c, struct uz_err *err)
{
	uint64_t i = random_below(&c->rng, c->filled / UZ_PAGE_SIZE);
	ssize_t n;

	do {
		n = pread(c->fd, c->page, UZ_PAGE_SIZE,
			  (off_t)(i * UZ_PAGE_SIZE));
	} while (n < 0 && errno == EINTR);
	if (n != UZ_PAGE_SIZE)
		return uz_err_set(err, n < 0 ? -errno : -EIO,
				  "%s: page %llu: %s", c->target.name,
				  (unsigned long long)i,
				  n < 0 ? strerror(errno) : "a short read");
	if (memcmp(c->page, corpus_page(c->corpus, i), UZ_PAGE_SIZE) != 0)
		return uz_err_set(err, -EIO,
				  "%s: page %llu: is not what was written",
				  c->target.name, (unsigned long long)i);
	return 0;
}

/* Who serves. */
static int read_worker(const struct client *c, pid_t *worker,
		       struct uz_err *err)
{
	char path[PATH_MAX + 16], text[4096] = "";
	uz_autoclose int fd = -1;
	const char *line;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/bench/stat", c->target.dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return uz_err_set(err, -errno, "%s: %m", path);
	text[n] = 0;
	line = strstr(text, "\nworker_pid ");
	*worker = line ? atoi(line + strlen("\nworker_pid ")) : 0;
	if (*worker <= 0)
		return uz_err_set(err, -ENOTSUP, "%s: has no worker_pid", path);
	return 0;
}

static void keep_longest(uint64_t *longest, uint64_t *since)
{
	uint64_t now = clock_ns();

	*longest = now - *since > *longest ? now - *since : *longest;
	*since = now;
}

/* One pause, ns. */
static int kill_worker(struct client *c, uint64_t *longest, struct uz_err *err)
{
	uint64_t since, deadline;
	pid_t old, now = 0;
	int ret = read_worker(c, &old, err);

	if (ret)
		return ret;
	*longest = 0;
	since = clock_ns();
	deadline = since + PATIENCE_NS;
	if (kill(old, SIGKILL) < 0)
		return uz_err_set(err, -errno, "%s: cannot kill its worker: %m",
				  c->target.name);
	do {
		ret = read_page(c, err);
		keep_longest(longest, &since);
		if (!ret)
			ret = read_worker(c, &now, err);
		keep_longest(longest, &since);
		if (!ret && since > deadline)
			ret = uz_err_set(err, -ETIMEDOUT,
					 "%s: its worker does not die",
					 c->target.name);
	} while (!ret && now == old);
	return ret;
}

/* ---- filling ---- */

/* Is there memory for the rest, by what the beginning took? */
static bool rest_fits(const struct client *c, uint64_t size)
{
	uint64_t used = c->target.memory(&c->target), has = machine_available();
	double pages = (double)(size - c->filled) / UZ_PAGE_SIZE;
	double bytes = 32; /* table and descriptors */

	if (!c->filled || !has)
		return true;
	bytes += 1.1 * (double)used * UZ_PAGE_SIZE / (double)c->filled;
	return pages * bytes + (64 << 20) <= (double)has;
}

static int fill(struct client *c, uint64_t size, bool *fits, struct uz_err *err)
{
	struct load l = {
		.path = c->target.path,
		.corpus = c->corpus,
		.block = CORPUS_WRAP,
	};
	int ret = 0;

	for (*fits = true; c->filled < size && !ret; c->filled = l.size) {
		*fits = rest_fits(c, size);
		if (!*fits)
			break;
		l.from = c->filled;
		l.size = size - l.from > STEP ? l.from + STEP : size;
		ret = load_fill(&l, err);
	}
	return ret;
}

static uint64_t used_memory(void *arg)
{
	const struct client *c = arg;

	return c->target.memory(&c->target);
}

/* ---- rows ---- */

static void set_slope(struct table *t, uint64_t before, uint64_t size)
{
	struct table_row *row = &t->row[t->nr_rows - 1];
	double ms = stats_median(&row->value[PAUSE]) -
		    stats_median(&row[-1].value[PAUSE]);

	table_set(row, SLOPE, ms / ((double)(size - before) / (1u << 30)));
}

static int one_size(struct pause_run *run, struct client *c,
		    struct table_row *row, struct uz_err *err)
{
	struct stats *s = &row->value[PAUSE];
	double longest = 0;
	int ret = 0;

	table_set(row, MEMORY, (double)used_memory(c));
	for (unsigned int i = 0; i < run->o->kills && !ret; i++) {
		uint64_t ns;

		if (clock_sleep(clock_ns() + SERVES_NS))
			return uz_err_set(err, -EINTR, "interrupted");
		ret = kill_worker(c, &ns, err);
		if (ret)
			break;
		stats_add(s, (double)ns / 1e6);
		longest = s->v[i] > longest ? s->v[i] : longest;
	}
	table_set(row, LONGEST, longest);
	return ret;
}

static int all_sizes(struct pause_run *run, struct client *c, unsigned int bar,
		     unsigned int panel, struct uz_err *err)
{
	const struct pause_options *o = run->o;
	bool fits = true;
	int ret = 0;

	for (unsigned int i = 0; i < o->nr_sizes && !ret; i++) {
		char text[UZ_SIZE_TEXT], what[64];
		struct table_row *row;

		uz_size_format(o->size[i], text);
		snprintf(what, sizeof(what), "%s stored", text);
		row = table_add(&run->table, c->corpus->name, c->target.name,
				what);
		if (!row)
			return uz_err_set(err, -ENOMEM, "no memory");
		fprintf(stderr, "uzram-bench pause: %s, %s: %s\n",
			c->target.name, c->corpus->name, what);
		if (fits)
			ret = fill(c, o->size[i], &fits, err);
		if (!fits)
			fprintf(stderr, "left out: it would take more memory "
					"than is available\n");
		if (ret || !fits)
			continue;
		if (settle_wait(used_memory, c, NULL))
			return uz_err_set(err, -EINTR, "interrupted");
		ret = one_size(run, c, row, err);
		if (!ret && i)
			set_slope(&run->table, o->size[i - 1], o->size[i]);
		run->chart.panel[panel + i].value[bar] =
			stats_median(&row->value[PAUSE]);
	}
	return ret;
}

int pause_measure(struct pause_run *run, unsigned int target,
		  const struct corpus *corpus, unsigned int panel,
		  struct uz_err *err)
{
	struct client c = { .corpus = corpus, .fd = -1, .rng = 1 };
	unsigned int mark = undo_mark();
	int ret = target_open(&c.target, run->o->targets.item[target],
			      run->o->disksize, false, err);

	c.page = aligned_alloc(UZ_PAGE_SIZE, UZ_PAGE_SIZE);
	if (!ret && !c.page)
		ret = uz_err_set(err, -ENOMEM, "no memory");
	if (!ret) {
		c.fd = open(c.target.path, O_RDONLY | O_DIRECT | O_CLOEXEC);
		if (c.fd < 0)
			ret = uz_err_set(err, -errno, "%s: %m", c.target.path);
	}
	if (!ret)
		ret = all_sizes(run, &c, target, panel, err);
	if (c.fd >= 0)
		close(c.fd);
	free(c.page);
	undo_to(mark);
	return ret;
}
