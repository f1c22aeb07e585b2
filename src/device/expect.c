// SPDX-License-Identifier: MIT
/*
 * Memory that will be needed, asked for before it is. Nothing waits here, and
 * nothing depends on it. No locks.
 *
 * A page that is read at random lies in no cache: its slot, the descriptor that
 * has its pin, and its bytes come from memory, one after the other; and the
 * more is stored, the fewer of their translations are at hand. Who has several
 * requests says which pages come next, and all that is under way while the
 * codec runs for the one before. The slot says where the rest is, so two steps
 * are needed to wait for nothing: of the request after next the slot is asked
 * for, and that of the next one has then arrived and is read.
 *
 * Saying so touches nothing but the thread's own context; it is done inside
 * the gate, by the request that is submitted next. So table and pool are
 * there, and no index can do harm.
 *
 * A store knows of itself what it will come to: while the codec runs, its slot
 * and the descriptor of what it replaces; while the checksum is made, the place
 * of the new object.
 */
#include <uzram/pool/prefetch.h>

#include "device_priv.h"

/*
 * Bytes of an object that are asked for ahead. A CPU has about so many lines
 * under way at a time, and waits when it is asked for more; what follows comes
 * while these are decoded, or filled.
 */
#define AHEAD ((uint32_t)(24 * UZ_CACHELINE))

/*
 * Does the slot name a place of the pool? Of a damaged one anything may be
 * asked for: it is no more than that.
 */
static bool in_pool(const struct uz_device *dev, uz_slot_t slot)
{
	/* relaxed: with an end that has grown since, nothing is. */
	return uz_slot_in_pool(slot) &&
	       uz_slot_ref(slot) < atomic_load_explicit(&dev->ref_end,
							memory_order_relaxed);
}

/*
 * Have the slot's object on its way from memory, or the first @most bytes of
 * it. False: it has none there.
 */
bool uz__slot_prefetch(const struct uz_device *dev, uz_slot_t slot,
		       uint32_t most)
{
	uint32_t size = uz_slot_size(slot);
	const char *at, *end;

	if (!in_pool(dev, slot))
		return false;
	at = uz_pool_bytes(dev->pool, uz_slot_ref(slot));
	if (!at)
		return false;
	end = at + (size < most ? size : most);
	for (; at < end; at += UZ_CACHELINE)
		__builtin_prefetch(at);
	__builtin_prefetch(end); /* the checksum */
	return true;
}

/**
 * uz__store_expect() - a page is about to be encoded, and then stored
 * @dev:   the device
 * @index: the page
 *
 * Context: inside the gate.
 */
void uz__store_expect(const struct uz_device *dev, uint64_t index)
{
	uz_slot_t slot = uz_table_load(dev->table, index);

	if (in_pool(dev, slot))
		uz_pool_prefetch(dev->pool, uz_slot_ref(slot));
}

/**
 * uz__place_expect() - an object is about to be filled
 * @dev:  the device
 * @ref:  its place
 * @size: its bytes
 *
 * Else the copy would wait for its lines, and so would the exchange that
 * publishes it, until all is written.
 */
void uz__place_expect(const struct uz_device *dev, uz_ref_t ref, uint32_t size)
{
	const char *bytes = uz_pool_bytes(dev->pool, ref);
	uint32_t at;

	for (at = 0; bytes && at < size && at < AHEAD; at += UZ_CACHELINE)
		__builtin_prefetch(bytes + at, 1);
}

void uz_device_expect(struct uz_io *io, uint64_t soon, uint64_t later)
{
	io->soon = soon;
	io->later = later;
}

/**
 * uz__expected() - have the next requests' memory on its way
 * @io: this thread's context
 * @nr: pages of the device, from the gate
 *
 * Context: the thread of @io, inside the gate.
 */
void uz__expected(struct uz_io *io, uint64_t nr)
{
	const struct uz_device *dev = io->dev;
	uz_slot_t slot;

	if (io->later < nr)
		uz_table_prefetch(dev->table, io->later);
	if (io->soon < nr) {
		slot = uz_table_load(dev->table, io->soon);
		if (uz__slot_prefetch(dev, slot, AHEAD))
			uz_pool_prefetch(dev->pool, uz_slot_ref(slot));
	}
	io->soon = UZ_PAGE_NONE;
	io->later = UZ_PAGE_NONE;
}
