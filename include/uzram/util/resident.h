/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_UTIL_RESIDENT_H
#define UZRAM_UTIL_RESIDENT_H

#include <uzram/types.h>

/**
 * uz_resident() - how much of a piece of memory is there
 * @mem:  its first byte; need not begin a page
 * @size: bytes, any number
 *
 * Memory that was allocated and never touched takes nothing. A page that is
 * only in part within the piece counts for that part.
 *
 * Context: any thread; looks at each page in the kernel, about 10 us for 1 MiB.
 * Return:  bytes; 0 for what is not mapped.
 */
uint64_t uz_resident(const void *mem, size_t size);

#endif
