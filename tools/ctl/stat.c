// SPDX-License-Identifier: MIT
/*
 * stat: what a device holds. First in words, because the columns of a table
 * mislead (disksize is not memory, the peak is not the present), then every
 * statistic with its unit. --json gives the numbers alone, under names that do
 * not change as long as "version" does not; --prometheus is prometheus.c's.
 */
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "latency.h"
#include "report.h"
#include <uzram/util/users.h>

#define JSON_VERSION 1

static const struct {
	const char *name;
	const char *unit;
	const char *what;
} statistics[] = {
	{ "orig_data_size", "bytes", "stored, before compression" },
	{ "compr_data_size", "bytes", "the same, compressed" },
	{ "mem_used_total", "bytes", "used for that, gaps included" },
	{ "mem_limit", "bytes", "most that may be used for it; 0: no limit" },
	{ "mem_used_max", "bytes", "most that was used for it" },
	{ "same_pages", "pages", "filled with one word, kept without memory" },
	{ "pages_compacted", "pages", "freed by compaction" },
	{ "objects_moved", "objects", "moved by compaction" },
	{ "compact_pinned", "times", "compaction passed over what was read" },
	{ "compact_contended", "times",
	  "compaction passed over what was busy" },
	{ "huge_pages", "pages", "stored as they are: they do not compress" },
	{ "huge_pages_since", "pages", "ever stored as they are" },
	{ "failed_reads", "pages", "could not be read" },
	{ "failed_writes", "pages", "could not be written" },
	{ "invalid_io", "requests", "out of range or misaligned" },
	{ "notify_free", "pages", "dropped by discards" },
	{ "miss_free", "pages", "could not be dropped" },
	{ "num_reads", "requests", "" },
	{ "num_writes", "requests", "" },
	{ "num_discards", "requests", "" },
	{ "bytes_read", "bytes", "asked for by reads" },
	{ "bytes_written", "bytes", "given by writes" },
	{ "limit_rejections", "pages", "refused for lack of memory" },
	{ "checksum_errors", "pages", "were not what was stored" },
	{ "retries", "times", "a page changed under a partial write" },
	{ "recompressed", "pages", "made smaller by recompression" },
	{ "recompress_saved", "bytes", "that these took more" },
	{ "workers", "threads", "that help with large requests" },
	{ "worker_pages", "pages", "that those have done" },
	{ "deferred_frees", "objects", "freed, but still being read" },
	{ "deferred_bytes", "bytes", "these take up" },
	{ "longest_map_ns", "ns", "most that one read kept an object" },
	{ "maps", "objects", "being read, in a build with debug checks" },
	{ "empty_bytes", "bytes", "of mem_used_total, kept empty for reuse" },
	{ "reserve_size", "bytes", "to be kept ready for stores" },
	{ "reserve_missed", "stores", "that found nothing of it left" },
	{ "thp_bytes", "bytes", "of memory in huge pages of the system's" },
	{ "meta_bytes", "bytes", "of memory for tables" },
	{ "mem_resident", "bytes", "of memory, everything together" },
	{ "backed_pages", "pages", "on the backing store" },
	{ "backed_bytes", "bytes", "that these take there" },
	{ "blocks", "blocks", "of 4 KiB that the backing store has" },
	{ "used_blocks", "blocks", "of these, in use" },
	{ "read_blocks", "blocks", "read from it" },
	{ "written_blocks", "blocks", "written to it" },
	{ "written_back_pages", "pages", "written back, ever" },
	{ "promoted_pages", "pages", "taken back into memory when read" },
	{ "gathered_pages", "pages", "taken back to free their blocks" },
	{ "backing_read_errors", "pages", "could not be read from it" },
	{ "backing_lost", "stores", "could not be opened again" },
	{ "stored_pages", "pages", "not on the backing store" },
	{ "read_back_pages", "pages", "had to be read from it" },
	{ "shrunk_pages", "pages", "written back to keep to the limit" },
	{ "pool_limit_hit", "pages", "found no memory at first" },
	{ "writeback_running", "times", "writeback is under way" },
	{ "writeback_total", "pages", "that the last writeback is about" },
	{ "writeback_done", "pages", "that it has written" },
	{ "writeback_changed", "pages", "that were used at that moment" },
	{ "writeback_failed", "pages", "that it could not write" },
	{ "recompress_running", "times", "recompression is under way" },
	{ "recompress_total", "pages", "that the last recompression is about" },
	{ "recompress_tried", "pages", "that it has tried" },
	{ "recompress_kept", "pages", "that it could not make smaller" },
	{ "recompress_lost", "pages", "that were used at that moment" },
	{ "policy_marked", "pages", "marked as idle unasked" },
	{ "policy_recompressed", "pages", "made smaller unasked" },
	{ "policy_saved", "bytes", "that these took more" },
	{ "policy_written_back", "pages", "written back unasked" },
	{ "policy_cpu_ns", "ns", "of CPU that all of this took" },
	{ "buffer_bytes", "bytes", "at most, for requests" },
	{ "restarts", "times", "a worker process died and was replaced" },
	{ "watchdog", "s",
	  "that it may hang until it is replaced, 0: for ever" },
	{ "hangs", "times", "it did not get on, and was killed for that" },
	{ "worker_pid", "", "the worker process" },
};

