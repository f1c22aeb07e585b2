// SPDX-License-Identifier: MIT
/*
 * The codecs of the fake device: each priority has the one that came last.
 */
#include <errno.h>
#include <string.h>

#include "fake_device.h"

int uz_device_set_codec(struct uz_device *dev, const char *text,
			struct uz_err *err)
{
	if (dev->codec_error)
		return uz_err_set(err, dev->codec_error, "no more codecs");
	return uz_codec_parse(text, &dev->codec, err);
}

int uz_device_set_dict(struct uz_device *dev, unsigned int priority,
		       const char *text, const struct uz_device_dict *dict,
		       struct uz_err *err)
{
	dev->dict_size = dict->size;
	memcpy(dev->dict, dict->bytes, sizeof(dev->dict));
	return priority ? uz_device_set_secondary(dev, priority, text, err)
			: uz_device_set_codec(dev, text, err);
}

void uz_device_codec_moment(struct uz_device *dev, unsigned int priority,
			    struct uz_codec_moment *moment)
{
	*moment = (struct uz_codec_moment){ 0 };
	(void)!uz_device_codec_of(dev, priority, &moment->codec);
}

int uz_device_set_dict_since(struct uz_device *dev, unsigned int priority,
			     const char *text,
			     const struct uz_device_dict *dict,
			     const struct uz_codec_moment *moment,
			     struct uz_err *err)
{
	(void)moment;
	return uz_device_set_dict(dev, priority, text, dict, err);
}

int uz_device_dict(struct uz_device *dev, unsigned int index, size_t offset,
		   void *bytes, size_t size)
{
	(void)dev;
	(void)index;
	(void)offset;
	(void)bytes;
	(void)size;
	return -ENODATA;
}

void uz_device_codec(struct uz_device *dev, struct uz_codec *codec)
{
	*codec = dev->codec;
}

int uz_device_set_secondary(struct uz_device *dev, unsigned int priority,
			    const char *text, struct uz_err *err)
{
	if (priority < 1 || priority >= UZ_PRIORITIES)
		return uz_err_set(err, -EINVAL, "no such priority");
	return uz_codec_parse(text, &dev->secondary[priority], err);
}

bool uz_device_codec_of(struct uz_device *dev, unsigned int priority,
			struct uz_codec *codec)
{
	if (!priority)
		*codec = dev->codec;
	else if (dev->secondary[priority].ops)
		*codec = dev->secondary[priority];
	else
		return false;
	return true;
}

/* Three pages by the chosen codec, none by others. */
bool uz_device_codec_stat(struct uz_device *dev, unsigned int index,
			  struct uz_device_codec_stat *stat)
{
	*stat = (struct uz_device_codec_stat){ 0 };
	if (index == 1 && dev->stat.compr_data_size)
		*stat = (struct uz_device_codec_stat){
			.codec = dev->codec,
			.pages = 3,
			.bytes = dev->stat.compr_data_size,
		};
	return index < UZ_SLOT_CODECS;
}
