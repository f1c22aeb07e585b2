// SPDX-License-Identifier: MIT
/*
 * Idle pages: a bit in the slot word, and the time of each page's last use
 * beside it.
 *
 * The bit changes by compare-and-swap of a word to the same word with another
 * bit. Nothing need be pinned for that: if the word has come to mean another
 * object in between, then it is that object's bit that changes, and the worst
 * is a page that counts as idle although it was stored this moment.
 *
 * Times are seconds since the machine started, in ordinary memory that is
 * mapped whole and populated where pages are used. A time of zero is that of
 * the moment at which tracking began, so nothing has to be filled in; those of
 * pages that a larger disksize has brought are, too. The
 * pointer is published once while the device has its size, and taken back
 * only when no request is under way.
 *
 * Whoever looks over the table takes the configuration lock for a part of it
 * at a time, so that the table stays.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "device_priv.h"
#include <uzram/util/ahead.h>
#include <uzram/util/resident.h>

/* Slots that are looked at in one go: less than a millisecond. */
#define BATCH 65536

static uint32_t ages_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint32_t)t.tv_sec;
}

static size_t ages_bytes(uint64_t nr_pages)
{
	return nr_pages * sizeof(uint32_t);
}

/* relaxed: each is whole, and a second sooner or later is no matter. */
void uz__age_note(_Atomic uint32_t *ages, uint64_t index)
{
	atomic_store_explicit(&ages[index], ages_now(), memory_order_relaxed);
}

static uint32_t age_used(const struct uz_device *dev, uint64_t index)
{
	const _Atomic uint32_t *ages = atomic_load(&dev->ages);
	uint32_t used;

	if (!ages)
		return 0;
	/* relaxed: as above. A read of what is not populated maps zeroes. */
	used = atomic_load_explicit(&ages[index], memory_order_relaxed);
	return used ? used : dev->ages_begin;
}

int uz__ages_map(struct uz_device *dev)
{
	struct uz_reserve *room = &dev->ages_room;
	int err;

	if (!dev->track_age || atomic_load(&dev->ages))
		return 0;
	err = uz_reserve_map(room, ages_bytes(uz_table_pages(dev->table)),
			     ages_bytes(uz_table_most(dev->table)));
	if (err)
		return err;
	uz_ahead_memory(room->base, room->size);
	dev->ages_begin = ages_now();
	/* seq_cst, more than needed: who sees it sees the mapping. */
	atomic_store(&dev->ages, room->base);
	return 0;
}

int uz__ages_grow(struct uz_device *dev, uint64_t nr_pages)
{
	struct uz_reserve *room = &dev->ages_room;
	size_t before = room->size;
	int err;

	if (!atomic_load(&dev->ages))
		return 0;
	err = uz_reserve_grow(room, ages_bytes(nr_pages));
	if (!err)
		uz_ahead_memory((char *)room->base + before,
				room->size - before);
	return err;
}

void uz__ages_unmap(struct uz_device *dev)
{
	atomic_store(&dev->ages, NULL);
	uz_reserve_unmap(&dev->ages_room);
}

uint64_t uz__ages_resident(const struct uz_device *dev)
{
	return uz_resident(dev->ages_room.base, dev->ages_room.size);
}

int uz_device_track_age(struct uz_device *dev)
{
	uz_scoped_acquire(guard, &dev->lock);
	bool before = dev->track_age;
	int err;

	dev->track_age = true;
	err = dev->table ? uz__ages_map(dev) : 0;
	if (err)
		dev->track_age = before;
	return err;
}

/* Pages that can be idle: those that more could be done with. */
static bool can_be_idle(uz_slot_t w)
{
	return uz_slot_kind(w) == UZ_SLOT_OBJECT ||
	       uz_slot_kind(w) == UZ_SLOT_RAW;
}

/* True: it has become idle by that. */
static bool set_idle(struct uz_table *table, uint64_t index, bool idle)
{
	uz_slot_t w, want;

	do {
		w = uz_table_load(table, index);
		/* What is damaged must not come out with its check right. */
		if (!can_be_idle(w) || !uz_slot_valid(w))
			return false;
		want = idle ? uz_slot_flags(w, UZ_SLOT_IDLE, 0)
			    : uz_slot_flags(w, 0, UZ_SLOT_IDLE);
	} while (w != want && !uz_table_swap(table, index, w, want));
	return idle && w != want;
}

