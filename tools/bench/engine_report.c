// SPDX-License-Identifier: MIT
/*
 * Results of "engine" as text, as JSON and as a chart.
 *
 * Every median that the text shows stands in the JSON with the rounds that it
 * is the median of.
 */
#include <errno.h>
#include <string.h>

#include <uzram/util/size.h>

#include "engine.h"

static const char *const op_name[ENGINE_NR_OPS] = {
	[ENGINE_FILL] = "first fill",	 [ENGINE_OVERWRITE] = "overwrite",
	[ENGINE_LOAD] = "load in order", [ENGINE_RANDOM] = "load at random",
	[ENGINE_DISCARD] = "discard",
};

static const char *const op_key[ENGINE_NR_OPS] = {
	[ENGINE_FILL] = "fill",
	[ENGINE_OVERWRITE] = "overwrite",
	[ENGINE_LOAD] = "load_sequential",
	[ENGINE_RANDOM] = "load_random",
	[ENGINE_DISCARD] = "discard",
};

/* What the device takes for what it holds. */
struct memory {
	double per_byte; /* pool and metadata by bytes stored */
	double efficiency; /* compressed bytes by pool and its metadata */
	double ratio; /* bytes stored by compressed bytes */
	double raw; /* part of pages stored raw */
};

static double div0(double a, double b)
{
	return b > 0 ? a / b : 0;
}

static struct memory memory_of(const struct engine_result *r,
			       const struct uz_device_stat *s)
{
	uint64_t table = (r->pages * sizeof(uint64_t) + UZ_PAGE_SIZE - 1) &
			 ~(uint64_t)(UZ_PAGE_SIZE - 1);
	double all = (double)(s->mem_used_total + s->meta_bytes);
	struct memory m = {
		.per_byte = div0(all, (double)s->orig_data_size),
		.efficiency =
			div0((double)s->compr_data_size, all - (double)table),
		.ratio = div0((double)s->orig_data_size,
			      (double)s->compr_data_size),
		.raw = div0((double)s->huge_pages, (double)r->pages),
	};

	return m;
}

const char *engine_op_name(enum engine_op op)
{
	return op_name[op];
}

double engine_scaling(const struct engine_result *r, enum engine_op op)
{
	return stats_ratio(&r->many[op].device, &r->one[op].device);
}

static void text_memory(const struct engine_result *r, const char *when,
			const struct settle_stat *both, FILE *out)
{
	const struct uz_device_stat *s = &both->at_rest;
	char orig[UZ_SIZE_TEXT], compr[UZ_SIZE_TEXT], pool[UZ_SIZE_TEXT],
		meta[UZ_SIZE_TEXT];
	struct memory m = memory_of(r, s);
	struct memory at_once = memory_of(r, &both->at_once);

	uz_size_format(s->orig_data_size, orig);
	uz_size_format(s->compr_data_size, compr);
	uz_size_format(s->mem_used_total, pool);
	uz_size_format(s->meta_bytes, meta);
	fprintf(out,
		"  %s: %s stored as %s (ratio %.2f, %.1f %% raw pages), pool "
		"%s, metadata %s;\n"
		"    %.4f bytes of memory a byte stored, packing efficiency "
		"%.3f (%.3f before the reserve was given back)\n",
		when, orig, compr, m.ratio, 100 * m.raw, pool, meta, m.per_byte,
		m.efficiency, at_once.efficiency);
}

static void text_cell(const struct engine_cell *c, FILE *out)
{
	if (c->bare.n)
		fprintf(out, " %8.0f", stats_median(&c->bare));
	else
		fprintf(out, " %8s", "-");
	fprintf(out, " %8.0f", stats_median(&c->device));
	if (c->bare.n)
		fprintf(out, " %6.2f", stats_ratio(&c->device, &c->bare));
	else
		fprintf(out, " %6s", "-");
}

