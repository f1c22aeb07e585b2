/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_DEVICE_BACKING_H
#define UZRAM_DEVICE_BACKING_H

#include <uzram/types.h>
#include <uzram/util/err.h>

/**
 * DOC: pages on a backing store
 *
 * A part of uzram/device.h. A device may have a store, a file or block device
 * (uzram/backing.h), that takes pages which are to leave memory. What is
 * written there is the page's object as it lay in the pool, checksum included,
 * one behind the other; the slot then says where. Such a page is read from
 * there, and is overwritten and dropped like any other.
 *
 * Whoever adopts the device's memory opens the same store again. If he cannot,
 * pages that lie there are errors of reading until they are overwritten or
 * dropped, or it can be opened later; nothing is forgotten.
 */

struct uz_device;

/* Longest path of a store, without the terminating zero. */
#define UZ_BACKING_PATH_MAX 1023

/**
 * uz_device_set_backing() - give the device a store, or take it away
 * @dev:  the device
 * @path: as uz_backing_open() takes it; NULL: none
 * @err:  the reason; may be NULL
 *
 * A store may be given at any time to a device that has none. It can be taken
 * away, or be exchanged, only before the disksize is set. Reset takes it away.
 *
 * Context: any thread; takes the configuration lock; sleeps.
 * Return:  0; -EBUSY the device has a store and a size, or somebody else has
 *          the file; -EINVAL path too long; what uz_backing_open() returns.
 *          After a failure nothing has changed.
 */
uz_must_check int uz_device_set_backing(struct uz_device *dev, const char *path,
					struct uz_err *err);

/**
 * uz_device_retry_backing() - look again for a store that was not there
 * @dev: the device; one without a store, or which has its own, stays as it is
 *
 * That of a device whose memory was adopted: by its path, and known again as
 * then. When it is found that is told in the log, and pages that lie there can
 * be read again.
 *
 * Context: any thread; opens the file, then takes the configuration lock and
 *          has requests wait while it looks through the table.
 * Return:  0: no store is missing; -EBUSY the device is being saved, or
 *          somebody has the file; -ESTALE it is another file; what
 *          uz_backing_open() returns. After a failure nothing has changed.
 */
uz_must_check int uz_device_retry_backing(struct uz_device *dev);

/**
 * uz_device_backing() - the path of the store
 * @dev:  the device
 * @path: filled; "" without a store
 *
 * Context: any thread; takes the configuration lock.
 */
void uz_device_backing(struct uz_device *dev,
		       char path[UZ_BACKING_PATH_MAX + 1]);

/**
 * enum uz_backing_setting - numbers that say how the store is used
 * @UZ_BACKING_LIMITED: 1: no more than UZ_BACKING_LIMIT is written; default 0
 * @UZ_BACKING_LIMIT:   blocks of 4 KiB that may still be written; counts down
 *                      while UZ_BACKING_LIMITED is 1; default 0
 * @UZ_BACKING_BATCH:   writes under way at a time, 1 and more; default 32.
 *                      UZ_WRITEBACK_DEPTH of them at most are
 * @UZ_BACKING_PROMOTE: 1: a page that is read from the store goes back to
 *                      memory, if there is room; default 0
 * @UZ_BACKING_LOW:     percent of the memory limit; see uz_device_set_marks()
 * @UZ_BACKING_HIGH:    likewise
 * @UZ_BACKING_SETTINGS: how many there are
 *
 * They outlive the process, and begin again at reset.
 */
enum uz_backing_setting {
	UZ_BACKING_LIMITED,
	UZ_BACKING_LIMIT,
	UZ_BACKING_BATCH,
	UZ_BACKING_PROMOTE,
	UZ_BACKING_LOW,
	UZ_BACKING_HIGH,
	UZ_BACKING_SETTINGS,
};

/**
 * uz_device_set_backing_setting() - change one of them
 * @dev:   the device
 * @which: the setting
 * @value: any number
 *
 * Context: any thread, at any time.
 */
void uz_device_set_backing_setting(struct uz_device *dev,
				   enum uz_backing_setting which,
				   uint64_t value);

/**
 * uz_device_backing_setting() - read one of them
 * @dev:   the device
 * @which: the setting
 *
 * Context: any thread.
 * Return:  its value.
 */
uint64_t uz_device_backing_setting(const struct uz_device *dev,
				   enum uz_backing_setting which);

/**
 * struct uz_backing_stat - the numbers of a device's store
 * @blocks:             of 4 KiB that it has
 * @used_blocks:        of these in use
 * @backed_pages:       pages that lie there
 * @backed_bytes:       bytes of payload that they take there
 * @read_blocks:        blocks that reads of pages have touched
 * @written_blocks:     blocks that were written
 * @written_back_pages: pages that went there
 * @promoted_pages:     pages that came back by being read
 * @writeback_changed:  pages that were written for nothing, because they were
 *                      changed, read or moved meanwhile
 * @writeback_failed:   pages that could not be written, and stayed in memory
 * @backing_read_errors: pages that could not be read from the store
 * @backing_lost:       1: the store that the device had cannot be opened
 * @stored_pages:       pages that do not lie there
 * @read_back_pages:    pages that were read from there, each time
 * @shrunk_pages:       pages that went there unasked, to keep to the limit
 * @pool_limit_hit:     stores that found no memory, and waited or were refused
 * @gathered_pages:     pages that came back because little else lay in their
 *                      blocks
 *
 * All since the device got its size.
 */
