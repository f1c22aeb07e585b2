// SPDX-License-Identifier: MIT
/*
 * Writes through io_uring. The only file of this layer that knows liburing.
 *
 * One thread uses a queue; no locks.
 */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>

#include "backing_priv.h"

struct uz__queue {
	struct io_uring ring;
	int fd;
};

int uz__queue_create(struct uz__queue **queue, int fd, unsigned int depth)
{
	struct uz__queue *q = calloc(1, sizeof(*q));
	int ret;

	if (!q)
		return -ENOMEM;
	q->fd = fd;
	ret = io_uring_queue_init(depth, &q->ring, 0);
	if (ret) {
		free(q);
		return ret;
	}
	*queue = q;
	return 0;
}

void uz__queue_destroy(struct uz__queue *q)
{
	if (!q)
		return;
	io_uring_queue_exit(&q->ring);
	free(q);
}

int uz__queue_submit(struct uz__queue *q, struct uz_write *write)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&q->ring);

	if (!sqe)
		return -EBUSY;
	io_uring_prep_writev(sqe, q->fd, write->iov, write->nr, write->offset);
	io_uring_sqe_set_data(sqe, write);
	/* What is not taken now is submitted by the next wait. */
	io_uring_submit(&q->ring);
	return 0;
}

struct uz_write *uz__queue_next(struct uz__queue *q, bool wait, long *res)
{
	struct io_uring_cqe *cqe;
	struct uz_write *write;

	while (io_uring_peek_cqe(&q->ring, &cqe)) {
		if (!wait)
			return NULL;
		io_uring_submit_and_wait(&q->ring, 1);
	}
	write = io_uring_cqe_get_data(cqe);
	*res = cqe->res;
	io_uring_cqe_seen(&q->ring, cqe);
	return write;
}
