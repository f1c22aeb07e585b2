// SPDX-License-Identifier: MIT
/*
 * Commands to the ublk driver. The driver may sleep in any of them for as long
 * as it likes, and has been seen to do so for ever; the kernel runs them in a
 * thread of its own, and we wait for a time and no longer. What a command
 * points to lies in the struct, since one that is late may still write there.
 *
 * No locks: one thread sets up and ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ublk_frontend.h"
#include "ublk_priv.h"

/*
 * Seconds. To stop a disk is to write back what its page cache holds, and to
 * take one over is to wait until the driver has taken back all requests.
 */
#define LIMIT	   10
#define LIMIT_STOP 60

/* A work that is put off is done after some microseconds, mostly. */
#define NAP_MS 500

static long limit_of(unsigned int nr)
{
	switch (nr) {
	case UBLK_CMD_START_DEV: /* reads the partition table */
	case UBLK_CMD_STOP_DEV:
	case UBLK_CMD_TRY_STOP_DEV:
	case UBLK_CMD_DEL_DEV:
	case UBLK_CMD_DEL_DEV_ASYNC: /* stops it, too */
	/* Given up and done late, they would cost the disk. */
	case UBLK_CMD_START_USER_RECOVERY:
	case UBLK_CMD_END_USER_RECOVERY:
		return LIMIT_STOP;
	default:
		return LIMIT;
	}
}

static int wait_for(struct uz__ublk_control *c, long seconds)
{
	struct __kernel_timespec ts = { .tv_sec = seconds };
	struct io_uring_cqe *cqe;
	uint64_t seq;
	int ret, res;

	do {
		do {
			ret = io_uring_wait_cqe_timeout(&c->ring, &cqe, &ts);
		} while (ret == -EINTR);
		if (ret)
			return ret == -ETIME ? -ETIMEDOUT : ret;
		seq = cqe->user_data;
		res = cqe->res;
		io_uring_cqe_seen(&c->ring, cqe);
	} while (seq != c->seq);
	return res;
}

/* One that could not be submitted for want of memory still lies there. */
static struct io_uring_sqe *get_sqe(struct uz__ublk_control *c)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&c->ring);

	if (!sqe && io_uring_submit(&c->ring) > 0)
		sqe = io_uring_get_sqe(&c->ring);
	return sqe;
}

int uz__ublk_command(struct uz__ublk_control *c, unsigned int nr, uint32_t dev,
		     uint64_t data, void *buf, size_t len)
{
	const bool encoded = c->features || nr == UBLK_CMD_GET_FEATURES;
	struct ublksrv_ctrl_cmd cmd = {
		.dev_id = dev,
		.queue_id = UINT16_MAX,
		.len = (uint16_t)len,
		.addr = buf ? (uintptr_t)c->room : 0,
		.data = { data },
	};
	struct io_uring_sqe *sqe = get_sqe(c);
	int ret;

	if (!sqe || len > sizeof(c->room))
		return -EBUSY;
	if (buf)
		memcpy(c->room, buf, len);
	memset(sqe, 0, 2 * sizeof(*sqe));
	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = c->fd;
	sqe->cmd_op = encoded ? uz__ublk_encode(nr) : nr;
	sqe->user_data = ++c->seq;
	memcpy(sqe->cmd, &cmd, sizeof(cmd));
	ret = io_uring_submit(&c->ring);
	if (ret < 0)
		return ret;
	ret = wait_for(c, limit_of(nr));
	if (buf && ret >= 0)
		memcpy(buf, c->room, len);
	return ret;
}

/* Whatever it is, it is the next command of this ring. */
static int carry_out(struct uz__ublk_control *c, struct io_uring_sqe *sqe)
{
	int ret;

	sqe->user_data = ++c->seq;
	ret = io_uring_submit(&c->ring);
	return ret < 0 ? ret : wait_for(c, LIMIT);
}

