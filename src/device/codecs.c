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
 * A dictionary belongs to its entry (dict.c). One that is chosen no more and
 * that no page needs is memory for nothing, so its entry is emptied whenever a
 * codec is chosen, and not only when an entry is wanted.
 *
 * While a snapshot is under way no entry is put to use: what it takes out is
 * to be by the codecs that there were at its moment.
 *
 * Changed under the configuration lock, which no request takes.
 */
#include <errno.h>
#include <inttypes.h>
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
	dev->codecs[index] = (struct uz_codec){ 0 };
	uz__io_drop_context(dev, index);
	uz__dict_drop(dev, index);
}

/* Into an entry without a codec. */
static int codec_put(struct uz_device *dev, unsigned int index,
		     const struct uz_codec *codec,
		     const struct uz_device_dict *dict)
{
	char *entry = dev->ctl->super.codecs[index];
	char text[UZ_CODEC_TEXT_MAX + 1] = "";
	int err = 0;

	if (dict)
		err = uz__dict_put(dev, index, codec, dict);
	if (!err && dev->table) {
		err = uz__io_make_context(dev, index, codec);
		if (err)
			uz__dict_drop(dev, index);
	}
	if (err)
		return err;
	uz_codec_format(codec, text);
	/*
	 * The first letter last: an entry that begins with a zero is none, so
	 * a successor never finds half a text. Release: behind the others.
	 */
	memcpy(entry + 1, text + 1, UZ_CODEC_TEXT_MAX);
	atomic_store_explicit((_Atomic char *)entry, text[0],
			      memory_order_release);
	dev->codecs[index] = *codec;
	return 0;
}

