// SPDX-License-Identifier: MIT
/*
 * A device's life: open (new or adopted), size, codec, limit, reset, close.
 *
 * The configuration lock guards everything here; the path of a page never
 * takes it. nr_pages is the gate that requests read: it is set last when the
 * device becomes ready and cleared first when it goes (io.c). How it becomes
 * more is in growth.c.
 *
 * States: without a size there is no table, no pool, no codec context and no
 * page worker; with one there are all four. Every function leaves one or the
 * other.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uzram/pool/huge.h>
#include <uzram/util/ahead.h>
#include <uzram/util/log.h>

#include "crew.h"

/* An allocator with both lets codecs work on the objects themselves. */
#define CAPS_DIRECT (UZ_POOL_LINEAR | UZ_POOL_SLEEP_MAPPED)

/*
 * The least lets each size class open a window or two; the most is many times
 * what the system writes out before it has memory again.
 */
#define RESERVE_SHARE 64
#define RESERVE_MIN   (UINT64_C(4) << 20)
#define RESERVE_MAX   (UINT64_C(32) << 20)

/*
 * How far a device may grow (growth.c). It costs address space, of which a
 * process has 128 TiB: an eighth at the most, as no arena is larger than 16
 * TiB, and a thousandth for devices that are no larger than most memories.
 */
#define GROWTH	     16
#define GROWTH_LEAST (UINT64_C(64) << 30)

/* ---- memory ---- */

int uz_device_mem_create(struct uz_device_mem *mem)
{
	struct uz_device_mem m = { -1, -1, -1, 0 };
	int err;

	err = m.ctl_fd = uz_shm_memfd("uzram-ctl");
	if (err >= 0)
		err = m.table_fd = uz_shm_memfd("uzram-table");
	if (err >= 0)
		err = m.arena_fd = uz_shm_memfd("uzram-arena");
	if (err < 0) {
		uz_device_mem_close(&m);
		return err;
	}
	*mem = m;
	return 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void uz_device_mem_close(struct uz_device_mem *mem)
{
	close_fd(&mem->ctl_fd);
	close_fd(&mem->table_fd);
	close_fd(&mem->arena_fd);
}

static uint64_t reserve_for(const struct uz_device *dev, uint64_t disksize)
{
	uint64_t share = disksize / RESERVE_SHARE;

	if (dev->mem.reserve != UZ_RESERVE_AUTO)
		return dev->mem.reserve;
	if (share < RESERVE_MIN)
		return RESERVE_MIN;
	return share < RESERVE_MAX ? share : RESERVE_MAX;
}

static uint64_t most_for(uint64_t disksize)
{
	if (disksize > UZ_DISKSIZE_MAX / GROWTH)
		return UZ_DISKSIZE_MAX;
	return disksize * GROWTH > GROWTH_LEAST ? disksize * GROWTH
						: GROWTH_LEAST;
}

/* Table, pool and contexts for a size; the memfds' bytes stay on failure. */
int uz__device_map_memory(struct uz_device *dev, uint64_t disksize,
			  const struct uz_pool_config *config)
{
	const uint64_t most = most_for(disksize);
	struct uz_pool_config own = *config, larger;
	int err;

	uz_pool_config_default(&larger, most);
	own.arena_most = larger.arena_size;
	own.reserve = reserve_for(dev, disksize);

	err = uz_table_create(&dev->table, dev->mem.table_fd,
			      disksize / UZ_PAGE_SIZE, most / UZ_PAGE_SIZE);
	if (!err)
		err = uz_pool_create(&dev->pool, dev->mem.arena_fd, &own);
	if (!err)
		err = uz__ages_map(dev);
	if (!err)
		err = uz__io_make_contexts(dev);
	if (err) {
		uz__device_unmap_memory(dev);
		return err;
	}
	uz_pool_on_fragmented(dev->pool, dev->fragmented, dev->arg);
	uz_pool_on_whole(dev->pool, dev->whole, dev->whole_arg);
	/* relaxed: nobody uses the device yet. */
	atomic_store_explicit(&dev->ref_end, config->arena_size / UZ_REF_UNIT,
			      memory_order_relaxed);
	dev->direct = (uz_pool_caps(dev->pool) & CAPS_DIRECT) == CAPS_DIRECT;
	uz_pool_set_limit(dev->pool, uz__device_limit(dev));
	uz__room_watch(dev);
	return 0;
}

/* All is set up: let requests in. */
void uz__device_ready(struct uz_device *dev, uint64_t disksize)
{
	if (uz_pool_keep(dev->pool))
		uz_log(UZ_LOG_WARN,
		       "%s: no thread to populate memory ahead: first stores will be slower",
		       dev->name);
	uz__crew_start(dev);
	uz_ahead_program();
	dev->generation++;
	/* seq_cst, the gate: what was set up before is seen by who enters. */
	atomic_store(&dev->nr_pages, disksize / UZ_PAGE_SIZE);
}

void uz__device_unmap_memory(struct uz_device *dev)
{
	uz__crew_end(dev);
	uz__io_drop_contexts(dev);
	uz__ages_unmap(dev);
	uz_pool_destroy(dev->pool);
	uz_table_destroy(dev->table);
	dev->pool = NULL;
	dev->table = NULL;
}

/* Give all of table and arena back. The size is 0, so nobody will read it. */
static int device_forget_pages(struct uz_device *dev)
{
	if (ftruncate(dev->mem.table_fd, 0) < 0 ||
	    ftruncate(dev->mem.arena_fd, 0) < 0)
		return -errno;
	return 0;
}

/* ---- open and close ---- */

static bool device_name_ok(const char *name)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789._-";
	size_t len = strlen(name);

	return len && len <= UZ_NAME_MAX && name[0] != '.' && name[0] != '-' &&
	       strspn(name, good) == len;
}

