/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_UTIL_CGROUP_H
#define UZRAM_UTIL_CGROUP_H

#include <uzram/types.h>
#include <uzram/util/err.h>

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

/**
 * uz_cgroup_own() - the cgroup that this process's memory is charged to
 * @root: root directory: "", or another one for tests
 * @path: filled with its path within its hierarchy, "/" for the top; "" where
 *        there is none
 * @size: bytes at @path; more is cut
 *
 * Context: any thread; reads files; allocates.
 */
void uz_cgroup_own(const char *root, char *path, size_t size);

/**
 * uz_cgroup_join() - move this process into a cgroup
 * @root: root directory: "", or another one for tests
 * @path: its directory, or its path within the hierarchy that memory is charged
 *        in, of v2 or v1
 * @err:  the reason
 *
 * What the process has in memory stays charged to the cgroup that it was in.
 *
 * Context: any thread; moves all of them.
 * Return:  0; -ENOENT no such cgroup; -EPERM not allowed; -EBUSY one that may
 *          have no processes, as others lie within it; other -errno.
 */
uz_must_check int uz_cgroup_join(const char *root, const char *path,
				 struct uz_err *err);

#endif
