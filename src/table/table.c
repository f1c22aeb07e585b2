// SPDX-License-Identifier: MIT
/*
 * The slot table: one atomic word per page in a memfd.
 *
 * A page of table memory holds the slots of one *chunk* of 512 pages (2 MiB
 * of device). Touching a hole of a memfd, even by a read, populates it; so a
 * bitmap in ordinary memory knows which chunks were ever prepared, and a slot
 * of any other chunk is empty without being looked at. Bits are only ever
 * set. The bitmap is derived: it is rebuilt from the memfd's own extents.
 *
 * The table can grow while it is used: memfd and bitmap lie in address space
 * that was reserved for more, so that neither ever moves. Who makes it grow has
 * both ready before it says how many slots there are (nr_pages), by a release;
 * who asks for the number does so by an acquire. Who does not ask, the path of
 * a page, has heard of the new slots from the device, later.
 *
 * What lies at a multiple of 2 MiB and has memory for all its chunks can become
 * a huge page (uz_table_collapse()), so that a slot at random needs no look-up
 * of its own translation: at 8 bytes a page no cache of the CPU's holds as many
 * small ones as a large device has. No memory is ever given back, so it stays
 * one as long as the table.
 *
 * There are no locks. All operations on a slot are sequentially consistent:
 * the map protocol orders "pin, then read the slot again" against "change the
 * slot, then read the pins" (pin.h of the pool), which nothing weaker does.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <uzram/table.h>
#include <uzram/util/ahead.h>
#include <uzram/util/reserve.h>
#include <uzram/util/resident.h>
#include <uzram/util/shm.h>

#define CHUNK_SLOTS (UZ_PAGE_SIZE / sizeof(uz_slot_t))
#define WORD_BITS   64

/* Of a huge page. */
#define HUGE_CHUNKS (UZ_SHM_HUGE / UZ_PAGE_SIZE)
#define HUGE_WORDS  (HUGE_CHUNKS / WORD_BITS)

struct uz_table {
	struct uz_shm shm;
	_Atomic uz_slot_t *slots;
	_Atomic uint64_t nr_pages;
	struct uz_reserve bitmap;
	_Atomic uint64_t *touched;
	_Atomic uint64_t nr_huge;
	uint8_t *huge; /* a bit for each piece: it is one */
	uint64_t next; /* piece to begin the search with */
};

static uint64_t chunks_of(uint64_t nr_pages)
{
	return (nr_pages + CHUNK_SLOTS - 1) / CHUNK_SLOTS;
}

static uint64_t touched_words(uint64_t nr_pages)
{
	return (chunks_of(nr_pages) + WORD_BITS - 1) / WORD_BITS;
}

static size_t touched_bytes(uint64_t nr_pages)
{
	return touched_words(nr_pages) * sizeof(uint64_t);
}

/*
 * Acquire, paired with the release in chunk_mark(): whoever sees the bit sees
 * the chunk populated. Whoever does not see it yet runs concurrently with the
 * first store to the chunk, and "empty" is a right answer for it.
 */
static bool chunk_touched(const struct uz_table *t, uint64_t chunk)
{
	uint64_t word = atomic_load_explicit(&t->touched[chunk / WORD_BITS],
					     memory_order_acquire);

	return word >> (chunk % WORD_BITS) & 1;
}

static void chunk_mark(struct uz_table *t, uint64_t chunk)
{
	atomic_fetch_or_explicit(&t->touched[chunk / WORD_BITS],
				 UINT64_C(1) << (chunk % WORD_BITS),
				 memory_order_release);
}

static int table_find_touched(struct uz_table *t)
{
	size_t at = 0, start, end;
	int err;

	while (!(err = uz_shm_next_data(&t->shm, at, &start, &end))) {
		for (at = start; at < end; at += UZ_PAGE_SIZE)
			chunk_mark(t, at / UZ_PAGE_SIZE);
	}
	return err == -ENXIO ? 0 : err;
}

/*
 * All chunks from @chunk on, where no store may have to wait for memory. What
 * cannot be had is populated when it is needed, as ever.
 */