static int device_defaults(struct uz_device *dev)
{
	uz__backing_reset(dev);
	uz__super_reset_policy(dev);
	uz__super_set_zpool(dev, uz_pool_backend(0));
	return uz__codecs_default(dev);
}

static int device_begin(struct uz_device *dev, struct uz_err *err)
{
	struct stat st;
	bool is_new;
	int ret;

	if (fstat(dev->mem.ctl_fd, &st) < 0)
		return uz_err_set(err, -errno,
				  "cannot use the memory of %s: %s", dev->name,
				  strerror(errno));
	is_new = st.st_size == 0;
	ret = uz_shm_map(&dev->shm, dev->mem.ctl_fd, UZ__CTL_SIZE);
	if (ret)
		return uz_err_set(err, ret, "cannot map the memory of %s: %s",
				  dev->name, strerror(-ret));
	dev->ctl = dev->shm.base;
	uz_ahead_memory(dev->shm.base, dev->shm.size);
	if (is_new) {
		ret = device_defaults(dev);
		if (ret)
			return uz_err_set(err, ret,
					  "this program knows no codec");
		uz__super_init(dev);
		return 0;
	}
	ret = uz__super_check(dev, err);
	if (!ret)
		ret = uz__super_codecs(dev, err);
	if (!ret)
		ret = uz__super_zpool(dev, err);
	return ret ? ret : uz__adopt(dev, err);
}

int uz_device_open(struct uz_device **dev, const char *name,
		   const struct uz_device_mem *mem, struct uz_err *err)
{
	struct uz_device *d;
	int ret;

	if (!device_name_ok(name))
		return uz_err_set(
			err, -EINVAL,
			"\"%.40s\" is no device name: use 1 to %d letters, digits, '.', '_' or '-'",
			name, UZ_NAME_MAX);
	d = calloc(1, sizeof(*d));
	if (!d)
		return uz_err_set(err, -ENOMEM, "no memory for %s", name);
	snprintf(d->name, sizeof(d->name), "%s", name);
	d->mem = *mem;
	uz_lock_init(&d->lock, UZ_LOCK_DEVICE);
	uz_lock_init(&d->gate, UZ_LOCK_GATE);
	uz__room_init(d);
	ret = uz__crew_create(d);
	if (ret)
		uz_err_set(err, ret, "no memory for %s", name);
	else
		ret = device_begin(d, err);
	if (ret) {
		uz_device_close(d);
		return ret;
	}
	*dev = d;
	return 0;
}

void uz_device_close(struct uz_device *dev)
{
	if (!dev)
		return;
	uz__device_unmap_memory(dev);
	uz_backing_close(atomic_load(&dev->backing));
	uz__crew_destroy(dev);
	uz__dicts_end(dev);
	uz_shm_unmap(&dev->shm);
	uz__room_destroy(dev);
	uz_lock_destroy(&dev->gate);
	uz_lock_destroy(&dev->lock);
	free(dev);
}

/* ---- configuration ---- */

const char *uz_device_name(const struct uz_device *dev)
{
	return dev->name;
}

static int set_disksize(struct uz_device *dev, uint64_t size,
			struct uz_err *err)
{
	uz_scoped_acquire(guard, &dev->lock);
	struct uz_pool_config config;
	int ret;

