// SPDX-License-Identifier: MIT
/*
 * A write to an attribute that takes the daemon long. It is done in a thread
 * here, because the write returns when the work has ended; meanwhile the
 * statistics say how far it is, which a terminal is shown.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"
#include <uzram/util/cleanup.h>

#define STEP_NS (100 * 1000000L)

/*
 * struct work - the write
 * @dev:  to which device
 * @attr: to which attribute
 * @text: what is written
 * @err:  why it failed
 * @ret:  how it ended
 * @done: it has ended; all before this is then written
 */
struct work {
	const struct ctl_device *dev;
	const char *attr;
	char text[4096];
	struct uz_err err;
	int ret;
	atomic_bool done;
};

static void *work_main(void *arg)
{
	struct work *w = arg;

	w->ret = ctl_device_write(w->dev, w->attr, w->text, &w->err);
	atomic_store(&w->done, true);
	return NULL;
}

static uint64_t statistic(const struct work *w, const char *stat,
			  const char *what)
{
	char name[64];

	snprintf(name, sizeof(name), "%s_%s", w->attr, what);
	return ctl_stat_number(stat, name);
}

static void show(const struct work *w, const char *done)
{
	uz_autofree char *stat = NULL;
	struct uz_err err;

	if (!ctl_device_read(w->dev, "stat", &stat, &err) &&
	    statistic(w, stat, "running"))
		ctl_progress(w->attr, statistic(w, stat, done),
			     statistic(w, stat, "total"));
}

/* The words with blanks between them; a blank if there are none. */
static bool join(char **words, int nr, char *text, size_t size)
{
	size_t len = (size_t)snprintf(text, size, "%s", nr ? words[0] : " ");
	int i;

	for (i = 1; i < nr && len < size; i++)
		len += (size_t)snprintf(text + len, size - len, " %s",
					words[i]);
	return len < size;
}

int ctl_write_watched(const struct ctl_device *dev, const char *attr,
		      char **words, int nr, const char *done,
		      struct uz_err *err)
{
	const struct timespec step = { .tv_nsec = STEP_NS };
	struct work w = { .dev = dev, .attr = attr };
	pthread_t thread;

	if (!join(words, nr, w.text, sizeof(w.text)))
		return uz_err_set(err, -EINVAL, "%s: %s: too many words",
				  dev->name, attr);
	if (!isatty(STDERR_FILENO) ||
	    pthread_create(&thread, NULL, work_main, &w))
		return ctl_device_write(dev, attr, w.text, err);
	while (!atomic_load(&w.done)) {
		nanosleep(&step, NULL);
		show(&w, done);
	}
	pthread_join(thread, NULL);
	ctl_progress_end();
	*err = w.err;
	return w.ret;
}
