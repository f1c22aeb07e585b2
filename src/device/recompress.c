// SPDX-License-Identifier: MIT
/*
 * Recompression of one page: a store of what the page holds already, which
 * gives way to every other.
 *
 * The object is pinned and stays pinned until the swap, however long the
 * codecs take; nothing else is held, so reads go on at the old place and
 * stores exchange the slot as ever. The swap finds that out and the new object
 * is thrown away (page.c, as for a store of a part of a page). So the protocol
 * is that of publish, map and free, with nothing added to it; as for any swap
 * the pin is what keeps the word from coming to mean another object.
 *
 * A page is decoded and its checksum looked at even if it lies there as it is:
 * damage must not get a new checksum.
 *
 * Codecs are looked up by priority for each page, inside the gate, so that one
 * that was taken back meanwhile is not used (codecs.c). A slot's own priority
 * follows from its codec: kernel zram keeps two bits for it.
 *
 * What is counted as gained is the size class, for that is what the pool gives
 * back.
 */
#include <errno.h>
#include <string.h>
#include <uzram/util/delay.h>

#include "device_priv.h"

/* Slots that are looked at in one go. */
#define LOOKS 16384

/*
 * struct choice - codecs to be tried with a page
 * @codecs: indexes, in order
 * @nr:     how many
 * @last:   with these every priority has been tried
 */
struct choice {
	unsigned int codecs[UZ_PRIORITIES];
	unsigned int nr;
	bool last;
};

/* The priority of a slot's codec: the highest that it has, or 0. */
static unsigned int slot_priority(uint32_t word, uz_slot_t w)
{
	unsigned int i;

	if (uz_slot_kind(w) != UZ_SLOT_OBJECT)
		return 0;
	for (i = UZ_PRIORITIES - 1; i; i--)
		if (uz__secondary(word, i) == uz_slot_codec(w))
			break;
	return i;
}

static struct choice choose(const struct uz_device *dev,
			    const struct uz_recompress *how, uz_slot_t w)
{
	/* seq_cst, as all by which requests learn of codecs. */
	uint32_t word = atomic_load(&dev->secondary);
	unsigned int i = slot_priority(word, w) + 1;
	struct choice c = { .last = true };

	for (; i < UZ_PRIORITIES; i++) {
		unsigned int codec = uz__secondary(word, i);

		if (codec == UZ__NO_CODEC)
			continue;
		if (!how->priority || how->priority == i)
			c.codecs[c.nr++] = codec;
		c.last = !how->priority || how->priority >= i;
	}
	return c;
}

static bool is_wanted(const struct uz_recompress *how, uz_slot_t w)
{
	bool raw = uz_slot_kind(w) == UZ_SLOT_RAW;

	if (!raw && uz_slot_kind(w) != UZ_SLOT_OBJECT)
		return false;
	return uz_slot_valid(w) && !(w & UZ_SLOT_INCOMPRESSIBLE) &&
	       (!how->idle || (w & UZ_SLOT_IDLE)) && (!how->huge || raw) &&
	       uz_slot_size(w) >= how->least &&
	       (!how->below || uz_slot_size(w) < how->below);
}

static uint32_t class_of(const struct uz_device *dev, uint32_t size)
{
	return uz_pool_class_size(dev->pool, uz__object_bytes(size));
}

/* By the first codec that takes the page to a smaller class. */
static bool encode(struct uz_io *io, const struct choice *c, uint32_t old,
		   struct uz__encoded *e)
{
	uint32_t class = class_of(io->dev, old);
	size_t cap = old < UZ_HUGE_SIZE ? old - 1 : UZ_HUGE_SIZE - 1;
	unsigned int i;
	size_t len;

	for (i = 0; i < c->nr && cap; i++) {
		struct uz_codec_ctx *ctx = io->ctx[c->codecs[i]];

		if (!ctx ||
		    uz_codec_compress(ctx, io->page, io->scratch, cap, &len) ||
		    class_of(io->dev, (uint32_t)len) >= class)
			continue;
		*e = (struct uz__encoded){
			.kind = UZ_SLOT_OBJECT,
			.codec = c->codecs[i],
			.size = (uint32_t)len,
			.payload = io->scratch,
		};
		return true;
	}
	return false;
}

