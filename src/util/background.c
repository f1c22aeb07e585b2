// SPDX-License-Identifier: MIT
/*
 * Threads that nobody waits for.
 *
 * SCHED_BATCH alone is about their own waking up. A client that wakes up on
 * the CPU of such a thread would still wait until that has had its slice, some
 * milliseconds, or sleeps. Linux lets a thread have slices of its own length,
 * and whoever wakes up with a shorter one does not wait for a longer one to
 * end: so theirs is longer than anybody's that has not asked for it.
 *
 * The slice counts between control groups and sessions, too: a group is as
 * urgent as the shortest slice in it. The class SCHED_IDLE counts within one
 * only, and is no place for a thread that holds locks.
 */
#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <uzram/util/background.h>

/*
 * Nobody's default is above 3 ms, however many CPUs there are; a work that
 * does take all of it keeps others that compute from a CPU for no longer.
 */
#define SLICE_NS UINT64_C(10000000)

/* struct sched_attr of sched_setattr(2), which few C libraries declare. */
struct attr {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime;
	uint64_t deadline;
	uint64_t period;
};

void uz_background(void)
{
	const struct sched_param none = { 0 };
	struct attr attr;

	sched_setscheduler(0, SCHED_BATCH, &none);
	/* What there is, the niceness above all, and the slice with it. */
	if (syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 0))
		return;
	attr.size = sizeof(attr);
	attr.flags = 0;
	attr.runtime = SLICE_NS;
	syscall(SYS_sched_setattr, 0, &attr, 0);
}
