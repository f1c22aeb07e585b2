// SPDX-License-Identifier: MIT
/*
 * Private directories, mounts in them, and small files of /sys and /proc.
 */
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <uzram/util/cleanup.h>

#include "device.h"

static int remove_one(const char *path, const struct stat *st, int flag,
		      struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	remove(path);
	return 0;
}

static void remove_dir(void *arg)
{
	char *path = arg;

	/* FTW_MOUNT: should something be mounted still, it is not emptied. */
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	free(path);
}

int scratch_make(char path[PATH_MAX], struct uz_err *err)
{
	const char *tmp = getenv("TMPDIR");
	char *copy;

	snprintf(path, PATH_MAX, "%s/uzram-bench-XXXXXX",
		 tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(path))
		return uz_err_set(err, -errno, "%s: %m", path);
	copy = strdup(path);
	if (!copy) {
		rmdir(path);
		return uz_err_set(err, -ENOMEM, "no memory");
	}
	undo_push(remove_dir, copy);
	return 0;
}

int scratch_file(char path[PATH_MAX], uint64_t size, struct uz_err *err)
{
	uz_autoclose int fd = -1;
	char dir[PATH_MAX];
	int ret = scratch_make(dir, err);

	if (ret)
		return ret;
	if (snprintf(path, PATH_MAX, "%s/store", dir) >= PATH_MAX)
		return uz_err_set(err, -ENAMETOOLONG, "%s: too long", dir);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	ret = fd < 0 ? -errno : -posix_fallocate(fd, 0, (off_t)size);
	return ret ? uz_err_set(err, ret, "%s: %s", path, strerror(-ret)) : 0;
}

void scratch_unmount(const char *path)
{
	char *argv[] = { (char *)"fusermount3", (char *)"-uqz", (char *)path,
			 NULL };
	pid_t pid;

	if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0 || errno == EINVAL)
		return;
	if (child_start(argv, NULL, &pid) == 0)
		waitpid(pid, NULL, 0);
}

int scratch_write(const char *path, const char *text)
{
	uz_autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));

	return n < 0 ? -errno : 0;
}

void scratch_read(const char *path, char *text, size_t size)
{
	uz_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	text[n > 0 ? n : 0] = 0;
	text[strcspn(text, "\n")] = 0;
}
