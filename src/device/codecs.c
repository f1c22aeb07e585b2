// SPDX-License-Identifier: MIT
/*
 * The codecs of a device: those that are chosen, and those by which pages were
 * stored before. A slot names its codec by an index of three bits into the
 * superblock's list, so eight can be in use; an entry of the list may be used
 * anew when no slot names it any more.
 *
 * Adding: the text is put into an entry that nobody uses, every thread gets a
 * context, and only then is the entry named, as the codec for new stores or as
 * a secondary one. Whoever reads that name finds his context.
 *
 * Using an entry anew: it is named by none of the priorities. Requests that
 * read such a name earlier may still be storing by it, so all that are under
 * way are waited for (io.c). After that no slot comes to name it, and each one
 * that does is counted; the count of pages going out may be late and those
 * coming in not, so a sum of none means none. But a reader may have read a
 * slot before it was emptied and still be decoding: hence requests are waited
 * for once more before the contexts go.
 *
 * While a snapshot is under way no entry is put to use: what it takes out is
 * to be by the codecs that there were at its moment.
 *
 * Changed under the configuration lock, which no request takes.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "device_priv.h"

/* Is it one of the priorities' codecs? */
static bool codec_chosen(const struct uz_device *dev, unsigned int index)
{
	uint32_t secondary = atomic_load(&dev->secondary);
	unsigned int i;

	for (i = 1; i < UZ_PRIORITIES; i++)
		if (uz__secondary(secondary, i) == index)
			return true;
	return atomic_load(&dev->codec) == index;
}

static void codec_forget(struct uz_device *dev, unsigned int index)
{
	dev->ctl->super.codecs[index][0] = '\0';
	dev->codecs[index].ops = NULL;
	uz__io_drop_context(dev, index);
}

/* Into an entry without a codec. */
static int codec_put(struct uz_device *dev, unsigned int index,
		     const struct uz_codec *codec)
{
	char *entry = dev->ctl->super.codecs[index];
	char text[UZ_CODEC_TEXT_MAX + 1] = "";
	int err;

	if (dev->table) {
		err = uz__io_make_context(dev, index, codec);
		if (err)
			return err;
	}
	uz_codec_format(codec, text);
	/*
	 * The first letter last: an entry that begins with a zero is none, so
	 * a successor never finds half a text.
	 */
	memcpy(entry + 1, text + 1, UZ_CODEC_TEXT_MAX);
	atomic_thread_fence(memory_order_release);
	*(volatile char *)entry = text[0];
	dev->codecs[index] = *codec;
	return 0;
}

static unsigned int find_codec(const struct uz_device *dev,
			       const struct uz_codec *codec)
{
	unsigned int i;

	for (i = 0; i < UZ_SLOT_CODECS; i++)
		if (dev->codecs[i].ops == codec->ops &&
		    dev->codecs[i].level == codec->level)
			break;
	return i;
}

static unsigned int find_free(const struct uz_device *dev)
{
	unsigned int i;

	for (i = 0; i < UZ_SLOT_CODECS && dev->codecs[i].ops; i++)
		;
	return i;
}

/* An entry that nothing uses any more, emptied; UZ__NO_CODEC: there is none. */
static unsigned int find_unused(struct uz_device *dev)
{
	struct uz__counters sum;
	unsigned int i;

	uz__io_quiesce(dev);
	uz__stat_sum(dev, &sum);
	for (i = 0; i < UZ_SLOT_CODECS; i++)
		if (!codec_chosen(dev, i) && !*uz__codec_pages(&sum, i))
			break;
	if (i == UZ_SLOT_CODECS)
		return UZ__NO_CODEC;
	uz__io_quiesce(dev);
	codec_forget(dev, i);
	return i;
}

static int codec_none_free(struct uz_device *dev, struct uz_err *err)
{
	char names[UZ_SLOT_CODECS * (UZ_CODEC_TEXT_MAX + 2)];
	char text[UZ_CODEC_TEXT_MAX + 1];
	unsigned int i;
	size_t at = 0;

	for (i = 0; i < UZ_SLOT_CODECS; i++) {
		uz_codec_format(&dev->codecs[i], text);
		at += (size_t)snprintf(names + at, sizeof(names) - at, "%s%s",
				       i ? ", " : "", text);
	}
	return uz_err_set(
		err, -EBUSY,
		"%s has pages of %d codecs already, more than that it cannot tell apart: choose one of them, or overwrite or recompress what one has stored (%s)",
		dev->name, UZ_SLOT_CODECS, names);
}

