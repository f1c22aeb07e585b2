/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_DEVICE_HUGE_H
#define UZRAM_DEVICE_HUGE_H

#include <uzram/types.h>

/**
 * DOC: huge pages
 *
 * A part of uzram/device.h: what is full and at rest can be reached with fewer
 * look-ups of translations.
 */

struct uz_device;

/**
 * uz_device_collapse() - make one huge page of memory that is at rest
 * @dev:     the device
 * @wait_ms: set with -EAGAIN: milliseconds until it is worth another call
 *
 * Of the table or of the pool: a page at random then needs fewer look-ups of
 * translations. What the device takes stays what it is, and reads and writes go
 * on meanwhile.
 *
 * Context: any thread that is not inside a request; takes the configuration
 *          lock for the whole call, for some milliseconds.
 * Return:  1 if it made one: call it again. 0: nothing is left to be done, or
 *          the device has no size. -EAGAIN: something is left for later.
 *          -ENOMEM: the system has no huge page now. -ENOTSUP: never in this
 *          process, or not with a device that has a reserve.
 */
uz_must_check int uz_device_collapse(struct uz_device *dev, uint32_t *wait_ms);

/**
 * uz_device_on_whole() - be told when there may be something to collapse
 * @dev: the device, not shared with other threads yet
 * @fn:  called in the middle of requests, with any lock but a leaf; NULL:
 *       nobody is told
 * @arg: handed to @fn
 *
 * Holds for every size that the device gets, until it is closed.
 *
 * Context: before the device is used by several threads; takes the
 *          configuration lock.
 */
void uz_device_on_whole(struct uz_device *dev, void (*fn)(void *arg),
			void *arg);

#endif
