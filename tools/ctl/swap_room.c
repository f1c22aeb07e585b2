// SPDX-License-Identifier: MIT
/*
 * Whether what swapoff brings back to memory fits there. Linux discards nothing
 * of what it swaps to once swapoff has begun, so the device holds until its end
 * all that it held at its beginning; without room, swapoff gets on by a page
 * now and then, or is killed for memory.
 *
 * An estimate, for a remark and not for a refusal: whoever calls swapoff may be
 * about to end what takes the memory.
 */
#include <stdio.h>
#include <string.h>

#include "ctl.h"

/*
 * struct memory - what the system has, in KiB
 * @available: without swapping anything out
 * @cached:    in memory already, though its place on a swap device is kept
 * @free:      of all swap devices
 */
struct memory {
	long long available;
	long long cached;
	long long free;
};

static bool read_memory(struct memory *m)
{
	FILE *f = fopen("/proc/meminfo", "re");
	char line[256];
	int found = 0;

	if (!f)
		return false;
	while (fgets(line, sizeof(line), f)) {
		found += sscanf(line, "MemAvailable: %lld", &m->available) == 1;
		found += sscanf(line, "SwapCached: %lld", &m->cached) == 1;
		found += sscanf(line, "SwapFree: %lld", &m->free) == 1;
	}
	fclose(f);
	return found == 3;
}

/* What is used and what is free of the device @path, in KiB. */
static bool read_swap(const char *path, long long *used, long long *free)
{
	FILE *f = fopen("/proc/swaps", "re");
	char line[CTL_PATH_MAX + 128];
	size_t len = strlen(path);
	bool found = false;
	long long size;

	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f))
		found = !strncmp(line, path, len) && line[len] == ' ' &&
			sscanf(line + len, " %*s %lld %lld", &size, used) == 2;
	fclose(f);
	if (found)
		*free = size - *used;
	return found;
}

void ctl_note_swap_room(const char *path)
{
	long long used, free, back, others;
	struct memory m;

	if (!read_memory(&m) || !read_swap(path, &used, &free))
		return;
	back = used - m.cached;
	/* To other devices more can be written out meanwhile. */
	others = m.free > free ? m.free - free : 0;
	if (back <= m.available + others)
		return;
	ctl_note("%s: %lld MiB are to come back to memory, where %lld MiB are "
		 "available, and nothing of the device is freed before the "
		 "end: swapoff may take very long, or be killed",
		 path, back >> 10, m.available >> 10);
}
