// SPDX-License-Identifier: MIT
/*
 * Memory populated ahead, for a process that must not wait for memory: code
 * and data of the program, what malloc() gave out, stacks, and whatever else
 * its owner hands in.
 *
 * Populating does not lock: mlockall(2) sees to that, if it was allowed.
 * Private memory that was shared with a parent process is copied now.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <uzram/util/ahead.h>
#include <uzram/util/log.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22 /* Linux 5.14 */
#define MADV_POPULATE_WRITE 23
#endif

/* Of a stack: codecs take a few KiB, messages to the log some more. */
#define STACK_BYTES (128 * 1024)

/* Written before there are threads, so no order is needed. */
static bool enabled;
static int min_free = -1;
static uint64_t out_of_reach;

/*
 * Bytes that count as free and that nobody gets: of its lower zones the kernel
 * keeps so much for those who need that very zone (vm.lowmem_reserve_ratio).
 */
static uint64_t kept_of_zones(void)
{
	uint64_t managed = 0, kept = 0;
	FILE *f = fopen("/proc/zoneinfo", "re");
	char line[256], *p;

	while (f && fgets(line, sizeof(line), f)) {
		uint64_t most = 0;

		if (sscanf(line, " managed %" SCNu64, &managed) == 1 ||
		    !strstr(line, "protection: ("))
			continue;
		/* The last number is for those who would take any zone. */
		for (p = strchr(line, '('); p; p = strchr(p + 1, ','))
			most = strtoull(p + 1, NULL, 10);
		kept += most < managed ? most : managed;
	}
	if (f)
		fclose(f);
	return kept * UZ_PAGE_SIZE;
}

void uz_ahead_enable(void)
{
	/*
	 * One heap, and nothing mapped or given back: it is one mapping, and
	 * what was populated once stays so when it is freed and used again.
	 */
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_MAX, 0);
	mallopt(M_TRIM_THRESHOLD, -1);
	if (min_free < 0) {
		min_free = open("/proc/sys/vm/min_free_kbytes",
				O_RDONLY | O_CLOEXEC);
		out_of_reach = kept_of_zones();
	}
	enabled = true;
}

/* What the kernel lets others have no page of, bytes; 0: it does not tell. */
static uint64_t kept_by_kernel(void)
{
	char text[24];
	ssize_t n = pread(min_free, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return 0;
	text[n] = '\0';
	return strtoull(text, NULL, 10) * 1024;
}

bool uz_ahead_plenty(size_t size)
{
	struct sysinfo info;
	uint64_t keeps;

	if (!enabled || sysinfo(&info))
		return true;
	keeps = kept_by_kernel();
	return (uint64_t)info.freeram * info.mem_unit >
	       out_of_reach + keeps + keeps / 4 + size;
}

bool uz_ahead(void)
{
	return enabled;
}

/* Before Linux 5.14: a look at each page, or a write that changes nothing. */
static void touch(char *at, size_t size, bool write)
{
	size_t i;

	for (i = 0; i < size; i += UZ_PAGE_SIZE) {
		_Atomic unsigned char *byte = (_Atomic unsigned char *)at + i;

		/* relaxed: nobody learns anything from it. */
		if (write)
			atomic_fetch_or_explicit(byte, 0, memory_order_relaxed);
		else
			atomic_load_explicit(byte, memory_order_relaxed);
	}
}

static void populate(uintptr_t from, uintptr_t to, bool write)
{
	static _Atomic bool told;
	int how = write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;

	from &= ~(uintptr_t)(UZ_PAGE_SIZE - 1);
	to = (to + UZ_PAGE_SIZE - 1) & ~(uintptr_t)(UZ_PAGE_SIZE - 1);
	if (!madvise((void *)from, to - from, how))
		return;
	if (errno == EINVAL)
		touch((char *)from, to - from, write);
	else if (!atomic_exchange(&told, true))
		uz_log(UZ_LOG_WARN,
		       "swap: not all memory could be populated ahead (%s): "
		       "requests may have to wait for it",
		       strerror(errno));
}

void uz_ahead_memory(void *mem, size_t size)
{
	if (enabled && size)
		populate((uintptr_t)mem, (uintptr_t)mem + size, true);
}

/* Not inlined: it is the frame that matters. */
static void __attribute__((noinline)) touch_frame(void)
{
	unsigned char frame[STACK_BYTES];

	touch((char *)frame, sizeof(frame), true);
	/* The frame is of use to somebody, as far as the compiler can see. */
	__asm__ volatile("" : : "r"(frame) : "memory");
}

void uz_ahead_stack(void)
{
	if (enabled)
		touch_frame();
}

/*
 * struct map - a line of /proc/self/maps
 * @from, @to: addresses
 * @perms:     "rw-p"
 * @path:      of a file, a word in brackets, or ""
 */
struct map {
	uintptr_t from;
	uintptr_t to;
	char perms[5];
	char path[16]; /* as much as tells the kinds apart */
};

static bool parse(const char *line, struct map *map)
{
	map->path[0] = '\0';
	return sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %*s %*s %*s %15s",
		      &map->from, &map->to, map->perms, map->path) >= 3;
}

void uz_ahead_program(void)
{
	uintptr_t data_end = 0; /* of a file's data: zeroed data follow */
	struct map map;
	char line[512];
	FILE *maps;

	if (!enabled)
		return;
	maps = fopen("/proc/self/maps", "re");
	if (!maps)
		return;
	while (fgets(line, sizeof(line), maps)) {
		bool file, write;

		/*
		 * The rest of a long line is no line of its own, and skipped.
		 */
		if (!parse(line, &map) || map.perms[0] != 'r' ||
		    map.perms[3] != 'p')
			continue;
		write = map.perms[1] == 'w';
		file = map.path[0] == '/';
		if (file || !strcmp(map.path, "[heap]") ||
		    (!map.path[0] && write && map.from == data_end))
			populate(map.from, map.to, write);
		data_end = file ? map.to : 0;
	}
	fclose(maps);
}
