/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_DEVICE_RECOMPRESS_H
#define UZRAM_DEVICE_RECOMPRESS_H

#include <uzram/types.h>
#include <uzram/util/err.h>

/**
 * DOC: recompression
 *
 * A part of uzram/device.h. Stored pages are encoded anew by a secondary codec
 * and replaced where that moves them to a smaller size class. Who reads or
 * writes such a page meanwhile does not wait and always wins.
 */

struct uz_device;
struct uz_io;

/*
 * A page that compresses to this or more is stored raw: it would save less
 * than a fortieth, and reading it back would cost a decompression.
 */
#define UZ_HUGE_SIZE 4000u

/**
 * struct uz_recompress - which pages, and how
 * @idle:       only pages that are marked as idle
 * @huge:       only pages that are stored as they are
 * @least:      only pages that take so many bytes or more
 * @below:      only pages that take less than so many bytes; 0 for no limit
 * @priority:   by the codec of this priority; 0: by each secondary one in
 *              order, until one gains something
 * @count_only: change nothing, only count what would be tried
 * @generation: private: of the device's memory
 */
struct uz_recompress {
	bool idle;
	bool huge;
	uint32_t least;
	uint32_t below;
	unsigned int priority;
	bool count_only;
	uint64_t generation;
};

/**
 * struct uz_recompression - what was done; added to, never cleared
 * @tried:  pages that were looked into
 * @gained: pages that take less now
 * @bytes:  how much less, in size classes
 * @kept:   pages that no codec made smaller
 * @lost:   pages that somebody used at that moment
 * @failed: pages that could not be read
 */
struct uz_recompression {
	uint64_t tried;
	uint64_t gained;
	uint64_t bytes;
	uint64_t kept;
	uint64_t lost;
	uint64_t failed;
};

/**
 * uz_recompress_begin() - make ready to recompress a device as it is now
 * @dev: the device
 * @how: its @generation is filled in
 * @err: the reason; may be NULL
 *
 * Context: any thread; takes the configuration lock.
 * Return:  0; -EINVAL the device has no size, or no codec of that priority.
 */
uz_must_check int uz_recompress_begin(struct uz_device *dev,
				      struct uz_recompress *how,
				      struct uz_err *err);

/**
 * uz_recompress() - some pages of a device
 * @io:     this thread's context
 * @how:    from uz_recompress_begin()
 * @index:  page to begin at; moved on
 * @budget: most pages to try; who resets the device waits for them
 * @done:   added to
 *
 * Skips pages that were tried before with the same codecs in vain, and those
 * that have a codec of that priority or a higher one. The mark of an idle page
 * goes. At the memory limit what is gained is what room is made of: the limit
 * may be passed by less than a page, as by a store that replaces a page by a
 * smaller one.
 *
 * Context: the thread of @io, not inside a request; holds no lock across a
 *          codec.
 * Return:  1 there is more; 0 that was the last page; -EINVAL the device has
 *          lost its size, or has got another; -ENOSPC there is no memory at
 *          all.
 */
uz_must_check int uz_recompress(struct uz_io *io,
				const struct uz_recompress *how,
				uint64_t *index, unsigned int budget,
				struct uz_recompression *done);

#endif