static void table_fill(struct uz_table *t, uint64_t chunk)
{
	size_t at = chunk * UZ_PAGE_SIZE;

	if (!uz_ahead() || at >= t->shm.size ||
	    uz_shm_populate(&t->shm, at, t->shm.size - at))
		return;
	for (; at < t->shm.size; at += UZ_PAGE_SIZE)
		chunk_mark(t, at / UZ_PAGE_SIZE);
}

/* The bitmap's words for so many pages. */
static int table_touch(struct uz_table *t, uint64_t nr_pages)
{
	size_t before = t->bitmap.size;
	int err = uz_reserve_grow(&t->bitmap, touched_bytes(nr_pages));

	if (!err)
		uz_ahead_memory((char *)t->bitmap.base + before,
				t->bitmap.size - before);
	return err;
}

/* Pieces of a huge page's size that lie in a table of so many slots. */
static uint64_t pieces_of(uint64_t nr_pages)
{
	return chunks_of(nr_pages) / HUGE_CHUNKS;
}

static size_t huge_bytes(const struct uz_table *t)
{
	return pieces_of(uz_table_most(t)) / 8 + 1;
}

static int table_map(struct uz_table *t, int fd, uint64_t nr_pages,
		     uint64_t most)
{
	int err = uz_reserve_map(&t->bitmap, touched_bytes(nr_pages),
				 touched_bytes(most));

	if (!err)
		err = uz_shm_map_room(&t->shm, fd,
				      chunks_of(nr_pages) * UZ_PAGE_SIZE,
				      chunks_of(most) * UZ_PAGE_SIZE);
	if (err)
		return err;
	uz_ahead_memory(t->bitmap.base, t->bitmap.size);
	t->touched = t->bitmap.base;
	t->slots = t->shm.base;
	/* relaxed: there are no other threads yet. */
	atomic_store_explicit(&t->nr_pages, nr_pages, memory_order_relaxed);
	return table_find_touched(t);
}

int uz_table_create(struct uz_table **table, int fd, uint64_t nr_pages,
		    uint64_t most)
{
	struct uz_table *t;
	int err;

	if (!nr_pages || nr_pages > UZ_DISKSIZE_MAX / UZ_PAGE_SIZE)
		return -EINVAL;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	err = table_map(t, fd, nr_pages, most > nr_pages ? most : nr_pages);
	if (!err) {
		t->huge = calloc(huge_bytes(t), 1);
		err = t->huge ? 0 : -ENOMEM;
	}
	if (err) {
		uz_table_destroy(t);
		return err;
	}
	table_fill(t, 0);
	*table = t;
	return 0;
}

int uz_table_grow(struct uz_table *table, uint64_t nr_pages)
{
	uint64_t before = uz_table_pages(table);
	int err;

	if (nr_pages <= before || nr_pages > UZ_DISKSIZE_MAX / UZ_PAGE_SIZE)
		return -EINVAL;
	if (nr_pages > uz_table_most(table))
		return -ENOMEM;
	err = table_touch(table, nr_pages);
	if (!err)
		err = uz_shm_grow(&table->shm,
				  chunks_of(nr_pages) * UZ_PAGE_SIZE);
	if (err)
		return err;
	table_fill(table, chunks_of(before));
	/* release: whoever sees the number finds memfd and bitmap grown. */
	atomic_store_explicit(&table->nr_pages, nr_pages, memory_order_release);
	return 0;
}

uint64_t uz_table_most(const struct uz_table *table)
{
	uint64_t slots = table->shm.room / sizeof(uz_slot_t);
	uint64_t bits = table->bitmap.room * 8 * CHUNK_SLOTS;
	uint64_t most = slots < bits ? slots : bits;

	return most < UZ_DISKSIZE_MAX / UZ_PAGE_SIZE
		       ? most
		       : UZ_DISKSIZE_MAX / UZ_PAGE_SIZE;
}

