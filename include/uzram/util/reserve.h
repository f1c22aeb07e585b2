/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_UTIL_RESERVE_H
#define UZRAM_UTIL_RESERVE_H

#include <uzram/types.h>

/**
 * DOC: ordinary memory that can grow and does not move
 *
 * Address space is reserved for as much as there may ever be, so threads can
 * use what is there while more of it is made usable. Pages that were never
 * written are zero and cost nothing.
 */

/**
 * struct uz_reserve - a piece of such memory
 * @base: where it lies, NULL when there is none
 * @size: bytes that can be used
 * @room: bytes of address space; @size can become that
 */
struct uz_reserve {
	void *base;
	size_t size;
	size_t room;
};

/**
 * uz_reserve_map() - some memory, and address space behind it
 * @r:    filled on success, untouched on failure
 * @size: bytes that can be used at once, above 0; rounded up to a page
 * @room: bytes that it may grow to; where the system has not that much address
 *        space, it cannot grow
 *
 * Context: any thread.
 * Return:  0 or -ENOMEM.
 */
uz_must_check int uz_reserve_map(struct uz_reserve *r, size_t size,
				 size_t room);

/**
 * uz_reserve_grow() - have more of it
 * @r:    mapped
 * @size: bytes that can be used from now on; rounded up to a page. Less than
 *        there are already changes nothing
 *
 * Context: one thread at a time; others may use what was there before.
 * Return:  0; -ENOMEM beyond @room, or refused. After a failure nothing has
 *          changed.
 */
uz_must_check int uz_reserve_grow(struct uz_reserve *r, size_t size);

/**
 * uz_reserve_unmap() - give all of it back
 * @r: mapped, or all zeroes; all zeroes afterwards
 *
 * Context: nobody uses it any more.
 */
void uz_reserve_unmap(struct uz_reserve *r);

#endif
