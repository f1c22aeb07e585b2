/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_DEVICE_ROOM_H
#define UZRAM_DEVICE_ROOM_H

#include <uzram/device/backing.h>

/**
 * DOC: room for stores at the memory limit
 *
 * A part of uzram/device.h. With a backing store the device's memory is a
 * cache in front of it: before the limit is reached, pages that were not used
 * for long are written back until there is room again, and a store that finds
 * none waits for that instead of being refused.
 *
 * The device says when there is need and writes some pages at a time; somebody
 * with a thread (uzram/worker.h) has it do so and tells it what came of it.
 *
 * Which pages are cold is found by a hand that goes around the table and marks
 * each page as idle. Use takes the mark away; a page that still has it when the
 * hand comes by again is written back. So each gets a second chance, and
 * nothing need be sorted or noted when pages are used.
 *
 * When free blocks of the store become few, pages whose blocks hold little else
 * come back to memory meanwhile, to be written together with others.
 */

struct uz_device;

/* Percent of the memory limit: from high on, until it is below low. */
#define UZ_ROOM_LOW  90
#define UZ_ROOM_HIGH 95

/**
 * uz_room_set_marks() - when writing back begins and ends
 * @dev:  the device
 * @low:  percent of the memory limit, 1 to 99
 * @high: percent of the memory limit, more than @low, at most 100; or 0, and
 *        @low is 0 too: never, and stores without room are refused at once
 *
 * They outlive the process; reset makes them UZ_ROOM_LOW and UZ_ROOM_HIGH.
 * They can be read as settings of the store (uz_device_backing_setting()).
 *
 * Context: any thread; takes the configuration lock.
 */
void uz_room_set_marks(struct uz_device *dev, unsigned int low,
		       unsigned int high);

/**
 * uz_room_on_need() - be told when there is need for room
 * @dev: the device; has no size yet, or nobody uses it
 * @fn:  called when the high mark is reached, for each store that begins to
 *       wait, and when limit, store or marks were set; may take leaf locks
 *       only, and must be short. NULL: nobody, and no store waits
 * @arg: handed to @fn
 *
 * Whoever sets limit, store or marks is kept waiting, for a second at most,
 * until uz_room_ready() was called after that.
 *
 * Context: before the device is used by several threads, and when it is not
 *          used any more; takes the configuration lock.
 */
void uz_room_on_need(struct uz_device *dev, void (*fn)(void *arg), void *arg);

/**
 * uz_room_ready() - there is all that it takes to make room
 * @dev: the device
 *
 * Context: any thread; does not wait.
 */
void uz_room_ready(struct uz_device *dev);

/**
 * struct uz_room_hand - where the hand is
 * @at:     the page that it looks at next
 * @rounds: ends of the device that it has passed since a page was written back
 * @sparse: the page that is looked at next for blocks that hold little
 *
 * All zero at first.
 */
struct uz_room_hand {
	uint64_t at;
	unsigned int rounds;
	uint64_t sparse;
};

/**
 * uz_room_make() - write some cold pages back, and move the others together
 * @wb:   the thread's context
 * @hand: moved on
 * @done: added to
 *
 * Context: as uz_writeback_some(). Takes no configuration lock: whoever has it
 *          may be waiting for a store that waits for this.
 * Return:  1: go on; 0: there is no need (any more); -ENODATA nothing is left
 *          that could be written back; or what uz_writeback_some() returns.
 */
uz_must_check int uz_room_make(struct uz_writeback *wb,
			       struct uz_room_hand *hand,
			       struct uz_writeback_done *done);

/**
 * uz_room_tell() - to the stores that wait: try again, or give up
 * @dev: the device
 * @err: 0 some memory was gained; else stores that find no memory within the
 *       next second, or until limit, store or marks are set, are refused
 *       without waiting, too
 *
 * Context: any thread; does not wait.
 */
void uz_room_tell(struct uz_device *dev, int err);

#endif