	if (dev->table)
		return uz_err_set(
			err, -EBUSY,
			"cannot set disksize of %s: it is set already; reset the device first",
			dev->name);
	if (!size || size > UZ_DISKSIZE_MAX)
		return uz_err_set(
			err, -EINVAL,
			"cannot set disksize of %s to %llu bytes: it must be more than 0, and at most 16 TiB",
			dev->name, (unsigned long long)size);
	size = (size + UZ_PAGE_SIZE - 1) & ~(uint64_t)(UZ_PAGE_SIZE - 1);
	uz_pool_config_default(&config, size);
	strcpy(config.backend, dev->zpool);
	ret = device_forget_pages(dev);
	if (!ret)
		ret = uz__device_map_memory(dev, size, &config);
	if (ret)
		return uz_err_set(err, ret, "cannot set up %s: %s", dev->name,
				  strerror(-ret));
	uz__super_set_pool_config(dev, &config);
	uz__stat_zero(dev);
	/* release: a successor that finds the size finds the geometry. */
	atomic_store_explicit(&dev->ctl->super.disksize, size,
			      memory_order_release);
	uz__device_ready(dev, size);
	return 0;
}

int uz_device_set_disksize(struct uz_device *dev, uint64_t size,
			   struct uz_err *err)
{
	int ret = set_disksize(dev, size, err);

	uz__room_settle(dev);
	return ret;
}

uint64_t uz_device_disksize(const struct uz_device *dev)
{
	return (atomic_load(&dev->nr_pages) & ~UZ__GATE_CLOSED) * UZ_PAGE_SIZE;
}

/* Both limits are what they are to be. */
static void limits_have_changed(struct uz_device *dev, bool prepared)
{
	if (dev->pool)
		uz_pool_set_limit(dev->pool, uz__device_limit(dev));
	uz__room_update(dev, prepared);
}

void uz_device_set_limit(struct uz_device *dev, uint64_t bytes)
{
	bool prepared = bytes && uz__room_prepare(dev);

	if (bytes > UINT64_MAX - UZ_PAGE_SIZE)
		bytes = UINT64_MAX - UZ_PAGE_SIZE;
	bytes = (bytes + UZ_PAGE_SIZE - 1) & ~(uint64_t)(UZ_PAGE_SIZE - 1);
	uz_lock_acquire(&dev->lock);
	dev->ctl->super.mem_limit = bytes;
	limits_have_changed(dev, prepared);
	uz_lock_release(&dev->lock);
	if (!prepared)
		uz__room_settle(dev);
}

void uz_device_set_ceiling(struct uz_device *dev, uint64_t bytes)
{
	bool prepared = bytes && uz__room_prepare(dev);

	uz_lock_acquire(&dev->lock);
	dev->ceiling = bytes & ~(uint64_t)(UZ_PAGE_SIZE - 1);
	limits_have_changed(dev, prepared);
	uz_lock_release(&dev->lock);
	if (!prepared)
		uz__room_settle(dev);
}

void uz_device_set_pulses(struct uz_device *dev, struct uz_pulse *pulses)
{
	dev->pulses = pulses;
}

void uz_device_set_awake(struct uz_device *dev, struct uz_awake *awake)
{
	dev->awake = awake;
}

uint64_t uz__device_limit(const struct uz_device *dev)
{
	uint64_t limit = dev->ctl->super.mem_limit;

	return dev->ceiling && (!limit || limit > dev->ceiling) ? dev->ceiling
								: limit;
}

void uz_device_reset_max(struct uz_device *dev)
{
	uz_scoped_acquire(guard, &dev->lock);

	if (dev->pool)
		uz_pool_reset_max(dev->pool);
}

/* ---- holders and reset ---- */

void uz_device_hold(struct uz_device *dev)
{
	atomic_fetch_add(&dev->holders, 1);
}

void uz_device_release(struct uz_device *dev)
{
	atomic_fetch_sub(&dev->holders, 1);
}

unsigned int uz_device_holders(const struct uz_device *dev)
{
	return atomic_load(&dev->holders);
}

int uz_device_reset(struct uz_device *dev, bool force, struct uz_err *err)
{
	uz_scoped_acquire(guard, &dev->lock);
	unsigned int holders = uz_device_holders(dev);
	int ret;

	if (holders && !force)
		return uz_err_set(
			err, -EBUSY,
			"cannot reset %s: its block file is open %u times; unmount and close it first",
			dev->name, holders);
	/* The gate, seq_cst: nobody enters any more; then nobody is inside. */
	atomic_store(&dev->nr_pages, 0);
	uz__io_drain(dev, true);
	dev->snapshot = NULL;
	/* From here on a successor finds a device without a size. */
	atomic_store(&dev->ctl->super.disksize, 0);
	uz__device_unmap_memory(dev);
	dev->resets++;
	uz__stat_zero(dev);
	uz__latency_clear(dev);
	dev->ctl->super.mem_limit = 0;
	ret = device_forget_pages(dev);
	if (!ret)
		ret = device_defaults(dev);
	if (ret)
		return uz_err_set(err, ret,
				  "cannot give back the memory of %s: %s",
				  dev->name, strerror(-ret));
	return 0;
}
