// SPDX-License-Identifier: MIT
/*
 * The memory that this process may hope for: the machine's, lowered by the
 * limits of the cgroups that the process is in (cgroup.c). No failure is
 * reported: the machine's memory is always an answer.
 */
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include <uzram/util/cgroup.h>
#include <uzram/util/size.h>

/* The smaller of what is known and what this group says; "max" is no limit. */
static void lower_by_group(const char *dir, bool v2, void *arg)
{
	uint64_t *ram = arg;
	char path[PATH_MAX];
	char text[32];
	uint64_t limit;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir,
		 v2 ? "memory.max" : "memory.limit_in_bytes");
	f = fopen(path, "re");
	if (!f)
		return;
	if (fgets(text, sizeof(text), f) && !uz_size_memparse(text, &limit) &&
	    limit < *ram)
		*ram = limit;
	fclose(f);
}

uint64_t uz_size_ram_at(const char *root)
{
	uint64_t ram = (uint64_t)sysconf(_SC_PHYS_PAGES) *
		       (uint64_t)sysconf(_SC_PAGESIZE);

	uz_cgroup_walk(root, "memory", lower_by_group, &ram);
	return ram;
}

uint64_t uz_size_ram(void)
{
	return uz_size_ram_at("");
}
