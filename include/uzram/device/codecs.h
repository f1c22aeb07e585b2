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
 *
 * A codec may have a dictionary. The device keeps the bytes in its memory as
 * long as a page needs them; whoever adopts it finds them there. In texts a
 * dictionary has a number that follows from its bytes ("zstd:dict=1f..."); such
 * a text names a codec that the device has already.
 */

struct uz_device;

/**
 * struct uz_device_dict - a dictionary
 * @bytes: as uz_codec_dict_create() takes them
 * @size:  UZ_CODEC_DICT_MIN ... UZ_CODEC_DICT_MAX
 */
struct uz_device_dict {
	const void *bytes;
	size_t size;
};

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
 *          and a snapshot is under way; -EINVAL the device does not have the
 *          dictionary that @text names; -ENOMEM; what uz_codec_parse()
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
 * uz_device_set_dict() - choose a codec with a dictionary
 * @dev:      the device
 * @priority: 0 ... UZ_PRIORITIES - 1
 * @text:     as uz_codec_parse() takes it; if it names a dictionary, then this
 * @dict:     copied
 * @err:      the reason; may be NULL
 *
 * Context: as uz_device_set_codec().
 * Return:  as uz_device_set_secondary(); -ENOTSUP the codec has no use for
 *          dictionaries; -ERANGE the size; -EUCLEAN @text names another one.
 */
uz_must_check int uz_device_set_dict(struct uz_device *dev,
				     unsigned int priority, const char *text,
				     const struct uz_device_dict *dict,
				     struct uz_err *err);

/**
 * struct uz_codec_moment - which codec a priority had, and on which device
 * @codec:  as uz_device_codec_of() tells; ops is NULL where there was none
 * @resets: private: of the device until then
 */
struct uz_codec_moment {
	struct uz_codec codec;
	uint64_t resets;
};

/**
 * uz_device_codec_moment() - remember a priority's codec
 * @dev:      the device
 * @priority: 0 ... UZ_PRIORITIES - 1
 * @moment:   filled
 *
 * Context: any thread; takes the configuration lock.
 */
void uz_device_codec_moment(struct uz_device *dev, unsigned int priority,
			    struct uz_codec_moment *moment);

/**
 * uz_device_set_dict_since() - uz_device_set_dict(), unless things have changed
 * @dev:      the device
 * @priority: 0 ... UZ_PRIORITIES - 1
 * @text:     as for uz_device_set_dict()
 * @dict:     made of what the device had since @moment
 * @moment:   of @priority
 * @err:      the reason; may be NULL
 *
 * Context: as uz_device_set_codec().
 * Return:  as uz_device_set_dict(); -EINVAL also if the device was reset since
 *          then, or the priority has another codec.
 */
uz_must_check int uz_device_set_dict_since(struct uz_device *dev,
					   unsigned int priority,
					   const char *text,
					   const struct uz_device_dict *dict,
					   const struct uz_codec_moment *moment,
					   struct uz_err *err);

/**
 * uz_device_dict() - some bytes of a codec's dictionary
 * @dev:    the device
 * @index:  of the codec, 0 ... UZ_SLOT_CODECS - 1
 * @offset: where to begin
 * @bytes:  filled on success, untouched on failure
 * @size:   how many
 *
 * Context: any thread; takes the configuration lock.
 * Return:  0; -ENODATA there are not so many.
 */
uz_must_check int uz_device_dict(struct uz_device *dev, unsigned int index,
				 size_t offset, void *bytes, size_t size);

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
 * @dict:  its dictionary, copied, if @text names one; else NULL
 * @index: set on success: what struct uz_page_image calls it
 * @err:   the reason; may be NULL
 *
 * Choosing a codec before the device has a size takes it away again.
 *
 * Context: any thread; takes the configuration lock.
 * Return:  0; -EBUSY it has a size; -ENOSPC there are UZ_SLOT_CODECS already;
 *          what uz_device_set_dict() returns. After a failure nothing has
 *          changed.
 */
uz_must_check int uz_device_add_codec(struct uz_device *dev, const char *text,
				      const struct uz_device_dict *dict,
				      unsigned int *index, struct uz_err *err);

#endif
