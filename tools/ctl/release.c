// SPDX-License-Identifier: MIT
/*
 * Who uses a device must let go of it before it is reset or removed. Either we
 * refuse and name the users, or (--force) we unmount, swapoff and detach what
 * stands on its disk or on loop devices. Processes are never touched, and no
 * file system is torn from under its own users: one that is busy stops us.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/swap.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"
#include <uzram/util/cleanup.h>
#include <uzram/util/mountpoint.h>
#include <uzram/util/users.h>

#define WAIT_MS 5000
#define STEP_MS 10

int ctl_users(const struct ctl_device *dev, bool processes,
	      struct uz_users *users, struct uz_err *err)
{
	int rc = uz_users_find(users, dev->fs, dev->disk, processes);

	return rc ? uz_err_set(err, rc, "out of memory") : 0;
}

int ctl_refuse_used(const struct ctl_device *dev, struct uz_err *err)
{
	struct uz_users users = { 0 };
	char text[160];
	int rc;

	rc = ctl_users(dev, true, &users, err);
	if (!rc && users.count) {
		uz_users_text(&users, text, sizeof(text));
		rc = uz_err_set(err, -EBUSY,
				"%s is in use: %s; unmount it or use --force",
				dev->name, text);
	}
	uz_users_free(&users);
	return rc;
}

static int loop_detach(int loop, struct uz_err *err)
{
	uz_autoclose int fd = -1;
	char path[32];

	snprintf(path, sizeof(path), "/dev/loop%d", loop);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	/* ENXIO: it has detached itself meanwhile. */
	if (fd < 0 || (ioctl(fd, LOOP_CLR_FD, 0) && errno != ENXIO))
		return uz_err_set(err, -errno, "cannot detach %s: %s", path,
				  strerror(errno));
	return 0;
}

static int release_user(const struct uz_user *user, enum ctl_release what,
			struct uz_err *err)
{
	int rc;

	switch (user->kind) {
	case UZ_USER_MOUNT:
		if (what == CTL_RELEASE_SWAP)
			return 0;
		rc = uz_mountpoint_unmount(user->path, false);
		if (rc)
			return uz_err_set(err, rc, "cannot unmount %s: %s",
					  user->path, strerror(-rc));
		return 0;
	case UZ_USER_SWAP:
		if (what == CTL_RELEASE_MOUNTS)
			return 0;
		ctl_note_swap_room(user->path);
		if (swapoff(user->path))
			return uz_err_set(err, -errno, "swapoff %s: %s",
					  user->path, strerror(errno));
		return 0;
	case UZ_USER_HOLDER:
	case UZ_USER_LOOP:
	case UZ_USER_PROCESS:
		break;
	}
	return 0;
}

/*
 * Detaches one loop device, or with -1 all of them, and waits: a loop device
 * may detach itself, and does so only after its last close.
 */
static int release_loops(const struct ctl_device *dev, int only,
			 struct uz_err *err)
{
	const struct timespec step = { .tv_nsec = STEP_MS * 1000000L };
	int left, rc;

	for (left = WAIT_MS; left > 0; left -= STEP_MS) {
		struct uz_users users = { 0 };
		size_t i, found = 0;

		rc = ctl_users(dev, false, &users, err);
		if (rc)
			return rc;
		for (i = 0; i < users.count && !rc; i++) {
			const struct uz_user *user = &users.list[i];

			if (user->kind != UZ_USER_LOOP ||
			    (only >= 0 && user->loop != only))
				continue;
			found++;
			rc = loop_detach(user->loop, err);
		}
		uz_users_free(&users);
		if (rc || !found)
			return rc;
		nanosleep(&step, NULL);
	}
	return uz_err_set(err, -EBUSY,
			  "%s: its loop device is still open somewhere",
			  dev->name);
}

int ctl_release(const struct ctl_device *dev, enum ctl_release what,
		const char *dir, struct uz_err *err)
{
	struct uz_users users = { 0 };
	bool loops = true;
	int only = -1, rc;
	size_t i;

	rc = ctl_users(dev, false, &users, err);
	if (rc)
		return rc;
	/* The last one mounted may lie within an earlier one. */
	for (i = users.count; i > 0 && !rc; i--) {
		const struct uz_user *user = &users.list[i - 1];

		if (dir && strcmp(user->path, dir))
			continue;
		if (dir) {
			only = user->loop;
			loops = only >= 0;
		}
		rc = release_user(user, what, err);
	}
	uz_users_free(&users);
	return rc || !loops ? rc : release_loops(dev, only, err);
}
