// SPDX-License-Identifier: MIT
/*
 * The directory that a device is mounted on, and who may have it.
 *
 * Two locks (flock, so they end with the process) make this free of races:
 *
 *  - of the directory above, from the first look until the device is mounted:
 *    one daemon at a time decides that a place is free, or that what is
 *    mounted there is dead and can be cleared away;
 *  - of the directory itself, below the mount, for the daemon's life: a daemon
 *    that was detached and still serves its last users keeps its name, and
 *    uzramctl can wait here for the daemon's end.
 *
 * Does not mount; the front end does.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <uzram/util/cleanup.h>
#include <uzram/util/log.h>
#include <uzram/util/mountpoint.h>

#include "daemon_priv.h"

/* How long another daemon may take to mount. */
#define WAIT_MS 10000
#define STEP_MS 5

/*
 * Others may look into root's devices, as into /sys/block, if they know their
 * names; but they cannot open, so not lock, the run directory itself.
 */
static mode_t rundir_mode(void)
{
	return geteuid() == 0 ? 0711 : 0700;
}

static int place_name(struct uz__place *place,
		      const struct uz_daemon_config *config, struct uz_err *err)
{
	char rundir[sizeof(place->path) - UZ_NAME_MAX - 1];
	int rc;

	if (*config->dir) {
		strcpy(place->path, config->dir);
		return 0;
	}
	rc = uz_daemon_rundir(rundir, sizeof(rundir));
	if (rc == -ENOENT)
		return uz_err_set(err, rc,
				  "no place for the device: XDG_RUNTIME_DIR is "
				  "not set; set it, or use -o dir=DIR");
	if (rc)
		return uz_err_set(err, rc, "the run directory's name: %s",
				  strerror(-rc));
	if (mkdir(rundir, rundir_mode()) && errno != EEXIST)
		return uz_err_set(err, -errno, "cannot make %s: %s", rundir,
				  strerror(errno));
	snprintf(place->path, sizeof(place->path), "%s/%s", rundir,
		 config->name);
	return 0;
}

/* Waits, but not for ever: whoever can read the directory can lock it. */
static int place_lock_parent(struct uz__place *place, struct uz_err *err)
{
	const struct timespec step = { .tv_nsec = STEP_MS * 1000000L };
	char copy[sizeof(place->path)];
	const char *parent;
	int left;

	strcpy(copy, place->path);
	parent = dirname(copy);
	place->parent = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (place->parent < 0)
		return uz_err_set(err, -errno, "%s: %s", parent,
				  strerror(errno));
	for (left = WAIT_MS; left > 0; left -= STEP_MS) {
		if (!flock(place->parent, LOCK_EX | LOCK_NB))
			return 0;
		nanosleep(&step, NULL);
	}
	return uz_err_set(err, -EBUSY, "%s: somebody else keeps it locked",
			  parent);
}

static int place_taken(const struct uz__place *place, const char *name,
		       struct uz_err *err)
{
	return uz_err_set(err, -EBUSY,
			  "%s is taken: %s is mounted; use another name, or "
			  "'uzramctl remove'",
			  name, place->path);
}

/*
 * Without the lock, so that a device that does not answer keeps only those
 * waiting who want its own place; but when somebody has had it, as one that is
 * just being started does not answer yet. Whatever else it is, is looked at
 * again under the lock.
 */
static int place_answers(struct uz__place *place, const char *name,
			 struct uz_err *err)
{
	enum uz_mountpoint state;
	int rc = place_lock_parent(place, err);

	if (rc)
		return rc;
	close(uz_steal_fd(&place->parent));
	if (!uz_mountpoint_state(place->path, &state) &&
	    state == UZ_MOUNTPOINT_LIVE)
		return place_taken(place, name, err);
	return 0;
}

/* Clears a dead daemon's mount and refuses a live one. */
static int place_unmounted(const struct uz__place *place, const char *name,
			   struct uz_err *err)
{
	enum uz_mountpoint state;
	int rc = uz_mountpoint_state(place->path, &state);

	if (!rc && state == UZ_MOUNTPOINT_STALE) {
		rc = uz_mountpoint_unmount(place->path, true);
		if (!rc) {
			uz_log(UZ_LOG_NOTICE,
			       "%s: cleared the mount of a daemon that died",
			       place->path);
			rc = uz_mountpoint_state(place->path, &state);
		}
	}
	if (rc)
		return uz_err_set(err, rc, "%s: %s", place->path,
				  strerror(-rc));
	if (state == UZ_MOUNTPOINT_NONE)
		return 0;
	return place_taken(place, name, err);
}

