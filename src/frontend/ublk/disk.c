// SPDX-License-Identifier: MIT
/*
 * One ublk disk from its birth to its end. The order is the driver's: add,
 * open, set, give it every tag of every queue, start; then stop while the
 * queues still serve, since what the page cache holds is written back; end the
 * queues, close, delete.
 *
 * A worker that follows one that died, or left, finds the disk by the word that
 * is in the session, and instead of adding and starting it begins and ends its
 * recovery. Meanwhile requests wait in the driver, and those that the dead one
 * had come again. All that may fail for want of something is made before: an
 * older driver cannot begin a recovery anew that was begun and not ended.
 *
 * All of it happens in one thread that is none of a queue, so no locks. But to
 * leave is another thread's, which has its own way to the driver; the front end
 * sees to it that nobody stops the disk meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <uzram/util/cleanup.h>
#include <uzram/util/cpus.h>
#include <uzram/util/log.h>

#include "../fuse/fuse_frontend.h"
#include "ublk_priv.h"

/* How long nodes may take to appear, be it devtmpfs or udev that makes them. */
#define NODE_MS 3000
#define STEP_MS 5

/*
 * For each queue to have a tag without a request, by which it hears of it. What
 * is left of the time that a worker has to leave in is for the requests.
 */
#define QUIESCE_MS 300

#define RECOVERY (UBLK_F_USER_RECOVERY | UBLK_F_USER_RECOVERY_REISSUE)

/* In the session's word, beside the number of the disk and one. */
#define WORD_ID	     UINT64_C(0xffffffff)
#define WORD_HANDING (UINT64_C(1) << 32)

/* What to do about it, for those that somebody can do something about. */
static const char *advice(int code)
{
	switch (code) {
	case -EPERM:
	case -EACCES:
		return "be root, or have fewer disks (the module's "
		       "ublks_max)";
	case -ENOMEM:
	case -EAGAIN:
	case -ECANCELED: /* the kernel had no thread to carry it out */
		return "there is no memory, or no more threads are allowed "
		       "(pids.max, ulimit -u)";
	case -EMFILE:
	case -ENFILE:
		return "too many open files are not allowed (ulimit -n)";
	case -ETIMEDOUT:
		return "the driver does not answer; look into dmesg";
	default:
		return "look into dmesg";
	}
}

static int fail(struct uz_err *err, int code, const char *what)
{
	return uz_err_set(err, code,
			  "ublk: cannot %s: %s; %s, or use --frontend fuse",
			  what, strerror(-code), advice(code));
}

struct step {
	int (*take)(struct uz__ublk_disk *disk);
	const char *what;
};

/* Whoever makes the node may give it its rights a moment later. */
static int open_node(const char *path, int flags)
{
	const struct timespec step = { .tv_nsec = STEP_MS * 1000000L };
	int left, fd = -1;

	for (left = NODE_MS; left > 0; left -= STEP_MS) {
		fd = open(path, flags | O_CLOEXEC);
		if (fd >= 0 || (errno != ENOENT && errno != EACCES))
			break;
		nanosleep(&step, NULL);
	}
	return fd >= 0 ? fd : -errno;
}

/* ---- the disk ---- */

/* Requests that come twice do no harm, but those that fail do. */
static uint64_t wanted(uint64_t features)
{
	uint64_t flags = features & UBLK_F_CMD_IOCTL_ENCODE;

	if ((features & RECOVERY) == RECOVERY)
		flags |= RECOVERY | (features & UBLK_F_QUIESCE);
	return flags;
}

/* From the driver's numbers. */
static void adopt_plan(struct uz__ublk_disk *disk)
{
	disk->plan = (struct uz__ublk_plan){
		.queues = disk->info.nr_hw_queues,
		.depth = disk->info.queue_depth,
		.io_max = disk->info.max_io_buf_bytes,
	};
	disk->plan.bytes = (uint64_t)disk->plan.queues * disk->plan.depth *
			   disk->plan.io_max;
	snprintf(disk->path, sizeof(disk->path), "/dev/ublkb%u",
		 disk->info.dev_id);
}

static int keep_word(struct uz__ublk_disk *disk, uint64_t flags)
{
	return uz__fuse_session_set_disk(
		&disk->session, (disk->info.dev_id + UINT64_C(1)) | flags);
}

