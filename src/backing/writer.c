// SPDX-License-Identifier: MIT
/*
 * Several writes under way at a time.
 *
 * A queue (io_uring) takes them where there is one; otherwise, and where it
 * does not take one, a write is carried out at once and waits in a list. What
 * a queue wrote only in part is finished here.
 *
 * One thread uses a writer; no locks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "backing_priv.h"

/*
 * struct uz_writer - see above
 * @backing: the store
 * @queue:   or NULL
 * @under_way: writes in the queue
 * @done:    carried out here, not yet fetched
 */
struct uz_writer {
	struct uz_backing *backing;
	struct uz__queue *queue;
	unsigned int under_way;
	struct uz_write *done;
};

int uz_writer_create(struct uz_writer **writer, struct uz_backing *backing,
		     unsigned int depth)
{
	struct uz_writer *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->backing = backing;
	/* Whatever the reason, it works without. */
	if (uz__queue_create(&w->queue, backing->out, depth))
		w->queue = NULL;
	*writer = w;
	return 0;
}

void uz_writer_destroy(struct uz_writer *w)
{
	if (!w)
		return;
	uz__queue_destroy(w->queue);
	free(w);
}

/* Leave out the first @bytes. */
static void advance(struct uz_write *write, size_t bytes)
{
	write->offset += bytes;
	write->length -= bytes;
	while (bytes && bytes >= write->iov->iov_len) {
		bytes -= write->iov->iov_len;
		write->iov++;
		write->nr--;
	}
	if (!bytes)
		return;
	write->iov->iov_base = (char *)write->iov->iov_base + bytes;
	write->iov->iov_len -= bytes;
}

static int write_rest(struct uz_backing *b, struct uz_write *write)
{
	ssize_t n;

	while (write->length) {
		n = pwritev(b->out, write->iov, (int)write->nr,
			    (off_t)write->offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -EIO;
		advance(write, (size_t)n);
	}
	return 0;
}

static void finish(struct uz_writer *w, struct uz_write *write, long res)
{
	size_t length = write->length;

	if (res > 0)
		advance(write, (size_t)res);
	/* A queue may stop for a signal, or have no memory just then. */
	if (res >= 0 || res == -EINTR || res == -EAGAIN)
		res = write_rest(w->backing, write);
	write->result = (int)res;
	/* relaxed: a number for people */
	if (!res)
		atomic_fetch_add_explicit(&w->backing->written, length,
					  memory_order_relaxed);
}

void uz_writer_submit(struct uz_writer *w, struct uz_write *write)
{
	if (w->queue && !uz__queue_submit(w->queue, write)) {
		w->under_way++;
		return;
	}
	finish(w, write, 0);
	write->next = w->done;
	w->done = write;
}

static struct uz_write *next_done(struct uz_writer *w, bool wait)
{
	struct uz_write *write = w->done;
	long res;

	if (write) {
		w->done = write->next;
		return write;
	}
	write = w->under_way ? uz__queue_next(w->queue, wait, &res) : NULL;
	if (!write)
		return NULL;
	w->under_way--;
	finish(w, write, res);
	return write;
}

struct uz_write *uz_writer_wait(struct uz_writer *w)
{
	return next_done(w, true);
}

struct uz_write *uz_writer_look(struct uz_writer *w)
{
	return next_done(w, false);
}

int uz_writer_sync(struct uz_writer *w, uint64_t offset, uint64_t length)
{
	int fd = w->backing->out;

	if (w->backing->direct)
		return 0;
	if (fdatasync(fd))
		return -errno;
	posix_fadvise(fd, (off_t)offset, (off_t)length, POSIX_FADV_DONTNEED);
	return 0;
}
