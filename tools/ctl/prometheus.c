// SPDX-License-Identifier: MIT
/*
 * stat --prometheus: metrics in Prometheus' text exposition format 0.0.4, as a
 * textfile collector or a probe takes them: one family after the other, each
 * with help and type, then a sample for each device. Base units (bytes and
 * seconds, as floating-point numbers if need be), counters that end in _total,
 * one label. How long requests take is a histogram. No ratios: whoever wants
 * one divides.
 *
 * Names are an interface: they are never given another meaning.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "latency.h"
#include "report.h"

/*
 * struct metric - a family
 * @name:   after "uzram_"; a counter if it ends in _total
 * @source: statistic of the device
 * @factor: that it is multiplied by; 0: nanoseconds become seconds
 * @help:   what it is
 */
struct metric {
	const char *name;
	const char *source;
	unsigned int factor;
	const char *help;
};

static const struct metric metrics[] = {
	{ "data_bytes", "orig_data_size", 1, "Stored, before compression." },
	{ "compressed_bytes", "compr_data_size", 1, "The same, compressed." },
	{ "memory_used_bytes", "mem_used_total", 1,
	  "Memory used for stored pages, gaps included." },
	{ "memory_peak_bytes", "mem_used_max", 1,
	  "Most memory that was used for stored pages." },
	{ "memory_limit_bytes", "mem_limit", 1,
	  "Most memory that may be used for stored pages; 0 is no limit." },
	{ "resident_bytes", "mem_resident", 1,
	  "Memory of the device, everything together." },
	{ "metadata_bytes", "meta_bytes", 1, "Memory for tables." },
	{ "empty_bytes", "empty_bytes", 1,
	  "Of the memory for pages, kept empty for reuse." },
	{ "deferred_bytes", "deferred_bytes", 1,
	  "Of the memory for pages, freed but still being read." },
	{ "reserve_bytes", "reserve_size", 1,
	  "Memory to be kept ready for stores." },
	{ "reserve_misses_total", "reserve_missed", 1,
	  "Stores that found nothing of the reserve left." },
	{ "thp_bytes", "thp_bytes", 1,
	  "Memory in huge pages of the system's." },
	{ "same_filled_pages", "same_pages", 1,
	  "Pages filled with one word, kept without memory." },
	{ "incompressible_pages", "huge_pages", 1,
	  "Pages stored as they are." },
	{ "incompressible_stores_total", "huge_pages_since", 1,
	  "Pages ever stored as they are." },
	{ "reads_total", "num_reads", 1, "Read requests." },
	{ "writes_total", "num_writes", 1, "Write requests." },
	{ "discards_total", "num_discards", 1, "Discard requests." },
	{ "read_bytes_total", "bytes_read", 1, "Asked for by reads." },
	{ "written_bytes_total", "bytes_written", 1, "Given by writes." },
	{ "discarded_bytes_total", "notify_free", UZ_PAGE_SIZE,
	  "Stored pages dropped by discards." },
	{ "failed_reads_total", "failed_reads", 1,
	  "Pages that could not be read." },
	{ "failed_writes_total", "failed_writes", 1,
	  "Pages that could not be written." },
	{ "invalid_requests_total", "invalid_io", 1,
	  "Requests out of range or misaligned." },
	{ "limit_rejections_total", "limit_rejections", 1,
	  "Pages refused for lack of memory." },
	{ "checksum_errors_total", "checksum_errors", 1,
	  "Pages that were not what was stored." },
	{ "compacted_pages_total", "pages_compacted", 1,
	  "Pages of memory freed by compaction." },
	{ "moved_objects_total", "objects_moved", 1,
	  "Objects moved by compaction." },
	{ "recompression_running", "recompress_running", 1,
	  "Whether a recompression is going on." },
	{ "recompressed_pages_total", "recompressed", 1,
	  "Pages made smaller by recompression." },
	{ "recompression_saved_bytes_total", "recompress_saved", 1,
	  "That these took more before." },
	{ "writeback_running", "writeback_running", 1,
	  "Whether a writeback is going on." },
	{ "written_back_pages_total", "written_back_pages", 1,
	  "Pages moved to the backing store." },
	{ "promoted_pages_total", "promoted_pages", 1,
	  "Pages taken back into memory when read." },
	{ "gathered_pages_total", "gathered_pages", 1,
	  "Pages taken back into memory to free their blocks." },
	{ "policy_marked_pages_total", "policy_marked", 1,
	  "Pages marked as idle unasked." },
	{ "policy_recompressed_pages_total", "policy_recompressed", 1,
	  "Pages made smaller unasked." },
	{ "policy_saved_bytes_total", "policy_saved", 1,
	  "That these took more before." },
	{ "policy_written_back_pages_total", "policy_written_back", 1,
	  "Pages moved to the backing store unasked." },
	{ "policy_cpu_seconds_total", "policy_cpu_ns", 0,
	  "CPU time that all of this took." },
	{ "backed_pages", "backed_pages", 1, "Pages on the backing store." },
	{ "backed_bytes", "backed_bytes", 1, "That these take there." },
	{ "backing_size_bytes", "blocks", UZ_PAGE_SIZE,
	  "Size of the backing store." },
	{ "backing_used_bytes", "used_blocks", UZ_PAGE_SIZE,
	  "Blocks of the backing store in use." },
	{ "backing_read_bytes_total", "read_blocks", UZ_PAGE_SIZE,
	  "Blocks read from the backing store." },
	{ "backing_written_bytes_total", "written_blocks", UZ_PAGE_SIZE,
	  "Blocks written to the backing store." },
	{ "backing_read_errors_total", "backing_read_errors", 1,
	  "Pages that could not be read from the backing store." },
	{ "longest_map_seconds", "longest_map_ns", 0,
	  "Most that one read kept an object." },
	{ "worker_threads", "workers", 1,
	  "Threads that help with large requests." },
	{ "worker_restarts_total", "restarts", 1,
	  "Worker processes that died and were replaced." },
	{ "worker_hangs_total", "hangs", 1,
	  "Of these, killed because they hung." },
};