/* On a descriptor of its own, because closedir() closes it. */
static int place_empty(const struct uz__place *place, struct uz_err *err)
{
	const struct dirent *entry;
	int count = 0, fd;
	DIR *dir;

	fd = openat(place->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		int rc = -errno;

		if (fd >= 0)
			close(fd);
		return uz_err_set(err, rc, "%s: %s", place->path,
				  strerror(-rc));
	}
	while ((entry = readdir(dir)))
		count += strcmp(entry->d_name, ".") &&
			 strcmp(entry->d_name, "..");
	closedir(dir);
	if (count)
		return uz_err_set(err, -EBUSY,
				  "%s is not empty; a device is mounted only "
				  "on an empty directory",
				  place->path);
	return 0;
}

/*
 * Is what is locked still there? The daemon that had it before removes it
 * without the lock of the directory above.
 */
static bool place_is_there(const struct uz__place *place)
{
	struct stat there, locked;

	return !fstat(place->fd, &locked) && !stat(place->path, &there) &&
	       there.st_dev == locked.st_dev && there.st_ino == locked.st_ino;
}

/* -EAGAIN: it was removed meanwhile. */
static int place_lock(struct uz__place *place, const char *name,
		      struct uz_err *err)
{
	int rc;

	if (!mkdir(place->path, 0700))
		place->made = true;
	else if (errno != EEXIST)
		return uz_err_set(err, -errno, "cannot make %s: %s",
				  place->path, strerror(errno));
	rc = place_unmounted(place, name, err);
	if (rc)
		return rc == -ENOENT ? -EAGAIN : rc;
	place->fd = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (place->fd < 0) {
		rc = uz_err_set(err, -errno, "%s: %s", place->path,
				strerror(errno));
		return rc == -ENOENT ? -EAGAIN : rc;
	}
	if (!flock(place->fd, LOCK_EX | LOCK_NB)) {
		if (place_is_there(place))
			return 0;
		close(uz_steal_fd(&place->fd));
		return uz_err_set(err, -EAGAIN, "%s: %s", place->path,
				  strerror(ENOENT));
	}
	rc = errno == EWOULDBLOCK ? -EBUSY : -errno;
	close(uz_steal_fd(&place->fd));
	return uz_err_set(err, rc,
			  "%s is taken: the daemon at %s still serves "
			  "its last users; use another name, or wait",
			  name, place->path);
}

int uz__place_claim(struct uz__place *place,
		    const struct uz_daemon_config *config, struct uz_err *err)
{
	int rc;

	*place = (struct uz__place){ .parent = -1, .fd = -1 };
	rc = place_name(place, config, err);
	if (!rc)
		rc = place_answers(place, config->name, err);
	if (!rc)
		rc = place_lock_parent(place, err);
	if (rc)
		return rc;
	/* In the run directory it may be one that a dead daemon has left. */
	place->made = !*config->dir;
	rc = place_lock(place, config->name, err);
	/* Who has removed it was the only one: nobody else can have it now. */
	if (rc == -EAGAIN)
		rc = place_lock(place, config->name, err);
	if (!rc)
		rc = place_empty(place, err);
	if (rc)
		return rc == -EAGAIN ? -ENOENT : rc;
	if (faccessat(AT_FDCWD, place->path, W_OK, AT_EACCESS))
		return uz_err_set(err, -errno, "%s: %s", place->path,
				  strerror(errno));
	return 0;
}

void uz__place_settled(struct uz__place *place)
{
	if (place->parent >= 0)
		close(uz_steal_fd(&place->parent));
}

void uz__place_release(struct uz__place *place)
{
	enum uz_mountpoint state;

	/* A service that broke leaves its mount; with @fd locked it is ours. */
	if (place->fd >= 0 && !uz_mountpoint_state(place->path, &state) &&
	    state == UZ_MOUNTPOINT_STALE &&
	    uz_mountpoint_unmount(place->path, true))
		uz_log(UZ_LOG_ERR, "%s: a dead mount is left there",
		       place->path);
	/* Before the lock goes, so that whoever waits for it finds it gone. */
	if (place->fd >= 0 && place->made)
		rmdir(place->path);
	if (place->fd >= 0)
		close(uz_steal_fd(&place->fd));
	uz__place_settled(place);
}
