// SPDX-License-Identifier: MIT
/*
 * Pages that were taken out of a device (snapshot.c), put into another one as
 * they are: nothing is compressed again.
 *
 * Nothing of a page is believed: form, codec, size and sum are checked, and
 * what does not fit this device is refused. Whether its bytes decode is not
 * tried; a load that finds that they do not is an I/O error, as always.
 *
 * A page comes as a store does: inside the gate, and where there is no room it
 * waits until there is, so what did not fit below the limit when it was stored
 * goes to the backing store once more. Each page passes the gate by itself.
 */
#include <errno.h>
#include <string.h>

#include "device_priv.h"

static bool word_encode(const struct uz_page_image *page, struct uz__encoded *e)
{
	uz_slot_t slot;

	if (page->codec || page->size != sizeof(e->word))
		return false;
	memcpy(&e->word, page->bytes, sizeof(e->word));
	if (uz_slot_same(e->word, &slot)) {
		e->kind = UZ_SLOT_SAME;
		e->size = 0;
	} else {
		e->kind = UZ_SLOT_SAME_OBJ;
	}
	return true;
}

static bool page_encode(const struct uz_device *dev,
			const struct uz_page_image *page, struct uz__encoded *e)
{
	*e = (struct uz__encoded){
		.codec = page->codec,
		.size = page->size,
		.payload = page->bytes,
	};
	switch (page->form) {
	case UZ_PAGE_WORD:
		return word_encode(page, e);
	case UZ_PAGE_CODED:
		e->kind = UZ_SLOT_OBJECT;
		return page->codec < UZ_SLOT_CODECS &&
		       dev->codecs[page->codec].ops && page->size &&
		       page->size < UZ_PAGE_SIZE;
	case UZ_PAGE_RAW:
		e->kind = UZ_SLOT_RAW;
		return !page->codec && page->size == UZ_PAGE_SIZE;
	default:
		return false;
	}
}

static int page_place(struct uz_io *io, uint64_t index,
		      const struct uz__encoded *e, uz_slot_t *slot)
{
	uint64_t until = 0;
	int ret;

	do {
		ret = uz__page_place_reclaim(io, index, e, slot);
	} while (ret == -ENOSPC && uz__room_await(io, &until));
	return ret;
}

static int page_restore(struct uz_io *io, const struct uz_page_image *page,
			uint64_t nr)
{
	struct uz_device *dev = io->dev;
	struct uz__encoded e;
	uz_slot_t slot;
	int ret;

	if (page->index >= nr || !page_encode(dev, page, &e) ||
	    uz__object_sum(page->bytes, page->size, page->index) != page->sum ||
	    uz_table_load(dev->table, page->index))
		return -EUCLEAN;
	ret = page_place(io, page->index, &e, &slot);
	if (ret)
		return ret;
	if (!uz_table_swap(dev->table, page->index, 0, slot)) {
		if (uz_slot_in_pool(slot))
			uz_pool_free(dev->pool, uz_slot_ref(slot));
		return -EUCLEAN;
	}
	uz__stat_slot(io->cnt, slot, 1);
	return 0;
}

int uz_page_restore(struct uz_io *io, const struct uz_page_image *page)
{
	int ret = page_restore(io, page, uz__io_enter(io));

	uz__io_leave(io);
	return ret;
}
