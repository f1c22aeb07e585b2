// SPDX-License-Identifier: MIT
/*
 * The load generator: direct I/O with data from a corpus, for a time.
 *
 * Each job is a thread with its own descriptor. Jobs that go in order share
 * the target out and begin again at their start; jobs that jump use all of
 * it. Written blocks are taken from the corpus where they lie, at a place that
 * changes from request to request, so nothing is copied and no constant data
 * is ever written. Jobs start together; the rate is what they did by the time
 * from the start to the end of the last.
 */
#include <fcntl.h>
#include <string.h>

#include <uzram/util/cleanup.h>

#include "device.h"

#define GIB ((double)(1u << 30))

struct thread {
	struct load_job job;
	uint64_t began, ended;
	int ret;
};

bool load_goes_on(const struct load_job *j, uint64_t now)
{
	return now < j->deadline && !undo_stopped();
}

static bool next_writes(struct load_job *j)
{
	if (j->l->reads == 0 || j->l->reads == 100)
		return !j->l->reads;
	return random_below(&j->rng, 100) >= j->l->reads;
}

struct load_request load_next(struct load_job *j, unsigned int slot)
{
	const struct load *l = j->l;
	struct load_request r = { .write = next_writes(j) };
	uint64_t block, page;

	if (l->random) {
		block = j->first + random_below(&j->rng, j->end - j->first);
		page = r.write ? random_below(&j->rng, corpus_pages(l->corpus))
			       : 0;
	} else {
		block = j->next++;
		if (j->next == j->end)
			j->next = j->first;
		page = block * (l->block / UZ_PAGE_SIZE) + j->shift;
	}
	r.at = (off_t)(block * l->block);
	if (r.write)
		r.buf = (void *)corpus_page(l->corpus, page);
	else
		r.buf = j->buf + slot * l->block;
	return r;
}

/* One request; a short one is an error: nothing here is near the end. */
static int transfer(const struct load_job *j, const struct load_request *r)
{
	ssize_t n;

	do {
		n = r->write ? pwrite(j->fd, r->buf, j->l->block, r->at)
			     : pread(j->fd, r->buf, j->l->block, r->at);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == j->l->block ? 0 : -EIO;
}

/* One request at least, though it got no CPU in its time. */
static int run_sync(struct load_job *j)
{
	uint64_t now = clock_ns();

	do {
		const struct load_request r = load_next(j, 0);
		uint64_t begin = now;
		int ret = transfer(j, &r);

		if (ret)
			return ret;
		now = clock_ns();
		hist_add(&j->hist, now - begin);
		j->done++;
	} while (load_goes_on(j, now));
	return 0;
}

static void run_thread(void *arg)
{
	struct thread *t = arg;

	t->began = clock_ns();
	t->job.deadline = t->began + (uint64_t)(t->job.l->seconds * 1e9);
	t->ret = t->job.l->depth > 1 ? ring_run(&t->job) : run_sync(&t->job);
	t->ended = clock_ns();
}

static int thread_init(struct thread *t, const struct load *l, unsigned int i)
{
	uint64_t blocks = l->size / l->block;
	struct load_job *j = &t->job;

	j->l = l;
	j->rng = random_mix(l->seed << 8 | i);
	j->first = l->random ? 0 : blocks * i / l->jobs;
	j->end = l->random ? blocks : blocks * (i + 1) / l->jobs;
	j->next = j->first;
	j->shift = random_below(&j->rng, corpus_pages(l->corpus));
	j->fd = open(l->path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (j->fd < 0)
		return -errno;
	if (!l->reads)
		return 0;
	j->buf = aligned_alloc(UZ_PAGE_SIZE, l->depth * l->block);
	if (!j->buf)
		return -ENOMEM;
	/* Faults on first touch are not the target's. */
	memset(j->buf, 0, l->depth * l->block);
	return 0;
}

static void thread_destroy(struct thread *t)
{
	free(t->job.buf);
	if (t->job.fd >= 0)
		close(t->job.fd);
}

static int run_threads(struct thread *t, const struct load *l)
{
	int ret = threads_run(l->jobs, false, run_thread, t, sizeof(*t));

	for (unsigned int i = 0; i < l->jobs && !ret; i++)
		ret = t[i].ret;
	if (undo_stopped())
		ret = -EINTR;
	return ret;
}

static int fail(const struct load *l, int ret, struct uz_err *err)
{
	return uz_err_set(err, ret, "%s: cannot %s: %s", l->path,
			  !l->reads	   ? "write"
			  : l->reads < 100 ? "read and write"
					   : "read",
			  strerror(-ret));
}

int load_run(const struct load *l, struct load_result *result,
	     struct hist *hist, struct uz_err *err)
{
	struct thread *t = calloc(l->jobs, sizeof(*t));
	uint64_t began = UINT64_MAX, ended = 0, done = 0, busy = 0;
	int ret = t ? 0 : -ENOMEM;

	for (unsigned int i = 0; t && i < l->jobs; i++)
		t[i].job.fd = -1;
	for (unsigned int i = 0; i < l->jobs && !ret; i++)
		ret = thread_init(&t[i], l, i);
	if (!ret) {
		busy = clock_busy();
		ret = run_threads(t, l);
		busy = clock_busy() - busy;
	}
	for (unsigned int i = 0; t && i < l->jobs; i++) {
		if (!ret) {
			began = t[i].began < began ? t[i].began : began;
			ended = t[i].ended > ended ? t[i].ended : ended;
			done += t[i].job.done;
			hist_merge(hist, &t[i].job.hist);
		}
		thread_destroy(&t[i]);
	}
	free(t);
	if (ret)
		return fail(l, ret, err);
	result->rate = (double)done * 1e9 / (double)(ended - began);
	result->cpu = 0;
	if (done)
		result->cpu = (double)busy / 1e9 * GIB /
			      ((double)done * (double)l->block);
	return 0;
}

int load_fill(const struct load *l, struct uz_err *err)
{
	struct load_job j = {
		.l = l,
		.next = l->from / l->block,
		.end = l->size / l->block,
	};
	uz_autoclose int fd = open(l->path, O_RDWR | O_DIRECT | O_CLOEXEC);
	int ret = fd < 0 ? -errno : 0;

	j.fd = fd;
	for (uint64_t i = j.next; i < j.end && !ret; i++) {
		const struct load_request r = load_next(&j, 0);

		ret = transfer(&j, &r);
		if (undo_stopped())
			ret = -EINTR;
	}
	return ret ? fail(l, ret, err) : 0;
}
