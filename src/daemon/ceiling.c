// SPDX-License-Identifier: MIT
/*
 * A pool that outgrows the cgroup's limit gets the daemon killed, and every
 * page with it. A memory limit below that turns the same event into ENOSPC for
 * whoever writes, and keeps the data.
 */
#include <unistd.h>

#include <uzram/util/size.h>

#include "daemon_priv.h"

/* Beside the arena: table and descriptors (a share), code and stacks. */
#define CEILING_SHARE 16
#define CEILING_FIXED (UINT64_C(16) << 20)

uint64_t uz__ceiling(void)
{
	uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) *
			   (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t ram = uz_size_ram();
	uint64_t reserve = ram / CEILING_SHARE + CEILING_FIXED;

	if (!ram || ram >= machine)
		return 0;
	if (reserve > ram / 2)
		reserve = ram / 2;
	return (ram - reserve) & ~(uint64_t)(UZ_PAGE_SIZE - 1);
}