/*
 * struct reports - all that is printed
 * @list: of the devices
 * @nr:   of them
 */
struct reports {
	struct report *list;
	size_t nr;
};

static void print_family(const char *name, const char *help)
{
	static const char tail[] = "_total";
	const size_t len = strlen(name), more = sizeof(tail) - 1;
	bool counter = len > more && !strcmp(name + len - more, tail);

	printf("# HELP uzram_%s %s\n# TYPE uzram_%s %s\n", name, help, name,
	       counter ? "counter" : "gauge");
}

/* A label's value: whatever is in it, the line stays one. */
static void print_label(const char *label, const char *value)
{
	printf("%s=\"", label);
	for (; *value; value++) {
		if (*value == '\n')
			fputs("\\n", stdout);
		else if (*value == '"' || *value == '\\')
			printf("\\%c", *value);
		else
			putchar(*value);
	}
	putchar('"');
}

static void print_sample(const char *name, const struct report *r)
{
	printf("uzram_%s{", name);
	print_label("device", r->dev.name);
	fputs("} ", stdout);
}

static void print_info(const struct reports *all)
{
	static const char name[] = "device_info";
	size_t i;

	print_family(name, "How a device is served; always 1.");
	for (i = 0; i < all->nr; i++) {
		printf("uzram_%s{", name);
		print_label("device", all->list[i].dev.name);
		putchar(',');
		print_label("algorithm", all->list[i].codec);
		putchar(',');
		print_label("transport", all->list[i].transport);
		puts("} 1");
	}
}

static void print_disksize(const struct reports *all)
{
	static const char name[] = "disksize_bytes";
	size_t i;

	print_family(name, "What the device pretends to hold.");
	for (i = 0; i < all->nr; i++) {
		print_sample(name, &all->list[i]);
		printf("%" PRIu64 "\n", all->list[i].disksize);
	}
}

