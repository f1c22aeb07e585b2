// SPDX-License-Identifier: MIT
/*
 * The CPUs that this process may really use. A container sees all CPUs of its
 * host, but is stopped when it has used its share of their time; threads
 * beyond that share only make the stops come sooner.
 */
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <uzram/util/cgroup.h>
#include <uzram/util/cpus.h>

/* More CPUs than a kernel can be built for. */
#define CPUS_MAX 16384

static unsigned int cpus_affinity(void)
{
	size_t size = CPU_ALLOC_SIZE(CPUS_MAX);
	cpu_set_t *set = CPU_ALLOC(CPUS_MAX);
	int n = 0;

	if (set && !sched_getaffinity(0, size, set))
		n = CPU_COUNT_S(size, set);
	CPU_FREE(set);
	if (n < 1)
		n = (int)sysconf(_SC_NPROCESSORS_ONLN);
	return n < 1 ? 1 : (unsigned int)n;
}

/* The first line of @dir's file @name: false when there is none. */
static bool read_line(const char *dir, const char *name, char *text, int size)
{
	char path[PATH_MAX];
	bool ok;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	if (!f)
		return false;
	ok = fgets(text, size, f);
	fclose(f);
	return ok;
}

/*
 * In us: how much of each period may be used. Without a limit v2 says "max"
 * and v1 -1; both are no numbers above 0.
 */
static void lower_by_group(const char *dir, bool v2, void *arg)
{
	long long quota, period, n;
	unsigned int *cpus = arg;
	char text[64], more[64];

	if (v2) {
		if (!read_line(dir, "cpu.max", text, sizeof(text)) ||
		    sscanf(text, "%lld %lld", &quota, &period) != 2)
			return;
	} else {
		if (!read_line(dir, "cpu.cfs_quota_us", text, sizeof(text)) ||
		    !read_line(dir, "cpu.cfs_period_us", more, sizeof(more)) ||
		    sscanf(text, "%lld", &quota) != 1 ||
		    sscanf(more, "%lld", &period) != 1)
			return;
	}
	if (quota <= 0 || period <= 0)
		return;
	n = (quota - 1) / period + 1;
	if (n < *cpus)
		*cpus = (unsigned int)n;
}

unsigned int uz_cpus_at(const char *root)
{
	unsigned int cpus = cpus_affinity();

	uz_cgroup_walk(root, "cpu", lower_by_group, &cpus);
	return cpus;
}

unsigned int uz_cpus(void)
{
	return uz_cpus_at("");
}
