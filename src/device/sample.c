// SPDX-License-Identifier: MIT
/*
 * Samples of what is stored: pages are read as a load reads them, pinned and
 * decoded from their place, but nothing is counted or marked, and nothing is
 * fetched from the backing store for it.
 *
 * The slots say which pages there are; between two looks they may change, and
 * a page that is gone when it is pinned is passed over.
 */
#include "device_priv.h"

/* Slots that are looked at in one go. */
#define LOOKS 16384

static bool is_wanted(uz_slot_t w)
{
	return (uz_slot_kind(w) == UZ_SLOT_OBJECT ||
		uz_slot_kind(w) == UZ_SLOT_RAW) &&
	       uz_slot_valid(w);
}

static bool sample_page(struct uz_io *io, uint64_t index, void *page)
{
	struct uz__pinned p;
	bool done;

	done = !uz__pin(io, index, &p) && is_wanted(p.slot) && p.bytes &&
	       !uz__object_decode(io, p.slot, p.bytes, index, page);
	uz__unpin(io, &p);
	return done;
}

bool uz_device_sample(struct uz_io *io, struct uz_sampling *s, uint64_t step,
		      void *page, bool *taken)
{
	uint64_t nr = uz__io_enter(io);
	const struct uz_table *table = io->dev->table;
	unsigned int looks;

	*taken = false;
	for (looks = LOOKS; looks && !*taken && s->next < nr; looks--) {
		s->next = uz_table_next(table, s->next);
		if (s->next >= nr)
			break;
		if (is_wanted(uz_table_load(table, s->next)) &&
		    s->found++ % (step ? step : 1) == 0 && step)
			*taken = sample_page(io, s->next, page);
		s->next++;
	}
	uz__io_leave(io);
	return s->next < nr;
}
