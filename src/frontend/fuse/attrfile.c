// SPDX-License-Identifier: MIT
/*
 * The files of the attributes. As in sysfs, a read is one show (or a part of
 * one) and a write is one store. Nothing is kept from one read to the next:
 * each makes the text anew and gives the part that was asked for, so an open
 * file has no state that a new process would have to take over. A write's
 * offset means nothing, so that appending works too.
 *
 * The kernel lets one writer at a time into a file, so a second store to an
 * attribute would wait until the first is done, without a word, for minutes
 * where that takes long. There, who opens the file for writing is refused
 * while a store is under way: a shell's ">" opens first, and only then waits
 * for the writer before it, as it has the file truncated. Who had it open
 * already writes in parallel, and is refused by the store.
 */
#include <errno.h>
#include <fcntl.h>

#include "fuse_priv.h"

/* The mode is checked by the kernel; but root passes any mode. */
int uz__fuse_attrfile_open(struct uz__fuse_call *call)
{
	const struct uz__fuse_msg *msg = &call->msg;
	const struct uz_attr *attr = uz__fuse_attr_of(msg->hdr.nodeid);
	const int access = (int)(msg->in.open.flags & O_ACCMODE);

	if (access != O_WRONLY && !attr->show)
		return -EACCES;
	if (access != O_RDONLY && !attr->store)
		return -EACCES;
	call->reply.out.open = (struct fuse_open_out){
		.open_flags = FOPEN_DIRECT_IO,
	};
	if (uz_attr_takes_long(attr))
		call->reply.out.open.open_flags |= FOPEN_PARALLEL_DIRECT_WRITES;
	uz__fuse_answer(&call->reply, open);
	return access == O_RDONLY ? 0 : uz_attr_busy(call->fuse->attrs, attr);
}

int uz__fuse_attrfile_read(struct uz__fuse_call *call)
{
	const struct uz__fuse_msg *msg = &call->msg;
	struct uz__fuse_reply *reply = &call->reply;
	const struct uz_attr *attr = uz__fuse_attr_of(msg->hdr.nodeid);
	const struct fuse_read_in *in = &msg->in.read;
	size_t size = in->size < reply->cap ? in->size : reply->cap;
	size_t len;
	int ret;

	ret = uz_attr_read(call->fuse->attrs, attr, in->offset, reply->room,
			   size, &len);
	if (!ret && len) {
		reply->data = reply->room;
		reply->len = len;
	}
	return ret;
}

int uz__fuse_attrfile_write(struct uz__fuse_call *call)
{
	const struct uz__fuse_msg *msg = &call->msg;
	struct uz__fuse_reply *reply = &call->reply;
	const struct uz_attr *attr = uz__fuse_attr_of(msg->hdr.nodeid);

	reply->out.write = (struct fuse_write_out){
		.size = (uint32_t)msg->payload_len,
	};
	uz__fuse_answer(reply, write);
	return uz_attr_store_for(call->fuse->attrs, attr, msg->payload,
				 msg->payload_len,
				 msg->hdr.unique & FUSE_UNIQUE_RESEND,
				 msg->hdr.unique & ~FUSE_UNIQUE_RESEND);
}
