/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_UTIL_SPARE_H
#define UZRAM_UTIL_SPARE_H

#include <uzram/types.h>

/**
 * DOC: memory that a successor finds where its predecessor left it
 *
 * Buffers are of no use to the process that follows one that died, but the
 * memory in them is: if the system swaps to us there may be no other until we
 * serve again. So they lie in a memfd that outlives the process, and the next
 * one maps the same pages. Without a memfd this is anonymous memory.
 */

/**
 * uz_spare_use() - from now on memory lies in this memfd
 * @fd: borrowed for good; -1: in none
 *
 * No other process may use it at the same time.
 *
 * Context: before the process has other threads.
 */
void uz_spare_use(int fd);

/**
 * uz_spare_map() - memory for as long as this process needs it
 * @size: bytes
 *
 * Zeroed. Populated at once where memory is populated ahead (uz_ahead()),
 * otherwise when it is touched.
 *
 * Context: any thread; sleeps.
 * Return:  the memory; NULL if there is no address space.
 */
uz_must_check void *uz_spare_map(size_t size);

/**
 * uz_spare_unmap() - give memory back to the system
 * @mem:  what uz_spare_map() gave, or one of its pages
 * @size: bytes from there to the end of what it gave
 *
 * Context: any thread; nobody uses it any more.
 */
void uz_spare_unmap(void *mem, size_t size);

#endif
