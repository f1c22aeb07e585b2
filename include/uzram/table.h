/* SPDX-License-Identifier: MIT */
#ifndef UZRAM_TABLE_H
#define UZRAM_TABLE_H

#include <uzram/types.h>

/**
 * DOC: the slot table
 *
 * One 64-bit word per page, in a memfd; the only truth about what is stored.
 * Every change of state is one compare-and-swap or exchange of the word.
 * Table memory is populated only where a page was once stored: reading a slot
 * that was never written costs nothing.
 *
 * Bits of the word, from the lowest:
 *
 * ======= ================================================================
 * 0-2     kind, enum uz_slot_kind
 * 3       idle
 * 4       incompressible: every codec was tried
 * 5-7     codec: index into the superblock's list of codecs
 * 8-20    size: bytes of payload, 1 ... 4096
 * 21      check: makes the number of bits that are set even
 * 22      one
 * 23-63   ref
 * ======= ================================================================
 *
 * A same-filled slot uses bits 3-4 for the form of its repeated word, bit 5 for
 * the check, bits 6-7 are ones, and bits 8-63 hold its value. An all-zero word
 * is an empty slot: a page never stored, or dropped.
 *
 * So every slot has an even number of bits set, and if it is not empty, four or
 * more: a word of which any one bit was flipped is no slot (uz_slot_valid()),
 * and what was empty differs from what was not.
 */

typedef uint64_t uz_slot_t;

/**
 * enum uz_slot_kind - what a page is now
 * @UZ_SLOT_EMPTY:    nothing stored; reads as zeroes
 * @UZ_SLOT_SAME:     one 8-byte word repeated, held in the slot itself
 * @UZ_SLOT_SAME_OBJ: one 8-byte word repeated, held in an object of 8 bytes,
 *                    because it fits none of the slot's forms
 * @UZ_SLOT_OBJECT:   compressed, in the pool
 * @UZ_SLOT_RAW:      as it is, in the pool
 * @UZ_SLOT_BACKED:   written back: the object lies on the backing store, at
 *                    ref * UZ_REF_UNIT; of UZ_PAGE_SIZE bytes it is raw
 */
enum uz_slot_kind {
	UZ_SLOT_EMPTY = 0,
	UZ_SLOT_SAME = 1,
	UZ_SLOT_SAME_OBJ = 2,
	UZ_SLOT_OBJECT = 3,
	UZ_SLOT_RAW = 4,
	UZ_SLOT_BACKED = 5,
};

#define UZ_SLOT_IDLE	       (UINT64_C(1) << 3)
#define UZ_SLOT_INCOMPRESSIBLE (UINT64_C(1) << 4)
#define UZ_SLOT_CHECK	       (UINT64_C(1) << 21)
#define UZ_SLOT_ONE	       (UINT64_C(1) << 22)
#define UZ_SLOT_CODECS	       8

static inline enum uz_slot_kind uz_slot_kind(uz_slot_t w)
{
	return (enum uz_slot_kind)(w & 7);
}

static inline unsigned int uz_slot_codec(uz_slot_t w)
{
	return (w >> 5) & 7;
}

static inline uint32_t uz_slot_size(uz_slot_t w)
{
	return (w >> 8) & 0x1fff;
}

static inline uz_ref_t uz_slot_ref(uz_slot_t w)
{
	return w >> 23;
}

/* Does the slot name an object of the pool? */
static inline bool uz_slot_in_pool(uz_slot_t w)
{
	enum uz_slot_kind k = uz_slot_kind(w);

	return k == UZ_SLOT_SAME_OBJ || k == UZ_SLOT_OBJECT || k == UZ_SLOT_RAW;
}

/* Does a codec have to decode what the slot names? */
static inline bool uz_slot_is_compressed(uz_slot_t w)
{
	return uz_slot_kind(w) == UZ_SLOT_OBJECT ||
	       (uz_slot_kind(w) == UZ_SLOT_BACKED &&
		uz_slot_size(w) < UZ_PAGE_SIZE);
}

/* Do both words name the same object, whatever their flags? */
static inline bool uz_slot_same_place(uz_slot_t a, uz_slot_t b)
{
	return !((a ^ b) &
		 ~(UZ_SLOT_IDLE | UZ_SLOT_INCOMPRESSIBLE | UZ_SLOT_CHECK));
}