int uz__ublk_control_tell(struct uz__ublk_control *c, int ring, uint64_t data,
			  unsigned int res)
{
	struct io_uring_sqe *sqe = get_sqe(c);

	if (!sqe)
		return -EBUSY;
	memset(sqe, 0, 2 * sizeof(*sqe));
	io_uring_prep_msg_ring(sqe, ring, res, data, 0);
	return carry_out(c, sqe);
}

/*
 * Reading this file has each CPU bring its statistics up to date, by a work in
 * that queue, and waits for all of them. Works of a CPU are begun one after the
 * other unless one sleeps.
 */
static int flush_works(struct uz__ublk_control *c)
{
	int fd = open("/proc/sys/vm/stat_refresh", O_RDONLY | O_CLOEXEC);
	struct io_uring_sqe *sqe;
	int ret;

	if (fd < 0)
		return -errno;
	sqe = get_sqe(c);
	if (!sqe) {
		close(fd);
		return -EBUSY;
	}
	memset(sqe, 0, 2 * sizeof(*sqe));
	io_uring_prep_read(sqe, fd, c->room, sizeof(c->room), 0);
	ret = carry_out(c, sqe);
	close(fd);
	return ret;
}

int uz__ublk_control_settle(struct uz__ublk_control *c)
{
	const struct timespec nap = { .tv_nsec = NAP_MS * 1000000L };
	int ret = flush_works(c);

	if (ret == -ETIMEDOUT)
		return -EBUSY;
	if (ret < 0)
		nanosleep(&nap, NULL);
	return 0;
}

/*
 * Of memory, threads or descriptors, which says nothing of the driver. Who is
 * to take over a disk must not take it for one that has no features.
 */
static bool is_short(int code)
{
	return code == -ENOMEM || code == -EAGAIN || code == -EINTR ||
	       code == -ECANCELED || code == -EMFILE || code == -ENFILE;
}

static int open_device(int *fd, struct uz_err *err)
{
	*fd = open(UZ__UBLK_CONTROL, O_RDWR | O_CLOEXEC);
	if (*fd >= 0)
		return 0;
	if (is_short(-errno))
		return uz_err_set(err, -errno, UZ__UBLK_CONTROL ": %s",
				  strerror(errno));
	if (errno == EACCES || errno == EPERM)
		return uz_err_set(err, -EPERM,
				  UZ__UBLK_CONTROL ": %s; be root, or use "
						   "--frontend fuse",
				  strerror(errno));
	return uz_err_set(err, -ENODEV,
			  UZ__UBLK_CONTROL
			  ": %s; load the module (modprobe "
			  "ublk_drv, Linux 6.0), or use --frontend fuse",
			  strerror(errno));
}

int uz__ublk_control_open(struct uz__ublk_control *c, struct uz_err *err)
{
	uint64_t features = 0;
	int ret;

	*c = (struct uz__ublk_control){ .fd = -1 };
	ret = open_device(&c->fd, err);
	if (ret)
		return ret;
	ret = io_uring_queue_init(4, &c->ring, IORING_SETUP_SQE128);
	if (ret < 0) {
		close(c->fd);
		return uz_err_set(err, ret == -ENOSYS ? -EPERM : ret,
				  "ublk needs io_uring: %s; allow it (sysctl "
				  "kernel.io_uring_disabled=0), or use "
				  "--frontend fuse",
				  strerror(-ret));
	}
	/* A driver that cannot tell knows commands by their numbers. */
	ret = uz__ublk_command(c, UBLK_CMD_GET_FEATURES, UINT32_MAX, 0,
			       &features, sizeof(features));
	if (ret == -ETIMEDOUT) {
		uz__ublk_control_close(c);
		return uz_err_set(err, ret,
				  "the ublk driver does not answer; use "
				  "--frontend fuse, and look into dmesg");
	}
	if (is_short(ret)) {
		uz__ublk_control_close(c);
		return uz_err_set(err, -EAGAIN,
				  "the ublk driver cannot be asked just now: "
				  "%s",
				  strerror(-ret));
	}
	c->features = ret < 0 ? 0 : features;
	return 0;
}

void uz__ublk_control_close(struct uz__ublk_control *c)
{
	io_uring_queue_exit(&c->ring);
	close(c->fd);
}
