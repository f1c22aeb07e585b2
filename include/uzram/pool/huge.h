/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_POOL_HUGE_H
#define UZRAM_POOL_HUGE_H

#include <uzram/types.h>

/**
 * DOC: huge pages
 *
 * A part of uzram/pool.h: what is full and at rest can be reached with fewer
 * look-ups of translations.
 */

struct uz_pool;

/**
 * uz_pool_collapse() - make one huge page of memory that is at rest
 * @pool:    the pool
 * @wait_ms: set with -EAGAIN: milliseconds until it is worth another call
 *
 * Of a piece of arena that is populated wholly and to which no page was added
 * for about a second; what was a huge page before and is not any more, because
 * memory of it was given back, waits for longer each time. Bytes, refs and
 * used memory stay what they are. Everything else goes on meanwhile.
 *
 * Context: any thread, one at a time (a second one waits for a call's end);
 *          takes class locks for moments; waits for a compaction's end, which
 *          in turn waits for a call's end; sleeps, for some milliseconds.
 * Return:  1 if it made one: call it again. 0: nothing is left to be done;
 *          uz_pool_on_whole() says when. -EAGAIN: something is left for later.
 *          -ENOMEM: the system has no huge page now. -ENOTSUP: never in this
 *          process, or not with this pool, because it has a reserve: to take a
 *          huge page apart may need memory.
 */
uz_must_check int uz_pool_collapse(struct uz_pool *pool, uint32_t *wait_ms);

/**
 * uz_pool_on_whole() - be told when there may be something to collapse
 * @pool: the pool, not in use by another thread yet
 * @fn:   called by whoever populates the last page of a piece, or a piece of a
 *        piece, the pool's own thread included, until the pool is destroyed;
 *        under no lock that a load waits for, and must be short. NULL: nobody
 * @arg:  handed to @fn
 *
 * Nobody is told of what was adopted.
 *
 * Context: before the pool is used by several threads.
 */
void uz_pool_on_whole(struct uz_pool *pool, void (*fn)(void *arg), void *arg);

#endif
