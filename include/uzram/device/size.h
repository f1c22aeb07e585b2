/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_DEVICE_SIZE_H
#define UZRAM_DEVICE_SIZE_H

#include <uzram/types.h>
#include <uzram/util/err.h>

/**
 * DOC: the disksize
 *
 * What the device pretends to hold. It is given once, which makes the device
 * ready; then it can grow until the device is reset.
 */

struct uz_device;

/**
 * uz_device_set_disksize() - give the device its size and make it ready
 * @dev:  the device
 * @size: bytes, rounded up to a page; 1 ... UZ_DISKSIZE_MAX
 * @err:  the reason; may be NULL
 *
 * Context: any thread; takes the configuration lock.
 * Return:  0; -EBUSY it has a size already; -EINVAL 0 or out of range;
 *          -ENOMEM. After a failure the device has no size.
 */
uz_must_check int uz_device_set_disksize(struct uz_device *dev, uint64_t size,
					 struct uz_err *err);

/**
 * uz_device_grow() - a larger size, while the device is in use
 * @dev:  the device
 * @size: bytes, rounded up to a page; at most UZ_DISKSIZE_MAX
 * @err:  the reason; may be NULL
 *
 * Pages beyond the old end are empty. Requests go on, and may use them as soon
 * as this has returned; one that came earlier is refused as before. A process
 * that dies meanwhile leaves the old size or the new one. Address space for it
 * was reserved when the device got its size, or was adopted: for 16 times the
 * size that it had then, and 64 GiB at least.
 *
 * Context: any thread that is not inside a request; takes the configuration
 *          lock.
 * Return:  0, also when it has that size already; -EBUSY it is larger; -EINVAL
 *          out of range, or it has no size; -ENOMEM no address space, or no
 *          memory for it; other -errno. After a failure it has the size that it
 *          had.
 */
uz_must_check int uz_device_grow(struct uz_device *dev, uint64_t size,
				 struct uz_err *err);

/**
 * uz_device_disksize() - its size
 * @dev: the device
 *
 * Context: any thread.
 * Return:  bytes; 0 while it has none.
 */
uint64_t uz_device_disksize(const struct uz_device *dev);

#endif
