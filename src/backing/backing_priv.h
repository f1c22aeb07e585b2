/* SPDX-License-Identifier: MIT */
#ifndef UZ_BACKING_PRIV_H
#define UZ_BACKING_PRIV_H

#include <stdatomic.h>

#include <uzram/backing.h>
#include <uzram/util/lock.h>

/*
 * Blocks whose free ones are counted together, so that full parts are skipped.
 */
#define UZ__GROUP 1024

/*
 * struct uz_backing - a store
 * @fd:      the file, for reading; through the page cache
 * @out:     the same for writing, locked; @fd itself where @direct is false
 * @direct:  @out goes past the page cache
 * @blocks:  in all
 * @dev:     st_dev
 * @ino:     st_ino
 * @lock:    guards what follows; a leaf, held for moments
 * @users:   of each block; memory that was never written is not there
 * @vacant:  free blocks of each group
 * @used:    blocks with users
 * @cursor:  where the search for free ones goes on
 * @written: bytes, ever
 * @read:    bytes, ever
 */
struct uz_backing {
	int fd;
	int out;
	bool direct;
	uint64_t blocks;
	uint64_t dev;
	uint64_t ino;
	struct uz_lock lock;
	uint16_t *users;
	uint16_t *vacant;
	uint64_t used;
	uint64_t cursor;
	_Atomic uint64_t written;
	_Atomic uint64_t read;
};

/* ---- space.c ---- */

uz_must_check int uz__space_create(struct uz_backing *b);
void uz__space_destroy(struct uz_backing *b);

/* ---- queue_uring.c, queue_none.c ---- */

struct uz__queue;

/* -ENOTSUP where the build has no io_uring; -errno where the system refuses. */
uz_must_check int uz__queue_create(struct uz__queue **queue, int fd,
				   unsigned int depth);
void uz__queue_destroy(struct uz__queue *queue);

/* -errno: not begun. */
uz_must_check int uz__queue_submit(struct uz__queue *queue,
				   struct uz_write *write);

/*
 * The next one that is done; its result is bytes or -errno in *@res. NULL: none
 * is, and it was not to be waited for.
 */
struct uz_write *uz__queue_next(struct uz__queue *queue, bool wait, long *res);

#endif
