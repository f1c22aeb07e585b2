// SPDX-License-Identifier: MIT
/*
 * top: what devices are doing, again and again: on a terminal one screen that
 * is drawn anew, elsewhere one table after the other. Rates are what the
 * statistics grew by between two looks; nothing is asked of a daemon but to
 * tell them.
 */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "latency.h"
#include "report.h"
#include "screen.h"
#include <uzram/util/size.h>
#include <uzram/util/strbuf.h>

#define NS_PER_S    1000000000u
#define DELAY_MIN   0.1
#define DELAY_MAX   3600.0
#define NAME_COLUMN 8

/*
 * struct row - a device at one moment
 * @name:  as asked for, or as it lies in the run directory
 * @r:     what it tells
 * @ticks: of CPU time that its worker has used
 * @why:   it tells nothing, because of this; ""
 */
struct row {
	char name[256];
	struct report r;
	uint64_t ticks;
	char why[UZ_ERR_TEXT];
};

/*
 * struct look - all devices at one moment
 * @rows: one each
 * @nr:   of them
 * @ns:   when that was
 */
struct look {
	struct row *rows;
	size_t nr;
	uint64_t ns;
};

/*
 * struct top - what is shown
 * @names: of the devices; none: all that there are
 * @nr:    of them
 * @delay: nanoseconds between two looks
 * @count: looks to be shown; 0: without an end
 */
struct top {
	char **names;
	int nr;
	uint64_t delay;
	unsigned long count;
};

/* ---- looking ---- */

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* CPU time of a process in the system's ticks; 0 when it cannot be seen. */
static uint64_t cpu_ticks(uint64_t pid)
{
	char path[48], line[1024], *at;
	unsigned long user, system;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%" PRIu64 "/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	at = fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
	fclose(f);
	/* Fields 14 and 15; the second, a name, may contain anything. */
	if (!at || sscanf(at + 1,
			  " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u "
			  "%lu %lu",
			  &user, &system) != 2)
		return 0;
	return (uint64_t)user + system;
}

static int look_at(struct look *look, const char *name, struct uz_err *err)
{
	struct ctl_device dev;
	struct row *rows, *row;
	int rc;

	rows = realloc(look->rows, (look->nr + 1) * sizeof(*rows));
	if (!rows)
		return uz_err_set(err, -ENOMEM, "out of memory");
	look->rows = rows;
	row = &rows[look->nr++];
	memset(row, 0, sizeof(*row));
	rc = ctl_device_open(&dev, name, err);
	if (!rc)
		rc = report_read(&row->r, &dev, err);
	snprintf(row->name, sizeof(row->name), "%s", rc ? name : dev.name);
	if (rc)
		snprintf(row->why, sizeof(row->why), "%s", err->text);
	else
		row->ticks = cpu_ticks(report_number(&row->r, "worker_pid"));
	return rc;
}

static void look_free(struct look *look)
{
	size_t i;

	for (i = 0; i < look->nr; i++)
		report_free(&look->rows[i].r);
	free(look->rows);
	*look = (struct look){ 0 };
}

/* All that lie in the run directory; what is no device is left out. */
static int look_everywhere(struct look *look, struct uz_err *err)
{
	struct dirent **entries;
	int i, n, rc;

	n = ctl_device_names(&entries, err);
	if (n < 0)
		return n;
	for (i = 0; i < n; i++) {
		rc = look_at(look, entries[i]->d_name, err);
		if (rc == -ENOENT)
			report_free(&look->rows[--look->nr].r);
		free(entries[i]);
	}
	free(entries);
	return 0;
}

/* Fails only if that is of no use: a name that there is not from the start. */
static int look_take(struct look *look, const struct top *top, bool first,
		     struct uz_err *err)
{
	int i, rc = 0;

	*look = (struct look){ .ns = clock_ns() };
	if (!top->nr)
		return look_everywhere(look, err);
	for (i = 0; i < top->nr && !rc; i++) {
		rc = look_at(look, top->names[i], err);
		if (!first && rc != -ENOMEM)
			rc = 0;
	}
	return rc;
}

/* ---- what has changed ---- */

/*
 * struct change - a device now and at the look before
 * @now:     now
 * @before:  then, or NULL: it is new
 * @seconds: between them
 */
struct change {
	const struct row *now;
	const struct row *before;
	double seconds;
};

static struct change change_of(const struct look *now,
			       const struct look *before, size_t nr)
{
	struct change c = {
		.now = &now->rows[nr],
		.seconds = (double)(now->ns - before->ns) / NS_PER_S,
	};
	size_t i;

	for (i = 0; i < before->nr; i++)
		if (!strcmp(before->rows[i].name, c.now->name) &&
		    !*before->rows[i].why)
			c.before = &before->rows[i];
	return c;
}

