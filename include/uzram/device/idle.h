/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_DEVICE_IDLE_H
#define UZRAM_DEVICE_IDLE_H

#include <uzram/types.h>
#include <uzram/util/err.h>

/**
 * DOC: pages that nobody has used for a while
 *
 * A part of uzram/device.h. A page is marked idle when somebody says so, and is
 * idle no more once it is read or written. When each page was used last is
 * known only if that is turned on: it takes four bytes a page, in memory that
 * is populated where pages are used, and reading a clock with each page. It is
 * volatile: whoever adopts the device begins anew.
 */

struct uz_device;

/**
 * uz_device_track_age() - note from now on when each page is used
 * @dev: the device
 *
 * Pages count as used now. It stays on until the device is closed, also when
 * it is reset.
 *
 * Context: any thread, also while requests are under way; takes the
 *          configuration lock.
 * Return:  0 or -ENOMEM; then it is not on.
 */
uz_must_check int uz_device_track_age(struct uz_device *dev);

/* For uz_device_mark_idle(): every page, whenever it was used. */
#define UZ_IDLE_ALL UINT64_MAX

/**
 * uz_device_mark_idle() - mark pages as idle
 * @dev: the device
 * @age: seconds: pages that were not used for longer become idle, all others
 *       are not any more. Turns the tracking of ages on. Or UZ_IDLE_ALL
 * @marked: set to how many pages have become idle by that; may be NULL
 * @err: the reason; may be NULL
 *
 * Same-filled pages are never idle: they take no memory. A page that is used
 * at the same moment may end up either way.
 *
 * Context: any thread that is not inside a request; takes the configuration
 *          lock for some thousand pages at a time.
 * Return:  0; -EINVAL the device has no size; -ENOMEM.
 */
uz_must_check int uz_device_mark_idle(struct uz_device *dev, uint64_t age,
				      uint64_t *marked, struct uz_err *err);

/**
 * struct uz_page_state - what is known of one stored page
 * @index:          which one
 * @used:           seconds since the machine started, of the last use; 0
 *                  while ages are not tracked
 * @same:           it repeats one word
 * @backed:         it was written back
 * @huge:           it is stored as it is
 * @idle:           it is marked as idle
 * @recompressed:   it is stored by a secondary codec
 * @incompressible: no secondary codec makes it smaller
 */
struct uz_page_state {
	uint64_t index;
	uint32_t used;
	bool same;
	bool backed;
	bool huge;
	bool idle;
	bool recompressed;
	bool incompressible;
};

/**
 * uz_device_page_states() - look at stored pages, in order
 * @dev:    the device
 * @index:  page to begin at; moved on to the one after the last that was
 *          looked at
 * @states: filled
 * @max:    most pages
 *
 * Context: any thread; takes the configuration lock for some thousand pages at
 *          a time.
 * Return:  how many were filled in; less than @max at the end of the device,
 *          0 also when it has no size.
 */
unsigned int uz_device_page_states(struct uz_device *dev, uint64_t *index,
				   struct uz_page_state *states,
				   unsigned int max);

#endif
