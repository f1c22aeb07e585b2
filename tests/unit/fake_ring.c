// SPDX-License-Identifier: MIT
/*
 * See fake_ring.h. One lock for everything, as this is not about speed; and so
 * that ThreadSanitizer sees the order that the kernel's rings give. Each ring
 * has a condition of its own: 64 that woke each other would never be quiet.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fake_ring.h"

#define QUEUES	 64
#define RINGS	 (QUEUES + 2 + UZ__FUSE_CLERKS)
#define MANY	 4096
#define PREPARED 256

#define NS_PER_SECOND 1000000000L
#define INTERRUPT_NS  1000000L

enum op {
	OP_REGISTER,
	OP_COMMIT,
	OP_SEND
};

struct prepared {
	enum op op;
	struct uz__fuse_entry *entry;
	struct uz__ring *to;
	enum uz__ring_kind kind;
};

struct uz__ring {
	struct uz__ring_event events[MANY];
	unsigned int head, tail;
	struct prepared prepared[PREPARED];
	unsigned int count;
	pthread_cond_t woken;
	bool asleep;
};

struct request {
	struct fuse_in_header hdr;
	unsigned char arg[64];
	unsigned char payload[64];
	uint32_t payload_len;
};

struct place {
	struct uz__fuse_entry *entry;
	struct uz__ring *ring;
};

static struct {
	unsigned int queues;
	struct {
		/* A stack: the kernel takes what was used last first. */
		struct place free[MANY];
		unsigned int nr_free;
		struct request waiting[MANY];
		unsigned int first, nr_waiting;
		unsigned int registered;
		/* Numbers of the requests that were given out. */
		uint64_t given[MANY];
		unsigned int nr_given;
	} queue[QUEUES];
	bool ended;
	struct fake_answer answers[MANY];
	unsigned int nr_answers;
	unsigned int nr_unknown;
	struct uz__ring *rings[RINGS];
	unsigned int nr_rings;
	bool paused;
} * kernel;

struct fake_faults fake_faults;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* For who looks at the kernel: an answer more, a ring more that sleeps. */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static bool fault(unsigned int *counter)
{
	return *counter && (*counter)--;
}

static bool fault_after(unsigned int *before, unsigned int *counter)
{
	return !fault(before) && fault(counter);
}

static void post(struct uz__ring *ring, enum uz__ring_kind kind,
		 struct uz__fuse_entry *entry, int res)
{
	ring->events[ring->tail++ % MANY] = (struct uz__ring_event){
		.kind = kind,
		.entry = entry,
		.res = res,
	};
	ring->asleep = false;
	pthread_cond_signal(&ring->woken);
}

static void give(unsigned int queue, struct fuse_uring_req_header *hdr,
		 const struct request *rq)
{
	memcpy(hdr->op_in, rq->arg, sizeof(rq->arg));
	hdr->ent.commit_id = rq->hdr.unique;
	hdr->ent.payload_sz = rq->payload_len;
	memcpy(hdr->in_out, &rq->hdr, sizeof(rq->hdr));
	kernel->queue[queue].given[kernel->queue[queue].nr_given++] =
		rq->hdr.unique;
}

/* Whether the kernel had it. */
static bool take_back(unsigned int queue, uint64_t unique)
{
	uint64_t *given = kernel->queue[queue].given;
	unsigned int *n = &kernel->queue[queue].nr_given, i;

	for (i = 0; i < *n && given[i] != unique; i++)
		;
	if (i == *n)
		return false;
	given[i] = given[--*n];
	return true;
}

static void deliver(struct place at, const struct request *rq)
{
	memcpy(at.entry->payload, rq->payload, rq->payload_len);
	give(at.entry->qid, at.entry->hdr, rq);
	post(at.ring, UZ__RING_REQUEST, at.entry, 0);
}

