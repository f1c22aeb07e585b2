/* SPDX-License-Identifier: MIT */
#ifndef UZ_DEVICE_DICT_H
#define UZ_DEVICE_DICT_H

#include <uzram/compress.h>
#include <uzram/device/codecs.h>
#include <uzram/util/err.h>

/* Where dictionaries begin in the control memfd, whatever lies before them. */
#define UZ__DICTS_AT (UINT64_C(16) << 20)

/**
 * struct uz__dict - the dictionary of one of the device's codecs
 * @bytes: mapped for reading, or NULL
 * @size:  bytes of the mapping
 * @ready: for contexts, or NULL; there whenever @bytes is
 */
struct uz__dict {
	void *bytes;
	size_t size;
	struct uz_codec_dict *ready;
};

struct uz_device;

/* The number of a dictionary: never 0, and another one for other bytes. */
uint64_t uz__dict_number(const struct uz_device_dict *dict);

/*
 * Into the device's memory, for an entry of the list of codecs that has none
 * and whose text is not there yet. 0; as uz_codec_dict_create(); other -errno.
 * After a failure there is nothing.
 */
int uz__dict_put(struct uz_device *dev, unsigned int index,
		 const struct uz_codec *codec,
		 const struct uz_device_dict *dict);

/* Out of it; no context and no text needs it any more. */
void uz__dict_drop(struct uz_device *dev, unsigned int index);

/* That of an entry whose text was parsed; -ENOMEM. */
int uz__dict_adopt(struct uz_device *dev, unsigned int index);

/* Does the entry need a dictionary that memory has lost? */
bool uz__dict_lost(const struct uz_device *dev, unsigned int index);

/*
 * Is the dictionary, if there is one, what it was? Reads all of it. The entry
 * must not go meanwhile: the configuration lock is held, or a slot names it and
 * the gate was entered.
 */
bool uz__dict_intact(const struct uz_device *dev, unsigned int index);

/* Memory of all of them beside the control memfd. */
uint64_t uz__dicts_bytes(const struct uz_device *dev);

/* Let go of all of them; the memory keeps them. */
void uz__dicts_end(struct uz_device *dev);

#endif
