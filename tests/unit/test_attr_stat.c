// SPDX-License-Identifier: MIT
/*
 * The statistics: right number in the right place, and formatted as kernel
 * zram does. Where the machine has a zram device, its own lines are the
 * measure: its numbers, put into our device, must come out as its text.
 */
#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "attr_fixture.h"
#include "missing.h"

/* Who holds a mapping is known in such a build only. */
#ifdef UZ_DEBUG_CHECKS
#define MAPS "maps: 7\n"
#else
#define MAPS ""
#endif

static void test_mm_stat(void **state)
{
	struct fixture *f = *state;

	f->dev.stat = (struct uz_device_stat){
		.orig_data_size = 1,
		.compr_data_size = 22,
		.mem_used_total = 333,
		.mem_limit = 4444,
		.mem_used_max = 123456789,
		.same_pages = 6,
		.pages_compacted = 7,
		.huge_pages = 8,
		.huge_pages_since = UINT64_MAX,
	};
	assert_shows(f, "mm_stat",
		     "       1       22      333     4444 123456789        6"
		     "        7        8 18446744073709551615\n");
}

static void test_io_stat_and_debug_stat(void **state)
{
	struct fixture *f = *state;

	f->dev.stat = (struct uz_device_stat){
		.failed_reads = 1,
		.failed_writes = 2,
		.invalid_io = 3,
		.notify_free = 4,
		.miss_free = 5,
		.longest_map_ns = 6999999,
		.maps = 7,
		.deferred_frees = 8,
		.deferred_bytes = 9,
		.pages_compacted = 10,
		.objects_moved = 11,
		.compact_pinned = 12,
		.compact_contended = 13,
	};
	assert_shows(f, "io_stat", "       1        2 0        4\n");
	assert_shows(f, "debug_stat",
		     "version: 1\n0        5\n"
		     "longest_map_ms: 6\n" MAPS
		     "deferred_frees: 8\ndeferred_bytes: 9\n"
		     "pages_compacted: 10\nobjects_moved: 11\n"
		     "compact_pinned: 12\ncompact_contended: 13\n");
}

static void test_latency(void **state)
{
	struct fixture *f = *state;

	assert_shows(f, "latency", "read sum 0\nwrite sum 0\n");
	f->dev.latency[UZ_LATENCY_READ].count[3] = 7;
	f->dev.latency[UZ_LATENCY_READ].count[UZ_LATENCY_BUCKETS - 1] = 1;
	f->dev.latency[UZ_LATENCY_READ].sum_ns = 20000000000;
	f->dev.latency[UZ_LATENCY_WRITE].count[0] = 2;
	assert_shows(f, "latency",
		     "read 300 7\nread 18446744073709551615 1\n"
		     "read sum 20000000000\nwrite 0 2\nwrite sum 0\n");
}

/* Each number is one word of the struct: give each a value of its own. */
static void test_stat_names_every_number(void **state)
{
	struct fixture *f = *state;
	uint64_t *word = (uint64_t *)&f->dev.stat;
	const size_t words = sizeof(f->dev.stat) / sizeof(*word);
	const struct uz_attr_process process = {
		.supervisor = 4711,
		.restarts = 7,
		.protection = "locked",
		.awake = true,
		.watchdog = 30,
		.hangs = 2,
		.confinement = "seccomp",
		.cgroup = "/one",
	};
	struct uz_strbuf out = { 0 };
	uint64_t value;
	size_t i, seen = 0;
	char name[64], rest[192];
	char *line;

	for (i = 0; i < words; i++)
		word[i] = 1000 + i;
	uz_attr_set_transport(f->ctx, "fuse", 123, "yes");
	uz_attr_set_process(f->ctx, &process);
	assert_shows(f, "pid", "4711\n");
	assert_int_equal(uz_attr_show(f->ctx, attr_named("stat"), &out), 0);
	/* What is no number of the device comes last. */
	line = strstr(out.data, "\nbuffer_bytes ");
	snprintf(rest, sizeof(rest),
		 "\nbuffer_bytes 123\ntransport fuse\nsurvives yes\n"
		 "restarts 7\nworker_pid %d\nprotection locked\n"
		 "awake on\nwatchdog 30\nhangs 2\nconfinement seccomp\n"
		 "cgroup /one\n",
		 (int)getpid());
	assert_string_equal(line, rest);
	line = strstr(out.data, "\nrecompress_running ");
	assert_non_null(line);
	line[1] = '\0';
	for (line = strtok(out.data, "\n"); line; line = strtok(NULL, "\n")) {
		assert_int_equal(
			sscanf(line, "%63[a-z_] %" SCNu64, name, &value), 2);
		assert_true(value >= 1000 && value < 1000 + words);
		assert_int_not_equal(word[value - 1000], 0);
		word[value - 1000] = 0;
		seen++;
		if (!strcmp(name, "mem_used_max"))
			assert_int_equal(
				value - 1000,
				offsetof(struct uz_device_stat, mem_used_max) /
					8);
	}
	assert_int_equal(seen, words);
	uz_strbuf_free(&out);
}