/* A word that is not same-filled, with its check bit made right. */
static inline uz_slot_t uz_slot_seal(uz_slot_t w)
{
	w &= ~UZ_SLOT_CHECK;
	return __builtin_parityll(w) ? w | UZ_SLOT_CHECK : w;
}

static inline uz_slot_t uz_slot_make(enum uz_slot_kind kind, unsigned int codec,
				     uint32_t size, uz_ref_t ref)
{
	return uz_slot_seal((uint64_t)kind | (uint64_t)codec << 5 |
			    (uint64_t)size << 8 | UZ_SLOT_ONE | ref << 23);
}

/*
 * The word of the same object with other flags: of UZ_SLOT_IDLE and
 * UZ_SLOT_INCOMPRESSIBLE, those in @set are set and those in @clear are not.
 * For a slot that is valid and neither empty nor same-filled.
 */
static inline uz_slot_t uz_slot_flags(uz_slot_t w, uz_slot_t set,
				      uz_slot_t clear)
{
	return uz_slot_seal((w & ~clear) | set);
}

/*
 * The word of an object once it lies on the backing store: no more idle there.
 * And of one there: what its kind was in the pool, and will be again.
 */
static inline uz_slot_t uz_slot_to_backing(uz_slot_t w, uz_ref_t ref)
{
	return uz_slot_flags(uz_slot_make(UZ_SLOT_BACKED, uz_slot_codec(w),
					  uz_slot_size(w), ref),
			     w & UZ_SLOT_INCOMPRESSIBLE, 0);
}

static inline uz_slot_t uz_slot_from_backing(uz_slot_t w, uz_ref_t ref)
{
	return uz_slot_flags(
		uz_slot_make(uz_slot_size(w) == UZ_PAGE_SIZE ? UZ_SLOT_RAW
							     : UZ_SLOT_OBJECT,
			     uz_slot_codec(w), uz_slot_size(w), ref),
		w & UZ_SLOT_INCOMPRESSIBLE, 0);
}

/* The word of the same object, flags included, at another place. */
static inline uz_slot_t uz_slot_move(uz_slot_t w, uz_ref_t ref)
{
	return uz_slot_seal((w & ((UINT64_C(1) << 23) - 1)) | ref << 23);
}

/**
 * uz_slot_same() - the slot of a page that repeats one word
 * @value: the word
 * @slot:  set when it fits
 *
 * Fits: small and negative numbers and pointers (56 bits, sign-extended),
 * 32 bits repeated, and anything whose lowest byte is zero (doubles).
 *
 * Context: any thread.
 * Return:  true when the word fits; otherwise an object must hold it.
 */
bool uz_slot_same(uint64_t value, uz_slot_t *slot);

/**
 * uz_slot_same_value() - the word that a page of kind UZ_SLOT_SAME repeats
 * @slot: the slot
 *
 * Context: any thread.
 * Return:  the word.
 */
uint64_t uz_slot_same_value(uz_slot_t slot);

/**
 * uz_slot_valid() - could this word be a slot at all?
 * @slot: any 64 bits
 *
 * Kind known, check bit right, size within its kind's range. Says nothing of
 * the ref. Never true of a slot of which one bit was flipped.
 *
 * Context: any thread.
 * Return:  true if so.
 */
bool uz_slot_valid(uz_slot_t slot);

struct uz_table;

/**
 * uz_table_create() - the table on a memfd
 * @table:    set on success, untouched on failure
 * @fd:       memfd, borrowed; what it holds already is kept (adoption)
 * @nr_pages: slots, 1 ... 2^32
 * @most:     that uz_table_grow() may make of it, as far as the system has
 *            address space
 *
 * Context: any thread.
 * Return:  0 or -errno.
 */
uz_must_check int uz_table_create(struct uz_table **table, int fd,
				  uint64_t nr_pages, uint64_t most);

/**
 * uz_table_grow() - more slots, all empty, while the table is in use
 * @table:    the table, which does not move
 * @nr_pages: how many there are to be, more than there are
 *
 * Context: one thread at a time; others use the table meanwhile, and the new
 *          slots once they have been told of them by who called this.
 * Return:  0; -EINVAL not more, or more than 2^32; -ENOMEM more than
 *          uz_table_most(), or refused by the system; other -errno. After a
 *          failure there are as many as before.
 */