/* What "survives" says, in words. */
static const struct {
	const char *word;
	const char *text;
} survivals[] = {
	{ "yes", "When the worker dies, another takes over; nothing is lost." },
	{ "queued", "When the worker dies, another takes over; requests that "
		    "it had begun fail." },
	{ "no", "When the worker dies, the device ends." },
};

/* What the policy waits for, in words. */
static const struct {
	const char *word;
	const char *text;
} rests[] = {
	{ "working", "it is at work" },
	{ "empty", "nothing is stored" },
	{ "young", "it waits for pages to become old enough" },
	{ "unchanged", "all is done until pages are used again" },
	{ "cpu_busy", "it waits for the CPUs to have time" },
	{ "no_codec", "there is no codec for recompression" },
	{ "share", "its share of time is used up for now" },
};

static uint64_t number(const struct report *r, const char *name)
{
	return report_number(r, name);
}

/* ---- in words ---- */

struct ctl_size_text ctl_size_words(uint64_t bytes)
{
	static const char *const units[] = { "bytes", "KiB", "MiB",
					     "GiB",   "TiB", "PiB" };
	double value = (double)bytes;
	struct ctl_size_text t;
	size_t unit = 0;

	while (value >= 1024 && unit + 1 < sizeof(units) / sizeof(*units)) {
		value /= 1024;
		unit++;
	}
	snprintf(t.text, sizeof(t.text), "%.*f %s", unit && value < 10 ? 1 : 0,
		 value, units[unit]);
	return t;
}

static unsigned int percent(uint64_t part, uint64_t whole)
{
	return whole ? (unsigned int)(100.0 * (double)part / (double)whole +
				      0.5)
		     : 0;
}

static void print_limit(const struct report *r)
{
	uint64_t limit = number(r, "mem_limit");
	uint64_t used = number(r, "mem_used_total");
	uint64_t data = number(r, "orig_data_size");
	double full;

	if (!limit) {
		puts("No memory limit is set.");
		return;
	}
	printf("Of the limit of %s, %u %% are used", ctl_size_words(limit).text,
	       percent(used, limit));
	full = used ? (double)data / (double)used * (double)limit : 0;
	if (full > 0 && full < (double)r->disksize)
		printf("; filling at this ratio it is reached at %s of %s",
		       ctl_size_words((uint64_t)full).text,
		       ctl_size_words(r->disksize).text);
	puts(".");
}

/* Pages that had to leave: what is left in memory is a cache of them all. */
static void print_cache(const struct report *r)
{
	double reads = (double)number(r, "bytes_read") / UZ_PAGE_SIZE;
	double missed = (double)number(r, "read_back_pages");

	if (!number(r, "shrunk_pages"))
		return;
	printf("To keep to the limit %" PRIu64 " pages were written back",
	       number(r, "shrunk_pages"));
	if (reads > 0 && reads >= missed)
		printf("; %.1f %% of those that were read were in memory",
		       100 - 100 * missed / reads);
	puts(".");
}

static void print_words(const struct report *r)
{
	uint64_t data = number(r, "orig_data_size");
	uint64_t memory = number(r, "mem_resident");

	if (!r->disksize) {
		printf("%s has no size yet; its codec is %s.\n", r->dev.name,
		       r->codec);
		print_limit(r);
		return;
	}
	printf("%s: %s stored in %s of RAM", r->dev.name,
	       ctl_size_words(data).text, ctl_size_words(memory).text);
	if (data && memory)
		printf(" (%.1f:1)", (double)data / (double)memory);
	printf(", of a size of %s; new pages are compressed by %s.\n",
	       ctl_size_words(r->disksize).text, r->codec);
	print_limit(r);
	if (data)
		printf("%u %% of the pages do not compress, %u %% are filled "
		       "with one word.\n",
		       percent(number(r, "huge_pages") * UZ_PAGE_SIZE, data),
		       percent(number(r, "same_pages") * UZ_PAGE_SIZE, data));
	print_cache(r);
	if (number(r, "checksum_errors"))
		printf("%" PRIu64 " pages were damaged: the machine's memory "
		       "may be faulty.\n",
		       number(r, "checksum_errors"));
}

static void print_users(const struct report *r)
{
	struct uz_users users = { 0 };
	char text[512];

	if (!ctl_users(&r->dev, true, &users, NULL) && users.count) {
		uz_users_text(&users, text, sizeof(text));
		printf("It is in use: %s.\n", text);
	}
	uz_users_free(&users);
}

