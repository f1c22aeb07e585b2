// SPDX-License-Identifier: MIT
/*
 * A job with several requests under way, through io_uring.
 *
 * As many requests as the depth are submitted, and each that completes is
 * replaced until the time is over; then those under way are waited for. A
 * request's latency is from its preparation to when its completion is seen.
 */
#include <liburing.h>

#include <uzram/util/cleanup.h>

#include "device.h"

bool ring_supported(void)
{
	struct io_uring ring;

	if (io_uring_queue_init(1, &ring, 0) < 0)
		return false;
	io_uring_queue_exit(&ring);
	return true;
}

static void prepare(struct load_job *j, struct io_uring *ring,
		    unsigned int slot, uint64_t *began)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	const struct load_request r = load_next(j, slot);

	if (r.write)
		io_uring_prep_write(sqe, j->fd, r.buf,
				    (unsigned int)j->l->block, (uint64_t)r.at);
	else
		io_uring_prep_read(sqe, j->fd, r.buf, (unsigned int)j->l->block,
				   (uint64_t)r.at);
	io_uring_sqe_set_data64(sqe, slot);
	began[slot] = clock_ns();
}

/* Take one completion; the slot is free again. */
static int finish(struct load_job *j, const struct io_uring_cqe *cqe,
		  const uint64_t *began, uint64_t now)
{
	if (cqe->res < 0)
		return cqe->res;
	if ((size_t)cqe->res != j->l->block)
		return -EIO;
	hist_add(&j->hist, now - began[io_uring_cqe_get_data64(cqe)]);
	j->done++;
	return 0;
}

static int run(struct load_job *j, struct io_uring *ring, uint64_t *began)
{
	unsigned int busy = 0;
	int ret = 0;

	for (; busy < j->l->depth; busy++)
		prepare(j, ring, busy, began);
	while (busy) {
		int n = io_uring_submit_and_wait(ring, 1);
		struct io_uring_cqe *cqe;
		unsigned int head, seen = 0;
		uint64_t now = clock_ns();

		if (n < 0 && n != -EINTR && n != -EAGAIN)
			return n;
		io_uring_for_each_cqe(ring, head, cqe)
		{
			int r = finish(j, cqe, began, now);

			ret = ret ? ret : r;
			seen++;
			if (!ret && load_goes_on(j, now))
				prepare(j, ring,
					(unsigned int)io_uring_cqe_get_data64(
						cqe),
					began);
			else
				busy--;
		}
		io_uring_cq_advance(ring, seen);
	}
	return ret;
}

int ring_run(struct load_job *j)
{
	uz_autofree uint64_t *began = calloc(j->l->depth, sizeof(*began));
	struct io_uring ring;
	int ret;

	if (!began)
		return -ENOMEM;
	ret = io_uring_queue_init(j->l->depth, &ring, 0);
	if (ret)
		return ret;
	ret = run(j, &ring, began);
	io_uring_queue_exit(&ring);
	return ret;
}