uz_must_check int uz_table_grow(struct uz_table *table, uint64_t nr_pages);

/**
 * uz_table_most() - how many slots it can grow to
 * @table: the table
 *
 * Context: any thread.
 * Return:  slots, at least those that there are.
 */
uint64_t uz_table_most(const struct uz_table *table);

/**
 * uz_table_destroy() - forget the table; its words stay in the memfd
 * @table: the table, or NULL
 *
 * Context: no other thread uses the table any more.
 */
void uz_table_destroy(struct uz_table *table);

/**
 * uz_table_load() - read a slot
 * @table: the table
 * @index: page, below nr_pages
 *
 * Sequentially consistent, as the map protocol needs (pool.h).
 *
 * Context: any thread; takes no lock, allocates nothing.
 * Return:  the word; 0 where nothing was ever stored.
 */
uz_slot_t uz_table_load(const struct uz_table *table, uint64_t index);

/**
 * uz_table_prefetch() - have a slot's word come nearer, without waiting for it
 * @table: the table
 * @index: page, below nr_pages
 *
 * A chunk where nothing was ever stored stays without memory.
 *
 * Context: any thread.
 */
void uz_table_prefetch(const struct uz_table *table, uint64_t index);

/**
 * uz_table_prepare() - have the memory of a slot there
 * @table: the table
 * @index: page
 *
 * Must have succeeded before the first exchange or swap of this slot.
 *
 * Context: any thread; one load when the memory is there already; else it
 *          populates a page of the table, which sleeps.
 * Return:  0 or -ENOSPC.
 */
uz_must_check int uz_table_prepare(struct uz_table *table, uint64_t index);

/**
 * uz_table_exchange() - put a word in, whatever is there
 * @table: the table
 * @index: page, prepared
 * @slot:  the new word
 *
 * Sequentially consistent.
 *
 * Context: any thread; takes no lock.
 * Return:  the word that was there: the caller must free what it names.
 */
uz_slot_t uz_table_exchange(struct uz_table *table, uint64_t index,
			    uz_slot_t slot);

/**
 * uz_table_swap() - put a word in if the slot still is what it was
 * @table: the table
 * @index: page, prepared
 * @old:   expected word
 * @slot:  the new word
 *
 * Sequentially consistent. When @old names an object, the caller must hold it
 * mapped from before it read @old again until after this call: otherwise the
 * same word could meanwhile have come to mean another object. Only who
 * changes a flag for which that is no matter need not.
 *
 * Context: any thread; takes no lock.
 * Return:  true if swapped: the caller must free what @old names.
 */
uz_must_check bool uz_table_swap(struct uz_table *table, uint64_t index,
				 uz_slot_t old, uz_slot_t slot);

/**
 * uz_table_next() - skip what was never stored
 * @table: the table
 * @index: where to begin, up to nr_pages
 *
 * Context: any thread.
 * Return:  the first page at or after @index whose slot has memory, or a number
 *          that is nr_pages or more: the table may be growing just now.
 */
uint64_t uz_table_next(const struct uz_table *table, uint64_t index);

/**
 * uz_table_collapse() - make one huge page of slots that all have memory
 * @table: the table
 *
 * One huge page holds the slots of 1 GiB of device. The memory that the table
 * takes stays what it is.
 *
 * Context: one thread at a time, others use the table meanwhile; sleeps, as
 *          uz_shm_collapse().
 * Return:  1 if it made one: call it again; 0 nothing is left to be done;
 *          -EAGAIN, -ENOMEM, -ENOTSUP: as uz_shm_collapse().
 */
uz_must_check int uz_table_collapse(struct uz_table *table);

/**
 * uz_table_huge() - how much of the table lies in huge pages
 * @table: the table
 *
 * Context: any thread.
 * Return:  bytes.
 */
uint64_t uz_table_huge(const struct uz_table *table);

/**
 * uz_table_pages() - how many slots there are
 * @table: the table
 *
 * Context: any thread.
 * Return:  nr_pages.
 */
uint64_t uz_table_pages(const struct uz_table *table);

/**
 * uz_table_resident() - bytes of memory that the table takes
 * @table: the table
 *
 * Context: any thread.
 * Return:  bytes, by the kernel's count: slots, and what knows of them.
 */
uint64_t uz_table_resident(const struct uz_table *table);

#endif