static void test_mem_used_max(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(store(f, "mem_used_max", "1"), -EINVAL);
	assert_int_equal(store(f, "mem_used_max", "now"), -EINVAL);
	assert_int_equal(store(f, "mem_used_max", "99999999999999999999"),
			 -EINVAL);
	assert_int_equal(f->dev.resets_of_max, 0);
	assert_int_equal(store(f, "mem_used_max", "0\n"), 0);
	assert_int_equal(f->dev.resets_of_max, 1);
}

/* What the kernel's file says; false without it. */
static bool kernel_says(const char *dir, const char *name, char *text,
			size_t size)
{
	char path[256];
	size_t n;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "r");
	if (!file)
		return false;
	n = fread(text, 1, size - 1, file);
	fclose(file);
	text[n] = 0;
	return n > 0;
}

static void assert_begins(struct fixture *f, const char *name, const char *text)
{
	struct uz_strbuf out = { 0 };

	assert_int_equal(uz_attr_show(f->ctx, attr_named(name), &out), 0);
	assert_true(out.len > strlen(text));
	assert_memory_equal(out.data, text, strlen(text));
	uz_strbuf_free(&out);
}

static void test_as_the_kernel_formats(void **state)
{
	struct fixture *f = *state;
	struct uz_device_stat *s = &f->dev.stat;
	char text[256];
	glob_t found;
	const char *dir;

	if (glob("/sys/block/zram[0-9]*", 0, NULL, &found)) {
		missing("zram", "no zram in this kernel");
		return;
	}
	dir = found.gl_pathv[0];
	if (kernel_says(dir, "mm_stat", text, sizeof(text))) {
		assert_int_equal(sscanf(text,
					"%" SCNu64 "%" SCNu64 "%" SCNu64
					"%" SCNu64 "%" SCNu64 "%" SCNu64
					"%" SCNu64 "%" SCNu64 "%" SCNu64,
					&s->orig_data_size, &s->compr_data_size,
					&s->mem_used_total, &s->mem_limit,
					&s->mem_used_max, &s->same_pages,
					&s->pages_compacted, &s->huge_pages,
					&s->huge_pages_since),
				 9);
		assert_shows(f, "mm_stat", text);
	}
	if (kernel_says(dir, "io_stat", text, sizeof(text))) {
		assert_int_equal(sscanf(text,
					"%" SCNu64 "%" SCNu64 "%*u%" SCNu64,
					&s->failed_reads, &s->failed_writes,
					&s->notify_free),
				 3);
		assert_shows(f, "io_stat", text);
	}
	if (kernel_says(dir, "debug_stat", text, sizeof(text))) {
		assert_int_equal(
			sscanf(text, "version: 1 0 %" SCNu64, &s->miss_free),
			1);
		assert_begins(f, "debug_stat", text);
	}
	if (kernel_says(dir, "comp_algorithm", text, sizeof(text)))
		assert_string_equal(text + strlen(text) - 2, " \n");
	globfree(&found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		fixture_test(test_mm_stat),
		fixture_test(test_io_stat_and_debug_stat),
		fixture_test(test_latency),
		fixture_test(test_stat_names_every_number),
		fixture_test(test_mem_used_max),
		fixture_test(test_as_the_kernel_formats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
