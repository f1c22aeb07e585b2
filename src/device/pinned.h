/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_PINNED_H
#define UZRAM_PINNED_H

#include <uzram/device.h>

/* What a slot names: kept where it is (pinned.c), or asked for (expect.c). */

/* ---- pinned.c ---- */

/**
 * struct uz__pinned - a slot read in such a way that what it names stays
 * @slot:   the word
 * @bytes:  the slot's object, or a copy of it in io->local; NULL without one,
 *          or when the page is damaged
 * @mapped: @map is held
 * @held:   the slot's piece of the store is held; it was not read yet
 * @map:    pin on the slot's object
 */
struct uz__pinned {
	uz_slot_t slot;
	const void *bytes;
	bool mapped;
	bool held;
	struct uz_map map;
};

int uz__pin(struct uz_io *io, uint64_t index, struct uz__pinned *p);
void uz__unpin(struct uz_io *io, struct uz__pinned *p);
bool uz__pin_swap(struct uz_io *io, uint64_t index, const struct uz__pinned *p,
		  uz_slot_t slot);
bool uz__copied_swap(struct uz_io *io, uint64_t index, uz_slot_t old,
		     const void *copy, uz_slot_t slot);

/* ---- expect.c ---- */

bool uz__slot_prefetch(const struct uz_device *dev, uz_slot_t slot,
		       uint32_t most);
void uz__expected(struct uz_io *io, uint64_t nr);
void uz__store_expect(const struct uz_device *dev, uint64_t index);
void uz__place_expect(const struct uz_device *dev, uz_ref_t ref, uint32_t size);

#endif
