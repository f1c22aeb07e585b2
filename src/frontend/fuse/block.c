// SPDX-License-Identifier: MIT
/*
 * The block file: requests of the kernel become requests of the device. It
 * behaves as a block device does: a read ends at the end, a write beyond it
 * finds no space, O_TRUNC empties nothing, holes are punched within the size.
 * Any offset and length is taken; the device does what a part of a page needs.
 *
 * No lock and no allocation here. The size is read once per request; when the
 * device is reset in between, the device refuses and the client gets EIO.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <uzram/util/delay.h>

#include "session_priv.h"

/* Bytes of [@offset, @offset + @len) that lie within @size. */
static uint64_t within(uint64_t offset, uint64_t len, uint64_t size)
{
	if (offset >= size)
		return 0;
	return len < size - offset ? len : size - offset;
}

static int submit(struct uz_io *io, const struct uz_request *rq)
{
	int ret = uz_device_submit(io, rq);

	/* A client knows what no space means; all else is a broken disk. */
	return !ret || ret == -ENOSPC ? ret : -EIO;
}

/*
 * Direct I/O: whoever uses the file (a loop device with a file system on it)
 * caches already, and a second copy of each page would cost what compression
 * gains. Writers of different places need not wait for one another.
 */
int uz__fuse_block_open(struct uz__fuse_call *call)
{
	struct uz__fuse_reply *reply = &call->reply;

	reply->out.open = (struct fuse_open_out){
		.fh = uz__fuse_session_open(call->fuse, call->msg.hdr.unique),
		.open_flags = FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES,
	};
	uz__fuse_answer(reply, open);
	return 0;
}

int uz__fuse_block_release(struct uz__fuse_call *call)
{
	uz__fuse_session_close(call->fuse, call->msg.in.release.fh);
	return 0;
}

int uz__fuse_block_read(struct uz__fuse_call *call)
{
	const struct uz__fuse_msg *msg = &call->msg;
	struct uz__fuse_reply *reply = &call->reply;
	const struct fuse_read_in *in = &msg->in.read;
	const struct uz_request rq = {
		.op = UZ_OP_READ,
		.offset = in->offset,
		.length = within(in->offset,
				 in->size < reply->cap ? in->size : reply->cap,
				 uz_device_disksize(call->fuse->dev)),
		.buf = reply->room,
	};

	reply->data = rq.buf;
	reply->len = rq.length;
	return rq.length ? submit(call->io, &rq) : 0;
}

int uz__fuse_block_write(struct uz__fuse_call *call)
{
	const struct uz__fuse_msg *msg = &call->msg;
	struct uz__fuse_reply *reply = &call->reply;
	const struct fuse_write_in *in = &msg->in.write;
	const struct uz_request rq = {
		.op = UZ_OP_WRITE,
		.offset = in->offset,
		.length = within(in->offset, in->size,
				 uz_device_disksize(call->fuse->dev)),
		.buf = msg->payload,
	};

	reply->out.write = (struct fuse_write_out){
		.size = (uint32_t)rq.length,
	};
	uz__fuse_answer(reply, write);
	if (!rq.length)
		return in->size ? -ENOSPC : 0;
	uz_delay_poison(rq.buf, rq.length);
	return submit(call->io, &rq);
}

/*
 * Preallocation is refused, as by a block device: room for pages that nobody
 * has seen yet cannot be promised.
 */
int uz__fuse_block_fallocate(struct uz__fuse_call *call)
{
	const struct uz__fuse_msg *msg = &call->msg;
	const struct fuse_fallocate_in *in = &msg->in.fallocate;
	const struct uz_request rq = {
		.op = UZ_OP_ZERO,
		.offset = in->offset,
		.length = within(in->offset, in->length,
				 uz_device_disksize(call->fuse->dev)),
	};

	switch (in->mode) {
	case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
	case FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE:
		break;
	case FALLOC_FL_ZERO_RANGE:
		if (rq.length < in->length)
			return -EINVAL;
		break;
	default:
		return -EOPNOTSUPP;
	}
	return rq.length ? submit(call->io, &rq) : -EINVAL;
}

int uz__fuse_block_lseek(struct uz__fuse_call *call)
{
	const struct uz__fuse_msg *msg = &call->msg;
	struct uz__fuse_reply *reply = &call->reply;
	const struct fuse_lseek_in *in = &msg->in.lseek;
	uint64_t found;
	int ret;

	if (in->whence != SEEK_DATA && in->whence != SEEK_HOLE)
		return -EINVAL;
	if (in->offset >= uz_device_disksize(call->fuse->dev))
		return -ENXIO;
	ret = uz_device_next(call->fuse->dev, in->offset,
			     in->whence == SEEK_DATA, &found);
	if (ret)
		return ret;
	reply->out.lseek.offset = found;
	uz__fuse_answer(reply, lseek);
	return 0;
}
