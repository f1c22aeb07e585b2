// SPDX-License-Identifier: MIT
/*
 * One ublk disk from its birth to its end. The order is the driver's: add,
 * open, set, give it every tag of every queue, start; then stop while the
 * queues still serve, since what the page cache holds is written back; end the
 * queues, close, delete.
 *
 * All of it happens in one thread that is none of a queue, so no locks.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <uzram/util/ahead.h>
#include <uzram/util/cleanup.h>
#include <uzram/util/cpus.h>
#include <uzram/util/log.h>

#include "ublk_priv.h"

/* How long nodes may take to appear, be it devtmpfs or udev that makes them. */
#define NODE_MS 3000
#define STEP_MS 5

static int fail(struct uz_err *err, int code, const char *what)
{
	return uz_err_set(err, code, "ublk: cannot %s: %s", what,
			  strerror(-code));
}

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

/* ---- queues ---- */

static size_t desc_size(unsigned int depth)
{
	const size_t size = depth * sizeof(struct ublksrv_io_desc);

	return (size + UZ_PAGE_SIZE - 1) & ~(size_t)(UZ_PAGE_SIZE - 1);
}

static size_t buffers_size(const struct uz__ublk_queue *q)
{
	return (size_t)q->depth * q->io_max;
}

static int make_queue(struct uz__ublk_disk *disk, struct uz__ublk_queue *q)
{
	void *at;

	at = mmap(NULL, desc_size(q->depth), PROT_READ,
		  MAP_SHARED | MAP_POPULATE, disk->fd,
		  (off_t)(q->index * desc_size(UBLK_MAX_QUEUE_DEPTH)));
	if (at == MAP_FAILED)
		return -errno;
	q->desc = at;
	/* Not touched: a page of it costs something when a request gets there. */
	at = mmap(NULL, buffers_size(q), PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED)
		return -errno;
	q->buffers = at;
	madvise(at, buffers_size(q), MADV_NOHUGEPAGE);
	uz_ahead_memory(at, buffers_size(q));
	return uz_io_create(disk->dev, &q->io);
}

/* Requests of some CPUs arrive at a queue; there its thread is at home. */
static void bind_queue(struct uz__ublk_disk *disk,
		       const struct uz__ublk_queue *q)
{
	cpu_set_t set, allowed;
	int ret;

	CPU_ZERO(&set);
	ret = uz__ublk_command(&disk->control, UBLK_CMD_GET_QUEUE_AFFINITY,
			       disk->info.dev_id, q->index, &set, sizeof(set));
	if (ret || sched_getaffinity(0, sizeof(allowed), &allowed))
		return;
	CPU_AND(&set, &set, &allowed);
	if (CPU_COUNT(&set))
		pthread_setaffinity_np(q->id, sizeof(set), &set);
}

/* Signals are for the thread that the program has chosen. */
static int start_thread(struct uz__ublk_queue *q)
{
	sigset_t all, before;
	char name[16];
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&q->id, NULL, uz__ublk_queue_main, q);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ret)
		return -ret;
	q->started = true;
	snprintf(name, sizeof(name), "uz-ublk-%u", q->index);
	pthread_setname_np(q->id, name);
	return 0;
}

static int start_queues(struct uz__ublk_disk *disk)
{
	struct uz__ublk_queue *q;
	unsigned int i;
	int ret = 0;

	disk->queues = calloc(disk->plan.queues, sizeof(*disk->queues));
	if (!disk->queues)
		return -ENOMEM;
	for (i = 0; i < disk->plan.queues; i++) {
		q = &disk->queues[i];
		q->index = i;
		q->fd = disk->fd;
		q->depth = disk->plan.depth;
		q->io_max = disk->plan.io_max;
		q->encoded = disk->control.features != 0;
		sem_init(&q->ready, 0, 0);
	}
	for (i = 0; i < disk->plan.queues && !ret; i++) {
		q = &disk->queues[i];
		ret = make_queue(disk, q);
		if (!ret)
			uz_io_buffer(q->io, q->buffers, buffers_size(q));
		if (!ret)
			ret = start_thread(q);
		if (!ret)
			bind_queue(disk, q);
	}
	/* All that run have asked for their tags before anything else is done. */
	for (i = 0; i < disk->plan.queues; i++) {
		q = &disk->queues[i];
		while (q->started && sem_wait(&q->ready))
			;
		if (q->started && q->error && !ret)
			ret = q->error;
	}
	return ret;
}

static void end_queues(struct uz__ublk_disk *disk)
{
	struct uz__ublk_queue *q;
	unsigned int i;

	for (i = 0; disk->queues && i < disk->plan.queues; i++) {
		q = &disk->queues[i];
		if (q->started)
			pthread_join(q->id, NULL);
		uz_io_destroy(q->io);
		if (q->buffers)
			munmap(q->buffers, buffers_size(q));
		if (q->desc)
			munmap((void *)(uintptr_t)q->desc, desc_size(q->depth));
		sem_destroy(&q->ready);
	}
	free(disk->queues);
	disk->queues = NULL;
}