void uz_table_destroy(struct uz_table *table)
{
	if (!table)
		return;
	uz_shm_unmap(&table->shm);
	uz_reserve_unmap(&table->bitmap);
	free(table->huge);
	free(table);
}

uz_slot_t uz_table_load(const struct uz_table *table, uint64_t index)
{
	if (uz_unlikely(!chunk_touched(table, index / CHUNK_SLOTS)))
		return 0;
	return atomic_load(&table->slots[index]);
}

void uz_table_prefetch(const struct uz_table *table, uint64_t index)
{
	__builtin_prefetch((const void *)&table->slots[index]);
}

int uz_table_prepare(struct uz_table *table, uint64_t index)
{
	uint64_t chunk = index / CHUNK_SLOTS;

	if (uz_likely(chunk_touched(table, chunk)))
		return 0;
	if (uz_shm_populate(&table->shm, chunk * UZ_PAGE_SIZE, UZ_PAGE_SIZE))
		return -ENOSPC;
	chunk_mark(table, chunk);
	return 0;
}

uz_slot_t uz_table_exchange(struct uz_table *table, uint64_t index,
			    uz_slot_t slot)
{
	return atomic_exchange(&table->slots[index], slot);
}

bool uz_table_swap(struct uz_table *table, uint64_t index, uz_slot_t old,
		   uz_slot_t slot)
{
	return atomic_compare_exchange_strong(&table->slots[index], &old, slot);
}

uint64_t uz_table_next(const struct uz_table *table, uint64_t index)
{
	uint64_t nr_pages = uz_table_pages(table);
	uint64_t chunk = index / CHUNK_SLOTS;
	uint64_t i, word;

	if (index >= nr_pages || chunk_touched(table, chunk))
		return index;
	for (i = chunk / WORD_BITS; i < touched_words(nr_pages); i++) {
		/* acquire: as chunk_touched() */
		word = atomic_load_explicit(&table->touched[i],
					    memory_order_acquire);
		if (i == chunk / WORD_BITS)
			word &= ~UINT64_C(0) << (chunk % WORD_BITS);
		if (word)
			return (i * WORD_BITS +
				(uint64_t)__builtin_ctzll(word)) *
			       CHUNK_SLOTS;
	}
	return nr_pages;
}

/* acquire: as chunk_touched() */
static bool piece_whole(const struct uz_table *t, uint64_t piece)
{
	uint64_t word = piece * HUGE_WORDS;
	uint64_t end = word + HUGE_WORDS;

	while (word < end &&
	       !~atomic_load_explicit(&t->touched[word], memory_order_acquire))
		word++;
	return word == end;
}

int uz_table_collapse(struct uz_table *table)
{
	uint64_t nr = pieces_of(uz_table_pages(table)), n, i = 0;
	int err;

	for (n = 0; n < nr; n++) {
		i = (table->next + n) % nr;
		if (!(table->huge[i / 8] & 1u << i % 8) &&
		    piece_whole(table, i))
			break;
	}
	if (n == nr)
		return 0;
	/* One that is refused holds no other up. */
	table->next = i + 1;
	err = uz_shm_collapse(&table->shm, i * UZ_SHM_HUGE);
	if (err)
		return err;
	table->huge[i / 8] |= (uint8_t)(1u << i % 8);
	/* relaxed: only a number */
	atomic_fetch_add_explicit(&table->nr_huge, 1, memory_order_relaxed);
	return 1;
}

uint64_t uz_table_huge(const struct uz_table *table)
{
	return atomic_load_explicit(&table->nr_huge, memory_order_relaxed) *
	       UZ_SHM_HUGE;
}

uint64_t uz_table_pages(const struct uz_table *table)
{
	/* acquire, paired with the release in uz_table_grow(). */
	return atomic_load_explicit(&table->nr_pages, memory_order_acquire);
}

uint64_t uz_table_resident(const struct uz_table *table)
{
	return uz_shm_resident(&table->shm) + sizeof(*table) +
	       huge_bytes(table) +
	       uz_resident((const void *)table->touched,
			   touched_bytes(uz_table_pages(table)));
}
