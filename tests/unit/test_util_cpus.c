// SPDX-License-Identifier: MIT
/*
 * How many CPUs there are for this process: by affinity, and by the time that
 * cgroups of both kinds allow.
 */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include <uzram/util/cpus.h>

static void put_file(const char *root, const char *name, const char *text)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	for (char *p = path + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		if (mkdir(path, 0700) && errno != EEXIST)
			fail_msg("%s: %s", path, strerror(errno));
		*p = '/';
	}
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

/* @allowed by the cgroups, but never more than there are. */
static void cpus_are(const char *root, unsigned int allowed)
{
	cpu_set_t set;
	unsigned int there;

	assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
	there = (unsigned int)CPU_COUNT(&set);
	assert_int_equal(uz_cpus_at(root), allowed < there ? allowed : there);
}

static void test_affinity(void **state)
{
	const char *root = *state;
	cpu_set_t before, one;
	int cpu = 0;

	cpus_are(root, UINT32_MAX);
	assert_in_range(uz_cpus(), 1, uz_cpus_at(root));
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	while (!CPU_ISSET(cpu, &before))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	assert_int_equal(uz_cpus_at(root), 1);
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
}

static void test_v2(void **state)
{
	static const struct {
		const char *text;
		unsigned int cpus;
	} cases[] = {
		{ "max 100000\n", UINT32_MAX },
		{ "50000 100000\n", 1 },
		{ "100000 100000\n", 1 },
		{ "100001 100000\n", 2 },
		{ "6400000 100000\n", 64 },
		{ "9223372036854775807 1\n", UINT32_MAX },
		{ "1000 0\n", UINT32_MAX },
		{ "-1000 100000\n", UINT32_MAX },
		{ "0 100000\n", UINT32_MAX },
		{ "50000\n", UINT32_MAX },
		{ "what\n", UINT32_MAX },
		{ "", UINT32_MAX },
	};
	const char *root = *state;
	unsigned int i;

	put_file(root, "proc/self/cgroup", "0::/a/b\n");
	cpus_are(root, UINT32_MAX);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		put_file(root, "sys/fs/cgroup/a/b/cpu.max", cases[i].text);
		cpus_are(root, cases[i].cpus);
	}
	/* The least of those around it counts. */
	put_file(root, "sys/fs/cgroup/a/b/cpu.max", "6400000 100000\n");
	put_file(root, "sys/fs/cgroup/a/cpu.max", "60000 100000\n");
	cpus_are(root, 1);
}

static void test_v1(void **state)
{
	const char *root = *state;

	put_file(root, "proc/self/cgroup",
		 "3:cpuset:/z\n2:cpuacct,cpu:/x/y\n0::/\n");
	put_file(root, "sys/fs/cgroup/cpu/x/y/cpu.cfs_quota_us", "50000\n");
	cpus_are(root, UINT32_MAX); /* of which period? */
	put_file(root, "sys/fs/cgroup/cpu/x/y/cpu.cfs_period_us", "50000\n");
	cpus_are(root, 1);
	put_file(root, "sys/fs/cgroup/cpu/x/y/cpu.cfs_quota_us", "-1\n");
	cpus_are(root, UINT32_MAX);
	put_file(root, "sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "1000\n");
	put_file(root, "sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000\n");
	cpus_are(root, 1);
	put_file(root, "proc/self/cgroup", "2:cpuset:/x\n");
	cpus_are(root, UINT32_MAX);
}

static int make_root(void **state)
{
	static char root[64];

	snprintf(root, sizeof(root), "/tmp/test_util_cpus.XXXXXX");
	*state = mkdtemp(root);
	return *state ? 0 : -1;
}

static int remove_root(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r '%s'", (char *)*state);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_affinity, make_root,
						remove_root),
		cmocka_unit_test_setup_teardown(test_v2, make_root,
						remove_root),
		cmocka_unit_test_setup_teardown(test_v1, make_root,
						remove_root),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
