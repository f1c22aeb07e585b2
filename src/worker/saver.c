// SPDX-License-Identifier: MIT
/*
 * Saving a device: a thread takes the pages of a snapshot out and puts them
 * into an image.
 *
 * The snapshot is begun, and the file made, by whoever asks for it: he learns
 * at once what is wrong with the path, and knows that what he writes from then
 * on is not in the image. The snapshot ends before the file is waited for on
 * the disk, so that nobody has to copy pages for a slow disk's sake.
 *
 * Lock: @lock guards the progress and whether there is a thread; a leaf. What
 * the thread works with is its own until it has ended.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <uzram/device/snapshot.h>
#include <uzram/image.h>
#include <uzram/util/lock.h>
#include <uzram/util/log.h>
#include <uzram/worker/save.h>

#include "worker_priv.h"

_Static_assert(UZ_IMAGE_CODECS == UZ_SLOT_CODECS &&
		       UZ_IMAGE_CODEC_TEXT == UZ_CODEC_TEXT_MAX &&
		       UZ_IMAGE_DICT_MAX == UZ_CODEC_DICT_MAX,
	       "an image has room for all codecs of a device");

/*
 * struct uz_saver - what saves a device
 * @dev:      the device
 * @lock:     guards @progress, but for its number of pages done
 * @progress: the last save
 * @done:     pages done; the thread alone writes it
 * @stop:     the thread is to give up
 * @joinable: there is a thread, or was one
 * @thread:   itself
 * @snap:     what it saves
 * @image:    where to
 * @dicts:    bytes of its codecs' dictionaries
 */
struct uz_saver {
	struct uz_device *dev;
	struct uz_lock lock;
	struct uz_save_progress progress;
	_Atomic uint64_t done;
	_Atomic bool stop;
	bool joinable;
	pthread_t thread;
	struct uz_snapshot *snap;
	struct uz_image_writer *image;
	uint32_t dicts[UZ_IMAGE_CODECS];
};

int uz_saver_create(struct uz_saver **saver, struct uz_device *dev)
{
	struct uz_saver *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->dev = dev;
	uz_lock_init(&s->lock, UZ_LOCK_LEAF);
	*saver = s;
	return 0;
}

/* ---- the thread ---- */

static int save_page(struct uz_saver *s, const struct uz_page_image *page,
		     struct uz_err *err)
{
	const struct uz_image_page record = {
		.index = page->index,
		.form = page->form,
		.codec = page->codec,
		.size = page->size,
		.sum = page->sum,
		.bytes = page->bytes,
	};
	int ret = uz_image_add(s->image, &record, err);

	/* relaxed, here and below: a number to look at. */
	if (!ret)
		atomic_fetch_add_explicit(&s->done, 1, memory_order_relaxed);
	return ret;
}

static int save_dict(struct uz_saver *s, unsigned int codec, uint32_t bytes,
		     struct uz_err *err)
{
	unsigned char piece[UZ_PAGE_SIZE];
	uint32_t at, left;
	int ret = 0;

	for (at = 0; at < bytes && !ret; at += UZ_PAGE_SIZE) {
		struct uz_image_page record = {
			.index = at / UZ_PAGE_SIZE,
			.form = UZ_IMAGE_DICT,
			.codec = codec,
			.bytes = piece,
		};

		left = bytes - at;
		record.size = left < UZ_PAGE_SIZE ? left : UZ_PAGE_SIZE;
		/* It is there as long as the snapshot is. */
		ret = uz_device_dict(s->dev, codec, at, piece, record.size);
		if (ret)
			return uz_err_set(err, ret, "%s was reset meanwhile",
					  uz_device_name(s->dev));
		ret = uz_image_add(s->image, &record, err);
	}
	return ret;
}

static int save_dicts(struct uz_saver *s, struct uz_err *err)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < UZ_IMAGE_CODECS && !ret; i++)
		ret = save_dict(s, i, s->dicts[i], err);
	return ret;
}

static int save_pages(struct uz_saver *s, struct uz_err *err)
{
	struct uz_page_image page;
	int ret;

	while ((ret = uz_snapshot_next(s->snap, &page, err)) == 1) {
		if (atomic_load_explicit(&s->stop, memory_order_relaxed))
			return uz_err_set(err, -ENODATA, "%s has ended",
					  uz_device_name(s->dev));
		ret = save_page(s, &page, err);
		if (ret)
			break;
	}
	return ret;
}

