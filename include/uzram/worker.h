/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_WORKER_H
#define UZRAM_WORKER_H

#include <uzram/device.h>
#include <uzram/types.h>

/**
 * DOC: background work
 *
 * Policy: what the device can do to itself (compact, recompress, write back),
 * this layer decides when to do. It works in small batches, each of which takes
 * the device's configuration lock, and lets go of it in between, so that
 * whoever wants to reset the device or to read its statistics waits for one
 * batch.
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

/* ---- huge pages ---- */

struct uz_collapser;

/**
 * uz_collapser_start() - make huge pages of a device's memory at rest
 * @collapser: set on success, untouched on failure
 * @dev:       borrowed until uz_collapser_stop(); has no size yet, or nobody
 *             uses it yet; knows it until it is closed
 *
 * One thread, which sleeps without any wake-up until memory was populated, and
 * as long as nothing else is left to be done. It works at full speed while the
 * device is idle, else for a tenth of the time. Where the system has no huge
 * pages it ends.
 *
 * Context: any thread; the new thread takes no signals.
 * Return:  0 or -errno; after a failure the device is as good without it, only
 *          slower at random.
 */
uz_must_check int uz_collapser_start(struct uz_collapser **collapser,
				     struct uz_device *dev);

/**
 * uz_collapser_stop() - end the thread
 * @collapser: from uz_collapser_start(), or NULL
 *
 * The device may go on giving it notice, as its pool's own thread does until
 * it is closed: uz_collapser_free() comes after that.
 *
 * Context: nobody uses the device any more, and it was not closed yet; waits
 *          for the end of one huge page.
 */
void uz_collapser_stop(struct uz_collapser *collapser);

/**
 * uz_collapser_free() - give up what is left of it
 * @collapser: stopped; or NULL
 *
 * Context: the device was closed.
 */
void uz_collapser_free(struct uz_collapser *collapser);

/* ---- recompression ---- */

struct uz_recompressor;

/**
 * struct uz_recompress_order - what is to be recompressed
 * @idle:      only pages that are marked as idle
 * @huge:      only pages that are stored as they are
 * @threshold: only pages that take so many bytes or more
 * @max_pages: most pages to try, the largest first; UINT64_MAX: all
 * @priority:  by the codec of this priority; 0: by each in order
 * @share:     most percent of one CPU to take; 0: as pace.c allows
 * @here:      in the caller's thread, which is one for work in the background
 */
struct uz_recompress_order {
	bool idle;
	bool huge;
	uint32_t threshold;
	uint64_t max_pages;
	unsigned int priority;
	unsigned int share;
	bool here;
};

/**
 * uz_recompressor_create() - what it takes to recompress a device
 * @recompressor: set on success, untouched on failure
 * @dev:          borrowed
 *
 * Context: any thread.
 * Return:  0 or -ENOMEM.
 */
uz_must_check int uz_recompressor_create(struct uz_recompressor **recompressor,
					 struct uz_device *dev);

/**
 * uz_recompressor_destroy() - free it
 * @recompressor: from uz_recompressor_create(), or NULL
 *
 * Context: nobody is inside uz_recompressor_run().
 */
void uz_recompressor_destroy(struct uz_recompressor *recompressor);

/**
 * uz_recompressor_run() - recompress pages, then compact
 * @recompressor: one run at a time
 * @order:        which pages
 * @id:           by which it can be interrupted; 0 for none
 * @err:          the reason; may be NULL
 *
 * Goes at full speed while the device is idle, else for a tenth of the time;
 * reads, writes and statistics go on meanwhile. What was done up to a failure
 * stays done.
 *
 * Context: any thread that holds no lock and is not inside a request; sleeps
 *          until all is done.
 * Return:  0; -EBUSY another one is under way; -EINTR interrupted; -EINVAL no
 *          size, no such codec, or the device was reset; -EIO some pages could
 *          not be read, all others were done; -ENOSPC; -ENOMEM.
 */
uz_must_check int uz_recompressor_run(struct uz_recompressor *recompressor,
				      const struct uz_recompress_order *order,
				      uint64_t id, struct uz_err *err);

/**
 * uz_recompressor_busy() - would a run be refused now?
 * @recompressor: the recompressor
 * @err:          the reason; may be NULL
 *
 * Context: any thread.
 * Return:  0, or -EBUSY as uz_recompressor_run().
 */
uz_must_check int uz_recompressor_busy(struct uz_recompressor *recompressor,
				       struct uz_err *err);

/**
 * uz_recompressor_interrupt() - have a run end soon
 * @recompressor: the recompressor
 * @id:           of the run, which may also begin later, if that is soon; 0:
 *                whichever is under way
 *
 * Context: any thread, at any time; does not wait.
 */
void uz_recompressor_interrupt(struct uz_recompressor *recompressor,
			       uint64_t id);

/**
 * uz_recompressor_progress() - how far the run is, or the last one came
 * @recompressor: the recompressor
 * @total:        pages that it was about when it began
 * @done:         what was done up to now
 *
 * Context: any thread.
 * Return:  true while one is under way.
 */
bool uz_recompressor_progress(struct uz_recompressor *recompressor,
			      uint64_t *total, struct uz_recompression *done);

/* ---- writing back ---- */

struct uz_backer;

/**
 * struct uz_backer_range - pages in a row of which some are wanted
 * @kinds: as struct uz_writeback_want
 * @first: page
 * @end:   page behind the last one
 */
struct uz_backer_range {
	unsigned int kinds;
	uint64_t first;
	uint64_t end;
};

/**
 * struct uz_backer_order - what is to be written back
 * @ranges: where to look, one after the other; borrowed
 * @nr:     of them
 * @share:  most percent of the time to write; 0: no such limit
 */
