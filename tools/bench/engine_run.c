// SPDX-License-Identifier: MIT
/*
 * The rounds of "engine": the device and the bare codec over the same pages.
 *
 * A round makes a new device and goes through the operations. For each of them
 * the pages are cut into parts, and part by part first the bare codec and then
 * the device does as much work with the same number of threads. A part takes
 * some ten milliseconds, so that what drifts on the machine, on many within
 * tenths of a second, hits both. After each store all is compared with the
 * corpus: a fast device that loses data is no result.
 *
 * The bare codec works half of the corpus away from the device, so that neither
 * finds in the caches what the other has just read.
 */
#include <errno.h>
#include <string.h>

#include <uzram/util/cleanup.h>

#include "engine.h"

/* Overwriting gives page i what page i + SHIFT had: a prime, so that the new
 * content has nothing to do with the old one's place.
 */
#define SHIFT 1009

/* Of a thread: so many that its start does not count. */
#define PART_PAGES 8192
#define PARTS_MIN  4

static unsigned int parts_of(const struct engine_setup *s, unsigned int n)
{
	uint64_t parts = s->pages / n / PART_PAGES;

	return parts < PARTS_MIN ? PARTS_MIN : (unsigned int)parts;
}

/* Share @part of @parts of all pages out to the workers. */
static void set_ranges(struct engine_worker *w, unsigned int n,
		       unsigned int part, unsigned int parts)
{
	uint64_t pages = w[0].s->pages;
	uint64_t first = pages * part / parts;
	uint64_t nr = pages * (part + 1) / parts - first;

	for (unsigned int i = 0; i < n; i++) {
		w[i].first = first + nr * i / n;
		w[i].end = first + nr * (i + 1) / n;
	}
}

static double mb_per_second(const struct engine_setup *s, double took)
{
	return (double)(s->pages * UZ_PAGE_SIZE) / 1e6 / took;
}

static int run_op(struct engine_setup *s, struct engine_worker *w,
		  unsigned int n, enum engine_op op, struct engine_cell *cell)
{
	unsigned int parts = parts_of(s, n);
	double bare = 0, device = 0;

	for (unsigned int part = 0; part < parts; part++) {
		int ret = 0;

		set_ranges(w, n, (part + parts / 2) % parts, parts);
		if (engine_pass_bare[op])
			ret = engine_pass_run(w, n, engine_pass_bare[op],
					      &bare);
		set_ranges(w, n, part, parts);
		if (!ret)
			ret = engine_pass_run(w, n, engine_pass_device[op],
					      &device);
		if (ret)
			return ret;
	}
	if (engine_pass_bare[op])
		stats_add(&cell->bare, mb_per_second(s, bare));
	stats_add(&cell->device, mb_per_second(s, device));
	return 0;
}

static int run_ops(struct engine_result *r, struct engine_setup *s,
		   struct uz_device *dev, struct engine_worker *w,
		   unsigned int n, struct engine_cell *cell)
{
	for (int op = 0; op < ENGINE_NR_OPS; op++) {
		struct settle_stat stat;
		double unused = 0;
		int ret;

		s->shift = op == ENGINE_FILL ? 0 : SHIFT;
		ret = run_op(s, w, n, op, &cell[op]);
		if (ret)
			return ret;
		if (op != ENGINE_FILL && op != ENGINE_OVERWRITE)
			continue;
		set_ranges(w, n, 0, 1);
		ret = engine_pass_run(w, n, engine_pass_verify, &unused);
		if (ret)
			return ret;
		/* With any number of threads: the next pass begins alike. */
		ret = settle_device(dev, &stat);
		if (ret)
			return ret;
		if (n == 1)
			*(op == ENGINE_FILL ? &r->filled : &r->overwritten) =
				stat;
	}
	return 0;
}

