// SPDX-License-Identifier: MIT
/*
 * A page to an object and back. Pure but for the thread's scratch and the
 * bytes of an object that nobody else can see yet.
 *
 * An object is its payload followed by a checksum of four bytes: the low half
 * of XXH3 over the payload, mixed with the page's index and what the slot
 * says it is, so that an object that belongs to another page, or is taken for
 * what it is not, is as wrong as a damaged one. The checksum lies in the
 * object, not beside it: one exchange of the slot publishes both.
 */
#include <errno.h>
#include <string.h>

#include "device_priv.h"
#include "sum.h"

uint32_t uz__object_sum(const void *payload, uint32_t size, uint64_t index)
{
	/* An odd multiplier, so that every index changes the sum. */
	return (uint32_t)uz__sum(payload, size) ^
	       (uint32_t)index * UINT32_C(0x9e3779b1);
}

/*
 * Likewise for what the slot says the payload is. The same in the pool and on
 * the backing store; whether it is raw follows from its size.
 */
static uint32_t meaning_sum(enum uz_slot_kind kind, unsigned int codec)
{
	return (codec << 1 | (kind == UZ_SLOT_SAME_OBJ)) * UINT32_C(0x85ebca6b);
}

void uz__page_fill(void *page, uint64_t word)
{
	unsigned char *p = page;
	size_t at;

	/* By memcpy: the caller's buffer need not be aligned. */
	for (at = 0; at < UZ_PAGE_SIZE; at += sizeof(word))
		memcpy(p + at, &word, sizeof(word));
}

/*
 * Most pages differ between their first and last word already; a page that
 * equals itself shifted by one word repeats that word.
 */
static bool page_same(const void *page, uint64_t *word)
{
	const unsigned char *p = page;

	memcpy(word, p, sizeof(*word));
	return !memcmp(p + UZ_PAGE_SIZE - sizeof(*word), word, sizeof(*word)) &&
	       !memcmp(p, p + sizeof(*word), UZ_PAGE_SIZE - sizeof(*word));
}

void uz__object_encode(struct uz_io *io, const void *page,
		       struct uz__encoded *e)
{
	/* seq_cst: as io.c says of who waits for requests to end. */
	unsigned int codec = atomic_load(&io->dev->codec);
	/* NULL: its dictionary is lost. */
	struct uz_codec_ctx *ctx = io->ctx[codec];
	uz_slot_t slot;
	size_t len;

	if (page_same(page, &e->word)) {
		bool fits = uz_slot_same(e->word, &slot);

		e->kind = fits ? UZ_SLOT_SAME : UZ_SLOT_SAME_OBJ;
		e->size = fits ? 0 : sizeof(e->word);
		e->codec = 0;
		e->payload = &e->word;
	} else if (ctx && !uz_codec_compress(ctx, page, io->scratch,
					     UZ_HUGE_SIZE - 1, &len)) {
		e->kind = UZ_SLOT_OBJECT;
		e->size = (uint32_t)len;
		e->codec = codec;
		e->payload = io->scratch;
	} else {
		e->kind = UZ_SLOT_RAW;
		e->size = UZ_PAGE_SIZE;
		e->codec = 0;
		e->payload = page;
	}
}

/**
 * uz__object_place() - fill an object and make its slot
 * @dev:   the device
 * @e:     the page, encoded
 * @index: the page it belongs to
 * @ref:   room for it, not published; unused for UZ_SLOT_SAME
 *
 * Context: any thread.
 * Return:  the slot word to publish.
 */
uz_slot_t uz__object_place(struct uz_device *dev, const struct uz__encoded *e,
			   uint64_t index, uz_ref_t ref)
{
	uz_slot_t slot = 0;
	uint32_t sum;

	if (e->kind == UZ_SLOT_SAME) {
		uz_slot_same(e->word, &slot);
		return slot;
	}
	uz__place_expect(dev, ref, e->size);
	sum = uz__object_sum(e->payload, e->size, index) ^
	      meaning_sum(e->kind, e->codec);
	uz_pool_write(dev->pool, ref, 0, e->payload, e->size);
	uz_pool_write(dev->pool, ref, e->size, &sum, sizeof(sum));
	return uz_slot_make(e->kind, e->codec, e->size, ref);
}

bool uz__object_intact(uz_slot_t slot, const void *bytes, uint64_t index)
{
	uint32_t size = uz_slot_size(slot);
	uint32_t sum;

	memcpy(&sum, (const unsigned char *)bytes + size, sizeof(sum));
	return sum == (uz__object_sum(bytes, size, index) ^
		       meaning_sum(uz_slot_kind(slot), uz_slot_codec(slot)));
}

static int object_expand(struct uz_io *io, uz_slot_t slot, const void *bytes,
			 void *page)
{
	struct uz_codec_ctx *ctx = io->ctx[uz_slot_codec(slot)];
	uint64_t word;

	switch (uz_slot_kind(slot)) {
	case UZ_SLOT_SAME_OBJ:
		memcpy(&word, bytes, sizeof(word));
		uz__page_fill(page, word);
		return 0;
	case UZ_SLOT_RAW:
		memcpy(page, bytes, UZ_PAGE_SIZE);
		return 0;
	case UZ_SLOT_OBJECT:
		if (!ctx)
			return -EIO;
		return uz_codec_decompress(ctx, bytes, uz_slot_size(slot),
					   page);
	case UZ_SLOT_EMPTY:
	case UZ_SLOT_SAME:
	case UZ_SLOT_BACKED:
	default:
		return -EIO;
	}
}

/**
 * uz__object_decode() - the page back from its object
 * @io:    this thread's context
 * @slot:  names the object; valid
 * @bytes: the object, mapped
 * @index: the page it must belong to
 * @page:  UZ_PAGE_SIZE bytes
 *
 * The checksum is looked at last: a codec has work to do while the bytes come
 * from memory, a checksum only waits for them. Codecs take damaged bytes
 * (uz_codec_decompress()), and nobody sees the page before the answer.
 *
 * Context: the thread of @io.
 * Return:  0 or -EIO; then @page is undefined, and the damage was counted.
 */
int uz__object_decode(struct uz_io *io, uz_slot_t slot, const void *bytes,
		      uint64_t index, void *page)
{
	int err = object_expand(io, slot, bytes, page);

	if (uz_likely(!err && uz__object_intact(slot, bytes, index)))
		return 0;
	return uz__damaged(
		io, index,
		uz_slot_is_compressed(slot) &&
				uz__dict_lost(io->dev, uz_slot_codec(slot))
			? UZ__DAMAGED_DICT
			: UZ__DAMAGED_OBJECT);
}
