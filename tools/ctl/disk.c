// SPDX-License-Identifier: MIT
/*
 * What a file system or swap space can stand on: the device's own disk where it
 * has one (ublk), else a loop device on its block file. That one does direct
 * I/O, or the page cache would hold uncompressed what the device holds
 * compressed; it has sectors of one page, or every small write would be two;
 * and it detaches itself when its last user is gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "ctl.h"
#include <uzram/util/cleanup.h>

/* How often somebody else may be faster to the same free loop device. */
#define LOOP_TRIES 64

static int loop_configure(struct ctl_disk *disk, int control, int block)
{
	struct loop_config config = {
		.fd = (uint32_t)block,
		.block_size = UZ_PAGE_SIZE,
		.info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO,
	};
	int n = ioctl(control, LOOP_CTL_GET_FREE);

	if (n < 0)
		return -errno;
	snprintf(disk->path, sizeof(disk->path), "/dev/loop%d", n);
	disk->fd = open(disk->path, O_RDWR | O_CLOEXEC);
	if (disk->fd < 0)
		return -errno;
	if (!ioctl(disk->fd, LOOP_CONFIGURE, &config))
		return 0;
	n = -errno;
	close(uz_steal_fd(&disk->fd));
	return n;
}

/* Kept open, as a loop device is: it stays the disk that was looked at. */
static int disk_itself(struct ctl_disk *disk, const struct ctl_device *dev,
		       struct uz_err *err)
{
	uz_autofree char *node = NULL;
	char path[CTL_PATH_MAX];

	ctl_device_path(dev, "block", path);
	node = realpath(path, NULL);
	if (!node)
		return uz_err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (snprintf(disk->path, sizeof(disk->path), "%s", node) >=
	    (int)sizeof(disk->path))
		return uz_err_set(err, -ENAMETOOLONG, "%s: path too long",
				  node);
	disk->fd = open(disk->path, O_RDONLY | O_CLOEXEC);
	if (disk->fd < 0)
		return uz_err_set(err, -errno, "%s: %s", disk->path,
				  strerror(errno));
	return 0;
}

int ctl_disk_attach(struct ctl_disk *disk, const struct ctl_device *dev,
		    struct uz_err *err)
{
	uz_autoclose int control = -1, block = -1;
	char path[CTL_PATH_MAX];
	int rc, tries;

	if (dev->disk)
		return disk_itself(disk, dev, err);
	ctl_device_path(dev, "block", path);
	block = open(path, O_RDWR | O_CLOEXEC);
	if (block < 0)
		return uz_err_set(err, -errno, "%s: %s", path, strerror(errno));
	control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (control < 0)
		return uz_err_set(err, -errno,
				  "/dev/loop-control: %s; a file system needs "
				  "loop devices",
				  strerror(errno));
	for (tries = 0; tries < LOOP_TRIES; tries++) {
		rc = loop_configure(disk, control, block);
		if (!rc)
			return 0;
		if (rc != -EBUSY)
			break;
	}
	return uz_err_set(err, rc, "%s: cannot attach a loop device: %s",
			  dev->name, strerror(-rc));
}