static unsigned int find_codec(const struct uz_device *dev,
			       const struct uz_codec *codec)
{
	unsigned int i;

	for (i = 0; i < UZ_SLOT_CODECS; i++)
		if (uz_codec_same(&dev->codecs[i], codec) &&
		    !uz__dict_lost(dev, i))
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

/*
 * An entry that nothing uses any more, emptied; UZ__NO_CODEC: there is none. Of
 * all, or of those with a dictionary.
 */
static unsigned int find_unused(struct uz_device *dev, bool with_dict)
{
	struct uz__counters sum;
	unsigned int i;

	uz__io_quiesce(dev);
	uz__stat_sum(dev, &sum);
	for (i = 0; i < UZ_SLOT_CODECS; i++)
		if (!codec_chosen(dev, i) && !*uz__codec_pages(&sum, i) &&
		    (!with_dict || dev->codecs[i].dict))
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

static int codec_not_put(const struct uz_device *dev,
			 const struct uz_codec *codec,
			 const struct uz_device_dict *dict, int ret,
			 struct uz_err *err)
{
	const char *name = uz_codec_name(codec);

	if (ret == -ENOTSUP)
		return uz_err_set(
			err, ret,
			"%s has no use for dictionaries: lz4, lz4hc and zstd have",
			name);
	if (ret == -ERANGE)
		return uz_err_set(
			err, ret,
			"a dictionary of %zu bytes is too %s: it must have %d to %" PRIu32,
			dict->size,
			dict->size < UZ_CODEC_DICT_MIN ? "small" : "large",
			UZ_CODEC_DICT_MIN, UZ_CODEC_DICT_MAX);
	if (ret == -EINVAL)
		return uz_err_set(
			err, ret,
			"the dictionary for %s is damaged: it begins as one that was trained, and is none",
			name);
	return uz_err_set(err, ret, "no memory for the codec %s of %s", name,
			  dev->name);
}

static int codec_add(struct uz_device *dev, const struct uz_codec *codec,
		     const struct uz_device_dict *dict, unsigned int *index,
		     struct uz_err *err)
{
	unsigned int i;
	int ret;

	if (codec->dict && !dict)
		return uz_err_set(
			err, -EINVAL,
			"%s has no dictionary %" PRIx64
			" for %s: write dict=PATH to algorithm_params",
			dev->name, codec->dict, uz_codec_name(codec));
	if (dev->snapshot)
		return uz_err_set(
			err, -EBUSY,
			"%s is being saved, with the codecs that it has: wait until that is done",
			dev->name);
	i = find_free(dev);
	if (i == UZ_SLOT_CODECS)
		i = find_unused(dev, false);
	if (i == UZ__NO_CODEC)
		return codec_none_free(dev, err);
	ret = codec_put(dev, i, codec, dict);
	if (ret)
		return codec_not_put(dev, codec, dict, ret, err);
	*index = i;
	return 0;
}

/* From text to codec; with a dictionary, by the number that follows from it. */
static int codec_parse(const char *text, const struct uz_device_dict *dict,
		       struct uz_codec *codec, struct uz_err *err)
{
	int ret = uz_codec_parse(text, codec, err);
	uint64_t number;

	if (ret || !dict)
		return ret;
	number = uz__dict_number(dict);
	if (codec->dict && codec->dict != number)
		return uz_err_set(
			err, -EUCLEAN,
			"the dictionary of %s is damaged: its number is %" PRIx64,
			text, number);
	codec->dict = number;
	return 0;
}

/* The index of a codec in the list; it is added if it is not there. */
static int codec_index(struct uz_device *dev, const char *text,
		       const struct uz_device_dict *dict, unsigned int *index,
		       struct uz_err *err)
{
	struct uz_codec codec;
	int ret = codec_parse(text, dict, &codec, err);

	if (ret)
		return ret;
	*index = find_codec(dev, &codec);
	return *index < UZ_SLOT_CODECS
		       ? 0
		       : codec_add(dev, &codec, dict, index, err);
}

/* Has an entry that is not chosen a dictionary? */
static bool dict_aside(const struct uz_device *dev)
{
	unsigned int i;

	for (i = 0; i < UZ_SLOT_CODECS; i++)
		if (dev->codecs[i].dict && !codec_chosen(dev, i))
			return true;
	return false;
}

/*
 * Without a size no page is stored, so what is not chosen has no use. With one
 * a dictionary may have none; but a snapshot needs all that there are.
 */
static void codecs_tidy(struct uz_device *dev)
{
	unsigned int i;

	for (i = 0; i < UZ_SLOT_CODECS && !dev->table; i++)
		if (dev->codecs[i].ops && !codec_chosen(dev, i))
			codec_forget(dev, i);
	while (!dev->snapshot && dict_aside(dev))
		if (find_unused(dev, true) == UZ__NO_CODEC)
			break;
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
	unsigned int index;
	int err;

	choose_secondary(dev, 0);
	err = codec_index(dev, uz_codec_known(0), NULL, &index, NULL);
	if (err)
		return err;
	choose_primary(dev, index);
	codecs_tidy(dev);
	return 0;
}

/* The priority's codec, or one without ops; configuration lock held. */
static struct uz_codec codec_now(const struct uz_device *dev,
				 unsigned int priority)
{
	unsigned int index =
		priority ? uz__secondary(atomic_load(&dev->secondary), priority)
			 : atomic_load(&dev->codec);

	return index == UZ__NO_CODEC ? (struct uz_codec){ 0 }
				     : dev->codecs[index];
}

void uz_device_codec_moment(struct uz_device *dev, unsigned int priority,
			    struct uz_codec_moment *moment)
{
	uz_scoped_acquire(guard, &dev->lock);

	*moment = (struct uz_codec_moment){ .resets = dev->resets };
	if (priority < UZ_PRIORITIES)
		moment->codec = codec_now(dev, priority);
}

/* What was made of the device as it was is for that one only. */
static int codec_changed(const struct uz_device *dev, unsigned int priority,
			 const struct uz_codec_moment *moment,
			 struct uz_err *err)
{
	struct uz_codec now = codec_now(dev, priority);

	if (dev->resets != moment->resets)
		return uz_err_set(err, -EINVAL, "%s was reset meanwhile",
				  dev->name);
	if (!uz_codec_same(&now, &moment->codec))
		return uz_err_set(
			err, -EINVAL,
			"another codec was chosen for priority %u of %s meanwhile",
			priority, dev->name);
	return 0;
}

static int codec_choose(struct uz_device *dev, unsigned int priority,
			const char *text, const struct uz_device_dict *dict,
			const struct uz_codec_moment *moment,
			struct uz_err *err)
{
	uz_scoped_acquire(guard, &dev->lock);
	uint32_t word = atomic_load(&dev->secondary);
	unsigned int index, shift;
	int ret = moment ? codec_changed(dev, priority, moment, err) : 0;

	if (!ret)
		ret = codec_index(dev, text, dict, &index, err);
	if (ret)
		return ret;
	if (priority) {
		shift = 8 * (priority - 1);
		word = (word & ~(UINT32_C(0xff) << shift)) | (index + 1)
								     << shift;
		choose_secondary(dev, word);
	} else {
		choose_primary(dev, index);
	}
	codecs_tidy(dev);
	return 0;
}

static int priority_check(unsigned int priority, unsigned int least,
			  struct uz_err *err)
{
	if (priority >= least && priority < UZ_PRIORITIES)
		return 0;
	return uz_err_set(err, -EINVAL,
			  "priority %u is out of range: use %u to %d", priority,
			  least, UZ_PRIORITIES - 1);
}

int uz_device_set_codec(struct uz_device *dev, const char *text,
			struct uz_err *err)
{
	return codec_choose(dev, 0, text, NULL, NULL, err);
}

int uz_device_set_secondary(struct uz_device *dev, unsigned int priority,
			    const char *text, struct uz_err *err)
{
	int ret = priority_check(priority, 1, err);

	return ret ? ret : codec_choose(dev, priority, text, NULL, NULL, err);
}

int uz_device_set_dict(struct uz_device *dev, unsigned int priority,
		       const char *text, const struct uz_device_dict *dict,
		       struct uz_err *err)
{
	int ret = priority_check(priority, 0, err);

	return ret ? ret : codec_choose(dev, priority, text, dict, NULL, err);
}

int uz_device_set_dict_since(struct uz_device *dev, unsigned int priority,
			     const char *text,
			     const struct uz_device_dict *dict,
			     const struct uz_codec_moment *moment,
			     struct uz_err *err)
{
	int ret = priority_check(priority, 0, err);

	return ret ? ret : codec_choose(dev, priority, text, dict, moment, err);
}

int uz_device_add_codec(struct uz_device *dev, const char *text,
			const struct uz_device_dict *dict, unsigned int *index,
			struct uz_err *err)
{
	uz_scoped_acquire(guard, &dev->lock);
	struct uz_codec codec;
	unsigned int i;
	int ret;

	if (dev->table)
		return uz_err_set(err, -EBUSY, "%s has a size already",
				  dev->name);
	ret = codec_parse(text, dict, &codec, err);
	if (ret)
		return ret;
	i = find_codec(dev, &codec);
	/* None is put out for it: each is there for pages to come. */
	if (i == UZ_SLOT_CODECS && find_free(dev) == UZ_SLOT_CODECS)
		return uz_err_set(err, -ENOSPC, "%s: more than %d codecs",
				  dev->name, UZ_SLOT_CODECS);
	if (i == UZ_SLOT_CODECS)
		return codec_add(dev, &codec, dict, index, err);
	*index = i;
	return 0;
}

int uz__codecs_describe(struct uz_device *dev, struct uz_snapshot_info *info,
			struct uz_err *err)
{
	const struct uz__super *sb = &dev->ctl->super;
	unsigned int i;

	for (i = 0; i < UZ_SLOT_CODECS; i++)
		if (uz__dict_lost(dev, i))
			return uz_err_set(
				err, -EIO,
				"a dictionary of %s is damaged, so not all pages can be saved: overwrite them or reset it",
				dev->name);
	*info = (struct uz_snapshot_info){ .codec = atomic_load(&dev->codec) };
	memcpy(info->codecs, sb->codecs, sizeof(info->codecs));
	memcpy(info->dicts, sb->dict_bytes, sizeof(info->dicts));
	return 0;
}

bool uz_device_codec_of(struct uz_device *dev, unsigned int priority,
			struct uz_codec *codec)
{
	uz_scoped_acquire(guard, &dev->lock);
	struct uz_codec now;

	if (priority >= UZ_PRIORITIES)
		return false;
	now = codec_now(dev, priority);
	if (!now.ops)
		return false;
	*codec = now;
	return true;
}

void uz_device_codec(struct uz_device *dev, struct uz_codec *codec)
{
	uz_device_codec_of(dev, 0, codec);
}
