/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_UTIL_CGROUP_H
#define UZRAM_UTIL_CGROUP_H

#include <uzram/types.h>

/**
 * uz_cgroup_walk() - every cgroup whose limits this process has to keep
 * @root:       root directory: "", or another one for tests
 * @controller: "memory", "cpu": which hierarchy of v1; v2 has but one
 * @each:       called for the process's own cgroup and those around it, with
 *              its directory, which may not exist, and whether it is of v2
 * @arg:        for @each
 *
 * Context: any thread; reads files; allocates. What cannot be read is passed
 *          over.
 */
void uz_cgroup_walk(const char *root, const char *controller,
		    void (*each)(const char *dir, bool v2, void *arg),
		    void *arg);

#endif
