/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_DEVICE_CODECS_H
#define UZRAM_DEVICE_CODECS_H

#include <uzram/compress.h>
#include <uzram/types.h>
#include <uzram/util/err.h>

/**
 * DOC: the codecs of a device
 *
 * A part of uzram/device.h. A device has one codec for new stores, its primary
 * one of priority 0, and up to three secondary ones for recompression, of
 * priorities 1 ... 3. Pages that were stored by a former codec keep it until
 * they are overwritten or recompressed. So UZ_SLOT_CODECS of them may be in
 * use at a time; codecs that differ in a parameter alone count as two.
 */

struct uz_device;

/* Priorities of codecs: 0 for new stores, the others for recompression. */
#define UZ_PRIORITIES 4

/**
 * uz_device_set_codec() - choose the codec for new stores
 * @dev:  the device
 * @text: as uz_codec_parse() takes it
 * @err:  the reason; may be NULL
 *
 * What is stored already stays as it is.
 *
 * Context: any thread that is not inside a request, also while others are;
 *          takes the configuration lock; when a former codec has to make room
 *          it waits for requests that are under way.
 * Return:  0; -EBUSY pages of too many codecs are stored, or it is a new one
 *          and a snapshot is under way; -ENOMEM; what uz_codec_parse()
 *          returns. After a failure nothing has changed.
 */
uz_must_check int uz_device_set_codec(struct uz_device *dev, const char *text,
				      struct uz_err *err);

/**
 * uz_device_set_secondary() - choose a codec for recompression
 * @dev:      the device
 * @priority: 1 ... UZ_PRIORITIES - 1
 * @text:     as uz_codec_parse() takes it
 * @err:      the reason; may be NULL
 *
 * Context: as uz_device_set_codec().
 * Return:  as uz_device_set_codec(); -EINVAL also for another priority.
 */
uz_must_check int uz_device_set_secondary(struct uz_device *dev,
					  unsigned int priority,
					  const char *text, struct uz_err *err);

/**
 * uz_device_codec() - the codec for new stores
 * @dev:   the device
 * @codec: filled
 *
 * Context: any thread; takes the configuration lock.
 */
void uz_device_codec(struct uz_device *dev, struct uz_codec *codec);

/**
 * uz_device_codec_of() - the codec of a priority
 * @dev:      the device
 * @priority: 0 ... UZ_PRIORITIES - 1
 * @codec:    filled if there is one
 *
 * Context: any thread; takes the configuration lock.
 * Return:  false: there is none.
 */
bool uz_device_codec_of(struct uz_device *dev, unsigned int priority,
			struct uz_codec *codec);

/**
 * struct uz_device_codec_stat - what was stored by one codec
 * @codec: the codec; its ops are NULL where there is none
 * @pages: stored by it now
 * @bytes: that these take, compressed
 */
struct uz_device_codec_stat {
	struct uz_codec codec;
	uint64_t pages;
	uint64_t bytes;
};

/**
 * uz_device_codec_stat() - the numbers of one of the device's codecs
 * @dev:   the device
 * @index: 0 ... UZ_SLOT_CODECS - 1: each of its places for codecs
 * @stat:  filled
 *
 * Context: any thread; takes the configuration lock.
 * Return:  false: there is no such place.
 */
bool uz_device_codec_stat(struct uz_device *dev, unsigned int index,
			  struct uz_device_codec_stat *stat);

/**
 * uz_device_add_codec() - have a codec for pages that are stored already
 * @dev:   the device, without a size; its codec for new stores was chosen
 * @text:  as uz_codec_parse() takes it
 * @index: set on success: what struct uz_page_image calls it
 * @err:   the reason; may be NULL
 *
 * Choosing a codec before the device has a size takes it away again.
 *
 * Context: any thread; takes the configuration lock.
 * Return:  0; -EBUSY it has a size; -ENOSPC there are UZ_SLOT_CODECS already;
 *          what uz_codec_parse() returns. After a failure nothing has
 *          changed.
 */
uz_must_check int uz_device_add_codec(struct uz_device *dev, const char *text,
				      unsigned int *index, struct uz_err *err);

#endif
