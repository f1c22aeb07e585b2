// SPDX-License-Identifier: MIT
/*
 * scrub: have the daemon look at every stored page for damage, and wait for
 * that. Interrupted, the scrub ends too. The status tells of damage, so that a
 * timer's job fails.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ctl.h"
#include <uzram/util/cleanup.h>

/*
 * struct scrub - what the attribute says
 * @running:  it goes on
 * @finished: it came to the end
 * @pages:    looked at
 * @errors:   found
 * @bad:      the first damaged page
 * @position: how far it is, in pages of the device
 */
struct scrub {
	bool running;
	bool finished;
	uint64_t pages;
	uint64_t errors;
	uint64_t bad;
	uint64_t position;
};

static volatile sig_atomic_t interrupted;

static void on_signal(int sig)
{
	interrupted = sig;
}

static int read_scrub(const struct ctl_device *dev, struct scrub *s,
		      struct uz_err *err)
{
	uz_autofree char *text = NULL;
	int rc = ctl_device_read(dev, "scrub", &text, err);

	if (rc)
		return rc;
	*s = (struct scrub){
		.running = !strncmp(text, "state running", 13),
		.finished = !strncmp(text, "state finished", 14),
		.pages = ctl_stat_number(text, "pages"),
		.errors = ctl_stat_number(text, "errors"),
		.bad = ctl_stat_number(text, "first_bad"),
		.position = ctl_stat_number(text, "position"),
	};
	return 0;
}

static int wait_scrub(const struct ctl_device *dev, struct scrub *s,
		      struct uz_err *err)
{
	const struct timespec step = { .tv_nsec = 50000000 };
	uz_autofree char *size = NULL;
	uint64_t all = 0;
	int rc;

	rc = ctl_device_read(dev, "disksize", &size, err);
	if (!rc && sscanf(size, "%" SCNu64, &all) == 1)
		all /= UZ_PAGE_SIZE;
	while (!rc && !(rc = read_scrub(dev, s, err)) && s->running) {
		if (interrupted)
			rc = ctl_device_write(dev, "scrub", "stop", err);
		ctl_progress("scrub", s->position, all);
		nanosleep(&step, NULL);
	}
	ctl_progress_end();
	return rc;
}

static int scrub_device(const char *name, const char *rate, struct scrub *s,
			struct uz_err *err)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct ctl_device dev;
	char text[64];
	int rc;

	snprintf(text, sizeof(text), rate ? "rate=%.40s" : "1", rate);
	rc = ctl_device_open(&dev, name, err);
	/* From before it begins: whoever sees it begun may end it. */
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	if (!rc)
		rc = ctl_device_write(&dev, "scrub", text, err);
	if (!rc)
		rc = wait_scrub(&dev, s, err);
	if (rc)
		return rc;
	printf("%s: %" PRIu64 " pages looked at, %" PRIu64 " damaged\n",
	       dev.name, s->pages, s->errors);
	if (s->errors)
		return uz_err_set(err, -EIO,
				  "%s: page %" PRIu64 " is damaged; writing "
				  "it whole, or discarding it, mends it",
				  dev.name, s->bad);
	if (!s->finished)
		return uz_err_set(err, -EINTR, "%s: ended before its end",
				  dev.name);
	return 0;
}

enum uz_exit ctl_verb_scrub(int argc, char **argv)
{
	static const struct option options[] = {
		{ "rate", required_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	const char *rate = NULL;
	struct scrub scrub = { 0 };
	struct uz_err err;
	int c;

	while ((c = getopt_long(argc, argv, "r:h", options, NULL)) >= 0) {
		if (c == 'h')
			return ctl_help("scrub");
		if (c == '?')
			return UZ_EXIT_USAGE;
		rate = optarg;
	}
	if (argc - optind != 1)
		return ctl_usage("scrub");
	if (scrub_device(argv[optind], rate, &scrub, &err))
		return ctl_fail(&err);
	return UZ_EXIT_OK;
}
