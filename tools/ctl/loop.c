// SPDX-License-Identifier: MIT
/*
 * A loop device on a block file. It does direct I/O, or the page cache would
 * hold uncompressed what the device holds compressed; it has sectors of one
 * page, or every small write would be two; and it detaches itself when its
 * last user is gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl.h"
#include <uzram/util/cleanup.h>

/* How often somebody else may be faster to the same free loop device. */
#define LOOP_TRIES 64

static int loop_configure(struct ctl_loop *loop, int control, int block)
{
	struct loop_config config = {
		.fd = (uint32_t)block,
		.block_size = UZ_PAGE_SIZE,
		.info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO,
	};
	int n = ioctl(control, LOOP_CTL_GET_FREE);

	if (n < 0)
		return -errno;
	snprintf(loop->path, sizeof(loop->path), "/dev/loop%d", n);
	loop->fd = open(loop->path, O_RDWR | O_CLOEXEC);
	if (loop->fd < 0)
		return -errno;
	if (!ioctl(loop->fd, LOOP_CONFIGURE, &config))
		return 0;
	n = -errno;
	close(uz_steal_fd(&loop->fd));
	return n;
}

int ctl_loop_attach(struct ctl_loop *loop, const struct ctl_device *dev,
		    struct uz_err *err)
{
	uz_autoclose int control = -1, block = -1;
	char path[CTL_PATH_MAX];
	struct stat st;
	int rc, tries;

	ctl_device_path(dev, "block", path);
	block = open(path, O_RDWR | O_CLOEXEC);
	if (block < 0)
		return uz_err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (!fstat(block, &st) && S_ISBLK(st.st_mode))
		return uz_err_set(err, -ENOTSUP,
				  "%s is a disk, and needs no loop device; use "
				  "%s itself",
				  dev->name, path);
	control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	if (control < 0)
		return uz_err_set(err, -errno,
				  "/dev/loop-control: %s; a file system needs "
				  "loop devices",
				  strerror(errno));
	for (tries = 0; tries < LOOP_TRIES; tries++) {
		rc = loop_configure(loop, control, block);
		if (!rc)
			return 0;
		if (rc != -EBUSY)
			break;
	}
	return uz_err_set(err, rc, "%s: cannot attach a loop device: %s",
			  dev->name, strerror(-rc));
}
