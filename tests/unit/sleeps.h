/* SPDX-License-Identifier: MIT */
#ifndef SLEEPS_H
#define SLEEPS_H

/*
 * What the kernel tells of this process's threads. Include after <cmocka.h>.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/*
 * How often those threads of this process have gone to sleep whose names begin
 * so, and how many there are.
 */
static inline unsigned long sleeps(const char *name, unsigned int *threads)
{
	DIR *dir = opendir("/proc/self/task");
	char path[300], line[128];
	unsigned long sum = 0, n;
	struct dirent *e;
	bool ours;
	FILE *f;

	*threads = 0;
	assert_non_null(dir);
	while ((e = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/self/task/%s/status",
			 e->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		ours = fgets(line, sizeof(line), f) && strstr(line, name);
		*threads += ours;
		while (ours && fgets(line, sizeof(line), f))
			if (sscanf(line, "voluntary_ctxt_switches: %lu", &n) ==
			    1)
				sum += n;
		fclose(f);
	}
	closedir(dir);
	return sum;
}

#endif