/* The index of a codec in the list; it is added if it is not there. */
static int codec_index(struct uz_device *dev, const struct uz_codec *codec,
		       unsigned int *index, struct uz_err *err)
{
	unsigned int i = find_codec(dev, codec);
	int ret;

	if (i == UZ_SLOT_CODECS && dev->snapshot)
		return uz_err_set(
			err, -EBUSY,
			"%s is being saved, with the codecs that it has: wait until that is done",
			dev->name);
	if (i == UZ_SLOT_CODECS) {
		i = find_free(dev);
		if (i == UZ_SLOT_CODECS)
			i = find_unused(dev);
		if (i == UZ__NO_CODEC)
			return codec_none_free(dev, err);
		ret = codec_put(dev, i, codec);
		if (ret)
			return uz_err_set(err, ret,
					  "no memory for the codec %s of %s",
					  uz_codec_name(codec), dev->name);
	}
	*index = i;
	return 0;
}

/* Without a size no page is stored, so what is not chosen has no use. */
static void codecs_tidy(struct uz_device *dev)
{
	unsigned int i;

	if (dev->table)
		return;
	for (i = 0; i < UZ_SLOT_CODECS; i++)
		if (dev->codecs[i].ops && !codec_chosen(dev, i))
			codec_forget(dev, i);
}

/* seq_cst, as all that requests read and who changes it waits for them. */
static void choose_primary(struct uz_device *dev, unsigned int index)
{
	atomic_store(&dev->ctl->super.codec, index);
	atomic_store(&dev->codec, index);
}

static void choose_secondary(struct uz_device *dev, uint32_t word)
{
	atomic_store(&dev->ctl->super.secondary, word);
	atomic_store(&dev->secondary, word);
}

int uz__codecs_default(struct uz_device *dev)
{
	struct uz_codec codec;
	unsigned int index;
	int err;

	err = uz_codec_parse(uz_codec_known(0), &codec, NULL);
	choose_secondary(dev, 0);
	if (!err)
		err = codec_index(dev, &codec, &index, NULL);
	if (err)
		return err;
	choose_primary(dev, index);
	codecs_tidy(dev);
	return 0;
}

int uz_device_set_codec(struct uz_device *dev, const char *text,
			struct uz_err *err)
{
	uz_scoped_acquire(guard, &dev->lock);
	struct uz_codec codec;
	unsigned int index;
	int ret;

	ret = uz_codec_parse(text, &codec, err);
	if (!ret)
		ret = codec_index(dev, &codec, &index, err);
	if (ret)
		return ret;
	choose_primary(dev, index);
	codecs_tidy(dev);
	return 0;
}

int uz_device_add_codec(struct uz_device *dev, const char *text,
			unsigned int *index, struct uz_err *err)
{
	uz_scoped_acquire(guard, &dev->lock);
	struct uz_codec codec;
	unsigned int i;
	int ret;

	if (dev->table)
		return uz_err_set(err, -EBUSY, "%s has a size already",
				  dev->name);
	ret = uz_codec_parse(text, &codec, err);
	if (ret)
		return ret;
	i = find_codec(dev, &codec);
	if (i == UZ_SLOT_CODECS) {
		i = find_free(dev);
		ret = i == UZ_SLOT_CODECS ? -ENOSPC : codec_put(dev, i, &codec);
	}
	if (ret)
		return uz_err_set(err, ret, "%s: more than %d codecs",
				  dev->name, UZ_SLOT_CODECS);
	*index = i;
	return 0;
}

int uz_device_set_secondary(struct uz_device *dev, unsigned int priority,
			    const char *text, struct uz_err *err)
{
	uz_scoped_acquire(guard, &dev->lock);
	uint32_t word = atomic_load(&dev->secondary);
	struct uz_codec codec;
	unsigned int index, shift;
	int ret;

	if (priority < 1 || priority >= UZ_PRIORITIES)
		return uz_err_set(err, -EINVAL,
				  "priority %u is out of range: use 1 to %d",
				  priority, UZ_PRIORITIES - 1);
	ret = uz_codec_parse(text, &codec, err);
	if (!ret)
		ret = codec_index(dev, &codec, &index, err);
	if (ret)
		return ret;
	shift = 8 * (priority - 1);
	word = (word & ~(UINT32_C(0xff) << shift)) | (index + 1) << shift;
	choose_secondary(dev, word);
	codecs_tidy(dev);
	return 0;
}

bool uz_device_codec_of(struct uz_device *dev, unsigned int priority,
			struct uz_codec *codec)
{
	uz_scoped_acquire(guard, &dev->lock);
	unsigned int index;

	if (priority >= UZ_PRIORITIES)
		return false;
	index = priority ? uz__secondary(atomic_load(&dev->secondary), priority)
			 : atomic_load(&dev->codec);
	if (index == UZ__NO_CODEC)
		return false;
	*codec = dev->codecs[index];
	return true;
}

void uz_device_codec(struct uz_device *dev, struct uz_codec *codec)
{
	uz_device_codec_of(dev, 0, codec);
}