/* For what comes from now on; what waits is brought by a commit only. */
static void make_available(struct uz__ring *ring, struct uz__fuse_entry *entry)
{
	const struct place at = { entry, ring };
	unsigned int q = entry->qid;

	if (kernel->ended)
		post(ring, UZ__RING_REQUEST, entry, -ENOTCONN);
	else
		kernel->queue[q].free[kernel->queue[q].nr_free++] = at;
}

static void make_free(struct uz__ring *ring, struct uz__fuse_entry *entry)
{
	const struct place at = { entry, ring };
	unsigned int q = entry->qid;

	if (!kernel->ended &&
	    kernel->queue[q].first < kernel->queue[q].nr_waiting)
		deliver(at,
			&kernel->queue[q].waiting[kernel->queue[q].first++]);
	else
		make_available(ring, entry);
}

static void do_register(struct uz__ring *ring, struct uz__fuse_entry *entry)
{
	const struct fake_faults *f = &fake_faults;
	unsigned int round;

	if (entry->qid >= kernel->queues) {
		if (!f->takes_anything)
			post(ring, UZ__RING_REQUEST, entry, -EINVAL);
		return;
	}
	if (fault(&fake_faults.registers)) {
		post(ring, UZ__RING_REQUEST, entry, -ENOMEM);
		return;
	}
	round = kernel->queue[entry->qid].registered++;
	if ((f->register_from && round >= f->register_from - 1) ||
	    f->register_queue == entry->qid + 1u)
		post(ring, UZ__RING_REQUEST, entry,
		     f->register_error ? f->register_error : -ENOMEM);
	else
		make_available(ring, entry);
}

static void do_commit(struct uz__ring *ring, struct uz__fuse_entry *entry)
{
	struct fuse_out_header out;

	if (fault(&fake_faults.commits)) {
		post(ring, UZ__RING_REQUEST, entry, fake_faults.commit_error);
		return;
	}
	if (!kernel->ended && !take_back(entry->qid, entry->commit_id)) {
		kernel->nr_unknown++;
		post(ring, UZ__RING_REQUEST, entry, -ENOENT);
		return;
	}
	memcpy(&out, entry->hdr->in_out, sizeof(out));
	kernel->answers[kernel->nr_answers++ % MANY] = (struct fake_answer){
		.unique = entry->commit_id == out.unique ? out.unique : 0,
		.error = out.error,
		.queue = entry->qid,
		.ring = ring,
	};
	pthread_cond_broadcast(&changed);
	make_free(ring, entry);
}

static void do_prepared(struct uz__ring *ring, const struct prepared *p)
{
	switch (p->op) {
	case OP_REGISTER:
		do_register(ring, p->entry);
		break;
	case OP_COMMIT:
		do_commit(ring, p->entry);
		break;
	case OP_SEND:
		if (!p->entry && p->kind == UZ__RING_GO &&
		    fake_faults.lost_orders)
			post(ring, UZ__RING_BACK, NULL, -EOVERFLOW);
		else if (p->kind == UZ__RING_STOP && fault(&fake_faults.stops))
			post(ring, UZ__RING_BACK, NULL, -EOVERFLOW);
		else if (p->entry && fault_after(&fake_faults.sends_after,
						 &fake_faults.sends))
			post(ring, UZ__RING_BACK, p->entry, -EOVERFLOW);
		else
			post(p->to, p->kind, p->entry, 0);
		break;
	}
}

/* ---- the ring ---- */

int uz__ring_create(struct uz__ring **ring, int fd, unsigned int events)
{
	struct uz__ring *r;

	(void)fd;
	(void)events;
	if (fake_faults.create_after && !--fake_faults.create_after)
		return -ENOMEM;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	pthread_cond_init(&r->woken, NULL);
	pthread_mutex_lock(&lock);
	kernel->rings[kernel->nr_rings++] = r;
	pthread_mutex_unlock(&lock);
	*ring = r;
	return 0;
}

void uz__ring_destroy(struct uz__ring *ring)
{
	unsigned int i = 0;

	if (!ring)
		return;
	pthread_mutex_lock(&lock);
	while (kernel->rings[i] != ring)
		i++;
	kernel->rings[i] = kernel->rings[--kernel->nr_rings];
	pthread_mutex_unlock(&lock);
	pthread_cond_destroy(&ring->woken);
	free(ring);
}

