// SPDX-License-Identifier: MIT
/*
 * A device as uzramctl sees it: a directory with a file for each attribute.
 * There is no other way in; what is done here, cat and echo could do.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"
#include <uzram/daemon.h>
#include <uzram/util/cleanup.h>
#include <uzram/util/mountpoint.h>
#include <uzram/util/path.h>

/* A table with a line for each of hundreds of size classes takes 64 KiB. */
#define ATTR_TEXT_MAX (128u << 10)

int ctl_rundir(char path[CTL_PATH_MAX], struct uz_err *err)
{
	int rc = uz_daemon_rundir(path, CTL_PATH_MAX);

	if (rc == -ENOENT)
		return uz_err_set(err, rc,
				  "no run directory: XDG_RUNTIME_DIR is not "
				  "set; set it, or use --rundir");
	if (rc)
		return uz_err_set(err, rc, "run directory: %s", strerror(-rc));
	return 0;
}

/* DIR of DIR/block where that is a link, as with ublk; else @arg. */
static const char *without_block(const char *arg, char path[CTL_PATH_MAX])
{
	static const char block[] = "/block";
	const size_t len = strlen(arg), tail = sizeof(block) - 1;
	struct stat st;

	if (len <= tail || len >= CTL_PATH_MAX ||
	    strcmp(arg + len - tail, block) || lstat(arg, &st) ||
	    !S_ISLNK(st.st_mode))
		return arg;
	memcpy(path, arg, len - tail);
	path[len - tail] = '\0';
	return path;
}

/* Where the device that somebody calls @arg is mounted, if it exists. */
static int device_locate(struct ctl_device *dev, const char *arg,
			 struct uz_err *err)
{
	char path[CTL_PATH_MAX], *slash;
	struct stat st;
	int rc;

	if (!strchr(arg, '/')) {
		rc = ctl_rundir(path, err);
		if (!rc)
			rc = uz_daemon_check_name(arg, err);
		if (rc)
			return rc;
		if (snprintf(dev->dir, sizeof(dev->dir), "%s/%s", path, arg) >=
		    (int)sizeof(dev->dir))
			return uz_err_set(err, -ENAMETOOLONG,
					  "%s: path too long", arg);
	} else if (!realpath(without_block(arg, path), dev->dir)) {
		/* A dead daemon's mount has no real path but its own. */
		if (errno != ENOTCONN)
			return uz_err_set(err, -errno, "%s: %s", arg,
					  strerror(errno));
		snprintf(dev->dir, sizeof(dev->dir), "%s", arg);
		slash = strrchr(dev->dir, '/');
		if (!strcmp(slash, "/block") || !slash[1])
			*slash = '\0';
	} else if (!stat(dev->dir, &st) && !S_ISDIR(st.st_mode)) {
		*strrchr(dev->dir, '/') = '\0';
	}
	slash = strrchr(dev->dir, '/');
	snprintf(dev->name, sizeof(dev->name), "%s", slash ? slash + 1 : arg);
	return 0;
}

int ctl_device_open(struct ctl_device *dev, const char *arg, struct uz_err *err)
{
	enum uz_mountpoint state;
	char path[CTL_PATH_MAX];
	struct stat st;
	int rc;

	*dev = (struct ctl_device){ 0 };
	rc = device_locate(dev, arg, err);
	if (rc)
		return rc;
	ctl_device_path(dev, "initstate", path);
	rc = uz_mountpoint_state(dev->dir, &state);
	if (!rc && state != UZ_MOUNTPOINT_STALE && stat(path, &st))
		rc = -errno;
	if (!rc && state == UZ_MOUNTPOINT_STALE)
		return uz_err_set(err, -ENOTCONN,
				  "%s: its daemon has died; 'uzramctl remove "
				  "%s' clears its mount away",
				  dev->name, arg);
	if (rc == -ENOENT || rc == -ENOTDIR)
		return uz_err_set(err, -ENOENT,
				  "no device %s at %s; 'uzramctl' lists those "
				  "that there are",
				  dev->name, dev->dir);
	if (rc)
		return uz_err_set(err, rc, "%s: %s", dev->dir, strerror(-rc));
	dev->fs = st.st_dev;
	ctl_device_path(dev, "block", path);
	if (!stat(path, &st) && S_ISBLK(st.st_mode))
		dev->disk = st.st_rdev;
	return 0;
}

void ctl_device_path(const struct ctl_device *dev, const char *file,
		     char path[CTL_PATH_MAX])
{
	int n = snprintf(path, CTL_PATH_MAX, "%s/", dev->dir);

	if (n < CTL_PATH_MAX)
		snprintf(path + n, (size_t)(CTL_PATH_MAX - n), "%s", file);
}

static int attr_missing(const struct ctl_device *dev, const char *attr,
			struct uz_err *err)
{
	return uz_err_set(err, -ENOENT,
			  "%s has no attribute %s; 'ls %s' lists them",
			  dev->name, attr, dev->dir);
}

/* The daemon explains itself in a file; without it there is only @code. */
static int attr_error(const struct ctl_device *dev, const char *attr, int code,
		      struct uz_err *err)
{
	uz_autofree char *why = NULL;

	if (strcmp(attr, "last_error") && code != -ENOTCONN &&
	    !ctl_device_read(dev, "last_error", &why, NULL) &&
	    !strncmp(why, attr, strlen(attr)))
		return uz_err_set(err, code, "%s: %s", dev->name, why);
	return uz_err_set(err, code, "%s: %s: %s", dev->name, attr,
			  strerror(-code));
}

