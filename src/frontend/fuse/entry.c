// SPDX-License-Identifier: MIT
/*
 * One request as io_uring brings it: the header, the fixed part and the data
 * each at a place of their own. The answer is built where the request lay:
 * what is read is decompressed into the payload, what is written is taken from
 * there.
 *
 * Knows no ring. Whatever bytes the buffers hold, nothing outside of them is
 * touched, and there is always an answer: without one the kernel would never
 * use the entry again.
 */
#include <errno.h>
#include <string.h>

#include "uring_priv.h"

/* Of a page read (decompressed) and written (compressed). */
#define COST_READ  1
#define COST_WRITE 4

/*
 * A page that is given back costs half of one that is read. How many of a
 * range are there is not known here, so it counts as if all were. A request for
 * more than this takes longer than two of the longest writes.
 */
#define DISCARD_PAGES 2
#define SLOW_DISCARD  (16u << 20)

static int decode(struct uz__fuse_entry *entry, struct uz__fuse_msg *msg)
{
	const struct fuse_uring_req_header *hdr = entry->hdr;

	memcpy(&msg->hdr, hdr->in_out, sizeof(msg->hdr));
	if (hdr->ent.payload_sz > entry->cap)
		return -EINVAL;
	return uz__fuse_decode_parts(msg, hdr->op_in, sizeof(hdr->op_in),
				     entry->payload, hdr->ent.payload_sz);
}

void uz__fuse_entry_serve(struct uz__fuse_entry *entry,
			  struct uz__fuse_call *call)
{
	struct uz__fuse_reply *reply = &call->reply;
	struct fuse_uring_req_header *hdr = entry->hdr;
	struct fuse_out_header out;
	int ret;

	reply->room = entry->payload;
	reply->cap = entry->cap;
	reply->data = NULL;
	reply->len = 0;
	entry->commit_id = hdr->ent.commit_id;
	ret = decode(entry, &call->msg);
	if (!ret)
		ret = uz__fuse_handle(call);
	uz__fuse_encode(&out, call, ret);
	/* A few words; data are there already. */
	if (reply->len && reply->data != entry->payload)
		memcpy(entry->payload, reply->data, reply->len);
	memcpy(hdr->in_out, &out, sizeof(out));
	hdr->ent.payload_sz = (uint32_t)reply->len;
}

static unsigned int pages(uint32_t bytes)
{
	return bytes / UZ_PAGE_SIZE + !!(bytes % UZ_PAGE_SIZE) + !bytes;
}

static unsigned int discard_cost(uint64_t bytes)
{
	if (bytes > SLOW_DISCARD)
		return UZ__FUSE_COST_SLOW;
	return 1 + pages((uint32_t)bytes) / DISCARD_PAGES;
}

unsigned int uz__fuse_entry_cost(const struct uz__fuse_entry *entry)
{
	const struct fuse_uring_req_header *hdr = entry->hdr;
	struct fuse_in_header in;
	struct fuse_fallocate_in fallocate;
	struct fuse_read_in rw; /* struct fuse_write_in begins with the same */

	memcpy(&in, hdr->in_out, sizeof(in));
	memcpy(&rw, hdr->op_in, sizeof(rw));
	switch (in.opcode) {
	case FUSE_READ:
		return pages(rw.size) * COST_READ;
	case FUSE_WRITE:
		/* A store to an attribute may wait for a close. */
		if (in.nodeid != UZ__FUSE_BLOCK)
			return UZ__FUSE_COST_SLOW;
		return pages(rw.size) * COST_WRITE;
	case FUSE_FALLOCATE:
		memcpy(&fallocate, hdr->op_in, sizeof(fallocate));
		return discard_cost(fallocate.length);
	case FUSE_LSEEK:
		/* It may look at every page that the device has. */
		return UZ__FUSE_COST_SLOW;
	default:
		return 1;
	}
}
