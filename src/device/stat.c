// SPDX-License-Identifier: MIT
/*
 * Counters: each thread has a share that it alone writes; a reader adds them
 * up. Shares lie in the control memfd, so that what is not derivable from the
 * table survives the process. A process killed while a share is folded may
 * leave a lasting counter wrong by that share; derived ones are counted anew.
 */
#include <string.h>

#include "crew.h"
#include <uzram/util/delay.h>
#include <uzram/util/resident.h>

static void share_add(_Atomic uint64_t *counter, uint64_t n)
{
	/* relaxed: one writer; see uz__count() */
	atomic_store_explicit(
		counter,
		atomic_load_explicit(counter, memory_order_relaxed) + n,
		memory_order_relaxed);
}

/* All but the number of pages, and what is counted of stores alone. */
static void stat_place(struct uz__counters *cnt, uz_slot_t slot, int sign)
{
	uint64_t one = (uint64_t)(int64_t)sign;

	switch (uz_slot_kind(slot)) {
	case UZ_SLOT_SAME:
		share_add(&cnt->same_pages, one);
		return;
	case UZ_SLOT_SAME_OBJ:
		share_add(&cnt->same_pages, one);
		share_add(&cnt->compr_bytes, one * uz_slot_size(slot));
		return;
	case UZ_SLOT_RAW:
		share_add(&cnt->huge_pages, one);
		__attribute__((fallthrough));
	case UZ_SLOT_OBJECT:
		share_add(&cnt->compr_bytes, one * uz_slot_size(slot));
		if (uz_slot_kind(slot) == UZ_SLOT_RAW)
			return;
		share_add(uz__codec_pages(cnt, uz_slot_codec(slot)), one);
		share_add(uz__codec_bytes(cnt, uz_slot_codec(slot)),
			  one * uz_slot_size(slot));
		return;
	case UZ_SLOT_BACKED:
		share_add(&cnt->backed_pages, one);
		share_add(&cnt->backed_bytes, one * uz_slot_size(slot));
		if (!uz_slot_is_compressed(slot))
			return;
		/* A codec is in use as long as any page needs it. */
		share_add(uz__codec_pages(cnt, uz_slot_codec(slot)), one);
		share_add(uz__codec_bytes(cnt, uz_slot_codec(slot)),
			  one * uz_slot_size(slot));
		return;
	case UZ_SLOT_EMPTY:
	default:
		return;
	}
}

void uz__stat_slot(struct uz__counters *cnt, uz_slot_t slot, int sign)
{
	enum uz_slot_kind kind = uz_slot_kind(slot);

	if (kind >= UZ_SLOT_SAME && kind <= UZ_SLOT_BACKED)
		share_add(&cnt->pages_stored, (uint64_t)(int64_t)sign);
	/* Not where a page moves: reading may bring it back from the store. */
	if (kind == UZ_SLOT_RAW && sign > 0)
		share_add(&cnt->huge_pages_since, 1);
	stat_place(cnt, slot, sign);
}

void uz__stat_move(struct uz__counters *cnt, uz_slot_t from, uz_slot_t to)
{
	stat_place(cnt, to, 1);
	stat_place(cnt, from, -1);
}

void uz__stat_compaction(struct uz__counters *cnt,
			 const struct uz_pool_compaction *done)
{
	share_add(&cnt->pages_compacted, done->pages);
	share_add(&cnt->objects_moved, done->objects);
	share_add(&cnt->compact_pinned, done->pinned);
	share_add(&cnt->compact_contended, done->contended);
}

static void sum_add(struct uz__counters *sum, const struct uz__counters *cnt)
{
	/* relaxed: each value whole, no order between them */
#define X(name)               \
	share_add(&sum->name, \
		  atomic_load_explicit(&cnt->name, memory_order_relaxed));
	UZ__DERIVED_COUNTERS(X)
	UZ__LASTING_COUNTERS(X)
	UZ__BACKING_COUNTERS(X)
#undef X
}

void uz__stat_sum(const struct uz_device *dev, struct uz__counters *sum)
{
	unsigned int i;

	memset(sum, 0, sizeof(*sum));
	sum_add(sum, &dev->ctl->counters[0]);
	for (i = 0; i < UZ_IO_MAX; i++) {
		if (dev->ios[i])
			sum_add(sum, dev->ios[i]->cnt);
	}
}

/* relaxed: a reader may see some counters cleared and others not yet. */
static void share_zero(struct uz__counters *cnt)
{
#define X(name) atomic_store_explicit(&cnt->name, 0, memory_order_relaxed);
	UZ__DERIVED_COUNTERS(X)
	UZ__LASTING_COUNTERS(X)
	UZ__BACKING_COUNTERS(X)
#undef X
}

void uz__stat_fold(struct uz_device *dev, struct uz__counters *cnt)
{
	sum_add(&dev->ctl->counters[0], cnt);
	uz_delay(UZ_DELAY_FOLDED);
	share_zero(cnt);
}

