/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_UTIL_AWAKE_H
#define UZRAM_UTIL_AWAKE_H

#include <stdatomic.h>

#include <uzram/types.h>

/**
 * DOC: CPUs that do not halt while they are needed
 *
 * A small request wakes a few threads, one after the other, each of which may
 * be the first on a CPU that has halted. In a virtual machine waking that CPU
 * costs more than all the rest of the request. The kernel can be asked to keep
 * idle CPUs awake, for as long as a process has /dev/cpu_dma_latency open
 * (Documentation/power/pm_qos_interface.rst); they look out for work instead,
 * which takes as much of the machine as work does. So it is asked when a
 * request comes, and not any more when none has come for a moment.
 */

/**
 * struct uz_awake - one who asks
 *
 * Opaque but for uz_awake_use().
 */
struct uz_awake;

/* Private: nobody has used it since the last look, and nobody looks. */
#define UZ__AWAKE_ASLEEP 0u
/* Private: nobody has since the last look. */
#define UZ__AWAKE_QUIET 1u
/* Private: somebody has. */
#define UZ__AWAKE_USED 2u

/* Private: how it begins. */
struct uz__awake_head {
	_Alignas(UZ_CACHELINE) _Atomic uint32_t state;
};

/**
 * uz__awake_use() - the rest of uz_awake_use(), for which it is
 * @awake: not NULL
 *
 * Context: any thread; does not sleep.
 */
void uz__awake_use(struct uz_awake *awake);

/**
 * uz_awake_halts() - do this machine's CPUs halt whenever they are idle?
 *
 * Context: any thread; reads sysfs.
 * Return:  true if it is a virtual machine whose kernel leaves nothing between
 *          looking out for work and halting (cpuidle's haltpoll).
 */
bool uz_awake_halts(void);

/**
 * uz_awake_open() - what uz_awake_start() needs
 *
 * Context: any thread; opens a file.
 * Return:  a descriptor, closed by exec(); -EACCES not root; -ENOENT not in
 *          this kernel, or container; other -errno.
 */
uz_must_check int uz_awake_open(void);

/**
 * uz_awake_start() - have a thread ask whenever uz_awake_use() is called
 * @awake: filled
 * @fd:    from uz_awake_open(); closed by uz_awake_stop(). After a failure it
 *         is the caller's
 *
 * Context: allocates, creates a thread with all signals blocked.
 * Return:  0; -ENOMEM; -EAGAIN no thread.
 */
uz_must_check int uz_awake_start(struct uz_awake **awake, int fd);

/**
 * uz_awake_stop() - ask no more
 * @awake: from uz_awake_start(), or NULL; nobody uses it any more
 *
 * Context: sleeps until the thread has ended, up to 40 ms.
 */
void uz_awake_stop(struct uz_awake *awake);

/**
 * uz_awake_use() - a request begins
 * @awake: from uz_awake_start(), or NULL
 *
 * Context: any thread; a load as a rule, now and then a store, and a system
 *          call that does not sleep after a time without requests.
 */
static inline void uz_awake_use(struct uz_awake *awake)
{
	struct uz__awake_head *head = (struct uz__awake_head *)awake;

	/* relaxed: see awake.c. */
	if (uz_unlikely(awake) &&
	    atomic_load_explicit(&head->state, memory_order_relaxed) !=
		    UZ__AWAKE_USED)
		uz__awake_use(awake);
}

#endif
