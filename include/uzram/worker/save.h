/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_WORKER_SAVE_H
#define UZRAM_WORKER_SAVE_H

#include <uzram/device.h>
#include <uzram/types.h>
#include <uzram/util/err.h>

/**
 * DOC: a device in a file, and back
 *
 * A part of uzram/worker.h: brings snapshots (uzram/device/snapshot.h) and
 * images (uzram/image.h) together.
 */

struct uz_saver;

/**
 * enum uz_save_state - how the last save is going
 * @UZ_SAVE_NONE:    there was none
 * @UZ_SAVE_RUNNING: it is being written
 * @UZ_SAVE_DONE:    the file is there
 * @UZ_SAVE_FAILED:  it is not
 */
enum uz_save_state {
	UZ_SAVE_NONE,
	UZ_SAVE_RUNNING,
	UZ_SAVE_DONE,
	UZ_SAVE_FAILED,
};

#define UZ_SAVE_PATH_MAX 4096

/**
 * struct uz_save_progress - the last save
 * @state: how it is going
 * @done:  pages written
 * @all:   pages to be written
 * @bytes: of the file; once it is there
 * @path:  of the file
 * @err:   why it failed
 */
struct uz_save_progress {
	enum uz_save_state state;
	uint64_t done;
	uint64_t all;
	uint64_t bytes;
	char path[UZ_SAVE_PATH_MAX];
	struct uz_err err;
};

/**
 * uz_saver_create() - be able to save a device
 * @saver: set on success, untouched on failure
 * @dev:   borrowed until uz_saver_destroy()
 *
 * Context: any thread. There is no thread until something is saved.
 * Return:  0 or -ENOMEM.
 */
uz_must_check int uz_saver_create(struct uz_saver **saver,
				  struct uz_device *dev);

/**
 * uz_saver_start() - save the device as it is now
 * @saver: of the device
 * @path:  absolute; of the file, which a regular one there is replaced by in
 *         the end
 * @err:   the reason of a refusal; may be NULL
 *
 * Returns as soon as the moment is over that is saved; a thread does the rest.
 *
 * Context: any thread that is not inside a request; takes the device's
 *          configuration lock; sleeps.
 * Return:  0; -EBUSY it is being saved; -EINVAL @path is not absolute, too
 *          long, or of something else than a regular file, or the device has
 *          no size; -ENOMEM; other -errno. After a failure the progress is
 *          what it was.
 */
uz_must_check int uz_saver_start(struct uz_saver *saver, const char *path,
				 struct uz_err *err);

/**
 * uz_saver_progress() - how the last save is going
 * @saver:    of the device
 * @progress: filled
 *
 * Context: any thread.
 */
void uz_saver_progress(struct uz_saver *saver,
		       struct uz_save_progress *progress);

/**
 * uz_saver_destroy() - a save that is under way is given up
 * @saver: from uz_saver_create(), or NULL
 *
 * Context: nobody uses @saver any more; the device was not closed yet.
 */
void uz_saver_destroy(struct uz_saver *saver);

/**
 * uz_restore() - give a device size and pages out of an image
 * @dev:   without a size, and nobody uses it yet
 * @path:  of the image
 * @size:  disksize in bytes; 0: that of the image
 * @codec: for new stores, as uz_codec_parse() takes it; "": that of the image
 * @err:   the reason; may be NULL
 *
 * Context: any thread; sleeps.
 * Return:  0; -EINVAL @size is smaller than the image's; -ENOTSUP a codec that
 *          this build has not, or another version; -EUCLEAN the image is
 *          damaged; -ENOSPC it does not fit below the memory limit; other
 *          -errno. After a failure the device has no size.
 */
uz_must_check int uz_restore(struct uz_device *dev, const char *path,
			     uint64_t size, const char *codec,
			     struct uz_err *err);

#endif
