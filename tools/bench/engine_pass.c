// SPDX-License-Identifier: MIT
/*
 * The loops that "engine" times: over a range of pages, by one thread.
 *
 * The bare codec compresses into a scratch page and decompresses from an
 * ordinary array into a scratch page: no checksum, no allocation, no table.
 * Pages that do not compress count: bare, they are a failed compression and a
 * copy. The device does the same through requests of one page.
 *
 * Threads work on disjoint ranges and start together; a pass lasts from the
 * first start to the last end.
 */
#include <errno.h>
#include <string.h>

#include "engine.h"

static const uint8_t *content(const struct engine_setup *s, uint64_t i)
{
	return corpus_page(s->corpus, (i + s->shift) % s->pages);
}

static int bare_store(struct engine_worker *w)
{
	size_t len;

	for (uint64_t i = w->first; i < w->end; i++) {
		int ret = uz_codec_compress(w->ctx, content(w->s, i), w->page,
					    UZ_PAGE_SIZE, &len);

		if (ret && ret != -E2BIG)
			return ret;
	}
	return 0;
}

static int bare_load_one(struct engine_worker *w, uint64_t i)
{
	const struct engine_setup *s = w->s;
	uint64_t at = s->place[(i + s->shift) % s->pages];
	uint64_t len = s->place[(i + s->shift) % s->pages + 1] - at;

	if (len == UZ_PAGE_SIZE) {
		memcpy(w->page, s->objects + at, UZ_PAGE_SIZE);
		return 0;
	}
	return uz_codec_decompress(w->ctx, s->objects + at, len, w->page);
}

static int bare_load(struct engine_worker *w)
{
	int ret = 0;

	for (uint64_t i = w->first; i < w->end && !ret; i++)
		ret = bare_load_one(w, i);
	return ret;
}

static int bare_random(struct engine_worker *w)
{
	int ret = 0;

	for (uint64_t i = w->first; i < w->end && !ret; i++)
		ret = bare_load_one(w, w->s->order[i]);
	return ret;
}

static int submit(struct engine_worker *w, enum uz_op op, uint64_t page,
		  void *buf)
{
	const struct uz_request rq = {
		.op = op,
		.offset = page << UZ_PAGE_SHIFT,
		.length = UZ_PAGE_SIZE,
		.buf = buf,
	};

	return uz_device_submit(w->io, &rq);
}

static int device_store(struct engine_worker *w)
{
	int ret = 0;

	for (uint64_t i = w->first; i < w->end && !ret; i++)
		ret = submit(w, UZ_OP_WRITE, i, (void *)content(w->s, i));
	return ret;
}

static int device_load(struct engine_worker *w)
{
	int ret = 0;

	for (uint64_t i = w->first; i < w->end && !ret; i++)
		ret = submit(w, UZ_OP_READ, i, w->page);
	return ret;
}

static int device_random(struct engine_worker *w)
{
	int ret = 0;

	for (uint64_t i = w->first; i < w->end && !ret; i++)
		ret = submit(w, UZ_OP_READ, w->s->order[i], w->page);
	return ret;
}

static int device_discard(struct engine_worker *w)
{
	int ret = 0;

	for (uint64_t i = w->first; i < w->end && !ret; i++)
		ret = submit(w, UZ_OP_DISCARD, i, NULL);
	return ret;
}

int engine_pass_verify(struct engine_worker *w)
{
	for (uint64_t i = w->first; i < w->end; i++) {
		int ret = submit(w, UZ_OP_READ, i, w->page);

		if (ret)
			return ret;
		if (memcmp(w->page, content(w->s, i), UZ_PAGE_SIZE) != 0)
			return -EUCLEAN;
	}
	return 0;
}

engine_pass *const engine_pass_bare[ENGINE_NR_OPS] = {
	[ENGINE_FILL] = bare_store, [ENGINE_OVERWRITE] = bare_store,
	[ENGINE_LOAD] = bare_load,  [ENGINE_RANDOM] = bare_random,
	[ENGINE_DISCARD] = NULL,
};

engine_pass *const engine_pass_device[ENGINE_NR_OPS] = {
	[ENGINE_FILL] = device_store,	   [ENGINE_OVERWRITE] = device_store,
	[ENGINE_LOAD] = device_load,	   [ENGINE_RANDOM] = device_random,
	[ENGINE_DISCARD] = device_discard,
};

static void run_worker(void *arg)
{
	struct engine_worker *w = arg;

	clock_gettime(CLOCK_MONOTONIC, &w->began);
	w->ret = w->pass(w);
	clock_gettime(CLOCK_MONOTONIC, &w->ended);
}

static double seconds(const struct timespec *t)
{
	return (double)t->tv_sec + 1e-9 * (double)t->tv_nsec;
}

int engine_pass_run(struct engine_worker *w, unsigned int n, engine_pass *pass,
		    double *took)
{
	double began, ended;
	int ret;

	if (undo_stopped())
		return -EINTR;
	for (unsigned int i = 0; i < n; i++)
		w[i].pass = pass;
	ret = threads_run(n, n > 1, run_worker, w, sizeof(*w));
	for (unsigned int i = 0; i < n && !ret; i++)
		ret = w[i].ret;
	if (ret)
		return ret;
	began = seconds(&w[0].began);
	ended = seconds(&w[0].ended);
	for (unsigned int i = 1; i < n; i++) {
		double b = seconds(&w[i].began), e = seconds(&w[i].ended);

		began = b < began ? b : began;
		ended = e > ended ? e : ended;
	}
	*took += ended - began;
	return 0;
}
