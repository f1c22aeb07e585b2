// SPDX-License-Identifier: MIT
/*
 * The promises of device.h, kept simply and for one thread; compaction for any.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_device.h"
#include <uzram/device/huge.h>
#include <uzram/device/snapshot.h>
#include <uzram/util/lock.h>

void fake_device_init(struct uz_device *dev)
{
	memset(dev, 0, sizeof(*dev));
	if (uz_codec_parse(uz_codec_known(0), &dev->codec, NULL))
		abort();
}

void fake_device_end(struct uz_device *dev)
{
	free(dev->data);
	dev->data = NULL;
}

const char *uz_device_name(const struct uz_device *dev)
{
	(void)dev;
	return "fake";
}

int uz_device_grow(struct uz_device *dev, uint64_t size, struct uz_err *err)
{
	if (!size || size > UZ_DISKSIZE_MAX)
		return uz_err_set(err, -EINVAL, "out of range");
	size = (size + UZ_PAGE_SIZE - 1) / UZ_PAGE_SIZE * UZ_PAGE_SIZE;
	if (size < dev->size)
		return uz_err_set(err, -EBUSY, "it has a size");
	dev->data = realloc(dev->data, size);
	memset(dev->data + dev->size, 0, size - dev->size);
	dev->size = size;
	return 0;
}

int uz_device_set_disksize(struct uz_device *dev, uint64_t size,
			   struct uz_err *err)
{
	return uz_device_grow(dev, size, err);
}

uint64_t uz_device_disksize(const struct uz_device *dev)
{
	return dev->size;
}

void uz_device_latency(struct uz_device *dev, enum uz_latency_of of,
		       struct uz_latency *latency)
{
	*latency = dev->latency[of];
}

/* Not those of the real one. */
uint64_t uz_latency_most(unsigned int bucket)
{
	return bucket == UZ_LATENCY_BUCKETS - 1 ? UINT64_MAX : bucket * 100;
}

int uz_recompress_begin(struct uz_device *dev, struct uz_recompress *how,
			struct uz_err *err)
{
	if (!dev->secondary[how->priority ? how->priority : 1].ops)
		return uz_err_set(err, -EINVAL, "no codec");
	return 0;
}

/* One page of 2000 bytes at each index; gains 100 bytes with each. */
int uz_recompress(struct uz_io *io, const struct uz_recompress *how,
		  uint64_t *index, unsigned int budget,
		  struct uz_recompression *done)
{
	struct uz_device *dev = io->dev;

	if (how->count_only) {
		done->tried += dev->candidates;
		return 0;
	}
	while (dev->hold)
		usleep(1000);
	dev->how = *how;
	if (how->least > 2000 || (how->below && how->below <= 2000))
		return 0;
	for (; budget && *index < dev->candidates; budget--, ++*index) {
		if (dev->recompress_error &&
		    dev->recompressed == dev->fail_after)
			return dev->recompress_error;
		done->tried++;
		done->gained++;
		done->bytes += 100;
		dev->recompressed++;
	}
	return *index < dev->candidates;
}

void uz_device_set_limit(struct uz_device *dev, uint64_t bytes)
{
	dev->limit = bytes;
}

void uz_device_hold(struct uz_device *dev)
{
	dev->holders++;
}

void uz_device_release(struct uz_device *dev)
{
	dev->holders--;
}

unsigned int uz_device_holders(const struct uz_device *dev)
{
	struct uz_device *d = (struct uz_device *)dev;

	if (d->release_after && !--d->release_after)
		d->holders--;
	return d->holders;
}

int uz_device_reset(struct uz_device *dev, bool force, struct uz_err *err)
{
	if (dev->holders && !force)
		return uz_err_set(err, -EBUSY, "it is open");
	free(dev->data);
	dev->data = NULL;
	dev->size = 0;
	return 0;
}

