// SPDX-License-Identifier: MIT
/*
 * Load, store and drop of one page: the protocol between table and pool.
 *
 * A store encodes into scratch, fills a new object that nobody can see, and
 * publishes it by one exchange of the slot word; whoever takes a word out of
 * a slot frees what it names. A load pins the object's zspage, reads the slot
 * again, and decodes only if it still names that place: from then on the
 * bytes stay until the pin goes. A partial store does both and ends in a swap
 * that fails if the page changed (pinned.c).
 *
 * A store for which there is no room has objects moved together (relocate.c)
 * until there is. When that gains nothing more it waits for cold pages to be
 * written back (room.c). Only when there is nowhere to write them it is
 * refused, unless what it replaces is no smaller.
 *
 * Before other contents are put into a slot, a snapshot that is under way has
 * to be told (snapshot.c).
 *
 * No locks here; the pool takes its own for a moment in alloc and free.
 * Nothing is held while a codec runs but a pin, which stops nobody.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>

#include <uzram/util/delay.h>

#include "device_priv.h"

/* How often what was taken beyond the limit is looked for in vain. */
#define RETURN_TRIES 2

/*
 * How often one store has objects moved: enough for any that is held up by
 * holes, and no more than some milliseconds where the limit was set far below
 * what is used, so that moving alone does not help.
 */
#define RECLAIM_ROUNDS 64

static int page_decode(struct uz_io *io, const struct uz__pinned *p,
		       uint64_t index, void *buf)
{
	switch (uz_slot_kind(p->slot)) {
	case UZ_SLOT_EMPTY:
		memset(buf, 0, UZ_PAGE_SIZE);
		return 0;
	case UZ_SLOT_SAME:
		uz__page_fill(buf, uz_slot_same_value(p->slot));
		return 0;
	case UZ_SLOT_SAME_OBJ:
	case UZ_SLOT_OBJECT:
	case UZ_SLOT_RAW:
		return uz__object_decode(io, p->slot, p->bytes, index, buf);
	case UZ_SLOT_BACKED:
		return uz__backed_decode(io, p, index, buf);
	default:
		return -EIO;
	}
}

/*
 * Whoever reads page after page will want the next one too: its object comes
 * from memory while this one is decoded, which takes ten times as long. (It is
 * asked for again when its turn comes: a CPU with many requests for memory
 * under way may have dropped some.)
 */
int uz_page_load(struct uz_io *io, uint64_t index, void *buf)
{
	bool in_order = index == io->next;
	struct uz__pinned p;
	int err;

	err = uz__pin(io, index, &p);
	io->next = index + 1;
	if (in_order && io->next < uz_table_pages(io->dev->table))
		uz__slot_prefetch(io->dev,
				  uz_table_load(io->dev->table, io->next),
				  UZ_PAGE_SIZE);
	if (!err)
		err = page_decode(io, &p, index, buf);
	if (uz_unlikely(p.held) && !err)
		uz__backed_promote(io, index, &p);
	uz__unpin(io, &p);
	if (uz_unlikely(err)) {
		uz__count(io, failed_reads, 1);
		return err;
	}
	if (p.slot)
		uz__page_used(io, index);
	if (uz_unlikely(p.slot & UZ_SLOT_IDLE))
		uz__idle_clear(io, index);
	return 0;
}

/*
 * The word was taken out of its slot by this thread, for @slot: free what it
 * names, or named before it was damaged.
 */
static void page_release(struct uz_io *io, uint64_t index, uz_slot_t old,
			 uz_slot_t slot)
{
	if (uz_unlikely(!uz_slot_valid(old)))
		old = uz__slot_before(io, index, old, slot);
	uz__stat_slot(io->cnt, old, -1);
	if (uz_unlikely(uz_slot_kind(old) == UZ_SLOT_BACKED))
		uz__backed_free(io->dev, old);
	if (uz_slot_in_pool(old) && uz_likely(uz_slot_valid(old)))
		uz_pool_free_if(io->dev->pool, uz_slot_ref(old),
				uz__object_bytes(uz_slot_size(old)),
				(uint32_t)index);
}