static void save_ended(struct uz_saver *s, uint64_t bytes,
		       const struct uz_err *err)
{
	const char *name = uz_device_name(s->dev);
	uz_scoped_acquire(guard, &s->lock);

	s->progress.bytes = bytes;
	s->progress.err = *err;
	s->progress.state = err->code ? UZ_SAVE_FAILED : UZ_SAVE_DONE;
	if (err->code)
		uz_log(UZ_LOG_WARN, "%s was not saved: %s", name, err->text);
	else
		uz_log(UZ_LOG_INFO, "%s saved to %s", name, s->progress.path);
}

static void *saver_main(void *arg)
{
	struct uz_saver *s = arg;
	struct uz_err err = { 0 };
	uint64_t bytes;
	int ret;

	ret = save_dicts(s, &err);
	if (!ret)
		ret = save_pages(s, &err);
	uz_snapshot_end(s->snap);
	bytes = uz_image_bytes(s->image);
	if (ret)
		uz_image_abort(s->image);
	else
		ret = uz_image_commit(s->image, &err);
	save_ended(s, ret ? 0 : bytes, &err);
	return NULL;
}

/* ---- start and end ---- */

static int saver_begin(struct uz_saver *s, const char *path, uint64_t *pages,
		       struct uz_err *err)
{
	struct uz_snapshot_info from;
	struct uz_image_info to;
	int ret;

	ret = uz_snapshot_begin(s->dev, &s->snap, &from, err);
	if (ret)
		return ret;
	to = (struct uz_image_info){
		.disksize = from.disksize,
		.created = (uint64_t)time(NULL),
		.codec = from.codec,
	};
	memcpy(to.codecs, from.codecs, sizeof(to.codecs));
	memcpy(to.dicts, from.dicts, sizeof(to.dicts));
	memcpy(s->dicts, from.dicts, sizeof(s->dicts));
	*pages = from.pages;
	ret = uz_image_create(&s->image, path, &to, err);
	if (ret)
		uz_snapshot_end(s->snap);
	return ret;
}

static int saver_launch(struct uz_saver *s, const char *path,
			struct uz_err *err)
{
	struct uz_save_progress before = s->progress;
	uint64_t pages;
	int ret;

	ret = saver_begin(s, path, &pages, err);
	if (ret)
		return ret;
	if (s->joinable)
		pthread_join(s->thread, NULL);
	/* Before the thread can end. */
	uz_lock_acquire(&s->lock);
	atomic_store_explicit(&s->done, 0, memory_order_relaxed);
	s->progress = (struct uz_save_progress){
		.state = UZ_SAVE_RUNNING,
		.all = pages,
	};
	strcpy(s->progress.path, path);
	uz_lock_release(&s->lock);
	/* No signals: a file that grows too large is an error there. */
	ret = uz__task_thread(&s->thread, "uz-saver", saver_main, s);
	s->joinable = !ret;
	if (!ret)
		return 0;
	uz_snapshot_end(s->snap);
	uz_image_abort(s->image);
	uz_lock_acquire(&s->lock);
	s->progress = before;
	uz_lock_release(&s->lock);
	return uz_err_set(err, ret, "no thread to save %s: %s",
			  uz_device_name(s->dev), strerror(-ret));
}

int uz_saver_start(struct uz_saver *s, const char *path, struct uz_err *err)
{
	enum uz_save_state state;

	if (*path != '/')
		return uz_err_set(
			err, -EINVAL,
			"\"%.80s\" does not begin with '/': the daemon has a directory of its own",
			path);
	if (strlen(path) >= UZ_SAVE_PATH_MAX)
		return uz_err_set(err, -EINVAL, "the path is too long");
	uz_lock_acquire(&s->lock);
	state = s->progress.state;
	uz_lock_release(&s->lock);
	if (state == UZ_SAVE_RUNNING)
		return uz_err_set(err, -EBUSY,
				  "%s is being saved already; wait for its end",
				  uz_device_name(s->dev));
	return saver_launch(s, path, err);
}

void uz_saver_progress(struct uz_saver *s, struct uz_save_progress *progress)
{
	uz_scoped_acquire(guard, &s->lock);

	*progress = s->progress;
	progress->done = atomic_load_explicit(&s->done, memory_order_relaxed);
}

void uz_saver_destroy(struct uz_saver *s)
{
	if (!s)
		return;
	atomic_store(&s->stop, true);
	if (s->joinable)
		pthread_join(s->thread, NULL);
	uz_lock_destroy(&s->lock);
	free(s);
}