static void print_metric(const struct metric *m, const struct reports *all)
{
	uint64_t value;
	size_t i;

	print_family(m->name, m->help);
	for (i = 0; i < all->nr; i++) {
		value = report_number(&all->list[i], m->source);
		print_sample(m->name, &all->list[i]);
		if (m->factor)
			printf("%" PRIu64 "\n", value * m->factor);
		else
			printf("%.9f\n", (double)value / 1e9);
	}
}

/* Of each bucket of the histogram: its longest time, in nanoseconds. */
#define LE_FIRST (UINT64_C(1) << 10)
#define LE_LAST	 (UINT64_C(1) << 33)

static void print_bucket(const struct report *r, const char *what,
			 const char *le, uint64_t count)
{
	fputs("uzram_request_duration_seconds_bucket{", stdout);
	print_label("device", r->dev.name);
	printf(",operation=\"%s\",le=\"%s\"} %" PRIu64 "\n", what, le, count);
}

static void print_durations(const struct report *r, const char *what)
{
	struct latency l;
	char le[32];
	uint64_t ns;

	latency_read(&l, r->latency, what);
	for (ns = LE_FIRST; ns <= LE_LAST; ns *= 2) {
		snprintf(le, sizeof(le), "%.9f", (double)ns / 1e9);
		print_bucket(r, what, le, latency_within(&l, ns));
	}
	print_bucket(r, what, "+Inf", l.all);
	fputs("uzram_request_duration_seconds_sum{", stdout);
	print_label("device", r->dev.name);
	printf(",operation=\"%s\"} %.9f\n", what, (double)l.sum / 1e9);
	fputs("uzram_request_duration_seconds_count{", stdout);
	print_label("device", r->dev.name);
	printf(",operation=\"%s\"} %" PRIu64 "\n", what, l.all);
}

/* A daemon that cannot tell has no samples. */
static void print_latency(const struct reports *all)
{
	size_t i;

	puts("# HELP uzram_request_duration_seconds How long requests took in "
	     "the daemon; some of each thread's are timed.\n"
	     "# TYPE uzram_request_duration_seconds histogram");
	for (i = 0; i < all->nr; i++) {
		if (!all->list[i].latency)
			continue;
		print_durations(&all->list[i], "read");
		print_durations(&all->list[i], "write");
	}
}

static int reports_add(const struct ctl_device *dev, void *arg,
		       struct uz_err *err)
{
	struct reports *all = arg;
	struct report *list;
	int rc;

	list = realloc(all->list, (all->nr + 1) * sizeof(*list));
	if (!list)
		return uz_err_set(err, -ENOMEM, "out of memory");
	all->list = list;
	rc = report_read(&list[all->nr], dev, err);
	if (rc)
		report_free(&list[all->nr]);
	else
		all->nr++;
	return rc;
}

/* One that ends just now is not there any more; the others are. */
static int reports_add_living(const struct ctl_device *dev, void *arg,
			      struct uz_err *err)
{
	int rc = reports_add(dev, arg, err);

	return rc == -ENOTCONN || rc == -ENOENT ? 0 : rc;
}

static int reports_read(struct reports *all, char **names, int nr,
			struct uz_err *err)
{
	struct ctl_device dev;
	int i, rc = 0;

	if (!nr)
		return ctl_device_each(reports_add_living, all, err);
	for (i = 0; i < nr && !rc; i++) {
		rc = ctl_device_open(&dev, names[i], err);
		if (!rc)
			rc = reports_add(&dev, all, err);
	}
	return rc;
}

int prometheus_print(char **names, int nr, struct uz_err *err)
{
	struct reports all = { 0 };
	int rc = reports_read(&all, names, nr, err);
	size_t i;

	if (!rc) {
		print_info(&all);
		print_disksize(&all);
		for (i = 0; i < sizeof(metrics) / sizeof(*metrics); i++)
			print_metric(&metrics[i], &all);
		print_latency(&all);
		/* A part of them must not pass for the whole. */
		if (fflush(stdout))
			rc = uz_err_set(err, -errno, "cannot write: %s",
					strerror(errno));
	}
	for (i = 0; i < all.nr; i++)
		report_free(&all.list[i]);
	free(all.list);
	return rc;
}
