// SPDX-License-Identifier: MIT
/*
 * A device in this process, and what it takes by the kernel's account: the
 * blocks of its three memfds, and what the process has of ordinary memory
 * more than before it was made.
 */
#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/stat.h>

#include <uzram/device/huge.h>

#include "pool.h"

/* Bytes of ordinary memory that this process has; 0: not known. */
static uint64_t ordinary(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	unsigned long long kib = 0;
	char line[256];

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "RssAnon: %llu kB", &kib) == 1)
			break;
	fclose(f);
	return kib << 10;
}

static uint64_t blocks(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? 0 : (uint64_t)st.st_blocks * 512;
}

int pool_device_open(struct pool_device *d, const struct pool_run *run,
		     uint64_t size, struct uz_err *err)
{
	int ret;

	*d = (struct pool_device){ .pages = size >> UZ_PAGE_SHIFT };
	/* What earlier work left in the heap would hide what is taken now. */
	malloc_trim(0);
	d->before = ordinary();
	ret = uz_device_mem_create(&d->mem);
	if (ret)
		return uz_err_set(err, ret, "no memory for a device: %s",
				  strerror(-ret));
	ret = uz_device_open(&d->dev, "bench", &d->mem, err);
	if (!ret)
		ret = uz_device_set_codec(d->dev, run->codec_text, err);
	if (!ret && run->o->zpool)
		ret = uz_device_set_zpool(d->dev, run->o->zpool, err);
	if (!ret)
		ret = uz_device_set_disksize(d->dev, size, err);
	if (!ret) {
		ret = uz_io_create(d->dev, &d->io);
		if (ret)
			uz_err_set(err, ret, "no memory");
	}
	if (ret)
		pool_device_close(d);
	return ret;
}

void pool_device_close(struct pool_device *d)
{
	uz_io_destroy(d->io);
	uz_compactor_stop(d->compactor);
	uz_device_close(d->dev);
	uz_device_mem_close(&d->mem);
	d->io = NULL;
	d->compactor = NULL;
	d->dev = NULL;
}

int pool_device_background(struct pool_device *d, struct uz_err *err)
{
	int ret = uz_compactor_start(&d->compactor, d->dev);

	return ret ? uz_err_set(err, ret, "cannot compact: %s", strerror(-ret))
		   : 0;
}

int pool_device_submit(struct uz_io *io, enum uz_op op, uint64_t page,
		       const void *buf)
{
	const struct uz_request rq = {
		.op = op,
		.offset = page << UZ_PAGE_SHIFT,
		.length = UZ_PAGE_SIZE,
		.buf = (void *)buf,
	};

	return uz_device_submit(io, &rq);
}

int pool_device_fill(struct pool_device *d, const struct corpus *corpus,
		     struct uz_err *err)
{
	int ret = 0;

	for (uint64_t i = 0; i < d->pages && !ret; i++) {
		ret = pool_device_submit(d->io, UZ_OP_WRITE, i,
					 corpus_page(corpus, i));
		if (undo_stopped())
			ret = -EINTR;
	}
	if (!ret)
		ret = pool_device_settle(d);
	return ret ? uz_err_set(err, ret, "cannot store: %s", strerror(-ret))
		   : 0;
}

int pool_device_check(struct pool_device *d, struct uz_err *err)
{
	return uz_device_check(d->dev, err);
}

uint64_t pool_device_arena(void *d)
{
	return blocks(((struct pool_device *)d)->mem.arena_fd);
}

void pool_device_memory(struct pool_device *d, struct pool_memory *m)
{
	uint64_t now = ordinary();
	struct uz_device_stat s;

	uz_device_stat(d->dev, &s);
	m->compressed = s.compr_data_size;
	m->used = s.mem_used_total;
	m->table = blocks(d->mem.ctl_fd) + blocks(d->mem.table_fd);
	m->meta = s.meta_bytes - m->table;
	m->resident = s.mem_resident;
	m->all = m->table + blocks(d->mem.arena_fd) +
		 (now > d->before ? now - d->before : 0);
}

int pool_device_settle(struct pool_device *d)
{
	struct settle_stat unused;

	return settle_device(d->dev, &unused);
}

#define LOOK_MS 100
/* Most that is waited for what is not at rest, or that the system has not. */
#define COLLAPSE_NS UINT64_C(60000000000)

int pool_device_collapse(struct pool_device *d)
{
	uint64_t end = clock_ns() + COLLAPSE_NS;
	uint32_t wait_ms = 0;
	int ret;

	do {
		ret = uz_device_collapse(d->dev, &wait_ms);
		if (undo_stopped())
			return -EINTR;
		if (ret == -ENOMEM || wait_ms > LOOK_MS)
			wait_ms = LOOK_MS;
		if (ret < 0 && ret != -ENOTSUP &&
		    clock_sleep(clock_ns() + wait_ms * UINT64_C(1000000)))
			return -EINTR;
	} while (ret > 0 ||
		 ((ret == -EAGAIN || ret == -ENOMEM) && clock_ns() < end));
	return 0;
}

/* Batches as small as uz_device_compact() wants them. */
#define BATCH 1024

int pool_device_compact(struct pool_device *d, struct uz_pool_compaction *done)
{
	while (uz_device_compact(d->dev, UZ_POOL_COMPACT_ALL, BATCH, done))
		if (undo_stopped())
			return -EINTR;
	return 0;
}

double pool_density_of(const struct pool_memory *m)
{
	uint64_t all = m->used + m->meta;

	return all ? (double)m->compressed / (double)all : 0;
}