struct uz_backer_order {
	const struct uz_backer_range *ranges;
	unsigned int nr;
	unsigned int share;
};

/**
 * uz_backer_create() - what it takes to write a device's pages back
 * @backer: set on success, untouched on failure
 * @dev:    borrowed
 *
 * Context: any thread.
 * Return:  0 or -ENOMEM.
 */
uz_must_check int uz_backer_create(struct uz_backer **backer,
				   struct uz_device *dev);

/**
 * uz_backer_destroy() - free it
 * @backer: from uz_backer_create(), or NULL
 *
 * Context: nobody is inside uz_backer_run().
 */
void uz_backer_destroy(struct uz_backer *backer);

/**
 * uz_backer_run() - write pages back to the device's store
 * @backer: one run at a time
 * @order:  which pages
 * @id:     by which it can be interrupted; 0 for none
 * @err:    the reason; may be NULL
 *
 * At the speed of the store while the device is idle, else for half of the
 * time. Reads, writes and statistics go on meanwhile. While the number of
 * blocks to be written is limited the largest pages come first. What was done
 * up to a failure stays done, and all other pages stay in memory.
 *
 * Context: any thread that holds no lock and is not inside a request; sleeps
 *          until all is done.
 * Return:  0; -EBUSY another one is under way; -EINTR interrupted; -EINVAL no
 *          size, or the device was reset; -ENODEV no store; -ENOSPC the store
 *          is full; -EIO its limit is used up, or some pages could not be
 *          written; other -errno of the store; -ENOMEM.
 */
uz_must_check int uz_backer_run(struct uz_backer *backer,
				const struct uz_backer_order *order,
				uint64_t id, struct uz_err *err);

/**
 * uz_backer_busy() - would a run be refused now?
 * @backer: the backer
 * @err:    the reason; may be NULL
 *
 * Context: any thread.
 * Return:  0, or -EBUSY as uz_backer_run().
 */
uz_must_check int uz_backer_busy(struct uz_backer *backer, struct uz_err *err);

/**
 * uz_backer_interrupt() - have a run end soon
 * @backer: the backer
 * @id:     of the run, which may also begin later, if that is soon; 0:
 *          whichever is under way
 *
 * Context: any thread, at any time; does not wait.
 */
void uz_backer_interrupt(struct uz_backer *backer, uint64_t id);

/**
 * uz_backer_progress() - how far the run is, or the last one came
 * @backer: the backer
 * @total:  pages that it was about when it began
 * @done:   what was done up to now
 *
 * Context: any thread.
 * Return:  true while one is under way.
 */
bool uz_backer_progress(struct uz_backer *backer, uint64_t *total,
			struct uz_writeback_done *done);

/* ---- making room ---- */

struct uz_shrinker;

/**
 * uz_shrinker_start() - keep a device with a store below its memory limit
 * @shrinker: set on success, untouched on failure
 * @dev:      borrowed until uz_shrinker_stop(); has no size yet, or nobody
 *            uses it yet
 *
 * One thread, which sleeps without any wake-up until there is need for room
 * (uzram/device/room.h) and then writes cold pages back. While there is one,
 * stores at the limit wait for it instead of being refused. While the store is
 * missing it wakes up every 5 s to look for it (uz_device_retry_backing()).
 *
 * Context: any thread; the new thread takes no signals.
 * Return:  0 or -errno; after a failure the device is as good without it, but
 *          refuses stores at the limit.
 */
uz_must_check int uz_shrinker_start(struct uz_shrinker **shrinker,
				    struct uz_device *dev);

/**
 * uz_shrinker_stop() - end the thread
 * @shrinker: from uz_shrinker_start(), or NULL
 *
 * Context: nobody uses the device any more, and it was not closed yet; waits
 *          for the end of a turn.
 */
void uz_shrinker_stop(struct uz_shrinker *shrinker);

/* ---- scrubbing ---- */

struct uz_scrubber;

/**
 * struct uz_scrub_state - how far the last scrub is, or got
 * @running:  it goes on
 * @finished: it came to the end of the device
 * @done:     what it has seen
 */
struct uz_scrub_state {
	bool running;
	bool finished;
	struct uz_scrub done;
};

/**
 * uz_scrubber_create() - be ready to scrub a device
 * @scrubber: set on success, untouched on failure
 * @dev:      borrowed until uz_scrubber_destroy()
 *
 * Context: any thread.
 * Return:  0 or -ENOMEM.
 */
uz_must_check int uz_scrubber_create(struct uz_scrubber **scrubber,
				     struct uz_device *dev);

/**
 * uz_scrubber_destroy() - end a scrub that goes on, and forget
 * @scrubber: from uz_scrubber_create(), or NULL
 *
 * Context: nobody else uses it any more; waits for the end of a batch.
 */
void uz_scrubber_destroy(struct uz_scrubber *scrubber);

/**
 * uz_scrubber_start() - begin to look at every stored page
 * @s:    the scrubber
 * @rate: bytes of pages a second at most; 0 for no limit
 *
 * Goes on by itself, in a thread that takes no signals.
 *
 * Context: one thread at a time; may wait for the last scrub's thread to end.
 * Return:  0; -EBUSY one is going on; -errno no thread, or no place for it.
 */
uz_must_check int uz_scrubber_start(struct uz_scrubber *s, uint64_t rate);

/**
 * uz_scrubber_stop() - have a scrub end before its time
 * @s: the scrubber
 *
 * Context: any thread; does not wait for the end.
 */
void uz_scrubber_stop(struct uz_scrubber *s);

/**
 * uz_scrubber_state() - how far it is
 * @s:     the scrubber
 * @state: filled; all zero before the first one
 *
 * Context: any thread.
 */
void uz_scrubber_state(struct uz_scrubber *s, struct uz_scrub_state *state);

#endif