static int prepare(struct uz__ring *ring, struct prepared p)
{
	if (ring->count == PREPARED && uz__ring_submit(ring, false))
		return -EBUSY;
	ring->prepared[ring->count++] = p;
	return 0;
}

int uz__ring_register(struct uz__ring *ring, struct uz__fuse_entry *entry)
{
	return prepare(ring, (struct prepared){ OP_REGISTER, entry, NULL, 0 });
}

int uz__ring_commit(struct uz__ring *ring, struct uz__fuse_entry *entry)
{
	return prepare(ring, (struct prepared){ OP_COMMIT, entry, NULL, 0 });
}

int uz__ring_guard(struct uz__ring *ring, struct uz__ring *other)
{
	(void)ring;
	(void)other;
	return 0;
}

int uz__ring_poke(struct uz__ring *ring, uint16_t qid)
{
	static _Atomic uint64_t unique = UINT64_C(1) << 62;

	(void)ring;
	if (qid == fake_faults.unreachable - 1u)
		return -EINVAL;
	fake_kernel_request(qid, unique++, FUSE_NOTIFY_REPLY, UZ__FUSE_BLOCK,
			    "", 0);
	return 0;
}

int uz__ring_send(struct uz__ring *ring, struct uz__ring *to,
		  enum uz__ring_kind kind, struct uz__fuse_entry *entry)
{
	bool full;

	pthread_mutex_lock(&lock);
	full = entry && fault_after(&fake_faults.full_after, &fake_faults.full);
	pthread_mutex_unlock(&lock);
	if (full)
		return -EBUSY;
	return prepare(ring, (struct prepared){ OP_SEND, entry, to, kind });
}

static bool stuck(const struct uz__ring *ring)
{
	unsigned int i;

	for (i = 0; i < ring->count; i++)
		if (ring->prepared[i].op == OP_REGISTER &&
		    ring->prepared[i].entry->qid < kernel->queues)
			return fake_faults.stuck_registers;
	return false;
}

/* True if that was enough. */
static bool ring_sleep(struct uz__ring *ring)
{
	struct timespec until;

	ring->asleep = true;
	pthread_cond_broadcast(&changed);
	if (!fake_faults.interrupts)
		return pthread_cond_wait(&ring->woken, &lock) != 0;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += INTERRUPT_NS;
	until.tv_sec += until.tv_nsec / NS_PER_SECOND;
	until.tv_nsec %= NS_PER_SECOND;
	return pthread_cond_timedwait(&ring->woken, &lock, &until) != 0;
}

int uz__ring_submit(struct uz__ring *ring, bool wait)
{
	unsigned int i;
	int ret = 0;

	pthread_mutex_lock(&lock);
	if (stuck(ring) || (ring->count && fault(&fake_faults.submits))) {
		ret = -ENOMEM;
	} else if (ring->count && fault(&fake_faults.busy)) {
		ret = -EAGAIN;
	} else {
		for (i = 0; i < ring->count; i++)
			do_prepared(ring, &ring->prepared[i]);
		ring->count = 0;
		while (wait && (kernel->paused || ring->head == ring->tail) &&
		       !ring_sleep(ring))
			;
	}
	pthread_mutex_unlock(&lock);
	return ret;
}

bool uz__ring_next(struct uz__ring *ring, struct uz__ring_event *event)
{
	bool any;

	pthread_mutex_lock(&lock);
	any = ring->head != ring->tail;
	if (any)
		*event = ring->events[ring->head++ % MANY];
	pthread_mutex_unlock(&lock);
	return any;
}

/* ---- the kernel ---- */

void fake_kernel_begin(unsigned int queues)
{
	free(kernel);
	kernel = calloc(1, sizeof(*kernel));
	kernel->queues = queues;
	fake_faults = (struct fake_faults){ 0 };
}

