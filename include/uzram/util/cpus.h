/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_UTIL_CPUS_H
#define UZRAM_UTIL_CPUS_H

#include <uzram/types.h>

/**
 * uz_cpus() - how many CPUs this process may keep busy
 *
 * Those that the calling thread may run on, or, if that is less, the time that
 * its cgroup and those around it may use (v1 and v2), rounded up to whole
 * CPUs.
 *
 * Context: any thread; reads files; allocates.
 * Return:  1 or more.
 */
unsigned int uz_cpus(void);

/**
 * uz_cpus_at() - the same with another root directory, for tests
 * @root: directory whose proc/self/cgroup and sys/fs/cgroup are read; where
 *        the thread may run is asked of the real system
 *
 * Context: any thread; reads files; allocates.
 * Return:  1 or more.
 */
unsigned int uz_cpus_at(const char *root);

#endif
