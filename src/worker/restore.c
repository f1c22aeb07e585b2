// SPDX-License-Identifier: MIT
/*
 * A device out of an image: size, codecs, and every page as it is.
 *
 * What is wrong with an image may come out at its last byte, so a failure
 * takes everything back: the device is reset. Nobody uses it yet, and there is
 * no lock but what the device takes itself.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uzram/device/codecs.h>
#include <uzram/device/snapshot.h>
#include <uzram/image.h>
#include <uzram/util/size.h>
#include <uzram/worker/save.h>

/*
 * struct restore - an image on its way into a device
 * @dev:    the device
 * @io:     to store with
 * @path:   of the image, for messages
 * @reader: the image
 * @info:   its header
 * @codecs: what the device calls each of its codecs
 * @dicts:  their dictionaries; size 0 for none
 */
struct restore {
	struct uz_device *dev;
	struct uz_io *io;
	const char *path;
	struct uz_image_reader *reader;
	struct uz_image_info info;
	unsigned int codecs[UZ_IMAGE_CODECS];
	struct uz_device_dict dicts[UZ_IMAGE_CODECS];
};

static int codec_missing(const struct restore *r, unsigned int i, int ret,
			 struct uz_err *err)
{
	if (ret != -EINVAL && ret != -ERANGE)
		return ret;
	return uz_err_set(
		err, -ENOTSUP,
		"%s needs the codec \"%s\", which this program does not have",
		r->path, r->info.codecs[i]);
}

static const struct uz_device_dict *dict_of(const struct restore *r,
					    unsigned int codec)
{
	return r->dicts[codec].size ? &r->dicts[codec] : NULL;
}

/* They come before the pages, in order. */
static int restore_dict(struct restore *r, unsigned int codec,
			struct uz_err *err)
{
	uint32_t size = r->info.dicts[codec], at;
	struct uz_image_page record;
	unsigned char *bytes;
	int ret;

	if (!size)
		return 0;
	bytes = malloc(size);
	r->dicts[codec] = (struct uz_device_dict){ bytes, size };
	if (!bytes)
		return uz_err_set(err, -ENOMEM, "no memory to read %s",
				  r->path);
	for (at = 0; at < size; at += record.size) {
		ret = uz_image_next(r->reader, &record, err);
		if (ret < 0)
			return ret;
		if (!ret || record.form != UZ_IMAGE_DICT ||
		    record.codec != codec || record.index != at / UZ_PAGE_SIZE)
			return uz_err_set(
				err, -EUCLEAN,
				"%s is damaged: the dictionary of \"%s\" is missing",
				r->path, r->info.codecs[codec]);
		memcpy(bytes + at, record.bytes, record.size);
	}
	return 0;
}

static int restore_dicts(struct restore *r, struct uz_err *err)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < UZ_IMAGE_CODECS && !ret; i++)
		ret = restore_dict(r, i, err);
	return ret;
}

static int restore_codecs(struct restore *r, const char *codec,
			  struct uz_err *err)
{
	unsigned int i;
	int ret;

	if (*codec) {
		ret = uz_device_set_codec(r->dev, codec, err);
		if (ret)
			return ret;
	} else {
		i = r->info.codec;
		ret = uz_device_set_dict(r->dev, 0, r->info.codecs[i],
					 dict_of(r, i), err);
		if (ret)
			return codec_missing(r, i, ret, err);
	}
	for (i = 0; i < UZ_IMAGE_CODECS; i++) {
		if (!*r->info.codecs[i])
			continue;
		ret = uz_device_add_codec(r->dev, r->info.codecs[i],
					  dict_of(r, i), &r->codecs[i], err);
		if (ret)
			return codec_missing(r, i, ret, err);
	}
	return 0;
}

static int restore_size(struct restore *r, uint64_t size, struct uz_err *err)
{
	char is[UZ_SIZE_TEXT], must[UZ_SIZE_TEXT];

	if (!size)
		size = r->info.disksize;
	if (size < r->info.disksize) {
		uz_size_format(size, is);
		uz_size_format(r->info.disksize, must);
		return uz_err_set(
			err, -EINVAL,
			"size %s is too small for %s: it must be %s or more",
			is, r->path, must);
	}
	return uz_device_set_disksize(r->dev, size, err);
}

/* Nor in the store, if there is one: the log tells what is wrong with that. */
static int no_room(const struct restore *r, uint32_t page, int ret,
		   struct uz_err *err)
{
	char store[UZ_BACKING_PATH_MAX + 1];

	uz_device_backing(r->dev, store);
	return uz_err_set(
		err, ret,
		"%s does not fit: no room below mem_limit%s%.100s for page %u",
		r->path, store[0] ? " or in " : "", store, page);
}

static int restore_page(struct restore *r, const struct uz_image_page *record,
			struct uz_err *err)
{
	struct uz_page_image page = {
		.index = record->index,
		.form = (enum uz_page_form)record->form,
		.size = record->size,
		.sum = record->sum,
		.bytes = record->bytes,
	};
	int ret;

	if (page.form == UZ_PAGE_CODED) {
		if (!*r->info.codecs[record->codec])
			return uz_err_set(
				err, -EUCLEAN,
				"%s is damaged: page %u is by a codec that it does not name",
				r->path, record->index);
		page.codec = r->codecs[record->codec];
	}
	ret = uz_page_restore(r->io, &page);
	if (ret == -EUCLEAN)
		return uz_err_set(
			err, ret,
			"%s is damaged: page %u does not match its checksum, or is there twice",
			r->path, record->index);
	return ret ? no_room(r, record->index, ret, err) : 0;
}

static int restore_pages(struct restore *r, struct uz_err *err)
{
	struct uz_image_page record;
	int ret = uz_io_create(r->dev, &r->io);

	if (ret)
		return uz_err_set(err, ret, "cannot read %s: %s", r->path,
				  strerror(-ret));
	while ((ret = uz_image_next(r->reader, &record, err)) == 1) {
		ret = restore_page(r, &record, err);
		if (ret)
			break;
	}
	uz_io_destroy(r->io);
	return ret;
}

int uz_restore(struct uz_device *dev, const char *path, uint64_t size,
	       const char *codec, struct uz_err *err)
{
	struct restore r = { .dev = dev, .path = path };
	unsigned int i;
	int ret, reset_ret;

	ret = uz_image_open(&r.reader, path, &r.info, err);
	if (ret)
		return ret;
	ret = restore_dicts(&r, err);
	if (!ret)
		ret = restore_codecs(&r, codec, err);
	if (!ret)
		ret = restore_size(&r, size, err);
	if (!ret)
		ret = restore_pages(&r, err);
	uz_image_close(r.reader);
	for (i = 0; i < UZ_IMAGE_CODECS; i++)
		free((void *)r.dicts[i].bytes);
	if (!ret)
		return 0;
	/* What is left of its memory goes with the device. */
	reset_ret = uz_device_reset(dev, true, NULL);
	return reset_ret ? reset_ret : ret;
}