int uz_io_create(struct uz_device *dev, struct uz_io **io)
{
	struct uz_io *o = malloc(sizeof(*o));

	if (!o)
		return -ENOMEM;
	o->dev = dev;
	*io = o;
	return 0;
}

void uz_io_buffer(struct uz_io *io, const void *mem, size_t size)
{
	(void)io;
	(void)mem;
	(void)size;
}

void uz_io_destroy(struct uz_io *io)
{
	free(io);
}

/* Several threads may serve the device. */
static struct uz_lock submit_lock = { .mutex = PTHREAD_MUTEX_INITIALIZER };

void uz_device_expect(struct uz_io *io, uint64_t soon, uint64_t later)
{
	uz_scoped_acquire(guard, &submit_lock);
	struct uz_device *dev = io->dev;

	dev->soon[dev->expected % FAKE_TURNS] = soon;
	dev->later[dev->expected++ % FAKE_TURNS] = later;
}

int uz_device_submit(struct uz_io *io, const struct uz_request *rq)
{
	uz_scoped_acquire(guard, &submit_lock);
	struct uz_device *dev = io->dev;
	unsigned char *at = dev->data + rq->offset;
	int error = dev->submit_error;

	dev->last = *rq;
	dev->submits++;
	dev->submit_error = 0;
	if (error)
		return error;
	/* Whoever calls has promised this. */
	if (rq->offset > dev->size || rq->length > dev->size - rq->offset)
		abort();
	switch (rq->op) {
	case UZ_OP_READ:
		memcpy(rq->buf, at, rq->length);
		break;
	case UZ_OP_WRITE:
		memcpy(at, rq->buf, rq->length);
		break;
	case UZ_OP_DISCARD:
	case UZ_OP_ZERO:
		memset(at, 0, rq->length);
		break;
	case UZ_OP_FLUSH:
		break;
	}
	return 0;
}

void uz_device_stat(struct uz_device *dev, struct uz_device_stat *stat)
{
	*stat = dev->stat;
}

void uz_device_reset_max(struct uz_device *dev)
{
	dev->resets_of_max++;
}

int uz_device_mark_idle(struct uz_device *dev, uint64_t age, uint64_t *marked,
			struct uz_err *err)
{
	if (!dev->size)
		return uz_err_set(err, -EINVAL, "no size");
	dev->idle_age = age;
	if (marked)
		*marked = dev->candidates;
	return 0;
}

unsigned int uz_device_page_states(struct uz_device *dev, uint64_t *index,
				   struct uz_page_state *states,
				   unsigned int max)
{
	unsigned int n = 0;
	uint64_t i;

	dev->state_calls++;
	for (i = 0; i < dev->nr_states && n < max; i++) {
		if (dev->states[i].index < *index)
			continue;
		states[n++] = dev->states[i];
	}
	*index = n ? states[n - 1].index + 1 : dev->size / UZ_PAGE_SIZE;
	return n;
}

bool uz_device_compact(struct uz_device *dev, enum uz_pool_compact_scope scope,
		       uint32_t budget, struct uz_pool_compaction *done)
{
	unsigned int left = dev->batches;

	if (dev->stuck) {
		dev->stuck--;
		dev->compacts++;
		return true;
	}
	dev->scope = scope;
	dev->budget = budget;
	if (left) {
		dev->batches = left - 1;
		done->objects += 10;
		done->pages++;
		dev->stat.objects_moved += 10;
		dev->stat.pages_compacted++;
	}
	if (left <= 1) {
		done->pinned += dev->pinned;
		done->contended += dev->contended;
	}
	/* Last: who counts the calls sees what they did. */
	dev->compacts++;
	return left > 1;
}

void uz_device_on_fragmented(struct uz_device *dev, void (*fn)(void *arg),
			     void *arg)
{
	dev->fragmented = fn;
	dev->fragmented_arg = arg;
}

/* What the test has prepared for it to return. */
int uz_device_collapse(struct uz_device *dev, uint32_t *wait_ms)
{
	unsigned int call = dev->collapses++;

	*wait_ms = 5;
	return call < dev->nr_collapsed ? dev->collapsed[call] : 0;
}