static int add(struct uz__ublk_disk *disk)
{
	int ret;

	disk->info = (struct ublksrv_ctrl_dev_info){
		.nr_hw_queues = (uint16_t)disk->plan.queues,
		.queue_depth = (uint16_t)disk->plan.depth,
		.max_io_buf_bytes = disk->plan.io_max,
		.dev_id = UINT32_MAX,
		.flags = wanted(disk->control.features),
		.ublksrv_flags = uz__ublk_mark(disk->owner),
	};
	ret = uz__ublk_command(&disk->control, UBLK_CMD_ADD_DEV, UINT32_MAX, 0,
			       &disk->info, sizeof(disk->info));
	if (ret < 0)
		return ret;
	disk->added = true;
	/* It may have been given fewer queues than were asked for. */
	if (disk->info.queue_depth != disk->plan.depth ||
	    disk->info.max_io_buf_bytes != disk->plan.io_max ||
	    disk->info.nr_hw_queues > disk->plan.queues ||
	    !disk->info.nr_hw_queues)
		return -ENOTSUP;
	adopt_plan(disk);
	return keep_word(disk, 0);
}

static int open_server(struct uz__ublk_disk *disk)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/dev/ublkc%u", disk->info.dev_id);
	fd = open_node(path, O_RDWR);
	if (fd < 0)
		return fd;
	disk->fd = fd;
	return 0;
}

static int set_params(struct uz__ublk_disk *disk)
{
	struct ublk_params params;

	uz__ublk_params(&params, uz_device_disksize(disk->dev),
			disk->plan.io_max);
	return uz__ublk_command(&disk->control, UBLK_CMD_SET_PARAMS,
				disk->info.dev_id, 0, &params, sizeof(params));
}

/*
 * Drivers before Linux 6.16 hear of the death of their server through tags that
 * have no request, or else when a request has taken 30 s. So one tag of each
 * queue never gets any.
 */
