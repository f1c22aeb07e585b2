/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_DEVICE_DAMAGE_H
#define UZRAM_DEVICE_DAMAGE_H

#include <uzram/types.h>

/**
 * DOC: damage
 *
 * What a device does about memory that forgets: each object has a checksum and
 * each slot a check bit, and a page that is not what was stored reads as -EIO.
 * It stays so until it is written as a whole, or dropped.
 */

struct uz_device;

/**
 * uz_device_on_damage() - be told of pages that are not what was stored
 * @dev: the device, not shared with other threads yet
 * @fn:  called inside requests, each time that such a page is met; must be
 *       short. @why says what is wrong and stays valid. NULL: nobody
 * @arg: handed to @fn
 *
 * Context: before the device is used by several threads; takes the
 *          configuration lock.
 */
void uz_device_on_damage(struct uz_device *dev,
			 void (*fn)(void *arg, uint64_t index, const char *why),
			 void *arg);

#endif
