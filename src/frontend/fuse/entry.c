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
 *
 * The process may die between any two instructions, and its successor finds
 * the memory as it was left then. Answering overwrites the request: the opcode
 * with the error, the first data of a write with how much was written. So what
 * came of the request is noted beside it first (the outcome), then marked as
 * complete by @answered_id, and only then laid where the kernel takes it from,
 * which can be repeated. By where the death was:
 *
 *   before the mark   The request is whole, and its client still waits: there
 *                     is no other way to him than a commit, and no commit
 *                     without the mark. It is carried out, perhaps for the
 *                     second time. Whatever was acknowledged meanwhile was
 *                     under way at the same time, so its order is anybody's.
 *   after the mark    It is never carried out again. The answer is made again
 *                     from the outcome, and committed; if the kernel has had
 *                     it, it says that it knows no such request.
 *   after the commit  The same, until the kernel brings the next request. It
 *                     does so in a system call, which death does not cut
 *                     short. But memory may fail it in the middle; then the
 *                     request is over, and what lies here is a mixture. The
 *                     kernel writes commit_id before in_out, so that the two
 *                     differ in their number: never carried out.
 *
 * The mark compares with commit_id, which the kernel gives to one request in
 * the life of a connection, so an old mark cannot fit a newer request.
 *
 * A request that is carried out by a successor has FUSE_UNIQUE_RESEND in its
 * unique, as the kernel itself would mark it on /dev/fuse: opening the block
 * file and stores to attributes are not done twice then.
 *
 * Who dies in the middle of a function leaves what it has stored in the order
 * of the program. For that, and nobody reads along, it suffices that the
 * compiler keeps the order.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include <uzram/util/delay.h>

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

/* Where the kernel looks for an answer. May be repeated. */
static void lay_out(const struct uz__fuse_entry *entry)
{
	const struct uz__fuse_outcome *outcome = entry->outcome;
	struct fuse_uring_req_header *hdr = entry->hdr;
	const struct fuse_out_header out = {
		.len = (uint32_t)sizeof(out) + outcome->len,
		.error = outcome->error,
		.unique = entry->commit_id,
	};

	if (outcome->small)
		memcpy(entry->payload, outcome->data, outcome->len);
	memcpy(hdr->in_out, &out, sizeof(out));
	hdr->ent.payload_sz = outcome->len;
}

/* The outcome is complete. */
static void conclude(const struct uz__fuse_entry *entry)
{
	/* release: after it; the fence: before the request is overwritten. */
	atomic_store_explicit(&entry->outcome->answered_id, entry->commit_id,
			      memory_order_release);
	atomic_signal_fence(memory_order_seq_cst);
	uz_delay(UZ_DELAY_MARKED);
	lay_out(entry);
}

static void conclude_error(const struct uz__fuse_entry *entry, int error)
{
	struct uz__fuse_outcome *outcome = entry->outcome;

	outcome->error = error;
	outcome->len = 0;
	outcome->small = 0;
	conclude(entry);
}

void uz__fuse_entry_serve(struct uz__fuse_entry *entry,
			  struct uz__fuse_call *call)
{
	struct uz__fuse_outcome *outcome = entry->outcome;
	struct uz__fuse_reply *reply = &call->reply;
	struct fuse_out_header out;
	int ret;

	reply->room = entry->payload;
	reply->cap = entry->cap;
	reply->data = NULL;
	reply->len = 0;
	entry->commit_id = entry->hdr->ent.commit_id;
	uz_delay(UZ_DELAY_RECEIVED);
	ret = decode(entry, &call->msg);
	if (entry->left == UZ__FUSE_LEFT_REQUEST)
		call->msg.hdr.unique |= FUSE_UNIQUE_RESEND;
	if (!ret)
		ret = uz__fuse_handle(call);
	uz__fuse_encode(&out, call, ret);
	outcome->error = out.error;
	outcome->len = (uint32_t)reply->len;
	/* A few words; other data are in their place already. */
	outcome->small = reply->len && reply->data != entry->payload;
	if (outcome->small)
		memcpy(outcome->data, reply->data, reply->len);
	uz_delay(UZ_DELAY_CARRIED);
	conclude(entry);
}

/* ---- what another process has left ---- */

/* As uz__fuse_entry_serve() makes them. */
static bool is_sound(const struct uz__fuse_entry *entry)
{
	const struct uz__fuse_outcome *outcome = entry->outcome;

	return outcome->error <= 0 && outcome->error > -512 &&
	       outcome->small <= 1 && (!outcome->error || !outcome->len) &&
	       outcome->len <=
		       (outcome->small ? sizeof(outcome->data) : entry->cap);
}

enum uz__fuse_left uz__fuse_entry_adopt(struct uz__fuse_entry *entry)
{
	struct uz__fuse_outcome *outcome = entry->outcome;
	struct fuse_in_header in;

	entry->commit_id = entry->hdr->ent.commit_id;
	if (!entry->commit_id)
		return UZ__FUSE_LEFT_NOTHING;
	/* relaxed: whoever wrote it is dead. */
	if (atomic_load_explicit(&outcome->answered_id, memory_order_relaxed) ==
	    entry->commit_id) {
		if (is_sound(entry))
			lay_out(entry);
		else
			conclude_error(entry, -EIO);
		return UZ__FUSE_LEFT_ANSWER;
	}
	memcpy(&in, entry->hdr->in_out, sizeof(in));
	if (in.unique != entry->commit_id) {
		conclude_error(entry, -EIO);
		return UZ__FUSE_LEFT_ANSWER;
	}
	return UZ__FUSE_LEFT_REQUEST;
}

/* ---- what a request costs ---- */

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
		/* A store to an attribute may wait for a close, or work. */
		if (in.nodeid != UZ__FUSE_BLOCK)
			return UZ__FUSE_COST_STORE;
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

uint64_t uz__fuse_entry_page(const struct uz__fuse_entry *entry, bool *reads)
{
	const struct fuse_uring_req_header *hdr = entry->hdr;
	struct fuse_in_header in;
	struct fuse_read_in rw; /* struct fuse_write_in begins with the same */

	memcpy(&in, hdr->in_out, sizeof(in));
	memcpy(&rw, hdr->op_in, sizeof(rw));
	*reads = in.opcode == FUSE_READ;
	if (in.nodeid != UZ__FUSE_BLOCK ||
	    (in.opcode != FUSE_READ && in.opcode != FUSE_WRITE))
		return UZ_PAGE_NONE;
	return rw.offset / UZ_PAGE_SIZE;
}

void uz__fuse_entry_expect(const struct uz__fuse_entry *entry, struct uz_io *io)
{
	if (!entry)
		return;
	uz_device_expect(io, entry->reads ? entry->page : UZ_PAGE_NONE,
			 entry->next ? entry->next->page : UZ_PAGE_NONE);
}
