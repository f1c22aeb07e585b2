// SPDX-License-Identifier: MIT
/*
 * The memory that this process may hope for: the machine's, lowered by the
 * limits of the cgroups that the process is in.
 *
 * The path in /proc/self/cgroup is looked up below the usual mount point,
 * upwards to the mount point itself. In a container that path may be the
 * host's and lead nowhere here; the mount point then is the container's own
 * cgroup, and its limit is still found. So files that are missing are passed
 * over, and no failure is reported: the machine's memory is always an answer.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <uzram/util/cleanup.h>
#include <uzram/util/size.h>

/* The smaller of @low and what the file says; "max" is no limit. */
static uint64_t lower_by_file(uint64_t low, const char *path)
{
	char text[32];
	uint64_t limit;
	FILE *f = fopen(path, "re");

	if (!f)
		return low;
	if (fgets(text, sizeof(text), f) && !uz_size_memparse(text, &limit) &&
	    limit < low)
		low = limit;
	fclose(f);
	return low;
}

/* The limits of the cgroup @group below @mount and of all around it. */
static uint64_t lower_by_group(uint64_t low, const char *mount, char *group,
			       const char *file)
{
	char *slash = group + strlen(group);
	char path[PATH_MAX];

	do {
		*slash = '\0';
		snprintf(path, sizeof(path), "%s%s/%s", mount, group, file);
		low = lower_by_file(low, path);
		slash = strrchr(group, '/');
	} while (slash);
	return low;
}

/* Is "memory" one of the comma-separated controllers? */
static bool has_memory(char *controllers)
{
	char *one;

	while ((one = strsep(&controllers, ",")))
		if (!strcmp(one, "memory"))
			return true;
	return false;
}

/* @line is "0::/path" for v2, "N:controller,controller:/path" for v1. */
static uint64_t lower_by_line(uint64_t low, const char *root, char *line)
{
	char mount[PATH_MAX];
	char *controllers, *group;

	line[strcspn(line, "\n")] = '\0';
	strsep(&line, ":");
	controllers = strsep(&line, ":");
	group = line;
	if (!group)
		return low;
	if (!*controllers) {
		snprintf(mount, sizeof(mount), "%s/sys/fs/cgroup", root);
		return lower_by_group(low, mount, group, "memory.max");
	}
	if (!has_memory(controllers))
		return low;
	snprintf(mount, sizeof(mount), "%s/sys/fs/cgroup/memory", root);
	return lower_by_group(low, mount, group, "memory.limit_in_bytes");
}

uint64_t uz_size_ram_at(const char *root)
{
	uint64_t ram = (uint64_t)sysconf(_SC_PHYS_PAGES) *
		       (uint64_t)sysconf(_SC_PAGESIZE);
	uz_autofree char *line = NULL;
	char path[PATH_MAX];
	size_t cap = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
	f = fopen(path, "re");
	if (!f)
		return ram;
	while (getline(&line, &cap, f) > 0)
		ram = lower_by_line(ram, root, line);
	fclose(f);
	return ram;
}

uint64_t uz_size_ram(void)
{
	return uz_size_ram_at("");
}
