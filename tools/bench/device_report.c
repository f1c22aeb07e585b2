// SPDX-License-Identifier: MIT
/*
 * Results of "device" as text and as JSON.
 *
 * Every median that the text shows stands in the JSON with the rounds that it
 * is the median of.
 */
#include <errno.h>
#include <string.h>

#include <uzram/util/size.h>

#include "device.h"

void device_work_name(const struct load *l, char *text, size_t size)
{
	char what[32];

	if (l->reads && l->reads < 100)
		snprintf(what, sizeof(what), "mixed %u/%u", l->reads,
			 100 - l->reads);
	else
		snprintf(what, sizeof(what), "%s%s", l->random ? "random " : "",
			 l->reads ? "read" : "write");
	snprintf(text, size, "%s %s, depth %u, %u job%s", what,
		 l->block == UZ_PAGE_SIZE ? "4 KiB" : "1 MiB", l->depth,
		 l->jobs, l->jobs == 1 ? "" : "s");
}

double device_mb(const struct load *l, const struct stats *rate)
{
	return stats_median(rate) * (double)l->block / 1e6;
}

double device_micro(const struct device_value *v, double percent)
{
	return (double)hist_percentile(v->latency, percent) / 1e3;
}

static void text_memory(const struct device_run *run, FILE *out)
{
	char stored[UZ_SIZE_TEXT], used[UZ_SIZE_TEXT];

	uz_size_format(run->size, stored);
	fprintf(out, "\nmemory in use once all %s were written\n", stored);
	for (unsigned int i = 0; i < run->nr_targets; i++) {
		fprintf(out, "  %-30s ", run->target[i].name);
		if (!run->memory[i]) {
			fprintf(out, "not known\n");
			continue;
		}
		uz_size_format(run->memory[i], used);
		fprintf(out, "%7s  %.3f bytes a byte\n", used,
			(double)run->memory[i] / (double)run->size);
	}
}

static void text_work(const struct device_run *run,
		      const struct device_work *work, FILE *out)
{
	const struct load *l = &work->load;
	struct compare_choice choice;
	char name[64];

	device_work_name(l, name, sizeof(name));
	fprintf(out, "\n%-36s %7s %10s %6s %9s %9s %9s %9s\n", name, "MB/s",
		"requests/s", "ratio", "p50 us", "p99 us", "p99.9 us",
		"CPU s/GiB");
	for (unsigned int i = 0; i < run->nr_targets; i++) {
		const struct device_value *v = &work->value[i];

		fprintf(out,
			"  %-34s %7.0f %10.0f %6.2f %9.1f %9.1f %9.1f %9.3f\n",
			run->target[i].name, device_mb(l, &v->rate),
			stats_median(&v->rate),
			stats_ratio(&v->rate, &work->value[0].rate),
			device_micro(v, 50), device_micro(v, 99),
			device_micro(v, 99.9), stats_median(&v->cpu));
	}
	if (compare_choice(run, work, &choice)) {
		snprintf(name, sizeof(name), "auto / better transport (%s)",
			 choice.better);
		fprintf(out, "  %-34s %7s %10s %6.2f\n", name, "", "",
			choice.ratio);
	}
}

/* In how many works the choice of the transport costs less than 5 %. */
static void text_choice(const struct device_run *run, FILE *out)
{
	const struct load *worst = NULL;
	struct compare_choice choice;
	unsigned int good = 0;
	double least = 0;
	char name[64];

	for (unsigned int w = 0; w < run->nr_works; w++) {
		if (!compare_choice(run, &run->work[w], &choice))
			return;
		good += choice.ratio >= 0.95;
		if (worst && choice.ratio >= least)
			continue;
		worst = &run->work[w].load;
		least = choice.ratio;
	}
	if (!worst)
		return;
	device_work_name(worst, name, sizeof(name));
	fprintf(out,
		"\ntransport auto by the better single one: 0.95 or more in "
		"%u of %u, least %.2f\n(%s)\n",
		good, run->nr_works, least, name);
}