void uz_device_on_whole(struct uz_device *dev, void (*fn)(void *arg), void *arg)
{
	dev->whole = fn;
	dev->whole_arg = arg;
}

bool uz_device_class_stat(struct uz_device *dev, unsigned int nth,
			  struct uz_pool_class_stat *stat)
{
	if (nth >= dev->nr_classes)
		return false;
	*stat = dev->classes[nth];
	return true;
}

void uz_device_zpool(struct uz_device *dev, char name[UZ_POOL_NAME_MAX + 1])
{
	(void)dev;
	strcpy(name, "fakepool");
}

/* A page is data when its first byte is not 0. */
int uz_device_next(struct uz_device *dev, uint64_t offset, bool data,
		   uint64_t *found)
{
	uint64_t at = offset;

	if (offset >= dev->size)
		return -ENXIO;
	for (; at < dev->size; at = (at / UZ_PAGE_SIZE + 1) * UZ_PAGE_SIZE) {
		uint64_t page = at / UZ_PAGE_SIZE * UZ_PAGE_SIZE;

		if (data == (dev->data[page] != 0)) {
			*found = at;
			return 0;
		}
	}
	if (data)
		return -ENXIO;
	*found = dev->size;
	return 0;
}

void uz_device_on_damage(struct uz_device *dev,
			 void (*fn)(void *arg, uint64_t index, const char *why),
			 void *arg)
{
	dev->damaged = fn;
	dev->damaged_arg = arg;
}

/* ---- the backing store ---- */

int uz_device_set_backing(struct uz_device *dev, const char *path,
			  struct uz_err *err)
{
	if (dev->size && dev->backing[0])
		return uz_err_set(err, -EBUSY, "it has a store");
	if (path && path[0] != '/')
		return uz_err_set(err, -EINVAL, "not a whole path");
	snprintf(dev->backing, sizeof(dev->backing), "%s", path ? path : "");
	return 0;
}

void uz_device_backing(struct uz_device *dev,
		       char path[UZ_BACKING_PATH_MAX + 1])
{
	strcpy(path, dev->backing);
}

void uz_device_set_backing_setting(struct uz_device *dev,
				   enum uz_backing_setting which,
				   uint64_t value)
{
	dev->settings[which] = value;
}

uint64_t uz_device_backing_setting(const struct uz_device *dev,
				   enum uz_backing_setting which)
{
	return dev->settings[which];
}

void uz_device_backing_stat(struct uz_device *dev, struct uz_backing_stat *stat)
{
	*stat = dev->backing_stat;
}

struct uz_writeback {
	struct uz_device *dev;
};

int uz_writeback_create(struct uz_writeback **wb, struct uz_device *dev,
			struct uz_err *err)
{
	if (!dev->backing[0])
		return uz_err_set(err, -ENODEV, "it has no store");
	*wb = malloc(sizeof(**wb));
	(*wb)->dev = dev;
	dev->writebacks++;
	return 0;
}

void uz_writeback_destroy(struct uz_writeback *wb)
{
	free(wb);
}

int uz_writeback_some(struct uz_writeback *wb,
		      const struct uz_writeback_want *want, uint64_t *next,
		      uint64_t end, struct uz_writeback_done *done)
{
	struct uz_device *dev = wb->dev;
	uint64_t pages = end - *next < 100 ? end - *next : 100;

	dev->want = *want;
	dev->want_first = *next;
	dev->want_end = end;
	dev->steps++;
	if (dev->in_step)
		dev->in_step(dev->in_step_arg);
	if (dev->fail_step && !--dev->fail_step) {
		if (dev->fail_error != -EIO)
			return dev->fail_error;
		done->failed += pages;
		*next += pages;
		return -EIO;
	}
	done->pages += pages;
	done->skipped = dev->skipped;
	*next += pages;
	return 0;
}

