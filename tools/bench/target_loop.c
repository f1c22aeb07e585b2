// SPDX-License-Identifier: MIT
/*
 * "loop:TARGET": a loop device on a target, with direct I/O and sectors of
 * 4 KiB, so that the target is measured and not the page cache over it.
 *
 * It clears itself when its last user closes it, so it goes even if this
 * program is killed.
 */
#include <fcntl.h>
#include <linux/loop.h>
#include <string.h>
#include <sys/ioctl.h>

#include <uzram/util/cleanup.h>

#include "device.h"

static void take_down(void *arg)
{
	struct target *t = arg;

	ioctl(t->fd, LOOP_CLR_FD, 0);
	close(t->fd);
	t->fd = -1;
}

static int configure(struct target *t, int backing)
{
	struct loop_config config = {
		.fd = (uint32_t)backing,
		.block_size = UZ_PAGE_SIZE,
		.info.lo_flags = LO_FLAGS_DIRECT_IO | LO_FLAGS_AUTOCLEAR,
	};
	uz_autoclose int control =
		open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	char path[32];

	if (control < 0)
		return -errno;
	/* Somebody may take the free one before us. */
	for (int tries = 0; tries < 64; tries++) {
		uz_autoclose int fd = -1;
		int n = ioctl(control, LOOP_CTL_GET_FREE);

		if (n < 0)
			return -errno;
		snprintf(path, sizeof(path), "/dev/loop%d", n);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		if (ioctl(fd, LOOP_CONFIGURE, &config) == 0) {
			snprintf(t->path, sizeof(t->path), "%s", path);
			t->fd = uz_steal_fd(&fd);
			return 0;
		}
		if (errno != EBUSY)
			return -errno;
	}
	return -EBUSY;
}

int target_loop(struct target *t, struct uz_err *err)
{
	uz_autoclose int backing = open(t->path, O_RDWR | O_CLOEXEC);
	struct loop_info64 info;
	int ret = backing < 0 ? -errno : configure(t, backing);

	if (ret)
		return uz_err_set(err, ret, "target %s: no loop device: %s",
				  t->name, strerror(-ret));
	undo_push(take_down, t);
	if (ioctl(t->fd, LOOP_GET_STATUS64, &info) < 0)
		return uz_err_set(err, -errno, "target %s: %s: %m", t->name,
				  t->path);
	if (!(info.lo_flags & LO_FLAGS_DIRECT_IO))
		return uz_err_set(
			err, -ENOTSUP,
			"target %s: the loop device does no direct "
			"I/O here, so it would measure the page cache",
			t->name);
	return 0;
}
