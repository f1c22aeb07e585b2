/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_WORKER_TRAIN_H
#define UZRAM_WORKER_TRAIN_H

#include <uzram/device.h>
#include <uzram/types.h>
#include <uzram/util/err.h>

/**
 * DOC: dictionaries of what is stored
 *
 * A part of uzram/worker.h: makes a dictionary of a device's own pages, and
 * chooses a codec with it if that gains something.
 */

struct uz_trainer;

/* Bytes of a dictionary if nobody says otherwise: as far as lz4 reaches. */
#define UZ_TRAIN_SIZE (UINT64_C(64) << 10)

/**
 * struct uz_trained - the last training that has succeeded
 * @codec:   text of the codec, the dictionary's number included; "": none
 * @size:    bytes of the dictionary
 * @stored:  pages that there were to learn from
 * @learnt:  pages that it was made of
 * @held:    other pages, by which it was weighed
 * @without: bytes that these take by the codec without a dictionary
 * @with:    bytes that they take with it
 */
struct uz_trained {
	char codec[UZ_CODEC_TEXT_MAX + 1];
	uint64_t size;
	uint64_t stored;
	uint64_t learnt;
	uint64_t held;
	uint64_t without;
	uint64_t with;
};

/**
 * uz_trainer_create() - be able to train dictionaries for a device
 * @trainer: set on success, untouched on failure
 * @dev:     borrowed
 *
 * Context: any thread.
 * Return:  0 or -ENOMEM.
 */
uz_must_check int uz_trainer_create(struct uz_trainer **trainer,
				    struct uz_device *dev);

/**
 * uz_trainer_destroy() - free it
 * @trainer: from uz_trainer_create(), or NULL
 *
 * Context: nobody is inside uz_trainer_run().
 */
void uz_trainer_destroy(struct uz_trainer *trainer);

/**
 * uz_trainer_run() - train a dictionary, and choose the codec with it
 * @trainer:  one run at a time
 * @priority: of the codec, whose level stays, 0 ... UZ_PRIORITIES - 1
 * @size:     most bytes of the dictionary; 0: UZ_TRAIN_SIZE
 * @id:       by which it can be interrupted; 0 for none
 * @err:      the reason; may be NULL
 *
 * Pages from all over the device are read, most of which it learns from; the
 * others tell whether it gains more than it takes. Requests go on meanwhile,
 * and find nothing changed by the reading. What is stored already stays as it
 * is.
 *
 * Context: any thread that holds no lock and is not inside a request; sleeps.
 * Return:  0; -EBUSY another one is under way; -EINTR interrupted; -EINVAL no
 *          such codec, no size, too few pages, nothing is gained, or meanwhile
 *          the device was reset or another codec chosen; -ERANGE @size;
 *          -ENOTSUP the codec has no use for dictionaries; -ENOMEM; what
 *          uz_device_set_dict() returns. After a failure nothing has changed.
 */
uz_must_check int uz_trainer_run(struct uz_trainer *trainer,
				 unsigned int priority, uint64_t size,
				 uint64_t id, struct uz_err *err);

/**
 * uz_trainer_interrupt() - have a run end soon
 * @trainer: the trainer
 * @id:      of the run, which may also begin later, if that is soon; 0:
 *           whichever is under way
 *
 * Context: any thread, at any time; does not wait.
 */
void uz_trainer_interrupt(struct uz_trainer *trainer, uint64_t id);

/**
 * uz_trainer_last() - what the last training came to
 * @trainer: the trainer
 * @trained: filled
 *
 * Context: any thread.
 * Return:  whether one is under way now.
 */
bool uz_trainer_last(struct uz_trainer *trainer, struct uz_trained *trained);

#endif