/* An attribute is a plain name: nothing that leads out of the directory. */
static int attr_open(const struct ctl_device *dev, const char *attr, int flags,
		     struct uz_err *err)
{
	char path[CTL_PATH_MAX];
	int fd;

	if (!*attr || strchr(attr, '/') || !strcmp(attr, "block") ||
	    !strcmp(attr, ".") || !strcmp(attr, ".."))
		return attr_missing(dev, attr, err);
	ctl_device_path(dev, attr, path);
	fd = open(path, flags | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	if (errno == ENOENT)
		return attr_missing(dev, attr, err);
	if (errno == EACCES)
		return uz_err_set(err, -EACCES, "%s: %s: not permitted for %s",
				  dev->name, attr,
				  flags == O_RDONLY ? "reading" : "writing");
	return attr_error(dev, attr, -errno, err);
}

int ctl_device_read(const struct ctl_device *dev, const char *attr, char **text,
		    struct uz_err *err)
{
	uz_autoclose int fd = attr_open(dev, attr, O_RDONLY, err);
	uz_autofree char *buf = NULL;
	size_t len = 0;
	ssize_t n;

	if (fd < 0)
		return fd;
	buf = malloc(ATTR_TEXT_MAX + 1);
	if (!buf)
		return uz_err_set(err, -ENOMEM, "out of memory");
	/* The longest text in one read: each read is of a moment of its own. */
	while ((n = read(fd, buf + len, ATTR_TEXT_MAX - len)) > 0)
		len += (size_t)n;
	if (n < 0)
		return attr_error(dev, attr, -errno, err);
	if (len && buf[len - 1] == '\n')
		len--;
	buf[len] = '\0';
	*text = uz_steal_ptr(buf);
	return 0;
}

int ctl_device_write(const struct ctl_device *dev, const char *attr,
		     const char *text, struct uz_err *err)
{
	uz_autoclose int fd = -1;

	if (!*text)
		return uz_err_set(err, -EINVAL, "%s: %s: the value is empty",
				  dev->name, attr);
	fd = attr_open(dev, attr, O_WRONLY, err);
	if (fd < 0)
		return fd;
	if (write(fd, text, strlen(text)) < 0)
		return attr_error(dev, attr, -errno, err);
	return 0;
}

int ctl_device_codec(const struct ctl_device *dev, char **codec,
		     struct uz_err *err)
{
	char *text, *open, *close;
	int rc = ctl_device_read(dev, "comp_algorithm", &text, err);

	if (rc)
		return rc;
	open = strchr(text, '[');
	close = open ? strchr(open, ']') : NULL;
	if (close) {
		*close = '\0';
		memmove(text, open + 1, (size_t)(close - open));
	}
	*codec = text;
	return 0;
}

int ctl_device_sized(const struct ctl_device *dev, struct uz_err *err)
{
	uz_autofree char *state = NULL;
	int rc = ctl_device_read(dev, "initstate", &state, err);

	if (!rc && strcmp(state, "1"))
		rc = uz_err_set(err, -EINVAL,
				"%s has no size; 'uzramctl set %s disksize "
				"SIZE' gives it one",
				dev->name, dev->name);
	return rc;
}

int ctl_absolute(const char *file, char path[CTL_PATH_MAX], struct uz_err *err)
{
	if (uz_path_absolute(file, path, CTL_PATH_MAX))
		return uz_err_set(err, -EINVAL,
				  "%.80s: cannot be made an absolute path",
				  file);
	return 0;
}

uint64_t ctl_stat_number(const char *stat, const char *name)
{
	size_t len = strlen(name);
	const char *line = stat;

	while (line) {
		if (!strncmp(line, name, len) && line[len] == ' ')
			return strtoull(line + len, NULL, 10);
		line = strchr(line, '\n');
		if (line)
			line++;
	}
	return 0;
}

uint64_t ctl_stat_growth(const char *before, const char *after,
			 const char *name)
{
	uint64_t from = ctl_stat_number(before, name);
	uint64_t to = ctl_stat_number(after, name);

	return to > from ? to - from : 0;
}

/* Only what can be a device; whether it is one, opening it tells. */
static int is_candidate(const struct dirent *entry)
{
	return !uz_daemon_check_name(entry->d_name, NULL);
}

int ctl_device_names(struct dirent ***entries, struct uz_err *err)
{
	char rundir[CTL_PATH_MAX];
	int n, rc;

	*entries = NULL;
	rc = ctl_rundir(rundir, err);
	if (rc)
		return rc;
	n = scandir(rundir, entries, is_candidate, versionsort);
	if (n < 0 && errno == ENOENT)
		return 0; /* nobody ever added a device */
	if (n < 0)
		return uz_err_set(err, -errno, "%s: %s", rundir,
				  strerror(errno));
	return n;
}

int ctl_device_each(int (*each)(const struct ctl_device *dev, void *arg,
				struct uz_err *err),
		    void *arg, struct uz_err *err)
{
	struct dirent **entries;
	struct ctl_device dev;
	struct uz_err why;
	int i, n, rc = 0;

	n = ctl_device_names(&entries, err);
	if (n < 0)
		return n;
	for (i = 0; i < n; i++) {
		int open_rc =
			rc ? rc
			   : ctl_device_open(&dev, entries[i]->d_name, &why);

		if (!open_rc)
			rc = each(&dev, arg, err);
		else if (!rc && open_rc != -ENOENT)
			ctl_note("%s", why.text);
		free(entries[i]);
	}
	free(entries);
	return rc;
}