static void spare_tag(const struct uz__ublk_disk *disk)
{
	char path[64], text[16];
	int fd, n;

	if (!uz__ublk_disk_recovers(disk) ||
	    (disk->control.features & UBLK_F_PER_IO_DAEMON))
		return;
	snprintf(path, sizeof(path), "/sys/block/ublkb%u/queue/nr_requests",
		 disk->info.dev_id);
	n = snprintf(text, sizeof(text), "%u", disk->plan.depth - 1);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, (size_t)n) < 0)
		uz_log(UZ_LOG_NOTICE,
		       "%s: %s; a worker that dies under full load is followed "
		       "by another only after 30 s",
		       path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static int go_live(struct uz__ublk_disk *disk)
{
	int fd, ret;

	ret = uz__ublk_command(&disk->control, UBLK_CMD_START_DEV,
			       disk->info.dev_id, (uint64_t)getpid(), NULL, 0);
	if (ret < 0)
		return ret;
	disk->live = true;
	fd = open_node(disk->path, O_PATH);
	if (fd < 0)
		return fd;
	close(fd);
	spare_tag(disk);
	return 0;
}

static const struct step birth[] = {
	{ add, "add a disk" },
	{ uz__ublk_queues_prepare, "set up its queues" },
	{ open_server, "open its /dev/ublkcN" },
	{ set_params, "set its limits" },
	{ uz__ublk_queues_run, "begin with its queues" },
	{ go_live, "start the disk" },
	{ NULL, NULL },
};

/* ---- the disk of a worker before ---- */

static int find(struct uz__ublk_disk *disk, uint64_t word, struct uz_err *err)
{
	static const char what[] = "the disk ended with the worker before";
	int ret;

	disk->info.dev_id = (uint32_t)((word & WORD_ID) - 1);
	ret = uz__ublk_command(&disk->control, UBLK_CMD_GET_DEV_INFO,
			       disk->info.dev_id, 0, &disk->info,
			       sizeof(disk->info));
	if (ret < 0 && ret != -ENODEV)
		return fail(err, ret, "ask for the disk");
	if (ret < 0 || disk->info.state == UBLK_S_DEV_DEAD ||
	    !uz__ublk_disk_recovers(disk) ||
	    disk->info.ublksrv_flags != uz__ublk_mark(disk->owner))
		return uz_err_set(err, -ENOTSUP, what);
	/* From Linux 6.16 on the driver begins anew with any server. */
	if ((word & WORD_HANDING) &&
	    !(disk->control.features & UBLK_F_PER_IO_DAEMON))
		return uz_err_set(err, -ENOTSUP,
				  "a worker died while it took the disk over; "
				  "only Linux 6.16 can begin that anew");
	disk->added = disk->adopted = true;
	adopt_plan(disk);
	return 0;
}

/* The word is written after that: death in between, the driver tells itself. */
static int begin_recovery(struct uz__ublk_disk *disk)
{
	int ret = uz__ublk_recovery_begin(&disk->control, disk->info.dev_id);

	return ret < 0 ? ret : keep_word(disk, WORD_HANDING);
}

/* The driver has all tags: who follows may begin a recovery again. */
static int end_recovery(struct uz__ublk_disk *disk)
{
	int ret = keep_word(disk, 0);

	if (!ret)
		ret = uz__ublk_command(
			&disk->control, UBLK_CMD_END_USER_RECOVERY,
			disk->info.dev_id, (uint64_t)getpid(), NULL, 0);
	if (ret >= 0)
		disk->live = true;
	return ret;
}

static const struct step adoption[] = {
	{ uz__ublk_queues_prepare, "set up queues" },
	{ begin_recovery, "begin to take over the disk" },
	{ open_server, "open its /dev/ublkcN" },
	{ uz__ublk_queues_run, "begin with its queues" },
	{ end_recovery, "take over the disk" },
	{ NULL, NULL },
};

static int take(struct uz__ublk_disk *disk, const struct step *step,
		struct uz_err *err)
{
	int ret = 0;

	for (; step->take && ret >= 0; step++) {
		ret = step->take(disk);
		if (ret < 0)
			fail(err, ret, step->what);
	}
	return ret < 0 ? ret : 0;
}

bool uz__ublk_disk_recovers(const struct uz__ublk_disk *disk)
{
	return (disk->info.flags & RECOVERY) == RECOVERY;
}

void uz__ublk_disk_leave(struct uz__ublk_disk *disk)
{
	struct uz__ublk_control control;
	bool held = false;

	/* All that may fail here only makes it more like a death. */
	if (uz__ublk_control_open(&control, NULL))
		return;
	if (disk->info.flags & UBLK_F_QUIESCE)
		held = uz__ublk_command(&control, UBLK_CMD_QUIESCE_DEV,
					disk->info.dev_id, QUIESCE_MS, NULL,
					0) >= 0;
	uz__ublk_queues_leave(disk, &control, held);
	uz__ublk_control_close(&control);
}

/* ---- its size ---- */

int uz__ublk_disk_can_grow(const struct uz__ublk_disk *disk, struct uz_err *err)
{
	if (disk->control.features & UBLK_F_UPDATE_SIZE)
		return 0;
	return uz_err_set(err, -ENOTSUP,
			  "%s cannot grow: this kernel's ublk driver takes no "
			  "other size (from Linux 6.16 on it does); save the "
			  "device and restore it to a larger one",
			  disk->path);
}

/* By a way of its own to the driver: the other one is another thread's. */
int uz__ublk_disk_grow(const struct uz__ublk_disk *disk, uint64_t size,
		       struct uz_err *err)
{
	struct uz__ublk_control control;
	int ret = uz__ublk_control_open(&control, err);

	if (ret)
		return ret;
	ret = uz__ublk_command(&control, UBLK_CMD_UPDATE_SIZE,
			       disk->info.dev_id, size >> 9, NULL, 0);
	uz__ublk_control_close(&control);
	return ret < 0 ? fail(err, ret, "tell the disk its new size") : 0;
}

/* ---- the end ---- */

int uz__ublk_disk_users(const struct uz__ublk_disk *disk,
			struct uz_users *users)
{
	struct stat st;

	if (stat(disk->path, &st))
		return -errno;
	return uz_users_find(users, 0, st.st_rdev, true);
}

/* The driver has ended it, so that nobody can have it open. */
static bool is_dead(struct uz__ublk_disk *disk)
{
	struct ublksrv_ctrl_dev_info info = { .dev_id = disk->info.dev_id };
	int ret = uz__ublk_command(&disk->control, UBLK_CMD_GET_DEV_INFO,
				   disk->info.dev_id, 0, &info, sizeof(info));

	return ret == -ENODEV || (ret >= 0 && info.state == UBLK_S_DEV_DEAD);
}

/*
 * Mounted, swapped to, part of another disk, or simply open. What cannot be
 * found out is no reason to take the disk away from somebody.
 */
static bool is_used(struct uz__ublk_disk *disk)
{
	struct uz_users users = { 0 };
	bool used;
	int fd;

	fd = open(disk->path, O_RDONLY | O_EXCL | O_CLOEXEC);
	if (fd < 0)
		return !is_dead(disk);
	close(fd);
	used = uz__ublk_disk_users(disk, &users) || users.count;
	uz_users_free(&users);
	return used;
}

static int stop(struct uz__ublk_disk *disk, unsigned int nr)
{
	int ret = uz__ublk_command(&disk->control, nr, disk->info.dev_id, 0,
				   NULL, 0);

	if (ret >= 0)
		disk->live = false;
	return ret < 0 ? ret : 0;
}

/* What is short now is so only for a while: the driver has not been asked. */
static bool is_short(int code)
{
	return code == -ENOMEM || code == -EAGAIN || code == -EINTR ||
	       code == -ECANCELED;
}

int uz__ublk_disk_try_stop(struct uz__ublk_disk *disk)
{
	int ret;

	if (!disk->live)
		return 0;
	if (disk->info.flags & UBLK_F_SAFE_STOP_DEV) {
		ret = stop(disk, UBLK_CMD_TRY_STOP_DEV);
		return is_short(ret) ? -EBUSY : ret;
	}
	if (is_used(disk))
		return -EBUSY;
	return stop(disk, UBLK_CMD_STOP_DEV);
}

/*
 * From any state. It is 0, or the driver does not stop: then the threads still
 * serve, nothing is freed, and the process has to end.
 */
static int undo(struct uz__ublk_disk *disk)
{
	int ret = 0;

	/* Also a disk that is not live: it gives back the tags. */
	if (disk->queues)
		ret = stop(disk, UBLK_CMD_STOP_DEV);
	if (ret)
		return ret;
	uz__ublk_queues_end(disk);
	if (disk->fd >= 0)
		close(uz_steal_fd(&disk->fd));
	if (disk->added)
		ret = uz__ublk_command(&disk->control, UBLK_CMD_DEL_DEV,
				       disk->info.dev_id, 0, NULL, 0);
	if (disk->added && ret >= 0)
		ret = uz__fuse_session_set_disk(&disk->session, 0);
	if (ret < 0)
		uz_log(UZ_LOG_ERR, "%s cannot be deleted: %s", disk->path,
		       strerror(-ret));
	disk->added = false;
	if (disk->opened)
		uz__ublk_control_close(&disk->control);
	disk->opened = false;
	return 0;
}

void uz__ublk_disk_end(struct uz__ublk_disk *disk)
{
	int ret = undo(disk);

	if (!ret)
		return;
	uz_log(UZ_LOG_ERR,
	       "%s does not stop (%s); ending without waiting for it",
	       disk->path, strerror(-ret));
	_exit(EXIT_FAILURE);
}

/* ---- the beginning ---- */

int uz__ublk_disk_start(struct uz__ublk_disk *disk,
			const struct uz_frontend_config *config,
			struct uz_err *err)
{
	unsigned int queues = uz_cpus();
	uint64_t word = 0;
	int ret;

	*disk = (struct uz__ublk_disk){
		.dev = config->dev,
		.session = config->session,
		.owner = config->supervisor,
		.fd = -1,
	};
	ret = uz__fuse_session_get_disk(&disk->session, &word, err);
	if (!ret)
		ret = uz__ublk_control_open(&disk->control, err);
	if (ret)
		return ret;
	disk->opened = true;
	if (word) {
		ret = find(disk, word, err);
		return ret ? ret : take(disk, adoption, err);
	}
	uz__ublk_reap(&disk->control, 0);
	if (queues > config->threads)
		queues = config->threads;
	uz__ublk_plan(&disk->plan, queues, config->buffer_budget);
	ret = take(disk, birth, err);
	/* Who did not answer would not answer that either. */
	if (ret && ret != -ETIMEDOUT)
		undo(disk);
	return ret;
}