void uz__idle_clear(const struct uz_io *io, uint64_t index)
{
	set_idle(io->dev->table, index, false);
}

void uz__idle_set(struct uz_device *dev, uint64_t index)
{
	set_idle(dev->table, index, true);
}

/* From *@at on; false: that was the last. */
static bool mark_batch(struct uz_device *dev, uint64_t age, uint64_t *at,
		       uint64_t *marked)
{
	uz_scoped_acquire(guard, &dev->lock);
	uint32_t now = ages_now();
	unsigned int n;

	for (n = 0; n < BATCH && dev->table; n++) {
		*at = uz_table_next(dev->table, *at);
		if (*at >= uz_table_pages(dev->table))
			return false;
		/* The time may be of a moment after now was. */
		*marked += set_idle(dev->table, *at,
				    age == UZ_IDLE_ALL ||
					    (int64_t)now - age_used(dev, *at) >
						    (int64_t)age);
		++*at;
	}
	return dev->table != NULL;
}

int uz_device_mark_idle(struct uz_device *dev, uint64_t age, uint64_t *marked,
			struct uz_err *err)
{
	uint64_t at = 0, pages = 0;
	int ret;

	if (!uz_device_disksize(dev))
		return uz_err_set(err, -EINVAL, "the device has no size");
	if (age != UZ_IDLE_ALL) {
		if (age > UINT32_MAX)
			age = UINT32_MAX;
		ret = uz_device_track_age(dev);
		if (ret)
			return uz_err_set(err, ret,
					  "no memory for the ages of pages");
	}
	while (mark_batch(dev, age, &at, &pages))
		;
	if (marked)
		*marked = pages;
	return 0;
}

/* ---- looking at pages ---- */

static bool is_secondary(const struct uz_device *dev, unsigned int codec)
{
	uint32_t word = atomic_load(&dev->secondary);
	unsigned int i;

	if (codec == atomic_load(&dev->codec))
		return false;
	for (i = 1; i < UZ_PRIORITIES; i++)
		if (uz__secondary(word, i) == codec)
			return true;
	return false;
}

static void fill_state(const struct uz_device *dev, uint64_t index, uz_slot_t w,
		       struct uz_page_state *s)
{
	bool flags = can_be_idle(w);
	/* What lies on the store keeps its sort, as kernel zram tells it. */
	uz_slot_t sort = uz_slot_kind(w) == UZ_SLOT_BACKED
				 ? uz_slot_from_backing(w, 0)
				 : w;

	*s = (struct uz_page_state){
		.index = index,
		.used = age_used(dev, index),
		.same = uz_slot_kind(w) == UZ_SLOT_SAME ||
			uz_slot_kind(w) == UZ_SLOT_SAME_OBJ,
		.backed = uz_slot_kind(w) == UZ_SLOT_BACKED,
		.huge = uz_slot_kind(sort) == UZ_SLOT_RAW,
		.idle = flags && (w & UZ_SLOT_IDLE),
		.incompressible = flags && (w & UZ_SLOT_INCOMPRESSIBLE),
		.recompressed = uz_slot_kind(sort) == UZ_SLOT_OBJECT &&
				is_secondary(dev, uz_slot_codec(w)),
	};
}

/* Adds to *@n; false: that was the last page. */
static bool states_batch(struct uz_device *dev, uint64_t *index,
			 struct uz_page_state *states, unsigned int max,
			 unsigned int *n)
{
	uz_scoped_acquire(guard, &dev->lock);
	unsigned int i;

	for (i = 0; i < BATCH && *n < max && dev->table; i++) {
		uz_slot_t w;

		*index = uz_table_next(dev->table, *index);
		if (*index >= uz_table_pages(dev->table))
			return false;
		w = uz_table_load(dev->table, *index);
		if (w)
			fill_state(dev, *index, w, &states[(*n)++]);
		++*index;
	}
	return dev->table != NULL;
}

unsigned int uz_device_page_states(struct uz_device *dev, uint64_t *index,
				   struct uz_page_state *states,
				   unsigned int max)
{
	unsigned int n = 0;

	while (n < max && states_batch(dev, index, states, max, &n))
		;
	return n;
}
