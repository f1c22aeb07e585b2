/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_DEVICE_SAMPLE_H
#define UZRAM_DEVICE_SAMPLE_H

#include <uzram/types.h>

/**
 * DOC: samples of what is stored
 *
 * A part of uzram/device.h: pages for who wants to know what a device holds.
 * Nobody notices: nothing is counted as read, and idle pages stay idle.
 */

struct uz_io;

/**
 * struct uz_sampling - how far a sampling is; all zero at first
 * @next:  page from which on it goes on
 * @found: pages that could be had, those that were passed over included
 */
struct uz_sampling {
	uint64_t next;
	uint64_t found;
};

/**
 * uz_device_sample() - a page out of those in memory that a codec is for
 * @io:    this thread's context
 * @s:     moved on
 * @step:  of so many pages one is taken; 0: none, they are only counted
 * @page:  UZ_PAGE_SIZE bytes
 * @taken: set: @page was filled. One that is damaged is passed over
 *
 * Pages that are on the backing store, or that take no object because one word
 * fills them, are none of them. Looks at some thousand pages at most.
 *
 * Context: the thread of @io, not inside a request; who resets the device waits
 *          for it.
 * Return:  false: that was the last page of the device, or it has no size.
 */
bool uz_device_sample(struct uz_io *io, struct uz_sampling *s, uint64_t step,
		      void *page, bool *taken);

#endif