void engine_text(const struct engine_result *r, FILE *out)
{
	char size[UZ_SIZE_TEXT];

	uz_size_format(r->pages * UZ_PAGE_SIZE, size);
	fprintf(out, "\n%s, %s of %s\n", r->codec_text, size, r->corpus->name);
	fprintf(out, "  %-15s %24s", "MB/s", "1 thread      ");
	if (r->threads > 1)
		fprintf(out, " %12u threads%12s", r->threads, "scaling");
	fprintf(out, "\n  %-15s %8s %8s %6s", "", "bare", "device", "ratio");
	if (r->threads > 1)
		fprintf(out, " %8s %8s %6s  bare device", "bare", "device",
			"ratio");
	fputc('\n', out);
	for (int op = 0; op < ENGINE_NR_OPS; op++) {
		fprintf(out, "  %-15s", op_name[op]);
		text_cell(&r->one[op], out);
		if (r->threads > 1) {
			text_cell(&r->many[op], out);
			if (r->one[op].bare.n)
				fprintf(out, " %5.2f",
					stats_ratio(&r->many[op].bare,
						    &r->one[op].bare));
			else
				fprintf(out, " %5s", "-");
			fprintf(out, " %6.2f", engine_scaling(r, op));
		}
		fputc('\n', out);
	}
	text_memory(r, "after the fill", &r->filled, out);
	text_memory(r, "after the overwrite", &r->overwritten, out);
	fflush(out);
}

static json_t *json_cell(const struct engine_cell *c)
{
	json_t *o = json_object();

	json_object_set_new(o, "device_mb_s", stats_json(&c->device));
	if (c->bare.n) {
		json_object_set_new(o, "bare_mb_s", stats_json(&c->bare));
		json_object_set_new(
			o, "ratio",
			json_real(stats_ratio(&c->device, &c->bare)));
	}
	return o;
}

static json_t *json_cells(const struct engine_cell *cell, unsigned int threads)
{
	json_t *o = json_object();

	json_object_set_new(o, "threads", json_integer(threads));
	for (int op = 0; op < ENGINE_NR_OPS; op++)
		json_object_set_new(o, op_key[op], json_cell(&cell[op]));
	return o;
}

static json_t *json_memory(const struct engine_result *r,
			   const struct settle_stat *both)
{
	const struct uz_device_stat *s = &both->at_rest;
	struct memory m = memory_of(r, s);

	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f}",
			 "orig_data_size", (json_int_t)s->orig_data_size,
			 "compr_data_size", (json_int_t)s->compr_data_size,
			 "mem_used_total", (json_int_t)s->mem_used_total,
			 "mem_used_total_at_once",
			 (json_int_t)both->at_once.mem_used_total, "meta_bytes",
			 (json_int_t)s->meta_bytes, "same_pages",
			 (json_int_t)s->same_pages, "huge_pages",
			 (json_int_t)s->huge_pages, "memory_per_byte",
			 m.per_byte, "packing_efficiency", m.efficiency,
			 "packing_efficiency_at_once",
			 memory_of(r, &both->at_once).efficiency);
}

json_t *engine_json(const struct engine_result *r)
{
	json_t *runs = json_array(), *scaling = json_object(), *o;

	json_array_append_new(runs, json_cells(r->one, 1));
	if (r->threads > 1)
		json_array_append_new(runs, json_cells(r->many, r->threads));
	o = json_pack("{s:s, s:s, s:I, s:o, s:o, s:o}", "codec", r->codec_text,
		      "corpus", r->corpus->name, "bytes",
		      (json_int_t)(r->pages * UZ_PAGE_SIZE), "runs", runs,
		      "memory_filled", json_memory(r, &r->filled),
		      "memory_overwritten", json_memory(r, &r->overwritten));
	for (int op = 0; r->threads > 1 && op < ENGINE_NR_OPS; op++)
		json_object_set_new(scaling, op_key[op],
				    json_real(engine_scaling(r, op)));
	json_object_set_new(o, "scaling", scaling);
	return o;
}

/* A row of panels: one for each operation that has a bare counterpart. */
int engine_chart(const struct engine_result *r, struct chart *c)
{
	for (int op = 0; op < ENGINE_NR_OPS; op++) {
		struct chart_panel *p;

		if (!r->one[op].bare.n)
			continue;
		p = chart_add(c);
		if (!p)
			return -ENOMEM;
		snprintf(p->title, sizeof(p->title), "%s, %s: %s",
			 r->codec_text, r->corpus->name, op_name[op]);
		snprintf(p->unit, sizeof(p->unit), "MB/s");
		p->value[0] = stats_median(&r->one[op].bare);
		p->value[1] = stats_median(&r->one[op].device);
		p->value[2] = stats_median(&r->many[op].bare);
		p->value[3] = stats_median(&r->many[op].device);
	}
	return 0;
}
