// SPDX-License-Identifier: MIT
/*
 * What keeps a process able to serve while memory is short, for a device that
 * the system swaps to: it is then needed so that memory can be had at all.
 *
 *  - Its allocations do not wait for pages to be written out, which it would
 *    have to do itself (PR_SET_IO_FLUSHER). Inherited by threads and children.
 *  - Its own memory is not swapped out (mlockall). What is reserved and not
 *    touched costs nothing (MCL_ONFAULT). Each process for itself.
 *  - It is not the one to be killed (oom_score_adj). Inherited by children.
 *  - What it holds for those after it is not swapped out, be it mapped or not
 *    (uz_shm_noswap()). Locks end with the process that has them: if memory of
 *    the device were written out to the device after a worker died, the next
 *    one would wait for itself to read it.
 *  - It has memory that others cannot take (a real-time class): what is swapped
 *    out takes some before it gives more, and a worker that follows a dead one
 *    needs what it works with while nothing can be swapped out. There is then
 *    what the kernel keeps free (vm.min_free_kbytes), and of that others are
 *    refused the last half. Inherited by children and threads; those that work
 *    in the background give it up (uz_background()).
 *
 * Each may be refused: then it goes without, says so once, and stat tells.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <uzram/util/ahead.h>
#include <uzram/util/cleanup.h>
#include <uzram/util/log.h>
#include <uzram/util/shm.h>

#include "daemon_priv.h"

#ifndef SCHED_DEADLINE
#define SCHED_DEADLINE 6
#endif

#define RT_PRIORITY 1 /* the least */

static int set_io_flusher(void)
{
	return prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) ? -errno : 0;
}

/*
 * Whether a limit is none for us (CAP_IPC_LOCK of the system, which a root of a
 * container or user namespace need not have): addresses beyond it are locked.
 */
static bool locks_more_than(size_t limit)
{
	size_t size = limit + UZ_PAGE_SIZE;
	bool may;
	void *p;

	p = mmap(NULL, size, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return false;
	may = !mlock2(p, size, MLOCK_ONFAULT);
	munmap(p, size);
	return may;
}

/*
 * The address space that is reserved counts too, so where there is a limit
 * nothing could be mapped any more.
 */
static int set_locked(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit))
		return -errno;
	if (limit.rlim_cur != RLIM_INFINITY && !locks_more_than(limit.rlim_cur))
		return -EPERM;
	return mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) ? -errno : 0;
}

static int set_oom_score(void)
{
	static const char least[] = "-1000";
	uz_autoclose int fd =
		open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, least, strlen(least)) < 0)
		return -errno;
	return 0;
}

/* Whoever has been given a class of that kind keeps it. */
static int set_realtime(void)
{
	const struct sched_param least = { .sched_priority = RT_PRIORITY };
	const int class = sched_getscheduler(0);

	if (class == SCHED_FIFO || class == SCHED_RR || class == SCHED_DEADLINE)
		return 0;
	return sched_setscheduler(0, SCHED_RR, &least) ? -errno : 0;
}

static const struct protection {
	unsigned int bit;
	int (*set)(void);
	const char *name;
	const char *what;
} protections[] = {
	{ UZ__PROTECT_FLUSHER, set_io_flusher, "io_flusher",
	  "its allocations may wait for what it must write out itself" },
	{ UZ__PROTECT_LOCKED, set_locked, "locked",
	  "its memory may be swapped out" },
	{ UZ__PROTECT_OOM, set_oom_score, "oom",
	  "it may be killed when memory runs out" },
	{ UZ__PROTECT_NOSWAP, uz_shm_noswap, "noswap",
	  "what is stored may be swapped out while a dead worker is replaced, "
	  "which may then hang; needs root and Linux 6.4" },
	{ UZ__PROTECT_RT, set_realtime, "realtime",
	  "others may take the memory that it waits for; needs CAP_SYS_NICE" },
};

#define NR (sizeof(protections) / sizeof(protections[0]))

unsigned int uz__protect(unsigned int wanted, bool tell)
{
	const struct protection *p;
	unsigned int got = 0;
	int ret;

	for (p = protections; p < protections + NR; p++) {
		if (!(wanted & p->bit))
			continue;
		ret = p->set();
		if (!ret)
			got |= p->bit;
		else if (tell)
			uz_log(UZ_LOG_WARN, "swap: no %s (%s): %s", p->name,
			       strerror(-ret), p->what);
	}
	return got;
}

/* The program that the next worker needs is held in memory by us, too. */
void uz__protect_supervisor(struct uz__daemon *d)
{
	uz_ahead_enable();
	uz__protect(UZ__PROTECT_PROCESS, true);
	uz_ahead_program();
	/* One that took descriptors over has not made any memory yet. */
	if (!(d->protected & UZ__PROTECT_NOSWAP) || uz_shm_noswap())
		return;
	d->spare = uz_shm_memfd("uzram-spare");
	uz__ballast_create(d);
}

void uz__protect_text(unsigned int got, char *text, size_t size)
{
	size_t i, len = 0;

	text[0] = '\0';
	for (i = 0; i < NR; i++) {
		if (!(got & protections[i].bit))
			continue;
		snprintf(text + len, size - len, "%s%s", len ? "," : "",
			 protections[i].name);
		len = strlen(text);
	}
	if (!len)
		snprintf(text, size, "no");
}