/* Room for an encoded page, filled; *slot is ready to be published. */
int uz__page_place(struct uz_io *io, uint64_t index,
		   const struct uz__encoded *e, unsigned int flags,
		   uz_slot_t *slot)
{
	struct uz_device *dev = io->dev;
	uz_ref_t ref = 0;
	int err;

	err = uz_table_prepare(dev->table, index);
	if (err)
		return err;
	if (e->kind != UZ_SLOT_SAME) {
		err = uz_pool_alloc(dev->pool, uz__object_bytes(e->size),
				    (uint32_t)index, flags, &ref);
		if (err)
			return err;
	}
	*slot = uz__object_place(dev, e, index, ref);
	return 0;
}

/*
 * The same, and if there is no room, have objects moved together until there
 * is some or nothing more can be gained that way.
 */
int uz__page_place_reclaim(struct uz_io *io, uint64_t index,
			   const struct uz__encoded *e, uz_slot_t *slot)
{
	unsigned int rounds = RECLAIM_ROUNDS;
	int err;

	do {
		err = uz__page_place(io, index, e, 0, slot);
	} while (uz_unlikely(err == -ENOSPC) && rounds-- &&
		 uz__reclaim(io, UZ_POOL_COMPACT_ALL));
	return err;
}

/* A slot that was made but not published. */
static void page_unplace(struct uz_io *io, uz_slot_t slot)
{
	if (uz_slot_in_pool(slot))
		uz_pool_free(io->dev->pool, uz_slot_ref(slot));
}

/* Does the new object fit where the old one is given up? */
static bool page_shrinks(struct uz_io *io, uint64_t index, uz_slot_t old,
			 const struct uz__encoded *e)
{
	const struct uz_device *dev = io->dev;

	if (uz_unlikely(!uz_slot_valid(old)))
		old = uz__slot_before(io, index, old, 0);
	/* A damaged slot may claim any size. */
	return uz_slot_in_pool(old) && uz_slot_valid(old) &&
	       uz_pool_class_size(dev->pool, uz__object_bytes(e->size)) <=
		       uz_pool_class_size(dev->pool,
					  uz__object_bytes(uz_slot_size(old)));
}

/*
 * The limit was passed and an object freed since; but what it left may be a
 * part of a page. Have objects moved together until that is given back. What
 * could gain it may be locked or pinned just now, so it is tried more often.
 */
static void page_return(struct uz_io *io, uint64_t before)
{
	const struct uz_pool *pool = io->dev->pool;
	unsigned int rounds = RECLAIM_ROUNDS, tries = RETURN_TRIES;

	while (tries && rounds-- && uz_pool_over_limit(pool) &&
	       uz_pool_used_bytes(pool) > before) {
		if (uz__reclaim(io, UZ_POOL_COMPACT_ALL))
			continue;
		tries--;
		sched_yield();
	}
}

/*
 * Swap in what was encoded for a slot held pinned. At the limit, an object
 * that needs no more room than the old one may pass it until the old one is
 * freed; that is only right if it really replaces that old one, hence a swap.
 */
int uz__page_swap(struct uz_io *io, uint64_t index, const struct uz__encoded *e,
		  struct uz__pinned *p, unsigned int how)
{
	struct uz_device *dev = io->dev;
	uz_slot_t old = p->slot;
	uint64_t before;
	uz_slot_t slot;
	bool over;
	int err;