void uz__stat_zero(struct uz_device *dev)
{
	unsigned int i;

	share_zero(&dev->ctl->counters[0]);
	for (i = 0; i < UZ_IO_MAX; i++) {
		if (dev->ios[i])
			share_zero(dev->ios[i]->cnt);
	}
}

/* What threads have for this device; the configuration lock is held. */
static uint64_t io_bytes(const struct uz_io *io)
{
	uint64_t bytes = sizeof(*io) + uz_resident(io->mem, io->size);
	unsigned int i;

	for (i = 0; i < UZ_SLOT_CODECS; i++)
		bytes += uz_codec_ctx_bytes(io->ctx[i]);
	return bytes;
}

static void stat_memory(struct uz_device *dev, struct uz_device_stat *stat)
{
	struct uz_pool_stat pool;
	unsigned int i;

	uz_pool_stat(dev->pool, &pool);
	stat->mem_used_total = pool.used_bytes;
	stat->mem_used_max = pool.max_used_bytes;
	stat->deferred_frees = pool.deferred;
	stat->deferred_bytes = pool.deferred_bytes;
	stat->longest_map_ns = pool.longest_map_ns;
	stat->maps = pool.maps;
	stat->empty_bytes = pool.empty_bytes;
	stat->reserve_size = pool.reserve_bytes;
	stat->reserve_missed = pool.reserve_missed;
	stat->thp_bytes = pool.thp_bytes + uz_table_huge(dev->table);
	stat->meta_bytes = pool.meta_bytes + uz_table_resident(dev->table) +
			   uz__ages_resident(dev) + uz_shm_resident(&dev->shm) +
			   uz__dicts_bytes(dev) + sizeof(*dev) +
			   sizeof(*dev->crew);
	if (dev->snapshot)
		stat->meta_bytes += uz__snapshot_bytes(dev->snapshot);
	for (i = 0; i < UZ_IO_MAX; i++)
		if (dev->ios[i])
			stat->meta_bytes += io_bytes(dev->ios[i]);
	stat->mem_resident = stat->mem_used_total + stat->meta_bytes;
}

void uz_device_stat(struct uz_device *dev, struct uz_device_stat *stat)
{
	uz_scoped_acquire(guard, &dev->lock);
	struct uz__counters sum;

	memset(stat, 0, sizeof(*stat));
	stat->mem_limit = uz__device_limit(dev);
	if (!dev->table)
		return;
	uz__stat_sum(dev, &sum);
	stat->orig_data_size = sum.pages_stored * UZ_PAGE_SIZE;
	stat->compr_data_size = sum.compr_bytes;
	stat->same_pages = sum.same_pages;
	stat->huge_pages = sum.huge_pages;
	/* relaxed: who changes it holds the lock. */
	stat->workers =
		atomic_load_explicit(&dev->crew->nr, memory_order_relaxed);
#define X(name) stat->name = sum.name;
	UZ__LASTING_COUNTERS(X)
#undef X
	stat_memory(dev, stat);
}

bool uz_device_codec_stat(struct uz_device *dev, unsigned int index,
			  struct uz_device_codec_stat *stat)
{
	uz_scoped_acquire(guard, &dev->lock);
	struct uz__counters sum;

	memset(stat, 0, sizeof(*stat));
	if (index >= UZ_SLOT_CODECS)
		return false;
	stat->codec = dev->codecs[index];
	if (!stat->codec.ops || !dev->table)
		return true;
	uz__stat_sum(dev, &sum);
	stat->pages = *uz__codec_pages(&sum, index);
	stat->bytes = *uz__codec_bytes(&sum, index);
	return true;
}

void uz_device_backing_stat(struct uz_device *dev, struct uz_backing_stat *stat)
{
	uz_scoped_acquire(guard, &dev->lock);
	struct uz_backing *store = atomic_load(&dev->backing);
	struct uz_backing_info info = { 0 };
	struct uz__counters sum;

	if (store)
		uz_backing_info(store, &info);
	*stat = (struct uz_backing_stat){
		.blocks = info.blocks,
		.used_blocks = info.used,
		.backing_lost = !store && dev->ctl->backing.path[0],
	};
	if (!dev->table)
		return;
	uz__stat_sum(dev, &sum);
	stat->backed_pages = sum.backed_pages;
	stat->backed_bytes = sum.backed_bytes;
	stat->stored_pages = sum.pages_stored - sum.backed_pages;
#define X(name) stat->name = sum.name;
	UZ__BACKING_COUNTERS(X)
#undef X
}

bool uz_device_class_stat(struct uz_device *dev, unsigned int nth,
			  struct uz_pool_class_stat *stat)
{
	uz_scoped_acquire(guard, &dev->lock);

	return dev->pool && uz_pool_class_stat(dev->pool, nth, stat);
}
