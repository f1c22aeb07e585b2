// SPDX-License-Identifier: MIT
/*
 * One io_uring of the FUSE transport, made for one thread. Others reach it by
 * messages from ring to ring, so nobody needs a lock, and a message wakes the
 * thread as a request does.
 *
 * Submissions have 128 bytes, as FUSE demands. The flags that let a ring put
 * completions off until its thread asks are not set: a thread that is at work
 * shall see that more has come in, so that it can share.
 */
#include <errno.h>
#include <liburing.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "uring_priv.h"

#define SQ_ENTRIES 64

/* The kind lies in the low bits of an entry's address. */
#define KIND_MASK 7u

struct uz__ring {
	struct io_uring ring;
	int fd;
};

int uz__ring_create(struct uz__ring **ring, int fd, unsigned int events)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SQE128 | IORING_SETUP_CQSIZE |
			 IORING_SETUP_CLAMP,
		.cq_entries = events < 2 * SQ_ENTRIES ? 2 * SQ_ENTRIES : events,
	};
	struct uz__ring *r = calloc(1, sizeof(*r));
	int ret;

	if (!r)
		return -ENOMEM;
	r->fd = fd;
	ret = io_uring_queue_init_params(SQ_ENTRIES, &r->ring, &params);
	if (ret < 0) {
		free(r);
		return ret;
	}
	*ring = r;
	return 0;
}

void uz__ring_destroy(struct uz__ring *ring)
{
	if (!ring)
		return;
	io_uring_queue_exit(&ring->ring);
	free(ring);
}

static uint64_t event_word(enum uz__ring_kind kind,
			   const struct uz__fuse_entry *entry)
{
	return (uintptr_t)entry | kind;
}

/* Room for one submission; makes some if there is none. */
static struct io_uring_sqe *prepare(struct uz__ring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->ring);

	if (!sqe) {
		/* It may have made room though it did not get to the end. */
		uz__ring_submit(ring, false);
		sqe = io_uring_get_sqe(&ring->ring);
	}
	if (sqe)
		memset(sqe, 0, 2 * sizeof(*sqe));
	return sqe;
}

static int prepare_cmd(struct uz__ring *ring, struct uz__fuse_entry *entry,
		       enum fuse_uring_cmd op)
{
	struct io_uring_sqe *sqe = prepare(ring);
	const struct fuse_uring_cmd_req req = {
		.qid = entry->qid,
		.commit_id = op == FUSE_IO_URING_CMD_COMMIT_AND_FETCH
				     ? entry->commit_id
				     : 0,
	};

	if (!sqe)
		return -EBUSY;
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = ring->fd;
	sqe->cmd_op = op;
	sqe->user_data = event_word(UZ__RING_REQUEST, entry);
	memcpy(sqe->cmd, &req, sizeof(req));
	if (op == FUSE_IO_URING_CMD_REGISTER) {
		sqe->addr = (uintptr_t)entry->iov;
		sqe->len = 2;
	}
	return 0;
}

int uz__ring_register(struct uz__ring *ring, struct uz__fuse_entry *entry)
{
	return prepare_cmd(ring, entry, FUSE_IO_URING_CMD_REGISTER);
}

int uz__ring_commit(struct uz__ring *ring, struct uz__fuse_entry *entry)
{
	return prepare_cmd(ring, entry, FUSE_IO_URING_CMD_COMMIT_AND_FETCH);
}

int uz__ring_send(struct uz__ring *ring, struct uz__ring *to,
		  enum uz__ring_kind kind, struct uz__fuse_entry *entry)
{
	struct io_uring_sqe *sqe = prepare(ring);

	if (!sqe)
		return -EBUSY;
	sqe->opcode = IORING_OP_MSG_RING;
	sqe->fd = to->ring.ring_fd;
	sqe->off = event_word(kind, entry);
	sqe->flags = IOSQE_CQE_SKIP_SUCCESS;
	sqe->user_data = event_word(UZ__RING_BACK, entry);
	return 0;
}

/*
 * A thread that dies has its commands cancelled where it dies only if it also
 * waits for another ring; otherwise some time later, by somebody else, and
 * until then the kernel hands requests to it. This poll waits for nothing that
 * ever comes.
 */
int uz__ring_guard(struct uz__ring *ring, struct uz__ring *other)
{
	struct io_uring_sqe *sqe = prepare(ring);

	if (!sqe)
		return -EBUSY;
	io_uring_prep_poll_add(sqe, other->ring.ring_fd, 0);
	sqe->user_data = event_word(UZ__RING_BACK, NULL);
	return 0;
}

/*
 * Asks the kernel for what it has cached of a file, which is nothing: it says
 * so by a request in the queue of the CPU that we are on. Nobody waits for it,
 * so that we may die at any time; a thread that sleeps until its own process
 * answers could not be killed.
 */
static int ask_for_nothing(const struct uz__ring *ring, uint64_t nodeid)
{
	struct timespec now;
	struct {
		struct fuse_out_header hdr;
		struct fuse_notify_retrieve_out body;
	} note = {
		.hdr = { .len = sizeof(note), .error = FUSE_NOTIFY_RETRIEVE },
		.body = { .nodeid = nodeid },
	};

	/*
	 * Its request's number. The kernel counts its own from 0, so it never
	 * gets there; and no predecessor had this one.
	 */
	clock_gettime(CLOCK_BOOTTIME, &now);
	note.body.notify_unique =
		(UINT64_C(1) << 62) +
		((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec) *
			2;
	return write(ring->fd, &note, sizeof(note)) < 0 ? -errno : 0;
}

/* Of any file that the kernel knows; mostly that is the first. */
static int ask_for_any(const struct uz__ring *ring)
{
	uint64_t nodeid = UZ__FUSE_BLOCK;
	int ret;

	do {
		ret = ask_for_nothing(ring, nodeid);
	} while (ret == -ENOENT && uz__fuse_attr_of(++nodeid));
	return ret;
}

int uz__ring_poke(struct uz__ring *ring, uint16_t qid)
{
	cpu_set_t before, there;
	int ret;

	if (qid >= CPU_SETSIZE)
		return -EINVAL;
	CPU_ZERO(&there);
	CPU_SET(qid, &there);
	if (sched_getaffinity(0, sizeof(before), &before) ||
	    sched_setaffinity(0, sizeof(there), &there))
		return -errno;
	ret = ask_for_any(ring);
	if (sched_setaffinity(0, sizeof(before), &before) && !ret)
		ret = -errno;
	return ret;
}

int uz__ring_submit(struct uz__ring *ring, bool wait)
{
	int ret;

	/* One that is wrong ends a call; those behind it need another. */
	do {
		ret = wait ? io_uring_submit_and_wait(&ring->ring, 1)
			   : io_uring_submit(&ring->ring);
	} while (ret > 0 && io_uring_sq_ready(&ring->ring));
	if (ret < 0 && ret != -EINTR && ret != -EAGAIN && ret != -EBUSY)
		return ret;
	return io_uring_sq_ready(&ring->ring) ? -EAGAIN : 0;
}

bool uz__ring_next(struct uz__ring *ring, struct uz__ring_event *event)
{
	struct io_uring_cqe *cqe;
	uint64_t word;

	if (io_uring_peek_cqe(&ring->ring, &cqe))
		return false;
	word = cqe->user_data;
	event->kind = word & KIND_MASK;
	event->entry = (void *)(uintptr_t)(word & ~(uint64_t)KIND_MASK);
	event->res = cqe->res;
	io_uring_cqe_seen(&ring->ring, cqe);
	return true;
}
