// SPDX-License-Identifier: MIT
/*
 * idle and recompress: mark pages of a device as idle, and have pages encoded
 * anew. The daemon works while the attribute is being written, in a thread
 * here; meanwhile its statistics say how far it is, which a terminal is shown.
 */
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"
#include <uzram/util/cleanup.h>

static const struct option help_only[] = {
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

enum uz_exit ctl_verb_idle(int argc, char **argv)
{
	struct ctl_device dev;
	struct uz_err err;
	int c;

	while ((c = getopt_long(argc, argv, "h", help_only, NULL)) >= 0)
		return c == 'h' ? ctl_help("idle") : UZ_EXIT_USAGE;
	if (argc - optind < 1 || argc - optind > 2)
		return ctl_usage("idle");
	if (ctl_device_open(&dev, argv[optind], &err) ||
	    ctl_device_write(&dev, "idle",
			     argc - optind > 1 ? argv[optind + 1] : "all",
			     &err))
		return ctl_fail(&err);
	return UZ_EXIT_OK;
}

/*
 * struct work - a write that takes long
 * @dev:  the device
 * @text: what is written
 * @err:  why it failed
 * @ret:  how it ended
 * @done: it has ended
 */
struct work {
	struct ctl_device dev;
	char text[1024];
	struct uz_err err;
	int ret;
	atomic_bool done;
};

static void *work_main(void *arg)
{
	struct work *w = arg;

	w->ret = ctl_device_write(&w->dev, "recompress", w->text, &w->err);
	atomic_store(&w->done, true);
	return NULL;
}

static void show_progress(const struct work *w)
{
	uz_autofree char *stat = NULL;
	struct uz_err err;
	uint64_t total, tried;

	if (ctl_device_read(&w->dev, "stat", &stat, &err) ||
	    !ctl_stat_number(stat, "recompress_running"))
		return;
	total = ctl_stat_number(stat, "recompress_total");
	tried = ctl_stat_number(stat, "recompress_tried");
	ctl_progress("recompress", tried, total);
}

static int work_run(struct work *w)
{
	const struct timespec step = { .tv_nsec = 100000000 };
	bool terminal = isatty(STDERR_FILENO);
	pthread_t thread;

	if (!terminal || pthread_create(&thread, NULL, work_main, w)) {
		work_main(w);
		return w->ret;
	}
	while (!atomic_load(&w->done)) {
		nanosleep(&step, NULL);
		show_progress(w);
	}
	pthread_join(thread, NULL);
	ctl_progress_end();
	return w->ret;
}

static int report(const struct ctl_device *dev, const char *before,
		  struct uz_err *err)
{
	uz_autofree char *after = NULL;
	uint64_t pages, bytes;
	int rc = ctl_device_read(dev, "stat", &after, err);

	if (rc)
		return rc;
	pages = ctl_stat_number(after, "recompressed") -
		ctl_stat_number(before, "recompressed");
	bytes = ctl_stat_number(after, "recompress_saved") -
		ctl_stat_number(before, "recompress_saved");
	printf("%s: %" PRIu64 " of %" PRIu64 " pages made smaller, %s saved\n",
	       dev->name, pages, ctl_stat_number(after, "recompress_tried"),
	       ctl_size_words(bytes).text);
	return 0;
}

enum uz_exit ctl_verb_recompress(int argc, char **argv)
{
	uz_autofree char *before = NULL;
	struct work w = { 0 };
	struct uz_err err;
	size_t at = 0;
	int c;

	while ((c = getopt_long(argc, argv, "h", help_only, NULL)) >= 0)
		return c == 'h' ? ctl_help("recompress") : UZ_EXIT_USAGE;
	if (optind == argc)
		return ctl_usage("recompress");
	if (ctl_device_open(&w.dev, argv[optind], &err) ||
	    ctl_device_read(&w.dev, "stat", &before, &err))
		return ctl_fail(&err);
	/* Without words it is about every page. */
	strcpy(w.text, " ");
	for (c = optind + 1; c < argc; c++) {
		if (at + strlen(argv[c]) + 2 > sizeof(w.text))
			return ctl_usage("recompress");
		at += (size_t)sprintf(w.text + at, "%s ", argv[c]);
	}
	if (work_run(&w))
		return ctl_fail(&w.err);
	if (report(&w.dev, before, &err))
		return ctl_fail(&err);
	return UZ_EXIT_OK;
}