static int run_workers(struct engine_result *r, struct engine_setup *s,
		       struct uz_device *dev, unsigned int n,
		       struct engine_cell *cell)
{
	struct engine_worker *w = aligned_alloc(UZ_PAGE_SIZE, n * sizeof(*w));
	int ret = w ? 0 : -ENOMEM;

	if (w)
		memset(w, 0, n * sizeof(*w));
	for (unsigned int i = 0; i < n && !ret; i++) {
		w[i].s = s;
		ret = uz_codec_ctx_create(&r->codec, NULL, &w[i].ctx);
		if (!ret)
			ret = uz_io_create(dev, &w[i].io);
	}
	if (!ret)
		ret = run_ops(r, s, dev, w, n, cell);
	for (unsigned int i = 0; w && i < n; i++) {
		uz_io_destroy(w[i].io);
		uz_codec_ctx_destroy(w[i].ctx);
	}
	free(w);
	return ret;
}

static int run_round(struct engine_result *r, struct engine_setup *s,
		     unsigned int n, struct engine_cell *cell,
		     struct uz_err *err)
{
	struct uz_device *dev = NULL;
	struct uz_device_mem mem;
	int ret = uz_device_mem_create(&mem);

	if (ret)
		return uz_err_set(err, ret, "no memory for a device: %s",
				  strerror(-ret));
	ret = uz_device_open(&dev, "bench", &mem, err);
	if (!ret)
		ret = uz_device_set_codec(dev, r->codec_text, err);
	if (!ret)
		ret = uz_device_set_disksize(dev, s->pages << UZ_PAGE_SHIFT,
					     err);
	if (!ret) {
		ret = run_workers(r, s, dev, n, cell);
		if (ret == -EUCLEAN)
			uz_err_set(err, ret,
				   "%s on %s: the device returned other bytes "
				   "than were stored",
				   r->codec_text, r->corpus->name);
		else if (ret)
			uz_err_set(err, ret, "%s on %s: %s", r->codec_text,
				   r->corpus->name, strerror(-ret));
	}
	uz_device_close(dev);
	uz_device_mem_close(&mem);
	return ret;
}

/* Compress every page once into the array that bare loads read. */
static int fill_objects(struct engine_setup *s, const struct uz_codec *codec)
{
	struct uz_codec_ctx *ctx;
	uint64_t at = 0;
	int ret = uz_codec_ctx_create(codec, NULL, &ctx);

	if (ret)
		return ret;
	for (uint64_t i = 0; i < s->pages; i++) {
		const uint8_t *page = corpus_page(s->corpus, i);
		size_t len;

		s->place[i] = at;
		ret = uz_codec_compress(ctx, page, s->objects + at,
					UZ_PAGE_SIZE - 1, &len);
		if (ret) {
			memcpy(s->objects + at, page, UZ_PAGE_SIZE);
			len = UZ_PAGE_SIZE;
		}
		at += len;
	}
	s->place[s->pages] = at;
	uz_codec_ctx_destroy(ctx);
	return 0;
}

int engine_run(struct engine_result *r, unsigned int rounds, struct uz_err *err)
{
	uz_autofree uint8_t *objects = malloc(r->pages * UZ_PAGE_SIZE);
	uz_autofree uint64_t *place = calloc(r->pages + 1, sizeof(*place));
	uz_autofree uint32_t *order = calloc(r->pages, sizeof(*order));
	struct engine_setup s = {
		.corpus = r->corpus,
		.pages = r->pages,
		.order = order,
		.objects = objects,
		.place = place,
	};
	int ret = -ENOMEM;

	if (objects && place && order) {
		random_order(order, r->pages, 0);
		ret = fill_objects(&s, &r->codec);
	}
	if (ret)
		return uz_err_set(err, ret, "%s: %s", r->codec_text,
				  strerror(-ret));
	for (unsigned int i = 0; i < rounds && !ret; i++) {
		ret = run_round(r, &s, 1, r->one, err);
		if (!ret && r->threads > 1)
			ret = run_round(r, &s, r->threads, r->many, err);
	}
	return ret;
}
