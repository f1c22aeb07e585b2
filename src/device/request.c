// SPDX-License-Identifier: MIT
/*
 * A request of any offset and length, taken apart into pages.
 *
 * The gate (io.c) is passed once a request. Pages are independent, so page
 * workers may do some of those of a large request (job.c); small ones are
 * carried out by the thread that received them, at once. A write or discard
 * goes on after a page that failed, so that as much as possible is done, and
 * reports the error of the lowest page.
 *
 * Long discards skip what was never stored without touching the table's
 * memory. They are not shared: most of their time goes into giving memory
 * back, and two threads take no less of it than one.
 */
#include <errno.h>
#include <string.h>

#include "crew.h"

/*
 * Requests of fewer pages are never shared: with the usual codecs they are
 * done before a worker would have come, so no clock is asked about them.
 */
#define MANY_PAGES 8

static uint32_t min_u32(uint64_t a, uint32_t b)
{
	return a < b ? (uint32_t)a : b;
}

/*
 * Is this nothing but zeroing a hole? Then there is no page to make: punching
 * or zeroing what was never stored must not cost memory.
 */
static bool zero_needs_store(const struct uz_io *io, uint64_t index)
{
	return uz_table_load(io->dev->table, index) != 0;
}

static int request_one(struct uz_io *io, enum uz_op op, uint64_t index,
		       uint32_t off, uint32_t len, void *buf)
{
	int err;

	if (op == UZ_OP_WRITE)
		return len == UZ_PAGE_SIZE
			       ? uz_page_store(io, index, buf)
			       : uz_page_store_part(io, index, off, len, buf);
	if (op == UZ_OP_READ && len == UZ_PAGE_SIZE)
		return uz_page_load(io, index, buf);
	if (op == UZ_OP_READ) {
		err = uz_page_load(io, index, io->page);
		if (!err)
			memcpy(buf, io->page + off, len);
		return err;
	}
	/* The end of a zeroed range that is not a whole page. */
	return zero_needs_store(io, index)
		       ? uz_page_store_part(io, index, off, len, NULL)
		       : 0;
}

static uint64_t request_failure(uint64_t index, int err)
{
	return index << 12 | (uint64_t)-err;
}

uint64_t uz__request_part(struct uz_io *io, const struct uz_request *rq,
			  uint64_t first, uint64_t end)
{
	uint64_t failure = UZ__NO_FAILURE;
	uint64_t at = first * UZ_PAGE_SIZE, to = end * UZ_PAGE_SIZE;
	unsigned char *buf = rq->buf;

	if (at < rq->offset)
		at = rq->offset;
	if (to > rq->offset + rq->length)
		to = rq->offset + rq->length;
	buf += at - rq->offset;
	while (at < to) {
		uint32_t off = at % UZ_PAGE_SIZE;
		uint32_t len = min_u32(to - at, UZ_PAGE_SIZE - off);
		uint64_t index = at / UZ_PAGE_SIZE;
		int err = request_one(io, rq->op, index, off, len, buf);

		if (uz_unlikely(err) && failure == UZ__NO_FAILURE)
			failure = request_failure(index, err);
		if (uz_unlikely(err) && rq->op == UZ_OP_READ)
			break;
		uz_pulse_beat(io->pulse);
		at += len;
		buf += len;
	}
	return failure;
}

static int request_transfer(struct uz_io *io, const struct uz_request *rq)
{
	uint64_t first = rq->offset / UZ_PAGE_SIZE;
	uint64_t end =
		(rq->offset + rq->length + UZ_PAGE_SIZE - 1) / UZ_PAGE_SIZE;

	return uz__failure_errno(end - first < MANY_PAGES
					 ? uz__request_part(io, rq, first, end)
					 : uz__crew_run(io, rq, first, end));
}

static void request_drop(struct uz_io *io, uint64_t index, uint64_t end)
{
	uz__count(io, notify_free, end - index);
	while ((index = uz_table_next(io->dev->table, index)) < end) {
		uz_page_drop(io, index++);
		uz_pulse_beat(io->pulse);
	}
}

/* Zero a part of a page. */
static int request_zero(struct uz_io *io, uint64_t from, uint64_t to)
{
	return request_one(io, UZ_OP_ZERO, from / UZ_PAGE_SIZE,
			   from % UZ_PAGE_SIZE, (uint32_t)(to - from), NULL);
}

static int request_discard(struct uz_io *io, const struct uz_request *rq)
{
	uint64_t end = rq->offset + rq->length;
	uint64_t first = (rq->offset + UZ_PAGE_SIZE - 1) / UZ_PAGE_SIZE;
	uint64_t last = end / UZ_PAGE_SIZE;
	uint64_t head_end = first * UZ_PAGE_SIZE;
	int err = 0, tail_err = 0;

	if (first < last)
		request_drop(io, first, last);
	if (rq->op == UZ_OP_DISCARD)
		return 0;
	if (head_end > end)
		head_end = end;
	if (rq->offset < head_end)
		err = request_zero(io, rq->offset, head_end);
	if (first <= last && end % UZ_PAGE_SIZE)
		tail_err = request_zero(io, last * UZ_PAGE_SIZE, end);
	return err ? err : tail_err;
}

static int request_run(struct uz_io *io, const struct uz_request *rq)
{
	switch (rq->op) {
	case UZ_OP_READ:
		uz__count(io, num_reads, 1);
		uz__count(io, bytes_read, rq->length);
		return request_transfer(io, rq);
	case UZ_OP_WRITE:
		uz__count(io, num_writes, 1);
		uz__count(io, bytes_written, rq->length);
		return request_transfer(io, rq);
	case UZ_OP_DISCARD:
	case UZ_OP_ZERO:
		uz__count(io, num_discards, 1);
		return request_discard(io, rq);
	case UZ_OP_FLUSH:
		return 0;
	default:
		return -EINVAL;
	}
}

int uz_device_submit(struct uz_io *io, const struct uz_request *rq)
{
	/* A clock is asked about few requests only (latency.c). */
	uint64_t since = uz_likely(--io->untimed) ? 0 : uz__latency_start(io);
	uint64_t nr = uz__io_enter(io), size = nr * UZ_PAGE_SIZE;
	int err;

	if (io->soon != UZ_PAGE_NONE || io->later != UZ_PAGE_NONE)
		uz__expected(io, nr);
	uz_awake_use(io->dev->awake);
	uz_pulse_begin(io->pulse);
	if (uz_unlikely(!size || rq->offset > size ||
			rq->length > size - rq->offset)) {
		uz__count(io, invalid_io, 1);
		err = -EINVAL;
	} else {
		err = request_run(io, rq);
		if (uz_unlikely(since))
			uz__latency_stop(io, rq->op, since);
	}
	uz_pulse_end(io->pulse);
	uz__io_leave(io);
	return err;
}
