/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_WORKER_H
#define UZRAM_WORKER_H

#include <uzram/device.h>
#include <uzram/types.h>

/**
 * DOC: background work
 *
 * Policy: what the device can do to itself (compact, for now), this layer
 * decides when to do. It works in small batches, each of which takes the
 * device's configuration lock, and lets go of it in between, so that whoever
 * wants to reset the device or to read its statistics waits for one batch.
 */

struct uz_compactor;

/**
 * uz_compactor_start() - compact a device whenever it is worth while
 * @compactor: set on success, untouched on failure
 * @dev:       borrowed until uz_compactor_stop(); has no size yet, or nobody
 *             uses it yet
 *
 * One thread, which sleeps without any wake-up until the pool gives notice
 * that frees have left one of its size classes fragmented. It then works until
 * no class is any more: at full speed while the device is idle, else for a
 * tenth of the time. What is mapped or locked by others is tried again a few
 * times, less and less often, and otherwise left until the next notice.
 *
 * Context: any thread; the new thread takes no signals.
 * Return:  0 or -errno; after a failure the device is as good without it, but
 *          is compacted only when asked.
 */
uz_must_check int uz_compactor_start(struct uz_compactor **compactor,
				     struct uz_device *dev);

/**
 * uz_compactor_stop() - end the thread
 * @compactor: from uz_compactor_start(), or NULL
 *
 * Context: nobody uses the device any more, and it was not closed yet; waits
 *          for the end of a batch.
 */
void uz_compactor_stop(struct uz_compactor *compactor);

/**
 * uz_compact_all() - compact a device until nothing more can be gained
 * @dev:  the device; without a size nothing is done
 * @done: added to
 *
 * What is mapped or locked by others is passed over, not waited for. Ends
 * early when the device loses its size meanwhile, and when as many pages as it
 * holds now were moved: requests may undo what is gained.
 *
 * Context: any thread that holds no lock above the configuration's, any
 *          number of them; sleeps.
 */
void uz_compact_all(struct uz_device *dev, struct uz_pool_compaction *done);

#endif
