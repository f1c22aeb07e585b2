// SPDX-License-Identifier: MIT
/*
 * writeback: have pages of a device leave memory for its backing store, and
 * say what that came to. The daemon works while the attribute is being
 * written; on a terminal a second thread shows meanwhile, from the statistics,
 * how far it is.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"
#include <uzram/util/cleanup.h>

#define WIDTH	40
#define STEP_MS 200

/*
 * struct progress - a bar that another thread draws
 * @dev:   whose
 * @stop:  the work is done
 * @drawn: something is on the terminal
 */
struct progress {
	const struct ctl_device *dev;
	atomic_bool stop;
	bool drawn;
};

static void draw(struct progress *p)
{
	uz_autofree char *stat = NULL;
	uint64_t total, done;
	struct uz_err err;
	int full;

	if (ctl_device_read(p->dev, "stat", &stat, &err) ||
	    !ctl_stat_number(stat, "writeback_running"))
		return;
	total = ctl_stat_number(stat, "writeback_total");
	done = ctl_stat_number(stat, "writeback_done");
	if (!total)
		return;
	if (done > total)
		done = total;
	full = (int)(done * WIDTH / total);
	fprintf(stderr, "\r[%.*s%*s] %3u%% %" PRIu64 " of %" PRIu64 " pages",
		full, "########################################", WIDTH - full,
		"", (unsigned int)(done * 100 / total), done, total);
	fflush(stderr);
	p->drawn = true;
}

static void *progress_main(void *arg)
{
	const struct timespec step = { .tv_nsec = STEP_MS * 1000000L };
	struct progress *p = arg;

	while (!atomic_load(&p->stop)) {
		draw(p);
		nanosleep(&step, NULL);
	}
	if (p->drawn)
		fputs("\r\033[K", stderr);
	return NULL;
}

static int write_watched(const struct ctl_device *dev, const char *order,
			 struct uz_err *err)
{
	struct progress p = { .dev = dev };
	bool watched = isatty(STDERR_FILENO);
	pthread_t thread;
	int rc;

	if (watched && pthread_create(&thread, NULL, progress_main, &p))
		watched = false;
	rc = ctl_device_write(dev, "writeback", order, err);
	atomic_store(&p.stop, true);
	if (watched)
		pthread_join(thread, NULL);
	return rc;
}

/* What a statistic has grown by. */
static uint64_t growth(const char *before, const char *after, const char *name)
{
	uint64_t from = ctl_stat_number(before, name);
	uint64_t to = ctl_stat_number(after, name);

	/* The device may have been reset in between. */
	return to > from ? to - from : 0;
}

static void print_done(const struct ctl_device *dev, const char *before,
		       const char *after)
{
	uint64_t pages = growth(before, after, "written_back_pages");
	uint64_t blocks = growth(before, after, "written_blocks");

	printf("%s: %" PRIu64 " pages (%s) written back in %" PRIu64
	       " blocks (%s), %" PRIu64 " changed meanwhile\n",
	       dev->name, pages, ctl_size_words(pages * UZ_PAGE_SIZE).text,
	       blocks, ctl_size_words(blocks * UZ_PAGE_SIZE).text,
	       growth(before, after, "writeback_changed"));
}

static int writeback_device(const char *name, const char *order,
			    struct uz_err *err)
{
	uz_autofree char *before = NULL, *after = NULL;
	struct uz_err unread;
	struct ctl_device dev;
	int rc = ctl_device_open(&dev, name, err);

	if (!rc)
		rc = ctl_device_read(&dev, "stat", &before, err);
	if (rc)
		return rc;
	rc = write_watched(&dev, order, err);
	/* Also when it was cut short: some pages may have been. */
	if (!ctl_device_read(&dev, "stat", &after, &unread) &&
	    (!rc || growth(before, after, "written_back_pages")))
		print_done(&dev, before, after);
	return rc;
}

/* The words after the name, with blanks between them. */
static bool join(char **words, int nr, char *text, size_t size)
{
	size_t len = 0;
	int i;

	text[0] = '\0';
	for (i = 0; i < nr && len < size; i++)
		len += (size_t)snprintf(text + len, size - len, "%s%s",
					i ? " " : "", words[i]);
	return len < size;
}

enum uz_exit ctl_verb_writeback(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	char order[4096];
	struct uz_err err;
	int c;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0)
		return c == 'h' ? ctl_help("writeback") : UZ_EXIT_USAGE;
	if (argc - optind < 2 ||
	    !join(argv + optind + 1, argc - optind - 1, order, sizeof(order)))
		return ctl_usage("writeback");
	return writeback_device(argv[optind], order, &err) ? ctl_fail(&err)
							   : UZ_EXIT_OK;
}
