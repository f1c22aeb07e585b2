// SPDX-License-Identifier: MIT
/*
 * A request of any offset and length, taken apart into pages.
 *
 * The gate (io.c) is passed once a request. Pages are independent; a write or
 * discard goes on after a page that failed, so that as much as possible is
 * done, and reports the first error. Long discards skip what was never stored
 * without touching the table's memory.
 */
#include <errno.h>
#include <string.h>

#include "device_priv.h"

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

/* Read, write, and the partial ends of write-zeroes. */
static int request_pages(struct uz_io *io, enum uz_op op, uint64_t offset,
			 uint64_t length, unsigned char *buf)
{
	int first = 0;

	while (length) {
		uint32_t off = offset % UZ_PAGE_SIZE;
		uint32_t len = min_u32(length, UZ_PAGE_SIZE - off);
		uint64_t index = offset / UZ_PAGE_SIZE;
		int err = request_one(io, op, index, off, len, buf);

		if (err && !first)
			first = err;
		if (err && op == UZ_OP_READ)
			break;
		offset += len;
		length -= len;
		if (buf)
			buf += len;
	}
	return first;
}

static void request_drop(struct uz_io *io, uint64_t index, uint64_t end)
{
	uz__count(io, notify_free, end - index);
	while ((index = uz_table_next(io->dev->table, index)) < end)
		uz_page_drop(io, index++);
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
		err = request_pages(io, UZ_OP_ZERO, rq->offset,
				    head_end - rq->offset, NULL);
	if (first <= last && end % UZ_PAGE_SIZE)
		tail_err = request_pages(io, UZ_OP_ZERO, last * UZ_PAGE_SIZE,
					 end % UZ_PAGE_SIZE, NULL);
	return err ? err : tail_err;
}

static int request_run(struct uz_io *io, const struct uz_request *rq)
{
	switch (rq->op) {
	case UZ_OP_READ:
		uz__count(io, num_reads, 1);
		uz__count(io, bytes_read, rq->length);
		return request_pages(io, rq->op, rq->offset, rq->length,
				     rq->buf);
	case UZ_OP_WRITE:
		uz__count(io, num_writes, 1);
		uz__count(io, bytes_written, rq->length);
		return request_pages(io, rq->op, rq->offset, rq->length,
				     rq->buf);
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
	uint64_t size = uz__io_enter(io) * UZ_PAGE_SIZE;
	int err;

	if (uz_unlikely(!size || rq->offset > size ||
			rq->length > size - rq->offset)) {
		uz__count(io, invalid_io, 1);
		err = -EINVAL;
	} else {
		err = request_run(io, rq);
	}
	uz__io_leave(io);
	return err;
}
