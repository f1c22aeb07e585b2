// SPDX-License-Identifier: MIT
/*
 * Mount points: is a path one, and does its server still answer? A FUSE mount
 * whose server died answers every question with ENOTCONN.
 *
 * Holds no lock; between two questions anything may have changed. Whoever
 * needs more takes a lock of its own (place.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <uzram/util/mountpoint.h>
#include <uzram/util/spawn.h>
#include <uzram/util/suid.h>

int uz_mountpoint_state(const char *path, enum uz_mountpoint *state)
{
	struct statx stx;

	/* Forced: what the kernel remembers does not tell who is alive. */
	if (statx(AT_FDCWD, path, AT_NO_AUTOMOUNT | AT_STATX_FORCE_SYNC,
		  STATX_BASIC_STATS, &stx)) {
		/* Refused: from Linux 7 on, if it ended before any greeting. */
		if (errno != ENOTCONN && errno != ECONNABORTED &&
		    errno != ECONNREFUSED)
			return -errno;
		*state = UZ_MOUNTPOINT_STALE;
		return 0;
	}
	/* Linux 5.8 and later always know. */
	*state = stx.stx_attributes & STATX_ATTR_MOUNT_ROOT
			 ? UZ_MOUNTPOINT_LIVE
			 : UZ_MOUNTPOINT_NONE;
	return 0;
}

/*
 * Is anything? Asks no server: who unmounts may have the last copy of the
 * connection, and waiting for an answer to come by it would never end.
 */
static int mountpoint_is(const char *path, bool *is)
{
	struct statx stx;

	if (statx(AT_FDCWD, path, AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC,
		  STATX_BASIC_STATS, &stx))
		return -errno;
	*is = stx.stx_attributes & STATX_ATTR_MOUNT_ROOT;
	return 0;
}

/* fusermount3 says why in words only; what it refuses is nearly always busy. */
static int mountpoint_fusermount(const char *path, bool lazy)
{
	const char *argv[] = { "fusermount3", "-q", lazy ? "-uz" : "-u",
			       "--",	      path, NULL };
	int rc = uz_spawn_wait(argv, true);
	bool is = true;

	if (rc <= 0)
		return rc;
	if (uz_suid_check("fusermount3") != UZ_SUID_WORKS)
		return -EPERM;
	rc = mountpoint_is(path, &is);
	if (!is)
		return -EINVAL;
	return rc == -EACCES ? -EPERM : -EBUSY;
}

int uz_mountpoint_unmount(const char *path, bool lazy)
{
	if (!umount2(path, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)))
		return 0;
	if (errno != EPERM)
		return -errno;
	return mountpoint_fusermount(path, lazy);
}