void fake_kernel_disconnect(void)
{
	unsigned int q;

	pthread_mutex_lock(&lock);
	kernel->ended = true;
	for (q = 0; q < kernel->queues; q++)
		while (kernel->queue[q].nr_free) {
			const struct place *at =
				&kernel->queue[q]
					 .free[--kernel->queue[q].nr_free];

			post(at->ring, UZ__RING_REQUEST, at->entry, -ENOTCONN);
		}
	pthread_mutex_unlock(&lock);
}

static void request(unsigned int queue, const struct request *rq)
{
	pthread_mutex_lock(&lock);
	if (kernel->queue[queue].nr_free)
		deliver(kernel->queue[queue]
				.free[--kernel->queue[queue].nr_free],
			rq);
	else
		kernel->queue[queue].waiting[kernel->queue[queue].nr_waiting++] =
			*rq;
	pthread_mutex_unlock(&lock);
}

void fake_kernel_request(unsigned int queue, uint64_t unique, uint32_t opcode,
			 uint64_t nodeid, const void *arg, size_t arg_len)
{
	struct request rq = {
		.hdr = { .opcode = opcode, .unique = unique, .nodeid = nodeid },
	};

	memcpy(rq.arg, arg, arg_len);
	request(queue, &rq);
}

void fake_kernel_write(unsigned int queue, uint64_t unique, uint64_t nodeid,
		       const char *text)
{
	const struct fuse_write_in in = { .size = (uint32_t)strlen(text) };
	struct request rq = {
		.hdr = { .opcode = FUSE_WRITE,
			 .unique = unique,
			 .nodeid = nodeid },
		.payload_len = in.size,
	};

	memcpy(rq.arg, &in, sizeof(in));
	memcpy(rq.payload, text, in.size);
	request(queue, &rq);
}

void fake_kernel_orphan(unsigned int queue, struct fuse_uring_req_header *hdr,
			uint64_t unique, uint32_t opcode, uint64_t nodeid,
			const void *arg, size_t arg_len)
{
	struct request rq = {
		.hdr = { .opcode = opcode, .unique = unique, .nodeid = nodeid },
	};

	memcpy(rq.arg, arg, arg_len);
	pthread_mutex_lock(&lock);
	give(queue, hdr, &rq);
	pthread_mutex_unlock(&lock);
}

unsigned int fake_kernel_unknown(void)
{
	unsigned int n;

	pthread_mutex_lock(&lock);
	n = kernel->nr_unknown;
	pthread_mutex_unlock(&lock);
	return n;
}

void fake_kernel_pause(bool paused)
{
	unsigned int i;

	pthread_mutex_lock(&lock);
	kernel->paused = paused;
	for (i = 0; i < kernel->nr_rings; i++)
		pthread_cond_signal(&kernel->rings[i]->woken);
	pthread_mutex_unlock(&lock);
}

const struct fake_answer *fake_kernel_answers(unsigned int count)
{
	pthread_mutex_lock(&lock);
	while (kernel->nr_answers < count)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	return kernel->answers;
}

unsigned int fake_kernel_answered(void)
{
	unsigned int n;

	pthread_mutex_lock(&lock);
	n = kernel->nr_answers;
	pthread_mutex_unlock(&lock);
	return n;
}

void fake_kernel_quiet(unsigned int rings)
{
	unsigned int i, asleep;

	pthread_mutex_lock(&lock);
	for (;;) {
		for (asleep = 0, i = 0; i < kernel->nr_rings; i++)
			asleep += kernel->rings[i]->asleep;
		if (asleep >= rings)
			break;
		pthread_cond_wait(&changed, &lock);
	}
	pthread_mutex_unlock(&lock);
}

unsigned int fake_kernel_entries(unsigned int queue,
				 const struct uz__ring *ring)
{
	unsigned int i, n = 0;

	pthread_mutex_lock(&lock);
	for (i = 0; i < kernel->queue[queue].nr_free; i++)
		n += kernel->queue[queue].free[i].ring == ring;
	pthread_mutex_unlock(&lock);
	return n;
}