static uint64_t grown(const struct change *c, const char *name)
{
	return c->before ? ctl_stat_growth(c->before->r.stat, c->now->r.stat,
					   name)
			 : 0;
}

/* A second; 0 also when nobody knows yet. */
static double rate(const struct change *c, const char *name)
{
	return c->seconds > 0 ? (double)grown(c, name) / c->seconds : 0;
}

/* Of one CPU; another process than before has not grown. */
static double cpu_percent(const struct change *c)
{
	uint64_t ticks = c->now->ticks;

	if (!c->before || c->seconds <= 0 || ticks < c->before->ticks)
		return 0;
	return 100.0 * (double)(ticks - c->before->ticks) /
	       (double)sysconf(_SC_CLK_TCK) / c->seconds;
}

/* ---- drawing ---- */

static void add_size(struct uz_strbuf *b, double bytes)
{
	char text[UZ_SIZE_TEXT];

	uz_size_format((uint64_t)bytes, text);
	uz_strbuf_add(b, " %7s", text);
}

static void add_rate(struct uz_strbuf *b, const struct change *c,
		     const char *name)
{
	if (c->before)
		add_size(b, rate(c, name));
	else
		uz_strbuf_add(b, " %7s", "-");
}

static double share(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 100;
}

/* What it does by itself or was asked to do, in a line of its own. */
static void add_work(struct uz_strbuf *b, const struct change *c)
{
	const struct report *r = &c->now->r;
	const char *sep = "  ";

	if (report_number(r, "recompress_running")) {
		uz_strbuf_add(b, "%srecompressing: %.0f %%", sep,
			      share(report_number(r, "recompress_tried"),
				    report_number(r, "recompress_total")));
		sep = ", ";
	}
	if (report_number(r, "writeback_running")) {
		uz_strbuf_add(b, "%swriting back: %.0f %%", sep,
			      share(report_number(r, "writeback_done"),
				    report_number(r, "writeback_total")));
		sep = ", ";
	}
	if (grown(c, "objects_moved")) {
		uz_strbuf_add(b, "%scompacting: %.0f objects/s", sep,
			      rate(c, "objects_moved"));
		sep = ", ";
	}
	if (*sep == ',')
		uz_strbuf_add(b, "\n");
}

/* Of requests of one kind, if some were timed since the look before. */
static void add_times(struct uz_strbuf *b, const struct change *c,
		      const char *what, const char **sep)
{
	char half[LATENCY_TEXT], most[LATENCY_TEXT];
	struct latency now, before;

	latency_read(&now, c->now->r.latency, what);
	latency_read(&before, c->before->r.latency, what);
	latency_since(&now, &before);
	if (!now.all)
		return;
	latency_text(latency_percentile(&now, 50), half);
	latency_text(latency_percentile(&now, 99), most);
	uz_strbuf_add(b, "%s%ss %s (99 %%: %s)", *sep, what, half, most);
	*sep = ", ";
}

static void add_latency(struct uz_strbuf *b, const struct change *c)
{
	const char *sep = "  latency: ";

	if (!c->before)
		return;
	add_times(b, c, "read", &sep);
	add_times(b, c, "write", &sep);
	if (*sep == ',')
		uz_strbuf_add(b, "\n");
}

static void add_row(struct uz_strbuf *b, const struct change *c, int width)
{
	const struct report *r = &c->now->r;
	uint64_t data, memory;

	uz_strbuf_add(b, "%-*s", width, c->now->name);
	if (*c->now->why) {
		uz_strbuf_add(b, " %s\n", c->now->why);
		return;
	}
	data = report_number(r, "orig_data_size");
	memory = report_number(r, "mem_resident");
	add_size(b, (double)r->disksize);
	add_size(b, (double)data);
	add_size(b, (double)memory);
	add_size(b, (double)report_number(r, "backed_bytes"));
	if (data && memory)
		uz_strbuf_add(b, " %5.1f", (double)data / (double)memory);
	else
		uz_strbuf_add(b, " %5s", "-");
	add_rate(b, c, "bytes_read");
	add_rate(b, c, "bytes_written");
	if (c->before)
		uz_strbuf_add(b, " %7.0f %5.0f\n",
			      rate(c, "num_reads") + rate(c, "num_writes") +
				      rate(c, "num_discards"),
			      cpu_percent(c));
	else
		uz_strbuf_add(b, " %7s %5s\n", "-", "-");
	add_latency(b, c);
	add_work(b, c);
}

/* Names come from people: whatever they are, a row is one line of text. */
static void clean(char *text)
{
	for (; *text; text++)
		if (((unsigned char)*text < ' ' && *text != '\n') ||
		    *text == 0x7f)
			*text = '?';
}

