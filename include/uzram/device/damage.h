/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_DEVICE_DAMAGE_H
#define UZRAM_DEVICE_DAMAGE_H

#include <uzram/table.h>
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

/**
 * struct uz_scrub - what was seen of a device
 * @next:   page to be looked at next
 * @pages:  stored pages that were looked at
 * @errors: of these, damaged ones
 * @bad:    the first of these, if there are any
 * @dicts:  of each codec: 0 not looked at yet, 1 its dictionary is what it was,
 *          or it has none, 2 it is damaged
 */
struct uz_scrub {
	uint64_t next;
	uint64_t pages;
	uint64_t errors;
	uint64_t bad;
	unsigned char dicts[UZ_SLOT_CODECS];
};

struct uz_io;

/**
 * uz_device_scrub() - see whether some stored pages are what was stored
 * @io:     this thread's context
 * @budget: most stored pages to look at in this call; keep it small, a reset
 *          waits for its end
 * @scrub:  goes on from its @next, and is added to; all zero at first
 *
 * Slots and checksums are looked at, and dictionaries that pages need; nothing
 * is decoded. What is damaged is counted and told of as if it had been read.
 *
 * Context: as uz_device_submit().
 * Return:  true when there is more; false at the end, or without a size.
 */
bool uz_device_scrub(struct uz_io *io, uint64_t budget, struct uz_scrub *scrub);

#endif
