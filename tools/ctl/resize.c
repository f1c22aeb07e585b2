// SPDX-License-Identifier: MIT
/*
 * resize: make a device larger while it is in use. The daemon does it, and
 * tells FUSE or the driver of its disk; who must be told as well are loop
 * devices on the block file, and they ask the kernel, which asks the daemon
 * only when somebody wants to know: so the file is looked at first. What stands
 * on any of these (a file system, swap space) is grown by its own tools.
 *
 * The kernel drops the size that it is told when a write to the file has ended
 * since it asked, so under load a loop device may be left with the old one. It
 * takes the size that comes with the answer to a change of attributes in any
 * case; but other requests have to wait for that, so it is made only where a
 * loop device has not grown without.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"
#include <uzram/util/cleanup.h>
#include <uzram/util/size.h>
#include <uzram/util/users.h>

#define SECTOR 512

static int read_size(const struct ctl_device *dev, uint64_t *size,
		     struct uz_err *err)
{
	uz_autofree char *text = NULL;
	int rc = ctl_device_read(dev, "disksize", &text, err);

	if (!rc)
		*size = strtoull(text, NULL, 10);
	return rc;
}

/*
 * Have a loop device look at the size of its file, of which it may offer a
 * part. -EAGAIN: it offers less than it would of a file of @size.
 */
static int update_loop(int fd, uint64_t size)
{
	struct loop_info64 info;
	uint64_t has;

	if (ioctl(fd, LOOP_SET_CAPACITY, 0) ||
	    ioctl(fd, LOOP_GET_STATUS64, &info) ||
	    ioctl(fd, BLKGETSIZE64, &has))
		return -errno;
	size -= info.lo_offset < size ? info.lo_offset : size;
	if (info.lo_sizelimit && info.lo_sizelimit < size)
		size = info.lo_sizelimit;
	return has < size / SECTOR * SECTOR ? -EAGAIN : 0;
}

/* @block is the device's file, of @size. */
static int tell_loop(const struct ctl_device *dev, const char *block,
		     uint64_t size, int number, struct uz_err *err)
{
	uz_autoclose int fd = -1;
	char path[32];
	int ret;

	snprintf(path, sizeof(path), "/dev/loop%d", number);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ret = fd < 0 ? -errno : update_loop(fd, size);
	if (ret == -EAGAIN)
		ret = utimensat(AT_FDCWD, block, NULL, 0)
			      ? -errno
			      : update_loop(fd, size);
	if (ret)
		return uz_err_set(
			err, ret,
			"%s has grown, but %s does not know: %s; 'touch %s && losetup -c %s' as root tells it",
			dev->name, path,
			ret == -EAGAIN ? "it kept its size" : strerror(-ret),
			block, path);
	return 0;
}

/* All are tried; the first failure is told. @size: as update_loop() has it. */
static int tell_loops(const struct ctl_device *dev, uint64_t size,
		      struct uz_err *err)
{
	struct uz_users users = { 0 };
	char path[CTL_PATH_MAX];
	struct stat st;
	int rc, ret;
	size_t i;

	ctl_device_path(dev, "block", path);
	if (stat(path, &st))
		return uz_err_set(err, -errno, "%s: %s", path, strerror(errno));
	rc = ctl_users(dev, false, &users, err);
	for (i = 0; i < users.count; i++) {
		if (users.list[i].kind != UZ_USER_LOOP)
			continue;
		ret = tell_loop(dev, path, size, users.list[i].loop,
				rc ? NULL : err);
		if (!rc)
			rc = ret;
	}
	uz_users_free(&users);
	return rc;
}

static int resize(const char *name, uint64_t size, struct uz_err *err)
{
	uint64_t before = 0, now = 0;
	struct ctl_device dev;
	char text[24];
	int rc;

	snprintf(text, sizeof(text), "%" PRIu64, size);
	rc = ctl_device_open(&dev, name, err);
	if (!rc)
		rc = ctl_device_sized(&dev, err);
	if (!rc)
		rc = read_size(&dev, &before, err);
	if (!rc)
		rc = ctl_device_write(&dev, "disksize", text, err);
	if (!rc)
		rc = read_size(&dev, &now, err);
	/*
	 * Also when it had that size: then they may be what has not heard. Of a
	 * disk they may stand on a part, and its size is not asked for.
	 */
	if (!rc)
		rc = tell_loops(&dev, dev.disk ? 0 : now, err);
	if (rc)
		return rc;
	if (now == before)
		printf("%s: %s already\n", dev.name, ctl_size_words(now).text);
	else
		printf("%s: %s, was %s\n", dev.name, ctl_size_words(now).text,
		       ctl_size_words(before).text);
	return 0;
}

/* As uzramd takes it for --size. */
static int parse(const char *text, uint64_t *size)
{
	uint64_t ram = uz_size_ram();
	int rc = uz_size_parse(text, ram, size);

	return rc == -EINVAL ? uz_size_compute(text, ram, 1, size) : rc;
}

enum uz_exit ctl_verb_resize(int argc, char **argv)
{
	enum uz_exit status;
	struct uz_err err;
	uint64_t size;

	if (!ctl_words(argc, argv, 2, 2, &status))
		return status;
	if (parse(argv[optind + 1], &size) || !size) {
		ctl_note("'%.40s' is not a size; write 512M, 2G, 50%% or ram/2",
			 argv[optind + 1]);
		return UZ_EXIT_USAGE;
	}
	if (resize(argv[optind], size, &err))
		return ctl_fail(&err);
	return UZ_EXIT_OK;
}