/* Off or not: what was done is worth knowing. */
static void print_policy(const struct report *r)
{
	const bool off = !*r->policy || !strcmp(r->policy, "off");
	size_t i;

	if (off && !number(r, "policy_cpu_ns"))
		return;
	printf("Unasked, %" PRIu64 " pages were recompressed, which saves %s, "
	       "and %" PRIu64 " written back, in %.1f s of CPU; ",
	       number(r, "policy_recompressed"),
	       ctl_size_words(number(r, "policy_saved")).text,
	       number(r, "policy_written_back"),
	       (double)number(r, "policy_cpu_ns") / 1e9);
	for (i = 0; i < sizeof(rests) / sizeof(*rests); i++)
		if (!strcmp(r->policy, rests[i].word))
			printf("%s.\n", rests[i].text);
	if (off)
		puts("the policy is off now.");
}

static void print_report(const struct report *r)
{
	size_t i;

	print_words(r);
	print_policy(r);
	print_users(r);
	if (*r->transport)
		printf("Requests come over %s.\n", strcmp(r->transport, "fuse")
							   ? r->transport
							   : "/dev/fuse");
	for (i = 0; i < sizeof(survivals) / sizeof(*survivals); i++)
		if (!strcmp(r->survives, survivals[i].word))
			puts(survivals[i].text);
	puts("");
	for (i = 0; i < sizeof(statistics) / sizeof(*statistics); i++)
		printf("%-19s %14" PRIu64 " %-10s %s\n", statistics[i].name,
		       number(r, statistics[i].name), statistics[i].unit,
		       statistics[i].what);
}

/* ---- for programs ---- */

static json_t *json_uint(uint64_t value)
{
	return json_integer(value < INT64_MAX ? (json_int_t)value : INT64_MAX);
}

static int json_latency(json_t *to, const struct report *r, const char *what)
{
	json_t *times = json_object();
	struct latency l;
	int failed = 0;

	latency_read(&l, r->latency, what);
	failed |= json_object_set_new(times, "timed", json_uint(l.all));
	failed |= json_object_set_new(times, "sum_ns", json_uint(l.sum));
	failed |= json_object_set_new(times, "p50_ns",
				      json_uint(latency_percentile(&l, 50)));
	failed |= json_object_set_new(times, "p99_ns",
				      json_uint(latency_percentile(&l, 99)));
	return failed | json_object_set_new(to, what, times);
}

static int print_json(const struct report *r, struct uz_err *err)
{
	json_t *root = json_object(), *stat = json_object();
	json_t *latency = json_object();
	char path[CTL_PATH_MAX];
	int failed = 0;
	size_t i;

	ctl_device_path(&r->dev, "block", path);
	failed |= json_object_set_new(root, "version", json_uint(JSON_VERSION));
	failed |= json_object_set_new(root, "name", json_string(r->dev.name));
	failed |= json_object_set_new(root, "path", json_string(path));
	failed |= json_object_set_new(root, "algorithm", json_string(r->codec));
	failed |= json_object_set_new(root, "transport",
				      json_string(r->transport));
	failed |=
		json_object_set_new(root, "survives", json_string(r->survives));
	failed |= json_object_set_new(root, "policy", json_string(r->policy));
	failed |= json_object_set_new(root, "disksize", json_uint(r->disksize));
	for (i = 0; i < sizeof(statistics) / sizeof(*statistics); i++)
		failed |= json_object_set_new(
			stat, statistics[i].name,
			json_uint(number(r, statistics[i].name)));
	failed |= json_object_set_new(root, "statistics", stat);
	failed |= json_latency(latency, r, "read");
	failed |= json_latency(latency, r, "write");
	failed |= json_object_set_new(root, "latency", latency);
	if (!failed)
		failed = json_dumpf(root, stdout, JSON_INDENT(2));
	json_decref(root);
	if (failed)
		return uz_err_set(err, -ENOMEM, "%s: cannot print JSON",
				  r->dev.name);
	puts("");
	return 0;
}

/* One device: in words, or as JSON. */
static int stat_one(const char *name, bool json, struct uz_err *err)
{
	struct report r = { 0 };
	struct ctl_device dev;
	int rc = ctl_device_open(&dev, name, err);

	if (!rc)
		rc = report_read(&r, &dev, err);
	if (!rc && json)
		rc = print_json(&r, err);
	else if (!rc)
		print_report(&r);
	report_free(&r);
	return rc;
}

enum uz_exit ctl_verb_stat(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "prometheus", no_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	struct uz_err err;
	int c, form = 0, rc;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
		if (c == 'h')
			return ctl_help("stat");
		if (c == '?')
			return UZ_EXIT_USAGE;
		form = c;
	}
	if (form != 'p' && argc - optind != 1)
		return ctl_usage("stat");
	if (form == 'p')
		rc = prometheus_print(argv + optind, argc - optind, &err);
	else
		rc = stat_one(argv[optind], form == 'j', &err);
	return rc ? ctl_fail(&err) : UZ_EXIT_OK;
}
