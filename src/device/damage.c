// SPDX-License-Identifier: MIT
/*
 * What memory that forgets costs: one page, and only until it is written
 * again. A slot or object that is not what was stored is counted and told of
 * where it is found; nothing is repaired, and nobody gets the page.
 *
 * A store or a drop takes a damaged slot out of the table like any other. It
 * names no object then, or a wrong one, so the object that it named would stay
 * in the pool for ever. But a slot that differs from what it was in one bit
 * can be found again: of the 64 words that differ from it in one bit, it is
 * the one that names an object which the pool holds for this very page. If two
 * do, the other one is of a store that goes on at the same time; then neither
 * is touched, and the place is lost until the device is adopted or reset.
 *
 * No locks but the pool's, for a moment.
 */
#include <errno.h>

#include "device_priv.h"

static void tell(const struct uz_device *dev, uint64_t index, const char *why)
{
	if (dev->damaged)
		dev->damaged(dev->damaged_arg, index, why);
}

/**
 * uz__damaged() - a page turned out not to be what was stored
 * @io:    this thread's context
 * @index: page
 * @why:   UZ__DAMAGED_SLOT or UZ__DAMAGED_OBJECT
 *
 * Context: the thread of @io, inside a request; no map that must not be slept
 *          upon is held.
 * Return:  -EIO.
 */
int uz__damaged(struct uz_io *io, uint64_t index, const char *why)
{
	uz__count(io, checksum_errors, 1);
	tell(io->dev, index, why);
	return -EIO;
}

/**
 * uz__unreadable() - a page could not be read from the backing store
 * @io:    this thread's context
 * @index: page
 *
 * Context: as uz__damaged().
 * Return:  -EIO.
 */
int uz__unreadable(struct uz_io *io, uint64_t index)
{
	uz__count(io, backing_read_errors, 1);
	tell(io->dev, index, "the backing store cannot be read there");
	return -EIO;
}

void uz_device_on_damage(struct uz_device *dev,
			 void (*fn)(void *arg, uint64_t index, const char *why),
			 void *arg)
{
	uz_scoped_acquire(guard, &dev->lock);

	dev->damaged = fn;
	dev->damaged_arg = arg;
}

static bool named_object(const struct uz_device *dev, uint64_t index,
			 uz_slot_t w)
{
	return uz_slot_valid(w) && uz_slot_in_pool(w) &&
	       uz_pool_holds(dev->pool, uz_slot_ref(w),
			     uz__object_bytes(uz_slot_size(w)),
			     (uint32_t)index);
}

static bool object_intact(struct uz_io *io, uint64_t index, uz_slot_t w)
{
	struct uz_pool *pool = io->dev->pool;
	const void *bytes;
	struct uz_map map;
	bool intact;

	uz_pool_map(pool, uz_slot_ref(w), &map);
	bytes = uz_pool_view(pool, &map, uz__object_bytes(uz_slot_size(w)),
			     io->again);
	intact = bytes && uz__object_intact(w, bytes, index);
	uz_pool_unmap(pool, &map);
	return intact;
}

/* The same of a page that was written back: its piece may be anybody's. */
static bool piece_intact(struct uz_io *io, uint64_t index, uz_slot_t w)
{
	bool intact;

	if (uz_slot_kind(w) != UZ_SLOT_BACKED || !uz_slot_valid(w) ||
	    uz__backed_hold(io->dev, w))
		return false;
	intact = !uz__backed_fetch(io, w, io->again) &&
		 uz__object_intact(w, io->again, index);
	uz__backed_free(io->dev, w);
	return intact;
}

static bool same_object(uz_slot_t a, uz_slot_t b)
{
	return uz_slot_in_pool(a) == uz_slot_in_pool(b) &&
	       uz_slot_ref(a) == uz_slot_ref(b);
}

/**
 * uz__slot_before() - what a damaged slot was before one bit of it was flipped
 * @io:    this thread's context; its @again is used
 * @index: page
 * @w:     a word that is no slot
 * @now:   the slot that this thread has put in its place, or 0: not that one
 *
 * A flip in the size may leave the object's class as it is; then the checksum,
 * which covers exactly so many bytes, tells which size is right.
 *
 * Context: the thread of @io, which holds no map; sleeps; the object is not
 *          freed meanwhile, since only who took the word out of its slot could.
 * Return:  the slot; @w itself when there is none, or more than one.
 */
uz_slot_t uz__slot_before(struct uz_io *io, uint64_t index, uz_slot_t w,
			  uz_slot_t now)
{
	uz_slot_t object = 0, same = 0, one;
	bool intact = false, in_pool;
	unsigned int bit;

	/* Of every slot that is not empty four bits are set at least. */
	if (!(w & (w - 1)))
		return 0;
	for (bit = 0; bit < 64; bit++) {
		one = w ^ UINT64_C(1) << bit;
		if (uz_slot_kind(one) == UZ_SLOT_SAME && uz_slot_valid(one))
			same = one;
		if (uz_slot_in_pool(now) && same_object(one, now))
			continue;
		in_pool = named_object(io->dev, index, one);
		if (!in_pool && !piece_intact(io, index, one))
			continue;
		if (object && !same_object(object, one))
			return w;
		if (intact)
			continue;
		intact = !in_pool || object_intact(io, index, one);
		if (!object || intact)
			object = one;
	}
	if (object)
		return object;
	return same ? same : w;
}

/* Has the page the dictionary that it needs? Each is read once in a scrub. */
static bool dict_sound(const struct uz_device *dev, uz_slot_t w,
		       struct uz_scrub *scrub)
{
	unsigned char *seen;

	if (!uz_slot_is_compressed(w))
		return true;
	seen = &scrub->dicts[uz_slot_codec(w)];
	if (!*seen)
		*seen = uz__dict_intact(dev, uz_slot_codec(w)) ? 1 : 2;
	return *seen == 1;
}

static int page_check(struct uz_io *io, uint64_t index, struct uz_scrub *scrub)
{
	const void *bytes;
	struct uz__pinned p;
	int err = uz__pin(io, index, &p);

	bytes = p.bytes;
	if (!err && p.held) {
		err = uz__backed_fetch(io, p.slot, io->local);
		bytes = io->local;
	}
	if (!err && bytes && !uz__object_intact(p.slot, bytes, index))
		err = uz__damaged(io, index, UZ__DAMAGED_OBJECT);
	if (!err && !dict_sound(io->dev, p.slot, scrub))
		err = uz__damaged(io, index, UZ__DAMAGED_DICT);
	uz__unpin(io, &p);
	return err;
}

bool uz_device_scrub(struct uz_io *io, uint64_t budget, struct uz_scrub *scrub)
{
	uint64_t nr = uz__io_enter(io);
	const struct uz_table *table = io->dev->table;
	bool more = true;

	while (budget && more) {
		if (scrub->next < nr)
			scrub->next = uz_table_next(table, scrub->next);
		more = scrub->next < nr;
		if (!more)
			break;
		if (uz_table_load(table, scrub->next)) {
			budget--;
			scrub->pages++;
			if (page_check(io, scrub->next, scrub) &&
			    !scrub->errors++)
				scrub->bad = scrub->next;
		}
		scrub->next++;
	}
	uz__io_leave(io);
	return more;
}
