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
 * There are no locks. All operations on a slot are sequentially consistent:
 * the map protocol orders "pin, then read the slot again" against "change the
 * slot, then read the pins" (pin.h of the pool), which nothing weaker does.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <uzram/table.h>
#include <uzram/util/ahead.h>
#include <uzram/util/resident.h>
#include <uzram/util/shm.h>

#define CHUNK_SLOTS (UZ_PAGE_SIZE / sizeof(uz_slot_t))
#define WORD_BITS   64

struct uz_table {
	struct uz_shm shm;
	_Atomic uz_slot_t *slots;
	uint64_t nr_pages;
	uint64_t nr_chunks;
	_Atomic uint64_t *touched;
};

static uint64_t touched_words(const struct uz_table *t)
{
	return (t->nr_chunks + WORD_BITS - 1) / WORD_BITS;
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
 * All of it, where no store may have to wait for memory. What cannot be had is
 * populated when it is needed, as ever.
 */
static void table_fill(struct uz_table *t)
{
	uint64_t chunk;

	if (!uz_ahead() || uz_shm_populate(&t->shm, 0, t->shm.size))
		return;
	for (chunk = 0; chunk < t->nr_chunks; chunk++)
		chunk_mark(t, chunk);
}

int uz_table_create(struct uz_table **table, int fd, uint64_t nr_pages)
{
	struct uz_table *t;
	int err = -ENOMEM;

	if (!nr_pages || nr_pages > UZ_DISKSIZE_MAX / UZ_PAGE_SIZE)
		return -EINVAL;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->nr_pages = nr_pages;
	t->nr_chunks = (nr_pages + CHUNK_SLOTS - 1) / CHUNK_SLOTS;
	t->touched = calloc(touched_words(t), sizeof(*t->touched));
	if (!t->touched)
		goto fail;
	err = uz_shm_map(&t->shm, fd, t->nr_chunks * UZ_PAGE_SIZE);
	if (err)
		goto fail;
	t->slots = t->shm.base;
	err = table_find_touched(t);
	if (err)
		goto fail;
	table_fill(t);
	*table = t;
	return 0;
fail:
	uz_table_destroy(t);
	return err;
}

void uz_table_destroy(struct uz_table *table)
{
	if (!table)
		return;
	uz_shm_unmap(&table->shm);
	free(table->touched);
	free(table);
}

uz_slot_t uz_table_load(const struct uz_table *table, uint64_t index)
{
	if (uz_unlikely(!chunk_touched(table, index / CHUNK_SLOTS)))
		return 0;
	return atomic_load(&table->slots[index]);
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
	uint64_t chunk = index / CHUNK_SLOTS;
	uint64_t i, word;

	if (index >= table->nr_pages || chunk_touched(table, chunk))
		return index;
	for (i = chunk / WORD_BITS; i < touched_words(table); i++) {
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
	return table->nr_pages;
}

uint64_t uz_table_pages(const struct uz_table *table)
{
	return table->nr_pages;
}

uint64_t uz_table_resident(const struct uz_table *table)
{
	return uz_shm_resident(&table->shm) + sizeof(*table) +
	       uz_resident((const void *)table->touched,
			   touched_words(table) * sizeof(*table->touched));
}