static void text_left_out(const struct device_run *run, FILE *out)
{
	for (unsigned int i = 0; i < run->nr_left_out; i++)
		fprintf(out, "left out: %s (%s)\n", run->left_out[i].name,
			run->left_out[i].why);
}

void device_text(const struct device_run *run, FILE *out)
{
	char machine[640], size[UZ_SIZE_TEXT];

	machine_text(&run->machine, machine, sizeof(machine));
	uz_size_format(run->size, size);
	fprintf(out,
		"uzram-bench device: direct I/O on %s filled from %s, medians "
		"of %u rounds of %g s;\neach ratio is the median of the "
		"rounds' ratios to %s\n%s\n",
		size, run->corpus.name, run->rounds, run->seconds,
		run->target[0].name, machine);
	text_left_out(run, out);
	for (unsigned int w = 0; w < run->nr_works; w++)
		text_work(run, &run->work[w], out);
	text_choice(run, out);
	text_memory(run, out);
	fflush(out);
}

static json_t *json_value(const struct device_run *run,
			  const struct device_work *work, unsigned int i)
{
	const struct device_value *v = &work->value[i];

	return json_pack("{s:s, s:o, s:f, s:f, s:f, s:f, s:f, s:o, s:f}",
			 "target", run->target[i].name, "requests_per_second",
			 stats_json(&v->rate), "mb_per_second",
			 device_mb(&work->load, &v->rate), "p50_us",
			 device_micro(v, 50), "p99_us", device_micro(v, 99),
			 "p999_us", device_micro(v, 99.9), "ratio_to_first",
			 stats_ratio(&v->rate, &work->value[0].rate),
			 "cpu_seconds_per_gib", stats_json(&v->cpu),
			 "cpu_ratio_to_first",
			 stats_ratio(&v->cpu, &work->value[0].cpu));
}

static json_t *json_work(const struct device_run *run,
			 const struct device_work *work)
{
	const struct load *l = &work->load;
	json_t *values = json_array(), *o;
	struct compare_choice choice;

	for (unsigned int i = 0; i < run->nr_targets; i++)
		json_array_append_new(values, json_value(run, work, i));
	o = json_pack("{s:b, s:i, s:b, s:i, s:i, s:i, s:o}", "write", !l->reads,
		      "read_percent", (int)l->reads, "random", l->random,
		      "block", (int)l->block, "depth", (int)l->depth, "jobs",
		      (int)l->jobs, "targets", values);
	if (compare_choice(run, work, &choice))
		json_object_set_new(o, "auto",
				    json_pack("{s:s, s:f}", "better_transport",
					      choice.better, "ratio",
					      choice.ratio));
	return o;
}

static json_t *json_left_out(const struct device_run *run)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < run->nr_left_out; i++)
		json_array_append_new(list,
				      json_pack("{s:s, s:s}", "target",
						run->left_out[i].name, "why",
						run->left_out[i].why));
	return list;
}

static json_t *json_targets(const struct device_run *run)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < run->nr_targets; i++)
		json_array_append_new(
			list,
			json_pack("{s:s, s:I}", "target", run->target[i].name,
				  "memory_bytes", (json_int_t)run->memory[i]));
	return list;
}

json_t *device_json(const struct device_run *run)
{
	json_t *works = json_array();

	for (unsigned int w = 0; w < run->nr_works; w++)
		json_array_append_new(works, json_work(run, &run->work[w]));
	return json_pack("{s:s, s:i, s:o, s:s, s:I, s:i, s:f, s:o, s:o, s:o}",
			 "benchmark", "device", "version", 1, "machine",
			 machine_json(&run->machine), "corpus",
			 run->corpus.name, "bytes", (json_int_t)run->size,
			 "rounds", (int)run->rounds, "seconds", run->seconds,
			 "memory", json_targets(run), "left_out",
			 json_left_out(run), "results", works);
}