/* Nothing is gained: have it be known. */
static int keep(struct uz_io *io, uint64_t index, const struct uz__pinned *p,
		bool last)
{
	uz_slot_t w = uz_slot_flags(p->slot, last ? UZ_SLOT_INCOMPRESSIBLE : 0,
				    UZ_SLOT_IDLE);

	if (w != p->slot && !uz__pin_swap(io, index, p, w))
		return -EAGAIN;
	return 0;
}

/* With the slot pinned. */
static int recompress(struct uz_io *io, const struct uz_recompress *how,
		      uint64_t index, struct uz__pinned *p,
		      struct uz_recompression *done)
{
	struct choice c = choose(io->dev, how, p->slot);
	uint32_t old = uz_slot_size(p->slot);
	struct uz__encoded e;
	bool smaller;
	int err;

	if (!c.nr || !is_wanted(how, p->slot))
		return 0;
	done->tried++;
	if (how->count_only)
		return 0;
	err = uz__object_decode(io, p->slot, p->bytes, index, io->page);
	if (err)
		return err;
	uz_delay(UZ_DELAY_DECODED);
	smaller = encode(io, &c, old, &e);
	uz_delay(UZ_DELAY_RECODED);
	if (!smaller) {
		err = keep(io, index, p, c.last);
		done->kept += !err;
		return err;
	}
	err = uz__page_swap(io, index, &e, p, UZ__SWAP_RECLAIM | UZ__SWAP_OVER);
	if (!err) {
		uint64_t gain =
			class_of(io->dev, old) - class_of(io->dev, e.size);

		done->gained++;
		done->bytes += gain;
		uz__count(io, recompressed, 1);
		uz__count(io, recompress_saved, gain);
	}
	return err;
}

static int recompress_page(struct uz_io *io, const struct uz_recompress *how,
			   uint64_t index, struct uz_recompression *done)
{
	struct uz__pinned p;
	int err = uz__pin(io, index, &p);

	if (!err)
		err = recompress(io, how, index, &p, done);
	uz__unpin(io, &p);
	if (err == -EAGAIN)
		done->lost++;
	if (err == -EIO)
		done->failed++;
	return err == -EAGAIN || err == -EIO ? 0 : err;
}

/* Inside the gate. */
static int recompress_some(struct uz_io *io, const struct uz_recompress *how,
			   uint64_t *index, unsigned int budget,
			   struct uz_recompression *done)
{
	struct uz_table *table = io->dev->table;
	uint64_t end = done->tried + budget;
	unsigned int looks;
	int err;

	for (looks = LOOKS; looks && done->tried < end; looks--) {
		*index = uz_table_next(table, *index);
		if (*index >= uz_table_pages(table))
			return 0;
		/* Most pages need not be pinned to see that. */
		if (is_wanted(how, uz_table_load(table, *index))) {
			err = recompress_page(io, how, *index, done);
			if (err)
				return err;
		}
		++*index;
	}
	return 1;
}

int uz_recompress(struct uz_io *io, const struct uz_recompress *how,
		  uint64_t *index, unsigned int budget,
		  struct uz_recompression *done)
{
	int ret = -EINVAL;

	/* The generation changes only while nobody can be inside. */
	if (uz__io_enter(io) && io->dev->generation == how->generation)
		ret = recompress_some(io, how, index, budget, done);
	uz__io_leave(io);
	return ret;
}

int uz_recompress_begin(struct uz_device *dev, struct uz_recompress *how,
			struct uz_err *err)
{
	uz_scoped_acquire(guard, &dev->lock);
	uint32_t word = atomic_load(&dev->secondary);

	if (!dev->table)
		return uz_err_set(err, -EINVAL, "the device has no size");
	if (how->priority >= UZ_PRIORITIES ||
	    (how->priority &&
	     uz__secondary(word, how->priority) == UZ__NO_CODEC) ||
	    !word)
		return uz_err_set(
			err, -EINVAL,
			"there is no codec of priority %u: write \"algo=NAME priority=%u\" to recomp_algorithm first",
			how->priority ? how->priority : 1,
			how->priority ? how->priority : 1);
	how->generation = dev->generation;
	return 0;
}