/* ---- the disk ---- */

static int add(struct uz__ublk_disk *disk)
{
	int ret;

	disk->info = (struct ublksrv_ctrl_dev_info){
		.nr_hw_queues = (uint16_t)disk->plan.queues,
		.queue_depth = (uint16_t)disk->plan.depth,
		.max_io_buf_bytes = disk->plan.io_max,
		.dev_id = UINT32_MAX,
		.flags = disk->control.features & UBLK_F_CMD_IOCTL_ENCODE,
		.ublksrv_flags = uz__ublk_mark(disk->owner),
	};
	ret = uz__ublk_command(&disk->control, UBLK_CMD_ADD_DEV, UINT32_MAX, 0,
			       &disk->info, sizeof(disk->info));
	if (ret < 0)
		return ret;
	disk->added = true;
	/* It may have been given less than was asked for. */
	if (disk->info.nr_hw_queues < disk->plan.queues)
		disk->plan.queues = disk->info.nr_hw_queues;
	if (disk->info.queue_depth != disk->plan.depth ||
	    disk->info.max_io_buf_bytes != disk->plan.io_max ||
	    !disk->plan.queues)
		return -ENOTSUP;
	disk->plan.bytes = (uint64_t)disk->plan.queues * disk->plan.depth *
			   disk->plan.io_max;
	snprintf(disk->path, sizeof(disk->path), "/dev/ublkb%u",
		 disk->info.dev_id);
	return 0;
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
	return 0;
}

int uz__ublk_disk_start(struct uz__ublk_disk *disk,
			const struct uz_frontend_config *config,
			struct uz_err *err)
{
	static const struct {
		int (*step)(struct uz__ublk_disk *disk);
		const char *what;
	} steps[] = {
		{ add, "add a disk" },
		{ open_server, "open its /dev/ublkcN" },
		{ set_params, "set its limits" },
		{ start_queues, "set up its queues" },
		{ go_live, "start the disk" },
	};
	unsigned int queues = uz_cpus();
	size_t i;
	int ret;

	*disk = (struct uz__ublk_disk){
		.dev = config->dev,
		.owner = config->supervisor,
		.fd = -1,
	};
	ret = uz__ublk_control_open(&disk->control, err);
	if (ret)
		return ret;
	disk->opened = true;
	uz__ublk_reap(&disk->control);
	if (queues > config->threads)
		queues = config->threads;
	uz__ublk_plan(&disk->plan, queues, config->buffer_budget);
	for (i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		ret = steps[i].step(disk);
		if (ret < 0) {
			fail(err, ret, steps[i].what);
			uz__ublk_disk_end(disk);
			return ret;
		}
	}
	return 0;
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

/* Mounted, swapped to, part of another disk, or simply open. */
static bool is_used(const struct uz__ublk_disk *disk)
{
	struct uz_users users = { 0 };
	bool used;
	int fd;

	fd = open(disk->path, O_RDONLY | O_EXCL | O_CLOEXEC);
	if (fd < 0)
		return errno == EBUSY;
	close(fd);
	used = !uz__ublk_disk_users(disk, &users) && users.count;
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

int uz__ublk_disk_try_stop(struct uz__ublk_disk *disk)
{
	if (!disk->live)
		return 0;
	if (disk->info.flags & UBLK_F_SAFE_STOP_DEV)
		return stop(disk, UBLK_CMD_TRY_STOP_DEV);
	if (is_used(disk))
		return -EBUSY;
	return stop(disk, UBLK_CMD_STOP_DEV);
}

void uz__ublk_disk_end(struct uz__ublk_disk *disk)
{
	int ret = 0;

	/* Also a disk that is not live: it gives back the tags. */
	if (disk->queues)
		ret = stop(disk, UBLK_CMD_STOP_DEV);
	if (ret) {
		uz_log(UZ_LOG_ERR,
		       "%s does not stop (%s); ending without waiting for it",
		       disk->path, strerror(-ret));
		_exit(EXIT_FAILURE);
	}
	end_queues(disk);
	if (disk->fd >= 0)
		close(uz_steal_fd(&disk->fd));
	if (disk->added)
		ret = uz__ublk_command(&disk->control, UBLK_CMD_DEL_DEV,
				       disk->info.dev_id, 0, NULL, 0);
	if (ret < 0)
		uz_log(UZ_LOG_ERR, "%s cannot be deleted: %s", disk->path,
		       strerror(-ret));
	disk->added = false;
	if (disk->opened)
		uz__ublk_control_close(&disk->control);
	disk->opened = false;
}
