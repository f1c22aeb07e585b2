// SPDX-License-Identifier: MIT
/*
 * Dictionaries of the device's codecs. Each belongs to an entry of the list of
 * codecs, and so to the slots that name this entry: it lives as long as a page
 * needs it or a priority names it (codecs.c), and is counted, by page and after
 * a death anew, because its codec is.
 *
 * The bytes lie in the control memfd, far behind the counters, so that whoever
 * adopts the device has them; a place that is not used takes no memory. They
 * are written before the entry's text and given back after it, so an entry that
 * is there has its dictionary, and bytes without an entry are what a death has
 * left. Beside them each process has what its codecs made of them, shared by
 * all threads and never changed.
 *
 * The text names a dictionary by a number, which is the hash of its bytes. So a
 * codec with another dictionary is another codec; and bytes that are not what
 * they were are found out by whoever adopts or scrubs. Pages would then be
 * decoded to something else than what was stored, whose checksums cover what is
 * stored only. Hence an adopted codec whose dictionary is damaged is left
 * without contexts: what it has stored is errors of reading, and nothing is
 * stored by it.
 *
 * Mapped for reading only: nobody writes to them by mistake.
 *
 * Changed under the configuration lock. A request may look at the dictionary of
 * an entry that a slot names, as it may at its context (codecs.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uzram/util/log.h>

#include "device_priv.h"
#include "sum.h"

_Static_assert(UZ__CTL_SIZE <= UZ__DICTS_AT,
	       "dictionaries lie behind all else in the control memfd");

static off_t dict_at(unsigned int index)
{
	return (off_t)(UZ__DICTS_AT + (uint64_t)index * UZ_CODEC_DICT_MAX);
}

uint64_t uz__dict_number(const struct uz_device_dict *dict)
{
	uint64_t number = uz__sum(dict->bytes, dict->size);

	return number ? number : 1;
}

/* By a system call: a store for which there is no memory would be a signal. */
static int dict_write(int fd, unsigned int index,
		      const struct uz_device_dict *dict)
{
	size_t done = 0;
	ssize_t n;

	while (done < dict->size) {
		n = pwrite(fd, (const char *)dict->bytes + done,
			   dict->size - done, dict_at(index) + (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n && errno != ENOSPC ? -errno : -ENOMEM;
		done += (size_t)n;
	}
	return 0;
}

/* Forget it in this process. */
static void dict_unmap(struct uz__dict *dict)
{
	uz_codec_dict_destroy(dict->ready);
	if (dict->bytes)
		munmap(dict->bytes, dict->size);
	*dict = (struct uz__dict){ 0 };
}

static int dict_map(const struct uz_device *dev, unsigned int index,
		    size_t size, struct uz__dict *dict)
{
	void *bytes = mmap(NULL, size, PROT_READ, MAP_SHARED, dev->mem.ctl_fd,
			   dict_at(index));

	if (bytes == MAP_FAILED)
		return -errno;
	*dict = (struct uz__dict){ .bytes = bytes, .size = size };
	return 0;
}

int uz__dict_put(struct uz_device *dev, unsigned int index,
		 const struct uz_codec *codec,
		 const struct uz_device_dict *dict)
{
	struct uz__dict *own = &dev->dicts[index];
	int ret;

	if (dict->size < UZ_CODEC_DICT_MIN || dict->size > UZ_CODEC_DICT_MAX)
		return -ERANGE;
	/* First: a successor that finds no text finds what to give back. */
	dev->ctl->super.dict_bytes[index] = (uint32_t)dict->size;
	ret = dict_write(dev->mem.ctl_fd, index, dict);
	if (!ret)
		ret = dict_map(dev, index, dict->size, own);
	if (!ret)
		ret = uz_codec_dict_create(codec, own->bytes, own->size,
					   &own->ready);
	if (ret)
		uz__dict_drop(dev, index);
	return ret;
}

void uz__dict_drop(struct uz_device *dev, unsigned int index)
{
	dict_unmap(&dev->dicts[index]);
	if (!dev->ctl->super.dict_bytes[index])
		return;
	/* What cannot be given back is overwritten by the next one. */
	(void)!fallocate(dev->mem.ctl_fd,
			 FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 dict_at(index), UZ_CODEC_DICT_MAX);
	dev->ctl->super.dict_bytes[index] = 0;
}

static bool dict_right(const struct uz_device *dev, unsigned int index)
{
	const struct uz_device_dict dict = {
		.bytes = dev->dicts[index].bytes,
		.size = dev->dicts[index].size,
	};

	return uz__dict_number(&dict) == dev->codecs[index].dict;
}

bool uz__dict_intact(const struct uz_device *dev, unsigned int index)
{
	return !dev->codecs[index].dict ||
	       (dev->dicts[index].ready && dict_right(dev, index));
}

/* Are there bytes that can be what the text names? */
static bool dict_there(const struct uz_device *dev, unsigned int index)
{
	uint32_t size = dev->ctl->super.dict_bytes[index];
	struct stat st;

	return size >= UZ_CODEC_DICT_MIN && size <= UZ_CODEC_DICT_MAX &&
	       !fstat(dev->mem.ctl_fd, &st) &&
	       st.st_size >= dict_at(index) + (off_t)size;
}

int uz__dict_adopt(struct uz_device *dev, unsigned int index)
{
	const struct uz_codec *codec = &dev->codecs[index];
	struct uz__dict *own = &dev->dicts[index];
	char text[UZ_CODEC_TEXT_MAX + 1];
	int ret = -EUCLEAN;

	if (!codec->ops || !codec->dict) {
		uz__dict_drop(dev, index);
		return 0;
	}
	if (dict_there(dev, index))
		ret = dict_map(dev, index, dev->ctl->super.dict_bytes[index],
			       own);
	if (!ret && !dict_right(dev, index))
		ret = -EUCLEAN;
	if (!ret)
		ret = uz_codec_dict_create(codec, own->bytes, own->size,
					   &own->ready);
	if (!ret)
		return 0;
	dict_unmap(own);
	if (ret == -ENOMEM)
		return ret;
	uz_codec_format(codec, text);
	uz_log(UZ_LOG_ERR,
	       "%s: the dictionary of %s is damaged: pages stored by it are lost, and new ones are stored as they are: choose another codec",
	       dev->name, text);
	return 0;
}

bool uz__dict_lost(const struct uz_device *dev, unsigned int index)
{
	return dev->codecs[index].ops && dev->codecs[index].dict &&
	       !dev->dicts[index].ready;
}

uint64_t uz__dicts_bytes(const struct uz_device *dev)
{
	uint64_t bytes = 0;
	unsigned int i;

	for (i = 0; i < UZ_SLOT_CODECS; i++)
		bytes += uz_codec_dict_bytes(dev->dicts[i].ready);
	return bytes;
}

void uz__dicts_end(struct uz_device *dev)
{
	unsigned int i;

	for (i = 0; i < UZ_SLOT_CODECS; i++)
		dict_unmap(&dev->dicts[i]);
}

int uz_device_dict(struct uz_device *dev, unsigned int index, size_t offset,
		   void *bytes, size_t size)
{
	uz_scoped_acquire(guard, &dev->lock);
	const struct uz__dict *dict;

	if (index >= UZ_SLOT_CODECS)
		return -ENODATA;
	dict = &dev->dicts[index];
	if (offset > dict->size || size > dict->size - offset)
		return -ENODATA;
	memcpy(bytes, (const char *)dict->bytes + offset, size);
	return 0;
}
