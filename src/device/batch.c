// SPDX-License-Identifier: MIT
/*
 * A batch: a run of blocks of the store, and the objects that are to lie in
 * it, one behind the other, each from a multiple of eight bytes on.
 *
 * Where the store takes direct I/O, objects are copied, end to end, into a
 * buffer of whole blocks; the page cache would take a copy as well, and keep
 * it. Otherwise objects are written from where they lie, if the pool allows
 * them to stay mapped meanwhile, and copied if it does not.
 *
 * However that is, an object stays mapped until its slot was swapped where the
 * pool allows it: from the very word that was mapped to the one that names the
 * piece. So a page that was overwritten, dropped, marked or moved meanwhile
 * keeps its object, and the piece is given up.
 *
 * The batch is a user of its run's blocks until it is finished; each piece is
 * held for its slot before the slot names it.
 *
 * No locks here.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <uzram/util/ahead.h>
#include <uzram/util/delay.h>

#include "batch.h"

/* Runs that are too short for the next object, one after the other. */
#define SHORT_RUNS 64

/* A huge page of most CPUs; where it is not, pages stay small. */
#define HUGE ((size_t)2 << 20)

/* ---- the limit ---- */

/* Takes up to @blocks, out of the limit if there is one; 0: it is used up. */
static void budget_take(struct uz__batch *b, uint32_t blocks)
{
	_Atomic uint64_t *limit =
		&b->dev->ctl->backing.settings[UZ_BACKING_LIMIT];
	uint64_t left, take;

	b->budget = blocks;
	b->paid = 0;
	if (!uz_device_backing_setting(b->dev, UZ_BACKING_LIMITED))
		return;
	/* relaxed, also below: a number that orders nothing. */
	left = atomic_load_explicit(limit, memory_order_relaxed);
	do {
		take = left < blocks ? left : blocks;
	} while (!atomic_compare_exchange_weak_explicit(
		limit, &left, left - take, memory_order_relaxed,
		memory_order_relaxed));
	b->budget = (uint32_t)take;
	b->paid = (uint32_t)take;
}

/*
 * What the batch has beyond @blocks. Whether there is a limit, and which, may
 * have changed since: nothing is returned that was not taken out of one.
 */
static void budget_return(struct uz__batch *b, uint32_t blocks)
{
	_Atomic uint64_t *limit =
		&b->dev->ctl->backing.settings[UZ_BACKING_LIMIT];
	uint64_t more = b->paid > blocks ? b->paid - blocks : 0, left;

	b->budget = blocks;
	if (!more)
		return;
	b->paid = blocks;
	left = atomic_load_explicit(limit, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(
		limit, &left,
		left < UINT64_MAX - more ? left + more : UINT64_MAX,
		memory_order_relaxed, memory_order_relaxed))
		;
}

/* ---- memory ---- */

static size_t buffers_size(const struct uz_device *dev,
			   const struct uz_backing *store)
{
	if (dev->direct && !uz_backing_direct(store))
		return 0;
	return (size_t)UZ__BATCHES * UZ_WRITEBACK_BYTES;
}

static size_t all_size(size_t buffers)
{
	return buffers + UZ__BATCHES * sizeof(struct uz__batch);
}

