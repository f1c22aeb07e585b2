// SPDX-License-Identifier: MIT
/*
 * What a thread knows of its next requests, and what is done about it.
 *
 * A page that is read at random lies in no cache: its slot, the descriptor that
 * has its pin, and its bytes come from memory, one after the other; and the
 * more is stored, the fewer of their translations are at hand. Who has several
 * requests says which pages come next, and all that is under way while the
 * codec runs for the one before.
 *
 * The slot says where the rest is, so two steps are needed to wait for nothing:
 * of the request after next the slot is asked for, and that of the next one has
 * then arrived and is read.
 *
 * Saying so touches nothing but the thread's own context; it is done inside
 * the gate, by the request that is submitted next. So table and pool are
 * there, and no index can do harm. No locks.
 */
#include <uzram/pool/prefetch.h>

#include "device_priv.h"

/*
 * Bytes of an object that are asked for ahead. A CPU has about so many lines
 * under way at a time, and waits when it is asked for more; what follows comes
 * while these are decoded.
 */
#define AHEAD ((uint32_t)(24 * UZ_CACHELINE))

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
