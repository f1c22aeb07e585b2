// SPDX-License-Identifier: MIT
/*
 * Writes through io_uring. Each is carried out by a thread of the kernel's
 * (IOSQE_ASYNC): buffered writes are copies, and would otherwise be made right
 * here, by the thread that wants to go on. One thread uses a ring.
 */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>

#include "async.h"

/*
 * struct uz__async - a ring
 * @ring:  itself
 * @under: writes under way
 */
struct uz__async {
	struct io_uring ring;
	unsigned int under;
};

int uz__async_create(struct uz__async **async, unsigned int depth)
{
	struct uz__async *a = calloc(1, sizeof(*a));
	int ret;

	if (!a)
		return -ENOMEM;
	ret = io_uring_queue_init(depth, &a->ring, 0);
	if (ret) {
		free(a);
		return ret;
	}
	*async = a;
	return 0;
}

int uz__async_write(struct uz__async *a, int fd, const void *bytes, size_t len,
		    uint64_t offset, unsigned int number)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&a->ring);
	int ret;

	if (!sqe)
		return -EBUSY;
	io_uring_prep_write(sqe, fd, bytes, (unsigned int)len, offset);
	io_uring_sqe_set_flags(sqe, IOSQE_ASYNC);
	sqe->user_data = number;
	do {
		ret = io_uring_submit(&a->ring);
	} while (ret == -EINTR);
	if (ret < 0)
		return ret;
	a->under++;
	return 0;
}

int uz__async_wait(struct uz__async *a, unsigned int *number, ssize_t *result)
{
	struct io_uring_cqe *cqe;
	int ret;

	do {
		ret = io_uring_wait_cqe(&a->ring, &cqe);
	} while (ret == -EINTR);
	if (ret)
		return ret;
	*number = (unsigned int)cqe->user_data;
	*result = cqe->res;
	io_uring_cqe_seen(&a->ring, cqe);
	a->under--;
	return 0;
}

void uz__async_destroy(struct uz__async *a)
{
	unsigned int number;
	ssize_t result;

	if (!a)
		return;
	while (a->under && !uz__async_wait(a, &number, &result))
		;
	io_uring_queue_exit(&a->ring);
	free(a);
}
