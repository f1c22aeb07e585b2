// SPDX-License-Identifier: MIT
/*
 * remove: unmount a device's directory; its daemon then ends by itself, and we
 * wait for that. The kernel's EBUSY is what protects a device that is in use;
 * looking for the users before only makes the message better.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"
#include <uzram/frontend.h>
#include <uzram/util/cleanup.h>
#include <uzram/util/mountpoint.h>
#include <uzram/util/users.h>

#define WAIT_MS 60000
#define STEP_MS 10

/* The daemon holds a lock on the directory below its mount while it lives. */
static int wait_for_end(const struct ctl_device *dev, struct uz_err *err)
{
	const struct timespec step = { .tv_nsec = STEP_MS * 1000000L };
	uz_autoclose int fd = -1;
	int left;

	fd = open(dev->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return 0; /* it has removed the directory */
	for (left = WAIT_MS; left > 0; left -= STEP_MS) {
		if (!flock(fd, LOCK_SH | LOCK_NB) || errno != EWOULDBLOCK)
			return 0;
		nanosleep(&step, NULL);
	}
	return uz_err_set(err, -ETIMEDOUT,
			  "%s is unmounted, but its daemon has not ended after "
			  "%d s",
			  dev->name, WAIT_MS / 1000);
}

static int remove_dead(const struct ctl_device *dev, struct uz_err *err)
{
	int rc = uz_mountpoint_unmount(dev->dir, true);

	if (rc)
		return uz_err_set(err, rc, "%s: cannot clear its mount: %s",
				  dev->dir, strerror(-rc));
	/* One that was there before the device, or is not empty, stays. */
	rmdir(dev->dir);
	uz_frontend_reap();
	return 0;
}

/* Detached, it goes on for those who still have it open; are there any? */
static bool note_users(const struct ctl_device *dev)
{
	struct uz_users users = { 0 };
	char text[320];
	bool used;

	used = !ctl_users(dev, true, &users, NULL) && users.count;
	if (used) {
		uz_users_text(&users, text, sizeof(text));
		ctl_note("%s is detached; its daemon ends with its last user: "
			 "%s",
			 dev->name, text);
	}
	uz_users_free(&users);
	return used;
}

int ctl_remove(const char *name, bool force, struct uz_err *err)
{
	struct ctl_device dev;
	int rc = ctl_device_open(&dev, name, err);

	if (rc == -ENOTCONN)
		return remove_dead(&dev, err);
	/* Its mount may be gone, and its disk not. */
	if (rc == -ENOENT && force && uz_frontend_reap())
		return 0;
	if (!rc)
		rc = force ? ctl_release(&dev, CTL_RELEASE_ALL, NULL, err)
			   : ctl_refuse_used(&dev, err);
	if (rc)
		return rc;
	rc = uz_mountpoint_unmount(dev.dir, false);
	/* A disk that is open does not keep the directory. */
	if (!rc && force && dev.disk && note_users(&dev))
		return 0;
	if (!rc)
		return wait_for_end(&dev, err);
	if (rc == -EBUSY && force) {
		rc = uz_mountpoint_unmount(dev.dir, true);
		if (!rc)
			note_users(&dev);
	}
	if (rc)
		return uz_err_set(err, rc, "cannot unmount %s: %s%s", dev.dir,
				  strerror(-rc),
				  rc == -EPERM ? "; remove it where it was "
						 "added, by whom it is"
					       : "");
	return 0;
}

enum uz_exit ctl_verb_remove(int argc, char **argv)
{
	return ctl_forced("remove", ctl_remove, argc, argv);
}
