/* SPDX-License-Identifier: MIT */
#ifndef UZ_DEVICE_BATCH_H
#define UZ_DEVICE_BATCH_H

#include <uzram/backing.h>

#include "device_priv.h"

/* ---- batch.c ---- */

#define UZ__BATCH_BLOCKS (UZ_WRITEBACK_BYTES / UZ_BLOCK_SIZE)
#define UZ__BATCH_PIECES 1024u

/* Under way, being filled, and waiting to be finished. */
#define UZ__BATCHES (UZ_WRITEBACK_DEPTH + 4u)

/*
 * struct uz__piece - an object on its way to the store
 * @map:   pin on the object, where it may be held
 * @old:   the word that names it in the pool
 * @slot:  the word that will name the piece
 * @index: its page
 */
struct uz__piece {
	struct uz_map map;
	uz_slot_t old;
	uz_slot_t slot;
	uint64_t index;
};

/*
 * struct uz__batch - a run of blocks and what is to lie there
 * @dev:    the device
 * @store:  where the run is
 * @next:   for the owner
 * @run:    its blocks
 * @budget: blocks that it may have
 * @paid:   of these, taken out of the limit; 0 where there was none
 * @tight:  it could not begin, but could for an object of one block
 * @nr:     pieces
 * @bytes:  that they take
 * @write:  of all of them
 * @err:    what came of it
 * @did:    what was done by finishing it
 * @copy:   UZ__BATCH_BLOCKS blocks, aligned; NULL where objects are written
 *          from where they lie
 * @iov:    of the write; changed by it
 * @pieces: what is written
 */
struct uz__batch {
	struct uz_device *dev;
	struct uz_backing *store;
	struct uz__batch *next;
	struct uz_run run;
	uint32_t budget;
	uint32_t paid;
	bool tight;
	unsigned int nr;
	uint32_t bytes;
	struct uz_write write;
	int err;
	struct uz_writeback_done did;
	unsigned char *copy;
	struct iovec iov[UZ__BATCH_PIECES];
	struct uz__piece pieces[UZ__BATCH_PIECES];
};

/* UZ__BATCHES of them, in a row; NULL: no memory. */
struct uz__batch *uz__batches_create(struct uz_device *dev,
				     struct uz_backing *store);
void uz__batches_destroy(struct uz__batch *all);

/*
 * Empty, with a run that has room for @need bytes at least. -EDQUOT: the limit
 * does not allow it; -ENOSPC: there is no such run; @tight: but a shorter one.
 */
uz_must_check int uz__batch_begin(struct uz__batch *b, uint32_t need);

bool uz__batch_takes(const struct uz__batch *b, uint32_t need);

/*
 * Have the slot's object in it, if the slot is still the same; the bytes that
 * it takes, or 0.
 */
uint32_t uz__batch_add(struct uz__batch *b, uint64_t index, uz_slot_t w);

/*
 * No more pieces; its @write can be submitted. What it did not need can be
 * used by others.
 */
void uz__batch_close(struct uz__batch *b);

/*
 * Written and to be relied on, or not (@err): slots are to name the pieces, and
 * memory goes back. Then it may begin anew. @io is of the thread that calls.
 */
void uz__batch_finish(struct uz__batch *b, struct uz_io *io);

#endif