/* So many bytes, aligned to huge pages; given back to the last page. */
static void *map_aligned(size_t size)
{
	char *base = mmap(NULL, size + HUGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t before;

	if (base == MAP_FAILED)
		return NULL;
	before = -(uintptr_t)base % HUGE;
	if (before)
		munmap(base, before);
	size = (size + UZ_PAGE_SIZE - 1) & ~(size_t)(UZ_PAGE_SIZE - 1);
	munmap(base + before + size, HUGE - before);
	return base + before;
}

struct uz__batch *uz__batches_create(struct uz_device *dev,
				     struct uz_backing *store)
{
	size_t buffers = buffers_size(dev, store);
	unsigned char *mem = map_aligned(all_size(buffers));
	struct uz__batch *all;
	unsigned int i;

	if (!mem)
		return NULL;
	/*
	 * The kernel takes a buffer in a few pieces then; a refusal is no
	 * matter.
	 */
	if (buffers)
		madvise(mem, buffers, MADV_HUGEPAGE);
	uz_ahead_memory(mem, all_size(buffers));
	all = (struct uz__batch *)(mem + buffers);
	for (i = 0; i < UZ__BATCHES; i++) {
		all[i].dev = dev;
		all[i].store = store;
		if (buffers)
			all[i].copy = mem + (size_t)i * UZ_WRITEBACK_BYTES;
	}
	return all;
}

/* The device may be another by now, and the store be gone. */
void uz__batches_destroy(struct uz__batch *all)
{
	unsigned char *mem = (unsigned char *)all;

	if (!all)
		return;
	if (all->copy)
		mem = all->copy;
	munmap(mem, all_size((size_t)((unsigned char *)all - mem)));
}

/* ---- filling ---- */

static uint32_t blocks_used(const struct uz__batch *b)
{
	return (b->bytes + UZ_BLOCK_SIZE - 1) / UZ_BLOCK_SIZE;
}

/* The first run found that has room for an object of so many bytes, if any. */
static int run_reserve(struct uz__batch *b, uint32_t need)
{
	unsigned int tries = SHORT_RUNS;
	int err;

	while (tries--) {
		err = uz_backing_reserve(b->store, b->budget, &b->run);
		if (err || b->run.nr * UZ_BLOCK_SIZE >= need)
			return err;
		b->tight = true;
		uz_backing_release(b->store, &b->run);
	}
	return -ENOSPC;
}

int uz__batch_begin(struct uz__batch *b, uint32_t need)
{
	int err;

	b->nr = 0;
	b->bytes = 0;
	b->did = (struct uz_writeback_done){ 0 };
	budget_take(b, UZ__BATCH_BLOCKS);
	b->tight = false;
	if (b->budget * UZ_BLOCK_SIZE >= need) {
		err = run_reserve(b, need);
	} else {
		b->tight = b->budget;
		err = -EDQUOT;
	}
	if (err)
		budget_return(b, 0);
	return err;
}

bool uz__batch_takes(const struct uz__batch *b, uint32_t need)
{
	return b->nr < UZ__BATCH_PIECES &&
	       b->bytes + need <= b->run.nr * UZ_BLOCK_SIZE;
}

/* The mapped object, and nothing else, in the buffer; false: there is none. */
static bool copy_object(struct uz__batch *b, const struct uz_map *map,
			uint32_t bytes, uint32_t length)
{
	unsigned char *to = b->copy + b->bytes;
	const void *from = uz_pool_view(b->dev->pool, map, bytes, to);

	if (from && from != to)
		memcpy(to, from, bytes);
	memset(to + bytes, 0, length - bytes);
	return from;
}

uint32_t uz__batch_add(struct uz__batch *b, uint64_t index, uz_slot_t w)
{
	struct uz_device *dev = b->dev;
	struct uz__piece *p = &b->pieces[b->nr];
	uint32_t length = uz__piece_bytes(uz_slot_size(w));
	uint64_t at = b->run.block * UZ_BLOCK_SIZE + b->bytes;
	bool taken;

	if (!uz__slot_sound(dev, w))
		return 0;
	uz_pool_map(dev->pool, uz_slot_ref(w), &p->map);
	taken = uz_table_load(dev->table, index) == w;
	if (taken && b->copy)
		taken = copy_object(b, &p->map,
				    uz__object_bytes(uz_slot_size(w)), length);
	else if (taken)
		b->iov[b->nr] = (struct iovec){ (void *)p->map.bytes, length };
	if (!taken || !dev->direct)
		uz_pool_unmap(dev->pool, &p->map);
	if (!taken)
		return 0;
	p->old = w;
	p->slot = uz_slot_to_backing(w, at / UZ_REF_UNIT);
	p->index = index;
	b->bytes += length;
	b->nr++;
	return length;
}

void uz__batch_close(struct uz__batch *b)
{
	uint32_t blocks = blocks_used(b), length = blocks * UZ_BLOCK_SIZE;

	budget_return(b, blocks);
	b->write = (struct uz_write){
		.iov = b->iov,
		.nr = b->nr,
		.offset = b->run.block * UZ_BLOCK_SIZE,
		.length = b->bytes,
	};
	if (!b->copy)
		return;
	memset(b->copy + b->bytes, 0, length - b->bytes);
	b->iov[0] = (struct iovec){ b->copy, length };
	b->write.nr = 1;
	b->write.length = length;
}

/* ---- the end ---- */

/* Durable: the slot is to name the piece. */
static bool piece_swap(const struct uz__batch *b, struct uz_io *io,
		       const struct uz__piece *p)
{
	uint64_t at = uz_slot_ref(p->slot) * UZ_REF_UNIT;
	struct uz_device *dev = b->dev;

	if (uz__backed_hold(dev, p->slot))
		return false;
	uz_delay(UZ_DELAY_WRITTEN);
	if (dev->direct ? uz_table_swap(dev->table, p->index, p->old, p->slot)
			: uz__copied_swap(io, p->index, p->old,
					  b->copy + at -
						  b->run.block * UZ_BLOCK_SIZE,
					  p->slot))
		return true;
	uz__backed_free(dev, p->slot);
	return false;
}

static void piece_end(struct uz__batch *b, struct uz_io *io,
		      const struct uz__piece *p)
{
	struct uz_device *dev = b->dev;
	bool swapped = !b->err && piece_swap(b, io, p);

	if (dev->direct)
		uz_pool_unmap(dev->pool, &p->map);
	if (swapped) {
		uz__stat_move(io->cnt, p->old, p->slot);
		uz_pool_free(dev->pool, uz_slot_ref(p->old));
		uz__count(io, written_back_pages, 1);
		b->did.pages++;
		b->did.bytes += uz__piece_bytes(uz_slot_size(p->slot));
	} else if (!b->err) {
		uz__count(io, writeback_changed, 1);
		b->did.changed++;
	} else {
		uz__count(io, writeback_failed, 1);
		b->did.failed++;
	}
}

void uz__batch_finish(struct uz__batch *b, struct uz_io *io)
{
	unsigned int i;

	if (b->nr && !b->err)
		uz__count(io, written_blocks, b->budget);
	for (i = 0; i < b->nr; i++)
		piece_end(b, io, &b->pieces[i]);
	if (b->err)
		budget_return(b, 0);
	uz_backing_release(b->store, &b->run);
}
