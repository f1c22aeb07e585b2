// SPDX-License-Identifier: MIT
/*
 * How much of the memory that was asked for is really there. For accounting:
 * large buffers are populated as they are used, so their size says little.
 */
#include <sys/mman.h>

#include <uzram/util/resident.h>

#define AT_ONCE 512 /* pages */

/* Of @size bytes from @from on, those that lie in the page at @page. */
static uint64_t overlap(uintptr_t page, uintptr_t from, size_t size)
{
	uintptr_t begin = page > from ? page : from;
	uintptr_t end = page + UZ_PAGE_SIZE;

	if (end > from + size)
		end = from + size;
	return end - begin;
}

uint64_t uz_resident(const void *mem, size_t size)
{
	const uintptr_t from = (uintptr_t)mem;
	uintptr_t at = from & ~(uintptr_t)(UZ_PAGE_SIZE - 1);
	unsigned char there[AT_ONCE];
	uint64_t bytes = 0;
	size_t i, nr;

	for (; at < from + size; at += nr * UZ_PAGE_SIZE) {
		nr = (from + size - at + UZ_PAGE_SIZE - 1) / UZ_PAGE_SIZE;
		if (nr > AT_ONCE)
			nr = AT_ONCE;
		if (mincore((void *)at, nr * UZ_PAGE_SIZE, there))
			continue;
		for (i = 0; i < nr; i++)
			if (there[i] & 1)
				bytes += overlap(at + i * UZ_PAGE_SIZE, from,
						 size);
	}
	return bytes;
}
