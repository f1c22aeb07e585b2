// SPDX-License-Identifier: MIT
/*
 * The driver of fake_ublk.h. Its lock guards what threads of queues share; all
 * else is the test's own thread's.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <uzram/util/cpus.h>

#include "fake_ublk.h"

/* What a queue's descriptions take in the driver's map. */
#define DESC_SPAN (4096 * 24)

unsigned int uz_cpus(void)
{
	return QUEUES;
}

/* ---- what is to fail ---- */

struct fake_fault fault;

static bool fails(enum what what, unsigned int nr)
{
	return fault.what == what && fault.nr == nr;
}

/* ---- the driver ---- */

struct fake_driver driver = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.stopped = PTHREAD_COND_INITIALIZER,
	.node = -1,
	.limit = -1,
};

void fake_driver_init(void)
{
	if (driver.limit < 0)
		driver.limit = memfd_create("nr_requests", MFD_CLOEXEC);
	if (ftruncate(driver.limit, 0))
		abort();
	fault = (struct fake_fault){ 0 };
	driver.features = FEATURES;
	driver.exists = false;
	driver.busy = 0;
	driver.held = 0;
	driver.early = 0;
	driver.slow = 0;
	driver.late = false;
	driver.node = -1;
	driver.threads = 0;
	driver.users = 0;
	driver.quiesced = 0;
	driver.sectors = 0;
	driver.told[0] = driver.told[1] = 0;
}

int uz__ublk_control_open(struct uz__ublk_control *c, struct uz_err *err)
{
	if (fails(CONTROL, 0))
		return uz_err_set(err, fault.code, "ublk: no control");
	*c = (struct uz__ublk_control){ .features = driver.features };
	driver.controls++;
	return 0;
}

void uz__ublk_control_close(struct uz__ublk_control *c)
{
	(void)c;
	driver.controls--;
}

static bool is_open(void)
{
	return driver.node >= 0 && fcntl(driver.node, F_GETFD) >= 0;
}

static int on_add(struct ublksrv_ctrl_dev_info *info)
{
	assert_false(driver.exists);
	info->dev_id = ID;
	driver.info = *info;
	driver.exists = true;
	driver.ends = false;
	driver.tags = 0;
	return 0;
}

/* All tags of all queues, or it would wait for ever. */
static int on_live(void)
{
	unsigned int tags;

	assert_true(is_open());
	pthread_mutex_lock(&driver.lock);
	tags = driver.tags;
	pthread_mutex_unlock(&driver.lock);
	assert_int_equal(tags,
			 driver.info.nr_hw_queues * driver.info.queue_depth);
	driver.info.state = UBLK_S_DEV_LIVE;
	return 0;
}

static int on_stop(void)
{
	pthread_mutex_lock(&driver.lock);
	driver.ends = true;
	driver.info.state = UBLK_S_DEV_DEAD;
	pthread_cond_broadcast(&driver.stopped);
	pthread_mutex_unlock(&driver.lock);
	return 0;
}

void fake_driver_release(void)
{
	driver.info.state = driver.early ? UBLK_S_DEV_LIVE
					 : UBLK_S_DEV_QUIESCED;
	driver.ends = false;
	driver.tags = 0;
	driver.late = !(driver.features & UBLK_F_PER_IO_DAEMON);
}

/* While the dead server's node is open, another work may be put off. */
int uz__ublk_control_settle(struct uz__ublk_control *c)
{
	(void)c;
	assert_int_equal(driver.held, 0);
	assert_int_equal(driver.info.state, UBLK_S_DEV_QUIESCED);
	if (driver.slow) {
		driver.slow--;
		return -EBUSY;
	}
	driver.late = false;
	return 0;
}

static int on_recovery(void)
{
	assert_false(is_open());
	assert_false(driver.late);
	if (driver.busy) {
		driver.busy--;
		return -EBUSY;
	}
	return driver.info.state == UBLK_S_DEV_QUIESCED ? 0 : -EINVAL;
}

static int on_delete(void)
{
	assert_false(is_open());
	driver.exists = false;
	return 0;
}

int uz__ublk_command(struct uz__ublk_control *c, unsigned int nr, uint32_t dev,
		     uint64_t data, void *buf, size_t len)
{
	(void)c;
	driver.last = nr;
	if (fails(COMMAND, nr))
		return fault.code;
	if (nr == UBLK_CMD_ADD_DEV)
		return on_add(buf);
	if (dev != ID || !driver.exists)
		return -ENODEV;
	switch (nr) {
	case UBLK_CMD_GET_DEV_INFO:
		memcpy(buf, &driver.info, len);
		if (driver.early && !--driver.early)
			driver.info.state = UBLK_S_DEV_QUIESCED;
		return 0;
	case UBLK_CMD_GET_QUEUE_AFFINITY:
		return -EINVAL;
	case UBLK_CMD_SET_PARAMS:
		return 0;
	case UBLK_CMD_START_DEV:
	case UBLK_CMD_END_USER_RECOVERY:
		return on_live();
	case UBLK_CMD_START_USER_RECOVERY:
		return on_recovery();
	case UBLK_CMD_STOP_DEV:
	case UBLK_CMD_TRY_STOP_DEV:
		return on_stop();
	case UBLK_CMD_DEL_DEV:
		return on_delete();
	case UBLK_CMD_UPDATE_SIZE:
		/* It knows no disk that is not live. */
		assert_int_equal(driver.info.state, UBLK_S_DEV_LIVE);
		driver.sectors = data;
		return 0;
	case UBLK_CMD_QUIESCE_DEV:
		assert_true(driver.info.flags & UBLK_F_QUIESCE);
		assert_in_range(data, 1, 999);
		driver.quiesced++;
		return 0;
	default:
		fail_msg("command %u", nr);
		return -EINVAL;
	}
}

