// SPDX-License-Identifier: MIT
/*
 * How many CPUs there are for this process: by affinity, and by the time that
 * cgroups of both kinds allow.
 */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <uzram/util/cpus.h>

#include "root_fixture.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		root_test(test_affinity),
		root_test(test_v2),
		root_test(test_v1),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