uint64_t uz_writeback_count(struct uz_writeback *wb,
			    const struct uz_writeback_want *want, uint64_t from,
			    uint64_t end)
{
	(void)wb;
	(void)want;
	return end - from;
}

void uz_room_set_marks(struct uz_device *dev, unsigned int low,
		       unsigned int high)
{
	dev->settings[UZ_BACKING_LOW] = low;
	dev->settings[UZ_BACKING_HIGH] = high;
}

int uz_device_retry_backing(struct uz_device *dev)
{
	if (!dev->missing)
		return 0;
	dev->missing--;
	return -ENOENT;
}

void uz_room_on_need(struct uz_device *dev, void (*fn)(void *arg), void *arg)
{
	dev->need = fn;
	dev->need_arg = arg;
}

/* What the test has put there, one after the other; then there is no need. */
int uz_room_make(struct uz_writeback *wb, struct uz_room_hand *hand,
		 struct uz_writeback_done *done)
{
	struct uz_device *dev = wb->dev;
	int ret = dev->turns < FAKE_TURNS ? dev->turn[dev->turns] : dev->always;

	hand->at++;
	if (ret > 0)
		done->pages++;
	dev->turns++;
	return ret;
}

void uz_room_ready(struct uz_device *dev)
{
	(void)dev;
}

void uz_room_tell(struct uz_device *dev, int err)
{
	dev->told_error = err;
	dev->told++;
}

int uz_device_track_age(struct uz_device *dev)
{
	dev->tracks_age = !dev->track_error;
	return dev->track_error;
}

uint64_t uz_device_policy(const struct uz_device *dev,
			  enum uz_policy_number which)
{
	return dev->policy[which];
}

void uz_device_set_policy(struct uz_device *dev, enum uz_policy_number which,
			  uint64_t value)
{
	dev->policy[which] = value;
}

void uz_device_add_policy(struct uz_device *dev, enum uz_policy_number which,
			  uint64_t value)
{
	dev->policy[which] += value;
}

bool uz_device_scrub(struct uz_io *io, uint64_t budget, struct uz_scrub *scrub)
{
	(void)io;
	(void)budget;
	(void)scrub;
	return false;
}

/* As many pages as there are candidates, all of them alike. */
bool uz_device_sample(struct uz_io *io, struct uz_sampling *s, uint64_t step,
		      void *page, bool *taken)
{
	*taken = step && s->next < io->dev->candidates;
	if (*taken)
		memset(page, (int)s->next, UZ_PAGE_SIZE);
	s->next++;
	s->found = s->next;
	return s->next < io->dev->candidates;
}

int uz_snapshot_begin(struct uz_device *dev, struct uz_snapshot **snap,
		      struct uz_snapshot_info *info, struct uz_err *err)
{
	if (dev->begin_error)
		return uz_err_set(err, dev->begin_error, "not today");
	*info = (struct uz_snapshot_info){
		.disksize = dev->size,
		.pages = dev->snapshot_pages,
		.codecs = { "store" },
	};
	*snap = calloc(1, sizeof(**snap));
	if (!*snap)
		abort();
	(*snap)->dev = dev;
	dev->snapshots++;
	return 0;
}

/* Pages of one byte: no device would take them. */
int uz_snapshot_next(struct uz_snapshot *snap, struct uz_page_image *page,
		     struct uz_err *err)
{
	struct uz_device *dev = snap->dev;

	while (dev->hold_snapshot)
		usleep(100);
	if (snap->given == dev->snapshot_pages)
		return dev->next_error
			       ? uz_err_set(err, dev->next_error, "it broke")
			       : 0;
	*page = (struct uz_page_image){
		.index = snap->given++,
		.form = UZ_PAGE_CODED,
		.size = 1,
		.bytes = "x",
	};
	return 1;
}

void uz_snapshot_end(struct uz_snapshot *snap)
{
	snap->dev->snapshots--;
	free(snap);
}
