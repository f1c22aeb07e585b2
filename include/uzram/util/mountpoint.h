/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_UTIL_MOUNTPOINT_H
#define UZRAM_UTIL_MOUNTPOINT_H

#include <uzram/types.h>

/**
 * DOC: mount points
 *
 * What servers of FUSE mounts and their control programs both ask. As an
 * ordinary user unmounting goes through fusermount3, which is setuid root.
 */

/**
 * enum uz_mountpoint - what a path is
 * @UZ_MOUNTPOINT_NONE:  nothing is mounted exactly there
 * @UZ_MOUNTPOINT_LIVE:  something is, and it answers
 * @UZ_MOUNTPOINT_STALE: a FUSE mount whose server has died
 */
enum uz_mountpoint {
	UZ_MOUNTPOINT_NONE,
	UZ_MOUNTPOINT_LIVE,
	UZ_MOUNTPOINT_STALE,
};

/**
 * uz_mountpoint_state() - is this the root of a mount?
 * @path:  an existing directory
 * @state: set on success, untouched on failure
 *
 * Context: any thread; waits for the server of a FUSE mount to answer.
 * Return:  0; -ENOENT, -EACCES (also: a mount of another user); other -errno.
 */
uz_must_check int uz_mountpoint_state(const char *path,
				      enum uz_mountpoint *state);

/**
 * uz_mountpoint_unmount() - unmount
 * @path: where it is mounted
 * @lazy: detach it although it is in use; it ends when the last user is gone
 *
 * Context: any thread; may start fusermount3 and wait for it.
 * Return:  0; -EBUSY it is in use; -EINVAL nothing is mounted there; -EPERM;
 *          -ENOENT no fusermount3; other -errno.
 */
uz_must_check int uz_mountpoint_unmount(const char *path, bool lazy);

#endif