/* ---- its rings ---- */

struct uz__ublk_ring {
	unsigned int queue;
	unsigned int prepared;
	unsigned int tags;
	bool told;
	bool held;
};

int uz__ublk_ring_create(struct uz__ublk_ring **ring, unsigned int queue,
			 unsigned int depth, bool encoded)
{
	(void)depth;
	(void)encoded;
	if (fails(RING, queue))
		return fault.code;
	*ring = calloc(1, sizeof(**ring));
	(*ring)->queue = queue;
	__atomic_add_fetch(&driver.rings, 1, __ATOMIC_SEQ_CST);
	return 0;
}

void uz__ublk_ring_destroy(struct uz__ublk_ring *ring)
{
	if (ring)
		__atomic_sub_fetch(&driver.rings, 1, __ATOMIC_SEQ_CST);
	free(ring);
}

void uz__ublk_ring_use(struct uz__ublk_ring *ring, int fd)
{
	(void)ring;
	(void)fd;
}

void uz__ublk_ring_fetch(struct uz__ublk_ring *ring, unsigned int tag,
			 void *buf)
{
	(void)tag;
	*(volatile char *)buf = 1;
	ring->prepared++;
}

void uz__ublk_ring_commit(struct uz__ublk_ring *ring, unsigned int tag,
			  int result, void *buf)
{
	(void)ring;
	(void)tag;
	(void)result;
	(void)buf;
	abort(); /* there are no requests */
}

int uz__ublk_ring_submit(struct uz__ublk_ring *ring, bool wait)
{
	/* Who waits is not to look at what the test may be changing. */
	if (!wait && fails(TAGS, ring->queue))
		return fault.code;
	pthread_mutex_lock(&driver.lock);
	ring->tags += ring->prepared;
	driver.tags += ring->prepared;
	ring->prepared = 0;
	while (wait && !driver.ends && !ring->told)
		pthread_cond_wait(&driver.stopped, &driver.lock);
	pthread_mutex_unlock(&driver.lock);
	return 0;
}

int uz__ublk_ring_collect(struct uz__ublk_ring *ring)
{
	return uz__ublk_ring_submit(ring, false);
}

int uz__ublk_ring_tell_to_leave(struct uz__ublk_ring *ring,
				struct uz__ublk_control *control, bool held)
{
	(void)control;
	if (fails(TELL, ring->queue))
		return fault.code;
	pthread_mutex_lock(&driver.lock);
	ring->told = true;
	ring->held = held;
	driver.told[held]++;
	pthread_cond_broadcast(&driver.stopped);
	pthread_mutex_unlock(&driver.lock);
	return 0;
}

bool uz__ublk_ring_next(struct uz__ublk_ring *ring,
			struct uz__ublk_event *event)
{
	bool any = true;

	pthread_mutex_lock(&driver.lock);
	if (ring->told)
		*event = (struct uz__ublk_event){ UZ__UBLK_LEAVE, ring->held };
	else if (driver.ends && ring->tags)
		*event = (struct uz__ublk_event){ --ring->tags,
						  UBLK_IO_RES_ABORT };
	else
		any = false;
	ring->told = false;
	pthread_mutex_unlock(&driver.lock);
	return any;
}

/* ---- the system ---- */

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __real_stat64(const char *path, struct stat *st);
int __wrap_stat64(const char *path, struct stat *st);
int __wrap_uz_users_find(struct uz_users *users, dev_t fs, dev_t disk,
			 bool processes);
int __real_pthread_create(pthread_t *id, const pthread_attr_t *attr,
			  void *(*main)(void *), void *arg);
int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attr,
			  void *(*main)(void *), void *arg);

/* A node that cannot be mapped is a pipe. */
static int open_node(void)
{
	int fds[2];

	if (fails(NODE, 0)) {
		errno = fault.code;
		return -1;
	}
	if (driver.held) {
		driver.held--;
		errno = EBUSY;
		return -1;
	}
	if (!fails(MAP, 0)) {
		driver.node = memfd_create("ublkc", MFD_CLOEXEC);
		if (ftruncate(driver.node, QUEUES * DESC_SPAN))
			abort();
		return driver.node;
	}
	if (pipe(fds))
		abort();
	close(fds[1]);
	return driver.node = fds[0];
}

int __wrap_open64(const char *path, int flags, ...)
{
	if (!strcmp(path, "/dev/ublkc7"))
		return open_node();
	if (!strcmp(path, "/sys/block/ublkb7/queue/nr_requests"))
		return dup(driver.limit);
	if (strcmp(path, "/dev/ublkb7"))
		return __real_open64(path, flags, 0600);
	if (fails(DISK, 0)) {
		errno = fault.code;
		return -1;
	}
	assert_int_equal(driver.info.state, UBLK_S_DEV_LIVE);
	return __real_open64("/dev/null", flags);
}

int __wrap_stat64(const char *path, struct stat *st)
{
	if (strcmp(path, "/dev/ublkb7"))
		return __real_stat64(path, st);
	errno = fault.code;
	return fails(STAT, 0) ? -1 : __real_stat64("/dev/null", st);
}

int __wrap_uz_users_find(struct uz_users *users, dev_t fs, dev_t disk,
			 bool processes)
{
	assert_true(!fs && disk && processes);
	if (fails(USERS, 0))
		return fault.code;
	users->count = driver.users;
	users->list = driver.users ? calloc(driver.users, sizeof(*users->list))
				   : NULL;
	return 0;
}

int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attr,
			  void *(*main)(void *), void *arg)
{
	if (fails(THREAD, (unsigned int)driver.threads))
		return fault.code;
	driver.threads++;
	return __real_pthread_create(id, attr, main, arg);
}
