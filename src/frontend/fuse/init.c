// SPDX-License-Identifier: MIT
/*
 * FUSE_INIT: what we and the kernel agree on, once per mount. The outcome is
 * in struct uz__fuse_proto, because whoever takes the mount over later cannot
 * ask again.
 *
 * FUSE_ATOMIC_O_TRUNC is left out on purpose. With it the kernel believes that
 * open(O_TRUNC) has emptied the file and forgets the size of the block file:
 * asynchronous reads then end at 0 and writes exclude one another until
 * somebody asks for the size again. Without it O_TRUNC arrives as a change of
 * size, which we answer with the size that it really has.
 */
#include <errno.h>

#include "fuse_priv.h"

/*
 * Requests in flight that come from asynchronous direct I/O. What is above that
 * waits in the kernel whatever queue has room, so several programs with deep
 * queues must not reach it.
 */
#define BACKGROUND_MAX	     1024
#define BACKGROUND_CONGESTED 768

static const uint64_t wanted =
	FUSE_ASYNC_READ | /* several reads of one file at a time */
	FUSE_BIG_WRITES | FUSE_MAX_PAGES | /* requests of 1 MiB */
	FUSE_ASYNC_DIO | /* a loop device keeps many requests in flight */
	FUSE_PARALLEL_DIROPS | FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO |
	FUSE_INIT_EXT | /* there are flags above bit 31 */
	FUSE_DIRECT_IO_ALLOW_MMAP; /* mmap(MAP_SHARED) in spite of direct I/O */

int uz__fuse_init(struct uz__fuse_call *call)
{
	struct uz__fuse_proto *proto = &call->fuse->proto;
	const struct fuse_init_in *in = &call->msg.in.init;
	struct fuse_init_out *out = &call->reply.out.init;
	uint64_t offered = in->flags;

	*out = (struct fuse_init_out){
		.major = FUSE_MAJOR,
		.minor = FUSE_MINOR,
	};
	uz__fuse_answer(&call->reply, init);
	if (in->major > FUSE_MAJOR)
		return -EAGAIN;
	if (in->major < FUSE_MAJOR || in->minor < FUSE_MINOR_MIN)
		return -EPROTO;

	if (offered & FUSE_INIT_EXT)
		offered |= (uint64_t)in->flags2 << 32;
	proto->flags = offered & wanted;
	proto->offered = offered;
	proto->io_max = UZ__FUSE_IO_MAX;
	proto->minor = in->minor < FUSE_MINOR ? in->minor : FUSE_MINOR;

	out->minor = proto->minor;
	out->max_readahead = in->max_readahead;
	out->flags = (uint32_t)proto->flags;
	out->flags2 = (uint32_t)(proto->flags >> 32);
	out->max_background = BACKGROUND_MAX;
	out->congestion_threshold = BACKGROUND_CONGESTED;
	out->max_write = proto->io_max;
	out->max_pages = (uint16_t)(proto->io_max / UZ_PAGE_SIZE);
	out->time_gran = 1;
	return 0;
}

void uz__fuse_init_uring(struct uz__fuse_call *call, uint32_t io_max)
{
	struct uz__fuse_proto *proto = &call->fuse->proto;
	struct fuse_init_out *out = &call->reply.out.init;

	proto->flags |= FUSE_OVER_IO_URING;
	proto->io_max = io_max;
	out->flags2 = (uint32_t)(proto->flags >> 32);
	out->max_write = io_max;
	out->max_pages = (uint16_t)(io_max / UZ_PAGE_SIZE);
}
