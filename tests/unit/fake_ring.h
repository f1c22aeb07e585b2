/* SPDX-License-Identifier: MIT */
#ifndef FAKE_RING_H
#define FAKE_RING_H

#include <uring_priv.h>

/*
 * The kernel and its rings in memory, in place of src/frontend/fuse/ring.c:
 * queues of entries, requests that a test puts into them, answers that it gets
 * back, and every failure that it wants to see.
 */
struct fake_answer {
	uint64_t unique;
	int error;
	unsigned int queue;
	const struct uz__ring *ring; /* that committed it */
};

struct fake_faults {
	/* The n-th uz__ring_create() from now fails; 0: none. */
	unsigned int create_after;
	/* So many submissions fail as a whole. */
	unsigned int submits;
	/* So many are not even begun, as the kernel has no memory just now. */
	unsigned int busy;
	/* Registering fails, from this round of a queue on, or for a queue. */
	unsigned int register_from;
	unsigned int register_queue;
	/* For what reason; 0: -ENOMEM. */
	int register_error;
	/* No registration gets as far as the kernel. */
	bool stuck_registers;
	/* No registration fails, whatever it says. */
	bool takes_anything;
	/* So many commits are refused, and why. */
	unsigned int commits;
	int commit_error;
	/* So many requests of one worker to another come back, after others. */
	unsigned int sends_after;
	unsigned int sends;
	/* There is no room for so many, after others. */
	unsigned int full_after;
	unsigned int full;
	/* So many orders to end come back. */
	unsigned int stops;
	/* So many registrations find no memory. */
	unsigned int registers;
	/* Whoever is asked to run on that CPU, counted from 1, may not. */
	unsigned int unreachable;
	/* Signals interrupt whoever sleeps; here time does. */
	bool interrupts;
	/* Nobody hears that registering is to begin. */
	bool lost_orders;
};

extern struct fake_faults fake_faults;

/* A kernel with @queues queues, no faults. */
void fake_kernel_begin(unsigned int queues);
/* All entries come back, as when the connection ends. */
void fake_kernel_disconnect(void);
/* Puts a request into a queue; it waits there if no entry is free. */
void fake_kernel_request(unsigned int queue, uint64_t unique, uint32_t opcode,
			 uint64_t nodeid, const void *arg, size_t arg_len);
/* A write of some bytes to a file at offset 0. */
void fake_kernel_write(unsigned int queue, uint64_t unique, uint64_t nodeid,
		       const char *text);
/* A request that was given to a process that has died; @hdr is its entry. */
void fake_kernel_orphan(unsigned int queue, struct fuse_uring_req_header *hdr,
			uint64_t unique, uint32_t opcode, uint64_t nodeid,
			const void *arg, size_t arg_len);
/* Whoever sleeps does so until the end of the pause, whatever arrives. */
void fake_kernel_pause(bool paused);
/* Sleeps until there were @count answers; they are in order of arrival. */
const struct fake_answer *fake_kernel_answers(unsigned int count);
/* How many there were. */
unsigned int fake_kernel_answered(void);
/* Sleeps until all rings but the caller's have nothing to do. */
void fake_kernel_quiet(unsigned int rings);
/* How often a commit named a request that the kernel does not have. */
unsigned int fake_kernel_unknown(void);
/* Entries that a queue has in a ring. */
unsigned int fake_kernel_entries(unsigned int queue,
				 const struct uz__ring *ring);

#endif
