// SPDX-License-Identifier: MIT
/*
 * A file that appears under its name in one step, when it is complete, or not
 * at all, however this process ends.
 *
 * Where the file system can do it (O_TMPFILE) the file has no name while it is
 * written, so that a process which is killed leaves nothing. Since a name that
 * exists cannot be linked over, it gets one of its own for the moment before
 * it is renamed. Elsewhere it has that name from the start.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uzram/util/cleanup.h>

#include "image_priv.h"

#define TMP_SUFFIX ".tmp-"
#define TMP_RANDOM 6
#define TMP_TRIES  100
#define FILE_MODE  0600

/* Six letters and digits behind @at. */
static void random_suffix(char *at)
{
	static const char set[] = "0123456789abcdefghijklmnopqrstuv";
	unsigned char bytes[TMP_RANDOM] = { 0 };
	unsigned int i;

	/* Short only before the machine has any; a name in use is no matter. */
	if (getrandom(bytes, sizeof(bytes), 0) < 0)
		memcpy(bytes, &(pid_t){ getpid() }, sizeof(pid_t));
	for (i = 0; i < TMP_RANDOM; i++)
		at[i] = set[bytes[i] % (sizeof(set) - 1)];
}

/* Calls @make with names until one is not taken. */
static int with_tmp_name(struct uz__target *t,
			 int (*make)(struct uz__target *t))
{
	char *at = t->tmp + sprintf(t->tmp, "%s%s", t->path, TMP_SUFFIX);
	int tries = TMP_TRIES, ret;

	at[TMP_RANDOM] = '\0';
	do {
		random_suffix(at);
		ret = make(t);
	} while (ret == -EEXIST && --tries);
	if (ret)
		*t->tmp = '\0';
	return ret;
}

static int make_named(struct uz__target *t)
{
	t->fd = open(t->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
		     FILE_MODE);
	return t->fd < 0 ? -errno : 0;
}

static int link_name(struct uz__target *t)
{
	char self[32];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", t->fd);
	return linkat(AT_FDCWD, self, AT_FDCWD, t->tmp, AT_SYMLINK_FOLLOW)
		       ? -errno
		       : 0;
}

/* The directory that the file is in; from malloc. */
static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return slash == path ? strdup("/")
			     : strndup(path, (size_t)(slash - path));
}

static int open_unnamed(struct uz__target *t)
{
	uz_autofree char *dir = directory_of(t->path);

	if (!dir)
		return -ENOMEM;
	t->fd = open(dir, O_WRONLY | O_TMPFILE | O_CLOEXEC, FILE_MODE);
	return t->fd < 0 ? -errno : 0;
}

static int target_open(struct uz__target *t)
{
	int ret = open_unnamed(t);

	/*
	 * What file systems without it say; older kernels take the directory.
	 */
	if (ret == -EOPNOTSUPP || ret == -EISDIR || ret == -ENOENT)
		ret = with_tmp_name(t, make_named);
	return ret;
}

int uz__target_open(struct uz__target *target, const char *path,
		    struct uz_err *err)
{
	struct stat st;
	int ret;

	*target = (struct uz__target){ .fd = -1 };
	if (!lstat(path, &st) && !S_ISREG(st.st_mode))
		return uz_err_set(err, -EINVAL,
				  "%s is no regular file: it is not replaced",
				  path);
	target->path = strdup(path);
	target->tmp = calloc(1, strlen(path) + sizeof(TMP_SUFFIX) + TMP_RANDOM);
	ret = target->path && target->tmp ? target_open(target) : -ENOMEM;
	if (!ret)
		return 0;
	uz__target_close(target);
	return uz_err_set(err, ret, "cannot make %s: %s", path, strerror(-ret));
}

/* So that the name is on the disk, too. */
static void sync_directory(const char *path)
{
	uz_autofree char *dir = directory_of(path);
	uz_autoclose int fd = -1;

	if (dir)
		fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/*
	 * If it cannot be had: the file is whole, under one name or the other.
	 */
	if (fd >= 0 && fsync(fd))
		return;
}

/**
 * uz__target_settle() - the file is complete
 * @target: closed and gone afterwards, in any case
 * @err:    the reason; may be NULL
 *
 * Context: any thread; waits for the disk.
 * Return:  0 or -errno: then there is no new file.
 */
int uz__target_settle(struct uz__target *target, struct uz_err *err)
{
	int ret = fsync(target->fd) ? -errno : 0;

	if (!ret && !*target->tmp)
		ret = with_tmp_name(target, link_name);
	if (!ret && rename(target->tmp, target->path))
		ret = -errno;
	if (ret) {
		uz_err_set(err, ret, "cannot write %s: %s", target->path,
			   strerror(-ret));
	} else {
		*target->tmp = '\0';
		sync_directory(target->path);
	}
	uz__target_close(target);
	return ret;
}

/* Leave nothing of it, unless it has settled. */
void uz__target_close(struct uz__target *target)
{
	if (target->tmp && *target->tmp)
		unlink(target->tmp);
	if (target->fd >= 0)
		close(target->fd);
	free(target->path);
	free(target->tmp);
	*target = (struct uz__target){ .fd = -1 };
}