	err = how & UZ__SWAP_RECLAIM
		      ? uz__page_place_reclaim(io, index, e, &slot)
		      : uz__page_place(io, index, e, 0, &slot);
	over = err == -ENOSPC && how & UZ__SWAP_OVER &&
	       page_shrinks(io, index, old, e);
	before = uz_pool_used_bytes(dev->pool);
	if (over)
		err = uz__page_place(io, index, e, UZ_POOL_OVER_LIMIT, &slot);
	if (err)
		return err;
	uz__snapshot_keep(io, index);
	if (!uz__pin_swap(io, index, p, slot)) {
		page_unplace(io, slot);
		uz__count(io, retries, 1);
		return -EAGAIN;
	}
	uz__unpin(io, p);
	uz__stat_slot(io->cnt, slot, 1);
	page_release(io, index, old, slot);
	if (over)
		page_return(io, before);
	return 0;
}

/*
 * Store at the limit, when nothing more could be gained: replace exactly what
 * is there, or give up.
 */
static int page_store_at_limit(struct uz_io *io, uint64_t index,
			       const struct uz__encoded *e)
{
	struct uz__pinned p;
	int err;

	do {
		/* What is damaged is replaced as well. */
		err = uz__pin(io, index, &p);
		if (!err || err == -EIO)
			err = uz__page_swap(io, index, e, &p, UZ__SWAP_OVER);
		uz__unpin(io, &p);
	} while (err == -EAGAIN);
	return err;
}

static int page_store_failed(struct uz_io *io, int err)
{
	if (err == -ENOSPC)
		uz__count(io, limit_rejections, 1);
	uz__count(io, failed_writes, 1);
	return err;
}

static int page_store_new(struct uz_io *io, uint64_t index,
			  const struct uz__encoded *e)
{
	uz_slot_t slot, old;
	int err = uz__page_place_reclaim(io, index, e, &slot);

	if (uz_unlikely(err))
		return err;
	uz__snapshot_keep(io, index);
	old = uz_table_exchange(io->dev->table, index, slot);
	uz_delay(UZ_DELAY_PUBLISHED);
	uz__stat_slot(io->cnt, slot, 1);
	page_release(io, index, old, slot);
	return 0;
}

int uz_page_store(struct uz_io *io, uint64_t index, const void *buf)
{
	struct uz__encoded e;
	uint64_t until = 0;
	int err;

	uz__store_expect(io->dev, index);
	uz__object_encode(io, buf, &e);
	do {
		err = page_store_new(io, index, &e);
	} while (uz_unlikely(err == -ENOSPC) && uz__room_await(io, &until));
	if (uz_unlikely(err == -ENOSPC))
		err = page_store_at_limit(io, index, &e);
	if (uz_unlikely(err))
		return page_store_failed(io, err);
	uz__page_used(io, index);
	return 0;
}

int uz_page_store_part(struct uz_io *io, uint64_t index, uint32_t off,
		       uint32_t len, const void *buf)
{
	unsigned int how = UZ__SWAP_RECLAIM;
	struct uz__encoded e;
	struct uz__pinned p;
	uint64_t until = 0;
	int err;

	do {
		err = uz__pin(io, index, &p);
		if (!err)
			err = page_decode(io, &p, index, io->page);
		if (!err) {
			if (buf)
				memcpy(io->page + off, buf, len);
			else
				memset(io->page + off, 0, len);
			uz__object_encode(io, io->page, &e);
			err = uz__page_swap(io, index, &e, &p, how);
		}
		uz__unpin(io, &p);
		if (uz_likely(err != -ENOSPC) || how & UZ__SWAP_OVER)
			continue;
		if (!uz__room_await(io, &until))
			how = UZ__SWAP_OVER; /* moving gains nothing */
		err = -EAGAIN;
	} while (err == -EAGAIN);
	if (err)
		return page_store_failed(io, err);
	uz__page_used(io, index);
	return 0;
}

void uz_page_drop(struct uz_io *io, uint64_t index)
{
	struct uz_table *table = io->dev->table;

	/* An empty slot may have no memory to exchange in. */
	if (!uz_table_load(table, index))
		return;
	uz__snapshot_keep(io, index);
	page_release(io, index, uz_table_exchange(table, index, 0), 0);
}
