// SPDX-License-Identifier: MIT
/*
 * The io_uring of one ublk queue, made and used by one thread; others may put a
 * completion there, by rings of their own. Completions of the driver's are
 * put off until the thread asks for them: nobody else takes its requests, so
 * nothing is gained by seeing them earlier. An older kernel does without.
 *
 * It has room for all tags of the queue at once, and each tag has one command
 * under way or prepared, so there is always room for one more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ublk_priv.h"

/* Of a completion that another thread has put there; no tag. */
#define LEAVE UINT64_MAX

struct uz__ublk_ring {
	struct io_uring ring;
	int fd;
	uint16_t queue;
	bool encoded;
};

int uz__ublk_ring_create(struct uz__ublk_ring **ring, unsigned int queue,
			 unsigned int depth, bool encoded)
{
	struct uz__ublk_ring *r = calloc(1, sizeof(*r));
	int ret;

	if (!r)
		return -ENOMEM;
	r->fd = -1;
	r->queue = (uint16_t)queue;
	r->encoded = encoded;
	ret = io_uring_queue_init(depth, &r->ring,
				  IORING_SETUP_COOP_TASKRUN |
					  IORING_SETUP_SINGLE_ISSUER |
					  IORING_SETUP_DEFER_TASKRUN);
	if (ret == -EINVAL)
		ret = io_uring_queue_init(depth, &r->ring, 0);
	if (ret < 0) {
		free(r);
		return ret;
	}
	*ring = r;
	return 0;
}

void uz__ublk_ring_destroy(struct uz__ublk_ring *ring)
{
	if (!ring)
		return;
	io_uring_queue_exit(&ring->ring);
	free(ring);
}

void uz__ublk_ring_use(struct uz__ublk_ring *ring, int fd)
{
	ring->fd = fd;
}

static void prepare(struct uz__ublk_ring *ring, unsigned int nr,
		    unsigned int tag, int result, void *buf)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);
	const struct ublksrv_io_cmd cmd = {
		.q_id = ring->queue,
		.tag = (uint16_t)tag,
		.result = result,
		.addr = (uintptr_t)buf,
	};

	if (!sqe) /* more than one command of a tag */
		abort();
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = ring->fd;
	sqe->cmd_op = ring->encoded ? uz__ublk_encode(nr) : nr;
	sqe->user_data = tag;
	memcpy(sqe->cmd, &cmd, sizeof(cmd));
}

void uz__ublk_ring_fetch(struct uz__ublk_ring *ring, unsigned int tag,
			 void *buf)
{
	prepare(ring, UBLK_IO_FETCH_REQ, tag, 0, buf);
}

void uz__ublk_ring_commit(struct uz__ublk_ring *ring, unsigned int tag,
			  int result, void *buf)
{
	prepare(ring, UBLK_IO_COMMIT_AND_FETCH_REQ, tag, result, buf);
}

int uz__ublk_ring_submit(struct uz__ublk_ring *ring, bool wait)
{
	int ret;

	/* One that is wrong ends a call; those behind it need another. */
	do {
		ret = wait ? io_uring_submit_and_wait(&ring->ring, 1)
			   : io_uring_submit(&ring->ring);
	} while (ret > 0 && io_uring_sq_ready(&ring->ring));
	if (ret < 0 && ret != -EINTR)
		return ret;
	return 0;
}

int uz__ublk_ring_collect(struct uz__ublk_ring *ring)
{
	int ret = uz__ublk_ring_submit(ring, false);
	int got = io_uring_get_events(&ring->ring);

	if (!ret && got < 0 && got != -EINTR)
		ret = got;
	return ret;
}

int uz__ublk_ring_tell_to_leave(struct uz__ublk_ring *ring,
				struct uz__ublk_control *control, bool held)
{
	return uz__ublk_control_tell(control, ring->ring.ring_fd, LEAVE, held);
}

bool uz__ublk_ring_next(struct uz__ublk_ring *ring,
			struct uz__ublk_event *event)
{
	struct io_uring_cqe *cqe;

	if (io_uring_peek_cqe(&ring->ring, &cqe))
		return false;
	event->tag = cqe->user_data == LEAVE ? UZ__UBLK_LEAVE
					     : (unsigned int)cqe->user_data;
	event->res = cqe->res;
	io_uring_cqe_seen(&ring->ring, cqe);
	return true;
}
