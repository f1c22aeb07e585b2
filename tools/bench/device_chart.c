// SPDX-License-Identifier: MIT
/*
 * Results of "device" as a chart: a panel for each work and figure, four in a
 * row, which with two depths and two numbers of jobs is one kind of load.
 */
#include <errno.h>
#include <string.h>

#include <uzram/util/size.h>

#include "device.h"

/* What a chart shows of each work. */
enum figure {
	FIGURE_RATE,
	FIGURE_P99,
	FIGURE_CPU,
};

static double figure_of(const struct load *l, const struct device_value *v,
			enum figure f)
{
	if (f == FIGURE_P99)
		return device_micro(v, 99);
	if (f == FIGURE_CPU)
		return stats_median(&v->cpu);
	return l->block == UZ_PAGE_SIZE ? stats_median(&v->rate) / 1e3
					: device_mb(l, &v->rate);
}

static int chart_figure(const struct device_run *run, enum figure f,
			struct chart *c)
{
	for (unsigned int w = 0; w < run->nr_works; w++) {
		const struct device_work *work = &run->work[w];
		bool small = work->load.block == UZ_PAGE_SIZE;
		struct chart_panel *p = chart_add(c);

		if (!p)
			return -ENOMEM;
		device_work_name(&work->load, p->title, sizeof(p->title));
		snprintf(p->unit, sizeof(p->unit), "%s",
			 f == FIGURE_P99   ? "us"
			 : f == FIGURE_CPU ? "s/GiB"
			 : small	   ? "K IOPS"
					   : "MB/s");
		for (unsigned int i = 0; i < run->nr_targets; i++)
			p->value[i] =
				figure_of(&work->load, &work->value[i], f);
	}
	return 0;
}

static void chart_note(const struct device_run *run, struct chart *c)
{
	char size[UZ_SIZE_TEXT];
	size_t len;

	uz_size_format(run->size, size);
	machine_text(&run->machine, c->note, sizeof(c->note));
	len = strlen(c->note);
	snprintf(c->note + len, sizeof(c->note) - len,
		 "\n%s filled from %s, medians of %u rounds of %g s%s", size,
		 run->corpus.name, run->rounds, run->seconds,
		 run->compare ? "\nfirst the rates; then (less is better) the "
				"99th percentile of the latency; then seconds "
				"of CPU for each GiB moved"
			      : "");
	for (unsigned int i = 0; i < run->nr_left_out; i++) {
		len = strlen(c->note);
		snprintf(c->note + len, sizeof(c->note) - len, "%s%s",
			 i ? ", " : "\nleft out: ", run->left_out[i].name);
	}
}

int device_chart(const struct device_run *run, struct chart *c)
{
	int ret;

	snprintf(c->title, sizeof(c->title),
		 "Direct I/O on compressed RAM: more is better");
	chart_note(run, c);
	c->columns = 4;
	c->nr_series = run->nr_targets;
	for (unsigned int i = 0; i < run->nr_targets; i++)
		snprintf(c->series[i], sizeof(c->series[i]), "%s",
			 run->target[i].name);
	ret = chart_figure(run, FIGURE_RATE, c);
	if (!ret && run->compare)
		ret = chart_figure(run, FIGURE_P99, c);
	if (!ret && run->compare)
		ret = chart_figure(run, FIGURE_CPU, c);
	return ret;
}
