// SPDX-License-Identifier: MIT
/*
 * A slot read in such a way that what it names stays: for as long as it is
 * needed, or as a copy.
 *
 * *Direct*, where the pool's allocator lets a map be held while a codec runs:
 * the object is pinned, the slot read again, and the pin kept until the bytes
 * are done with, or until after the swap. While it is held the place cannot be
 * freed, so the word that a swap expects cannot come to mean another object.
 *
 * *By copies*, where it does not: the object is mapped, the slot read again,
 * the bytes copied, and the map dropped at once. What was copied is one whole
 * version of the page; that is all a load needs. But until the swap, the
 * object may be freed and its place be taken by another one of the same page,
 * size and codec: the same word, another content. So a swap maps the place
 * again, reads the slot again, and compares the object with the copy. If word
 * and bytes are the same, then whatever happened in between, the page holds
 * what was read, and while the map is held nothing can change that: the swap
 * is made under it. Nothing is allocated, encoded or locked while such a map
 * is held.
 *
 * A page on the backing store is *held* there: its blocks cannot become
 * somebody else's until it is let go, so the same holds as for a pin, and a
 * swap is one of words. It is read later, and only by who wants its bytes.
 *
 * A slot of another kind needs nothing: its word is all of its contents. Nor
 * does a damaged one: it names nothing, and once taken out never comes back.
 */
#include <errno.h>
#include <string.h>

#include <uzram/util/delay.h>

#include "device_priv.h"

/* The object of a mapped slot is copied and the map dropped. False: none. */
static bool copy_object(struct uz_io *io, struct uz__pinned *p)
{
	uint32_t len = uz__object_bytes(uz_slot_size(p->slot));
	const void *bytes =
		uz_pool_view(io->dev->pool, &p->map, len, io->local);

	if (bytes && bytes != io->local)
		memcpy(io->local, bytes, len);
	uz_pool_unmap(io->dev->pool, &p->map);
	p->bytes = bytes ? io->local : NULL;
	return bytes;
}

/* Does a slot that is read again still name what was mapped? */
static bool pin_holds(uz_slot_t slot, uz_slot_t again)
{
	return uz_likely(slot == again) ||
	       (uz_slot_same_place(slot, again) && uz_slot_valid(again));
}

/*
 * A slot that names nothing of the pool; false when that is done, with @err.
 * The store's lock, and the loads of the slot, order the hold before the
 * second load (backing.h).
 */
static bool pin_backed(struct uz_io *io, uint64_t index, struct uz__pinned *p,
		       int *err)
{
	uz_slot_t again;

	*err = 0;
	if (uz_slot_kind(p->slot) != UZ_SLOT_BACKED)
		return false;
	*err = uz__backed_hold(io->dev, p->slot);
	if (*err)
		return false;
	uz_delay(UZ_DELAY_PINNED);
	again = uz_table_load(io->dev->table, index);
	if (pin_holds(p->slot, again)) {
		p->slot = again;
		p->held = true;
		return false;
	}
	uz__backed_free(io->dev, p->slot);
	p->slot = again;
	uz__count(io, retries, 1);
	return true;
}

/**
 * uz__pin() - read a slot, and have what it names stay
 * @io:    this thread's context; its @local is used
 * @index: page
 * @p:     filled
 *
 * Context: the thread of @io; one at a time, until uz__unpin().
 * Return:  0; -EIO the slot is damaged, which is counted and told of, or the
 *          store is not there; @p may be swapped and unpinned all the same.
 */
int uz__pin(struct uz_io *io, uint64_t index, struct uz__pinned *p)
{
	struct uz_device *dev = io->dev;
	uz_slot_t again;
	int err;

	p->mapped = false;
	p->held = false;
	p->bytes = NULL;
	p->slot = uz_table_load(dev->table, index);
	/* The pin is a locked instruction: no later load may overtake it. */
	uz__slot_prefetch(dev, p->slot, UZ_PAGE_SIZE);
	for (;;) {
		if (uz_unlikely(!uz__slot_sound(dev, p->slot)))
			return uz__damaged(io, index, UZ__DAMAGED_SLOT);
		if (uz_unlikely(!uz_slot_in_pool(p->slot))) {
			if (!pin_backed(io, index, p, &err))
				return err;
			continue;
		}
		uz_pool_map(dev->pool, uz_slot_ref(p->slot), &p->map);
		again = uz_table_load(dev->table, index);
		if (uz_likely(pin_holds(p->slot, again)))
			break;
		uz_pool_unmap(dev->pool, &p->map);
		p->slot = again;
		uz__count(io, retries, 1);
	}
	p->slot = again;
	if (uz_likely(dev->direct)) {
		p->bytes = p->map.bytes;
		p->mapped = true;
		return 0;
	}
	if (uz_likely(copy_object(io, p)))
		return 0;
	return uz__damaged(io, index, UZ__DAMAGED_SLOT);
}

void uz__unpin(struct uz_io *io, struct uz__pinned *p)
{
	if (p->mapped)
		uz_pool_unmap(io->dev->pool, &p->map);
	p->mapped = false;
	if (uz_unlikely(p->held))
		uz__backed_free(io->dev, p->slot);
	p->held = false;
}

/**
 * uz__copied_swap() - put a word in if the slot still names what was copied
 * @io:    this thread's context; its @again is used
 * @index: page
 * @old:   the word that names an object of the pool
 * @copy:  that object's bytes, as they were
 * @slot:  the new word
 *
 * Context: the thread of @io; for pools whose maps cannot be held.
 * Return:  true if swapped: the caller must free what @old names.
 */
bool uz__copied_swap(struct uz_io *io, uint64_t index, uz_slot_t old,
		     const void *copy, uz_slot_t slot)
{
	struct uz_device *dev = io->dev;
	uint32_t len = uz__object_bytes(uz_slot_size(old));
	const void *bytes;
	struct uz_map map;
	bool swapped = false;

	uz_pool_map(dev->pool, uz_slot_ref(old), &map);
	if (uz_table_load(dev->table, index) == old) {
		bytes = uz_pool_view(dev->pool, &map, len, io->again);
		if (bytes && !memcmp(bytes, copy, len))
			swapped = uz_table_swap(dev->table, index, old, slot);
	}
	uz_pool_unmap(dev->pool, &map);
	return swapped;
}

/**
 * uz__pin_swap() - put a word in if the page is what was read
 * @io:    as for uz__pin()
 * @index: page
 * @p:     from uz__pin(), and not unpinned
 * @slot:  the new word
 *
 * Context: the thread of @io.
 * Return:  true if swapped: the caller must free what @p's slot names.
 */
bool uz__pin_swap(struct uz_io *io, uint64_t index, const struct uz__pinned *p,
		  uz_slot_t slot)
{
	if (uz_likely(io->dev->direct) || !p->bytes)
		return uz_table_swap(io->dev->table, index, p->slot, slot);
	return uz__copied_swap(io, index, p->slot, io->local, slot);
}
