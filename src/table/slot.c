// SPDX-License-Identifier: MIT
/*
 * The slot word's forms for a repeated word, and what makes a word a slot.
 * Pure functions of 64 bits; the layout is drawn in table.h.
 *
 * A same-filled page repeats one word of 64 bits, and the slot has 56 to
 * spare. Three forms hold nearly every word that real memory repeats; the
 * device keeps the rest in an object of eight bytes.
 *
 * The check is one bit of parity over the whole word, wherever it lies: a flip
 * in the kind, which moves it, makes the number of set bits odd as any other.
 */
#include <uzram/table.h>

enum same_form {
	SAME_SIGNED = 0, /* bits 8-63: the word, sign-extended from 56 bits */
	SAME_TWICE = 1, /* bits 8-39: 32 bits, repeated */
	SAME_HIGH = 2, /* bits 8-63: the word, whose lowest byte is zero */
};

#define SAME_FORM_SHIFT	 3
#define SAME_FORM_MASK	 (UINT64_C(3) << SAME_FORM_SHIFT)
#define SAME_CHECK	 (UINT64_C(1) << 5)
#define SAME_ONES	 (UINT64_C(3) << 6)
#define SAME_VALUE_SHIFT 8

static uz_slot_t same_slot(enum same_form form, uint64_t value)
{
	uz_slot_t slot = UZ_SLOT_SAME | (uint64_t)form << SAME_FORM_SHIFT |
			 SAME_ONES | value << SAME_VALUE_SHIFT;

	return __builtin_parityll(slot) ? slot | SAME_CHECK : slot;
}

/* An arithmetic shift of a signed value, which gcc and clang both define. */
static uint64_t sign_extend_56(uint64_t value)
{
	return (uint64_t)((int64_t)(value << SAME_VALUE_SHIFT) >>
			  SAME_VALUE_SHIFT);
}

bool uz_slot_same(uint64_t value, uz_slot_t *slot)
{
	if (sign_extend_56(value) == value)
		*slot = same_slot(SAME_SIGNED, value);
	else if (value >> 32 == (uint32_t)value)
		*slot = same_slot(SAME_TWICE, (uint32_t)value);
	else if (!(value & 0xff))
		*slot = same_slot(SAME_HIGH, value >> 8);
	else
		return false;
	return true;
}

uint64_t uz_slot_same_value(uz_slot_t slot)
{
	uint64_t value = slot >> SAME_VALUE_SHIFT;

	switch ((slot & SAME_FORM_MASK) >> SAME_FORM_SHIFT) {
	case SAME_SIGNED:
		return sign_extend_56(value);
	case SAME_TWICE:
		return value << 32 | value;
	default:
		return value << 8;
	}
}

static bool same_valid(uz_slot_t slot)
{
	uint64_t form = (slot & SAME_FORM_MASK) >> SAME_FORM_SHIFT;

	if ((slot & SAME_ONES) != SAME_ONES || form > SAME_HIGH)
		return false;
	return form != SAME_TWICE || !(slot >> (SAME_VALUE_SHIFT + 32));
}

bool uz_slot_valid(uz_slot_t slot)
{
	if (__builtin_parityll(slot))
		return false;
	switch (uz_slot_kind(slot)) {
	case UZ_SLOT_EMPTY:
		return !slot;
	case UZ_SLOT_SAME:
		return same_valid(slot);
	case UZ_SLOT_SAME_OBJ:
		return (slot & UZ_SLOT_ONE) && !uz_slot_codec(slot) &&
		       uz_slot_size(slot) == sizeof(uint64_t);
	case UZ_SLOT_OBJECT:
		return (slot & UZ_SLOT_ONE) && uz_slot_size(slot) &&
		       uz_slot_size(slot) < UZ_PAGE_SIZE;
	case UZ_SLOT_RAW:
		return (slot & UZ_SLOT_ONE) && !uz_slot_codec(slot) &&
		       uz_slot_size(slot) == UZ_PAGE_SIZE;
	case UZ_SLOT_BACKED:
		return (slot & UZ_SLOT_ONE) && uz_slot_size(slot) &&
		       uz_slot_size(slot) <= UZ_PAGE_SIZE &&
		       (uz_slot_size(slot) < UZ_PAGE_SIZE ||
			!uz_slot_codec(slot));
	default:
		return false;
	}
}