static void add_table(struct uz_strbuf *b, const struct look *now,
		      const struct look *before)
{
	int width = NAME_COLUMN;
	struct change c;
	size_t i;

	for (i = 0; i < now->nr; i++)
		if ((int)strlen(now->rows[i].name) > width)
			width = (int)strlen(now->rows[i].name);
	uz_strbuf_add(b, "%-*s %7s %7s %7s %7s %5s %7s %7s %7s %5s\n", width,
		      "NAME", "SIZE", "DATA", "MEMORY", "BACKED", "RATIO",
		      "READ/s", "WRITE/s", "REQ/s", "CPU%");
	for (i = 0; i < now->nr; i++) {
		c = change_of(now, before, i);
		add_row(b, &c, width);
	}
	if (!now->nr)
		uz_strbuf_add(b, "There are no devices.\n");
}

static void add_title(struct uz_strbuf *b, const struct look *now)
{
	uint64_t data = 0, memory = 0;
	time_t seconds = time(NULL);
	char text[16] = "";
	struct tm tm;
	size_t i;

	if (localtime_r(&seconds, &tm))
		strftime(text, sizeof(text), "%H:%M:%S", &tm);
	for (i = 0; i < now->nr; i++) {
		if (*now->rows[i].why)
			continue;
		data += report_number(&now->rows[i].r, "orig_data_size");
		memory += report_number(&now->rows[i].r, "mem_resident");
	}
	uz_strbuf_add(b, "%s  %s stored in %s of RAM  (q quits)\n\n", text,
		      ctl_size_words(data).text, ctl_size_words(memory).text);
}

static bool show(const struct screen *s, const struct look *now,
		 const struct look *before)
{
	struct uz_strbuf b = { 0 };
	bool shown;

	if (s->terminal)
		add_title(&b, now);
	add_table(&b, now, before);
	if (!s->terminal)
		uz_strbuf_add(&b, "\n");
	shown = !uz_strbuf_error(&b);
	if (shown) {
		clean(b.data);
		shown = screen_show(s, b.data);
	}
	uz_strbuf_free(&b);
	return shown;
}

/* Until the next look; false: the end is wanted. */
static bool pause_for(struct screen *s, const struct look *now,
		      const struct look *before, uint64_t delay)
{
	const uint64_t until = now->ns + delay;
	uint64_t at;

	while ((at = clock_ns()) < until) {
		switch (screen_wait(s, until - at)) {
		case SCREEN_QUIT:
			return false;
		case SCREEN_AGAIN:
			if (s->terminal && !show(s, now, before))
				return false;
			break;
		case SCREEN_TIME:
			break;
		}
	}
	return true;
}

static int top_run(const struct top *top, struct screen *s, struct uz_err *err)
{
	struct look older = { 0 }, last, next;
	unsigned long shown = 0;
	int rc = look_take(&last, top, true, err);
	bool go_on = !rc;

	if (!rc)
		screen_begin(s);
	/* Rates take a second look, which a terminal need not wait for. */
	if (!rc && s->terminal)
		go_on = show(s, &last, &older) && ++shown != top->count;
	while (go_on && pause_for(s, &last, &older, top->delay)) {
		rc = look_take(&next, top, false, err);
		go_on = !rc && show(s, &next, &last) && ++shown != top->count;
		look_free(&older);
		older = last;
		last = next;
	}
	look_free(&last);
	look_free(&older);
	return rc;
}

static int top_option(struct top *top, int c, const char *arg,
		      struct uz_err *err)
{
	char *end;
	double seconds;

	if (c == 'd') {
		seconds = strtod(arg, &end);
		if (end == arg || *end ||
		    !(seconds >= DELAY_MIN && seconds <= DELAY_MAX))
			return uz_err_set(err, -EINVAL,
					  "--delay '%.40s': must be 0.1 to "
					  "3600 seconds",
					  arg);
		top->delay = (uint64_t)(seconds * NS_PER_S);
		return 0;
	}
	errno = 0;
	top->count = strtoul(arg, &end, 10);
	if (errno || *arg < '0' || *arg > '9' || *end || !top->count)
		return uz_err_set(err, -EINVAL,
				  "--count '%.40s': must be 1 or more", arg);
	return 0;
}

enum uz_exit ctl_verb_top(int argc, char **argv)
{
	static const struct option options[] = {
		{ "delay", required_argument, NULL, 'd' },
		{ "count", required_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct top top = { .delay = NS_PER_S };
	struct screen screen = { .signals = -1 };
	struct uz_err err;
	int c, rc;

	while ((c = getopt_long(argc, argv, "d:n:h", options, NULL)) >= 0) {
		if (c == 'h')
			return ctl_help("top");
		if (c == '?')
			return UZ_EXIT_USAGE;
		if (top_option(&top, c, optarg, &err)) {
			ctl_fail(&err);
			return UZ_EXIT_USAGE;
		}
	}
	top.names = argv + optind;
	top.nr = argc - optind;
	rc = top_run(&top, &screen, &err);
	screen_end(&screen);
	return rc ? ctl_fail(&err) : UZ_EXIT_OK;
}
