/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_DEVICE_SNAPSHOT_H
#define UZRAM_DEVICE_SNAPSHOT_H

#include <uzram/compress.h>
#include <uzram/table.h>
#include <uzram/types.h>
#include <uzram/util/err.h>

/**
 * DOC: all pages as they are at one moment
 *
 * A part of uzram/device.h. A snapshot is of the moment at which
 * uz_snapshot_begin() has the device: every request that ended before it is in
 * it, no request that begins after it, each as a whole. Reads and writes go on
 * while the pages are taken out, one by one, in any order.
 */

struct uz_device;
struct uz_io;
struct uz_snapshot;

/**
 * enum uz_page_form - how a page's contents are given
 * @UZ_PAGE_WORD:  8 bytes that repeat
 * @UZ_PAGE_CODED: compressed
 * @UZ_PAGE_RAW:   as they are, UZ_PAGE_SIZE bytes
 */
enum uz_page_form {
	UZ_PAGE_WORD = 1,
	UZ_PAGE_CODED = 2,
	UZ_PAGE_RAW = 3,
};

/**
 * struct uz_page_image - one page outside of its device
 * @index: which page
 * @form:  what @bytes are
 * @codec: index of the codec, for UZ_PAGE_CODED, else 0
 * @size:  bytes at @bytes
 * @sum:   low half of XXH3 of @bytes, xor the low half of @index times
 *         0x9e3779b1
 * @bytes: the contents
 */
struct uz_page_image {
	uint32_t index;
	enum uz_page_form form;
	unsigned int codec;
	uint32_t size;
	uint32_t sum;
	const void *bytes;
};

/**
 * struct uz_snapshot_info - what is known of a snapshot from the start
 * @disksize: bytes
 * @pages:    stored; so many does uz_snapshot_next() give
 * @codec:    index of the codec for new stores
 * @codecs:   as uz_codec_parse() takes them, "" where there is none
 * @dicts:    bytes of their dictionaries, 0 for none; see uz_device_dict()
 * @pause_ns: nanoseconds for which requests had to wait
 */
struct uz_snapshot_info {
	uint64_t disksize;
	uint64_t pages;
	unsigned int codec;
	char codecs[UZ_SLOT_CODECS][UZ_CODEC_TEXT_MAX + 1];
	uint32_t dicts[UZ_SLOT_CODECS];
	uint64_t pause_ns;
};

/**
 * uz_snapshot_begin() - hold on to what the device holds now
 * @dev:  the device
 * @snap: set on success, untouched on failure
 * @info: filled on success
 * @err:  the reason; may be NULL
 *
 * Requests that come while this one waits for those under way wait with it,
 * usually for less than a millisecond. From then on a page that is about to
 * change is copied first, compressed as it is, until it has been taken out by
 * uz_snapshot_next(). Copies lie in ordinary memory and count against the
 * memory limit; if there is no room for one the snapshot fails, never the
 * request.
 *
 * Context: any thread that is not inside a request; takes the configuration
 *          lock.
 * Return:  0; -EINVAL the device has no size; -EBUSY it has a snapshot; -EIO
 *          a dictionary is damaged; -ENOMEM.
 */
uz_must_check int uz_snapshot_begin(struct uz_device *dev,
				    struct uz_snapshot **snap,
				    struct uz_snapshot_info *info,
				    struct uz_err *err);

/**
 * uz_snapshot_next() - take out one more page
 * @snap: the snapshot
 * @page: filled; valid until the next call
 * @err:  the reason of a failure; may be NULL
 *
 * Context: one thread at a time; takes the configuration lock for a moment;
 *          may sleep.
 * Return:  1 a page; 0 there are no more: these were all; -EIO a page does
 *          not match its checksum; -ENOSPC copies of changed pages have no
 *          room below the memory limit; -ENOMEM; -ENODATA the device was
 *          reset. After a failure the snapshot is good for uz_snapshot_end()
 *          only.
 */
uz_must_check int uz_snapshot_next(struct uz_snapshot *snap,
				   struct uz_page_image *page,
				   struct uz_err *err);

/**
 * uz_snapshot_copied() - most memory that copies of changed pages have taken
 * @snap: the snapshot
 *
 * Context: any thread.
 * Return:  bytes.
 */
uint64_t uz_snapshot_copied(const struct uz_snapshot *snap);

/**
 * uz_snapshot_end() - let go of it
 * @snap: from uz_snapshot_begin(), or NULL
 *
 * Context: as uz_snapshot_begin(); nobody uses @snap any more, and the device
 *          was not closed yet.
 */
void uz_snapshot_end(struct uz_snapshot *snap);

/**
 * uz_page_restore() - put a page in as it was taken out
 * @io:   this thread's context
 * @page: any values: all are checked
 *
 * At the memory limit it waits for room as a store does.
 *
 * Context: the thread of @io, not inside a request, no lock held; sleeps.
 * Return:  0; -ENOSPC no room; -EUCLEAN it is no page of this device, there
 *          is one already, or its sum is wrong. After a failure the page is
 *          as before.
 */
uz_must_check int uz_page_restore(struct uz_io *io,
				  const struct uz_page_image *page);

#endif