struct uz_backing_stat {
	uint64_t blocks;
	uint64_t used_blocks;
	uint64_t backed_pages;
	uint64_t backed_bytes;
	uint64_t read_blocks;
	uint64_t written_blocks;
	uint64_t written_back_pages;
	uint64_t promoted_pages;
	uint64_t writeback_changed;
	uint64_t writeback_failed;
	uint64_t backing_read_errors;
	uint64_t backing_lost;
	uint64_t stored_pages;
	uint64_t read_back_pages;
	uint64_t shrunk_pages;
	uint64_t pool_limit_hit;
	uint64_t gathered_pages;
};

/**
 * uz_device_backing_stat() - read every number
 * @dev:  the device; without a size all are 0 but @blocks
 * @stat: filled
 *
 * Context: any thread; takes the configuration lock.
 */
void uz_device_backing_stat(struct uz_device *dev,
			    struct uz_backing_stat *stat);

/* ---- writing back ---- */

/* Writes that are under way at a time, at most, and of how many bytes. */
#define UZ_WRITEBACK_DEPTH 8
#define UZ_WRITEBACK_BYTES (512u << 10)

/* What a page must be, in struct uz_writeback_want. */
#define UZ_WRITEBACK_HUGE	    1u
#define UZ_WRITEBACK_IDLE	    2u
#define UZ_WRITEBACK_INCOMPRESSIBLE 4u

/**
 * struct uz_writeback_want - which pages are to be written back
 * @kinds:    UZ_WRITEBACK_ flags, all of which must be true; 0: any page
 * @smallest: bytes of payload
 * @largest:  bytes of payload
 *
 * Same-filled pages never are: they take no memory.
 */
struct uz_writeback_want {
	unsigned int kinds;
	uint32_t smallest;
	uint32_t largest;
};

/**
 * struct uz_writeback_done - what was done; added to, never cleared
 * @pages:   written back: their memory is free
 * @bytes:   that these took
 * @changed: written for nothing: they changed meanwhile
 * @failed:  could not be written
 * @skipped: 0, or why pages that need two blocks in a row were passed over:
 *           -ENOSPC there are single ones only; -EDQUOT the limit is one
 */
struct uz_writeback_done {
	uint64_t pages;
	uint64_t bytes;
	uint64_t changed;
	uint64_t failed;
	int skipped;
};

struct uz_writeback;

/**
 * uz_writeback_create() - what one thread needs to write pages back
 * @wb:  set on success
 * @dev: borrowed; it has a size
 * @err: the reason; may be NULL
 *
 * Context: any thread; takes the configuration lock; allocates.
 * Return:  0; -EINVAL the device has no size; -ENODEV it has no store;
 *          -ENOMEM; -EBUSY too many threads use the device.
 */
uz_must_check int uz_writeback_create(struct uz_writeback **wb,
				      struct uz_device *dev,
				      struct uz_err *err);

/**
 * uz_writeback_destroy() - the thread writes nothing more
 * @wb: from uz_writeback_create(), or NULL
 *
 * Context: the thread that used it; takes the configuration lock.
 */
void uz_writeback_destroy(struct uz_writeback *wb);

/**
 * uz_writeback_some() - write back some pages
 * @wb:   the thread's context
 * @want: which ones
 * @next: the first page to look at; set to where to go on
 * @end:  page behind the last one; what lies beyond the device is left out
 * @done: added to
 *
 * Some MiB, or what is written in a twentieth of a second if that is more.
 * Objects are mapped, written, and given up in memory when they have reached
 * the store: a page that was changed, dropped or moved meanwhile stays as it
 * is, and its copy on the store is forgotten. Reads and writes go on; nobody
 * waits.
 *
 * Context: the thread of @wb; sleeps; holds no lock while it does.
 * Return:  0: go on while *@next is below @end, also where pages were skipped,
 *          as @done then says; -ENOSPC the store is full;
 *          -EDQUOT UZ_BACKING_LIMIT is used up; -ENODEV the device was reset;
 *          other -errno: of the store. Whatever was written back before stays
 *          so, all other pages stay in memory.
 */
uz_must_check int uz_writeback_some(struct uz_writeback *wb,
				    const struct uz_writeback_want *want,
				    uint64_t *next, uint64_t end,
				    struct uz_writeback_done *done);

/**
 * uz_writeback_count() - how many pages would be written back
 * @wb:   the thread's context
 * @want: which ones
 * @from: the first page to look at
 * @end:  page behind the last one
 *
 * Context: the thread of @wb; looks through the table.
 * Return:  pages, as they are now.
 */
uint64_t uz_writeback_count(struct uz_writeback *wb,
			    const struct uz_writeback_want *want, uint64_t from,
			    uint64_t end);

#endif
